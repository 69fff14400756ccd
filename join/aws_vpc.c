/* join/aws_vpc.c -- AWS VPC flow logs, version 2 to 5, text
 * SPDX-License-Identifier: Apache-2.0
 *
 *   version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start
 * end action log-status 2 123456789010 eni-1235b8ca123456789 192.0.2.7 198.51.100.9 40112 443 6 20
 * 4249 1418530010 1418530070 ACCEPT OK
 *
 * A record is what one network interface saw in one direction within some minutes. Its format is
 * chosen freely; objects in S3 begin with a line that names it, and without one it is the default
 * above unless --columns says what it is. Lines taken from CloudWatch may have the time of their
 * event, and the stream, in front.
 */
#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/format.h"

enum {
    A_SOURCE,
    A_DESTINATION,
    A_PACKET_SOURCE,
    A_PACKET_DESTINATION,
    A_SOURCE_PORT,
    A_DESTINATION_PORT,
    A_PROTOCOL,
    A_BYTES,
    A_START,
    A_END,
    A_ACTION,
    A_STATUS,
    A_TCP_FLAGS,
    A_DIRECTION,
    A_INSTANCE,
    A_COUNT,
};

static const char *const FIELDS[A_COUNT] = {
    [A_SOURCE] = "srcaddr",
    [A_DESTINATION] = "dstaddr",
    [A_PACKET_SOURCE] = "pkt-srcaddr",
    [A_PACKET_DESTINATION] = "pkt-dstaddr",
    [A_SOURCE_PORT] = "srcport",
    [A_DESTINATION_PORT] = "dstport",
    [A_PROTOCOL] = "protocol",
    [A_BYTES] = "bytes",
    [A_START] = "start",
    [A_END] = "end",
    [A_ACTION] = "action",
    [A_STATUS] = "log-status",
    [A_TCP_FLAGS] = "tcp-flags",
    [A_DIRECTION] = "flow-direction",
    [A_INSTANCE] = "instance-id",
};

static const char DEFAULT[] = "version account-id interface-id srcaddr dstaddr srcport dstport "
                              "protocol packets bytes start end action log-status";

static bool is_name(struct text word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '$' && c != '{' &&
            c != '}') {
            return false;
        }
    }
    return word.len > 1;
}

/* Nothing but names of fields, and both addresses among them. */
static bool is_header(struct text line)
{
    struct text word;
    bool source = false;
    bool destination = false;
    if (line.len == 0 || !((line.data[0] >= 'a' && line.data[0] <= 'z') || line.data[0] == '$')) {
        return false;
    }
    while (cell_next(&line, ' ', '\0', &word)) {
        if (!is_name(word)) {
            return false;
        }
        source |= memmem(word.data, word.len, "srcaddr", 7) != NULL;
        destination |= memmem(word.data, word.len, "dstaddr", 7) != NULL;
    }
    return source && destination;
}

static bool header(struct layout_builder *builder, struct text line)
{
    if (!is_header(line)) {
        return false;
    }
    layout_builder_names(builder, line, ' ');
    return true;
}

static bool is_stream(struct text word)
{
    return text_begins(word, "eni-") &&
           (text_ends(word, "-all") || text_ends(word, "-accept") || text_ends(word, "-reject"));
}

/* The record without what CloudWatch puts in front: the time of the event, the log stream. */
static struct text peel_event(struct text line)
{
    struct text rest = line;
    struct text word;
    if (line.len < 20 || line.data[4] != '-' || !cell_next(&rest, ' ', '\0', &word) ||
        parse_when(word) == 0 || rest.data == NULL) {
        return line;
    }
    struct text record = rest;
    return cell_next(&rest, ' ', '\0', &word) && is_stream(word) && rest.data != NULL ? rest
                                                                                      : record;
}

/* A record and its columns. */
struct row {
    const struct layout *layout;
    size_t count;
    struct text cells[LAYOUT_COLUMNS_MAX];
};

static void split(struct row *row, const struct layout *layout, struct text line)
{
    row->layout = layout;
    row->count = layout_split(layout, peel_event(line), row->cells);
}

static struct text cell(const struct row *row, size_t field)
{
    return layout_cell(row->layout, row->cells, row->count, field);
}

static bool is_end(struct text text)
{
    struct addr addr;
    return text_is(text, "-") || (text.len > 0 && addr_parse(&addr, text.data, text.len));
}

