/* tests/unit/join/test_loki_pull.c -- log lines out of Loki, page by page
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_pull.h"

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

#define T_US (INT64_C(1779444000) * 1000000)
#define T_NS (T_US * 1000)

/* ---- What a SOURCE says ---- */

static const struct {
    const char *text;
    const char *is; /* "url name user query from to limit org token-file", or "!..." of why */
} SOURCES[] = {
    {"loki:http://127.0.0.1:3100?query={job=\"x\"}",
     "http://127.0.0.1:3100/loki/api/v1/query_range|loki:http://127.0.0.1:3100|-|{job=\"x\"}|-3600|"
     "0|5000|-|-"},
    {"loki:https://u%40:p@w@loki.example.com/base/"
     "?query=%7Ba%3D%22b%22%7D%20|%3D%20%22%26%22&since="
     "24h&limit=10&org=t%201&token-file=/t",
     "https://loki.example.com/base/loki/api/v1/query_range|loki:https://loki.example.com|u@:p@w|"
     "{a=\"b\"} |= \"&\"|-86400|0|10|t 1|/t"},
    {"loki:http://h/loki/api/v1/query_range?query={a=\"100%\"}&from=1779440000&to=2026-05-22T10:00:"
     "00Z",
     "http://h/loki/api/v1/query_range|loki:http://h|-|{a=\"100%\"}|-4000|1779444000|5000|-|-"},
    {"loki:ftp://h?query={}", "!http://HOST:PORT"},
    {"loki:http://?query={}", "!http://HOST:PORT"},
    {"loki:http://h", "!query: expected"},
    {"loki:http://h?query=", "!query: expected"},
    {"loki:http://h?query={}&since=soon", "!since: expected"},
    {"loki:http://h?query={}&from=x", "!from: expected"},
    {"loki:http://h?query={}&limit=5001", "!limit: expected"},
    {"loki:http://h?query={}&limit=+5", "!limit: expected"},
    {"loki:http://h?query={}&start=1", "!start: expected query, since"},
    {"loki:http://h?query={}&cluster=", "!cluster: expected a name"},
    {"loki:http://h?query={}&from=1779444000&to=1779444000", "!to: expected"},
};

static void sources_are_read_or_refused_with_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++) {
        struct loki_source source;
        struct why why = {""};
        char is[512];
        int err = loki_source_parse(&source, SOURCES[i].text, T_US, &why);
        if (SOURCES[i].is[0] == '!') {
            if (err != W_EUSAGE || strstr(why.text, SOURCES[i].is + 1) == NULL) {
                fail_msg("%s: %d %s", SOURCES[i].text, err, why.text);
            }
            continue;
        }
        assert_int_equal(err, 0);
        snprintf(is, sizeof(is), "%s|%s|%s|%s|%" PRId64 "|%" PRId64 "|%u|%s|%s", source.url,
                 source.name, source.user != NULL ? source.user : "-", source.query,
                 (source.from_us - T_US) / US_PER_S, source.to_us / US_PER_S, source.limit,
                 source.org != NULL ? source.org : "-",
                 source.token_file != NULL ? source.token_file : "-");
        assert_string_equal(is, SOURCES[i].is);
        loki_source_fini(&source);
    }
}

/* ---- A Loki of our own ---- */

enum { LINES_MAX = 4000 };

/* Lines at times (in ns after T), each "line-NUMBER" of the stream NUMBER % 3. */
struct server {
    int64_t times_ns[LINES_MAX];
    size_t count;
    int64_t range_max_ns; /* longer ranges are refused; 0: none */
    uint32_t limit_max;   /* higher limits are refused; 0: none */
    int busy;             /* answers of 503 before the next good one */
    const char *always;   /* what is answered instead of anything: "STATUS BODY" */
    int timeout_above_s;  /* ranges longer than this time out; 0: never */
    int queries;
    int64_t slept_us;
};

