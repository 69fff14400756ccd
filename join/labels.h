/* join/labels.h -- labels and selectors of Kubernetes as text
 * SPDX-License-Identifier: Apache-2.0
 *
 * "key=value\n" for each, ascending: equal sets have equal text, and whether a selector selects is
 * one walk over both.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>

#include "join/arena.h"

#define LABELS_MAX 64 /* of one object; an object with more has none */

/* The members of a JSON object that are texts, as labels, in `arena`. data is NULL where there are
 * none, too many, one with an escape (no label has one), or memory is short. */
struct text labels_of_json(struct arena *arena, struct text json);

/* The value of a key, data NULL if absent. */
struct text labels_get(struct text labels, const char *key);

/* Are all of the selector's among the labels? An empty selector selects nothing. */
bool labels_select(struct text selector, struct text labels);
