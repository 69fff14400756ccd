/* join/interfaces.c -- another interface, another owner
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/interfaces.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"

/* 2^16 addresses, in sets of 4 of which the one seen longest ago goes first. */
enum { SETS = 1 << 14, WAYS = 4, INTERFACES = 4 };

struct seen {
    uint64_t interface; /* hash of its name and its node's */
    int64_t last_us;    /* 0: empty */
};

struct entry {
    struct addr addr;
    int64_t last_us; /* 0: empty */
    struct seen seen[INTERFACES];
};

struct interfaces {
    struct entry entries[SETS][WAYS];
};

int interfaces_new(struct interfaces **interfaces)
{
    *interfaces = calloc(1, sizeof(**interfaces));
    return *interfaces != NULL ? 0 : -ENOMEM;
}

void interfaces_free(struct interfaces **interfaces)
{
    free(*interfaces);
    *interfaces = NULL;
}

static struct entry *entry_of(struct interfaces *interfaces, const struct addr *addr)
{
    struct entry *set = interfaces->entries[XXH3_64bits(addr->b, sizeof(addr->b)) % SETS];
    struct entry *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].last_us != 0 && addr_equal(&set[i].addr, addr)) {
            return &set[i];
        }
        oldest = set[i].last_us < oldest->last_us ? &set[i] : oldest;
    }
    *oldest = (struct entry){.addr = *addr};
    return oldest;
}

static void note(struct entry *entry, uint64_t interface, int64_t time_us)
{
    struct seen *oldest = &entry->seen[0];
    for (size_t i = 0; i < INTERFACES; i++) {
        struct seen *seen = &entry->seen[i];
        if (seen->last_us != 0 && seen->interface == interface) {
            seen->last_us = time_us > seen->last_us ? time_us : seen->last_us;
            return;
        }
        oldest = seen->last_us < oldest->last_us ? seen : oldest;
    }
    *oldest = (struct seen){interface, time_us};
}

int64_t interfaces_seen(struct interfaces *interfaces, const struct flow *flow)
{
    const struct text node = flow->source_id.node;
    int64_t time_us = flow->start_us;
    int64_t before_us = 0;
    if (flow->interface.len == 0 || !flow->has_pair || time_us == 0) {
        return 0;
    }
    /* Names of interfaces are unique to their node only. */
    uint64_t interface = XXH3_64bits_withSeed(flow->interface.data, flow->interface.len,
                                              XXH3_64bits(node.data, node.len));
    struct entry *entry = entry_of(interfaces, &flow->source);
    for (size_t i = 0; i < INTERFACES; i++) {
        const struct seen *seen = &entry->seen[i];
        if (seen->interface != interface && seen->last_us > before_us && seen->last_us <= time_us) {
            before_us = seen->last_us;
        }
    }
    note(entry, interface, time_us);
    entry->last_us = time_us > entry->last_us ? time_us : entry->last_us;
    return before_us;
}

/* ---- Over a restart ---- */

/* An entry as it is saved: the address, its time, and each interface with its time, big-endian. */
enum { SAVED_WORDS = 1 + 2 * INTERFACES, SAVED_LEN = 16 + SAVED_WORDS * sizeof(uint64_t) };

void interfaces_save(const struct interfaces *interfaces, struct buf *out)
{
    for (size_t i = 0; i < (size_t)SETS * WAYS; i++) {
        const struct entry *entry = &interfaces->entries[i / WAYS][i % WAYS];
        uint64_t words[SAVED_WORDS] = {htobe64((uint64_t)entry->last_us)};
        if (entry->last_us == 0) {
            continue;
        }
        for (size_t k = 0; k < INTERFACES; k++) {
            words[1 + 2 * k] = htobe64(entry->seen[k].interface);
            words[2 + 2 * k] = htobe64((uint64_t)entry->seen[k].last_us);
        }
        buf_add(out, entry->addr.b, sizeof(entry->addr.b));
        buf_add(out, words, sizeof(words));
    }
}

int interfaces_load(struct interfaces *interfaces, const char *data, size_t len)
{
    if (len % SAVED_LEN != 0) {
        return W_EDAMAGED;
    }
    for (size_t at = 0; at < len; at += SAVED_LEN) {
        struct addr addr;
        uint64_t words[SAVED_WORDS];
        memcpy(addr.b, data + at, sizeof(addr.b));
        memcpy(words, data + at + sizeof(addr.b), sizeof(words));
        struct entry *entry = entry_of(interfaces, &addr);
        entry->last_us = (int64_t)be64toh(words[0]);
        for (size_t k = 0; k < INTERFACES; k++) {
            entry->seen[k] =
                (struct seen){be64toh(words[1 + 2 * k]), (int64_t)be64toh(words[2 + 2 * k])};
        }
    }
    return 0;
}
