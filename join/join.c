/* join/join.c -- flow records in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/join.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "join/interfaces.h"
#include "join/order.h"
#include "join/reader.h"
#include "join/repeat.h"

/* Warnings of one input; what is beyond is only counted. */
enum { WARNINGS_MAX = 5 };

/* The batches go through in order, whichever worker has them. */
struct turn {
    uint64_t next; /* number of the batch whose turn it is */
    pthread_cond_t changed;
};

struct worker {
    struct join *join;
    const struct join_oracle *oracle;
    struct parser *parser;
    struct sink *sink;
    struct flow_batch batch;
    struct question *questions; /* of the batch, and the records they are about */
    size_t *asked;
    struct repeat_key *keys; /* of the batch's flows */
    size_t record_cap;       /* of these three */
    size_t next;             /* first record of the batch that is not yet given out */
    struct buf out;
    struct join_totals totals; /* of the batch */
    int err;
    struct why why;
    pthread_t thread;
};

struct join {
    struct join_options options;
    struct repeats *repeats;
    struct interfaces *interfaces;
    struct worker *workers;
    size_t worker_count;
    bool begun;
    const char *cluster; /* of the input in hand */
    struct join_totals totals;

    /* the input in hand */
    struct reader *reader;
    uint64_t bytes;     /* of the inputs before */
    unsigned warnings;  /* of this input */
    const char *remark; /* the last that was said of it */
    struct order order;

    pthread_mutex_t reading; /* guards the reader, batches_read and end */
    uint64_t batches_read;
    int end; /* what reader_next returned at last; 1 while there is more */
    struct why fault;

    pthread_mutex_t lock; /* guards the rest; held during a turn */
    struct turn sorting;
    struct turn writing;
    int err; /* the first error by the order of the batches */
    struct why why;
};

static int worker_init(struct worker *worker, struct join *join, size_t number)
{
    const struct join_options *options = &join->options;
    worker->join = join;
    worker->oracle = &options->oracles[number];
    int err = parser_new(&worker->parser, &options->parser_options);
    return err != 0 ? err : sink_new(&worker->sink, options->sink, &options->sink_options);
}

static void worker_fini(struct worker *worker)
{
    parser_free(&worker->parser);
    sink_free(&worker->sink);
    flow_batch_fini(&worker->batch);
    free(worker->questions);
    free(worker->asked);
    free(worker->keys);
    buf_fini(&worker->out);
}

int join_new(struct join **out, const struct join_options *options)
{
    struct join *join = calloc(1, sizeof(*join));
    *out = NULL;
    if (join == NULL) {
        return -ENOMEM;
    }
    join->options = *options;
    join->cluster = options->cluster;
    join->worker_count = options->sink->keeps_state ? 1 : options->workers;
    join->workers = calloc(join->worker_count, sizeof(*join->workers));
    pthread_mutex_init(&join->reading, NULL);
    pthread_mutex_init(&join->lock, NULL);
    pthread_cond_init(&join->sorting.changed, NULL);
    pthread_cond_init(&join->writing.changed, NULL);
    int err = join->workers == NULL ? -ENOMEM : repeats_new(&join->repeats);
    err = err != 0 ? err : interfaces_new(&join->interfaces);
    for (size_t i = 0; i < join->worker_count && err == 0; i++) {
        err = worker_init(&join->workers[i], join, i);
    }
    if (err != 0) {
        join_free(&join);
        return err;
    }
    *out = join;
    return 0;
}

void join_free(struct join **out)
{
    struct join *join = *out;
    if (join == NULL) {
        return;
    }
    for (size_t i = 0; i < join->worker_count && join->workers != NULL; i++) {
        worker_fini(&join->workers[i]);
    }
    free(join->workers);
    reader_close(&join->reader);
    repeats_free(&join->repeats);
    interfaces_free(&join->interfaces);
    pthread_cond_destroy(&join->sorting.changed);
    pthread_cond_destroy(&join->writing.changed);
    pthread_mutex_destroy(&join->reading);
    pthread_mutex_destroy(&join->lock);
    free(join);
    *out = NULL;
}

