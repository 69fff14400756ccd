/* tests/support/tls_files.h -- certificates for tests, made anew each time
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: none.
 */
#pragma once

#include <openssl/x509.h>

struct tls_identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* A certificate for the name, signed by the issuer (NULL: by itself) and good for an hour. What
 * cannot be made fails the running test. */
struct tls_identity tls_identity_new(const char *name, const struct tls_identity *issuer);
void tls_identity_free(struct tls_identity *identity);

/* Writes PEM files, replacing what is there. */
void tls_write_certificate(const struct tls_identity *identity, const char *path);
void tls_write_key(const struct tls_identity *identity, const char *path);
