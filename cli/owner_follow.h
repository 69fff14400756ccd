/* cli/owner_follow.h -- a service reads its --owners FILE again when it changes
 * SPDX-License-Identifier: Apache-2.0
 *
 * Once a second each file is looked at. One that grew is read on (a watch that is being recorded);
 * one that was written anew is read again, and who is no longer in its lists has ended (`kubectl
 * get -o json` by a timer); a pipe, or standard input, is read as it comes. Compressed files are
 * read once.
 *
 * Threads: one of its own between start and stop, which tells the table.
 */
#pragma once

#include "base/err.h"
#include "cli/settings.h"
#include "join/owners.h"

struct owner_follow;

/* Reads the files. All is borrowed. Returns 0, or a negative error with a reason: a file that is
 * not there. */
int owner_follow_new(struct owner_follow **follow, struct owners *owners,
                     const struct settings *settings, struct why *why);
/* NULL is fine. */
void owner_follow_free(struct owner_follow **follow);

/* Begins to follow them; `changed` is called in the thread after the table changed. Returns 0 or a
 * negative error with a reason. */
int owner_follow_start(struct owner_follow *follow, void (*changed)(void *ctx), void *ctx,
                       struct why *why);
/* Ends that. NULL and what was not started are fine. */
void owner_follow_stop(struct owner_follow *follow);
