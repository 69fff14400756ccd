/* api/http.c -- the HTTP service on libmicrohttpd
 * SPDX-License-Identifier: Apache-2.0
 *
 * The only file that knows libmicrohttpd. It turns its callbacks into the life of a request
 * (api/service.h) and a finished request into a response.
 */
#include "api/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/pending.h"
#include "api/routes.h"
#include "api/service.h"
#include "base/clock.h"

/* Memory of libmicrohttpd for each connection: request line, headers and reply headers. */
#define CONNECTION_MEMORY 8192
/* Replies up to this size are copied, so that the worker keeps its buffer; larger ones are handed
 * over. */
#define COPIED_MAX 16384
/* How much of a streamed reply is made at a time: what other connections of the thread wait for. */
#define STREAM_BLOCK 32768
/* A body that is too long is still read this far, so that its sender sees the 413; then the
 * connection is cut. */
#define OVERLONG_MAX (UINT64_C(4) << 20)
#define LISTEN_BACKLOG 1024
#define THREADS_MAX 64
/* How long api_stop lets replies that have begun go out, and then waits for connections to end. */
#define DRAIN_US US_PER_S

/* ---- replies ---- */

static ssize_t read_stream(void *ctx, uint64_t pos, char *bytes, size_t cap)
{
    struct stream *stream = ctx;
    (void)pos;
    ssize_t got = stream->read(stream->ctx, bytes, cap);
    return got > 0    ? got
           : got == 0 ? MHD_CONTENT_READER_END_OF_STREAM
                      : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_stream(void *ctx)
{
    struct stream *stream = ctx;
    stream->free(stream->ctx);
    free(stream);
}

/* The response takes over the stream. */
static struct MHD_Response *stream_response(struct request *request)
{
    struct stream *stream = malloc(sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    *stream = request->stream;
    request->stream.ctx = NULL;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream, free_stream);
    if (response == NULL) {
        free_stream(stream);
    }
    return response;
}

static struct MHD_Response *body_response(struct buf *body)
{
    if (body->len <= COPIED_MAX) {
        return MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        *body = (struct buf){0};
    }
    return response;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    /* It fails only without memory; the reply is then sent without. */
    (void)MHD_add_response_header(response, name, value);
}

static void add_problem_headers(struct MHD_Response *response, const struct request *request)
{
    if (request->problem.status == 401) {
        add_header(response, "WWW-Authenticate", "Bearer realm=\"whither\"");
    }
    if (request->allow != NULL) {
        add_header(response, "Allow", request->allow);
    }
    if (request->retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%" PRIu32, request->retry_after_s);
        add_header(response, "Retry-After", seconds);
    }
}

/* A body ends its line, so that a terminal's prompt does not follow it. */
static void end_line(struct buf *body)
{
    if (body->len > 0 && body->data[body->len - 1] != '\n') {
        buf_char(body, '\n');
    }
}

static enum MHD_Result send_reply(struct request *request)
{
    struct worker *worker = request->worker;
    struct buf *body = &worker->body;
    if (request->problem.status == 0 && body->err != 0) {
        request_failed(request, body->err, "the answer could not be written");
    }
    bool good = request->problem.status == 0;
    unsigned status = !good ? request->problem.status : request->no_content ? 204 : 200;
    if (!good) {
        buf_reset(body);
        problem_json(body, &request->problem);
    }
    end_line(body);
    struct MHD_Response *response =
        good && request->stream.ctx != NULL ? stream_response(request) : body_response(body);
    if (response == NULL) {
        return MHD_NO;
    }
    if (status != 204) {
        add_header(response, "Content-Type", good ? request->route->type : TYPE_PROBLEM);
    }
    if (request->header_name != NULL) {
        add_header(response, request->header_name, request->header_value);
    }
    if (!good) {
        add_problem_headers(response, request);
    }
    worker_count(&worker->requests[routes_index(request->route)][routes_code(status)]);
    enum MHD_Result queued = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer(struct request *request)
{
    buf_reset(&request->worker->body);
    if (request->problem.status == 0) {
        request->route->answer(request);
        worker_rest(request->worker);
    }
    return send_reply(request);
}

/* ---- requests ---- */

/* The first line of a request has come. What is returned is *con_cls of the callbacks below. */
static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct worker *worker = worker_get(ctx);
    struct request *request = worker == NULL ? NULL : request_new(worker);
    if (request == NULL) {
        return NULL;
    }
    request->connection = connection;
    size_t len = strlen(uri);
    if (len > URI_MAX) {
        request->too_long = true;
        len = 0;
    }
    memcpy(request->uri, uri, len);
    request->uri[len] = '\0';
    return request;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct request *request = *con_cls;
    (void)ctx;
    (void)connection;
    (void)code;
    *con_cls = NULL;
    if (request == NULL) {
        return;
    }
    if (request->route != NULL && request->route->release != NULL) {
        request->route->release(request);
    }
    if (request->stream.ctx != NULL) {
        request->stream.free(request->stream.ctx);
    }
    request_free(request);
}

static struct addr peer_address(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct addr addr = {{0}};
    if (info != NULL && info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)info->client_addr;
        addr_from_wire(&addr, (const uint8_t *)&in->sin_addr, 4);
    } else if (info != NULL && info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)info->client_addr;
        addr_from_wire(&addr, (const uint8_t *)&in6->sin6_addr, 16);
    }
    return addr;
}

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static bool too_long(struct request *request)
{
    problem_set(&request->problem, 413, NULL,
                "the body is longer than %" PRIu64 " bytes (--http-max-body)",
                request->worker->api->options.max_body);
    return false;
}

