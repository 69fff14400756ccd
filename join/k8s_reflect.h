/* join/k8s_reflect.h -- one kind of Kubernetes objects kept up to date: what to ask, what was said
 * SPDX-License-Identifier: Apache-2.0
 *
 * The list-and-watch protocol of the Kubernetes API for one kind, without I/O. The caller asks when
 * the next request is due, makes it, and hands in what comes back:
 *
 *   k8s_reflect_due_us -> k8s_reflect_begin -> k8s_reflect_status -> k8s_reflect_push ... -> _end
 *
 * Objects are listed in pages and then watched from the list's resource version on. A watch that
 * ends, breaks or stalls is taken up where it was. All is listed anew when the server no longer has
 * that version (410 Gone, as a status or as an ERROR event), or when the same spot of the stream
 * cannot be read twice. Requests that fail are repeated with a growing, jittered delay, at least
 * the server's Retry-After.
 *
 * What the consumer may rely on: an object is gone when it is DELETED, or when it is not among
 * those LISTED (once or more often) between K8S_LIST_BEGIN and K8S_LIST_END. A list that is begun
 * anew before its end is to be forgotten. Between lists nothing is missed: events come in order,
 * though after a broken watch one may come twice. While the API cannot be reached nothing is said,
 * and k8s_status.heard_us grows old.
 *
 * Threads: a reflector belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum k8s_kind { K8S_PODS, K8S_SERVICES, K8S_NODES, K8S_KINDS };

/* "pods", "services", "nodes" */
const char *k8s_kind_name(enum k8s_kind kind);

enum k8s_event {
    K8S_LIST_BEGIN, /* no object */
    K8S_LISTED,
    K8S_LIST_END, /* no object */
    K8S_ADDED,
    K8S_MODIFIED,
    K8S_DELETED, /* the object as it was before */
};

struct k8s_object {
    enum k8s_kind kind;
    enum k8s_event event;
    const char *text; /* JSON, not terminated; lives as long as the call */
    size_t len;
};

/* Returns 0. An error (-ENOMEM) ends the request; everything is then listed anew. */
typedef int (*k8s_object_fn)(void *ctx, const struct k8s_object *object);

enum k8s_state {
    K8S_STATE_LISTING,
    K8S_STATE_WATCHING,
    K8S_STATE_WAITING, /* the last request failed; `problem` says why */
};

struct k8s_status {
    enum k8s_state state;
    bool complete;    /* listed to the end at least once */
    int64_t heard_us; /* wall clock of the last event, bookmark or list; 0: never */
    uint64_t lists;   /* begun */
    uint64_t events;  /* without bookmarks */
    uint64_t failures;
    uint64_t too_long;  /* objects skipped because of their size */
    struct why problem; /* of the last request that failed; "" once one succeeds */
};

/* How a response ended. */
enum k8s_end {
    K8S_END_WHOLE,   /* as HTTP says it ends */
    K8S_END_BROKEN,  /* not reached, or cut */
    K8S_END_STALLED, /* given up at k8s_reflect_deadline_us */
};

struct k8s_reflect;

/* `seed` makes the jitter. Returns 0 or -ENOMEM. */
int k8s_reflect_new(struct k8s_reflect **reflect, enum k8s_kind kind, uint64_t seed,
                    k8s_object_fn fn, void *ctx);
void k8s_reflect_free(struct k8s_reflect **reflect);

/* How long a response may say nothing before it counts as stalled: before it begins and inside of
 * a list (70 s, as the server itself gives up a list after a minute), and inside of a watch (150 s,
 * as there is a bookmark every minute). */
void k8s_reflect_set_patience(struct k8s_reflect *reflect, int64_t answer_us, int64_t silence_us);

/* When the next request is to be made, on the monotonic clock; 0: at once. Between requests only.
 */
int64_t k8s_reflect_due_us(const struct k8s_reflect *reflect);

/* Begins a request. Appends its target ("/api/v1/pods?limit=500") to `target`. Returns 0 or what
 * the callback returned; then no request is to be made. */
int k8s_reflect_begin(struct k8s_reflect *reflect, int64_t monotonic_us, struct buf *target);
/* When the request counts as stalled; moves with every octet. */
int64_t k8s_reflect_deadline_us(const struct k8s_reflect *reflect);
/* The response began. `retry_after_s`: the header of that name, 0 without. */
void k8s_reflect_status(struct k8s_reflect *reflect, long status, int64_t retry_after_s);
/* Octets of the body. Anything but 0: the rest of the response is not wanted; end the request as
 * broken. */
int k8s_reflect_push(struct k8s_reflect *reflect, const char *bytes, size_t len,
                     int64_t monotonic_us, int64_t wall_us);
/* The request ended. `what` says why a broken one did, for a person; else NULL. */
void k8s_reflect_end(struct k8s_reflect *reflect, enum k8s_end end, const char *what,
                     int64_t monotonic_us);

/* Lives as long as the reflector and changes with it. */
const struct k8s_status *k8s_reflect_look(const struct k8s_reflect *reflect);
