/* join/owners_reader.c -- whose address it was: asking
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "join/labels.h"
#include "join/owners_table.h"

enum {
    ENTRIES = 16384,        /* a power of two */
    SERVICES_ENTRIES = 512, /* likewise */
    /* What the answers of so many lookups need is kept, whatever they put out of the entries. */
    HELD = 64,
};

/* What is known of an address between two times. */
struct entry {
    uint64_t version; /* of the table; 0: empty */
    struct addr addr;
    uint16_t cluster;
    int64_t from_us;
    int64_t to_us;
    int64_t former_to_us;
    int64_t others_us;
    struct span *span; /* a reference; NULL: nobody */
};

/* The services of a pod at a time. */
struct services_entry {
    uint64_t version; /* of the table; 0: empty */
    uint64_t pod;     /* number */
    size_t count;
    struct span *spans[OWNERS_SERVICES_MAX]; /* references */
};

struct owners_reader {
    struct owners *owners;
    char cluster[OWNER_TEXT_MAX + 1]; /* the last one asked for, and its number */
    uint16_t cluster_number;
    uint64_t cluster_version; /* of the table, plus one; 0: none was asked for yet */
    bool cluster_known;
    struct span *held[HELD];
    size_t next_held;
    struct services_entry services[SERVICES_ENTRIES];
    struct entry entries[ENTRIES];
};

int owners_reader_new(struct owners_reader **out, struct owners *owners)
{
    struct owners_reader *reader = calloc(1, sizeof(*reader));
    *out = reader;
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->owners = owners;
    return 0;
}

void owners_reader_free(struct owners_reader **out)
{
    struct owners_reader *reader = *out;
    *out = NULL;
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        span_release(reader->entries[i].span);
    }
    for (size_t i = 0; i < SERVICES_ENTRIES; i++) {
        for (size_t j = 0; j < reader->services[i].count; j++) {
            span_release(reader->services[i].spans[j]);
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        span_release(reader->held[i]);
    }
    free(reader);
}

/* Gives up a reference, but not before HELD others were. */
static void release_later(struct owners_reader *reader, struct span *span)
{
    if (span != NULL) {
        span_release(reader->held[reader->next_held]);
        reader->held[reader->next_held] = span;
        reader->next_held = (reader->next_held + 1) % HELD;
    }
}

static struct span *reference(struct span *span)
{
    atomic_fetch_add_explicit(&span->refs, 1, memory_order_relaxed);
    return span;
}

static void enter_cluster(struct owners_reader *reader, const char *cluster, uint64_t version)
{
    if (reader->cluster_version == version + 1 && strcmp(reader->cluster, cluster) == 0) {
        return;
    }
    struct owners *owners = reader->owners;
    strncpy(reader->cluster, cluster, OWNER_TEXT_MAX);
    pthread_rwlock_rdlock(&owners->lock);
    reader->cluster_number = owners_cluster(owners, reader->cluster);
    reader->cluster_known =
        reader->cluster_number != CLUSTER_NONE && owners->real_in[reader->cluster_number] > 0;
    reader->cluster_version = atomic_load_explicit(&owners->version, memory_order_relaxed) + 1;
    pthread_rwlock_unlock(&owners->lock);
}

bool owners_know(struct owners_reader *reader, const char *cluster)
{
    enter_cluster(reader, cluster, owners_version(reader->owners));
    return reader->cluster_known;
}

/* When it no longer counts. */
static int64_t counts_until(const struct owner *owner)
{
    int64_t holds_us = owner->hint ? owner->seen_us + OWNERS_HINT_HOLDS_US : INT64_MAX;
    return owner->to_us < holds_us ? owner->to_us : holds_us;
}

/* Narrows the entry to what one slot says of the time; true if somebody had the address then. */
static bool look_in_slot(const struct slot *slot, int64_t time_us, struct entry *entry)
{
    for (size_t i = 0; slot != NULL && i < slot->count; i++) {
        struct span *span = slot->items[i]->span;
        const struct owner *owner = &span->owner;
        int64_t to_us = counts_until(owner);
        if (owner->from_us >= to_us) {
            continue;
        }
        if (owner->from_us > time_us) {
            entry->to_us = owner->from_us < entry->to_us ? owner->from_us : entry->to_us;
            break;
        }
        if (to_us > time_us) {
            entry->from_us = owner->from_us > entry->from_us ? owner->from_us : entry->from_us;
            entry->to_us = to_us < entry->to_us ? to_us : entry->to_us;
            entry->span = span;
            return true;
        }
        entry->from_us = to_us > entry->from_us ? to_us : entry->from_us;
        entry->former_to_us = to_us > entry->former_to_us ? to_us : entry->former_to_us;
        int64_t others_us = owner->sure_end ? owner->to_us : owner->from_us;
        if (!owner->hint && others_us > entry->others_us) {
            entry->others_us = others_us;
        }
    }
    return false;
}

