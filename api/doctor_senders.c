/* api/doctor_senders.c -- does each sender send what is needed, in time and by a right clock?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Below this many frames nothing is concluded from what is missing. */
enum { FRAMES_MIN = 20 };
/* One in so many is not yet worth telling. */
enum { FEW = 100 };

static uint64_t sum(const uint64_t *counts, size_t from, size_t to)
{
    uint64_t total = 0;
    for (size_t i = from; i < to; i++) {
        total += counts[i];
    }
    return total;
}

/* Responses to clients, usable or not. */
static uint64_t responses(const struct doctor_sender *sender)
{
    return sum(sender->tally.frames, TALLY_ANSWER, TALLY_UNUSABLE + 1);
}

static void add(struct findings *findings, struct finding like, const struct doctor_sender *sender,
                const char *evidence)
{
    snprintf(like.subject, sizeof(like.subject), "%s", sender->identity);
    findings_add(findings, &like, "%s", evidence);
}

/* ---- What is sent ---- */

static void check_full(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t missing = sender->tally.frames[TALLY_NO_MESSAGE];
        uint64_t all = responses(sender);
        char evidence[256];
        if (missing == 0) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " of %" PRIu64 " responses came without the DNS message", missing, all);
        add(findings,
            (struct finding){
                .check = "full",
                .severity = missing == all ? SEVERITY_ERROR : SEVERITY_WARNING,
                .consequence = "what these clients were answered is not known: their connections "
                               "stay without a name, and the time counts as blind",
                .remedy = "CoreDNS: `dnstap SOCKET full`, `full` as the second word; unbound, "
                          "knot, BIND and dnsdist send messages by themselves",
            },
            sender, evidence);
    }
}

static void check_responses(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t queries = sender->tally.frames[TALLY_QUERY];
        char evidence[256];
        if (queries < FRAMES_MIN || responses(sender) > 0) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " questions of clients came, and not one response", queries);
        add(findings,
            (struct finding){
                .check = "responses",
                .severity = SEVERITY_ERROR,
                .consequence = "questions have no addresses: nothing can be named",
                .remedy = "have the server send CLIENT_RESPONSE too (unbound: "
                          "dnstap-log-client-response-messages: yes; BIND: dnstap { client; }; "
                          "dnsdist: DnstapLogResponseAction)",
            },
            sender, evidence);
    }
}

static void check_forwarder(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t forwarder = sender->tally.frames[TALLY_FORWARDER];
        uint64_t clients = responses(sender) + sender->tally.frames[TALLY_QUERY];
        char evidence[256];
        if (forwarder < FRAMES_MIN || clients > 0) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " frames, all between the server and its upstream", forwarder);
        add(findings,
            (struct finding){
                .check = "forwarder",
                .severity = SEVERITY_ERROR,
                .consequence = "they do not say which client asked: nothing can be named",
                .remedy = "put dnstap into the server block that clients ask, not only where "
                          "questions are forwarded",
            },
            sender, evidence);
    }
}

static void check_unusable(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t unusable = sender->tally.frames[TALLY_UNUSABLE] + sender->tally.frames[TALLY_BAD];
        uint64_t all = sum(sender->tally.frames, 0, TALLY_FRAMES);
        char evidence[256];
        if (unusable * FEW < all || unusable == 0 || all < FRAMES_MIN) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " of %" PRIu64 " frames cannot be used: no client address, a time far "
                 "from now, malformed",
                 unusable, all);
        add(findings,
            (struct finding){
                .check = "unusable",
                .severity = SEVERITY_WARNING,
                .consequence = "what they answered is not known",
                .remedy = "whither_dnstap_frames_total in /metrics says which kind it is; a time "
                          "that is refused is a clock that is wrong by more than ten minutes",
            },
            sender, evidence);
    }
}

static void check_autopath(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        char evidence[256];
        if (sender->tally.search_answers == 0) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " of %" PRIu64 " answers were to a name with a search domain after it "
                 "and lead to the name itself by a CNAME",
                 sender->tally.search_answers, sender->tally.frames[TALLY_ANSWER]);
        add(findings,
            (struct finding){
                .check = "autopath",
                .severity = SEVERITY_WARNING,
                .consequence = "names here are right (the name itself is given), but Cilium's "
                               "matchName sees the name with the search domain and never matches",
                .remedy = "remove `autopath @kubernetes` from the Corefile, or give policies a "
                          "matchPattern for the names with search domains as well",
            },
            sender, evidence);
    }
}

/* ---- Versions with known faults ---- */

struct version {
    unsigned major, minor, patch;
};

static bool coredns_version(const char *text, struct version *version)
{
    return sscanf(text, "CoreDNS-%u.%u.%u", &version->major, &version->minor, &version->patch) == 3;
}

