/* join/reader.c -- one input as batches of records
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join/field.h"

/* Lines looked at to find the format, and octets gathered for it where they come at once. */
enum { SNIFF_LINES = 32, SNIFF_LEN = 64 * 1024, SNIFF_DOCUMENT_LEN = 64 };

/* Records of a batch: bounds the memory where lines are empty or short. */
enum { BATCH_RECORDS_MAX = 8192 };

/* What the records are cut out of. */
enum cut {
    CUT_LINES,
    CUT_LOKI,   /* entries of Loki responses */
    CUT_VALUES, /* JSON objects that do not stand one on a line */
};

struct reader {
    struct input *input;
    const struct format *format;
    bool only;
    enum cut cut;
    bool at_end;
    bool overlong; /* within a line that is passed over */
    int failed;    /* error to be returned once all whole records are out */
    struct why why;
    uint64_t number;
    struct loki loki;
    struct values values;
    struct text labels;            /* of the stream in hand, in the batch's arena */
    uint64_t labelled;             /* number of that stream; 0: none in this batch yet */
    struct layout_builder columns; /* where the format has columns */
    struct layout *layout;         /* of the records that are cut next */
    char *carry;                   /* owned: read, but not given out */
    size_t carry_len;
    size_t carry_cap;
};

/* ---- The bytes ---- */

static int reserve(char **data, size_t *cap, size_t need)
{
    if (need <= *cap) {
        return 0;
    }
    size_t size = *cap == 0 ? SNIFF_LEN : *cap;
    while (size < need) {
        size *= 2;
    }
    char *grown = realloc(*data, size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *data = grown;
    *cap = size;
    return 0;
}

/* Reads once. An error becomes the end: it is told after the last record. */
static size_t read_once(struct reader *reader, char *data, size_t len)
{
    if (reader->at_end) {
        return 0;
    }
    int64_t got = input_read(reader->input, data, len, &reader->why);
    if (got <= 0) {
        reader->at_end = true;
        reader->failed = got < 0 ? (int)got : 0;
        return 0;
    }
    return (size_t)got;
}

static bool has_line(const struct reader *reader)
{
    return memchr(reader->carry, '\n', reader->carry_len) != NULL;
}

/* Reads until there is enough to tell the format by: a whole line, or its beginning. */
static int read_head(struct reader *reader)
{
    int err = reserve(&reader->carry, &reader->carry_cap, SNIFF_LEN);
    while (err == 0 && !reader->at_end) {
        reader->carry_len +=
            read_once(reader, reader->carry + reader->carry_len, SNIFF_LEN - reader->carry_len);
        if (reader->carry_len == SNIFF_LEN ||
            (reader->carry_len >= SNIFF_DOCUMENT_LEN && has_line(reader))) {
            break;
        }
    }
    return err;
}

/* ---- The format ---- */

static struct text trim(const char *data, size_t len)
{
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == ' ' || data[len - 1] == '\t')) {
        len--;
    }
    return (struct text){data, len};
}

static bool loki_forced(const struct reader *reader)
{
    return reader->only && reader->format == &FORMAT_LOKI;
}

/* Why nothing in the head is of a known format. */
static int unknown(const struct reader *reader, uint64_t number, const struct parser *parser,
                   struct why *why)
{
    const char *remedy = parser->options.map != NULL
                             ? "--map names addresses that are not there"
                             : "name it with --from FORMAT, or its fields with --map";
    char tried[512] = "";
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        bool mapped = FORMATS[i] == &FORMAT_JSON || FORMATS[i] == &FORMAT_CSV;
        if (mapped && parser->options.map == NULL) {
            continue;
        }
        size_t len = strlen(tried);
        snprintf(tried + len, sizeof(tried) - len, "%s%s", len > 0 ? ", " : "", FORMATS[i]->name);
    }
    return why_set(why, W_EFORMAT, "%s: %s %llu is of no known format (tried %s); %s",
                   input_name(reader->input), reader_unit(reader), (unsigned long long)number,
                   tried, remedy);
}

