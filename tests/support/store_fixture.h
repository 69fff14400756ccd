/* tests/support/store_fixture.h -- an index in a directory of its own, and a model to hold it
 * against SPDX-License-Identifier: Apache-2.0
 *
 * The model is a plain list of answers; what the index should say is worked out from it anew for
 * every question. Everything here fails the running test when it cannot do its work.
 *
 * Threads: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* ---- A directory ---- */

/* Makes an empty directory; `dir` has 64 octets. */
void fixture_dir(char dir[64]);
/* Removes it with everything in it. */
void fixture_remove(const char *dir);
/* Opens it, failing the test if that fails. */
struct store *fixture_open(const char *dir, enum store_mode mode);

/* ---- Answers from text ---- */

struct addr fixture_addr(const char *text);
/* Canonical octets; `chain` and `addrs` are words parted by spaces, "" for none. Returns the
 * length; `bytes` has ANSWER_BYTES_MAX octets. */
size_t fixture_answer(uint8_t *bytes, enum answer_via via, const char *asked, const char *chain,
                      const char *addrs);
/* Adds one such answer through store_asked and store_answer; returns store_answer's result. */
int fixture_put(struct store *store, const char *cluster, const char *client, int64_t time_us,
                uint32_t ttl_s, const char *asked, const char *chain, const char *addrs);

/* ---- Random numbers, the same each time ---- */

void fixture_seed(uint64_t seed);
uint64_t fixture_random(void);
uint32_t fixture_below(uint32_t limit);

/* ---- The model ---- */

#define MODEL_SETS_MAX 4096

struct model_set {
    uint8_t *bytes;
    size_t len;
    struct answer answer;
};

struct model_answer {
    const char *cluster;
    struct addr client;
    uint32_t set;
    uint32_t ttl_s;
    int64_t time_us;
};

struct model {
    struct model_set sets[MODEL_SETS_MAX];
    uint32_t set_count;
    struct model_answer *answers;
    size_t count;
    size_t cap;
};

void model_fini(struct model *model);
/* The number of an answer set; the same octets have the same number. */
uint32_t model_set(struct model *model, const uint8_t *bytes, size_t len);
void model_add(struct model *model, const struct model_answer *answer);

enum model_question {
    MODEL_CLIENT_ADDRESS,
    MODEL_CLIENT_TARGET,
    MODEL_CLIENT,
    MODEL_ADDRESS,
    MODEL_NAME,
    MODEL_UNDER,
};

struct model_query {
    enum model_question question;
    const char *cluster;
    struct addr client;
    struct addr address;
    const uint8_t *name; /* wire */
    int64_t from_us;
    int64_t to_us;
};

/* Asks the index and the model the same; fails the test with `note` where they differ. Returns the
 * number of sightings. The model knows no thinning: keep runs below 64 answers. */
size_t model_check(struct model *model, struct store_view *view, const struct model_query *query,
                   const char *note);
/* The same for store_shared_names. */
void model_check_shared(struct model *model, struct store_view *view, const char *cluster,
                        const struct addr *address, int64_t from_us, int64_t to_us,
                        const char *note);
