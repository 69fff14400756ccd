/* tests/unit/api/test_http.c -- the HTTP service, asked over real sockets
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/api_fixture.h"

#define TOKEN "0123456789abcdef-token"
#define LOOKUP "/v1/lookup?src=10.0.0.7&dst=192.0.2.10&at=2026-05-22T10:00:05Z"
#define LOOKUP_LINE "{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.10\",\"at\":1779444005}\n"

static struct api_fixture fixture;

/* Stops what runs and starts the service anew with these options. */
static void restart(const struct api_options *options)
{
    api_stop(&fixture.api);
    api_fixture_start(&fixture, options);
}

static struct reply ask(const char *method, const char *target, const char *headers,
                        const char *body)
{
    return client_ask(fixture.port, method, target, headers, body);
}

static void expect(struct reply *reply, int status, const char *body)
{
    assert_int_equal(reply->status, status);
    assert_non_null(strstr(reply->body, body));
    reply_free(reply);
}

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
    {"GET", "/v1/flows", NULL, NULL, 404, PROBLEM, "\"title\":\"Not Found\""},
    {"GET", "/v1/edges", NULL, NULL, 404, PROBLEM, "openapi.json"},
    {"POST", "/v1/flows", NULL, "{}", 404, PROBLEM, "\"status\":404"},
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

/* ---- bulk lookups ---- */

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

/* ---- pages ---- */

static void pages_of_a_list_give_each_row_once_newest_first(void **state)
{
    char cursor[128] = "";
    int next = 59;
    (void)state;
    do {
        char target[256];
        snprintf(target, sizeof(target), "/v1/names/list.example.com?under=true&limit=7%s%s",
                 cursor[0] != '\0' ? "&cursor=" : "", cursor);
        struct reply reply = ask("GET", target, NULL, NULL);
        assert_int_equal(reply.status, 200);
        for (const char *at = reply.body; (at = strstr(at, "\"asked\":\"n")) != NULL; at++) {
            assert_int_equal(atoi(at + 10), next);
            next--;
        }
        char *more = strstr(reply.body, "\"next\":\"");
        cursor[0] = '\0';
        if (more != NULL) {
            snprintf(cursor, sizeof(cursor), "%.*s", (int)strcspn(more + 8, "\""), more + 8);
        }
        reply_free(&reply);
    } while (cursor[0] != '\0');
    assert_int_equal(next, 9);
}

/* ---- who may ask ---- */

static void token_file(char path[32])
{
    strcpy(path, "/tmp/token-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, TOKEN "\n", sizeof(TOKEN)), sizeof(TOKEN));
    close(fd);
}

static void with_a_token_everything_but_probes_and_metrics_needs_it(void **state)
{
    static const struct {
        const char *target;
        const char *headers;
        int status;
    } TESTS[] = {
        {"/v1/status", NULL, 401},
        {"/v1/status", "Authorization: Bearer wrong-wrong-wrong-wrong\r\n", 401},
        {"/v1/status", "Authorization: Basic " TOKEN "\r\n", 401},
        {"/v1/status", "Authorization: Bearer " TOKEN "\r\n", 200},
        {"/v1/status", "Authorization: Bearer " TOKEN "\r\nHost: example.com\r\n", 200},
        {"/v1/lookup?nonsense", NULL, 401}, /* before anything else is told */
        {"/nothing", NULL, 401},
        {"/nothing", "Authorization: Bearer " TOKEN "\r\n", 404},
        {"/openapi.json", NULL, 401},
        {"/healthz", NULL, 200},
        {"/readyz", NULL, 200},
        {"/metrics", NULL, 200},
    };
    char path[32];
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    token_file(path);
    options.token_file = path;
    restart(&options);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct reply reply = ask("GET", TESTS[i].target, TESTS[i].headers, NULL);
        assert_int_equal(reply.status, TESTS[i].status);
        bool challenged = strncmp(reply_header(&reply, "WWW-Authenticate"), "Bearer", 6) == 0;
        assert_int_equal(challenged, TESTS[i].status == 401);
        reply_free(&reply);
    }
    /* A body without the token is not waited for. */
    struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
    expect(&reply, 401, "Authorization");
    unlink(path);
}

