/* cli/names.c -- whither names NAME|IP|CLIENT: the index the other way round
 * SPDX-License-Identifier: Apache-2.0
 *
 * For a name, who asked for it; for an address, what it was called and what it asked itself.
 */
#include <inttypes.h>
#include <string.h>

#include "api/json_sightings.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/source.h"
#include "cli/table.h"

/* Addresses shown of one sighting on a terminal. */
#define ADDRESSES_SHOWN 3

enum kind { KIND_NAMES, KIND_ADDRESSES, KIND_CLIENTS };

static const struct {
    const char *path;
    const char *const *pointers; /* of a page: its list and its cursor */
} KINDS[] = {
    [KIND_NAMES] = {"/v1/names/", (const char *const[]){"/sightings", "/next"}},
    [KIND_ADDRESSES] = {"/v1/addresses/", (const char *const[]){"/names", "/next"}},
    [KIND_CLIENTS] = {"/v1/clients/", (const char *const[]){"/sightings", "/next"}},
};
enum { LIST, NEXT, PAGE_FIELDS };

struct ask {
    struct source source;
    const struct settings *settings;
    struct name name;
    struct addr addr;
    int64_t to_us;
    uint32_t left; /* rows still wanted */
    char cursor[PAGE_CURSOR_LEN + 1];
};

static int fail(const char *text)
{
    fprintf(stderr, "whither names: %s\n", text);
    return EXIT_FAILED;
}

/* ---- one page ---- */

static uint32_t page_limit(const struct ask *ask)
{
    return ask->left < PAGE_LIMIT_MAX ? ask->left : PAGE_LIMIT_MAX;
}

static void put_time(struct buf *target, const char *param, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    if (time_us != 0) {
        time_print(time_us, text);
        buf_printf(target, "&%s=%s", param, text);
    }
}

static int page_of_service(struct ask *ask, enum kind kind, struct buf *body, struct why *why)
{
    const struct settings *settings = ask->settings;
    struct buf target = {0};
    buf_str(&target, KINDS[kind].path);
    remote_escape(&target, settings->args[0], strlen(settings->args[0]));
    buf_printf(&target, "?limit=%" PRIu32 "&cluster=", page_limit(ask));
    remote_escape(&target, settings->cluster, strlen(settings->cluster));
    put_time(&target, "from", settings->since_us);
    put_time(&target, "to", ask->to_us);
    if (kind == KIND_NAMES && settings->under) {
        buf_str(&target, "&under=true");
    }
    if (ask->cursor[0] != '\0') {
        buf_printf(&target, "&cursor=%s", ask->cursor);
    }
    buf_char(&target, '\0');
    int err = target.err != 0 ? target.err : remote_get(ask->source.remote, target.data, body, why);
    buf_fini(&target);
    return err;
}

static int page_of_index(struct ask *ask, enum kind kind, struct buf *body, struct why *why)
{
    const struct settings *settings = ask->settings;
    struct store_view *view = ask->source.view;
    struct sightings_query query = {.cluster = settings->cluster,
                                    .from_us =
                                        settings->since_us != 0 ? settings->since_us : TIME_MIN_US,
                                    .to_us = ask->to_us,
                                    .limit = page_limit(ask)};
    query.has_after = page_cursor_parse(&query.after, ask->cursor, strlen(ask->cursor));
    int err = kind == KIND_NAMES     ? json_names(body, view, &query, &ask->name, settings->under)
              : kind == KIND_CLIENTS ? json_clients(body, view, &query, &ask->addr)
                                     : json_addresses(body, view, &query, &ask->addr);
    return err == 0 ? 0 : why_set(why, err, "%s: %s", ask->source.where, err_str(err));
}

/* ---- rows ---- */

/* Shows one row; `ctx` is a table, or NULL for JSON lines. */
typedef int (*row_fn)(struct fields *fields, const struct text *row, struct table *table,
                      struct why *why);

