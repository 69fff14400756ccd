/* api/http.h -- the HTTP service: lookups, the index the other way round, status, metrics
 * SPDX-License-Identifier: Apache-2.0
 *
 * DESIGN section 6 on libmicrohttpd, which brings its own threads, so that queries never slow the
 * ingest. Each of its threads has a view of the index and an attributor of its own, made on first
 * use and freed by api_stop. The routes and what each takes stand in api/routes.c, the description
 * of all this in api/openapi.c.
 *
 * Who may ask: on a loopback address everyone on this machine, but no foreign web page (the Host
 * header must name this machine, and the Origin header must be absent or the same). With a token
 * file, or on any other address, everything but /healthz, /readyz and /metrics needs
 * `Authorization: Bearer TOKEN` (RFC 6750). There is no TLS here: beyond this machine, put a proxy
 * or a network policy in front.
 *
 * Threads: api_start and api_stop belong to one thread; the callbacks of the options are called
 * from the threads of the service.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "join/attribute.h"
#include "join/format.h"
#include "store/store.h"

struct api;
struct kubernetes;

/* Shortest token taken, in octets; a shorter one could be guessed. */
#define API_TOKEN_MIN 16

/* What is known of a capture besides its bytes. All pointers live until `begin` returns. */
struct api_capture {
    const char *cluster;
    const char *peer;       /* who sends it: "http:192.0.2.1" */
    int64_t covers_from_us; /* what it covers where the sender said so, else both 0 */
    int64_t covers_to_us;
};

/* Where POST /v1/ingest goes. The index has one writer, which is not the HTTP service: the body is
 * pushed through these as it arrives. Calls of one session come one after another, from one thread
 * at a time; several sessions may be open at once. */
struct api_ingest {
    void *ctx;
    /* Opens a session for one capture. Returns 0 and sets *session; -EBUSY (too many are open; the
     * sender is told to come again) or another negative error with the reason in `why`. */
    int (*begin)(void *ctx, const struct api_capture *capture, void **session, struct why *why);
    /* Takes the next bytes, any split; read before the call returns. May wait for room in the
     * writer's queue. Returns 0, or W_ESYNTAX, W_EFORMAT, W_ELIMIT (the sender's fault), or another
     * negative error. After an error only `abort` may follow. */
    int (*push)(void *session, const uint8_t *bytes, size_t len, struct why *why);
    /* Ends the session: returns 0 once everything is committed and has written one JSON object
     * with what was loaded to `summary`. The session is gone whatever it returns. Errors as for
     * push. */
    int (*end)(void *session, struct buf *summary, struct why *why);
    /* Ends it without an answer: what was read so far is kept. */
    void (*abort)(void *session);
};

/* Where the DNS responses among pushed flow records go (POST /v1/flows): to the index, for which
 * the same holds. */
struct api_answers {
    void *ctx;
    /* Takes one. May wait for room in the writer's queue. Returns 0 or a negative error. */
    int (*add)(void *ctx, const char *cluster, const struct dns_record *dns);
    /* Returns 0 once all that were added are committed, or a negative error. */
    int (*commit)(void *ctx);
};

struct api_options {
    struct addr address;
    uint16_t port;                  /* 0: any free one, see api_port */
    const char *token_file;         /* NULL: none; only possible on loopback */
    struct store *store;            /* borrowed, open until after api_stop */
    struct owners *owners;          /* whose addresses; borrowed until api_stop; may be NULL */
    struct attribute_params params; /* copied; cluster_domains are borrowed until api_stop */
    struct kubernetes *kubernetes; /* where they come from, for the status; borrowed; may be NULL */
    const char *cluster;           /* where a request names none; borrowed */
    uint32_t expect_senders;       /* reported; 0: not fixed */
    int64_t retention_us;          /* likewise; 0: not known */

    uint32_t threads;          /* 0: 2 */
    uint32_t connections;      /* 0: 1536 */
    uint32_t connections_each; /* from one address; 0: three quarters of `connections`,
                                  so that nobody can take them all */
    uint32_t timeout_s;        /* without a byte; 0: 30 */
    uint64_t max_body;         /* bytes of one request body, also uncompressed, and of all bodies
                                  that are kept until they are answered; 0: 64 MiB */
    uint64_t max_line;         /* bytes of one line of a bulk lookup; 0: 64 KiB */
    uint32_t rate;             /* requests a second of one client address (IPv6: of one /64), with
                                  bursts of one second; 0: no limit */

    /* Is the service ready to be used? Returns true, or false and the reason. NULL: always. */
    bool (*ready)(void *ctx, struct why *why);
    void *ready_ctx;
    const struct api_ingest *ingest;   /* borrowed; NULL: POST /v1/ingest answers 503 */
    const struct api_answers *answers; /* borrowed; NULL: they are counted only */

    const char *const *flow_sources; /* that are followed, and where they go: for /v1/status;
                                        borrowed */
    size_t flow_source_count;
    const char *flow_sink;
};

/* Binds the address and starts the threads. Returns 0; W_EUSAGE where the address is not loopback
 * and there is no token file, or the token file holds no usable token; -errno where it cannot be
 * read or the address cannot be bound; -ENOMEM. `why` then says what to do. */
int api_start(struct api **api, const struct api_options *options, struct why *why);

/* The port that was bound. */
uint16_t api_port(const struct api *api);
/* Connections open now. */
uint32_t api_connections(const struct api *api);

/* Stops accepting, answers what has been asked (for a second at most), closes every connection,
 * waits for the threads and frees everything. *api may be NULL. */
void api_stop(struct api **api);
