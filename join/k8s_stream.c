/* join/k8s_stream.c -- Kubernetes objects out of a stream of JSON: watches and lists
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/k8s_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

enum place {
    BETWEEN,  /* outside of any document */
    SKIPPING, /* after a fault, up to a line that begins with { */
    INSIDE,
};

/* The member of the outermost object that is being read. */
enum member { MEMBER_OTHER, MEMBER_ITEMS, MEMBER_KIND };

struct k8s_stream {
    k8s_piece_fn fn;
    void *ctx;
    enum place place;
    struct buf text;     /* a document, or the item of a list */
    struct buf head;     /* a list without its items */
    struct buf *out;     /* which of the two what is read goes to; NULL: neither */
    uint64_t line;       /* of the octet being read */
    uint64_t begin_line; /* of the document */
    uint64_t item_line;  /* of the item */
    bool line_begins;    /* the octet before was a line's end, or there was none */
    unsigned depth;      /* containers open */
    uint64_t arrays;     /* bit d: the container at depth d + 1 is an array */
    char before;         /* the octet before that is no space; '"' after a string, 'v' a literal */
    bool in_string;
    bool escaped;  /* the octet before was a backslash */
    bool is_list;  /* has had "items" */
    bool in_items; /* ... and is inside of them */
    enum member member;
    bool is_key;      /* the string being read is a key of the outermost object */
    size_t string_at; /* where the string being read begins in *out */
    char list_kind[K8S_KIND_MAX + 1];
};

int k8s_stream_new(struct k8s_stream **out, size_t max_len, k8s_piece_fn fn, void *ctx)
{
    struct k8s_stream *stream = calloc(1, sizeof(*stream));
    *out = stream;
    if (stream == NULL) {
        return -ENOMEM;
    }
    stream->fn = fn;
    stream->ctx = ctx;
    stream->text.max = max_len;
    stream->head.max = max_len;
    k8s_stream_reset(stream);
    return 0;
}

void k8s_stream_free(struct k8s_stream **out)
{
    struct k8s_stream *stream = *out;
    *out = NULL;
    if (stream != NULL) {
        buf_fini(&stream->text);
        buf_fini(&stream->head);
        free(stream);
    }
}

void k8s_stream_reset(struct k8s_stream *stream)
{
    stream->place = BETWEEN;
    stream->line = 1;
    stream->line_begins = true;
}

/* ---- Giving out ---- */

static int give_fault(struct k8s_stream *stream, uint64_t line, const char *what)
{
    const struct k8s_piece piece = {K8S_PIECE_FAULT, NULL, 0, "", line, what};
    return stream->fn(stream->ctx, &piece);
}

static int give(struct k8s_stream *stream, enum k8s_piece_type type, const struct buf *text,
                uint64_t line)
{
    struct k8s_piece piece = {type, text->data, text->len, "", line, NULL};
    if (type != K8S_PIECE_DOCUMENT) {
        piece.list_kind = stream->list_kind;
    }
    if (text->err == W_ELIMIT) {
        piece = (struct k8s_piece){K8S_PIECE_TOO_LONG, NULL, 0,
                                   piece.list_kind,    line, "it is longer than allowed"};
    } else if (text->err != 0) {
        return text->err;
    }
    return stream->fn(stream->ctx, &piece);
}

/* ---- Inside of a document ---- */

static void begin_document(struct k8s_stream *stream)
{
    stream->place = INSIDE;
    buf_reset(&stream->text);
    stream->out = &stream->text;
    stream->begin_line = stream->line;
    stream->depth = 0;
    stream->before = ':'; /* a value is expected */
    stream->in_string = false;
    stream->is_list = false;
    stream->in_items = false;
    stream->member = MEMBER_OTHER;
    stream->list_kind[0] = '\0';
}

static bool in_array(const struct k8s_stream *stream)
{
    return stream->depth > 0 && (stream->arrays >> (stream->depth - 1) & 1) != 0;
}

/* What is inside of "items" but in none of them is not kept. */
static void keep(struct k8s_stream *stream, const char *bytes, size_t len)
{
    if (stream->out != NULL) {
        buf_add(stream->out, bytes, len);
    }
}

/* The document so far becomes the head of a list; its items take the other buffer. */
static void begin_items(struct k8s_stream *stream)
{
    if (!stream->is_list) {
        struct buf text = stream->text;
        stream->text = stream->head;
        stream->head = text;
    }
    stream->is_list = true;
    stream->in_items = true;
    stream->out = NULL;
}

/* Opens a container. NULL, or what is wrong. */
static const char *open_container(struct k8s_stream *stream, char c)
{
    bool expected = stream->before == ':' ||
                    (in_array(stream) && (stream->before == '[' || stream->before == ','));
    if (!expected) {
        return "an object or array where none can be";
    }
    if (stream->depth == K8S_STREAM_DEPTH_MAX) {
        return "it is nested too deeply";
    }
    bool is_items = c == '[' && stream->depth == 1 && stream->member == MEMBER_ITEMS;
    if (stream->in_items && stream->depth == 2) {
        buf_reset(&stream->text);
        stream->out = &stream->text;
        stream->item_line = stream->line;
    }
    keep(stream, &c, 1);
    uint64_t bit = UINT64_C(1) << stream->depth;
    stream->arrays = c == '[' ? stream->arrays | bit : stream->arrays & ~bit;
    stream->depth++;
    stream->before = c;
    if (is_items) {
        begin_items(stream);
    }
    return NULL;
}

