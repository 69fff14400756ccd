/* join/values.c -- JSON objects that do not stand one on a line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/values.h"

#include <errno.h>
#include <string.h>

#include "join/format.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(struct text text, size_t at)
{
    while (at < text.len && is_space(text.data[at])) {
        at++;
    }
    return at;
}

/* One octet of an object. */
static void object_octet(struct values *values, char c)
{
    if (values->in_string) {
        if (values->escaped) {
            values->escaped = false;
        } else if (c == '\\') {
            values->escaped = true;
        } else if (c == '"') {
            values->in_string = false;
        }
    } else if (c == '"') {
        values->in_string = true;
    } else if (c == '{' || c == '[') {
        values->depth++;
    } else if (c == '}' || c == ']') {
        values->depth--;
    }
}

/* Is the first line one object, after which another one follows on the same line? */
static bool another_follows(struct text head)
{
    struct values values = {0};
    size_t at = 0;
    do {
        object_octet(&values, head.data[at++]);
    } while (at < head.len && values.depth > 0);
    while (at < head.len && (head.data[at] == ' ' || head.data[at] == '\t')) {
        at++;
    }
    return at < head.len && head.data[at] == '{';
}

bool values_sniff(struct text head)
{
    size_t at = skip_space(head, 0);
    if (at == head.len) {
        return false;
    }
    if (head.data[at] == '[') {
        at = skip_space(head, at + 1);
        return at < head.len && head.data[at] == '{';
    }
    if (head.data[at] != '{') {
        return false;
    }
    struct text object = {head.data + at, head.len - at};
    size_t inside = at + 1;
    while (inside < head.len && (head.data[inside] == ' ' || head.data[inside] == '\r')) {
        inside++;
    }
    return (inside < head.len && head.data[inside] == '\n') || another_follows(object);
}

void values_init(struct values *values)
{
    *values = (struct values){.object.max = RECORD_LEN_MAX};
}

void values_fini(struct values *values)
{
    buf_fini(&values->object);
}

void values_push(struct values *values, const char *data, size_t len)
{
    values->in = data;
    values->in_len = len;
}

bool values_whole(const struct values *values)
{
    return values->depth == 0 && !values->in_array;
}

static void consume(struct values *values, size_t len)
{
    values->in += len;
    values->in_len -= len;
    values->offset += len;
}

static enum values_event fail(struct values *values, const char *what)
{
    values->what = what;
    values->in_len = 0;
    return VALUES_ERROR;
}

/* Up to the `{` that begins the next object. Returns VALUES_OBJECT there. */
static enum values_event find_object(struct values *values)
{
    size_t i = 0;
    bool found = false;
    bool odd = false;
    while (i < values->in_len && !found && !odd) {
        char c = values->in[i];
        if (c == '{') {
            found = true;
            break;
        }
        bool opens = c == '[' && !values->in_array;
        bool closes = c == ']' && values->in_array;
        odd = !opens && !closes && !is_space(c) && c != ',';
        values->in_array = opens || (values->in_array && !closes);
        i += !odd;
    }
    consume(values, i);
    if (odd) {
        return fail(values, "a JSON object was expected");
    }
    return found ? VALUES_OBJECT : VALUES_AGAIN;
}

enum values_event values_next(struct values *values, struct text *object)
{
    if (values->depth == 0) {
        enum values_event event = find_object(values);
        if (event != VALUES_OBJECT) {
            return event;
        }
        buf_reset(&values->object);
    }
    size_t i = 0;
    do {
        if (i == values->in_len) {
            buf_add(&values->object, values->in, i);
            consume(values, i);
            return VALUES_AGAIN;
        }
        object_octet(values, values->in[i++]);
    } while (values->depth > 0);
    buf_add(&values->object, values->in, i);
    consume(values, i);
    if (values->object.err == -ENOMEM) {
        return fail(values, "memory is short");
    }
    if (values->object.err != 0) {
        return VALUES_OVERSIZE;
    }
    *object = (struct text){values->object.data, values->object.len};
    return VALUES_OBJECT;
}
