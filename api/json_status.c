/* api/json_status.c -- what there is and when nobody was watching, as JSON
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json_status.h"

#include <string.h>

#include "api/json.h"
#include "base/clock.h"

/* Clusters whose blind intervals a status shows. */
#define CLUSTERS_MAX 64

/* The streams or blind intervals of one body. The index gives them by start, and the latest are
 * wanted: a first pass counts, a second writes without the first `skip`. */
struct list {
    struct buf *buf;     /* NULL while counting */
    const char *cluster; /* NULL: of any */
    int64_t from_us;     /* streams: only those that touch the span */
    int64_t to_us;
    int64_t pending_us; /* blind intervals: nobody could be heard from here on so far */
    uint64_t count;
    uint64_t skip;
};

/* The last commit where more of them are to be expected, else never. */
static int64_t pending_from(int64_t alive_us, int64_t now_us)
{
    return now_us - alive_us < STORE_COMMIT_LAG_US ? alive_us : INT64_MAX;
}

/* True if this row is to be written now. */
static bool list_next(struct list *list)
{
    list->count++;
    if (list->buf == NULL || list->count <= list->skip) {
        return false;
    }
    buf_str(list->buf, list->count == list->skip + 1 ? "\n" : ",\n");
    return true;
}

static void list_begin_writing(struct list *list, struct buf *buf)
{
    list->buf = buf;
    list->skip = list->count > STATUS_LIST_MAX ? list->count - STATUS_LIST_MAX : 0;
    list->count = 0;
}

static bool on_stream(void *ctx, const struct store_stream *stream)
{
    static const char *const ENDS[] = {
        [STREAM_OPEN] = "open", [STREAM_STOPPED] = "stopped", [STREAM_CUT] = "cut"};
    static const char *const KINDS[] = {
        [STREAM_LIVE] = "live", [STREAM_CAPTURE] = "capture", [STREAM_PARTIAL] = "partial"};
    struct list *list = ctx;
    bool open = stream->end == STREAM_OPEN;
    bool touches =
        stream->from_us <= list->to_us && (open || stream->committed_us >= list->from_us);
    bool wanted = list->cluster == NULL || strcmp(list->cluster, stream->cluster) == 0;
    if (!touches || !wanted || !list_next(list)) {
        return true;
    }
    struct buf *buf = list->buf;
    json_text_member(buf, "{\"kind\":", KINDS[stream->kind]);
    json_text_member(buf, ",\"end\":", ENDS[stream->end]);
    json_text_member(buf, ",\"cluster\":", stream->cluster);
    json_text_member(buf, ",\"identity\":", stream->identity);
    json_text_member(buf, ",\"version\":", stream->version);
    json_text_member(buf, ",\"peer\":", stream->peer);
    json_time_member(buf, ",\"from\":", stream->from_us);
    json_time_member(buf, ",\"committed\":", stream->committed_us);
    buf_char(buf, '}');
    return true;
}

static bool on_blind(void *ctx, const struct store_blind *blind)
{
    struct list *list = ctx;
    bool pending = blind->open && blind->sender[0] == '\0' && blind->from_us >= list->pending_us;
    if (pending || !list_next(list)) {
        return true;
    }
    struct buf *buf = list->buf;
    json_time_member(buf, "{\"from\":", blind->from_us);
    json_time_member(buf, ",\"to\":", blind->to_us);
    json_bool_member(buf, ",\"open\":", blind->open);
    json_text_member(buf, ",\"cluster\":", blind->cluster);
    json_text_member(buf, ",\"sender\":", blind->sender);
    json_text_member(buf, ",\"reason\":", blind->reason);
    json_count_member(buf, ",\"lost\":", blind->lost);
    buf_char(buf, '}');
    return true;
}

/* `,"streams":[…],"streams_left_out":N` */
static int put_streams(struct buf *buf, struct store_view *view, struct list list)
{
    int err = store_streams(view, on_stream, &list);
    if (err < 0) {
        return err;
    }
    list_begin_writing(&list, buf);
    buf_str(buf, ",\"streams\":[");
    err = store_streams(view, on_stream, &list);
    buf_str(buf, "\n]");
    json_count_member(buf, ",\"streams_left_out\":", list.skip);
    return err;
}

/* The clusters that streams are of, and the one asked for. */
struct clusters {
    size_t count;
    char names[CLUSTERS_MAX][STORE_CLUSTER_MAX + 1];
};

static void add_cluster(struct clusters *clusters, const char *name)
{
    for (size_t i = 0; i < clusters->count; i++) {
        if (strcmp(clusters->names[i], name) == 0) {
            return;
        }
    }
    size_t len = strlen(name);
    if (clusters->count < CLUSTERS_MAX && len <= STORE_CLUSTER_MAX) {
        memcpy(clusters->names[clusters->count++], name, len + 1);
    }
}

static bool on_stream_cluster(void *ctx, const struct store_stream *stream)
{
    add_cluster(ctx, stream->cluster);
    return true;
}

