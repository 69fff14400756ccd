/* cli/flags.c -- the table of all flags and the parsers of their values
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BIT(command) (UINT32_C(1) << (command))
#define SERVE BIT(COMMAND_SERVE)
#define INGEST BIT(COMMAND_INGEST)
#define JOIN BIT(COMMAND_JOIN)
#define LOOKUP BIT(COMMAND_LOOKUP)
#define NAMES BIT(COMMAND_NAMES)
#define STATUS BIT(COMMAND_STATUS)
#define DOCTOR BIT(COMMAND_DOCTOR)
#define ASKING (JOIN | LOOKUP | NAMES | STATUS | DOCTOR)
#define EVERY (SERVE | INGEST | ASKING)
/* The commands that answer DESIGN section 3: serve does it over HTTP. */
#define JUDGING (SERVE | JOIN | LOOKUP)

#define AT(field) .offset = offsetof(struct settings, field)
/* The name is the YAML key too. */
#define FLAG(text) .name = text, .key = text

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

const struct flag FLAGS[] = {
    {FLAG("dnstap"), "LISTEN", NULL,
     "where senders connect: unix:PATH, tcp:ADDR:PORT, tcp:[ADDR]:PORT, or tls: for tcp:, with "
     ",cluster=NAME for those of one cluster; repeatable. With none, the sockets systemd passes",
     AT(dnstap), .commands = SERVE, .type = FLAG_TEXTS, .group = GROUP_DNSTAP},
    {FLAG("dnstap-mode"), "MODE", "0666",
     "permissions of unix sockets; bound who may send with the folder they are in", AT(dnstap_mode),
     .commands = SERVE, .type = FLAG_MODE, .group = GROUP_DNSTAP},
    {FLAG("dnstap-allow"), "CIDR", NULL, "who may send over TCP; repeatable. With none, everyone",
     AT(dnstap_allow), .commands = SERVE, .type = FLAG_CIDRS, .group = GROUP_DNSTAP},
    {FLAG("tls-cert"), "FILE", NULL,
     "certificate (PEM) for tls: listeners, with those that lead to its authority; read anew when "
     "it changes",
     AT(tls_cert), .commands = SERVE, .type = FLAG_TEXT, .group = GROUP_DNSTAP},
    {FLAG("tls-key"), "FILE", NULL, "its private key (PEM)", AT(tls_key), .commands = SERVE,
     .type = FLAG_TEXT, .group = GROUP_DNSTAP},
    {FLAG("tls-client-ca"), "FILE", NULL,
     "authorities (PEM) of client certificates, which senders over TLS must then have",
     AT(tls_client_ca), .commands = SERVE, .type = FLAG_TEXT, .group = GROUP_DNSTAP},
    {FLAG("dnstap-max-frame"), "SIZE", "1MiB", "a longer frame is skipped and counted",
     AT(dnstap_max_frame), .min = 512, .max = 64 * MIB, .commands = SERVE, .type = FLAG_SIZE,
     .group = GROUP_DNSTAP},
    {FLAG("max-connections"), "N", "1024", "connected senders; the next one is refused",
     AT(max_connections), .min = 1, .max = 100000, .commands = SERVE, .type = FLAG_COUNT,
     .group = GROUP_DNSTAP},
    {FLAG("expect-senders"), "N", NULL,
     "how many senders there are; with fewer connected, the time counts as blind. Without it, "
     "those heard in the last hour that did not end with STOP",
     AT(expect_senders), .min = 1, .max = 100000, .commands = SERVE, .type = FLAG_COUNT,
     .group = GROUP_DNSTAP},
    {FLAG("kubernetes"), NULL, NULL,
     "inside of a cluster: learn from its API which pod, service or node has which address; needs "
     "get, list and watch on the three (deploy/kubernetes/central/rbac.yaml)",
     AT(kubernetes), .commands = SERVE, .type = FLAG_BOOL, .group = GROUP_DNSTAP},

    {FLAG("http"), "ADDR:PORT", "127.0.0.1:8053",
     "where lookups and metrics are served; beyond loopback it needs --http-token-file", AT(http),
     .commands = SERVE, .type = FLAG_ENDPOINT, .group = GROUP_HTTP},
    {FLAG("http-token-file"), "FILE", NULL,
     "its first line is the token every request but /healthz, /readyz and /metrics must bear",
     AT(http_token_file), .commands = SERVE, .type = FLAG_TEXT, .group = GROUP_HTTP},
    {FLAG("http-threads"), "N", "2", "threads that answer requests", AT(http_threads), .min = 1,
     .max = 64, .commands = SERVE, .type = FLAG_COUNT, .group = GROUP_HTTP},
    {FLAG("http-max-body"), "SIZE", "64MiB", "longest request body", AT(http_max_body), .min = KIB,
     .max = 16 * GIB, .commands = SERVE, .type = FLAG_SIZE, .group = GROUP_HTTP},
    {FLAG("http-max-line"), "SIZE", "64KiB", "longest line in a request body", AT(http_max_line),
     .min = 256, .max = 16 * MIB, .commands = SERVE, .type = FLAG_SIZE, .group = GROUP_HTTP},
    {FLAG("http-rate"), "N", "0", "requests a second from one address; 0 for no limit",
     AT(http_rate), .min = 0, .max = 10000000, .commands = SERVE, .type = FLAG_COUNT,
     .group = GROUP_HTTP},

    {FLAG("data"), "DIR", NULL,
     "folder of the index; without it $WHITHER_DATA, else /var/lib/whither", AT(data),
     .commands = EVERY, .type = FLAG_TEXT, .group = GROUP_INDEX},
    {FLAG("server"), "URL", NULL, "ask a running service instead, as http://127.0.0.1:8053",
     AT(server), .commands = INGEST | ASKING, .type = FLAG_TEXT, .group = GROUP_INDEX},
    {FLAG("token-file"), "FILE", NULL, "its first line is the token for --server", AT(token_file),
     .commands = INGEST | ASKING, .type = FLAG_TEXT, .group = GROUP_INDEX},
    {"dnstap", "captures", "FILE", NULL,
     "a Frame Streams capture to use instead of an index; repeatable (YAML key: captures)",
     AT(captures), .commands = JOIN, .type = FLAG_TEXTS, .group = GROUP_INDEX},
    {FLAG("owners"), "FILE", NULL,
     "whose the addresses were: `kubectl get pods,services,nodes -A -o json`, a recorded watch, or "
     "kube-state-metrics text; FILE,cluster=NAME; repeatable",
     AT(owners), .commands = JUDGING | DOCTOR, .type = FLAG_TEXTS, .group = GROUP_INDEX},
    {FLAG("cluster"), "NAME", "default", "cluster the addresses belong to", AT(cluster),
     .commands = EVERY & ~STATUS, .type = FLAG_TEXT, .group = GROUP_INDEX},
    {FLAG("cluster-of"), "PATTERN=NAME", NULL,
     "cluster of the senders whose dnstap identity matches a shell pattern; the first that matches "
     "counts, --cluster where none does; repeatable",
     AT(cluster_of), .commands = SERVE | INGEST | JOIN, .type = FLAG_CLUSTERS,
     .group = GROUP_INDEX},
    {FLAG("retention"), "DURATION", "8d", "days older than this are dropped whole",
     AT(retention_us), .min = US_PER_HOUR, .max = 3650 * US_PER_DAY, .commands = SERVE,
     .type = FLAG_DURATION, .group = GROUP_INDEX},
    {FLAG("memory"), "SIZE", "256MiB", "bound on the memory of the service, page cache left out",
     AT(memory_bytes), .min = 32 * MIB, .max = 1024 * GIB, .commands = SERVE, .type = FLAG_SIZE,
     .group = GROUP_INDEX},

    {FLAG("covers"), "FROM..TO", NULL,
     "the time the captures cover; without it, from their first to their last frame", AT(covers),
     .commands = INGEST, .type = FLAG_RANGE, .group = GROUP_INPUT},
    {FLAG("from"), "FORMAT", NULL, "format of the flow records; without it, found by content",
     AT(from), .commands = SERVE | JOIN | DOCTOR, .type = FLAG_TEXT, .group = GROUP_INPUT},
    {FLAG("map"), "FIELD=NAME,...", NULL,
     "what is what in other JSON and CSV, as source.ip=src,destination.ip=dst,@timestamp=ts; "
     "repeatable",
     AT(maps), .commands = SERVE | JOIN | DOCTOR, .type = FLAG_TEXTS, .group = GROUP_INPUT},
    {FLAG("flows"), "SOURCE", NULL,
     "flow logs to follow and name, as whither join --follow SOURCE; needs --out; repeatable",
     AT(flows), .commands = SERVE, .type = FLAG_TEXTS, .group = GROUP_INPUT},
    {FLAG("follow"), NULL, NULL,
     "keep going: read what is added to the files, through rotation, and name it as the answers "
     "come in",
     AT(follow), .commands = JOIN, .type = FLAG_BOOL, .group = GROUP_INPUT},
    {FLAG("checkpoint"), "FILE", NULL,
     "with --follow or --flows: where it is kept how far that got, for a restart; without it, "
     "PATH.checkpoint "
     "for --out file:PATH",
     AT(checkpoint), .commands = SERVE | JOIN, .type = FLAG_TEXT, .group = GROUP_INPUT},
    {FLAG("columns"), "NAMES", NULL,
     "what the columns are called where no header says so, as 'srcaddr dstaddr start end'",
     AT(columns), .commands = SERVE | JOIN | DOCTOR, .type = FLAG_TEXT, .group = GROUP_INPUT},
    {FLAG("verdict"), "PREFIX=ACTION", NULL,
     "what a kernel LOG prefix says: allowed, denied, logged or unknown; repeatable", AT(verdicts),
     .commands = SERVE | JOIN | DOCTOR, .type = FLAG_VERDICTS, .group = GROUP_INPUT},
    {FLAG("tz"), "ZONE", NULL,
     "zone of inputs that carry none: UTC (the default), +HH:MM or a name as Europe/Berlin", AT(tz),
     .commands = SERVE | JOIN | DOCTOR, .type = FLAG_TEXT, .group = GROUP_INPUT},
    {FLAG("at"), "TIME", NULL, "when the connection began; without it, now", AT(at_us),
     .commands = LOOKUP, .type = FLAG_TIME, .group = GROUP_INPUT},
    {FLAG("under"), NULL, NULL, "the name and every name under it", AT(under), .commands = NAMES,
     .type = FLAG_BOOL, .group = GROUP_INPUT},
    {FLAG("window"), "DURATION", NULL,
     "how far back to look, as 24h or 7d; 24h without it. With it, the index must reach back so "
     "far",
     AT(window_us), .min = US_PER_MIN, .max = 3650 * US_PER_DAY, .commands = DOCTOR,
     .type = FLAG_DURATION, .group = GROUP_INPUT},
    {FLAG("since"), "TIME", NULL, "only answers from then on", AT(since_us), .commands = NAMES,
     .type = FLAG_TIME, .group = GROUP_INPUT},
    {FLAG("until"), "TIME", NULL, "only answers up to then", AT(until_us), .commands = NAMES,
     .type = FLAG_TIME, .group = GROUP_INPUT},
    {FLAG("limit"), "N", "100", "rows at most", AT(limit), .min = 1, .max = 10000000,
     .commands = NAMES, .type = FLAG_COUNT, .group = GROUP_OUTPUT},

    {FLAG("horizon"), "DURATION", "24h",
     "how old an answer may be to explain a connection; at most an hour while nobody knows who "
     "owns the address",
     AT(horizon_us), .min = US_PER_S, .max = 3650 * US_PER_DAY, .commands = JUDGING,
     .type = FLAG_DURATION, .group = GROUP_ATTRIBUTION},
    {FLAG("grace"), "DURATION", "60s", "how long an answer is live past its TTL", AT(grace_us),
     .min = 0, .max = 30 * US_PER_DAY, .commands = JUDGING, .type = FLAG_DURATION,
     .group = GROUP_ATTRIBUTION},
    {FLAG("skew"), "DURATION", "2s", "how far the clocks of answers and flows may differ",
     AT(skew_us), .min = 0, .max = US_PER_HOUR, .commands = JUDGING | DOCTOR, .type = FLAG_DURATION,
     .group = GROUP_ATTRIBUTION},
    {FLAG("settle"), "DURATION", "60s", "how late the answers of a connected sender may come",
     AT(settle_us), .min = 0, .max = US_PER_DAY, .commands = JUDGING | DOCTOR,
     .type = FLAG_DURATION, .group = GROUP_ATTRIBUTION},
    {FLAG("candidates"), "N", "8", "names listed for one flow; more are counted", AT(candidates),
     .min = 1, .max = ATTRIBUTE_CANDIDATES_MAX, .commands = JUDGING, .type = FLAG_COUNT,
     .group = GROUP_ATTRIBUTION},
    {FLAG("cluster-domain"), "NAME", "cluster.local",
     "domain of the cluster and other search domains; repeatable", AT(cluster_domain),
     .commands = JUDGING, .type = FLAG_DOMAINS, .group = GROUP_ATTRIBUTION},

    {FLAG("to"), "FORMAT", NULL, "ecs, inline, table or csv; table on a terminal, else ecs", AT(to),
     .commands = SERVE | JOIN, .type = FLAG_TEXT, .group = GROUP_OUTPUT},
    {FLAG("out"), "SINK", NULL,
     "with --follow or --flows: where the flows go, - (standard output) or file:PATH, which after "
     "a restart "
     "has each flow once",
     AT(out), .commands = SERVE | JOIN, .type = FLAG_TEXT, .group = GROUP_OUTPUT},
    {FLAG("explain"), "N", NULL, "why line (or Loki entry) N of each source got its name, in words",
     AT(explain), .min = 1, .max = UINT32_MAX, .commands = JOIN, .type = FLAG_COUNT,
     .group = GROUP_OUTPUT},
    {FLAG("output"), "text|json", NULL, "text on a terminal, else JSON lines", AT(output),
     .commands = LOOKUP | NAMES | STATUS | DOCTOR, .type = FLAG_OUTPUT, .group = GROUP_OUTPUT},
    {FLAG("quiet"), NULL, NULL, "no progress and no final count", AT(quiet), .commands = EVERY,
     .type = FLAG_BOOL, .group = GROUP_OUTPUT},

    {FLAG("log-level"), "LEVEL", "info", "error, warn, info or debug", AT(log_level),
     .commands = EVERY, .type = FLAG_LOG_LEVEL, .group = GROUP_GENERAL},
    {"config", NULL, "FILE", NULL, "YAML file whose keys are the flags; the command line wins",
     AT(config), .commands = EVERY, .type = FLAG_TEXT, .group = GROUP_GENERAL},
    {"help", NULL, NULL, NULL, "this page", AT(request), .commands = EVERY | BIT(COMMAND_NONE),
     .type = FLAG_REQUEST, .group = GROUP_GENERAL},
    {"version", NULL, NULL, NULL, "the version", AT(request), .commands = EVERY | BIT(COMMAND_NONE),
     .type = FLAG_REQUEST, .group = GROUP_GENERAL},
};
const size_t FLAG_COUNT_ALL = sizeof(FLAGS) / sizeof(FLAGS[0]);

