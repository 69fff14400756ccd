/* tests/unit/join/test_loki.c -- the entries of a Loki response
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "join/format.h"

static const struct {
    const char *text;
    const char *entries; /* each followed by a line feed; "!..." is the error at the end */
    bool whole;
} DOCUMENTS[] = {
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":"
     "{\"job\":\"x\"},\"values\":[[\"1\",\"a\"],[\"2\",\"b\"]]},{\"stream\":{},\"values\":"
     "[[\"3\",\"c\",{\"m\":\"[]\"}]]}],\"stats\":{\"x\":[[1]]}}}",
     "{\"job\":\"x\"}[\"1\",\"a\"]\n{\"job\":\"x\"}[\"2\",\"b\"]\n"
     "{}[\"3\",\"c\",{\"m\":\"[]\"}]\n",
     true},
    /* Labels are those of the stream, if they stand before its entries. */
    {"{\"data\":{\"stream\":{\"not\":\"these\"},\"result\":[{\"stream\":"
     "{\"a\":\"}\\\"{\"},\"metric\":{\"stream\":{\"nor\":\"these\"}},\"values\":[[\"1\",\"a\"]]},{"
     "\"values\":[[\"2\",\"b\"]],\"stream\":{"
     "\"late\":"
     "\"x\"}},{\"stream\":[],\"values\":[[\"3\",\"c\"]]}]}}",
     "{\"a\":\"}\\\"{\"}[\"1\",\"a\"]\n[\"2\",\"b\"]\n[\"3\",\"c\"]\n", true},
    {"{\n \"status\": \"success\",\n \"data\": {\n \"result\": [ {\n \"values\": [ [ \"1\",\n "
     "\"a\" ] ], \"stream\": { \"values\": \"x\" } } ] } }\n",
     "[ \"1\",\n \"a\" ]\n", true},
    {"{\"streams\":[{\"stream\":{},\"values\":[[\"1\",\"a\"]]}],\"dropped_entries\":[]}",
     "{}[\"1\",\"a\"]\n", true},
    /* Several documents. */
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"a\"]]}]}}\n"
     "{\"data\":{\"result\":[{\"values\":[[\"2\",\"b\"]]}]}} ",
     "[\"1\",\"a\"]\n[\"2\",\"b\"]\n", true},
    /* Brackets, quotes and keys within strings. */
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"]}{[\\\"values\\\":[[\"],[\"2\",\"\\\\\"]]}]}}",
     "[\"1\",\"]}{[\\\"values\\\":[[\"]\n[\"2\",\"\\\\\"]\n", true},
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"\\\"]\"]]}]}}", "[\"1\",\"\\\"]\"]\n", true},
    /* Arrays elsewhere are no entries. */
    {"{\"data\":{\"values\":[[1]],\"result\":[{\"other\":[[1]],\"values\":{\"values\":[[1]]}}]}}",
     "", true},
    {"{\"data\":{\"resultx\":[{\"values\":[[1]]}],\"result_of_a_long_name\":[{\"values\":[[1]]}]}}",
     "", true},
    {"{\"data\":{\"result\":[]}}", "", true},
    {"", "", true},
    /* Cut, or nothing of the kind. */
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"a\"],[\"2\"", "[\"1\",\"a\"]\n", false},
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"a\"]]}]}", "[\"1\",\"a\"]\n", false},
    {"{\"data\":{\"result\":[{\"values\":[[\"1\",\"a\"}", "!not a Loki response", false},
    {"{\"data\":]", "!not a Loki response", false},
    {"[1]", "!not a Loki response", true},
    {"{} x", "!not a Loki response", true},
    {"\"x\"", "!not a Loki response", true},
};

/* Takes the text in pieces that end at `split` and then are of `step` octets. */
static void take(struct loki *loki, const char *text, size_t split, size_t step, struct buf *out)
{
    size_t len = strlen(text);
    size_t at = 0;
    enum loki_event event = LOKI_AGAIN;
    while (at < len && event != LOKI_ERROR) {
        size_t piece = at == 0 && split > 0 ? split : step;
        piece = piece < len - at ? piece : len - at;
        char *copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, text + at, piece);
        loki_push(loki, copy, piece);
        struct text entry;
        while ((event = loki_next(loki, &entry)) != LOKI_AGAIN && event != LOKI_ERROR) {
            assert_int_equal(event, LOKI_ENTRY);
            struct text labels = loki_labels(loki);
            buf_add(out, labels.data, labels.len);
            buf_add(out, entry.data, entry.len);
            buf_char(out, '\n');
        }
        free(copy);
        at += piece;
    }
    if (event == LOKI_ERROR) {
        buf_char(out, '!');
        buf_str(out, loki->what);
    }
    buf_char(out, '\0');
}

