/* join/attribute.c -- which name was this flow going to?
 * SPDX-License-Identifier: Apache-2.0
 *
 * The steps are those of DESIGN section 3, in its order: the client's own answers, names that lead
 * to theirs by CNAME, the cluster's other clients, and only then the right to say "no name" or
 * "blind".
 */
#include "join/attribute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/ends.h"
#include "join/memo.h"

/* The grace that the index makes runs with (DESIGN section 2). */
#define INDEX_GRACE_US (60 * US_PER_S)

/* Different names gathered before the best are chosen; what is beyond is counted as left out. */
enum { GATHERED_MAX = 256 };

struct attributor {
    struct store_view *view;
    struct attribute_params params;
    struct name *domains; /* copies of params.cluster_domains */
    struct candidate *candidates;
    struct memo *memo;            /* NULL: the index is asked anew each time */
    struct owners_reader *owners; /* NULL: nobody is known */
    /* The last cluster that a record named, and whether anything is known of it. */
    char cluster[STORE_CLUSTER_MAX + 1];
    bool cluster_known;
};

/* One question while it is being answered. */
struct work {
    struct attributor *attributor;
    const struct question *question;
    struct ends ends;
    const struct addr *client; /* the pair being asked about */
    const struct addr *destination;
    int64_t from_us; /* answers before count for nothing */
    int64_t to_us;   /* end + skew, or the owner's end */
    int64_t ref_us;  /* answers up to here are "before" the flow */
    uint32_t count;  /* candidates gathered */
    uint32_t dropped;
    /* The runs of one answer come one after the other: what the last one was. */
    uint64_t answer_id;
    struct candidate *candidate;  /* NULL: none yet */
    bool named;                   /* the candidate's names are this answer's */
    const struct candidate *tail; /* while looking for names that lead to this one */
    uint32_t heads_from;          /* candidates before were there when that began */
};

static const struct name CLUSTER_LOCAL = {
    .len = 15, .wire = {7, 'c', 'l', 'u', 's', 't', 'e', 'r', 5, 'l', 'o', 'c', 'a', 'l', 0}};

struct attribute_params attribute_defaults(void)
{
    return (struct attribute_params){
        .grace_us = 60 * US_PER_S,
        .skew_us = 2 * US_PER_S,
        .horizon_us = 24 * US_PER_HOUR,
        .settle_us = 60 * US_PER_S,
        .candidates_max = 8,
        .cluster_domains = &CLUSTER_LOCAL,
        .cluster_domain_count = 1,
    };
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const NAMES[VERDICT_COUNT] = {[UNJOINABLE] = "unjoinable",
                                                     [INTERNAL] = "internal",
                                                     [RESOLVED] = "resolved",
                                                     [STALE] = "stale",
                                                     [SHARED] = "shared",
                                                     [IP_ONLY] = "ip-only",
                                                     [BLIND] = "blind"};
    return NAMES[verdict];
}

const char *party_kind_name(enum party_kind kind)
{
    static const char *const NAMES[] = {[PARTY_UNKNOWN] = NULL,
                                        [PARTY_POD] = "pod",
                                        [PARTY_SERVICE] = "service",
                                        [PARTY_NODE] = "node"};
    return NAMES[kind];
}

const char *via_name(enum via via)
{
    static const char *const NAMES[] = {[VIA_CLIENT] = "client",
                                        [VIA_CNAME] = "cname",
                                        [VIA_LATE] = "late",
                                        [VIA_SHARED] = "shared",
                                        [VIA_SRV] = "srv"};
    return NAMES[via];
}

int attributor_new(struct attributor **out, struct store_view *view,
                   const struct attribute_params *params)
{
    struct attributor *attributor = calloc(1, sizeof(*attributor));
    *out = NULL;
    if (attributor == NULL) {
        return -ENOMEM;
    }
    attributor->view = view;
    attributor->params = *params;
    attributor->domains = calloc(params->cluster_domain_count + 1, sizeof(struct name));
    attributor->candidates = malloc(GATHERED_MAX * sizeof(struct candidate));
    if (attributor->domains == NULL || attributor->candidates == NULL) {
        attributor_free(&attributor);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < params->cluster_domain_count; i++) {
        attributor->domains[i] = params->cluster_domains[i];
    }
    attributor->params.cluster_domains = attributor->domains;
    if (attributor->params.candidates_max > ATTRIBUTE_CANDIDATES_MAX) {
        attributor->params.candidates_max = ATTRIBUTE_CANDIDATES_MAX;
    }
    *out = attributor;
    return 0;
}

