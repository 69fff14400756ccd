/* tests/unit/join/test_k8s_stream.c -- Kubernetes objects out of a stream of JSON
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/k8s_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/support/alloc.h"

/* Writes each piece as one line: what it is, its line, the list's kind, and text or fault. */
static int write_piece(void *ctx, const struct k8s_piece *piece)
{
    static const char *const NAMES[] = {"document", "item", "list", "too-long", "fault"};
    struct buf *out = ctx;
    buf_printf(out, "%s@%d %s|", NAMES[piece->type], (int)piece->line, piece->list_kind);
    if (piece->text != NULL) {
        buf_add(out, piece->text, piece->len);
    } else {
        buf_str(out, piece->what);
    }
    buf_char(out, '\n');
    return out->err;
}

enum { LIMIT = 80 };

static const struct {
    const char *name;
    const char *input;
    const char *expected;
    bool limited; /* to LIMIT octets a piece */
} STREAMS[] = {
    {"nothing", "", ""},
    {"only space", " \r\n\t\n", ""},
    {"one document a line", "{\"a\":1}\n{\"b\":[true,null,-1.5e+3]}\r\n",
     "document@1 |{\"a\":1}\ndocument@2 |{\"b\":[true,null,-1.5e+3]}\n"},
    {"documents without anything between", "{}{\"a\":{}}",
     "document@1 |{}\ndocument@1 |{\"a\":{}}\n"},
    {"documents over several lines", "{\n    \"a\": {\n        \"b\": []\n    }\n}\n{\n}\n",
     "document@1 |{\n    \"a\": {\n        \"b\": []\n    }\n}\ndocument@6 |{\n}\n"},
    {"brackets and quotes in strings", "{\"a\":\"}]{[\\\"\\\\\",\"b\\\"{\":\"\"}",
     "document@1 |{\"a\":\"}]{[\\\"\\\\\",\"b\\\"{\":\"\"}\n"},
    {"arrays of arrays", "{\"a\":[[],[[]],[{},{}]]}", "document@1 |{\"a\":[[],[[]],[{},{}]]}\n"},

    /* Lists */
    {"a list of the API: its kind comes first",
     "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"x\"},\"items\":[{\"n\":1},{\"n\":{}}]}",
     "item@1 PodList|{\"n\":1}\nitem@1 PodList|{\"n\":{}}\n"
     "list@1 PodList|{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"x\"},\"items\":[]}\n"},
    {"a list as kubectl prints it: the kind comes behind",
     "{\n    \"items\": [\n        {\n            \"n\": 1\n        },\n        {}\n    ],\n"
     "    \"kind\": \"List\"\n}\n",
     "item@3 |{\n            \"n\": 1\n        }\nitem@6 |{}\n"
     "list@1 List|{\n    \"items\": [],\n    \"kind\": \"List\"\n}\n"},
    {"an empty list", "{\"kind\":\"NodeList\",\"items\":[]}",
     "list@1 NodeList|{\"kind\":\"NodeList\",\"items\":[]}\n"},
    {"items that are null, as an empty list once was", "{\"items\":null}",
     "document@1 |{\"items\":null}\n"},
    {"items inside of an object are its own", "{\"object\":{\"items\":[{}]}}",
     "document@1 |{\"object\":{\"items\":[{}]}}\n"},
    {"items of an item are its own", "{\"items\":[{\"items\":[{}]}]}",
     "item@1 |{\"items\":[{}]}\nlist@1 |{\"items\":[]}\n"},
    {"the value items is no key", "{\"a\":\"items\",\"b\":[{}]}",
     "document@1 |{\"a\":\"items\",\"b\":[{}]}\n"},
    {"a kind inside of an object is its own", "{\"metadata\":{\"kind\":\"no\"},\"items\":[{}]}",
     "item@1 |{}\nlist@1 |{\"metadata\":{\"kind\":\"no\"},\"items\":[]}\n"},
    {"items twice", "{\"items\":[{\"a\":1}],\"items\":[{\"b\":2}]}",
     "item@1 |{\"a\":1}\nitem@1 |{\"b\":2}\nlist@1 |{\"items\":[],\"items\":[]}\n"},
    {"two lists", "{\"kind\":\"A\",\"items\":[{}]}\n{\"items\":[{}]}\n",
     "item@1 A|{}\nlist@1 A|{\"kind\":\"A\",\"items\":[]}\n"
     "item@2 |{}\nlist@2 |{\"items\":[]}\n"},
    {"a list and then events", "{\"items\":[]}\n{\"type\":\"ADDED\",\"object\":{}}\n",
     "list@1 |{\"items\":[]}\ndocument@2 |{\"type\":\"ADDED\",\"object\":{}}\n"},
    {"a kind that is too long is none",
     "{\"kind\":\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\",\"items\":[{}]"
     ",\"kind\":\"B\"}",
     "item@1 |{}\nlist@1 B|{\"kind\":\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
     "kkkkk\",\"items\":[],\"kind\":\"B\"}\n"},

    /* What is wrong, and where it goes on */
    {"text between documents", "{}\nError from server: {}\n{\"a\":1}\n",
     "document@1 |{}\nfault@2 |an object was expected\ndocument@3 |{\"a\":1}\n"},
    {"lines of text are one fault", "# one\n# two\n{}\n",
     "fault@1 |an object was expected\ndocument@3 |{}\n"},
    {"an array is no document", "[{}]\n{}\n", "fault@1 |an object was expected\ndocument@2 |{}\n"},
    {"a document cut inside of a string", "{\"a\":\"b\n{\"c\":1}\n",
     "fault@1 |a string that does not end in its line\ndocument@2 |{\"c\":1}\n"},
    {"a document cut behind a string", "{\"a\":\"b\"\n{\"c\":1}\n",
     "fault@2 |an object or array where none can be\ndocument@2 |{\"c\":1}\n"},
    {"a document cut behind a comma", "{\"a\":1,\n{\"c\":1}\n",
     "fault@2 |an object or array where none can be\ndocument@2 |{\"c\":1}\n"},
    {"a document cut behind an item", "{\"items\":[{\"a\":1}\n{\"c\":1}\n",
     "item@1 |{\"a\":1}\nfault@2 |an object or array where none can be\ndocument@2 |{\"c\":1}\n"},
    {"an object begins in the line of the fault", "{\"a\" {}}\n{}\n",
     "fault@1 |an object or array where none can be\ndocument@2 |{}\n"},
    {"brackets that do not match", "{\"a\":[}\n{\"a\":{]\n{}\n",
     "fault@1 |brackets that do not match\nfault@2 |brackets that do not match\n"
     "document@3 |{}\n"},
    {"a closing bracket alone", "]\n{}\n", "fault@1 |an object was expected\ndocument@2 |{}\n"},
    {"octets that are no JSON", "{\"a\":\x01}\n{\"a\":\"\x02\"}\n{;}\n{}",
     "fault@1 |an octet that JSON does not have\nfault@2 |a string that does not end in its line\n"
     "fault@3 |an octet that JSON does not have\ndocument@4 |{}\n"},
    {"an escaped end of a line", "{\"a\":\"\\\n\"}\n{}\n",
     "fault@1 |a string that does not end in its line\ndocument@3 |{}\n"},
    {"an item that is a number", "{\"items\":[1]}\n{}\n",
     "fault@1 |an item that is no object\ndocument@2 |{}\n"},
    {"an item that is a string", "{\"items\":[\"x\"]}\n{}\n",
     "fault@1 |an item that is no object\ndocument@2 |{}\n"},
    {"an item that is an array", "{\"items\":[[{}]]}\n{}\n",
     "fault@1 |an item that is no object\ndocument@2 |{}\n"},
    {"the end comes too early", "{}\n\n{\"a\":{\n",
     "document@1 |{}\nfault@3 |it ends before it is whole\n"},
    {"the end comes inside of a list",
     "{\"items\":[{\"a\":1},{\"b\":", "item@1 |{\"a\":1}\nfault@1 |it ends before it is whole\n"},

    {"a document that is too long",
     "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345\"}\n{}",
     "too-long@1 |it is longer than allowed\ndocument@2 |{}\n", true},
    {"a document that just fits",
     "{\"a\":\"012345678901234567890123456789012345678901234567890123456789012345678901\"}",
     "document@1 |{\"a\":\"01234567890123456789012345678901234567890123456789012345678901234567890"
     "1\"}\n",
     true},
    {"an item that is too long",
     "{\"kind\":\"L\",\"items\":[{\"a\":"
     "\"01234567890123456789012345678901234567890123456789012345678"
     "90123456789012345678\"},{\"b\":1}]}",
     "too-long@1 L|it is longer than allowed\nitem@1 L|{\"b\":1}\n"
     "list@1 L|{\"kind\":\"L\",\"items\":[]}\n",
     true},
    {"a list that is too long without its items",
     "{\"items\":[{\"b\":1}],\"a\":\"01234567890123456789012345678901234567890123456789012345678901"
     "23456789\"}\n{}",
     "item@1 |{\"b\":1}\ntoo-long@1 |it is longer than allowed\ndocument@2 |{}\n", true},
};

