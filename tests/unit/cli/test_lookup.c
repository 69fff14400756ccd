/* tests/unit/cli/test_lookup.c -- lookup, names and status, from an index and from a service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/api_fixture.h"
#include "tests/support/cli_run.h"

static struct api_fixture fixture;
static char url[64];

/* Both places, as flag and value. */
enum { INDEX, SERVICE, PLACE_COUNT };
static const char *PLACES[PLACE_COUNT][2] = {{"--data", fixture.dir}, {"--server", url}};

/* An index may be open once in a process: by the service or by the commands. */
static void enter(size_t place)
{
    struct why why = {""};
    api_stop(&fixture.api);
    store_close(&fixture.store);
    if (place == SERVICE) {
        assert_int_equal(store_open(&fixture.store, fixture.dir, STORE_WRITE, NULL, &why), 0);
        struct api_options options = api_fixture_options(&fixture);
        api_fixture_start(&fixture, &options);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u", fixture.port);
    }
}

struct cli_case {
    const char *args[10];
    int code;
    const char *out[5]; /* each is part of standard output */
    const char *err;    /* part of standard error; NULL: nothing is written there */
};

static const struct cli_case CASES[] = {
    {{"lookup", "10.0.0.7", "192.0.2.10", "--at", "2026-05-22T10:00:05Z", "--output", "text"},
     0,
     {"10.0.0.7 was going to api.example.com: it asked 5 s before and got 192.0.2.10 (TTL 60 s, 1 "
      "answer)\n"},
     NULL},
    {{"lookup", "10.0.0.7", "192.0.2.10", "--at", "2026-05-22T10:30:05Z", "--output", "text"},
     0,
     {"10.0.0.7 was probably going to api.example.com: it asked 30 min before", "no longer valid"},
     NULL},
    {{"lookup", "10.0.0.9", "192.0.2.10", "--at", "2026-05-22T10:01:05Z", "--output", "text"},
     0,
     {"10.0.0.9 did not ask for 192.0.2.10; 2 other clients got it for api.example.com\n"},
     NULL},
    {{"lookup", "10.0.0.9", "192.0.2.200", "--at", "2026-05-22T10:01:05Z", "--output", "text"},
     0,
     {"10.0.0.9 went to 192.0.2.200 without a name"},
     NULL},
    {{"lookup", "10.0.0.19", "192.0.2.200", "--at", "2026-05-22T10:01:05Z", "--output", "text"},
     0,
     {"no name is known for 10.0.0.19 to 192.0.2.200", "never seen asking"},
     NULL},
    {{"lookup", "10.0.0.7", "255.255.255.255", "--output", "text"}, 0, {"no connection"}, NULL},
    /* Not a terminal: JSON, one line. */
    {{"lookup", "10.0.0.7", "192.0.2.10", "--at", "2026-05-22T10:00:05Z"},
     0,
     {"{\"verdict\":\"resolved\"", "\"domain\":\"api.example.com\"}\n"},
     NULL},
    {{"lookup", "10.0.0.7"}, 2, {""}, "expected SRC DST"},
    {{"lookup", "10.0.0.7", "example.com"}, 2, {""}, "'example.com' is not an IP address"},

    {{"names", "api.example.com", "--output", "text"},
     0,
     {"LAST ", "2026-05-22 10:00:02.000  10.0.0.8  api.example.com  1 ", "192.0.2.10 192.0.2.11\n"},
     NULL},
    {{"names", "API.example.com."},
     0,
     {"{\"client\":\"10.0.0.8\",\"asked\":\"api.example.com\"", "}\n{\"client\":\"10.0.0.7\""},
     NULL},
    {{"names", "example.com", "--under", "--limit", "3"},
     0,
     {"n59.list", "n58.list", "n57.list"},
     "--limit shows more"},
    {{"names", "example.com", "--under", "--limit", "3", "--quiet"}, 0, {"n57.list"}, NULL},
    {{"names", "api.example.com", "--until", "2026-05-22T10:00:01Z"},
     0,
     {"{\"client\":\"10.0.0.7\""},
     NULL},
    {{"names", "192.0.2.10", "--output", "text"}, 0, {"CALLED", "api.example.com  2  "}, NULL},
    {{"names", "192.0.2.10"},
     0,
     {"{\"address\":\"192.0.2.10\",\"asked\":\"api.example.com\""},
     NULL},
    {{"names", "10.0.0.7", "--output", "text"}, 0, {"www.example.net", "198.51.100.7"}, NULL},
    {{"names", "nothing.example"}, 0, {""}, "nothing is known of nothing.example"},
    {{"names", "a..b"}, 2, {""}, "neither an IP address nor a domain name"},
    {{"names"}, 2, {""}, "expected one NAME"},
    {{"names", "example.com", "--since", "2026-05-22T10:00:01Z", "--until", "2026-05-22T10:00:00Z"},
     2,
     {""},
     "--since lies after --until"},
    {{"names", "example.com", "--since", "2099-01-01T00:00:00Z"}, 2, {""}, "in the future"},

    {{"status", "--output", "text"},
     0,
     {"span     2026-05-22 10:00:00 to 2026-05-22 10:00:59 UTC", "54 sightings of 54 answers",
      "dns-1   stopped  2026-05-22 08:00:00.000  2026-05-22 11:00:00.000", "no-sender"},
     NULL},
    {{"status"},
     0,
     {"{\"version\":", "\"identity\":\"dns-1\"", "\"blind\":[{",
      "\"blind_left_out\":0,\"watches\":[]}\n"},
     NULL},
    {{"status", "now"}, 2, {""}, "unexpected now"},
};

