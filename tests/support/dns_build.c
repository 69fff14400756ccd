/* tests/support/dns_build.c -- DNS messages from lines of text, for tests
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/dns_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "proto/name.h"

enum { HEADER_LEN = 12, WORDS_MAX = 64 };

static void die(const char *what, const char *text)
{
    fprintf(stderr, "dns_build: %s: '%s'\n", what, text);
    abort();
}

static void put(struct dns_build *b, const void *octets, size_t len)
{
    if (len > sizeof(b->msg) - b->len) {
        die("message too long", "");
    }
    if (len > 0) {
        memcpy(b->msg + b->len, octets, len);
        b->len += len;
    }
}

static void put_u16(struct dns_build *b, unsigned long value)
{
    const uint8_t octets[] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(b, octets, 2);
}

/* Where `wire` already stands in the message, or 0. */
static size_t find_name(const struct dns_build *b, const uint8_t *wire, size_t len)
{
    for (size_t at = HEADER_LEN; at + len <= b->len && at < 0x4000; at++) {
        if (memcmp(b->msg + at, wire, len) == 0) {
            return at;
        }
    }
    return 0;
}

static void put_name(struct dns_build *b, const char *text, bool compress)
{
    struct name name;
    if (name_from_text(&name, text, strlen(text)) != 0) {
        die("not a name", text);
    }
    for (const uint8_t *label = name.wire; label[0] != 0; label += 1 + label[0]) {
        size_t found = compress ? find_name(b, label, name_wire_len(label)) : 0;
        if (found != 0) {
            put_u16(b, 0xc000 | found);
            return;
        }
        put(b, label, 1u + label[0]);
    }
    put(b, "", 1);
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        die("not a number", text);
    }
    return value;
}

static const struct {
    const char *name;
    uint16_t type;
} TYPES[] = {{"A", 1},      {"NS", 2},   {"CNAME", 5}, {"PTR", 12},  {"AAAA", 28},
             {"DNAME", 39}, {"SRV", 33}, {"SVCB", 64}, {"HTTPS", 65}};

static uint16_t type_of(const char *text)
{
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
        if (strcmp(TYPES[i].name, text) == 0) {
            return TYPES[i].type;
        }
    }
    if (strncmp(text, "TYPE", 4) != 0) {
        die("not a type", text);
    }
    return (uint16_t)number(text + 4);
}

static uint16_t class_of(const char *text)
{
    if (strcmp(text, "IN") == 0) {
        return 1;
    }
    if (strcmp(text, "CH") == 0) {
        return 3;
    }
    if (strncmp(text, "CLASS", 5) != 0) {
        die("not a class", text);
    }
    return (uint16_t)number(text + 5);
}

/* IPv4 in 4 octets or IPv6 in 16, as `v4` says. */
static void put_addr(struct dns_build *b, const char *text, size_t len, bool v4)
{
    struct addr addr;
    if (!addr_parse(&addr, text, len) || addr_is_v4(&addr) != v4) {
        die("not an address of this family", text);
    }
    put(b, v4 ? addr.b + 12 : addr.b, v4 ? 4 : 16);
}

static void put_hints(struct dns_build *b, const char *list, bool v4)
{
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ",");
        put_addr(b, at, len, v4);
        at += len + (at[len] == ',');
    }
}

static void patch_u16(struct dns_build *b, size_t at, size_t value)
{
    b->msg[at] = (uint8_t)(value >> 8);
    b->msg[at + 1] = (uint8_t)value;
}

