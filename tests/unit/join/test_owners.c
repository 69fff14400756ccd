/* tests/unit/join/test_owners.c -- whose address it was, told in every order
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each case is facts, then questions; times are seconds after T.
 */
#include "join/owners.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/support/alloc.h"

#define T (INT64_C(20500) * US_PER_DAY)
#define NEVER INT64_C(-1000000) /* not said; 0 is a time here */

enum what {
    NO_MORE,
    HOLDS,
    ENDED,     /* says itself when, at `ended` */
    GONE,      /* does not */
    HINTED,    /* holds, as a hint says */
    LIST,      /* a list begins */
    LIST_ENDS, /* of all pods */
};

struct fact {
    enum what what;
    int64_t at;
    const char *name; /* "uid/name"; of kind pod unless it begins with "svc " or "node " */
    const char *addrs;
    int64_t started;
    int64_t ended;
};

struct asked {
    const char *addr;
    int64_t at;
    const char *name; /* NULL: nobody's */
};

struct scenario {
    const char *name;
    struct fact facts[8];
    struct asked asked[10];
};

#define A "10.10.3.7"
#define B "10.10.3.8"
#define A6 "2001:db8:1::7"

/* clang-format off */
static const struct scenario SCENARIOS[] = {
    {"an interval begins where the object says",
     {{HOLDS, 100, "1/a", A, 90}},
     {{A, 89, NULL}, {A, 90, "a"}, {A, 100, "a"}, {A, 100000, "a"}, {B, 100, NULL}}},
    {"without a start it is dated back a little",
     {{HOLDS, 100, "1/a", A, NEVER}},
     {{A, 89, NULL}, {A, 90, "a"}}},
    {"a start in the future is now",
     {{HOLDS, 100, "1/a", A, 200}},
     {{A, 99, NULL}, {A, 100, "a"}}},
    {"an end that the object says, and one that it does not",
     {{HOLDS, 100, "1/a", A, 90}, {ENDED, 200, "1/a", A, 90, 150}, {HOLDS, 100, "2/b", B, 90}, {GONE, 200, "2/b", B, 90}},
     {{A, 149, "a"}, {A, 150, NULL}, {B, 199, "b"}, {B, 200, NULL}}},
    {"an address that vanishes ends the interval and keeps the past",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 200, "1/a", "", 90}},
     {{A, 150, "a"}, {A, 199, "a"}, {A, 200, NULL}}},
    {"one that comes back opens another interval",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 200, "1/a", "", 90}, {HOLDS, 300, "1/a", A, 90}},
     {{A, 150, "a"}, {A, 250, NULL}, {A, 289, NULL}, {A, 290, "a"}}},
    {"another address of the same pod",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 200, "1/a", A, 90}, {HOLDS, 300, "1/a", B, 90}},
     {{A, 250, "a"}, {A, 290, NULL}, {B, 289, NULL}, {B, 290, "a"}, {A, 400, NULL}}},
    {"a second family becomes known later and counts from the start",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 110, "1/a", A " " A6, 90}},
     {{A, 95, "a"}, {A6, 95, "a"}}},
    {"what is told twice changes nothing",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 110, "1/a", A, 90}, {HOLDS, 105, "1/a", A, 90}},
     {{A, 95, "a"}}},

    /* ---- from one owner to the next ---- */
    {"a new owner ends the former where it was last seen",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 205, "1/a", A, 90}, {HOLDS, 210, "2/b", A, 200}},
     {{A, 199, "a"}, {A, 204, "a"}, {A, 205, "b"}}},
    {"a new owner ends the former where it began",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 210, "2/b", A, 200}},
     {{A, 199, "a"}, {A, 200, "b"}}},
    {"both in one list: the later one has it from its start",
     {{HOLDS, 300, "1/a", A, 90}, {HOLDS, 300, "2/b", A, 200}},
     {{A, 199, "a"}, {A, 200, "b"}}},
    {"both in one list, the later one told first",
     {{HOLDS, 300, "2/b", A, 200}, {HOLDS, 300, "1/a", A, 90}},
     {{A, 199, "a"}, {A, 200, "b"}, {A, 400, "b"}}},
    {"a pod that started while the former had the address begins where that ended",
     {{HOLDS, 100, "1/a", A, 90}, {ENDED, 220, "1/a", A, 90, 215}, {HOLDS, 230, "2/b", A, 200}},
     {{A, 214, "a"}, {A, 215, "b"}}},
    {"a pod that has ended keeps its address in the API: the past is its own, now is another's",
     {{HOLDS, 300, "2/b", A, 200}, {ENDED, 300, "1/a", A, 90, 150}},
     {{A, 149, "a"}, {A, 150, NULL}, {A, 199, NULL}, {A, 200, "b"}, {A, 400, "b"}}},
    {"the past of a pod that ended without saying when is not made up",
     {{GONE, 300, "1/a", A, 90}},
     {{A, 100, NULL}, {A, 300, NULL}}},
    {"the former is told of once more and does not get it back",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 210, "2/b", A, 200}, {HOLDS, 220, "1/a", A, 90}, {GONE, 230, "1/a", A, 90}},
     {{A, 199, "a"}, {A, 225, "b"}, {A, 300, "b"}}},
    {"an end in the future takes nothing from the next owner",
     {{HOLDS, 100, "1/a", A, 90}, {ENDED, 120, "1/a", A, 90, 900}, {HOLDS, 210, "2/b", A, 200}},
     {{A, 199, "a"}, {A, 200, "b"}, {A, 900, "b"}}},
    {"the former says only then that it ended after the next had started",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 210, "2/b", A, 200}, {ENDED, 220, "1/a", A, 90, 208}},
     {{A, 207, "a"}, {A, 208, "b"}, {A, 300, "b"}}},
    {"one that was deleted after the next had started",
     {{HOLDS, 100, "1/a", A, 90}, {GONE, 208, "1/a", A, 90}, {HOLDS, 210, "2/b", A, 200}},
     {{A, 207, "a"}, {A, 208, "b"}, {A, 300, "b"}}},
    {"one of two addresses goes to another owner: the former has neither",
     {{HOLDS, 100, "1/a", A " " A6, 90}, {HOLDS, 210, "2/b", A, 200}},
     {{A6, 199, "a"}, {A6, 200, NULL}, {A, 200, "b"}}},
    {"three owners told backwards",
     {{HOLDS, 400, "3/c", A, 300}, {HOLDS, 290, "2/b", A, 200}, {HOLDS, 190, "1/a", A, 100}},
     {{A, 199, "a"}, {A, 200, "b"}, {A, 299, "b"}, {A, 300, "c"}}},

    /* ---- names that are used again ---- */
    {"another pod of the same name",
     {{HOLDS, 100, "1/db-0", A, 90}, {HOLDS, 210, "2/db-0", B, 200}},
     {{A, 199, "db-0"}, {A, 200, NULL}, {B, 199, NULL}, {B, 200, "db-0"}}},
    {"another pod of the same name told first",
     {{HOLDS, 210, "2/db-0", B, 200}, {HOLDS, 100, "1/db-0", A, 90}, {HOLDS, 300, "2/db-0", B, 200}},
     {{A, 199, "db-0"}, {A, 200, NULL}, {B, 200, "db-0"}, {B, 400, "db-0"}}},
    {"a service and a pod of the same name are two",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 100, "svc 2/a", B, 90}},
     {{A, 100, "a"}, {B, 100, "service a"}}},
    {"a node known by its pods begins with the first of them",
     {{HOLDS, 300, "node /n", A, 200}, {HOLDS, 310, "node /n", A, 100}, {HOLDS, 320, "node 7/n", A " " A6, 50}},
     {{A, 49, NULL}, {A, 50, "node n"}, {A6, 50, "node n"}}},

    /* ---- lists ---- */
    {"who is not in a list any more has ended by then",
     {{HOLDS, 100, "1/a", A, 90}, {HOLDS, 100, "2/b", B, 90}, {LIST}, {HOLDS, 200, "2/b", B, 90}, {LIST_ENDS, 200}},
     {{A, 199, "a"}, {A, 200, NULL}, {B, 300, "b"}}},
    {"a first list says nothing of those that ended before",
     {{ENDED, 100, "1/a", A, 50, 90}, {LIST}, {LIST_ENDS, 200}},
     {{A, 60, "a"}, {A, 90, NULL}}},

    /* ---- hints ---- */
    {"a hint answers where nothing else is known",
     {{HINTED, 100, "/hinted", A, NEVER}, {HOLDS, 210, "1/a", A, 200}},
     {{A, 95, "hinted"}, {A, 199, "hinted"}, {A, 200, "a"}, {A, 300, "a"}}},
    {"another hint ends the former",
     {{HINTED, 100, "/x", A, NEVER}, {HINTED, 200, "/y", A, NEVER}},
     {{A, 189, "x"}, {A, 190, "y"}}},
    {"a hint counts for an hour after it was last heard",
     {{HINTED, 100, "/x", A, NEVER}, {HINTED, 500, "/x", A, NEVER}, {HINTED, 3000, "/x", A, NEVER}},
     {{A, 100, "x"}, {A, 6599, "x"}, {A, 6600, NULL}}},
    {"a hint that was followed by another long after counts for an hour, too",
     {{HINTED, 100, "/x", A, NEVER}, {HINTED, 9000, "/y", A, 9000}},
     {{A, 3699, "x"}, {A, 3700, NULL}, {A, 8999, NULL}, {A, 9000, "y"}}},
    {"a hint that is heard of another address has left the former",
     {{HINTED, 100, "/x", A, NEVER}, {HINTED, 200, "/x", B, 200}},
     {{A, 150, "x"}, {A, 250, NULL}, {B, 199, NULL}, {B, 250, "x"}}},
    {"unless it is of the other family",
     {{HINTED, 100, "/x", A, NEVER}, {HINTED, 200, "/x", A6, NEVER}, {HINTED, 300, "/x", A, NEVER}},
     {{A, 350, "x"}, {A6, 350, "x"}}},
};
/* clang-format on */

