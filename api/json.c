/* api/json.c -- the small pieces all JSON bodies of this service are made of
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "proto/name.h"

void json_addr(struct buf *buf, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    size_t len = addr_print(addr, text);
    buf_char(buf, '"');
    buf_add(buf, text, len);
    buf_char(buf, '"');
}

void json_time(struct buf *buf, int64_t time_us)
{
    if (time_us == 0) {
        buf_str(buf, "null");
        return;
    }
    char text[TIME_TEXT_MAX];
    size_t len = time_print(time_us, text);
    buf_char(buf, '"');
    buf_add(buf, text, len);
    buf_char(buf, '"');
}

void json_name(struct buf *buf, const uint8_t *wire)
{
    char text[NAME_TEXT_MAX];
    size_t len = name_to_text(wire, text);
    buf_json_str(buf, text, len);
}

void json_name_member(struct buf *buf, const char *key, const uint8_t *wire)
{
    buf_json_key(buf, key);
    json_name(buf, wire);
}

void json_text_member(struct buf *buf, const char *prefix, const char *text)
{
    buf_str(buf, prefix);
    buf_json_str(buf, text, strlen(text));
}

void json_bool_member(struct buf *buf, const char *prefix, bool value)
{
    buf_str(buf, prefix);
    buf_str(buf, value ? "true" : "false");
}

void json_count_member(struct buf *buf, const char *prefix, uint64_t value)
{
    buf_printf(buf, "%s%" PRIu64, prefix, value);
}

void json_time_member(struct buf *buf, const char *prefix, int64_t time_us)
{
    buf_str(buf, prefix);
    json_time(buf, time_us);
}
