/* tests/unit/join/test_k8s_reflect.c -- list and watch: what is asked, and what follows from
 * answers SPDX-License-Identifier: Apache-2.0
 */
#include "join/k8s_reflect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "join/k8s_stream.h"
#include "tests/support/alloc.h"

#define WALL_US (INT64_C(1780000000) * US_PER_S)
#define BEGIN_US (INT64_C(1000) * US_PER_S)

/* When the next request is due. */
enum wait {
    AT_ONCE,
    SOON,      /* 0.8 to 1.2 s */
    LATER,     /* 1.6 to 2.4 s */
    AFTER_7S,  /* to 8 s */
    AFTER_300S /* to 301 s */
};

static const struct {
    int64_t from_ms;
    int64_t to_ms;
} WAITS[] = {[AT_ONCE] = {0, 0},
             [SOON] = {800, 1200},
             [LATER] = {1600, 2400},
             [AFTER_7S] = {7000, 8000},
             [AFTER_300S] = {300000, 301000}};

/* One request and its answer. */
struct step {
    const char *asks; /* the target without "/api/v1/pods", timeoutSeconds=… as N; NULL: no more */
    long status;      /* 0: none came */
    const char *body;
    enum k8s_end end;
    enum wait wait;
    const char *gives;   /* "begin", "listed …", "end", "added …", with a space behind each */
    const char *problem; /* a piece of what is wrong; NULL: nothing is */
    int64_t retry_after_s;
    int64_t lasts_s; /* of the request; 0: 5 s; -1: less than a second */
};

#define PAGE "?limit=500"
#define WATCH(version) "?watch=1&allowWatchBookmarks=true&timeoutSeconds=N&resourceVersion=" version
#define LIST(items, version)                                                                       \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items   \
    "]}"
#define PART(items, token)                                                                         \
    "{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"" token "\"},\"items\":[" items "]}"
#define OBJECT(version) "{\"metadata\":{\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, version) "{\"type\":\"" type "\",\"object\":" OBJECT(version) "}\n"
#define STATUS(code, reason, message)                                                              \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"" message "\",\"reason\":\"" reason \
    "\",\"code\":" code "}"
#define ERROR(code, reason, message)                                                               \
    "{\"type\":\"ERROR\",\"object\":" STATUS(code, reason, message) "}\n"
