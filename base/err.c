/* base/err.c -- one error space for the whole program
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int err;
    const char *text;
} OWN[] = {
    {0, "success"},
    {W_ESYNTAX, "the input is not of the form expected"},
    {W_ELIMIT, "a limit would be exceeded"},
    {W_EFORMAT, "the format is not known"},
    {W_EVERSION, "the index has another format version"},
    {W_EDAMAGED, "damaged"},
    {W_ELOCKED, "another process is writing this index"},
    {W_EUSAGE, "wrong usage"},
};

const char *err_str(int err)
{
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
        if (OWN[i].err == err) {
            return OWN[i].text;
        }
    }
    /* strerrordesc_np, unlike strerror, is safe in threads and keeps no buffer. */
    const char *text = err < 0 && err > -1000 ? strerrordesc_np(-err) : NULL;
    return text != NULL ? text : "unknown error";
}

int why_set(struct why *why, int err, const char *format, ...)
{
    if (why != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(why->text, sizeof(why->text), format, args);
        va_end(args);
    }
    return err;
}
