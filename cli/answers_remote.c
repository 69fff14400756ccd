/* cli/answers_remote.c -- a join that asks a service: POST /v1/lookup
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/answers_remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/remote.h"

/* One answer: ATTRIBUTE_CANDIDATES_MAX candidates with long chains. */
enum { LINE_MAX_LEN = 4 * 1024 * 1024 };

/* The members of a party, in an order of their own. */
enum { PARTY_NAMESPACE, PARTY_POD_NAME, PARTY_SERVICE_NAME, PARTY_WORKLOAD, PARTY_NODE_NAME };
enum { PARTY_MEMBERS = PARTY_NODE_NAME + 1 };
enum {
    VERDICT,
    REASON,
    OWNER_KNOWN,
    COVERAGE,
    AMBIGUOUS,
    LEFT_OUT,
    ERROR,
    SOURCE_PARTY,
    DESTINATION_PARTY = SOURCE_PARTY + PARTY_MEMBERS,
    DESTINATION_KIND = DESTINATION_PARTY + PARTY_MEMBERS,
    CANDIDATES
};
enum { POINTERS = CANDIDATES + ATTRIBUTE_CANDIDATES_MAX };

enum { NAME, ASKED, LIVE, LAST, TTL, COUNT, CLIENTS, VIA, SOURCE, CHAIN };
enum { CANDIDATE_POINTERS = CHAIN + ANSWER_CHAIN_MAX };

struct remote_answers {
    struct remote *remote;
    struct json_parser *parser;
    struct json_paths *paths;
    struct json_paths *candidate_paths;
    struct candidate *candidates; /* of the answer in hand */
    char reason[64];
    char parties[2][PARTY_MEMBERS][OWNER_TEXT_MAX + 1];
    struct buf line; /* of the answer, as far as it came */

    /* the call in hand */
    const struct question *questions;
    size_t count;
    size_t sent;
    size_t answered;
    struct buf body; /* lines not yet taken */
    size_t taken;
    join_answered_fn answer;
    void *ctx;
    struct why *why;
};

static int make_paths(struct remote_answers *answers)
{
    static const char *const FIXED[] = {
        [VERDICT] = "/verdict",
        [REASON] = "/reason",
        [OWNER_KNOWN] = "/owner_known",
        [COVERAGE] = "/coverage",
        [AMBIGUOUS] = "/ambiguous",
        [LEFT_OUT] = "/left_out",
        [ERROR] = "/error/message",
        [SOURCE_PARTY + PARTY_NAMESPACE] = "/source/k8s/namespace",
        [SOURCE_PARTY + PARTY_POD_NAME] = "/source/k8s/pod",
        [SOURCE_PARTY + PARTY_SERVICE_NAME] = "/source/k8s/service",
        [SOURCE_PARTY + PARTY_WORKLOAD] = "/source/k8s/workload",
        [SOURCE_PARTY + PARTY_NODE_NAME] = "/source/k8s/node",
        [DESTINATION_PARTY + PARTY_NAMESPACE] = "/destination/k8s/namespace",
        [DESTINATION_PARTY + PARTY_POD_NAME] = "/destination/k8s/pod",
        [DESTINATION_PARTY + PARTY_SERVICE_NAME] = "/destination/k8s/service",
        [DESTINATION_PARTY + PARTY_WORKLOAD] = "/destination/k8s/workload",
        [DESTINATION_PARTY + PARTY_NODE_NAME] = "/destination/k8s/node",
        [DESTINATION_KIND] = "/destination/kind",
    };
    static const char *const CANDIDATE[] = {
        [NAME] = "/name",       [ASKED] = "/asked", [LIVE] = "/live",
        [LAST] = "/last",       [TTL] = "/ttl_s",   [COUNT] = "/count",
        [CLIENTS] = "/clients", [VIA] = "/via",     [SOURCE] = "/source",
    };
    char texts[POINTERS][24];
    const char *pointers[POINTERS];
    for (size_t i = 0; i < POINTERS; i++) {
        pointers[i] = i < CANDIDATES ? FIXED[i] : texts[i];
        snprintf(texts[i], sizeof(texts[i]), "/candidates/%zu",
                 i < CANDIDATES ? 0 : i - CANDIDATES);
    }
    int err = json_paths_new(&answers->paths, pointers, POINTERS);
    for (size_t i = 0; i < CANDIDATE_POINTERS; i++) {
        pointers[i] = i < CHAIN ? CANDIDATE[i] : texts[i];
        snprintf(texts[i], sizeof(texts[i]), "/chain/%zu", i < CHAIN ? 0 : i - CHAIN);
    }
    return err != 0 ? err : json_paths_new(&answers->candidate_paths, pointers, CANDIDATE_POINTERS);
}

