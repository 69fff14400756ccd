/* base/counters.c -- the numbers an operator sees
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/counters.h"

#include <stdatomic.h>

static const struct counter_info INFO[COUNTER_COUNT] = {
#define X(id, name, labels, gauge, help) {name, labels, gauge, help},
    COUNTERS(X)
#undef X
};

static atomic_uint_fast64_t values[COUNTER_COUNT];

const struct counter_info *counter_info(enum counter counter)
{
    return &INFO[counter];
}

void counter_add(enum counter counter, uint64_t amount)
{
    if (amount != 0) {
        atomic_fetch_add_explicit(&values[counter], amount, memory_order_relaxed);
    }
}

void counter_sub(enum counter counter, uint64_t amount)
{
    atomic_fetch_sub_explicit(&values[counter], amount, memory_order_relaxed);
}

void counter_set(enum counter counter, uint64_t value)
{
    atomic_store_explicit(&values[counter], value, memory_order_relaxed);
}

uint64_t counter_get(enum counter counter)
{
    return atomic_load_explicit(&values[counter], memory_order_relaxed);
}
