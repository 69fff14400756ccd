/* cli/source.h -- where lookup, names and status ask: an index on this machine, or a service
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as its caller.
 */
#pragma once

#include "cli/remote.h"
#include "cli/settings.h"
#include "store/store.h"

struct source {
    const char *where;     /* the directory or URL; of the settings */
    struct remote *remote; /* NULL: an index of this machine */
    struct store *store;
    struct store_view *view;
};

/* Opens what the settings name, --server or --data. Returns 0 or a negative error with one sentence
 * in `why`. source_close is fine after either. */
int source_open(struct source *source, const struct settings *settings, struct why *why);
void source_close(struct source *source);

/* Has the index any answers? Always true for a service. False with a sentence in `why`. */
bool source_has_answers(const struct source *source, struct why *why);
