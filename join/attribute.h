/* join/attribute.h -- which name was this flow going to?
 * SPDX-License-Identifier: Apache-2.0
 *
 * DESIGN section 3 as one function of (index, flow, parameters, time). It never asks a clock, never
 * resolves a name, and never gives one name where there were several.
 *
 * Threads: an attributor belongs to one thread; it holds a view of the index and scratch memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "join/flow.h"
#include "join/owners.h"
#include "proto/answer.h"
#include "store/store.h"

#define ATTRIBUTE_CANDIDATES_MAX 64 /* upper bound of --candidates */

struct attribute_params {
    int64_t grace_us;                   /* 60 s */
    int64_t skew_us;                    /* 2 s */
    int64_t horizon_us;                 /* 24 h; 1 h without an owner */
    int64_t settle_us;                  /* 60 s */
    uint32_t candidates_max;            /* 8 */
    const struct name *cluster_domains; /* search domains of the cluster; default cluster.local */
    uint32_t cluster_domain_count;
};
/* The defaults above; cluster_domains points to static memory. */
struct attribute_params attribute_defaults(void);

enum verdict { UNJOINABLE, INTERNAL, RESOLVED, STALE, SHARED, IP_ONLY, BLIND };
const char *verdict_name(enum verdict verdict); /* "unjoinable", "internal", ... */
enum { VERDICT_COUNT = BLIND + 1 };

enum via { VIA_CLIENT, VIA_CNAME, VIA_LATE, VIA_SHARED, VIA_SRV };
const char *via_name(enum via via);

struct question {
    const char *cluster;
    struct addr source;
    struct addr destination;
    int64_t start_us;
    int64_t end_us; /* equals start_us unless aggregated or ended */
    bool
        aggregated; /* one record for several connections: any answer up to end_us may be the one */
    bool shows_start; /* the flow record shows the connection's start (a lookup by hand: true) */
    /* Another address of the destination (struct flow): sightings of either count. */
    bool has_alternate;
    struct addr alternate;
    int64_t not_before_us; /* the source address was somebody else's until then; 0: not known */
    /* The record's own cluster: asked in where anything is known of it; len 0: none. */
    struct text source_cluster;
    /* What the record says of the ends; borrowed; NULL: nothing. */
    const struct flow_identity *source_id;
    const struct flow_identity *destination_id;
};

/* Who one end of a flow is: by its owner, else by what the record says. Texts that are not known
 * have len 0. */
enum party_kind { PARTY_UNKNOWN, PARTY_POD, PARTY_SERVICE, PARTY_NODE };
struct party {
    enum party_kind kind;
    struct text namespace, pod, service, workload, node;
};
/* "pod", "service", "node"; NULL for PARTY_UNKNOWN */
const char *party_kind_name(enum party_kind kind);

struct candidate {
    struct name name;  /* what is attributed */
    struct name asked; /* the question name */
    uint8_t chain_count;
    struct name chain[ANSWER_CHAIN_MAX];
    bool live;
    enum via via;
    int64_t answer_us; /* the answer that speaks for it: "last" in the record */
    int64_t age_us;    /* start - answer_us; negative after the start */
    uint32_t ttl_s;
    uint32_t count;                   /* answers in the sighting(s), of the source that saw most */
    uint32_t clients;                 /* VIA_SHARED: different clients; else 0 */
    enum answer_source source;        /* dnstap, if that saw it, too */
    uint32_t counted[ANSWER_SOURCES]; /* of each source, while it is being made */
};

struct attribution {
    enum verdict verdict;
    const char *reason; /* static; NULL unless blind, unjoinable or shared by a node */
    bool owner_known;
    bool coverage_assumed;
    bool ambiguous;    /* several different names are live */
    uint32_t left_out; /* candidates beyond candidates_max */
    uint32_t candidate_count;
    struct candidate *candidates; /* best first; owned by the attributor, until its next call */
    /* Texts live as the candidates, or as the record. */
    struct party source;
    struct party destination;
};

struct attributor;
/* `view` and `params` (copied) are borrowed/kept until attributor_free. Returns 0 or -ENOMEM. */
int attributor_new(struct attributor **attributor, struct store_view *view,
                   const struct attribute_params *params);
void attributor_free(struct attributor **attributor);

/* Lets it ask whose an address was. `owners` is borrowed. Returns 0 or -ENOMEM. */
int attributor_set_owners(struct attributor *attributor, struct owners *owners);

/* Lets it remember what the index said, in about `max_bytes`: for a view that is not refreshed as
 * long as the attributor lives. The answers are the same. Returns 0 or -ENOMEM. */
int attributor_remember(struct attributor *attributor, size_t max_bytes);

/* Fetches what the next questions will need, ATTRIBUTE_EXPECT of the `count` at most: only a matter
 * of time. */
#define ATTRIBUTE_EXPECT 16
void attribute_expect(struct attributor *attributor, const struct question *questions,
                      size_t count);

/* Answers the question as known at now_us. Returns 0 or a negative error of the index (`*out` is
 * then blind/"index-error"). */
int attribute(struct attributor *attributor, const struct question *question, int64_t now_us,
              struct attribution *out);

/* An attribution without a usable address pair or time. `reason` is static. */
struct attribution attribution_unjoinable(const char *reason);

/* destination.domain: the first candidate's name for resolved, stale and internal, else NULL. */
const struct name *attribution_domain(const struct attribution *attribution);

/* The "attribution" object of DESIGN section 5 as JSON. */
void attribution_json(struct buf *buf, const struct attribution *attribution);
/* The same with `"source":{"k8s":{…}}` where the owner is known, and `"destination":{"kind":…,
 * "k8s":{…}}` where the destination is a pod, service or node: for where no flow is written around
 * it. */
void attribution_full_json(struct buf *buf, const struct attribution *attribution);
