/* tests/support/cli_run.c -- a subcommand run inside the test program
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/cli_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"

/* Sends what goes to `fd` to a temporary file. Returns the old one, duplicated. */
static int redirect(int fd, FILE *to)
{
    int old = dup(fd);
    if (to == NULL || old < 0 || dup2(fileno(to), fd) < 0) {
        abort();
    }
    return old;
}

static void restore(int fd, int old)
{
    if (dup2(old, fd) < 0) {
        abort();
    }
    close(old);
}

static char *read_all(FILE *file)
{
    fseek(file, 0, SEEK_END);
    long len = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)len + 1);
    if (text == NULL || fread(text, 1, (size_t)len, file) != (size_t)len) {
        abort();
    }
    fclose(file);
    return text;
}

static int dispatch(const struct settings *settings)
{
    switch (settings->command) {
    case COMMAND_LOOKUP:
        return cmd_lookup(settings);
    case COMMAND_NAMES:
        return cmd_names(settings);
    case COMMAND_STATUS:
        return cmd_status(settings);
    default:
        abort();
    }
}

struct cli_run cli_run(const char *const *args)
{
    char *argv[CLI_ARGS_MAX + 2] = {(char *)"whither"};
    int argc = 1;
    for (; args[argc - 1] != NULL && argc <= CLI_ARGS_MAX; argc++) {
        argv[argc] = (char *)args[argc - 1];
    }
    struct cli_run run;
    struct settings settings;
    struct why why = {""};
    FILE *out = tmpfile(), *err = tmpfile();
    fflush(stdout);
    fflush(stderr);
    int old_out = redirect(STDOUT_FILENO, out), old_err = redirect(STDERR_FILENO, err);
    if (settings_parse(&settings, argc, argv, &why) == 0) {
        run.code = dispatch(&settings);
    } else {
        fprintf(stderr, "%s\n", why.text);
        run.code = EXIT_USAGE;
    }
    settings_fini(&settings);
    fflush(stdout);
    fflush(stderr);
    restore(STDOUT_FILENO, old_out);
    restore(STDERR_FILENO, old_err);
    run.out = read_all(out);
    run.err = read_all(err);
    return run;
}

void cli_run_free(struct cli_run *run)
{
    free(run->out);
    free(run->err);
}
