/* store/cover.c -- when somebody was watching, and when not
 * SPDX-License-Identifier: Apache-2.0
 *
 * Blind intervals are derived here from streams and losses; see state.h for the four kinds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/view.h"

/* How far a connection may reach back before the end of the one that it replaces. */
#define OVERLAP_US (10 * US_PER_S)

static bool concerns(const char *of, const char *cluster)
{
    return of[0] == '\0' || strcmp(of, cluster) == 0;
}

static int by_start(const void *a, const void *b)
{
    const struct gap *x = a;
    const struct gap *y = b;
    return x->from_us < y->from_us ? -1 : x->from_us > y->from_us;
}

/* A cut opens a gap at its last frame; the stream of the same sender that begins next after it
 * closes it. Numbers ascend with time, and each stream closes one gap only: a sender with two
 * connections must come back twice. */
static int close_cuts(const struct state_copy *state, int64_t *until_us)
{
    for (size_t i = 0; i < state->stream_count; i++) {
        const struct state_stream *cut = &state->streams[i];
        until_us[i] = cut->committed_us + STATE_EXPECTED_US;
    }
    bool *used = calloc(state->stream_count + 1, sizeof(*used));
    if (used == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < state->stream_count; i++) {
        const struct state_stream *cut = &state->streams[i];
        if (cut->end != STREAM_CUT || cut->kind != STREAM_LIVE) {
            continue;
        }
        for (size_t j = i + 1; j < state->stream_count; j++) {
            const struct state_stream *next = &state->streams[j];
            bool same = strcmp(next->identity, cut->identity) == 0 &&
                        strcmp(next->cluster, cut->cluster) == 0 && next->kind == STREAM_LIVE;
            /* One that began while the other was still heard is a second connection; what a sender
             * sends again overlaps by less. */
            if (same && !used[j] && next->committed_us >= cut->committed_us &&
                next->from_us + OVERLAP_US >= cut->committed_us) {
                used[j] = true;
                until_us[i] = next->from_us < until_us[i] ? next->from_us : until_us[i];
                break;
            }
        }
    }
    free(used);
    return 0;
}

/* True if the number of senders was known when the stream was cut, and falls with it: no other
 * connection of that sender went on. */
static bool number_tells(const struct state_copy *state, const struct state_stream *cut)
{
    int64_t next_us;
    bool known = state->expected > 0 || expected_at(state->expectations, state->expectation_count,
                                                    cut->cluster, cut->committed_us, &next_us) > 0;
    for (size_t i = 0; i < state->stream_count && known; i++) {
        const struct state_stream *other = &state->streams[i];
        bool same = other != cut && other->kind == STREAM_LIVE && cut->identity[0] != '\0' &&
                    strcmp(other->identity, cut->identity) == 0 &&
                    strcmp(other->cluster, cut->cluster) == 0;
        if (same && other->from_us <= cut->committed_us &&
            (other->end == STREAM_OPEN || other->committed_us > cut->committed_us)) {
            return false;
        }
    }
    return known;
}

int cover_derive(struct store_view *view)
{
    const struct state_copy *state = &view->state;
    size_t max = state->stream_count + state->loss_count;
    int64_t *until_us = calloc(state->stream_count + 1, sizeof(*until_us));
    struct gap *gaps = calloc(max + 1, sizeof(*gaps));
    struct listened *listened = calloc(state->stream_count + 1, sizeof(*listened));
    if (until_us == NULL || gaps == NULL || listened == NULL || close_cuts(state, until_us) != 0) {
        free(until_us);
        free(gaps);
        free(listened);
        return -ENOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i < state->stream_count; i++) {
        const struct state_stream *stream = &state->streams[i];
        bool cut = stream->end == STREAM_CUT && stream->kind == STREAM_LIVE;
        if (cut && until_us[i] > stream->committed_us && !number_tells(state, stream)) {
            gaps[count++] = (struct gap){stream->committed_us, until_us[i], stream->cluster,
                                         stream->identity,     "cut",       0};
        }
    }
    for (size_t i = 0; i < state->loss_count; i++) {
        const struct state_loss *loss = &state->losses[i];
        gaps[count++] =
            (struct gap){loss->from_us, loss->to_us, loss->cluster, "", loss->reason, loss->count};
    }
    qsort(gaps, count, sizeof(*gaps), by_start);
    free(until_us);
    free(view->gaps);
    free(view->listened);
    view->gaps = gaps;
    view->gap_count = count;
    view->listened = listened;
    return 0;
}

