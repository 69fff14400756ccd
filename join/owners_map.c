/* join/owners_map.c -- a hash table of pointers by 128-bit keys
 * SPDX-License-Identifier: Apache-2.0
 *
 * The keys are hashes already, so that two things never share one. Open addressing; what is removed
 * is filled from behind it.
 */
#include <errno.h>
#include <stdlib.h>

#include "join/owners_table.h"

enum { FIRST_CAP = 64 };

/* Where the key is, or the free entry where it would be. */
static size_t find(const struct map *map, XXH128_hash_t key)
{
    size_t i = key.low64 & (map->cap - 1);
    while (map->entries[i].value != NULL && !XXH128_isEqual(map->entries[i].key, key)) {
        i = (i + 1) & (map->cap - 1);
    }
    return i;
}

void *map_get(const struct map *map, XXH128_hash_t key)
{
    return map->cap > 0 ? map->entries[find(map, key)].value : NULL;
}

static int grow(struct map *map)
{
    struct map bigger = {.cap = map->cap > 0 ? map->cap * 2 : FIRST_CAP, .count = map->count};
    bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries));
    if (bigger.entries == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < map->cap; i++) {
        if (map->entries[i].value != NULL) {
            bigger.entries[find(&bigger, map->entries[i].key)] = map->entries[i];
        }
    }
    free(map->entries);
    *map = bigger;
    return 0;
}

int map_put(struct map *map, XXH128_hash_t key, void *value)
{
    if (map->count * 3 >= map->cap * 2 && grow(map) != 0) {
        return -ENOMEM;
    }
    map->entries[find(map, key)] = (struct map_entry){key, value};
    map->count++;
    return 0;
}

void map_remove(struct map *map, XXH128_hash_t key)
{
    size_t hole = map->cap > 0 ? find(map, key) : 0;
    if (map->cap == 0 || map->entries[hole].value == NULL) {
        return;
    }
    map->count--;
    for (size_t i = (hole + 1) & (map->cap - 1); map->entries[i].value != NULL;
         i = (i + 1) & (map->cap - 1)) {
        size_t home = map->entries[i].key.low64 & (map->cap - 1);
        /* It may move to the hole unless its home lies between the two. */
        if (((i - home) & (map->cap - 1)) >= ((i - hole) & (map->cap - 1))) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole].value = NULL;
}
