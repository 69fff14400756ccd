/* tests/support/http_test.h -- what the tests of the HTTP service share: one fixture, restarted
 * SPDX-License-Identifier: Apache-2.0
 *
 * A test program includes it once, wraps each test in HTTP_TEST and runs them with http_open and
 * http_close: each begins with a service of the default options over the index of api_fixture.h.
 *
 * Threads: one.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/support/api_fixture.h"

#define LOOKUP "/v1/lookup?src=10.0.0.7&dst=192.0.2.10&at=2026-05-22T10:00:05Z"
#define LOOKUP_LINE "{\"src\":\"10.0.0.7\",\"dst\":\"192.0.2.10\",\"at\":1779444005}\n"

static struct api_fixture fixture;

/* Stops what runs and starts the service anew with these options. */
static inline void restart(const struct api_options *options)
{
    api_stop(&fixture.api);
    api_fixture_start(&fixture, options);
}

static inline struct reply ask(const char *method, const char *target, const char *headers,
                               const char *body)
{
    return client_ask(fixture.port, method, target, headers, body);
}

/* Asserts status and a piece of the body, and frees the reply. */
static inline void expect(struct reply *reply, int status, const char *body)
{
    assert_int_equal(reply->status, status);
    assert_non_null(strstr(reply->body, body));
    reply_free(reply);
}

static inline int http_fresh(void **state)
{
    (void)state;
    struct api_options options = api_fixture_options(&fixture);
    restart(&options);
    return 0;
}

static inline int http_open(void **state)
{
    (void)state;
    api_fixture_open(&fixture);
    return 0;
}

static inline int http_close(void **state)
{
    (void)state;
    api_fixture_close(&fixture);
    return 0;
}

#define HTTP_TEST(test) cmocka_unit_test_setup(test, http_fresh)
