/* api/doctor_flows.h -- do flow records and answers fit together?
 * SPDX-License-Identifier: Apache-2.0
 *
 * What joined flow records say about the feed: sources that never ask here, clocks of flow logs and
 * DNS servers that differ, records that have no addresses, names that nobody connects to. The flows
 * are joined with a skew of DOCTOR_FLOWS_SKEW_US, so that answers a wrong clock put after the
 * connection are found at all.
 *
 * Threads: the facts belong to one thread.
 */
#pragma once

#include "api/doctor.h"
#include "join/sink.h"

#define DOCTOR_FLOWS_SKEW_US (INT64_C(60) * 1000000)

enum { FLOW_SOURCES_MAX = 4096, FLOW_AGES_MAX = 4096, FLOW_NAMES_MAX = 1 << 16 };

/* A source with flows that have no name of their own. */
struct flow_source {
    struct addr addr;
    uint64_t flows;
};

struct flow_facts {
    int64_t skew_us; /* what joins are made with */
    uint64_t flows;
    int64_t first_us; /* the earliest and latest flow, 0: none */
    int64_t last_us;
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t never_asked;        /* flows of such sources, after flow_facts_compare */
    uint64_t node_source;        /* flows */
    uint64_t no_address;         /* flows without a pair of addresses */
    struct flow_source *sources; /* the first FLOW_SOURCES_MAX without a name of their own; after
                                    flow_facts_compare, that never asked */
    size_t source_count;
    uint64_t named;   /* flows with a name of their own, whatever the clocks */
    uint64_t late;    /* of these, named only by answers more than skew_us after them */
    int64_t *late_us; /* by how much, the first FLOW_AGES_MAX */
    uint64_t *names;  /* hashes of the names flows went to: an open table */
    size_t name_count;
    uint64_t asked;     /* different names that clients asked for and got addresses */
    uint64_t connected; /* of these, some flow went to */
};

/* Returns 0 or -ENOMEM. */
int flow_facts_init(struct flow_facts *facts, int64_t skew_us);
void flow_facts_fini(struct flow_facts *facts);
void flow_facts_add(struct flow_facts *facts, const struct flow *flow,
                    const struct attribution *attribution);
/* Compares with the index: leaves those sources that were never seen asking, and counts the names
 * answered in the time of the flows. Returns 0 or a negative error. */
int flow_facts_compare(struct flow_facts *facts, struct store_view *view, const char *cluster);

/* Adds each flow to the struct flow_facts that is the sink's ctx, and writes nothing. */
extern const struct sink_kind SINK_FLOW_FACTS;

/* Runs the checks and appends an object as json_doctor does, without "cluster", "from" and "to".
 * Returns 0 or -ENOMEM. */
int json_doctor_flows(struct buf *buf, const struct flow_facts *facts);

struct flow_check {
    const char *name;
    const char *title;
    void (*run)(const struct flow_facts *facts, struct findings *findings);
};
extern const struct flow_check FLOW_CHECKS[];
extern const size_t FLOW_CHECK_COUNT;
