/* join/field.c -- fields of text: cells of a line, numbers in them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/field.h"

#include <string.h>

bool text_is(struct text text, const char *word)
{
    return text.len == strlen(word) && (text.len == 0 || memcmp(text.data, word, text.len) == 0);
}

bool text_begins(struct text text, const char *word)
{
    size_t len = strlen(word);
    return len == 0 || (text.len >= len && memcmp(text.data, word, len) == 0);
}

bool text_ends(struct text text, const char *word)
{
    size_t len = strlen(word);
    return len == 0 || (text.len >= len && memcmp(text.data + text.len - len, word, len) == 0);
}

bool text_missing(struct text text)
{
    return text.data == NULL || text.len == 0 || (text.len == 1 && text.data[0] == '-');
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct text text_trim(struct text text)
{
    while (text.len > 0 && is_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

bool field_u64(struct text text, uint64_t *out)
{
    uint64_t sum = 0;
    if (text.len == 0 || text.len > 20) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *out = sum;
    return true;
}

bool field_port(struct text text, uint16_t *port)
{
    uint64_t number;
    if (text.len > 5 || !field_u64(text, &number) || number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

/* The end of a cell that begins with a quote: behind the one that closes it; NULL if none does. */
static const char *quoted_end(const char *at, const char *end, char quote)
{
    at++;
    while (at < end) {
        at = memchr(at, quote, (size_t)(end - at));
        if (at == NULL || at + 1 == end || at[1] != quote) {
            return at != NULL ? at + 1 : NULL;
        }
        at += 2;
    }
    return NULL;
}

bool cell_next(struct text *rest, char separator, char quote, struct text *cell)
{
    if (rest->data == NULL) {
        return false;
    }
    const char *at = rest->data;
    const char *end = at + rest->len;
    const char *close = NULL;
    if (quote != '\0' && at < end && *at == quote) {
        close = quoted_end(at, end, quote);
    }
    /* A quote that is not closed, or closed before the end of the cell, is part of the text. */
    if (close != NULL && close < end && *close != separator) {
        close = NULL;
    }
    const char *stop = close != NULL ? close : at;
    if (stop < end) {
        stop = memchr(stop, separator, (size_t)(end - stop));
        stop = stop != NULL ? stop : end;
    }
    *cell = close != NULL ? (struct text){at + 1, (size_t)(close - at - 2)}
                          : (struct text){at, (size_t)(stop - at)};
    *rest = stop < end ? (struct text){stop + 1, (size_t)(end - stop - 1)} : (struct text){NULL, 0};
    return true;
}

size_t cells_split(struct text line, char separator, char quote, struct text *cells, size_t max)
{
    size_t count = 0;
    while (count < max && cell_next(&line, separator, quote, &cells[count])) {
        count++;
    }
    return count;
}
