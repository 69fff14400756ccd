/* cli/serve.c -- whither serve: listeners, index and HTTP in one process
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/http.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/intakes.h"
#include "cli/serve_flows.h"
#include "cli/serve_owners.h"
#include "collector/collector.h"
#include "collector/upload.h"
#include "store/store.h"

/* How --memory is shared out, in parts of it. The rest is for the HTTP service and the program. */
#define STORE_SHARE(memory) ((memory) / 2)
#define QUEUE_SHARE(memory) ((memory) / 16)
#define PARTIAL_SHARE(memory) ((memory) / 16)
#define OWNERS_SHARE(memory) ((memory) / 8)

struct service {
    const struct settings *settings;
    struct store *store;
    struct serve_owners *owners;
    struct collector *collector;
    struct uploads uploads;
    struct api_ingest ingest;
    struct serve_flows *flows; /* NULL without --flows */
    struct intakes pushed;     /* DNS responses among pushed flow records */
    struct api_answers answers;
    struct api *api;
};

/* ---- POST /v1/ingest ---- */

static int begin_upload(void *ctx, const struct api_capture *capture, void **session,
                        struct why *why)
{
    struct upload *upload;
    const struct capture_options options = {
        .cluster = capture->cluster,
        .peer = capture->peer,
        .covers_from_us = capture->covers_from_us,
        .covers_to_us = capture->covers_to_us,
    };
    int err = upload_begin(&upload, ctx, &options, why);
    *session = upload;
    return err;
}

static int push_upload(void *session, const uint8_t *bytes, size_t len, struct why *why)
{
    return upload_push(session, bytes, len, why);
}

static int end_upload(void *session, struct buf *summary, struct why *why)
{
    struct upload *upload = session;
    return upload_end(&upload, summary, why);
}

static void abort_upload(void *session)
{
    struct upload *upload = session;
    upload_abort(&upload);
}

/* ---- POST /v1/flows ---- */

static int add_pushed(void *ctx, const char *cluster, const struct dns_record *dns)
{
    return intakes_add(ctx, cluster, dns);
}

static int commit_pushed(void *ctx)
{
    return intakes_commit(ctx);
}

/* ---- Start ---- */

static bool is_ready(void *ctx, struct why *why)
{
    const struct service *service = ctx;
    if (collector_ready(service->collector)) {
        return true;
    }
    why_set(why, 0, "the dnstap listeners are not open");
    return false;
}

/* "http://127.0.0.1:8053" */
static void print_url(char *url, size_t room, const struct endpoint *http, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    addr_print(&http->addr, text);
    snprintf(url, room, addr_is_v4(&http->addr) ? "http://%s:%u" : "http://[%s]:%u", text, port);
}

static int open_store(struct service *service, struct why *why)
{
    const struct settings *settings = service->settings;
    char url[ADDR_TEXT_MAX + 24];
    char note[sizeof(url) + 32];
    print_url(url, sizeof(url), &settings->http, settings->http.port);
    snprintf(note, sizeof(note), "whither serve, %s", url);
    const struct store_options options = {
        .memory_bytes = STORE_SHARE(settings->memory_bytes),
        .writer_note = note,
    };
    return store_open(&service->store, settings->data, STORE_WRITE, &options, why);
}

static int start_collector(struct service *service, struct why *why)
{
    const struct settings *settings = service->settings;
    const struct tls_files tls = {settings->tls_cert, settings->tls_key, settings->tls_client_ca};
    if ((tls.certificate == NULL) != (tls.key == NULL) ||
        (tls.certificate == NULL && tls.clients != NULL)) {
        return why_set(why, W_EUSAGE, "--tls-cert FILE and --tls-key FILE go together");
    }
    const struct collector_options options = {
        .tls = tls.certificate != NULL ? &tls : NULL,
        .listeners = settings->dnstap.items,
        .listener_count = settings->dnstap.count,
        .unix_mode = settings->dnstap_mode,
        .allow = settings->dnstap_allow.items,
        .allow_count = settings->dnstap_allow.count,
        .max_frame = settings->dnstap_max_frame,
        .max_connections = settings->max_connections,
        .queue_bytes = QUEUE_SHARE(settings->memory_bytes),
        .partial_bytes = PARTIAL_SHARE(settings->memory_bytes),
        .cluster = settings->cluster,
        .cluster_rules = settings->cluster_of.items,
        .cluster_rule_count = settings->cluster_of.count,
        .expect_senders = settings->expect_senders,
        .retention_us = settings->retention_us,
        .owners = serve_owners_keeper(service->owners),
    };
    int err = collector_new(&service->collector, &options, service->store, why);
    if (err == 0) {
        service->uploads.writer = collector_writer(service->collector);
        intakes_init(&service->pushed, service->uploads.writer, "http");
        err = serve_owners_start(service->owners, service->uploads.writer, why);
    }
    if (err == 0) {
        err = serve_flows_start(&service->flows, settings, service->store, service->uploads.writer,
                                serve_owners_table(service->owners), why);
    }
    return err;
}

