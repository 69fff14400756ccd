/* store/run.c -- runs of answers and their packed form
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/run.h"

#include <string.h>

#include "base/clock.h"

/* A sticky cursor over packed bytes. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static uint64_t get_varint(struct cursor *in)
{
    uint64_t value = 0;
    if (in->at < in->end && *in->at < 0x80) {
        return *in->at++;
    }
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t octet = *in->at++;
        value |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80) {
            return value;
        }
    }
    in->bad = true;
    return 0;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint64_t get_fixed(struct cursor *in, size_t octets)
{
    uint64_t value = 0;
    size_t left = (size_t)(in->end - in->at);
    if (left < octets) {
        in->bad = true;
        return 0;
    }
    /* Little-endian, as the format version says. */
    if (left >= sizeof(value)) {
        memcpy(&value, in->at, sizeof(value));
        value &= (UINT64_C(1) << 8 * octets) - 1;
    } else {
        memcpy(&value, in->at, octets);
    }
    in->at += octets;
    return value;
}

static uint8_t *put_fixed(uint8_t *at, uint64_t value, size_t octets)
{
    memcpy(at, &value, octets);
    return at + octets;
}

static void decode_run(struct cursor *in, struct run *run, int64_t start_us)
{
    uint64_t head = get_varint(in);
    run->count = (uint32_t)(head >> 2);
    run->approximate = (head & 2) != 0;
    uint64_t times = (head & 1) != 0 ? get_varint(in) : run->count;
    if (times == 0 || times > STORE_TIMES_MAX) {
        in->bad = true;
        return;
    }
    run->time_count = (uint16_t)times;
    run->first_us = start_us + (int64_t)get_fixed(in, 5);
    int64_t expiry_ms = (int64_t)(get_varint(in) & INT64_C(0xffffffffffff));
    int64_t ms = run->first_us / 1000;
    run->times[0] = run->first_us;
    for (uint16_t i = 1; i < run->time_count; i++) {
        ms += (int64_t)(get_varint(in) & UINT32_MAX);
        run->times[i] = ms * 1000;
    }
    if (run->time_count > 1) {
        run->times[run->time_count - 1] += (int64_t)get_fixed(in, 2);
    }
    run->last_us = run->times[run->time_count - 1];
    run->expiry_us = run->last_us + expiry_ms * 1000;
}

int runs_decode(struct runs *runs, const uint8_t *bytes, size_t len, int64_t start_us)
{
    struct cursor in = {bytes, bytes + len, len == 0};
    runs->older_chunks = len > 0 ? *in.at++ : 0;
    runs->count = 0;
    while (in.at < in.end && !in.bad) {
        if (runs->count == RUNS_MAX) {
            return W_EDAMAGED;
        }
        decode_run(&in, &runs->run[runs->count++], start_us);
    }
    return in.bad ? W_EDAMAGED : 0;
}

static uint8_t *encode_run(uint8_t *at, const struct run *run, int64_t start_us)
{
    bool all_times = run->time_count == run->count;
    at = put_varint(at, (uint64_t)run->count << 2 | (uint64_t)run->approximate << 1 | !all_times);
    if (!all_times) {
        at = put_varint(at, run->time_count);
    }
    at = put_fixed(at, (uint64_t)(run->first_us - start_us), 5);
    /* Rounded up: an expiry must not move before the answer's own. */
    at = put_varint(at, (uint64_t)((run->expiry_us - run->last_us + 999) / 1000));
    int64_t ms = run->first_us / 1000;
    for (uint16_t i = 1; i < run->time_count; i++) {
        int64_t next_ms = run->times[i] / 1000;
        at = put_varint(at, (uint64_t)(next_ms - ms));
        ms = next_ms;
    }
    if (run->time_count > 1) {
        at = put_fixed(at, (uint64_t)(run->last_us - ms * 1000), 2);
    }
    return at;
}

size_t runs_encode(const struct runs *runs, uint8_t *bytes, int64_t start_us)
{
    uint8_t *at = bytes;
    *at++ = runs->older_chunks;
    for (uint16_t i = 0; i < runs->count; i++) {
        at = encode_run(at, &runs->run[i], start_us);
    }
    return (size_t)(at - bytes);
}

/* The latest times kept are never thinned: each answer of that stretch is there, so that one that
 * comes late can be told from one that is known. */
enum { TAIL = 12, GAPS = 24 };

