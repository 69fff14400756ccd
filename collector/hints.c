/* collector/hints.c -- what a DNS server says about its clients: whose address it is
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/hints.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { HINTS = 1024 }; /* 32 KiB */

struct said {
    struct addr client;
    uint64_t text; /* hash; 0: nothing was said */
    int64_t time_us;
};

struct hints {
    struct said said[HINTS];
};

/* RFC 1123: letters, digits and hyphens, neither first nor last a hyphen; `dots`: several of those.
 */
static bool is_name(const uint8_t *text, size_t len, size_t max, bool dots)
{
    if (len == 0 || len > max) {
        return false;
    }
    bool edge = true; /* at the begin of a label */
    for (size_t i = 0; i < len; i++) {
        bool plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        bool dot = dots && text[i] == '.';
        bool inner = (text[i] == '-' || dot) && !edge;
        if (!plain && !inner) {
            return false;
        }
        if (dot && text[i - 1] == '-') {
            return false;
        }
        edge = dot;
    }
    return !edge && text[len - 1] != '-';
}

bool hint_is_pod(struct span extra)
{
    if (extra.len > HINT_MAX || extra.len == 0) {
        return false;
    }
    const uint8_t *slash = memchr(extra.data, '/', extra.len);
    if (slash == NULL) {
        return false;
    }
    size_t len = (size_t)(slash - extra.data);
    return is_name(extra.data, len, 63, false) &&
           is_name(slash + 1, extra.len - len - 1, 253, true);
}

bool hints_is_news(struct hints **hints, const struct addr *client, struct span extra,
                   int64_t time_us)
{
    if (*hints == NULL) {
        *hints = calloc(1, sizeof(**hints));
    }
    if (*hints == NULL) {
        return true;
    }
    uint64_t text = XXH3_64bits(extra.data, extra.len) | 1;
    struct said *said = &(*hints)->said[XXH3_64bits(client->b, sizeof(client->b)) % HINTS];
    int64_t since_us = time_us - said->time_us;
    if (said->text == text && addr_equal(&said->client, client) && since_us < HINT_AGAIN_US &&
        since_us > -HINT_AGAIN_US) {
        return false;
    }
    *said = (struct said){*client, text, time_us};
    return true;
}

void hints_free(struct hints **hints)
{
    free(*hints);
    *hints = NULL;
}
