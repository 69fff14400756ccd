/* join/attribution_json.c -- the "attribution" object of DESIGN section 5
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/clock.h"
#include "join/attribute.h"
#include "join/pen.h"

/* Everything but names: keys, numbers, words, times. */
enum { HEAD_ROOM = 256, CANDIDATE_ROOM = 320 };

static size_t room_of(const struct candidate *candidate)
{
    size_t room =
        CANDIDATE_ROOM + PEN_NAME_ROOM(candidate->name.len) + PEN_NAME_ROOM(candidate->asked.len);
    for (uint8_t i = 0; i < candidate->chain_count; i++) {
        room += PEN_NAME_ROOM(candidate->chain[i].len) + 1;
    }
    return room;
}

static void put_candidate(struct pen *pen, const struct candidate *candidate)
{
    PEN(pen, "{\"name\":");
    pen_name(pen, candidate->name.wire);
    PEN(pen, ",\"asked\":");
    pen_name(pen, candidate->asked.wire);
    PEN(pen, ",\"live\":");
    pen_bool(pen, candidate->live);
    PEN(pen, ",\"last\":");
    pen_time(pen, candidate->answer_us);
    PEN(pen, ",\"age_ms\":");
    pen_int(pen, candidate->age_us / 1000);
    PEN(pen, ",\"ttl_s\":");
    pen_uint(pen, candidate->ttl_s);
    PEN(pen, ",\"count\":");
    pen_uint(pen, candidate->count);
    if (candidate->via == VIA_SHARED) {
        PEN(pen, ",\"clients\":");
        pen_uint(pen, candidate->clients);
    }
    PEN(pen, ",\"chain\":[");
    for (uint8_t i = 0; i < candidate->chain_count; i++) {
        if (i > 0) {
            PEN(pen, ",");
        }
        pen_name(pen, candidate->chain[i].wire);
    }
    PEN(pen, "],\"via\":\"");
    pen_str(pen, via_name(candidate->via));
    PEN(pen, "\"");
    if (candidate->source != ANSWER_FROM_DNSTAP) {
        PEN(pen, ",\"source\":\"");
        pen_str(pen, answer_source_name(candidate->source));
        PEN(pen, "\"");
    }
    PEN(pen, "}");
}

static void put_head(struct pen *pen, const struct attribution *attribution)
{
    PEN(pen, "{\"verdict\":\"");
    pen_str(pen, verdict_name(attribution->verdict));
    PEN(pen, "\"");
    if (attribution->reason != NULL) {
        PEN(pen, ",\"reason\":\"");
        pen_str(pen, attribution->reason);
        PEN(pen, "\"");
    }
    PEN(pen, ",\"owner_known\":");
    pen_bool(pen, attribution->owner_known);
    PEN(pen, ",\"coverage\":\"");
    pen_str(pen, attribution->coverage_assumed ? "assumed" : "known");
    PEN(pen, "\",\"ambiguous\":");
    pen_bool(pen, attribution->ambiguous);
    if (attribution->candidate_count > 0) {
        PEN(pen, ",\"age_ms\":");
        pen_int(pen, attribution->candidates[0].age_us / 1000);
    }
    PEN(pen, ",\"candidates\":[");
}

void attribution_json(struct buf *buf, const struct attribution *attribution)
{
    struct pen pen;
    size_t room = HEAD_ROOM;
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        room += room_of(&attribution->candidates[i]);
    }
    if (!pen_begin(&pen, buf, room)) {
        return;
    }
    put_head(&pen, attribution);
    for (uint32_t i = 0; i < attribution->candidate_count; i++) {
        if (i > 0) {
            PEN(&pen, ",");
        }
        put_candidate(&pen, &attribution->candidates[i]);
    }
    PEN(&pen, "],\"left_out\":");
    pen_uint(&pen, attribution->left_out);
    PEN(&pen, "}");
    pen_end(&pen, buf);
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
