/* join/owners.c -- whose address it was: the table and how it is told
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "join/owners_table.h"

static bool has_label(const char *labels, const char *label)
{
    size_t len = strlen(label);
    for (const char *at = labels; *at != '\0';) {
        size_t line = strcspn(at, "\n");
        if (line == len && memcmp(at, label, len) == 0) {
            return true;
        }
        at += line + (at[line] == '\n');
    }
    return false;
}

bool owner_is_dns(const struct owner *owner)
{
    static const char *const LABELS[] = {"k8s-app=kube-dns", "k8s-app=coredns",
                                         "k8s-app=node-local-dns",
                                         "app.kubernetes.io/name=coredns"};
    for (size_t i = 0; i < sizeof(LABELS) / sizeof(LABELS[0]); i++) {
        if (owner->kind == OWNER_POD && !owner->hint && has_label(owner->labels, LABELS[i])) {
            return true;
        }
    }
    return false;
}

const char *owner_kind_name(enum owner_kind kind)
{
    static const char *const NAMES[] = {
        [OWNER_POD] = "pod", [OWNER_SERVICE] = "service", [OWNER_NODE] = "node"};
    return NAMES[kind];
}

int owners_new(struct owners **out, size_t max)
{
    struct owners *owners = calloc(1, sizeof(*owners));
    *out = owners;
    if (owners == NULL) {
        return -ENOMEM;
    }
    owners->max = max > 0 ? max : OWNERS_MAX_DEFAULT;
    atomic_init(&owners->version, 0);
    pthread_rwlock_init(&owners->lock, NULL);
    return 0;
}

void span_release(struct span *span)
{
    if (span != NULL && atomic_fetch_sub_explicit(&span->refs, 1, memory_order_acq_rel) == 1) {
        free(span);
    }
}

static void free_slots(struct map *map)
{
    for (size_t i = 0; i < map->cap; i++) {
        struct slot *slot = map->entries[i].value;
        if (slot != NULL) {
            free(slot->items);
            free(slot);
        }
    }
    free(map->entries);
}

void owners_free(struct owners **out)
{
    struct owners *owners = *out;
    *out = NULL;
    if (owners == NULL) {
        return;
    }
    for (size_t i = 0; i < owners->count; i++) {
        span_release(owners->intervals[i]->span);
        free(owners->intervals[i]);
    }
    free_slots(&owners->slots);
    free_slots(&owners->services);
    for (size_t i = 0; i < owners->objects.cap; i++) {
        free(owners->objects.entries[i].value);
    }
    for (size_t i = 0; i < owners->cluster_count; i++) {
        free(owners->clusters[i]);
    }
    free(owners->clusters);
    free(owners->objects.entries);
    free(owners->intervals);
    pthread_rwlock_destroy(&owners->lock);
    free(owners);
}

/* ---- Keys ---- */

uint16_t owners_cluster(const struct owners *owners, const char *cluster)
{
    for (size_t i = 0; i < owners->cluster_count; i++) {
        if (strcmp(owners->clusters[i], cluster) == 0) {
            return (uint16_t)i;
        }
    }
    return CLUSTER_NONE;
}

static int add_cluster(struct owners *owners, const char *cluster, uint16_t *number)
{
    *number = owners_cluster(owners, cluster);
    if (*number != CLUSTER_NONE) {
        return 0;
    }
    if (owners->cluster_count == OWNERS_CLUSTERS_MAX) {
        return W_ELIMIT;
    }
    char **clusters = reallocarray(owners->clusters, owners->cluster_count + 1, sizeof(*clusters));
    if (clusters == NULL) {
        return -ENOMEM;
    }
    owners->clusters = clusters;
    clusters[owners->cluster_count] = strndup(cluster, OWNER_TEXT_MAX);
    if (clusters[owners->cluster_count] == NULL) {
        return -ENOMEM;
    }
    *number = (uint16_t)owners->cluster_count++;
    return 0;
}

uint64_t owners_hash(uint16_t cluster, const struct addr *addr)
{
    return XXH3_64bits_withSeed(addr->b, sizeof(addr->b), cluster);
}

XXH128_hash_t owners_slot_key(uint16_t cluster, bool hint, const struct addr *addr)
{
    uint8_t bytes[sizeof(addr->b) + 3] = {(uint8_t)cluster, (uint8_t)(cluster >> 8), hint};
    memcpy(bytes + 3, addr->b, sizeof(addr->b));
    return XXH3_128bits(bytes, sizeof(bytes));
}

