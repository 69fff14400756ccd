/* proto/framestream.c -- Frame Streams, the receiving side
 * SPDX-License-Identifier: Apache-2.0
 *
 * A frame that lies whole inside the input is returned in place. One that is cut by the end of the
 * input is completed in `partial`, header included, and returned from there.
 */
#include "proto/framestream.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH = 4,             /* octets of every length and type on the wire */
    CONTROL_HEAD = 8,       /* the escape and the control length */
    FIELD_CONTENT_TYPE = 1, /* the only control field there is */
    CONTENT_TYPE_LEN = sizeof(FS_CONTENT_TYPE) - 1,
    PARTIAL_MIN = 1024,
    PARTIAL_KEPT_MAX = 65536, /* a larger buffer is given back after its frame */
};

enum control { CONTROL_ACCEPT = 1, CONTROL_START, CONTROL_STOP, CONTROL_READY, CONTROL_FINISH };

static const char *const CONTROL_NAMES[] = {NULL, "ACCEPT", "START", "STOP", "READY", "FINISH"};

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void fs_decoder_init(struct fs_decoder *decoder, size_t max_frame)
{
    *decoder = (struct fs_decoder){.max_frame = max_frame != 0 ? max_frame : FS_FRAME_MAX_DEFAULT};
}

void fs_decoder_fini(struct fs_decoder *decoder)
{
    free(decoder->partial);
    decoder->partial = NULL;
    decoder->partial_len = decoder->partial_cap = 0;
}

void fs_decoder_push(struct fs_decoder *decoder, const uint8_t *data, size_t len)
{
    decoder->in = data;
    decoder->in_len = len;
}

size_t fs_decoder_pending(const struct fs_decoder *decoder)
{
    return decoder->partial_done ? 0 : decoder->partial_len;
}

size_t fs_decoder_unread(const struct fs_decoder *decoder)
{
    return decoder->in_len;
}

size_t fs_decoder_memory(const struct fs_decoder *decoder)
{
    return decoder->partial_cap;
}

static enum fs_event failed(struct fs_decoder *d)
{
    d->state = FS_STATE_FAILED;
    return FS_ERROR;
}

static void consume(struct fs_decoder *d, size_t len)
{
    d->in += len;
    d->in_len -= len;
}

/* Names the protocol of a peer that does not speak ours, as far as four octets tell. */
static enum fs_event not_frame_streams(struct fs_decoder *d, const uint8_t head[LENGTH])
{
    static const char *const HTTP[] = {"GET ", "POST", "PUT ", "HEAD", "HTTP", "PRI ", "OPTI"};
    for (size_t i = 0; i < sizeof(HTTP) / sizeof(HTTP[0]); i++) {
        if (memcmp(head, HTTP[i], LENGTH) == 0) {
            why_set(&d->why, 0, "not Frame Streams but HTTP; this is a dnstap listener");
            return failed(d);
        }
    }
    if (head[0] == 0x16 && head[1] == 0x03) {
        why_set(&d->why, 0, "not Frame Streams but TLS; this listener takes dnstap without TLS");
        return failed(d);
    }
    /* A 16-bit length and then the tag of a field 1, or a 32-bit length below 16 MiB. */
    bool u16_length = head[2] == 0x08 || head[2] == 0x0a;
    if (u16_length || head[0] == 0) {
        why_set(&d->why, 0,
                "length-prefixed protobuf without Frame Streams (is this dnsdist's "
                "newRemoteLogger? use newFrameStreamTcpLogger / newFrameStreamUnixLogger)");
        return failed(d);
    }
    why_set(&d->why, 0, "not Frame Streams: begins with octets %02x %02x %02x %02x, expected 00s",
            head[0], head[1], head[2], head[3]);
    return failed(d);
}

/* What a control frame says about content types. */
struct offer {
    size_t count;
    bool ours;
    const uint8_t *first;
    size_t first_len;
};

static enum fs_event bad_control(struct fs_decoder *d, enum control type, const char *what)
{
    why_set(&d->why, 0, "malformed %s control frame: %s", CONTROL_NAMES[type], what);
    return failed(d);
}

/* Reads the fields of a control frame. Returns FS_AGAIN if they are well-formed, else FS_ERROR. */
static enum fs_event read_fields(struct fs_decoder *d, enum control type, const uint8_t *at,
                                 size_t len, struct offer *offer)
{
    *offer = (struct offer){0};
    while (len > 0) {
        if (len < 2 * LENGTH || be32(at + LENGTH) > len - 2 * LENGTH) {
            return bad_control(d, type, "a field exceeds the frame");
        }
        size_t field_len = be32(at + LENGTH);
        const uint8_t *field = at + 2 * LENGTH;
        if (be32(at) == FIELD_CONTENT_TYPE) {
            if (field_len > FS_CONTENT_TYPE_MAX) {
                return bad_control(d, type, "a content type is longer than 256 octets");
            }
            if (offer->count++ == 0) {
                offer->first = field;
                offer->first_len = field_len;
            }
            offer->ours |= field_len == CONTENT_TYPE_LEN &&
                           memcmp(field, FS_CONTENT_TYPE, CONTENT_TYPE_LEN) == 0;
        }
        at = field + field_len;
        len -= 2 * LENGTH + field_len;
    }
    if (type == CONTROL_START && offer->count > 1) {
        return bad_control(d, type, "more than one content type");
    }
    return FS_AGAIN;
}

