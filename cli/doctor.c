/* cli/doctor.c -- whither doctor: what is wrong with the feed, and the remedy
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/doctor_flows.h"
#include "cli/fields.h"
#include "cli/owner_files.h"
#include "cli/source.h"

enum { WORST, CHECKS, LEFT_OUT, REPORT_FIELDS };
static const char *const REPORT[] = {"/worst", "/checks", "/left_out"};

enum { C_CHECK, C_TITLE, C_RESULT, C_FINDINGS, CHECK_FIELDS };
static const char *const CHECK[] = {"/check", "/title", "/result", "/findings"};

enum { F_SEVERITY, F_SUBJECT, F_EVIDENCE, F_CONSEQUENCE, F_REMEDY, FINDING_FIELDS };
static const char *const FINDING[] = {"/severity", "/subject", "/evidence", "/consequence",
                                      "/remedy"};

/* A printed report. */
struct report {
    struct fields body;
    struct fields check;
    struct fields finding;
    struct buf out;
    bool color;
    uint64_t checks;
};

static int ask_service(struct source *source, const struct settings *settings, struct buf *body,
                       struct why *why)
{
    struct buf target = {0};
    buf_str(&target, "/v1/doctor?cluster=");
    remote_escape(&target, settings->cluster, strlen(settings->cluster));
    if (settings->window_us != 0) {
        buf_printf(&target, "&window=%" PRId64 "s", settings->window_us / US_PER_S);
    }
    buf_char(&target, '\0');
    int err = target.err != 0 ? target.err : remote_get(source->remote, target.data, body, why);
    buf_fini(&target);
    return err;
}

static int ask_index(struct source *source, const struct settings *settings, struct buf *body,
                     struct why *why)
{
    struct owner_files files = {false};
    struct owners *owners = NULL;
    int err = owners_new(&owners, 0);
    err = err == 0 ? owner_files_read(&files, owners, settings, why) : err;
    const struct doctor_query query = {
        .cluster = settings->cluster,
        .now_us = clock_now_us(),
        .window_us = settings->window_us != 0 ? settings->window_us : DOCTOR_WINDOW_US,
        .window_given = settings->window_us != 0,
        .settle_us = settings->settle_us,
        .skew_us = settings->skew_us,
        .owners = owners,
    };
    err = err == 0 ? json_doctor(body, source->view, &query) : err;
    owners_free(&owners);
    if (err != 0 && why->text[0] == '\0') {
        why_set(why, err, "%s: %s", source->where, err_str(err));
    }
    return err;
}

/* ---- Words ---- */

static const char *colour_of(const struct fields *fields, size_t member)
{
    return fields_is(fields, member, "error")     ? "\033[1;31m"
           : fields_is(fields, member, "warning") ? "\033[33m"
           : fields_is(fields, member, "note")    ? "\033[36m"
                                                  : "\033[32m";
}

/* "error     " */
static void put_result(struct report *report, const struct fields *fields, size_t member)
{
    size_t from = report->out.len;
    buf_str(&report->out, report->color ? colour_of(fields, member) : "");
    size_t word = report->out.len;
    fields_text(fields, member, &report->out);
    word = report->out.len - word;
    buf_str(&report->out, report->color && report->out.len > from ? "\033[0m" : "");
    buf_printf(&report->out, "%*s", word < 9 ? (int)(9 - word) : 1, "");
}

static void put_part(struct report *report, const char *label, size_t member)
{
    buf_printf(&report->out, "           %-8s", label);
    fields_text(&report->finding, member, &report->out);
    buf_char(&report->out, '\n');
}

static void put_finding(struct report *report)
{
    const struct fields *finding = &report->finding;
    put_result(report, finding, F_SEVERITY);
    fields_text(&report->check, C_CHECK, &report->out);
    buf_str(&report->out, ": ");
    if (!fields_is(finding, F_SUBJECT, "")) {
        fields_text(finding, F_SUBJECT, &report->out);
        buf_str(&report->out, ": ");
    }
    fields_text(finding, F_EVIDENCE, &report->out);
    buf_char(&report->out, '\n');
    put_part(report, "so", F_CONSEQUENCE);
    put_part(report, "remedy", F_REMEDY);
}

