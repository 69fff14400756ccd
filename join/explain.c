/* join/explain.c -- --explain N: why one record got the name it got
 * SPDX-License-Identifier: Apache-2.0
 *
 * The steps of DESIGN section 3 in words, with the figures of this record.
 */
#include "join/sink.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

/* Texts from outside are printed as ASCII: a pod's name cannot move the cursor. */
static void put_text(struct buf *out, struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        buf_char(out, c >= 0x20 && c < 0x7f ? (char)c : '?');
    }
}

static void put_name(struct buf *out, const struct name *name)
{
    char text[NAME_TEXT_MAX];
    buf_add(out, text, name_to_text(name->wire, text));
}

static void put_time(struct buf *out, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    buf_add(out, text, time_print(time_us, text));
}

static void put_addr(struct buf *out, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    buf_add(out, text, addr_print(addr, text));
}

/* "1.5 s" */
static void put_seconds(struct buf *out, int64_t us)
{
    buf_printf(out, "%" PRId64 ".%03" PRId64 " s", us / US_PER_S, us % US_PER_S / 1000);
}

/* A line's beginning: the step, and what follows in one column. */
static void put_step(struct buf *out, const char *step)
{
    buf_printf(out, "  %-12s", step);
}

static bool is_asked_for(const struct sink *sink, const struct flow_record *record)
{
    return record->number == sink->options.explain;
}

static void put_head(struct sink *sink, struct buf *out, const char *read_as)
{
    buf_printf(out, "record %" PRIu64 ", read as %s\n", sink->options.explain, read_as);
}

/* ---- The flow ---- */

static void put_flow_step(struct buf *out, const struct flow *flow)
{
    put_step(out, "flow");
    if (flow->has_pair) {
        put_addr(out, &flow->source);
        if (flow->has_ports && !flow->source_port_unknown) {
            buf_printf(out, " port %u", flow->source_port);
        }
        buf_str(out, " to ");
        put_addr(out, &flow->destination);
        if (flow->has_ports) {
            buf_printf(out, " port %u", flow->destination_port);
        }
        buf_printf(out, "%s%s, ", flow->transport[0] != '\0' ? " " : "", flow->transport);
    }
    buf_printf(out, "%s\n", flow_action_name(flow->action));
    if (flow->start_us == 0) {
        return;
    }
    put_step(out, "time");
    put_time(out, flow->start_us);
    if (flow->end_us != flow->start_us) {
        buf_str(out, " to ");
        put_time(out, flow->end_us);
    }
    buf_str(out, flow->aggregated    ? ", an aggregate of connections"
                 : flow->shows_start ? ", and the record shows the connection's start"
                                     : ", and the connection may have begun earlier");
    buf_char(out, '\n');
}

static void put_who(struct buf *out, const char *step, const struct party *party, bool owner)
{
    struct text who = party->pod.len > 0       ? party->pod
                      : party->service.len > 0 ? party->service
                                               : party->workload;
    const char *kind = party_kind_name(party->kind);
    if (party->kind == PARTY_NODE) {
        who = party->node;
    }
    if (who.len == 0 && party->namespace.len == 0) {
        return;
    }
    put_step(out, step);
    put_text(out, party->namespace);
    buf_str(out, party->kind == PARTY_NODE ? "node " : "/");
    put_text(out, who);
    if (owner) {
        buf_printf(out, ", the %s that had the address then", kind);
    }
    buf_char(out, '\n');
}

/* ---- The names ---- */

static void put_bounds(struct buf *out, const struct sink *sink, const struct flow *flow,
                       const struct attribution *attribution)
{
    const struct attribute_params *params = sink->options.params;
    put_step(out, "asked of");
    buf_str(out, "answers to ");
    put_addr(out, &flow->source);
    buf_str(out, attribution->owner_known
                     ? " and its owner's other addresses, since the owner had it"
                     : ", whose owner is not known, up to an hour before");
    buf_str(out, " and up to ");
    put_seconds(out, params->skew_us);
    buf_str(out, " after (--skew), that have ");
    put_addr(out, &flow->destination);
    buf_char(out, '\n');
}

static const char *via_words(enum via via)
{
    static const char *const WORDS[] = {
        [VIA_CLIENT] = "answered to it",
        [VIA_CNAME] = "it asked for this before, and a CNAME led to a name that gave the address",
        [VIA_LATE] = "answered to it just after the flow began",
        [VIA_SHARED] = "answered to other clients",
        [VIA_SRV] = "answered to it as the target of an SRV record",
    };
    return WORDS[via];
}