bool flag_is_list(const struct flag *flag)
{
    return flag->type == FLAG_TEXTS || flag->type == FLAG_CIDRS || flag->type == FLAG_DOMAINS ||
           flag->type == FLAG_VERDICTS || flag->type == FLAG_CLUSTERS;
}

bool flag_fits(const struct flag *flag, enum command command)
{
    return (flag->commands & BIT(command)) != 0;
}

/* Decimal digits only: strtoull would take spaces, signs and a prefix. */
static bool parse_digits(uint64_t *value, const char *text, size_t len)
{
    *value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value)) {
            return false;
        }
    }
    return len > 0;
}

static int set_count(const struct flag *flag, uint32_t *count, const char *text, struct why *why)
{
    uint64_t value;
    if (!parse_digits(&value, text, strlen(text)) || value < (uint64_t)flag->min ||
        value > (uint64_t)flag->max) {
        return why_set(why, W_EUSAGE, "expected a number from %" PRId64 " to %" PRId64, flag->min,
                       flag->max);
    }
    *count = (uint32_t)value;
    return 0;
}

/* Prints a number of bytes with the largest unit that leaves no fraction. */
static void print_size(char *text, size_t room, int64_t bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, room, "%" PRId64 "%s", bytes, UNITS[unit]);
}

static int set_size(const struct flag *flag, uint64_t *size, const char *text, struct why *why)
{
    static const struct {
        const char *text;
        uint64_t factor;
    } UNITS[] = {{"", 1},     {"B", 1},     {"KiB", KIB},    {"MiB", MIB},      {"GiB", GIB},
                 {"K", KIB},  {"M", MIB},   {"G", GIB},      {"Ki", KIB},       {"Mi", MIB},
                 {"Gi", GIB}, {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000}};
    size_t digits = strspn(text, "0123456789");
    uint64_t value;
    uint64_t factor = 0;
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        if (strcmp(text + digits, UNITS[i].text) == 0) {
            factor = UNITS[i].factor;
        }
    }
    if (factor == 0 || !parse_digits(&value, text, digits) ||
        __builtin_mul_overflow(value, factor, &value) || value < (uint64_t)flag->min ||
        value > (uint64_t)flag->max) {
        char least[24];
        char most[24];
        print_size(least, sizeof(least), flag->min);
        print_size(most, sizeof(most), flag->max);
        return why_set(why, W_EUSAGE, "expected a size from %s to %s, as 64KiB, 1MiB or 1GiB",
                       least, most);
    }
    *size = value;
    return 0;
}

