/* store/env.h -- LMDB environments: opening, error codes, small helpers
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rules that avoid known traps, kept here once: never MDB_WRITEMAP (a full disk would be a SIGBUS),
 * MDB_NOTLS (a read transaction belongs to a view, not to a thread), MDB_NOSUBDIR, one large map
 * set when the file is created, a file shorter than its last page refused before it is read.
 *
 * Threads: an environment may be shared; a transaction belongs to one thread at a time.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Not an error: the key is not there. */
#define ENV_NOTFOUND 1

/* Translates an LMDB code once: 0, ENV_NOTFOUND, or a negative code of base/err.h. */
int env_err(int lmdb_code);

/* Opens the file at `path`, made if `writable` and missing. `map_bytes` is address space, not
 * disk. Returns 0, -ENOENT, W_EDAMAGED, W_EVERSION or -errno with `why` naming the file. */
int env_open(MDB_env **env, const char *path, bool writable, size_t map_bytes, unsigned max_dbs,
             struct why *why);

MDB_val val(const void *data, size_t size);
