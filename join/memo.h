/* join/memo.h -- what the index said before
 * SPDX-License-Identifier: Apache-2.0
 *
 * A batch asks the same of the index again and again: a pod connects to few addresses, all day. A
 * memo keeps everything a client was answered over a span a little wider than was asked, and visits
 * from there exactly those sightings that the index would have visited, in its order. That holds as
 * long as the view is not refreshed: for work on an index as it is at one time.
 *
 * A client is read whole because its rows lie together, while each of its addresses would be looked
 * up by itself. One with many rows is read only once it was asked about often enough to pay for it.
 *
 * Memory: about `max_bytes`; when that is used up, everything is forgotten.
 * Threads: a memo belongs to the thread of its view.
 */
#pragma once

#include "store/store.h"

struct memo;

/* `view` is borrowed and must not be refreshed while the memo lives. Returns 0 or -ENOMEM. */
int memo_new(struct memo **memo, struct store_view *view, size_t max_bytes);
void memo_free(struct memo **memo);

/* As store_by_client_address and store_by_client_target. `fn` must not ask this memo. */
int memo_by_client_address(struct memo *memo, const char *cluster, const struct addr *client,
                           const struct addr *address, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx);
int memo_by_client_target(struct memo *memo, const char *cluster, const struct addr *client,
                          const uint8_t *target, int64_t from_us, int64_t to_us,
                          store_sighting_fn fn, void *ctx);

/* Fetches what questions about these pairs will need into the processor's caches, all at once: the
 * memory is larger than those, and one question after the other would wait each time. Up to
 * MEMO_EXPECT_MAX pairs. */
#define MEMO_EXPECT_MAX 16
struct memo_pair {
    const char *cluster;
    const struct addr *client;
    const struct addr *address;
};
void memo_expect(struct memo *memo, const struct memo_pair *pairs, size_t count);
