/* tests/support/dns_reference.c -- the DNS walker held against ldns
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/dns_reference.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "proto/dns.h"

enum { HEADER_LEN = 12, RECORDS_MAX = 6000, IN = 1 };

struct record {
    int section; /* 1 answer, 3 additional */
    uint16_t type;
    uint32_t ttl;
    size_t rdata;
    size_t rdlen;
    ldns_rdf *owner; /* NULL: malformed */
};

struct reference {
    const uint8_t *msg;
    size_t len;
    struct record records[RECORDS_MAX];
    size_t count;
    bool malformed;       /* the message must be refused */
    bool has_bad_name;    /* it may be */
    const char *surprise; /* ldns does what is not known of it */
    /* what is expected */
    ldns_rdf *asked;
    uint16_t qtype;
    uint16_t qclass;
    uint16_t rcode;
    uint32_t ttl;
    ldns_rdf *names[2 + ANSWER_CHAIN_MAX];
    size_t name_count;
    enum answer_via via;
    uint8_t v4[ANSWER_ADDRS_MAX][4];
    size_t v4_count;
    uint8_t v6[ANSWER_ADDRS_MAX][16];
    size_t v6_count;
    uint8_t bytes[ANSWER_BYTES_MAX];
};

static unsigned u16_at(const struct reference *r, size_t at)
{
    return (unsigned)r->msg[at] * 256 + r->msg[at + 1];
}

/* The offset after the name at `at` without following a pointer, or 0 (by recursion, unlike what is
 * tested). */
static size_t after_name(const struct reference *r, size_t at, size_t budget)
{
    if (at >= r->len || budget == 0) {
        return 0;
    }
    unsigned label = r->msg[at];
    if (label == 0) {
        return at + 1;
    }
    if (label >= 192) {
        return at + 2 <= r->len ? at + 2 : 0;
    }
    return label > 63 || label + 1 >= budget ? 0
                                             : after_name(r, at + label + 1, budget - label - 1);
}

/* True if each pointer of the name at `at` leads to before the part it stands in, and to a name. */
static bool points_back(const struct reference *r, size_t at)
{
    for (;;) {
        if (after_name(r, at, NAME_WIRE_MAX) == 0) {
            return false;
        }
        size_t end = at;
        while (r->msg[end] != 0 && r->msg[end] < 192) {
            end += r->msg[end] + 1u;
        }
        if (r->msg[end] == 0) {
            return true;
        }
        size_t target = u16_at(r, end) & 0x3fff;
        if (target >= at || target < HEADER_LEN) {
            return false;
        }
        at = target;
    }
}

/* The name at `at` in lower case, NULL if it is malformed. */
static ldns_rdf *read_name(const struct reference *r, size_t at)
{
    ldns_rdf *name = NULL;
    size_t pos = at;
    if (!points_back(r, at) || ldns_wire2dname(&name, r->msg, r->len, &pos) != LDNS_STATUS_OK) {
        return NULL;
    }
    ldns_dname2canonical(name);
    return name;
}

static bool same_name(const ldns_rdf *a, const ldns_rdf *b)
{
    return a != NULL && b != NULL && ldns_rdf_size(a) == ldns_rdf_size(b) &&
           memcmp(ldns_rdf_data(a), ldns_rdf_data(b), ldns_rdf_size(a)) == 0;
}

/* RFC 9460 section 2.2: keys ascend, values lie inside, hints are whole addresses and some. */
static bool valid_params(const struct reference *r, size_t at, size_t end)
{
    long last = -1;
    while (at != end) {
        if (at + 4 > end || at + 4 + u16_at(r, at + 2) > end || (long)u16_at(r, at) <= last) {
            return false;
        }
        unsigned key = u16_at(r, at), len = u16_at(r, at + 2);
        unsigned unit = key == 4 ? 4 : key == 6 ? 16 : 1;
        if (unit != 1 && (len == 0 || len % unit != 0)) {
            return false;
        }
        last = (long)key;
        at += 4 + len;
    }
    return true;
}

/* Where the name in the RDATA of a type stands, 0 for a type without. */
static size_t name_offset(uint16_t type)
{
    return type == LDNS_RR_TYPE_SRV ? 6 : type == LDNS_RR_TYPE_CNAME ? 0 : 2;
}

static bool is_addr(uint16_t type)
{
    return type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA;
}

static bool is_binding(uint16_t type)
{
    return type == LDNS_RR_TYPE_SVCB || type == LDNS_RR_TYPE_HTTPS;
}