static int by_from(const void *a, const void *b)
{
    const struct listened *x = a;
    const struct listened *y = b;
    return x->from_us < y->from_us ? -1 : x->from_us > y->from_us;
}

/* The time a stream counts as heard to: committed, and for a quiet one that is still connected
 * up to `settle` before the service was last known alive. */
static int64_t heard_to(const struct state_copy *state, const struct state_stream *stream,
                        int64_t now_us, int64_t settle_us)
{
    int64_t heard_us = stream->committed_us;
    if (stream->kind == STREAM_LIVE && stream->end == STREAM_OPEN) {
        int64_t alive_us = state->alive_us < now_us ? state->alive_us : now_us;
        heard_us = alive_us - settle_us > heard_us ? alive_us - settle_us : heard_us;
    }
    return heard_us;
}

/* Who listened in a span. */
struct watch {
    const char *cluster;
    bool known;      /* the cluster ever had a stream */
    size_t count;    /* spans in view->listened that touch the span, by start */
    int64_t open_us; /* how far the least heard of the connected streams is heard; INT64_MAX if none
                        is */
};

static struct watch gather(struct store_view *view, const char *cluster, int64_t from_us,
                           int64_t to_us, int64_t now_us, int64_t settle_us)
{
    struct watch watch = {.cluster = cluster, .open_us = INT64_MAX};
    for (size_t i = 0; i < view->state.stream_count; i++) {
        const struct state_stream *stream = &view->state.streams[i];
        if (!concerns(stream->cluster, cluster)) {
            continue;
        }
        watch.known = true;
        if (stream->kind == STREAM_PARTIAL) {
            continue;
        }
        int64_t heard_us = heard_to(&view->state, stream, now_us, settle_us);
        if (stream->kind == STREAM_LIVE && stream->end == STREAM_OPEN && heard_us < watch.open_us) {
            watch.open_us = heard_us;
        }
        if (heard_us >= from_us && stream->from_us <= to_us) {
            view->listened[watch.count++] = (struct listened){stream->from_us, heard_us, stream};
        }
    }
    qsort(view->listened, watch.count, sizeof(*view->listened), by_from);
    return watch;
}

/* True if the same sender listens at the instant by a connection that is earlier in the list:
 * CoreDNS opens one for each server block. Streams without an identity are senders of their own. */
static bool counted(const struct listened *listened, size_t at, int64_t at_us)
{
    const char *identity = listened[at].stream->identity;
    for (size_t i = 0; i < at && identity[0] != '\0'; i++) {
        if (listened[i].to_us > at_us && strcmp(listened[i].stream->identity, identity) == 0) {
            return true;
        }
    }
    return false;
}

/* How many senders listen at the instant, counted up to `need`; `*next_us` is when that may change
 * next. */
static uint32_t listening_at(const struct listened *listened, size_t count, uint32_t need,
                             int64_t at_us, int64_t *next_us)
{
    uint32_t listening = 0;
    *next_us = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (listened[i].from_us > at_us) {
            *next_us = listened[i].from_us < *next_us ? listened[i].from_us : *next_us;
            break;
        }
        if (listened[i].to_us > at_us) {
            listening += listening < need && !counted(listened, i, at_us);
            *next_us = listened[i].to_us < *next_us ? listened[i].to_us : *next_us;
        }
    }
    return listening;
}

