/* join/checkpoint.h -- how far a live join has got: what a restart must know
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of each file that is followed, who it is and where the oldest flow begins that is still held; how
 * long the output is; and what the last flows were, so that a repeat is still one, and where
 * addresses were seen. All of it is of one moment: the flows before these places are in the output,
 * those after them are not.
 *
 * One small file, replaced as a whole: written beside, synced, renamed, and the folder synced. It
 * ends in a checksum. What is not whole is refused and never taken for a beginning.
 *
 * Threads: stateless; a struct checkpoint belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"
#include "join/interfaces.h"
#include "join/out.h"
#include "join/repeat.h"
#include "join/tail.h"

/* A larger file is none of ours. */
#define CHECKPOINT_LEN_MAX ((size_t)64 * 1024 * 1024)

/* What was read; pointers into `data`. */
struct checkpoint {
    const char *sink; /* of --out, as given */
    struct out_state out;
    struct tail_mark *marks; /* owned */
    size_t mark_count;
    const char *repeats; /* for repeats_load */
    size_t repeats_len;
    const char *interfaces; /* for interfaces_load */
    size_t interfaces_len;
    char *data; /* owned */
};

/* Returns 0; -ENOENT without a word in `why`; W_EFORMAT, W_EVERSION or W_EDAMAGED with what it is
 * and what to do; -ENOMEM; another -errno. */
int checkpoint_read(struct checkpoint *checkpoint, const char *path, struct why *why);
void checkpoint_fini(struct checkpoint *checkpoint);

/* Writes it. `scratch` is used and kept for the next time. Returns 0; -ENOSPC or another -errno,
 * with the former checkpoint untouched; -ENOMEM. */
int checkpoint_write(const char *path, const char *sink, const struct out_state *out,
                     const struct tail *tail, const struct repeats *repeats,
                     const struct interfaces *interfaces, int64_t now_us, struct buf *scratch,
                     struct why *why);
