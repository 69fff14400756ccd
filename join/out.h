/* join/out.h -- where named flows go to and stay: SINK of --out
 * SPDX-License-Identifier: Apache-2.0
 *
 *   -           standard output. At least once: what was written after the last checkpoint is
 *               written again after a restart.
 *   file:PATH   a file that nobody else writes to; it is locked. Exactly once: its length is part
 *               of the checkpoint, and a restart cuts off what came after.
 *
 * The file may be renamed away (logrotate) while it is written: out_moved tells, and out_reopen
 * begins a new one. Between the two a checkpoint must be written that says so.
 *
 * Threads: an output belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/tail_file.h"

struct out;

/* What a checkpoint knows of the output. */
struct out_state {
    uint64_t len; /* of the file; 0 for a stream */
    bool closed;  /* nothing was written after it: the next flow may go to a new file */
    struct tail_head head;
};

/* True for a text that out_open takes. */
bool out_is_sink(const char *sink);

/* Opens it; a file is made if there is none, and is not changed yet. `sink` is copied. Returns 0;
 * W_EUSAGE for a sink that is none; W_ELOCKED if another process writes the file; -ENOMEM; another
 * -errno. `why` has a sentence. */
int out_open(struct out **out, const char *sink, struct why *why);
/* NULL is fine. */
void out_close(struct out **out);
/* PATH of a file, else NULL. */
const char *out_path(const struct out *out);

/* Goes on where `state` says; NULL: there is no checkpoint. Returns 0; W_EDAMAGED if the file is
 * not the one that the checkpoint speaks of, or has content and there is no checkpoint; -errno.
 * `why` says which, and what to do. */
int out_resume(struct out *out, const struct out_state *state, const char *checkpoint,
               struct why *why);

/* Writes all of it, or nothing: what was written of it before an error is cut off, or, in a
 * stream, not written again when the same is tried again. Returns 0; -EPIPE; another -errno, after
 * which the same may be tried again. */
int out_write(struct out *out, const char *bytes, size_t len);
/* True for errors that may pass: a full disk, a quota. */
bool out_may_pass(int err);

/* Brings what was written to the disk and tells where that is. -errno. */
int out_sync(struct out *out, struct out_state *state);

/* Nothing stands before what is written next, as far as is known. */
bool out_is_empty(const struct out *out);
/* The file was renamed or removed. */
bool out_moved(const struct out *out);
/* Begins a new file under its name. As out_open. */
int out_reopen(struct out *out, struct why *why);
