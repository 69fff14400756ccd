/* api/json_sightings.c -- the index the other way round, as JSON
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_sightings.h"

#include <string.h>
#include <xxhash.h>

#include "api/json.h"
#include "base/clock.h"
#include "join/attribute.h"

/* One list being made: what is asked of the index, and the page that comes of it. */
struct listing {
    struct store_view *view;
    const struct sightings_query *query;
    struct page page;
    bool rendering; /* second pass */

    enum { BY_NAME, BY_CLIENT } by;
    const struct name *name;
    bool under;
    struct addr addr; /* the client or the address asked for */

    int64_t slice_from_us; /* only sightings whose key lies in this slice */
    int64_t slice_to_us;
};

static uint64_t hash_answer(const struct answer *answer, uint64_t seed)
{
    uint64_t hash = XXH3_64bits_withSeed(answer->asked, name_wire_len(answer->asked), seed);
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        hash = XXH3_64bits_withSeed(answer->chain[i], name_wire_len(answer->chain[i]), hash);
    }
    hash = XXH3_64bits_withSeed(answer->v4, (size_t)answer->v4_count * 4, hash);
    return XXH3_64bits_withSeed(answer->v6, (size_t)answer->v6_count * 16, hash) + answer->source;
}

static void put_answer(struct buf *buf, const struct answer *answer)
{
    json_name_member(buf, "asked", answer->asked);
    buf_str(buf, ",\"via\":\"");
    buf_str(buf, via_name(answer->via == ANSWER_VIA_SRV ? VIA_SRV : VIA_CLIENT));
    if (answer->source != ANSWER_FROM_DNSTAP) {
        buf_str(buf, "\",\"source\":\"");
        buf_str(buf, answer_source_name(answer->source));
    }
    buf_str(buf, "\",\"chain\":[");
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        buf_str(buf, i == 0 ? "" : ",");
        json_name(buf, answer->chain[i]);
    }
    buf_char(buf, ']');
}

static void put_addresses(struct buf *buf, const struct answer *answer)
{
    size_t count = (size_t)answer->v4_count + answer->v6_count;
    size_t shown = count < SIGHTING_ADDRESSES_MAX ? count : SIGHTING_ADDRESSES_MAX;
    buf_str(buf, ",\"addresses\":[");
    for (size_t i = 0; i < shown; i++) {
        struct addr addr = answer_addr(answer, i);
        buf_str(buf, i == 0 ? "" : ",");
        json_addr(buf, &addr);
    }
    buf_str(buf, "],\"addresses_left_out\":");
    buf_int(buf, (int64_t)(count - shown));
}

static void put_sighting(struct buf *buf, const struct store_sighting *sighting)
{
    buf_str(buf, "{\"client\":");
    json_addr(buf, &sighting->client);
    buf_char(buf, ',');
    put_answer(buf, sighting->answer);
    put_addresses(buf, sighting->answer);
    json_time_member(buf, ",\"first\":", sighting->first_us);
    json_time_member(buf, ",\"last\":", sighting->last_us);
    json_time_member(buf, ",\"expiry\":", sighting->expiry_us);
    json_count_member(buf, ",\"count\":", sighting->count);
    json_bool_member(buf, ",\"approximate\":", sighting->approximate);
    buf_char(buf, '}');
}

/* The latest answer kept that is not after to_us: what a sighting is sorted by. */
static int64_t latest_us(const struct store_sighting *sighting, int64_t to_us)
{
    if (sighting->last_us <= to_us) {
        return sighting->last_us;
    }
    uint32_t at = sighting->time_count;
    while (at > 0 && sighting->times[at - 1] > to_us) {
        at--;
    }
    return at > 0 ? sighting->times[at - 1] : sighting->first_us;
}

static bool on_sighting(void *ctx, const struct store_sighting *sighting)
{
    struct listing *listing = ctx;
    struct page_key key = {
        .time_us = latest_us(sighting, listing->query->to_us),
        .addr = sighting->client,
        .hash = hash_answer(sighting->answer, (uint64_t)sighting->first_us),
    };
    /* A sighting that reaches over several slices belongs to that of its latest answer. */
    if (key.time_us < listing->slice_from_us || key.time_us > listing->slice_to_us) {
        return true;
    }
    if (!listing->rendering) {
        page_offer(&listing->page, &key);
        return true;
    }
    struct buf *row = page_row(&listing->page, &key);
    if (row != NULL) {
        put_sighting(row, sighting);
    }
    return true;
}

static int visit_slice(struct listing *listing)
{
    const char *cluster = listing->query->cluster;
    if (listing->by == BY_NAME) {
        return store_by_name(listing->view, cluster, listing->name->wire, listing->under,
                             listing->slice_from_us, listing->slice_to_us, on_sighting, listing);
    }
    return store_by_client(listing->view, cluster, &listing->addr, listing->slice_from_us,
                           listing->slice_to_us, on_sighting, listing);
}

/* Goes back day by day, as the index is laid out, until the page is full: the newest page of a name
 * asked all the time does not read all days. */
