/* tests/unit/base/test_addr.c -- IP addresses as 16 bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses from memory of exactly this length, so that a sanitizer sees any read beyond it. */
static bool parse(struct addr *addr, const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool ok = addr_parse(addr, copy, len);
    free(copy);
    return ok;
}

static const struct {
    const char *text;
    const char *printed;
} VALID[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"10.20.100.9", "10.20.100.9"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:0201", "192.0.2.1"},
    {"2001:db8::1", "2001:db8::1"},
    {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
    {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"::", "::"},
    {"::1", "::1"},
    {"fe80::1", "fe80::1"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static void addresses_are_parsed_and_printed_in_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(VALID) / sizeof(VALID[0]); i++) {
        struct addr addr, again;
        char text[ADDR_TEXT_MAX];
        if (!parse(&addr, VALID[i].text)) {
            fail_msg("'%s' was refused", VALID[i].text);
        }
        assert_int_equal(addr_print(&addr, text), strlen(VALID[i].printed));
        assert_string_equal(text, VALID[i].printed);
        assert_true(parse(&again, text));
        assert_true(addr_equal(&addr, &again));
        assert_int_equal(addr_is_v4(&addr), strchr(text, ':') == NULL);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const INVALID[] = {
        "",
        "1",
        "192.0.2",
        "192.0.2.",
        "192.0.2.256",
        "192.0.2.1.",
        "192.0.2.1.1",
        "192.0.2.01",
        "192.0.2.1 ",
        " 192.0.2.1",
        "192.0.2.-1",
        "192.0.2.0x1",
        "192..2.1",
        "192.0.2.1000",
        "192.0.2.1/24",
        ":",
        ":::",
        "2001:db8::1::",
        "2001:db8:::1",
        "12345::",
        "g::",
        "[::1]",
        "fe80::1%eth0",
        "192.0.2.1:53",
        "example.com",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "00000000000000000000000000000000000000000000:1",
    };
    struct addr addr;
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        if (parse(&addr, INVALID[i])) {
            fail_msg("'%s' was taken", INVALID[i]);
        }
    }
    assert_false(addr_parse(&addr, "::1\0", 4));
    assert_false(addr_parse(&addr, "192.0.2.1\0", 10));
}

static void wire_addresses_have_4_or_16_octets(void **state)
{
    (void)state;
    static const uint8_t WIRE[17] = {192, 0, 2, 1};
    struct addr addr, v4;
    assert_true(parse(&v4, "192.0.2.1"));
    for (size_t len = 0; len <= sizeof(WIRE); len++) {
        assert_int_equal(addr_from_wire(&addr, WIRE, len), len == 4 || len == 16);
        if (len == 4) {
            assert_true(addr_equal(&addr, &v4));
        }
    }
    /* 16 octets that are an IPv4-mapped address are the IPv4 address. */
    assert_true(addr_from_wire(&addr, v4.b, 16));
    assert_true(addr_equal(&addr, &v4) && addr_is_v4(&addr));
}

static void printing_agrees_with_inet_ntop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536; i += 7) {
        const uint8_t v4[] = {(uint8_t)(i >> 8), (uint8_t)i, (uint8_t)(i * 3), (uint8_t)(i >> 4)};
        char text[ADDR_TEXT_MAX], expected[INET_ADDRSTRLEN];
        struct addr addr = addr_from_v4(v4);
        addr_print(&addr, text);
        assert_non_null(inet_ntop(AF_INET, v4, expected, sizeof(expected)));
        assert_string_equal(text, expected);
    }
}

