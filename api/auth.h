/* api/auth.h -- who may ask
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two ways, never both off: a bearer token (RFC 6750), or, on a loopback address without one, the
 * rule that the request was made for this machine, which keeps foreign web pages out (DNS
 * rebinding, cross-site requests).
 *
 * Threads: everything here is read only once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"

#define AUTH_TOKEN_MAX 4096

struct auth {
    size_t token_len; /* 0: no token is asked for */
    char token[AUTH_TOKEN_MAX];
};

/* 127.0.0.0/8 or ::1. */
bool auth_is_loopback(const struct addr *addr);

/* Reads the first line of the file, without the white space around it. Returns 0, -errno, or
 * W_EUSAGE where the token is shorter than API_TOKEN_MIN octets, longer than AUTH_TOKEN_MAX, or
 * holds anything but printable ASCII without spaces. */
int auth_read_token(struct auth *auth, const char *path, struct why *why);

/* Is this the value of an Authorization header that carries the token? Takes the same time wherever
 * a wrong token differs. `header` may be NULL. */
bool auth_bearer(const struct auth *auth, const char *header);

/* Does the Host header name this machine: localhost, or a loopback address, with any port? An
 * absent one (NULL) passes, because every browser sends it. */
bool auth_host_is_local(const char *host);

/* Does the request come from a page of another origin (RFC 6454)? `origin` and `host` are the
 * headers, NULL where absent. */
bool auth_is_cross_origin(const char *origin, const char *host);
