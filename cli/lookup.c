/* cli/lookup.c -- whither lookup SRC DST: one attribution
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_lookup.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/owner_files.h"
#include "cli/source.h"
#include "cli/table.h"
#include "join/attribute.h"
#include "join/owners_store.h"

/* Candidates told of on a terminal; JSON has them all. */
#define TOLD_MAX 5

static int fail(const char *text)
{
    fprintf(stderr, "whither lookup: %s\n", text);
    return EXIT_FAILED;
}

/* ---- the answer as JSON ---- */

static int ask_service(struct source *source, const struct settings *settings, struct buf *body,
                       struct why *why)
{
    struct buf target = {0};
    buf_str(&target, "/v1/lookup?src=");
    remote_escape(&target, settings->args[0], strlen(settings->args[0]));
    buf_str(&target, "&dst=");
    remote_escape(&target, settings->args[1], strlen(settings->args[1]));
    buf_str(&target, "&cluster=");
    remote_escape(&target, settings->cluster, strlen(settings->cluster));
    if (settings->at_us != 0) {
        char at[TIME_TEXT_MAX];
        time_print(settings->at_us, at);
        buf_str(&target, "&at=");
        buf_str(&target, at);
    }
    buf_char(&target, '\0');
    int err = target.err != 0 ? target.err : remote_get(source->remote, target.data, body, why);
    buf_fini(&target);
    return err;
}

static int ask_index(struct source *source, const struct settings *settings,
                     const struct addr ends[2], struct buf *body, struct why *why)
{
    struct attribute_params params = settings_attribution(settings);
    struct attributor *attributor = NULL;
    struct attribution attribution;
    int64_t now_us = clock_now_us();
    int64_t at_us = settings->at_us != 0 ? settings->at_us : now_us;
    struct question question = {.cluster = settings->cluster,
                                .source = ends[0],
                                .destination = ends[1],
                                .start_us = at_us,
                                .end_us = at_us,
                                .shows_start = true};
    struct owner_files files = {false};
    struct owners *owners = NULL;
    int err = attributor_new(&attributor, source->view, &params);
    err = err == 0 ? owners_new(&owners, 0) : err;
    err = err == 0 ? owners_load(owners, source->view, ends, 2) : err;
    err = err == 0 ? owner_files_read(&files, owners, settings, why) : err;
    err = err == 0 ? attributor_set_owners(attributor, owners) : err;
    err = err == 0 ? attribute(attributor, &question, now_us, &attribution) : err;
    if (err == 0) {
        json_lookup(body, &attribution);
        err = body->err;
    }
    attributor_free(&attributor);
    owners_free(&owners);
    if (err != 0 && why->text[0] != '\0') {
        return err;
    }
    return err == 0 ? 0 : why_set(why, err, "%s: %s", source->where, err_str(err));
}

/* ---- the answer as a sentence ---- */

enum {
    VERDICT,
    REASON,
    COVERAGE,
    DOMAIN,
    LEFT_OUT,
    AMBIGUOUS,
    DESTINATION_KIND,
    DESTINATION_NAMESPACE,
    DESTINATION_POD,
    DESTINATION_SERVICE,
    DESTINATION_NODE,
    FIRST_CANDIDATE
};
enum { NAME, ASKED, AGE_MS, TTL_S, COUNT, VIA, CLIENTS, CANDIDATE_FIELDS };

static const char *const POINTERS[] = {
    "/verdict",
    "/reason",
    "/coverage",
    "/domain",
    "/left_out",
    "/ambiguous",
    "/destination/kind",
    "/destination/k8s/namespace",
    "/destination/k8s/pod",
    "/destination/k8s/service",
    "/destination/k8s/node",
#define CANDIDATE(n)                                                                               \
    "/candidates/" n "/name", "/candidates/" n "/asked", "/candidates/" n "/age_ms",               \
        "/candidates/" n "/ttl_s", "/candidates/" n "/count", "/candidates/" n "/via",             \
        "/candidates/" n "/clients"
    CANDIDATE("0"),
    CANDIDATE("1"),
    CANDIDATE("2"),
    CANDIDATE("3"),
    CANDIDATE("4"),
#undef CANDIDATE
};
_Static_assert(sizeof(POINTERS) / sizeof(POINTERS[0]) ==
                   FIRST_CANDIDATE + TOLD_MAX * CANDIDATE_FIELDS,
               "one group of pointers for each candidate");

static size_t member(size_t candidate, size_t field)
{
    return FIRST_CANDIDATE + candidate * CANDIDATE_FIELDS + field;
}

