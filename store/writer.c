/* store/writer.c -- adding answers: finding the window, the client and the answer set
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/env.h"
#include "store/internal.h"

/* Answers that wait at once however little memory is allowed. */
enum { PENDING_MIN = 256 };

static int64_t day_start(int64_t time_us)
{
    return time_us - time_us % WINDOW_US;
}

int writing_txn(struct writing *writing)
{
    if (writing->txn != NULL) {
        return 0;
    }
    return env_err(mdb_txn_begin(writing->window->env, NULL, 0, &writing->txn));
}

void writing_close(struct writing *writing)
{
    if (writing->txn != NULL) {
        mdb_txn_abort(writing->txn);
    }
    intern_close(&writing->clients, &writing->sets);
    free(writing->pending);
    free(writing->sorted);
    free(writing->pairs);
    free(writing->minutes);
    window_unref(writing->window);
    *writing = (struct writing){0};
}

static int make_window(struct store *store, int64_t start_us, struct window **out)
{
    char path[4096];
    uint32_t serial = store->next_serial++;
    registry_path(store, start_us, serial, path);
    int err = window_open(out, path, start_us, serial, true, NULL);
    if (err != 0) {
        return err;
    }
    window_ref(*out);
    err = registry_add(store, *out);
    if (err != 0) {
        window_unref(*out);
        window_unref(*out);
    }
    return err;
}

/* A new window that cannot be made (the disk is full at midnight) is tried once a commit, not for
 * every answer, and leaves no file behind. */
static int try_window(struct store *store, int64_t start_us, struct window **out)
{
    char path[4096 + 8];
    if (store->window_err == 0) {
        registry_path(store, start_us, store->next_serial, path);
        store->window_err = make_window(store, start_us, out);
        if (store->window_err != 0) {
            unlink(path);
            strcat(path, "-lock");
            unlink(path);
        }
    }
    return store->window_err;
}

/* A window's share of the memory: half for the tables of clients and answer sets, a quarter for
 * answers that wait; the rest is for the pages that a transaction changes. */
static int writing_open(struct store *store, struct writing *writing, int64_t start_us)
{
    uint64_t share = store->memory_bytes / 2;
    *writing = (struct writing){.window = registry_find(store, start_us)};
    int err = writing->window != NULL ? 0 : try_window(store, start_us, &writing->window);
    if (err != 0) {
        writing->window = NULL;
        return err;
    }
    writing->pending_max = share / 2 / (2 * sizeof(struct pending) + sizeof(struct new_pair));
    if (writing->pending_max < PENDING_MIN) {
        writing->pending_max = PENDING_MIN;
    }
    writing->pending = malloc(writing->pending_max * sizeof(*writing->pending));
    writing->sorted = malloc(writing->pending_max * sizeof(*writing->sorted));
    writing->pairs = malloc(writing->pending_max * sizeof(*writing->pairs));
    if (writing->pending == NULL || writing->sorted == NULL || writing->pairs == NULL) {
        err = -ENOMEM;
    }
    err = err == 0 ? writing_txn(writing) : err;
    err = err == 0 ? window_totals(writing->window, writing->txn, &writing->totals) : err;
    err = err == 0 ? intern_open(&writing->clients, &writing->sets, writing->window, writing->txn,
                                 share / 2)
                   : err;
    if (err != 0) {
        writing_close(writing);
    }
    return err;
}

/* The slot to use for another day: a free one, else the one used longest ago, committed first; if
 * that fails its loss is noted and the other day goes on all the same. */
static struct writing *take_slot(struct store *store)
{
    struct writing *oldest = &store->writing[0];
    for (size_t i = 0; i < WRITING_MAX; i++) {
        struct writing *writing = &store->writing[i];
        if (writing->window == NULL) {
            return writing;
        }
        oldest = writing->used < oldest->used ? writing : oldest;
    }
    writing_commit(store, oldest);
    writing_close(oldest);
    return oldest;
}

static int find_writing(struct store *store, int64_t time_us, struct writing **out)
{
    int64_t start_us = day_start(time_us);
    for (size_t i = 0; i < WRITING_MAX; i++) {
        struct writing *writing = &store->writing[i];
        if (writing->window != NULL && writing->window->start_us == start_us) {
            writing->used = ++store->tick;
            *out = writing;
            return writing_txn(writing);
        }
    }
    *out = take_slot(store);
    int err = writing_open(store, *out, start_us);
    if (err == 0) {
        (*out)->used = ++store->tick;
    }
    return err;
}

/* The cluster's id in this window, whose names must be readable without any other file. */
static int window_cluster(struct store *store, struct writing *writing, uint16_t cluster,
                          uint16_t *id)
{
    if (writing->cluster_ids[cluster] != 0) {
        *id = (uint16_t)(writing->cluster_ids[cluster] - 1);
        return 0;
    }
    const char *name = store->clusters[cluster];
    uint16_t at = 0;
    for (; at < CLUSTERS_MAX; at++) {
        char key[] = {'c', (char)(at >> 8), (char)at};
        MDB_val value;
        int err = window_get(writing->window, writing->txn, DB_META, key, sizeof(key), &value);
        if (err == ENV_NOTFOUND) {
            err = window_put(writing->window, writing->txn, DB_META, key, sizeof(key), name,
                             strlen(name), 0);
            value = val(name, strlen(name));
        }
        if (err != 0) {
            return err;
        }
        if (value.mv_size == strlen(name) && memcmp(value.mv_data, name, value.mv_size) == 0) {
            writing->cluster_ids[cluster] = (uint16_t)(at + 1);
            *id = at;
            return 0;
        }
    }
    return W_ELIMIT;
}

