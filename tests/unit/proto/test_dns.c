/* tests/unit/proto/test_dns.c -- what a DNS response says
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every message of these tables is also held against ldns (tests/support/dns_reference.h), cut at
 * every octet, and with each octet changed. What a response says is written as one line, for
 * example "client example.com > www.example.com = 192.0.2.1 ttl 60", "none NXDOMAIN" or
 * "malformed".
 */
#include "proto/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "tests/support/dns_build.h"
#include "tests/support/dns_reference.h"

#define OCTETS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

enum { QR_RD_RA = 0x8180, NXDOMAIN = 3, TC = 0x0200 };

static uint8_t answer[ANSWER_BYTES_MAX];

static void put_name(struct buf *line, const uint8_t *wire)
{
    char text[NAME_TEXT_MAX];
    name_to_text(wire, text);
    buf_printf(line, " %s", text);
}

static void put_answer(struct buf *line, const struct dns_response *d)
{
    struct answer a;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(answer_decode(&a, answer, d->answer_len), 0);
    buf_str(line, a.via == ANSWER_VIA_SRV ? "srv" : "client");
    put_name(line, a.asked);
    for (size_t i = 0; i < a.chain_count; i++) {
        buf_str(line, " >");
        put_name(line, a.chain[i]);
    }
    buf_str(line, " =");
    for (size_t i = 0; i < (size_t)a.v4_count + a.v6_count; i++) {
        struct addr addr = answer_addr(&a, i);
        addr_print(&addr, text);
        buf_printf(line, " %s", text);
    }
    buf_printf(line, " ttl %u", d->ttl_s);
}

/* Parses exactly `len` octets of heap, so that a sanitizer sees any read beyond them. */
static void describe(struct buf *line, const uint8_t *msg, size_t len)
{
    struct dns_response d;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, msg, len);
    int err = dns_parse_response(copy, len, &d, answer);
    free(copy);
    if (err != 0) {
        assert_int_equal(err, W_ESYNTAX);
        assert_int_equal(d.answer_len, 0);
        buf_str(line, "malformed");
    } else if (d.answer_len > 0) {
        put_answer(line, &d);
    } else {
        assert_int_equal(d.ttl_s, 0);
        const char *rcode = dns_rcode_name(d.rcode);
        buf_printf(line, "none %s", rcode != NULL ? rcode : "?");
    }
    buf_char(line, '\0');
}

static void check_message(const char *name, const uint8_t *msg, size_t len, const char *expected)
{
    struct buf line = {0};
    struct why why;
    describe(&line, msg, len);
    if (strcmp(line.data, expected) != 0) {
        fail_msg("%s: %s, expected %s", name, line.data, expected);
    }
    buf_fini(&line);
    if (dns_compare(msg, len, &why) == DNS_DIFFERENT) {
        fail_msg("%s: %s", name, why.text);
    }
}

/* No prefix of a message says more than that it is malformed; with any octet changed, ldns and the
 * walker still agree. */
static void check_damaged(const char *name, const uint8_t *msg, size_t len)
{
    static const uint8_t CHANGES[] = {0x01, 0x20, 0x80, 0xc0, 0xff};
    struct why why;
    for (size_t cut = 0; cut < len; cut++) {
        struct buf line = {0};
        describe(&line, msg, cut);
        if (strcmp(line.data, "malformed") != 0) {
            fail_msg("%s, cut at %zu: %s", name, cut, line.data);
        }
        buf_fini(&line);
    }
    uint8_t *damaged = malloc(len);
    assert_non_null(damaged);
    for (size_t at = 0; at < len; at++) {
        for (size_t i = 0; i < sizeof(CHANGES); i++) {
            memcpy(damaged, msg, len);
            damaged[at] ^= CHANGES[i];
            if (dns_compare(damaged, len, &why) == DNS_DIFFERENT) {
                fail_msg("%s, octet %zu ^ %#x: %s", name, at, CHANGES[i], why.text);
            }
        }
    }
    free(damaged);
}

