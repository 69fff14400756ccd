/* tests/unit/api/test_gate.c -- who may ask
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <unistd.h>

#include "tests/support/http_test.h"

#define TOKEN "0123456789abcdef-token"

static void token_file(char path[32])
{
    strcpy(path, "/tmp/token-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, TOKEN "\n", sizeof(TOKEN)), sizeof(TOKEN));
    close(fd);
}

static void with_a_token_everything_but_probes_and_metrics_needs_it(void **state)
{
    static const struct {
        const char *target;
        const char *headers;
        int status;
    } TESTS[] = {
        {"/v1/status", NULL, 401},
        {"/v1/status", "Authorization: Bearer wrong-wrong-wrong-wrong\r\n", 401},
        {"/v1/status", "Authorization: Basic " TOKEN "\r\n", 401},
        {"/v1/status", "Authorization: Bearer " TOKEN "\r\n", 200},
        {"/v1/status", "Authorization: Bearer " TOKEN "\r\nHost: example.com\r\n", 200},
        {"/v1/lookup?nonsense", NULL, 401}, /* before anything else is told */
        {"/nothing", NULL, 401},
        {"/nothing", "Authorization: Bearer " TOKEN "\r\n", 404},
        {"/openapi.json", NULL, 401},
        {"/healthz", NULL, 200},
        {"/readyz", NULL, 200},
        {"/metrics", NULL, 200},
    };
    char path[32];
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    token_file(path);
    options.token_file = path;
    restart(&options);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct reply reply = ask("GET", TESTS[i].target, TESTS[i].headers, NULL);
        assert_int_equal(reply.status, TESTS[i].status);
        bool challenged = strncmp(reply_header(&reply, "WWW-Authenticate"), "Bearer", 6) == 0;
        assert_int_equal(challenged, TESTS[i].status == 401);
        reply_free(&reply);
    }
    /* A body without the token is not waited for. */
    struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE);
    expect(&reply, 401, "Authorization");
    unlink(path);
}

static void beyond_loopback_it_does_not_start_without_a_token(void **state)
{
    static const char *const ADDRESSES[] = {"0.0.0.0", "::", "192.0.2.1", "2001:db8::1"};
    (void)state;
    for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
        struct api_options options = api_fixture_options(&fixture);
        struct api *api;
        struct why why;
        assert_true(addr_parse(&options.address, ADDRESSES[i], strlen(ADDRESSES[i])));
        assert_int_equal(api_start(&api, &options, &why), W_EUSAGE);
        assert_null(api);
        assert_non_null(strstr(why.text, "--http-token-file"));
        assert_non_null(strstr(why.text, ADDRESSES[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(with_a_token_everything_but_probes_and_metrics_needs_it),
        HTTP_TEST(beyond_loopback_it_does_not_start_without_a_token),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
