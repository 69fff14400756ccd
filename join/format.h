/* join/format.h -- the formats a flow record comes in
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file for each format. Some are wrappers: they peel off what a log system put around a line
 * (its time, the host) and hand the line inside to the format it is of; wrappers nest (journal JSON
 * as a Loki line). A record is a line, or an entry of a Loki document.
 *
 * Parsing keeps nothing from one record to the next but caches, so that records can be parsed in
 * any order and by several parsers.
 *
 * Threads: a parser belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/arena.h"
#include "join/flow.h"
#include "join/json.h"
#include "join/layout.h"
#include "join/skip.h"
#include "join/syslog.h"

/* A longer line, or entry of a document, is bad and passed over. */
#define RECORD_LEN_MAX (1024 * 1024)

/* What a kernel LOG prefix says about the packet. */
struct prefix_rule {
    const char *prefix; /* a line's prefix begins with it; of several the longest counts */
    enum flow_action action;
};

struct parser_options {
    const struct prefix_rule *prefixes; /* borrowed */
    size_t prefix_count;
    const char *columns; /* names of the columns where no header gives them; NULL: not given */
    const char *const *fields; /* columns that formats without names of their own read; borrowed */
    size_t field_count;
    const struct field_map *map; /* what the fields of other JSON and CSV are (join/map.h); NULL */
};

enum parsed {
    PARSED_FLOW,    /* the flow is filled; flow.unjoinable says if nothing can be asked of it */
    PARSED_DNS,     /* `dns` is filled: no flow, but an answer for the index */
    PARSED_SKIPPED, /* `skip` says why */
    PARSED_BAD,     /* `fault` says why */
    PARSED_FOREIGN, /* not of this format */
};

/* What the wrappers around a record said. */
struct outer {
    int64_t time_us; /* 0 if nothing */
    struct text node;
    struct text
        labels;     /* of the stream it came in: a JSON object; data is NULL if there are none */
    unsigned depth; /* wrappers around it */
};

/* A DNS response that a flow stream shows, with its client: it can feed the index like dnstap. */
struct dns_record {
    const char *source; /* who saw it; static: "hubble", "zeek", "suricata" */
    struct text sender; /* the node or sensor it saw it at; data is NULL if unknown */
    struct addr client;
    int64_t time_us;
    uint32_t ttl_s;
    uint16_t rcode;
    struct text
        answer; /* canonical (proto/answer.h), in the batch's arena; len 0: no address came */
};

/* One record and what became of it. */
struct flow_record {
    struct text text;   /* as read; lives as long as its batch */
    struct text labels; /* of the Loki stream it is of (a JSON object); data is NULL if there are
                           none; lives as long as its batch */
    uint64_t number;    /* line of its file, or entry of its document, from 1 */
    enum parsed parsed;
    enum skip skip;
    struct text kept;     /* the JSON record that --to inline keeps; NULL if it is not JSON */
    struct text fault;    /* PARSED_BAD: what is wrong; in the batch's arena or static */
    const char *doubtful; /* PARSED_FLOW: static; the record is counted as bad input all the same */
    const char *remark;   /* PARSED_FLOW: static, or NULL; what is true of all records of its kind,
                             and said once for each input */
    union {
        struct flow flow;      /* PARSED_FLOW */
        struct dns_record dns; /* PARSED_DNS */
    };
};

struct parser;

struct format {
    const char *name;
    const char *description; /* one line for --help */
    /* How sure it is that the line is of this format, 0 to 100. */
    unsigned (*score)(struct parser *parser, struct text line);
    enum parsed (*parse)(struct parser *parser, struct text line, const struct outer *outer,
                         struct flow_record *record);
    const struct columns *columns; /* NULL: its records name their fields themselves */
    bool wraps;                    /* its records hold lines that may be of another format */
};

extern const struct format FORMAT_HUBBLE;
extern const struct format FORMAT_KERNEL_LOG;
extern const struct format FORMAT_JOURNAL;
extern const struct format FORMAT_CALICO;
extern const struct format FORMAT_CALICO_EBPF;
extern const struct format FORMAT_GOLDMANE;
extern const struct format FORMAT_ANTREA;
extern const struct format FORMAT_ANTREA_S3;
extern const struct format FORMAT_AWS_VPC;
extern const struct format FORMAT_JSON;
extern const struct format FORMAT_CSV;
extern const struct format FORMAT_LOKI;
extern const struct format FORMAT_LOGCLI;
extern const struct format FORMAT_DOCKER;
extern const struct format FORMAT_CRI;
extern const struct format FORMAT_NETOBSERV;
extern const struct format FORMAT_SURICATA;
extern const struct format FORMAT_ZEEK;
extern const struct format FORMAT_CONNTRACK;
extern const struct format FORMAT_ULOGD;
extern const struct format FORMAT_SHIPPER;

