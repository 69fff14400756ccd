/* api/doctor_flows.c -- do flow records and answers fit together?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor_flows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "api/json.h"
#include "base/clock.h"

/* Below these nothing is concluded. */
enum { FLOWS_MIN = 20, LATE_MIN = 10, NAMES_MIN = 20 };
/* Names asked for so long before the first flow may be what it went to. */
#define NAMES_BEFORE_US US_PER_HOUR
/* Sources named in the evidence, and sightings looked at for names. */
enum { SOURCES_SHOWN = 5, SIGHTINGS_MAX = 200000 };

int flow_facts_init(struct flow_facts *facts, int64_t skew_us)
{
    *facts = (struct flow_facts){
        .skew_us = skew_us,
        .sources = calloc(FLOW_SOURCES_MAX, sizeof(*facts->sources)),
        .late_us = calloc(FLOW_AGES_MAX, sizeof(*facts->late_us)),
        .names = calloc(2 * FLOW_NAMES_MAX, sizeof(*facts->names)),
    };
    if (facts->sources == NULL || facts->late_us == NULL || facts->names == NULL) {
        flow_facts_fini(facts);
        return -ENOMEM;
    }
    return 0;
}

void flow_facts_fini(struct flow_facts *facts)
{
    free(facts->sources);
    free(facts->late_us);
    free(facts->names);
    *facts = (struct flow_facts){0};
}

/* ---- Names ---- */

/* Where the hash is or belongs; 0 marks a free slot, so no hash is 0. */
static uint64_t *slot_of(uint64_t *table, uint64_t hash)
{
    size_t at = hash & (2 * FLOW_NAMES_MAX - 1);
    while (table[at] != 0 && table[at] != hash) {
        at = (at + 1) & (2 * FLOW_NAMES_MAX - 1);
    }
    return &table[at];
}

static uint64_t hash_of(const uint8_t *wire)
{
    uint64_t hash = XXH3_64bits(wire, name_wire_len(wire));
    return hash != 0 ? hash : 1;
}

/* Returns false if it was there, or there is no room. */
static bool add_name(uint64_t *table, size_t *count, const uint8_t *wire)
{
    uint64_t hash = hash_of(wire);
    uint64_t *slot = slot_of(table, hash);
    if (*slot != 0 || *count == FLOW_NAMES_MAX) {
        return false;
    }
    *slot = hash;
    ++*count;
    return true;
}

struct naming {
    struct flow_facts *facts;
    uint64_t *seen;
    size_t count;
    uint64_t sightings;
};

static bool compare_name(void *ctx, const struct store_sighting *sighting)
{
    struct naming *naming = ctx;
    struct flow_facts *facts = naming->facts;
    const struct answer *answer = sighting->answer;
    naming->sightings++;
    if (add_name(naming->seen, &naming->count, answer->asked)) {
        bool connected = *slot_of(facts->names, hash_of(answer->asked)) != 0;
        /* A flow is named after what a search domain hides. */
        for (uint8_t i = 0; i < answer->chain_count && !connected; i++) {
            connected = *slot_of(facts->names, hash_of(answer->chain[i])) != 0;
        }
        facts->asked++;
        facts->connected += connected;
    }
    return naming->sightings < SIGHTINGS_MAX;
}

static int compare_names(struct flow_facts *facts, struct store_view *view, const char *cluster)
{
    static const uint8_t ROOT[] = {0};
    struct naming naming = {.facts = facts, .seen = calloc(2 * FLOW_NAMES_MAX, sizeof(uint64_t))};
    if (naming.seen == NULL) {
        return -ENOMEM;
    }
    int err = store_by_name(view, cluster, ROOT, true, facts->first_us - NAMES_BEFORE_US,
                            facts->last_us, compare_name, &naming);
    free(naming.seen);
    return err < 0 ? err : 0;
}

/* ---- Sources ---- */

/* A source that was seen asking, whenever, is no suspect. */
static int compare_sources(struct flow_facts *facts, struct store_view *view, const char *cluster)
{
    size_t kept = 0;
    facts->never_asked = 0;
    for (size_t i = 0; i < facts->source_count; i++) {
        struct store_client seen;
        const struct flow_source *source = &facts->sources[i];
        int err = store_client_seen(view, cluster, &source->addr, 0, INT64_MAX / 2, &seen);
        if (err < 0) {
            return err;
        }
        if (!seen.asked) {
            facts->never_asked += source->flows;
            facts->sources[kept++] = *source;
        }
    }
    facts->source_count = kept;
    return 0;
}

int flow_facts_compare(struct flow_facts *facts, struct store_view *view, const char *cluster)
{
    int err = compare_sources(facts, view, cluster);
    return err != 0 ? err : compare_names(facts, view, cluster);
}

