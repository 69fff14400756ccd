/* join/memo.c -- what the index said before
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "join/huge.h"

/* Flow logs go forward in time: what is read once should serve the hour that follows. */
#define EARLIER_US (10 * US_PER_MIN)
#define LATER_US US_PER_HOUR

/* Slots looked at for a client before everything is forgotten. */
enum { PROBES = 16 };

/* Runs of a client that one question may cost, and those of a client that is never read whole. */
enum { RUNS_PER_QUESTION = 64, RUNS_MAX = 64 * 1024 };

/* An answer, which many clients got. */
struct known {
    struct known *next; /* of the same slot */
    uint64_t id;
    struct answer answer; /* its octets follow */
};

/* A run of answers. The first and the last time are those of the run. */
struct kept {
    int64_t expiry_us;
    uint32_t count;
    uint16_t time_count;
    bool approximate;
    int64_t times[];
};

/* One answer to one client; its runs follow. */
struct row {
    const struct known *known;
    uint32_t count;
};

/* Where a row may be found by one of its addresses, or a name of its chain. Places of one tag
 * follow each other in the order of the rows. */
struct place {
    uint32_t tag; /* an IPv4 address as it stands; else a hash */
    bool v4 : 1;
    uint32_t row : 31; /* where the row is, in words of 8 octets from the first, + 1; 0: empty */
};

/* Everything that one client was answered. */
struct whole {
    const uint64_t *rows;
    uint32_t places_mask;
    struct place places[];
};

struct client {
    XXH128_hash_t key; /* 128 bits, so that two clients never share one */
    int64_t from_us;   /* the span that was read */
    int64_t to_us;
    const struct whole *whole; /* NULL: not read */
    uint32_t runs_max;         /* how many to read at most; 0: an empty slot */
    uint32_t wait;             /* questions before that is tried again */
};

enum { KNOWN_SLOTS = 16 * 1024, TARGET_BITS = 64 * 1024 };

/* A row while its client is being read. */
struct read {
    uint64_t answer_id;
    size_t at; /* in memo->rows */
};

struct memo {
    struct store_view *view;
    char *room; /* for everything that is remembered, in pieces of multiples of 8 octets */
    size_t room_len;
    size_t used;
    size_t slots; /* a power of two */
    struct client *clients;
    struct known *known[KNOWN_SLOTS];
    /* Of all names in their chains, a bit for each tag: most names are in none. */
    uint64_t targets[TARGET_BITS / 64];

    /* The last one asked for, because questions about one come together. */
    struct addr last_addr;
    char last_cluster[STORE_CLUSTER_MAX + 1];
    struct client *last; /* NULL: none */

    /* of the client being read */
    struct buf rows;  /* struct row and their runs; `known` is not yet set */
    struct buf reads; /* struct read of each row */
    struct read last_read;
};

int memo_new(struct memo **out, struct store_view *view, size_t max_bytes)
{
    struct memo *memo = calloc(1, sizeof(*memo));
    *out = NULL;
    if (memo == NULL) {
        return -ENOMEM;
    }
    memo->view = view;
    /* A sixteenth of the memory for finding clients: each has a kilobyte or more to remember. */
    memo->slots = 1024;
    while (memo->slots * 2 * sizeof(struct client) <= max_bytes / 16) {
        memo->slots *= 2;
    }
    memo->room_len = max_bytes / 16 * 15;
    memo->clients = calloc(memo->slots, sizeof(*memo->clients));
    memo->room = malloc(memo->room_len + 1);
    if (memo->clients == NULL || memo->room == NULL) {
        memo_free(&memo);
        return -ENOMEM;
    }
    huge_pages(memo->clients, memo->slots * sizeof(*memo->clients));
    huge_pages(memo->room, memo->room_len);
    *out = memo;
    return 0;
}

void memo_free(struct memo **memo)
{
    if (*memo != NULL) {
        free((*memo)->room);
        buf_fini(&(*memo)->rows);
        buf_fini(&(*memo)->reads);
        free((*memo)->clients);
        free(*memo);
        *memo = NULL;
    }
}

static void forget_all(struct memo *memo)
{
    memset(memo->clients, 0, memo->slots * sizeof(*memo->clients));
    memset(memo->known, 0, sizeof(memo->known));
    memset(memo->targets, 0, sizeof(memo->targets));
    memo->used = 0;
    memo->last = NULL;
}

/* NULL if there is no room left. */
static void *take(struct memo *memo, size_t len)
{
    len = (len + 7) / 8 * 8;
    if (len > memo->room_len - memo->used) {
        return NULL;
    }
    void *at = memo->room + memo->used;
    memo->used += len;
    return at;
}

