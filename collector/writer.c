/* collector/writer.c -- the one thread that writes the index, and the queue before it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/err.h"
#include "base/log.h"
#include "collector/apply.h"

enum {
    QUEUE_BYTES_DEFAULT = 16 * 1024 * 1024,
    /* The loop holds one batch and each upload another (UPLOADS_MAX); some must be left to queue.
     */
    BATCHES_MIN = 8,
    /* Records take up to seven times the octets of their frames (names and chains uncompressed),
     * and a receiver looks at the room again after each read. */
    BATCHES_RESERVE = 16,
};

#define RETAIN_EVERY_US US_PER_MIN
/* Senders that come and go all the time must not make the disk the bottleneck of the others. */
#define URGENT_EVERY_US (50 * 1000)

struct writer {
    struct writer_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows up to the thread's own */
    pthread_cond_t work;  /* batches came, or stopping */
    pthread_cond_t done;  /* batches were given back, or a commit ended */
    struct batch *first;  /* handed over, oldest first */
    struct batch *last;
    struct batch *idle;
    uint32_t idle_count;
    uint32_t batch_count;
    uint64_t handed;    /* number of the last batch handed over */
    uint64_t applied;   /* ... applied */
    uint64_t committed; /* ... committed */
    int err;
    bool refused; /* somebody was told that there is no room */
    bool touched; /* owners have changed */
    bool stopping;

    /* the thread's own */
    struct applier applier;
    bool urgent;            /* somebody waits for the next commit */
    int64_t dirty_since_us; /* monotonic, of the oldest record not committed; 0: none */
    int64_t committed_us;   /* monotonic, of the last commit */
    int64_t retained_us;    /* monotonic */
};

/* ---- The queue: any thread ---- */

static bool has_room(const struct writer *writer)
{
    return writer->idle_count > BATCHES_RESERVE;
}

/* Half of the queue, so that reading does not stop and go with every batch. */
static bool has_room_again(const struct writer *writer)
{
    return writer->idle_count >= BATCHES_RESERVE + (writer->batch_count - BATCHES_RESERVE) / 2;
}

bool writer_has_room(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool room = has_room(writer);
    writer->refused |= !room;
    pthread_mutex_unlock(&writer->lock);
    return room;
}

bool writer_is_idle(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool idle = writer->applied == writer->handed;
    pthread_mutex_unlock(&writer->lock);
    return idle;
}

static struct timespec timespec_of(int64_t monotonic_us)
{
    return (struct timespec){monotonic_us / US_PER_S, monotonic_us % US_PER_S * 1000};
}

bool writer_wait_room(struct writer *writer, int64_t timeout_us)
{
    struct timespec until = timespec_of(clock_monotonic_us() + timeout_us);
    pthread_mutex_lock(&writer->lock);
    int err = 0;
    while (!has_room(writer) && err == 0) {
        err = pthread_cond_timedwait(&writer->done, &writer->lock, &until);
    }
    bool room = has_room(writer);
    pthread_mutex_unlock(&writer->lock);
    return room;
}

static void show_queue(const struct writer *writer)
{
    counter_set(COUNT_QUEUE_BYTES,
                (uint64_t)(writer->batch_count - writer->idle_count) * BATCH_BYTES);
}

struct batch *writer_take(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    struct batch *batch = writer->idle;
    if (batch != NULL) {
        writer->idle = batch->next;
        writer->idle_count--;
        batch->next = NULL;
        batch->urgent = false;
        batch->len = 0;
    }
    show_queue(writer);
    pthread_mutex_unlock(&writer->lock);
    return batch;
}

static void put_back(struct writer *writer, struct batch *batch)
{
    batch->next = writer->idle;
    writer->idle = batch;
    writer->idle_count++;
    show_queue(writer);
    pthread_cond_broadcast(&writer->done);
}

void writer_give_back(struct writer *writer, struct batch *batch)
{
    if (batch != NULL) {
        pthread_mutex_lock(&writer->lock);
        put_back(writer, batch);
        pthread_mutex_unlock(&writer->lock);
    }
}

