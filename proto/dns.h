/* proto/dns.h -- what a DNS response says
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bounded, allocation-free walker over one DNS message (RFC 1035, 2181, 2782, 3596, 6891, 9460).
 * It follows the CNAME chain that really links the question to addresses, whatever the order of the
 * records; records of other owners are ignored, loops end the chain. Compression pointers must
 * point backwards from where the name started (RFC 1035 section 4.1.4: "a prior occurrence"), which
 * bounds every name, and not into the header. Classes other than IN are skipped. Counts and
 * RDLENGTHs are never believed beyond the message; octets after the last record are ignored.
 *
 * The rules of an answer set, which the differential test against ldns repeats:
 * - The chain starts at the question name. Each step takes the first CNAME of the answer section
 *   whose owner is the chain's end; a target already in the chain ends it there.
 * - Addresses are those of the A and AAAA records and of the ipv4hint and ipv6hint of the HTTPS and
 *   SVCB records (ServiceMode only) of the answer section whose owner is the chain's end.
 * - If there are none, those of the A and AAAA records of the additional section whose owner is a
 *   target of one of the first DNS_TARGETS_MAX SRV records of the chain's end: ANSWER_VIA_SRV.
 * - Addresses beyond ANSWER_ADDRS_MAX of a family, or for which ANSWER_BYTES_MAX has no room, are
 *   left out. More than DNS_CNAMES_MAX CNAMEs, or a chain of more than ANSWER_CHAIN_MAX, is no
 *   answer: nobody sends that, and it bounds the work.
 * - RDATA of these types must fill RDLENGTH exactly and obey its RFC, or the message is malformed.
 *   Other records are stepped over. Names are checked as far as stepped over or needed.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/answer.h"

/* CNAME records of one message, and SRV records whose targets are looked for. */
#define DNS_CNAMES_MAX 64
#define DNS_TARGETS_MAX 64

struct dns_response {
    uint16_t flags;    /* the header's second 16 bits: QR, Opcode, AA, TC, RD, RA, AD, CD, RCODE */
    uint16_t rcode;    /* with the EDNS extension (RFC 6891 section 6.1.3) */
    uint16_t qtype;    /* 0 where there is no question */
    bool truncated;    /* TC */
    struct name asked; /* the question name, lower case; len 0 where there is no question */
    uint32_t ttl_s; /* the least TTL over the chain and the addresses; the top bit set counts as 0
                       (RFC 2181 section 8) */
    size_t answer_len; /* canonical answer bytes written, 0 if it carries no address for the asked
                          name */
};

/* Parses a response of at most 65,535 octets. The canonical answer set goes to `answer`
 * (ANSWER_BYTES_MAX octets of room) if rcode is NOERROR, the opcode is QUERY, there is exactly one
 * question, of class IN, and at least one address.
 * Returns 0, or W_ESYNTAX if the message is malformed or is a query (QR = 0): `*response` then
 * holds what was read before the fault and answer_len is 0. */
int dns_parse_response(const uint8_t *msg, size_t len, struct dns_response *response,
                       uint8_t *answer);

/* "A", "AAAA", "HTTPS" ...; NULL if this program knows no name for it. */
const char *dns_type_name(uint16_t type);
/* "NOERROR", "NXDOMAIN" ...; NULL if unknown. */
const char *dns_rcode_name(uint16_t rcode);