static void print_duration(char *text, size_t room, int64_t us)
{
    static const struct {
        int64_t us;
        const char *text;
    } UNITS[] = {{US_PER_DAY, "d"}, {US_PER_HOUR, "h"}, {US_PER_MIN, "m"}, {US_PER_S, "s"}};
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        if (us >= UNITS[i].us && us % UNITS[i].us == 0) {
            snprintf(text, room, "%" PRId64 "%s", us / UNITS[i].us, UNITS[i].text);
            return;
        }
    }
    snprintf(text, room, "%" PRId64 "s", us / US_PER_S);
}

static int set_duration(const struct flag *flag, int64_t *us, const char *text, struct why *why)
{
    int64_t value;
    if (!duration_parse(&value, text, strlen(text)) || value < flag->min || value > flag->max) {
        char least[24];
        char most[24];
        print_duration(least, sizeof(least), flag->min);
        print_duration(most, sizeof(most), flag->max);
        return why_set(why, W_EUSAGE,
                       "expected a duration from %s to %s, as 250ms, 2s, 10m, 24h or 8d", least,
                       most);
    }
    *us = value;
    return 0;
}

static int set_time(int64_t *us, const char *text, size_t len, struct why *why)
{
    if (!time_parse(us, text, len, 0)) {
        return why_set(why, W_EUSAGE,
                       "expected a time, as 2026-05-22T10:00:01.5Z or seconds since the epoch");
    }
    return 0;
}