static void check(size_t row, size_t piece_len)
{
    const char *input = STREAMS[row].input;
    size_t max_len = STREAMS[row].limited ? LIMIT : K8S_OBJECT_MAX;
    struct k8s_stream *stream;
    struct buf out = {0};
    size_t len = strlen(input);
    assert_int_equal(k8s_stream_new(&stream, max_len, write_piece, &out), 0);
    for (size_t at = 0; at < len; at += piece_len) {
        size_t part = len - at < piece_len ? len - at : piece_len;
        char *copy = malloc(part); /* reading beyond it is seen by the sanitizer */
        memcpy(copy, input + at, part);
        assert_int_equal(k8s_stream_push(stream, copy, part), 0);
        free(copy);
    }
    assert_int_equal(k8s_stream_end(stream), 0);
    buf_char(&out, '\0');
    if (strcmp(out.data, STREAMS[row].expected) != 0) {
        fail_msg("%s, in pieces of %zu:\n%s\nexpected:\n%s", STREAMS[row].name, piece_len, out.data,
                 STREAMS[row].expected);
    }
    buf_fini(&out);
    k8s_stream_free(&stream);
}

static void test_streams_are_cut_into_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(STREAMS) / sizeof(STREAMS[0]); i++) {
        size_t len = strlen(STREAMS[i].input);
        for (size_t piece = 1; piece <= len + 1; piece = piece < 8 ? piece + 1 : piece * 2) {
            check(i, piece);
        }
        check(i, len + 1);
    }
}

