/* cli/intakes.h -- where the flow sources of a service put the DNS responses they come across
 * SPDX-License-Identifier: Apache-2.0
 *
 * One intake (collector/intake.h) for each cluster, made with its first response. The layer that
 * reads flow records and the one that writes the index do not know each other; they meet here.
 *
 * Threads: any, but for intakes_init and intakes_fini.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "collector/intake.h"
#include "join/format.h"

/* Clusters told apart; each intake may hold a batch of the writer's reserve. */
#define INTAKES_MAX 4

struct intakes {
    struct writer *writer;
    const char *peer;
    pthread_mutex_t lock; /* guards the rest */
    size_t count;
    struct intake *items[INTAKES_MAX];
    char clusters[INTAKES_MAX][STORE_CLUSTER_MAX + 1];
};

/* `writer` is borrowed; `peer` is what the streams are said to come from: "http"; borrowed. */
void intakes_init(struct intakes *intakes, struct writer *writer, const char *peer);
/* Ends the streams. Fine for zeroed memory. */
void intakes_fini(struct intakes *intakes);

/* Adds a response. Returns 0; W_ELIMIT where there are too many clusters; or what intake_add does.
 */
int intakes_add(struct intakes *intakes, const char *cluster, const struct dns_record *dns);
/* Hands over what was added, without waiting. */
void intakes_flush(struct intakes *intakes);
/* Waits until what was added is committed. Returns what intake_commit does. */
int intakes_commit(struct intakes *intakes);
