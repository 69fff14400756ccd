/* tests/unit/base/test_err.c -- one error space for the whole program
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    static const int CODES[] = {0,         W_ESYNTAX, W_ELIMIT, W_EFORMAT, W_EVERSION, W_EDAMAGED,
                                W_ELOCKED, W_EUSAGE,  -ENOENT,  -ENOSPC,   -ENOMEM};
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        assert_string_not_equal(err_str(CODES[i]), "unknown error");
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(err_str(CODES[i]), err_str(CODES[j]));
        }
    }
    assert_string_equal(err_str(-ENOSPC), strerror(ENOSPC));
}

static void codes_that_nobody_uses_are_unknown_errors(void **state)
{
    (void)state;
    static const int CODES[] = {1, ENOENT, -999, -1000, -1008, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        assert_string_equal(err_str(CODES[i]), "unknown error");
    }
}

static void a_reason_is_set_and_the_code_returned(void **state)
{
    (void)state;
    struct why why;
    assert_int_equal(why_set(&why, W_ESYNTAX, "line %d: %s", 3, "no colon"), W_ESYNTAX);
    assert_string_equal(why.text, "line 3: no colon");
    assert_int_equal(why_set(NULL, -ENOENT, "nobody %s", "asks"), -ENOENT);
}

static void a_reason_too_long_is_cut_and_terminated(void **state)
{
    (void)state;
    struct why why;
    char text[2 * sizeof(why.text)];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    why_set(&why, 0, "%s", text);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_sentence_of_its_own),
        cmocka_unit_test(codes_that_nobody_uses_are_unknown_errors),
        cmocka_unit_test(a_reason_is_set_and_the_code_returned),
        cmocka_unit_test(a_reason_too_long_is_cut_and_terminated),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
