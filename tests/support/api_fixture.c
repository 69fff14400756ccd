/* tests/support/api_fixture.c -- a small index, an HTTP service over it, and a plain client
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/api_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "proto/answer.h"
#include "proto/name.h"

static void need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fixture: %s failed: %s\n", what, strerror(errno));
        abort();
    }
}

/* ---- the index ---- */

static struct name wire(const char *text)
{
    struct name name;
    need(name_from_text(&name, text, strlen(text)) == 0, text);
    return name;
}

static void add(struct store *store, uint16_t cluster, int64_t at_s, const char *client,
                const char *asked, const char *target, uint32_t ttl_s, const char *first,
                const char *second)
{
    struct name asked_name = wire(asked);
    struct name target_name = wire(target != NULL ? target : ".");
    const uint8_t *chain[] = {target_name.wire};
    uint8_t v4[8], v6[32], bytes[1024];
    uint16_t v4_count = 0, v6_count = 0;
    const char *texts[] = {first, second};
    for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
        struct addr addr;
        need(addr_parse(&addr, texts[i], strlen(texts[i])), texts[i]);
        if (addr_is_v4(&addr)) {
            memcpy(v4 + 4 * v4_count++, addr.b + 12, 4);
        } else {
            memcpy(v6 + 16 * v6_count++, addr.b, 16);
        }
    }
    size_t len = answer_encode(ANSWER_VIA_CLIENT, asked_name.wire, chain, target != NULL, v4,
                               v4_count, v6, v6_count, bytes, sizeof(bytes));
    struct addr client_addr;
    need(addr_parse(&client_addr, client, strlen(client)), client);
    int64_t time_us = FIXTURE_T_US + at_s * US_PER_S;
    need(store_asked(store, cluster, &client_addr, time_us) == 0, "store_asked");
    need(store_answer(store, cluster, &client_addr, time_us, ttl_s, bytes, len) == 0,
         "store_answer");
}

static void fill(struct store *store)
{
    uint16_t cluster = store_cluster(store, "default");
    uint32_t stream = store_stream_begin(store, STREAM_LIVE, cluster, (const uint8_t *)"dns-1", 5,
                                         (const uint8_t *)"CoreDNS-1.12.1", 14,
                                         "tcp:127.0.0.1:4711", FIXTURE_T_US - 2 * US_PER_HOUR);
    need(stream != 0, "store_stream_begin");
    add(store, cluster, 0, "10.0.0.7", "api.example.com", NULL, 60, "192.0.2.10", "192.0.2.11");
    add(store, cluster, 1, "10.0.0.7", "www.example.net", "edge.example.org", 300, "198.51.100.7",
        NULL);
    add(store, cluster, 2, "10.0.0.8", "api.example.com", NULL, 60, "192.0.2.10", "192.0.2.11");
    add(store, cluster, 3, "2001:db8::7", "six.example.com", NULL, 60, "2001:db8:1::1", NULL);
    for (int i = 10; i < 60; i++) {
        char name[64], address[64];
        snprintf(name, sizeof(name), "n%d.list.example.com", i);
        snprintf(address, sizeof(address), "203.0.113.%d", i);
        add(store, cluster, i, "10.0.0.9", name, NULL, 60, address, NULL);
    }
    store_stream_heard(store, stream, FIXTURE_T_US + US_PER_HOUR);
    store_stream_end(store, stream, STREAM_STOPPED);
    struct why why;
    need(store_commit(store, clock_now_us(), &why) == 0, "store_commit");
}

void api_fixture_open(struct api_fixture *fixture)
{
    *fixture = (struct api_fixture){0};
    const char *tmp = getenv("TMPDIR");
    snprintf(fixture->dir, sizeof(fixture->dir), "%.40s/api-XXXXXX", tmp != NULL ? tmp : "/tmp");
    need(mkdtemp(fixture->dir) != NULL, fixture->dir);
    struct why why = {""};
    if (store_open(&fixture->store, fixture->dir, STORE_WRITE, NULL, &why) != 0) {
        fprintf(stderr, "fixture: %s\n", why.text);
        abort();
    }
    fill(fixture->store);
}

struct api_options api_fixture_options(const struct api_fixture *fixture)
{
    struct api_options options = {
        .store = fixture->store, .params = attribute_defaults(), .cluster = "default"};
    addr_parse(&options.address, "127.0.0.1", 9);
    return options;
}

