/* tests/unit/collector/test_feed.c -- the frames of one connection on their way to the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a feed writes is read back as one line of text: "BEGIN(dns-1) ANSWER HEARD(5) END(stopped)".
 * Times are shown in microseconds since NOW.
 */
#include "collector/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/tap_build.h"

#define NOW INT64_C(1779444000000000)

/* An outlet that turns batches into text. */
struct sink {
    struct outlet outlet;
    struct buf text;
    size_t begun;
    size_t ended;
    bool refuses; /* has no batch to give */
    struct tally tally;
    struct tally other_tally;
};

static void show(struct sink *sink, const struct record *record)
{
    struct buf *text = &sink->text;
    const struct stream *stream = record->stream;
    if (text->len > 0) {
        buf_char(text, ' ');
    }
    switch (record->type) {
    case RECORD_BEGIN:
        sink->begun++;
        buf_printf(text, "BEGIN(%.*s@%" PRId64 ")", (int)stream->identity_len, stream->identity,
                   stream->from_us - NOW);
        break;
    case RECORD_ASKED:
        buf_str(text, "ASKED");
        break;
    case RECORD_ANSWER:
        buf_str(text, "ANSWER");
        break;
    case RECORD_HEARD:
        buf_printf(text, "HEARD(%.*s,%" PRId64 ",-%" PRId64 ")", (int)stream->identity_len,
                   stream->identity, record->time_us - NOW, record->late_us);
        break;
    case RECORD_COVERS:
        buf_printf(text, "COVERS(%" PRId64 ",%" PRId64 ")", record->time_us - NOW,
                   record->to_us - NOW);
        break;
    case RECORD_HINT:
        buf_printf(text, "HINT(.%d,%.*s,%" PRId64 ")", record->client.b[15],
                   (int)record->answer_len, (const char *)record_answer((struct record *)record),
                   record->time_us - NOW);
        break;
    case RECORD_LOST:
        buf_printf(text, "LOST(%" PRId64 ",%" PRId64 ",%" PRIu64 ")", record->time_us - NOW,
                   record->to_us - NOW, record->count);
        break;
    default:
        sink->ended++;
        buf_printf(text, "END(%.*s,%s)", (int)stream->identity_len, stream->identity,
                   record->end == STREAM_STOPPED ? "stopped" : "cut");
        free(record->stream);
    }
}

/* Tallies are added up by sender and not shown. */
static void take_tally(struct sink *sink, struct record *record)
{
    struct tally tally;
    bool first = record->stream->identity_len == 5; /* "dns-1" */
    assert_int_equal(record->answer_len, sizeof(tally));
    memcpy(&tally, record_answer(record), sizeof(tally));
    tally_add(first ? &sink->tally : &sink->other_tally, &tally);
}

static int flush_sink(struct outlet *outlet)
{
    struct sink *sink = outlet->ctx;
    struct record *record = NULL;
    while (outlet->batch != NULL && (record = batch_next(outlet->batch, record)) != NULL) {
        if (record->type == RECORD_TALLY) {
            take_tally(sink, record);
        } else {
            show(sink, record);
        }
    }
    free(outlet->batch);
    outlet->batch = sink->refuses ? NULL : batch_new();
    return outlet->batch == NULL ? -ENOMEM : 0;
}

static struct sink *sink_new(void)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    sink->outlet.flush = flush_sink;
    sink->outlet.ctx = sink;
    return sink;
}

/* Everything written so far must read like this. */
static void expect(struct sink *sink, const char *text)
{
    flush_sink(&sink->outlet);
    buf_char(&sink->text, '\0');
    assert_string_equal(sink->text.data, text);
    buf_reset(&sink->text);
}

static void sink_free(struct sink *sink)
{
    free(sink->outlet.batch);
    buf_fini(&sink->text);
    free(sink);
}