void join_set_cluster(struct join *join, const char *cluster)
{
    join->cluster = cluster != NULL && cluster[0] != '\0' ? cluster : join->options.cluster;
    for (size_t i = 0; i < join->worker_count; i++) {
        join->workers[i].sink->options.cluster = join->cluster;
    }
}

const struct join_totals *join_totals(const struct join *join)
{
    return &join->totals;
}

static void warn(struct join *join, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct join *join, const char *format, ...)
{
    char line[1024];
    if (join->options.warn == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    join->options.warn(join->options.report_ctx, line);
}

/* ---- Step 1: cut ---- */

/* Takes the next batch and its number. Returns false if there is none. */
static bool read_batch(struct worker *worker, uint64_t *number)
{
    struct join *join = worker->join;
    pthread_mutex_lock(&join->reading);
    if (join->end > 0) {
        join->end = reader_next(join->reader, &worker->batch, &join->fault);
    }
    bool more = join->end > 0;
    *number = join->batches_read;
    join->batches_read += more;
    worker->totals = (struct join_totals){.bytes = input_consumed(reader_input(join->reader))};
    pthread_mutex_unlock(&join->reading);
    return more;
}

/* ---- Step 2: parsed ---- */

static int reserve(struct worker *worker, size_t count)
{
    if (count <= worker->record_cap) {
        return 0;
    }
    free(worker->questions);
    free(worker->asked);
    free(worker->keys);
    worker->questions = calloc(count, sizeof(*worker->questions));
    worker->asked = calloc(count, sizeof(*worker->asked));
    worker->keys = calloc(count, sizeof(*worker->keys));
    bool failed = worker->questions == NULL || worker->asked == NULL || worker->keys == NULL;
    worker->record_cap = failed ? 0 : count;
    return failed ? -ENOMEM : 0;
}

static int parse(struct worker *worker)
{
    struct flow_batch *batch = &worker->batch;
    int err = reserve(worker, batch->count);
    err = err != 0 ? err : flow_batch_parse(batch, worker->parser);
    for (size_t i = 0; i < batch->count && err == 0; i++) {
        if (batch->records[i].parsed == PARSED_FLOW) {
            worker->keys[i] = repeats_expect(worker->join->repeats, &batch->records[i].flow);
        }
    }
    return err;
}

/* ---- Step 3: sorted out, in order ---- */

/* Counts a bad record and names it, unless many were named already. */
static void count_bad(struct join *join, const struct flow_record *record, struct text fault)
{
    const char *name = input_name(reader_input(join->reader));
    const char *unit = reader_unit(join->reader);
    join->totals.bad++;
    join->warnings++;
    if (join->warnings <= WARNINGS_MAX) {
        warn(join, "%s: %s %llu: %.*s", name, unit, (unsigned long long)record->number,
             (int)fault.len, fault.data);
    } else if (join->warnings == WARNINGS_MAX + 1) {
        warn(join, "%s: more bad %s, which are counted only", name,
             strcmp(unit, "entry") == 0 ? "entries" : "lines");
    }
}

/* --to inline keeps JSON records: a single one that is not JSON refuses the input. */
static int check_json(const struct worker *worker, struct why *why)
{
    const struct join *join = worker->join;
    for (size_t i = 0; join->options.sink->keeps_json && i < worker->batch.count; i++) {
        const struct flow_record *record = &worker->batch.records[i];
        if (record->parsed != PARSED_BAD && record->kept.data == NULL) {
            return why_set(why, W_EUSAGE,
                           "%s: %s %llu is not a JSON object, which --to %s needs; use --to ecs",
                           input_name(reader_input(join->reader)), reader_unit(join->reader),
                           (unsigned long long)record->number, join->options.sink->name);
        }
    }
    return 0;
}

/* What is in the index speaks for flows; a join only says that there was such a record. */
static void take_dns(struct join *join, struct flow_record *record)
{
    if (join->options.dns != NULL) {
        join->options.dns(join->options.report_ctx, &record->dns);
    }
    record->parsed = PARSED_SKIPPED;
    record->skip = SKIP_DNS;
}

/* Says once what is true of all records of a kind. */
static void say_remark(struct join *join, const struct flow_record *record)
{
    if (record->remark != NULL && record->remark != join->remark) {
        join->remark = record->remark;
        warn(join, "%s: %s", input_name(reader_input(join->reader)), record->remark);
    }
}

/* Marks repeats, and counts what is bad or left out. */
static void sort_out(struct worker *worker)
{
    struct join *join = worker->join;
    int64_t now_us = join->options.now_us != NULL ? join->options.now_us() : 0;
    for (size_t i = 0; i < worker->batch.count; i++) {
        struct flow_record *record = &worker->batch.records[i];
        if (record->parsed == PARSED_BAD) {
            count_bad(join, record, record->fault);
        } else if (record->parsed == PARSED_FLOW && record->doubtful != NULL) {
            count_bad(join, record, (struct text){record->doubtful, strlen(record->doubtful)});
        }
        if (record->parsed == PARSED_FLOW) {
            say_remark(join, record);
            order_note(&join->order, &record->flow, now_us);
            record->flow.not_before_us = interfaces_seen(join->interfaces, &record->flow);
        }
        if (record->parsed == PARSED_FLOW &&
            repeats_seen(join->repeats, &record->flow, worker->keys[i])) {
            record->parsed = PARSED_SKIPPED;
            record->skip = SKIP_REPEAT;
        }
        if (record->parsed == PARSED_DNS) {
            take_dns(join, record);
        }
        if (record->parsed == PARSED_SKIPPED) {
            join->totals.skipped[record->skip]++;
        }
    }
}

/* ---- Steps 4 and 5: asked and given out ---- */

/* A connection whose start is known began then, however long it lasted. Where the clock is coarse,
 * it began somewhere within a step of it, as those of an aggregate do within its span. */
struct question join_question(const char *cluster, const struct flow *flow)
{
    bool at_start = flow->shows_start && !flow->aggregated;
    return (struct question){
        .cluster = cluster,
        .source = flow->source,
        .destination = flow->destination,
        .start_us = flow->start_us,
        .end_us = (at_start ? flow->start_us : flow->end_us) + flow->precision_us,
        .aggregated = flow->aggregated || flow->precision_us > 0,
        .shows_start = flow->shows_start,
        .has_alternate = flow->has_alternate,
        .alternate = flow->alternate,
        .not_before_us = flow->not_before_us,
        .source_cluster = flow->source_id.cluster,
        .source_id = &flow->source_id,
        .destination_id = &flow->destination_id,
    };
}

static void make_questions(struct worker *worker, size_t *count)
{
    const struct flow_batch *batch = &worker->batch;
    *count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct flow_record *record = &batch->records[i];
        const struct flow *flow = &record->flow;
        if (record->parsed != PARSED_FLOW || flow->unjoinable != NULL) {
            continue;
        }
        worker->asked[*count] = i;
        worker->questions[(*count)++] = join_question(worker->join->cluster, flow);
    }
}