/* The next line of the head, or the next of its objects. Returns false at its end. */
static bool next_of_head(const struct reader *reader, struct values *values, const char **at,
                         struct text *line)
{
    const char *end = reader->carry + reader->carry_len;
    if (reader->cut == CUT_VALUES) {
        return values_next(values, line) == VALUES_OBJECT;
    }
    if (*at == end) {
        return false;
    }
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = trim(*at, (size_t)((stop != NULL ? stop : end) - *at));
    *at = stop != NULL ? stop + 1 : end;
    return true;
}

/* Takes the format of the first line, or object, that has one. */
static int find_format(struct reader *reader, struct parser *parser, struct why *why)
{
    uint64_t first = 0; /* line that was none */
    const char *at = reader->carry;
    struct text line;
    struct values values;
    struct arena arena = {0};
    parser->arena = &arena;
    parser->no_memory = false;
    values_init(&values);
    values_push(&values, reader->carry, reader->carry_len);
    for (uint64_t number = 1; number <= SNIFF_LINES && reader->format == NULL &&
                              next_of_head(reader, &values, &at, &line);
         number++) {
        if (line.len > 0) {
            reader->format = format_of_line(parser, line);
            first = first == 0 ? number : first;
        }
    }
    bool no_memory = parser->no_memory || values.object.err == -ENOMEM;
    values_fini(&values);
    parser->arena = NULL;
    arena_fini(&arena);
    if (no_memory) {
        return -ENOMEM;
    }
    /* Nothing but blank lines, or the beginning of an object, says nothing; records may follow. */
    bool found = reader->format != NULL || (first == 0 && reader->at_end);
    return found ? 0 : unknown(reader, first != 0 ? first : 1, parser, why);
}

static bool has_columns(const struct reader *reader)
{
    return reader->format != NULL && reader->format->columns != NULL;
}

/* Finds out, from what was read of it, what the input is. */
static int look_at_head(struct reader *reader, const struct format *forced,
                        const struct format *otherwise, struct parser *parser, struct why *why)
{
    struct text head = {reader->carry, reader->carry_len};
    if (loki_forced(reader) || (forced == NULL && loki_sniff(head))) {
        reader->cut = CUT_LOKI;
    } else if (values_sniff(head)) {
        reader->cut = CUT_VALUES;
    }
    reader->format = reader->cut == CUT_LOKI ? &FORMAT_LOKI : forced;
    if (reader->cut == CUT_LOKI && loki_is_error(head)) {
        return why_set(why, W_EFORMAT, "%s: the response of a Loki query that failed: %.*s",
                       input_name(reader->input), (int)(head.len < 200 ? head.len : 200),
                       head.data);
    }
    int err = reader->format == NULL ? find_format(reader, parser, why) : 0;
    if (err == W_EFORMAT && otherwise != NULL) {
        reader->format = otherwise;
        err = 0;
    }
    return err;
}

int reader_new(struct reader **out, struct input *input, const struct format *forced,
               const struct format *otherwise, struct parser *parser, struct why *why)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    *out = NULL;
    if (reader == NULL) {
        input_close(&input);
        return -ENOMEM;
    }
    reader->input = input;
    reader->format = forced;
    reader->only = forced != NULL;
    parser->year_near_us = input_time_us(input);
    loki_init(&reader->loki);
    values_init(&reader->values);
    int err = read_head(reader);
    err = err == 0 ? look_at_head(reader, forced, otherwise, parser, why) : err;
    if (err == 0 && has_columns(reader)) {
        layout_builder_init(&reader->columns, reader->format->columns, parser->options.columns,
                            parser->options.fields, parser->options.field_count);
    }
    if (err != 0) {
        reader_close(&reader);
        return err;
    }
    *out = reader;
    return 0;
}

int reader_open(struct reader **out, const char *path, const struct format *forced,
                struct parser *parser, struct why *why)
{
    struct input *input;
    *out = NULL;
    int err = input_open(&input, path, why);
    return err == 0 ? reader_new(out, input, forced, NULL, parser, why) : err;
}