/* "ipv4hint=...", "ipv6hint=...", "alpn=h2" or "key7=octets" */
static void put_param(struct dns_build *b, const char *word)
{
    const char *value = strchr(word, '=');
    if (value == NULL) {
        die("not a parameter", word);
    }
    value++;
    bool v4 = strncmp(word, "ipv4hint=", 9) == 0;
    bool v6 = strncmp(word, "ipv6hint=", 9) == 0;
    bool alpn = strncmp(word, "alpn=", 5) == 0;
    put_u16(b, v4 ? 4 : v6 ? 6 : alpn ? 1 : (unsigned long)atoi(word + 3));
    size_t length_at = b->len;
    put_u16(b, 0);
    if (v4 || v6) {
        put_hints(b, value, v4);
    } else {
        if (alpn) {
            const uint8_t len = (uint8_t)strlen(value);
            put(b, &len, 1);
        }
        put(b, value, strlen(value));
    }
    patch_u16(b, length_at, b->len - length_at - 2);
}

static void put_hex(struct dns_build *b, const char *hex)
{
    for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        const char digits[3] = {hex[0], hex[1], '\0'};
        const uint8_t octet = (uint8_t)strtoul(digits, NULL, 16);
        put(b, &octet, 1);
    }
}

static void put_rdata(struct dns_build *b, uint16_t type, char **words, size_t count)
{
    if (count == 0) {
        die("no data", "");
    }
    if (strcmp(words[0], "\\#") == 0) {
        put_hex(b, count > 2 ? words[2] : "");
    } else if (type == 1 || type == 28) {
        put_addr(b, words[0], strlen(words[0]), type == 1);
    } else if (type == 33 && count == 4) {
        put_u16(b, number(words[0]));
        put_u16(b, number(words[1]));
        put_u16(b, number(words[2]));
        put_name(b, words[3], b->compress);
    } else if ((type == 64 || type == 65) && count >= 2) {
        put_u16(b, number(words[0]));
        put_name(b, words[1], false);
        for (size_t i = 2; i < count; i++) {
            put_param(b, words[i]);
        }
    } else {
        put_name(b, words[0], b->compress);
    }
}

static void count_record(struct dns_build *b, const char *section)
{
    static const char *const SECTIONS[] = {"QD", "AN", "NS", "AR"};
    for (size_t i = 0; i < sizeof(SECTIONS) / sizeof(SECTIONS[0]); i++) {
        if (strcmp(SECTIONS[i], section) == 0) {
            uint8_t *count = b->msg + 4 + 2 * i;
            patch_u16(b, 4 + 2 * i, (size_t)(count[0] << 8 | count[1]) + 1);
            return;
        }
    }
    die("not a section", section);
}

void dns_build_begin(struct dns_build *build, uint16_t flags, bool compress)
{
    build->compress = compress;
    build->len = HEADER_LEN;
    memset(build->msg, 0, HEADER_LEN);
    patch_u16(build, 0, 0x1234);
    patch_u16(build, 2, flags);
}

void dns_build_line(struct dns_build *build, const char *line)
{
    char *words[WORDS_MAX], *save = NULL, *copy = strdup(line);
    size_t count = 0;
    for (char *word = strtok_r(copy, " ", &save); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &save)) {
        words[count++] = word;
    }
    if (count < 4) {
        die("too few words", line);
    }
    count_record(build, words[0]);
    put_name(build, words[1], build->compress);
    bool question = strcmp(words[0], "QD") == 0;
    uint16_t type = type_of(words[question ? 3 : 4]);
    put_u16(build, type);
    put_u16(build, class_of(words[question ? 2 : 3]));
    if (!question) {
        put_u16(build, number(words[2]) >> 16);
        put_u16(build, number(words[2]));
        size_t length_at = build->len;
        put_u16(build, 0);
        put_rdata(build, type, words + 5, count - 5);
        patch_u16(build, length_at, build->len - length_at - 2);
    }
    free(copy);
}

void dns_build_lines(struct dns_build *build, const char *lines)
{
    while (*lines != '\0') {
        lines += strspn(lines, " \n");
        size_t len = strcspn(lines, "\n");
        if (len > 0) {
            char *line = strndup(lines, len);
            dns_build_line(build, line);
            free(line);
        }
        lines += len;
    }
}
