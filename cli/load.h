/* cli/load.h -- one FILE of DNS answers: a capture, or a flow log that shows them
 * SPDX-License-Identifier: Apache-2.0
 *
 * What `whither ingest FILE` and `whither join --dnstap FILE` take. Frame Streams are recognised
 * first, by their first octets; whatever else there is must be a format of flow records
 * (join/format.h), of which the DNS responses count and the others are passed over. Both may be
 * compressed with gzip or zstd. The layer that knows flow formats and the one that writes the index
 * do not know each other; they meet here.
 *
 * Threads: as its caller.
 */
#pragma once

#include "collector/ingest.h"
#include "join/format.h"
#include "join/source.h"

struct load_options {
    struct capture_options capture; /* its `peer` is the file */
    struct parser_options parser;
    /* Says one sentence about a bad record, or a capture that ends in the middle of a frame. */
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
};

struct load_result {
    struct capture_summary summary;
    uint64_t others; /* records of a flow log that are no DNS responses */
    uint64_t bad;    /* records that could not be read */
};

/* Loads options->capture.peer, "-" for standard input. `result` is filled whatever is returned: 0,
 * or what input_open, ingest_capture or reader_open returned, with a sentence in `why` that names
 * the file. */
int load_file(struct ingest *ingest, const struct load_options *options, struct load_result *result,
              struct why *why);

/* Does the input begin as Frame Streams do? Nothing is taken from it. Returns 0 or what input_peek
 * does. */
int load_is_capture(struct input *input, bool *capture, struct why *why);

/* Room for the identity of a stream of DNS responses, "hubble:node-1". */
#define LOAD_IDENTITY_MAX 256

/* A DNS response of a flow log as a fact; its identity is written to `identity` and points there.
 */
struct fact load_fact(const struct dns_record *dns, char identity[LOAD_IDENTITY_MAX]);
