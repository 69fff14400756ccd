/* join/attribution_json.c -- the "attribution" object of DESIGN section 5
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/clock.h"
#include "join/attribute.h"

static void put_name(struct buf *buf, const struct name *name)
{
    char text[NAME_TEXT_MAX];
    size_t len = name_to_text(name->wire, text);
    buf_json_str(buf, text, len);
}

static void put_bool(struct buf *buf, bool value)
{
    buf_str(buf, value ? "true" : "false");
}

static void put_candidate(struct buf *buf, const struct candidate *candidate)
{
    char time[TIME_TEXT_MAX];
    buf_str(buf, "{\"name\":");
    put_name(buf, &candidate->name);
    buf_str(buf, ",\"asked\":");
    put_name(buf, &candidate->asked);
    buf_str(buf, ",\"live\":");
    put_bool(buf, candidate->live);
    buf_str(buf, ",\"last\":\"");
    buf_add(buf, time, time_print(candidate->answer_us, time));
    buf_str(buf, "\",\"age_ms\":");
    buf_int(buf, candidate->age_us / 1000);
    buf_str(buf, ",\"ttl_s\":");
    buf_int(buf, candidate->ttl_s);
    buf_str(buf, ",\"count\":");
    buf_int(buf, candidate->count);
    if (candidate->via == VIA_SHARED) {
        buf_str(buf, ",\"clients\":");
        buf_int(buf, candidate->clients);
    }
    buf_str(buf, ",\"chain\":[");
    for (uint8_t i = 0; i < candidate->chain_count; i++) {
        if (i > 0) {
            buf_char(buf, ',');
        }
        put_name(buf, &candidate->chain[i]);
    }
    buf_str(buf, "],\"via\":\"");
    buf_str(buf, via_name(candidate->via));
    buf_char(buf, '"');
    if (candidate->source != ANSWER_FROM_DNSTAP) {
        buf_str(buf, ",\"source\":\"");
        buf_str(buf, answer_source_name(candidate->source));
        buf_char(buf, '"');
    }
    buf_char(buf, '}');
}

void attribution_json(struct buf *buf, const struct attribution *attribution)
{
    buf_str(buf, "{\"verdict\":\"");
    buf_str(buf, verdict_name(attribution->verdict));
    buf_char(buf, '"');
    if (attribution->reason != NULL) {
        buf_str(buf, ",\"reason\":\"");
        buf_str(buf, attribution->reason);
        buf_char(buf, '"');
    }
    buf_str(buf, ",\"owner_known\":");
    put_bool(buf, attribution->owner_known);
    buf_str(buf, ",\"coverage\":");
    buf_str(buf, attribution->coverage_assumed ? "\"assumed\"" : "\"known\"");
    buf_str(buf, ",\"ambiguous\":");
    put_bool(buf, attribution->ambiguous);
    if (attribution->candidate_count > 0) {
        buf_str(buf, ",\"age_ms\":");
        buf_int(buf, attribution->candidates[0].age_us / 1000);
    }
    buf_str(buf, ",\"candidates\":[");
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        if (i > 0) {
            buf_char(buf, ',');
        }
        put_candidate(buf, &attribution->candidates[i]);
    }
    buf_str(buf, "],\"left_out\":");
    buf_int(buf, attribution->left_out);
    buf_char(buf, '}');
}

/* `"k8s":{…}` */
static void put_party(struct buf *buf, const struct party *party)
{
    const struct {
        const char *key;
        struct text text;
    } members[] = {
        {"namespace", party->namespace}, {"pod", party->pod},   {"service", party->service},
        {"workload", party->workload},   {"node", party->node},
    };
    const char *comma = "";
    buf_str(buf, "\"k8s\":{");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (members[i].text.len > 0) {
            buf_str(buf, comma);
            buf_json_key(buf, members[i].key);
            buf_json_str(buf, members[i].text.data, members[i].text.len);
            comma = ",";
        }
    }
    buf_char(buf, '}');
}

void attribution_full_json(struct buf *buf, const struct attribution *attribution)
{
    const char *kind = party_kind_name(attribution->destination.kind);
    attribution_json(buf, attribution);
    if (buf->err != 0) {
        return;
    }
    buf->len--; /* the closing brace: the object goes on */
    if (attribution->owner_known) {
        buf_str(buf, ",\"source\":{");
        put_party(buf, &attribution->source);
        buf_char(buf, '}');
    }
    if (kind != NULL) {
        buf_printf(buf, ",\"destination\":{\"kind\":\"%s\",", kind);
        put_party(buf, &attribution->destination);
        buf_char(buf, '}');
    }
    buf_char(buf, '}');
}
