/* tests/support/store_fixture.c -- an index in a directory of its own, and a model to hold it
 * against SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/store_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proto/name.h"
#include "store/run.h"

/* ---- A directory ---- */

void fixture_dir(char dir[64])
{
    snprintf(dir, 64, "/tmp/whither-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void fixture_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct store *fixture_open(const char *dir, enum store_mode mode)
{
    struct store *store;
    struct why why = {""};
    int err = store_open(&store, dir, mode, NULL, &why);
    if (err != 0) {
        fail_msg("store_open: %d: %s", err, why.text);
    }
    return store;
}

/* ---- Answers from text ---- */

struct addr fixture_addr(const char *text)
{
    struct addr addr;
    assert_true(addr_parse(&addr, text, strlen(text)));
    return addr;
}

size_t fixture_answer(uint8_t *bytes, enum answer_via via, const char *asked, const char *chain,
                      const char *addrs)
{
    struct name names[1 + ANSWER_CHAIN_MAX];
    const uint8_t *links[ANSWER_CHAIN_MAX];
    uint8_t v4[64 * 4], v6[64 * 16];
    uint16_t v4_count = 0, v6_count = 0;
    uint8_t chain_count = 0;
    assert_int_equal(name_from_text(&names[0], asked, strlen(asked)), 0);
    for (const char *at = chain; *at != '\0'; at += *at == ' ') {
        size_t len = strcspn(at, " ");
        assert_int_equal(name_from_text(&names[1 + chain_count], at, len), 0);
        links[chain_count] = names[1 + chain_count].wire;
        chain_count++;
        at += len;
    }
    for (const char *at = addrs; *at != '\0'; at += *at == ' ') {
        struct addr addr;
        size_t len = strcspn(at, " ");
        assert_true(addr_parse(&addr, at, len));
        if (addr_is_v4(&addr)) {
            memcpy(v4 + 4 * v4_count++, addr.b + 12, 4);
        } else {
            memcpy(v6 + 16 * v6_count++, addr.b, 16);
        }
        at += len;
    }
    size_t len = answer_encode(via, names[0].wire, links, chain_count, v4, v4_count, v6, v6_count,
                               bytes, ANSWER_BYTES_MAX);
    assert_true(len > 0);
    return len;
}

int fixture_put(struct store *store, const char *cluster, const char *client, int64_t time_us,
                uint32_t ttl_s, const char *asked, const char *chain, const char *addrs)
{
    static uint8_t bytes[ANSWER_BYTES_MAX];
    size_t len = fixture_answer(bytes, ANSWER_VIA_CLIENT, asked, chain, addrs);
    struct addr addr = fixture_addr(client);
    uint16_t id = store_cluster(store, cluster);
    return store_answer(store, id, &addr, time_us, ttl_s, bytes, len);
}

/* ---- Random numbers ---- */

static uint64_t random_state = 1;

void fixture_seed(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15 + 1;
}

uint64_t fixture_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

uint32_t fixture_below(uint32_t limit)
{
    return (uint32_t)(fixture_random() >> 20) % limit;
}

/* ---- The model ---- */

void model_fini(struct model *model)
{
    for (uint32_t i = 0; i < model->set_count; i++) {
        free(model->sets[i].bytes);
    }
    free(model->answers);
    memset(model, 0, sizeof(*model));
}

uint32_t model_set(struct model *model, const uint8_t *bytes, size_t len)
{
    for (uint32_t i = 0; i < model->set_count; i++) {
        if (model->sets[i].len == len && memcmp(model->sets[i].bytes, bytes, len) == 0) {
            return i;
        }
    }
    assert_true(model->set_count < MODEL_SETS_MAX);
    struct model_set *set = &model->sets[model->set_count];
    set->bytes = malloc(len);
    set->len = len;
    memcpy(set->bytes, bytes, len);
    assert_int_equal(answer_decode(&set->answer, set->bytes, len), 0);
    return model->set_count++;
}

void model_add(struct model *model, const struct model_answer *answer)
{
    if (model->count == model->cap) {
        model->cap = model->cap == 0 ? 1024 : model->cap * 2;
        model->answers = realloc(model->answers, model->cap * sizeof(*model->answers));
        assert_non_null(model->answers);
    }
    model->answers[model->count++] = *answer;
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
    return name_wire_len(a) == name_wire_len(b) && memcmp(a, b, name_wire_len(a)) == 0;
}

static bool has_address(const struct answer *answer, const struct addr *address)
{
    for (size_t i = 0; i < (size_t)answer->v4_count + answer->v6_count; i++) {
        struct addr one = answer_addr(answer, i);
        if (addr_equal(&one, address)) {
            return true;
        }
    }
    return false;
}

static bool in_chain(const struct answer *answer, const uint8_t *name, bool under)
{
    for (uint8_t i = 0; i < answer->chain_count; i++) {
        if (under ? name_is_under(answer->chain[i], name) : same_name(answer->chain[i], name)) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct model *model, const struct model_answer *answer,
                 const struct model_query *query)
{
    const struct answer *set = &model->sets[answer->set].answer;
    bool client = addr_equal(&answer->client, &query->client);
    if (strcmp(answer->cluster, query->cluster) != 0) {
        return false;
    }
    switch (query->question) {
    case MODEL_CLIENT_ADDRESS:
        return client && has_address(set, &query->address);
    case MODEL_CLIENT_TARGET:
        return client && in_chain(set, query->name, false);
    case MODEL_CLIENT:
        return client;
    case MODEL_ADDRESS:
        return has_address(set, &query->address);
    case MODEL_NAME:
        return same_name(set->asked, query->name) || in_chain(set, query->name, false);
    case MODEL_UNDER:
        return name_is_under(set->asked, query->name) || in_chain(set, query->name, true);
    }
    return false;
}

/* One sighting as a line, so that two lists can be sorted and compared. */
struct lines {
    char **line;
    size_t count;
    size_t cap;
};

static void add_line(struct lines *lines, char *line)
{
    if (lines->count == lines->cap) {
        lines->cap = lines->cap == 0 ? 64 : lines->cap * 2;
        lines->line = realloc(lines->line, lines->cap * sizeof(*lines->line));
        assert_non_null(lines->line);
    }
    lines->line[lines->count++] = line;
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->line[i]);
    }
    free(lines->line);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Everything about a sighting that the store promises. */
static char *print_sighting(const struct store_sighting *sighting)
{
    char *line = NULL;
    size_t size = 0;
    char text[NAME_TEXT_MAX];
    FILE *out = open_memstream(&line, &size);
    addr_print(&sighting->client, text);
    fprintf(out, "%s %s", sighting->cluster, text);
    name_to_text(sighting->answer->asked, text);
    fprintf(out, " %s via %d", text, (int)sighting->answer->via);
    for (uint8_t i = 0; i < sighting->answer->chain_count; i++) {
        name_to_text(sighting->answer->chain[i], text);
        fprintf(out, " -> %s", text);
    }
    for (size_t i = 0; i < (size_t)sighting->answer->v4_count + sighting->answer->v6_count; i++) {
        struct addr addr = answer_addr(sighting->answer, i);
        addr_print(&addr, text);
        fprintf(out, " [%s]", text);
    }
    fprintf(out, " first %lld last %lld expiry %lld count %u%s times",
            (long long)sighting->first_us, (long long)sighting->last_us,
            (long long)sighting->expiry_us, sighting->count,
            sighting->approximate ? " approximate" : "");
    for (uint32_t i = 0; i < sighting->time_count; i++) {
        fprintf(out, " %lld", (long long)sighting->times[i]);
    }
    fclose(out);
    return line;
}

static bool print_visited(void *ctx, const struct store_sighting *sighting)
{
    add_line(ctx, print_sighting(sighting));
    return true;
}

/* Sorted by everything that makes a run, then by time. */
static int by_run(const void *a, const void *b)
{
    const struct model_answer *x = *(const struct model_answer *const *)a;
    const struct model_answer *y = *(const struct model_answer *const *)b;
    int order = memcmp(x->client.b, y->client.b, 16);
    if (order == 0 && x->set != y->set) {
        order = x->set < y->set ? -1 : 1;
    }
    if (order == 0 && x->time_us != y->time_us) {
        order = x->time_us < y->time_us ? -1 : 1;
    }
    return order;
}

typedef void (*run_fn)(void *ctx, const struct model_answer *first, const struct run *run);

/* Calls `fn` for every run of the answers that fit, if it has one within the span. */
static void each_run(const struct model *model, const struct model_query *query, run_fn fn,
                     void *ctx)
{
    const struct model_answer **fitting = calloc(model->count + 1, sizeof(*fitting));
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (fits(model, &model->answers[i], query)) {
            fitting[count++] = &model->answers[i];
        }
    }
    qsort(fitting, count, sizeof(*fitting), by_run);
    static struct run run;
    for (size_t i = 0; i < count;) {
        const struct model_answer *first = fitting[i];
        bool within = false;
        run = (struct run){.first_us = first->time_us};
        for (; i < count; i++) {
            const struct model_answer *next = fitting[i];
            if (next->set != first->set || !addr_equal(&next->client, &first->client) ||
                next->time_us / US_PER_DAY != first->time_us / US_PER_DAY ||
                (run.count > 0 && next->time_us > run.expiry_us + RUN_GRACE_US)) {
                break;
            }
            int64_t expiry_us = next->time_us + next->ttl_s * US_PER_S;
            run.expiry_us = expiry_us > run.expiry_us ? expiry_us : run.expiry_us;
            within |= next->time_us >= query->from_us && next->time_us <= query->to_us;
            if (run.count == 0 || run.last_us != next->time_us) {
                assert_true(run.time_count < STORE_TIMES_MAX);
                run.times[run.time_count++] = next->time_us;
                run.count++;
            }
            run.last_us = next->time_us;
        }
        if (within) {
            fn(ctx, first, &run);
        }
    }
    free(fitting);
}

struct expecting {
    const struct model *model;
    struct lines lines;
};

static void print_run(void *ctx, const struct model_answer *first, const struct run *run)
{
    struct expecting *expecting = ctx;
    struct store_sighting sighting = {
        .answer = &expecting->model->sets[first->set].answer,
        .client = first->client,
        .cluster = first->cluster,
        .first_us = run->first_us,
        .last_us = run->last_us,
        .expiry_us = run->expiry_us,
        .count = run->count,
        .time_count = run->time_count,
        .times = run->times,
    };
    add_line(&expecting->lines, print_sighting(&sighting));
}

static void compare_lines(struct lines *got, struct lines *want, const char *note)
{
    if (got->count > 0 && want->count > 0) {
        qsort(got->line, got->count, sizeof(*got->line), by_text);
        qsort(want->line, want->count, sizeof(*want->line), by_text);
    }
    for (size_t i = 0; i < got->count || i < want->count; i++) {
        const char *g = i < got->count ? got->line[i] : "(nothing)";
        const char *w = i < want->count ? want->line[i] : "(nothing)";
        if (strcmp(g, w) != 0) {
            fail_msg("%s: %zu where %zu were expected;\n got  %s\n want %s", note, got->count,
                     want->count, g, w);
        }
    }
}

size_t model_check(struct model *model, struct store_view *view, const struct model_query *q,
                   const char *note)
{
    struct lines got = {0};
    struct expecting want = {.model = model};
    int err = W_EUSAGE;
    switch (q->question) {
    case MODEL_CLIENT_ADDRESS:
        err = store_by_client_address(view, q->cluster, &q->client, &q->address, q->from_us,
                                      q->to_us, print_visited, &got);
        break;
    case MODEL_CLIENT_TARGET:
        err = store_by_client_target(view, q->cluster, &q->client, q->name, q->from_us, q->to_us,
                                     print_visited, &got);
        break;
    case MODEL_CLIENT:
        err = store_by_client(view, q->cluster, &q->client, q->from_us, q->to_us, print_visited,
                              &got);
        break;
    case MODEL_ADDRESS:
        err = store_by_address(view, q->cluster, &q->address, q->from_us, q->to_us, print_visited,
                               &got);
        break;
    case MODEL_NAME:
    case MODEL_UNDER:
        err = store_by_name(view, q->cluster, q->name, q->question == MODEL_UNDER, q->from_us,
                            q->to_us, print_visited, &got);
        break;
    }
    if (err != 0) {
        fail_msg("%s: error %d", note, err);
    }
    each_run(model, q, print_run, &want);
    size_t count = got.count;
    compare_lines(&got, &want.lines, note);
    free_lines(&got);
    free_lines(&want.lines);
    return count;
}

/* ---- Shared names ---- */

struct shared_name {
    const uint8_t *asked;
    struct addr clients[64];
    uint32_t client_count;
    uint32_t count;
    int64_t last_us;
};

struct shared_model {
    const struct model *model;
    const struct model_query *query;
    struct shared_name names[64];
    size_t count;
};

static void add_shared(void *ctx, const struct model_answer *first, const struct run *run)
{
    struct shared_model *shared = ctx;
    const uint8_t *asked = shared->model->sets[first->set].answer.asked;
    size_t at = 0;
    while (at < shared->count && !same_name(shared->names[at].asked, asked)) {
        at++;
    }
    struct shared_name *name = &shared->names[at];
    if (at == shared->count) {
        assert_true(shared->count < 64);
        shared->count++;
        *name = (struct shared_name){.asked = asked};
    }
    uint32_t client = 0;
    while (client < name->client_count && !addr_equal(&name->clients[client], &first->client)) {
        client++;
    }
    if (client == name->client_count) {
        assert_true(client < 64);
        name->clients[name->client_count++] = first->client;
    }
    name->count += run->count;
    for (uint16_t i = 0; i < run->time_count; i++) {
        if (run->times[i] >= shared->query->from_us && run->times[i] <= shared->query->to_us &&
            run->times[i] > name->last_us) {
            name->last_us = run->times[i];
        }
    }
}

static char *print_shared(const uint8_t *asked, uint32_t clients, uint32_t count, int64_t last_us)
{
    char *line = malloc(NAME_TEXT_MAX + 100);
    char text[NAME_TEXT_MAX];
    name_to_text(asked, text);
    sprintf(line, "%s clients %u count %u last %lld", text, clients, count, (long long)last_us);
    return line;
}

static bool print_shared_visited(void *ctx, const struct store_shared *shared)
{
    assert_false(shared->clients_at_least);
    add_line(ctx,
             print_shared(shared->answer->asked, shared->clients, shared->count, shared->last_us));
    return true;
}

void model_check_shared(struct model *model, struct store_view *view, const char *cluster,
                        const struct addr *address, int64_t from_us, int64_t to_us,
                        const char *note)
{
    struct model_query query = {.question = MODEL_ADDRESS,
                                .cluster = cluster,
                                .address = *address,
                                .from_us = from_us,
                                .to_us = to_us};
    static struct shared_model shared;
    struct lines got = {0}, want = {0};
    memset(&shared, 0, sizeof(shared));
    shared.model = model;
    shared.query = &query;
    assert_int_equal(
        store_shared_names(view, cluster, address, from_us, to_us, print_shared_visited, &got), 0);
    each_run(model, &query, add_shared, &shared);
    for (size_t i = 0; i < shared.count; i++) {
        const struct shared_name *name = &shared.names[i];
        add_line(&want, print_shared(name->asked, name->client_count, name->count, name->last_us));
    }
    compare_lines(&got, &want, note);
    free_lines(&got);
    free_lines(&want);
}
