/* tests/support/dns_reference.h -- the DNS walker held against ldns
 * SPDX-License-Identifier: Apache-2.0
 *
 * Builds what dns_parse_response should say from the names and records that ldns reads, by the
 * rules of proto/dns.h, and compares. ldns_wire2rr is given one record at a time, not the message:
 * ldns_wire2pkt goes on wherever a record's RDATA happened to end, so that an A record of five
 * octets puts all that follows out of step, and it leaks a TSIG record when there are two. Known
 * differences, each made good where it arises:
 *
 * - ldns follows compression pointers forwards and into the header; the walker calls such a name
 * malformed.
 * - ldns takes RDATA that is empty or shorter than RDLENGTH; the walker calls it malformed.
 * - ldns keeps SVCB parameters as they are; RFC 9460 is applied here.
 * - Records of types, classes and sections that do not matter are stepped over by RDLENGTH; ldns
 *   never sees them.
 * - The walker may refuse a message because a name in a record that matters is malformed, or may
 *   not have needed that name. Both are right, but if it goes on, the record must count for
 * nothing.
 *
 * Threads: for one thread only; it keeps its working memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum dns_verdict {
    DNS_SAME,      /* they agree that the message is malformed or has no address */
    DNS_SAME_ADDR, /* they agree on an answer with addresses */
    DNS_DIFFERENT, /* `why` says in what */
};

enum dns_verdict dns_compare(const uint8_t *msg, size_t len, struct why *why);
