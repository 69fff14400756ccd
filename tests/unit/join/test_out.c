/* tests/unit/join/test_out.c -- where named flows go to and stay
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/out.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/store_fixture.h"

#define CHECKPOINT "the.checkpoint"

struct world {
    char dir[64];
    char path[96];
    char sink[128];
    struct out *out;
    struct why why;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    *state = world;
    fixture_dir(world->dir);
    snprintf(world->path, sizeof(world->path), "%s/out.json", world->dir);
    snprintf(world->sink, sizeof(world->sink), "file:%s", world->path);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    out_close(&world->out);
    fixture_remove(world->dir);
    free(world);
    return 0;
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* What the file has; static. */
static const char *content(const char *path)
{
    static char text[256];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static struct out_state state_of(const char *text, bool closed)
{
    struct out_state state = {.len = strlen(text), .closed = closed};
    char path[] = "/tmp/whither-out-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(tail_head_of(fd, state.len, &state.head), 0);
    close(fd);
    unlink(path);
    return state;
}

static void sinks_are_a_stream_or_a_file(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } ROWS[] = {
        {"-", true},  {"file:a", true}, {"file:/a/b", true},      {"", false},
        {"a", false}, {"file:", false}, {"loki:http://x", false}, {"--", false},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        assert_int_equal(out_is_sink(ROWS[i].text), ROWS[i].valid);
    }
    assert_int_equal(out_open(&world->out, "a", &world->why), W_EUSAGE);
    assert_string_equal(world->why.text, "a: expected - or file:PATH");
    assert_int_equal(out_open(&world->out, "file:/dev/null", &world->why), W_EUSAGE);
    assert_non_null(strstr(world->why.text, "/dev/null: not a regular file"));
    assert_int_equal(out_open(&world->out, "file:/nowhere/a", &world->why), -ENOENT);
}

static void a_file_has_one_writer(void **state)
{
    struct world *world = *state;
    struct out *second;
    assert_int_equal(out_open(&world->out, world->sink, &world->why), 0);
    assert_int_equal(out_open(&second, world->sink, &world->why), W_ELOCKED);
    assert_non_null(strstr(world->why.text, "is being written by another process"));
    out_close(&world->out);
    assert_int_equal(out_open(&second, world->sink, &world->why), 0);
    out_close(&second);
}

/* What a start finds, and what it makes of it. */
static void a_restart_goes_on_where_the_checkpoint_says(void **state)
{
    static const struct {
        const char *title;
        const char *before;     /* in the file; NULL: there is none */
        const char *checkpoint; /* what was in the file then; NULL: there is none */
        bool closed;
        const char *moved; /* in out.json.1; NULL: there is none */
        int err;
        const char *after; /* or a part of what is said */
        const char *moved_after;
    } ROWS[] = {
        {"nothing is there", NULL, NULL, false, NULL, 0, "", NULL},
        {"an empty file", "", NULL, false, NULL, 0, "", NULL},
        {"content without a checkpoint", "a\n", NULL, false, NULL, W_EDAMAGED,
         "has content, but there is no checkpoint the.checkpoint", NULL},
        {"all of it is in the checkpoint", "a\nb\n", "a\nb\n", true, NULL, 0, "a\nb\n", NULL},
        {"more than that", "a\nb\nc\nd", "a\nb\n", false, NULL, 0, "a\nb\n", NULL},
        {"nothing was in it", "a\n", "", false, NULL, 0, "", NULL},
        {"less than that", "a\n", "a\nb\n", false, NULL, W_EDAMAGED,
         "has 2 bytes, and the.checkpoint says that it has at least 4", NULL},
        {"another file", "x\ny\nz\n", "a\nb\n", false, NULL, W_EDAMAGED,
         "is not the file that the.checkpoint was written for", NULL},
        {"it is gone", NULL, "a\nb\n", false, NULL, W_EDAMAGED, "is gone", NULL},
        {"it was moved away after an end in order", NULL, "a\nb\n", true, NULL, 0, "", NULL},
        {"it was renamed and then killed", NULL, "a\nb\n", false, "a\nb\nc\n", 0, "", "a\nb\n"},
        {"the renamed one is another", NULL, "a\nb\n", false, "x\ny\nz\n", W_EDAMAGED, "is gone",
         "x\ny\nz\n"},
        {"it was renamed and a new one made", "", "a\nb\n", true, "a\nb\n", 0, "", "a\nb\n"},
    };
    struct world *world = *state;
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", world->path);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct out_state then = {.len = 0};
        unlink(world->path);
        unlink(moved);
        if (ROWS[i].before != NULL) {
            put(world->path, ROWS[i].before);
        }
        if (ROWS[i].moved != NULL) {
            put(moved, ROWS[i].moved);
        }
        if (ROWS[i].checkpoint != NULL) {
            then = state_of(ROWS[i].checkpoint, ROWS[i].closed);
        }
        assert_int_equal(out_open(&world->out, world->sink, &world->why), 0);
        int err = out_resume(world->out, ROWS[i].checkpoint != NULL ? &then : NULL, CHECKPOINT,
                             &world->why);
        if (err != ROWS[i].err) {
            fail_msg("%s: %d, %s", ROWS[i].title, err, world->why.text);
        }
        if (err != 0) {
            assert_non_null(strstr(world->why.text, ROWS[i].after));
        } else {
            assert_int_equal(out_write(world->out, "next\n", 5), 0);
            char due[64];
            snprintf(due, sizeof(due), "%snext\n", ROWS[i].after);
            assert_string_equal(content(world->path), due);
        }
        if (ROWS[i].moved_after != NULL) {
            assert_string_equal(content(moved), ROWS[i].moved_after);
        }
        out_close(&world->out);
    }
}

