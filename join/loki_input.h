/* join/loki_input.h -- Loki as an input: the pages of loki_pull.h over HTTP
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as the input.
 */
#pragma once

#include "join/loki_pull.h"
#include "join/source.h"

/* HTTP for loki_pull: libcurl, one connection, with what the source says of user, token and tenant.
 * Nothing of these is ever part of a message. Redirects are not followed. */
struct loki_http;
/* `source` is borrowed until loki_http_free. Returns 0, -errno where the token file cannot be read,
 * -ENOMEM. */
int loki_http_new(struct loki_http **http, const struct loki_source *source, struct why *why);
void loki_http_free(struct loki_http **http);
struct loki_fetch loki_http_fetch(struct loki_http *http);
/* Breaks off what is under way, and lets everything fail from then on. From any thread. NULL is
 * fine. */
void loki_http_abort(struct loki_http *http);

/* Opens a SOURCE of the form loki:URL?query=... as an input that ends at its `to`, or now. Nothing
 * is asked yet. Returns 0 or what loki_source_parse and loki_http_new do. */
int loki_input_open(struct input **input, const char *text, struct why *why);
