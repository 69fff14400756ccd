/* tests/unit/proto/test_dnstap.c -- dnstap payloads
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/dnstap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dnstap.pb-c.h"
#include "tests/support/tap_reference.h"

#define OCTETS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* clang-format off */
#define TYPE_MESSAGE /* Dnstap.type = MESSAGE */ 0x78, 0x01
#define CLIENT_RESPONSE /* Message.type */ 0x08, 0x06
#define CLIENT_QUERY 0x08, 0x05
#define MESSAGE(len) /* Dnstap.message */ 0x72, len

/* What CoreDNS sends before 1.14.5: an IPv4 address in 16 octets. */
static const uint8_t COREDNS[] = {
    /* identity "pod" */ 0x0a, 3, 'p', 'o', 'd',
    /* version "v" */ 0x12, 1, 'v',
    /* extra "x" */ 0x1a, 1, 'x',
    MESSAGE(65),
    CLIENT_RESPONSE,
    /* socket_family INET */ 0x10, 1,
    /* socket_protocol UDP */ 0x18, 1,
    /* query_address ::ffff:192.0.2.7 */ 0x22, 16,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7,
    /* response_address 198.51.100.53 */ 0x2a, 4, 198, 51, 100, 53,
    /* query_port 40000 */ 0x30, 0xc0, 0xb8, 0x02,
    /* response_port 53 */ 0x38, 53,
    /* query_time_sec 1767225600 */ 0x40, 0x80, 0xf2, 0xd6, 0xca, 0x06,
    /* query_time_nsec 1500 */ 0x4d, 0xdc, 0x05, 0, 0,
    /* response_time_sec 1767225600 */ 0x60, 0x80, 0xf2, 0xd6, 0xca, 0x06,
    /* response_time_nsec 999999999 */ 0x6d, 0xff, 0xc9, 0x9a, 0x3b,
    /* response_message "dns" */ 0x72, 3, 'd', 'n', 's',
    /* query_message, empty */ 0x52, 0,
    TYPE_MESSAGE,
};
/* clang-format on */

static void a_client_response_yields_every_field(void **state)
{
    (void)state;
    struct dnstap_message m;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(dnstap_decode(COREDNS, sizeof(COREDNS), &m), DNSTAP_INDEXED);
    assert_int_equal(m.type, DNSTAP_CLIENT_RESPONSE);
    assert_int_equal(m.identity.len, 3);
    assert_memory_equal(m.identity.data, "pod", 3);
    assert_memory_equal(m.version.data, "v", 1);
    assert_memory_equal(m.extra.data, "x", 1);
    assert_int_equal(m.socket_family, 1);
    assert_int_equal(m.socket_protocol, 1);
    assert_true(m.has_client);
    addr_print(&m.client, text);
    assert_string_equal(text, "192.0.2.7");
    assert_true(m.has_server);
    addr_print(&m.server, text);
    assert_string_equal(text, "198.51.100.53");
    assert_int_equal(m.client_port, 40000);
    assert_int_equal(m.server_port, 53);
    assert_int_equal(m.query_time_us, INT64_C(1767225600000001));
    assert_int_equal(m.response_time_us, INT64_C(1767225600999999));
    assert_int_equal(m.response_message.len, 3);
    assert_memory_equal(m.response_message.data, "dns", 3);
    assert_non_null(m.query_message.data);
    assert_int_equal(m.query_message.len, 0);
}

static void a_message_cut_at_any_octet_is_bad_and_never_read_beyond(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(COREDNS); len++) {
        struct dnstap_message m;
        uint8_t *cut = malloc(len > 0 ? len : 1);
        assert_non_null(cut);
        memcpy(cut, COREDNS, len);
        assert_int_equal(dnstap_decode(cut, len, &m), DNSTAP_BAD);
        free(cut);
    }
}

