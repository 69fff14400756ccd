/* join/tail_stream.c -- standard input, line by line as it comes
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join/tail_log.h"

int tail_stream_open(struct tail *tail)
{
    struct tail_stream *stream = &tail->stream;
    if (stream->used) {
        return 0;
    }
    stream->file = tail_file_new("standard input");
    stream->data = malloc(TAIL_BUFFER_LEN);
    stream->used = true;
    return stream->file == NULL || stream->data == NULL ? -ENOMEM : 0;
}

void tail_stream_fini(struct tail_stream *stream)
{
    tail_file_free(&stream->file);
    free(stream->data);
    *stream = (struct tail_stream){0};
}

/* Takes what there is, without waiting. */
static void fill(struct tail_stream *stream)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t room = TAIL_BUFFER_LEN - stream->len;
    if (stream->ended || room == 0 || poll(&ready, 1, 0) <= 0) {
        return;
    }
    ssize_t got =
        read(STDIN_FILENO, stream->data + stream->len, room < TAIL_READ_LEN ? room : TAIL_READ_LEN);
    if (got > 0) {
        stream->len += (size_t)got;
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        stream->ended = true;
    }
}

static int give(struct tail_stream *stream, struct tail_piece *piece, size_t len, uint64_t lines)
{
    struct tail_file *file = stream->file;
    *piece = (struct tail_piece){file, stream->data, len, file->at};
    file->at.offset += len;
    file->at.number += lines;
    stream->given = len;
    return TAIL_GOT_LINES;
}

/* What there is holds no newline and is longer than any line. */
static int skip_overlong(struct tail_stream *stream, struct tail_piece *piece)
{
    struct tail_file *file = stream->file;
    *piece = (struct tail_piece){.file = file, .at = file->at};
    file->at.offset += stream->len;
    file->at.number++;
    file->at.overlong = true;
    stream->len = 0;
    return TAIL_GOT_OVERLONG;
}

/* Drops what is left of a line that was too long. */
static void drop_overlong(struct tail_stream *stream)
{
    const char *stop = memchr(stream->data, '\n', stream->len);
    size_t len = stop != NULL ? (size_t)(stop - stream->data) + 1 : stream->len;
    stream->file->at.overlong = stop == NULL;
    stream->file->at.offset += len;
    stream->len -= len;
    memmove(stream->data, stream->data + len, stream->len);
}

int tail_stream_read(struct tail_stream *stream, struct tail_piece *piece)
{
    stream->len -= stream->given;
    memmove(stream->data, stream->data + stream->given, stream->len);
    stream->given = 0;
    fill(stream);
    if (stream->file->at.overlong) {
        drop_overlong(stream);
    }
    const char *last = stream->len > 0 ? memrchr(stream->data, '\n', stream->len) : NULL;
    if (last != NULL) {
        size_t len = (size_t)(last - stream->data) + 1;
        uint64_t lines = 0;
        for (size_t i = 0; i < len; i++) {
            lines += stream->data[i] == '\n';
        }
        return give(stream, piece, len, lines);
    }
    if (stream->len > RECORD_LEN_MAX) {
        return skip_overlong(stream, piece);
    }
    return stream->ended && stream->len > 0 ? give(stream, piece, stream->len, 1) : TAIL_NOTHING;
}
