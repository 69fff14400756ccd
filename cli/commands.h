/* cli/commands.h -- the subcommands
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file each, cli/NAME.c. A command takes checked settings, writes data to stdout and words to
 * stderr, and returns the exit code.
 *
 * Threads: called from the main thread, which has started no other.
 */
#pragma once

#include <stdio.h>

#include "cli/settings.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_BAD_INPUT = 3, /* finished, but some input was bad; counted on stderr */
    EXIT_WARNINGS = 4,  /* doctor: the worst that was found is a warning */
    EXIT_ERRORS = 5,    /* doctor: an error was found */
};

int cmd_serve(const struct settings *settings);
int cmd_ingest(const struct settings *settings);
int cmd_join(const struct settings *settings);
int cmd_lookup(const struct settings *settings);
int cmd_names(const struct settings *settings);
int cmd_status(const struct settings *settings);
int cmd_doctor(const struct settings *settings);

/* The formats, the grammar of SOURCE and what --to offers, for `whither join --help`. */
void cmd_join_help(FILE *out);