static bool has_candidate(const struct fields *fields, size_t candidate)
{
    return candidate < TOLD_MAX && fields->values[member(candidate, NAME)].type == JSON_STRING;
}

/* "55 ms before", "2 s after" */
static void put_age(struct buf *out, const struct fields *fields, size_t candidate)
{
    int64_t age_ms = fields_int(fields, member(candidate, AGE_MS));
    words_duration(out, (age_ms < 0 ? -age_ms : age_ms) * 1000);
    buf_str(out, age_ms < 0 ? " after" : " before");
}

static void put_count(struct buf *out, int64_t count, const char *one, const char *many)
{
    buf_printf(out, "%" PRId64 " %s", count, count == 1 ? one : many);
}

/* How a name came to be a candidate: "it asked 55 ms before and got 192.0.2.1 (TTL 60 s, 3
 * answers)". */
static void put_evidence(struct buf *out, const struct fields *fields, size_t candidate,
                         const char *destination)
{
    buf_str(out, "it asked ");
    put_age(out, fields, candidate);
    if (fields_is(fields, member(candidate, VIA), "cname")) {
        buf_str(out, ", was sent on by a CNAME");
    } else if (fields_is(fields, member(candidate, VIA), "srv")) {
        buf_str(out, " for SRV records");
    }
    buf_printf(out, " and got %s (TTL %" PRId64 " s, ", destination,
               fields_int(fields, member(candidate, TTL_S)));
    put_count(out, fields_int(fields, member(candidate, COUNT)), "answer", "answers");
    buf_char(out, ')');
}

/* The other candidates, one a line. */
static void put_others(struct buf *out, const struct fields *fields, size_t from)
{
    int64_t more = fields_int(fields, LEFT_OUT);
    for (size_t i = from; has_candidate(fields, i); i++) {
        buf_str(out, "\n  also ");
        fields_text(fields, member(i, NAME), out);
        buf_str(out, ", ");
        put_age(out, fields, i);
        if (fields_is(fields, member(i, VIA), "shared")) {
            buf_str(out, ", ");
            put_count(out, fields_int(fields, member(i, CLIENTS)), "client", "clients");
        }
    }
    if (more > 0) {
        buf_printf(out, "\n  and %" PRId64 " more (--candidates)", more);
    }
}

static void put_named(struct buf *out, const struct fields *fields, const char *const *ends,
                      bool stale)
{
    bool ambiguous = fields_true(fields, AMBIGUOUS);
    buf_printf(out, "%s was %sgoing to ", ends[0], stale || ambiguous ? "probably " : "");
    fields_text(fields, member(0, NAME), out);
    buf_str(out, ": ");
    put_evidence(out, fields, 0, ends[1]);
    if (stale) {
        buf_str(out, ", which was no longer valid");
    } else if (ambiguous) {
        buf_printf(out, ", but %s had other names for it as well", ends[0]);
    }
    put_others(out, fields, 1);
}

static void put_shared(struct buf *out, const struct fields *fields, const char *const *ends)
{
    if (fields_is(fields, REASON, "node-source")) {
        buf_printf(out, "%s is a node, which mixes the questions of its pods; ", ends[0]);
    } else {
        buf_printf(out, "%s did not ask for %s; ", ends[0], ends[1]);
    }
    put_count(out, fields_int(fields, member(0, CLIENTS)), "other client", "other clients");
    buf_str(out, " got it for ");
    fields_text(fields, member(0, NAME), out);
    put_others(out, fields, 1);
}

static void put_reason(struct buf *out, const struct fields *fields, const char *const *ends)
{
    static const struct {
        const char *reason;
        const char *words;
    } REASONS[] = {
        {"gap", "nobody was watching for part of the time before (whither status shows when)"},
        {"never-asked",
         "the client was never seen asking anything: it may not use this DNS at all"},
        {"node-source", "the client is a node, which mixes the questions of its pods"},
        {"started-earlier", "the connection may have begun before what is known"},
        {"not-external", "the destination is no external address"},
        {"unsettled", "it is too recent: DNS answers may still be on their way, ask again in a "
                      "minute"},
        {"capped", "the client asked for more than is kept of one client"},
    };
    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++) {
        if (fields_is(fields, REASON, REASONS[i].reason)) {
            buf_printf(out, "no name is known for %s to %s: %s", ends[0], ends[1],
                       REASONS[i].words);
            return;
        }
    }
    buf_printf(out, "no name is known for %s to %s: ", ends[0], ends[1]);
    fields_text(fields, REASON, out);
}

