/* tests/unit/api/test_worker.c -- what each thread of the service keeps
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/http_test.h"

static uint64_t index_bytes(void)
{
    struct store_view *view;
    struct store_status status;
    assert_int_equal(store_view_new(fixture.store, &view), 0);
    assert_int_equal(store_status(view, &status), 0);
    store_view_free(&view);
    return status.bytes;
}

static void an_idle_service_does_not_keep_the_index_from_using_its_pages_again(void **state)
{
    uint64_t bytes[2];
    struct why why;
    (void)state;
    uint16_t cluster = store_cluster(fixture.store, "default");
    struct reply reply = ask("GET", LOOKUP, NULL, NULL);
    expect(&reply, 200, "resolved");
    reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
    expect(&reply, 200, "resolved");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            const uint8_t v4[4] = {10, 0, 1, (uint8_t)i};
            struct addr client = addr_from_v4(v4);
            assert_int_equal(store_asked(fixture.store, cluster, &client,
                                         FIXTURE_T_US + (round * 200 + i) * US_PER_MIN),
                             0);
            assert_int_equal(store_commit(fixture.store, clock_now_us(), &why), 0);
        }
        bytes[round] = index_bytes();
    }
    assert_true(bytes[1] < bytes[0] + (1 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(an_idle_service_does_not_keep_the_index_from_using_its_pages_again),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
