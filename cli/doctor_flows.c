/* cli/doctor_flows.c -- flow records for the doctor
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/doctor_flows.h"

#include <stdio.h>

#include "cli/answers.h"
#include "cli/parsing.h"
#include "join/join.h"
#include "join/source.h"

static void on_warning(void *ctx, const char *text)
{
    const struct settings *settings = ctx;
    if (!settings->quiet) {
        fprintf(stderr, "whither doctor: %s\n", text);
    }
}

static int write_nothing(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return 0;
}

static int read_sources(struct join *join, const struct settings *settings, struct why *why)
{
    struct source_list sources = {0};
    int err = 0;
    for (size_t i = 0; i < settings->arg_count && err == 0; i++) {
        err = source_list_add(&sources, settings->args[i], why);
    }
    for (size_t i = 0; i < sources.count && err == 0; i++) {
        err = join_input(join, sources.paths[i], why);
    }
    source_list_fini(&sources);
    return err;
}

static int run(struct flow_facts *facts, const struct settings *settings, struct answers *answers,
               struct why *why)
{
    struct join *join;
    struct join_options options = {
        .cluster = settings->cluster,
        .sink = &SINK_FLOW_FACTS,
        .sink_options = {.cluster = settings->cluster, .ctx = facts},
        .write = write_nothing,
        .warn = on_warning,
        .report_ctx = (void *)settings,
    };
    struct parsing parsing;
    int err = parsing_init(&parsing, settings, why);
    if (err == 0) {
        options.format = parsing.format;
        options.parser_options = parsing.options;
        options.oracles = answers_oracles(answers, &options.workers);
        err = join_new(&join, &options);
        err = err == 0 ? read_sources(join, settings, why) : err;
        join_free(&join);
    }
    parsing_fini(&parsing);
    return err;
}

int doctor_flows(struct buf *body, const struct settings *settings, struct store_view *view,
                 struct why *why)
{
    struct flow_facts facts;
    struct settings wide = *settings;
    struct answers *answers = NULL;
    wide.skew_us = DOCTOR_FLOWS_SKEW_US;
    int err = flow_facts_init(&facts, settings->skew_us);
    err = err == 0 ? answers_open(&answers, &wide, why) : err;
    err = err == 0 ? run(&facts, &wide, answers, why) : err;
    err = err == 0 ? flow_facts_compare(&facts, view, settings->cluster) : err;
    err = err == 0 ? json_doctor_flows(body, &facts) : err;
    answers_close(&answers);
    flow_facts_fini(&facts);
    return err;
}
