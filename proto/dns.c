/* proto/dns.c -- what a DNS response says
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two passes. The first steps over every record of the message, checks the few kinds that matter
 * and notes the CNAMEs; it is all that most messages (NXDOMAIN) cost. The second exists only for
 * answers: it follows the chain and gathers the addresses at its end.
 */
#include "proto/dns.h"

#include <string.h>

#include "base/err.h"

enum {
    HEADER_LEN = 12,
    MESSAGE_MAX = 65535,
    POINTER = 0xc0, /* the two high bits of a compression pointer */
    LABEL_MAX = 63,
    CLASS_IN = 1,
    FLAG_QR = 0x8000,
    FLAG_OPCODE = 0x7800,
    FLAG_TC = 0x0200,
    FLAG_RCODE = 0x000f,
};

enum rr_type {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    TYPE_OPT = 41,
    TYPE_SVCB = 64,
    TYPE_HTTPS = 65,
};

enum section { ANSWER, AUTHORITY, ADDITIONAL, SECTIONS };

struct rr {
    size_t owner; /* offset of the owner name */
    size_t rdata; /* offset of the RDATA */
    size_t rdlen;
    uint32_t ttl_s;
    uint16_t type;
    uint16_t class;
};

struct link {
    uint16_t owner;
    uint16_t target;
    uint32_t ttl_s;
};

/* A name and where in the message it stands: owners mostly point there. */
struct place {
    struct name *name;
    size_t at;
};

struct walker {
    const uint8_t *msg;
    size_t len;
    size_t section_at[SECTIONS];
    uint16_t section_count[SECTIONS];
    struct link links[DNS_CNAMES_MAX];
    size_t link_count; /* of all CNAMEs, also those that found no room in `links` */
    bool has_service;  /* an SRV record is in the answer section */
};

/* Addresses found, in the order of the message. Not cleared: only what is counted was written. */
struct gathered {
    size_t budget; /* octets of addresses that still fit into the answer set */
    uint32_t ttl_s;
    uint16_t v4_count;
    uint16_t v6_count;
    uint8_t v4[ANSWER_ADDRS_MAX * 4];
    uint8_t v6[ANSWER_ADDRS_MAX * 16];
};

static uint16_t be16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)be16(bytes) << 16 | be16(bytes + 2);
}

/* Lower-cases the ASCII letters among eight octets. */
static uint64_t lower8(uint64_t octets)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low7 = octets & 0x7f * ones;
    uint64_t from_a = low7 + (0x80 - 'A') * ones;
    uint64_t past_z = low7 + (0x7f - 'Z') * ones;
    uint64_t upper = ~octets & (from_a ^ past_z) & 0x80 * ones;
    return octets | upper >> 2;
}

/* Copies labels in lower case. Length octets pass unharmed, for they are below 'A'. */
static void copy_lower(uint8_t *to, const uint8_t *from, size_t len)
{
    uint64_t octets;
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        memcpy(&octets, from + at, 8);
        octets = lower8(octets);
        memcpy(to + at, &octets, 8);
    }
    for (; at < len; at++) {
        to[at] = from[at] >= 'A' && from[at] <= 'Z' ? from[at] | 0x20 : from[at];
    }
}

/* The offset of the root octet or pointer that ends the labels at `at`, or 0 where there is none
 * (no name ends at 0, for the header is there). */
static inline size_t labels_end(const struct walker *w, size_t at)
{
    size_t end = at;
    while (end < w->len && end - at < NAME_WIRE_MAX) {
        uint8_t label = w->msg[end];
        if (label == 0) {
            return end;
        }
        if (label > LABEL_MAX) {
            return label >= POINTER && end + 1 < w->len ? end : 0;
        }
        end += 1u + label;
    }
    return 0;
}

