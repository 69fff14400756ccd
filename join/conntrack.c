/* join/conntrack.c -- `conntrack -E` and `conntrack -L`
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [1779444001.123456]\t    [NEW] tcp      6 120 SYN_SENT src=192.0.2.7 dst=203.0.113.10
 *       sport=40112 dport=443 [UNREPLIED] src=198.51.100.9 dst=192.0.2.7 sport=8443 dport=40112
 *
 * The time is there with -o timestamp; the lines of a list have none. The kernel tells when a
 * connection began only where nf_conntrack_timestamp is on: delta-time= (its age in seconds, at its
 * end) or [start=...] (-o ktimestamp).
 */
#include "join/format.h"

#include <string.h>

#include "base/clock.h"
#include "join/field.h"
#include "join/tuples.h"

enum event { LISTED, NEW, UPDATE, DESTROY, EVENTS };

/* What is before the tuples. */
struct head {
    int64_t time_us; /* 0 if there is none */
    bool exact;      /* the time has its year */
    struct text node;
    enum event event;
    struct text rest; /* from the protocol on */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word, of no length at the end. */
static struct text next_word(struct text *rest)
{
    *rest = text_trim(*rest);
    size_t len = 0;
    while (len < rest->len && !is_space(rest->data[len])) {
        len++;
    }
    struct text word = {rest->data, len};
    *rest = (struct text){rest->data + len, rest->len - len};
    return word;
}

/* "[1779444001.123456]", of which an old version made "[1779444001.123456]>". */
static bool peel_time(struct head *head)
{
    const char *end = memchr(head->rest.data, ']', head->rest.len);
    if (head->rest.len < 2 || head->rest.data[0] != '[' || !is_digit(head->rest.data[1]) ||
        end == NULL) {
        return false;
    }
    size_t len = (size_t)(end - head->rest.data) + 1;
    if (!time_parse(&head->time_us, head->rest.data + 1, len - 2, 0)) {
        head->time_us = 0;
    }
    head->exact = head->time_us != 0;
    head->rest = (struct text){end + 1, head->rest.len - len};
    if (head->rest.len > 0 && head->rest.data[0] == '>') {
        head->rest = (struct text){head->rest.data + 1, head->rest.len - 1};
    }
    return true;
}

/* What a system log put before it: its time, host, and "conntrack[77]:". */
static void peel_log(struct parser *parser, struct head *head)
{
    struct syslog_head log;
    if (!syslog_peel(head->rest, &parser->civil, parser->year_near_us, &log)) {
        return;
    }
    head->time_us = log.time_us;
    head->exact = log.exact;
    head->node = log.host;
    head->rest = log.message;
    struct text after = head->rest;
    struct text tag = next_word(&after);
    if (tag.len > 0 && tag.data[tag.len - 1] == ':') {
        head->rest = after;
    }
}

static enum event event_of(struct text word)
{
    static const char *const WORDS[EVENTS] = {
        [LISTED] = "", [NEW] = "[NEW]", [UPDATE] = "[UPDATE]", [DESTROY] = "[DESTROY]"};
    for (int i = NEW; i < EVENTS; i++) {
        if (text_is(word, WORDS[i])) {
            return (enum event)i;
        }
    }
    return LISTED;
}

/* The text behind the first `count` places where `what` stands, NULL if there are fewer. */
static const char *find_times(struct text in, const char *what, int count)
{
    const char *end = in.data + in.len;
    const char *at = in.data;
    for (int i = 0; i < count && at != NULL; i++) {
        at = memmem(at, (size_t)(end - at), what, strlen(what));
        at = at != NULL ? at + strlen(what) : NULL;
    }
    return at;
}

/* Whether the line has two tuples behind a protocol and its number. */
static bool split(struct parser *parser, struct text line, struct head *head)
{
    *head = (struct head){.rest = line};
    if (line.len == 0 || line.data[0] == '{' || find_times(line, " src=", 2) == NULL ||
        find_times(line, " dst=", 2) == NULL) {
        return false;
    }
    if (!peel_time(head)) {
        peel_log(parser, head);
    }
    struct text after = head->rest;
    head->event = event_of(next_word(&after));
    head->rest = head->event != LISTED ? after : head->rest;
    after = head->rest;
    struct text protocol = next_word(&after);
    /* The family and its number, with -o extended. */
    if (text_is(protocol, "ipv4") || text_is(protocol, "ipv6")) {
        next_word(&after);
        head->rest = after;
        protocol = next_word(&after);
    }
    struct text number = next_word(&after);
    uint64_t value;
    return protocol.len > 0 && field_u64(number, &value) && value <= 255;
}

static unsigned score(struct parser *parser, struct text line)
{
    struct head head;
    return split(parser, line, &head) ? 90 : 0;
}

/* One key=value; the first of a key is the original tuple's, the second the reply's. */
static void take_word(struct text word, struct tuple *original, struct tuple *reply)
{
    static const struct {
        const char *key;
        size_t offset;
    } KEYS[] = {
        {"src=", offsetof(struct tuple, source)},
        {"dst=", offsetof(struct tuple, destination)},
        {"sport=", offsetof(struct tuple, source_port)},
        {"dport=", offsetof(struct tuple, destination_port)},
        {"bytes=", offsetof(struct tuple, bytes)},
    };
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        if (!text_begins(word, KEYS[i].key)) {
            continue;
        }
        size_t len = strlen(KEYS[i].key);
        struct text *first = (struct text *)((char *)original + KEYS[i].offset);
        struct text *second = (struct text *)((char *)reply + KEYS[i].offset);
        *(first->data == NULL ? first : second) = (struct text){word.data + len, word.len - len};
    }
}

