/* tests/bench/proto.c -- nanoseconds a message costs to decode, beside protobuf-c and ldns
 * SPDX-License-Identifier: Apache-2.0
 *
 * Takes the first SAMPLE messages of each kind from a capture (genmix makes one), so that they stay
 * in the cache and the decoders are measured rather than the memory, and decodes them over and
 * over. Prints one line a kind: a frame that is skipped, a response without and one with addresses.
 */
#include <inttypes.h>
#include <ldns/ldns.h>
#include <time.h>

#include "dnstap.pb-c.h"
#include "proto/dns.h"
#include "proto/dnstap.h"
#include "proto/framestream.h"
#include "tests/bench/capture.h"

enum kind { SKIPPED, NO_ADDRESS, ADDRESSES, KINDS };
enum { SAMPLE = 512, ROUNDS = 400, REFERENCE_ROUNDS = 20 };

static const char *const KIND_NAMES[KINDS] = {"skipped", "response, no address",
                                              "response, addresses"};

struct sample {
    struct fs_frame frames[SAMPLE];
    size_t count;
};

static uint8_t answer[ANSWER_BYTES_MAX];
/* Takes the results, so that the compiler cannot drop the work. */
static volatile size_t sink;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t decode_tap(const struct fs_frame *frame)
{
    struct dnstap_message m;
    return dnstap_decode(frame->data, frame->len, &m) == DNSTAP_INDEXED;
}

static size_t decode_all(const struct fs_frame *frame)
{
    struct dnstap_message m;
    struct dns_response response;
    if (dnstap_decode(frame->data, frame->len, &m) != DNSTAP_INDEXED) {
        return 0;
    }
    dns_parse_response(m.response_message.data, m.response_message.len, &response, answer);
    return response.answer_len;
}

static size_t reference_tap(const struct fs_frame *frame)
{
    Dnstap__Dnstap *tap = dnstap__dnstap__unpack(NULL, frame->len, frame->data);
    size_t used = tap != NULL;
    dnstap__dnstap__free_unpacked(tap, NULL);
    return used;
}

static size_t reference_all(const struct fs_frame *frame)
{
    Dnstap__Dnstap *tap = dnstap__dnstap__unpack(NULL, frame->len, frame->data);
    if (tap == NULL || tap->message == NULL) {
        return 0;
    }
    const Dnstap__Message *m = tap->message;
    const ProtobufCBinaryData *dns =
        m->has_response_message ? &m->response_message : &m->query_message;
    ldns_pkt *pkt = NULL;
    size_t records = 0;
    if (ldns_wire2pkt(&pkt, dns->data, dns->len) == LDNS_STATUS_OK) {
        records = ldns_pkt_ancount(pkt);
        ldns_pkt_free(pkt);
    }
    dnstap__dnstap__free_unpacked(tap, NULL);
    return records;
}

static double measure(const struct sample *s, int rounds, size_t (*decode)(const struct fs_frame *))
{
    double begin = now_ns();
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < s->count; i++) {
            sink += decode(&s->frames[i]);
        }
    }
    return (now_ns() - begin) / ((double)s->count * rounds);
}

static enum kind kind_of(const struct fs_frame *frame)
{
    return !decode_tap(frame) ? SKIPPED : decode_all(frame) != 0 ? ADDRESSES : NO_ADDRESS;
}

/* Copies the frames, so that the samples lie close together. */
static int take_sample(struct sample *s, const struct fs_frame *frame)
{
    if (s->count == SAMPLE) {
        return 0;
    }
    uint8_t *copy = malloc(frame->len);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, frame->data, frame->len);
    s->frames[s->count++] = (struct fs_frame){copy, frame->len};
    return 0;
}

/* The framing alone, over the whole capture in blocks as a sender writes them. */
static double measure_framing(const struct capture *c, struct sample samples[KINDS])
{
    enum { BLOCK = 4096 };
    struct fs_decoder decoder;
    struct fs_frame frame;
    enum fs_event event;
    double spent = 0;
    for (int pass = 0; pass < 2; pass++) {
        fs_decoder_init(&decoder, 0);
        double begin = now_ns();
        for (size_t at = 0; at < c->size; at += BLOCK) {
            fs_decoder_push(&decoder, c->data + at, c->size - at < BLOCK ? c->size - at : BLOCK);
            while ((event = fs_decoder_next(&decoder, &frame)) != FS_AGAIN) {
                if (pass == 0 && event == FS_FRAME &&
                    take_sample(&samples[kind_of(&frame)], &frame) != 0) {
                    break;
                }
            }
        }
        spent = now_ns() - begin;
        fs_decoder_fini(&decoder);
    }
    return spent / (double)decoder.frames;
}

int main(int argc, char **argv)
{
    static struct sample samples[KINDS];
    struct capture c;
    if (argc != 2) {
        fprintf(stderr, "usage: proto CAPTURE\n");
        return 2;
    }
    if (capture_open(&c, argv[1]) != 0) {
        return 1;
    }
    printf("framing, 4 KiB blocks: %.1f ns a frame\n", measure_framing(&c, samples));
    printf("%-22s %10s %10s %12s %12s %8s\n", "ns a message", "dnstap", "and DNS", "protobuf-c",
           "and ldns", "ratio");
    for (int k = 0; k < KINDS; k++) {
        struct sample *s = &samples[k];
        if (s->count == 0) {
            continue;
        }
        measure(s, 10, decode_all);
        double tap = measure(s, ROUNDS, decode_tap);
        double all = measure(s, ROUNDS, decode_all);
        double ref_tap = measure(s, REFERENCE_ROUNDS, reference_tap);
        double ref_all = measure(s, REFERENCE_ROUNDS, reference_all);
        printf("%-22s %10.1f %10.1f %12.1f %12.1f %8.1f\n", KIND_NAMES[k], tap, all, ref_tap,
               ref_all, ref_all / all);
        for (size_t i = 0; i < s->count; i++) {
            free((void *)s->frames[i].data);
        }
    }
    return 0;
}
