/* api/doctor_index.c -- was somebody watching all the time, and does the index hold what it should?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Answers from which on it is strange that only a few clients got them. */
enum { MANY_ANSWERS = 1000, FEW_CLIENTS = 4 };
/* A sender silent for this long, or an index not written for this long, is worth a word. */
#define SILENT_US (10 * US_PER_MIN)
/* Blind intervals shown in the evidence. */
enum { BLINDS_SHOWN = 5 };

static void put_duration(char *out, size_t room, int64_t us)
{
    if (us < 2 * US_PER_MIN) {
        snprintf(out, room, "%" PRId64 ".%" PRId64 " s", us / US_PER_S, us % US_PER_S / 100000);
    } else if (us < 2 * US_PER_HOUR) {
        snprintf(out, room, "%" PRId64 " min", us / US_PER_MIN);
    } else if (us < 2 * US_PER_DAY) {
        snprintf(out, room, "%" PRId64 " h", us / US_PER_HOUR);
    } else {
        snprintf(out, room, "%" PRId64 " d", us / US_PER_DAY);
    }
}

/* ---- Somebody is watching ---- */

static void check_senders(const struct doctor_facts *facts, struct findings *findings)
{
    static const struct finding LIKE = {
        .check = "senders",
        .severity = SEVERITY_ERROR,
        .consequence = "no answer is seen: every connection stays without a name",
        .remedy = "point dnstap of each DNS server here, as docs/OPERATIONS.md shows, and see "
                  "that a network policy lets it through",
    };
    uint32_t live = 0, open = 0;
    int64_t heard_us = 0;
    for (size_t i = 0; i < facts->sender_count; i++) {
        live += facts->senders[i].live;
        open += facts->senders[i].open;
        heard_us = facts->senders[i].heard_us > heard_us ? facts->senders[i].heard_us : heard_us;
    }
    if (facts->sender_count == 0) {
        findings_add(findings, &LIKE, "no sender was heard in the window");
    } else if (live > 0 && open == 0) {
        char text[TIME_TEXT_MAX];
        time_print(heard_us, text);
        findings_add(findings, &LIKE, "no sender is connected; the last was heard at %s", text);
    } else if (facts->query.expected > open && live > 0) {
        findings_add(findings, &LIKE, "%u of %u expected senders are connected", open,
                     facts->query.expected);
    }
}

static void check_silent(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        struct finding like = {
            .check = "silent",
            .severity = SEVERITY_WARNING,
            .consequence = "a sender that is connected and says nothing for long is either not "
                           "asked by anybody, or its connection is dead",
            .remedy = "ask it for a name and look again; a dead connection is replaced when the "
                      "sender reconnects",
        };
        int64_t silent_us = facts->query.now_us - sender->heard_us;
        char text[32];
        if (sender->open == 0 || silent_us < SILENT_US) {
            continue;
        }
        put_duration(text, sizeof(text), silent_us);
        snprintf(like.subject, sizeof(like.subject), "%s", sender->identity);
        findings_add(findings, &like, "connected, but not heard for %s", text);
    }
}

/* ---- Blind time ---- */

/* "10:00:01 to 10:00:31 (cut, dns-1)" for the latest ones. */
static void put_timeline(const struct doctor_facts *facts, char *out, size_t room)
{
    size_t first = facts->blind_count > BLINDS_SHOWN ? facts->blind_count - BLINDS_SHOWN : 0;
    size_t at = 0;
    for (size_t i = first; i < facts->blind_count && at < room; i++) {
        const struct doctor_blind *blind = &facts->blinds[i];
        char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
        time_print(blind->from_us, from);
        time_print(blind->to_us, to);
        at += (size_t)snprintf(out + at, room - at, "%s%.19sZ to %.19s%s (%s%s%s)",
                               i == first ? "" : "; ", from, blind->open ? "now" : to,
                               blind->open ? "" : "Z", blind->reason,
                               blind->sender[0] != '\0' ? ", " : "", blind->sender);
    }
    if (first + facts->blinds_left_out > 0 && at < room) {
        snprintf(out + at, room - at, "; %" PRIu64 " more", first + facts->blinds_left_out);
    }
}

