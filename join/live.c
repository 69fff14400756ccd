/* join/live.c -- flow logs that grow, joined as they do
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/live.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "join/checkpoint.h"
#include "join/hold.h"
#include "join/out.h"
#include "join/repeat.h"
#include "join/tail.h"

#define CHECKPOINT_US US_PER_S
#define REPORT_US US_PER_S
/* How long after an error that may pass the same is tried again. */
#define RETRY_US US_PER_S
/* How often it is looked whether others learned of owners. */
#define OWNERS_EVERY_US US_PER_S

/* Warnings about the lines of one file; what is beyond is only counted. */
enum { WARNINGS_MAX = 5 };
/* Pieces that are read before it is looked at what is settled. */
enum { PIECES_MAX = 4 };

struct live {
    struct live_options options;
    struct tail *tail;
    struct hold *hold;
    struct repeats *repeats;
    struct interfaces *interfaces;
    struct parser *parser;
    struct sink *sink;
    struct out *out;
    char *checkpoint; /* path; NULL: none is kept */
    struct buf scratch;
    struct join_totals totals;
    uint64_t early; /* flows decided early */

    /* the records at the head of the queue that are being given out */
    struct flow_record *records;
    size_t record_count;
    size_t judged; /* of them, as to repeats */
    size_t given;
    struct question *questions;
    size_t *asked; /* of each question, which record it is about */
    size_t question_cap;
    struct buf pending;        /* what they are in the output */
    struct join_totals giving; /* of them */
    bool is_pending;           /* `pending` is whole, but could not be written */

    /* the piece in hand */
    struct flow_record *parsed;
    size_t parsed_count;
    size_t parsed_cap;

    bool changed;          /* since the last checkpoint */
    int64_t checkpoint_us; /* monotonic: when it was written */
    int64_t reported_us;
    int64_t retry_us; /* when what failed is tried again; 0: nothing failed */
    int said;         /* the error last told of */
    bool checkpoint_failed;
    atomic_bool stopped;
    int stop_fd;
};