/* "[start=Fri May 22 10:00:01 2026]", in the zone of the process; 0 if there is none. */
static int64_t read_kernel_start(struct parser *parser, struct text rest)
{
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = find_times(rest, "[start=", 1);
    struct text words[5];
    uint64_t day, year, clock[3];
    if (at == NULL) {
        return 0;
    }
    const char *end = memchr(at, ']', (size_t)(rest.data + rest.len - at));
    struct text text = {at, (size_t)((end != NULL ? end : rest.data + rest.len) - at)};
    for (size_t i = 0; i < 5; i++) {
        words[i] = next_word(&text);
    }
    struct text part = words[3];
    bool timed = part.len == 8;
    for (size_t i = 0; i < 3; i++) {
        struct text digits;
        timed = timed && cell_next(&part, ':', 0, &digits) && field_u64(digits, &clock[i]);
    }
    const char *month =
        words[1].len == 3 ? memmem(MONTHS, sizeof(MONTHS) - 1, words[1].data, 3) : NULL;
    if (!timed || month == NULL || (month - MONTHS) % 3 != 0 || words[2].len > 2 ||
        words[4].len != 4 || !field_u64(words[2], &day) || !field_u64(words[4], &year)) {
        return 0;
    }
    int64_t time_us = civil_to_us(&parser->civil, (int)year, (int)(month - MONTHS) / 3 + 1,
                                  (int)day, (int)clock[0], (int)clock[1], (int)clock[2]);
    return time_us >= TIME_MIN_US && time_us < TIME_MAX_US ? time_us : 0;
}

/* When it began, to the second; 0 if that is not told. */
static int64_t read_start(struct parser *parser, const struct head *head, struct text age)
{
    uint64_t age_s;
    int64_t start_us = read_kernel_start(parser, head->rest);
    if (start_us != 0 || head->time_us == 0 || !field_u64(age, &age_s) ||
        age_s >= (uint64_t)((head->time_us - TIME_MIN_US) / US_PER_S)) {
        return start_us;
    }
    /* The age is cut to whole seconds. */
    return head->time_us - (int64_t)age_s * US_PER_S - (US_PER_S - 1);
}

/* A new connection's event is its first packet. Of others the start may be told; otherwise the time
 * is that of the event. */
static void read_time(struct parser *parser, const struct head *head, struct text age,
                      struct flow_record *record)
{
    struct flow *flow = &record->flow;
    int64_t start_us = head->event == NEW ? 0 : read_start(parser, head, age);
    flow->shows_start = head->event == NEW || start_us != 0;
    parse_time(record, start_us != 0 ? start_us : head->time_us);
    if (start_us != 0) {
        flow->precision_us = US_PER_S - 1;
        flow->end_us = head->time_us > start_us ? head->time_us : start_us;
    }
}

static enum parsed parse(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record)
{
    struct head head;
    struct tuple original = {0}, reply = {0};
    struct text protocol, word, age = {NULL, 0};
    if (!split(parser, line, &head)) {
        return PARSED_FOREIGN;
    }
    if (head.event == UPDATE) {
        return parse_skip(record, SKIP_REPEAT);
    }
    struct text rest = head.rest;
    next_word(&rest);
    protocol = next_word(&rest);
    while ((word = next_word(&rest)).len > 0) {
        take_word(word, &original, &reply);
        if (text_begins(word, "delta-time=")) {
            age = (struct text){word.data + 11, word.len - 11};
        }
    }
    record->flow.dataset = "conntrack";
    tuples_read(record, protocol, &original, &reply);
    if (outer->time_us != 0 && !head.exact) {
        head.time_us = outer->time_us;
    }
    read_time(parser, &head, age, record);
    record->flow.source_id.node = head.node.data != NULL ? head.node : outer->node;
    return PARSED_FLOW;
}

const struct format FORMAT_CONNTRACK = {
    .name = "conntrack",
    .description = "`conntrack -E -o timestamp`, or -L",
    .score = score,
    .parse = parse,
};
