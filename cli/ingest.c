/* cli/ingest.c -- whither ingest FILE...: captures into an index, ours or a service's
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/ingest_owners.h"
#include "cli/load.h"
#include "cli/remote.h"
#include "join/source.h"
#include "store/store.h"

/* Answers gathered between commits: each commit writes every page it touches anew, so a load with
 * few of them is faster and leaves a smaller file. Taken only as far as answers come. */
#define INGEST_MEMORY_BYTES (UINT64_C(1) << 30)

#define PROGRESS_EVERY_US (200 * 1000)

/* One run of the command. */
struct run {
    const struct settings *settings;
    struct store *store;   /* NULL with --server */
    struct ingest *ingest; /* likewise */
    struct ingest_owners owners;
    struct remote *remote; /* NULL without --server */
    struct capture_summary sum;
    uint64_t others; /* records of flow logs that are no DNS responses */
    uint64_t bad;    /* records of flow logs */
    size_t bad_files;
    /* progress of this file */
    const char *path;
    int64_t begin_us; /* monotonic */
    int64_t shown_us;
    bool shown; /* a line stands on the terminal */
};

/* ---- Progress ---- */

static void clear_progress(struct run *run)
{
    if (run->shown) {
        fprintf(stderr, "\r\033[K");
        run->shown = false;
    }
}

static void show_progress(struct run *run, uint64_t frames, uint64_t octets, uint64_t size)
{
    int64_t now_us = clock_monotonic_us();
    if (!run->settings->progress || now_us - run->shown_us < PROGRESS_EVERY_US) {
        return;
    }
    double seconds = (double)(now_us - run->begin_us) / 1e6;
    run->shown_us = now_us;
    run->shown = true;
    fprintf(stderr, "\r\033[K%s: ", run->path);
    if (frames > 0) {
        fprintf(stderr, "%.1f M frames, %.2f M/s", (double)frames / 1e6,
                (double)frames / 1e6 / seconds);
    } else {
        fprintf(stderr, "%.1f MB", (double)octets / 1e6);
    }
    if (size > 0 && octets > 0 && octets <= size) {
        fprintf(stderr, ", %.0f %%, %.0f s left", 100.0 * (double)octets / (double)size,
                seconds * (double)(size - octets) / (double)octets);
    }
}

static void on_progress(void *ctx, const struct capture_summary *summary, uint64_t octets,
                        uint64_t size)
{
    show_progress(ctx, summary->frames, octets, size);
}

/* ---- Words ---- */

static void complain(void *ctx, const char *text)
{
    clear_progress(ctx);
    fprintf(stderr, "whither ingest: %s\n", text);
}

/* "12345 frames: 1100 answers, 5200 without address, skipped 6042 other-type, 3 bad-dns; from ..
 * to .." */
static void put_summary(const struct run *run)
{
    const struct capture_summary *sum = &run->sum;
    static const char BEFORE[] = "; skipped ";
    const char *before = BEFORE;
    if (sum->frames > 0 || sum->records == 0) {
        fprintf(stderr, "%" PRIu64 " frames", sum->frames);
    }
    if (sum->records > 0) {
        fprintf(stderr, "%s%" PRIu64 " DNS responses of flow logs", sum->frames > 0 ? " and " : "",
                sum->records);
    }
    fprintf(stderr, ": %" PRIu64 " answers, %" PRIu64 " without an address",
            sum->counts.kinds[FACT_ANSWER], sum->counts.kinds[FACT_ASKED]);
    for (int kind = FACT_SKIPPED; kind < FACT_KINDS; kind++) {
        if (sum->counts.kinds[kind] > 0) {
            fprintf(stderr, "%s%" PRIu64 " %s", before, sum->counts.kinds[kind],
                    fact_name((enum fact_kind)kind));
            before = ", ";
        }
    }
    if (sum->oversize > 0) {
        fprintf(stderr, "%s%" PRIu64 " oversize", before, sum->oversize);
    }
    if (run->others > 0) {
        fprintf(stderr, "; %" PRIu64 " other records", run->others);
    }
    if (run->bad > 0) {
        fprintf(stderr, "; %" PRIu64 " bad records", run->bad);
    }
    if (sum->cut > 0) {
        fprintf(stderr, "; %" PRIu64 " %s in the middle of a frame", sum->cut,
                sum->cut == 1 ? "capture ends" : "captures end");
    }
    if (sum->first_us != 0) {
        char first[TIME_TEXT_MAX];
        char last[TIME_TEXT_MAX];
        time_print(sum->first_us, first);
        time_print(sum->last_us, last);
        fprintf(stderr, "; from %s to %s", first, last);
    }
    fputc('\n', stderr);
}

