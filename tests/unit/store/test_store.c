/* tests/unit/store/test_store.c -- opening, locking, other processes, retention, damage
 * SPDX-License-Identifier: Apache-2.0
 *
 * LMDB forbids opening a file twice in one process, so whoever else reads or writes is a child.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/state.h"
#include "store/window.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define DAY0 (INT64_C(20500) * US_PER_DAY) /* 2026-02-16 */
#define S US_PER_S
#define WINDOW0 "windows/20260216-00000001.mdb"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    fixture_dir(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fixture_remove(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put(struct store *store, int64_t at_us)
{
    assert_int_equal(
        fixture_put(store, "default", "10.1.1.1", at_us, 30, "example.com", "", "192.0.2.1"), 0);
}

static void commit(struct store *store)
{
    assert_int_equal(store_commit(store, DAY0, NULL), 0);
}

static bool count_one(void *ctx, const struct store_sighting *sighting)
{
    *(unsigned *)ctx += sighting->count;
    return true;
}

/* Answers to 10.1.1.1 that the view sees, or the error. */
static int answers(struct store_view *view)
{
    unsigned count = 0;
    struct addr client = fixture_addr("10.1.1.1");
    int err = store_by_client(view, "default", &client, 0, TIME_MAX_US, count_one, &count);
    return err != 0 ? err : (int)count;
}

/* The same, refreshed first. */
static int answers_now(struct store_view *view)
{
    int err = store_view_refresh(view, NULL);
    return err != 0 ? err : answers(view);
}

