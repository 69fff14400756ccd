/* tests/unit/api/test_http.c -- the HTTP service, asked over real sockets
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/http.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/alloc.h"
#include "tests/support/http_test.h"

/* ---- requests and replies ---- */

struct request_case {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
    int status;
    const char *type;
    const char *contains;
};

#define JSON "application/json"
#define PROBLEM "application/problem+json"

static const struct request_case GOOD[] = {
    {"GET", LOOKUP, NULL, NULL, 200, JSON, "\"verdict\":\"resolved\""},
    {"GET", LOOKUP, NULL, NULL, 200, JSON, "\"domain\":\"api.example.com\"}"},
    {"GET", LOOKUP "&cluster=", NULL, NULL, 200, JSON, "\"resolved\""},
    {"GET", LOOKUP "&cluster=other", NULL, NULL, 200, JSON, "\"domain\":null}"},
    {"GET", "/v1/lookup?src=10.0.0.9&dst=192.0.2.10&at=2026-05-22T10:01:00%2B00:00", NULL, NULL,
     200, JSON, "\"verdict\":\"shared\""},
    {"GET", "/v1/lookup?src=10.0.0.7&dst=192.0.2.10", NULL, NULL, 200, JSON, "\"verdict\":"},
    {"POST", "/v1/lookup", NULL, LOOKUP_LINE, 200, "application/jsonl", "\"api.example.com\"}\n"},
    {"POST", "/v1/lookup", NULL, "", 200, "application/jsonl", ""},
    {"POST", "/v1/lookup", NULL, "nonsense", 200, "application/jsonl", "{\"error\":{"},
    {"GET", "/v1/names/www.example.net", NULL, NULL, 200, JSON, "\"chain\":[\"edge.example.org\"]"},
    {"GET", "/v1/names/EDGE.example.org.", NULL, NULL, 200, JSON, "\"asked\":\"www.example.net\""},
    {"GET", "/v1/names/example.net", NULL, NULL, 200, JSON, "\"sightings\":[],\"next\":null}"},
    {"GET", "/v1/names/example.net?under=true", NULL, NULL, 200, JSON, "www.example.net"},
    {"GET", "/v1/names/api.example.com?to=2026-05-22T10:00:01Z", NULL, NULL, 200, JSON,
     "\"client\":\"10.0.0.7\""},
    {"GET", "/v1/addresses/192.0.2.10", NULL, NULL, 200, JSON, "\"clients\":2"},
    {"GET", "/v1/addresses/2001:db8:1::1", NULL, NULL, 200, JSON, "six.example.com"},
    {"GET", "/v1/clients/10.0.0.7", NULL, NULL, 200, JSON, "\"asked\":true"},
    {"GET", "/v1/clients/10.0.0.99", NULL, NULL, 200, JSON, "\"asked\":false"},
    {"GET", "/v1/coverage?from=2026-05-22T09:00:00Z&to=2026-05-22T10:30:00Z", NULL, NULL, 200, JSON,
     "\"coverage\":\"whole\""},
    {"GET", "/v1/coverage", NULL, NULL, 200, JSON, "\"reason\":\"no-sender\""},
    {"GET", "/v1/status", NULL, NULL, 200, JSON, "\"identity\":\"dns-1\""},
    {"GET", "/metrics", NULL, NULL, 200, "text/plain; version=0.0.4; charset=utf-8",
     "\nwhither_index_answers_total 54\n"},
    {"GET", "/healthz", NULL, NULL, 200, "text/plain; charset=utf-8", "ok\n"},
    {"GET", "/readyz", NULL, NULL, 200, "text/plain; charset=utf-8", "ok\n"},
    {"GET", "/openapi.json", NULL, NULL, 200, JSON, "\"openapi\": \"3.1.0\""},
    {"GET", "/healthz", "Host: example.com\r\n", NULL, 200, "text/plain; charset=utf-8", "ok"},
};

