/* collector/flowlog.c -- the DNS answers that a flow log shows, on their way to the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/flowlog.h"

void flowlog_init(struct flowlog *log, const struct capture_options *options, struct outlet *outlet)
{
    bool covers = options->covers_from_us != 0;
    *log = (struct flowlog){.outlet = outlet, .options = *options};
    feed_init(&log->feed, &(struct feed_options){
                              .kind = covers ? STREAM_CAPTURE : STREAM_PARTIAL,
                              .cluster = options->cluster,
                              .peer = options->peer,
                              .fallback = options->peer,
                              .flows = true,
                          });
}

void flowlog_fini(struct flowlog *log)
{
    feed_fini(&log->feed);
}

int flowlog_add(struct flowlog *log, const struct fact *fact, const uint8_t *answer, int64_t now_us)
{
    int kind = feed_fact(&log->feed, log->outlet, fact, answer, now_us);
    if (kind < 0) {
        return kind;
    }
    log->summary.records++;
    return 0;
}

int flowlog_flush(struct flowlog *log)
{
    return feed_flush(&log->feed, log->outlet, &log->summary.counts);
}

int flowlog_end(struct flowlog *log)
{
    const struct capture_options *options = &log->options;
    int err = 0;
    capture_span(&log->summary, &log->feed);
    if (options->covers_from_us != 0) {
        err = feed_greet(&log->feed, log->outlet, options->covers_from_us);
    }
    err = err == 0 ? flowlog_flush(log) : err;
    return err == 0 ? feed_end(&log->feed, log->outlet, STREAM_STOPPED, options->covers_from_us,
                               options->covers_to_us)
                    : err;
}
