/* tests/unit/join/test_recipes.c -- the recipes of docs/FORMATS.md, run
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is run is taken from the page itself: the program of jq and the values of --map and
 * --columns below a heading.
 */
#include "join/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "join/reader.h"
#include "tests/support/flow_lines.h"
#include "tests/support/store_fixture.h"

#define PAGE "docs/FORMATS.md"

/* The part of the page below a heading, up to the next one. */
static char *read_section(const char *heading)
{
    struct buf page = {0};
    FILE *file = fopen(PAGE, "rb");
    assert_non_null(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        buf_char(&page, (char)c);
    }
    fclose(file);
    buf_char(&page, '\0');
    assert_int_equal(page.err, 0);
    char *from = strstr(page.data, heading);
    assert_non_null(from);
    from += strlen(heading);
    char *to = strstr(from, "\n#");
    assert_non_null(to);
    char *section = strndup(from, (size_t)(to - from));
    buf_fini(&page);
    return section;
}

/* The word behind `flag`, within quotes if it begins with one; NULL if the flag is not there. */
static char *value_of(const char *section, const char *flag)
{
    const char *at = strstr(section, flag);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(flag);
    bool quoted = *at == '\'';
    at += quoted;
    return strndup(at, strcspn(at, quoted ? "'" : " \n"));
}

/* What the recipe's jq makes of the file, in its place. Returns false if there is no jq. */
static bool run_jq(const char *program, const char *path)
{
    char command[1024];
    char made[160];
    if (system("command -v jq >/dev/null 2>&1") != 0) {
        return false;
    }
    snprintf(made, sizeof(made), "%s.made", path);
    snprintf(command, sizeof(command), "jq -r '%s' %s >%s && mv %s %s", program, path, made, made,
             path);
    assert_int_equal(system(command), 0);
    return true;
}

/* Reads the file as the recipe says. */
static void read_file(const char *path, const char *section, const char *records)
{
    struct field_map map = {0};
    struct parser_options options = {0};
    struct parser *parser;
    struct reader *reader;
    struct flow_batch batch = {0};
    struct why why = {""};
    struct buf out = {0};
    char *columns = value_of(section, "--columns ");
    char *from = value_of(section, "--from ");
    char *text = value_of(section, "--map ");
    assert_non_null(text);
    assert_int_equal(map_add(&map, text, &why), 0);
    assert_int_equal(map_check(&map, false, &why), 0);
    map_options(&map, &options);
    options.columns = columns;
    assert_int_equal(parser_new(&parser, &options), 0);
    const struct format *forced = from != NULL ? format_by_name(from) : NULL;
    assert_int_equal(reader_open(&reader, path, forced, parser, &why), 0);
    while (reader_next(reader, &batch, &why) > 0) {
        assert_int_equal(flow_batch_parse(&batch, parser), 0);
        for (size_t i = 0; i < batch.count; i++) {
            bool flow = batch.records[i].parsed == PARSED_FLOW;
            buf_printf(&out, "%s%s%s\n", flow_lines_text(&batch.records[i]), flow ? " | " : "",
                       flow ? flow_lines_who(&batch.records[i]) : "");
        }
    }
    assert_string_equal(why.text, "");
    buf_char(&out, '\0');
    assert_string_equal(out.data, records);
    buf_fini(&out);
    flow_batch_fini(&batch);
    reader_close(&reader);
    parser_free(&parser);
    map_fini(&map);
    free(columns);
    free(from);
    free(text);
}