static size_t cut(struct text text)
{
    return text.len < OWNER_TEXT_MAX ? text.len : OWNER_TEXT_MAX;
}

XXH128_hash_t owners_object_key(uint16_t cluster, bool hint, enum owner_kind kind,
                                struct text namespace, struct text name)
{
    uint8_t bytes[4 + 1 + 2 * OWNER_TEXT_MAX] = {(uint8_t)cluster, (uint8_t)(cluster >> 8), hint,
                                                 (uint8_t)kind, (uint8_t)cut(namespace)};
    size_t len = 5;
    if (namespace.len > 0) {
        memcpy(bytes + len, namespace.data, cut(namespace));
        len += cut(namespace);
    }
    if (name.len > 0) {
        memcpy(bytes + len, name.data, cut(name));
        len += cut(name);
    }
    return XXH3_128bits(bytes, len);
}

XXH128_hash_t owners_services_key(uint16_t cluster, const char *namespace)
{
    return XXH3_128bits_withSeed(namespace, strlen(namespace), cluster);
}

static struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

/* ---- Spans ---- */

static const char *put_text(char **at, struct text text, size_t max)
{
    char *start = *at;
    size_t len = text.len <= max ? text.len : max;
    if (len > 0) {
        memcpy(start, text.data, len);
    }
    /* A NUL inside would end it early for everyone but us. */
    for (size_t i = 0; i < len; i++) {
        start[i] = start[i] == '\0' ? '?' : start[i];
    }
    start[len] = '\0';
    *at += len + 1;
    return start;
}

/* A span with its own copies of what `like` points to. */
static struct span *span_new(const struct owner *like)
{
    const char *const texts[] = {like->cluster,       like->namespace, like->name, like->uid,
                                 like->workload_kind, like->workload,  like->node};
    size_t labels_len = strlen(like->labels);
    size_t count = like->address_count < OWNER_ADDRS_MAX ? like->address_count : OWNER_ADDRS_MAX;
    size_t len = sizeof(struct span) + count * sizeof(struct addr) + 8;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        len += strlen(texts[i]) + 1;
    }
    labels_len = labels_len <= OWNER_LABELS_MAX ? labels_len : 0;
    struct span *span = malloc(len + labels_len);
    if (span == NULL) {
        return NULL;
    }
    struct addr *addresses = (struct addr *)(span + 1);
    char *at = (char *)(addresses + count);
    atomic_init(&span->refs, 1);
    span->owner = *like;
    if (count > 0) {
        memcpy(addresses, like->addresses, count * sizeof(struct addr));
    }
    span->owner.addresses = addresses;
    span->owner.address_count = (uint32_t)count;
    const char **const fields[] = {
        &span->owner.cluster,       &span->owner.namespace, &span->owner.name, &span->owner.uid,
        &span->owner.workload_kind, &span->owner.workload,  &span->owner.node};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = put_text(&at, text_of(texts[i]), OWNER_TEXT_MAX);
    }
    span->owner.labels = put_text(&at, (struct text){like->labels, labels_len}, labels_len);
    return span;
}

/* Puts a span in the place of the interval's own. The caller holds the lock for writing. */
/* ---- By the time they changed ---- */

static void unlink_change(struct owners *owners, struct interval *interval)
{
    if (interval->earlier != NULL) {
        interval->earlier->later = interval->later;
    }
    if (interval->later != NULL) {
        interval->later->earlier = interval->earlier;
    } else if (owners->latest == interval) {
        owners->latest = interval->earlier;
    }
    interval->earlier = interval->later = NULL;
}

static void link_change(struct owners *owners, struct interval *interval)
{
    interval->earlier = owners->latest;
    if (owners->latest != NULL) {
        owners->latest->later = interval;
    }
    owners->latest = interval;
}

static int publish(struct owners *owners, struct interval *interval, const struct owner *changed)
{
    struct span *span = span_new(changed);
    if (span == NULL) {
        return -ENOMEM;
    }
    uint64_t version = atomic_load_explicit(&owners->version, memory_order_relaxed) + 1;
    span->owner.number = interval->span != NULL ? interval->span->owner.number : 0;
    span->owner.version = version;
    span->owner.seen_us = interval->seen_us;
    span_release(interval->span);
    interval->span = span;
    unlink_change(owners, interval);
    link_change(owners, interval);
    atomic_store_explicit(&owners->version, version, memory_order_release);
    return 0;
}

