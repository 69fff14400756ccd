/* tests/unit/join/test_hold.c -- flows that wait until what was answered before them is known
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/hold.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define T INT64_C(1779444001000000)
#define S US_PER_S
enum { RECORDS_MAX = 8 };

struct world {
    struct hold *hold;
    struct tail_file *file;
    int64_t settled_us; /* everybody was heard up to here */
    unsigned asked;
};

static bool is_settled(void *ctx, const char *cluster, int64_t time_us, int64_t now_us)
{
    struct world *world = ctx;
    (void)cluster;
    (void)now_us;
    world->asked++;
    return time_us <= world->settled_us;
}

static void open_world(struct world *world, size_t max_bytes, size_t max_count, bool known)
{
    const struct hold_options options = {
        .skew_us = 2 * S,
        .settle_us = 60 * S,
        .max_bytes = max_bytes,
        .max_count = max_count,
        .settled = known ? is_settled : NULL,
        .settled_ctx = world,
    };
    *world = (struct world){.settled_us = 0};
    world->file = tail_file_new("a.log");
    assert_non_null(world->file);
    assert_int_equal(hold_new(&world->hold, &options), 0);
}

static void close_world(struct world *world)
{
    hold_free(&world->hold);
    assert_int_equal(world->file->holders, 0);
    tail_file_free(&world->file);
}

/* A batch of flows that begin at these times after T, in seconds, read at T + `read_s`; 1000 stands
 * for a record that nothing is asked about. */
static void push(struct world *world, const int *times_s, size_t count, int read_s)
{
    struct hold_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    batch->text = strdup("0123456789abcdef");
    batch->text_len = 16;
    batch->records = calloc(count, sizeof(*batch->records));
    assert_true(batch->text != NULL && batch->records != NULL);
    batch->count = count;
    batch->file = world->file;
    batch->at = (struct tail_place){100, 10, false};
    batch->read_us = T + read_s * S;
    for (size_t i = 0; i < count; i++) {
        batch->records[i].parsed = times_s[i] == 1000 ? PARSED_SKIPPED : PARSED_FLOW;
        batch->records[i].text = (struct text){batch->text + 2 * i, 2};
        batch->records[i].number = 11 + i;
        batch->records[i].flow.start_us = batch->records[i].flow.end_us = T + times_s[i] * S;
    }
    hold_push(world->hold, batch);
}

/* One batch, and what may go. Times in seconds after T. */
static const struct {
    const char *title;
    int times_s[RECORDS_MAX];
    size_t count;
    int read_s;
    int settled_s; /* everybody was heard up to here */
    bool known;    /* that is known */
    int now_s;
    bool drain;
    size_t ready;
    size_t early;
} ROWS[] = {
    {"a flow waits until the sender was heard past it and the skew",
     {0},
     1,
     0,
     1,
     true,
     1,
     false,
     0,
     0},
    {"and then goes", {0}, 1, 0, 2, true, 1, false, 1, 0},
    {"it waits no longer than settle after its time", {0}, 1, 5, 0, true, 61, false, 0, 0},
    {"which counts from the end of the skew", {0}, 1, 5, 0, true, 62, false, 1, 0},
    {"nor than settle after it was read, if its clock is ahead",
     {500},
     1,
     0,
     0,
     true,
     60,
     false,
     1,
     0},
    {"what is old when it is read goes at once", {-100}, 1, 0, -1000, true, 0, false, 1, 0},
    {"where nobody knows what is settled it waits for settle",
     {0},
     1,
     0,
     5,
     false,
     59,
     false,
     0,
     0},
    {"which passes", {0}, 1, 0, 0, false, 60, false, 1, 0},
    {"a record that nothing is asked about does not wait",
     {1000, 1000},
     2,
     0,
     0,
     true,
     0,
     false,
     2,
     0},
    {"a head that waits keeps what comes after it", {0, -100, 1000}, 3, 0, 0, true, 0, false, 0, 0},
    {"some of a batch may go", {-100, 1000, 0, -100}, 4, 0, 0, true, 0, false, 2, 0},
    {"at the end everything goes, and what should have waited is counted",
     {-100, 0, 1000, 0},
     4,
     0,
     0,
     true,
     0,
     true,
     4,
     2},
};

