/* tests/unit/join/test_join.c -- flow records in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/join.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define IP(DST) "\"IP\":{\"source\":\"192.0.2.7\",\"destination\":\"" DST "\"}"
#define FLOW(SECOND, DST, PORT)                                                                    \
    "{\"flow\":{\"time\":\"2026-05-22T10:00:" SECOND                                               \
    "Z\"," IP(DST) ",\"l4\":{\"TCP\":{"                                                            \
                   "\"source_port\":" PORT                                                         \
                   ",\"destination_port\":443,\"flags\":{\"SYN\":true}}}}}\n"

/* What a run gave. */
struct run {
    char dir[64];
    char path[128];
    struct buf out;
    struct buf warnings;
    struct join_totals totals;
    atomic_size_t asked;
    struct question question; /* the last that was asked, of a single worker */
    int ask_err;              /* the oracle's */
    int write_err;            /* the writer's */
    size_t workers;
    struct why why;
};

static int take_output(void *ctx, const char *bytes, size_t len)
{
    struct run *run = ctx;
    buf_add(&run->out, bytes, len);
    return run->write_err;
}

static void take_warning(void *ctx, const char *text)
{
    struct run *run = ctx;
    buf_str(&run->warnings, text);
    buf_char(&run->warnings, '\n');
}

/* 2026-05-22T10:00:00Z */
#define NOW INT64_C(1779444000000000)
static int64_t now(void)
{
    return NOW;
}