/* ---- Answers ---- */

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at + len;
}

static uint32_t tag_of(const void *octets, size_t len)
{
    return (uint32_t)XXH3_64bits(octets, len);
}

static uint64_t *target_word(struct memo *memo, uint32_t tag)
{
    return &memo->targets[tag % TARGET_BITS / 64];
}

static struct known *copy_answer(struct memo *memo, uint64_t id, const struct answer *answer)
{
    size_t len = name_wire_len(answer->asked) + answer->v4_count * 4u + answer->v6_count * 16u;
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        len += name_wire_len(answer->chain[i]);
    }
    struct known *known = take(memo, sizeof(*known) + len);
    if (known == NULL) {
        return NULL;
    }
    known->id = id;
    known->answer = *answer;
    uint8_t *at = (uint8_t *)(known + 1);
    known->answer.asked = at;
    at = put(at, answer->asked, name_wire_len(answer->asked));
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        size_t name_len = name_wire_len(answer->chain[i]);
        uint32_t tag = tag_of(answer->chain[i], name_len);
        *target_word(memo, tag) |= UINT64_C(1) << tag % 64;
        known->answer.chain[i] = at;
        at = put(at, answer->chain[i], name_len);
    }
    known->answer.v4 = at;
    at = put(at, answer->v4, answer->v4_count * 4u);
    known->answer.v6 = at;
    put(at, answer->v6, answer->v6_count * 16u);
    return known;
}

/* The answer of that id, read from the index if it is new; -ENOSPC if there is no room for it. */
static int know(struct memo *memo, uint64_t id, const struct known **out)
{
    struct known **slot = &memo->known[XXH3_64bits(&id, sizeof(id)) % KNOWN_SLOTS];
    for (struct known *known = *slot; known != NULL; known = known->next) {
        if (known->id == id) {
            *out = known;
            return 0;
        }
    }
    const struct answer *answer;
    int err = store_answer_of(memo->view, id, &answer);
    if (err != 0) {
        return err;
    }
    struct known *known = copy_answer(memo, id, answer);
    if (known == NULL) {
        return -ENOSPC;
    }
    known->next = *slot;
    *slot = known;
    *out = known;
    return 0;
}

/* ---- Places ---- */

/* What is looked for among the rows of a client. */
struct sought {
    uint32_t tag;
    bool v4;
    const uint8_t *address; /* 16 octets; NULL: `target` is looked for */
    const uint8_t *target;
    size_t target_len;
};

static struct sought seek_address(const struct addr *addr)
{
    struct sought sought = {.address = addr->b, .v4 = addr_is_v4(addr)};
    if (sought.v4) {
        memcpy(&sought.tag, addr->b + 12, sizeof(sought.tag));
    } else {
        sought.tag = tag_of(addr->b, sizeof(addr->b));
    }
    return sought;
}

/* The first place to look at. */
static uint32_t place_of(const struct whole *whole, uint32_t tag)
{
    return (uint32_t)(tag * UINT64_C(0x9e3779b97f4a7c15) >> 32) & whole->places_mask;
}

static void add_place(struct whole *whole, const struct sought *what, uint32_t row)
{
    uint32_t i = place_of(whole, what->tag);
    struct place place = {.tag = what->tag, .v4 = what->v4, .row = (row + 1) & 0x7fffffff};
    for (; whole->places[i].row != 0; i = (i + 1) & whole->places_mask) {
        if (memcmp(&whole->places[i], &place, sizeof(place)) == 0) {
            return; /* an answer that has it twice */
        }
    }
    whole->places[i] = place;
}

static void add_places(struct whole *whole, const struct answer *answer, uint32_t row)
{
    for (uint16_t i = 0; i < answer->v4_count; i++) {
        struct addr addr = addr_from_v4(answer->v4 + i * 4u);
        struct sought sought = seek_address(&addr);
        add_place(whole, &sought, row);
    }
    for (uint16_t i = 0; i < answer->v6_count; i++) {
        struct sought sought = {.tag = tag_of(answer->v6 + i * 16u, sizeof(struct addr))};
        add_place(whole, &sought, row);
    }
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        struct sought sought = {.tag = tag_of(answer->chain[i], name_wire_len(answer->chain[i]))};
        add_place(whole, &sought, row);
    }
}

/* ---- Reading a client ---- */

static struct row *row_at(struct memo *memo, size_t at)
{
    return (struct row *)(void *)(memo->rows.data + at);
}

