/* tests/unit/api/test_routes.c -- the table of routes and its description
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "join/json.h"

/* The description of a path: from its key to that of the next path. The caller frees. */
static char *path_item(const char *path)
{
    char key[128];
    snprintf(key, sizeof(key), "\"%s\": {", path);
    const char *begin = strstr(OPENAPI, key);
    if (begin == NULL) {
        return NULL;
    }
    begin += strlen(key);
    const char *next = strstr(begin, "\"/");
    const char *end = strstr(begin, "\"components\"");
    end = next != NULL && next < end ? next : end;
    return strndup(begin, (size_t)(end - begin));
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    while ((text = strstr(text, what)) != NULL) {
        count++;
        text += strlen(what);
    }
    return count;
}

static bool describes_param(const char *item, const char *name)
{
    char direct[64], shared[64];
    snprintf(direct, sizeof(direct), "\"name\": \"%s\"", name);
    snprintf(shared, sizeof(shared), "#/components/parameters/%s\"", name);
    return strstr(item, direct) != NULL || strstr(item, shared) != NULL;
}

static void every_route_is_described_with_all_its_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        char *item = path_item(route->path);
        assert_non_null(item);
        assert_non_null(strstr(item, route->method == METHOD_POST ? "\"post\": {" : "\"get\": {"));
        for (size_t k = 0; route->known != NULL && route->known[k] != NULL; k++) {
            assert_true(describes_param(item, route->known[k]));
        }
        assert_int_equal(strstr(item, "\"security\": []") != NULL, route->open);
        free(item);
    }
}

static void nothing_else_is_described(void **state)
{
    (void)state;
    assert_int_equal(count_of(OPENAPI, "\"operationId\":"), ROUTE_COUNT);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        char *item = path_item(route->path);
        size_t described =
            count_of(item, "\"in\": \"query\"") + count_of(item, "#/components/parameters/");
        size_t known = 0;
        /* Both methods of a path stand in its item. */
        for (size_t k = 0; k < ROUTE_COUNT; k++) {
            bool same = strcmp(ROUTES[k].path, route->path) == 0;
            for (size_t p = 0; same && ROUTES[k].known != NULL && ROUTES[k].known[p] != NULL; p++) {
                known++;
            }
        }
        assert_int_equal(described, known);
        free(item);
    }
}

static void the_description_is_json_and_names_this_version(void **state)
{
    static const char *const POINTERS[] = {"/openapi", "/info/version"};
    struct json_paths *paths;
    struct json_parser *parser;
    struct json_value values[2];
    (void)state;
    assert_int_equal(json_paths_new(&paths, POINTERS, 2), 0);
    assert_int_equal(json_parser_new(&parser, 1 << 20), 0);
    assert_int_equal(json_parse(parser, paths, OPENAPI, strlen(OPENAPI), values, NULL), 0);
    assert_int_equal(values[0].text.len, 5);
    assert_memory_equal(values[0].text.data, "3.1.0", 5);
    assert_int_equal(values[1].text.len, strlen(WHITHER_VERSION));
    assert_memory_equal(values[1].text.data, WHITHER_VERSION, strlen(WHITHER_VERSION));
    json_parser_free(&parser);
    json_paths_free(&paths);
}

static void a_target_finds_its_route(void **state)
{
    static const struct {
        const char *method;
        const char *uri;
        const char *path; /* of the row; NULL: none */
        unsigned status;
        const char *argument;
        const char *allow;
    } TESTS[] = {
        {"GET", "/v1/lookup?src=1", "/v1/lookup", 0, NULL, NULL},
        {"HEAD", "/v1/lookup", "/v1/lookup", 0, NULL, NULL},
        {"POST", "/v1/lookup", "/v1/lookup", 0, NULL, NULL},
        {"PUT", "/v1/lookup", "/v1/lookup", 405, NULL, "GET, HEAD, POST"},
        {"POST", "/healthz", "/healthz", 405, NULL, "GET, HEAD"},
        {"GET", "/v1/ingest", "/v1/ingest", 405, NULL, "POST"},
        {"get", "/healthz", "/healthz", 405, NULL, "GET, HEAD"}, /* methods are case-sensitive */
        {"GET", "/v1/names/example.com", "/v1/names/{name}", 0, "example.com", NULL},
        {"GET", "/v1/names/a%2Fb%20c", "/v1/names/{name}", 0, "a/b c", NULL},
        {"GET", "/v1/addresses/2001:db8::1?limit=5", "/v1/addresses/{ip}", 0, "2001:db8::1", NULL},
        {"GET", "/v1/names/a%zz", "/v1/names/{name}", 400, NULL, NULL},
        {"GET", "/v1/names/a%00", "/v1/names/{name}", 400, NULL, NULL},
        {"GET", "/v1/names/", NULL, 404, NULL, NULL},
        {"GET", "/v1/names", NULL, 404, NULL, NULL},
        {"GET", "/v1/names/a/b", NULL, 404, NULL, NULL},
        {"GET", "/v1/lookup/", NULL, 404, NULL, NULL},
        {"GET", "/v1/looku", NULL, 404, NULL, NULL},
        {"GET", "/V1/lookup", NULL, 404, NULL, NULL},
        {"GET", "/v1%2flookup", NULL, 404, NULL, NULL},
        {"GET", "/", NULL, 404, NULL, NULL},
        {"GET", "", NULL, 404, NULL, NULL},
        {"GET", "*", NULL, 404, NULL, NULL},
        {"GET", "/healthz?a=1&a=2", "/healthz", 400, NULL, NULL},
    };
    (void)state;
    struct request *request = malloc(sizeof(*request));
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        memset(request, 0, sizeof(*request));
        snprintf(request->uri, sizeof(request->uri), "%s", TESTS[i].uri);
        routes_find(request, TESTS[i].method);
        assert_int_equal(request->problem.status, TESTS[i].status);
        if (TESTS[i].path == NULL) {
            assert_null(request->route);
            continue;
        }
        assert_string_equal(request->route->path, TESTS[i].path);
        if (TESTS[i].argument != NULL) {
            assert_string_equal(request->argument, TESTS[i].argument);
            assert_int_equal(request->argument_len, strlen(TESTS[i].argument));
        }
        if (TESTS[i].allow != NULL) {
            assert_string_equal(request->allow, TESTS[i].allow);
        }
    }
    free(request);
}

static void only_probes_and_metrics_are_open(void **state)
{
    size_t open = 0;
    (void)state;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const char *path = ROUTES[i].path;
        bool should = strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0 ||
                      strcmp(path, "/metrics") == 0;
        assert_int_equal(ROUTES[i].open, should);
        open += ROUTES[i].open;
    }
    assert_int_equal(open, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described_with_all_its_parameters),
        cmocka_unit_test(nothing_else_is_described),
        cmocka_unit_test(the_description_is_json_and_names_this_version),
        cmocka_unit_test(a_target_finds_its_route),
        cmocka_unit_test(only_probes_and_metrics_are_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
