/* tests/bench/genmix.c -- writes a Frame Streams capture of the cluster mix that the benchmarks use
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mix is the one of the cost table: pods that each use 5 to 40 names of their own, drawn by
 * Zipf's law. A lookup is three search-suffix tries that end in NXDOMAIN and the final pair, A and
 * AAAA each, every one as CLIENT_QUERY and CLIENT_RESPONSE with the message; one final lookup in
 * five shows FORWARDER_QUERY and FORWARDER_RESPONSE too. Several lookups are under way at once, so
 * frames of different clients interleave as they do in a server's stream.
 *
 * Frames have the fields CoreDNS 1.12 writes, in its order: no response address on client messages,
 * the upstream's IPv4 address as 16 octets. CoreDNS writes names in full where the message then
 * fits 512 octets; here they are compressed, so that pointers are part of the load. Clients are
 * in 10.0.0.0/8, answers in the benchmarking ranges 198.18.0.0/15 and 2001:2::/48. The same options
 * give the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    NAME_MAX_WIRE = 80,
    OWN_NAMES_MIN = 5,
    OWN_NAMES_MAX = 40,
    NAMESPACES = 60,
    LOOKUPS_OPEN = 8,
    OUT_SIZE = 1 << 20,
    FRAME_MAX = 2048,
    CLIENTS_MAX = 1 << 22,
    NAMES_MAX = 1 << 16,
    ADDRESS_POOL = 1 << 17, /* 198.18.0.0/15 */
    KEYS_MAX = 1 << 16,
    QTYPE_A = 1,
    QTYPE_CNAME = 5,
    QTYPE_SOA = 6,
    QTYPE_AAAA = 28,
};

/* dnstap Message.Type */
enum kind { CLIENT_QUERY = 5, CLIENT_RESPONSE = 6, FORWARDER_QUERY = 7, FORWARDER_RESPONSE = 8 };

/* One frame of a lookup: which try (3 is the name itself), A (0) or AAAA (1), which message. */
struct step {
    uint8_t try;
    uint8_t family;
    uint8_t kind;
};

struct wire {
    uint8_t len;
    uint8_t octets[NAME_MAX_WIRE];
};

struct name {
    struct wire asked;
    struct wire target; /* CNAME target, len 0 without one */
    uint8_t zone_at;    /* offset in `asked` of its last two labels */
    bool dual_stack;
    uint8_t addresses;
    uint32_t first_address;
    uint32_t ttl_s;
};

struct client {
    uint16_t own_count;
    uint16_t namespace;
    uint16_t own[OWN_NAMES_MAX];
};

struct lookup {
    const struct name *name;
    uint32_t client;
    uint8_t at;
    bool forwarded;
    uint8_t rotation;
    uint32_t ttl_s;
    uint16_t ids[2];
    uint16_t port;
    int64_t query_ns[2];
};

struct options {
    uint64_t frames;
    uint64_t seed;
    uint32_t clients;
    uint32_t names;
    int64_t start_s;
    double rate;
    bool new_pairs;
    bool sightings_only;
    const char *out;
    const char *keys;
};

struct mix {
    struct options opt;
    uint64_t random;
    uint64_t key_random; /* of its own: with or without --keys the capture is the same */
    struct name *names;
    struct client *clients;
    struct wire suffixes[NAMESPACES][3];
    struct lookup open[LOOKUPS_OPEN];
    uint64_t pair, pairs, pair_step;
    int64_t now_ns;
    double clock_ns;

    int fd;
    uint8_t *buf;
    size_t used;
    FILE *keys;
    uint64_t keys_every;

    uint64_t frames, bytes, answers, lookups;
};

static const struct step plain_steps[] = {
    {0, 0, CLIENT_QUERY}, {0, 1, CLIENT_QUERY}, {0, 0, CLIENT_RESPONSE}, {0, 1, CLIENT_RESPONSE},
    {1, 0, CLIENT_QUERY}, {1, 1, CLIENT_QUERY}, {1, 0, CLIENT_RESPONSE}, {1, 1, CLIENT_RESPONSE},
    {2, 0, CLIENT_QUERY}, {2, 1, CLIENT_QUERY}, {2, 0, CLIENT_RESPONSE}, {2, 1, CLIENT_RESPONSE},
    {3, 0, CLIENT_QUERY}, {3, 1, CLIENT_QUERY}, {3, 0, CLIENT_RESPONSE}, {3, 1, CLIENT_RESPONSE},
};

