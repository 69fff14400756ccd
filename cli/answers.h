/* cli/answers.h -- where a join gets its answers: an index, captures, or a service
 * SPDX-License-Identifier: Apache-2.0
 *
 * --dnstap FILE makes an index in a folder of its own under $TMPDIR, which goes with the process
 * even if a signal ends it.
 *
 * Threads: as its caller. For captures, one thread of ours waits for signals.
 */
#pragma once

#include <stdbool.h>

#include "cli/settings.h"
#include "join/live.h"

struct answers;

/* Opens what the settings name; `settings` is borrowed until answers_close. Returns 0, or a
 * negative error with one sentence in `why`. Damaged captures are told of on stderr and used as far
 * as they are whole. */
int answers_open(struct answers **answers, const struct settings *settings, struct why *why);
/* *answers may be NULL. */
void answers_close(struct answers **answers);

/* Up to JOIN_WORKERS_MAX oracles, each for one thread: one for each processor, or a single one for
 * a service. They live until answers_close. */
const struct join_oracle *answers_oracles(const struct answers *answers, size_t *count);
/* With --follow: the index that the one oracle asks; NULL for a service. */
struct live_index *answers_index(const struct answers *answers);
/* A capture was damaged. NULL is fine. */
bool answers_doubtful(const struct answers *answers);
/* Says on stderr where the owners end before the flows. */
void answers_warn_age(const struct answers *answers, int64_t last_flow_us);
