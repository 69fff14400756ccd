/* cli/serve_flows.c -- flow logs that a service follows
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/serve_flows.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/followed.h"
#include "cli/intakes.h"
#include "cli/parsing.h"
#include "join/live.h"

/* How long a join that ended in an error rests before it is tried again. */
enum { REST_S = 10 };

/* Of --memory, for flows that are held. */
#define HOLD_SHARE(memory) ((memory) / 8)

struct serve_flows {
    const struct settings *settings;
    struct parsing parsing;
    struct intakes intakes;
    struct followed followed;
    char *spools; /* how the files of Loki's lines begin */
    struct attribute_params params;
    struct live_index index;
    struct live_options options;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct live *live;
    bool stopping;
};

/* ---- What the join asks of us ---- */

static void on_warning(void *ctx, const char *text)
{
    (void)ctx;
    log_warn("%s", text);
}

static void on_dns(void *ctx, const struct dns_record *dns)
{
    struct serve_flows *flows = ctx;
    int err = intakes_add(&flows->intakes, flows->settings->cluster, dns);
    if (err != 0) {
        log_warn("a DNS answer of a flow log is lost: %s", err_str(err));
    }
}

/* What was read before the flows that are asked about next is there then. */
static int refresh(void *ctx, int64_t now_us, struct why *why)
{
    struct serve_flows *flows = ctx;
    int err = intakes_commit(&flows->intakes);
    if (err != 0) {
        return why_set(why, err, "DNS answers of flow logs cannot be committed: %s", err_str(err));
    }
    return live_index_refresh(&flows->index, now_us, why);
}

static void rest(void *ctx)
{
    struct serve_flows *flows = ctx;
    live_index_rest(&flows->index);
}

static bool settled(void *ctx, const char *cluster, int64_t time_us, int64_t now_us)
{
    struct serve_flows *flows = ctx;
    return live_index_settled(&flows->index, cluster, time_us, now_us);
}

/* ---- The thread ---- */

/* Puts a join in the place of the one that failed. */
static bool begin_again(struct serve_flows *flows)
{
    struct why why = {""};
    struct live *live = NULL;
    int err = live_new(&live, &flows->options, &why);
    if (err != 0) {
        log_error("--flows: %s", why.text[0] != '\0' ? why.text : err_str(err));
        return false;
    }
    pthread_mutex_lock(&flows->lock);
    flows->live = live;
    pthread_mutex_unlock(&flows->lock);
    return true;
}

/* Waits before the next try. Returns false where the service stops. */
static bool take_a_rest(struct serve_flows *flows)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REST_S;
    pthread_mutex_lock(&flows->lock);
    live_free(&flows->live);
    flows->live = NULL;
    int err = 0;
    while (!flows->stopping && err == 0) {
        err = pthread_cond_timedwait(&flows->changed, &flows->lock, &until);
    }
    bool go_on = !flows->stopping;
    pthread_mutex_unlock(&flows->lock);
    return go_on;
}

static void *work(void *ctx)
{
    struct serve_flows *flows = ctx;
    for (;;) {
        struct why why = {""};
        if (flows->live != NULL || begin_again(flows)) {
            int err = live_run(flows->live, &why);
            if (err == 0) {
                return NULL;
            }
            log_error("--flows: %s; trying again in %d s",
                      why.text[0] != '\0' ? why.text : err_str(err), REST_S);
        }
        if (!take_a_rest(flows)) {
            return NULL;
        }
    }
}

/* ---- Start and stop ---- */

static int check(const struct settings *settings, const struct sink_kind **sink, struct why *why)
{
    if (settings->out == NULL) {
        return why_set(why, W_EUSAGE, "--flows needs --out SINK: where the named flows go");
    }
    *sink = sink_by_name(settings->to != NULL ? settings->to : "ecs");
    return *sink != NULL ? 0
                         : why_set(why, W_EUSAGE, "--to %.60s: expected ecs, inline, table or csv",
                                   settings->to);
}