/* ---- Flows ---- */

static void add_source(struct flow_facts *facts, const struct addr *addr)
{
    for (size_t i = 0; i < facts->source_count; i++) {
        if (addr_equal(&facts->sources[i].addr, addr)) {
            facts->sources[i].flows++;
            return;
        }
    }
    if (facts->source_count < FLOW_SOURCES_MAX) {
        facts->sources[facts->source_count++] = (struct flow_source){*addr, 1};
    }
}

/* The clocks of a flow whose names all came later than a join allows differ by that much. */
static void add_named(struct flow_facts *facts, const struct attribution *attribution)
{
    const struct candidate *first = &attribution->candidates[0];
    bool late = first->via == VIA_LATE && first->age_us < -facts->skew_us;
    facts->named++;
    if (late && facts->late < FLOW_AGES_MAX) {
        facts->late_us[facts->late] = -first->age_us;
    }
    facts->late += late;
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        add_name(facts->names, &facts->name_count, attribution->candidates[i].name.wire);
        add_name(facts->names, &facts->name_count, attribution->candidates[i].asked.wire);
    }
}

void flow_facts_add(struct flow_facts *facts, const struct flow *flow,
                    const struct attribution *attribution)
{
    bool own = attribution->verdict == RESOLVED || attribution->verdict == STALE;
    facts->flows++;
    if (flow->start_us != 0) {
        bool first = facts->first_us == 0 || flow->start_us < facts->first_us;
        facts->first_us = first ? flow->start_us : facts->first_us;
        facts->last_us = flow->start_us > facts->last_us ? flow->start_us : facts->last_us;
    }
    facts->verdicts[attribution->verdict]++;
    if (own && attribution->candidate_count > 0) {
        add_named(facts, attribution);
    }
    if (flow->has_pair && (attribution->verdict == BLIND || attribution->verdict == SHARED)) {
        add_source(facts, &flow->source);
    }
    facts->node_source +=
        attribution->reason != NULL && strcmp(attribution->reason, "node-source") == 0;
    facts->no_address += !flow->has_pair;
}

static void sink_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                      const struct attribution *attribution)
{
    (void)out;
    flow_facts_add(sink->options.ctx, &record->flow, attribution);
}

const struct sink_kind SINK_FLOW_FACTS = {
    .name = "flow-facts",
    .description = "facts for the doctor",
    .keeps_state = true,
    .flow = sink_flow,
};

/* ---- Checks ---- */

static bool is_share(uint64_t part, uint64_t whole, uint64_t percent)
{
    return whole >= FLOWS_MIN && part * 100 >= whole * percent;
}

/* The busiest first, a few of them. */
static void put_sources(const struct flow_facts *facts, char *out, size_t room)
{
    size_t shown = 0, at = 0;
    bool used[FLOW_SOURCES_MAX] = {false};
    for (; shown < SOURCES_SHOWN && shown < facts->source_count && at < room; shown++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < facts->source_count; i++) {
            if (!used[i] &&
                (best == SIZE_MAX || facts->sources[i].flows > facts->sources[best].flows)) {
                best = i;
            }
        }
        char text[ADDR_TEXT_MAX];
        addr_print(&facts->sources[best].addr, text);
        used[best] = true;
        at += (size_t)snprintf(out + at, room - at, "%s%s (%" PRIu64 ")", shown > 0 ? ", " : "",
                               text, facts->sources[best].flows);
    }
    if (facts->source_count > shown && at < room) {
        snprintf(out + at, room - at, " and %zu more", facts->source_count - shown);
    }
}

