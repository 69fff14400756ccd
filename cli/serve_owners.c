/* cli/serve_owners.c -- the owners of addresses that a service knows
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/serve_owners.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/owner_follow.h"
#include "join/owners_k8s.h"
#include "join/owners_store.h"

/* What an interval takes in memory, with everything that leads to it. */
#define INTERVAL_BYTES 1024

struct serve_owners {
    const struct settings *settings;
    struct owners *table;
    struct owners_store *link;
    struct owner_keeper keeper;
    struct kubernetes *kubernetes;
    struct owner_follow *follow;
    struct writer *writer;
    struct log_limit save_limit; /* of the writer thread, as the next */
    uint64_t counted;            /* version of the table when DNS pods were counted last */

    /* the Kubernetes thread's */
    struct owners_k8s *objects;
    uint64_t lists[K8S_KINDS]; /* begun */
    int64_t listed_us[K8S_KINDS];
    uint64_t version; /* of the table when the writer was touched last */
    struct log_limit limit;
};

/* ---- The writer thread ---- */

static void on_hint(void *ctx, const char *cluster, const struct addr *client, int64_t time_us,
                    const char *pod, size_t len)
{
    const struct serve_owners *owners = ctx;
    /* A table that is full counts what it refuses. */
    owners_hint(owners->table, cluster, client, time_us, pod, len);
}

static bool find_dns(void *ctx, const struct owner *owner)
{
    bool *found = ctx;
    *found |= owner_is_dns(owner);
    return !*found;
}

static bool count_dns(void *ctx, const struct owner *owner)
{
    uint32_t *count = ctx;
    *count += owner->to_us == OWNER_OPEN && owner_is_dns(owner);
    return true;
}

/* Without --expect-senders, as many senders are expected as DNS pods run. Those are counted anew
 * only when something became known of one. */
static void expect_dns_pods(struct serve_owners *owners, struct store *store)
{
    uint64_t version = owners_version(owners->table);
    bool changed = false;
    uint32_t count = 0;
    if (owners->settings->expect_senders > 0 || version == owners->counted) {
        return;
    }
    owners_each(owners->table, owners->counted, find_dns, &changed);
    owners->counted = version;
    if (changed) {
        owners_each(owners->table, 0, count_dns, &count);
        store_expect_from(store, owners->settings->cluster, clock_now_us(), count);
    }
}

static void save(void *ctx, struct store *store)
{
    struct serve_owners *owners = ctx;
    uint32_t suppressed;
    expect_dns_pods(owners, store);
    int err = owners_store_save(owners->link, store);
    if (err != 0 && log_limit_pass(&owners->save_limit, clock_monotonic_us(), &suppressed)) {
        log_warn("owners of addresses wait to be saved: %s", err_str(err));
    }
}

/* ---- The Kubernetes thread ---- */

static int complain(struct serve_owners *owners, const struct k8s_object *object, int err,
                    const struct why *why)
{
    uint32_t suppressed;
    if (err != 0 && log_limit_pass(&owners->limit, clock_monotonic_us(), &suppressed)) {
        log_warn("one of the %s is left out: %s", k8s_kind_name(object->kind),
                 why->text[0] != '\0' ? why->text : err_str(err));
    }
    /* Anything but memory is the object's fault, or the table is full: the others go on. */
    return err == -ENOMEM ? err : 0;
}

static int take_object(struct serve_owners *owners, const struct k8s_object *object)
{
    static const char *const KINDS[K8S_KINDS] = {
        [K8S_PODS] = "Pod", [K8S_SERVICES] = "Service", [K8S_NODES] = "Node"};
    struct why why = {""};
    int err = owners_k8s_object(owners->objects, object->text, object->len, KINDS[object->kind],
                                object->event == K8S_DELETED, clock_now_us(), &why);
    return complain(owners, object, err, &why);
}

