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
enum { SLOTS = 4096 };

/* Longer texts (names with many escapes) are no hosts and are not remembered. */
enum { TEXT_MAX = 256 };

struct slot {
    struct name name; /* len 0: empty */
    uint16_t text_len;
    uint16_t registered; /* where it begins in the text; text_len: none */
    char text[TEXT_MAX];
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

static void fill(const struct domains *domains, struct slot *slot, const struct name *name,
                 size_t text_len)
{
    const char *found = NULL;
    slot->name = *name;
    memcpy(slot->text, domains->text, text_len + 1);
    slot->text_len = slot->registered = (uint16_t)text_len;
    if (domains->psl != NULL && memchr(slot->text, '\\', text_len) == NULL) {
        found = psl_registrable_domain(domains->psl, slot->text);
    }
    if (found != NULL) {
        slot->registered = (uint16_t)(found - slot->text);
    }
}

struct text domains_of(struct domains *domains, const struct name *name, struct text *registered)
{
    struct slot *slot = &domains->slots[XXH3_64bits(name->wire, name->len) % SLOTS];
    *registered = (struct text){NULL, 0};
    if (slot->name.len != name->len || memcmp(slot->name.wire, name->wire, name->len) != 0) {
        size_t len = name_to_text(name->wire, domains->text);
        if (len >= TEXT_MAX) {
            return (struct text){domains->text, len};
        }
        fill(domains, slot, name, len);
    }
    if (slot->registered < slot->text_len) {
        *registered = (struct text){slot->text + slot->registered,
                                    (size_t)(slot->text_len - slot->registered)};
    }
    return (struct text){slot->text, slot->text_len};
}
