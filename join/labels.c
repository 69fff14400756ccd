/* join/labels.c -- labels and selectors of Kubernetes as text
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/labels.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct text key;
    struct text value;
};

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t len = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.data, y->key.data, len);
    return order != 0 ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

/* The next string from *at on; false if a character that belongs to no flat object of texts comes
 * first. */
static bool next_string(struct text json, size_t *at, struct text *out)
{
    while (*at < json.len && memchr(" \t\r\n{,:", json.data[*at], 7) != NULL) {
        (*at)++;
    }
    if (*at == json.len || json.data[*at] != '"') {
        return false;
    }
    const char *start = json.data + *at + 1;
    const char *end = memchr(start, '"', json.len - *at - 1);
    if (end == NULL) {
        return false;
    }
    *out = (struct text){start, (size_t)(end - start)};
    *at += out->len + 2;
    return memchr(start, '\\', out->len) == NULL;
}

struct text labels_of_json(struct arena *arena, struct text json)
{
    struct pair pairs[LABELS_MAX];
    size_t count = 0, len = 0, at = 0;
    struct text none = {NULL, 0};
    struct text key, value;
    while (next_string(json, &at, &key)) {
        if (count == LABELS_MAX || !next_string(json, &at, &value)) {
            return none;
        }
        pairs[count++] = (struct pair){key, value};
        len += key.len + value.len + 2;
    }
    if (count == 0 || at == json.len || json.data[at] != '}') {
        return none;
    }
    char *text = arena_take(arena, len);
    if (text == NULL) {
        return none;
    }
    qsort(pairs, count, sizeof(pairs[0]), by_key);
    char *to = text;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, pairs[i].key.data, pairs[i].key.len);
        to += pairs[i].key.len;
        *to++ = '=';
        memcpy(to, pairs[i].value.data, pairs[i].value.len);
        to += pairs[i].value.len;
        *to++ = '\n';
    }
    return (struct text){text, len};
}

/* The line at the beginning, without its end; the rest is left in `labels`. */
static bool next_line(struct text *labels, struct text *line)
{
    if (labels->len == 0) {
        return false;
    }
    const char *end = memchr(labels->data, '\n', labels->len);
    line->data = labels->data;
    line->len = end != NULL ? (size_t)(end - labels->data) : labels->len;
    size_t used = end != NULL ? line->len + 1 : line->len;
    labels->data += used;
    labels->len -= used;
    return true;
}

struct text labels_get(struct text labels, const char *key)
{
    struct text line;
    size_t len = strlen(key);
    while (next_line(&labels, &line)) {
        if (line.len > len && line.data[len] == '=' && memcmp(line.data, key, len) == 0) {
            return (struct text){line.data + len + 1, line.len - len - 1};
        }
    }
    return (struct text){NULL, 0};
}

bool labels_select(struct text selector, struct text labels)
{
    struct text wanted, line;
    if (selector.len == 0) {
        return false;
    }
    while (next_line(&selector, &wanted)) {
        bool found = false;
        while (!found && next_line(&labels, &line)) {
            found = line.len == wanted.len && memcmp(line.data, wanted.data, line.len) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}