static void check_blind(const struct doctor_facts *facts, struct findings *findings)
{
    struct finding like = {
        .check = "blind",
        .severity = SEVERITY_WARNING,
        .consequence = "connections of that time without a name are `blind`, never `ip-only`: "
                       "nothing wrong is said, but less is known",
        .remedy = "`whither status` lists them with their reasons; a second replica that takes "
                  "over, or a relay that spools, closes them",
    };
    char text[32];
    char timeline[400] = "";
    bool open = false;
    if (facts->blind_us <= 0) {
        return;
    }
    for (size_t i = 0; i < facts->blind_count; i++) {
        open |= facts->blinds[i].open;
    }
    if (open || facts->blind_us > facts->query.window_us / 20) {
        like.severity = SEVERITY_ERROR;
    }
    put_duration(text, sizeof(text), facts->blind_us);
    put_timeline(facts, timeline, sizeof(timeline));
    findings_add(findings, &like, "%s in all: %s", text, timeline);
}

static void check_losses(const struct doctor_facts *facts, struct findings *findings)
{
    struct finding like = {
        .check = "losses",
        .severity = SEVERITY_ERROR,
        .consequence = "these answers are gone, and their time counts as blind",
        .remedy = "`disk-full`: make room or lower --retention; `unusable-frames`: see `full` and "
                  "`unusable` above",
    };
    for (size_t i = 0; i < facts->blind_count; i++) {
        const struct doctor_blind *blind = &facts->blinds[i];
        if (blind->lost > 0) {
            char from[TIME_TEXT_MAX];
            time_print(blind->from_us, from);
            like.severity =
                strcmp(blind->reason, "unusable-frames") == 0 ? SEVERITY_WARNING : SEVERITY_ERROR;
            findings_add(findings, &like, "%" PRIu64 " answers lost from %s on (%s)", blind->lost,
                         from, blind->reason);
        }
    }
}

static void check_restarts(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        struct finding like = {
            .check = "restarts",
            .severity = SEVERITY_NOTE,
            .consequence = "a window with a restart in it also shows what is asked only at start; "
                           "each cut is a blind interval",
            .remedy = "many cuts: look for a CoreDNS that is killed, or a connection that is shut "
                      "by a proxy or policy",
        };
        if (!sender->live || sender->cut == 0) {
            continue;
        }
        snprintf(like.subject, sizeof(like.subject), "%s", sender->identity);
        findings_add(findings, &like, "%u of %u connections ended without STOP", sender->cut,
                     sender->streams);
    }
}

/* ---- What the index holds ---- */

static void check_span(const struct doctor_facts *facts, struct findings *findings)
{
    const struct doctor_query *query = &facts->query;
    struct finding like = {
        .check = "span",
        .severity = query->window_given ? SEVERITY_WARNING : SEVERITY_NOTE,
        .consequence = "what was asked before is not known; a baseline of the whole window would "
                       "miss it",
        .remedy = "wait until the index is old enough, and keep it long enough (--retention)",
    };
    char has[32], wanted[32];
    put_duration(wanted, sizeof(wanted), query->window_us);
    if (query->keep_us != 0 && query->keep_us < query->window_us) {
        like.severity = SEVERITY_WARNING;
        put_duration(has, sizeof(has), query->keep_us);
        findings_add(findings, &like, "the service keeps %s (--retention), the window is %s", has,
                     wanted);
        return;
    }
    if (facts->status.first_us == 0) {
        findings_add(findings, &like, "the index holds no answer yet");
    } else if (facts->status.first_us > facts->from_us) {
        put_duration(has, sizeof(has), facts->to_us - facts->status.first_us);
        findings_add(findings, &like, "answers go back %s, the window is %s", has, wanted);
    }
}

