/* cli/table.c -- aligned columns on a terminal
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/table.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

void table_init(struct table *table, const char *const *heads)
{
    *table = (struct table){0};
    for (; heads[table->columns] != NULL; table->columns++) {
    }
    for (size_t i = 0; i < table->columns; i++) {
        table_add(table, heads[i]);
    }
}

void table_fini(struct table *table)
{
    buf_fini(&table->text);
}

struct buf *table_cell(struct table *table)
{
    return &table->text;
}

static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

void table_next(struct table *table)
{
    buf_char(&table->text, '\0');
    if (table->text.err != 0) {
        return;
    }
    size_t width = text_width(table->text.data + table->begin);
    size_t *column = &table->widths[table->cells++ % table->columns];
    *column = *column < width ? width : *column;
    table->begin = table->text.len;
}

void table_add(struct table *table, const char *text)
{
    buf_str(&table->text, text);
    table_next(table);
}

void table_add_time(struct table *table, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    if (time_us == 0) {
        table_add(table, "-");
        return;
    }
    time_print(time_us, text);
    text[10] = ' ';
    text[23] = '\0';
    table_add(table, text);
}

int table_print(struct table *table, FILE *out)
{
    if (table->text.err != 0) {
        return table->text.err;
    }
    const char *at = table->text.data;
    for (size_t i = 0; i < table->cells; i++) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        size_t width = text_width(at);
        fputs(at, out);
        for (; !last && width < table->widths[column] + 2; width++) {
            fputc(' ', out);
        }
        if (last) {
            fputc('\n', out);
        }
        at += strlen(at) + 1;
    }
    return 0;
}

void words_duration(struct buf *out, int64_t us)
{
    static const struct {
        int64_t below_us; /* two of the next unit, so that a number never says too little */
        int64_t unit_us;
        const char *unit;
    } UNITS[] = {{2 * US_PER_S, 1000, "ms"},
                 {2 * US_PER_MIN, US_PER_S, "s"},
                 {2 * US_PER_HOUR, US_PER_MIN, "min"},
                 {2 * US_PER_DAY, US_PER_HOUR, "h"},
                 {INT64_MAX, US_PER_DAY, "d"}};
    size_t i = 0;
    while (us >= UNITS[i].below_us) {
        i++;
    }
    buf_printf(out, "%" PRId64 " %s", us / UNITS[i].unit_us, UNITS[i].unit);
}

void words_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    double value = (double)bytes;
    for (; value >= 1024 && i + 1 < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        value /= 1024;
    }
    buf_printf(out, i == 0 || value >= 10 ? "%.0f %s" : "%.1f %s", value, UNITS[i]);
}
