/* tests/unit/join/test_kubernetes.c -- the Kubernetes API over sockets: a server that cuts, stalls
 * and refuses
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/kubernetes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"

enum { ANSWERS_MAX = 6, CONNECTIONS_MAX = 32, PATIENCE_S = 20 };

/* How a response goes on after its body. */
enum after { WHOLE, CUT, HELD };

struct answer {
    const char *expects; /* a piece of the request; NULL: anything */
    const char *head;    /* status line and headers; NULL: 200 */
    const char *body;    /* NULL: never answered */
    enum after after;
};

/* What the server says to the first, second, ... request of each kind; then it holds. */
struct script {
    struct answer of[K8S_KINDS][ANSWERS_MAX];
};

struct server {
    const struct script *script;
    int fd;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool stopping;
    int fds[CONNECTIONS_MAX];
    pthread_t threads[CONNECTIONS_MAX];
    size_t connections;
    size_t requests[K8S_KINDS];
    char unexpected[1024]; /* a request that was not as expected */
};

struct connection {
    struct server *server;
    int fd;
};

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text += sent;
        len -= (size_t)sent;
    }
}

static void hold(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        pthread_cond_wait(&server->changed, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
}

/* The answer to a request, and its kind's number; NULL if there is none. */
static const struct answer *choose(struct server *server, const char *request)
{
    static const char *const PATHS[K8S_KINDS] = {"/api/v1/pods", "/api/v1/services",
                                                 "/api/v1/nodes"};
    const struct answer *answer = NULL;
    pthread_mutex_lock(&server->lock);
    for (size_t kind = 0; kind < K8S_KINDS; kind++) {
        if (strncmp(request + 4, PATHS[kind], strlen(PATHS[kind])) == 0) {
            size_t number = server->requests[kind]++;
            answer = number < ANSWERS_MAX ? &server->script->of[kind][number] : NULL;
        }
    }
    if (answer != NULL && answer->expects != NULL && strstr(request, answer->expects) == NULL) {
        snprintf(server->unexpected, sizeof(server->unexpected), "%s expected in:\n%.500s",
                 answer->expects, request);
    }
    pthread_mutex_unlock(&server->lock);
    return answer;
}

/* Returns whether the connection goes on. */
static bool respond(struct server *server, int fd, const char *request)
{
    const struct answer *answer = choose(server, request);
    char text[4096];
    if (answer == NULL || answer->body == NULL) {
        hold(server);
        return false;
    }
    int len = snprintf(text, sizeof(text), "%s\r\nTransfer-Encoding: chunked\r\n\r\n",
                       answer->head != NULL ? answer->head : "HTTP/1.1 200 OK");
    if (answer->body[0] != '\0') {
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%zx\r\n%s\r\n",
                        strlen(answer->body), answer->body);
    }
    if (answer->after == WHOLE) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, "0\r\n\r\n");
    }
    say(fd, text, (size_t)len);
    if (answer->after == HELD) {
        hold(server);
    }
    return answer->after == WHOLE;
}

static void *converse(void *arg)
{
    struct connection *connection = arg;
    char request[8192];
    size_t len = 0;
    bool on = true;
    while (on) {
        ssize_t got = recv(connection->fd, request + len, sizeof(request) - 1 - len, 0);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL) {
            on = respond(connection->server, connection->fd, request);
            len = 0;
        }
    }
    shutdown(connection->fd, SHUT_RDWR);
    free(connection);
    return NULL;
}

static void *take_connections(void *arg)
{
    struct server *server = arg;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        struct connection *connection = malloc(sizeof(*connection));
        *connection = (struct connection){server, fd};
        pthread_mutex_lock(&server->lock);
        assert_true(server->connections < CONNECTIONS_MAX);
        server->fds[server->connections] = fd;
        pthread_create(&server->threads[server->connections++], NULL, converse, connection);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static void server_start(struct server *server, const struct script *script)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    *server = (struct server){.script = script};
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(server->fd, 16), 0);
    getsockname(server->fd, (struct sockaddr *)&addr, &len);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", ntohs(addr.sin_port));
    pthread_create(&server->thread, NULL, take_connections, server);
}

static void server_stop(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < server->connections; i++) {
        shutdown(server->fds[i], SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->fds[i]);
    }
    close(server->fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    assert_string_equal(server->unexpected, "");
}

