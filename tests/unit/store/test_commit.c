/* tests/unit/store/test_commit.c -- rows that grow, disks that fill, writers that are killed
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define DAY0 (INT64_C(20500) * US_PER_DAY)
#define S US_PER_S

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

static struct store_view *view_of(struct store *store)
{
    struct store_view *view;
    assert_int_equal(store_view_new(store, &view), 0);
    return view;
}

/* ---- What a client got, by time ---- */

struct seen {
    int64_t times[400000];
    size_t count;
    size_t sightings;
    uint64_t answers;
};

static bool note_seen(void *ctx, const struct store_sighting *sighting)
{
    struct seen *seen = ctx;
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        assert_true(seen->count < 400000);
        seen->times[seen->count++] = sighting->times[i];
    }
    seen->sightings++;
    seen->answers += sighting->count;
    return true;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static struct seen *client_times(struct store_view *view, const char *client)
{
    static struct seen seen;
    struct addr addr = fixture_addr(client);
    seen.count = seen.sightings = seen.answers = 0;
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, "default", &addr, 0, TIME_MAX_US, note_seen, &seen), 0);
    qsort(seen.times, seen.count + (seen.count == 0), sizeof(seen.times[0]), by_value);
    return &seen;
}

/* ---- Rows of many chunks ---- */

static void the_runs_of_a_pair_overflow_into_chunks_and_all_are_found(void **state)
{
    (void)state;
    /* A run of its own every 100 s: TTL 30 and 60 s of grace lie in between. */
    enum { RUNS = 860 };
    static const struct {
        const char *name;
        int step; /* through the runs, coprime to their number: 1 is in order */
        int commit_every;
    } CASES[] = {{"in order", 1, 9},
                 {"in order, in one commit", 1, RUNS},
                 {"scattered over the day", 321, 7},
                 {"backwards", RUNS - 1, 50}};
    for (size_t c = 0; c < sizeof(CASES) / sizeof(CASES[0]); c++) {
        print_message("  %s\n", CASES[c].name);
        struct store *store = fixture_open(dir, STORE_WRITE);
        struct store_view *view = view_of(store);
        bool in_order = CASES[c].step == 1;
        for (int again = 0; again < (in_order ? 3 : 1); again++) {
            for (int i = 0; i < RUNS; i++) {
                int64_t at_us = DAY0 + (int64_t)(i * CASES[c].step % RUNS) * 100 * S;
                assert_int_equal(fixture_put(store, "default", "10.1.1.1", at_us, 30, "example.com",
                                             "", "192.0.2.1"),
                                 0);
                if (i % CASES[c].commit_every == 0) {
                    assert_int_equal(store_commit(store, DAY0, NULL), 0);
                }
            }
            assert_int_equal(store_commit(store, DAY0, NULL), 0);
            struct seen *seen = client_times(view, "10.1.1.1");
            assert_int_equal(seen->count, RUNS);
            assert_int_equal(seen->answers, RUNS);
            assert_int_equal(seen->sightings, RUNS);
            for (int i = 0; i < RUNS; i++) {
                assert_int_equal(seen->times[i], DAY0 + (int64_t)i * 100 * S);
            }
            struct store_status status;
            assert_int_equal(store_status(view, &status), 0);
            assert_int_equal(status.answers, RUNS);
            assert_int_equal(status.sightings, RUNS);
            assert_int_equal(status.times, RUNS);
        }
        store_view_free(&view);
        store_close(&store);
        fixture_remove(dir);
    }
}

static void a_run_goes_on_where_its_row_overflows(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view = view_of(store);
    /* Runs of five answers each, 120 s apart. */
    for (int i = 0; i < 2000; i++) {
        int64_t at_us = DAY0 + (i / 5 * 160 + i % 5 * 10) * S;
        fixture_put(store, "default", "10.1.1.1", at_us, 30, "example.com", "", "192.0.2.1");
        if (i % 13 == 0) {
            assert_int_equal(store_commit(store, DAY0, NULL), 0);
        }
    }
    assert_int_equal(store_commit(store, DAY0, NULL), 0);
    struct seen *seen = client_times(view, "10.1.1.1");
    assert_int_equal(seen->sightings, 400);
    assert_int_equal(seen->answers, 2000);
    store_view_free(&view);
    store_close(&store);
}

/* ---- A disk that fills ---- */

static bool find_reason(void *ctx, const struct store_blind *blind)
{
    char *reasons = ctx;
    strcat(reasons, blind->reason);
    strcat(reasons, " ");
    return true;
}

