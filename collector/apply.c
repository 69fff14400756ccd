/* collector/apply.c -- puts batches into the index and decides when to commit
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/apply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"

void applier_init(struct applier *applier, struct store *store)
{
    *applier = (struct applier){
        .store = store,
        .limit = {.interval_us = 10 * US_PER_S, .burst = 1},
    };
}

static const char *loss_reason(int err)
{
    switch (err) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return "disk-full";
    case -ENOMEM:
        return "no-memory";
    default:
        return "write-failed";
    }
}

static void flush_unkept(struct applier *applier)
{
    struct unkept *unkept = &applier->unkept;
    if (unkept->err != 0) {
        store_loss(applier->store, unkept->cluster, unkept->from_us, unkept->to_us, unkept->count,
                   loss_reason(unkept->err));
        *unkept = (struct unkept){0};
    }
}

/* Widens the loss by one record; one of another cluster begins a new loss. */
static void note_unkept(struct applier *applier, const struct record *record, int err)
{
    struct unkept *unkept = &applier->unkept;
    uint16_t cluster = record->stream->cluster_number;
    if (unkept->err != 0 && unkept->cluster != cluster) {
        flush_unkept(applier);
    }
    if (unkept->err == 0) {
        *unkept = (struct unkept){0, record->time_us, record->time_us, cluster, err};
    }
    unkept->count += record->type == RECORD_ANSWER;
    unkept->from_us = record->time_us < unkept->from_us ? record->time_us : unkept->from_us;
    unkept->to_us = record->time_us > unkept->to_us ? record->time_us : unkept->to_us;
}

static void begin(struct applier *applier, struct stream *stream)
{
    stream->cluster_number = store_cluster(applier->store, stream->cluster);
    stream->number = store_stream_begin(applier->store, stream->kind, stream->cluster_number,
                                        stream->identity, stream->identity_len, stream->version,
                                        stream->version_len, stream->peer, stream->from_us);
    applier->live_streams += stream->kind == STREAM_LIVE;
}

static void end(struct applier *applier, const struct record *record)
{
    struct stream *stream = record->stream;
    if (stream->number != 0) {
        store_stream_end(applier->store, stream->number, (enum store_stream_end)record->end);
    }
    applier->live_streams -= stream->kind == STREAM_LIVE;
    free(stream);
}

static void heard(struct applier *applier, const struct record *record)
{
    uint32_t number = record->stream->number;
    store_stream_heard(applier->store, number, record->time_us);
    if (record->late_us > 0) {
        store_stream_heard(applier->store, number, record->time_us - record->late_us);
    }
}

/* Records about what was heard do not count for a stream the index has no room for: its time stays
 * unwatched. */
static void apply_stream(struct applier *applier, const struct record *record)
{
    bool known = record->stream->number != 0;
    switch (record->type) {
    case RECORD_BEGIN:
        begin(applier, record->stream);
        break;
    case RECORD_HEARD:
        if (known) {
            heard(applier, record);
        }
        break;
    case RECORD_COVERS:
        if (known) {
            store_stream_covers(applier->store, record->stream->number, record->time_us,
                                record->to_us);
        }
        break;
    default:
        end(applier, record);
    }
}

static void apply_answer(struct applier *applier, struct record *record)
{
    uint16_t cluster = record->stream->cluster_number;
    int err = record->type == RECORD_ASKED
                  ? store_asked(applier->store, cluster, &record->client, record->time_us)
                  : store_answer(applier->store, cluster, &record->client, record->time_us,
                                 record->ttl_s, record_answer(record), record->answer_len);
    /* A client over its limit is counted and marked by the store itself. */
    if (err != 0 && err != W_ELIMIT) {
        note_unkept(applier, record, err);
    }
}

void applier_apply(struct applier *applier, struct batch *batch)
{
    struct record *record = NULL;
    while ((record = batch_next(batch, record)) != NULL) {
        if (record->type == RECORD_ASKED || record->type == RECORD_ANSWER) {
            apply_answer(applier, record);
            if (record->type == RECORD_ANSWER && store_full(applier->store)) {
                applier_commit(applier);
            }
        } else {
            /* END frees the stream, but not the record. */
            apply_stream(applier, record);
        }
    }
    applier->dirty |= batch->len > 0;
    batch->len = 0;
}

int applier_commit(struct applier *applier)
{
    struct why why = {""};
    uint32_t suppressed;
    flush_unkept(applier);
    int err = store_commit(applier->store, clock_now_us(), &why);
    applier->dirty = err != 0;
    applier->failures += err != 0;
    if (err != 0 && log_limit_pass(&applier->limit, clock_monotonic_us(), &suppressed)) {
        log_error("%s; answers since the last commit are lost and their time counts as blind "
                  "(%" PRIu64 " commits failed so far)",
                  why.text, applier->failures);
    }
    if (err == 0 && applier->err != 0) {
        log_warn("the index is written again after %" PRIu64 " failed commits", applier->failures);
    }
    applier->err = err;
    return err;
}