int remote_answers_new(struct remote_answers **out, const struct settings *settings,
                       struct why *why)
{
    struct remote_answers *answers = calloc(1, sizeof(*answers));
    *out = answers;
    if (answers == NULL) {
        return -ENOMEM;
    }
    answers->line.max = LINE_MAX_LEN;
    answers->candidates = calloc(ATTRIBUTE_CANDIDATES_MAX, sizeof(*answers->candidates));
    int err = answers->candidates == NULL ? -ENOMEM : make_paths(answers);
    err = err != 0 ? err : json_parser_new(&answers->parser, LINE_MAX_LEN);
    err =
        err != 0 ? err : remote_new(&answers->remote, settings->server, settings->token_file, why);
    if (err != 0) {
        remote_answers_free(out);
    }
    return err;
}

void remote_answers_free(struct remote_answers **out)
{
    struct remote_answers *answers = *out;
    if (answers == NULL) {
        return;
    }
    remote_free(&answers->remote);
    json_parser_free(&answers->parser);
    json_paths_free(&answers->paths);
    json_paths_free(&answers->candidate_paths);
    free(answers->candidates);
    buf_fini(&answers->line);
    buf_fini(&answers->body);
    free(answers);
    *out = NULL;
}

/* ---- Questions ---- */

static void put_text(struct buf *body, const char *key, struct text text)
{
    /* Longer ones are no names of Kubernetes, and the service would refuse them. */
    if (text.len > 0 && text.len <= OWNER_TEXT_MAX) {
        buf_char(body, ',');
        buf_json_key(body, key);
        buf_json_str(body, text.data, text.len);
    }
}

static void put_kind(struct buf *body, const char *key, enum flow_end end)
{
    static const char *const KINDS[] = {
        [FLOW_END_POD] = "pod", [FLOW_END_SERVICE] = "service", [FLOW_END_NODE] = "node"};
    if (end == FLOW_END_POD || end == FLOW_END_SERVICE || end == FLOW_END_NODE) {
        put_text(body, key, (struct text){KINDS[end], strlen(KINDS[end])});
    }
}

/* What the record says besides its addresses. */
static void put_record(struct buf *body, const struct question *question)
{
    char text[TIME_TEXT_MAX > ADDR_TEXT_MAX ? TIME_TEXT_MAX : ADDR_TEXT_MAX];
    const struct flow_identity *from = question->source_id, *to = question->destination_id;
    if (question->aggregated) {
        buf_str(body, ",\"aggregated\":true");
    }
    if (question->has_alternate) {
        size_t len = addr_print(&question->alternate, text);
        put_text(body, "alternate", (struct text){text, len});
    }
    if (question->not_before_us != 0) {
        size_t len = time_print(question->not_before_us, text);
        put_text(body, "not_before", (struct text){text, len});
    }
    if (question->source_cluster.len <= STORE_CLUSTER_MAX) {
        put_text(body, "own_cluster", question->source_cluster);
    }
    if (from != NULL) {
        put_kind(body, "src_kind", from->end);
        put_text(body, "src_namespace", from->namespace);
        put_text(body, "src_pod", from->pod);
    }
    if (to != NULL) {
        put_kind(body, "dst_kind", to->end);
        put_text(body, "dst_namespace", to->namespace);
        put_text(body, "dst_pod", to->pod);
        put_text(body, "dst_service", to->service);
    }
}

static void put_question(struct buf *body, const struct question *question)
{
    char text[TIME_TEXT_MAX > ADDR_TEXT_MAX ? TIME_TEXT_MAX : ADDR_TEXT_MAX];
    buf_str(body, "{\"cluster\":");
    buf_json_str(body, question->cluster, strlen(question->cluster));
    buf_str(body, ",\"src\":\"");
    buf_add(body, text, addr_print(&question->source, text));
    buf_str(body, "\",\"dst\":\"");
    buf_add(body, text, addr_print(&question->destination, text));
    buf_str(body, "\",\"at\":\"");
    buf_add(body, text, time_print(question->start_us, text));
    buf_str(body, "\",\"end\":\"");
    buf_add(body, text, time_print(question->end_us, text));
    buf_str(body, "\",\"shows_start\":");
    buf_str(body, question->shows_start ? "true" : "false");
    put_record(body, question);
    buf_str(body, "}\n");
}

