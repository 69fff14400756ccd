/* api/rate.c -- how often one client may ask
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/rate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"

/* 4,096 sets of four clients: 16,384 clients in 640 KiB. A client lives in one set only. */
#define SET_COUNT 4096
#define SET_WAYS 4
#define LOCK_COUNT 64

struct cell {
    struct addr client;
    int64_t arrival_us; /* theoretical arrival time; 0: free */
};

struct rate {
    int64_t step_us; /* between two requests at the full rate */
    pthread_mutex_t locks[LOCK_COUNT];
    struct cell cells[SET_COUNT][SET_WAYS];
};

int rate_new(struct rate **rate, uint32_t per_second)
{
    struct rate *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return -ENOMEM;
    }
    made->step_us = US_PER_S / per_second;
    for (size_t i = 0; i < LOCK_COUNT; i++) {
        pthread_mutex_init(&made->locks[i], NULL);
    }
    *rate = made;
    return 0;
}

void rate_free(struct rate **rate)
{
    if (*rate != NULL) {
        for (size_t i = 0; i < LOCK_COUNT; i++) {
            pthread_mutex_destroy(&(*rate)->locks[i]);
        }
        free(*rate);
        *rate = NULL;
    }
}

/* The client's cell, or the one quiet longest, made its own. */
static struct cell *find_cell(struct cell *set, const struct addr *client)
{
    struct cell *oldest = &set[0];
    for (size_t i = 0; i < SET_WAYS; i++) {
        if (set[i].arrival_us != 0 && addr_equal(&set[i].client, client)) {
            return &set[i];
        }
        if (set[i].arrival_us < oldest->arrival_us) {
            oldest = &set[i];
        }
    }
    *oldest = (struct cell){.client = *client};
    return oldest;
}

int64_t rate_take(struct rate *rate, const struct addr *client, int64_t monotonic_us)
{
    struct addr key = *client;
    if (!addr_is_v4(&key)) {
        memset(key.b + 8, 0, 8);
    }
    uint64_t hash = XXH3_64bits(key.b, sizeof(key.b));
    size_t set = hash % SET_COUNT;
    pthread_mutex_t *lock = &rate->locks[set % LOCK_COUNT];

    pthread_mutex_lock(lock);
    struct cell *cell = find_cell(rate->cells[set], &key);
    int64_t arrival_us = cell->arrival_us > monotonic_us ? cell->arrival_us : monotonic_us;
    int64_t wait_us = arrival_us + rate->step_us - (monotonic_us + US_PER_S);
    if (wait_us <= 0) {
        cell->arrival_us = arrival_us + rate->step_us;
    }
    pthread_mutex_unlock(lock);
    return wait_us > 0 ? wait_us : 0;
}
