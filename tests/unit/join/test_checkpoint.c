/* tests/unit/join/test_checkpoint.c -- how far a live join has got
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define NOW INT64_C(1779444001000000)

/* A log that was read, an output, and where the checkpoint goes. */
struct world {
    char dir[64];
    char log[128];
    char path[128];
    struct tail *tail;
    struct repeats *repeats;
    struct interfaces *interfaces;
    struct buf scratch;
    struct out_state out;
    struct why why;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    const struct tail_options options = {.warn = NULL};
    struct tail_piece piece;
    *state = world;
    fixture_dir(world->dir);
    snprintf(world->log, sizeof(world->log), "%s/a.log", world->dir);
    snprintf(world->path, sizeof(world->path), "%s/out.checkpoint", world->dir);
    FILE *file = fopen(world->log, "wb");
    assert_non_null(file);
    fputs("one\ntwo\n", file);
    fclose(file);
    assert_int_equal(tail_new(&world->tail, &options), 0);
    assert_int_equal(tail_add(world->tail, world->log, NULL), 0);
    assert_int_equal(tail_look(world->tail, 1), 0);
    assert_int_equal(tail_read(world->tail, &piece), TAIL_GOT_LINES);
    assert_int_equal(repeats_new(&world->repeats), 0);
    assert_int_equal(interfaces_new(&world->interfaces), 0);
    world->out = (struct out_state){.len = 4711, .closed = true, .head = {3, "0123456789abcde"}};
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    tail_free(&world->tail);
    repeats_free(&world->repeats);
    interfaces_free(&world->interfaces);
    buf_fini(&world->scratch);
    fixture_remove(world->dir);
    free(world);
    return 0;
}

static int write_it(struct world *world)
{
    return checkpoint_write(world->path, "file:out", &world->out, world->tail, world->repeats,
                            world->interfaces, NOW, &world->scratch, &world->why);
}

static struct flow make_flow(uint16_t port, int64_t time_us)
{
    struct flow flow = {.has_pair = true, .has_ports = true, .start_us = time_us};
    flow.source = fixture_addr("192.0.2.7");
    flow.destination = fixture_addr("198.51.100.9");
    flow.source_port = port;
    return flow;
}

static void what_is_written_is_read(void **state)
{
    struct world *world = *state;
    struct checkpoint read;
    struct flow flow = make_flow(1, NOW);
    assert_false(repeats_seen(world->repeats, &flow, repeats_expect(world->repeats, &flow)));
    flow.interface = (struct text){"cali1", 5};
    assert_int_equal(interfaces_seen(world->interfaces, &flow), 0);
    assert_int_equal(write_it(world), 0);
    assert_int_equal(checkpoint_read(&read, world->path, &world->why), 0);
    assert_string_equal(read.sink, "file:out");
    assert_true(read.out.closed);
    assert_int_equal(read.out.len, 4711);
    assert_memory_equal(&read.out.head, &world->out.head, sizeof(read.out.head));
    assert_int_equal(read.mark_count, 1);
    assert_string_equal(read.marks[0].log, world->log);
    assert_string_equal(read.marks[0].path, world->log);
    assert_int_equal(read.marks[0].state, TAIL_FOLLOWED);
    assert_int_equal(read.marks[0].place.offset, 8);
    assert_int_equal(read.marks[0].place.number, 2);
    assert_false(read.marks[0].place.overlong);
    assert_int_equal(read.marks[0].head.len, 8);
    struct repeats *again;
    assert_int_equal(repeats_new(&again), 0);
    assert_int_equal(repeats_load(again, read.repeats, read.repeats_len), 0);
    assert_true(repeats_seen(again, &flow, repeats_expect(again, &flow)));
    repeats_free(&again);
    struct interfaces *seen;
    assert_int_equal(interfaces_new(&seen), 0);
    assert_int_equal(interfaces_load(seen, read.interfaces, read.interfaces_len), 0);
    flow.interface = (struct text){"cali2", 5};
    assert_int_equal(interfaces_seen(seen, &flow), NOW);
    interfaces_free(&seen);
    checkpoint_fini(&read);
}

static void it_is_replaced_as_a_whole(void **state)
{
    struct world *world = *state;
    struct checkpoint read;
    char beside[128];
    assert_int_equal(write_it(world), 0);
    world->out.len = 4712;
    assert_int_equal(write_it(world), 0);
    assert_int_equal(checkpoint_read(&read, world->path, &world->why), 0);
    assert_int_equal(read.out.len, 4712);
    checkpoint_fini(&read);
    snprintf(beside, sizeof(beside), "%s/.out.checkpoint.new", world->dir);
    assert_int_equal(access(beside, F_OK), -1);
}