/* Refuses a body that says beforehand that it is too long. */
static bool check_announced(struct request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t announced = length == NULL ? 0 : strtoull(length, NULL, 10);
    return announced <= request->worker->api->options.max_body || too_long(request);
}

/* Everything that is decided before the body: afterwards the problem is set, or the route may go
 * on. */
static void begin(struct request *request, const char *method)
{
    struct problem *problem = &request->problem;
    request->begun = true;
    request->client = peer_address(request->connection);
    if (request->too_long) {
        problem_set(problem, 414, NULL, "the request target is longer than %d octets", URI_MAX);
        return;
    }
    routes_find(request, method);
    struct gate_headers headers = {.authorization =
                                       request_header(request, MHD_HTTP_HEADER_AUTHORIZATION),
                                   .host = request_header(request, MHD_HTTP_HEADER_HOST),
                                   .origin = request_header(request, MHD_HTTP_HEADER_ORIGIN)};
    struct problem not_found = *problem;
    *problem = (struct problem){0};
    gate_check(request, &headers);
    if (problem->status == 0) {
        *problem = not_found;
    }
    if (problem->status == 0) {
        params_only(&request->params, request->route->known, problem);
    }
    if (problem->status == 0 && request->route->body != NULL) {
        check_announced(request);
    }
    if (problem->status == 0 && request->route->begin != NULL) {
        request->route->begin(request);
    }
}

static bool announces_body(const struct request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static bool wants_body(const struct request *request)
{
    return request->problem.status == 0 && request->route->body != NULL;
}

/* Takes a piece of the body. Returns false where the connection is to be cut. */
static bool take_body(struct request *request, const char *bytes, size_t len)
{
    uint64_t max = request->worker->api->options.max_body;
    request->body_len += len;
    if (request->body_len > max) {
        too_long(request);
    }
    if (request->problem.status == 0) {
        request->route->body(request, bytes, len);
    }
    return request->problem.status == 0 || request->body_len <= max + OVERLONG_MAX;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **con_cls)
{
    struct request *request = *con_cls;
    (void)ctx;
    (void)connection;
    (void)url;
    (void)version;
    if (request == NULL) {
        return MHD_NO; /* no memory for it */
    }
    if (!request->begun) {
        begin(request, method);
        /* A reply before the body ends the connection, so it is only given where one is coming
         * that nobody wants. */
        return announces_body(request) && !wants_body(request) ? answer(request) : MHD_YES;
    }
    if (*upload_len > 0) {
        bool go_on = take_body(request, upload, *upload_len);
        *upload_len = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (request->problem.status == 0 && request->route->hold != NULL && !request->held) {
        request->held = true;
        MHD_suspend_connection(connection);
        request->route->hold(request);
        return MHD_YES;
    }
    if (request->held) {
        atomic_fetch_sub(&request->worker->api->resumed, 1);
    }
    return answer(request);
}

void request_resume(struct request *request)
{
    atomic_fetch_add(&request->worker->api->resumed, 1);
    MHD_resume_connection(request->connection);
}

/* ---- connections ---- */

/* One open connection, so that api_stop can end it. */
struct client {
    struct client *next;
    struct client *before;
    int fd;
};

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api *api = ctx;
    struct client *client = *socket_ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client = calloc(1, sizeof(*client));
        if (client == NULL) {
            return; /* served all the same; MHD_stop_daemon ends it */
        }
        client->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *socket_ctx = client;
        pthread_mutex_lock(&api->lock);
        client->next = api->clients;
        if (client->next != NULL) {
            client->next->before = client;
        }
        api->clients = client;
        pthread_mutex_unlock(&api->lock);
    } else if (client != NULL) {
        /* The socket is closed only after this returns. */
        pthread_mutex_lock(&api->lock);
        if (client->next != NULL) {
            client->next->before = client->before;
        }
        *(client->before != NULL ? &client->before->next : &api->clients) = client->next;
        pthread_mutex_unlock(&api->lock);
        free(client);
        *socket_ctx = NULL;
    }
}