static int end_list(struct serve_owners *owners, const struct k8s_object *object)
{
    static const enum owner_kind KINDS[K8S_KINDS] = {
        [K8S_PODS] = OWNER_POD, [K8S_SERVICES] = OWNER_SERVICE, [K8S_NODES] = OWNER_NODE};
    int err =
        owners_list_end(owners->table, 0, owners->lists[object->kind], owners->settings->cluster,
                        KINDS[object->kind], NULL, owners->listed_us[object->kind]);
    return complain(owners, object, err, &(struct why){""});
}

static int on_object(void *ctx, const struct k8s_object *object)
{
    struct serve_owners *owners = ctx;
    int err = 0;
    if (object->event == K8S_LIST_BEGIN) {
        owners->lists[object->kind] = owners_list_begin(owners->table);
        owners->listed_us[object->kind] = clock_now_us();
    } else if (object->event == K8S_LIST_END) {
        err = end_list(owners, object);
    } else {
        err = take_object(owners, object);
    }
    uint64_t version = owners_version(owners->table);
    if (version != owners->version) {
        owners->version = version;
        writer_touch(owners->writer);
    }
    return err;
}

/* ---- Start and end ---- */

static int load(struct serve_owners *owners, struct store *store, struct why *why)
{
    struct store_view *view;
    int err = store_view_new(store, &view);
    if (err == 0) {
        err = owners_store_load(owners->link, view);
        store_view_free(&view);
    }
    return err == 0 ? 0
                    : why_set(why, err, "the owners in the index cannot be read: %s", err_str(err));
}

int serve_owners_new(struct serve_owners **out, const struct settings *settings,
                     struct store *store, uint64_t memory_bytes, struct why *why)
{
    *out = NULL;
    struct serve_owners *owners = calloc(1, sizeof(*owners));
    if (owners == NULL) {
        return why_set(why, -ENOMEM, "out of memory");
    }
    owners->settings = settings;
    owners->keeper = (struct owner_keeper){owners, on_hint, save};
    owners->limit = owners->save_limit = (struct log_limit){.interval_us = US_PER_MIN, .burst = 1};
    int err = owners_new(&owners->table, (size_t)(memory_bytes / INTERVAL_BYTES));
    err = err == 0 ? owners_store_new(&owners->link, owners->table) : err;
    err = err == 0 ? load(owners, store, why) : why_set(why, err, "out of memory");
    err = err == 0 ? owner_follow_new(&owners->follow, owners->table, settings, why) : err;
    if (err != 0) {
        serve_owners_free(&owners);
        return err;
    }
    *out = owners;
    return 0;
}

static void on_change(void *ctx)
{
    const struct serve_owners *owners = ctx;
    writer_touch(owners->writer);
}

int serve_owners_start(struct serve_owners *owners, struct writer *writer, struct why *why)
{
    owners->writer = writer;
    int err = owner_follow_start(owners->follow, on_change, owners, why);
    if (err != 0 || !owners->settings->kubernetes) {
        return err;
    }
    err = owners_k8s_new(&owners->objects, owners->table, owners->settings->cluster);
    if (err != 0) {
        return why_set(why, err, "out of memory");
    }
    const struct kubernetes_options options = {.fn = on_object, .ctx = owners};
    return kubernetes_start(&owners->kubernetes, &options, why);
}

void serve_owners_stop(struct serve_owners *owners)
{
    if (owners != NULL) {
        owner_follow_stop(owners->follow);
        kubernetes_stop(&owners->kubernetes);
    }
}

void serve_owners_free(struct serve_owners **out)
{
    struct serve_owners *owners = *out;
    *out = NULL;
    if (owners != NULL) {
        owner_follow_free(&owners->follow);
        owners_k8s_free(&owners->objects);
        owners_store_free(&owners->link);
        owners_free(&owners->table);
        free(owners);
    }
}

const struct owner_keeper *serve_owners_keeper(const struct serve_owners *owners)
{
    return &owners->keeper;
}

struct owners *serve_owners_table(struct serve_owners *owners)
{
    return owners->table;
}

struct kubernetes *serve_owners_kubernetes(struct serve_owners *owners)
{
    return owners->kubernetes;
}
