/* tests/bench/genflows.c -- writes flow logs of one hour and the answers behind them
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pods own names by Zipf's law and ask for each again and again over two hours, with more time
 * between than an answer lives, so that each asking is a sighting of its own. In the second hour
 * (and a little earlier) they connect: 85 in 100 flows within the life of an answer, the others
 * whenever. All pairs of
 * source and destination are equally likely, which is hard on caches. Of 40 pairs of a pod two go
 * to an address that nobody was answered. Two names of five are CNAMEs into a delivery network
 * whose addresses are shared by two names each.
 *
 * The same flows are written as Hubble lines (protojson as `hubble observe -o json` prints it,
 * about 1.1 KB each) and as kernel LOG lines in journald JSON; the same answers as a Frame Streams
 * capture and as a CSV table for other programs. That table has one row for each sighting, with the
 * one address of the answer that the pod connects to. The same options give the same bytes.
 *
 * Pods are in 10.64.0.0/16, what they connect to is in 198.18.0.0/15.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/tap_build.h"

enum {
    NAMES = 4000,
    ADDRESSES_MAX = 4,
    NAMELESS_OF_40 = 2,
    NAMESPACES = 60,
    NODES = 64,
    OWN_MAX = 256, /* names of one pod */
    START_S = 1767225600,
    IP_ROOM = 32,
};

#define HOUR_US (3600 * US_PER_S)

struct options {
    uint32_t flows;
    uint32_t pods;
    uint32_t pairs;
    uint32_t sightings;
    const char *hubble;
    const char *journal;
    const char *capture;
    const char *table;
};

struct name {
    char text[48];
    char target[40]; /* of its CNAME; "" without one */
    uint32_t first_address;
    uint32_t addresses;
    uint32_t ttl_s;
};

/* A pod and a name it asks for, or (name NULL) only an address it connects to. */
struct use {
    uint32_t pod;
    uint32_t address;
    const struct name *name;
    uint32_t first_answer; /* in the order of the uses */
    uint32_t answers;
    bool is_pair; /* the first use of this address by the pod */
};

struct answer {
    int64_t time_us;
    uint32_t use;
};

struct flow {
    int64_t time_us;
    uint32_t use;
};

struct mix {
    struct options opt;
    uint64_t random;
    struct name names[NAMES];
    double cumulative[NAMES];
    struct use *uses;
    uint32_t use_count;
    uint32_t named_count;
    uint32_t *pairs; /* uses that are pairs */
    struct answer *answers;
    struct flow *flows;
};

