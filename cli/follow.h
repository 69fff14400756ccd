/* cli/follow.h -- whither join --follow, and what it shares with the rest of whither join
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: one.
 */
#pragma once

#include "cli/answers.h"
#include "join/source.h"

/* How often progress is shown. */
#define PROGRESS_EVERY_US (US_PER_S / 5)

/* What is said on stderr. */
struct report {
    const struct settings *settings;
    const struct source_list *sources;
    int64_t start_us; /* monotonic */
    int64_t shown_us; /* when progress was shown last, 0: it is not on the terminal */
    int64_t last_flow_us;
};

/* ---- cli/join.c ---- */

void clear_progress(struct report *report);
/* With a struct report. */
void on_warning(void *report, const char *text);
void print_totals(const struct report *report, const struct join_totals *totals);
/* Says why; returns the exit code. */
int fail_join(int err, const struct why *why);

/* ---- cli/follow.c ---- */

/* Are the flags of --follow there only with it, and no others with it that make no sense? Returns 0
 * or W_EUSAGE. */
int check_follow(const struct settings *settings, struct why *why);
/* Runs until SIGTERM or SIGINT; returns the exit code. Of `options` the formats are used. */
int follow(const struct join_options *options, struct answers *answers, struct report *report);