static int set_bounds(struct owners *owners, struct interval *interval, int64_t from_us,
                      int64_t to_us, bool sure_end)
{
    struct owner changed = interval->span->owner;
    if (changed.from_us == from_us && changed.to_us == to_us && changed.sure_end == sure_end) {
        return 0;
    }
    changed.from_us = from_us;
    changed.to_us = to_us;
    changed.sure_end = sure_end;
    return publish(owners, interval, &changed);
}

/* ---- Slots ---- */

static struct slot *slot_of(struct owners *owners, uint16_t cluster, bool hint,
                            const struct addr *addr)
{
    return map_get(&owners->slots, owners_slot_key(cluster, hint, addr));
}

static int slot_add(struct map *map, XXH128_hash_t key, struct interval *interval)
{
    struct slot *slot = map_get(map, key);
    if (slot == NULL) {
        slot = calloc(1, sizeof(*slot));
        if (slot == NULL || map_put(map, key, slot) != 0) {
            free(slot);
            return -ENOMEM;
        }
    }
    if (slot->count == slot->cap) {
        size_t cap = slot->cap > 0 ? slot->cap * 2 : 2;
        struct interval **items = reallocarray(slot->items, cap, sizeof(struct interval *));
        if (items == NULL) {
            return -ENOMEM;
        }
        slot->items = items;
        slot->cap = cap;
    }
    size_t at = slot->count++;
    while (at > 0 && slot->items[at - 1]->span->owner.from_us > interval->span->owner.from_us) {
        slot->items[at] = slot->items[at - 1];
        at--;
    }
    slot->items[at] = interval;
    return 0;
}

static void slot_remove(struct map *map, XXH128_hash_t key, const struct interval *interval)
{
    struct slot *slot = map_get(map, key);
    size_t kept = 0;
    for (size_t i = 0; slot != NULL && i < slot->count; i++) {
        if (slot->items[i] != interval) {
            slot->items[kept++] = slot->items[i];
        }
    }
    if (slot != NULL) {
        slot->count = kept;
    }
    if (slot != NULL && kept == 0) {
        map_remove(map, key);
        free(slot->items);
        free(slot);
    }
}

/* Puts the interval into the slots of its addresses from number `first` on. */
static int add_to_slots(struct owners *owners, uint16_t cluster, struct interval *interval,
                        uint32_t first)
{
    const struct owner *owner = &interval->span->owner;
    int err = 0;
    for (uint32_t i = first; i < owner->address_count && err == 0; i++) {
        uint64_t bit = owners_hash(cluster, &owner->addresses[i]) % OWNERS_FILTER_BITS;
        atomic_fetch_or_explicit(&owners->filter[bit / 8], (uint8_t)(1u << (bit % 8)),
                                 memory_order_relaxed);
        err = slot_add(&owners->slots, owners_slot_key(cluster, owner->hint, &owner->addresses[i]),
                       interval);
    }
    if (err == 0 && first == 0 && owner->kind == OWNER_SERVICE) {
        err = slot_add(&owners->services, owners_services_key(cluster, owner->namespace), interval);
    }
    return err;
}

/* ---- Intervals ---- */

/* Takes the interval out of its slots and its object. It stays in the list of all. */
static void detach(struct owners *owners, struct interval *interval)
{
    const struct owner *owner = &interval->span->owner;
    uint16_t cluster = owners_cluster(owners, owner->cluster);
    for (uint32_t i = 0; i < owner->address_count; i++) {
        slot_remove(&owners->slots, owners_slot_key(cluster, owner->hint, &owner->addresses[i]),
                    interval);
    }
    if (owner->kind == OWNER_SERVICE) {
        slot_remove(&owners->services, owners_services_key(cluster, owner->namespace), interval);
    }
    struct object *object = interval->object;
    struct interval **link = &object->latest;
    while (*link != NULL && *link != interval) {
        link = &(*link)->former;
    }
    if (*link == interval) {
        *link = interval->former;
    }
    if (object->latest == NULL) {
        map_remove(&owners->objects,
                   owners_object_key(cluster, owner->hint, owner->kind, text_of(owner->namespace),
                                     text_of(owner->name)));
        free(object);
    }
    owners->real_in[cluster] -= !owner->hint;
    interval->dead = true;
    interval->object = NULL;
}