static void none_is_no_error_to_speak_of(void **state)
{
    struct world *world = *state;
    struct checkpoint read;
    assert_int_equal(checkpoint_read(&read, world->path, &world->why), -ENOENT);
    assert_string_equal(world->why.text, "");
}

/* Writes `len` octets as the checkpoint. */
static void put(const struct world *world, const char *data, size_t len)
{
    FILE *file = fopen(world->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void what_is_none_is_refused_by_name(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        int err;
        const char *says;
    } ROWS[] = {
        {"", 0, W_EDAMAGED, "is damaged: how far the output got is not known"},
        {"{\"flow\":1}\n", 11, W_EFORMAT, "is not a checkpoint of whither"},
        {"WHITHE", 6, W_EFORMAT, "is not a checkpoint of whither"},
        {"WHITHERC", 8, W_EDAMAGED, "is damaged"},
        {"WHITHERC\0\0\0\2rest", 16, W_EVERSION, "is a checkpoint of format 2"},
        {"WHITHERC\0\0\0\1rest of it is too short", 36, W_EDAMAGED, "is damaged"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct checkpoint read;
        put(world, ROWS[i].data, ROWS[i].len);
        assert_int_equal(checkpoint_read(&read, world->path, &world->why), ROWS[i].err);
        assert_non_null(strstr(world->why.text, ROWS[i].says));
        assert_non_null(strstr(world->why.text, world->path));
    }
}

static void what_is_not_whole_is_refused(void **state)
{
    struct world *world = *state;
    struct checkpoint read;
    assert_int_equal(write_it(world), 0);
    size_t len = world->scratch.len;
    char *data = malloc(len);
    assert_non_null(data);
    memcpy(data, world->scratch.data, len);
    for (size_t cut = 0; cut < len; cut++) {
        put(world, data, cut);
        assert_int_not_equal(checkpoint_read(&read, world->path, &world->why), 0);
    }
    for (size_t i = 0; i < len; i++) {
        data[i] ^= 0x20;
        put(world, data, len);
        assert_int_not_equal(checkpoint_read(&read, world->path, &world->why), 0);
        data[i] ^= 0x20;
    }
    put(world, data, len);
    assert_int_equal(checkpoint_read(&read, world->path, &world->why), 0);
    checkpoint_fini(&read);
    free(data);
}

static void a_disk_without_room_leaves_the_former(void **state)
{
    struct world *world = *state;
    struct checkpoint read;
    struct rlimit limit;
    assert_int_equal(write_it(world), 0);
    world->out.len = 4712;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {100, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int err = write_it(world);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(err, -EFBIG);
    assert_non_null(strstr(world->why.text, "out.checkpoint: "));
    assert_int_equal(checkpoint_read(&read, world->path, &world->why), 0);
    assert_int_equal(read.out.len, 4711);
    checkpoint_fini(&read);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct world *world = *state;
    snprintf(world->path, sizeof(world->path), "%s/no/out.checkpoint", world->dir);
    assert_int_equal(write_it(world), -ENOENT);
    assert_non_null(strstr(world->why.text, "no/out.checkpoint: No such file or directory"));
}

static void memory_that_runs_out_leaves_the_former(void **state)
{
    struct world *world = *state;
    assert_int_equal(write_it(world), 0);
    for (size_t n = 1;; n++) {
        struct checkpoint read;
        buf_fini(&world->scratch);
        alloc_fail_at(n);
        int wrote = write_it(world);
        int got = checkpoint_read(&read, world->path, &world->why);
        size_t failed = alloc_failed();
        alloc_fail_at(0);
        assert_true(wrote == 0 || wrote == -ENOMEM);
        assert_true(got == 0 || got == -ENOMEM);
        checkpoint_fini(&read);
        if (failed == 0) {
            break;
        }
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(it_is_replaced_as_a_whole),
        TEST(none_is_no_error_to_speak_of),
        TEST(what_is_none_is_refused_by_name),
        TEST(what_is_not_whole_is_refused),
        TEST(a_disk_without_room_leaves_the_former),
        TEST(a_folder_that_is_not_there_is_named),
        TEST(memory_that_runs_out_leaves_the_former),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
