/* cli/follow.c -- whither join --follow
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/follow.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/followed.h"

int check_follow(const struct settings *settings, struct why *why)
{
    if (!settings->follow) {
        const char *flag = settings->out != NULL          ? "--out"
                           : settings->checkpoint != NULL ? "--checkpoint"
                                                          : NULL;
        return flag == NULL
                   ? 0
                   : why_set(why, W_EUSAGE, "%s is for --follow; redirect standard output", flag);
    }
    if (settings->captures.count > 0) {
        return why_set(why, W_EUSAGE,
                       "--follow needs an index that grows: --data or --server "
                       "instead of --dnstap");
    }
    if (settings->explain > 0) {
        return why_set(why, W_EUSAGE, "--explain is for a join without --follow");
    }
    return 0;
}

/* "1234 flows, 100/s, 12 held" */
static void on_follow_progress(void *ctx, const struct join_totals *totals, size_t held)
{
    struct report *report = ctx;
    int64_t now_us = clock_monotonic_us();
    int64_t since_us = report->shown_us != 0 ? report->shown_us : report->start_us;
    if (!report->settings->progress || now_us - since_us < PROGRESS_EVERY_US) {
        return;
    }
    double seconds = (double)(now_us - report->start_us) / (double)US_PER_S;
    fprintf(stderr, "\r\033[K%" PRIu64 " flows, %.0f/s, %zu held", totals->flows,
            (double)totals->flows / seconds, held);
    fflush(stderr);
    report->shown_us = now_us;
}

/* ---- Signals ---- */

static struct live *_Atomic running; /* for the handler */
static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    struct live *live = running;
    (void)number;
    signalled = 1;
    if (live != NULL) {
        live_stop(live);
    }
}

/* The first signal ends the run in order; a second one as ever. */
static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESETHAND;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* A limit on the size of files is an error of write(2), as a full disk is. */
    signal(SIGXFSZ, SIG_IGN);
}

/* Runs until a signal; one that came before counts. */
static int run_until_signal(struct live *live, struct why *why)
{
    running = live;
    if (signalled) {
        live_stop(live);
    }
    int err = live_run(live, why);
    running = NULL;
    return err;
}

/* Each file that is followed is open. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int follow_files(const struct followed *followed, const struct join_options *options,
                        struct answers *answers, struct report *report)
{
    const struct settings *settings = report->settings;
    struct live_index *index = answers_index(answers);
    struct why why = {""};
    struct live *live;
    const struct live_options live_options = {
        .sources = followed->items,
        .source_count = followed->count,
        .out = settings->out != NULL ? settings->out : "-",
        .checkpoint = settings->checkpoint,
        .cluster = options->cluster,
        .format = options->format,
        .sink = options->sink,
        .sink_options = options->sink_options,
        .parser_options = options->parser_options,
        .oracle = options->oracles[0],
        .skew_us = settings->skew_us,
        .settle_us = settings->settle_us,
        .refresh = index != NULL ? live_index_refresh : NULL,
        .rest = index != NULL ? live_index_rest : NULL,
        .settled = index != NULL ? live_index_settled : NULL,
        .index_ctx = index,
        .warn = on_warning,
        .progress = on_follow_progress,
        .report_ctx = report,
    };
    raise_file_limit();
    catch_signals();
    int err = live_new(&live, &live_options, &why);
    if (err != 0) {
        return fail_join(err, &why);
    }
    err = run_until_signal(live, &why);
    bool ended = !signalled; /* by itself: standard input ended */
    struct join_totals totals = *live_totals(live);
    live_free(&live);
    clear_progress(report);
    report->last_flow_us = totals.last_flow_us;
    if (err != 0) {
        return fail_join(err, &why);
    }
    print_totals(report, &totals);
    bool bad = totals.bad > 0 || totals.bad_inputs > 0;
    return ended && bad ? EXIT_BAD_INPUT : EXIT_DONE;
}

/* From the threads that pull out of Loki. */
static void on_spool_warning(void *ctx, const char *text)
{
    const struct settings *settings = ctx;
    if (!settings->quiet) {
        fprintf(stderr, "whither join: %s\n", text);
    }
}

/* PATH of --out file:PATH, NULL for anything else. */
static const char *out_path(const struct settings *settings)
{
    bool file = settings->out != NULL && strncmp(settings->out, "file:", 5) == 0;
    return file ? settings->out + 5 : NULL;
}

int follow(const struct join_options *options, struct answers *answers, struct report *report)
{
    const struct settings *settings = report->settings;
    struct why why = {""};
    struct followed followed;
    int err = followed_start(&followed, settings->args, settings->arg_count, out_path(settings),
                             on_spool_warning, (void *)(uintptr_t)settings, &why);
    int code = err != 0 ? fail_join(err, &why) : follow_files(&followed, options, answers, report);
    followed_stop(&followed);
    return code;
}
