/* api/pending.c -- requests that are looked at, or wait, without holding a thread of the service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/pending.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "api/flows.h"
#include "api/service.h"
#include "base/clock.h"
#include "base/log.h"

/* How often those that wait are looked at. */
#define LOOK_EVERY_US (100 * INT64_C(1000))
/* How long a reply may wait for others to be finished. */
#define SLOT_WAIT_US (10 * US_PER_S)

struct pending {
    struct api *api;
    pthread_t thread;
    /* the thread's own */
    struct parser *parser;
    struct store_view *view; /* NULL until first used */
    struct flows *waiting;
    struct log_limit limit;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t came;
    struct flows *first; /* what came and was not yet looked at, oldest first */
    struct flows *last;
    bool stopping;
};

/* ---- What is to be done with one ---- */

static void let_go(struct flows *flows)
{
    struct request *request = flows->held;
    flows->held = NULL;
    request_resume(request);
}

static void complain(struct pending *pending, const struct flows *flows)
{
    char client[ADDR_TEXT_MAX];
    uint32_t suppressed;
    if (flows->counts.bad > 0 &&
        log_limit_pass(&pending->limit, clock_monotonic_us(), &suppressed)) {
        addr_print(&flows->held->client, client);
        log_warn("flow records from %s could not be read: %" PRIu64 " of a request; %s", client,
                 flows->counts.bad, flows->fault.text);
    }
}

/* Has every connected sender been heard past the flows? */
static bool is_settled(struct pending *pending, const struct flows *flows)
{
    const struct attribute_params *params = &pending->api->options.params;
    if (flows->wait_us == 0 || flows->latest_us == 0) {
        return true;
    }
    if (pending->view == NULL && store_view_new(pending->api->options.store, &pending->view) != 0) {
        return false;
    }
    if (store_view_refresh(pending->view, NULL) < 0) {
        return false;
    }
    bool settled = store_settled(pending->view, flows->cluster, flows->latest_us + params->skew_us,
                                 clock_now_us(), params->settle_us);
    store_view_rest(pending->view);
    return settled;
}

static bool take_slot(struct flows *flows)
{
    struct api *api = flows->worker->api;
    if (!flows->reply) {
        return true;
    }
    if (atomic_fetch_add(&api->replies, 1) >= FLOWS_REPLIES_MAX) {
        atomic_fetch_sub(&api->replies, 1);
        return false;
    }
    flows->slot = true;
    return true;
}

/* True if it may go on, with a problem or without. */
static bool is_due(struct pending *pending, struct flows *flows)
{
    int64_t now_us = clock_monotonic_us();
    struct problem *problem = &flows->held->problem;
    if (problem->status != 0) {
        return true;
    }
    if (now_us < flows->deadline_us && !is_settled(pending, flows)) {
        return false;
    }
    if (take_slot(flows)) {
        return true;
    }
    if (now_us >= flows->deadline_us + SLOT_WAIT_US) {
        flows->held->retry_after_s = 1;
        problem_set(problem, 503, NULL, "too many flows are being answered; try again");
        return true;
    }
    return false;
}

/* ---- The thread ---- */

/* Lets those go on that may. */
static void look_at_waiting(struct pending *pending)
{
    struct flows **at = &pending->waiting;
    while (*at != NULL) {
        struct flows *flows = *at;
        if (is_due(pending, flows)) {
            *at = flows->next;
            let_go(flows);
        } else {
            at = &flows->next;
        }
    }
}

static void survey(struct pending *pending, struct flows *flows)
{
    struct problem *problem = &flows->held->problem;
    flows_survey(flows, pending->parser, problem);
    if (problem->status == 503) {
        flows->held->retry_after_s = 1;
    }
    complain(pending, flows);
    flows->deadline_us = clock_monotonic_us() + flows->wait_us;
    flows->next = pending->waiting;
    pending->waiting = flows;
}

/* The next that came; waits for it, but not long where others wait. NULL: none yet. */
static struct flows *next(struct pending *pending, bool *stopping)
{
    pthread_mutex_lock(&pending->lock);
    if (pending->first == NULL && !pending->stopping && pending->waiting != NULL) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_EVERY_US * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&pending->came, &pending->lock, &until);
    }
    while (pending->first == NULL && !pending->stopping && pending->waiting == NULL) {
        pthread_cond_wait(&pending->came, &pending->lock);
    }
    struct flows *flows = pending->first;
    if (flows != NULL) {
        pending->first = flows->next;
    }
    *stopping = pending->stopping;
    pthread_mutex_unlock(&pending->lock);
    return flows;
}

static void refuse(struct request *request)
{
    request->retry_after_s = 1;
    problem_set(&request->problem, 503, NULL, "the service is stopping");
}

static void *work(void *ctx)
{
    struct pending *pending = ctx;
    bool stopping = false;
    while (!stopping) {
        struct flows *flows = next(pending, &stopping);
        if (flows != NULL && !stopping) {
            survey(pending, flows);
        } else if (flows != NULL) {
            refuse(flows->held);
            let_go(flows);
            stopping = false; /* until all have gone */
        }
        look_at_waiting(pending);
    }
    while (pending->waiting != NULL) {
        struct flows *flows = pending->waiting;
        pending->waiting = flows->next;
        if (flows->held->problem.status == 0 && !take_slot(flows)) {
            refuse(flows->held);
        }
        let_go(flows);
    }
    return NULL;
}

int pending_new(struct pending **out, struct api *api)
{
    static const struct parser_options NONE = {0};
    struct pending *pending = calloc(1, sizeof(*pending));
    *out = NULL;
    if (pending == NULL) {
        return -ENOMEM;
    }
    pending->api = api;
    pending->limit = (struct log_limit){.interval_us = 60 * US_PER_S, .burst = 1};
    pthread_mutex_init(&pending->lock, NULL);
    pthread_cond_init(&pending->came, NULL);
    int err = parser_new(&pending->parser, &NONE);
    err = err == 0 ? -pthread_create(&pending->thread, NULL, work, pending) : err;
    if (err != 0) {
        pending->stopping = true;
        pending_free(&pending);
        return err;
    }
    *out = pending;
    return 0;
}

void pending_hold(struct pending *pending, struct request *request)
{
    struct flows *flows = request->state;
    flows->held = request;
    flows->next = NULL;
    pthread_mutex_lock(&pending->lock);
    bool stopping = pending->stopping;
    if (!stopping) {
        *(pending->first == NULL ? &pending->first : &pending->last->next) = flows;
        pending->last = flows;
        pthread_cond_signal(&pending->came);
    }
    pthread_mutex_unlock(&pending->lock);
    if (stopping) {
        refuse(request);
        let_go(flows);
    }
}

void pending_wake(struct pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    pthread_cond_signal(&pending->came);
    pthread_mutex_unlock(&pending->lock);
}

void pending_stop(struct pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    pending->stopping = true;
    pthread_cond_signal(&pending->came);
    pthread_mutex_unlock(&pending->lock);
    pthread_join(pending->thread, NULL);
}

void pending_free(struct pending **out)
{
    struct pending *pending = *out;
    *out = NULL;
    if (pending == NULL) {
        return;
    }
    parser_free(&pending->parser);
    store_view_free(&pending->view);
    pthread_mutex_destroy(&pending->lock);
    pthread_cond_destroy(&pending->came);
    free(pending);
}
