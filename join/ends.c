/* join/ends.c -- who the two ends of a flow are, and which answers may speak for it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/ends.h"

#include <string.h>

#include "base/clock.h"

/* Without an owner the address may have been another pod's an hour ago (DESIGN section 3, step 1).
 */
#define HORIZON_WITHOUT_OWNER_US US_PER_HOUR

static bool equals(struct text text, const char *string)
{
    size_t len = strlen(string);
    return text.len == len && memcmp(text.data, string, len) == 0;
}

/* Does the record name another pod? A name that stands for many ("web-*") names none. */
static bool contradicts(const struct owner *owner, const struct flow_identity *identity)
{
    bool names = identity != NULL && identity->pod.len > 0 && identity->namespace.len > 0 &&
                 memchr(identity->pod.data, '*', identity->pod.len) == NULL;
    return names && owner->kind == OWNER_POD &&
           (!equals(identity->pod, owner->name) || !equals(identity->namespace, owner->namespace));
}

/* The owner of the source at the flow's start. A pod sends a little before the API server knows of
 * it, and clocks cut off fractions: where the record names somebody else, or nobody is known, who
 * begins within the slack is it; or who ended within it, if that is whom the record names. */
static bool find_source(struct owners_reader *reader, const struct question *question,
                        const char *cluster, struct owner_at *out)
{
    const struct flow_identity *identity = question->source_id;
    struct owner_at other;
    int64_t at_us = question->start_us;
    bool found = owners_at(reader, cluster, &question->source, at_us, out);
    if (found && !contradicts(out->owner, identity)) {
        return true;
    }
    if (owners_at(reader, cluster, &question->source, at_us + OWNER_SLACK_US, &other) &&
        other.owner->from_us > at_us && !contradicts(other.owner, identity)) {
        *out = other;
        return true;
    }
    if (found && owners_at(reader, cluster, &question->source, at_us - OWNER_SLACK_US, &other) &&
        other.owner->to_us <= at_us && !contradicts(other.owner, identity)) {
        *out = other;
        return true;
    }
    if (found) { /* Of another pod than the record names: what was before is neither's. */
        out->others_us = out->owner->from_us - OWNER_SLACK_US;
        out->owner = NULL;
    }
    return false;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Steps 1 and 2: whose answers count, and from when to when. */
static void bound(const struct question *question, const struct attribute_params *params,
                  const struct owner_at *at, struct ends *ends)
{
    const struct owner *owner = ends->source;
    bool pod = owner != NULL && owner->kind == OWNER_POD;
    ends->horizon_us = params->horizon_us;
    if (owner == NULL && ends->horizon_us > HORIZON_WITHOUT_OWNER_US) {
        ends->horizon_us = HORIZON_WITHOUT_OWNER_US;
    }
    int64_t horizon_from_us = question->start_us - ends->horizon_us;
    ends->from_us = horizon_from_us;
    ends->to_us = question->end_us + params->skew_us;
    ends->others_us = question->not_before_us != 0 ? question->not_before_us : INT64_MIN;
    if (pod) {
        /* The slack does not reach into the time of who had the address before. */
        ends->from_us = later(ends->from_us, owner->from_us - OWNER_SLACK_US);
        ends->others_us = later(ends->others_us, at->former_to_us);
        ends->began_us = owner->hint ? INT64_MIN : owner->from_us;
        if (owner->to_us != OWNER_OPEN && owner->to_us - 1 < ends->to_us) {
            ends->to_us = owner->to_us - 1;
        }
        ends->clients = owner->addresses;
        ends->client_count = owner->address_count;
    }
    if (owner == NULL) {
        ends->others_us = later(ends->others_us, at->others_us);
    }
    ends->from_us = later(ends->from_us, ends->others_us);
    ends->owner_bounds = ends->from_us > horizon_from_us;
}

static void add_destination(struct ends *ends, const struct addr *addr)
{
    for (size_t i = 0; i < ends->destination_count; i++) {
        if (addr_equal(&ends->destinations[i], addr)) {
            return;
        }
    }
    if (ends->destination_count < ENDS_DESTINATIONS_MAX) {
        ends->destinations[ends->destination_count++] = *addr;
    }
}

static void add_destinations(struct ends *ends, const struct owner *owner)
{
    for (uint32_t i = 0; owner != NULL && i < owner->address_count; i++) {
        add_destination(ends, &owner->addresses[i]);
    }
}

/* A service's answers have its own address, most flow records that of the pod behind it. */
static void add_services(struct owners_reader *reader, const struct question *question,
                         struct ends *ends)
{
    const struct flow_identity *identity = question->destination_id;
    const struct owner *services[OWNERS_SERVICES_MAX];
    if (identity != NULL && identity->service.len > 0) {
        add_destinations(ends,
                         owners_named(reader, ends->cluster, OWNER_SERVICE, identity->namespace,
                                      identity->service, question->start_us));
    }
    if (ends->destination != NULL && ends->destination->kind == OWNER_POD) {
        size_t count = owners_services(reader, ends->destination, question->start_us, services);
        for (size_t i = 0; i < count; i++) {
            add_destinations(ends, services[i]);
        }
    }
}

static void find_destination(struct owners_reader *reader, const struct question *question,
                             struct ends *ends)
{
    struct owner_at at;
    int64_t at_us = question->start_us;
    if (owners_at(reader, ends->cluster, &question->destination, at_us, &at) ||
        (question->has_alternate &&
         owners_at(reader, ends->cluster, &question->alternate, at_us, &at))) {
        ends->destination = at.owner;
        ends->internal = true;
    }
    add_services(reader, question, ends);
}

void ends_find(struct owners_reader *reader, const char *cluster, const struct question *question,
               const struct attribute_params *params, struct ends *ends)
{
    const struct flow_identity *from = question->source_id, *to = question->destination_id;
    struct owner_at at = {NULL, INT64_MIN, INT64_MIN};
    ends->cluster = cluster;
    ends->source = ends->destination = NULL;
    ends->clients = &question->source;
    ends->client_count = 1;
    ends->destinations[0] = question->destination;
    ends->destination_count = 1;
    ends->began_us = INT64_MIN;
    ends->internal = to != NULL && (to->end == FLOW_END_POD || to->end == FLOW_END_SERVICE ||
                                    to->end == FLOW_END_NODE);
    if (question->has_alternate) {
        add_destination(ends, &question->alternate);
    }
    if (reader != NULL) {
        if (find_source(reader, question, cluster, &at)) {
            ends->source = at.owner;
        }
        find_destination(reader, question, ends);
    }
    bound(question, params, &at, ends);
    ends->source_is_node = ends->source != NULL ? ends->source->kind == OWNER_NODE
                                                : from != NULL && from->end == FLOW_END_NODE;
}

struct party party_of(const struct owner *owner, const struct flow_identity *identity)
{
    static const enum party_kind OF_OWNER[] = {
        [OWNER_POD] = PARTY_POD, [OWNER_SERVICE] = PARTY_SERVICE, [OWNER_NODE] = PARTY_NODE};
    static const enum party_kind OF_RECORD[] = {[FLOW_END_UNKNOWN] = PARTY_UNKNOWN,
                                                [FLOW_END_POD] = PARTY_POD,
                                                [FLOW_END_SERVICE] = PARTY_SERVICE,
                                                [FLOW_END_NODE] = PARTY_NODE,
                                                [FLOW_END_NETWORK] = PARTY_UNKNOWN};
    struct party party = {.kind = PARTY_UNKNOWN};
    if (owner != NULL) {
        party.kind = OF_OWNER[owner->kind];
        struct text name = {owner->name, strlen(owner->name)};
        party.namespace = (struct text){owner->namespace, strlen(owner->namespace)};
        party.pod = owner->kind == OWNER_POD ? name : party.pod;
        party.service = owner->kind == OWNER_SERVICE ? name : party.service;
        party.workload = (struct text){owner->workload, strlen(owner->workload)};
        party.node = (struct text){owner->node, strlen(owner->node)};
        party.node = owner->kind == OWNER_NODE ? name : party.node;
    } else if (identity != NULL) {
        party = (struct party){OF_RECORD[identity->end], identity->namespace, identity->pod,
                               identity->service,        identity->workload,  identity->node};
    }
    return party;
}
