/* api/routes_status.c -- /v1/status, /v1/coverage, /healthz, /readyz
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>

#include "api/json.h"
#include "api/json_status.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/counters.h"
#include "join/kubernetes.h"

const char *const CLUSTER_PARAMS[] = {"cluster", NULL};
const char *const COVERAGE_PARAMS[] = {"cluster", "from", "to", NULL};

/* `,"flows":{"sources":[…],"out",…}`: what --flows follows, in the place of the closing brace. */
static void put_flows(struct buf *buf, const struct api_options *options)
{
    static const struct {
        const char *key;
        enum counter counter;
    } NUMBERS[] = {{"files", COUNT_FOLLOW_FILES},     {"unread_bytes", COUNT_FOLLOW_UNREAD},
                   {"named", COUNT_FOLLOW_FLOWS},     {"bad", COUNT_FOLLOW_BAD},
                   {"held", COUNT_FOLLOW_HELD},       {"lag_s", COUNT_FOLLOW_LAG},
                   {"unsettled", COUNT_FOLLOW_EARLY}, {"truncated", COUNT_FOLLOW_TRUNCATED},
                   {"parts_lost", COUNT_FOLLOW_LOST}};
    buf->len--;
    buf_str(buf, ",\"flows\":{\"sources\":[");
    for (size_t i = 0; i < options->flow_source_count; i++) {
        buf_str(buf, i > 0 ? "," : "");
        buf_json_str(buf, options->flow_sources[i], strlen(options->flow_sources[i]));
    }
    buf_char(buf, ']');
    json_text_member(buf, ",\"out\":", options->flow_sink);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        buf_printf(buf, ",\"%s\":%" PRIu64, NUMBERS[i].key, counter_get(NUMBERS[i].counter));
    }
    json_bool_member(buf, ",\"blocked\":", counter_get(COUNT_FOLLOW_BLOCKED) != 0);
    buf_str(buf, "}}");
}

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
    } else if (request->worker->api->options.flow_source_count > 0) {
        put_flows(request_body(request), &request->worker->api->options);
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
