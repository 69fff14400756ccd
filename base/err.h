/* base/err.h -- one error space for the whole program
 * SPDX-License-Identifier: Apache-2.0
 *
 * Functions return int: 0 is success, a negative errno value (-ENOSPC) passes through, and our own
 * codes lie below -1000. "Need more bytes" and "end of stream" are results of the parsers, never
 * errors. Where a person must read the reason, a function also takes a `struct why *` and fills it
 * with one sentence naming the file, line or field and what was expected.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stddef.h>

enum {
    W_ESYNTAX = -1001,  /* the input is not of the form expected */
    W_ELIMIT = -1002,   /* a stated limit would be exceeded */
    W_EFORMAT = -1003,  /* the format is none of those known */
    W_EVERSION = -1004, /* an index of another format version */
    W_EDAMAGED = -1005, /* an index or file that is damaged */
    W_ELOCKED = -1006,  /* another process writes this index */
    W_EUSAGE = -1007,   /* the command line or configuration is wrong */
};

/* One sentence for a person. Always terminated; truncated when too long. */
struct why {
    char text[512];
};

/* Returns a static sentence for any code of this space, unknown ones included. */
const char *err_str(int err);

/* Fills `why` (NULL is allowed and ignored) printf-like and returns `err`, so that a function can
 * `return why_set(why, W_ESYNTAX, "line %zu: ...", n)`. */
int why_set(struct why *why, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
