/* join/table.c -- --to table: aligned columns for a person at a terminal
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rows are held back until their batch is done, so that the columns are as wide as what they hold.
 * If the terminal is too narrow, the widest are cut. What comes from outside is printed as ASCII
 * only: a pod's name cannot move the cursor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/sink.h"

enum { TIME, SOURCE, DESTINATION, NAME, VERDICT, AGE, NOTE, COLUMNS };

static const struct {
    const char *head;
    unsigned min;  /* is not cut to less */
    bool keep_end; /* a name is told by its end, a pod by its beginning */
    bool align_right;
} COLUMN[COLUMNS] = {
    [TIME] = {"TIME", 12, false, false},
    [SOURCE] = {"SOURCE", 15, false, false},
    [DESTINATION] = {"DESTINATION", 15, false, false},
    [NAME] = {"NAME", 16, true, false},
    [VERDICT] = {"VERDICT", 10, false, false},
    [AGE] = {"AGE", 6, false, true},
    [NOTE] = {"NOTE", 12, false, false},
};

#define GAP "  "
enum { GAP_LEN = 2 };

struct cell {
    size_t at; /* in the text */
    size_t len;
};

struct row {
    struct cell cells[COLUMNS];
    enum verdict verdict;
    int64_t day; /* since the epoch; -1: no time */
};

struct table_state {
    struct buf text;
    struct row *rows;
    size_t count;
    size_t cap;
    size_t widths[COLUMNS];
    bool headed;
    int64_t day; /* of the last row printed */
};

static const char *colour_of(enum verdict verdict)
{
    static const char *const COLOURS[VERDICT_COUNT] = {
        [UNJOINABLE] = "\033[2m", [INTERNAL] = "\033[34m", [RESOLVED] = "\033[32m",
        [STALE] = "\033[33m",     [SHARED] = "\033[36m",   [IP_ONLY] = "\033[1;31m",
        [BLIND] = "\033[35m",
    };
    return COLOURS[verdict];
}

static void put_text(struct buf *out, struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        buf_char(out, c >= 0x20 && c < 0x7f ? (char)c : '?');
    }
}

static void put_name(struct buf *out, const struct name *name)
{
    char text[NAME_TEXT_MAX];
    buf_add(out, text, name_to_text(name->wire, text));
}

/* "10.0.0.1:443", "[2001:db8::1]:443" */
static void put_address(struct buf *out, const struct addr *addr, bool has_port, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    size_t len = addr_print(addr, text);
    bool brackets = has_port && !addr_is_v4(addr);
    buf_str(out, brackets ? "[" : "");
    buf_add(out, text, len);
    buf_str(out, brackets ? "]" : "");
    if (has_port) {
        buf_printf(out, ":%u", port);
    }
}

static void put_source(struct buf *out, const struct flow *flow,
                       const struct attribution *attribution)
{
    struct party source = sink_source(flow, attribution);
    struct text who = source.pod.len > 0 ? source.pod : source.workload;
    if (source.namespace.len > 0 && who.len > 0) {
        put_text(out, source.namespace);
        buf_char(out, '/');
        put_text(out, who);
    } else if (source.kind == PARTY_NODE && source.node.len > 0) {
        put_text(out, source.node);
    } else if (flow->has_pair) {
        put_address(out, &flow->source, false, 0);
    } else {
        buf_char(out, '-');
    }
}

/* "55 ms", "3.2 s", "4 min", "2 h" */
static void put_age(struct buf *out, int64_t age_us)
{
    const char *sign = age_us < 0 ? "-" : "";
    int64_t us = age_us < 0 ? -age_us : age_us;
    if (us < US_PER_S) {
        buf_printf(out, "%s%lld ms", sign, (long long)(us / 1000));
    } else if (us < 10 * US_PER_S) {
        buf_printf(out, "%s%lld.%lld s", sign, (long long)(us / US_PER_S),
                   (long long)(us % US_PER_S / 100000));
    } else if (us < 2 * US_PER_MIN) {
        buf_printf(out, "%s%lld s", sign, (long long)(us / US_PER_S));
    } else if (us < 2 * US_PER_HOUR) {
        buf_printf(out, "%s%lld min", sign, (long long)(us / US_PER_MIN));
    } else {
        buf_printf(out, "%s%lld h", sign, (long long)(us / US_PER_HOUR));
    }
}

