/* join/owners.h -- whose address it was: pods, services and nodes over time
 * SPDX-License-Identifier: Apache-2.0
 *
 * A table of intervals: from .. to, one object of a cluster held these addresses. It is filled with
 * facts ("at that time the pod had this address", "it ended then") in any order, and keeps these
 * rules:
 *
 *   - the past is never taken back: an address that vanishes, an object that is deleted or is not
 *     in a whole list any more ends its interval;
 *   - at one time an address has one owner: the one that began later ends the interval of the
 *     former, unless that said itself when it ended, which then is where the later one begins;
 *   - an object that does not say when it began is dated OWNERS_BACKDATE_US before it was first
 *     seen, because the API server knows an address a little later than the network does;
 *   - what is only a hint (a DNS server's word about its client) answers where nothing else is
 *     known, and for an hour after it was last heard; heard of another address of the same family,
 *     it has left the former.
 *
 * Bounded: beyond `max` intervals those that ended first are forgotten.
 *
 * Threads: any may state facts, one after the other (locked inside). Each reading thread has a
 * reader of its own, which remembers what it looked up until the table changes: a lookup is then a
 * hash and a comparison.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "join/text.h"

/* Of an interval that has not ended. */
#define OWNER_OPEN INT64_MAX
#define OWNER_ADDRS_MAX 8 /* addresses kept of one object */
/* How long a hint counts after it was last heard (it is told of at least every OWNERS_HINT_TOLD_US
 * while it comes): what has the address then may never say a word. */
#define OWNERS_HINT_HOLDS_US US_PER_HOUR
#define OWNERS_HINT_TOLD_US (15 * US_PER_MIN)
#define OWNERS_BACKDATE_US (10 * US_PER_S)
#define OWNERS_MAX_DEFAULT ((size_t)1 << 20)
#define OWNER_TEXT_MAX 255    /* octets kept of each text but the labels */
#define OWNER_LABELS_MAX 2047 /* labels longer than that are not kept at all */

enum owner_kind { OWNER_POD, OWNER_SERVICE, OWNER_NODE };
/* "pod", "service", "node" */
const char *owner_kind_name(enum owner_kind kind);

/* One interval. Never changes: when something becomes known, another one with its number takes its
 * place. Where nothing is left of it (another owner began as early), it ends where it begins.
 * Texts are terminated, and "" where unknown. */
struct owner {
    uint64_t number;  /* in its table, from 1; not used again */
    uint64_t version; /* of the table when it last changed */
    enum owner_kind kind;
    bool hint;
    bool sure_end; /* the object itself said when it ended */
    const char *cluster;
    const char *namespace; /* "" of a node */
    const char *name;
    const char *uid;
    const char *workload_kind; /* "Deployment", "StatefulSet", ...; "Pod" of one on its own */
    const char *workload;
    const char *node;
    const char *labels; /* a pod's labels, a service's selector: "key=value\n" each, ascending */
    int64_t from_us;
    int64_t to_us;   /* no longer from then on; OWNER_OPEN */
    int64_t seen_us; /* when it was last known to hold, as of this version */
    uint32_t address_count;
    const struct addr *addresses;
};

/* A pod that answers DNS, as its labels say: those that kubeadm, the clouds and CoreDNS' chart use.
 */
bool owner_is_dns(const struct owner *owner);

struct owners;

/* `max` intervals (0: OWNERS_MAX_DEFAULT). Returns 0 or -ENOMEM. */
int owners_new(struct owners **owners, size_t max);
/* All readers must have been freed before. NULL is fine. */
void owners_free(struct owners **owners);

/* ---- Writing ---- */