/* CoreDNS taps both forwarder messages after the exchange with the upstream. */
static const struct step forwarded_steps[] = {
    {0, 0, CLIENT_QUERY},       {0, 1, CLIENT_QUERY},    {0, 0, CLIENT_RESPONSE},
    {0, 1, CLIENT_RESPONSE},    {1, 0, CLIENT_QUERY},    {1, 1, CLIENT_QUERY},
    {1, 0, CLIENT_RESPONSE},    {1, 1, CLIENT_RESPONSE}, {2, 0, CLIENT_QUERY},
    {2, 1, CLIENT_QUERY},       {2, 0, CLIENT_RESPONSE}, {2, 1, CLIENT_RESPONSE},
    {3, 0, CLIENT_QUERY},       {3, 1, CLIENT_QUERY},    {3, 0, FORWARDER_QUERY},
    {3, 0, FORWARDER_RESPONSE}, {3, 0, CLIENT_RESPONSE}, {3, 1, FORWARDER_QUERY},
    {3, 1, FORWARDER_RESPONSE}, {3, 1, CLIENT_RESPONSE},
};

static const struct step sighting_steps[] = {{3, 0, CLIENT_RESPONSE}, {3, 1, CLIENT_RESPONSE}};

static const char identity[] = "dns-0";
static const char version[] = "CoreDNS-1.12.1";
static const char content_type[] = "protobuf:dnstap.Dnstap";

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t random_below(struct mix *m, uint32_t bound)
{
    return (uint32_t)(((next_random(&m->random) >> 32) * bound) >> 32);
}

static uint8_t *put_u16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    p = put_u16(p, v >> 16);
    return put_u16(p, v & 0xffff);
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* protobuf fixed32 is little-endian. */
static uint8_t *put_fixed32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        *p++ = (uint8_t)(v >> (8 * i));
    }
    return p;
}

/* "api.example.com" as length-prefixed labels, with the root label. */
static void wire_from_text(struct wire *w, const char *text)
{
    uint8_t *p = w->octets;
    while (*text) {
        size_t len = strcspn(text, ".");
        *p++ = (uint8_t)len;
        p = put_bytes(p, text, len);
        text += len;
        text += *text == '.';
    }
    *p++ = 0;
    w->len = (uint8_t)(p - w->octets);
}

/* Frame Streams control frame: escape, length, type, and a content type for START. */
static size_t put_control(uint8_t *out, uint32_t type, bool with_content_type)
{
    size_t type_len = sizeof(content_type) - 1;
    uint8_t *p = put_u32(out, 0);
    p = put_u32(p, with_content_type ? (uint32_t)(12 + type_len) : 4);
    p = put_u32(p, type);
    if (with_content_type) {
        p = put_u32(p, 1);
        p = put_u32(p, (uint32_t)type_len);
        p = put_bytes(p, content_type, type_len);
    }
    return (size_t)(p - out);
}

static int flush(struct mix *m)
{
    size_t done = 0;
    while (done < m->used) {
        ssize_t n = write(m->fd, m->buf + done, m->used - done);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            fprintf(stderr, "genmix: %s: %s\n", m->opt.out, strerror(errno));
            return -errno;
        }
        done += (size_t)n;
    }
    m->used = 0;
    return 0;
}