static const struct {
    const char *name;
    uint16_t flags;
    const char *lines;
    const char *expected;
} MESSAGES[] = {
    /* clang-format off */
    {"an A record", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 60"},
    {"addresses are sorted and not repeated", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.9\n"
     "AN example.com 50 IN A 192.0.2.10\n"
     "AN example.com 70 IN A 10.0.0.1\n"
     "AN example.com 60 IN A 192.0.2.9",
     "client example.com = 10.0.0.1 192.0.2.9 192.0.2.10 ttl 50"},
    {"AAAA records", QR_RD_RA,
     "QD example.com IN AAAA\n"
     "AN example.com 60 IN AAAA 2001:db8::2\n"
     "AN example.com 60 IN AAAA 2001:db8::1",
     "client example.com = 2001:db8::1 2001:db8::2 ttl 60"},
    {"letters of any case are one name, in the question and in owners", QR_RD_RA,
     "QD eXaMpLe.CoM IN A\n"
     "AN EXAMPLE.com 60 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 60"},
    {"only ASCII letters have a case", QR_RD_RA,
     "QD \\196bc\\091.example IN A\n"
     "AN \\228bc\\091.example 60 IN A 192.0.2.1\n"
     "AN \\196BC\\091.example 60 IN A 192.0.2.2\n"
     "AN \\196BC\\123.example 60 IN A 192.0.2.3",
     "client \\196bc[.example = 192.0.2.2 ttl 60"},
    {"the root may be asked", QR_RD_RA,
     "QD . IN A\n"
     "AN . 60 IN A 192.0.2.1",
     "client . = 192.0.2.1 ttl 60"},
    {"a chain of CNAMEs leads to the addresses", QR_RD_RA,
     "QD www.example.com IN A\n"
     "AN www.example.com 300 IN CNAME cdn.example.net\n"
     "AN cdn.example.net 30 IN CNAME edge.example.org\n"
     "AN edge.example.org 60 IN A 192.0.2.1",
     "client www.example.com > cdn.example.net > edge.example.org = 192.0.2.1 ttl 30"},
    {"records come in any order", QR_RD_RA,
     "QD www.example.com IN A\n"
     "AN edge.example.org 60 IN A 192.0.2.1\n"
     "AN cdn.example.net 300 IN CNAME edge.example.org\n"
     "AN www.example.com 300 IN CNAME cdn.example.net",
     "client www.example.com > cdn.example.net > edge.example.org = 192.0.2.1 ttl 60"},
    {"records of other owners are ignored, and their TTLs", QR_RD_RA,
     "QD www.example.com IN A\n"
     "AN evil.example.net 1 IN A 203.0.113.1\n"
     "AN other.example.net 1 IN CNAME www.example.com\n"
     "AN www.example.com 60 IN A 192.0.2.1\n"
     "AN wwww.example.com 1 IN A 203.0.113.2",
     "client www.example.com = 192.0.2.1 ttl 60"},
    {"only the end of the chain has addresses", QR_RD_RA,
     "QD www.example.com IN A\n"
     "AN www.example.com 60 IN CNAME cdn.example.net\n"
     "AN www.example.com 60 IN A 203.0.113.1\n"
     "AN cdn.example.net 60 IN A 192.0.2.1",
     "client www.example.com > cdn.example.net = 192.0.2.1 ttl 60"},
    {"a chain that leads nowhere", QR_RD_RA,
     "QD www.example.com IN A\n"
     "AN www.example.com 60 IN CNAME cdn.example.net\n"
     "AN www.example.com 60 IN A 203.0.113.1",
     "none NOERROR"},
    {"a loop ends the chain", QR_RD_RA,
     "QD a.example.com IN A\n"
     "AN a.example.com 60 IN CNAME b.example.com\n"
     "AN b.example.com 60 IN CNAME a.example.com\n"
     "AN a.example.com 60 IN A 203.0.113.1\n"
     "AN b.example.com 60 IN A 192.0.2.1",
     "client a.example.com > b.example.com = 192.0.2.1 ttl 60"},
    {"a CNAME to itself is none", QR_RD_RA,
     "QD a.example.com IN A\n"
     "AN a.example.com 5 IN CNAME A.example.com\n"
     "AN a.example.com 60 IN A 192.0.2.1",
     "client a.example.com = 192.0.2.1 ttl 60"},
    {"of two CNAMEs of a name the first counts", QR_RD_RA,
     "QD a.example.com IN A\n"
     "AN a.example.com 60 IN CNAME b.example.com\n"
     "AN a.example.com 60 IN CNAME c.example.com\n"
     "AN b.example.com 60 IN A 192.0.2.1\n"
     "AN c.example.com 60 IN A 203.0.113.1",
     "client a.example.com > b.example.com = 192.0.2.1 ttl 60"},
    {"a DNAME comes with the CNAME it makes", QR_RD_RA,
     "QD a.old.example IN A\n"
     "AN old.example 60 IN DNAME new.example\n"
     "AN a.old.example 0 IN CNAME a.new.example\n"
     "AN a.new.example 60 IN A 192.0.2.1",
     "client a.old.example > a.new.example = 192.0.2.1 ttl 0"},
    {"CNAMEs outside the answer section do not count", QR_RD_RA,
     "QD a.example.com IN A\n"
     "AN b.example.com 60 IN A 203.0.113.1\n"
     "AR a.example.com 60 IN CNAME b.example.com",
     "none NOERROR"},
    {"addresses outside the answer section do not count", QR_RD_RA,
     "QD example.com IN A\n"
     "NS example.com 60 IN A 203.0.113.1\n"
     "AR example.com 60 IN A 203.0.113.2",
     "none NOERROR"},
    {"a TTL with its top bit set is 0", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 2147483648 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 0"},
    {"the largest TTL", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 2147483647 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 2147483647"},
    {"other classes are skipped, with whatever data", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 1 CH A 203.0.113.1\n"
     "AN example.com 1 CH TYPE1 \\# 5 0102030405\n"
     "AN example.com 1 CLASS255 A 203.0.113.2\n"
     "AN example.com 60 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 60"},
    {"a question of another class has no addresses", QR_RD_RA,
     "QD example.com CH A\n"
     "AN example.com 60 IN A 192.0.2.1",
     "none NOERROR"},
    {"the type asked for does not limit what counts", QR_RD_RA,
     "QD example.com IN TYPE255\n"
     "AN example.com 60 IN A 192.0.2.1\n"
     "AN example.com 60 IN AAAA 2001:db8::1",
     "client example.com = 192.0.2.1 2001:db8::1 ttl 60"},
    {"unknown types are stepped over", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 1 IN TYPE65280 \\# 3 c0c0c0\n"
     "AN example.com 60 IN A 192.0.2.1\n"
     "NS example.com 1 IN NS ns.example.com\n"
     "AR ns.example.com 1 IN A 203.0.113.53",
     "client example.com = 192.0.2.1 ttl 60"},
    {"NXDOMAIN, with the SOA and EDNS", QR_RD_RA | NXDOMAIN,
     "QD example.com.ns.svc.cluster.local IN A\n"
     "NS cluster.local 30 IN TYPE6 \\# 3 010203\n"
     "AR . 0 CLASS1232 TYPE41 \\# 0",
     "none NXDOMAIN"},
    {"an error has no addresses, whatever it carries", QR_RD_RA | NXDOMAIN,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1",
     "none NXDOMAIN"},
    {"EDNS extends the rcode", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1\n"
     "AR . 16777216 CLASS1232 TYPE41 \\# 0",
     "none BADVERS"},
    {"EDNS with options and without an extended rcode", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1\n"
     "AR . 32768 CLASS4096 TYPE41 \\# 8 000a00040000beef",
     "client example.com = 192.0.2.1 ttl 60"},
    {"a truncated answer without addresses", QR_RD_RA | TC,
     "QD example.com IN A",
     "none NOERROR"},
    {"a truncated answer with addresses has those", QR_RD_RA | TC,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1",
     "client example.com = 192.0.2.1 ttl 60"},
    {"NODATA", QR_RD_RA, "QD example.com IN AAAA", "none NOERROR"},
    {"no question", QR_RD_RA, "AN example.com 60 IN A 192.0.2.1", "none NOERROR"},
    {"two questions", QR_RD_RA,
     "QD example.com IN A\n"
     "QD example.com IN AAAA\n"
     "AN example.com 60 IN A 192.0.2.1",
     "none NOERROR"},
    {"an opcode that is not QUERY", QR_RD_RA | 0x2800,
     "QD example.com IN A\n"
     "AN example.com 60 IN A 192.0.2.1",
     "none NOERROR"},
    {"a query", 0x0100, "QD example.com IN A", "malformed"},
    {"HTTPS hints are addresses of the name", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.2,192.0.2.1 key5=ech ipv6hint=2001:db8::1",
     "client example.com = 192.0.2.1 192.0.2.2 2001:db8::1 ttl 60"},
    {"SVCB hints at the end of a chain", QR_RD_RA,
     "QD _dns.example.com IN SVCB\n"
     "AN _dns.example.com 60 IN CNAME dns.example.net\n"
     "AN dns.example.net 40 IN SVCB 1 dot.example.net ipv4hint=192.0.2.1",
     "client _dns.example.com > dns.example.net = 192.0.2.1 ttl 40"},
    {"an HTTPS record without hints bounds no TTL", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 5 IN HTTPS 1 . alpn=h2\n"
     "AN example.com 60 IN HTTPS 2 . ipv4hint=192.0.2.1",
     "client example.com = 192.0.2.1 ttl 60"},
    {"AliasMode has no parameters", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 0 alias.example.net ipv4hint=192.0.2.1",
     "none NOERROR"},
    {"keys out of order", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . ipv6hint=2001:db8::1 ipv4hint=192.0.2.1",
     "malformed"},
    {"a key given twice", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . ipv4hint=192.0.2.1 ipv4hint=192.0.2.2",
     "malformed"},
    {"an empty hint", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . ipv4hint=",
     "malformed"},
    {"a hint that is no whole number of addresses", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . key4=abcde",
     "malformed"},
    {"an IPv6 hint of four octets", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN HTTPS 1 . key6=abcd",
     "malformed"},
    {"a parameter longer than its record", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN TYPE65 \\# 11 0001000004000800010203",
     "malformed"},
    {"a parameter cut in its head", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN TYPE65 \\# 6 000100000400",
     "malformed"},
    {"an HTTPS record without a target", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN TYPE65 \\# 2 0001",
     "malformed"},
    {"an HTTPS record whose target runs past it", QR_RD_RA,
     "QD example.com IN HTTPS\n"
     "AN example.com 60 IN TYPE65 \\# 4 00010461\n"
     "AN example.com 60 IN TYPE65 \\# 4 00010000",
     "malformed"},
    {"SRV answers count through the additional addresses of their targets", QR_RD_RA,
     "QD _sip._udp.example.com IN SRV\n"
     "AN _sip._udp.example.com 300 IN SRV 0 5 5060 sip1.example.com\n"
     "AN _sip._udp.example.com 200 IN SRV 1 5 5060 sip2.example.com\n"
     "AR sip2.example.com 60 IN A 192.0.2.2\n"
     "AR sip1.example.com 250 IN AAAA 2001:db8::1\n"
     "AR other.example.com 1 IN A 203.0.113.1",
     "srv _sip._udp.example.com = 192.0.2.2 2001:db8::1 ttl 60"},
    {"SRV at the end of a chain; its own TTL counts", QR_RD_RA,
     "QD _x._tcp.example.com IN SRV\n"
     "AN _x._tcp.example.com 300 IN CNAME _y._tcp.example.net\n"
     "AN _y._tcp.example.net 20 IN SRV 0 0 1 t.example.net\n"
     "AR T.example.NET 60 IN A 192.0.2.1",
     "srv _x._tcp.example.com > _y._tcp.example.net = 192.0.2.1 ttl 20"},
    {"SRV records of other owners have no targets", QR_RD_RA,
     "QD _x._tcp.example.com IN SRV\n"
     "AN _z._tcp.example.com 300 IN SRV 0 0 1 t.example.net\n"
     "AR t.example.net 60 IN A 203.0.113.1",
     "none NOERROR"},
    {"the addresses of an SRV target in the answer section do not count", QR_RD_RA,
     "QD _x._tcp.example.com IN SRV\n"
     "AN _x._tcp.example.com 300 IN SRV 0 0 1 t.example.net\n"
     "AN t.example.net 60 IN A 203.0.113.1",
     "none NOERROR"},
    {"where the name has addresses of its own, SRV targets are not looked for", QR_RD_RA,
     "QD x.example.com IN TYPE255\n"
     "AN x.example.com 300 IN SRV 0 0 1 t.example.net\n"
     "AN x.example.com 60 IN A 192.0.2.1\n"
     "AR t.example.net 60 IN A 203.0.113.1",
     "client x.example.com = 192.0.2.1 ttl 60"},
    {"an A record of five octets", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN TYPE1 \\# 5 c000020100",
     "malformed"},
    {"an A record of no octets", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN TYPE1 \\# 0",
     "malformed"},
    {"an AAAA record of four octets, though it is another name's", QR_RD_RA,
     "QD example.com IN A\n"
     "AN other.example.com 60 IN TYPE28 \\# 4 c0000201\n"
     "AN example.com 60 IN A 192.0.2.1",
     "malformed"},
    {"an additional A record of three octets", QR_RD_RA,
     "QD example.com IN A\n"
     "AR example.com 60 IN TYPE1 \\# 3 c00002",
     "malformed"},
    {"a CNAME that ends before its data", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN TYPE5 \\# 4 01610000",
     "malformed"},
    {"a CNAME that runs past its data", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN TYPE5 \\# 2 0161\n"
     "AN . 60 IN A 192.0.2.1",
     "malformed"},
    {"an SRV record without a target", QR_RD_RA,
     "QD example.com IN A\n"
     "AN example.com 60 IN TYPE33 \\# 6 000000000000",
     "malformed"},
    /* clang-format on */
};

static void responses_say_who_has_which_addresses(void **state)
{
    (void)state;
    static struct dns_build b;
    for (size_t i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++) {
        for (int compress = 0; compress < 2; compress++) {
            dns_build_begin(&b, MESSAGES[i].flags, compress);
            dns_build_lines(&b, MESSAGES[i].lines);
            check_message(MESSAGES[i].name, b.msg, b.len, MESSAGES[i].expected);
            check_damaged(MESSAGES[i].name, b.msg, b.len);
        }
    }
}

/* clang-format off */
#define HEADER(qd, an, ns, ar)                                                                     \
    /* ID, flags QR RD RA, counts */ 0x12, 0x34, 0x81, 0x80, 0, qd, 0, an, 0, ns, 0, ar
#define NAME_A /* offset 12: a.example */ 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0
#define QUESTION /* type, class */ NAME_A, 0, 1, 0, 1
#define FIXED_A /* type, class, ttl, rdlength, rdata */                                            \
    0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1
/* clang-format on */

static const struct {
    const char *name;
    const uint8_t *msg;
    size_t len;
    const char *expected;
} RAW[] = {
    /* clang-format off */
    {"a pointer to the question", OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 12, FIXED_A),
     "client a.example = 192.0.2.1 ttl 60"},
    {"a pointer to a pointer",
     OCTETS(HEADER(1, 2, 0, 0), QUESTION, /* offset 27 */ 0xc0, 12, FIXED_A, 0xc0, 27, FIXED_A),
     "client a.example = 192.0.2.1 ttl 60"},
    {"labels and a pointer into a name",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 1, 'A', 0xc0, 14, FIXED_A),
     "client a.example = 192.0.2.1 ttl 60"},
    {"a pointer to itself", OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 27, FIXED_A), "malformed"},
    {"a pointer to the labels before it",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, /* offset 27 */ 1, 'a', 0xc0, 27, FIXED_A), "malformed"},
    {"two names that point at each other",
     OCTETS(HEADER(1, 2, 0, 0), QUESTION, /* offset 27 */ 0xc0, 43, FIXED_A,
            /* offset 43 */ 0xc0, 27, FIXED_A), "malformed"},
    {"a pointer forwards",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 43, FIXED_A, NAME_A), "malformed"},
    {"a pointer forwards to the end of the chain",
     OCTETS(HEADER(1, 2, 0, 0), QUESTION,
            /* an A record of the name at offset 55 */ 0xc0, 55, FIXED_A,
            /* offset 43, a CNAME */ 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, /* offset 55 */ 1, 'b', 0),
     "malformed"},
    {"a pointer past the message",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xff, 0xff, FIXED_A), "malformed"},
    {"a pointer into the header",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 4, FIXED_A), "malformed"},
    {"a pointer cut in two",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0), "malformed"},
    {"a question that points at itself",
     OCTETS(HEADER(1, 0, 0, 0), 0xc0, 12, 0, 1, 0, 1), "malformed"},
    {"a label type of 0x40",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0x41, 'a', 0, FIXED_A), "malformed"},
    {"a label type of 0x80 in a question",
     OCTETS(HEADER(1, 0, 0, 0), 0x80, 0, 0, 1, 0, 1), "malformed"},
    {"more answers counted than there are",
     OCTETS(HEADER(1, 2, 0, 0), QUESTION, 0xc0, 12, FIXED_A), "malformed"},
    {"fewer answers counted than there are: the rest is not looked at",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 12, FIXED_A, 0xc0, 12, FIXED_A, 0xff),
     "client a.example = 192.0.2.1 ttl 60"},
    {"65,535 of each section",
     OCTETS(0x12, 0x34, 0x81, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, QUESTION),
     "malformed"},
    {"an RDLENGTH that runs past the message",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 5, 1, 2, 3, 4),
     "malformed"},
    {"a CNAME whose target is a loop",
     OCTETS(HEADER(1, 1, 0, 0), QUESTION, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2,
            /* offset 39 */ 0xc0, 39), "malformed"},
    {"a CNAME of another name whose target is a loop does no harm",
     OCTETS(HEADER(1, 2, 0, 0), QUESTION, 0xc0, 14, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2,
            /* offset 39 */ 0xc0, 39, 0xc0, 12, FIXED_A),
     "client a.example = 192.0.2.1 ttl 60"},
    {"eleven octets", OCTETS(0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0), "malformed"},
    {"nothing", (const uint8_t *)"", 0, "malformed"},
    {"a header alone", OCTETS(HEADER(0, 0, 0, 0)), "none NOERROR"},
    {"any octet may stand in a name",
     OCTETS(HEADER(1, 1, 0, 0), 5, 0, '.', 0xff, ' ', '\\', 0, 0, 1, 0, 1, 0xc0, 12, FIXED_A),
     "client \\000\\.\\255\\032\\\\ = 192.0.2.1 ttl 60"},
    /* clang-format on */
};