static int open_index(struct serve_flows *flows, struct store *store, struct owners *owners)
{
    struct live_index *index = &flows->index;
    flows->params = settings_attribution(flows->settings);
    index->cluster = flows->settings->cluster;
    index->settle_us = flows->settings->settle_us;
    int err = store_view_new(store, &index->view);
    err = err == 0 ? attributor_new(&index->index.attributor, index->view, &flows->params) : err;
    return err == 0 ? attributor_set_owners(index->index.attributor, owners) : err;
}

static void set_options(struct serve_flows *flows, const struct sink_kind *sink)
{
    const struct settings *settings = flows->settings;
    flows->options = (struct live_options){
        .sources = flows->followed.items,
        .source_count = flows->followed.count,
        .out = settings->out,
        .checkpoint = settings->checkpoint,
        .cluster = settings->cluster,
        .format = flows->parsing.format,
        .sink = sink,
        .sink_options = {.cluster = settings->cluster, .params = &flows->params},
        .parser_options = flows->parsing.options,
        .oracle = {join_ask_index, &flows->index.index},
        .skew_us = settings->skew_us,
        .settle_us = settings->settle_us,
        .hold_bytes = (size_t)HOLD_SHARE(settings->memory_bytes),
        .refresh = refresh,
        .rest = rest,
        .settled = settled,
        .index_ctx = flows,
        .warn = on_warning,
        .dns = on_dns,
        .report_ctx = flows,
    };
}

static int start(struct serve_flows *flows, struct store *store, struct owners *owners,
                 struct why *why)
{
    const struct sink_kind *sink;
    int err = check(flows->settings, &sink, why);
    err = err == 0 ? parsing_init(&flows->parsing, flows->settings, why) : err;
    err = err == 0 ? open_index(flows, store, owners) : err;
    if (err == 0 && asprintf(&flows->spools, "%s/flows", flows->settings->data) < 0) {
        flows->spools = NULL;
        err = -ENOMEM;
    }
    err = err == 0
              ? followed_start(&flows->followed, flows->settings->flows.items,
                               flows->settings->flows.count, flows->spools, on_warning, flows, why)
              : err;
    if (err != 0) {
        return err;
    }
    set_options(flows, sink);
    /* A limit on the size of files is an error of write(2), as a full disk is; a pipe that nobody
     * reads is one, too. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    err = live_new(&flows->live, &flows->options, why);
    err = err == 0 ? -pthread_create(&flows->thread, NULL, work, flows) : err;
    flows->started = err == 0;
    return err;
}

int serve_flows_start(struct serve_flows **out, const struct settings *settings,
                      struct store *store, struct writer *writer, struct owners *owners,
                      struct why *why)
{
    *out = NULL;
    if (settings->flows.count == 0) {
        return settings->out == NULL
                   ? 0
                   : why_set(why, W_EUSAGE, "--out is for --flows SOURCE: what is to be named?");
    }
    struct serve_flows *flows = calloc(1, sizeof(*flows));
    if (flows == NULL) {
        return -ENOMEM;
    }
    flows->settings = settings;
    pthread_mutex_init(&flows->lock, NULL);
    pthread_cond_init(&flows->changed, NULL);
    intakes_init(&flows->intakes, writer, "flows");
    *out = flows;
    return start(flows, store, owners, why);
}

void serve_flows_stop(struct serve_flows **out)
{
    struct serve_flows *flows = *out;
    *out = NULL;
    if (flows == NULL) {
        return;
    }
    pthread_mutex_lock(&flows->lock);
    flows->stopping = true;
    if (flows->live != NULL) {
        live_stop(flows->live);
    }
    pthread_cond_signal(&flows->changed);
    pthread_mutex_unlock(&flows->lock);
    if (flows->started) {
        pthread_join(flows->thread, NULL);
    }
    live_free(&flows->live);
    followed_stop(&flows->followed);
    free(flows->spools);
    attributor_free(&flows->index.index.attributor);
    store_view_free(&flows->index.view);
    intakes_fini(&flows->intakes);
    parsing_fini(&flows->parsing);
    pthread_mutex_destroy(&flows->lock);
    pthread_cond_destroy(&flows->changed);
    free(flows);
}