/* What the other columns cannot say; several remarks with a semicolon between. */
struct remarks {
    struct buf *out;
    bool any;
};

static struct buf *remark(struct remarks *remarks)
{
    buf_str(remarks->out, remarks->any ? "; " : "");
    remarks->any = true;
    return remarks->out;
}

static void put_candidates_note(struct remarks *remarks, const struct attribution *attribution)
{
    const struct candidate *first = &attribution->candidates[0];
    uint32_t others = attribution->candidate_count - 1 + attribution->left_out;
    if (attribution->verdict == SHARED) {
        put_name(remark(remarks), &first->name);
        buf_printf(remarks->out, ", asked by %u other%s", first->clients,
                   first->clients == 1 ? "" : "s");
    } else if (attribution->ambiguous && attribution->candidate_count > 1) {
        buf_str(remark(remarks), "or ");
        put_name(remarks->out, &attribution->candidates[1].name);
        others--;
    }
    if (others > 0) {
        buf_printf(remark(remarks), "%u more", others);
    }
    if (first->via == VIA_CNAME || first->via == VIA_LATE || first->via == VIA_SRV) {
        buf_printf(remark(remarks), "via %s", via_name(first->via));
    }
}

/* "service shop/db", "node n1" */
static void put_destination_note(struct remarks *remarks, const struct flow *flow,
                                 const struct attribution *attribution)
{
    struct party party = sink_destination(flow, attribution);
    struct text name = party.pod.len > 0          ? party.pod
                       : party.service.len > 0    ? party.service
                       : party.kind == PARTY_NODE ? party.node
                                                  : party.workload;
    if (party.kind == PARTY_UNKNOWN) {
        return;
    }
    buf_printf(remark(remarks), "%s ", party_kind_name(party.kind));
    put_text(remarks->out, party.namespace);
    buf_str(remarks->out, party.namespace.len > 0 ? "/" : "");
    put_text(remarks->out, name);
}

static void put_note(struct buf *out, const struct flow *flow,
                     const struct attribution *attribution)
{
    struct remarks remarks = {out, false};
    if (flow->action == FLOW_DENIED) {
        buf_str(remark(&remarks), "denied");
    }
    if (attribution->reason != NULL) {
        buf_str(remark(&remarks), attribution->reason);
    }
    put_destination_note(&remarks, flow, attribution);
    if (attribution->candidate_count > 0) {
        put_candidates_note(&remarks, attribution);
    }
}

static void put_cell(struct buf *out, int column, const struct flow *flow,
                     const struct attribution *attribution)
{
    const struct name *name = attribution_domain(attribution);
    char time[TIME_TEXT_MAX];
    switch (column) {
    case TIME:
        if (flow->start_us != 0) {
            time_print(flow->start_us, time);
            buf_add(out, time + 11, 12);
        }
        break;
    case SOURCE:
        put_source(out, flow, attribution);
        break;
    case DESTINATION:
        if (flow->has_pair) {
            put_address(out, &flow->destination, flow->has_ports, flow->destination_port);
        }
        break;
    case NAME:
        if (name != NULL) {
            put_name(out, name);
        }
        break;
    case VERDICT:
        buf_str(out, verdict_name(attribution->verdict));
        break;
    case AGE:
        if (name != NULL) {
            put_age(out, attribution->candidates[0].age_us);
        }
        break;
    default:
        put_note(out, flow, attribution);
    }
}

static void put_flow(struct sink *sink, struct buf *out, const struct flow_record *record,
                     const struct attribution *attribution)
{
    struct table_state *table = sink->state;
    const struct flow *flow = &record->flow;
    if (table == NULL || out->err != 0) {
        return;
    }
    if (table->count == table->cap) {
        size_t cap = table->cap == 0 ? 256 : table->cap * 2;
        struct row *rows = reallocarray(table->rows, cap, sizeof(*rows));
        if (rows == NULL) {
            out->err = -ENOMEM;
            return;
        }
        table->rows = rows;
        table->cap = cap;
    }
    struct row *row = &table->rows[table->count++];
    row->verdict = attribution->verdict;
    row->day = flow->start_us != 0 ? flow->start_us / US_PER_DAY : -1;
    for (int column = 0; column < COLUMNS; column++) {
        row->cells[column].at = table->text.len;
        put_cell(&table->text, column, flow, attribution);
        row->cells[column].len = table->text.len - row->cells[column].at;
    }
}

