/* tests/unit/join/test_reader.c -- files, lines, compression, formats found by content
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "tests/support/store_fixture.h"

#define LINE "May 22 10:00:01 h kernel: p: IN=cali1 OUT=eth0 SRC=192.0.2.7 DST=198.51.100.9"

struct fixture {
    char dir[64];
    char path[128];
    struct parser *parser;
};

static int set_up(void **state)
{
    static const struct parser_options NONE = {0};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    fixture_dir(fixture->dir);
    snprintf(fixture->path, sizeof(fixture->path), "%s/input", fixture->dir);
    return parser_new(&fixture->parser, &NONE);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    parser_free(&fixture->parser);
    fixture_remove(fixture->dir);
    free(fixture);
    return 0;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Reads the file to its end: "number:text|" for each record, "number!fault|" for a bad one. Returns
 * what reader_open or the last reader_next returned. */
static int read_all(struct fixture *fixture, const struct format *forced, struct buf *out,
                    struct why *why)
{
    struct reader *reader;
    struct flow_batch batch = {0};
    int err = reader_open(&reader, fixture->path, forced, fixture->parser, why);
    if (err != 0) {
        return err;
    }
    while ((err = reader_next(reader, &batch, why)) > 0) {
        assert_true(batch.count > 0);
        for (size_t i = 0; i < batch.count; i++) {
            const struct flow_record *record = &batch.records[i];
            bool bad = record->parsed == PARSED_BAD;
            struct text text = bad ? record->fault : record->text;
            buf_printf(out, "%llu%c", (unsigned long long)record->number, bad ? '!' : ':');
            buf_add(out, text.data, text.len < 100 ? text.len : 0);
            buf_char(out, '|');
        }
    }
    flow_batch_fini(&batch);
    reader_close(&reader);
    buf_char(out, '\0');
    return err;
}

static void assert_reads(struct fixture *fixture, const char *expected)
{
    struct buf out = {0};
    struct why why = {""};
    assert_int_equal(read_all(fixture, NULL, &out, &why), 0);
    assert_string_equal(out.data, expected);
    buf_fini(&out);
}

static void lines_are_cut_and_counted_and_empty_ones_left_out(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *records;
    } CASES[] = {
        {LINE "\n" LINE "\n", "1:" LINE "|2:" LINE "|"},
        {LINE "\r\n\r\n \n" LINE, "1:" LINE "|4:" LINE "|"},
        {"\n\n" LINE, "3:" LINE "|"},
        {"", ""},
        {"\n\n", ""},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        write_file(fixture->path, CASES[i].text, strlen(CASES[i].text));
        assert_reads(fixture, CASES[i].records);
    }
}

static void a_line_that_is_too_long_is_passed_over_and_named(void **state)
{
    struct fixture *fixture = *state;
    static const size_t LENGTHS[] = {RECORD_LEN_MAX + 1, 10 * 1024 * 1024};
    for (size_t i = 0; i < 2 * sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        struct buf text = {0};
        bool last = i % 2 == 1; /* without a line feed at the end of the file */
        buf_str(&text, LINE "\n");
        for (size_t at = 0; at < LENGTHS[i / 2]; at++) {
            buf_char(&text, 'x');
        }
        buf_str(&text, last ? "" : "\n" LINE "\n");
        assert_int_equal(text.err, 0);
        write_file(fixture->path, text.data, text.len);
        assert_reads(fixture, last ? "1:" LINE "|2!longer than 1 MiB|"
                                   : "1:" LINE "|2!longer than 1 MiB|3:" LINE "|");
        buf_fini(&text);
    }
}

static void a_line_of_the_longest_allowed_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct buf text = {0};
    buf_str(&text, LINE "\n");
    for (size_t at = 0; at < RECORD_LEN_MAX; at++) {
        buf_char(&text, 'x');
    }
    buf_str(&text, "\n" LINE);
    write_file(fixture->path, text.data, text.len);
    assert_reads(fixture, "1:" LINE "|2:|3:" LINE "|");
    buf_fini(&text);
}

