/* join/mapped.c -- JSON and CSV that nobody foresaw, read as --map says
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "join/field.h"
#include "join/map.h"

/* What the map names is there, and its addresses are some: then it was meant, whatever else the
 * line may look like. */
enum { SCORE_MAPPED = 110 };

/* ---- JSON ---- */

static int read_json(struct parser *parser, struct text line, struct map_values *out,
                     struct flow_record *record)
{
    const struct field_map *map = parser->options.map;
    struct json_value values[MAP_MAX];
    struct text places[MAP_MAX];
    int result =
        parse_json(parser, PATHS_MAP, map->pointers, map->from_count, line, values, record);
    for (size_t i = 0; i < map->from_count && result == 0; i++) {
        places[i] = parse_scalar(&values[i]);
        if (places[i].data == NULL) {
            places[i] = parse_text(parser, &values[i]);
        }
    }
    if (result == 0) {
        map_pick(map, places, out);
    }
    return result;
}

static unsigned score_json(struct parser *parser, struct text line)
{
    struct map_values values;
    if (parser->options.map == NULL) {
        return 0;
    }
    return read_json(parser, line, &values, NULL) == 0 && map_has_pair(&values) ? SCORE_MAPPED : 0;
}

static enum parsed parse_mapped_json(struct parser *parser, struct text line,
                                     const struct outer *outer, struct flow_record *record)
{
    struct map_values values;
    if (parser->options.map == NULL) {
        return PARSED_FOREIGN;
    }
    int result = read_json(parser, line, &values, record);
    return result == 0 ? map_fill(parser, "json", &values, outer, record) : (enum parsed)result;
}

const struct format FORMAT_JSON = {
    .name = "json",
    .description = "any JSON, one record a line, its fields named with --map",
    .score = score_json,
    .parse = parse_mapped_json,
};

/* ---- CSV ---- */

/* What stands between the cells of a header: of the usual ones the most frequent. */
static char separator_of(struct text line)
{
    static const char USUAL[] = ",;\t|";
    size_t counts[sizeof(USUAL)] = {0};
    size_t best = 0;
    for (size_t i = 0; i < line.len; i++) {
        const char *found = line.data[i] != '\0' ? strchr(USUAL, line.data[i]) : NULL;
        if (found != NULL) {
            counts[found - USUAL]++;
        }
    }
    for (size_t i = 1; i < sizeof(USUAL) - 1; i++) {
        best = counts[i] > counts[best] ? i : best;
    }
    return USUAL[best];
}

static bool is_number(const char *name)
{
    uint64_t number;
    return field_u64((struct text){name, strlen(name)}, &number);
}

/* Whether a cell of the line is called so. */
static bool has_cell(struct text line, char separator, const char *name)
{
    struct text cell;
    while (cell_next(&line, separator, '"', &cell)) {
        if (text_is(text_trim(cell), name)) {
            return true;
        }
    }
    return false;
}

/* How many of the names that are asked for are cells of the line, and of how many. */
static size_t count_names(const char *const *names, size_t count, struct text line, char separator,
                          size_t *asked)
{
    size_t found = 0;
    *asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_number(names[i])) {
            *asked += 1;
            found += has_cell(line, separator, names[i]);
        }
    }
    return found;
}

/* The first line, unless --columns names the columns or the map has only their numbers; and any
 * line with all names that are asked for. */
static bool header(struct layout_builder *builder, struct text line)
{
    char separator = separator_of(line);
    size_t asked;
    if (line.len == 0 || line.data[0] == '{') {
        return false;
    }
    size_t found = count_names(builder->fields, builder->field_count, line, separator, &asked);
    if (asked == 0 || (found < asked && builder->names.len > 0)) {
        return false;
    }
    layout_builder_separator(builder, separator);
    layout_builder_names(builder, line, separator);
    return true;
}

static const struct columns COLUMNS = {.separator = '\0', .quote = '"', .header = header};

static void read_csv(const struct layout *layout, const struct field_map *map, struct text line,
                     struct map_values *values)
{
    struct text cells[LAYOUT_COLUMNS_MAX];
    struct text places[MAP_MAX];
    size_t count = layout_split(layout, line, cells);
    for (size_t i = 0; i < map->from_count; i++) {
        places[i] = layout_cell(layout, cells, count, i);
    }
    map_pick(map, places, values);
}

/* A header by its names, a record by its addresses, where the columns are known without one. */
static unsigned score_csv(struct parser *parser, struct text line)
{
    const struct field_map *map = parser->options.map;
    struct map_values values;
    size_t asked;
    if (map == NULL || line.len == 0 || line.data[0] == '{') {
        return 0;
    }
    size_t found = count_names(map->names, map->from_count, line, separator_of(line), &asked);
    if (asked > 0 && found == asked) {
        return SCORE_MAPPED;
    }
    const struct layout *layout = parse_layout(parser, &FORMAT_CSV);
    if (layout == NULL) {
        return 0;
    }
    read_csv(layout, map, line, &values);
    return map_has_pair(&values) ? SCORE_MAPPED : 0;
}

/* The name of a field's column that the layout does not have, although there is no other for it;
 * NULL if there is none. */
static const char *lacking(const struct layout *layout, const struct field_map *map,
                           enum map_field field)
{
    const char *name = NULL;
    for (size_t i = 0; i < map->rule_count; i++) {
        if (map->rules[i].field == field) {
            name = map->names[map->rules[i].from];
            if (layout->column[map->rules[i].from] >= 0) {
                return NULL;
            }
        }
    }
    return name;
}

static enum parsed parse_csv(struct parser *parser, struct text line, const struct outer *outer,
                             struct flow_record *record)
{
    static const enum map_field NEEDED[] = {MAP_SOURCE, MAP_DESTINATION};
    const struct field_map *map = parser->options.map;
    const struct layout *layout = parse_layout(parser, &FORMAT_CSV);
    struct map_values values;
    if (map == NULL || line.len == 0 || line.data[0] == '{') {
        return PARSED_FOREIGN;
    }
    if (layout == NULL) {
        return parse_bad(parser, record, "no line before it names the columns; pass --columns");
    }
    for (size_t i = 0; i < sizeof(NEEDED) / sizeof(NEEDED[0]); i++) {
        const char *name = lacking(layout, map, NEEDED[i]);
        if (name != NULL) {
            return parse_bad(parser, record,
                             "no column is called %.60s; the first line names the "
                             "columns, or --columns does",
                             name);
        }
    }
    read_csv(layout, map, line, &values);
    return map_fill(parser, "csv", &values, outer, record);
}

const struct format FORMAT_CSV = {
    .name = "csv",
    .description = "any CSV, its columns named with --map, by header or --columns",
    .score = score_csv,
    .parse = parse_csv,
    .columns = &COLUMNS,
};
