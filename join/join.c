/* join/join.c -- flow records in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/join.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "join/reader.h"
#include "join/repeat.h"

/* Warnings of one input; what is beyond is only counted. */
enum { WARNINGS_MAX = 5 };

struct join {
    struct join_options options;
    struct parser *parser;
    struct repeats *repeats;
    struct sink *sink;
    struct flow_batch batch;
    struct question *questions; /* of the batch, and the records they are about */
    size_t *asked;
    size_t question_cap;
    size_t next;       /* first record of the batch that is not yet given out */
    unsigned warnings; /* of the input in hand */
    bool begun;
    struct buf out;
    struct join_totals totals;
};

int join_new(struct join **out, const struct join_options *options)
{
    struct join *join = calloc(1, sizeof(*join));
    *out = NULL;
    if (join == NULL) {
        return -ENOMEM;
    }
    join->options = *options;
    if (parser_new(&join->parser, &options->parser_options) != 0 ||
        repeats_new(&join->repeats) != 0 ||
        sink_new(&join->sink, options->sink, &options->sink_options) != 0) {
        join_free(&join);
        return -ENOMEM;
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
    parser_free(&join->parser);
    repeats_free(&join->repeats);
    sink_free(&join->sink);
    flow_batch_fini(&join->batch);
    free(join->questions);
    free(join->asked);
    buf_fini(&join->out);
    free(join);
    *out = NULL;
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

/* Counts a bad record and names it, unless many were named already. */
static void count_bad(struct join *join, const struct reader *reader,
                      const struct flow_record *record, struct text fault)
{
    const char *name = input_name(reader_input(reader));
    join->totals.bad++;
    join->warnings++;
    if (join->warnings <= WARNINGS_MAX) {
        warn(join, "%s: %s %llu: %.*s", name, reader_unit(reader),
             (unsigned long long)record->number, (int)fault.len, fault.data);
    } else if (join->warnings == WARNINGS_MAX + 1) {
        warn(join, "%s: more bad %s, which are counted only", name,
             strcmp(reader_unit(reader), "entry") == 0 ? "entries" : "lines");
    }
}

/* ---- The steps ---- */

static int parse_batch(struct join *join, const struct reader *reader)
{
    struct flow_batch *batch = &join->batch;
    for (size_t i = 0; i < batch->count; i++) {
        struct flow_record *record = &batch->records[i];
        int err = 0;
        if (record->parsed != PARSED_BAD) {
            err = parser_parse(join->parser, batch->format, batch->only, &batch->arena, record);
        }
        if (err != 0) {
            return err;
        }
        if (record->parsed == PARSED_BAD) {
            count_bad(join, reader, record, record->fault);
        } else if (record->parsed == PARSED_FLOW && record->doubtful != NULL) {
            count_bad(join, reader, record,
                      (struct text){record->doubtful, strlen(record->doubtful)});
        }
    }
    return 0;
}

/* Marks repeats, and counts what is left out. */
static void sort_out(struct join *join)
{
    for (size_t i = 0; i < join->batch.count; i++) {
        struct flow_record *record = &join->batch.records[i];
        if (record->parsed == PARSED_FLOW && repeats_seen(join->repeats, &record->flow)) {
            record->parsed = PARSED_SKIPPED;
            record->skip = SKIP_REPEAT;
        }
        if (record->parsed == PARSED_SKIPPED) {
            join->totals.skipped[record->skip]++;
        }
    }
}

static int make_questions(struct join *join, size_t *count)
{
    const struct flow_batch *batch = &join->batch;
    if (join->question_cap < batch->count) {
        free(join->questions);
        free(join->asked);
        join->questions = calloc(batch->count, sizeof(*join->questions));
        join->asked = calloc(batch->count, sizeof(*join->asked));
        join->question_cap = batch->count;
    }
    if (join->questions == NULL || join->asked == NULL) {
        join->question_cap = 0;
        return -ENOMEM;
    }
    *count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct flow_record *record = &batch->records[i];
        const struct flow *flow = &record->flow;
        if (record->parsed != PARSED_FLOW || flow->unjoinable != NULL) {
            continue;
        }
        join->asked[*count] = i;
        join->questions[(*count)++] = (struct question){
            .cluster = join->options.cluster,
            .source = flow->source,
            .destination = flow->destination,
            .start_us = flow->start_us,
            .end_us = flow->end_us,
            .aggregated = flow->aggregated,
            .shows_start = flow->shows_start,
        };
    }
    return 0;
}

static void give_out(struct join *join, const struct flow_record *record,
                     const struct attribution *attribution)
{
    join->totals.flows++;
    join->totals.verdicts[attribution->verdict]++;
    join->options.sink->flow(join->sink, &join->out, record, attribution);
}

/* Gives out the records before `end` that no question was asked about. */
static void give_out_unasked(struct join *join, size_t end)
{
    for (; join->next < end; join->next++) {
        const struct flow_record *record = &join->batch.records[join->next];
        if (record->parsed == PARSED_FLOW) {
            struct attribution attribution = attribution_unjoinable(record->flow.unjoinable);
            give_out(join, record, &attribution);
        } else if (record->parsed == PARSED_SKIPPED && join->options.sink->left_out != NULL) {
            join->options.sink->left_out(join->sink, &join->out, record);
        }
    }
}

static int answered(void *ctx, size_t number, const struct attribution *attribution)
{
    struct join *join = ctx;
    size_t i = join->asked[number];
    give_out_unasked(join, i);
    give_out(join, &join->batch.records[i], attribution);
    join->next = i + 1;
    return join->out.err;
}

/* --to inline keeps JSON records: a single one that is not JSON refuses the input. */
static int check_json(const struct join *join, const struct reader *reader, struct why *why)
{
    for (size_t i = 0; join->options.sink->keeps_json && i < join->batch.count; i++) {
        const struct flow_record *record = &join->batch.records[i];
        if (record->parsed != PARSED_BAD && record->kept.data == NULL) {
            return why_set(why, W_EUSAGE,
                           "%s: %s %llu is not a JSON object, which --to %s needs; use --to ecs",
                           input_name(reader_input(reader)), reader_unit(reader),
                           (unsigned long long)record->number, join->options.sink->name);
        }
    }
    return 0;
}

static int write_out(struct join *join)
{
    const struct sink_kind *kind = join->options.sink;
    if (kind->flush != NULL) {
        kind->flush(join->sink, &join->out);
    }
    int err = join->out.err;
    if (err == 0 && join->out.len > 0) {
        err = join->options.write(join->options.write_ctx, join->out.data, join->out.len);
    }
    buf_reset(&join->out);
    return err;
}

static int join_batch(struct join *join, const struct reader *reader, struct why *why)
{
    size_t count;
    int err = parse_batch(join, reader);
    err = err != 0 ? err : check_json(join, reader, why);
    if (err != 0) {
        return err;
    }
    sort_out(join);
    err = make_questions(join, &count);
    if (err != 0) {
        return err;
    }
    if (!join->begun && join->options.sink->begin != NULL) {
        join->options.sink->begin(join->sink, &join->out);
    }
    join->begun = true;
    join->next = 0;
    if (count > 0) {
        const struct join_oracle *oracle = &join->options.oracle;
        err = oracle->ask(oracle->oracle, join->questions, count, answered, join, why);
    }
    if (err == 0) {
        give_out_unasked(join, join->batch.count);
        err = write_out(join);
    }
    return err;
}

int join_input(struct join *join, const char *path, struct why *why)
{
    struct reader *reader;
    struct why fault = {""};
    uint64_t bytes = join->totals.bytes;
    join->warnings = 0;
    int err = reader_open(&reader, path, join->options.format, join->parser, &fault);
    if (err == 0) {
        join->totals.inputs++;
    }
    while (err == 0 && (err = reader_next(reader, &join->batch, &fault)) > 0) {
        err = join_batch(join, reader, why);
        if (err != 0) {
            reader_close(&reader);
            return err;
        }
        join->totals.bytes = bytes + input_consumed(reader_input(reader));
        if (join->options.progress != NULL) {
            join->options.progress(join->options.report_ctx, &join->totals);
        }
    }
    reader_close(&reader);
    if (err == -ENOMEM) {
        return err;
    }
    if (err != 0) {
        join->totals.bad_inputs++;
        warn(join, "%s", fault.text);
    }
    return 0;
}

int join_ask_index(void *ctx, const struct question *questions, size_t count,
                   join_answered_fn answer, void *answer_ctx, struct why *why)
{
    struct join_index *index = ctx;
    struct attribution attribution;
    for (size_t i = 0; i < count; i++) {
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
