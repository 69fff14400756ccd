/* join/repeat.c -- the same 5-tuple again
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/repeat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* 2^18 flows, in sets of 4 of which the oldest goes first: 6 MiB. */
enum { SETS = 1 << 16, WAYS = 4 };

struct entry {
    XXH128_hash_t hash; /* of the 5-tuple: 128 bits, so that two never share one */
    int64_t time_us;    /* 0: empty */
};

struct repeats {
    struct entry entries[SETS][WAYS];
};

int repeats_new(struct repeats **repeats)
{
    *repeats = calloc(1, sizeof(**repeats));
    return *repeats != NULL ? 0 : -ENOMEM;
}

void repeats_free(struct repeats **repeats)
{
    free(*repeats);
    *repeats = NULL;
}

static XXH128_hash_t hash_of(const struct flow *flow)
{
    struct {
        struct addr source;
        struct addr destination;
        uint16_t ports[2];
        char transport[sizeof(flow->transport)];
    } key;
    memset(&key, 0, sizeof(key));
    key.source = flow->source;
    key.destination = flow->destination;
    key.ports[0] = flow->has_ports ? flow->source_port : 0;
    key.ports[1] = flow->has_ports ? flow->destination_port : 0;
    memcpy(key.transport, flow->transport, strlen(flow->transport));
    return XXH3_128bits(&key, sizeof(key));
}

bool repeats_seen(struct repeats *repeats, const struct flow *flow)
{
    if (!flow->has_pair || flow->start_us == 0 || flow->aggregated) {
        return false;
    }
    XXH128_hash_t hash = hash_of(flow);
    struct entry *set = repeats->entries[hash.low64 % SETS];
    struct entry *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].time_us != 0 && XXH128_isEqual(set[i].hash, hash)) {
            int64_t apart_us = flow->start_us - set[i].time_us;
            if (apart_us >= -REPEAT_US && apart_us <= REPEAT_US) {
                return true;
            }
            set[i].time_us = flow->start_us;
            return false;
        }
        oldest = set[i].time_us < oldest->time_us ? &set[i] : oldest;
    }
    *oldest = (struct entry){hash, flow->start_us};
    return false;
}
