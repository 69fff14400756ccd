/* proto/framestream.h -- Frame Streams, the receiving side
 * SPDX-License-Identifier: Apache-2.0
 *
 * A push decoder without any I/O: bytes in, events and reply bytes out. The wire format is that of
 * libfstrm's fstrm/control.h: u32 big-endian length and payload; length 0 escapes a control frame:
 * u32 length, u32 type (1 ACCEPT, 2 START, 3 STOP, 4 READY, 5 FINISH), fields (u32 type, u32
 * length, bytes).
 *
 *   fs_decoder_push(d, data, len);             the input of one read
 *   while ((event = fs_decoder_next(d, &frame)) != FS_AGAIN) { ... }
 *
 * Bidirectional: READY -> (reply ACCEPT) -> START -> data -> STOP -> (caller lets fs_finish() be
 * sent once everything is committed). Unidirectional: START -> data -> STOP, or data until the end.
 * On a socket START without READY is accepted as well (old unbound). A READY or START without
 * content type matches; of several offered types ours must be one, compared by exact length.
 * Unknown control types and fields are skipped. Data frames longer than `max_frame` are skipped by
 * count, never buffered.
 *
 * Memory: at most max_frame + 4 octets (1 KiB if that is more) for a frame cut by the end of a
 * push, allocated as its octets come; above 64 KiB it is given back after the frame. Threads: a
 * decoder belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FS_CONTENT_TYPE "protobuf:dnstap.Dnstap"
#define FS_CONTROL_MAX 512           /* payload of a control frame */
#define FS_CONTENT_TYPE_MAX 256      /* one content type */
#define FS_FRAME_MAX_DEFAULT 1048576 /* data frame */

enum fs_event {
    FS_AGAIN,  /* all input consumed; push more */
    FS_FRAME,  /* a whole data frame: `frame` is set, valid until the next call on this decoder */
    FS_ACCEPT, /* READY came and fits: send the bytes of fs_accept() */
    FS_START,  /* data may follow */
    FS_STOP, /* the sender is done: commit, then send fs_finish() if `bidirectional`; no more events
                follow */
    FS_OVERSIZE, /* a data frame longer than max_frame begins; it will be skipped */
    FS_ERROR,    /* not Frame Streams, or a limit exceeded: fs_decoder.why says what; no more events
                    follow */
};

enum fs_state {
    FS_STATE_HANDSHAKE, /* READY or START expected */
    FS_STATE_READY,     /* ACCEPT sent, START expected */
    FS_STATE_DATA,
    FS_STATE_STOPPED,
    FS_STATE_FAILED,
};

struct fs_frame {
    const uint8_t *data;
    size_t len;
};

struct fs_decoder {
    /* read-only for callers */
    enum fs_state state;
    bool bidirectional; /* READY was seen */
    uint64_t frames;    /* data frames returned */
    uint64_t oversize;  /* data frames skipped */
    struct why why;     /* after FS_ERROR or FS_OVERSIZE, in ASCII; no memory is an FS_ERROR, too */
    /* private */
    size_t max_frame;
    const uint8_t *in;
    size_t in_len;
    uint8_t *partial; /* owned */
    size_t partial_len;
    size_t partial_cap;
    bool partial_done; /* the partial buffer holds the frame returned last */
    uint64_t skip;     /* octets of an oversize frame still to come */
};

/* `max_frame` 0 means FS_FRAME_MAX_DEFAULT. Never fails; allocates nothing. */
void fs_decoder_init(struct fs_decoder *decoder, size_t max_frame);
void fs_decoder_fini(struct fs_decoder *decoder);

/* Gives the next input. Legal only at the start and after FS_AGAIN. `data` must stay valid until
 * FS_AGAIN is returned. */
void fs_decoder_push(struct fs_decoder *decoder, const uint8_t *data, size_t len);
enum fs_event fs_decoder_next(struct fs_decoder *decoder, struct fs_frame *frame);

/* Octets of a frame that was begun and not ended: what a stream cut here loses. An oversize frame
 * does not count, because it is lost anyway. */
size_t fs_decoder_pending(const struct fs_decoder *decoder);
/* Octets of the input not yet looked at: after FS_ERROR, what lies behind the fault. */
size_t fs_decoder_unread(const struct fs_decoder *decoder);
/* Octets the decoder holds allocated. */
size_t fs_decoder_memory(const struct fs_decoder *decoder);

/* The whole control frames to send; static memory. */
struct fs_frame fs_accept(void);
struct fs_frame fs_finish(void);
/* For the sending side: READY, START and STOP with our content type. */
struct fs_frame fs_ready(void);
struct fs_frame fs_start(void);
struct fs_frame fs_stop(void);
