/* join/owners_k8s.c -- Kubernetes objects become facts about owners
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_k8s.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/arena.h"
#include "join/json.h"
#include "join/labels.h"

enum {
    POD_IPS = 4,
    HOST_IPS = 2,
    CONDITIONS = 8,
    CONTAINERS = 12,
    NODE_ADDRESSES = 8,
    NAMESPACES_MAX = 4096, /* remembered of a list; objects of the others are never missed */
};

enum {
    KIND,
    NAMESPACE,
    NAME,
    UID,
    CREATED,
    DELETED,
    DELETED_GRACE,
    OWNER_KIND,
    OWNER_NAME,
    LABELS,
    NODE_NAME,
    HOST_NETWORK,
    CLUSTER_IP,
    CLUSTER_IPS,
    SELECTOR = CLUSTER_IPS + 2,
    PHASE,
    POD_IP,
    STARTED,
    HOST_IP,
    OTHER_HOST_IPS,
    OTHER_POD_IPS = OTHER_HOST_IPS + HOST_IPS,
    CONDITION_TIMES = OTHER_POD_IPS + POD_IPS,
    CONTAINER_STARTS = CONDITION_TIMES + 2 * CONDITIONS,
    CONTAINER_ENDS = CONTAINER_STARTS + CONTAINERS,
    ADDRESS_TYPES = CONTAINER_ENDS + CONTAINERS,
    ADDRESSES = ADDRESS_TYPES + NODE_ADDRESSES,
    POINTERS = ADDRESSES + NODE_ADDRESSES,
};
_Static_assert(POINTERS <= JSON_PATHS_MAX, "all found in one pass");

/* Where they are; a pointer with %u stands for as many as follow up to the next. */
static const struct {
    int first;
    int count;
    const char *pointer;
} PLACES[] = {
    {KIND, 1, "/kind"},
    {NAMESPACE, 1, "/metadata/namespace"},
    {NAME, 1, "/metadata/name"},
    {UID, 1, "/metadata/uid"},
    {CREATED, 1, "/metadata/creationTimestamp"},
    {DELETED, 1, "/metadata/deletionTimestamp"},
    {DELETED_GRACE, 1, "/metadata/deletionGracePeriodSeconds"},
    {OWNER_KIND, 1, "/metadata/ownerReferences/0/kind"},
    {OWNER_NAME, 1, "/metadata/ownerReferences/0/name"},
    {LABELS, 1, "/metadata/labels"},
    {NODE_NAME, 1, "/spec/nodeName"},
    {HOST_NETWORK, 1, "/spec/hostNetwork"},
    {CLUSTER_IP, 1, "/spec/clusterIP"},
    {CLUSTER_IPS, 2, "/spec/clusterIPs/%u"},
    {SELECTOR, 1, "/spec/selector"},
    {PHASE, 1, "/status/phase"},
    {POD_IP, 1, "/status/podIP"},
    {STARTED, 1, "/status/startTime"},
    {HOST_IP, 1, "/status/hostIP"},
    {OTHER_HOST_IPS, HOST_IPS, "/status/hostIPs/%u/ip"},
    {OTHER_POD_IPS, POD_IPS, "/status/podIPs/%u/ip"},
    {CONDITION_TIMES, CONDITIONS, "/status/conditions/%u/lastTransitionTime"},
    {CONDITION_TIMES + CONDITIONS, CONDITIONS, "/status/conditions/%u/lastHeartbeatTime"},
    {CONTAINER_STARTS, CONTAINERS, "/status/containerStatuses/%u/state/running/startedAt"},
    {CONTAINER_ENDS, CONTAINERS, "/status/containerStatuses/%u/state/terminated/finishedAt"},
    {ADDRESS_TYPES, NODE_ADDRESSES, "/status/addresses/%u/type"},
    {ADDRESSES, NODE_ADDRESSES, "/status/addresses/%u/address"},
};

enum { TYPE, OBJECT, API_KIND, STATUS_MESSAGE, EVENT_POINTERS };
static const char *const EVENT[EVENT_POINTERS] = {
    [TYPE] = "/type",
    [OBJECT] = "/object",
    [API_KIND] = "/kind",
    [STATUS_MESSAGE] = "/object/message",
};

