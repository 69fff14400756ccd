/* api/question.c -- one line of a bulk lookup
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/question.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "join/json.h"

/* Longest text of any member; the longest right one is a cluster name or a time. */
#define MEMBER_MAX 256

enum member {
    SRC,
    DST,
    AT,
    END,
    SHOWS_START,
    CLUSTER,
    AGGREGATED,
    ALTERNATE,
    NOT_BEFORE,
    OWN_CLUSTER,
    SRC_KIND,
    SRC_NAMESPACE,
    SRC_POD,
    DST_KIND,
    DST_NAMESPACE,
    DST_POD,
    DST_SERVICE,
    MEMBER_COUNT
};

static const char *const POINTERS[MEMBER_COUNT] = {
    [SRC] = "/src",
    [DST] = "/dst",
    [AT] = "/at",
    [END] = "/end",
    [SHOWS_START] = "/shows_start",
    [CLUSTER] = "/cluster",
    [AGGREGATED] = "/aggregated",
    [ALTERNATE] = "/alternate",
    [NOT_BEFORE] = "/not_before",
    [OWN_CLUSTER] = "/own_cluster",
    [SRC_KIND] = "/src_kind",
    [SRC_NAMESPACE] = "/src_namespace",
    [SRC_POD] = "/src_pod",
    [DST_KIND] = "/dst_kind",
    [DST_NAMESPACE] = "/dst_namespace",
    [DST_POD] = "/dst_pod",
    [DST_SERVICE] = "/dst_service",
};

struct question_reader {
    size_t max_line;
    struct json_parser *parser;
    struct json_paths *paths;
    struct json_value values[MEMBER_COUNT];
    char text[MEMBER_MAX + 1]; /* the member being read */
    size_t len;
    char cluster[STORE_CLUSTER_MAX + 1];
    char texts[MEMBER_COUNT][MEMBER_MAX]; /* what the question points to */
    struct flow_identity source;
    struct flow_identity destination;
};

int question_reader_new(struct question_reader **reader, size_t max_line)
{
    struct question_reader *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return -ENOMEM;
    }
    made->max_line = max_line;
    int err = json_paths_new(&made->paths, POINTERS, MEMBER_COUNT);
    err = err == 0 ? json_parser_new(&made->parser, max_line) : err;
    if (err != 0) {
        question_reader_free(&made);
        return err;
    }
    *reader = made;
    return 0;
}

void question_reader_free(struct question_reader **reader)
{
    if (*reader != NULL) {
        json_parser_free(&(*reader)->parser);
        json_paths_free(&(*reader)->paths);
        free(*reader);
        *reader = NULL;
    }
}

/* Brings a member's text to reader->text. Returns false where it is absent, or not of the expected
 * kind (a problem then). */
static bool read_text(struct question_reader *reader, enum member member, bool number_too,
                      struct problem *problem)
{
    const struct json_value *value = &reader->values[member];
    const char *name = POINTERS[member] + 1;
    if (value->type == JSON_ABSENT || value->type == JSON_NULL) {
        return false;
    }
    bool is_number = number_too && value->type == JSON_NUMBER;
    if (value->type != JSON_STRING && !is_number) {
        return problem_set(problem, 400, name, "%s: expected text%s", name,
                           number_too ? " or a number" : "");
    }
    if (value->text.len > MEMBER_MAX) {
        return problem_set(problem, 400, name, "%s: longer than %d octets", name, MEMBER_MAX);
    }
    reader->len = value->text.len;
    memcpy(reader->text, value->text.data, value->text.len);
    if (value->type == JSON_STRING && value->escaped) {
        reader->len = json_unescape(value, reader->text);
        if (reader->len == SIZE_MAX) {
            return problem_set(problem, 400, name, "%s: a bad escape", name);
        }
    }
    return true;
}

static void read_addr(struct question_reader *reader, enum member member, struct addr *addr,
                      struct problem *problem)
{
    const char *name = POINTERS[member] + 1;
    if (read_text(reader, member, false, problem)) {
        value_addr(name, reader->text, reader->len, addr, problem);
    } else {
        problem_set(problem, 400, name, "%s: expected an IP address", name);
    }
}

static void read_time(struct question_reader *reader, enum member member, int64_t *time_us,
                      struct problem *problem)
{
    if (read_text(reader, member, true, problem)) {
        value_time(POINTERS[member] + 1, reader->text, reader->len, time_us, problem);
    }
}

static void read_bool(struct question_reader *reader, enum member member, bool *value,
                      struct problem *problem)
{
    const char *name = POINTERS[member] + 1;
    switch (reader->values[member].type) {
    case JSON_ABSENT:
    case JSON_NULL:
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = reader->values[member].type == JSON_TRUE;
        break;
    default:
        problem_set(problem, 400, name, "%s: expected true or false", name);
    }
}

