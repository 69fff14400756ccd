/* tests/unit/proto/test_name.c -- domain names in wire form
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "base/err.h"

/* A string literal as octets: the terminating zero is the root. */
#define WIRE(literal) (const uint8_t *)(literal), sizeof(literal)

static const struct {
    const char *text;
    const uint8_t *wire;
    size_t len;
    const char *printed;
} VALID[] = {
    {"example.com",
     WIRE("\x07"
          "example\x03"
          "com"),
     "example.com"},
    {"EXAMPLE.Com.",
     WIRE("\x07"
          "example\x03"
          "com"),
     "example.com"},
    {".", WIRE(""), "."},
    {"a",
     WIRE("\x01"
          "a"),
     "a"},
    {"_sip._udp.x-1", WIRE("\x04_sip\x04_udp\x03x-1"), "_sip._udp.x-1"},
    {"a\\.b.c",
     WIRE("\x03"
          "a.b\x01"
          "c"),
     "a\\.b.c"},
    {"\\000\\255\\065",
     WIRE("\x03\x00\xff"
          "a"),
     "\\000\\255a"},
    {"\\\\\\\"\\;\\(\\)\\@\\$", WIRE("\x07\\\";()@$"), "\\\\\\\"\\;\\(\\)\\@\\$"},
    {"\";()@$", WIRE("\x06\";()@$"), "\\\"\\;\\(\\)\\@\\$"},
    {"a b\x7f\xc3\xa9",
     WIRE("\x06"
          "a b\x7f\xc3\xa9"),
     "a\\032b\\127\\195\\169"},
    {"*.example",
     WIRE("\x01*\x07"
          "example"),
     "*.example"},
    {"a\\.",
     WIRE("\x02"
          "a."),
     "a\\."},
};

static void text_becomes_a_name_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(VALID) / sizeof(VALID[0]); i++) {
        struct name name, again;
        char text[NAME_TEXT_MAX];
        assert_int_equal(name_from_text(&name, VALID[i].text, strlen(VALID[i].text)), 0);
        assert_int_equal(name.len, VALID[i].len);
        assert_memory_equal(name.wire, VALID[i].wire, VALID[i].len);
        assert_int_equal(name_wire_len(name.wire), VALID[i].len);
        assert_int_equal(name_to_text(name.wire, text), strlen(VALID[i].printed));
        assert_string_equal(text, VALID[i].printed);
        assert_int_equal(name_from_text(&again, text, strlen(text)), 0);
        assert_memory_equal(again.wire, VALID[i].wire, VALID[i].len);
    }
}

static void text_that_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const INVALID[] = {
        "",     "..",    ".a",      "a..b",    "a..",   "\\",      "a\\",
        "\\25", "\\256", "a\\1b2c", "\\999.x", "a.\\1", "\\25\\5", "x.\\",
    };
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        struct name name;
        if (name_from_text(&name, INVALID[i], strlen(INVALID[i])) != W_ESYNTAX) {
            fail_msg("'%s' was taken", INVALID[i]);
        }
    }
}

/* "x." `labels` times and then `last` times 'y'. */
static int parse_long(struct name *name, size_t labels, size_t last)
{
    char text[1024];
    for (size_t i = 0; i < labels; i++) {
        memcpy(text + 2 * i, "x.", 2);
    }
    memset(text + 2 * labels, 'y', last);
    return name_from_text(name, text, 2 * labels + last);
}

static void names_have_at_most_255_octets_and_labels_63(void **state)
{
    (void)state;
    struct name name;
    char text[NAME_TEXT_MAX];
    assert_int_equal(parse_long(&name, 0, 63), 0);
    assert_int_equal(parse_long(&name, 0, 64), W_ESYNTAX);
    assert_int_equal(parse_long(&name, 127, 0), 0);
    assert_int_equal(name.len, 255);
    assert_int_equal(name_to_text(name.wire, text), 253);
    assert_int_equal(parse_long(&name, 126, 1), 0);
    assert_int_equal(name.len, 255);
    assert_int_equal(parse_long(&name, 126, 2), W_ESYNTAX);
    assert_int_equal(parse_long(&name, 127, 1), W_ESYNTAX);
    assert_int_equal(parse_long(&name, 128, 0), W_ESYNTAX);
    assert_int_equal(parse_long(&name, 95, 63), 0);
    assert_int_equal(name.len, 255);
    assert_int_equal(parse_long(&name, 96, 63), W_ESYNTAX);
}

static void the_longest_text_fits(void **state)
{
    (void)state;
    struct name name = {.len = 255};
    char text[NAME_TEXT_MAX];
    size_t at = 0;
    static const uint8_t LABELS[] = {63, 63, 63, 61};
    for (size_t i = 0; i < sizeof(LABELS); i++) {
        name.wire[at++] = LABELS[i];
        memset(name.wire + at, 0xff, LABELS[i]);
        at += LABELS[i];
    }
    name.wire[at] = 0;
    size_t len = name_to_text(name.wire, text);
    assert_int_equal(len, 4 * 250 + 3);
    assert_true(len < NAME_TEXT_MAX);
    struct name again;
    assert_int_equal(name_from_text(&again, text, len), 0);
    assert_memory_equal(again.wire, name.wire, 255);
}