/* All of them; ends with NULL. */
extern const struct format *const FORMATS[];

/* NULL if there is none of that name. */
const struct format *format_by_name(const char *name);
/* The format the line is most likely of, NULL if none. FORMAT_LOKI, a document, is not among them.
 */
const struct format *format_of_line(struct parser *parser, struct text line);

enum {
    PATHS_HUBBLE,
    PATHS_HUBBLE_BARE,
    PATHS_JOURNAL,
    PATHS_LOKI,
    PATHS_LOGCLI,
    PATHS_DOCKER,
    PATHS_NETOBSERV,
    PATHS_NETOBSERV_EVENT,
    PATHS_SURICATA,
    PATHS_SURICATA_ANSWER,
    PATHS_ZEEK,
    PATHS_ULOGD,
    PATHS_CALICO,
    PATHS_GOLDMANE,
    PATHS_SHIPPER,
    PATHS_MAP,
    PATHS_COUNT
};

/* What the formats share while they parse. */
struct parser {
    struct parser_options options;
    struct json_parser *json;
    struct json_paths *paths[PATHS_COUNT]; /* each format compiles its own on first use */
    struct arena *arena;                   /* of the batch in hand */
    const struct layout *layout; /* of the batch in hand; NULL where no columns were named */
    struct layout *otherwise;    /* what a format's columns are where the batch names none */
    struct civil civil;
    int64_t year_near_us;       /* the year of a time without one puts it nearest before this */
    bool no_memory;             /* something could not be read for want of memory */
    bool bare;                  /* the last Hubble record had no "flow" around it */
    const struct format *inner; /* of the last line in a wrapper; NULL at first */
};

/* Returns 0 or -ENOMEM. */
int parser_new(struct parser **parser, const struct parser_options *options);
void parser_free(struct parser **parser);

/* Parses record->text as `format`, or, if it is not of that and `only` is false, as whatever it is.
 * Strings go to `arena` and live until it is reset. Fills the rest of the record but its number.
 * Returns 0 or -ENOMEM. */
int parser_parse(struct parser *parser, const struct format *format, bool only, struct arena *arena,
                 struct flow_record *record);

/* ---- For the formats. ---- */

/* Parses a wrapped line as whatever it is; one that does not look like any is not a flow. */
enum parsed parse_inner(struct parser *parser, struct text line, const struct outer *outer,
                        struct flow_record *record);
/* Marks the record bad. `format` is a message that names the field. */
enum parsed parse_bad(struct parser *parser, struct flow_record *record, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum parsed parse_skip(struct flow_record *record, enum skip skip);
/* Parses the line with the pointers of one format. Returns 0, or what the format is to return. */
int parse_json(struct parser *parser, int set, const char *const *pointers, size_t count,
               struct text line, struct json_value *values, struct flow_record *record);
/* The columns of a record of `format`: those of the batch, or, within a wrapper, where there are no
 * headers, those of --columns or the format's own; NULL if there are none. */
const struct layout *parse_layout(struct parser *parser, const struct format *format);
/* A port as a JSON number or string; absent is 0, as protojson leaves out every zero. */
bool parse_port(const struct json_value *value, uint16_t *port);
/* Whether it is the string `word`. */
bool parse_is(const struct json_value *value, const char *word);
/* A number, or a string without escapes, as its text; NULL if it is neither. */
struct text parse_scalar(const struct json_value *value);
/* What a string means, NULL if it is none. */
struct text parse_text(struct parser *parser, const struct json_value *value);
/* Sets the addresses, or flow.unjoinable where they are absent, "", "-" or no addresses (then the
 * record is `doubtful`, too). */
void parse_pair(struct flow_record *record, struct text source, struct text destination);
/* Sets flow.start_us and end_us, or flow.unjoinable where `time_us` is 0. */
void parse_time(struct flow_record *record, int64_t time_us);
/* A time in RFC 3339 with its zone (without one it is UTC) or seconds since the epoch; 0 if it is
 * neither, or absent. */
int64_t parse_when(struct text text);
/* Sets flow.start_us .. end_us to the span of an aggregate. A missing time is 0, an end before the
 * start the start. */
void parse_span(struct flow_record *record, int64_t start_us, int64_t end_us, int64_t precision_us);
/* Sets the ports from decimal text, after parse_transport, if the protocol has any and the
 * destination's is not missing. */
void parse_ports(struct flow_record *record, struct text source, struct text destination);
/* The text, or none where it is an unspecified address: how some formats leave one out. */
struct text parse_address(struct text text);
/* Whether the ports say that a record of one direction is the way back: from where servers listen
 * to where clients are given a port. */
bool parse_is_way_back(const struct flow *flow);
/* Sets the name of an IP protocol as ECS has it ("tcp", "ipv6-icmp"), else the text itself in lower
 * case if it is a short word, else "". */
void parse_transport(struct flow *flow, struct text protocol);
