/* tests/unit/join/test_tail.c -- files that grow, are rotated and replaced: each line of them once
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/store_fixture.h"

enum { STEPS_MAX = 32, MARKS_MAX = 16 };

/* A folder, a tail of what is in it, and a clock that only the steps move. */
struct world {
    char dir[64];
    const char *const *sources;
    struct tail *tail;
    struct buf got; /* texts of the lines read since the last check, "file:number:text" by spaces */
    struct buf warnings;
    int64_t now_us;  /* monotonic, for the tail */
    int64_t mtime_s; /* of what is written next: coarse clocks give two files one time */
};

static void take_warning(void *ctx, const char *text)
{
    struct world *world = ctx;
    buf_printf(&world->warnings, "%s\n", text);
}

/* "NAME" in the folder. */
static const char *path_of(const struct world *world, const char *name)
{
    static char paths[2][256];
    static unsigned turn;
    turn ^= 1;
    snprintf(paths[turn], sizeof(paths[turn]), "%s%s%s", world->dir, name[0] != '\0' ? "/" : "",
             name);
    return paths[turn];
}

static void start(struct world *world)
{
    const struct tail_options options = {take_warning, world, 60 * US_PER_S, {NULL, NULL}};
    assert_int_equal(tail_new(&world->tail, &options), 0);
    for (size_t i = 0; world->sources[i] != NULL; i++) {
        assert_int_equal(tail_add(world->tail, path_of(world, world->sources[i]), NULL), 0);
    }
}

static void open_world(struct world *world, const char *const *sources)
{
    *world = (struct world){.sources = sources, .now_us = 1000 * US_PER_S, .mtime_s = 1779444000};
    fixture_dir(world->dir);
    start(world);
}

static void close_world(struct world *world)
{
    tail_free(&world->tail);
    buf_fini(&world->got);
    buf_fini(&world->warnings);
    fixture_remove(world->dir);
}

/* ---- Steps ---- */

