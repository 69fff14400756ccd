/* tests/support/tap_reference.h -- the dnstap decoder held against protobuf-c
 * SPDX-License-Identifier: Apache-2.0
 *
 * Used by the unit test and the fuzz target. Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Decodes `frame` with dnstap_decode and with protobuf-c. Returns true if they agree, else false
 * and `why` names the field. They may differ only so:
 * - A frame is skipped as soon as a type is read that is not indexed; what follows is not looked
 * at, and may be malformed or, in theory, another type.
 * - Where the message comes twice, protobuf-c takes a bytes field that is there and empty for
 *   absent when it merges the two. The bytes of such a message are not compared.
 */
bool tap_agrees(const uint8_t *frame, size_t len, struct why *why);