static const struct request_case BAD[] = {
    {"GET", "/", NULL, NULL, 404, PROBLEM, "\"status\":404"},
    {"GET", "/v1/flows", NULL, NULL, 405, PROBLEM, "POST only"},
    {"GET", "/v1/flow", NULL, NULL, 404, PROBLEM, "\"title\":\"Not Found\""},
    {"GET", "/v1/edges", NULL, NULL, 404, PROBLEM, "openapi.json"},
    {"POST", "/v1/edges", NULL, "{}", 404, PROBLEM, "\"status\":404"},
    {"DELETE", "/v1/status", NULL, NULL, 405, PROBLEM, "GET, HEAD only"},
    {"POST", "/v1/status", NULL, "x", 405, PROBLEM, "GET, HEAD only"},
    {"GET", "/v1/lookup", NULL, NULL, 400, PROBLEM, "\"field\":\"src\""},
    {"GET", "/v1/lookup?src=10.0.0.7", NULL, NULL, 400, PROBLEM, "\"field\":\"dst\""},
    {"GET", "/v1/lookup?src=10.0.0.7&dst=", NULL, NULL, 400, PROBLEM, "\"field\":\"dst\""},
    {"GET", "/v1/lookup?src=x&dst=192.0.2.1", NULL, NULL, 400, PROBLEM, "'x' is not an IP"},
    {"GET", LOOKUP "0", NULL, NULL, 400, PROBLEM, "\"field\":\"at\""},
    {"GET", LOOKUP "&when=1", NULL, NULL, 400, PROBLEM, "\"field\":\"when\""},
    {"GET", LOOKUP "&src=10.0.0.8", NULL, NULL, 400, PROBLEM, "more than once"},
    {"GET", LOOKUP "&cluster=%", NULL, NULL, 400, PROBLEM, "\"field\":\"cluster\""},
    {"POST", "/v1/lookup?src=1", NULL, LOOKUP_LINE, 400, PROBLEM, "\"field\":\"src\""},
    {"GET", "/v1/names/a..b", NULL, NULL, 400, PROBLEM, "\"field\":\"name\""},
    {"GET", "/v1/names/%", NULL, NULL, 400, PROBLEM, "percent escape"},
    {"GET", "/v1/names/example.com?under=yes", NULL, NULL, 400, PROBLEM, "\"field\":\"under\""},
    {"GET", "/v1/names/example.com?limit=1001", NULL, NULL, 400, PROBLEM, "\"field\":\"limit\""},
    {"GET", "/v1/names/example.com?cursor=zz", NULL, NULL, 400, PROBLEM, "\"field\":\"cursor\""},
    {"GET", "/v1/names/example.com?from=1779444002&to=1779444001", NULL, NULL, 400, PROBLEM,
     "\"field\":\"from\""},
    {"GET", "/v1/addresses/example.com", NULL, NULL, 400, PROBLEM, "\"field\":\"ip\""},
    {"GET", "/v1/clients/1.2.3", NULL, NULL, 400, PROBLEM, "\"field\":\"ip\""},
    {"GET", "/v1/clients/10.0.0.7?under=true", NULL, NULL, 400, PROBLEM, "\"field\":\"under\""},
    {"GET", "/healthz?x=1", NULL, NULL, 400, PROBLEM, "\"field\":\"x\""},
    {"POST", "/v1/ingest", NULL, "x", 503, PROBLEM, "does not write"},
    {"GET", "/v1/status", "Host: example.com\r\n", NULL, 403, PROBLEM, "\"field\":\"Host\""},
    {"GET", "/v1/status", "Origin: http://example.com\r\n", NULL, 403, PROBLEM,
     "\"field\":\"Origin\""},
    {"POST", "/v1/ingest", "Origin: null\r\n", "x", 403, PROBLEM, "\"field\":\"Origin\""},
};

