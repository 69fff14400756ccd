/* store/shared.c -- what an address was called, over all clients of a cluster
 * SPDX-License-Identifier: Apache-2.0
 *
 * Clients are counted over windows and answer sets by their address, each once. A popular address
 * may have been answered to very many: counting stops at 256 clients of one answer set, and at
 * 16,384 over all, and says so. Beyond a few hundred clients the order of names no longer matters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/visit.h"

enum { NAMES_MAX = 256, GOT_MAX = 16384, GOT_PER_SET = 256 };

/* One asked name the address was answered for. */
struct group {
    struct name asked;
    struct answer answer; /* points into `names` */
    uint8_t names[NAME_WIRE_MAX * (1 + ANSWER_CHAIN_MAX)];
    int64_t last_us;
    int64_t expiry_us;
    uint32_t count;
    uint32_t counted[ANSWER_SOURCES]; /* what each source saw */
    enum answer_source source;        /* dnstap, if it is among them */
    uint32_t clients;
};

struct got {
    uint32_t group;
    struct addr client;
};

struct gathering {
    struct group *groups;
    size_t group_count;
    struct got *got;
    size_t got_count;
    const struct addr *except;
    size_t except_count;
    int64_t from_us;
    int64_t to_us;
    bool bounded; /* a bound was reached */
};

static struct group *find_group(struct gathering *gathering, const uint8_t *asked)
{
    size_t len = name_wire_len(asked);
    for (size_t i = 0; i < gathering->group_count; i++) {
        struct group *group = &gathering->groups[i];
        if (group->asked.len == len && memcmp(group->asked.wire, asked, len) == 0) {
            return group;
        }
    }
    if (gathering->group_count == NAMES_MAX) {
        return NULL;
    }
    struct group *group = &gathering->groups[gathering->group_count++];
    memset(group, 0, sizeof(*group));
    group->last_us = INT64_MIN;
    group->source = ANSWER_SOURCES - 1;
    group->asked.len = (uint8_t)len;
    memcpy(group->asked.wire, asked, len);
    return group;
}

/* Keeps names only: whoever reads a shared name needs its chain, not its addresses. */
static void keep_answer(struct group *group, const struct answer *answer)
{
    uint8_t *at = group->names;
    group->answer =
        (struct answer){.via = answer->via, .asked = at, .chain_count = answer->chain_count};
    size_t len = name_wire_len(answer->asked);
    memcpy(at, answer->asked, len);
    at += len;
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        len = name_wire_len(answer->chain[i]);
        memcpy(at, answer->chain[i], len);
        group->answer.chain[i] = at;
        at += len;
    }
}

/* The latest kept time within the span; the run touches it. */
static int64_t latest_within(const struct store_sighting *sighting, int64_t from_us, int64_t to_us)
{
    for (uint32_t i = sighting->time_count; i > 0; i--) {
        if (sighting->times[i - 1] <= to_us) {
            return sighting->times[i - 1] >= from_us ? sighting->times[i - 1] : INT64_MIN;
        }
    }
    return INT64_MIN;
}

static bool is_excepted(const struct gathering *gathering, const struct addr *client)
{
    for (size_t i = 0; i < gathering->except_count; i++) {
        if (addr_equal(&gathering->except[i], client)) {
            return true;
        }
    }
    return false;
}

static bool gather(void *ctx, const struct store_sighting *sighting)
{
    struct gathering *gathering = ctx;
    int64_t last_us = latest_within(sighting, gathering->from_us, gathering->to_us);
    if (last_us == INT64_MIN || is_excepted(gathering, &sighting->client)) {
        return true;
    }
    struct group *group = find_group(gathering, sighting->answer->asked);
    if (group == NULL || gathering->got_count == GOT_MAX) {
        gathering->bounded = true;
        return false;
    }
    gathering->got[gathering->got_count++] =
        (struct got){(uint32_t)(group - gathering->groups), sighting->client};
    /* What two sources saw was one answer each time: what one of them saw most counts. */
    enum answer_source source = sighting->answer->source;
    group->counted[source] += sighting->count;
    group->count = group->counted[source] > group->count ? group->counted[source] : group->count;
    group->source = source < group->source ? source : group->source;
    if (last_us > group->last_us) {
        group->last_us = last_us;
        group->expiry_us = sighting->expiry_us;
        keep_answer(group, sighting->answer);
    }
    return true;
}

static int compare_got(const void *a, const void *b)
{
    const struct got *x = a;
    const struct got *y = b;
    if (x->group != y->group) {
        return x->group < y->group ? -1 : 1;
    }
    return memcmp(x->client.b, y->client.b, sizeof(x->client.b));
}

static void count_clients(struct gathering *gathering)
{
    qsort(gathering->got, gathering->got_count, sizeof(*gathering->got), compare_got);
    for (size_t i = 0; i < gathering->got_count; i++) {
        bool repeated = i > 0 && compare_got(&gathering->got[i - 1], &gathering->got[i]) == 0;
        gathering->groups[gathering->got[i].group].clients += !repeated;
    }
}

static int report(const struct gathering *gathering, store_shared_fn fn, void *ctx)
{
    for (size_t i = 0; i < gathering->group_count; i++) {
        struct group *group = &gathering->groups[i];
        group->answer.source = group->source;
        struct store_shared shared = {
            .answer = &group->answer,
            .clients = group->clients,
            .clients_at_least = gathering->bounded,
            .last_us = group->last_us,
            .expiry_us = group->expiry_us,
            .count = group->count,
        };
        if (!fn(ctx, &shared)) {
            return 1;
        }
    }
    return 0;
}

int store_shared_names_but(struct store_view *view, const char *cluster, const struct addr *address,
                           const struct addr *except, size_t except_count, int64_t from_us,
                           int64_t to_us, store_shared_fn fn, void *ctx)
{
    struct gathering gathering = {
        .except = except, .except_count = except_count, .from_us = from_us, .to_us = to_us};
    gathering.groups = malloc(NAMES_MAX * sizeof(*gathering.groups));
    gathering.got = malloc(GOT_MAX * sizeof(*gathering.got));
    int err = gathering.groups == NULL || gathering.got == NULL ? -ENOMEM : 0;
    if (err == 0) {
        err = visit_address(view, cluster, address, from_us, to_us, GOT_PER_SET, &gathering.bounded,
                            gather, &gathering);
    }
    /* 1 means that a bound stopped the visit: what was gathered is still true. */
    if (err >= 0) {
        count_clients(&gathering);
        err = report(&gathering, fn, ctx);
    }
    free(gathering.groups);
    free(gathering.got);
    return err;
}

int store_shared_names(struct store_view *view, const char *cluster, const struct addr *address,
                       int64_t from_us, int64_t to_us, store_shared_fn fn, void *ctx)
{
    return store_shared_names_but(view, cluster, address, NULL, 0, from_us, to_us, fn, ctx);
}
