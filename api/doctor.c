/* api/doctor.c -- the doctor's checks, run and written as JSON
 * SPDX-License-Identifier: Apache-2.0
 */
#include "api/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"

const char *severity_name(enum severity severity)
{
    static const char *const NAMES[] = {[SEVERITY_OK] = "ok",
                                        [SEVERITY_NOTE] = "note",
                                        [SEVERITY_WARNING] = "warning",
                                        [SEVERITY_ERROR] = "error"};
    return NAMES[severity];
}

void findings_add(struct findings *findings, const struct finding *like, const char *format, ...)
{
    va_list args;
    if (findings->count == FINDINGS_MAX) {
        findings->left_out++;
        return;
    }
    struct finding *finding = &findings->items[findings->count++];
    *finding = *like;
    va_start(args, format);
    vsnprintf(finding->evidence, sizeof(finding->evidence), format, args);
    va_end(args);
}

void findings_fini(struct findings *findings)
{
    free(findings->items);
    *findings = (struct findings){0};
}

/* Of one check, or of all for NULL. */
enum severity findings_worst(const struct findings *findings, const char *check)
{
    enum severity worst = SEVERITY_OK;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        bool counts = check == NULL || strcmp(finding->check, check) == 0;
        if (counts && finding->severity > worst) {
            worst = finding->severity;
        }
    }
    return worst;
}

static void run_checks(const struct check *checks, size_t count, const struct doctor_facts *facts,
                       struct findings *findings)
{
    for (size_t i = 0; i < count; i++) {
        checks[i].run(facts, findings);
    }
}

int findings_init(struct findings *findings)
{
    *findings = (struct findings){.items = calloc(FINDINGS_MAX, sizeof(struct finding))};
    return findings->items == NULL ? -ENOMEM : 0;
}

int doctor_run(struct findings *findings, const struct doctor_facts *facts)
{
    if (findings_init(findings) != 0) {
        return -ENOMEM;
    }
    run_checks(SENDER_CHECKS, SENDER_CHECK_COUNT, facts, findings);
    run_checks(INDEX_CHECKS, INDEX_CHECK_COUNT, facts, findings);
    return 0;
}

/* ---- JSON ---- */

static void put_finding(struct buf *buf, const struct finding *finding)
{
    json_text_member(buf, "{\"severity\":", severity_name(finding->severity));
    json_text_member(buf, ",\"subject\":", finding->subject);
    json_text_member(buf, ",\"evidence\":", finding->evidence);
    json_text_member(buf, ",\"consequence\":", finding->consequence);
    json_text_member(buf, ",\"remedy\":", finding->remedy);
    buf_char(buf, '}');
}

void json_check(struct buf *buf, const char *name, const char *title,
                const struct findings *findings)
{
    const char *comma = "";
    json_text_member(buf, "{\"check\":", name);
    json_text_member(buf, ",\"title\":", title);
    json_text_member(buf, ",\"result\":", severity_name(findings_worst(findings, name)));
    buf_str(buf, ",\"findings\":[");
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->items[i].check, name) == 0) {
            buf_str(buf, comma);
            put_finding(buf, &findings->items[i]);
            comma = ",";
        }
    }
    buf_str(buf, "]}");
}

static void put_checks(struct buf *buf, const struct check *checks, size_t count,
                       const struct findings *findings, const char **separator)
{
    for (size_t i = 0; i < count; i++) {
        buf_str(buf, *separator);
        json_check(buf, checks[i].name, checks[i].title, findings);
        *separator = ",\n";
    }
}

static void put_report(struct buf *buf, const struct doctor_facts *facts,
                       const struct findings *findings)
{
    const char *separator = "\n";
    json_text_member(buf, "{\"cluster\":", facts->query.cluster);
    json_time_member(buf, ",\"from\":", facts->from_us);
    json_time_member(buf, ",\"to\":", facts->to_us);
    json_text_member(buf, ",\"worst\":", severity_name(findings_worst(findings, NULL)));
    buf_str(buf, ",\"checks\":[");
    put_checks(buf, SENDER_CHECKS, SENDER_CHECK_COUNT, findings, &separator);
    put_checks(buf, INDEX_CHECKS, INDEX_CHECK_COUNT, findings, &separator);
    buf_str(buf, "\n]");
    json_count_member(buf, ",\"left_out\":", findings->left_out);
    buf_char(buf, '}');
}

int json_doctor(struct buf *buf, struct store_view *view, const struct doctor_query *query)
{
    struct doctor_facts facts = {0};
    struct findings findings = {0};
    int err = doctor_gather(&facts, view, query);
    err = err == 0 ? doctor_run(&findings, &facts) : err;
    if (err == 0) {
        put_report(buf, &facts, &findings);
        err = buf->err;
    }
    findings_fini(&findings);
    doctor_facts_fini(&facts);
    return err;
}
