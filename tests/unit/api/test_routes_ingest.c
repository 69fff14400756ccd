/* tests/unit/api/test_routes_ingest.c -- POST /v1/ingest: captures on their way to the writer
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include <errno.h>
#include <unistd.h>

#include "tests/support/http_test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(captures_are_pushed_on_as_they_come),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
