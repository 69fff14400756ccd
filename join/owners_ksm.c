/* join/owners_ksm.c -- the text of kube-state-metrics becomes facts about owners
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_ksm.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/arena.h"
#include "join/owners_k8s.h"
#include "join/owners_table.h"

enum {
    LABELS_OF_LINE_MAX = 40,
    NUMBER_TEXT_MAX = 40,
};

struct label {
    struct text key;
    struct text value;
};

/* A line in pieces. */
struct sample {
    struct text metric;
    struct label labels[LABELS_OF_LINE_MAX];
    size_t label_count;
    double value;
    int64_t time_us; /* 0: none */
};

/* What was gathered of one pod, service or node. */
struct thing {
    struct thing *next;
    enum owner_kind kind;
    struct text namespace, name, uid, node, owner_kind, owner_name, hash;
    struct addr addresses[OWNER_ADDRS_MAX];
    size_t address_count;
    struct addr host;
    bool has_host;
    bool host_network;
    bool terminal;
    int64_t started_us;
    int64_t ended_us;
    int64_t deleted_us;
    int64_t first_us; /* sample that showed it; 0: no timestamps */
    int64_t last_us;
};

struct owners_ksm {
    struct owners *owners;
    const char *cluster;
    struct arena arena;
    struct thing *things;
    struct map by_uid;  /* and what has none */
    struct map by_name; /* the last one of a name */
    size_t thing_count;
    int64_t clock_us; /* the latest time named */
    uint64_t count;
};

int owners_ksm_new(struct owners_ksm **out, struct owners *owners, const char *cluster)
{
    struct owners_ksm *ksm = calloc(1, sizeof(*ksm));
    *out = ksm;
    if (ksm == NULL) {
        return -ENOMEM;
    }
    ksm->owners = owners;
    ksm->cluster = cluster;
    return 0;
}

static void forget(struct owners_ksm *ksm)
{
    free(ksm->by_uid.entries);
    free(ksm->by_name.entries);
    ksm->by_uid = ksm->by_name = (struct map){0};
    arena_fini(&ksm->arena);
    ksm->things = NULL;
    ksm->thing_count = 0;
    ksm->clock_us = 0;
}

void owners_ksm_free(struct owners_ksm **out)
{
    struct owners_ksm *ksm = *out;
    *out = NULL;
    if (ksm != NULL) {
        forget(ksm);
        free(ksm);
    }
}

uint64_t owners_ksm_count(const struct owners_ksm *ksm)
{
    return ksm->count;
}

/* ---- A line ---- */

static bool text_is(struct text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static void skip_spaces(struct text *rest)
{
    while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t')) {
        rest->data++;
        rest->len--;
    }
}

static struct text take(struct text *rest, size_t len)
{
    struct text taken = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return taken;
}

static size_t word_len(struct text rest, const char *ends)
{
    size_t len = 0;
    while (len < rest.len && strchr(ends, rest.data[len]) == NULL) {
        len++;
    }
    return len;
}

/* A quoted value; escapes are left as they are, because no name or address has one. */
static bool take_value(struct text *rest, struct text *value)
{
    size_t len = 1;
    if (rest->len == 0 || rest->data[0] != '"') {
        return false;
    }
    while (len < rest->len && rest->data[len] != '"') {
        len += rest->data[len] == '\\' ? 2 : 1;
    }
    if (len >= rest->len) {
        return false;
    }
    *value = (struct text){rest->data + 1, len - 1};
    take(rest, len + 1);
    return true;
}

static bool take_labels(struct text *rest, struct sample *sample)
{
    take(rest, 1);
    for (;;) {
        struct label label;
        skip_spaces(rest);
        if (rest->len > 0 && rest->data[0] == '}') {
            take(rest, 1);
            return true;
        }
        label.key = take(rest, word_len(*rest, "= \t"));
        skip_spaces(rest);
        if (rest->len == 0 || rest->data[0] != '=') {
            return false;
        }
        take(rest, 1);
        skip_spaces(rest);
        if (!take_value(rest, &label.value)) {
            return false;
        }
        if (sample->label_count < LABELS_OF_LINE_MAX) {
            sample->labels[sample->label_count++] = label;
        }
        skip_spaces(rest);
        if (rest->len > 0 && rest->data[0] == ',') {
            take(rest, 1);
        }
    }
}

