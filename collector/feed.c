/* collector/feed.c -- the frames of one connection, capture or upload on their way to the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"

/* How long before its receipt an answer may have been given whose time is not known, and how far
 * back the time of a frame that cannot be used is believed. */
#define LOST_BEFORE_US (60 * US_PER_S)
#define LOST_BEFORE_MAX_US US_PER_HOUR

void feed_init(struct feed *feed, const struct feed_options *options)
{
    *feed = (struct feed){
        .stream_max = FEED_STREAMS_MAX,
        .like = {.kind = options->kind, .peer = options->peer},
        .fallback = options->fallback,
        .fallback_len = strlen(options->fallback),
        .flows = options->flows,
        .cluster_rules = options->cluster_rules,
        .cluster_rule_count = options->cluster_rule_count,
    };
    strncpy(feed->like.cluster, options->cluster, STORE_CLUSTER_MAX);
}

void feed_fini(struct feed *feed)
{
    hints_free(&feed->hints);
    free(feed->streams);
    feed->streams = NULL;
    feed->stream_count = 0;
}

/* A record in the outlet's batch, or in the next one if that is full. */
static struct record *add(struct outlet *outlet, enum record_type type, struct stream *stream,
                          size_t answer_len)
{
    struct record *record =
        outlet->batch != NULL ? batch_add(outlet->batch, type, stream, answer_len) : NULL;
    if (record == NULL && outlet->flush(outlet) == 0) {
        record = batch_add(outlet->batch, type, stream, answer_len);
    }
    return record;
}

/* ---- Tallies ---- */

static enum tally_frame tally_frame(enum fact_kind kind, uint32_t type)
{
    switch (kind) {
    case FACT_ANSWER:
        return TALLY_ANSWER;
    case FACT_ASKED:
        return TALLY_NO_ADDRESS;
    case FACT_NO_MESSAGE:
        return TALLY_NO_MESSAGE;
    case FACT_BAD:
        return TALLY_BAD;
    case FACT_SKIPPED:
        break;
    default:
        return TALLY_UNUSABLE;
    }
    switch (type) {
    case DNSTAP_CLIENT_QUERY:
        return TALLY_QUERY;
    case DNSTAP_FORWARDER_QUERY:
    case DNSTAP_FORWARDER_RESPONSE:
        return TALLY_FORWARDER;
    default:
        return TALLY_OTHER;
    }
}

static void take_tally(struct tally *tally, enum fact_kind kind, const struct fact *fact,
                       int64_t receipt_us, const uint8_t *answer)
{
    tally->frames[tally_frame(kind, fact->type)]++;
    if (receipt_us != 0 && fact_is_heard(kind)) {
        tally_delay(tally, receipt_us - fact->time_us);
    }
    if (kind == FACT_ANSWER) {
        tally->search_answers += answer_is_search_try(answer);
    }
}

/* Hands over what was counted for the stream in hand. */
static int flush_tally(struct feed *feed, struct outlet *outlet)
{
    static const struct tally NOTHING;
    if (feed->stream_count == 0 || memcmp(&feed->tally, &NOTHING, sizeof(NOTHING)) == 0) {
        return 0;
    }
    struct record *record =
        add(outlet, RECORD_TALLY, feed->streams[feed->current].stream, sizeof(feed->tally));
    if (record == NULL) {
        return -ENOMEM;
    }
    memcpy(record_answer(record), &feed->tally, sizeof(feed->tally));
    feed->tally = NOTHING;
    return 0;
}

/* ---- Streams ---- */

static bool grow_streams(struct feed *feed)
{
    /* Sizes 1, 2, 4, ...: most connections have one identity. */
    uint32_t count = feed->stream_count;
    if ((count & (count - 1)) != 0) {
        return true;
    }
    uint32_t cap = count == 0 ? 1 : count * 2;
    struct feed_stream *streams = realloc(feed->streams, cap * sizeof(*streams));
    if (streams != NULL) {
        feed->streams = streams;
    }
    return streams != NULL;
}