static void set_time(struct world *world, const char *path)
{
    struct timespec times[2] = {{world->mtime_s, 0}, {world->mtime_s, 0}};
    world->mtime_s++;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void append(struct world *world, const char *name, const char *text, bool newline)
{
    FILE *file = fopen(path_of(world, name), "ab");
    assert_non_null(file);
    fprintf(file, "%s%s", text, newline ? "\n" : "");
    assert_int_equal(fclose(file), 0);
    set_time(world, path_of(world, name));
}

static void copy(struct world *world, const char *from, const char *to)
{
    char data[65536];
    FILE *in = fopen(path_of(world, from), "rb");
    FILE *out = fopen(path_of(world, to), "wb");
    assert_true(in != NULL && out != NULL);
    size_t len = fread(data, 1, sizeof(data), in);
    assert_int_equal(fwrite(data, 1, len, out), len);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    set_time(world, path_of(world, to));
}

/* Lines of the piece, with the number each has in its file. */
static void note_lines(struct world *world, const struct tail_piece *piece)
{
    const char *at = piece->text;
    const char *end = at + piece->len;
    for (uint64_t number = piece->at.number + 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        buf_printf(&world->got, "%s%llu:%.*s", world->got.len > 0 ? " " : "",
                   (unsigned long long)number, (int)(stop - at), at);
        at = stop + 1;
    }
}

static void look_and_read(struct world *world)
{
    struct tail_piece piece;
    int got;
    world->now_us += TAIL_LOOK_US;
    assert_int_equal(tail_look(world->tail, world->now_us), 0);
    while ((got = tail_read(world->tail, &piece)) != TAIL_NOTHING) {
        assert_true(got == TAIL_GOT_LINES || got == TAIL_GOT_OVERLONG);
        if (got == TAIL_GOT_OVERLONG) {
            buf_printf(&world->got, "%s%llu:overlong", world->got.len > 0 ? " " : "",
                       (unsigned long long)piece.at.number + 1);
        } else {
            note_lines(world, &piece);
        }
    }
}

struct marks {
    struct tail_mark marks[MARKS_MAX];
    size_t count;
};

static int take_mark(void *ctx, const struct tail_mark *mark)
{
    struct marks *marks = ctx;
    assert_true(marks->count < MARKS_MAX);
    marks->marks[marks->count] = *mark;
    marks->marks[marks->count].log = strdup(mark->log);
    marks->marks[marks->count++].path = strdup(mark->path);
    return 0;
}

/* As a process that is killed: nothing is left but the marks. */
static void stop(struct world *world, struct marks *marks)
{
    *marks = (struct marks){.count = 0};
    assert_int_equal(tail_marks(world->tail, take_mark, marks), 0);
    tail_free(&world->tail);
}

static void start_again(struct world *world, struct marks *marks)
{
    start(world);
    for (size_t i = 0; i < marks->count; i++) {
        assert_int_equal(tail_restore(world->tail, &marks->marks[i]), 0);
        free((char *)marks->marks[i].log);
        free((char *)marks->marks[i].path);
    }
    marks->count = 0;
}

/* Fails with the row's title and step. */
static void check(struct world *world, const char *title, const char *step)
{
    buf_char(&world->got, '\0');
    if (strcmp(world->got.data, step) != 0) {
        fail_msg("%s: read \"%s\" where \"%s\" was due; warnings: %.*s", title, world->got.data,
                 step, (int)world->warnings.len, world->warnings.data);
    }
    buf_reset(&world->got);
}

static void check_warning(struct world *world, const char *title, const char *part)
{
    buf_char(&world->warnings, '\0');
    bool right =
        part[0] == '\0' ? world->warnings.len == 1 : strstr(world->warnings.data, part) != NULL;
    if (!right) {
        fail_msg("%s: \"%s\" was to be said, not \"%s\"", title, part, world->warnings.data);
    }
    buf_reset(&world->warnings);
}

/* One step; see the table. */
static void run_step(struct world *world, struct marks *marks, const char *title, const char *step)
{
    char verb[16];
    char a[64] = "";
    char b[64] = "";
    const char *rest = strchr(step, ' ');
    sscanf(step, "%15s %63s %63s", verb, a, b);
    if (strcmp(verb, "=") == 0) {
        check(world, title, rest != NULL ? rest + 1 : "");
    } else if (strcmp(verb, "said") == 0) {
        check_warning(world, title, rest != NULL ? rest + 1 : "");
    } else if (strcmp(verb, "add") == 0 || strcmp(verb, "part") == 0) {
        append(world, a, b, verb[0] == 'a');
    } else if (strcmp(verb, "mv") == 0) {
        assert_int_equal(rename(path_of(world, a), path_of(world, b)), 0);
    } else if (strcmp(verb, "cp") == 0) {
        copy(world, a, b);
    } else if (strcmp(verb, "cut") == 0) {
        assert_int_equal(truncate(path_of(world, a), 0), 0);
        set_time(world, path_of(world, a));
    } else if (strcmp(verb, "cut4") == 0) {
        assert_int_equal(truncate(path_of(world, a), 4), 0);
        set_time(world, path_of(world, a));
    } else if (strcmp(verb, "rm") == 0) {
        assert_int_equal(unlink(path_of(world, a)), 0);
    } else if (strcmp(verb, "mkdir") == 0) {
        assert_int_equal(mkdir(path_of(world, a), 0700), 0);
    } else if (strcmp(verb, "link") == 0) {
        unlink(path_of(world, b));
        assert_int_equal(symlink(path_of(world, a), path_of(world, b)), 0);
    } else if (strcmp(verb, "null") == 0) {
        assert_int_equal(symlink("/dev/null", path_of(world, a)), 0);
    } else if (strcmp(verb, "read") == 0) {
        look_and_read(world);
    } else if (strcmp(verb, "look") == 0) {
        world->now_us += 2 * US_PER_S;
        assert_int_equal(tail_look(world->tail, world->now_us), 0);
    } else if (strcmp(verb, "wait") == 0) {
        world->now_us += atoi(a) * US_PER_S;
    } else if (strcmp(verb, "kill") == 0) {
        stop(world, marks);
    } else if (strcmp(verb, "start") == 0) {
        start_again(world, marks);
    } else {
        fail_msg("%s: no such step: %s", title, step);
    }
}

/* Steps: `add FILE LINE`, `part FILE TEXT` (no newline), `mv`, `cp`, `cut` (to nothing), `cut4` (to
 * 4 octets), `rm`, `link TARGET NAME`, `wait SECONDS`, `look`, `read`, `kill` and `start`; `=
 * LINES` is what was read since the last one, each with its number in its file; `said TEXT` what
 * was warned of, `said` nothing.
 */
static const struct {
    const char *title;
    const char *sources[3];
    const char *steps[STEPS_MAX];
} ROWS[] = {
    {"a file is read from its beginning and then as it grows",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "read", "=", "add a.log two", "add a.log three", "read",
      "= 2:two 3:three", "said"}},
    {"a file that appears later is read, and its absence is said once",
     {"a.log"},
     {"read", "read", "said a.log: No such file or directory; waiting for it", "add a.log one",
      "read", "= 1:one", "said"}},
    {"a partial line is kept until it is whole",
     {"a.log"},
     {"add a.log one", "part a.log tw", "read", "= 1:one", "read", "=", "part a.log o", "read", "=",
      "part a.log !", "add a.log !", "read", "= 2:two!!"}},
    {"a partial line is whole after a restart",
     {"a.log"},
     {"part a.log on", "read", "=", "kill", "start", "read", "=", "add a.log e", "read",
      "= 1:one"}},

    /* Renaming. */
    {"a renamed file is read to its end before the new one",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "add a.log two", "mv a.log a.log.1", "add a.log three",
      "read", "= 2:two 1:three", "said"}},
    {"what is still written to a renamed file is read",
     {"a.log"},
     {"add a.log one", "read", "mv a.log a.log.1", "add a.log.1 two", "read", "= 1:one 2:two",
      "add a.log three", "add a.log.1 four", "read", "= 3:four 1:three", "add a.log.1 five", "read",
      "= 4:five"}},
    {"a line that is cut by a rotation is given out when nothing more comes",
     {"a.log"},
     {"part a.log on", "read", "mv a.log a.log.1", "add a.log two", "read", "= 1:two", "wait 61",
      "read", "= 1:on", "read", "="}},
    {"two rotations between two looks lose nothing",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "add a.log two", "mv a.log a.log.1", "add a.log three",
      "mv a.log.1 a.log.2", "mv a.log a.log.1", "add a.log four", "read",
      "= 2:two 1:three 1:four"}},
    {"rotations from before the first start are not read",
     {"a.log"},
     {"add a.log.2 old", "add a.log.1 older", "add a.log one", "read", "= 1:one",
      "mv a.log.1 a.log.3", "mv a.log a.log.1", "add a.log two", "read", "= 1:two"}},
    {"a rotated file that was read is not read again while it moves on",
     {"a.log"},
     {"add a.log one",
      "read",
      "mv a.log a.log.1",
      "add a.log two",
      "read",
      "= 1:one 1:two",
      "wait 61",
      "read",
      "mv a.log.1 a.log.2",
      "mv a.log a.log.1",
      "add a.log three",
      "read",
      "wait 61",
      "read",
      "= 1:three",
      "read",
      "=",
      "kill",
      "start",
      "read",
      "="}},
    {"a file that is removed is read to its end",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "add a.log two", "rm a.log", "read", "= 2:two", "wait 11",
      "read", "read", "add a.log three", "read", "= 1:three"}},
    {"a new file on the same inode is another file",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "rm a.log", "add a.log other", "add a.log two",
      "start", "read", "= 1:other 2:two", "said what was read of it before is gone"}},

    {"a file that was missed, on the inode of one that was read and removed",
     {"a.log"},
     {"add a.log one", "read", "mv a.log a.log.1", "add a.log two", "read", "= 1:one 1:two",
      "wait 61", "read", "rm a.log.1", "mv a.log a.log.2", "add a.log three", "mv a.log a.log.1",
      "add a.log four", "read", "= 1:three 1:four", "said"}},
    {"a copy on the inode of one that was read and removed",
     {"a.log"},
     {"add a.log one", "read", "mv a.log a.log.1", "add a.log two", "read", "= 1:one 1:two",
      "wait 61", "read", "add a.log three", "rm a.log.1", "cp a.log a.log.1", "cut a.log",
      "add a.log four", "read", "= 2:three 1:four", "said"}},

    /* Truncation. */
    {"a truncated file begins anew",
     {"a.log"},
     {"add a.log one", "add a.log two", "read", "= 1:one 2:two", "cut a.log", "read", "=",
      "add a.log three", "read", "= 1:three", "said"}},
    {"a file that is longer than before when it is looked at was truncated all the same",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "cut a.log", "add a.log three", "add a.log four", "read",
      "= 1:three 2:four"}},
    {"what was not read before a truncation is read from the copy",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "add a.log two", "cp a.log a.log.1", "cut a.log",
      "add a.log three", "read", "= 2:two 1:three", "said"}},
    {"what was truncated without a copy is lost and said",
     {"a.log"},
     {"add a.log one", "add a.log two", "part a.log thr", "read", "= 1:one 2:two", "cut a.log",
      "read", "=", "said a.log: truncated; at least 3 bytes"}},
    {"a truncation while nobody looked",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "add a.log two", "kill", "cp a.log a.log.1", "cut a.log",
      "add a.log three", "start", "read", "= 2:two 1:three", "said"}},
    {"a renaming while nobody looked, with a new file of the same length",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "mv a.log a.log.1",
      "add a.log three", "start", "read", "= 2:two 1:three", "said"}},
    {"a copy in a folder that is followed is not read",
     {""},
     {"add a.log one",
      "read",
      "= 1:one",
      "add a.log two",
      "cp a.log a.log.1",
      "wait 2",
      "read",
      "= 2:two",
      "cut a.log",
      "add a.log three",
      "wait 2",
      "read",
      "= 1:three",
      "mv a.log.1 a.log.2",
      "wait 2",
      "read",
      "=",
      "kill",
      "start",
      "read",
      "=",
      "wait 2",
      "read",
      "=",
      "said"}},
    {"a copy that grows while it is looked at is not read",
     {""},
     {"add a.log one",   "add a.log two", "read", "= 1:one 2:two",
      "part a.log.1 on", "wait 2",        "read", "=",
      "part a.log.1 e",  "wait 2",        "read", "=",
      "add a.log.1 ",    "wait 2",        "read", "=",
      "add a.log.1 two", "wait 2",        "read", "="}},

    {"a copy in a folder that was seen before the truncation has what was not read",
     {""},
     {"add a.log one", "read", "= 1:one", "add a.log two", "cp a.log a.log.1", "look", "cut a.log",
      "add a.log three", "read", "= 2:two 1:three", "read", "=", "said"}},

    {"two truncations while nobody looked",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "cp a.log a.log.1", "cut a.log",
      "add a.log three", "mv a.log.1 a.log.2", "cp a.log a.log.1", "cut a.log", "add a.log four",
      "start", "read", "= 2:two 1:three 1:four", "said"}},
    {"a truncation of a file that was empty when nobody looked",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "cut a.log", "read", "=", "kill", "add a.log two",
      "cp a.log a.log.1", "cut a.log", "add a.log three", "start", "read", "= 1:two 1:three",
      "said"}},
    {"a truncation of a file of which nothing was read",
     {"a.log"},
     {"add a.log one", "add a.log two", "look", "cp a.log a.log.1", "cut a.log", "add a.log three",
      "look", "read", "= 1:one 2:two 1:three", "said"}},
    {"the same in a folder",
     {""},
     {"add a.log one", "add a.log two", "look", "cp a.log a.log.1", "look", "cut a.log",
      "add a.log three", "look", "read", "= 1:one 2:two 1:three", "read", "=", "said"}},
    {"a copy in a folder, neither read yet",
     {""},
     {"add a.log one", "add a.log two", "cp a.log a.log.1", "read", "= 1:one 2:two", "cut a.log",
      "add a.log three", "read", "= 1:three", "read", "=", "said"}},
    {"a line that is taken back is given out once",
     {"a.log"},
     {"add a.log one", "part a.log tw", "read", "= 1:one", "cut4 a.log", "read", "=",
      "add a.log two", "read", "= 2:two"}},

    /* Restarts. */
    {"a rotated file that was read may be gone after a restart",
     {"a.log"},
     {"add a.log one", "read", "mv a.log a.log.1", "add a.log two", "read", "= 1:one 1:two", "read",
      "kill", "rm a.log.1", "add a.log three", "start", "read", "= 2:three", "said"}},
    {"a rotated file that was read is read on after a restart",
     {"a.log"},
     {"add a.log one", "read", "mv a.log a.log.1", "add a.log two", "read", "= 1:one 1:two", "read",
      "kill", "add a.log.1 late", "start", "read", "= 2:late", "said"}},
    {"what was rotated and compressed meanwhile is told of",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "mv a.log a.log.1", "add a.log two",
      "add a.log.2.gz \x1f\x8b\x08rest", "start", "read", "= 1:two",
      "said a.log.2.gz: compressed files are not followed"}},

    {"a restart goes on where it was",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "start", "read", "= 2:two",
      "said"}},
    {"a restart finds a file that was renamed meanwhile",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "mv a.log a.log.1",
      "add a.log three", "start", "read", "= 2:two 1:three", "said"}},
    {"a restart reads what was rotated in and out meanwhile",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "mv a.log a.log-1",
      "add a.log three", "mv a.log a.log-2", "add a.log four", "mv a.log a.log-3", "add a.log five",
      "start", "read", "= 2:two 1:three 1:four 1:five", "said"}},
    {"a restart before anything was read of a file finds it renamed",
     {"a.log"},
     {"part a.log o", "read", "=", "kill", "add a.log ne", "mv a.log a.log.1", "add a.log two",
      "start", "read", "= 1:one 1:two"}},
    {"a restart after the file was rotated away and removed says what is lost",
     {"a.log"},
     {"add a.log one", "read", "= 1:one", "kill", "add a.log two", "rm a.log", "add a.log three",
      "start", "read", "= 1:three",
      "said a.log: what was read of it before is gone: rotated away and removed, or truncated; "
      "anything after byte 4 is lost"}},
    {"a file that was renamed out of the glob stays known",
     {"*.log"},
     {"add a.log one", "read", "= 1:one", "kill", "mv a.log b.txt", "add a.log two", "start",
      "read", "= 1:two"}},

    /* Folders, globs, links. */
    {"the files of a folder are read, and those that come",
     {""},
     {"add a.log one", "read", "= 1:one", "add b.log two", "wait 2", "read", "= 1:two",
      "add .hidden x", "mkdir sub", "wait 2", "read", "="}},
    {"a folder that appears later",
     {"sub"},
     {"read", "said sub: No such file", "mkdir sub", "add sub/a.log one", "wait 2", "read",
      "= 1:one"}},
    {"rotated files of a folder are read in the order of their time",
     {""},
     {"add a.log.2 one", "add a.log.1 two", "add a.log three", "read", "= 1:one 1:two 1:three"}},
    {"a rotation in a folder is not read twice",
     {""},
     {"add a.log one", "read", "= 1:one", "mv a.log a.log.1", "add a.log two", "wait 2", "read",
      "= 1:two", "wait 2", "read", "=", "kill", "start", "read", "="}},
    {"a glob is matched again and again",
     {"*.log"},
     {"add a.log one", "add b.txt no", "read", "= 1:one", "add c.log two", "wait 2", "read",
      "= 1:two"}},
    {"a compressed rotation is not read",
     {""},
     {"add a.log one", "read", "= 1:one", "add a.log.1.gz \x1f\x8b\x08rest", "wait 2", "read", "=",
      "add a.log.1.gz more", "wait 2", "read", "=", "said"}},
    {"a compressed file that was named is told of",
     {"a.gz"},
     {"add a.gz \x1f\x8b\x08rest", "read", "=", "said compressed files are not followed"}},
    {"a symbolic link that is pointed at a new file",
     {"link.log"},
     {"mkdir real", "add real/1.log one", "link real/1.log link.log", "read", "= 1:one",
      "add real/1.log two", "add real/2.log three", "link real/2.log link.log", "read",
      "= 2:two 1:three", "said"}},
    {"a file behind a symbolic link is found again where it was rotated to",
     {"link.log"},
     {"mkdir real", "add real/0.log one", "link real/0.log link.log", "read", "= 1:one", "kill",
      "add real/0.log two", "mv real/0.log real/0.log.1", "add real/0.log three", "start", "read",
      "= 2:two 1:three", "said"}},
    {"a file with two names is read once",
     {"*.log"},
     {"add a.log one", "link a.log b.log", "read", "= 1:one", "add a.log two", "wait 2", "read",
      "= 2:two"}},
    {"what is no regular file is told of",
     {"sub"},
     {"null sub", "read", "=", "said not a regular file"}},
};

