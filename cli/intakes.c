/* cli/intakes.c -- where the flow sources of a service put the DNS responses they come across
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/intakes.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/load.h"

/* The longest that somebody waits for a commit, which comes within a second on a sound disk. */
#define COMMIT_WAIT_US (5 * US_PER_S)

void intakes_init(struct intakes *intakes, struct writer *writer, const char *peer)
{
    *intakes = (struct intakes){.writer = writer, .peer = peer};
    pthread_mutex_init(&intakes->lock, NULL);
}

void intakes_fini(struct intakes *intakes)
{
    if (intakes->writer == NULL) {
        return;
    }
    for (size_t i = 0; i < intakes->count; i++) {
        intake_free(&intakes->items[i]);
    }
    pthread_mutex_destroy(&intakes->lock);
    *intakes = (struct intakes){0};
}

/* The intake of the cluster, made where there is none yet. */
static int find(struct intakes *intakes, const char *cluster, struct intake **intake)
{
    for (size_t i = 0; i < intakes->count; i++) {
        if (strcmp(intakes->clusters[i], cluster) == 0) {
            *intake = intakes->items[i];
            return 0;
        }
    }
    size_t count = intakes->count;
    if (count == INTAKES_MAX) {
        return W_ELIMIT;
    }
    int err = intake_new(&intakes->items[count], intakes->writer, cluster, intakes->peer);
    if (err == 0) {
        snprintf(intakes->clusters[count], sizeof(intakes->clusters[count]), "%s", cluster);
        *intake = intakes->items[count];
        intakes->count++;
    }
    return err;
}

int intakes_add(struct intakes *intakes, const char *cluster, const struct dns_record *dns)
{
    char identity[LOAD_IDENTITY_MAX];
    struct fact fact = load_fact(dns, identity);
    struct intake *intake;
    pthread_mutex_lock(&intakes->lock);
    int err = find(intakes, cluster, &intake);
    pthread_mutex_unlock(&intakes->lock);
    return err != 0 ? err : intake_add(intake, &fact, (const uint8_t *)dns->answer.data);
}

static size_t count_of(struct intakes *intakes)
{
    pthread_mutex_lock(&intakes->lock);
    size_t count = intakes->count;
    pthread_mutex_unlock(&intakes->lock);
    return count;
}

void intakes_flush(struct intakes *intakes)
{
    size_t count = count_of(intakes);
    for (size_t i = 0; i < count; i++) {
        intake_flush(intakes->items[i]);
    }
}

int intakes_commit(struct intakes *intakes)
{
    size_t count = count_of(intakes);
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        err = intake_commit(intakes->items[i], COMMIT_WAIT_US);
    }
    return err;
}
