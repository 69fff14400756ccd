/* tests/unit/cli/test_parsing.c -- how flow records are to be read, out of the settings
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/parsing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAP "source.ip=a,destination.ip=b,@timestamp=t"

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *columns;
        const char *map;
        const char *why; /* NULL: fine */
    } CASES[] = {
        {NULL, NULL, NULL, NULL},
        {"hubble", NULL, NULL, NULL},
        {"aws-vpc", "srcaddr dstaddr", NULL, NULL},
        {NULL, "srcaddr dstaddr", NULL, NULL},
        {"loki", "srcaddr dstaddr", NULL, NULL},
        {"csv", "a,b,t", MAP, NULL},
        {"json", NULL, MAP, NULL},
        {"journal", NULL, MAP, NULL},
        {NULL, NULL, "source.ip=a,destination.ip=b", NULL},
        {"hubbl", NULL, NULL, "--from hubbl: expected one of hubble, kernel-log, "},
        {"hubble", "a b", NULL, "--columns: records of hubble name their fields themselves"},
        {"hubble", NULL, MAP, "--map: records of hubble name their fields themselves"},
        {"csv", NULL, NULL, "--from csv: --map has to name its fields"},
        {"json", NULL, NULL, "--from json: --map has to name its fields"},
        {"json", NULL, "source.ip=a,destination.ip=b", "--map: expected @timestamp="},
        {NULL, NULL, "source.ip=a,@timestamp=t", "--map: expected source.ip="},
        {NULL, NULL, "source=a", "--map: source is no field of a flow"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const char *maps[] = {CASES[i].map};
        const struct settings settings = {.from = CASES[i].from,
                                          .columns = CASES[i].columns,
                                          .maps = {maps, CASES[i].map != NULL}};
        struct parsing parsing;
        struct why why = {""};
        int err = parsing_init(&parsing, &settings, &why);
        assert_int_equal(err, CASES[i].why != NULL ? W_EUSAGE : 0);
        if (CASES[i].why != NULL) {
            assert_ptr_equal(strstr(why.text, CASES[i].why), why.text);
        }
        parsing_fini(&parsing);
    }
}

static void what_is_given_is_what_parsers_get(void **state)
{
    const char *maps[] = {MAP, "source.port=p"};
    struct verdict_rule verdicts[] = {{"deny", FLOW_DENIED}, {"log", FLOW_LOGGED}};
    const struct settings settings = {
        .from = "csv", .columns = "t,a,b,p", .maps = {maps, 2}, .verdicts = {verdicts, 2}};
    struct parsing parsing;
    struct why why = {""};
    (void)state;
    assert_int_equal(parsing_init(&parsing, &settings, &why), 0);
    assert_ptr_equal(parsing.format, &FORMAT_CSV);
    assert_string_equal(parsing.options.columns, "t,a,b,p");
    assert_int_equal(parsing.options.field_count, 4);
    assert_string_equal(parsing.options.fields[3], "p");
    assert_int_equal(parsing.options.map->rule_count, 4);
    assert_int_equal(parsing.options.prefix_count, 2);
    assert_string_equal(parsing.options.prefixes[1].prefix, "log");
    assert_int_equal(parsing.options.prefixes[1].action, FLOW_LOGGED);
    parsing_fini(&parsing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(what_is_given_is_what_parsers_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
