/* tests/unit/join/test_reuse.c -- addresses change hands: no name goes with them
 * SPDX-License-Identifier: Apache-2.0
 *
 * 60 pods share 20 addresses over an hour. Each has names of its own, all of them answered with the
 * addresses of one CDN; it connects to what it was answered, and now and then to an address that it
 * never asked for, as its predecessor may have. Its life is told as a watch stream tells it, in one
 * of four ways; its connections are kernel LOG lines with its interface.
 *
 * No name of a pod may be given to another one's flow, nor offered to the next owner of its
 * address. Without owners and interfaces that happens: the test would notice.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/join.h"
#include "join/owners_file.h"
#include "tests/support/store_fixture.h"

#define START (INT64_C(20595) * US_PER_DAY + 10 * US_PER_HOUR) /* 2026-05-22T10:00:00Z */
#define MS INT64_C(1000)
#define S US_PER_S

enum {
    ADDRESSES = 20,
    PODS_EACH = 3,
    PODS = ADDRESSES * PODS_EACH,
    NAMES_EACH = 5,
    CDN = 12,
    FLOWS_MAX = 20000,
};

struct pod {
    int address;
    int64_t from_us; /* gets the address */
    int64_t to_us;   /* loses it */
};

struct flow_truth {
    int64_t time_us;
    int pod;
    int destination;
    int name; /* of the pod; -1: it did not ask */
};

struct world {
    char dir[64];
    struct store *store;
    struct pod pods[PODS];
    struct flow_truth flows[FLOWS_MAX];
    size_t flow_count;
    FILE *watch;
};

/* What the verdicts of one run came to. */
struct result {
    const struct world *world;
    size_t flows;
    size_t named;   /* rightly, of those that were asked for */
    size_t asked;   /* flows whose pod asked */
    size_t crossed; /* a name of another pod was given to the flow */
    size_t leaked;  /* one of the address' other owners was offered at all */
};

static int64_t between(int64_t from, int64_t to)
{
    return from + (int64_t)fixture_below((uint32_t)(to - from));
}

static void print_address(char text[24], int address)
{
    snprintf(text, 24, "10.10.3.%d", 10 + address);
}

static void print_name(char text[40], int pod, int name)
{
    snprintf(text, 40, "n%d.pod-%d.example.com", name, pod);
}

/* ---- One pod's life ---- */

static void add_flow(struct world *world, int64_t time_us, int pod, int destination, int name)
{
    assert_true(world->flow_count < FLOWS_MAX);
    world->flows[world->flow_count++] = (struct flow_truth){time_us, pod, destination, name};
}

/* Asks, and connects to one of the addresses: every lookup is followed by a flow. */
static void look_up(struct world *world, int number, int64_t time_us, int64_t last_us)
{
    char client[24], asked[40], addresses[64];
    int name = (int)fixture_below(NAMES_EACH);
    int first = (int)fixture_below(CDN);
    int second = (first + 1 + (int)fixture_below(CDN - 1)) % CDN;
    uint32_t ttl_s = 30 + fixture_below(270);
    print_address(client, world->pods[number].address);
    print_name(asked, number, name);
    snprintf(addresses, sizeof(addresses), "203.0.113.%d 203.0.113.%d", first, second);
    assert_int_equal(
        fixture_put(world->store, "default", client, time_us, ttl_s, asked, "", addresses), 0);
    int64_t flow_us = time_us + 5 * MS + (int64_t)fixture_below(2000) * MS;
    add_flow(world, flow_us < last_us ? flow_us : last_us, number,
             fixture_below(2) == 0 ? first : second, name);
}

static void live(struct world *world, int number)
{
    const struct pod *pod = &world->pods[number];
    /* A process that is told to stop says nothing in its last moments. */
    int64_t last_us = pod->to_us - 1500 * MS;
    int64_t now_us = pod->from_us + 300 * MS;
    while (now_us < last_us) {
        look_up(world, number, now_us, last_us);
        if (fixture_below(3) == 0) { /* one that it never asked for, in the middle of its life */
            int64_t later_us = now_us + (int64_t)fixture_below(3000) * MS;
            add_flow(world, later_us < last_us ? later_us : last_us, number,
                     (int)fixture_below(CDN), -1);
        }
        now_us += (int64_t)(1 + fixture_below(40)) * S;
    }
    /* The first thing it does may be to connect without a question. */
    add_flow(world, pod->from_us + 200 * MS, number, (int)fixture_below(CDN), -1);
}

static void put_time(char text[TIME_TEXT_MAX], int64_t time_us)
{
    /* As the API server has it: whole seconds. */
    time_print(time_us / S * S, text);
    memcpy(text + 19, "Z", 2);
}

/* ---- The watch stream ---- */

struct event {
    int64_t time_us;
    char text[900];
};

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