static void check_never_asked(const struct flow_facts *facts, struct findings *findings)
{
    char sources[300];
    if (facts->never_asked == 0) {
        return;
    }
    const struct finding like = {
        .check = "never-asked",
        .severity =
            is_share(facts->never_asked, facts->flows, 5) ? SEVERITY_WARNING : SEVERITY_NOTE,
        .consequence = "nothing can be said about where these went: fixed addresses, another "
                       "resolver, DNS over HTTPS, or a DNS server that is not tapped",
        .remedy = "see what resolver they use; if it is yours, tap it; if not, they belong on the "
                  "list of suspects",
    };
    put_sources(facts, sources, sizeof(sources));
    findings_add(findings, &like,
                 "%" PRIu64 " of %" PRIu64 " flows came from sources that never asked here: %s",
                 facts->never_asked, facts->flows, sources);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_flow_clock(const struct flow_facts *facts, struct findings *findings)
{
    size_t kept = facts->late < FLOW_AGES_MAX ? facts->late : FLOW_AGES_MAX;
    if (facts->late < LATE_MIN || facts->late * 20 < facts->named) {
        return;
    }
    const struct finding like = {
        .check = "flow-clock",
        .severity = facts->late * 2 >= facts->named ? SEVERITY_ERROR : SEVERITY_WARNING,
        .consequence = "these flows stay without a name, because their answers seem to come "
                       "after them",
        .remedy = "let the machines of flow logs and DNS servers follow the same NTP servers; "
                  "read times without a zone with --tz; until then raise --skew",
    };
    int64_t *sorted = malloc(kept * sizeof(*sorted));
    if (sorted == NULL) {
        return;
    }
    memcpy(sorted, facts->late_us, kept * sizeof(*sorted));
    qsort(sorted, kept, sizeof(*sorted), by_size);
    findings_add(findings, &like,
                 "%" PRIu64 " of %" PRIu64 " named flows got their answer only after they began, "
                 "half of them by more than %" PRId64 " ms",
                 facts->late, facts->named, sorted[kept / 2] / 1000);
    free(sorted);
}

static void check_addresses(const struct flow_facts *facts, struct findings *findings)
{
    static const struct finding LIKE = {
        .check = "addresses",
        .severity = SEVERITY_WARNING,
        .consequence = "flows without both addresses cannot be joined at all",
        .remedy = "have the flow log keep addresses: Calico Enterprise "
                  "flowLogsFileAggregationKindForAllowed 0 or 1; of Calico's open source edition, "
                  "the `Log` action; Hubble without a field mask on IP",
    };
    if (is_share(facts->no_address, facts->flows, 10)) {
        findings_add(findings, &LIKE, "%" PRIu64 " of %" PRIu64 " flows lack an address",
                     facts->no_address, facts->flows);
    }
}

static void check_translated(const struct flow_facts *facts, struct findings *findings)
{
    static const struct finding LIKE = {
        .check = "translated",
        .severity = SEVERITY_WARNING,
        .consequence = "flows and questions carry different addresses of the same pod: names are "
                       "at best `shared`",
        .remedy = "take flows before source NAT, and tap the DNS server that pods ask themselves "
                  "(NodeLocal DNSCache)",
    };
    uint64_t others = facts->verdicts[SHARED] + facts->node_source;
    if (is_share(others, facts->flows, 20)) {
        findings_add(findings, &LIKE,
                     "%" PRIu64 " of %" PRIu64 " flows went to addresses that only others were "
                     "answered, or come from nodes",
                     others, facts->flows);
    }
}

static void check_unconnected(const struct flow_facts *facts, struct findings *findings)
{
    static const struct finding LIKE = {
        .check = "unconnected",
        .severity = SEVERITY_NOTE,
        .consequence = "names that are asked for and never connected to are normal in part "
                       "(health checks, both address families); most of them means that flow "
                       "records are missing",
        .remedy = "see that flow logs of all nodes are read, and what they sample or aggregate",
    };
    uint64_t not_connected = facts->asked - facts->connected;
    if (facts->asked >= NAMES_MIN && facts->flows >= FLOWS_MIN &&
        not_connected * 2 > facts->asked) {
        findings_add(findings, &LIKE,
                     "no flow went to %" PRIu64 " of %" PRIu64 " names that were answered",
                     not_connected, facts->asked);
    }
}

const struct flow_check FLOW_CHECKS[] = {
    {"never-asked", "sources of flows ask here", check_never_asked},
    {"flow-clock", "clocks of flow logs and DNS servers agree", check_flow_clock},
    {"addresses", "flow records have addresses", check_addresses},
    {"translated", "flows and questions carry the same addresses", check_translated},
    {"unconnected", "names that are asked for are connected to", check_unconnected},
};
const size_t FLOW_CHECK_COUNT = sizeof(FLOW_CHECKS) / sizeof(FLOW_CHECKS[0]);

int json_doctor_flows(struct buf *buf, const struct flow_facts *facts)
{
    struct findings findings;
    int err = findings_init(&findings);
    if (err != 0) {
        return err;
    }
    json_count_member(buf, "{\"flows\":", facts->flows);
    for (size_t i = 0; i < FLOW_CHECK_COUNT; i++) {
        FLOW_CHECKS[i].run(facts, &findings);
    }
    json_text_member(buf, ",\"worst\":", severity_name(findings_worst(&findings, NULL)));
    buf_str(buf, ",\"checks\":[");
    for (size_t i = 0; i < FLOW_CHECK_COUNT; i++) {
        buf_str(buf, i == 0 ? "\n" : ",\n");
        json_check(buf, FLOW_CHECKS[i].name, FLOW_CHECKS[i].title, &findings);
    }
    buf_str(buf, "\n]");
    json_count_member(buf, ",\"left_out\":", findings.left_out);
    buf_char(buf, '}');
    findings_fini(&findings);
    return buf->err;
}
