/* store/run.h -- runs of answers and their packed form
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row of the index holds the runs of one (client, answer set) in one window, oldest first:
 *
 *   u8 number of older chunks of this row (only chunk 0 counts them)
 *   per run: varint count * 4 + approximate * 2 + (times != count), [varint times],
 *            u40 first (us after the window's start), varint expiry - last (ms),
 *            if times > 1: varint deltas (ms) of the other times, u16 us of the last one
 *
 * Times between the first and the last are cut to whole milliseconds of the clock, so that packing
 * again moves none of them.
 *
 * A single answer takes 9 to 10 octets. Chunk 0 holds the newest runs; when it grows beyond
 * RUN_CHUNK_MAX its content moves to a chunk of its own and it starts anew.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* An answer opens a new run when it comes later than this after the run's expiry (DESIGN section
 * 2). */
#define RUN_GRACE_US (60 * INT64_C(1000000))

/* One chunk must fit an LMDB node inside a page. */
#define RUN_CHUNK_MAX 1800
/* The largest run: head, first, expiry, 63 deltas, last. */
#define RUN_BYTES_MAX (5 + 2 + 5 + 8 + 63 * 6 + 2)
/* Runs in one chunk. */
#define RUNS_MAX 80

struct run {
    int64_t first_us;
    int64_t last_us;
    int64_t expiry_us;
    uint32_t count;
    bool approximate;
    uint16_t time_count;
    int64_t times[STORE_TIMES_MAX]; /* ascending; [0] is first_us, the last one last_us */
};

/* A decoded chunk. Large: keep one, reuse it. */
struct runs {
    uint8_t older_chunks;
    uint16_t count;
    struct run run[RUNS_MAX];
};

/* Reads a chunk of a window that starts at `start_us`. Returns 0 or W_EDAMAGED. */
int runs_decode(struct runs *runs, const uint8_t *bytes, size_t len, int64_t start_us);
/* Writes it; `bytes` has room for 1 + count * RUN_BYTES_MAX octets at most. Returns the length. */
size_t runs_encode(const struct runs *runs, uint8_t *bytes, int64_t start_us);

/* Adds one answer: extends the run it falls into (also one it precedes by no more than its own TTL
 * and the grace), or opens one. A time that is already kept (to the millisecond) is not counted
 * twice, nor is one that lies where times were thinned, so loading a capture again changes nothing.
 * Returns true if a run was opened. */
bool runs_add(struct runs *runs, int64_t time_us, uint32_t ttl_s);
