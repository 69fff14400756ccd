/* tests/unit/join/test_owners_file.c -- owners out of files of both kinds
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

/* 1779444000 is 2026-05-22T10:00:00Z. */
#define START 1779444000
#define A "10.10.3.7"
#define B "10.10.3.8"

struct asked {
    const char *addr;
    int64_t at; /* seconds after START */
    const char *name;
};

struct scenario {
    const char *name;
    const char *text;
    struct asked asked[8];
    uint64_t objects;
    uint64_t faults;
    const char *warning; /* a part of the last one */
};

#define INFO(POD, UID, IP)                                                                         \
    "kube_pod_info{namespace=\"shop\",pod=\"" POD "\",uid=\"" UID                                  \
    "\",host_ip=\"192.0.2.1\",pod_ip=\"" IP                                                        \
    "\",node=\"n1\",created_by_kind=\"ReplicaSet\",created_by_name=\"web-5d4b9c7f6d\",priority_"   \
    "class=\"\",host_network=\"false\"} 1"

/* clang-format off */
static const struct scenario SCENARIOS[] = {
    {"one scrape: now, from the start on",
     "# HELP kube_pod_info Information about pod.\n# TYPE kube_pod_info gauge\n"
     INFO("a", "1", A) "\n" INFO("b", "2", B) "\n"
     "kube_pod_ips{namespace=\"shop\",pod=\"a\",uid=\"1\",ip=\"" A "\",ip_family=\"4\"} 1\n"
     "kube_pod_ips{namespace=\"shop\",pod=\"a\",uid=\"1\",ip=\"2001:db8:1::7\",ip_family=\"6\"} 1\n"
     "kube_pod_start_time{namespace=\"shop\",pod=\"a\",uid=\"1\"} 1.779444e+09\n"
     "kube_pod_start_time{namespace=\"shop\",pod=\"b\",uid=\"2\"} 1.7794446e+09\n",
     {{A, -1, NULL}, {A, 0, "pod shop/a web"}, {"2001:db8:1::7", 0, "pod shop/a web"}, {B, 599, NULL}, {B, 600, "pod shop/b web"}, {"192.0.2.1", 0, "node /n1 "}}, 2},
    {"a pod that has completed has a past",
     INFO("a", "1", A) "\nkube_pod_start_time{namespace=\"shop\",pod=\"a\",uid=\"1\"} 1779444000\n"
     "kube_pod_completion_time{namespace=\"shop\",pod=\"a\",uid=\"1\"} 1779444100\n",
     {{A, 0, "pod shop/a web"}, {A, 99, "pod shop/a web"}, {A, 100, NULL}}, 1},
    {"one that has ended without saying when has none",
     INFO("a", "1", A) "\nkube_pod_start_time{namespace=\"shop\",pod=\"a\",uid=\"1\"} 1779444000\n"
     "kube_pod_status_phase{namespace=\"shop\",pod=\"a\",uid=\"1\",phase=\"Failed\"} 1\n"
     "kube_pod_status_phase{namespace=\"shop\",pod=\"a\",uid=\"1\",phase=\"Running\"} 0\n",
     {{A, 0, NULL}}, 1},
    {"the host's network is the node's",
     "kube_pod_info{namespace=\"kube-system\",pod=\"proxy\",uid=\"9\",host_ip=\"192.0.2.1\",pod_ip=\"192.0.2.1\",node=\"n1\",host_network=\"true\"} 1\n"
     "kube_pod_info{namespace=\"kube-system\",pod=\"old\",host_ip=\"192.0.2.2\",pod_ip=\"192.0.2.2\",node=\"n2\"} 1\n",
     {{"192.0.2.1", 0, "node /n1 "}, {"192.0.2.2", 0, "node /n2 "}}, 0},
    {"with timestamps: what was scraped no more had ended",
     INFO("a", "1", A) " 1779444000000\n" INFO("a", "1", A) " 1779444060000\n"
     INFO("b", "2", A) " 1779444600000\n" INFO("b", "2", A) " 1779444660000\n",
     {{A, -1, NULL}, {A, 0, "pod shop/a web"}, {A, 59, "pod shop/a web"}, {A, 60, NULL}, {A, 599, NULL}, {A, 600, "pod shop/b web"}, {A, 9999, "pod shop/b web"}}, 2},
    {"services and nodes",
     "kube_service_info{namespace=\"shop\",service=\"db\",uid=\"3\",cluster_ip=\"10.96.0.20\"} 1\n"
     "kube_service_info{namespace=\"shop\",service=\"headless\",uid=\"4\",cluster_ip=\"None\"} 1\n"
     "kube_service_created{namespace=\"shop\",service=\"db\",uid=\"3\"} 1779444000\n"
     "kube_node_info{node=\"n1\",internal_ip=\"192.0.2.1\"} 1\nkube_node_created{node=\"n1\"} 1779444000\n"
     "kube_node_status_addresses{node=\"n1\",type=\"ExternalIP\",address=\"198.51.100.1\"} 1\n",
     {{"10.96.0.20", 0, "service shop/db "}, {"10.96.0.20", -1, NULL}, {"192.0.2.1", 0, "node /n1 "}, {"198.51.100.1", 0, "node /n1 "}}, 2},
    {"other metrics are passed over, and what is none is warned of",
     "go_goroutines 12\nkube_pod_info{namespace=\"shop\n" INFO("a", "1", A) "\nkube_pod_info{pod=\"x\"}\nkube_pod_info 1\n",
     {{A, 0, "pod shop/a web"}}, 1, 3, "line 5: kube_pod_info: expected the label pod"},

    {"JSON, of which one line is bad",
     "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\"},\"status\":{\"podIP\":\"" A "\",\"startTime\":\"2026-05-22T10:00:00Z\"}}}\n"
     "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"b\",\"namespace\":\"shop\"},\"status\":{\"podIP\":\"ten\"}}}\n"
     "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"c\",\"namespace\":\"shop\"},\"status\":{\"podIP\":\"" B "\",\"startTime\":\"2026-05-22T10:00:00Z\"}}}\n",
     {{A, 0, "pod shop/a a"}, {B, 0, "pod shop/c c"}}, 2, 1, "line 2: status.podIP: 'ten' is not an IP address"},
    {"a list that was cut: what was read stays",
     "{\"items\":[{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\"},\"status\":{\"podIP\":\"" A "\",\"startTime\":\"2026-05-22T10:00:00Z\"}},{\"kind\":\"Po",
     {{A, 0, "pod shop/a a"}}, 1, 1, "line 1"},
    {"no owners at all", "<html>\n", {{0}}, 0, 1, "line 1"},
    {"nothing", "", {{0}}, 0, 0},
    {"blanks", "\n\n  \n", {{0}}, 0, 0},
};
/* clang-format on */