/* Runs `body` in a child; its exit code is the result. */
static int in_child(int (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* What a reader in another process finds: the number of answers, or 100 if it cannot open. */
static int read_all(void)
{
    struct store *store;
    struct store_view *view;
    struct why why;
    if (store_open(&store, dir, STORE_READ, NULL, &why) != 0 || store_view_new(store, &view) != 0) {
        return 100;
    }
    int found = answers(view);
    store_view_free(&view);
    store_close(&store);
    return found;
}

/* ---- Locks ---- */

static int second_writer(void)
{
    struct store *store;
    struct why why = {""};
    int err = store_open(&store, dir, STORE_WRITE, NULL, &why);
    if (err != W_ELOCKED) {
        return 1;
    }
    return strstr(why.text, "whither serve, http://127.0.0.1:8053") != NULL &&
                   strstr(why.text, dir) != NULL
               ? 0
               : 2;
}

static void a_second_writer_is_refused_with_the_note_of_the_first(void **state)
{
    (void)state;
    struct store *store;
    struct store_options options = {.writer_note = "whither serve, http://127.0.0.1:8053"};
    assert_int_equal(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
    assert_int_equal(in_child(second_writer), 0);
    put(store, DAY0);
    commit(store);
    assert_int_equal(in_child(read_all), 1);
    store_close(&store);
    assert_int_equal(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
    store_close(&store);
}

static void a_reader_may_open_before_anything_was_committed(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    assert_int_equal(in_child(read_all), 0);
    put(store, DAY0); /* the window's file is there, but nothing in it */
    assert_int_equal(in_child(read_all), 0);
    commit(store);
    assert_int_equal(in_child(read_all), 1);
    store_close(&store);
}

/* ---- A reader in another process, step by step ---- */

static int steps[2][2]; /* pipes: to the child, from the child */

static int stepping_reader(void)
{
    struct store *store;
    struct store_view *view;
    char step;
    if (store_open(&store, dir, STORE_READ, NULL, NULL) != 0 || store_view_new(store, &view) != 0) {
        return 100;
    }
    while (read(steps[0][0], &step, 1) == 1 && step != 'q') {
        int found = step == 'r' ? answers_now(view) : answers(view);
        if (write(steps[1][1], &found, sizeof(found)) != sizeof(found)) {
            return 101;
        }
    }
    store_view_free(&view);
    store_close(&store);
    return 0;
}

static int step_reader(char step)
{
    int found;
    assert_int_equal(write(steps[0][1], &step, 1), 1);
    assert_int_equal(read(steps[1][0], &found, sizeof(found)), sizeof(found));
    return found;
}

static void readers_elsewhere_see_commits_new_windows_and_survive_dropped_ones(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    put(store, DAY0);
    commit(store);
    assert_int_equal(pipe(steps[0]), 0);
    assert_int_equal(pipe(steps[1]), 0);
    pid_t child = fork();
    if (child == 0) {
        close(steps[0][1]);
        _exit(stepping_reader());
    }
    close(steps[0][0]);
    close(steps[1][1]);
    assert_int_equal(step_reader('a'), 1);
    put(store, DAY0 + 1 * S);
    commit(store);
    assert_int_equal(step_reader('a'), 1); /* as of its last refresh */
    assert_int_equal(step_reader('r'), 2);
    /* At once, although it looked at the directory a moment ago. */
    put(store, DAY0 + US_PER_DAY);
    commit(store);
    assert_int_equal(step_reader('r'), 3);
    put(store, DAY0 + 2 * US_PER_DAY);
    commit(store);
    assert_int_equal(step_reader('r'), 4);
    /* Two days go while it looks at them. */
    assert_int_equal(store_retain(store, DAY0 + 3 * US_PER_DAY, US_PER_DAY), 2);
    commit(store);
    assert_int_equal(step_reader('a'), 4);
    assert_int_equal(step_reader('r'), 1);
    store_close(&store);
    assert_int_equal(step_reader('r'), 1);
    assert_int_equal(write(steps[0][1], "q", 1), 1);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    close(steps[0][1]);
    close(steps[1][0]);
}

static int busy_reader(void)
{
    struct store *store;
    struct store_view *view;
    struct why why = {""};
    if (store_open(&store, dir, STORE_READ, NULL, &why) != 0 || store_view_new(store, &view) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 100;
    }
    int before = 0;
    int64_t end_us = clock_monotonic_us() + S;
    while (clock_monotonic_us() < end_us) {
        int found = answers_now(view);
        if (found < before) {
            return 101;
        }
        before = found;
    }
    store_view_free(&view);
    store_close(&store);
    return before > 0 ? 0 : 102;
}

static void many_readers_read_while_one_writes(void **state)
{
    (void)state;
    enum { READERS = 4 };
    struct store *store = fixture_open(dir, STORE_WRITE);
    put(store, DAY0);
    commit(store);
    pid_t children[READERS];
    for (int i = 0; i < READERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(busy_reader());
        }
    }
    int64_t end_us = clock_monotonic_us() + S;
    for (int64_t i = 1; clock_monotonic_us() < end_us; i++) {
        put(store, DAY0 + i % 3 * US_PER_DAY + i * 100 * S % US_PER_DAY);
        commit(store);
    }
    for (int i = 0; i < READERS; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    store_close(&store);
}

/* ---- Views of the same process ---- */

static void a_view_is_as_of_its_last_refresh(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    put(store, DAY0);
    assert_int_equal(answers_now(view), 0); /* not committed */
    commit(store);
    assert_int_equal(answers_now(view), 1);
    put(store, DAY0 + S);
    put(store, DAY0 + US_PER_DAY);
    commit(store);
    assert_int_equal(answers(view), 1);
    assert_int_equal(answers_now(view), 3);
    store_view_free(&view);
    store_close(&store);
}

static void what_is_not_committed_is_gone_after_closing(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    put(store, DAY0);
    commit(store);
    put(store, DAY0 + S);
    store_close(&store);
    assert_int_equal(in_child(read_all), 1);
}

/* ---- Retention ---- */

static void a_day_goes_with_its_files_and_the_others_stay(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view;
    for (int day = 0; day < 7; day++) { /* more than are written at once */
        put(store, DAY0 + day * US_PER_DAY);
    }
    commit(store);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(answers(view), 7);
    /* To the microsecond: the first day ended exactly a retention ago. */
    assert_int_equal(store_retain(store, DAY0 + 9 * US_PER_DAY - 1, 8 * US_PER_DAY), 0);
    assert_int_equal(access(in_dir(WINDOW0), F_OK), 0);
    assert_int_equal(store_retain(store, DAY0 + 9 * US_PER_DAY, 8 * US_PER_DAY), 1);
    assert_int_equal(access(in_dir(WINDOW0), F_OK), -1);
    assert_int_equal(access(in_dir(WINDOW0 "-lock"), F_OK), -1);
    assert_int_equal(answers(view), 7); /* still as of its refresh */
    assert_int_equal(answers_now(view), 6);
    /* The day again: a file of another name, and only what came since. */
    put(store, DAY0 + S);
    commit(store);
    assert_int_equal(access(in_dir(WINDOW0), F_OK), -1);
    assert_int_equal(answers_now(view), 7);
    /* A day with answers that wait. */
    put(store, DAY0 + 2 * S);
    assert_int_equal(store_retain(store, DAY0 + 9 * US_PER_DAY, 8 * US_PER_DAY), 1);
    commit(store);
    assert_int_equal(answers_now(view), 6);
    store_view_free(&view);
    store_close(&store);
    assert_int_equal(in_child(read_all), 6);
}

static void many_streams_come_and_go_and_the_state_still_opens(void **state)
{
    (void)state;
    fixture_seed(1);
    for (int round = 0; round < 30; round++) {
        struct store *store = fixture_open(dir, STORE_WRITE);
        uint16_t cluster = store_cluster(store, "default");
        for (int i = 0; i < 5; i++) {
            int64_t now_us = DAY0 + (round * 5 + i) * US_PER_HOUR;
            for (uint32_t j = 0, count = fixture_below(300); j < count; j++) {
                uint32_t stream =
                    store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)"dns-1", 5,
                                       NULL, 0, "tcp:192.0.2.9:1", now_us + j);
                if (fixture_below(20) != 0) {
                    store_stream_end(store, stream, STREAM_STOPPED);
                }
            }
            store_retain(store, now_us, (int64_t)fixture_below(48) * US_PER_HOUR - US_PER_DAY);
            assert_int_equal(store_commit(store, now_us, NULL), 0);
        }
        store_close(&store);
    }
}

/* ---- What cannot be opened ---- */

static void overwrite(const char *path, off_t at, const void *bytes, size_t len, off_t truncate_to)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    if (truncate_to >= 0) {
        assert_int_equal(ftruncate(fd, truncate_to), 0);
    }
    close(fd);
}

static void fill_index(void)
{
    struct store *store = fixture_open(dir, STORE_WRITE);
    for (int i = 0; i < 2000; i++) {
        char name[40];
        snprintf(name, sizeof(name), "n%d.example.com", i);
        assert_int_equal(
            fixture_put(store, "default", "10.1.1.1", DAY0 + i, 30, name, "", "192.0.2.1"), 0);
    }
    commit(store);
    store_close(&store);
}

static int expected_err;
static const char *expected_word;

static int refuses_to_read(void)
{
    struct store *store;
    struct why why = {""};
    int err = store_open(&store, dir, STORE_READ, NULL, &why);
    if (err != expected_err || strstr(why.text, expected_word) == NULL) {
        fprintf(stderr, "reading: %d %s\n", err, why.text);
        return 1;
    }
    return 0;
}

static int refuses_to_write(void)
{
    struct store *store;
    struct why why = {""};
    int err = store_open(&store, dir, STORE_WRITE, NULL, &why);
    if (err != expected_err || strstr(why.text, expected_word) == NULL) {
        fprintf(stderr, "writing: %d %s\n", err, why.text);
        return 1;
    }
    return 0;
}

static void refuses(int err, const char *word)
{
    expected_err = err;
    expected_word = word;
    assert_int_equal(in_child(refuses_to_read), 0);
    assert_int_equal(in_child(refuses_to_write), 0);
}

static void damaged_and_foreign_files_are_refused_by_name(void **state)
{
    (void)state;
    static const char TEXT[9000] = "this is no index";
    static const struct {
        const char *name;
        const char *file;
        off_t truncate_to;
        bool foreign;
    } CASES[] = {
        {"a window of text", WINDOW0, -1, true},
        {"a state of text", "state.mdb", -1, true},
        {"a window cut after its header", WINDOW0, 8192, false},
        {"a window cut in the middle", WINDOW0, 40960, false},
        {"a window cut within its header", WINDOW0, 5000, false},
        {"a state cut after its header", "state.mdb", 8192, false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        print_message("  %s\n", CASES[i].name);
        fill_index();
        overwrite(in_dir(CASES[i].file), 0, TEXT, CASES[i].foreign ? sizeof(TEXT) : 0,
                  CASES[i].truncate_to);
        refuses(W_EDAMAGED, CASES[i].file);
        fixture_remove(dir);
    }
}

static void a_window_file_left_empty_by_a_crash_does_no_harm(void **state)
{
    (void)state;
    fill_index();
    overwrite(in_dir("windows/20260217-00000002.mdb"), 0, "", 0, 0);
    assert_int_equal(in_child(read_all), 2000 % 256);
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    put(store, DAY0 + US_PER_DAY);
    commit(store);
    assert_int_equal(answers_now(view), 2001);
    store_view_free(&view);
    store_close(&store);
}

/* Writes a header of another version into a file as the program itself would. */
static int other_version(const char *path, bool state)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {4, (void *)(uintptr_t) "head"};
    MDB_val value;
    uint32_t head[16];
    if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 16) != 0 ||
        mdb_env_open(env, path, MDB_NOSUBDIR, 0600) != 0 || mdb_txn_begin(env, NULL, 0, &txn) ||
        mdb_dbi_open(txn, state ? "head" : "meta", 0, &dbi) != 0 ||
        mdb_get(txn, dbi, &key, &value) != 0) {
        return 1;
    }
    memcpy(head, value.mv_data, value.mv_size);
    head[0] = 99;
    value.mv_data = head;
    int code = mdb_put(txn, dbi, &key, &value, 0);
    code = code == 0 ? mdb_txn_commit(txn) : code;
    mdb_env_close(env);
    return code;
}