void api_fixture_start(struct api_fixture *fixture, const struct api_options *options)
{
    struct why why = {""};
    if (api_start(&fixture->api, options, &why) != 0) {
        fprintf(stderr, "fixture: %s\n", why.text);
        abort();
    }
    fixture->port = api_port(fixture->api);
}

void api_fixture_close(struct api_fixture *fixture)
{
    char command[128];
    api_stop(&fixture->api);
    store_close(&fixture->store);
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->dir);
    need(system(command) == 0, command);
}

/* ---- the client ---- */

int client_connect(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0, "connect");
    return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the service may have closed: what it said is still to be read */
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Takes the chunked transfer coding (RFC 9112 section 7.1) off, in place. */
static size_t unchunk(char *body, size_t len)
{
    size_t in = 0, out = 0;
    while (in < len) {
        char *end;
        size_t size = strtoul(body + in, &end, 16);
        char *data = strstr(end, "\r\n");
        if (size == 0 || data == NULL || (size_t)(data + 2 - body) + size > len) {
            break;
        }
        memmove(body + out, data + 2, size);
        out += size;
        in = (size_t)(data + 2 - body) + size + 2;
    }
    body[out] = '\0';
    return out;
}

static void split(struct reply *reply)
{
    if (strncmp(reply->text, "HTTP/1.1 ", 9) == 0) {
        reply->status = atoi(reply->text + 9);
    }
    char *line = strstr(reply->text, "\r\n");
    char *blank = strstr(reply->text, "\r\n\r\n");
    reply->headers = line == NULL ? reply->text + reply->len : line + 2;
    reply->body = blank == NULL ? reply->text + reply->len : blank + 4;
    if (blank != NULL) {
        blank[2] = '\0';
    }
    reply->body_len = reply->len - (size_t)(reply->body - reply->text);
    if (strcasecmp(reply_header(reply, "Transfer-Encoding"), "chunked") == 0) {
        reply->body_len = unchunk(reply->body, reply->body_len);
    }
}

struct reply client_finish(int fd)
{
    struct buf buf = {0};
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int64_t deadline_us = clock_monotonic_us() + 10 * US_PER_S;
    for (;;) {
        int left_ms = (int)((deadline_us - clock_monotonic_us()) / 1000);
        char *at = buf_room(&buf, 65536);
        need(at != NULL, "memory");
        ssize_t got = left_ms > 0 && poll(&poll_fd, 1, left_ms) == 1 ? recv(fd, at, 65536, 0) : -1;
        if (got <= 0) {
            break;
        }
        buf.len += (size_t)got;
    }
    close(fd);
    buf_char(&buf, '\0');
    struct reply reply = {.text = buf.data, .len = buf.len - 1};
    split(&reply);
    return reply;
}

void reply_free(struct reply *reply)
{
    free(reply->text);
    *reply = (struct reply){0};
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[512];
    size_t name_len = strlen(name);
    value[0] = '\0';
    for (const char *line = reply->headers; *line != '\0';) {
        const char *end = strstr(line, "\r\n");
        size_t len = end == NULL ? strlen(line) : (size_t)(end - line);
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            size_t skip = name_len + 1 + strspn(line + name_len + 1, " ");
            snprintf(value, sizeof(value), "%.*s", (int)(len - skip), line + skip);
            return value;
        }
        line += len + (end == NULL ? 0 : 2);
    }
    return value;
}

struct reply client_raw(uint16_t port, const char *bytes, size_t len)
{
    int fd = client_connect(port);
    client_send(fd, bytes, len);
    return client_finish(fd);
}

struct reply client_ask(uint16_t port, const char *method, const char *target, const char *headers,
                        const char *body)
{
    struct buf buf = {0};
    bool has_host = headers != NULL && strcasestr(headers, "host:") != NULL;
    buf_printf(&buf, "%s %s HTTP/1.1\r\n%sConnection: close\r\n%s", method, target,
               has_host ? "" : "Host: localhost\r\n", headers != NULL ? headers : "");
    if (body != NULL) {
        buf_printf(&buf, "Content-Length: %zu\r\n", strlen(body));
    }
    buf_str(&buf, "\r\n");
    buf_str(&buf, body != NULL ? body : "");
    need(buf.err == 0, "memory");
    struct reply reply = client_raw(port, buf.data, buf.len);
    buf_fini(&buf);
    return reply;
}
