/* join/owners_store.c -- the table of owners and the index: what outlives the process
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct owners_store {
    struct owners *owners;
    uint64_t loaded; /* sequence number of the index up to which it was loaded */
    uint64_t saved;  /* version of the table up to which it was saved */
    /* Ids in the index. Intervals that were loaded keep theirs: ids[number - 1], 0 where the table
     * did not take one of that number. All later numbers are `beyond` higher. */
    uint64_t *ids;
    size_t id_count;
    size_t id_cap;
    uint64_t beyond;
    uint64_t id_max;
};

int owners_store_new(struct owners_store **out, struct owners *owners)
{
    struct owners_store *link = calloc(1, sizeof(*link));
    *out = link;
    if (link == NULL) {
        return -ENOMEM;
    }
    link->owners = owners;
    return 0;
}

void owners_store_free(struct owners_store **out)
{
    struct owners_store *link = *out;
    *out = NULL;
    if (link != NULL) {
        free(link->ids);
        free(link);
    }
}

/* ---- Loading ---- */

struct load {
    struct owners_store *link;
    const struct addr *only; /* NULL: all */
    size_t only_count;
    int err;
};

static int keep_id(struct owners_store *link, uint64_t number, uint64_t id)
{
    if (number > link->id_cap) {
        size_t cap = link->id_cap * 2 > number ? link->id_cap * 2 : (size_t)number + 1024;
        uint64_t *ids = realloc(link->ids, cap * sizeof(*ids));
        if (ids == NULL) {
            return -ENOMEM;
        }
        link->ids = ids;
        link->id_cap = cap;
    }
    while (link->id_count < number) {
        link->ids[link->id_count++] = 0;
    }
    link->ids[number - 1] = id;
    return 0;
}

static bool is_wanted(const struct load *load, const struct store_owner *row)
{
    if (row->kind > OWNER_NODE) {
        return false;
    }
    bool wanted = load->only == NULL || row->kind != OWNER_POD;
    for (size_t i = 0; i < load->only_count && !wanted; i++) {
        for (uint32_t j = 0; j < row->address_count && !wanted; j++) {
            wanted = addr_equal(&load->only[i], &row->addresses[j]);
        }
    }
    return wanted;
}

static bool load_one(void *ctx, const struct store_owner *row)
{
    struct load *load = ctx;
    struct owners_store *link = load->link;
    link->loaded = row->sequence;
    link->id_max = row->id > link->id_max ? row->id : link->id_max;
    if (!is_wanted(load, row)) {
        return true;
    }
    const struct owner owner = {
        .kind = (enum owner_kind)row->kind,
        .hint = row->hint,
        .sure_end = row->sure_end,
        .cluster = row->cluster,
        .namespace = row->namespace,
        .name = row->name,
        .uid = row->uid,
        .workload_kind = row->workload_kind,
        .workload = row->workload,
        .node = row->node,
        .labels = row->labels,
        .from_us = row->from_us,
        .to_us = row->to_us,
        .seen_us = row->seen_us,
        .address_count = row->address_count,
        .addresses = row->addresses,
    };
    uint64_t before = owners_last_number(link->owners);
    int err = owners_restore(link->owners, &owner);
    uint64_t number = owners_last_number(link->owners);
    err = err == 0 && number != before ? keep_id(link, number, row->id) : err;
    load->err = err == W_ELIMIT ? 0 : err;
    return load->err == 0;
}

static int load_all(struct load *load, struct store_view *view)
{
    struct owners_store *link = load->link;
    int err = store_owners(view, link->loaded, load_one, load);
    /* What was loaded is there already and need not be saved. */
    link->saved = owners_version(link->owners);
    uint64_t last = owners_last_number(link->owners);
    link->beyond = link->id_max > last ? link->id_max - last : 0;
    return load->err != 0 ? load->err : err < 0 ? err : 0;
}

int owners_store_load(struct owners_store *link, struct store_view *view)
{
    struct load load = {.link = link};
    return load_all(&load, view);
}

int owners_load(struct owners *owners, struct store_view *view, const struct addr *only,
                size_t only_count)
{
    struct load load = {.only = only, .only_count = only_count};
    int err = owners_store_new(&load.link, owners);
    err = err == 0 ? load_all(&load, view) : err;
    owners_store_free(&load.link);
    return err;
}

/* ---- Saving ---- */

struct save {
    struct owners_store *link;
    struct store *store;
    int err;
};

static uint64_t id_of(const struct owners_store *link, uint64_t number)
{
    bool loaded = number <= link->id_count && link->ids[number - 1] != 0;
    return loaded ? link->ids[number - 1] : number + link->beyond;
}

static bool save_one(void *ctx, const struct owner *owner)
{
    struct save *save = ctx;
    const struct store_owner row = {
        .id = id_of(save->link, owner->number),
        .kind = (uint8_t)owner->kind,
        .hint = owner->hint,
        .sure_end = owner->sure_end,
        .cluster = owner->cluster,
        .namespace = owner->namespace,
        .name = owner->name,
        .uid = owner->uid,
        .workload_kind = owner->workload_kind,
        .workload = owner->workload,
        .node = owner->node,
        .labels = owner->labels,
        .from_us = owner->from_us,
        .to_us = owner->to_us,
        .seen_us = owner->seen_us,
        .address_count = owner->address_count,
        .addresses = owner->addresses,
    };
    int err = store_owner(save->store, &row);
    /* A cluster's name may be too long for an index; no other text can. */
    save->err = err == W_ESYNTAX ? 0 : err;
    if (save->err == 0) {
        save->link->saved = owner->version;
    }
    return save->err == 0;
}

int owners_store_save(struct owners_store *link, struct store *store)
{
    struct save save = {link, store, 0};
    owners_each(link->owners, link->saved, save_one, &save);
    return save.err;
}

/* ---- Hints ---- */

int owners_hint(struct owners *owners, const char *cluster, const struct addr *client,
                int64_t time_us, const char *pod, size_t len)
{
    const char *slash = memchr(pod, '/', len);
    if (slash == NULL) {
        return W_ESYNTAX;
    }
    size_t namespace_len = (size_t)(slash - pod);
    const struct owner_fact fact = {
        .cluster = cluster,
        .kind = OWNER_POD,
        .hint = true,
        .namespace = {pod, namespace_len},
        .name = {slash + 1, len - namespace_len - 1},
        .addresses = client,
        .address_count = 1,
        .partial = true,
        .at_us = time_us,
        /* The pod itself asked: nothing suggests that it had the address before. */
        .started_us = time_us,
    };
    return owners_observe(owners, &fact);
}