void reader_close(struct reader **out)
{
    if (*out != NULL) {
        input_close(&(*out)->input);
        loki_fini(&(*out)->loki);
        values_fini(&(*out)->values);
        layout_builder_fini(&(*out)->columns);
        layout_drop(&(*out)->layout);
        free((*out)->carry);
        free(*out);
        *out = NULL;
    }
}

const struct input *reader_input(const struct reader *reader)
{
    return reader->input;
}

const struct format *reader_format(const struct reader *reader)
{
    return reader->format;
}

const char *reader_unit(const struct reader *reader)
{
    return reader->cut == CUT_LINES ? "line" : "entry";
}

/* ---- Batches ---- */

void flow_batch_fini(struct flow_batch *batch)
{
    free(batch->records);
    free(batch->text);
    arena_fini(&batch->arena);
    layout_drop(&batch->layout);
    *batch = (struct flow_batch){0};
}

int flow_batch_parse(struct flow_batch *batch, struct parser *parser)
{
    int err = 0;
    parser->layout = batch->layout;
    /* Lines of JSON: their first stage is run for all at once. */
    if (batch->text_len > 0 && batch->text[0] == '{') {
        json_batch(parser->json, batch->text, batch->text_len);
    }
    for (size_t i = 0; i < batch->count && err == 0; i++) {
        struct flow_record *record = &batch->records[i];
        if (record->parsed != PARSED_BAD) {
            err = parser_parse(parser, batch->format, batch->only, &batch->arena, record);
        }
    }
    json_batch(parser->json, NULL, 0);
    parser->layout = NULL; /* it goes with the batch */
    return err;
}

static struct flow_record *add_record(struct flow_batch *batch, struct text text, uint64_t number)
{
    if (batch->count == batch->cap) {
        size_t cap = batch->cap == 0 ? 256 : batch->cap * 2;
        struct flow_record *records = reallocarray(batch->records, cap, sizeof(*records));
        if (records == NULL) {
            return NULL;
        }
        batch->records = records;
        batch->cap = cap;
    }
    struct flow_record *record = &batch->records[batch->count++];
    record->text = text;
    record->labels = (struct text){NULL, 0};
    record->number = number;
    record->parsed = PARSED_FLOW;
    return record;
}

static int add_overlong(struct flow_batch *batch, uint64_t number)
{
    static const char WHAT[] = "longer than 1 MiB";
    struct flow_record *record = add_record(batch, (struct text){NULL, 0}, number);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->parsed = PARSED_BAD;
    record->kept = (struct text){NULL, 0};
    record->fault = (struct text){WHAT, sizeof(WHAT) - 1};
    return 0;
}

/* Whether the batch can take the line, or has to: a header is none of its records, and after one
 * that changes the columns a record begins the next batch. */
enum { LINE_RECORD, LINE_HEADER, LINE_NEXT_BATCH };
static int judge_line(struct reader *reader, const struct flow_batch *batch, struct text line)
{
    if (reader->format->columns->header(&reader->columns, line)) {
        return LINE_HEADER;
    }
    if (!reader->columns.changed) {
        return LINE_RECORD;
    }
    if (batch->count > 0) {
        return LINE_NEXT_BATCH;
    }
    layout_drop(&reader->layout);
    int err = layout_make(&reader->columns, &reader->layout);
    return err != 0 ? err : LINE_RECORD;
}

