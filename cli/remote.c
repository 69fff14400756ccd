/* cli/remote.c -- a client of another process's HTTP service (--server URL)
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/remote.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "join/json.h"

#define CONNECT_TIMEOUT_S 10L
/* A service that sends and takes nothing for this long is gone. Large enough for one that commits a
 * capture before it answers. */
#define STALL_TIMEOUT_S 120L
/* What is kept of a problem. */
#define PROBLEM_MAX 4096

struct remote {
    CURL *curl;
    char *server;
    struct curl_slist *headers; /* Authorization, if any */
    char curl_error[CURL_ERROR_SIZE];
};

/* One call. */
struct call {
    struct remote *remote;
    remote_read_fn read;
    void *read_ctx;
    remote_write_fn write;
    void *write_ctx;
    int err; /* of a callback */
    struct buf problem;
};

static int add_token(struct remote *remote, const char *token_file, struct why *why)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    struct buf header = {0};
    int err = auth == NULL ? why_set(why, -ENOMEM, "out of memory")
                           : auth_read_token(auth, token_file, why);
    if (err == 0) {
        buf_str(&header, "Authorization: Bearer ");
        buf_add(&header, auth->token, auth->token_len);
        buf_char(&header, '\0');
        struct curl_slist *headers =
            header.err == 0 ? curl_slist_append(remote->headers, header.data) : NULL;
        err = headers == NULL ? why_set(why, -ENOMEM, "out of memory") : 0;
        remote->headers = headers != NULL ? headers : remote->headers;
    }
    buf_fini(&header);
    free(auth);
    return err;
}

