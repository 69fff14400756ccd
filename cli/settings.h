/* cli/settings.h -- what the command line, the environment and the YAML file say
 * SPDX-License-Identifier: Apache-2.0
 *
 * One struct for all subcommands and one table (settings.c) in which each flag stands once: name,
 * placeholder, help, commands, type, default. The table also makes --help and the keys of the YAML
 * file named by --config: a key is the flag's name without the dashes, lists are YAML sequences.
 * The command line wins over the environment, the environment over the file, the file over the
 * default. One file may serve all commands: keys of another command are checked and not used.
 *
 * Every value is checked here, so that a command can rely on it: numbers lie within their limits,
 * times and networks are parsed. Only what needs another layer is left as text (listeners, formats,
 * sources).
 *
 * Threads: filled before the first thread starts, then read only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/cluster.h"
#include "base/err.h"
#include "base/log.h"
#include "join/attribute.h"
#include "join/flow.h"
#include "proto/name.h"

enum command {
    COMMAND_NONE, /* --help or --version without a subcommand */
    COMMAND_SERVE,
    COMMAND_INGEST,
    COMMAND_JOIN,
    COMMAND_LOOKUP,
    COMMAND_NAMES,
    COMMAND_STATUS,
    COMMAND_DOCTOR,
    COMMAND_COUNT,
};
/* "serve", "ingest", ...; "" for COMMAND_NONE. */
const char *command_name(enum command command);

/* What a run asks for besides running its command. */
enum request { REQUEST_RUN, REQUEST_HELP, REQUEST_VERSION };

enum output { OUTPUT_TEXT, OUTPUT_JSON };

struct string_list {
    const char **items;
    size_t count;
};

struct cidr_list {
    struct cidr *items;
    size_t count;
};

struct name_list {
    struct name *items;
    size_t count;
};

/* --verdict PREFIX=ACTION: what a kernel LOG prefix says about the packet. */
struct verdict_rule {
    const char *prefix;
    enum flow_action action;
};

struct verdict_list {
    struct verdict_rule *items;
    size_t count;
};

/* --cluster-of PATTERN=NAME */
struct cluster_rules {
    struct cluster_rule *items;
    size_t count;
};

struct endpoint {
    struct addr addr;
    uint16_t port; /* 0: any free one */
};

/* FROM..TO; both 0 where not given, else from_us <= to_us. */
struct time_range {
    int64_t from_us;
    int64_t to_us;
};

/* All texts are owned by the struct and live until settings_fini; NULL or an empty list where not
 * given and no default is named. */
struct settings {
    enum request request;
    enum command command;
    const char **args; /* what is neither flag nor subcommand, in order */
    size_t arg_count;

    /* Where the index is. At most one of data, server and captures is set: the one named with the
     * highest precedence. `data` has the default $WHITHER_DATA, else /var/lib/whither; serve always
     * has it. */
    const char *data;                /* --data DIR */
    const char *server;              /* --server URL, without a trailing '/' */
    struct string_list captures;     /* join --dnstap FILE */
    const char *token_file;          /* --token-file FILE: for --server */
    const char *cluster;             /* --cluster NAME, "default" */
    struct cluster_rules cluster_of; /* --cluster-of PATTERN=NAME */
    struct string_list owners;       /* --owners FILE[,cluster=NAME] */

