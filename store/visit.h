/* store/visit.h -- reading answer sets and rows, window by window
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the questions of by_client.c and by_name.c have in common. A question runs its body in each
 * window that its span touches; the body finds rows, and each run of a row that has an answer
 * within the span goes to the caller's function.
 *
 * Threads: as the view.
 */
#pragma once

#include "store/view.h"

/* What a visit of rows needs to know. */
struct visit {
    struct store_view *view;
    struct view_window *vw;
    MDB_txn *txn;
    const char *cluster;
    int64_t from_us;
    int64_t to_us;
    store_sighting_fn fn;
    void *ctx;
    bool bare;           /* sightings are given without their answers */
    uint32_t *runs_left; /* W_ELIMIT when more runs must be read; NULL: no bound */
};

typedef int (*window_fn)(const struct visit *visit, uint16_t cluster, void *arg);

/* Runs `body` in each window that the span touches, the newest first. A run does not go on over
 * midnight, so windows are chosen by the answers' times alone. 0, 1 if `fn` stopped, or an error.
 */
int each_window(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                store_sighting_fn fn, void *ctx, window_fn body, void *arg);

/* "Not there" is no error of a whole question, and `fn` stopping it is 1, too: keep the two apart.
 */
int absent_is_fine(int err);

/* Id of a lower-case wire name in the window; ENV_NOTFOUND if it has it not. */
int name_id(const struct visit *visit, const uint8_t *wire, uint32_t *id);
/* Reads an answer set: its row, and what follows it in the table (chain ids, addresses). */
int view_set(struct view_window *vw, MDB_txn *txn, uint32_t set, struct set_row *row,
             const uint8_t **rest);
/* Reads answer set `set` with its names into view->answer. */
int view_answer(struct store_view *view, struct view_window *vw, MDB_txn *txn, uint32_t set);

/* Visits the row of (client, set) whose chunk 0 is `value`. */
int visit_row(const struct visit *visit, uint32_t client, uint32_t set, const struct addr *addr,
              const MDB_val *value);
/* Finds the row first; visits nothing if there is none. */
int visit_pair(const struct visit *visit, uint32_t client, uint32_t set, const struct addr *addr);

/* store_by_address that visits no more than about `per_set` sightings of each answer set (0: all);
 * `*bounded` becomes true where there may be more. */
int visit_address(struct store_view *view, const char *cluster, const struct addr *address,
                  int64_t from_us, int64_t to_us, uint32_t per_set, bool *bounded,
                  store_sighting_fn fn, void *ctx);
