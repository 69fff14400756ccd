/* store/by_name.c -- who was answered an address or a name: over all clients
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "store/env.h"
#include "store/visit.h"

/* ---- By address and by name: over all clients ---- */

/* How much of each answer set to visit. */
struct measure {
    uint32_t per_set; /* sightings; 0: all */
    bool bounded;     /* a set had as many */
};

static bool is_enough(const struct visit *visit, uint64_t before, struct measure *measure)
{
    bool enough = measure->per_set != 0 && visit->view->visited - before >= measure->per_set;
    measure->bounded |= enough;
    return enough;
}

/* Visits the rows of the clients that got the answer set. */
static int visit_set(const struct visit *visit, uint32_t set, struct measure *measure)
{
    uint64_t before = visit->view->visited;
    struct posting clients;
    uint8_t key[SET_CLIENTS_KEY_LEN];
    int err = 0;
    id_sets_key(key, set);
    posting_open(&clients, visit->vw->window, visit->txn, DB_SET_CLIENTS, key, sizeof(key));
    while (clients.err == 0 && err == 0 && !is_enough(visit, before, measure)) {
        for (size_t i = 0; i < clients.count && err == 0; i++) {
            if (is_enough(visit, before, measure)) {
                break;
            }
            struct client_row row;
            struct addr addr;
            uint32_t client = posting_id(&clients, i);
            err = view_client_row(visit->vw, visit->txn, client, &row);
            memcpy(addr.b, row.addr, sizeof(addr.b));
            err = err == 0 ? visit_pair(visit, client, set, &addr) : err;
        }
        if (err == 0) {
            posting_next(&clients);
        }
    }
    err = err != 0 ? err : absent_is_fine(clients.err);
    posting_close(&clients);
    return err;
}

struct address_want {
    const struct addr *address;
    struct measure measure;
};

static int address_body(const struct visit *visit, uint16_t cluster, void *arg)
{
    struct address_want *want = arg;
    struct posting sets;
    uint8_t key[ADDR_SETS_KEY_LEN];
    int err = 0;
    addr_sets_key(key, cluster, want->address);
    posting_open(&sets, visit->vw->window, visit->txn, DB_ADDR_SETS, key, sizeof(key));
    while (sets.err == 0 && err == 0) {
        for (size_t i = 0; i < sets.count && err == 0; i++) {
            err = visit_set(visit, posting_id(&sets, i), &want->measure);
        }
        if (err == 0) {
            posting_next(&sets);
        }
    }
    err = err != 0 ? err : absent_is_fine(sets.err);
    posting_close(&sets);
    return err;
}

int visit_address(struct store_view *view, const char *cluster, const struct addr *address,
                  int64_t from_us, int64_t to_us, uint32_t per_set, bool *bounded,
                  store_sighting_fn fn, void *ctx)
{
    struct address_want want = {address, {.per_set = per_set}};
    int err = each_window(view, cluster, from_us, to_us, fn, ctx, address_body, &want);
    *bounded |= want.measure.bounded;
    return err;
}

int store_by_address(struct store_view *view, const char *cluster, const struct addr *address,
                     int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx)
{
    bool bounded = false;
    return visit_address(view, cluster, address, from_us, to_us, 0, &bounded, fn, ctx);
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
    int err = view_set(visit->vw, visit->txn, set, &row, &rest);
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
    struct measure all = {0};
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
            err = err == 0 && first ? visit_set(visit, set, &all) : err;
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
