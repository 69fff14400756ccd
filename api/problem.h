/* api/problem.h -- what was wrong with a request (RFC 9457)
 * SPDX-License-Identifier: Apache-2.0
 *
 * A zeroed struct problem is no problem. The first one set stays, so that a handler can read all
 * its parameters and look once at the end.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct problem {
    unsigned status; /* HTTP status code; 0: none */
    char field[64];  /* the parameter, header or key at fault; "" for none */
    char detail[320];
};

/* Sets the problem unless one is set. `field` may be NULL. Returns false, so that a check can
 * `return problem_set(...)`. */
bool problem_set(struct problem *problem, unsigned status, const char *field, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* The reason phrase of RFC 9110 for the codes this service uses, else "Error". */
const char *problem_title(unsigned status);

/* The members of an application/problem+json object, braces included. */
void problem_json(struct buf *buf, const struct problem *problem);
