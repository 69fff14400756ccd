/* api/doctor_facts.c -- what the doctor's checks look at, out of the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/attribute.h"
#include "proto/name.h"

/* Sightings looked at for one of a kind, and clients told apart: whether there are few. */
enum { PROBED_MAX = 20000, CLIENTS_COUNTED = 64 };

/* ---- Senders ---- */

/* Facts while they are gathered. */
struct gathering {
    struct doctor_facts *facts;
    struct store_view *view;
    int err;
};

/* A flow log that shows some DNS answers is no sender: nothing of it can be missing. */
static bool touches(const struct doctor_facts *facts, const struct store_stream *stream)
{
    bool open = stream->end == STREAM_OPEN;
    return stream->kind != STREAM_PARTIAL && strcmp(stream->cluster, facts->query.cluster) == 0 &&
           (open || stream->committed_us >= facts->from_us);
}

static struct doctor_sender *sender_of(struct doctor_facts *facts, const char *identity)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        if (strcmp(facts->senders[i].identity, identity) == 0) {
            return &facts->senders[i];
        }
    }
    if (facts->sender_count == DOCTOR_SENDERS_MAX) {
        return NULL;
    }
    struct doctor_sender *sender = &facts->senders[facts->sender_count++];
    *sender = (struct doctor_sender){0};
    snprintf(sender->identity, sizeof(sender->identity), "%s", identity);
    return sender;
}

static bool add_stream(void *ctx, const struct store_stream *stream)
{
    struct gathering *gathering = ctx;
    struct doctor_facts *facts = gathering->facts;
    struct tally tally;
    struct doctor_sender *sender =
        touches(facts, stream) ? sender_of(facts, stream->identity) : NULL;
    if (sender == NULL) {
        return true;
    }
    gathering->err = store_tally(gathering->view, stream->number, &tally);
    tally_add(&sender->tally, &tally);
    sender->streams++;
    sender->live |= stream->kind == STREAM_LIVE;
    sender->open += stream->end == STREAM_OPEN;
    sender->begun += stream->from_us >= facts->from_us;
    sender->cut += stream->kind == STREAM_LIVE && stream->end == STREAM_CUT;
    if (stream->committed_us > sender->heard_us) {
        sender->heard_us = stream->committed_us;
    }
    if (stream->version[0] != '\0') {
        snprintf(sender->version, sizeof(sender->version), "%s", stream->version);
    }
    return gathering->err == 0;
}

static bool find_live(void *ctx, const struct store_stream *stream)
{
    struct doctor_facts *facts = ctx;
    bool live = stream->kind == STREAM_LIVE ||
                (stream->kind == STREAM_PARTIAL && stream->end == STREAM_OPEN);
    facts->live |= live && strcmp(stream->cluster, facts->query.cluster) == 0;
    return !facts->live;
}

/* An index of captures says nothing about today. */
static int gather_window(struct gathering *gathering)
{
    struct doctor_facts *facts = gathering->facts;
    int err = store_streams(gathering->view, find_live, facts);
    bool captures = !facts->live && facts->status.last_us != 0;
    facts->to_us = captures ? facts->status.last_us : facts->query.now_us;
    facts->from_us = facts->to_us - facts->query.window_us;
    return err < 0 ? err : 0;
}

/* ---- Blind intervals ---- */

static bool add_blind(void *ctx, const struct store_blind *blind)
{
    struct doctor_facts *facts = ctx;
    if (facts->blind_count == DOCTOR_BLINDS_MAX) {
        facts->blinds_left_out++;
        return true;
    }
    struct doctor_blind *out = &facts->blinds[facts->blind_count++];
    *out = (struct doctor_blind){
        .from_us = blind->from_us, .to_us = blind->to_us, .open = blind->open, .lost = blind->lost};
    snprintf(out->sender, sizeof(out->sender), "%s", blind->sender);
    snprintf(out->reason, sizeof(out->reason), "%s", blind->reason);
    return true;
}

/* By start, so that what one reaches beyond those before it is new. */
static int64_t sum_blind(const struct doctor_facts *facts)
{
    int64_t sum_us = 0;
    int64_t at_us = facts->from_us;
    for (size_t i = 0; i < facts->blind_count; i++) {
        const struct doctor_blind *blind = &facts->blinds[i];
        int64_t from_us = blind->from_us > at_us ? blind->from_us : at_us;
        if (blind->to_us > from_us) {
            sum_us += blind->to_us - from_us;
            at_us = blind->to_us;
        }
    }
    return sum_us;
}

/* Before the first stream there was nothing to be blind for: the span says how far back it goes. */
static int gather_blinds(struct gathering *gathering)
{
    struct doctor_facts *facts = gathering->facts;
    int64_t first_us = facts->status.first_us;
    int64_t from_us = first_us > facts->from_us ? first_us : facts->from_us;
    int64_t to_us = facts->to_us;
    if (first_us == 0) {
        return 0;
    }
    if (to_us - facts->status.alive_us < STORE_COMMIT_LAG_US && facts->status.alive_us < to_us) {
        to_us = facts->status.alive_us;
    }
    int err = store_blinds(gathering->view, facts->query.cluster, from_us, to_us,
                           facts->query.now_us, add_blind, facts);
    facts->blind_us = sum_blind(facts);
    return err < 0 ? err : 0;
}