/* ---- The consumer ---- */

struct world {
    struct server server;
    struct kubernetes *kubernetes;
    char token_file[32];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    char given[K8S_KINDS][2048];
};

static int note(void *ctx, const struct k8s_object *object)
{
    static const char *const NAMES[] = {"begin", "listed", "end", "added", "modified", "deleted"};
    struct world *world = ctx;
    pthread_mutex_lock(&world->lock);
    char *given = world->given[object->kind];
    size_t len = strlen(given);
    snprintf(given + len, sizeof(world->given[0]) - len, "%s%.*s ", NAMES[object->event],
             (int)object->len, object->text != NULL ? object->text : "");
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
    return 0;
}

static void write_token(const char *path, const char *token)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(token, file);
    fclose(file);
}

static void begin_world(struct world *world, const struct script *script, int64_t silence_us)
{
    struct why why = {""};
    *world = (struct world){.token_file = "/tmp/whither-XXXXXX"};
    close(mkstemp(world->token_file));
    write_token(world->token_file, "token-one\n");
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    server_start(&world->server, script);
    const struct kubernetes_options options = {
        .server = world->server.url,
        .token_file = world->token_file,
        .ca_file = "",
        .silence_us = silence_us,
        .fn = note,
        .ctx = world,
    };
    if (kubernetes_start(&world->kubernetes, &options, &why) != 0) {
        fail_msg("%s", why.text);
    }
}

static void end_world(struct world *world)
{
    int64_t begin_us = clock_monotonic_us();
    kubernetes_stop(&world->kubernetes);
    assert_null(world->kubernetes);
    assert_true(clock_monotonic_us() - begin_us < 5 * US_PER_S);
    server_stop(&world->server);
    unlink(world->token_file);
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->lock);
}

static void wait_given(struct world *world, enum k8s_kind kind, const char *expected)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int err = 0;
    pthread_mutex_lock(&world->lock);
    while (strcmp(world->given[kind], expected) != 0 && err == 0) {
        err = pthread_cond_timedwait(&world->changed, &world->lock, &until);
    }
    if (err != 0) {
        print_error("%s: given '%s', expected '%s'\n", k8s_kind_name(kind), world->given[kind],
                    expected);
    }
    pthread_mutex_unlock(&world->lock);
    assert_int_equal(err, 0);
}

/* Waits for a state, and for a problem with those words; NULL: for none. */
static void wait_status(struct world *world, enum k8s_kind kind, enum k8s_state state,
                        const char *problem)
{
    struct k8s_status status;
    int64_t until_us = clock_monotonic_us() + PATIENCE_S * US_PER_S;
    bool found = false;
    while (!found && clock_monotonic_us() < until_us) {
        kubernetes_status(world->kubernetes, kind, &status);
        found = status.state == state &&
                (problem == NULL ? status.problem.text[0] == '\0'
                                 : strstr(status.problem.text, problem) != NULL);
        usleep(1000);
    }
    if (!found) {
        fail_msg("%s: state %d, '%s'", k8s_kind_name(kind), status.state, status.problem.text);
    }
}

/* ---- Tests ---- */

