/* tests/fuzz/fuzz_framestream.c -- the Frame Streams decoder: the split of the input changes
 * nothing SPDX-License-Identifier: Apache-2.0
 *
 * Input: one octet that chooses the frame limit, two that seed the split points, then the stream.
 * The stream is decoded whole and in random pieces, each in memory of exactly its size. The events
 * and frames must be the same, and memory within what the header promises.
 */
#include <stdbool.h>
#include <string.h>

#include "proto/framestream.h"
#include "tests/fuzz/fuzz.h"

enum { HEAD = 3 };

static const size_t LIMITS[] = {0, 1, 4, 16, 100, 600, 5000, 70000};

/* What a run was like: a hash (FNV-1a) over all events, their frames and reasons, and the end. */
struct run {
    uint64_t hash;
    uint64_t frames;
    uint64_t oversize;
    size_t pending;
    enum fs_state state;
    bool bidirectional;
    bool ended; /* STOP or ERROR came */
};

static void mix(struct run *run, const void *octets, size_t len)
{
    const uint8_t *at = octets;
    for (size_t i = 0; i < len; i++) {
        run->hash = (run->hash ^ at[i]) * 0x100000001b3;
    }
}

static void note_event(struct run *run, const struct fs_decoder *d, enum fs_event event,
                       const struct fs_frame *frame)
{
    if (run->ended) {
        fuzz_fail("an event after STOP or ERROR");
    }
    const uint8_t octet = (uint8_t)event;
    mix(run, &octet, 1);
    if (event == FS_FRAME) {
        if (frame->len == 0 || frame->len > d->max_frame) {
            fuzz_fail("a frame of no octets or beyond the limit");
        }
        mix(run, frame->data, frame->len);
    }
    if (event == FS_ERROR || event == FS_OVERSIZE) {
        mix(run, d->why.text, strlen(d->why.text));
    }
    run->ended = event == FS_STOP || event == FS_ERROR;
}

static void push(struct run *run, struct fs_decoder *d, const uint8_t *data, size_t len)
{
    uint8_t *piece = malloc(len > 0 ? len : 1);
    struct fs_frame frame;
    enum fs_event event;
    if (piece == NULL) {
        abort();
    }
    memcpy(piece, data, len);
    fs_decoder_push(d, piece, len);
    while ((event = fs_decoder_next(d, &frame)) != FS_AGAIN) {
        note_event(run, d, event, &frame);
    }
    free(piece);
    size_t bound = d->max_frame + 4 > 1024 ? d->max_frame + 4 : 1024;
    if (d->partial_cap > bound || d->partial_len > d->partial_cap) {
        fuzz_fail("more memory than a frame");
    }
}

static struct run run_stream(const uint8_t *data, size_t len, size_t limit, uint64_t *splits)
{
    struct run run = {.hash = 0xcbf29ce484222325};
    struct fs_decoder d;
    fs_decoder_init(&d, limit);
    for (size_t at = 0; at < len;) {
        size_t piece = len - at;
        if (splits != NULL) {
            uint32_t random = fuzz_random(splits);
            /* Mostly pieces of a few octets, to cut headers; some of hundreds. */
            size_t wish = random % 8 == 0 ? random / 8 % 700 : random / 8 % 9;
            piece = wish < piece ? wish : piece;
        }
        push(&run, &d, data + at, piece);
        at += piece;
    }
    run.frames = d.frames;
    run.oversize = d.oversize;
    run.pending = d.state == FS_STATE_FAILED ? 0 : fs_decoder_pending(&d);
    run.state = d.state;
    run.bidirectional = d.bidirectional;
    fs_decoder_fini(&d);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    size_t limit = LIMITS[data[0] % (sizeof(LIMITS) / sizeof(LIMITS[0]))];
    uint64_t splits = 0x9e3779b97f4a7c15 + (uint64_t)(data[1] << 8 | data[2]);
    struct run whole = run_stream(data + HEAD, size - HEAD, limit, NULL);
    struct run pieces = run_stream(data + HEAD, size - HEAD, limit, &splits);
    if (whole.hash != pieces.hash || whole.frames != pieces.frames ||
        whole.oversize != pieces.oversize || whole.pending != pieces.pending ||
        whole.state != pieces.state || whole.bidirectional != pieces.bidirectional) {
        fuzz_fail("the split of the stream changes its events");
    }
    return 0;
}