static void octets_that_lie_are_found_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(RAW) / sizeof(RAW[0]); i++) {
        check_message(RAW[i].name, RAW[i].msg, RAW[i].len, RAW[i].expected);
    }
}

/* A name of `labels` labels of one octet and a last one of `last` octets. */
static size_t put_long_name(uint8_t *to, size_t labels, size_t last)
{
    size_t at = 0;
    for (size_t i = 0; i < labels; i++) {
        to[at++] = 1;
        to[at++] = 'x';
    }
    if (last > 0) {
        to[at++] = (uint8_t)last;
        memset(to + at, 'y', last);
        at += last;
    }
    to[at++] = 0;
    return at;
}

/* A response with that question, an A record that points to it, and the result. */
static int parse_long_name(size_t labels, size_t last, struct dns_response *d)
{
    static const uint8_t HEAD[] = {HEADER(1, 1, 0, 0)};
    static const uint8_t TAIL[] = {0, 1, 0, 1, 0xc0, 12, FIXED_A};
    uint8_t msg[1024];
    struct why why;
    memcpy(msg, HEAD, sizeof(HEAD));
    size_t len = sizeof(HEAD) + put_long_name(msg + sizeof(HEAD), labels, last);
    memcpy(msg + len, TAIL, sizeof(TAIL));
    len += sizeof(TAIL);
    assert_true(dns_compare(msg, len, &why) != DNS_DIFFERENT);
    return dns_parse_response(msg, len, d, answer);
}

