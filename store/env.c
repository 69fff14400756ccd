/* store/env.c -- LMDB environments: opening, error codes, small helpers
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_READERS = 1024 };
/* Room for their slots of 64 octets each and what precedes them. */
enum { LOCK_BYTES = MAX_READERS * 64 + 4096 };

int env_err(int lmdb_code)
{
    switch (lmdb_code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return ENV_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EAGAIN;
    case MDB_VERSION_MISMATCH:
        return W_EVERSION;
    default:
        return lmdb_code > 0 ? -lmdb_code : W_EDAMAGED;
    }
}

/* LMDB maps the file and trusts its meta page: pages beyond the end of a truncated file would be a
 * SIGBUS when first touched. */
static int check_length(MDB_env *env, const char *path, struct why *why)
{
    MDB_envinfo info;
    MDB_stat stat_main;
    struct stat st;
    mdb_env_info(env, &info);
    mdb_env_stat(env, &stat_main);
    if (stat(path, &st) != 0) {
        return why_set(why, -errno, "%s: %s", path, err_str(-errno));
    }
    uint64_t need = ((uint64_t)info.me_last_pgno + 1) * stat_main.ms_psize;
    if ((uint64_t)st.st_size < need) {
        return why_set(
            why, W_EDAMAGED,
            "%s is damaged: %llu bytes long where its header names %llu; move it away to "
            "go on without it",
            path, (unsigned long long)st.st_size, (unsigned long long)need);
    }
    return 0;
}

static int open_failed(int code, const char *path, struct why *why)
{
    int err = env_err(code);
    if (err == W_EDAMAGED || code == MDB_INVALID) {
        return why_set(
            why, W_EDAMAGED,
            "%s is not an index file or is damaged (%s); move it away to go on without it", path,
            mdb_strerror(code));
    }
    return why_set(why, err, "%s: %s", path, mdb_strerror(code));
}

/* The lock table is mapped for writing; LMDB makes it sparse, and a page of it first touched on a
 * full disk would be a SIGBUS. */
static int reserve_locks(const char *path, struct why *why)
{
    char lock_path[4096 + 8];
    snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return 0; /* whatever it is, LMDB will say */
    }
    int err = posix_fallocate(fd, 0, LOCK_BYTES);
    close(fd);
    return err == 0 ? 0 : why_set(why, -err, "%s: %s", lock_path, err_str(-err));
}

int env_open(MDB_env **env, const char *path, bool writable, size_t map_bytes, unsigned max_dbs,
             struct why *why)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | (writable ? 0 : MDB_RDONLY);
    *env = NULL;
    struct stat st = {.st_size = -1};
    if (!writable && (stat(path, &st) != 0 || st.st_size == 0)) {
        /* Empty: its writer is about to furnish it, or died before it could. A reader leaves no
         * lock table where there is no index. */
        int err = st.st_size == 0 ? -ENOENT : -errno;
        return why_set(why, err, "%s: %s", path, err_str(err));
    }
    int reserved = reserve_locks(path, why);
    if (reserved != 0) {
        return reserved;
    }
    int code = mdb_env_create(env);
    if (code != 0) {
        return why_set(why, env_err(code), "%s: %s", path, mdb_strerror(code));
    }
    mdb_env_set_maxdbs(*env, max_dbs);
    mdb_env_set_maxreaders(*env, MAX_READERS);
    mdb_env_set_mapsize(*env, map_bytes);
    code = mdb_env_open(*env, path, flags, 0600);
    if (code == EROFS && !writable) {
        /* Nobody can write on a read-only file system, so the lock table has nothing to guard. */
        mdb_env_close(*env);
        mdb_env_create(env);
        mdb_env_set_maxdbs(*env, max_dbs);
        mdb_env_set_mapsize(*env, map_bytes);
        code = mdb_env_open(*env, path, flags | MDB_NOLOCK, 0600);
    }
    int err = code != 0 ? open_failed(code, path, why) : check_length(*env, path, why);
    if (err != 0) {
        mdb_env_close(*env);
        *env = NULL;
        return err;
    }
    /* Readers that died without leaving would pin old pages. */
    int dead;
    mdb_reader_check(*env, &dead);
    return 0;
}

MDB_val val(const void *data, size_t size)
{
    return (MDB_val){.mv_data = (void *)(uintptr_t)data, .mv_size = size};
}
