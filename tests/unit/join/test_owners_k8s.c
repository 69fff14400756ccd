/* tests/unit/join/test_owners_k8s.c -- lists and watches as the API server and kubectl print them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each case is a stream, then questions "ADDRESS HH:MM:SS" on 2026-05-22.
 */
#include "join/owners_k8s.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/arena.h"
#include "join/labels.h"

#define D "2026-05-22T"
#define META(NAME, UID)                                                                            \
    "\"metadata\":{\"name\":\"" NAME "\",\"namespace\":\"shop\",\"uid\":\"" UID "\"}"
#define POD(NAME, UID, STATUS)                                                                     \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"," META(                                               \
        NAME, UID) ",\"spec\":{\"nodeName\":\"n1\"},\"status\":{" STATUS "}}"
#define RUNNING(IP, START)                                                                         \
    "\"phase\":\"Running\",\"podIP\":\"" IP "\",\"podIPs\":[{\"ip\":\"" IP                         \
    "\"}],\"startTime\":\"" D START "Z\""
#define READY_AT(TIME)                                                                             \
    ",\"conditions\":[{\"type\":\"Ready\",\"lastTransitionTime\":\"" D TIME "Z\"}]"
#define FINISHED_AT(TIME)                                                                          \
    ",\"containerStatuses\":[{\"state\":{\"terminated\":{\"finishedAt\":\"" D TIME "Z\"}}}]"
#define EVENT(TYPE, OBJECT) "{\"type\":\"" TYPE "\",\"object\":" OBJECT "}\n"
#define LIST(ITEMS)                                                                                \
    "{\"apiVersion\":\"v1\",\"items\":[" ITEMS "],\"kind\":\"List\",\"metadata\":{}}\n"

struct asked {
    const char *addr;
    const char *at;
    const char *name; /* "KIND NAMESPACE/NAME WORKLOAD_KIND/WORKLOAD@NODE"; NULL: nobody's */
};

struct scenario {
    const char *name;
    const char *text;
    struct asked asked[8];
    const char *received; /* NULL: a recording */
    const char *fault;    /* of the last piece that had one */
};

#define A "10.10.3.7"
#define B "10.10.3.8"
#define A_POD "pod shop/a Pod/a@n1"
#define B_POD "pod shop/b Pod/b@n1"

