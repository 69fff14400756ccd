/* join/interfaces.h -- another interface, another owner
 * SPDX-License-Identifier: Apache-2.0
 *
 * A kernel LOG line names the host's end of the pod's interface, which is of one pod alone. Where
 * an address is seen on another interface than before, it has changed hands since, even if nobody
 * says so: answers before that were another pod's.
 *
 * Memory is bounded: of 65,536 addresses the last four interfaces each; what is forgotten early
 * only bounds less. Threads: a memory belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "join/flow.h"

struct interfaces;

/* Returns 0 or -ENOMEM. */
int interfaces_new(struct interfaces **interfaces);
void interfaces_free(struct interfaces **interfaces);

/* When the flow's source address was last seen on another interface before the flow's start, 0 if
 * it was not or the flow has no interface. Flows come in the order of their records. */
int64_t interfaces_seen(struct interfaces *interfaces, const struct flow *flow);

/* For a restart: appends all of it; and takes it over into an empty memory. Returns 0, or
 * W_EDAMAGED if it is something else. */
void interfaces_save(const struct interfaces *interfaces, struct buf *out);
int interfaces_load(struct interfaces *interfaces, const char *data, size_t len);
