/* join/reader.h -- one input as batches of records
 * SPDX-License-Identifier: Apache-2.0
 *
 * Finds the format by the first lines, or takes the one that was named, and cuts the input into
 * records: lines, the entries of a Loki document, or JSON objects in an array or one after another.
 * The records are not yet parsed.
 *
 * Where a format names its columns in lines of its own, those lines are no records, and a batch
 * ends where the columns change (join/layout.h).
 *
 * Memory: a batch holds about READER_BATCH_LEN octets of lines, and one line of RECORD_LEN_MAX at
 * most. A longer line is passed over: its record is PARSED_BAD and has no text.
 *
 * Threads: a reader belongs to one thread at a time; a batch to one thread at a time, which need
 * not be the same.
 */
#pragma once

#include "join/format.h"
#include "join/loki.h"
#include "join/source.h"
#include "join/values.h"

#define READER_BATCH_LEN (64 * 1024)

struct flow_batch {
    struct flow_record *records;
    size_t count;
    const struct format *format;
    bool only;             /* the format was named: records of others are bad */
    struct layout *layout; /* of all its records; held by the batch; NULL: none */
    /* private */
    size_t cap;
    char *text; /* owned; whole lines, with JSON_PADDING octets behind them that can be read */
    size_t text_len;
    size_t text_cap;
    struct arena arena;
};

struct reader;

/* Opens `path` and, unless `forced` is given, finds its format with `parser`. Returns 0; W_EFORMAT
 * with a sentence that names the line, what was tried and what to pass; or what input_open returns.
 */
int reader_open(struct reader **reader, const char *path, const struct format *forced,
                struct parser *parser, struct why *why);
/* The same for an input that is open, which belongs to the reader from then on, whatever is
 * returned. `otherwise`, where it is not NULL, is taken for a format that is not found: each record
 * then is bad, or of what it is. */
int reader_new(struct reader **reader, struct input *input, const struct format *forced,
               const struct format *otherwise, struct parser *parser, struct why *why);
void reader_close(struct reader **reader);

/* Fills the batch, whose former records end. Returns 1; 0 at the end; or a negative error that
 * `why` tells with the name of the input: the records before it were given out. */
int reader_next(struct reader *reader, struct flow_batch *batch, struct why *why);

/* Parses every record of a batch that reader_next filled. Returns 0 or -ENOMEM. */
int flow_batch_parse(struct flow_batch *batch, struct parser *parser);

const struct input *reader_input(const struct reader *reader);
/* NULL for an input without records. */
const struct format *reader_format(const struct reader *reader);
/* "line" or "entry": what record.number counts. */
const char *reader_unit(const struct reader *reader);

void flow_batch_fini(struct flow_batch *batch);
