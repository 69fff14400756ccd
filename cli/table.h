/* cli/table.h -- aligned columns on a terminal
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cells are added from left to right, row by row; the last column is not padded. Widths count
 * octets that begin a UTF-8 character.
 *
 * Threads: as its caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

#define TABLE_COLUMNS_MAX 8

struct table {
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX];
    size_t cells;    /* finished */
    struct buf text; /* all cells, each terminated */
    size_t begin;    /* where the cell being written begins in `text` */
};

/* The first row is the heads: one word or more for each column, NULL-terminated. */
void table_init(struct table *table, const char *const *heads);
void table_fini(struct table *table);

/* Where the next cell is written; then table_next ends it. */
struct buf *table_cell(struct table *table);
void table_next(struct table *table);
/* Both at once. */
void table_add(struct table *table, const char *text);
/* A time to the millisecond ("2026-05-22 10:00:01.068"), "-" for 0. */
void table_add_time(struct table *table, int64_t time_us);

/* Prints all rows. Returns 0 or -ENOMEM. */
int table_print(struct table *table, FILE *out);

/* ---- words for numbers ---- */

/* "55 ms", "12 s", "3 min", "5 h", "8 d". */
void words_duration(struct buf *out, int64_t us);
/* "108 KiB" */
void words_bytes(struct buf *out, uint64_t bytes);