static size_t compress_gzip(const char *text, size_t len, unsigned char *out, size_t cap)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (unsigned char *)text;
    stream.avail_in = (unsigned)len;
    stream.next_out = out;
    stream.avail_out = (unsigned)cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t done = cap - stream.avail_out;
    deflateEnd(&stream);
    return done;
}

static void compressed_files_are_found_by_content(void **state)
{
    struct fixture *fixture = *state;
    unsigned char bytes[1024];
    size_t len = compress_gzip(LINE "\n", sizeof(LINE), bytes, sizeof(bytes));
    /* Two members, as a file that was appended to. */
    len += compress_gzip(LINE "\n", sizeof(LINE), bytes + len, sizeof(bytes) - len);
    write_file(fixture->path, bytes, len);
    assert_reads(fixture, "1:" LINE "|2:" LINE "|");
    len = ZSTD_compress(bytes, sizeof(bytes), LINE "\n" LINE, sizeof(LINE "\n" LINE) - 1, 3);
    len += ZSTD_compress(bytes + len, sizeof(bytes) - len, "\n" LINE, sizeof(LINE), 3);
    write_file(fixture->path, bytes, len);
    assert_reads(fixture, "1:" LINE "|2:" LINE "|3:" LINE "|");
}

static void a_cut_or_damaged_file_gives_what_came_before_and_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct buf text = {0};
    size_t cap = 1024 * 1024;
    unsigned char *bytes = malloc(cap);
    assert_non_null(bytes);
    for (int i = 0; i < 20000; i++) {
        buf_printf(&text, LINE " ID=%u\n", (unsigned)i * 2654435761u);
    }
    for (int zstd = 0; zstd < 2; zstd++) {
        size_t len = zstd ? ZSTD_compress(bytes, cap, text.data, text.len, 3)
                          : compress_gzip(text.data, text.len, bytes, cap);
        for (int damaged = 0; damaged < 2; damaged++) {
            struct buf out = {0};
            struct why why = {""};
            if (damaged) {
                memset(bytes + len / 2, 0x55, 64);
            }
            write_file(fixture->path, bytes, damaged ? len : len / 2);
            assert_int_equal(read_all(fixture, NULL, &out, &why), W_EDAMAGED);
            assert_non_null(strstr(why.text, fixture->path));
            assert_non_null(strstr(why.text, damaged ? "is damaged" : "ends early"));
            assert_true(out.len > 100000);
            buf_fini(&out);
        }
    }
    free(bytes);
    buf_fini(&text);
}

static void what_is_of_no_known_format_is_refused_with_what_was_tried(void **state)
{
    struct fixture *fixture = *state;
    struct buf out = {0};
    struct why why = {""};
    char expected[1024];
    write_file(fixture->path, "\nhello\n", 7);
    assert_int_equal(read_all(fixture, NULL, &out, &why), W_EFORMAT);
    snprintf(expected, sizeof(expected), "%s: line 2 is of no known format (tried", fixture->path);
    /* json and csv are not, without a map; they are the last. */
    for (size_t i = 0; FORMATS[i] != &FORMAT_JSON; i++) {
        size_t len = strlen(expected);
        snprintf(expected + len, sizeof(expected) - len, "%s %s", i > 0 ? "," : "",
                 FORMATS[i]->name);
    }
    strcat(expected, "); name it with --from FORMAT, or its fields with --map");
    assert_string_equal(why.text, expected);
    assert_int_equal(read_all(fixture, &FORMAT_KERNEL_LOG, &out, &why), 0);
    assert_string_equal(out.data, "2:hello|");
    buf_fini(&out);
}

static void json_need_not_stand_one_on_a_line(void **state)
{
#define DROP "{\"flow\":{\"verdict\":\"DROPPED\"}}"
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *reads;
    } TEXTS[] = {
        {"[\n" DROP ",\n" DROP "]\n", "1:" DROP "|2:" DROP "|"},
        {"[" DROP "]", "1:" DROP "|"},
        {DROP DROP DROP, "1:" DROP "|2:" DROP "|3:" DROP "|"},
        {"{\n\"flow\":{}\n}\n" DROP, "1:{\n\"flow\":{}\n}|2:" DROP "|"},
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        write_file(fixture->path, TEXTS[i].text, strlen(TEXTS[i].text));
        assert_reads(fixture, TEXTS[i].reads);
    }
}