#define LIST(items, version)                                                                       \
    "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define PART(items, token) "{\"metadata\":{\"continue\":\"" token "\"},\"items\":[" items "]}"
#define OBJECT(version) "{\"metadata\":{\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, version) "{\"type\":\"" type "\",\"object\":" OBJECT(version) "}\n"

static void test_all_kinds_are_listed_in_pages_and_then_watched(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{"GET /api/v1/pods?limit=500 HTTP/1.1", NULL, PART("{\"a\":1}", "t"), WHOLE},
                      {"limit=500&continue=t ", NULL, LIST("{\"a\":2}", "7"), WHOLE},
                      {"&resourceVersion=7 ", NULL, EVENT("ADDED", "8") EVENT("DELETED", "9"),
                       HELD}},
        [K8S_SERVICES] = {{"\r\nAuthorization: Bearer token-one\r\n", NULL, LIST("", "3"), WHOLE},
                          {"allowWatchBookmarks=true", NULL, EVENT("BOOKMARK", "4"), HELD}},
        [K8S_NODES] = {{"\r\nAccept: application/json\r\n", NULL, LIST("{}", "3"), WHOLE},
                       {"watch=1", NULL, EVENT("MODIFIED", "4"), HELD}},
    }};
    struct world world;
    struct k8s_status status;
    uint64_t lists = counter_get(COUNT_PODS_LISTS), events = counter_get(COUNT_PODS_EVENTS);
    begin_world(&world, &SCRIPT, 0);
    wait_given(
        &world, K8S_PODS,
        "begin listed{\"a\":1} listed{\"a\":2} end added" OBJECT("8") " deleted" OBJECT("9") " ");
    wait_given(&world, K8S_SERVICES, "begin end ");
    wait_given(&world, K8S_NODES, "begin listed{} end modified" OBJECT("4") " ");
    wait_status(&world, K8S_PODS, K8S_STATE_WATCHING, NULL);
    wait_status(&world, K8S_SERVICES, K8S_STATE_WATCHING, NULL);
    kubernetes_status(world.kubernetes, K8S_SERVICES, &status);
    assert_true(status.complete);
    assert_true(clock_now_us() - status.heard_us < PATIENCE_S * US_PER_S);
    kubernetes_status(world.kubernetes, K8S_SERVICES, &status);
    end_world(&world);
    assert_int_equal(counter_get(COUNT_PODS_LISTS) - lists, 1);
    assert_int_equal(counter_get(COUNT_PODS_EVENTS) - events, 2);
    assert_int_equal(counter_get(COUNT_SERVICES_HEARD), (uint64_t)(status.heard_us / US_PER_S));
}

static void test_watches_that_are_cut_or_stall_go_on_where_they_were(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{NULL, NULL, LIST("", "7"), WHOLE},
                      {"&resourceVersion=7 ", NULL, EVENT("ADDED", "8") "{\"type\":", CUT},
                      {"&resourceVersion=8 ", NULL, EVENT("ADDED", "9"), HELD},
                      {"&resourceVersion=9 ", NULL, EVENT("ADDED", "10"), HELD}},
        [K8S_SERVICES] = {{NULL, NULL, NULL},
                          {"?limit=500 ", NULL, LIST("", "3"), WHOLE},
                          {"watch=1", NULL, NULL}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, US_PER_S / 2);
    wait_given(&world, K8S_PODS,
               "begin end added" OBJECT("8") " added" OBJECT("9") " added" OBJECT("10") " ");
    wait_given(&world, K8S_SERVICES, "begin end ");
    wait_status(&world, K8S_SERVICES, K8S_STATE_WAITING, "services: the watch says nothing");
    end_world(&world);
}

static void test_410_lists_anew_both_ways(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{NULL, NULL, LIST("{}", "7"), WHOLE},
                      {"&resourceVersion=7 ", NULL,
                       "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n",
                       WHOLE},
                      {"?limit=500 ", NULL, LIST("", "20"), WHOLE},
                      {"&resourceVersion=20 ", NULL, EVENT("ADDED", "21"), HELD}},
        [K8S_NODES] = {{NULL, NULL, LIST("{}", "7"), WHOLE},
                       {"&resourceVersion=7 ", "HTTP/1.1 410 Gone", "{\"code\":410}", WHOLE},
                       {"?limit=500 ", NULL, LIST("", "20"), WHOLE},
                       {"&resourceVersion=20 ", NULL, EVENT("ADDED", "21"), HELD}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, 0);
    wait_given(&world, K8S_PODS, "begin listed{} end begin end added" OBJECT("21") " ");
    wait_given(&world, K8S_NODES, "begin listed{} end begin end added" OBJECT("21") " ");
    end_world(&world);
}

static void test_a_kind_that_is_forbidden_does_not_hinder_the_others(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{NULL, NULL, LIST("", "7"), WHOLE}, {NULL, NULL, EVENT("ADDED", "8"), HELD}},
        [K8S_SERVICES] = {{NULL, "HTTP/1.1 403 Forbidden",
                           "{\"message\":\"services is forbidden\"}", WHOLE}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, 0);
    wait_status(
        &world, K8S_SERVICES, K8S_STATE_WAITING,
        "its ClusterRole needs get, list and watch on services (403): services is forbidden");
    wait_given(&world, K8S_PODS, "begin end added" OBJECT("8") " ");
    end_world(&world);
}

