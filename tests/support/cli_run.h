/* tests/support/cli_run.h -- a subcommand run inside the test program
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: one. Standard output and error are redirected while the command runs.
 */
#pragma once

#define CLI_ARGS_MAX 16

struct cli_run {
    int code;  /* exit code */
    char *out; /* standard output, terminated; not a terminal */
    char *err; /* standard error, likewise */
};

/* Runs lookup, names or status with these arguments, NULL-terminated: "lookup", "10.0.0.7", ... */
struct cli_run cli_run(const char *const *args);
void cli_run_free(struct cli_run *run);
