/* join/antrea.c -- Antrea's Flow Aggregator: CSV of its FlowLogger and of its S3 uploader
 * SPDX-License-Identifier: Apache-2.0
 *
 * Neither has a header or a version, and columns came and went between releases. Up to the cluster
 * address of the service they are the same in all; the one behind it is an address, or empty, where
 * that release has a column for one, and a port number otherwise, and from there on all is the same
 * again up to the rules of network policy:
 *
 *   service port, port name, ingress: name, namespace, rule, action, type, egress: the same
 *
 * What follows may hold commas of its own and is not looked at. The record of a long connection is
 * exported again and again, with the same start.
 */
#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/format.h"

/* Where the columns are, in either form. */
struct form {
    const char *dataset;
    size_t min; /* cells of the shortest line there is */
    char quote;
    uint8_t epochs; /* cells at the beginning that are seconds */
    uint8_t ends;   /* source and destination address, their ports, the protocol */
    uint8_t names;  /* pod, namespace and node of the source, then of the destination */
    uint8_t service;
    uint8_t octets; /* of both directions, at [0] and [4]; 0: no counters */
};

static const struct form LOGGER = {"antrea", 26, '\0', 2, 2, 7, 13, 0};
static const struct form S3 = {"antrea-s3", 37, '\'', 4, 5, 18, 24, 11};

/* From the cell of the service's port on. */
enum { R_PORT, R_PORT_NAME, R_INGRESS_ACTION = 5, R_EGRESS_ACTION = 10, R_COUNT = 12 };

/* Up to the last rule, with a column for the service's address. */
enum { CELLS_MAX = 24 + 2 + R_COUNT };

static bool is_address(struct text text)
{
    struct addr addr;
    return text.len > 0 && addr_parse(&addr, text.data, text.len);
}

/* Tells one form from the other, and both from any other CSV, by its times and addresses. */
static bool split(const struct form *form, struct text line, struct text cells[CELLS_MAX],
                  size_t *count)
{
    if (line.len == 0 || line.data[0] < '0' || line.data[0] > '9') {
        return false;
    }
    *count = cells_split(line, ',', form->quote, cells, CELLS_MAX);
    if (*count < form->min) {
        return false;
    }
    for (uint8_t i = 0; i < form->epochs; i++) {
        if (cells[i].len != 10 || parse_when(cells[i]) == 0) {
            return false;
        }
    }
    return (is_address(cells[form->ends]) || cells[form->ends].len == 0) &&
           (is_address(cells[form->ends + 1]) || cells[form->ends + 1].len == 0);
}

static unsigned score_form(const struct form *form, struct text line)
{
    struct text cells[CELLS_MAX];
    size_t count;
    return split(form, line, cells, &count) ? 95 : 0;
}

static void read_end(const struct text *names, struct flow_identity *id)
{
    id->end = names[0].len > 0 ? FLOW_END_POD : FLOW_END_UNKNOWN;
    id->pod = names[0];
    id->namespace = names[1];
    id->node = names[2];
}

/* "kube-system/kube-dns:dns-tcp" */
static void read_service(struct text name, struct flow_identity *id)
{
    const char *slash = name.len > 0 ? memchr(name.data, '/', name.len) : NULL;
    const char *colon = name.len > 0 ? memrchr(name.data, ':', name.len) : NULL;
    const char *from = slash != NULL ? slash + 1 : name.data;
    const char *to = colon != NULL && colon >= from ? colon : name.data + name.len;
    if (name.len == 0) {
        return;
    }
    id->service = (struct text){from, (size_t)(to - from)};
    if (id->namespace.len == 0 && slash != NULL) {
        id->namespace = (struct text){name.data, (size_t)(slash - name.data)};
    }
}

/* Names, or numbers where prettyPrint is off: 0 no rule, 1 allow, 2 drop, 3 reject. */
static bool is_denial(struct text action)
{
    return text_is(action, "Drop") || text_is(action, "Reject") || text_is(action, "2") ||
           text_is(action, "3");
}