/* True if RDATA fills RDLENGTH as the type wants, names only stepped over. */
static bool fills_rdata(const struct reference *r, const struct record *rec)
{
    size_t end = rec->rdata + rec->rdlen;
    if (is_addr(rec->type)) {
        return rec->rdlen == (rec->type == LDNS_RR_TYPE_A ? 4 : 16);
    }
    size_t offset = name_offset(rec->type);
    size_t after = rec->rdlen <= offset ? 0 : after_name(r, rec->rdata + offset, NAME_WIRE_MAX);
    if (!is_binding(rec->type)) {
        return after == end;
    }
    return after != 0 && after <= end &&
           (u16_at(r, rec->rdata) == 0 || valid_params(r, after, end));
}

/* Gives the record at `at` to ldns: what it reads must be what the message says. */
static void add_record(struct reference *r, struct record rec, size_t at)
{
    ldns_rr *rr = NULL;
    size_t pos = at;
    size_t end = rec.rdata + rec.rdlen;
    rec.owner = read_name(r, at);
    if (!fills_rdata(r, &rec)) {
        r->malformed = true;
    }
    bool read =
        ldns_wire2rr(&rr, r->msg, r->len, &pos, (ldns_pkt_section)rec.section) == LDNS_STATUS_OK;
    bool sound = !r->malformed && rec.owner != NULL;
    if (sound && is_addr(rec.type) && !read) {
        r->surprise = "ldns refuses a sound address record";
    }
    if (sound && read &&
        (pos != end || ldns_rr_ttl(rr) != rec.ttl || ldns_rr_get_type(rr) != rec.type)) {
        r->surprise = "ldns reads another record";
    }
    r->has_bad_name |= !read || rec.owner == NULL;
    ldns_rr_free(rr);
    r->records[r->count++] = rec;
}

static bool matters(int section, unsigned type, unsigned class)
{
    if (class != IN) {
        return false;
    }
    if (section == 1 &&
        (type == LDNS_RR_TYPE_CNAME || type == LDNS_RR_TYPE_SRV || is_binding((uint16_t)type))) {
        return true;
    }
    return section != 2 && is_addr((uint16_t)type);
}

/* Reads all records from `at` on. */
static void read_records(struct reference *r, size_t at)
{
    for (int section = 1; section <= 3; section++) {
        for (unsigned i = u16_at(r, 4 + 2 * (size_t)section); i > 0; i--) {
            size_t fixed = after_name(r, at, NAME_WIRE_MAX);
            if (fixed == 0 || fixed + 10 > r->len || fixed + 10 + u16_at(r, fixed + 8) > r->len) {
                r->malformed = true;
                return;
            }
            struct record rec = {.section = section,
                                 .type = (uint16_t)u16_at(r, fixed),
                                 .ttl = u16_at(r, fixed + 4) << 16 | u16_at(r, fixed + 6),
                                 .rdata = fixed + 10,
                                 .rdlen = u16_at(r, fixed + 8)};
            if (section == 3 && rec.type == LDNS_RR_TYPE_OPT) {
                r->rcode = (uint16_t)((r->msg[3] & 15) + r->msg[fixed + 4] * 16);
            }
            if (matters(section, rec.type, u16_at(r, fixed + 2))) {
                add_record(r, rec, at);
                if (r->malformed) {
                    return;
                }
            }
            at = rec.rdata + rec.rdlen;
        }
    }
}

static void read_questions(struct reference *r, size_t *after)
{
    unsigned count = u16_at(r, 4);
    size_t at = HEADER_LEN;
    for (unsigned i = 0; i < count; i++) {
        size_t fixed = after_name(r, at, NAME_WIRE_MAX);
        if (fixed == 0 || fixed + 4 > r->len) {
            r->malformed = true;
            return;
        }
        if (count == 1) {
            r->asked = read_name(r, at);
            r->malformed = r->asked == NULL;
            r->qtype = (uint16_t)u16_at(r, fixed);
            r->qclass = (uint16_t)u16_at(r, fixed + 2);
        }
        at = fixed + 4;
    }
    *after = at;
}

static void use_ttl(struct reference *r, uint32_t ttl)
{
    uint32_t used = ttl > 0x7fffffff ? 0 : ttl;
    r->ttl = used < r->ttl ? used : r->ttl;
}

static void add_addr(struct reference *r, size_t at, size_t size)
{
    if (size == 4 && r->v4_count < ANSWER_ADDRS_MAX) {
        memcpy(r->v4[r->v4_count++], r->msg + at, 4);
    } else if (size == 16 && r->v6_count < ANSWER_ADDRS_MAX) {
        memcpy(r->v6[r->v6_count++], r->msg + at, 16);
    }
}

