/* api/held.h -- a body that is kept until it is answered, within what all such bodies may take
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of all requests that are kept stay within api_options.max_body together, so that a
 * thousand senders need no more memory than one.
 *
 * Threads: a body belongs to one thread at a time; what all take is counted atomically.
 */
#pragma once

#include <stddef.h>

struct api;

struct held {
    char *bytes; /* owned */
    size_t len;
    size_t cap; /* counted in api->held */
};

/* Appends. Returns 0, W_ELIMIT where there is no room, or -ENOMEM. */
int held_add(struct held *held, struct api *api, const char *bytes, size_t len);
/* Frees the bytes. */
void held_free(struct held *held, struct api *api);
