/* join/loki.c -- the entries of a Loki response, without holding the response
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki.h"

#include <errno.h>
#include <string.h>

#include "join/format.h"

/* The first member of `text` and what its value begins with: `{ "status" : "success"`. */
static bool begins_with_member(struct text text, const char *key, const char *value)
{
    const char *const parts[] = {"{", key, ":", value};
    size_t at = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        while (at < text.len && memchr(" \t\r\n", text.data[at], 4) != NULL) {
            at++;
        }
        size_t len = strlen(parts[i]);
        if (text.len - at < len || memcmp(text.data + at, parts[i], len) != 0) {
            return false;
        }
        at += len;
    }
    return true;
}

bool loki_is_error(struct text head)
{
    return begins_with_member(head, "\"status\"", "\"error\"");
}

bool loki_sniff(struct text head)
{
    return begins_with_member(head, "\"status\"", "\"success\"") || loki_is_error(head) ||
           begins_with_member(head, "\"streams\"", "[") ||
           (begins_with_member(head, "\"data\"", "{") &&
            memmem(head.data, head.len, "\"result", 7) != NULL);
}

void loki_init(struct loki *loki)
{
    *loki = (struct loki){.entry.max = RECORD_LEN_MAX, .labels.max = LOKI_LABELS_MAX};
}

void loki_fini(struct loki *loki)
{
    buf_fini(&loki->entry);
    buf_fini(&loki->labels);
}

void loki_push(struct loki *loki, const char *data, size_t len)
{
    loki->in = data;
    loki->in_len = len;
}

bool loki_whole(const struct loki *loki)
{
    return loki->depth == 0;
}

static bool is_key(const struct loki_level *level, const char *key)
{
    return level->kind == '{' && level->key_len == strlen(key) &&
           memcmp(level->key, key, level->key_len) == 0;
}

/* True if the level below `top` is that of the list of streams. */
static bool is_list(const struct loki_level *top)
{
    return top[-1].kind == '[' && (is_key(&top[-2], "result") || is_key(&top[-2], "streams"));
}

/* True if a bracket that opens now is an element of "result" or "streams". */
static bool stream_opens(const struct loki *loki)
{
    return loki->depth >= 2 && is_list(loki->levels + loki->depth);
}

/* What a bracket that opens now begins: an entry, an element of "values" of a stream; its labels,
 * the object "stream"; or, NULL, neither. */
static struct buf *opens(struct loki *loki, char c)
{
    const struct loki_level *top = loki->levels + loki->depth;
    if (c == '[' && loki->depth >= 4 && top[-1].kind == '[' && is_key(&top[-2], "values") &&
        is_list(top - 2)) {
        return &loki->entry;
    }
    return c == '{' && loki->depth >= 3 && is_key(&top[-1], "stream") && is_list(top - 1)
               ? &loki->labels
               : NULL;
}

static enum loki_event fail(struct loki *loki, const char *what)
{
    loki->what = what;
    loki->in_len = 0;
    return LOKI_ERROR;
}

/* One octet within a string. */
static void string_octet(struct loki *loki, char c)
{
    struct loki_level *level = &loki->levels[loki->depth - 1];
    if (loki->escaped) {
        loki->escaped = false;
    } else if (c == '\\') {
        loki->escaped = true;
    } else if (c == '"') {
        loki->in_string = false;
        loki->key_next = false;
        return;
    }
    if (loki->reading_key && level->key_len < LOKI_KEY_MAX) {
        level->key[level->key_len++] = c;
    }
}

/* One octet outside of strings; false if it cannot stand there. */
static bool structure_octet(struct loki *loki, char c)
{
    struct loki_level *level = loki->depth > 0 ? &loki->levels[loki->depth - 1] : NULL;
    switch (c) {
    case '"':
        if (level == NULL) {
            return false;
        }
        loki->in_string = true;
        loki->reading_key = loki->key_next;
        level->key_len = loki->key_next ? 0 : level->key_len;
        return true;
    case '{':
    case '[':
        if (loki->depth == LOKI_DEPTH_MAX || (level == NULL && c == '[')) {
            return false;
        }
        loki->levels[loki->depth++] = (struct loki_level){.kind = c};
        loki->key_next = c == '{';
        return true;
    case '}':
    case ']':
        if (level == NULL || level->kind != (c == '}' ? '{' : '[')) {
            return false;
        }
        loki->depth--;
        loki->key_next = false;
        return true;
    case ',':
        loki->key_next = level != NULL && level->kind == '{';
        return level != NULL;
    default:
        return level != NULL || memchr(" \t\r\n", c, 4) != NULL;
    }
}

/* Ends the entry in hand. */
static enum loki_event end_entry(struct loki *loki, struct text *entry)
{
    if (loki->entry.err != 0) {
        return LOKI_OVERSIZE;
    }
    *entry = (struct text){loki->entry.data, loki->entry.len};
    return LOKI_ENTRY;
}

/* A bracket opened at `at`: begins what it begins. */
static void begin(struct loki *loki, struct buf *taking)
{
    loki->taking = taking;
    loki->taking_depth = loki->depth;
    buf_reset(taking);
}

enum loki_event loki_next(struct loki *loki, struct text *entry)
{
    size_t start = 0; /* of what is not yet copied to what is in hand */
    for (size_t i = 0; i < loki->in_len; i++) {
        char c = loki->in[i];
        if (loki->in_string) {
            string_octet(loki, c);
            continue;
        }
        bool bracket = (c == '[' || c == '{') && loki->taking == NULL;
        struct buf *opened = bracket ? opens(loki, c) : NULL;
        if (bracket && stream_opens(loki)) {
            loki->stream++;
            buf_reset(&loki->labels);
        }
        if (!structure_octet(loki, c)) {
            loki->offset += i;
            return fail(loki, "not a Loki response");
        }
        if (opened != NULL) {
            begin(loki, opened);
            start = i;
        } else if (loki->taking != NULL && loki->taking_depth > loki->depth) {
            struct buf *taken = loki->taking;
            buf_add(taken, loki->in + start, i + 1 - start);
            loki->taking = NULL;
            if (taken->err == -ENOMEM) {
                return fail(loki, "memory is short");
            }
            if (taken == &loki->entry) {
                loki->in += i + 1;
                loki->in_len -= i + 1;
                loki->offset += i + 1;
                return end_entry(loki, entry);
            }
        }
    }
    if (loki->taking != NULL) {
        buf_add(loki->taking, loki->in + start, loki->in_len - start);
    }
    loki->offset += loki->in_len;
    loki->in_len = 0;
    return LOKI_AGAIN;
}

struct text loki_labels(const struct loki *loki)
{
    bool there = loki->labels.err == 0 && loki->labels.len > 0;
    return there ? (struct text){loki->labels.data, loki->labels.len} : (struct text){NULL, 0};
}
