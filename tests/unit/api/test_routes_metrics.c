/* tests/unit/api/test_routes_metrics.c -- /metrics
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include "tests/support/http_test.h"

static void metrics_count_requests_and_verdicts_and_name_nobody(void **state)
{
    struct api_options options = api_fixture_options(&fixture);
    (void)state;
    options.threads = 1;
    restart(&options);
    for (int i = 0; i < 3; i++) {
        struct reply reply = ask("GET", LOOKUP, NULL, NULL);
        reply_free(&reply);
    }
    struct reply reply = ask("POST", "/v1/lookup", NULL, LOOKUP_LINE LOOKUP_LINE);
    reply_free(&reply);
    reply = ask("GET", "/v1/names/..", NULL, NULL);
    reply_free(&reply);
    reply = ask("GET", "/secret.example.com", NULL, NULL);
    reply_free(&reply);
    reply = ask("GET", "/metrics", NULL, NULL);
    static const char *const LINES[] = {
        "\nwhither_http_requests_total{method=\"GET\",route=\"/v1/lookup\",code=\"200\"} 3\n",
        "\nwhither_http_requests_total{method=\"POST\",route=\"/v1/lookup\",code=\"200\"} 1\n",
        "\nwhither_http_requests_total{method=\"GET\",route=\"/v1/names/{name}\",code=\"400\"} 1\n",
        "\nwhither_http_requests_total{method=\"\",route=\"none\",code=\"404\"} 1\n",
        "\nwhither_lookups_total{verdict=\"resolved\"} 5\n",
        "\nwhither_dnstap_frames_total{result=\"answer\"} ",
        "\nwhither_index_sightings 54\n",
    };
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        assert_non_null(strstr(reply.body, LINES[i]));
    }
    assert_null(strstr(reply.body, "10.0.0."));
    assert_null(strstr(reply.body, "example"));
    reply_free(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(metrics_count_requests_and_verdicts_and_name_nobody),
    };
    return cmocka_run_group_tests(tests, http_open, http_close);
}