static void nested(char *text, unsigned levels)
{
    size_t at = 0;
    for (unsigned i = 0; i < levels; i++) {
        at += (size_t)sprintf(text + at, i + 1 < levels ? "{\"a\":" : "{");
    }
    memset(text + at, '}', levels);
    text[at + levels] = '\0';
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    char text[1024];
    struct buf out = {0};
    struct k8s_stream *stream;
    assert_int_equal(k8s_stream_new(&stream, K8S_OBJECT_MAX, write_piece, &out), 0);
    nested(text, K8S_STREAM_DEPTH_MAX);
    assert_int_equal(k8s_stream_push(stream, text, strlen(text)), 0);
    assert_memory_equal(out.data, "document@1", 10);
    buf_reset(&out);
    nested(text, K8S_STREAM_DEPTH_MAX + 1);
    assert_int_equal(k8s_stream_push(stream, text, strlen(text)), 0);
    assert_memory_equal(out.data, "fault@1 |it is nested too deeply", 32);
    buf_fini(&out);
    k8s_stream_free(&stream);
}

static void test_after_a_reset_nothing_is_left(void **state)
{
    (void)state;
    struct buf out = {0};
    struct k8s_stream *stream;
    assert_int_equal(k8s_stream_new(&stream, 80, write_piece, &out), 0);
    assert_int_equal(k8s_stream_push(stream, "{\n\"a\":[", 7), 0);
    k8s_stream_reset(stream);
    assert_int_equal(k8s_stream_push(stream, "{}", 2), 0);
    assert_int_equal(k8s_stream_end(stream), 0);
    assert_int_equal(out.len, strlen("document@1 |{}\n"));
    assert_memory_equal(out.data, "document@1 |{}\n", out.len);
    buf_fini(&out);
    k8s_stream_free(&stream);
    k8s_stream_free(&stream);
}

static int refuse(void *ctx, const struct k8s_piece *piece)
{
    (void)piece;
    ++*(int *)ctx;
    return -ECANCELED;
}

static void test_what_the_callback_returns_ends_the_push(void **state)
{
    (void)state;
    static const char *const INPUTS[] = {"{}{}", "{\"items\":[{}]}", "{\"items\":[]}{}", "x\n{}"};
    for (size_t i = 0; i < sizeof(INPUTS) / sizeof(INPUTS[0]); i++) {
        int calls = 0;
        struct k8s_stream *stream;
        assert_int_equal(k8s_stream_new(&stream, 80, refuse, &calls), 0);
        assert_int_equal(k8s_stream_push(stream, INPUTS[i], strlen(INPUTS[i])), -ECANCELED);
        assert_int_equal(calls, 1);
        k8s_stream_free(&stream);
    }
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    struct k8s_stream *stream;
    struct buf out = {0};
    alloc_fail_at(1);
    assert_int_equal(k8s_stream_new(&stream, 80, write_piece, &out), -ENOMEM);
    assert_null(stream);
    assert_int_equal(k8s_stream_new(&stream, 80, write_piece, &out), 0);
    alloc_fail_at(1);
    assert_int_equal(k8s_stream_push(stream, "{}", 2), -ENOMEM);
    alloc_fail_at(0);
    k8s_stream_free(&stream);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_are_cut_into_pieces),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_after_a_reset_nothing_is_left),
        cmocka_unit_test(test_what_the_callback_returns_ends_the_push),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
