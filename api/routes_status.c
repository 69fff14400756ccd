/* api/routes_status.c -- /v1/status, /v1/coverage, /healthz, /readyz
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_status.h"
#include "api/routes.h"
#include "base/clock.h"
#include "join/kubernetes.h"

const char *const CLUSTER_PARAMS[] = {"cluster", NULL};
const char *const COVERAGE_PARAMS[] = {"cluster", "from", "to", NULL};

void status_get(struct request *request)
{
    const char *cluster = request_cluster(request);
    struct store_view *view =
        request->problem.status != 0 ? NULL : worker_view(request->worker, &request->problem);
    if (view == NULL) {
        return;
    }
    struct kubernetes *kubernetes = request->worker->api->options.kubernetes;
    struct k8s_status watches[K8S_KINDS];
    for (int kind = 0; kind < K8S_KINDS && kubernetes != NULL; kind++) {
        kubernetes_status(kubernetes, (enum k8s_kind)kind, &watches[kind]);
    }
    struct owners *table = request->worker->api->options.owners;
    struct owners_status owners = {0};
    if (table != NULL) {
        owners = owners_status(table);
    }
    int err = json_status(request_body(request), view, cluster, clock_now_us(), &owners,
                          kubernetes != NULL ? watches : NULL);
    if (err < 0) {
        request_failed(request, err, "the index could not be read");
    }
}

/* Without `from` the last hour, without `to` up to now. */
void coverage_get(struct request *request)
{
    const struct api_options *options = &request->worker->api->options;
    struct problem *problem = &request->problem;
    int64_t now_us = clock_now_us();
    struct coverage_query query = {.cluster = request_cluster(request),
                                   .to_us = now_us,
                                   .now_us = now_us,
                                   .settle_us = options->params.settle_us,
                                   .expected = options->expect_senders};
    params_time(&request->params, "to", &query.to_us, problem);
    query.from_us = query.to_us - US_PER_HOUR;
    params_time(&request->params, "from", &query.from_us, problem);
    if (query.from_us > query.to_us) {
        problem_set(problem, 400, "from", "from: expected a time not after `to`");
    }
    struct store_view *view = problem->status != 0 ? NULL : worker_view(request->worker, problem);
    if (view == NULL) {
        return;
    }
    int err = json_coverage(request_body(request), view, &query);
    if (err < 0) {
        request_failed(request, err, "the index could not be read");
    }
}

void healthz_get(struct request *request)
{
    buf_str(request_body(request), "ok\n");
}

void readyz_get(struct request *request)
{
    const struct api_options *options = &request->worker->api->options;
    struct why why = {"not ready"};
    if (options->ready != NULL && !options->ready(options->ready_ctx, &why)) {
        request->retry_after_s = 1;
        problem_set(&request->problem, 503, NULL, "%s", why.text);
        return;
    }
    buf_str(request_body(request), "ok\n");
}
