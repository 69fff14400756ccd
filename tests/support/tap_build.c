/* tests/support/tap_build.c -- dnstap frames and Frame Streams captures, for tests
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/tap_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/clock.h"
#include "dnstap.pb-c.h"
#include "tests/support/dns_build.h"

static void set_text(ProtobufCBinaryData *field, protobuf_c_boolean *has, const char *text)
{
    *has = text != NULL;
    field->data = (uint8_t *)(uintptr_t)text;
    field->len = text != NULL ? strlen(text) : 0;
}

static void set_client(Dnstap__Message *message, const char *text, struct addr *addr)
{
    if (text == NULL) {
        return;
    }
    assert_true(addr_parse(addr, text, strlen(text)));
    bool v4 = addr_is_v4(addr);
    message->has_query_address = 1;
    message->query_address.data = addr->b + (v4 ? 12 : 0);
    message->query_address.len = v4 ? 4 : 16;
}

static void set_times(Dnstap__Message *message, const struct tap *tap)
{
    message->has_query_time_sec = message->has_query_time_nsec = tap->query_time_us != 0;
    message->query_time_sec = (uint64_t)(tap->query_time_us / US_PER_S);
    message->query_time_nsec = (uint32_t)(tap->query_time_us % US_PER_S * 1000);
    message->has_response_time_sec = message->has_response_time_nsec = tap->response_time_us != 0;
    message->response_time_sec = (uint64_t)(tap->response_time_us / US_PER_S);
    message->response_time_nsec = (uint32_t)(tap->response_time_us % US_PER_S * 1000);
}

void tap_build(struct buf *out, const struct tap *tap)
{
    enum { QR = 0x8000 };
    static _Thread_local struct dns_build dns;
    Dnstap__Dnstap frame;
    Dnstap__Message message;
    struct addr client;
    dnstap__dnstap__init(&frame);
    dnstap__message__init(&message);
    frame.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
    frame.message = &message;
    set_text(&frame.identity, &frame.has_identity, tap->identity);
    set_text(&frame.version, &frame.has_version, tap->version);
    set_text(&frame.extra, &frame.has_extra, tap->extra);
    message.type =
        tap->type != 0 ? (Dnstap__Message__Type)tap->type : DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE;
    set_client(&message, tap->client, &client);
    set_times(&message, tap);
    if (tap->lines != NULL) {
        dns_build_begin(&dns, tap->flags != 0 ? tap->flags : QR, true);
        dns_build_lines(&dns, tap->lines);
        message.has_response_message = 1;
        message.response_message.data = dns.msg;
        message.response_message.len = dns.len - tap->cut;
    }
    size_t size = dnstap__dnstap__get_packed_size(&frame);
    char *room = buf_room(out, size);
    assert_non_null(room);
    out->len += dnstap__dnstap__pack(&frame, (uint8_t *)room);
}

void tap_frame(struct buf *out, const struct tap *tap)
{
    size_t at = out->len;
    buf_add(out, "\0\0\0\0", 4);
    tap_build(out, tap);
    size_t len = out->len - at - 4;
    for (int i = 0; i < 4; i++) {
        out->data[at + (size_t)i] = (char)(len >> (24 - 8 * i));
    }
}

void tap_control(struct buf *out, struct fs_frame control)
{
    buf_add(out, control.data, control.len);
}

void tap_answer(struct buf *out, const char *identity, const char *client, int64_t time_us,
                const char *name, const char *address)
{
    char lines[512];
    snprintf(lines, sizeof(lines), "QD %s IN A\nAN %s 60 IN A %s", name, name, address);
    tap_frame(out, &(struct tap){
                       .identity = identity,
                       .client = client,
                       .response_time_us = time_us,
                       .lines = lines,
                   });
}
