/* tests/unit/store/test_owner_rows.c -- owners of addresses in the state environment
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/owner_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/env.h"
#include "tests/support/store_fixture.h"

#define NOW_US (INT64_C(1780000000) * US_PER_S)

static struct addr addresses[STORE_OWNER_ADDRS_MAX];

/* A pod that has not ended. */
static struct store_owner pod(uint64_t id)
{
    return (struct store_owner){
        .id = id,
        .cluster = "default",
        .namespace = "shop",
        .name = "cart-1",
        .uid = "",
        .workload_kind = "",
        .workload = "",
        .node = "",
        .labels = "",
        .from_us = NOW_US,
        .to_us = INT64_MAX,
        .seen_us = NOW_US,
        .address_count = 1,
        .addresses = addresses,
    };
}

static void put(struct store *store, const struct store_owner *owner)
{
    assert_int_equal(store_owner(store, owner), 0);
}

static void commit(struct store *store, int64_t now_us)
{
    struct why why;
    if (store_commit(store, now_us, &why) != 0) {
        fail_msg("%s", why.text);
    }
}

static bool add_id(void *ctx, const struct store_owner *owner)
{
    char *text = ctx;
    sprintf(text + strlen(text), "%d@%d ", (int)owner->id, (int)owner->sequence);
    return true;
}

/* "id@sequence " of each interval after `after`. */
static void assert_ids(struct store *store, uint64_t after, const char *expected)
{
    char text[512] = "";
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(store_owners(view, after, add_id, text), 0);
    assert_string_equal(text, expected);
    store_view_free(&view);
}

