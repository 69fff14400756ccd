/* tests/bench/lookups.c -- how long one lookup by (client, address) takes in an index
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads keys "client address time_us" as genmix --keys writes them and looks each up as an
 * attribution does: sightings of that client with that address within 24 hours before the time.
 * One pass warms the pages, a second one, in another order, is timed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "store/store.h"

enum { KEYS_MAX = 1 << 20 };

#define HORIZON_US (INT64_C(24) * 3600 * 1000000)
#define SKEW_US INT64_C(2000000)

struct key {
    struct addr client;
    struct addr address;
    int64_t time_us;
};

static bool count_one(void *ctx, const struct store_sighting *sighting)
{
    (void)sighting;
    ++*(uint64_t *)ctx;
    return true;
}

static size_t read_keys(const char *path, struct key *keys)
{
    char client[ADDR_TEXT_MAX], address[ADDR_TEXT_MAX];
    size_t count = 0;
    FILE *in = fopen(path, "re");

    if (!in) {
        perror(path);
        return 0;
    }
    while (count < KEYS_MAX &&
           fscanf(in, "%45s %45s %" SCNd64, client, address, &keys[count].time_us) == 3) {
        if (!addr_parse(&keys[count].client, client, strlen(client)) ||
            !addr_parse(&keys[count].address, address, strlen(address))) {
            fprintf(stderr, "%s: line %zu: expected two addresses and a time\n", path, count + 1);
            count = 0;
            break;
        }
        count++;
    }
    fclose(in);
    return count;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The keys are in the order of their times; lookups of a join or over HTTP are in none. */
static void shuffle(struct key *keys, size_t count)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = count; i > 1; i--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        struct key swap = keys[i - 1];
        keys[i - 1] = keys[x % i];
        keys[x % i] = swap;
    }
}

/* Looks every key up; took_ns[i] becomes the time of the i-th. Returns how many found nothing, or
 * a negative error. */
static long look_up_all(struct store_view *view, const struct key *keys, size_t count,
                        int64_t *took_ns)
{
    long missing = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t found = 0;
        int64_t begin_ns = now_ns();
        int err = store_by_client_address(view, "default", &keys[i].client, &keys[i].address,
                                          keys[i].time_us - HORIZON_US, keys[i].time_us + SKEW_US,
                                          count_one, &found);
        took_ns[i] = now_ns() - begin_ns;
        if (err < 0) {
            fprintf(stderr, "lookup failed: %s\n", err_str(err));
            return err;
        }
        missing += found == 0;
    }
    return missing;
}

static int measure(struct store *store, struct key *keys, size_t count)
{
    struct store_status status;
    struct store_view *view = NULL;
    int64_t *took_ns = calloc(count, sizeof(*took_ns));
    long missing = -1;

    if (took_ns && store_view_new(store, &view) == 0 && store_status(view, &status) == 0) {
        shuffle(keys, count);
        missing = look_up_all(view, keys, count, took_ns);
        shuffle(keys, count);
        missing = missing < 0 ? missing : look_up_all(view, keys, count, took_ns);
    }
    if (missing >= 0) {
        qsort(took_ns, count, sizeof(*took_ns), ascending);
        printf("sightings %" PRIu64 " times %" PRIu64 " bytes %" PRIu64
               " lookups %zu missing %ld p50_us %.2f p99_us %.2f\n",
               status.sightings, status.times, status.bytes, count, missing,
               (double)took_ns[count / 2] / 1e3, (double)took_ns[count * 99 / 100] / 1e3);
    }
    store_view_free(&view);
    free(took_ns);
    return missing == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct store *store = NULL;
    struct why why;

    if (argc != 3) {
        fprintf(stderr, "usage: lookups DATA_DIR KEYS\n");
        return 2;
    }
    struct key *keys = calloc(KEYS_MAX, sizeof(*keys));
    size_t count = keys ? read_keys(argv[2], keys) : 0;
    if (count == 0) {
        fprintf(stderr, "lookups: no keys\n");
        free(keys);
        return 1;
    }
    if (store_open(&store, argv[1], STORE_READ, NULL, &why)) {
        fprintf(stderr, "lookups: %s\n", why.text);
        free(keys);
        return 1;
    }
    int rc = measure(store, keys, count);
    store_close(&store);
    free(keys);
    return rc;
}
