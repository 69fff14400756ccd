/* tests/bench/load.c -- loads a capture into an index with as much memory as it is given
 * SPDX-License-Identifier: Apache-2.0
 *
 * For indexes of 100 M sightings. What waits in memory bounds how often a commit must touch the
 * whole index again; `whither ingest` stays small and would take hours for as much.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/ingest.h"
#include "join/source.h"
#include "store/store.h"

static int64_t read_input(void *ctx, char *data, size_t len, struct why *why)
{
    return input_read(ctx, data, len, why);
}

static uint64_t consumed(void *ctx)
{
    return input_consumed(ctx);
}

static int load(struct store *store, const char *path, struct why *why)
{
    struct capture_options options = {.cluster = "default", .peer = path};
    struct capture_summary summary = {0};
    struct ingest *ingest = NULL;
    struct input *input = NULL;

    int err = input_open(&input, path, why);
    if (err) {
        return err;
    }
    err = ingest_new(&ingest, store, NULL, NULL);
    if (err) {
        why_set(why, err, "out of memory");
    } else {
        const struct ingest_bytes bytes = {read_input, input, consumed, input_size(input)};
        err = ingest_capture(ingest, &bytes, &options, &summary, why);
    }
    if (!err) {
        err = ingest_finish(ingest, why);
    }
    ingest_free(&ingest);
    input_close(&input);
    return err;
}

int main(int argc, char **argv)
{
    struct store_options options = {.writer_note = "tests/bench/load"};
    struct store *store = NULL;
    struct why why = {.text = ""};

    if (argc != 4) {
        fprintf(stderr, "usage: load DATA_DIR FILE|- MEMORY_MIB\n");
        return 2;
    }
    options.memory_bytes = strtoull(argv[3], NULL, 10) << 20;
    int err = store_open(&store, argv[1], STORE_WRITE, &options, &why);
    if (!err) {
        err = load(store, argv[2], &why);
        store_close(&store);
    }
    if (err) {
        fprintf(stderr, "load: %s\n", why.text);
        return 1;
    }
    return 0;
}
