/* api/routes.c -- the table of what can be asked
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include <string.h>

const struct route ROUTES[] = {
    {.method = METHOD_GET,
     .path = "/v1/lookup",
     .type = TYPE_JSON,
     .known = LOOKUP_PARAMS,
     .answer = lookup_get},
    {.method = METHOD_POST,
     .path = "/v1/lookup",
     .type = TYPE_LINES,
     .begin = lookup_post_begin,
     .body = lookup_post_body,
     .answer = lookup_post_answer,
     .release = lookup_post_release},
    {.method = METHOD_GET,
     .path = "/v1/names/{name}",
     .type = TYPE_JSON,
     .known = NAMES_PARAMS,
     .answer = names_get},
    {.method = METHOD_GET,
     .path = "/v1/addresses/{ip}",
     .type = TYPE_JSON,
     .known = PAGED_PARAMS,
     .answer = addresses_get},
    {.method = METHOD_GET,
     .path = "/v1/clients/{ip}",
     .type = TYPE_JSON,
     .known = PAGED_PARAMS,
     .answer = clients_get},
    {.method = METHOD_GET,
     .path = "/v1/coverage",
     .type = TYPE_JSON,
     .known = COVERAGE_PARAMS,
     .answer = coverage_get},
    {.method = METHOD_GET,
     .path = "/v1/status",
     .type = TYPE_JSON,
     .known = CLUSTER_PARAMS,
     .answer = status_get},
    {.method = METHOD_GET,
     .path = "/v1/doctor",
     .type = TYPE_JSON,
     .known = DOCTOR_PARAMS,
     .answer = doctor_get},
    {.method = METHOD_POST,
     .path = "/v1/ingest",
     .type = TYPE_JSON,
     .known = INGEST_PARAMS,
     .begin = ingest_begin,
     .body = ingest_body,
     .answer = ingest_answer,
     .release = ingest_release},
    {.method = METHOD_POST,
     .path = "/v1/flows",
     .type = TYPE_LINES,
     .known = FLOWS_PARAMS,
     .begin = flows_begin,
     .body = flows_body,
     .hold = flows_hold,
     .answer = flows_answer,
     .release = flows_release},
    {.method = METHOD_GET,
     .path = "/metrics",
     .type = TYPE_METRICS,
     .open = true,
     .answer = metrics_get},
    {.method = METHOD_GET,
     .path = "/healthz",
     .type = TYPE_TEXT,
     .open = true,
     .unlimited = true,
     .answer = healthz_get},
    {.method = METHOD_GET,
     .path = "/readyz",
     .type = TYPE_TEXT,
     .open = true,
     .unlimited = true,
     .answer = readyz_get},
    {.method = METHOD_GET, .path = "/openapi.json", .type = TYPE_JSON, .answer = openapi_get},
};
const size_t ROUTE_COUNT = sizeof(ROUTES) / sizeof(ROUTES[0]);
_Static_assert(sizeof(ROUTES) / sizeof(ROUTES[0]) <= ROUTES_MAX, "worker->requests is too small");

static const unsigned CODES[CODE_COUNT] = {
    [CODE_200] = 200, [CODE_204] = 204, [CODE_415] = 415, [CODE_400] = 400, [CODE_401] = 401,
    [CODE_403] = 403, [CODE_404] = 404, [CODE_405] = 405, [CODE_413] = 413, [CODE_414] = 414,
    [CODE_429] = 429, [CODE_500] = 500, [CODE_503] = 503};

size_t routes_index(const struct route *route)
{
    return route == NULL ? ROUTES_MAX : (size_t)(route - ROUTES);
}

size_t routes_code(unsigned status)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (CODES[i] == status) {
            return i;
        }
    }
    return CODE_500;
}

unsigned routes_status(size_t code)
{
    return CODES[code];
}

/* Does the path match the row? Sets *argument to the offset of the segment in braces, 0 for none.
 */
static bool matches(const struct route *route, const char *path, size_t len, size_t *argument)
{
    const char *brace = strchr(route->path, '{');
    *argument = 0;
    if (brace == NULL) {
        return strlen(route->path) == len && memcmp(route->path, path, len) == 0;
    }
    size_t prefix = (size_t)(brace - route->path);
    *argument = prefix;
    return len > prefix && memcmp(route->path, path, prefix) == 0 &&
           memchr(path + prefix, '/', len - prefix) == NULL;
}

static enum method method_of(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        return METHOD_GET;
    }
    return strcmp(method, "POST") == 0 ? METHOD_POST : METHOD_OTHER;
}

/* Finds the row for path and method, else one for the path alone. Returns whether it is the row for
 * both. */
static bool find_row(struct request *request, const char *path, size_t len, enum method method,
                     size_t *argument)
{
    unsigned found = 0;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        size_t at;
        if (!matches(&ROUTES[i], path, len, &at)) {
            continue;
        }
        request->route = &ROUTES[i];
        *argument = at;
        if (ROUTES[i].method == method) {
            return true;
        }
        found |= 1u << ROUTES[i].method;
    }
    if (found == 0) {
        return problem_set(&request->problem, 404, NULL,
                           "there is nothing at this path; /openapi.json lists what there is");
    }
    static const char *const ALLOW[] = {"", "GET, HEAD", "POST", "GET, HEAD, POST"};
    request->allow = ALLOW[found];
    return problem_set(&request->problem, 405, NULL, "this path takes %s only", request->allow);
}

void routes_find(struct request *request, const char *method)
{
    char *path = request->uri;
    size_t len = strcspn(path, "?");
    size_t argument = 0;
    bool has_query = path[len] == '?';
    if (!find_row(request, path, len, method_of(method), &argument)) {
        return;
    }
    if (argument > 0) {
        request->argument_len = params_decode(path + argument, len - argument);
        request->argument = path + argument;
        if (request->argument_len == SIZE_MAX) {
            problem_set(&request->problem, 400, NULL, "the path holds a bad percent escape");
            return;
        }
    }
    if (has_query) {
        char *query = path + len + 1;
        params_parse(&request->params, query, strlen(query), &request->problem);
    }
}