uint64_t writer_hand_over(struct writer *writer, struct batch *batch, bool urgent)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t number = ++writer->handed;
    batch->number = number;
    batch->urgent = urgent;
    batch->next = NULL;
    if (writer->first == NULL) {
        writer->first = batch;
    } else {
        writer->last->next = batch;
    }
    writer->last = batch;
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
    return number;
}

void writer_touch(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    if (!writer->touched) {
        writer->touched = true;
        pthread_cond_signal(&writer->work);
    }
    pthread_mutex_unlock(&writer->lock);
}

uint64_t writer_committed(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t committed = writer->committed;
    pthread_mutex_unlock(&writer->lock);
    return committed;
}

bool writer_wait_committed(struct writer *writer, uint64_t number, int64_t timeout_us)
{
    struct timespec until = timespec_of(clock_monotonic_us() + timeout_us);
    pthread_mutex_lock(&writer->lock);
    int err = 0;
    while (writer->committed < number && err == 0) {
        err = pthread_cond_timedwait(&writer->done, &writer->lock, &until);
    }
    bool committed = writer->committed >= number;
    pthread_mutex_unlock(&writer->lock);
    return committed;
}

int writer_error(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    int err = writer->err;
    pthread_mutex_unlock(&writer->lock);
    return err;
}

/* ---- The thread ---- */

static void notify(const struct writer *writer)
{
    if (writer->options.notify != NULL) {
        writer->options.notify(writer->options.ctx);
    }
}

static void commit(struct writer *writer)
{
    int err = applier_commit(&writer->applier);
    writer->committed_us = clock_monotonic_us();
    /* A commit that failed is tried again, but not at once. */
    writer->dirty_since_us = writer->applier.dirty ? writer->committed_us : 0;
    writer->urgent = false;
    pthread_mutex_lock(&writer->lock);
    writer->committed = writer->applied;
    writer->err = err;
    pthread_cond_broadcast(&writer->done);
    pthread_mutex_unlock(&writer->lock);
    notify(writer);
}

static void retain(struct writer *writer)
{
    int64_t retention_us = writer->options.retention_us;
    if (retention_us > 0) {
        int dropped = store_retain(writer->options.store, clock_now_us(), retention_us);
        if (dropped > 0) {
            log_info("%d days past the retention dropped", dropped);
        }
    }
    writer->retained_us = clock_monotonic_us();
}

/* When the next thing is due that no batch brings about, on the monotonic clock. */
static int64_t next_due_us(const struct writer *writer)
{
    int64_t due_us = writer->retained_us + RETAIN_EVERY_US;
    if (writer->dirty_since_us != 0) {
        int64_t commit_us = writer->dirty_since_us + writer->options.commit_us;
        due_us = commit_us < due_us ? commit_us : due_us;
    }
    if (writer->urgent) {
        int64_t urgent_us = writer->committed_us + URGENT_EVERY_US;
        due_us = urgent_us < due_us ? urgent_us : due_us;
    }
    if (writer->applier.live_streams > 0) {
        int64_t heartbeat_us = writer->committed_us + writer->options.heartbeat_us;
        due_us = heartbeat_us < due_us ? heartbeat_us : due_us;
    }
    return due_us;
}

static void do_what_is_due(struct writer *writer)
{
    int64_t now_us = clock_monotonic_us();
    bool urgent = writer->urgent && now_us - writer->committed_us >= URGENT_EVERY_US;
    bool waited_long =
        writer->dirty_since_us != 0 && now_us - writer->dirty_since_us >= writer->options.commit_us;
    bool beat = writer->applier.live_streams > 0 &&
                now_us - writer->committed_us >= writer->options.heartbeat_us;
    if (urgent || waited_long || beat) {
        commit(writer);
    }
    if (now_us - writer->retained_us >= RETAIN_EVERY_US) {
        retain(writer);
    }
}

static void note_dirty(struct writer *writer)
{
    if (writer->dirty_since_us == 0 && writer->applier.dirty) {
        writer->dirty_since_us = clock_monotonic_us();
    }
}