/* Frees those that were detached. */
static void bury(struct owners *owners)
{
    size_t kept = 0;
    for (size_t i = 0; i < owners->count; i++) {
        struct interval *interval = owners->intervals[i];
        if (interval->dead) {
            unlink_change(owners, interval);
            span_release(interval->span);
            free(interval);
        } else {
            owners->intervals[kept++] = interval;
        }
    }
    if (kept != owners->count) {
        owners->count = kept;
        atomic_fetch_add_explicit(&owners->version, 1, memory_order_release);
    }
}

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Makes room: an eighth of those that ended goes, the earliest first. */
static int forget_oldest(struct owners *owners)
{
    int64_t *ends = malloc((owners->count + 1) * sizeof(*ends));
    size_t ended = 0;
    if (ends == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < owners->count; i++) {
        int64_t to_us = owners->intervals[i]->span->owner.to_us;
        if (to_us != OWNER_OPEN) {
            ends[ended++] = to_us;
        }
    }
    if (ended == 0) {
        free(ends);
        owners->refused++;
        return W_ELIMIT;
    }
    qsort(ends, ended, sizeof(*ends), by_time);
    int64_t until_us = ends[ended / 8];
    free(ends);
    for (size_t i = 0; i < owners->count; i++) {
        if (owners->intervals[i]->span->owner.to_us <= until_us) {
            detach(owners, owners->intervals[i]);
            owners->forgotten++;
        }
    }
    bury(owners);
    return 0;
}

static int room_for_one(struct owners *owners)
{
    int err = owners->count >= owners->max ? forget_oldest(owners) : 0;
    if (err == 0 && owners->count == owners->cap) {
        size_t cap = owners->cap > 0 ? owners->cap * 2 : 64;
        struct interval **all = reallocarray(owners->intervals, cap, sizeof(struct interval *));
        if (all == NULL) {
            return -ENOMEM;
        }
        owners->intervals = all;
        owners->cap = cap;
    }
    return err;
}

/* What a new interval and those of its addresses do to each other: `made` is cut to what is left to
 * it, the others to what is left to them. Returns false if nothing is left of `made`. */
static bool settle(struct owners *owners, uint16_t cluster, struct owner *made, int64_t at_us,
                   int *err)
{
    for (uint32_t i = 0; i < made->address_count; i++) {
        struct slot *slot = slot_of(owners, cluster, made->hint, &made->addresses[i]);
        for (size_t j = 0; slot != NULL && j < slot->count && *err == 0; j++) {
            struct interval *other = slot->items[j];
            const struct owner *its = &other->span->owner;
            if (its->to_us <= made->from_us || its->from_us >= made->to_us) {
                continue;
            }
            if (its->from_us > made->from_us) { /* it began later */
                made->to_us = its->from_us;
                made->sure_end = false;
            } else if (its->sure_end && its->to_us <= at_us) {
                made->from_us = its->to_us;
            } else {
                /* Somewhere between when the former was last seen and now. */
                bool seen = other->seen_us > made->from_us && other->seen_us < at_us;
                int64_t border_us = seen ? other->seen_us : made->from_us;
                made->from_us = border_us;
                *err = set_bounds(owners, other, its->from_us, border_us, false);
            }
        }
    }
    return *err == 0 && made->from_us < made->to_us;
}

static struct object *object_of(struct owners *owners, uint16_t cluster, const struct owner *owner)
{
    XXH128_hash_t key = owners_object_key(cluster, owner->hint, owner->kind,
                                          text_of(owner->namespace), text_of(owner->name));
    struct object *object = map_get(&owners->objects, key);
    if (object == NULL) {
        object = calloc(1, sizeof(*object));
        if (object != NULL && map_put(&owners->objects, key, object) != 0) {
            free(object);
            object = NULL;
        }
    }
    return object;
}

/* Adds an interval where there is place for it. `made` may be cut. */
static int add_interval(struct owners *owners, uint16_t cluster, struct owner *made,
                        int64_t seen_us, int64_t at_us)
{
    int err = room_for_one(owners);
    if (err != 0 || !settle(owners, cluster, made, at_us, &err)) {
        return err;
    }
    struct interval *interval = calloc(1, sizeof(*interval));
    if (interval == NULL) {
        return -ENOMEM;
    }
    interval->seen_us = seen_us;
    err = publish(owners, interval, made);
    struct object *object = err == 0 ? object_of(owners, cluster, made) : NULL;
    if (object == NULL) {
        unlink_change(owners, interval);
        span_release(interval->span);
        free(interval);
        return -ENOMEM;
    }
    interval->span->owner.number = ++owners->next_number;
    interval->object = object;
    interval->former = object->latest;
    object->latest = interval;
    object->list = owners->list;
    owners->intervals[owners->count++] = interval;
    owners->real_in[cluster] += !made->hint;
    err = add_to_slots(owners, cluster, interval, 0);
    if (err != 0) {
        detach(owners, interval);
        bury(owners);
    }
    return err;
}