static void begin(char dir[64], struct store **store)
{
    fixture_dir(dir);
    *store = fixture_open(dir, STORE_WRITE);
    for (size_t i = 0; i < STORE_OWNER_ADDRS_MAX; i++) {
        addresses[i] = fixture_addr(i % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
        addresses[i].b[15] = (uint8_t)i;
    }
}

static void end(const char *dir, struct store **store)
{
    store_close(store);
    fixture_remove(dir);
}

static bool is_whole(void *ctx, const struct store_owner *owner)
{
    ++*(int *)ctx;
    assert_int_equal(owner->id, 7);
    assert_int_equal(owner->kind, 2);
    assert_true(owner->hint);
    assert_true(owner->sure_end);
    assert_string_equal(owner->cluster, "prod-1");
    assert_string_equal(owner->namespace, "shop");
    assert_string_equal(owner->name, "cart-1");
    assert_string_equal(owner->uid, "u-1");
    assert_string_equal(owner->workload_kind, "Deployment");
    assert_string_equal(owner->workload, "cart");
    assert_string_equal(owner->node, "node-a");
    assert_string_equal(owner->labels, "app=cart\ntier=\n");
    assert_int_equal(owner->from_us, NOW_US);
    assert_int_equal(owner->to_us, NOW_US + 2);
    assert_int_equal(owner->seen_us, NOW_US + 1);
    assert_int_equal(owner->address_count, STORE_OWNER_ADDRS_MAX);
    assert_memory_equal(owner->addresses, addresses, sizeof(addresses));
    return true;
}

static void test_an_interval_is_kept_whole_and_read_by_another_process(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    begin(dir, &store);
    const struct store_owner owner = {
        .id = 7,
        .kind = 2,
        .hint = true,
        .sure_end = true,
        .cluster = "prod-1",
        .namespace = "shop",
        .name = "cart-1",
        .uid = "u-1",
        .workload_kind = "Deployment",
        .workload = "cart",
        .node = "node-a",
        .labels = "app=cart\ntier=\n",
        .from_us = NOW_US,
        .to_us = NOW_US + 2,
        .seen_us = NOW_US + 1,
        .address_count = STORE_OWNER_ADDRS_MAX,
        .addresses = addresses,
    };
    put(store, &owner);
    assert_ids(store, 0, "");
    commit(store, NOW_US);
    store_close(&store);
    struct store_view *view;
    int visited = 0;
    store = fixture_open(dir, STORE_READ);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(store_owners(view, 0, is_whole, &visited), 0);
    assert_int_equal(visited, 1);
    store_view_free(&view);
    end(dir, &store);
}

static void test_a_change_replaces_and_is_all_that_is_read_again(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    begin(dir, &store);
    for (uint64_t id = 1; id <= 3; id++) {
        struct store_owner owner = pod(id * 10);
        put(store, &owner);
    }
    commit(store, NOW_US);
    assert_ids(store, 0, "10@1 20@2 30@3 ");
    struct store_owner changed = pod(20);
    changed.to_us = NOW_US + 5;
    put(store, &changed);
    put(store, &changed);
    commit(store, NOW_US);
    assert_ids(store, 0, "10@1 30@3 20@5 ");
    assert_ids(store, 3, "20@5 ");
    assert_ids(store, 5, "");
    assert_ids(store, UINT64_MAX - 1, "");
    /* Numbers are not used again, even where the last row is gone. */
    store_retain(store, NOW_US + 9 * US_PER_DAY, US_PER_DAY);
    commit(store, NOW_US + 9 * US_PER_DAY);
    store_close(&store);
    store = fixture_open(dir, STORE_WRITE);
    changed = pod(40);
    put(store, &changed);
    commit(store, NOW_US);
    assert_ids(store, 0, "10@1 30@3 40@6 ");
    end(dir, &store);
}

static void test_what_ended_before_the_retention_goes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t to_days; /* 0: not ended */
        int64_t seen_days;
        bool hint;
        bool stays;
    } ROWS[] = {
        {"ended long ago", -12, -12, false, false},
        {"ended lately", -2, -12, false, true},
        {"not ended", 0, -12, false, true},
        {"a hint seen long ago", 0, -12, true, false},
        {"a hint seen lately", 0, -2, true, true},
        {"a hint that ended long ago", -12, -12, true, false},
    };
    char dir[64], expected[256] = "";
    struct store *store;
    begin(dir, &store);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct store_owner owner = pod(i + 1);
        owner.hint = ROWS[i].hint;
        owner.from_us = NOW_US - 20 * US_PER_DAY;
        owner.to_us = ROWS[i].to_days == 0 ? INT64_MAX : NOW_US + ROWS[i].to_days * US_PER_DAY;
        owner.seen_us = NOW_US + ROWS[i].seen_days * US_PER_DAY;
        put(store, &owner);
        if (ROWS[i].stays) {
            sprintf(expected + strlen(expected), "%d@%d ", (int)i + 1, (int)i + 1);
        }
    }
    /* Written long ago, as what ended long ago is. */
    commit(store, NOW_US - 11 * US_PER_DAY);
    store_retain(store, NOW_US, 8 * US_PER_DAY);
    commit(store, NOW_US);
    assert_ids(store, 0, expected);
    /* The id of what is gone can come again. */
    struct store_owner again = pod(1);
    put(store, &again);
    commit(store, NOW_US);
    assert_ids(store, 6, "1@7 ");
    end(dir, &store);
}

static void test_what_cannot_be_kept_is_refused(void **state)
{
    (void)state;
    char dir[64], longest[STORE_OWNER_LABELS_MAX + 2];
    struct store *store;
    begin(dir, &store);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    struct store_owner owner = pod(1);
    owner.labels = longest + 1;
    put(store, &owner);
    owner.labels = longest;
    assert_int_equal(store_owner(store, &owner), W_ESYNTAX);
    owner = pod(2);
    owner.name = longest + sizeof(longest) - 1 - STORE_OWNER_TEXT_MAX;
    put(store, &owner);
    owner.name--;
    assert_int_equal(store_owner(store, &owner), W_ESYNTAX);
    owner = pod(3);
    owner.cluster = longest + sizeof(longest) - 2 - STORE_CLUSTER_MAX;
    assert_int_equal(store_owner(store, &owner), W_ESYNTAX);
    owner = pod(4);
    owner.address_count = STORE_OWNER_ADDRS_MAX + 1;
    assert_int_equal(store_owner(store, &owner), W_ESYNTAX);
    owner.address_count = 0;
    assert_int_equal(store_owner(store, &owner), W_ESYNTAX);
    commit(store, NOW_US);
    assert_ids(store, 0, "1@1 2@2 ");
    end(dir, &store);
}

