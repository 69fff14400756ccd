/* collector/tls.c -- TLS for dnstap: octets in, octets out, no I/O
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CERTIFICATE, KEY, CLIENTS, FILES };

/* When a file was last written, so that a replaced one is noticed. */
struct stamp {
    struct timespec written;
    ino_t inode;
    off_t size;
};

struct tls_server {
    SSL_CTX *context; /* sessions hold references of their own */
    char *paths[FILES];
    struct stamp stamps[FILES];
};

struct tls {
    SSL *ssl;
    BIO *in;  /* of ssl */
    BIO *out; /* of ssl */
};

/* The latest reason OpenSSL gives, and an empty queue of them. */
static const char *reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;
    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

/* ---- Certificates ---- */

static void take_stamp(const char *path, struct stamp *stamp)
{
    struct stat st;
    *stamp = (struct stamp){0};
    if (path != NULL && stat(path, &st) == 0) {
        *stamp = (struct stamp){st.st_mtim, st.st_ino, st.st_size};
    }
}

/* True if a file is not what it was, which is then what it is. */
static bool changed(struct tls_server *server)
{
    bool any = false;
    for (int i = 0; i < FILES; i++) {
        struct stamp now;
        take_stamp(server->paths[i], &now);
        any |= memcmp(&now, &server->stamps[i], sizeof(now)) != 0;
        server->stamps[i] = now;
    }
    return any;
}

static int load_clients(SSL_CTX *context, const char *path, struct why *why)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (names == NULL || SSL_CTX_load_verify_locations(context, path, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return why_set(why, W_EUSAGE, "%s: expected certificates of authorities in PEM: %s", path,
                       reason());
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int load_files(SSL_CTX *context, char *const *paths, struct why *why)
{
    if (SSL_CTX_use_certificate_chain_file(context, paths[CERTIFICATE]) != 1) {
        return why_set(why, W_EUSAGE, "%s: expected a certificate in PEM: %s", paths[CERTIFICATE],
                       reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, paths[KEY], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return why_set(why, W_EUSAGE, "%s: expected the private key of %s in PEM: %s", paths[KEY],
                       paths[CERTIFICATE], reason());
    }
    return paths[CLIENTS] != NULL ? load_clients(context, paths[CLIENTS], why) : 0;
}

static int make_context(SSL_CTX **out, char *const *paths, struct why *why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return -ENOMEM;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* Nobody resumes a session that lasts for days, and a ticket would outlive its certificate. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    int err = load_files(context, paths, why);
    if (err != 0) {
        SSL_CTX_free(context);
        return err;
    }
    *out = context;
    return 0;
}

int tls_server_new(struct tls_server **out, const struct tls_files *files, struct why *why)
{
    const char *paths[FILES] = {files->certificate, files->key, files->clients};
    struct tls_server *server = calloc(1, sizeof(*server));
    int err = server == NULL ? -ENOMEM : 0;
    *out = NULL;
    for (int i = 0; i < FILES && err == 0; i++) {
        server->paths[i] = paths[i] != NULL ? strdup(paths[i]) : NULL;
        err = paths[i] != NULL && server->paths[i] == NULL ? -ENOMEM : 0;
    }
    if (err == 0) {
        changed(server);
        err = make_context(&server->context, server->paths, why);
    }
    if (err != 0) {
        tls_server_free(&server);
        return err;
    }
    *out = server;
    return 0;
}

void tls_server_free(struct tls_server **out)
{
    struct tls_server *server = *out;
    if (server == NULL) {
        return;
    }
    SSL_CTX_free(server->context);
    for (int i = 0; i < FILES; i++) {
        free(server->paths[i]);
    }
    free(server);
    *out = NULL;
}

int tls_server_refresh(struct tls_server *server, struct why *why)
{
    SSL_CTX *context;
    if (!changed(server)) {
        return 0;
    }
    int err = make_context(&context, server->paths, why);
    if (err != 0) {
        return err;
    }
    SSL_CTX_free(server->context);
    server->context = context;
    return 1;
}

/* ---- Sessions ---- */

int tls_new(struct tls **out, struct tls_server *server)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    *out = NULL;
    if (tls == NULL) {
        return -ENOMEM;
    }
    tls->ssl = SSL_new(server->context);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        free(tls);
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_accept_state(tls->ssl);
    *out = tls;
    return 0;
}

void tls_free(struct tls **tls)
{
    if (*tls != NULL) {
        SSL_free((*tls)->ssl);
        free(*tls);
        *tls = NULL;
    }
}

int tls_push(struct tls *tls, const uint8_t *octets, size_t len)
{
    size_t done = 0;
    return BIO_write_ex(tls->in, octets, len, &done) == 1 && done == len ? 0 : -ENOMEM;
}

int64_t tls_read(struct tls *tls, uint8_t *out, size_t cap, struct why *why)
{
    size_t got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, out, cap, &got);
    if (result == 1) {
        return (int64_t)got;
    }
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -EPIPE;
    default:
        return why_set(why, W_EFORMAT, "not acceptable TLS: %s", reason());
    }
}

int tls_write(struct tls *tls, const uint8_t *octets, size_t len)
{
    size_t done = 0;
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, octets, len, &done);
    ERR_clear_error();
    return result == 1 && done == len ? 0 : -ENOMEM;
}

void tls_end(struct tls *tls)
{
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

size_t tls_outgoing(struct tls *tls, const uint8_t **octets)
{
    char *data = NULL;
    long len = BIO_get_mem_data(tls->out, &data);
    *octets = (const uint8_t *)data;
    return len > 0 ? (size_t)len : 0;
}

void tls_sent(struct tls *tls, size_t len)
{
    uint8_t gone[4096];
    while (len > 0) {
        size_t part = len < sizeof(gone) ? len : sizeof(gone);
        size_t done = 0;
        if (BIO_read_ex(tls->out, gone, part, &done) != 1 || done == 0) {
            return;
        }
        len -= done;
    }
}
