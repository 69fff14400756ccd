/* join/layout.c -- which column is which, in formats that name their columns in a line of the log
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "join/field.h"

/* ---- The builder ---- */

/* What --columns separates its names by; the same stands between the cells, unless the format
 * knows better. */
static char separator_of(const char *given)
{
    size_t len = strcspn(given, ",;\t ");
    return given[len] != '\0' ? given[len] : ',';
}

static void add_name(struct buf *names, struct text name)
{
    name = text_trim(name);
    /* The way AWS writes a format: ${srcaddr}. */
    if (name.len > 3 && memcmp(name.data, "${", 2) == 0 && name.data[name.len - 1] == '}') {
        name = (struct text){name.data + 2, name.len - 3};
    }
    buf_add(names, name.data, name.len);
    buf_char(names, '\0');
}

/* Names between any number of separators. */
static void set_given(struct layout_builder *builder, const char *given)
{
    while (*given != '\0') {
        size_t len = strcspn(given, ",;\t ");
        if (len > 0) {
            add_name(&builder->names, (struct text){given, len});
        }
        given += len + (given[len] != '\0');
    }
}

/* Whether a field is asked for by the number of its column. */
static bool has_number(const struct layout_builder *builder)
{
    uint64_t number;
    for (size_t i = 0; i < builder->field_count; i++) {
        if (field_u64((struct text){builder->fields[i], strlen(builder->fields[i])}, &number)) {
            return true;
        }
    }
    return false;
}

void layout_builder_init(struct layout_builder *builder, const struct columns *format,
                         const char *given, const char *const *fields, size_t field_count)
{
    *builder = (struct layout_builder){
        .format = format, .separator = format->separator != '\0' ? format->separator : ','};
    builder->fields = format->fields != NULL ? format->fields : fields;
    builder->field_count = format->fields != NULL ? format->field_count : field_count;
    if (given == NULL) {
        given = format->otherwise;
    }
    if (given != NULL) {
        builder->separator = format->separator != '\0' ? format->separator : separator_of(given);
        set_given(builder, given);
    }
    builder->changed = given != NULL || has_number(builder);
}

void layout_builder_fini(struct layout_builder *builder)
{
    buf_fini(&builder->names);
}

void layout_builder_names(struct layout_builder *builder, struct text names, char separator)
{
    struct buf said = {0};
    struct text cell;
    while (cell_next(&names, separator, builder->format->quote, &cell)) {
        add_name(&said, cell);
    }
    if (said.err == 0 && said.len == builder->names.len &&
        memcmp(said.data, builder->names.data, said.len) == 0) {
        buf_fini(&said);
        return;
    }
    buf_fini(&builder->names);
    builder->names = said;
    builder->changed = true;
}

void layout_builder_separator(struct layout_builder *builder, char separator)
{
    builder->changed |= builder->separator != separator;
    builder->separator = separator;
}

void layout_builder_mark(struct layout_builder *builder, enum layout_mark mark, struct text text)
{
    char *kept = builder->marks[mark];
    size_t len = text.len < LAYOUT_MARK_MAX ? text.len : LAYOUT_MARK_MAX;
    if (!text_is((struct text){text.data, len}, kept)) {
        memcpy(kept, text.data, len);
        kept[len] = '\0';
        builder->changed = true;
    }
}

/* ---- The layout ---- */

/* A field is found by the name of its column; of columns of the same name the first counts. A
 * number is the column of that number, from 1, unless one is called so. */
static void find_columns(const struct layout_builder *builder, struct layout *layout)
{
    for (size_t at = 0; at < builder->names.len; at += strlen(builder->names.data + at) + 1) {
        const char *name = builder->names.data + at;
        for (size_t i = 0; i < builder->field_count && layout->columns < LAYOUT_COLUMNS_MAX; i++) {
            if (layout->column[i] < 0 && strcmp(builder->fields[i], name) == 0) {
                layout->column[i] = (int16_t)layout->columns;
            }
        }
        layout->columns++;
    }
    for (size_t i = 0; i < builder->field_count; i++) {
        uint64_t number;
        struct text field = {builder->fields[i], strlen(builder->fields[i])};
        if (layout->column[i] < 0 && field_u64(field, &number) && number > 0 &&
            number <= LAYOUT_COLUMNS_MAX) {
            layout->column[i] = (int16_t)(number - 1);
        }
    }
}

int layout_make(struct layout_builder *builder, struct layout **out)
{
    *out = NULL;
    if (builder->names.err != 0) {
        return -ENOMEM;
    }
    builder->changed = false;
    if (builder->names.len == 0 && !has_number(builder)) {
        return 0;
    }
    struct layout *layout = calloc(1, sizeof(*layout));
    if (layout == NULL) {
        return -ENOMEM;
    }
    atomic_init(&layout->holders, 1);
    layout->format = builder->format;
    layout->separator = builder->separator;
    layout->quote = builder->format->quote;
    memcpy(layout->marks, builder->marks, sizeof(layout->marks));
    for (size_t i = 0; i < LAYOUT_FIELDS_MAX; i++) {
        layout->column[i] = -1;
    }
    find_columns(builder, layout);
    *out = layout;
    return 0;
}

struct layout *layout_hold(struct layout *layout)
{
    if (layout != NULL) {
        atomic_fetch_add_explicit(&layout->holders, 1, memory_order_relaxed);
    }
    return layout;
}

void layout_drop(struct layout **out)
{
    struct layout *layout = *out;
    *out = NULL;
    if (layout != NULL &&
        atomic_fetch_sub_explicit(&layout->holders, 1, memory_order_acq_rel) == 1) {
        free(layout);
    }
}

size_t layout_split(const struct layout *layout, struct text line,
                    struct text cells[LAYOUT_COLUMNS_MAX])
{
    return cells_split(line, layout->separator, layout->quote, cells, LAYOUT_COLUMNS_MAX);
}

struct text layout_cell(const struct layout *layout, const struct text *cells, size_t count,
                        size_t field)
{
    int16_t column = layout->column[field];
    if (column < 0 || (size_t)column >= count ||
        (layout->marks[LAYOUT_UNSET][0] != '\0' &&
         text_is(cells[column], layout->marks[LAYOUT_UNSET]))) {
        return (struct text){NULL, 0};
    }
    if (layout->marks[LAYOUT_EMPTY][0] != '\0' &&
        text_is(cells[column], layout->marks[LAYOUT_EMPTY])) {
        return (struct text){cells[column].data, 0};
    }
    return cells[column];
}