/* A text that the question points to; len 0 where it is absent. */
static struct text read_kept(struct question_reader *reader, enum member member,
                             struct problem *problem)
{
    struct text none = {NULL, 0};
    if (!read_text(reader, member, false, problem)) {
        return none;
    }
    size_t len = reader->len < MEMBER_MAX ? reader->len : MEMBER_MAX;
    memcpy(reader->texts[member], reader->text, len);
    return (struct text){reader->texts[member], len};
}

static enum flow_end read_kind(struct question_reader *reader, enum member member,
                               struct problem *problem)
{
    static const struct {
        const char *name;
        enum flow_end end;
    } KINDS[] = {{"pod", FLOW_END_POD}, {"service", FLOW_END_SERVICE}, {"node", FLOW_END_NODE}};
    const char *name = POINTERS[member] + 1;
    if (!read_text(reader, member, false, problem)) {
        return FLOW_END_UNKNOWN;
    }
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (reader->len == strlen(KINDS[i].name) &&
            memcmp(reader->text, KINDS[i].name, reader->len) == 0) {
            return KINDS[i].end;
        }
    }
    problem_set(problem, 400, name, "%s: expected pod, service or node", name);
    return FLOW_END_UNKNOWN;
}

/* What a flow record says besides its addresses. */
static void read_record(struct question_reader *reader, struct question *question,
                        struct problem *problem)
{
    read_bool(reader, AGGREGATED, &question->aggregated, problem);
    read_time(reader, NOT_BEFORE, &question->not_before_us, problem);
    if (reader->values[ALTERNATE].type != JSON_ABSENT &&
        reader->values[ALTERNATE].type != JSON_NULL) {
        question->has_alternate = true;
        read_addr(reader, ALTERNATE, &question->alternate, problem);
    }
    question->source_cluster = read_kept(reader, OWN_CLUSTER, problem);
    reader->source = (struct flow_identity){
        .end = read_kind(reader, SRC_KIND, problem),
        .namespace = read_kept(reader, SRC_NAMESPACE, problem),
        .pod = read_kept(reader, SRC_POD, problem),
    };
    reader->destination = (struct flow_identity){
        .end = read_kind(reader, DST_KIND, problem),
        .namespace = read_kept(reader, DST_NAMESPACE, problem),
        .pod = read_kept(reader, DST_POD, problem),
        .service = read_kept(reader, DST_SERVICE, problem),
    };
    question->source_id = &reader->source;
    question->destination_id = &reader->destination;
}

static void read_cluster(struct question_reader *reader, const char **cluster,
                         struct problem *problem)
{
    if (read_text(reader, CLUSTER, false, problem) &&
        value_cluster("cluster", reader->text, reader->len, problem)) {
        memcpy(reader->cluster, reader->text, reader->len);
        reader->cluster[reader->len] = '\0';
        *cluster = reader->cluster;
    }
}

static bool parse_line(struct question_reader *reader, const char *line, size_t len,
                       struct problem *problem)
{
    struct json_fault fault = {0};
    int err = len > reader->max_line
                  ? W_ELIMIT
                  : json_parse(reader->parser, reader->paths, line, len, reader->values, &fault);
    if (err == W_ELIMIT && len > reader->max_line) {
        return problem_set(problem, 413, NULL,
                           "the line is longer than %zu bytes (--http-max-line)", reader->max_line);
    }
    if (err != 0) {
        return problem_set(problem, err == -ENOMEM ? 503 : 400, NULL,
                           "the line is not a JSON object: %s at byte %zu",
                           fault.what != NULL ? fault.what : err_str(err), fault.offset);
    }
    return true;
}

bool question_read(struct question_reader *reader, const char *line, size_t len,
                   const char *cluster, int64_t now_us, struct question *question,
                   struct problem *problem)
{
    if (!parse_line(reader, line, len, problem)) {
        return false;
    }
    *question = (struct question){.cluster = cluster, .start_us = now_us, .shows_start = true};
    read_addr(reader, SRC, &question->source, problem);
    read_addr(reader, DST, &question->destination, problem);
    read_time(reader, AT, &question->start_us, problem);
    question->end_us = question->start_us;
    read_time(reader, END, &question->end_us, problem);
    read_bool(reader, SHOWS_START, &question->shows_start, problem);
    read_cluster(reader, &question->cluster, problem);
    read_record(reader, question, problem);
    if (problem->status == 0 && question->end_us < question->start_us) {
        problem_set(problem, 400, "end", "end: expected a time not before `at`");
    }
    return problem->status == 0;
}
