/* store/view.c -- reading: the windows as of one commit, and the questions asked of them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/env.h"

/* A process that only reads looks for new and dropped windows at most this often. */
#define RESCAN_US (US_PER_S / 2)

/* ---- Making and refreshing ---- */

static void close_window(struct view_window *vw)
{
    if (vw->rows != NULL) {
        mdb_cursor_close(vw->rows);
    }
    if (vw->txn != NULL) {
        mdb_txn_abort(vw->txn);
    }
    window_unref(vw->window);
}

static void close_windows(struct store_view *view)
{
    for (size_t i = 0; i < view->window_count; i++) {
        close_window(&view->windows[i]);
    }
    free(view->windows);
    view->windows = NULL;
    view->window_count = 0;
}

void store_view_free(struct store_view **out)
{
    struct store_view *view = *out;
    *out = NULL;
    if (view == NULL) {
        return;
    }
    close_windows(view);
    state_copy_fini(&view->state);
    free(view->gaps);
    free(view->listened);
    free(view->runs);
    free(view);
}

int store_view_new(struct store *store, struct store_view **out)
{
    struct store_view *view = calloc(1, sizeof(*view));
    *out = NULL;
    if (view == NULL) {
        return -ENOMEM;
    }
    view->store = store;
    view->generation = UINT64_MAX;
    view->runs = malloc(sizeof(*view->runs));
    int err = view->runs == NULL ? -ENOMEM : store_view_refresh(view, NULL);
    if (err != 0) {
        store_view_free(&view);
        return err;
    }
    *out = view;
    return 0;
}

/* Takes over the registry's list. */
static int take_windows(struct store_view *view)
{
    struct registry *registry = &view->store->registry;
    pthread_mutex_lock(&registry->lock);
    struct view_window *windows = calloc(registry->count + 1, sizeof(*windows));
    if (windows == NULL) {
        pthread_mutex_unlock(&registry->lock);
        return -ENOMEM;
    }
    for (size_t i = 0; i < registry->count; i++) {
        windows[i].window = registry->windows[i];
        window_ref(windows[i].window);
    }
    size_t count = registry->count;
    view->generation = registry->generation;
    pthread_mutex_unlock(&registry->lock);
    close_windows(view);
    view->windows = windows;
    view->window_count = count;
    return 0;
}

static bool registry_changed(struct store_view *view)
{
    pthread_mutex_lock(&view->store->registry.lock);
    bool changed = view->store->registry.generation != view->generation;
    pthread_mutex_unlock(&view->store->registry.lock);
    return changed;
}

/* Reading: looks for new windows whenever the state has moved on, because the state may speak of
 * answers in a window that was made since; else now and then for those that were dropped. */
static int rescan(struct store_view *view, struct why *why)
{
    int64_t now_us = clock_monotonic_us();
    if (view->store->mode == STORE_WRITE ||
        (view->scanned_txn == view->state.txn && now_us - view->scanned_us < RESCAN_US)) {
        return 0;
    }
    int err = registry_scan(view->store, why);
    if (err == 0) {
        view->scanned_us = now_us;
        view->scanned_txn = view->state.txn;
    }
    return err;
}

/* The state first: the windows may then hold more than it says is committed, never less. */
static int read_state(struct store_view *view)
{
    uint64_t txn = view->state.txn;
    int err = state_read(view->store->state, &view->state);
    if (err == 0 && (txn != view->state.txn || view->gaps == NULL)) {
        err = cover_derive(view);
    }
    if (err != 0) {
        /* Gaps point into the state they were made from: neither stays without the other. */
        state_copy_fini(&view->state);
        free(view->gaps);
        view->gaps = NULL;
        view->gap_count = 0;
    }
    return err;
}

int store_view_refresh(struct store_view *view, struct why *why)
{
    int err = read_state(view);
    if (err != 0) {
        return why_set(why, err, "%s: %s", view->store->dir, err_str(err));
    }
    err = rescan(view, why);
    if (err != 0) {
        return err;
    }
    if (registry_changed(view)) {
        err = take_windows(view);
    }
    for (size_t i = 0; i < view->window_count; i++) {
        if (view->windows[i].live) {
            mdb_txn_reset(view->windows[i].txn);
            view->windows[i].live = false;
        }
    }
    return err == 0 ? 0 : why_set(why, err, "%s: %s", view->store->dir, err_str(err));
}