/* ---- What is asked for ---- */

/* A probe stops at the first name of its kind, or when it has looked at enough others. */
struct probe {
    bool cluster; /* the kind looked for */
    bool found;
    uint32_t looked_at;
};

static const uint8_t *cluster_local(void)
{
    return attribute_defaults().cluster_domains[0].wire;
}

static bool probe_name(void *ctx, const struct store_sighting *sighting)
{
    struct probe *probe = ctx;
    probe->looked_at++;
    probe->found = name_is_under(sighting->answer->asked, cluster_local()) == probe->cluster;
    return !probe->found && probe->looked_at < PROBED_MAX;
}

static int probe_names(struct gathering *gathering, bool cluster, bool *found)
{
    static const uint8_t ROOT[] = {0};
    const struct doctor_facts *facts = gathering->facts;
    struct probe probe = {.cluster = cluster};
    int err = store_by_name(gathering->view, facts->query.cluster, cluster ? cluster_local() : ROOT,
                            true, facts->from_us, facts->to_us, probe_name, &probe);
    /* What was not looked at may be of the kind. */
    *found = probe.found || probe.looked_at >= PROBED_MAX;
    return err < 0 ? err : 0;
}

/* Different clients, counted up to CLIENTS_COUNTED. */
struct client_set {
    struct addr addrs[CLIENTS_COUNTED];
    uint64_t count;
};

static bool count_client(void *ctx, const struct addr *client)
{
    struct client_set *set = ctx;
    for (uint64_t i = 0; i < set->count; i++) {
        if (addr_equal(&set->addrs[i], client)) {
            return true;
        }
    }
    set->addrs[set->count++] = *client;
    return set->count < CLIENTS_COUNTED;
}

/* ---- Who they are ---- */

static bool add_dns_pod(void *ctx, const struct owner *owner)
{
    struct doctor_facts *facts = ctx;
    bool runs = owner->to_us == OWNER_OPEN && strcmp(owner->cluster, facts->query.cluster) == 0;
    if (runs && owner_is_dns(owner)) {
        struct doctor_pod *pod = &facts->dns_pods[facts->dns_pod_count++];
        snprintf(pod->name, sizeof(pod->name), "%s", owner->name);
    }
    return facts->dns_pod_count < DOCTOR_PODS_MAX;
}

static int gather_owners(struct doctor_facts *facts, const struct client_set *set)
{
    struct owners_reader *reader;
    struct owner_at at;
    if (facts->query.owners == NULL) {
        return 0;
    }
    int err = owners_reader_new(&reader, facts->query.owners);
    for (uint64_t i = 0; err == 0 && i < set->count; i++) {
        bool known = owners_at(reader, facts->query.cluster, &set->addrs[i], facts->to_us, &at);
        facts->node_clients += known && at.owner->kind == OWNER_NODE;
    }
    owners_reader_free(&reader);
    owners_each(facts->query.owners, 0, add_dns_pod, facts);
    return err;
}

static int gather_asked(struct gathering *gathering)
{
    struct doctor_facts *facts = gathering->facts;
    struct client_set set = {.count = 0};
    int err = store_clients(gathering->view, facts->query.cluster, facts->from_us, facts->to_us,
                            count_client, &set);
    facts->clients = set.count;
    err = err < 0 ? err : gather_owners(facts, &set);
    err = err < 0 ? err : probe_names(gathering, true, &facts->cluster_names);
    return err < 0 ? err : probe_names(gathering, false, &facts->external_names);
}

/* ---- All ---- */

int doctor_gather(struct doctor_facts *facts, struct store_view *view,
                  const struct doctor_query *query)
{
    struct gathering gathering = {facts, view, 0};
    *facts = (struct doctor_facts){
        .query = *query,
        .senders = calloc(DOCTOR_SENDERS_MAX, sizeof(struct doctor_sender)),
        .blinds = calloc(DOCTOR_BLINDS_MAX, sizeof(struct doctor_blind)),
        .dns_pods = calloc(DOCTOR_PODS_MAX, sizeof(struct doctor_pod)),
    };
    if (facts->senders == NULL || facts->blinds == NULL || facts->dns_pods == NULL) {
        return -ENOMEM;
    }
    int err = store_status(view, &facts->status);
    err = err < 0 ? err : gather_window(&gathering);
    err = err < 0 ? err : store_streams(view, add_stream, &gathering);
    err = err < 0 ? err : gathering.err;
    err = err < 0 ? err : gather_blinds(&gathering);
    err = err < 0 ? err : gather_asked(&gathering);
    err = err < 0 ? err : store_disk(view, &facts->disk);
    return err < 0 ? err : 0;
}

void doctor_facts_fini(struct doctor_facts *facts)
{
    free(facts->senders);
    free(facts->blinds);
    free(facts->dns_pods);
    *facts = (struct doctor_facts){0};
}
