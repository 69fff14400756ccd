/* collector/listener.c -- the sockets that senders connect to
 * SPDX-License-Identifier: Apache-2.0
 *
 * Unix sockets are made here and only then given to libuv, which would remove the socket file on
 * closing even where another process has put its own in that place.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "collector/internal.h"

#define BACKLOG 511
/* Room for a unix path and the scheme before it. */
#define NAME_MAX_LEN 160

/* ---- Unix ---- */

static int unix_address(struct sockaddr_un *address, const char *path, struct why *why)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof(address->sun_path)) {
        return why_set(why, W_EUSAGE, "--dnstap unix:%.120s: expected a path of 1 to %zu octets",
                       path, sizeof(address->sun_path) - 1);
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Is somebody listening there? Returns 1, 0, or -errno where that cannot be told. */
static int is_in_use(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
    close(fd);
    if (err == ECONNREFUSED || err == ENOENT) {
        return 0;
    }
    /* A full backlog refuses with EAGAIN, and has a listener. */
    return err == 0 || err == EAGAIN ? 1 : -err;
}

/* Removes the socket file that a killed process left behind. */
static int clear_stale(const struct sockaddr_un *address, struct why *why)
{
    struct stat stat;
    const char *path = address->sun_path;
    if (lstat(path, &stat) != 0) {
        return errno == ENOENT ? 0 : why_set(why, -errno, "unix:%s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(stat.st_mode)) {
        return why_set(why, -EADDRINUSE, "unix:%s exists and is not a socket", path);
    }
    int in_use = is_in_use(address);
    if (in_use == 1) {
        return why_set(why, -EADDRINUSE, "unix:%s is in use by another process", path);
    }
    if (in_use < 0) {
        return why_set(why, in_use, "unix:%s exists, and whether it is in use cannot be told: %s",
                       path, err_str(in_use));
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return why_set(why, -errno, "unix:%s was left behind and cannot be removed: %s", path,
                       strerror(errno));
    }
    return 0;
}

/* Remembers which socket file is ours. */
static int own_path(struct listener *listener, const char *path, uint32_t mode)
{
    struct stat stat;
    if (chmod(path, (mode_t)mode) != 0 || lstat(path, &stat) != 0) {
        return -errno;
    }
    listener->path = strdup(path);
    listener->device = stat.st_dev;
    listener->inode = stat.st_ino;
    return listener->path == NULL ? -ENOMEM : 0;
}

static int adopt(struct listener *listener, int fd, bool is_unix)
{
    uv_loop_t *loop = &listener->collector->loop;
    listener->is_unix = is_unix;
    int err = is_unix ? uv_pipe_init(loop, &listener->handle.pipe, 0)
                      : uv_tcp_init(loop, &listener->handle.tcp);
    if (err != 0) {
        return err;
    }
    listener->open = true;
    listener->handle.handle.data = listener;
    return is_unix ? uv_pipe_open(&listener->handle.pipe, fd)
                   : uv_tcp_open(&listener->handle.tcp, fd);
}

static int open_unix(struct listener *listener, const char *path, struct why *why)
{
    struct sockaddr_un address;
    int err = unix_address(&address, path, why);
    err = err == 0 ? clear_stale(&address, why) : err;
    if (err != 0) {
        return err;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        err = -errno;
    } else {
        err = own_path(listener, path, listener->collector->options.unix_mode);
    }
    err = err == 0 ? adopt(listener, fd, true) : err;
    if (err != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return why_set(why, err, "unix:%s: %s", path, err_str(err));
    }
    return 0;
}

/* ---- TCP ---- */

/* "192.0.2.1:6000", "[2001:db8::1]:6000" */
static bool parse_endpoint(const char *text, struct sockaddr_in6 *v6, struct sockaddr_in *v4,
                           bool *is_v4)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0') {
        return false;
    }
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    const char *begin = text + bracketed;
    size_t len = (size_t)(colon - begin) - bracketed;
    struct addr addr;
    /* Without brackets, the colons of an IPv6 address could be the port's. */
    if ((memchr(begin, ':', len) != NULL) != bracketed || !addr_parse(&addr, begin, len)) {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || colon[1] < '0' || colon[1] > '9' || port > UINT16_MAX) {
        return false;
    }
    *is_v4 = !bracketed;
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    memcpy(&v4->sin_addr, addr.b + 12, 4);
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memcpy(&v6->sin6_addr, addr.b, 16);
    return true;
}