/* Opens a row unless the last one is of that answer. */
static void open_row(struct memo *memo, uint64_t answer_id)
{
    if (memo->reads.len > 0 && memo->last_read.answer_id == answer_id) {
        return;
    }
    memo->last_read = (struct read){answer_id, memo->rows.len};
    buf_add(&memo->reads, &memo->last_read, sizeof(memo->last_read));
    buf_add(&memo->rows, &(struct row){NULL, 0}, sizeof(struct row));
}

/* Keeps a copy of one run. */
static bool keep(void *ctx, const struct store_sighting *sighting)
{
    struct memo *memo = ctx;
    size_t times_len = sighting->time_count * sizeof(*sighting->times);
    open_row(memo, sighting->answer_id);
    struct kept *kept = (struct kept *)(void *)buf_room(&memo->rows, sizeof(*kept) + times_len);
    if (kept == NULL || memo->reads.err != 0) {
        return false;
    }
    *kept = (struct kept){
        .expiry_us = sighting->expiry_us,
        .count = sighting->count,
        .time_count = (uint16_t)sighting->time_count,
        .approximate = sighting->approximate,
    };
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        kept->times[i] = sighting->times[i];
    }
    memo->rows.len += sizeof(*kept) + times_len;
    row_at(memo, memo->last_read.at)->count++;
    return true;
}

/* Looks up the answers of the rows just read; returns how many places they need, or an error. */
static int64_t know_rows(struct memo *memo)
{
    const struct read *reads = (const struct read *)(const void *)memo->reads.data;
    int64_t places = 0;
    for (size_t i = 0; i < memo->reads.len / sizeof(*reads); i++) {
        struct row *row = row_at(memo, reads[i].at);
        int err = know(memo, reads[i].answer_id, &row->known);
        if (err != 0) {
            return err;
        }
        const struct answer *answer = &row->known->answer;
        places += answer->v4_count + answer->v6_count + answer->chain_count;
    }
    return places;
}

/* Files what was read; -ENOSPC if there is no room for it. */
static int make_whole(struct memo *memo, const struct whole **out)
{
    const struct read *reads = (const struct read *)(const void *)memo->reads.data;
    int64_t places = know_rows(memo);
    if (places < 0) {
        return (int)places;
    }
    uint32_t slots = 2;
    while (slots < places * 2) {
        slots *= 2;
    }
    size_t head_len = sizeof(struct whole) + slots * sizeof(struct place);
    char *at = take(memo, head_len + memo->rows.len);
    if (at == NULL) {
        return -ENOSPC;
    }
    struct whole *whole = (struct whole *)(void *)at;
    memset(whole, 0, head_len);
    whole->places_mask = slots - 1;
    whole->rows = (const uint64_t *)(const void *)(at + head_len);
    put((uint8_t *)at + head_len, memo->rows.data, memo->rows.len);
    for (size_t i = 0; i < memo->reads.len / sizeof(*reads); i++) {
        add_places(whole, &row_at(memo, reads[i].at)->known->answer,
                   (uint32_t)(reads[i].at / sizeof(uint64_t)));
    }
    *out = whole;
    return 0;
}

static int read_whole(struct memo *memo, const char *cluster, const struct addr *address,
                      struct client *client, int64_t from_us, int64_t to_us)
{
    buf_reset(&memo->rows);
    buf_reset(&memo->reads);
    int err = store_runs_of_client(memo->view, cluster, address, from_us, to_us, client->runs_max,
                                   keep, memo);
    if (err == 0) {
        err = make_whole(memo, &client->whole);
    }
    client->from_us = from_us;
    client->to_us = to_us;
    return err == 1 ? -ENOMEM : err;
}

/* ---- Clients ---- */

static XXH128_hash_t key_of(const char *cluster, const struct addr *client)
{
    uint8_t bytes[STORE_CLUSTER_MAX + sizeof(client->b)];
    uint8_t *at = put(bytes, client->b, sizeof(client->b));
    at = put(at, cluster, strnlen(cluster, STORE_CLUSTER_MAX));
    return XXH3_128bits(bytes, (size_t)(at - bytes));
}

/* The client of that key, or a free slot for it. */
static struct client *find(struct memo *memo, XXH128_hash_t key)
{
    for (size_t i = 0; i < PROBES; i++) {
        struct client *client = &memo->clients[(key.low64 + i) & (memo->slots - 1)];
        if (client->runs_max == 0 || XXH128_isEqual(client->key, key)) {
            return client;
        }
    }
    forget_all(memo);
    return &memo->clients[key.low64 & (memo->slots - 1)];
}

/* Reads the client, unless it has more than may be read now. With `last` the memory was emptied for
 * it. */