MDB_txn *view_txn(struct view_window *vw, int *err)
{
    if (vw->live) {
        return vw->txn;
    }
    if (vw->txn == NULL) {
        *err = env_err(mdb_txn_begin(vw->window->env, NULL, MDB_RDONLY, &vw->txn));
    } else {
        *err = env_err(mdb_txn_renew(vw->txn));
    }
    if (*err == 0 && vw->rows == NULL) {
        *err = env_err(mdb_cursor_open(vw->txn, vw->window->db[DB_ROWS], &vw->rows));
    } else if (*err == 0) {
        *err = env_err(mdb_cursor_renew(vw->txn, vw->rows));
    }
    vw->live = *err == 0;
    if (*err != 0 && vw->txn != NULL) {
        mdb_txn_reset(vw->txn); /* so that it can be renewed next time */
    }
    return *err == 0 ? vw->txn : NULL;
}

/* ---- Ids ---- */

int view_cluster(struct view_window *vw, MDB_txn *txn, const char *cluster, uint16_t *id)
{
    for (uint16_t at = 0; at < CLUSTERS_MAX; at++) {
        char key[] = {'c', (char)(at >> 8), (char)at};
        MDB_val value;
        int err = window_get(vw->window, txn, DB_META, key, sizeof(key), &value);
        if (err != 0) {
            return err;
        }
        if (value.mv_size == strlen(cluster) &&
            memcmp(value.mv_data, cluster, value.mv_size) == 0) {
            *id = at;
            return 0;
        }
    }
    return ENV_NOTFOUND;
}

int view_client(struct view_window *vw, MDB_txn *txn, uint16_t cluster, const struct addr *addr,
                uint32_t *id)
{
    uint8_t key[CLIENT_KEY_LEN];
    MDB_val value;
    client_key(key, cluster, addr);
    int err = window_get(vw->window, txn, DB_CLIENTS, key, sizeof(key), &value);
    if (err == 0) {
        memcpy(id, value.mv_data, sizeof(*id));
    }
    return err;
}

static int view_client_row(struct view_window *vw, MDB_txn *txn, uint32_t id,
                           struct client_row *row)
{
    MDB_val value;
    int err = window_get(vw->window, txn, DB_CLIENT_IDS, &id, sizeof(id), &value);
    if (err != 0 || value.mv_size != sizeof(*row)) {
        return err < 0 ? err : W_EDAMAGED;
    }
    memcpy(row, value.mv_data, sizeof(*row));
    return 0;
}

/* ---- Answers and rows ---- */

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

static int read_set(struct view_window *vw, MDB_txn *txn, uint32_t set, struct set_row *row,
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
    int err = read_set(vw, txn, set, &row, &rest);
    if (err != 0) {
        return err;
    }
    view->answer = (struct answer){.via = (enum answer_via)row.via,
                                   .asked = name,
                                   .chain_count = row.chain_count,
                                   .v4_count = row.v4_count,
                                   .v6_count = row.v6_count,
                                   .v4 = rest + row.chain_count * 4u,
                                   .v6 = rest + row.chain_count * 4u + row.v4_count * 4u};
    err = copy_name(vw, txn, row.asked, &name);
    for (uint8_t i = 0; i < row.chain_count && err == 0; i++) {
        uint32_t id;
        memcpy(&id, rest + i * 4u, sizeof(id));
        view->answer.chain[i] = name;
        err = copy_name(vw, txn, id, &name);
    }
    return err;
}

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
};

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
        if (!*have_answer) {
            int err = view_answer(visit->view, visit->vw, visit->txn, set);
            if (err != 0) {
                return err;
            }
            *have_answer = true;
        }
        struct store_sighting sighting = {
            .answer = &visit->view->answer,
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
        if (!visit->fn(visit->ctx, &sighting)) {
            return 1;
        }
    }
    return 0;
}