static const struct {
    const char *name;
    const uint8_t *frame;
    size_t len;
    enum dnstap_result result;
} CASES[] = {
    /* clang-format off */
    {"a type alone is enough to index",
     OCTETS(MESSAGE(2), CLIENT_RESPONSE, TYPE_MESSAGE), DNSTAP_INDEXED},
    {"what Knot DNS calls the answer to a client is indexed",
     OCTETS(MESSAGE(2), 0x08, 0x02, TYPE_MESSAGE), DNSTAP_INDEXED},
    {"Dnstap.type may come first",
     OCTETS(TYPE_MESSAGE, MESSAGE(2), CLIENT_RESPONSE), DNSTAP_INDEXED},
    {"the type may come last in its message",
     OCTETS(MESSAGE(4), /* socket_family */ 0x10, 1, CLIENT_RESPONSE, TYPE_MESSAGE), DNSTAP_INDEXED},
    {"a query is skipped before anything after its type is read",
     OCTETS(MESSAGE(4), CLIENT_QUERY, /* no protobuf */ 0xff, 0xff), DNSTAP_SKIPPED},
    {"a forwarder's response is skipped",
     OCTETS(MESSAGE(2), 0x08, 0x08, TYPE_MESSAGE), DNSTAP_SKIPPED},
    {"a resolver's response is skipped",
     OCTETS(MESSAGE(2), 0x08, 0x04, TYPE_MESSAGE), DNSTAP_SKIPPED},
    {"a type of a future schema is skipped",
     OCTETS(MESSAGE(3), 0x08, 0xff, 0x01, TYPE_MESSAGE), DNSTAP_SKIPPED},
    {"a negative type, as ten octets, is skipped",
     OCTETS(MESSAGE(11), 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, TYPE_MESSAGE),
     DNSTAP_SKIPPED},
    {"unknown fields of every wire type are stepped over",
     OCTETS(MESSAGE(29), CLIENT_RESPONSE,
            /* policy, 15: bytes */ 0x7a, 2, 'r', 'p',
            /* 16: varint */ 0x80, 0x01, 0x96, 0x01,
            /* 17: fixed64 */ 0x89, 0x01, 1, 2, 3, 4, 5, 6, 7, 8,
            /* 18: fixed32 */ 0x95, 0x01, 1, 2, 3, 4,
            /* 2000: varint */ 0x80, 0x7d, 1,
            TYPE_MESSAGE, /* in Dnstap, 4: bytes */ 0x22, 1, 'u'), DNSTAP_INDEXED},
    {"a type given twice: the last one wins",
     OCTETS(MESSAGE(4), CLIENT_RESPONSE, CLIENT_QUERY, TYPE_MESSAGE), DNSTAP_SKIPPED},
    {"an empty frame", (const uint8_t *)"", 0, DNSTAP_BAD},
    {"no message", OCTETS(TYPE_MESSAGE), DNSTAP_BAD},
    {"an empty message has no type", OCTETS(MESSAGE(0), TYPE_MESSAGE), DNSTAP_BAD},
    {"no Dnstap.type", OCTETS(MESSAGE(2), CLIENT_RESPONSE), DNSTAP_BAD},
    {"a Dnstap.type that is not MESSAGE",
     OCTETS(MESSAGE(2), CLIENT_RESPONSE, 0x78, 0x02), DNSTAP_BAD},
    {"a message longer than the frame",
     OCTETS(TYPE_MESSAGE, MESSAGE(3), CLIENT_RESPONSE), DNSTAP_BAD},
    {"a length of 2^64 - 1",
     OCTETS(0x72, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), DNSTAP_BAD},
    {"a varint of eleven octets",
     OCTETS(MESSAGE(12), 0x08, 0x86, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
            TYPE_MESSAGE), DNSTAP_BAD},
    {"a type that is bytes", OCTETS(MESSAGE(3), 0x0a, 1, 6, TYPE_MESSAGE), DNSTAP_BAD},
    {"a message that is a varint", OCTETS(0x70, 1, TYPE_MESSAGE), DNSTAP_BAD},
    {"an identity that is a varint",
     OCTETS(0x08, 1, MESSAGE(2), CLIENT_RESPONSE, TYPE_MESSAGE), DNSTAP_BAD},
    {"an address that is fixed32",
     OCTETS(MESSAGE(7), CLIENT_RESPONSE, 0x25, 192, 0, 2, 1, TYPE_MESSAGE), DNSTAP_BAD},
    {"a group", OCTETS(MESSAGE(4), CLIENT_RESPONSE, /* start, end of group 15 */ 0x7b, 0x7c,
            TYPE_MESSAGE), DNSTAP_BAD},
    {"wire type 6", OCTETS(MESSAGE(2), CLIENT_RESPONSE, TYPE_MESSAGE, /* field 4 */ 0x26, 0), DNSTAP_BAD},
    {"field number 0", OCTETS(MESSAGE(4), CLIENT_RESPONSE, 0x00, 0x01, TYPE_MESSAGE), DNSTAP_BAD},
    {"field number 0 in two octets is stepped over, as protobuf-c does",
     OCTETS(MESSAGE(5), CLIENT_RESPONSE, 0x80, 0x00, 0x01, TYPE_MESSAGE), DNSTAP_INDEXED},
    {"a tag that ends with the frame",
     OCTETS(MESSAGE(2), CLIENT_RESPONSE, TYPE_MESSAGE, 0x92), DNSTAP_BAD},
    {"a tag of six octets",
     OCTETS(MESSAGE(2), CLIENT_RESPONSE, TYPE_MESSAGE, 0xa2, 0x80, 0x80, 0x80, 0x80, 0x00, 0), DNSTAP_BAD},
    {"a fixed32 that ends after its message",
     OCTETS(MESSAGE(6), CLIENT_RESPONSE, /* query_time_nsec */ 0x4d, 1, 2, 3, TYPE_MESSAGE), DNSTAP_BAD},
    /* clang-format on */
};

