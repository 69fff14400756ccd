/* tests/unit/store/test_cover.c -- who was watching when, from streams and losses
 * SPDX-License-Identifier: Apache-2.0
 *
 * Times are in seconds after T unless they say otherwise; each case is an index of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define T (INT64_C(20500) * US_PER_DAY)
#define S US_PER_S

enum { CUT = STREAM_CUT, STOP = STREAM_STOPPED, OPEN = STREAM_OPEN };

struct listened_to {
    const char *identity; /* NULL: no more; "prod/dns-1" is of another cluster */
    int64_t from_s;
    int64_t heard_s;
    int end;
    bool capture;
};

struct asked_span {
    int64_t from_us;
    int64_t to_us;
    enum store_cover cover;
};

/* clang-format off */
static const struct cover_case {
    const char *name;
    struct listened_to streams[5];
    struct { int64_t from_s, to_s; } loss;
    uint32_t expected;
    struct { int64_t from_s; uint32_t senders; } known[3]; /* to the first of 0, 0 */
    int64_t now_s;    /* also when the writer was last alive, unless alive_s is set */
    int64_t alive_s;
    struct asked_span spans[8]; /* to the first of 0, 0 */
    const char *blinds;         /* over -10,000 to now: "FROM-TO SENDER REASON; " */
} CASES[] = {
    {.name = "no stream ever", .now_s = 1000,
     .spans = {{0, 100 * S, COVER_ASSUMED}}, .blinds = ""},
    {.name = "a stream of another cluster only", .now_s = 1000,
     .streams = {{"prod/dns-1", 0, 900, OPEN, false}},
     .spans = {{0, 100 * S, COVER_ASSUMED}}, .blinds = ""},
    {.name = "before, in and after one that is stopped", .now_s = 5000,
     .streams = {{"dns-1", 100, 900, STOP, false}},
     .spans = {{100 * S, 900 * S, COVER_WHOLE}, {100 * S - 1, 900 * S, COVER_GAP}, {100 * S, 900 * S + 1, COVER_GAP},
               {0, 50 * S, COVER_GAP}, {1000 * S, 1001 * S, COVER_GAP}},
     .blinds = "-10000-100  no-sender; 900-5000+  no-sender; "},
    {.name = "cut and heard again", .now_s = 5000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 950, 5000, OPEN, false}},
     .spans = {{100 * S, 900 * S - 1, COVER_WHOLE}, {100 * S, 900 * S, COVER_GAP}, {899 * S, 951 * S, COVER_GAP},
               {950 * S, 4000 * S, COVER_GAP}, {950 * S + 1, 4000 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 900-950  no-sender; 900-950 dns-1 cut; "},
    {.name = "cut and never heard, another sender goes on: blind for an hour", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-2", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 900 * S - 1, COVER_WHOLE}, {1000 * S, 1100 * S, COVER_GAP}, {4500 * S, 4600 * S, COVER_GAP},
               {4500 * S + 1, 4600 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 900-4500 dns-1 cut; "},
    {.name = "stopped, another goes on: no longer expected", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, STOP, false}, {"dns-2", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 8000 * S, COVER_WHOLE}}, .blinds = "-10000-100  no-sender; "},
    {.name = "a second connection of the sender does not stand for the first", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 899 * S, COVER_WHOLE}, {1000 * S, 1100 * S, COVER_GAP}, {4500 * S + 1, 4600 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 900-4500 dns-1 cut; "},
    {.name = "two connections, one comes back", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 100, 9000, OPEN, false}, {"dns-1", 1000, 9000, OPEN, false}},
     .spans = {{899 * S, 901 * S, COVER_GAP}, {1001 * S, 8000 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 900-1000 dns-1 cut; "},
    {.name = "two connections cut at once must both come back", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 100, 900, CUT, false}, {"dns-1", 1000, 9000, OPEN, false}},
     .spans = {{2000 * S, 2001 * S, COVER_GAP}, {4501 * S, 4600 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 900-1000  no-sender; 900-1000 dns-1 cut; 900-4500 dns-1 cut; "},
    {.name = "what is sent again overlaps", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 895, 9000, OPEN, false}},
     .spans = {{100 * S, 8000 * S, COVER_WHOLE}}, .blinds = "-10000-100  no-sender; "},
    {.name = "two clusters do not mix", .now_s = 9000,
     .streams = {{"prod/dns-1", 100, 900, CUT, false}, {"dns-1", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 8000 * S, COVER_WHOLE}}, .blinds = "-10000-100  no-sender; "},
    {.name = "two are expected", .now_s = 9000, .expected = 2,
     .streams = {{"dns-1", 100, 9000, OPEN, false}, {"dns-2", 500, 3000, STOP, false}},
     .spans = {{500 * S, 3000 * S, COVER_WHOLE}, {499 * S, 3000 * S, COVER_GAP}, {500 * S, 3000 * S + 1, COVER_GAP}},
     .blinds = "-10000-500  too-few-senders; 3000-9000+  too-few-senders; "},
    {.name = "two are expected: two connections are one sender", .now_s = 9000, .expected = 2,
     .streams = {{"dns-1", 100, 9000, OPEN, false}, {"dns-1", 100, 9000, OPEN, false}},
     .spans = {{500 * S, 3000 * S, COVER_GAP}}, .blinds = "-10000-9000+  too-few-senders; "},
    {.name = "two are expected: without an identity each connection is one", .now_s = 9000, .expected = 2,
     .streams = {{"", 100, 9000, OPEN, false}, {"", 100, 9000, OPEN, false}},
     .spans = {{500 * S, 3000 * S, COVER_WHOLE}}, .blinds = "-10000-100  too-few-senders; "},
    {.name = "two are expected: one is cut, and another takes its place", .now_s = 9000, .expected = 2,
     .streams = {{"dns-1", 100, 9000, OPEN, false}, {"dns-2", 100, 900, CUT, false}, {"dns-3", 950, 9000, OPEN, false}},
     .spans = {{100 * S, 900 * S, COVER_WHOLE}, {100 * S, 901 * S, COVER_GAP}, {949 * S, 960 * S, COVER_GAP},
               {950 * S, 8000 * S, COVER_WHOLE}},
     .blinds = "-10000-100  too-few-senders; 900-950  too-few-senders; "},
    {.name = "one is known to be expected: a restart under another name", .now_s = 9000, .known = {{0, 1}},
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-2", 905, 9000, OPEN, false}},
     .spans = {{905 * S, 8000 * S, COVER_WHOLE}, {899 * S, 906 * S, COVER_GAP}},
     .blinds = "-10000-100  no-sender; 900-905  no-sender; "},
    {.name = "one is known to be expected, and one of its two connections is cut", .now_s = 9000, .known = {{0, 1}},
     .streams = {{"dns-1", 100, 900, CUT, false}, {"dns-1", 100, 9000, OPEN, false}},
     .spans = {{1000 * S, 1100 * S, COVER_GAP}},
     .blinds = "-10000-100  no-sender; 900-4500 dns-1 cut; "},
    {.name = "a third is expected from some time on", .now_s = 9000, .known = {{50, 2}, {2000, 3}},
     .streams = {{"dns-1", 100, 9000, OPEN, false}, {"dns-2", 100, 9000, OPEN, false}, {"dns-3", 2010, 9000, OPEN, false}},
     .spans = {{100 * S, 2000 * S, COVER_WHOLE}, {100 * S, 2001 * S, COVER_GAP}, {2010 * S, 8000 * S, COVER_WHOLE}},
     .blinds = "-10000-50  no-sender; 50-100  too-few-senders; 2000-2010  too-few-senders; "},
    {.name = "the number is not known any more", .now_s = 9000, .known = {{50, 2}, {2000, 0}},
     .streams = {{"dns-1", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 200 * S, COVER_GAP}, {2000 * S, 8000 * S, COVER_WHOLE}},
     .blinds = "-10000-50  no-sender; 50-2000  too-few-senders; "},
    {.name = "a capture covers its first to its last frame and is not expected afterwards", .now_s = 9000,
     .streams = {{"dns-1", 100, 900, CUT, true}},
     .spans = {{100 * S, 900 * S, COVER_WHOLE}, {100 * S, 900 * S + 1, COVER_GAP}},
     .blinds = "-10000-100  no-sender; 900-9000+  no-sender; "},
    {.name = "two captures with a hole", .now_s = 9000,
     .streams = {{"dns-1", 100, 200, STOP, true}, {"dns-1", 200, 300, STOP, true}, {"dns-1", 301, 400, STOP, true}},
     .spans = {{100 * S, 300 * S, COVER_WHOLE}, {100 * S, 400 * S, COVER_GAP}, {301 * S, 400 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 300-301  no-sender; 400-9000+  no-sender; "},
    {.name = "a loss, inclusive at both ends", .now_s = 9000, .loss = {500, 600},
     .streams = {{"dns-1", 100, 9000, OPEN, false}},
     .spans = {{100 * S, 500 * S - 1, COVER_WHOLE}, {100 * S, 500 * S, COVER_GAP}, {600 * S, 700 * S, COVER_GAP}, {600 * S + 1, 700 * S, COVER_WHOLE}},
     .blinds = "-10000-100  no-sender; 500-600  refused-time; "},
    {.name = "connected, not heard that far yet", .now_s = 1000,
     .streams = {{"dns-1", 100, 990, OPEN, false}},
     .spans = {{100 * S, 990 * S, COVER_WHOLE}, {100 * S, 990 * S + 1, COVER_UNSETTLED}, {50 * S, 995 * S, COVER_GAP}},
     .blinds = "-10000-100  no-sender; "},
    {.name = "one of two is not heard that far yet", .now_s = 1000,
     .streams = {{"dns-1", 100, 990, OPEN, false}, {"dns-2", 100, 950, OPEN, false}},
     .spans = {{100 * S, 950 * S, COVER_WHOLE}, {100 * S, 960 * S, COVER_UNSETTLED}},
     .blinds = NULL},
    {.name = "connected and quiet: heard up to settle before now", .now_s = 1000,
     .streams = {{"dns-1", 100, 200, OPEN, false}},
     .spans = {{100 * S, 940 * S, COVER_WHOLE}, {100 * S, 940 * S + 1, COVER_UNSETTLED}},
     .blinds = "-10000-100  no-sender; "},
    {.name = "the writer died and is not back: a gap, however long one waits", .now_s = 5000, .alive_s = 1000,
     .streams = {{"dns-1", 100, 990, OPEN, false}},
     .spans = {{100 * S, 990 * S, COVER_WHOLE}, {100 * S, 1500 * S, COVER_GAP}, {2000 * S, 2001 * S, COVER_GAP}},
     .blinds = "-10000-100  no-sender; 1000-5000+  no-sender; "},
};
/* clang-format on */

static bool print_blind(void *ctx, const struct store_blind *blind)
{
    char *text = ctx;
    sprintf(text + strlen(text), "%lld-%lld%s %s %s; ", (long long)((blind->from_us - T) / S),
            (long long)((blind->to_us - T) / S), blind->open ? "+" : "", blind->sender,
            blind->reason);
    return true;
}

static void begin_streams(struct store *store, const struct cover_case *c)
{
    uint16_t here = store_cluster(store, "default");
    uint16_t there = store_cluster(store, "prod");
    for (int i = 0; i < 5 && c->streams[i].identity != NULL; i++) {
        const struct listened_to *s = &c->streams[i];
        bool other = strncmp(s->identity, "prod/", 5) == 0;
        const char *identity = s->identity + (other ? 5 : 0);
        uint32_t number =
            store_stream_begin(store, s->capture ? STREAM_CAPTURE : STREAM_LIVE,
                               other ? there : here, (const uint8_t *)identity, strlen(identity),
                               NULL, 0, "tcp:192.0.2.9:1", T + s->from_s * S);
        assert_true(number > 0);
        store_stream_heard(store, number, T + s->heard_s * S);
        if (s->end != OPEN) {
            store_stream_end(store, number, (enum store_stream_end)s->end);
        }
    }
    if (c->loss.to_s != 0) {
        store_loss(store, here, T + c->loss.from_s * S, T + c->loss.to_s * S, 7, "refused-time");
    }
    store_expect(store, c->expected);
    for (int i = 0; i < 3 && (c->known[i].from_s != 0 || c->known[i].senders != 0); i++) {
        store_expect_from(store, "default", T + c->known[i].from_s * S, c->known[i].senders);
    }
}

static bool run_case(const struct cover_case *c)
{
    char dir[64];
    char blinds[4000] = "";
    struct store_view *view;
    bool good = true;
    int64_t now_us = T + c->now_s * S;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    begin_streams(store, c);
    assert_int_equal(store_commit(store, c->alive_s != 0 ? T + c->alive_s * S : now_us, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    for (int i = 0; i < 8 && c->spans[i].to_us != 0; i++) {
        const struct asked_span *span = &c->spans[i];
        enum store_cover cover =
            store_cover(view, "default", T + span->from_us, T + span->to_us, now_us, 60 * S);
        if (cover != span->cover) {
            print_error("%s: span %d is %d, expected %d\n", c->name, i, cover, span->cover);
            good = false;
        }
    }
    assert_int_equal(
        store_blinds(view, "default", T - 10000 * S, now_us, now_us, print_blind, blinds), 0);
    if (c->blinds != NULL && strcmp(blinds, c->blinds) != 0) {
        print_error("%s:\n got  %s\n want %s\n", c->name, blinds, c->blinds);
        good = false;
    }
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
    return good;
}

static void spans_are_whole_or_not_to_the_microsecond(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        wrong += !run_case(&CASES[i]);
    }
    assert_int_equal(wrong, 0);
}

static bool first_stream(void *ctx, const struct store_stream *stream)
{
    *(struct store_stream *)ctx = *stream;
    return false;
}

static void a_stream_is_committed_up_to_its_latest_frame_less_its_disorder(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t heard_ms[5]; /* to the first 0 */
        int64_t from_ms, committed_ms;
    } HEARD[] = {
        {"in order", {1000, 2000, 3000}, 500, 3000},
        {"a frame 400 ms late", {1000, 2000, 1600, 3000}, 500, 2600},
        {"the largest disorder counts", {5000, 4000, 4900, 9000}, 500, 8000},
        {"disorder beyond ten seconds is not waited for", {60000, 40000, 61000}, 500, 61000},
        {"a frame from before the stream began", {100, 2000}, 100, 1600},
        {"never before where it was", {1000, 900}, 500, 900},
    };
    for (size_t i = 0; i < sizeof(HEARD) / sizeof(HEARD[0]); i++) {
        char dir[64];
        struct store_view *view;
        struct store_stream stream;
        print_message("  %s\n", HEARD[i].name);
        fixture_dir(dir);
        struct store *store = fixture_open(dir, STORE_WRITE);
        uint32_t number = store_stream_begin(store, STREAM_LIVE, store_cluster(store, "default"),
                                             (const uint8_t *)"a\0b", 3, (const uint8_t *)"1.12", 4,
                                             "unix:/run/x", T + 500 * 1000);
        for (int j = 0; j < 5 && HEARD[i].heard_ms[j] != 0; j++) {
            store_stream_heard(store, number, T + HEARD[i].heard_ms[j] * 1000);
        }
        assert_int_equal(store_view_new(store, &view), 0);
        /* The first stream of an index is known at once, as committed to nothing it sent. */
        assert_int_equal(store_streams(view, first_stream, &stream), 1);
        assert_int_equal(stream.committed_us, T + 500 * 1000 - 1);
        assert_int_equal(store_commit(store, T, NULL), 0);
        assert_int_equal(store_view_refresh(view, NULL), 0);
        assert_int_equal(store_streams(view, first_stream, &stream), 1);
        assert_int_equal(stream.from_us, T + HEARD[i].from_ms * 1000);
        assert_int_equal(stream.committed_us, T + HEARD[i].committed_ms * 1000);
        assert_string_equal(stream.identity, "a?b");
        assert_string_equal(stream.version, "1.12");
        assert_string_equal(stream.peer, "unix:/run/x");
        store_view_free(&view);
        store_close(&store);
        fixture_remove(dir);
    }
}

static bool count_streams(void *ctx, const struct store_stream *stream)
{
    (void)stream;
    ++*(size_t *)ctx;
    return true;
}

static void streams_that_come_and_go_do_not_fill_the_table_between_two_retentions(void **state)
{
    (void)state;
    enum { ROUNDS = 8, EACH = 1000, KEPT_MAX = 2500 };
    char dir[64];
    struct store_view *view;
    size_t count = 0;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    uint16_t cluster = store_cluster(store, "default");
    for (int i = 0; i < ROUNDS * EACH; i++) {
        uint8_t identity[] = {'s', (uint8_t)('a' + i % 26), (uint8_t)('a' + i / 26 % 26)};
        uint32_t number = store_stream_begin(store, STREAM_LIVE, cluster, identity,
                                             sizeof(identity), NULL, 0, "unix:/run/x", T + i);
        store_stream_heard(store, number, T + i);
        store_stream_end(store, number, STREAM_CUT);
        if (i % EACH == EACH - 1) {
            assert_int_equal(store_commit(store, T + i, NULL), 0);
        }
    }
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(store_streams(view, count_streams, &count), 0);
    assert_in_range(count, 1, KEPT_MAX);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

static void the_user_may_say_what_a_capture_covers(void **state)
{
    (void)state;
    char dir[64];
    struct store_view *view;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    uint32_t number = store_stream_begin(store, STREAM_CAPTURE, store_cluster(store, "default"),
                                         NULL, 0, NULL, 0, "x.fstrm", T + 100 * S);
    store_stream_heard(store, number, T + 200 * S);
    store_stream_covers(store, number, T, T + 1000 * S);
    store_stream_end(store, number, STREAM_STOPPED);
    assert_int_equal(store_commit(store, T + 9000 * S, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    int64_t now_us = T + 9000 * S;
    assert_int_equal(store_cover(view, "default", T, T + 1000 * S, now_us, 60 * S), COVER_WHOLE);
    assert_int_equal(store_cover(view, "default", T, T + 1000 * S + 1, now_us, 60 * S), COVER_GAP);
    assert_int_equal(store_cover(view, "default", T - 1, T + 1000 * S, now_us, 60 * S), COVER_GAP);
    assert_true(store_settled(view, "default", T + 8999 * S, now_us, 60 * S));
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

/* What a flow log shows of DNS proves nothing about what it does not show. */
static void a_partial_stream_covers_nothing_and_opens_no_gap(void **state)
{
    (void)state;
    char dir[64];
    struct store_view *view;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    uint16_t cluster = store_cluster(store, "default");
    const uint8_t *identity = (const uint8_t *)"hubble:node-1";
    uint32_t number =
        store_stream_begin(store, STREAM_PARTIAL, cluster, identity, 13, NULL, 0, "x.json", T);
    store_stream_heard(store, number, T + 100 * S);
    assert_int_equal(store_commit(store, T + 1000 * S, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    int64_t now_us = T + 1000 * S;
    /* Neither whole nor "nothing speaks against it": nobody watched who would have seen all. */
    assert_int_equal(store_cover(view, "default", T, T + 50 * S, now_us, 60 * S), COVER_GAP);
    /* Nobody waits for it. */
    assert_true(store_settled(view, "default", now_us, now_us, 60 * S));
    store_stream_end(store, number, STREAM_CUT);
    uint32_t dnstap = store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)"dns-1", 5,
                                         NULL, 0, "unix:/run/x", T);
    store_stream_heard(store, dnstap, T + 1000 * S);
    assert_int_equal(store_commit(store, T + 1000 * S, NULL), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_cover(view, "default", T, T + 900 * S, now_us, 60 * S), COVER_WHOLE);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

/* ---- Days whose answers are gone ---- */

#define DAY US_PER_DAY

/* An index of three days, T to T + 3 d, watched throughout. */
static struct store *three_days(char dir[64])
{
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    uint32_t number = store_stream_begin(store, STREAM_LIVE, store_cluster(store, "default"),
                                         (const uint8_t *)"dns-1", 5, NULL, 0, "unix:x", T);
    for (int day = 0; day < 3; day++) {
        int64_t time_us = T + day * DAY + 100 * S;
        assert_int_equal(fixture_put(store, "default", "192.0.2.7", time_us, 60, "a.example", "",
                                     "198.51.100.9"),
                         0);
        store_stream_heard(store, number, time_us);
    }
    store_stream_heard(store, number, T + 3 * DAY - S);
    assert_int_equal(store_commit(store, T + 3 * DAY - S, NULL), 0);
    return store;
}

static enum store_cover cover_of_day(struct store *store, int day)
{
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    enum store_cover cover = store_cover(view, "default", T + day * DAY + 10 * S,
                                         T + day * DAY + 20 * S, T + 3 * DAY, 60 * S);
    store_view_free(&view);
    return cover;
}

static void blinds_of(struct store *store, char *text)
{
    struct store_view *view;
    text[0] = '\0';
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(
        store_blinds(view, "default", T + S, T + 3 * DAY - 2 * S, T + 3 * DAY, print_blind, text),
        0);
    store_view_free(&view);
}

/* The path of the window of a day; the fixture's serials begin at 1. */
static void window_path(const char *dir, int day, char *path, size_t room)
{
    char date[TIME_TEXT_MAX];
    time_print(T + day * DAY, date);
    snprintf(path, room, "%s/windows/%.4s%.2s%.2s-%08d.mdb", dir, date, date + 5, date + 8,
             day + 1);
}

static void a_day_that_was_dropped_is_blind(void **state)
{
    (void)state;
    char dir[64], blinds[400];
    struct store *store = three_days(dir);
    assert_int_equal(cover_of_day(store, 0), COVER_WHOLE);
    assert_int_equal(store_retain(store, T + 3 * DAY, 2 * DAY), 1);
    assert_int_equal(store_commit(store, T + 3 * DAY - S, NULL), 0);
    assert_int_equal(cover_of_day(store, 0), COVER_GAP);
    assert_int_equal(cover_of_day(store, 1), COVER_WHOLE);
    blinds_of(store, blinds);
    assert_string_equal(blinds, "0-86400  dropped; ");
    /* And stays so when the index is opened again. */
    store_close(&store);
    store = fixture_open(dir, STORE_READ);
    assert_int_equal(cover_of_day(store, 0), COVER_GAP);
    assert_int_equal(cover_of_day(store, 2), COVER_WHOLE);
    store_close(&store);
    fixture_remove(dir);
}

static void a_day_whose_file_is_gone_is_blind(void **state)
{
    (void)state;
    char dir[64], blinds[400], path[256];
    struct store *store = three_days(dir);
    store_close(&store);
    window_path(dir, 1, path, sizeof(path));
    assert_int_equal(unlink(path), 0);
    for (int writing = 0; writing < 2; writing++) {
        store = fixture_open(dir, writing ? STORE_WRITE : STORE_READ);
        assert_int_equal(cover_of_day(store, 0), COVER_WHOLE);
        assert_int_equal(cover_of_day(store, 1), COVER_GAP);
        blinds_of(store, blinds);
        assert_non_null(strstr(blinds, "86400-172800  missing; "));
        store_close(&store);
    }
    fixture_remove(dir);
}

static void an_empty_file_is_no_day_without_answers(void **state)
{
    (void)state;
    char dir[64], path[256];
    struct store *store = three_days(dir);
    struct why why = {""};
    store_close(&store);
    window_path(dir, 1, path, sizeof(path));
    assert_int_equal(truncate(path, 0), 0);
    store = fixture_open(dir, STORE_READ);
    assert_int_equal(cover_of_day(store, 1), COVER_GAP);
    store_close(&store);
    /* A writer would fill it anew. */
    assert_int_equal(store_open(&store, dir, STORE_WRITE, NULL, &why), W_EDAMAGED);
    assert_non_null(strstr(why.text, "it is empty"));
    assert_int_equal(unlink(path), 0);
    store = fixture_open(dir, STORE_WRITE);
    assert_int_equal(cover_of_day(store, 1), COVER_GAP);
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_whole_or_not_to_the_microsecond),
        cmocka_unit_test(a_stream_is_committed_up_to_its_latest_frame_less_its_disorder),
        cmocka_unit_test(streams_that_come_and_go_do_not_fill_the_table_between_two_retentions),
        cmocka_unit_test(the_user_may_say_what_a_capture_covers),
        cmocka_unit_test(a_partial_stream_covers_nothing_and_opens_no_gap),
        cmocka_unit_test(a_day_that_was_dropped_is_blind),
        cmocka_unit_test(a_day_whose_file_is_gone_is_blind),
        cmocka_unit_test(an_empty_file_is_no_day_without_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