/* ---- Into our own index ---- */

static int open_store(struct run *run, struct why *why)
{
    const struct store_options options = {.memory_bytes = INGEST_MEMORY_BYTES,
                                          .writer_note = "whither ingest"};
    int err = store_open(&run->store, run->settings->data, STORE_WRITE, &options, why);
    if (err == W_ELOCKED) {
        struct why held = *why;
        return why_set(why, err, "%.380s; --server URL sends captures to a running service",
                       held.text);
    }
    err = err == 0 ? ingest_new(&run->ingest, run->store, on_progress, run) : err;
    if (err == 0) {
        ingest_owners_init(&run->owners, run->store);
        ingest_keep_owners(run->ingest, &run->owners.keeper);
    }
    return err;
}

static int load_one(struct run *run, struct why *why)
{
    const struct settings *settings = run->settings;
    const struct load_options options = {
        .capture = {.cluster = settings->cluster,
                    .cluster_rules = settings->cluster_of.items,
                    .cluster_rule_count = settings->cluster_of.count,
                    .peer = run->path,
                    .covers_from_us = settings->covers.from_us,
                    .covers_to_us = settings->covers.to_us},
        .warn = complain,
        .warn_ctx = run,
    };
    struct load_result result;
    int err = load_file(run->ingest, &options, &result, why);
    capture_add(&run->sum, &result.summary);
    run->others += result.others;
    run->bad += result.bad;
    return err;
}

/* ---- Into a service's ---- */

struct sending {
    struct run *run;
    struct input *input;
    struct buf answer;
};

static ssize_t read_body(void *ctx, char *bytes, size_t cap)
{
    struct sending *sending = ctx;
    struct why why;
    int64_t len = input_read(sending->input, bytes, cap, &why);
    show_progress(sending->run, 0, input_consumed(sending->input), input_size(sending->input));
    return (ssize_t)len;
}

static int take_answer(void *ctx, const char *bytes, size_t len)
{
    struct sending *sending = ctx;
    buf_add(&sending->answer, bytes, len);
    return sending->answer.err;
}

/* The service's summary, as capture_json wrote it. */
static int read_summary(const struct buf *body, struct capture_summary *summary, struct why *why)
{
    enum { FRAMES, ANSWERS, NO_ADDRESS, FIRST, LAST, OVERSIZE, CUT, SKIPPED };
    enum { COUNT = SKIPPED + FACT_KINDS - FACT_SKIPPED };
    char names[FACT_KINDS][32];
    const char *pointers[COUNT] = {"/frames", "/answers",          "/no_address", "/first",
                                   "/last",   "/skipped/oversize", "/cut"};
    for (int kind = FACT_SKIPPED; kind < FACT_KINDS; kind++) {
        snprintf(names[kind], sizeof(names[kind]), "/skipped/%s", fact_name((enum fact_kind)kind));
        pointers[SKIPPED + kind - FACT_SKIPPED] = names[kind];
    }
    struct fields fields;
    int err = fields_init(&fields, pointers, COUNT);
    err = err == 0 ? fields_read(&fields, body->data, body->len, why) : err;
    if (err == 0) {
        summary->frames = (uint64_t)fields_int(&fields, FRAMES);
        summary->counts.kinds[FACT_ANSWER] = (uint64_t)fields_int(&fields, ANSWERS);
        summary->counts.kinds[FACT_ASKED] = (uint64_t)fields_int(&fields, NO_ADDRESS);
        summary->first_us = fields_time(&fields, FIRST);
        summary->last_us = fields_time(&fields, LAST);
        summary->oversize = (uint64_t)fields_int(&fields, OVERSIZE);
        summary->cut = (uint64_t)fields_int(&fields, CUT);
        for (int kind = FACT_SKIPPED; kind < FACT_KINDS; kind++) {
            summary->counts.kinds[kind] =
                (uint64_t)fields_int(&fields, (size_t)(SKIPPED + kind - FACT_SKIPPED));
        }
    }
    fields_fini(&fields);
    return err;
}