static void a_head_that_shows_nothing_is_of_no_known_format(void **state)
{
    enum { LEN = 200 * 1024 };
    struct fixture *fixture = *state;
    char *text = malloc(LEN);
    assert_non_null(text);
    static const char *const ENDS[] = {LINE "\n", "\"}]"};
    for (int i = 0; i < 2; i++) {
        struct buf out = {0};
        struct why why = {""};
        memset(text, i == 0 ? '\n' : 'x', LEN);
        memcpy(text, i == 0 ? "\n" : "[{\"a\":\"", i == 0 ? 1 : 7);
        memcpy(text + LEN - strlen(ENDS[i]), ENDS[i], strlen(ENDS[i]));
        write_file(fixture->path, text, LEN);
        assert_int_equal(read_all(fixture, NULL, &out, &why), W_EFORMAT);
        buf_fini(&out);
    }
    free(text);
}

static void a_fault_between_objects_ends_the_input(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        int err;
        const char *why;
    } TEXTS[] = {
        {"[" DROP "," DROP ",5]", W_ESYNTAX, "byte 64: a JSON object was expected"},
        {"[" DROP "," DROP, W_EDAMAGED, "the JSON ends early"},
        {"[{\"a\":1}]", W_EFORMAT, "entry 1 is of no known format"},
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct buf out = {0};
        struct why why = {""};
        write_file(fixture->path, TEXTS[i].text, strlen(TEXTS[i].text));
        assert_int_equal(read_all(fixture, NULL, &out, &why), TEXTS[i].err);
        if (strstr(why.text, TEXTS[i].why) == NULL) {
            fail_msg("%s", why.text);
        }
        buf_fini(&out);
    }
}

static void the_format_may_show_only_after_other_lines(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture->path, "-- Journal begins --\n" LINE "\n", sizeof(LINE) + 21);
    assert_reads(fixture, "1:-- Journal begins --|2:" LINE "|");
}

/* More entries than fit into a batch, so that labels outlive it. */
static void each_entry_has_the_labels_of_its_stream(void **state)
{
    struct fixture *fixture = *state;
    enum { ENTRIES = 20000 };
    static const char *const STREAMS[] = {"{\"n\":\"0\"}", "{\"n\":\"1\"}"};
    struct buf text = {0};
    struct flow_batch batch = {0};
    struct reader *reader;
    struct why why = {""};
    size_t count = 0, batches = 0;
    buf_str(&text, "{\"status\":\"success\",\"data\":{\"result\":[");
    for (size_t stream = 0; stream < 2; stream++) {
        buf_printf(&text, "%s{\"stream\":%s,\"values\":[", stream > 0 ? "," : "", STREAMS[stream]);
        for (size_t i = 0; i < ENTRIES; i++) {
            buf_printf(&text, "%s[\"%zu\",\"x\"]", i > 0 ? "," : "", i);
        }
        buf_str(&text, "]}");
    }
    buf_str(&text, ",{\"values\":[[\"1\",\"x\"]]}]}}");
    write_file(fixture->path, text.data, text.len);
    assert_int_equal(reader_open(&reader, fixture->path, NULL, fixture->parser, &why), 0);
    for (; reader_next(reader, &batch, &why) > 0; batches++) {
        for (size_t i = 0; i < batch.count; i++, count++) {
            struct text labels = batch.records[i].labels;
            const char *expected = count / ENTRIES < 2 ? STREAMS[count / ENTRIES] : NULL;
            assert_int_equal(labels.data != NULL, expected != NULL);
            if (expected != NULL) {
                assert_int_equal(labels.len, strlen(expected));
                assert_memory_equal(labels.data, expected, labels.len);
            }
        }
    }
    assert_int_equal(count, 2 * ENTRIES + 1);
    assert_true(batches > 2);
    flow_batch_fini(&batch);
    reader_close(&reader);
    buf_fini(&text);
}

