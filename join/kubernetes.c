/* join/kubernetes.c -- pods, services and nodes from the Kubernetes API: requests by libcurl
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/kubernetes.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"

#define CONNECT_TIMEOUT_S 10L
#define TOKEN_MAX (64 * 1024)
/* How long the thread sleeps at most without looking at what is due. */
#define NAP_MS 1000

/* One kind, and the request being made for it. */
struct watcher {
    struct kubernetes *kubernetes;
    enum k8s_kind kind;
    struct k8s_reflect *reflect;
    CURL *curl;
    struct curl_slist *headers; /* of the request */
    bool busy;
    bool answered; /* the reflector knows the status */
    char error[CURL_ERROR_SIZE];
    struct k8s_status seen; /* as of the last look, for the log and the counters */
    bool warned;            /* the log says that something is wrong */
    struct log_limit limit;
};

struct kubernetes {
    char *server;
    char *token_file;
    char *ca_file;
    pthread_t thread;
    atomic_bool stopping;
    CURLM *multi;
    struct watcher watchers[K8S_KINDS];
    pthread_mutex_t lock; /* guards `shown` */
    struct k8s_status shown[K8S_KINDS];
};

/* ---- The token ---- */

static int read_all(int fd, struct buf *text)
{
    for (;;) {
        char *room = buf_room(text, 4096);
        if (room == NULL) {
            return text->err;
        }
        ssize_t len = read(fd, room, 4096);
        if (len <= 0) {
            return len < 0 ? -errno : 0;
        }
        text->len += (size_t)len;
    }
}

