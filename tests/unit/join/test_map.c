/* tests/unit/join/test_map.c -- JSON and CSV that nobody foresaw, read as --map says
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "join/reader.h"
#include "tests/support/flow_lines.h"
#include "tests/support/store_fixture.h"

/* ---- The flag ---- */

static void what_is_no_map_is_refused_with_what_was_expected(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* NULL: fine */
    } CASES[] = {
        {"source.ip=src,destination.ip=dst,@timestamp=ts", NULL},
        {"source.ip=/id.orig_h", NULL},
        {"source.ip=a.b.c", NULL},
        {"source.ip=3", NULL},
        {"source.ip=Source IP", NULL},
        {"source.ip=a=b", NULL},
        {"", "--map : expected FIELD=NAME, as source.ip=src"},
        {"source.ip", "--map source.ip: expected FIELD=NAME, as source.ip=src"},
        {"source.ip=", "--map source.ip=: expected FIELD=NAME, as source.ip=src"},
        {"source.ip=src,", "--map : expected FIELD=NAME, as source.ip=src"},
        {"source.addr=src",
         "--map: source.addr is no field of a flow; `whither join --help` lists them"},
        {"source.ip=a..b", "--map source.ip=a..b: expected a path of keys of 1 to 63 octets"},
        {"source.ip=/", "--map source.ip=/: expected a path of keys of 1 to 63 octets"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct field_map map = {0};
        struct why why = {""};
        int err = map_add(&map, CASES[i].text, &why);
        assert_int_equal(err, CASES[i].why != NULL ? W_EUSAGE : 0);
        assert_string_equal(why.text, CASES[i].why != NULL ? CASES[i].why : "");
        map_fini(&map);
    }
}

static void more_fields_than_there_is_room_for_are_refused(void **state)
{
    struct field_map map = {0};
    struct why why = {""};
    (void)state;
    for (int i = 0; i < MAP_MAX; i++) {
        assert_int_equal(map_add(&map, "source.ip=src", &why), 0);
    }
    assert_int_equal(map.from_count, 1);
    assert_int_equal(map_add(&map, "source.ip=src", &why), W_EUSAGE);
    map_fini(&map);
}

