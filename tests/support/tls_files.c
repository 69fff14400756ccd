/* tests/support/tls_files.c -- certificates for tests, made anew each time
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/tls_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { GOOD_FOR_S = 3600 };

struct tls_identity tls_identity_new(const char *name, const struct tls_identity *issuer)
{
    static long serial;
    struct tls_identity identity = {X509_new(), EVP_EC_gen("P-256")};
    assert_non_null(identity.certificate);
    assert_non_null(identity.key);
    X509 *certificate = identity.certificate;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -GOOD_FOR_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), GOOD_FOR_S);
    X509_set_pubkey(certificate, identity.key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    if (issuer == NULL) {
        X509_EXTENSION *authority =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        assert_int_equal(X509_add_ext(certificate, authority, -1), 1);
        X509_EXTENSION_free(authority);
    }
    X509_set_issuer_name(certificate,
                         issuer != NULL ? X509_get_subject_name(issuer->certificate) : subject);
    assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : identity.key, EVP_sha256()) >
                0);
    return identity;
}

void tls_identity_free(struct tls_identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    *identity = (struct tls_identity){NULL, NULL};
}

void tls_write_certificate(const struct tls_identity *identity, const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
    fclose(file);
}

void tls_write_key(const struct tls_identity *identity, const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}
