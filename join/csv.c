/* join/csv.c -- --to csv: one line a flow (RFC 4180), a head line first
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/clock.h"
#include "join/sink.h"

static const char HEAD[] =
    "timestamp,dataset,action,transport,direction,source_ip,source_port,source_cluster,"
    "source_namespace,source_pod,source_workload,source_node,destination_ip,destination_port,"
    "destination_kind,destination_namespace,destination_pod,destination_service,"
    "destination_workload,destination_node,destination_domain,registered_domain,verdict,reason,"
    "ambiguous,age_ms,candidates\r\n";

static void begin(struct sink *sink, struct buf *out)
{
    (void)sink;
    buf_str(out, HEAD);
}

/* A field and the comma after it. */
static void put(struct buf *out, struct text text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        quoted |= memchr("\",\r\n", text.data[i], 4) != NULL;
    }
    if (!quoted) {
        buf_add(out, text.data, text.len);
        buf_char(out, ',');
        return;
    }
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"') {
            buf_char(out, '"');
        }
        buf_char(out, text.data[i]);
    }
    buf_add(out, "\",", 2);
}

static void put_word(struct buf *out, const char *word)
{
    buf_str(out, word != NULL ? word : "");
    buf_char(out, ',');
}

static void put_end(struct buf *out, const struct flow *flow, const struct addr *addr,
                    bool has_port, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    if (flow->has_pair) {
        buf_add(out, text, addr_print(addr, text));
    }
    buf_char(out, ',');
    if (has_port) {
        buf_int(out, port);
    }
    buf_char(out, ',');
}

/* All names offered, best first, with a space between: no name holds one unescaped. */
static void put_candidates(struct buf *out, const struct attribution *attribution)
{
    char text[NAME_TEXT_MAX];
    struct buf names = {0};
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        if (i > 0) {
            buf_char(&names, ' ');
        }
        buf_add(&names, text, name_to_text(attribution->candidates[i].name.wire, text));
    }
    put(out, (struct text){names.data, names.len});
    if (names.err != 0 && out->err == 0) {
        out->err = names.err;
    }
    out->len -= out->err == 0 ? 1 : 0; /* the comma: this is the last field */
    buf_fini(&names);
}

static void put_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                     const struct attribution *attribution)
{
    static const char *const DIRECTIONS[] = {
        [FLOW_DIRECTION_UNKNOWN] = "", [FLOW_EGRESS] = "egress", [FLOW_INGRESS] = "ingress"};
    const struct flow *flow = &record->flow;
    const char *cluster = sink->options.cluster;
    char time[TIME_TEXT_MAX];
    struct text registered;
    struct text domain = sink_domain(sink, attribution, &registered);
    struct party source = sink_source(flow, attribution);
    struct party destination = sink_destination(flow, attribution);
    if (flow->start_us != 0) {
        buf_add(out, time, time_print(flow->start_us, time));
    }
    buf_char(out, ',');
    put_word(out, flow->dataset);
    put_word(out, flow_action_name(flow->action));
    put_word(out, flow->transport);
    put_word(out, DIRECTIONS[flow->direction]);
    put_end(out, flow, &flow->source, flow->has_ports && !flow->source_port_unknown,
            flow->source_port);
    put(out, flow->source_id.cluster.len > 0 ? flow->source_id.cluster
                                             : (struct text){cluster, strlen(cluster)});
    put(out, source.namespace);
    put(out, source.pod);
    put(out, source.workload);
    put(out, source.node);
    put_end(out, flow, &flow->destination, flow->has_ports, flow->destination_port);
    put_word(out, sink_destination_kind(flow, attribution));
    put(out, destination.namespace);
    put(out, destination.pod);
    put(out, destination.service);
    put(out, destination.workload);
    put(out, destination.node);
    put(out, domain);
    put(out, registered);
    put_word(out, verdict_name(attribution->verdict));
    put_word(out, attribution->reason);
    put_word(out, attribution->ambiguous ? "true" : "false");
    if (attribution->candidate_count > 0) {
        buf_int(out, attribution->candidates[0].age_us / 1000);
    }
    buf_char(out, ',');
    put_candidates(out, attribution);
    buf_add(out, "\r\n", 2);
}

const struct sink_kind SINK_CSV = {
    .name = "csv",
    .description = "a line a flow, for a spreadsheet",
    .begin = begin,
    .flow = put_flow,
};