/* splitmix64 */
static uint64_t next_random(struct mix *m)
{
    uint64_t x = (m->random += 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t below(struct mix *m, uint32_t bound)
{
    return (uint32_t)(((next_random(m) >> 32) * bound) >> 32);
}

static int64_t time_below(struct mix *m, int64_t bound_us)
{
    return (int64_t)(next_random(m) % (uint64_t)bound_us);
}

/* ---- Names, and who uses them ---- */

static void make_names(struct mix *m)
{
    static const char *const hosts[] = {"api", "cdn", "auth", "img", "ws", "s3", "www"};
    static const char *const zones[] = {"acme.test", "shop.test", "mail.test"};
    double sum = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        struct name *name = &m->names[i];
        snprintf(name->text, sizeof(name->text), "%s%" PRIu32 ".eu-%" PRIu32 ".%s",
                 hosts[below(m, 7)], i, below(m, 9), zones[below(m, 3)]);
        name->first_address = i * ADDRESSES_MAX;
        name->addresses = 1 + below(m, ADDRESSES_MAX);
        name->ttl_s = 5 + below(m, 296);
        if (below(m, 10) < 4) {
            snprintf(name->target, sizeof(name->target), "d%08" PRIx32 ".edge.example",
                     below(m, UINT32_MAX));
            name->first_address = i / 2 * 2 * ADDRESSES_MAX;
            name->addresses = 1;
        }
        sum += 1.0 / (i + 1);
        m->cumulative[i] = sum;
    }
}

static const struct name *draw_name(struct mix *m)
{
    double point = (double)(next_random(m) >> 11) * 0x1p-53 * m->cumulative[NAMES - 1];
    uint32_t low = 0, high = NAMES - 1;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (m->cumulative[mid] > point) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return &m->names[low];
}

/* The uses of one pod until it has `want` pairs; its uses begin at m->use_count. */
static void make_uses(struct mix *m, uint32_t pod, uint32_t want)
{
    struct use *own = &m->uses[m->use_count];
    uint32_t count = 0, pairs = 0;
    while (pairs < want && count < OWN_MAX) {
        struct use use = {.pod = pod, .is_pair = true};
        if (pairs % 40 < NAMELESS_OF_40) {
            use.address = (1u << 16) + below(m, 1u << 16); /* 198.19.0.0/16 */
        } else {
            use.name = draw_name(m);
            use.address = use.name->first_address + below(m, use.name->addresses);
        }
        bool had = false;
        for (uint32_t i = 0; i < count; i++) {
            had |= use.name != NULL ? own[i].name == use.name : own[i].address == use.address;
            use.is_pair &= own[i].address != use.address;
        }
        if (!had) {
            own[count++] = use;
            pairs += use.is_pair;
        }
    }
    m->use_count += count;
}

static void make_cluster(struct mix *m)
{
    uint32_t pair_count = 0;
    make_names(m);
    m->uses = calloc((size_t)m->opt.pods * OWN_MAX, sizeof(*m->uses));
    for (uint32_t pod = 0; pod < m->opt.pods; pod++) {
        uint64_t until = (uint64_t)m->opt.pairs * (pod + 1) / m->opt.pods;
        uint64_t from = (uint64_t)m->opt.pairs * pod / m->opt.pods;
        make_uses(m, pod, (uint32_t)(until - from));
    }
    m->pairs = calloc(m->use_count, sizeof(*m->pairs));
    for (uint32_t i = 0; i < m->use_count; i++) {
        m->named_count += m->uses[i].name != NULL;
        if (m->uses[i].is_pair) {
            m->pairs[pair_count++] = i;
        }
    }
    if (pair_count != m->opt.pairs) {
        fprintf(stderr, "genflows: %" PRIu32 " pairs are too many for %" PRIu32 " pods\n",
                m->opt.pairs, m->opt.pods);
        exit(2);
    }
}

/* ---- When ---- */

static int by_answer_time(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    return x->time_us != y->time_us ? (x->time_us < y->time_us ? -1 : 1)
                                    : (x->use < y->use ? -1 : x->use > y->use);
}

static int by_flow_time(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;
    return x->time_us != y->time_us ? (x->time_us < y->time_us ? -1 : 1)
                                    : (x->use < y->use ? -1 : x->use > y->use);
}

/* Each named use is answered at nearly equal distances over two hours. */
static void make_answers(struct mix *m)
{
    uint32_t count = 0, named = 0;
    m->answers = calloc(m->opt.sightings, sizeof(*m->answers));
    for (uint32_t i = 0; i < m->use_count; i++) {
        struct use *use = &m->uses[i];
        if (use->name == NULL) {
            continue;
        }
        named++;
        uint32_t until = (uint32_t)((uint64_t)m->opt.sightings * named / m->named_count);
        use->first_answer = count;
        use->answers = until - count;
        int64_t step_us = 2 * HOUR_US / use->answers;
        for (uint32_t n = 0; n < use->answers; n++) {
            int64_t time_us = (int64_t)n * step_us + time_below(m, step_us / 2);
            m->answers[count++] = (struct answer){START_S * US_PER_S + time_us, i};
        }
    }
}

/* A time within the life of the last answer before `time_us`, of which there is one: the first
 * comes in the first hour. */
static int64_t time_after_answer(struct mix *m, const struct use *use, int64_t time_us)
{
    const struct answer *answer = &m->answers[use->first_answer];
    for (uint32_t n = 1; n < use->answers && answer[1].time_us < time_us; n++) {
        answer++;
    }
    return answer->time_us + 1000 + time_below(m, use->name->ttl_s * US_PER_S);
}

/* Before the answers are sorted, because each use's are together then. */
static void make_flows(struct mix *m)
{
    int64_t begin_us = START_S * US_PER_S + HOUR_US;
    m->flows = calloc(m->opt.flows, sizeof(*m->flows));
    for (uint32_t i = 0; i < m->opt.flows; i++) {
        uint32_t number = m->pairs[below(m, m->opt.pairs)];
        const struct use *use = &m->uses[number];
        int64_t time_us = begin_us + time_below(m, HOUR_US);
        if (use->name != NULL && below(m, 100) < 85) {
            time_us = time_after_answer(m, use, time_us);
        }
        m->flows[i] = (struct flow){time_us, number};
    }
    qsort(m->flows, m->opt.flows, sizeof(*m->flows), by_flow_time);
    qsort(m->answers, m->opt.sightings, sizeof(*m->answers), by_answer_time);
}

/* ---- Writing ---- */

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "genflows: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    return file;
}

