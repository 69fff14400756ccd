/* collector/connection.c -- one sender, from accept to close
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/counters.h"
#include "collector/internal.h"

/* A host that vanished without a word is noticed after 60 + 6 * 10 seconds. */
enum { KEEPALIVE_S = 60, KEEPALIVE_EVERY_S = 10, KEEPALIVE_TRIES = 6 };

/* How long after START a sender that has sent nothing yet begins to count as one. */
#define GREET_US (10 * US_PER_S)

const char *connection_state_name(enum connection_state state)
{
    static const char *const NAMES[] = {"handshake", "data", "commit", "finish", "closed"};
    return NAMES[state];
}

static void set_state(struct connection *connection, enum connection_state state)
{
    struct collector *collector = connection->collector;
    log_debug("%s: %s -> %s", connection->peer, connection_state_name(connection->state),
              connection_state_name(state));
    collector->committing -= connection->state == CONNECTION_COMMIT;
    collector->committing += state == CONNECTION_COMMIT;
    connection->state = state;
}

/* ---- Closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct collector *collector = connection->collector;
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        collector->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    }
    collector->connection_count--;
    counter_sub(COUNT_CONNECTIONS, 1);
    tls_free(&connection->tls);
    fs_decoder_fini(&connection->decoder);
    feed_fini(&connection->feed);
    free(connection);
}

/* What was heard is committed up to there; from there on the sender is missed. */
static void end_feed(struct connection *connection, enum store_stream_end end)
{
    struct collector *collector = connection->collector;
    collector->streams -= connection->streams;
    connection->streams = 0;
    if (end == STREAM_CUT) {
        counter_add(COUNT_STREAMS_CUT, 1);
    }
    int err = feed_flush(&connection->feed, collector->outlet, NULL);
    err = err == 0 ? feed_end(&connection->feed, collector->outlet, end, 0, 0) : err;
    if (err != 0) {
        log_error("%s: the end of this sender's streams cannot be written: %s", connection->peer,
                  err_str(err));
    }
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED) {
        return;
    }
    if (connection->state == CONNECTION_DATA) {
        end_feed(connection, STREAM_CUT);
    }
    connection->collector->partial_bytes -= connection->memory;
    connection->memory = 0;
    set_state(connection, CONNECTION_CLOSED);
    uv_close(&connection->handle.handle, on_closed);
}

static void refuse(struct connection *connection, enum counter counter, const char *reason)
{
    counter_add(counter, 1);
    collector_log(connection->collector, LIMIT_CLOSED, "%s: connection closed: %s",
                  connection->peer, reason);
    connection_close(connection);
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    const struct connection *connection = handle->data;
    *buf = uv_buf_init((char *)connection->collector->read_buffer, READ_BUFFER_BYTES);
}

/* What a person should know about frames that are well-formed and yet of no use. */
static void complain(struct connection *connection, enum fact_kind kind)
{
    if (kind == FACT_NO_MESSAGE) {
        collector_log(connection->collector, LIMIT_NOT_FULL,
                      "%s: responses arrive without the DNS message, so there is nothing to index; "
                      "with CoreDNS, add `full` to the dnstap line",
                      connection->peer);
    } else if (kind == FACT_REFUSED_TIME) {
        collector_log(connection->collector, LIMIT_AWAY,
                      "%s: frames are refused whose time is more than 10 minutes from now; are the "
                      "clocks of both hosts right? (captures are loaded with `whither ingest`)",
                      connection->peer);
    }
}

static void take_frame(struct connection *connection, const struct fs_frame *frame, int64_t now_us)
{
    int kind = feed_frame(&connection->feed, connection->collector->outlet, frame->data, frame->len,
                          now_us);
    if (kind < 0) {
        refuse(connection, COUNT_REFUSED_MEMORY, "no memory for what it sends");
    } else if (kind == FACT_NO_MESSAGE || kind == FACT_REFUSED_TIME) {
        complain(connection, (enum fact_kind)kind);
    }
}

/* What is sent before FINISH is so little that it fits the socket's buffer, or the peer is gone. */
static bool send_now(struct connection *connection, const uint8_t *octets, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)octets, (unsigned)len);
    return len == 0 || uv_try_write(&connection->handle.stream, &buf, 1) == (int)len;
}

/* Handshakes, alerts, and what was written. */
static bool send_tls(struct connection *connection)
{
    const uint8_t *octets;
    size_t len = tls_outgoing(connection->tls, &octets);
    bool sent = send_now(connection, octets, len);
    tls_sent(connection->tls, len);
    return sent;
}

