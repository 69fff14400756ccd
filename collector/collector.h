/* collector/collector.h -- the service's receiving side: dnstap senders in, the index out
 * SPDX-License-Identifier: Apache-2.0
 *
 * One libuv loop in the calling thread accepts connections and reads frames, one writer thread
 * commits (collector/writer.h); between them is a bounded queue. The loop never waits for the disk.
 *
 * Threads: collector_new, collector_run and collector_free belong to one thread; what may be called
 * from others says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "collector/tls.h"
#include "collector/writer.h"
#include "store/store.h"

struct collector;

struct collector_options {
    /* Where senders connect: "unix:PATH", "tcp:ADDR:PORT", "tcp:[ADDR]:PORT", or "tls:" for "tcp:";
     * port 0 takes any free one. Sockets passed by systemd (sd_listen_fds(3)) are added. At least
     * one there must be. */
    const char *const *listeners;
    size_t listener_count;
    uint32_t unix_mode;          /* permissions of unix sockets; 0: 0666 */
    const struct cidr *allow;    /* who may send over TCP, borrowed */
    size_t allow_count;          /* 0: everyone */
    const struct tls_files *tls; /* for "tls:" listeners; borrowed; NULL: none */
    size_t max_frame;            /* octets; 0: 1 MiB */
    uint32_t max_connections;    /* 0: 1024 */
    uint64_t queue_bytes;        /* bound on what waits for the writer; 0: 16 MiB */
    uint64_t partial_bytes;      /* bound on begun frames of all connections; 0: 16 MiB */
    const char *cluster;         /* that the clients belong to; borrowed */
    /* Which cluster a sender is of by its identity, at listeners that name none. Borrowed. */
    const struct cluster_rule *cluster_rules;
    size_t cluster_rule_count;
    uint32_t expect_senders;           /* 0: not fixed */
    int64_t retention_us;              /* 0: nothing is dropped */
    const struct owner_keeper *owners; /* borrowed; may be NULL */
    int64_t handshake_us; /* until START must have come, and for a FINISH to be sent; 0: 10 s */
};

/* Binds every listener and starts the writer; `store` is open for writing, borrowed, and written by
 * the collector alone until collector_free. Connections are queued by the kernel until
 * collector_run. Returns 0; W_EUSAGE where a listener cannot be understood, -EADDRINUSE or another
 * -errno where it cannot be bound; `why` names it. */
int collector_new(struct collector **collector, const struct collector_options *options,
                  struct store *store, struct why *why);

/* Serves until SIGTERM, SIGINT or collector_stop. Then accepts no more, reads what senders have
 * already sent for up to a second, commits and returns 0; -ETIMEDOUT where that took longer than
 * four seconds. */
int collector_run(struct collector *collector);
/* From any thread. */
void collector_stop(struct collector *collector);

/* Closes what is left and ends the writer. *collector may be NULL. */
void collector_free(struct collector **collector);

/* True while collector_run accepts connections. From any thread. */
bool collector_ready(const struct collector *collector);

/* The listeners by name as bound, with the port the kernel chose. */
size_t collector_listener_count(const struct collector *collector);
const char *collector_listener_name(const struct collector *collector, size_t i);

/* The queue to the index, for what does not come through a listener. */
struct writer *collector_writer(struct collector *collector);
