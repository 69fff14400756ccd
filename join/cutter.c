/* join/cutter.c -- lines of a file that grows, as records
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/cutter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join/loki.h"

/* Lines looked at to find the format. */
enum { SNIFF_LINES = 32 };

static bool has_columns(const struct cutter *cutter)
{
    return cutter->format != NULL && cutter->format->columns != NULL;
}

static void set_format(struct cutter *cutter, const struct format *format,
                       const struct parser *parser)
{
    const struct parser_options *options = &parser->options;
    cutter->format = format;
    if (has_columns(cutter)) {
        layout_builder_init(&cutter->columns, format->columns, options->columns, options->fields,
                            options->field_count);
    }
}

int cutter_new(struct cutter **out, const struct format *forced, struct parser *parser)
{
    struct cutter *cutter = calloc(1, sizeof(*cutter));
    *out = cutter;
    if (cutter == NULL) {
        return -ENOMEM;
    }
    cutter->only = forced != NULL;
    set_format(cutter, forced, parser);
    return 0;
}

void cutter_free(struct cutter **cutter)
{
    if (*cutter != NULL) {
        layout_builder_fini(&(*cutter)->columns);
        layout_drop(&(*cutter)->layout);
        free(*cutter);
        *cutter = NULL;
    }
}

static struct text trim(struct text line)
{
    while (line.len > 0 && memchr("\r \t\n", line.data[line.len - 1], 4) != NULL) {
        line.len--;
    }
    return line;
}

/* The header lines that stand before the first record. */
static void read_headers(struct cutter *cutter, struct text head)
{
    const char *at = head.data;
    const char *end = at + head.len;
    const char *stop;
    while (at < end && (stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        struct text line = trim((struct text){at, (size_t)(stop - at)});
        if (line.len > 0 && !cutter->format->columns->header(&cutter->columns, line)) {
            break;
        }
        at = stop + 1;
    }
}

static int unknown(const char *name, struct why *why)
{
    char tried[512] = "";
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        size_t len = strlen(tried);
        snprintf(tried + len, sizeof(tried) - len, "%s%s", i > 0 ? ", " : "", FORMATS[i]->name);
    }
    return why_set(why, W_EFORMAT,
                   "%s: no line is of a known format (tried %s); name it with --from FORMAT", name,
                   tried);
}

/* Takes the format of the first line that has one. */
static int find_format(struct parser *parser, struct text head, const char *name,
                       const struct format **format, struct why *why)
{
    const char *at = head.data;
    const char *end = at + head.len;
    struct arena arena = {0};
    bool any = false;
    *format = NULL;
    parser->arena = &arena;
    parser->no_memory = false;
    for (int i = 0; i < SNIFF_LINES && at < end && *format == NULL; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct text line = trim((struct text){at, (size_t)((stop != NULL ? stop : end) - at)});
        if (line.len > 0) {
            *format = format_of_line(parser, line);
            any = true;
        }
        at = stop != NULL ? stop + 1 : end;
    }
    parser->arena = NULL;
    arena_fini(&arena);
    if (parser->no_memory) {
        return -ENOMEM;
    }
    return *format == NULL && any ? unknown(name, why) : 0;
}

int cutter_look(struct cutter *cutter, struct parser *parser, struct text head, bool resumed,
                const char *name, struct why *why)
{
    const struct format *format = cutter->format;
    if (format == NULL && loki_sniff(head)) {
        return why_set(
            why, W_EFORMAT,
            "%s: the response of a Loki query is one document, which cannot be followed; "
            "join it without --follow",
            name);
    }
    if (format == NULL) {
        int err = find_format(parser, head, name, &format, why);
        if (err != 0 || format == NULL) {
            return err;
        }
        set_format(cutter, format, parser);
    }
    if (resumed && has_columns(cutter)) {
        read_headers(cutter, head);
    }
    return 0;
}

/* Whether the line is a header; else the layout is made that holds from here on. */
static int take_header(struct cutter *cutter, struct text line)
{
    if (cutter->format->columns->header(&cutter->columns, line)) {
        return 1;
    }
    if (!cutter->columns.changed) {
        return 0;
    }
    layout_drop(&cutter->layout);
    return layout_make(&cutter->columns, &cutter->layout);
}

int cutter_parse(struct cutter *cutter, struct parser *parser, struct text line, uint64_t number,
                 struct arena *arena, struct flow_record *record)
{
    static const char OVERLONG[] = "longer than 1 MiB";
    static const char UNKNOWN[] = "of no known format";
    line = trim(line);
    *record = (struct flow_record){.text = line, .number = number, .parsed = PARSED_BAD};
    if (line.len == 0) {
        return 0;
    }
    if (line.len > RECORD_LEN_MAX) {
        record->fault = (struct text){OVERLONG, sizeof(OVERLONG) - 1};
        return 1;
    }
    if (cutter->format == NULL) {
        record->fault = (struct text){UNKNOWN, sizeof(UNKNOWN) - 1};
        return 1;
    }
    int header = has_columns(cutter) ? take_header(cutter, line) : 0;
    if (header != 0) {
        return header < 0 ? header : 0;
    }
    parser->layout = cutter->layout;
    int err = parser_parse(parser, cutter->format, cutter->only, arena, record);
    return err != 0 ? err : 1;
}