static int begin_stream(struct feed *feed, struct outlet *outlet, struct span identity,
                        struct span version, int64_t from_us)
{
    struct stream like = feed->like;
    like.identity = identity.data;
    like.identity_len = identity.len;
    like.version = version.data;
    like.version_len = version.len;
    like.from_us = from_us;
    const char *cluster = cluster_of_identity(feed->cluster_rules, feed->cluster_rule_count,
                                              identity.data, identity.len);
    if (cluster != NULL) {
        strncpy(like.cluster, cluster, STORE_CLUSTER_MAX);
    }
    struct stream *stream = grow_streams(feed) ? stream_new(&like) : NULL;
    if (stream == NULL || add(outlet, RECORD_BEGIN, stream, 0) == NULL) {
        free(stream);
        return -ENOMEM;
    }
    feed->current = feed->stream_count++;
    feed->streams[feed->current] = (struct feed_stream){.stream = stream};
    return 0;
}

static bool is_identity(const struct stream *stream, struct span identity)
{
    return stream->identity_len == identity.len &&
           memcmp(stream->identity, identity.data, identity.len) == 0;
}

/* A live stream was heard from its first frame on, unless that one's time is nonsense. */
static int64_t stream_from(int64_t time_us, int64_t receipt_us)
{
    bool sane = time_us != 0 && (receipt_us == 0 || time_us >= receipt_us - FACT_AWAY_MAX_US);
    return sane && (receipt_us == 0 || time_us < receipt_us) ? time_us : receipt_us;
}

static int end_nameless(struct feed *feed, struct outlet *outlet)
{
    struct record *record = add(outlet, RECORD_END, feed->streams[0].stream, 0);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->end = STREAM_STOPPED;
    feed->nameless = false;
    feed->stream_count = 0;
    return 0;
}

/* Makes feed->current the stream of the frame's identity. */
static int find_stream(struct feed *feed, struct outlet *outlet, const struct fact *fact,
                       int64_t receipt_us)
{
    struct span identity = fact->identity;
    if (identity.len == 0) {
        identity = (struct span){(const uint8_t *)feed->fallback, feed->fallback_len};
    }
    if (identity.len > STORE_IDENTITY_MAX) {
        identity.len = STORE_IDENTITY_MAX;
    }
    if (feed->stream_count > 0 && is_identity(feed->streams[feed->current].stream, identity)) {
        feed->nameless = false;
        return 0;
    }
    /* What a nameless stream was counted for is the sender's that now says who it is. */
    if (!feed->nameless && flush_tally(feed, outlet) != 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        if (is_identity(feed->streams[i].stream, identity)) {
            feed->current = i;
            return 0;
        }
    }
    if (feed->nameless && end_nameless(feed, outlet) != 0) {
        return -ENOMEM;
    }
    if (feed->stream_count > 0 && feed->stream_count >= feed->stream_max) {
        feed->current = feed->stream_count - 1;
        return 0;
    }
    return begin_stream(feed, outlet, identity, fact->version,
                        stream_from(fact->time_us, receipt_us));
}

int feed_greet(struct feed *feed, struct outlet *outlet, int64_t now_us)
{
    if (feed->stream_count > 0) {
        return 0;
    }
    struct span identity = {(const uint8_t *)feed->fallback, feed->fallback_len};
    int err = begin_stream(feed, outlet, identity, (struct span){NULL, 0}, now_us);
    feed->nameless = err == 0;
    return err;
}

/* ---- Frames ---- */

static void note_heard(struct feed_stream *stream, int64_t time_us)
{
    stream->heard = true;
    if (stream->first_us == 0 || time_us < stream->first_us) {
        stream->first_us = time_us;
    }
    if (time_us >= stream->last_us) {
        stream->last_us = time_us;
    } else if (stream->last_us - time_us > stream->late_us) {
        stream->late_us = stream->last_us - time_us;
    }
}

/* A frame of which nothing can be kept may hold an answer: its time is blind, though the sender is
 * there. It came between the frame's own time, where that can be believed, and its receipt. */
static void note_lost(struct feed_loss *loss, int64_t time_us, int64_t receipt_us)
{
    bool before = time_us != 0 && time_us <= receipt_us;
    int64_t from_us = before ? time_us : receipt_us - LOST_BEFORE_US;
    if (from_us < receipt_us - LOST_BEFORE_MAX_US) {
        from_us = receipt_us - LOST_BEFORE_MAX_US;
    }
    loss->from_us = loss->count == 0 || from_us < loss->from_us ? from_us : loss->from_us;
    loss->to_us = receipt_us;
    loss->count++;
}

static bool is_lost(enum fact_kind kind)
{
    return kind == FACT_NO_MESSAGE || kind == FACT_NO_TIME || kind == FACT_REFUSED_TIME;
}

