/* tests/unit/join/test_owners_store.c -- the table of owners and the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/owners_store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

#define T (INT64_C(20500) * US_PER_DAY)

/* One process: its table, and its link to the index. */
struct process {
    struct store *store;
    struct owners *owners;
    struct owners_store *link;
};

static void load(struct process *process)
{
    struct store_view *view;
    assert_int_equal(store_view_new(process->store, &view), 0);
    assert_int_equal(owners_store_load(process->link, view), 0);
    store_view_free(&view);
}

static void process_start(struct process *process, const char *dir, enum store_mode mode)
{
    process->store = fixture_open(dir, mode);
    assert_int_equal(owners_new(&process->owners, 0), 0);
    assert_int_equal(owners_store_new(&process->link, process->owners), 0);
    load(process);
}

static void process_end(struct process *process)
{
    owners_store_free(&process->link);
    owners_free(&process->owners);
    store_close(&process->store);
}

static void save(struct process *process)
{
    assert_int_equal(owners_store_save(process->link, process->store), 0);
    assert_int_equal(store_commit(process->store, T, NULL), 0);
}

static struct text text(const char *text)
{
    return (struct text){text, strlen(text)};
}

static void tell(struct process *process, const char *name, const char *addr, int64_t at_s,
                 bool ended)
{
    struct addr address = fixture_addr(addr);
    const struct owner_fact fact = {
        .cluster = "prod-1",
        .kind = OWNER_POD,
        .namespace = text("shop"),
        .name = text(name),
        .uid = text(name),
        .workload_kind = text("Deployment"),
        .workload = text("cart"),
        .node = text("node-a"),
        .labels = text("app=cart\n"),
        .addresses = &address,
        .address_count = 1,
        .ended = ended,
        .at_us = T + at_s * US_PER_S,
        .started_us = T,
        .ended_us = ended ? T + at_s * US_PER_S : 0,
    };
    assert_int_equal(owners_observe(process->owners, &fact), 0);
}

/* "shop/cart-1 0..60 sure Deployment/cart node-a app=cart", "nobody" */
static void assert_owner(struct process *process, const char *addr, int64_t at_s,
                         const char *expected)
{
    struct owners_reader *reader;
    struct owner_at at;
    char shown[512] = "nobody";
    struct addr address = fixture_addr(addr);
    assert_int_equal(owners_reader_new(&reader, process->owners), 0);
    if (owners_at(reader, "prod-1", &address, T + at_s * US_PER_S, &at)) {
        const struct owner *owner = at.owner;
        int len = snprintf(shown, sizeof(shown), "%s/%s %d..", owner->namespace, owner->name,
                           (int)((owner->from_us - T) / US_PER_S));
        if (owner->to_us != OWNER_OPEN) {
            len += snprintf(shown + len, sizeof(shown) - (size_t)len, "%d%s",
                            (int)((owner->to_us - T) / US_PER_S), owner->sure_end ? " sure" : "");
        }
        snprintf(shown + len, sizeof(shown) - (size_t)len, "%s %s/%s %s %s",
                 owner->hint ? " hint" : "", owner->workload_kind, owner->workload, owner->node,
                 owner->labels);
    }
    assert_string_equal(shown, expected);
    owners_reader_free(&reader);
}

static size_t rows(struct process *process)
{
    struct owners_status status = owners_status(process->owners);
    return status.intervals;
}

#define REST " Deployment/cart node-a app=cart\n"

static void test_what_was_saved_is_there_after_a_restart_and_goes_on(void **state)
{
    (void)state;
    char dir[64];
    struct process process;
    fixture_dir(dir);
    process_start(&process, dir, STORE_WRITE);
    tell(&process, "cart-1", "192.0.2.1", 10, false);
    tell(&process, "cart-2", "192.0.2.2", 10, false);
    tell(&process, "cart-2", "192.0.2.2", 60, true);
    save(&process);
    process_end(&process);

    process_start(&process, dir, STORE_WRITE);
    assert_owner(&process, "192.0.2.1", 100, "shop/cart-1 0.." REST);
    assert_owner(&process, "192.0.2.2", 30, "shop/cart-2 0..60 sure" REST);
    assert_owner(&process, "192.0.2.2", 90, "nobody");
    /* The same pod is seen again, ends, and another follows. */
    tell(&process, "cart-1", "192.0.2.1", 100, false);
    tell(&process, "cart-1", "192.0.2.1", 200, true);
    tell(&process, "cart-3", "192.0.2.2", 300, false);
    save(&process);
    process_end(&process);

    process_start(&process, dir, STORE_WRITE);
    assert_owner(&process, "192.0.2.1", 150, "shop/cart-1 0..200 sure" REST);
    assert_owner(&process, "192.0.2.1", 250, "nobody");
    assert_owner(&process, "192.0.2.2", 30, "shop/cart-2 0..60 sure" REST);
    assert_owner(&process, "192.0.2.2", 350, "shop/cart-3 60.." REST);
    /* Nothing is there twice: each interval kept its id. */
    assert_int_equal(rows(&process), 3);
    process_end(&process);
    fixture_remove(dir);
}

static bool show_change(void *ctx, const struct store_owner *owner)
{
    char *shown = ctx;
    sprintf(shown + strlen(shown), "%s@%d ", owner->name, (int)owner->sequence);
    return true;
}

