/* tests/unit/join/test_memo.c -- a memo says what the index says
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define T (INT64_C(1779444000) * US_PER_S) /* 2026-05-22T10:00:00Z */

static const char *const CLIENTS[] = {"10.0.0.1", "10.0.0.2", "2001:db8::1"};
static const char *const CHAINS[] = {"", "edge.example.net", "edge.example.net end.example.org"};
static const char *const ADDRS[] = {"192.0.2.1", "192.0.2.1 192.0.2.2", "192.0.2.2 2001:db8:1::1",
                                    "198.51.100.1 192.0.2.1"};
static const char *const NAMES[] = {"a.example.com", "b.example.com", "c.example.com"};

struct fixture {
    char dir[64];
    struct store *store;
    struct store_view *view;
};

/* Two days of answers, so that questions reach over the border of a window. */
static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    fixture_dir(fixture->dir);
    fixture->store = fixture_open(fixture->dir, STORE_WRITE);
    fixture_seed(7);
    for (int i = 0; i < 4000; i++) {
        int64_t time_us = T + (int64_t)(fixture_random() % (uint64_t)(2 * US_PER_DAY));
        assert_int_equal(fixture_put(fixture->store, "default", CLIENTS[fixture_below(3)], time_us,
                                     fixture_below(600), NAMES[fixture_below(3)],
                                     CHAINS[fixture_below(3)], ADDRS[fixture_below(4)]),
                         0);
    }
    assert_int_equal(store_commit(fixture->store, T, NULL), 0);
    assert_int_equal(store_view_new(fixture->store, &fixture->view), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_view_free(&fixture->view);
    store_close(&fixture->store);
    fixture_remove(fixture->dir);
    free(fixture);
    return 0;
}

/* Everything a sighting says, one line each; stops after `limit`. */
struct listing {
    struct buf text;
    uint32_t limit;
};

static bool list(void *ctx, const struct store_sighting *sighting)
{
    struct listing *listing = ctx;
    const struct answer *answer = sighting->answer;
    struct buf *out = &listing->text;
    char text[NAME_TEXT_MAX];
    buf_printf(out, "%s %lld %lld %lld %u %d %d:", sighting->cluster, (long long)sighting->first_us,
               (long long)sighting->last_us, (long long)sighting->expiry_us, sighting->count,
               sighting->approximate, answer->via);
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        buf_printf(out, " %lld", (long long)sighting->times[i]);
    }
    buf_add(out, &sighting->client, sizeof(sighting->client));
    buf_add(out, text, name_to_text(answer->asked, text));
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        buf_char(out, ' ');
        buf_add(out, text, name_to_text(answer->chain[i], text));
    }
    buf_add(out, answer->v4, answer->v4_count * 4u);
    buf_add(out, answer->v6, answer->v6_count * 16u);
    buf_char(out, '\n');
    return --listing->limit > 0;
}

/* Asks the index and the memo the same. */
static void ask_both(struct fixture *fixture, struct memo *memo)
{
    static const char *const ASKED[] = {"192.0.2.1", "192.0.2.2", "2001:db8:1::1", "203.0.113.1"};
    static const char *const TARGETS[] = {"edge.example.net", "end.example.org", "none.example"};
    struct addr client = fixture_addr(CLIENTS[fixture_below(3)]);
    struct addr address = fixture_addr(ASKED[fixture_below(4)]);
    const char *cluster = fixture_below(10) == 0 ? "other" : "default";
    const char *target = TARGETS[fixture_below(3)];
    struct name name;
    int64_t to_us = T + (int64_t)(fixture_random() % (uint64_t)(2 * US_PER_DAY));
    int64_t from_us = to_us - (int64_t)(fixture_random() % (uint64_t)US_PER_HOUR);
    uint32_t limit = fixture_below(4) == 0 ? 2 : UINT32_MAX;
    struct listing index = {.limit = limit}, kept = {.limit = limit};
    int by_index, by_memo;
    assert_int_equal(name_from_text(&name, target, strlen(target)), 0);
    if (fixture_below(2) == 0) {
        by_index = store_by_client_address(fixture->view, cluster, &client, &address, from_us,
                                           to_us, list, &index);
        by_memo =
            memo_by_client_address(memo, cluster, &client, &address, from_us, to_us, list, &kept);
    } else {
        by_index = store_by_client_target(fixture->view, cluster, &client, name.wire, from_us,
                                          to_us, list, &index);
        by_memo =
            memo_by_client_target(memo, cluster, &client, name.wire, from_us, to_us, list, &kept);
    }
    assert_int_equal(by_index, by_memo);
    assert_int_equal(index.text.len, kept.text.len);
    if (index.text.len > 0) {
        assert_memory_equal(index.text.data, kept.text.data, index.text.len);
    }
    buf_fini(&index.text);
    buf_fini(&kept.text);
}

static void a_memo_visits_what_the_index_visits(void **state)
{
    struct fixture *fixture = *state;
    /* Much room, and so little that it forgets all the time. */
    static const size_t ROOM[] = {64 * 1024 * 1024, 16 * 1024, 0};
    for (size_t i = 0; i < sizeof(ROOM) / sizeof(ROOM[0]); i++) {
        struct memo *memo;
        assert_int_equal(memo_new(&memo, fixture->view, ROOM[i]), 0);
        for (int question = 0; question < 5000; question++) {
            ask_both(fixture, memo);
        }
        memo_free(&memo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_memo_visits_what_the_index_visits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