static void put_event(struct event *event, const struct world *world, int number, int64_t time_us,
                      const char *type, const char *meta, const char *status)
{
    char start[TIME_TEXT_MAX];
    /* It was bound to its node while its predecessor still had the address. */
    put_time(start, world->pods[number].from_us - 8 * S);
    event->time_us = time_us;
    snprintf(event->text, sizeof(event->text),
             "{\"type\":\"%s\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"pod-%d\","
             "\"namespace\":\"shop\",\"uid\":\"uid-%d\"%s},\"spec\":{\"nodeName\":\"n1\"},"
             "\"status\":{\"startTime\":\"%s\"%s}}}\n",
             type, number, number, meta, start, status);
}

/* Up to five events of one pod; returns how many. */
static size_t tell_life(const struct world *world, int number, struct event *events)
{
    const struct pod *pod = &world->pods[number];
    char ip[24], with_ip[64], from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], status[400], meta[200];
    size_t count = 0;
    print_address(ip, pod->address);
    put_time(from, pod->from_us);
    put_time(to, pod->to_us);
    snprintf(with_ip, sizeof(with_ip), ",\"podIP\":\"%s\"", ip);
    put_event(&events[count++], world, number, pod->from_us - 8 * S, "ADDED", "",
              ",\"phase\":\"Pending\"");
    snprintf(status, sizeof(status),
             ",\"phase\":\"Running\"%s,\"conditions\":[{\"lastTransitionTime\":\"%s\"}]", with_ip,
             from);
    put_event(&events[count++], world, number, pod->from_us + 1 * S, "MODIFIED", "", status);
    snprintf(status, sizeof(status),
             ",\"phase\":\"Succeeded\"%s,\"containerStatuses\":[{\"state\":{\"terminated\":{"
             "\"finishedAt\":\"%s\"}}}]",
             with_ip, to);
    switch (number % 4) {
    case 0: /* it ends by itself, and the API goes on naming its address */
        put_event(&events[count++], world, number, pod->to_us + 1 * S, "MODIFIED", "", status);
        put_event(&events[count++], world, number, pod->to_us + 300 * S, "MODIFIED", "", status);
        break;
    case 1: /* it is deleted */
        snprintf(meta, sizeof(meta),
                 ",\"deletionTimestamp\":\"%s\",\"deletionGracePeriodSeconds\":0", to);
        put_event(&events[count++], world, number, pod->to_us + 1 * S, "DELETED", meta, status);
        break;
    case 2: /* its address vanishes before it is said to have ended */
        snprintf(meta, sizeof(meta),
                 ",\"phase\":\"Running\",\"conditions\":[{\"lastTransitionTime\":\"%s\"}]", to);
        put_event(&events[count++], world, number, pod->to_us, "MODIFIED", "", meta);
        break;
    default: /* it is deleted, and nothing is said of its containers */
        snprintf(status, sizeof(status), ",\"phase\":\"Running\"%s", with_ip);
        snprintf(meta, sizeof(meta),
                 ",\"deletionTimestamp\":\"%s\",\"deletionGracePeriodSeconds\":0", to);
        put_event(&events[count++], world, number, pod->to_us, "DELETED", meta, status);
    }
    return count;
}

static void write_watch(const struct world *world, const char *path)
{
    struct event *events = calloc((size_t)PODS * 5, sizeof(*events));
    size_t count = 0;
    FILE *file = fopen(path, "wb");
    assert_true(events != NULL && file != NULL);
    for (int number = 0; number < PODS; number++) {
        count += tell_life(world, number, &events[count]);
    }
    qsort(events, count, sizeof(*events), by_time);
    for (size_t i = 0; i < count; i++) {
        fputs(events[i].text, file);
    }
    fclose(file);
    free(events);
}

/* ---- The flow log ---- */

static int by_flow_time(const void *a, const void *b)
{
    const struct flow_truth *x = a, *y = b;
    return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

/* The source port is the flow's number. */
static void write_flows(struct world *world, const char *path, bool interfaces)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    qsort(world->flows, world->flow_count, sizeof(world->flows[0]), by_flow_time);
    for (size_t i = 0; i < world->flow_count; i++) {
        const struct flow_truth *flow = &world->flows[i];
        char time[TIME_TEXT_MAX], source[24];
        time_print(flow->time_us, time);
        print_address(source, world->pods[flow->pod].address);
        fprintf(file,
                "%s n1 kernel: calico-packet: IN=cali%011x OUT=eth0 SRC=%s DST=203.0.113.%d LEN=60 "
                "TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=%zu DPT=443 WINDOW=64240 "
                "RES=0x00 SYN URGP=0\n",
                time, interfaces ? (unsigned)flow->pod : 1, source, flow->destination, i + 1);
    }
    fclose(file);
}

/* ---- What comes out ---- */

static struct result *current;

