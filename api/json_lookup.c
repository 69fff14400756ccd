/* api/json_lookup.c -- one attribution as a lookup answers it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_lookup.h"

#include "api/json.h"

void json_lookup(struct buf *buf, const struct attribution *attribution)
{
    const struct name *domain = attribution_domain(attribution);
    attribution_full_json(buf, attribution);
    if (buf->err != 0) {
        return;
    }
    buf->len--; /* the closing brace: the object goes on */
    buf_str(buf, ",\"domain\":");
    if (domain == NULL) {
        buf_str(buf, "null}");
    } else {
        json_name(buf, domain->wire);
        buf_char(buf, '}');
    }
}
