/* join/kernel_log.c -- the line that netfilter's LOG target writes, as Calico's `Log` action does
 * SPDX-License-Identifier: Apache-2.0
 *
 *   calico-packet: IN=cali527b0801ecb OUT=eth0 MAC=... SRC=192.0.2.7 DST=198.51.100.9 LEN=60 ...
 *       PROTO=TCP SPT=45588 DPT=80 WINDOW=64860 RES=0x00 SYN URGP=0
 *
 * The prefix may be anything and may touch IN=. Words before "SRC=" belong to the prefix and the
 * link layer, so that nothing in a prefix can be taken for an address. ICMP errors carry the packet
 * they complain about in brackets: reading stops there.
 */
#include "join/format.h"

#include <string.h>

#include "join/field.h"

/* What the host's end of a pod's interface is called. A packet that came in there was sent by a
 * pod; one that goes out there and came in elsewhere is the destination's copy. */
static const char *const WORKLOAD_INTERFACES[] = {
    "cali", /* Calico */
    "veth", /* bridge, flannel, kindnet, Weave, Antrea, ... */
    "lxc",  /* Cilium */
    "eni",  /* AWS VPC CNI (a node's own interfaces are called eth or ens there) */
    "azv",  /* Azure CNI */
    "gke",  /* GKE */
    "tap",  /* virtual machines: Kata, KubeVirt */
};

static bool is_workload(struct text interface)
{
    for (size_t i = 0; i < sizeof(WORKLOAD_INTERFACES) / sizeof(WORKLOAD_INTERFACES[0]); i++) {
        if (text_begins(interface, WORKLOAD_INTERFACES[i])) {
            return true;
        }
    }
    return false;
}

static const char *find(struct text in, const char *what)
{
    return memmem(in.data, in.len, what, strlen(what));
}

/* From `at` to the next space or the end of the text. */
static struct text value_at(struct text in, const char *at)
{
    const char *end = in.data + in.len;
    const char *space = memchr(at, ' ', (size_t)(end - at));
    return (struct text){at, (size_t)((space != NULL ? space : end) - at)};
}

/* The three parts of a line. */
struct parts {
    struct text prefix; /* without the ": " that ends it */
    struct text link;   /* IN= ... up to SRC= */
    struct text packet; /* SRC= ... */
};

/* Finds them; false if the line is none of the LOG target's. */
static bool split(struct text message, struct parts *parts)
{
    const char *source = find(message, " SRC=");
    if (source == NULL) {
        return false;
    }
    struct text before = {message.data, (size_t)(source - message.data)};
    const char *out = find(before, " OUT=");
    if (out == NULL) {
        return false;
    }
    /* The last IN= before OUT=, with no space between: a prefix may hold one, too. */
    const char *in = out;
    while (in > message.data && in[-1] != ' ' && (out - in < 3 || memcmp(in, "IN=", 3) != 0)) {
        in--;
    }
    if (out - in < 3 || memcmp(in, "IN=", 3) != 0) {
        return false;
    }
    parts->prefix = (struct text){message.data, (size_t)(in - message.data)};
    while (parts->prefix.len > 0 && (parts->prefix.data[parts->prefix.len - 1] == ' ' ||
                                     parts->prefix.data[parts->prefix.len - 1] == ':')) {
        parts->prefix.len--;
    }
    parts->link = (struct text){in, (size_t)(source - in)};
    parts->packet = (struct text){source + 1, message.len - (size_t)(source + 1 - message.data)};
    return true;
}

/* What the words after SRC= say; each counts where it stands first. */
struct packet {
    struct text source;
    struct text destination;
    struct text protocol;
    struct text source_port;
    struct text destination_port;
    bool syn;
    bool ack;
};

static void take(struct text *field, struct text word, size_t key_len)
{
    if (field->data == NULL) {
        *field = (struct text){word.data + key_len, word.len - key_len};
    }
}

static void read_word(struct packet *packet, struct text word)
{
    if (text_begins(word, "SRC=")) {
        take(&packet->source, word, 4);
    } else if (text_begins(word, "DST=")) {
        take(&packet->destination, word, 4);
    } else if (text_begins(word, "PROTO=")) {
        take(&packet->protocol, word, 6);
    } else if (text_begins(word, "SPT=")) {
        take(&packet->source_port, word, 4);
    } else if (text_begins(word, "DPT=")) {
        take(&packet->destination_port, word, 4);
    } else if (text_is(word, "SYN")) {
        packet->syn = true;
    } else if (text_is(word, "ACK")) {
        packet->ack = true;
    }
}

static void read_packet(struct text text, struct packet *packet)
{
    const char *at = text.data;
    const char *end = text.data + text.len;
    *packet = (struct packet){0};
    while (at < end && *at != '[') {
        struct text word = value_at(text, at);
        read_word(packet, word);
        at += word.len + (word.data + word.len < end);
    }
}

static void read_ports(const struct packet *packet, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    if (packet->source_port.data == NULL || packet->destination_port.data == NULL) {
        return;
    }
    flow->has_ports = field_port(packet->source_port, &flow->source_port) &&
                      field_port(packet->destination_port, &flow->destination_port);
    if (!flow->has_ports) {
        record->doubtful = "a port is no port number";
    }
}

