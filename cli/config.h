/* cli/config.h -- the YAML file named by --config
 * SPDX-License-Identifier: Apache-2.0
 *
 * A mapping whose keys are the flags of the table (cli/flags.h): a text each, a sequence of texts
 * for those that may be repeated. libcyaml reads it by a schema made from that table, so an unknown
 * key, a wrong kind of value or a key given twice is refused with its line.
 *
 * Threads: stateless.
 */
#pragma once

#include "cli/flags.h"

/* One key of the file. */
struct config_value {
    const struct flag *flag;
    const char *text;
    unsigned line; /* of the key, from 1; 0 where it could not be told */
};

struct config {
    struct config_value *values; /* in the order of the table; texts owned by `storage` */
    size_t count;
    void *storage;
};

/* Reads the file. Returns 0; W_EUSAGE with the file, the line and what is wrong in `why`; -ENOMEM.
 * On failure there is nothing to free. */
int config_read(struct config *config, const char *path, struct why *why);
void config_fini(struct config *config);