static int window_of_another_version(void)
{
    return other_version(in_dir(WINDOW0), false);
}

static int state_of_another_version(void)
{
    return other_version(in_dir("state.mdb"), true);
}

static void another_format_version_is_refused(void **state)
{
    (void)state;
    fill_index();
    assert_int_equal(in_child(window_of_another_version), 0);
    refuses(W_EVERSION, "format 99");
    fixture_remove(dir);
    fill_index();
    assert_int_equal(in_child(state_of_another_version), 0);
    refuses(W_EVERSION, "format 99");
}

static void a_window_renamed_to_another_day_is_refused(void **state)
{
    (void)state;
    fill_index();
    char from[200], to[200];
    snprintf(from, sizeof(from), "%s", in_dir(WINDOW0));
    snprintf(to, sizeof(to), "%s", in_dir("windows/20260217-00000001.mdb"));
    assert_int_equal(rename(from, to), 0);
    refuses(W_EDAMAGED, "20260217-00000001.mdb");
}

static void other_files_in_the_directory_are_left_alone(void **state)
{
    (void)state;
    fill_index();
    static const char *const NAMES[] = {"windows/README",
                                        "windows/20260216-1.mdb",
                                        "windows/20260216-0000000x.mdb",
                                        "windows/20261316-00000001.mdb",
                                        "windows/20260216-00000001.mdb.bak",
                                        "windows/-0260216-00000001.mdb",
                                        "windows/20260216--0000001.mdb"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        overwrite(in_dir(NAMES[i]), 0, "x", 1, -1);
    }
    assert_int_equal(in_child(read_all), 2000 % 256);
    struct store *store = fixture_open(dir, STORE_WRITE);
    store_close(&store);
}

