/* join/memo.c -- what the index said before
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "join/arena.h"

/* Flow logs go forward in time: what is read once should serve the hour that follows. */
#define EARLIER_US (10 * US_PER_MIN)
#define LATER_US US_PER_HOUR

/* Slots looked at for a question before everything is forgotten. */
enum { PROBES = 16 };

/* One question and the sightings it found. */
struct entry {
    XXH128_hash_t key; /* 128 bits, so that two questions never share one */
    int64_t from_us;   /* the span that was read */
    int64_t to_us;
    const struct kept *first;
    bool used;
};

/* One sighting; after it: its times, the asked name, the chain, the addresses. */
struct kept {
    const struct kept *next;
    int64_t first_us;
    int64_t last_us;
    int64_t expiry_us;
    uint32_t count;
    uint32_t time_count;
    uint16_t v4_count;
    uint16_t v6_count;
    uint8_t head; /* as in the canonical bytes */
    uint8_t chain_count;
    bool approximate;
};

struct memo {
    struct store_view *view;
    struct arena arena; /* of pieces that are multiples of 8 octets, so that all are aligned */
    size_t bytes;       /* taken from it */
    size_t max_bytes;
    size_t slots; /* a power of two */
    struct entry *entries;

    /* of the question being read */
    const struct kept *first;
    const struct kept **last;
    int err;
};

int memo_new(struct memo **out, struct store_view *view, size_t max_bytes)
{
    struct memo *memo = calloc(1, sizeof(*memo));
    *out = NULL;
    if (memo == NULL) {
        return -ENOMEM;
    }
    memo->view = view;
    memo->max_bytes = max_bytes;
    /* A quarter of the memory for the questions. */
    memo->slots = 1024;
    while (memo->slots * 2 * sizeof(struct entry) <= max_bytes / 4) {
        memo->slots *= 2;
    }
    memo->entries = calloc(memo->slots, sizeof(*memo->entries));
    if (memo->entries == NULL) {
        free(memo);
        return -ENOMEM;
    }
    *out = memo;
    return 0;
}

void memo_free(struct memo **memo)
{
    if (*memo != NULL) {
        arena_fini(&(*memo)->arena);
        free((*memo)->entries);
        free(*memo);
        *memo = NULL;
    }
}

static void forget_all(struct memo *memo)
{
    arena_reset(&memo->arena);
    memset(memo->entries, 0, memo->slots * sizeof(*memo->entries));
    memo->bytes = 0;
}

/* The entry of that key, or a free one for it. */
static struct entry *find(struct memo *memo, XXH128_hash_t key)
{
    for (size_t i = 0; i < PROBES; i++) {
        struct entry *entry = &memo->entries[(key.low64 + i) & (memo->slots - 1)];
        if (!entry->used || XXH128_isEqual(entry->key, key)) {
            return entry;
        }
    }
    forget_all(memo);
    return &memo->entries[key.low64 & (memo->slots - 1)];
}

/* ---- Reading from the index ---- */

static size_t names_len(const struct answer *answer)
{
    size_t len = name_wire_len(answer->asked);
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        len += name_wire_len(answer->chain[i]);
    }
    return len;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at + len;
}

/* Keeps a copy of one sighting. */
static bool keep(void *ctx, const struct store_sighting *sighting)
{
    struct memo *memo = ctx;
    const struct answer *answer = sighting->answer;
    size_t times_len = sighting->time_count * sizeof(*sighting->times);
    size_t len = sizeof(struct kept) + times_len + names_len(answer) + answer->v4_count * 4u +
                 answer->v6_count * 16u;
    len = (len + 7) / 8 * 8;
    struct kept *kept = (struct kept *)arena_take(&memo->arena, len);
    if (kept == NULL) {
        memo->err = -ENOMEM;
        return false;
    }
    *kept = (struct kept){
        .first_us = sighting->first_us,
        .last_us = sighting->last_us,
        .expiry_us = sighting->expiry_us,
        .count = sighting->count,
        .time_count = sighting->time_count,
        .v4_count = answer->v4_count,
        .v6_count = answer->v6_count,
        .head = answer_head(answer),
        .chain_count = answer->chain_count,
        .approximate = sighting->approximate,
    };
    uint8_t *at = put((uint8_t *)(kept + 1), sighting->times, times_len);
    at = put(at, answer->asked, name_wire_len(answer->asked));
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        at = put(at, answer->chain[i], name_wire_len(answer->chain[i]));
    }
    at = put(at, answer->v4, answer->v4_count * 4u);
    put(at, answer->v6, answer->v6_count * 16u);
    memo->bytes += len;
    *memo->last = kept;
    memo->last = (const struct kept **)&kept->next;
    return true;
}

static void begin_reading(struct memo *memo)
{
    memo->first = NULL;
    memo->last = &memo->first;
    memo->err = 0;
}

