/* join/owners_k8s.h -- Kubernetes objects become facts about owners
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pods, services and nodes as the API has them, out of lists, watch events or alone. What it makes
 * of them:
 *
 *   - a pod has status.podIPs from status.startTime on; once its phase is Succeeded or Failed, up
 *     to when its last container finished, though the API goes on naming the address;
 *   - a pod of the host's network is its node; every pod tells its node's address;
 *   - a service has its cluster addresses, a node its InternalIP and ExternalIP ones;
 *   - other kinds are none of its business.
 *
 * Watch events carry no time. Where it was received live, that is the time of what an object does
 * not date itself; in a recording, the latest time that any object so far has named.
 *
 * Threads: belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/k8s_stream.h"
#include "join/owners.h"

struct owners_k8s;

/* `owners` and `cluster` are borrowed. Returns 0 or -ENOMEM. */
int owners_k8s_new(struct owners_k8s **k8s, struct owners *owners, const char *cluster);
void owners_k8s_free(struct owners_k8s **k8s);

/* One object; `kind` where the object itself has none (an item of a list) else NULL. `deleted`: it
 * is as it was before it was deleted. `received_us`: 0 in a recording. Returns 0; W_ESYNTAX with
 * the field in `why`; W_ELIMIT (the table is full) or -ENOMEM. */
int owners_k8s_object(struct owners_k8s *k8s, const char *json, size_t len, const char *kind,
                      bool deleted, int64_t received_us, struct why *why);

/* A piece of a stream: a watch event, an object, an item or the end of a list. An object that an
 * earlier list of the same stream had in the same namespace and this one has not has ended. Returns
 * as owners_k8s_object; also W_ESYNTAX for a piece that is a fault, an ERROR event, or no object of
 * Kubernetes. */
int owners_k8s_piece(struct owners_k8s *k8s, const struct k8s_piece *piece, int64_t received_us,
                     struct why *why);

/* Of pods, services and nodes. */
uint64_t owners_k8s_count(const struct owners_k8s *k8s);

/* The workload a pod belongs to, by what owns it: the Deployment of a ReplicaSet, the CronJob of a
 * Job, else the owner itself; a pod without one is its own. `hash` is the pod's label
 * pod-template-hash, len 0 if unknown. Pieces of what was given, or static. */
void owners_workload(struct text pod, struct text owner_kind, struct text owner_name,
                     struct text hash, struct text *workload_kind, struct text *workload);