static enum feed_rcode rcode_slot(uint16_t rcode)
{
    switch (rcode) {
    case 0:
        return FEED_NOERROR;
    case 2:
        return FEED_SERVFAIL;
    case 3:
        return FEED_NXDOMAIN;
    case 5:
        return FEED_REFUSED;
    default:
        return FEED_OTHER;
    }
}

/* True for the kinds that say which sender they come from and when. A capture has no clock of its
 * own, so there a frame without a time cannot begin a stream. */
static bool has_stream(enum fact_kind kind, const struct fact *fact, int64_t receipt_us)
{
    return kind != FACT_SKIPPED && kind != FACT_BAD && (receipt_us != 0 || fact->time_us != 0);
}

static int add_answer(struct feed *feed, struct outlet *outlet, enum fact_kind kind,
                      const struct fact *fact, const uint8_t *answer)
{
    enum record_type type = kind == FACT_ANSWER ? RECORD_ANSWER : RECORD_ASKED;
    struct record *record =
        add(outlet, type, feed->streams[feed->current].stream, fact->answer_len);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->time_us = fact->time_us;
    record->client = fact->client;
    record->ttl_s = fact->ttl_s;
    if (fact->answer_len > 0) {
        memcpy(record_answer(record), answer, fact->answer_len);
        answer_set_source(record_answer(record), fact->source);
    }
    feed->counts.rcodes[rcode_slot(fact->rcode)]++;
    feed->counts.truncated += fact->truncated;
    return 0;
}

/* Whose address it is, where the server says so and has not just done so. */
static int add_hint(struct feed *feed, struct outlet *outlet, const struct fact *fact)
{
    if (!hint_is_pod(fact->extra) ||
        !hints_is_news(&feed->hints, &fact->client, fact->extra, fact->time_us)) {
        return 0;
    }
    struct record *record =
        add(outlet, RECORD_HINT, feed->streams[feed->current].stream, fact->extra.len);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->time_us = fact->time_us;
    record->client = fact->client;
    memcpy(record_answer(record), fact->extra.data, fact->extra.len);
    return 0;
}

int feed_frame(struct feed *feed, struct outlet *outlet, const uint8_t *frame, size_t len,
               int64_t receipt_us)
{
    struct fact fact;
    enum fact_kind kind = fact_read(frame, len, receipt_us, &fact, outlet->answer);
    feed->counts.kinds[kind]++;
    if (!has_stream(kind, &fact, receipt_us)) {
        take_tally(&feed->tally, kind, &fact, receipt_us, outlet->answer);
        return (int)kind;
    }
    int err = find_stream(feed, outlet, &fact, receipt_us);
    take_tally(&feed->tally, kind, &fact, receipt_us, outlet->answer);
    if (err == 0 && (kind == FACT_ANSWER || kind == FACT_ASKED)) {
        err = add_answer(feed, outlet, kind, &fact, outlet->answer);
        if (err == 0 && fact.extra.len > 0) {
            err = add_hint(feed, outlet, &fact);
        }
    }
    if (err != 0) {
        return err;
    }
    if (fact_is_heard(kind)) {
        /* A sender whose clock is ahead cannot have been heard later than now. */
        bool ahead = receipt_us != 0 && fact.time_us > receipt_us;
        note_heard(&feed->streams[feed->current], ahead ? receipt_us : fact.time_us);
    } else if (receipt_us != 0 && is_lost(kind)) {
        note_lost(&feed->loss, fact.time_us, receipt_us);
    }
    return (int)kind;
}

static enum fact_kind kind_of_flow(const struct fact *fact, int64_t now_us)
{
    if (!fact_is_client(&fact->client)) {
        return FACT_NO_CLIENT;
    }
    if (fact->time_us <= 0) {
        return FACT_NO_TIME;
    }
    if (now_us != 0 && fact->time_us > now_us + FACT_AWAY_MAX_US) {
        return FACT_REFUSED_TIME;
    }
    return fact->answer_len > 0 ? FACT_ANSWER : FACT_ASKED;
}

