/* tests/support/flow_lines.h -- one line through a flow format
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "join/format.h"

/* A parser and what it needs; what it gives lives until the next line. */
struct flow_lines {
    struct parser *parser;
    struct arena arena;
    struct flow_record record;
    struct layout *layout;
};

/* Asserts that there is memory. The year of times without one is the one before `near_us`. */
void flow_lines_init(struct flow_lines *lines, const struct parser_options *options,
                     int64_t near_us);
void flow_lines_fini(struct flow_lines *lines);

/* Reads header lines ("a\nb") of a format with columns; they count for the lines that follow. */
void flow_lines_header(struct flow_lines *lines, const struct format *format, const char *header);

/* Parses a copy of the text that is exactly as long, so that a sanitizer sees a read beyond it. */
const struct flow_record *flow_lines_parse(struct flow_lines *lines, const struct format *format,
                                           const char *text, size_t len);

/* Both ends as they name themselves: "shop/cart-7c9d-x2x (cart) on node-1 > pod kube-system/dns-1
 * service dns", "-" for what is not known. */
const char *flow_lines_who(const struct flow_record *record);

/* The record as one line of words, for tables of tests:
 * "hubble tcp 10.0.0.1:1 > 192.0.2.1:443 allowed egress start 2026-05-22T10:00:01.000000Z",
 * "skip reply", "bad: ..."; an aggregate has "aggregate TIME to TIME", a flow that ended "TIME to
 * TIME", octets are "TIME 4120 bytes"; unjoinable flows end with "unjoinable no-address". */
const char *flow_lines_text(const struct flow_record *record);
