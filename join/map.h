/* join/map.h -- which field of an unknown record is what: `--map source.ip=src,…`
 * SPDX-License-Identifier: Apache-2.0
 *
 * On the left stand the fields of a flow, by their names in the Elastic Common Schema, on the right
 * where the record has them: a dotted path or a JSON pointer, or the name or number of a column. A
 * field may be given several times; the first that a record has counts.
 *
 * Threads: read only once made.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/format.h"

enum map_field {
    MAP_TIME,  /* @timestamp: the record's time, or that of the first packet it counted */
    MAP_START, /* event.start: when the connection began */
    MAP_END,
    MAP_ACTION,
    MAP_TRANSPORT,
    MAP_DIRECTION,
    MAP_BYTES,
    MAP_SOURCE,
    MAP_SOURCE_PORT,
    MAP_SOURCE_CLUSTER,
    MAP_SOURCE_NAMESPACE,
    MAP_SOURCE_POD,
    MAP_SOURCE_WORKLOAD,
    MAP_DESTINATION,
    MAP_DESTINATION_PORT,
    MAP_DESTINATION_NAT,
    MAP_DESTINATION_NAMESPACE,
    MAP_DESTINATION_POD,
    MAP_DESTINATION_WORKLOAD,
    MAP_DESTINATION_SERVICE,
    MAP_NODE,
    MAP_COUNT,
};

/* Rules, and the places they name; no place stands twice. */
#define MAP_MAX 48
struct field_map {
    struct {
        enum map_field field;
        size_t from;
    } rules[MAP_MAX];
    size_t rule_count;
    const char *names[MAP_MAX];    /* of the columns, as given; owned */
    const char *pointers[MAP_MAX]; /* JSON pointers; owned */
    size_t from_count;
};

/* Adds "field=name,field=name". Zeroed memory is an empty map. Returns 0, W_EUSAGE with a sentence,
 * or -ENOMEM. */
int map_add(struct field_map *map, const char *text, struct why *why);
/* Whether it names what a flow cannot do without: both addresses and, unless something around the
 * records may tell it (`timed`), the time. Returns 0 or W_EUSAGE. */
int map_check(const struct field_map *map, bool timed, struct why *why);
/* Has parsers read by it; it is borrowed. */
void map_options(const struct field_map *map, struct parser_options *options);
/* The names of the fields of a flow, ends with NULL. */
extern const char *const MAP_FIELDS[];
void map_fini(struct field_map *map);

/* The fields of one record: what stands at each place (map->names), none where nothing does. */
struct map_values {
    struct text text[MAP_COUNT];
};
void map_pick(const struct field_map *map, const struct text *places, struct map_values *values);
/* Whether both addresses are such. */
bool map_has_pair(const struct map_values *values);
/* Fills the record. */
enum parsed map_fill(struct parser *parser, const char *dataset, const struct map_values *values,
                     const struct outer *outer, struct flow_record *record);