static void finish(FILE *file, const char *path)
{
    int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        fprintf(stderr, "genflows: %s: could not be written\n", path);
        exit(1);
    }
}

static const char *pod_ip(char text[IP_ROOM], uint32_t pod)
{
    snprintf(text, IP_ROOM, "10.64.%" PRIu32 ".%" PRIu32, pod >> 8, pod & 255);
    return text;
}

static const char *address_ip(char text[IP_ROOM], uint32_t address)
{
    snprintf(text, IP_ROOM, "198.%" PRIu32 ".%" PRIu32 ".%" PRIu32, 18 + (address >> 16),
             address >> 8 & 255, address & 255);
    return text;
}

static void write_table(struct mix *m)
{
    FILE *out = create(m->opt.table);
    fprintf(out, "client,address,name,time_us,ttl_s\n");
    for (uint32_t i = 0; i < m->opt.sightings; i++) {
        const struct use *use = &m->uses[m->answers[i].use];
        char client[IP_ROOM], address[IP_ROOM];
        fprintf(out, "%s,%s,%s,%" PRId64 ",%" PRIu32 "\n", pod_ip(client, use->pod),
                address_ip(address, use->address), use->name->text, m->answers[i].time_us,
                use->name->ttl_s);
    }
    finish(out, m->opt.table);
}

static void put_answer(struct buf *out, const struct use *use, int64_t time_us)
{
    const struct name *name = use->name;
    const char *owner = name->target[0] != '\0' ? name->target : name->text;
    char client[IP_ROOM], address[IP_ROOM], lines[1024];
    int at = snprintf(lines, sizeof(lines), "QD %s IN A\n", name->text);
    if (owner == name->target) {
        at += snprintf(lines + at, sizeof(lines) - (size_t)at, "AN %s %" PRIu32 " IN CNAME %s\n",
                       name->text, name->ttl_s, owner);
    }
    for (uint32_t i = 0; i < name->addresses; i++) {
        at += snprintf(lines + at, sizeof(lines) - (size_t)at, "AN %s %" PRIu32 " IN A %s\n", owner,
                       name->ttl_s, address_ip(address, name->first_address + i));
    }
    tap_frame(out, &(struct tap){.identity = "dns-0",
                                 .client = pod_ip(client, use->pod),
                                 .query_time_us = time_us - 200,
                                 .response_time_us = time_us,
                                 .flags = 0x8180,
                                 .lines = lines});
}

static void write_capture(struct mix *m)
{
    FILE *out = create(m->opt.capture);
    struct buf buf = {0};
    tap_control(&buf, fs_start());
    for (uint32_t i = 0; i < m->opt.sightings; i++) {
        put_answer(&buf, &m->uses[m->answers[i].use], m->answers[i].time_us);
        fwrite(buf.data, 1, buf.len, out);
        buf_reset(&buf);
    }
    tap_control(&buf, fs_stop());
    fwrite(buf.data, 1, buf.len, out);
    buf_fini(&buf);
    finish(out, m->opt.capture);
}

/* What a pod is called follows from its number. */
struct pod {
    char ip[IP_ROOM];
    char workload[24];
    char name[48];
    uint32_t namespace;
    uint32_t node;
};

static void describe_pod(struct pod *pod, uint32_t number)
{
    static const char *const apps[] = {"api", "checkout", "recruiter", "mailer", "billing-worker"};
    uint32_t mixed = number * 2654435761u;
    pod_ip(pod->ip, number);
    snprintf(pod->workload, sizeof(pod->workload), "%s-%" PRIu32, apps[number % 5], number / 5);
    snprintf(pod->name, sizeof(pod->name), "%s-%08" PRIx32 "-%05" PRIx32, pod->workload, mixed,
             mixed >> 12);
    pod->namespace = number % NAMESPACES;
    pod->node = number % NODES;
}