/* Sets direction and interface; false for the destination's copy. On a bridge IN= is the bridge and
 * PHYSIN= the pod's port. */
static bool read_direction(struct text link, struct flow *flow)
{
    const char *out_at = find(link, " OUT=");
    const char *physical_at = find(link, " PHYSIN=");
    struct text in = value_at(link, link.data + strlen("IN="));
    struct text out = value_at(link, out_at + strlen(" OUT="));
    struct text physical = {NULL, 0};
    if (physical_at != NULL) {
        physical = value_at(link, physical_at + strlen(" PHYSIN="));
    }
    if (is_workload(in) || is_workload(physical)) {
        flow->interface = is_workload(in) ? in : physical;
        flow->direction = FLOW_EGRESS;
        return true;
    }
    if (in.len == 0 && out.len > 0) {
        flow->direction = FLOW_EGRESS;
        return true;
    }
    return !is_workload(out);
}

/* A LOG rule decides nothing, so that the verdict is what the prefix was given to mean. Calico
 * Enterprise's LogAndDrop names itself. */
static enum flow_action action_of(const struct parser_options *options, struct text prefix)
{
    static const struct prefix_rule DROP = {"calico-drop", FLOW_DENIED};
    const struct prefix_rule *best = text_begins(prefix, DROP.prefix) ? &DROP : NULL;
    for (size_t i = 0; i < options->prefix_count; i++) {
        const struct prefix_rule *rule = &options->prefixes[i];
        if (text_begins(prefix, rule->prefix) &&
            (best == NULL || strlen(rule->prefix) >= strlen(best->prefix))) {
            best = rule;
        }
    }
    return best != NULL ? best->action : FLOW_UNKNOWN;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct syslog_head head;
    struct parts parts;
    struct civil civil = {0};
    if (line.len == 0 || line.data[0] == '{') {
        return 0;
    }
    bool timed = syslog_peel(line, &civil, parser->year_near_us, &head);
    /* Not a host, but what FORMAT_CRI has there. */
    if (text_is(head.host, "stdout") || text_is(head.host, "stderr")) {
        return 0;
    }
    if (split(head.message, &parts)) {
        return 95;
    }
    /* A system log whose first LOG line is yet to come. */
    return timed && head.message.len > 0 ? 30 : 0;
}

/* The JSON that a message ends with, as log forwarders put it behind a tag; NULL if there is none.
 */
static struct text find_json(struct text message)
{
    enum { TAG_MAX = 100 };
    size_t room = message.len < TAG_MAX ? message.len : TAG_MAX;
    const char *brace = room > 0 ? memchr(message.data, '{', room) : NULL;
    if (brace == NULL || message.data[message.len - 1] != '}') {
        return (struct text){NULL, 0};
    }
    return (struct text){brace, (size_t)(message.data + message.len - brace)};
}

/* A line of a system log that is none of the LOG target's. */
static enum parsed parse_other(struct parser *parser, const struct syslog_head *head,
                               const struct outer *outer, struct flow_record *record)
{
    struct outer inside = *outer;
    struct text json = find_json(head->message);
    if (json.data == NULL || head->time_us == 0) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    inside.depth++;
    inside.time_us = head->exact || outer->time_us == 0 ? head->time_us : outer->time_us;
    inside.node = head->host.data != NULL ? head->host : outer->node;
    record->kept = json;
    return parse_inner(parser, json, &inside, record);
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct syslog_head head;
    struct parts parts;
    struct packet packet;
    struct flow *flow = &record->flow;
    if (line.len > 0 && line.data[0] == '{') {
        return PARSED_FOREIGN;
    }
    syslog_peel(line, &parser->civil, parser->year_near_us, &head);
    if (!split(head.message, &parts)) {
        return parse_other(parser, &head, outer, record);
    }
    if (!read_direction(parts.link, flow)) {
        return parse_skip(record, SKIP_INGRESS);
    }
    read_packet(parts.packet, &packet);
    flow->dataset = "kernel-log";
    flow->action = action_of(&parser->options, parts.prefix);
    parse_pair(record, packet.source, packet.destination);
    parse_transport(flow, packet.protocol);
    read_ports(&packet, record);
    /* LOG rules stand behind the one that accepts established connections: what they see of other
     * protocols than TCP is new to the connection tracker. */
    flow->shows_start = strcmp(flow->transport, "tcp") != 0 || (packet.syn && !packet.ack);
    bool own = head.exact || outer->time_us == 0;
    parse_time(record, own ? head.time_us : outer->time_us);
    flow->precision_us = own ? head.precision_us : 0;
    flow->source_id.node = head.host.data != NULL ? head.host : outer->node;
    return PARSED_FLOW;
}

const struct format FORMAT_KERNEL_LOG = {
    .name = "kernel-log",
    .description = "kernel LOG lines (Calico's Log action), bare or behind a syslog header",
    .score = score,
    .parse = parse,
};