/* How many must listen at the instant, and when that changes next. */
static uint32_t needed(const struct store_view *view, const char *cluster, int64_t at_us,
                       int64_t *next_us)
{
    const struct state_copy *state = &view->state;
    *next_us = INT64_MAX;
    uint64_t senders = state->expected;
    if (senders == 0) {
        senders =
            expected_at(state->expectations, state->expectation_count, cluster, at_us, next_us);
    }
    return senders > 0 ? (uint32_t)senders : 1;
}

/* Do enough listen at the instant? `*next_us` is when that may change next. */
static bool is_watched(const struct store_view *view, const struct watch *watch, int64_t at_us,
                       int64_t *next_us)
{
    int64_t change_us;
    uint32_t need = needed(view, watch->cluster, at_us, &change_us);
    bool enough = listening_at(view->listened, watch->count, need, at_us, next_us) >= need;
    *next_us = change_us < *next_us ? change_us : *next_us;
    return enough;
}

/* The first instant from `at_us` on at which enough listen, or not; INT64_MAX if there is none
 * before `to_us`. */
static int64_t first_instant(const struct store_view *view, const struct watch *watch, bool watched,
                             int64_t at_us, int64_t to_us)
{
    while (at_us < to_us) {
        int64_t next_us;
        if (is_watched(view, watch, at_us, &next_us) == watched) {
            return at_us;
        }
        at_us = next_us;
    }
    return INT64_MAX;
}

/* Why the answers of a day that had some are not there; NULL if they are. */
static const char *day_gone(const struct store_view *view, const struct day_row *day)
{
    for (size_t i = 0; i < view->window_count; i++) {
        if (view->windows[i].window->start_us == day->start_us) {
            return NULL;
        }
    }
    return day->dropped != 0 ? "dropped" : "missing";
}

/* The first day from number `*at` on within the span whose answers are gone; NULL if there is none.
 */
static const struct day_row *next_gone(const struct store_view *view, int64_t from_us,
                                       int64_t to_us, size_t *at)
{
    const struct state_copy *state = &view->state;
    for (; *at < state->day_count; ++*at) {
        const struct day_row *day = &state->days[*at];
        if (day->start_us + WINDOW_US > from_us && day->start_us <= to_us &&
            day_gone(view, day) != NULL) {
            return day;
        }
    }
    return NULL;
}

enum store_cover store_cover(struct store_view *view, const char *cluster, int64_t from_us,
                             int64_t to_us, int64_t now_us, int64_t settle_us)
{
    struct watch watch = gather(view, cluster, from_us, to_us, now_us, settle_us);
    if (!watch.known) {
        return COVER_ASSUMED;
    }
    for (size_t i = 0; i < view->gap_count && view->gaps[i].from_us <= to_us; i++) {
        if (view->gaps[i].to_us >= from_us && concerns(view->gaps[i].cluster, cluster)) {
            return COVER_GAP;
        }
    }
    size_t at = 0;
    if (next_gone(view, from_us, to_us, &at) != NULL) {
        return COVER_GAP;
    }
    int64_t unwatched_us = first_instant(view, &watch, false, from_us, to_us);
    if (unwatched_us == INT64_MAX && watch.open_us >= to_us) {
        return COVER_WHOLE;
    }
    /* Only the end of the span is missing, and those who are connected may still tell of it, unless
     * so much time has passed that nobody commits any more. */
    bool may_tell =
        unwatched_us >= watch.open_us && now_us - to_us < settle_us + STORE_COMMIT_LAG_US;
    return may_tell ? COVER_UNSETTLED : COVER_GAP;
}

bool store_settled(struct store_view *view, const char *cluster, int64_t time_us, int64_t now_us,
                   int64_t settle_us)
{
    if (now_us - time_us >= settle_us) {
        return true;
    }
    for (size_t i = 0; i < view->state.stream_count; i++) {
        const struct state_stream *stream = &view->state.streams[i];
        if (stream->kind == STREAM_LIVE && stream->end == STREAM_OPEN &&
            concerns(stream->cluster, cluster) && stream->committed_us < time_us) {
            return false;
        }
    }
    return true;
}