static void put_hubble(struct mix *m, FILE *out, const struct flow *flow)
{
    const struct use *use = &m->uses[flow->use];
    struct pod pod;
    char time[TIME_TEXT_MAX + 3], to[IP_ROOM];
    uint64_t a = next_random(m), b = next_random(m);
    describe_pod(&pod, use->pod);
    time[time_print(flow->time_us, time) - 1] = '\0';
    sprintf(time + strlen(time), "%03uZ", (unsigned)(a % 1000));
    fprintf(out,
            "{\"flow\":{\"time\":\"%s\",\"uuid\":\"%08x-%04x-4%03x-a%03x-%012" PRIx64
            "\",\"verdict\":\"FORWARDED\",\"ethernet\":{\"source\":\"9a:4b:1f:%02x:%02x:%02x\","
            "\"destination\":\"3e:0d:77:%02x:%02x:%02x\"},\"IP\":{\"source\":\"%s\","
            "\"destination\":\"%s\",\"ipVersion\":\"IPv4\"},",
            time, (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
            (unsigned)(b & 0xfff), b >> 16, use->pod & 255, use->pod >> 8 & 255, pod.node, pod.node,
            use->pod >> 8 & 255, use->pod & 255, pod.ip, address_ip(to, use->address));
    fprintf(out,
            "\"l4\":{\"TCP\":{\"source_port\":%u,\"destination_port\":443,"
            "\"flags\":{\"SYN\":true}}},\"source\":{\"ID\":%u,\"identity\":%u,"
            "\"cluster_name\":\"prod-1\",\"namespace\":\"team-%u\",\"labels\":["
            "\"k8s:app.kubernetes.io/name=%s\","
            "\"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=team-%u\","
            "\"k8s:io.cilium.k8s.policy.cluster=prod-1\","
            "\"k8s:io.cilium.k8s.policy.serviceaccount=%s\","
            "\"k8s:io.kubernetes.pod.namespace=team-%u\"],\"pod_name\":\"%s\","
            "\"workloads\":[{\"name\":\"%s\",\"kind\":\"Deployment\"}]},",
            (unsigned)(32768 + (b >> 40) % 28232), 100 + use->pod % 900, 20000 + use->pod / 5,
            pod.namespace, pod.workload, pod.namespace, pod.workload, pod.namespace, pod.name,
            pod.workload);
    fprintf(out,
            "\"destination\":{\"identity\":2,\"labels\":[\"reserved:world\"]},"
            "\"Type\":\"L3_L4\",\"node_name\":\"prod-1/node-%u\",\"event_type\":{\"type\":4,"
            "\"sub_type\":3},\"traffic_direction\":\"EGRESS\","
            "\"trace_observation_point\":\"TO_STACK\",\"is_reply\":false,"
            "\"Summary\":\"TCP Flags: SYN\"},\"node_name\":\"prod-1/node-%u\",\"time\":\"%s\"}\n",
            pod.node, pod.node, time);
}

static void put_journal(struct mix *m, FILE *out, const struct flow *flow)
{
    const struct use *use = &m->uses[flow->use];
    struct pod pod;
    char to[IP_ROOM];
    uint64_t a = next_random(m);
    describe_pod(&pod, use->pod);
    fprintf(out,
            "{\"__CURSOR\":\"s=5f2e;i=%" PRIx64 ";b=9c1d;m=%" PRIx64 ";t=%" PRIx64 ";x=%016" PRIx64
            "\",\"__REALTIME_TIMESTAMP\":\"%" PRId64 "\",\"__MONOTONIC_TIMESTAMP\":\"%" PRId64
            "\",\"_BOOT_ID\":\"9c1d0b7e5a3f4d2c8e6f1a0b9c8d7e6f\",\"_TRANSPORT\":\"kernel\","
            "\"PRIORITY\":\"5\",\"SYSLOG_FACILITY\":\"0\",\"SYSLOG_IDENTIFIER\":\"kernel\","
            "\"_HOSTNAME\":\"node-%u\",\"_MACHINE_ID\":\"1f0e2d3c4b5a69788796a5b4c3d2e1f0\",",
            a & 0xffffff, (uint64_t)flow->time_us & 0xffffffff, (uint64_t)flow->time_us, a,
            flow->time_us, flow->time_us % (86400 * US_PER_S), pod.node);
    fprintf(out,
            "\"MESSAGE\":\"calico-packet: IN=cali%011x OUT=eth0 "
            "MAC=ee:ee:ee:ee:ee:ee:9a:4b:1f:%02x:%02x:%02x:08:00 SRC=%s DST=%s LEN=60 TOS=0x00 "
            "PREC=0x00 TTL=63 ID=%u DF PROTO=TCP SPT=%u DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0 "
            "\"}\n",
            use->pod, use->pod & 255, use->pod >> 8 & 255, pod.node, pod.ip,
            address_ip(to, use->address), (unsigned)(a & 0xffff),
            (unsigned)(32768 + (a >> 40) % 28232));
}

static void write_flows(struct mix *m, const char *path,
                        void (*put)(struct mix *, FILE *, const struct flow *))
{
    FILE *out = create(path);
    for (uint32_t i = 0; i < m->opt.flows; i++) {
        put(m, out, &m->flows[i]);
    }
    finish(out, path);
}

/* ---- Options ---- */

static int usage(FILE *to)
{
    fprintf(to, "usage: genflows [options]\n"
                "  --flows N       (1000000)\n"
                "  --pods N        (5000)\n"
                "  --pairs N       different (source, destination) pairs (200000)\n"
                "  --sightings N   (1000000)\n"
                "  --hubble FILE   the flows as Hubble lines\n"
                "  --journal FILE  the flows as kernel LOG lines in journald JSON\n"
                "  --capture FILE  the answers as a Frame Streams capture\n"
                "  --table FILE    the answers as CSV\n");
    return to == stdout ? 0 : 2;
}

static uint32_t number(const char *text, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-' || value < 1 || value > max) {
        fprintf(stderr, "genflows: '%s' is not a number from 1 to %lu\n", text, max);
        exit(2);
    }
    return (uint32_t)value;
}

