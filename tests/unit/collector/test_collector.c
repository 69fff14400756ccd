/* tests/unit/collector/test_collector.c -- the loop, its listeners and connections, over real
 * sockets SPDX-License-Identifier: Apache-2.0
 *
 * The collector runs in a thread of its own; the test is the sender.
 */
#include "collector/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/counters.h"
#include "proto/framestream.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"
#include "tests/support/tap_build.h"

/* Longer than anything here takes, even under a sanitizer. */
#define LONG_MS 20000

struct fixture {
    char dir[64];
    char path[96];
    char unix_listener[104];
    const char *listeners[2];
    struct store *store;
    struct collector *collector;
    pthread_t thread;
    bool running;
    int result;
};

static void prepare(struct fixture *f)
{
    char index[80];
    *f = (struct fixture){0};
    fixture_dir(f->dir);
    snprintf(index, sizeof(index), "%s/index", f->dir);
    snprintf(f->path, sizeof(f->path), "%s/dnstap.sock", f->dir);
    snprintf(f->unix_listener, sizeof(f->unix_listener), "unix:%s", f->path);
    f->listeners[0] = f->unix_listener;
    f->listeners[1] = "tcp:127.0.0.1:0";
    f->store = fixture_open(index, STORE_WRITE);
}

static struct collector_options options_of(const struct fixture *f)
{
    return (struct collector_options){
        .listeners = f->listeners, .listener_count = 2, .cluster = "default"};
}

static void *run(void *arg)
{
    struct fixture *f = arg;
    f->result = collector_run(f->collector);
    return NULL;
}

static void start_with(struct fixture *f, const struct collector_options *options)
{
    struct why why = {""};
    int err = collector_new(&f->collector, options, f->store, &why);
    if (err != 0) {
        fail_msg("collector_new: %d: %s", err, why.text);
    }
    assert_false(collector_ready(f->collector));
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    f->running = true;
    int64_t until_us = clock_monotonic_us() + LONG_MS * 1000;
    while (!collector_ready(f->collector) && clock_monotonic_us() < until_us) {
        usleep(1000);
    }
    assert_true(collector_ready(f->collector));
}

static void start(struct fixture *f)
{
    prepare(f);
    struct collector_options options = options_of(f);
    start_with(f, &options);
}

/* Stops the loop, as SIGTERM does, and frees the collector; the index stays open. */
static void stop_collector(struct fixture *f)
{
    if (f->running) {
        collector_stop(f->collector);
        pthread_join(f->thread, NULL);
        f->running = false;
        assert_int_equal(f->result, 0);
        assert_false(collector_ready(f->collector));
    }
    collector_free(&f->collector);
    assert_int_equal(counter_get(COUNT_CONNECTIONS), 0);
}

static void stop(struct fixture *f)
{
    stop_collector(f);
    store_close(&f->store);
    fixture_remove(f->dir);
}

/* ---- The sender's side ---- */

static int dial_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int dial_tcp(struct fixture *f)
{
    const char *name = collector_listener_name(f->collector, 1);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)atoi(strrchr(name, ':') + 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void put(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        len -= (size_t)sent;
    }
}

static void put_control(int fd, struct fs_frame control)
{
    put(fd, control.data, control.len);
}

/* Reads until `len` octets or the end came. Returns how many. */
static size_t get(int fd, uint8_t *bytes, size_t len, int timeout_ms)
{
    size_t got = 0;
    while (got < len) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, timeout_ms) <= 0) {
            fail_msg("nothing came within %d ms", timeout_ms);
        }
        ssize_t len_now = recv(fd, bytes + got, len - got, 0);
        if (len_now <= 0) {
            break;
        }
        got += (size_t)len_now;
    }
    return got;
}

static void expect_control(int fd, struct fs_frame control)
{
    uint8_t bytes[64];
    assert_int_equal(get(fd, bytes, control.len, LONG_MS), control.len);
    assert_memory_equal(bytes, control.data, control.len);
}

static void expect_closed(int fd)
{
    uint8_t octet;
    assert_int_equal(get(fd, &octet, 1, LONG_MS), 0);
    close(fd);
}

static void shake_hands(int fd)
{
    put_control(fd, fs_ready());
    expect_control(fd, fs_accept());
    put_control(fd, fs_start());
}

