/* join/json_items.h -- the elements of a JSON array that json_parse found
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pointers (join/json.h) name members that are known beforehand; this walks lists, whose length is
 * the sender's. It reads what json_parse has checked, and never beyond the array's text.
 *
 * Threads: a walk belongs to one thread at a time.
 */
#pragma once

#include "join/json.h"

struct json_items {
    const char *at;
    const char *end;
};

/* Begins a walk; one over anything but an array has no elements. */
struct json_items json_items(const struct json_value *array);
/* The next element; false at the end. */
bool json_items_next(struct json_items *items, struct json_value *item);