/* clang-format off */
static const struct scenario SCENARIOS[] = {
    {"a list: open from the start time on",
     LIST(POD("a", "1", RUNNING(A, "10:00:00"))),
     {{A, "09:59:59", NULL}, {A, "10:00:00", A_POD}, {A, "23:00:00", A_POD}}},
    {"a list of the API: its items have no kind",
     "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[{" META("a", "1") ",\"spec\":{\"nodeName\":\"n1\"},\"status\":{" RUNNING(A, "10:00:00") "}}]}",
     {{A, "10:00:00", A_POD}}},
    {"a pod that has succeeded keeps its address in the API; another one has it",
     LIST(POD("b", "2", RUNNING(A, "10:10:00")) "," POD("a", "1", "\"phase\":\"Succeeded\",\"podIP\":\"" A "\",\"startTime\":\"" D "10:00:00Z\"" FINISHED_AT("10:05:00"))),
     {{A, "10:04:59", A_POD}, {A, "10:05:00", NULL}, {A, "10:10:00", B_POD}}},
    {"one that failed without having run has no past",
     LIST(POD("a", "1", "\"phase\":\"Failed\",\"reason\":\"Evicted\",\"podIP\":\"" A "\",\"startTime\":\"" D "10:00:00Z\"")),
     {{A, "10:00:00", NULL}, {A, "10:30:00", NULL}}},
    {"the host's network is the node's",
     LIST("{\"kind\":\"Pod\"," META("proxy", "1") ",\"spec\":{\"nodeName\":\"n1\",\"hostNetwork\":true},\"status\":{\"phase\":\"Running\",\"hostIP\":\"192.0.2.1\",\"podIP\":\"192.0.2.1\",\"startTime\":\"" D "10:00:00Z\"}}"),
     {{"192.0.2.1", "10:00:00", "node /n1 /@"}}},
    {"dual stack",
     LIST(POD("a", "1", "\"phase\":\"Running\",\"podIP\":\"" A "\",\"podIPs\":[{\"ip\":\"" A "\"},{\"ip\":\"2001:db8:1::7\"}],\"startTime\":\"" D "10:00:00Z\"")),
     {{A, "10:00:00", A_POD}, {"2001:db8:1::7", "10:00:00", A_POD}}},
    {"services and nodes; a service without an address of its own has none",
     LIST("{\"kind\":\"Service\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\",\"creationTimestamp\":\"" D "09:00:00Z\"},\"spec\":{\"clusterIP\":\"10.96.0.20\",\"clusterIPs\":[\"10.96.0.20\",\"2001:db8:96::20\"],\"selector\":{\"app\":\"db\"}}},"
          "{\"kind\":\"Service\",\"metadata\":{\"name\":\"headless\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]}},"
          "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"creationTimestamp\":\"" D "08:00:00Z\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"},{\"type\":\"Hostname\",\"address\":\"n1\"}]}}"),
     {{"10.96.0.20", "09:00:00", "service shop/db /@"}, {"2001:db8:96::20", "09:00:00", "service shop/db /@"}, {"192.0.2.1", "08:00:00", "node /n1 /@n1"}, {"192.0.2.1", "07:00:00", NULL}}},
    {"the workload of a pod is its deployment",
     LIST("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-5d4b-x2x\",\"namespace\":\"shop\",\"labels\":{\"pod-template-hash\":\"5d4b\",\"app\":\"web\"},\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-5d4b\"}]},\"status\":{" RUNNING(A, "10:00:00") "}}"),
     {{A, "10:00:00", "pod shop/web-5d4b-x2x Deployment/web@"}}},
    {"a second list ends who is not in it, in the namespaces it has",
     LIST(POD("a", "1", RUNNING(A, "10:00:00")) "," POD("b", "2", RUNNING(B, "10:00:00")))
     LIST(POD("b", "2", RUNNING(B, "10:00:00") READY_AT("10:30:00"))),
     {{A, "10:29:59", A_POD}, {A, "10:30:00", NULL}, {B, "11:00:00", B_POD}}},
    {"a list of another namespace ends nothing",
     LIST(POD("a", "1", RUNNING(A, "10:00:00")))
     LIST("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"namespace\":\"other\"},\"status\":{" RUNNING(B, "10:30:00") "}}"),
     {{A, "11:00:00", A_POD}}},
    {"a list that was cut ends nothing",
     LIST(POD("a", "1", RUNNING(A, "10:00:00")) "," POD("b", "2", RUNNING(B, "10:00:00")))
     "{\"kind\":\"PodList\",\"items\":[" POD("b", "2", RUNNING(B, "10:00:00")),
     {{A, "11:00:00", A_POD}, {B, "11:00:00", B_POD}}, .fault = "unfinished"},

    /* ---- watches ---- */
    {"a pod's life: no address, an address, deletion asked for, deleted",
     EVENT("ADDED", POD("a", "1", "\"phase\":\"Pending\""))
     EVENT("MODIFIED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("MODIFIED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"1\",\"deletionTimestamp\":\"" D "10:20:30Z\",\"deletionGracePeriodSeconds\":30},\"spec\":{\"nodeName\":\"n1\"},\"status\":{" RUNNING(A, "10:00:00") "}}")
     EVENT("DELETED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"1\",\"deletionTimestamp\":\"" D "10:20:30Z\",\"deletionGracePeriodSeconds\":30},\"spec\":{\"nodeName\":\"n1\"},\"status\":{" RUNNING(A, "10:00:00") FINISHED_AT("10:20:05") "}}"),
     {{A, "10:00:00", A_POD}, {A, "10:20:04", A_POD}, {A, "10:20:05", NULL}}},
    {"deleted without a word of its containers: until it was to be killed",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("DELETED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"1\",\"deletionTimestamp\":\"" D "10:20:30Z\",\"deletionGracePeriodSeconds\":30},\"spec\":{\"nodeName\":\"n1\"},\"status\":{" RUNNING(A, "10:00:00") "}}"),
     {{A, "10:20:29", A_POD}, {A, "10:20:30", NULL}}},
    {"but not into its successor's time",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("DELETED", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"1\",\"deletionTimestamp\":\"" D "10:20:30Z\",\"deletionGracePeriodSeconds\":30},\"spec\":{\"nodeName\":\"n1\"},\"status\":{" RUNNING(A, "10:00:00") "}}")
     EVENT("ADDED", POD("b", "2", RUNNING(A, "10:20:10") READY_AT("10:20:40"))),
     {{A, "10:20:09", A_POD}, {A, "10:20:10", B_POD}}},
    {"live, the time of receipt is what ends it",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("DELETED", POD("a", "1", RUNNING(A, "10:00:00"))),
     {{A, "10:29:59", A_POD}, {A, "10:30:00", NULL}}, .received = "10:30:00"},
    {"recorded, the latest time of any object",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("ADDED", POD("b", "2", RUNNING(B, "10:30:00")))
     EVENT("DELETED", POD("a", "1", RUNNING(A, "10:00:00"))),
     {{A, "10:29:59", A_POD}, {A, "10:30:00", NULL}, {B, "11:00:00", B_POD}}},
    {"the address goes from the status before the pod says when it ended",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00") READY_AT("10:00:05")))
     EVENT("MODIFIED", POD("a", "1", "\"phase\":\"Running\",\"startTime\":\"" D "10:00:00Z\"" READY_AT("10:20:00")))
     EVENT("MODIFIED", POD("a", "1", "\"phase\":\"Succeeded\",\"startTime\":\"" D "10:00:00Z\"" FINISHED_AT("10:20:02"))),
     {{A, "10:19:59", A_POD}, {A, "10:20:01", A_POD}, {A, "10:20:02", NULL}}},
    {"printed over many lines, with a bookmark between",
     "{\n  \"type\": \"ADDED\",\n  \"object\": {\n    \"kind\": \"Pod\",\n    " META("a", "1") ",\n    \"spec\":{\"nodeName\":\"n1\"},\n    \"status\": {" RUNNING(A, "10:00:00") "}\n  }\n}\n"
     EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"12\"}}"),
     {{A, "10:00:00", A_POD}}},
    {"an error keeps what was read",
     EVENT("ADDED", POD("a", "1", RUNNING(A, "10:00:00")))
     EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old resource version\"}"),
     {{A, "11:00:00", A_POD}}, .fault = "too old resource version"},

    /* ---- nonsense ---- */
    {"an address that is none", POD("a", "1", RUNNING("10.10.3", "10:00:00")), {{0}}, .fault = "status.podIP: '10.10.3' is not an IP address"},
    {"a time that is none", POD("a", "1", RUNNING(A, "25:00:00")), {{A, "10:00:00", NULL}}, .fault = "status.startTime: '2026-05-22T25:00:00Z' is not a time"},
    {"no name", "{\"kind\":\"Pod\"}", {{0}}, .fault = "metadata.name"},
    {"no object at all", "{\"a\":1}", {{0}}, .fault = "expected a Kubernetes object"},
    {"another type of event", EVENT("RENAMED", POD("a", "1", RUNNING(A, "10:00:00"))), {{A, "10:00:00", NULL}}, .fault = "'RENAMED' is not ADDED"},
    {"kinds that are none of its business", "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"}}", {{0}}},
};
/* clang-format on */