static size_t parse_addrs(const char *text, struct addr *addrs)
{
    size_t count = 0;
    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, " ");
        assert_true(addr_parse(&addrs[count++], text, len));
        text += len + strspn(text + len, " ");
    }
    return count;
}

static int64_t time_of(int64_t seconds)
{
    return seconds == NEVER ? 0 : T + seconds * US_PER_S;
}

static int tell(struct owners *owners, const struct fact *fact, uint64_t *list)
{
    struct addr addrs[OWNER_ADDRS_MAX];
    if (fact->what == LIST) {
        *list = owners_list_begin(owners);
        return 0;
    }
    if (fact->what == LIST_ENDS) {
        return owners_list_end(owners, 0, *list, "prod", OWNER_POD, NULL, time_of(fact->at));
    }
    const char *id = fact->name;
    enum owner_kind kind = OWNER_POD;
    if (strncmp(id, "svc ", 4) == 0) {
        kind = OWNER_SERVICE;
        id += 4;
    } else if (strncmp(id, "node ", 5) == 0) {
        kind = OWNER_NODE;
        id += 5;
    }
    size_t uid_len = strcspn(id, "/");
    const char *name = id + uid_len + 1;
    struct owner_fact told = {
        .cluster = "prod",
        .kind = kind,
        .hint = fact->what == HINTED,
        .namespace = {"shop", kind == OWNER_NODE ? 0 : 4},
        .uid = {id, uid_len},
        .name = {name, strlen(name)},
        .addresses = addrs,
        .address_count = parse_addrs(fact->addrs, addrs),
        .ended = fact->what == ENDED || fact->what == GONE,
        .at_us = time_of(fact->at),
        .started_us = time_of(fact->started),
        .ended_us = fact->what == ENDED ? time_of(fact->ended) : 0,
    };
    return owners_observe(owners, &told);
}