static void test_only_what_changed_is_saved(void **state)
{
    (void)state;
    char dir[64], shown[256] = "";
    struct process process;
    struct store_view *view;
    fixture_dir(dir);
    process_start(&process, dir, STORE_WRITE);
    for (int i = 1; i <= 4; i++) {
        char name[24], addr[24];
        snprintf(name, sizeof(name), "cart-%d", i);
        snprintf(addr, sizeof(addr), "192.0.2.%d", i);
        tell(&process, name, addr, 10, false);
    }
    save(&process);
    process_end(&process);
    process_start(&process, dir, STORE_WRITE);
    tell(&process, "cart-2", "192.0.2.2", 20, true);
    tell(&process, "cart-3", "192.0.2.3", 20, false);
    tell(&process, "cart-5", "192.0.2.5", 20, false);
    save(&process);
    save(&process);
    assert_int_equal(store_view_new(process.store, &view), 0);
    assert_int_equal(store_owners(view, 0, show_change, shown), 0);
    assert_string_equal(shown, "cart-1@1 cart-3@3 cart-4@4 cart-2@5 cart-5@6 ");
    store_view_free(&view);
    process_end(&process);
    fixture_remove(dir);
}

static void test_another_process_follows_what_is_saved(void **state)
{
    (void)state;
    char dir[64];
    struct process writer, reader;
    fixture_dir(dir);
    process_start(&writer, dir, STORE_WRITE);
    tell(&writer, "cart-1", "192.0.2.1", 10, false);
    save(&writer);
    process_start(&reader, dir, STORE_READ);
    assert_owner(&reader, "192.0.2.1", 100, "shop/cart-1 0.." REST);
    tell(&writer, "cart-1", "192.0.2.1", 50, true);
    tell(&writer, "cart-2", "192.0.2.1", 70, false);
    assert_owner(&reader, "192.0.2.1", 100, "shop/cart-1 0.." REST);
    save(&writer);
    load(&reader);
    assert_owner(&reader, "192.0.2.1", 30, "shop/cart-1 0..50 sure" REST);
    assert_owner(&reader, "192.0.2.1", 100, "shop/cart-2 50.." REST);
    process_end(&reader);
    process_end(&writer);
    fixture_remove(dir);
}

static void test_a_dns_servers_word_is_a_hint_and_is_kept_as_one(void **state)
{
    (void)state;
    char dir[64];
    struct process process;
    struct addr client = fixture_addr("192.0.2.1");
    fixture_dir(dir);
    process_start(&process, dir, STORE_WRITE);
    assert_int_equal(
        owners_hint(process.owners, "prod-1", &client, T + 30 * US_PER_S, "shop/cart-1x", 11), 0);
    assert_int_equal(owners_hint(process.owners, "prod-1", &client, T, "cart-1", 6), W_ESYNTAX);
    save(&process);
    process_end(&process);
    process_start(&process, dir, STORE_WRITE);
    assert_owner(&process, "192.0.2.1", 40, "shop/cart-1 30.. hint /  ");
    /* What Kubernetes says counts more. */
    tell(&process, "cart-2", "192.0.2.1", 35, false);
    assert_owner(&process, "192.0.2.1", 40, "shop/cart-2 0.." REST);
    process_end(&process);
    fixture_remove(dir);
}

static void test_what_the_store_cannot_take_comes_again(void **state)
{
    (void)state;
    char dir[64], labels[OWNER_LABELS_MAX + 1];
    struct process process;
    struct owners_status status;
    fixture_dir(dir);
    process_start(&process, dir, STORE_WRITE);
    memset(labels, 'x', sizeof(labels) - 1);
    labels[sizeof(labels) - 1] = '\0';
    for (unsigned i = 0; i < 9000; i++) {
        struct addr address = fixture_addr("192.0.2.1");
        char name[24];
        address.b[13] = (uint8_t)(i >> 8);
        address.b[14] = (uint8_t)i;
        snprintf(name, sizeof(name), "cart-%u", i);
        const struct owner_fact fact = {.cluster = "prod-1",
                                        .kind = OWNER_POD,
                                        .namespace = text("shop"),
                                        .name = text(name),
                                        .labels = text(labels),
                                        .addresses = &address,
                                        .address_count = 1,
                                        .at_us = T};
        assert_int_equal(owners_observe(process.owners, &fact), 0);
    }
    assert_int_equal(owners_store_save(process.link, process.store), W_ELIMIT);
    assert_int_equal(store_commit(process.store, T, NULL), 0);
    save(&process);
    process_end(&process);
    process_start(&process, dir, STORE_WRITE);
    status = owners_status(process.owners);
    assert_int_equal(status.intervals, 9000);
    process_end(&process);
    fixture_remove(dir);
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    char dir[64];
    struct process process;
    struct owners_store *link;
    fixture_dir(dir);
    process_start(&process, dir, STORE_WRITE);
    tell(&process, "cart-1", "192.0.2.1", 10, false);
    save(&process);
    struct store_view *view;
    assert_int_equal(store_view_new(process.store, &view), 0);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct owners *owners;
        assert_int_equal(owners_new(&owners, 0), 0);
        alloc_fail_at(n);
        int err = owners_store_new(&link, owners);
        err = err == 0 ? owners_store_load(link, view) : err;
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        owners_store_free(&link);
        owners_free(&owners);
    }
    store_view_free(&view);
    process_end(&process);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_saved_is_there_after_a_restart_and_goes_on),
        cmocka_unit_test(test_only_what_changed_is_saved),
        cmocka_unit_test(test_another_process_follows_what_is_saved),
        cmocka_unit_test(test_a_dns_servers_word_is_a_hint_and_is_kept_as_one),
        cmocka_unit_test(test_what_the_store_cannot_take_comes_again),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