static void finish(int fd)
{
    put_control(fd, fs_stop());
    expect_control(fd, fs_finish());
    expect_closed(fd);
}

/* `count` answers to the client, each a millisecond after the last one ever sent, because the index
 * counts the same answer once. */
static void put_answers(int fd, const char *client, int count)
{
    static int64_t last_us;
    struct buf out = {0};
    last_us = last_us != 0 ? last_us : clock_now_us() - 5 * US_PER_MIN;
    for (int i = 0; i < count; i++) {
        last_us += 1000;
        tap_answer(&out, "dns-1", client, last_us, "example.com", "198.51.100.1");
    }
    put(fd, out.data, out.len);
    buf_fini(&out);
}

/* ---- What the index then says ---- */

static bool add_count(void *ctx, const struct store_sighting *sighting)
{
    uint64_t *count = ctx;
    *count += sighting->count;
    return true;
}

static uint64_t answers_to(struct fixture *f, const char *client)
{
    uint64_t count = 0;
    struct store_view *view;
    struct addr addr = fixture_addr(client);
    int64_t now_us = clock_now_us();
    assert_int_equal(store_view_new(f->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_by_client(view, "default", &addr, now_us - US_PER_DAY,
                                     now_us + US_PER_DAY, add_count, &count),
                     0);
    store_view_free(&view);
    return count;
}

struct ends {
    size_t open;
    size_t stopped;
    size_t cut;
    char peer[128];
    char identity[64];
};

static bool note_end(void *ctx, const struct store_stream *stream)
{
    struct ends *ends = ctx;
    ends->open += stream->end == STREAM_OPEN;
    ends->stopped += stream->end == STREAM_STOPPED;
    ends->cut += stream->end == STREAM_CUT;
    snprintf(ends->peer, sizeof(ends->peer), "%s", stream->peer);
    snprintf(ends->identity, sizeof(ends->identity), "%s", stream->identity);
    return true;
}

static struct ends ends_of(struct fixture *f)
{
    struct ends ends = {0};
    struct store_view *view;
    assert_int_equal(store_view_new(f->store, &view), 0);
    assert_int_equal(store_view_refresh(view, NULL), 0);
    assert_int_equal(store_streams(view, note_end, &ends), 0);
    store_view_free(&view);
    return ends;
}

static void wait_counter(enum counter counter, uint64_t value)
{
    int64_t until_us = clock_monotonic_us() + LONG_MS * 1000;
    while (counter_get(counter) != value && clock_monotonic_us() < until_us) {
        usleep(1000);
    }
    assert_int_equal(counter_get(counter), value);
}

/* ---- A sender's life ---- */

static void when_finish_comes_everything_is_committed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    for (int i = 0; i < 2; i++) {
        const char *client = i == 0 ? "192.0.2.1" : "192.0.2.2";
        int fd = i == 0 ? dial_unix(f.path) : dial_tcp(&f);
        shake_hands(fd);
        put_answers(fd, client, 1000);
        int64_t before_us = clock_monotonic_us();
        finish(fd);
        /* Group commits wait a second; a sender that stops does not. */
        assert_true(clock_monotonic_us() - before_us < 4 * US_PER_S);
        assert_int_equal(answers_to(&f, client), 1000);
    }
    struct ends ends = ends_of(&f);
    assert_int_equal(ends.stopped, 2);
    assert_string_equal(ends.identity, "dns-1");
    assert_memory_equal(ends.peer, "tcp:127.0.0.1:", 14);
    stop(&f);
}

static void a_sender_octet_by_octet_is_a_sender(void **state)
{
    (void)state;
    struct fixture f;
    struct buf out = {0};
    start(&f);
    int fd = dial_tcp(&f);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
    tap_control(&out, fs_ready());
    tap_control(&out, fs_start());
    tap_answer(&out, "dns-1", "192.0.2.1", clock_now_us(), "example.com", "198.51.100.1");
    tap_control(&out, fs_stop());
    for (size_t i = 0; i < out.len; i++) {
        put(fd, out.data + i, 1);
        usleep(100);
    }
    expect_control(fd, fs_accept());
    expect_control(fd, fs_finish());
    expect_closed(fd);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 1);
    buf_fini(&out);
    stop(&f);
}