static void test_what_waits_is_bounded_and_asks_for_a_commit(void **state)
{
    (void)state;
    char dir[64], labels[STORE_OWNER_LABELS_MAX + 1];
    struct store *store;
    begin(dir, &store);
    memset(labels, 'x', sizeof(labels) - 1);
    labels[sizeof(labels) - 1] = '\0';
    int err = 0;
    uint64_t id = 0;
    bool was_full = false;
    while (err == 0 && id < 100000) {
        struct store_owner owner = pod(++id);
        owner.labels = labels;
        err = store_owner(store, &owner);
        was_full |= store_full(store) && err == 0;
    }
    assert_int_equal(err, W_ELIMIT);
    assert_in_range(id, 6000, 8000);
    assert_true(was_full);
    commit(store, NOW_US);
    assert_false(store_full(store));
    struct store_owner owner = pod(id);
    put(store, &owner);
    end(dir, &store);
}

static bool stop(void *ctx, const struct store_owner *owner)
{
    (void)owner;
    ++*(int *)ctx;
    return false;
}

static void test_a_visit_can_be_stopped(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct store_view *view;
    int visited = 0;
    begin(dir, &store);
    for (uint64_t id = 1; id <= 3; id++) {
        struct store_owner owner = pod(id);
        put(store, &owner);
    }
    commit(store, NOW_US);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(store_owners(view, 1, stop, &visited), 1);
    assert_int_equal(visited, 1);
    store_view_free(&view);
    end(dir, &store);
}

/* ---- The tables themselves ---- */

struct tables {
    char dir[64];
    char path[96];
    MDB_env *env;
    struct owner_tables of;
};