static int set_range(struct time_range *range, const char *text, struct why *why)
{
    struct time_range value;
    const char *dots = strstr(text, "..");
    if (dots == NULL || !time_parse(&value.from_us, text, (size_t)(dots - text), 0) ||
        !time_parse(&value.to_us, dots + 2, strlen(dots + 2), 0) || value.from_us > value.to_us) {
        return why_set(why, W_EUSAGE,
                       "expected FROM..TO, as 2026-05-22T10:00:00Z..2026-05-22T11:00:00Z");
    }
    *range = value;
    return 0;
}

static int set_mode(uint32_t *mode, const char *text, struct why *why)
{
    size_t len = strlen(text);
    if (len < 3 || len > 4 || strspn(text, "01234567") != len || strtoul(text, NULL, 8) > 0777) {
        return why_set(why, W_EUSAGE, "expected octal permissions, as 0660");
    }
    *mode = (uint32_t)strtoul(text, NULL, 8);
    return 0;
}

/* "192.0.2.1:8053" or "[2001:db8::1]:8053". Names are not taken: nothing here resolves one. */
static int set_endpoint(struct endpoint *endpoint, const char *text, struct why *why)
{
    const char *colon = strrchr(text, ':');
    const char *start = text;
    const char *end = colon;
    struct endpoint value;
    uint64_t port = 0;
    bool bracketed = text[0] == '[' && colon != NULL && colon > text + 1 && colon[-1] == ']';
    if (bracketed) {
        start++;
        end--;
    }
    bool ok =
        colon != NULL && addr_parse(&value.addr, start, (size_t)(end - start)) &&
        memchr(start, ':', (size_t)(end - start)) == (bracketed ? strchr(start, ':') : NULL) &&
        parse_digits(&port, colon + 1, strlen(colon + 1)) && port <= UINT16_MAX;
    if (!ok) {
        return why_set(why, W_EUSAGE,
                       "expected an IP address and a port from 0 to 65535, as 127.0.0.1:8053 or "
                       "[::1]:8053");
    }
    value.port = (uint16_t)port;
    *endpoint = value;
    return 0;
}

