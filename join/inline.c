/* join/inline.c -- --to inline: the record as it was, with two members added
 * SPDX-License-Identifier: Apache-2.0
 *
 * The octets of the record are kept: the members go before its last brace.
 */
#include <string.h>

#include "join/sink.h"

static void put_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                     const struct attribution *attribution)
{
    struct text kept = record->kept;
    struct text registered;
    struct text domain = sink_domain(sink, attribution, &registered);
    size_t len = kept.len;
    while (len > 0 && kept.data[len - 1] != '}') {
        len--;
    }
    buf_add(out, kept.data, len - 1);
    size_t last = len - 1;
    while (last > 0 && memchr(" \t\r\n", kept.data[last - 1], 4) != NULL) {
        last--;
    }
    if (last > 0 && kept.data[last - 1] != '{') {
        buf_char(out, ',');
    }
    if (domain.data != NULL) {
        buf_json_key(out, "destination_domain");
        buf_json_str(out, domain.data, domain.len);
        buf_char(out, ',');
    }
    buf_json_key(out, "attribution");
    attribution_full_json(out, attribution);
    buf_add(out, "}\n", 2);
}

static void pass_through(struct sink *sink, struct buf *out, const struct flow_record *record)
{
    (void)sink;
    buf_add(out, record->kept.data, record->kept.len);
    buf_char(out, '\n');
}

const struct sink_kind SINK_INLINE = {
    .name = "inline",
    .description = "the original JSON record with destination_domain and attribution added",
    .keeps_json = true,
    .flow = put_flow,
    .left_out = pass_through,
};