static int try_whole(struct memo *memo, const char *cluster, const struct addr *address,
                     struct client *client, int64_t from_us, int64_t to_us, bool last)
{
    client->whole = NULL;
    int err = read_whole(memo, cluster, address, client, from_us - EARLIER_US, to_us + LATER_US);
    if (err == W_ELIMIT) {
        client->wait = client->runs_max / RUNS_PER_QUESTION;
        client->runs_max *= 2;
        return 0;
    }
    if (err == -ENOSPC && last) {
        client->runs_max = RUNS_MAX + 1;
        return 0;
    }
    return err;
}

static void note_last(struct memo *memo, const char *cluster, const struct addr *address,
                      struct client *client)
{
    size_t len = strnlen(cluster, sizeof(memo->last_cluster));
    memo->last = NULL;
    if (len < sizeof(memo->last_cluster)) {
        memcpy(memo->last_cluster, cluster, len + 1);
        memo->last_addr = *address;
        memo->last = client;
    }
}

/* Everything the client was answered in the span, or NULL in `*whole` if the index is to be asked:
 * what a client has is read only when the questions about it were enough for as much. */
static int hold(struct memo *memo, const char *cluster, const struct addr *address, int64_t from_us,
                int64_t to_us, const struct whole **whole)
{
    struct client *client = memo->last;
    XXH128_hash_t key;
    if (client == NULL || !addr_equal(&memo->last_addr, address) ||
        strcmp(memo->last_cluster, cluster) != 0) {
        key = key_of(cluster, address);
        client = find(memo, key);
    } else {
        key = client->key;
    }
    *whole = NULL;
    if (client->whole != NULL && client->from_us <= from_us && client->to_us >= to_us) {
        *whole = client->whole;
        note_last(memo, cluster, address, client);
        return 0;
    }
    if (client->runs_max > RUNS_MAX || client->wait > 0) {
        client->wait -= client->wait > 0;
        return 0;
    }
    int err = -ENOSPC;
    for (int tries = 0; tries < 2 && err == -ENOSPC; tries++) {
        if (tries > 0) {
            forget_all(memo);
            client = find(memo, key);
        }
        if (client->runs_max == 0) {
            *client = (struct client){.key = key, .runs_max = RUNS_PER_QUESTION};
        }
        err = try_whole(memo, cluster, address, client, from_us, to_us, tries > 0);
    }
    *whole = client->whole;
    note_last(memo, cluster, address, client);
    return err;
}

/* ---- Visiting ---- */

/* Whether the answer has what its place was found by. An IPv4 address it has: the tag says so. */
static bool has(const struct answer *answer, const struct sought *sought)
{
    for (uint8_t i = 0; i < answer->chain_count && sought->address == NULL; i++) {
        if (name_wire_len(answer->chain[i]) == sought->target_len &&
            memcmp(answer->chain[i], sought->target, sought->target_len) == 0) {
            return true;
        }
    }
    for (uint16_t i = 0; i < answer->v6_count && sought->address != NULL; i++) {
        if (memcmp(answer->v6 + i * 16u, sought->address, 16) == 0) {
            return true;
        }
    }
    return false;
}

/* As the index has it: an answer lies within the span, or may, where times were thinned. */
static bool has_answer_within(const struct kept *kept, int64_t from_us, int64_t to_us)
{
    uint32_t last = kept->time_count - 1u;
    if (kept->times[0] > to_us || kept->times[last] < from_us) {
        return false;
    }
    uint32_t i = 0;
    while (i < last && kept->times[i] < from_us) {
        i++;
    }
    return kept->times[i] <= to_us || kept->approximate;
}

/* A visit of rows. */
struct visiting {
    const struct whole *whole;
    struct store_sighting sighting; /* client and cluster are set */
    int64_t from_us;
    int64_t to_us;
    store_sighting_fn fn;
    void *ctx;
};

static int visit_row(struct visiting *visiting, const struct row *row)
{
    struct store_sighting *sighting = &visiting->sighting;
    const char *at = (const char *)(row + 1);
    sighting->answer = &row->known->answer;
    sighting->answer_id = row->known->id;
    for (uint32_t i = 0; i < row->count; i++) {
        const struct kept *kept = (const struct kept *)(const void *)at;
        at = (const char *)(kept->times + kept->time_count);
        if (!has_answer_within(kept, visiting->from_us, visiting->to_us)) {
            continue;
        }
        sighting->first_us = kept->times[0];
        sighting->last_us = kept->times[kept->time_count - 1];
        sighting->expiry_us = kept->expiry_us;
        sighting->count = kept->count;
        sighting->approximate = kept->approximate;
        sighting->time_count = kept->time_count;
        sighting->times = kept->times;
        if (!visiting->fn(visiting->ctx, sighting)) {
            return 1;
        }
    }
    return 0;
}