static int add_text(struct string_list *list, const char *text)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = text;
    return 0;
}

static int add_cidr(struct cidr_list *list, const char *text, struct why *why)
{
    struct cidr value;
    if (!cidr_parse(&value, text, strlen(text))) {
        return why_set(why, W_EUSAGE, "expected a network, as 192.0.2.0/24 or 2001:db8::/32");
    }
    struct cidr *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = value;
    return 0;
}

static int add_domain(struct name_list *list, const char *text, struct why *why)
{
    struct name value;
    if (name_from_text(&value, text, strlen(text)) != 0 || value.len <= 1) {
        return why_set(why, W_EUSAGE, "expected a domain name, as cluster.local");
    }
    struct name *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = value;
    return 0;
}

static int add_cluster_rule(struct cluster_rules *list, const char *text, struct why *why)
{
    struct cluster_rule rule;
    if (!cluster_rule_parse(&rule, text)) {
        return why_set(why, W_EUSAGE, "expected PATTERN=NAME, as coredns-a-*=prod-a");
    }
    struct cluster_rule *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (items == NULL) {
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = rule;
    return 0;
}

/* The rule keeps a copy of the prefix, because the text goes on behind it. */
static int add_verdict(struct verdict_list *list, const char *text, struct why *why)
{
    static const struct {
        const char *text;
        enum flow_action action;
    } ACTIONS[] = {{"allowed", FLOW_ALLOWED},
                   {"denied", FLOW_DENIED},
                   {"logged", FLOW_LOGGED},
                   {"unknown", FLOW_UNKNOWN}};
    const char *equals = strrchr(text, '=');
    for (size_t i = 0; equals != NULL && equals > text && i < 4; i++) {
        if (strcmp(equals + 1, ACTIONS[i].text) != 0) {
            continue;
        }
        struct verdict_rule *items = realloc(list->items, (list->count + 1) * sizeof(*items));
        if (items == NULL) {
            return -ENOMEM;
        }
        list->items = items;
        char *prefix = strndup(text, (size_t)(equals - text));
        if (prefix == NULL) {
            return -ENOMEM;
        }
        items[list->count++] = (struct verdict_rule){prefix, ACTIONS[i].action};
        return 0;
    }
    return why_set(why, W_EUSAGE,
                   "expected PREFIX=ACTION with allowed, denied, logged or unknown, as "
                   "calico-drop=denied");
}

static int set_bool(bool *value, const char *text, struct why *why)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0 ? 0
                                                : why_set(why, W_EUSAGE, "expected true or false");
}

