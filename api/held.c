/* api/held.c -- a body that is kept until it is answered
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/service.h"

#define FIRST_CAP 4096

static int grow(struct held *held, struct api *api, size_t need)
{
    size_t cap = held->cap == 0 ? FIRST_CAP : held->cap;
    while (cap < need) {
        cap *= 2;
    }
    /* The last doubling stops at the longest body, which may be all there is room for. */
    if (cap > api->options.max_body && need <= api->options.max_body) {
        cap = (size_t)api->options.max_body;
    }
    size_t more = cap - held->cap;
    if (atomic_fetch_add(&api->held, more) + more > api->options.max_body) {
        atomic_fetch_sub(&api->held, more);
        return W_ELIMIT;
    }
    char *bytes = realloc(held->bytes, cap);
    if (bytes == NULL) {
        atomic_fetch_sub(&api->held, more);
        return -ENOMEM;
    }
    held->bytes = bytes;
    held->cap = cap;
    return 0;
}

int held_add(struct held *held, struct api *api, const char *bytes, size_t len)
{
    int err = len > held->cap - held->len ? grow(held, api, held->len + len) : 0;
    if (err == 0) {
        memcpy(held->bytes + held->len, bytes, len);
        held->len += len;
    }
    return err;
}

void held_free(struct held *held, struct api *api)
{
    atomic_fetch_sub(&api->held, held->cap);
    free(held->bytes);
    *held = (struct held){0};
}