static void a_loki_response_is_read_entry_by_entry(void **state)
{
    struct fixture *fixture = *state;
    struct buf text = {0};
    struct buf out = {0};
    struct why why = {""};
    buf_str(&text, "{\n\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":["
                   "{\"stream\":{},\"values\":[");
    for (int i = 1; i <= 20000; i++) {
        buf_printf(&text, "%s\n[\"%d\",\"" LINE "\"]", i > 1 ? "," : "", i);
    }
    buf_str(&text, "]}]}}");
    write_file(fixture->path, text.data, text.len);
    assert_int_equal(read_all(fixture, NULL, &out, &why), 0);
    assert_memory_equal(out.data, "1:[\"1\",\"" LINE "\"]|2:[\"2\"", 24);
    assert_non_null(strstr(out.data, "|20000:[\"20000\""));
    buf_reset(&out);
    /* Cut: what came before it is read. */
    write_file(fixture->path, text.data, text.len - 1);
    assert_int_equal(read_all(fixture, NULL, &out, &why), W_EDAMAGED);
    assert_non_null(strstr(out.data, "|20000:[\"20000\""));
    assert_non_null(strstr(why.text, "ends early"));
    buf_reset(&out);
    text.data[text.len - 3] = '}';
    write_file(fixture->path, text.data, text.len);
    assert_int_equal(read_all(fixture, NULL, &out, &why), W_ESYNTAX);
    buf_reset(&out);
    write_file(fixture->path, "{\"status\":\"error\",\"error\":\"x\"}", 31);
    assert_int_equal(read_all(fixture, NULL, &out, &why), W_EFORMAT);
    buf_fini(&text);
    buf_fini(&out);
}

static void sources_are_files_directories_and_globs(void **state)
{
    struct fixture *fixture = *state;
    struct source_list list = {0};
    struct why why = {""};
    char path[128];
    static const char *const NAMES[] = {"b.log", "a.log", ".hidden", "c.txt"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", fixture->dir, NAMES[i]);
        write_file(path, "12345", 5);
    }
    unlink(fixture->path);
    snprintf(path, sizeof(path), "%s/folder", fixture->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pipe", fixture->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(source_list_add(&list, fixture->dir, &why), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(list.count, 3);
    assert_non_null(strstr(list.paths[0], "/a.log"));
    assert_non_null(strstr(list.paths[2], "/c.txt"));
    snprintf(path, sizeof(path), "%s/*.log", fixture->dir);
    assert_int_equal(source_list_add(&list, path, &why), 0);
    assert_int_equal(source_list_add(&list, "-", &why), 0);
    assert_int_equal(list.count, 6);
    assert_string_equal(list.paths[5], "-");
    assert_true(list.bytes == 25);
    assert_string_equal(list.clusters[5].text, "");
    snprintf(path, sizeof(path), "%s/a.log,cluster=prod-1", fixture->dir);
    assert_int_equal(source_list_add(&list, path, &why), 0);
    assert_int_equal(list.count, 7);
    assert_non_null(strstr(list.paths[6], "/a.log"));
    assert_null(strchr(list.paths[6], ','));
    assert_string_equal(list.clusters[6].text, "prod-1");
    snprintf(path, sizeof(path), "%s/a.log,cluster=", fixture->dir);
    assert_int_equal(source_list_add(&list, path, &why), W_EUSAGE);
    snprintf(path, sizeof(path), "%s/*.none", fixture->dir);
    assert_int_equal(source_list_add(&list, path, &why), -ENOENT);
    assert_non_null(strstr(why.text, "no file matches"));
    snprintf(path, sizeof(path), "%s/none", fixture->dir);
    assert_int_equal(source_list_add(&list, path, &why), -ENOENT);
    assert_int_equal(list.count, 7);
    source_list_fini(&list);
}

static void what_cannot_be_opened_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct buf out = {0};
    struct why why = {""};
    unlink(fixture->path);
    assert_int_equal(read_all(fixture, NULL, &out, &why), -ENOENT);
    assert_non_null(strstr(why.text, fixture->path));
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(read_all(fixture, NULL, &out, &why), -EISDIR);
    assert_int_equal(rmdir(fixture->path), 0);
    buf_fini(&out);
}

/* A format whose records are "c|a|b" behind a header "#c|a|b". */
static bool column_header(struct layout_builder *builder, struct text line)
{
    if (line.data[0] != '#') {
        return false;
    }
    layout_builder_names(builder, (struct text){line.data + 1, line.len - 1}, '|');
    return true;
}

static const char *const COLUMN_FIELDS[] = {"a"};
static const struct columns COLUMNS = {COLUMN_FIELDS, 1, NULL, '|', 0, column_header};
static const struct format COLUMN_FORMAT = {.name = "columns", .columns = &COLUMNS};

/* "number=a|" for each record, its field by the layout of its batch; "/" between batches. */
static void read_columns(struct fixture *fixture, struct buf *out)
{
    struct reader *reader;
    struct flow_batch batch = {0};
    struct why why = {""};
    int err;
    assert_int_equal(reader_open(&reader, fixture->path, &COLUMN_FORMAT, fixture->parser, &why), 0);
    while ((err = reader_next(reader, &batch, &why)) > 0) {
        for (size_t i = 0; i < batch.count; i++) {
            struct text cells[LAYOUT_COLUMNS_MAX];
            struct text cell = {"none", 4};
            if (batch.layout != NULL) {
                size_t count = layout_split(batch.layout, batch.records[i].text, cells);
                cell = layout_cell(batch.layout, cells, count, 0);
            }
            buf_printf(out, "%llu=%.*s|", (unsigned long long)batch.records[i].number,
                       (int)cell.len, cell.data);
        }
        buf_char(out, '/');
    }
    assert_int_equal(err, 0);
    /* The layout of a batch outlives its reader. */
    reader_close(&reader);
    flow_batch_fini(&batch);
    buf_char(out, '\0');
}

static void a_header_counts_for_the_records_behind_it_and_ends_the_batch(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *records;
    } CASES[] = {
        {"#a|b\n1|2\n3|4\n", "2=1|3=3|/"},
        {"#a|b\n1|2\n#b|a\n3|4\n5|6\n#a\n7\n", "2=1|/4=4|5=6|/7=7|/"},
        {"#a|b\n1|2\n#a|b\n3|4\n", "2=1|4=3|/"},
        {"#a|b\n\n#b|a\n\n1|2", "5=2|/"},
        {"1|2\n#a|b\n1|2", "1=none|/3=1|/"},
        {"#a|b\n#b|a", ""},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf out = {0};
        write_file(fixture->path, CASES[i].text, strlen(CASES[i].text));
        read_columns(fixture, &out);
        assert_string_equal(out.data, CASES[i].records);
        buf_fini(&out);
    }
}

