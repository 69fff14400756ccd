/* cli/parsing.h -- how flow records are to be read, out of the settings
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: read only once made.
 */
#pragma once

#include "base/err.h"
#include "cli/settings.h"
#include "join/map.h"

struct parsing {
    const struct format *format;   /* --from; NULL: by content */
    struct parser_options options; /* what they point to is of this struct or of the settings */
    /* private */
    struct prefix_rule *prefixes;
    struct field_map map;
};

/* Checks --from, --verdict, --columns and --map, and how they go together. Returns 0, W_EUSAGE with
 * a sentence, or -ENOMEM; free it in any case. Zeroed memory is fine to free. */
int parsing_init(struct parsing *parsing, const struct settings *settings, struct why *why);
void parsing_fini(struct parsing *parsing);

/* What `whither join --help` says of formats and of the fields of --map. */
void parsing_help(FILE *out);
