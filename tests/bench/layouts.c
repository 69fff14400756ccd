/* tests/bench/layouts.c -- key layouts of the index, measured against each other
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loads the answers of one capture into bare LMDB tables laid out in the ways that were considered,
 * and into the index itself, and prints what each costs: octets on disk a sighting, microseconds an
 * answer, nanoseconds a lookup by (client, address). docs/ARCHITECTURE.md says what was concluded.
 */
#include <inttypes.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "capture.h"
#include "proto/dns.h"
#include "proto/dnstap.h"
#include "store/store.h"

enum { LOOKUPS = 200000, COMMIT_EVERY = 250000 };

/* One answer of the capture, numbered as a dictionary would number its parts. */
struct fact {
    struct addr client;
    struct addr addrs[8];
    uint8_t addr_count;
    uint8_t name[NAME_WIRE_MAX];
    uint8_t name_len;
    int64_t time_us;
    uint32_t ttl_s;
    uint32_t bytes_at; /* of the canonical answer in `pool` */
    uint32_t bytes_len;
};

struct facts {
    struct fact *fact;
    size_t count;
    uint8_t *pool;
    size_t pool_len;
};

struct layout {
    const char *name;
    const char *says;
    void (*add)(MDB_txn *txn, MDB_dbi forward, MDB_dbi reverse, const struct fact *fact);
    void (*look_up)(MDB_txn *txn, MDB_dbi forward, const struct fact *fact);
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "layouts: %s: %s\n", what, mdb_strerror(rc));
        exit(1);
    }
}

/* ---- Reading the capture ---- */

static void keep(struct facts *facts, const struct dnstap_message *message,
                 const struct dns_response *response, const uint8_t *bytes)
{
    struct fact *fact = &facts->fact[facts->count++];
    struct answer answer;
    answer_decode(&answer, bytes, response->answer_len);
    size_t addrs = (size_t)answer.v4_count + answer.v6_count;
    fact->client = message->client;
    fact->addr_count = (uint8_t)(addrs < 8 ? addrs : 8);
    for (size_t i = 0; i < fact->addr_count; i++) {
        fact->addrs[i] = answer_addr(&answer, i);
    }
    fact->name_len = response->asked.len;
    memcpy(fact->name, response->asked.wire, response->asked.len);
    fact->time_us = dnstap_time_us(message);
    fact->ttl_s = response->ttl_s;
    fact->bytes_at = (uint32_t)facts->pool_len;
    fact->bytes_len = (uint32_t)response->answer_len;
    memcpy(facts->pool + facts->pool_len, bytes, response->answer_len);
    facts->pool_len += response->answer_len;
}

static void read_facts(const char *path, struct facts *facts)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct capture capture;
    if (capture_open(&capture, path) != 0) {
        fprintf(stderr, "layouts: %s: not a capture\n", path);
        exit(1);
    }
    facts->fact = malloc((capture.frames + 1) * sizeof(*facts->fact));
    facts->pool = malloc(capture.size);
    for (size_t at = capture.begin; at < capture.end;) {
        uint32_t len = get_u32(capture.data + at);
        struct dnstap_message message;
        struct dns_response response;
        if (dnstap_decode(capture.data + at + 4, len, &message) == DNSTAP_INDEXED &&
            dns_parse_response(message.response_message.data, message.response_message.len,
                               &response, bytes) == 0 &&
            response.answer_len > 0) {
            keep(facts, &message, &response, bytes);
        }
        at += 4 + (size_t)len;
    }
}

/* ---- The layouts ---- */

struct plain_value {
    int64_t first_us;
    int64_t last_us;
    int64_t expiry_us;
    uint32_t count;
};

static void put_plain(MDB_txn *txn, MDB_dbi db, const void *key, size_t len,
                      const struct fact *fact)
{
    MDB_val k = {len, (void *)(uintptr_t)key};
    MDB_val v;
    struct plain_value value = {fact->time_us, fact->time_us, 0, 0};
    if (mdb_get(txn, db, &k, &v) == 0) {
        memcpy(&value, v.mv_data, sizeof(value));
    }
    value.last_us = fact->time_us;
    value.expiry_us = fact->time_us + (int64_t)fact->ttl_s * 1000000;
    value.count++;
    v = (MDB_val){sizeof(value), &value};
    must(mdb_put(txn, db, &k, &v, 0), "put");
}

static void put_empty(MDB_txn *txn, MDB_dbi db, const void *key, size_t len)
{
    MDB_val k = {len, (void *)(uintptr_t)key};
    MDB_val v = {0, NULL};
    must(mdb_put(txn, db, &k, &v, 0), "put");
}