/* Appends the token without the end of its line. RFC 6750 section 2.1 says what it is made of. */
static int read_token(const char *path, struct buf *header, struct why *why)
{
    struct buf text = {.max = TOKEN_MAX};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? -errno : read_all(fd, &text);
    if (fd >= 0) {
        close(fd);
    }
    while (err == 0 && text.len > 0 &&
           (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r')) {
        text.len--;
    }
    for (size_t i = 0; i < text.len && err == 0; i++) {
        err = text.data[i] <= ' ' || text.data[i] > '~' ? W_ESYNTAX : 0;
    }
    err = err == 0 && text.len == 0 ? W_ESYNTAX : err;
    if (err == 0) {
        buf_add(header, text.data, text.len);
        err = header->err;
    } else {
        why_set(why, err, "%s: %s", path, err == W_ESYNTAX ? "it holds no token" : err_str(err));
    }
    buf_fini(&text);
    return err;
}

static int make_headers(struct watcher *watcher, struct why *why)
{
    struct buf header = {0};
    buf_str(&header, "Authorization: Bearer ");
    int err = read_token(watcher->kubernetes->token_file, &header, why);
    buf_char(&header, '\0');
    if (err == 0) {
        watcher->headers = curl_slist_append(NULL, header.data);
        struct curl_slist *all = curl_slist_append(watcher->headers, "Accept: application/json");
        err = all == NULL ? why_set(why, -ENOMEM, "out of memory") : 0;
    }
    buf_fini(&header);
    return err;
}

/* ---- Showing what goes on ---- */

static void log_change(struct watcher *watcher, const struct k8s_status *now)
{
    uint32_t suppressed;
    if (now->failures != watcher->seen.failures &&
        log_limit_pass(&watcher->limit, clock_monotonic_us(), &suppressed)) {
        log_warn("%s (%" PRIu64 " failures so far)", now->problem.text, now->failures);
        watcher->warned = true;
    } else if (now->complete && !watcher->seen.complete) {
        log_info("all %s are listed and watched", k8s_kind_name(watcher->kind));
    } else if (watcher->warned && now->problem.text[0] == '\0') {
        watcher->warned = false;
        log_info("%s: the Kubernetes API answers again", k8s_kind_name(watcher->kind));
    }
}

static void count_change(struct watcher *watcher, const struct k8s_status *now)
{
    static const struct {
        enum counter heard, lists, events, failures, too_long;
    } COUNTERS_OF[K8S_KINDS] = {
        [K8S_PODS] = {COUNT_PODS_HEARD, COUNT_PODS_LISTS, COUNT_PODS_EVENTS, COUNT_PODS_FAILURES,
                      COUNT_PODS_TOO_LONG},
        [K8S_SERVICES] = {COUNT_SERVICES_HEARD, COUNT_SERVICES_LISTS, COUNT_SERVICES_EVENTS,
                          COUNT_SERVICES_FAILURES, COUNT_SERVICES_TOO_LONG},
        [K8S_NODES] = {COUNT_NODES_HEARD, COUNT_NODES_LISTS, COUNT_NODES_EVENTS,
                       COUNT_NODES_FAILURES, COUNT_NODES_TOO_LONG},
    };
    const struct k8s_status *seen = &watcher->seen;
    counter_set(COUNTERS_OF[watcher->kind].heard, (uint64_t)(now->heard_us / US_PER_S));
    counter_add(COUNTERS_OF[watcher->kind].lists, now->lists - seen->lists);
    counter_add(COUNTERS_OF[watcher->kind].events, now->events - seen->events);
    counter_add(COUNTERS_OF[watcher->kind].failures, now->failures - seen->failures);
    counter_add(COUNTERS_OF[watcher->kind].too_long, now->too_long - seen->too_long);
}

static void show(struct watcher *watcher)
{
    struct kubernetes *kubernetes = watcher->kubernetes;
    const struct k8s_status *now = k8s_reflect_look(watcher->reflect);
    log_change(watcher, now);
    count_change(watcher, now);
    watcher->seen = *now;
    pthread_mutex_lock(&kubernetes->lock);
    kubernetes->shown[watcher->kind] = *now;
    pthread_mutex_unlock(&kubernetes->lock);
}

void kubernetes_status(struct kubernetes *kubernetes, enum k8s_kind kind, struct k8s_status *status)
{
    pthread_mutex_lock(&kubernetes->lock);
    *status = kubernetes->shown[kind];
    pthread_mutex_unlock(&kubernetes->lock);
}

/* ---- Requests ---- */

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    struct watcher *watcher = ctx;
    size_t len = size * count;
    int err = k8s_reflect_push(watcher->reflect, bytes, len, clock_monotonic_us(), clock_now_us());
    show(watcher);
    return err == 0 ? len : CURL_WRITEFUNC_ERROR;
}

/* The empty line that ends the headers: only now is Retry-After known. */
static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct watcher *watcher = ctx;
    long status = 0;
    curl_off_t retry_after_s = 0;
    size_t len = size * count;
    curl_easy_getinfo(watcher->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!watcher->answered && len > 0 && (bytes[0] == '\r' || bytes[0] == '\n') && status >= 200) {
        watcher->answered = true;
        curl_easy_getinfo(watcher->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
        k8s_reflect_status(watcher->reflect, status, retry_after_s);
        show(watcher);
    }
    return len;
}

static int set_up_request(struct watcher *watcher, const char *target, struct why *why)
{
    struct buf url = {0};
    int err = make_headers(watcher, why);
    if (err != 0) {
        return err;
    }
    buf_str(&url, watcher->kubernetes->server);
    buf_str(&url, target);
    buf_char(&url, '\0');
    bool ok = url.err == 0 && curl_easy_setopt(watcher->curl, CURLOPT_URL, url.data) == CURLE_OK;
    buf_fini(&url);
    curl_easy_setopt(watcher->curl, CURLOPT_HTTPHEADER, watcher->headers);
    ok = ok && curl_multi_add_handle(watcher->kubernetes->multi, watcher->curl) == CURLM_OK;
    return ok ? 0 : why_set(why, -ENOMEM, "out of memory");
}