/* The next batch, or NULL when something else is due or, with *stop set, nothing ever comes. */
static struct batch *next_batch(struct writer *writer, bool *stop)
{
    struct timespec until = timespec_of(next_due_us(writer));
    pthread_mutex_lock(&writer->lock);
    int err = 0;
    while (writer->first == NULL && !writer->stopping && !writer->touched && err == 0) {
        err = pthread_cond_timedwait(&writer->work, &writer->lock, &until);
    }
    struct batch *batch = writer->first;
    if (batch != NULL) {
        writer->first = batch->next;
    }
    *stop = batch == NULL && writer->stopping;
    bool touched = writer->touched;
    writer->touched = false;
    pthread_mutex_unlock(&writer->lock);
    if (touched) {
        writer->applier.dirty = true;
        note_dirty(writer);
    }
    return batch;
}

static void apply(struct writer *writer, struct batch *batch)
{
    applier_apply(&writer->applier, batch);
    note_dirty(writer);
    pthread_mutex_lock(&writer->lock);
    writer->applied = batch->number;
    put_back(writer, batch);
    bool room_again = writer->refused && has_room_again(writer);
    writer->refused &= !room_again;
    pthread_mutex_unlock(&writer->lock);
    if (room_again) {
        notify(writer);
    }
}

static void *run(void *arg)
{
    struct writer *writer = arg;
    bool stop = false;
    retain(writer);
    while (!stop) {
        struct batch *batch = next_batch(writer, &stop);
        if (batch != NULL) {
            writer->urgent |= batch->urgent;
            apply(writer, batch);
        }
        do_what_is_due(writer);
    }
    if (writer->applier.dirty || writer->urgent) {
        commit(writer);
    }
    return NULL;
}

/* ---- Start and end ---- */

static int allocate(struct writer *writer, uint64_t queue_bytes)
{
    uint64_t count = queue_bytes / BATCH_BYTES;
    writer->batch_count = (uint32_t)(count < BATCHES_MIN ? BATCHES_MIN : count) + BATCHES_RESERVE;
    for (uint32_t i = 0; i < writer->batch_count; i++) {
        struct batch *batch = batch_new();
        if (batch == NULL) {
            return -ENOMEM;
        }
        batch->next = writer->idle;
        writer->idle = batch;
        writer->idle_count++;
    }
    counter_set(COUNT_QUEUE_LIMIT, (uint64_t)(writer->batch_count - BATCHES_RESERVE) * BATCH_BYTES);
    return 0;
}

static void fini(struct writer *writer)
{
    while (writer->idle != NULL) {
        struct batch *batch = writer->idle;
        writer->idle = batch->next;
        free(batch);
    }
    pthread_cond_destroy(&writer->work);
    pthread_cond_destroy(&writer->done);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

static void init_locks(struct writer *writer)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->work, &attr);
    pthread_cond_init(&writer->done, &attr);
    pthread_condattr_destroy(&attr);
}

int writer_new(struct writer **out, const struct writer_options *options)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    *out = NULL;
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->options = *options;
    writer->options.commit_us = options->commit_us != 0 ? options->commit_us : US_PER_S;
    writer->options.heartbeat_us =
        options->heartbeat_us != 0 ? options->heartbeat_us : 5 * US_PER_S;
    writer->committed_us = clock_monotonic_us() - URGENT_EVERY_US;
    /* The first commit says that a writer is there, even if nothing ever comes. */
    writer->dirty_since_us = clock_monotonic_us();
    applier_init(&writer->applier, options->store, options->owners);
    init_locks(writer);
    int err =
        allocate(writer, options->queue_bytes != 0 ? options->queue_bytes : QUEUE_BYTES_DEFAULT);
    err = err == 0 ? -pthread_create(&writer->thread, NULL, run, writer) : err;
    if (err != 0) {
        fini(writer);
        return err;
    }
    *out = writer;
    return 0;
}

void writer_free(struct writer **out)
{
    struct writer *writer = *out;
    *out = NULL;
    if (writer == NULL) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    fini(writer);
}
