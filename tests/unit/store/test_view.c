/* tests/unit/store/test_view.c -- every question against a model, and what a view sees when
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define DAY0 (INT64_C(20500) * US_PER_DAY)
#define MS INT64_C(1000)
#define S US_PER_S

static struct model model;
static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    fixture_dir(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fixture_remove(dir);
    model_fini(&model);
    return 0;
}

static struct store_view *view_of(struct store *store)
{
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    return view;
}

static void commit(struct store *store, int64_t now_us)
{
    struct why why = {""};
    if (store_commit(store, now_us, &why) != 0) {
        fail_msg("commit: %s", why.text);
    }
}

/* ---- Random answers ---- */

enum { NAMES = 24, ADDRS = 14, CLIENTS = 9 };
static struct name names[NAMES];
static struct addr addrs[ADDRS];
static struct addr clients[CLIENTS];
static const char *const CLUSTERS[] = {"default", "prod-1"};

/* Names that are suffixes of each other, that begin alike, and the borders of what a name may be.
 */
static void make_names(void)
{
    static const char *const TEXTS[] = {
        ".",
        "com",
        "example.com",
        "www.example.com",
        "a.www.example.com",
        "xample.com",
        "example.org",
        "le.com",
        "www.example.com.a",
        "example.com.cluster.local",
        "a.b.c.d.e.f",
        "f",
        "e.f",
        "\\000.example.com",
        "\\007example.com",
        "\\003com",
        "xn--p1ai",
        "b.example.com",
        "w.w.w",
        "w.w",
    };
    size_t count = sizeof(TEXTS) / sizeof(TEXTS[0]);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(name_from_text(&names[i], TEXTS[i], strlen(TEXTS[i])), 0);
    }
    /* 127 labels of one octet, the longest name there is. */
    struct name *labels = &names[count];
    for (int i = 0; i < 127; i++) {
        labels->wire[2 * i] = 1;
        labels->wire[2 * i + 1] = 'z';
    }
    labels->wire[254] = 0;
    labels->len = 255;
    /* 255 octets in labels of 63, 63, 63 and 61. */
    struct name *longest = &names[count + 1];
    memset(longest->wire, 'q', sizeof(longest->wire));
    longest->wire[0] = longest->wire[64] = longest->wire[128] = 63;
    longest->wire[192] = 61;
    longest->wire[254] = 0;
    longest->len = 255;
    /* Its parent, and one with the same beginning in reverse. */
    assert_int_equal(name_from_text(&names[count + 2], "z", 1), 0);
    assert_int_equal(name_from_text(&names[count + 3], "zz", 2), 0);
    assert_int_equal(count + 4, NAMES);
}

static void make_world(void)
{
    char text[64];
    make_names();
    for (int i = 0; i < ADDRS; i++) {
        snprintf(text, sizeof(text), i % 3 == 0 ? "2001:db8::%d" : "192.0.2.%d", i);
        addrs[i] = fixture_addr(text);
    }
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(text, sizeof(text), i % 4 == 0 ? "2001:db8:1::%d" : "10.10.0.%d", i);
        clients[i] = fixture_addr(text);
    }
}

static size_t random_answer(uint8_t *bytes)
{
    uint8_t v4[ADDRS * 4], v6[ADDRS * 16];
    uint16_t v4_count = 0, v6_count = 0;
    const uint8_t *chain[ANSWER_CHAIN_MAX];
    uint8_t chain_count = (uint8_t)(fixture_below(2) == 0 ? 0 : fixture_below(4));
    for (uint8_t i = 0; i < chain_count; i++) {
        chain[i] = names[fixture_below(NAMES)].wire;
    }
    for (uint32_t i = 0, count = 1 + fixture_below(4); i < count; i++) {
        const struct addr *addr = &addrs[fixture_below(ADDRS)];
        if (addr_is_v4(addr)) {
            memcpy(v4 + 4 * v4_count++, addr->b + 12, 4);
        } else {
            memcpy(v6 + 16 * v6_count++, addr->b, 16);
        }
    }
    return answer_encode(fixture_below(8) == 0 ? ANSWER_VIA_SRV : ANSWER_VIA_CLIENT,
                         names[fixture_below(NAMES)].wire, chain, chain_count, v4, v4_count, v6,
                         v6_count, bytes, ANSWER_BYTES_MAX);
}