/* Visits the blind intervals of each cluster in turn. */
static int visit_blinds(struct store_view *view, const struct clusters *clusters, int64_t now_us,
                        struct list *list)
{
    for (size_t i = 0; i < clusters->count; i++) {
        int err = store_blinds(view, clusters->names[i], list->from_us, list->to_us, now_us,
                               on_blind, list);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* `,"blind":[…],"blind_left_out":N` */
static int put_blinds(struct buf *buf, struct store_view *view, const struct clusters *clusters,
                      int64_t now_us, struct list list)
{
    int err = visit_blinds(view, clusters, now_us, &list);
    if (err < 0) {
        return err;
    }
    list_begin_writing(&list, buf);
    buf_str(buf, ",\"blind\":[");
    err = visit_blinds(view, clusters, now_us, &list);
    buf_str(buf, "\n]");
    json_count_member(buf, ",\"blind_left_out\":", list.skip);
    return err;
}

static void put_totals(struct buf *buf, const struct store_status *status, int64_t now_us)
{
    json_text_member(buf, "{\"version\":", WHITHER_VERSION);
    json_time_member(buf, ",\"now\":", now_us);
    json_time_member(buf, ",\"span\":{\"first\":", status->first_us);
    json_time_member(buf, ",\"last\":", status->last_us);
    json_time_member(buf, "},\"alive\":", status->alive_us);
    json_count_member(buf, ",\"windows\":", status->windows);
    json_count_member(buf, ",\"bytes\":", status->bytes);
    json_count_member(buf, ",\"sightings\":", status->sightings);
    json_count_member(buf, ",\"answers\":", status->answers);
    json_count_member(buf, ",\"times\":", status->times);
    json_count_member(buf, ",\"clients\":", status->clients);
    json_count_member(buf, ",\"names\":", status->names);
    json_count_member(buf, ",\"answer_sets\":", status->answer_sets);
}

/* `,"owners":{…}`: `latest` is the last that is known of any. */
static void put_owners(struct buf *buf, const struct owners_status *owners)
{
    json_count_member(buf, ",\"owners\":{\"intervals\":", owners->intervals);
    json_count_member(buf, ",\"open\":", owners->open);
    json_count_member(buf, ",\"hints\":", owners->hints);
    json_time_member(buf, ",\"latest\":", owners->latest_us);
    json_count_member(buf, ",\"forgotten\":", owners->forgotten);
    json_count_member(buf, ",\"refused\":", owners->refused);
    buf_char(buf, '}');
}

/* `,"watches":[…]` */
static void put_watches(struct buf *buf, const struct k8s_status *watches)
{
    static const char *const STATES[] = {[K8S_STATE_LISTING] = "listing",
                                         [K8S_STATE_WATCHING] = "watching",
                                         [K8S_STATE_WAITING] = "waiting"};
    buf_str(buf, ",\"watches\":[");
    for (int kind = 0; kind < K8S_KINDS && watches != NULL; kind++) {
        const struct k8s_status *watch = &watches[kind];
        buf_str(buf, kind == 0 ? "\n" : ",\n");
        json_text_member(buf, "{\"kind\":", k8s_kind_name((enum k8s_kind)kind));
        json_text_member(buf, ",\"state\":", STATES[watch->state]);
        json_bool_member(buf, ",\"complete\":", watch->complete);
        json_time_member(buf, ",\"heard\":", watch->heard_us);
        json_text_member(buf, ",\"problem\":", watch->problem.text);
        buf_char(buf, '}');
    }
    buf_str(buf, "\n]");
}

int json_status(struct buf *buf, struct store_view *view, const char *cluster, int64_t now_us,
                const struct owners_status *owners, const struct k8s_status *watches)
{
    struct store_status status;
    struct clusters clusters = {0};
    add_cluster(&clusters, cluster);
    int err = store_status(view, &status);
    err = err < 0 ? err : store_streams(view, on_stream_cluster, &clusters);
    if (err < 0) {
        return err;
    }
    put_totals(buf, &status, now_us);
    struct list streams = {.from_us = INT64_MIN, .to_us = INT64_MAX};
    err = put_streams(buf, view, streams);
    if (err >= 0) {
        struct list blinds = {.from_us = status.first_us,
                              .to_us = now_us,
                              .pending_us = pending_from(status.alive_us, now_us)};
        err = put_blinds(buf, view, &clusters, now_us, blinds);
    }
    if (owners != NULL && owners->intervals > 0) {
        put_owners(buf, owners);
    }
    put_watches(buf, watches);
    buf_str(buf, "}");
    return err < 0 ? err : buf->err;
}

int json_coverage(struct buf *buf, struct store_view *view, const struct coverage_query *query)
{
    static const char *const COVERS[] = {[COVER_WHOLE] = "whole",
                                         [COVER_ASSUMED] = "assumed",
                                         [COVER_GAP] = "gap",
                                         [COVER_UNSETTLED] = "unsettled"};
    struct store_status status;
    struct clusters clusters = {0};
    add_cluster(&clusters, query->cluster);
    int err = store_status(view, &status);
    if (err < 0) {
        return err;
    }
    enum store_cover cover = store_cover(view, query->cluster, query->from_us, query->to_us,
                                         query->now_us, query->settle_us);
    json_text_member(buf, "{\"cluster\":", query->cluster);
    json_time_member(buf, ",\"from\":", query->from_us);
    json_time_member(buf, ",\"to\":", query->to_us);
    json_text_member(buf, ",\"coverage\":", COVERS[cover]);
    if (query->expected > 0) {
        json_count_member(buf, ",\"expected\":", query->expected);
    } else {
        buf_str(buf, ",\"expected\":null");
    }
    struct list list = {.cluster = query->cluster,
                        .from_us = query->from_us,
                        .to_us = query->to_us,
                        .pending_us = pending_from(status.alive_us, query->now_us)};
    err = put_streams(buf, view, list);
    err = err < 0 ? err : put_blinds(buf, view, &clusters, query->now_us, list);
    buf_str(buf, "}");
    return err < 0 ? err : buf->err;
}