int store_streams(struct store_view *view, store_stream_fn fn, void *ctx)
{
    for (size_t i = 0; i < view->state.stream_count; i++) {
        const struct state_stream *stream = &view->state.streams[i];
        struct store_stream out = {
            .number = stream->number,
            .kind = (enum store_stream_kind)stream->kind,
            .end = (enum store_stream_end)stream->end,
            .cluster = stream->cluster,
            .identity = stream->identity,
            .version = stream->version,
            .peer = stream->peer,
            .from_us = stream->from_us,
            .committed_us = stream->committed_us,
        };
        if (!fn(ctx, &out)) {
            return 1;
        }
    }
    return 0;
}

int store_tally(struct store_view *view, uint32_t number, struct tally *tally)
{
    return state_read_tally(view->store->state, number, tally);
}

/* Adds what too few streams cover within the span to `gaps`, of which there is room for `max`;
 * returns their number. */
static size_t add_unwatched(struct store_view *view, const struct watch *watch, int64_t from_us,
                            int64_t to_us, struct gap *gaps, size_t max)
{
    size_t count = 0;
    int64_t at_us = from_us;
    while (count < max && (at_us = first_instant(view, watch, false, at_us, to_us)) != INT64_MAX) {
        int64_t change_us, next_us;
        uint32_t need = needed(view, watch->cluster, at_us, &change_us);
        int64_t until_us = first_instant(view, watch, true, at_us, to_us);
        until_us = until_us < to_us ? until_us : to_us;
        if (change_us < until_us &&
            (needed(view, watch->cluster, change_us, &next_us) > 1) != (need > 1)) {
            until_us = change_us; /* the reason is another from there on */
        }
        gaps[count++] = (struct gap){
            at_us, until_us, watch->cluster, "", need > 1 ? "too-few-senders" : "no-sender", 0};
        at_us = until_us;
    }
    return count;
}

/* Adds the days whose answers are gone. */
static size_t add_gone(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                       struct gap *gaps)
{
    const struct day_row *day;
    size_t count = 0;
    for (size_t at = 0; (day = next_gone(view, from_us, to_us, &at)) != NULL; at++) {
        gaps[count++] = (struct gap){
            day->start_us, day->start_us + WINDOW_US, cluster, "", day_gone(view, day), 0};
    }
    return count;
}

int store_blinds(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                 int64_t now_us, store_blind_fn fn, void *ctx)
{
    int64_t end_us = to_us < now_us ? to_us : now_us;
    struct watch watch = gather(view, cluster, from_us, end_us, now_us, 0);
    if (!watch.known) {
        return 0;
    }
    size_t unwatched_max = 2 * watch.count + view->state.expectation_count + 2;
    struct gap *gaps =
        calloc(view->gap_count + unwatched_max + view->state.day_count, sizeof(*gaps));
    if (gaps == NULL) {
        return -ENOMEM;
    }
    size_t count = add_unwatched(view, &watch, from_us, end_us, gaps, unwatched_max);
    count += add_gone(view, cluster, from_us, end_us, gaps + count);
    for (size_t i = 0; i < view->gap_count; i++) {
        const struct gap *gap = &view->gaps[i];
        if (gap->to_us >= from_us && gap->from_us <= end_us && concerns(gap->cluster, cluster)) {
            gaps[count++] = *gap;
        }
    }
    qsort(gaps, count, sizeof(*gaps), by_start);
    int stopped = 0;
    for (size_t i = 0; i < count && !stopped; i++) {
        struct store_blind blind = {
            .from_us = gaps[i].from_us,
            .to_us = gaps[i].to_us < now_us ? gaps[i].to_us : now_us,
            .open = gaps[i].to_us >= now_us,
            .cluster = gaps[i].cluster,
            .sender = gaps[i].sender,
            .reason = gaps[i].reason,
            .lost = gaps[i].lost,
        };
        stopped = !fn(ctx, &blind);
    }
    free(gaps);
    return stopped;
}
