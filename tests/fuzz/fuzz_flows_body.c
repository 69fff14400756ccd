/* tests/fuzz/fuzz_flows_body.c -- any octets as the body of POST /v1/flows
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first octet says how the body is encoded and whether its format is named. What the first
 * reading counts is what the second one gives out, and that is lines of valid JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "api/flows.h"
#include "api/service.h"
#include "join/reader.h"
#include "tests/fuzz/fuzz.h"

enum { BODY_MAX = 256 * 1024 };

static int take(void *ctx, const char *cluster, const struct dns_record *dns)
{
    (void)ctx;
    (void)cluster;
    if (dns->source == NULL || (dns->answer.len > 0 && dns->answer.data == NULL)) {
        fuzz_fail("a DNS response without its parts");
    }
    return 0;
}

static int commit(void *ctx)
{
    (void)ctx;
    return 0;
}

static int ask(void *oracle, const struct question *questions, size_t count,
               join_answered_fn answered, void *ctx, struct why *why)
{
    (void)oracle;
    (void)questions;
    (void)why;
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        struct attribution attribution = {.verdict = IP_ONLY};
        err = answered(ctx, i, &attribution);
    }
    return err;
}

static int write_out(void *ctx, const char *bytes, size_t len)
{
    buf_add(ctx, bytes, len);
    return 0;
}

static void check_lines(const struct buf *out, uint64_t flows)
{
    static struct json_parser *parser;
    static struct json_paths *paths;
    static const char *const POINTER[] = {"/attribution/verdict"};
    if (parser == NULL &&
        (json_parser_new(&parser, 4 * RECORD_LEN_MAX) != 0 || json_paths_new(&paths, POINTER, 1))) {
        fuzz_fail("no memory");
    }
    const char *at = out->data != NULL ? out->data : "";
    const char *end = at + out->len;
    for (; at < end; flows--) {
        struct json_value value;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL || flows == 0 ||
            json_parse(parser, paths, at, (size_t)(stop - at), &value, NULL) != 0 ||
            value.type != JSON_STRING) {
            fuzz_fail("what is given out are no JSON lines, or too many");
        }
        at = stop + 1;
    }
    if (flows != 0) {
        fuzz_fail("fewer lines than flows");
    }
}

struct body {
    const char *at;
    size_t len;
};

static int64_t read_body(void *ctx, char *data, size_t len, struct why *why)
{
    struct body *body = ctx;
    (void)why;
    len = len < body->len ? len : body->len;
    if (len > 0) {
        memcpy(data, body->at, len);
        body->at += len;
        body->len -= len;
    }
    return (int64_t)len;
}

/* Joins the body as the second reading does, and compares the counts. */
static void join_body(const struct flows *flows)
{
    struct join *join;
    struct input *input;
    struct buf out = {0};
    struct why why;
    struct join_oracle oracle = {ask, NULL};
    struct body body = {flows->body.bytes, flows->body.len};
    const struct join_options options = {.cluster = "c",
                                         .format = flows->format,
                                         .sink = &SINK_ECS,
                                         .sink_options = {.cluster = "c"},
                                         .oracles = &oracle,
                                         .workers = 1,
                                         .write = write_out,
                                         .write_ctx = &out};
    const struct input_feed feed = {.name = "body",
                                    .read = read_body,
                                    .ctx = &body,
                                    .zlib = flows->form == FLOWS_ZLIB,
                                    .max_bytes = BODY_MAX};
    if (join_new(&join, &options) != 0 || input_open_feed(&input, &feed) != 0 ||
        join_open(join, input, flows->format == NULL ? &FORMAT_HUBBLE : NULL) != 0) {
        fuzz_fail("no memory");
    }
    int more;
    while ((more = join_step(join, &why)) > 0) {
    }
    const struct join_totals *totals = join_totals(join);
    uint64_t left_out = 0;
    for (int skip = 0; skip < SKIP_COUNT; skip++) {
        left_out += totals->skipped[skip];
    }
    const struct flows_counts *counts = &flows->counts;
    if (more < 0 || totals->flows + totals->skipped[SKIP_REPEAT] != counts->flows ||
        totals->bad + totals->bad_inputs != counts->bad ||
        left_out - totals->skipped[SKIP_REPEAT] - totals->skipped[SKIP_DNS] != counts->left_out ||
        totals->skipped[SKIP_DNS] != counts->dns) {
        fuzz_fail("the second reading counts otherwise");
    }
    check_lines(&out, totals->flows);
    join_free(&join);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parser *parser;
    static const struct parser_options NONE = {0};
    static const struct api_answers ANSWERS = {NULL, take, commit};
    if (size == 0 || size > BODY_MAX) {
        return 0;
    }
    if (parser == NULL && parser_new(&parser, &NONE) != 0) {
        fuzz_fail("no memory");
    }
    struct api api = {.options = {.max_body = BODY_MAX, .answers = &ANSWERS}};
    struct worker worker = {.api = &api};
    struct flows *flows = flows_new(&worker);
    size_t formats = 0;
    while (FORMATS[formats] != NULL) {
        formats++;
    }
    if (flows == NULL) {
        fuzz_fail("no memory");
    }
    flows->form = (enum flows_form)(data[0] % 3);
    if (data[0] / 3 % 2 == 1) {
        flows->format = FORMATS[data[0] / 6 % formats];
    }
    struct problem problem = {0};
    if (held_add(&flows->body, &api, (const char *)data + 1, size - 1) == 0) {
        flows_survey(flows, parser, &problem);
    }
    if (problem.status != 0 && problem.status != 400 && problem.status != 413 &&
        problem.status != 503) {
        fuzz_fail("a problem of no known kind");
    }
    if (problem.status == 0) {
        join_body(flows);
    }
    flows_free(flows);
    return 0;
}