static void put_many(struct store *store, int64_t from_us, int count, uint64_t *refused)
{
    for (int i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "n%d.t%lld.example.com", i, (long long)(from_us / S));
        int err = fixture_put(store, "default", "10.1.1.1", from_us + i * 1000, 30, name, "",
                              "192.0.2.1");
        *refused += err != 0;
    }
}

/* Fills, fails, and goes on; `full` and `room` make it so. */
static void disk_full_story(void (*full)(void), void (*room)(void), bool sure_of_reason)
{
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view = view_of(store);
    uint16_t cluster = store_cluster(store, "default");
    uint64_t refused = 0;
    char reasons[1000] = "";
    uint32_t stream = store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)"dns-1", 5,
                                         NULL, 0, "tcp:192.0.2.9:1", DAY0);
    put_many(store, DAY0, 2000, &refused);
    store_stream_heard(store, stream, DAY0 + 10 * S);
    assert_int_equal(store_commit(store, DAY0 + 10 * S, NULL), 0);

    full();
    /* The window of this day and one that would have to be made. */
    put_many(store, DAY0 + 20 * S, 12000, &refused);
    put_many(store, DAY0 + US_PER_DAY, 100, &refused);
    store_stream_heard(store, stream, DAY0 + US_PER_DAY + S);
    struct why why = {""};
    int err = store_commit(store, DAY0 + US_PER_DAY + S, &why);
    struct store_counters counters = store_counters(store);
    room();
    print_message("  %s; %d, lost %d\n", why.text, err, (int)counters.lost);
    assert_true(err < 0);
    assert_in_range(counters.lost, 12000, 12100);
    assert_int_equal(counters.commit_failures, 1);

    /* Reading goes on. */
    assert_int_equal(client_times(view, "10.1.1.1")->count, counters.lost == 12100 ? 2000 : 2100);

    /* Writing resumes, and the loss becomes known with it. */
    put_many(store, DAY0 + 40 * S, 500, &refused);
    assert_int_equal(store_commit(store, DAY0 + US_PER_DAY + 2 * S, NULL), 0);
    assert_int_equal(store_counters(store).lost, counters.lost);
    size_t found = client_times(view, "10.1.1.1")->count;
    assert_int_equal(found, counters.lost == 12100 ? 2500 : 2600);
    assert_int_equal(store_cover(view, "default", DAY0 + 20 * S, DAY0 + 21 * S,
                                 DAY0 + US_PER_DAY + 2 * S, 60 * S),
                     COVER_GAP);
    assert_int_equal(
        store_cover(view, "default", DAY0, DAY0 + 10 * S, DAY0 + US_PER_DAY + 2 * S, 60 * S),
        COVER_WHOLE);
    assert_int_equal(store_blinds(view, "default", DAY0, DAY0 + US_PER_DAY, DAY0 + US_PER_DAY + S,
                                  find_reason, reasons),
                     0);
    print_message("  blind: %s\n", reasons);
    if (sure_of_reason) {
        assert_non_null(strstr(reasons, "disk-full"));
    } else {
        assert_true(strstr(reasons, "disk-full") || strstr(reasons, "write-failed"));
    }
    store_view_free(&view);
    store_close(&store);

    store = fixture_open(dir, STORE_WRITE);
    view = view_of(store);
    assert_int_equal(client_times(view, "10.1.1.1")->count, found);
    store_view_free(&view);
    store_close(&store);
}

static struct rlimit before_limit;

