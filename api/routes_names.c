/* api/routes_names.c -- /v1/names/{name}, /v1/addresses/{ip}, /v1/clients/{ip}
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_sightings.h"
#include "api/routes.h"
#include "base/clock.h"

const char *const PAGED_PARAMS[] = {"cluster", "from", "to", "limit", "cursor", NULL};
const char *const NAMES_PARAMS[] = {"cluster", "from", "to", "limit", "cursor", "under", NULL};

/* Reads what the three have in common. Returns the view, or NULL with a problem. */
static struct store_view *begin_page(struct request *request, struct sightings_query *query)
{
    const struct params *params = &request->params;
    struct problem *problem = &request->problem;
    *query = (struct sightings_query){.cluster = request_cluster(request),
                                      .from_us = TIME_MIN_US,
                                      .to_us = clock_now_us(),
                                      .limit = PAGE_LIMIT_DEFAULT};
    params_time(params, "from", &query->from_us, problem);
    params_time(params, "to", &query->to_us, problem);
    params_count(params, "limit", PAGE_LIMIT_MAX, &query->limit, problem);
    const struct param *cursor = params_find(params, "cursor");
    if (cursor != NULL && cursor->value_len > 0) {
        query->has_after = page_cursor_parse(&query->after, cursor->value, cursor->value_len);
        if (!query->has_after) {
            problem_set(problem, 400, "cursor", "cursor: expected the \"next\" of a page");
        }
    }
    if (query->from_us > query->to_us) {
        problem_set(problem, 400, "from", "from: expected a time not after `to`");
    }
    return problem->status != 0 ? NULL : worker_view(request->worker, problem);
}

static void end_page(struct request *request, int err)
{
    if (err < 0) {
        request_failed(request, err, "the index could not be read");
    }
}

void names_get(struct request *request)
{
    struct sightings_query query;
    struct name name;
    bool under = false;
    value_name("name", request->argument, request->argument_len, &name, &request->problem);
    params_bool(&request->params, "under", &under, &request->problem);
    struct store_view *view = begin_page(request, &query);
    if (view != NULL) {
        end_page(request, json_names(request_body(request), view, &query, &name, under));
    }
}

void addresses_get(struct request *request)
{
    struct sightings_query query;
    struct addr address;
    value_addr("ip", request->argument, request->argument_len, &address, &request->problem);
    struct store_view *view = begin_page(request, &query);
    if (view != NULL) {
        end_page(request, json_addresses(request_body(request), view, &query, &address));
    }
}

void clients_get(struct request *request)
{
    struct sightings_query query;
    struct addr client;
    value_addr("ip", request->argument, request->argument_len, &client, &request->problem);
    struct store_view *view = begin_page(request, &query);
    if (view != NULL) {
        end_page(request, json_clients(request_body(request), view, &query, &client));
    }
}
