/* store/store.c -- opening and closing an index, streams, retention
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/internal.h"

#define MEMORY_DEFAULT (UINT64_C(128) << 20)
#define ANSWERS_PER_HOUR_DEFAULT 20000

/* ---- Opening ---- */

static int make_dir(const char *path, struct why *why)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return why_set(why, -errno, "%s: cannot make the directory: %s", path, err_str(-errno));
    }
    return 0;
}

/* Tells who holds the lock, from what the holder wrote into the file. */
static int locked_by(const char *dir, int fd, struct why *why)
{
    char note[256] = "";
    ssize_t len = pread(fd, note, sizeof(note) - 1, 0);
    note[len > 0 ? len : 0] = '\0';
    return why_set(why, W_ELOCKED, "%s is being written by another process%s%s", dir,
                   note[0] != '\0' ? ": " : "", note);
}

static int take_lock(struct store *store, const char *note, struct why *why)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/writer.lock", store->dir);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        return why_set(why, -errno, "%s: %s", path, err_str(-errno));
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? locked_by(store->dir, store->lock_fd, why)
                                    : why_set(why, -errno, "%s: %s", path, err_str(-errno));
    }
    char text[256];
    int len =
        snprintf(text, sizeof(text), "%s, pid %d", note != NULL ? note : "whither", (int)getpid());
    /* The note only helps whoever is refused; a full disk must not keep the writer from starting.
     */
    if (ftruncate(store->lock_fd, 0) != 0 || pwrite(store->lock_fd, text, (size_t)len, 0) != len) {
        errno = 0;
    }
    return 0;
}

static int open_for_writing(struct store *store, const struct store_options *options,
                            struct why *why)
{
    char windows[4096];
    snprintf(windows, sizeof(windows), "%s/windows", store->dir);
    int err = make_dir(store->dir, why);
    err = err == 0 ? make_dir(windows, why) : err;
    err = err == 0 ? take_lock(store, options != NULL ? options->writer_note : NULL, why) : err;
    if (err != 0) {
        return err;
    }
    store->runs = malloc(sizeof(*store->runs));
    store->older = malloc(sizeof(*store->older));
    return store->runs == NULL || store->older == NULL
               ? why_set(why, -ENOMEM, "%s: out of memory", store->dir)
               : 0;
}

static int open_all(struct store *store, const struct store_options *options, struct why *why)
{
    char path[4096];
    bool writing = store->mode == STORE_WRITE;
    int err = writing ? open_for_writing(store, options, why) : 0;
    snprintf(path, sizeof(path), "%s/state.mdb", store->dir);
    err = err == 0 ? state_open(&store->state, path, writing, why) : err;
    err = err == 0 ? registry_scan(store, why) : err;
    if (err == 0 && writing) {
        err = state_cut_open(store->state);
        why_set(err != 0 ? why : NULL, err, "%s: %s", path, err_str(err));
    }
    return err;
}

int store_open(struct store **out, const char *dir, enum store_mode mode,
               const struct store_options *options, struct why *why)
{
    struct store *store = calloc(1, sizeof(*store));
    *out = NULL;
    if (store == NULL || (store->dir = strdup(dir)) == NULL) {
        free(store);
        return why_set(why, -ENOMEM, "%s: out of memory", dir);
    }
    store->mode = mode;
    store->lock_fd = -1;
    store->next_serial = 1;
    store->memory_bytes =
        options != NULL && options->memory_bytes != 0 ? options->memory_bytes : MEMORY_DEFAULT;
    store->answers_per_hour = options != NULL && options->answers_per_hour != 0
                                  ? options->answers_per_hour
                                  : ANSWERS_PER_HOUR_DEFAULT;
    pthread_mutex_init(&store->registry.lock, NULL);
    int err = strlen(dir) > 3900 ? why_set(why, -ENAMETOOLONG, "%s: the path is too long", dir)
                                 : open_all(store, options, why);
    if (err != 0) {
        store_close(&store);
        return err;
    }
    *out = store;
    return 0;
}

void store_close(struct store **out)
{
    struct store *store = *out;
    *out = NULL;
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < WRITING_MAX; i++) {
        writing_close(&store->writing[i]);
    }
    for (size_t i = 0; i < store->reaper_count; i++) {
        pthread_join(store->reaper[i], NULL);
    }
    registry_fini(store);
    state_close(&store->state);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    free(store->runs);
    free(store->older);
    free(store->dir);
    free(store);
}

/* ---- Clusters, streams, losses ---- */

uint16_t store_cluster(struct store *store, const char *cluster)
{
    for (uint16_t i = 0; i < store->cluster_count; i++) {
        if (strcmp(store->clusters[i], cluster) == 0) {
            return i;
        }
    }
    if (cluster[0] == '\0' || strlen(cluster) > STORE_CLUSTER_MAX ||
        store->cluster_count == CLUSTERS_MAX) {
        return UINT16_MAX;
    }
    strcpy(store->clusters[store->cluster_count], cluster);
    return store->cluster_count++;
}

