/* tests/fuzz/fuzz_dnstap.c -- the dnstap decoder reads what protobuf-c reads
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/tap_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct why why;
    if (!tap_agrees(data, size, &why)) {
        fuzz_fail(why.text);
    }
    return 0;
}
