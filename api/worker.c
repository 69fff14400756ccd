/* api/worker.c -- what each thread of the service keeps
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/service.h"

/* The threads are libmicrohttpd's and end with the service they were made for, so this never
 * outlives its worker. */
static _Thread_local struct worker *own;

struct worker *worker_get(struct api *api)
{
    if (own != NULL && own->api == api) {
        return own;
    }
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->api = api;
    pthread_mutex_lock(&api->lock);
    worker->next = api->workers;
    api->workers = worker;
    pthread_mutex_unlock(&api->lock);
    own = worker;
    return worker;
}

void worker_free_all(struct api *api)
{
    while (api->workers != NULL) {
        struct worker *worker = api->workers;
        api->workers = worker->next;
        while (worker->idle != NULL) {
            struct request *request = worker->idle;
            worker->idle = request->next;
            free(request);
        }
        attributor_free(&worker->attributor);
        store_view_free(&worker->view);
        buf_fini(&worker->body);
        free(worker);
    }
}

static int open_view(struct worker *worker)
{
    int err = store_view_new(worker->api->options.store, &worker->view);
    if (err == 0) {
        err = attributor_new(&worker->attributor, worker->view, &worker->api->options.params);
    }
    if (err == 0 && worker->api->options.owners != NULL) {
        err = attributor_set_owners(worker->attributor, worker->api->options.owners);
    }
    if (err != 0) {
        attributor_free(&worker->attributor);
        store_view_free(&worker->view);
    }
    return err;
}

struct store_view *worker_view(struct worker *worker, struct problem *problem)
{
    struct why why = {""};
    int err = worker->view == NULL ? open_view(worker) : 0;
    err = err == 0 ? store_view_refresh(worker->view, &why) : err;
    if (err < 0) {
        problem_set(problem, 503, NULL, "the index cannot be read: %s",
                    why.text[0] != '\0' ? why.text : err_str(err));
        return NULL;
    }
    return worker->view;
}

void worker_rest(struct worker *worker)
{
    if (worker->view != NULL) {
        store_view_rest(worker->view);
    }
}

void worker_count(_Atomic uint64_t *counter)
{
    /* One writer: no locked instruction is needed, only that a reader sees whole numbers. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

int worker_attribute(struct worker *worker, const struct question *question, int64_t now_us,
                     struct attribution *attribution)
{
    int err = attribute(worker->attributor, question, now_us, attribution);
    if (err >= 0) {
        worker_count(&worker->verdicts[attribution->verdict]);
    }
    return err;
}

struct request *request_new(struct worker *worker)
{
    struct request *request = worker->idle;
    if (request != NULL) {
        worker->idle = request->next;
        worker->idle_count--;
    } else {
        request = malloc(sizeof(*request));
        if (request == NULL) {
            return NULL;
        }
    }
    /* All but the text of the target, which is written over anyway. */
    memset(request, 0, offsetof(struct request, uri));
    request->worker = worker;
    return request;
}

void request_free(struct request *request)
{
    struct worker *worker = request->worker;
    if (worker->idle_count == IDLE_REQUESTS_MAX) {
        free(request);
        return;
    }
    request->next = worker->idle;
    worker->idle = request;
    worker->idle_count++;
}

struct buf *request_body(struct request *request)
{
    return &request->worker->body;
}

void request_failed(struct request *request, int err, const char *what)
{
    bool passing = err == -ENOMEM || err == W_ELIMIT;
    problem_set(&request->problem, passing ? 503 : 500, NULL, "%s: %s", what, err_str(err));
}

const char *request_cluster(struct request *request)
{
    const char *cluster = request->worker->api->options.cluster;
    params_cluster(&request->params, "cluster", &cluster, &request->problem);
    return cluster;
}