static void names_may_have_255_octets_and_labels_63(void **state)
{
    (void)state;
    struct dns_response d;
    /* 127 * 2 + 1 = 255 */
    assert_int_equal(parse_long_name(127, 0, &d), 0);
    assert_int_equal(d.asked.len, 255);
    assert_true(d.answer_len > 0);
    assert_int_equal(parse_long_name(128, 0, &d), W_ESYNTAX);
    assert_int_equal(d.asked.len, 0);
    /* 95 * 2 + 64 + 1 = 255 */
    assert_int_equal(parse_long_name(95, 63, &d), 0);
    assert_int_equal(d.asked.len, 255);
    assert_int_equal(parse_long_name(96, 62, &d), W_ESYNTAX);
    assert_int_equal(parse_long_name(96, 63, &d), W_ESYNTAX);
    assert_int_equal(parse_long_name(1, 64, &d), W_ESYNTAX);
    assert_int_equal(parse_long_name(200, 63, &d), W_ESYNTAX);
}

static void a_name_that_only_pointers_make_too_long_is_malformed(void **state)
{
    (void)state;
    static const uint8_t HEAD[] = {HEADER(1, 1, 0, 0)};
    static const uint8_t QUESTION_TAIL[] = {0, 1, 0, 1};
    /* One octet more than the question leaves room for in the second case. */
    static const uint8_t OWNERS[][5] = {{1, 'z', 0xc0, 12}, {2, 'z', 'z', 0xc0, 12}};
    static const uint8_t RECORD[] = {FIXED_A};
    uint8_t msg[1024];
    struct dns_response d;
    for (size_t i = 0; i < 2; i++) {
        memcpy(msg, HEAD, sizeof(HEAD));
        size_t len = sizeof(HEAD) + put_long_name(msg + sizeof(HEAD), 126, 0);
        memcpy(msg + len, QUESTION_TAIL, sizeof(QUESTION_TAIL));
        len += sizeof(QUESTION_TAIL);
        memcpy(msg + len, OWNERS[i], 4 + i);
        len += 4 + i;
        memcpy(msg + len, RECORD, sizeof(RECORD));
        len += sizeof(RECORD);
        assert_int_equal(dns_parse_response(msg, len, &d, answer), i == 0 ? 0 : W_ESYNTAX);
        assert_int_equal(d.answer_len, 0);
    }
}