#define LISTED_7                                                                                   \
    {                                                                                              \
        PAGE, 200, LIST("{\"a\":1}", "7"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} end "    \
    }

static const struct {
    const char *name;
    struct step steps[8];
} SCENARIOS[] = {
    {"a list, then a watch from its version, and on from the last event",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("ADDED", "8") EVENT("MODIFIED", "9") EVENT("DELETED", "12"),
       K8S_END_WHOLE, AT_ONCE,
       "added" OBJECT("8") " modified" OBJECT("9") " deleted" OBJECT("12") " "},
      {WATCH("12"), 200, "", K8S_END_WHOLE, AT_ONCE, ""},
      {WATCH("12")}}},
    {"pages are one list",
     {{PAGE, 200, PART("{\"a\":1},{\"a\":2}", "x+/="), K8S_END_WHOLE, AT_ONCE,
       "begin listed{\"a\":1} listed{\"a\":2} "},
      {PAGE "&continue=x%2B%2F%3D", 200, PART("{\"a\":3}", "y"), K8S_END_WHOLE, AT_ONCE,
       "listed{\"a\":3} "},
      {PAGE "&continue=y", 200, LIST("", "9"), K8S_END_WHOLE, AT_ONCE, "end "},
      {WATCH("9")}}},
    {"an empty list with items that are null",
     {{PAGE, 200, "{\"metadata\":{\"resourceVersion\":\"3\"},\"items\":null}", K8S_END_WHOLE,
       AT_ONCE, "begin end "},
      {WATCH("3")}}},
    {"a bookmark moves the version and gives nothing",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("BOOKMARK", "30"), K8S_END_WHOLE, AT_ONCE, ""},
      {WATCH("30")}}},
    {"an event of an unknown type moves the version and gives nothing",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("REVISED", "30"), K8S_END_WHOLE, AT_ONCE, ""},
      {WATCH("30")}}},

    /* Connections */
    {"a watch that breaks in an event goes on before it",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("ADDED", "8") "{\"type\":\"ADD", K8S_END_BROKEN, SOON,
       "added" OBJECT("8") " ", "reset by peer"},
      {WATCH("8"), 200, EVENT("ADDED", "9"), K8S_END_WHOLE, AT_ONCE, "added" OBJECT("9") " "}}},
    {"a watch that stalls goes on where it was",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("ADDED", "8"), K8S_END_STALLED, SOON, "added" OBJECT("8") " ",
       "the watch says nothing any more"},
      {WATCH("8")}}},
    {"a watch that cannot be made is tried again, ever less often",
     {LISTED_7,
      {WATCH("7"), 0, "", K8S_END_BROKEN, SOON, "", "reset by peer"},
      {WATCH("7"), 0, "", K8S_END_BROKEN, LATER, "", "reset by peer"},
      {WATCH("7"), 200, EVENT("BOOKMARK", "8"), K8S_END_BROKEN, SOON, "", "reset by peer"},
      {WATCH("8")}}},
    {"a watch that ends at once with nothing in it is a failure",
     {LISTED_7,
      {WATCH("7"), 200, "", K8S_END_WHOLE, SOON, "", "ends too early", 0, -1},
      {WATCH("7"), 200, EVENT("BOOKMARK", "8"), K8S_END_WHOLE, AT_ONCE, "", NULL, 0, -1}}},
    {"a list that breaks in its first page is begun anew",
     {{PAGE, 200, "{\"items\":[{\"a\":1},{", K8S_END_BROKEN, SOON, "begin listed{\"a\":1} ",
       "the list ends too early: reset by peer"},
      {PAGE, 200, LIST("", "4"), K8S_END_WHOLE, AT_ONCE, "begin end "},
      {WATCH("4")}}},
    {"a list that breaks in a further page asks for that page again",
     {{PAGE, 200, PART("{\"a\":1}", "x"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} "},
      {PAGE "&continue=x", 200, "{\"items\":[{\"a\":2},", K8S_END_STALLED, SOON, "listed{\"a\":2} ",
       "the list says nothing"},
      {PAGE "&continue=x", 200, LIST("{\"a\":2}", "9"), K8S_END_WHOLE, AT_ONCE,
       "listed{\"a\":2} end "}}},
    {"a list that was whole before its connection broke is a list",
     {{PAGE, 200, LIST("", "4"), K8S_END_BROKEN, AT_ONCE, "begin end "}, {WATCH("4")}}},
    {"a list without its end is none",
     {{PAGE, 200, "", K8S_END_WHOLE, SOON, "begin ", "the list ends too early"}, {PAGE}}},

    /* 410 */
    {"410 as a status lists anew",
     {LISTED_7,
      {WATCH("7"), 410, STATUS("410", "Expired", "too old"), K8S_END_WHOLE, SOON, "",
       "pods: the Kubernetes API answers 410: too old"},
      {PAGE, 200, LIST("", "20"), K8S_END_WHOLE, AT_ONCE, "begin end "},
      {WATCH("20")}}},
    {"410 as an event lists anew",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("ADDED", "8") ERROR("410", "Old", "too old"), K8S_END_BROKEN, SOON,
       "added" OBJECT("8") " ", "the watch ends with an error: too old"},
      {PAGE, 200, LIST("", "20"), K8S_END_WHOLE, AT_ONCE, "begin end "}}},
    {"an event that says Gone without a code lists anew",
     {LISTED_7,
      {WATCH("7"), 200, "{\"type\":\"ERROR\",\"object\":{\"reason\":\"Gone\"}}", K8S_END_BROKEN,
       SOON, "", "the watch ends with an error"},
      {PAGE}}},
    {"another error event goes on where it was",
     {LISTED_7,
      {WATCH("7"), 200, ERROR("500", "InternalError", "etcd \\\"x\\\" is away"), K8S_END_BROKEN,
       SOON, "", "ends with an error: etcd \"x\" is away"},
      {WATCH("7")}}},
    {"410 right after each list is asked for ever less often",
     {LISTED_7,
      {WATCH("7"), 410, "", K8S_END_WHOLE, SOON, "", "410"},
      LISTED_7,
      {WATCH("7"), 410, "", K8S_END_WHOLE, LATER, "", "410"}}},
    {"a token that expired lists anew, the second time without pages",
     {{PAGE, 200, PART("{\"a\":1}", "x"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} "},
      {PAGE "&continue=x", 410, STATUS("410", "Expired", "continue"), K8S_END_WHOLE, SOON, "",
       "410: continue"},
      {PAGE, 200, PART("{\"a\":1}", "y"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} "},
      {PAGE "&continue=y", 410, "", K8S_END_WHOLE, LATER, "", "410"},
      {"", 200, LIST("{\"a\":1}", "9"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} end "},
      {WATCH("9"), 410, "", K8S_END_WHOLE, AFTER_7S, "", "410", 7},
      {PAGE}}},

    /* Refusals */
    {"401 is tried again soon: the token may have been replaced",
     {{PAGE, 401, STATUS("401", "Unauthorized", "Unauthorized"), K8S_END_WHOLE, SOON, "begin ",
       "pods: the service account's token is not accepted (401): Unauthorized"},
      {PAGE, 200, LIST("", "4"), K8S_END_WHOLE, AT_ONCE, "end "}}},
    {"403 says what is missing",
     {{PAGE, 403, STATUS("403", "Forbidden", "pods is forbidden"), K8S_END_WHOLE, SOON, "begin ",
       "the service account may not list pods: its ClusterRole needs get, list and watch on pods "
       "(403): pods is forbidden"},
      {PAGE}}},
    {"403 of a watch keeps what was listed",
     {LISTED_7,
      {WATCH("7"), 403, "no JSON", K8S_END_WHOLE, SOON, "", "may not watch pods"},
      {WATCH("7")}}},
    {"Retry-After is kept to",
     {LISTED_7,
      {WATCH("7"), 429, "", K8S_END_WHOLE, AFTER_7S, "", "pods: the Kubernetes API answers 429", 7},
      {WATCH("7"), 503, "", K8S_END_WHOLE, AFTER_300S, "", "answers 503", 86400},
      {WATCH("7")}}},
    {"a page that comes ends a row of failures",
     {{PAGE, 503, "", K8S_END_WHOLE, SOON, "begin ", "answers 503"},
      {PAGE, 503, "", K8S_END_WHOLE, LATER, "", "answers 503"},
      {PAGE, 200, PART("", "x"), K8S_END_WHOLE, AT_ONCE, ""},
      {PAGE "&continue=x", 503, "", K8S_END_WHOLE, SOON, "", "answers 503"}}},
    {"500 is tried again and keeps the pages",
     {{PAGE, 200, PART("{\"a\":1}", "x"), K8S_END_WHOLE, AT_ONCE, "begin listed{\"a\":1} "},
      {PAGE "&continue=x", 500, "", K8S_END_WHOLE, SOON, "", "answers 500"},
      {PAGE "&continue=x", 200, LIST("", "9"), K8S_END_WHOLE, AT_ONCE, "end "}}},

    /* Answers that are none */
    {"bad JSON in a watch goes on before it, the second time lists anew",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("ADDED", "8") "{\"type\":}\n" EVENT("ADDED", "9"), K8S_END_BROKEN,
       SOON, "added" OBJECT("8") " ", "what the watch sends is no answer of the Kubernetes API"},
      {WATCH("8"), 200, "<html>", K8S_END_BROKEN, LATER, "", "no answer"},
      {PAGE}}},
    {"bad JSON behind a bookmark that says nothing new is the same spot",
     {LISTED_7,
      {WATCH("7"), 200, EVENT("BOOKMARK", "7") "garbage\n", K8S_END_BROKEN, SOON, "", "no answer"},
      {WATCH("7"), 200, EVENT("BOOKMARK", "7") "garbage\n", K8S_END_BROKEN, LATER, "", "no answer"},
      {PAGE}}},
    {"bad JSON in a watch that then reads well is forgotten",
     {LISTED_7,
      {WATCH("7"), 200, "garbage\n", K8S_END_BROKEN, SOON, "", "no answer"},
      {WATCH("7"), 200, EVENT("ADDED", "8") "garbage\n", K8S_END_BROKEN, SOON,
       "added" OBJECT("8") " ", "no answer"},
      {WATCH("8")}}},
    {"an event without a version is no event",
     {LISTED_7,
      {WATCH("7"), 200, "{\"type\":\"ADDED\",\"object\":{}}\n", K8S_END_BROKEN, SOON, "",
       "no answer"},
      {WATCH("7"), 200, "{\"type\":\"ADDED\"}\n", K8S_END_BROKEN, LATER, "", "no answer"},
      {PAGE}}},
    {"a list in place of a watch is no answer",
     {LISTED_7, {WATCH("7"), 200, LIST("{}", "4"), K8S_END_BROKEN, SOON, "", "no answer"}}},
    {"bad JSON in a list begins it anew",
     {{PAGE, 200, "{\"items\":[{\"a\":1}{", K8S_END_BROKEN, SOON, "begin listed{\"a\":1} ",
       "what the list sends is no answer"},
      {PAGE, 200, "{\"items\":[1]}", K8S_END_BROKEN, LATER, "begin ", "no answer"},
      {PAGE}}},
    {"a list without a version is no list",
     {{PAGE, 200, "{\"items\":[]}", K8S_END_BROKEN, SOON, "begin ", "no answer"},
      {PAGE, 200, "{\"metadata\":{\"resourceVersion\":7},\"items\":[]}", K8S_END_BROKEN, LATER,
       "begin ", "no answer"},
      {PAGE}}},
};

