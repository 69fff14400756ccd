/* tests/unit/join/test_attribute.c -- every rule and verdict of an attribution
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each case is a few answers, streams and one flow, in an index of its own; the attribution is
 * written as one line of text: "VERDICT[:REASON] [ambiguous] [assumed] | NAME VIA live|stale
 * AGE[ms] ... | +LEFT_OUT".
 */
#include "join/attribute.h"

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
#define OTHER "10.10.3.8"
#define THIRD "10.10.3.9"
#define DST "203.0.113.5"

struct told {
    const char *client;
    int64_t at_us; /* after T, as all times here */
    uint32_t ttl_s;
    const char *asked;
    const char *chain;
    const char *addrs; /* NULL: only seen asking */
};

struct heard {
    int64_t from_us;
    int64_t to_us; /* 0: no more streams, and where the first is so, one that heard everything */
    enum store_stream_end end;
};

struct scenario {
    const char *name;
    struct told told[8];
    const char *expected;
    const char *source;      /* NULL: POD */
    const char *destination; /* NULL: DST */
    int64_t start_us;
    int64_t end_us; /* 0: as the start */
    bool aggregated;
    bool hides_start;
    bool no_stream;
    struct heard heard[3];
    int64_t now_us; /* 0: ten minutes later */
    uint32_t candidates_max;
    uint32_t answers_per_hour;
    bool no_grace; /* --grace 0s */
};

