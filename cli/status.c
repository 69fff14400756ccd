/* cli/status.c -- whither status: span, size, senders, blind intervals
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>

#include "api/json_status.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/source.h"
#include "cli/table.h"
#include "join/owners_store.h"

/* Rows of each list on a terminal, the latest; JSON has them all. */
#define ROWS_SHOWN 20

enum {
    NOW,
    FIRST,
    LAST,
    ALIVE,
    WINDOWS,
    BYTES,
    SIGHTINGS,
    ANSWERS,
    CLIENTS,
    NAMES,
    STREAM_LIST,
    STREAMS_LEFT_OUT,
    BLIND_LIST,
    BLIND_LEFT_OUT,
    WATCH_LIST,
    OWNERS,
    OWNERS_OPEN,
    OWNERS_LATEST,
    STATUS_FIELDS
};
static const char *const STATUS[] = {
    "/now",         "/span/first",     "/span/last", "/alive",
    "/windows",     "/bytes",          "/sightings", "/answers",
    "/clients",     "/names",          "/streams",   "/streams_left_out",
    "/blind",       "/blind_left_out", "/watches",   "/owners/intervals",
    "/owners/open", "/owners/latest"};

enum {
    T_IDENTITY,
    T_END,
    T_CLUSTER,
    T_COMMITTED,
    T_FROM,
    T_PEER,
    T_VERSION,
    T_KIND,
    STREAM_FIELDS
};
static const char *const STREAM[] = {"/identity", "/end",  "/cluster", "/committed",
                                     "/from",     "/peer", "/version", "/kind"};
static const char *const STREAM_HEADS[] = {"SENDER",  "STATE", "FROM",    "COMMITTED TO",
                                           "CLUSTER", "PEER",  "VERSION", NULL};

enum { B_FROM, B_TO, B_OPEN, B_CLUSTER, B_SENDER, B_REASON, B_LOST, BLIND_FIELDS };
static const char *const BLINDS[] = {"/from",   "/to",     "/open", "/cluster",
                                     "/sender", "/reason", "/lost"};
static const char *const BLIND_HEADS[] = {"BLIND FROM", "TO",      "LASTED", "REASON",
                                          "SENDER",     "CLUSTER", "LOST",   NULL};

enum { W_KIND, W_STATE, W_HEARD, W_PROBLEM, WATCH_FIELDS };
static const char *const WATCH[] = {"/kind", "/state", "/heard", "/problem"};
static const char *const WATCH_HEADS[] = {"KUBERNETES", "STATE", "LAST HEARD", "PROBLEM", NULL};

static int fail(const char *text)
{
    fprintf(stderr, "whither status: %s\n", text);
    return EXIT_FAILED;
}

static int ask(struct source *source, const struct settings *settings, struct buf *body,
               struct why *why)
{
    if (source->remote != NULL) {
        struct buf target = {0};
        buf_str(&target, "/v1/status?cluster=");
        remote_escape(&target, settings->cluster, strlen(settings->cluster));
        buf_char(&target, '\0');
        int err = target.err != 0 ? target.err : remote_get(source->remote, target.data, body, why);
        buf_fini(&target);
        return err;
    }
    struct owners *owners = NULL;
    struct owners_status known = {0};
    int err = owners_new(&owners, 0);
    err = err == 0 ? owners_load(owners, source->view, NULL, 0) : err;
    if (err == 0) {
        known = owners_status(owners);
        err = json_status(body, source->view, settings->cluster, clock_now_us(), &known, NULL);
    }
    owners_free(&owners);
    err = err == 0 ? body->err : err;
    return err == 0 ? 0 : why_set(why, err, "%s: %s", source->where, err_str(err));
}

/* ---- words ---- */

static void put_time(struct buf *out, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    time_print(time_us, text);
    text[10] = ' ';
    text[19] = '\0';
    buf_str(out, text);
}

static void put_totals(struct buf *out, const struct fields *fields, const char *where)
{
    int64_t first_us = fields_time(fields, FIRST), last_us = fields_time(fields, LAST);
    int64_t now_us = fields_time(fields, NOW), alive_us = fields_time(fields, ALIVE);
    buf_printf(out, "index    %s\nspan     ", where);
    if (last_us != 0) {
        put_time(out, first_us);
        buf_str(out, " to ");
        put_time(out, last_us);
        buf_str(out, " UTC, ");
        words_duration(out, last_us - first_us);
    } else {
        buf_str(out, "no answers yet");
    }
    buf_printf(out, "\nsize     %" PRId64 " %s, ", fields_int(fields, WINDOWS),
               fields_int(fields, WINDOWS) == 1 ? "day" : "days");
    words_bytes(out, (uint64_t)fields_int(fields, BYTES));
    buf_printf(out,
               "; %" PRId64 " sightings of %" PRId64 " answers, %" PRId64 " clients, %" PRId64
               " names\nwriter   ",
               fields_int(fields, SIGHTINGS), fields_int(fields, ANSWERS),
               fields_int(fields, CLIENTS), fields_int(fields, NAMES));
    if (alive_us != 0) {
        buf_str(out, "last commit ");
        put_time(out, alive_us);
        buf_str(out, " UTC, ");
        words_duration(out, now_us > alive_us ? now_us - alive_us : 0);
        buf_str(out, " ago\n");
    } else {
        buf_str(out, "none so far\n");
    }
    int64_t latest_us = fields_time(fields, OWNERS_LATEST);
    if (fields_int(fields, OWNERS) > 0) {
        buf_printf(out, "owners   %" PRId64 " of addresses, %" PRId64 " now",
                   fields_int(fields, OWNERS), fields_int(fields, OWNERS_OPEN));
        if (latest_us != 0) {
            buf_str(out, "; the last that is known is of ");
            put_time(out, latest_us);
            buf_str(out, " UTC");
        }
        buf_char(out, '\n');
    }
}

