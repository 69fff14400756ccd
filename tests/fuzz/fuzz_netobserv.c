/* tests/fuzz/fuzz_netobserv.c -- any line as a NetObserv record, and any two as labels and record
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/flow_fuzz.h"

/* A line of the input that is a JSON object is also tried as the labels of the one behind it. */
static void with_labels(struct flow_fuzz *fuzz, const char *text, size_t size)
{
    const char *stop = memchr(text, '\n', size);
    if (stop == NULL) {
        return;
    }
    size_t len = (size_t)(stop - text);
    struct flow_record record = {
        .text = {stop + 1, size - len - 1}, .labels = {text, len}, .number = 1};
    if (parser_parse(fuzz->parser, &FORMAT_NETOBSERV, true, &fuzz->arena, &record) != 0) {
        fuzz_fail("no memory");
    }
    if (record.parsed == PARSED_FLOW) {
        flow_fuzz_check(&record);
        flow_fuzz_give_out(fuzz, &record);
    }
    arena_reset(&fuzz->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow_fuzz *fuzz = flow_fuzz();
    flow_fuzz_line(fuzz, &FORMAT_NETOBSERV, (const char *)data, size);
    with_labels(fuzz, (const char *)data, size);
    return 0;
}
