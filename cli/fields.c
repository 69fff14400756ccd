/* cli/fields.c -- the members of a JSON body that a table or a sentence shows
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Longest body read at once: a page of a thousand rows, each with its longest names and addresses,
 * stays far below. */
#define BODY_MAX ((size_t)256 << 20)

int fields_init(struct fields *fields, const char *const *pointers, size_t count)
{
    *fields = (struct fields){.count = count};
    int err = json_paths_new(&fields->paths, pointers, count);
    err = err == 0 ? json_parser_new(&fields->parser, BODY_MAX) : err;
    if (err != 0) {
        fields_fini(fields);
    }
    return err;
}

void fields_fini(struct fields *fields)
{
    json_parser_free(&fields->parser);
    json_paths_free(&fields->paths);
}

int fields_read(struct fields *fields, const char *text, size_t len, struct why *why)
{
    struct json_fault fault = {0};
    int err = json_parse(fields->parser, fields->paths, text, len, fields->values, &fault);
    if (err != 0) {
        return why_set(why, err, "what came is not the JSON expected: %s at byte %zu",
                       fault.what != NULL ? fault.what : err_str(err), fault.offset);
    }
    return 0;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

void fields_text(const struct fields *fields, size_t member, struct buf *out)
{
    const struct json_value *value = &fields->values[member];
    char *at = value->type == JSON_STRING ? buf_room(out, value->text.len) : NULL;
    size_t len = at == NULL ? SIZE_MAX : json_unescape(value, at);
    if (len == SIZE_MAX) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        /* C1 controls are C2 80 to C2 9F in UTF-8. */
        bool c1 = i + 1 < len && (unsigned char)at[i] == 0xc2 && (unsigned char)at[i + 1] < 0xa0;
        if (is_control((unsigned char)at[i])) {
            at[i] = '?';
        } else if (c1) {
            at[i] = '?';
            at[i + 1] = '?';
        }
    }
    out->len += len;
}

bool fields_is(const struct fields *fields, size_t member, const char *text)
{
    const struct json_value *value = &fields->values[member];
    return value->type == JSON_STRING && value->text.len == strlen(text) &&
           memcmp(value->text.data, text, value->text.len) == 0;
}

bool fields_true(const struct fields *fields, size_t member)
{
    return fields->values[member].type == JSON_TRUE;
}

int64_t fields_int(const struct fields *fields, size_t member)
{
    const struct json_value *value = &fields->values[member];
    char digits[24];
    if (value->type != JSON_NUMBER || value->text.len >= sizeof(digits)) {
        return 0;
    }
    memcpy(digits, value->text.data, value->text.len);
    digits[value->text.len] = '\0';
    return strtoll(digits, NULL, 10);
}

int64_t fields_time(const struct fields *fields, size_t member)
{
    const struct json_value *value = &fields->values[member];
    int64_t time_us = 0;
    if (value->type != JSON_STRING || !time_parse(&time_us, value->text.data, value->text.len, 0)) {
        return 0;
    }
    return time_us;
}

/* The next piece of an array up to `stop`, without the brackets. */
static bool next_piece(const struct json_value *value, char stop, size_t *at, struct text *piece)
{
    if (value->type != JSON_ARRAY || value->text.len < 2) {
        return false;
    }
    const char *end = value->text.data + value->text.len - 1;
    const char *begin = value->text.data + 1 + *at;
    while (begin < end && (*begin == '\n' || *begin == ',' || *begin == ' ')) {
        begin++;
    }
    const char *last = begin < end ? memchr(begin, stop, (size_t)(end - begin)) : NULL;
    last = last == NULL ? end : last;
    *at = (size_t)(last - value->text.data) - 1;
    while (last > begin && (last[-1] == ',' || last[-1] == ' ')) {
        last--;
    }
    *piece = (struct text){begin, (size_t)(last - begin)};
    return last > begin;
}

bool fields_row(const struct fields *fields, size_t member, size_t *at, struct text *row)
{
    /* A line feed cannot stand inside a JSON string, so it ends a row. */
    return next_piece(&fields->values[member], '\n', at, row);
}

bool fields_item(const struct fields *fields, size_t member, size_t *at, struct text *item)
{
    if (!next_piece(&fields->values[member], ',', at, item)) {
        return false;
    }
    if (item->len >= 2 && item->data[0] == '"') {
        *item = (struct text){item->data + 1, item->len - 2};
    }
    return true;
}

void fields_print(const struct buf *body, FILE *out)
{
    for (size_t at = 0; at < body->len;) {
        const char *line = body->data + at;
        const char *end = memchr(line, '\n', body->len - at);
        size_t len = end == NULL ? body->len - at : (size_t)(end - line);
        fwrite(line, 1, len, out);
        at += len + 1;
    }
    fputc('\n', out);
}
