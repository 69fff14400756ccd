/* cli/answers.c -- where a join gets its answers: an index, captures, or a service
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/answers.h"

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/answers_remote.h"
#include "cli/load.h"
#include "cli/owner_files.h"
#include "cli/source.h"
#include "join/owners_store.h"

/* What each thread may remember of the index: some 200,000 pairs of client and address. */
#define MEMO_BYTES ((size_t)64 * 1024 * 1024)

struct answers {
    const struct settings *settings;
    struct source source;
    struct owners *owners;
    struct owners_store *owners_link; /* with --follow */
    struct remote_answers *remote;    /* NULL: an index of this machine */
    struct live_index *readers;       /* of the index, one for each thread */
    size_t reader_count;
    struct join_oracle oracles[JOIN_WORKERS_MAX];
    size_t oracle_count;
    bool doubtful;
    bool watching;  /* the thread that waits for signals was started */
    char dir[4096]; /* of the index made of captures; "" if there is none */
};

/* ---- The index made of captures ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

static void remove_dir(const char *dir)
{
    enum { OPEN_DIRS = 8 };
    if (dir[0] != '\0') {
        nftw(dir, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS);
    }
}

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/* Waits for a signal that ends the process and removes the index first. */
static void *wait_for_signal(void *dir)
{
    sigset_t set;
    int number;
    ending_signals(&set);
    if (sigwait(&set, &number) == 0) {
        remove_dir(dir);
        signal(number, SIG_DFL);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        raise(number);
        _exit(128 + number);
    }
    return NULL;
}

static int make_dir(struct answers *answers, struct why *why)
{
    const char *tmp = getenv("TMPDIR");
    sigset_t set;
    pthread_t thread;
    snprintf(answers->dir, sizeof(answers->dir), "%s/whither-join-XXXXXX",
             tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (mkdtemp(answers->dir) == NULL) {
        int err = -errno;
        why_set(why, err, "%s: %s (TMPDIR names another place)", answers->dir, strerror(errno));
        answers->dir[0] = '\0';
        return err;
    }
    int err = -pthread_create(&thread, NULL, wait_for_signal, answers->dir);
    if (err == 0) {
        pthread_detach(thread);
        answers->watching = true;
    }
    return err;
}

static void on_doubt(void *ctx, const char *text)
{
    struct answers *answers = ctx;
    answers->doubtful = true;
    if (!answers->settings->quiet) {
        fprintf(stderr, "whither join: %s\n", text);
    }
}

static int load(struct answers *answers, struct ingest *ingest, const char *path, struct why *why)
{
    const struct load_options options = {
        .capture = {.cluster = answers->settings->cluster,
                    .cluster_rules = answers->settings->cluster_of.items,
                    .cluster_rule_count = answers->settings->cluster_of.count,
                    .peer = path},
        .warn = on_doubt,
        .warn_ctx = answers,
    };
    struct load_result result;
    int err = load_file(ingest, &options, &result, why);
    if (err == W_ESYNTAX || err == W_EDAMAGED) {
        /* What is whole before is used. */
        on_doubt(answers, why->text);
        why->text[0] = '\0';
        err = 0;
    }
    return err;
}

static void on_hint(void *ctx, const char *cluster, const struct addr *client, int64_t time_us,
                    const char *pod, size_t len)
{
    const struct answers *answers = ctx;
    owners_hint(answers->owners, cluster, client, time_us, pod, len);
}

/* The index is for this process alone, which has the owners. */
static void save_nothing(void *ctx, struct store *store)
{
    (void)ctx;
    (void)store;
}

static int open_captures(struct answers *answers, struct why *why)
{
    const struct owner_keeper keeper = {answers, on_hint, save_nothing};
    const struct string_list *captures = &answers->settings->captures;
    struct ingest *ingest = NULL;
    int err = make_dir(answers, why);
    err = err != 0 ? err : store_open(&answers->source.store, answers->dir, STORE_WRITE, NULL, why);
    err = err != 0 ? err : ingest_new(&ingest, answers->source.store, NULL, NULL);
    if (err == 0) {
        ingest_keep_owners(ingest, &keeper);
    }
    for (size_t i = 0; i < captures->count && err == 0; i++) {
        err = load(answers, ingest, captures->items[i], why);
    }
    err = err != 0 ? err : ingest_finish(ingest, why);
    ingest_free(&ingest);
    return err;
}

/* ---- All three ---- */

static size_t processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > JOIN_WORKERS_MAX ? JOIN_WORKERS_MAX : (size_t)count;
}

