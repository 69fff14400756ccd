/* api/routes_lookup.c -- GET and POST /v1/lookup
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/bulk.h"
#include "api/json_lookup.h"
#include "api/routes.h"
#include "base/clock.h"

const char *const LOOKUP_PARAMS[] = {"src", "dst", "at", "cluster", NULL};

static void require(struct request *request, const char *name)
{
    const struct param *param = params_find(&request->params, name);
    if (param == NULL || param->value_len == 0) {
        problem_set(&request->problem, 400, name, "%s: expected an IP address", name);
    }
}

void lookup_get(struct request *request)
{
    const struct params *params = &request->params;
    struct problem *problem = &request->problem;
    int64_t now_us = clock_now_us();
    struct question question = {
        .cluster = request_cluster(request), .start_us = now_us, .shows_start = true};
    require(request, "src");
    require(request, "dst");
    params_addr(params, "src", &question.source, problem);
    params_addr(params, "dst", &question.destination, problem);
    params_time(params, "at", &question.start_us, problem);
    question.end_us = question.start_us;
    if (problem->status != 0 || worker_view(request->worker, problem) == NULL) {
        return;
    }
    struct attribution attribution;
    int err = worker_attribute(request->worker, &question, now_us, &attribution);
    if (err < 0) {
        request_failed(request, err, "the index could not be read");
        return;
    }
    json_lookup(request_body(request), &attribution);
}

void lookup_post_begin(struct request *request)
{
    request->state = bulk_new(request->worker);
    if (request->state == NULL) {
        request_failed(request, W_ELIMIT, "no room for another bulk lookup");
        request->retry_after_s = 1;
    }
}

void lookup_post_body(struct request *request, const char *bytes, size_t len)
{
    if (bulk_add(request->state, bytes, len) != 0) {
        problem_set(&request->problem, 503, NULL,
                    "too many bulk lookups are being answered; try again");
        request->retry_after_s = 1;
    }
}

/* From here on the reply owns the lines. */
void lookup_post_answer(struct request *request)
{
    if (worker_view(request->worker, &request->problem) == NULL) {
        return;
    }
    request->stream = (struct stream){.read = bulk_read, .free = bulk_free, .ctx = request->state};
    request->state = NULL;
}

void lookup_post_release(struct request *request)
{
    if (request->state != NULL) {
        bulk_free(request->state);
        request->state = NULL;
    }
}
