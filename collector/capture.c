/* collector/capture.c -- a Frame Streams capture on its way to the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

void capture_init(struct capture *capture, const struct capture_options *options,
                  struct outlet *outlet)
{
    *capture = (struct capture){.outlet = outlet, .options = *options};
    fs_decoder_init(&capture->decoder, 0);
    feed_init(&capture->feed, &(struct feed_options){
                                  .kind = STREAM_CAPTURE,
                                  .cluster = options->cluster,
                                  .cluster_rules = options->cluster_rules,
                                  .cluster_rule_count = options->cluster_rule_count,
                                  .peer = options->peer,
                                  .fallback = options->peer,
                              });
}

void capture_fini(struct capture *capture)
{
    fs_decoder_fini(&capture->decoder);
    feed_fini(&capture->feed);
}

/* Where the octets that are not looked at yet begin. */
static uint64_t position(const struct capture *capture)
{
    return capture->octets - fs_decoder_unread(&capture->decoder);
}

/* Names compressed input, which a capture is often kept as. */
static const char *compression(const uint8_t *bytes, size_t len)
{
    if (len >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        return "gzip";
    }
    if (len >= 4 && memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0) {
        return "zstd";
    }
    return NULL;
}

static int not_a_capture(const struct capture *capture, const uint8_t *bytes, size_t len,
                         struct why *why)
{
    const char *compressed = compression(bytes, len);
    if (compressed != NULL) {
        return why_set(why, W_EFORMAT, "compressed with %s; decompress it and pass it on as -",
                       compressed);
    }
    return why_set(why, W_EFORMAT, "%s", capture->decoder.why.text);
}

/* The next capture in the same input, if any octet follows. */
static void restart(struct capture *capture, const uint8_t *bytes, size_t len)
{
    size_t left = fs_decoder_unread(&capture->decoder);
    fs_decoder_fini(&capture->decoder);
    fs_decoder_init(&capture->decoder, 0);
    fs_decoder_push(&capture->decoder, bytes + (len - left), left);
}

int capture_push(struct capture *capture, const uint8_t *bytes, size_t len, struct why *why)
{
    struct fs_frame frame;
    enum fs_event event;
    capture->octets += len;
    fs_decoder_push(&capture->decoder, bytes, len);
    while ((event = fs_decoder_next(&capture->decoder, &frame)) != FS_AGAIN) {
        if (event == FS_FRAME) {
            capture->summary.frames++;
            if (feed_frame(&capture->feed, capture->outlet, frame.data, frame.len, 0) < 0) {
                return why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
            }
        } else if (event == FS_STOP) {
            restart(capture, bytes, len);
        } else if (event == FS_OVERSIZE) {
            capture->summary.oversize++;
            counter_add(COUNT_FRAME_OVERSIZE, 1);
        } else if (event == FS_START) {
            capture->begun = true;
        } else if (event == FS_ERROR) {
            return capture->begun ? why_set(why, W_ESYNTAX, "damaged at byte %" PRIu64 ": %s",
                                            position(capture), capture->decoder.why.text)
                                  : not_a_capture(capture, bytes, len, why);
        }
    }
    int err = feed_flush(&capture->feed, capture->outlet, &capture->summary.counts);
    return err == 0 ? 0 : why_set(why, err, "%s", err_str(err));
}

void capture_span(struct capture_summary *summary, const struct feed *feed)
{
    for (uint32_t i = 0; i < feed->stream_count; i++) {
        const struct feed_stream *stream = &feed->streams[i];
        if (stream->first_us == 0) {
            continue;
        }
        if (summary->first_us == 0 || stream->first_us < summary->first_us) {
            summary->first_us = stream->first_us;
        }
        if (stream->last_us > summary->last_us) {
            summary->last_us = stream->last_us;
        }
    }
}

static int end_streams(struct capture *capture)
{
    const struct capture_options *options = &capture->options;
    int err = 0;
    capture_span(&capture->summary, &capture->feed);
    /* A capture of a time in which nobody asked still says that somebody listened. */
    if (capture->begun && options->covers_from_us != 0) {
        err = feed_greet(&capture->feed, capture->outlet, options->covers_from_us);
    }
    err = err == 0 ? feed_flush(&capture->feed, capture->outlet, &capture->summary.counts) : err;
    return err == 0 ? feed_end(&capture->feed, capture->outlet, STREAM_STOPPED,
                               options->covers_from_us, options->covers_to_us)
                    : err;
}

int capture_end(struct capture *capture, struct why *why)
{
    int err = end_streams(capture);
    if (err != 0) {
        return why_set(why, err, "%s", err_str(err));
    }
    if (capture->decoder.state == FS_STATE_FAILED) {
        return 0;
    }
    if (capture->octets == 0) {
        return why_set(why, W_EFORMAT, "empty");
    }
    if (!capture->begun) {
        return why_set(why, W_EFORMAT, "not Frame Streams: ends before START");
    }
    capture->summary.cut = fs_decoder_pending(&capture->decoder) > 0;
    return 0;
}

void capture_add(struct capture_summary *sum, const struct capture_summary *summary)
{
    for (size_t i = 0; i < FACT_KINDS; i++) {
        sum->counts.kinds[i] += summary->counts.kinds[i];
    }
    for (size_t i = 0; i < FEED_RCODES; i++) {
        sum->counts.rcodes[i] += summary->counts.rcodes[i];
    }
    sum->counts.truncated += summary->counts.truncated;
    sum->frames += summary->frames;
    sum->records += summary->records;
    sum->oversize += summary->oversize;
    sum->cut += summary->cut;
    if (summary->first_us != 0 && (sum->first_us == 0 || summary->first_us < sum->first_us)) {
        sum->first_us = summary->first_us;
    }
    sum->last_us = summary->last_us > sum->last_us ? summary->last_us : sum->last_us;
}

static void json_time(struct buf *buf, const char *key, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    buf_json_key(buf, key);
    if (time_us == 0) {
        buf_str(buf, "null");
    } else {
        buf_json_str(buf, text, time_print(time_us, text));
    }
}

void capture_json(const struct capture_summary *summary, struct buf *buf)
{
    buf_str(buf, "{\"frames\":");
    buf_int(buf, (int64_t)summary->frames);
    buf_str(buf, ",\"answers\":");
    buf_int(buf, (int64_t)summary->counts.kinds[FACT_ANSWER]);
    buf_str(buf, ",\"no_address\":");
    buf_int(buf, (int64_t)summary->counts.kinds[FACT_ASKED]);
    buf_str(buf, ",\"skipped\":{");
    for (int kind = FACT_SKIPPED; kind < FACT_KINDS; kind++) {
        buf_json_key(buf, fact_name((enum fact_kind)kind));
        buf_int(buf, (int64_t)summary->counts.kinds[kind]);
        buf_char(buf, ',');
    }
    buf_str(buf, "\"oversize\":");
    buf_int(buf, (int64_t)summary->oversize);
    buf_str(buf, "},\"cut\":");
    buf_int(buf, (int64_t)summary->cut);
    buf_char(buf, ',');
    json_time(buf, "first", summary->first_us);
    buf_char(buf, ',');
    json_time(buf, "last", summary->last_us);
    buf_char(buf, '}');
}
