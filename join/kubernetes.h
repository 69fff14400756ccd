/* join/kubernetes.h -- pods, services and nodes from the Kubernetes API, as they are and become
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists and watches (join/k8s_reflect.h) with the service account of the pod that this runs in. It
 * only ever sends GET for the three kinds; what it needs is get, list and watch on them in all
 * namespaces. The token is read anew for each request, because the kubelet replaces it.
 *
 * A kind that cannot be read does not hinder the others. While the API is away nothing is said of
 * it but in the log, the counters and kubernetes_status; the consumer keeps what it knows.
 *
 * Threads: one of its own, which calls the callback. kubernetes_status may be called from any.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "join/k8s_reflect.h"

/* Where the kubelet puts what a pod needs. */
#define KUBERNETES_TOKEN_FILE "/var/run/secrets/kubernetes.io/serviceaccount/token"
#define KUBERNETES_CA_FILE "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

struct kubernetes_options {
    /* NULL: https:// and KUBERNETES_SERVICE_HOST and _PORT of the environment, which every pod has.
     */
    const char *server;
    const char *token_file; /* NULL: KUBERNETES_TOKEN_FILE */
    const char *ca_file;    /* NULL: KUBERNETES_CA_FILE */
    int64_t silence_us;     /* how long a response may say nothing; 0: as k8s_reflect has it */
    k8s_object_fn fn;       /* must not block for long: the API drops watchers that do not read */
    void *ctx;
};

struct kubernetes;

/* Starts the thread. Whether the API answers is not waited for. Returns 0; W_EUSAGE outside of a
 * cluster; -ENOENT, -EACCES or -errno where the token cannot be read; -ENOMEM. */
int kubernetes_start(struct kubernetes **kubernetes, const struct kubernetes_options *options,
                     struct why *why);
/* Ends the thread; no callback after it returns. NULL is fine. */
void kubernetes_stop(struct kubernetes **kubernetes);

/* Copies what goes on with one kind. */
void kubernetes_status(struct kubernetes *kubernetes, enum k8s_kind kind,
                       struct k8s_status *status);
