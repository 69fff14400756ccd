/* join/calico_ebpf.c -- Calico's Log action in the eBPF dataplane: lines of the kernel's trace pipe
 * SPDX-License-Identifier: Apache-2.0
 *
 *   curl-5288 [000] ..s2. 3055.982021: bpf_trace_printk: cali527b0801ecb-E: policy ALLOWED proto 6
 *       src 192.0.2.7:56042 dest 198.51.100.9:80
 *
 * What stands before "IFACE-E:" differs from kernel to kernel. The number in it counts seconds
 * since boot, so that the time has to come from what wrote the line down. The destination is what
 * the pod connected to: a service's own address, where it is one.
 */
#include <string.h>

#include "join/field.h"
#include "join/format.h"

static const char NO_TIME[] =
    "trace pipe lines carry no time of day; pipe them through something that writes it down as "
    "they come (`TZ=UTC ts '%FT%.TZ'`, journald, a container's log)";

static const char POLICY[] = ": policy ";

/* The parts of a line. */
struct parts {
    struct text interface; /* without what follows the '-' */
    bool ingress;          /* the policy of the destination's end */
    struct text rest;      /* "ALLOWED proto 6 src …" */
};

/* The last one: what stands before may hold the name of a process, which anyone can choose. */
static const char *find_policy(struct text line)
{
    const char *last = NULL;
    const char *at = memmem(line.data, line.len, POLICY, sizeof(POLICY) - 1);
    while (at != NULL) {
        last = at++;
        at = memmem(at, (size_t)(line.data + line.len - at), POLICY, sizeof(POLICY) - 1);
    }
    return last;
}

static bool split(struct text line, struct parts *parts)
{
    const char *policy = find_policy(line);
    if (policy == NULL) {
        return false;
    }
    const char *from = policy;
    while (from > line.data && from[-1] != ' ') {
        from--;
    }
    size_t len = (size_t)(policy - from);
    if (len < 3 || from[len - 2] != '-' || (from[len - 1] != 'E' && from[len - 1] != 'I')) {
        return false;
    }
    /* Short names are filled up: "eth0---E". */
    size_t name_len = len - 2;
    while (name_len > 1 && from[name_len - 1] == '-') {
        name_len--;
    }
    parts->interface = (struct text){from, name_len};
    parts->ingress = from[len - 1] == 'I';
    const char *rest = policy + sizeof(POLICY) - 1;
    parts->rest = (struct text){rest, (size_t)(line.data + line.len - rest)};
    return text_begins(parts->rest, "ALLOWED ") || text_begins(parts->rest, "DENIED ");
}

static unsigned score(struct parser *parser, struct text line)
{
    struct parts parts;
    (void)parser;
    if (line.len == 0 || line.data[0] == '{') {
        return 0;
    }
    if (split(line, &parts)) {
        return 95;
    }
    /* A trace whose first policy line is yet to come. */
    return memmem(line.data, line.len, ": bpf_trace_printk: ", 20) != NULL ? 60 : 0;
}

/* What follows a word of the text, up to the next space; absent if the word is not there. */
static struct text value_after(struct text text, const char *word)
{
    const char *at = memmem(text.data, text.len, word, strlen(word));
    if (at == NULL) {
        return (struct text){NULL, 0};
    }
    at += strlen(word);
    size_t left = (size_t)(text.data + text.len - at);
    const char *space = memchr(at, ' ', left);
    return (struct text){at, space != NULL ? (size_t)(space - at) : left};
}

/* "192.0.2.7:80", "[2001:db8::7]:80", "2001:0db8:…:0007:80". */
static struct text cut_port(struct text *end)
{
    const char *colon = end->data != NULL ? memrchr(end->data, ':', end->len) : NULL;
    struct text port = {NULL, 0};
    if (colon != NULL) {
        port = (struct text){colon + 1, (size_t)(end->data + end->len - colon - 1)};
        end->len = (size_t)(colon - end->data);
    }
    if (end->len > 1 && end->data[0] == '[' && end->data[end->len - 1] == ']') {
        *end = (struct text){end->data + 1, end->len - 2};
    }
    return port;
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct syslog_head head = {0};
    struct parts parts;
    struct flow *flow = &record->flow;
    if (line.len > 0 && line.data[0] == '{') {
        return PARSED_FOREIGN;
    }
    if (!split(line, &parts)) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    if (parts.ingress) {
        return parse_skip(record, SKIP_INGRESS);
    }
    syslog_peel(line, &parser->civil, parser->year_near_us, &head);
    struct text source = value_after(parts.rest, " src ");
    struct text destination = value_after(parts.rest, " dest ");
    struct text source_port = cut_port(&source);
    struct text destination_port = cut_port(&destination);
    flow->dataset = "calico-ebpf";
    flow->direction = FLOW_EGRESS;
    flow->action = text_begins(parts.rest, "ALLOWED") ? FLOW_ALLOWED : FLOW_DENIED;
    flow->interface = parts.interface;
    parse_pair(record, source, destination);
    parse_transport(flow, value_after(parts.rest, " proto "));
    parse_ports(record, source_port, destination_port);
    /* Policy is asked once for a connection: what follows is let through by its state. */
    flow->shows_start = true;
    bool own = head.exact || outer->time_us == 0;
    parse_time(record, own ? head.time_us : outer->time_us);
    flow->precision_us = own ? head.precision_us : 0;
    record->remark = flow->start_us == 0 ? NO_TIME : NULL;
    flow->source_id.node = outer->node;
    return PARSED_FLOW;
}

const struct format FORMAT_CALICO_EBPF = {
    .name = "calico-ebpf",
    .description = "Calico's Log action in the eBPF dataplane: lines of the trace pipe",
    .score = score,
    .parse = parse,
};
