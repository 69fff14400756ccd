/* tests/fuzz/fuzz_hubble.c -- any line as a Hubble record, and what is given out of it
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow_fuzz *fuzz = flow_fuzz();
    fuzz->parser->bare = false;
    flow_fuzz_line(fuzz, &FORMAT_HUBBLE, (const char *)data, size);
    return 0;
}
