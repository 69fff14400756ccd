/* tests/unit/api/test_routes_flows.c -- POST /v1/flows: what log shippers push
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <snappy-c.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "api/pending.h"
#include "api/routes.h"
#include "tests/support/alloc.h"
#include "tests/support/http_test.h"

#define PACKET "IN=cali1 OUT=eth0 SRC=10.0.0.7 DST=192.0.2.10 PROTO=TCP SPT=%d DPT=443 SYN"
#define FIRST "p: IN=cali1 OUT=eth0 SRC=10.0.0.7 DST=192.0.2.10 PROTO=TCP SPT=1 DPT=443 SYN"
#define SECOND "p: IN=cali1 OUT=eth0 SRC=10.0.0.8 DST=192.0.2.10 PROTO=TCP SPT=2 DPT=443 SYN"
#define HUBBLE(SOURCE)                                                                             \
    "{\"flow\":{\"time\":\"2026-05-22T10:00:05Z\",\"verdict\":\"FORWARDED\",\"IP\":{\"source\":"   \
    "\"" SOURCE "\",\"destination\":\"192.0.2.10\"},\"Type\":\"L3_L4\"}}"
#define HUBBLE_DNS                                                                                 \
    "{\"flow\":{\"time\":\"2026-05-22T10:00:04Z\",\"verdict\":\"FORWARDED\",\"IP\":{\"source\":"   \
    "\"198.51.100.53\",\"destination\":\"10.0.0.7\"},\"l4\":{\"UDP\":{\"source_port\":53,"         \
    "\"destination_port\":40000}},\"Type\":\"L7\",\"node_name\":\"node-1\",\"l7\":{\"type\":"      \
    "\"RESPONSE\",\"dns\":{\"query\":\"dns.example.com.\",\"ips\":[\"203.0.113.9\"],\"ttl\":60,"   \
    "\"qtypes\":[\"A\"],\"rrtypes\":[\"A\"]}},\"is_reply\":true}}"

static struct reply push_bytes(const char *query, const char *headers, const void *bytes,
                               size_t len)
{
    struct buf request = {0};
    buf_printf(&request,
               "POST /v1/flows%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s"
               "Content-Length: %zu\r\n\r\n",
               query, headers, len);
    buf_add(&request, bytes, len);
    struct reply reply = client_raw(fixture.port, request.data, request.len);
    buf_fini(&request);
    return reply;
}

static struct reply push(const char *query, const char *headers, const char *body)
{
    return push_bytes(query, headers, body, strlen(body));
}

/* Asserts that the reply names both flows, in their order, and tells of no others. */
static void expect_both(struct reply *reply, const char *body)
{
    const char *first = strstr(reply->body, "\"ip\":\"10.0.0.7\"");
    const char *second = strstr(reply->body, "\"ip\":\"10.0.0.8\"");
    size_t lines = 0;
    for (const char *at = reply->body; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    if (reply->status != 200 || first == NULL || second == NULL || first > second || lines != 2) {
        fail_msg("%s\n%d %s", body, reply->status, reply->body);
    }
    assert_string_equal(reply_header(reply, "Content-Type"), "application/jsonl");
    assert_string_equal(reply_header(reply, "Whither-Records"),
                        "flows=2, left-out=0, dns=0, bad=0");
    reply_free(reply);
}

/* The same two flows as each shipper sends them. */
static const struct {
    const char *headers;
    const char *body;
} SHIPPED[] = {
    /* curl, and Vector's `text` */
    {"", "1779444005 n kernel: " FIRST "\n1779444005 n kernel: " SECOND "\n"},
    {"Content-Type: text/plain\r\n", HUBBLE("10.0.0.7") "\n" HUBBLE("10.0.0.8")},
    /* Vector: json with newline_delimited framing, and without */
    {"Content-Type: application/x-ndjson\r\n",
     "{\"host\":\"n\",\"message\":\"" FIRST "\",\"timestamp\":\"2026-05-22T10:00:05Z\"}\n"
     "{\"host\":\"n\",\"message\":\"" SECOND "\",\"timestamp\":\"2026-05-22T10:00:05Z\"}\n"},
    {"Content-Type: application/json\r\n",
     "[{\"host\":\"n\",\"message\":\"" FIRST "\",\"timestamp\":\"2026-05-22T10:00:05Z\"},"
     "{\"host\":\"n\",\"message\":\"" SECOND "\",\"timestamp\":\"2026-05-22T10:00:05Z\"}]"},
    {"Content-Type: application/json\r\n", "[" HUBBLE("10.0.0.7") "," HUBBLE("10.0.0.8") "]"},
    /* Fluent Bit: json, json_lines, json_stream; the record parsed, or its line */
    {"Content-Type: application/json\r\n", "[{\"date\":1779444005.123456,\"log\":\"" FIRST
                                           "\"},{\"date\":1779444005.2,\"log\":\"" SECOND "\"}]"},
    {"Content-Type: application/x-ndjson\r\n",
     "{\"date\":1779444005.123456,\"MESSAGE\":\"" FIRST "\",\"_TRANSPORT\":\"kernel\"}\n"
     "{\"date\":1779444005.2,\"MESSAGE\":\"" SECOND "\",\"_TRANSPORT\":\"kernel\"}\n"},
    {"Content-Type: application/x-ndjson\r\n", "{\"date\":1779444005.123456,\"log\":\"" FIRST
                                               "\"}{\"date\":1779444005.2,\"log\":\"" SECOND "\"}"},
    /* Loki's JSON, as Vector's loki sink and Promtail-like clients send it */
    {"Content-Type: application/json\r\n",
     "{\"streams\":[{\"stream\":{\"job\":\"x\"},\"values\":[[\"1779444005000000000\",\"" FIRST
     "\"],[\"1779444005000000001\",\"" SECOND "\"]]}]}"},
};

static void what_each_shipper_sends_comes_back_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SHIPPED) / sizeof(SHIPPED[0]); i++) {
        struct reply reply = push("", SHIPPED[i].headers, SHIPPED[i].body);
        expect_both(&reply, SHIPPED[i].body);
    }
}

