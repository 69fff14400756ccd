/* cli/followed.c -- the sources that are followed, Loki among them
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/followed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "join/loki_pull.h"

/* "BASE.loki-HASH", and with the cluster of the source what a tail is told. */
static int name_spool(const char *text, const char *base, char **path, char **item, struct why *why)
{
    struct loki_source source;
    int err = loki_source_parse(&source, text, clock_now_us(), why);
    if (err != 0) {
        return err;
    }
    if (asprintf(path, "%s.loki-%016" PRIx64, base, XXH3_64bits(text, strlen(text))) < 0) {
        *path = NULL;
        err = -ENOMEM;
    } else if (asprintf(item, "%s%s%s", *path, source.cluster != NULL ? ",cluster=" : "",
                        source.cluster != NULL ? source.cluster : "") < 0) {
        *item = NULL;
        err = -ENOMEM;
    }
    loki_source_fini(&source);
    return err;
}

static int start_spool(struct followed *followed, size_t i, const char *text, const char *base,
                       struct loki_spool_options *options, struct why *why)
{
    char *path = NULL;
    if (base == NULL) {
        return why_set(why, W_EUSAGE,
                       "loki: to be followed it needs --out file:PATH, beside which its lines are "
                       "kept");
    }
    int err = name_spool(text, base, &path, &followed->paths[i], why);
    if (err == 0) {
        followed->items[i] = followed->paths[i];
        options->source = text;
        options->path = path;
        err = loki_spool_start(&followed->spools[i], options, why);
    }
    free(path);
    return err;
}

int followed_start(struct followed *followed, const char *const *sources, size_t count,
                   const char *base, void (*warn)(void *ctx, const char *text), void *ctx,
                   struct why *why)
{
    struct loki_spool_options options = {.warn = warn, .ctx = ctx};
    int err = 0;
    *followed = (struct followed){
        .items = calloc(count + 1, sizeof(*followed->items)),
        .paths = calloc(count + 1, sizeof(*followed->paths)),
        .spools = calloc(count + 1, sizeof(struct loki_spool *)),
    };
    if (followed->items == NULL || followed->paths == NULL || followed->spools == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        followed->items[i] = sources[i];
        followed->count = i + 1;
        if (loki_source_is(sources[i])) {
            err = start_spool(followed, i, sources[i], base, &options, why);
        }
    }
    return err;
}

void followed_stop(struct followed *followed)
{
    for (size_t i = 0; i < followed->count; i++) {
        loki_spool_stop(&followed->spools[i]);
        free(followed->paths[i]);
    }
    free(followed->items);
    free(followed->paths);
    free(followed->spools);
    *followed = (struct followed){0};
}