static void what_is_written_is_told(void **state)
{
    struct world *world = *state;
    struct out_state then;
    assert_int_equal(out_open(&world->out, world->sink, &world->why), 0);
    assert_int_equal(out_resume(world->out, NULL, CHECKPOINT, &world->why), 0);
    assert_true(out_is_empty(world->out));
    assert_int_equal(out_write(world->out, "a\nb\n", 4), 0);
    assert_int_equal(out_sync(world->out, &then), 0);
    struct out_state due = state_of("a\nb\n", false);
    assert_memory_equal(&then, &due, sizeof(then));
    assert_false(out_is_empty(world->out));
}

static void a_full_disk_leaves_no_half_line(void **state)
{
    struct world *world = *state;
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {6, limit.rlim_max};
    assert_int_equal(out_open(&world->out, world->sink, &world->why), 0);
    assert_int_equal(out_resume(world->out, NULL, CHECKPOINT, &world->why), 0);
    assert_int_equal(out_write(world->out, "abc\n", 4), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int err = out_write(world->out, "def\n", 4);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(err, -EFBIG);
    assert_true(out_may_pass(err));
    assert_string_equal(content(world->path), "abc\n");
    assert_int_equal(out_write(world->out, "def\n", 4), 0);
    assert_string_equal(content(world->path), "abc\ndef\n");
}

static void some_errors_pass(void **state)
{
    (void)state;
    assert_true(out_may_pass(-ENOSPC));
    assert_true(out_may_pass(-EDQUOT));
    assert_false(out_may_pass(-EIO));
    assert_false(out_may_pass(-EPIPE));
    assert_false(out_may_pass(0));
}

static void a_file_that_was_renamed_is_followed_by_a_new_one(void **state)
{
    struct world *world = *state;
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", world->path);
    assert_int_equal(out_open(&world->out, world->sink, &world->why), 0);
    assert_int_equal(out_resume(world->out, NULL, CHECKPOINT, &world->why), 0);
    assert_int_equal(out_write(world->out, "a\n", 2), 0);
    assert_false(out_moved(world->out));
    assert_int_equal(rename(world->path, moved), 0);
    assert_true(out_moved(world->out));
    assert_int_equal(out_write(world->out, "b\n", 2), 0);
    assert_int_equal(out_reopen(world->out, &world->why), 0);
    assert_false(out_moved(world->out));
    assert_int_equal(out_write(world->out, "c\n", 2), 0);
    assert_string_equal(content(moved), "a\nb\n");
    assert_string_equal(content(world->path), "c\n");
    /* Somebody else's file is not written to. */
    assert_int_equal(unlink(world->path), 0);
    put(world->path, "other\n");
    assert_true(out_moved(world->out));
    assert_int_equal(out_reopen(world->out, &world->why), W_EDAMAGED);
    assert_string_equal(content(world->path), "other\n");
}

/* Standard output is a file, so that it can be looked at. */
static void a_stream_is_never_cut(void **state)
{
    struct world *world = *state;
    struct out_state then = state_of("", false);
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int fd = open(world->path, O_RDWR | O_CREAT | O_APPEND, 0600);
    assert_true(saved >= 0 && fd >= 0);
    assert_int_equal(write(fd, "before\n", 7), 7);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {9, limit.rlim_max};
    dup2(fd, STDOUT_FILENO);
    int opened = out_open(&world->out, "-", &world->why);
    int resumed = out_resume(world->out, &then, CHECKPOINT, &world->why);
    setrlimit(RLIMIT_FSIZE, &small);
    int full = out_write(world->out, "a line\n", 7);
    setrlimit(RLIMIT_FSIZE, &limit);
    int again = out_write(world->out, "a line\n", 7);
    int synced = out_sync(world->out, &then);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(opened, 0);
    assert_int_equal(resumed, 0);
    assert_int_equal(full, -EFBIG);
    assert_int_equal(again, 0);
    assert_int_equal(synced, 0);
    assert_int_equal(then.len, 0);
    assert_null(out_path(world->out));
    assert_false(out_moved(world->out));
    assert_string_equal(content(world->path), "before\na line\n");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sinks_are_a_stream_or_a_file),
        TEST(a_file_has_one_writer),
        TEST(a_restart_goes_on_where_the_checkpoint_says),
        TEST(what_is_written_is_told),
        TEST(a_full_disk_leaves_no_half_line),
        TEST(some_errors_pass),
        TEST(a_file_that_was_renamed_is_followed_by_a_new_one),
        TEST(a_stream_is_never_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