void attributor_free(struct attributor **out)
{
    if (*out != NULL) {
        memo_free(&(*out)->memo);
        owners_reader_free(&(*out)->owners);
        free((*out)->domains);
        free((*out)->candidates);
        free(*out);
        *out = NULL;
    }
}

int attributor_set_owners(struct attributor *attributor, struct owners *owners)
{
    owners_reader_free(&attributor->owners);
    return owners_reader_new(&attributor->owners, owners);
}

int attributor_remember(struct attributor *attributor, size_t max_bytes)
{
    memo_free(&attributor->memo);
    return memo_new(&attributor->memo, attributor->view, max_bytes);
}

void attribute_expect(struct attributor *attributor, const struct question *questions, size_t count)
{
    struct memo_pair pairs[ATTRIBUTE_EXPECT];
    size_t pair_count = count < ATTRIBUTE_EXPECT ? count : ATTRIBUTE_EXPECT;
    if (attributor->memo == NULL) {
        return;
    }
    for (size_t i = 0; i < pair_count; i++) {
        pairs[i] = (struct memo_pair){questions[i].cluster, &questions[i].source,
                                      &questions[i].destination};
    }
    memo_expect(attributor->memo, pairs, pair_count);
}

/* ---- Names ---- */

static void set_name(struct name *name, const uint8_t *wire)
{
    name->len = (uint8_t)name_wire_len(wire);
    memcpy(name->wire, wire, name->len);
}

static bool in_cluster(const struct attributor *attributor, const uint8_t *wire)
{
    for (uint32_t i = 0; i < attributor->params.cluster_domain_count; i++) {
        if (name_is_under(wire, attributor->domains[i].wire)) {
            return true;
        }
    }
    return false;
}

/* DESIGN section 2, "name": the asked name, except where it lies under the cluster's own or a
 * search domain and its chain leaves it. */
static const uint8_t *attributed_name(const struct attributor *attributor,
                                      const struct answer *answer)
{
    bool inside = in_cluster(attributor, answer->asked);
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        if ((inside && !in_cluster(attributor, answer->chain[i])) ||
            name_is_search_try(answer->asked, answer->chain[i])) {
            return answer->chain[i];
        }
    }
    return answer->asked;
}

/* ---- Candidates ---- */

static int via_rank(enum via via)
{
    return via == VIA_CNAME ? 1 : via == VIA_LATE ? 2 : 0;
}

/* Compares names label by label as text would be: ascending octets of the printed form. */
static int compare_names(const struct name *a, const struct name *b)
{
    char x[NAME_TEXT_MAX], y[NAME_TEXT_MAX];
    name_to_text(a->wire, x);
    name_to_text(b->wire, y);
    return strcmp(x, y);
}

/* Distance from the flow, nearest first: answers before it by how close they are, then those after.
 */
static int compare_nearness(int64_t a_us, int64_t b_us, int64_t ref_us)
{
    bool a_after = a_us > ref_us;
    bool b_after = b_us > ref_us;
    if (a_after != b_after) {
        return a_after ? 1 : -1;
    }
    if (a_us == b_us) {
        return 0;
    }
    return (a_us > b_us) == a_after ? 1 : -1;
}

/* The order of step 4 but for the names; negative if `a` comes first. */
static int compare_evidence(const struct candidate *a, const struct candidate *b, int64_t ref_us)
{
    if (a->live != b->live) {
        return a->live ? -1 : 1;
    }
    if (via_rank(a->via) != via_rank(b->via)) {
        return via_rank(a->via) - via_rank(b->via);
    }
    return compare_nearness(a->answer_us, b->answer_us, ref_us);
}