/* A container was closed: gives out what is whole by that. */
static int end_container(struct k8s_stream *stream)
{
    if (stream->depth == 0) {
        stream->place = BETWEEN;
        return stream->is_list
                   ? give(stream, K8S_PIECE_LIST, &stream->head, stream->begin_line)
                   : give(stream, K8S_PIECE_DOCUMENT, &stream->text, stream->begin_line);
    }
    if (stream->in_items && stream->depth == 2) {
        stream->out = NULL;
        return give(stream, K8S_PIECE_ITEM, &stream->text, stream->item_line);
    }
    return 0;
}

static const char *close_container(struct k8s_stream *stream, char c, int *err)
{
    if (in_array(stream) != (c == ']')) {
        return "brackets that do not match";
    }
    stream->depth--;
    stream->before = c;
    if (stream->in_items && stream->depth == 1) {
        stream->in_items = false;
        stream->out = &stream->head;
    }
    keep(stream, &c, 1);
    *err = end_container(stream);
    return NULL;
}

static void begin_string(struct k8s_stream *stream)
{
    keep(stream, "\"", 1);
    stream->in_string = true;
    stream->escaped = false;
    stream->is_key = stream->depth == 1 && (stream->before == '{' || stream->before == ',');
    stream->string_at = stream->out != NULL ? stream->out->len : 0;
}

static void end_string(struct k8s_stream *stream)
{
    const struct buf *out = stream->out;
    stream->in_string = false;
    stream->before = '"';
    if (stream->depth != 1 || out == NULL || out->err != 0) {
        return;
    }
    const char *string = out->data + stream->string_at;
    size_t len = out->len - stream->string_at;
    if (stream->is_key) {
        stream->member = len == 5 && memcmp(string, "items", 5) == 0  ? MEMBER_ITEMS
                         : len == 4 && memcmp(string, "kind", 4) == 0 ? MEMBER_KIND
                                                                      : MEMBER_OTHER;
    } else if (stream->member == MEMBER_KIND && len <= K8S_KIND_MAX) {
        memcpy(stream->list_kind, string, len);
        stream->list_kind[len] = '\0';
    }
}

static bool is_literal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* One octet outside of strings. NULL, or what is wrong. */
static const char *read_octet(struct k8s_stream *stream, char c, int *err)
{
    if (c == '{' || c == '[') {
        if (stream->in_items && stream->depth == 2 && c == '[') {
            return "an item that is no object";
        }
        return open_container(stream, c);
    }
    if (c == '}' || c == ']') {
        return close_container(stream, c, err);
    }
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == ':') {
        stream->before = c == ',' || c == ':' ? c : stream->before;
        keep(stream, &c, 1);
        return NULL;
    }
    if (stream->in_items && stream->depth == 2) {
        return "an item that is no object";
    }
    if (c == '"') {
        begin_string(stream);
        return NULL;
    }
    if (!is_literal(c)) {
        return "an octet that JSON does not have";
    }
    stream->before = 'v';
    keep(stream, &c, 1);
    return NULL;
}

/* Up to the end of a string or of the octets. Returns how many were read; a control character is
 * left to the caller. */
static size_t read_string(struct k8s_stream *stream, const char *bytes, size_t len)
{
    size_t i = 0;
    for (; i < len && stream->in_string; i++) {
        if (stream->escaped) {
            stream->escaped = false;
        } else if (bytes[i] == '\\') {
            stream->escaped = true;
        } else if (bytes[i] == '"') {
            break;
        }
        if ((unsigned char)bytes[i] < 0x20) {
            break;
        }
    }
    keep(stream, bytes, i);
    if (i < len && bytes[i] == '"') {
        end_string(stream);
        keep(stream, "\"", 1);
        i++;
    }
    return i;
}

/* ---- The stream ---- */

static void count_line(struct k8s_stream *stream, char c)
{
    stream->line += c == '\n';
    stream->line_begins = c == '\n';
}

/* Skips from here on, unless a document begins just here. */
static int fault(struct k8s_stream *stream, char c, const char *what)
{
    int err = give_fault(stream, stream->line, what);
    stream->place = SKIPPING;
    if (err == 0 && c == '{' && stream->line_begins) {
        begin_document(stream);
        open_container(stream, c);
    }
    count_line(stream, c);
    return err;
}

static int push_inside(struct k8s_stream *stream, const char *bytes, size_t len, size_t *used)
{
    if (stream->in_string) {
        stream->line_begins = false;
        *used = read_string(stream, bytes, len);
        if (*used == len || !stream->in_string) {
            return 0;
        }
        ++*used;
        return fault(stream, bytes[*used - 1], "a string that does not end in its line");
    }
    int err = 0;
    const char *what = read_octet(stream, bytes[0], &err);
    *used = 1;
    if (what != NULL) {
        return fault(stream, bytes[0], what);
    }
    count_line(stream, bytes[0]);
    return err;
}

static int push_between(struct k8s_stream *stream, char c)
{
    bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (c == '{' && (stream->place == BETWEEN || stream->line_begins)) {
        begin_document(stream);
        open_container(stream, c);
    } else if (stream->place == BETWEEN && !is_space) {
        return fault(stream, c, "an object was expected");
    }
    count_line(stream, c);
    return 0;
}

int k8s_stream_push(struct k8s_stream *stream, const char *bytes, size_t len)
{
    int err = 0;
    size_t used;
    for (size_t i = 0; i < len && err == 0; i += used) {
        used = 1;
        err = stream->place == INSIDE ? push_inside(stream, bytes + i, len - i, &used)
                                      : push_between(stream, bytes[i]);
    }
    return err;
}

int k8s_stream_end(struct k8s_stream *stream)
{
    int err = stream->place == INSIDE
                  ? give_fault(stream, stream->begin_line, "it ends before it is whole")
                  : 0;
    k8s_stream_reset(stream);
    return err;
}
