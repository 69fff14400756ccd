/* join/owners_table.h -- what the files of the table of owners share
 * SPDX-License-Identifier: Apache-2.0
 *
 * A span is a published interval: immutable, counted references, so that a reader can keep one
 * while the table goes on. An interval is the table's own entry and names the span that is valid
 * now. Each of its addresses has a slot with the intervals of that address by time, which never
 * overlap; hints have slots of their own.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "join/owners.h"

struct span {
    atomic_uint refs;
    struct owner owner;
    /* behind it: addresses, texts */
};

struct object;

struct interval {
    struct span *span;
    struct object *object;
    struct interval *former;  /* of the object, by the order in which they became known */
    struct interval *earlier; /* by the version of their spans */
    struct interval *later;
    int64_t seen_us;
    bool dead; /* to be freed by the sweep in hand */
};

/* Intervals that have something in common: by from_us of one address; the services of a namespace
 * as they became known. */
struct slot {
    struct interval **items;
    size_t count;
    size_t cap;
};

/* One object of a cluster, whatever its uid. */
struct object {
    struct interval *latest; /* the one that became known last; older ones follow by `former` */
    uint64_t list;           /* the last list after whose begin it was observed */
    uint64_t stream; /* the last stream that told of it, and the last list of that; 0: none */
    uint64_t stream_list;
};

struct map_entry {
    XXH128_hash_t key;
    void *value; /* NULL: free */
};
struct map {
    struct map_entry *entries;
    size_t cap; /* a power of two, or 0 */
    size_t count;
};
void *map_get(const struct map *map, XXH128_hash_t key);
/* Returns 0 or -ENOMEM. The key must not be in it. */
int map_put(struct map *map, XXH128_hash_t key, void *value);
void map_remove(struct map *map, XXH128_hash_t key);

enum { OWNERS_CLUSTERS_MAX = 1024, CLUSTER_NONE = 0xffff };

/* Bits of the filter, a power of two. */
enum { OWNERS_FILTER_BITS = 1 << 20 };

struct owners {
    pthread_rwlock_t lock; /* guards everything below but `version` and `filter` */
    _Atomic uint64_t version;
    /* A bit for each address that was ever added, so that most others (the world's) are told apart
     * without the lock: where the bit is not set, nobody is known. */
    _Atomic uint8_t filter[OWNERS_FILTER_BITS / 8];
    size_t max;
    char **clusters;
    size_t cluster_count;
    size_t real_in[OWNERS_CLUSTERS_MAX]; /* intervals of the cluster that are no hints */
    struct map slots;
    struct map services; /* slots by namespace */
    struct map objects;
    struct interval **intervals;
    size_t count;
    size_t cap;
    struct interval *latest; /* the one that changed last */
    uint64_t next_number;
    uint64_t list;
    uint64_t forgotten;
    uint64_t refused;
    int64_t latest_us;
};

/* CLUSTER_NONE if the table has none of that name. */
uint16_t owners_cluster(const struct owners *owners, const char *cluster);
/* Of an address in a cluster. */
uint64_t owners_hash(uint16_t cluster, const struct addr *addr);
XXH128_hash_t owners_slot_key(uint16_t cluster, bool hint, const struct addr *addr);
XXH128_hash_t owners_object_key(uint16_t cluster, bool hint, enum owner_kind kind,
                                struct text namespace, struct text name);
XXH128_hash_t owners_services_key(uint16_t cluster, const char *namespace);
void span_release(struct span *span);
