/* tests/fuzz/fuzz_kernel_log.c -- any line as a kernel LOG line, in each of its wrappers
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first octet says how the rest is read: by one of the formats, or as a Loki document that
 * comes in pieces.
 */
#include "join/loki.h"
#include "tests/fuzz/flow_fuzz.h"

static uint64_t add(uint64_t sum, struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        sum = sum * 31 + (unsigned char)text.data[i];
    }
    return sum * 31 + text.len;
}

/* The document whole and in pieces must give the same entries with the same labels, which are then
 * parsed. */
static uint64_t read_document(struct flow_fuzz *fuzz, const char *text, size_t len, size_t step)
{
    struct loki loki;
    struct text entry;
    enum loki_event event = LOKI_AGAIN;
    uint64_t sum = 0;
    loki_init(&loki);
    for (size_t at = 0; at < len && event != LOKI_ERROR; at += step) {
        loki_push(&loki, text + at, len - at < step ? len - at : step);
        while ((event = loki_next(&loki, &entry)) == LOKI_ENTRY) {
            sum = add(add(sum, entry), loki_labels(&loki));
            flow_fuzz_line(fuzz, &FORMAT_LOKI, entry.data, entry.len);
        }
    }
    sum = sum * 2 + (event == LOKI_ERROR);
    loki_fini(&loki);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct format *const BY_OCTET[] = {&FORMAT_KERNEL_LOG, &FORMAT_JOURNAL,
                                                    &FORMAT_LOKI, &FORMAT_LOGCLI};
    struct flow_fuzz *fuzz = flow_fuzz();
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    uint8_t way = (uint8_t)(data[0] - '0');
    if (way < 4) {
        flow_fuzz_line(fuzz, BY_OCTET[way], text, size - 1);
    } else if (size > 1 && read_document(fuzz, text, size - 1, size - 1) !=
                               read_document(fuzz, text, size - 1, 1 + way % 7)) {
        fuzz_fail("a document in pieces gave other entries");
    }
    return 0;
}