static void a_map_names_addresses_and_a_time(void **state)
{
    static const struct {
        const char *text;
        bool fine;
        bool fine_if_timed;
    } CASES[] = {
        {"source.ip=a,destination.ip=b,@timestamp=c", true, true},
        {"source.ip=a,destination.ip=b,event.start=c", true, true},
        {"source.ip=a,destination.ip=b", false, true},
        {"source.ip=a,@timestamp=c", false, false},
        {"destination.ip=a,@timestamp=c", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct field_map map = {0};
        struct why why = {""};
        assert_int_equal(map_add(&map, CASES[i].text, &why), 0);
        assert_int_equal(map_check(&map, false, &why), CASES[i].fine ? 0 : W_EUSAGE);
        assert_int_equal(map_check(&map, true, &why), CASES[i].fine_if_timed ? 0 : W_EUSAGE);
        map_fini(&map);
    }
}

/* ---- Records ---- */

#define MAP                                                                                        \
    "source.ip=src,destination.ip=dst,@timestamp=ts,event.end=end,source.port=sport,"              \
    "destination.port=dport,network.transport=proto,network.bytes=octets,event.action=what,"       \
    "network.direction=way,source.k8s.namespace=ns,source.k8s.pod=pod,destination.nat.ip=nat,"     \
    "destination.k8s.service=svc,host.name=node"
#define PAIR "192.0.2.7:40112 > 198.51.100.9:443"
#define AT "2026-05-22T10:00:01.000000Z"

/* JSON and, in the order of COLUMNS, the same in CSV. */
#define COLUMNS "src,dst,ts,end,sport,dport,proto,octets,what,way"
static const struct {
    const char *json;
    const char *csv;
    const char *is; /* behind the name of the format */
} RECORDS[] = {
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001,\"end\":1779444061,"
     "\"sport\":40112,\"dport\":\"443\",\"proto\":6,\"octets\":\"471\",\"what\":\"ALLOW\"}",
     "192.0.2.7,198.51.100.9,1779444001,1779444061,40112,443,6,471,ALLOW,",
     " tcp " PAIR " allowed unknown aggregate " AT " to 2026-05-22T10:01:01.000000Z 471 bytes"},
    {"{\"src\":\"2001:db8::7\",\"dst\":\"2001:db8::9\",\"ts\":\"2026-05-22T12:00:01+02:00\","
     "\"proto\":\"udp\",\"what\":\"Block\",\"way\":\"Outbound\"}",
     "2001:db8::7,2001:db8::9,2026-05-22T12:00:01+02:00,,,,udp,,Block,Outbound",
     " udp 2001:db8::7 > 2001:db8::9 denied egress " AT},
    /* Azure's letters. */
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001,\"sport\":40112,"
     "\"dport\":443,\"proto\":\"T\",\"what\":\"B\",\"way\":\"O\"}",
     "192.0.2.7,198.51.100.9,1779444001,,40112,443,T,,B,O", " tcp " PAIR " allowed egress " AT},
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001,\"sport\":40112,"
     "\"dport\":443,\"proto\":\"U\",\"what\":\"D\"}",
     "192.0.2.7,198.51.100.9,1779444001,,40112,443,U,,D,", " udp " PAIR " denied unknown " AT},
    /* Copies and ways back. */
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001,\"way\":\"INGRESS\"}",
     "192.0.2.7,198.51.100.9,1779444001,,,,,,,INGRESS", "skip ingress"},
    {"{\"src\":\"198.51.100.9\",\"dst\":\"192.0.2.7\",\"ts\":1779444001,\"sport\":443,"
     "\"dport\":40112,\"proto\":\"tcp\"}",
     "198.51.100.9,192.0.2.7,1779444001,,443,40112,tcp,,,", "skip reply"},
    /* Nothing, in all its forms, and nonsense. */
    {"{\"src\":null,\"dst\":\"198.51.100.9\",\"ts\":1779444001}", ",198.51.100.9,1779444001,,,,,,,",
     " ? unknown unknown " AT " unjoinable no-address"},
    {"{\"src\":\"-\",\"dst\":\"0.0.0.0\",\"ts\":1779444001,\"what\":\"log\"}",
     "-,0.0.0.0,1779444001,,,,,,log,", " ? logged unknown " AT " unjoinable no-address"},
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"what\":\"perhaps\"}",
     "192.0.2.7,198.51.100.9,,,,,,,perhaps,",
     " ? 192.0.2.7 > 198.51.100.9 unknown unknown never unjoinable no-time"},
    {"{\"src\":\"x\",\"dst\":\"198.51.100.9\",\"ts\":1779444001}",
     "x,198.51.100.9,1779444001,,,,,,,", " ? unknown unknown " AT " unjoinable bad-address"},
    {"{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":\"soon\"}",
     "192.0.2.7,198.51.100.9,soon,,,,,,,",
     " ? 192.0.2.7 > 198.51.100.9 unknown unknown never unjoinable no-time"},
};

/* Sets up `lines` with a map. */
static void begin(struct flow_lines *lines, struct field_map *map, struct parser_options *options,
                  const char *text)
{
    struct why why = {""};
    *map = (struct field_map){0};
    assert_int_equal(map_add(map, text, &why), 0);
    map_options(map, options);
    flow_lines_init(lines, options, 0);
}

static void end(struct flow_lines *lines, struct field_map *map)
{
    flow_lines_fini(lines);
    map_fini(map);
}

static void assert_is(struct flow_lines *lines, const struct format *format, const char *line,
                      const char *is)
{
    char expected[512];
    const struct flow_record *record = flow_lines_parse(lines, format, line, strlen(line));
    snprintf(expected, sizeof(expected), "%s%s", is[0] == ' ' ? format->name : "", is);
    assert_string_equal(flow_lines_text(record), expected);
}

