/* tests/fuzz/fuzz_aws_vpc.c -- any lines as AWS VPC flow logs, header lines among them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flow_fuzz_lines(flow_fuzz(), &FORMAT_AWS_VPC, (const char *)data, size);
    return 0;
}