/* Visits the row whose chunk 0 is `value`. */
static int visit_row(const struct visit *visit, uint32_t client, uint32_t set,
                     const struct addr *addr, const MDB_val *value)
{
    struct runs *runs = visit->view->runs;
    int64_t start_us = visit->vw->window->start_us;
    bool have_answer = false;
    int err = runs_decode(runs, value->mv_data, value->mv_size, start_us);
    uint8_t older = runs->older_chunks;
    err = err == 0 ? visit_runs(visit, set, addr, &have_answer) : err;
    for (uint8_t chunk = 1; chunk <= older && chunk != 0 && err == 0; chunk++) {
        uint64_t key = row_key(client, set, chunk);
        MDB_val more;
        err = window_get(visit->vw->window, visit->txn, DB_ROWS, &key, sizeof(key), &more);
        if (err == ENV_NOTFOUND) {
            return W_EDAMAGED;
        }
        err = err == 0 ? runs_decode(runs, more.mv_data, more.mv_size, start_us) : err;
        err = err == 0 ? visit_runs(visit, set, addr, &have_answer) : err;
    }
    return err;
}

static int visit_pair(const struct visit *visit, uint32_t client, uint32_t set,
                      const struct addr *addr)
{
    uint64_t key = row_key(client, set, 0);
    MDB_val value;
    int err = window_get(visit->vw->window, visit->txn, DB_ROWS, &key, sizeof(key), &value);
    if (err != 0) {
        return err == ENV_NOTFOUND ? 0 : err;
    }
    return visit_row(visit, client, set, addr, &value);
}

/* ---- Windows of a span ---- */

/* "Not there" is no error of a whole question, and `fn` stopping it is 1, too: keep the two apart.
 */
static int absent_is_fine(int err)
{
    return err == ENV_NOTFOUND ? 0 : err;
}

/* Runs `body` in each window that the span touches. A run that began the day before may hold
 * answers up to midnight only, so windows are chosen by the answers' times alone. */
typedef int (*window_fn)(const struct visit *visit, uint16_t cluster, void *arg);

static int each_window(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                       store_sighting_fn fn, void *ctx, window_fn body, void *arg)
{
    int err = 0;
    for (size_t i = view->window_count; i > 0 && err == 0; i--) {
        struct view_window *vw = &view->windows[i - 1];
        if (vw->window->start_us > to_us || vw->window->start_us + WINDOW_US <= from_us) {
            continue;
        }
        struct visit visit = {view, vw, NULL, cluster, from_us, to_us, fn, ctx};
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

/* ---- By client and a posting list of answer sets ---- */

/* Position of the first id >= `want` in the chunk from `at` on; ids ascend. */
static size_t skip_to(const struct posting *posting, size_t at, uint32_t want)
{
    size_t end = posting->count;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        if (posting_id(posting, middle) < want) {
            at = middle + 1;
        } else {
            end = middle;
        }
    }
    return at;
}

/* Visits the rows of `client` for the answer sets of a list. Both sides ascend by set id, so each
 * tells the other where to go on; whichever is shorter bounds the work. */
static int visit_intersection(const struct visit *visit, uint32_t client, const struct addr *addr,
                              struct posting *posting)
{
    int err = 0;
    size_t at = 0;
    while (posting->err == 0 && err == 0) {
        if (at >= posting->count) {
            posting_next(posting);
            at = 0;
            continue;
        }
        uint32_t set = posting_id(posting, at);
        uint64_t key = row_key(client, set, 0);
        MDB_val k = val(&key, sizeof(key));
        MDB_val v;
        err = env_err(mdb_cursor_get(visit->vw->rows, &k, &v, MDB_SET_RANGE));
        if (err == ENV_NOTFOUND) {
            return 0;
        }
        uint64_t found = 0;
        if (err == 0) {
            memcpy(&found, k.mv_data, sizeof(found));
        }
        if (err != 0 || found >> 40 != client) {
            return err;
        }
        if (found == key) {
            err = visit_row(visit, client, set, addr, &v);
            at++;
        } else {
            /* The client's next row; a chunk above 0 belongs to a set that was passed. */
            uint32_t next = (uint32_t)(found >> 8) + ((found & 0xff) != 0);
            at = skip_to(posting, at, next);
        }
    }
    return err != 0 ? err : absent_is_fine(posting->err);
}

struct client_address {
    const struct addr *client;
    const struct addr *address;
};

static int client_address_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct client_address *want = arg;
    struct posting posting;
    uint8_t key[ADDR_SETS_KEY_LEN];
    uint32_t client;
    int err = view_client(visit->vw, visit->txn, cluster, want->client, &client);
    if (err != 0) {
        return absent_is_fine(err);
    }
    addr_sets_key(key, cluster, want->address);
    posting_open(&posting, visit->vw->window, visit->txn, DB_ADDR_SETS, key, sizeof(key));
    err = visit_intersection(visit, client, want->client, &posting);
    posting_close(&posting);
    return err;
}

