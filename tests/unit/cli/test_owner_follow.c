/* tests/unit/cli/test_owner_follow.c -- owners from files that change while a service runs
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/owner_follow.h"

#include <fcntl.h>
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

#define POD(NAME, IP)                                                                              \
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" NAME                                             \
    "\",\"namespace\":\"shop\"},\"status\":{\"podIP\":\"" IP                                       \
    "\",\"startTime\":\"2026-05-22T10:00:00Z\"}}"
#define EVENT(TYPE, OBJECT) "{\"type\":\"" TYPE "\",\"object\":" OBJECT "}\n"
#define LIST(ITEMS) "{\"items\":[" ITEMS "],\"kind\":\"List\"}\n"
#define METRIC(POD, IP)                                                                            \
    "kube_pod_info{namespace=\"shop\",pod=\"" POD "\",uid=\"" POD "\",pod_ip=\"" IP "\"} 1\n"

struct fixture {
    char dir[32];
    char paths[4][64]; /* grows, list, metrics, pipe */
    const char *items[4];
    struct settings settings;
    struct owners *owners;
    struct owners_reader *reader;
    struct owner_follow *follow;
    atomic_int changes;
};

static void write_file(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *owner_of(struct fixture *fixture, const char *address)
{
    struct owner_at at;
    struct addr addr;
    assert_true(addr_parse(&addr, address, strlen(address)));
    return owners_at(fixture->reader, "prod", &addr, clock_now_us(), &at) ? at.owner->name
                                                                          : "nobody";
}

/* Looks for at most ten seconds. */
static void expect_owner(struct fixture *fixture, const char *address, const char *name)
{
    for (int i = 0; i < 1000 && strcmp(owner_of(fixture, address), name) != 0; i++) {
        usleep(10000);
    }
    assert_string_equal(owner_of(fixture, address), name);
}

static void on_change(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->changes++;
}

static int set_up(void **state)
{
    static const char *const NAMES[] = {"watch.json", "list.json", "metrics", "pipe"};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct why why = {""};
    char dir[sizeof(fixture->dir)] = "/tmp/whither-follow-XXXXXX";
    assert_non_null(mkdtemp(dir));
    strcpy(fixture->dir, dir);
    for (int i = 0; i < 4; i++) {
        snprintf(fixture->paths[i], sizeof(fixture->paths[i]), "%s/%s", dir, NAMES[i]);
        fixture->items[i] = fixture->paths[i];
    }
    write_file(fixture->paths[0], "w", EVENT("ADDED", POD("a", "10.10.3.1")));
    write_file(fixture->paths[1], "w", LIST(POD("l1", "10.10.4.1") "," POD("l2", "10.10.4.2")));
    write_file(fixture->paths[2], "w", METRIC("m1", "10.10.5.1"));
    assert_int_equal(mkfifo(fixture->paths[3], 0600), 0);
    fixture->settings.cluster = "prod";
    fixture->settings.owners.items = fixture->items;
    fixture->settings.owners.count = 4;
    assert_int_equal(owners_new(&fixture->owners, 0), 0);
    assert_int_equal(owners_reader_new(&fixture->reader, fixture->owners), 0);
    assert_int_equal(owner_follow_new(&fixture->follow, fixture->owners, &fixture->settings, &why),
                     0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    owner_follow_free(&fixture->follow);
    owners_reader_free(&fixture->reader);
    owners_free(&fixture->owners);
    for (int i = 0; i < 4; i++) {
        unlink(fixture->paths[i]);
    }
    rmdir(fixture->dir);
    free(fixture);
    return 0;
}

static void what_is_there_is_read_at_once(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(owner_of(fixture, "10.10.3.1"), "a");
    assert_string_equal(owner_of(fixture, "10.10.4.2"), "l2");
    assert_string_equal(owner_of(fixture, "10.10.5.1"), "m1");
}

static void files_that_change_are_read_again(void **state)
{
    struct fixture *fixture = *state;
    struct why why = {""};
    char fresh[80];
    assert_int_equal(owner_follow_start(fixture->follow, on_change, fixture, &why), 0);
    /* It grows, by half an event first. */
    write_file(fixture->paths[0], "a", EVENT("ADDED", POD("b", "10.10.3.2")) "{\"type\":\"DELE");
    expect_owner(fixture, "10.10.3.2", "b");
    write_file(fixture->paths[0], "a", "TED\",\"object\":" POD("a", "10.10.3.1") "}\n");
    expect_owner(fixture, "10.10.3.1", "nobody");
    /* Another file takes its name: who is not in it has ended. */
    snprintf(fresh, sizeof(fresh), "%s.new", fixture->paths[1]);
    write_file(fresh, "w", LIST(POD("l2", "10.10.4.2") "," POD("l3", "10.10.4.3")));
    assert_int_equal(rename(fresh, fixture->paths[1]), 0);
    expect_owner(fixture, "10.10.4.3", "l3");
    expect_owner(fixture, "10.10.4.1", "nobody");
    assert_string_equal(owner_of(fixture, "10.10.4.2"), "l2");
    /* It is written anew in its place. */
    write_file(fixture->paths[1], "w", LIST(POD("l4", "10.10.4.4")));
    expect_owner(fixture, "10.10.4.4", "l4");
    expect_owner(fixture, "10.10.4.3", "nobody");
    /* Metrics, and a pipe that is written to twice. */
    write_file(fixture->paths[2], "w", METRIC("m1", "10.10.5.1") METRIC("m2", "10.10.5.2"));
    expect_owner(fixture, "10.10.5.2", "m2");
    write_file(fixture->paths[3], "w", EVENT("ADDED", POD("p1", "10.10.6.1")));
    expect_owner(fixture, "10.10.6.1", "p1");
    write_file(fixture->paths[3], "w", EVENT("ADDED", POD("p2", "10.10.6.2")));
    expect_owner(fixture, "10.10.6.2", "p2");
    /* It is gone: nothing is forgotten. */
    unlink(fixture->paths[0]);
    write_file(fixture->paths[1], "w", LIST(POD("l5", "10.10.4.5")));
    expect_owner(fixture, "10.10.4.5", "l5");
    assert_string_equal(owner_of(fixture, "10.10.3.2"), "b");
    owner_follow_stop(fixture->follow);
    assert_true(fixture->changes > 0);
}

static void a_file_that_is_not_there_at_the_start_is_named(void **state)
{
    (void)state;
    const char *items[] = {"/nonexistent/owners.json"};
    const struct settings settings = {.cluster = "prod", .owners = {items, 1}};
    struct owner_follow *follow;
    struct owners *owners;
    struct why why = {""};
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_true(owner_follow_new(&follow, owners, &settings, &why) < 0);
    assert_non_null(strstr(why.text, "/nonexistent/owners.json"));
    owners_free(&owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_read_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_change_are_read_again, set_up, tear_down),
        cmocka_unit_test(a_file_that_is_not_there_at_the_start_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