static void send_accept(struct connection *connection)
{
    struct fs_frame accept = fs_accept();
    bool sent =
        connection->tls == NULL
            ? send_now(connection, accept.data, accept.len)
            : tls_write(connection->tls, accept.data, accept.len) == 0 && send_tls(connection);
    if (!sent) {
        refuse(connection, COUNT_REFUSED_HANDSHAKE, "ACCEPT could not be sent");
    }
}

static void started(struct connection *connection)
{
    set_state(connection, CONNECTION_DATA);
    connection->deadline_us = clock_monotonic_us() + GREET_US;
}

static void on_finished(uv_write_t *request, int status)
{
    (void)status; /* a sender that did not wait for FINISH has lost nothing */
    connection_close(request->data);
}

static void send_finish(struct connection *connection)
{
    struct fs_frame finish = fs_finish();
    const uint8_t *octets = finish.data;
    size_t len = finish.len;
    if (connection->tls != NULL) {
        /* What is to be sent stays where it is, because nothing more is said. */
        tls_write(connection->tls, finish.data, finish.len);
        tls_end(connection->tls);
        len = tls_outgoing(connection->tls, &octets);
    }
    uv_buf_t buf = uv_buf_init((char *)octets, (unsigned)len);
    set_state(connection, CONNECTION_FINISH);
    connection->deadline_us = clock_monotonic_us() + connection->collector->options.handshake_us;
    connection->finish.data = connection;
    if (uv_write(&connection->finish, &connection->handle.stream, &buf, 1, on_finished) != 0) {
        connection_close(connection);
    }
}

/* STOP came: everything before it is committed, then FINISH is sent. */
static void stopped(struct connection *connection)
{
    struct collector *collector = connection->collector;
    uv_read_stop(&connection->handle.stream);
    end_feed(connection, STREAM_STOPPED);
    connection->deadline_us = 0;
    connection->end_number = collector_hand_over(collector, true);
    set_state(connection, CONNECTION_COMMIT);
    if (!connection->decoder.bidirectional) {
        connection_close(connection);
    } else if (connection->end_number == 0) {
        send_finish(connection);
    }
}

/* Handles one event of the decoder. */
static void on_event(struct connection *connection, enum fs_event event,
                     const struct fs_frame *frame, int64_t now_us)
{
    switch (event) {
    case FS_FRAME:
        take_frame(connection, frame, now_us);
        break;
    case FS_ACCEPT:
        send_accept(connection);
        break;
    case FS_START:
        started(connection);
        break;
    case FS_STOP:
        stopped(connection);
        break;
    case FS_OVERSIZE:
        counter_add(COUNT_FRAME_OVERSIZE, 1);
        collector_log(connection->collector, LIMIT_OVERSIZE, "%s: %s; skipped (--dnstap-max-frame)",
                      connection->peer, connection->decoder.why.text);
        break;
    case FS_ERROR:
        refuse(connection, COUNT_REFUSED_STREAM, connection->decoder.why.text);
        break;
    case FS_AGAIN:
        break;
    }
}

static struct connection *largest(const struct collector *collector)
{
    struct connection *found = collector->connections;
    for (struct connection *c = collector->connections; c != NULL; c = c->next) {
        found = c->memory > found->memory ? c : found;
    }
    return found;
}

static void account_streams(struct connection *connection)
{
    struct collector *collector = connection->collector;
    collector->streams += connection->feed.stream_count;
    collector->streams -= connection->streams;
    connection->streams = connection->feed.stream_count;
}

/* Begun frames of all connections share one bound. What exceeds it costs the connection that holds
 * most, which is not a sender of ordinary frames. */
static void account_memory(struct connection *connection)
{
    struct collector *collector = connection->collector;
    size_t memory = fs_decoder_memory(&connection->decoder);
    collector->partial_bytes += memory;
    collector->partial_bytes -= connection->memory;
    connection->memory = memory;
    if (collector->partial_bytes > collector->options.partial_bytes) {
        refuse(largest(collector), COUNT_REFUSED_MEMORY,
               "begun frames of all connections exceed their share of the memory, and this one's "
               "is the largest");
    }
}

