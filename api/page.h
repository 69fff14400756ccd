/* api/page.h -- one page of a list that is too long to send or keep whole
 * SPDX-License-Identifier: Apache-2.0
 *
 * The index visits rows in no promised order, so a page is made in two passes over the same view:
 * the first offers the key of every row and keeps the best `limit` (memory is bounded by the page,
 * not by the list), the second renders the rows whose keys were kept. The order is newest first;
 * ties are broken by address and hash, so that it is total and stable. A cursor is the key of the
 * last row sent; the next page holds what comes after it, so rows that arrive meanwhile neither
 * repeat nor hide others.
 *
 * Threads: a page belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"

#define PAGE_LIMIT_DEFAULT 100
#define PAGE_LIMIT_MAX 1000
/* Hex digits of a cursor. */
#define PAGE_CURSOR_LEN 64

struct page_key {
    int64_t time_us;  /* descending */
    struct addr addr; /* ascending */
    uint64_t hash;    /* ascending; of whatever else tells two rows apart */
};

struct page_row {
    struct page_key key;
    struct buf json;
};

struct page {
    uint32_t limit;
    bool has_after;
    struct page_key after;
    uint32_t count; /* rows kept, at most limit + 1: the last tells that there is more */
    struct page_row *rows;
};

/* `after` is a cursor already read, NULL for the first page. Returns 0 or -ENOMEM. */
int page_init(struct page *page, uint32_t limit, const struct page_key *after);
void page_fini(struct page *page);

/* First pass: a row with this key exists. */
void page_offer(struct page *page, const struct page_key *key);
/* True when no row older than `time_us` can still come on the page. */
bool page_is_settled(const struct page *page, int64_t time_us);
/* Between the passes. */
void page_sort(struct page *page);
/* Second pass: where to render the row with this key, NULL if it is not on the page or already
 * rendered. */
struct buf *page_row(struct page *page, const struct page_key *key);

/* Writes `"list":[rows],"next":cursor or null`, one row a line. Returns 0 or the error of a row. */
int page_json(struct buf *buf, const struct page *page, const char *list);

/* Reads a cursor that page_json wrote. Returns false if it is none. */
bool page_cursor_parse(struct page_key *key, const char *text, size_t len);