static void add_text(struct table *table, const struct fields *fields, size_t member)
{
    if (fields_is(fields, member, "")) {
        buf_char(table_cell(table), '-');
    }
    fields_text(fields, member, table_cell(table));
    table_next(table);
}

static void add_stream(struct table *table, const struct fields *fields)
{
    add_text(table, fields, T_IDENTITY);
    add_text(table, fields, fields_is(fields, T_KIND, "partial") ? T_KIND : T_END);
    table_add_time(table, fields_time(fields, T_FROM));
    table_add_time(table, fields_time(fields, T_COMMITTED));
    add_text(table, fields, T_CLUSTER);
    add_text(table, fields, T_PEER);
    add_text(table, fields, T_VERSION);
}

static void add_blind(struct table *table, const struct fields *fields)
{
    int64_t from_us = fields_time(fields, B_FROM), to_us = fields_time(fields, B_TO);
    table_add_time(table, from_us);
    if (fields_true(fields, B_OPEN)) {
        table_add(table, "now");
    } else {
        table_add_time(table, to_us);
    }
    words_duration(table_cell(table), to_us > from_us ? to_us - from_us : 0);
    table_next(table);
    add_text(table, fields, B_REASON);
    add_text(table, fields, B_SENDER);
    add_text(table, fields, B_CLUSTER);
    buf_int(table_cell(table), fields_int(fields, B_LOST));
    table_next(table);
}

static void add_watch(struct table *table, const struct fields *fields)
{
    add_text(table, fields, W_KIND);
    add_text(table, fields, W_STATE);
    table_add_time(table, fields_time(fields, W_HEARD));
    add_text(table, fields, W_PROBLEM);
}

struct list {
    size_t member;   /* of the body */
    size_t left_out; /* likewise; the list itself where nothing is ever left out */
    const char *const *pointers;
    size_t pointer_count;
    const char *const *heads;
    void (*add)(struct table *table, const struct fields *fields);
};

static size_t count_rows(const struct fields *body, size_t member)
{
    struct text row;
    size_t at = 0, rows = 0;
    while (fields_row(body, member, &at, &row)) {
        rows++;
    }
    return rows;
}

/* Prints the latest rows of a list as a table. */
static int print_list(const struct fields *body, const struct list *list, struct why *why)
{
    struct fields fields;
    struct table table;
    struct text row;
    size_t rows = count_rows(body, list->member), at = 0;
    size_t skip = rows > ROWS_SHOWN ? rows - ROWS_SHOWN : 0;
    if (rows == 0) {
        return 0;
    }
    int err = fields_init(&fields, list->pointers, list->pointer_count);
    if (err != 0) {
        return err;
    }
    table_init(&table, list->heads);
    for (size_t i = 0; err == 0 && fields_row(body, list->member, &at, &row); i++) {
        err = i < skip ? 0 : fields_read(&fields, row.data, row.len, why);
        if (i >= skip && err == 0) {
            list->add(&table, &fields);
        }
    }
    fputc('\n', stdout);
    err = err == 0 ? table_print(&table, stdout) : err;
    int64_t earlier = (int64_t)skip + fields_int(body, list->left_out);
    if (earlier > 0) {
        printf("and %" PRId64 " earlier\n", earlier);
    }
    table_fini(&table);
    fields_fini(&fields);
    return err;
}

static int print_words(const struct buf *body, const char *where, struct why *why)
{
    static const struct list LISTS[] = {
        {STREAM_LIST, STREAMS_LEFT_OUT, STREAM, STREAM_FIELDS, STREAM_HEADS, add_stream},
        {BLIND_LIST, BLIND_LEFT_OUT, BLINDS, BLIND_FIELDS, BLIND_HEADS, add_blind},
        {WATCH_LIST, WATCH_LIST, WATCH, WATCH_FIELDS, WATCH_HEADS, add_watch},
    };
    struct fields fields;
    struct buf out = {0};
    int err = fields_init(&fields, STATUS, STATUS_FIELDS);
    if (err != 0) {
        return err;
    }
    err = fields_read(&fields, body->data, body->len, why);
    if (err == 0) {
        put_totals(&out, &fields, where);
        fwrite(out.data, 1, out.len, stdout);
        err = out.err;
    }
    for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]) && err == 0; i++) {
        err = print_list(&fields, &LISTS[i], why);
    }
    buf_fini(&out);
    fields_fini(&fields);
    return err;
}

int cmd_status(const struct settings *settings)
{
    struct source source;
    struct why why = {""};
    struct buf body = {0};
    int err = source_open(&source, settings, &why);
    err = err == 0 ? ask(&source, settings, &body, &why) : err;
    if (err == 0 && settings->output == OUTPUT_JSON) {
        fields_print(&body, stdout);
    } else if (err == 0) {
        err = print_words(&body, source.where, &why);
    }
    buf_fini(&body);
    source_close(&source);
    return err == 0 ? EXIT_DONE : fail(why.text[0] != '\0' ? why.text : err_str(err));
}
