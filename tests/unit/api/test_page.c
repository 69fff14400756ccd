/* tests/unit/api/test_page.c -- pages and cursors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/page.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/alloc.h"

#define ROWS 97

/* Row `i`, with many ties in time and some in address. */
static struct page_key key_of(uint32_t i)
{
    struct page_key key = {.time_us = 1000 + i / 7, .hash = (uint64_t)i * 0x9e3779b97f4a7c15u};
    key.addr.b[15] = (uint8_t)(i % 3);
    return key;
}

/* Offers all rows in an order of its own and renders each as its number. */
static void make_page(struct page *page, uint32_t limit, const struct page_key *after,
                      uint32_t stride)
{
    assert_int_equal(page_init(page, limit, after), 0);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct page_key key = key_of(i * stride % ROWS);
        page_offer(page, &key);
    }
    page_sort(page);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct page_key key = key_of(i);
        struct buf *row = page_row(page, &key);
        if (row != NULL) {
            buf_printf(row, "%u", i);
            assert_null(page_row(page, &key));
        }
    }
}

static bool comes_before(const struct page_key *a, const struct page_key *b)
{
    if (a->time_us != b->time_us) {
        return a->time_us > b->time_us;
    }
    int order = memcmp(a->addr.b, b->addr.b, 16);
    return order != 0 ? order < 0 : a->hash < b->hash;
}

/* Reads the rows and the cursor of a page as JSON. Returns the number of rows. */
static uint32_t read_page(const struct page *page, uint32_t *rows, char cursor[PAGE_CURSOR_LEN + 1])
{
    struct buf buf = {0};
    uint32_t count = 0;
    assert_int_equal(page_json(&buf, page, "rows"), 0);
    buf_char(&buf, '\0');
    assert_memory_equal(buf.data, "\"rows\":[", 8);
    char *at = buf.data + 8;
    while (*at == '\n' || *at == ',') {
        at += strspn(at, ",\n");
        if (*at == ']') {
            break;
        }
        rows[count++] = (uint32_t)strtoul(at, &at, 10);
    }
    cursor[0] = '\0';
    assert_memory_equal(at, "],\"next\":", 9);
    if (at[9] == '"') {
        memcpy(cursor, at + 10, PAGE_CURSOR_LEN);
        cursor[PAGE_CURSOR_LEN] = '\0';
        assert_string_equal(at + 10 + PAGE_CURSOR_LEN, "\"");
    } else {
        assert_string_equal(at + 9, "null");
    }
    buf_fini(&buf);
    return count;
}

static void pages_of_any_size_give_every_row_once_in_one_order(void **state)
{
    static const uint32_t LIMITS[] = {1, 2, 7, 10, 50, ROWS - 1, ROWS, ROWS + 1, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof(LIMITS) / sizeof(LIMITS[0]); i++) {
        uint32_t rows[1000], seen = 0;
        struct page_key after, last;
        bool more = false;
        do {
            struct page page;
            char cursor[PAGE_CURSOR_LEN + 1];
            make_page(&page, LIMITS[i], more ? &after : NULL, 5 + seen % 3);
            uint32_t count = read_page(&page, rows, cursor);
            for (uint32_t row = 0; row < count; row++) {
                struct page_key key = key_of(rows[row]);
                assert_true(seen + row == 0 || comes_before(&last, &key));
                last = key;
            }
            seen += count;
            more = cursor[0] != '\0';
            assert_true(!more || page_cursor_parse(&after, cursor, PAGE_CURSOR_LEN));
            page_fini(&page);
        } while (more);
        assert_int_equal(seen, ROWS);
    }
}

static void a_page_is_settled_once_it_holds_one_row_more_than_it_shows(void **state)
{
    struct page page;
    (void)state;
    assert_int_equal(page_init(&page, 2, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(page_is_settled(&page, 0));
        struct page_key key = {.time_us = 100 + i};
        page_offer(&page, &key);
    }
    assert_true(page_is_settled(&page, 100));
    assert_false(page_is_settled(&page, 101)); /* row 100 could still be pushed out */
    page_fini(&page);
}

static void what_is_no_cursor_is_refused(void **state)
{
    static const char GOOD[] = "0006526517a30c8000000000000000000000ffff0a000008573c2002501b673e";
    struct page_key key;
    char bad[sizeof(GOOD)];
    (void)state;
    assert_true(page_cursor_parse(&key, GOOD, PAGE_CURSOR_LEN));
    assert_false(page_cursor_parse(&key, GOOD, PAGE_CURSOR_LEN - 1));
    assert_false(page_cursor_parse(&key, "", 0));
    for (size_t i = 0; i < PAGE_CURSOR_LEN; i++) {
        memcpy(bad, GOOD, sizeof(bad));
        bad[i] = 'g';
        assert_false(page_cursor_parse(&key, bad, PAGE_CURSOR_LEN));
    }
}

static void a_page_without_memory_says_so(void **state)
{
    struct page page;
    (void)state;
    alloc_fail_at(1);
    assert_int_equal(page_init(&page, 10, NULL), -ENOMEM);
    alloc_fail_at(0);
    page_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_any_size_give_every_row_once_in_one_order),
        cmocka_unit_test(a_page_is_settled_once_it_holds_one_row_more_than_it_shows),
        cmocka_unit_test(what_is_no_cursor_is_refused),
        cmocka_unit_test(a_page_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