static void check_case(const struct request_case *test)
{
    struct reply reply = ask(test->method, test->target, test->headers, test->body);
    if (reply.status != test->status || strstr(reply.body, test->contains) == NULL) {
        print_error("%s %s: %d %s\n", test->method, test->target, reply.status, reply.body);
    }
    assert_int_equal(reply.status, test->status);
    assert_string_equal(reply_header(&reply, "Content-Type"), test->type);
    assert_non_null(strstr(reply.body, test->contains));
    assert_int_equal(reply.body[reply.body_len - 1], '\n');
    reply_free(&reply);
}

static void each_route_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        check_case(&GOOD[i]);
    }
}

static void what_is_wrong_is_a_problem_that_names_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        check_case(&BAD[i]);
    }
}

static void a_405_names_what_is_allowed(void **state)
{
    (void)state;
    struct reply reply = ask("PUT", "/v1/lookup", NULL, NULL);
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD, POST");
    reply_free(&reply);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    struct reply get = ask("GET", LOOKUP, NULL, NULL);
    struct reply head = ask("HEAD", LOOKUP, NULL, NULL);
    char length[32];
    snprintf(length, sizeof(length), "%zu", get.body_len);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body_len, 0);
    assert_string_equal(reply_header(&head, "Content-Length"), length);
    reply_free(&get);
    reply_free(&head);
}

static void one_connection_serves_many_requests(void **state)
{
    static const char ONE[] = "GET " LOOKUP " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char LAST[] =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    (void)state;
    int fd = client_connect(fixture.port);
    /* All at once: the service must not lose what came behind the first. */
    for (int i = 0; i < 20; i++) {
        client_send(fd, ONE, sizeof(ONE) - 1);
    }
    client_send(fd, LAST, sizeof(LAST) - 1);
    struct reply reply = client_finish(fd);
    size_t count = 0;
    /* split() has put a NUL behind the headers of the first reply. */
    for (size_t i = 0; i + 13 <= reply.len; i++) {
        count += memcmp(reply.text + i, "\"domain\":\"api", 13) == 0;
    }
    assert_int_equal(count, 20);
    assert_memory_equal(reply.text + reply.len - 3, "ok\n", 3);
    reply_free(&reply);
}

static void a_port_in_use_is_named(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    struct api *api;
    struct why why;
    char port[16];
    (void)state;
    options.port = fixture.port;
    assert_int_equal(api_start(&api, &options, &why), -EADDRINUSE);
    snprintf(port, sizeof(port), "%u", fixture.port);
    assert_non_null(strstr(why.text, port));
    options.port = 0;
    options.token_file = "/nonexistent/token";
    assert_int_equal(api_start(&api, &options, &why), -ENOENT);
    assert_non_null(strstr(why.text, "/nonexistent/token"));
}

/* ---- limits ---- */

static void a_body_over_the_limit_is_refused(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    struct buf body = {0};
    (void)state;
    options.max_body = 1000;
    restart(&options);
    while (body.len < 1000) {
        buf_char(&body, '\n');
    }
    buf_char(&body, '\0');
    struct reply reply = ask("POST", "/v1/lookup", NULL, body.data);
    expect(&reply, 200, "");
    body.data[body.len - 1] = '\n';
    buf_char(&body, '\0');
    /* Announced: refused before it is read. */
    reply = ask("POST", "/v1/lookup", NULL, body.data);
    expect(&reply, 413, "1000 bytes");
    /* Not announced: refused once it has become too long. */
    struct buf request = {0};
    buf_printf(&request,
               "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
               "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
               body.len - 1, body.data);
    reply = client_raw(fixture.port, request.data, request.len);
    expect(&reply, 413, "--http-max-body");
    buf_fini(&request);
    buf_fini(&body);
}

static void a_target_over_the_limit_is_refused(void **state)
{
    struct buf target = {0};
    (void)state;
    buf_str(&target, LOOKUP "&cluster=");
    while (target.len < 4096) {
        buf_char(&target, 'a');
    }
    buf_char(&target, '\0');
    struct reply reply = ask("GET", target.data, NULL, NULL);
    expect(&reply, 400, "\"field\":\"cluster\"");
    target.data[target.len - 1] = 'a';
    buf_char(&target, '\0');
    reply = ask("GET", target.data, NULL, NULL);
    expect(&reply, 414, "4096 octets");
    buf_fini(&target);
}

