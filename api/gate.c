/* api/gate.c -- whether a request is answered at all
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/service.h"
#include "base/clock.h"

/* Counted before the token is looked at, so that guessing tokens is limited too. */
static bool within_rate(struct request *request)
{
    struct api *api = request->worker->api;
    bool unlimited = request->route != NULL && request->route->unlimited;
    if (api->rate == NULL || unlimited) {
        return true;
    }
    int64_t wait_us = rate_take(api->rate, &request->client, clock_monotonic_us());
    if (wait_us == 0) {
        return true;
    }
    request->retry_after_s = (uint32_t)((wait_us + US_PER_S - 1) / US_PER_S);
    return problem_set(&request->problem, 429, NULL,
                       "more than %u requests a second from one address", api->options.rate);
}

void gate_check(struct request *request, const struct gate_headers *headers)
{
    const struct api *api = request->worker->api;
    if (!within_rate(request) || (request->route != NULL && request->route->open)) {
        return;
    }
    if (api->auth.token_len > 0) {
        if (!auth_bearer(&api->auth, headers->authorization)) {
            problem_set(&request->problem, 401, "Authorization",
                        headers->authorization == NULL
                            ? "expected the header Authorization: Bearer TOKEN"
                            : "this is not the token of --http-token-file");
        }
        return;
    }
    if (!auth_host_is_local(headers->host)) {
        problem_set(&request->problem, 403, "Host",
                    "without a token only requests to localhost or a loopback address are "
                    "answered");
    } else if (auth_is_cross_origin(headers->origin, headers->host)) {
        problem_set(&request->problem, 403, "Origin",
                    "without a token no page of another origin is answered");
    }
}