struct world {
    struct k8s_reflect *reflect;
    struct buf given;
    int refuse; /* what the callback returns */
};

static int note(void *ctx, const struct k8s_object *object)
{
    static const char *const NAMES[] = {"begin", "listed", "end", "added", "modified", "deleted"};
    struct world *world = ctx;
    assert_int_equal(object->kind, K8S_PODS);
    buf_str(&world->given, NAMES[object->event]);
    buf_add(&world->given, object->text, object->len);
    buf_char(&world->given, ' ');
    return world->refuse;
}

static void begin_world(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    assert_int_equal(k8s_reflect_new(&world->reflect, K8S_PODS, seed, note, world), 0);
    assert_int_equal(k8s_reflect_due_us(world->reflect), 0);
}

static void end_world(struct world *world)
{
    buf_fini(&world->given);
    k8s_reflect_free(&world->reflect);
}

/* Puts N in place of the seconds, which are checked. */
static void hide_seconds(struct buf *target)
{
    static const char KEY[] = "timeoutSeconds=";
    buf_char(target, '\0');
    char *at = strstr(target->data, KEY);
    if (at != NULL) {
        at += strlen(KEY);
        char *end;
        long seconds = strtol(at, &end, 10);
        assert_in_range(seconds, 240, 299);
        *at = 'N';
        memmove(at + 1, end, strlen(end) + 1);
    }
}