static void ask(struct owners_reader *reader, const char *scenario, const struct asked *asked)
{
    struct owner_at at;
    struct addr addr;
    char got[300] = "nobody";
    assert_true(addr_parse(&addr, asked->addr, strlen(asked->addr)));
    if (owners_at(reader, "prod", &addr, time_of(asked->at), &at)) {
        snprintf(got, sizeof(got), "%s%s%s",
                 at.owner->kind == OWNER_POD ? "" : owner_kind_name(at.owner->kind),
                 at.owner->kind == OWNER_POD ? "" : " ", at.owner->name);
    }
    const char *expected = asked->name != NULL ? asked->name : "nobody";
    if (strcmp(got, expected) != 0) {
        fail_msg("%s: %s at %lld: %s, expected %s", scenario, asked->addr, (long long)asked->at,
                 got, expected);
    }
}

static void every_rule_of_intervals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        const struct scenario *scenario = &SCENARIOS[i];
        struct owners *owners;
        struct owners_reader *reader;
        uint64_t list = 0;
        assert_int_equal(owners_new(&owners, 0), 0);
        assert_int_equal(owners_reader_new(&reader, owners), 0);
        for (size_t j = 0; j < 8 && scenario->facts[j].what != NO_MORE; j++) {
            assert_int_equal(tell(owners, &scenario->facts[j], &list), 0);
        }
        /* Twice: from the table, and from what the reader remembers. */
        for (size_t j = 0; j < 20; j++) {
            if (scenario->asked[j % 10].addr != NULL) {
                ask(reader, scenario->name, &scenario->asked[j % 10]);
            }
        }
        owners_reader_free(&reader);
        owners_free(&owners);
    }
}

