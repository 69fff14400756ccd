/* proto/answer.h -- one DNS answer as canonical bytes
 * SPDX-License-Identifier: Apache-2.0
 *
 * An answer set is what an answer said, without who got it, when and with which TTL: the asked
 * name, the CNAME chain from it to the addresses, and the addresses, sorted and without repeats.
 * Equal answers have equal bytes, whatever the order or case on the wire, so that an answer set can
 * be hashed and stored once. The bytes, which only this module knows:
 *
 *   u8 source * 16 + via, u8 chain_count, u16 v4_count, u16 v6_count (host order), asked name,
 * chain names (wire form, lower case), v4_count * 4 and v6_count * 16 octets of addresses
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "proto/name.h"

/* Longest CNAME chain followed; a longer one is cut and the answer has no addresses. */
#define ANSWER_CHAIN_MAX 16
/* Addresses of one family. A message holds at most 4,095 A records of a name that is not the root;
 * only HTTPS hints could exceed this, and what exceeds it is left out. */
#define ANSWER_ADDRS_MAX 4096
/* The counts before the asked name. */
#define ANSWER_HEAD_LEN 6
#define ANSWER_BYTES_MAX 65536

enum answer_via {
    ANSWER_VIA_CLIENT = 0, /* A, AAAA, or HTTPS/SVCB hints */
    ANSWER_VIA_SRV = 1,    /* additional addresses of the targets of an SRV answer */
};

/* Who saw it. An answer that two of them saw is two answer sets. */
enum answer_source {
    ANSWER_FROM_DNSTAP = 0,
    ANSWER_FROM_HUBBLE = 1,
    ANSWER_FROM_ZEEK = 2,
    ANSWER_FROM_SURICATA = 3,
};
enum { ANSWER_SOURCES = ANSWER_FROM_SURICATA + 1 };

/* "dnstap", "hubble", "zeek", "suricata". */
const char *answer_source_name(enum answer_source source);
/* The source of that name; ANSWER_FROM_DNSTAP for any other. */
enum answer_source answer_source_by_name(const char *name);

/* A decoded view; all pointers point into the canonical bytes and live as long as they do. */
struct answer {
    enum answer_via via;
    enum answer_source source;
    const uint8_t *asked; /* wire name */
    uint8_t chain_count;
    const uint8_t *chain[ANSWER_CHAIN_MAX]; /* wire names, in order from the asked name on */
    uint16_t v4_count;
    uint16_t v6_count;
    const uint8_t *v4; /* v4_count * 4 octets */
    const uint8_t *v6; /* v6_count * 16 octets */
};

/* Reads canonical bytes. Returns 0 or W_ESYNTAX if they are not (bounded whatever they are): wrong
 * lengths, names that are none, addresses out of order or repeated. */
int answer_decode(struct answer *answer, const uint8_t *bytes, size_t len);

/* The first octet of the canonical bytes, and what it stands for. answer_set_head returns W_ESYNTAX
 * for an octet that is none, with nothing set. */
uint8_t answer_head(const struct answer *answer);
int answer_set_head(struct answer *answer, uint8_t head);
/* Changes the source in canonical bytes. */
void answer_set_source(uint8_t *bytes, enum answer_source source);

/* Writes the canonical bytes of an answer that dnstap saw, whose names are trusted lower-case wire
 * names and whose addresses are in any order and may repeat. `v4` and `v6` are sorted in place.
 * `chain_count` is at most ANSWER_CHAIN_MAX. Returns the length, or 0 if `cap` is too small. */
size_t answer_encode(enum answer_via via, const uint8_t *asked, const uint8_t *const *chain,
                     uint8_t chain_count, uint8_t *v4, uint16_t v4_count, uint8_t *v6,
                     uint16_t v6_count, uint8_t *bytes, size_t cap);

/* True if a name of the chain is the asked name with its last labels cut off: an answer to a try
 * with a search domain, which leads to the name itself (CoreDNS autopath). `bytes` are trusted. */
bool answer_is_search_try(const uint8_t *bytes);

/* Address number `i` of v4_count + v6_count. */
struct addr answer_addr(const struct answer *answer, size_t i);
