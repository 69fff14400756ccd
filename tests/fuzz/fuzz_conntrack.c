/* tests/fuzz/fuzz_conntrack.c -- any line as an event of conntrack
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flow_fuzz_line(flow_fuzz(), &FORMAT_CONNTRACK, (const char *)data, size);
    return 0;
}
