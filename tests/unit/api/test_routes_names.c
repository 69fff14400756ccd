/* tests/unit/api/test_routes_names.c -- the lists of the index, page by page
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include "tests/support/http_test.h"

static void pages_of_a_list_give_each_row_once_newest_first(void **state)
{
    char cursor[128] = "";
    int next = 59;
    (void)state;
    do {
        char target[256];
        snprintf(target, sizeof(target), "/v1/names/list.example.com?under=true&limit=7%s%s",
                 cursor[0] != '\0' ? "&cursor=" : "", cursor);
        struct reply reply = ask("GET", target, NULL, NULL);
        assert_int_equal(reply.status, 200);
        for (const char *at = reply.body; (at = strstr(at, "\"asked\":\"n")) != NULL; at++) {
            assert_int_equal(atoi(at + 10), next);
            next--;
        }
        char *more = strstr(reply.body, "\"next\":\"");
        cursor[0] = '\0';
        if (more != NULL) {
            snprintf(cursor, sizeof(cursor), "%.*s", (int)strcspn(more + 8, "\""), more + 8);
        }
        reply_free(&reply);
    } while (cursor[0] != '\0');
    assert_int_equal(next, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(pages_of_a_list_give_each_row_once_newest_first),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