static void frames_are_indexed_skipped_or_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct dnstap_message m;
        struct why why;
        enum dnstap_result result = dnstap_decode(CASES[i].frame, CASES[i].len, &m);
        if (result != CASES[i].result) {
            fail_msg("%s: %d, expected %d", CASES[i].name, result, CASES[i].result);
        }
        if (!tap_agrees(CASES[i].frame, CASES[i].len, &why)) {
            fail_msg("%s: %s", CASES[i].name, why.text);
        }
    }
}

/* A valid message with every field, for the tests that change one. */
struct full {
    Dnstap__Dnstap tap;
    Dnstap__Message message;
    uint8_t query_address[16];
    uint8_t response_address[16];
};

static ProtobufCBinaryData bytes_of(void *data, size_t len)
{
    return (ProtobufCBinaryData){len, data};
}

static void full_init(struct full *f)
{
    static uint8_t TEXT[] = "coredns-5d78c9869d-abcde";
    dnstap__dnstap__init(&f->tap);
    dnstap__message__init(&f->message);
    memset(f->query_address, 0x20, sizeof(f->query_address));
    memset(f->response_address, 0x21, sizeof(f->response_address));
    Dnstap__Message *m = &f->message;
    f->tap.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
    f->tap.message = m;
    f->tap.has_identity = f->tap.has_version = f->tap.has_extra = true;
    f->tap.identity = bytes_of(TEXT, 24);
    f->tap.version = bytes_of(TEXT, 7);
    f->tap.extra = bytes_of(TEXT, 3);
    m->type = DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE;
    m->has_socket_family = m->has_socket_protocol = true;
    m->socket_family = DNSTAP__SOCKET_FAMILY__INET6;
    m->socket_protocol = DNSTAP__SOCKET_PROTOCOL__DOH;
    m->has_query_address = m->has_response_address = true;
    m->query_address = bytes_of(f->query_address, 16);
    m->response_address = bytes_of(f->response_address, 16);
    m->has_query_port = m->has_response_port = true;
    m->query_port = 65535;
    m->response_port = 53;
    m->has_query_time_sec = m->has_query_time_nsec = true;
    m->query_time_sec = 1767225600;
    m->query_time_nsec = 123456789;
    m->has_response_time_sec = m->has_response_time_nsec = true;
    m->response_time_sec = 1767225601;
    m->response_time_nsec = 987654321;
    m->has_query_message = m->has_response_message = m->has_query_zone = true;
    m->query_message = bytes_of(TEXT, 12);
    m->response_message = bytes_of(TEXT, 20);
    m->query_zone = bytes_of(TEXT, 4);
}

