/* join/live.c -- flow logs that grow, joined as they do
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/live.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "join/live_parts.h"

#define CHECKPOINT_US US_PER_S
#define REPORT_US US_PER_S
/* How often it is looked whether others learned of owners. */
#define OWNERS_EVERY_US US_PER_S

void live_warn(const struct live *live, const char *format, ...)
{
    char line[1024];
    if (live->options.warn == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    live->options.warn(live->options.report_ctx, line);
}

/* ---- Checkpoints ---- */

static int save(struct live *live, bool closed, struct why *why)
{
    struct out_state state;
    int err = out_sync(live->out, &state);
    if (err != 0) {
        return why_set(why, err, "%s: %s", live_out_name(live), strerror(-err));
    }
    state.closed = closed;
    tail_keep_none(live->tail);
    hold_keep(live->hold);
    live->checkpoint_us = clock_monotonic_us();
    struct why reason = {""};
    err = checkpoint_write(live->checkpoint, live->options.out, &state, live->tail, live->repeats,
                           live->interfaces, clock_now_us(), &live->scratch, &reason);
    if (err != 0 && !live->checkpoint_failed) {
        live_warn(live, "%s; the last checkpoint stands, and it is tried again", reason.text);
    } else if (err == 0 && live->checkpoint_failed) {
        live_warn(live, "%s: written again", live->checkpoint);
    }
    live->checkpoint_failed = err != 0;
    live->changed = err != 0;
    return 0;
}

/* What stands before the first flow of an output. */
static int begin_output(struct live *live, struct why *why)
{
    if (live->options.sink->begin == NULL) {
        return 0;
    }
    buf_reset(&live->pending);
    live->options.sink->begin(live->sink, &live->pending);
    int err = live->pending.err != 0 ? live->pending.err : live_write_pending(live, why);
    live->is_pending = false;
    return err;
}

/* The output was renamed: the rest goes to a new file, once a checkpoint says that the old one is
 * whole. */
static int change_output(struct live *live, struct why *why)
{
    int err = save(live, true, why);
    if (err != 0 || live->checkpoint_failed) {
        return err;
    }
    err = out_reopen(live->out, why);
    err = err == 0 ? begin_output(live, why) : err;
    return err == 0 ? save(live, false, why) : err;
}

static int save_if_due(struct live *live, struct why *why)
{
    bool due = clock_monotonic_us() - live->checkpoint_us >= CHECKPOINT_US;
    if (live->checkpoint == NULL || !due || live->is_pending) {
        return 0;
    }
    if (out_moved(live->out)) {
        return change_output(live, why);
    }
    return live->changed ? save(live, false, why) : 0;
}

/* ---- The run ---- */

static void report(struct live *live, int64_t now_us)
{
    int64_t monotonic_us = clock_monotonic_us();
    if (monotonic_us - live->reported_us >= REPORT_US) {
        struct tail_totals tail = tail_totals(live->tail);
        int64_t oldest_us = hold_oldest_us(live->hold);
        live->reported_us = monotonic_us;
        counter_set(COUNT_FOLLOW_FILES, tail.files);
        counter_set(COUNT_FOLLOW_UNREAD, tail.unread);
        counter_set(COUNT_FOLLOW_BYTES, tail.bytes);
        counter_set(COUNT_FOLLOW_TRUNCATED, tail.truncated);
        counter_set(COUNT_FOLLOW_LOST, tail.lost);
        counter_set(COUNT_FOLLOW_BAD, live->totals.bad);
        counter_set(COUNT_FOLLOW_HELD, hold_count(live->hold));
        counter_set(COUNT_FOLLOW_LAG, oldest_us != 0 && now_us > oldest_us
                                          ? (uint64_t)((now_us - oldest_us) / US_PER_S)
                                          : 0);
    }
    if (live->options.progress != NULL) {
        live->options.progress(live->options.report_ctx, &live->totals, hold_count(live->hold));
    }
}

static int refresh(struct live *live, int64_t now_us, struct why *why)
{
    const struct live_options *options = &live->options;
    return options->refresh != NULL ? options->refresh(options->index_ctx, now_us, why) : 0;
}

/* Reads a little and gives out what may go. Returns 1 if there was anything to do. */
static int work(struct live *live, int64_t now_us, struct why *why)
{
    int64_t monotonic_us = clock_monotonic_us();
    int err = 0;
    if (tail_look_due(live->tail, monotonic_us)) {
        err = tail_look(live->tail, monotonic_us);
    }
    if (err != 0 || monotonic_us < live->retry_us) {
        return err;
    }
    /* Something failed before: nothing is read until it works. */
    int pieces = live->retry_us == 0 ? live_read_some(live, now_us, why) : 0;
    if (pieces < 0 || hold_count(live->hold) == 0) {
        return pieces < 0 ? pieces : pieces > 0;
    }
    err = refresh(live, now_us, why);
    int given = err == 0 ? live_decide(live, now_us, false, why) : err;
    if (given < 0) {
        return given == -EAGAIN ? 0 : given;
    }
    return pieces > 0 || given > 0;
}

/* Standard input was all there was, and it is done with. */
static bool is_done(const struct live *live)
{
    return tail_ended(live->tail) && hold_count(live->hold) == 0;
}

static void wait_for_more(struct live *live)
{
    if (live->options.rest != NULL) {
        live->options.rest(live->options.index_ctx);
    }
    tail_wait(live->tail, live->stop_fd, TAIL_LOOK_US);
}

/* The end: what is held is decided, as far as that is possible. */
static int finish(struct live *live, struct why *why)
{
    int64_t now_us = clock_now_us();
    int err = refresh(live, now_us, why);
    err = err == 0 ? live_decide(live, now_us, true, why) : err;
    err = err == -EAGAIN && live->said != 0 ? live->said : err;
    if (err >= 0 && live->checkpoint != NULL) {
        err = save(live, true, why);
        if (err == 0 && live->checkpoint_failed) {
            err = why_set(why, -EIO,
                          "%s: could not be written; the next start goes on from the "
                          "one before",
                          live->checkpoint);
        }
    }
    report(live, now_us);
    return err > 0 ? 0 : err;
}

int live_run(struct live *live, struct why *why)
{
    int err = 0;
    while (err >= 0 && !atomic_load(&live->stopped) && !is_done(live)) {
        int64_t now_us = clock_now_us();
        int busy = work(live, now_us, why);
        err = busy < 0 ? busy : save_if_due(live, why);
        report(live, now_us);
        if (err == 0 && busy == 0) {
            wait_for_more(live);
        }
    }
    return err < 0 ? err : finish(live, why);
}

void live_stop(struct live *live)
{
    uint64_t one = 1;
    atomic_store(&live->stopped, true);
    if (write(live->stop_fd, &one, sizeof(one)) < 0) {
        return; /* it is set already */
    }
}

const struct join_totals *live_totals(const struct live *live)
{
    return &live->totals;
}

/* ---- Making ---- */

static void say(void *ctx, const char *text)
{
    live_warn(ctx, "%s", text);
}

static bool has_stream(const struct live_options *options)
{
    for (size_t i = 0; i < options->source_count; i++) {
        const char *source = options->sources[i];
        if (source[0] == '-' && (source[1] == '\0' || source[1] == ',')) {
            return true;
        }
    }
    return false;
}

/* A file is exactly once only if what goes into it can be read again. */
static int check_options(const struct live_options *options, struct why *why)
{
    bool file = strcmp(options->out, "-") != 0;
    if (has_stream(options) && (file || options->checkpoint != NULL)) {
        return why_set(why, W_EUSAGE,
                       "standard input cannot be read again after a restart, which %s needs; leave "
                       "that out and redirect standard output",
                       file ? "--out file:PATH" : "--checkpoint");
    }
    return 0;
}

static int name_checkpoint(struct live *live)
{
    const char *path = out_path(live->out);
    if (live->options.checkpoint != NULL) {
        live->checkpoint = strdup(live->options.checkpoint);
        return live->checkpoint == NULL ? -ENOMEM : 0;
    }
    if (path != NULL && asprintf(&live->checkpoint, "%s.checkpoint", path) < 0) {
        live->checkpoint = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int make_tail(struct live *live, struct why *why)
{
    const struct live_options *options = &live->options;
    const struct tail_options tail_options = {
        .warn = say,
        .warn_ctx = live,
        .except = {out_path(live->out), live->checkpoint},
    };
    int err = tail_new(&live->tail, &tail_options);
    for (size_t i = 0; i < options->source_count && err == 0; i++) {
        err = tail_add(live->tail, options->sources[i], why);
    }
    return err;
}

static int make_parts(struct live *live, struct why *why)
{
    const struct live_options *options = &live->options;
    const struct hold_options hold_options = {
        .skew_us = options->skew_us,
        .settle_us = options->settle_us,
        .max_bytes = options->hold_bytes > 0 ? options->hold_bytes : LIVE_HOLD_BYTES,
        .max_count = LIVE_HOLD_COUNT,
        .settled = options->settled,
        .settled_ctx = options->index_ctx,
    };
    int err = make_tail(live, why);
    err = err == 0 ? hold_new(&live->hold, &hold_options) : err;
    err = err == 0 ? repeats_new(&live->repeats) : err;
    err = err == 0 ? interfaces_new(&live->interfaces) : err;
    err = err == 0 ? parser_new(&live->parser, &options->parser_options) : err;
    return err == 0 ? sink_new(&live->sink, options->sink, &options->sink_options) : err;
}

static int restore(struct live *live, const struct checkpoint *checkpoint, struct why *why)
{
    if (strcmp(checkpoint->sink, live->options.out) != 0) {
        return why_set(why, W_EUSAGE,
                       "%s was written for --out %.200s; name another file with --checkpoint",
                       live->checkpoint, checkpoint->sink);
    }
    int err = 0;
    for (size_t i = 0; i < checkpoint->mark_count && err == 0; i++) {
        err = tail_restore(live->tail, &checkpoint->marks[i]);
    }
    if (err == 0 &&
        (repeats_load(live->repeats, checkpoint->repeats, checkpoint->repeats_len) != 0 ||
         interfaces_load(live->interfaces, checkpoint->interfaces, checkpoint->interfaces_len) !=
             0)) {
        err = why_set(why, W_EDAMAGED, "%s is damaged", live->checkpoint);
    }
    return err;
}

/* Goes on where the checkpoint says, or begins and says so in a first one: an output without a
 * checkpoint is never ours. */
static int resume(struct live *live, struct why *why)
{
    struct checkpoint checkpoint;
    if (live->checkpoint == NULL) {
        return begin_output(live, why);
    }
    int found = checkpoint_read(&checkpoint, live->checkpoint, why);
    if (found != 0 && found != -ENOENT) {
        return found;
    }
    int err = found == 0 ? restore(live, &checkpoint, why) : 0;
    err = err == 0
              ? out_resume(live->out, found == 0 ? &checkpoint.out : NULL, live->checkpoint, why)
              : err;
    checkpoint_fini(&checkpoint);
    /* The first checkpoint knows the files, even those that nothing was read of. */
    err = err == 0 ? tail_look(live->tail, clock_monotonic_us()) : err;
    err = err == 0 ? save(live, false, why) : err;
    if (err == 0 && live->checkpoint_failed && found != 0) {
        return why_set(why, -EIO, "%s: no checkpoint could be written", live->checkpoint);
    }
    return err == 0 && out_is_empty(live->out) ? begin_output(live, why) : err;
}

int live_new(struct live **out, const struct live_options *options, struct why *why)
{
    struct live *live = calloc(1, sizeof(*live));
    *out = NULL;
    if (live == NULL) {
        return -ENOMEM;
    }
    live->options = *options;
    live->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = live->stop_fd < 0 ? -errno : check_options(options, why);
    err = err == 0 ? out_open(&live->out, options->out, why) : err;
    err = err == 0 ? name_checkpoint(live) : err;
    err = err == 0 ? make_parts(live, why) : err;
    err = err == 0 ? resume(live, why) : err;
    if (err != 0) {
        live_free(&live);
        return err;
    }
    *out = live;
    return 0;
}

void live_free(struct live **out)
{
    struct live *live = *out;
    if (live == NULL) {
        return;
    }
    hold_free(&live->hold); /* before the files that it holds */
    tail_free(&live->tail);
    repeats_free(&live->repeats);
    interfaces_free(&live->interfaces);
    parser_free(&live->parser);
    sink_free(&live->sink);
    out_close(&live->out);
    buf_fini(&live->scratch);
    buf_fini(&live->pending);
    free(live->checkpoint);
    free(live->questions);
    free(live->asked);
    free(live->parsed);
    if (live->stop_fd >= 0) {
        close(live->stop_fd);
    }
    free(live);
    *out = NULL;
}

/* ---- An index ---- */

int live_index_refresh(void *ctx, int64_t now_us, struct why *why)
{
    struct live_index *index = ctx;
    index->began_us = index->began_us != 0 ? index->began_us : now_us;
    int64_t monotonic_us = clock_monotonic_us();
    index->index.now_us = now_us;
    int err = store_view_refresh(index->view, why);
    if (err == 0 && index->owners != NULL && monotonic_us - index->owners_us >= OWNERS_EVERY_US) {
        index->owners_us = monotonic_us;
        err = owners_store_load(index->owners, index->view);
        err = err == 0 ? 0 : why_set(why, err, "the owners could not be read: %s", err_str(err));
    }
    return err;
}

void live_index_rest(void *ctx)
{
    struct live_index *index = ctx;
    store_view_rest(index->view);
}

/* Senders come back within ten seconds after a service did, and are not in the index before
 * they have said something: nobody to wait for is then no reason not to wait. */
#define SENDERS_COME_US (12 * US_PER_S)

struct listening {
    const char *cluster;
    bool any;
};

static bool find_listening(void *ctx, const struct store_stream *stream)
{
    struct listening *listening = ctx;
    listening->any |= stream->kind == STREAM_LIVE && stream->end == STREAM_OPEN &&
                      strcmp(stream->cluster, listening->cluster) == 0;
    return !listening->any;
}

bool live_index_settled(void *ctx, const char *cluster, int64_t time_us, int64_t now_us)
{
    struct live_index *index = ctx;
    struct listening listening = {cluster != NULL ? cluster : index->cluster, false};
    if (now_us - time_us < index->settle_us && now_us - index->began_us < SENDERS_COME_US) {
        store_streams(index->view, find_listening, &listening);
        if (!listening.any) {
            return false;
        }
    }
    return store_settled(index->view, listening.cluster, time_us, now_us, index->settle_us);
}