static struct feed feed_of(enum store_stream_kind kind)
{
    struct feed feed;
    feed_init(&feed, &(struct feed_options){.kind = kind,
                                            .cluster = "default",
                                            .peer = "tcp:192.0.2.1:4711",
                                            .fallback = "tcp:192.0.2.1"});
    return feed;
}

/* Feeds one response of that identity (NULL: none) and time. */
static int give(struct feed *feed, struct sink *sink, const char *identity, int64_t time_us,
                int64_t receipt_us)
{
    struct buf frame = {0};
    tap_build(&frame, &(struct tap){.identity = identity,
                                    .client = "192.0.2.9",
                                    .response_time_us = time_us,
                                    .lines = "QD example.com IN A\n"
                                             "AN example.com 60 IN A 198.51.100.1"});
    int result =
        feed_frame(feed, &sink->outlet, (const uint8_t *)frame.data, frame.len, receipt_us);
    buf_fini(&frame);
    return result;
}

static void a_stream_begins_with_the_first_frame_and_ends_with_stop(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    assert_int_equal(give(&feed, sink, "dns-1", NOW, NOW + 100), FACT_ANSWER);
    assert_int_equal(give(&feed, sink, "dns-1", NOW + 5, NOW + 100), FACT_ANSWER);
    assert_int_equal(feed_flush(&feed, &sink->outlet, NULL), 0);
    expect(sink, "BEGIN(dns-1@0) ANSWER ANSWER HEARD(dns-1,5,-0)");
    assert_int_equal(feed_flush(&feed, &sink->outlet, NULL), 0);
    expect(sink, "");
    assert_int_equal(feed_end(&feed, &sink->outlet, STREAM_STOPPED, 0, 0), 0);
    expect(sink, "END(dns-1,stopped)");
    feed_fini(&feed);
    sink_free(sink);
}