static size_t deflate_text(unsigned char *out, size_t room, const char *text, int bits)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)strlen(text);
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t len = room - stream.avail_out;
    deflateEnd(&stream);
    return len;
}

static void compressed_bodies_are_taken(void **state)
{
    unsigned char bytes[4096];
    const char *text = SHIPPED[5].body;
    (void)state;
    size_t len = deflate_text(bytes, sizeof(bytes), text, 31);
    struct reply reply = push_bytes("", "Content-Encoding: gzip\r\n", bytes, len);
    expect_both(&reply, "gzip");
    /* Nobody said so. */
    reply = push_bytes("", "", bytes, len);
    expect_both(&reply, "gzip without a header");
    len = deflate_text(bytes, sizeof(bytes), text, 15);
    reply = push_bytes("", "Content-Encoding: deflate\r\n", bytes, len);
    expect_both(&reply, "deflate");
    len = ZSTD_compress(bytes, sizeof(bytes), text, strlen(text), 3);
    reply = push_bytes("", "Content-Encoding: zstd\r\n", bytes, len);
    expect_both(&reply, "zstd");
    /* Cut in the middle: not one record. */
    reply = push_bytes("", "Content-Encoding: zstd\r\n", bytes, len / 2);
    expect(&reply, 400, "ends early");
}

