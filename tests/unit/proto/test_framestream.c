/* tests/unit/proto/test_framestream.c -- Frame Streams, the receiving side
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every case is given whole, split in two at every octet, and octet by octet: the events must be
 * the same each time. They are written as one line of text, for example
 * "ACCEPT START FRAME(3) STOP".
 */
#include "proto/framestream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fstrm.h>

#include "base/buf.h"
#include "tests/support/alloc.h"

/* Octets and their number. */
#define OCTETS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

#define ESCAPE 0, 0, 0, 0
#define ACCEPT 0, 0, 0, 1
#define START 0, 0, 0, 2
#define STOP 0, 0, 0, 3
#define READY 0, 0, 0, 4
#define FINISH 0, 0, 0, 5
#define CONTENT_TYPE_FIELD 0, 0, 0, 1
/* clang-format off */
#define OURS                                                                                       \
    'p', 'r', 'o', 't', 'o', 'b', 'u', 'f', ':', 'd', 'n', 's', 't', 'a', 'p', '.',                \
    'D', 'n', 's', 't', 'a', 'p'
#define OUR_FIELD /* type, length, content */ CONTENT_TYPE_FIELD, 0, 0, 0, 22, OURS
#define OUR_READY /* escape, length, type, field */ ESCAPE, 0, 0, 0, 34, READY, OUR_FIELD
#define OUR_START ESCAPE, 0, 0, 0, 34, START, OUR_FIELD
#define PLAIN_STOP ESCAPE, 0, 0, 0, 4, STOP
#define DATA_ABC /* length, payload */ 0, 0, 0, 3, 'a', 'b', 'c'
#define DATA_Z 0, 0, 0, 1, 'z'
/* clang-format on */

struct fs_case {
    const char *name;
    const uint8_t *input;
    size_t len;
    const char *events;
    const char *why; /* part of the reason after ERROR or OVERSIZE */
    size_t pending;  /* after the last octet */
    size_t max_frame;
};

/* clang-format off */
static const struct fs_case VALID[] = {
    {"a bidirectional stream: READY, START, data, STOP",
     OCTETS(OUR_READY, OUR_START, DATA_ABC, DATA_Z, PLAIN_STOP),
     "ACCEPT START FRAME(abc) FRAME(z) STOP", NULL, 0, 0},
    {"a unidirectional stream: START, data, STOP",
     OCTETS(OUR_START, DATA_ABC, PLAIN_STOP), "START FRAME(abc) STOP", NULL, 0, 0},
    {"a START without content type matches",
     OCTETS(ESCAPE, 0, 0, 0, 4, START, DATA_Z), "START FRAME(z)", NULL, 0, 0},
    {"a READY without content type matches",
     OCTETS(ESCAPE, 0, 0, 0, 4, READY, OUR_START, DATA_Z), "ACCEPT START FRAME(z)", NULL, 0, 0},
    {"of several offered content types one must be ours",
     OCTETS(ESCAPE, 0, 0, 0, 55, READY,
            CONTENT_TYPE_FIELD, 0, 0, 0, 1, 'x',
            OUR_FIELD,
            CONTENT_TYPE_FIELD, 0, 0, 0, 4, 't', 'e', 's', 't'),
     "ACCEPT", NULL, 0, 0},
    {"unknown control types are skipped in every state",
     OCTETS(ESCAPE, 0, 0, 0, 4, 0, 0, 0, 9,
            OUR_READY,
            ESCAPE, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 'x',
            OUR_START,
            ESCAPE, 0, 0, 0, 4, 0, 0, 0, 0,
            DATA_Z),
     "ACCEPT START FRAME(z)", NULL, 0, 0},
    {"unknown fields are skipped",
     OCTETS(ESCAPE, 0, 0, 0, 44, START,
            /* field 7, 2 octets */ 0, 0, 0, 7, 0, 0, 0, 2, 'h', 'i',
            OUR_FIELD),
     "START", NULL, 0, 0},
    {"a stray content type in STOP is no reason to complain",
     OCTETS(OUR_START, ESCAPE, 0, 0, 0, 34, STOP, OUR_FIELD), "START STOP", NULL, 0, 0},
    {"octets after STOP are ignored",
     OCTETS(OUR_START, PLAIN_STOP, DATA_ABC, OUR_START), "START STOP", NULL, 0, 0},
    {"a stream cut in a frame keeps the whole ones",
     OCTETS(OUR_START, DATA_ABC, 0, 0, 0, 3, 'a'), "START FRAME(abc)", NULL, 5, 0},
    {"a stream cut in a length keeps the whole ones",
     OCTETS(OUR_START, DATA_ABC, 0, 0), "START FRAME(abc)", NULL, 2, 0},
    {"a stream cut in a control frame keeps the whole ones",
     OCTETS(OUR_START, DATA_ABC, ESCAPE, 0, 0), "START FRAME(abc)", NULL, 6, 0},
    {"a frame of just the limit is whole",
     OCTETS(OUR_START, DATA_ABC), "START FRAME(abc)", NULL, 0, 3},
    {"a frame above the limit is passed over and the next one comes",
     OCTETS(OUR_START, 0, 0, 0, 5, 'l', 'a', 'r', 'g', 'e', DATA_ABC, PLAIN_STOP),
     "START OVERSIZE FRAME(abc) STOP", "5 octets exceeds the limit of 4", 0, 4},
    {"the octets of an oversize frame are no frames",
     OCTETS(OUR_START, 0, 0, 0, 12, PLAIN_STOP, DATA_Z), "START OVERSIZE FRAME(z)", "12 octets", 0, 4},
    {"a frame of 4 GiB is only counted",
     OCTETS(OUR_START, 0xff, 0xff, 0xff, 0xff, 1, 2, 3), "START OVERSIZE", "4294967295", 0, 0},
    {"nothing at all", OCTETS(0), "", NULL, 1, 0},
};