/* Refuses a READY or START that names content types without ours among them. */
static enum fs_event match_offer(struct fs_decoder *d, enum control type, const struct offer *offer)
{
    if (offer->count == 0 || offer->ours) {
        return FS_AGAIN;
    }
    char shown[65];
    size_t len = offer->first_len < sizeof(shown) - 1 ? offer->first_len : sizeof(shown) - 1;
    for (size_t i = 0; i < len; i++) {
        shown[i] = offer->first[i] < 0x80 && isprint(offer->first[i]) ? (char)offer->first[i] : '?';
    }
    shown[len] = '\0';
    why_set(&d->why, 0, "%s offers content type \"%s\"%s, expected \"%s\"", CONTROL_NAMES[type],
            shown, offer->count > 1 ? " and others" : "", FS_CONTENT_TYPE);
    return failed(d);
}

static enum fs_event unexpected_control(struct fs_decoder *d, enum control type)
{
    static const char *const EXPECTED[] = {
        [FS_STATE_HANDSHAKE] = "READY or START",
        [FS_STATE_READY] = "START",
        [FS_STATE_DATA] = "data or STOP",
    };
    why_set(&d->why, 0, "unexpected %s control frame where %s was expected", CONTROL_NAMES[type],
            EXPECTED[d->state]);
    return failed(d);
}

/* Takes the payload of a control frame. FS_AGAIN means that it is ignored. */
static enum fs_event take_control(struct fs_decoder *d, const uint8_t *payload, size_t len)
{
    uint32_t type = be32(payload);
    if (type < CONTROL_ACCEPT || type > CONTROL_FINISH) {
        return FS_AGAIN;
    }
    struct offer offer;
    if (read_fields(d, type, payload + LENGTH, len - LENGTH, &offer) == FS_ERROR) {
        return FS_ERROR;
    }
    bool before_data = d->state == FS_STATE_HANDSHAKE || d->state == FS_STATE_READY;
    if (d->state == FS_STATE_HANDSHAKE && type == CONTROL_READY) {
        if (match_offer(d, type, &offer) == FS_ERROR) {
            return FS_ERROR;
        }
        d->bidirectional = true;
        d->state = FS_STATE_READY;
        return FS_ACCEPT;
    }
    if (before_data && type == CONTROL_START) {
        if (match_offer(d, type, &offer) == FS_ERROR) {
            return FS_ERROR;
        }
        d->state = FS_STATE_DATA;
        return FS_START;
    }
    if (d->state == FS_STATE_DATA && type == CONTROL_STOP) {
        d->state = FS_STATE_STOPPED;
        return FS_STOP;
    }
    return unexpected_control(d, type);
}

/* Takes as much input as brings `partial` to `want` octets. Returns FS_AGAIN or FS_ERROR. */
static enum fs_event fill_partial(struct fs_decoder *d, size_t want)
{
    size_t missing = want - d->partial_len;
    size_t take = missing < d->in_len ? missing : d->in_len;
    size_t len = d->partial_len + take;
    if (len > d->partial_cap) {
        /* Grows with what has come, not with what was announced. */
        size_t cap = d->partial_cap != 0 ? d->partial_cap : PARTIAL_MIN;
        while (cap < len) {
            cap *= 2;
        }
        if (cap > want && want > PARTIAL_MIN) {
            cap = want;
        }
        uint8_t *partial = realloc(d->partial, cap);
        if (partial == NULL) {
            why_set(&d->why, 0, "no memory for a frame of %zu octets", want);
            return failed(d);
        }
        d->partial = partial;
        d->partial_cap = cap;
    }
    memcpy(d->partial + d->partial_len, d->in, take);
    d->partial_len = len;
    consume(d, take);
    return FS_AGAIN;
}

static void release_partial(struct fs_decoder *d)
{
    d->partial_done = false;
    d->partial_len = 0;
    if (d->partial_cap > PARTIAL_KEPT_MAX) {
        fs_decoder_fini(d);
    }
}

/* Judges the length of a data frame. Returns FS_AGAIN if the frame is wanted. */
static enum fs_event judge_data(struct fs_decoder *d, const uint8_t head[LENGTH])
{
    if (d->state == FS_STATE_HANDSHAKE) {
        return not_frame_streams(d, head);
    }
    if (d->state == FS_STATE_READY) {
        why_set(&d->why, 0, "a data frame of %u octets came before START", be32(head));
        return failed(d);
    }
    if (be32(head) > d->max_frame) {
        why_set(&d->why, 0, "a data frame of %u octets exceeds the limit of %zu", be32(head),
                d->max_frame);
        d->oversize++;
        return FS_OVERSIZE;
    }
    return FS_AGAIN;
}

/* Judges the first `have` octets of a frame. With FS_AGAIN `*total` is its whole length or, if not
 * even that is known, the octets needed to go on, which are more than `have`. */
