/* tests/unit/join/test_live.c -- flow logs that grow, joined as they do
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/live.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define FLOW(SECOND, PORT)                                                                         \
    "{\"flow\":{\"time\":\"2026-05-22T10:00:" SECOND                                               \
    "Z\",\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"198.51.100.1\"},\"l4\":{\"TCP\":{"     \
    "\"source_port\":" PORT ",\"destination_port\":443,\"flags\":{\"SYN\":true}}}}}"

/* How long is waited for what must come. */
enum { PATIENCE_MS = 20000, STEP_MS = 10 };

struct world {
    struct join_totals totals; /* of what was stopped last */
    char dir[64];
    char log[96];
    char out[96];
    char sink[128];
    const char *sources[2];
    struct live_options options;
    struct live *live;
    pthread_t thread;
    int result;
    struct why why;
    struct buf warnings;
    pthread_mutex_t lock; /* of the warnings */
    atomic_int ask_err;   /* the oracle's */
    atomic_size_t asked;
    atomic_llong settled_us;
};

static void take_warning(void *ctx, const char *text)
{
    struct world *world = ctx;
    pthread_mutex_lock(&world->lock);
    buf_printf(&world->warnings, "%s\n", text);
    pthread_mutex_unlock(&world->lock);
}

/* Says "ip-only" of every destination. */
static int ask(void *oracle, const struct question *questions, size_t count,
               join_answered_fn answered, void *ctx, struct why *why)
{
    struct world *world = oracle;
    (void)questions;
    for (size_t i = 0; i < count; i++) {
        struct attribution attribution = {.verdict = IP_ONLY};
        /* In the middle, so that what was given out before must not come twice. */
        if (world->ask_err != 0 && i == count / 2) {
            return why_set(why, world->ask_err, "nobody answers");
        }
        world->asked++;
        int err = answered(ctx, i, &attribution);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static bool is_settled(void *ctx, const char *cluster, int64_t time_us, int64_t now_us)
{
    struct world *world = ctx;
    (void)cluster;
    (void)now_us;
    return time_us <= world->settled_us;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    *state = world;
    pthread_mutex_init(&world->lock, NULL);
    fixture_dir(world->dir);
    snprintf(world->log, sizeof(world->log), "%s/flows.log", world->dir);
    snprintf(world->out, sizeof(world->out), "%s/out", world->dir);
    snprintf(world->sink, sizeof(world->sink), "file:%s", world->out);
    world->sources[0] = world->log;
    world->settled_us = INT64_MAX;
    world->options = (struct live_options){
        .sources = world->sources,
        .source_count = 1,
        .out = world->sink,
        .cluster = "here",
        .sink = &SINK_ECS,
        .sink_options = {.cluster = "here"},
        .oracle = {ask, world},
        .skew_us = 2 * US_PER_S,
        .settle_us = 365 * US_PER_DAY,
        .settled = is_settled,
        .index_ctx = world,
        .warn = take_warning,
        .report_ctx = world,
    };
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    live_free(&world->live);
    buf_fini(&world->warnings);
    fixture_remove(world->dir);
    pthread_mutex_destroy(&world->lock);
    free(world);
    return 0;
}

/* ---- What a test does ---- */

static void append(const char *path, const char *line)
{
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    fprintf(file, "%s\n", line);
    assert_int_equal(fclose(file), 0);
}

static void *run(void *ctx)
{
    struct world *world = ctx;
    world->result = live_run(world->live, &world->why);
    return NULL;
}

static void start(struct world *world)
{
    int err = live_new(&world->live, &world->options, &world->why);
    if (err != 0) {
        fail_msg("%d: %s", err, world->why.text);
    }
    assert_int_equal(pthread_create(&world->thread, NULL, run, world), 0);
}

static void stop(struct world *world)
{
    live_stop(world->live);
    pthread_join(world->thread, NULL);
    world->totals = *live_totals(world->live);
    live_free(&world->live);
    if (world->result != 0) {
        fail_msg("%d: %s", world->result, world->why.text);
    }
}

/* The file as text; static. */
static const char *content(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "rb");
    text[0] = '\0';
    if (file != NULL) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

/* Sequence numbers and ports of the flows in the file: "1:40001 2:40002"; static. */
static const char *flows_in(const char *path)
{
    static char list[4096];
    const char *at = content(path);
    size_t len = 0;
    list[0] = '\0';
    while ((at = strstr(at, "\"sequence\":")) != NULL) {
        const char *port = strstr(at, "\"port\":");
        assert_non_null(port);
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d:%d", len > 0 ? " " : "",
                                atoi(at + 11), atoi(port + 7));
        at = port;
    }
    return list;
}

static void wait_for_flows(const char *path, const char *due)
{
    for (int ms = 0; ms < PATIENCE_MS && strcmp(flows_in(path), due) != 0; ms += STEP_MS) {
        usleep(STEP_MS * 1000);
    }
    assert_string_equal(flows_in(path), due);
}

static void wait_for_warning(struct world *world, const char *part)
{
    bool found = false;
    for (int ms = 0; ms < PATIENCE_MS && !found; ms += STEP_MS) {
        usleep(STEP_MS * 1000);
        pthread_mutex_lock(&world->lock);
        found = world->warnings.len > 0 &&
                memmem(world->warnings.data, world->warnings.len, part, strlen(part)) != NULL;
        pthread_mutex_unlock(&world->lock);
    }
    if (!found) {
        fail_msg("\"%s\" was to be said, not \"%.*s\"", part, (int)world->warnings.len,
                 world->warnings.len > 0 ? world->warnings.data : "");
    }
}

/* ---- The tests ---- */

static void flows_are_named_as_they_come(void **state)
{
    struct world *world = *state;
    append(world->log, FLOW("01", "40001"));
    start(world);
    wait_for_flows(world->out, "1:40001");
    append(world->log, FLOW("02", "40002"));
    append(world->log, FLOW("02", "40002"));
    append(world->log, "{\"lost_events\":{}}");
    append(world->log, "{\"flow\":{]");
    append(world->log, FLOW("03", "40003"));
    wait_for_flows(world->out, "1:40001 2:40002 6:40003");
    wait_for_warning(world, "flows.log: line 5: not valid JSON at byte 10");
    stop(world);
    assert_int_equal(world->totals.skipped[SKIP_REPEAT], 1);
    assert_int_equal(world->totals.skipped[SKIP_NOT_A_FLOW], 1);
    assert_int_equal(world->totals.bad, 1);
}

static void a_restart_goes_on_and_knows_the_repeats(void **state)
{
    struct world *world = *state;
    append(world->log, FLOW("01", "40001"));
    start(world);
    wait_for_flows(world->out, "1:40001");
    stop(world);
    append(world->log, FLOW("02", "40001"));
    append(world->log, FLOW("02", "40002"));
    start(world);
    wait_for_flows(world->out, "1:40001 3:40002");
    stop(world);
}

/* As after a kill: the output is ahead of the checkpoint. */
static void what_came_after_the_checkpoint_is_written_once(void **state)
{
    struct world *world = *state;
    append(world->log, FLOW("01", "40001"));
    start(world);
    wait_for_flows(world->out, "1:40001");
    stop(world);
    append(world->log, FLOW("02", "40002"));
    append(world->out, "{\"event\":{\"sequence\":2},\"source\":{\"port\":40002}}");
    append(world->out, "{\"event\":{\"sequ");
    start(world);
    wait_for_flows(world->out, "1:40001 2:40002");
    stop(world);
    assert_null(strstr(content(world->out), "sequ\n"));
}

static void a_flow_is_held_and_decided_at_the_end(void **state)
{
    struct world *world = *state;
    world->settled_us = 0;
    append(world->log, FLOW("01", "40001"));
    append(world->log, FLOW("02", "40002"));
    start(world);
    usleep(500 * 1000);
    assert_string_equal(flows_in(world->out), "");
    int64_t first_us;
    assert_true(time_parse(&first_us, "2026-05-22T10:00:01Z", 20, 0));
    world->settled_us = first_us + 2 * US_PER_S;
    wait_for_flows(world->out, "1:40001");
    stop(world);
    assert_string_equal(flows_in(world->out), "1:40001 2:40002");
}

static void an_oracle_that_is_away_is_waited_for(void **state)
{
    struct world *world = *state;
    world->ask_err = -ECONNREFUSED;
    append(world->log, FLOW("01", "40001"));
    append(world->log, FLOW("02", "40002"));
    append(world->log, FLOW("02", "40002"));
    append(world->log, FLOW("03", "40003"));
    start(world);
    wait_for_warning(world, "nobody answers; nothing is read until this passes");
    assert_string_equal(content(world->out), "");
    world->ask_err = 0;
    wait_for_flows(world->out, "1:40001 2:40002 4:40003");
    wait_for_warning(world, "going on");
    stop(world);
}

static void an_oracle_that_fails_ends_the_run(void **state)
{
    struct world *world = *state;
    world->ask_err = -EACCES;
    append(world->log, FLOW("01", "40001"));
    start(world);
    pthread_join(world->thread, NULL);
    assert_int_equal(world->result, -EACCES);
    assert_string_equal(world->why.text, "nobody answers");
}

static void a_header_stands_once(void **state)
{
    struct world *world = *state;
    world->options.sink = &SINK_CSV;
    for (int i = 0; i < 3; i++) {
        start(world);
        stop(world);
    }
    const char *text = content(world->out);
    assert_memory_equal(text, "timestamp,", 10);
    assert_null(strstr(text + 1, "timestamp,"));
}

static void an_output_that_is_renamed_is_followed_by_a_new_one(void **state)
{
    struct world *world = *state;
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.1", world->out);
    append(world->log, FLOW("01", "40001"));
    start(world);
    wait_for_flows(world->out, "1:40001");
    assert_int_equal(rename(world->out, moved), 0);
    for (int ms = 0; ms < PATIENCE_MS && access(world->out, F_OK) != 0; ms += STEP_MS) {
        usleep(STEP_MS * 1000);
    }
    append(world->log, FLOW("02", "40002"));
    wait_for_flows(world->out, "2:40002");
    stop(world);
    assert_string_equal(flows_in(moved), "1:40001");
}

static void inline_refuses_what_is_not_json(void **state)
{
    struct world *world = *state;
    world->options.sink = &SINK_INLINE;
    append(world->log, "May 22 10:00:01 h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 "
                       "DST=198.51.100.9 PROTO=TCP");
    start(world);
    pthread_join(world->thread, NULL);
    assert_int_equal(world->result, W_EUSAGE);
    assert_non_null(strstr(world->why.text, "flows.log: line 1 is not a JSON object"));
}

static void a_format_is_found_by_the_head_after_a_restart(void **state)
{
    struct world *world = *state;
    append(world->log, "what is this");
    start(world);
    wait_for_warning(world, "flows.log: no line is of a known format (tried hubble, ");
    append(world->log, FLOW("01", "40001"));
    wait_for_flows(world->out, "2:40001");
    stop(world);
    start(world);
    append(world->log, FLOW("02", "40002"));
    wait_for_flows(world->out, "2:40001 3:40002");
    stop(world);
}

static void what_cannot_be_is_refused(void **state)
{
    static const char *const STREAM[] = {"-"};
    struct world *world = *state;
    struct live_options options = world->options;
    options.sources = STREAM;
    assert_int_equal(live_new(&world->live, &options, &world->why), W_EUSAGE);
    assert_non_null(strstr(world->why.text, "which --out file:PATH needs"));
    options.out = "-";
    options.checkpoint = "somewhere";
    assert_int_equal(live_new(&world->live, &options, &world->why), W_EUSAGE);
    assert_non_null(strstr(world->why.text, "which --checkpoint needs"));
    options.out = "nothing";
    options.checkpoint = NULL;
    options.sources = world->sources;
    assert_int_equal(live_new(&world->live, &options, &world->why), W_EUSAGE);
}

static void a_checkpoint_of_another_output_is_refused(void **state)
{
    struct world *world = *state;
    char checkpoint[128];
    char other[128];
    start(world);
    stop(world);
    snprintf(checkpoint, sizeof(checkpoint), "%s.checkpoint", world->out);
    snprintf(other, sizeof(other), "file:%s/other", world->dir);
    world->options.checkpoint = checkpoint;
    world->options.out = other;
    assert_int_equal(live_new(&world->live, &world->options, &world->why), W_EUSAGE);
    assert_non_null(strstr(world->why.text, "was written for --out file:"));
}

static void memory_that_runs_out_is_an_error(void **state)
{
    struct world *world = *state;
    append(world->log, FLOW("01", "40001"));
    for (size_t n = 1;; n++) {
        struct why why = {""};
        struct live *live;
        unlink(world->out);
        char checkpoint[128];
        snprintf(checkpoint, sizeof(checkpoint), "%s.checkpoint", world->out);
        unlink(checkpoint);
        alloc_fail_at(n);
        int err = live_new(&live, &world->options, &why);
        live_free(&live);
        size_t failed = alloc_failed();
        alloc_fail_at(0);
        assert_true(err == 0 || err == -ENOMEM || err == -EIO);
        if (failed == 0) {
            assert_int_equal(err, 0);
            break;
        }
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(flows_are_named_as_they_come),
        TEST(a_restart_goes_on_and_knows_the_repeats),
        TEST(what_came_after_the_checkpoint_is_written_once),
        TEST(a_flow_is_held_and_decided_at_the_end),
        TEST(an_oracle_that_is_away_is_waited_for),
        TEST(an_oracle_that_fails_ends_the_run),
        TEST(a_header_stands_once),
        TEST(an_output_that_is_renamed_is_followed_by_a_new_one),
        TEST(inline_refuses_what_is_not_json),
        TEST(a_format_is_found_by_the_head_after_a_restart),
        TEST(what_cannot_be_is_refused),
        TEST(a_checkpoint_of_another_output_is_refused),
        TEST(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