static void frames_out_of_order_say_how_late_they_came(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    give(&feed, sink, "dns-1", NOW + 50, NOW + 100);
    give(&feed, sink, "dns-1", NOW + 20, NOW + 100);
    give(&feed, sink, "dns-1", NOW + 60, NOW + 100);
    feed_flush(&feed, &sink->outlet, NULL);
    expect(sink, "BEGIN(dns-1@50) ANSWER ANSWER ANSWER HEARD(dns-1,60,-30)");
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void a_frame_from_the_future_begins_its_stream_at_its_receipt(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    give(&feed, sink, "dns-1", NOW + 500, NOW);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "BEGIN(dns-1@0) ANSWER END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void a_sender_whose_clock_is_ahead_is_heard_up_to_its_receipt(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    give(&feed, sink, "dns-1", NOW + 500 * US_PER_S, NOW);
    feed_flush(&feed, &sink->outlet, NULL);
    expect(sink, "BEGIN(dns-1@0) ANSWER HEARD(dns-1,0,-0)");
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void frames_that_cannot_be_used_are_a_loss_of_their_time(void **state)
{
    (void)state;
    static const struct {
        int64_t time_s; /* after NOW */
        bool full;
        int64_t from_s;
    } CASES[] = {
        {-700, true, -700},            /* refused: held back somewhere */
        {-8000, true, -3600},          /* its clock is wrong */
        {700, true, -60},              /* likewise */
        {-1, false, -1},               /* without the message */
        {-NOW / US_PER_S, false, -60}, /* without a time */
        {-NOW / US_PER_S, true, -60},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sink *sink = sink_new();
        struct feed feed = feed_of(STREAM_LIVE);
        struct buf frame = {0};
        char text[128];
        tap_build(&frame, &(struct tap){.identity = "dns-1",
                                        .client = "192.0.2.9",
                                        .response_time_us = NOW + CASES[i].time_s * US_PER_S,
                                        .lines = CASES[i].full ? "QD example.com IN A" : NULL});
        for (int twice = 0; twice < 2; twice++) {
            feed_frame(&feed, &sink->outlet, (const uint8_t *)frame.data, frame.len, NOW);
        }
        feed_flush(&feed, &sink->outlet, NULL);
        feed_flush(&feed, &sink->outlet, NULL);
        snprintf(text, sizeof(text), "BEGIN(dns-1@%" PRId64 ") LOST(%" PRId64 ",0,2)",
                 CASES[i].time_s == -1 ? -US_PER_S : 0, CASES[i].from_s * US_PER_S);
        expect(sink, text);
        feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
        expect(sink, "END(dns-1,cut)");
        buf_fini(&frame);
        feed_fini(&feed);
        sink_free(sink);
    }
}

static void a_refused_time_begins_a_stream_and_is_not_heard(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    assert_int_equal(give(&feed, sink, "dns-1", NOW - US_PER_HOUR, NOW), FACT_REFUSED_TIME);
    feed_flush(&feed, &sink->outlet, NULL);
    expect(sink, "BEGIN(dns-1@0) LOST(-3600000000,0,1)");
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void identities_of_one_connection_are_streams_of_their_own(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    give(&feed, sink, "dns-1", NOW, NOW);
    give(&feed, sink, "dns-2", NOW + 1, NOW + 1);
    give(&feed, sink, "dns-1", NOW + 2, NOW + 2);
    give(&feed, sink, NULL, NOW + 3, NOW + 3);
    feed_flush(&feed, &sink->outlet, NULL);
    expect(sink, "BEGIN(dns-1@0) ANSWER BEGIN(dns-2@1) ANSWER ANSWER BEGIN(tcp:192.0.2.1@3) ANSWER "
                 "HEARD(dns-1,2,-0) HEARD(dns-2,1,-0) HEARD(tcp:192.0.2.1,3,-0)");
    feed_end(&feed, &sink->outlet, STREAM_STOPPED, 0, 0);
    expect(sink, "END(tcp:192.0.2.1,stopped) END(dns-2,stopped) END(dns-1,stopped)");
    feed_fini(&feed);
    sink_free(sink);
}

static void more_identities_than_the_limit_share_the_last_stream(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    for (int i = 0; i < 3 * FEED_STREAMS_MAX; i++) {
        char identity[32];
        snprintf(identity, sizeof(identity), "dns-%d", i);
        assert_int_equal(give(&feed, sink, identity, NOW, NOW), FACT_ANSWER);
    }
    assert_int_equal(feed.stream_count, FEED_STREAMS_MAX);
    assert_int_equal(feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0), 0);
    flush_sink(&sink->outlet);
    assert_int_equal(sink->begun, FEED_STREAMS_MAX);
    assert_int_equal(sink->ended, FEED_STREAMS_MAX);
    feed_fini(&feed);
    sink_free(sink);
}

static void a_sender_is_of_the_cluster_its_identity_says(void **state)
{
    (void)state;
    static const struct {
        const char *identity, *cluster;
    } CASES[] = {{"dns-1", "one"}, {"dns-22", "default"}, {NULL, "by-address"}};
    struct cluster_rule rules[2];
    assert_true(cluster_rule_parse(&rules[0], "dns-?=one"));
    assert_true(cluster_rule_parse(&rules[1], "tcp:192.0.2.*=by-address"));
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sink *sink = sink_new();
        struct feed feed;
        feed_init(&feed, &(struct feed_options){.kind = STREAM_LIVE,
                                                .cluster = "default",
                                                .peer = "tcp:192.0.2.1:4711",
                                                .fallback = "tcp:192.0.2.1",
                                                .cluster_rules = rules,
                                                .cluster_rule_count = 2});
        assert_int_equal(give(&feed, sink, CASES[i].identity, NOW, NOW + 100), FACT_ANSWER);
        assert_int_equal(feed.stream_count, 1);
        assert_string_equal(feed.streams[0].stream->cluster, CASES[i].cluster);
        assert_int_equal(feed_end(&feed, &sink->outlet, STREAM_STOPPED, 0, 0), 0);
        flush_sink(&sink->outlet);
        feed_fini(&feed);
        sink_free(sink);
    }
}

static void a_silent_sender_is_greeted_and_makes_way_for_its_identity(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    assert_int_equal(feed_greet(&feed, &sink->outlet, NOW), 0);
    assert_int_equal(feed_greet(&feed, &sink->outlet, NOW + 1), 0);
    give(&feed, sink, "dns-1", NOW + 7, NOW + 7);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "BEGIN(tcp:192.0.2.1@0) END(tcp:192.0.2.1,stopped) BEGIN(dns-1@7) ANSWER "
                 "END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void a_greeted_sender_without_identity_keeps_its_stream(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    feed_greet(&feed, &sink->outlet, NOW);
    give(&feed, sink, NULL, NOW + 7, NOW + 7);
    give(&feed, sink, "dns-1", NOW + 8, NOW + 8);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "BEGIN(tcp:192.0.2.1@0) ANSWER BEGIN(dns-1@8) ANSWER END(dns-1,cut) "
                 "END(tcp:192.0.2.1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void a_capture_covers_what_was_heard_or_what_its_user_said(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_CAPTURE);
    give(&feed, sink, "dns-1", NOW + 50, 0);
    give(&feed, sink, "dns-1", NOW - US_PER_DAY, 0);
    feed_end(&feed, &sink->outlet, STREAM_STOPPED, 0, 0);
    expect(sink, "BEGIN(dns-1@50) ANSWER ANSWER COVERS(-86400000000,50) END(dns-1,stopped)");
    give(&feed, sink, "dns-1", NOW + 50, 0);
    feed_end(&feed, &sink->outlet, STREAM_STOPPED, NOW, NOW + 99);
    expect(sink, "BEGIN(dns-1@50) ANSWER COVERS(0,99) END(dns-1,stopped)");
    feed_fini(&feed);
    sink_free(sink);
}

static void every_frame_counts_once_in_the_sum(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    struct feed_counts sum = {0};
    uint64_t before = counter_get(COUNT_FRAME_ANSWER);
    give(&feed, sink, "dns-1", NOW, NOW);
    give(&feed, sink, "dns-1", NOW - US_PER_HOUR, NOW);
    assert_int_equal(feed_frame(&feed, &sink->outlet, (const uint8_t *)"?", 1, NOW), FACT_BAD);
    feed_flush(&feed, &sink->outlet, &sum);
    give(&feed, sink, "dns-1", NOW, NOW);
    feed_flush(&feed, &sink->outlet, &sum);
    assert_int_equal(sum.kinds[FACT_ANSWER], 2);
    assert_int_equal(sum.kinds[FACT_REFUSED_TIME], 1);
    assert_int_equal(sum.kinds[FACT_BAD], 1);
    assert_int_equal(sum.rcodes[FEED_NOERROR], 2);
    assert_int_equal(counter_get(COUNT_FRAME_ANSWER), before + 2);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    flush_sink(&sink->outlet);
    feed_fini(&feed);
    sink_free(sink);
}

/* One frame of the kind that `tap` describes. */
static void give_tap(struct feed *feed, struct sink *sink, const struct tap *tap,
                     int64_t receipt_us)
{
    struct buf frame = {0};
    tap_build(&frame, tap);
    feed_frame(feed, &sink->outlet, (const uint8_t *)frame.data, frame.len, receipt_us);
    buf_fini(&frame);
}

static void what_a_sender_sent_is_tallied(void **state)
{
    (void)state;
    static const struct {
        struct tap tap;
        int64_t delay_us;
        enum tally_frame frame;
    } CASES[] = {
        {{.type = 5, .identity = "dns-1"}, 0, TALLY_QUERY},
        {{.type = 7, .identity = "dns-1"}, 0, TALLY_FORWARDER},
        {{.type = 8, .identity = "dns-1"}, 0, TALLY_FORWARDER},
        {{.type = 4, .identity = "dns-1"}, 0, TALLY_OTHER},
        {{.identity = "dns-1", .client = "192.0.2.9", .response_time_us = NOW},
         0,
         TALLY_NO_MESSAGE},
        {{.identity = "dns-1",
          .client = "192.0.2.9",
          .response_time_us = NOW,
          .lines = "QD a.example IN A"},
         200000,
         TALLY_NO_ADDRESS},
        {{.identity = "dns-1",
          .response_time_us = NOW,
          .lines = "QD a.example IN A\nAN a.example 60 IN A 198.51.100.1"},
         0,
         TALLY_UNUSABLE},
        {{.identity = "dns-1",
          .client = "192.0.2.9",
          .response_time_us = NOW,
          .lines = "QD a.example.shop.svc IN A\nAN a.example.shop.svc 60 IN CNAME a.example\n"
                   "AN a.example 60 IN A 198.51.100.1"},
         12 * US_PER_S,
         TALLY_ANSWER},
        {{.identity = "dns-1",
          .client = "192.0.2.9",
          .response_time_us = NOW,
          .lines = "QD a.example IN A\nAN a.example 60 IN CNAME b.example\n"
                   "AN b.example 60 IN A 198.51.100.1"},
         -2 * US_PER_S,
         TALLY_ANSWER},
    };
    struct tally expected = {0};
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    feed_greet(&feed, &sink->outlet, NOW);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        give_tap(&feed, sink, &CASES[i].tap, NOW + CASES[i].delay_us);
        expected.frames[CASES[i].frame]++;
    }
    expected.delays[0] = 1; /* of the one ahead */
    expected.delays[1] = 1; /* up to 0.5 s */
    expected.delays[6] = 1; /* up to 30 s */
    expected.ahead = 1;
    expected.ahead_max_us = 2 * US_PER_S;
    expected.search_answers = 1;
    give(&feed, sink, "other", NOW, NOW);
    give(&feed, sink, "dns-2!", NOW, NOW);
    feed_flush(&feed, &sink->outlet, NULL);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    flush_sink(&sink->outlet);
    expected.frames[TALLY_ANSWER]++; /* of "other", whose name is as long */
    expected.delays[0]++;
    assert_memory_equal(&sink->tally, &expected, sizeof(expected));
    assert_int_equal(sink->other_tally.frames[TALLY_ANSWER], 1);
    feed_fini(&feed);
    sink_free(sink);
}