static void take_octets(struct connection *connection, const uint8_t *octets, size_t len)
{
    struct fs_frame frame;
    enum fs_event event;
    int64_t now_us = clock_now_us();
    counter_add(COUNT_DNSTAP_BYTES, len);
    counter_set(COUNT_LAST_FRAME, (uint64_t)(now_us / US_PER_S));
    connection->feed.stream_max =
        connection->collector->streams < STREAMS_MAX ? FEED_STREAMS_MAX : 1;
    fs_decoder_push(&connection->decoder, octets, len);
    while (connection->state <= CONNECTION_DATA &&
           (event = fs_decoder_next(&connection->decoder, &frame)) != FS_AGAIN) {
        on_event(connection, event, &frame, now_us);
    }
    if (connection->state == CONNECTION_DATA) {
        if (feed_flush(&connection->feed, connection->collector->outlet, NULL) != 0) {
            refuse(connection, COUNT_REFUSED_MEMORY, "no memory for what it sends");
        }
    }
    if (connection->state <= CONNECTION_DATA) {
        account_streams(connection);
        account_memory(connection);
    }
}

/* Peels TLS off. What the session has to say in turn is sent at once. */
static void take_tls(struct connection *connection, const uint8_t *octets, size_t len)
{
    uint8_t *plain = connection->collector->plain_buffer;
    struct why why = {""};
    int64_t got = tls_push(connection->tls, octets, len);
    if (got != 0) {
        refuse(connection, COUNT_REFUSED_MEMORY, "no memory for what it sends");
        return;
    }
    while (connection->state <= CONNECTION_DATA &&
           (got = tls_read(connection->tls, plain, PLAIN_BUFFER_BYTES, &why)) > 0) {
        take_octets(connection, plain, (size_t)got);
    }
    if (connection->state > CONNECTION_DATA) {
        return;
    }
    bool sent = send_tls(connection);
    if (got == -EPIPE) {
        connection_close(connection);
    } else if (got < 0) {
        refuse(connection, COUNT_REFUSED_TLS, why.text);
    } else if (!sent) {
        refuse(connection, COUNT_REFUSED_HANDSHAKE, "the TLS handshake could not be sent");
    }
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;
    struct collector *collector = connection->collector;
    if (nread > 0) {
        collector->read_us = clock_monotonic_us();
        if (connection->tls != NULL) {
            take_tls(connection, (const uint8_t *)buf->base, (size_t)nread);
        } else {
            take_octets(connection, (const uint8_t *)buf->base, (size_t)nread);
        }
    } else if (nread < 0) {
        size_t pending = fs_decoder_pending(&connection->decoder);
        log_debug("%s: ended (%s) with %zu octets of a frame begun", connection->peer,
                  uv_strerror((int)nread), pending);
        connection_close(connection);
    }
    collector_wrote(collector);
}

void connection_pause(struct connection *connection)
{
    if (connection->state <= CONNECTION_DATA) {
        uv_read_stop(&connection->handle.stream);
    }
}

void connection_resume(struct connection *connection)
{
    if (connection->state <= CONNECTION_DATA &&
        uv_read_start(&connection->handle.stream, on_alloc, on_read) != 0) {
        connection_close(connection);
    }
}

/* ---- Time ---- */

void connection_committed(struct connection *connection, uint64_t number)
{
    if (connection->state == CONNECTION_COMMIT && number >= connection->end_number) {
        send_finish(connection);
    }
}

/* What it sent so far, of which nothing was an answer, is now some stream's. */
static void greet(struct connection *connection)
{
    struct outlet *outlet = connection->collector->outlet;
    if (feed_greet(&connection->feed, outlet, clock_now_us()) != 0 ||
        feed_flush(&connection->feed, outlet, NULL) != 0) {
        refuse(connection, COUNT_REFUSED_MEMORY, "no memory for its stream");
    }
}

void connection_sweep(struct connection *connection, int64_t monotonic_us)
{
    /* Who is not read cannot be blamed for silence. */
    if (connection->deadline_us == 0 || monotonic_us < connection->deadline_us ||
        connection->collector->paused) {
        return;
    }
    connection->deadline_us = 0;
    switch (connection->state) {
    case CONNECTION_HANDSHAKE:
        refuse(connection, COUNT_REFUSED_HANDSHAKE,
               "no Frame Streams handshake within the time allowed");
        break;
    case CONNECTION_DATA:
        greet(connection);
        break;
    case CONNECTION_FINISH:
        connection_close(connection);
        break;
    case CONNECTION_COMMIT:
    case CONNECTION_CLOSED:
        break;
    }
}

/* ---- Accepting ---- */