/* The offset after the name at `at`, 0 if it is malformed; pointers are not followed. */
static size_t skip_name(const struct walker *w, size_t at)
{
    size_t end = labels_end(w, at);
    if (end == 0) {
        return 0;
    }
    return w->msg[end] == 0 ? end + 1 : end + 2;
}

/* Expands the name at `at` into `name` and returns the offset after it, 0 if it is malformed. */
static size_t read_name(const struct walker *w, size_t at, struct name *name)
{
    size_t after = 0;
    size_t used = 0;
    for (;;) {
        size_t end = labels_end(w, at);
        /* One octet must be left for the root. */
        if (end == 0 || used + (end - at) >= NAME_WIRE_MAX) {
            return 0;
        }
        copy_lower(name->wire + used, w->msg + at, end - at);
        used += end - at;
        if (w->msg[end] == 0) {
            name->wire[used] = 0;
            name->len = (uint8_t)(used + 1);
            return after != 0 ? after : end + 1;
        }
        if (after == 0) {
            after = end + 2;
        }
        size_t target = be16(w->msg + end) & 0x3fff;
        /* Each part starts before the one that points to it, so this ends. No name is in the
         * header. */
        if (target >= at || target < HEADER_LEN) {
            return 0;
        }
        at = target;
    }
}

/* 1 if the owner name at `at` is `place`, 0 if it is another, W_ESYNTAX if it is malformed. Only
 * for owners that skip_name accepted. */
static int owner_is(const struct walker *w, size_t at, const struct place *place)
{
    const struct name *name = place->name;
    if (w->msg[at] >= POINTER && (be16(w->msg + at) & 0x3fff) == place->at && place->at < at) {
        return 1;
    }
    if (w->len - at >= name->len && memcmp(w->msg + at, name->wire, name->len) == 0) {
        return 1;
    }
    struct name owner;
    if (read_name(w, at, &owner) == 0) {
        return W_ESYNTAX;
    }
    return owner.len == name->len && memcmp(owner.wire, name->wire, name->len) == 0;
}

/* Reads the record at `*at` and moves past it. Returns 0 or W_ESYNTAX. */
static int read_rr(const struct walker *w, size_t *at, struct rr *rr)
{
    enum { TYPE = 0, CLASS = 2, TTL = 4, RDLENGTH = 8, FIXED_LEN = 10 };
    rr->owner = *at;
    size_t fixed = skip_name(w, *at);
    if (fixed == 0 || w->len - fixed < FIXED_LEN) {
        return W_ESYNTAX;
    }
    rr->type = be16(w->msg + fixed + TYPE);
    rr->class = be16(w->msg + fixed + CLASS);
    rr->ttl_s = be32(w->msg + fixed + TTL);
    rr->rdata = fixed + FIXED_LEN;
    rr->rdlen = be16(w->msg + fixed + RDLENGTH);
    if (w->len - rr->rdata < rr->rdlen) {
        return W_ESYNTAX;
    }
    *at = rr->rdata + rr->rdlen;
    return 0;
}

/* Gathers `len` octets of IPv4 addresses, as far as there is room; and of IPv6 addresses. */
static void gather_v4(struct gathered *g, const uint8_t *addrs, size_t len)
{
    for (size_t at = 0; at < len && g->budget >= 4 && g->v4_count < ANSWER_ADDRS_MAX; at += 4) {
        memcpy(g->v4 + 4 * g->v4_count++, addrs + at, 4);
        g->budget -= 4;
    }
}

static void gather_v6(struct gathered *g, const uint8_t *addrs, size_t len)
{
    for (size_t at = 0; at < len && g->budget >= 16 && g->v6_count < ANSWER_ADDRS_MAX; at += 16) {
        memcpy(g->v6 + 16 * g->v6_count++, addrs + at, 16);
        g->budget -= 16;
    }
}

/* Checks one SVCB or HTTPS record (RFC 9460 section 2.2) and gathers its address hints unless `g`
 * is NULL. Returns 0 or W_ESYNTAX. */
