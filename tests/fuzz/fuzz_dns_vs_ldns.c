/* tests/fuzz/fuzz_dns_vs_ldns.c -- the DNS walker reads what ldns reads
 * SPDX-License-Identifier: Apache-2.0
 *
 * The input is a DNS message. So that a good share of the inputs are valid answers, half of them
 * are made by rule: a response with records over a small set of names, in any order, with and
 * without compression, of which a quarter then get a few octets changed. The other half are
 * libFuzzer's changes to what it has. At the end the number of messages compared is printed.
 */
#include <string.h>

#include "base/err.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/dns_reference.h"

static uint64_t compared;
static uint64_t with_addresses;

static void print_counts(void)
{
    fprintf(stderr, "compared %llu messages with ldns, %llu of them answers with addresses\n",
            (unsigned long long)compared, (unsigned long long)with_addresses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct why why;
    if (compared == 0) {
        atexit(print_counts);
    }
    enum dns_verdict verdict = dns_compare(data, size, &why);
    if (verdict == DNS_DIFFERENT) {
        fuzz_fail(why.text);
    }
    compared++;
    with_addresses += verdict == DNS_SAME_ADDR;
    return 0;
}

enum { NAMES = 6, HEADER_LEN = 12, MADE_MAX = 2048, RECORDS_MAX = 12 };

/* A message in the making. Names are written once and pointed to afterwards, or repeated. */
struct maker {
    uint64_t random;
    uint8_t msg[MADE_MAX];
    size_t len;
    size_t name_at[NAMES]; /* 0: not yet written */
};

static uint32_t below(struct maker *m, uint32_t limit)
{
    return fuzz_random(&m->random) % limit;
}

static void put(struct maker *m, const void *octets, size_t len)
{
    if (len <= MADE_MAX - m->len) {
        memcpy(m->msg + m->len, octets, len);
        m->len += len;
    }
}

static void put_u16(struct maker *m, uint32_t value)
{
    const uint8_t octets[] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(m, octets, 2);
}

static void put_name(struct maker *m, uint32_t which)
{
    static const char *const WIRES[NAMES] = {"\1a\7example", "\1b\7example",      "\1c\4test",
                                             "\1d\1c\4test", "\3www\1A\7eXample", ""};
    if (m->name_at[which] != 0 && below(m, 4) != 0) {
        put_u16(m, 0xc000 | (uint32_t)m->name_at[which]);
        return;
    }
    size_t at = m->len;
    put(m, WIRES[which], strlen(WIRES[which]) + 1);
    if (below(m, 3) == 0) {
        /* Some letter in the other case. */
        uint8_t *octet = m->msg + at + below(m, (uint32_t)(m->len - at));
        *octet ^= *octet >= 'A' ? 0x20 : 0;
    }
    m->name_at[which] = at;
}

/* Addresses from a small range, so that some repeat. */
static void put_addr(struct maker *m, size_t size)
{
    uint8_t octets[16] = {0x20, 1, 0x0d, 0xb8};
    octets[size - 1] = (uint8_t)below(m, 6);
    octets[size - 2] = (uint8_t)below(m, 2);
    put(m, octets, size);
}

static void put_param(struct maker *m, uint32_t key)
{
    static const uint8_t OCTETS[16] = "\2h2parameter";
    put_u16(m, key);
    size_t size = key == 4 ? 4 : key == 6 ? 16 : 0;
    uint32_t count = 1 + below(m, 3);
    put_u16(m, size != 0 ? (uint32_t)size * count : count);
    for (uint32_t i = 0; i < count && size != 0; i++) {
        put_addr(m, size);
    }
    if (size == 0) {
        put(m, OCTETS, count);
    }
}

static void put_rdata(struct maker *m, uint32_t type)
{
    switch (type) {
    case 1:
        put_addr(m, 4);
        break;
    case 28:
        put_addr(m, 16);
        break;
    case 33:
        put(m, "\0\1\0\2\0\3", 6);
        put_name(m, below(m, NAMES));
        break;
    case 64:
    case 65:
        put_u16(m, below(m, 5));
        put_name(m, below(m, NAMES));
        for (uint32_t key = below(m, 5); key < 8; key += 1 + below(m, 4)) {
            put_param(m, key);
        }
        break;
    case 41:
    case 65280:
        put(m, "\0\12\0\4abcd", 8);
        break;
    default:
        put_name(m, below(m, NAMES));
    }
}

/* The section's number is its place in the header's counts: 1 answer to 3 additional. */
static void put_record(struct maker *m, int section)
{
    static const uint16_t ANSWER[] = {1, 1, 1, 28, 28, 5, 5, 5, 5, 33, 33, 64, 65, 39, 65280};
    static const uint16_t OTHER[] = {1, 1, 1, 28, 28, 41, 2, 5, 65280};
    static const uint16_t RARE_CLASSES[] = {3, 254, 255, 0};
    uint32_t type = section == 1 ? ANSWER[below(m, sizeof(ANSWER) / sizeof(ANSWER[0]))]
                                 : OTHER[below(m, sizeof(OTHER) / sizeof(OTHER[0]))];
    put_name(m, type == 41 ? NAMES - 1 : below(m, NAMES));
    put_u16(m, type);
    put_u16(m, type == 41 ? 1232 : below(m, 16) != 0 ? 1 : RARE_CLASSES[below(m, 4)]);
    /* The upper half of an OPT record's TTL is the extended rcode. */
    put_u16(m, below(m, 16) == 0 ? below(m, 65536) : 0);
    put_u16(m, below(m, 600));
    size_t length_at = m->len;
    put_u16(m, 0);
    put_rdata(m, type);
    size_t rdlen = m->len - length_at - 2;
    m->msg[length_at] = (uint8_t)(rdlen >> 8);
    m->msg[length_at + 1] = (uint8_t)rdlen;
    m->msg[HEADER_LEN - 7 + 2 * section]++;
}

static void make_message(struct maker *m)
{
    static const uint8_t HEADER[HEADER_LEN] = {0x12, 0x34, 0x81, 0x80, 0, 1};
    static const uint16_t QTYPES[] = {1, 28, 5, 33, 64, 65, 255};
    put(m, HEADER, sizeof(HEADER));
    put_name(m, below(m, NAMES));
    put_u16(m, QTYPES[below(m, sizeof(QTYPES) / sizeof(QTYPES[0]))]);
    put_u16(m, 1);
    for (int section = 1; section <= 3; section++) {
        uint32_t records = section == 1 ? 1 + below(m, RECORDS_MAX) : below(m, RECORDS_MAX / 2);
        for (uint32_t i = 0; i < records; i++) {
            put_record(m, section);
        }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static struct maker m;
    memset(&m, 0, sizeof(m));
    m.random = 0x9e3779b97f4a7c15 ^ ((uint64_t)seed << 17 | size);
    if (below(&m, 2) == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    make_message(&m);
    size_t len = m.len < max_size ? m.len : max_size;
    memcpy(data, m.msg, len);
    for (uint32_t changes = below(&m, 4) == 0 ? 1 + below(&m, 3) : 0; changes > 0; changes--) {
        data[below(&m, (uint32_t)len)] = (uint8_t)below(&m, 256);
    }
    return len;
}