static void start_without_ready_is_accepted_and_stop_closes(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_unix(f.path);
    put_control(fd, fs_start());
    put_answers(fd, "192.0.2.1", 10);
    put_control(fd, fs_stop());
    expect_closed(fd);
    stop_collector(&f);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 10);
    assert_int_equal(ends_of(&f).stopped, 1);
    stop(&f);
}

static void a_sender_that_stops_without_a_frame_gets_finish(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = dial_unix(f.path);
    shake_hands(fd);
    finish(fd);
    stop(&f);
}

static void a_stream_without_stop_is_cut_and_keeps_every_whole_frame(void **state)
{
    (void)state;
    struct fixture f;
    struct buf out = {0};
    start(&f);
    uint64_t before = counter_get(COUNT_STREAMS_CUT);
    int fd = dial_tcp(&f);
    shake_hands(fd);
    put_answers(fd, "192.0.2.1", 100);
    tap_answer(&out, "dns-1", "192.0.2.1", clock_now_us(), "example.com", "198.51.100.1");
    put(fd, out.data, out.len - 1);
    close(fd);
    wait_counter(COUNT_STREAMS_CUT, before + 1);
    stop_collector(&f);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 100);
    assert_int_equal(ends_of(&f).cut, 1);
    buf_fini(&out);
    stop(&f);
}

static void stopping_commits_what_was_sent_and_cuts_who_is_connected(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fds[8];
    uint64_t before = counter_get(COUNT_FRAME_ANSWER);
    for (int i = 0; i < 8; i++) {
        fds[i] = i % 2 == 0 ? dial_unix(f.path) : dial_tcp(&f);
        shake_hands(fds[i]);
        put_answers(fds[i], "192.0.2.1", 500);
    }
    int64_t before_us = clock_monotonic_us();
    stop_collector(&f);
    assert_true(clock_monotonic_us() - before_us < 3 * US_PER_S);
    assert_int_equal(counter_get(COUNT_FRAME_ANSWER), before + 4000);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 4000);
    struct ends ends = ends_of(&f);
    assert_int_equal(ends.cut, 8);
    assert_int_equal(ends.open, 0);
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
    stop(&f);
}

static void sigterm_stops_it(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    pthread_join(f.thread, NULL);
    f.running = false;
    assert_int_equal(f.result, 0);
    assert_int_not_equal(access(f.path, F_OK), 0);
    stop(&f);
}

static void a_queue_that_fills_loses_nothing(void **state)
{
    (void)state;
    enum { ANSWERS = 60000 };
    struct fixture f;
    prepare(&f);
    struct collector_options options = options_of(&f);
    options.queue_bytes = 1;
    start_with(&f, &options);
    int fd = dial_unix(f.path);
    shake_hands(fd);
    put_answers(fd, "192.0.2.1", ANSWERS);
    finish(fd);
    assert_int_equal(answers_to(&f, "192.0.2.1"), ANSWERS);
    stop(&f);
}

/* ---- What is refused ---- */

static void garbage_is_refused_and_counted_and_disturbs_nobody(void **state)
{
    (void)state;
    static const char *const GARBAGE[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02garbage",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff"};
    struct fixture f;
    start(&f);
    int good = dial_unix(f.path);
    shake_hands(good);
    put_answers(good, "192.0.2.1", 5);
    uint64_t before = counter_get(COUNT_REFUSED_STREAM);
    for (size_t i = 0; i < sizeof(GARBAGE) / sizeof(GARBAGE[0]); i++) {
        int fd = dial_tcp(&f);
        put(fd, GARBAGE[i], strlen(GARBAGE[i]));
        expect_closed(fd);
    }
    assert_int_equal(counter_get(COUNT_REFUSED_STREAM), before + 3);
    put_answers(good, "192.0.2.1", 5);
    finish(good);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 10);
    stop(&f);
}

static void who_does_not_shake_hands_in_time_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    struct collector_options options = options_of(&f);
    options.handshake_us = 100000;
    start_with(&f, &options);
    uint64_t before = counter_get(COUNT_REFUSED_HANDSHAKE);
    int silent = dial_unix(f.path);
    int halfway = dial_tcp(&f);
    int good = dial_tcp(&f);
    shake_hands(good);
    put_control(halfway, fs_ready());
    expect_control(halfway, fs_accept());
    expect_closed(silent);
    expect_closed(halfway);
    assert_int_equal(counter_get(COUNT_REFUSED_HANDSHAKE), before + 2);
    put_answers(good, "192.0.2.1", 5);
    finish(good);
    stop(&f);
}