/* Minutes of an hour that is over go to a list; the table keeps those of the current hour only. */
static int push_minutes(struct writing *writing, const struct client *client)
{
    if (writing->minutes_count == writing->minutes_cap) {
        size_t cap = writing->minutes_cap == 0 ? 256 : writing->minutes_cap * 2;
        struct asked_minutes *minutes = realloc(writing->minutes, cap * sizeof(*minutes));
        if (minutes == NULL) {
            return -ENOMEM;
        }
        writing->minutes = minutes;
        writing->minutes_cap = cap;
    }
    writing->minutes[writing->minutes_count++] =
        (struct asked_minutes){client->id, client->hour, client->capped, client->minutes};
    return 0;
}

static int mark_asked(struct writing *writing, struct client *client, int64_t time_us)
{
    int64_t minute = (time_us - writing->window->start_us) / US_PER_MIN;
    uint8_t hour = (uint8_t)(minute / 60);
    if (hour != client->hour) {
        int err = client->minutes != 0 ? push_minutes(writing, client) : 0;
        if (err != 0) {
            return err;
        }
        client->hour = hour;
        client->minutes = 0;
        client->added = 0;
        client->capped = false;
    }
    client->minutes |= UINT64_C(1) << (minute % 60);
    writing->asked = true;
    return 0;
}

static void note_waiting(struct writing *writing, int64_t time_us)
{
    if (writing->first_us == 0 || time_us < writing->first_us) {
        writing->first_us = time_us;
    }
    if (time_us > writing->last_us) {
        writing->last_us = time_us;
    }
}

static int find_client(struct store *store, uint16_t cluster, const struct addr *addr,
                       int64_t time_us, struct writing **writing, struct client **client)
{
    uint16_t id;
    if (time_us < TIME_MIN_US || time_us >= TIME_MAX_US) {
        return W_ESYNTAX;
    }
    if (cluster >= store->cluster_count) {
        return W_ESYNTAX;
    }
    int err = find_writing(store, time_us, writing);
    if (err != 0) {
        return err;
    }
    err = window_cluster(store, *writing, cluster, &id);
    err = err == 0 ? intern_client(&(*writing)->clients, (*writing)->window, (*writing)->txn, id,
                                   addr, client)
                   : err;
    err = err == 0 ? mark_asked(*writing, *client, time_us) : err;
    note_waiting(*writing, time_us);
    return err;
}

/* What could not be kept is a loss; what is no answer is none. */
static int not_kept(struct store *store, int64_t time_us, uint64_t answers, int err)
{
    if (err != 0 && err != W_ESYNTAX) {
        lose(store, time_us, time_us, answers, err);
    }
    return err;
}

int store_asked(struct store *store, uint16_t cluster, const struct addr *client, int64_t time_us)
{
    struct writing *writing;
    struct client *found;
    return not_kept(store, time_us, 0,
                    find_client(store, cluster, client, time_us, &writing, &found));
}

/* A client that keeps getting answers nobody got before would fill the disk with names of its own
 * making. */
static bool over_limit(struct store *store, struct client *client)
{
    if (client->added < store->answers_per_hour) {
        client->added++;
        return false;
    }
    client->capped = true;
    atomic_fetch_add_explicit(&store->counters.capped, 1, memory_order_relaxed);
    return true;
}

int store_answer(struct store *store, uint16_t cluster, const struct addr *client, int64_t time_us,
                 uint32_t ttl_s, const uint8_t *bytes, size_t len)
{
    struct writing *writing;
    struct client *found;
    uint32_t set;
    int err = find_client(store, cluster, client, time_us, &writing, &found);
    if (err != 0) {
        return not_kept(store, time_us, 1, err);
    }
    err = intern_find_set(&writing->sets, writing->window, writing->txn, found->cluster, bytes, len,
                          &set);
    if (err == ENV_NOTFOUND) {
        if (over_limit(store, found)) {
            return W_ELIMIT;
        }
        err = intern_add_set(&writing->sets, writing->window, writing->txn, found->cluster, bytes,
                             len, &set);
    }
    if (err == 0 && writing->pending_count == writing->pending_max) {
        /* The caller did not heed store_full: make room rather than lose the answer. */
        err = writing_commit(store, writing);
        err = err == 0 ? writing_txn(writing) : err;
    }
    if (err != 0) {
        return not_kept(store, time_us, 1, err);
    }
    note_waiting(writing, time_us);
    writing->pending[writing->pending_count++] =
        (struct pending){(uint64_t)found->id << 32 | set, time_us, ttl_s};
    return 0;
}

bool store_full(const struct store *store)
{
    for (size_t i = 0; i < WRITING_MAX; i++) {
        const struct writing *writing = &store->writing[i];
        if (writing->window != NULL && writing->pending_count >= writing->pending_max * 3 / 4) {
            return true;
        }
    }
    return state_full(store->state);
}