/* Adds the addresses of a record. */
static void use_record(struct reference *r, const struct record *rec)
{
    size_t before = r->v4_count + r->v6_count;
    size_t end = rec->rdata + rec->rdlen;
    if (is_addr(rec->type)) {
        add_addr(r, rec->rdata, rec->rdlen);
    } else if (u16_at(r, rec->rdata) != 0) {
        size_t at = after_name(r, rec->rdata + 2, NAME_WIRE_MAX);
        for (; at < end; at += 4 + u16_at(r, at + 2)) {
            unsigned key = u16_at(r, at);
            size_t size = key == 4 ? 4 : key == 6 ? 16 : 0;
            for (size_t in = 0; size != 0 && in < u16_at(r, at + 2); in += size) {
                add_addr(r, at + 4 + in, size);
            }
        }
    }
    if (r->v4_count + r->v6_count > before) {
        use_ttl(r, rec->ttl);
    }
}

static const struct record *cname_of(const struct reference *r, const ldns_rdf *name)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct record *rec = &r->records[i];
        if (rec->section == 1 && rec->type == LDNS_RR_TYPE_CNAME && same_name(rec->owner, name)) {
            return rec;
        }
    }
    return NULL;
}

static bool in_chain(const struct reference *r, const ldns_rdf *name)
{
    for (size_t i = 0; i < r->name_count; i++) {
        if (same_name(r->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* Returns false if there is no chain to go by. */
static bool follow_chain(struct reference *r)
{
    const struct record *rec;
    r->names[r->name_count++] = ldns_rdf_clone(r->asked);
    while ((rec = cname_of(r, r->names[r->name_count - 1])) != NULL) {
        ldns_rdf *target = read_name(r, rec->rdata);
        if (target == NULL) {
            r->malformed = true;
            return false;
        }
        if (in_chain(r, target)) {
            ldns_rdf_deep_free(target);
            return true;
        }
        r->names[r->name_count++] = target;
        if (r->name_count > 1 + ANSWER_CHAIN_MAX) {
            return false;
        }
        use_ttl(r, rec->ttl);
    }
    return true;
}

/* The addresses of SRV targets. */
static void use_services(struct reference *r, const ldns_rdf *end)
{
    ldns_rdf *targets[DNS_TARGETS_MAX];
    uint32_t ttls[DNS_TARGETS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->count && count < DNS_TARGETS_MAX; i++) {
        const struct record *rec = &r->records[i];
        if (rec->section == 1 && rec->type == LDNS_RR_TYPE_SRV && same_name(rec->owner, end)) {
            ttls[count] = rec->ttl;
            targets[count] = read_name(r, rec->rdata + 6);
            r->malformed |= targets[count++] == NULL;
        }
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct record *rec = &r->records[i];
        for (size_t t = 0; t < count && rec->section == 3; t++) {
            if (same_name(rec->owner, targets[t])) {
                use_record(r, rec);
                use_ttl(r, ttls[t]);
                break;
            }
        }
    }
    for (size_t t = 0; t < count; t++) {
        ldns_rdf_deep_free(targets[t]);
    }
}

static bool is_answer(const struct reference *r)
{
    size_t cnames = 0;
    for (size_t i = 0; i < r->count; i++) {
        cnames += r->records[i].type == LDNS_RR_TYPE_CNAME;
    }
    bool query = (r->msg[2] >> 3 & 15) == LDNS_PACKET_QUERY;
    return r->rcode == 0 && query && r->asked != NULL && r->qclass == IN &&
           cnames <= DNS_CNAMES_MAX;
}

static void find_addresses(struct reference *r)
{
    r->ttl = UINT32_MAX;
    if (!is_answer(r) || !follow_chain(r)) {
        return;
    }
    const ldns_rdf *end = r->names[r->name_count - 1];
    for (size_t i = 0; i < r->count; i++) {
        const struct record *rec = &r->records[i];
        if (rec->section == 1 && same_name(rec->owner, end) &&
            (is_addr(rec->type) || is_binding(rec->type))) {
            use_record(r, rec);
        }
    }
    if (r->v4_count + r->v6_count == 0) {
        r->via = ANSWER_VIA_SRV;
        use_services(r, end);
    }
}

static int compare_4(const void *a, const void *b)
{
    return memcmp(a, b, 4);
}

static int compare_16(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* Sorts and drops repeats; the new count. */
static size_t sort(void *addrs, size_t count, size_t size,
                   int (*compare)(const void *, const void *))
{
    uint8_t *at = addrs;
    size_t kept = 0;
    qsort(addrs, count, size, compare);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || memcmp(at + (kept - 1) * size, at + i * size, size) != 0) {
            memmove(at + kept++ * size, at + i * size, size);
        }
    }
    return kept;
}

/* The canonical bytes, 0 for no addresses. */
static size_t encode(struct reference *r)
{
    if (r->malformed || r->v4_count + r->v6_count == 0) {
        return 0;
    }
    uint16_t v4_count = (uint16_t)sort(r->v4, r->v4_count, 4, compare_4);
    uint16_t v6_count = (uint16_t)sort(r->v6, r->v6_count, 16, compare_16);
    size_t at = 6;
    r->bytes[0] = (uint8_t)r->via;
    r->bytes[1] = (uint8_t)(r->name_count - 1);
    memcpy(r->bytes + 2, &v4_count, 2);
    memcpy(r->bytes + 4, &v6_count, 2);
    for (size_t i = 0; i < r->name_count; i++) {
        memcpy(r->bytes + at, ldns_rdf_data(r->names[i]), ldns_rdf_size(r->names[i]));
        at += ldns_rdf_size(r->names[i]);
    }
    memcpy(r->bytes + at, r->v4, v4_count * 4u);
    memcpy(r->bytes + at + v4_count * 4u, r->v6, v6_count * 16u);
    return at + v4_count * 4u + v6_count * 16u;
}

static enum dns_verdict differ(struct why *why, const char *what, long ours, long expected)
{
    why_set(why, 0, "%s: %ld, from ldns %ld", what, ours, expected);
    return DNS_DIFFERENT;
}

/* Compares what does not depend on the records. */
static enum dns_verdict compare_head(const struct reference *r, const struct dns_response *d,
                                     struct why *why)
{
    if (r->len < HEADER_LEN || r->len > 65535) {
        return DNS_SAME;
    }
    if (d->flags != u16_at(r, 2)) {
        return differ(why, "flags", d->flags, u16_at(r, 2));
    }
    if (d->truncated != ((r->msg[2] & 2) != 0)) {
        return differ(why, "truncated", d->truncated, !d->truncated);
    }
    size_t asked_len = r->asked != NULL ? ldns_rdf_size(r->asked) : 0;
    if (d->asked.len != asked_len) {
        return differ(why, "length of the asked name", d->asked.len, (long)asked_len);
    }
    if (asked_len > 0 && d->qtype != r->qtype) {
        return differ(why, "qtype", d->qtype, r->qtype);
    }
    if (asked_len > 0 && memcmp(d->asked.wire, ldns_rdf_data(r->asked), asked_len) != 0) {
        return differ(why, "asked name", 0, 0);
    }
    return DNS_SAME;
}

static enum dns_verdict compare(struct reference *r, int err, const struct dns_response *d,
                                const uint8_t *answer, struct why *why)
{
    if (r->surprise != NULL) {
        return differ(why, r->surprise, 0, 0);
    }
    if (compare_head(r, d, why) == DNS_DIFFERENT) {
        return DNS_DIFFERENT;
    }
    if (err != 0 && r->has_bad_name) {
        return DNS_SAME;
    }
    if ((err != 0) != r->malformed) {
        return differ(why, "error", err, r->malformed);
    }
    if (err != 0) {
        return d->answer_len == 0 ? DNS_SAME : differ(why, "answer with error", 1, 0);
    }
    size_t len = encode(r);
    if (d->rcode != r->rcode) {
        return differ(why, "rcode", d->rcode, r->rcode);
    }
    if (d->answer_len != len) {
        return differ(why, "answer length", (long)d->answer_len, (long)len);
    }
    if (memcmp(answer, r->bytes, len) != 0) {
        return differ(why, "answer octets", 0, 0);
    }
    if (d->ttl_s != (len > 0 ? r->ttl : 0)) {
        return differ(why, "ttl", d->ttl_s, r->ttl);
    }
    return len > 0 ? DNS_SAME_ADDR : DNS_SAME;
}

static void read_message(struct reference *r)
{
    size_t at = 0;
    if (r->len < HEADER_LEN || r->len > 65535) {
        r->malformed = true;
        return;
    }
    r->rcode = r->msg[3] & 15;
    read_questions(r, &at);
    if ((r->msg[2] & 0x80) == 0) {
        r->malformed = true;
    }
    if (!r->malformed) {
        read_records(r, at);
    }
    if (!r->malformed) {
        find_addresses(r);
    }
}

enum dns_verdict dns_compare(const uint8_t *msg, size_t len, struct why *why)
{
    static struct reference r; /* too large for the stack */
    static uint8_t answer[ANSWER_BYTES_MAX];
    struct dns_response d;
    int err = dns_parse_response(msg, len, &d, answer);

    r.msg = msg;
    r.len = len;
    r.count = r.name_count = r.v4_count = r.v6_count = 0;
    r.malformed = r.has_bad_name = false;
    r.surprise = NULL;
    r.asked = NULL;
    r.qtype = r.qclass = r.rcode = 0;
    r.via = ANSWER_VIA_CLIENT;
    read_message(&r);
    enum dns_verdict verdict = compare(&r, err, &d, answer, why);

    for (size_t i = 0; i < r.count; i++) {
        ldns_rdf_deep_free(r.records[i].owner);
    }
    for (size_t i = 0; i < r.name_count; i++) {
        ldns_rdf_deep_free(r.names[i]);
    }
    ldns_rdf_deep_free(r.asked);
    return verdict;
}
