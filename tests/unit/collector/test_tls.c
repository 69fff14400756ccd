/* tests/unit/collector/test_tls.c -- TLS for dnstap, against OpenSSL's client
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "tests/support/store_fixture.h"
#include "tests/support/tls_files.h"

/* A folder with a server's files, and an authority for clients. */
struct place {
    char dir[64];
    char certificate[96];
    char key[96];
    char clients[96];
    struct tls_identity server;
    struct tls_identity authority;
};

static void make_place(struct place *place)
{
    fixture_dir(place->dir);
    snprintf(place->certificate, sizeof(place->certificate), "%s/tls.crt", place->dir);
    snprintf(place->key, sizeof(place->key), "%s/tls.key", place->dir);
    snprintf(place->clients, sizeof(place->clients), "%s/clients.crt", place->dir);
    place->server = tls_identity_new("server", NULL);
    place->authority = tls_identity_new("authority", NULL);
    tls_write_certificate(&place->server, place->certificate);
    tls_write_key(&place->server, place->key);
    tls_write_certificate(&place->authority, place->clients);
}

static void remove_place(struct place *place)
{
    tls_identity_free(&place->server);
    tls_identity_free(&place->authority);
    fixture_remove(place->dir);
}

/* A session with OpenSSL's client at its other end. */
struct pair {
    struct tls_server *server;
    struct tls *tls;
    SSL_CTX *context;
    SSL *client;
};

static void open_pair(struct pair *pair, struct tls_server *server,
                      const struct tls_identity *identity)
{
    *pair = (struct pair){.server = server, .context = SSL_CTX_new(TLS_client_method())};
    if (identity != NULL) {
        SSL_CTX_use_certificate(pair->context, identity->certificate);
        SSL_CTX_use_PrivateKey(pair->context, identity->key);
    }
    pair->client = SSL_new(pair->context);
    SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(pair->client);
    assert_int_equal(tls_new(&pair->tls, server), 0);
}

static void close_pair(struct pair *pair)
{
    tls_free(&pair->tls);
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
}

/* Moves what each side has to send to the other, `step` octets at a time. Returns what tls_read
 * said last; what it gave out is appended to `said`. */
static int64_t move(struct pair *pair, size_t step, char *said, struct why *why)
{
    int64_t result = 0;
    for (int idle = 0; idle < 2 && result >= 0;) {
        uint8_t octets[4096];
        const uint8_t *outgoing;
        size_t got = 0;
        idle++;
        if (BIO_read_ex(SSL_get_wbio(pair->client), octets, step, &got) == 1 && got > 0) {
            assert_int_equal(tls_push(pair->tls, octets, got), 0);
            idle = 0;
        }
        while ((result = tls_read(pair->tls, octets, sizeof(octets), why)) > 0) {
            strncat(said, (char *)octets, (size_t)result);
        }
        size_t len = tls_outgoing(pair->tls, &outgoing);
        if (len > 0) {
            size_t done;
            len = len < step ? len : step;
            BIO_write_ex(SSL_get_rbio(pair->client), outgoing, len, &done);
            tls_sent(pair->tls, len);
            idle = 0;
        }
        if (!SSL_is_init_finished(pair->client)) {
            SSL_do_handshake(pair->client);
        }
    }
    return result;
}

static struct tls_server *open_server(const struct place *place, bool clients)
{
    struct why why = {""};
    struct tls_server *server;
    const struct tls_files files = {place->certificate, place->key,
                                    clients ? place->clients : NULL};
    assert_int_equal(tls_server_new(&server, &files, &why), 0);
    return server;
}

static void what_a_client_says_arrives_however_it_is_cut(void **state)
{
    static const size_t STEPS[] = {1, 7, 1000, 4096};
    struct place place;
    (void)state;
    make_place(&place);
    struct tls_server *server = open_server(&place, false);
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct pair pair;
        char said[64] = "";
        char answer[16] = "";
        struct why why = {""};
        open_pair(&pair, server, NULL);
        SSL_do_handshake(pair.client);
        assert_int_equal(move(&pair, STEPS[i], said, &why), 0);
        assert_true(SSL_is_init_finished(pair.client));
        assert_int_equal(SSL_write(pair.client, "READY", 5), 5);
        assert_int_equal(SSL_write(pair.client, "START", 5), 5);
        assert_int_equal(move(&pair, STEPS[i], said, &why), 0);
        assert_string_equal(said, "READYSTART");
        assert_int_equal(tls_write(pair.tls, (const uint8_t *)"ACCEPT", 6), 0);
        assert_int_equal(move(&pair, STEPS[i], said, &why), 0);
        assert_int_equal(SSL_read(pair.client, answer, sizeof(answer)), 6);
        assert_string_equal(answer, "ACCEPT");
        SSL_shutdown(pair.client);
        assert_int_equal(move(&pair, STEPS[i], said, &why), -EPIPE);
        close_pair(&pair);
    }
    tls_server_free(&server);
    remove_place(&place);
}

