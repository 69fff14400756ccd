/* proto/name.c -- domain names in wire form
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/name.h"

#include <string.h>

#include "base/err.h"

enum { LABEL_MAX = 63 };

size_t name_wire_len(const uint8_t *wire)
{
    size_t at = 0;
    while (wire[at] != 0) {
        at += 1u + wire[at];
    }
    return at + 1;
}

/* The ends of a label are known only after its last octet, so its length octet is filled in then.
 */
struct text_writer {
    struct name *name;
    size_t label; /* where the length octet of the open label stands */
    size_t at;    /* where the next octet goes */
};

static int put_octet(struct text_writer *out, uint8_t c)
{
    /* One octet stays free for the root. */
    if (out->at - out->label > LABEL_MAX || out->at >= NAME_WIRE_MAX - 1) {
        return W_ESYNTAX;
    }
    out->name->wire[out->at++] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    return 0;
}

static int end_label(struct text_writer *out)
{
    size_t len = out->at - out->label - 1;
    if (len == 0) {
        return W_ESYNTAX;
    }
    out->name->wire[out->label] = (uint8_t)len;
    out->label = out->at++;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads \DDD or \X at `text` (after the backslash). Returns the octets used, 0 for a bad escape. */
static size_t read_escape(const char *text, size_t len, uint8_t *octet)
{
    if (len == 0) {
        return 0;
    }
    if (!is_digit(text[0])) {
        *octet = (uint8_t)text[0];
        return 1;
    }
    if (len < 3 || !is_digit(text[1]) || !is_digit(text[2])) {
        return 0;
    }
    int value = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
    *octet = (uint8_t)value;
    return value > 255 ? 0 : 3;
}

int name_from_text(struct name *name, const char *text, size_t len)
{
    if (len == 1 && text[0] == '.') {
        name->wire[0] = 0;
        name->len = 1;
        return 0;
    }
    struct text_writer out = {name, 0, 1};
    size_t at = 0;
    while (at < len) {
        uint8_t octet = (uint8_t)text[at++];
        int err;
        if (octet == '.') {
            err = end_label(&out);
        } else {
            if (octet == '\\') {
                size_t used = read_escape(text + at, len - at, &octet);
                if (used == 0) {
                    return W_ESYNTAX;
                }
                at += used;
            }
            err = put_octet(&out, octet);
        }
        if (err != 0) {
            return err;
        }
    }
    /* After a trailing dot the open label is empty and its length octet is the root. */
    bool trailing_dot = out.at == out.label + 1 && out.label > 0;
    if (!trailing_dot && end_label(&out) != 0) {
        return W_ESYNTAX;
    }
    name->wire[out.label] = 0;
    name->len = (uint8_t)(out.label + 1);
    return 0;
}

#define BIT(C) (UINT64_C(1) << ((C)&63))

/* Printable ASCII that stands for itself, a bit for each octet: all but . " ; ( ) @ $ and \. */
static const uint64_t PLAIN[4] = {
    ~UINT64_C(0) << 33 & ~(BIT('.') | BIT('"') | BIT(';') | BIT('(') | BIT(')') | BIT('$')),
    ~(BIT('@') | BIT('\\') | BIT(0x7f)),
};

static bool is_plain(uint8_t c)
{
    return (PLAIN[c >> 6] & BIT(c)) != 0;
}

static size_t put_escaped(char *text, uint8_t c)
{
    if (c < 0x21 || c > 0x7e) {
        text[0] = '\\';
        text[1] = (char)('0' + c / 100);
        text[2] = (char)('0' + c / 10 % 10);
        text[3] = (char)('0' + c % 10);
        return 4;
    }
    text[0] = '\\';
    text[1] = (char)c;
    return 2;
}

size_t name_to_text(const uint8_t *wire, char text[NAME_TEXT_MAX])
{
    size_t at = 0;
    if (wire[0] == 0) {
        text[at++] = '.';
    }
    for (const uint8_t *label = wire; label[0] != 0; label += 1 + label[0]) {
        if (label != wire) {
            text[at++] = '.';
        }
        for (size_t i = 1; i <= label[0]; i++) {
            if (is_plain(label[i])) {
                text[at++] = (char)label[i];
            } else {
                at += put_escaped(text + at, label[i]);
            }
        }
    }
    text[at] = '\0';
    return at;
}

size_t name_reverse(const uint8_t *wire, uint8_t *key)
{
    /* The first label of the name is the last of the key. */
    size_t len = name_wire_len(wire) - 1;
    size_t to = len;
    for (size_t from = 0; from < len;) {
        size_t label = 1u + wire[from];
        to -= label;
        memcpy(key + to, wire + from, label);
        from += label;
    }
    return len;
}

int name_from_reversed(struct name *name, const uint8_t *key, size_t len)
{
    if (len > NAME_WIRE_MAX - 1) {
        return W_ESYNTAX;
    }
    size_t to = len;
    for (size_t from = 0; from < len;) {
        size_t label = 1u + key[from];
        if (key[from] == 0 || key[from] > LABEL_MAX || label > len - from) {
            return W_ESYNTAX;
        }
        to -= label;
        memcpy(name->wire + to, key + from, label);
        from += label;
    }
    name->wire[len] = 0;
    name->len = (uint8_t)(len + 1);
    return 0;
}

bool name_is_under(const uint8_t *wire, const uint8_t *suffix)
{
    size_t rest = name_wire_len(wire);
    size_t suffix_len = name_wire_len(suffix);
    while (rest > suffix_len) {
        rest -= 1u + wire[0];
        wire += 1 + wire[0];
    }
    return rest == suffix_len && memcmp(wire, suffix, suffix_len) == 0;
}

bool name_is_search_try(const uint8_t *asked, const uint8_t *target)
{
    size_t target_len = name_wire_len(target) - 1;
    return target_len > 0 && name_wire_len(asked) > target_len + 1 &&
           memcmp(asked, target, target_len) == 0;
}
