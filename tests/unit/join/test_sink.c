/* tests/unit/join/test_sink.c -- the forms a named flow is given out in
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/json.h"

#define T INT64_C(1779444001123456) /* 2026-05-22T10:00:01.123456Z */

#define ATTRIBUTION                                                                                \
    "\"attribution\":{\"verdict\":\"resolved\",\"owner_known\":false,\"coverage\":\"known\","      \
    "\"ambiguous\":false,\"age_ms\":55,\"candidates\":[{\"name\":\"www.example.co.uk\","           \
    "\"asked\":\"www.example.co.uk\",\"live\":true,\"last\":\"2026-05-22T10:00:01.068456Z\","      \
    "\"age_ms\":55,\"ttl_s\":60,\"count\":3,\"chain\":[],\"via\":\"client\"}],\"left_out\":0}"

static struct text text(const char *s)
{
    return (struct text){s, s != NULL ? strlen(s) : 0};
}

static struct flow_record make_record(void)
{
    struct flow_record record = {.number = 17, .kept = text("{\"a\" : 1 }")};
    struct flow *flow = &record.flow;
    *flow = (struct flow){
        .dataset = "hubble",
        .start_us = T,
        .end_us = T,
        .has_pair = true,
        .has_ports = true,
        .source_port = 40112,
        .destination_port = 443,
        .transport = "tcp",
        .action = FLOW_ALLOWED,
        .direction = FLOW_EGRESS,
        .sequence = 17,
        .source_id.namespace = text("shop"),
        .source_id.pod = text("cart-7c9d"),
        .source_id.workload = text("cart"),
    };
    assert_true(addr_parse(&flow->source, "10.10.3.7", 9));
    assert_true(addr_parse(&flow->destination, "198.51.100.9", 12));
    return record;
}

static struct candidate *make_candidate(const char *name)
{
    struct candidate *candidate = calloc(1, sizeof(*candidate));
    assert_non_null(candidate);
    assert_int_equal(name_from_text(&candidate->name, name, strlen(name)), 0);
    candidate->asked = candidate->name;
    candidate->live = true;
    candidate->answer_us = T - 55000;
    candidate->age_us = 55000;
    candidate->ttl_s = 60;
    candidate->count = 3;
    return candidate;
}

/* What the sink makes of one record. */
static char *give_out(const struct sink_kind *kind, const struct sink_options *options,
                      const struct flow_record *record, const struct attribution *attribution)
{
    struct sink *sink;
    struct buf out = {0};
    assert_int_equal(sink_new(&sink, kind, options), 0);
    if (kind->begin != NULL) {
        kind->begin(sink, &out);
    }
    kind->flow(sink, &out, record, attribution);
    if (kind->flush != NULL) {
        kind->flush(sink, &out);
    }
    sink_free(&sink);
    buf_char(&out, '\0');
    assert_int_equal(out.err, 0);
    return out.data;
}

static const struct sink_options PLAIN = {"default", 0, false};

static void assert_gives(const struct sink_kind *kind, const struct flow_record *record,
                         const struct attribution *attribution, const char *expected)
{
    char *out = give_out(kind, &PLAIN, record, attribution);
    assert_string_equal(out, expected);
    free(out);
}

static void ecs_has_the_fields_of_the_contract_in_their_order(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    (void)state;
    attribution.candidates = make_candidate("www.example.co.uk");
    record.flow.source_id.cluster = text("prod-1");
    record.flow.has_bytes = true;
    record.flow.bytes = 4120;
    assert_gives(&SINK_ECS, &record, &attribution,
                 "{\"@timestamp\":\"2026-05-22T10:00:01.123456Z\",\"event\":{\"dataset\":"
                 "\"hubble\",\"action\":\"allowed\",\"sequence\":17},\"network\":{\"transport\":"
                 "\"tcp\",\"direction\":\"egress\",\"bytes\":4120},\"source\":{\"ip\":"
                 "\"10.10.3.7\",\"port\":40112,\"k8s\":{\"cluster\":\"prod-1\",\"namespace\":"
                 "\"shop\",\"pod\":\"cart-7c9d\",\"workload\":\"cart\"}},\"destination\":{\"ip\":"
                 "\"198.51.100.9\",\"port\":443,\"domain\":\"www.example.co.uk\","
                 "\"registered_domain\":\"example.co.uk\",\"kind\":\"external\"}," ATTRIBUTION
                 "}\n");
    free(attribution.candidates);
}

static void ecs_leaves_out_what_is_not_known(void **state)
{
    struct flow_record record = {.flow = {.dataset = "kernel-log", .sequence = 1}};
    struct attribution attribution = attribution_unjoinable("no-address");
    (void)state;
    assert_gives(&SINK_ECS, &record, &attribution,
                 "{\"event\":{\"dataset\":\"kernel-log\",\"action\":\"unknown\",\"sequence\":1},"
                 "\"network\":{},\"source\":{\"k8s\":{\"cluster\":\"default\"}},\"destination\":{},"
                 "\"attribution\":{\"verdict\":\"unjoinable\",\"reason\":\"no-address\","
                 "\"owner_known\":false,\"coverage\":\"known\",\"ambiguous\":false,\"candidates\":"
                 "[],\"left_out\":0}}\n");
}