static const struct fs_case INVALID[] = {
    {"length-prefixed protobuf with 16 bits is dnsdist's newRemoteLogger",
     OCTETS(/* length */ 0, 123, /* field 1, varint */ 0x08, 0x01, 0x12, 0x10),
     "ERROR", "newRemoteLogger", 0, 0},
    {"a longer message of it",
     OCTETS(/* length 300 */ 1, 0x2c, /* field 1, varint */ 0x08, 0x01, 0x12, 0x10),
     "ERROR", "newRemoteLogger", 0, 0},
    {"length-prefixed protobuf with 32 bits and no handshake",
     OCTETS(/* length */ 0, 0, 0, 123, /* field 1, bytes */ 0x0a, 0x04, 't', 'e', 's', 't'),
     "ERROR", "length-prefixed protobuf without Frame Streams", 0, 0},
    {"an HTTP client", OCTETS('G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'),
     "ERROR", "HTTP", 0, 0},
    {"a TLS client", OCTETS(/* handshake, TLS 1.0 record */ 0x16, 0x03, 0x01, 0x02, 0x00, 0x01),
     "ERROR", "TLS", 0, 0},
    {"anything else shows its first octets", OCTETS('S', 'S', 'H', '-', '2'),
     "ERROR", "53 53 48 2d", 0, 0},
    {"a data frame between READY and START", OCTETS(OUR_READY, DATA_ABC),
     "ACCEPT ERROR", "before START", 0, 0},
    {"a control frame without a type", OCTETS(ESCAPE, 0, 0, 0, 3, 0, 0, 0),
     "ERROR", "3 octets, expected 4 to 512", 0, 0},
    {"a control frame of length 0", OCTETS(ESCAPE, 0, 0, 0, 0), "ERROR", "0 octets", 0, 0},
    {"a control frame above the limit", OCTETS(ESCAPE, 0, 0, 2, 1, READY),
     "ERROR", "513 octets", 0, 0},
    {"STOP first", OCTETS(PLAIN_STOP), "ERROR", "STOP control frame where READY or START", 0, 0},
    {"ACCEPT is for senders", OCTETS(ESCAPE, 0, 0, 0, 34, ACCEPT, OUR_FIELD),
     "ERROR", "ACCEPT", 0, 0},
    {"READY twice", OCTETS(OUR_READY, OUR_READY), "ACCEPT ERROR",
     "READY control frame where START", 0, 0},
    {"START in the data", OCTETS(OUR_START, DATA_ABC, OUR_START), "START FRAME(abc) ERROR",
     "START control frame where data or STOP", 0, 0},
    {"READY in the data", OCTETS(OUR_START, OUR_READY), "START ERROR", "READY", 0, 0},
    {"FINISH in the data", OCTETS(OUR_START, ESCAPE, 0, 0, 0, 4, FINISH), "START ERROR", "FINISH",
     0, 0},
    {"another content type in READY",
     OCTETS(ESCAPE, 0, 0, 0, 16, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 4, 't', 'e', 's', 't'),
     "ERROR", "READY offers content type \"test\", expected \"protobuf:dnstap.Dnstap\"", 0, 0},
    {"another content type in START after a READY that fits",
     OCTETS(OUR_READY, ESCAPE, 0, 0, 0, 16, START, CONTENT_TYPE_FIELD, 0, 0, 0, 4, 't', 'e', 's', 't'),
     "ACCEPT ERROR", "START offers", 0, 0},
    {"a content type that is a prefix of ours",
     OCTETS(ESCAPE, 0, 0, 0, 20, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 8,
            'p', 'r', 'o', 't', 'o', 'b', 'u', 'f'),
     "ERROR", "\"protobuf\"", 0, 0},
    {"a content type that ours is a prefix of",
     OCTETS(ESCAPE, 0, 0, 0, 35, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 23, OURS, '2'),
     "ERROR", "Dnstap2\"", 0, 0},
    {"an empty content type",
     OCTETS(ESCAPE, 0, 0, 0, 12, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 0), "ERROR", "\"\"", 0, 0},
    {"what a peer offers is shown without its control characters",
     OCTETS(ESCAPE, 0, 0, 0, 16, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 4, 'a', '\n', 0x00, 0xff),
     "ERROR", "\"a???\"", 0, 0},
    {"two content types in START",
     OCTETS(ESCAPE, 0, 0, 0, 64, START, OUR_FIELD, OUR_FIELD), "ERROR", "more than one", 0, 0},
    {"a field longer than its frame",
     OCTETS(ESCAPE, 0, 0, 0, 16, READY, CONTENT_TYPE_FIELD, 0, 0, 0, 5, 't', 'e', 's', 't'),
     "ERROR", "malformed READY control frame: a field exceeds the frame", 0, 0},
    {"a field of 4 GiB",
     OCTETS(ESCAPE, 0, 0, 0, 12, READY, CONTENT_TYPE_FIELD, 0xff, 0xff, 0xff, 0xff),
     "ERROR", "a field exceeds the frame", 0, 0},
    {"a field cut in its head", OCTETS(ESCAPE, 0, 0, 0, 9, READY, CONTENT_TYPE_FIELD, 0),
     "ERROR", "a field exceeds the frame", 0, 0},
};
/* clang-format on */