static void each_line_is_read_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct world world;
        struct marks marks = {.count = 0};
        open_world(&world, ROWS[i].sources);
        for (size_t k = 0; k < STEPS_MAX && ROWS[i].steps[k] != NULL; k++) {
            run_step(&world, &marks, ROWS[i].title, ROWS[i].steps[k]);
        }
        close_world(&world);
    }
}

/* A line of `len` octets without its newline. */
static void append_long(struct world *world, const char *name, size_t len)
{
    FILE *file = fopen(path_of(world, name), "ab");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++) {
        fputc('x', file);
    }
    assert_int_equal(fclose(file), 0);
    set_time(world, path_of(world, name));
}

static void a_line_that_is_too_long_is_passed_over_and_counted(void **state)
{
    static const char *const SOURCES[] = {"a.log", NULL};
    struct world world;
    struct marks marks = {.count = 0};
    (void)state;
    open_world(&world, SOURCES);
    append(&world, "a.log", "one", true);
    append_long(&world, "a.log", RECORD_LEN_MAX + TAIL_READ_LEN + 1);
    look_and_read(&world);
    check(&world, "too long", "1:one 2:overlong");
    append_long(&world, "a.log", 3 * RECORD_LEN_MAX);
    look_and_read(&world);
    check(&world, "still too long", "");
    stop(&world, &marks);
    append(&world, "a.log", "tail", true);
    append(&world, "a.log", "three", true);
    start_again(&world, &marks);
    look_and_read(&world);
    check(&world, "after it", "3:three");
    close_world(&world);
}