static int compare(const struct candidate *a, const struct candidate *b, int64_t ref_us)
{
    int evidence = compare_evidence(a, b, ref_us);
    return evidence != 0 ? evidence : compare_names(&a->name, &b->name);
}

static int compare_shared(const struct candidate *a, const struct candidate *b)
{
    if (a->clients != b->clients) {
        return a->clients > b->clients ? -1 : 1;
    }
    if (a->answer_us != b->answer_us) {
        return a->answer_us > b->answer_us ? -1 : 1;
    }
    return compare_names(&a->name, &b->name);
}

/* Moves the best to the front, as many as will be shown. */
static void choose(struct work *work, bool shared)
{
    struct candidate *all = work->attributor->candidates;
    uint32_t shown = work->attributor->params.candidates_max;
    for (uint32_t i = 0; i < work->count && i < shown; i++) {
        uint32_t best = i;
        for (uint32_t j = i + 1; j < work->count; j++) {
            int order = shared ? compare_shared(&all[j], &all[best])
                               : compare(&all[j], &all[best], work->ref_us);
            best = order < 0 ? j : best;
        }
        if (best != i) {
            struct candidate swap = all[i];
            all[i] = all[best];
            all[best] = swap;
        }
    }
}

static void fill_names(struct candidate *candidate, const uint8_t *name,
                       const struct answer *answer)
{
    set_name(&candidate->name, name);
    set_name(&candidate->asked, answer->asked);
    candidate->chain_count = answer->chain_count;
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        set_name(&candidate->chain[i], answer->chain[i]);
    }
}

static struct candidate *find_candidate(struct work *work, const uint8_t *wire)
{
    size_t len = name_wire_len(wire);
    for (uint32_t i = 0; i < work->count; i++) {
        struct candidate *candidate = &work->attributor->candidates[i];
        if (candidate->name.len == len && memcmp(candidate->name.wire, wire, len) == 0) {
            return candidate;
        }
    }
    return NULL;
}

static struct candidate *new_candidate(struct work *work)
{
    if (work->count == GATHERED_MAX) {
        work->dropped++;
        return NULL;
    }
    return &work->attributor->candidates[work->count++];
}

/* What one sighting says about the flow. */
struct evidence {
    bool usable; /* an answer lies within the bounds */
    int64_t answer_us;
    bool live;
    bool late;
};

static uint32_t ttl_of(const struct store_sighting *sighting)
{
    return (uint32_t)((sighting->expiry_us - sighting->last_us) / US_PER_S);
}

/* The earliest answer after the reference; within the record's span it is an answer like others. */
static struct evidence weigh_after(const struct work *work, const struct store_sighting *sighting)
{
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        int64_t time_us = sighting->times[i];
        if (time_us > work->ref_us && time_us <= work->to_us) {
            return (struct evidence){true, time_us, true, time_us > work->question->end_us};
        }
    }
    return (struct evidence){0};
}

/* Picks the answer that speaks for the sighting and tells whether it is live (step 3). Within a run
 * each answer came before the one before it had run out, so an answer that another one of the run
 * follows is live until then. */
static struct evidence weigh(const struct work *work, const struct store_sighting *sighting)
{
    const struct question *question = work->question;
    int64_t grace_us = work->attributor->params.grace_us;
    struct evidence evidence = {0};
    for (uint32_t i = sighting->time_count; i > 0 && !evidence.usable; i--) {
        int64_t time_us = sighting->times[i - 1];
        if (time_us > work->ref_us || time_us < work->from_us) {
            continue;
        }
        bool last = i == sighting->time_count;
        int64_t until_us = last ? sighting->expiry_us + grace_us : sighting->times[i];
        if (!last && grace_us < INDEX_GRACE_US) {
            /* Asked for less grace than runs are made with: the answer's own life may end before.
             */
            int64_t own_us = time_us + ttl_of(sighting) * US_PER_S + grace_us;
            until_us = own_us < until_us ? own_us : until_us;
        }
        evidence = (struct evidence){true, time_us, until_us >= question->start_us, false};
    }
    /* Thinned times: the one before the bounds, because others of the run lie within them; but
     * what is before an owner's time may be another one's. */
    bool gaps = sighting->approximate && !work->ends.owner_bounds;
    for (uint32_t i = 1; i < sighting->time_count && gaps && !evidence.usable; i++) {
        if (sighting->times[i - 1] < work->from_us && sighting->times[i] > work->ref_us) {
            evidence = (struct evidence){true, sighting->times[i - 1], true, false};
        }
    }
    /* What is stale by then may have been asked for anew just after. */
    struct evidence after = evidence.live ? (struct evidence){0} : weigh_after(work, sighting);
    return after.usable ? after : evidence;
}

