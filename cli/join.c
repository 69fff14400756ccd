/* cli/join.c -- whither join: flow records in, named flows out
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/join.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/parsing.h"

/* ---- What is said on stderr ---- */

void clear_progress(struct report *report)
{
    if (report->shown_us != 0) {
        fputs("\r\033[K", stderr);
        report->shown_us = 0;
    }
}

void on_warning(void *ctx, const char *text)
{
    struct report *report = ctx;
    if (!report->settings->quiet) {
        clear_progress(report);
        fprintf(stderr, "whither join: %s\n", text);
    }
}

/* "1234567 flows, 45 % of 1200 MB, 310 k flows/s, 12 s left" */
static void on_progress(void *ctx, const struct join_totals *totals)
{
    struct report *report = ctx;
    int64_t now_us = clock_monotonic_us();
    int64_t since_us = report->shown_us != 0 ? report->shown_us : report->start_us;
    if (!report->settings->progress || now_us - since_us < PROGRESS_EVERY_US) {
        return;
    }
    double seconds = (double)(now_us - report->start_us) / (double)US_PER_S;
    fprintf(stderr, "\r\033[K%" PRIu64 " flows, %.0f/s", totals->flows,
            (double)totals->flows / seconds);
    if (report->sources->bytes > totals->bytes && totals->bytes > 0) {
        double done = (double)totals->bytes / (double)report->sources->bytes;
        fprintf(stderr, ", %.0f %% of %.1f MB, %.0f s left", done * 100,
                (double)report->sources->bytes / 1e6, seconds * (1 - done) / done);
    }
    fflush(stderr);
    report->shown_us = now_us;
}

static const char *list_item(bool *first)
{
    const char *text = *first ? ": " : ", ";
    *first = false;
    return text;
}

/* The final count: one line of flows by verdict, one each of what was left out and was bad. */
void print_totals(const struct report *report, const struct join_totals *totals)
{
    uint64_t skipped = 0;
    bool first = true;
    if (report->settings->quiet) {
        return;
    }
    fprintf(stderr, "whither join: %" PRIu64 " flow%s", totals->flows,
            totals->flows == 1 ? "" : "s");
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (totals->verdicts[verdict] > 0) {
            fprintf(stderr, "%s%" PRIu64 " %s", list_item(&first), totals->verdicts[verdict],
                    verdict_name((enum verdict)verdict));
        }
    }
    for (int skip = 0; skip < SKIP_COUNT; skip++) {
        skipped += totals->skipped[skip];
    }
    first = true;
    if (skipped > 0) {
        fprintf(stderr, "\nwhither join: %" PRIu64 " left out", skipped);
    }
    for (int skip = 0; skip < SKIP_COUNT; skip++) {
        if (totals->skipped[skip] > 0) {
            fprintf(stderr, "%s%" PRIu64 " %s", list_item(&first), totals->skipped[skip],
                    skip_name((enum skip)skip));
        }
    }
    if (totals->bad > 0) {
        fprintf(stderr, "\nwhither join: %" PRIu64 " bad record%s", totals->bad,
                totals->bad == 1 ? "" : "s");
    }
    if (totals->bad_inputs > 0) {
        fprintf(stderr, "%s%" PRIu64 " bad input%s",
                totals->bad > 0 ? ", " : "\nwhither join: ", totals->bad_inputs,
                totals->bad_inputs == 1 ? "" : "s");
    }
    fputc('\n', stderr);
}

/* ---- The run ---- */

int fail_join(int err, const struct why *why)
{
    /* Whoever read our output has enough (`| head`). */
    if (err == -EPIPE && why->text[0] == '\0') {
        return EXIT_FAILED;
    }
    fprintf(stderr, "whither join: %s\n", why->text[0] != '\0' ? why->text : err_str(err));
    return err == W_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
}

/* What write_stdout needs, and whether it wrote anything. */
struct written {
    struct why *why;
    bool any;
};

