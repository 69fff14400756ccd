/* api/auth.c -- who may ask
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/http.h"

bool auth_is_loopback(const struct addr *addr)
{
    static const struct addr V6_LOOPBACK = {{[15] = 1}};
    return addr_equal(addr, &V6_LOOPBACK) || (addr_is_v4(addr) && addr->b[12] == 127);
}

/* Reads up to `cap` bytes of the file. Returns how many, or -errno. */
static ssize_t read_file(const char *path, char *text, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < cap) {
        got = read(fd, text + len, cap - len);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    ssize_t result = got < 0 ? -errno : (ssize_t)len;
    close(fd);
    return result;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int auth_read_token(struct auth *auth, const char *path, struct why *why)
{
    char text[AUTH_TOKEN_MAX + 64];
    ssize_t got = read_file(path, text, sizeof(text));
    if (got < 0) {
        return why_set(why, (int)got, "%s: %s: expected a file whose first line is the token", path,
                       err_str((int)got));
    }
    const char *newline = memchr(text, '\n', (size_t)got);
    const char *end = newline == NULL ? text + got : newline;
    const char *begin = text;
    while (begin < end && is_space(*begin)) {
        begin++;
    }
    while (end > begin && is_space(end[-1])) {
        end--;
    }
    size_t len = (size_t)(end - begin);
    if (len < API_TOKEN_MIN || len > AUTH_TOKEN_MAX) {
        return why_set(why, W_EUSAGE,
                       "%s: the token in its first line has %zu octets; expected %d to %d", path,
                       len, API_TOKEN_MIN, AUTH_TOKEN_MAX);
    }
    for (const char *at = begin; at < end; at++) {
        if (*at <= ' ' || *at > '~') {
            return why_set(why, W_EUSAGE,
                           "%s: the token in its first line may hold printable ASCII only, without "
                           "spaces",
                           path);
        }
    }
    memcpy(auth->token, begin, len);
    auth->token_len = len;
    return 0;
}

bool auth_bearer(const struct auth *auth, const char *header)
{
    static const char SCHEME[] = "Bearer ";
    if (header == NULL || strncasecmp(header, SCHEME, sizeof(SCHEME) - 1) != 0) {
        return false;
    }
    header += sizeof(SCHEME) - 1;
    while (*header == ' ') {
        header++;
    }
    size_t len = strlen(header);
    while (len > 0 && is_space(header[len - 1])) {
        len--;
    }
    /* Every octet of the token is compared whatever was found before; where the given one is
     * shorter, with its terminator or what follows in the header, never beyond. */
    volatile unsigned differs = len != auth->token_len;
    for (size_t i = 0; i < auth->token_len; i++) {
        unsigned char given = (unsigned char)header[i < len ? i : len];
        differs |= given ^ (unsigned char)auth->token[i];
    }
    return differs == 0;
}

/* A port: digits only. */
static bool is_port(const char *text)
{
    return strlen(text) <= 5 && strspn(text, "0123456789") == strlen(text);
}

bool auth_host_is_local(const char *host)
{
    if (host == NULL) {
        return true;
    }
    struct addr addr;
    if (host[0] == '[') {
        const char *close = strchr(host, ']');
        return close != NULL && addr_parse(&addr, host + 1, (size_t)(close - host - 1)) &&
               auth_is_loopback(&addr) &&
               (close[1] == '\0' || (close[1] == ':' && is_port(close + 2)));
    }
    size_t len = strcspn(host, ":");
    if (host[len] == ':' && !is_port(host + len + 1)) {
        return false;
    }
    if (len == 9 && strncasecmp(host, "localhost", len) == 0) {
        return true;
    }
    return addr_parse(&addr, host, len) && auth_is_loopback(&addr);
}

bool auth_is_cross_origin(const char *origin, const char *host)
{
    static const char SCHEME[] = "http://";
    if (origin == NULL) {
        return false;
    }
    return host == NULL || strncasecmp(origin, SCHEME, sizeof(SCHEME) - 1) != 0 ||
           strcasecmp(origin + sizeof(SCHEME) - 1, host) != 0;
}