static ssize_t send_questions(void *ctx, char *bytes, size_t cap)
{
    struct remote_answers *answers = ctx;
    if (answers->taken == answers->body.len) {
        buf_reset(&answers->body);
        answers->taken = 0;
        while (answers->sent < answers->count && answers->body.len < cap) {
            put_question(&answers->body, &answers->questions[answers->sent++]);
        }
        if (answers->body.err != 0) {
            return answers->body.err;
        }
    }
    size_t len = answers->body.len - answers->taken;
    len = len < cap ? len : cap;
    if (len > 0) {
        memcpy(bytes, answers->body.data + answers->taken, len);
    }
    answers->taken += len;
    return (ssize_t)len;
}

/* ---- Answers ---- */

static bool is(const struct json_value *value, const char *text)
{
    return value->type == JSON_STRING && value->text.len == strlen(text) &&
           memcmp(value->text.data, text, value->text.len) == 0;
}

static uint32_t number(const struct json_value *value)
{
    uint64_t result;
    return json_u64(value, &result) && result <= UINT32_MAX ? (uint32_t)result : 0;
}

/* A name comes as it is printed, JSON escapes around zone file escapes. */
static bool read_name(const struct json_value *value, struct name *name)
{
    char text[NAME_TEXT_MAX];
    if (value->type != JSON_STRING || value->text.len > sizeof(text)) {
        return false;
    }
    size_t len = json_unescape(value, text);
    return len != SIZE_MAX && name_from_text(name, text, len) == 0;
}

static bool read_candidate(struct remote_answers *answers, struct text text,
                           const struct question *question, struct candidate *out)
{
    struct json_value values[CANDIDATE_POINTERS];
    if (json_parse(answers->parser, answers->candidate_paths, text.data, text.len, values, NULL) !=
            0 ||
        !read_name(&values[NAME], &out->name) || !read_name(&values[ASKED], &out->asked) ||
        values[LAST].type != JSON_STRING ||
        !time_parse(&out->answer_us, values[LAST].text.data, values[LAST].text.len, 0)) {
        return false;
    }
    out->live = values[LIVE].type == JSON_TRUE;
    out->age_us = question->start_us - out->answer_us;
    out->ttl_s = number(&values[TTL]);
    out->count = number(&values[COUNT]);
    out->clients = number(&values[CLIENTS]);
    out->via = VIA_CLIENT;
    for (int via = VIA_CLIENT; via <= VIA_SRV; via++) {
        out->via = is(&values[VIA], via_name((enum via)via)) ? (enum via)via : out->via;
    }
    out->source = ANSWER_FROM_DNSTAP;
    for (int source = 0; source < ANSWER_SOURCES; source++) {
        bool same = is(&values[SOURCE], answer_source_name((enum answer_source)source));
        out->source = same ? (enum answer_source)source : out->source;
    }
    out->chain_count = 0;
    while (out->chain_count < ANSWER_CHAIN_MAX &&
           read_name(&values[CHAIN + out->chain_count], &out->chain[out->chain_count])) {
        out->chain_count++;
    }
    return true;
}

/* A reason is a word of ours; anything else is not passed on. */
static const char *read_reason(struct remote_answers *answers, const struct json_value *value)
{
    if (value->type != JSON_STRING || value->text.len >= sizeof(answers->reason)) {
        return NULL;
    }
    for (size_t i = 0; i < value->text.len; i++) {
        char c = value->text.data[i];
        if ((c < 'a' || c > 'z') && c != '-') {
            return NULL;
        }
    }
    memcpy(answers->reason, value->text.data, value->text.len);
    answers->reason[value->text.len] = '\0';
    return answers->reason;
}

/* The ends as the service has them; where it knows nothing of one, the record's own identity. */
static void read_party(struct remote_answers *answers, const struct json_value *values, int which,
                       struct party *party)
{
    struct text texts[PARTY_MEMBERS] = {{NULL, 0}};
    for (int i = 0; i < PARTY_MEMBERS; i++) {
        const struct json_value *value = &values[i];
        char *room = answers->parties[which][i];
        if (value->type == JSON_STRING && value->text.len <= OWNER_TEXT_MAX) {
            size_t len = json_unescape(value, room);
            texts[i] = (struct text){room, len == SIZE_MAX ? 0 : len};
        }
    }
    party->namespace = texts[PARTY_NAMESPACE];
    party->pod = texts[PARTY_POD_NAME];
    party->service = texts[PARTY_SERVICE_NAME];
    party->workload = texts[PARTY_WORKLOAD];
    party->node = texts[PARTY_NODE_NAME];
}