static void check_target(const char *name, struct world *world, const char *expected,
                         int64_t now_us)
{
    struct buf target = {0};
    assert_int_equal(k8s_reflect_begin(world->reflect, now_us, &target), world->refuse);
    hide_seconds(&target);
    if (strncmp(target.data, "/api/v1/pods", 12) != 0 || strcmp(target.data + 12, expected) != 0) {
        fail_msg("%s: asks %s, expected %s", name, target.data, expected);
    }
    buf_fini(&target);
}

static void check_given(const char *name, struct world *world, const char *expected)
{
    buf_char(&world->given, '\0');
    if (strcmp(world->given.data, expected) != 0) {
        fail_msg("%s: gives %s, expected %s", name, world->given.data, expected);
    }
    buf_reset(&world->given);
}

static void check_problem(const char *name, const struct k8s_status *status, const char *expected)
{
    if (expected == NULL ? status->problem.text[0] != '\0'
                         : strstr(status->problem.text, expected) == NULL) {
        fail_msg("%s: says '%s', expected '%s'", name, status->problem.text,
                 expected != NULL ? expected : "");
    }
}

static enum k8s_end answer(struct world *world, const struct step *step, int64_t now_us,
                           size_t piece_len)
{
    size_t len = strlen(step->body);
    k8s_reflect_status(world->reflect, step->status, step->retry_after_s);
    for (size_t at = 0; at < len; at += piece_len) {
        size_t part = len - at < piece_len ? len - at : piece_len;
        if (k8s_reflect_push(world->reflect, step->body + at, part, now_us, WALL_US) != 0) {
            return K8S_END_BROKEN;
        }
    }
    return step->end;
}