static void drop_headers(struct watcher *watcher)
{
    curl_slist_free_all(watcher->headers);
    watcher->headers = NULL;
}

static void begin(struct watcher *watcher)
{
    struct buf target = {0};
    struct why why = {""};
    int err = k8s_reflect_begin(watcher->reflect, clock_monotonic_us(), &target);
    buf_char(&target, '\0');
    watcher->error[0] = '\0';
    watcher->answered = false;
    err = err == 0 ? target.err : err;
    err = err == 0 ? set_up_request(watcher, target.data, &why) : err;
    buf_fini(&target);
    watcher->busy = err == 0;
    if (err != 0) {
        drop_headers(watcher);
        k8s_reflect_end(watcher->reflect, K8S_END_BROKEN,
                        why.text[0] != '\0' ? why.text : err_str(err), clock_monotonic_us());
        show(watcher);
    }
}

static void end(struct watcher *watcher, enum k8s_end how, const char *what)
{
    curl_multi_remove_handle(watcher->kubernetes->multi, watcher->curl);
    drop_headers(watcher);
    watcher->busy = false;
    k8s_reflect_end(watcher->reflect, how, what, clock_monotonic_us());
    show(watcher);
}

static void end_finished(struct kubernetes *kubernetes)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(kubernetes->multi, &left)) != NULL) {
        struct watcher *watcher = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &watcher);
        end(watcher, code == CURLE_OK ? K8S_END_WHOLE : K8S_END_BROKEN,
            code == CURLE_OK            ? NULL
            : watcher->error[0] != '\0' ? watcher->error
                                        : curl_easy_strerror(code));
    }
}

/* Begins what is due and gives up what has stalled. Returns how long nothing is due, in ms. */
static int tend(struct kubernetes *kubernetes)
{
    int64_t nap_us = NAP_MS * INT64_C(1000);
    for (size_t i = 0; i < K8S_KINDS; i++) {
        struct watcher *watcher = &kubernetes->watchers[i];
        int64_t now_us = clock_monotonic_us();
        if (watcher->busy && now_us >= k8s_reflect_deadline_us(watcher->reflect)) {
            end(watcher, K8S_END_STALLED, NULL);
        }
        if (!watcher->busy && now_us >= k8s_reflect_due_us(watcher->reflect)) {
            begin(watcher);
        }
        if (!watcher->busy) {
            int64_t wait_us = k8s_reflect_due_us(watcher->reflect) - now_us;
            nap_us = wait_us < nap_us ? wait_us : nap_us;
        }
    }
    return nap_us < 0 ? 0 : (int)(nap_us / 1000) + 1;
}

static void *run(void *arg)
{
    struct kubernetes *kubernetes = arg;
    while (!atomic_load(&kubernetes->stopping)) {
        int running;
        int nap_ms = tend(kubernetes);
        curl_multi_perform(kubernetes->multi, &running);
        end_finished(kubernetes);
        if (!atomic_load(&kubernetes->stopping)) {
            curl_multi_poll(kubernetes->multi, NULL, 0, nap_ms, NULL);
        }
    }
    return NULL;
}

/* ---- Start and end ---- */

static int set_up_watcher(struct kubernetes *kubernetes, enum k8s_kind kind,
                          const struct kubernetes_options *options)
{
    struct watcher *watcher = &kubernetes->watchers[kind];
    watcher->kubernetes = kubernetes;
    watcher->kind = kind;
    watcher->limit = (struct log_limit){.interval_us = 10 * US_PER_MIN, .burst = 5};
    watcher->curl = curl_easy_init();
    uint64_t seed = (uint64_t)clock_now_us() + (uint64_t)kind * 977;
    int err = k8s_reflect_new(&watcher->reflect, kind, seed, options->fn, options->ctx);
    if (err != 0 || watcher->curl == NULL) {
        return -ENOMEM;
    }
    if (options->silence_us != 0) {
        k8s_reflect_set_patience(watcher->reflect, options->silence_us, options->silence_us);
    }
    CURL *curl = watcher->curl;
    curl_easy_setopt(curl, CURLOPT_PRIVATE, watcher);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    /* An address inside of the cluster, and a token that is nobody else's business. */
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    /* A stream of its own for each kind: they cannot block one another. */
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CAINFO, kubernetes->ca_file);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "whither/" WHITHER_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, watcher->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, watcher);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, watcher);
    return 0;
}