static void read_parties(struct remote_answers *answers, const struct json_value *values,
                         struct attribution *out)
{
    read_party(answers, &values[SOURCE_PARTY], 0, &out->source);
    for (int kind = PARTY_POD; kind <= PARTY_NODE; kind++) {
        if (is(&values[DESTINATION_KIND], party_kind_name((enum party_kind)kind))) {
            out->destination.kind = (enum party_kind)kind;
            read_party(answers, &values[DESTINATION_PARTY], 1, &out->destination);
        }
    }
}

static int read_answer(struct remote_answers *answers, const struct question *question,
                       struct attribution *out)
{
    struct json_value values[POINTERS];
    const struct buf *line = &answers->line;
    int verdict = 0;
    if (json_parse(answers->parser, answers->paths, line->data, line->len, values, NULL) != 0) {
        return why_set(answers->why, W_ESYNTAX, "the service's answer is not JSON");
    }
    while (verdict < VERDICT_COUNT && !is(&values[VERDICT], verdict_name((enum verdict)verdict))) {
        verdict++;
    }
    if (verdict == VERDICT_COUNT) {
        return why_set(answers->why, W_ESYNTAX, "the service answers no attribution: %.*s",
                       (int)(line->len < 200 ? line->len : 200), line->data);
    }
    *out = (struct attribution){
        .verdict = (enum verdict)verdict,
        .reason = read_reason(answers, &values[REASON]),
        .owner_known = values[OWNER_KNOWN].type == JSON_TRUE,
        .coverage_assumed = is(&values[COVERAGE], "assumed"),
        .ambiguous = values[AMBIGUOUS].type == JSON_TRUE,
        .left_out = number(&values[LEFT_OUT]),
        .candidates = answers->candidates,
    };
    read_parties(answers, values, out);
    while (out->candidate_count < ATTRIBUTE_CANDIDATES_MAX &&
           values[CANDIDATES + out->candidate_count].type == JSON_OBJECT) {
        if (!read_candidate(answers, values[CANDIDATES + out->candidate_count].text, question,
                            &answers->candidates[out->candidate_count])) {
            return why_set(answers->why, W_ESYNTAX,
                           "the service's answer has a candidate that "
                           "is none");
        }
        out->candidate_count++;
    }
    return 0;
}

static int answer_line(struct remote_answers *answers)
{
    struct attribution attribution;
    size_t number_of = answers->answered++;
    if (answers->line.err != 0) {
        return answers->line.err;
    }
    if (number_of >= answers->count) {
        return why_set(answers->why, W_ESYNTAX, "the service gives more answers than were asked");
    }
    int err = read_answer(answers, &answers->questions[number_of], &attribution);
    buf_reset(&answers->line);
    return err != 0 ? err : answers->answer(answers->ctx, number_of, &attribution);
}

static int take_answers(void *ctx, const char *bytes, size_t len)
{
    struct remote_answers *answers = ctx;
    const char *end = bytes + len;
    while (bytes < end) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        buf_add(&answers->line, bytes, (size_t)((stop != NULL ? stop : end) - bytes));
        if (stop == NULL) {
            break;
        }
        int err = answer_line(answers);
        if (err != 0) {
            return err;
        }
        bytes = stop + 1;
    }
    return 0;
}

int remote_answers_ask(void *ctx, const struct question *questions, size_t count,
                       join_answered_fn answered, void *answered_ctx, struct why *why)
{
    struct remote_answers *answers = ctx;
    answers->questions = questions;
    answers->count = count;
    answers->sent = answers->answered = answers->taken = 0;
    answers->answer = answered;
    answers->ctx = answered_ctx;
    answers->why = why;
    buf_reset(&answers->body);
    buf_reset(&answers->line);
    int err = remote_post(answers->remote, "/v1/lookup", "application/x-ndjson", send_questions,
                          answers, take_answers, answers, why);
    if (err == 0 && answers->answered < count) {
        err = why_set(why, W_ESYNTAX, "the service answered %zu of %zu questions",
                      answers->answered, count);
    }
    return err;
}
