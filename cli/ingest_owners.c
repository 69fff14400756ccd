/* cli/ingest_owners.c -- hints at owners that come with captures
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/ingest_owners.h"

static int load(struct ingest_owners *owners)
{
    struct store_view *view;
    int err = owners_new(&owners->table, 0);
    err = err == 0 ? owners_store_new(&owners->link, owners->table) : err;
    err = err == 0 ? store_view_new(owners->store, &view) : err;
    if (err == 0) {
        err = owners_store_load(owners->link, view);
        store_view_free(&view);
    }
    return err;
}

static void on_hint(void *ctx, const char *cluster, const struct addr *client, int64_t time_us,
                    const char *pod, size_t len)
{
    struct ingest_owners *owners = ctx;
    if (owners->table == NULL && owners->err == 0) {
        owners->err = load(owners);
    }
    if (owners->err == 0) {
        owners->err = owners_hint(owners->table, cluster, client, time_us, pod, len);
    }
}

static void save(void *ctx, struct store *store)
{
    struct ingest_owners *owners = ctx;
    if (owners->link != NULL && owners->err == 0) {
        int err = owners_store_save(owners->link, store);
        /* What the store cannot take now comes with the next commit. */
        owners->err = err == W_ELIMIT ? 0 : err;
    }
}

void ingest_owners_init(struct ingest_owners *owners, struct store *store)
{
    *owners = (struct ingest_owners){.store = store, .keeper = {owners, on_hint, save}};
}

int ingest_owners_fini(struct ingest_owners *owners)
{
    owners_store_free(&owners->link);
    owners_free(&owners->table);
    return owners->err;
}
