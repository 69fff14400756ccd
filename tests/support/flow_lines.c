/* tests/support/flow_lines.c -- one line through a flow format
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/flow_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "join/sink.h"
#include "proto/answer.h"

void flow_lines_init(struct flow_lines *lines, const struct parser_options *options,
                     int64_t near_us)
{
    static const struct parser_options NONE = {0};
    *lines = (struct flow_lines){0};
    assert_int_equal(parser_new(&lines->parser, options != NULL ? options : &NONE), 0);
    lines->parser->year_near_us = near_us;
}

void flow_lines_fini(struct flow_lines *lines)
{
    parser_free(&lines->parser);
    arena_fini(&lines->arena);
    free((char *)lines->record.text.data);
    layout_drop(&lines->layout);
}

void flow_lines_header(struct flow_lines *lines, const struct format *format, const char *header)
{
    struct layout_builder builder;
    layout_builder_init(&builder, format->columns, lines->parser->options.columns,
                        lines->parser->options.fields, lines->parser->options.field_count);
    for (const char *at = header; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        assert_true(format->columns->header(&builder, (struct text){at, len}));
        at += len + (at[len] != '\0');
    }
    layout_drop(&lines->layout);
    assert_int_equal(layout_make(&builder, &lines->layout), 0);
    layout_builder_fini(&builder);
    lines->parser->layout = lines->layout;
}

const struct flow_record *flow_lines_parse(struct flow_lines *lines, const struct format *format,
                                           const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    free((char *)lines->record.text.data);
    arena_reset(&lines->arena);
    memset(&lines->record, 0, sizeof(lines->record));
    lines->record.text = (struct text){copy, len};
    lines->record.number = 1;
    assert_int_equal(parser_parse(lines->parser, format, true, &lines->arena, &lines->record), 0);
    return &lines->record;
}

static void put_end(struct buf *buf, const struct flow *flow, const struct addr *addr,
                    bool port_unknown, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    buf_add(buf, text, addr_print(addr, text));
    if (flow->has_ports && port_unknown) {
        buf_str(buf, ":?");
    } else if (flow->has_ports) {
        buf_printf(buf, ":%u", port);
    }
}

static void put_flow(struct buf *buf, const struct flow *flow)
{
    static const char *const DIRECTIONS[] = {"unknown", "egress", "ingress"};
    char time[TIME_TEXT_MAX] = "never";
    buf_printf(buf, "%s %s ", flow->dataset, flow->transport[0] != '\0' ? flow->transport : "?");
    if (flow->has_pair) {
        put_end(buf, flow, &flow->source, flow->source_port_unknown, flow->source_port);
        buf_str(buf, " > ");
        put_end(buf, flow, &flow->destination, false, flow->destination_port);
        buf_char(buf, ' ');
    }
    if (flow->start_us != 0) {
        time_print(flow->start_us, time);
    }
    buf_printf(buf, "%s %s %s%s%s", flow_action_name(flow->action), DIRECTIONS[flow->direction],
               flow->shows_start ? "start " : "", flow->aggregated ? "aggregate " : "", time);
    if (flow->end_us != flow->start_us) {
        time_print(flow->end_us, time);
        buf_printf(buf, " to %s", time);
    }
    if (flow->has_bytes) {
        buf_printf(buf, " %llu bytes", (unsigned long long)flow->bytes);
    }
    if (flow->unjoinable != NULL) {
        buf_printf(buf, " unjoinable %s", flow->unjoinable);
    }
}

/* "dns zeek 192.0.2.7 TIME rcode 0 ttl 60: www.example.com > cdn.example.net = 192.0.2.80" */
static void put_dns(struct buf *buf, const struct dns_record *dns)
{
    char client[ADDR_TEXT_MAX];
    char time[TIME_TEXT_MAX];
    char name[NAME_TEXT_MAX];
    struct answer answer;
    addr_print(&dns->client, client);
    time_print(dns->time_us, time);
    buf_printf(buf, "dns %s %s %s rcode %u", dns->source, client, time, dns->rcode);
    if (dns->answer.len == 0) {
        return;
    }
    const uint8_t *bytes = (const uint8_t *)dns->answer.data;
    if (answer_decode(&answer, bytes, dns->answer.len) != 0) {
        buf_str(buf, " and an answer that is none");
        return;
    }
    name_to_text(answer.asked, name);
    buf_printf(buf, " ttl %u: %s", dns->ttl_s, name);
    for (uint8_t i = 0; i < answer.chain_count; i++) {
        name_to_text(answer.chain[i], name);
        buf_printf(buf, " > %s", name);
    }
    for (size_t i = 0; i < (size_t)answer.v4_count + answer.v6_count; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr = answer_addr(&answer, i);
        addr_print(&addr, text);
        buf_printf(buf, "%s %s", i == 0 ? " =" : "", text);
    }
}

static void put_who(struct buf *buf, const struct flow_identity *id)
{
    static const char *const ENDS[] = {"", "pod ", "service ", "node ", "network "};
    const struct {
        const char *before;
        struct text text;
        const char *after;
    } PARTS[] = {
        {"in ", id->cluster, " "}, {"", id->namespace, "/"}, {"", id->pod, " "},
        {"(", id->workload, ") "}, {"on ", id->node, " "},   {"service ", id->service, " "},
    };
    size_t before = buf->len;
    buf_str(buf, ENDS[id->end]);
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        if (PARTS[i].text.len > 0) {
            buf_str(buf, PARTS[i].before);
            buf_add(buf, PARTS[i].text.data, PARTS[i].text.len);
            buf_str(buf, PARTS[i].after);
        }
    }
    if (buf->len == before) {
        buf_str(buf, "- ");
    }
}

const char *flow_lines_who(const struct flow_record *record)
{
    static char text[2048];
    struct buf buf = {0};
    put_who(&buf, &record->flow.source_id);
    buf_str(&buf, "> ");
    put_who(&buf, &record->flow.destination_id);
    snprintf(text, sizeof(text), "%.*s",
             (int)buf.len - (buf.len > 0 && buf.data[buf.len - 1] == ' '), buf.data);
    buf_fini(&buf);
    return text;
}

const char *flow_lines_text(const struct flow_record *record)
{
    static char text[2048];
    struct buf buf = {0};
    switch (record->parsed) {
    case PARSED_FLOW:
        put_flow(&buf, &record->flow);
        break;
    case PARSED_DNS:
        put_dns(&buf, &record->dns);
        break;
    case PARSED_SKIPPED:
        buf_printf(&buf, "skip %s", skip_name(record->skip));
        break;
    case PARSED_BAD:
        buf_printf(&buf, "bad: %.*s", (int)record->fault.len, record->fault.data);
        break;
    case PARSED_FOREIGN:
        buf_str(&buf, "foreign");
    }
    snprintf(text, sizeof(text), "%.*s", (int)buf.len, buf.data);
    buf_fini(&buf);
    return text;
}
