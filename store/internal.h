/* store/internal.h -- what the files of this folder share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: `registry` is guarded by its lock; `counters` are atomic; everything under "writer
 * thread" belongs to that thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/intern.h"
#include "store/run.h"
#include "store/state.h"
#include "store/store.h"
#include "store/window.h"

/* Windows being written at once; a capture that spans more days closes the one used longest ago. */
#define WRITING_MAX 4
#define CLUSTERS_MAX 256

/* The one list of open windows of a process: LMDB forbids opening an environment twice. */
struct registry {
    pthread_mutex_t lock;
    struct window **windows; /* by day, then serial */
    size_t count;
    size_t cap;
    uint64_t generation; /* changes whenever the list does */
};

/* One answer that waits for the next commit. */
struct pending {
    uint64_t key; /* client id << 32 | set id */
    int64_t time_us;
    uint32_t ttl_s;
};

/* Minutes of an hour in which a client asked. */
struct asked_minutes {
    uint32_t client;
    uint8_t hour;
    bool capped;
    uint64_t minutes;
};

/* A (set, client) pair that the window did not have. */
struct new_pair {
    uint32_t set;
    uint32_t client;
};

/* A window being written: the open transaction and what waits for it. */
struct writing {
    struct window *window; /* one reference; NULL: unused */
    MDB_txn *txn;          /* open since the first change after a commit */
    struct client_table clients;
    struct set_table sets;
    uint16_t cluster_ids[CLUSTERS_MAX]; /* store cluster -> id in this window + 1 */
    struct pending *pending;
    struct pending *sorted; /* scratch of the same size, for sorting */
    size_t pending_count;
    size_t pending_max;
    struct asked_minutes *minutes; /* of hours that are over; grows */
    size_t minutes_count;
    size_t minutes_cap;
    struct new_pair *pairs; /* scratch, as large as pending */
    size_t pair_count;
    bool asked; /* some client has minutes to write */
    /* The span of what waits, so of what is lost if the commit fails; 0: nothing waits. */
    int64_t first_us;
    int64_t last_us;
    struct window_totals totals;
    uint64_t used; /* tick of the last use */
};

struct store {
    char *dir;
    enum store_mode mode;
    uint64_t memory_bytes;
    uint32_t answers_per_hour;
    int lock_fd; /* of writer.lock; -1 when reading */
    struct registry registry;
    struct state *state;
    struct {
        atomic_uint_fast64_t answers, sightings, capped, lost, commits, commit_failures;
        atomic_uint_fast64_t commit_us_max, commit_us_sum;
    } counters;

    /* writer thread */
    char clusters[CLUSTERS_MAX][STORE_CLUSTER_MAX + 1];
    uint16_t cluster_count;
    struct writing writing[WRITING_MAX];
    uint64_t tick;
    uint32_t next_serial;
    struct runs *runs;  /* scratch */
    struct runs *older; /* scratch: an older chunk of the same row */
    int window_err;     /* why no window could be made since the last commit; 0: none was refused */
    pthread_t reaper[16]; /* threads that close dropped windows */
    size_t reaper_count;
};

/* ---- registry.c ---- */

/* Reads the directory: opens windows that are new, forgets those that are gone. */
int registry_scan(struct store *store, struct why *why);
/* The newest window of a day with a reference for the caller, NULL if there is none. */
struct window *registry_find(struct store *store, int64_t start_us);
/* Adds one; the registry takes the caller's reference over. */
int registry_add(struct store *store, struct window *window);
/* Removes one from the list and gives its reference to the caller. */
void registry_remove(struct store *store, struct window *window);
void registry_fini(struct store *store);
/* Path of a window's file; `path` has 4096 octets. */
void registry_path(const struct store *store, int64_t start_us, uint32_t serial, char *path);

/* ---- writer.c ---- */

/* Aborts and frees a window being written. */
void writing_close(struct writing *writing);
/* The transaction of a window being written, begun if need be. */
int writing_txn(struct writing *writing);

/* ---- commit.c ---- */

/* Writes everything that waits and commits the window's transaction. On an error what waited is
 * dropped and noted as a loss, and the window is closed. */
int writing_commit(struct store *store, struct writing *writing);
/* Notes that answers of the span could not be kept because of `err`. */
void lose(struct store *store, int64_t from_us, int64_t to_us, uint64_t answers, int err);
