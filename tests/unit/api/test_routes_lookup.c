/* tests/unit/api/test_routes_lookup.c -- POST /v1/lookup over a real socket
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/bulk.h"

#include <unistd.h>

#include "tests/support/http_test.h"

static void bulk_lookups_come_back_in_order_with_errors_in_place(void **state)
{
    enum { LINES = 3000 };
    struct buf body = {0};
    (void)state;
    for (int i = 0; i < LINES; i++) {
        if (i % 100 == 7) {
            buf_str(&body, "{\"src\":\"10.0.0.9\"}\n");
        } else {
            buf_printf(&body,
                       "{\"src\":\"10.0.0.9\",\"dst\":\"203.0.113.%d\",\"at\":1779444070}%s\n",
                       10 + i % 50, i % 3 == 0 ? "\r" : "");
        }
        buf_str(&body, i % 10 == 0 ? "\n\r\n" : ""); /* empty lines are skipped */
    }
    buf_char(&body, '\0');
    struct reply reply = ask("POST", "/v1/lookup", NULL, body.data);
    assert_int_equal(reply.status, 200);
    char *line = reply.body;
    for (int i = 0; i < LINES; i++) {
        char expected[64];
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        snprintf(expected, sizeof(expected), "\"domain\":\"n%d.list.example.com\"}", 10 + i % 50);
        assert_non_null(strstr(line, i % 100 == 7 ? "\"field\":\"dst\"" : expected));
        line = end + 1;
    }
    assert_string_equal(line, "");
    reply_free(&reply);
    buf_fini(&body);
}

static void a_chunked_body_split_anywhere_is_the_same_body(void **state)
{
    static const char BODY[] = LOOKUP_LINE "{\"src\":\"10.0.0.7\",\"dst\":\"198.51.100.7\","
                                           "\"at\":1779444005}";
    static const char HEAD[] =
        "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    (void)state;
    for (size_t at = 1; at < sizeof(BODY) - 1; at++) {
        struct buf request = {0};
        buf_printf(&request, "%s%zx\r\n%.*s\r\n%zx\r\n%s\r\n0\r\n\r\n", HEAD, at, (int)at, BODY,
                   sizeof(BODY) - 1 - at, BODY + at);
        struct reply reply = client_raw(fixture.port, request.data, request.len);
        assert_int_equal(reply.status, 200);
        assert_non_null(strstr(reply.body, "\"api.example.com\"}\n"));
        assert_non_null(strstr(reply.body, "\"www.example.net\"}\n"));
        reply_free(&reply);
        buf_fini(&request);
    }
}

static void a_reply_longer_than_a_block_is_whole(void **state)
{
    enum { LINES = 20000 };
    struct buf body = {0};
    (void)state;
    for (int i = 0; i < LINES; i++) {
        buf_str(&body, LOOKUP_LINE);
    }
    buf_char(&body, '\0');
    struct reply reply = ask("POST", "/v1/lookup", NULL, body.data);
    size_t lines = 0;
    for (const char *at = reply.body; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, LINES);
    assert_true(reply.body_len > 4 << 20);
    reply_free(&reply);
    buf_fini(&body);
}

static void a_line_over_the_limit_is_an_error_in_its_place(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    struct buf body = {0};
    (void)state;
    options.max_line = 100;
    restart(&options);
    buf_str(&body, LOOKUP_LINE);
    buf_printf(&body, "{\"src\":\"10.0.0.7\",\"x\":\"%0100d\"}\n", 0);
    buf_str(&body, LOOKUP_LINE);
    buf_char(&body, '\0');
    struct reply reply = ask("POST", "/v1/lookup", NULL, body.data);
    assert_int_equal(reply.status, 200);
    char *second = strchr(reply.body, '\n') + 1;
    char *third = strchr(second, '\n') + 1;
    assert_non_null(strstr(reply.body, "api.example.com"));
    assert_memory_equal(second, "{\"error\":{", 10);
    assert_non_null(strstr(second, "100 bytes (--http-max-line)"));
    assert_non_null(strstr(third, "api.example.com"));
    reply_free(&reply);
    buf_fini(&body);
}

static void bulk_bodies_share_one_budget(void **state)
{
    static const char HEAD[] = "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\nContent-Length: 60000\r\n\r\n";
    struct api_options options = api_fixture_options(&fixture);
    char *half = malloc(40000);
    (void)state;
    options.max_body = 65536;
    restart(&options);
    memset(half, '\n', 40000);
    /* A body that does not end holds its share ... */
    int fd = client_connect(fixture.port);
    client_send(fd, HEAD, sizeof(HEAD) - 1);
    client_send(fd, half, 40000);
    int status = 200;
    for (int tries = 0; tries < 100 && status == 200; tries++) {
        usleep(20000);
        struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
        status = reply.status;
        assert_true(status == 200 || strcmp(reply_header(&reply, "Retry-After"), "1") == 0);
        reply_free(&reply);
    }
    assert_int_equal(status, 503);
    /* ... and gives it back when its connection ends. */
    close(fd);
    for (int tries = 0; tries < 100 && status == 503; tries++) {
        usleep(20000);
        struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
        status = reply.status;
        reply_free(&reply);
    }
    assert_int_equal(status, 200);
    free(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(bulk_lookups_come_back_in_order_with_errors_in_place),
        HTTP_TEST(a_chunked_body_split_anywhere_is_the_same_body),
        HTTP_TEST(a_reply_longer_than_a_block_is_whole),
        HTTP_TEST(a_line_over_the_limit_is_an_error_in_its_place),
        HTTP_TEST(bulk_bodies_share_one_budget),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
