/* api/bulk.h -- POST /v1/lookup: a question a line in, an attribution a line out
 * SPDX-License-Identifier: Apache-2.0
 *
 * The lines are kept as they came and answered while the reply is sent, a block at a time, so what
 * a bulk lookup needs is its own body and one block, however long the answers are. The bodies of
 * all bulk lookups together stay within api_options.max_body. Empty lines are skipped; a line that
 * is wrong, or longer than api_options.max_line, gets `{"error":{…}}` in its place.
 *
 * Threads: a bulk lookup belongs to the thread of its request.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "api/problem.h"
#include "join/attribute.h"

struct worker;

/* NULL if memory is short. The worker is borrowed. */
void *bulk_new(struct worker *worker);
/* Takes the next bytes of the body. Returns 0, W_ELIMIT or -ENOMEM. */
int bulk_add(void *bulk, const char *bytes, size_t len);
/* Writes up to `cap` bytes of the reply: how many, 0 at the end, -1 if the index failed. */
ssize_t bulk_read(void *bulk, char *bytes, size_t cap);
void bulk_free(void *bulk);
