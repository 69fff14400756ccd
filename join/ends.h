/* join/ends.h -- who the two ends of a flow are, and which answers may speak for it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Owners are asked first; where they know nothing of an address, the identity that the record
 * itself carries counts. What follows for the attribution (DESIGN section 3, steps 1 and 2): the
 * client's addresses, the span in which an answer can have been the flow's own, the addresses that
 * a name of the destination may have been answered with.
 *
 * Threads: as the reader of the owners.
 */
#pragma once

#include "join/attribute.h"

/* How long before its first sign of life a pod may have asked. */
#define OWNER_SLACK_US (5 * US_PER_S)

enum { ENDS_DESTINATIONS_MAX = 2 + 2 * OWNERS_SERVICES_MAX };

struct ends {
    const char *cluster;        /* in which is asked */
    const struct owner *source; /* NULL: not known; of a hint, too */
    const struct owner *destination;
    bool source_is_node; /* mixes many pods */
    bool internal;       /* the destination is of the cluster */

    const struct addr *clients; /* all addresses of the source */
    size_t client_count;
    struct addr destinations[ENDS_DESTINATIONS_MAX]; /* the flow's first, then what else its
                                                        destination is reached at */
    size_t destination_count;

    int64_t horizon_us;
    int64_t from_us;   /* answers before are not the flow's */
    int64_t to_us;     /* nor those after */
    int64_t began_us;  /* when the source began; INT64_MIN: not known, or by a hint only */
    int64_t others_us; /* up to then the source's address was another's; INT64_MIN: not known */
    bool owner_bounds; /* from_us is where the owner began, not the horizon */
};

/* Fills `ends` for a question; `reader` may be NULL: nothing is known but the record. Pointers live
 * as long as the question and, of owners, until 64 more lookups of the reader. */
void ends_find(struct owners_reader *reader, const char *cluster, const struct question *question,
               const struct attribute_params *params, struct ends *ends);

/* The party that is given out. */
struct party party_of(const struct owner *owner, const struct flow_identity *identity);