static void headers_without_end_are_refused(void **state)
{
    struct buf headers = {0};
    (void)state;
    while (headers.len < 100000) {
        buf_printf(&headers, "X-%zu: %0100d\r\n", headers.len, 0);
    }
    buf_char(&headers, '\0');
    struct reply reply = ask("GET", "/healthz", headers.data, NULL);
    assert_true(reply.status == 413 || reply.status == 431 || reply.status == 0);
    reply_free(&reply);
    buf_fini(&headers);
    reply = ask("GET", "/healthz", NULL, NULL);
    expect(&reply, 200, "ok");
}

static void a_client_over_the_rate_is_told_when_to_come_again(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    int refused = 0;
    (void)state;
    options.rate = 5;
    restart(&options);
    for (int i = 0; i < 20; i++) {
        struct reply reply = ask("GET", LOOKUP, NULL, NULL);
        assert_true(reply.status == 200 || reply.status == 429);
        if (reply.status == 429) {
            assert_string_equal(reply_header(&reply, "Retry-After"), "1");
            assert_non_null(strstr(reply.body, "more than 5 requests a second"));
            refused++;
        }
        reply_free(&reply);
    }
    assert_true(refused >= 5);
    struct reply reply = ask("GET", "/healthz", NULL, NULL);
    expect(&reply, 200, "ok");
}

static void one_address_cannot_take_all_connections(void **state)
{
    enum { EACH = 4 };
    struct api_options options = api_fixture_options(&fixture);
    int fds[EACH];
    (void)state;
    options.connections = 16;
    options.connections_each = EACH;
    restart(&options);
    /* An answered request on each shows that it is counted. */
    for (int i = 0; i < EACH; i++) {
        static const char ONE[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        char bytes[512];
        fds[i] = client_connect(fixture.port);
        client_send(fds[i], ONE, sizeof(ONE) - 1);
        assert_true(recv(fds[i], bytes, sizeof(bytes), 0) > 0);
    }
    struct reply reply = ask("GET", "/healthz", NULL, NULL);
    assert_int_equal(reply.status, 0);
    reply_free(&reply);
    for (int i = 0; i < EACH; i++) {
        close(fds[i]);
    }
    int status = 0;
    for (int tries = 0; tries < 100 && status != 200; tries++) {
        usleep(20000);
        reply = ask("GET", "/healthz", NULL, NULL);
        status = reply.status;
        reply_free(&reply);
    }
    assert_int_equal(status, 200);
}

/* ---- odd clients ---- */

static void a_client_that_sends_byte_by_byte_is_answered(void **state)
{
    static const char REQUEST[] =
        "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Content-Length: 54\r\n\r\n" LOOKUP_LINE;
    (void)state;
    assert_int_equal(strlen(LOOKUP_LINE), 54);
    int fd = client_connect(fixture.port);
    for (size_t i = 0; i < sizeof(REQUEST) - 1; i++) {
        client_send(fd, REQUEST + i, 1);
        usleep(200);
    }
    struct reply reply = client_finish(fd);
    expect(&reply, 200, "api.example.com");
}

static void a_client_that_has_closed_its_half_is_answered(void **state)
{
    static const char REQUEST[] =
        "GET " LOOKUP " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    (void)state;
    int fd = client_connect(fixture.port);
    client_send(fd, REQUEST, sizeof(REQUEST) - 1);
    shutdown(fd, SHUT_WR);
    struct reply reply = client_finish(fd);
    expect(&reply, 200, "api.example.com");
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
    static const char *const STARTS[] = {
        "",
        "G",
        "GET /v1/lookup?src=10.0",
        "GET " LOOKUP " HTTP/1.1\r\nHost: localh",
        "GET " LOOKUP " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"src\":",
        "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /v1/lookup HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\r\n\r\n\r\n\x16\x03\x01\x02",
    };
    (void)state;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(STARTS) / sizeof(STARTS[0]); i++) {
            int fd = client_connect(fixture.port);
            client_send(fd, STARTS[i], strlen(STARTS[i]));
            close(fd);
        }
    }
    struct reply reply = ask("GET", "/healthz", NULL, NULL);
    expect(&reply, 200, "ok");
}

