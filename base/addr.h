/* base/addr.h -- IP addresses as 16 bytes
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every address is 16 bytes in network order; an IPv4 address is kept in its IPv4-mapped form
 * (RFC 4291 section 2.5.5.2), so that ::ffff:192.0.2.1 and 192.0.2.1 are the same address and
 * equality is memcmp. Text is parsed and printed only at the edges.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
    uint8_t b[16];
};

/* Room for any address as text, with the terminating NUL. */
#define ADDR_TEXT_MAX 46

struct addr addr_from_v4(const uint8_t v4[4]);

/* Takes the 4 or 16 bytes of a wire address. Returns false for any other length. */
bool addr_from_wire(struct addr *addr, const uint8_t *bytes, size_t len);

/* Parses `len` bytes of text: dotted IPv4, IPv6 in any RFC 4291 form (uncompressed too, as kernel
 * LOG lines print it). No port, no brackets, no zone. Returns false if it is not an address. */
bool addr_parse(struct addr *addr, const char *text, size_t len);

/* Prints IPv4-mapped addresses dotted, others in RFC 5952 form. Returns the length. */
size_t addr_print(const struct addr *addr, char text[ADDR_TEXT_MAX]);

bool addr_is_v4(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);

enum addr_kind {
    ADDR_EXTERNAL,    /* none of the below: globally reachable, documentation ranges too */
    ADDR_PRIVATE,     /* RFC 1918, RFC 6598, RFC 4193, loopback, link-local */
    ADDR_METADATA,    /* well-known cloud metadata addresses */
    ADDR_MULTICAST,   /* 224.0.0.0/4, ff00::/8 */
    ADDR_BROADCAST,   /* 255.255.255.255 */
    ADDR_UNSPECIFIED, /* 0.0.0.0, :: */
};

enum addr_kind addr_kind(const struct addr *addr);

/* A network: an address and a prefix length counted over 128 bits (IPv4 /24 is 120). */
struct cidr {
    struct addr addr;
    uint8_t bits;
};

/* Parses "192.0.2.0/24", "2001:db8::/32" or a bare address. Returns false if it is neither. */
bool cidr_parse(struct cidr *cidr, const char *text, size_t len);
bool cidr_has(const struct cidr *cidr, const struct addr *addr);