int store_by_client_address(struct store_view *view, const char *cluster, const struct addr *client,
                            const struct addr *address, int64_t from_us, int64_t to_us,
                            store_sighting_fn fn, void *ctx)
{
    struct client_address want = {client, address};
    return each_window(view, cluster, from_us, to_us, fn, ctx, client_address_body, &want);
}

static int name_id(const struct visit *visit, const uint8_t *wire, uint32_t *id)
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

struct client_target {
    const struct addr *client;
    const uint8_t *target;
    store_sighting_fn fn;
    void *ctx;
};

/* Passes on only answers in whose chain the target is; the list has those that asked for it, too.
 */
static bool in_chain(void *ctx, const struct store_sighting *sighting)
{
    const struct client_target *want = ctx;
    size_t len = name_wire_len(want->target);
    for (uint8_t i = 0; i < sighting->answer->chain_count; i++) {
        const uint8_t *name = sighting->answer->chain[i];
        if (name_wire_len(name) == len && memcmp(name, want->target, len) == 0) {
            return want->fn(want->ctx, sighting);
        }
    }
    return true;
}

static int client_target_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct client_target *want = arg;
    struct posting posting;
    uint8_t key[NAME_SETS_KEY_LEN];
    uint32_t client, name;
    int err = view_client(visit->vw, visit->txn, cluster, want->client, &client);
    err = err == 0 ? name_id(visit, want->target, &name) : err;
    if (err != 0) {
        return absent_is_fine(err);
    }
    id_sets_key(key, name);
    posting_open(&posting, visit->vw->window, visit->txn, DB_NAME_SETS, key, sizeof(key));
    err = visit_intersection(visit, client, want->client, &posting);
    posting_close(&posting);
    return err;
}

int store_by_client_target(struct store_view *view, const char *cluster, const struct addr *client,
                           const uint8_t *target, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx)
{
    struct client_target want = {client, target, fn, ctx};
    return each_window(view, cluster, from_us, to_us, in_chain, &want, client_target_body, &want);
}

/* ---- By client ---- */

static int client_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct addr *addr = arg;
    uint32_t client;
    MDB_cursor *cursor;
    int err = view_client(visit->vw, visit->txn, cluster, addr, &client);
    if (err != 0) {
        return absent_is_fine(err);
    }
    uint64_t key = row_key(client, 0, 0);
    MDB_val k = val(&key, sizeof(key));
    MDB_val v;
    err = env_err(mdb_cursor_open(visit->txn, visit->vw->window->db[DB_ROWS], &cursor));
    if (err != 0) {
        return err;
    }
    for (MDB_cursor_op op = MDB_SET_RANGE; err == 0; op = MDB_NEXT) {
        uint64_t found;
        int code = env_err(mdb_cursor_get(cursor, &k, &v, op));
        if (code != 0) {
            err = code == ENV_NOTFOUND ? 0 : code;
            break;
        }
        memcpy(&found, k.mv_data, sizeof(found));
        if (found >> 40 != client) {
            break;
        }
        /* Older chunks are read with their chunk 0. */
        err = (found & 0xff) == 0 ? visit_row(visit, client, (uint32_t)(found >> 8), addr, &v) : 0;
    }
    mdb_cursor_close(cursor);
    return err;
}

int store_by_client(struct store_view *view, const char *cluster, const struct addr *client,
                    int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx)
{
    return each_window(view, cluster, from_us, to_us, fn, ctx, client_body,
                       (void *)(uintptr_t)client);
}

/* ---- By address and by name: over all clients ---- */

/* Visits the rows of every client that got the answer set. */
static int visit_set(const struct visit *visit, uint32_t set)
{
    struct posting clients;
    uint8_t key[SET_CLIENTS_KEY_LEN];
    int err = 0;
    id_sets_key(key, set);
    posting_open(&clients, visit->vw->window, visit->txn, DB_SET_CLIENTS, key, sizeof(key));
    for (; clients.err == 0 && err == 0; posting_next(&clients)) {
        for (size_t i = 0; i < clients.count && err == 0; i++) {
            struct client_row row;
            struct addr addr;
            uint32_t client = posting_id(&clients, i);
            err = view_client_row(visit->vw, visit->txn, client, &row);
            memcpy(addr.b, row.addr, sizeof(addr.b));
            err = err == 0 ? visit_pair(visit, client, set, &addr) : err;
        }
        if (err != 0) {
            break;
        }
    }
    err = err != 0 ? err : absent_is_fine(clients.err);
    posting_close(&clients);
    return err;
}