/* Drops times so that the rest lies evenly over the run, wherever in it answers were thinned
 * before: one goes where its neighbours are no further apart than a 24th of the run. Two
 * neighbouring gaps then make up more than that, so at most 2 * GAPS + TAIL + 1 times stay. */
static void thin(struct run *run)
{
    uint16_t tail = (uint16_t)(run->time_count - TAIL);
    int64_t gap_us = (run->times[tail] - run->first_us) / GAPS;
    uint16_t kept = 1;
    for (uint16_t i = 1; i < run->time_count; i++) {
        if (i >= tail || run->times[i + 1] - run->times[kept - 1] > gap_us) {
            run->times[kept++] = run->times[i];
        }
    }
    run->time_count = kept;
    run->approximate = true;
}

/* Stored times are whole milliseconds, the first and the last excepted. */
static bool same_time(int64_t kept_us, int64_t time_us)
{
    return kept_us / 1000 == time_us / 1000;
}

/* Where times were thinned, an answer that lies among them is taken for one of those dropped: a
 * capture that is loaded again must not count twice. */
static bool may_be_thinned(const struct run *run, int64_t time_us)
{
    return run->approximate && run->time_count > TAIL && time_us > run->first_us &&
           time_us < run->times[run->time_count - TAIL];
}

/* Puts a time into a run that it belongs to. Returns false if it was there already. */
static bool insert_time(struct run *run, int64_t time_us)
{
    uint16_t at = run->time_count;
    while (at > 0 && run->times[at - 1] > time_us) {
        at--;
    }
    if ((at > 0 && same_time(run->times[at - 1], time_us)) ||
        (at < run->time_count && same_time(run->times[at], time_us)) ||
        may_be_thinned(run, time_us)) {
        return false;
    }
    if (run->time_count == STORE_TIMES_MAX) {
        thin(run);
        return insert_time(run, time_us);
    }
    memmove(&run->times[at + 1], &run->times[at], (run->time_count - at) * sizeof(run->times[0]));
    run->times[at] = time_us;
    run->time_count++;
    run->first_us = run->times[0];
    run->last_us = run->times[run->time_count - 1];
    return true;
}

/* Joins the run at `at` and the one after it where an answer that came out of order closed the gap
 * between them. */
static bool join_next(struct runs *runs, uint16_t at)
{
    if (at + 1 >= runs->count) {
        return false;
    }
    struct run *run = &runs->run[at];
    struct run *next = run + 1;
    if (next->first_us > run->expiry_us + RUN_GRACE_US) {
        return false;
    }
    uint32_t count = run->count + next->count;
    for (uint16_t i = 0; i < next->time_count; i++) {
        insert_time(run, next->times[i]);
    }
    run->count = count;
    run->approximate |= next->approximate;
    run->expiry_us = next->expiry_us > run->expiry_us ? next->expiry_us : run->expiry_us;
    memmove(next, next + 1, (size_t)(runs->count - at - 2) * sizeof(*next));
    runs->count--;
    return true;
}

/* Adds the answer to the run at `at`; a long TTL may reach several runs after it. */
static void extend(struct runs *runs, uint16_t at, int64_t time_us, int64_t expiry_us)
{
    struct run *run = &runs->run[at];
    run->count += insert_time(run, time_us);
    run->expiry_us = expiry_us > run->expiry_us ? expiry_us : run->expiry_us;
    while (join_next(runs, at)) {
    }
}

bool runs_add(struct runs *runs, int64_t time_us, uint32_t ttl_s)
{
    int64_t expiry_us = time_us + (int64_t)ttl_s * US_PER_S;
    uint16_t at = runs->count;
    while (at > 0 && runs->run[at - 1].first_us > time_us) {
        at--;
    }
    if (at > 0 && time_us <= runs->run[at - 1].expiry_us + RUN_GRACE_US) {
        extend(runs, at - 1, time_us, expiry_us);
        return false;
    }
    if (at < runs->count && runs->run[at].first_us <= expiry_us + RUN_GRACE_US) {
        extend(runs, at, time_us, expiry_us);
        return false;
    }
    memmove(&runs->run[at + 1], &runs->run[at], (runs->count - at) * sizeof(runs->run[0]));
    struct run *run = &runs->run[at];
    *run = (struct run){.first_us = time_us,
                        .last_us = time_us,
                        .expiry_us = expiry_us,
                        .count = 1,
                        .time_count = 1};
    run->times[0] = time_us;
    runs->count++;
    return true;
}
