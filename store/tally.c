/* store/tally.c -- what a sender sent, counted
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/tally.h"

void tally_add(struct tally *sum, const struct tally *more)
{
    for (int i = 0; i < TALLY_FRAMES; i++) {
        sum->frames[i] += more->frames[i];
    }
    for (int i = 0; i < TALLY_DELAYS; i++) {
        sum->delays[i] += more->delays[i];
    }
    sum->ahead += more->ahead;
    if (more->ahead_max_us > sum->ahead_max_us) {
        sum->ahead_max_us = more->ahead_max_us;
    }
    sum->search_answers += more->search_answers;
}

void tally_delay(struct tally *tally, int64_t delay_us)
{
    static const int64_t BOUNDS_MS[TALLY_DELAYS - 1] = TALLY_DELAY_BOUNDS_MS;
    int class = 0;
    while (class < TALLY_DELAYS - 1 && delay_us > BOUNDS_MS[class] * 1000) {
        class ++;
    }
    tally->delays[class]++;
    if (delay_us < -TALLY_AHEAD_US) {
        tally->ahead++;
        if (-delay_us > tally->ahead_max_us) {
            tally->ahead_max_us = -delay_us;
        }
    }
}
