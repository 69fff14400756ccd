/* tests/unit/join/test_ends.c -- what owners, and the record's own identity, do to an attribution
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each case is a few answers and facts about owners in an index of their own, and one flow; the
 * result is written as "VERDICT[:REASON] [owner] [SOURCE] [> KIND DESTINATION] | NAME VIA
 * live|stale AGE[ms] ...".
 */
#include "join/ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define T (INT64_C(20500) * US_PER_DAY + 12 * US_PER_HOUR)
#define MS INT64_C(1000)
#define S US_PER_S
#define MIN US_PER_MIN
#define H US_PER_HOUR

#define POD "10.10.3.7"
#define POD6 "2001:db8:1::7"
#define OTHER "10.10.3.8"
#define BACKEND "10.10.4.20"
#define SERVICE "10.96.0.20"
#define NODE "192.0.2.1"
#define DST "203.0.113.5"

struct told {
    const char *client;
    int64_t at_us; /* after T, as all times here */
    uint32_t ttl_s;
    const char *asked;
    const char *chain;
    const char *addrs;   /* NULL: only seen asking */
    const char *cluster; /* NULL: default */
};

struct held {
    enum owner_kind kind;
    const char *name; /* "namespace/name"; NULL: no more */
    const char *addrs;
    int64_t from_us;
    int64_t to_us; /* 0: it still does */
    const char *labels;
    bool hint;
    const char *cluster; /* NULL: default */
    bool unsure;         /* it does not say itself when it ended */
};

struct scenario {
    const char *name;
    struct told told[6];
    struct held held[5];
    const char *expected;
    const char *source;      /* NULL: POD */
    const char *destination; /* NULL: DST */
    int64_t start_us;
    int64_t end_us; /* 0: as the start */
    bool aggregated;
    bool hides_start;
    int64_t heard_from_us; /* 0: heard for two days */
    const char *alternate;
    int64_t not_before_us; /* 0: not known */
    const char *source_cluster;
    struct flow_identity source_id;
    struct flow_identity destination_id;
};

#define TEXT(LITERAL)                                                                              \
    {                                                                                              \
        LITERAL, sizeof(LITERAL) - 1                                                               \
    }

