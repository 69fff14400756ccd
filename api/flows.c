/* api/flows.c -- POST /v1/flows: flow records from a log shipper in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/pending.h"
#include "api/service.h"
#include "base/clock.h"
#include "base/counters.h"
#include "join/loki_push.h"
#include "join/reader.h"

struct flows *flows_new(struct worker *worker)
{
    struct flows *flows = calloc(1, sizeof(*flows));
    if (flows != NULL) {
        flows->worker = worker;
    }
    return flows;
}

void flows_free(struct flows *flows)
{
    struct api *api = flows->worker->api;
    join_free(&flows->join);
    held_free(&flows->body, api);
    buf_fini(&flows->out);
    if (flows->slot) {
        atomic_fetch_sub(&api->replies, 1);
        pending_wake(api->pending);
    }
    free(flows);
}

/* ---- The body as an input ---- */

static int64_t read_body(void *ctx, char *bytes, size_t len, struct why *why)
{
    struct flows *flows = ctx;
    size_t left = flows->body.len - flows->at;
    (void)why;
    len = len < left ? len : left;
    if (len > 0) {
        memcpy(bytes, flows->body.bytes + flows->at, len);
        flows->at += len;
    }
    return (int64_t)len;
}

static int open_body(struct flows *flows, struct input **input)
{
    const struct input_feed feed = {
        .name = "body",
        .read = read_body,
        .ctx = flows,
        .zlib = flows->form == FLOWS_ZLIB,
        .max_bytes = flows->worker->api->options.max_body,
    };
    flows->at = 0;
    return input_open_feed(input, &feed);
}

static unsigned claim_nothing(struct parser *parser, struct text line)
{
    (void)parser;
    (void)line;
    return 0;
}

static enum parsed disown(struct parser *parser, struct text line, const struct outer *outer,
                          struct flow_record *record)
{
    (void)parser;
    (void)line;
    (void)outer;
    (void)record;
    return PARSED_FOREIGN;
}

/* Where no format is found every record is looked at by itself: one that shows among many that do
 * not is one flow, and not a refused body. */
static const struct format UNKNOWN = {
    .name = "known flow",
    .description = "",
    .score = claim_nothing,
    .parse = disown,
};

/* ---- The first reading ---- */

static void too_busy(struct problem *problem, const char *what, int err)
{
    problem_set(problem, 503, NULL, "%s: %s", what, err_str(err));
}

/* Replaces what Alloy sends by the document it stands for. */
static void unpack_loki(struct flows *flows, struct problem *problem)
{
    struct api *api = flows->worker->api;
    struct why why = {""};
    struct buf json = {.max = (size_t)api->options.max_body};
    int err = loki_push_json((const uint8_t *)flows->body.bytes, flows->body.len,
                             (size_t)api->options.max_body, &json, &why);
    if (err == 0) {
        held_free(&flows->body, api);
        err = held_add(&flows->body, api, json.data, json.len);
        if (err != 0) {
            too_busy(problem, "no room for the request", err);
        }
    } else if (err == -ENOMEM) {
        too_busy(problem, "the request cannot be read", err);
    } else {
        problem_set(problem, err == W_ELIMIT ? 413 : 400, "body", "%s", why.text);
    }
    buf_fini(&json);
    flows->form = FLOWS_PLAIN;
}

static void note_fault(struct flows *flows, struct text fault, const char *unit, uint64_t number)
{
    flows->counts.bad++;
    if (flows->fault.text[0] == '\0') {
        why_set(&flows->fault, 0, "%s %" PRIu64 ": %.*s", unit, number, (int)fault.len, fault.data);
    }
}

static int take_dns(struct flows *flows, const struct dns_record *dns)
{
    const struct api_answers *answers = flows->worker->api->options.answers;
    flows->counts.dns++;
    return answers == NULL ? 0 : answers->add(answers->ctx, flows->cluster, dns);
}

static int count_record(struct flows *flows, const struct flow_record *record, const char *unit)
{
    switch (record->parsed) {
    case PARSED_FLOW:
        flows->counts.flows++;
        flows->latest_us =
            record->flow.end_us > flows->latest_us ? record->flow.end_us : flows->latest_us;
        if (record->doubtful != NULL) {
            struct text fault = {record->doubtful, strlen(record->doubtful)};
            note_fault(flows, fault, unit, record->number);
        }
        return 0;
    case PARSED_DNS:
        return take_dns(flows, &record->dns);
    case PARSED_SKIPPED:
        flows->counts.left_out++;
        return 0;
    default:
        note_fault(flows, record->fault, unit, record->number);
        return 0;
    }
}

static int count_batch(struct flows *flows, struct flow_batch *batch, struct parser *parser,
                       const char *unit)
{
    int err = flow_batch_parse(batch, parser);
    for (size_t i = 0; i < batch->count && err == 0; i++) {
        err = count_record(flows, &batch->records[i], unit);
    }
    return err;
}