static void beyond_loopback_it_does_not_start_without_a_token(void **state)
{
    static const char *const ADDRESSES[] = {"0.0.0.0", "::", "192.0.2.1", "2001:db8::1"};
    (void)state;
    for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
        struct api_options options = api_fixture_options(&fixture);
        struct api *api;
        struct why why;
        assert_true(addr_parse(&options.address, ADDRESSES[i], strlen(ADDRESSES[i])));
        assert_int_equal(api_start(&api, &options, &why), W_EUSAGE);
        assert_null(api);
        assert_non_null(strstr(why.text, "--http-token-file"));
        assert_non_null(strstr(why.text, ADDRESSES[i]));
    }
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

/* ---- readiness, metrics ---- */

static bool not_ready(void *ctx, struct why *why)
{
    bool ready = *(bool *)ctx;
    why_set(why, 0, "no listener yet");
    return ready;
}

static void readiness_is_what_the_service_says(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    bool ready = false;
    (void)state;
    options.ready = not_ready;
    options.ready_ctx = &ready;
    restart(&options);
    struct reply reply = ask("GET", "/readyz", NULL, NULL);
    expect(&reply, 503, "no listener yet");
    ready = true;
    reply = ask("GET", "/readyz", NULL, NULL);
    expect(&reply, 200, "ok");
    api_stop(&fixture.api);
}

static void metrics_count_requests_and_verdicts_and_name_nobody(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    options.threads = 1;
    restart(&options);
    for (int i = 0; i < 3; i++) {
        struct reply reply = ask("GET", LOOKUP, NULL, NULL);
        reply_free(&reply);
    }
    struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE LOOKUP_LINE);
    reply_free(&reply);
    reply = ask("GET", "/v1/names/..", NULL, NULL);
    reply_free(&reply);
    reply = ask("GET", "/secret.example.com", NULL, NULL);
    reply_free(&reply);
    reply = ask("GET", "/metrics", NULL, NULL);
    static const char *const LINES[] = {
        "\nwhither_http_requests_total{method=\"GET\",route=\"/v1/lookup\",code=\"200\"} 3\n",
        "\nwhither_http_requests_total{method=\"POST\",route=\"/v1/lookup\",code=\"200\"} 1\n",
        "\nwhither_http_requests_total{method=\"GET\",route=\"/v1/names/{name}\",code=\"400\"} 1\n",
        "\nwhither_http_requests_total{method=\"\",route=\"none\",code=\"404\"} 1\n",
        "\nwhither_lookups_total{verdict=\"resolved\"} 5\n",
        "\nwhither_dnstap_frames_total{result=\"answer\"} ",
        "\nwhither_index_sightings 54\n",
    };
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        assert_non_null(strstr(reply.body, LINES[i]));
    }
    assert_null(strstr(reply.body, "10.0.0."));
    assert_null(strstr(reply.body, "example"));
    reply_free(&reply);
}

/* ---- captures ---- */

/* What the calls of a session were. */
struct sink {
    int begin_err;
    int push_err;
    int end_err;
    int begun;
    int aborted;
    int ended;
    char cluster[64];
    char peer[64];
    int64_t from_us;
    int64_t to_us;
    struct buf bytes;
};

static int sink_begin(void *ctx, const struct api_capture *capture, void **session, struct why *why)
{
    struct sink *sink = ctx;
    sink->begun++;
    snprintf(sink->cluster, sizeof(sink->cluster), "%s", capture->cluster);
    snprintf(sink->peer, sizeof(sink->peer), "%s", capture->peer);
    sink->from_us = capture->covers_from_us;
    sink->to_us = capture->covers_to_us;
    *session = sink;
    return sink->begin_err == 0 ? 0 : why_set(why, sink->begin_err, "begin refused");
}

static int sink_push(void *session, const uint8_t *bytes, size_t len, struct why *why)
{
    struct sink *sink = session;
    buf_add(&sink->bytes, bytes, len);
    return sink->push_err == 0 ? 0 : why_set(why, sink->push_err, "push refused");
}