static void a_long_line_is_whole(void **state)
{
    static const char *const SOURCES[] = {"a.log", NULL};
    struct world world;
    struct tail_piece piece;
    (void)state;
    open_world(&world, SOURCES);
    append_long(&world, "a.log", RECORD_LEN_MAX - 1);
    append(&world, "a.log", "", true);
    assert_int_equal(tail_look(world.tail, world.now_us), 0);
    assert_int_equal(tail_read(world.tail, &piece), TAIL_GOT_LINES);
    assert_int_equal(piece.len, RECORD_LEN_MAX);
    close_world(&world);
}

static void what_is_still_needed_is_marked(void **state)
{
    static const char *const SOURCES[] = {"a.log", NULL};
    struct world world;
    struct marks marks = {.count = 0};
    struct tail_piece piece;
    (void)state;
    open_world(&world, SOURCES);
    append(&world, "a.log", "one", true);
    append(&world, "a.log", "two", true);
    append(&world, "a.log", "three", true);
    assert_int_equal(tail_look(world.tail, world.now_us), 0);
    assert_int_equal(tail_read(world.tail, &piece), TAIL_GOT_LINES);
    tail_keep_none(world.tail);
    tail_keep(piece.file, &(struct tail_place){4, 1, false});
    tail_keep(piece.file, &(struct tail_place){8, 2, false}); /* the oldest counts */
    stop(&world, &marks);
    start_again(&world, &marks);
    look_and_read(&world);
    check(&world, "kept", "2:two 3:three");
    close_world(&world);
}

