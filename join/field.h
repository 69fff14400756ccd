/* join/field.h -- fields of text: cells of a line, numbers in them
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the formats without a grammar of their own share.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "join/text.h"

/* Whether the text is exactly `word`, begins and ends with it. */
bool text_is(struct text text, const char *word);
bool text_begins(struct text text, const char *word);
bool text_ends(struct text text, const char *word);
/* Whether it is absent, "" or "-": how most formats leave a field out. */
bool text_missing(struct text text);
/* Without spaces, tabs and carriage returns at both ends. */
struct text text_trim(struct text text);

/* An unsigned decimal number of at most 20 digits and nothing else. */
bool field_u64(struct text text, uint64_t *out);
bool field_port(struct text text, uint16_t *port);

/* Cuts the next cell off `rest`, which begins behind the separator of the one before; false at the
 * end. With `quote` (0: none) a cell that begins with it ends at the next one that is not doubled
 * (RFC 4180) and is given without the outer ones; what is doubled inside is left doubled.
 * To begin with, `rest` is the line. An empty line has one empty cell. */
bool cell_next(struct text *rest, char separator, char quote, struct text *cell);
/* All cells; returns how many, at most `max`. */
size_t cells_split(struct text line, char separator, char quote, struct text *cells, size_t max);
