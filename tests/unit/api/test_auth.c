/* tests/unit/api/test_auth.c -- tokens, Host and Origin
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef-token"

static struct auth auth;

/* Reads a token file with this content. */
static int read_token(const char *content, size_t len, struct why *why)
{
    char path[] = "/tmp/token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t)len);
    close(fd);
    auth = (struct auth){0};
    int err = auth_read_token(&auth, path, why);
    unlink(path);
    return err;
}

static void the_token_is_the_first_line_without_white_space(void **state)
{
    static const char *const FILES[] = {
        TOKEN, TOKEN "\n", TOKEN "\r\n", "  \t" TOKEN " \n", TOKEN "\nanother line\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        assert_int_equal(read_token(FILES[i], strlen(FILES[i]), NULL), 0);
        assert_int_equal(auth.token_len, strlen(TOKEN));
        assert_memory_equal(auth.token, TOKEN, strlen(TOKEN));
    }
}

static void a_token_that_is_too_short_or_long_or_not_printable_is_refused(void **state)
{
    static const struct {
        const char *content;
        const char *why;
    } FILES[] = {
        {"", "0 octets"},
        {"\n" TOKEN, "0 octets"}, /* only the first line counts */
        {"0123456789abcde\n", "15 octets"},
        {"0123456789 abcdef\n", "printable"},
        {"0123456789\x01"
         "abcdef\n",
         "printable"},
        {"0123456789\xc3\xa4"
         "abcdef\n",
         "printable"},
    };
    struct why why;
    (void)state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        why.text[0] = '\0';
        assert_int_equal(read_token(FILES[i].content, strlen(FILES[i].content), &why), W_EUSAGE);
        assert_non_null(strstr(why.text, FILES[i].why));
        assert_int_equal(auth.token_len, 0);
    }
    char *longest = malloc(AUTH_TOKEN_MAX + 1);
    memset(longest, 'x', AUTH_TOKEN_MAX + 1);
    assert_int_equal(read_token(longest, AUTH_TOKEN_MAX, &why), 0);
    assert_int_equal(read_token(longest, AUTH_TOKEN_MAX + 1, &why), W_EUSAGE);
    free(longest);
    assert_int_equal(auth_read_token(&auth, "/nonexistent/token", &why), -ENOENT);
    assert_non_null(strstr(why.text, "/nonexistent/token"));
}

static void only_the_token_itself_passes(void **state)
{
    static const struct {
        const char *header;
        bool passes;
    } TESTS[] = {
        {"Bearer " TOKEN, true},
        {"bearer " TOKEN, true}, /* the scheme is case-insensitive */
        {"Bearer   " TOKEN "  ", true},
        {NULL, false},
        {"", false},
        {"Bearer", false},
        {"Bearer ", false},
        {TOKEN, false},
        {"Basic " TOKEN, false},
        {"Bearer " TOKEN "x", false},
        {"Bearer 0123456789abcdef-toke", false},
        {"Bearer x123456789abcdef-token", false},
        {"Bearer 0123456789abcdef-tokeN", false},
        {"Bearer " TOKEN "\n" TOKEN, false},
    };
    (void)state;
    assert_int_equal(read_token(TOKEN, strlen(TOKEN), NULL), 0);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        assert_int_equal(auth_bearer(&auth, TESTS[i].header), TESTS[i].passes);
    }
}

static void a_host_header_must_name_this_machine(void **state)
{
    static const struct {
        const char *host;
        bool local;
    } TESTS[] = {
        {NULL, true},
        {"localhost", true},
        {"LOCALHOST:8053", true},
        {"127.0.0.1", true},
        {"127.255.0.9:80", true},
        {"[::1]", true},
        {"[::1]:8053", true},
        {"", false},
        {"example.com", false},
        {"localhost.example.com", false},
        {"127.0.0.1.example.com", false},
        {"localhost:8053@example.com", false},
        {"localhost:", true},
        {"localhost:x", false},
        {"192.0.2.1:8053", false},
        {"[2001:db8::1]:8053", false},
        {"[::1", false},
        {"[::1]x", false},
        {"::1", false}, /* needs its brackets */
        {"128.0.0.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        assert_int_equal(auth_host_is_local(TESTS[i].host), TESTS[i].local);
    }
}

static void a_page_of_another_origin_is_recognised(void **state)
{
    static const struct {
        const char *origin;
        const char *host;
        bool cross;
    } TESTS[] = {
        {NULL, "localhost:8053", false},
        {"http://localhost:8053", "localhost:8053", false},
        {"http://LOCALHOST:8053", "localhost:8053", false},
        {"http://localhost:3000", "localhost:8053", true},
        {"https://localhost:8053", "localhost:8053", true},
        {"http://example.com", "localhost:8053", true},
        {"null", "localhost:8053", true},
        {"", "localhost:8053", true},
        {"http://localhost:8053", NULL, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        assert_int_equal(auth_is_cross_origin(TESTS[i].origin, TESTS[i].host), TESTS[i].cross);
    }
}

static void loopback_is_127_and_1_only(void **state)
{
    static const struct {
        const char *addr;
        bool loopback;
    } TESTS[] = {{"127.0.0.1", true},        {"127.9.9.9", true}, {"::1", true},
                 {"::ffff:127.0.0.1", true}, {"0.0.0.0", false},  {"::", false},
                 {"10.0.0.1", false},        {"::2", false},      {"126.255.255.255", false}};
    (void)state;
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]); i++) {
        struct addr addr;
        assert_true(addr_parse(&addr, TESTS[i].addr, strlen(TESTS[i].addr)));
        assert_int_equal(auth_is_loopback(&addr), TESTS[i].loopback);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_the_first_line_without_white_space),
        cmocka_unit_test(a_token_that_is_too_short_or_long_or_not_printable_is_refused),
        cmocka_unit_test(only_the_token_itself_passes),
        cmocka_unit_test(a_host_header_must_name_this_machine),
        cmocka_unit_test(a_page_of_another_origin_is_recognised),
        cmocka_unit_test(loopback_is_127_and_1_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