static int write_stdout(void *ctx, const char *bytes, size_t len)
{
    struct written *output = ctx;
    output->any |= len > 0;
    while (len > 0) {
        ssize_t done = write(STDOUT_FILENO, bytes, len);
        if (done < 0 && errno == EPIPE) {
            return -EPIPE;
        }
        if (done < 0 && errno != EINTR) {
            return why_set(output->why, -errno, "standard output could not be written: %s",
                           strerror(errno));
        }
        bytes += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* The result is read by a person. */
static bool to_terminal(const struct settings *settings)
{
    return isatty(STDOUT_FILENO) && (settings->out == NULL || strcmp(settings->out, "-") == 0);
}

static unsigned terminal_width(const struct settings *settings)
{
    struct winsize size;
    if (!to_terminal(settings)) {
        return 0;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

static int check_owners(const struct settings *settings, struct why *why)
{
    if (settings->owners.count > 0 && settings->server != NULL) {
        return why_set(why, W_EUSAGE,
                       "--owners is for an index of this machine; with --server the service's own "
                       "count");
    }
    for (size_t i = 0; i < settings->owners.count; i++) {
        for (size_t j = 0; j < settings->arg_count; j++) {
            if (settings->owners.items[i][0] == '-' && settings->args[j][0] == '-') {
                return why_set(why, W_EUSAGE, "standard input is either the owners or the flows");
            }
        }
    }
    return 0;
}

static int choose(const struct settings *settings, struct join_options *options, struct why *why)
{
    const char *to = settings->to;
    if (settings->arg_count == 0) {
        return why_set(why, W_EUSAGE,
                       "nothing to read: name a file, a directory, or - for "
                       "standard input");
    }
    if (settings->explain > 0) {
        to = SINK_EXPLAIN.name;
        options->sink = &SINK_EXPLAIN;
        options->sink_options.explain = settings->explain;
    } else if (to == NULL) {
        to = to_terminal(settings) ? "table" : "ecs";
    }
    options->sink = options->sink != NULL ? options->sink : sink_by_name(to);
    if (options->sink == NULL) {
        return why_set(why, W_EUSAGE, "--to %.60s: expected ecs, inline, table or csv", to);
    }
    return check_owners(settings, why);
}

/* All sources, one after the other; a source that is not there counts as bad input. */
static int read_all(struct join *join, const struct source_list *sources, struct why *why)
{
    for (size_t i = 0; i < sources->count; i++) {
        join_set_cluster(join, sources->clusters[i].text);
        int err = join_input(join, sources->paths[i], why);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int run(const struct join_options *options, struct report *report, unsigned missing)
{
    struct join *join;
    const struct written *output = options->write_ctx;
    struct why *why = output->why;
    int err = join_new(&join, options);
    if (err != 0) {
        return fail_join(err, why);
    }
    err = read_all(join, report->sources, why);
    struct join_totals totals = *join_totals(join);
    totals.bad_inputs += missing;
    report->last_flow_us = totals.last_flow_us;
    join_free(&join);
    clear_progress(report);
    if (err != 0) {
        return fail_join(err, why);
    }
    print_totals(report, &totals);
    if (report->sources->count == 0) {
        return EXIT_FAILED; /* not one of them was there */
    }
    if (options->sink == &SINK_EXPLAIN && !output->any) {
        why_set(why, -ENOENT, "--explain %" PRIu64 ": there is no such line or entry",
                options->sink_options.explain);
        return fail_join(-ENOENT, why);
    }
    return totals.bad > 0 || totals.bad_inputs > 0 ? EXIT_BAD_INPUT : EXIT_DONE;
}

/* Collects the sources; returns how many of the arguments stand for nothing, or a negative error.
 */
static int collect(const struct settings *settings, struct source_list *sources,
                   struct report *report, struct why *why)
{
    int missing = 0;
    for (size_t i = 0; i < settings->arg_count; i++) {
        int err = source_list_add(sources, settings->args[i], why);
        if (err == -ENOMEM || err == W_EUSAGE) {
            return err;
        }
        if (err != 0) {
            on_warning(report, why->text);
            why->text[0] = '\0';
            missing++;
        }
    }
    return missing;
}

int cmd_join(const struct settings *settings)
{
    struct why why = {""};
    struct written output = {&why, false};
    struct source_list sources = {0};
    struct report report = {settings, &sources, clock_monotonic_us(), 0, 0};
    struct attribute_params params = settings_attribution(settings);
    struct answers *answers = NULL;
    struct parsing parsing = {0};
    struct join_options options = {
        .cluster = settings->cluster,
        .sink_options = {settings->cluster, terminal_width(settings),
                         settings->color && to_terminal(settings), 0, &params, NULL},
        .write = write_stdout,
        .write_ctx = &output,
        .now_us = clock_now_us,
        .warn = on_warning,
        .progress = on_progress,
        .report_ctx = &report,
    };
    signal(SIGPIPE, SIG_IGN); /* an error of write(2) instead: the captures' index must go */
    int err = choose(settings, &options, &why);
    err = err != 0 ? err : check_follow(settings, &why);
    err = err != 0 ? err : parsing_init(&parsing, settings, &why);
    options.format = parsing.format;
    options.parser_options = parsing.options;
    err = err != 0 ? err : answers_open(&answers, settings, &why);
    int code = EXIT_FAILED;
    if (err == 0) {
        options.oracles = answers_oracles(answers, &options.workers);
        report.start_us = clock_monotonic_us();
        err = settings->follow ? 0 : collect(settings, &sources, &report, &why);
    }
    if (err >= 0 && settings->follow) {
        code = follow(&options, answers, &report);
    } else if (err >= 0) {
        code = run(&options, &report, (unsigned)err);
    } else {
        code = fail_join(err, &why);
    }
    if (code != EXIT_FAILED && code != EXIT_USAGE) {
        answers_warn_age(answers, report.last_flow_us);
    }
    if (code == EXIT_DONE && answers_doubtful(answers)) {
        code = EXIT_BAD_INPUT;
    }
    answers_close(&answers);
    source_list_fini(&sources);
    parsing_fini(&parsing);
    return code;
}

void cmd_join_help(FILE *out)
{
    fputs("SOURCE\n"
          "  FILE              a file of flow records; gzip and zstd are recognised\n"
          "  DIR               the files in a directory, by name\n"
          "  'GLOB'            the files a quoted pattern matches, by name\n"
          "  -                 standard input\n"
          "  'loki:URL?query=LOGQL&since=24h'\n"
          "                    lines out of Loki, page by page; also from and to (times), limit,\n"
          "                    org (tenant), token-file; URL is http[s]://[USER:PASS@]HOST:PORT\n"
          "  SOURCE,cluster=NAME\n"
          "                    a file, DIR, 'GLOB' or - of that cluster; loki: takes cluster=NAME\n"
          "                    among its parameters\n"
          "  With --follow, files that grow, are rotated, appear later or go; compressed ones are\n"
          "  left out.\n"
          "\nSINK (--out)\n"
          "  -                 standard output: after a restart, flows since the last checkpoint\n"
          "                    come again\n"
          "  file:PATH         a file that nobody else writes to: each flow once\n",
          out);
    parsing_help(out);
    fputs("\nOutput (--to)\n", out);
    for (size_t i = 0; SINKS[i] != NULL; i++) {
        fprintf(out, "  %-16s  %s\n", SINKS[i]->name, SINKS[i]->description);
    }
}