static int set_up(struct remote *remote, const char *server, const char *token_file,
                  struct why *why)
{
    remote->server = strdup(server);
    remote->curl = curl_easy_init();
    if (remote->server == NULL || remote->curl == NULL) {
        return why_set(why, -ENOMEM, "out of memory");
    }
    curl_easy_setopt(remote->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(remote->curl, CURLOPT_FOLLOWLOCATION, 0L);
    /* "." is a domain name: the root. */
    curl_easy_setopt(remote->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(remote->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_LOW_SPEED_TIME, STALL_TIMEOUT_S);
    curl_easy_setopt(remote->curl, CURLOPT_USERAGENT, "whither/" WHITHER_VERSION);
    curl_easy_setopt(remote->curl, CURLOPT_ERRORBUFFER, remote->curl_error);
    return token_file == NULL ? 0 : add_token(remote, token_file, why);
}

int remote_new(struct remote **remote, const char *server, const char *token_file, struct why *why)
{
    *remote = NULL;
    struct remote *made = calloc(1, sizeof(*made));
    if (made == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(made);
        return why_set(why, -ENOMEM, "out of memory");
    }
    int err = set_up(made, server, token_file, why);
    if (err != 0) {
        remote_free(&made);
        return err;
    }
    *remote = made;
    return 0;
}

void remote_free(struct remote **remote)
{
    if (*remote != NULL) {
        curl_easy_cleanup((*remote)->curl);
        curl_slist_free_all((*remote)->headers);
        free((*remote)->server);
        free(*remote);
        *remote = NULL;
        curl_global_cleanup();
    }
}

static size_t on_read(char *bytes, size_t size, size_t count, void *ctx)
{
    struct call *call = ctx;
    ssize_t got = call->read(call->read_ctx, bytes, size * count);
    if (got < 0) {
        call->err = (int)got;
        return CURL_READFUNC_ABORT;
    }
    return (size_t)got;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    struct call *call = ctx;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(call->remote->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        call->err = call->write(call->write_ctx, bytes, len);
        return call->err == 0 ? len : 0;
    }
    size_t room = PROBLEM_MAX - call->problem.len;
    buf_add(&call->problem, bytes, len < room ? len : room);
    return len;
}

/* The "detail" of a problem, else the plain status. */
static void describe(const struct call *call, long status, struct why *why)
{
    static const char *const POINTERS[] = {"/detail"};
    struct json_paths *paths = NULL;
    struct json_parser *parser = NULL;
    struct json_value detail = {0};
    char text[PROBLEM_MAX];
    size_t len = 0;
    if (call->problem.len > 0 && json_paths_new(&paths, POINTERS, 1) == 0 &&
        json_parser_new(&parser, PROBLEM_MAX) == 0 &&
        json_parse(parser, paths, call->problem.data, call->problem.len, &detail, NULL) == 0 &&
        detail.type == JSON_STRING) {
        len = json_unescape(&detail, text);
        len = len == SIZE_MAX ? 0 : len;
    }
    why_set(why, 0, "%s answers %ld%s%.*s", call->remote->server, status, len > 0 ? ": " : "",
            (int)len, text);
    json_parser_free(&parser);
    json_paths_free(&paths);
}

static int status_error(long status)
{
    switch (status) {
    case 200:
        return 0;
    case 400:
    case 413:
    case 414:
        return W_ESYNTAX;
    case 401:
    case 403:
        return -EACCES;
    case 429:
    case 503:
        return -EAGAIN;
    default:
        return -EIO;
    }
}

static int curl_error(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static int finish(struct call *call, CURLcode code, struct why *why)
{
    long status = 0;
    curl_easy_getinfo(call->remote->curl, CURLINFO_RESPONSE_CODE, &status);
    /* A service may refuse a body before it has taken it: what it said counts, not that the rest
     * could not be sent. */
    if (status >= 300) {
        describe(call, status, why);
        return status_error(status);
    }
    if (call->err != 0) {
        return why_set(why, call->err, "%s: %s", call->remote->server, err_str(call->err));
    }
    if (code != CURLE_OK) {
        const char *text = call->remote->curl_error;
        return why_set(why, curl_error(code), "%s: %s", call->remote->server,
                       text[0] != '\0' ? text : curl_easy_strerror(code));
    }
    return status_error(status);
}

static int perform(struct call *call, const char *target, struct curl_slist *headers,
                   struct why *why)
{
    CURL *curl = call->remote->curl;
    struct buf url = {0};
    buf_str(&url, call->remote->server);
    buf_str(&url, target);
    buf_char(&url, '\0');
    if (url.err != 0 || curl_easy_setopt(curl, CURLOPT_URL, url.data) != CURLE_OK) {
        buf_fini(&url);
        return why_set(why, -ENOMEM, "out of memory");
    }
    call->remote->curl_error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    int err = finish(call, curl_easy_perform(curl), why);
    buf_fini(&call->problem);
    buf_fini(&url);
    return err;
}

static int append(void *ctx, const char *bytes, size_t len)
{
    struct buf *body = ctx;
    buf_add(body, bytes, len);
    return body->err;
}

int remote_get(struct remote *remote, const char *target, struct buf *body, struct why *why)
{
    struct call call = {.remote = remote, .write = append, .write_ctx = body};
    curl_easy_setopt(remote->curl, CURLOPT_HTTPGET, 1L);
    return perform(&call, target, remote->headers, why);
}

int remote_post(struct remote *remote, const char *target, const char *type, remote_read_fn read,
                void *read_ctx, remote_write_fn write, void *write_ctx, struct why *why)
{
    struct call call = {.remote = remote,
                        .read = read,
                        .read_ctx = read_ctx,
                        .write = write,
                        .write_ctx = write_ctx};
    char content_type[128];
    snprintf(content_type, sizeof(content_type), "Content-Type: %s", type);
    /* No Expect: the service answers a body it does not want at once anyway. The list ends in the
     * client's own headers, which stay. */
    struct curl_slist headers[] = {{.data = content_type},
                                   {.data = (char[]){"Transfer-Encoding: chunked"}},
                                   {.data = (char[]){"Expect:"}}};
    headers[0].next = &headers[1];
    headers[1].next = &headers[2];
    headers[2].next = remote->headers;
    curl_easy_setopt(remote->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)-1);
    curl_easy_setopt(remote->curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(remote->curl, CURLOPT_READDATA, &call);
    return perform(&call, target, headers, why);
}

void remote_escape(struct buf *target, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_char(target, (char)c);
        } else {
            buf_printf(target, "%%%02X", c);
        }
    }
}