/* Widens the columns to what they hold, then takes from the widest until a row fits. */
static void fit(struct table_state *table, unsigned terminal)
{
    size_t total = GAP_LEN * (COLUMNS - 1);
    for (int column = 0; column < COLUMNS; column++) {
        size_t width = strlen(COLUMN[column].head);
        width = table->widths[column] > width ? table->widths[column] : width;
        for (size_t i = 0; i < table->count; i++) {
            size_t len = table->rows[i].cells[column].len;
            width = len > width ? len : width;
        }
        table->widths[column] = width;
        total += width;
    }
    while (terminal > 0 && total > terminal) {
        int widest = -1;
        for (int column = 0; column < COLUMNS; column++) {
            if (table->widths[column] > COLUMN[column].min &&
                (widest < 0 || table->widths[column] >= table->widths[widest])) {
                widest = column;
            }
        }
        if (widest < 0) {
            return;
        }
        table->widths[widest]--;
        total--;
    }
}

static void put_spaces(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_char(out, ' ');
    }
}

/* A cell, cut or filled up to the column's width. */
static void print_cell(struct buf *out, int column, size_t width, const char *text, size_t len)
{
    size_t fill = len < width ? width - len : 0;
    if (COLUMN[column].align_right) {
        put_spaces(out, fill);
    }
    if (len <= width) {
        buf_add(out, text, len);
    } else if (COLUMN[column].keep_end) {
        buf_str(out, "\u2026");
        buf_add(out, text + len - (width - 1), width - 1);
    } else {
        buf_add(out, text, width - 1);
        buf_str(out, "\u2026");
    }
    if (!COLUMN[column].align_right && column != NOTE) {
        put_spaces(out, fill);
    }
}

static void print_row(const struct table_state *table, struct buf *out, const struct row *row,
                      bool color)
{
    for (int column = 0; column < COLUMNS; column++) {
        bool colored = color && (column == VERDICT || column == NAME);
        if (column == NOTE && row->cells[NOTE].len == 0) {
            break;
        }
        buf_str(out, column > 0 ? GAP : "");
        buf_str(out, colored ? colour_of(row->verdict) : "");
        print_cell(out, column, table->widths[column], table->text.data + row->cells[column].at,
                   row->cells[column].len);
        buf_str(out, colored ? "\033[0m" : "");
    }
    buf_char(out, '\n');
}

static void print_head(const struct table_state *table, struct buf *out, bool color)
{
    buf_str(out, color ? "\033[1m" : "");
    for (int column = 0; column < COLUMNS; column++) {
        buf_str(out, column > 0 ? GAP : "");
        print_cell(out, column, table->widths[column], COLUMN[column].head,
                   strlen(COLUMN[column].head));
    }
    buf_str(out, color ? "\033[0m\n" : "\n");
}

/* The times of the rows are those of the day named above them. */
static void print_day(struct buf *out, int64_t day, bool color)
{
    char time[TIME_TEXT_MAX];
    time_print(day * US_PER_DAY, time);
    buf_printf(out, "%s%.10s UTC%s\n", color ? "\033[2m" : "", time, color ? "\033[0m" : "");
}

static void begin(struct sink *sink, struct buf *out)
{
    sink->state = calloc(1, sizeof(struct table_state));
    if (sink->state == NULL) {
        out->err = -ENOMEM;
    }
}

static void flush(struct sink *sink, struct buf *out)
{
    struct table_state *table = sink->state;
    bool color = sink->options.color;
    if (table == NULL || table->count == 0) {
        return;
    }
    if (table->text.err != 0) {
        out->err = table->text.err;
        return;
    }
    fit(table, sink->options.width);
    if (!table->headed) {
        print_head(table, out, color);
        table->headed = true;
        table->day = -1;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (row->day >= 0 && row->day != table->day) {
            print_day(out, row->day, color);
            table->day = row->day;
        }
        print_row(table, out, row, color);
    }
    table->count = 0;
    buf_reset(&table->text);
}

static void end(struct sink *sink)
{
    struct table_state *table = sink->state;
    if (table != NULL) {
        buf_fini(&table->text);
        free(table->rows);
        free(table);
    }
}

const struct sink_kind SINK_TABLE = {
    .name = "table",
    .description = "aligned columns; the default on a terminal",
    .keeps_state = true,
    .begin = begin,
    .flow = put_flow,
    .flush = flush,
    .end = end,
};
