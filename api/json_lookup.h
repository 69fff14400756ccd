/* api/json_lookup.h -- one attribution as a lookup answers it
 * SPDX-License-Identifier: Apache-2.0
 *
 * The attribution object of DESIGN section 5, with the ends where they are known, plus "domain",
 * which is null where no name may be given. The body of GET /v1/lookup, one line of POST
 * /v1/lookup, and what `whither lookup` prints.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include "base/buf.h"
#include "join/attribute.h"

void json_lookup(struct buf *buf, const struct attribution *attribution);
