/* collector/writer.h -- the one thread that writes the index, and the queue before it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Receivers fill batches and hand them over; the writer applies them in that order and commits at
 * most a second after the first record that waits: when the store is full, and where somebody waits
 * for the commit, at once, though not for the latter more than 20 times a second. While senders are
 * connected it also commits every 5 s without need, so that the index tells "quiet" from "dead".
 * Once a minute it drops the windows past the retention.
 *
 * The queue is bounded: all batches there will ever be are allocated at the start (memory that was
 * never used costs nothing). When no more than a reserve is left, writer_has_room is false and
 * receivers stop reading: nothing is dropped here, the senders' own queues absorb the wait. The
 * reserve takes what one read that has already begun may still need.
 *
 * Threads: everything may be called from any thread but for writer_new and writer_free. The
 * callback is called from the writer thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/apply.h"
#include "collector/batch.h"
#include "store/store.h"

struct writer;

struct writer_options {
    struct store *store;  /* borrowed; written only by the writer from writer_new to writer_free */
    uint64_t queue_bytes; /* bound on the batches that wait; 0: 16 MiB */
    int64_t retention_us; /* 0: nothing is ever dropped */
    int64_t commit_us;    /* longest wait of a record for its commit to begin; 0: 1 s */
    int64_t heartbeat_us; /* 0: 5 s */
    const struct owner_keeper *owners; /* borrowed; may be NULL */
    /* Called after each commit, and once when there is room again after writer_has_room was false.
     * Must not block. May be NULL. */
    void (*notify)(void *ctx);
    void *ctx;
};

/* Starts the thread. Returns 0, -ENOMEM or -errno. */
int writer_new(struct writer **writer, const struct writer_options *options);
/* Applies what was handed over, commits, ends the thread and frees everything. Batches that were
 * taken and not handed over must have been given back. *writer may be NULL. */
void writer_free(struct writer **writer);

/* May a receiver read on? If not, the callback tells when. */
bool writer_has_room(struct writer *writer);
/* True if everything handed over has been applied, so that handing over more is cheap. */
bool writer_is_idle(struct writer *writer);
/* Waits up to `timeout_us` for room. True if there is. */
bool writer_wait_room(struct writer *writer, int64_t timeout_us);

/* An empty batch, NULL if even the reserve is used up. */
struct batch *writer_take(struct writer *writer);
/* Hands a batch over and returns its number, never 0. `urgent`: somebody waits for its commit. */
uint64_t writer_hand_over(struct writer *writer, struct batch *batch, bool urgent);
/* Gives a batch back unused. NULL is fine. */
void writer_give_back(struct writer *writer, struct batch *batch);

/* The keeper of owners has something to save: a commit follows as it does a record. */
void writer_touch(struct writer *writer);

/* The number up to which every batch is committed (or lost: the commit failed). */
uint64_t writer_committed(struct writer *writer);
/* Waits up to `timeout_us` until that number is reached. True if it is. */
bool writer_wait_committed(struct writer *writer, uint64_t number, int64_t timeout_us);
/* 0, or the error of the last commit. */
int writer_error(struct writer *writer);