/* ---- Facts ---- */

static bool has_addr(const struct addr *addresses, size_t count, const struct addr *addr)
{
    for (size_t i = 0; i < count; i++) {
        if (addr_equal(&addresses[i], addr)) {
            return true;
        }
    }
    return false;
}

static bool covers_all(const struct addr *big, size_t big_count, const struct addr *small,
                       size_t small_count)
{
    for (size_t i = 0; i < small_count; i++) {
        if (!has_addr(big, big_count, &small[i])) {
            return false;
        }
    }
    return true;
}

/* The texts of a fact, terminated. */
struct fact_texts {
    char texts[6][OWNER_TEXT_MAX + 1];
    char labels[OWNER_LABELS_MAX + 1];
};

/* The interval the fact tells of, as if nothing else were known. */
static struct owner owner_of(const struct owner_fact *fact, struct fact_texts *room)
{
    const struct text texts[] = {fact->namespace,     fact->name,     fact->uid,
                                 fact->workload_kind, fact->workload, fact->node};
    for (size_t i = 0; i < 6; i++) {
        char *at = room->texts[i];
        put_text(&at, texts[i], OWNER_TEXT_MAX);
    }
    char *labels = room->labels;
    struct text none = {NULL, 0};
    put_text(&labels, fact->labels.len <= OWNER_LABELS_MAX ? fact->labels : none, OWNER_LABELS_MAX);
    size_t count = fact->address_count;
    struct owner owner = {
        .kind = fact->kind,
        .hint = fact->hint,
        .cluster = fact->cluster,
        .namespace = room->texts[0],
        .name = room->texts[1],
        .uid = room->texts[2],
        .workload_kind = room->texts[3],
        .workload = room->texts[4],
        .node = room->texts[5],
        .labels = room->labels,
        .from_us = fact->started_us == 0            ? fact->at_us - OWNERS_BACKDATE_US
                   : fact->started_us < fact->at_us ? fact->started_us
                                                    : fact->at_us,
        .to_us = OWNER_OPEN,
        .addresses = fact->addresses,
        .address_count = (uint32_t)(count < OWNER_ADDRS_MAX ? count : OWNER_ADDRS_MAX),
    };
    if (fact->ended) {
        int64_t latest_us = fact->until_us > fact->at_us ? fact->until_us : fact->at_us;
        owner.to_us = fact->ended_us != 0 ? fact->ended_us : latest_us;
        owner.sure_end = fact->ended_us != 0;
    }
    return owner;
}

/* Is it the same object, not another one of its name? */
static bool same_object(const struct interval *interval, const struct owner *owner)
{
    const char *uid = interval->span->owner.uid;
    return uid[0] == '\0' || owner->uid[0] == '\0' || strcmp(uid, owner->uid) == 0;
}

/* The latest interval of the object itself, NULL if none is known. */
static struct interval *find_own(const struct object *object, const struct owner *told)
{
    struct interval *interval = object != NULL ? object->latest : NULL;
    while (interval != NULL && !same_object(interval, told)) {
        interval = interval->former;
    }
    return interval;
}

/* Ends the interval at that time, or earlier where it has. */
static int end_interval(struct owners *owners, struct interval *interval, int64_t to_us, bool sure)
{
    const struct owner *owner = &interval->span->owner;
    bool earlier = to_us < owner->to_us;
    /* What the object says of itself counts more than what we concluded, but it never takes back
     * what another owner has meanwhile. */
    if (!earlier || owner->sure_end) {
        return 0;
    }
    to_us = to_us > owner->from_us ? to_us : owner->from_us;
    return set_bounds(owners, interval, owner->from_us, to_us, sure);
}

/* How far back the interval may begin: where the owner before it ended. */
static int64_t free_since(struct owners *owners, uint16_t cluster, const struct interval *interval)
{
    const struct owner *owner = &interval->span->owner;
    int64_t since_us = INT64_MIN;
    for (uint32_t i = 0; i < owner->address_count; i++) {
        const struct slot *slot = slot_of(owners, cluster, owner->hint, &owner->addresses[i]);
        for (size_t j = 0; j < slot->count && slot->items[j] != interval; j++) {
            int64_t to_us = slot->items[j]->span->owner.to_us;
            since_us = to_us > since_us ? to_us : since_us;
        }
    }
    return since_us;
}

static const char *longer(const char *known, const char *told)
{
    return told[0] != '\0' ? told : known;
}