/* Times gather around two midnights; sets repeat, so that runs form. */
static void add_random(struct store *store)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct model_answer answer = {
        .cluster = CLUSTERS[fixture_below(2)],
        .client = clients[fixture_below(CLIENTS)],
        .ttl_s = fixture_below(300),
        .time_us = DAY0 + fixture_below(3 * 86400) * S + fixture_below(1000) * MS,
    };
    if (fixture_below(3) == 0) {
        answer.time_us = DAY0 + (1 + fixture_below(2)) * US_PER_DAY +
                         (int64_t)fixture_below(600000) * MS - 300 * S;
    }
    if (model.set_count < 40 || (fixture_below(50) == 0 && model.set_count < 400)) {
        answer.set = model_set(&model, bytes, random_answer(bytes));
    } else {
        answer.set = fixture_below(model.set_count);
    }
    model_add(&model, &answer);
    const struct model_set *set = &model.sets[answer.set];
    uint16_t cluster = store_cluster(store, answer.cluster);
    assert_int_equal(store_answer(store, cluster, &answer.client, answer.time_us, answer.ttl_s,
                                  set->bytes, set->len),
                     0);
}

static void random_span(int64_t *from_us, int64_t *to_us)
{
    switch (fixture_below(4)) {
    case 0: /* everything */
        *from_us = DAY0 - US_PER_DAY;
        *to_us = DAY0 + 4 * US_PER_DAY;
        break;
    case 1: /* exactly up to an answer */
        *to_us = model.answers[fixture_below((uint32_t)model.count)].time_us;
        *from_us = *to_us - (int64_t)fixture_below(7200) * S;
        break;
    case 2: /* exactly from an answer on */
        *from_us = model.answers[fixture_below((uint32_t)model.count)].time_us;
        *to_us = *from_us + (int64_t)fixture_below(7200) * S;
        break;
    default: /* up to or from midnight */
        *from_us = DAY0 + fixture_below(4) * US_PER_DAY;
        *to_us = *from_us + fixture_below(2) * (US_PER_DAY - 1);
        if (fixture_below(2) != 0) {
            *from_us -= fixture_below(2) + (int64_t)fixture_below(86400) * S;
        }
    }
}

static void check_random(struct store_view *view, uint64_t seed)
{
    char note[100];
    struct model_query query = {
        .question = (enum model_question)fixture_below(6),
        .cluster = fixture_below(20) == 0 ? "unknown" : CLUSTERS[fixture_below(2)],
        .client = clients[fixture_below(CLIENTS)],
        .address = addrs[fixture_below(ADDRS)],
        .name = names[fixture_below(NAMES)].wire,
    };
    random_span(&query.from_us, &query.to_us);
    snprintf(note, sizeof(note), "seed %llu, question %d", (unsigned long long)seed,
             (int)query.question);
    model_check(&model, view, &query, note);
    model_check_shared(&model, view, query.cluster, &query.address, query.from_us, query.to_us,
                       note);
    /* Who asked: to the minute. */
    struct store_client seen;
    assert_int_equal(
        store_client_seen(view, query.cluster, &query.client, query.from_us, query.to_us, &seen),
        0);
    bool asked = false;
    for (size_t i = 0; i < model.count; i++) {
        const struct model_answer *answer = &model.answers[i];
        asked |= strcmp(answer->cluster, query.cluster) == 0 &&
                 addr_equal(&answer->client, &query.client) &&
                 answer->time_us / US_PER_MIN >= query.from_us / US_PER_MIN &&
                 answer->time_us / US_PER_MIN <= query.to_us / US_PER_MIN;
    }
    if (seen.asked != asked || seen.capped) {
        fail_msg("%s: seen asking %d, model %d", note, seen.asked, asked);
    }
}

static void every_question_is_answered_as_by_a_list_of_all_answers(void **state)
{
    (void)state;
    make_world();
    for (uint64_t seed = 1; seed <= 6; seed++) {
        fixture_seed(seed);
        struct store *store = fixture_open(dir, STORE_WRITE);
        struct store_view *view = view_of(store);
        for (int round = 0; round < 12; round++) {
            for (uint32_t i = 0, count = 1 + fixture_below(500); i < count; i++) {
                add_random(store);
                if (fixture_below(200) == 0) {
                    commit(store, DAY0);
                }
            }
            commit(store, DAY0);
            if (fixture_below(3) == 0) {
                store_view_free(&view);
                store_close(&store);
                store = fixture_open(dir, STORE_WRITE);
                view = view_of(store);
            }
            assert_int_equal(store_view_refresh(view, NULL), 0);
            for (int i = 0; i < 60; i++) {
                check_random(view, seed);
            }
        }
        struct store_status status;
        assert_int_equal(store_status(view, &status), 0);
        assert_in_range(status.answers, 1, model.count);
        assert_int_equal(status.windows, 3);
        store_view_free(&view);
        store_close(&store);
        fixture_remove(dir);
        model_fini(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_question_is_answered_as_by_a_list_of_all_answers,
                                        make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
