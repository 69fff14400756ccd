/* tests/unit/cli/test_remote.c -- the client of a service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/api_fixture.h"

#define TOKEN "0123456789abcdef-token"
#define LINE "{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.10\",\"at\":1779444005}\n"

static struct api_fixture fixture;
static char url[64];

static void start(const struct api_options *options)
{
    api_stop(&fixture.api);
    api_fixture_start(&fixture, options);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", fixture.port);
}

static int fresh(void **state)
{
    (void)state;
    struct api_options options = api_fixture_options(&fixture);
    start(&options);
    return 0;
}

static void a_good_answer_is_the_body_and_the_connection_is_kept(void **state)
{
    struct remote *remote;
    struct why why = {""};
    (void)state;
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    for (int i = 0; i < 3; i++) {
        struct buf body = {0};
        assert_int_equal(remote_get(remote, "/healthz", &body, &why), 0);
        assert_int_equal(body.len, 3);
        assert_memory_equal(body.data, "ok\n", 3);
        buf_fini(&body);
    }
    assert_int_equal(api_connections(fixture.api), 1);
    remote_free(&remote);
    assert_null(remote);
}

static void a_problem_becomes_an_error_with_its_detail(void **state)
{
    static const struct {
        const char *target;
        int err;
        const char *why;
    } TESTS[] = {
        {"/v1/lookup?src=x&dst=192.0.2.1", W_ESYNTAX, "answers 400: src: 'x' is not an IP address"},
        {"/v1/nothing", -EIO, "answers 404: there is nothing"},
        {"/v1/ingest", -EIO, "answers 405"},
    };
    struct remote *remote;
    struct why why = {""};
    (void)state;
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct buf body = {0};
        assert_int_equal(remote_get(remote, TESTS[i].target, &body, &why), TESTS[i].err);
        assert_non_null(strstr(why.text, TESTS[i].why));
        assert_non_null(strstr(why.text, url));
        assert_int_equal(body.len, 0);
        buf_fini(&body);
    }
    remote_free(&remote);
}

static void the_token_is_sent(void **state)
{
    char path[] = "/tmp/token-XXXXXX";
    struct api_options options = api_fixture_options(&fixture);
    struct remote *remote;
    struct buf body = {0};
    struct why why = {""};
    (void)state;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, TOKEN "\n", sizeof(TOKEN)), sizeof(TOKEN));
    close(fd);
    options.token_file = path;
    start(&options);
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    assert_int_equal(remote_get(remote, "/v1/status", &body, &why), -EACCES);
    assert_non_null(strstr(why.text, "401"));
    remote_free(&remote);
    assert_int_equal(remote_new(&remote, url, path, &why), 0);
    assert_int_equal(remote_get(remote, "/v1/status", &body, &why), 0);
    assert_true(body.len > 0);
    remote_free(&remote);
    buf_fini(&body);
    unlink(path);
    assert_int_equal(remote_new(&remote, url, path, &why), -ENOENT);
    assert_null(remote);
}

static void no_service_is_told_apart_from_a_service_that_refuses(void **state)
{
    struct remote *remote;
    struct buf body = {0};
    struct why why = {""};
    (void)state;
    api_stop(&fixture.api);
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    assert_int_equal(remote_get(remote, "/healthz", &body, &why), -ECONNREFUSED);
    assert_non_null(strstr(why.text, url));
    remote_free(&remote);
    assert_int_equal(remote_new(&remote, "file:///etc", NULL, &why), 0);
    assert_int_equal(remote_get(remote, "/hostname", &body, &why), -EIO);
    assert_int_equal(body.len, 0);
    remote_free(&remote);
}

/* Sends LINE `left` times, then `err`. */
struct feed {
    size_t left;
    size_t at;
    int err;
};