static int address_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct addr *address = arg;
    struct posting sets;
    uint8_t key[ADDR_SETS_KEY_LEN];
    int err = 0;
    addr_sets_key(key, cluster, address);
    posting_open(&sets, visit->vw->window, visit->txn, DB_ADDR_SETS, key, sizeof(key));
    while (sets.err == 0 && err == 0) {
        for (size_t i = 0; i < sets.count && err == 0; i++) {
            err = visit_set(visit, posting_id(&sets, i));
        }
        if (err == 0) {
            posting_next(&sets);
        }
    }
    err = err != 0 ? err : absent_is_fine(sets.err);
    posting_close(&sets);
    return err;
}

int store_by_address(struct store_view *view, const char *cluster, const struct addr *address,
                     int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx)
{
    return each_window(view, cluster, from_us, to_us, fn, ctx, address_body,
                       (void *)(uintptr_t)address);
}

struct name_want {
    const uint8_t *name;
    bool under;
};

/* With `under`, a set is in the lists of several names: it is visited from the first of them only.
 */
static int is_first_name(const struct visit *visit, uint16_t cluster, uint32_t set, uint32_t name,
                         const struct name_want *want, bool *first)
{
    struct set_row row;
    const uint8_t *rest;
    int err = read_set(visit->vw, visit->txn, set, &row, &rest);
    *first = false;
    if (err != 0 || row.cluster != cluster) {
        return err;
    }
    err = view_answer(visit->view, visit->vw, visit->txn, set);
    if (err != 0) {
        return err;
    }
    const struct answer *answer = &visit->view->answer;
    if (!want->under || name_is_under(answer->asked, want->name)) {
        *first = !want->under || row.asked == name;
        return 0;
    }
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        if (name_is_under(answer->chain[i], want->name)) {
            uint32_t id;
            memcpy(&id, rest + i * 4u, sizeof(id));
            *first = id == name;
            return 0;
        }
    }
    return 0;
}

static int visit_name(const struct visit *visit, uint16_t cluster, uint32_t name,
                      const struct name_want *want)
{
    struct posting sets;
    uint8_t key[NAME_SETS_KEY_LEN];
    int err = 0;
    id_sets_key(key, name);
    posting_open(&sets, visit->vw->window, visit->txn, DB_NAME_SETS, key, sizeof(key));
    while (sets.err == 0 && err == 0) {
        for (size_t i = 0; i < sets.count && err == 0; i++) {
            bool first;
            uint32_t set = posting_id(&sets, i);
            err = is_first_name(visit, cluster, set, name, want, &first);
            err = err == 0 && first ? visit_set(visit, set) : err;
        }
        if (err == 0) {
            posting_next(&sets);
        }
    }
    err = err != 0 ? err : absent_is_fine(sets.err);
    posting_close(&sets);
    return err;
}

/* A reversed key lies under another if it begins with it, at a label's end: labels carry their
 * length. */
static bool key_is_under(const MDB_val *key, const uint8_t *suffix, size_t suffix_len)
{
    return key->mv_size >= suffix_len && memcmp(key->mv_data, suffix, suffix_len) == 0;
}

static int names_under(const struct visit *visit, uint16_t cluster, const struct name_want *want)
{
    uint8_t suffix[NAME_WIRE_MAX];
    size_t suffix_len = name_reverse(want->name, suffix);
    MDB_cursor *cursor;
    MDB_val k = val(suffix, suffix_len);
    MDB_val v;
    int err = env_err(mdb_cursor_open(visit->txn, visit->vw->window->db[DB_NAMES], &cursor));
    if (err != 0) {
        return err;
    }
    for (MDB_cursor_op op = suffix_len > 0 ? MDB_SET_RANGE : MDB_FIRST; err == 0; op = MDB_NEXT) {
        uint32_t name;
        int code = env_err(mdb_cursor_get(cursor, &k, &v, op));
        if (code != 0 || !key_is_under(&k, suffix, suffix_len)) {
            err = code == ENV_NOTFOUND ? 0 : code;
            break;
        }
        memcpy(&name, v.mv_data, sizeof(name));
        err = visit_name(visit, cluster, name, want);
    }
    mdb_cursor_close(cursor);
    return err;
}