static void open_tables(struct tables *tables, size_t rows_max, size_t bytes_max)
{
    MDB_txn *txn;
    fixture_dir(tables->dir);
    snprintf(tables->path, sizeof(tables->path), "%s/state.mdb", tables->dir);
    assert_int_equal(env_open(&tables->env, tables->path, true, 1 << 26, 3, NULL), 0);
    assert_int_equal(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    mdb_dbi_open(txn, "head", MDB_CREATE, &tables->of.head);
    mdb_dbi_open(txn, "owners", MDB_CREATE | MDB_INTEGERKEY, &tables->of.rows);
    mdb_dbi_open(txn, "owner_ids", MDB_CREATE | MDB_INTEGERKEY, &tables->of.ids);
    assert_int_equal(mdb_txn_commit(txn), 0);
    tables->of.rows_max = rows_max;
    tables->of.bytes_max = bytes_max;
}

static void close_tables(struct tables *tables)
{
    mdb_env_close(tables->env);
    fixture_remove(tables->dir);
}

static void put_all(struct tables *tables, const struct buf *waiting)
{
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    assert_int_equal(owner_rows_put(txn, &tables->of, waiting, NOW_US), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static void count(struct tables *tables, size_t *rows, size_t *ids)
{
    MDB_txn *txn;
    MDB_stat stat;
    assert_int_equal(mdb_txn_begin(tables->env, NULL, MDB_RDONLY, &txn), 0);
    mdb_stat(txn, tables->of.rows, &stat);
    *rows = stat.ms_entries;
    mdb_stat(txn, tables->of.ids, &stat);
    *ids = stat.ms_entries;
    mdb_txn_abort(txn);
}

static bool all_open_or_late(void *ctx, const struct store_owner *owner)
{
    size_t *open = ctx;
    assert_true(owner->to_us == INT64_MAX || owner->id > 100);
    *open += owner->to_us == INT64_MAX;
    return true;
}

static void test_beyond_the_limit_those_that_changed_longest_ago_go_unless_they_last(void **state)
{
    (void)state;
    struct tables tables;
    struct buf waiting = {0};
    size_t rows, ids, open = 0;
    open_tables(&tables, 640, SIZE_MAX);
    for (uint64_t id = 1; id <= 741; id++) {
        struct store_owner owner = pod(id);
        owner.to_us = id % 10 == 0 ? INT64_MAX : NOW_US;
        assert_int_equal(owner_rows_add(&waiting, &owner), 0);
    }
    put_all(&tables, &waiting);
    count(&tables, &rows, &ids);
    assert_int_equal(rows, 630); /* 63 in 64 */
    assert_int_equal(ids, 630);
    MDB_txn *txn;
    assert_int_equal(mdb_txn_begin(tables.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(owner_rows_visit(txn, tables.of.rows, 0, all_open_or_late, &open), 0);
    assert_int_equal(open, 74);
    mdb_txn_abort(txn);
    buf_fini(&waiting);
    close_tables(&tables);
}

static void test_their_octets_are_bounded_too(void **state)
{
    (void)state;
    struct tables tables;
    struct buf waiting = {0};
    size_t rows, ids;
    open_tables(&tables, SIZE_MAX, 1 << 20);
    for (uint64_t id = 1; id <= 20000; id++) {
        struct store_owner owner = pod(id);
        owner.to_us = NOW_US;
        assert_int_equal(owner_rows_add(&waiting, &owner), 0);
    }
    put_all(&tables, &waiting);
    count(&tables, &rows, &ids);
    assert_in_range(rows, 5000, 10000);
    assert_int_equal(rows, ids);
    buf_fini(&waiting);
    close_tables(&tables);
}

static void test_rows_that_are_none_are_an_error_to_readers_and_stay(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint8_t octet;
        size_t cut;
        int expected;
    } FAULTS[] = {
        {"of a later program", 0, 2, 0, W_EVERSION},
        {"too many addresses", 3, 9, 0, W_EDAMAGED},
        {"shorter than it says", 4, 250, 0, W_EDAMAGED},
        {"cut in its head", 0, 1, 80, W_EDAMAGED},
        {"without the end of its last text", 0, 1, 1, W_EDAMAGED},
    };
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
        struct tables tables;
        struct buf waiting = {0};
        struct store_owner owner = pod(1);
        uint64_t sequence = 1;
        int visited = 0;
        MDB_txn *txn;
        open_tables(&tables, SIZE_MAX, SIZE_MAX);
        assert_int_equal(owner_rows_add(&waiting, &owner), 0);
        waiting.data[FAULTS[i].at] = (char)FAULTS[i].octet;
        MDB_val key = val(&sequence, sizeof(sequence));
        MDB_val value = val(waiting.data, waiting.len - FAULTS[i].cut);
        assert_int_equal(mdb_txn_begin(tables.env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_put(txn, tables.of.rows, &key, &value, 0), 0);
        assert_int_equal(owner_rows_forget(txn, &tables.of, INT64_MAX), 0);
        int err = owner_rows_visit(txn, tables.of.rows, 0, stop, &visited);
        if (err != FAULTS[i].expected || visited != 0) {
            fail_msg("%s: %d", FAULTS[i].name, err);
        }
        mdb_txn_abort(txn);
        buf_fini(&waiting);
        close_tables(&tables);
    }
}

static void test_an_index_of_before_there_were_owners_is_read_without(void **state)
{
    (void)state;
    char dir[64], path[96];
    struct store *store;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi db;
    begin(dir, &store);
    commit(store, NOW_US);
    store_close(&store);
    snprintf(path, sizeof(path), "%s/state.mdb", dir);
    assert_int_equal(env_open(&env, path, true, 1 << 26, 8, NULL), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "owners", MDB_INTEGERKEY, &db), 0);
    assert_int_equal(mdb_drop(txn, db, 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    store = fixture_open(dir, STORE_READ);
    assert_ids(store, 0, "");
    end(dir, &store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_interval_is_kept_whole_and_read_by_another_process),
        cmocka_unit_test(test_a_change_replaces_and_is_all_that_is_read_again),
        cmocka_unit_test(test_what_ended_before_the_retention_goes),
        cmocka_unit_test(test_what_cannot_be_kept_is_refused),
        cmocka_unit_test(test_what_waits_is_bounded_and_asks_for_a_commit),
        cmocka_unit_test(test_a_visit_can_be_stopped),
        cmocka_unit_test(test_beyond_the_limit_those_that_changed_longest_ago_go_unless_they_last),
        cmocka_unit_test(test_their_octets_are_bounded_too),
        cmocka_unit_test(test_rows_that_are_none_are_an_error_to_readers_and_stay),
        cmocka_unit_test(test_an_index_of_before_there_were_owners_is_read_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