static int64_t check_wait(const char *name, struct world *world, const struct step *step,
                          int64_t now_us)
{
    int64_t due_us = k8s_reflect_due_us(world->reflect);
    int64_t wait_us = due_us == 0 ? 0 : due_us - now_us;
    int64_t from_us = WAITS[step->wait].from_ms * 1000, to_us = WAITS[step->wait].to_ms * 1000;
    if (wait_us < from_us || wait_us > to_us) {
        fail_msg("%s: waits %d us", name, (int)wait_us);
    }
    return now_us + wait_us;
}

static void play(const char *name, const struct step *steps, size_t piece_len, uint64_t seed)
{
    struct world world;
    begin_world(&world, seed);
    int64_t now_us = BEGIN_US;
    for (const struct step *step = steps; step->asks != NULL; step++) {
        check_target(name, &world, step->asks, now_us);
        if (step->body == NULL) {
            break;
        }
        now_us += step->lasts_s < 0   ? US_PER_S / 2
                  : step->lasts_s > 0 ? step->lasts_s
                                      : 5 * US_PER_S;
        enum k8s_end end = step->status != 0 ? answer(&world, step, now_us, piece_len) : step->end;
        k8s_reflect_end(world.reflect, end, end == K8S_END_BROKEN ? "reset by peer" : NULL, now_us);
        check_given(name, &world, step->gives);
        check_problem(name, k8s_reflect_look(world.reflect), step->problem);
        now_us = check_wait(name, &world, step, now_us);
    }
    end_world(&world);
}

static void test_what_is_asked_and_given_in_each_scenario(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        play(SCENARIOS[i].name, SCENARIOS[i].steps, 4096, 1);
        play(SCENARIOS[i].name, SCENARIOS[i].steps, 7, 12345);
        play(SCENARIOS[i].name, SCENARIOS[i].steps, 1, UINT64_MAX);
    }
}

static void list(struct world *world)
{
    static const char BODY[] = LIST("", "7");
    struct buf target = {0};
    assert_int_equal(k8s_reflect_begin(world->reflect, BEGIN_US, &target), 0);
    k8s_reflect_status(world->reflect, 200, 0);
    assert_int_equal(
        k8s_reflect_push(world->reflect, BODY, strlen(BODY), BEGIN_US, WALL_US - US_PER_MIN), 0);
    k8s_reflect_end(world->reflect, K8S_END_WHOLE, NULL, BEGIN_US);
    buf_reset(&world->given);
    buf_reset(&target);
    assert_int_equal(k8s_reflect_begin(world->reflect, BEGIN_US, &target), 0);
    buf_fini(&target);
}

