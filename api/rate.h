/* api/rate.h -- how often one client may ask
 * SPDX-License-Identifier: Apache-2.0
 *
 * A generic cell rate algorithm per client address (IPv6: per /64, because a host owns one): each
 * request moves the client's theoretical arrival time on by 1/rate, and one that would move it more
 * than a second ahead of the clock is refused. The table has a fixed size; where it is full the
 * client that was quiet longest is forgotten, which can only let somebody ask more, never less.
 *
 * Threads: rate_take may be called from any thread.
 */
#pragma once

#include <stdint.h>

#include "base/addr.h"

struct rate;

/* `per_second` is at least 1. Returns 0 or -ENOMEM. */
int rate_new(struct rate **rate, uint32_t per_second);
void rate_free(struct rate **rate);

/* Counts one request. Returns 0 if it may pass, else how many microseconds to wait. */
int64_t rate_take(struct rate *rate, const struct addr *client, int64_t monotonic_us);