static void beyond_the_limit_the_newest_connection_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    struct collector_options options = options_of(&f);
    options.max_connections = 2;
    start_with(&f, &options);
    uint64_t before = counter_get(COUNT_REFUSED_LIMIT);
    int first = dial_unix(f.path);
    int second = dial_tcp(&f);
    shake_hands(first);
    shake_hands(second);
    expect_closed(dial_tcp(&f));
    expect_closed(dial_unix(f.path));
    assert_int_equal(counter_get(COUNT_REFUSED_LIMIT), before + 2);
    finish(first);
    wait_counter(COUNT_CONNECTIONS, 1);
    int third = dial_unix(f.path);
    shake_hands(third);
    finish(third);
    finish(second);
    stop(&f);
}

static void tcp_peers_outside_the_networks_allowed_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct cidr allow[2];
    assert_true(cidr_parse(&allow[0], "192.0.2.0/24", 12));
    assert_true(cidr_parse(&allow[1], "127.0.0.0/8", 11));
    for (size_t count = 1; count <= 2; count++) {
        prepare(&f);
        struct collector_options options = options_of(&f);
        options.allow = allow;
        options.allow_count = count;
        start_with(&f, &options);
        int by_unix = dial_unix(f.path);
        shake_hands(by_unix);
        finish(by_unix);
        int by_tcp = dial_tcp(&f);
        if (count == 1) {
            expect_closed(by_tcp);
        } else {
            shake_hands(by_tcp);
            finish(by_tcp);
        }
        stop(&f);
    }
}

static void begun_frames_beyond_their_memory_cost_the_largest(void **state)
{
    (void)state;
    enum { HOARDERS = 4, FRAME = 100000 };
    struct fixture f;
    prepare(&f);
    struct collector_options options = options_of(&f);
    options.max_frame = FRAME;
    options.partial_bytes = 1; /* raised to two frames */
    start_with(&f, &options);
    int good = dial_unix(f.path);
    shake_hands(good);
    put_answers(good, "192.0.2.1", 5);
    uint64_t before = counter_get(COUNT_REFUSED_MEMORY);
    static uint8_t part[FRAME + 3];
    part[1] = FRAME >> 16;
    part[2] = FRAME >> 8 & 0xff;
    part[3] = FRAME & 0xff;
    int fds[HOARDERS];
    for (int i = 0; i < HOARDERS; i++) {
        fds[i] = dial_unix(f.path);
        shake_hands(fds[i]);
        put(fds[i], part, sizeof(part));
    }
    int64_t until_us = clock_monotonic_us() + LONG_MS * 1000;
    while (counter_get(COUNT_REFUSED_MEMORY) < before + 2 && clock_monotonic_us() < until_us) {
        usleep(1000);
    }
    assert_true(counter_get(COUNT_REFUSED_MEMORY) >= before + 2);
    put_answers(good, "192.0.2.1", 5);
    finish(good);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 10);
    for (int i = 0; i < HOARDERS; i++) {
        close(fds[i]);
    }
    stop(&f);
}

static void a_frame_longer_than_the_limit_is_skipped_and_counted(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    struct collector_options options = options_of(&f);
    options.max_frame = 1000;
    start_with(&f, &options);
    uint64_t before = counter_get(COUNT_FRAME_OVERSIZE);
    int fd = dial_tcp(&f);
    shake_hands(fd);
    static const uint8_t LONG_FRAME[4 + 1001] = {0, 0, 0x03, 0xe9};
    put(fd, LONG_FRAME, sizeof(LONG_FRAME));
    put_answers(fd, "192.0.2.1", 1);
    finish(fd);
    assert_int_equal(counter_get(COUNT_FRAME_OVERSIZE), before + 1);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 1);
    stop(&f);
}

/* ---- Listeners ---- */

struct listener_case {
    const char *listener;
    int err;
    const char *why; /* part of it */
};

