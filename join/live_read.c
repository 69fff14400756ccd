/* join/live_read.c -- a live join reads, parses, and puts into the queue
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/live_parts.h"

/* Warnings about the lines of one file; what is beyond is only counted. */
enum { WARNINGS_MAX = 5 };
/* Pieces that are read before it is looked at what is settled. */
enum { PIECES_MAX = 4 };

static const char *name_of(const struct tail_file *file)
{
    return file->path;
}

/* Counts a bad record and names it, unless many of the file were named already. */
static void count_bad(struct live *live, const struct tail_file *file, uint64_t number,
                      struct text fault)
{
    struct cutter *cutter = file->cutter;
    live->totals.bad++;
    cutter->warnings++;
    if (cutter->failed) {
        return; /* nothing more can be said of its lines */
    }
    if (cutter->warnings <= WARNINGS_MAX) {
        live_warn(live, "%s: line %llu: %.*s", name_of(file), (unsigned long long)number,
                  (int)fault.len, fault.data);
    } else if (cutter->warnings == WARNINGS_MAX + 1) {
        live_warn(live, "%s: more bad lines, which are counted only", name_of(file));
    }
}

static struct text text_of(const char *text)
{
    return (struct text){text, strlen(text)};
}

/* Makes the file's cutter, and has it find the format. */
static int look_at_format(struct live *live, const struct tail_piece *piece)
{
    struct tail_file *file = piece->file;
    struct why why = {""};
    bool fresh = file->cutter == NULL;
    int err = 0;
    if (fresh) {
        err = cutter_new(&file->cutter, live->options.format, live->parser);
    }
    if (err != 0 || (!fresh && file->cutter->format != NULL)) {
        return err;
    }
    bool resumed = fresh && piece->at.offset > 0;
    char *head = resumed ? malloc(CUTTER_HEAD_LEN) : NULL;
    struct text text = {piece->text, piece->len};
    if (resumed && head == NULL) {
        return -ENOMEM;
    }
    if (resumed) {
        text = (struct text){head, tail_head_text(file, head, CUTTER_HEAD_LEN)};
    }
    err = cutter_look(file->cutter, live->parser, text, resumed, name_of(file), &why);
    free(head);
    if (err == W_EFORMAT && !file->cutter->failed) {
        file->cutter->failed = true;
        live->totals.bad_inputs++;
        live_warn(live, "%s", why.text);
    }
    file->cutter->failed &= file->cutter->format == NULL;
    return err == W_EFORMAT ? 0 : err;
}

/* --to inline keeps JSON records. */
static int check_json(const struct live *live, const struct tail_file *file,
                      const struct flow_record *record, struct why *why)
{
    if (!live->options.sink->keeps_json || record->parsed == PARSED_BAD ||
        record->kept.data != NULL) {
        return 0;
    }
    return why_set(why, W_EUSAGE,
                   "%s: line %llu is not a JSON object, which --to %s needs; use --to ecs",
                   name_of(file), (unsigned long long)record->number, live->options.sink->name);
}

/* Says once of a file that its times cannot be, or are in no order. */
static void say_disorder(struct live *live, const struct tail_file *file,
                         const struct flow_record *record)
{
    struct order *order = &file->cutter->order;
    const struct order before = *order;
    order_note(order, &record->flow, clock_now_us());
    if (before.ahead == 0 && order->ahead > 0) {
        live_warn(live,
                  "%s: line %llu: of the future; a clock is wrong, or the zone of the times (--tz)",
                  name_of(file), (unsigned long long)record->number);
    }
    if (before.back == 0 && order->back > 0) {
        live_warn(
            live,
            "%s: line %llu: more than an hour older than the one before; are these logs of several "
            "clocks or zones?",
            name_of(file), (unsigned long long)record->number);
    }
}