static int read_service_binding(const struct walker *w, const struct rr *rr, struct gathered *g)
{
    enum { KEY_IPV4HINT = 4, KEY_IPV6HINT = 6, PARAM_HEAD = 4 };
    size_t end = rr->rdata + rr->rdlen;
    size_t at = rr->rdlen < 3 ? 0 : skip_name(w, rr->rdata + 2);
    if (at == 0 || at > end) {
        return W_ESYNTAX;
    }
    /* In AliasMode (priority 0) parameters mean nothing (section 2.4.2). */
    if (be16(w->msg + rr->rdata) == 0) {
        return 0;
    }
    for (int last_key = -1; at < end;) {
        if (end - at < PARAM_HEAD) {
            return W_ESYNTAX;
        }
        int key = be16(w->msg + at);
        size_t len = be16(w->msg + at + 2);
        at += PARAM_HEAD;
        if (key <= last_key || len > end - at) {
            return W_ESYNTAX;
        }
        if (key == KEY_IPV4HINT || key == KEY_IPV6HINT) {
            /* An empty list is invalid, too (section 7.3). */
            size_t size = key == KEY_IPV4HINT ? 4 : 16;
            if (len == 0 || len % size != 0) {
                return W_ESYNTAX;
            }
            if (g != NULL && size == 4) {
                gather_v4(g, w->msg + at, len);
            } else if (g != NULL) {
                gather_v6(g, w->msg + at, len);
            }
        }
        last_key = key;
        at += len;
    }
    return 0;
}

/* The first pass over a record of the answer section. Returns 0 or W_ESYNTAX. */
static int note_answer_rr(struct walker *w, const struct rr *rr)
{
    size_t end = rr->rdata + rr->rdlen;
    switch (rr->class == CLASS_IN ? rr->type : 0) {
    case TYPE_A:
        return rr->rdlen == 4 ? 0 : W_ESYNTAX;
    case TYPE_AAAA:
        return rr->rdlen == 16 ? 0 : W_ESYNTAX;
    case TYPE_CNAME:
        if (skip_name(w, rr->rdata) != end) {
            return W_ESYNTAX;
        }
        if (w->link_count < DNS_CNAMES_MAX) {
            w->links[w->link_count] =
                (struct link){(uint16_t)rr->owner, (uint16_t)rr->rdata, rr->ttl_s};
        }
        w->link_count++;
        return 0;
    case TYPE_SRV:
        w->has_service = true;
        return skip_name(w, rr->rdata + 6) == end ? 0 : W_ESYNTAX;
    case TYPE_SVCB:
    case TYPE_HTTPS:
        return read_service_binding(w, rr, NULL);
    default:
        return 0;
    }
}

static int note_additional_rr(const struct rr *rr, struct dns_response *response)
{
    if (rr->type == TYPE_OPT) {
        /* The upper eight bits of the rcode lead the OPT record's TTL field. */
        response->rcode = (uint16_t)((response->flags & FLAG_RCODE) | (rr->ttl_s >> 24) << 4);
    } else if (rr->class == CLASS_IN && rr->type == TYPE_A) {
        return rr->rdlen == 4 ? 0 : W_ESYNTAX;
    } else if (rr->class == CLASS_IN && rr->type == TYPE_AAAA) {
        return rr->rdlen == 16 ? 0 : W_ESYNTAX;
    }
    return 0;
}