/* Packs, compares with protobuf-c, and decodes. The result points into static memory. */
static struct dnstap_message pack_and_decode(struct full *f)
{
    static uint8_t frame[1024];
    struct dnstap_message m;
    struct why why;
    assert_true(dnstap__dnstap__get_packed_size(&f->tap) <= sizeof(frame));
    size_t len = dnstap__dnstap__pack(&f->tap, frame);
    if (!tap_agrees(frame, len, &why)) {
        fail_msg("%s", why.text);
    }
    assert_int_equal(dnstap_decode(frame, len, &m), DNSTAP_INDEXED);
    return m;
}

static void times_outside_what_is_sane_count_as_absent(void **state)
{
    (void)state;
    const struct {
        uint64_t sec;
        uint32_t nsec;
        int64_t time_us;
    } TIMES[] = {
        {TIME_MIN_US / US_PER_S, 0, TIME_MIN_US},
        {TIME_MIN_US / US_PER_S - 1, 999999999, 0},
        {TIME_MAX_US / US_PER_S - 1, 999999999, TIME_MAX_US - 1},
        {TIME_MAX_US / US_PER_S, 0, 0},
        {1767225600, 999999999, INT64_C(1767225600999999)},
        {1767225600, 1000000000, 0},
        {1767225600, UINT32_MAX, 0},
        {0, 0, 0},
        {UINT64_MAX, 0, 0},
        {UINT64_MAX / 1000000, 0, 0},
        {UINT64_C(1) << 63, 0, 0},
    };
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        struct full f;
        full_init(&f);
        f.message.response_time_sec = f.message.query_time_sec = TIMES[i].sec;
        f.message.response_time_nsec = f.message.query_time_nsec = TIMES[i].nsec;
        struct dnstap_message m = pack_and_decode(&f);
        assert_int_equal(m.response_time_us, TIMES[i].time_us);
        assert_int_equal(m.query_time_us, TIMES[i].time_us);
    }
}

static void an_answer_is_filed_under_its_response_time_else_its_query_time(void **state)
{
    (void)state;
    struct full f;
    full_init(&f);
    struct dnstap_message m = pack_and_decode(&f);
    assert_int_equal(dnstap_time_us(&m), INT64_C(1767225601987654));
    f.message.has_response_time_sec = f.message.has_response_time_nsec = false;
    m = pack_and_decode(&f);
    assert_int_equal(m.response_time_us, 0);
    assert_int_equal(dnstap_time_us(&m), INT64_C(1767225600123456));
    f.message.has_query_time_sec = false;
    m = pack_and_decode(&f);
    assert_int_equal(dnstap_time_us(&m), 0);
}

static void an_address_has_4_or_16_octets(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 16; len++) {
        struct full f;
        full_init(&f);
        f.message.query_address.len = len;
        f.message.response_address.len = 16 - len;
        struct dnstap_message m = pack_and_decode(&f);
        assert_int_equal(m.has_client, len == 4 || len == 16);
        assert_int_equal(m.has_server, 16 - len == 4 || 16 - len == 16);
        if (m.has_client) {
            assert_int_equal(addr_is_v4(&m.client), len == 4);
        }
    }
}

static void a_port_above_65535_counts_as_absent(void **state)
{
    (void)state;
    const struct {
        uint32_t wire;
        uint16_t port;
    } PORTS[] = {{0, 0}, {65535, 65535}, {65536, 0}, {65589, 0}, {UINT32_MAX, 0}};
    for (size_t i = 0; i < sizeof(PORTS) / sizeof(PORTS[0]); i++) {
        struct full f;
        full_init(&f);
        f.message.query_port = f.message.response_port = PORTS[i].wire;
        struct dnstap_message m = pack_and_decode(&f);
        assert_int_equal(m.client_port, PORTS[i].port);
        assert_int_equal(m.server_port, PORTS[i].port);
    }
}