static void make_name(struct mix *m, struct name *n, uint32_t index)
{
    static const char *const hosts[] = {"api", "cdn", "auth", "img", "ws", "s3", "www"};
    static const char *const zones[] = {"acme.test", "shop.test", "mail.test"};
    char text[NAME_MAX_WIRE];
    const char *host = hosts[random_below(m, sizeof(hosts) / sizeof(*hosts))];
    const char *zone = zones[random_below(m, sizeof(zones) / sizeof(*zones))];

    if (random_below(m, 3) == 0) {
        snprintf(text, sizeof(text), "%s%" PRIu32 ".eu-%" PRIu32 ".%s", host, index,
                 random_below(m, 9), zone);
    } else {
        snprintf(text, sizeof(text), "%s%" PRIu32 ".%s", host, index, zone);
    }
    wire_from_text(&n->asked, text);
    n->zone_at = (uint8_t)(n->asked.len - (strlen(zone) + 2));
    n->addresses = (uint8_t)(1 + random_below(m, 8));
    n->dual_stack = random_below(m, 2) == 0;
    n->ttl_s = 5 + random_below(m, 296);
    n->first_address = random_below(m, ADDRESS_POOL);
    n->target.len = 0;
    if (random_below(m, 10) < 4) {
        snprintf(text, sizeof(text), "d%08" PRIx32 ".edge.example", random_below(m, UINT32_MAX));
        wire_from_text(&n->target, text);
        /* Names behind the same delivery network share addresses. */
        n->first_address = random_below(m, m->opt.names / 2 + 1);
    }
}

static void make_suffixes(struct mix *m)
{
    for (int i = 0; i < NAMESPACES; i++) {
        char text[NAME_MAX_WIRE];
        snprintf(text, sizeof(text), "ns-%d.svc.cluster.local", i);
        wire_from_text(&m->suffixes[i][0], text);
        wire_from_text(&m->suffixes[i][1], "svc.cluster.local");
        wire_from_text(&m->suffixes[i][2], "cluster.local");
    }
}

