/* tests/unit/join/test_real_files.c -- real flow logs: each record is accounted for
 * SPDX-License-Identifier: Apache-2.0
 *
 * The files are not part of the project; where they are missing, each test says that it was
 * skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "join/reader.h"

#define FOLDER "../shared/data/flows/"

/* What became of the records of a file. */
struct account {
    const char *format;
    size_t flows; /* that can be asked about */
    size_t unjoinable;
    size_t doubtful; /* of both */
    size_t skipped[SKIP_COUNT];
    size_t dns;
    size_t bad;
};

static void count(struct account *account, const struct flow_record *record)
{
    switch (record->parsed) {
    case PARSED_FLOW:
        account->flows += record->flow.unjoinable == NULL;
        account->unjoinable += record->flow.unjoinable != NULL;
        account->doubtful += record->doubtful != NULL;
        break;
    case PARSED_DNS:
        account->dns++;
        break;
    case PARSED_SKIPPED:
        account->skipped[record->skip]++;
        break;
    default:
        account->bad++;
    }
}

static struct account read_file(const char *path)
{
    static const struct parser_options NONE = {0};
    struct account account = {0};
    struct parser *parser;
    struct reader *reader;
    struct flow_batch batch = {0};
    struct why why = {""};
    assert_int_equal(parser_new(&parser, &NONE), 0);
    if (reader_open(&reader, path, NULL, parser, &why) != 0) {
        fail_msg("%s", why.text);
    }
    account.format = reader_format(reader)->name;
    while (reader_next(reader, &batch, &why) > 0) {
        assert_int_equal(flow_batch_parse(&batch, parser), 0);
        for (size_t i = 0; i < batch.count; i++) {
            count(&account, &batch.records[i]);
        }
    }
    assert_string_equal(why.text, "");
    flow_batch_fini(&batch);
    reader_close(&reader);
    parser_free(&parser);
    return account;
}

static void assert_file(const char *name, const struct account *expected)
{
    char path[256];
    snprintf(path, sizeof(path), FOLDER "%s", name);
    if (access(path, R_OK) != 0) {
        print_message("%s: no such file here\n", path);
        skip();
    }
    struct account account = read_file(path);
    assert_string_equal(account.format, expected->format);
    assert_int_equal(account.flows, expected->flows);
    assert_int_equal(account.unjoinable, expected->unjoinable);
    assert_int_equal(account.doubtful, expected->doubtful);
    assert_int_equal(account.dns, expected->dns);
    assert_int_equal(account.bad, expected->bad);
    for (size_t i = 0; i < SKIP_COUNT; i++) {
        assert_int_equal(account.skipped[i], expected->skipped[i]);
    }
}

/* The file ends in the middle of its fourth line. */
static void calico_without_addresses_is_unjoinable(void **state)
{
    (void)state;
    assert_file("calico-enterprise-aggregated.log",
                &(struct account){
                    .format = "calico", .unjoinable = 1, .skipped[SKIP_INGRESS] = 2, .bad = 1});
}

static void netobserv_of_the_first_version_is_joined(void **state)
{
    (void)state;
    assert_file("netobserv-log-lines.json",
                &(struct account){.format = "netobserv", .flows = 80, .skipped[SKIP_REPLY] = 20});
}

/* The direction of these is among the labels of their stream. */
static void netobserv_in_a_loki_response_is_joined(void **state)
{
    (void)state;
    assert_file("netobserv-loki-flow_records.json", &(struct account){.format = "loki",
                                                                      .flows = 24,
                                                                      .skipped[SKIP_REPLY] = 14,
                                                                      .skipped[SKIP_INGRESS] = 12});
}

static void zeek_with_times_masked_is_unjoinable(void **state)
{
    (void)state;
    assert_file("zeek-conn-masked.log",
                &(struct account){.format = "zeek", .unjoinable = 34, .doubtful = 34});
    assert_file("zeek-conn-cisco.log",
                &(struct account){.format = "zeek", .unjoinable = 64, .doubtful = 64});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calico_without_addresses_is_unjoinable),
        cmocka_unit_test(netobserv_of_the_first_version_is_joined),
        cmocka_unit_test(netobserv_in_a_loki_response_is_joined),
        cmocka_unit_test(zeek_with_times_masked_is_unjoinable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
