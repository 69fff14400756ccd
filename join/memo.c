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

/* The runs of one answer to one client. */
struct row {
    const struct known *known;
    uint32_t first; /* offset of the first among the client's runs, in octets */
    uint32_t count;
};

/* Where a row may be found that has an address, or a name in its chain, with that tag. Places of
 * one tag follow each other in the order of the rows. */
struct place {
    uint32_t tag;
    uint32_t row; /* number + 1; 0: empty */
};

/* Everything that one client was answered. */
struct whole {
    const struct row *rows;
    const char *runs;
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

    /* of the client being read */
    struct buf rows; /* struct row, `known` not yet set */
    struct buf ids;  /* uint64_t: their answers */
    struct buf runs;
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
        buf_fini(&(*memo)->ids);
        buf_fini(&(*memo)->runs);
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

static void add_place(struct whole *whole, uint32_t tag, uint32_t row)
{
    uint32_t i = tag & whole->places_mask;
    while (whole->places[i].row != 0) {
        if (whole->places[i].tag == tag && whole->places[i].row == row + 1) {
            return; /* an answer that has it twice */
        }
        i = (i + 1) & whole->places_mask;
    }
    whole->places[i] = (struct place){tag, row + 1};
}

static void add_places(struct whole *whole, uint32_t row)
{
    const struct answer *answer = &whole->rows[row].known->answer;
    struct addr addr;
    for (uint16_t i = 0; i < answer->v4_count; i++) {
        addr = addr_from_v4(answer->v4 + i * 4u);
        add_place(whole, tag_of(addr.b, sizeof(addr.b)), row);
    }
    for (uint16_t i = 0; i < answer->v6_count; i++) {
        add_place(whole, tag_of(answer->v6 + i * 16u, sizeof(addr.b)), row);
    }
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        add_place(whole, tag_of(answer->chain[i], name_wire_len(answer->chain[i])), row);
    }
}

/* ---- Reading a client ---- */

/* Keeps a copy of one run, and opens a row where the answer is another one. */
static bool keep(void *ctx, const struct store_sighting *sighting)
{
    struct memo *memo = ctx;
    struct kept kept = {
        .expiry_us = sighting->expiry_us,
        .count = sighting->count,
        .time_count = (uint16_t)sighting->time_count,
        .approximate = sighting->approximate,
    };
    size_t ids_len = memo->ids.len;
    uint64_t last_id = 0;
    if (ids_len > 0) {
        memcpy(&last_id, memo->ids.data + ids_len - sizeof(last_id), sizeof(last_id));
    }
    if (ids_len == 0 || last_id != sighting->answer_id) {
        struct row row = {.first = (uint32_t)memo->runs.len};
        buf_add(&memo->rows, &row, sizeof(row));
        buf_add(&memo->ids, &sighting->answer_id, sizeof(sighting->answer_id));
    }
    buf_add(&memo->runs, &kept, sizeof(kept));
    buf_add(&memo->runs, sighting->times, sighting->time_count * sizeof(*sighting->times));
    if (memo->rows.err != 0 || memo->ids.err != 0 || memo->runs.err != 0) {
        return false;
    }
    struct row *rows = (struct row *)(void *)memo->rows.data;
    rows[memo->rows.len / sizeof(*rows) - 1].count++;
    return true;
}

/* Looks up the answers of the rows just read; returns how many places they need, or an error. */
static int64_t know_rows(struct memo *memo)
{
    struct row *rows = (struct row *)(void *)memo->rows.data;
    const uint64_t *ids = (const uint64_t *)(const void *)memo->ids.data;
    int64_t places = 0;
    for (size_t i = 0; i < memo->rows.len / sizeof(*rows); i++) {
        int err = know(memo, ids[i], &rows[i].known);
        if (err != 0) {
            return err;
        }
        const struct answer *answer = &rows[i].known->answer;
        places += answer->v4_count + answer->v6_count + answer->chain_count;
    }
    return places;
}

