/* tests/unit/join/test_dns_records.c -- DNS responses from text to facts for the index
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/dns_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define TIME_US INT64_C(1779444001123456)

static struct text text(const char *string)
{
    return (struct text){string, strlen(string)};
}

/* A builder with a record to fill. */
struct fixture {
    struct flow_lines lines;
    struct dns_builder builder;
    struct dns_record facts;
    struct flow_record record;
};

static void begin(struct fixture *f, const char *asked)
{
    memset(f, 0, sizeof(*f));
    flow_lines_init(&f->lines, NULL, 0);
    f->lines.parser->arena = &f->lines.arena;
    f->facts = (struct dns_record){.source = "zeek", .time_us = TIME_US};
    assert_true(addr_parse(&f->facts.client, "192.0.2.7", 9));
    dns_builder_init(&f->builder, text(asked));
}

static void end(struct fixture *f, const char *expected)
{
    f->record.parsed = dns_builder_finish(&f->builder, f->lines.parser, &f->facts, &f->record);
    assert_string_equal(flow_lines_text(&f->record), expected);
    flow_lines_fini(&f->lines);
}

#define IS "dns zeek 192.0.2.7 2026-05-22T10:00:01.123456Z rcode "

static void addresses_are_sorted_and_the_lowest_ttl_counts(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "WWW.Example.COM.");
    dns_builder_answer(&f.builder, text("CDN.example.net"));
    dns_builder_ttl(&f.builder, 300);
    dns_builder_answer(&f.builder, text("198.51.100.9"));
    dns_builder_ttl(&f.builder, 20);
    dns_builder_answer(&f.builder, text("2001:db8::9"));
    dns_builder_answer(&f.builder, text("198.51.100.8"));
    dns_builder_answer(&f.builder, text("198.51.100.9"));
    dns_builder_ttl(&f.builder, 60);
    end(&f, IS "0 ttl 20: www.example.com > cdn.example.net = 198.51.100.8 198.51.100.9 "
               "2001:db8::9");
}

static void a_ttl_with_the_top_bit_is_0_and_none_is_30(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "example.com");
    dns_builder_ttl(&f.builder, UINT64_C(0x80000000));
    dns_builder_addr(&f.builder, text("198.51.100.9"));
    end(&f, IS "0 ttl 0: example.com = 198.51.100.9");
    begin(&f, "example.com");
    dns_builder_addr(&f.builder, text("198.51.100.9"));
    end(&f, IS "0 ttl 30: example.com = 198.51.100.9");
}

static void what_gave_no_address_still_shows_that_the_client_asked(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "example.com");
    dns_builder_target(&f.builder, text("example.net"));
    end(&f, IS "0");
    begin(&f, "example.com");
    f.facts.rcode = 3;
    dns_builder_addr(&f.builder, text("198.51.100.9"));
    end(&f, IS "3");
    begin(&f, "");
    dns_builder_addr(&f.builder, text("198.51.100.9"));
    end(&f, IS "0 ttl 30: . = 198.51.100.9");
}

static void names_and_addresses_that_are_none_make_it_bad(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "a..b");
    end(&f, "bad: a DNS response: the asked name is no domain name");
    begin(&f, ".");
    dns_builder_target(&f.builder, (struct text){NULL, 0});
    end(&f, "bad: a DNS response: the target of a CNAME is no domain name");
    begin(&f, "example.com");
    dns_builder_target(&f.builder, text(".example.net"));
    end(&f, "bad: a DNS response: the target of a CNAME is no domain name");
    begin(&f, "example.com");
    dns_builder_addr(&f.builder, text("example.net"));
    end(&f, "bad: a DNS response: an answered address is no IP address");
    begin(&f, "example.com");
    dns_builder_addr(&f.builder, (struct text){NULL, 0});
    end(&f, "bad: a DNS response: an answered address is no IP address");
    begin(&f, "example.com");
    dns_builder_answer(&f.builder, (struct text){NULL, 0});
    end(&f, "bad: a DNS response: the target of a CNAME is no domain name");
    begin(&f, "example.com");
    f.facts.time_us = 0;
    end(&f, "bad: a DNS response without a time");
}

static void the_client_is_one_machine(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "printer.example.com");
    dns_builder_addr(&f.builder, text("198.51.100.9"));
    assert_true(addr_parse(&f.facts.client, "224.0.0.251", 11));
    end(&f, "skip l7");
}

static void a_chain_and_a_set_of_addresses_have_their_limits(void **state)
{
    struct fixture f;
    struct answer answer;
    (void)state;
    for (int links = ANSWER_CHAIN_MAX; links <= ANSWER_CHAIN_MAX + 1; links++) {
        begin(&f, "example.com");
        for (int i = 0; i < links; i++) {
            char name[32];
            snprintf(name, sizeof(name), "c%d.example.net", i);
            dns_builder_target(&f.builder, text(name));
        }
        for (int i = 0; i < 2 * DNS_RECORD_ADDRS_MAX; i++) {
            char addr[32];
            snprintf(addr, sizeof(addr), i % 2 == 0 ? "198.51.%d.%d" : "2001:db8::%d:%d", i / 256,
                     i % 256);
            dns_builder_addr(&f.builder, text(addr));
            dns_builder_addr(&f.builder, text(addr));
        }
        assert_int_equal(dns_builder_finish(&f.builder, f.lines.parser, &f.facts, &f.record),
                         PARSED_DNS);
        assert_int_equal(f.record.dns.answer.len > 0, links == ANSWER_CHAIN_MAX);
        if (f.record.dns.answer.len > 0) {
            assert_int_equal(answer_decode(&answer, (const uint8_t *)f.record.dns.answer.data,
                                           f.record.dns.answer.len),
                             0);
            assert_int_equal(answer.chain_count, ANSWER_CHAIN_MAX);
            assert_int_equal(answer.v4_count, DNS_RECORD_ADDRS_MAX / 2);
        }
        flow_lines_fini(&f.lines);
    }
}

static void the_end_at_port_53_is_the_server(void **state)
{
    (void)state;
    assert_true(dns_client_is_source(40000, 53, false));
    assert_false(dns_client_is_source(53, 40000, true));
    assert_true(dns_client_is_source(53, 53, true));
    assert_false(dns_client_is_source(53, 53, false));
    assert_true(dns_client_is_source(1, 2, true));
    assert_false(dns_client_is_source(1, 2, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_sorted_and_the_lowest_ttl_counts),
        cmocka_unit_test(a_ttl_with_the_top_bit_is_0_and_none_is_30),
        cmocka_unit_test(what_gave_no_address_still_shows_that_the_client_asked),
        cmocka_unit_test(names_and_addresses_that_are_none_make_it_bad),
        cmocka_unit_test(the_client_is_one_machine),
        cmocka_unit_test(a_chain_and_a_set_of_addresses_have_their_limits),
        cmocka_unit_test(the_end_at_port_53_is_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