static void keep_alive(struct connection *connection)
{
    const int every_s = KEEPALIVE_EVERY_S;
    const int tries = KEEPALIVE_TRIES;
    uv_os_fd_t fd;
    /* Best effort: without it, a vanished host is only noticed later. The receive buffer is left to
     * the kernel, which sizes it by itself as long as nobody sets it. */
    uv_tcp_keepalive(&connection->handle.tcp, 1, KEEPALIVE_S);
    if (uv_fileno(&connection->handle.handle, &fd) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
    }
}

/* Names a TCP peer and returns its address. */
static bool name_tcp(struct connection *connection, bool tls, struct addr *addr)
{
    const char *scheme = tls ? "tls" : "tcp";
    struct sockaddr_storage storage;
    const struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    int len = sizeof(storage);
    if (uv_tcp_getpeername(&connection->handle.tcp, (struct sockaddr *)&storage, &len) != 0) {
        return false;
    }
    bool is_v4 = storage.ss_family == AF_INET;
    char text[ADDR_TEXT_MAX];
    addr_from_wire(addr, is_v4 ? (const uint8_t *)&v4->sin_addr : (const uint8_t *)&v6->sin6_addr,
                   is_v4 ? 4 : 16);
    addr_print(addr, text);
    uint16_t port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
    snprintf(connection->peer, sizeof(connection->peer),
             addr_is_v4(addr) ? "%s:%s:%u" : "%s:[%s]:%u", scheme, text, port);
    snprintf(connection->identity, sizeof(connection->identity), "%s:%s", scheme, text);
    return true;
}

static bool is_allowed(const struct collector_options *options, const struct addr *addr)
{
    for (size_t i = 0; i < options->allow_count; i++) {
        if (cidr_has(&options->allow[i], addr)) {
            return true;
        }
    }
    return options->allow_count == 0;
}

/* Takes the socket from the listener and refuses who may not send. */
static void admit(struct connection *connection, struct listener *listener)
{
    struct collector *collector = connection->collector;
    struct addr addr;
    if (uv_accept(&listener->handle.stream, &connection->handle.stream) != 0) {
        connection_close(connection);
        return;
    }
    if (listener->is_unix) {
        snprintf(connection->peer, sizeof(connection->peer), "%s", listener->name);
        snprintf(connection->identity, sizeof(connection->identity), "%s", listener->name);
    } else if (!name_tcp(connection, listener->tls, &addr)) {
        connection_close(connection);
        return;
    } else if (!is_allowed(&collector->options, &addr)) {
        refuse(connection, COUNT_REFUSED_PEER, "its address is not among --dnstap-allow");
        return;
    } else {
        keep_alive(connection);
    }
    if (collector->connection_count > collector->options.max_connections) {
        counter_add(COUNT_REFUSED_LIMIT, 1);
        collector_log(collector, LIMIT_TOO_MANY,
                      "%s: connection closed: %" PRIu32 " others are open (--max-connections)",
                      connection->peer, collector->options.max_connections);
        connection_close(connection);
        return;
    }
    if (listener->tls && tls_new(&connection->tls, collector->tls) != 0) {
        refuse(connection, COUNT_REFUSED_MEMORY, "no memory for its TLS session");
    } else if (!collector->paused) {
        connection_resume(connection);
    }
}

int connection_accept(struct listener *listener)
{
    struct collector *collector = listener->collector;
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return -ENOMEM;
    }
    connection->collector = collector;
    int err = listener->is_unix ? uv_pipe_init(&collector->loop, &connection->handle.pipe, 0)
                                : uv_tcp_init(&collector->loop, &connection->handle.tcp);
    if (err != 0) {
        free(connection);
        return -ENOMEM;
    }
    connection->handle.handle.data = connection;
    connection->deadline_us = clock_monotonic_us() + collector->options.handshake_us;
    fs_decoder_init(&connection->decoder, collector->options.max_frame);
    const struct collector_options *options = &collector->options;
    bool named = listener->cluster.text[0] != '\0';
    feed_init(&connection->feed, &(struct feed_options){
                                     .kind = STREAM_LIVE,
                                     .cluster = named ? listener->cluster.text : options->cluster,
                                     .cluster_rules = options->cluster_rules,
                                     .cluster_rule_count = named ? 0 : options->cluster_rule_count,
                                     .peer = connection->peer,
                                     .fallback = connection->identity,
                                 });
    connection->next = collector->connections;
    if (connection->next != NULL) {
        connection->next->prev = connection;
    }
    collector->connections = connection;
    collector->connection_count++;
    counter_add(COUNT_CONNECTIONS, 1);
    counter_add(COUNT_CONNECTIONS_TOTAL, 1);
    admit(connection, listener);
    return 0;
}