/* clang-format off */
static const struct scenario SCENARIOS[] = {
    /* ---- live, stale, late ---- */
    {.name = "an answer just before the flow",
     .told = {{POD, -55 * MS, 60, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 55"},
    {.name = "an answer at the very moment",
     .told = {{POD, 0, 60, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 0"},
    {.name = "TTL and grace end exactly with the flow's start",
     .told = {{POD, -90 * S, 30, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 90000"},
    {.name = "TTL and grace ended a microsecond earlier",
     .told = {{POD, -90 * S - 1, 30, "api.example.com", "", DST}},
     .expected = "stale | api.example.com client stale 90000"},
    {.name = "TTL 0 is live for the grace",
     .told = {{POD, -60 * S, 0, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 60000"},
    {.name = "an earlier answer with a longer TTL keeps the run live",
     .told = {{POD, -300 * S, 300, "api.example.com", "", DST}, {POD, -250 * S, 5, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 250000"},
    {.name = "an answer that another one of its run follows is live until then",
     .told = {{POD, -80 * S, 30, "api.example.com", "", DST}, {POD, 5 * S, 30, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 80000"},
    {.name = "without grace an answer ends with its TTL, though another one of its run follows",
     .told = {{POD, -20 * S, 5, "api.example.com", "", DST}, {POD, 30 * S, 5, "api.example.com", "", DST}}, .no_grace = true,
     .expected = "stale | api.example.com client stale 20000"},
    {.name = "without grace, what had run out was asked for anew within the skew",
     .told = {{POD, -20 * S, 5, "api.example.com", "", DST}, {POD, 1 * S, 5, "api.example.com", "", DST}}, .no_grace = true,
     .expected = "resolved | api.example.com late live -1000"},
    {.name = "the skew after the flow, its last microsecond",
     .told = {{POD, 2 * S, 60, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com late live -2000"},
    {.name = "a microsecond after the skew",
     .told = {{POD, 2 * S + 1, 60, "api.example.com", "", DST}},
     .expected = "ip-only"},
    {.name = "the skew counts from the end of a flow that ended",
     .told = {{POD, 12 * S, 60, "api.example.com", "", DST}}, .end_us = 10 * S,
     .expected = "resolved | api.example.com late live -12000"},
    {.name = "an answer while the flow lasts is not late",
     .told = {{POD, 5 * S, 60, "api.example.com", "", DST}}, .end_us = 10 * S,
     .expected = "resolved | api.example.com client live -5000"},
    {.name = "without an owner an hour is looked back, to the microsecond",
     .told = {{POD, -1 * H, 30, "api.example.com", "", DST}},
     .expected = "stale | api.example.com client stale 3600000"},
    {.name = "a microsecond more than an hour back is not looked at",
     .told = {{POD, -1 * H - 1, 7200, "api.example.com", "", DST}, {POD, -1 * MIN, 1, "other.example.com", "", "203.0.113.6"}},
     .expected = "ip-only"},
    {.name = "over midnight",
     .start_us = 12 * H + 5 * S,
     .told = {{POD, 12 * H - 1 * S, 30, "api.example.com", "", DST}}, .heard = {{-3 * H, 14 * H, STREAM_OPEN}}, .now_us = 14 * H,
     .expected = "resolved | api.example.com client live 6000"},

    /* ---- order ---- */
    {.name = "live before stale, though the stale one is closer",
     .told = {{POD, -100 * S, 300, "long.example.com", "", DST}, {POD, -95 * S, 1, "short.example.com", "", DST}},
     .expected = "resolved | long.example.com client live 100000 | short.example.com client stale 95000"},
    {.name = "the closest before the flow comes first, and two live names are ambiguous",
     .told = {{POD, -20 * S, 60, "a.example.com", "", DST}, {POD, -10 * S, 60, "b.example.com", "", DST}},
     .expected = "resolved ambiguous | b.example.com client live 10000 | a.example.com client live 20000"},
    {.name = "names ascend where answers are equally close",
     .told = {{POD, -10 * S, 60, "b.example.com", "", DST}, {POD, -10 * S, 60, "a.example.com", "", DST},
              {POD, -10 * S, 60, "B0.example.com", "", DST}},
     .expected = "resolved ambiguous | a.example.com client live 10000 | b.example.com client live 10000 | b0.example.com client live 10000"},
    {.name = "any answer before comes before one after the start",
     .told = {{POD, -30 * S, 60, "a.example.com", "", DST}, {POD, 1 * S, 60, "b.example.com", "", DST}}, .end_us = 60 * S,
     .expected = "resolved ambiguous | a.example.com client live 30000 | b.example.com client live -1000"},
    {.name = "of those after the start the earliest comes first",
     .told = {{POD, 5 * S, 60, "a.example.com", "", DST}, {POD, 2 * S, 60, "b.example.com", "", DST}}, .end_us = 60 * S,
     .expected = "resolved ambiguous | b.example.com client live -2000 | a.example.com client live -5000"},
    {.name = "direct before cname before late",
     .told = {{POD, 1 * S, 60, "late.example.com", "", DST}, {POD, -40 * S, 60, "tail.example.net", "", DST},
              {POD, -30 * S, 60, "head.example.com", "tail.example.net", "203.0.113.77"}},
     .expected = "resolved ambiguous | tail.example.net client live 40000 | head.example.com cname live 30000 | late.example.com late live -1000"},
    {.name = "an aggregated record: the latest not after its end",
     .told = {{POD, -10 * S, 60, "a.example.com", "", DST}, {POD, 30 * S, 60, "b.example.com", "", DST}, {POD, 50 * S, 60, "c.example.com", "", DST}},
     .end_us = 40 * S, .aggregated = true,
     .expected = "resolved ambiguous | b.example.com client live -30000 | a.example.com client live 10000"},
    {.name = "an aggregated record: late only after its end",
     .told = {{POD, 41 * S, 60, "b.example.com", "", DST}}, .end_us = 40 * S, .aggregated = true,
     .expected = "resolved | b.example.com late live -41000"},
    {.name = "an aggregated record: stale before its start",
     .told = {{POD, -200 * S, 30, "b.example.com", "", DST}}, .end_us = 40 * S, .aggregated = true,
     .expected = "stale | b.example.com client stale 200000"},
    {.name = "one candidate a name, whatever sets and runs it came in",
     .told = {{POD, -300 * S, 30, "a.example.com", "", DST}, {POD, -100 * S, 60, "a.example.com", "", DST " 203.0.113.6"},
              {POD, -20 * S, 60, "a.example.com", "", DST " 203.0.113.7"}},
     .expected = "resolved | a.example.com client live 20000"},
    {.name = "more candidates than shown are counted",
     .told = {{POD, -10 * S, 60, "a.example.com", "", DST}, {POD, -20 * S, 60, "b.example.com", "", DST}, {POD, -30 * S, 60, "c.example.com", "", DST}},
     .candidates_max = 2,
     .expected = "resolved ambiguous | a.example.com client live 10000 | b.example.com client live 20000 | +1"},
    {.name = "a live name that is not shown still makes it ambiguous",
     .told = {{POD, -10 * S, 60, "a.example.com", "", DST}, {POD, -20 * S, 60, "b.example.com", "", DST}}, .candidates_max = 1,
     .expected = "resolved ambiguous | a.example.com client live 10000 | +1"},
    {.name = "stale names are not ambiguous",
     .told = {{POD, -200 * S, 1, "a.example.com", "", DST}, {POD, -300 * S, 1, "b.example.com", "", DST}},
     .expected = "stale | a.example.com client stale 200000 | b.example.com client stale 300000"},

    /* ---- names ---- */
    {.name = "the asked name, not the end of its chain",
     .told = {{POD, -1 * S, 60, "www.example.com", "www.example.com.cdn.example.net", DST}},
     .expected = "resolved | www.example.com client live 1000"},
    {.name = "asked under the cluster's domain, the chain leaves it: ExternalName",
     .told = {{POD, -1 * S, 60, "db.shop.svc.cluster.local", "db.example.com x.example.net", DST}},
     .expected = "resolved | db.example.com client live 1000"},
    {.name = "the first name outside, after one inside",
     .told = {{POD, -1 * S, 60, "a.shop.svc.cluster.local", "b.shop.svc.cluster.local db.example.com", DST}},
     .expected = "resolved | db.example.com client live 1000"},
    {.name = "a chain that stays inside keeps the asked name",
     .told = {{POD, -1 * S, 60, "a.shop.svc.cluster.local", "b.shop.svc.cluster.local", DST}},
     .expected = "resolved | a.shop.svc.cluster.local client live 1000"},
    {.name = "autopath: a search try answered with the name itself",
     .told = {{POD, -1 * S, 60, "api.example.com.shop.svc.cluster.local", "api.example.com", DST}},
     .expected = "resolved | api.example.com client live 1000"},
    {.name = "a search domain that is not the cluster's",
     .told = {{POD, -1 * S, 60, "api.example.com.corp.example.net", "api.example.com edge.example.org", DST}},
     .expected = "resolved | api.example.com client live 1000"},
    {.name = "a name that only ends like the cluster's domain is outside",
     .told = {{POD, -1 * S, 60, "a.notcluster.local", "b.example.com", DST}},
     .expected = "resolved | a.notcluster.local client live 1000"},
    {.name = "the cluster's domain by a name of its own and by search are one candidate",
     .told = {{POD, -3 * S, 60, "api.example.com.svc.cluster.local", "api.example.com", DST}, {POD, -1 * S, 60, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 1000"},

    /* ---- cname, one level ---- */
    {.name = "a head that was cached leads to the tail that was asked",
     .told = {{POD, -50 * MIN, 5, "head.example.com", "mid.example.net tail.example.org", "203.0.113.80"}, {POD, -5 * S, 60, "tail.example.org", "", DST}},
     .expected = "resolved ambiguous | tail.example.org client live 5000 | head.example.com cname live 3000000"},
    {.name = "the head of a stale tail is stale",
     .told = {{POD, -50 * MIN, 5, "head.example.com", "tail.example.org", "203.0.113.80"}, {POD, -45 * MIN, 60, "tail.example.org", "", DST}},
     .expected = "stale | tail.example.org client stale 2700000 | head.example.com cname stale 3000000"},
    {.name = "one level only",
     .told = {{POD, -30 * S, 5, "one.example.com", "two.example.com", "203.0.113.80"}, {POD, -20 * S, 5, "two.example.com", "three.example.com", "203.0.113.81"},
              {POD, -10 * S, 60, "three.example.com", "", DST}},
     .expected = "resolved ambiguous | three.example.com client live 10000 | two.example.com cname live 20000"},
    {.name = "another client's chain does not count",
     .told = {{OTHER, -30 * S, 5, "head.example.com", "tail.example.org", "203.0.113.80"}, {POD, -10 * S, 60, "tail.example.org", "", DST}},
     .expected = "resolved | tail.example.org client live 10000"},
    {.name = "a chain beyond the hour does not count",
     .told = {{POD, -1 * H - 1, 5, "head.example.com", "tail.example.org", "203.0.113.80"}, {POD, -10 * S, 60, "tail.example.org", "", DST}},
     .expected = "resolved | tail.example.org client live 10000"},
    {.name = "a head that gave the address itself stays direct",
     .told = {{POD, -30 * S, 60, "head.example.com", "tail.example.org", DST}, {POD, -10 * S, 60, "tail.example.org", "", DST}},
     .expected = "resolved ambiguous | tail.example.org client live 10000 | head.example.com client live 30000"},
    {.name = "a head of a live and of a stale tail is live, with its answer closest before",
     .told = {{POD, -40 * MIN, 1, "stale.example.org", "", DST}, {POD, -10 * S, 60, "tail.example.org", "", DST},
              {POD, -50 * MIN, 5, "head.example.com", "stale.example.org", "203.0.113.80"},
              {POD, -30 * MIN, 5, "head.example.com", "tail.example.org", "203.0.113.81"},
              {POD, -20 * MIN, 5, "head.example.com", "tail.example.org", "203.0.113.82"}},
     .expected = "resolved ambiguous | tail.example.org client live 10000 | head.example.com cname live 1200000 | stale.example.org client stale 2400000"},

    /* ---- srv, families ---- */
    {.name = "SRV counts through the addresses of its targets",
     .told = {{POD, -1 * S, 60, "_ldap._tcp.example.com", "", DST}},
     .expected = "resolved | _ldap._tcp.example.com srv live 1000"},
    {.name = "IPv6", .source = "2001:db8:1::7", .destination = "2001:db8::5",
     .told = {{"2001:db8:1::7", -1 * S, 60, "api.example.com", "", "2001:db8::5 203.0.113.5"}},
     .expected = "resolved | api.example.com client live 1000"},
    {.name = "IPv4-mapped addresses are IPv4", .source = "::ffff:10.10.3.7", .destination = "::ffff:203.0.113.5",
     .told = {{POD, -1 * S, 60, "api.example.com", "", DST}},
     .expected = "resolved | api.example.com client live 1000"},
    {.name = "a private destination may have a name", .destination = "10.96.0.10",
     .told = {{POD, -1 * S, 60, "db.example.com", "", "10.96.0.10"}},
     .expected = "resolved | db.example.com client live 1000"},

    /* ---- shared ---- */
    {.name = "another client got the address",
     .told = {{OTHER, -1 * S, 60, "api.example.com", "", DST}},
     .expected = "shared | api.example.com shared live 1000 clients 1"},
    {.name = "ranked by clients, then by recency",
     .told = {{OTHER, -50 * S, 60, "two.example.com", "", DST}, {THIRD, -40 * S, 60, "two.example.com", "", DST},
              {OTHER, -30 * S, 60, "old.example.com", "", DST}, {OTHER, -5 * S, 60, "new.example.com", "", DST}},
     .expected = "shared ambiguous | two.example.com shared live 40000 clients 2 | new.example.com shared live 5000 clients 1 | old.example.com shared live 30000 clients 1"},
    {.name = "shared names are sought an hour back, too",
     .told = {{OTHER, -1 * H, 1, "api.example.com", "", DST}},
     .expected = "shared | api.example.com shared stale 3600000 clients 1"},
    {.name = "a microsecond more is nobody's",
     .told = {{OTHER, -1 * H - 1, 1, "api.example.com", "", DST}, {POD, -1 * S, 1, "x.example.com", "", NULL}},
     .expected = "ip-only"},
    {.name = "the client's own stale name wins over a live shared one",
     .told = {{OTHER, -1 * S, 60, "other.example.com", "", DST}, {POD, -1000 * S, 1, "own.example.com", "", DST}},
     .expected = "stale | own.example.com client stale 1000000"},
    {.name = "two asked names of one name: the latest answer speaks",
     .told = {{OTHER, -100 * S, 1, "api.example.com.a.svc.cluster.local", "api.example.com", DST}, {THIRD, -10 * S, 60, "api.example.com", "", DST}},
     .expected = "shared | api.example.com shared live 10000 clients 1"},

    /* ---- no name: ip-only only with every condition ---- */
    {.name = "ip-only", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}}, .expected = "ip-only"},
    {.name = "asked an hour before exactly", .told = {{POD, -1 * H, 60, "x.example.com", "", NULL}}, .expected = "ip-only"},
    {.name = "asked more than an hour and a minute before", .told = {{POD, -1 * H - MIN, 60, "x.example.com", "", NULL}}, .expected = "blind:never-asked"},
    {.name = "only others asked", .told = {{OTHER, -10 * S, 60, "x.example.com", "", NULL}}, .expected = "blind:never-asked"},
    {.name = "the record does not show the start", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}}, .hides_start = true, .expected = "blind:started-earlier"},
    {.name = "private", .destination = "10.20.30.40", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}}, .expected = "blind:not-external"},
    {.name = "metadata", .destination = "169.254.169.254", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}}, .expected = "blind:not-external"},
    {.name = "no stream in the hour before", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-30 * MIN, 10 * MIN, STREAM_OPEN}}, .expected = "blind:gap"},
    {.name = "a stream from the hour's first microsecond on", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-1 * H, 10 * MIN, STREAM_OPEN}}, .expected = "ip-only"},
    {.name = "a stream that began a microsecond later", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-1 * H + 1, 10 * MIN, STREAM_OPEN}}, .expected = "blind:gap"},
    {.name = "cut before the flow and not heard since", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, -5 * MIN, STREAM_CUT}}, .expected = "blind:gap"},
    {.name = "cut after the flow", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, 5 * MIN, STREAM_CUT}}, .expected = "ip-only"},
    {.name = "not heard past the flow and the skew yet", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, 1 * S, STREAM_OPEN}}, .now_us = 30 * S, .expected = "blind:unsettled"},
    {.name = "heard past the flow and the skew", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, 2 * S, STREAM_OPEN}}, .now_us = 30 * S, .expected = "ip-only"},
    {.name = "one of two is not heard past it", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, 2 * S, STREAM_OPEN}, {-3 * H, -1 * S, STREAM_OPEN}}, .now_us = 30 * S, .expected = "blind:unsettled"},
    {.name = "quiet, and settle has passed", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, -10 * S, STREAM_OPEN}}, .now_us = 62 * S, .expected = "ip-only"},
    {.name = "settle has not passed by a microsecond", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}},
     .heard = {{-3 * H, -10 * S, STREAM_OPEN}}, .now_us = 62 * S - 1, .expected = "blind:unsettled"},
    {.name = "no sender was ever known", .told = {{POD, -10 * S, 60, "x.example.com", "", NULL}}, .no_stream = true,
     .expected = "ip-only assumed"},
    {.name = "a name with no sender ever known", .told = {{POD, -10 * S, 60, "x.example.com", "", DST}}, .no_stream = true,
     .expected = "resolved assumed | x.example.com client live 10000"},
    {.name = "capped", .answers_per_hour = 1,
     .told = {{POD, -10 * S, 60, "a.example.com", "", "203.0.113.99"}, {POD, -9 * S, 60, "b.example.com", "", "203.0.113.98"}},
     .expected = "blind:capped"},

    /* ---- unjoinable ---- */
    {.name = "multicast", .destination = "224.0.0.251", .expected = "unjoinable:multicast"},
    {.name = "IPv6 multicast", .destination = "ff02::fb", .expected = "unjoinable:multicast"},
    {.name = "broadcast", .destination = "255.255.255.255", .expected = "unjoinable:broadcast"},
    {.name = "no destination", .destination = "0.0.0.0", .expected = "unjoinable:no-address"},
    {.name = "no source", .source = "::", .expected = "unjoinable:no-address"},
    {.name = "a source that is nobody's", .source = "255.255.255.255", .expected = "unjoinable:no-address"},
};
/* clang-format on */