static void a_client_without_the_right_certificate_is_refused(void **state)
{
    struct place place;
    (void)state;
    make_place(&place);
    struct tls_identity right = tls_identity_new("dns-1", &place.authority);
    struct tls_identity wrong = tls_identity_new("stranger", NULL);
    const struct {
        const struct tls_identity *identity;
        bool good;
    } CASES[] = {{&right, true}, {&wrong, false}, {NULL, false}};
    struct tls_server *server = open_server(&place, true);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct pair pair;
        char said[64] = "";
        struct why why = {""};
        open_pair(&pair, server, CASES[i].identity);
        SSL_do_handshake(pair.client);
        int64_t result = move(&pair, 4096, said, &why);
        assert_int_equal(result, CASES[i].good ? 0 : W_EFORMAT);
        assert_int_equal(why.text[0] != '\0', !CASES[i].good);
        close_pair(&pair);
    }
    tls_server_free(&server);
    tls_identity_free(&right);
    tls_identity_free(&wrong);
    remove_place(&place);
}

static void what_is_no_tls_is_refused_with_a_reason(void **state)
{
    static const char *const INPUTS[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\xff\xff a record longer than any may be",
    };
    struct place place;
    (void)state;
    make_place(&place);
    struct tls_server *server = open_server(&place, false);
    for (size_t i = 0; i < sizeof(INPUTS) / sizeof(INPUTS[0]); i++) {
        struct tls *tls;
        uint8_t out[64];
        struct why why = {""};
        assert_int_equal(tls_new(&tls, server), 0);
        assert_int_equal(tls_push(tls, (const uint8_t *)INPUTS[i], strlen(INPUTS[i])), 0);
        assert_int_equal(tls_read(tls, out, sizeof(out), &why), W_EFORMAT);
        assert_non_null(strstr(why.text, "not acceptable TLS: "));
        tls_free(&tls);
    }
    tls_server_free(&server);
    remove_place(&place);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    struct place place;
    struct tls_server *server;
    (void)state;
    make_place(&place);
    struct tls_identity other = tls_identity_new("other", NULL);
    char other_key[96], none[96];
    snprintf(other_key, sizeof(other_key), "%s/other.key", place.dir);
    snprintf(none, sizeof(none), "%s/none", place.dir);
    tls_write_key(&other, other_key);
    const struct {
        struct tls_files files;
        const char *named;
    } CASES[] = {
        {{none, place.key, NULL}, none},
        {{place.key, place.key, NULL}, place.key},
        {{place.certificate, none, NULL}, none},
        {{place.certificate, other_key, NULL}, other_key},
        {{place.certificate, place.key, none}, none},
        {{place.certificate, place.key, place.key}, place.key},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct why why = {""};
        assert_int_equal(tls_server_new(&server, &CASES[i].files, &why), W_EUSAGE);
        assert_null(server);
        assert_int_equal(strncmp(why.text, CASES[i].named, strlen(CASES[i].named)), 0);
    }
    tls_identity_free(&other);
    remove_place(&place);
}

/* The name in the certificate that a new client is shown. */
static void shown(struct tls_server *server, char *name, size_t room)
{
    struct pair pair;
    char said[8] = "";
    struct why why = {""};
    open_pair(&pair, server, NULL);
    SSL_do_handshake(pair.client);
    assert_int_equal(move(&pair, 4096, said, &why), 0);
    X509 *certificate = SSL_get1_peer_certificate(pair.client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, (int)room);
    X509_free(certificate);
    close_pair(&pair);
}

static void a_certificate_is_replaced_while_running_unless_it_is_wrong(void **state)
{
    struct place place;
    struct why why = {""};
    char name[32];
    (void)state;
    make_place(&place);
    struct tls_identity next = tls_identity_new("next", NULL);
    struct tls_server *server = open_server(&place, false);
    assert_int_equal(tls_server_refresh(server, &why), 0);
    shown(server, name, sizeof(name));
    assert_string_equal(name, "server");
    /* The new certificate is there, its key not yet. */
    unlink(place.certificate);
    tls_write_certificate(&next, place.certificate);
    assert_int_equal(tls_server_refresh(server, &why), W_EUSAGE);
    assert_non_null(strstr(why.text, "tls.key"));
    assert_int_equal(tls_server_refresh(server, &why), 0); /* said once */
    shown(server, name, sizeof(name));
    assert_string_equal(name, "server");
    unlink(place.key);
    tls_write_key(&next, place.key);
    assert_int_equal(tls_server_refresh(server, &why), 1);
    shown(server, name, sizeof(name));
    assert_string_equal(name, "next");
    /* It vanishes. */
    unlink(place.key);
    assert_int_equal(tls_server_refresh(server, &why), W_EUSAGE);
    shown(server, name, sizeof(name));
    assert_string_equal(name, "next");
    tls_server_free(&server);
    tls_identity_free(&next);
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_says_arrives_however_it_is_cut),
        cmocka_unit_test(a_client_without_the_right_certificate_is_refused),
        cmocka_unit_test(what_is_no_tls_is_refused_with_a_reason),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
        cmocka_unit_test(a_certificate_is_replaced_while_running_unless_it_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