static void parse_options(struct options *opt, int argc, char **argv)
{
    static const struct option longs[] = {
        {"flows", 1, 0, 'f'},   {"pods", 1, 0, 'p'},
        {"pairs", 1, 0, 'x'},   {"sightings", 1, 0, 's'},
        {"hubble", 1, 0, 'u'},  {"journal", 1, 0, 'j'},
        {"capture", 1, 0, 'c'}, {"table", 1, 0, 't'},
        {"help", 0, 0, 'h'},    {0, 0, 0, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            opt->flows = number(optarg, 1000000000);
            break;
        case 'p':
            opt->pods = number(optarg, 65536);
            break;
        case 'x':
            opt->pairs = number(optarg, 100000000);
            break;
        case 's':
            opt->sightings = number(optarg, 1000000000);
            break;
        case 'u':
            opt->hubble = optarg;
            break;
        case 'j':
            opt->journal = optarg;
            break;
        case 'c':
            opt->capture = optarg;
            break;
        case 't':
            opt->table = optarg;
            break;
        case 'h':
            exit(usage(stdout));
        default:
            exit(usage(stderr));
        }
    }
    if (optind != argc) {
        exit(usage(stderr));
    }
}

int main(int argc, char **argv)
{
    static struct mix m = {
        .opt = {.flows = 1000000, .pods = 5000, .pairs = 200000, .sightings = 1000000},
        .random = 1,
    };
    parse_options(&m.opt, argc, argv);
    make_cluster(&m);
    make_answers(&m);
    make_flows(&m);
    if (m.opt.table != NULL) {
        write_table(&m);
    }
    if (m.opt.capture != NULL) {
        write_capture(&m);
    }
    if (m.opt.hubble != NULL) {
        write_flows(&m, m.opt.hubble, put_hubble);
    }
    if (m.opt.journal != NULL) {
        write_flows(&m, m.opt.journal, put_journal);
    }
    fprintf(stderr, "flows %" PRIu32 " pairs %" PRIu32 " sightings %" PRIu32 " pods %" PRIu32 "\n",
            m.opt.flows, m.opt.pairs, m.opt.sightings, m.opt.pods);
    free(m.uses);
    free(m.pairs);
    free(m.answers);
    free(m.flows);
    return 0;
}
