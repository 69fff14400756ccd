/* join/text.h -- a piece of text
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* A piece of text that is not terminated; data is NULL where absent. */
struct text {
    const char *data;
    size_t len;
};
