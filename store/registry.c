/* store/registry.c -- the windows of a data directory, each opened once
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/internal.h"

void registry_path(const struct store *store, int64_t start_us, uint32_t serial, char *path)
{
    char day[TIME_TEXT_MAX];
    time_print(start_us, day);
    snprintf(path, 4096, "%s/windows/%.4s%.2s%.2s-%08u.mdb", store->dir, day, day + 5, day + 8,
             serial);
}

/* "20260522-00000001.mdb" to its day and serial; false for any other file name. */
static bool parse_file_name(const char *name, int64_t *start_us, uint32_t *serial)
{
    unsigned year, month, day, number;
    int used = 0;
    if (strlen(name) != 21 ||
        sscanf(name, "%4u%2u%2u-%8u.mdb%n", &year, &month, &day, &number, &used) != 4 ||
        used != 21 || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    *start_us = days_from_civil((int)year, month, day) * US_PER_DAY;
    *serial = number;
    return true;
}

static void insert_sorted(struct registry *registry, struct window *window)
{
    size_t at = registry->count++;
    while (at > 0) {
        const struct window *before = registry->windows[at - 1];
        if (before->start_us < window->start_us ||
            (before->start_us == window->start_us && before->serial < window->serial)) {
            break;
        }
        registry->windows[at] = registry->windows[at - 1];
        at--;
    }
    registry->windows[at] = window;
    registry->generation++;
}

static int add_locked(struct registry *registry, struct window *window)
{
    if (registry->count == registry->cap) {
        size_t cap = registry->cap == 0 ? 16 : registry->cap * 2;
        struct window **windows = realloc(registry->windows, cap * sizeof(struct window *));
        if (windows == NULL) {
            return -ENOMEM;
        }
        registry->windows = windows;
        registry->cap = cap;
    }
    insert_sorted(registry, window);
    return 0;
}

int registry_add(struct store *store, struct window *window)
{
    pthread_mutex_lock(&store->registry.lock);
    int err = add_locked(&store->registry, window);
    pthread_mutex_unlock(&store->registry.lock);
    return err;
}

static void remove_at(struct registry *registry, size_t at)
{
    registry->count--;
    memmove(&registry->windows[at], &registry->windows[at + 1],
            (registry->count - at) * sizeof(struct window *));
    registry->generation++;
}

void registry_remove(struct store *store, struct window *window)
{
    struct registry *registry = &store->registry;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->windows[i] == window) {
            remove_at(registry, i);
            break;
        }
    }
    pthread_mutex_unlock(&registry->lock);
}

struct window *registry_find(struct store *store, int64_t start_us)
{
    struct registry *registry = &store->registry;
    struct window *found = NULL;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = registry->count; i > 0 && found == NULL; i--) {
        if (registry->windows[i - 1]->start_us == start_us) {
            found = registry->windows[i - 1];
            window_ref(found);
        }
    }
    pthread_mutex_unlock(&registry->lock);
    return found;
}

static bool is_open(const struct registry *registry, int64_t start_us, uint32_t serial)
{
    for (size_t i = 0; i < registry->count; i++) {
        if (registry->windows[i]->start_us == start_us && registry->windows[i]->serial == serial) {
            return true;
        }
    }
    return false;
}

/* Opens one file found in the directory. A file that vanished meanwhile, or that its writer has not
 * furnished yet, is passed over. */
static int open_found(struct store *store, int64_t start_us, uint32_t serial, struct why *why)
{
    char path[4096];
    struct stat st;
    struct window *window;
    registry_path(store, start_us, serial, path);
    /* A writer would make a new window of it, which seems to hold all of its day. */
    if (store->mode == STORE_WRITE && stat(path, &st) == 0 && st.st_size == 0 &&
        state_expects_day(store->state, start_us)) {
        return why_set(why, W_EDAMAGED,
                       "%s is damaged: it is empty; move it away to go on without it", path);
    }
    int err = window_open(&window, path, start_us, serial, store->mode == STORE_WRITE, why);
    if (err == -ENOENT) {
        return 0;
    }
    err = err == 0 ? add_locked(&store->registry, window) : err;
    if (err == -ENOMEM) {
        window_unref(window);
    }
    return err;
}

static void forget_unlinked(struct registry *registry)
{
    for (size_t i = registry->count; i > 0; i--) {
        struct window *window = registry->windows[i - 1];
        if (access(window->path, F_OK) != 0 && errno == ENOENT) {
            remove_at(registry, i - 1);
            window_unref(window);
        }
    }
}

static int scan_locked(struct store *store, DIR *dir, struct why *why)
{
    struct dirent *entry;
    int err = 0;
    while (err == 0 && (entry = readdir(dir)) != NULL) {
        int64_t start_us;
        uint32_t serial;
        if (!parse_file_name(entry->d_name, &start_us, &serial)) {
            continue;
        }
        if (serial >= store->next_serial) {
            store->next_serial = serial + 1;
        }
        if (!is_open(&store->registry, start_us, serial)) {
            err = open_found(store, start_us, serial, why);
        }
    }
    return err;
}

int registry_scan(struct store *store, struct why *why)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/windows", store->dir);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return why_set(why, -errno, "%s: %s", path, err_str(-errno));
    }
    pthread_mutex_lock(&store->registry.lock);
    forget_unlinked(&store->registry);
    int err = scan_locked(store, dir, why);
    pthread_mutex_unlock(&store->registry.lock);
    closedir(dir);
    return err;
}

void registry_fini(struct store *store)
{
    for (size_t i = 0; i < store->registry.count; i++) {
        window_unref(store->registry.windows[i]);
    }
    free(store->registry.windows);
    pthread_mutex_destroy(&store->registry.lock);
}