/* A check without findings is one line, another one a paragraph for each. */
static int put_check(struct report *report, struct why *why)
{
    const struct fields *check = &report->check;
    struct text row;
    size_t at = 0;
    int err = 0;
    report->checks++;
    if (fields_is(check, C_RESULT, "ok")) {
        put_result(report, check, C_RESULT);
        fields_text(check, C_CHECK, &report->out);
        buf_str(&report->out, ": ");
        fields_text(check, C_TITLE, &report->out);
        buf_char(&report->out, '\n');
    }
    while (err == 0 && fields_row(check, C_FINDINGS, &at, &row)) {
        err = fields_read(&report->finding, row.data, row.len, why);
        if (err == 0) {
            put_finding(report);
        }
    }
    return err;
}

static int put_report(struct report *report, const struct buf *body, struct why *why)
{
    struct text row;
    size_t at = 0;
    int err = fields_read(&report->body, body->data, body->len, why);
    while (err == 0 && fields_row(&report->body, CHECKS, &at, &row)) {
        err = fields_read(&report->check, row.data, row.len, why);
        err = err == 0 ? put_check(report, why) : err;
    }
    int64_t left_out = fields_int(&report->body, LEFT_OUT);
    if (err == 0 && left_out > 0) {
        buf_printf(&report->out, "and %" PRId64 " findings more (--output json has all checks)\n",
                   left_out);
    }
    if (err == 0 && fields_is(&report->body, WORST, "ok")) {
        buf_printf(&report->out, "%" PRIu64 " checks, nothing found\n", report->checks);
    }
    return err != 0 ? err : report->out.err;
}

static int exit_code(const struct fields *body)
{
    return fields_is(body, WORST, "error")     ? EXIT_ERRORS
           : fields_is(body, WORST, "warning") ? EXIT_WARNINGS
                                               : EXIT_DONE;
}

/* Prints one report. Returns the exit code. */
static int print(const struct settings *settings, const struct buf *body, struct why *why)
{
    struct report report = {.color = settings->color};
    int err = fields_init(&report.body, REPORT, REPORT_FIELDS);
    err = err == 0 ? fields_init(&report.check, CHECK, CHECK_FIELDS) : err;
    err = err == 0 ? fields_init(&report.finding, FINDING, FINDING_FIELDS) : err;
    err = err == 0 ? put_report(&report, body, why) : err;
    int code = err == 0 ? exit_code(&report.body) : EXIT_FAILED;
    if (err == 0 && settings->output == OUTPUT_JSON) {
        fields_print(body, stdout);
    } else if (err == 0) {
        fwrite(report.out.data, 1, report.out.len, stdout);
    } else if (why->text[0] == '\0') {
        why_set(why, err, "%s", err_str(err));
    }
    fields_fini(&report.body);
    fields_fini(&report.check);
    fields_fini(&report.finding);
    buf_fini(&report.out);
    return code;
}

/* ---- The command ---- */

/* The feed, and, where there are sources, how flows fit it. Returns the worse exit code. */
static int examine(struct source *source, const struct settings *settings, struct why *why)
{
    struct buf body = {0};
    int code = EXIT_FAILED;
    int err = source->remote != NULL ? ask_service(source, settings, &body, why)
                                     : ask_index(source, settings, &body, why);
    if (err == 0) {
        code = print(settings, &body, why);
    }
    if (code != EXIT_FAILED && settings->arg_count > 0) {
        buf_reset(&body);
        err = doctor_flows(&body, settings, source->view, why);
        int flows = err == 0 ? print(settings, &body, why) : EXIT_FAILED;
        code = flows == EXIT_FAILED || flows > code ? flows : code;
    }
    if (err != 0 && why->text[0] == '\0') {
        why_set(why, err, "%s", err_str(err));
    }
    buf_fini(&body);
    return err == W_EUSAGE ? EXIT_USAGE : code;
}

int cmd_doctor(const struct settings *settings)
{
    struct source source;
    struct why why = {""};
    int code = EXIT_FAILED;
    if (settings->arg_count > 0 && settings->server != NULL) {
        fprintf(stderr, "whither doctor: flow records are examined beside an index: --data DIR\n");
        return EXIT_USAGE;
    }
    if (source_open(&source, settings, &why) == 0) {
        code = examine(&source, settings, &why);
    }
    if (code == EXIT_FAILED || code == EXIT_USAGE) {
        fprintf(stderr, "whither doctor: %s\n", why.text);
    }
    source_close(&source);
    return code;
}