static void judge(struct sink *sink, struct buf *out, const struct flow_record *record,
                  const struct attribution *attribution)
{
    struct result *result = current;
    const struct world *world = result->world;
    const struct flow_truth *truth = &world->flows[record->flow.source_port - 1];
    bool given = attribution->verdict == RESOLVED || attribution->verdict == STALE;
    bool right = false;
    (void)sink;
    (void)out;
    result->flows++;
    result->asked += truth->name >= 0;
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        char text[NAME_TEXT_MAX];
        int name, pod;
        name_to_text(attribution->candidates[i].name.wire, text);
        assert_int_equal(sscanf(text, "n%d.pod-%d.example.com", &name, &pod), 2);
        bool others = pod != truth->pod;
        result->crossed += others && given;
        result->leaked += others && world->pods[pod].address == world->pods[truth->pod].address;
        right |= !others && given && name == truth->name;
    }
    result->named += right && truth->name >= 0;
}

static const struct sink_kind JUDGE = {.name = "judge", .description = "", .flow = judge};

static int discard(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return 0;
}

static struct result run(struct world *world, bool with_owners, bool with_interfaces)
{
    char flows[100], watch[100];
    struct attribute_params params = attribute_defaults();
    struct result result = {.world = world};
    struct owners_read read = {0};
    struct why why = {""};
    struct owners *owners;
    struct store_view *view;
    struct join_index index = {NULL, START + 2 * US_PER_HOUR};
    struct join *join;
    snprintf(flows, sizeof(flows), "%s/flows.log", world->dir);
    snprintf(watch, sizeof(watch), "%s/watch.json", world->dir);
    write_flows(world, flows, with_interfaces);
    write_watch(world, watch);
    assert_int_equal(owners_new(&owners, 0), 0);
    if (with_owners) {
        assert_int_equal(owners_read_file(owners, "default", watch, NULL, NULL, &read, &why), 0);
        assert_int_equal(read.faults, 0);
    }
    assert_int_equal(store_view_new(world->store, &view), 0);
    assert_int_equal(attributor_new(&index.attributor, view, &params), 0);
    assert_int_equal(attributor_set_owners(index.attributor, owners), 0);
    const struct join_oracle oracle = {join_ask_index, &index};
    const struct join_options options = {
        .cluster = "default",
        .sink = &JUDGE,
        .sink_options = {.cluster = "default"},
        .oracles = &oracle,
        .workers = 1,
        .write = discard,
    };
    assert_int_equal(join_new(&join, &options), 0);
    current = &result;
    assert_int_equal(join_input(join, flows, &why), 0);
    join_free(&join);
    attributor_free(&index.attributor);
    store_view_free(&view);
    owners_free(&owners);
    assert_int_equal(result.flows, world->flow_count);
    print_message(
        "owners %d interfaces %d: %zu flows, %zu of %zu asked for are named, %zu crossed, "
        "%zu leaked\n",
        with_owners, with_interfaces, result.flows, result.named, result.asked, result.crossed,
        result.leaked);
    return result;
}

/* ---- The tests ---- */

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    fixture_dir(world->dir);
    world->store = fixture_open(world->dir, STORE_WRITE);
    fixture_seed(60);
    for (int number = 0; number < PODS; number++) {
        struct pod *pod = &world->pods[number];
        pod->address = number / PODS_EACH;
        pod->from_us = number % PODS_EACH == 0 ? START + between(0, 60 * S)
                                               : world->pods[number - 1].to_us + between(0, 4 * S);
        pod->to_us = pod->from_us + between(1000 * S, 1190 * S);
        live(world, number);
    }
    assert_int_equal(store_commit(world->store, START + 2 * US_PER_HOUR, NULL), 0);
    *state = world;
    return 0;
}

static int remove_world(void **state)
{
    struct world *world = *state;
    store_close(&world->store);
    fixture_remove(world->dir);
    free(world);
    return 0;
}

static void owners_keep_names_where_they_belong(void **state)
{
    struct result result = run(*state, true, false);
    assert_int_equal(result.crossed, 0);
    assert_int_equal(result.leaked, 0);
    assert_true(result.named * 100 >= result.asked * 99);
}

static void interfaces_do_without_any_owners(void **state)
{
    struct result result = run(*state, false, true);
    assert_int_equal(result.crossed, 0);
    assert_true(result.named * 100 >= result.asked * 99);
}

static void both_do(void **state)
{
    struct result result = run(*state, true, true);
    assert_int_equal(result.crossed, 0);
    assert_int_equal(result.leaked, 0);
    assert_true(result.named * 100 >= result.asked * 99);
}

static void without_either_names_cross(void **state)
{
    struct result result = run(*state, false, false);
    assert_true(result.crossed > 100);
    assert_true(result.leaked > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(owners_keep_names_where_they_belong, make_world,
                                        remove_world),
        cmocka_unit_test_setup_teardown(interfaces_do_without_any_owners, make_world, remove_world),
        cmocka_unit_test_setup_teardown(both_do, make_world, remove_world),
        cmocka_unit_test_setup_teardown(without_either_names_cross, make_world, remove_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