/* A line without a header is known by the columns it would have. */
static bool is_record(struct parser *parser, struct text line)
{
    struct row row;
    const struct layout *layout = parse_layout(parser, &FORMAT_AWS_VPC);
    if (layout == NULL) {
        return false;
    }
    split(&row, layout, line);
    return row.count == layout->columns && layout->columns > 3 && is_end(cell(&row, A_SOURCE)) &&
           is_end(cell(&row, A_DESTINATION)) && parse_when(cell(&row, A_START)) != 0 &&
           parse_when(cell(&row, A_END)) != 0;
}

static unsigned score(struct parser *parser, struct text line)
{
    if (line.len == 0 || line.data[0] == '{') {
        return 0;
    }
    return is_header(line) ? 95 : is_record(parser, line) ? 90 : 0;
}

/* The packet's own addresses, where there are such columns: those of the interface are the
 * node's, though a pod sent it. */
static struct text end_of(const struct row *row, size_t packet, size_t interface)
{
    struct text text = cell(row, packet);
    return text_missing(text) ? cell(row, interface) : text;
}

enum { FLAG_SYN = 2, FLAG_ACK = 16 };

/* SYN and ACK are only noted of the packets that open a connection: together of the answer. */
static bool is_way_back(const struct flow *flow, uint64_t flags)
{
    if ((flags & FLAG_SYN) != 0) {
        return (flags & FLAG_ACK) != 0;
    }
    return parse_is_way_back(flow);
}

/* What comes in to the destination's interface is a copy; but what comes in to a gateway's is on
 * its way out. */
static bool is_copy(const struct row *row, const struct flow *flow)
{
    struct text packet = cell(row, A_PACKET_DESTINATION);
    return text_is(cell(row, A_DIRECTION), "ingress") &&
           (text_missing(packet) || !flow->has_pair ||
            addr_kind(&flow->destination) != ADDR_EXTERNAL);
}

static void read_flow(const struct row *row, struct flow_record *record)
{
    struct flow *flow = &record->flow;
    struct text action = cell(row, A_ACTION);
    flow->dataset = "aws-vpc";
    flow->action = text_is(action, "ACCEPT")   ? FLOW_ALLOWED
                   : text_is(action, "REJECT") ? FLOW_DENIED
                                               : FLOW_UNKNOWN;
    parse_pair(record, end_of(row, A_PACKET_SOURCE, A_SOURCE),
               end_of(row, A_PACKET_DESTINATION, A_DESTINATION));
    parse_transport(flow, cell(row, A_PROTOCOL));
    parse_ports(record, cell(row, A_SOURCE_PORT), cell(row, A_DESTINATION_PORT));
    parse_span(record, parse_when(cell(row, A_START)), parse_when(cell(row, A_END)), US_PER_S - 1);
    flow->has_bytes = field_u64(cell(row, A_BYTES), &flow->bytes);
    if (text_is(cell(row, A_DIRECTION), "egress")) {
        struct text instance = cell(row, A_INSTANCE);
        flow->direction = FLOW_EGRESS;
        flow->source_id.node = text_missing(instance) ? (struct text){NULL, 0} : instance;
    }
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    const struct layout *layout = parse_layout(parser, &FORMAT_AWS_VPC);
    struct row row;
    uint64_t flags = 0;
    (void)outer;
    if (layout == NULL || line.len == 0 || line.data[0] == '{') {
        return PARSED_FOREIGN;
    }
    if (is_header(line)) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    split(&row, layout, line);
    if (row.count != layout->columns) {
        return parse_bad(parser, record,
                         "%zu fields, but %zu columns; where the format is not the default and no "
                         "header names it, pass --columns with the format",
                         row.count, layout->columns);
    }
    struct text status = cell(&row, A_STATUS);
    if (text_is(status, "NODATA") || text_is(status, "SKIPDATA")) {
        return parse_skip(record, SKIP_NOT_A_FLOW);
    }
    read_flow(&row, record);
    if (strcmp(record->flow.transport, "tcp") != 0 || !field_u64(cell(&row, A_TCP_FLAGS), &flags)) {
        flags = 0;
    }
    if (is_way_back(&record->flow, flags)) {
        return parse_skip(record, SKIP_REPLY);
    }
    if (is_copy(&row, &record->flow)) {
        return parse_skip(record, SKIP_INGRESS);
    }
    record->flow.shows_start = (flags & FLAG_SYN) != 0;
    return PARSED_FLOW;
}

static const struct columns COLUMNS = {
    .fields = FIELDS,
    .field_count = A_COUNT,
    .otherwise = DEFAULT,
    .separator = ' ',
    .header = header,
};

const struct format FORMAT_AWS_VPC = {
    .name = "aws-vpc",
    .description = "AWS VPC flow logs: by header, --columns, or in the default format",
    .score = score,
    .parse = parse,
    .columns = &COLUMNS,
};
