/* collector/collector.c -- the loop of the service: what is due, the queue, the orderly end
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/collector.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/counters.h"
#include "collector/internal.h"

enum {
    MAX_CONNECTIONS_DEFAULT = 1024,
    UNIX_MODE_DEFAULT = 0666,
    PARTIAL_BYTES_DEFAULT = 16 * 1024 * 1024,
    /* Descriptors for everything that is no connection: the index, HTTP, libuv. */
    OTHER_FDS = 2048,
    SWEEP_MS = 1000,
    /* A batch that is not full waits this long, so that the writer is not woken for a few frames.
     */
    BATCH_MS = 50,
    DRAIN_MS = 50,
};

#define HANDSHAKE_DEFAULT_US (10 * US_PER_S)
/* While stopping: reading ends when nothing came for so long, or at the latest after ... */
#define DRAIN_QUIET_US (150 * 1000)
#define DRAIN_MAX_US US_PER_S
/* ... and everything ends after. */
#define STOP_MAX_US (4 * US_PER_S)

/* What a peer does wrong once differs from peer to peer; what it does wrong with each frame is said
 * once in a while. */
static const struct log_limit LOG_LIMITS[LIMITS] = {
    [LIMIT_CLOSED] = {.interval_us = 10 * US_PER_S, .burst = 5},
    [LIMIT_TOO_MANY] = {.interval_us = 10 * US_PER_S, .burst = 1},
    [LIMIT_NOT_FULL] = {.interval_us = US_PER_MIN, .burst = 1},
    [LIMIT_AWAY] = {.interval_us = US_PER_MIN, .burst = 1},
    [LIMIT_OVERSIZE] = {.interval_us = 10 * US_PER_S, .burst = 1},
    [LIMIT_ACCEPT] = {.interval_us = 10 * US_PER_S, .burst = 1},
    [LIMIT_PAUSED] = {.interval_us = 10 * US_PER_S, .burst = 1},
};

void collector_log(struct collector *collector, enum limit limit, const char *format, ...)
{
    uint32_t suppressed;
    if (!log_limit_pass(&collector->limits[limit], clock_monotonic_us(), &suppressed)) {
        return;
    }
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (suppressed > 0) {
        log_warn("%s (and %" PRIu32 " like it before)", text, suppressed);
    } else {
        log_warn("%s", text);
    }
}

/* ---- Batches ---- */

uint64_t collector_hand_over(struct collector *collector, bool urgent)
{
    struct outlet *outlet = collector->outlet;
    if (outlet->batch == NULL || outlet->batch->len == 0) {
        return 0;
    }
    uint64_t number = writer_hand_over(collector->writer, outlet->batch, urgent);
    outlet->batch = NULL;
    return number;
}

static int flush_outlet(struct outlet *outlet)
{
    struct collector *collector = outlet->ctx;
    collector_hand_over(collector, false);
    outlet->batch = writer_take(collector->writer);
    return outlet->batch == NULL ? -ENOMEM : 0;
}

static void on_batch(uv_timer_t *timer)
{
    struct collector *collector = timer->data;
    /* A busy writer would only queue it; meanwhile it may fill. */
    if (writer_is_idle(collector->writer)) {
        collector_hand_over(collector, false);
    } else {
        uv_timer_start(timer, on_batch, BATCH_MS, 0);
    }
}

static void pause_reading(struct collector *collector)
{
    collector->paused = true;
    counter_add(COUNT_QUEUE_PAUSES, 1);
    collector_log(
        collector, LIMIT_PAUSED,
        "the index is written more slowly than answers arrive: reading waits, and senders "
        "may drop what does not fit their own queues (--memory)");
    for (struct connection *c = collector->connections; c != NULL; c = c->next) {
        connection_pause(c);
    }
}

static void resume_reading(struct collector *collector)
{
    collector->paused = false;
    for (struct connection *c = collector->connections; c != NULL; c = c->next) {
        connection_resume(c);
    }
}

void collector_wrote(struct collector *collector)
{
    const struct batch *batch = collector->outlet->batch;
    if (batch != NULL && batch->len > 0 && !uv_is_active((uv_handle_t *)&collector->batch)) {
        uv_timer_start(&collector->batch, on_batch, BATCH_MS, 0);
    }
    if (!collector->paused && !writer_has_room(collector->writer)) {
        pause_reading(collector);
    }
}

/* ---- The end ---- */

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void close_own_handles(struct collector *collector)
{
    close_handle(&collector->sweep);
    close_handle(&collector->batch);
    close_handle(&collector->drain);
    close_handle(&collector->signals[0]);
    close_handle(&collector->signals[1]);
}

static void close_connections(struct collector *collector, bool waiting_too)
{
    for (struct connection *c = collector->connections; c != NULL; c = c->next) {
        if (waiting_too || c->state <= CONNECTION_DATA) {
            connection_close(c);
        }
    }
}