/* Shuts every connection down and waits until they are gone, at most DRAIN_US. Returns whether they
 * are. */
static bool drain(struct api *api, int how)
{
    int64_t deadline_us = clock_monotonic_us() + DRAIN_US;
    bool empty = false;
    while (!empty && clock_monotonic_us() < deadline_us) {
        pthread_mutex_lock(&api->lock);
        for (struct client *client = api->clients; client != NULL; client = client->next) {
            shutdown(client->fd, how);
        }
        empty = api->clients == NULL;
        pthread_mutex_unlock(&api->lock);
        if (!empty) {
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
    }
    return empty;
}

static enum MHD_Result accept_unless_stopping(void *ctx, const struct sockaddr *addr, socklen_t len)
{
    const struct api *api = ctx;
    (void)addr;
    (void)len;
    return atomic_load(&api->stopping) ? MHD_NO : MHD_YES;
}

/* Ends every connection before libmicrohttpd is stopped: 0.9.75 crashes where it must refuse a
 * malformed request while it stops (its error reply is then never queued, but written). Requests
 * that have come are answered first. MHD_quiesce_daemon would be the way to take no more
 * connections, but it and a worker may both take the listener out of the same epoll set, which
 * ends the program. */
static void stop_daemon(struct api *api)
{
    atomic_store(&api->stopping, true);
    /* libmicrohttpd must not be stopped with suspended connections, and takes one whose reading is
     * shut down before it is looked at again for dead. */
    pending_stop(api->pending);
    int64_t deadline_us = clock_monotonic_us() + DRAIN_US;
    while (atomic_load(&api->resumed) > 0 && clock_monotonic_us() < deadline_us) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    if (!drain(api, SHUT_RD)) {
        drain(api, SHUT_RDWR);
    }
    MHD_stop_daemon(api->daemon);
}

/* ---- start and stop ---- */

static void fill_defaults(struct api_options *options)
{
    options->threads = options->threads == 0 ? 2 : options->threads;
    options->threads = options->threads > THREADS_MAX ? THREADS_MAX : options->threads;
    options->connections = options->connections == 0 ? 1536 : options->connections;
    if (options->connections_each == 0) {
        options->connections_each = (options->connections * 3 + 3) / 4;
    }
    options->timeout_s = options->timeout_s == 0 ? 30 : options->timeout_s;
    options->max_body = options->max_body == 0 ? UINT64_C(64) << 20 : options->max_body;
    options->max_line = options->max_line == 0 ? UINT64_C(64) << 10 : options->max_line;
}

static socklen_t fill_sockaddr(struct sockaddr_storage *storage, const struct addr *addr,
                               uint16_t port)
{
    memset(storage, 0, sizeof(*storage));
    if (addr_is_v4(addr)) {
        struct sockaddr_in *in = (struct sockaddr_in *)storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, addr->b + 12, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, addr->b, 16);
    return sizeof(*in6);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0) {
        return 0;
    }
    return ntohs(storage.ss_family == AF_INET ? ((struct sockaddr_in *)&storage)->sin_port
                                              : ((struct sockaddr_in6 *)&storage)->sin6_port);
}