    /* serve */
    struct string_list dnstap;       /* --dnstap unix:PATH | tcp:ADDR:PORT */
    uint32_t dnstap_mode;            /* --dnstap-mode MODE, 0666 */
    struct cidr_list dnstap_allow;   /* --dnstap-allow CIDR; empty: everyone */
    const char *tls_cert;            /* --tls-cert FILE */
    const char *tls_key;             /* --tls-key FILE */
    const char *tls_client_ca;       /* --tls-client-ca FILE */
    uint64_t dnstap_max_frame;       /* --dnstap-max-frame SIZE, 1 MiB */
    uint32_t max_connections;        /* --max-connections N, 1024 */
    struct string_list flows;        /* --flows SOURCE */
    bool kubernetes;                 /* --kubernetes */
    uint32_t expect_senders;         /* --expect-senders N; 0: not given */
    struct endpoint http;            /* --http ADDR:PORT, 127.0.0.1:8053 */
    const char *http_token_file;     /* --http-token-file FILE */
    uint32_t http_threads;           /* --http-threads N, 2 */
    uint64_t http_max_body;          /* --http-max-body SIZE, 64 MiB */
    uint64_t http_max_line;          /* --http-max-line SIZE, 64 KiB */
    uint32_t http_rate;              /* --http-rate N requests a second per client; 0: no limit */
    int64_t retention_us;            /* --retention DURATION, 8 d */
    uint64_t memory_bytes;           /* --memory SIZE, 256 MiB */
    struct name_list cluster_domain; /* --cluster-domain NAME, cluster.local */
    enum log_level log_level;        /* --log-level LEVEL, info */

    /* ingest */
    struct time_range covers; /* --covers FROM..TO */

    /* attribution; settings_attribution turns them into parameters */
    int64_t horizon_us;  /* --horizon DURATION, 24 h */
    int64_t grace_us;    /* --grace DURATION, 60 s */
    int64_t skew_us;     /* --skew DURATION, 2 s */
    int64_t settle_us;   /* --settle DURATION, 60 s */
    uint32_t candidates; /* --candidates N, 8 */

    /* join */
    const char *from;             /* --from FORMAT; NULL: by content */
    struct string_list maps;      /* --map FIELD=NAME,... */
    const char *columns;          /* --columns NAMES; NULL: by header */
    const char *to;               /* --to FORMAT; NULL: by where it goes */
    struct verdict_list verdicts; /* --verdict PREFIX=ACTION */
    uint32_t explain;             /* --explain N; 0: not given */
    bool follow;                  /* --follow */
    const char *out;              /* --out SINK; NULL: standard output */
    const char *checkpoint;       /* --checkpoint FILE; NULL: beside the output */

    /* lookup, names */
    int64_t at_us;    /* --at TIME; 0: now */
    bool under;       /* --under */
    int64_t since_us; /* --since TIME; 0: not given */
    int64_t until_us; /* --until TIME; 0: not given */
    uint32_t limit;   /* --limit N, 100 */

    /* doctor */
    int64_t window_us; /* --window DURATION; 0: not given */

    /* how to read and how to talk */
    const char *config; /* --config FILE; NULL: none */
    const char *tz;     /* --tz ZONE as given; NULL: UTC */
    bool quiet;         /* --quiet */
    enum output output; /* --output text|json; without it text on a terminal, else JSON */
    bool color;         /* standard output is a terminal and NO_COLOR is empty or not set */
    bool progress;      /* standard error is a terminal, and not --quiet */

    void *private; /* what settings_fini frees */
};

/* Reads argv[1..argc-1] and, for --config, the YAML file. `settings` is filled whatever the result;
 * free it with settings_fini. Returns 0; W_EUSAGE with one sentence in `why` that names the flag
 * (or the file and line), the value and what is expected; -ENOMEM.
 *
 * --tz ZONE becomes the zone of the process (TZ, UTC without the flag), so that mktime(3) turns the
 * civil times of inputs that carry no zone into UTC, daylight saving time included. Call this
 * before any thread starts. Every time this program prints is UTC and ignores it. */
int settings_parse(struct settings *settings, int argc, char **argv, struct why *why);
void settings_fini(struct settings *settings);

/* The parameters for attribution; cluster_domains points into `settings`. */
struct attribute_params settings_attribution(const struct settings *settings);

/* Prints the help of a command, or of the program for COMMAND_NONE. `more` (NULL is fine) prints
 * what only the command itself knows, between its flags and its examples. */
void settings_help(FILE *out, enum command command, void (*more)(FILE *out));