static enum via via_of(const struct answer *answer, const struct evidence *evidence)
{
    if (evidence->late) {
        return VIA_LATE;
    }
    return answer->via == ANSWER_VIA_SRV ? VIA_SRV : VIA_CLIENT;
}

/* The same answer seen by two sources is one answer: the count is that of the source which saw
 * most, and a name that dnstap saw is dnstap's. */
static void count_answers(struct candidate *candidate, const struct answer *answer, uint32_t count)
{
    uint32_t *counted = &candidate->counted[answer->source];
    *counted += count;
    candidate->count = *counted > candidate->count ? *counted : candidate->count;
    candidate->source = answer->source < candidate->source ? answer->source : candidate->source;
}

static void begin_counting(struct candidate *candidate)
{
    candidate->count = 0;
    candidate->clients = 0;
    candidate->source = ANSWER_SOURCES - 1;
    memset(candidate->counted, 0, sizeof(candidate->counted));
}

/* The candidate of that name, a new one if there is none; NULL if there are too many. */
static struct candidate *candidate_of(struct work *work, const uint8_t *name, bool *is_new)
{
    struct candidate *known = find_candidate(work, name);
    *is_new = known == NULL;
    if (known == NULL) {
        known = new_candidate(work);
    }
    if (*is_new && known != NULL) {
        begin_counting(known);
    }
    return known;
}

/* Adds what a sighting says; one candidate a name, the better evidence stays. Returns true if that
 * is the one offered. */
static bool offer(const struct work *work, const struct store_sighting *sighting,
                  struct candidate *known, bool is_new, const struct candidate *offered)
{
    bool better = is_new || compare_evidence(offered, known, work->ref_us) < 0;
    count_answers(known, sighting->answer, sighting->count);
    if (better) {
        known->live = offered->live;
        known->via = offered->via;
        known->answer_us = offered->answer_us;
        known->age_us = work->question->start_us - offered->answer_us;
        known->ttl_s = offered->ttl_s;
    }
    return better;
}

static bool gather_direct(void *ctx, const struct store_sighting *sighting)
{
    struct work *work = ctx;
    const struct answer *answer = sighting->answer;
    struct evidence evidence = weigh(work, sighting);
    bool is_new = false;
    if (!evidence.usable) {
        return true;
    }
    if (work->candidate == NULL || work->answer_id != sighting->answer_id) {
        work->candidate = candidate_of(work, attributed_name(work->attributor, answer), &is_new);
        work->answer_id = sighting->answer_id;
        work->named = false;
    }
    if (work->candidate == NULL) {
        return true;
    }
    struct candidate offered;
    offered.live = evidence.live;
    offered.via = via_of(answer, &evidence);
    offered.answer_us = evidence.answer_us;
    offered.ttl_s = ttl_of(sighting);
    if (offer(work, sighting, work->candidate, is_new, &offered) && !work->named) {
        fill_names(work->candidate, attributed_name(work->attributor, answer), answer);
        work->named = true;
    }
    return true;
}

/* A name whose CNAME led to the tail: live as long as the tail is, because the tail is what gave
 * the address, and the resolver library that asked for it had this one cached. */