static void json_and_csv_say_the_same(void **state)
{
    struct flow_lines lines;
    struct field_map map;
    struct parser_options options = {0};
    (void)state;
    begin(&lines, &map, &options, MAP);
    flow_lines_header(&lines, &FORMAT_CSV, COLUMNS);
    for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++) {
        assert_is(&lines, &FORMAT_JSON, RECORDS[i].json, RECORDS[i].is);
        assert_is(&lines, &FORMAT_CSV, RECORDS[i].csv, RECORDS[i].is);
    }
    assert_is(&lines, &FORMAT_JSON, "[]", "bad: not a json record");
    assert_is(&lines, &FORMAT_JSON, "{", "bad: not valid JSON at byte 2: a key was expected");
    assert_is(&lines, &FORMAT_CSV, "{}", "bad: not a csv record");
    end(&lines, &map);
}

static void identity_and_a_second_address_are_taken_where_they_are_named(void **state)
{
    static const char LINE[] =
        "{\"src\":\"192.0.2.7\",\"dst\":\"198.51.100.9\",\"ts\":1779444001,\"ns\":\"shop\","
        "\"pod\":\"cart-\\u0031\",\"nat\":\"203.0.113.5\",\"svc\":\"web\",\"node\":\"n\"}";
    struct flow_lines lines;
    struct field_map map;
    struct parser_options options = {0};
    char text[ADDR_TEXT_MAX];
    (void)state;
    begin(&lines, &map, &options, MAP);
    flow_lines_parse(&lines, &FORMAT_JSON, LINE, sizeof(LINE) - 1);
    assert_string_equal(flow_lines_who(&lines.record), "shop/cart-1 on n > service web");
    assert_true(lines.record.flow.has_alternate);
    addr_print(&lines.record.flow.alternate, text);
    assert_string_equal(text, "203.0.113.5");
    end(&lines, &map);
}

static void times_are_read_in_every_unit_and_zone(void **state)
{
    static const struct {
        const char *time;
        const char *is;
        int64_t precision_us;
    } CASES[] = {
        {"1779444001", AT, 999999},
        {"1779444001.5", "2026-05-22T10:00:01.500000Z", 99999},
        {"1779444001.123456", "2026-05-22T10:00:01.123456Z", 0},
        {"1779444001123", "2026-05-22T10:00:01.123000Z", 999},
        {"99999999999", "never unjoinable no-time", 0},
        {"999999999999", "2001-09-09T01:46:39.999000Z", 999},
        {"999999999999999", "2001-09-09T01:46:39.999999Z", 0},
        {"999999999999999999", "2001-09-09T01:46:39.999999Z", 0},
        {"1779444001123456", "2026-05-22T10:00:01.123456Z", 0},
        {"1779444001123456789", "2026-05-22T10:00:01.123456Z", 0},
        {"\"2026-05-22T10:00:01Z\"", AT, 999999},
        {"\"2026-05-22T10:00:01.123456789Z\"", "2026-05-22T10:00:01.123456Z", 0},
        {"\"2026-05-22 10:00:01.123+00:00\"", "2026-05-22T10:00:01.123000Z", 999},
        /* Without a zone it is the one of --tz: UTC+2 here. */
        {"\"2026-05-22 12:00:01.123\"", "2026-05-22T10:00:01.123000Z", 999},
        {"\"2026-05-22T12:00:01\"", AT, 999999},
        {"0", "never unjoinable no-time", 0},
        {"18446744073709551615", "never unjoinable no-time", 0},
        {"4102444801", "never unjoinable no-time", 0},
        {"\"12:00:01\"", "never unjoinable no-time", 0},
        {"-1", "never unjoinable no-time", 0},
    };
    struct flow_lines lines;
    struct field_map map;
    struct parser_options options = {0};
    (void)state;
    setenv("TZ", "EET-2", 1);
    tzset();
    begin(&lines, &map, &options, "source.ip=a,destination.ip=b,@timestamp=t");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char line[256];
        char is[256];
        snprintf(line, sizeof(line), "{\"a\":\"192.0.2.7\",\"b\":\"192.0.2.8\",\"t\":%s}",
                 CASES[i].time);
        snprintf(is, sizeof(is), " ? 192.0.2.7 > 192.0.2.8 unknown unknown %s", CASES[i].is);
        assert_is(&lines, &FORMAT_JSON, line, is);
        if (lines.record.flow.start_us != 0) {
            assert_int_equal(lines.record.flow.precision_us, CASES[i].precision_us);
        } else {
            assert_non_null(lines.record.doubtful);
        }
    }
    end(&lines, &map);
    unsetenv("TZ");
    tzset();
}