/* Steps over all records from `at` on. Returns 0 or W_ESYNTAX. */
static int note_records(struct walker *w, size_t at, struct dns_response *response)
{
    for (int section = ANSWER; section < SECTIONS; section++) {
        w->section_at[section] = at;
        w->section_count[section] = be16(w->msg + 6 + 2 * section);
        for (uint16_t i = 0; i < w->section_count[section]; i++) {
            struct rr rr;
            int err = read_rr(w, &at, &rr);
            if (err == 0 && section == ANSWER) {
                err = note_answer_rr(w, &rr);
            } else if (err == 0 && section == ADDITIONAL) {
                err = note_additional_rr(&rr, response);
            }
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

static uint32_t least_ttl(uint32_t least, uint32_t ttl_s)
{
    uint32_t sane = ttl_s & 0x80000000u ? 0 : ttl_s;
    return sane < least ? sane : least;
}

/* The names from the question to the addresses. */
struct chain {
    struct name names[1 + ANSWER_CHAIN_MAX + 1]; /* the asked name first; one to try the next */
    const uint8_t *wires[1 + ANSWER_CHAIN_MAX];
    size_t count; /* of `names` */
    struct place end;
    uint32_t ttl_s;
};

/* The first CNAME of `place`: 1 and `*link`, or 0 if there is none, or W_ESYNTAX. */
static int find_link(const struct walker *w, const struct place *place, const struct link **link)
{
    for (size_t i = 0; i < w->link_count; i++) {
        int is = owner_is(w, w->links[i].owner, place);
        if (is != 0) {
            *link = &w->links[i];
            return is;
        }
    }
    return 0;
}

static bool chain_has(const struct chain *chain, const struct name *name)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->names[i].len == name->len &&
            memcmp(chain->names[i].wire, name->wire, name->len) == 0) {
            return true;
        }
    }
    return false;
}

/* Follows the CNAMEs from the asked name (names[0], set by the caller) until there is no further
 * one or it leads back. Returns 0, W_ESYNTAX, or W_ELIMIT if the chain is too long. */
static int follow_chain(const struct walker *w, struct chain *chain)
{
    chain->count = 1;
    chain->wires[0] = chain->names[0].wire;
    chain->end = (struct place){&chain->names[0], HEADER_LEN};
    chain->ttl_s = UINT32_MAX;
    const struct link *link;
    int found;
    while ((found = find_link(w, &chain->end, &link)) == 1) {
        struct name *name = &chain->names[chain->count];
        if (read_name(w, link->target, name) == 0) {
            return W_ESYNTAX;
        }
        if (chain_has(chain, name)) {
            return 0;
        }
        if (chain->count > ANSWER_CHAIN_MAX) {
            return W_ELIMIT;
        }
        chain->wires[chain->count++] = name->wire;
        chain->end = (struct place){name, link->target};
        chain->ttl_s = least_ttl(chain->ttl_s, link->ttl_s);
    }
    return found;
}

static bool carries_addrs(const struct rr *rr)
{
    return rr->class == CLASS_IN && (rr->type == TYPE_A || rr->type == TYPE_AAAA ||
                                     rr->type == TYPE_SVCB || rr->type == TYPE_HTTPS);
}

/* Gathers what the first pass found well-formed. */
static void gather_rr(const struct walker *w, const struct rr *rr, struct gathered *g)
{
    size_t budget = g->budget;
    if (rr->type == TYPE_A) {
        gather_v4(g, w->msg + rr->rdata, rr->rdlen);
    } else if (rr->type == TYPE_AAAA) {
        gather_v6(g, w->msg + rr->rdata, rr->rdlen);
    } else {
        read_service_binding(w, rr, g);
    }
    if (g->budget < budget) {
        g->ttl_s = least_ttl(g->ttl_s, rr->ttl_s);
    }
}

/* Gathers the addresses of `place` from the answer section. Returns 0 or W_ESYNTAX. */
static int gather_client(const struct walker *w, const struct place *place, struct gathered *g)
{
    size_t at = w->section_at[ANSWER];
    for (uint16_t i = 0; i < w->section_count[ANSWER]; i++) {
        struct rr rr;
        read_rr(w, &at, &rr);
        if (!carries_addrs(&rr)) {
            continue;
        }
        int is = owner_is(w, rr.owner, place);
        if (is < 0) {
            return is;
        }
        if (is == 1) {
            gather_rr(w, &rr, g);
        }
    }
    return 0;
}

