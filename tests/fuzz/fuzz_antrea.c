/* tests/fuzz/fuzz_antrea.c -- any line as a record of antrea and antrea-s3, and what is given out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow_fuzz *fuzz = flow_fuzz();
    struct text line = {(const char *)data, size};
    if (FORMAT_ANTREA.score(fuzz->parser, line) > 0 &&
        FORMAT_ANTREA_S3.score(fuzz->parser, line) > 0) {
        fuzz_fail("a line is of both forms");
    }
    flow_fuzz_line(fuzz, &FORMAT_ANTREA, line.data, line.len);
    flow_fuzz_line(fuzz, &FORMAT_ANTREA_S3, line.data, line.len);
    return 0;
}