static void batches_follow_one_another_without_losing_a_record(void **state)
{
    (void)state;
    enum { FRAMES = 10000 };
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(give(&feed, sink, "dns-1", NOW + i, NOW + i), FACT_ANSWER);
    }
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    flush_sink(&sink->outlet);
    size_t answers = 0;
    buf_char(&sink->text, '\0');
    for (const char *at = sink->text.data; (at = strstr(at, "ANSWER")) != NULL; at++) {
        answers++;
    }
    assert_int_equal(answers, FRAMES);
    feed_fini(&feed);
    sink_free(sink);
}

static void without_a_batch_a_frame_is_refused_and_the_feed_goes_on_after(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    sink->refuses = true;
    assert_int_equal(give(&feed, sink, "dns-1", NOW, NOW), -ENOMEM);
    assert_int_equal(feed.stream_count, 0);
    assert_int_equal(feed_greet(&feed, &sink->outlet, NOW), -ENOMEM);
    sink->refuses = false;
    assert_int_equal(give(&feed, sink, "dns-1", NOW, NOW), FACT_ANSWER);
    feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
    expect(sink, "BEGIN(dns-1@0) ANSWER END(dns-1,cut)");
    feed_fini(&feed);
    sink_free(sink);
}

static void give_extra(struct feed *feed, struct sink *sink, const char *client, const char *extra,
                       const char *lines, int64_t time_us)
{
    struct buf frame = {0};
    tap_build(&frame, &(struct tap){.identity = "dns-1",
                                    .client = client,
                                    .extra = extra,
                                    .response_time_us = time_us,
                                    .lines = lines});
    feed_frame(feed, &sink->outlet, (const uint8_t *)frame.data, frame.len, NOW);
    buf_fini(&frame);
}