/* Index of `text` in a list of words, or -1. */
static int word_index(const char *const *words, int count, const char *text)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

static int set_output(enum output *output, const char *text, struct why *why)
{
    static const char *const WORDS[] = {[OUTPUT_TEXT] = "text", [OUTPUT_JSON] = "json"};
    int index = word_index(WORDS, 2, text);
    *output = index < 0 ? OUTPUT_TEXT : (enum output)index;
    return index >= 0 ? 0 : why_set(why, W_EUSAGE, "expected text or json");
}

static int set_log_level(enum log_level *level, const char *text, struct why *why)
{
    static const char *const WORDS[] = {[LOG_LEVEL_ERROR] = "error",
                                        [LOG_LEVEL_WARN] = "warn",
                                        [LOG_LEVEL_INFO] = "info",
                                        [LOG_LEVEL_DEBUG] = "debug"};
    int index = word_index(WORDS, 4, text);
    *level = index < 0 ? LOG_LEVEL_INFO : (enum log_level)index;
    return index >= 0 ? 0 : why_set(why, W_EUSAGE, "expected error, warn, info or debug");
}

int flag_set(const struct flag *flag, struct settings *settings, const char *text, struct why *why)
{
    void *field = (char *)settings + flag->offset;
    if (text[0] == '\0') {
        return why_set(why, W_EUSAGE, "expected %s", flag->placeholder);
    }
    switch (flag->type) {
    case FLAG_TEXT:
        *(const char **)field = text;
        return 0;
    case FLAG_TEXTS:
        return add_text(field, text);
    case FLAG_BOOL:
        return set_bool(field, text, why);
    case FLAG_COUNT:
        return set_count(flag, field, text, why);
    case FLAG_SIZE:
        return set_size(flag, field, text, why);
    case FLAG_DURATION:
        return set_duration(flag, field, text, why);
    case FLAG_TIME:
        return set_time(field, text, strlen(text), why);
    case FLAG_RANGE:
        return set_range(field, text, why);
    case FLAG_MODE:
        return set_mode(field, text, why);
    case FLAG_ENDPOINT:
        return set_endpoint(field, text, why);
    case FLAG_CIDRS:
        return add_cidr(field, text, why);
    case FLAG_DOMAINS:
        return add_domain(field, text, why);
    case FLAG_VERDICTS:
        return add_verdict(field, text, why);
    case FLAG_CLUSTERS:
        return add_cluster_rule(field, text, why);
    case FLAG_OUTPUT:
        return set_output(field, text, why);
    case FLAG_LOG_LEVEL:
        return set_log_level(field, text, why);
    case FLAG_REQUEST:
        *(enum request *)field =
            strcmp(flag->name, "version") == 0 ? REQUEST_VERSION : REQUEST_HELP;
        return 0;
    }
    return why_set(why, W_EUSAGE, "cannot be set");
}

void flag_clear(const struct flag *flag, struct settings *settings)
{
    void *field = (char *)settings + flag->offset;
    if (flag->type == FLAG_TEXTS) {
        struct string_list *list = field;
        free(list->items);
        *list = (struct string_list){0};
    } else if (flag->type == FLAG_CIDRS) {
        struct cidr_list *list = field;
        free(list->items);
        *list = (struct cidr_list){0};
    } else if (flag->type == FLAG_CLUSTERS) {
        struct cluster_rules *list = field;
        free(list->items);
        *list = (struct cluster_rules){0};
    } else if (flag->type == FLAG_DOMAINS) {
        struct name_list *list = field;
        free(list->items);
        *list = (struct name_list){0};
    } else if (flag->type == FLAG_VERDICTS) {
        struct verdict_list *list = field;
        for (size_t i = 0; i < list->count; i++) {
            free((char *)list->items[i].prefix);
        }
        free(list->items);
        *list = (struct verdict_list){0};
    }
}
