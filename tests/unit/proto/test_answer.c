/* tests/unit/proto/test_answer.c -- one DNS answer as canonical bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static const uint8_t ASKED[] = "\x03www\x07"
                               "example";
static const uint8_t CDN[] = "\x03"
                             "cdn\x07"
                             "example";

/* xorshift32: the same addresses on every machine. */
static uint32_t random_state = 2463534242;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static void equal_answers_have_equal_bytes(void **state)
{
    (void)state;
    const uint8_t *chain[] = {CDN};
    uint8_t v4[] = {192, 0, 2, 9, 10, 0, 0, 1, 192, 0, 2, 9, 192, 0, 2, 1};
    uint8_t v4_sorted[] = {10, 0, 0, 1, 192, 0, 2, 1, 192, 0, 2, 9};
    uint8_t v6[32] = {0x20, 1, [16] = 0x20, [31] = 1};
    uint8_t v6_sorted[32] = {0x20, [15] = 1, [16] = 0x20, [17] = 1};
    uint8_t one[256], other[256];
    size_t len = answer_encode(ANSWER_VIA_CLIENT, ASKED, chain, 1, v4, 4, v6, 2, one, sizeof(one));
    assert_int_equal(len, ANSWER_HEAD_LEN + 2 * 13 + 3 * 4 + 2 * 16);
    assert_int_equal(answer_encode(ANSWER_VIA_CLIENT, ASKED, chain, 1, v4_sorted, 3, v6_sorted, 2,
                                   other, sizeof(other)),
                     len);
    assert_memory_equal(one, other, len);
    assert_int_equal(answer_encode(ANSWER_VIA_SRV, ASKED, chain, 1, v4_sorted, 3, v6_sorted, 2,
                                   other, sizeof(other)),
                     len);
    assert_memory_not_equal(one, other, len);
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    const uint8_t *chain[] = {CDN, ASKED};
    uint8_t v4[] = {192, 0, 2, 1, 192, 0, 2, 2};
    uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8};
    uint8_t bytes[256];
    struct answer a;
    size_t len = answer_encode(ANSWER_VIA_SRV, ASKED, chain, 2, v4, 2, v6, 1, bytes, sizeof(bytes));
    assert_int_equal(answer_decode(&a, bytes, len), 0);
    assert_int_equal(a.via, ANSWER_VIA_SRV);
    assert_memory_equal(a.asked, ASKED, sizeof(ASKED));
    assert_int_equal(a.chain_count, 2);
    assert_memory_equal(a.chain[0], CDN, sizeof(CDN));
    assert_memory_equal(a.chain[1], ASKED, sizeof(ASKED));
    assert_int_equal(a.v4_count, 2);
    assert_int_equal(a.v6_count, 1);
    char text[ADDR_TEXT_MAX];
    static const char *const ADDRS[] = {"192.0.2.1", "192.0.2.2", "2001:db8::"};
    for (size_t i = 0; i < 3; i++) {
        struct addr addr = answer_addr(&a, i);
        addr_print(&addr, text);
        assert_string_equal(text, ADDRS[i]);
    }
}

static void an_answer_needs_room_for_all_of_it(void **state)
{
    (void)state;
    const uint8_t *chain[] = {CDN};
    uint8_t v4[] = {192, 0, 2, 1}, v6[16] = {0x20};
    uint8_t exact[ANSWER_HEAD_LEN + 2 * 13 + 4 + 16];
    for (size_t cap = 0; cap <= sizeof(exact); cap++) {
        uint8_t *bytes = malloc(cap > 0 ? cap : 1);
        assert_non_null(bytes);
        size_t len = answer_encode(ANSWER_VIA_CLIENT, ASKED, chain, 1, v4, 1, v6, 1, bytes, cap);
        assert_int_equal(len, cap == sizeof(exact) ? cap : 0);
        free(bytes);
    }
}

static int compare_octets(const void *a, const void *b)
{
    return memcmp(a, b, 4);
}

