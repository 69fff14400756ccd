/* cli/answers_remote.h -- a join that asks a service: POST /v1/lookup
 * SPDX-License-Identifier: Apache-2.0
 *
 * The questions of a batch go out as the body of one call, and their answers are read as they come.
 * What is recent, and the bounds of the attribution, are the service's.
 *
 * Threads: as its caller.
 */
#pragma once

#include "cli/settings.h"
#include "join/join.h"

struct remote_answers;

/* Returns 0, or what remote_new returns, with the reason in `why`. */
int remote_answers_new(struct remote_answers **answers, const struct settings *settings,
                       struct why *why);
void remote_answers_free(struct remote_answers **answers);

/* As join_oracle.ask. W_ESYNTAX where the service answers something else. */
int remote_answers_ask(void *answers, const struct question *questions, size_t count,
                       join_answered_fn answered, void *ctx, struct why *why);