static void a_silent_client_is_dropped(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    options.timeout_s = 1;
    restart(&options);
    int fd = client_connect(fixture.port);
    client_send(fd, "GET /healthz HT", 15);
    int64_t begin_us = clock_monotonic_us();
    struct reply reply = client_finish(fd);
    assert_int_not_equal(reply.status, 200);
    assert_true(clock_monotonic_us() - begin_us < 8 * US_PER_S);
    reply_free(&reply);
}

static void a_body_announced_too_long_is_refused_before_it_is_sent(void **state)
{
    static const char HEAD[] = "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 99999999999\r\n\r\n";
    (void)state;
    int fd = client_connect(fixture.port);
    client_send(fd, HEAD, sizeof(HEAD) - 1);
    int64_t begin_us = clock_monotonic_us();
    struct reply reply = client_finish(fd);
    expect(&reply, 413, "67108864 bytes");
    assert_true(clock_monotonic_us() - begin_us < 5 * US_PER_S);
}

/* ---- memory ---- */

static void a_service_without_memory_is_not_started(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        struct api_options options = api_fixture_options(&fixture);
        struct api *api = NULL;
        struct why why;
        options.rate = 10;
        alloc_fail_at(n);
        int err = api_start(&api, &options, &why);
        assert_int_equal(alloc_failed(), 1);
        alloc_fail_at(0);
        assert_int_equal(err, -ENOMEM);
        assert_null(api);
    }
}

static void a_request_without_memory_harms_no_other(void **state)
{
    (void)state;
    for (size_t n = 1; n < 60; n++) {
        struct api_options options = api_fixture_options(&fixture);
        options.threads = 1;
        restart(&options);
        struct buf request = {0};
        buf_printf(&request,
                   "POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   strlen(LOOKUP_LINE), LOOKUP_LINE);
        int fd = client_connect(fixture.port);
        alloc_fail_at(n);
        client_send(fd, request.data, request.len);
        char bytes[4096];
        (void)!recv(fd, bytes, sizeof(bytes), 0);
        alloc_fail_at(0);
        close(fd);
        buf_fini(&request);
        struct reply reply = ask("GET", LOOKUP, NULL, NULL);
        expect(&reply, 200, "api.example.com");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(each_route_answers),
        HTTP_TEST(what_is_wrong_is_a_problem_that_names_the_field),
        HTTP_TEST(a_405_names_what_is_allowed),
        HTTP_TEST(head_is_get_without_the_body),
        HTTP_TEST(one_connection_serves_many_requests),
        HTTP_TEST(a_port_in_use_is_named),
        HTTP_TEST(a_body_over_the_limit_is_refused),
        HTTP_TEST(a_target_over_the_limit_is_refused),
        HTTP_TEST(headers_without_end_are_refused),
        HTTP_TEST(a_client_over_the_rate_is_told_when_to_come_again),
        HTTP_TEST(one_address_cannot_take_all_connections),
        HTTP_TEST(a_client_that_sends_byte_by_byte_is_answered),
        HTTP_TEST(a_client_that_has_closed_its_half_is_answered),
        HTTP_TEST(clients_that_vanish_leave_nothing_behind),
        HTTP_TEST(a_silent_client_is_dropped),
        HTTP_TEST(a_body_announced_too_long_is_refused_before_it_is_sent),
        HTTP_TEST(a_service_without_memory_is_not_started),
        HTTP_TEST(a_request_without_memory_harms_no_other),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
