/* tests/unit/join/test_k8s_reflect_model.c -- list and watch against a model of the API server
 * SPDX-License-Identifier: Apache-2.0
 *
 * A server with a few objects that change at random, lists them in pages of one instant, keeps a
 * history for watches and now and then forgets it; answers are cut, spoilt, refused or never come.
 * When the faults end, the consumer must have what the server has, whatever happened before.
 */
#include "join/k8s_reflect.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/store_fixture.h"

enum { NAMES = 24, PAGE = 5, HISTORY = 4096, SEEDS = 400, STEPS = 80, QUIET_STEPS = 60 };

/* Objects by name: the version in which each was last changed, 0 for none. */
struct objects {
    unsigned of[NAMES];
};

struct change {
    unsigned version;
    unsigned name;
    const char *type;
};

struct server {
    struct objects now;
    unsigned version;
    unsigned oldest; /* watches and pages of before are refused with 410 */
    struct change history[HISTORY];
    size_t changes;
};

struct consumer {
    struct objects known;
    bool seen[NAMES]; /* in the list at hand */
    bool listing;
    bool complete; /* a list came to its end */
};

/* ---- The server ---- */

static void change_one(struct server *server)
{
    unsigned name = fixture_below(NAMES);
    bool there = server->now.of[name] != 0;
    bool goes = there && fixture_below(2) == 0;
    assert_true(server->changes < HISTORY);
    server->version++;
    server->history[server->changes++] = (struct change){server->version, name,
                                                         goes    ? "DELETED"
                                                         : there ? "MODIFIED"
                                                                 : "ADDED"};
    server->now.of[name] = goes ? 0 : server->version;
}

/* What there was at that version. */
static struct objects objects_at(const struct server *server, unsigned version)
{
    struct objects objects = {{0}};
    for (size_t i = 0; i < server->changes && server->history[i].version <= version; i++) {
        const struct change *change = &server->history[i];
        objects.of[change->name] = strcmp(change->type, "DELETED") == 0 ? 0 : change->version;
    }
    return objects;
}

static void put_object(struct buf *body, unsigned name, unsigned version)
{
    buf_printf(body, "{\"metadata\":{\"name\":\"n%u\",\"resourceVersion\":\"%u\"}}", name, version);
}

static void put_gone(struct buf *body)
{
    buf_str(body,
            "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}");
}

/* A page of the list of one instant: the token is "version.name". Returns the status. */
static long put_list(const struct server *server, const char *target, struct buf *body)
{
    const char *token = strstr(target, "continue=");
    unsigned version = server->version, from = 0, count = 0, name;
    if (token != NULL) {
        assert_int_equal(sscanf(token, "continue=%u.%u", &version, &from), 2);
    }
    if (version < server->oldest) {
        put_gone(body);
        return 410;
    }
    struct objects objects = objects_at(server, version);
    unsigned most = strstr(target, "limit=") != NULL ? PAGE : NAMES;
    buf_str(body, "{\"kind\":\"PodList\",\"items\":[");
    for (name = from; name < NAMES && count < most; name++) {
        if (objects.of[name] != 0) {
            buf_str(body, count++ > 0 ? "," : "");
            put_object(body, name, objects.of[name]);
        }
    }
    buf_printf(body, "],\"metadata\":{\"resourceVersion\":\"%u\"", version);
    if (name < NAMES) {
        buf_printf(body, ",\"continue\":\"%u.%u\"", version, name);
    }
    buf_str(body, "}}");
    return 200;
}

static long put_watch(const struct server *server, const char *target, struct buf *body)
{
    unsigned since = (unsigned)strtoul(strstr(target, "resourceVersion=") + 16, NULL, 10);
    if (since < server->oldest) {
        bool as_status = fixture_below(2) == 0;
        buf_str(body, as_status ? "" : "{\"type\":\"ERROR\",\"object\":");
        put_gone(body);
        buf_str(body, as_status ? "" : "}\n");
        return as_status ? 410 : 200;
    }
    for (size_t i = 0; i < server->changes; i++) {
        const struct change *change = &server->history[i];
        if (change->version > since) {
            buf_printf(body, "{\"type\":\"%s\",\"object\":", change->type);
            put_object(body, change->name, change->version);
            buf_str(body, "}\n");
        }
    }
    if (fixture_below(2) == 0) {
        buf_printf(body,
                   "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":"
                   "\"%u\"}}}\n",
                   server->version);
    }
    return 200;
}

/* ---- The consumer ---- */