/* Draws a client's own names, all different, with probability proportional to 1 / rank. */
static void draw_own_names(struct mix *m, struct client *c, const double *cumulative)
{
    double total = cumulative[m->opt.names - 1];
    uint32_t want = OWN_NAMES_MIN + random_below(m, OWN_NAMES_MAX - OWN_NAMES_MIN + 1);

    while (c->own_count < want) {
        double point = (double)(next_random(&m->random) >> 11) * 0x1p-53 * total;
        uint32_t low = 0, high = m->opt.names - 1;
        while (low < high) {
            uint32_t mid = (low + high) / 2;
            if (cumulative[mid] > point) {
                high = mid;
            } else {
                low = mid + 1;
            }
        }
        bool had = false;
        for (uint32_t i = 0; i < c->own_count; i++) {
            had |= c->own[i] == low;
        }
        if (!had) {
            c->own[c->own_count++] = (uint16_t)low;
        }
    }
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static int make_cluster(struct mix *m)
{
    double *cumulative = calloc(m->opt.names, sizeof(*cumulative));

    m->names = calloc(m->opt.names, sizeof(*m->names));
    m->clients = calloc(m->opt.clients, sizeof(*m->clients));
    m->buf = malloc(OUT_SIZE);
    if (!cumulative || !m->names || !m->clients || !m->buf) {
        free(cumulative);
        fprintf(stderr, "genmix: out of memory\n");
        return -ENOMEM;
    }
    double sum = 0;
    for (uint32_t i = 0; i < m->opt.names; i++) {
        make_name(m, &m->names[i], i);
        sum += 1.0 / (i + 1);
        cumulative[i] = sum;
    }
    make_suffixes(m);
    for (uint32_t i = 0; i < m->opt.clients; i++) {
        m->clients[i].namespace = (uint16_t)random_below(m, NAMESPACES);
        if (!m->opt.new_pairs) {
            draw_own_names(m, &m->clients[i], cumulative);
        }
    }
    free(cumulative);

    /* A step coprime to the number of pairs visits each pair once, in no visible order. An index
     * of 100 M sightings is loaded client after client: in any other order each commit would touch
     * most of its pages. */
    m->pairs = (uint64_t)m->opt.clients * m->opt.names;
    m->pair_step = m->opt.sightings_only ? 1 : (uint64_t)((double)m->pairs * 0.6180339887) | 1;
    while (gcd(m->pair_step, m->pairs) != 1) {
        m->pair_step += 2;
    }
    return 0;
}

static int begin_lookup(struct mix *m, struct lookup *l)
{
    memset(l, 0, sizeof(*l));
    if (m->opt.new_pairs) {
        if (m->lookups == m->pairs) {
            fprintf(stderr,
                    "genmix: all %" PRIu64 " (client, name) pairs are used after %" PRIu64
                    " frames: raise --clients or --names\n",
                    m->pairs, m->frames);
            return -ERANGE;
        }
        l->client = (uint32_t)(m->pair / m->opt.names);
        l->name = &m->names[m->pair % m->opt.names];
        m->pair = (m->pair + m->pair_step) % m->pairs;
    } else {
        l->client = random_below(m, m->opt.clients);
        const struct client *c = &m->clients[l->client];
        l->name = &m->names[c->own[random_below(m, c->own_count)]];
    }
    m->lookups++;
    l->forwarded = random_below(m, 5) == 0;
    l->rotation = (uint8_t)random_below(m, l->name->addresses);
    /* What the cache gives has aged; what comes from the upstream has its full TTL. */
    l->ttl_s = l->forwarded ? l->name->ttl_s : 5 + random_below(m, l->name->ttl_s - 4);
    return 0;
}

static const struct step *steps_of(const struct mix *m, const struct lookup *l, uint8_t *count)
{
    if (m->opt.sightings_only) {
        *count = l->name->dual_stack ? 2 : 1;
        return sighting_steps;
    }
    if (l->forwarded) {
        *count = sizeof(forwarded_steps) / sizeof(*forwarded_steps);
        return forwarded_steps;
    }
    *count = sizeof(plain_steps) / sizeof(*plain_steps);
    return plain_steps;
}

static uint8_t *put_rr_head(uint8_t *p, size_t owner_at, uint16_t type, uint32_t ttl_s)
{
    p = put_u16(p, (uint32_t)(0xc000 | owner_at));
    p = put_u16(p, type);
    p = put_u16(p, 1);
    return put_u32(p, ttl_s);
}

/* SOA of the zone whose name stands at offset `zone_at` of the message. */
static uint8_t *put_soa(uint8_t *p, size_t zone_at, const char *server, uint32_t ttl_s)
{
    struct wire mname, rname;
    wire_from_text(&mname, server);
    wire_from_text(&rname, "hostmaster");

    p = put_rr_head(p, zone_at, QTYPE_SOA, ttl_s);
    p = put_u16(p, (uint32_t)(mname.len + rname.len + 2 + 20));
    p = put_bytes(p, mname.octets, mname.len - 1);
    p = put_u16(p, (uint32_t)(0xc000 | zone_at));
    p = put_bytes(p, rname.octets, rname.len - 1);
    p = put_u16(p, (uint32_t)(0xc000 | zone_at));
    p = put_u32(p, 1790000000); /* serial */
    p = put_u32(p, 7200);
    p = put_u32(p, 1800);
    p = put_u32(p, 86400);
    return put_u32(p, ttl_s);
}

/* Rotated address records, behind the CNAME where the name has one. */
static uint8_t *put_addresses(uint8_t *msg, uint8_t *p, const struct lookup *l, int family)
{
    const struct name *n = l->name;
    size_t owner_at = 12;

    if (n->target.len) {
        p = put_rr_head(p, 12, QTYPE_CNAME, l->ttl_s);
        p = put_u16(p, n->target.len);
        owner_at = (size_t)(p - msg);
        p = put_bytes(p, n->target.octets, n->target.len);
    }
    for (unsigned i = 0; i < n->addresses; i++) {
        uint32_t index = n->first_address + (i + l->rotation) % n->addresses;
        index %= ADDRESS_POOL;
        p = put_rr_head(p, owner_at, family ? QTYPE_AAAA : QTYPE_A, l->ttl_s);
        if (family) {
            p = put_u16(p, 16);
            p = put_u32(p, 0x20010002);
            p = put_u32(p, 0);
            p = put_u32(p, 0);
            p = put_u32(p, index);
        } else {
            p = put_u16(p, 4);
            p = put_u32(p, 0xc6120000u + index);
        }
    }
    return p;
}

static bool has_addresses(const struct lookup *l, const struct step *s)
{
    return s->try == 3 && (s->family == 0 || l->name->dual_stack);
}

static size_t put_dns(const struct mix *m, const struct lookup *l, const struct step *s,
                      uint8_t *msg)
{
    bool response = s->kind == CLIENT_RESPONSE || s->kind == FORWARDER_RESPONSE;
    const struct name *n = l->name;
    uint32_t flags = 0x0100, answers = 0, authorities = 0;

    if (response && s->try < 3) {
        flags = 0x8503; /* QR AA RD NXDOMAIN */
        authorities = 1;
    } else if (response) {
        flags = 0x8180; /* QR RD RA */
        answers = has_addresses(l, s) ? n->addresses + (n->target.len != 0) : 0;
        authorities = answers == 0;
    }
    uint8_t *p = put_u16(msg, l->ids[s->family]);
    p = put_u16(p, flags);
    p = put_u16(p, 1);
    p = put_u16(p, answers);
    p = put_u16(p, authorities);
    p = put_u16(p, 0);
    if (s->try < 3) {
        const struct wire *suffix = &m->suffixes[m->clients[l->client].namespace][s->try];
        p = put_bytes(p, n->asked.octets, n->asked.len - 1u);
        p = put_bytes(p, suffix->octets, suffix->len);
    } else {
        p = put_bytes(p, n->asked.octets, n->asked.len);
    }
    size_t cluster_local_at = (size_t)(p - msg) - (sizeof("cluster.local") + 1);
    p = put_u16(p, s->family ? QTYPE_AAAA : QTYPE_A);
    p = put_u16(p, 1);
    if (answers) {
        p = put_addresses(msg, p, l, s->family);
    } else if (authorities && s->try < 3) {
        p = put_soa(p, cluster_local_at, "ns.dns", 5);
    } else if (authorities) {
        p = put_soa(p, 12u + n->zone_at, "ns1", l->ttl_s);
    }
    return (size_t)(p - msg);
}

/* The fields of dnstap.Message before the DNS message, in number order. */
static size_t put_message_head(const struct mix *m, const struct lookup *l, const struct step *s,
                               uint8_t *head)
{
    static const uint8_t upstream[16] = {[10] = 0xff, 0xff, 192, 0, 2, 53};
    bool forwarder = s->kind == FORWARDER_QUERY || s->kind == FORWARDER_RESPONSE;
    int64_t query_ns = l->query_ns[s->family];
    uint8_t *p = head;

    *p++ = 0x08; /* 1 type */
    *p++ = s->kind;
    *p++ = 0x10; /* 2 socket_family INET */
    *p++ = 1;
    *p++ = 0x18; /* 3 socket_protocol UDP */
    *p++ = 1;
    *p++ = 0x22; /* 4 query_address */
    *p++ = 4;
    p = put_u32(p, 0x0a400000u + l->client);
    if (forwarder) {
        *p++ = 0x2a; /* 5 response_address */
        *p++ = sizeof(upstream);
        p = put_bytes(p, upstream, sizeof(upstream));
    }
    *p++ = 0x30; /* 6 query_port */
    p = put_varint(p, l->port);
    if (forwarder) {
        *p++ = 0x38; /* 7 response_port */
        p = put_varint(p, 53);
    }
    *p++ = 0x40; /* 8 query_time_sec */
    p = put_varint(p, (uint64_t)(query_ns / 1000000000));
    *p++ = 0x4d; /* 9 query_time_nsec */
    p = put_fixed32(p, (uint32_t)(query_ns % 1000000000));
    if (s->kind == CLIENT_RESPONSE || s->kind == FORWARDER_RESPONSE) {
        *p++ = 0x60; /* 12 response_time_sec */
        p = put_varint(p, (uint64_t)(m->now_ns / 1000000000));
        *p++ = 0x6d; /* 13 response_time_nsec */
        p = put_fixed32(p, (uint32_t)(m->now_ns % 1000000000));
        *p++ = 0x72; /* 14 response_message */
    } else {
        *p++ = 0x52; /* 10 query_message */
    }
    return (size_t)(p - head);
}

/* One data frame: length, dnstap.Dnstap{identity, version, message, type}. */
static size_t put_frame(const struct mix *m, const struct lookup *l, const struct step *s,
                        uint8_t *out)
{
    uint8_t dns[1024], head[96], dns_len[4];
    size_t dns_size = put_dns(m, l, s, dns);
    size_t head_size = put_message_head(m, l, s, head);
    size_t len_size = (size_t)(put_varint(dns_len, dns_size) - dns_len);
    uint8_t *p = out + 4;

    *p++ = 0x0a; /* 1 identity */
    *p++ = sizeof(identity) - 1;
    p = put_bytes(p, identity, sizeof(identity) - 1);
    *p++ = 0x12; /* 2 version */
    *p++ = sizeof(version) - 1;
    p = put_bytes(p, version, sizeof(version) - 1);
    *p++ = 0x72; /* 14 message */
    p = put_varint(p, head_size + len_size + dns_size);
    p = put_bytes(p, head, head_size);
    p = put_bytes(p, dns_len, len_size);
    p = put_bytes(p, dns, dns_size);
    *p++ = 0x78; /* 15 type MESSAGE */
    *p++ = 1;
    put_u32(out, (uint32_t)(p - out - 4));
    return (size_t)(p - out);
}

/* "client address time_us" of an answer just written, for programs that look answers up. */
static void write_key(const struct mix *m, const struct lookup *l)
{
    uint32_t client = 0x0a400000u + l->client;
    uint32_t address = 0xc6120000u + l->name->first_address % ADDRESS_POOL;
    fprintf(m->keys, "%u.%u.%u.%u %u.%u.%u.%u %" PRId64 "\n", client >> 24, client >> 16 & 255,
            client >> 8 & 255, client & 255, address >> 24, address >> 16 & 255, address >> 8 & 255,
            address & 255, m->now_ns / 1000);
}

static void account(struct mix *m, const struct lookup *l, const struct step *s, size_t size)
{
    m->frames++;
    m->bytes += size;
    if (s->kind != CLIENT_RESPONSE || !has_addresses(l, s)) {
        return;
    }
    m->answers++;
    if (m->keys && s->family == 0 && next_random(&m->key_random) % m->keys_every == 0) {
        write_key(m, l);
    }
}

static int write_next(struct mix *m)
{
    struct lookup *l = &m->open[random_below(m, LOOKUPS_OPEN)];
    uint8_t count;

    if (!l->name || (steps_of(m, l, &count), l->at == count)) {
        int err = begin_lookup(m, l);
        if (err) {
            return err;
        }
    }
    const struct step *s = &steps_of(m, l, &count)[l->at++];
    m->clock_ns += 1e9 / m->opt.rate;
    m->now_ns = m->opt.start_s * 1000000000 + (int64_t)m->clock_ns;
    if (s->kind == CLIENT_QUERY || m->opt.sightings_only) {
        /* The A and AAAA query of a try share a socket and have ids of their own. */
        if (s->family == 0) {
            l->port = (uint16_t)(32768 + random_below(m, 28232));
        }
        l->ids[s->family] = (uint16_t)next_random(&m->random);
        l->query_ns[s->family] = m->now_ns;
    }
    if (m->used + FRAME_MAX > OUT_SIZE) {
        int err = flush(m);
        if (err) {
            return err;
        }
    }
    size_t size = put_frame(m, l, s, m->buf + m->used);
    m->used += size;
    account(m, l, s, size);
    return 0;
}

static int write_capture(struct mix *m)
{
    int err;

    m->used = put_control(m->buf, 2, true);
    while (m->frames < m->opt.frames) {
        err = write_next(m);
        if (err) {
            return err;
        }
    }
    err = flush(m);
    if (err) {
        return err;
    }
    m->used = put_control(m->buf, 3, false);
    return flush(m);
}

static void print_figures(const struct mix *m, double seconds)
{
    double frames = (double)m->frames;
    fprintf(stderr,
            "frames %" PRIu64 " bytes_per_frame %.1f frames_per_answer %.1f answers %" PRIu64
            " lookups %" PRIu64 " span_s %.0f generated_per_s %.0f\n",
            m->frames, (double)m->bytes / frames, frames / (double)(m->answers ? m->answers : 1),
            m->answers, m->lookups, m->clock_ns / 1e9, frames / seconds);
}

static int usage(FILE *to)
{
    fprintf(to,
            "usage: genmix --frames N [options] -o FILE   (- for standard output)\n"
            "  --seed S          same seed, same bytes (1)\n"
            "  --clients N       pods (5000)\n"
            "  --names N         names in the cluster (4000)\n"
            "  --start EPOCH     time of the first frame, seconds (1767225600)\n"
            "  --rate N          frames a second, spaces the timestamps (50000)\n"
            "  --new-pairs       every lookup is a (client, name) pair never seen before\n"
            "  --sightings-only  only client responses that carry an address; new pairs then come\n"
            "                    client after client\n"
            "  --keys FILE       a sample of 'client address time_us' that can be looked up\n");
    return to == stdout ? 0 : 2;
}

/* Whole numbers in [low, high]; exits with usage otherwise. */
static uint64_t number(const char *option, const char *text, uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || v < low || v > high) {
        fprintf(stderr, "genmix: --%s: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n",
                option, text, low, high);
        exit(2);
    }
    return v;
}

