/* base/counters.h -- the numbers an operator sees: one fixed list for the whole program
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each counter is a row of COUNTERS: identifier, Prometheus name, labels, type and help; rows of
 * the same name stand together, so that a page of all of them is one loop over counter_info().
 * Labels come from this list only, never from outside, so their number is bounded.
 *
 * Hot paths add up in plain variables of their own and call counter_add once a read, not once a
 * frame.
 *
 * Threads: any; additions are atomic and relaxed, so that numbers read together need not be of one
 * instant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FRAMES_NAME "whither_dnstap_frames_total"
#define FRAMES_HELP "Frames received, by what became of them."
#define REFUSED_NAME "whither_dnstap_connections_refused_total"
#define REFUSED_HELP "Connections closed by this side, by reason."
#define FLOW_DNS_NAME "whither_flow_dns_records_total"
#define FLOW_DNS_HELP "DNS responses among flow records, by what became of them."
#define PUSHED_NAME "whither_pushed_records_total"
#define PUSHED_HELP "Records of requests to POST /v1/flows, by what became of them."
#define RCODE_NAME "whither_dns_answers_total"
#define RCODE_HELP "Responses to clients, by response code."

#define HEARD_NAME "whither_kubernetes_last_timestamp_seconds"
#define HEARD_HELP "When the Kubernetes API last said something of a kind; 0: never asked."
#define LISTS_NAME "whither_kubernetes_lists_total"
#define LISTS_HELP "Times all objects of a kind were listed."
#define EVENTS_NAME "whither_kubernetes_events_total"
#define EVENTS_HELP "Changes of objects that the watch reported."
#define FAILURES_NAME "whither_kubernetes_failures_total"
#define FAILURES_HELP "Requests to the Kubernetes API that failed."
#define TOO_LONG_NAME "whither_kubernetes_objects_skipped_total"
#define TOO_LONG_HELP "Objects of more than 4 MiB, which are not read."

#define COUNTERS(X)                                                                                \
    X(COUNT_FRAME_ANSWER, FRAMES_NAME, "result=\"answer\"", false, FRAMES_HELP)                    \
    X(COUNT_FRAME_ASKED, FRAMES_NAME, "result=\"no-address\"", false, FRAMES_HELP)                 \
    X(COUNT_FRAME_SKIPPED, FRAMES_NAME, "result=\"other-type\"", false, FRAMES_HELP)               \
    X(COUNT_FRAME_BAD, FRAMES_NAME, "result=\"bad-dnstap\"", false, FRAMES_HELP)                   \
    X(COUNT_FRAME_BAD_DNS, FRAMES_NAME, "result=\"bad-dns\"", false, FRAMES_HELP)                  \
    X(COUNT_FRAME_NO_CLIENT, FRAMES_NAME, "result=\"no-client\"", false, FRAMES_HELP)              \
    X(COUNT_FRAME_NO_TIME, FRAMES_NAME, "result=\"no-time\"", false, FRAMES_HELP)                  \
    X(COUNT_FRAME_NO_MESSAGE, FRAMES_NAME, "result=\"no-message\"", false, FRAMES_HELP)            \
    X(COUNT_FRAME_REFUSED_TIME, FRAMES_NAME, "result=\"refused-time\"", false, FRAMES_HELP)        \
    X(COUNT_FRAME_OVERSIZE, FRAMES_NAME, "result=\"oversize\"", false, FRAMES_HELP)                \
    X(COUNT_DNSTAP_BYTES, "whither_dnstap_bytes_total", "", false, "Octets received.")             \
    X(COUNT_RCODE_NOERROR, RCODE_NAME, "rcode=\"NOERROR\"", false, RCODE_HELP)                     \
    X(COUNT_RCODE_NXDOMAIN, RCODE_NAME, "rcode=\"NXDOMAIN\"", false, RCODE_HELP)                   \
    X(COUNT_RCODE_SERVFAIL, RCODE_NAME, "rcode=\"SERVFAIL\"", false, RCODE_HELP)                   \
    X(COUNT_RCODE_REFUSED, RCODE_NAME, "rcode=\"REFUSED\"", false, RCODE_HELP)                     \
    X(COUNT_RCODE_OTHER, RCODE_NAME, "rcode=\"other\"", false, RCODE_HELP)                         \
    X(COUNT_FLOW_DNS_ANSWER, FLOW_DNS_NAME, "result=\"answer\"", false, FLOW_DNS_HELP)             \
    X(COUNT_FLOW_DNS_ASKED, FLOW_DNS_NAME, "result=\"no-address\"", false, FLOW_DNS_HELP)          \
    X(COUNT_FLOW_DNS_REFUSED, FLOW_DNS_NAME, "result=\"refused\"", false, FLOW_DNS_HELP)           \
    X(COUNT_PUSHED_FLOWS, PUSHED_NAME, "result=\"flow\"", false, PUSHED_HELP)                      \
    X(COUNT_PUSHED_LEFT_OUT, PUSHED_NAME, "result=\"left-out\"", false, PUSHED_HELP)               \
    X(COUNT_PUSHED_DNS, PUSHED_NAME, "result=\"dns\"", false, PUSHED_HELP)                         \
    X(COUNT_PUSHED_BAD, PUSHED_NAME, "result=\"bad\"", false, PUSHED_HELP)                         \
    X(COUNT_TRUNCATED, "whither_dns_truncated_total", "", false,                                   \
      "Responses to clients with the TC flag.")                                                    \
    X(COUNT_CONNECTIONS, "whither_dnstap_connections", "", true, "Connections open now.")          \
    X(COUNT_CONNECTIONS_TOTAL, "whither_dnstap_connections_total", "", false,                      \
      "Connections accepted.")                                                                     \
    X(COUNT_REFUSED_STREAM, REFUSED_NAME, "reason=\"bad-stream\"", false, REFUSED_HELP)            \
    X(COUNT_REFUSED_TLS, REFUSED_NAME, "reason=\"bad-tls\"", false, REFUSED_HELP)                  \
    X(COUNT_REFUSED_HANDSHAKE, REFUSED_NAME, "reason=\"handshake-timeout\"", false, REFUSED_HELP)  \
    X(COUNT_REFUSED_LIMIT, REFUSED_NAME, "reason=\"too-many\"", false, REFUSED_HELP)               \
    X(COUNT_REFUSED_PEER, REFUSED_NAME, "reason=\"not-allowed\"", false, REFUSED_HELP)             \
    X(COUNT_REFUSED_MEMORY, REFUSED_NAME, "reason=\"memory\"", false, REFUSED_HELP)                \
    X(COUNT_STREAMS_CUT, "whither_dnstap_streams_cut_total", "", false,                            \
      "Connections that ended without STOP while data could follow.")                              \
    X(COUNT_QUEUE_BYTES, "whither_queue_bytes", "", true,                                          \
      "Memory of the batches that wait for the writer.")                                           \
    X(COUNT_QUEUE_LIMIT, "whither_queue_limit_bytes", "", true,                                    \
      "Batches beyond this stop the reading of connections.")                                      \
    X(COUNT_QUEUE_PAUSES, "whither_queue_pauses_total", "", false,                                 \
      "Times reading stopped because the queue was full.")                                         \
    X(COUNT_PODS_HEARD, HEARD_NAME, "kind=\"pods\"", true, HEARD_HELP)                             \
    X(COUNT_SERVICES_HEARD, HEARD_NAME, "kind=\"services\"", true, HEARD_HELP)                     \
    X(COUNT_NODES_HEARD, HEARD_NAME, "kind=\"nodes\"", true, HEARD_HELP)                           \
    X(COUNT_PODS_LISTS, LISTS_NAME, "kind=\"pods\"", false, LISTS_HELP)                            \
    X(COUNT_SERVICES_LISTS, LISTS_NAME, "kind=\"services\"", false, LISTS_HELP)                    \
    X(COUNT_NODES_LISTS, LISTS_NAME, "kind=\"nodes\"", false, LISTS_HELP)                          \
    X(COUNT_PODS_EVENTS, EVENTS_NAME, "kind=\"pods\"", false, EVENTS_HELP)                         \
    X(COUNT_SERVICES_EVENTS, EVENTS_NAME, "kind=\"services\"", false, EVENTS_HELP)                 \
    X(COUNT_NODES_EVENTS, EVENTS_NAME, "kind=\"nodes\"", false, EVENTS_HELP)                       \
    X(COUNT_PODS_FAILURES, FAILURES_NAME, "kind=\"pods\"", false, FAILURES_HELP)                   \
    X(COUNT_SERVICES_FAILURES, FAILURES_NAME, "kind=\"services\"", false, FAILURES_HELP)           \
    X(COUNT_NODES_FAILURES, FAILURES_NAME, "kind=\"nodes\"", false, FAILURES_HELP)                 \
    X(COUNT_PODS_TOO_LONG, TOO_LONG_NAME, "kind=\"pods\"", false, TOO_LONG_HELP)                   \
    X(COUNT_SERVICES_TOO_LONG, TOO_LONG_NAME, "kind=\"services\"", false, TOO_LONG_HELP)           \
    X(COUNT_NODES_TOO_LONG, TOO_LONG_NAME, "kind=\"nodes\"", false, TOO_LONG_HELP)                 \
    X(COUNT_FOLLOW_FILES, "whither_follow_files", "", true, "Flow logs that are followed now.")    \
    X(COUNT_FOLLOW_BYTES, "whither_follow_bytes_total", "", false, "Octets read of flow logs.")    \
    X(COUNT_FOLLOW_UNREAD, "whither_follow_unread_bytes", "", true,                                \
      "Octets in followed flow logs that were not yet read.")                                      \
    X(COUNT_FOLLOW_FLOWS, "whither_follow_flows_total", "", false, "Flows named and written.")     \
    X(COUNT_FOLLOW_BAD, "whither_follow_bad_records_total", "", false,                             \
      "Records of flow logs that could not be read.")                                              \
    X(COUNT_FOLLOW_HELD, "whither_follow_held", "", true,                                          \
      "Flows that wait until what was answered before them is known.")                             \
    X(COUNT_FOLLOW_LAG, "whither_follow_lag_seconds", "", true,                                    \
      "How long the oldest of them has waited.")                                                   \
    X(COUNT_FOLLOW_EARLY, "whither_follow_unsettled_total", "", false,                             \
      "Flows decided before that, because too many waited or the program ended.")                  \
    X(COUNT_FOLLOW_TRUNCATED, "whither_follow_truncated_total", "", false,                         \
      "Flow logs whose content was replaced.")                                                     \
    X(COUNT_FOLLOW_LOST, "whither_follow_lost_total", "", false,                                   \
      "Flow logs of which a part was gone before it was read.")                                    \
    X(COUNT_FOLLOW_BLOCKED, "whither_follow_blocked", "", true,                                    \
      "1 while nothing is read because the output or the index cannot be used.")                   \
    X(COUNT_LAST_FRAME, "whither_dnstap_last_timestamp_seconds", "", true,                         \
      "When frames were received last.")

enum counter {
#define X(id, name, labels, gauge, help) id,
    COUNTERS(X)
#undef X
        COUNTER_COUNT
};

struct counter_info {
    const char *name;
    const char *labels; /* `result="answer"`, or "" */
    bool gauge;         /* may go down; else it only grows */
    const char *help;
};

/* What stands in the row; `counter` must be below COUNTER_COUNT. */
const struct counter_info *counter_info(enum counter counter);

void counter_add(enum counter counter, uint64_t amount);
/* For gauges. */
void counter_sub(enum counter counter, uint64_t amount);
void counter_set(enum counter counter, uint64_t value);
uint64_t counter_get(enum counter counter);