static int visit_days(struct listing *listing, int64_t from_us, int64_t to_us)
{
    while (to_us >= from_us) {
        int64_t day_us = to_us - to_us % US_PER_DAY;
        listing->slice_from_us = day_us > from_us ? day_us : from_us;
        listing->slice_to_us = to_us;
        int err = visit_slice(listing);
        if (err < 0) {
            return err;
        }
        if (!listing->rendering && page_is_settled(&listing->page, listing->slice_from_us)) {
            return 0;
        }
        to_us = listing->slice_from_us - 1;
    }
    return 0;
}

/* The span in which rows of this page can be: within what is asked and what there is. */
static int page_span(const struct listing *listing, int64_t *from_us, int64_t *to_us)
{
    const struct sightings_query *query = listing->query;
    struct store_status status;
    int err = store_status(listing->view, &status);
    if (err < 0) {
        return err;
    }
    *from_us = query->from_us > status.first_us ? query->from_us : status.first_us;
    *to_us = query->to_us < status.last_us ? query->to_us : status.last_us;
    if (query->has_after && query->after.time_us < *to_us) {
        *to_us = query->after.time_us;
    }
    return 0;
}

static int list_sightings(struct buf *buf, struct listing *listing)
{
    const struct sightings_query *query = listing->query;
    int64_t from_us = 0, to_us = 0;
    int err = page_init(&listing->page, query->limit, query->has_after ? &query->after : NULL);
    err = err == 0 ? page_span(listing, &from_us, &to_us) : err;
    err = err == 0 ? visit_days(listing, from_us, to_us) : err;
    if (err == 0 && listing->page.count > 0) {
        page_sort(&listing->page);
        listing->rendering = true;
        err = visit_days(listing, listing->page.rows[listing->page.count - 1].key.time_us,
                         listing->page.rows[0].key.time_us);
    }
    err = err == 0 ? page_json(buf, &listing->page, "sightings") : err;
    page_fini(&listing->page);
    buf_char(buf, '}');
    return err;
}

int json_names(struct buf *buf, struct store_view *view, const struct sightings_query *query,
               const struct name *name, bool under)
{
    struct listing listing = {
        .view = view, .query = query, .by = BY_NAME, .name = name, .under = under};
    buf_char(buf, '{');
    json_name_member(buf, "name", name->wire);
    json_bool_member(buf, ",\"under\":", under);
    json_text_member(buf, ",\"cluster\":", query->cluster);
    buf_char(buf, ',');
    return list_sightings(buf, &listing);
}

int json_clients(struct buf *buf, struct store_view *view, const struct sightings_query *query,
                 const struct addr *client)
{
    struct listing listing = {.view = view, .query = query, .by = BY_CLIENT, .addr = *client};
    struct store_client seen = {0};
    int err = store_client_seen(view, query->cluster, client, query->from_us, query->to_us, &seen);
    if (err < 0) {
        return err;
    }
    buf_str(buf, "{\"client\":");
    json_addr(buf, client);
    json_text_member(buf, ",\"cluster\":", query->cluster);
    json_bool_member(buf, ",\"asked\":", seen.asked);
    json_bool_member(buf, ",\"capped\":", seen.capped);
    buf_char(buf, ',');
    return list_sightings(buf, &listing);
}

static void put_shared(struct buf *buf, const struct addr *address,
                       const struct store_shared *shared)
{
    buf_str(buf, "{\"address\":");
    json_addr(buf, address);
    buf_char(buf, ',');
    put_answer(buf, shared->answer);
    json_count_member(buf, ",\"clients\":", shared->clients);
    json_bool_member(buf, ",\"clients_at_least\":", shared->clients_at_least);
    json_time_member(buf, ",\"last\":", shared->last_us);
    json_time_member(buf, ",\"expiry\":", shared->expiry_us);
    json_count_member(buf, ",\"count\":", shared->count);
    buf_char(buf, '}');
}

static bool on_shared(void *ctx, const struct store_shared *shared)
{
    struct listing *listing = ctx;
    const uint8_t *asked = shared->answer->asked;
    struct page_key key = {
        .time_us = shared->last_us,
        .addr = listing->addr,
        .hash = XXH3_64bits(asked, name_wire_len(asked)),
    };
    if (!listing->rendering) {
        page_offer(&listing->page, &key);
        return true;
    }
    struct buf *row = page_row(&listing->page, &key);
    if (row != NULL) {
        put_shared(row, &listing->addr, shared);
    }
    return true;
}

int json_addresses(struct buf *buf, struct store_view *view, const struct sightings_query *query,
                   const struct addr *address)
{
    struct listing listing = {.view = view, .query = query, .addr = *address};
    buf_str(buf, "{\"address\":");
    json_addr(buf, address);
    json_text_member(buf, ",\"cluster\":", query->cluster);
    buf_char(buf, ',');
    int err = page_init(&listing.page, query->limit, query->has_after ? &query->after : NULL);
    /* Both passes cover the whole span: the counts of a name are over all its answers. */
    for (int pass = 0; pass < 2 && err >= 0; pass++) {
        err = store_shared_names(view, query->cluster, address, query->from_us, query->to_us,
                                 on_shared, &listing);
        if (pass == 0) {
            page_sort(&listing.page);
            listing.rendering = true;
        }
    }
    err = err >= 0 ? page_json(buf, &listing.page, "names") : err;
    page_fini(&listing.page);
    buf_char(buf, '}');
    return err;
}