/* n0.example > n1.example > ... with `links` CNAMEs, in reverse order, and an address at the end.
 */
static void build_chain(struct dns_build *b, int links)
{
    char line[128];
    dns_build_begin(b, QR_RD_RA, true);
    dns_build_line(b, "QD n0.example IN A");
    snprintf(line, sizeof(line), "AN n%d.example 60 IN A 192.0.2.1", links);
    dns_build_line(b, line);
    for (int i = links - 1; i >= 0; i--) {
        snprintf(line, sizeof(line), "AN n%d.example 60 IN CNAME n%d.example", i, i + 1);
        dns_build_line(b, line);
    }
}

static void a_chain_has_at_most_sixteen_links(void **state)
{
    (void)state;
    static struct dns_build b;
    struct dns_response d;
    struct answer a;
    struct why why;
    for (int links = 0; links <= 70; links++) {
        build_chain(&b, links);
        assert_int_equal(dns_parse_response(b.msg, b.len, &d, answer), 0);
        assert_int_equal(d.answer_len > 0, links <= ANSWER_CHAIN_MAX);
        if (d.answer_len > 0) {
            assert_int_equal(answer_decode(&a, answer, d.answer_len), 0);
            assert_int_equal(a.chain_count, links);
        }
        assert_true(dns_compare(b.msg, b.len, &why) != DNS_DIFFERENT);
    }
}