static bool take_number(struct text *rest, double *number)
{
    char text[NUMBER_TEXT_MAX];
    char *end;
    skip_spaces(rest);
    size_t len = word_len(*rest, " \t");
    if (len == 0 || len >= sizeof(text)) {
        return false;
    }
    memcpy(text, rest->data, len);
    text[len] = '\0';
    *number = strtod(text, &end);
    take(rest, len);
    return *end == '\0';
}

/* Seconds since the epoch, 0 where that is no time. */
static int64_t time_of(double seconds)
{
    double us = seconds * (double)US_PER_S;
    return us >= (double)TIME_MIN_US && us <= (double)TIME_MAX_US ? llrint(us) : 0;
}

static bool read_sample(struct text line, struct sample *sample)
{
    double time = 0;
    sample->label_count = 0;
    sample->metric = take(&line, word_len(line, "{ \t"));
    skip_spaces(&line);
    if (line.len > 0 && line.data[0] == '{' && !take_labels(&line, sample)) {
        return false;
    }
    if (!take_number(&line, &sample->value)) {
        return false;
    }
    skip_spaces(&line);
    if (line.len > 0 && line.data[0] != '#' && !take_number(&line, &time)) {
        return false;
    }
    /* Milliseconds, or seconds (OpenMetrics). */
    sample->time_us = time_of(time > 1e11 ? time / 1000 : time);
    return true;
}

static struct text get(const struct sample *sample, const char *key)
{
    for (size_t i = 0; i < sample->label_count; i++) {
        if (text_is(sample->labels[i].key, key)) {
            return sample->labels[i].value;
        }
    }
    return (struct text){NULL, 0};
}

/* ---- Things ---- */

static XXH128_hash_t key_of(enum owner_kind kind, struct text namespace, struct text name,
                            struct text uid)
{
    const struct text parts[] = {namespace, name, uid};
    XXH128_hash_t hashes[3];
    for (size_t i = 0; i < 3; i++) {
        hashes[i] = XXH3_128bits(parts[i].data, parts[i].len);
    }
    return XXH3_128bits_withSeed(hashes, sizeof(hashes), (XXH64_hash_t)kind);
}

static void put(struct map *map, XXH128_hash_t key, struct thing *thing, int *err)
{
    map_remove(map, key);
    *err = *err != 0 ? *err : map_put(map, key, thing);
}

static struct thing *add_thing(struct owners_ksm *ksm, enum owner_kind kind, struct text namespace,
                               struct text name, struct text uid, int *err)
{
    if (ksm->thing_count == OWNERS_MAX_DEFAULT) {
        *err = W_ELIMIT;
        return NULL;
    }
    /* Multiples of 8 octets first, so that all are aligned. */
    size_t texts = (namespace.len + name.len + uid.len + 7) / 8 * 8;
    struct thing *thing = (struct thing *)(void *)arena_take(&ksm->arena, sizeof(*thing) + texts);
    if (thing == NULL) {
        *err = -ENOMEM;
        return NULL;
    }
    char *at = (char *)(thing + 1);
    *thing = (struct thing){.kind = kind, .next = ksm->things};
    struct text *const to[] = {&thing->namespace, &thing->name, &thing->uid};
    const struct text from[] = {namespace, name, uid};
    for (size_t i = 0; i < 3; i++) {
        *to[i] = (struct text){at, from[i].len};
        if (from[i].len > 0) {
            memcpy(at, from[i].data, from[i].len);
        }
        at += from[i].len;
    }
    ksm->things = thing;
    ksm->thing_count++;
    put(&ksm->by_uid, key_of(kind, namespace, name, uid), thing, err);
    put(&ksm->by_name, key_of(kind, namespace, name, (struct text){NULL, 0}), thing, err);
    return *err == 0 ? thing : NULL;
}

/* The one the sample is about; NULL with an error or where it names none. */
static struct thing *thing_of(struct owners_ksm *ksm, const struct sample *sample,
                              enum owner_kind kind, int *err)
{
    static const char *const NAME_KEYS[] = {
        [OWNER_POD] = "pod", [OWNER_SERVICE] = "service", [OWNER_NODE] = "node"};
    struct text namespace = get(sample, kind == OWNER_NODE ? "" : "namespace");
    struct text name = get(sample, NAME_KEYS[kind]);
    struct text uid = get(sample, "uid");
    if (name.len == 0) {
        return NULL;
    }
    struct thing *thing =
        map_get(uid.len > 0 ? &ksm->by_uid : &ksm->by_name, key_of(kind, namespace, name, uid));
    if (thing == NULL) {
        thing = add_thing(ksm, kind, namespace, name, uid, err);
    }
    return thing;
}