/* Returns a listening socket or -errno. */
static int open_listener(const struct addr *addr, uint16_t port)
{
    struct sockaddr_storage storage;
    socklen_t len = fill_sockaddr(&storage, addr, port);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* A restarted service finds its port in TIME_WAIT; [::] takes IPv4 clients too. */
    int on = 1, off = 0;
    bool any_v6 = addr_kind(addr) == ADDR_UNSPECIFIED && storage.ss_family == AF_INET6;
    bool failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
                  (any_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
                  bind(fd, (struct sockaddr *)&storage, len) != 0 ||
                  listen(fd, LISTEN_BACKLOG) != 0;
    if (failed) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int check_exposure(struct api *api, struct why *why)
{
    const struct api_options *options = &api->options;
    api->loopback = auth_is_loopback(&options->address);
    if (options->token_file != NULL) {
        return auth_read_token(&api->auth, options->token_file, why);
    }
    if (!api->loopback) {
        char text[ADDR_TEXT_MAX];
        addr_print(&options->address, text);
        return why_set(why, W_EUSAGE,
                       "--http %s is not a loopback address: serving beyond this machine needs "
                       "--http-token-file FILE",
                       text);
    }
    return 0;
}

/* Gives the socket to libmicrohttpd, which closes it, also where it does not start. */
static int start_daemon(struct api *api, int fd)
{
    const struct api_options *options = &api->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (!addr_is_v4(&options->address)) {
        flags |= MHD_USE_IPv6;
    }
    /* A pool of one is no pool. */
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, options->threads, NULL},
                                    {MHD_OPTION_END, 0, NULL}};
    if (options->threads == 1) {
        pool[0].option = MHD_OPTION_END;
    }
    api->daemon = MHD_start_daemon(
        flags, 0, accept_unless_stopping, api, on_request, api, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_ARRAY, pool, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, api,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, api, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        api, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, options->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->connections_each, MHD_OPTION_CONNECTION_TIMEOUT, options->timeout_s,
        MHD_OPTION_END);
    return api->daemon == NULL ? (errno != 0 ? -errno : -ENOMEM) : 0;
}

static int listen_and_start(struct api *api, struct why *why)
{
    const struct api_options *options = &api->options;
    char text[ADDR_TEXT_MAX];
    addr_print(&options->address, text);
    int fd = open_listener(&options->address, options->port);
    if (fd < 0) {
        return why_set(why, fd, "--http %s port %u: %s", text, options->port, err_str(fd));
    }
    api->port = bound_port(fd);
    int err = pending_new(&api->pending, api);
    if (err != 0) {
        close(fd);
    } else {
        err = start_daemon(api, fd);
    }
    if (err != 0) {
        return why_set(why, err, "the HTTP service cannot start: %s", err_str(err));
    }
    return 0;
}

int api_start(struct api **api, const struct api_options *options, struct why *why)
{
    *api = NULL;
    struct api *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return why_set(why, -ENOMEM, "the HTTP service cannot start: %s", err_str(-ENOMEM));
    }
    made->options = *options;
    made->started_us = clock_now_us();
    fill_defaults(&made->options);
    pthread_mutex_init(&made->lock, NULL);
    int err = check_exposure(made, why);
    if (err == 0 && options->rate > 0) {
        err = rate_new(&made->rate, options->rate);
        why_set(err == 0 ? NULL : why, err, "the HTTP service cannot start: %s", err_str(err));
    }
    err = err == 0 ? listen_and_start(made, why) : err;
    if (err != 0) {
        api_stop(&made);
        return err;
    }
    *api = made;
    return 0;
}

uint16_t api_port(const struct api *api)
{
    return api->port;
}

uint32_t api_connections(const struct api *api)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info == NULL ? 0 : info->num_connections;
}

void api_stop(struct api **api)
{
    struct api *old = *api;
    if (old == NULL) {
        return;
    }
    *api = NULL;
    if (old->daemon != NULL) {
        stop_daemon(old);
    } else if (old->pending != NULL) {
        pending_stop(old->pending);
    }
    pending_free(&old->pending);
    worker_free_all(old);
    rate_free(&old->rate);
    pthread_mutex_destroy(&old->lock);
    free(old);
}