/* Files what was read, or returns why it was not. */
static int end_reading(struct memo *memo, struct entry *entry, XXH128_hash_t key, int64_t from_us,
                       int64_t to_us, int err)
{
    if (memo->err != 0 || err != 0) {
        return memo->err != 0 ? memo->err : err;
    }
    *entry = (struct entry){key, from_us, to_us, memo->first, true};
    return 0;
}

/* ---- Visiting ---- */

/* As the index has it: an answer lies within the span, or may, where times were thinned. */
static bool has_answer_within(const struct kept *kept, int64_t from_us, int64_t to_us)
{
    const int64_t *times = (const int64_t *)(const void *)(kept + 1);
    if (kept->first_us > to_us || kept->last_us < from_us) {
        return false;
    }
    uint32_t i = 0;
    while (i + 1 < kept->time_count && times[i] < from_us) {
        i++;
    }
    return times[i] <= to_us || kept->approximate;
}

static int visit(const struct entry *entry, const char *cluster, const struct addr *client,
                 int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx)
{
    for (const struct kept *kept = entry->first; kept != NULL; kept = kept->next) {
        if (!has_answer_within(kept, from_us, to_us)) {
            continue;
        }
        const int64_t *times = (const int64_t *)(const void *)(kept + 1);
        const uint8_t *at = (const uint8_t *)(times + kept->time_count);
        struct answer answer = {.asked = at,
                                .chain_count = kept->chain_count,
                                .v4_count = kept->v4_count,
                                .v6_count = kept->v6_count};
        answer_set_head(&answer, kept->head);
        at += name_wire_len(at);
        for (uint8_t i = 0; i < kept->chain_count; i++) {
            answer.chain[i] = at;
            at += name_wire_len(at);
        }
        answer.v4 = at;
        answer.v6 = at + kept->v4_count * 4u;
        struct store_sighting sighting = {.answer = &answer,
                                          .client = *client,
                                          .cluster = cluster,
                                          .first_us = kept->first_us,
                                          .last_us = kept->last_us,
                                          .expiry_us = kept->expiry_us,
                                          .count = kept->count,
                                          .approximate = kept->approximate,
                                          .time_count = kept->time_count,
                                          .times = times};
        if (!fn(ctx, &sighting)) {
            return 1;
        }
    }
    return 0;
}

/* ---- Questions ---- */

/* `kind` keeps questions of two kinds apart. */
static XXH128_hash_t key_of(char kind, const char *cluster, const struct addr *client,
                            const uint8_t *what, size_t what_len)
{
    uint8_t bytes[1 + STORE_CLUSTER_MAX + 1 + sizeof(client->b) + NAME_WIRE_MAX];
    size_t cluster_len = strnlen(cluster, STORE_CLUSTER_MAX);
    uint8_t *at = put(bytes, &kind, 1);
    at = put(at, cluster, cluster_len);
    at = put(at, "", 1);
    at = put(at, client->b, sizeof(client->b));
    at = put(at, what, what_len);
    return XXH3_128bits(bytes, (size_t)(at - bytes));
}

/* The entry if it holds the span; else it is made ready to be read, with the span to read. */
static bool look_up(struct memo *memo, XXH128_hash_t key, struct entry **entry, int64_t *from_us,
                    int64_t *to_us)
{
    *entry = find(memo, key);
    if ((*entry)->used && (*entry)->from_us <= *from_us && (*entry)->to_us >= *to_us) {
        return true;
    }
    if (memo->bytes > memo->max_bytes / 4 * 3) {
        forget_all(memo);
        *entry = find(memo, key);
    }
    *from_us -= EARLIER_US;
    *to_us += LATER_US;
    begin_reading(memo);
    return false;
}

int memo_by_client_address(struct memo *memo, const char *cluster, const struct addr *client,
                           const struct addr *address, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx)
{
    XXH128_hash_t key = key_of('a', cluster, client, address->b, sizeof(address->b));
    struct entry *entry;
    int64_t from = from_us, to = to_us;
    int err = 0;
    if (!look_up(memo, key, &entry, &from, &to)) {
        err = store_by_client_address(memo->view, cluster, client, address, from, to, keep, memo);
        err = end_reading(memo, entry, key, from, to, err);
    }
    return err != 0 ? err : visit(entry, cluster, client, from_us, to_us, fn, ctx);
}

int memo_by_client_target(struct memo *memo, const char *cluster, const struct addr *client,
                          const uint8_t *target, int64_t from_us, int64_t to_us,
                          store_sighting_fn fn, void *ctx)
{
    XXH128_hash_t key = key_of('t', cluster, client, target, name_wire_len(target));
    struct entry *entry;
    int64_t from = from_us, to = to_us;
    int err = 0;
    if (!look_up(memo, key, &entry, &from, &to)) {
        err = store_by_client_target(memo->view, cluster, client, target, from, to, keep, memo);
        err = end_reading(memo, entry, key, from, to, err);
    }
    return err != 0 ? err : visit(entry, cluster, client, from_us, to_us, fn, ctx);
}
