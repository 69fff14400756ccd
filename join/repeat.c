/* join/repeat.c -- the same 5-tuple again
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/repeat.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"
#include "join/huge.h"

/* 2^18 flows, in sets of 4 of which the oldest goes first: 6 MiB. */
enum { SETS = 1 << 16, WAYS = 4 };

struct entry {
    struct repeat_key key; /* 128 bits, so that two 5-tuples never share one */
    int64_t time_us;       /* 0: empty */
};

struct repeats {
    struct entry entries[SETS][WAYS];
};

int repeats_new(struct repeats **repeats)
{
    *repeats = calloc(1, sizeof(**repeats));
    if (*repeats == NULL) {
        return -ENOMEM;
    }
    huge_pages(*repeats, sizeof(**repeats));
    return 0;
}

void repeats_free(struct repeats **repeats)
{
    free(*repeats);
    *repeats = NULL;
}

struct repeat_key repeats_expect(struct repeats *repeats, const struct flow *flow)
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
    XXH128_hash_t hash = XXH3_128bits(&key, sizeof(key));
    const struct entry *set = repeats->entries[hash.low64 % SETS];
    __builtin_prefetch(set, 1);
    __builtin_prefetch(&set[WAYS - 1], 1);
    return (struct repeat_key){hash.low64, hash.high64};
}

bool repeats_seen(struct repeats *repeats, const struct flow *flow, struct repeat_key key)
{
    if (!flow->has_pair || flow->start_us == 0 || flow->aggregated) {
        return false;
    }
    struct entry *set = repeats->entries[key.low % SETS];
    struct entry *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].time_us != 0 && set[i].key.low == key.low && set[i].key.high == key.high) {
            int64_t apart_us = flow->start_us - set[i].time_us;
            if (apart_us >= -REPEAT_US && apart_us <= REPEAT_US) {
                return true;
            }
            set[i].time_us = flow->start_us;
            return false;
        }
        oldest = set[i].time_us < oldest->time_us ? &set[i] : oldest;
    }
    *oldest = (struct entry){key, flow->start_us};
    return false;
}

/* ---- Over a restart ---- */

/* An entry as it is saved: the key and the time, all big-endian. */
enum { SAVED_WORDS = 3, SAVED_LEN = SAVED_WORDS * sizeof(uint64_t) };

static int64_t latest(const struct repeats *repeats, int64_t now_us)
{
    int64_t latest_us = 0;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t k = 0; k < WAYS; k++) {
            int64_t time_us = repeats->entries[i][k].time_us;
            if (time_us > latest_us && time_us < now_us + 10 * US_PER_MIN) {
                latest_us = time_us;
            }
        }
    }
    return latest_us;
}

void repeats_save(const struct repeats *repeats, int64_t now_us, struct buf *out)
{
    int64_t from_us = latest(repeats, now_us) - REPEATS_SAVED_US;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t k = 0; k < WAYS; k++) {
            const struct entry *entry = &repeats->entries[i][k];
            if (entry->time_us != 0 && entry->time_us >= from_us) {
                const uint64_t words[SAVED_WORDS] = {htobe64(entry->key.low),
                                                     htobe64(entry->key.high),
                                                     htobe64((uint64_t)entry->time_us)};
                buf_add(out, words, sizeof(words));
            }
        }
    }
}

/* Puts it where it was: into a free place of its set, as when it was seen. */
static void restore(struct repeats *repeats, const struct entry *entry)
{
    struct entry *set = repeats->entries[entry->key.low % SETS];
    struct entry *oldest = &set[0];
    for (size_t i = 1; i < WAYS; i++) {
        oldest = set[i].time_us < oldest->time_us ? &set[i] : oldest;
    }
    *oldest = *entry;
}

int repeats_load(struct repeats *repeats, const char *data, size_t len)
{
    if (len % SAVED_LEN != 0) {
        return W_EDAMAGED;
    }
    for (size_t at = 0; at < len; at += SAVED_LEN) {
        uint64_t words[SAVED_WORDS];
        memcpy(words, data + at, sizeof(words));
        const struct entry entry = {{be64toh(words[0]), be64toh(words[1])},
                                    (int64_t)be64toh(words[2])};
        restore(repeats, &entry);
    }
    return 0;
}