static int sink_end(void *session, struct buf *summary, struct why *why)
{
    struct sink *sink = session;
    sink->ended++;
    buf_printf(summary, "{\"bytes\":%zu}", sink->bytes.len);
    return sink->end_err == 0 ? 0 : why_set(why, sink->end_err, "end refused");
}

static void sink_abort(void *session)
{
    ((struct sink *)session)->aborted++;
}

static void captures_are_pushed_on_as_they_come(void **state)
{
    static const struct {
        const char *query;
        int begin_err;
        int push_err;
        int end_err;
        int status;
        const char *body;
        int begun;
        int ended;
        int aborted;
    } TESTS[] = {
        {"", 0, 0, 0, 200, "{\"bytes\":200000}", 1, 1, 0},
        {"?cluster=prod-1", 0, 0, 0, 200, "{\"bytes\":200000}", 1, 1, 0},
        {"?from=1779444000&to=1779444060", 0, 0, 0, 200, "{\"bytes\":200000}", 1, 1, 0},
        {"?from=1779444000", 0, 0, 0, 400, "\"field\":\"to\"", 0, 0, 0},
        {"?from=1779444060&to=1779444000", 0, 0, 0, 400, "\"field\":\"from\"", 0, 0, 0},
        {"?file=x", 0, 0, 0, 400, "\"field\":\"file\"", 0, 0, 0},
        {"", -EBUSY, 0, 0, 503, "begin refused", 1, 0, 0},
        {"", 0, W_ESYNTAX, 0, 400, "push refused", 1, 0, 1},
        {"", 0, W_EFORMAT, 0, 400, "\"field\":\"body\"", 1, 0, 1},
        {"", 0, -ENOSPC, 0, 503, "push refused", 1, 0, 1},
        {"", 0, 0, W_ESYNTAX, 400, "end refused", 1, 1, 0},
        {"", 0, 0, -EIO, 500, "end refused", 1, 1, 0},
    };
    struct sink sink;
    struct api_ingest ingest = {&sink, sink_begin, sink_push, sink_end, sink_abort};
    struct api_options options = api_fixture_options(&fixture);
    char *body = malloc(200001);
    (void)state;
    memset(body, 'x', 200000);
    body[200000] = '\0';
    options.ingest = &ingest;
    restart(&options);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        char target[128];
        sink = (struct sink){.begin_err = TESTS[i].begin_err,
                             .push_err = TESTS[i].push_err,
                             .end_err = TESTS[i].end_err};
        snprintf(target, sizeof(target), "/v1/ingest%s", TESTS[i].query);
        struct reply reply = ask("POST", target, NULL, body);
        assert_int_equal(reply.status, TESTS[i].status);
        assert_non_null(strstr(reply.body, TESTS[i].body));
        reply_free(&reply);
        api_stop(&fixture.api); /* so that every call has been made */
        assert_int_equal(sink.begun, TESTS[i].begun);
        assert_int_equal(sink.ended, TESTS[i].ended);
        assert_int_equal(sink.aborted, TESTS[i].aborted);
        if (TESTS[i].status == 200) {
            bool named = strstr(TESTS[i].query, "prod-1") != NULL;
            assert_string_equal(sink.cluster, named ? "prod-1" : "default");
            assert_string_equal(sink.peer, "http:127.0.0.1");
            assert_int_equal(sink.bytes.len, 200000);
            bool covers = strstr(TESTS[i].query, "from") != NULL;
            assert_int_equal(sink.from_us, covers ? FIXTURE_T_US : 0);
            assert_int_equal(sink.to_us, covers ? FIXTURE_T_US + US_PER_MIN : 0);
        }
        buf_fini(&sink.bytes);
        restart(&options);
    }
    /* A sender that vanishes. */
    sink = (struct sink){0};
    int fd = client_connect(fixture.port);
    static const char CUT[] = "POST /v1/ingest HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 100\r\n\r\nabc";
    client_send(fd, CUT, sizeof(CUT) - 1);
    usleep(100000);
    close(fd);
    usleep(100000);
    api_stop(&fixture.api);
    assert_int_equal(sink.begun, 1);
    assert_int_equal(sink.aborted, 1);
    buf_fini(&sink.bytes);
    free(body);
}