static const struct listener_case REFUSED[] = {
    {"6000", W_EUSAGE, "expected unix:PATH"},
    {"udp:127.0.0.1:6000", W_EUSAGE, "expected unix:PATH"},
    {"tls:127.0.0.1:6000", W_EUSAGE, "needs --tls-cert FILE"},
    {"unix:", W_EUSAGE, "expected a path"},
    {"unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
     "56789012345678901234567890",
     W_EUSAGE, "expected a path of 1 to 107"},
    {"unix:/nonexistent/dnstap.sock", -ENOENT, "/nonexistent/dnstap.sock"},
    {"tcp:6000", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp::6000", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:localhost:6000", W_EUSAGE, "with an IP address"},
    {"tcp:127.0.0.1", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:127.0.0.1:", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:127.0.0.1:65536", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:127.0.0.1:-1", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:127.0.0.1:6000x", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:::1:6000", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:[127.0.0.1]:6000", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:[::1:6000", W_EUSAGE, "expected tcp:ADDR:PORT"},
    {"tcp:203.0.113.1:6000", -EADDRNOTAVAIL, "tcp:203.0.113.1:6000"},
};

static void a_listener_that_cannot_be_is_named_with_what_is_expected(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
        struct why why = {""};
        struct collector_options options = options_of(&f);
        options.listeners = &REFUSED[i].listener;
        options.listener_count = 1;
        int err = collector_new(&f.collector, &options, f.store, &why);
        if (err != REFUSED[i].err || strstr(why.text, REFUSED[i].why) == NULL) {
            fail_msg("%s: %d: %s", REFUSED[i].listener, err, why.text);
        }
        assert_null(f.collector);
    }
    struct why why = {""};
    struct collector_options none = {.cluster = "default"};
    assert_int_equal(collector_new(&f.collector, &none, f.store, &why), W_EUSAGE);
    assert_non_null(strstr(why.text, "--dnstap"));
    stop(&f);
}

static void listeners_are_named_as_bound(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    const char *listeners[] = {f.unix_listener, "tcp:127.0.0.1:0", "tcp:[::1]:0"};
    struct collector_options options = options_of(&f);
    options.listeners = listeners;
    options.listener_count = 3;
    start_with(&f, &options);
    assert_int_equal(collector_listener_count(f.collector), 3);
    assert_string_equal(collector_listener_name(f.collector, 0), f.unix_listener);
    assert_memory_equal(collector_listener_name(f.collector, 1), "tcp:127.0.0.1:", 14);
    assert_memory_equal(collector_listener_name(f.collector, 2), "tcp:[::1]:", 10);
    assert_string_not_equal(collector_listener_name(f.collector, 1), "tcp:127.0.0.1:0");
    stop(&f);
}

static void a_port_in_use_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct why why = {""};
    start(&f);
    struct collector *other;
    const char *listener = collector_listener_name(f.collector, 1);
    struct collector_options options = options_of(&f);
    options.listeners = &listener;
    options.listener_count = 1;
    char dir[64];
    fixture_dir(dir);
    struct store *store = fixture_open(dir, STORE_WRITE);
    assert_int_equal(collector_new(&other, &options, store, &why), -EADDRINUSE);
    assert_non_null(strstr(why.text, listener));
    store_close(&store);
    fixture_remove(dir);
    stop(&f);
}