static void check(const struct cli_case *test, const char *const place[2])
{
    const char *args[CLI_ARGS_MAX + 1] = {NULL};
    size_t count = 0;
    for (; test->args[count] != NULL; count++) {
        args[count] = test->args[count];
    }
    args[count++] = place[0];
    args[count] = place[1];
    struct cli_run run = cli_run(args);
    bool good = run.code == test->code;
    for (size_t i = 0; i < 5 && test->out[i] != NULL; i++) {
        good &= strstr(run.out, test->out[i]) != NULL;
    }
    good &= test->err == NULL ? run.err[0] == '\0' : strstr(run.err, test->err) != NULL;
    if (!good) {
        print_error("%s %s ... %s: %d\n%s%s", args[0], args[1], place[1], run.code, run.out,
                    run.err);
    }
    assert_true(good);
    cli_run_free(&run);
}

static void commands_say_the_same_of_an_index_and_of_a_service(void **state)
{
    (void)state;
    for (size_t place = 0; place < PLACE_COUNT; place++) {
        enter(place);
        for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
            check(&CASES[i], PLACES[place]);
        }
    }
}

static void a_list_longer_than_a_page_is_read_to_its_end(void **state)
{
    (void)state;
    for (size_t place = 0; place < PLACE_COUNT; place++) {
        enter(place);
        const char *args[] = {"names",  "list.example.com", "--under",        "--limit",
                              "100000", PLACES[place][0],   PLACES[place][1], NULL};
        struct cli_run run = cli_run(args);
        size_t lines = 0;
        for (const char *at = run.out; (at = strchr(at, '\n')) != NULL; at++) {
            lines++;
        }
        assert_int_equal(lines, 50);
        cli_run_free(&run);
    }
}

static void a_json_answer_is_one_line(void **state)
{
    (void)state;
    for (size_t place = 0; place < PLACE_COUNT; place++) {
        enter(place);
        const char *args[] = {"status", PLACES[place][0], PLACES[place][1], NULL};
        struct cli_run run = cli_run(args);
        assert_ptr_equal(strchr(run.out, '\n'), run.out + strlen(run.out) - 1);
        cli_run_free(&run);
    }
}

static void where_there_is_nothing_one_clear_line_says_so(void **state)
{
    static const char *const COMMANDS[][4] = {
        {"lookup", "10.0.0.7", "192.0.2.10"}, {"names", "example.com", NULL}, {"status", NULL}};
    static const struct {
        const char *flag;
        const char *value;
        const char *err;
    } TESTS[] = {
        {"--data", "/nonexistent/index", "there is no index in /nonexistent/index"},
        {"--server", "http://127.0.0.1:1", "http://127.0.0.1:1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        for (size_t k = 0; k < 3; k++) {
            const char *args[8] = {COMMANDS[k][0], COMMANDS[k][1],
                                   COMMANDS[k][1] == NULL ? NULL : COMMANDS[k][2]};
            size_t count = 0;
            while (args[count] != NULL) {
                count++;
            }
            args[count] = TESTS[i].flag;
            args[count + 1] = TESTS[i].value;
            struct cli_run run = cli_run(args);
            assert_int_equal(run.code, 1);
            assert_string_equal(run.out, "");
            assert_non_null(strstr(run.err, TESTS[i].err));
            assert_ptr_equal(strchr(run.err, '\n'), run.err + strlen(run.err) - 1);
            cli_run_free(&run);
        }
    }
}

