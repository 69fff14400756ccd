/* api/json_status.h -- what there is and when nobody was watching, as JSON
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of /v1/status and /v1/coverage; `whither status` prints the first. Streams and blind
 * intervals stand one a line. A stream is
 *
 *   {"kind":"live"|"capture","end":"open"|"stopped"|"cut","cluster","identity","version","peer",
 *    "from","committed"}
 *
 * and a blind interval
 *
 *   {"from","to","open","cluster","sender","reason","lost"}
 *
 * and what is watched of the Kubernetes API
 *
 *   {"kind":"pods"|…,"state":"listing"|"watching"|"waiting","complete","heard","problem"}
 *
 * Threads: as the view.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "join/k8s_reflect.h"
#include "join/owners.h"
#include "store/store.h"

/* Blind intervals and streams shown, the latest of each; the others are counted in
 * "blind_left_out" and "streams_left_out". */
#define STATUS_LIST_MAX 1000

/* Both append one object and return 0, or a negative error of the index or of memory. */

/* {"version","now","span":{"first","last"},"alive","windows","bytes","sightings","answers","times",
 * "clients","names","answer_sets","streams":[…],"streams_left_out","blind":[…],"blind_left_out",
 * "owners":{"intervals","open","hints","latest","forgotten","refused"},"watches":[…]}.
 * The blind intervals are those of the span of the index up to now, of every cluster a stream was
 * of. The seconds since the last commit are none while the senders are connected and the writer is
 * at work. `owners` is NULL, and the member absent, where nobody is known. `watches` has K8S_KINDS
 * elements, or is NULL where nothing is watched. */
int json_status(struct buf *buf, struct store_view *view, const char *cluster, int64_t now_us,
                const struct owners_status *owners, const struct k8s_status *watches);

struct coverage_query {
    const char *cluster;
    int64_t from_us;
    int64_t to_us;
    int64_t now_us;
    int64_t settle_us;
    uint32_t expected; /* --expect-senders; 0: not fixed, shown as null */
};

/* {"cluster","from","to","coverage":"whole"|"assumed"|"gap"|"unsettled","expected",…} and the
 * streams and blind intervals of the cluster that touch the span. */
int json_coverage(struct buf *buf, struct store_view *view, const struct coverage_query *query);