static bool gather_heads(void *ctx, const struct store_sighting *sighting)
{
    struct work *work = ctx;
    struct evidence evidence = weigh(work, sighting);
    const uint8_t *name = attributed_name(work->attributor, sighting->answer);
    const struct candidate *known = find_candidate(work, name);
    bool wanted = known == NULL || known >= &work->attributor->candidates[work->heads_from];
    bool is_new = false;
    struct candidate *candidate =
        evidence.usable && wanted ? candidate_of(work, name, &is_new) : NULL;
    if (candidate != NULL) {
        struct candidate offered;
        offered.live = work->tail->live;
        offered.via = VIA_CNAME;
        offered.answer_us = evidence.answer_us;
        offered.ttl_s = ttl_of(sighting);
        if (offer(work, sighting, candidate, is_new, &offered)) {
            fill_names(candidate, name, sighting->answer);
        }
    }
    return true;
}

/* What the client in hand was answered with the address in hand. */
static int visit_answers(struct work *work)
{
    const struct attributor *attributor = work->attributor;
    const char *cluster = work->ends.cluster;
    if (attributor->memo != NULL) {
        return memo_by_client_address(attributor->memo, cluster, work->client, work->destination,
                                      work->from_us, work->to_us, gather_direct, work);
    }
    return store_by_client_address(attributor->view, cluster, work->client, work->destination,
                                   work->from_us, work->to_us, gather_direct, work);
}

/* What it was answered that leads to the tail in hand. */
static int visit_heads(struct work *work)
{
    const struct attributor *attributor = work->attributor;
    const char *cluster = work->ends.cluster;
    const uint8_t *tail = work->tail->name.wire;
    if (attributor->memo != NULL) {
        return memo_by_client_target(attributor->memo, cluster, work->client, tail, work->from_us,
                                     work->to_us, gather_heads, work);
    }
    return store_by_client_target(attributor->view, cluster, work->client, tail, work->from_us,
                                  work->to_us, gather_heads, work);
}

/* Every address of the client with every address of the destination. */
static int gather_answers(struct work *work)
{
    const struct ends *ends = &work->ends;
    int err = 0;
    for (size_t i = 0; i < ends->client_count && err == 0; i++) {
        for (size_t j = 0; j < ends->destination_count && err == 0; j++) {
            work->client = &ends->clients[i];
            work->destination = &ends->destinations[j];
            err = visit_answers(work);
        }
    }
    return err;
}

static int gather_own(struct work *work)
{
    int err = gather_answers(work);
    uint32_t direct = work->count;
    /* Live tails first: a name that leads to several of them is as live as any of these. */
    for (uint32_t i = 0; i < 2 * direct && err == 0; i++) {
        work->tail = &work->attributor->candidates[i % direct];
        work->heads_from = work->count;
        for (size_t j = 0; j < work->ends.client_count && err == 0; j++) {
            work->client = &work->ends.clients[j];
            if (work->tail->live == (i < direct)) {
                err = visit_heads(work);
            }
        }
    }
    return err;
}

static bool gather_shared(void *ctx, const struct store_shared *shared)
{
    struct work *work = ctx;
    const uint8_t *name = attributed_name(work->attributor, shared->answer);
    struct candidate *candidate = find_candidate(work, name);
    bool live = shared->expiry_us + work->attributor->params.grace_us >= work->question->start_us;
    if (candidate == NULL) {
        candidate = new_candidate(work);
        if (candidate == NULL) {
            return true;
        }
        begin_counting(candidate);
        candidate->live = false;
        candidate->answer_us = INT64_MIN;
    }
    if (shared->last_us > candidate->answer_us) {
        fill_names(candidate, name, shared->answer);
        candidate->via = VIA_SHARED;
        candidate->answer_us = shared->last_us;
        candidate->age_us = work->question->start_us - shared->last_us;
        candidate->ttl_s = (uint32_t)((shared->expiry_us - shared->last_us) / US_PER_S);
    }
    candidate->live |= live;
    count_answers(candidate, shared->answer, shared->count);
    /* Two asked names with one name: at least as many clients as asked for either. */
    candidate->clients =
        shared->clients > candidate->clients ? shared->clients : candidate->clients;
    return true;
}

/* ---- Verdicts ---- */

