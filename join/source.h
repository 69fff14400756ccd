/* join/source.h -- where flow records are read from
 * SPDX-License-Identifier: Apache-2.0
 *
 * SOURCE on the command line is a file, a directory (its files, by name), a quoted glob, or `-` for
 * standard input. What is compressed with gzip or zstd is found by content, whatever its name.
 *
 * Threads: a list and an input belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct source_list {
    char **paths; /* owned; "-" is standard input */
    size_t count;
    uint64_t bytes; /* of the regular files among them, as on disk */
};

/* Appends what `source` stands for. Returns 0; -ENOENT, or another -errno, with a reason in `why`
 * that names it; -ENOMEM. Of a directory, hidden files and
 * what is no regular file are left out. */
int source_list_add(struct source_list *list, const char *source, struct why *why);
void source_list_fini(struct source_list *list);

struct input;

/* Opens it. `why` names the file. */
int input_open(struct input **input, const char *path, struct why *why);
void input_close(struct input **input);

/* Reads up to `len` octets, uncompressed. Returns how many, 0 at the end, or a negative error: what
 * was read before it is sound. Returns what there is as soon as there is something. */
int64_t input_read(struct input *input, char *data, size_t len, struct why *why);

/* For messages: the path, or "standard input". */
const char *input_name(const struct input *input);
/* Octets read from disk so far. */
uint64_t input_consumed(const struct input *input);
/* When the file was last written, in microseconds; now for what is no regular file. */
int64_t input_time_us(const struct input *input);
/* A regular file: its reading never waits for somebody. */
bool input_is_file(const struct input *input);