static void an_empty_index_has_a_status_and_nothing_else(void **state)
{
    struct store *store = NULL;
    char dir[] = "/tmp/empty-XXXXXX", data[64], command[128];
    struct why why = {""};
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(data, sizeof(data), "%s/data", dir);
    assert_int_equal(store_open(&store, data, STORE_WRITE, NULL, &why), 0);
    store_close(&store);
    struct cli_run run =
        cli_run((const char *const[]){"status", "--data", data, "--output", "text", NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "no answers yet"));
    cli_run_free(&run);
    run = cli_run((const char *const[]){"lookup", "10.0.0.7", "192.0.2.1", "--data", data, NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "is empty"));
    cli_run_free(&run);
    run = cli_run((const char *const[]){"names", "example.com", "--data", data, NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "is empty"));
    cli_run_free(&run);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

/* `whither lookup SRC DST --at 10:00:05` of the index with these owners. */
static struct cli_run look_up_with(const char *owners, const char *destination, const char *place,
                                   const char *value)
{
    const char *args[] = {"lookup",   "10.0.0.7", destination, "--at", "2026-05-22T10:00:05Z",
                          "--output", "text",     "--owners",  owners, place,
                          value,      NULL};
    return cli_run(args);
}

static void owners_come_from_files(void **state)
{
    static const char TEXT[] =
        "{\"kind\":\"List\",\"items\":["
        "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"next\",\"namespace\":\"shop\"},\"status\":{"
        "\"podIP\":\"10.0.0.7\",\"startTime\":\"2026-05-22T10:00:03Z\"}},"
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\","
        "\"creationTimestamp\":\"2026-05-22T09:00:00Z\"},\"spec\":{\"clusterIP\":\"10.96.0.20\"}},"
        "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"was\",\"namespace\":\"shop\"},\"status\":{"
        "\"phase\":\"Succeeded\",\"podIP\":\"10.0.0.7\",\"startTime\":\"2026-05-22T09:00:00Z\","
        "\"containerStatuses\":[{\"state\":{\"terminated\":{\"finishedAt\":\"2026-05-22T10:00:"
        "02Z\"}"
        "}}]}}]}\n";
    char path[] = "/tmp/whither-owners-XXXXXX";
    char other[64];
    int fd = mkstemp(path);
    (void)state;
    assert_int_equal(write(fd, TEXT, sizeof(TEXT) - 1), sizeof(TEXT) - 1);
    close(fd);
    enter(INDEX);
    /* The answer was the former owner's; another client still got it. */
    struct cli_run run = look_up_with(path, "192.0.2.10", "--data", fixture.dir);
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "10.0.0.7 did not ask for 192.0.2.10; 1 other client got it"));
    cli_run_free(&run);
    run = look_up_with(path, "10.96.0.20", "--data", fixture.dir);
    assert_string_equal(run.out, "10.0.0.7 went to the service shop/db; it was not seen asking for "
                                 "its name\n");
    cli_run_free(&run);
    /* Owners of another cluster are others. */
    snprintf(other, sizeof(other), "%s,cluster=other", path);
    run = look_up_with(other, "192.0.2.10", "--data", fixture.dir);
    assert_non_null(strstr(run.out, "10.0.0.7 was going to api.example.com"));
    cli_run_free(&run);
    run = look_up_with("/nonexistent/owners", "192.0.2.10", "--data", fixture.dir);
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "/nonexistent/owners"));
    cli_run_free(&run);
    run = look_up_with(path, "192.0.2.10", "--server", "http://127.0.0.1:1");
    assert_int_equal(run.code, 2);
    assert_non_null(strstr(run.err, "the service's own count"));
    cli_run_free(&run);
    unlink(path);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_say_the_same_of_an_index_and_of_a_service),
        cmocka_unit_test(owners_come_from_files),
        cmocka_unit_test(a_list_longer_than_a_page_is_read_to_its_end),
        cmocka_unit_test(a_json_answer_is_one_line),
        cmocka_unit_test(where_there_is_nothing_one_clear_line_says_so),
        cmocka_unit_test(an_empty_index_has_a_status_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