/* logproto.PushRequest of two entries with a line each. */
static size_t put_push_request(char *out, const char *first, const char *second)
{
    struct buf stream = {0}, request = {0};
    const char *lines[] = {first, second};
    buf_str(&stream, "\x0a\x09{job=\"x\"}"); /* labels */
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(lines[i]);
        assert_true(len < 100);
        buf_char(&stream, '\x12'); /* entries */
        buf_char(&stream, (char)(len + 10));
        buf_add(&stream, "\x0a\x06\x08\xa5\xd4\xc0\xd0\x06", 8); /* timestamp: 1779444261 s */
        buf_char(&stream, '\x12');                               /* line */
        buf_char(&stream, (char)len);
        buf_add(&stream, lines[i], len);
    }
    assert_in_range(stream.len, 128, 16383);
    buf_char(&request, '\x0a'); /* streams */
    buf_char(&request, (char)(0x80 | (stream.len & 0x7f)));
    buf_char(&request, (char)(stream.len >> 7));
    buf_add(&request, stream.data, stream.len);
    size_t len = 4096;
    assert_int_equal(snappy_compress(request.data, request.len, out, &len), SNAPPY_OK);
    buf_fini(&stream);
    buf_fini(&request);
    return len;
}

static void what_alloy_sends_comes_back_named(void **state)
{
    char bytes[4096];
    (void)state;
    size_t len = put_push_request(bytes, FIRST, SECOND);
    struct reply reply = push_bytes("", "Content-Type: application/x-protobuf\r\n", bytes, len);
    expect_both(&reply, "protobuf");
    reply = push_bytes("", "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n",
                       bytes, len);
    expect_both(&reply, "protobuf, snappy");
    reply = push_bytes("", "Content-Type: application/x-protobuf\r\n", bytes, len / 2);
    expect(&reply, 400, "Snappy");
    reply = push_bytes("", "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
                       bytes, len);
    expect(&reply, 415, "Content-Encoding");
}