/* ---- the index ---- */

static uint64_t index_bytes(void)
{
    struct store_view *view;
    struct store_status status;
    assert_int_equal(store_view_new(fixture.store, &view), 0);
    assert_int_equal(store_status(view, &status), 0);
    store_view_free(&view);
    return status.bytes;
}

static void an_idle_service_does_not_keep_the_index_from_using_its_pages_again(void **state)
{
    uint64_t bytes[2];
    struct why why;
    (void)state;
    uint16_t cluster = store_cluster(fixture.store, "default");
    struct reply reply = ask("GET", LOOKUP, NULL, NULL);
    expect(&reply, 200, "resolved");
    reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
    expect(&reply, 200, "resolved");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            const uint8_t v4[4] = {10, 0, 1, (uint8_t)i};
            struct addr client = addr_from_v4(v4);
            assert_int_equal(store_asked(fixture.store, cluster, &client,
                                         FIXTURE_T_US + (round * 200 + i) * US_PER_MIN),
                             0);
            assert_int_equal(store_commit(fixture.store, clock_now_us(), &why), 0);
        }
        bytes[round] = index_bytes();
    }
    assert_true(bytes[1] < bytes[0] + (1 << 20));
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

static int fresh(void **state)
{
    (void)state;
    struct api_options options = api_fixture_options(&fixture);
    restart(&options);
    return 0;
}

static int open_fixture(void **state)
{
    (void)state;
    api_fixture_open(&fixture);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    api_fixture_close(&fixture);
    return 0;
}

#define HTTP_TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(each_route_answers),
        HTTP_TEST(what_is_wrong_is_a_problem_that_names_the_field),
        HTTP_TEST(a_405_names_what_is_allowed),
        HTTP_TEST(head_is_get_without_the_body),
        HTTP_TEST(one_connection_serves_many_requests),
        HTTP_TEST(bulk_lookups_come_back_in_order_with_errors_in_place),
        HTTP_TEST(a_chunked_body_split_anywhere_is_the_same_body),
        HTTP_TEST(a_reply_longer_than_a_block_is_whole),
        HTTP_TEST(pages_of_a_list_give_each_row_once_newest_first),
        HTTP_TEST(with_a_token_everything_but_probes_and_metrics_needs_it),
        HTTP_TEST(beyond_loopback_it_does_not_start_without_a_token),
        HTTP_TEST(a_port_in_use_is_named),
        HTTP_TEST(a_body_over_the_limit_is_refused),
        HTTP_TEST(a_line_over_the_limit_is_an_error_in_its_place),
        HTTP_TEST(a_target_over_the_limit_is_refused),
        HTTP_TEST(headers_without_end_are_refused),
        HTTP_TEST(a_client_over_the_rate_is_told_when_to_come_again),
        HTTP_TEST(one_address_cannot_take_all_connections),
        HTTP_TEST(bulk_bodies_share_one_budget),
        HTTP_TEST(a_client_that_sends_byte_by_byte_is_answered),
        HTTP_TEST(a_client_that_has_closed_its_half_is_answered),
        HTTP_TEST(clients_that_vanish_leave_nothing_behind),
        HTTP_TEST(a_silent_client_is_dropped),
        HTTP_TEST(readiness_is_what_the_service_says),
        HTTP_TEST(metrics_count_requests_and_verdicts_and_name_nobody),
        HTTP_TEST(captures_are_pushed_on_as_they_come),
        HTTP_TEST(an_idle_service_does_not_keep_the_index_from_using_its_pages_again),
        HTTP_TEST(a_body_announced_too_long_is_refused_before_it_is_sent),
        HTTP_TEST(a_service_without_memory_is_not_started),
        HTTP_TEST(a_request_without_memory_harms_no_other),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