static void test_the_status_shows_what_goes_on_and_when_something_was_heard(void **state)
{
    (void)state;
    static const char EVENTS[] = EVENT("ADDED", "8") EVENT("BOOKMARK", "9");
    struct world world;
    begin_world(&world, 1);
    const struct k8s_status *status = k8s_reflect_look(world.reflect);
    assert_int_equal(status->state, K8S_STATE_LISTING);
    assert_false(status->complete);
    assert_int_equal(status->heard_us, 0);
    list(&world);
    assert_true(status->complete);
    assert_int_equal(status->lists, 1);
    assert_int_equal(status->heard_us, WALL_US - US_PER_MIN);
    k8s_reflect_status(world.reflect, 200, 0);
    assert_int_equal(status->state, K8S_STATE_WATCHING);
    assert_int_equal(k8s_reflect_push(world.reflect, EVENTS, strlen(EVENTS), BEGIN_US, WALL_US), 0);
    assert_int_equal(status->heard_us, WALL_US);
    assert_int_equal(status->events, 1);
    k8s_reflect_end(world.reflect, K8S_END_BROKEN, "cut", BEGIN_US + US_PER_S);
    assert_int_equal(status->state, K8S_STATE_WAITING);
    assert_int_equal(status->failures, 1);
    assert_int_equal(status->heard_us, WALL_US);
    assert_true(status->complete);
    end_world(&world);
}

static void test_a_silent_response_stalls_and_no_watch_lasts_for_ever(void **state)
{
    (void)state;
    static const char BOOKMARK[] = EVENT("BOOKMARK", "9");
    struct world world;
    struct buf target = {0};
    begin_world(&world, 1);
    assert_int_equal(k8s_reflect_begin(world.reflect, BEGIN_US, &target), 0);
    assert_int_equal(k8s_reflect_deadline_us(world.reflect), BEGIN_US + 70 * US_PER_S);
    k8s_reflect_status(world.reflect, 200, 0);
    assert_int_equal(k8s_reflect_push(world.reflect, "{", 1, BEGIN_US + 60 * US_PER_S, WALL_US), 0);
    assert_int_equal(k8s_reflect_deadline_us(world.reflect), BEGIN_US + 130 * US_PER_S);
    k8s_reflect_end(world.reflect, K8S_END_STALLED, NULL, BEGIN_US + 130 * US_PER_S);
    list(&world);
    assert_int_equal(k8s_reflect_deadline_us(world.reflect), BEGIN_US + 70 * US_PER_S);
    k8s_reflect_status(world.reflect, 200, 0);
    assert_int_equal(k8s_reflect_deadline_us(world.reflect), BEGIN_US + 150 * US_PER_S);
    int64_t now_us = BEGIN_US;
    while (k8s_reflect_deadline_us(world.reflect) > now_us + 60 * US_PER_S) {
        now_us += 60 * US_PER_S;
        assert_int_equal(
            k8s_reflect_push(world.reflect, BOOKMARK, strlen(BOOKMARK), now_us, WALL_US), 0);
    }
    assert_in_range(k8s_reflect_deadline_us(world.reflect) - BEGIN_US, 270 * US_PER_S,
                    330 * US_PER_S);
    buf_fini(&target);
    end_world(&world);
}