static bool is_before(const struct version *version, unsigned major, unsigned minor, unsigned patch)
{
    if (version->major != major) {
        return version->major < major;
    }
    return version->minor != minor ? version->minor < minor : version->patch < patch;
}

static void check_version(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        struct version version;
        if (!coredns_version(sender->version, &version) || !is_before(&version, 1, 14, 5)) {
            continue;
        }
        bool late = is_before(&version, 1, 13, 2);
        add(findings,
            (struct finding){
                .check = "version",
                .severity = late ? SEVERITY_WARNING : SEVERITY_NOTE,
                .consequence =
                    late ? "up to 1.13.1 CoreDNS sends when 4 KiB are full, which takes half a "
                           "minute at one question a second, and may stay away for hours when it "
                           "could not connect at first: live joins wait and time counts as blind"
                         : "up to 1.14.4 CoreDNS leaves its old connection open when it "
                           "reconnects; the index copes with that",
                .remedy = late ? "CoreDNS 1.13.2 or later sends every second and connects again"
                               : "CoreDNS 1.14.5 or later closes it",
            },
            sender, sender->version);
    }
}

/* ---- Delay and clocks ---- */

/* The upper bound in milliseconds of the class in which the delay lies that `share` in FEW do not
 * reach; 0: beyond the last bound. */
static int64_t delay_ms(const struct tally *tally, uint64_t all, uint64_t share)
{
    static const int64_t BOUNDS_MS[TALLY_DELAYS - 1] = TALLY_DELAY_BOUNDS_MS;
    uint64_t below = 0;
    for (int i = 0; i < TALLY_DELAYS - 1; i++) {
        below += tally->delays[i];
        if (below * FEW >= all * share) {
            return BOUNDS_MS[i];
        }
    }
    return 0;
}

static void check_delay(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t all = sum(sender->tally.delays, 0, TALLY_DELAYS);
        int64_t p99_ms = delay_ms(&sender->tally, all, 99);
        int64_t half_ms = delay_ms(&sender->tally, all, 50);
        bool beyond = p99_ms == 0 || p99_ms * 1000 > facts->query.settle_us;
        char evidence[256];
        if (all < FRAMES_MIN || (p99_ms != 0 && p99_ms <= 5000)) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "half of %" PRIu64 " responses arrived within %" PRId64 " ms, %s %" PRId64 " s",
                 all, half_ms != 0 ? half_ms : 60000,
                 p99_ms != 0 ? "99 in 100 within" : "more than one in 100 after",
                 p99_ms != 0 ? p99_ms / 1000 : 60);
        add(findings,
            (struct finding){
                .check = "delay",
                .severity = beyond ? SEVERITY_ERROR : SEVERITY_WARNING,
                .consequence = beyond ? "answers come after a live join has decided (--settle): "
                                        "flows are `unsettled` or wrongly without a name"
                                      : "live joins hold every flow that long",
                .remedy = "a CoreDNS before 1.13.2 (see `version`), a sender that is overloaded, "
                          "or a clock that is behind; --settle may be raised",
            },
            sender, evidence);
    }
}

static void check_clock(const struct doctor_facts *facts, struct findings *findings)
{
    for (size_t i = 0; i < facts->sender_count; i++) {
        const struct doctor_sender *sender = &facts->senders[i];
        uint64_t all = sum(sender->tally.delays, 0, TALLY_DELAYS);
        char evidence[256];
        if (all < FRAMES_MIN || sender->tally.ahead * FEW < all || sender->tally.ahead == 0) {
            continue;
        }
        snprintf(evidence, sizeof(evidence),
                 "%" PRIu64 " of %" PRIu64 " responses came from the future, by up to %" PRId64
                 " ms",
                 sender->tally.ahead, all, sender->tally.ahead_max_us / 1000);
        bool beyond = sender->tally.ahead_max_us > facts->query.skew_us;
        add(findings,
            (struct finding){
                .check = "clock",
                .severity = beyond ? SEVERITY_ERROR : SEVERITY_WARNING,
                .consequence =
                    beyond ? "the clocks differ by more than --skew: an answer may seem to come "
                             "after the connection it named"
                           : "the sender's clock is ahead of this machine's",
                .remedy = "let both follow the same NTP servers",
            },
            sender, evidence);
    }
}

const struct check SENDER_CHECKS[] = {
    {"full", "responses carry the DNS message", check_full},
    {"responses", "senders tell responses, not only questions", check_responses},
    {"forwarder", "senders tell what clients asked, not only what was forwarded", check_forwarder},
    {"unusable", "frames can be used", check_unusable},
    {"autopath", "no answer hides its name behind a search domain", check_autopath},
    {"version", "no sender is of a version with known faults", check_version},
    {"delay", "answers arrive soon", check_delay},
    {"clock", "senders' clocks agree with ours", check_clock},
};
const size_t SENDER_CHECK_COUNT = sizeof(SENDER_CHECKS) / sizeof(SENDER_CHECKS[0]);
