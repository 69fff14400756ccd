/* join/json_items.c -- the elements of a JSON array that json_parse found
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/json_items.h"

#include <string.h>

struct json_items json_items(const struct json_value *array)
{
    if (array->type != JSON_ARRAY || array->text.len < 2) {
        return (struct json_items){NULL, NULL};
    }
    /* Without the brackets. */
    return (struct json_items){array->text.data + 1, array->text.data + array->text.len - 1};
}

/* From the quote at `at` to behind the one that closes it. */
static const char *string_end(const char *at, const char *end, bool *escaped)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\') {
            *escaped = true;
            at += at + 1 < end;
        }
    }
    return at < end ? at + 1 : end;
}

/* From the bracket at `at` to behind the one that closes it. */
static const char *nested_end(const char *at, const char *end)
{
    size_t depth = 0;
    bool escaped;
    while (at < end) {
        if (*at == '"') {
            at = string_end(at, end, &escaped);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
        if (depth == 0) {
            break;
        }
    }
    return at;
}

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',';
}

static enum json_type type_of(char c)
{
    switch (c) {
    case '"':
        return JSON_STRING;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

bool json_items_next(struct json_items *items, struct json_value *item)
{
    while (items->at < items->end && is_between(*items->at)) {
        items->at++;
    }
    if (items->at >= items->end) {
        return false;
    }
    const char *start = items->at;
    *item = (struct json_value){.type = type_of(*start)};
    if (item->type == JSON_STRING) {
        items->at = string_end(start, items->end, &item->escaped);
        item->text = (struct text){start + 1, (size_t)(items->at - start) - 1};
        item->text.len -= item->text.len > 0 && items->at[-1] == '"';
        return true;
    }
    if (item->type == JSON_OBJECT || item->type == JSON_ARRAY) {
        items->at = nested_end(start, items->end);
    } else {
        while (items->at < items->end && !is_between(*items->at)) {
            items->at++;
        }
    }
    item->text = (struct text){start, (size_t)(items->at - start)};
    return true;
}