static ssize_t read_feed(void *ctx, char *bytes, size_t cap)
{
    struct feed *feed = ctx;
    size_t len = 0;
    while (len < cap && feed->left > 0) {
        bytes[len++] = LINE[feed->at++];
        if (feed->at == sizeof(LINE) - 1) {
            feed->at = 0;
            feed->left--;
        }
    }
    return len > 0 ? (ssize_t)len : feed->err;
}

/* Counts lines; refuses after `max`. */
struct drain {
    size_t lines;
    size_t max;
};

static int write_drain(void *ctx, const char *bytes, size_t len)
{
    struct drain *drain = ctx;
    for (size_t i = 0; i < len; i++) {
        drain->lines += bytes[i] == '\n';
    }
    return drain->lines > drain->max ? -ENOSPC : 0;
}

static void a_body_is_sent_as_it_comes_and_its_answer_taken_as_it_comes(void **state)
{
    struct feed feed = {.left = 30000};
    struct drain drain = {.max = SIZE_MAX};
    struct remote *remote;
    struct why why = {""};
    (void)state;
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    assert_int_equal(remote_post(remote, "/v1/lookup", "application/jsonl", read_feed, &feed,
                                 write_drain, &drain, &why),
                     0);
    assert_int_equal(drain.lines, 30000);
    /* The same client can then get. */
    struct buf body = {0};
    assert_int_equal(remote_get(remote, "/healthz", &body, &why), 0);
    assert_int_equal(body.len, 3);
    buf_fini(&body);
    remote_free(&remote);
}

static void a_callback_that_fails_ends_the_call_with_its_error(void **state)
{
    struct feed broken = {.left = 10, .err = -EPIPE};
    struct feed feed = {.left = 10000};
    struct drain full = {.max = 5};
    struct drain drain = {.max = SIZE_MAX};
    struct remote *remote;
    struct why why = {""};
    (void)state;
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    assert_int_equal(remote_post(remote, "/v1/lookup", "application/jsonl", read_feed, &broken,
                                 write_drain, &drain, &why),
                     -EPIPE);
    assert_int_equal(remote_post(remote, "/v1/lookup", "application/jsonl", read_feed, &feed,
                                 write_drain, &full, &why),
                     -ENOSPC);
    remote_free(&remote);
}

static void a_body_that_is_refused_on_the_way_says_why(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    struct feed feed = {.left = 20000};
    struct drain drain = {.max = SIZE_MAX};
    struct remote *remote;
    struct why why = {""};
    (void)state;
    options.max_body = 10000;
    start(&options);
    assert_int_equal(remote_new(&remote, url, NULL, &why), 0);
    assert_int_equal(remote_post(remote, "/v1/lookup", "application/jsonl", read_feed, &feed,
                                 write_drain, &drain, &why),
                     W_ESYNTAX);
    assert_non_null(strstr(why.text, "10000 bytes"));
    assert_int_equal(drain.lines, 0);
    remote_free(&remote);
}

static void what_is_not_unreserved_is_escaped(void **state)
{
    struct buf buf = {0};
    (void)state;
    remote_escape(&buf, "aZ9-._~ /?&=+%\xc3\xa4", 16);
    buf_char(&buf, '\0');
    assert_string_equal(buf.data, "aZ9-._~%20%2F%3F%26%3D%2B%25%C3%A4");
    buf_fini(&buf);
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

#define REMOTE_TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_TEST(a_good_answer_is_the_body_and_the_connection_is_kept),
        REMOTE_TEST(a_problem_becomes_an_error_with_its_detail),
        REMOTE_TEST(the_token_is_sent),
        REMOTE_TEST(no_service_is_told_apart_from_a_service_that_refuses),
        REMOTE_TEST(a_body_is_sent_as_it_comes_and_its_answer_taken_as_it_comes),
        REMOTE_TEST(a_callback_that_fails_ends_the_call_with_its_error),
        REMOTE_TEST(a_body_that_is_refused_on_the_way_says_why),
        cmocka_unit_test(what_is_not_unreserved_is_escaped),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