static void limit_files(void)
{
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s/windows/20260216-00000001.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    getrlimit(RLIMIT_FSIZE, &before_limit);
    struct rlimit limit = {(rlim_t)st.st_size, before_limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void lift_limit(void)
{
    setrlimit(RLIMIT_FSIZE, &before_limit);
}

static void files_that_cannot_grow_lose_what_waits_and_no_more(void **state)
{
    (void)state;
    disk_full_story(limit_files, lift_limit, false);
}

static void fill_disk(void)
{
    char path[128];
    char block[4096] = {1};
    snprintf(path, sizeof(path), "%s/ballast", dir);
    FILE *ballast = fopen(path, "w");
    assert_non_null(ballast);
    setvbuf(ballast, NULL, _IONBF, 0);
    while (fwrite(block, sizeof(block), 1, ballast) == 1) {
    }
    fclose(ballast);
}

static void empty_disk(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/ballast", dir);
    unlink(path);
}

static void a_full_disk_loses_what_waits_and_no_more(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("whither-test", dir, "tmpfs", 0, "size=24m,mode=700") != 0) {
        print_message("  skipped: needs the right to mount\n");
        skip();
    }
    disk_full_story(fill_disk, empty_disk, true);
    umount2(dir, MNT_DETACH);
}

static void a_disk_that_stays_full_counts_each_loss_once(void **state)
{
    (void)state;
    struct store *store = fixture_open(dir, STORE_WRITE);
    uint64_t refused = 0;
    put_many(store, DAY0, 500, &refused);
    assert_int_equal(store_commit(store, DAY0, NULL), 0);
    limit_files();
    for (int i = 1; i <= 5; i++) {
        put_many(store, DAY0 + i * 10 * S, 2000, &refused);
        assert_true(store_commit(store, DAY0 + i * 10 * S, NULL) < 0);
        assert_int_equal(store_counters(store).lost, i * 2000);
    }
    lift_limit();
    store_close(&store);
}

/* ---- Killed ---- */

enum { CLIENTS = 5 };

static int64_t time_of(uint32_t number)
{
    return DAY0 + 12 * US_PER_HOUR + (int64_t)number * 7 * S / 10;
}

static void write_until_killed(int fd, uint32_t number, unsigned seed)
{
    struct store *store;
    srand(seed);
    if (store_open(&store, dir, STORE_WRITE, NULL, NULL) != 0) {
        _exit(2);
    }
    uint16_t cluster = store_cluster(store, "default");
    uint32_t stream = store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)"dns-1", 5,
                                         NULL, 0, "tcp:192.0.2.9:1", time_of(number));
    for (;;) {
        for (int i = rand() % 200; i >= 0; i--, number++) {
            char client[32], name[32];
            snprintf(client, sizeof(client), "10.1.1.%u", number % CLIENTS);
            snprintf(name, sizeof(name), "n%u.example.com", number % 701);
            if (fixture_put(store, "default", client, time_of(number), 30, name, "", "192.0.2.1") !=
                0) {
                _exit(3);
            }
            store_stream_heard(store, stream, time_of(number));
        }
        if (store_commit(store, time_of(number), NULL) != 0) {
            _exit(4);
        }
        if (write(fd, &number, sizeof(number)) != sizeof(number)) {
            _exit(5);
        }
    }
}

static bool check_cut(void *ctx, const struct store_stream *stream)
{
    int64_t *latest = ctx;
    assert_int_equal(stream->end, STREAM_CUT);
    *latest = stream->committed_us > *latest ? stream->committed_us : *latest;
    return true;
}

/* Every answer below `number` is there, and all up to the time the streams claim. */
static void check_all(uint32_t number)
{
    struct store *store = fixture_open(dir, STORE_WRITE);
    struct store_view *view = view_of(store);
    int64_t claimed_us = 0;
    assert_int_equal(store_streams(view, check_cut, &claimed_us), 0);
    if (number > 0) {
        assert_true(claimed_us >= time_of(number - 1));
    }
    while (number == 0 || time_of(number) <= claimed_us) {
        if (number == 0 && claimed_us < time_of(0)) {
            break;
        }
        number++;
    }
    for (uint32_t c = 0; c < CLIENTS; c++) {
        char client[32];
        snprintf(client, sizeof(client), "10.1.1.%u", c);
        struct seen *seen = client_times(view, client);
        size_t at = 0;
        for (uint32_t n = c; n < number; n += CLIENTS) {
            while (at < seen->count && seen->times[at] < time_of(n)) {
                at++;
            }
            if (at == seen->count || seen->times[at] != time_of(n)) {
                fail_msg("answer %u of %u is missing", n, number);
            }
        }
    }
    store_view_free(&view);
    store_close(&store);
}

static void a_killed_writer_loses_nothing_that_was_committed(void **state)
{
    (void)state;
    uint32_t committed = 0;
    for (unsigned round = 0; round < 30; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            write_until_killed(fds[1], committed, round);
        }
        close(fds[1]);
        usleep(1000 + (round * 7919u) % 80000);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        uint32_t number;
        while (read(fds[0], &number, sizeof(number)) == sizeof(number)) {
            committed = number;
        }
        close(fds[0]);
        check_all(committed);
    }
    print_message("  %u answers over 30 kills\n", committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_runs_of_a_pair_overflow_into_chunks_and_all_are_found,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_run_goes_on_where_its_row_overflows, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(files_that_cannot_grow_lose_what_waits_and_no_more,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_full_disk_loses_what_waits_and_no_more, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_disk_that_stays_full_counts_each_loss_once, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_killed_writer_loses_nothing_that_was_committed, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