/* The API's address as the kubelet gives it to every container. */
static char *server_of_environment(struct why *why)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    struct buf url = {0};
    if (host == NULL || port == NULL) {
        why_set(why, W_EUSAGE,
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: the Kubernetes "
                "API is found from inside of a cluster only");
        return NULL;
    }
    bool v6 = strchr(host, ':') != NULL;
    buf_printf(&url, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    buf_char(&url, '\0');
    return url.data;
}

static int set_up(struct kubernetes *kubernetes, const struct kubernetes_options *options,
                  struct why *why)
{
    struct buf token = {0};
    const char *token_file =
        options->token_file != NULL ? options->token_file : KUBERNETES_TOKEN_FILE;
    kubernetes->server =
        options->server != NULL ? strdup(options->server) : server_of_environment(why);
    kubernetes->token_file = strdup(token_file);
    kubernetes->ca_file = strdup(options->ca_file != NULL ? options->ca_file : KUBERNETES_CA_FILE);
    kubernetes->multi = curl_multi_init();
    if (kubernetes->server == NULL && options->server == NULL) {
        return W_EUSAGE;
    }
    if (kubernetes->server == NULL || kubernetes->token_file == NULL ||
        kubernetes->ca_file == NULL || kubernetes->multi == NULL) {
        return why_set(why, -ENOMEM, "out of memory");
    }
    int err = read_token(token_file, &token, why);
    buf_fini(&token);
    for (int kind = 0; kind < K8S_KINDS && err == 0; kind++) {
        err = set_up_watcher(kubernetes, (enum k8s_kind)kind, options);
    }
    return err;
}

static void destroy(struct kubernetes *kubernetes)
{
    for (size_t i = 0; i < K8S_KINDS; i++) {
        struct watcher *watcher = &kubernetes->watchers[i];
        if (watcher->busy) {
            curl_multi_remove_handle(kubernetes->multi, watcher->curl);
        }
        curl_easy_cleanup(watcher->curl);
        drop_headers(watcher);
        k8s_reflect_free(&watcher->reflect);
    }
    curl_multi_cleanup(kubernetes->multi);
    pthread_mutex_destroy(&kubernetes->lock);
    free(kubernetes->server);
    free(kubernetes->token_file);
    free(kubernetes->ca_file);
    free(kubernetes);
    curl_global_cleanup();
}

int kubernetes_start(struct kubernetes **out, const struct kubernetes_options *options,
                     struct why *why)
{
    *out = NULL;
    struct kubernetes *kubernetes = calloc(1, sizeof(*kubernetes));
    if (kubernetes == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(kubernetes);
        return why_set(why, -ENOMEM, "out of memory");
    }
    pthread_mutex_init(&kubernetes->lock, NULL);
    int err = set_up(kubernetes, options, why);
    err = err == 0 ? -pthread_create(&kubernetes->thread, NULL, run, kubernetes) : err;
    if (err != 0) {
        destroy(kubernetes);
        return err;
    }
    *out = kubernetes;
    return 0;
}

void kubernetes_stop(struct kubernetes **out)
{
    struct kubernetes *kubernetes = *out;
    *out = NULL;
    if (kubernetes == NULL) {
        return;
    }
    atomic_store(&kubernetes->stopping, true);
    curl_multi_wakeup(kubernetes->multi);
    pthread_join(kubernetes->thread, NULL);
    destroy(kubernetes);
}