static const struct row *row_of(const struct whole *whole, const struct place *place)
{
    return (const struct row *)(const void *)(whole->rows + place->row - 1);
}

static int visit(struct visiting *visiting, const struct sought *sought)
{
    const struct whole *whole = visiting->whole;
    uint32_t i = place_of(whole, sought->tag);
    for (; whole->places[i].row != 0; i = (i + 1) & whole->places_mask) {
        const struct place *place = &whole->places[i];
        if (place->tag == sought->tag && place->v4 == sought->v4) {
            const struct row *row = row_of(whole, place);
            if ((sought->v4 || has(&row->known->answer, sought)) && visit_row(visiting, row) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

int memo_by_client_address(struct memo *memo, const char *cluster, const struct addr *client,
                           const struct addr *address, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx)
{
    struct visiting visiting = {NULL, {.client = *client, .cluster = cluster}, from_us, to_us, fn,
                                ctx};
    int err = hold(memo, cluster, client, from_us, to_us, &visiting.whole);
    if (err != 0 || visiting.whole == NULL) {
        return err != 0 ? err
                        : store_by_client_address(memo->view, cluster, client, address, from_us,
                                                  to_us, fn, ctx);
    }
    struct sought sought = seek_address(address);
    return visit(&visiting, &sought);
}

int memo_by_client_target(struct memo *memo, const char *cluster, const struct addr *client,
                          const uint8_t *target, int64_t from_us, int64_t to_us,
                          store_sighting_fn fn, void *ctx)
{
    struct visiting visiting = {NULL, {.client = *client, .cluster = cluster}, from_us, to_us, fn,
                                ctx};
    int err = hold(memo, cluster, client, from_us, to_us, &visiting.whole);
    if (err != 0 || visiting.whole == NULL) {
        return err != 0 ? err
                        : store_by_client_target(memo->view, cluster, client, target, from_us,
                                                 to_us, fn, ctx);
    }
    size_t len = name_wire_len(target);
    struct sought sought = {.tag = tag_of(target, len), .target = target, .target_len = len};
    if ((*target_word(memo, sought.tag) >> sought.tag % 64 & 1) == 0) {
        return 0;
    }
    return visit(&visiting, &sought);
}

/* ---- What is to come ---- */

/* A pair on the way through the steps, each of which fetches what the next one reads. */
struct coming {
    XXH128_hash_t key;
    struct sought sought;
    const struct client *client;
    const struct whole *whole; /* NULL: there is nothing to fetch */
    const struct row *row;     /* likewise */
};

static void fetch_client(const struct memo *memo, const struct memo_pair *pair, struct coming *c)
{
    c->key = key_of(pair->cluster, pair->client);
    c->sought = seek_address(pair->address);
    c->client = &memo->clients[c->key.low64 & (memo->slots - 1)];
    __builtin_prefetch(c->client);
}

static void fetch_whole(struct coming *c)
{
    c->whole = XXH128_isEqual(c->client->key, c->key) ? c->client->whole : NULL;
    __builtin_prefetch(c->whole);
}

static void fetch_place(const struct coming *c)
{
    if (c->whole != NULL) {
        __builtin_prefetch(&c->whole->places[place_of(c->whole, c->sought.tag)]);
    }
}

static void fetch_row(struct coming *c)
{
    c->row = NULL;
    if (c->whole == NULL) {
        return;
    }
    const struct place *places = c->whole->places;
    uint32_t i = place_of(c->whole, c->sought.tag);
    while (places[i].row != 0 && places[i].tag != c->sought.tag) {
        i = (i + 1) & c->whole->places_mask;
    }
    if (places[i].row != 0) {
        c->row = row_of(c->whole, &places[i]);
        __builtin_prefetch(c->row);
        __builtin_prefetch(c->row + 4);
        __builtin_prefetch(c->row + 8);
    }
}

static void fetch_answer(const struct coming *c)
{
    if (c->row != NULL) {
        __builtin_prefetch(&c->row->known->answer);
        __builtin_prefetch(&c->row->known->answer.v4_count);
        __builtin_prefetch(c->row->known + 1); /* its names and addresses */
        __builtin_prefetch((const char *)(c->row->known + 1) + 64);
    }
}

void memo_expect(struct memo *memo, const struct memo_pair *pairs, size_t count)
{
    struct coming coming[MEMO_EXPECT_MAX];
    for (size_t i = 0; i < count; i++) {
        fetch_client(memo, &pairs[i], &coming[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fetch_whole(&coming[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fetch_place(&coming[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fetch_row(&coming[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fetch_answer(&coming[i]);
    }
}