static void touch(MDB_txn *txn, MDB_dbi db, const void *prefix, size_t len)
{
    MDB_cursor *cursor;
    MDB_val k = {len, (void *)(uintptr_t)prefix};
    MDB_val v;
    must(mdb_cursor_open(txn, db, &cursor), "cursor");
    must(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE), "lookup");
    mdb_cursor_close(cursor);
}

/* A row for each (client, address, name), the name spelled out; a second one the other way round.
 */
static void add_address_rows(MDB_txn *txn, MDB_dbi forward, MDB_dbi reverse,
                             const struct fact *fact)
{
    uint8_t key[32 + NAME_WIRE_MAX];
    for (uint8_t i = 0; i < fact->addr_count; i++) {
        memcpy(key, fact->client.b, 16);
        memcpy(key + 16, fact->addrs[i].b, 16);
        memcpy(key + 32, fact->name, fact->name_len);
        put_plain(txn, forward, key, 32u + fact->name_len, fact);
        memcpy(key, fact->addrs[i].b, 16);
        memcpy(key + 16, fact->client.b, 16);
        put_empty(txn, reverse, key, 32u + fact->name_len);
    }
}

static void look_up_address_row(MDB_txn *txn, MDB_dbi forward, const struct fact *fact)
{
    uint8_t key[32];
    memcpy(key, fact->client.b, 16);
    memcpy(key + 16, fact->addrs[0].b, 16);
    touch(txn, forward, key, sizeof(key));
}

/* A row for each (client, name, addresses), found through the client; the lookup scans its rows. */
static void add_set_rows(MDB_txn *txn, MDB_dbi forward, MDB_dbi reverse, const struct fact *fact)
{
    uint8_t key[16 + NAME_WIRE_MAX];
    uint8_t back[16 + 16];
    memcpy(key, fact->client.b, 16);
    memcpy(key + 16, fact->name, fact->name_len);
    key[16 + fact->name_len] = (uint8_t)fact->addr_count;
    put_plain(txn, forward, key, 17u + fact->name_len, fact);
    for (uint8_t i = 0; i < fact->addr_count; i++) {
        memcpy(back, fact->addrs[i].b, 16);
        memcpy(back + 16, fact->client.b, 16);
        put_empty(txn, reverse, back, sizeof(back));
    }
}

static void look_up_set_row(MDB_txn *txn, MDB_dbi forward, const struct fact *fact)
{
    MDB_cursor *cursor;
    MDB_val k = {16, (void *)(uintptr_t)fact->client.b};
    MDB_val v;
    must(mdb_cursor_open(txn, forward, &cursor), "cursor");
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && memcmp(k.mv_data, fact->client.b, 16) == 0) {
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
}

/* A log: a row an answer, by time; an index of (client, address, time) beside it. */
static void add_log(MDB_txn *txn, MDB_dbi forward, MDB_dbi reverse, const struct fact *fact)
{
    static uint32_t serial;
    uint8_t key[16 + 16 + 8 + 4];
    uint64_t time = htobe64((uint64_t)fact->time_us);
    serial++;
    memcpy(key, &time, 8);
    memcpy(key + 8, &serial, 4);
    MDB_val k = {12, key};
    MDB_val v = {fact->name_len, (void *)(uintptr_t)fact->name};
    must(mdb_put(txn, reverse, &k, &v, 0), "put");
    for (uint8_t i = 0; i < fact->addr_count; i++) {
        memcpy(key, fact->client.b, 16);
        memcpy(key + 16, fact->addrs[i].b, 16);
        memcpy(key + 32, &time, 8);
        memcpy(key + 40, &serial, 4);
        put_empty(txn, forward, key, sizeof(key));
    }
}

static const struct layout LAYOUTS[] = {
    {"address-rows", "a row per (client, address, name) and its mirror", add_address_rows,
     look_up_address_row},
    {"set-rows", "a row per (client, name, addresses), put as it comes", add_set_rows,
     look_up_set_row},
    {"log", "a row per answer by time, (client, address, time) beside it", add_log,
     look_up_address_row},
};

/* ---- Measuring ---- */

static void report(const char *name, const char *says, const char *path, uint64_t sightings,
                   size_t answers, int64_t add_ns, int64_t lookup_ns)
{
    struct stat st;
    must(stat(path, &st), path);
    printf("%-14s %7.1f B/sighting %7.3f us/answer %7.0f ns/lookup   %s\n", name,
           (double)st.st_blocks * 512 / (double)sightings, (double)add_ns / 1e3 / (double)answers,
           (double)lookup_ns / LOOKUPS, says);
}