/* Ends collector_run: the loop returns once every handle is closed. */
static void end(struct collector *collector, int result)
{
    if (collector->phase == PHASE_ENDED) {
        return;
    }
    collector->phase = PHASE_ENDED;
    collector->result = result;
    close_connections(collector, true);
    close_own_handles(collector);
    /* Stays open for the writer, which ends later, but holds the loop no longer. */
    uv_unref((uv_handle_t *)&collector->wake);
}

/* Everything received is on its way; whoever is still connected is cut. */
static void cut(struct collector *collector)
{
    collector->phase = PHASE_COMMITTING;
    close_connections(collector, false);
    /* Even an empty batch: what went before it must be committed too. */
    if (collector->outlet->batch == NULL) {
        flush_outlet(collector->outlet);
    }
    if (collector->outlet->batch != NULL) {
        collector->last_number =
            writer_hand_over(collector->writer, collector->outlet->batch, true);
        collector->outlet->batch = NULL;
    }
}

static void on_drain(uv_timer_t *timer)
{
    struct collector *collector = timer->data;
    int64_t now_us = clock_monotonic_us();
    bool quiet = now_us - collector->read_us >= DRAIN_QUIET_US && !collector->paused;
    if (collector->phase == PHASE_DRAINING &&
        (quiet || now_us - collector->stop_us >= DRAIN_MAX_US)) {
        cut(collector);
    }
    if (collector->phase != PHASE_COMMITTING) {
        return;
    }
    bool committed = writer_committed(collector->writer) >= collector->last_number;
    if (committed && collector->connection_count == 0) {
        end(collector, 0);
    } else if (now_us - collector->stop_us >= STOP_MAX_US) {
        end(collector, committed ? 0 : -ETIMEDOUT);
    }
}

static void begin_stop(struct collector *collector)
{
    if (collector->phase != PHASE_SERVING) {
        return;
    }
    atomic_store(&collector->ready, false);
    collector->phase = PHASE_DRAINING;
    collector->stop_us = clock_monotonic_us();
    listeners_close(collector);
    uv_timer_start(&collector->drain, on_drain, DRAIN_MS, DRAIN_MS);
}

/* ---- Events ---- */

static void on_signal(uv_signal_t *signal, int number)
{
    struct collector *collector = signal->data;
    log_info("stopping on signal %d", number);
    begin_stop(collector);
}

static void on_wake(uv_async_t *async)
{
    struct collector *collector = async->data;
    if (atomic_load(&collector->stop)) {
        begin_stop(collector);
    }
    if (collector->committing > 0) {
        uint64_t number = writer_committed(collector->writer);
        for (struct connection *c = collector->connections; c != NULL; c = c->next) {
            connection_committed(c, number);
        }
    }
    if (collector->paused && writer_has_room(collector->writer)) {
        resume_reading(collector);
    }
}

/* A certificate that was replaced is for the connections to come. */
static void refresh_tls(struct collector *collector)
{
    struct why why = {""};
    int result = collector->tls != NULL ? tls_server_refresh(collector->tls, &why) : 0;
    if (result == 1) {
        log_info("the TLS certificate was loaded anew");
    } else if (result != 0) {
        log_error("%s; the former TLS certificate stays in use",
                  why.text[0] != '\0' ? why.text : err_str(result));
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct collector *collector = timer->data;
    int64_t now_us = clock_monotonic_us();
    for (struct connection *c = collector->connections; c != NULL; c = c->next) {
        connection_sweep(c, now_us);
    }
    listeners_retry(collector);
    refresh_tls(collector);
    collector_wrote(collector);
}

/* From the writer thread. */
static void wake(void *ctx)
{
    struct collector *collector = ctx;
    uv_async_send(&collector->wake);
}

void collector_stop(struct collector *collector)
{
    atomic_store(&collector->stop, true);
    uv_async_send(&collector->wake);
}

/* ---- Start ---- */

static void fill_defaults(struct collector_options *options)
{
    if (options->unix_mode == 0) {
        options->unix_mode = UNIX_MODE_DEFAULT;
    }
    if (options->max_frame == 0) {
        options->max_frame = FS_FRAME_MAX_DEFAULT;
    }
    if (options->max_connections == 0) {
        options->max_connections = MAX_CONNECTIONS_DEFAULT;
    }
    if (options->partial_bytes == 0) {
        options->partial_bytes = PARTIAL_BYTES_DEFAULT;
    }
    /* Two frames of the greatest length must fit, or nobody could send one. */
    if (options->partial_bytes < 2 * (uint64_t)options->max_frame) {
        options->partial_bytes = 2 * (uint64_t)options->max_frame;
    }
    if (options->handshake_us == 0) {
        options->handshake_us = HANDSHAKE_DEFAULT_US;
    }
}

static int open_loop(struct collector *collector, struct why *why)
{
    int err = uv_loop_init(&collector->loop);
    if (err != 0) {
        return why_set(why, err, "event loop: %s", uv_strerror(err));
    }
    err = uv_async_init(&collector->loop, &collector->wake, on_wake);
    if (err != 0) {
        uv_loop_close(&collector->loop);
        return why_set(why, err, "event loop: %s", uv_strerror(err));
    }
    collector->loop_open = true;
    /* Making these cannot fail; starting can. */
    uv_timer_init(&collector->loop, &collector->sweep);
    uv_timer_init(&collector->loop, &collector->batch);
    uv_timer_init(&collector->loop, &collector->drain);
    uv_signal_init(&collector->loop, &collector->signals[0]);
    uv_signal_init(&collector->loop, &collector->signals[1]);
    collector->sweep.data = collector->batch.data = collector->drain.data = collector;
    collector->signals[0].data = collector->signals[1].data = collector;
    collector->wake.data = collector;
    return 0;
}

/* As many descriptors as connections need, as far as the hard limit allows. */
static void raise_fd_limit(uint32_t max_connections)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)max_connections + OTHER_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < need) {
        log_warn("only %" PRIu64 " files may be open, so that fewer than %" PRIu32
                 " senders can be connected",
                 (uint64_t)limit.rlim_cur, max_connections);
    }
}

