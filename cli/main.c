/* cli/main.c -- reads the command line and dispatches
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/settings.h"

static const struct {
    int (*run)(const struct settings *settings);
    void (*help)(FILE *out);
} COMMANDS[COMMAND_COUNT] = {
    [COMMAND_NONE] = {NULL, NULL},         [COMMAND_SERVE] = {cmd_serve, NULL},
    [COMMAND_INGEST] = {cmd_ingest, NULL}, [COMMAND_JOIN] = {cmd_join, cmd_join_help},
    [COMMAND_LOOKUP] = {cmd_lookup, NULL}, [COMMAND_NAMES] = {cmd_names, NULL},
    [COMMAND_STATUS] = {cmd_status, NULL}, [COMMAND_DOCTOR] = {cmd_doctor, NULL},
};

/* Data that did not reach standard output (a full disk) must not look like success. */
static int flush_output(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "whither: standard output could not be written\n");
        return code == EXIT_DONE ? EXIT_FAILED : code;
    }
    return code;
}

static int run(const struct settings *settings)
{
    if (settings->request == REQUEST_VERSION) {
        printf("whither %s\n", WHITHER_VERSION);
        return EXIT_DONE;
    }
    if (settings->request == REQUEST_HELP) {
        settings_help(stdout, settings->command, COMMANDS[settings->command].help);
        return EXIT_DONE;
    }
    log_set_level(settings->log_level);
    return COMMANDS[settings->command].run(settings);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct why why = {""};
    int err = settings_parse(&settings, argc, argv, &why);
    int code;
    if (err == 0) {
        code = flush_output(run(&settings));
    } else {
        const char *command = command_name(settings.command);
        fprintf(stderr, "whither%s%s: %s\n", command[0] == '\0' ? "" : " ", command,
                why.text[0] == '\0' ? err_str(err) : why.text);
        code = err == W_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    settings_fini(&settings);
    return code;
}