/* Cuts whole lines off batch->text[0..len-1]; `*used` is how much of it they take. */
static int cut_lines(struct reader *reader, struct flow_batch *batch, size_t len, size_t *used)
{
    const char *at = batch->text;
    const char *end = at + len;
    bool columns = has_columns(reader);
    while (at < end && batch->count < BATCH_RECORDS_MAX) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL && !reader->at_end) {
            break;
        }
        stop = stop != NULL ? stop : end;
        struct text line = trim(at, (size_t)(stop - at));
        int judged = LINE_RECORD;
        if (columns && line.len > 0 && !reader->overlong) {
            judged = judge_line(reader, batch, line);
        }
        if (judged < 0 || judged == LINE_NEXT_BATCH) {
            *used = (size_t)(at - batch->text);
            return judged < 0 ? judged : 0;
        }
        at = stop < end ? stop + 1 : end;
        if (reader->overlong) {
            reader->overlong = false;
            continue;
        }
        reader->number++;
        if (judged == LINE_HEADER) {
            continue;
        }
        if (line.len > RECORD_LEN_MAX) {
            if (add_overlong(batch, reader->number) != 0) {
                return -ENOMEM;
            }
        } else if (line.len > 0 && add_record(batch, line, reader->number) == NULL) {
            return -ENOMEM;
        }
    }
    *used = (size_t)(at - batch->text);
    return 0;
}

/* Moves what is left of the text to the carry; a line that is already too long is dropped. */
static int keep_rest(struct reader *reader, struct flow_batch *batch, size_t used, size_t len)
{
    size_t rest = len - used;
    const char *text = batch->text + used;
    if (rest > RECORD_LEN_MAX && memchr(text, '\n', rest) == NULL) {
        if (!reader->overlong) {
            reader->overlong = true;
            reader->number++;
            if (add_overlong(batch, reader->number) != 0) {
                return -ENOMEM;
            }
        }
        rest = 0;
    }
    if (reserve(&reader->carry, &reader->carry_cap, rest) != 0) {
        return -ENOMEM;
    }
    if (rest > 0) {
        memcpy(reader->carry, text, rest);
    }
    reader->carry_len = rest;
    return 0;
}

/* One read, and the lines that are whole after it. */
static int next_lines(struct reader *reader, struct flow_batch *batch)
{
    size_t len = reader->carry_len;
    size_t used = 0;
    if (reserve(&batch->text, &batch->text_cap, len + READER_BATCH_LEN + JSON_PADDING) != 0) {
        return -ENOMEM;
    }
    memcpy(batch->text, reader->carry, len);
    reader->carry_len = 0;
    /* What was carried over may hold lines enough. */
    if (len < READER_BATCH_LEN || memchr(batch->text, '\n', len) == NULL) {
        len += read_once(reader, batch->text + len, READER_BATCH_LEN);
    }
    int err = cut_lines(reader, batch, len, &used);
    err = err != 0 ? err : keep_rest(reader, batch, used, len);
    batch->text_len = used;
    batch->text[used] = '\n'; /* what stood there is carried over */
    return err;
}

/* Copies the labels of the last entry to the batch, once for each of its streams. */
static int take_labels(struct reader *reader, struct flow_batch *batch)
{
    struct text labels = loki_labels(&reader->loki);
    if (reader->labelled == reader->loki.stream) {
        return 0;
    }
    reader->labelled = reader->loki.stream;
    reader->labels = labels.data != NULL ? arena_copy(&batch->arena, labels) : labels;
    return labels.data != NULL && reader->labels.data == NULL ? -ENOMEM : 0;
}

static int add_entry(struct reader *reader, struct flow_batch *batch, struct text entry)
{
    entry = arena_copy(&batch->arena, entry);
    int err = entry.data == NULL ? -ENOMEM : take_labels(reader, batch);
    struct flow_record *record = err == 0 ? add_record(batch, entry, reader->number) : NULL;
    if (record == NULL) {
        return -ENOMEM;
    }
    record->labels = reader->labels;
    return 0;
}

/* ---- Entries of a document, and objects ---- */

/* What is left of what was pushed. */
static size_t unsplit(const struct reader *reader)
{
    return reader->cut == CUT_LOKI ? reader->loki.in_len : reader->values.in_len;
}

static void push(struct reader *reader, size_t len)
{
    if (reader->cut == CUT_LOKI) {
        loki_push(&reader->loki, reader->carry, len);
    } else {
        values_push(&reader->values, reader->carry, len);
    }
}