static int start_writer(struct collector *collector, struct why *why)
{
    const struct collector_options *options = &collector->options;
    store_expect(collector->store, options->expect_senders);
    int err = writer_new(&collector->writer, &(struct writer_options){
                                                 .store = collector->store,
                                                 .queue_bytes = options->queue_bytes,
                                                 .retention_us = options->retention_us,
                                                 .owners = options->owners,
                                                 .notify = wake,
                                                 .ctx = collector,
                                             });
    return err == 0 ? 0 : why_set(why, err, "writer thread: %s", err_str(err));
}

static int open_tls(struct collector *collector, struct why *why)
{
    if (collector->options.tls == NULL) {
        return 0;
    }
    collector->plain_buffer = malloc(PLAIN_BUFFER_BYTES);
    int err = collector->plain_buffer == NULL
                  ? -ENOMEM
                  : tls_server_new(&collector->tls, collector->options.tls, why);
    return err == -ENOMEM ? why_set(why, err, "%s", err_str(err)) : err;
}

int collector_new(struct collector **out, const struct collector_options *options,
                  struct store *store, struct why *why)
{
    *out = NULL;
    struct collector *collector = calloc(1, sizeof(*collector));
    if (collector == NULL) {
        return why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
    }
    collector->options = *options;
    collector->store = store;
    fill_defaults(&collector->options);
    for (size_t i = 0; i < LIMITS; i++) {
        collector->limits[i] = LOG_LIMITS[i];
    }
    collector->outlet = calloc(1, sizeof(*collector->outlet));
    collector->read_buffer = malloc(READ_BUFFER_BYTES);
    int err = open_tls(collector, why);
    if (collector->outlet == NULL || collector->read_buffer == NULL) {
        err = why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
    } else if (err == 0) {
        collector->outlet->flush = flush_outlet;
        collector->outlet->ctx = collector;
        raise_fd_limit(collector->options.max_connections);
        err = open_loop(collector, why);
    }
    err = err == 0 ? listeners_open(collector, why) : err;
    err = err == 0 ? start_writer(collector, why) : err;
    err = err == 0 ? listeners_start(collector, why) : err;
    if (err != 0) {
        collector_free(&collector);
        return err;
    }
    *out = collector;
    return 0;
}

int collector_run(struct collector *collector)
{
    /* A sender that is gone is an error of the write, not the end of the service. */
    signal(SIGPIPE, SIG_IGN);
    int err = uv_signal_start(&collector->signals[0], on_signal, SIGTERM);
    err = err == 0 ? uv_signal_start(&collector->signals[1], on_signal, SIGINT) : err;
    err = err == 0 ? uv_timer_start(&collector->sweep, on_sweep, SWEEP_MS, SWEEP_MS) : err;
    if (err != 0) {
        return err;
    }
    atomic_store(&collector->ready, true);
    uv_run(&collector->loop, UV_RUN_DEFAULT);
    return collector->result;
}

void collector_free(struct collector **out)
{
    struct collector *collector = *out;
    *out = NULL;
    if (collector == NULL) {
        return;
    }
    if (collector->loop_open) {
        /* Handles of a loop that never ran, or whose start failed halfway. */
        listeners_close(collector);
        close_connections(collector, true);
    }
    if (collector->writer != NULL) {
        collector_hand_over(collector, false);
        writer_give_back(collector->writer, collector->outlet->batch);
        writer_free(&collector->writer);
    }
    if (collector->loop_open) {
        close_own_handles(collector);
        close_handle(&collector->wake);
        uv_run(&collector->loop, UV_RUN_DEFAULT);
        uv_loop_close(&collector->loop);
    }
    listeners_free(collector);
    free(collector->outlet);
    free(collector->read_buffer);
    free(collector->plain_buffer);
    tls_server_free(&collector->tls);
    free(collector);
}

/* ---- For others ---- */

bool collector_ready(const struct collector *collector)
{
    return atomic_load(&collector->ready);
}

size_t collector_listener_count(const struct collector *collector)
{
    return collector->listener_count;
}

const char *collector_listener_name(const struct collector *collector, size_t i)
{
    return collector->listeners[i].name;
}

struct writer *collector_writer(struct collector *collector)
{
    return collector->writer;
}
