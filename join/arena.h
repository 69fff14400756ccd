/* join/arena.h -- memory that is given back all at once
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a batch of records needs beside its text: strings without their escapes, lines out of a
 * document. Zeroed memory is an empty arena.
 *
 * Threads: an arena belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>

#include "join/text.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* the newest first */
};

/* `len` octets (any alignment) that live until arena_reset; NULL if memory is short. */
char *arena_take(struct arena *arena, size_t len);
/* Gives back the end of what arena_take returned last: only the first `used` of `len` are kept. */
void arena_trim(struct arena *arena, size_t len, size_t used);
/* A copy of the text; data is NULL if memory is short. */
struct text arena_copy(struct arena *arena, struct text text);

/* Empties it and keeps one chunk; and gives all back. */
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);