/* The body ends early, or its compression is damaged: what came before it counts. */
static void judge_end(struct flows *flows, int err, const struct why *why, struct problem *problem)
{
    if (err == W_ELIMIT) {
        problem_set(problem, 413, "body",
                    "the body is longer than %" PRIu64 " bytes uncompressed (--http-max-body)",
                    flows->worker->api->options.max_body);
    } else if (err == W_ESYNTAX || err == W_EDAMAGED || err == W_EFORMAT) {
        flows->counts.bad++;
        if (flows->fault.text[0] == '\0') {
            flows->fault = *why;
        }
    } else if (err < 0) {
        too_busy(problem, "the flows cannot be read", err);
    }
}

static void read_records(struct flows *flows, struct parser *parser, struct problem *problem)
{
    struct input *input;
    struct reader *reader = NULL;
    struct flow_batch batch = {0};
    struct why why = {""};
    int taken = 0;
    int err = open_body(flows, &input);
    err = err == 0 ? reader_new(&reader, input, flows->format, &UNKNOWN, parser, &why) : err;
    while (err == 0 && taken == 0 && (err = reader_next(reader, &batch, &why)) > 0) {
        taken = count_batch(flows, &batch, parser, reader_unit(reader));
        err = 0;
    }
    if (taken != 0) {
        too_busy(problem, "the DNS responses cannot be taken", taken);
    }
    judge_end(flows, err, &why, problem);
    flow_batch_fini(&batch);
    reader_close(&reader);
}

/* The names that this body brings must be there when its flows are looked up. */
static void commit_dns(struct flows *flows, struct problem *problem)
{
    const struct api_answers *answers = flows->worker->api->options.answers;
    int err = answers != NULL && flows->counts.dns > 0 ? answers->commit(answers->ctx) : 0;
    if (err != 0) {
        too_busy(problem, "the DNS responses cannot be committed", err);
    }
}

static void count_all(const struct flows_counts *counts)
{
    counter_add(COUNT_PUSHED_FLOWS, counts->flows);
    counter_add(COUNT_PUSHED_LEFT_OUT, counts->left_out);
    counter_add(COUNT_PUSHED_DNS, counts->dns);
    counter_add(COUNT_PUSHED_BAD, counts->bad);
}

void flows_survey(struct flows *flows, struct parser *parser, struct problem *problem)
{
    const struct flows_counts *counts = &flows->counts;
    if (flows->form == FLOWS_LOKI) {
        unpack_loki(flows, problem);
    }
    if (problem->status == 0) {
        read_records(flows, parser, problem);
    }
    if (problem->status == 0) {
        commit_dns(flows, problem);
    }
    count_all(counts);
    if (counts->bad > 0 && counts->flows + counts->left_out + counts->dns == 0) {
        problem_set(problem, 400, "body", "not one record could be read; %.250s",
                    flows->fault.text);
    }
}

/* ---- The second reading ---- */

static int ask(void *oracle, const struct question *questions, size_t count,
               join_answered_fn answered, void *ctx, struct why *why)
{
    struct flows *flows = oracle;
    struct attribution attribution;
    int64_t now_us = clock_now_us();
    for (size_t i = 0; i < count; i++) {
        int err = worker_attribute(flows->worker, &questions[i], now_us, &attribution);
        if (err < 0) {
            return why_set(why, err, "the index could not be read: %s", err_str(err));
        }
        err = answered(ctx, i, &attribution);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int write_out(void *ctx, const char *bytes, size_t len)
{
    struct flows *flows = ctx;
    buf_add(&flows->out, bytes, len);
    return flows->out.err;
}

int flows_begin_reply(struct flows *flows)
{
    struct input *input;
    const struct join_options options = {
        .cluster = flows->cluster,
        .format = flows->format,
        .sink = &SINK_ECS,
        .sink_options = {.cluster = flows->cluster},
        .oracles = &flows->oracle,
        .workers = 1,
        .write = write_out,
        .write_ctx = flows,
    };
    flows->oracle = (struct join_oracle){ask, flows};
    int err = open_body(flows, &input);
    if (err != 0) {
        return err;
    }
    err = join_new(&flows->join, &options);
    if (err != 0) {
        input_close(&input);
        return err;
    }
    return join_open(flows->join, input, &UNKNOWN);
}

/* Fills `out` with the next records. */
static int fill(struct flows *flows)
{
    struct problem problem = {0};
    struct why why = {""};
    buf_reset(&flows->out);
    flows->sent = 0;
    /* The replies of other connections are made between the batches of this one: each batch looks
     * at the latest commit, as they do. */
    if (worker_view(flows->worker, &problem) == NULL) {
        return -EIO;
    }
    int more = 1;
    while (more > 0 && flows->out.len == 0) {
        more = join_step(flows->join, &why);
    }
    worker_rest(flows->worker);
    flows->done = more == 0;
    return more < 0 ? more : 0;
}

ssize_t flows_read(void *ctx, char *bytes, size_t cap)
{
    struct flows *flows = ctx;
    if (flows->sent == flows->out.len && !flows->done && fill(flows) != 0) {
        return -1;
    }
    size_t len = flows->out.len - flows->sent;
    len = len < cap ? len : cap;
    if (len > 0) {
        memcpy(bytes, flows->out.data + flows->sent, len);
        flows->sent += len;
    }
    return (ssize_t)len;
}

void flows_end_reply(void *flows)
{
    flows_free(flows);
}
