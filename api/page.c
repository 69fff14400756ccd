/* api/page.c -- one page of a list that is too long to send or keep whole
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int page_init(struct page *page, uint32_t limit, const struct page_key *after)
{
    *page = (struct page){.limit = limit, .has_after = after != NULL};
    if (after != NULL) {
        page->after = *after;
    }
    page->rows = calloc((size_t)limit + 1, sizeof(*page->rows));
    return page->rows == NULL ? -ENOMEM : 0;
}

void page_fini(struct page *page)
{
    for (uint32_t i = 0; i < page->count; i++) {
        buf_fini(&page->rows[i].json);
    }
    free(page->rows);
    *page = (struct page){0};
}

/* Below 0 if `a` comes before `b` in the list. */
static int compare(const struct page_key *a, const struct page_key *b)
{
    if (a->time_us != b->time_us) {
        return a->time_us > b->time_us ? -1 : 1;
    }
    int order = memcmp(a->addr.b, b->addr.b, sizeof(a->addr.b));
    if (order != 0) {
        return order;
    }
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static int compare_rows(const void *a, const void *b)
{
    return compare(&((const struct page_row *)a)->key, &((const struct page_row *)b)->key);
}

/* The rows kept are a heap with the last of them at the root, until page_sort. */
static void sift_up(struct page_row *rows, uint32_t at)
{
    while (at > 0 && compare(&rows[(at - 1) / 2].key, &rows[at].key) < 0) {
        struct page_key swap = rows[at].key;
        rows[at].key = rows[(at - 1) / 2].key;
        rows[(at - 1) / 2].key = swap;
        at = (at - 1) / 2;
    }
}

static void sift_down(struct page_row *rows, uint32_t count)
{
    for (uint32_t at = 0;;) {
        uint32_t last = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            last = compare(&rows[child].key, &rows[last].key) > 0 ? child : last;
        }
        if (last == at) {
            return;
        }
        struct page_key swap = rows[at].key;
        rows[at].key = rows[last].key;
        rows[last].key = swap;
        at = last;
    }
}

void page_offer(struct page *page, const struct page_key *key)
{
    if (page->has_after && compare(key, &page->after) <= 0) {
        return;
    }
    if (page->count <= page->limit) {
        page->rows[page->count].key = *key;
        sift_up(page->rows, page->count++);
    } else if (compare(key, &page->rows[0].key) < 0) {
        page->rows[0].key = *key;
        sift_down(page->rows, page->count);
    }
}

bool page_is_settled(const struct page *page, int64_t time_us)
{
    return page->count > page->limit && page->rows[0].key.time_us >= time_us;
}

void page_sort(struct page *page)
{
    qsort(page->rows, page->count, sizeof(*page->rows), compare_rows);
}

struct buf *page_row(struct page *page, const struct page_key *key)
{
    uint32_t shown = page->count < page->limit ? page->count : page->limit;
    struct page_row want = {.key = *key};
    struct page_row *row =
        shown == 0 ? NULL : bsearch(&want, page->rows, shown, sizeof(want), compare_rows);
    return row == NULL || row->json.len > 0 ? NULL : &row->json;
}

static void put_cursor(struct buf *buf, const struct page_key *key)
{
    buf_printf(buf, "\"%016llx", (unsigned long long)key->time_us);
    for (size_t i = 0; i < sizeof(key->addr.b); i++) {
        buf_printf(buf, "%02x", key->addr.b[i]);
    }
    buf_printf(buf, "%016llx\"", (unsigned long long)key->hash);
}

int page_json(struct buf *buf, const struct page *page, const char *list)
{
    uint32_t shown = page->count < page->limit ? page->count : page->limit;
    buf_json_key(buf, list);
    buf_char(buf, '[');
    bool first = true;
    for (uint32_t i = 0; i < shown; i++) {
        const struct buf *row = &page->rows[i].json;
        if (row->err != 0) {
            return row->err;
        }
        if (row->len > 0) {
            buf_str(buf, first ? "\n" : ",\n");
            buf_add(buf, row->data, row->len);
            first = false;
        }
    }
    buf_str(buf, first ? "],\"next\":" : "\n],\"next\":");
    if (page->count > page->limit) {
        put_cursor(buf, &page->rows[shown - 1].key);
    } else {
        buf_str(buf, "null");
    }
    return buf->err;
}

static bool parse_hex(const char *text, size_t digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        bool decimal = c >= '0' && c <= '9';
        if (!decimal && (c < 'a' || c > 'f')) {
            return false;
        }
        *value = *value << 4 | (uint64_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool page_cursor_parse(struct page_key *key, const char *text, size_t len)
{
    uint64_t time_us;
    if (len != PAGE_CURSOR_LEN || !parse_hex(text, 16, &time_us) ||
        !parse_hex(text + 48, 16, &key->hash)) {
        return false;
    }
    key->time_us = (int64_t)time_us;
    for (size_t i = 0; i < sizeof(key->addr.b); i++) {
        uint64_t octet;
        if (!parse_hex(text + 16 + 2 * i, 2, &octet)) {
            return false;
        }
        key->addr.b[i] = (uint8_t)octet;
    }
    return true;
}