static void addresses_are_of_the_kind_their_range_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum addr_kind kind;
    } KINDS[] = {
        {"192.0.2.1", ADDR_EXTERNAL},
        {"2001:db8::1", ADDR_EXTERNAL},
        {"8.8.8.8", ADDR_EXTERNAL},
        {"9.255.255.255", ADDR_EXTERNAL},
        {"10.0.0.0", ADDR_PRIVATE},
        {"10.255.255.255", ADDR_PRIVATE},
        {"11.0.0.0", ADDR_EXTERNAL},
        {"172.15.255.255", ADDR_EXTERNAL},
        {"172.16.0.0", ADDR_PRIVATE},
        {"172.31.255.255", ADDR_PRIVATE},
        {"172.32.0.0", ADDR_EXTERNAL},
        {"192.168.1.1", ADDR_PRIVATE},
        {"192.169.0.0", ADDR_EXTERNAL},
        {"100.64.0.1", ADDR_PRIVATE},
        {"100.127.255.255", ADDR_PRIVATE},
        {"100.128.0.0", ADDR_EXTERNAL},
        {"127.0.0.1", ADDR_PRIVATE},
        {"::1", ADDR_PRIVATE},
        {"169.254.1.1", ADDR_PRIVATE},
        {"169.254.169.254", ADDR_METADATA},
        {"100.100.100.200", ADDR_METADATA},
        {"fd00:ec2::254", ADDR_METADATA},
        {"168.63.129.16", ADDR_METADATA},
        {"fd00::1", ADDR_PRIVATE},
        {"fc00::", ADDR_PRIVATE},
        {"fe00::", ADDR_EXTERNAL},
        {"fe80::1", ADDR_PRIVATE},
        {"febf:ffff::", ADDR_PRIVATE},
        {"fec0::", ADDR_EXTERNAL},
        {"224.0.0.1", ADDR_MULTICAST},
        {"239.255.255.255", ADDR_MULTICAST},
        {"240.0.0.1", ADDR_EXTERNAL},
        {"ff02::1", ADDR_MULTICAST},
        {"255.255.255.255", ADDR_BROADCAST},
        {"255.255.255.254", ADDR_EXTERNAL},
        {"0.0.0.0", ADDR_UNSPECIFIED},
        {"::", ADDR_UNSPECIFIED},
        {"::2", ADDR_EXTERNAL},
        {"::ffff:10.0.0.1", ADDR_PRIVATE},
    };
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        struct addr addr;
        assert_true(parse(&addr, KINDS[i].text));
        if (addr_kind(&addr) != KINDS[i].kind) {
            fail_msg("%s is of kind %d", KINDS[i].text, addr_kind(&addr));
        }
    }
}

static void networks_hold_the_addresses_of_their_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *cidr;
        uint8_t bits;
        const char *inside;
        const char *outside;
    } NETWORKS[] = {
        {"192.0.2.0/24", 120, "192.0.2.255", "192.0.3.0"},
        {"192.0.2.1", 128, "192.0.2.1", "192.0.2.2"},
        {"192.0.2.128/25", 121, "192.0.2.128", "192.0.2.127"},
        {"10.0.0.0/9", 105, "10.127.255.255", "10.128.0.0"},
        {"0.0.0.0/0", 96, "255.255.255.255", "2001:db8::1"},
        {"2001:db8::/32", 32, "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/33", 33, "2001:db8:7fff::", "2001:db8:8000::"},
        {"2001:db8::1", 128, "2001:db8::1", "2001:db8::"},
        {"::/0", 0, "192.0.2.1", NULL},
        {"192.0.2.255/24", 120, "192.0.2.1", "192.0.3.255"},
    };
    for (size_t i = 0; i < sizeof(NETWORKS) / sizeof(NETWORKS[0]); i++) {
        struct cidr cidr;
        struct addr addr;
        assert_true(cidr_parse(&cidr, NETWORKS[i].cidr, strlen(NETWORKS[i].cidr)));
        assert_int_equal(cidr.bits, NETWORKS[i].bits);
        assert_true(parse(&addr, NETWORKS[i].inside));
        if (!cidr_has(&cidr, &addr)) {
            fail_msg("%s has no %s", NETWORKS[i].cidr, NETWORKS[i].inside);
        }
        if (NETWORKS[i].outside != NULL) {
            assert_true(parse(&addr, NETWORKS[i].outside));
            if (cidr_has(&cidr, &addr)) {
                fail_msg("%s has %s", NETWORKS[i].cidr, NETWORKS[i].outside);
            }
        }
    }
}

static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const INVALID[] = {
        "",
        "/24",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2/24",
        "192.0.2.0/2 4",
        "192.0.2.0/24/",
        "192.0.2.0/24/24",
        "2001:db8::/129",
        "2001:db8::/x",
        "192.0.2.0/999",
        "192.0.2.0/1000",
        "192.0.2.0/+8",
        "192.0.2.0 /24",
    };
    struct cidr cidr;
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        if (cidr_parse(&cidr, INVALID[i], strlen(INVALID[i]))) {
            fail_msg("'%s' was taken", INVALID[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_parsed_and_printed_in_one_form),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(wire_addresses_have_4_or_16_octets),
        cmocka_unit_test(printing_agrees_with_inet_ntop),
        cmocka_unit_test(addresses_are_of_the_kind_their_range_says),
        cmocka_unit_test(networks_hold_the_addresses_of_their_prefix),
        cmocka_unit_test(what_is_no_network_is_refused),
    };
    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
