/* tests/unit/base/test_cluster.c -- which cluster something is of, on the command line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LONGEST "a234567890123456789012345678901234567890123456789012345678901bc"

static void a_suffix_names_the_cluster(void **state)
{
    static const struct {
        const char *text, *before, *cluster; /* cluster NULL: refused */
    } CASES[] = {
        {"tcp:127.0.0.1:6000", "tcp:127.0.0.1:6000", ""},
        {"tcp:[::1]:6000,cluster=prod-1", "tcp:[::1]:6000", "prod-1"},
        {"unix:/run/a,b.sock,cluster=a b", "unix:/run/a,b.sock", "a b"},
        {"a,cluster=b,cluster=c", "a,cluster=b", "c"},
        {"a,clusters=b", "a,clusters=b", ""},
        {"a,cluster=" LONGEST, "a", LONGEST},
        {"a,cluster=" LONGEST "d", NULL, NULL},
        {"a,cluster=", NULL, NULL},
        {"a,cluster=b\nc", NULL, NULL},
        {"", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cluster_name cluster;
        size_t len;
        bool ok = cluster_split(CASES[i].text, &len, &cluster);
        assert_int_equal(ok, CASES[i].cluster != NULL);
        if (ok) {
            assert_int_equal(len, strlen(CASES[i].before));
            assert_memory_equal(CASES[i].text, CASES[i].before, len);
            assert_string_equal(cluster.text, CASES[i].cluster);
        }
    }
}

static void the_first_pattern_that_matches_an_identity_counts(void **state)
{
    static const struct {
        const char *identity, *cluster;
    } CASES[] = {
        {"coredns-a-7c9d", "prod-a"},
        {"coredns-b-1", "prod-b"},
        {"coredns-a-", "prod-a"},
        {"xcoredns-a-1", NULL},
        {"", NULL},
        {"coredns-ab", "other"},
    };
    struct cluster_rule rules[3];
    (void)state;
    assert_true(cluster_rule_parse(&rules[0], "coredns-a-*=prod-a"));
    assert_true(cluster_rule_parse(&rules[1], "coredns-[b]-?=prod-b"));
    assert_true(cluster_rule_parse(&rules[2], "coredns-*=other"));
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const char *cluster = cluster_of_identity(
            rules, 3, (const unsigned char *)CASES[i].identity, strlen(CASES[i].identity));
        assert_int_equal(cluster == NULL, CASES[i].cluster == NULL);
        if (cluster != NULL) {
            assert_string_equal(cluster, CASES[i].cluster);
        }
    }
    assert_null(cluster_of_identity(NULL, 0, (const unsigned char *)"a", 1));
    static const char *const BAD[] = {"", "a", "=b", "a=", "a=b\n"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_false(cluster_rule_parse(&rules[0], BAD[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_suffix_names_the_cluster),
        cmocka_unit_test(the_first_pattern_that_matches_an_identity_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