static const char *unjoinable_reason(const struct question *question)
{
    switch (addr_kind(&question->destination)) {
    case ADDR_BROADCAST:
        return "broadcast";
    case ADDR_MULTICAST:
        return "multicast";
    case ADDR_UNSPECIFIED:
        return "no-address";
    default:
        break;
    }
    switch (addr_kind(&question->source)) {
    case ADDR_BROADCAST:
    case ADDR_MULTICAST:
    case ADDR_UNSPECIFIED:
        return "no-address"; /* nobody's */
    default:
        return NULL;
    }
}

/* Fills what was found; several live names that differ make it ambiguous (step 6). */
static void settle_found(struct work *work, bool shared, struct attribution *out)
{
    const struct candidate *all = work->attributor->candidates;
    uint32_t shown = work->attributor->params.candidates_max;
    uint32_t live = 0;
    for (uint32_t i = 0; i < work->count; i++) {
        live += all[i].live;
    }
    choose(work, shared);
    out->verdict = shared ? SHARED : live > 0 ? RESOLVED : STALE;
    out->ambiguous = live > 1;
    out->candidate_count = work->count < shown ? work->count : shown;
    out->left_out = work->count - out->candidate_count + work->dropped;
    out->candidates = work->attributor->candidates;
}

static bool note_answer(void *ctx, const struct store_sighting *sighting)
{
    const struct work *work = ctx;
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        if (sighting->times[i] >= work->from_us && sighting->times[i] <= work->to_us) {
            return false;
        }
    }
    return true;
}

/* Was the client seen asking? That is known to the minute; in the minute in which the address
 * changed hands only an answer tells who it was. */
static int look_for_client(struct work *work, struct store_client *out)
{
    struct store_view *view = work->attributor->view;
    const struct ends *ends = &work->ends;
    bool handed_over = ends->others_us > work->from_us - US_PER_MIN;
    int err = 0;
    *out = (struct store_client){false, false};
    for (size_t i = 0; i < ends->client_count && err >= 0; i++) {
        struct store_client seen;
        const struct addr *client = &ends->clients[i];
        int64_t from_us =
            handed_over ? (work->from_us / US_PER_MIN + 1) * US_PER_MIN : work->from_us;
        err =
            store_client_seen(view, ends->cluster, client, from_us, work->question->end_us, &seen);
        if (err >= 0 && handed_over && !seen.asked) {
            err = store_by_client(view, ends->cluster, client, work->from_us, work->to_us,
                                  note_answer, work);
            seen.asked = err == 1;
        }
        if (err >= 0) {
            out->asked |= seen.asked;
            out->capped |= seen.capped;
        }
    }
    return err < 0 ? err : 0;
}

/* No name was found: may that be said, or was nobody in a position to know (step 5)? */
static int judge_nameless(struct work *work, int64_t now_us, struct attribution *out)
{
    const struct question *question = work->question;
    const struct attribute_params *params = &work->attributor->params;
    const struct ends *ends = &work->ends;
    struct store_view *view = work->attributor->view;
    struct store_client client;
    int err = look_for_client(work, &client);
    int64_t since_us = question->start_us - ends->horizon_us;
    bool began = ends->began_us >= since_us;
    since_us = ends->began_us > since_us ? ends->began_us : since_us;
    since_us = ends->others_us > since_us ? ends->others_us : since_us;
    /* An aggregated record may have begun its connections up to its end. */
    enum store_cover cover =
        store_cover(view, ends->cluster, since_us, work->ref_us, now_us, params->settle_us);
    bool settled = store_settled(view, ends->cluster, question->end_us + params->skew_us, now_us,
                                 params->settle_us);
    out->verdict = BLIND;
    if (err < 0) {
        out->reason = "index-error";
    } else if (addr_kind(&question->destination) != ADDR_EXTERNAL) {
        out->reason = "not-external";
    } else if (!settled || cover == COVER_UNSETTLED) {
        out->reason = "unsettled";
    } else if (cover == COVER_GAP) {
        out->reason = "gap";
    } else if (client.capped) {
        out->reason = "capped";
    } else if (!client.asked) {
        out->reason = "never-asked";
    } else if (!question->shows_start && !began) {
        out->reason = "started-earlier";
    } else {
        out->verdict = IP_ONLY;
    }
    return err < 0 ? err : 0;
}