static void a_flow_waits_until_it_is_settled(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct world world;
        struct flow_record *records;
        size_t early;
        open_world(&world, SIZE_MAX, SIZE_MAX, ROWS[i].known);
        push(&world, ROWS[i].times_s, ROWS[i].count, ROWS[i].read_s);
        world.settled_us = T + ROWS[i].settled_s * S;
        size_t ready =
            hold_ready(world.hold, T + ROWS[i].now_s * S, ROWS[i].drain, &records, &early);
        if (ready != ROWS[i].ready || early != ROWS[i].early) {
            fail_msg("%s: %zu ready, %zu early", ROWS[i].title, ready, early);
        }
        close_world(&world);
    }
}

static void order_is_kept(void **state)
{
    static const int FIRST[] = {-100, 0};
    static const int SECOND[] = {-100};
    struct world world;
    struct flow_record *records;
    size_t early;
    (void)state;
    open_world(&world, SIZE_MAX, SIZE_MAX, true);
    push(&world, FIRST, 2, 0);
    push(&world, SECOND, 1, 1);
    assert_int_equal(hold_count(world.hold), 3);
    assert_int_equal(hold_oldest_us(world.hold), T);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 1);
    assert_int_equal(records[0].number, 11);
    hold_pop(world.hold, 1);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 0);
    world.settled_us = T + 10 * S;
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 1);
    assert_int_equal(records[0].number, 12);
    hold_pop(world.hold, 1);
    assert_int_equal(hold_oldest_us(world.hold), T + S);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 1);
    hold_pop(world.hold, 1);
    assert_int_equal(hold_count(world.hold), 0);
    assert_int_equal(hold_bytes(world.hold), 0);
    assert_int_equal(hold_oldest_us(world.hold), 0);
    assert_null(hold_file(world.hold));
    assert_int_equal(hold_ready(world.hold, T, true, &records, &early), 0);
    close_world(&world);
}

static void too_many_push_the_oldest_out(void **state)
{
    static const int TIMES[] = {0, 0, 0, 0};
    struct world world;
    struct flow_record *records;
    size_t early;
    (void)state;
    open_world(&world, SIZE_MAX, 6, true);
    push(&world, TIMES, 4, 0);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 0);
    push(&world, TIMES, 4, 0);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 2);
    assert_int_equal(early, 2);
    hold_pop(world.hold, 2);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 0);
    close_world(&world);
}

static void too_many_octets_push_the_oldest_out(void **state)
{
    static const int TIMES[] = {0, 0};
    struct world world;
    struct flow_record *records;
    size_t early;
    (void)state;
    open_world(&world, 4000, SIZE_MAX, true);
    for (int i = 0; i < 50; i++) {
        push(&world, TIMES, 2, 0);
        while (hold_ready(world.hold, T, false, &records, &early) > 0) {
            assert_int_equal(early, 2); /* the memory of a batch goes as a whole */
            hold_pop(world.hold, 2);
        }
        assert_true(hold_bytes(world.hold) <= 4000);
    }
    assert_true(hold_count(world.hold) > 0);
    close_world(&world);
}

static void one_question_may_settle_a_batch(void **state)
{
    static const int TIMES[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct world world;
    struct flow_record *records;
    size_t early;
    (void)state;
    open_world(&world, SIZE_MAX, SIZE_MAX, true);
    world.settled_us = T + 10 * S;
    push(&world, TIMES, 8, 0);
    assert_int_equal(hold_ready(world.hold, T, false, &records, &early), 8);
    assert_int_equal(world.asked, 1);
    close_world(&world);
}

/* The place of the first that waits, and the file is not forgotten. */
static void what_waits_is_still_needed(void **state)
{
    static const int TIMES[] = {0, 0, 0};
    struct world world;
    (void)state;
    open_world(&world, SIZE_MAX, SIZE_MAX, true);
    push(&world, TIMES, 3, 0);
    push(&world, TIMES, 3, 0);
    assert_int_equal(world.file->holders, 2);
    assert_ptr_equal(hold_file(world.hold), world.file);
    hold_pop(world.hold, 1);
    hold_keep(world.hold);
    assert_true(world.file->kept);
    assert_int_equal(world.file->keep.offset, 102);
    assert_int_equal(world.file->keep.number, 11);
    hold_pop(world.hold, 2);
    assert_int_equal(world.file->holders, 1);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_waits_until_it_is_settled),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(too_many_push_the_oldest_out),
        cmocka_unit_test(too_many_octets_push_the_oldest_out),
        cmocka_unit_test(one_question_may_settle_a_batch),
        cmocka_unit_test(what_waits_is_still_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
