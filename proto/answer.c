/* proto/answer.c -- one DNS answer as canonical bytes
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proto/answer.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"

/* Octets of an address. */
enum { V4 = 4, V6 = 16 };

/* Length of the wire name at `bytes`, which are not trusted; 0 if there is none. */
static size_t checked_name_len(const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    size_t max = len < NAME_WIRE_MAX ? len : NAME_WIRE_MAX;
    while (at < max) {
        if (bytes[at] == 0) {
            return at + 1;
        }
        if (bytes[at] > 63) {
            return 0;
        }
        at += 1u + bytes[at];
    }
    return 0;
}

static uint64_t be64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

/* Compares two addresses of `size` octets; numbers beat memcmp for lengths known when compiling. */
static inline __attribute__((always_inline)) int compare(const uint8_t *a, const uint8_t *b,
                                                         size_t size)
{
    if (size == V4) {
        uint32_t x, y;
        memcpy(&x, a, V4);
        memcpy(&y, b, V4);
        x = be32toh(x);
        y = be32toh(y);
        return (x > y) - (x < y);
    }
    uint64_t x = be64(a), y = be64(b);
    if (x == y) {
        x = be64(a + 8);
        y = be64(b + 8);
    }
    return (x > y) - (x < y);
}

static inline __attribute__((always_inline)) bool ascending(const uint8_t *addrs, size_t count,
                                                            size_t size)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(addrs + (i - 1) * size, addrs + i * size, size) >= 0) {
            return false;
        }
    }
    return true;
}

static inline __attribute__((always_inline)) void insertion_sort(uint8_t *addrs, size_t count,
                                                                 size_t size)
{
    for (size_t i = 1; i < count; i++) {
        uint8_t moving[V6];
        memcpy(moving, addrs + i * size, size);
        size_t to = i;
        while (to > 0 && compare(moving, addrs + (to - 1) * size, size) < 0) {
            memcpy(addrs + to * size, addrs + (to - 1) * size, size);
            to--;
        }
        memcpy(addrs + to * size, moving, size);
    }
}

static inline __attribute__((always_inline)) void swap(uint8_t *a, uint8_t *b, size_t size)
{
    uint8_t kept[V6];
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

static inline __attribute__((always_inline)) void sift_down(uint8_t *addrs, size_t root,
                                                            size_t count, size_t size)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count &&
            compare(addrs + child * size, addrs + (child + 1) * size, size) < 0) {
            child++;
        }
        if (compare(addrs + root * size, addrs + child * size, size) >= 0) {
            return;
        }
        swap(addrs + root * size, addrs + child * size, size);
    }
}

/* Not qsort(3): glibc's allocates for large inputs, and its time is the peer's to choose. */
static inline __attribute__((always_inline)) void heap_sort(uint8_t *addrs, size_t count,
                                                            size_t size)
{
    for (size_t root = count / 2; root-- > 0;) {
        sift_down(addrs, root, count, size);
    }
    for (size_t end = count - 1; end > 0; end--) {
        swap(addrs, addrs + end * size, size);
        sift_down(addrs, 0, end, size);
    }
}

/* Sorts in place and drops repeats. Returns the new count. */
static inline __attribute__((always_inline)) uint16_t sort_unique(uint8_t *addrs, size_t count,
                                                                  size_t size)
{
    if (ascending(addrs, count, size)) {
        return (uint16_t)count;
    }
    if (count <= 16) {
        insertion_sort(addrs, count, size);
    } else {
        heap_sort(addrs, count, size);
    }
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (compare(addrs + (kept - 1) * size, addrs + i * size, size) != 0) {
            memmove(addrs + kept++ * size, addrs + i * size, size);
        }
    }
    return (uint16_t)kept;
}

static const char *const SOURCES[ANSWER_SOURCES] = {[ANSWER_FROM_DNSTAP] = "dnstap",
                                                    [ANSWER_FROM_HUBBLE] = "hubble",
                                                    [ANSWER_FROM_ZEEK] = "zeek",
                                                    [ANSWER_FROM_SURICATA] = "suricata"};

const char *answer_source_name(enum answer_source source)
{
    return SOURCES[source];
}