static void put_event(struct buf *log, const struct fs_decoder *d, enum fs_event event,
                      const struct fs_frame *frame)
{
    static const char *const NAMES[] = {"AGAIN", "FRAME",    "ACCEPT", "START",
                                        "STOP",  "OVERSIZE", "ERROR"};
    buf_printf(log, "%s%s", log->len > 0 ? " " : "", NAMES[event]);
    if (event == FS_FRAME) {
        buf_printf(log, "(%.*s)", (int)frame->len, (const char *)frame->data);
    }
    if (event == FS_ERROR) {
        assert_int_equal(d->state, FS_STATE_FAILED);
    }
}

/* Pushes a copy of exactly `len` octets, so that a sanitizer sees any read beyond them. */
static void push_piece(struct fs_decoder *d, const uint8_t *input, size_t len, struct buf *log)
{
    uint8_t *piece = malloc(len > 0 ? len : 1);
    struct fs_frame frame;
    enum fs_event event;
    assert_non_null(piece);
    if (len > 0) {
        memcpy(piece, input, len);
    }
    fs_decoder_push(d, piece, len);
    while ((event = fs_decoder_next(d, &frame)) != FS_AGAIN) {
        put_event(log, d, event, &frame);
    }
    assert_int_equal(fs_decoder_next(d, &frame), FS_AGAIN);
    free(piece);
}