int feed_fact(struct feed *feed, struct outlet *outlet, const struct fact *fact,
              const uint8_t *answer, int64_t now_us)
{
    enum fact_kind kind = kind_of_flow(fact, now_us);
    feed->counts.kinds[kind]++;
    if (kind != FACT_ANSWER && kind != FACT_ASKED) {
        return (int)kind;
    }
    int err = find_stream(feed, outlet, fact, 0);
    err = err == 0 ? add_answer(feed, outlet, kind, fact, answer) : err;
    if (err != 0) {
        return err;
    }
    note_heard(&feed->streams[feed->current], fact->time_us);
    return (int)kind;
}

/* ---- Reads ---- */

static void count_frames(const struct feed_counts *counts)
{
    for (size_t i = 0; i < FACT_KINDS; i++) {
        counter_add(fact_counter((enum fact_kind)i), counts->kinds[i]);
    }
    for (size_t i = 0; i < FEED_RCODES; i++) {
        counter_add((enum counter)(COUNT_RCODE_NOERROR + i), counts->rcodes[i]);
    }
    counter_add(COUNT_TRUNCATED, counts->truncated);
}

/* Not by response code: dnstap may have seen the same responses. */
static void count_flows(const struct feed_counts *counts)
{
    counter_add(COUNT_FLOW_DNS_ANSWER, counts->kinds[FACT_ANSWER]);
    counter_add(COUNT_FLOW_DNS_ASKED, counts->kinds[FACT_ASKED]);
    counter_add(COUNT_FLOW_DNS_REFUSED, counts->kinds[FACT_NO_CLIENT] +
                                            counts->kinds[FACT_NO_TIME] +
                                            counts->kinds[FACT_REFUSED_TIME]);
}

static void add_counts(const struct feed *feed, struct feed_counts *counts, struct feed_counts *sum)
{
    if (feed->flows) {
        count_flows(counts);
    } else {
        count_frames(counts);
    }
    if (sum != NULL) {
        for (size_t i = 0; i < FACT_KINDS; i++) {
            sum->kinds[i] += counts->kinds[i];
        }
        for (size_t i = 0; i < FEED_RCODES; i++) {
            sum->rcodes[i] += counts->rcodes[i];
        }
        sum->truncated += counts->truncated;
    }
    *counts = (struct feed_counts){0};
}

static int flush_loss(struct feed *feed, struct outlet *outlet)
{
    if (feed->loss.count == 0) {
        return 0;
    }
    /* The loss is the cluster's; any stream tells which that is. */
    struct record *record = add(outlet, RECORD_LOST, feed->streams[feed->current].stream, 0);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->time_us = feed->loss.from_us;
    record->to_us = feed->loss.to_us;
    record->count = feed->loss.count;
    feed->loss = (struct feed_loss){0};
    return 0;
}

int feed_flush(struct feed *feed, struct outlet *outlet, struct feed_counts *sum)
{
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        struct feed_stream *stream = &feed->streams[i];
        if (!stream->heard) {
            continue;
        }
        struct record *record = add(outlet, RECORD_HEARD, stream->stream, 0);
        if (record == NULL) {
            return -ENOMEM;
        }
        record->time_us = stream->last_us;
        record->late_us = stream->late_us;
        stream->heard = false;
    }
    add_counts(feed, &feed->counts, sum);
    if (flush_tally(feed, outlet) != 0) {
        return -ENOMEM;
    }
    return flush_loss(feed, outlet);
}

static int add_covers(struct outlet *outlet, const struct feed_stream *stream, int64_t from_us,
                      int64_t to_us)
{
    bool said = from_us != 0;
    if (!said && stream->first_us == 0) {
        return 0;
    }
    struct record *record = add(outlet, RECORD_COVERS, stream->stream, 0);
    if (record == NULL) {
        return -ENOMEM;
    }
    record->time_us = said ? from_us : stream->first_us;
    record->to_us = said ? to_us : stream->last_us;
    return 0;
}

int feed_end(struct feed *feed, struct outlet *outlet, enum store_stream_end end, int64_t from_us,
             int64_t to_us)
{
    while (feed->stream_count > 0) {
        struct feed_stream *stream = &feed->streams[feed->stream_count - 1];
        bool capture = feed->like.kind == STREAM_CAPTURE;
        if (capture && add_covers(outlet, stream, from_us, to_us) != 0) {
            return -ENOMEM;
        }
        struct record *record = add(outlet, RECORD_END, stream->stream, 0);
        if (record == NULL) {
            return -ENOMEM;
        }
        record->end = (uint8_t)end;
        feed->stream_count--;
    }
    return 0;
}