struct targets {
    struct name names[DNS_TARGETS_MAX];
    uint32_t ttls_s[DNS_TARGETS_MAX];
    size_t count;
};

/* Reads the targets of the SRV records of `place`. Returns 0 or W_ESYNTAX. */
static int read_targets(const struct walker *w, const struct place *place, struct targets *t)
{
    t->count = 0;
    size_t at = w->section_at[ANSWER];
    for (uint16_t i = 0; i < w->section_count[ANSWER] && t->count < DNS_TARGETS_MAX; i++) {
        struct rr rr;
        read_rr(w, &at, &rr);
        if (rr.class != CLASS_IN || rr.type != TYPE_SRV) {
            continue;
        }
        int is = owner_is(w, rr.owner, place);
        if (is < 0 || (is == 1 && read_name(w, rr.rdata + 6, &t->names[t->count]) == 0)) {
            return W_ESYNTAX;
        }
        if (is == 1) {
            t->ttls_s[t->count++] = rr.ttl_s;
        }
    }
    return 0;
}

/* Gathers the additional addresses of SRV targets. Returns 0 or W_ESYNTAX. */
static int gather_service(const struct walker *w, const struct place *place, struct gathered *g)
{
    struct targets targets;
    int err = read_targets(w, place, &targets);
    if (err != 0 || targets.count == 0) {
        return err;
    }
    size_t at = w->section_at[ADDITIONAL];
    for (uint16_t i = 0; i < w->section_count[ADDITIONAL]; i++) {
        struct rr rr;
        struct name owner;
        read_rr(w, &at, &rr);
        if (rr.class != CLASS_IN || (rr.type != TYPE_A && rr.type != TYPE_AAAA)) {
            continue;
        }
        if (read_name(w, rr.owner, &owner) == 0) {
            return W_ESYNTAX;
        }
        for (size_t t = 0; t < targets.count; t++) {
            const struct name *target = &targets.names[t];
            if (owner.len == target->len && memcmp(owner.wire, target->wire, owner.len) == 0) {
                gather_rr(w, &rr, g);
                g->ttl_s = least_ttl(g->ttl_s, targets.ttls_s[t]);
                break;
            }
        }
    }
    return 0;
}

/* The second pass. Returns 0 or W_ESYNTAX; response->answer_len stays 0 if there is no address. */
static int read_answer(const struct walker *w, struct dns_response *response, uint8_t *answer)
{
    struct chain chain;
    struct gathered g;
    memcpy(&chain.names[0], &response->asked, 1u + response->asked.len);
    int err = follow_chain(w, &chain);
    if (err != 0) {
        return err == W_ELIMIT ? 0 : err;
    }
    g.v4_count = g.v6_count = 0;
    g.ttl_s = chain.ttl_s;
    g.budget = ANSWER_BYTES_MAX - ANSWER_HEAD_LEN;
    for (size_t i = 0; i < chain.count; i++) {
        g.budget -= chain.names[i].len;
    }
    enum answer_via via = ANSWER_VIA_CLIENT;
    err = gather_client(w, &chain.end, &g);
    if (err == 0 && g.v4_count + g.v6_count == 0 && w->has_service) {
        via = ANSWER_VIA_SRV;
        err = gather_service(w, &chain.end, &g);
    }
    if (err != 0 || g.v4_count + g.v6_count == 0) {
        return err;
    }
    response->ttl_s = g.ttl_s;
    response->answer_len =
        answer_encode(via, chain.wires[0], chain.wires + 1, (uint8_t)(chain.count - 1), g.v4,
                      g.v4_count, g.v6, g.v6_count, answer, ANSWER_BYTES_MAX);
    return 0;
}