static uint64_t param(const char *url, const char *name)
{
    const char *at = strstr(url, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static int get(void *ctx, const char *url, struct buf *body, long *status, struct why *why)
{
    struct server *server = ctx;
    int64_t start_ns = (int64_t)param(url, "start=") - T_NS;
    int64_t end_ns = (int64_t)param(url, "end=") - T_NS;
    uint64_t limit = param(url, "limit=");
    server->queries++;
    assert_non_null(strstr(url, "http://h/loki/api/v1/query_range?direction=forward&"));
    assert_non_null(strstr(url, "&query=%7Ba%3D%22b%22%7D"));
    *status = 200;
    if (server->always != NULL) {
        *status = atol(server->always);
        buf_str(body, strchr(server->always, ' ') + 1);
    } else if (server->busy > 0) {
        server->busy--;
        *status = 503;
    } else if (server->range_max_ns > 0 && end_ns - start_ns > server->range_max_ns) {
        *status = 400;
        buf_str(body, "maximum number of series (500) reached for a single query\n");
    } else if (server->limit_max > 0 && limit > server->limit_max) {
        *status = 400;
        buf_str(body, "max entries limit per query exceeded, limit > max_entries_limit\n");
    } else if (server->timeout_above_s > 0 &&
               end_ns - start_ns > server->timeout_above_s * INT64_C(1000000000)) {
        return why_set(why, -ETIMEDOUT, "no answer");
    } else {
        /* The first `limit` in their order, then by stream, as Loki does it. */
        size_t first = 0, last;
        while (first < server->count && server->times_ns[first] < start_ns) {
            first++;
        }
        for (last = first; last < server->count && server->times_ns[last] < end_ns; last++) {
        }
        last = last - first > limit ? first + limit : last;
        buf_str(body, "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[");
        for (size_t stream = 0; stream < 3; stream++) {
            const char *comma = "";
            buf_printf(body, "%s{\"stream\":{\"s\":\"%zu\"},\"values\":[", stream > 0 ? "," : "",
                       stream);
            for (size_t i = first; i < last; i++) {
                if (i % 3 == stream) {
                    buf_printf(body, "%s[\"%" PRId64 "\",\"line-%zu\"]", comma,
                               T_NS + server->times_ns[i], i);
                    comma = ",";
                }
            }
            buf_str(body, "]}");
        }
        buf_str(body, "],\"stats\":{}}}");
    }
    return body->err;
}

static void keep_time(void *ctx, int64_t us)
{
    struct server *server = ctx;
    server->slept_us += us;
}

/* Pulls T to T + 1 h. Returns what the last loki_pull_next did. */
static int pull_all(struct server *server, uint32_t limit, struct buf *lines, uint64_t *capped,
                    struct why *why)
{
    struct loki_source source;
    struct loki_pull *pull;
    struct loki_fetch fetch = {get, keep_time, server};
    int more;
    assert_int_equal(
        loki_source_parse(&source, "loki:http://h?query={a=\"b\"}&from=1779444000", T_US, why), 0);
    source.limit = limit;
    assert_int_equal(loki_pull_new(&pull, &source, &fetch), 0);
    do {
        more = loki_pull_next(pull, T_US + US_PER_HOUR, lines, why);
    } while (more > 0);
    *capped = loki_pull_capped(pull);
    loki_pull_free(&pull);
    loki_source_fini(&source);
    buf_char(lines, '\0');
    return more;
}

/* Asserts that each line came once and in the order of time. */
static void expect_all(const struct server *server, const struct buf *lines)
{
    static bool came[LINES_MAX];
    const char *at = lines->data;
    int64_t before_ns = INT64_MIN;
    size_t count = 0;
    memset(came, 0, sizeof(came));
    while ((at = strstr(at, "\"line\":\"line-")) != NULL) {
        size_t number = strtoull(at + 13, NULL, 10);
        assert_in_range(number, 0, server->count - 1);
        assert_false(came[number]);
        came[number] = true;
        assert_true(server->times_ns[number] >= before_ns);
        before_ns = server->times_ns[number];
        count++;
        at += 13;
    }
    assert_int_equal(count, server->count);
}

/* Lines `per_instant` at a time, `apart_ns` apart. */
static void fill(struct server *server, size_t count, size_t per_instant, int64_t apart_ns)
{
    *server = (struct server){.count = count};
    for (size_t i = 0; i < count; i++) {
        server->times_ns[i] = (int64_t)(i / per_instant) * apart_ns;
    }
}

static void each_line_comes_once_whatever_the_page(void **state)
{
    (void)state;
    static const size_t PER_INSTANT[] = {1, 2, 3, 7};
    static const uint32_t LIMITS[] = {7, 8, 9, 100, 999, 1000, 1001, 5000};
    for (size_t p = 0; p < 4; p++) {
        for (size_t l = 0; l < 8; l++) {
            struct server server;
            struct buf lines = {0};
            struct why why = {""};
            uint64_t capped;
            fill(&server, 1000, PER_INSTANT[p], 1000001);
            assert_int_equal(pull_all(&server, LIMITS[l], &lines, &capped, &why), 0);
            if (LIMITS[l] > PER_INSTANT[p]) {
                expect_all(&server, &lines);
                assert_int_equal(capped, 0);
            }
            buf_fini(&lines);
        }
    }
}

static void lines_are_those_of_logcli(void **state)
{
    struct server server = {.count = 1, .times_ns = {1123456789}};
    struct buf lines = {0};
    struct why why = {""};
    uint64_t capped;
    (void)state;
    assert_int_equal(pull_all(&server, 100, &lines, &capped, &why), 0);
    assert_string_equal(lines.data, "{\"labels\":{\"s\":\"0\"},\"line\":\"line-0\",\"timestamp\":"
                                    "\"2026-05-22T10:00:01.123456789Z\"}\n");
    buf_fini(&lines);
}

static void more_at_one_nanosecond_than_a_page_holds_is_told_and_passed_over(void **state)
{
    struct server server;
    struct buf lines = {0};
    struct why why = {""};
    uint64_t capped;
    (void)state;
    fill(&server, 30, 10, 1000000);
    assert_int_equal(pull_all(&server, 4, &lines, &capped, &why), 0);
    assert_int_equal(capped, 3);
    size_t count = 0;
    for (const char *at = lines.data; (at = strstr(at, "line-")) != NULL; at++) {
        count++;
    }
    assert_int_equal(count, 12);
    buf_fini(&lines);
}

static void what_loki_refuses_is_asked_in_smaller_pieces(void **state)
{
    static const struct server LIMITED[] = {
        {.range_max_ns = INT64_C(60000000000)},
        {.limit_max = 100},
        {.timeout_above_s = 100},
        {.busy = 3},
        {.range_max_ns = INT64_C(300000000000), .limit_max = 10, .busy = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(LIMITED) / sizeof(LIMITED[0]); i++) {
        struct server server;
        struct buf lines = {0};
        struct why why = {""};
        uint64_t capped;
        fill(&server, 1000, 2, INT64_C(7000000000));
        server.range_max_ns = LIMITED[i].range_max_ns;
        server.limit_max = LIMITED[i].limit_max;
        server.timeout_above_s = LIMITED[i].timeout_above_s;
        server.busy = LIMITED[i].busy;
        assert_int_equal(pull_all(&server, 5000, &lines, &capped, &why), 0);
        assert_int_equal(server.slept_us > 0, LIMITED[i].busy > 0);
        expect_all(&server, &lines);
        buf_fini(&lines);
    }
}

static void what_cannot_be_mended_is_told(void **state)
{
    static const struct {
        const char *always;
        const char *why;
        int queries;
    } CASES[] = {
        {"401 no", "loki:http://h: answered 401: no", 1},
        {"404 page not found\n", "answered 404: page not found", 1},
        {"400 parse error at line 1, col 3", "answered 400: parse error", 1},
        {"400 maximum of everything", "answered 400: maximum", 0},
        {"503 away", "answered 503: away", 5},
        {"200 {\"status\":\"success\",\"data\":{\"result\":[{\"values\":[[1,2]]}]}}",
         "was this a metric query?", 1},
        {"200 <html>", "was this a metric query?", 1},
        {"200 {\"status\":\"success\",\"data\":{", "was this a metric query?", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct server server = {.always = CASES[i].always};
        struct buf lines = {0};
        struct why why = {""};
        uint64_t capped;
        assert_true(pull_all(&server, 5000, &lines, &capped, &why) < 0);
        if (strstr(why.text, CASES[i].why) == NULL) {
            fail_msg("%s: %s", CASES[i].always, why.text);
        }
        assert_true(CASES[i].queries == 0 || server.queries == CASES[i].queries);
        buf_fini(&lines);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct loki_source source;
        struct loki_pull *pull = NULL;
        struct server server;
        struct loki_fetch fetch = {get, keep_time, &server};
        struct buf lines = {0};
        struct why why = {""};
        fill(&server, 40, 1, 1000);
        alloc_fail_at(n);
        int err = loki_source_parse(
            &source, "loki:http://u:p@h?query={a=\"b\"}&from=1779444000&limit=8", T_US, &why);
        if (err == 0) {
            err = loki_pull_new(&pull, &source, &fetch);
            err = err == 0 ? loki_pull_next(pull, T_US + US_PER_S, &lines, &why) : err;
            err = err == 1 ? loki_pull_next(pull, T_US + US_PER_S, &lines, &why) : err;
        }
        failed = alloc_failed();
        alloc_fail_at(0);
        if (failed == 0) {
            assert_int_equal(err, 1);
        } else {
            assert_true(err < 0 || err == 1); /* labels are done without */
        }
        loki_pull_free(&pull);
        loki_source_fini(&source);
        buf_fini(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_are_read_or_refused_with_what_was_expected),
        cmocka_unit_test(each_line_comes_once_whatever_the_page),
        cmocka_unit_test(lines_are_those_of_logcli),
        cmocka_unit_test(more_at_one_nanosecond_than_a_page_holds_is_told_and_passed_over),
        cmocka_unit_test(what_loki_refuses_is_asked_in_smaller_pieces),
        cmocka_unit_test(what_cannot_be_mended_is_told),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