static void what_says_nothing_new_leaves_the_version(void **state)
{
    (void)state;
    struct owners *owners;
    const struct fact fact = {HOLDS, 100, "1/a", A, 90};
    const struct fact again = {HOLDS, 200, "1/a", A, 90};
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_int_equal(tell(owners, &fact, NULL), 0);
    uint64_t version = owners_version(owners);
    assert_int_equal(tell(owners, &again, NULL), 0);
    assert_int_equal(owners_version(owners), version);
    assert_int_equal(owners_status(owners).latest_us, T + 200 * US_PER_S);
    owners_free(&owners);
}

static void a_reader_sees_what_changed(void **state)
{
    (void)state;
    struct owners *owners;
    struct owners_reader *reader;
    const struct fact a = {HOLDS, 100, "1/a", A, 90};
    const struct fact b = {HOLDS, 210, "2/b", A, 200};
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_int_equal(owners_reader_new(&reader, owners), 0);
    ask(reader, "empty", &(struct asked){A, 300, NULL});
    assert_false(owners_know(reader, "prod"));
    assert_int_equal(tell(owners, &a, NULL), 0);
    ask(reader, "one", &(struct asked){A, 300, "a"});
    assert_true(owners_know(reader, "prod"));
    assert_false(owners_know(reader, "other"));
    assert_int_equal(tell(owners, &b, NULL), 0);
    ask(reader, "two", &(struct asked){A, 300, "b"});
    ask(reader, "two", &(struct asked){A, 150, "a"});
    owners_reader_free(&reader);
    owners_free(&owners);
}

static bool is_sound(void *ctx, const struct owner *owner)
{
    (void)ctx;
    assert_true(owner->from_us <= owner->to_us);
    assert_true(owner->address_count > 0);
    return true;
}

static void every_refused_allocation_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        size_t refused = 1;
        for (size_t n = 1; refused > 0; n++) {
            struct owners *owners;
            struct owners_reader *reader = NULL;
            uint64_t list = 0;
            alloc_fail_at(n);
            int err = owners_new(&owners, 0);
            err = err != 0 ? err : owners_reader_new(&reader, owners);
            for (size_t j = 0; err == 0 && j < 8 && SCENARIOS[i].facts[j].what != NO_MORE; j++) {
                int told = tell(owners, &SCENARIOS[i].facts[j], &list);
                assert_true(told == 0 || told == -ENOMEM);
            }
            refused = alloc_failed();
            alloc_fail_at(0);
            if (err == 0) {
                owners_each(owners, 0, is_sound, NULL);
            }
            owners_reader_free(&reader);
            owners_free(&owners);
        }
    }
}