static int start_http(struct service *service, struct why *why)
{
    const struct settings *settings = service->settings;
    service->ingest = (struct api_ingest){
        .ctx = &service->uploads,
        .begin = begin_upload,
        .push = push_upload,
        .end = end_upload,
        .abort = abort_upload,
    };
    service->answers = (struct api_answers){
        .ctx = &service->pushed,
        .add = add_pushed,
        .commit = commit_pushed,
    };
    const struct api_options options = {
        .address = settings->http.addr,
        .port = settings->http.port,
        .token_file = settings->http_token_file,
        .store = service->store,
        .owners = serve_owners_table(service->owners),
        .kubernetes = serve_owners_kubernetes(service->owners),
        .params = settings_attribution(settings),
        .cluster = settings->cluster,
        .expect_senders = settings->expect_senders,
        .retention_us = settings->retention_us,
        .threads = settings->http_threads,
        .max_body = settings->http_max_body,
        .max_line = settings->http_max_line,
        .rate = settings->http_rate,
        .ready = is_ready,
        .ready_ctx = service,
        .ingest = &service->ingest,
        .answers = &service->answers,
        .flow_sources = settings->flows.items,
        .flow_source_count = settings->flows.count,
        .flow_sink = settings->out,
    };
    return api_start(&service->api, &options, why);
}

static void announce(const struct service *service)
{
    char url[ADDR_TEXT_MAX + 24];
    size_t count = collector_listener_count(service->collector);
    for (size_t i = 0; i < count; i++) {
        log_info("dnstap on %s", collector_listener_name(service->collector, i));
    }
    print_url(url, sizeof(url), &service->settings->http, api_port(service->api));
    log_info("http on %s", url);
    sd_notifyf(0, "READY=1\nSTATUS=%zu dnstap listeners, index in %s", count,
               service->settings->data);
}

static void stop(struct service *service)
{
    api_stop(&service->api);
    serve_flows_stop(&service->flows);
    serve_owners_stop(service->owners);
    intakes_fini(&service->pushed);
    collector_free(&service->collector);
    serve_owners_free(&service->owners);
    store_close(&service->store);
}

/* Waiting longer than systemd or Kubernetes do only ends in SIGKILL. What is committed is safe, and
 * the rest becomes a blind interval, as after any kill. */
static void give_up(void)
{
    log_error("the index could not be committed within the time allowed for stopping; answers "
              "since the last commit are lost");
    _exit(EXIT_FAILED);
}

int cmd_serve(const struct settings *settings)
{
    struct service service = {.settings = settings};
    struct why why = {""};
    int err = open_store(&service, &why);
    err = err == 0 ? serve_owners_new(&service.owners, settings, service.store,
                                      OWNERS_SHARE(settings->memory_bytes), &why)
                   : err;
    err = err == 0 ? start_collector(&service, &why) : err;
    err = err == 0 ? start_http(&service, &why) : err;
    if (err != 0) {
        fprintf(stderr, "whither serve: %s\n", why.text[0] != '\0' ? why.text : err_str(err));
        stop(&service);
        return err == W_EUSAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    announce(&service);
    err = collector_run(service.collector);
    sd_notify(0, "STOPPING=1");
    if (err == -ETIMEDOUT) {
        give_up();
    }
    stop(&service);
    if (err != 0) {
        fprintf(stderr, "whither serve: %s\n", err_str(err));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