static void whose_address_it_is_is_passed_on_when_it_changes(void **state)
{
    (void)state;
    static const char ASKED[] = "QD example.com IN A";
    struct sink *sink = sink_new();
    struct feed feed = feed_of(STREAM_LIVE);
    give_extra(&feed, sink, "192.0.2.9", "shop/cart-1", ASKED, NOW);
    give_extra(&feed, sink, "192.0.2.9", "shop/cart-1", ASKED, NOW + 1);
    expect(sink, "BEGIN(dns-1@0) ASKED HINT(.9,shop/cart-1,0) ASKED");
    give_extra(&feed, sink, "192.0.2.8", "shop/cart-1",
               "QD example.com IN A\nAN example.com 60 IN A 198.51.100.1", NOW + 2);
    give_extra(&feed, sink, "192.0.2.9", "shop/cart-2", ASKED, NOW + 3);
    expect(sink, "ANSWER HINT(.8,shop/cart-1,2) ASKED HINT(.9,shop/cart-2,3)");
    /* What is no pod says nothing, nor does a message that is not kept. */
    give_extra(&feed, sink, "192.0.2.9", "-/-", ASKED, NOW + 4);
    give_extra(&feed, sink, "192.0.2.9", "", ASKED, NOW + 5);
    give_extra(&feed, sink, "192.0.2.9", "shop/cart-3", NULL, NOW + 6);
    feed_end(&feed, &sink->outlet, STREAM_STOPPED, 0, 0);
    expect(sink, "ASKED ASKED END(dns-1,stopped)");
    feed_fini(&feed);
    sink_free(sink);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct buf frame = {0};
    tap_build(&frame, &(struct tap){.identity = "dns-1",
                                    .client = "192.0.2.9",
                                    .response_time_us = NOW,
                                    .lines = "QD example.com IN A"});
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct sink *sink = sink_new();
        struct feed feed = feed_of(STREAM_LIVE);
        alloc_fail_at(n);
        int result = feed_frame(&feed, &sink->outlet, (const uint8_t *)frame.data, frame.len, NOW);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(result, failed > 0 ? -ENOMEM : (int)FACT_ASKED);
        feed_end(&feed, &sink->outlet, STREAM_CUT, 0, 0);
        flush_sink(&sink->outlet);
        assert_int_equal(sink->begun, sink->ended);
        feed_fini(&feed);
        sink_free(sink);
    }
    buf_fini(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_begins_with_the_first_frame_and_ends_with_stop),
        cmocka_unit_test(frames_out_of_order_say_how_late_they_came),
        cmocka_unit_test(a_frame_from_the_future_begins_its_stream_at_its_receipt),
        cmocka_unit_test(a_sender_whose_clock_is_ahead_is_heard_up_to_its_receipt),
        cmocka_unit_test(frames_that_cannot_be_used_are_a_loss_of_their_time),
        cmocka_unit_test(a_refused_time_begins_a_stream_and_is_not_heard),
        cmocka_unit_test(identities_of_one_connection_are_streams_of_their_own),
        cmocka_unit_test(more_identities_than_the_limit_share_the_last_stream),
        cmocka_unit_test(a_sender_is_of_the_cluster_its_identity_says),
        cmocka_unit_test(a_silent_sender_is_greeted_and_makes_way_for_its_identity),
        cmocka_unit_test(a_greeted_sender_without_identity_keeps_its_stream),
        cmocka_unit_test(a_capture_covers_what_was_heard_or_what_its_user_said),
        cmocka_unit_test(every_frame_counts_once_in_the_sum),
        cmocka_unit_test(what_a_sender_sent_is_tallied),
        cmocka_unit_test(batches_follow_one_another_without_losing_a_record),
        cmocka_unit_test(without_a_batch_a_frame_is_refused_and_the_feed_goes_on_after),
        cmocka_unit_test(whose_address_it_is_is_passed_on_when_it_changes),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
