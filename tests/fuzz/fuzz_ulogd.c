/* tests/fuzz/fuzz_ulogd.c -- any line as a connection of ulogd
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flow_fuzz_line(flow_fuzz(), &FORMAT_ULOGD, (const char *)data, size);
    return 0;
}