/* The cluster to ask in: the record's own where anything is known of it. */
static const char *cluster_of(struct attributor *attributor, const struct question *question)
{
    struct text own = question->source_cluster;
    if (own.len == 0 || own.len > STORE_CLUSTER_MAX) {
        return question->cluster;
    }
    bool same = strlen(attributor->cluster) == own.len &&
                memcmp(attributor->cluster, own.data, own.len) == 0;
    /* What is not known may be by now, unless the index is looked at as it was at one time. */
    if (!same || (!attributor->cluster_known && attributor->memo == NULL)) {
        memcpy(attributor->cluster, own.data, own.len);
        attributor->cluster[own.len] = '\0';
        attributor->cluster_known =
            (attributor->owners != NULL && owners_know(attributor->owners, attributor->cluster)) ||
            store_knows_cluster(attributor->view, attributor->cluster);
    }
    return attributor->cluster_known ? attributor->cluster : question->cluster;
}

/* What other clients of the cluster were answered: not what the source's own addresses were, be it
 * the owner before. */
static int gather_others(struct work *work)
{
    const struct ends *ends = &work->ends;
    const struct question *question = work->question;
    return store_shared_names_but(
        work->attributor->view, ends->cluster, &question->destination, ends->clients,
        ends->source_is_node ? 0 : ends->client_count, question->start_us - ends->horizon_us,
        question->end_us + work->attributor->params.skew_us, gather_shared, work);
}

/* The verdict and its names, once it is known who the ends are. */
static int judge(struct work *work, int64_t now_us, struct attribution *out)
{
    bool node = work->ends.source_is_node;
    int err = node ? 0 : gather_own(work);
    bool shared = err >= 0 && work->count == 0 && !work->ends.internal;
    if (shared) {
        err = gather_others(work);
    }
    if (err < 0) {
        out->reason = "index-error";
        return err;
    }
    if (work->count > 0) {
        settle_found(work, shared, out);
    } else if (!work->ends.internal && !node) {
        return judge_nameless(work, now_us, out);
    }
    if (work->ends.internal) {
        out->verdict = INTERNAL;
    } else if (node) {
        out->reason = "node-source";
    }
    return 0;
}

int attribute(struct attributor *attributor, const struct question *question, int64_t now_us,
              struct attribution *out)
{
    const struct attribute_params *params = &attributor->params;
    struct work work = {
        .attributor = attributor,
        .question = question,
        .ref_us = question->aggregated ? question->end_us : question->start_us,
    };
    const char *unusable = unjoinable_reason(question);
    if (unusable != NULL) {
        *out = attribution_unjoinable(unusable);
        out->source = party_of(NULL, question->source_id);
        out->destination = party_of(NULL, question->destination_id);
        return 0;
    }
    *out = (struct attribution){.verdict = BLIND};
    ends_find(attributor->owners, cluster_of(attributor, question), question, params, &work.ends);
    work.from_us = work.ends.from_us;
    work.to_us = work.ends.to_us;
    work.ref_us = work.ref_us < work.to_us ? work.ref_us : work.to_us;
    out->owner_known = work.ends.source != NULL;
    out->source = party_of(work.ends.source, question->source_id);
    out->destination = party_of(work.ends.destination, question->destination_id);
    out->coverage_assumed =
        store_cover(attributor->view, work.ends.cluster, question->start_us, question->start_us,
                    now_us, params->settle_us) == COVER_ASSUMED;
    return judge(&work, now_us, out);
}

struct attribution attribution_unjoinable(const char *reason)
{
    return (struct attribution){.verdict = UNJOINABLE, .reason = reason};
}

const struct name *attribution_domain(const struct attribution *attribution)
{
    bool named = attribution->verdict == RESOLVED || attribution->verdict == STALE ||
                 attribution->verdict == INTERNAL;
    return named && attribution->candidate_count > 0 ? &attribution->candidates[0].name : NULL;
}