static void give_out(struct worker *worker, const struct flow_record *record,
                     const struct attribution *attribution)
{
    worker->totals.flows++;
    worker->totals.verdicts[attribution->verdict]++;
    if (record->flow.start_us > worker->totals.last_flow_us) {
        worker->totals.last_flow_us = record->flow.start_us;
    }
    worker->sink->kind->flow(worker->sink, &worker->out, record, attribution);
}

/* Gives out the records before `end` that no question was asked about. */
static void give_out_unasked(struct worker *worker, size_t end)
{
    const struct sink_kind *kind = worker->sink->kind;
    for (; worker->next < end; worker->next++) {
        const struct flow_record *record = &worker->batch.records[worker->next];
        if (record->parsed == PARSED_FLOW) {
            struct attribution attribution = attribution_unjoinable(record->flow.unjoinable);
            give_out(worker, record, &attribution);
        } else if (record->parsed == PARSED_SKIPPED && kind->left_out != NULL) {
            kind->left_out(worker->sink, &worker->out, record);
        } else if (record->parsed == PARSED_BAD && kind->bad != NULL) {
            kind->bad(worker->sink, &worker->out, record);
        }
    }
}

static int answered(void *ctx, size_t number, const struct attribution *attribution)
{
    struct worker *worker = ctx;
    size_t i = worker->asked[number];
    give_out_unasked(worker, i);
    give_out(worker, &worker->batch.records[i], attribution);
    worker->next = i + 1;
    return worker->out.err;
}

