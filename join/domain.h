/* join/domain.h -- the registrable domain of a name
 * SPDX-License-Identifier: Apache-2.0
 *
 * By the Public Suffix List that libpsl was built with. Remembers what it was asked, because flows
 * go to few names.
 *
 * Threads: a struct domains belongs to one thread at a time.
 */
#pragma once

#include "join/text.h"
#include "proto/name.h"

struct domains;

/* Returns 0 or -ENOMEM. */
int domains_new(struct domains **domains);
void domains_free(struct domains **domains);

/* The name as text, and in `registered` its part that is a registrable domain (data is NULL if it
 * has none: a top-level domain, a name that is not a host's). Both live until the next call. */
struct text domains_of(struct domains *domains, const struct name *name, struct text *registered);
