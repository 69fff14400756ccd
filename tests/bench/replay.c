/* tests/bench/replay.c -- sends the frames of a capture over a socket as CoreDNS does
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bidirectional handshake of Frame Streams, then the data frames in writes of 4096 bytes that
 * do not heed frame borders (CoreDNS writes through a bufio.Writer of that size), at full speed or
 * paced, then STOP and a wait for FINISH. A paced sender also flushes what it has once a second.
 *
 * The capture is mapped and its data frames go to the socket from there: nothing is copied or
 * decoded, so that the receiver is what is measured.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/capture.h"

enum {
    BLOCK_SIZE = 4096,
    CONTROL_MAX = 512,
    CONNECT_TRIES = 100,
    CONNECT_WAIT_MS = 50,
    ANSWER_WAIT_S = 60, /* a slow receiver works off what the socket holds before it answers */
    FLUSH_NS = 1000000000,
};

enum control { ACCEPT = 1, START = 2, STOP = 3, READY = 4, FINISH = 5 };

static const char content_type[] = "protobuf:dnstap.Dnstap";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t when_ns)
{
    struct timespec t = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static int fail(const char *what)
{
    int err = errno;
    fprintf(stderr, "replay: %s: %s\n", what, strerror(err));
    return -err;
}

static int send_all(int fd, const uint8_t *p, size_t len)
{
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail("send");
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, uint8_t *p, size_t len)
{
    while (len) {
        ssize_t n = recv(fd, p, len, 0);
        if (n == 0) {
            errno = ECONNRESET;
        }
        if (n <= 0) {
            if (n < 0 && errno == EINTR) {
                continue;
            }
            return fail("receive");
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_control(int fd, enum control type)
{
    uint8_t frame[CONTROL_MAX], *p = frame;
    size_t type_len = sizeof(content_type) - 1;
    bool with_type = type == READY || type == START;

    p = put_u32(p, 0);
    p = put_u32(p, with_type ? (uint32_t)(12 + type_len) : 4);
    p = put_u32(p, type);
    if (with_type) {
        p = put_u32(p, 1);
        p = put_u32(p, (uint32_t)type_len);
        memcpy(p, content_type, type_len);
        p += type_len;
    }
    return send_all(fd, frame, (size_t)(p - frame));
}

static int expect_control(int fd, enum control type, const char *name)
{
    uint8_t frame[CONTROL_MAX];

    int err = receive_all(fd, frame, 8);
    if (err) {
        return err;
    }
    uint32_t len = get_u32(frame + 4);
    if (get_u32(frame) != 0 || len < 4 || len > CONTROL_MAX) {
        fprintf(stderr, "replay: the receiver sent no control frame where %s was due\n", name);
        return -EPROTO;
    }
    err = receive_all(fd, frame, len);
    if (!err && get_u32(frame) != type) {
        fprintf(stderr, "replay: control frame %" PRIu32 " instead of %s\n", get_u32(frame), name);
        return -EPROTO;
    }
    return err;
}

static int parse_target(const char *text, struct sockaddr_storage *to, socklen_t *len)
{
    struct sockaddr_un *un = (struct sockaddr_un *)to;
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    char host[64];

    memset(to, 0, sizeof(*to));
    if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof(un->sun_path)) {
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, text + 5);
        *len = sizeof(*un);
        return 0;
    }
    const char *port = strrchr(text, ':');
    if (strncmp(text, "tcp:", 4) == 0 && port > text + 4 && (size_t)(port - text) < sizeof(host)) {
        snprintf(host, sizeof(host), "%.*s", (int)(port - text - 4), text + 4);
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
        *len = sizeof(*in);
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
    }
    return -EINVAL;
}

/* A receiver that was started a moment ago may not listen yet. */
static int connect_to(const struct sockaddr_storage *to, socklen_t len, const char *target)
{
    for (int tries = 0; tries < CONNECT_TRIES; tries++) {
        int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            return fail("socket");
        }
        if (connect(fd, (const struct sockaddr *)to, len) == 0) {
            struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
            return fd;
        }
        close(fd);
        sleep_until(now_ns() + (int64_t)CONNECT_WAIT_MS * 1000000);
    }
    return fail(target);
}

static int send_flat_out(int fd, const struct capture *c)
{
    for (size_t at = c->begin; at < c->end; at += BLOCK_SIZE) {
        size_t len = c->end - at < BLOCK_SIZE ? c->end - at : BLOCK_SIZE;
        int err = send_all(fd, c->data + at, len);
        if (err) {
            return err;
        }
    }
    return 0;
}

/* Frame i is handed to the buffer at begin + i / rate; the buffer goes out when full or after a
 * second. Sleeps are per block, so the pace costs little. */
static int send_paced(int fd, const struct capture *c, double rate)
{
    int64_t begin_ns = now_ns(), flushed_ns = begin_ns;
    size_t sent = c->begin, at = c->begin;
    int err = 0;

    for (uint64_t i = 0; i < c->frames && !err; i++) {
        int64_t due_ns = begin_ns + (int64_t)((double)i * 1e9 / rate);
        if (due_ns - flushed_ns >= FLUSH_NS) {
            sleep_until(flushed_ns + FLUSH_NS);
            err = send_all(fd, c->data + sent, at - sent);
            sent = at;
            flushed_ns += FLUSH_NS;
        }
        at += 4 + (size_t)get_u32(c->data + at);
        while (at - sent >= BLOCK_SIZE && !err) {
            sleep_until(due_ns);
            err = send_all(fd, c->data + sent, BLOCK_SIZE);
            sent += BLOCK_SIZE;
            flushed_ns = due_ns;
        }
    }
    return err ? err : send_all(fd, c->data + sent, at - sent);
}

static int replay(int fd, const struct capture *c, double rate)
{
    int err = send_control(fd, READY);
    if (!err) {
        err = expect_control(fd, ACCEPT, "ACCEPT");
    }
    if (!err) {
        err = send_control(fd, START);
    }
    int64_t begin_ns = now_ns();
    if (!err) {
        err = rate > 0 ? send_paced(fd, c, rate) : send_flat_out(fd, c);
    }
    if (!err) {
        err = send_control(fd, STOP);
    }
    int64_t stop_ns = now_ns();
    if (!err) {
        err = expect_control(fd, FINISH, "FINISH");
    }
    if (!err) {
        double seconds = (double)(now_ns() - begin_ns) / 1e9;
        printf("frames %" PRIu64 " seconds %.3f frames_per_s %.0f mb_per_s %.1f finish_ms %.1f\n",
               c->frames, seconds, (double)c->frames / seconds,
               (double)(c->end - c->begin) / 1e6 / seconds, (double)(now_ns() - stop_ns) / 1e6);
    }
    return err;
}

static int usage(void)
{
    fprintf(stderr, "usage: replay [--rate FRAMES_PER_S] FILE unix:PATH|tcp:ADDR:PORT\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"rate", 1, 0, 'r'}, {0, 0, 0, 0}};
    struct sockaddr_storage to;
    struct capture capture;
    socklen_t to_len;
    double rate = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c != 'r' || (rate = strtod(optarg, NULL)) <= 0) {
            return usage();
        }
    }
    if (argc - optind != 2 || parse_target(argv[optind + 1], &to, &to_len)) {
        return usage();
    }
    if (capture_open(&capture, argv[optind])) {
        return 1;
    }
    int fd = connect_to(&to, to_len, argv[optind + 1]);
    if (fd < 0) {
        return 1;
    }
    int err = replay(fd, &capture, rate);
    close(fd);
    return err ? 1 : 0;
}
