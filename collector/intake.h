/* collector/intake.h -- DNS answers out of running flow sources, for the writer of a service
 * SPDX-License-Identifier: Apache-2.0
 *
 * What follows a flow log, or takes flow records that are pushed, hands over the DNS responses
 * among them here. An intake lives as long as the service: its streams (one for each identity, see
 * collector/flowlog.h) are partial, begin with the first response and stop with the intake. Each
 * may hold a batch of the writer's reserve, so there are few of them.
 *
 * Threads: everything may be called from any thread but for intake_new and intake_free; calls of
 * one intake wait for one another.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/flowlog.h"
#include "collector/writer.h"

struct intake;

/* `writer` is borrowed and outlives the intake; `cluster` and `peer` (of the streams) are copied.
 * Returns 0 or -ENOMEM. */
int intake_new(struct intake **intake, struct writer *writer, const char *cluster,
               const char *peer);
/* Hands over what is left and ends the streams. *intake may be NULL. */
void intake_free(struct intake **intake);

/* Adds a response as flowlog_add does; one of the future is refused. Waits for room in the writer's
 * queue, which is where a source that is too fast is held back. Returns 0; -ETIMEDOUT where the
 * queue stayed full; -ENOMEM. A response that was not taken is lost, the next may be taken. */
int intake_add(struct intake *intake, const struct fact *fact, const uint8_t *answer);

/* Hands over what was added, without waiting. Call it after each batch of records, or the last of
 * them wait for the next. Returns the number for writer_wait_committed; 0 if nothing waits for a
 * commit that was not waited for before. */
uint64_t intake_flush(struct intake *intake);

/* Hands over what was added and waits until it is committed. Returns 0, -ETIMEDOUT, or the error of
 * the commit. Cheap where nothing was added since. */
int intake_commit(struct intake *intake, int64_t timeout_us);
