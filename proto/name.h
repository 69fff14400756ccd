/* proto/name.h -- domain names in wire form
 * SPDX-License-Identifier: Apache-2.0
 *
 * A name is the uncompressed wire form of RFC 1035 section 3.1: length-prefixed labels ending with
 * the root's zero octet, at most 255 octets, each label 1 to 63 octets. Inside the program names
 * are always lower case (ASCII only, RFC 4343); any octet may stand in a label. Text form is for
 * people: no trailing dot, octets outside 0x21..0x7e as \DDD and '.', '\', '"', ';', '(', ')', '@',
 * '$' escaped as in zone files (RFC 1035 section 5.1); the root prints as ".".
 *
 * The reversed form (labels from the root downwards, without the zero octet: 03 com 07 example) is
 * the key form of the index: all names under a suffix are neighbours.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_WIRE_MAX 255
/* 255 octets, each at most "\DDD", and the NUL. */
#define NAME_TEXT_MAX 1024

struct name {
    uint8_t len; /* octets used in `wire`, the zero octet included; 1 is the root */
    uint8_t wire[NAME_WIRE_MAX];
};

/* Length in octets of the wire name at `wire` (trusted: made by this module), zero octet included.
 */
size_t name_wire_len(const uint8_t *wire);

/* Text to name: lower-cases, takes \DDD and \X escapes, one trailing dot allowed. Returns 0, or
 * W_ESYNTAX for an empty label, a bad escape, a label over 63 or a name over 255 octets. */
int name_from_text(struct name *name, const char *text, size_t len);

/* Prints the trusted wire name at `wire`, terminated. Returns the length without the NUL. */
size_t name_to_text(const uint8_t *wire, char text[NAME_TEXT_MAX]);

/* Writes the reversed form of the trusted wire name to `key` (NAME_WIRE_MAX octets of room) and
 * returns its length, 0 for the root; and back. name_from_reversed returns W_ESYNTAX where `key` is
 * no reversed name. */
size_t name_reverse(const uint8_t *wire, uint8_t *key);
int name_from_reversed(struct name *name, const uint8_t *key, size_t len);

/* True if the trusted wire name `wire` is `suffix` or lies under it, at a label boundary. */
bool name_is_under(const uint8_t *wire, const uint8_t *suffix);
/* True if `asked` is `target` with a search domain after it: CoreDNS autopath answers the first
 * search try with a CNAME to the name itself, under whatever search domain the pod has. Both are
 * trusted lower-case wire names. */
bool name_is_search_try(const uint8_t *asked, const uint8_t *target);