static void measure_layout(const struct layout *layout, const struct facts *facts, const char *dir,
                           uint64_t sightings)
{
    char path[4096];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi forward, reverse;
    snprintf(path, sizeof(path), "%s/%s.mdb", dir, layout->name);
    must(mdb_env_create(&env), "env");
    must(mdb_env_set_maxdbs(env, 2), "env");
    must(mdb_env_set_mapsize(env, (size_t)64 << 30), "env");
    must(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), path);
    must(mdb_txn_begin(env, NULL, 0, &txn), "txn");
    must(mdb_dbi_open(txn, "forward", MDB_CREATE, &forward), "dbi");
    must(mdb_dbi_open(txn, "reverse", MDB_CREATE, &reverse), "dbi");
    int64_t begin_ns = now_ns();
    for (size_t i = 0; i < facts->count; i++) {
        layout->add(txn, forward, reverse, &facts->fact[i]);
        if (i % COMMIT_EVERY == COMMIT_EVERY - 1) {
            must(mdb_txn_commit(txn), "commit");
            must(mdb_txn_begin(env, NULL, 0, &txn), "txn");
        }
    }
    must(mdb_txn_commit(txn), "commit");
    int64_t add_ns = now_ns() - begin_ns;
    must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "txn");
    begin_ns = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++) {
        layout->look_up(txn, forward, &facts->fact[i * 7919 % facts->count]);
    }
    int64_t lookup_ns = now_ns() - begin_ns;
    mdb_txn_abort(txn);
    mdb_env_close(env);
    report(layout->name, layout->says, path, sightings, facts->count, add_ns, lookup_ns);
}

static bool ignore(void *ctx, const struct store_sighting *sighting)
{
    (void)ctx;
    (void)sighting;
    return true;
}

/* The index itself. Returns the number of sightings, which the others are divided by, too. */
static uint64_t measure_store(const struct facts *facts, const char *dir)
{
    char path[4096];
    struct store *store;
    struct store_view *view;
    struct why why;
    struct store_status status;
    snprintf(path, sizeof(path), "%s/index", dir);
    if (store_open(&store, path, STORE_WRITE, NULL, &why) != 0) {
        fprintf(stderr, "layouts: %s\n", why.text);
        exit(1);
    }
    uint16_t cluster = store_cluster(store, "default");
    int64_t begin_ns = now_ns();
    for (size_t i = 0; i < facts->count; i++) {
        const struct fact *fact = &facts->fact[i];
        must(store_answer(store, cluster, &fact->client, fact->time_us, fact->ttl_s,
                          facts->pool + fact->bytes_at, fact->bytes_len),
             "answer");
        if (i % COMMIT_EVERY == COMMIT_EVERY - 1) {
            must(store_commit(store, fact->time_us, &why), "commit");
        }
    }
    must(store_commit(store, facts->fact[facts->count - 1].time_us, &why), "commit");
    int64_t add_ns = now_ns() - begin_ns;
    must(store_view_new(store, &view), "view");
    begin_ns = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++) {
        const struct fact *fact = &facts->fact[i * 7919 % facts->count];
        store_by_client_address(view, "default", &fact->client, &fact->addrs[0], 0, INT64_MAX,
                                ignore, NULL);
    }
    int64_t lookup_ns = now_ns() - begin_ns;
    must(store_status(view, &status), "status");
    printf("%-14s %7.1f B/sighting %7.3f us/answer %7.0f ns/lookup   %s\n", "index",
           (double)status.bytes / (double)status.sightings,
           (double)add_ns / 1e3 / (double)facts->count, (double)lookup_ns / LOOKUPS,
           "this program: numbered sets, rows merged in key order at commit, answer times kept");
    store_view_free(&view);
    store_close(&store);
    return status.sightings;
}

int main(int argc, char **argv)
{
    struct facts facts = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: layouts CAPTURE EMPTY_DIR\n");
        return 2;
    }
    read_facts(argv[1], &facts);
    uint64_t sightings = measure_store(&facts, argv[2]);
    printf("%-14s %zu answers, %" PRIu64 " sightings\n", "", facts.count, sightings);
    for (size_t i = 0; i < sizeof(LAYOUTS) / sizeof(LAYOUTS[0]); i++) {
        measure_layout(&LAYOUTS[i], &facts, argv[2], sightings);
    }
    free(facts.fact);
    free(facts.pool);
    return 0;
}