static void only_event_start_says_when_a_connection_began(void **state)
{
    struct flow_lines lines;
    struct field_map map;
    struct parser_options options = {0};
    (void)state;
    begin(&lines, &map, &options,
          "source.ip=a,destination.ip=b,event.start=s,@timestamp=t,event.end=e");
    assert_is(&lines, &FORMAT_JSON,
              "{\"a\":\"192.0.2.7\",\"b\":\"192.0.2.8\",\"s\":1779444001,\"t\":1,\"e\":1779444061}",
              " ? 192.0.2.7 > 192.0.2.8 unknown unknown start " AT
              " to 2026-05-22T10:01:01.000000Z");
    assert_is(&lines, &FORMAT_JSON,
              "{\"a\":\"192.0.2.7\",\"b\":\"192.0.2.8\",\"t\":1779444001,\"e\":1779443000}",
              " ? 192.0.2.7 > 192.0.2.8 unknown unknown aggregate " AT);
    end(&lines, &map);
}

static void the_first_of_several_names_that_a_record_has_counts(void **state)
{
    struct flow_lines lines;
    struct field_map map;
    struct parser_options options = {0};
    (void)state;
    begin(&lines, &map, &options,
          "source.ip=v4.src,source.ip=v6.src,destination.ip=/v4/dst,destination.ip=/v6/dst,"
          "@timestamp=/t.s");
    assert_is(&lines, &FORMAT_JSON,
              "{\"v6\":{\"src\":\"2001:db8::7\"},\"v4\":{\"src\":\"192.0.2.7\",\"dst\":"
              "\"192.0.2.8\"},\"t.s\":1779444001}",
              " ? 192.0.2.7 > 192.0.2.8 unknown unknown " AT);
    assert_is(&lines, &FORMAT_JSON,
              "{\"v4\":{\"src\":\"\"},\"v6\":{\"src\":\"2001:db8::7\",\"dst\":\"2001:db8::8\"},"
              "\"t.s\":1779444001}",
              " ? 2001:db8::7 > 2001:db8::8 unknown unknown " AT);
    end(&lines, &map);
}

/* ---- Files of CSV ---- */

