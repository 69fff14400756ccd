/* base/addr.c -- IP addresses as 16 bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t V4_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_from_v4(const uint8_t v4[4])
{
    struct addr addr;
    memcpy(addr.b, V4_PREFIX, sizeof(V4_PREFIX));
    memcpy(addr.b + 12, v4, 4);
    return addr;
}

bool addr_from_wire(struct addr *addr, const uint8_t *bytes, size_t len)
{
    if (len == 4) {
        *addr = addr_from_v4(bytes);
        return true;
    }
    if (len == 16) {
        memcpy(addr->b, bytes, 16);
        return true;
    }
    return false;
}

/* Dotted IPv4 by hand: flow logs hold two of these a line, and inet_pton needs a terminated copy.
 */
static bool parse_v4(struct addr *addr, const char *text, size_t len)
{
    uint8_t v4[4];
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t digits = 0;
        while (at < len && text[at] >= '0' && text[at] <= '9' && digits < 4) {
            value = value * 10 + (unsigned)(text[at] - '0');
            at++;
            digits++;
        }
        /* A leading zero is refused as inet_pton does: some programs read it as octal. */
        if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[at - digits] == '0')) {
            return false;
        }
        v4[part] = (uint8_t)value;
        if (part < 3 && (at == len || text[at++] != '.')) {
            return false;
        }
    }
    if (at != len) {
        return false;
    }
    *addr = addr_from_v4(v4);
    return true;
}

bool addr_parse(struct addr *addr, const char *text, size_t len)
{
    if (memchr(text, ':', len) == NULL) {
        return parse_v4(addr, text, len);
    }
    char copy[ADDR_TEXT_MAX];
    if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, addr->b) == 1;
}

static size_t print_octet(char *text, unsigned value)
{
    size_t at = 0;
    if (value >= 100) {
        text[at++] = (char)('0' + value / 100);
    }
    if (value >= 10) {
        text[at++] = (char)('0' + value / 10 % 10);
    }
    text[at++] = (char)('0' + value % 10);
    return at;
}

size_t addr_print(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
    if (!addr_is_v4(addr)) {
        inet_ntop(AF_INET6, addr->b, text, ADDR_TEXT_MAX);
        return strlen(text);
    }
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0) {
            text[at++] = '.';
        }
        at += print_octet(text + at, addr->b[12 + part]);
    }
    text[at] = '\0';
    return at;
}

bool addr_is_v4(const struct addr *addr)
{
    return memcmp(addr->b, V4_PREFIX, sizeof(V4_PREFIX)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static const struct {
    const char *cidr;
    enum addr_kind kind;
} RANGES[] = {
    /* Cloud metadata services: AWS/GCP/Azure IMDS, ECS and EKS credentials, Alibaba, Azure wire
       server. */
    {"169.254.169.254", ADDR_METADATA},
    {"169.254.170.2", ADDR_METADATA},
    {"169.254.170.23", ADDR_METADATA},
    {"100.100.100.200", ADDR_METADATA},
    {"168.63.129.16", ADDR_METADATA},
    {"fd00:ec2::254", ADDR_METADATA},
    {"fd00:ec2::23", ADDR_METADATA},
    {"0.0.0.0", ADDR_UNSPECIFIED},
    {"::", ADDR_UNSPECIFIED},
    {"255.255.255.255", ADDR_BROADCAST},
    {"224.0.0.0/4", ADDR_MULTICAST},
    {"ff00::/8", ADDR_MULTICAST},
    {"10.0.0.0/8", ADDR_PRIVATE},     /* RFC 1918 */
    {"172.16.0.0/12", ADDR_PRIVATE},  /* RFC 1918 */
    {"192.168.0.0/16", ADDR_PRIVATE}, /* RFC 1918 */
    {"100.64.0.0/10", ADDR_PRIVATE},  /* RFC 6598, also used for pods */
    {"127.0.0.0/8", ADDR_PRIVATE},    /* loopback */
    {"169.254.0.0/16", ADDR_PRIVATE}, /* RFC 3927 */
    {"::1", ADDR_PRIVATE},            /* loopback */
    {"fc00::/7", ADDR_PRIVATE},       /* RFC 4193 */
    {"fe80::/10", ADDR_PRIVATE},      /* RFC 4291 */
};
enum { RANGE_COUNT = sizeof(RANGES) / sizeof(RANGES[0]) };

/* A range as two words each of address and mask. */
struct words {
    uint64_t addr[2];
    uint64_t mask[2];
};

static struct words ranges[RANGE_COUNT];
/* By the first octet of an address: may it be in any of them? */
static bool v4_in_range[256];
static bool v6_in_range[256];

static struct words words_of(const struct cidr *cidr)
{
    struct words words;
    uint8_t mask[sizeof(cidr->addr.b)] = {0};
    for (unsigned bit = 0; bit < cidr->bits; bit++) {
        mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    memcpy(words.addr, cidr->addr.b, sizeof(words.addr));
    memcpy(words.mask, mask, sizeof(words.mask));
    return words;
}

/* Marks the first octets that an address of the range may have. */
static void mark_first_octets(const struct cidr *cidr)
{
    bool v4 = addr_is_v4(&cidr->addr);
    unsigned bits = cidr->bits - (v4 ? 96u : 0u);
    uint8_t first = cidr->addr.b[v4 ? 12 : 0];
    unsigned last = first | (bits < 8 ? 0xffu >> bits : 0);
    for (unsigned octet = first; octet <= last; octet++) {
        (v4 ? v4_in_range : v6_in_range)[octet] = true;
    }
}

/* Before main, so that every thread finds the tables ready. */
__attribute__((constructor)) static void parse_ranges(void)
{
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        struct cidr cidr;
        cidr_parse(&cidr, RANGES[i].cidr, strlen(RANGES[i].cidr));
        ranges[i] = words_of(&cidr);
        mark_first_octets(&cidr);
    }
}

enum addr_kind addr_kind(const struct addr *addr)
{
    uint64_t words[2];
    if (addr_is_v4(addr) ? !v4_in_range[addr->b[12]] : !v6_in_range[addr->b[0]]) {
        return ADDR_EXTERNAL;
    }
    memcpy(words, addr->b, sizeof(words));
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        if ((((words[0] ^ ranges[i].addr[0]) & ranges[i].mask[0]) |
             ((words[1] ^ ranges[i].addr[1]) & ranges[i].mask[1])) == 0) {
            return RANGES[i].kind;
        }
    }
    return ADDR_EXTERNAL;
}

bool cidr_parse(struct cidr *cidr, const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len);
    size_t addr_len = slash != NULL ? (size_t)(slash - text) : len;
    if (!addr_parse(&cidr->addr, text, addr_len)) {
        return false;
    }
    cidr->bits = 128;
    if (slash == NULL) {
        return true;
    }
    bool v4 = memchr(text, ':', addr_len) == NULL;
    unsigned bits = 0;
    size_t digits = len - addr_len - 1;
    if (digits == 0 || digits > 3) {
        return false;
    }
    for (size_t i = addr_len + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    if (bits > (v4 ? 32u : 128u)) {
        return false;
    }
    cidr->bits = (uint8_t)(v4 ? bits + 96 : bits);
    return true;
}

bool cidr_has(const struct cidr *cidr, const struct addr *addr)
{
    size_t whole = cidr->bits / 8;
    if (memcmp(cidr->addr.b, addr->b, whole) != 0) {
        return false;
    }
    unsigned rest = cidr->bits % 8;
    if (rest == 0) {
        return true;
    }
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return ((cidr->addr.b[whole] ^ addr->b[whole]) & mask) == 0;
}
