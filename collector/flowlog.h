/* collector/flowlog.h -- the DNS answers that a flow log shows, on their way to the index
 * SPDX-License-Identifier: Apache-2.0
 *
 * Beside collector/capture.h, for facts that were read elsewhere: whoever reads flow records hands
 * over the DNS responses among them. They come from those few clients, names and moments that the
 * log's writer could see (Hubble: pods under an L7 policy; a sensor: the wire it sits on), so they
 * name flows but prove nothing: such a stream is partial and covers no time. Only where its user
 * says what it covers (capture_options.covers_from_us) does it count as a capture.
 *
 * Threads: a flow log belongs to one thread at a time.
 */
#pragma once

#include <stdint.h>

#include "collector/capture.h"

struct flowlog {
    struct capture_summary summary; /* for the caller to read; `frames` stays 0 */
    /* private */
    struct feed feed;
    struct outlet *outlet;
    struct capture_options options;
};

/* `outlet` is borrowed. Never fails. */
void flowlog_init(struct flowlog *log, const struct capture_options *options,
                  struct outlet *outlet);
void flowlog_fini(struct flowlog *log);

/* Adds a response; fact->identity is who saw it ("hubble:node-1"). `answer` holds the
 * fact->answer_len octets of the canonical answer, 0 where no address came. Facts after `now_us`
 * are refused; 0: of any time. Returns 0 or -ENOMEM, after which only flowlog_end may follow. */
int flowlog_add(struct flowlog *log, const struct fact *fact, const uint8_t *answer,
                int64_t now_us);

/* Writes up to where each stream was heard: after each batch of records. Returns 0 or -ENOMEM. */
int flowlog_flush(struct flowlog *log);

/* Ends the streams and completes the summary; the outlet's last batch is the caller's. Returns 0 or
 * -ENOMEM. */
int flowlog_end(struct flowlog *log);
