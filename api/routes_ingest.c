/* api/routes_ingest.c -- POST /v1/ingest: a Frame Streams capture for the writer of the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * The body is pushed on as it arrives and never kept here. request->state is the session.
 */
#include <errno.h>
#include <stdio.h>

#include "api/routes.h"

const char *const INGEST_PARAMS[] = {"cluster", "from", "to", NULL};

/* An error of the session becomes a problem: what the sender can mend is a 400. */
static void refuse(struct request *request, int err, const struct why *why)
{
    bool senders_fault = err == W_ESYNTAX || err == W_EFORMAT || err == W_ELIMIT;
    bool passing = err == -EBUSY || err == -ENOSPC || err == -ENOMEM;
    request->retry_after_s = passing ? 5 : 0;
    problem_set(&request->problem,
                senders_fault ? 400
                : passing     ? 503
                              : 500,
                senders_fault ? "body" : NULL, "%s",
                why->text[0] != '\0' ? why->text : err_str(err));
}

/* `from` and `to` say what the capture covers, as `whither ingest --covers FROM..TO`. */
static bool read_covers(struct request *request, struct api_capture *capture)
{
    struct problem *problem = &request->problem;
    bool from = params_time(&request->params, "from", &capture->covers_from_us, problem);
    bool to = params_time(&request->params, "to", &capture->covers_to_us, problem);
    if (from != to) {
        problem_set(problem, 400, from ? "to" : "from",
                    "a capture covers a span: expected both `from` and `to`");
    } else if (capture->covers_from_us > capture->covers_to_us) {
        problem_set(problem, 400, "from", "from: expected a time not after `to`");
    }
    return problem->status == 0;
}

void ingest_begin(struct request *request)
{
    const struct api_ingest *ingest = request->worker->api->options.ingest;
    char address[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX + 8];
    addr_print(&request->client, address);
    snprintf(peer, sizeof(peer), "http:%s", address);
    struct api_capture capture = {.cluster = request_cluster(request), .peer = peer};
    if (!read_covers(request, &capture)) {
        return;
    }
    if (ingest == NULL) {
        problem_set(&request->problem, 503, NULL, "this service does not write an index");
        return;
    }
    struct why why = {""};
    int err = ingest->begin(ingest->ctx, &capture, &request->state, &why);
    if (err != 0) {
        request->state = NULL;
        refuse(request, err, &why);
    }
}

void ingest_body(struct request *request, const char *bytes, size_t len)
{
    const struct api_ingest *ingest = request->worker->api->options.ingest;
    struct why why = {""};
    int err = ingest->push(request->state, (const uint8_t *)bytes, len, &why);
    if (err != 0) {
        refuse(request, err, &why);
    }
}

void ingest_answer(struct request *request)
{
    const struct api_ingest *ingest = request->worker->api->options.ingest;
    struct why why = {""};
    int err = ingest->end(request->state, request_body(request), &why);
    request->state = NULL;
    if (err != 0) {
        refuse(request, err, &why);
    }
}

void ingest_release(struct request *request)
{
    if (request->state != NULL) {
        request->worker->api->options.ingest->abort(request->state);
        request->state = NULL;
    }
}