/* What is still needed of a file that was truncated is in its copy. */
static void what_is_held_of_a_truncated_file_is_found_in_the_copy(void **state)
{
    static const char *const SOURCES[] = {"a.log", NULL};
    struct world world;
    struct marks marks = {.count = 0};
    struct tail_piece piece;
    (void)state;
    open_world(&world, SOURCES);
    append(&world, "a.log", "one", true);
    append(&world, "a.log", "two", true);
    assert_int_equal(tail_look(world.tail, world.now_us), 0);
    assert_int_equal(tail_read(world.tail, &piece), TAIL_GOT_LINES);
    piece.file->holders++;
    copy(&world, "a.log", "a.log.1");
    assert_int_equal(truncate(path_of(&world, "a.log"), 0), 0);
    append(&world, "a.log", "three", true);
    buf_reset(&world.got);
    look_and_read(&world);
    check(&world, "truncated", "1:three");
    tail_keep_none(world.tail);
    tail_keep(piece.file, &(struct tail_place){4, 1, false});
    stop(&world, &marks);
    start_again(&world, &marks);
    look_and_read(&world);
    check(&world, "after the restart", "2:two");
    close_world(&world);
}

static void a_file_that_is_no_source_any_more_is_not_read_on(void **state)
{
    static const char *const BEFORE[] = {"a.log", "b.log", NULL};
    static const char *const AFTER[] = {"b.log", NULL};
    struct world world;
    struct marks marks = {.count = 0};
    (void)state;
    open_world(&world, BEFORE);
    append(&world, "a.log", "one", true);
    append(&world, "b.log", "two", true);
    look_and_read(&world);
    stop(&world, &marks);
    append(&world, "a.log", "three", true);
    append(&world, "b.log", "four", true);
    buf_reset(&world.got);
    world.sources = AFTER;
    start_again(&world, &marks);
    look_and_read(&world);
    check(&world, "one source", "2:four");
    check_warning(&world, "one source", "a.log: no longer among the sources");
    close_world(&world);
}

