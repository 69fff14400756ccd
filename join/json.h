/* join/json.h -- JSON records: the wanted members of one document, found in one pass
 * SPDX-License-Identifier: Apache-2.0
 *
 * A format names the members it reads as JSON pointers (RFC 6901), compiled once into a struct
 * json_paths. json_parse checks one document and fills one value for each pointer. The first stage
 * (structure, quotes, UTF-8) is simdjson's.
 *
 * What is checked: UTF-8, the grammar of objects and arrays, closed strings without control
 * characters, at most JSON_DEPTH_MAX levels, nothing after the document. Escapes, numbers and
 * literals are checked where they are asked for, elsewhere by their first octet only. Of a repeated
 * key the first counts. A key written with escapes is never one that is asked for.
 *
 * Threads: a parser belongs to one thread at a time; paths are read only once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "join/text.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_DEPTH_MAX 64
#define JSON_PATHS_MAX 96
#define JSON_KEY_MAX 63
/* Octets that can be read behind a batch. */
#define JSON_PADDING 64

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    enum json_type type;
    bool escaped;     /* a string with escapes: json_string gives what it means */
    struct text text; /* piece of the document: a string without its quotes, else as written */
};

/* What is wrong with a document. */
struct json_fault {
    const char *what; /* static: "a value was expected" */
    size_t offset;    /* octets before the fault; 0 where it cannot be told */
};

struct json_paths;
struct json_parser;

/* Compiles `count` pointers: "/flow/IP/source", "/workloads/0/name". No ~ escapes; keys of 1 to
 * JSON_KEY_MAX octets; a key of digits also stands for an array index. Returns 0, -EINVAL for a
 * pointer that is none of these or given twice, or -ENOMEM. */
int json_paths_new(struct json_paths **paths, const char *const *pointers, size_t count);
void json_paths_free(struct json_paths **paths);

/* `max_len` bounds a document. Returns 0 or -ENOMEM. */
int json_parser_new(struct json_parser **parser, size_t max_len);
void json_parser_free(struct json_parser **parser);

/* Runs the first stage over a whole batch of documents, between which are newlines: json_parse of
 * any of them is cheaper then. `text` has JSON_PADDING octets behind it, the first of them a space
 * or newline, and stays as it is until the next call; NULL ends the batch. Where something in it is
 * no JSON the batch is none, and documents are parsed one by one. */
void json_batch(struct json_parser *parser, const char *text, size_t len);

/* Fills values[0..count-1] in the order of the pointers; they point into `text`. Returns 0;
 * W_ESYNTAX (`fault` says what; NULL is fine) or W_ELIMIT for a document too long or nested too
 * deeply, both with no value set; -ENOMEM. */
int json_parse(struct json_parser *parser, const struct json_paths *paths, const char *text,
               size_t len, struct json_value *values, struct json_fault *fault);

/* Writes what a JSON_STRING means to `out`, which has room for value->text.len octets (escapes only
 * shrink), and returns its length; SIZE_MAX for an escape that is none. A lone surrogate becomes
 * U+FFFD. */
size_t json_unescape(const struct json_value *value, char *out);

/* An unsigned integer, as a number or (protojson, journald) as a string of digits. */
bool json_u64(const struct json_value *value, uint64_t *out);

#ifdef __cplusplus
}
#endif
