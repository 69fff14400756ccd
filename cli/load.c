/* cli/load.c -- one FILE of DNS answers: a capture, or a flow log that shows them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "join/reader.h"
#include "join/source.h"

/* Bad records that are named; what is beyond is only counted. */
enum { WARNINGS_MAX = 5 };

/* A control frame opens every Frame Streams capture, and an escape of four zero octets every
 * control frame; no line of text begins so. */
enum { ESCAPE_LEN = 4 };

struct fact load_fact(const struct dns_record *dns, char identity[LOAD_IDENTITY_MAX])
{
    int len = dns->sender.data != NULL
                  ? snprintf(identity, LOAD_IDENTITY_MAX, "%s:%.*s", dns->source,
                             (int)dns->sender.len, dns->sender.data)
                  : snprintf(identity, LOAD_IDENTITY_MAX, "%s", dns->source);
    size_t cut = (size_t)len < LOAD_IDENTITY_MAX ? (size_t)len : LOAD_IDENTITY_MAX - 1;
    return (struct fact){
        .client = dns->client,
        .time_us = dns->time_us,
        .ttl_s = dns->ttl_s,
        .rcode = dns->rcode,
        .source = answer_source_by_name(dns->source),
        .answer_len = dns->answer.len,
        .identity = {(const uint8_t *)identity, cut},
    };
}

/* ---- A capture ---- */

static int64_t read_input(void *ctx, char *data, size_t len, struct why *why)
{
    return input_read(ctx, data, len, why);
}

static uint64_t consumed(void *ctx)
{
    return input_consumed(ctx);
}

static int load_capture(struct ingest *ingest, struct input *input,
                        const struct load_options *options, struct load_result *result,
                        struct why *why)
{
    const struct ingest_bytes bytes = {read_input, input, consumed, input_size(input)};
    struct why what = {""};
    int err = ingest_capture(ingest, &bytes, &options->capture, &result->summary, &what);
    if (err != 0) {
        /* The input names itself. */
        bool named = strncmp(what.text, input_name(input), strlen(input_name(input))) == 0;
        why_set(why, err, "%s%s%s", named ? "" : input_name(input), named ? "" : ": ", what.text);
    }
    if (err == 0 && result->summary.cut > 0) {
        char text[512];
        snprintf(text, sizeof(text), "%s: ends in the middle of a frame; what is whole is loaded",
                 input_name(input));
        options->warn(options->warn_ctx, text);
    }
    return err;
}

/* ---- A flow log ---- */

struct log {
    struct ingest *ingest;
    const struct load_options *options;
    struct load_result *result;
    struct reader *reader;
};

static void name_bad(const struct log *log, const struct flow_record *record)
{
    char text[512];
    if (log->result->bad > WARNINGS_MAX) {
        return;
    }
    snprintf(text, sizeof(text), "%s: %s %" PRIu64 ": %.*s", input_name(reader_input(log->reader)),
             reader_unit(log->reader), record->number, (int)record->fault.len, record->fault.data);
    log->options->warn(log->options->warn_ctx, text);
}

static int take_batch(struct log *log, const struct flow_batch *batch)
{
    char identity[LOAD_IDENTITY_MAX];
    int err = 0;
    for (size_t i = 0; i < batch->count && err == 0; i++) {
        const struct flow_record *record = &batch->records[i];
        if (record->parsed == PARSED_DNS) {
            struct fact fact = load_fact(&record->dns, identity);
            err = ingest_flowlog_add(log->ingest, &fact, (const uint8_t *)record->dns.answer.data);
        } else if (record->parsed == PARSED_BAD) {
            log->result->bad++;
            name_bad(log, record);
        } else {
            log->result->others++;
        }
    }
    return err;
}

static int read_log(struct log *log, struct parser *parser, struct why *why)
{
    struct flow_batch batch = {0};
    int err;
    while ((err = reader_next(log->reader, &batch, why)) > 0) {
        err = flow_batch_parse(&batch, parser);
        err = err == 0 ? take_batch(log, &batch) : err;
        if (err != 0) {
            break;
        }
    }
    flow_batch_fini(&batch);
    return err;
}

/* The input is the reader's from here on. */
static int load_log(struct ingest *ingest, struct input *input, const struct load_options *options,
                    struct load_result *result, struct why *why)
{
    struct log log = {ingest, options, result, NULL};
    struct parser *parser;
    struct why end_why = {""};
    int err = parser_new(&parser, &options->parser);
    if (err != 0) {
        input_close(&input);
        return err;
    }
    err = reader_new(&log.reader, input, NULL, NULL, parser, why);
    if (err == W_EFORMAT) {
        struct why unknown = *why;
        unknown.text[strcspn(unknown.text, ";")] = '\0'; /* no format can be named here */
        why_set(why, err, "%s; nor is it a Frame Streams capture", unknown.text);
    }
    if (err == 0) {
        ingest_flowlog_begin(ingest, &options->capture);
        err = read_log(&log, parser, why);
        int end = ingest_flowlog_end(ingest, &result->summary, &end_why);
        if (end != 0) {
            why_set(why, end, "%s: %s", options->capture.peer, end_why.text);
            err = end;
        }
    }
    reader_close(&log.reader);
    parser_free(&parser);
    return err;
}

int load_is_capture(struct input *input, bool *capture, struct why *why)
{
    char head[ESCAPE_LEN];
    int64_t len = input_peek(input, head, sizeof(head), why);
    *capture = len >= 0 && memcmp(head, "\0\0\0", (size_t)len) == 0;
    return len < 0 ? (int)len : 0;
}

int load_file(struct ingest *ingest, const struct load_options *options, struct load_result *result,
              struct why *why)
{
    struct input *input;
    bool capture;
    *result = (struct load_result){0};
    int err = input_open(&input, options->capture.peer, why);
    if (err != 0) {
        return err;
    }
    err = load_is_capture(input, &capture, why);
    if (err != 0) {
        input_close(&input);
        return err;
    }
    if (!capture) {
        return load_log(ingest, input, options, result, why);
    }
    err = load_capture(ingest, input, options, result, why);
    input_close(&input);
    return err;
}