static void read_file(const char *text, const struct parser_options *options,
                      const struct format *forced, char *out, size_t room)
{
    char dir[64];
    char path[128];
    struct parser *parser;
    struct reader *reader;
    struct flow_batch batch = {0};
    struct why why = {""};
    fixture_dir(dir);
    snprintf(path, sizeof(path), "%s/input", dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(parser_new(&parser, options), 0);
    out[0] = '\0';
    if (reader_open(&reader, path, forced, parser, &why) != 0) {
        snprintf(out, room, "%s", strrchr(why.text, ';'));
    } else {
        while (reader_next(reader, &batch, &why) > 0) {
            assert_int_equal(flow_batch_parse(&batch, parser), 0);
            for (size_t i = 0; i < batch.count; i++) {
                size_t len = strlen(out);
                snprintf(out + len, room - len, "%s\n", flow_lines_text(&batch.records[i]));
            }
        }
        reader_close(&reader);
    }
    flow_batch_fini(&batch);
    parser_free(&parser);
    fixture_remove(dir);
}

static void columns_are_found_by_header_by_flag_and_by_number(void **state)
{
#define FLOW(A, B) "csv ? 192.0.2." A " > 192.0.2." B " unknown unknown " AT "\n"
    static const char BY_NAME[] = "source.ip=src,destination.ip=dst,@timestamp=ts";
    static const char BY_NUMBER[] = "source.ip=2,destination.ip=3,@timestamp=1";
    static const struct {
        const char *map;
        const char *columns;
        const char *text;
        const char *records;
    } CASES[] = {
        {BY_NAME, NULL, "ts,src,dst\n1779444001,192.0.2.1,192.0.2.2\n", FLOW("1", "2")},
        {BY_NAME, NULL, "src;x;ts;dst\n192.0.2.1;\"a;b\";1779444001;192.0.2.2\n", FLOW("1", "2")},
        {BY_NAME, NULL, "src\tts\tdst\n192.0.2.1\t1779444001\t192.0.2.2\n", FLOW("1", "2")},
        {BY_NAME, NULL, "\"ts\",\"src\",\"dst\"\n\"1779444001\",\"192.0.2.1\",\"192.0.2.2\"\n",
         FLOW("1", "2")},
        /* Another header, and the same again. */
        {BY_NAME, NULL,
         "ts,src,dst\n1779444001,192.0.2.1,192.0.2.2\nts,src,dst\n"
         "1779444001,192.0.2.3,192.0.2.4\ndst,src,ts\n192.0.2.5,192.0.2.6,1779444001\n",
         FLOW("1", "2") FLOW("3", "4") FLOW("6", "5")},
        {BY_NAME, "ts src dst", "1779444001 192.0.2.1 192.0.2.2\n", FLOW("1", "2")},
        {BY_NAME, "ts,src,dst", "ts,src,dst\n1779444001,192.0.2.1,192.0.2.2\n", FLOW("1", "2")},
        {BY_NUMBER, NULL, "1779444001,192.0.2.1,192.0.2.2,more\n", FLOW("1", "2")},
        {BY_NUMBER, "x;y", "1779444001;192.0.2.1;192.0.2.2\n", FLOW("1", "2")},
        /* Cut off, and without what is needed. */
        {BY_NAME, NULL, "ts,src,dst\n1779444001,192.0.2.1\n",
         "bad: 2 fields, but dst is column 3\n"},
        {BY_NAME, NULL, "ts,from,dst\n1779444001,192.0.2.1,192.0.2.2\n",
         "bad: no column is called src; the first line names the columns, or --columns does\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct field_map map = {0};
        struct parser_options options = {.columns = CASES[i].columns};
        struct why why = {""};
        char out[1024];
        assert_int_equal(map_add(&map, CASES[i].map, &why), 0);
        map_options(&map, &options);
        read_file(CASES[i].text, &options, &FORMAT_CSV, out, sizeof(out));
        assert_string_equal(out, CASES[i].records);
        /* By content it is the same, where what the map names is there. */
        bool there = strstr(CASES[i].records, "bad: no column") == NULL;
        read_file(CASES[i].text, &options, NULL, out, sizeof(out));
        assert_string_equal(out, there ? CASES[i].records
                                       : "; --map names addresses that are not there");
        map_fini(&map);
    }
}

static void without_a_map_nothing_is_json_or_csv(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    assert_is(&lines, &FORMAT_JSON, RECORDS[0].json, "bad: not a json record");
    assert_is(&lines, &FORMAT_CSV, RECORDS[0].csv, "bad: not a csv record");
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_map_is_refused_with_what_was_expected),
        cmocka_unit_test(more_fields_than_there_is_room_for_are_refused),
        cmocka_unit_test(a_map_names_addresses_and_a_time),
        cmocka_unit_test(json_and_csv_say_the_same),
        cmocka_unit_test(identity_and_a_second_address_are_taken_where_they_are_named),
        cmocka_unit_test(times_are_read_in_every_unit_and_zone),
        cmocka_unit_test(only_event_start_says_when_a_connection_began),
        cmocka_unit_test(the_first_of_several_names_that_a_record_has_counts),
        cmocka_unit_test(columns_are_found_by_header_by_flag_and_by_number),
        cmocka_unit_test(without_a_map_nothing_is_json_or_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
