/* collector/tls.h -- TLS for dnstap: octets in, octets out, no I/O
 * SPDX-License-Identifier: Apache-2.0
 *
 * The receiving side of TLS 1.2 and 1.3 by OpenSSL, between a socket and the Frame Streams decoder.
 * Certificate, key and the authorities of client certificates are files that may be replaced while
 * the service runs: connections made from then on use the new ones; what cannot be used is told of
 * and leaves the former in place. No secret is ever part of a message.
 *
 * Memory: what was pushed and not read, which is at most what one push holds, and what is to be
 * sent, which is handshakes and a few octets.
 *
 * Threads: a server and its sessions belong to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tls_files {
    const char *certificate; /* PEM: the certificate, then those that lead to its authority */
    const char *key;         /* PEM: its private key */
    const char *clients;     /* PEM: authorities of client certificates, which are then required;
                                NULL: clients need none */
};

struct tls_server;

/* `files` is copied. Returns 0; W_EUSAGE where a file cannot be read, holds nothing usable, or the
 * key is not the certificate's; -ENOMEM. `why` names the file. */
int tls_server_new(struct tls_server **server, const struct tls_files *files, struct why *why);
/* Sessions must have been freed. NULL is fine. */
void tls_server_free(struct tls_server **server);

/* Loads the files anew if one of them changed since they were looked at last. Returns 1 if they are
 * now in use, 0 if nothing changed, or an error as tls_server_new, once for each change: the former
 * files stay in use. */
int tls_server_refresh(struct tls_server *server, struct why *why);

struct tls;

/* A session for one accepted connection. Returns 0 or -ENOMEM. */
int tls_new(struct tls **tls, struct tls_server *server);
void tls_free(struct tls **tls);

/* Takes what came from the socket; all of it. Returns 0 or -ENOMEM. tls_read is to follow until it
 * returns no more. */
int tls_push(struct tls *tls, const uint8_t *octets, size_t len);

/* Gives out up to `cap` octets of what the peer said. Returns how many; 0 if more must be pushed;
 * -EPIPE where the peer ended the session properly; W_EFORMAT with a reason where this is no TLS,
 * or no acceptable one (a client certificate that is missing or wrong). */
int64_t tls_read(struct tls *tls, uint8_t *out, size_t cap, struct why *why);

/* Says something to the peer. Legal once something was read. Returns 0 or -ENOMEM. */
int tls_write(struct tls *tls, const uint8_t *octets, size_t len);
/* Nothing more will be said. */
void tls_end(struct tls *tls);

/* What is to be sent to the socket, and how much of it was. The octets are good until the next call
 * of another function of the session. */
size_t tls_outgoing(struct tls *tls, const uint8_t **octets);
void tls_sent(struct tls *tls, size_t len);
