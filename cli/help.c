/* cli/help.c -- the pages of --help, made from the table of flags
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "cli/flags.h"
#include "cli/settings.h"

#define HELP_COLUMN 30
#define HELP_WIDTH 98

static const char *const GROUPS[GROUP_COUNT] = {
    [GROUP_DNSTAP] = "Senders",
    [GROUP_HTTP] = "HTTP",
    [GROUP_INDEX] = "Index",
    [GROUP_INPUT] = "Input",
    [GROUP_ATTRIBUTION] = "Attribution",
    [GROUP_OUTPUT] = "Output",
    [GROUP_GENERAL] = "General",
};

struct page {
    const char *usage;
    const char *line;  /* in the list of commands */
    const char *about; /* after the usage */
    const char *examples;
};

static const struct page PAGES[COMMAND_COUNT] = {
    [COMMAND_SERVE] =
        {"whither serve --dnstap LISTEN [flags]",
         "the service: takes dnstap from DNS servers, answers lookups over HTTP",
         "Takes the DNS answers that CoreDNS (or any dnstap sender) gave to each client, keeps\n"
         "them in an index on disk, and answers over HTTP which name a connection was going to.\n"
         "Runs until SIGTERM or SIGINT; what was received by then is on disk.",
         "  whither serve --dnstap unix:/run/whither/dnstap.sock --data /var/lib/whither\n"
         "  whither serve --dnstap tcp:0.0.0.0:6000 --dnstap-allow 10.244.0.0/16\n"
         "  whither serve --config /etc/whither.yaml\n"},
    [COMMAND_INGEST] =
        {"whither ingest FILE... [flags]", "loads dnstap captures into an index",
         "Loads Frame Streams captures, as fstrm_capture and unbound write them, into an index;\n"
         "- is standard input. Nothing is deleted by age. While a service writes the index,\n"
         "--server sends the captures to it.",
         "  whither ingest dns.fstrm --data ./index\n"
         "  whither ingest hour-*.fstrm --data ./index "
         "--covers 2026-05-22T10:00:00Z..2026-05-22T18:00:00Z\n"
         "  whither ingest dns.fstrm --server http://127.0.0.1:8053\n"},
    [COMMAND_JOIN] =
        {"whither join SOURCE... [flags]", "attaches names to flow records",
         "Reads flow records and says for each which name it was going to, by the answers its\n"
         "source had received. One line for each record, in the order read.",
         "  whither join flows.jsonl --data /var/lib/whither\n"
         "  journalctl -k -o json | whither join - --to table\n"
         "  whither join flows.jsonl --dnstap dns.fstrm --to inline > named.jsonl\n"},
    [COMMAND_LOOKUP] =
        {"whither lookup SRC DST [flags]", "one question: where was this connection going?",
         "Says which name the source was going to when it connected to the destination. Both are\n"
         "IP addresses; nothing is resolved.",
         "  whither lookup 10.244.0.21 99.83.136.103\n"
         "  whither lookup 10.244.0.21 99.83.136.103 --at 2026-05-22T10:00:01Z --output json\n"
         "  whither lookup 10.244.0.21 2001:db8::7 --server http://127.0.0.1:8053\n"},
    [COMMAND_NAMES] =
        {"whither names NAME|IP|CLIENT [flags]",
         "the index the other way round: who asked for a name, what an address was called",
         "For a name: who asked for it and what they got. For an address: the names it was\n"
         "answered for, and what it asked for as a client itself.",
         "  whither names api.telegram.org\n"
         "  whither names example.com --under --since 2026-05-22T00:00:00Z\n"
         "  whither names 99.83.136.103 --output json\n"},
    [COMMAND_STATUS] =
        {"whither status [flags]", "span, size, senders, blind intervals",
         "Shows what the index holds, up to when each sender's answers are on disk, and the times\n"
         "in which answers could have been missed.",
         "  whither status --data /var/lib/whither\n"
         "  whither status --server http://127.0.0.1:8053 --output json\n"},
    [COMMAND_DOCTOR] =
        {"whither doctor [SOURCE...] [flags]",
         "can the answers be trusted: what is wrong, and the remedy",
         "Looks at what senders sent, when nobody watched and what the index holds, and says what\n"
         "is wrong with evidence, consequence and remedy. With flow records (SOURCE as for join),\n"
         "also whether they fit the answers. Exit codes: 0 nothing, 4 warnings, 5 errors, 1 the\n"
         "index or the service could not be asked.",
         "  whither doctor --data /var/lib/whither\n"
         "  whither doctor --server http://127.0.0.1:8053 --window 7d\n"
         "  whither doctor flows.jsonl --data /var/lib/whither\n"
         "  whither doctor --output json\n"},
};

/* Prints `text` in words from HELP_COLUMN on; the cursor stands at `column`. */
static void print_wrapped(FILE *out, int column, const char *text)
{
    if (column >= HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - column, "");
    column = HELP_COLUMN;
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        column += fprintf(out, "%.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_flag(FILE *out, const struct flag *flag)
{
    char help[512];
    int column = fprintf(out, "  --%s%s%s", flag->name, flag->placeholder == NULL ? "" : " ",
                         flag->placeholder == NULL ? "" : flag->placeholder);
    bool says_default = flag->fallback != NULL && strcmp(flag->fallback, "0") != 0;
    snprintf(help, sizeof(help), says_default ? "%s (%s)" : "%s", flag->help, flag->fallback);
    print_wrapped(out, column, help);
}

static void print_program(FILE *out)
{
    fputs("whither says which name a connection was going to, by the DNS answers its source had\n"
          "really received.\n\nUsage: whither COMMAND [flags]\n\n",
          out);
    for (enum command i = COMMAND_SERVE; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-8s %s\n", command_name(i), PAGES[i].line);
    }
    fputs("\n`whither COMMAND --help` shows its flags. Exit codes: 0 done, 1 failed, 2 usage,\n"
          "3 finished but some input was bad.\n",
          out);
}

void settings_help(FILE *out, enum command command, void (*more)(FILE *out))
{
    if (command == COMMAND_NONE || command >= COMMAND_COUNT) {
        print_program(out);
        return;
    }
    const struct page *page = &PAGES[command];
    fprintf(out, "Usage: %s\n\n%s\n", page->usage, page->about);
    for (enum flag_group group = GROUP_DNSTAP; group < GROUP_COUNT; group++) {
        bool titled = false;
        for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
            if (FLAGS[i].group != group || !flag_fits(&FLAGS[i], command)) {
                continue;
            }
            if (!titled) {
                fprintf(out, "\n%s\n", GROUPS[group]);
                titled = true;
            }
            print_flag(out, &FLAGS[i]);
        }
    }
    if (more != NULL) {
        fputc('\n', out);
        more(out);
    }
    fprintf(out, "\nExamples\n%s", page->examples);
}
