/* tests/fuzz/fuzz_container_log.c -- any line as a container's log, and what any format finds in it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct format *format = size > 0 && data[0] == '{' ? &FORMAT_DOCKER : &FORMAT_CRI;
    flow_fuzz_line(flow_fuzz(), format, (const char *)data, size);
    return 0;
}
