/* join/hold.c -- flows that wait until what was answered before them is known
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/hold.h"

#include <errno.h>
#include <stdlib.h>

#include "join/join.h"
#include "join/tail.h"

struct hold {
    struct hold_options options;
    struct hold_batch *first;
    struct hold_batch *last;
    size_t count;
    size_t bytes;
    const char *settled_of; /* cluster of the last question */
    int64_t settled_us;     /* everything up to here is known to be settled for it */
};

void hold_batch_free(struct hold_batch **batch)
{
    if (*batch != NULL) {
        arena_fini(&(*batch)->arena);
        free((*batch)->records);
        free((*batch)->text);
        free(*batch);
        *batch = NULL;
    }
}

int hold_new(struct hold **out, const struct hold_options *options)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return -ENOMEM;
    }
    (*out)->options = *options;
    return 0;
}

/* The head is done with. */
static void drop_first(struct hold *hold)
{
    struct hold_batch *batch = hold->first;
    hold->first = batch->next;
    hold->last = hold->first == NULL ? NULL : hold->last;
    hold->bytes -= batch->bytes;
    batch->file->holders--;
    hold_batch_free(&batch);
}

void hold_free(struct hold **hold)
{
    while (*hold != NULL && (*hold)->first != NULL) {
        drop_first(*hold);
    }
    free(*hold);
    *hold = NULL;
}

/* From when on nothing that comes can change what is said of the flow; INT64_MIN: nothing is asked
 * about the record. */
static int64_t settled_at(const struct hold *hold, const struct flow_record *record)
{
    if (record->parsed != PARSED_FLOW || record->flow.unjoinable != NULL) {
        return INT64_MIN;
    }
    return join_question("", &record->flow).end_us + hold->options.skew_us;
}

void hold_push(struct hold *hold, struct hold_batch *batch)
{
    batch->next = NULL;
    batch->next_record = 0;
    batch->bytes = sizeof(*batch) + batch->text_len + batch->count * sizeof(struct flow_record);
    batch->latest_us = INT64_MIN;
    for (size_t i = 0; i < batch->count; i++) {
        int64_t at_us = settled_at(hold, &batch->records[i]);
        batch->latest_us = at_us > batch->latest_us ? at_us : batch->latest_us;
    }
    batch->file->holders++;
    if (hold->last != NULL) {
        hold->last->next = batch;
    } else {
        hold->first = batch;
    }
    hold->last = batch;
    hold->count += batch->count;
    hold->bytes += batch->bytes;
}

static bool ask_settled(struct hold *hold, const char *cluster, int64_t time_us, int64_t now_us)
{
    const struct hold_options *options = &hold->options;
    if (cluster == hold->settled_of && time_us <= hold->settled_us) {
        return true;
    }
    if (options->settled == NULL ||
        !options->settled(options->settled_ctx, cluster, time_us, now_us)) {
        return false;
    }
    hold->settled_of = cluster;
    hold->settled_us = time_us;
    return true;
}

/* By subtraction from the present: times come from outside and may be anything. */
static bool is_ready(struct hold *hold, const struct hold_batch *batch, int64_t time_us,
                     int64_t now_us)
{
    int64_t settle_us = hold->options.settle_us;
    return time_us == INT64_MIN || now_us - batch->read_us >= settle_us ||
           now_us - time_us >= settle_us ||
           ask_settled(hold, batch->file->cluster, time_us, now_us);
}

size_t hold_ready(struct hold *hold, int64_t now_us, bool drain, struct flow_record **records,
                  size_t *early)
{
    struct hold_batch *batch = hold->first;
    size_t count = 0;
    *early = 0;
    if (batch == NULL) {
        return 0;
    }
    *records = &batch->records[batch->next_record];
    /* One question for all of the batch, where that is enough. */
    is_ready(hold, batch, batch->latest_us, now_us);
    while (batch->next_record + count < batch->count) {
        int64_t time_us = settled_at(hold, &(*records)[count]);
        bool full =
            hold->bytes > hold->options.max_bytes || hold->count - count > hold->options.max_count;
        if (!is_ready(hold, batch, time_us, now_us)) {
            if (!full && !drain) {
                break;
            }
            (*early)++;
        }
        count++;
    }
    return count;
}

void hold_pop(struct hold *hold, size_t count)
{
    hold->first->next_record += count;
    hold->count -= count;
    if (hold->first->next_record == hold->first->count) {
        drop_first(hold);
    }
}

const struct tail_file *hold_file(const struct hold *hold)
{
    return hold->first != NULL ? hold->first->file : NULL;
}

static struct tail_place place_of(const struct hold_batch *batch, const struct flow_record *record)
{
    struct tail_place place = batch->at;
    place.offset += (uint64_t)(record->text.data - batch->text);
    place.number = record->number - 1;
    return place;
}

void hold_keep(const struct hold *hold)
{
    for (const struct hold_batch *batch = hold->first; batch != NULL; batch = batch->next) {
        struct tail_place place = place_of(batch, &batch->records[batch->next_record]);
        tail_keep(batch->file, &place);
    }
}

size_t hold_count(const struct hold *hold)
{
    return hold->count;
}

size_t hold_bytes(const struct hold *hold)
{
    return hold->bytes;
}

int64_t hold_oldest_us(const struct hold *hold)
{
    return hold->first != NULL ? hold->first->read_us : 0;
}