static int as_nobody(void)
{
    return setuid(65534) != 0 ? 1 : refuses_to_read();
}

static void directories_that_hold_no_index_are_refused(void **state)
{
    (void)state;
    expected_err = -ENOENT;
    expected_word = dir;
    assert_int_equal(in_child(refuses_to_read), 0); /* empty */
    assert_int_equal(access(in_dir("state.mdb-lock"), F_OK), -1);
    fixture_remove(dir);
    assert_int_equal(in_child(refuses_to_read), 0); /* none at all */
    assert_int_equal(access(dir, F_OK), -1);
    fill_index();
    struct stat st;
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    expected_err = -EACCES;
    if (geteuid() == 0) {
        assert_int_equal(in_child(as_nobody), 0);
    }
    /* A file where the directory should be, and a parent that is missing. */
    struct store *store;
    struct why why = {""};
    assert_true(store_open(&store, in_dir("state.mdb"), STORE_WRITE, NULL, &why) < 0);
    assert_null(store);
    assert_int_equal(store_open(&store, in_dir("no/such"), STORE_WRITE, NULL, &why), -ENOENT);
    assert_non_null(strstr(why.text, "no/such"));
    char long_path[5000];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(store_open(&store, long_path, STORE_WRITE, NULL, &why), -ENAMETOOLONG);
}

/* ---- Memory ---- */

static void memory_that_is_short_is_an_error_and_no_more(void **state)
{
    (void)state;
    fill_index();
    for (size_t n = 1;; n++) {
        struct store *store = NULL;
        struct store_view *view = NULL;
        alloc_fail_at(n);
        int err = store_open(&store, dir, STORE_WRITE, NULL, NULL);
        err = err == 0 ? store_view_new(store, &view) : err;
        if (err == 0) {
            int put_err = fixture_put(store, "default", "10.1.1.9", DAY0 + (int64_t)n * S, 30,
                                      "m.example.com", "", "192.0.2.1");
            int commit_err = store_commit(store, DAY0, NULL);
            err = put_err != 0 ? put_err : commit_err;
        }
        size_t failed = alloc_failed();
        alloc_fail_at(0);
        if (failed > 0) {
            if (err != -ENOMEM) {
                fail_msg("allocation %zu: %d", n, err);
            }
        } else {
            assert_int_equal(err, 0);
        }
        store_view_free(&view);
        store_close(&store);
        if (failed == 0) {
            break;
        }
    }
    assert_int_equal(in_child(read_all), 2000 % 256);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        CASE(a_second_writer_is_refused_with_the_note_of_the_first),
        CASE(a_reader_may_open_before_anything_was_committed),
        CASE(readers_elsewhere_see_commits_new_windows_and_survive_dropped_ones),
        CASE(many_readers_read_while_one_writes),
        CASE(a_view_is_as_of_its_last_refresh),
        CASE(what_is_not_committed_is_gone_after_closing),
        CASE(a_day_goes_with_its_files_and_the_others_stay),
        CASE(many_streams_come_and_go_and_the_state_still_opens),
        CASE(damaged_and_foreign_files_are_refused_by_name),
        CASE(a_window_file_left_empty_by_a_crash_does_no_harm),
        CASE(another_format_version_is_refused),
        CASE(a_window_renamed_to_another_day_is_refused),
        CASE(other_files_in_the_directory_are_left_alone),
        CASE(directories_that_hold_no_index_are_refused),
        CASE(memory_that_is_short_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
