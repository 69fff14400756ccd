/* tests/support/api_fixture.h -- a small index, an HTTP service over it, and a plain client
 * SPDX-License-Identifier: Apache-2.0
 *
 * The index is made through the writer's calls in a temporary directory and holds, in the cluster
 * "default", at FIXTURE_T_US (2026-05-22T10:00:00Z) and after it:
 *
 *   +0 s  10.0.0.7 asked api.example.com, TTL 60: 192.0.2.10, 192.0.2.11
 *   +1 s  10.0.0.7 asked www.example.net, TTL 300: edge.example.org, 198.51.100.7
 *   +2 s  10.0.0.8 asked api.example.com, TTL 60: 192.0.2.10, 192.0.2.11
 *   +3 s  2001:db8::7 asked six.example.com, TTL 60: 2001:db8:1::1
 *   +10 s .. +59 s  10.0.0.9 asked n10.list.example.com .. n59.list.example.com: 203.0.113.10 ..
 * .59
 *
 * One stream of the sender "dns-1" covers -2 h to +1 h and was stopped.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/http.h"
#include "store/store.h"

#define FIXTURE_T_US (INT64_C(1779444000) * 1000000)

struct api_fixture {
    char dir[64];
    struct store *store;
    struct api *api;
    uint16_t port;
};

/* Opens the index. Every failure ends the test program. */
void api_fixture_open(struct api_fixture *fixture);
/* Options for this index on a free loopback port. */
struct api_options api_fixture_options(const struct api_fixture *fixture);
/* Starts the service, which must succeed. */
void api_fixture_start(struct api_fixture *fixture, const struct api_options *options);
/* Stops the service and removes the index. */
void api_fixture_close(struct api_fixture *fixture);

/* What came back. */
struct reply {
    int status; /* 0: the connection ended without a status line */
    char *text; /* everything, terminated */
    size_t len;
    char *headers; /* from the first header line on, terminated; part of `text` */
    char *body;    /* terminated; chunked transfer coding is taken off */
    size_t body_len;
};
void reply_free(struct reply *reply);
/* The value of a header, "" where absent; lives until the next call. */
const char *reply_header(const struct reply *reply, const char *name);

/* Connects to the port on 127.0.0.1. */
int client_connect(uint16_t port);
void client_send(int fd, const char *bytes, size_t len);
/* Reads until the service closes the connection (10 s at most), then closes the socket. */
struct reply client_finish(int fd);
/* One request as it is, then client_finish. */
struct reply client_raw(uint16_t port, const char *bytes, size_t len);
/* A request with "Host: localhost" and "Connection: close". `headers` (each with CRLF) and `body`
 * may be NULL; a body gets its Content-Length. */
struct reply client_ask(uint16_t port, const char *method, const char *target, const char *headers,
                        const char *body);
