/* join/tuples.h -- connection tracking: what a connection was asked for, and where it went
 * SPDX-License-Identifier: Apache-2.0
 *
 * A tracked connection has two tuples: the original one, as the client sent it, and that of its
 * replies. Names were answered for the original destination, be it a service's own address or an
 * external one, so that is the destination; where replies come from another address, that one is
 * the backend that was chosen. Where replies go to is the source after masquerading, or the source.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include "join/format.h"

struct tuple {
    struct text source;
    struct text destination;
    struct text source_port;
    struct text destination_port;
    struct text bytes;
};

/* Sets addresses, ports, transport (from a name or number), octets and the other address. Missing
 * texts are absent. */
void tuples_read(struct flow_record *record, struct text protocol, const struct tuple *original,
                 const struct tuple *reply);
