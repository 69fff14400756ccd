/* api/routes_doctor.c -- /v1/doctor
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"
#include "api/routes.h"
#include "base/clock.h"

const char *const DOCTOR_PARAMS[] = {"cluster", "window", NULL};

void doctor_get(struct request *request)
{
    const struct api_options *options = &request->worker->api->options;
    struct problem *problem = &request->problem;
    struct doctor_query query = {
        .cluster = request_cluster(request),
        .now_us = clock_now_us(),
        .window_us = DOCTOR_WINDOW_US,
        .settle_us = options->params.settle_us,
        .skew_us = options->params.skew_us,
        .expected = options->expect_senders,
        .keep_us = options->retention_us,
        .owners = options->owners,
    };
    query.window_given = params_find(&request->params, "window") != NULL;
    params_duration(&request->params, "window", &query.window_us, problem);
    struct store_view *view = problem->status != 0 ? NULL : worker_view(request->worker, problem);
    if (view == NULL) {
        return;
    }
    int err = json_doctor(request_body(request), view, &query);
    if (err != 0) {
        request_failed(request, err, "the index could not be read");
    }
}