/* What is known of one object at one time. Texts are cut at OWNER_TEXT_MAX octets; NULL is "". */
struct owner_fact {
    const char *cluster;
    enum owner_kind kind;
    bool hint;
    struct text namespace, name, uid, workload_kind, workload, node;
    struct text labels;           /* as in struct owner */
    const struct addr *addresses; /* those it holds, or, where it has ended, held */
    size_t address_count;         /* 0: it holds none at that time */
    bool partial;                 /* it may hold others besides */
    bool ended;                   /* it holds them no longer */
    int64_t at_us;                /* when that was so */
    int64_t started_us;           /* when the object says it began; 0: it does not */
    int64_t ended_us;             /* when it says it ended; 0: it does not, so at_us */
    uint64_t stream;              /* the first list of where it is from, and the last that began; */
    uint64_t list;                /* 0: none, or it is not known */
    int64_t until_us;             /* ended, it does not say when: at the latest; 0: at_us */
};

/* Returns 0; W_ELIMIT if the table is full of intervals that have not ended (counted); -ENOMEM. */
int owners_observe(struct owners *owners, const struct owner_fact *fact);

/* A list. */
uint64_t owners_list_begin(struct owners *owners);
/* Ends the interval of each object of that kind (and namespace, unless NULL) that is missing from
 * the list: with `stream` 0 all that were not observed since `list` began, else those that were
 * last observed with that stream and an earlier list (struct owner_fact). `at_us` is when the list
 * was made. Returns 0 or -ENOMEM. */
int owners_list_end(struct owners *owners, uint64_t stream, uint64_t list, const char *cluster,
                    enum owner_kind kind, const char *namespace, int64_t at_us);

/* Takes an interval that was kept elsewhere, number and version left out. Returns as
 * owners_observe. */
int owners_restore(struct owners *owners, const struct owner *owner);

/* ---- Reading ---- */

/* The number given last; 0: none. */
uint64_t owners_last_number(struct owners *owners);

/* Increases with every change of an interval (not with facts that say nothing new). */
uint64_t owners_version(const struct owners *owners);

/* Visits the intervals that changed after `version` (0: all), by their versions ascending, until
 * `fn` returns false. Costs nothing for the others. The table must not be told anything meanwhile.
 */
typedef bool (*owner_fn)(void *ctx, const struct owner *owner);
void owners_each(struct owners *owners, uint64_t version, owner_fn fn, void *ctx);

struct owners_status {
    size_t intervals;
    size_t open; /* not ended */
    size_t hints;
    uint64_t forgotten; /* because the table was full */
    uint64_t refused;
    int64_t latest_us; /* the latest fact that was no hint; 0: none */
};
struct owners_status owners_status(struct owners *owners);

struct owners_reader;
/* Returns 0 or -ENOMEM. */
int owners_reader_new(struct owners_reader **reader, struct owners *owners);
void owners_reader_free(struct owners_reader **reader);

/* An owner at a time. */
struct owner_at {
    const struct owner *owner; /* NULL: nobody is known */
    int64_t former_to_us; /* when the address' owner before ended; INT64_MIN if there is none */
    /* Until then the address was certainly somebody else's than at the time asked for: where the
     * owner before is sure to have ended then, former_to_us, else where that began. INT64_MIN: not
     * known. */
    int64_t others_us;
};
/* Who had the address at that time? False if nobody is known to; `out` is filled all the same. What
 * is found lives until 64 more lookups of this reader. */
bool owners_at(struct owners_reader *reader, const char *cluster, const struct addr *addr,
               int64_t time_us, struct owner_at *out);
/* The object of that name at that time, NULL if there was none. Lives likewise. */
const struct owner *owners_named(struct owners_reader *reader, const char *cluster,
                                 enum owner_kind kind, struct text namespace, struct text name,
                                 int64_t time_us);
/* Is anything but hints known of the cluster? */
bool owners_know(struct owners_reader *reader, const char *cluster);

#define OWNERS_SERVICES_MAX 8
/* The services whose selector selects the pod at that time, at most OWNERS_SERVICES_MAX of them in
 * no promised order; they live likewise. Returns how many. */
size_t owners_services(struct owners_reader *reader, const struct owner *pod, int64_t time_us,
                       const struct owner *services[OWNERS_SERVICES_MAX]);
