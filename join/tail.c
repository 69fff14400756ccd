/* join/tail.c -- files that grow, are rotated and replaced: each line of them once
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/tail.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "join/source.h"
#include "join/tail_log.h"

/* How often folders are listed, without a hint. */
#define SCAN_US US_PER_S
/* How often files that are closed are looked for. */
#define REAP_US (10 * US_PER_S)

void tail_say(const struct tail *tail, const char *format, ...)
{
    char text[PATH_MAX + 256];
    if (tail->options.warn == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tail->options.warn(tail->options.warn_ctx, text);
}

/* ---- Making ---- */

int tail_new(struct tail **out, const struct tail_options *options)
{
    struct tail *tail = calloc(1, sizeof(*tail));
    *out = NULL;
    if (tail == NULL || (tail->buffer = malloc(TAIL_BUFFER_LEN)) == NULL) {
        free(tail);
        return -ENOMEM;
    }
    tail->options = *options;
    tail->options.linger_us = options->linger_us > 0 ? options->linger_us : TAIL_LINGER_US;
    tail->scan_now = true;
    /* Without it everything works, only later. */
    tail->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    *out = tail;
    return 0;
}

static void log_free(struct tail *tail, struct tail_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        tail_file_free(&log->files[i]);
        tail->file_count--;
    }
    free(log->files);
    free(log->path);
    free(log);
}

void tail_free(struct tail **out)
{
    struct tail *tail = *out;
    if (tail == NULL) {
        return;
    }
    for (size_t i = 0; i < tail->log_count; i++) {
        log_free(tail, tail->logs[i]);
    }
    for (size_t i = 0; i < tail->source_count; i++) {
        free(tail->sources[i]->path);
        free(tail->sources[i]);
    }
    free(tail->logs);
    free(tail->sources);
    tail_stream_fini(&tail->stream);
    if (tail->notify >= 0) {
        close(tail->notify);
    }
    free(tail->buffer);
    free(tail);
    *out = NULL;
}

static int add_stream(struct tail *tail, const struct cluster_name *cluster)
{
    int err = tail_stream_open(tail);
    if (err == 0 && cluster->text[0] != '\0') {
        tail->stream.cluster = *cluster;
        tail->stream.file->cluster = tail->stream.cluster.text;
    }
    return err;
}

int tail_add(struct tail *tail, const char *source, struct why *why)
{
    struct cluster_name cluster;
    size_t len;
    if (!cluster_split(source, &len, &cluster)) {
        return why_set(why, W_EUSAGE,
                       "%.200s: expected a cluster's name of 1 to %d octets at its end", source,
                       CLUSTER_NAME_MAX);
    }
    if (len == 1 && source[0] == '-') {
        return add_stream(tail, &cluster);
    }
    while (len > 1 && source[len - 1] == '/') {
        len--;
    }
    /* Each in memory of its own: its cluster is pointed at. */
    struct tail_source **sources =
        reallocarray(tail->sources, tail->source_count + 1, sizeof(struct tail_source *));
    struct tail_source *added = calloc(1, sizeof(*added));
    tail->sources = sources != NULL ? sources : tail->sources;
    if (sources == NULL || added == NULL || (added->path = strndup(source, len)) == NULL) {
        free(added);
        return -ENOMEM;
    }
    added->cluster = cluster;
    sources[tail->source_count++] = added;
    return 0;
}

const char *tail_cluster_of(const struct tail_source *source)
{
    return source->cluster.text[0] != '\0' ? source->cluster.text : NULL;
}

/* ---- Logs ---- */

static struct tail_file *find_inode(const struct tail *tail, uint64_t dev, uint64_t ino)
{
    for (size_t i = 0; i < tail->log_count; i++) {
        const struct tail_log *log = tail->logs[i];
        for (size_t k = 0; k < log->count; k++) {
            struct tail_file *file = log->files[k];
            if (file->ino == ino && file->dev == dev && file->state != TAIL_GONE) {
                return file;
            }
        }
    }
    return NULL;
}

/* Does the file, which is not read any more, still stand for what is at `path`? If it has grown it
 * is followed again. */
