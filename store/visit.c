/* store/visit.c -- reading answer sets and rows, window by window
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/visit.h"

#include <errno.h>
#include <string.h>

#include "store/env.h"

/* Copies the wire name of an id to `*at` and moves it on. */
static int copy_name(struct view_window *vw, MDB_txn *txn, uint32_t id, uint8_t **at)
{
    MDB_val value;
    int err = window_get(vw->window, txn, DB_NAME_IDS, &id, sizeof(id), &value);
    if (err != 0 || value.mv_size > NAME_WIRE_MAX || value.mv_size == 0) {
        return err < 0 ? err : W_EDAMAGED;
    }
    memcpy(*at, value.mv_data, value.mv_size);
    *at += value.mv_size;
    return 0;
}

int view_set(struct view_window *vw, MDB_txn *txn, uint32_t set, struct set_row *row,
             const uint8_t **rest)
{
    MDB_val value;
    int err = window_get(vw->window, txn, DB_SETS, &set, sizeof(set), &value);
    if (err != 0 || value.mv_size < sizeof(*row)) {
        return err < 0 ? err : W_EDAMAGED;
    }
    memcpy(row, value.mv_data, sizeof(*row));
    size_t need = sizeof(*row) + row->chain_count * 4u + row->v4_count * 4u + row->v6_count * 16u;
    *rest = (const uint8_t *)value.mv_data + sizeof(*row);
    return value.mv_size == need && row->chain_count <= ANSWER_CHAIN_MAX ? 0 : W_EDAMAGED;
}

int view_answer(struct store_view *view, struct view_window *vw, MDB_txn *txn, uint32_t set)
{
    struct set_row row;
    const uint8_t *rest;
    uint8_t *name = view->names;
    int err = view_set(vw, txn, set, &row, &rest);
    if (err != 0) {
        return err;
    }
    view->answer = (struct answer){.asked = name,
                                   .chain_count = row.chain_count,
                                   .v4_count = row.v4_count,
                                   .v6_count = row.v6_count,
                                   .v4 = rest + row.chain_count * 4u,
                                   .v6 = rest + row.chain_count * 4u + row.v4_count * 4u};
    if (answer_set_head(&view->answer, row.head) != 0) {
        return W_EDAMAGED;
    }
    err = copy_name(vw, txn, row.asked, &name);
    for (uint8_t i = 0; i < row.chain_count && err == 0; i++) {
        uint32_t id;
        memcpy(&id, rest + i * 4u, sizeof(id));
        view->answer.chain[i] = name;
        err = copy_name(vw, txn, id, &name);
    }
    return err;
}

/* True if one of the run's answers lies within the span; where times were thinned, one may. */
static bool has_answer_within(const struct run *run, int64_t from_us, int64_t to_us)
{
    if (run->first_us > to_us || run->last_us < from_us) {
        return false;
    }
    uint16_t i = 0;
    while (run->times[i] < from_us) { /* ends at last_us at the latest */
        i++;
    }
    return run->times[i] <= to_us || run->approximate;
}

static uint64_t answer_id(const struct visit *visit, uint32_t set)
{
    return (uint64_t)(visit->vw - visit->view->windows) << 32 | set;
}

int store_answer_of(struct store_view *view, uint64_t id, const struct answer **answer)
{
    int err = 0;
    size_t window = (size_t)(id >> 32);
    if (window >= view->window_count) {
        return -EINVAL;
    }
    struct view_window *vw = &view->windows[window];
    MDB_txn *txn = view_txn(vw, &err);
    *answer = &view->answer;
    return txn == NULL ? err : view_answer(view, vw, txn, (uint32_t)id);
}

/* Reads a chunk of a row into view->runs. */
static int read_runs(const struct visit *visit, const MDB_val *value)
{
    struct runs *runs = visit->view->runs;
    int err = runs_decode(runs, value->mv_data, value->mv_size, visit->vw->window->start_us);
    if (err != 0 || visit->runs_left == NULL) {
        return err;
    }
    if (runs->count > *visit->runs_left) {
        return W_ELIMIT;
    }
    *visit->runs_left -= runs->count;
    return 0;
}

