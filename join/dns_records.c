/* join/dns_records.c -- DNS responses among flow records, from text to facts for the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/dns_records.h"

#include <string.h>

#include "base/clock.h"

enum { DNS_PORT = 53 };

void dns_builder_init(struct dns_builder *builder, struct text asked)
{
    builder->bad = NULL;
    builder->too_long = false;
    builder->has_ttl = false;
    builder->ttl_s = 0;
    builder->chain_count = 0;
    builder->v4_count = 0;
    builder->v6_count = 0;
    if (asked.data != NULL && asked.len == 0) {
        asked = (struct text){".", 1};
    }
    if (name_from_text(&builder->asked, asked.data, asked.len) != 0) {
        builder->bad = "the asked name is no domain name";
    }
}

void dns_builder_target(struct dns_builder *builder, struct text name)
{
    if (builder->chain_count == ANSWER_CHAIN_MAX) {
        builder->too_long = true;
    } else if (name_from_text(&builder->chain[builder->chain_count], name.data, name.len) != 0) {
        builder->bad = "the target of a CNAME is no domain name";
    } else {
        builder->chain_count++;
    }
}

static void add_addr(struct dns_builder *builder, const struct addr *addr)
{
    if (addr_is_v4(addr)) {
        if (builder->v4_count < DNS_RECORD_ADDRS_MAX) {
            memcpy(builder->v4 + (size_t)builder->v4_count++ * 4, addr->b + 12, 4);
        }
    } else if (builder->v6_count < DNS_RECORD_ADDRS_MAX) {
        memcpy(builder->v6 + (size_t)builder->v6_count++ * 16, addr->b, 16);
    }
}

void dns_builder_addr(struct dns_builder *builder, struct text text)
{
    struct addr addr;
    if (text.data != NULL && addr_parse(&addr, text.data, text.len)) {
        add_addr(builder, &addr);
    } else {
        builder->bad = "an answered address is no IP address";
    }
}

void dns_builder_answer(struct dns_builder *builder, struct text answer)
{
    struct addr addr;
    if (answer.data != NULL && addr_parse(&addr, answer.data, answer.len)) {
        add_addr(builder, &addr);
    } else {
        dns_builder_target(builder, answer);
    }
}

void dns_builder_ttl(struct dns_builder *builder, uint64_t ttl_s)
{
    uint32_t ttl = ttl_s > INT32_MAX ? 0 : (uint32_t)ttl_s;
    if (!builder->has_ttl || ttl < builder->ttl_s) {
        builder->ttl_s = ttl;
    }
    builder->has_ttl = true;
}

/* The canonical bytes, in the batch's arena. */
static struct text encode(struct dns_builder *builder, struct parser *parser)
{
    const uint8_t *chain[ANSWER_CHAIN_MAX];
    size_t cap = ANSWER_HEAD_LEN + builder->asked.len + (size_t)builder->v4_count * 4 +
                 (size_t)builder->v6_count * 16;
    for (size_t i = 0; i < builder->chain_count; i++) {
        chain[i] = builder->chain[i].wire;
        cap += builder->chain[i].len;
    }
    char *bytes = arena_take(parser->arena, cap);
    if (bytes == NULL) {
        parser->no_memory = true;
        return (struct text){NULL, 0};
    }
    size_t len = answer_encode(ANSWER_VIA_CLIENT, builder->asked.wire, chain, builder->chain_count,
                               builder->v4, builder->v4_count, builder->v6, builder->v6_count,
                               (uint8_t *)bytes, cap);
    arena_trim(parser->arena, cap, len);
    return (struct text){bytes, len};
}

enum parsed dns_builder_finish(struct dns_builder *builder, struct parser *parser,
                               const struct dns_record *facts, struct flow_record *record)
{
    enum addr_kind kind = addr_kind(&facts->client);
    bool answered =
        facts->rcode == 0 && !builder->too_long && (builder->v4_count > 0 || builder->v6_count > 0);
    if (builder->bad != NULL) {
        return parse_bad(parser, record, "a DNS response: %s", builder->bad);
    }
    if (facts->time_us == 0) {
        return parse_bad(parser, record, "a DNS response without a time");
    }
    if (kind == ADDR_MULTICAST || kind == ADDR_BROADCAST || kind == ADDR_UNSPECIFIED) {
        return parse_skip(record, SKIP_L7);
    }
    record->dns = *facts;
    record->dns.ttl_s = builder->has_ttl ? builder->ttl_s : DNS_RECORD_TTL_S;
    record->dns.answer = answered ? encode(builder, parser) : (struct text){NULL, 0};
    return PARSED_DNS;
}

bool dns_client_is_source(uint16_t source_port, uint16_t destination_port, bool otherwise)
{
    bool source_serves = source_port == DNS_PORT;
    bool destination_serves = destination_port == DNS_PORT;
    return source_serves == destination_serves ? otherwise : destination_serves;
}
