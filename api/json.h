/* api/json.h -- the small pieces all JSON bodies of this service are made of
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"

/* An address as a quoted string. */
void json_addr(struct buf *buf, const struct addr *addr);
/* A time as a quoted RFC 3339 string, null for 0. */
void json_time(struct buf *buf, int64_t time_us);
/* A trusted wire name as a quoted string. */
void json_name(struct buf *buf, const uint8_t *wire);

/* `"key":"name"` */
void json_name_member(struct buf *buf, const char *key, const uint8_t *wire);
/* `prefix` is written as it is, comma and key included: `,"open":`. */
void json_text_member(struct buf *buf, const char *prefix, const char *text);
void json_bool_member(struct buf *buf, const char *prefix, bool value);
void json_count_member(struct buf *buf, const char *prefix, uint64_t value);
void json_time_member(struct buf *buf, const char *prefix, int64_t time_us);