static void tell(struct store *store, uint16_t cluster, const struct told *told)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct addr client = fixture_addr(told->client);
    store_asked(store, cluster, &client, T + told->at_us);
    if (told->addrs != NULL) {
        size_t len =
            fixture_answer(bytes, told->asked[0] == '_' ? ANSWER_VIA_SRV : ANSWER_VIA_CLIENT,
                           told->asked, told->chain, told->addrs);
        int err = store_answer(store, cluster, &client, T + told->at_us, told->ttl_s, bytes, len);
        assert_true(err == 0 || err == W_ELIMIT);
    }
}

static void hear(struct store *store, uint16_t cluster, const struct scenario *scenario)
{
    static const struct heard WHOLE[3] = {{-24 * H, 10 * MIN, STREAM_OPEN}};
    const struct heard *heard = scenario->heard[0].to_us != 0 ? scenario->heard : WHOLE;
    for (int i = 0; i < 3 && heard[i].to_us != 0 && !scenario->no_stream; i++) {
        char identity[8];
        int len = snprintf(identity, sizeof(identity), "dns-%d", i);
        uint32_t stream =
            store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)identity, (size_t)len,
                               NULL, 0, "tcp:192.0.2.9:1", T + heard[i].from_us);
        store_stream_heard(store, stream, T + heard[i].to_us);
        if (heard[i].end != STREAM_OPEN) {
            store_stream_end(store, stream, heard[i].end);
        }
    }
}

