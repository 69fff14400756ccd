/* tests/unit/api/test_routes_status.c -- readiness
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include "tests/support/http_test.h"

static bool not_ready(void *ctx, struct why *why)
{
    bool ready = *(bool *)ctx;
    why_set(why, 0, "no listener yet");
    return ready;
}

static void readiness_is_what_the_service_says(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    bool ready = false;
    (void)state;
    options.ready = not_ready;
    options.ready_ctx = &ready;
    restart(&options);
    struct reply reply = ask("GET", "/readyz", NULL, NULL);
    expect(&reply, 503, "no listener yet");
    ready = true;
    reply = ask("GET", "/readyz", NULL, NULL);
    expect(&reply, 200, "ok");
    api_stop(&fixture.api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(readiness_is_what_the_service_says),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
