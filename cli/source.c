/* cli/source.c -- where lookup, names and status ask: an index on this machine, or a service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/source.h"

#include <errno.h>

int source_open(struct source *source, const struct settings *settings, struct why *why)
{
    *source = (struct source){.where = settings->server};
    if (settings->server != NULL) {
        return remote_new(&source->remote, settings->server, settings->token_file, why);
    }
    source->where = settings->data;
    int err = store_open(&source->store, settings->data, STORE_READ, NULL, why);
    if (err == -ENOENT) {
        return why_set(why, err,
                       "there is no index in %s: --data DIR or --server URL says where one is",
                       settings->data);
    }
    if (err == 0) {
        err = store_view_new(source->store, &source->view);
        why_set(err == 0 ? NULL : why, err, "%s: %s", settings->data, err_str(err));
    }
    return err;
}

void source_close(struct source *source)
{
    store_view_free(&source->view);
    store_close(&source->store);
    remote_free(&source->remote);
}

bool source_has_answers(const struct source *source, struct why *why)
{
    struct store_status status;
    if (source->remote != NULL || store_status(source->view, &status) != 0 || status.last_us != 0) {
        return true;
    }
    why_set(why, -ENOENT, "the index in %s is empty: no DNS answer has been committed to it yet",
            source->where);
    return false;
}