/* Text of any octets, terminated; what does not fit is cut, NUL octets become '?'. */
static void copy_octets(char *out, const uint8_t *octets, size_t len)
{
    len = len < STORE_IDENTITY_MAX ? len : STORE_IDENTITY_MAX;
    for (size_t i = 0; i < len; i++) {
        out[i] = octets[i] != '\0' ? (char)octets[i] : '?';
    }
    out[len] = '\0';
}

uint32_t store_stream_begin(struct store *store, enum store_stream_kind kind, uint16_t cluster,
                            const uint8_t *identity, size_t identity_len, const uint8_t *version,
                            size_t version_len, const char *peer, int64_t from_us)
{
    struct state_stream stream;
    memset(&stream, 0, sizeof(stream)); /* the padding too: it is written to disk */
    stream.kind = (uint8_t)kind;
    stream.from_us = from_us;
    if (cluster >= store->cluster_count) {
        return 0;
    }
    strcpy(stream.cluster, store->clusters[cluster]);
    copy_octets(stream.identity, identity, identity_len);
    copy_octets(stream.version, version, version_len);
    copy_octets(stream.peer, (const uint8_t *)peer, strlen(peer));
    uint32_t number = state_begin(store->state, &stream);
    if (number == 1) {
        /* The first stream of an index is known before its answers can be found: until then
         * nothing speaks against "nobody answered this address". A failure shows at the commit. */
        state_commit(store->state, clock_now_us(), false);
    }
    return number;
}

void store_stream_heard(struct store *store, uint32_t stream, int64_t time_us)
{
    state_heard(store->state, stream, time_us);
}

void store_stream_end(struct store *store, uint32_t stream, enum store_stream_end end)
{
    state_end(store->state, stream, end);
}

void store_stream_tally(struct store *store, uint32_t stream, const struct tally *tally)
{
    state_tally(store->state, stream, tally);
}

void store_stream_covers(struct store *store, uint32_t stream, int64_t from_us, int64_t to_us)
{
    state_covers(store->state, stream, from_us, to_us);
}

void store_loss(struct store *store, uint16_t cluster, int64_t from_us, int64_t to_us,
                uint64_t count, const char *reason)
{
    const char *name = cluster < store->cluster_count ? store->clusters[cluster] : "";
    state_loss(store->state, name, from_us, to_us, count, reason);
}

void store_expect_from(struct store *store, const char *cluster, int64_t from_us, uint32_t senders)
{
    state_expect_from(store->state, cluster, from_us, senders);
}

void store_expect(struct store *store, uint32_t senders)
{
    state_expect(store->state, senders);
}

int store_owner(struct store *store, const struct store_owner *owner)
{
    return state_owner(store->state, owner);
}

struct store_counters store_counters(const struct store *store)
{
    return (struct store_counters){
        .answers = atomic_load(&store->counters.answers),
        .sightings = atomic_load(&store->counters.sightings),
        .capped = atomic_load(&store->counters.capped),
        .lost = atomic_load(&store->counters.lost),
        .commits = atomic_load(&store->counters.commits),
        .commit_failures = atomic_load(&store->counters.commit_failures),
        .commit_us_max = atomic_load(&store->counters.commit_us_max),
        .commit_us_sum = atomic_load(&store->counters.commit_us_sum),
    };
}

/* ---- Retention ---- */

/* Closing unmaps the file and frees its blocks, which takes long for a large one. */
static void *reap(void *window)
{
    window_unref(window);
    return NULL;
}

static void reap_later(struct store *store, struct window *window)
{
    const size_t max = sizeof(store->reaper) / sizeof(store->reaper[0]);
    if (store->reaper_count == max) {
        for (size_t i = 0; i < max; i++) {
            pthread_join(store->reaper[i], NULL);
        }
        store->reaper_count = 0;
    }
    if (pthread_create(&store->reaper[store->reaper_count], NULL, reap, window) == 0) {
        store->reaper_count++;
    } else {
        window_unref(window);
    }
}

static void drop_window(struct store *store, struct window *window)
{
    char lock_path[4096 + 8];
    for (size_t i = 0; i < WRITING_MAX; i++) {
        if (store->writing[i].window == window) {
            writing_close(&store->writing[i]);
        }
    }
    snprintf(lock_path, sizeof(lock_path), "%s-lock", window->path);
    unlink(window->path);
    unlink(lock_path);
    registry_remove(store, window);
    reap_later(store, window);
}

int store_retain(struct store *store, int64_t now_us, int64_t retention_us)
{
    int dropped = 0;
    int64_t keep_us = now_us - retention_us;
    for (size_t i = store->registry.count; i > 0; i--) {
        struct window *window = store->registry.windows[i - 1];
        if (window->start_us + WINDOW_US <= keep_us) {
            state_day(store->state, window->start_us, true);
            drop_window(store, window);
            dropped++;
        }
    }
    /* A day more: a stream that ended just before the first window still explains its blindness. */
    state_forget(store->state, keep_us - WINDOW_US);
    return dropped;
}
