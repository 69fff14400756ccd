/* tests/fuzz/fuzz_dns.c -- the DNS walker: whatever comes, what it says is well-formed
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "proto/dns.h"
#include "tests/fuzz/fuzz.h"

static void check(bool right, const char *rule)
{
    if (!right) {
        fuzz_fail(rule);
    }
}

/* A lower-case wire name whose text is read back as itself. */
static void check_name(const uint8_t *wire)
{
    char text[NAME_TEXT_MAX];
    struct name name;
    uint8_t key[NAME_WIRE_MAX];
    size_t len = name_wire_len(wire);
    check(len <= NAME_WIRE_MAX, "a name has at most 255 octets");
    for (size_t i = 0; i < len; i++) {
        check(wire[i] < 'A' || wire[i] > 'Z', "names are in lower case");
    }
    size_t text_len = name_to_text(wire, text);
    check(text_len < NAME_TEXT_MAX, "the text of a name fits");
    check(name_from_text(&name, text, text_len) == 0, "the text of a name is a name");
    check(name.len == len && memcmp(name.wire, wire, len) == 0, "a name survives its text");
    size_t key_len = name_reverse(wire, key);
    check(name_from_reversed(&name, key, key_len) == 0, "a reversed name is one");
    check(name.len == len && memcmp(name.wire, wire, len) == 0, "a name survives its reversal");
    check(name_is_under(wire, wire) && name_is_under(wire, (const uint8_t *)""), "under itself");
}

static void check_answer(const struct dns_response *response, const uint8_t *bytes)
{
    static uint8_t again[ANSWER_BYTES_MAX], v4[ANSWER_ADDRS_MAX * 4], v6[ANSWER_ADDRS_MAX * 16];
    struct answer a;
    check(answer_decode(&a, bytes, response->answer_len) == 0, "an answer is canonical");
    check(a.v4_count + a.v6_count > 0, "an answer has addresses");
    check(a.v4_count <= ANSWER_ADDRS_MAX && a.v6_count <= ANSWER_ADDRS_MAX, "but not too many");
    check(memcmp(a.asked, response->asked.wire, response->asked.len) == 0, "it is of the question");
    for (size_t i = 0; i < a.chain_count; i++) {
        check_name(a.chain[i]);
    }
    memcpy(v4, a.v4, a.v4_count * 4u);
    memcpy(v6, a.v6, a.v6_count * 16u);
    size_t len = answer_encode(a.via, a.asked, a.chain, a.chain_count, v4, a.v4_count, v6,
                               a.v6_count, again, sizeof(again));
    check(len == response->answer_len && memcmp(again, bytes, len) == 0,
          "an answer encoded again is the same");
    check(response->ttl_s <= INT32_MAX, "a TTL has 31 bits");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    struct dns_response response;
    struct answer a;
    answer_decode(&a, data, size);
    int err = dns_parse_response(data, size, &response, bytes);
    check(err == 0 || err == W_ESYNTAX, "an error is W_ESYNTAX");
    if (response.asked.len > 0) {
        check_name(response.asked.wire);
        check(name_wire_len(response.asked.wire) == response.asked.len, "lengths agree");
    }
    if (response.answer_len > 0) {
        check(err == 0 && response.rcode == 0, "only NOERROR has answers");
        check_answer(&response, bytes);
    } else {
        check(response.ttl_s == 0, "no answer, no TTL");
    }
    return 0;
}