static int name_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct name_want *want = arg;
    uint32_t name;
    if (want->under) {
        return names_under(visit, cluster, want);
    }
    int err = name_id(visit, want->name, &name);
    return err == 0 ? visit_name(visit, cluster, name, want) : absent_is_fine(err);
}

int store_by_name(struct store_view *view, const char *cluster, const uint8_t *name, bool under,
                  int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx)
{
    struct name_want want = {name, under};
    return each_window(view, cluster, from_us, to_us, fn, ctx, name_body, &want);
}

/* ---- What is known of a client ---- */

static void look_at_minutes(const struct client_row *row, int64_t from_min, int64_t to_min,
                            struct store_client *out)
{
    for (int64_t minute = from_min; minute <= to_min && !out->asked; minute++) {
        out->asked = (row->minutes[minute / 8] >> minute % 8 & 1) != 0;
    }
    for (int64_t hour = from_min / 60; hour <= to_min / 60; hour++) {
        out->capped |= (row->capped_hours[hour / 8] >> hour % 8 & 1) != 0;
    }
}

struct client_seen {
    const struct addr *client;
    struct store_client *out;
};

static int client_seen_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct client_seen *want = arg;
    struct client_row row;
    uint32_t client;
    int err = view_client(visit->vw, visit->txn, cluster, want->client, &client);
    if (err != 0) {
        return absent_is_fine(err);
    }
    err = view_client_row(visit->vw, visit->txn, client, &row);
    if (err != 0) {
        return err;
    }
    int64_t start_us = visit->vw->window->start_us;
    int64_t last_min = WINDOW_US / US_PER_MIN - 1;
    int64_t from_min = visit->from_us <= start_us ? 0 : (visit->from_us - start_us) / US_PER_MIN;
    int64_t to_min = (visit->to_us - start_us) / US_PER_MIN;
    look_at_minutes(&row, from_min, to_min < last_min ? to_min : last_min, want->out);
    return 0;
}

int store_client_seen(struct store_view *view, const char *cluster, const struct addr *client,
                      int64_t from_us, int64_t to_us, struct store_client *out)
{
    struct client_seen want = {client, out};
    *out = (struct store_client){0};
    return each_window(view, cluster, from_us, to_us, NULL, NULL, client_seen_body, &want);
}

/* ---- Totals ---- */

static uint64_t file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t rows_in(struct view_window *vw, MDB_txn *txn, enum window_db db)
{
    MDB_stat stat;
    return mdb_stat(txn, vw->window->db[db], &stat) == 0 ? stat.ms_entries : 0;
}

static int add_window(struct view_window *vw, struct store_status *status)
{
    struct window_totals totals;
    int err = 0;
    MDB_txn *txn = view_txn(vw, &err);
    err = txn != NULL ? window_totals(vw->window, txn, &totals) : err;
    if (err != 0) {
        return err;
    }
    status->windows++;
    status->bytes += file_bytes(vw->window->path);
    status->sightings += totals.sightings;
    status->answers += totals.answers;
    status->times += totals.times;
    status->clients += rows_in(vw, txn, DB_CLIENT_IDS);
    status->names += rows_in(vw, txn, DB_NAME_IDS);
    status->answer_sets += rows_in(vw, txn, DB_SETS);
    if (totals.answers > 0 && (status->first_us == 0 || totals.first_us < status->first_us)) {
        status->first_us = totals.first_us;
    }
    status->last_us = totals.last_us > status->last_us ? totals.last_us : status->last_us;
    return 0;
}

int store_status(struct store_view *view, struct store_status *status)
{
    char path[4096];
    int err = 0;
    *status = (struct store_status){.alive_us = view->state.alive_us};
    snprintf(path, sizeof(path), "%s/state.mdb", view->store->dir);
    status->bytes = file_bytes(path);
    for (size_t i = 0; i < view->window_count && err == 0; i++) {
        err = add_window(&view->windows[i], status);
    }
    return err;
}
