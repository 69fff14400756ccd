/* tests/support/alloc.h -- allocations that fail on demand
 * SPDX-License-Identifier: Apache-2.0
 *
 * Unit tests are linked with --wrap for malloc, calloc and realloc, so that the calls our own code
 * makes (not those inside shared libraries) pass through here. The use:
 *
 *   for (size_t n = 1;; n++) {
 *       alloc_fail_at(n);
 *       ... what must survive ...
 *       if (alloc_failed() == 0) { break; }    the n-th allocation was never reached
 *   }
 *   alloc_fail_at(0);
 *
 * Threads: the counters are atomic; allocations of all threads count.
 */
#pragma once

#include <stddef.h>

/* Makes allocation number `n` from now on fail, 1 being the next; 0 lets all succeed. Resets the
 * counters. */
void alloc_fail_at(size_t n);
/* Allocations asked for, and refused, since then. */
size_t alloc_count(void);
size_t alloc_failed(void);
