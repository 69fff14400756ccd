/* api/routes.h -- the table of what can be asked
 * SPDX-License-Identifier: Apache-2.0
 *
 * One row for each method and path. A test holds /openapi.json against it.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include "api/service.h"

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

/* Finds the route of request->uri and reads its parameters; the uri is decoded in place. Sets the
 * problem (400, 404, 405 with `allow`) where there is none; request->route is then the row of the
 * same path, if any, so that the request is counted there. */
void routes_find(struct request *request, const char *method);

/* Index into worker->requests: the row, ROUTES_MAX for NULL. */
size_t routes_index(const struct route *route);
/* Index for a status code. */
size_t routes_code(unsigned status);
/* The status code of an index. */
unsigned routes_status(size_t code);

/* ---- one file per concern ---- */

extern const char *const LOOKUP_PARAMS[];
void lookup_get(struct request *request);
void lookup_post_begin(struct request *request);
void lookup_post_body(struct request *request, const char *bytes, size_t len);
void lookup_post_answer(struct request *request);
void lookup_post_release(struct request *request);

extern const char *const NAMES_PARAMS[];
extern const char *const PAGED_PARAMS[];
void names_get(struct request *request);
void addresses_get(struct request *request);
void clients_get(struct request *request);

extern const char *const COVERAGE_PARAMS[];
extern const char *const CLUSTER_PARAMS[];
void coverage_get(struct request *request);
void status_get(struct request *request);
void healthz_get(struct request *request);
void readyz_get(struct request *request);

extern const char *const DOCTOR_PARAMS[];
void doctor_get(struct request *request);

void metrics_get(struct request *request);

void openapi_get(struct request *request);
/* The document itself. */
extern const char OPENAPI[];

extern const char *const FLOWS_PARAMS[];
void flows_begin(struct request *request);
void flows_body(struct request *request, const char *bytes, size_t len);
void flows_hold(struct request *request);
void flows_answer(struct request *request);
void flows_release(struct request *request);

extern const char *const INGEST_PARAMS[];
void ingest_begin(struct request *request);
void ingest_body(struct request *request, const char *bytes, size_t len);
void ingest_answer(struct request *request);
void ingest_release(struct request *request);