struct copies {
    struct owners *to;
    size_t count;
};

static bool copy(void *ctx, const struct owner *owner)
{
    struct copies *copies = ctx;
    copies->count++;
    assert_int_equal(owners_restore(copies->to, owner), 0);
    return true;
}

static void what_was_kept_elsewhere_answers_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
        const struct scenario *scenario = &SCENARIOS[i];
        struct owners *owners, *restored;
        struct owners_reader *reader;
        uint64_t list = 0;
        assert_int_equal(owners_new(&owners, 0), 0);
        assert_int_equal(owners_new(&restored, 0), 0);
        for (size_t j = 0; j < 8 && scenario->facts[j].what != NO_MORE; j++) {
            assert_int_equal(tell(owners, &scenario->facts[j], &list), 0);
        }
        struct copies copies = {restored, 0};
        owners_each(owners, 0, copy, &copies);
        assert_int_equal(owners_reader_new(&reader, restored), 0);
        for (size_t j = 0; j < 10 && scenario->asked[j].addr != NULL; j++) {
            ask(reader, scenario->name, &scenario->asked[j]);
        }
        copies.count = 0;
        owners_each(owners, owners_version(owners), copy, &copies);
        assert_int_equal(copies.count, 0);
        owners_reader_free(&reader);
        owners_free(&restored);
        owners_free(&owners);
    }
}

static void a_service_is_found_by_name_at_its_time(void **state)
{
    (void)state;
    struct owners *owners;
    struct owners_reader *reader;
    const struct fact was = {HOLDS, 100, "svc 1/db", A, 90};
    const struct fact is = {HOLDS, 210, "svc 2/db", B, 200};
    const struct text namespace = {"shop", 4}, name = {"db", 2}, other = {"no", 2};
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_int_equal(tell(owners, &was, NULL), 0);
    assert_int_equal(tell(owners, &is, NULL), 0);
    assert_int_equal(owners_reader_new(&reader, owners), 0);
    const struct owner *owner =
        owners_named(reader, "prod", OWNER_SERVICE, namespace, name, time_of(150));
    assert_non_null(owner);
    assert_string_equal(owner->uid, "1");
    owner = owners_named(reader, "prod", OWNER_SERVICE, namespace, name, time_of(250));
    assert_non_null(owner);
    assert_string_equal(owner->uid, "2");
    assert_null(owners_named(reader, "prod", OWNER_SERVICE, namespace, name, time_of(50)));
    assert_null(owners_named(reader, "prod", OWNER_POD, namespace, name, time_of(250)));
    assert_null(owners_named(reader, "prod", OWNER_SERVICE, namespace, other, time_of(250)));
    assert_null(owners_named(reader, "other", OWNER_SERVICE, namespace, name, time_of(250)));
    owners_reader_free(&reader);
    owners_free(&owners);
}

static void clusters_do_not_mix(void **state)
{
    (void)state;
    struct owners *owners;
    struct owners_reader *reader;
    struct owner_at at;
    struct addr addr;
    assert_int_equal(owners_new(&owners, 0), 0);
    assert_true(addr_parse(&addr, A, strlen(A)));
    for (int i = 0; i < 2; i++) {
        const struct owner_fact fact = {.cluster = i == 0 ? "one" : "two",
                                        .name = {i == 0 ? "a" : "b", 1},
                                        .addresses = &addr,
                                        .address_count = 1,
                                        .at_us = T};
        assert_int_equal(owners_observe(owners, &fact), 0);
    }
    assert_int_equal(owners_reader_new(&reader, owners), 0);
    assert_true(owners_at(reader, "one", &addr, T, &at));
    assert_string_equal(at.owner->name, "a");
    assert_true(owners_at(reader, "two", &addr, T, &at));
    assert_string_equal(at.owner->name, "b");
    assert_false(owners_at(reader, "three", &addr, T, &at));
    owners_reader_free(&reader);
    owners_free(&owners);
}