static int compare_16_octets(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* Sorted by qsort and without repeats; the new count. */
static size_t expected_set(uint8_t *addrs, size_t count, size_t size)
{
    size_t kept = 0;
    qsort(addrs, count, size, size == 4 ? compare_octets : compare_16_octets);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || memcmp(addrs + (kept - 1) * size, addrs + i * size, size) != 0) {
            memmove(addrs + kept++ * size, addrs + i * size, size);
        }
    }
    return kept;
}

static void addresses_of_any_number_are_sorted_and_not_repeated(void **state)
{
    (void)state;
    static uint8_t v4[ANSWER_ADDRS_MAX * 4], v6[ANSWER_ADDRS_MAX * 16];
    static uint8_t expected_v4[sizeof(v4)], expected_v6[sizeof(v6)], bytes[2 * ANSWER_BYTES_MAX];
    for (size_t round = 0; round < 400; round++) {
        size_t count = round < 40 ? round : next_random() % (round == 399 ? 4097 : 200);
        /* Few distinct octets make repeats, and differences in any place. */
        for (size_t i = 0; i < count * 16; i++) {
            v6[i] = expected_v6[i] = (uint8_t)(i % 16 < 14 ? 0x20 : next_random() % (count + 1));
        }
        for (size_t i = 0; i < count * 4; i++) {
            v4[i] = expected_v4[i] = (uint8_t)(i % 4 == 0 ? 192 : 250 + next_random() % 6);
        }
        size_t v4_count = expected_set(expected_v4, count, 4);
        size_t v6_count = expected_set(expected_v6, count, 16);
        size_t len = answer_encode(ANSWER_VIA_CLIENT, ASKED, NULL, 0, v4, (uint16_t)count, v6,
                                   (uint16_t)count, bytes, sizeof(bytes));
        struct answer a;
        assert_int_equal(answer_decode(&a, bytes, len), 0);
        assert_int_equal(a.v4_count, v4_count);
        assert_int_equal(a.v6_count, v6_count);
        assert_memory_equal(a.v4, expected_v4, v4_count * 4);
        assert_memory_equal(a.v6, expected_v6, v6_count * 16);
    }
}

/* What is not canonical: each change of a valid answer, by offset. */
static const struct {
    const char *name;
    size_t at;
    uint8_t octet;
} CHANGES[] = {
    {"an unknown via", 0, 2},
    {"an unknown source", 0, 4 << 4},
    {"a known source with an unknown via", 0, (1 << 4) + 2},
    {"a chain of 17", 1, 17},
    {"one more chain name", 1, 2},
    {"one chain name less", 1, 0},
    {"one more IPv4 address", 2, 3},
    {"256 more IPv4 addresses", 3, 1},
    {"one more IPv6 address", 4, 2},
    {"a label above 63", ANSWER_HEAD_LEN, 64},
    {"a compression pointer", ANSWER_HEAD_LEN, 0xc0},
    {"a name that does not end", ANSWER_HEAD_LEN, 62},
    {"an empty first label", ANSWER_HEAD_LEN, 0},
    {"addresses out of order", ANSWER_HEAD_LEN + 26 + 3, 3},
    {"an address twice", ANSWER_HEAD_LEN + 26 + 3, 2},
};

static void bytes_that_are_not_canonical_are_refused(void **state)
{
    (void)state;
    const uint8_t *chain[] = {CDN};
    uint8_t v4[] = {192, 0, 2, 1, 192, 0, 2, 2}, v6[16] = {0x20};
    uint8_t bytes[256], changed[257];
    struct answer a;
    size_t len =
        answer_encode(ANSWER_VIA_CLIENT, ASKED, chain, 1, v4, 2, v6, 1, bytes, sizeof(bytes));
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(answer_decode(&a, copy, cut), W_ESYNTAX);
        free(copy);
    }
    memcpy(changed, bytes, len);
    changed[len] = 0;
    assert_int_equal(answer_decode(&a, changed, len + 1), W_ESYNTAX);
    for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
        memcpy(changed, bytes, len);
        changed[CHANGES[i].at] = CHANGES[i].octet;
        if (answer_decode(&a, changed, len) != W_ESYNTAX) {
            fail_msg("%s was taken", CHANGES[i].name);
        }
    }
}