/* Says "ip-only" of every destination. */
static int ask(void *oracle, const struct question *questions, size_t count,
               join_answered_fn answered, void *ctx, struct why *why)
{
    struct run *run = oracle;
    if (run->ask_err != 0) {
        return why_set(why, run->ask_err, "the oracle is silent");
    }
    for (size_t i = 0; i < count; i++) {
        struct attribution attribution = {.verdict = IP_ONLY};
        assert_string_equal(questions[i].cluster, "here");
        run->asked++;
        if (run->workers == 1) {
            run->question = questions[i];
        }
        int err = answered(ctx, i, &attribution);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int set_up(void **state)
{
    struct run *run = calloc(1, sizeof(*run));
    *state = run;
    run->workers = 1;
    fixture_dir(run->dir);
    snprintf(run->path, sizeof(run->path), "%s/input", run->dir);
    return 0;
}

static int tear_down(void **state)
{
    struct run *run = *state;
    buf_fini(&run->out);
    buf_fini(&run->warnings);
    fixture_remove(run->dir);
    free(run);
    return 0;
}

/* Joins `times` times a file with that text. */
static int join_text(struct run *run, const struct sink_kind *sink, const char *text, int times)
{
    struct join *join;
    struct join_oracle oracles[4] = {{ask, run}, {ask, run}, {ask, run}, {ask, run}};
    const struct join_options options = {
        .cluster = "here",
        .sink = sink,
        .sink_options = {"here", 0, false},
        .oracles = oracles,
        .workers = run->workers,
        .write = take_output,
        .write_ctx = run,
        .now_us = now,
        .warn = take_warning,
        .report_ctx = run,
    };
    FILE *file = fopen(run->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(join_new(&join, &options), 0);
    int err = 0;
    for (int i = 0; i < times && err == 0; i++) {
        err = join_input(join, run->path, &run->why);
    }
    run->totals = *join_totals(join);
    join_free(&join);
    buf_char(&run->out, '\0');
    buf_char(&run->warnings, '\0');
    return err;
}

static size_t count_lines(const struct buf *buf)
{
    size_t count = 0;
    for (size_t i = 0; i < buf->len; i++) {
        count += buf->data[i] == '\n';
    }
    return count;
}

static void flows_are_given_out_in_the_order_read(void **state)
{
    struct run *run = *state;
    /* A flow, a skipped event, one without address, a repeat, a bad line, one more flow. */
    static const char TEXT[] =
        FLOW("01", "198.51.100.1", "1") "{\"lost_events\":{}}\n"
                                        "{\"flow\":{\"verdict\":\"DROPPED\"}}\n" FLOW(
                                            "02", "198.51.100.1",
                                            "1") "{\"flow\":\n" FLOW("03", "198.51.100.2", "1");
    assert_int_equal(join_text(run, &SINK_ECS, TEXT, 1), 0);
    assert_int_equal(count_lines(&run->out), 3);
    const char *first = strstr(run->out.data, "\"sequence\":1}");
    const char *second = strstr(run->out.data, "\"sequence\":3}");
    const char *third = strstr(run->out.data, "\"sequence\":6}");
    assert_true(first != NULL && second > first && third > second);
    assert_int_equal(run->asked, 2);
    assert_int_equal(run->totals.flows, 3);
    assert_int_equal(run->totals.verdicts[IP_ONLY], 2);
    assert_int_equal(run->totals.verdicts[UNJOINABLE], 1);
    assert_int_equal(run->totals.skipped[SKIP_NOT_A_FLOW], 1);
    assert_int_equal(run->totals.skipped[SKIP_REPEAT], 1);
    assert_int_equal(run->totals.bad, 1);
    assert_int_equal(run->totals.inputs, 1);
    assert_non_null(strstr(run->warnings.data, "input: line 5: not valid JSON at byte 9"));
}

static void times_that_cannot_be_are_warned_of_once_with_their_number(void **state)
{
    struct run *run = *state;
#define AT(TIME) "{\"flow\":{\"time\":\"2026-05-22T" TIME "Z\"}}\n"
    static const struct {
        const char *text;
        const char *warnings; /* without the name of the file */
    } CASES[] = {
        {AT("10:00:00") AT("09:30:00") AT("10:05:00") AT("09:05:00"), ""},
        {AT("10:05:01"), "1 record is of the future; a clock is wrong, or the zone of the times "
                         "(--tz)"},
        {AT("10:05:01") AT("11:05:01"), "2 records are of the future; a clock is wrong, or the "
                                        "zone of the times (--tz)"},
        {AT("09:00:00") AT("07:59:59") AT("07:50:00"),
         "1 record is more than an hour older than the one before; are these logs of several "
         "clocks or zones?"},
        {AT("09:00:00") "{\"flow\":{}}\n" AT("07:59:59") AT("09:00:00") AT("07:00:00"),
         "2 records are more than an hour older than the one before; are these logs of several "
         "clocks or zones?"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        buf_reset(&run->warnings);
        assert_int_equal(join_text(run, &SINK_ECS, CASES[i].text, 2), 0);
        assert_int_equal(count_lines(&run->warnings), CASES[i].warnings[0] != '\0' ? 2 : 0);
        assert_non_null(strstr(run->warnings.data, CASES[i].warnings));
    }
#undef AT
}

static void what_is_true_of_all_records_is_said_once_for_an_input(void **state)
{
    struct run *run = *state;
    static const char TEXT[] = "{\"flow\":{\"Key\":{\"dest_name\":\"pub\"}}}\n"
                               "{\"flow\":{\"Key\":{\"dest_name\":\"pvt\"}}}\n";
    assert_int_equal(join_text(run, &SINK_ECS, TEXT, 2), 0);
    assert_int_equal(run->totals.verdicts[UNJOINABLE], 4);
    assert_int_equal(run->totals.bad, 0);
    assert_int_equal(count_lines(&run->warnings), 2);
    assert_non_null(strstr(run->warnings.data, "Goldmane and Whisker give no addresses"));
}

/* What is asked about a record of a format's clock. */
static void a_step_of_a_coarse_clock_is_asked_about_as_a_span(void **state)
{
    struct run *run = *state;
#define ENDS "\"source_ip\":\"192.0.2.7\",\"dest_ip\":\"198.51.100.9\""
    static const struct {
        const char *text;
        int64_t start_us; /* after NOW */
        int64_t end_us;
        bool aggregated;
    } CASES[] = {
        /* To the microsecond. */
        {FLOW("01", "198.51.100.1", "1"), US_PER_S, US_PER_S, false},
        /* A window in seconds. */
        {"{\"start_time\":1779444001,\"end_time\":1779444301," ENDS
         ",\"source_name_aggr\":\"a\",\"dest_name_aggr\":\"b\",\"reporter\":\"src\"}\n",
         US_PER_S, 302 * US_PER_S - 1, true},
        /* A known start in seconds, of a connection that lasted. */
        {"1779444001,1779444031,192.0.2.7,198.51.100.9,1,443,TCP,,,,,,,,0,,,,,,,,,,,\n", US_PER_S,
         2 * US_PER_S - 1, true},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        assert_int_equal(join_text(run, &SINK_ECS, CASES[i].text, 1), 0);
        assert_int_equal(run->question.start_us, NOW + CASES[i].start_us);
        assert_int_equal(run->question.end_us, NOW + CASES[i].end_us);
        assert_int_equal(run->question.aggregated, CASES[i].aggregated);
    }
#undef ENDS
}

/* Headers of one input say different things, while batches of both are in work. */
static void columns_change_in_the_middle_whoever_parses(void **state)
{
    struct run *run = *state;
    struct buf text = {0};
    enum { TIMES = 300 };
    for (int i = 0; i < TIMES; i++) {
        buf_str(&text, "srcaddr dstaddr start end\n"
                       "192.0.2.7 198.51.100.9 1779444000 1779444000\n"
                       "dstaddr end srcaddr start\n"
                       "198.51.100.9 1779444000 192.0.2.7 1779444000\n"
                       "198.51.100.9 1779444000 192.0.2.7 1779444000\n");
    }
    buf_char(&text, '\0');
    run->workers = 4;
    assert_int_equal(join_text(run, &SINK_CSV, text.data, 1), 0);
    assert_int_equal(run->totals.flows, 3 * TIMES);
    assert_int_equal(count_lines(&run->out), 3 * TIMES + 1);
    size_t right = 0;
    for (char *at = run->out.data; (at = strstr(at, ",192.0.2.7,,")) != NULL; at++) {
        right++;
    }
    assert_int_equal(right, 3 * TIMES);
    buf_fini(&text);
}

static void inline_gives_every_good_record(void **state)
{
    struct run *run = *state;
    static const char TEXT[] = "{\"lost_events\":{}}\n" FLOW("01", "198.51.100.1", "1")
        FLOW("02", "198.51.100.1", "1") "{\"node_status\":{}}\n";
    assert_int_equal(join_text(run, &SINK_INLINE, TEXT, 1), 0);
    assert_int_equal(count_lines(&run->out), 4);
    assert_memory_equal(run->out.data, "{\"lost_events\":{}}\n{\"flow\":", 27);
    const char *last = strstr(run->out.data, "{\"node_status\":{}}\n");
    assert_non_null(last);
    assert_string_equal(last, "{\"node_status\":{}}\n");
    assert_int_equal(run->totals.flows, 1);
}

static void inline_refuses_what_is_not_json(void **state)
{
    struct run *run = *state;
    static const char TEXT[] =
        "May 22 10:00:01 h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9 PROTO=TCP\n";
    assert_int_equal(join_text(run, &SINK_INLINE, TEXT, 1), W_EUSAGE);
    assert_non_null(strstr(run->why.text, "line 1 is not a JSON object"));
    assert_int_equal(run->totals.flows, 0);
}

static void many_bad_lines_are_named_a_few_times_and_counted(void **state)
{
    struct run *run = *state;
    struct buf text = {0};
    buf_str(&text, FLOW("01", "198.51.100.1", "1"));
    for (int i = 0; i < 1000; i++) {
        buf_str(&text, "{\"flow\":{]\n");
    }
    buf_char(&text, '\0');
    assert_int_equal(join_text(run, &SINK_ECS, text.data, 1), 0);
    assert_int_equal(run->totals.bad, 1000);
    assert_int_equal(count_lines(&run->warnings), 6);
    assert_non_null(strstr(run->warnings.data, "more bad lines, which are counted only"));
    buf_fini(&text);
}

static void nonsense_addresses_are_given_out_and_counted_as_bad(void **state)
{
    struct run *run = *state;
    assert_int_equal(join_text(run, &SINK_ECS, FLOW("01", "999.1.1.1", "1"), 1), 0);
    assert_int_equal(run->totals.flows, 1);
    assert_int_equal(run->totals.bad, 1);
    assert_non_null(strstr(run->out.data, "\"reason\":\"bad-address\""));
    assert_non_null(strstr(run->warnings.data, "line 1: the destination is no IP address"));
}

static void bad_inputs_are_warned_of_and_no_error(void **state)
{
    struct run *run = *state;
    assert_int_equal(join_text(run, &SINK_ECS, "what is this\n", 2), 0);
    assert_int_equal(run->totals.bad_inputs, 2);
    assert_int_equal(run->totals.inputs, 0);
    assert_int_equal(count_lines(&run->warnings), 2);
}

static void repeats_are_known_across_inputs(void **state)
{
    struct run *run = *state;
    assert_int_equal(join_text(run, &SINK_ECS, FLOW("01", "198.51.100.1", "1"), 2), 0);
    assert_int_equal(run->totals.flows, 1);
    assert_int_equal(run->totals.skipped[SKIP_REPEAT], 1);
    assert_int_equal(run->totals.inputs, 2);
}

static void join_many(struct run *run, size_t workers)
{
    struct buf text = {0};
    enum { COUNT = 20000 };
    for (int i = 0; i < COUNT; i++) {
        buf_printf(&text,
                   "{\"flow\":{\"time\":\"2026-05-22T10:00:01Z\",\"IP\":{\"source\":"
                   "\"192.0.2.7\",\"destination\":\"%s\"},\"l4\":{\"UDP\":{\"source_port\":"
                   "%d}}}}\n",
                   i % 3 == 0 ? "" : "198.51.100.1", i + 1);
    }
    buf_char(&text, '\0');
    run->workers = workers;
    assert_int_equal(join_text(run, &SINK_ECS, text.data, 1), 0);
    assert_int_equal(run->totals.flows, COUNT);
    const char *at = run->out.data;
    const char *end = at + run->out.len;
    for (int i = 1; i <= COUNT; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "\"sequence\":%d}", i);
        /* Not strstr(3), which a sanitizer has look for the end of the text each time. */
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *found = memmem(at, (size_t)(end - at), expected, strlen(expected));
        assert_true(found != NULL && found < stop);
        at = stop + 1;
    }
    buf_fini(&text);
}

static void many_batches_keep_their_order(void **state)
{
    join_many(*state, 1);
}

static void several_workers_keep_the_order_of_the_batches(void **state)
{
    join_many(*state, 4);
}

static void several_workers_end_at_the_first_error(void **state)
{
    struct run *run = *state;
    struct buf text = {0};
    for (int i = 0; i < 20000; i++) {
        buf_str(&text, FLOW("01", "198.51.100.1", "1"));
    }
    buf_char(&text, '\0');
    run->workers = 4;
    run->write_err = -ENOSPC;
    assert_int_equal(join_text(run, &SINK_ECS, text.data, 1), -ENOSPC);
    assert_int_equal(count_lines(&run->out), 1);
    run->write_err = 0;
    run->ask_err = -EIO;
    assert_int_equal(join_text(run, &SINK_ECS, text.data, 1), -EIO);
    buf_fini(&text);
}

static void an_error_of_the_oracle_or_the_output_ends_the_run(void **state)
{
    struct run *run = *state;
    run->ask_err = -EIO;
    assert_int_equal(join_text(run, &SINK_ECS, FLOW("01", "198.51.100.1", "1"), 1), -EIO);
    assert_string_equal(run->why.text, "the oracle is silent");
    run->ask_err = 0;
    run->write_err = -ENOSPC;
    assert_int_equal(join_text(run, &SINK_ECS, FLOW("01", "198.51.100.1", "1"), 1), -ENOSPC);
}

static void every_refused_allocation_is_survived(void **state)
{
    struct run *run = *state;
    const struct join_oracle oracle = {ask, run};
    const struct join_options options = {
        .cluster = "here",
        .sink = &SINK_ECS,
        .sink_options = {"here", 0, false},
        .oracles = &oracle,
        .workers = 1,
        .write = take_output,
        .write_ctx = run,
    };
    FILE *file = fopen(run->path, "wb");
    assert_non_null(file);
    fputs(FLOW("01", "198.51.100.1", "1"), file);
    fclose(file);
    size_t refused = 1;
    for (size_t n = 1; refused != 0; n++) {
        struct join *join;
        buf_reset(&run->out);
        assert_non_null(buf_room(&run->out, 4096)); /* what the test itself needs */
        alloc_fail_at(n);
        int err = join_new(&join, &options);
        if (err == 0) {
            err = join_input(join, run->path, &run->why);
            join_free(&join);
        }
        refused = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, refused != 0 ? -ENOMEM : 0);
    }
}

/* The whole way, with an index. */
static void an_index_gives_the_names_that_were_asked_for(void **state)
{
    struct run *run = *state;
    char dir[128];
    struct store_view *view;
    struct join_index index;
    struct join *join;
    struct attribute_params params = attribute_defaults();
    int64_t time_us;
    assert_true(time_parse(&time_us, "2026-05-22T10:00:01Z", 20, 0));
    snprintf(dir, sizeof(dir), "%s/index", run->dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    assert_int_equal(fixture_put(store, "here", "192.0.2.7", time_us - 55000, 60, "api.example.com",
                                 "", "198.51.100.1"),
                     0);
    assert_int_equal(store_commit(store, time_us, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(attributor_new(&index.attributor, view, &params), 0);
    index.now_us = time_us + US_PER_HOUR;
    const struct join_oracle oracle = {join_ask_index, &index};
    const struct join_options options = {
        .cluster = "here",
        .sink = &SINK_ECS,
        .sink_options = {"here", 0, false},
        .oracles = &oracle,
        .workers = 1,
        .write = take_output,
        .write_ctx = run,
    };
    FILE *file = fopen(run->path, "wb");
    assert_non_null(file);
    fputs(FLOW("01", "198.51.100.1", "1"), file);
    fclose(file);
    assert_int_equal(join_new(&join, &options), 0);
    assert_int_equal(join_input(join, run->path, &run->why), 0);
    buf_char(&run->out, '\0');
    assert_non_null(strstr(run->out.data, "\"domain\":\"api.example.com\""));
    assert_non_null(strstr(run->out.data, "\"verdict\":\"resolved\""));
    assert_non_null(strstr(run->out.data, "\"age_ms\":55"));
    assert_int_equal(join_totals(join)->verdicts[RESOLVED], 1);
    join_free(&join);
    attributor_free(&index.attributor);
    store_view_free(&view);
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flows_are_given_out_in_the_order_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_that_cannot_be_are_warned_of_once_with_their_number,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_true_of_all_records_is_said_once_for_an_input,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_step_of_a_coarse_clock_is_asked_about_as_a_span, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(columns_change_in_the_middle_whoever_parses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(inline_gives_every_good_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inline_refuses_what_is_not_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_bad_lines_are_named_a_few_times_and_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nonsense_addresses_are_given_out_and_counted_as_bad, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_inputs_are_warned_of_and_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(repeats_are_known_across_inputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_batches_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_workers_keep_the_order_of_the_batches, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(several_workers_end_at_the_first_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_the_oracle_or_the_output_ends_the_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_refused_allocation_is_survived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_gives_the_names_that_were_asked_for, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