static void what_is_written_by_us_is_not_followed(void **state)
{
    static const char *const SOURCES[] = {"", NULL};
    struct world world;
    char out[256];
    (void)state;
    open_world(&world, SOURCES);
    tail_free(&world.tail);
    snprintf(out, sizeof(out), "%s", path_of(&world, "out.json"));
    const struct tail_options options = {take_warning, &world, 0, {out, NULL}};
    assert_int_equal(tail_new(&world.tail, &options), 0);
    assert_int_equal(tail_add(world.tail, world.dir, NULL), 0);
    append(&world, "out.json", "ours", true);
    append(&world, "a.log", "one", true);
    look_and_read(&world);
    check(&world, "a folder with our output", "1:one");
    close_world(&world);
}

static void memory_that_runs_out_is_an_error_and_no_line_is_lost(void **state)
{
    static const char *const SOURCES[] = {"*.log", NULL};
    (void)state;
    for (size_t n = 1;; n++) {
        struct world world;
        struct tail_piece piece;
        open_world(&world, SOURCES);
        append(&world, "a.log", "one", true);
        append(&world, "a.log.1", "none", true);
        append(&world, "b.log", "two", true);
        alloc_fail_at(n);
        int err = tail_look(world.tail, world.now_us);
        int got = err == 0 ? tail_read(world.tail, &piece) : 0;
        size_t failed = alloc_failed();
        alloc_fail_at(0);
        assert_true(err == 0 || err == -ENOMEM);
        assert_true(got >= 0 || got == -ENOMEM);
        if (got == TAIL_GOT_LINES) {
            note_lines(&world, &piece);
        }
        world.now_us += 2 * US_PER_S;
        look_and_read(&world);
        buf_char(&world.got, '\0');
        bool both =
            strstr(world.got.data, "1:one") != NULL && strstr(world.got.data, "1:two") != NULL;
        assert_true(both);
        assert_int_equal(world.got.len, 12);
        close_world(&world);
        if (failed == 0) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_read_once),
        cmocka_unit_test(a_line_that_is_too_long_is_passed_over_and_counted),
        cmocka_unit_test(a_long_line_is_whole),
        cmocka_unit_test(what_is_still_needed_is_marked),
        cmocka_unit_test(what_is_held_of_a_truncated_file_is_found_in_the_copy),
        cmocka_unit_test(a_file_that_is_no_source_any_more_is_not_read_on),
        cmocka_unit_test(what_is_written_by_us_is_not_followed),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_line_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
