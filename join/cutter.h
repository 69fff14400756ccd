/* join/cutter.h -- lines of a file that grows, as records
 * SPDX-License-Identifier: Apache-2.0
 *
 * What join/reader.h does for an input that is read from its beginning to its end: finds the
 * format, reads header lines, parses. The lines come in pieces, and after a restart from the middle
 * of the file; its head is then looked at for the format and the headers.
 *
 * Threads: a cutter belongs to one thread at a time.
 */
#pragma once

#include "join/format.h"
#include "join/order.h"

/* How much of a file is looked at for its format. */
#define CUTTER_HEAD_LEN ((size_t)64 * 1024)

struct cutter {
    const struct format *format; /* NULL: not found yet */
    bool only;                   /* it was named: records of others are bad */
    bool failed;                 /* it was told that the format is not known */
    struct layout_builder columns;
    struct layout *layout;
    /* for the caller */
    unsigned warnings;
    const char *remark;
    struct order order;
};

/* `forced` may be NULL. Returns 0 or -ENOMEM. */
int cutter_new(struct cutter **cutter, const struct format *forced, struct parser *parser);
void cutter_free(struct cutter **cutter);

/* Finds the format, if it is not known, by `head`: the first lines of the file, or what there is.
 * With `resumed` its header lines count for what follows. Returns 0; W_EFORMAT with a sentence
 * that names what was tried and what to pass, after which it may be tried again with more; -ENOMEM.
 */
int cutter_look(struct cutter *cutter, struct parser *parser, struct text head, bool resumed,
                const char *name, struct why *why);

/* Parses one line, without its newline, of the record's number. Strings go to `arena`. Returns 1;
 * 0 if there is no record in it: a header, or nothing; -ENOMEM. */
int cutter_parse(struct cutter *cutter, struct parser *parser, struct text line, uint64_t number,
                 struct arena *arena, struct flow_record *record);