static void keep(struct owners_ksm *ksm, struct text *to, struct text value)
{
    if (value.len > 0 && to->len == 0) {
        size_t len = (value.len + 7) / 8 * 8;
        char *room = arena_take(&ksm->arena, len);
        if (room != NULL) {
            memcpy(room, value.data, value.len);
            *to = (struct text){room, value.len};
        }
    }
}

static bool parse_address(struct text text, struct addr *addr)
{
    return text.len > 0 && !text_is(text, "None") && addr_parse(addr, text.data, text.len) &&
           addr_kind(addr) != ADDR_UNSPECIFIED;
}

static void add_address(struct thing *thing, struct text text)
{
    struct addr addr;
    if (!parse_address(text, &addr)) {
        return;
    }
    for (size_t i = 0; i < thing->address_count; i++) {
        if (addr_equal(&thing->addresses[i], &addr)) {
            return;
        }
    }
    if (thing->address_count < OWNER_ADDRS_MAX) {
        thing->addresses[thing->address_count++] = addr;
    }
}

/* ---- Metrics ---- */

static void pod_info(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    struct text ip = get(sample, "pod_ip"), host = get(sample, "host_ip");
    add_address(thing, ip);
    keep(ksm, &thing->node, get(sample, "node"));
    keep(ksm, &thing->owner_kind, get(sample, "created_by_kind"));
    keep(ksm, &thing->owner_name, get(sample, "created_by_name"));
    thing->has_host |= parse_address(host, &thing->host);
    /* Before version 1.9 it does not say so. */
    bool same = ip.len > 0 && ip.len == host.len && memcmp(ip.data, host.data, ip.len) == 0;
    thing->host_network |= text_is(get(sample, "host_network"), "true") || same;
}

static void pod_ips(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    add_address(thing, get(sample, "ip"));
}

static void pod_start(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    thing->started_us = time_of(sample->value);
}

static void pod_completion(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    thing->ended_us = time_of(sample->value);
}

static void pod_deletion(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    thing->deleted_us = time_of(sample->value);
}

static void pod_phase(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    struct text phase = get(sample, "phase");
    (void)ksm;
    thing->terminal |=
        sample->value == 1 && (text_is(phase, "Succeeded") || text_is(phase, "Failed"));
}

static void pod_labels(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    keep(ksm, &thing->hash, get(sample, "label_pod_template_hash"));
}

static void service_info(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    add_address(thing, get(sample, "cluster_ip"));
}

static void node_info(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    (void)ksm;
    add_address(thing, get(sample, "internal_ip"));
}

static void node_address(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    struct text type = get(sample, "type");
    (void)ksm;
    if (text_is(type, "InternalIP") || text_is(type, "ExternalIP")) {
        add_address(thing, get(sample, "address"));
    }
}

static const struct {
    const char *name;
    enum owner_kind kind;
    void (*take)(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample);
} METRICS[] = {
    {"kube_pod_info", OWNER_POD, pod_info},
    {"kube_pod_ips", OWNER_POD, pod_ips},
    {"kube_pod_start_time", OWNER_POD, pod_start},
    {"kube_pod_completion_time", OWNER_POD, pod_completion},
    {"kube_pod_deletion_timestamp", OWNER_POD, pod_deletion},
    {"kube_pod_status_phase", OWNER_POD, pod_phase},
    {"kube_pod_labels", OWNER_POD, pod_labels},
    {"kube_service_info", OWNER_SERVICE, service_info},
    {"kube_service_created", OWNER_SERVICE, pod_start},
    {"kube_node_info", OWNER_NODE, node_info},
    {"kube_node_status_addresses", OWNER_NODE, node_address},
    {"kube_node_created", OWNER_NODE, pod_start},
};

static int64_t latest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void look_at_clock(struct owners_ksm *ksm, struct thing *thing, const struct sample *sample)
{
    ksm->clock_us = latest(ksm->clock_us, sample->time_us);
    ksm->clock_us = latest(ksm->clock_us, thing->started_us);
    ksm->clock_us = latest(ksm->clock_us, thing->ended_us);
    if (sample->time_us != 0) {
        thing->last_us = latest(thing->last_us, sample->time_us);
        thing->first_us = thing->first_us == 0 || sample->time_us < thing->first_us
                              ? sample->time_us
                              : thing->first_us;
    }
}