static void ecs_never_gives_a_domain_to_a_shared_name(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = SHARED, .candidate_count = 1};
    (void)state;
    attribution.candidates = make_candidate("www.example.com");
    char *out = give_out(&SINK_ECS, &PLAIN, &record, &attribution);
    assert_null(strstr(out, "\"domain\""));
    assert_non_null(strstr(out, "\"name\":\"www.example.com\""));
    free(out);
    free(attribution.candidates);
}

static void aggregates_have_a_start_and_an_end(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = BLIND, .reason = "gap"};
    (void)state;
    record.flow.aggregated = true;
    record.flow.end_us = T + 60 * US_PER_S;
    char *out = give_out(&SINK_ECS, &PLAIN, &record, &attribution);
    assert_non_null(strstr(out, "\"sequence\":17,\"start\":\"2026-05-22T10:00:01.123456Z\","
                                "\"end\":\"2026-05-22T10:01:01.123456Z\"}"));
    free(out);
}

static void only_the_port_that_is_known_is_given(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = BLIND, .reason = "gap"};
    (void)state;
    record.flow.source_port_unknown = true;
    record.flow.source_port = 0;
    record.flow.end_us = T + US_PER_S;
    char *out = give_out(&SINK_ECS, &PLAIN, &record, &attribution);
    assert_non_null(strstr(out, "\"source\":{\"ip\":\"10.10.3.7\",\"k8s\""));
    assert_non_null(strstr(out, "\"destination\":{\"ip\":\"198.51.100.9\",\"port\":443"));
    /* It ended, though it is no aggregate. */
    assert_non_null(strstr(out, "\"end\":\"2026-05-22T10:00:02.123456Z\"}"));
    free(out);
    out = give_out(&SINK_CSV, &PLAIN, &record, &attribution);
    assert_non_null(strstr(out, ",10.10.3.7,,"));
    assert_non_null(strstr(out, ",198.51.100.9,443,"));
    free(out);
}

/* Every output with hostile texts must be one line of valid JSON. */
static void hostile_texts_keep_the_line_valid_json(void **state)
{
    static const char *const PATHS[] = {"/source/k8s/pod", "/attribution/verdict"};
    static const char HOSTILE[] = "\"\\\n\x01\x1b[2J\x7f\xff\xc3\xa9\xe2\x80\xa8 end";
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    struct json_paths *paths;
    struct json_parser *parser;
    struct json_value values[2];
    (void)state;
    attribution.candidates = make_candidate("\\000\\255\\\"x.example.com");
    record.flow.source_id.namespace = record.flow.source_id.pod = record.flow.source_id.workload =
        record.flow.source_id.cluster = (struct text){HOSTILE, sizeof(HOSTILE) - 1};
    char *out = give_out(&SINK_ECS, &PLAIN, &record, &attribution);
    size_t len = strlen(out);
    assert_ptr_equal(strchr(out, '\n'), out + len - 1);
    assert_int_equal(json_paths_new(&paths, PATHS, 2), 0);
    assert_int_equal(json_parser_new(&parser, 1 << 20), 0);
    assert_int_equal(json_parse(parser, paths, out, len, values, NULL), 0);
    assert_int_equal(values[0].type, JSON_STRING);
    assert_int_equal(values[1].type, JSON_STRING);
    json_paths_free(&paths);
    json_parser_free(&parser);
    free(out);
    free(attribution.candidates);
}

static void texts_of_any_length_have_room(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = BLIND, .reason = "gap"};
    char *longest = malloc(100000);
    (void)state;
    assert_non_null(longest);
    for (size_t len = 1; len <= 100000; len *= 10) {
        memset(longest, 1, len);
        record.flow.source_id.pod = (struct text){longest, len};
        char *out = give_out(&SINK_ECS, &PLAIN, &record, &attribution);
        assert_true(strlen(out) > 6 * len);
        free(out);
    }
    free(longest);
}

static void inline_keeps_the_record_byte_for_byte(void **state)
{
    static const struct {
        const char *kept;
        const char *before;
    } CASES[] = {
        {"{\"a\" : 1 }", "{\"a\" : 1 ,"},
        {"{}", "{"},
        {"{ }", "{ "},
        {"{\"a\":{}}", "{\"a\":{},"},
        {"{\"a\":\"}\"} ", "{\"a\":\"}\","},
    };
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    (void)state;
    attribution.candidates = make_candidate("www.example.co.uk");
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct flow_record record = make_record();
        char expected[1024];
        record.kept = text(CASES[i].kept);
        snprintf(expected, sizeof(expected), "%s\"destination_domain\":\"www.example.co.uk\",%s}\n",
                 CASES[i].before, ATTRIBUTION);
        assert_gives(&SINK_INLINE, &record, &attribution, expected);
    }
    free(attribution.candidates);
}