static void many_cnames_are_no_answer(void **state)
{
    (void)state;
    static struct dns_build b;
    struct dns_response d;
    struct why why;
    dns_build_begin(&b, QR_RD_RA, true);
    dns_build_line(&b, "QD a.example IN A");
    dns_build_line(&b, "AN b.example 60 IN A 192.0.2.1");
    for (int i = 1; i <= DNS_CNAMES_MAX + 1; i++) {
        /* The link that matters is the last that is looked at. */
        dns_build_line(&b, i == DNS_CNAMES_MAX ? "AN a.example 60 IN CNAME b.example"
                                               : "AN x.example 60 IN CNAME y.example");
        assert_int_equal(dns_parse_response(b.msg, b.len, &d, answer), 0);
        assert_int_equal(d.answer_len > 0, i == DNS_CNAMES_MAX);
        assert_true(dns_compare(b.msg, b.len, &why) != DNS_DIFFERENT);
    }
}

static void the_first_sixty_four_srv_targets_count(void **state)
{
    (void)state;
    static struct dns_build b;
    struct dns_response d;
    struct answer a;
    struct why why;
    char line[128];
    dns_build_begin(&b, QR_RD_RA, true);
    dns_build_line(&b, "QD s.example IN SRV");
    for (int i = 0; i < DNS_TARGETS_MAX + 6; i++) {
        snprintf(line, sizeof(line), "AN s.example 60 IN SRV 0 0 1 t%d.example", i);
        dns_build_line(&b, line);
    }
    for (int i = 0; i < DNS_TARGETS_MAX + 6; i++) {
        snprintf(line, sizeof(line), "AR t%d.example 60 IN A 192.0.2.%d", i, i);
        dns_build_line(&b, line);
    }
    assert_int_equal(dns_parse_response(b.msg, b.len, &d, answer), 0);
    assert_int_equal(answer_decode(&a, answer, d.answer_len), 0);
    assert_int_equal(a.v4_count, DNS_TARGETS_MAX);
    assert_int_equal(a.v4[4 * (DNS_TARGETS_MAX - 1) + 3], DNS_TARGETS_MAX - 1);
    assert_true(dns_compare(b.msg, b.len, &why) == DNS_SAME_ADDR);
}