static int open_readers(struct answers *answers)
{
    struct attribute_params params = settings_attribution(answers->settings);
    int64_t now_us = clock_now_us();
    bool follow = answers->settings->follow;
    size_t count = follow ? 1 : processors();
    int err = 0;
    answers->readers = calloc(count, sizeof(*answers->readers));
    if (answers->readers == NULL) {
        return -ENOMEM;
    }
    answers->reader_count = count;
    for (size_t i = 0; i < count && err == 0; i++) {
        struct live_index *reader = &answers->readers[i];
        reader->cluster = answers->settings->cluster;
        reader->settle_us = answers->settings->settle_us;
        reader->owners = follow ? answers->owners_link : NULL;
        reader->index.now_us = now_us;
        err = store_view_new(answers->source.store, &reader->view);
        err = err != 0 ? err : attributor_new(&reader->index.attributor, reader->view, &params);
        err = err != 0 ? err : attributor_set_owners(reader->index.attributor, answers->owners);
        /* What is remembered holds for an index as it is at one time. */
        err = err != 0 || follow ? err : attributor_remember(reader->index.attributor, MEMO_BYTES);
        answers->oracles[i] = (struct join_oracle){join_ask_index, &reader->index};
    }
    answers->oracle_count = count;
    return err;
}

static int open_owners(struct answers *answers, struct why *why)
{
    struct owner_files files = {false};
    int err = 0;
    if (answers->source.view != NULL) {
        err = owners_store_new(&answers->owners_link, answers->owners);
        err = err == 0 ? owners_store_load(answers->owners_link, answers->source.view) : err;
        err = err == 0 ? 0 : why_set(why, err, "%s: %s", answers->source.where, err_str(err));
    }
    err = err != 0 ? err : owner_files_read(&files, answers->owners, answers->settings, why);
    answers->doubtful |= files.doubtful;
    return err;
}

static int open_index(struct answers *answers, struct why *why)
{
    const struct settings *settings = answers->settings;
    bool captures = settings->captures.count > 0;
    int err = owners_new(&answers->owners, 0);
    if (err != 0) {
        return err;
    }
    err = captures ? open_captures(answers, why) : source_open(&answers->source, settings, why);
    /* Who follows is there before the first answer. */
    if (err == 0 && !captures && !settings->follow && !source_has_answers(&answers->source, why)) {
        err = -ENOENT;
    }
    err = err != 0 ? err : open_owners(answers, why);
    return err != 0 ? err : open_readers(answers);
}

static int open_remote(struct answers *answers, struct why *why)
{
    int err = remote_answers_new(&answers->remote, answers->settings, why);
    answers->oracles[0] = (struct join_oracle){remote_answers_ask, answers->remote};
    answers->oracle_count = 1;
    return err;
}

int answers_open(struct answers **out, const struct settings *settings, struct why *why)
{
    struct answers *answers = calloc(1, sizeof(*answers));
    *out = answers;
    if (answers == NULL) {
        return -ENOMEM;
    }
    answers->settings = settings;
    int err = settings->server != NULL ? open_remote(answers, why) : open_index(answers, why);
    if (err != 0) {
        answers_close(out);
    }
    return err;
}

void answers_close(struct answers **out)
{
    struct answers *answers = *out;
    if (answers == NULL) {
        return;
    }
    remote_answers_free(&answers->remote);
    for (size_t i = 0; i < answers->reader_count; i++) {
        attributor_free(&answers->readers[i].index.attributor);
        store_view_free(&answers->readers[i].view);
    }
    free(answers->readers);
    owners_store_free(&answers->owners_link);
    owners_free(&answers->owners);
    source_close(&answers->source);
    remove_dir(answers->dir);
    *out = NULL;
    /* The thread that waits for signals still names the folder. */
    if (!answers->watching) {
        free(answers);
    }
}

const struct join_oracle *answers_oracles(const struct answers *answers, size_t *count)
{
    *count = answers->oracle_count;
    return answers->oracles;
}

struct live_index *answers_index(const struct answers *answers)
{
    return answers->reader_count > 0 ? &answers->readers[0] : NULL;
}

bool answers_doubtful(const struct answers *answers)
{
    return answers != NULL && answers->doubtful;
}

void answers_warn_age(const struct answers *answers, int64_t last_flow_us)
{
    if (answers->owners != NULL) {
        owner_files_warn_age(answers->owners, answers->settings, last_flow_us);
    }
}
