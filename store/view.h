/* store/view.h -- what the reading files of this folder share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: a view belongs to one thread at a time.
 */
#pragma once

#include "store/internal.h"

/* A window as one view sees it. */
struct view_window {
    struct window *window; /* one reference */
    MDB_txn *txn;          /* reset between refreshes, so that it pins no pages */
    MDB_cursor *rows;      /* of txn */
    bool live;             /* txn is begun or renewed */
    /* Found last. Ids never change within a window, so these hold over refreshes. */
    char cluster[STORE_CLUSTER_MAX + 1]; /* "": none yet */
    uint16_t cluster_id;
    uint32_t client_id; /* 0: none yet */
    uint16_t client_cluster;
    struct addr client;
};

/* A span in which answers could have been missed; pointers go into the state copy or are static. */
struct gap {
    int64_t from_us;
    int64_t to_us;
    const char *cluster; /* "": every cluster */
    const char *sender;
    const char *reason;
    uint64_t lost;
};

/* A span in which a stream listened. */
struct listened {
    int64_t from_us;
    int64_t to_us;
    const struct state_stream *stream;
};

struct store_view {
    struct store *store;
    uint64_t generation;  /* of the registry when the list was made */
    int64_t scanned_us;   /* monotonic time of the last look at the directory */
    uint64_t scanned_txn; /* of the state when it was looked at */
    struct view_window *windows;
    size_t window_count;
    struct state_copy state;
    struct gap *gaps; /* cuts and losses, by start; made anew with the state copy */
    size_t gap_count;
    struct runs *runs;    /* scratch */
    struct answer answer; /* scratch: the answer of the sighting being visited */
    uint8_t names[NAME_WIRE_MAX * (1 + ANSWER_CHAIN_MAX)]; /* its wire names */
    struct listened *listened; /* scratch of store_cover and store_blinds */
    uint64_t visited;          /* sightings given to callers so far */
};

/* Makes view->gaps from view->state. 0 or -ENOMEM. */
int cover_derive(struct store_view *view);

/* The window's read transaction, begun or renewed if need be; NULL on error (`*err`). */
MDB_txn *view_txn(struct view_window *vw, int *err);

/* Id of a cluster in a window; ENV_NOTFOUND if it has none of that name. */
int view_cluster(struct view_window *vw, MDB_txn *txn, const char *cluster, uint16_t *id);
int view_client(struct view_window *vw, MDB_txn *txn, uint16_t cluster, const struct addr *addr,
                uint32_t *id);
int view_client_row(struct view_window *vw, MDB_txn *txn, uint32_t id, struct client_row *row);