static int ask(struct worker *worker)
{
    const struct join_oracle *oracle = worker->oracle;
    size_t count;
    int err = 0;
    make_questions(worker, &count);
    worker->next = 0;
    if (count > 0) {
        err = oracle->ask(oracle->oracle, worker->questions, count, answered, worker, &worker->why);
    }
    if (err == 0) {
        give_out_unasked(worker, worker->batch.count);
        if (worker->sink->kind->flush != NULL) {
            worker->sink->kind->flush(worker->sink, &worker->out);
        }
        err = worker->out.err;
    }
    return err;
}

/* ---- Step 6: written, in order ---- */

static int write_out(struct worker *worker)
{
    const struct join_options *options = &worker->join->options;
    int err = 0;
    if (worker->out.len > 0) {
        err = options->write(options->write_ctx, worker->out.data, worker->out.len);
    }
    buf_reset(&worker->out);
    return err;
}

static void add_totals(struct join *join, const struct join_totals *batch)
{
    join->totals.flows += batch->flows;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        join->totals.verdicts[verdict] += batch->verdicts[verdict];
    }
    join->totals.bytes = join->bytes + batch->bytes;
    if (batch->last_flow_us > join->totals.last_flow_us) {
        join->totals.last_flow_us = batch->last_flow_us;
    }
    if (join->options.progress != NULL) {
        join->options.progress(join->options.report_ctx, &join->totals);
    }
}

/* ---- The worker ---- */

/* Waits until it is the batch's turn; the lock is then held until turn_pass. */
static void turn_wait(struct join *join, struct turn *turn, uint64_t number)
{
    pthread_mutex_lock(&join->lock);
    while (turn->next != number) {
        pthread_cond_wait(&turn->changed, &join->lock);
    }
}

static void turn_pass(struct join *join, struct turn *turn)
{
    turn->next++;
    pthread_cond_broadcast(&turn->changed);
    pthread_mutex_unlock(&join->lock);
}

/* Within a turn: notes the worker's error as that of the run, unless an earlier batch had one. */
static void note_error(struct worker *worker)
{
    struct join *join = worker->join;
    if (worker->err != 0 && join->err == 0) {
        join->err = worker->err;
        join->why = worker->why;
    }
}

/* Takes a batch through the steps. After an error nothing is done but to pass the turns on. */
static void work_batch(struct worker *worker, uint64_t number)
{
    struct join *join = worker->join;
    worker->err = parse(worker);
    turn_wait(join, &join->sorting, number);
    worker->err = worker->err != 0 ? worker->err : check_json(worker, &worker->why);
    if (worker->err == 0 && join->err == 0) {
        sort_out(worker);
    }
    bool failed = worker->err != 0 || join->err != 0;
    turn_pass(join, &join->sorting);
    if (!failed) {
        worker->err = ask(worker);
    }
    turn_wait(join, &join->writing, number);
    note_error(worker);
    if (join->err == 0) {
        worker->err = write_out(worker);
        note_error(worker);
        add_totals(join, &worker->totals);
    }
    turn_pass(join, &join->writing);
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    struct join *join = worker->join;
    uint64_t number;
    while (read_batch(worker, &number)) {
        work_batch(worker, number);
        pthread_mutex_lock(&join->lock);
        bool failed = join->err != 0;
        pthread_mutex_unlock(&join->lock);
        if (failed) {
            break;
        }
    }
    return NULL;
}

/* ---- One input ---- */

/* Runs all workers; the calling thread is the first. A thread that cannot be had is done without.
 */
static void work_all(struct join *join)
{
    size_t started = 1;
    while (started < join->worker_count && pthread_create(&join->workers[started].thread, NULL,
                                                          work, &join->workers[started]) == 0) {
        started++;
    }
    work(&join->workers[0]);
    for (size_t i = 1; i < started; i++) {
        pthread_join(join->workers[i].thread, NULL);
    }
}

