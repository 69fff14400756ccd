/* api/service.h -- what the files of this folder share: service, worker, request, route
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request's life: http.c makes it when its first line has come, routes_find names its route,
 * gate.c decides whether it may be answered at all, the route's `begin` looks at parameters,
 * `body` takes the body as it arrives, `answer` writes the reply or sets the problem, http.c sends
 * it, `release` frees what the route kept.
 *
 * Threads: a request and its worker belong to one thread of libmicrohttpd from the first byte to
 * the last. struct api is read only once started, but for what says otherwise.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/auth.h"
#include "api/http.h"
#include "api/params.h"
#include "api/problem.h"
#include "api/rate.h"
#include "base/buf.h"

/* Longest request target taken. */
#define URI_MAX 4096
/* Requests kept for reuse by each worker. */
#define IDLE_REQUESTS_MAX 64

#define TYPE_JSON "application/json"
#define TYPE_LINES "application/jsonl"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct request;
struct client;

enum method { METHOD_GET, METHOD_POST, METHOD_OTHER };

/* One row of the table in routes.c. */
struct route {
    enum method method;       /* GET also answers HEAD */
    const char *path;         /* may end with one segment in braces: "/v1/names/{name}" */
    const char *type;         /* media type of its answer */
    bool open;                /* needs no token and no particular Host: probes and metrics */
    bool unlimited;           /* not counted against the rate of a client */
    const char *const *known; /* names of its parameters, NULL-terminated; NULL for none */
    /* Before the body; NULL where there is nothing to do. A problem it sets is the answer. */
    void (*begin)(struct request *request);
    /* The next bytes of the body; NULL where none is taken. A problem it sets is the answer. */
    void (*body)(struct request *request, const char *bytes, size_t len);
    /* The body is whole and may be looked at elsewhere before it is answered; NULL: it is answered
     * at once. The connection is suspended, and request_resume is to be called for it. */
    void (*hold)(struct request *request);
    /* Writes to request_body(request), or sets `stream` or the problem. */
    void (*answer)(struct request *request);
    /* Frees request->state; NULL where it keeps none. Called once, whatever happened. */
    void (*release)(struct request *request);
};

#define ROUTES_MAX 24

/* Status codes counted one by one; any other is counted as 500. */
enum {
    CODE_200,
    CODE_204,
    CODE_400,
    CODE_401,
    CODE_403,
    CODE_404,
    CODE_405,
    CODE_413,
    CODE_414,
    CODE_415,
    CODE_429,
    CODE_500,
    CODE_503,
    CODE_COUNT
};

/* A reply that is made while it is sent. */
struct stream {
    /* Writes up to `cap` bytes; returns how many, 0 at the end, -1 to break the connection. */
    ssize_t (*read)(void *ctx, char *bytes, size_t cap);
    void (*free)(void *ctx);
    void *ctx; /* NULL: not a stream */
};

struct worker {
    struct api *api;
    struct worker *next;
    struct store_view *view;       /* NULL until first used */
    struct attributor *attributor; /* likewise */
    struct buf body;               /* of the reply being made */
    struct request *idle;
    uint32_t idle_count;
    /* Written by the worker only, read by whoever prints /metrics. The last route is "none". */
    _Atomic uint64_t requests[ROUTES_MAX + 1][CODE_COUNT];
    _Atomic uint64_t verdicts[VERDICT_COUNT];
};

struct request {
    struct worker *worker;
    struct request *next; /* in worker->idle */
    void *connection;     /* of libmicrohttpd */
    const struct route *route;
    bool begun;
    struct addr client;
    uint64_t body_len; /* bytes of the body so far */

    struct params params;
    const char *argument; /* the segment in braces, decoded and terminated; NULL for none */
    size_t argument_len;

    struct problem problem;
    const char *allow;      /* with 405 */
    uint32_t retry_after_s; /* with 429 and 503 */
    struct stream stream;
    bool held;               /* `hold` was called */
    bool no_content;         /* the answer is a 204 */
    const char *header_name; /* of one more header of the reply; NULL: none */
    char header_value[128];
    void *state; /* the route's own */

    bool too_long; /* the target did not fit */
    char uri[URI_MAX + 1];
};

struct api {
    struct api_options options; /* with the defaults filled in */
    void *daemon;               /* of libmicrohttpd */
    uint16_t port;
    struct auth auth;
    bool loopback;
    struct rate *rate; /* NULL: no limit; locked inside */
    int64_t started_us;
    struct pending *pending;
    _Atomic uint64_t held;    /* bytes of bodies that are kept until they are answered */
    _Atomic uint32_t resumed; /* requests that go on, but were not yet looked at again */
    _Atomic uint32_t replies; /* to POST /v1/flows that are being made */
    atomic_bool stopping;     /* no connection is taken any more */
    pthread_mutex_t lock;     /* guards the two below */
    struct worker *workers;
    struct client *clients; /* open connections (http.c) */
};

/* ---- http.c ---- */

/* A header of the request, NULL if there is none. */
const char *request_header(const struct request *request, const char *name);
/* Lets a request go on whose route->hold was called. From any thread. */
void request_resume(struct request *request);

/* ---- worker.c ---- */

/* The worker of the calling thread, made on first use. NULL if memory is short. */
struct worker *worker_get(struct api *api);
/* Frees every worker of the service. Its threads have ended. */
void worker_free_all(struct api *api);
/* A view of the latest commit and, with it, an attributor, until worker_rest; NULL with a 503 in
 * `problem`. */
struct store_view *worker_view(struct worker *worker, struct problem *problem);
/* Answers a question and counts the verdict. */
int worker_attribute(struct worker *worker, const struct question *question, int64_t now_us,
                     struct attribution *attribution);
/* After the last question of a reply: an idle thread must not hold on to old pages of the index. */
void worker_rest(struct worker *worker);
/* Adds one; the worker's own thread only. */
void worker_count(_Atomic uint64_t *counter);
/* A request for the calling thread; NULL if memory is short. */
struct request *request_new(struct worker *worker);
/* Gives it back, after the route has released what it kept. */
void request_free(struct request *request);

/* Where the body of the reply is written; empty at first. */
struct buf *request_body(struct request *request);
/* An index that could not be read, or memory that ran out, becomes a 500 or 503. */
void request_failed(struct request *request, int err, const char *what);
/* The cluster asked for, else the service's own. */
const char *request_cluster(struct request *request);

/* ---- gate.c ---- */

/* What gate_check looks at besides the request. */
struct gate_headers {
    const char *authorization;
    const char *host;
    const char *origin;
};
/* May this request be answered? Sets the problem (401, 403, 429) if not. */
void gate_check(struct request *request, const struct gate_headers *headers);