/* Files what was read; -ENOSPC if there is no room for it. */
static int make_whole(struct memo *memo, const struct whole **out)
{
    int64_t places = know_rows(memo);
    if (places < 0) {
        return (int)places;
    }
    uint32_t slots = 2;
    while (slots < places * 2) {
        slots *= 2;
    }
    size_t head_len = sizeof(struct whole) + slots * sizeof(struct place);
    char *at = take(memo, head_len + memo->rows.len + memo->runs.len);
    if (at == NULL) {
        return -ENOSPC;
    }
    struct whole *whole = (struct whole *)(void *)at;
    memset(whole, 0, head_len);
    whole->places_mask = slots - 1;
    whole->rows = (const struct row *)(const void *)(at + head_len);
    whole->runs = at + head_len + memo->rows.len;
    put((uint8_t *)at + head_len, memo->rows.data, memo->rows.len);
    put((uint8_t *)at + head_len + memo->rows.len, memo->runs.data, memo->runs.len);
    for (uint32_t i = 0; i < memo->rows.len / sizeof(struct row); i++) {
        add_places(whole, i);
    }
    *out = whole;
    return 0;
}

static int read_whole(struct memo *memo, const char *cluster, const struct addr *address,
                      struct client *client, int64_t from_us, int64_t to_us)
{
    buf_reset(&memo->rows);
    buf_reset(&memo->ids);
    buf_reset(&memo->runs);
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

/* Everything the client was answered in the span, or NULL in `*whole` if the index is to be asked:
 * what a client has is read only when the questions about it were enough for as much. */
static int hold(struct memo *memo, const char *cluster, const struct addr *address, int64_t from_us,
                int64_t to_us, const struct whole **whole)
{
    XXH128_hash_t key = key_of(cluster, address);
    struct client *client = find(memo, key);
    *whole = NULL;
    if (client->whole != NULL && client->from_us <= from_us && client->to_us >= to_us) {
        *whole = client->whole;
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
    return err;
}

/* ---- Visiting ---- */

/* What is looked for among the rows of a client. */
struct sought {
    uint32_t tag;
    const struct addr *address; /* NULL: `target` is looked for */
    const uint8_t *target;
    size_t target_len;
};

static bool has(const struct answer *answer, const struct sought *sought)
{
    if (sought->address == NULL) {
        for (uint8_t i = 0; i < answer->chain_count; i++) {
            if (name_wire_len(answer->chain[i]) == sought->target_len &&
                memcmp(answer->chain[i], sought->target, sought->target_len) == 0) {
                return true;
            }
        }
        return false;
    }
    const uint8_t *octets = sought->address->b;
    if (addr_is_v4(sought->address)) {
        for (uint16_t i = 0; i < answer->v4_count; i++) {
            if (memcmp(answer->v4 + i * 4u, octets + 12, 4) == 0) {
                return true;
            }
        }
    }
    for (uint16_t i = 0; i < answer->v6_count; i++) {
        if (memcmp(answer->v6 + i * 16u, octets, 16) == 0) {
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
    const char *at = visiting->whole->runs + row->first;
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

static int visit(struct visiting *visiting, const struct sought *sought)
{
    const struct whole *whole = visiting->whole;
    for (uint32_t i = sought->tag & whole->places_mask; whole->places[i].row != 0;
         i = (i + 1) & whole->places_mask) {
        const struct row *row = &whole->rows[whole->places[i].row - 1];
        if (whole->places[i].tag == sought->tag && has(&row->known->answer, sought) &&
            visit_row(visiting, row) != 0) {
            return 1;
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
    struct sought sought = {.tag = tag_of(address->b, sizeof(address->b)), .address = address};
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
    const struct client *client;
    const struct whole *whole; /* NULL: there is nothing to fetch */
    const struct row *row;     /* likewise */
    uint32_t tag;
};

static void fetch_client(const struct memo *memo, const struct memo_pair *pair, struct coming *c)
{
    c->key = key_of(pair->cluster, pair->client);
    c->tag = tag_of(pair->address->b, sizeof(pair->address->b));
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
        __builtin_prefetch(&c->whole->places[c->tag & c->whole->places_mask]);
    }
}

static void fetch_row(struct coming *c)
{
    c->row = NULL;
    if (c->whole == NULL) {
        return;
    }
    uint32_t i = c->tag & c->whole->places_mask;
    while (c->whole->places[i].row != 0 && c->whole->places[i].tag != c->tag) {
        i = (i + 1) & c->whole->places_mask;
    }
    if (c->whole->places[i].row != 0) {
        c->row = &c->whole->rows[c->whole->places[i].row - 1];
        __builtin_prefetch(c->row);
    }
}

static void fetch_runs(const struct coming *c)
{
    if (c->row != NULL) {
        const char *runs = c->whole->runs + c->row->first;
        __builtin_prefetch(runs);
        __builtin_prefetch(runs + 64);
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
        fetch_runs(&coming[i]);
    }
}