/* clang-format off */
static const struct scenario SCENARIOS[] = {
    /* ---- the time of the owner ---- */
    {.name = "with an owner a day is looked back",
     .told = {{POD, -23 * H, 30, "api.example.com", "", DST}}, .held = {{OWNER_POD, "shop/a", POD, -30 * H}},
     .expected = "stale owner shop/a | api.example.com client stale 82800000"},
    {.name = "and no further",
     .told = {{POD, -24 * H - 1, 30, "api.example.com", "", DST}, {POD, -1 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .held = {{OWNER_POD, "shop/a", POD, -30 * H}},
     .expected = "ip-only owner shop/a"},
    {.name = "without one an hour",
     .told = {{POD, -61 * MIN, 30, "api.example.com", "", DST}, {POD, -1 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .held = {{OWNER_POD, "shop/b", OTHER, -30 * H}},
     .expected = "ip-only"},
    {.name = "an answer five seconds before the owner began is its own",
     .told = {{POD, -65 * S, 30, "api.example.com", "", DST}}, .held = {{OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "resolved owner shop/a | api.example.com client live 65000"},
    {.name = "one a microsecond earlier is not",
     .told = {{POD, -65 * S - 1, 30, "api.example.com", "", DST}, {POD, -59 * S, 30, "x.example.com", "", "203.0.113.9"}}, .held = {{OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "ip-only owner shop/a"},
    {.name = "the slack does not reach into the time of the owner before",
     .told = {{POD, -62 * S, 30, "api.example.com", "", DST}, {POD, -10 * S, 30, "x.example.com", "", "203.0.113.9"}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "ip-only owner shop/a"},
    {.name = "the owner before has its own names until its end",
     .told = {{POD, -62 * S, 30, "api.example.com", "", DST}}, .start_us = -61 * S,
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "resolved owner shop/was | api.example.com client live 1000"},
    {.name = "an answer after its end, though within the skew, is the next one's",
     .told = {{POD, -59 * S, 30, "api.example.com", "", DST}, {POD, -90 * S, 30, "x.example.com", "", "203.0.113.9"}}, .start_us = -61 * S,
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "ip-only owner shop/was"},
    {.name = "a run of answers that began with the owner before",
     .told = {{POD, -70 * S, 30, "api.example.com", "", DST}, {POD, -10 * S, 30, "api.example.com", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "resolved owner shop/a | api.example.com client live 10000"},
    {.name = "a run that the next owner goes on with says nothing of the time before",
     .told = {{POD, -70 * S, 30, "api.example.com", "", DST}, {POD, -10 * S, 30, "api.example.com", "", DST}, {POD, -50 * S, 30, "x.example.com", "", "203.0.113.9"}}, .start_us = -40 * S,
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "ip-only owner shop/a"},
    {.name = "nor does the head of a chain",
     .told = {{POD, -90 * S, 30, "head.example.com", "tail.example.net", "203.0.113.80"}, {POD, -5 * S, 60, "tail.example.net", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "resolved owner shop/a | tail.example.net client live 5000"},
    {.name = "a pod that sends before anybody knows of it",
     .told = {{POD, -1 * S, 60, "api.example.com", "", DST}}, .held = {{OWNER_POD, "shop/a", POD, 3 * S}},
     .expected = "resolved owner shop/a | api.example.com client live 1000"},
    {.name = "an aggregate that outlasts its pod",
     .told = {{POD, 90 * S, 60, "next.example.com", "", DST}, {POD, 10 * S, 60, "api.example.com", "", DST}}, .end_us = 120 * S, .aggregated = true,
     .held = {{OWNER_POD, "shop/a", POD, -2 * H, 60 * S}, {OWNER_POD, "shop/next", POD, 60 * S}},
     .expected = "resolved owner shop/a | api.example.com client live -10000"},

    /* ---- whose names others share ---- */
    {.name = "what the owner before was answered is nobody's hint",
     .told = {{POD, -300 * S, 30, "api.example.com", "", DST}, {POD, -10 * S, 30, "x.example.com", "", "203.0.113.9"}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "ip-only owner shop/a"},
    {.name = "what other clients were answered is, also before this pod began",
     .told = {{OTHER, -300 * S, 30, "api.example.com", "", DST}, {POD, -300 * S, 30, "mine.example.com", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}, {OWNER_POD, "shop/a", POD, -60 * S}},
     .expected = "shared owner shop/a | api.example.com shared stale 300000"},

    /* ---- dual stack ---- */
    {.name = "asked over one family, connected over the other",
     .told = {{POD, -1 * S, 60, "api.example.com", "", "2001:db8::5"}}, .source = POD6, .destination = "2001:db8::5",
     .held = {{OWNER_POD, "shop/a", POD " " POD6, -1 * H}},
     .expected = "resolved owner shop/a | api.example.com client live 1000"},
    {.name = "the chain asked over one family, its tail over the other",
     .told = {{POD6, -50 * S, 5, "head.example.com", "tail.example.net", "203.0.113.80"}, {POD, -1 * S, 60, "tail.example.net", "", DST}},
     .held = {{OWNER_POD, "shop/a", POD " " POD6, -1 * H}},
     .expected = "resolved owner shop/a | tail.example.net client live 1000 | head.example.com cname live 50000"},
    {.name = "without owners that is another client's",
     .told = {{POD, -1 * S, 60, "api.example.com", "", "2001:db8::5"}}, .source = POD6, .destination = "2001:db8::5",
     .expected = "shared | api.example.com shared live 1000"},

    /* ---- internal ---- */
    {.name = "a service, with the name that was asked",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = SERVICE,
     .held = {{OWNER_POD, "shop/a", POD, -1 * H}, {OWNER_SERVICE, "shop/db", SERVICE, -9 * H}},
     .expected = "internal owner shop/a > service shop/db | db.shop.svc.cluster.local client live 1000"},
    {.name = "a pod, with none",
     .destination = BACKEND, .held = {{OWNER_POD, "shop/a", POD, -1 * H}, {OWNER_POD, "shop/b", BACKEND, -9 * H}},
     .expected = "internal owner shop/a > pod shop/b"},
    {.name = "a node",
     .destination = NODE, .held = {{OWNER_NODE, "n1", NODE, -9 * H}},
     .expected = "internal > node n1"},
    {.name = "another client's name is none of an internal flow",
     .told = {{OTHER, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = SERVICE,
     .held = {{OWNER_SERVICE, "shop/db", SERVICE, -9 * H}},
     .expected = "internal > service shop/db"},
    {.name = "the pod behind a service: by what the pod's labels say",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = BACKEND,
     .held = {{OWNER_POD, "shop/a", POD, -1 * H}, {OWNER_POD, "shop/db-0", BACKEND, -9 * H, 0, "app=db\nrole=main\n"}, {OWNER_SERVICE, "shop/db", SERVICE, -9 * H, 0, "app=db\n"},
              {OWNER_SERVICE, "shop/web", "10.96.0.21", -9 * H, 0, "app=web\n"}},
     .expected = "internal owner shop/a > pod shop/db-0 | db.shop.svc.cluster.local client live 1000"},
    {.name = "a service of another namespace selects nothing here",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = BACKEND,
     .held = {{OWNER_POD, "other/db-0", BACKEND, -9 * H, 0, "app=db\n"}, {OWNER_SERVICE, "shop/db", SERVICE, -9 * H, 0, "app=db\n"}},
     .expected = "internal > pod other/db-0"},
    {.name = "by the service that the record names",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = BACKEND,
     .held = {{OWNER_POD, "shop/db-0", BACKEND, -9 * H}, {OWNER_SERVICE, "shop/db", SERVICE, -9 * H}},
     .destination_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .service = TEXT("db")},
     .expected = "internal > pod shop/db-0 | db.shop.svc.cluster.local client live 1000"},
    {.name = "by the second tuple, whatever is known",
     .told = {{POD, -1 * S, 60, "db.example.com", "", DST}}, .destination = BACKEND, .alternate = DST,
     .expected = "resolved | db.example.com client live 1000"},
    {.name = "the second tuple shows that it is a service",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", SERVICE}}, .destination = BACKEND, .alternate = SERVICE, .held = {{OWNER_SERVICE, "shop/db", SERVICE, -9 * H}},
     .expected = "internal > service shop/db | db.shop.svc.cluster.local client live 1000"},
    {.name = "a service that was there earlier",
     .told = {{POD, -1 * S, 60, "db.example.com", "", SERVICE}}, .destination = SERVICE, .held = {{OWNER_SERVICE, "shop/db", SERVICE, -9 * H, -1 * H}},
     .expected = "resolved | db.example.com client live 1000"},

    /* ---- what the record itself says ---- */
    {.name = "without owners the record's word is taken: internal",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "", BACKEND}}, .destination = BACKEND,
     .source_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("a")},
     .destination_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("db-0")},
     .expected = "internal shop/a > pod shop/db-0 | db.shop.svc.cluster.local client live 1000"},
    {.name = "a network is not of the cluster",
     .told = {{POD, -1 * S, 60, "api.example.com", "", DST}}, .destination_id = {.end = FLOW_END_NETWORK},
     .expected = "resolved | api.example.com client live 1000"},
    {.name = "a node by the record",
     .told = {{POD, -1 * S, 60, "api.example.com", "", DST}}, .source_id = {.end = FLOW_END_NODE},
     .expected = "shared:node-source | api.example.com shared live 1000"},
    {.name = "the record names the pod that came a second later",
     .told = {{POD, -2 * S, 60, "was.example.com", "", DST}, {POD, 1500 * MS, 60, "api.example.com", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, 1 * S}, {OWNER_POD, "shop/a", POD, 1 * S}},
     .source_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("a")},
     .expected = "resolved owner shop/a | api.example.com late live -1500"},
    {.name = "the record names a pod that nobody knows",
     .held = {{OWNER_POD, "shop/was", POD, -2 * H}}, .told = {{POD, -2 * S, 60, "api.example.com", "", DST}},
     .source_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("a")},
     .expected = "resolved shop/a | api.example.com client live 2000"},
    {.name = "the record names the pod that ended a second before",
     .told = {{POD, -3 * S, 60, "was.example.com", "", DST}, {POD, 500 * MS, 60, "api.example.com", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -1 * S}, {OWNER_POD, "shop/a", POD, -1 * S}},
     .source_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("was")},
     .expected = "resolved owner shop/was | was.example.com client live 3000"},
    {.name = "what was before a pod that nobody knows is not its own",
     .told = {{POD, -100 * S, 300, "was.example.com", "", DST}, {POD, -2 * S, 60, "x.example.com", "", "203.0.113.9"}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -60 * S}},
     .expected = "ip-only"},
    {.name = "where nobody is sure that it ended, what was before that pod",
     .told = {{POD, -300 * S, 600, "earlier.example.com", "", DST}, {POD, -100 * S, 300, "was.example.com", "", DST}},
     .held = {{OWNER_POD, "shop/was", POD, -200 * S, -60 * S, .unsure = true}},
     .expected = "resolved | was.example.com client live 100000"},
    {.name = "a name that stands for many contradicts nobody",
     .held = {{OWNER_POD, "shop/web-1", POD, -2 * H}}, .told = {{POD, -2 * S, 60, "api.example.com", "", DST}},
     .source_id = {.end = FLOW_END_POD, .namespace = TEXT("shop"), .pod = TEXT("web-*")},
     .expected = "resolved owner shop/web-1 | api.example.com client live 2000"},

    /* ---- nodes ---- */
    {.name = "a node's own answers are only shared",
     .told = {{NODE, -1 * S, 60, "api.example.com", "", DST}}, .source = NODE, .held = {{OWNER_NODE, "n1", NODE, -9 * H}},
     .expected = "shared:node-source owner n1 | api.example.com shared live 1000"},
    {.name = "a node that nobody has a name for is blind",
     .told = {{NODE, -1 * S, 60, "x.example.com", "", "203.0.113.9"}}, .source = NODE, .held = {{OWNER_NODE, "n1", NODE, -9 * H}},
     .expected = "blind:node-source owner n1"},
    {.name = "internal comes before node-source",
     .source = NODE, .destination = SERVICE, .held = {{OWNER_NODE, "n1", NODE, -9 * H}, {OWNER_SERVICE, "shop/db", SERVICE, -9 * H}},
     .expected = "internal owner n1 > service shop/db"},

    /* ---- ip-only ---- */
    {.name = "the connection may be older than the record, but not than the pod",
     .told = {{POD, -10 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .hides_start = true, .held = {{OWNER_POD, "shop/a", POD, -20 * MIN}},
     .expected = "ip-only owner shop/a"},
    {.name = "a pod older than what is looked at",
     .told = {{POD, -10 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .hides_start = true, .held = {{OWNER_POD, "shop/a", POD, -25 * H}},
     .expected = "blind:started-earlier owner shop/a"},
    {.name = "a hint does not say when the pod began",
     .told = {{POD, -10 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .hides_start = true, .held = {{OWNER_POD, "shop/a", POD, -20 * MIN, .hint = true}},
     .expected = "blind:started-earlier owner shop/a"},
    {.name = "what was missed before the pod began does not matter",
     .told = {{POD, -10 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .heard_from_us = -30 * MIN, .held = {{OWNER_POD, "shop/a", POD, -20 * MIN}},
     .expected = "ip-only owner shop/a"},
    {.name = "what was missed since does",
     .told = {{POD, -10 * MIN, 30, "x.example.com", "", "203.0.113.9"}}, .heard_from_us = -15 * MIN, .held = {{OWNER_POD, "shop/a", POD, -20 * MIN}},
     .expected = "blind:gap owner shop/a"},
    {.name = "that the owner before asked says nothing of this one",
     .told = {{POD, -10 * MIN - 1 * S, 30, "x.example.com", "", "203.0.113.9"}},
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -10 * MIN}, {OWNER_POD, "shop/a", POD, -10 * MIN}},
     .expected = "blind:never-asked owner shop/a"},
    {.name = "nor where both fall into one minute",
     .told = {{POD, -40 * S, 30, "x.example.com", "", "203.0.113.9"}}, .start_us = -5 * S,
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -30 * S}, {OWNER_POD, "shop/a", POD, -30 * S}},
     .expected = "blind:never-asked owner shop/a"},
    {.name = "an answer in that minute is its own",
     .told = {{POD, -40 * S, 30, "x.example.com", "", "203.0.113.9"}, {POD, -20 * S, 30, "y.example.com", "", "203.0.113.9"}}, .start_us = -5 * S,
     .held = {{OWNER_POD, "shop/was", POD, -2 * H, -30 * S}, {OWNER_POD, "shop/a", POD, -30 * S}},
     .expected = "ip-only owner shop/a"},

    /* ---- interfaces ---- */
    {.name = "seen on another interface since the answer",
     .told = {{POD, -60 * S, 300, "was.example.com", "", DST}, {POD, -30 * S, 300, "api.example.com", "", DST}}, .not_before_us = -40 * S,
     .expected = "resolved | api.example.com client live 30000"},
    {.name = "with owners the later of the two bounds",
     .told = {{POD, -60 * S, 300, "was.example.com", "", DST}, {POD, -30 * S, 300, "api.example.com", "", DST}}, .not_before_us = -40 * S, .held = {{OWNER_POD, "shop/a", POD, -2 * H}},
     .expected = "resolved owner shop/a | api.example.com client live 30000"},

    /* ---- clusters ---- */
    {.name = "the record's own cluster, where the index knows it",
     .told = {{POD, -1 * S, 60, "two.example.com", "", DST, "two"}, {POD, -2 * S, 60, "one.example.com", "", DST}}, .source_cluster = "two",
     .expected = "resolved | two.example.com client live 1000"},
    {.name = "one that nobody knows is not asked in",
     .told = {{POD, -1 * S, 60, "two.example.com", "", DST, "two"}, {POD, -2 * S, 60, "one.example.com", "", DST}}, .source_cluster = "three",
     .expected = "resolved | one.example.com client live 2000"},
    {.name = "owners of another cluster are others",
     .told = {{POD, -1 * S, 60, "one.example.com", "", DST}}, .held = {{OWNER_POD, "shop/a", POD, -2 * H, .cluster = "two"}},
     .expected = "resolved | one.example.com client live 1000"},
    {.name = "owners alone make a cluster known",
     .told = {{POD, -1 * S, 60, "one.example.com", "", DST}}, .source_cluster = "two", .held = {{OWNER_POD, "shop/a", POD, -2 * H, .cluster = "two"}, {OWNER_POD, "shop/one", POD, -2 * H}},
     .expected = "blind:never-asked owner shop/a"},
};
/* clang-format on */

static size_t parse_addrs(const char *text, struct addr *addrs)
{
    size_t count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        assert_true(addr_parse(&addrs[count++], text, len));
        text += len + strspn(text + len, " ");
    }
    return count;
}

static void hold(struct owners *owners, const struct held *held)
{
    struct addr addrs[OWNER_ADDRS_MAX];
    const char *slash = strchr(held->name, '/');
    const char *name = slash != NULL ? slash + 1 : held->name;
    struct owner_fact fact = {
        .cluster = held->cluster != NULL ? held->cluster : "default",
        .kind = held->kind,
        .hint = held->hint,
        .namespace = {held->name, slash != NULL ? (size_t)(slash - held->name) : 0},
        .name = {name, strlen(name)},
        .labels = {held->labels, held->labels != NULL ? strlen(held->labels) : 0},
        .addresses = addrs,
        .address_count = parse_addrs(held->addrs, addrs),
        .at_us = T + 1 * H,
        .started_us = T + held->from_us,
    };
    if (held->unsure) {
        fact.at_us = T + held->to_us - 1;
        assert_int_equal(owners_observe(owners, &fact), 0);
        fact.at_us++;
    }
    if (held->to_us != 0) {
        fact.ended = true;
        fact.ended_us = held->unsure ? 0 : T + held->to_us;
    }
    assert_int_equal(owners_observe(owners, &fact), 0);
}

static void put_party(struct buf *out, const char *before, const struct party *party)
{
    struct text name = party->pod.len > 0       ? party->pod
                       : party->service.len > 0 ? party->service
                                                : party->node;
    if (party->kind == PARTY_UNKNOWN || name.len == 0) {
        return;
    }
    buf_str(out, before);
    buf_add(out, party->namespace.data, party->namespace.len);
    buf_str(out, party->namespace.len > 0 ? "/" : "");
    buf_add(out, name.data, name.len);
}

static void print(struct buf *out, const struct attribution *attribution)
{
    char text[NAME_TEXT_MAX];
    buf_str(out, verdict_name(attribution->verdict));
    if (attribution->reason != NULL) {
        buf_printf(out, ":%s", attribution->reason);
    }
    buf_str(out, attribution->owner_known ? " owner" : "");
    put_party(out, " ", &attribution->source);
    if (attribution->destination.kind != PARTY_UNKNOWN) {
        buf_printf(out, " > %s", party_kind_name(attribution->destination.kind));
        put_party(out, " ", &attribution->destination);
    }
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        const struct candidate *candidate = &attribution->candidates[i];
        name_to_text(candidate->name.wire, text);
        buf_printf(out, " | %s %s %s %lld", text, via_name(candidate->via),
                   candidate->live ? "live" : "stale", (long long)(candidate->age_us / 1000));
    }
    buf_char(out, '\0');
}

static void hear(struct store *store, const char *cluster, int64_t from_us)
{
    uint16_t number = store_cluster(store, cluster);
    uint32_t stream = store_stream_begin(store, STREAM_LIVE, number, (const uint8_t *)"dns", 3,
                                         (const uint8_t *)"", 0, "test", from_us);
    assert_int_not_equal(stream, 0);
    store_stream_heard(store, stream, T + 2 * H);
}

static struct question question_of(const struct scenario *scenario)
{
    const char *own = scenario->source_cluster;
    struct question question = {
        .cluster = "default",
        .source = fixture_addr(scenario->source != NULL ? scenario->source : POD),
        .destination = fixture_addr(scenario->destination != NULL ? scenario->destination : DST),
        .start_us = T + scenario->start_us,
        .end_us = T + (scenario->end_us != 0 ? scenario->end_us : scenario->start_us),
        .aggregated = scenario->aggregated,
        .shows_start = !scenario->hides_start,
        .has_alternate = scenario->alternate != NULL,
        .not_before_us = scenario->not_before_us != 0 ? T + scenario->not_before_us : 0,
        .source_cluster = {own, own != NULL ? strlen(own) : 0},
        .source_id = &scenario->source_id,
        .destination_id = &scenario->destination_id,
    };
    if (scenario->alternate != NULL) {
        question.alternate = fixture_addr(scenario->alternate);
    }
    return question;
}

/* Fills an index and a table. */
static void fill(struct store *store, struct owners *owners, const struct scenario *scenario)
{
    int64_t heard_us = scenario->heard_from_us != 0 ? scenario->heard_from_us : -48 * H;
    hear(store, "default", T + heard_us);
    hear(store, "two", T + heard_us);
    for (int i = 0; i < 6 && scenario->told[i].client != NULL; i++) {
        const struct told *told = &scenario->told[i];
        assert_int_equal(fixture_put(store, told->cluster != NULL ? told->cluster : "default",
                                     told->client, T + told->at_us, told->ttl_s, told->asked,
                                     told->chain, told->addrs),
                         0);
    }
    for (int i = 0; i < 5 && scenario->held[i].name != NULL; i++) {
        hold(owners, &scenario->held[i]);
    }
    assert_int_equal(store_commit(store, T + 1 * H, NULL), 0);
}

/* The same with and without a memory. */
static bool run_scenario(const struct scenario *scenario, bool remember)
{
    char dir[64];
    struct store *store;
    struct store_view *view;
    struct attributor *attributor;
    struct attribution out;
    struct owners *owners;
    struct buf text = {0};
    struct attribute_params params = attribute_defaults();
    fixture_dir(dir);
    assert_int_equal(store_open(&store, dir, STORE_WRITE, NULL, NULL), 0);
    assert_int_equal(owners_new(&owners, 0), 0);
    fill(store, owners, scenario);
    assert_int_equal(store_view_new(store, &view), 0);
    assert_int_equal(attributor_new(&attributor, view, &params), 0);
    assert_int_equal(attributor_set_owners(attributor, owners), 0);
    if (remember) {
        assert_int_equal(attributor_remember(attributor, (size_t)1 << 20), 0);
    }
    struct question question = question_of(scenario);
    assert_int_equal(attribute(attributor, &question, T + 1 * H, &out), 0);
    print(&text, &out);
    bool same = strcmp(text.data, scenario->expected) == 0;
    if (!same) {
        print_error("%s:\n got  %s\n want %s\n", scenario->name, text.data, scenario->expected);
    }
    buf_fini(&text);
    attributor_free(&attributor);
    owners_free(&owners);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
    return same;
}

static void owners_bound_and_widen_what_counts(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        wrong += !run_scenario(&SCENARIOS[i], false);
        wrong += !run_scenario(&SCENARIOS[i], true);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_bound_and_widen_what_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