static void put_candidate(struct buf *out, const struct sink *sink, uint32_t number,
                          const struct candidate *candidate)
{
    const struct attribute_params *params = sink->options.params;
    int64_t age_us = candidate->age_us;
    int64_t until_us = candidate->answer_us + candidate->ttl_s * US_PER_S + params->grace_us;
    char step[16];
    snprintf(step, sizeof(step), "name %u", number);
    put_step(out, step);
    put_name(out, &candidate->name);
    buf_printf(out, ": %s ", via_words(candidate->via));
    put_seconds(out, age_us < 0 ? -age_us : age_us);
    buf_printf(out, " %s; TTL %u s and ", age_us < 0 ? "after" : "before", candidate->ttl_s);
    put_seconds(out, params->grace_us);
    buf_str(out, " (--grace) from the last answer on reach to ");
    put_time(out, until_us);
    buf_printf(out, ": %s", candidate->live ? "live" : "stale");
    if (candidate->clients > 0) {
        buf_printf(out, "; %u client%s", candidate->clients, candidate->clients == 1 ? "" : "s");
    }
    buf_char(out, '\n');
}

/* ---- The verdict ---- */

static const char *verdict_words(const struct attribution *attribution)
{
    static const char *const WORDS[VERDICT_COUNT] = {
        [UNJOINABLE] = "there is nothing to ask by",
        [INTERNAL] = "the destination belongs to the cluster",
        [RESOLVED] = "the client itself has a live name",
        [STALE] = "the client itself has names, but none that is still live",
        [SHARED] = "only other clients got this address",
        [IP_ONLY] = "no answer had this address, and one would have been seen",
        [BLIND] = "no name, and no right to say that there was none",
    };
    return WORDS[attribution->verdict];
}

static void put_verdict(struct buf *out, const struct attribution *attribution)
{
    put_step(out, "verdict");
    buf_str(out, verdict_name(attribution->verdict));
    if (attribution->reason != NULL) {
        buf_printf(out, " (%s)", attribution->reason);
    }
    buf_printf(out, ": %s\n", verdict_words(attribution));
    if (attribution->ambiguous) {
        put_step(out, "");
        buf_str(out, "ambiguous: several different names are live; the first is the one answered "
                     "closest before the flow\n");
    }
    if (attribution->left_out > 0) {
        put_step(out, "");
        buf_printf(out, "%u more name%s (--candidates)\n", attribution->left_out,
                   attribution->left_out == 1 ? "" : "s");
    }
    if (attribution->coverage_assumed) {
        put_step(out, "");
        buf_str(out, "coverage is assumed: no DNS sender was ever known here\n");
    }
}

/* ---- The sink ---- */

static void explain_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                         const struct attribution *attribution)
{
    const struct flow *flow = &record->flow;
    if (!is_asked_for(sink, record)) {
        return;
    }
    put_head(sink, out, flow->dataset);
    put_flow_step(out, flow);
    struct party source = sink_source(flow, attribution);
    struct party destination = sink_destination(flow, attribution);
    put_who(out, "source", &source, attribution->owner_known);
    if (destination.kind != PARTY_UNKNOWN) {
        put_who(out, "goes to", &destination, false);
    }
    if (attribution->verdict != UNJOINABLE) {
        put_bounds(out, sink, flow, attribution);
    }
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        put_candidate(out, sink, i + 1, &attribution->candidates[i]);
    }
    put_verdict(out, attribution);
}

static void explain_left_out(struct sink *sink, struct buf *out, const struct flow_record *record)
{
    static const char *const WORDS[SKIP_COUNT] = {
        [SKIP_NOT_A_FLOW] = "another event of the same stream",
        [SKIP_L7] = "a request within a connection, or an answer of no resolver",
        [SKIP_DNS] = "a DNS response, which is for the index",
        [SKIP_REPLY] = "the way back of a connection",
        [SKIP_INGRESS] = "the destination's copy of a connection",
        [SKIP_REPEAT] = "a connection that had a record, within 5 s or as its update",
    };
    if (is_asked_for(sink, record)) {
        buf_printf(out, "record %" PRIu64 " is left out (%s): %s\n", record->number,
                   skip_name(record->skip), WORDS[record->skip]);
    }
}

static void explain_bad(struct sink *sink, struct buf *out, const struct flow_record *record)
{
    if (is_asked_for(sink, record)) {
        buf_printf(out, "record %" PRIu64 " is bad: ", record->number);
        put_text(out, record->fault);
        buf_char(out, '\n');
    }
}

const struct sink_kind SINK_EXPLAIN = {
    .name = "explain",
    .description = "why one record got the name it got",
    .flow = explain_flow,
    .left_out = explain_left_out,
    .bad = explain_bad,
};