static void leave_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void a_socket_left_behind_is_replaced_and_ours_is_removed(void **state)
{
    (void)state;
    struct fixture f;
    struct stat stat_of;
    prepare(&f);
    leave_socket(f.path);
    struct collector_options options = options_of(&f);
    options.unix_mode = 0640;
    start_with(&f, &options);
    assert_int_equal(stat(f.path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0640);
    int fd = dial_unix(f.path);
    shake_hands(fd);
    finish(fd);
    stop_collector(&f);
    assert_int_not_equal(access(f.path, F_OK), 0);
    stop(&f);
}

static void a_socket_put_in_our_place_is_left_alone(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    assert_int_equal(unlink(f.path), 0);
    leave_socket(f.path);
    stop_collector(&f);
    assert_int_equal(access(f.path, F_OK), 0);
    stop(&f);
}

static void a_socket_in_use_and_a_file_are_not_replaced(void **state)
{
    (void)state;
    struct fixture f;
    struct fixture other;
    struct why why = {""};
    start(&f);
    prepare(&other);
    struct collector_options options = options_of(&f);
    assert_int_equal(collector_new(&other.collector, &options, other.store, &why), -EADDRINUSE);
    assert_non_null(strstr(why.text, "in use by another process"));
    int fd = dial_unix(f.path);
    shake_hands(fd);
    finish(fd);
    stop_collector(&f);

    int file = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(collector_new(&other.collector, &options, other.store, &why), -EADDRINUSE);
    assert_non_null(strstr(why.text, "is not a socket"));
    assert_int_equal(access(f.path, F_OK), 0);
    stop(&other);
    stop(&f);
}

static void sockets_that_systemd_passes_are_listeners(void **state)
{
    (void)state;
    struct fixture f;
    char pid[16];
    prepare(&f);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, f.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 10), 0);
    /* sd_listen_fds(3) counts from descriptor 3 on. */
    int kept = dup(3);
    assert_int_equal(dup2(fd, 3), 3);
    if (fd != 3) {
        close(fd);
    }
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    /* A sender that came before the service did. */
    int early = dial_unix(f.path);
    put_control(early, fs_start());
    put_answers(early, "192.0.2.1", 3);
    struct collector_options options = options_of(&f);
    options.listener_count = 0;
    start_with(&f, &options);
    assert_int_equal(collector_listener_count(f.collector), 1);
    assert_string_equal(collector_listener_name(f.collector, 0), f.unix_listener);
    put_control(early, fs_stop());
    expect_closed(early);
    stop_collector(&f);
    assert_int_equal(answers_to(&f, "192.0.2.1"), 3);
    /* Not ours to remove. */
    assert_int_equal(access(f.path, F_OK), 0);
    if (kept >= 0) {
        dup2(kept, 3);
        close(kept);
    }
    stop(&f);
}

static void any_allocation_of_the_start_may_fail(void **state)
{
    (void)state;
    struct fixture f;
    prepare(&f);
    for (size_t n = 1, failed = 1; failed > 0; n++) {
        struct why why = {""};
        struct collector_options options = options_of(&f);
        options.queue_bytes = 1;
        alloc_fail_at(n);
        int err = collector_new(&f.collector, &options, f.store, &why);
        failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err == 0, f.collector != NULL);
        /* The writer's thread allocates too, and copes. */
        assert_true(err == 0 || err == -ENOMEM);
        collector_free(&f.collector);
        assert_int_not_equal(access(f.path, F_OK), 0);
    }
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_finish_comes_everything_is_committed),
        cmocka_unit_test(a_sender_octet_by_octet_is_a_sender),
        cmocka_unit_test(start_without_ready_is_accepted_and_stop_closes),
        cmocka_unit_test(a_sender_that_stops_without_a_frame_gets_finish),
        cmocka_unit_test(a_stream_without_stop_is_cut_and_keeps_every_whole_frame),
        cmocka_unit_test(stopping_commits_what_was_sent_and_cuts_who_is_connected),
        cmocka_unit_test(sigterm_stops_it),
        cmocka_unit_test(a_queue_that_fills_loses_nothing),
        cmocka_unit_test(garbage_is_refused_and_counted_and_disturbs_nobody),
        cmocka_unit_test(who_does_not_shake_hands_in_time_is_closed),
        cmocka_unit_test(beyond_the_limit_the_newest_connection_is_refused),
        cmocka_unit_test(tcp_peers_outside_the_networks_allowed_are_refused),
        cmocka_unit_test(begun_frames_beyond_their_memory_cost_the_largest),
        cmocka_unit_test(a_frame_longer_than_the_limit_is_skipped_and_counted),
        cmocka_unit_test(a_listener_that_cannot_be_is_named_with_what_is_expected),
        cmocka_unit_test(listeners_are_named_as_bound),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(a_socket_left_behind_is_replaced_and_ours_is_removed),
        cmocka_unit_test(a_socket_put_in_our_place_is_left_alone),
        cmocka_unit_test(a_socket_in_use_and_a_file_are_not_replaced),
        cmocka_unit_test(sockets_that_systemd_passes_are_listeners),
        cmocka_unit_test(any_allocation_of_the_start_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