/* `text` is "tcp:…" or "tls:…". */
static int open_tcp(struct listener *listener, const char *text, struct why *why)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    bool is_v4;
    if (!parse_endpoint(text + 4, &v6, &v4, &is_v4)) {
        return why_set(why, W_EUSAGE,
                       "--dnstap %.120s: expected %.3s:ADDR:PORT or %.3s:[ADDR]:PORT with an IP "
                       "address",
                       text, text, text);
    }
    listener->tls = text[1] == 'l';
    if (listener->tls && listener->collector->tls == NULL) {
        return why_set(why, W_EUSAGE, "--dnstap %.120s: needs --tls-cert FILE and --tls-key FILE",
                       text);
    }
    int err = uv_tcp_init(&listener->collector->loop, &listener->handle.tcp);
    if (err == 0) {
        listener->open = true;
        listener->handle.handle.data = listener;
        err = uv_tcp_bind(&listener->handle.tcp,
                          is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, 0);
    }
    return err == 0 ? 0 : why_set(why, err, "%s: %s", text, uv_strerror(err));
}

/* ---- Names ---- */

static void print_tcp(char *name, size_t room, const char *scheme, const struct sockaddr *address)
{
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    bool is_v4 = address->sa_family == AF_INET;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    addr_from_wire(&addr, is_v4 ? (const uint8_t *)&v4->sin_addr : (const uint8_t *)&v6->sin6_addr,
                   is_v4 ? 4 : 16);
    addr_print(&addr, text);
    snprintf(name, room, addr_is_v4(&addr) ? "%s:%s:%u" : "%s:[%s]:%u", scheme, text,
             ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
}

/* Names the listener by the address it really has. */
static int name_listener(struct listener *listener)
{
    char name[NAME_MAX_LEN] = "unix:";
    struct sockaddr_storage address = {0};
    if (listener->is_unix) {
        size_t len = NAME_MAX_LEN - 6;
        if (uv_pipe_getsockname(&listener->handle.pipe, name + 5, &len) == 0) {
            name[5 + len] = '\0';
            /* An abstract name begins with a NUL. */
            name[5] = name[5] == '\0' && len > 0 ? '@' : name[5];
        }
    } else {
        int len = sizeof(address);
        int err = uv_tcp_getsockname(&listener->handle.tcp, (struct sockaddr *)&address, &len);
        if (err != 0) {
            return err;
        }
        print_tcp(name, sizeof(name), listener->tls ? "tls" : "tcp", (struct sockaddr *)&address);
    }
    listener->name = strdup(name);
    return listener->name == NULL ? -ENOMEM : 0;
}

/* ---- All of them ---- */

static int open_named(struct listener *listener, const char *given, struct why *why)
{
    char text[PATH_MAX];
    size_t len;
    int err;
    if (!cluster_split(given, &len, &listener->cluster)) {
        return why_set(why, W_EUSAGE,
                       "--dnstap %.120s: expected a cluster's name of 1 to %d octets at its end",
                       given, CLUSTER_NAME_MAX);
    }
    snprintf(text, sizeof(text), "%.*s", (int)len, given);
    if (strncmp(text, "unix:", 5) == 0) {
        err = open_unix(listener, text + 5, why);
    } else if (strncmp(text, "tcp:", 4) == 0 || strncmp(text, "tls:", 4) == 0) {
        err = open_tcp(listener, text, why);
    } else {
        return why_set(why, W_EUSAGE,
                       "--dnstap %.120s: expected unix:PATH, tcp:ADDR:PORT, tcp:[ADDR]:PORT or "
                       "tls: for tcp:",
                       text);
    }
    if (err != 0) {
        return err;
    }
    /* Here libuv tells that the port is in use. */
    err = name_listener(listener);
    return err == 0 ? 0 : why_set(why, err, "%s: %s", text, err_str(err));
}

static int open_passed(struct listener *listener, int fd, struct why *why)
{
    bool is_unix = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;
    bool is_tcp = sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) > 0;
    if (!is_unix && !is_tcp) {
        close(fd);
        return why_set(why, W_EUSAGE,
                       "file descriptor %d passed by systemd is not a listening unix or TCP "
                       "stream socket",
                       fd);
    }
    int err = adopt(listener, fd, is_unix);
    err = err == 0 ? name_listener(listener) : err;
    return err == 0 ? 0 : why_set(why, err, "socket %d passed by systemd: %s", fd, err_str(err));
}