static void the_source_is_part_of_the_bytes(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"dnstap", "hubble", "zeek", "suricata"};
    uint8_t bytes[64];
    uint8_t v4[] = {192, 0, 2, 1};
    struct answer a;
    size_t len = answer_encode(ANSWER_VIA_SRV, ASKED, NULL, 0, v4, 1, v4, 0, bytes, sizeof(bytes));
    assert_int_equal(answer_decode(&a, bytes, len), 0);
    assert_int_equal(a.source, ANSWER_FROM_DNSTAP);
    for (int source = 0; source < ANSWER_SOURCES; source++) {
        answer_set_source(bytes, (enum answer_source)source);
        assert_int_equal(answer_decode(&a, bytes, len), 0);
        assert_int_equal(a.source, source);
        assert_int_equal(a.via, ANSWER_VIA_SRV);
        assert_int_equal(answer_head(&a), bytes[0]);
        assert_string_equal(answer_source_name(a.source), NAMES[source]);
        assert_int_equal(answer_source_by_name(NAMES[source]), source);
    }
    assert_int_equal(answer_source_by_name("goldmane"), ANSWER_FROM_DNSTAP);
}

static void a_chain_of_sixteen_is_decoded_and_a_longer_one_refused(void **state)
{
    (void)state;
    /* The asked name and all of the chain are the root. */
    uint8_t bytes[ANSWER_HEAD_LEN + 1 + ANSWER_CHAIN_MAX + 1] = {0};
    struct answer a;
    bytes[1] = ANSWER_CHAIN_MAX;
    assert_int_equal(answer_decode(&a, bytes, sizeof(bytes) - 1), 0);
    assert_int_equal(a.chain_count, ANSWER_CHAIN_MAX);
    bytes[1] = ANSWER_CHAIN_MAX + 1;
    assert_int_equal(answer_decode(&a, bytes, sizeof(bytes)), W_ESYNTAX);
}

static void labels_of_63_octets_are_decoded_and_longer_ones_refused(void **state)
{
    (void)state;
    uint8_t bytes[ANSWER_HEAD_LEN + 1 + 64 + 1] = {0};
    struct answer a;
    bytes[ANSWER_HEAD_LEN] = 63;
    assert_int_equal(answer_decode(&a, bytes, sizeof(bytes) - 1), 0);
    bytes[ANSWER_HEAD_LEN] = 64;
    assert_int_equal(answer_decode(&a, bytes, sizeof(bytes)), W_ESYNTAX);
}

static void names_of_255_octets_are_decoded_and_longer_ones_refused(void **state)
{
    (void)state;
    uint8_t bytes[ANSWER_HEAD_LEN + 300] = {0};
    struct answer a;
    memset(bytes + ANSWER_HEAD_LEN, 1, 254);
    assert_int_equal(answer_decode(&a, bytes, ANSWER_HEAD_LEN + 255), 0);
    memset(bytes + ANSWER_HEAD_LEN, 1, 256);
    assert_int_equal(answer_decode(&a, bytes, ANSWER_HEAD_LEN + 257), W_ESYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_answers_have_equal_bytes),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(an_answer_needs_room_for_all_of_it),
        cmocka_unit_test(addresses_of_any_number_are_sorted_and_not_repeated),
        cmocka_unit_test(bytes_that_are_not_canonical_are_refused),
        cmocka_unit_test(the_source_is_part_of_the_bytes),
        cmocka_unit_test(a_chain_of_sixteen_is_decoded_and_a_longer_one_refused),
        cmocka_unit_test(labels_of_63_octets_are_decoded_and_longer_ones_refused),
        cmocka_unit_test(names_of_255_octets_are_decoded_and_longer_ones_refused),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
