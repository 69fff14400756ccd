/* tests/support/dns_build.h -- DNS messages from lines of text, for tests
 * SPDX-License-Identifier: Apache-2.0
 *
 * A line is a record as `dig` prints it, with its section in front:
 *
 *   QD example.com IN A
 *   AN example.com 300 IN CNAME www.example.com
 *   AN www.example.com 60 IN A 192.0.2.1
 *   AR _sip._udp.example.com 60 IN SRV 0 5 5060 sip.example.com
 *   AN example.com 60 IN HTTPS 1 . ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 alpn=h2
 *   AR . 4096 CLASS32768 TYPE41 \# 0
 *
 * Unknown types are TYPEnnn with RFC 3597 data (`\#`, a length, hex). Sections must come in order.
 * Names are written uncompressed, or with compression pointers to every name before (RFC 1035
 * section 4.1.4) where `compress` is set. A line that is wrong ends the test program: it is an
 * error of the test. Threads: a builder belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_BUILD_MAX 65535

struct dns_build {
    bool compress;
    size_t len;
    uint8_t msg[DNS_BUILD_MAX];
};

/* A header with ID 0x1234, the given second 16 bits and no records. */
void dns_build_begin(struct dns_build *build, uint16_t flags, bool compress);
void dns_build_line(struct dns_build *build, const char *line);
/* Several lines, separated by newlines; leading blanks are skipped. */
void dns_build_lines(struct dns_build *build, const char *lines);