enum { S_LAST, S_CLIENT, S_ASKED, S_ADDRESSES, S_LEFT_OUT, S_COUNT, SIGHTING_FIELDS };
static const char *const SIGHTING[] = {
    "/last", "/client", "/asked", "/addresses", "/addresses_left_out", "/count"};
static const char *const SIGHTING_HEADS[] = {"LAST (UTC)", "CLIENT", "ASKED",
                                             "ANSWERS",    "GOT",    NULL};

static int add_sighting(struct fields *fields, const struct text *row, struct table *table,
                        struct why *why)
{
    int err = fields_read(fields, row->data, row->len, why);
    if (err != 0) {
        return err;
    }
    table_add_time(table, fields_time(fields, S_LAST));
    fields_text(fields, S_CLIENT, table_cell(table));
    table_next(table);
    fields_text(fields, S_ASKED, table_cell(table));
    table_next(table);
    buf_int(table_cell(table), fields_int(fields, S_COUNT));
    table_next(table);
    struct text item;
    int64_t more = fields_int(fields, S_LEFT_OUT);
    size_t at = 0;
    for (int shown = 0; fields_item(fields, S_ADDRESSES, &at, &item); shown++) {
        if (shown < ADDRESSES_SHOWN) {
            buf_str(table_cell(table), shown == 0 ? "" : " ");
            buf_add(table_cell(table), item.data, item.len);
        } else {
            more++;
        }
    }
    if (more > 0) {
        buf_printf(table_cell(table), " +%" PRId64, more);
    }
    table_next(table);
    return 0;
}

enum { A_LAST, A_ASKED, A_CLIENTS, A_AT_LEAST, A_COUNT, ADDRESS_FIELDS };
static const char *const ADDRESS[] = {"/last", "/asked", "/clients", "/clients_at_least", "/count"};
static const char *const ADDRESS_HEADS[] = {"LAST (UTC)", "CALLED", "CLIENTS", "ANSWERS", NULL};

static int add_address(struct fields *fields, const struct text *row, struct table *table,
                       struct why *why)
{
    int err = fields_read(fields, row->data, row->len, why);
    if (err != 0) {
        return err;
    }
    table_add_time(table, fields_time(fields, A_LAST));
    fields_text(fields, A_ASKED, table_cell(table));
    table_next(table);
    buf_int(table_cell(table), fields_int(fields, A_CLIENTS));
    buf_str(table_cell(table), fields_true(fields, A_AT_LEAST) ? "+" : "");
    table_next(table);
    buf_int(table_cell(table), fields_int(fields, A_COUNT));
    table_next(table);
    return 0;
}

/* ---- a list: all its pages up to --limit ---- */

struct list {
    enum kind kind;
    struct fields page;
    struct fields row;
    struct table table;
    row_fn add;
    bool as_json;
    uint32_t rows;
};

static int list_init(struct list *list, enum kind kind, bool as_json)
{
    bool address = kind == KIND_ADDRESSES;
    *list = (struct list){
        .kind = kind, .as_json = as_json, .add = address ? add_address : add_sighting};
    table_init(&list->table, address ? ADDRESS_HEADS : SIGHTING_HEADS);
    int err = fields_init(&list->page, KINDS[kind].pointers, PAGE_FIELDS);
    return err != 0 ? err
                    : fields_init(&list->row, address ? ADDRESS : SIGHTING,
                                  address ? (size_t)ADDRESS_FIELDS : (size_t)SIGHTING_FIELDS);
}

static void list_fini(struct list *list)
{
    fields_fini(&list->page);
    fields_fini(&list->row);
    table_fini(&list->table);
}