static void warn(const struct live *live, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(const struct live *live, const char *format, ...)
{
    char line[1024];
    if (live->options.warn == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    live->options.warn(live->options.report_ctx, line);
}

/* ---- Step 1: read and parsed ---- */

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
        warn(live, "%s: line %llu: %.*s", name_of(file), (unsigned long long)number, (int)fault.len,
             fault.data);
    } else if (cutter->warnings == WARNINGS_MAX + 1) {
        warn(live, "%s: more bad lines, which are counted only", name_of(file));
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
        warn(live, "%s", why.text);
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
        warn(live,
             "%s: line %llu: of the future; a clock is wrong, or the zone of the times (--tz)",
             name_of(file), (unsigned long long)record->number);
    }
    if (before.back == 0 && order->back > 0) {
        warn(
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
        warn(live, "%s: %s", name_of(file), record->remark);
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

/* Reads a few pieces. Returns how many, or a negative error. */
static int read_some(struct live *live, int64_t now_us, struct why *why)
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

/* ---- Step 2: asked and given out ---- */

/* What looks from one record to another. Only now, in the order of what is given out: what the
 * checkpoint has of it is thus what the output has of the flows. */
static void judge(struct live *live)
{
    for (; live->judged < live->record_count; live->judged++) {
        struct flow_record *record = &live->records[live->judged];
        if (record->parsed != PARSED_FLOW) {
            continue;
        }
        record->flow.not_before_us = interfaces_seen(live->interfaces, &record->flow);
        if (repeats_seen(live->repeats, &record->flow,
                         repeats_expect(live->repeats, &record->flow))) {
            record->parsed = PARSED_SKIPPED;
            record->skip = SKIP_REPEAT;
            live->totals.skipped[SKIP_REPEAT]++;
        }
    }
}

/* Of the records in hand, which are all of one file. */
static const char *cluster_of(const struct live *live)
{
    const struct tail_file *file = hold_file(live->hold);
    return file->cluster != NULL ? file->cluster : live->options.cluster;
}

static int make_questions(struct live *live, size_t *count)
{
    if (live->question_cap < live->record_count) {
        free(live->questions);
        free(live->asked);
        live->questions = reallocarray(NULL, live->record_count, sizeof(*live->questions));
        live->asked = reallocarray(NULL, live->record_count, sizeof(*live->asked));
        live->question_cap = live->record_count;
    }
    if (live->questions == NULL || live->asked == NULL) {
        live->question_cap = 0;
        return -ENOMEM;
    }
    const char *cluster = cluster_of(live);
    *count = 0;
    for (size_t i = 0; i < live->record_count; i++) {
        const struct flow_record *record = &live->records[i];
        if (record->parsed == PARSED_FLOW && record->flow.unjoinable == NULL) {
            live->asked[*count] = i;
            live->questions[(*count)++] = join_question(cluster, &record->flow);
        }
    }
    return 0;
}

static void give_out_flow(struct live *live, const struct flow_record *record,
                          const struct attribution *attribution)
{
    live->giving.flows++;
    live->giving.verdicts[attribution->verdict]++;
    if (record->flow.start_us > live->totals.last_flow_us) {
        live->totals.last_flow_us = record->flow.start_us;
    }
    live->options.sink->flow(live->sink, &live->pending, record, attribution);
}

/* Gives out the records before `end` that no question was asked about. */
static void give_out_unasked(struct live *live, size_t end)
{
    const struct sink_kind *kind = live->options.sink;
    for (; live->given < end; live->given++) {
        const struct flow_record *record = &live->records[live->given];
        if (record->parsed == PARSED_FLOW) {
            struct attribution attribution = attribution_unjoinable(record->flow.unjoinable);
            give_out_flow(live, record, &attribution);
        } else if (record->parsed == PARSED_SKIPPED && kind->left_out != NULL) {
            kind->left_out(live->sink, &live->pending, record);
        }
    }
}

static int answered(void *ctx, size_t number, const struct attribution *attribution)
{
    struct live *live = ctx;
    size_t at = live->asked[number];
    give_out_unasked(live, at);
    give_out_flow(live, &live->records[at], attribution);
    live->given = at + 1;
    return live->pending.err;
}

/* Fills `pending` with what the records in hand are in the output. */
static int give_out(struct live *live, struct why *why)
{
    const struct join_oracle *oracle = &live->options.oracle;
    size_t count;
    judge(live);
    int err = make_questions(live, &count);
    buf_reset(&live->pending);
    live->giving = (struct join_totals){.flows = 0};
    live->given = 0;
    live->sink->options.cluster = cluster_of(live);
    if (err == 0 && count > 0) {
        err = oracle->ask(oracle->oracle, live->questions, count, answered, live, why);
    }
    if (err == 0) {
        give_out_unasked(live, live->record_count);
        if (live->options.sink->flush != NULL) {
            live->options.sink->flush(live->sink, &live->pending);
        }
        err = live->pending.err;
    }
    return err;
}

/* ---- Step 3: written ---- */

/* An index or service that does not answer now. */
static bool ask_may_pass(int err)
{
    return err == -ECONNREFUSED || err == -ETIMEDOUT || err == -EAGAIN || err == -EIO;
}

/* After an error that may pass nothing is done for a while. It is said once. */
static void block(struct live *live, int err, const char *text)
{
    live->retry_us = clock_monotonic_us() + RETRY_US;
    counter_set(COUNT_FOLLOW_BLOCKED, 1);
    if (live->said != err) {
        live->said = err;
        warn(live, "%s; nothing is read until this passes", text);
    }
}

static void unblock(struct live *live)
{
    live->retry_us = 0;
    counter_set(COUNT_FOLLOW_BLOCKED, 0);
    if (live->said != 0) {
        live->said = 0;
        warn(live, "going on");
    }
}

static const char *out_name(const struct live *live)
{
    const char *path = out_path(live->out);
    return path != NULL ? path : "standard output";
}

static int write_pending(struct live *live, struct why *why)
{
    char text[512];
    int err = out_write(live->out, live->pending.data, live->pending.len);
    live->is_pending = err != 0;
    if (err == 0 || err == -EPIPE) {
        return err;
    }
    snprintf(text, sizeof(text), "%s: %s", out_name(live), strerror(-err));
    return why_set(why, err, "%s", text);
}

static void add_totals(struct live *live)
{
    live->totals.flows += live->giving.flows;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        live->totals.verdicts[verdict] += live->giving.verdicts[verdict];
    }
    counter_add(COUNT_FOLLOW_FLOWS, live->giving.flows);
}

/* Asks about the records in hand, if that was not done, writes them and lets them go. */
static int finish_records(struct live *live, struct why *why)
{
    int err = live->is_pending ? 0 : give_out(live, why);
    bool passes = ask_may_pass(err);
    if (err == 0) {
        err = write_pending(live, why);
        passes = out_may_pass(err);
    }
    if (err != 0) {
        if (passes) {
            block(live, err, why->text);
        }
        return passes ? -EAGAIN : err;
    }
    unblock(live);
    add_totals(live);
    hold_pop(live->hold, live->record_count);
    live->record_count = live->judged = 0;
    live->changed = true;
    return 0;
}

/* Gives out what need not wait; with `drain` everything. Returns how many records; -EAGAIN if it is
 * to be tried again later; another negative error. */
static int decide(struct live *live, int64_t now_us, bool drain, struct why *why)
{
    int count = 0;
    int err = 0;
    while (err == 0) {
        size_t early = 0;
        if (!live->is_pending) {
            live->record_count = hold_ready(live->hold, now_us, drain, &live->records, &early);
        }
        if (live->record_count == 0) {
            return count;
        }
        count++;
        err = finish_records(live, why);
        live->early += err == 0 ? early : 0;
        counter_add(COUNT_FOLLOW_EARLY, err == 0 ? early : 0);
    }
    return err;
}

/* ---- Checkpoints ---- */

static int save(struct live *live, bool closed, struct why *why)
{
    struct out_state state;
    int err = out_sync(live->out, &state);
    if (err != 0) {
        return why_set(why, err, "%s: %s", out_name(live), strerror(-err));
    }
    state.closed = closed;
    tail_keep_none(live->tail);
    hold_keep(live->hold);
    live->checkpoint_us = clock_monotonic_us();
    struct why reason = {""};
    err = checkpoint_write(live->checkpoint, live->options.out, &state, live->tail, live->repeats,
                           live->interfaces, clock_now_us(), &live->scratch, &reason);
    if (err != 0 && !live->checkpoint_failed) {
        warn(live, "%s; the last checkpoint stands, and it is tried again", reason.text);
    } else if (err == 0 && live->checkpoint_failed) {
        warn(live, "%s: written again", live->checkpoint);
    }
    live->checkpoint_failed = err != 0;
    live->changed = err != 0;
    return 0;
}

/* What stands before the first flow of an output. */
static int begin_output(struct live *live, struct why *why)
{
    if (live->options.sink->begin == NULL) {
        return 0;
    }
    buf_reset(&live->pending);
    live->options.sink->begin(live->sink, &live->pending);
    int err = live->pending.err != 0 ? live->pending.err : write_pending(live, why);
    live->is_pending = false;
    return err;
}

/* The output was renamed: the rest goes to a new file, once a checkpoint says that the old one is
 * whole. */
static int change_output(struct live *live, struct why *why)
{
    int err = save(live, true, why);
    if (err != 0 || live->checkpoint_failed) {
        return err;
    }
    err = out_reopen(live->out, why);
    err = err == 0 ? begin_output(live, why) : err;
    return err == 0 ? save(live, false, why) : err;
}

static int save_if_due(struct live *live, struct why *why)
{
    bool due = clock_monotonic_us() - live->checkpoint_us >= CHECKPOINT_US;
    if (live->checkpoint == NULL || !due || live->is_pending) {
        return 0;
    }
    if (out_moved(live->out)) {
        return change_output(live, why);
    }
    return live->changed ? save(live, false, why) : 0;
}

/* ---- The run ---- */

static void report(struct live *live, int64_t now_us)
{
    int64_t monotonic_us = clock_monotonic_us();
    if (monotonic_us - live->reported_us >= REPORT_US) {
        struct tail_totals tail = tail_totals(live->tail);
        int64_t oldest_us = hold_oldest_us(live->hold);
        live->reported_us = monotonic_us;
        counter_set(COUNT_FOLLOW_FILES, tail.files);
        counter_set(COUNT_FOLLOW_UNREAD, tail.unread);
        counter_set(COUNT_FOLLOW_BYTES, tail.bytes);
        counter_set(COUNT_FOLLOW_TRUNCATED, tail.truncated);
        counter_set(COUNT_FOLLOW_LOST, tail.lost);
        counter_set(COUNT_FOLLOW_BAD, live->totals.bad);
        counter_set(COUNT_FOLLOW_HELD, hold_count(live->hold));
        counter_set(COUNT_FOLLOW_LAG, oldest_us != 0 && now_us > oldest_us
                                          ? (uint64_t)((now_us - oldest_us) / US_PER_S)
                                          : 0);
    }
    if (live->options.progress != NULL) {
        live->options.progress(live->options.report_ctx, &live->totals, hold_count(live->hold));
    }
}

static int refresh(struct live *live, int64_t now_us, struct why *why)
{
    const struct live_options *options = &live->options;
    return options->refresh != NULL ? options->refresh(options->index_ctx, now_us, why) : 0;
}

/* Reads a little and gives out what may go. Returns 1 if there was anything to do. */
static int work(struct live *live, int64_t now_us, struct why *why)
{
    int64_t monotonic_us = clock_monotonic_us();
    int err = 0;
    if (tail_look_due(live->tail, monotonic_us)) {
        err = tail_look(live->tail, monotonic_us);
    }
    if (err != 0 || monotonic_us < live->retry_us) {
        return err;
    }
    /* Something failed before: nothing is read until it works. */
    int pieces = live->retry_us == 0 ? read_some(live, now_us, why) : 0;
    if (pieces < 0 || hold_count(live->hold) == 0) {
        return pieces < 0 ? pieces : pieces > 0;
    }
    err = refresh(live, now_us, why);
    int given = err == 0 ? decide(live, now_us, false, why) : err;
    if (given < 0) {
        return given == -EAGAIN ? 0 : given;
    }
    return pieces > 0 || given > 0;
}

/* Standard input was all there was, and it is done with. */
static bool is_done(const struct live *live)
{
    return tail_ended(live->tail) && hold_count(live->hold) == 0;
}

static void wait_for_more(struct live *live)
{
    if (live->options.rest != NULL) {
        live->options.rest(live->options.index_ctx);
    }
    tail_wait(live->tail, live->stop_fd, TAIL_LOOK_US);
}

/* The end: what is held is decided, as far as that is possible. */
static int finish(struct live *live, struct why *why)
{
    int64_t now_us = clock_now_us();
    int err = refresh(live, now_us, why);
    err = err == 0 ? decide(live, now_us, true, why) : err;
    err = err == -EAGAIN && live->said != 0 ? live->said : err;
    if (err >= 0 && live->checkpoint != NULL) {
        err = save(live, true, why);
        if (err == 0 && live->checkpoint_failed) {
            err = why_set(why, -EIO,
                          "%s: could not be written; the next start goes on from the "
                          "one before",
                          live->checkpoint);
        }
    }
    report(live, now_us);
    return err > 0 ? 0 : err;
}

int live_run(struct live *live, struct why *why)
{
    int err = 0;
    while (err >= 0 && !atomic_load(&live->stopped) && !is_done(live)) {
        int64_t now_us = clock_now_us();
        int busy = work(live, now_us, why);
        err = busy < 0 ? busy : save_if_due(live, why);
        report(live, now_us);
        if (err == 0 && busy == 0) {
            wait_for_more(live);
        }
    }
    return err < 0 ? err : finish(live, why);
}

void live_stop(struct live *live)
{
    uint64_t one = 1;
    atomic_store(&live->stopped, true);
    if (write(live->stop_fd, &one, sizeof(one)) < 0) {
        return; /* it is set already */
    }
}

const struct join_totals *live_totals(const struct live *live)
{
    return &live->totals;
}

/* ---- Making ---- */

static void say(void *ctx, const char *text)
{
    warn(ctx, "%s", text);
}

static bool has_stream(const struct live_options *options)
{
    for (size_t i = 0; i < options->source_count; i++) {
        const char *source = options->sources[i];
        if (source[0] == '-' && (source[1] == '\0' || source[1] == ',')) {
            return true;
        }
    }
    return false;
}

/* A file is exactly once only if what goes into it can be read again. */
static int check_options(const struct live_options *options, struct why *why)
{
    bool file = strcmp(options->out, "-") != 0;
    if (has_stream(options) && (file || options->checkpoint != NULL)) {
        return why_set(why, W_EUSAGE,
                       "standard input cannot be read again after a restart, which %s needs; leave "
                       "that out and redirect standard output",
                       file ? "--out file:PATH" : "--checkpoint");
    }
    return 0;
}

static int name_checkpoint(struct live *live)
{
    const char *path = out_path(live->out);
    if (live->options.checkpoint != NULL) {
        live->checkpoint = strdup(live->options.checkpoint);
        return live->checkpoint == NULL ? -ENOMEM : 0;
    }
    if (path != NULL && asprintf(&live->checkpoint, "%s.checkpoint", path) < 0) {
        live->checkpoint = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int make_tail(struct live *live, struct why *why)
{
    const struct live_options *options = &live->options;
    const struct tail_options tail_options = {
        .warn = say,
        .warn_ctx = live,
        .except = {out_path(live->out), live->checkpoint},
    };
    int err = tail_new(&live->tail, &tail_options);
    for (size_t i = 0; i < options->source_count && err == 0; i++) {
        err = tail_add(live->tail, options->sources[i], why);
    }
    return err;
}

static int make_parts(struct live *live, struct why *why)
{
    const struct live_options *options = &live->options;
    const struct hold_options hold_options = {
        .skew_us = options->skew_us,
        .settle_us = options->settle_us,
        .max_bytes = options->hold_bytes > 0 ? options->hold_bytes : LIVE_HOLD_BYTES,
        .max_count = LIVE_HOLD_COUNT,
        .settled = options->settled,
        .settled_ctx = options->index_ctx,
    };
    int err = make_tail(live, why);
    err = err == 0 ? hold_new(&live->hold, &hold_options) : err;
    err = err == 0 ? repeats_new(&live->repeats) : err;
    err = err == 0 ? interfaces_new(&live->interfaces) : err;
    err = err == 0 ? parser_new(&live->parser, &options->parser_options) : err;
    return err == 0 ? sink_new(&live->sink, options->sink, &options->sink_options) : err;
}

static int restore(struct live *live, const struct checkpoint *checkpoint, struct why *why)
{
    if (strcmp(checkpoint->sink, live->options.out) != 0) {
        return why_set(why, W_EUSAGE,
                       "%s was written for --out %.200s; name another file with --checkpoint",
                       live->checkpoint, checkpoint->sink);
    }
    int err = 0;
    for (size_t i = 0; i < checkpoint->mark_count && err == 0; i++) {
        err = tail_restore(live->tail, &checkpoint->marks[i]);
    }
    if (err == 0 &&
        (repeats_load(live->repeats, checkpoint->repeats, checkpoint->repeats_len) != 0 ||
         interfaces_load(live->interfaces, checkpoint->interfaces, checkpoint->interfaces_len) !=
             0)) {
        err = why_set(why, W_EDAMAGED, "%s is damaged", live->checkpoint);
    }
    return err;
}

/* Goes on where the checkpoint says, or begins and says so in a first one: an output without a
 * checkpoint is never ours. */
static int resume(struct live *live, struct why *why)
{
    struct checkpoint checkpoint;
    if (live->checkpoint == NULL) {
        return begin_output(live, why);
    }
    int found = checkpoint_read(&checkpoint, live->checkpoint, why);
    if (found != 0 && found != -ENOENT) {
        return found;
    }
    int err = found == 0 ? restore(live, &checkpoint, why) : 0;
    err = err == 0
              ? out_resume(live->out, found == 0 ? &checkpoint.out : NULL, live->checkpoint, why)
              : err;
    checkpoint_fini(&checkpoint);
    /* The first checkpoint knows the files, even those that nothing was read of. */
    err = err == 0 ? tail_look(live->tail, clock_monotonic_us()) : err;
    err = err == 0 ? save(live, false, why) : err;
    if (err == 0 && live->checkpoint_failed && found != 0) {
        return why_set(why, -EIO, "%s: no checkpoint could be written", live->checkpoint);
    }
    return err == 0 && out_is_empty(live->out) ? begin_output(live, why) : err;
}

int live_new(struct live **out, const struct live_options *options, struct why *why)
{
    struct live *live = calloc(1, sizeof(*live));
    *out = NULL;
    if (live == NULL) {
        return -ENOMEM;
    }
    live->options = *options;
    live->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = live->stop_fd < 0 ? -errno : check_options(options, why);
    err = err == 0 ? out_open(&live->out, options->out, why) : err;
    err = err == 0 ? name_checkpoint(live) : err;
    err = err == 0 ? make_parts(live, why) : err;
    err = err == 0 ? resume(live, why) : err;
    if (err != 0) {
        live_free(&live);
        return err;
    }
    *out = live;
    return 0;
}

void live_free(struct live **out)
{
    struct live *live = *out;
    if (live == NULL) {
        return;
    }
    hold_free(&live->hold); /* before the files that it holds */
    tail_free(&live->tail);
    repeats_free(&live->repeats);
    interfaces_free(&live->interfaces);
    parser_free(&live->parser);
    sink_free(&live->sink);
    out_close(&live->out);
    buf_fini(&live->scratch);
    buf_fini(&live->pending);
    free(live->checkpoint);
    free(live->questions);
    free(live->asked);
    free(live->parsed);
    if (live->stop_fd >= 0) {
        close(live->stop_fd);
    }
    free(live);
    *out = NULL;
}

/* ---- An index ---- */

int live_index_refresh(void *ctx, int64_t now_us, struct why *why)
{
    struct live_index *index = ctx;
    int64_t monotonic_us = clock_monotonic_us();
    index->index.now_us = now_us;
    int err = store_view_refresh(index->view, why);
    if (err == 0 && index->owners != NULL && monotonic_us - index->owners_us >= OWNERS_EVERY_US) {
        index->owners_us = monotonic_us;
        err = owners_store_load(index->owners, index->view);
        err = err == 0 ? 0 : why_set(why, err, "the owners could not be read: %s", err_str(err));
    }
    return err;
}

void live_index_rest(void *ctx)
{
    struct live_index *index = ctx;
    store_view_rest(index->view);
}

bool live_index_settled(void *ctx, const char *cluster, int64_t time_us, int64_t now_us)
{
    struct live_index *index = ctx;
    return store_settled(index->view, cluster != NULL ? cluster : index->cluster, time_us, now_us,
                         index->settle_us);
}
