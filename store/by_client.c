/* store/by_client.c -- what one client was answered, and whether it was seen asking
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/env.h"
#include "store/visit.h"

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

/* True if the chain of the answer set has the name. */
static int leads_to(const struct visit *visit, uint32_t set, uint32_t name, bool *leads)
{
    struct set_row row;
    const uint8_t *chain;
    int err = view_set(visit->vw, visit->txn, set, &row, &chain);
    *leads = false;
    for (uint8_t i = 0; err == 0 && i < row.chain_count; i++) {
        uint32_t id;
        memcpy(&id, chain + i * sizeof(id), sizeof(id));
        *leads |= id == name;
    }
    return err;
}

/* Visits the rows of `client` for the answer sets of a list. Both sides ascend by set id, so each
 * tells the other where to go on; whichever is shorter bounds the work. With `target`, a name's id,
 * only sets in whose chain it is. */
static int visit_intersection(const struct visit *visit, uint32_t client, const struct addr *addr,
                              struct posting *posting, uint32_t target)
{
    int err = 0;
    size_t at = 0;
    while (posting->err == 0 && err == 0) {
        if (at >= posting->count) {
            if (posting->count < POSTING_CHUNK) {
                return 0; /* a chunk with room is the last one */
            }
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
            bool wanted = true;
            err = target != 0 ? leads_to(visit, set, target, &wanted) : 0;
            err = err == 0 && wanted ? visit_row(visit, client, set, addr, &v) : err;
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
    err = visit_intersection(visit, client, want->client, &posting, 0);
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

struct client_target {
    const struct addr *client;
    const uint8_t *target;
};

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
    err = visit_intersection(visit, client, want->client, &posting, name);
    posting_close(&posting);
    return err;
}

int store_by_client_target(struct store_view *view, const char *cluster, const struct addr *client,
                           const uint8_t *target, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx)
{
    struct client_target want = {client, target};
    return each_window(view, cluster, from_us, to_us, fn, ctx, client_target_body, &want);
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

struct client_runs {
    const struct addr *client;
    uint32_t left;
};

static int client_runs_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    struct client_runs *want = arg;
    struct visit bare = *visit;
    bare.bare = true;
    bare.runs_left = &want->left;
    return client_body(&bare, cluster, (void *)(uintptr_t)want->client);
}

int store_runs_of_client(struct store_view *view, const char *cluster, const struct addr *client,
                         int64_t from_us, int64_t to_us, uint32_t max_runs, store_sighting_fn fn,
                         void *ctx)
{
    struct client_runs want = {client, max_runs};
    return each_window(view, cluster, from_us, to_us, fn, ctx, client_runs_body, &want);
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

struct clients_want {
    store_client_fn fn;
    void *ctx;
};

static int clients_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    const struct clients_want *want = arg;
    uint8_t first[CLIENT_KEY_LEN];
    struct addr addr = {{0}};
    MDB_cursor *cursor;
    client_key(first, cluster, &addr);
    MDB_val key = {sizeof(first), first};
    MDB_val value;
    int err = env_err(mdb_cursor_open(visit->txn, visit->vw->window->db[DB_CLIENTS], &cursor));
    if (err != 0) {
        return err;
    }
    err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (err == 0 && key.mv_size == CLIENT_KEY_LEN && memcmp(key.mv_data, first, 2) == 0) {
        memcpy(addr.b, (const uint8_t *)key.mv_data + 2, sizeof(addr.b));
        err = want->fn(want->ctx, &addr) ? env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
                                         : 1;
    }
    mdb_cursor_close(cursor);
    return absent_is_fine(err);
}

int store_clients(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                  store_client_fn fn, void *ctx)
{
    struct clients_want want = {fn, ctx};
    return each_window(view, cluster, from_us, to_us, NULL, NULL, clients_body, &want);
}