static void entries_come_out_whatever_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(DOCUMENTS) / sizeof(DOCUMENTS[0]); i++) {
        size_t len = strlen(DOCUMENTS[i].text);
        for (size_t split = 0; split <= len; split++) {
            struct loki loki;
            struct buf out = {0};
            loki_init(&loki);
            take(&loki, DOCUMENTS[i].text, split, split == 0 ? 1 : len, &out);
            assert_string_equal(out.data, DOCUMENTS[i].entries);
            assert_int_equal(loki_whole(&loki), DOCUMENTS[i].whole);
            loki_fini(&loki);
            buf_fini(&out);
        }
    }
}

static void an_entry_that_is_too_long_is_passed_over(void **state)
{
    static const char HEAD[] = "{\"data\":{\"result\":[{\"values\":[[\"1\",\"";
    static const char TAIL[] = "\"],[\"2\",\"b\"]]}]}}";
    struct buf text = {0};
    struct loki loki;
    struct text entry;
    (void)state;
    buf_str(&text, HEAD);
    for (int i = 0; i < RECORD_LEN_MAX; i++) {
        buf_char(&text, 'x');
    }
    buf_str(&text, TAIL);
    loki_init(&loki);
    loki_push(&loki, text.data, text.len);
    assert_int_equal(loki_next(&loki, &entry), LOKI_OVERSIZE);
    assert_int_equal(loki_next(&loki, &entry), LOKI_ENTRY);
    assert_int_equal(entry.len, strlen("[\"2\",\"b\"]"));
    assert_int_equal(loki_next(&loki, &entry), LOKI_AGAIN);
    assert_true(loki_whole(&loki));
    assert_true(loki.entry.cap <= 2 * RECORD_LEN_MAX);
    loki_fini(&loki);
    buf_fini(&text);
}

static void labels_that_are_too_long_are_done_without(void **state)
{
    struct buf text = {0};
    struct loki loki;
    struct text entry;
    (void)state;
    buf_str(&text, "{\"streams\":[{\"stream\":{\"x\":\"");
    for (int i = 0; i < LOKI_LABELS_MAX; i++) {
        buf_char(&text, 'x');
    }
    buf_str(
        &text,
        "\"},\"values\":[[\"1\",\"a\"]]},{\"stream\":{\"y\":\"\"},\"values\":[[\"2\",\"b\"]]}]}");
    loki_init(&loki);
    loki_push(&loki, text.data, text.len);
    assert_int_equal(loki_next(&loki, &entry), LOKI_ENTRY);
    assert_null(loki_labels(&loki).data);
    assert_int_equal(loki.stream, 1);
    assert_int_equal(loki_next(&loki, &entry), LOKI_ENTRY);
    assert_int_equal(loki_labels(&loki).len, strlen("{\"y\":\"\"}"));
    assert_int_equal(loki.stream, 2);
    assert_true(loki.labels.cap <= 2 * LOKI_LABELS_MAX);
    loki_fini(&loki);
    buf_fini(&text);
}

static void depth_is_bounded(void **state)
{
    char text[LOKI_DEPTH_MAX + 2] = "{";
    struct loki loki;
    struct text entry;
    (void)state;
    memset(text + 1, '[', LOKI_DEPTH_MAX);
    loki_init(&loki);
    loki_push(&loki, text, LOKI_DEPTH_MAX);
    assert_int_equal(loki_next(&loki, &entry), LOKI_AGAIN);
    loki_push(&loki, "[", 1);
    assert_int_equal(loki_next(&loki, &entry), LOKI_ERROR);
    loki_fini(&loki);
}

static void a_response_is_known_by_its_beginning(void **state)
{
    static const char *const YES[] = {
        "{\"status\":\"success\",\"data\":{",
        "{\n  \"status\" : \"success\"",
        "{\"streams\":[",
        "{\"data\":{\"resultType\":\"streams\"",
    };
    static const char *const NO[] = {
        "",
        "{",
        "{\"status\":200",
        "{\"status\":\"ok\"",
        "{\"flow\":{\"status\":\"x\"",
        "{\"streams\":{}",
        "[]",
        "{\"data\":{\"x\":1}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(YES) / sizeof(YES[0]); i++) {
        assert_true(loki_sniff((struct text){YES[i], strlen(YES[i])}));
    }
    for (size_t i = 0; i < sizeof(NO) / sizeof(NO[0]); i++) {
        assert_false(loki_sniff((struct text){NO[i], strlen(NO[i])}));
    }
    assert_true(loki_is_error((struct text){"{\"status\":\"error\"}", 18}));
    assert_false(loki_is_error((struct text){YES[0], strlen(YES[0])}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_whatever_the_split),
        cmocka_unit_test(an_entry_that_is_too_long_is_passed_over),
        cmocka_unit_test(labels_that_are_too_long_are_done_without),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_response_is_known_by_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
