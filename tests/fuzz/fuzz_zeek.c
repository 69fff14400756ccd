/* tests/fuzz/fuzz_zeek.c -- any lines as a log of Zeek, header lines among them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flow_fuzz_lines(flow_fuzz(), &FORMAT_ZEEK, (const char *)data, size);
    return 0;
}