static bool still_stands(struct tail_file *file, const char *path, const struct stat *st)
{
    bool changed = file->size != (uint64_t)st->st_size || file->mtime_ns != tail_mtime_ns(st);
    struct tail_file *now;
    if (file->fd >= 0 || !changed) {
        return true;
    }
    bool same = file->state != TAIL_IGNORED && tail_file_open(&now, path, NULL) == 0;
    if (same) {
        same = tail_head_matches(&file->head, now->fd, file->at.offset);
        if (same && file->state == TAIL_DONE) {
            file->fd = now->fd;
            now->fd = -1;
            file->state = TAIL_FOLLOWED;
            tail_file_look(file);
        }
        file->size = (uint64_t)st->st_size;
        file->mtime_ns = tail_mtime_ns(st);
        tail_file_free(&now);
    }
    if (!same) {
        file->state = TAIL_GONE; /* its number is another file's now */
    }
    return same;
}

struct tail_file *tail_known(struct tail *tail, const char *path, const struct stat *st)
{
    struct tail_file *file = find_inode(tail, st->st_dev, st->st_ino);
    return file != NULL && still_stands(file, path, st) ? file : NULL;
}

static struct tail_log *find_log(const struct tail *tail, const char *path)
{
    uint64_t hash = XXH3_64bits(path, strlen(path));
    for (size_t i = 0; i < tail->log_count; i++) {
        if (tail->logs[i]->hash == hash && strcmp(tail->logs[i]->path, path) == 0) {
            return tail->logs[i];
        }
    }
    return NULL;
}

/* The log whose rotation that name is, among those in the same folder. */
static struct tail_log *find_rotated_log(const struct tail *tail, const char *path)
{
    for (size_t i = 0; i < tail->log_count; i++) {
        const char *base = tail->logs[i]->path;
        if (tail_is_rotation(path, base) && strchr(path + strlen(base), '/') == NULL) {
            return tail->logs[i];
        }
    }
    return NULL;
}

/* Has the kernel tell of what happens in its folder. */
static void watch(const struct tail *tail, const char *path, bool folder)
{
    static const uint32_t EVENTS = IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_DELETE;
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (tail->notify < 0) {
        return;
    }
    snprintf(dir, sizeof(dir), "%s", path);
    if (!folder) {
        snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
                 slash == NULL ? "." : path);
    }
    inotify_add_watch(tail->notify, dir, EVENTS | IN_ONLYDIR);
}

int tail_log_add(struct tail *tail, const char *path, bool named, const char *cluster,
                 struct tail_log **out)
{
    struct tail_log *log = find_log(tail, path);
    if (log != NULL) {
        log->named |= named;
        *out = log;
        return 0;
    }
    struct tail_log **logs =
        reallocarray(tail->logs, tail->log_count + 1, sizeof(struct tail_log *));
    if (logs == NULL) {
        return -ENOMEM;
    }
    tail->logs = logs;
    log = calloc(1, sizeof(*log));
    if (log == NULL || (log->path = strdup(path)) == NULL) {
        free(log);
        return -ENOMEM;
    }
    log->hash = XXH3_64bits(path, strlen(path));
    log->named = named;
    log->cluster = cluster;
    logs[tail->log_count++] = log;
    watch(tail, path, false);
    *out = log;
    return 0;
}

int tail_log_insert(struct tail *tail, struct tail_log *log, size_t at, struct tail_file *file)
{
    struct tail_file **files = reallocarray(log->files, log->count + 1, sizeof(struct tail_file *));
    if (files == NULL) {
        tail_file_free(&file);
        return -ENOMEM;
    }
    log->files = files;
    memmove(&files[at + 1], &files[at], (log->count - at) * sizeof(struct tail_file *));
    files[at] = file;
    file->cluster = log->cluster;
    log->count++;
    tail->file_count++;
    return 0;
}

/* Says once that a name cannot be followed, until that changes. */
static void say_error(const struct tail *tail, struct tail_log *log, int err, const char *text)
{
    if (log->said != err) {
        log->said = err;
        tail_say(tail, "%s%s", text, err == -ENOENT ? "; waiting for it" : "");
    }
}

/* ---- New files ---- */

/* What is opened is known by the name that a symbolic link leads to: its rotations lie there. */
static void real_name(const char *path, char real[PATH_MAX])
{
    struct stat st;
    char found[PATH_MAX];
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, found) != NULL;
    snprintf(real, PATH_MAX, "%s", link ? found : path);
}

static bool has_room(struct tail *tail)
{
    if (tail->file_count < TAIL_FILES_MAX) {
        tail->full_said = false;
        return true;
    }
    if (!tail->full_said) {
        tail->full_said = true;
        tail_say(tail, "more than %d files to follow: the others wait until one of these is gone",
                 TAIL_FILES_MAX);
    }
    return false;
}