/* Fills an entry from the table. Hints count where nothing else is known. */
static void look_up(struct owners_reader *reader, uint16_t cluster, const struct addr *addr,
                    int64_t time_us, struct entry *entry)
{
    struct owners *owners = reader->owners;
    release_later(reader, entry->span);
    *entry = (struct entry){.addr = *addr,
                            .cluster = cluster,
                            .from_us = INT64_MIN,
                            .to_us = INT64_MAX,
                            .former_to_us = INT64_MIN,
                            .others_us = INT64_MIN};
    pthread_rwlock_rdlock(&owners->lock);
    entry->version = atomic_load_explicit(&owners->version, memory_order_relaxed);
    if (!look_in_slot(map_get(&owners->slots, owners_slot_key(cluster, false, addr)), time_us,
                      entry)) {
        look_in_slot(map_get(&owners->slots, owners_slot_key(cluster, true, addr)), time_us, entry);
    }
    if (entry->span != NULL) {
        reference(entry->span);
    }
    pthread_rwlock_unlock(&owners->lock);
}

bool owners_at(struct owners_reader *reader, const char *cluster, const struct addr *addr,
               int64_t time_us, struct owner_at *out)
{
    uint64_t version = owners_version(reader->owners);
    *out = (struct owner_at){NULL, INT64_MIN, INT64_MIN};
    if (version == 0) {
        return false;
    }
    enter_cluster(reader, cluster, version);
    uint16_t number = reader->cluster_number;
    if (number == CLUSTER_NONE) {
        return false;
    }
    uint64_t hash = owners_hash(number, addr);
    uint64_t bit = hash % OWNERS_FILTER_BITS;
    uint8_t bits = atomic_load_explicit(&reader->owners->filter[bit / 8], memory_order_relaxed);
    if ((bits >> (bit % 8) & 1) == 0) {
        return false;
    }
    struct entry *entry = &reader->entries[hash >> 40 & (ENTRIES - 1)];
    if (entry->version != version || entry->cluster != number || !addr_equal(&entry->addr, addr) ||
        time_us < entry->from_us || time_us >= entry->to_us) {
        look_up(reader, number, addr, time_us, entry);
    }
    *out = (struct owner_at){entry->span != NULL ? &entry->span->owner : NULL, entry->former_to_us,
                             entry->others_us};
    return entry->span != NULL;
}

const struct owner *owners_named(struct owners_reader *reader, const char *cluster,
                                 enum owner_kind kind, struct text namespace, struct text name,
                                 int64_t time_us)
{
    struct owners *owners = reader->owners;
    struct span *found = NULL;
    enter_cluster(reader, cluster, owners_version(owners));
    if (reader->cluster_number == CLUSTER_NONE) {
        return NULL;
    }
    pthread_rwlock_rdlock(&owners->lock);
    const struct object *object = map_get(
        &owners->objects, owners_object_key(reader->cluster_number, false, kind, namespace, name));
    for (const struct interval *interval = object != NULL ? object->latest : NULL;
         interval != NULL && found == NULL; interval = interval->former) {
        const struct owner *owner = &interval->span->owner;
        if (owner->from_us <= time_us && time_us < owner->to_us) {
            found = reference(interval->span);
        }
    }
    pthread_rwlock_unlock(&owners->lock);
    release_later(reader, found);
    return found != NULL ? &found->owner : NULL;
}

/* ---- Services ---- */

static void look_up_services(struct owners_reader *reader, const struct owner *pod,
                             struct services_entry *entry)
{
    struct owners *owners = reader->owners;
    const struct text labels = {pod->labels, strlen(pod->labels)};
    for (size_t i = 0; i < entry->count; i++) {
        release_later(reader, entry->spans[i]);
    }
    pthread_rwlock_rdlock(&owners->lock);
    *entry = (struct services_entry){
        .version = atomic_load_explicit(&owners->version, memory_order_relaxed),
        .pod = pod->number,
    };
    uint16_t cluster = owners_cluster(owners, pod->cluster);
    const struct slot *slot =
        map_get(&owners->services, owners_services_key(cluster, pod->namespace));
    for (size_t i = 0; slot != NULL && i < slot->count; i++) {
        struct span *span = slot->items[i]->span;
        const struct text selector = {span->owner.labels, strlen(span->owner.labels)};
        if (entry->count < OWNERS_SERVICES_MAX && span->owner.to_us > pod->from_us &&
            span->owner.from_us < pod->to_us && labels_select(selector, labels)) {
            entry->spans[entry->count++] = reference(span);
        }
    }
    pthread_rwlock_unlock(&owners->lock);
}

size_t owners_services(struct owners_reader *reader, const struct owner *pod, int64_t time_us,
                       const struct owner *services[OWNERS_SERVICES_MAX])
{
    struct services_entry *entry = &reader->services[pod->number & (SERVICES_ENTRIES - 1)];
    size_t count = 0;
    if (pod->labels[0] == '\0') {
        return 0;
    }
    if (entry->version != owners_version(reader->owners) || entry->pod != pod->number) {
        look_up_services(reader, pod, entry);
    }
    for (size_t i = 0; i < entry->count; i++) {
        const struct owner *service = &entry->spans[i]->owner;
        if (service->from_us <= time_us && time_us < service->to_us) {
            services[count++] = service;
        }
    }
    return count;
}
