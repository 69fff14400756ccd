/* tests/support/alloc.c -- allocations that fail on demand
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_size_t fail_at;
static atomic_size_t count;
static atomic_size_t failures;

void alloc_fail_at(size_t n)
{
    atomic_store(&count, 0);
    atomic_store(&failures, 0);
    atomic_store(&fail_at, n);
}

size_t alloc_count(void)
{
    return atomic_load(&count);
}

size_t alloc_failed(void)
{
    return atomic_load(&failures);
}

static bool refused(void)
{
    size_t number = atomic_fetch_add(&count, 1) + 1;
    if (number != atomic_load(&fail_at)) {
        return false;
    }
    atomic_fetch_add(&failures, 1);
    return true;
}

/* The linker makes these names for --wrap. Weak, because fuzz targets and benchmarks link this file
 * without it and never call it. */
__attribute__((weak)) void *__real_malloc(size_t size);
__attribute__((weak)) void *__real_calloc(size_t number, size_t size);
__attribute__((weak)) void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t number, size_t size)
{
    return refused() ? NULL : __real_calloc(number, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return refused() ? NULL : __real_realloc(old, size);
}