/* The largest message of A records with a pointer as owner. */
static void build_most_addresses(struct dns_build *b)
{
    static const uint8_t RECORD[] = {0xc0, 12, FIXED_A};
    dns_build_begin(b, QR_RD_RA, true);
    dns_build_line(b, "QD a.example IN A");
    unsigned count = 0;
    for (; b->len + sizeof(RECORD) <= DNS_BUILD_MAX; count++) {
        memcpy(b->msg + b->len, RECORD, sizeof(RECORD));
        b->len += sizeof(RECORD);
        /* Descending and each twice. */
        unsigned number = (4095 - count) / 2;
        b->msg[b->len - 2] = (uint8_t)(number >> 8);
        b->msg[b->len - 1] = (uint8_t)number;
    }
    b->msg[6] = (uint8_t)(count >> 8);
    b->msg[7] = (uint8_t)count;
}

static void the_largest_message_is_read_whole(void **state)
{
    (void)state;
    static struct dns_build b;
    struct dns_response d;
    struct answer a;
    struct why why;
    build_most_addresses(&b);
    assert_int_equal(dns_parse_response(b.msg, b.len, &d, answer), 0);
    assert_int_equal(answer_decode(&a, answer, d.answer_len), 0);
    assert_in_range(a.v4_count, 2040, 2048);
    assert_int_equal(dns_compare(b.msg, b.len, &why), DNS_SAME_ADDR);
}

