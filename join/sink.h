/* join/sink.h -- the forms a named flow is given out in
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file for each. A sink writes into a buffer; where that goes is the caller's business.
 *
 * Threads: a sink belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "join/attribute.h"
#include "join/domain.h"
#include "join/format.h"

struct sink_options {
    const char *cluster; /* of records that name none; borrowed */
    unsigned width;      /* columns of the terminal; 0: lines are not cut */
    bool color;
    uint64_t explain;                      /* SINK_EXPLAIN: number of the record */
    const struct attribute_params *params; /* likewise: what was asked with; borrowed */
    void *ctx;                             /* for a kind of the caller's own; borrowed */
};

struct sink;

struct sink_kind {
    const char *name;
    const char *description; /* one line for --help */
    bool keeps_json;         /* each record must be a JSON object */
    bool keeps_state;        /* looks from one record to another: for one worker only */
    /* Before the first record; NULL: nothing. */
    void (*begin)(struct sink *sink, struct buf *out);
    void (*flow)(struct sink *sink, struct buf *out, const struct flow_record *record,
                 const struct attribution *attribution);
    /* A record that is left out of the result; NULL: nothing. */
    void (*left_out)(struct sink *sink, struct buf *out, const struct flow_record *record);
    /* A record that could not be read; NULL: nothing. */
    void (*bad)(struct sink *sink, struct buf *out, const struct flow_record *record);
    /* Frees `state`; NULL: there is none. */
    void (*end)(struct sink *sink);
    /* Called after each batch, so that what is held back is not held for long; NULL: nothing. */
    void (*flush)(struct sink *sink, struct buf *out);
};

extern const struct sink_kind SINK_ECS;
extern const struct sink_kind SINK_INLINE;
extern const struct sink_kind SINK_TABLE;
extern const struct sink_kind SINK_CSV;
/* Of one record only, and so not among SINKS. */
extern const struct sink_kind SINK_EXPLAIN;

/* What --to offers; ends with NULL. */
extern const struct sink_kind *const SINKS[];
/* NULL if there is none of that name. */
const struct sink_kind *sink_by_name(const char *name);

/* What the sinks share. */
struct sink {
    const struct sink_kind *kind;
    struct sink_options options;
    struct domains *domains; /* owned */
    void *state;             /* of the kind */
};

/* Returns 0 or -ENOMEM. */
int sink_new(struct sink **sink, const struct sink_kind *kind, const struct sink_options *options);
void sink_free(struct sink **sink);

/* ---- For the sinks: words of DESIGN section 5. ---- */

const char *flow_action_name(enum flow_action action); /* "allowed", ... */
const char *
flow_kind_name(const struct addr *destination); /* "external", ...; NULL if it has none */
/* "pod", "external", ...: by who it is, else by the address; NULL if it has none. */
const char *sink_destination_kind(const struct flow *flow, const struct attribution *attribution);
/* source.k8s, destination.k8s: as attributed; of a flow that nothing was asked about, what the
 * record says. */
struct party sink_source(const struct flow *flow, const struct attribution *attribution);
struct party sink_destination(const struct flow *flow, const struct attribution *attribution);
/* destination.domain; data is NULL if there is none. */
struct text sink_domain(struct sink *sink, const struct attribution *attribution,
                        struct text *registered);