static void put_target(struct buf *target, const struct settings *settings)
{
    buf_str(target, "/v1/ingest?cluster=");
    remote_escape(target, settings->cluster, strlen(settings->cluster));
    if (settings->covers.from_us != 0) {
        char text[TIME_TEXT_MAX];
        time_print(settings->covers.from_us, text);
        buf_printf(target, "&from=%s", text);
        time_print(settings->covers.to_us, text);
        buf_printf(target, "&to=%s", text);
    }
    buf_char(target, '\0');
}

static int send_input(struct run *run, struct sending *sending, struct why *why)
{
    struct capture_summary summary = {0};
    struct buf target = {0};
    put_target(&target, run->settings);
    int err = target.err != 0 ? target.err
                              : remote_post(run->remote, target.data, "application/octet-stream",
                                            read_body, sending, take_answer, sending, why);
    err = err == 0 ? read_summary(&sending->answer, &summary, why) : err;
    capture_add(&run->sum, &summary);
    buf_fini(&target);
    if (err == 0 && summary.cut > 0) {
        why_set(why, 0, "ends in the middle of a frame; what is whole is loaded");
    }
    return err;
}

/* A compressed capture is sent uncompressed. */
static int send_file(struct run *run, struct why *why)
{
    struct sending sending = {.run = run};
    struct why what = {""};
    bool capture;
    int err = input_open(&sending.input, run->path, why);
    if (err != 0) {
        return err;
    }
    err = load_is_capture(sending.input, &capture, &what);
    if (err == 0 && !capture) {
        err = why_set(&what, W_EFORMAT,
                      "not Frame Streams; a service takes the DNS answers of a flow log by POST "
                      "/v1/flows?reply=none");
    }
    err = err == 0 ? send_input(run, &sending, &what) : err;
    if (what.text[0] != '\0' || err != 0) {
        why_set(why, err, "%s: %s", run->path, what.text[0] != '\0' ? what.text : err_str(err));
    }
    if (err == 0 && what.text[0] != '\0') {
        complain(run, why->text);
    }
    buf_fini(&sending.answer);
    input_close(&sending.input);
    return err;
}

/* ---- All files ---- */

/* True for errors of one file, after which the others are still worth loading. */
static bool is_files_fault(const struct run *run, int err)
{
    if (run->remote != NULL) {
        return err == W_ESYNTAX || err == W_EFORMAT || err == W_EDAMAGED || err == -ENOENT ||
               err == -EISDIR;
    }
    return err != W_ELIMIT && err != -ENOMEM;
}

static int load_all(struct run *run)
{
    for (size_t i = 0; i < run->settings->arg_count; i++) {
        struct why why = {""};
        run->path = run->settings->args[i];
        run->begin_us = run->shown_us = clock_monotonic_us();
        int err = run->remote != NULL ? send_file(run, &why) : load_one(run, &why);
        if (err != 0) {
            complain(run, why.text[0] != '\0' ? why.text : err_str(err));
            run->bad_files++;
        }
        if (err != 0 && !is_files_fault(run, err)) {
            return err;
        }
    }
    clear_progress(run);
    return 0;
}

static int open_target(struct run *run, struct why *why)
{
    const struct settings *settings = run->settings;
    return settings->server != NULL
               ? remote_new(&run->remote, settings->server, settings->token_file, why)
               : open_store(run, why);
}

static int exit_code(const struct run *run)
{
    bool bad = run->bad_files > 0 || run->bad > 0 || run->sum.counts.kinds[FACT_BAD] > 0 ||
               run->sum.oversize > 0 || run->sum.cut > 0;
    return bad ? EXIT_BAD_INPUT : EXIT_DONE;
}

int cmd_ingest(const struct settings *settings)
{
    struct run run = {.settings = settings};
    struct why why = {""};
    int err = open_target(&run, &why);
    int loaded = err == 0 ? load_all(&run) : 0;
    if (err == 0 && run.ingest != NULL) {
        err = ingest_finish(run.ingest, &why);
    }
    if (err != 0) {
        fprintf(stderr, "whither ingest: %s\n", why.text[0] != '\0' ? why.text : err_str(err));
    } else if (!settings->quiet) {
        put_summary(&run);
    }
    ingest_free(&run.ingest);
    int kept = ingest_owners_fini(&run.owners);
    if (kept != 0) {
        fprintf(stderr, "whither ingest: whose the addresses were could not be kept: %s\n",
                err_str(kept));
        err = err == 0 ? kept : err;
    }
    store_close(&run.store);
    remote_free(&run.remote);
    if (err != 0 || loaded != 0) {
        return err == W_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    return exit_code(&run);
}