static bool same_texts(const struct owner *a, const struct owner *b)
{
    return strcmp(a->uid, b->uid) == 0 && strcmp(a->labels, b->labels) == 0 &&
           strcmp(a->workload_kind, b->workload_kind) == 0 &&
           strcmp(a->workload, b->workload) == 0 && strcmp(a->node, b->node) == 0;
}

/* What is new about an interval that goes on: an earlier start, other texts. */
static int go_on(struct owners *owners, uint16_t cluster, struct interval *interval,
                 const struct owner *told)
{
    const struct owner *owner = &interval->span->owner;
    struct owner changed = *owner;
    changed.uid = longer(owner->uid, told->uid);
    changed.workload_kind = longer(owner->workload_kind, told->workload_kind);
    changed.workload = longer(owner->workload, told->workload);
    changed.node = longer(owner->node, told->node);
    changed.labels = longer(owner->labels, told->labels);
    if (told->from_us < changed.from_us) {
        int64_t since_us = free_since(owners, cluster, interval);
        changed.from_us = told->from_us > since_us ? told->from_us : since_us;
        changed.from_us = changed.from_us < owner->from_us ? changed.from_us : owner->from_us;
    }
    bool told_long_ago = owner->hint && interval->seen_us - owner->seen_us >= OWNERS_HINT_TOLD_US;
    return changed.from_us == owner->from_us && same_texts(&changed, owner) && !told_long_ago
               ? 0
               : publish(owners, interval, &changed);
}

/* More addresses of an interval that goes on. They count from its beginning, unless another owner
 * had one of them since: then a new interval begins there. */
static int add_addresses(struct owners *owners, uint16_t cluster, struct interval *interval,
                         const struct owner *told, int64_t at_us)
{
    const struct owner *owner = &interval->span->owner;
    uint32_t before = owner->address_count;
    struct owner changed = *owner;
    struct addr addresses[OWNER_ADDRS_MAX];
    int err = 0;
    memcpy(addresses, owner->addresses, before * sizeof(struct addr));
    changed.addresses = addresses;
    for (uint32_t i = 0; i < told->address_count && changed.address_count < OWNER_ADDRS_MAX; i++) {
        if (!has_addr(addresses, changed.address_count, &told->addresses[i])) {
            addresses[changed.address_count++] = told->addresses[i];
        }
    }
    struct owner added = changed;
    added.addresses = addresses + before;
    added.address_count = changed.address_count - before;
    if (added.address_count == 0 || !settle(owners, cluster, &added, at_us, &err) ||
        added.to_us != owner->to_us) {
        return err;
    }
    if (added.from_us == owner->from_us) {
        err = publish(owners, interval, &changed);
        return err != 0 ? err : add_to_slots(owners, cluster, interval, before);
    }
    struct span *kept = interval->span; /* the texts of `changed` are its own */
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    changed.from_us = added.from_us;
    err = end_interval(owners, interval, added.from_us, false);
    err = err != 0 ? err : add_interval(owners, cluster, &changed, at_us, at_us);
    span_release(kept);
    return err;
}

/* Has another owner that began later taken one of the addresses? */
static bool is_taken(struct owners *owners, uint16_t cluster, const struct interval *own,
                     const struct owner *told)
{
    for (uint32_t i = 0; i < told->address_count; i++) {
        const struct slot *slot = slot_of(owners, cluster, told->hint, &told->addresses[i]);
        for (size_t j = 0; slot != NULL && j < slot->count; j++) {
            if (slot->items[j]->object != own->object &&
                slot->items[j]->span->owner.to_us == OWNER_OPEN) {
                return true;
            }
        }
    }
    return false;
}

/* The object held addresses before, and now other ones, or some again after it had none. */
static int hold_again(struct owners *owners, uint16_t cluster, struct interval *own,
                      const struct owner *told, const struct owner_fact *fact)
{
    const struct owner *owner = &own->span->owner;
    bool open = owner->to_us == OWNER_OPEN;
    struct owner made = *told;
    int64_t from_us = fact->at_us - OWNERS_BACKDATE_US;
    from_us = from_us > own->seen_us ? from_us : own->seen_us;
    from_us = from_us > owner->from_us ? from_us : owner->from_us;
    from_us = open || from_us > owner->to_us ? from_us : owner->to_us;
    made.from_us = from_us > made.from_us ? from_us : made.from_us;
    int err = open ? end_interval(owners, own, made.from_us, false) : 0;
    return err != 0 ? err : add_interval(owners, cluster, &made, fact->at_us, fact->at_us);
}

