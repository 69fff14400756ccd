/* join/arena.c -- memory that is given back all at once
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_LEN = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t len;
    size_t used;
    char data[];
};

char *arena_take(struct arena *arena, size_t len)
{
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->len - chunk->used < len) {
        size_t room = len > CHUNK_LEN ? len : CHUNK_LEN;
        chunk = malloc(sizeof(*chunk) + room);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (struct arena_chunk){.next = arena->chunks, .len = room};
        arena->chunks = chunk;
    }
    char *at = chunk->data + chunk->used;
    chunk->used += len;
    return at;
}

void arena_trim(struct arena *arena, size_t len, size_t used)
{
    arena->chunks->used -= len - used;
}

struct text arena_copy(struct arena *arena, struct text text)
{
    char *at = arena_take(arena, text.len);
    if (at == NULL) {
        return (struct text){NULL, 0};
    }
    memcpy(at, text.data, text.len);
    return (struct text){at, text.len};
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *keep = arena->chunks;
    if (keep == NULL) {
        return;
    }
    while (keep->next != NULL) {
        struct arena_chunk *next = keep->next;
        free(keep);
        keep = next;
    }
    keep->used = 0;
    arena->chunks = keep;
    if (keep->len > CHUNK_LEN) {
        arena_fini(arena);
    }
}

void arena_fini(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
}