/* What stands before the first record. */
static int begin(struct join *join)
{
    struct worker *first = &join->workers[0];
    if (join->begun || join->options.sink->begin == NULL) {
        return 0;
    }
    join->begun = true;
    join->options.sink->begin(first->sink, &first->out);
    return first->out.err != 0 ? first->out.err : write_out(first);
}

/* Makes ready for the batches of join->reader. */
static int begin_input(struct join *join)
{
    int err = begin(join);
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < join->worker_count; i++) {
        join->workers[i].parser->year_near_us = join->workers[0].parser->year_near_us;
    }
    join->totals.inputs++;
    join->batches_read = join->sorting.next = join->writing.next = 0;
    join->end = 1;
    join->err = 0;
    join->warnings = 0;
    join->remark = NULL;
    join->order = (struct order){0};
    join->bytes = join->totals.bytes;
    return 0;
}

/* Says of a whole input what its records' times had to be said of them. */
static void warn_of_times(struct join *join)
{
    const struct order *order = &join->order;
    const char *name = join->reader != NULL ? input_name(reader_input(join->reader)) : "";
    if (order->ahead > 0) {
        warn(join, "%s: %llu %s of the future; a clock is wrong, or the zone of the times (--tz)",
             name, (unsigned long long)order->ahead,
             order->ahead == 1 ? "record is" : "records are");
    }
    if (order->back > 0) {
        warn(join,
             "%s: %llu %s more than an hour older than the one before; are these logs of "
             "several clocks or zones?",
             name, (unsigned long long)order->back, order->back == 1 ? "record is" : "records are");
    }
    join->order = (struct order){0};
}

/* Counts an input that could not be opened, or read to its end. */
static int end_input(struct join *join, int err)
{
    warn_of_times(join);
    reader_close(&join->reader);
    if (err != 0 && err != -ENOMEM) {
        join->totals.bad_inputs++;
        warn(join, "%s", join->fault.text);
    }
    return err == -ENOMEM ? err : 0;
}

/* Tells an error of the run. */
static int failed(struct join *join, struct why *why)
{
    *why = join->why.text[0] != '\0' ? join->why : *why;
    return join->err;
}

int join_input(struct join *join, const char *path, struct why *why)
{
    struct parser *parser = join->workers[0].parser;
    join->fault.text[0] = '\0';
    int err = reader_open(&join->reader, path, join->options.format, parser, &join->fault);
    if (err != 0) {
        return end_input(join, err);
    }
    err = begin_input(join);
    if (err == 0) {
        work_all(join);
        err = join->err != 0 ? failed(join, why) : 0;
    }
    if (err != 0) {
        reader_close(&join->reader);
        return err;
    }
    return end_input(join, join->end);
}

int join_open(struct join *join, struct input *input, const struct format *otherwise)
{
    struct parser *parser = join->workers[0].parser;
    join->fault.text[0] = '\0';
    int err =
        reader_new(&join->reader, input, join->options.format, otherwise, parser, &join->fault);
    return err == 0 ? begin_input(join) : end_input(join, err);
}

int join_step(struct join *join, struct why *why)
{
    uint64_t number;
    if (join->reader == NULL) {
        return 0;
    }
    if (!read_batch(&join->workers[0], &number)) {
        return end_input(join, join->end);
    }
    work_batch(&join->workers[0], number);
    return join->err != 0 ? failed(join, why) : 1;
}

int join_ask_index(void *ctx, const struct question *questions, size_t count,
                   join_answered_fn answer, void *answer_ctx, struct why *why)
{
    struct join_index *index = ctx;
    struct attribution attribution;
    for (size_t i = 0; i < count; i++) {
        if (i % ATTRIBUTE_EXPECT == 0) {
            attribute_expect(index->attributor, &questions[i], count - i);
        }
        int err = attribute(index->attributor, &questions[i], index->now_us, &attribution);
        if (err < 0) {
            return why_set(why, err, "the index could not be read: %s", err_str(err));
        }
        err = answer(answer_ctx, i, &attribution);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}
