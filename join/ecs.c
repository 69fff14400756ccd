/* join/ecs.c -- --to ecs: one JSON object a line, with ECS field names (DESIGN section 5)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/pen.h"
#include "join/sink.h"

/* Everything but the texts: keys, numbers, times, addresses. */
enum { FIXED_ROOM = 1024 };

static void put_event(struct pen *pen, const struct flow *flow)
{
    PEN(pen, "\"event\":{\"dataset\":\"");
    pen_str(pen, flow->dataset);
    PEN(pen, "\",\"action\":\"");
    pen_str(pen, flow_action_name(flow->action));
    PEN(pen, "\",\"sequence\":");
    pen_uint(pen, flow->sequence);
    if ((flow->aggregated || flow->end_us != flow->start_us) && flow->start_us != 0) {
        PEN(pen, ",\"start\":");
        pen_time(pen, flow->start_us);
        PEN(pen, ",\"end\":");
        pen_time(pen, flow->end_us);
    }
    PEN(pen, "}");
}

static void put_network(struct pen *pen, const struct flow *flow)
{
    const char *comma = "";
    PEN(pen, ",\"network\":{");
    if (flow->transport[0] != '\0') {
        PEN(pen, "\"transport\":\"");
        pen_str(pen, flow->transport);
        PEN(pen, "\"");
        comma = ",";
    }
    if (flow->direction != FLOW_DIRECTION_UNKNOWN) {
        pen_str(pen, comma);
        PEN(pen, "\"direction\":\"");
        pen_str(pen, flow->direction == FLOW_EGRESS ? "egress" : "ingress");
        PEN(pen, "\"");
        comma = ",";
    }
    if (flow->has_bytes) {
        pen_str(pen, comma);
        PEN(pen, "\"bytes\":");
        pen_uint(pen, flow->bytes);
    }
    PEN(pen, "}");
}

/* `"ip":…,"port":…,` with a comma after each. */
static void put_end(struct pen *pen, const struct flow *flow, const struct addr *addr,
                    bool has_port, uint16_t port)
{
    if (flow->has_pair) {
        PEN(pen, "\"ip\":");
        pen_addr(pen, addr);
        PEN(pen, ",");
    }
    if (has_port) {
        PEN(pen, "\"port\":");
        pen_uint(pen, port);
        PEN(pen, ",");
    }
}

static void put_identity(struct pen *pen, struct buf *out, const char *key, struct text text)
{
    if (text.len > 0) {
        pen_str(pen, key);
        pen_json(pen, out, text);
    }
}

/* The members of "k8s" but the cluster, each with a comma before it. */
static void put_party(struct pen *pen, struct buf *out, const struct party *party)
{
    put_identity(pen, out, ",\"namespace\":", party->namespace);
    put_identity(pen, out, ",\"pod\":", party->pod);
    put_identity(pen, out, ",\"service\":", party->service);
    put_identity(pen, out, ",\"workload\":", party->workload);
    put_identity(pen, out, ",\"node\":", party->node);
}

static size_t party_room(const struct party *party)
{
    return PEN_TEXT_ROOM(party->namespace.len) + PEN_TEXT_ROOM(party->pod.len) +
           PEN_TEXT_ROOM(party->service.len) + PEN_TEXT_ROOM(party->workload.len) +
           PEN_TEXT_ROOM(party->node.len);
}

static void put_source(struct pen *pen, struct buf *out, const struct flow *flow,
                       const struct party *party, struct text cluster)
{
    PEN(pen, ",\"source\":{");
    put_end(pen, flow, &flow->source, flow->has_ports && !flow->source_port_unknown,
            flow->source_port);
    PEN(pen, "\"k8s\":{\"cluster\":");
    pen_json(pen, out, cluster);
    put_party(pen, out, party);
    PEN(pen, "}}");
}

static void put_destination(struct pen *pen, struct buf *out, const struct flow *flow,
                            const struct party *party, const char *kind, struct text domain,
                            struct text registered)
{
    PEN(pen, ",\"destination\":{");
    put_end(pen, flow, &flow->destination, flow->has_ports, flow->destination_port);
    if (domain.data != NULL) {
        PEN(pen, "\"domain\":");
        pen_json(pen, out, domain);
        PEN(pen, ",");
    }
    if (registered.data != NULL) {
        PEN(pen, "\"registered_domain\":");
        pen_json(pen, out, registered);
        PEN(pen, ",");
    }
    if (kind != NULL) {
        PEN(pen, "\"kind\":\"");
        pen_str(pen, kind);
        PEN(pen, "\",");
    }
    if (party->kind != PARTY_UNKNOWN) {
        PEN(pen, "\"k8s\":{");
        char *first = pen->at;
        put_party(pen, out, party);
        if (pen->at > first) { /* without the first comma */
            memmove(first, first + 1, (size_t)(pen->at - first - 1));
            pen->at--;
        }
        PEN(pen, "},");
    }
    if (pen->at[-1] == ',') {
        pen->at--;
    }
    PEN(pen, "}");
}

static void put_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                     const struct attribution *attribution)
{
    const struct flow *flow = &record->flow;
    struct text cluster = flow->source_id.cluster;
    struct text registered;
    struct text domain = sink_domain(sink, attribution, &registered);
    struct party source = sink_source(flow, attribution);
    struct party destination = sink_destination(flow, attribution);
    struct pen pen;
    if (cluster.len == 0) {
        cluster = (struct text){sink->options.cluster, strlen(sink->options.cluster)};
    }
    if (!pen_begin(&pen, out,
                   FIXED_ROOM + PEN_TEXT_ROOM(cluster.len) + party_room(&source) +
                       party_room(&destination) + PEN_TEXT_ROOM(domain.len) +
                       PEN_TEXT_ROOM(registered.len))) {
        return;
    }
    PEN(&pen, "{");
    if (flow->start_us != 0) {
        PEN(&pen, "\"@timestamp\":");
        pen_time(&pen, flow->start_us);
        PEN(&pen, ",");
    }
    put_event(&pen, flow);
    put_network(&pen, flow);
    put_source(&pen, out, flow, &source, cluster);
    put_destination(&pen, out, flow, &destination, sink_destination_kind(flow, attribution), domain,
                    registered);
    PEN(&pen, ",\"attribution\":");
    pen_end(&pen, out);
    attribution_json(out, attribution);
    buf_add(out, "}\n", 2);
}

const struct sink_kind SINK_ECS = {
    .name = "ecs",
    .description = "JSON lines with ECS field names; the default in a pipe",
    .flow = put_flow,
};