static void check_log(const struct fs_case *c, const struct fs_decoder *d, struct buf *log,
                      size_t split)
{
    buf_char(log, '\0');
    if (strcmp(log->data, c->events) != 0) {
        fail_msg("%s, split at %zu: %s, expected %s", c->name, split, log->data, c->events);
    }
    if (c->why != NULL && strstr(d->why.text, c->why) == NULL) {
        fail_msg("%s: reason is '%s', expected '%s' in it", c->name, d->why.text, c->why);
    }
    if (fs_decoder_pending(d) != c->pending && d->state != FS_STATE_FAILED) {
        fail_msg("%s, split at %zu: pending %zu", c->name, split, fs_decoder_pending(d));
    }
    buf_fini(log);
}

static void run_case(const struct fs_case *c)
{
    /* One split: [0, split) and [split, len); split 0 is the whole input after an empty push. */
    for (size_t split = 0; split <= c->len; split++) {
        struct fs_decoder d;
        struct buf log = {0};
        fs_decoder_init(&d, c->max_frame);
        push_piece(&d, c->input, split, &log);
        push_piece(&d, c->input + split, c->len - split, &log);
        check_log(c, &d, &log, split);
        fs_decoder_fini(&d);
    }
    struct fs_decoder d;
    struct buf log = {0};
    fs_decoder_init(&d, c->max_frame);
    for (size_t at = 0; at < c->len; at++) {
        push_piece(&d, c->input + at, 1, &log);
    }
    check_log(c, &d, &log, c->len);
    fs_decoder_fini(&d);
}

static void streams_that_are_valid_give_their_events_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(VALID) / sizeof(VALID[0]); i++) {
        run_case(&VALID[i]);
    }
}

static void streams_that_are_invalid_say_what_was_expected_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(INVALID) / sizeof(INVALID[0]); i++) {
        run_case(&INVALID[i]);
    }
}

static size_t put_be32(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 24);
    to[1] = (uint8_t)(value >> 16);
    to[2] = (uint8_t)(value >> 8);
    to[3] = (uint8_t)value;
    return 4;
}

/* A READY of one content type of `len` octets, and ours. */
static size_t put_ready(uint8_t *to, size_t len)
{
    size_t at = put_be32(to, 0);
    at += put_be32(to + at, (uint32_t)(4 + 8 + len + 8 + 22));
    at += put_be32(to + at, 4);
    at += put_be32(to + at, 1);
    at += put_be32(to + at, (uint32_t)len);
    memset(to + at, 'x', len);
    at += len;
    at += put_be32(to + at, 1);
    at += put_be32(to + at, 22);
    memcpy(to + at, FS_CONTENT_TYPE, 22);
    return at + 22;
}

static void a_content_type_may_have_256_octets_and_not_257(void **state)
{
    (void)state;
    uint8_t input[FS_CONTROL_MAX + 8];
    struct fs_case at_limit = {"256 octets", input, put_ready(input, 256), "ACCEPT", NULL, 0, 0};
    run_case(&at_limit);
    struct fs_case beyond = {
        "257 octets", input, put_ready(input, 257), "ERROR", "256 octets", 0, 0};
    run_case(&beyond);
}

static void a_control_frame_may_have_512_octets(void **state)
{
    (void)state;
    uint8_t input[8 + FS_CONTROL_MAX] = {0};
    put_be32(input + 4, FS_CONTROL_MAX);
    put_be32(input + 8, 77);
    struct fs_case c = {"unknown type, 512 octets", input, sizeof(input), "", NULL, 0, 0};
    run_case(&c);
}

