/* api/problem.c -- what was wrong with a request (RFC 9457)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool problem_set(struct problem *problem, unsigned status, const char *field, const char *format,
                 ...)
{
    if (problem->status != 0) {
        return false;
    }
    problem->status = status;
    snprintf(problem->field, sizeof(problem->field), "%s", field == NULL ? "" : field);
    va_list args;
    va_start(args, format);
    vsnprintf(problem->detail, sizeof(problem->detail), format, args);
    va_end(args);
    return false;
}

const char *problem_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } TITLES[] = {{400, "Bad Request"},
                  {401, "Unauthorized"},
                  {403, "Forbidden"},
                  {404, "Not Found"},
                  {405, "Method Not Allowed"},
                  {413, "Content Too Large"},
                  {415, "Unsupported Media Type"},
                  {414, "URI Too Long"},
                  {429, "Too Many Requests"},
                  {500, "Internal Server Error"},
                  {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof(TITLES) / sizeof(TITLES[0]); i++) {
        if (TITLES[i].status == status) {
            return TITLES[i].title;
        }
    }
    return "Error";
}

void problem_json(struct buf *buf, const struct problem *problem)
{
    const char *title = problem_title(problem->status);
    buf_str(buf, "{\"type\":\"about:blank\",\"title\":");
    buf_json_str(buf, title, strlen(title));
    buf_str(buf, ",\"status\":");
    buf_int(buf, problem->status);
    buf_str(buf, ",\"detail\":");
    buf_json_str(buf, problem->detail, strlen(problem->detail));
    if (problem->field[0] != '\0') {
        buf_str(buf, ",\"field\":");
        buf_json_str(buf, problem->field, strlen(problem->field));
    }
    buf_char(buf, '}');
}