static void keep(void *ctx, const char *text)
{
    snprintf(ctx, 1000, "%s", text);
}

static void every_file(void **state)
{
    (void)state;
    char path[] = "/tmp/whither-owners-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        const struct scenario *scenario = &SCENARIOS[i];
        struct owners *owners;
        struct owners_reader *reader;
        struct owners_read read = {0};
        struct why why = {""};
        char warning[1000] = "";
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, scenario->text, strlen(scenario->text), 0),
                         strlen(scenario->text));
        assert_int_equal(owners_new(&owners, 0), 0);
        assert_int_equal(owners_read_file(owners, "prod", path, keep, warning, &read, &why), 0);
        assert_int_equal(owners_reader_new(&reader, owners), 0);
        for (size_t j = 0; j < 8 && scenario->asked[j].addr != NULL; j++) {
            const struct asked *asked = &scenario->asked[j];
            struct owner_at at;
            struct addr addr;
            char got[600] = "nobody";
            assert_true(addr_parse(&addr, asked->addr, strlen(asked->addr)));
            if (owners_at(reader, "prod", &addr, (START + asked->at) * US_PER_S, &at)) {
                snprintf(got, sizeof(got), "%s %s/%s %s", owner_kind_name(at.owner->kind),
                         at.owner->namespace, at.owner->name, at.owner->workload);
            }
            const char *expected = asked->name != NULL ? asked->name : "nobody";
            if (strcmp(got, expected) != 0) {
                fail_msg("%s: %s at %lld: %s, expected %s", scenario->name, asked->addr,
                         (long long)asked->at, got, expected);
            }
        }
        if (read.objects != scenario->objects || read.faults != scenario->faults ||
            (scenario->warning != NULL && strstr(warning, scenario->warning) == NULL)) {
            fail_msg("%s: %llu objects, %llu faults, %s", scenario->name,
                     (unsigned long long)read.objects, (unsigned long long)read.faults, warning);
        }
        owners_reader_free(&reader);
        owners_free(&owners);
    }
    close(fd);
    unlink(path);
}

static void a_file_that_is_not_there(void **state)
{
    (void)state;
    struct owners *owners;
    struct owners_read read = {0};
    struct why why = {""};
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_true(owners_read_file(owners, "prod", "/nonexistent/owners", NULL, NULL, &read, &why) <
                0);
    assert_non_null(strstr(why.text, "/nonexistent/owners"));
    owners_free(&owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file),
        cmocka_unit_test(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
