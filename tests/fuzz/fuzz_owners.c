/* tests/fuzz/fuzz_owners.c -- anything as objects of Kubernetes or as metrics, then asked
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "join/owners_k8s.h"
#include "join/owners_ksm.h"
#include "tests/fuzz/fuzz.h"

static int on_piece(void *ctx, const struct k8s_piece *piece)
{
    struct why why;
    owners_k8s_piece(ctx, piece, 0, &why);
    return 0;
}

static bool check(void *ctx, const struct owner *owner)
{
    struct owners_reader *reader = ctx;
    (void)reader;
    if (owner->from_us > owner->to_us || owner->address_count > OWNER_ADDRS_MAX) {
        abort();
    }
    return true;
}

/* At no time has an address two owners: the one found at an interval's start is the one found at
 * any time in it, and ends when it says. */
static bool ask(void *ctx, const struct owner *owner)
{
    struct owners_reader *reader = ctx;
    for (uint32_t i = 0; i < owner->address_count && owner->from_us < owner->to_us; i++) {
        struct owner_at at;
        if (!owners_at(reader, owner->cluster, &owner->addresses[i], owner->from_us, &at) ||
            at.owner->number != owner->number || at.former_to_us > owner->from_us) {
            abort();
        }
        if (!owners_at(reader, owner->cluster, &owner->addresses[i], owner->to_us - 1, &at) ||
            at.owner->number != owner->number) {
            abort();
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct owners *owners;
    struct owners_reader *reader;
    struct owners_k8s *k8s;
    struct owners_ksm *ksm;
    struct k8s_stream *stream;
    struct why why;
    if (owners_new(&owners, 16) != 0 || owners_reader_new(&reader, owners) != 0 ||
        owners_k8s_new(&k8s, owners, "fuzz") != 0 || owners_ksm_new(&ksm, owners, "fuzz") != 0 ||
        k8s_stream_new(&stream, 65536, on_piece, k8s) != 0) {
        abort();
    }
    if (k8s_stream_push(stream, (const char *)data, size) == 0) {
        k8s_stream_end(stream);
    }
    for (const char *at = (const char *)data, *end = at + size; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        owners_ksm_line(ksm, at, (size_t)(stop - at), &why);
        at = stop + 1;
    }
    owners_ksm_end(ksm);
    owners_each(owners, 0, check, reader);
    owners_each(owners, 0, ask, reader);
    k8s_stream_free(&stream);
    owners_ksm_free(&ksm);
    owners_k8s_free(&k8s);
    owners_reader_free(&reader);
    owners_free(&owners);
    return 0;
}