static void what_is_wrong_is_counted_or_refused(void **state)
{
    static const struct {
        const char *query;
        const char *headers;
        const char *body;
        int status;
        const char *contains;
        const char *records;
    } TESTS[] = {
        /* A shipper would send a body that got a 4xx never again: some bad records are no such. */
        {"", "", "junk\n" HUBBLE("10.0.0.7") "\n{\"cut\":", 200, "\"10.0.0.7\"",
         "flows=1, left-out=0, dns=0, bad=2"},
        {"", "", "[" HUBBLE("10.0.0.7") ",5]", 200, "\"10.0.0.7\"",
         "flows=1, left-out=0, dns=0, bad=1"},
        {"", "", "[" HUBBLE("10.0.0.7") "," HUBBLE("10.0.0.8"), 200, "\"10.0.0.8\"",
         "flows=2, left-out=0, dns=0, bad=1"},
        {"", "", "{\"lost_events\":{}}", 200, "", "flows=0, left-out=1, dns=0, bad=0"},
        {"", "", "", 200, "", "flows=0, left-out=0, dns=0, bad=0"},
        {"?reply=none", "", HUBBLE("10.0.0.7") "\njunk", 204, "",
         "flows=1, left-out=0, dns=0, bad=1"},
        {"?reply=ecs&from=hubble&cluster=default&wait=1s", "", HUBBLE("10.0.0.7"), 200,
         "api.example.com", "flows=1, left-out=0, dns=0, bad=0"},
        {"?cluster=other", "", HUBBLE("10.0.0.7"), 200, "\"blind\"",
         "flows=1, left-out=0, dns=0, bad=0"},
        {"", "", "junk\nmore junk\n", 400, "line 1: not a known flow record", ""},
        {"?from=journal", "", HUBBLE("10.0.0.7"), 400, "not a journal record", ""},
        {"", "", "{\"status\":\"error\",\"error\":\"x\"}", 400, "query that failed", ""},
        {"?from=nonsense", "", "", 400, "\"field\":\"from\"", ""},
        {"?reply=all", "", "", 400, "\"field\":\"reply\"", ""},
        {"?wait=soon", "", "", 400, "\"field\":\"wait\"", ""},
        {"?format=x", "", "", 400, "\"field\":\"format\"", ""},
        {"", "Content-Type: application/msgpack\r\n", "x", 415, "json_lines", ""},
        {"", "Content-Encoding: br\r\n", "x", 415, "gzip, zstd, deflate", ""},
        {"", "Content-Encoding: snappy\r\n", "x", 415, "Content-Encoding", ""},
        {"", "Content-Encoding: identity\r\n", HUBBLE("10.0.0.7"), 200, "10.0.0.7",
         "flows=1, left-out=0, dns=0, bad=0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct reply reply = push(TESTS[i].query, TESTS[i].headers, TESTS[i].body);
        if (reply.status != TESTS[i].status || strstr(reply.body, TESTS[i].contains) == NULL) {
            fail_msg("%s: %d %s", TESTS[i].body, reply.status, reply.body);
        }
        if (TESTS[i].status < 400) {
            assert_string_equal(reply_header(&reply, "Whither-Records"), TESTS[i].records);
        }
        reply_free(&reply);
    }
}

static void a_body_that_is_too_long_uncompressed_is_refused(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    static char text[300001];
    static unsigned char bytes[10000];
    (void)state;
    memset(text, ' ', sizeof(text) - 1);
    for (size_t at = 99; at < sizeof(text) - 1; at += 100) {
        text[at] = '\n';
    }
    options.max_body = 200000;
    restart(&options);
    size_t len = deflate_text(bytes, sizeof(bytes), text, 31);
    struct reply reply = push_bytes("", "Content-Encoding: gzip\r\n", bytes, len);
    expect(&reply, 413, "200000 bytes uncompressed");
    char *squeezed = malloc(snappy_max_compressed_length(sizeof(text)));
    size_t size = snappy_max_compressed_length(sizeof(text));
    assert_non_null(squeezed);
    assert_int_equal(snappy_compress(text, sizeof(text), squeezed, &size), SNAPPY_OK);
    reply = push_bytes("", "Content-Type: application/x-protobuf\r\n", squeezed, size);
    expect(&reply, 413, "uncompressed");
    free(squeezed);
}

static void a_long_body_comes_back_whole_and_in_order(void **state)
{
    enum { RECORDS_COUNT = 20000 };
    struct buf body = {0};
    int next = 0;
    (void)state;
    for (int i = 0; i < RECORDS_COUNT; i++) {
        buf_printf(&body, "1779444005 n kernel: p: " PACKET "\n", i);
    }
    buf_char(&body, '\0');
    struct reply reply = push("", "", body.data);
    assert_int_equal(reply.status, 200);
    for (const char *at = reply.body; (at = strstr(at, ".7\",\"port\":")) != NULL; at++) {
        assert_int_equal(atoi(at + 11), next);
        next++;
    }
    assert_int_equal(next, RECORDS_COUNT);
    reply_free(&reply);
    buf_fini(&body);
}

/* ---- DNS responses ---- */

struct taken {
    int add_err;
    int commit_err;
    int added;
    int committed;
    char cluster[64];
};

static int add(void *ctx, const char *cluster, const struct dns_record *dns)
{
    struct taken *taken = ctx;
    assert_string_equal(dns->source, "hubble");
    snprintf(taken->cluster, sizeof(taken->cluster), "%s", cluster);
    taken->added++;
    return taken->add_err;
}

static int commit(void *ctx)
{
    struct taken *taken = ctx;
    taken->committed++;
    return taken->commit_err;
}

static void dns_responses_are_committed_before_the_reply(void **state)
{
    static const struct {
        const char *query;
        int add_err;
        int commit_err;
        int status;
        int committed;
    } TESTS[] = {
        {"", 0, 0, 200, 1},
        {"?reply=none&cluster=prod", 0, 0, 204, 1},
        {"", -ETIMEDOUT, 0, 503, 0},
        {"", 0, -ENOSPC, 503, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct taken taken = {TESTS[i].add_err, TESTS[i].commit_err, 0, 0, ""};
        struct api_answers answers = {&taken, add, commit};
        struct api_options options = api_fixture_options(&fixture);
        options.answers = &answers;
        restart(&options);
        struct reply reply = push(TESTS[i].query, "", HUBBLE_DNS "\n" HUBBLE("10.0.0.7"));
        assert_int_equal(reply.status, TESTS[i].status);
        assert_int_equal(taken.added, 1);
        assert_int_equal(taken.committed, TESTS[i].committed);
        assert_string_equal(taken.cluster, i == 1 ? "prod" : "default");
        assert_int_equal(reply_header(&reply, "Retry-After")[0] != '\0', reply.status == 503);
        reply_free(&reply);
        reply = push("?reply=none", "", HUBBLE("10.0.0.7"));
        assert_int_equal(taken.committed, TESTS[i].committed); /* none, nothing to wait for */
        reply_free(&reply);
        api_stop(&fixture.api);
    }
}

/* ---- waiting ---- */

/* Connects a sender of the index that was heard up to a minute ago. */
static uint32_t connect_sender(void)
{
    struct why why;
    int64_t now_us = clock_now_us();
    uint32_t stream = store_stream_begin(
        fixture.store, STREAM_LIVE, store_cluster(fixture.store, "waiting"), (const uint8_t *)"s",
        1, NULL, 0, "tcp:127.0.0.1:1", now_us - US_PER_HOUR);
    store_stream_heard(fixture.store, stream, now_us - US_PER_MIN);
    assert_int_equal(store_commit(fixture.store, now_us, &why), 0);
    return stream;
}

static void end_sender(uint32_t stream)
{
    struct why why;
    store_stream_end(fixture.store, stream, STREAM_STOPPED);
    assert_int_equal(store_commit(fixture.store, clock_now_us(), &why), 0);
}

static void put_flow_of_now(struct buf *request, const char *query)
{
    char body[256], time[TIME_TEXT_MAX];
    time_print(clock_now_us(), time);
    int len = snprintf(body, sizeof(body), "%s n kernel: p: " PACKET "\n", time, 1);
    buf_printf(request,
               "POST /v1/flows?cluster=waiting&%s HTTP/1.1\r\nHost: localhost\r\n"
               "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
               query, len, body);
}

static int64_t milliseconds_since(int64_t begin_us)
{
    return (clock_monotonic_us() - begin_us) / 1000;
}

static void a_reply_waits_no_longer_than_it_is_told(void **state)
{
    struct buf request = {0};
    (void)state;
    uint32_t stream = connect_sender();
    int64_t begin_us = clock_monotonic_us();
    put_flow_of_now(&request, "wait=500ms");
    struct reply reply = client_raw(fixture.port, request.data, request.len);
    assert_in_range(milliseconds_since(begin_us), 400, 5000);
    expect(&reply, 200, "\"reason\":\"unsettled\"");
    buf_fini(&request);
    begin_us = clock_monotonic_us();
    put_flow_of_now(&request, "reply=ecs");
    reply = client_raw(fixture.port, request.data, request.len);
    assert_in_range(milliseconds_since(begin_us), 0, 400);
    expect(&reply, 200, "\"reason\":\"unsettled\"");
    end_sender(stream);
    buf_fini(&request);
}

static void a_reply_that_waits_holds_nobody_up_and_goes_on_when_all_were_heard(void **state)
{
    struct buf request = {0};
    struct why why;
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    options.threads = 1;
    restart(&options);
    uint32_t stream = connect_sender();
    put_flow_of_now(&request, "wait=30s");
    int64_t begin_us = clock_monotonic_us();
    int fd = client_connect(fixture.port);
    client_send(fd, request.data, request.len);
    usleep(300000);
    struct reply reply = ask("GET", LOOKUP, NULL, NULL);
    expect(&reply, 200, "resolved");
    reply = push("", "", HUBBLE("10.0.0.7"));
    expect(&reply, 200, "resolved");
    assert_in_range(milliseconds_since(begin_us), 300, 3000);
    store_stream_heard(fixture.store, stream, clock_now_us() + 10 * US_PER_S);
    assert_int_equal(store_commit(fixture.store, clock_now_us(), &why), 0);
    reply = client_finish(fd);
    assert_in_range(milliseconds_since(begin_us), 300, 8000);
    assert_null(strstr(reply.body, "unsettled"));
    expect(&reply, 200, "10.0.0.7");
    end_sender(stream);
    buf_fini(&request);
}

static void a_service_that_stops_lets_go_of_what_waits(void **state)
{
    enum { WAITING = 12 };
    struct buf request = {0};
    int fds[WAITING];
    int good = 0;
    (void)state;
    uint32_t stream = connect_sender();
    put_flow_of_now(&request, "wait=30s");
    for (int i = 0; i < WAITING; i++) {
        fds[i] = client_connect(fixture.port);
        client_send(fds[i], request.data, request.len);
    }
    usleep(300000);
    int64_t begin_us = clock_monotonic_us();
    api_stop(&fixture.api);
    assert_in_range(milliseconds_since(begin_us), 0, 4000);
    for (int i = 0; i < WAITING; i++) {
        struct reply reply = client_finish(fds[i]);
        /* Those for whom there is no room come again. */
        assert_true(reply.status == 200 || reply.status == 503);
        good += reply.status == 200;
        reply_free(&reply);
    }
    assert_in_range(good, 1, WAITING);
    end_sender(stream);
    buf_fini(&request);
}

static void senders_that_vanish_while_they_wait_leave_nothing_behind(void **state)
{
    struct buf request = {0};
    (void)state;
    uint32_t stream = connect_sender();
    put_flow_of_now(&request, "wait=300ms");
    for (int i = 0; i < 50; i++) {
        int fd = client_connect(fixture.port);
        client_send(fd, request.data, request.len);
        close(fd);
    }
    struct reply reply;
    bool gone = false;
    for (int i = 0; i < 100 && !gone; i++) {
        usleep(50000);
        reply = ask("GET", "/metrics", NULL, NULL);
        gone = strstr(reply.body, "\nwhither_http_bulk_bytes 0\n") != NULL;
        reply_free(&reply);
    }
    assert_true(gone);
    end_sender(stream);
    buf_fini(&request);
}

static void a_request_without_memory_harms_no_other(void **state)
{
    (void)state;
    for (size_t n = 1; n < 80; n++) {
        struct api_options options = api_fixture_options(&fixture);
        options.threads = 1;
        restart(&options);
        struct buf request = {0};
        buf_printf(&request,
                   "POST /v1/flows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   strlen(SHIPPED[3].body), SHIPPED[3].body);
        int fd = client_connect(fixture.port);
        alloc_fail_at(n);
        client_send(fd, request.data, request.len);
        char bytes[4096];
        (void)!recv(fd, bytes, sizeof(bytes), 0);
        alloc_fail_at(0);
        close(fd);
        buf_fini(&request);
        struct reply reply = push("", "", SHIPPED[3].body);
        expect_both(&reply, "after another one failed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(what_each_shipper_sends_comes_back_named),
        HTTP_TEST(compressed_bodies_are_taken),
        HTTP_TEST(what_alloy_sends_comes_back_named),
        HTTP_TEST(what_is_wrong_is_counted_or_refused),
        HTTP_TEST(a_body_that_is_too_long_uncompressed_is_refused),
        HTTP_TEST(a_long_body_comes_back_whole_and_in_order),
        HTTP_TEST(dns_responses_are_committed_before_the_reply),
        HTTP_TEST(a_reply_waits_no_longer_than_it_is_told),
        HTTP_TEST(a_reply_that_waits_holds_nobody_up_and_goes_on_when_all_were_heard),
        HTTP_TEST(a_service_that_stops_lets_go_of_what_waits),
        HTTP_TEST(senders_that_vanish_while_they_wait_leave_nothing_behind),
        HTTP_TEST(a_request_without_memory_harms_no_other),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
