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

static void pick_cells(const struct layout *layout, const struct field_map *map,
                       const struct text *cells, size_t count, struct map_values *values)
{
    struct text places[MAP_MAX];
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
    struct text cells[LAYOUT_COLUMNS_MAX];
    pick_cells(layout, map, cells, layout_split(layout, line, cells), &values);
    return map_has_pair(&values) ? SCORE_MAPPED : 0;
}

/* Why a line cannot have the field: there is no such column, or the line ends before it. Says so
 * and returns true, unless one of the names for it is there. */
static bool lacks(struct parser *parser, const struct layout *layout, enum map_field field,
                  size_t count, struct flow_record *record)
{
    const struct field_map *map = parser->options.map;
    const char *name = NULL;
    int column = -1;
    for (size_t i = 0; i < map->rule_count; i++) {
        size_t from = map->rules[i].from;
        if (map->rules[i].field != field) {
            continue;
        }
        if (layout->column[from] >= 0 && (size_t)layout->column[from] < count) {
            return false;
        }
        if (name == NULL || layout->column[from] >= 0) {
            name = map->names[from];
            column = layout->column[from];
        }
    }
    if (name != NULL && column < 0) {
        parse_bad(parser, record,
                  "no column is called %.60s; the first line names the columns, or --columns does",
                  name);
    } else if (name != NULL) {
        parse_bad(parser, record, "%zu fields, but %.60s is column %d", count, name, column + 1);
    }
    return name != NULL;
}

static enum parsed parse_csv(struct parser *parser, struct text line, const struct outer *outer,
                             struct flow_record *record)
{
    const struct field_map *map = parser->options.map;
    const struct layout *layout = parse_layout(parser, &FORMAT_CSV);
    struct map_values values;
    if (map == NULL || line.len == 0 || line.data[0] == '{') {
        return PARSED_FOREIGN;
    }
    if (layout == NULL) {
        return parse_bad(parser, record, "no line before it names the columns; pass --columns");
    }
    struct text cells[LAYOUT_COLUMNS_MAX];
    size_t count = layout_split(layout, line, cells);
    if (lacks(parser, layout, MAP_SOURCE, count, record) ||
        lacks(parser, layout, MAP_DESTINATION, count, record)) {
        return PARSED_BAD;
    }
    pick_cells(layout, map, cells, count, &values);
    return map_fill(parser, "csv", &values, outer, record);
}

const struct format FORMAT_CSV = {
    .name = "csv",
    .description = "any CSV, its columns named with --map, by header or --columns",
    .score = score_csv,
    .parse = parse_csv,
    .columns = &COLUMNS,
};