/* CoreDNS names itself after its pod unless told otherwise. */
static bool is_heard(const struct doctor_facts *facts, const struct doctor_pod *pod)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        if (strcmp(facts->senders[i].identity, pod->name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_tapped(const struct doctor_facts *facts, struct findings *findings)
{
    struct finding like = {
        .check = "tapped",
        .severity = SEVERITY_ERROR,
        .consequence = "what this replica answered is not seen: a part of all connections stays "
                       "without a name",
        .remedy = "every replica reads the same Corefile: see that its pod restarted since, and "
                  "that it may connect here",
    };
    size_t heard = 0;
    for (size_t i = 0; i < facts->dns_pod_count; i++) {
        heard += is_heard(facts, &facts->dns_pods[i]);
    }
    if (heard == 0 && facts->sender_count < facts->dns_pod_count) {
        findings_add(findings, &like, "%zu DNS pods run, %zu senders were heard",
                     facts->dns_pod_count, facts->sender_count);
    }
    for (size_t i = 0; i < facts->dns_pod_count && heard > 0; i++) {
        if (!is_heard(facts, &facts->dns_pods[i])) {
            snprintf(like.subject, sizeof(like.subject), "%s", facts->dns_pods[i].name);
            findings_add(findings, &like, "a DNS pod that was never heard in the window");
        }
    }
}

static void check_clients(const struct doctor_facts *facts, struct findings *findings)
{
    static const struct finding NODES = {
        .check = "clients",
        .severity = SEVERITY_ERROR,
        .consequence = "a node mixes its pods: their connections get no names of their own",
        .remedy = "tap the server that pods ask themselves: `dnstap` in the Corefile of "
                  "node-local-dns; or keep the pods' addresses on the way (no masquerade)",
    };
    static const struct finding LIKE = {
        .check = "clients",
        .severity = SEVERITY_WARNING,
        .consequence = "if these are nodes (NodeLocal DNSCache, or source NAT on the way to the "
                       "DNS servers), pods cannot be told apart and get no names of their own",
        .remedy = "tap the server that pods ask themselves: `dnstap` in the Corefile of "
                  "node-local-dns; or keep the pods' addresses on the way (no masquerade)",
    };
    if (facts->node_clients * 2 > facts->clients) {
        findings_add(findings, &NODES, "%" PRIu64 " of %" PRIu64 " clients are nodes",
                     facts->node_clients, facts->clients);
    } else if (facts->clients > 0 && facts->clients < FEW_CLIENTS &&
               facts->status.answers >= MANY_ANSWERS) {
        findings_add(findings, &LIKE, "only %" PRIu64 " addresses got all of %" PRIu64 " answers",
                     facts->clients, facts->status.answers);
    }
}

static void check_zones(const struct doctor_facts *facts, struct findings *findings)
{
    static const struct finding LIKE = {
        .check = "zones",
        .severity = SEVERITY_WARNING,
        .consequence = "names of the outside are not seen: connections that leave the cluster "
                       "stay without one",
        .remedy = "put `dnstap` into every server block of the Corefile, the one for `.` too; with "
                  "NodeLocal DNSCache, into its own",
    };
    if (facts->cluster_names && !facts->external_names) {
        findings_add(findings, &LIKE, "every name that was answered lies under cluster.local");
    }
}

static void check_disk(const struct doctor_facts *facts, struct findings *findings)
{
    struct finding like = {
        .check = "disk",
        .severity = SEVERITY_WARNING,
        .consequence = "when it is full, answers are lost and their time counts as blind",
        .remedy = "make room, or lower --retention",
    };
    const struct store_status *status = &facts->status;
    int64_t span_us = status->last_us - status->first_us;
    uint64_t days = (uint64_t)(span_us / US_PER_DAY) + 1;
    uint64_t a_day = status->bytes / days;
    uint64_t free_bytes = facts->disk.free_bytes;
    bool scarce = free_bytes < facts->disk.total_bytes / 50;
    if (free_bytes >= 7 * a_day && !scarce) {
        return;
    }
    if (free_bytes < a_day || scarce) {
        like.severity = SEVERITY_ERROR;
    }
    findings_add(findings, &like,
                 "%" PRIu64 " MiB free of %" PRIu64 " MiB; the index grows by %" PRIu64
                 " MiB a day",
                 free_bytes >> 20, facts->disk.total_bytes >> 20, a_day >> 20);
}

const struct check INDEX_CHECKS[] = {
    {"senders", "senders are connected", check_senders},
    {"silent", "connected senders are heard", check_silent},
    {"tapped", "every DNS pod is tapped", check_tapped},
    {"blind", "somebody watched all the time", check_blind},
    {"losses", "no answer was lost here", check_losses},
    {"restarts", "no connection was cut", check_restarts},
    {"span", "the index reaches back over the window", check_span},
    {"clients", "clients are pods, not nodes", check_clients},
    {"zones", "names inside and outside the cluster are seen", check_zones},
    {"disk", "there is room on the disk", check_disk},
};
const size_t INDEX_CHECK_COUNT = sizeof(INDEX_CHECKS) / sizeof(INDEX_CHECKS[0]);
