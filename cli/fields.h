/* cli/fields.h -- the members of a JSON body that a table or a sentence shows
 * SPDX-License-Identifier: Apache-2.0
 *
 * Commands make the same JSON bodies whether the index is theirs or a service's, and words from
 * those, so that both look alike. Lists in the bodies stand one row a line (api/json_sightings.h).
 *
 * Text from a body may hold anything a DNS sender or client put there: fields_text makes control
 * characters harmless to a terminal.
 *
 * Threads: as its caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "join/json.h"

struct fields {
    struct json_paths *paths;
    struct json_parser *parser;
    size_t count;
    struct json_value values[JSON_PATHS_MAX];
};

/* `pointers` as for json_paths_new. Returns 0 or -ENOMEM. */
int fields_init(struct fields *fields, const char *const *pointers, size_t count);
void fields_fini(struct fields *fields);

/* Reads one document, which must outlive the fields. Returns 0 or W_ESYNTAX with `why`. */
int fields_read(struct fields *fields, const char *text, size_t len, struct why *why);

/* A string member as text for a terminal, "" where it is absent or null; appended to `out`. */
void fields_text(const struct fields *fields, size_t member, struct buf *out);
/* Is the member a string, and this one? */
bool fields_is(const struct fields *fields, size_t member, const char *text);
bool fields_true(const struct fields *fields, size_t member);
/* A number, 0 where it is absent. */
int64_t fields_int(const struct fields *fields, size_t member);
/* A time, 0 where it is absent or null. */
int64_t fields_time(const struct fields *fields, size_t member);

/* The next row of an array member, without its comma. *at begins at 0. Returns false at the end. */
bool fields_row(const struct fields *fields, size_t member, size_t *at, struct text *row);
/* The next string of an array of strings within a row; likewise. */
bool fields_item(const struct fields *fields, size_t member, size_t *at, struct text *item);

/* Prints a JSON body as one line: line feeds between its rows are left out, and one ends it. */
void fields_print(const struct buf *body, FILE *out);