/* What a list had. */
struct listed {
    enum owner_kind kind;
    char namespace[OWNER_TEXT_MAX + 1];
};

struct owners_k8s {
    struct owners *owners;
    const char *cluster;
    struct json_parser *parser;
    struct json_paths *paths;
    struct json_paths *event_paths;
    struct arena arena; /* of the object in hand */
    int64_t clock_us;   /* the latest time an object named */
    uint64_t count;
    uint64_t first_list; /* of this stream; 0: none yet */
    uint64_t list;       /* the one being read; 0: none */
    uint64_t last_list;  /* the last one that was begun */
    struct listed *listed;
    size_t listed_count;
    size_t listed_cap;
};

/* One object being read. */
struct object {
    struct owners_k8s *k8s;
    struct json_value values[POINTERS];
    bool deleted;
    int64_t received_us;
    struct why *why;
    int err;

    struct addr addresses[OWNER_ADDRS_MAX];
    size_t address_count;
    struct owner_fact fact;
};

static int make_paths(struct json_paths **paths)
{
    char texts[POINTERS][64];
    const char *pointers[POINTERS];
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        for (int j = 0; j < PLACES[i].count; j++) {
            /* The index goes where the %u is. */
            const char *at = strstr(PLACES[i].pointer, "%u");
            size_t head = at != NULL ? (size_t)(at - PLACES[i].pointer) : 0;
            char *text = texts[PLACES[i].first + j];
            if (at == NULL) {
                snprintf(text, sizeof(texts[0]), "%s", PLACES[i].pointer);
            } else {
                snprintf(text, sizeof(texts[0]), "%.*s%d%s", (int)head, PLACES[i].pointer, j,
                         at + 2);
            }
            pointers[PLACES[i].first + j] = text;
        }
    }
    return json_paths_new(paths, pointers, POINTERS);
}

int owners_k8s_new(struct owners_k8s **out, struct owners *owners, const char *cluster)
{
    struct owners_k8s *k8s = calloc(1, sizeof(*k8s));
    *out = k8s;
    if (k8s == NULL) {
        return -ENOMEM;
    }
    k8s->owners = owners;
    k8s->cluster = cluster;
    int err = make_paths(&k8s->paths);
    err = err != 0 ? err : json_paths_new(&k8s->event_paths, EVENT, EVENT_POINTERS);
    err = err != 0 ? err : json_parser_new(&k8s->parser, K8S_OBJECT_MAX);
    if (err != 0) {
        owners_k8s_free(out);
    }
    return err;
}

void owners_k8s_free(struct owners_k8s **out)
{
    struct owners_k8s *k8s = *out;
    *out = NULL;
    if (k8s != NULL) {
        json_parser_free(&k8s->parser);
        json_paths_free(&k8s->paths);
        json_paths_free(&k8s->event_paths);
        arena_fini(&k8s->arena);
        free(k8s->listed);
        free(k8s);
    }
}

uint64_t owners_k8s_count(const struct owners_k8s *k8s)
{
    return k8s->count;
}

/* ---- Members ---- */

/* "status.podIPs: '10.0.0' is not an IP address" */
static void bad(struct object *object, int pointer, const char *expected)
{
    const struct json_value *value = &object->values[pointer];
    char field[64] = "";
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        if (pointer >= PLACES[i].first && pointer < PLACES[i].first + PLACES[i].count) {
            const char *end = strstr(PLACES[i].pointer, "/%u");
            size_t len =
                end != NULL ? (size_t)(end - PLACES[i].pointer) : strlen(PLACES[i].pointer);
            snprintf(field, sizeof(field), "%.*s", (int)len - 1, PLACES[i].pointer + 1);
        }
    }
    for (char *at = strchr(field, '/'); at != NULL; at = strchr(at, '/')) {
        *at = '.';
    }
    if (object->err == 0) {
        object->err =
            why_set(object->why, W_ESYNTAX, "%s: '%.*s' is not %s", field,
                    (int)(value->text.len < 60 ? value->text.len : 60), value->text.data, expected);
    }
}