static const struct {
    const char *text;
    const uint8_t *key;
    size_t len;
} REVERSED[] = {
    {"www.example.com", WIRE("\x03"
                             "com\x07"
                             "example\x03"
                             "www")},
    {"com", WIRE("\x03"
                 "com")},
    {".", WIRE("")},
};

static void the_reversed_form_starts_at_the_root(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(REVERSED) / sizeof(REVERSED[0]); i++) {
        struct name name, back;
        uint8_t key[NAME_WIRE_MAX];
        assert_int_equal(name_from_text(&name, REVERSED[i].text, strlen(REVERSED[i].text)), 0);
        /* A key has no zero octet, which the literal has. */
        assert_int_equal(name_reverse(name.wire, key), REVERSED[i].len - 1);
        assert_memory_equal(key, REVERSED[i].key, REVERSED[i].len - 1);
        assert_int_equal(name_from_reversed(&back, key, REVERSED[i].len - 1), 0);
        assert_int_equal(back.len, name.len);
        assert_memory_equal(back.wire, name.wire, name.len);
    }
    struct name longest, back;
    uint8_t key[NAME_WIRE_MAX];
    assert_int_equal(parse_long(&longest, 95, 63), 0);
    assert_int_equal(name_reverse(longest.wire, key), 254);
    assert_int_equal(name_from_reversed(&back, key, 254), 0);
    assert_memory_equal(back.wire, longest.wire, 255);
}

static void a_key_that_is_no_reversed_name_is_refused(void **state)
{
    (void)state;
    struct name name;
    uint8_t longest[256];
    memset(longest, 1, sizeof(longest));
    assert_int_equal(name_from_reversed(&name, longest, 254), 0);
    longest[0] = 2;
    assert_int_equal(name_from_reversed(&name, longest, 255), W_ESYNTAX);
    assert_int_equal(name_from_reversed(&name,
                                        (const uint8_t *)"\x03"
                                                         "co",
                                        3),
                     W_ESYNTAX);
    assert_int_equal(name_from_reversed(&name,
                                        (const uint8_t *)"\x01"
                                                         "a\x00",
                                        3),
                     W_ESYNTAX);
    memset(longest, 'a', sizeof(longest));
    longest[0] = 64;
    assert_int_equal(name_from_reversed(&name, longest, 65), W_ESYNTAX);
    longest[0] = 63;
    assert_int_equal(name_from_reversed(&name, longest, 64), 0);
}

static void a_name_is_under_a_suffix_at_a_label_boundary(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *suffix;
        bool under;
    } CASES[] = {
        {"www.example.com", "example.com", true},
        {"example.com", "example.com", true},
        {"example.com", "www.example.com", false},
        {"notexample.com", "example.com", false},
        {"example.com", ".", true},
        {".", ".", true},
        {".", "com", false},
        {"www.example.org", "example.com", false},
        {"a.b\\.example.com", "example.com", false},
        {"x.svc.cluster.local", "svc.cluster.local", true},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct name name, suffix;
        assert_int_equal(name_from_text(&name, CASES[i].name, strlen(CASES[i].name)), 0);
        assert_int_equal(name_from_text(&suffix, CASES[i].suffix, strlen(CASES[i].suffix)), 0);
        if (name_is_under(name.wire, suffix.wire) != CASES[i].under) {
            fail_msg("'%s' under '%s'", CASES[i].name, CASES[i].suffix);
        }
    }
}

/* ldns escapes fewer octets, but must read what we print, and the other way round. */
static void ldns_reads_the_text_of_every_octet_as_the_same_name(void **state)
{
    (void)state;
    for (int octet = 0; octet < 256; octet++) {
        const uint8_t wire[] = {3, 'a', (uint8_t)octet, 'b', 1, 'c', 0};
        struct name name;
        char text[NAME_TEXT_MAX];
        name_to_text(wire, text);
        ldns_rdf *rdf = ldns_dname_new_frm_str(text);
        assert_non_null(rdf);
        assert_int_equal(ldns_rdf_size(rdf), sizeof(wire));
        assert_memory_equal(ldns_rdf_data(rdf), wire, sizeof(wire));
        char *theirs = ldns_rdf2str(rdf);
        ldns_dname2canonical(rdf);
        assert_int_equal(name_from_text(&name, theirs, strlen(theirs)), 0);
        assert_memory_equal(name.wire, ldns_rdf_data(rdf), sizeof(wire));
        free(theirs);
        ldns_rdf_deep_free(rdf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_a_name_and_back),
        cmocka_unit_test(text_that_is_no_name_is_refused),
        cmocka_unit_test(names_have_at_most_255_octets_and_labels_63),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(the_reversed_form_starts_at_the_root),
        cmocka_unit_test(a_key_that_is_no_reversed_name_is_refused),
        cmocka_unit_test(a_name_is_under_a_suffix_at_a_label_boundary),
        cmocka_unit_test(ldns_reads_the_text_of_every_octet_as_the_same_name),
    };
    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