/* A rule of either end denies; where there is none, or it allows, the connection came about. */
static enum flow_action action_of(const struct text *rules)
{
    return is_denial(rules[R_INGRESS_ACTION]) || is_denial(rules[R_EGRESS_ACTION]) ? FLOW_DENIED
                                                                                   : FLOW_ALLOWED;
}

/* The service's own address: the newer column, else the older one. */
static void read_alternate(struct text older, struct text newer, struct flow *flow)
{
    struct text service = parse_address(newer);
    service = service.len > 0 ? service : parse_address(older);
    flow->has_alternate = service.len > 0 &&
                          addr_parse(&flow->alternate, service.data, service.len) &&
                          !(flow->has_pair && addr_equal(&flow->alternate, &flow->destination));
}

static void read_octets(const struct text *octets, struct flow *flow)
{
    uint64_t out;
    uint64_t back;
    flow->has_bytes =
        field_u64(octets[0], &out) && field_u64(octets[4], &back) && out <= UINT64_MAX - back;
    flow->bytes = flow->has_bytes ? out + back : 0;
}

static enum parsed parse_form(const struct form *form, struct text line, struct flow_record *record)
{
    struct text cells[CELLS_MAX + 1] = {0};
    struct flow *flow = &record->flow;
    size_t count;
    if (!split(form, line, cells, &count)) {
        return PARSED_FOREIGN;
    }
    const struct text *ends = &cells[form->ends];
    const struct text *service = &cells[form->service];
    uint64_t port;
    bool has_service_address = service[1].len == 0 || !field_u64(service[1], &port);
    const struct text *rules = service + (has_service_address ? 2 : 1);
    flow->dataset = form->dataset;
    flow->action = action_of(rules);
    parse_pair(record, parse_address(ends[0]), parse_address(ends[1]));
    parse_transport(flow, ends[4]);
    parse_ports(record, ends[2], ends[3]);
    parse_time(record, parse_when(cells[0]));
    int64_t end_us = parse_when(cells[1]);
    flow->end_us = end_us > flow->start_us ? end_us : flow->start_us;
    flow->precision_us = US_PER_S - 1;
    flow->shows_start = true;
    read_end(&cells[form->names], &flow->source_id);
    read_end(&cells[form->names + 3], &flow->destination_id);
    flow->direction = flow->source_id.pod.len > 0 ? FLOW_EGRESS : FLOW_DIRECTION_UNKNOWN;
    read_alternate(service[0], has_service_address ? service[1] : (struct text){NULL, 0}, flow);
    read_service(rules[R_PORT_NAME], &flow->destination_id);
    if (form->octets > 0) {
        read_octets(&cells[form->octets], flow);
    }
    return PARSED_FLOW;
}

static unsigned score_logger(struct parser *parser, struct text line)
{
    (void)parser;
    return score_form(&LOGGER, line);
}

static unsigned score_s3(struct parser *parser, struct text line)
{
    (void)parser;
    return score_form(&S3, line);
}

static enum parsed parse_logger(struct parser *parser, struct text line, const struct outer *outer,
                                struct flow_record *record)
{
    (void)parser;
    (void)outer;
    return parse_form(&LOGGER, line, record);
}

static enum parsed parse_s3(struct parser *parser, struct text line, const struct outer *outer,
                            struct flow_record *record)
{
    (void)parser;
    (void)outer;
    return parse_form(&S3, line, record);
}

const struct format FORMAT_ANTREA = {
    .name = "antrea",
    .description = "Antrea's FlowLogger: CSV of any release",
    .score = score_logger,
    .parse = parse_logger,
};

const struct format FORMAT_ANTREA_S3 = {
    .name = "antrea-s3",
    .description = "Antrea's S3 uploader: CSV of any release",
    .score = score_s3,
    .parse = parse_s3,
};