static void test_an_object_that_is_too_long_is_skipped_and_counted(void **state)
{
    (void)state;
    static const char BEFORE[] = "{\"type\":\"ADDED\",\"object\":{\"data\":\"";
    static const char AFTER[] = "\"}}\n" EVENT("ADDED", "9");
    struct world world;
    char *filler = malloc(K8S_OBJECT_MAX);
    memset(filler, 'x', K8S_OBJECT_MAX);
    begin_world(&world, 1);
    list(&world);
    k8s_reflect_status(world.reflect, 200, 0);
    assert_int_equal(k8s_reflect_push(world.reflect, BEFORE, strlen(BEFORE), BEGIN_US, WALL_US), 0);
    assert_int_equal(k8s_reflect_push(world.reflect, filler, K8S_OBJECT_MAX, BEGIN_US, WALL_US), 0);
    assert_int_equal(k8s_reflect_push(world.reflect, AFTER, strlen(AFTER), BEGIN_US, WALL_US), 0);
    check_given("too long", &world, "added" OBJECT("9") " ");
    assert_int_equal(k8s_reflect_look(world.reflect)->too_long, 1);
    free(filler);
    end_world(&world);
}

static void test_what_the_consumer_refuses_is_listed_anew(void **state)
{
    (void)state;
    static const char BODY[] = EVENT("ADDED", "8");
    struct world world;
    begin_world(&world, 1);
    list(&world);
    world.refuse = -ENOMEM;
    k8s_reflect_status(world.reflect, 200, 0);
    assert_int_equal(k8s_reflect_push(world.reflect, BODY, strlen(BODY), BEGIN_US, WALL_US),
                     -ENOMEM);
    k8s_reflect_end(world.reflect, K8S_END_BROKEN, "x", BEGIN_US);
    check_problem("refused", k8s_reflect_look(world.reflect), "pods: Cannot allocate memory");
    check_target("refused", &world, PAGE, BEGIN_US);
    k8s_reflect_end(world.reflect, K8S_END_BROKEN, NULL, BEGIN_US);
    world.refuse = 0;
    buf_reset(&world.given);
    check_target("taken", &world, PAGE, BEGIN_US);
    check_given("taken", &world, "begin ");
    end_world(&world);
}

static void test_what_fails_again_and_again_is_asked_for_ever_less_often_up_to_a_limit(void **state)
{
    (void)state;
    static const struct {
        long status;
        int64_t limit_s;
    } CASES[] = {{500, 30}, {403, 60}, {0, 30}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct world world;
        struct buf target = {0};
        int64_t limit_us = CASES[i].limit_s * US_PER_S, wait_us = 0;
        begin_world(&world, 7);
        for (int round = 0; round < 100; round++) {
            buf_reset(&target);
            assert_int_equal(k8s_reflect_begin(world.reflect, BEGIN_US, &target), 0);
            k8s_reflect_status(world.reflect, CASES[i].status, 0);
            k8s_reflect_end(world.reflect, K8S_END_WHOLE, NULL, BEGIN_US);
            wait_us = k8s_reflect_due_us(world.reflect) - BEGIN_US;
            assert_in_range(wait_us, round < 8 ? US_PER_S / 2 : limit_us, limit_us * 3 / 2);
        }
        buf_fini(&target);
        end_world(&world);
    }
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    struct k8s_reflect *reflect;
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        int err = k8s_reflect_new(&reflect, K8S_NODES, 1, note, NULL);
        size_t failed = alloc_failed();
        alloc_fail_at(0);
        assert_int_equal(err, failed > 0 ? -ENOMEM : 0);
        k8s_reflect_free(&reflect);
        if (failed == 0) {
            break;
        }
    }
    k8s_reflect_free(&reflect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_and_given_in_each_scenario),
        cmocka_unit_test(test_the_status_shows_what_goes_on_and_when_something_was_heard),
        cmocka_unit_test(test_a_silent_response_stalls_and_no_watch_lasts_for_ever),
        cmocka_unit_test(test_an_object_that_is_too_long_is_skipped_and_counted),
        cmocka_unit_test(test_what_the_consumer_refuses_is_listed_anew),
        cmocka_unit_test(
            test_what_fails_again_and_again_is_asked_for_ever_less_often_up_to_a_limit),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