enum answer_source answer_source_by_name(const char *name)
{
    for (int i = 0; i < ANSWER_SOURCES; i++) {
        if (strcmp(SOURCES[i], name) == 0) {
            return (enum answer_source)i;
        }
    }
    return ANSWER_FROM_DNSTAP;
}

uint8_t answer_head(const struct answer *answer)
{
    return (uint8_t)((unsigned)answer->source << 4 | (unsigned)answer->via);
}

int answer_set_head(struct answer *answer, uint8_t head)
{
    if ((head & 15) > ANSWER_VIA_SRV || head >> 4 >= ANSWER_SOURCES) {
        return W_ESYNTAX;
    }
    answer->via = (enum answer_via)(head & 15);
    answer->source = (enum answer_source)(head >> 4);
    return 0;
}

void answer_set_source(uint8_t *bytes, enum answer_source source)
{
    bytes[0] = (uint8_t)((unsigned)source << 4 | (bytes[0] & 15));
}

int answer_decode(struct answer *answer, const uint8_t *bytes, size_t len)
{
    if (len < ANSWER_HEAD_LEN || bytes[1] > ANSWER_CHAIN_MAX ||
        answer_set_head(answer, bytes[0]) != 0) {
        return W_ESYNTAX;
    }
    answer->chain_count = bytes[1];
    memcpy(&answer->v4_count, bytes + 2, 2);
    memcpy(&answer->v6_count, bytes + 4, 2);
    size_t at = ANSWER_HEAD_LEN;
    for (size_t i = 0; i < 1u + answer->chain_count; i++) {
        size_t name_len = checked_name_len(bytes + at, len - at);
        if (name_len == 0) {
            return W_ESYNTAX;
        }
        *(i == 0 ? &answer->asked : &answer->chain[i - 1]) = bytes + at;
        at += name_len;
    }
    answer->v4 = bytes + at;
    answer->v6 = answer->v4 + (size_t)answer->v4_count * V4;
    bool canonical = len - at == (size_t)answer->v4_count * V4 + (size_t)answer->v6_count * V6 &&
                     ascending(answer->v4, answer->v4_count, V4) &&
                     ascending(answer->v6, answer->v6_count, V6);
    return canonical ? 0 : W_ESYNTAX;
}

size_t answer_encode(enum answer_via via, const uint8_t *asked, const uint8_t *const *chain,
                     uint8_t chain_count, uint8_t *v4, uint16_t v4_count, uint8_t *v6,
                     uint16_t v6_count, uint8_t *bytes, size_t cap)
{
    v4_count = sort_unique(v4, v4_count, V4);
    v6_count = sort_unique(v6, v6_count, V6);
    size_t at = ANSWER_HEAD_LEN;
    for (size_t i = 0; i < 1u + chain_count; i++) {
        const uint8_t *name = i == 0 ? asked : chain[i - 1];
        size_t name_len = name_wire_len(name);
        if (cap < at || cap - at < name_len) {
            return 0;
        }
        memcpy(bytes + at, name, name_len);
        at += name_len;
    }
    size_t v4_len = (size_t)v4_count * V4;
    size_t v6_len = (size_t)v6_count * V6;
    if (cap - at < v4_len + v6_len) {
        return 0;
    }
    bytes[0] = (uint8_t)via;
    bytes[1] = chain_count;
    memcpy(bytes + 2, &v4_count, 2);
    memcpy(bytes + 4, &v6_count, 2);
    memcpy(bytes + at, v4, v4_len);
    memcpy(bytes + at + v4_len, v6, v6_len);
    return at + v4_len + v6_len;
}

struct addr answer_addr(const struct answer *answer, size_t i)
{
    if (i < answer->v4_count) {
        return addr_from_v4(answer->v4 + i * V4);
    }
    struct addr addr;
    memcpy(addr.b, answer->v6 + (i - answer->v4_count) * V6, V6);
    return addr;
}

bool answer_is_search_try(const uint8_t *bytes)
{
    const uint8_t *asked = bytes + ANSWER_HEAD_LEN;
    const uint8_t *target = asked + name_wire_len(asked);
    for (uint8_t i = 0; i < bytes[1]; i++) {
        if (name_is_search_try(asked, target)) {
            return true;
        }
        target += name_wire_len(target);
    }
    return false;
}
