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
 * - A frame is skipped as soon as the first type of its first message is one not indexed; what
 *   follows is not looked at, and may be malformed or, in theory, another type.
 * - protobuf-c takes field number 0, which protobuf forbids; dnstap_decode does not.
 */
bool tap_agrees(const uint8_t *frame, size_t len, struct why *why);