static void a_full_table_forgets_what_ended_first(void **state)
{
    (void)state;
    enum { MAX = 64 };
    struct owners *owners;
    struct owners_reader *reader;
    struct owner_at at;
    assert_int_equal(owners_new(&owners, MAX), 0);
    for (int i = 0; i < 1000; i++) {
        char id[32];
        snprintf(id, sizeof(id), "%d/pod-%d", i, i);
        const struct fact fact = {HOLDS, 100 + 10 * i, id, A, 90 + 10 * i};
        assert_int_equal(tell(owners, &fact, NULL), 0);
    }
    struct owners_status status = owners_status(owners);
    assert_true(status.intervals <= MAX && status.intervals > MAX / 2);
    assert_int_equal(status.open, 1);
    assert_int_equal(status.forgotten, 1000 - status.intervals);
    assert_int_equal(owners_reader_new(&reader, owners), 0);
    ask(reader, "the newest", &(struct asked){A, 100 + 9990, "pod-999"});
    ask(reader, "the last but one", &(struct asked){A, 79 + 9990, "pod-997"});
    struct addr addr;
    assert_true(addr_parse(&addr, A, strlen(A)));
    assert_false(owners_at(reader, "prod", &addr, time_of(100), &at));
    owners_reader_free(&reader);
    owners_free(&owners);
}

static void a_table_full_of_those_that_last_refuses(void **state)
{
    (void)state;
    struct owners *owners;
    assert_int_equal(owners_new(&owners, 2), 0);
    const struct fact facts[] = {
        {HOLDS, 100, "1/a", A, 90}, {HOLDS, 100, "2/b", B, 90}, {HOLDS, 100, "3/c", A6, 90}};
    assert_int_equal(tell(owners, &facts[0], NULL), 0);
    assert_int_equal(tell(owners, &facts[1], NULL), 0);
    assert_int_equal(tell(owners, &facts[2], NULL), W_ELIMIT);
    assert_int_equal(owners_status(owners).refused, 1);
    owners_free(&owners);
}

struct race {
    struct owners *owners;
    atomic_bool done;
};

static void *read_all_the_time(void *ctx)
{
    struct race *race = ctx;
    struct owners_reader *reader;
    struct addr addr;
    struct owner_at at;
    assert_int_equal(owners_reader_new(&reader, race->owners), 0);
    assert_true(addr_parse(&addr, A, strlen(A)));
    while (!atomic_load(&race->done)) {
        for (int i = 0; i < 100; i++) {
            if (owners_at(reader, "prod", &addr, time_of(100 + 10 * i), &at)) {
                assert_true(strncmp(at.owner->name, "pod-", 4) == 0);
                assert_true(at.owner->from_us <= time_of(100 + 10 * i));
            }
        }
    }
    owners_reader_free(&reader);
    return NULL;
}

static void readers_go_on_while_the_table_changes(void **state)
{
    (void)state;
    struct race race;
    pthread_t threads[2];
    assert_int_equal(owners_new(&race.owners, 64), 0);
    atomic_init(&race.done, false);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &race), 0);
    }
    for (int i = 0; i < 5000; i++) {
        char id[32];
        snprintf(id, sizeof(id), "%d/pod-%d", i, i);
        const struct fact fact = {HOLDS, 100 + i, id, A, 90 + i};
        assert_int_equal(tell(race.owners, &fact, NULL), 0);
    }
    atomic_store(&race.done, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    owners_free(&race.owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_intervals),
        cmocka_unit_test(what_says_nothing_new_leaves_the_version),
        cmocka_unit_test(a_reader_sees_what_changed),
        cmocka_unit_test(every_refused_allocation_is_survived),
        cmocka_unit_test(what_was_kept_elsewhere_answers_the_same),
        cmocka_unit_test(a_service_is_found_by_name_at_its_time),
        cmocka_unit_test(clusters_do_not_mix),
        cmocka_unit_test(a_full_table_forgets_what_ended_first),
        cmocka_unit_test(a_table_full_of_those_that_last_refuses),
        cmocka_unit_test(readers_go_on_while_the_table_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
