/* tests/fuzz/fuzz_http_params.c -- what a client can put into a request
 * SPDX-License-Identifier: Apache-2.0
 *
 * Input: one octet that chooses the part, then its text: 't' a request target, 'q' a line of a bulk
 * lookup, 'h' the headers Host, Origin and Authorization (separated by line feeds), 'c' a cursor.
 * Checked besides memory: parameters lie within the target and hold no NUL, what was accepted
 * survives being written and read again, and every problem is valid JSON.
 */
#include <string.h>

#include "api/page.h"
#include "api/question.h"
#include "api/routes.h"
#include "join/json.h"
#include "tests/fuzz/fuzz.h"

static struct json_parser *json;
static struct json_paths *status_path;
static struct question_reader *reader;

static void make_readers(void)
{
    static const char *const POINTERS[] = {"/status"};
    if (json == NULL &&
        (json_parser_new(&json, 65536) != 0 || json_paths_new(&status_path, POINTERS, 1) != 0 ||
         question_reader_new(&reader, 4096) != 0)) {
        abort();
    }
}

static void check_problem(const struct problem *problem)
{
    struct buf buf = {0};
    struct json_value status;
    if (problem->status == 0) {
        return;
    }
    problem_json(&buf, problem);
    if (buf.err != 0 || json_parse(json, status_path, buf.data, buf.len, &status, NULL) != 0 ||
        status.type != JSON_NUMBER) {
        fuzz_fail("a problem that is not JSON");
    }
    buf_fini(&buf);
}

/* Every reader, on every parameter: a handler could call any of them. */
static void read_params(const struct params *params, const char *text, size_t len)
{
    for (size_t i = 0; i < params->count; i++) {
        const struct param *param = &params->items[i];
        if (param->value < text || param->value + param->value_len > text + len ||
            strlen(param->value) != param->value_len) {
            fuzz_fail("a value outside of the target, or with a NUL");
        }
        struct problem problems[5] = {{0}};
        struct addr addr;
        int64_t time_us;
        uint32_t count;
        bool truth;
        const char *cluster;
        params_addr(params, param->name, &addr, &problems[0]);
        params_time(params, param->name, &time_us, &problems[1]);
        if (params_count(params, param->name, 1000, &count, &problems[2]) &&
            (count < 1 || count > 1000)) {
            fuzz_fail("a count beyond its limits");
        }
        params_bool(params, param->name, &truth, &problems[3]);
        params_cluster(params, param->name, &cluster, &problems[4]);
        for (size_t p = 0; p < 5; p++) {
            check_problem(&problems[p]);
        }
    }
}

static void check_name(const char *text, size_t len)
{
    struct problem problem = {0};
    struct name name, again;
    char printed[NAME_TEXT_MAX];
    if (value_name("name", text, len, &name, &problem)) {
        size_t printed_len = name_to_text(name.wire, printed);
        if (name_from_text(&again, printed, printed_len) != 0 || again.len != name.len ||
            memcmp(again.wire, name.wire, name.len) != 0) {
            fuzz_fail("a name that does not survive being printed");
        }
    }
    check_problem(&problem);
}

static void try_target(const char *text, size_t len)
{
    /* As libmicrohttpd gives it: up to the first NUL, and no longer than http.c lets through. */
    len = strnlen(text, len < URI_MAX ? len : URI_MAX);
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        abort();
    }
    memcpy(request->uri, text, len);
    routes_find(request, len % 3 == 0 ? "POST" : "GET");
    check_problem(&request->problem);
    if (request->problem.status == 0) {
        read_params(&request->params, request->uri, len);
        params_only(&request->params, request->route->known, &request->problem);
        check_problem(&request->problem);
    }
    if (request->argument != NULL && request->argument_len != SIZE_MAX) {
        check_name(request->argument, request->argument_len);
    }
    free(request);
}

static void try_question(const char *text, size_t len)
{
    struct problem problem = {0};
    struct question question;
    if (question_read(reader, text, len, "default", INT64_C(1779444000000000), &question,
                      &problem) &&
        (question.end_us < question.start_us || question.cluster[0] == '\0')) {
        fuzz_fail("a question that should have been refused");
    }
    check_problem(&problem);
}

static void try_headers(const char *text)
{
    static struct auth auth = {.token_len = 16, .token = "0123456789abcdef"};
    char *copy = strdup(text);
    char *rest = copy;
    const char *host = strsep(&rest, "\n");
    const char *origin = strsep(&rest, "\n");
    if (auth_bearer(&auth, rest) && strstr(rest, "0123456789abcdef") == NULL) {
        fuzz_fail("a token that is not the token");
    }
    if (host != NULL && auth_host_is_local(host) && strcasestr(host, "localhost") == NULL &&
        strstr(host, "127.") == NULL && strchr(host, '[') == NULL) {
        fuzz_fail("a host that is not this machine");
    }
    auth_is_cross_origin(origin, host);
    free(copy);
}

static void try_cursor(const char *text, size_t len)
{
    struct page_key key, again;
    struct page page;
    struct buf buf = {0};
    if (!page_cursor_parse(&key, text, len) || page_init(&page, 1, NULL) != 0) {
        return;
    }
    /* Two rows on a page of one: the cursor is the key of the first. */
    struct page_key later = key;
    later.time_us = key.time_us > INT64_MIN ? key.time_us - 1 : key.time_us;
    later.hash = ~key.hash;
    page_offer(&page, &key);
    page_offer(&page, &later);
    page_sort(&page);
    page_json(&buf, &page, "rows");
    const char *cursor = memmem(buf.data, buf.len, "\"next\":\"", 8);
    if (key.time_us > INT64_MIN &&
        (cursor == NULL || !page_cursor_parse(&again, cursor + 8, PAGE_CURSOR_LEN) ||
         again.time_us != key.time_us || again.hash != key.hash)) {
        fuzz_fail("a cursor that does not survive");
    }
    page_fini(&page);
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    make_readers();
    size_t len = size - 1;
    char *text = malloc(len + 1);
    if (text == NULL) {
        abort();
    }
    memcpy(text, data + 1, len);
    text[len] = '\0';
    switch (data[0]) {
    case 't':
        try_target(text, len);
        break;
    case 'q': {
        /* Exactly its size: the reader gets a piece of a body, not a terminated text. */
        char *line = malloc(len > 0 ? len : 1);
        memcpy(line, text, len);
        try_question(line, len);
        free(line);
        break;
    }
    case 'h':
        try_headers(text);
        break;
    case 'c':
        try_cursor(text, len);
        break;
    default:
        break;
    }
    free(text);
    return 0;
}