/* Opens what is at `path` and adds it to the chain, by its time if it is not the log's own name. */
static int add_file(struct tail *tail, struct tail_log *log, const char *path, bool own)
{
    struct why why = {""};
    struct tail_file *file;
    char real[PATH_MAX];
    if (!has_room(tail)) {
        return 0;
    }
    real_name(path, real);
    int err = tail_file_open(&file, real, &why);
    if (err != 0) {
        if (err != -ENOMEM) {
            say_error(tail, log, err, why.text);
        }
        return err == -ENOMEM ? err : 0;
    }
    log->said = own ? 0 : log->said;
    struct stat st;
    if (fstat(file->fd, &st) != 0 || tail_known(tail, real, &st) != NULL) {
        tail_file_free(&file);
        return 0;
    }
    size_t at = log->count;
    while (!own && at > 0 && log->files[at - 1]->mtime_ns > file->mtime_ns) {
        at--;
    }
    return tail_log_insert(tail, log, at, file);
}

/* Our own output may lie in a folder that is followed. */
static bool is_excepted(const struct tail *tail, const char *path)
{
    char real[PATH_MAX];
    char excepted[PATH_MAX];
    for (size_t i = 0; i < TAIL_EXCEPT_MAX; i++) {
        const char *except = tail->options.except[i];
        if (except != NULL && strcmp(tail_base(except), tail_base(path)) == 0 &&
            realpath(path, real) != NULL && realpath(except, excepted) != NULL &&
            strcmp(real, excepted) == 0) {
            return true;
        }
    }
    return false;
}

/* A name that a folder or a glob has. */
static int offer(struct tail *tail, const char *path, const char *cluster)
{
    struct stat st;
    struct tail_log *log = find_log(tail, path);
    if (log != NULL || stat(path, &st) != 0 || !S_ISREG(st.st_mode) || is_excepted(tail, path)) {
        return 0;
    }
    struct tail_file *known = tail_known(tail, path, &st);
    if (known != NULL) {
        char real[PATH_MAX];
        real_name(path, real);
        tail_file_rename(known, real);
        return 0;
    }
    log = find_rotated_log(tail, path);
    if (log != NULL) {
        return add_file(tail, log, path, false);
    }
    return has_room(tail) ? tail_log_add(tail, path, false, cluster, &log) : 0;
}

static int scan_source(struct tail *tail, const struct tail_source *from)
{
    const char *source = from->path;
    struct source_list list = {0};
    struct tail_log *log;
    struct stat st;
    bool there = stat(source, &st) == 0;
    bool folder = there && S_ISDIR(st.st_mode);
    if (!folder && (there || strpbrk(source, "*?[") == NULL)) {
        return tail_log_add(tail, source, true, tail_cluster_of(from), &log);
    }
    watch(tail, source, folder);
    int err = source_list_add(&list, source, NULL);
    err = err == -ENOMEM ? err : 0; /* nothing matches yet */
    for (size_t i = 0; i < list.count && err == 0; i++) {
        err = offer(tail, list.paths[i], tail_cluster_of(from));
    }
    source_list_fini(&list);
    return err;
}

/* ---- Files that end ---- */

/* The file has another content now: what it was ends, and another one begins on the same inode. */
static int replace(struct tail *tail, struct tail_log *log, size_t at)
{
    struct tail_file *old = log->files[at];
    struct tail_file *fresh = tail_file_new(old->path);
    uint64_t unread = old->size > old->at.offset ? old->size - old->at.offset : 0;
    if (fresh == NULL) {
        return -ENOMEM;
    }
    fresh->fd = old->fd;
    fresh->dev = old->dev;
    fresh->ino = old->ino;
    fresh->birth_ns = old->birth_ns;
    fresh->quiet_us = clock_monotonic_us();
    old->fd = -1;
    old->state = TAIL_GONE;
    old->quiet_us = fresh->quiet_us;
    tail_file_look(fresh);
    int err = tail_log_insert(tail, log, at + 1, fresh);
    tail->totals.truncated++;
    if (err == 0 && tail_relocate(tail, log, old) != 0 && unread > 0) {
        tail->totals.lost++;
        tail_say(tail, "%s: truncated; at least %llu bytes of it were not yet read and are lost",
                 old->path, (unsigned long long)unread);
    }
    return err;
}

bool tail_is_read(const struct tail_file *file)
{
    return !file->pending && !file->replaced;
}

/* Something was written to a file after it. */
static bool is_followed(const struct tail_log *log, size_t at)
{
    for (size_t i = at + 1; i < log->count; i++) {
        if (log->files[i]->size > 0 && log->files[i]->state != TAIL_IGNORED) {
            return true;
        }
    }
    return false;
}

