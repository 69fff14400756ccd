/* tests/unit/collector/test_facts.c -- from one dnstap frame to what the index wants to know
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proto/answer.h"
#include "tests/support/tap_build.h"

/* 2026-05-22T10:00:00Z */
#define NOW INT64_C(1779444000000000)
#define QR 0x8000
#define TC 0x0200
#define NXDOMAIN 3

#define ANSWER_LINES "QD example.com IN A\nAN example.com 60 IN A 198.51.100.1"

struct fact_case {
    const char *name;
    struct tap tap;
    int64_t receipt_us;
    enum fact_kind kind;
    int64_t time_us; /* expected; 0: not looked at */
    uint16_t rcode;
    bool truncated;
};

/* clang-format off */
static const struct fact_case CASES[] = {
    {"a response with an address is an answer",
     {.client = "192.0.2.1", .response_time_us = NOW, .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW, 0, false},
    {"the response time goes before the query time",
     {.client = "192.0.2.1", .query_time_us = NOW - 5, .response_time_us = NOW,
      .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW, 0, false},
    {"without a response time the query time serves",
     {.client = "2001:db8::1", .query_time_us = NOW - 5, .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW - 5, 0, false},
    {"what authoritative servers call the client's answer is one",
     {.type = 2, .client = "192.0.2.1", .response_time_us = NOW, .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW, 0, false},
    {"NXDOMAIN shows that the client asked",
     {.client = "192.0.2.1", .response_time_us = NOW, .flags = QR | NXDOMAIN,
      .lines = "QD example.com IN A"},
     NOW, FACT_ASKED, NOW, NXDOMAIN, false},
    {"a response without an address shows that the client asked",
     {.client = "192.0.2.1", .response_time_us = NOW,
      .lines = "QD example.com IN AAAA"},
     NOW, FACT_ASKED, NOW, 0, false},
    {"a truncated response without an address shows that the client asked",
     {.client = "192.0.2.1", .response_time_us = NOW, .flags = QR | TC,
      .lines = "QD example.com IN A"},
     NOW, FACT_ASKED, NOW, 0, true},
    {"a truncated response with addresses is an answer",
     {.client = "192.0.2.1", .response_time_us = NOW, .flags = QR | TC, .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW, 0, true},
    {"a client query is skipped",
     {.type = 5, .client = "192.0.2.1", .query_time_us = NOW}, NOW, FACT_SKIPPED, 0, 0, false},
    {"a forwarder's response is skipped: its query address is not the client's",
     {.type = 8, .client = "192.0.2.1", .response_time_us = NOW, .lines = ANSWER_LINES},
     NOW, FACT_SKIPPED, 0, 0, false},
    {"a response without its message",
     {.client = "192.0.2.1", .response_time_us = NOW}, NOW, FACT_NO_MESSAGE, 0, 0, false},
    {"a response without a client",
     {.response_time_us = NOW, .lines = ANSWER_LINES}, NOW, FACT_NO_CLIENT, 0, 0, false},
    {"a response to 0.0.0.0",
     {.client = "0.0.0.0", .response_time_us = NOW, .lines = ANSWER_LINES},
     NOW, FACT_NO_CLIENT, 0, 0, false},
    {"a response to ::",
     {.client = "::", .response_time_us = NOW, .lines = ANSWER_LINES},
     NOW, FACT_NO_CLIENT, 0, 0, false},
    {"a response without a time",
     {.client = "192.0.2.1", .lines = ANSWER_LINES}, NOW, FACT_NO_TIME, 0, 0, false},
    {"a response that is malformed",
     {.client = "192.0.2.1", .response_time_us = NOW, .lines = ANSWER_LINES, .cut = true},
     NOW, FACT_BAD_DNS, NOW, 0, false},
    {"a query where the response should be",
     {.client = "192.0.2.1", .response_time_us = NOW, .flags = 0x0100,
      .lines = "QD example.com IN A"},
     NOW, FACT_BAD_DNS, NOW, 0, false},
    {"ten minutes before its receipt is near enough",
     {.client = "192.0.2.1", .response_time_us = NOW - FACT_AWAY_MAX_US, .lines = ANSWER_LINES},
     NOW, FACT_ANSWER, NOW - FACT_AWAY_MAX_US, 0, false},
    {"more than ten minutes before its receipt is refused",
     {.client = "192.0.2.1", .response_time_us = NOW - FACT_AWAY_MAX_US - 1,
      .lines = ANSWER_LINES},
     NOW, FACT_REFUSED_TIME, 0, 0, false},
    {"more than ten minutes after its receipt is refused",
     {.client = "192.0.2.1", .response_time_us = NOW + FACT_AWAY_MAX_US + 1,
      .lines = ANSWER_LINES},
     NOW, FACT_REFUSED_TIME, 0, 0, false},
    {"a capture may be of any time",
     {.client = "192.0.2.1", .response_time_us = NOW - 400 * US_PER_DAY, .lines = ANSWER_LINES},
     0, FACT_ANSWER, NOW - 400 * US_PER_DAY, 0, false},
};
/* clang-format on */

static uint8_t answer[ANSWER_BYTES_MAX];

static void every_frame_becomes_the_fact_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct fact_case *c = &CASES[i];
        struct buf frame = {0};
        struct fact fact;
        tap_build(&frame, &c->tap);
        enum fact_kind kind =
            fact_read((const uint8_t *)frame.data, frame.len, c->receipt_us, &fact, answer);
        if (kind != c->kind) {
            fail_msg("%s: %s", c->name, fact_name(kind));
        }
        if (c->time_us != 0) {
            assert_int_equal(fact.time_us, c->time_us);
        }
        if (kind == FACT_ANSWER || kind == FACT_ASKED) {
            assert_int_equal(fact.rcode, c->rcode);
            assert_int_equal(fact.truncated, c->truncated);
            assert_int_equal(fact.answer_len > 0, kind == FACT_ANSWER);
        }
        buf_fini(&frame);
    }
}

static void an_answer_carries_client_ttl_identity_and_canonical_bytes(void **state)
{
    (void)state;
    struct buf frame = {0};
    struct fact fact;
    struct answer read;
    char text[ADDR_TEXT_MAX];
    tap_build(&frame, &(struct tap){
                          .identity = "dns-1",
                          .version = "v1",
                          .client = "2001:db8::7",
                          .response_time_us = NOW,
                          .lines = "QD www.example.com IN A\n"
                                   "AN www.example.com 30 IN CNAME example.com\n"
                                   "AN example.com 60 IN A 198.51.100.1",
                      });
    assert_int_equal(fact_read((const uint8_t *)frame.data, frame.len, NOW, &fact, answer),
                     FACT_ANSWER);
    addr_print(&fact.client, text);
    assert_string_equal(text, "2001:db8::7");
    assert_int_equal(fact.ttl_s, 30);
    assert_int_equal(fact.identity.len, 5);
    assert_memory_equal(fact.identity.data, "dns-1", 5);
    assert_int_equal(fact.version.len, 2);
    assert_int_equal(answer_decode(&read, answer, fact.answer_len), 0);
    assert_int_equal(read.chain_count, 1);
    assert_int_equal(read.v4_count, 1);
    buf_fini(&frame);
}

static void a_frame_cut_at_any_octet_is_never_an_answer(void **state)
{
    (void)state;
    struct buf frame = {0};
    struct fact fact;
    tap_build(&frame, &CASES[0].tap);
    for (size_t len = 0; len < frame.len; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, frame.data, len);
        enum fact_kind kind = fact_read(copy, len, NOW, &fact, answer);
        /* The type field of the outer message comes last and may be missing. */
        assert_true(kind == FACT_BAD || kind == FACT_SKIPPED || kind == FACT_NO_MESSAGE ||
                    len + 2 >= frame.len);
        free(copy);
    }
    buf_fini(&frame);
}

static void every_kind_has_a_word_and_the_counter_of_that_label(void **state)
{
    (void)state;
    for (int kind = 0; kind < FACT_KINDS; kind++) {
        const struct counter_info *info = counter_info(fact_counter((enum fact_kind)kind));
        assert_string_equal(info->name, FRAMES_NAME);
        assert_non_null(strstr(info->labels, fact_name((enum fact_kind)kind)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_becomes_the_fact_it_is),
        cmocka_unit_test(an_answer_carries_client_ttl_identity_and_canonical_bytes),
        cmocka_unit_test(a_frame_cut_at_any_octet_is_never_an_answer),
        cmocka_unit_test(every_kind_has_a_word_and_the_counter_of_that_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
