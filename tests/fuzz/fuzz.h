/* tests/fuzz/fuzz.h -- what every fuzz target shares
 * SPDX-License-Identifier: Apache-2.0
 *
 * The names are libFuzzer's. A target has LLVMFuzzerTestOneInput and, if it knows better than
 * libFuzzer how to make inputs, LLVMFuzzerCustomMutator. See README.md for how to add one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Tries one input. Returns 0; ends the program where something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Changes `data` in place, which has room for `max_size` octets. Returns the new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
/* libFuzzer's own changes. Weak, because the replay program is linked without libFuzzer. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Ends the program with a reason, as a finding. */
__attribute__((noreturn)) static inline void fuzz_fail(const char *reason)
{
    fprintf(stderr, "finding: %s\n", reason);
    abort();
}

/* xorshift64*, for choices that must depend on the input or the seed alone. */
static inline uint32_t fuzz_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1dULL) >> 32);
}
