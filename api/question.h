/* api/question.h -- one line of a bulk lookup
 * SPDX-License-Identifier: Apache-2.0
 *
 * {"src":"10.0.0.7","dst":"192.0.2.1","at":"2026-05-22T10:00:01Z"}: `at` is RFC 3339 text or epoch
 * seconds as text or number, now where it is absent. Three more keys are taken: "cluster", "end"
 * (a time; the flow record's end where it is aggregated or ended) and "shows_start" (true where
 * absent: the record shows the connection's first packet). For programs that read flow records
 * there are also "aggregated" (false where absent), "alternate" (another address of the
 * destination), "not_before" (the source address was somebody else's until then), "own_cluster"
 * (asked in where anything is known of it), and of the ends' own identity "src_namespace",
 * "src_pod", "src_kind", "dst_namespace", "dst_pod", "dst_service", "dst_kind" (pod, service or
 * node). null counts as absent, other keys are ignored, so that a flow record can be sent as it is.
 *
 * Threads: a reader belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/problem.h"
#include "join/attribute.h"

struct question_reader;

/* `max_line` bounds a line. Returns 0 or -ENOMEM. */
int question_reader_new(struct question_reader **reader, size_t max_line);
void question_reader_free(struct question_reader **reader);

/* Reads one line. `cluster` is what an absent "cluster" means; question->cluster is that or lives
 * until the next call. Returns false with a 400 in `problem`, or a 413 for a line too long. */
bool question_read(struct question_reader *reader, const char *line, size_t len,
                   const char *cluster, int64_t now_us, struct question *question,
                   struct problem *problem);