/* Another object of the name: of the two, the earlier ends where the later begins. */
static int part(struct owners *owners, struct object *object, struct owner *made)
{
    int err = 0;
    for (struct interval *other = object != NULL ? object->latest : NULL; other != NULL && err == 0;
         other = other->former) {
        const struct owner *its = &other->span->owner;
        if (its->from_us > made->from_us && its->from_us < made->to_us) {
            made->to_us = its->from_us;
            made->sure_end = false;
        } else if (its->from_us <= made->from_us && its->to_us > made->from_us) {
            err = end_interval(owners, other, made->from_us, false);
        }
    }
    return err;
}

/* A pod has one address of each family: has it still those that it had? */
static bool hint_goes_on(const struct owner *owner, const struct owner *told)
{
    for (uint32_t i = 0; i < told->address_count; i++) {
        bool known = has_addr(owner->addresses, owner->address_count, &told->addresses[i]);
        for (uint32_t j = 0; j < owner->address_count && !known; j++) {
            if (addr_is_v4(&owner->addresses[j]) == addr_is_v4(&told->addresses[i])) {
                return false;
            }
        }
    }
    return true;
}

/* The object holds these addresses at that time. */
static int hold(struct owners *owners, uint16_t cluster, struct object *object,
                const struct owner *told, const struct owner_fact *fact)
{
    struct interval *own = find_own(object, told);
    if (own == NULL) {
        struct owner made = *told;
        int err = part(owners, object, &made);
        return err != 0 ? err : add_interval(owners, cluster, &made, fact->at_us, fact->at_us);
    }
    const struct owner *owner = &own->span->owner;
    bool open = owner->to_us == OWNER_OPEN;
    bool keeps = fact->hint ? hint_goes_on(owner, told)
                            : fact->partial || covers_all(told->addresses, told->address_count,
                                                          owner->addresses, owner->address_count);
    if (open && keeps) {
        own->seen_us = fact->at_us > own->seen_us ? fact->at_us : own->seen_us;
        int err = go_on(owners, cluster, own, told);
        return err != 0 ? err : add_addresses(owners, cluster, own, told, fact->at_us);
    }
    bool old = fact->at_us < (open ? own->seen_us : owner->to_us);
    return old || is_taken(owners, cluster, own, told)
               ? 0
               : hold_again(owners, cluster, own, told, fact);
}

/* The object says that it ended later than was concluded from its addresses' next owners: these
 * began when it ended. */
static int end_later(struct owners *owners, uint16_t cluster, struct interval *own, int64_t to_us)
{
    const struct owner *owner = &own->span->owner;
    int64_t before_us = owner->to_us;
    int err = 0;
    for (uint32_t i = 0; i < owner->address_count; i++) {
        struct slot *slot = slot_of(owners, cluster, owner->hint, &owner->addresses[i]);
        for (size_t j = 0; j < slot->count && err == 0; j++) {
            struct interval *next = slot->items[j];
            const struct owner *its = &next->span->owner;
            if (next == own || its->to_us <= before_us || its->from_us >= to_us) {
                continue;
            }
            int64_t from_us = to_us < its->to_us ? to_us : its->to_us;
            err = set_bounds(owners, next, from_us, its->to_us, its->sure_end);
        }
    }
    return err != 0 ? err : set_bounds(owners, own, owner->from_us, to_us, true);
}

/* It holds them no longer. */
static int let_go(struct owners *owners, uint16_t cluster, struct object *object,
                  const struct owner *told, const struct owner_fact *fact)
{
    struct interval *own = find_own(object, told);
    if (own != NULL) {
        int64_t to_us = fact->ended ? told->to_us : fact->at_us;
        bool sure = fact->ended && told->sure_end;
        const struct owner *owner = &own->span->owner;
        if (sure && !owner->sure_end && to_us > owner->to_us && to_us <= fact->at_us &&
            owner->from_us < owner->to_us) {
            return end_later(owners, cluster, own, to_us);
        }
        if (!sure && owner->to_us == OWNER_OPEN && fact->at_us > own->seen_us) {
            own->seen_us = fact->at_us; /* the next owner's did not begin before */
        }
        return end_interval(owners, own, to_us, sure);
    }
    /* Never seen while it lasted: what it says of itself is all there is. */
    if (!told->sure_end || fact->started_us == 0 || told->address_count == 0) {
        return 0;
    }
    struct owner made = *told;
    int err = part(owners, object, &made);
    return err != 0 ? err : add_interval(owners, cluster, &made, made.to_us, fact->at_us);
}

