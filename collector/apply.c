/* collector/apply.c -- puts batches into the index and decides when to commit
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/apply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void applier_init(struct applier *applier, struct store *store, const struct owner_keeper *owners)
{
    *applier = (struct applier){
        .store = store,
        .owners = owners,
        .limit = {.interval_us = 10 * US_PER_S, .burst = 1},
    };
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

static void add_tally(struct applier *applier, struct record *record)
{
    struct tally tally;
    memcpy(&tally, record_answer(record), sizeof(tally));
    store_stream_tally(applier->store, record->stream->number, &tally);
}

static void hint(struct applier *applier, struct record *record)
{
    if (applier->owners != NULL) {
        applier->owners->hint(applier->owners->ctx, record->stream->cluster, &record->client,
                              record->time_us, (const char *)record_answer(record),
                              record->answer_len);
    }
}

/* Records about what was heard do not count for a stream the index has no room for: its time stays
 * unwatched. */
static void apply_stream(struct applier *applier, struct record *record)
{
    bool known = record->stream->number != 0;
    switch (record->type) {
    case RECORD_BEGIN:
        begin(applier, record->stream);
        break;
    case RECORD_LOST:
        store_loss(applier->store, record->stream->cluster_number, record->time_us, record->to_us,
                   record->count, "unusable-frames");
        break;
    case RECORD_HINT:
        hint(applier, record);
        break;
    case RECORD_TALLY:
        if (known) {
            add_tally(applier, record);
        }
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
    /* The store counts what it cannot keep. A client over its limit is no fault of the index. */
    if (err != 0 && err != W_ELIMIT && applier->refused == 0) {
        applier->refused = err;
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
    if (applier->owners != NULL) {
        applier->owners->save(applier->owners->ctx, applier->store);
    }
    int err = store_commit(applier->store, clock_now_us(), &why);
    applier->dirty = err != 0;
    applier->refused = 0;
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