/* "10.0.0.7 went to the service shop/db" */
static void put_internal(struct buf *out, const struct fields *fields, const char *const *ends)
{
    size_t name = fields_is(fields, DESTINATION_KIND, "pod")       ? DESTINATION_POD
                  : fields_is(fields, DESTINATION_KIND, "service") ? DESTINATION_SERVICE
                                                                   : DESTINATION_NODE;
    buf_printf(out, "%s went to the ", ends[0]);
    fields_text(fields, DESTINATION_KIND, out);
    buf_char(out, ' ');
    if (fields->values[DESTINATION_NAMESPACE].type == JSON_STRING) {
        fields_text(fields, DESTINATION_NAMESPACE, out);
        buf_char(out, '/');
    }
    fields_text(fields, name, out);
    if (has_candidate(fields, 0)) {
        buf_str(out, " as ");
        fields_text(fields, member(0, NAME), out);
        buf_str(out, ": ");
        put_evidence(out, fields, 0, ends[1]);
        put_others(out, fields, 1);
    } else {
        buf_str(out, "; it was not seen asking for its name");
    }
}

static void put_sentence(struct buf *out, const struct fields *fields, const char *const *ends)
{
    if (fields_is(fields, VERDICT, "internal")) {
        put_internal(out, fields, ends);
    } else if (fields_is(fields, VERDICT, "resolved") || fields_is(fields, VERDICT, "stale")) {
        put_named(out, fields, ends, fields_is(fields, VERDICT, "stale"));
    } else if (fields_is(fields, VERDICT, "shared")) {
        put_shared(out, fields, ends);
    } else if (fields_is(fields, VERDICT, "ip-only")) {
        buf_printf(out,
                   "%s went to %s without a name: no answer that it got had this address, and one "
                   "would have been seen",
                   ends[0], ends[1]);
    } else if (fields_is(fields, VERDICT, "unjoinable")) {
        buf_printf(out, "%s to %s is no connection that has a name: ", ends[0], ends[1]);
        fields_text(fields, REASON, out);
    } else {
        put_reason(out, fields, ends);
    }
    if (fields_is(fields, COVERAGE, "assumed")) {
        buf_str(out,
                "\n  (no DNS sender was ever known here: whether anything was missed cannot be "
                "told)");
    }
    buf_char(out, '\n');
}

static int print_sentence(const struct buf *body, const char *const *ends, struct why *why)
{
    struct fields fields;
    struct buf out = {0};
    int err = fields_init(&fields, POINTERS, sizeof(POINTERS) / sizeof(POINTERS[0]));
    if (err != 0) {
        return why_set(why, err, "%s", err_str(err));
    }
    err = fields_read(&fields, body->data, body->len, why);
    if (err == 0) {
        put_sentence(&out, &fields, ends);
        fwrite(out.data, 1, out.len, stdout);
        err = why_set(out.err == 0 ? NULL : why, out.err, "%s", err_str(out.err));
    }
    buf_fini(&out);
    fields_fini(&fields);
    return err;
}

/* ---- the command ---- */

static bool parse_ends(const struct settings *settings, struct addr ends[2])
{
    for (size_t i = 0; i < 2; i++) {
        const char *text = settings->args[i];
        if (!addr_parse(&ends[i], text, strlen(text))) {
            fprintf(stderr, "whither lookup: %s '%s' is not an IP address\n",
                    i == 0 ? "SRC" : "DST", text);
            return false;
        }
    }
    return true;
}

int cmd_lookup(const struct settings *settings)
{
    struct addr ends[2];
    if (!parse_ends(settings, ends)) {
        return EXIT_USAGE;
    }
    struct source source;
    struct why why = {""};
    struct buf body = {0};
    int code = EXIT_DONE;
    if (settings->server != NULL && settings->owners.count > 0) {
        fprintf(stderr, "whither lookup: --owners is for an index of this machine; with --server "
                        "the service's own count\n");
        return EXIT_USAGE;
    }
    if (source_open(&source, settings, &why) != 0 || !source_has_answers(&source, &why)) {
        code = fail(why.text);
    } else {
        int err = source.remote != NULL ? ask_service(&source, settings, &body, &why)
                                        : ask_index(&source, settings, ends, &body, &why);
        if (err == 0 && settings->output == OUTPUT_JSON) {
            fields_print(&body, stdout);
        } else if (err == 0) {
            err = print_sentence(&body, settings->args, &why);
        }
        code = err == 0 ? EXIT_DONE : fail(why.text[0] != '\0' ? why.text : err_str(err));
    }
    buf_fini(&body);
    source_close(&source);
    return code;
}