/* The next entry; what values_next gives, whatever it is cut out of. */
static enum values_event split(struct reader *reader, struct text *entry)
{
    static const enum values_event EVENTS[] = {[LOKI_AGAIN] = VALUES_AGAIN,
                                               [LOKI_ENTRY] = VALUES_OBJECT,
                                               [LOKI_OVERSIZE] = VALUES_OVERSIZE,
                                               [LOKI_ERROR] = VALUES_ERROR};
    return reader->cut == CUT_LOKI ? EVENTS[loki_next(&reader->loki, entry)]
                                   : values_next(&reader->values, entry);
}

static void end_at_fault(struct reader *reader)
{
    bool loki = reader->cut == CUT_LOKI;
    uint64_t offset = loki ? reader->loki.offset : reader->values.offset;
    reader->at_end = true;
    reader->carry_len = 0;
    reader->failed =
        why_set(&reader->why, W_ESYNTAX, "%s: byte %llu: %s", input_name(reader->input),
                (unsigned long long)offset + 1, loki ? reader->loki.what : reader->values.what);
}

/* Takes entries until the batch is full or the pushed text is used up. */
static int take_entries(struct reader *reader, struct flow_batch *batch, size_t *taken)
{
    struct text entry;
    for (;;) {
        enum values_event event = VALUES_AGAIN;
        if (*taken < READER_BATCH_LEN && batch->count < BATCH_RECORDS_MAX) {
            event = split(reader, &entry);
        }
        if (event == VALUES_AGAIN) {
            return 0;
        }
        if (event == VALUES_ERROR) {
            end_at_fault(reader);
            return 0;
        }
        reader->number++;
        if (event == VALUES_OVERSIZE) {
            if (add_overlong(batch, reader->number) != 0) {
                return -ENOMEM;
            }
            continue;
        }
        *taken += entry.len;
        if (add_entry(reader, batch, entry) != 0) {
            return -ENOMEM;
        }
    }
}

static bool ends_whole(const struct reader *reader)
{
    return reader->cut == CUT_LOKI ? loki_whole(&reader->loki) : values_whole(&reader->values);
}

/* The carry is what was pushed; unsplit() tells how much of it is still to be read. */
static int next_entries(struct reader *reader, struct flow_batch *batch)
{
    size_t taken = 0;
    if (unsplit(reader) == 0 && reader->carry_len > 0) {
        push(reader, reader->carry_len);
        reader->carry_len = 0;
    } else if (unsplit(reader) == 0) {
        push(reader, read_once(reader, reader->carry, reader->carry_cap));
    }
    int err = take_entries(reader, batch, &taken);
    if (err == 0 && reader->at_end && reader->failed == 0 && unsplit(reader) == 0 &&
        !ends_whole(reader)) {
        reader->failed =
            why_set(&reader->why, W_EDAMAGED, "%s: the %s", input_name(reader->input),
                    reader->cut == CUT_LOKI ? "Loki response ends early" : "JSON ends early");
    }
    return err;
}

static bool has_more(const struct reader *reader)
{
    return !reader->at_end || reader->carry_len > 0 || unsplit(reader) > 0;
}

int reader_next(struct reader *reader, struct flow_batch *batch, struct why *why)
{
    int err = 0;
    batch->count = 0;
    batch->format = reader->format;
    batch->only = reader->only;
    batch->text_len = 0;
    reader->labelled = 0;
    arena_reset(&batch->arena);
    layout_drop(&batch->layout);
    while (err == 0 && batch->count == 0 && has_more(reader)) {
        err = reader->cut == CUT_LINES ? next_lines(reader, batch) : next_entries(reader, batch);
    }
    batch->layout = layout_hold(reader->layout);
    if (err != 0 || batch->count > 0) {
        return err != 0 ? err : 1;
    }
    err = reader->failed;
    reader->failed = 0;
    if (err != 0 && why != NULL) {
        *why = reader->why;
    }
    return err;
}
