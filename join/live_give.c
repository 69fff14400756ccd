/* join/live_give.c -- a live join asks, gives out, and writes
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "join/live_parts.h"

/* How long after an error that may pass the same is tried again. */
#define RETRY_US US_PER_S

/* ---- Asked and given out ---- */

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

/* ---- Written ---- */

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
        live_warn(live, "%s; nothing is read until this passes", text);
    }
}

static void unblock(struct live *live)
{
    live->retry_us = 0;
    counter_set(COUNT_FOLLOW_BLOCKED, 0);
    if (live->said != 0) {
        live->said = 0;
        live_warn(live, "going on");
    }
}

const char *live_out_name(const struct live *live)
{
    const char *path = out_path(live->out);
    return path != NULL ? path : "standard output";
}

int live_write_pending(struct live *live, struct why *why)
{
    char text[512];
    int err = out_write(live->out, live->pending.data, live->pending.len);
    live->is_pending = err != 0;
    if (err == 0 || err == -EPIPE) {
        return err;
    }
    snprintf(text, sizeof(text), "%s: %s", live_out_name(live), strerror(-err));
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
        err = live_write_pending(live, why);
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

int live_decide(struct live *live, int64_t now_us, bool drain, struct why *why)
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
