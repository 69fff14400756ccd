/* store/view.c -- reading: the windows as of one commit, and the questions asked of them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

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
    store_view_rest(view);
    return err == 0 ? 0 : why_set(why, err, "%s: %s", view->store->dir, err_str(err));
}

void store_view_rest(struct store_view *view)
{
    for (size_t i = 0; i < view->window_count; i++) {
        if (view->windows[i].live) {
            mdb_txn_reset(view->windows[i].txn);
            view->windows[i].live = false;
        }
    }
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
    size_t len = strlen(cluster);
    if (vw->cluster[0] != '\0' && strcmp(vw->cluster, cluster) == 0) {
        *id = vw->cluster_id;
        return 0;
    }
    for (uint16_t at = 0; at < CLUSTERS_MAX; at++) {
        char key[] = {'c', (char)(at >> 8), (char)at};
        MDB_val value;
        int err = window_get(vw->window, txn, DB_META, key, sizeof(key), &value);
        if (err != 0) {
            return err;
        }
        if (value.mv_size == len && len <= STORE_CLUSTER_MAX &&
            memcmp(value.mv_data, cluster, len) == 0) {
            *id = at;
            vw->cluster_id = at;
            memcpy(vw->cluster, cluster, len + 1);
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
    if (vw->client_id != 0 && vw->client_cluster == cluster && addr_equal(&vw->client, addr)) {
        *id = vw->client_id;
        return 0;
    }
    client_key(key, cluster, addr);
    int err = window_get(vw->window, txn, DB_CLIENTS, key, sizeof(key), &value);
    if (err == 0) {
        memcpy(id, value.mv_data, sizeof(*id));
        vw->client_id = *id;
        vw->client_cluster = cluster;
        vw->client = *addr;
    }
    return err;
}

int view_client_row(struct view_window *vw, MDB_txn *txn, uint32_t id, struct client_row *row)
{
    MDB_val value;
    int err = window_get(vw->window, txn, DB_CLIENT_IDS, &id, sizeof(id), &value);
    if (err != 0 || value.mv_size != sizeof(*row)) {
        return err < 0 ? err : W_EDAMAGED;
    }
    memcpy(row, value.mv_data, sizeof(*row));
    return 0;
}

int store_owners(struct store_view *view, uint64_t after, store_owner_fn fn, void *ctx)
{
    return state_owners(view->store->state, after, fn, ctx);
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

int store_disk(const struct store_view *view, struct store_disk *disk)
{
    struct statvfs fs;
    if (statvfs(view->store->dir, &fs) != 0) {
        return -errno;
    }
    disk->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    disk->total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    return 0;
}
