/* join/loki_push.h -- Loki's push protocol, as Alloy and Promtail speak it, as the JSON form
 * SPDX-License-Identifier: Apache-2.0
 *
 * `loki.write` sends a protocol buffer (logproto.PushRequest) in Snappy's block format and nothing
 * else. It is turned into {"streams":[{"stream":{...},"values":[["ns","line"],...]}]}, which the
 * reader takes apart as any Loki document.
 *
 *   PushRequest  streams 1       Stream  labels 1 (text: {job="x", node="n"}), entries 2
 *   Entry        timestamp 1, line 2       Timestamp  seconds 1, nanos 2
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the JSON form of `len` octets to `json`, whose limit bounds it. `max_len` bounds the
 * request without Snappy. Returns 0; W_ESYNTAX where it is no such request; W_ELIMIT where it is
 * too long, or longer than what `json` may take; -ENOMEM; with a sentence in `why`. */
int loki_push_json(const uint8_t *bytes, size_t len, size_t max_len, struct buf *json,
                   struct why *why);
