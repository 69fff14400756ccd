/* tests/fuzz/fuzz_calico_ebpf.c -- any line as a record of calico_ebpf, and what is given out of it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flow_fuzz_line(flow_fuzz(), &FORMAT_CALICO_EBPF, (const char *)data, size);
    return 0;
}