int owners_observe(struct owners *owners, const struct owner_fact *fact)
{
    struct fact_texts room;
    struct owner told = owner_of(fact, &room);
    uint16_t cluster;
    pthread_rwlock_wrlock(&owners->lock);
    int err = add_cluster(owners, fact->cluster, &cluster);
    if (err == 0) {
        XXH128_hash_t key =
            owners_object_key(cluster, told.hint, told.kind, fact->namespace, fact->name);
        struct object *object = map_get(&owners->objects, key);
        if (!fact->hint && fact->at_us > owners->latest_us) {
            owners->latest_us = fact->at_us;
        }
        err = fact->ended || fact->address_count == 0 ? let_go(owners, cluster, object, &told, fact)
                                                      : hold(owners, cluster, object, &told, fact);
        object = map_get(&owners->objects, key);
        if (object != NULL) {
            object->list = owners->list;
            object->stream = fact->stream;
            object->stream_list = fact->list;
        }
    }
    pthread_rwlock_unlock(&owners->lock);
    return err;
}

int owners_restore(struct owners *owners, const struct owner *owner)
{
    struct owner made = *owner;
    uint16_t cluster;
    pthread_rwlock_wrlock(&owners->lock);
    int err = add_cluster(owners, owner->cluster, &cluster);
    if (err == 0) {
        err = add_interval(owners, cluster, &made, owner->seen_us, owner->seen_us);
    }
    if (err == 0 && !owner->hint && owner->seen_us > owners->latest_us) {
        owners->latest_us = owner->seen_us;
    }
    pthread_rwlock_unlock(&owners->lock);
    return err;
}

/* ---- Lists ---- */

uint64_t owners_list_begin(struct owners *owners)
{
    pthread_rwlock_wrlock(&owners->lock);
    uint64_t list = ++owners->list;
    pthread_rwlock_unlock(&owners->lock);
    return list;
}

static bool is_missing(const struct object *object, uint64_t stream, uint64_t list)
{
    return stream == 0 ? object->list < list
                       : object->stream == stream && object->stream_list < list;
}

int owners_list_end(struct owners *owners, uint64_t stream, uint64_t list, const char *cluster,
                    enum owner_kind kind, const char *namespace, int64_t at_us)
{
    int err = 0;
    pthread_rwlock_wrlock(&owners->lock);
    for (size_t i = 0; i < owners->count && err == 0; i++) {
        struct interval *interval = owners->intervals[i];
        const struct owner *owner = &interval->span->owner;
        if (owner->to_us == OWNER_OPEN && !owner->hint && owner->kind == kind &&
            is_missing(interval->object, stream, list) && strcmp(owner->cluster, cluster) == 0 &&
            (namespace == NULL || strcmp(owner->namespace, namespace) == 0)) {
            int64_t to_us = at_us > interval->seen_us ? at_us : interval->seen_us;
            to_us = to_us > owner->from_us ? to_us : owner->from_us + 1;
            err = set_bounds(owners, interval, owner->from_us, to_us, false);
        }
    }
    pthread_rwlock_unlock(&owners->lock);
    return err;
}

/* ---- What there is ---- */

uint64_t owners_version(const struct owners *owners)
{
    return atomic_load_explicit(&owners->version, memory_order_acquire);
}

uint64_t owners_last_number(struct owners *owners)
{
    pthread_rwlock_rdlock(&owners->lock);
    uint64_t number = owners->next_number;
    pthread_rwlock_unlock(&owners->lock);
    return number;
}

void owners_each(struct owners *owners, uint64_t version, owner_fn fn, void *ctx)
{
    pthread_rwlock_rdlock(&owners->lock);
    const struct interval *first = NULL;
    for (const struct interval *interval = owners->latest;
         interval != NULL && interval->span->owner.version > version;
         interval = interval->earlier) {
        first = interval;
    }
    for (; first != NULL && fn(ctx, &first->span->owner); first = first->later) {
    }
    pthread_rwlock_unlock(&owners->lock);
}

struct owners_status owners_status(struct owners *owners)
{
    pthread_rwlock_rdlock(&owners->lock);
    struct owners_status status = {.intervals = owners->count,
                                   .forgotten = owners->forgotten,
                                   .refused = owners->refused,
                                   .latest_us = owners->latest_us};
    for (size_t i = 0; i < owners->count; i++) {
        const struct owner *owner = &owners->intervals[i]->span->owner;
        status.open += owner->to_us == OWNER_OPEN;
        status.hints += owner->hint;
    }
    pthread_rwlock_unlock(&owners->lock);
    return status;
}
