/* join/huge.h -- large pages for memory that is read here and there
 * SPDX-License-Identifier: Apache-2.0
 *
 * A table of some megabytes in pages of 4 KiB costs a walk through the page tables for nearly every
 * look, which takes longer than the look itself, above all on a virtual machine.
 *
 * Threads: stateless.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* Asks the kernel for large pages; nothing happens where it has none to give. */
static inline void huge_pages(void *memory, size_t len)
{
    const uintptr_t page = 4096;
    uintptr_t from = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)memory + len) / page * page;
    if (from < to) {
        madvise((void *)from, to - from, MADV_HUGEPAGE);
    }
}