static void columns_that_are_named_count_until_a_header_comes(void **state)
{
    struct fixture *fixture = *state;
    struct buf out = {0};
    fixture->parser->options.columns = "b,a";
    write_file(fixture->path, "1|2\n#a|b\n3|4\n", 13);
    read_columns(fixture, &out);
    assert_string_equal(out.data, "1=2|/3=3|/");
    fixture->parser->options.columns = NULL;
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_and_counted_and_empty_ones_left_out),
        cmocka_unit_test(a_line_that_is_too_long_is_passed_over_and_named),
        cmocka_unit_test(a_line_of_the_longest_allowed_is_read),
        cmocka_unit_test(compressed_files_are_found_by_content),
        cmocka_unit_test(a_cut_or_damaged_file_gives_what_came_before_and_an_error),
        cmocka_unit_test(what_is_of_no_known_format_is_refused_with_what_was_tried),
        cmocka_unit_test(json_need_not_stand_one_on_a_line),
        cmocka_unit_test(a_head_that_shows_nothing_is_of_no_known_format),
        cmocka_unit_test(a_fault_between_objects_ends_the_input),
        cmocka_unit_test(the_format_may_show_only_after_other_lines),
        cmocka_unit_test(each_entry_has_the_labels_of_its_stream),
        cmocka_unit_test(a_loki_response_is_read_entry_by_entry),
        cmocka_unit_test(sources_are_files_directories_and_globs),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(a_header_counts_for_the_records_behind_it_and_ends_the_batch),
        cmocka_unit_test(columns_that_are_named_count_until_a_header_comes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
