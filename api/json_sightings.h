/* api/json_sightings.h -- the index the other way round, as JSON
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of /v1/names/{name}, /v1/clients/{ip} and /v1/addresses/{ip}, which `whither names`
 * prints too. A list stands one row a line. Times are RFC 3339 in UTC. A sighting is
 *
 *   {"client","asked","via","chain":[…],"addresses":[…],"addresses_left_out","first","last",
 *    "expiry","count","approximate"}
 *
 * and what an address was called is
 *
 *   {"address","asked","via","chain":[…],"clients","clients_at_least","last","expiry","count"}
 *
 * with "source" after "via" where it was not dnstap that saw it.
 *
 * Threads: as the view.
 */
#pragma once

#include "api/page.h"
#include "base/addr.h"
#include "base/buf.h"
#include "proto/name.h"
#include "store/store.h"

/* Addresses shown of one sighting; the number of the others is in "addresses_left_out". */
#define SIGHTING_ADDRESSES_MAX 64

struct sightings_query {
    const char *cluster;
    int64_t from_us; /* sightings with an answer within [from_us, to_us] */
    int64_t to_us;
    uint32_t limit; /* rows, 1 to PAGE_LIMIT_MAX */
    bool has_after; /* the page after this cursor */
    struct page_key after;
};

/* Each appends one object and returns 0, or a negative error of the index or of memory: what was
 * appended is then of no use. */

/* Who asked for `name` or got it in a chain; with `under` also what lies below it. */
int json_names(struct buf *buf, struct store_view *view, const struct sightings_query *query,
               const struct name *name, bool under);
/* What a client asked. */
int json_clients(struct buf *buf, struct store_view *view, const struct sightings_query *query,
                 const struct addr *client);
/* What an address was called. */
int json_addresses(struct buf *buf, struct store_view *view, const struct sightings_query *query,
                   const struct addr *address);