/* Counts what the record is; true if something will be given out for it. */
static bool sort_out(struct live *live, const struct tail_file *file, struct flow_record *record)
{
    if (record->parsed == PARSED_BAD) {
        count_bad(live, file, record->number, record->fault);
        return false;
    }
    if (record->parsed == PARSED_DNS) {
        if (live->options.dns != NULL) {
            live->options.dns(live->options.report_ctx, &record->dns);
        }
        record->parsed = PARSED_SKIPPED;
        record->skip = SKIP_DNS;
    }
    if (record->parsed == PARSED_SKIPPED) {
        live->totals.skipped[record->skip]++;
        return live->options.sink->left_out != NULL;
    }
    if (record->doubtful != NULL) {
        count_bad(live, file, record->number, text_of(record->doubtful));
    }
    say_disorder(live, file, record);
    if (record->remark != NULL && record->remark != file->cutter->remark) {
        file->cutter->remark = record->remark;
        live_warn(live, "%s: %s", name_of(file), record->remark);
    }
    return true;
}

/* Room for one more parsed record. */
static struct flow_record *parsed_room(struct live *live)
{
    if (live->parsed_count == live->parsed_cap) {
        size_t cap = live->parsed_cap == 0 ? 256 : live->parsed_cap * 2;
        struct flow_record *parsed = reallocarray(live->parsed, cap, sizeof(*parsed));
        if (parsed == NULL) {
            return NULL;
        }
        live->parsed = parsed;
        live->parsed_cap = cap;
    }
    return &live->parsed[live->parsed_count];
}

/* Parses the lines of the batch into live->parsed. */
static int parse_lines(struct live *live, struct hold_batch *batch, struct why *why)
{
    const char *at = batch->text;
    const char *end = at + batch->text_len;
    uint64_t number = batch->at.number;
    int err = 0;
    live->parsed_count = 0;
    while (at < end && err >= 0) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)((stop != NULL ? stop : end) - at)};
        struct flow_record *record = parsed_room(live);
        if (record == NULL) {
            return -ENOMEM;
        }
        err =
            cutter_parse(batch->file->cutter, live->parser, line, ++number, &batch->arena, record);
        if (err == 1) {
            err = check_json(live, batch->file, record, why);
            live->parsed_count += err == 0 && sort_out(live, batch->file, record);
        }
        at = stop != NULL ? stop + 1 : end;
    }
    return err < 0 ? err : 0;
}

/* Takes over what was parsed, and the batch if there is something in it. */
static int push(struct live *live, struct hold_batch *batch)
{
    if (live->parsed_count == 0) {
        hold_batch_free(&batch);
        return 0;
    }
    batch->records = reallocarray(NULL, live->parsed_count, sizeof(*batch->records));
    if (batch->records == NULL) {
        hold_batch_free(&batch);
        return -ENOMEM;
    }
    memcpy(batch->records, live->parsed, live->parsed_count * sizeof(*batch->records));
    batch->count = live->parsed_count;
    hold_push(live->hold, batch);
    return 0;
}

static int take_piece(struct live *live, const struct tail_piece *piece, int64_t now_us,
                      struct why *why)
{
    int err = look_at_format(live, piece);
    struct hold_batch *batch = err == 0 ? calloc(1, sizeof(*batch)) : NULL;
    if (batch == NULL || (batch->text = malloc(piece->len)) == NULL) {
        free(batch);
        return -ENOMEM;
    }
    memcpy(batch->text, piece->text, piece->len);
    batch->text_len = piece->len;
    batch->file = piece->file;
    batch->at = piece->at;
    batch->read_us = now_us;
    live->parser->year_near_us = now_us;
    live->totals.bytes += piece->len;
    err = parse_lines(live, batch, why);
    if (err != 0) {
        hold_batch_free(&batch);
        return err;
    }
    return push(live, batch);
}

int live_read_some(struct live *live, int64_t now_us, struct why *why)
{
    struct tail_piece piece;
    int err = 0;
    int count = 0;
    while (err == 0 && count < PIECES_MAX) {
        int got = tail_read(live->tail, &piece);
        if (got <= 0) {
            return got < 0 ? got : count;
        }
        if (got == TAIL_GOT_LINES) {
            err = take_piece(live, &piece, now_us, why);
        } else if ((err = look_at_format(live, &piece)) == 0) {
            count_bad(live, piece.file, piece.at.number + 1, text_of("longer than 1 MiB"));
        }
        live->changed = true;
        count++;
    }
    return err != 0 ? err : count;
}