int owners_ksm_line(struct owners_ksm *ksm, const char *line, size_t len, struct why *why)
{
    struct text rest = {line, len};
    struct sample sample;
    int err = 0;
    skip_spaces(&rest);
    if (rest.len > 0 && rest.data[rest.len - 1] == '\r') {
        rest.len--;
    }
    if (rest.len == 0 || rest.data[0] == '#') {
        return 0;
    }
    if (!read_sample(rest, &sample)) {
        return why_set(why, W_ESYNTAX,
                       "expected a metric as kube_pod_info{namespace=\"a\",pod=\"b\"} 1");
    }
    for (size_t i = 0; i < sizeof(METRICS) / sizeof(METRICS[0]); i++) {
        if (!text_is(sample.metric, METRICS[i].name) || isnan(sample.value)) {
            continue;
        }
        struct thing *thing = thing_of(ksm, &sample, METRICS[i].kind, &err);
        if (thing == NULL) {
            return err != 0 ? err
                            : why_set(why, W_ESYNTAX, "%s: expected the label %s", METRICS[i].name,
                                      owner_kind_name(METRICS[i].kind));
        }
        METRICS[i].take(ksm, thing, &sample);
        look_at_clock(ksm, thing, &sample);
    }
    return 0;
}

/* ---- The end ---- */

static int tell_host(struct owners_ksm *ksm, const struct thing *thing,
                     const struct owner_fact *like)
{
    struct owner_fact node = {
        .cluster = ksm->cluster,
        .kind = OWNER_NODE,
        .name = thing->node,
        .addresses = &thing->host,
        .address_count = 1,
        .partial = true,
        .at_us = like->at_us,
        .started_us = like->started_us,
    };
    bool told = thing->kind == OWNER_POD && thing->has_host && thing->node.len > 0 &&
                !thing->terminal && thing->ended_us == 0;
    return told ? owners_observe(ksm->owners, &node) : 0;
}

/* That it held its addresses, and when it stopped. */
static int tell(struct owners_ksm *ksm, const struct thing *thing)
{
    bool scraped = thing->last_us != 0;
    int64_t end_us = 0;
    struct owner_fact fact = {
        .cluster = ksm->cluster,
        .kind = thing->kind,
        .namespace = thing->namespace,
        .name = thing->name,
        .uid = thing->uid,
        .node = thing->kind == OWNER_NODE ? thing->name : thing->node,
        .addresses = thing->addresses,
        .address_count = thing->address_count,
        .at_us = scraped ? thing->last_us : latest(ksm->clock_us, TIME_MIN_US),
        .started_us = thing->started_us != 0 ? thing->started_us : thing->first_us,
    };
    if (thing->kind == OWNER_POD) {
        owners_workload(thing->name, thing->owner_kind, thing->owner_name, thing->hash,
                        &fact.workload_kind, &fact.workload);
    }
    int err = tell_host(ksm, thing, &fact);
    if (err != 0 || thing->host_network || thing->address_count == 0) {
        return err;
    }
    ksm->count++;
    if (thing->ended_us != 0) {
        fact.ended = true;
        fact.ended_us = thing->ended_us;
        fact.at_us = latest(fact.at_us, thing->ended_us);
        return owners_observe(ksm->owners, &fact);
    }
    if (thing->terminal && !scraped) {
        return 0;
    }
    err = owners_observe(ksm->owners, &fact);
    if (scraped && thing->last_us + OWNERS_KSM_STALE_US < ksm->clock_us) {
        end_us = thing->last_us;
    }
    if (thing->deleted_us != 0) {
        end_us = thing->deleted_us;
    }
    if (err == 0 && (end_us != 0 || thing->terminal)) {
        fact.ended = true;
        fact.at_us = end_us != 0 ? end_us : thing->last_us;
        err = owners_observe(ksm->owners, &fact);
    }
    return err;
}

int owners_ksm_end(struct owners_ksm *ksm)
{
    int err = 0;
    for (const struct thing *thing = ksm->things; thing != NULL && err == 0; thing = thing->next) {
        err = tell(ksm, thing);
    }
    forget(ksm);
    return err;
}