static int parse_options(struct options *opt, int argc, char **argv)
{
    static const struct option longs[] = {
        {"frames", 1, 0, 'f'},    {"seed", 1, 0, 's'},  {"clients", 1, 0, 'c'},
        {"names", 1, 0, 'n'},     {"start", 1, 0, 't'}, {"rate", 1, 0, 'r'},
        {"new-pairs", 0, 0, 'p'}, {"keys", 1, 0, 'k'},  {"sightings-only", 0, 0, 'i'},
        {"help", 0, 0, 'h'},      {0, 0, 0, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            opt->frames = number("frames", optarg, 1, UINT64_MAX);
            break;
        case 's':
            opt->seed = number("seed", optarg, 0, UINT64_MAX);
            break;
        case 'c':
            opt->clients = (uint32_t)number("clients", optarg, 1, CLIENTS_MAX);
            break;
        case 'n':
            /* A client can have 40 names of its own only where there are well over 40. */
            opt->names = (uint32_t)number("names", optarg, 2 * OWN_NAMES_MAX, NAMES_MAX);
            break;
        case 't':
            opt->start_s = (int64_t)number("start", optarg, 0, INT32_MAX);
            break;
        case 'r':
            opt->rate = (double)number("rate", optarg, 1, 1000000000);
            break;
        case 'p':
            opt->new_pairs = true;
            break;
        case 'i':
            opt->sightings_only = true;
            break;
        case 'k':
            opt->keys = optarg;
            break;
        case 'o':
            opt->out = optarg;
            break;
        case 'h':
            exit(usage(stdout));
        default:
            return usage(stderr);
        }
    }
    return opt->frames && opt->out && optind == argc ? 0 : usage(stderr);
}