static const struct {
    const char *heading;
    const char *input;
    const char *records;
} RECIPES[] = {
    {"#### GCP VPC flow logs\n",
     "[\n{\n  \"jsonPayload\": {\"bytes_sent\": \"1776\", \"reporter\": \"SRC\",\n"
     "    \"connection\": {\"src_ip\": \"192.0.2.7\", \"src_port\": 40112, \"protocol\": 6,\n"
     "      \"dest_ip\": \"198.51.100.9\", \"dest_port\": 443},\n"
     "    \"src_gke_details\": {\"cluster\": {\"cluster_name\": \"prod-1\"},\n"
     "      \"pod\": {\"pod_name\": \"cart-7c9d-x2x\", \"pod_namespace\": \"shop\"}},\n"
     "    \"start_time\": \"2026-05-22T10:00:01.186193305Z\",\n"
     "    \"end_time\": \"2026-05-22T10:00:04.301953198Z\"},\n"
     "  \"timestamp\": \"2026-05-22T10:10:00.845445834Z\"\n},\n"
     "{\"jsonPayload\": {\"reporter\": \"SRC\", \"connection\": {\"src_ip\": \"198.51.100.9\",\n"
     "  \"src_port\": 443, \"dest_ip\": \"192.0.2.7\", \"dest_port\": 40112, \"protocol\": 6},\n"
     "  \"start_time\": \"2026-05-22T10:00:01Z\"}},\n"
     "{\"jsonPayload\": {\"reporter\": \"DEST\", \"connection\": {\"src_ip\": \"192.0.2.7\",\n"
     "  \"dest_ip\": \"192.0.2.8\"}, \"start_time\": \"2026-05-22T10:00:01Z\"}}\n]\n",
     "json tcp 192.0.2.7:40112 > 198.51.100.9:443 unknown egress aggregate "
     "2026-05-22T10:00:01.186193Z to 2026-05-22T10:00:04.301953Z 1776 bytes | "
     "in prod-1 shop/cart-7c9d-x2x > -\nskip reply\nskip ingress\n"},
    {"#### Azure VNet flow logs\n",
     "{\"records\":[{\"time\":\"2026-05-22T10:01:00Z\",\"flowLogVersion\":4,\"flowRecords\":{"
     "\"flows\":[{\"aclID\":\"a\",\"flowGroups\":[{\"rule\":\"r\",\"flowTuples\":["
     "\"1779444001599,192.0.2.7,198.51.100.9,40112,443,6,O,B,NX,0,0,0,0\","
     "\"1779444001606,192.0.2.7,198.51.100.9,40112,443,6,O,E,NX,3,767,2,1580\","
     "\"1779444002000,192.0.2.7,198.51.100.9,40113,22,6,O,D,NX,0,0,0,0\","
     "\"1779444003000,203.0.113.5,192.0.2.7,55188,22,6,I,D,NX,0,0,0,0\"]}]}]}}]}\n",
     "csv tcp 192.0.2.7:40112 > 198.51.100.9:443 allowed egress start "
     "2026-05-22T10:00:01.599000Z | - > -\n"
     "csv tcp 192.0.2.7:40113 > 198.51.100.9:22 denied egress start "
     "2026-05-22T10:00:02.000000Z | - > -\n"
     "skip ingress\n"},
    {"#### Azure NSG flow logs\n",
     "{\"records\":[{\"properties\":{\"Version\":2,\"flows\":[{\"rule\":\"r\",\"flows\":[{\"mac\":"
     "\"0\",\"flowTuples\":[\"1779444001,192.0.2.7,198.51.100.9,40112,443,T,O,A,B,,,,\","
     "\"1779444031,192.0.2.7,198.51.100.9,40112,443,T,O,A,E,1,2,3,4\","
     "\"1779444002,192.0.2.7,198.51.100.9,28746,53,U,O,D,B,,,,\"]}]}]}}]}\n",
     "csv tcp 192.0.2.7:40112 > 198.51.100.9:443 allowed egress start "
     "2026-05-22T10:00:01.000000Z | - > -\n"
     "csv udp 192.0.2.7:28746 > 198.51.100.9:53 denied egress start "
     "2026-05-22T10:00:02.000000Z | - > -\n"},
    {"#### nfdump\n",
     "[\n{\n\t\"type\" : \"FLOW\",\n\t\"first\" : \"2026-05-22T10:00:01.000\",\n"
     "\t\"last\" : \"2026-05-22T10:00:06.500\",\n\t\"in_packets\" : 5,\n\t\"in_bytes\" : 4249,\n"
     "\t\"proto\" : 6,\n\t\"src_port\" : 40112,\n\t\"dst_port\" : 443,\n"
     "\t\"src4_addr\" : \"192.0.2.7\",\n\t\"dst4_addr\" : \"198.51.100.9\"\n}\n,\n"
     "{\n\t\"first\" : \"2026-05-22T10:00:01.000\",\n\t\"last\" : \"2026-05-22T10:00:01.000\",\n"
     "\t\"proto\" : 17,\n\t\"src_port\" : 53,\n\t\"dst_port\" : 40112,\n"
     "\t\"src6_addr\" : \"2001:db8::9\",\n\t\"dst6_addr\" : \"2001:db8::7\"\n}\n]\n",
     "json tcp 192.0.2.7:40112 > 198.51.100.9:443 unknown unknown aggregate "
     "2026-05-22T10:00:01.000000Z to 2026-05-22T10:00:06.500000Z 4249 bytes | - > -\n"
     "skip reply\n"},
};

static void the_recipes_of_the_page_do_what_it_says(void **state)
{
    bool all = true;
    (void)state;
    if (access(PAGE, R_OK) != 0) {
        print_message("skipped: there is no " PAGE " here\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(RECIPES) / sizeof(RECIPES[0]); i++) {
        char dir[64];
        char path[128];
        char *section = read_section(RECIPES[i].heading);
        char *program = value_of(section, "jq -r ");
        fixture_dir(dir);
        snprintf(path, sizeof(path), "%s/input", dir);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_true(fputs(RECIPES[i].input, file) >= 0);
        assert_int_equal(fclose(file), 0);
        if (program == NULL || run_jq(program, path)) {
            read_file(path, section, RECIPES[i].records);
        } else {
            print_message("skipped: no jq for %s", RECIPES[i].heading);
            all = false;
        }
        fixture_remove(dir);
        free(program);
        free(section);
    }
    if (!all) {
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipes_of_the_page_do_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