/* Visits the runs of view->runs that have an answer within the span. */
static int visit_runs(const struct visit *visit, uint32_t set, const struct addr *addr,
                      bool *have_answer)
{
    const struct runs *runs = visit->view->runs;
    for (uint16_t i = 0; i < runs->count; i++) {
        const struct run *run = &runs->run[i];
        if (!has_answer_within(run, visit->from_us, visit->to_us)) {
            continue;
        }
        if (!*have_answer && !visit->bare) {
            int err = view_answer(visit->view, visit->vw, visit->txn, set);
            if (err != 0) {
                return err;
            }
            *have_answer = true;
        }
        struct store_sighting sighting = {
            .answer = visit->bare ? NULL : &visit->view->answer,
            .answer_id = answer_id(visit, set),
            .client = *addr,
            .cluster = visit->cluster,
            .first_us = run->first_us,
            .last_us = run->last_us,
            .expiry_us = run->expiry_us,
            .count = run->count,
            .approximate = run->approximate,
            .time_count = run->time_count,
            .times = run->times,
        };
        visit->view->visited++;
        if (!visit->fn(visit->ctx, &sighting)) {
            return 1;
        }
    }
    return 0;
}

/* Visits the row whose chunk 0 is `value`. */
int visit_row(const struct visit *visit, uint32_t client, uint32_t set, const struct addr *addr,
              const MDB_val *value)
{
    bool have_answer = false;
    int err = read_runs(visit, value);
    uint8_t older = visit->view->runs->older_chunks;
    err = err == 0 ? visit_runs(visit, set, addr, &have_answer) : err;
    for (uint8_t chunk = 1; chunk <= older && chunk != 0 && err == 0; chunk++) {
        uint64_t key = row_key(client, set, chunk);
        MDB_val more;
        err = window_get(visit->vw->window, visit->txn, DB_ROWS, &key, sizeof(key), &more);
        if (err == ENV_NOTFOUND) {
            return W_EDAMAGED;
        }
        err = err == 0 ? read_runs(visit, &more) : err;
        err = err == 0 ? visit_runs(visit, set, addr, &have_answer) : err;
    }
    return err;
}

int visit_pair(const struct visit *visit, uint32_t client, uint32_t set, const struct addr *addr)
{
    uint64_t key = row_key(client, set, 0);
    MDB_val value;
    int err = window_get(visit->vw->window, visit->txn, DB_ROWS, &key, sizeof(key), &value);
    if (err != 0) {
        return err == ENV_NOTFOUND ? 0 : err;
    }
    return visit_row(visit, client, set, addr, &value);
}

int absent_is_fine(int err)
{
    return err == ENV_NOTFOUND ? 0 : err;
}

int each_window(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                store_sighting_fn fn, void *ctx, window_fn body, void *arg)
{
    int err = 0;
    for (size_t i = view->window_count; i > 0 && err == 0; i--) {
        struct view_window *vw = &view->windows[i - 1];
        if (vw->window->start_us > to_us || vw->window->start_us + WINDOW_US <= from_us) {
            continue;
        }
        struct visit visit = {.view = view,
                              .vw = vw,
                              .cluster = cluster,
                              .from_us = from_us,
                              .to_us = to_us,
                              .fn = fn,
                              .ctx = ctx};
        uint16_t id = 0;
        visit.txn = view_txn(vw, &err);
        if (visit.txn == NULL) {
            return err;
        }
        err = view_cluster(vw, visit.txn, cluster, &id);
        err = err == 0 ? body(&visit, id, arg) : absent_is_fine(err);
    }
    return err;
}

int name_id(const struct visit *visit, const uint8_t *wire, uint32_t *id)
{
    uint8_t key[NAME_WIRE_MAX];
    size_t key_len = name_reverse(wire, key);
    MDB_val value;
    if (key_len == 0) {
        key[key_len++] = 0; /* the root, see intern.c */
    }
    int err = window_get(visit->vw->window, visit->txn, DB_NAMES, key, key_len, &value);
    if (err == 0) {
        memcpy(id, value.mv_data, sizeof(*id));
    }
    return err;
}

static int note_cluster(const struct visit *visit, uint16_t cluster, void *arg)
{
    (void)visit;
    (void)cluster;
    *(bool *)arg = true;
    return 1; /* one is enough */
}

bool store_knows_cluster(struct store_view *view, const char *cluster)
{
    bool known = false;
    each_window(view, cluster, INT64_MIN, INT64_MAX, NULL, NULL, note_cluster, &known);
    return known;
}
