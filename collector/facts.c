/* collector/facts.c -- from one dnstap frame to what the index wants to know
 * SPDX-License-Identifier: Apache-2.0
 */
#include "collector/facts.h"

#include "proto/dns.h"

static const struct {
    const char *name;
    enum counter counter;
} KINDS[FACT_KINDS] = {
    [FACT_ANSWER] = {"answer", COUNT_FRAME_ANSWER},
    [FACT_ASKED] = {"no-address", COUNT_FRAME_ASKED},
    [FACT_SKIPPED] = {"other-type", COUNT_FRAME_SKIPPED},
    [FACT_BAD] = {"bad-dnstap", COUNT_FRAME_BAD},
    [FACT_BAD_DNS] = {"bad-dns", COUNT_FRAME_BAD_DNS},
    [FACT_NO_CLIENT] = {"no-client", COUNT_FRAME_NO_CLIENT},
    [FACT_NO_TIME] = {"no-time", COUNT_FRAME_NO_TIME},
    [FACT_NO_MESSAGE] = {"no-message", COUNT_FRAME_NO_MESSAGE},
    [FACT_REFUSED_TIME] = {"refused-time", COUNT_FRAME_REFUSED_TIME},
};

const char *fact_name(enum fact_kind kind)
{
    return KINDS[kind].name;
}

enum counter fact_counter(enum fact_kind kind)
{
    return KINDS[kind].counter;
}

bool fact_is_client(const struct addr *addr)
{
    static const struct addr NONE;
    static const struct addr NONE_V4 = {{[10] = 0xff, [11] = 0xff}};
    return !addr_equal(addr, &NONE) && !addr_equal(addr, &NONE_V4);
}

static bool is_away(int64_t time_us, int64_t receipt_us)
{
    return time_us < receipt_us - FACT_AWAY_MAX_US || time_us > receipt_us + FACT_AWAY_MAX_US;
}

enum fact_kind fact_read(const uint8_t *frame, size_t len, int64_t receipt_us, struct fact *fact,
                         uint8_t *answer)
{
    struct dnstap_message message;
    struct dns_response response;
    enum dnstap_result result = dnstap_decode(frame, len, &message);
    if (result != DNSTAP_INDEXED) {
        fact->type = message.type;
        return result == DNSTAP_SKIPPED ? FACT_SKIPPED : FACT_BAD;
    }
    *fact = (struct fact){
        .client = message.client,
        .time_us = dnstap_time_us(&message),
        .type = message.type,
        .identity = message.identity,
        .version = message.version,
        .extra = message.extra,
    };
    if (message.response_message.data == NULL) {
        return FACT_NO_MESSAGE;
    }
    if (fact->time_us == 0) {
        return FACT_NO_TIME;
    }
    if (receipt_us != 0 && is_away(fact->time_us, receipt_us)) {
        return FACT_REFUSED_TIME;
    }
    if (!message.has_client || !fact_is_client(&message.client)) {
        return FACT_NO_CLIENT;
    }
    int err = dns_parse_response(message.response_message.data, message.response_message.len,
                                 &response, answer);
    if (err != 0) {
        return FACT_BAD_DNS;
    }
    fact->rcode = response.rcode;
    fact->truncated = response.truncated;
    fact->ttl_s = response.ttl_s;
    fact->answer_len = response.answer_len;
    return response.answer_len > 0 ? FACT_ANSWER : FACT_ASKED;
}
