/* cli/serve_flows.h -- flow logs that a service follows: serve --flows SOURCE --out SINK
 * SPDX-License-Identifier: Apache-2.0
 *
 * One live join (join/live.h) over the service's own index, in a thread of its own. DNS responses
 * among the records go to the writer, and are committed before a flow that was read after them is
 * asked about. An error that does not pass by itself is logged, and a new join goes on from the
 * last checkpoint; the service goes on in any case.
 *
 * Threads: all belong to the main thread.
 */
#pragma once

#include "base/err.h"
#include "cli/settings.h"
#include "collector/writer.h"
#include "join/owners.h"
#include "store/store.h"

struct serve_flows;

/* Checks the flags, opens the output and the checkpoint, and starts the thread. What it is given is
 * borrowed until serve_flows_stop. *flows is NULL where there is no --flows. Returns 0; W_EUSAGE;
 * or another negative error; with a sentence. */
int serve_flows_start(struct serve_flows **flows, const struct settings *settings,
                      struct store *store, struct writer *writer, struct owners *owners,
                      struct why *why);
/* Ends in order: what is held is decided and written, and a last checkpoint made. Before the
 * collector goes. *flows may be NULL. */
void serve_flows_stop(struct serve_flows **flows);