/* READY or START, then a data frame of `len` octets cut after `cut`. */
static void begin_frame(struct fs_decoder *d, size_t len, uint8_t *data)
{
    struct fs_frame frame;
    struct fs_frame start = fs_start();
    fs_decoder_push(d, start.data, start.len);
    assert_int_equal(fs_decoder_next(d, &frame), FS_START);
    assert_int_equal(fs_decoder_next(d, &frame), FS_AGAIN);
    put_be32(data, (uint32_t)len);
    memset(data + 4, 'd', len);
}

static void memory_follows_what_has_come_and_not_what_was_announced(void **state)
{
    (void)state;
    enum { LEN = FS_FRAME_MAX_DEFAULT, CUT = 5000 };
    uint8_t *data = malloc(4 + LEN);
    struct fs_decoder d;
    struct fs_frame frame;
    assert_non_null(data);
    fs_decoder_init(&d, 0);
    begin_frame(&d, LEN, data);
    fs_decoder_push(&d, data, CUT);
    assert_int_equal(fs_decoder_next(&d, &frame), FS_AGAIN);
    assert_true(d.partial_cap <= 2 * CUT);
    assert_int_equal(fs_decoder_pending(&d), CUT);
    for (size_t at = CUT; at < 4 + LEN; at += CUT) {
        fs_decoder_push(&d, data + at, 4 + LEN - at < CUT ? 4 + LEN - at : CUT);
        enum fs_event event = fs_decoder_next(&d, &frame);
        assert_int_equal(event, 4 + LEN - at <= CUT ? FS_FRAME : FS_AGAIN);
        assert_true(d.partial_cap <= 4 + LEN);
    }
    assert_int_equal(frame.len, LEN);
    assert_memory_equal(frame.data, data + 4, LEN);
    assert_int_equal(fs_decoder_next(&d, &frame), FS_AGAIN);
    assert_int_equal(d.partial_cap, 0);
    fs_decoder_fini(&d);
    free(data);
}

static void a_frame_wholly_in_the_input_is_not_copied_and_needs_no_memory(void **state)
{
    (void)state;
    static const uint8_t DATA[] = {DATA_ABC};
    struct fs_decoder d;
    struct fs_frame frame;
    uint8_t unused[8];
    alloc_fail_at(0);
    fs_decoder_init(&d, 0);
    begin_frame(&d, 1, unused);
    fs_decoder_push(&d, DATA, sizeof(DATA));
    assert_int_equal(fs_decoder_next(&d, &frame), FS_FRAME);
    assert_ptr_equal(frame.data, DATA + 4);
    assert_int_equal(fs_decoder_next(&d, &frame), FS_AGAIN);
    assert_int_equal(alloc_count(), 0);
    fs_decoder_fini(&d);
}

static void without_memory_for_a_cut_frame_the_stream_fails_cleanly(void **state)
{
    (void)state;
    enum { LEN = 5000, CUT = 700 };
    uint8_t data[4 + LEN];
    for (size_t n = 1;; n++) {
        struct fs_decoder d;
        struct fs_frame frame;
        fs_decoder_init(&d, 0);
        begin_frame(&d, LEN, data);
        alloc_fail_at(n);
        enum fs_event event = FS_AGAIN;
        for (size_t at = 0; at < sizeof(data) && event == FS_AGAIN; at += CUT) {
            fs_decoder_push(&d, data + at, sizeof(data) - at < CUT ? sizeof(data) - at : CUT);
            event = fs_decoder_next(&d, &frame);
        }
        bool refused = alloc_failed() > 0;
        alloc_fail_at(0);
        assert_int_equal(event, refused ? FS_ERROR : FS_FRAME);
        if (refused) {
            assert_non_null(strstr(d.why.text, "no memory"));
            assert_int_equal(fs_decoder_next(&d, &frame), FS_AGAIN);
        }
        fs_decoder_fini(&d);
        if (!refused) {
            assert_true(n > 2);
            return;
        }
    }
}

