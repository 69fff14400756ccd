/* collector/batch.c -- what is on its way to the index, as bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/batch.h"

#include <stdlib.h>
#include <string.h>

#include "proto/answer.h"

_Static_assert(sizeof(struct record) % 8 == 0, "records are aligned to 8 octets");
_Static_assert(sizeof(struct record) + ANSWER_BYTES_MAX < BATCH_BYTES, "any answer fits");

static size_t cut(size_t len)
{
    return len < STORE_IDENTITY_MAX ? len : STORE_IDENTITY_MAX;
}

struct stream *stream_new(const struct stream *like)
{
    size_t identity_len = cut(like->identity_len);
    size_t version_len = cut(like->version_len);
    size_t peer_len = cut(strlen(like->peer));
    struct stream *stream = malloc(sizeof(*stream) + identity_len + version_len + peer_len + 1);
    if (stream == NULL) {
        return NULL;
    }
    uint8_t *text = (uint8_t *)(stream + 1);
    *stream = *like;
    stream->identity_len = identity_len;
    stream->version_len = version_len;
    stream->identity = text;
    stream->version = text + identity_len;
    stream->peer = (char *)text + identity_len + version_len;
    if (identity_len > 0) {
        memcpy(text, like->identity, identity_len);
    }
    if (version_len > 0) {
        memcpy(text + identity_len, like->version, version_len);
    }
    memcpy(text + identity_len + version_len, like->peer, peer_len);
    text[identity_len + version_len + peer_len] = '\0';
    return stream;
}

struct batch *batch_new(void)
{
    struct batch *batch = malloc(sizeof(*batch) + BATCH_BYTES);
    if (batch != NULL) {
        *batch = (struct batch){0};
    }
    return batch;
}

struct record *batch_add(struct batch *batch, enum record_type type, struct stream *stream,
                         size_t answer_len)
{
    size_t size = (sizeof(struct record) + answer_len + 7) & ~(size_t)7;
    if (size > BATCH_BYTES - batch->len) {
        return NULL;
    }
    struct record *record = (struct record *)(batch->data + batch->len);
    *record = (struct record){
        .size = (uint32_t)size,
        .answer_len = (uint32_t)answer_len,
        .type = (uint8_t)type,
        .stream = stream,
    };
    batch->len += size;
    return record;
}

struct record *batch_next(struct batch *batch, struct record *record)
{
    uint8_t *at = record == NULL ? batch->data : (uint8_t *)record + record->size;
    return at < batch->data + batch->len ? (struct record *)at : NULL;
}

uint8_t *record_answer(struct record *record)
{
    return (uint8_t *)(record + 1);
}
