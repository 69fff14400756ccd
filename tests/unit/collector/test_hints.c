/* tests/unit/collector/test_hints.c -- what a DNS server says about its clients
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/hints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/alloc.h"

#define NOW INT64_C(1779444000000000)

static struct span span(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static struct addr addr(const char *text)
{
    struct addr out;
    assert_true(addr_parse(&out, text, strlen(text)));
    return out;
}

static const struct {
    const char *extra;
    bool is_pod;
} EXTRAS[] = {
    {"shop/cart-1", true},
    {"kube-system/coredns-7c9d8f5b6d-x2x9k", true},
    {"a/b", true},
    {"0/0.0", true},
    {"shop/web.v1-0", true},
    /* What CoreDNS writes for metadata that is not there */
    {"-/-", false},
    {"shop/-", false},
    {"-/cart-1", false},
    {"-", false},
    /* What others put there */
    {"", false},
    {"rtt=12", false},
    {"shop", false},
    {"shop/", false},
    {"/cart-1", false},
    {"/", false},
    {"192.0.2.1/24", false},
    {"shop/cart-1/app", false},
    {"Shop/cart-1", false},
    {"shop/cart_1", false},
    {"shop/cart 1", false},
    {"shop./cart-1", false},
    {"shop-/cart-1", false},
    {"shop/cart-", false},
    {"shop/.cart", false},
    {"shop/cart.", false},
    {"shop/ca..rt", false},
    {"shop/ca-.rt", false},
    {"shop/ca.-rt", false},
};

static void test_only_namespace_and_pod_are_a_hint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(EXTRAS) / sizeof(EXTRAS[0]); i++) {
        /* A copy of exactly that size: reading beyond it is seen by the sanitizer. */
        size_t len = strlen(EXTRAS[i].extra);
        uint8_t *copy = malloc(len > 0 ? len : 1);
        memcpy(copy, EXTRAS[i].extra, len);
        if (hint_is_pod((struct span){copy, len}) != EXTRAS[i].is_pod) {
            fail_msg("%s", EXTRAS[i].extra);
        }
        free(copy);
    }
    assert_false(hint_is_pod((struct span){NULL, 0}));
    assert_false(hint_is_pod(span("shop/cart-\xc3\xa9")));
    assert_false(hint_is_pod((struct span){(const uint8_t *)"shop/ca\0rt", 10}));
}

static void test_names_are_as_long_as_kubernetes_has_them(void **state)
{
    (void)state;
    static const struct {
        int namespace;
        int pod;
        bool is_pod;
    } LENGTHS[] = {{63, 253, true}, {64, 252, false}, {62, 254, false}, {1, 1, true}};
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        char text[400];
        memset(text, 'x', sizeof(text));
        text[LENGTHS[i].namespace] = '/';
        text[LENGTHS[i].namespace + 1 + LENGTHS[i].pod] = '\0';
        assert_int_equal(hint_is_pod(span(text)), LENGTHS[i].is_pod);
    }
}

static void test_what_was_just_said_is_no_news(void **state)
{
    (void)state;
    struct hints *hints = NULL;
    struct addr one = addr("192.0.2.1"), two = addr("2001:db8::2");
    assert_true(hints_is_news(&hints, &one, span("shop/cart-1"), NOW));
    assert_false(hints_is_news(&hints, &one, span("shop/cart-1"), NOW + 1));
    assert_false(hints_is_news(&hints, &one, span("shop/cart-1"), NOW - 1));
    assert_true(hints_is_news(&hints, &two, span("shop/cart-1"), NOW));
    assert_false(hints_is_news(&hints, &one, span("shop/cart-1"), NOW + HINT_AGAIN_US - 1));
    /* Another pod, and back again */
    assert_true(hints_is_news(&hints, &one, span("shop/cart-2"), NOW + 2));
    assert_true(hints_is_news(&hints, &one, span("shop/cart-1"), NOW + 3));
    /* Now and then, to show that it still holds */
    assert_true(hints_is_news(&hints, &one, span("shop/cart-1"), NOW + 3 + HINT_AGAIN_US));
    assert_true(hints_is_news(&hints, &one, span("shop/cart-1"), NOW));
    hints_free(&hints);
    assert_null(hints);
    hints_free(&hints);
}

static void test_more_clients_than_the_table_holds_are_told_again(void **state)
{
    (void)state;
    struct hints *hints = NULL;
    size_t news = 0;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 512; i++) {
            struct addr client = addr("192.0.2.1");
            client.b[14] = (uint8_t)(i >> 8);
            client.b[15] = (uint8_t)i;
            news += hints_is_news(&hints, &client, span("shop/cart-1"), NOW);
        }
    }
    assert_in_range(news, 512, 512 * 5);
    hints_free(&hints);
}

static void test_without_memory_everything_is_news(void **state)
{
    (void)state;
    struct hints *hints = NULL;
    struct addr one = addr("192.0.2.1");
    alloc_fail_at(1);
    assert_true(hints_is_news(&hints, &one, span("shop/cart-1"), NOW));
    alloc_fail_at(0);
    assert_null(hints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_namespace_and_pod_are_a_hint),
        cmocka_unit_test(test_names_are_as_long_as_kubernetes_has_them),
        cmocka_unit_test(test_what_was_just_said_is_no_news),
        cmocka_unit_test(test_more_clients_than_the_table_holds_are_told_again),
        cmocka_unit_test(test_without_memory_everything_is_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
