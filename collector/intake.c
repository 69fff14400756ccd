/* collector/intake.c -- DNS answers out of running flow sources, for the writer of a service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The longest that one response waits for the disk. */
#define WAIT_MAX_US (10 * US_PER_S)

struct intake {
    pthread_mutex_t lock; /* guards the rest */
    struct writer *writer;
    struct outlet outlet;
    struct flowlog log;
    uint64_t number; /* of the last batch handed over; 0: none since the last commit */
    char *cluster;
    char *peer;
};

/* Takes the batch away from the outlet. */
static void hand_over(struct intake *intake, bool urgent)
{
    if (intake->outlet.batch != NULL) {
        intake->number = writer_hand_over(intake->writer, intake->outlet.batch, urgent);
        intake->outlet.batch = NULL;
    }
}

static int flush_outlet(struct outlet *outlet)
{
    struct intake *intake = outlet->ctx;
    hand_over(intake, false);
    outlet->batch = writer_take(intake->writer);
    return outlet->batch == NULL ? -ENOMEM : 0;
}

int intake_new(struct intake **out, struct writer *writer, const char *cluster, const char *peer)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    *out = NULL;
    if (intake == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&intake->lock, NULL);
    intake->writer = writer;
    intake->cluster = strdup(cluster);
    intake->peer = strdup(peer);
    intake->outlet.flush = flush_outlet;
    intake->outlet.ctx = intake;
    if (intake->cluster == NULL || intake->peer == NULL) {
        intake_free(&intake);
        return -ENOMEM;
    }
    const struct capture_options options = {.cluster = intake->cluster, .peer = intake->peer};
    flowlog_init(&intake->log, &options, &intake->outlet);
    *out = intake;
    return 0;
}

void intake_free(struct intake **out)
{
    struct intake *intake = *out;
    *out = NULL;
    if (intake == NULL) {
        return;
    }
    if (intake->log.outlet != NULL) {
        flowlog_end(&intake->log);
        hand_over(intake, false);
        flowlog_fini(&intake->log);
    }
    pthread_mutex_destroy(&intake->lock);
    free(intake->cluster);
    free(intake->peer);
    free(intake);
}

int intake_add(struct intake *intake, const struct fact *fact, const uint8_t *answer)
{
    if (!writer_wait_room(intake->writer, WAIT_MAX_US)) {
        return -ETIMEDOUT;
    }
    pthread_mutex_lock(&intake->lock);
    int err = flowlog_add(&intake->log, fact, answer, clock_now_us());
    pthread_mutex_unlock(&intake->lock);
    return err;
}

static uint64_t flush(struct intake *intake, bool urgent)
{
    pthread_mutex_lock(&intake->lock);
    /* Without memory for it the streams are heard with the next batch. */
    flowlog_flush(&intake->log);
    hand_over(intake, urgent);
    uint64_t number = intake->number;
    pthread_mutex_unlock(&intake->lock);
    return number;
}

uint64_t intake_flush(struct intake *intake)
{
    return flush(intake, false);
}

int intake_commit(struct intake *intake, int64_t timeout_us)
{
    uint64_t number = flush(intake, true);
    if (number == 0) {
        return 0;
    }
    if (!writer_wait_committed(intake->writer, number, timeout_us)) {
        return -ETIMEDOUT;
    }
    pthread_mutex_lock(&intake->lock);
    intake->number = intake->number == number ? 0 : intake->number;
    pthread_mutex_unlock(&intake->lock);
    return writer_error(intake->writer);
}