struct run {
    struct owners_k8s *k8s;
    int64_t received_us;
    struct why why;
};

static int64_t time_at(const char *clock)
{
    char text[40];
    int64_t time_us;
    snprintf(text, sizeof(text), D "%sZ", clock);
    assert_true(time_parse(&time_us, text, strlen(text), 0));
    return time_us;
}

static int take(void *ctx, const struct k8s_piece *piece)
{
    struct run *run = ctx;
    int err = owners_k8s_piece(run->k8s, piece, run->received_us, &run->why);
    assert_true(err == 0 || err == W_ESYNTAX);
    return 0;
}

static void ask(struct owners_reader *reader, const char *scenario, const struct asked *asked)
{
    struct owner_at at;
    struct addr addr;
    char got[600] = "nobody";
    assert_true(addr_parse(&addr, asked->addr, strlen(asked->addr)));
    if (owners_at(reader, "prod", &addr, time_at(asked->at), &at)) {
        snprintf(got, sizeof(got), "%s %s/%s %s/%s@%s", owner_kind_name(at.owner->kind),
                 at.owner->namespace, at.owner->name, at.owner->workload_kind, at.owner->workload,
                 at.owner->node);
    }
    const char *expected = asked->name != NULL ? asked->name : "nobody";
    if (strcmp(got, expected) != 0) {
        fail_msg("%s: %s at %s: %s, expected %s", scenario, asked->addr, asked->at, got, expected);
    }
}