static void inline_passes_left_out_records_through(void **state)
{
    struct flow_record record = make_record();
    struct sink *sink;
    struct buf out = {0};
    (void)state;
    assert_int_equal(sink_new(&sink, &SINK_INLINE, &PLAIN), 0);
    SINK_INLINE.left_out(sink, &out, &record);
    buf_char(&out, '\0');
    assert_string_equal(out.data, "{\"a\" : 1 }\n");
    sink_free(&sink);
    buf_fini(&out);
}

static void csv_quotes_what_needs_it(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    (void)state;
    attribution.candidates = make_candidate("www.example.co.uk");
    record.flow.source_id.pod = text("a,\"b\"");
    char *out = give_out(&SINK_CSV, &PLAIN, &record, &attribution);
    const char *line = strstr(out, "\r\n") + 2;
    assert_string_equal(line,
                        "2026-05-22T10:00:01.123456Z,hubble,allowed,tcp,egress,10.10.3.7,"
                        "40112,default,shop,\"a,\"\"b\"\"\",cart,,198.51.100.9,443,external,,,,,,"
                        "www.example.co.uk,example.co.uk,resolved,,false,55,"
                        "www.example.co.uk\r\n");
    /* As many fields as the head has. */
    size_t head = 0, fields = 0;
    for (const char *c = out; c < line; c++) {
        head += *c == ',';
    }
    for (const char *c = line; *c != '\0'; c++) {
        fields += *c == ',';
    }
    assert_int_equal(fields, head + 1); /* the one within quotes */
    free(out);
    free(attribution.candidates);
}

static void the_table_is_aligned_and_safe_to_print(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    (void)state;
    attribution.candidates = make_candidate("www.example.co.uk");
    assert_gives(&SINK_TABLE, &record, &attribution,
                 "TIME          SOURCE          DESTINATION       NAME               VERDICT     "
                 "AGE  NOTE\n"
                 "2026-05-22 UTC\n"
                 "10:00:01.123  shop/cart-7c9d  198.51.100.9:443  www.example.co.uk  resolved  "
                 "55 ms\n");
    record.flow.source_id.pod = text("\x1b[31m\xff\n");
    char *out = give_out(&SINK_TABLE, &PLAIN, &record, &attribution);
    assert_non_null(strstr(out, "shop/?[31m??"));
    free(out);
    free(attribution.candidates);
}

static size_t columns(const char *line)
{
    size_t count = 0;
    for (; *line != '\n' && *line != '\0'; line++) {
        count += ((unsigned char)*line & 0xc0) != 0x80;
    }
    return count;
}

static void the_table_fits_the_terminal(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = RESOLVED, .candidate_count = 1};
    (void)state;
    attribution.candidates =
        make_candidate("a-very-long-name-that-goes-on-and-on.and-has-many-labels.example.co.uk");
    record.flow.source_id.pod =
        text("a-pod-with-a-name-that-is-far-too-long-for-any-terminal-0123456789");
    for (unsigned width = 105; width < 200; width += 5) {
        struct sink_options options = {"default", width, false};
        char *out = give_out(&SINK_TABLE, &options, &record, &attribution);
        const char *row = strchr(strchr(out, '\n') + 1, '\n') + 1;
        assert_true(columns(out) <= width);
        assert_true(columns(row) <= width);
        /* A name keeps its end, a pod its beginning. */
        assert_non_null(strstr(row, "example.co.uk  resolved"));
        assert_non_null(strstr(row, "  shop/a-pod"));
        free(out);
    }
    free(attribution.candidates);
}

static void colours_are_used_only_if_asked_for(void **state)
{
    struct flow_record record = make_record();
    struct attribution attribution = {.verdict = IP_ONLY};
    struct sink_options options = {"default", 0, true};
    (void)state;
    char *out = give_out(&SINK_TABLE, &PLAIN, &record, &attribution);
    assert_null(strchr(out, '\033'));
    free(out);
    out = give_out(&SINK_TABLE, &options, &record, &attribution);
    assert_non_null(strstr(out, "\033[1;31mip-only\033[0m"));
    free(out);
}

static void sinks_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(sink_by_name("ecs"), &SINK_ECS);
    assert_ptr_equal(sink_by_name("csv"), &SINK_CSV);
    assert_null(sink_by_name("ECS"));
    assert_null(sink_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecs_has_the_fields_of_the_contract_in_their_order),
        cmocka_unit_test(ecs_leaves_out_what_is_not_known),
        cmocka_unit_test(ecs_never_gives_a_domain_to_a_shared_name),
        cmocka_unit_test(aggregates_have_a_start_and_an_end),
        cmocka_unit_test(only_the_port_that_is_known_is_given),
        cmocka_unit_test(hostile_texts_keep_the_line_valid_json),
        cmocka_unit_test(texts_of_any_length_have_room),
        cmocka_unit_test(inline_keeps_the_record_byte_for_byte),
        cmocka_unit_test(inline_passes_left_out_records_through),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(the_table_is_aligned_and_safe_to_print),
        cmocka_unit_test(the_table_fits_the_terminal),
        cmocka_unit_test(colours_are_used_only_if_asked_for),
        cmocka_unit_test(sinks_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