static void test_a_token_that_was_replaced_is_read_anew(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{"Bearer token-one\r\n", "HTTP/1.1 401 Unauthorized", "", WHOLE},
                      {"Bearer token-two\r\n", NULL, LIST("", "7"), WHOLE},
                      {NULL, NULL, EVENT("ADDED", "8"), HELD}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, 0);
    wait_status(&world, K8S_PODS, K8S_STATE_WAITING, "token is not accepted (401)");
    write_token(world.token_file, "token-two\n");
    wait_given(&world, K8S_PODS, "begin end added" OBJECT("8") " ");
    end_world(&world);
}

static void test_a_token_that_is_gone_is_waited_for(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{NULL, "HTTP/1.1 500 Oops", "", WHOLE}, {NULL, NULL, LIST("", "7"), WHOLE}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, 0);
    wait_status(&world, K8S_PODS, K8S_STATE_WAITING, "answers 500");
    unlink(world.token_file);
    wait_status(&world, K8S_PODS, K8S_STATE_WAITING, "No such file");
    write_token(world.token_file, "token-two");
    wait_given(&world, K8S_PODS, "begin end ");
    end_world(&world);
}

static void test_retry_after_is_kept_to(void **state)
{
    (void)state;
    static const struct script SCRIPT = {{
        [K8S_PODS] = {{NULL, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2", "", WHOLE},
                      {NULL, NULL, LIST("", "7"), WHOLE}},
    }};
    struct world world;
    begin_world(&world, &SCRIPT, 0);
    wait_status(&world, K8S_PODS, K8S_STATE_WAITING, "answers 429");
    int64_t begin_us = clock_monotonic_us();
    wait_given(&world, K8S_PODS, "begin end ");
    assert_in_range(clock_monotonic_us() - begin_us, 3 * US_PER_S / 2, 5 * US_PER_S);
    end_world(&world);
}

static void test_a_server_that_is_away_is_waited_for(void **state)
{
    (void)state;
    struct world world = {.token_file = "/tmp/whither-XXXXXX"};
    struct why why;
    close(mkstemp(world.token_file));
    write_token(world.token_file, "token");
    pthread_mutex_init(&world.lock, NULL);
    pthread_cond_init(&world.changed, NULL);
    const struct kubernetes_options options = {
        .server = "http://127.0.0.1:1",
        .token_file = world.token_file,
        .fn = note,
        .ctx = &world,
    };
    assert_int_equal(kubernetes_start(&world.kubernetes, &options, &why), 0);
    wait_status(&world, K8S_NODES, K8S_STATE_WAITING, "nodes: the list ends too early: Failed");
    kubernetes_stop(&world.kubernetes);
    pthread_cond_destroy(&world.changed);
    pthread_mutex_destroy(&world.lock);
    unlink(world.token_file);
}

static void test_outside_of_a_cluster_it_says_what_is_missing(void **state)
{
    (void)state;
    struct kubernetes *kubernetes;
    struct why why;
    char path[] = "/tmp/whither-XXXXXX";
    close(mkstemp(path));
    struct kubernetes_options options = {.token_file = path, .fn = note};
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kubernetes_start(&kubernetes, &options, &why), W_EUSAGE);
    assert_non_null(strstr(why.text, "KUBERNETES_SERVICE_HOST"));
    assert_null(kubernetes);
    setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kubernetes_start(&kubernetes, &options, &why), W_ESYNTAX);
    assert_non_null(strstr(why.text, "it holds no token"));
    write_token(path, "two words\n");
    assert_int_equal(kubernetes_start(&kubernetes, &options, &why), W_ESYNTAX);
    unlink(path);
    assert_int_equal(kubernetes_start(&kubernetes, &options, &why), -ENOENT);
    assert_non_null(strstr(why.text, path));
    kubernetes_stop(&kubernetes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_are_listed_in_pages_and_then_watched),
        cmocka_unit_test(test_watches_that_are_cut_or_stall_go_on_where_they_were),
        cmocka_unit_test(test_410_lists_anew_both_ways),
        cmocka_unit_test(test_a_kind_that_is_forbidden_does_not_hinder_the_others),
        cmocka_unit_test(test_a_token_that_was_replaced_is_read_anew),
        cmocka_unit_test(test_a_token_that_is_gone_is_waited_for),
        cmocka_unit_test(test_retry_after_is_kept_to),
        cmocka_unit_test(test_a_server_that_is_away_is_waited_for),
        cmocka_unit_test(test_outside_of_a_cluster_it_says_what_is_missing),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