static void every_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        const struct scenario *scenario = &SCENARIOS[i];
        struct run run = {.received_us =
                              scenario->received != NULL ? time_at(scenario->received) : 0};
        struct owners *owners;
        struct owners_reader *reader;
        struct k8s_stream *stream;
        assert_int_equal(owners_new(&owners, 0), 0);
        assert_int_equal(owners_k8s_new(&run.k8s, owners, "prod"), 0);
        assert_int_equal(k8s_stream_new(&stream, K8S_OBJECT_MAX, take, &run), 0);
        assert_int_equal(k8s_stream_push(stream, scenario->text, strlen(scenario->text)), 0);
        assert_int_equal(k8s_stream_end(stream), 0);
        assert_int_equal(owners_reader_new(&reader, owners), 0);
        for (size_t j = 0; j < 8 && scenario->asked[j].addr != NULL; j++) {
            ask(reader, scenario->name, &scenario->asked[j]);
        }
        if (scenario->fault == NULL && run.why.text[0] != '\0') {
            fail_msg("%s: %s", scenario->name, run.why.text);
        }
        if (scenario->fault != NULL && strcmp(scenario->fault, "unfinished") != 0 &&
            strstr(run.why.text, scenario->fault) == NULL) {
            fail_msg("%s: '%s' instead of '%s'", scenario->name, run.why.text, scenario->fault);
        }
        if (scenario->fault != NULL) {
            assert_true(run.why.text[0] != '\0');
        }
        owners_reader_free(&reader);
        k8s_stream_free(&stream);
        owners_k8s_free(&run.k8s);
        owners_free(&owners);
    }
}

static void a_pod_belongs_to_a_workload(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *name, *hash, *expected;
    } CASES[] = {
        {"ReplicaSet", "web-5d4b9c7f6d", "5d4b9c7f6d", "Deployment/web"},
        {"ReplicaSet", "web-5d4b9c7f6d", "", "Deployment/web"},
        {"ReplicaSet", "web-front", "", "ReplicaSet/web-front"},
        {"ReplicaSet", "web-front", "other", "ReplicaSet/web-front"},
        {"ReplicaSet", "web", "", "ReplicaSet/web"},
        {"StatefulSet", "db", "", "StatefulSet/db"},
        {"DaemonSet", "agent", "", "DaemonSet/agent"},
        {"Job", "backup-29134560", "", "CronJob/backup"},
        {"Job", "backup-1", "", "Job/backup-1"},
        {"Node", "n1", "", "Pod/p"},
        {"", "", "", "Pod/p"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct text kind, name;
        char got[100];
        owners_workload((struct text){"p", 1}, (struct text){CASES[i].kind, strlen(CASES[i].kind)},
                        (struct text){CASES[i].name, strlen(CASES[i].name)},
                        (struct text){CASES[i].hash, strlen(CASES[i].hash)}, &kind, &name);
        snprintf(got, sizeof(got), "%.*s/%.*s", (int)kind.len, kind.data, (int)name.len, name.data);
        assert_string_equal(got, CASES[i].expected);
    }
}

static void labels_are_sorted_and_selected(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *labels;
        bool selects;
    } CASES[] = {
        {"{\"app\":\"db\"}", "{\"tier\":\"x\",\"app\":\"db\"}", true},
        {"{ \"tier\" : \"x\", \"app\": \"db\" }", "{\"app\":\"db\",\"tier\":\"x\"}", true},
        {"{\"app\":\"db\",\"tier\":\"y\"}", "{\"app\":\"db\",\"tier\":\"x\"}", false},
        {"{\"app\":\"d\"}", "{\"app\":\"db\"}", false},
        {"{}", "{\"app\":\"db\"}", false},
        {"{\"app\":\"db\"}", "{}", false},
        {"{\"a\\u0070p\":\"db\"}", "{\"app\":\"db\"}", false},
        {"{\"app\":1}", "{\"app\":\"1\"}", false},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct text selector =
            labels_of_json(&arena, (struct text){CASES[i].selector, strlen(CASES[i].selector)});
        struct text labels =
            labels_of_json(&arena, (struct text){CASES[i].labels, strlen(CASES[i].labels)});
        assert_int_equal(labels_select(selector, labels), CASES[i].selects);
    }
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream),
        cmocka_unit_test(a_pod_belongs_to_a_workload),
        cmocka_unit_test(labels_are_sorted_and_selected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