static void print_attribution(char *text, const struct attribution *out)
{
    char name[NAME_TEXT_MAX];
    text += sprintf(text, "%s", verdict_name(out->verdict));
    text += out->reason != NULL ? sprintf(text, ":%s", out->reason) : 0;
    text += sprintf(text, "%s%s", out->ambiguous ? " ambiguous" : "",
                    out->coverage_assumed ? " assumed" : "");
    for (uint32_t i = 0; i < out->candidate_count; i++) {
        const struct candidate *candidate = &out->candidates[i];
        name_to_text(candidate->name.wire, name);
        text += sprintf(text, " | %s %s %s %lld", name, via_name(candidate->via),
                        candidate->live ? "live" : "stale", (long long)(candidate->age_us / 1000));
        text += candidate->via == VIA_SHARED ? sprintf(text, " clients %u", candidate->clients) : 0;
    }
    if (out->left_out > 0) {
        sprintf(text, " | +%u", out->left_out);
    }
}

static bool run_scenario(const struct scenario *scenario)
{
    char dir[64], text[4000];
    struct store *store;
    struct store_view *view;
    struct attributor *attributor;
    struct attribution out;
    struct store_options options = {.answers_per_hour = scenario->answers_per_hour};
    struct attribute_params params = attribute_defaults();
    int64_t now_us = T + (scenario->now_us != 0 ? scenario->now_us : 10 * MIN);
    fixture_dir(dir);
    assert_int_equal(store_open(&store, dir, STORE_WRITE, &options, NULL), 0);
    uint16_t cluster = store_cluster(store, "default");
    hear(store, cluster, scenario);
    for (int i = 0; i < 8 && scenario->told[i].client != NULL; i++) {
        tell(store, cluster, &scenario->told[i]);
    }
    assert_int_equal(store_commit(store, now_us, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    params.grace_us = scenario->no_grace ? 0 : params.grace_us;
    params.candidates_max =
        scenario->candidates_max != 0 ? scenario->candidates_max : params.candidates_max;
    assert_int_equal(attributor_new(&attributor, view, &params), 0);
    struct question question = {
        .cluster = "default",
        .source = fixture_addr(scenario->source != NULL ? scenario->source : POD),
        .destination = fixture_addr(scenario->destination != NULL ? scenario->destination : DST),
        .start_us = T + scenario->start_us,
        .end_us = T + (scenario->end_us != 0 ? scenario->end_us : scenario->start_us),
        .aggregated = scenario->aggregated,
        .shows_start = !scenario->hides_start,
    };
    assert_int_equal(attribute(attributor, &question, now_us, &out), 0);
    print_attribution(text, &out);
    bool named = out.verdict == RESOLVED || out.verdict == STALE;
    assert_true(named == (attribution_domain(&out) != NULL));
    assert_false(out.owner_known);
    if (strcmp(text, scenario->expected) != 0) {
        print_error("%s:\n got  %s\n want %s\n", scenario->name, text, scenario->expected);
    }
    bool same = strcmp(text, scenario->expected) == 0;
    attributor_free(&attributor);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
    return same;
}

static void each_rule_gives_its_verdict(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        wrong += !run_scenario(&SCENARIOS[i]);
    }
    assert_int_equal(wrong, 0);
}

/* A pod that asks for one name all day: wherever the flow lies, its name is found. */
static void a_long_thinned_run_is_found_at_any_time_of_the_day(void **state)
{
    (void)state;
    char dir[64];
    struct store_view *view;
    struct attributor *attributor;
    int64_t day_us = T - 12 * H;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    for (int64_t at_us = 0; at_us < 24 * H; at_us += 25 * S) {
        assert_int_equal(
            fixture_put(store, "default", POD, day_us + at_us, 30, "api.example.com", "", DST), 0);
    }
    assert_int_equal(store_commit(store, day_us + 24 * H, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    struct attribute_params params = attribute_defaults();
    static const int64_t HORIZONS[] = {10 * MIN, 1 * H, 24 * H};
    for (int h = 0; h < 3; h++) {
        params.horizon_us = HORIZONS[h];
        assert_int_equal(attributor_new(&attributor, view, &params), 0);
        for (int64_t at_us = 30 * S; at_us < 24 * H; at_us += 7 * MIN) {
            struct attribution out;
            struct question question = {.cluster = "default",
                                        .source = fixture_addr(POD),
                                        .destination = fixture_addr(DST),
                                        .start_us = day_us + at_us,
                                        .end_us = day_us + at_us,
                                        .shows_start = true};
            assert_int_equal(attribute(attributor, &question, T + 24 * H, &out), 0);
            assert_int_equal(out.verdict, RESOLVED);
        }
        attributor_free(&attributor);
    }
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

static void put_from(struct store *store, enum answer_source source, int64_t at_us,
                     const char *asked)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct addr client = fixture_addr(POD);
    size_t len = fixture_answer(bytes, ANSWER_VIA_CLIENT, asked, "", DST);
    answer_set_source(bytes, source);
    assert_int_equal(
        store_answer(store, store_cluster(store, "default"), &client, T + at_us, 60, bytes, len),
        0);
}

/* a.example.com by Hubble alone; b.example.com by dnstap three times, and by Hubble, which saw the
 * last two of them a little later. */
static void a_name_that_two_sources_saw_is_one_candidate(void **state)
{
    (void)state;
    char dir[64];
    struct store_view *view;
    struct attributor *attributor;
    struct attribution out;
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    put_from(store, ANSWER_FROM_HUBBLE, -1 * S, "a.example.com");
    for (int i = 0; i < 3; i++) {
        put_from(store, ANSWER_FROM_DNSTAP, (i - 30) * S, "b.example.com");
    }
    put_from(store, ANSWER_FROM_HUBBLE, -29 * S + 50, "b.example.com");
    put_from(store, ANSWER_FROM_HUBBLE, -28 * S + 50, "b.example.com");
    assert_int_equal(store_commit(store, T, NULL), 0);
    assert_int_equal(store_view_new(store, &view), 0);
    struct attribute_params params = attribute_defaults();
    assert_int_equal(attributor_new(&attributor, view, &params), 0);
    static const char *const CLIENTS[] = {POD, "192.0.2.200"}; /* another one's are shared */
    for (int i = 0; i < 2; i++) {
        struct question question = {.cluster = "default",
                                    .source = fixture_addr(CLIENTS[i]),
                                    .destination = fixture_addr(DST),
                                    .start_us = T,
                                    .end_us = T,
                                    .shows_start = true};
        assert_int_equal(attribute(attributor, &question, T + 10 * MIN, &out), 0);
        assert_int_equal(out.verdict, i == 0 ? RESOLVED : SHARED);
        assert_int_equal(out.candidate_count, 2);
        assert_int_equal(out.candidates[0].source, ANSWER_FROM_HUBBLE);
        assert_int_equal(out.candidates[0].count, 1);
        assert_int_equal(out.candidates[1].source, ANSWER_FROM_DNSTAP);
        assert_int_equal(out.candidates[1].count, 3);
    }
    attributor_free(&attributor);
    store_view_free(&view);
    store_close(&store);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_gives_its_verdict),
        cmocka_unit_test(a_name_that_two_sources_saw_is_one_candidate),
        cmocka_unit_test(a_long_thinned_run_is_found_at_any_time_of_the_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