static void a_message_longer_than_65535_octets_is_malformed(void **state)
{
    (void)state;
    struct dns_response d;
    uint8_t *msg = calloc(1, 65536);
    assert_non_null(msg);
    msg[2] = 0x80;
    assert_int_equal(dns_parse_response(msg, 65535, &d, answer), 0);
    assert_int_equal(dns_parse_response(msg, 65536, &d, answer), W_ESYNTAX);
    free(msg);
}

/* HTTPS hints can hold more addresses than an answer set: what there is no room for is left out. */
static void hints_beyond_the_room_of_an_answer_set_are_left_out(void **state)
{
    (void)state;
    static struct dns_build b;
    struct dns_response d;
    struct answer a;
    dns_build_begin(&b, QR_RD_RA, true);
    dns_build_line(&b, "QD a.example IN HTTPS");
    dns_build_line(&b, "AN a.example 60 IN HTTPS 1 . key4=abcd");
    size_t hint = b.len - 4;
    size_t hint_len = (DNS_BUILD_MAX - hint) / 4 * 4;
    for (size_t at = 0; at < hint_len; at += 4) {
        const uint8_t v4[] = {10, 0, (uint8_t)(at >> 10), (uint8_t)(at >> 2)};
        memcpy(b.msg + hint + at, v4, 4);
    }
    b.len = hint + hint_len;
    b.msg[hint - 2] = (uint8_t)(hint_len >> 8);
    b.msg[hint - 1] = (uint8_t)hint_len;
    size_t rdlen = hint_len + 7; /* priority, target, parameter head */
    b.msg[hint - 9] = (uint8_t)(rdlen >> 8);
    b.msg[hint - 8] = (uint8_t)rdlen;
    assert_int_equal(dns_parse_response(b.msg, b.len, &d, answer), 0);
    assert_int_equal(answer_decode(&a, answer, d.answer_len), 0);
    assert_int_equal(a.v4_count, ANSWER_ADDRS_MAX);
}

static void the_header_is_told_even_of_what_is_malformed(void **state)
{
    (void)state;
    static const uint8_t QUERY[] = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, QUESTION};
    static const uint8_t CUT[] = {0x12, 0x34, 0x87, 0x83, 0, 1, 0, 1, 0, 0, 0, 0, QUESTION};
    struct dns_response d;
    assert_int_equal(dns_parse_response(QUERY, sizeof(QUERY), &d, answer), W_ESYNTAX);
    assert_int_equal(d.flags, 0x0100);
    assert_int_equal(d.asked.len, 11);
    assert_int_equal(d.qtype, 1);
    assert_int_equal(dns_parse_response(CUT, sizeof(CUT), &d, answer), W_ESYNTAX);
    assert_int_equal(d.flags, 0x8783);
    assert_int_equal(d.rcode, 3);
    assert_true(d.truncated);
    assert_int_equal(d.asked.len, 11);
}

static void types_and_rcodes_have_names(void **state)
{
    (void)state;
    assert_string_equal(dns_type_name(1), "A");
    assert_string_equal(dns_type_name(65), "HTTPS");
    assert_null(dns_type_name(65280));
    assert_string_equal(dns_rcode_name(0), "NOERROR");
    assert_string_equal(dns_rcode_name(3), "NXDOMAIN");
    assert_string_equal(dns_rcode_name(16), "BADVERS");
    assert_null(dns_rcode_name(4095));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_say_who_has_which_addresses),
        cmocka_unit_test(octets_that_lie_are_found_out),
        cmocka_unit_test(names_may_have_255_octets_and_labels_63),
        cmocka_unit_test(a_name_that_only_pointers_make_too_long_is_malformed),
        cmocka_unit_test(a_chain_has_at_most_sixteen_links),
        cmocka_unit_test(many_cnames_are_no_answer),
        cmocka_unit_test(the_first_sixty_four_srv_targets_count),
        cmocka_unit_test(the_largest_message_is_read_whole),
        cmocka_unit_test(a_message_longer_than_65535_octets_is_malformed),
        cmocka_unit_test(hints_beyond_the_room_of_an_answer_set_are_left_out),
        cmocka_unit_test(the_header_is_told_even_of_what_is_malformed),
        cmocka_unit_test(types_and_rcodes_have_names),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
