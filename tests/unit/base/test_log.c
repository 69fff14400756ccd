/* tests/unit/base/test_log.c -- what the program says about itself, on stderr
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* stderr goes to a file meanwhile. */
static FILE *captured;
static int real_stderr;

static void capture_begin(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* Restores stderr and returns what came. */
static const char *capture_end(void)
{
    static char text[1 << 20];
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    rewind(captured);
    text[fread(text, 1, sizeof(text) - 1, captured)] = '\0';
    fclose(captured);
    return text;
}

/* The part of a line after its time. */
static const char *after_time(const char *line)
{
    assert_memory_equal(line, "time=", 5);
    const char *level = strstr(line, " level=");
    assert_non_null(level);
    /* 2026-05-22T10:00:01.123456Z */
    assert_int_equal(level - line, 5 + 27);
    return level + 1;
}

static void an_event_is_one_logfmt_line(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    capture_begin();
    log_warn("peer %s: %d frames", "192.0.2.1", 7);
    assert_string_equal(after_time(capture_end()), "level=warn msg=\"peer 192.0.2.1: 7 frames\"\n");
}

static void under_systemd_a_line_starts_with_its_priority(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    capture_begin();
    log_error("e");
    log_info("i");
    const char *text = capture_end();
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(text, "<3>level=error msg=\"e\"\n<6>level=info msg=\"i\"\n");
}

static void what_peers_send_cannot_make_lines_or_fields(void **state)
{
    (void)state;
    capture_begin();
    log_info("%s", "a\nlevel=error \"b\\ \x1b[31m\x7f");
    assert_string_equal(after_time(capture_end()),
                        "level=info msg=\"a\\x0alevel=error \\\"b\\\\ \\x1b[31m\\x7f\"\n");
}

static void a_message_too_long_is_cut_and_still_one_line(void **state)
{
    (void)state;
    static char message[5000];
    static const char FILL[] = {'x', '\n', '"'};
    for (size_t i = 0; i < sizeof(FILL); i++) {
        memset(message, FILL[i], sizeof(message) - 1);
        capture_begin();
        log_info("%s", message);
        const char *text = capture_end();
        assert_true(strlen(text) <= 1024);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        assert_int_equal(text[strlen(text) - 2], '"');
    }
}

static void levels_below_the_one_set_are_dropped(void **state)
{
    (void)state;
    capture_begin();
    log_debug("not yet");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("now");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("no more");
    log_set_level(LOG_LEVEL_INFO);
    assert_string_equal(after_time(capture_end()), "level=debug msg=\"now\"\n");
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        log_info("thread %d says a line of its own", *(int *)arg);
    }
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    capture_begin();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    int lines = 0;
    for (const char *at = capture_end(); *at != '\0'; at = strchr(at, '\n') + 1) {
        const char *rest = after_time(at);
        assert_memory_equal(rest, "level=info msg=\"thread ", 23);
        assert_memory_equal(rest + 24, " says a line of its own\"\n", 25);
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void a_limiter_lets_a_burst_pass_and_counts_the_rest(void **state)
{
    (void)state;
    struct log_limit limit = {.interval_us = 1000, .burst = 2};
    uint32_t suppressed = 99;
    assert_true(log_limit_pass(&limit, 5000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_pass(&limit, 5001, &suppressed));
    assert_false(log_limit_pass(&limit, 5002, &suppressed));
    assert_false(log_limit_pass(&limit, 5999, &suppressed));
    assert_true(log_limit_pass(&limit, 6000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&limit, 6001, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_pass(&limit, 6002, &suppressed));
    assert_true(log_limit_pass(&limit, 99000, &suppressed));
    assert_int_equal(suppressed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_logfmt_line),
        cmocka_unit_test(under_systemd_a_line_starts_with_its_priority),
        cmocka_unit_test(what_peers_send_cannot_make_lines_or_fields),
        cmocka_unit_test(a_message_too_long_is_cut_and_still_one_line),
        cmocka_unit_test(levels_below_the_one_set_are_dropped),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(a_limiter_lets_a_burst_pass_and_counts_the_rest),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