static void a_message_given_twice_is_merged_as_protobuf_says(void **state)
{
    (void)state;
    /* clang-format off */
    static const uint8_t FRAME[] = {
        MESSAGE(6), CLIENT_RESPONSE, /* socket_family */ 0x10, 1, /* query_port */ 0x30, 7,
        MESSAGE(6), CLIENT_RESPONSE, /* socket_family */ 0x10, 2, /* response_port */ 0x38, 8,
        TYPE_MESSAGE,
    };
    /* clang-format on */
    struct dnstap_message m;
    struct why why;
    assert_int_equal(dnstap_decode(FRAME, sizeof(FRAME), &m), DNSTAP_INDEXED);
    assert_int_equal(m.socket_family, 2);
    assert_int_equal(m.client_port, 7);
    assert_int_equal(m.server_port, 8);
    assert_true(tap_agrees(FRAME, sizeof(FRAME), &why));
}

/* xorshift64*: the same mutations on every machine. */
static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1dULL) >> 32) % limit;
}

/* Changes, removes or inserts an octet, or cuts the frame. */
static size_t mutate(uint8_t *frame, size_t len)
{
    size_t at = random_below((uint32_t)len);
    switch (random_below(8)) {
    case 0:
        return at;
    case 1:
        memmove(frame + at, frame + at + 1, len - at - 1);
        return len - 1;
    case 2:
        memmove(frame + at + 1, frame + at, len - at);
        frame[at] = (uint8_t)random_below(256);
        return len + 1;
    case 3:
        frame[at] ^= 0x80;
        return len;
    default:
        frame[at] = (uint8_t)random_below(random_below(2) != 0 ? 256 : 32);
        return len;
    }
}

static void mutated_messages_are_read_as_protobuf_c_reads_them(void **state)
{
    (void)state;
    enum { ROUNDS = 500000, MUTATIONS_MAX = 4 };
    struct full f;
    uint8_t original[512], frame[1024];
    full_init(&f);
    size_t original_len = dnstap__dnstap__pack(&f.tap, original);
    for (int round = 0; round < ROUNDS; round++) {
        struct why why;
        size_t len = original_len;
        memcpy(frame, original, len);
        for (uint32_t i = random_below(MUTATIONS_MAX) + 1; i > 0 && len > 0; i--) {
            len = mutate(frame, len);
        }
        if (!tap_agrees(frame, len, &why)) {
            fail_msg("round %d: %s", round, why.text);
        }
    }
}

static void types_have_the_names_of_the_schema(void **state)
{
    (void)state;
    for (uint32_t type = 1; type <= DNSTAP_TYPE_MAX; type++) {
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value(&dnstap__message__type__descriptor, (int)type);
        assert_non_null(value);
        assert_string_equal(dnstap_type_name(type), value->name);
    }
    assert_null(dnstap_type_name(0));
    assert_null(dnstap_type_name(DNSTAP_TYPE_MAX + 1));
    assert_null(dnstap_type_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_response_yields_every_field),
        cmocka_unit_test(a_message_cut_at_any_octet_is_bad_and_never_read_beyond),
        cmocka_unit_test(frames_are_indexed_skipped_or_bad),
        cmocka_unit_test(times_outside_what_is_sane_count_as_absent),
        cmocka_unit_test(an_answer_is_filed_under_its_response_time_else_its_query_time),
        cmocka_unit_test(an_address_has_4_or_16_octets),
        cmocka_unit_test(a_port_above_65535_counts_as_absent),
        cmocka_unit_test(a_message_given_twice_is_merged_as_protobuf_says),
        cmocka_unit_test(mutated_messages_are_read_as_protobuf_c_reads_them),
        cmocka_unit_test(types_have_the_names_of_the_schema),
    };
    return cmocka_run_group_tests_name("dnstap", tests, NULL, NULL);
}
