/* api/routes_flows.c -- POST /v1/flows: flow records that a log shipper pushes
 * SPDX-License-Identifier: Apache-2.0
 *
 * request->state is a struct flows until the reply owns it. The header Whither-Records of the reply
 * says how many records there were of each kind, as a dictionary (RFC 8941): a shipper tries again
 * after a 5xx and gives up after a 4xx, so a body with some bad records is neither.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/flows.h"
#include "api/pending.h"
#include "api/routes.h"

const char *const FLOWS_PARAMS[] = {"from", "wait", "reply", "cluster", NULL};

/* Is the header, up to any parameter, this word? */
static bool is_word(const char *header, const char *word)
{
    size_t len = strcspn(header, "; ");
    return len == strlen(word) && strncasecmp(header, word, len) == 0;
}

/* How the body is to be read, by the two headers that say it (RFC 9110 sections 8.3 and 8.4). */
static void read_headers(struct request *request, struct flows *flows)
{
    const char *type = request_header(request, "Content-Type");
    const char *coding = request_header(request, "Content-Encoding");
    struct problem *problem = &request->problem;
    type = type != NULL ? type : "";
    coding = coding != NULL ? coding : "";
    if (is_word(type, "application/msgpack") || is_word(type, "application/x-msgpack")) {
        problem_set(
            problem, 415, "Content-Type",
            "expected JSON or lines of text; Fluent Bit sends them with `format json_lines`");
    } else if (is_word(type, "application/x-protobuf") || is_word(type, "application/protobuf")) {
        flows->form = FLOWS_LOKI;
    }
    if (flows->form == FLOWS_LOKI && (coding[0] == '\0' || is_word(coding, "snappy"))) {
        return;
    }
    if (flows->form == FLOWS_LOKI) {
        problem_set(problem, 415, "Content-Encoding",
                    "expected Loki's push protocol as it is, compressed with Snappy only");
    } else if (is_word(coding, "deflate")) {
        flows->form = FLOWS_ZLIB;
    } else if (coding[0] != '\0' && !is_word(coding, "identity") && !is_word(coding, "gzip") &&
               !is_word(coding, "x-gzip") && !is_word(coding, "zstd")) {
        problem_set(problem, 415, "Content-Encoding",
                    "expected gzip, zstd, deflate, or no compression");
    }
}

static void read_params(struct request *request, struct flows *flows)
{
    struct problem *problem = &request->problem;
    const struct param *from = params_find(&request->params, "from");
    const struct param *reply = params_find(&request->params, "reply");
    int64_t settle_us = request->worker->api->options.params.settle_us;
    snprintf(flows->cluster, sizeof(flows->cluster), "%s", request_cluster(request));
    flows->reply = true;
    if (from != NULL) {
        flows->format = format_by_name(from->value);
        if (flows->format == NULL) {
            problem_set(problem, 400, "from", "from: expected a format of `whither join --help`");
        }
    }
    if (reply != NULL) {
        flows->reply = strcmp(reply->value, "ecs") == 0;
        if (!flows->reply && strcmp(reply->value, "none") != 0) {
            problem_set(problem, 400, "reply", "reply: expected ecs or none");
        }
    }
    params_duration(&request->params, "wait", &flows->wait_us, problem);
    flows->wait_us = flows->wait_us < settle_us ? flows->wait_us : settle_us;
}

void flows_begin(struct request *request)
{
    struct flows *flows = flows_new(request->worker);
    if (flows == NULL) {
        request->retry_after_s = 1;
        request_failed(request, -ENOMEM, "no room for another request");
        return;
    }
    request->state = flows;
    read_params(request, flows);
    read_headers(request, flows);
}

void flows_body(struct request *request, const char *bytes, size_t len)
{
    struct flows *flows = request->state;
    if (held_add(&flows->body, request->worker->api, bytes, len) != 0) {
        problem_set(&request->problem, 503, NULL, "too many bodies are being answered; try again");
        request->retry_after_s = 1;
    }
}

void flows_hold(struct request *request)
{
    pending_hold(request->worker->api->pending, request);
}

/* From here on the reply owns the flows. */
void flows_answer(struct request *request)
{
    struct flows *flows = request->state;
    const struct flows_counts *counts = &flows->counts;
    request->header_name = "Whither-Records";
    snprintf(request->header_value, sizeof(request->header_value),
             "flows=%" PRIu64 ", left-out=%" PRIu64 ", dns=%" PRIu64 ", bad=%" PRIu64,
             counts->flows, counts->left_out, counts->dns, counts->bad);
    if (!flows->reply) {
        request->no_content = true;
        return;
    }
    if (worker_view(request->worker, &request->problem) == NULL) {
        return;
    }
    int err = flows_begin_reply(flows);
    if (err != 0) {
        request->retry_after_s = 1;
        request_failed(request, err, "the flows cannot be answered");
        return;
    }
    request->stream =
        (struct stream){.read = flows_read, .free = flows_end_reply, .ctx = request->state};
    request->state = NULL;
}

void flows_release(struct request *request)
{
    if (request->state != NULL) {
        flows_free(request->state);
        request->state = NULL;
    }
}