/* True if nothing more is to be expected of the file. */
static bool is_over(const struct tail *tail, const struct tail_log *log, size_t at, int64_t now_us)
{
    struct tail_file *file = log->files[at];
    bool followed = is_followed(log, at);
    if (file->state != TAIL_FOLLOWED || !tail_is_read(file) || (!followed && !file->removed)) {
        return false;
    }
    if (followed && !file->followed) {
        file->followed = true; /* from now on it is waited for */
        file->quiet_us = now_us;
    }
    int64_t wait_us = file->removed ? TAIL_REMOVED_US : tail->options.linger_us;
    return now_us - file->quiet_us >= wait_us;
}

/* Forgets what is gone, unless something of it is still needed. Not at once: a copy of it may
 * appear. */
static void forget(struct tail *tail, struct tail_log *log, int64_t now_us)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++) {
        struct tail_file *file = log->files[i];
        if (file->state == TAIL_GONE && file->holders == 0 &&
            now_us - file->quiet_us >= tail->options.linger_us) {
            tail_file_free(&file);
            tail->file_count--;
        } else {
            log->files[kept++] = file;
        }
    }
    log->count = kept;
}

/* Closed files that have no name any more are gone; one that was written to is followed again. */
static void reap(const struct tail_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        struct tail_file *file = log->files[i];
        struct stat st;
        if (file->fd >= 0 || file->state == TAIL_GONE) {
            continue;
        }
        if (!tail_still_there(log, file) || stat(file->path, &st) != 0) {
            file->state = TAIL_GONE;
        } else {
            still_stands(file, file->path, &st);
        }
    }
}

/* ---- Looking ---- */

/* Adds what is at the log's name now, after what was there since. */
static int look_name(struct tail *tail, struct tail_log *log)
{
    struct stat st;
    if (stat(log->path, &st) != 0) {
        int err = -errno;
        char text[PATH_MAX + 64];
        snprintf(text, sizeof(text), "%s: %s", log->path, strerror(-err));
        if (log->named && (err != -ENOENT || log->count == 0)) {
            say_error(tail, log, err, text);
        }
        return 0;
    }
    if (tail_known(tail, log->path, &st) != NULL) {
        return 0;
    }
    int err = 0;
    if (log->count > 0) {
        tail_file_look(log->files[log->count - 1]);
        err = tail_add_missed(tail, log);
        tail->totals.rotated++;
    }
    return err != 0 ? err : add_file(tail, log, log->path, true);
}

static bool is_begun(const struct tail_file *file)
{
    return file->admitted || file->at.offset > 0 || file->at.overlong;
}

/* Compressed files are known, so that they are not opened again and again, and not read. */
static void ignore_compressed(struct tail *tail, const struct tail_log *log, struct tail_file *file)
{
    if (file->state != TAIL_FOLLOWED || is_begun(file) || file->size == 0 ||
        !tail_is_compressed(file->fd)) {
        return;
    }
    if (log->named) {
        /* Or one that was rotated and compressed while nobody looked. */
        tail->totals.lost += strcmp(file->path, log->path) != 0;
        tail_say(tail, "%s: compressed files are not followed; join it without --follow",
                 file->path);
    }
    file->state = TAIL_IGNORED;
    tail_file_close(file);
}

/* The newest first: when it is seen that something was written to a file, what is then read to the
 * end of the one before it is all there is of that. */
static int look_log(struct tail *tail, struct tail_log *log, int64_t now_us, bool reap_now)
{
    int err = look_name(tail, log);
    for (size_t i = log->count; i > 0; i--) {
        tail_file_look(log->files[i - 1]);
        ignore_compressed(tail, log, log->files[i - 1]);
    }
    for (size_t i = log->count; i > 0 && err == 0; i--) {
        if (log->files[i - 1]->replaced && log->files[i - 1]->state == TAIL_FOLLOWED) {
            err = replace(tail, log, i - 1);
        }
    }
    for (size_t i = 0; i < log->count; i++) {
        log->files[i]->over = is_over(tail, log, i, now_us);
    }
    if (reap_now) {
        reap(log);
    }
    forget(tail, log, now_us);
    return err;
}

static void drop_empty_logs(struct tail *tail)
{
    size_t kept = 0;
    for (size_t i = 0; i < tail->log_count; i++) {
        struct tail_log *log = tail->logs[i];
        if (log->count == 0 && !log->named && access(log->path, F_OK) != 0) {
            log_free(tail, log);
        } else {
            tail->logs[kept++] = log;
        }
    }
    tail->log_count = kept;
}