static int open_outputs(struct mix *m)
{
    m->fd = STDOUT_FILENO;
    if (strcmp(m->opt.out, "-") != 0) {
        m->fd = open(m->opt.out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
    if (m->fd < 0) {
        fprintf(stderr, "genmix: %s: %s\n", m->opt.out, strerror(errno));
        return -errno;
    }
    if (m->opt.keys) {
        m->keys = fopen(m->opt.keys, "we");
        if (!m->keys) {
            fprintf(stderr, "genmix: %s: %s\n", m->opt.keys, strerror(errno));
            return -errno;
        }
        m->keys_every = m->opt.frames / (m->opt.sightings_only ? 2 : 17) / KEYS_MAX + 1;
    }
    return 0;
}

static void release(struct mix *m)
{
    if (m->keys) {
        fclose(m->keys);
    }
    if (m->fd > STDOUT_FILENO) {
        close(m->fd);
    }
    free(m->buf);
    free(m->clients);
    free(m->names);
}

int main(int argc, char **argv)
{
    struct mix m = {
        .opt = {.seed = 1, .clients = 5000, .names = 4000, .start_s = 1767225600, .rate = 50000}};
    struct timespec begin, end;

    int err = parse_options(&m.opt, argc, argv);
    if (err) {
        return err;
    }
    m.random = m.opt.seed;
    m.key_random = ~m.opt.seed;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    err = open_outputs(&m);
    if (!err) {
        err = make_cluster(&m);
    }
    if (!err) {
        err = write_capture(&m);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!err) {
        print_figures(&m, (double)(end.tv_sec - begin.tv_sec) +
                              (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    }
    release(&m);
    return err ? 1 : 0;
}
