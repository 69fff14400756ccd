/* join/domain.c -- the registrable domain of a name
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/domain.h"

#include <errno.h>
#include <libpsl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Slots of the memory; a name takes the one its hash names. */
enum { SLOTS = 16 * 1024 };

struct slot {
    XXH128_hash_t hash;  /* of the name: 128 bits, so that two never share one */
    uint16_t registered; /* where it begins in the text; the text's length: none */
};

struct domains {
    const psl_ctx_t *psl;
    struct slot slots[SLOTS];
    char text[NAME_TEXT_MAX];
};

int domains_new(struct domains **domains)
{
    *domains = calloc(1, sizeof(**domains));
    if (*domains == NULL) {
        return -ENOMEM;
    }
    (*domains)->psl = psl_builtin();
    return 0;
}

void domains_free(struct domains **domains)
{
    free(*domains);
    *domains = NULL;
}

/* Where the registrable domain begins in the text, `len` if there is none. */
static size_t find_registered(const struct domains *domains, size_t len)
{
    const char *found = NULL;
    /* Names with escapes are no hosts. */
    if (domains->psl != NULL && memchr(domains->text, '\\', len) == NULL) {
        found = psl_registrable_domain(domains->psl, domains->text);
    }
    return found != NULL ? (size_t)(found - domains->text) : len;
}

struct text domains_of(struct domains *domains, const struct name *name, struct text *registered)
{
    XXH128_hash_t hash = XXH3_128bits(name->wire, name->len);
    struct slot *slot = &domains->slots[hash.low64 % SLOTS];
    __builtin_prefetch(slot);
    size_t len = name_to_text(name->wire, domains->text);
    *registered = (struct text){NULL, 0};
    if (!XXH128_isEqual(slot->hash, hash)) {
        *slot = (struct slot){hash, (uint16_t)find_registered(domains, len)};
    }
    if (slot->registered < len) {
        *registered = (struct text){domains->text + slot->registered, len - slot->registered};
    }
    return (struct text){domains->text, len};
}