int listeners_open(struct collector *collector, struct why *why)
{
    const struct collector_options *options = &collector->options;
    int passed = sd_listen_fds(1);
    if (passed < 0) {
        return why_set(why, passed, "sockets passed by systemd: %s", err_str(passed));
    }
    size_t count = options->listener_count + (size_t)passed;
    if (count == 0) {
        return why_set(why, W_EUSAGE,
                       "nowhere to listen: give --dnstap unix:PATH or --dnstap tcp:ADDR:PORT");
    }
    collector->listeners = calloc(count, sizeof(*collector->listeners));
    if (collector->listeners == NULL) {
        return why_set(why, -ENOMEM, "%s", err_str(-ENOMEM));
    }
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        struct listener *listener = &collector->listeners[collector->listener_count++];
        listener->collector = collector;
        err = i < (size_t)passed
                  ? open_passed(listener, SD_LISTEN_FDS_START + (int)i, why)
                  : open_named(listener, options->listeners[i - (size_t)passed], why);
    }
    return err;
}

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *listener = server->data;
    if (status != 0) {
        collector_log(listener->collector, LIMIT_ACCEPT, "%s: a connection cannot be accepted: %s",
                      listener->name, uv_strerror(status));
        return;
    }
    listener->pending = connection_accept(listener) != 0;
}

int listeners_start(struct collector *collector, struct why *why)
{
    for (size_t i = 0; i < collector->listener_count; i++) {
        struct listener *listener = &collector->listeners[i];
        int err = uv_listen(&listener->handle.stream, BACKLOG, on_connection);
        if (err != 0) {
            return why_set(why, err, "%s: %s", listener->name, uv_strerror(err));
        }
    }
    return 0;
}

void listeners_retry(struct collector *collector)
{
    for (size_t i = 0; i < collector->listener_count; i++) {
        struct listener *listener = &collector->listeners[i];
        if (listener->pending) {
            listener->pending = connection_accept(listener) != 0;
        }
    }
}

static void remove_path(struct listener *listener)
{
    struct stat stat;
    if (listener->path != NULL && lstat(listener->path, &stat) == 0 &&
        stat.st_dev == listener->device && stat.st_ino == listener->inode) {
        unlink(listener->path);
    }
    free(listener->path);
    listener->path = NULL;
}

void listeners_close(struct collector *collector)
{
    for (size_t i = 0; i < collector->listener_count; i++) {
        struct listener *listener = &collector->listeners[i];
        remove_path(listener);
        listener->pending = false;
        if (listener->open) {
            listener->open = false;
            uv_close(&listener->handle.handle, NULL);
        }
    }
}

void listeners_free(struct collector *collector)
{
    for (size_t i = 0; i < collector->listener_count; i++) {
        free(collector->listeners[i].name);
    }
    free(collector->listeners);
    collector->listeners = NULL;
    collector->listener_count = 0;
}
