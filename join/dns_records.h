/* join/dns_records.h -- DNS responses among flow records, from text to facts for the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * A format hands over what its record says, in text: the asked name, the targets of CNAME records
 * in their order, addresses, TTLs. Out comes what dnstap would have given: the canonical answer
 * (proto/answer.h), with the lowest TTL.
 *
 * Threads: a builder belongs to one thread at a time.
 */
#pragma once

#include "join/format.h"
#include "proto/answer.h"
#include "proto/name.h"

/* Addresses of one family in one response; further ones are left out. A response over UDP with the
 * usual 4,096 octets has room for half of them. */
#define DNS_RECORD_ADDRS_MAX 512

/* How long an answer is taken to be valid where the stream does not say (Retina, grouped answers of
 * Suricata): what CoreDNS gives names of the cluster, and at the lower end of what others use, so
 * that an address that has changed hands is not given an old name. Lateness is `grace`'s. */
#define DNS_RECORD_TTL_S 30

struct dns_builder {
    /* private */
    const char *bad; /* static: what could not be read */
    struct name asked;
    bool too_long; /* a chain of more than ANSWER_CHAIN_MAX */
    bool has_ttl;
    uint32_t ttl_s;
    uint8_t chain_count;
    uint16_t v4_count;
    uint16_t v6_count;
    struct name chain[ANSWER_CHAIN_MAX];
    uint8_t v4[DNS_RECORD_ADDRS_MAX * 4];
    uint8_t v6[DNS_RECORD_ADDRS_MAX * 16];
};

/* Begins with the asked name; an empty one is the root. */
void dns_builder_init(struct dns_builder *builder, struct text asked);
/* The target of the next CNAME record. */
void dns_builder_target(struct dns_builder *builder, struct text name);
/* What an A or AAAA record says. */
void dns_builder_addr(struct dns_builder *builder, struct text addr);
/* What is either an address or the target of a CNAME record. */
void dns_builder_answer(struct dns_builder *builder, struct text answer);
/* The TTL of a record; the lowest counts. One with the top bit set is 0 (RFC 2181 section 8). */
void dns_builder_ttl(struct dns_builder *builder, uint64_t ttl_s);

/* Makes the record PARSED_DNS with `facts` (source, sender, client, time_us, rcode) and the answer,
 * which is empty where the response failed or gave no address. It is PARSED_BAD where a name or an
 * address is none or facts.time_us is 0, and left out where the client is not one machine, as with
 * multicast DNS. */
enum parsed dns_builder_finish(struct dns_builder *builder, struct parser *parser,
                               const struct dns_record *facts, struct flow_record *record);

/* Of a response's two ends, whether the client is the one that the record calls the source: the
 * end at port 53 is the server, or, where neither or both are, `otherwise` it is. */
bool dns_client_is_source(uint16_t source_port, uint16_t destination_port, bool otherwise);