/* Takes the rows of one page and its cursor. */
static int take_page(struct ask *ask, struct list *list, const struct buf *body, struct why *why)
{
    int err = fields_read(&list->page, body->data, body->len, why);
    struct text row;
    size_t at = 0;
    while (err == 0 && fields_row(&list->page, LIST, &at, &row)) {
        if (list->as_json) {
            fwrite(row.data, 1, row.len, stdout);
            fputc('\n', stdout);
        } else {
            err = list->add(&list->row, &row, &list->table, why);
        }
        list->rows++;
        ask->left -= ask->left > 0;
    }
    const struct json_value *next = &list->page.values[NEXT];
    bool more = err == 0 && next->type == JSON_STRING && next->text.len == PAGE_CURSOR_LEN;
    ask->cursor[0] = '\0';
    if (more) {
        memcpy(ask->cursor, next->text.data, PAGE_CURSOR_LEN);
        ask->cursor[PAGE_CURSOR_LEN] = '\0';
    }
    return err;
}

static int take_pages(struct ask *ask, struct list *list, struct why *why)
{
    struct buf body = {0};
    int err;
    do {
        buf_reset(&body);
        err = ask->source.remote != NULL ? page_of_service(ask, list->kind, &body, why)
                                         : page_of_index(ask, list->kind, &body, why);
        err = err == 0 ? take_page(ask, list, &body, why) : err;
    } while (err == 0 && ask->cursor[0] != '\0' && ask->left > 0);
    buf_fini(&body);
    return err;
}

/* Prints one list. Returns the number of rows, or a negative error. */
static int64_t show(struct ask *ask, enum kind kind, const char *title, struct why *why)
{
    bool as_json = ask->settings->output == OUTPUT_JSON;
    struct list list;
    ask->left = ask->settings->limit;
    ask->cursor[0] = '\0';
    int err = list_init(&list, kind, as_json);
    err = err == 0 ? take_pages(ask, &list, why) : err;
    if (err == 0 && !as_json && list.rows > 0) {
        printf("%s", title);
        err = table_print(&list.table, stdout);
    }
    if (err == 0 && ask->cursor[0] != '\0' && !ask->settings->quiet) {
        fprintf(stderr, "whither names: the latest %" PRIu32 "; --limit shows more\n", list.rows);
    }
    int64_t rows = list.rows;
    list_fini(&list);
    return err == 0 ? rows : err;
}

/* ---- the command ---- */

static int show_all(struct ask *ask, bool is_addr, struct why *why)
{
    int64_t rows = 0;
    if (is_addr) {
        bool text = ask->settings->output == OUTPUT_TEXT;
        int64_t called = show(ask, KIND_ADDRESSES, "", why);
        rows = called < 0 ? called : show(ask, KIND_CLIENTS, text && called > 0 ? "\n" : "", why);
        rows = rows < 0 ? rows : rows + called;
    } else {
        rows = show(ask, KIND_NAMES, "", why);
    }
    if (rows == 0 && !ask->settings->quiet) {
        fprintf(stderr, "whither names: nothing is known of %s%s\n", ask->settings->args[0],
                ask->settings->since_us != 0 || ask->settings->until_us != 0 ? " in this span"
                                                                             : "");
    }
    return rows < 0 ? (int)rows : 0;
}

int cmd_names(const struct settings *settings)
{
    struct ask ask = {.settings = settings};
    const char *what = settings->args[0];
    bool is_addr = addr_parse(&ask.addr, what, strlen(what));
    if (!is_addr && name_from_text(&ask.name, what, strlen(what)) != 0) {
        fprintf(stderr, "whither names: '%s' is neither an IP address nor a domain name\n", what);
        return EXIT_USAGE;
    }
    ask.to_us = settings->until_us != 0 ? settings->until_us : clock_now_us();
    if (settings->since_us > ask.to_us) {
        fprintf(stderr, "whither names: --since lies in the future\n");
        return EXIT_USAGE;
    }
    struct why why = {""};
    int err = source_open(&ask.source, settings, &why);
    int code = EXIT_DONE;
    if (err != 0 || !source_has_answers(&ask.source, &why)) {
        code = fail(why.text);
    } else {
        err = show_all(&ask, is_addr, &why);
        code = err == 0 ? EXIT_DONE : fail(why.text[0] != '\0' ? why.text : err_str(err));
    }
    source_close(&ask.source);
    return code;
}