static void libfstrm_understands_the_control_frames_we_send(void **state)
{
    (void)state;
    const struct {
        struct fs_frame frame;
        fstrm_control_type type;
        bool with_content_type;
    } SENT[] = {
        {fs_accept(), FSTRM_CONTROL_ACCEPT, true}, {fs_finish(), FSTRM_CONTROL_FINISH, false},
        {fs_ready(), FSTRM_CONTROL_READY, true},   {fs_start(), FSTRM_CONTROL_START, true},
        {fs_stop(), FSTRM_CONTROL_STOP, false},
    };
    for (size_t i = 0; i < sizeof(SENT) / sizeof(SENT[0]); i++) {
        struct fstrm_control *control = fstrm_control_init();
        fstrm_control_type type;
        const uint8_t *content_type;
        size_t len;
        assert_int_equal(fstrm_control_decode(control, SENT[i].frame.data, SENT[i].frame.len,
                                              FSTRM_CONTROL_FLAG_WITH_HEADER),
                         fstrm_res_success);
        assert_int_equal(fstrm_control_get_type(control, &type), fstrm_res_success);
        assert_int_equal(type, SENT[i].type);
        fstrm_res res = fstrm_control_get_field_content_type(control, 0, &content_type, &len);
        assert_int_equal(res, SENT[i].with_content_type ? fstrm_res_success : fstrm_res_failure);
        if (SENT[i].with_content_type) {
            assert_int_equal(len, sizeof(FS_CONTENT_TYPE) - 1);
            assert_memory_equal(content_type, FS_CONTENT_TYPE, len);
        }
        fstrm_control_destroy(&control);
    }
}

static void a_decoder_tells_whether_its_sender_wants_replies(void **state)
{
    (void)state;
    const struct {
        struct fs_frame first;
        bool bidirectional;
        enum fs_state then;
    } FIRSTS[] = {{fs_ready(), true, FS_STATE_READY}, {fs_start(), false, FS_STATE_DATA}};
    for (size_t i = 0; i < 2; i++) {
        struct fs_decoder d;
        struct buf log = {0};
        fs_decoder_init(&d, 0);
        assert_int_equal(d.state, FS_STATE_HANDSHAKE);
        push_piece(&d, FIRSTS[i].first.data, FIRSTS[i].first.len, &log);
        assert_int_equal(d.bidirectional, FIRSTS[i].bidirectional);
        assert_int_equal(d.state, FIRSTS[i].then);
        fs_decoder_fini(&d);
        buf_fini(&log);
    }
}

static void a_decoder_counts_frames_and_oversize_ones(void **state)
{
    (void)state;
    static const uint8_t INPUT[] = {OUR_START, DATA_Z, DATA_ABC, DATA_Z, DATA_ABC};
    struct fs_decoder d;
    struct buf log = {0};
    fs_decoder_init(&d, 2);
    push_piece(&d, INPUT, sizeof(INPUT), &log);
    assert_int_equal(d.frames, 2);
    assert_int_equal(d.oversize, 2);
    assert_false(d.bidirectional);
    assert_int_equal(d.state, FS_STATE_DATA);
    fs_decoder_fini(&d);
    buf_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_that_are_valid_give_their_events_at_every_split),
        cmocka_unit_test(streams_that_are_invalid_say_what_was_expected_at_every_split),
        cmocka_unit_test(a_content_type_may_have_256_octets_and_not_257),
        cmocka_unit_test(a_control_frame_may_have_512_octets),
        cmocka_unit_test(memory_follows_what_has_come_and_not_what_was_announced),
        cmocka_unit_test(a_frame_wholly_in_the_input_is_not_copied_and_needs_no_memory),
        cmocka_unit_test(without_memory_for_a_cut_frame_the_stream_fails_cleanly),
        cmocka_unit_test(libfstrm_understands_the_control_frames_we_send),
        cmocka_unit_test(a_decoder_tells_whether_its_sender_wants_replies),
        cmocka_unit_test(a_decoder_counts_frames_and_oversize_ones),
    };
    return cmocka_run_group_tests_name("framestream", tests, NULL, NULL);
}
