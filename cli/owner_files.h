/* cli/owner_files.h -- --owners FILE: whose the addresses were
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as its caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/settings.h"
#include "join/owners.h"

struct owner_files {
    bool doubtful; /* something in them could not be read */
};

/* Reads every --owners FILE[,cluster=NAME] of the settings (files, directories, globs, `-`) into
 * `owners`. What is wrong in them is told of on stderr. Returns 0, or a negative error with a
 * sentence in `why`: a file that is not there. */
int owner_files_read(struct owner_files *files, struct owners *owners,
                     const struct settings *settings, struct why *why);

/* Says on stderr that the owners end before the flows do, unless --quiet. */
void owner_files_warn_age(struct owners *owners, const struct settings *settings,
                          int64_t last_flow_us);
