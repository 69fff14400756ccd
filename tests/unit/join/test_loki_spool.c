/* tests/unit/join/test_loki_spool.c -- Loki as a file that grows: what a start finds and leaves
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/loki_spool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/support/store_fixture.h"

#define T_US (INT64_C(1779444000) * 1000000)

/* A server that answers every query with the lines at T and after: one a second, LINES of them,
 * whatever the limit. */
enum { LINES = 5 };

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
};

static void answer(int fd)
{
    char request[4096] = "";
    struct buf body = {0};
    struct buf reply = {0};
    ssize_t len = recv(fd, request, sizeof(request) - 1, 0);
    const char *start = len > 0 ? strstr(request, "start=") : NULL;
    long long from_ns = start != NULL ? atoll(start + 6) : 0;
    const char *comma = "";
    buf_str(&body, "{\"status\":\"success\",\"data\":{\"result\":[{\"stream\":{},\"values\":[");
    for (int i = 0; i < LINES; i++) {
        long long ns = (T_US + i * US_PER_S) * 1000LL;
        if (ns >= from_ns) {
            buf_printf(&body, "%s[\"%lld\",\"line-%d\"]", comma, ns, i);
            comma = ",";
        }
    }
    buf_str(&body, "]}]}}");
    buf_printf(&reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
               body.len);
    buf_add(&reply, body.data, body.len);
    (void)!write(fd, reply.data, reply.len);
    buf_fini(&reply);
    buf_fini(&body);
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        answer(fd);
        close(fd);
    }
    return NULL;
}

static void start_server(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->fd, 5), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop_server(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static void ignore(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* "01234" of the lines in the file. */
static void read_numbers(const char *path, char *numbers)
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, "line-");
        assert_non_null(at);
        assert_int_equal(line[strlen(line) - 1], '\n');
        *numbers++ = at[5];
    }
    *numbers = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

#define LINE(N)                                                                                    \
    "{\"labels\":{},\"line\":\"line-" #N "\",\"timestamp\":\"2026-05-22T10:00:0" #N                \
    ".000000000Z\"}\n"

static void it_goes_on_where_the_file_ends(void **state)
{
    static const struct {
        const char *file;   /* NULL: there is none */
        const char *before; /* PATH.1 */
        const char *numbers;
    } CASES[] = {
        {NULL, NULL, "01234"},
        {"", NULL, "01234"},
        {LINE(0) LINE(1), NULL, "01234"},
        {LINE(0) LINE(1) "{\"labels\":{},\"line\":\"line-2\",\"time", NULL, "01234"},
        {LINE(0) LINE(1) LINE(2) LINE(3) LINE(4), NULL, "01234"},
        {NULL, LINE(0) LINE(1), "234"},
        {"{\"lab", LINE(0) LINE(1) LINE(2), "34"},
    };
    struct server server;
    char dir[64], path[100], before[110], source[200];
    (void)state;
    start_server(&server);
    snprintf(source, sizeof(source), "loki:http://127.0.0.1:%d?query={a=\"b\"}&from=1779443000",
             server.port);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct loki_spool *spool;
        struct why why = {""};
        char numbers[64] = "";
        fixture_dir(dir);
        snprintf(path, sizeof(path), "%s/spool", dir);
        snprintf(before, sizeof(before), "%s/spool.1", dir);
        if (CASES[i].file != NULL) {
            write_file(path, CASES[i].file);
        }
        if (CASES[i].before != NULL) {
            write_file(before, CASES[i].before);
        }
        const struct loki_spool_options options = {source, path, ignore, NULL};
        assert_int_equal(loki_spool_start(&spool, &options, &why), 0);
        for (int n = 0; n < 100 && strlen(numbers) < strlen(CASES[i].numbers); n++) {
            usleep(20000);
            read_numbers(path, numbers);
        }
        usleep(50000);
        loki_spool_stop(&spool);
        read_numbers(path, numbers);
        assert_string_equal(numbers, CASES[i].numbers);
        fixture_remove(dir);
    }
    stop_server(&server);
}

static void what_cannot_be_started_says_why(void **state)
{
    struct loki_spool *spool;
    struct why why = {""};
    const struct loki_spool_options bad = {"loki:nowhere", "/tmp/x", ignore, NULL};
    const struct loki_spool_options nowhere = {"loki:http://127.0.0.1?query={}",
                                               "/nonexistent/folder/x", ignore, NULL};
    (void)state;
    assert_int_equal(loki_spool_start(&spool, &bad, &why), W_EUSAGE);
    assert_null(spool);
    assert_int_equal(loki_spool_start(&spool, &nowhere, &why), -ENOENT);
    assert_non_null(strstr(why.text, "/nonexistent/folder/x"));
    loki_spool_stop(&spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_where_the_file_ends),
        cmocka_unit_test(what_cannot_be_started_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
