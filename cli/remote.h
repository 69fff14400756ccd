/* cli/remote.h -- a client of another process's HTTP service (--server URL)
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a command can ask of its own index it can ask of a service instead: the bodies are the same.
 * Connections are kept between calls. Redirects are not followed, so that the token goes nowhere
 * else. An answer that is a problem (RFC 9457) becomes an error with its detail in `why`.
 *
 * Threads: one client belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct remote;

/* `server` is http://HOST[:PORT][/PREFIX] or https://…, without a trailing '/'; `token_file` may be
 * NULL. Both are read before the call returns. Returns 0, or -ENOMEM, -errno or W_EUSAGE with the
 * reason in `why`. */
int remote_new(struct remote **remote, const char *server, const char *token_file, struct why *why);
void remote_free(struct remote **remote);

/* Where the body of a request comes from: writes up to `cap` bytes and returns how many, 0 at the
 * end, or a negative error, which ends the call. */
typedef ssize_t (*remote_read_fn)(void *ctx, char *bytes, size_t cap);
/* Where the body of a good answer goes, piece by piece: returns 0 or a negative error, which ends
 * the call. */
typedef int (*remote_write_fn)(void *ctx, const char *bytes, size_t len);

/* Both return 0; W_ESYNTAX for an answer 400, 413 or 414 (what was asked is wrong); -EACCES for 401
 * or 403; -EAGAIN for 429 or 503; -EIO for any other; the error of a callback; or, where there was
 * no answer, -ECONNREFUSED, -ETIMEDOUT, -ENOMEM or -EIO. `target` is the path with its query, from
 * '/' on. */

/* Appends the answer to `body`. */
int remote_get(struct remote *remote, const char *target, struct buf *body, struct why *why);
/* Sends what `read` gives, of media type `type`, as it comes. */
int remote_post(struct remote *remote, const char *target, const char *type, remote_read_fn read,
                void *read_ctx, remote_write_fn write, void *write_ctx, struct why *why);

/* Appends `text`, percent-encoded for a path segment or a query value (RFC 3986 section 2.3). */
void remote_escape(struct buf *target, const char *text, size_t len);
