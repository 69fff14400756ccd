/* tests/bench/reference.c -- what decoding alone costs with the reference libraries
 * SPDX-License-Identifier: Apache-2.0
 *
 * Unpacks every frame of a capture with protobuf-c and parses its DNS message with ldns, keeps
 * nothing, and prints the rate: the peer of `whither ingest`, which decodes, indexes and syncs.
 */
#include <inttypes.h>
#include <ldns/ldns.h>
#include <time.h>

#include "dnstap.pb-c.h"
#include "tests/bench/capture.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Returns the number of answer records, or a negative number if either library refuses it. */
static long decode(const uint8_t *frame, size_t len)
{
    Dnstap__Dnstap *tap = dnstap__dnstap__unpack(NULL, len, frame);
    ldns_pkt *pkt = NULL;
    long records = -1;

    if (tap && tap->message) {
        const Dnstap__Message *m = tap->message;
        const ProtobufCBinaryData *dns =
            m->has_response_message ? &m->response_message : &m->query_message;
        if (ldns_wire2pkt(&pkt, dns->data, dns->len) == LDNS_STATUS_OK) {
            records = ldns_pkt_ancount(pkt);
        }
    }
    ldns_pkt_free(pkt);
    if (tap) {
        dnstap__dnstap__free_unpacked(tap, NULL);
    }
    return records;
}

int main(int argc, char **argv)
{
    struct capture c;
    uint64_t records = 0, refused = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: reference FILE\n");
        return 2;
    }
    if (capture_open(&c, argv[1])) {
        return 1;
    }
    double begin = now_s();
    for (size_t at = c.begin; at < c.end;) {
        size_t len = get_u32(c.data + at);
        long n = decode(c.data + at + 4, len);
        records += n > 0 ? (uint64_t)n : 0;
        refused += n < 0;
        at += 4 + len;
    }
    double seconds = now_s() - begin;
    printf("frames %" PRIu64 " seconds %.3f frames_per_s %.0f records %" PRIu64 " refused %" PRIu64
           "\n",
           c.frames, seconds, (double)c.frames / seconds, records, refused);
    return refused ? 1 : 0;
}