static struct text text_of(struct object *object, int pointer)
{
    const struct json_value *value = &object->values[pointer];
    struct text none = {NULL, 0};
    if (value->type != JSON_STRING) {
        return none;
    }
    if (!value->escaped) {
        return value->text;
    }
    char *room = arena_take(&object->k8s->arena, value->text.len + 1);
    if (room == NULL) {
        object->err = -ENOMEM;
        return none;
    }
    size_t len = json_unescape(value, room);
    if (len == SIZE_MAX) {
        bad(object, pointer, "a text");
        return none;
    }
    return (struct text){room, len};
}

static bool text_is(struct text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

/* 0 where it is absent. */
static int64_t time_of(struct object *object, int pointer)
{
    struct text text = text_of(object, pointer);
    int64_t time_us = 0;
    if (text.len > 0 && !time_parse(&time_us, text.data, text.len, 0)) {
        bad(object, pointer, "a time");
        return 0;
    }
    return time_us;
}

static void add_address(struct object *object, int pointer)
{
    struct text text = text_of(object, pointer);
    struct addr addr;
    if (text.len == 0 || text_is(text, "None")) {
        return;
    }
    if (!addr_parse(&addr, text.data, text.len)) {
        bad(object, pointer, "an IP address");
        return;
    }
    for (size_t i = 0; i < object->address_count; i++) {
        if (addr_equal(&object->addresses[i], &addr)) {
            return;
        }
    }
    if (object->address_count < OWNER_ADDRS_MAX && addr_kind(&addr) != ADDR_UNSPECIFIED) {
        object->addresses[object->address_count++] = addr;
    }
}

static void add_addresses(struct object *object, int first, int count)
{
    for (int i = 0; i < count; i++) {
        add_address(object, first + i);
    }
}

static int64_t latest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Moves the recording's clock to the latest time the object names. A deletionTimestamp is when the
 * pod will be killed: what is past is when that was asked for. */
static void look_at_clock(struct object *object)
{
    int64_t *clock_us = &object->k8s->clock_us;
    uint64_t grace_s = 0;
    int64_t deleted_us = time_of(object, DELETED);
    if (deleted_us != 0 && json_u64(&object->values[DELETED_GRACE], &grace_s) &&
        grace_s < (uint64_t)(US_PER_DAY / US_PER_S)) {
        deleted_us -= (int64_t)grace_s * US_PER_S;
    }
    *clock_us = latest(*clock_us, deleted_us);
    *clock_us = latest(*clock_us, time_of(object, CREATED));
    *clock_us = latest(*clock_us, time_of(object, STARTED));
    for (int i = CONDITION_TIMES; i < CONTAINER_ENDS + CONTAINERS; i++) {
        *clock_us = latest(*clock_us, time_of(object, i));
    }
}

static void set_labels(struct object *object, int pointer)
{
    const struct json_value *value = &object->values[pointer];
    if (value->type == JSON_OBJECT) {
        object->fact.labels = labels_of_json(&object->k8s->arena, value->text);
    }
}

/* ---- Kinds ---- */

void owners_workload(struct text pod, struct text owner_kind, struct text owner_name,
                     struct text hash, struct text *workload_kind, struct text *workload)
{
    static const char HASH_LETTERS[] = "bcdfghjklmnpqrstvwxz2456789";
    if (owner_name.len == 0 || text_is(owner_kind, "Node")) { /* static pods */
        *workload_kind = (struct text){"Pod", 3};
        *workload = pod;
        return;
    }
    size_t stem = owner_name.len;
    while (stem > 0 && owner_name.data[stem - 1] != '-') {
        stem--;
    }
    struct text tail = {owner_name.data + stem, owner_name.len - stem};
    struct text head = {owner_name.data, stem > 0 ? stem - 1 : 0};
    size_t letters = 0, digits = 0;
    for (size_t i = 0; i < tail.len; i++) {
        letters += memchr(HASH_LETTERS, tail.data[i], sizeof(HASH_LETTERS) - 1) != NULL;
        digits += tail.data[i] >= '0' && tail.data[i] <= '9';
    }
    bool is_hash = hash.len > 0
                       ? tail.len == hash.len && memcmp(tail.data, hash.data, hash.len) == 0
                       : tail.len >= 6 && tail.len <= 10 && letters == tail.len;
    *workload_kind = owner_kind;
    *workload = owner_name;
    if (text_is(owner_kind, "ReplicaSet") && is_hash && head.len > 0) {
        *workload_kind = (struct text){"Deployment", 10};
        *workload = head;
    } else if (text_is(owner_kind, "Job") && head.len > 0 && tail.len >= 8 &&
               digits == tail.len) { /* minutes since the epoch */
        *workload_kind = (struct text){"CronJob", 7};
        *workload = head;
    }
}

/* When its last container finished, 0 if one did not. */
static int64_t finished_us(struct object *object)
{
    int64_t finished = 0;
    for (int i = 0; i < CONTAINERS; i++) {
        if (object->values[CONTAINER_STARTS + i].type == JSON_STRING) {
            return 0;
        }
        finished = latest(finished, time_of(object, CONTAINER_ENDS + i));
    }
    return finished;
}

/* Its node's address, which each pod tells. Before the pod's own addresses are added. */
static int tell_node(struct object *object)
{
    struct addr addresses[HOST_IPS + 1];
    add_address(object, HOST_IP);
    add_addresses(object, OTHER_HOST_IPS, HOST_IPS);
    struct owner_fact node = {
        .cluster = object->fact.cluster,
        .kind = OWNER_NODE,
        .name = text_of(object, NODE_NAME),
        .addresses = addresses,
        .address_count = object->address_count,
        .partial = true,
        .at_us = object->fact.at_us,
        .started_us = object->fact.started_us,
        .stream = object->fact.stream,
        .list = object->fact.list,
    };
    memcpy(addresses, object->addresses, object->address_count * sizeof(struct addr));
    object->address_count = 0;
    if (object->err != 0 || node.name.len == 0 || node.address_count == 0) {
        return object->err;
    }
    return owners_observe(object->k8s->owners, &node);
}

static int observe(struct object *object)
{
    object->fact.addresses = object->addresses;
    object->fact.address_count = object->address_count;
    if (object->err != 0) {
        return object->err;
    }
    object->k8s->count++;
    return owners_observe(object->k8s->owners, &object->fact);
}

static int take_pod(struct object *object)
{
    struct owner_fact *fact = &object->fact;
    struct text phase = text_of(object, PHASE);
    bool terminal = text_is(phase, "Succeeded") || text_is(phase, "Failed");
    bool host_network = object->values[HOST_NETWORK].type == JSON_TRUE;
    set_labels(object, LABELS);
    fact->started_us = time_of(object, STARTED);
    fact->node = text_of(object, NODE_NAME);
    owners_workload(fact->name, text_of(object, OWNER_KIND), text_of(object, OWNER_NAME),
                    labels_get(fact->labels, "pod-template-hash"), &fact->workload_kind,
                    &fact->workload);
    int err = terminal || object->deleted ? 0 : tell_node(object);
    if (err != 0 || host_network) {
        object->k8s->count++;
        return err;
    }
    add_address(object, POD_IP);
    add_addresses(object, OTHER_POD_IPS, POD_IPS);
    fact->ended = terminal || object->deleted;
    if (fact->ended) {
        fact->ended_us = finished_us(object);
    }
    if (fact->ended && fact->ended_us == 0 && object->received_us == 0) {
        /* In a recording: it may have gone on until it was to be killed. */
        fact->until_us = time_of(object, DELETED);
    }
    return observe(object);
}

static int take_service(struct object *object)
{
    set_labels(object, SELECTOR);
    object->fact.started_us = time_of(object, CREATED);
    object->fact.ended = object->deleted;
    add_address(object, CLUSTER_IP);
    add_addresses(object, CLUSTER_IPS, 2);
    return observe(object);
}

static int take_node(struct object *object)
{
    object->fact.namespace = (struct text){NULL, 0};
    object->fact.started_us = time_of(object, CREATED);
    object->fact.node = object->fact.name;
    object->fact.ended = object->deleted;
    for (int i = 0; i < NODE_ADDRESSES; i++) {
        struct text type = text_of(object, ADDRESS_TYPES + i);
        if (text_is(type, "InternalIP") || text_is(type, "ExternalIP")) {
            add_address(object, ADDRESSES + i);
        }
    }
    return observe(object);
}

static bool kind_of(struct text text, enum owner_kind *kind)
{
    static const char *const KINDS[] = {
        [OWNER_POD] = "Pod", [OWNER_SERVICE] = "Service", [OWNER_NODE] = "Node"};
    for (int i = OWNER_POD; i <= OWNER_NODE; i++) {
        if (text_is(text, KINDS[i])) {
            *kind = (enum owner_kind)i;
            return true;
        }
    }
    return false;
}

/* ---- Lists ---- */

static int remember_listed(struct owners_k8s *k8s, enum owner_kind kind, struct text namespace)
{
    struct listed listed = {.kind = kind};
    size_t len = namespace.len < OWNER_TEXT_MAX ? namespace.len : OWNER_TEXT_MAX;
    if (len > 0) {
        memcpy(listed.namespace, namespace.data, len);
    }
    /* Lists are sorted by namespace: the last one is nearly always it. */
    for (size_t i = k8s->listed_count; i > 0; i--) {
        if (k8s->listed[i - 1].kind == kind &&
            strcmp(k8s->listed[i - 1].namespace, listed.namespace) == 0) {
            return 0;
        }
    }
    if (k8s->listed_count == NAMESPACES_MAX) {
        return 0;
    }
    if (k8s->listed_count == k8s->listed_cap) {
        size_t cap = k8s->listed_cap > 0 ? k8s->listed_cap * 2 : 16;
        struct listed *grown = reallocarray(k8s->listed, cap, sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        k8s->listed = grown;
        k8s->listed_cap = cap;
    }
    k8s->listed[k8s->listed_count++] = listed;
    return 0;
}

static int end_list(struct owners_k8s *k8s, int64_t received_us)
{
    int err = 0;
    /* From the first list nobody can be missing. */
    bool first = k8s->list == k8s->first_list;
    for (size_t i = 0; i < k8s->listed_count && err == 0 && !first; i++) {
        const struct listed *listed = &k8s->listed[i];
        err = owners_list_end(k8s->owners, k8s->first_list, k8s->list, k8s->cluster, listed->kind,
                              listed->namespace, received_us != 0 ? received_us : k8s->clock_us);
    }
    k8s->listed_count = 0;
    k8s->list = 0;
    return err;
}

/* ---- Objects and pieces ---- */

int owners_k8s_object(struct owners_k8s *k8s, const char *json, size_t len, const char *kind_name,
                      bool deleted, int64_t received_us, struct why *why)
{
    struct object object = {.k8s = k8s, .deleted = deleted, .received_us = received_us, .why = why};
    struct json_fault fault = {0};
    enum owner_kind kind;
    arena_reset(&k8s->arena);
    int err = json_parse(k8s->parser, k8s->paths, json, len, object.values, &fault);
    if (err != 0) {
        return err == -ENOMEM
                   ? err
                   : why_set(why, W_ESYNTAX, "not JSON: %s at octet %zu",
                             fault.what != NULL ? fault.what : err_str(err), fault.offset);
    }
    struct text named = text_of(&object, KIND);
    if (named.len == 0 && kind_name != NULL) {
        named = (struct text){kind_name, strlen(kind_name)};
    }
    if (!kind_of(named, &kind)) {
        return object.err;
    }
    look_at_clock(&object);
    object.fact = (struct owner_fact){
        .cluster = k8s->cluster,
        .kind = kind,
        .namespace = text_of(&object, NAMESPACE),
        .name = text_of(&object, NAME),
        .uid = text_of(&object, UID),
        .stream = k8s->first_list,
        .list = k8s->last_list,
        .at_us = received_us != 0 ? received_us : latest(k8s->clock_us, TIME_MIN_US),
    };
    if (object.err == 0 && object.fact.name.len == 0) {
        return why_set(why, W_ESYNTAX, "metadata.name: expected the object's name");
    }
    if (object.err == 0 && k8s->list != 0) {
        object.err = remember_listed(k8s, kind, object.fact.namespace);
    }
    if (object.err != 0) {
        return object.err;
    }
    return kind == OWNER_POD       ? take_pod(&object)
           : kind == OWNER_SERVICE ? take_service(&object)
                                   : take_node(&object);
}

static int take_document(struct owners_k8s *k8s, const struct k8s_piece *piece, int64_t received_us,
                         struct why *why)
{
    struct json_value values[EVENT_POINTERS];
    struct json_fault fault = {0};
    int err = json_parse(k8s->parser, k8s->event_paths, piece->text, piece->len, values, &fault);
    if (err != 0) {
        return err == -ENOMEM
                   ? err
                   : why_set(why, W_ESYNTAX, "not JSON: %s at octet %zu",
                             fault.what != NULL ? fault.what : err_str(err), fault.offset);
    }
    struct text type =
        values[TYPE].type == JSON_STRING ? values[TYPE].text : (struct text){NULL, 0};
    struct text object = values[OBJECT].text;
    if (type.len == 0 || values[OBJECT].type != JSON_OBJECT) {
        return values[API_KIND].type == JSON_STRING
                   ? owners_k8s_object(k8s, piece->text, piece->len, NULL, false, received_us, why)
                   : why_set(why, W_ESYNTAX,
                             "expected a Kubernetes object, a list, or a watch event");
    }
    if (text_is(type, "ADDED") || text_is(type, "MODIFIED") || text_is(type, "DELETED")) {
        return owners_k8s_object(k8s, object.data, object.len, NULL, text_is(type, "DELETED"),
                                 received_us, why);
    }
    if (text_is(type, "ERROR")) {
        struct text message = values[STATUS_MESSAGE].text;
        return why_set(why, W_ESYNTAX, "the watch ended with an error: %.*s",
                       (int)(message.len < 200 ? message.len : 200),
                       message.data != NULL ? message.data : "");
    }
    return text_is(type, "BOOKMARK")
               ? 0
               : why_set(why, W_ESYNTAX,
                         "type: '%.*s' is not ADDED, MODIFIED, DELETED, BOOKMARK or ERROR",
                         (int)(type.len < 60 ? type.len : 60), type.data);
}

static int take_item(struct owners_k8s *k8s, const struct k8s_piece *piece, int64_t received_us,
                     struct why *why)
{
    char kind[K8S_KIND_MAX + 1];
    size_t len = strlen(piece->list_kind);
    len = len > 4 && strcmp(piece->list_kind + len - 4, "List") == 0 ? len - 4 : 0;
    memcpy(kind, piece->list_kind, len);
    kind[len] = '\0';
    if (k8s->list == 0) {
        k8s->list = owners_list_begin(k8s->owners);
        k8s->last_list = k8s->list;
        k8s->first_list = k8s->first_list == 0 ? k8s->list : k8s->first_list;
    }
    return owners_k8s_object(k8s, piece->text, piece->len, kind, false, received_us, why);
}

int owners_k8s_piece(struct owners_k8s *k8s, const struct k8s_piece *piece, int64_t received_us,
                     struct why *why)
{
    switch (piece->type) {
    case K8S_PIECE_DOCUMENT:
        return take_document(k8s, piece, received_us, why);
    case K8S_PIECE_ITEM:
        return take_item(k8s, piece, received_us, why);
    case K8S_PIECE_LIST:
        return end_list(k8s, received_us);
    case K8S_PIECE_TOO_LONG:
    case K8S_PIECE_FAULT:
        break;
    }
    /* A list that was cut ends nothing. */
    k8s->list = 0;
    k8s->listed_count = 0;
    return why_set(why, W_ESYNTAX, "%s", piece->what != NULL ? piece->what : "longer than fits");
}