/* Reads the questions; `*after` is the offset of the first record. Returns 0 or W_ESYNTAX. */
static int read_questions(const struct walker *w, struct dns_response *response, uint16_t *class,
                          size_t *after)
{
    enum { QTYPE = 0, QCLASS = 2, FIXED_LEN = 4 };
    uint16_t count = be16(w->msg + 4);
    size_t at = HEADER_LEN;
    for (uint16_t i = 0; i < count; i++) {
        size_t fixed = count == 1 ? read_name(w, at, &response->asked) : skip_name(w, at);
        if (fixed == 0 || w->len - fixed < FIXED_LEN) {
            response->asked.len = 0;
            return W_ESYNTAX;
        }
        if (count == 1) {
            response->qtype = be16(w->msg + fixed + QTYPE);
            *class = be16(w->msg + fixed + QCLASS);
        }
        at = fixed + FIXED_LEN;
    }
    *after = at;
    return 0;
}

int dns_parse_response(const uint8_t *msg, size_t len, struct dns_response *response,
                       uint8_t *answer)
{
    response->flags = response->rcode = response->qtype = 0;
    response->truncated = false;
    response->asked.len = 0;
    response->ttl_s = 0;
    response->answer_len = 0;
    if (len < HEADER_LEN || len > MESSAGE_MAX) {
        return W_ESYNTAX;
    }
    response->flags = be16(msg + 2);
    response->rcode = response->flags & FLAG_RCODE;
    response->truncated = (response->flags & FLAG_TC) != 0;

    struct walker w;
    w.msg = msg;
    w.len = len;
    w.link_count = 0;
    w.has_service = false;
    size_t at;
    uint16_t class = 0;
    int err = read_questions(&w, response, &class, &at);
    if (err != 0) {
        return err;
    }
    if ((response->flags & FLAG_QR) == 0) {
        return W_ESYNTAX;
    }
    err = note_records(&w, at, response);
    if (err != 0) {
        return err;
    }
    /* The class of the question is zero where there is not exactly one. */
    if (response->rcode != 0 || (response->flags & FLAG_OPCODE) != 0 || class != CLASS_IN ||
        w.link_count > DNS_CNAMES_MAX) {
        return 0;
    }
    return read_answer(&w, response, answer);
}

struct value_name {
    uint16_t value;
    const char *name;
};

static const char *find_name(const struct value_name *names, size_t count, uint16_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].value == value) {
            return names[i].name;
        }
    }
    return NULL;
}

const char *dns_type_name(uint16_t type)
{
    static const struct value_name NAMES[] = {
        {1, "A"},      {28, "AAAA"},  {65, "HTTPS"},  {5, "CNAME"},  {33, "SRV"},
        {12, "PTR"},   {6, "SOA"},    {2, "NS"},      {15, "MX"},    {16, "TXT"},
        {64, "SVCB"},  {35, "NAPTR"}, {39, "DNAME"},  {41, "OPT"},   {43, "DS"},
        {46, "RRSIG"}, {47, "NSEC"},  {48, "DNSKEY"}, {50, "NSEC3"}, {52, "TLSA"},
        {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"},  {255, "ANY"},  {257, "CAA"},
    };
    return find_name(NAMES, sizeof(NAMES) / sizeof(NAMES[0]), type);
}

const char *dns_rcode_name(uint16_t rcode)
{
    static const struct value_name NAMES[] = {
        {0, "NOERROR"},  {1, "FORMERR"},  {2, "SERVFAIL"}, {3, "NXDOMAIN"}, {4, "NOTIMP"},
        {5, "REFUSED"},  {6, "YXDOMAIN"}, {7, "YXRRSET"},  {8, "NXRRSET"},  {9, "NOTAUTH"},
        {10, "NOTZONE"}, {16, "BADVERS"}, {17, "BADKEY"},  {18, "BADTIME"}, {23, "BADCOOKIE"},
    };
    return find_name(NAMES, sizeof(NAMES) / sizeof(NAMES[0]), rcode);
}