static enum fs_event judge(struct fs_decoder *d, const uint8_t *at, size_t have, size_t *total)
{
    if (have < LENGTH) {
        *total = LENGTH;
        return FS_AGAIN;
    }
    if (be32(at) != 0) {
        *total = LENGTH + (size_t)be32(at);
        return judge_data(d, at);
    }
    if (have < CONTROL_HEAD) {
        *total = CONTROL_HEAD;
        return FS_AGAIN;
    }
    uint32_t len = be32(at + LENGTH);
    if (len < LENGTH || len > FS_CONTROL_MAX) {
        why_set(&d->why, 0, "a control frame of %u octets, expected 4 to %d", len, FS_CONTROL_MAX);
        return failed(d);
    }
    *total = CONTROL_HEAD + (size_t)len;
    return FS_AGAIN;
}

static enum fs_event deliver(struct fs_decoder *d, const uint8_t *at, size_t total,
                             struct fs_frame *frame)
{
    if (be32(at) == 0) {
        return take_control(d, at + CONTROL_HEAD, total - CONTROL_HEAD);
    }
    d->frames++;
    *frame = (struct fs_frame){at + LENGTH, total - LENGTH};
    return FS_FRAME;
}

/* Passes over the input that belongs to an oversize frame. */
static void skip_oversize(struct fs_decoder *d)
{
    size_t len = d->skip < d->in_len ? (size_t)d->skip : d->in_len;
    d->skip -= len;
    consume(d, len);
}

/* Takes a whole frame or as much of one as there is. Goes deeper at most twice: a cut frame is
 * judged by its length, its control length and then as a whole. */
static enum fs_event step(struct fs_decoder *d, struct fs_frame *frame)
{
    bool in_place = d->partial_len == 0;
    const uint8_t *at = in_place ? d->in : d->partial;
    size_t have = in_place ? d->in_len : d->partial_len;
    size_t total;
    enum fs_event event = judge(d, at, have, &total);
    if (event == FS_OVERSIZE) {
        d->skip = in_place ? total : total - LENGTH;
        release_partial(d);
        return event;
    }
    if (event != FS_AGAIN) {
        return event;
    }
    if (have < total) {
        event = fill_partial(d, total);
        return event == FS_AGAIN && d->partial_len == total ? step(d, frame) : event;
    }
    if (in_place) {
        consume(d, total);
    } else {
        d->partial_done = true;
    }
    return deliver(d, at, total, frame);
}

enum fs_event fs_decoder_next(struct fs_decoder *decoder, struct fs_frame *frame)
{
    enum fs_event event = FS_AGAIN;
    while (event == FS_AGAIN) {
        if (decoder->partial_done) {
            release_partial(decoder);
        }
        if (decoder->state == FS_STATE_STOPPED || decoder->state == FS_STATE_FAILED) {
            decoder->in_len = 0;
        }
        if (decoder->skip > 0) {
            skip_oversize(decoder);
        }
        if (decoder->in_len == 0) {
            return FS_AGAIN;
        }
        event = step(decoder, frame);
    }
    return event;
}

/* A control frame with our content type as its one field. */
#define WITH_CONTENT_TYPE(type)                                                                    \
    {                                                                                              \
        /* escape, control length */                                                               \
        0, 0, 0, 0, 0, 0, 0, 3 * LENGTH + CONTENT_TYPE_LEN, /* type, field type, field length */   \
            0, 0, 0, type, 0, 0, 0, FIELD_CONTENT_TYPE, 0, 0, 0, CONTENT_TYPE_LEN, 'p', 'r', 'o',  \
            't', 'o', 'b', 'u', 'f', ':', 'd', 'n', 's', 't', 'a', 'p', '.', 'D', 'n', 's', 't',   \
            'a', 'p'                                                                               \
    }

#define WITHOUT_FIELDS(type)                                                                       \
    {                                                                                              \
        0, 0, 0, 0, 0, 0, 0, LENGTH, 0, 0, 0, type                                                 \
    }

struct fs_frame fs_accept(void)
{
    static const uint8_t ACCEPT[] = WITH_CONTENT_TYPE(CONTROL_ACCEPT);
    return (struct fs_frame){ACCEPT, sizeof(ACCEPT)};
}

struct fs_frame fs_finish(void)
{
    static const uint8_t FINISH[] = WITHOUT_FIELDS(CONTROL_FINISH);
    return (struct fs_frame){FINISH, sizeof(FINISH)};
}

struct fs_frame fs_ready(void)
{
    static const uint8_t READY[] = WITH_CONTENT_TYPE(CONTROL_READY);
    return (struct fs_frame){READY, sizeof(READY)};
}

struct fs_frame fs_start(void)
{
    static const uint8_t START[] = WITH_CONTENT_TYPE(CONTROL_START);
    return (struct fs_frame){START, sizeof(START)};
}

struct fs_frame fs_stop(void)
{
    static const uint8_t STOP[] = WITHOUT_FIELDS(CONTROL_STOP);
    return (struct fs_frame){STOP, sizeof(STOP)};
}
