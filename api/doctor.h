/* api/doctor.h -- can the answers be trusted? What is wrong with the feed, with evidence and remedy
 * SPDX-License-Identifier: Apache-2.0
 *
 * First the facts are gathered (doctor_facts.c): who sent what within the window, when nobody
 * watched, what the index holds. Then each check (doctor_senders.c, doctor_index.c) looks at the
 * facts alone, never at a clock or the index, and may report findings. A check that finds nothing
 * is silent, and is listed as "ok".
 *
 * Threads: everything here is stateless; a view belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "join/owners.h"
#include "store/store.h"

/* How far back is looked unless told otherwise: the default horizon of attribution. */
#define DOCTOR_WINDOW_US (INT64_C(24) * 3600 * 1000000)

enum severity { SEVERITY_OK, SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };
/* "ok", "note", "warning", "error" */
const char *severity_name(enum severity severity);

struct doctor_query {
    const char *cluster;
    int64_t now_us;
    int64_t window_us;     /* how far back is looked */
    bool window_given;     /* by the user: then the index must reach back so far */
    int64_t settle_us;     /* a live join waits that long at most */
    int64_t skew_us;       /* clocks may differ by this */
    uint32_t expected;     /* --expect-senders, 0: not fixed */
    int64_t keep_us;       /* --retention of the service, 0: not known */
    struct owners *owners; /* borrowed; NULL: nobody is known */
};

/* One sender: all streams of one identity that touch the window. */
struct doctor_sender {
    char identity[STORE_IDENTITY_MAX + 1];
    char version[STORE_IDENTITY_MAX + 1]; /* of the latest stream that said it */
    uint32_t streams;
    uint32_t open;    /* connected now */
    uint32_t begun;   /* within the window */
    uint32_t cut;     /* ended without STOP within the window */
    bool live;        /* not only captures */
    int64_t heard_us; /* latest */
    struct tally tally;
};

struct doctor_blind {
    int64_t from_us;
    int64_t to_us;
    bool open;
    uint64_t lost;
    char sender[STORE_IDENTITY_MAX + 1];
    char reason[24];
};

enum { DOCTOR_SENDERS_MAX = 256, DOCTOR_BLINDS_MAX = 256, DOCTOR_PODS_MAX = 64 };

/* A pod that answers DNS, as its labels say. */
struct doctor_pod {
    char name[STORE_IDENTITY_MAX + 1];
};

struct doctor_facts {
    struct doctor_query query;
    int64_t
        from_us; /* the window: up to now, or of an index of captures alone to the last answer */
    int64_t to_us;
    bool live; /* there was ever a connection */
    struct doctor_sender *senders;
    size_t sender_count;
    struct doctor_blind *blinds; /* by start */
    size_t blind_count;
    uint64_t blinds_left_out;
    int64_t blind_us; /* of the window, overlaps counted once */
    struct store_status status;
    uint64_t clients;            /* different ones, counted up to 64 */
    uint64_t node_clients;       /* of these, that are nodes */
    struct doctor_pod *dns_pods; /* that run now */
    size_t dns_pod_count;
    bool cluster_names;  /* names under cluster.local were answered */
    bool external_names; /* others were */
    struct store_disk disk;
};

struct finding {
    const char *check; /* static */
    enum severity severity;
    char subject[STORE_IDENTITY_MAX + 1]; /* a sender, or "" */
    char evidence[512];
    const char *consequence; /* static */
    const char *remedy;      /* static */
};

enum { FINDINGS_MAX = 128 };
struct findings {
    struct finding *items; /* owned */
    size_t count;
    uint64_t left_out;
};

struct check {
    const char *name;  /* "full" */
    const char *title; /* what is well when it finds nothing */
    void (*run)(const struct doctor_facts *facts, struct findings *findings);
};
extern const struct check SENDER_CHECKS[];
extern const size_t SENDER_CHECK_COUNT;
extern const struct check INDEX_CHECKS[];
extern const size_t INDEX_CHECK_COUNT;

/* Gathers the facts; doctor_facts_fini is fine whatever the result. Returns 0, or a negative error
 * of the index or -ENOMEM. */
int doctor_gather(struct doctor_facts *facts, struct store_view *view,
                  const struct doctor_query *query);
void doctor_facts_fini(struct doctor_facts *facts);

/* Room for findings. Returns 0 or -ENOMEM. */
int findings_init(struct findings *findings);
/* Runs all checks. Returns 0 or -ENOMEM. */
int doctor_run(struct findings *findings, const struct doctor_facts *facts);
void findings_fini(struct findings *findings);
enum severity findings_worst(const struct findings *findings, const char *check);

/* For the checks: adds a finding whose evidence is written by the format. */
void findings_add(struct findings *findings, const struct finding *like, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One member of "checks" below. */
void json_check(struct buf *buf, const char *name, const char *title,
                const struct findings *findings);

/* Gathers, runs and appends one object:
 *   {"cluster","from","to","worst":"ok"|"note"|"warning"|"error","checks":[
 *    {"check","title","result","findings":[{"severity","subject","evidence","consequence",
 *     "remedy"}]}…],"left_out"}
 * with each check on a line. Returns 0 or a negative error. */
int json_doctor(struct buf *buf, struct store_view *view, const struct doctor_query *query);