static int take(void *ctx, const struct k8s_object *object)
{
    struct consumer *consumer = ctx;
    unsigned name = 0, version = 0;
    char text[128] = "";
    if (object->text != NULL) {
        assert_true(object->len < sizeof(text));
        memcpy(text, object->text, object->len);
        assert_int_equal(sscanf(text,
                                "{\"metadata\":{\"name\":\"n%u\",\"resourceVersion\":\"%u\"}}",
                                &name, &version),
                         2);
    }
    switch (object->event) {
    case K8S_LIST_BEGIN:
        memset(consumer->seen, 0, sizeof(consumer->seen));
        consumer->listing = true;
        break;
    case K8S_LISTED:
        assert_true(consumer->listing);
        consumer->seen[name] = true;
        consumer->known.of[name] = version;
        break;
    case K8S_LIST_END:
        assert_true(consumer->listing);
        consumer->listing = false;
        consumer->complete = true;
        for (unsigned i = 0; i < NAMES; i++) {
            consumer->known.of[i] = consumer->seen[i] ? consumer->known.of[i] : 0;
        }
        break;
    default:
        assert_true(consumer->complete && !consumer->listing);
        consumer->known.of[name] = object->event == K8S_DELETED ? 0 : version;
    }
    return 0;
}

/* ---- One request after the other ---- */

/* Gives the body in pieces; true if all of it was wanted. */
static bool give(struct k8s_reflect *reflect, const struct buf *body, int64_t now_us)
{
    for (size_t at = 0; at < body->len;) {
        size_t len = 1 + fixture_below(90);
        len = len < body->len - at ? len : body->len - at;
        if (k8s_reflect_push(reflect, body->data + at, len, now_us, now_us) != 0) {
            return false;
        }
        at += len;
    }
    return true;
}

static void step(struct server *server, struct k8s_reflect *reflect, int64_t *now_us, bool faults)
{
    struct buf target = {0}, body = {0};
    assert_int_equal(k8s_reflect_begin(reflect, *now_us, &target), 0);
    buf_char(&target, '\0');
    uint32_t fault = faults ? fixture_below(10) : 9;
    bool watch = strstr(target.data, "watch=1") != NULL;
    enum k8s_end end = K8S_END_WHOLE;
    long status =
        watch ? put_watch(server, target.data, &body) : put_list(server, target.data, &body);
    if (fault == 0) {
        end = K8S_END_BROKEN; /* nothing came */
        body.len = 0;
    } else if (fault == 1) {
        status = 500;
        body.len = 0;
    } else if (fault <= 3 && body.len > 0) {
        body.len = fixture_below((uint32_t)body.len);
        end = fault == 2 ? K8S_END_BROKEN : K8S_END_STALLED;
    } else if (fault == 4 && body.len > 0) {
        body.data[fixture_below((uint32_t)body.len)] = '\x01';
    }
    if (fault != 0) {
        k8s_reflect_status(reflect, status, 0);
        end = give(reflect, &body, *now_us) ? end : K8S_END_BROKEN;
    }
    *now_us += 2 * US_PER_S;
    k8s_reflect_end(reflect, end, NULL, *now_us);
    int64_t due_us = k8s_reflect_due_us(reflect);
    assert_true(due_us <= *now_us + 90 * US_PER_S);
    *now_us = due_us > *now_us ? due_us : *now_us;
    buf_fini(&target);
    buf_fini(&body);
}

static void play(uint64_t seed)
{
    struct server *server = calloc(1, sizeof(*server));
    struct consumer consumer = {0};
    struct k8s_reflect *reflect;
    int64_t now_us = 1000 * US_PER_S;
    fixture_seed(seed);
    server->version = 100;
    assert_int_equal(k8s_reflect_new(&reflect, K8S_PODS, seed, take, &consumer), 0);
    for (int i = 0; i < STEPS; i++) {
        for (uint32_t changes = fixture_below(8); changes > 0; changes--) {
            change_one(server);
        }
        if (fixture_below(6) == 0) {
            server->oldest = server->version - fixture_below(3);
        }
        step(server, reflect, &now_us, true);
    }
    for (int i = 0; i < QUIET_STEPS; i++) {
        step(server, reflect, &now_us, false);
    }
    if (memcmp(&consumer.known, &server->now, sizeof(server->now)) != 0 || !consumer.complete) {
        fail_msg("seed %" PRIu64 ": the consumer has something else than the server", seed);
    }
    k8s_reflect_free(&reflect);
    free(server);
}

static void test_whatever_happens_the_consumer_ends_up_with_what_the_server_has(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatever_happens_the_consumer_ends_up_with_what_the_server_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
