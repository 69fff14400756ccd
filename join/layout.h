/* join/layout.h -- which column is which, in formats that name their columns in a line of the log
 * SPDX-License-Identifier: Apache-2.0
 *
 * A header line may come again in the middle of a file, with other columns, where logs were put
 * together; and records are parsed by several workers in any order. So header lines are read where
 * the input is cut, in its order, into a builder; what they mean for the records behind them is a
 * layout, which never changes, and which each batch holds on to.
 *
 * Threads: a builder belongs to one thread at a time. A layout may be read by any number, and the
 * last to let go of it frees it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "join/text.h"

/* Columns of a line, and those of them that a format reads; further ones are not looked at. */
#define LAYOUT_COLUMNS_MAX 256
#define LAYOUT_FIELDS_MAX 64
#define LAYOUT_MARK_MAX 31

/* Words with which a log says something about its cells. */
enum layout_mark {
    LAYOUT_UNSET, /* the cell of a field that was not set: "-" */
    LAYOUT_EMPTY, /* the cell of a set without members: "(empty)" */
    LAYOUT_SET,   /* what stands between the members of a set: "," */
    LAYOUT_KIND,  /* what the records are: "conn" */
    LAYOUT_MARKS,
};

struct columns;
struct layout {
    atomic_uint holders;
    const struct columns *format;
    char separator;
    char quote;                        /* 0: none */
    size_t columns;                    /* of which LAYOUT_COLUMNS_MAX are looked at */
    int16_t column[LAYOUT_FIELDS_MAX]; /* of each field that the format reads; -1: there is none */
    char marks[LAYOUT_MARKS][LAYOUT_MARK_MAX + 1]; /* "" if not said */
};

/* What a format with columns reads, and how its header lines are told. */
struct layout_builder;
struct columns {
    const char *const *fields; /* names of the columns it reads, LAYOUT_FIELDS_MAX at most; NULL:
                                * those of parser_options.fields */
    size_t field_count;
    const char *otherwise; /* the columns, where neither a header nor --columns names them; NULL:
                            * there are none */
    char separator;        /* 0: what is between the names that --columns or a header gives */
    char quote;            /* around a cell with the separator in it; 0: none */
    /* Whether the line is a header, or a part of one, and no record. If so, it is told to the
     * builder. */
    bool (*header)(struct layout_builder *builder, struct text line);
};

struct layout_builder {
    const struct columns *format;
    const char *const *fields;
    size_t field_count;
    char separator;
    struct buf names; /* each followed by \0 */
    char marks[LAYOUT_MARKS][LAYOUT_MARK_MAX + 1];
    bool changed; /* since layout_make */
};

/* Begins with the columns that `given` (NULL: those of the format) names: separated by spaces,
 * commas, semicolons or tabs, as name or ${name}. `fields` counts where the format has none of its
 * own, and is of the column of that number where it is one; all is borrowed. Memory that is short
 * is told by layout_make. */
void layout_builder_init(struct layout_builder *builder, const struct columns *format,
                         const char *given, const char *const *fields, size_t field_count);
void layout_builder_fini(struct layout_builder *builder);

/* For the `header` of a format. The names of the columns, as cells of a line; what is said again
 * changes nothing. */
void layout_builder_names(struct layout_builder *builder, struct text names, char separator);
void layout_builder_separator(struct layout_builder *builder, char separator);
/* A longer mark is cut off. */
void layout_builder_mark(struct layout_builder *builder, enum layout_mark mark, struct text text);

/* Makes the layout of the records that follow, with one holder: NULL if no column is known.
 * Returns 0 or -ENOMEM. */
int layout_make(struct layout_builder *builder, struct layout **layout);
/* One more holder, and one less; NULL is fine. */
struct layout *layout_hold(struct layout *layout);
void layout_drop(struct layout **layout);

/* The cells of a line; returns how many. */
size_t layout_split(const struct layout *layout, struct text line,
                    struct text cells[LAYOUT_COLUMNS_MAX]);
/* One of them by its field. data is NULL where the line has no such column or it is not set; the
 * text is "" where it is marked as empty. */
struct text layout_cell(const struct layout *layout, const struct text *cells, size_t count,
                        size_t field);