int tail_look(struct tail *tail, int64_t now_us)
{
    int err = 0;
    bool reap_now = now_us - tail->reaped_us >= REAP_US;
    bool scan = tail->scan_now || now_us - tail->scanned_us >= SCAN_US;
    tail->looked_us = now_us;
    tail->reaped_us = reap_now ? now_us : tail->reaped_us;
    for (size_t i = 0; scan && i < tail->source_count && err == 0; i++) {
        err = scan_source(tail, tail->sources[i]);
        tail->scanned_us = now_us;
        tail->scan_now = false;
    }
    for (size_t i = 0; i < tail->log_count && err == 0; i++) {
        err = look_log(tail, tail->logs[i], now_us, reap_now);
    }
    drop_empty_logs(tail);
    return err;
}

/* ---- Reading ---- */

/* Before the first line of a file: is it one to be read? */
static bool admit(const struct tail *tail, struct tail_file *file)
{
    if (is_begun(file)) {
        return true;
    }
    enum tail_likeness likeness = tail_compare(tail, file);
    if (likeness == TAIL_A_COPY) {
        file->state = TAIL_COPY;
        file->at.offset = file->size;
        tail_file_close(file);
    }
    file->admitted = likeness == TAIL_NEW;
    return file->admitted;
}

/* What is left of a file of which nothing more is to be expected. */
static int finish(struct tail *tail, struct tail_file *file, struct tail_piece *piece)
{
    int got = tail_file_rest(file, tail->buffer, piece);
    file->over = false;
    file->state = file->removed ? TAIL_GONE : TAIL_DONE;
    tail_file_close(file);
    return got;
}

static int read_file(struct tail *tail, struct tail_log *log, size_t at, struct tail_piece *piece)
{
    struct tail_file *file = log->files[at];
    if (file->state != TAIL_FOLLOWED) {
        return TAIL_NOTHING;
    }
    if (file->over) {
        return finish(tail, file, piece);
    }
    if (!file->pending || !admit(tail, file)) {
        return TAIL_NOTHING;
    }
    int got = tail_file_read(file, tail->buffer, piece);
    if (got < 0 && got != -ENOMEM) {
        char text[PATH_MAX + 64];
        snprintf(text, sizeof(text), "%s: %s", file->path, strerror(-got));
        say_error(tail, log, got, text);
        got = TAIL_NOTHING;
    }
    return got;
}

/* The files of a log in their order: the next one only when the one before it is read. */
static int read_log(struct tail *tail, struct tail_log *log, struct tail_piece *piece)
{
    for (size_t i = 0; i < log->count; i++) {
        int got = read_file(tail, log, i, piece);
        if (got == TAIL_REPLACED) {
            got = replace(tail, log, i);
            i--; /* what was not read of it may be found elsewhere */
        }
        if (got != TAIL_NOTHING) {
            return got;
        }
    }
    return TAIL_NOTHING;
}

int tail_read(struct tail *tail, struct tail_piece *piece)
{
    int got = TAIL_NOTHING;
    if (tail->stream.used) {
        got = tail_stream_read(&tail->stream, piece);
    }
    for (size_t i = 0; i < tail->log_count && got == TAIL_NOTHING; i++) {
        tail->turn = (tail->turn + 1) % tail->log_count;
        got = read_log(tail, tail->logs[tail->turn], piece);
    }
    if (got == TAIL_GOT_LINES) {
        tail->totals.bytes += piece->len;
    }
    return got;
}

size_t tail_head_text(const struct tail_file *file, char *data, size_t len)
{
    int64_t got = file->fd >= 0 ? tail_read_at(file->fd, data, len, 0) : 0;
    return got > 0 ? (size_t)got : 0;
}

bool tail_look_due(const struct tail *tail, int64_t now_us)
{
    return now_us - tail->looked_us >= TAIL_LOOK_US;
}

bool tail_ended(const struct tail *tail)
{
    return tail->source_count == 0 && tail->stream.ended && tail->stream.len == tail->stream.given;
}

struct tail_totals tail_totals(const struct tail *tail)
{
    struct tail_totals totals = tail->totals;
    for (size_t i = 0; i < tail->log_count; i++) {
        const struct tail_log *log = tail->logs[i];
        for (size_t k = 0; k < log->count; k++) {
            const struct tail_file *file = log->files[k];
            if (file->state == TAIL_FOLLOWED) {
                totals.files++;
                totals.unread += file->size > file->at.offset ? file->size - file->at.offset : 0;
            }
        }
    }
    return totals;
}
