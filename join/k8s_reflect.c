/* join/k8s_reflect.c -- one kind of Kubernetes objects kept up to date
 * SPDX-License-Identifier: Apache-2.0
 *
 * The protocol: "Efficient detection of changes" in the Kubernetes API concepts. A continue token
 * and a resource version are good for some five minutes, what the server compacts in.
 */
#include "join/k8s_reflect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "join/json.h"
#include "join/k8s_stream.h"

/* Objects in a page: what client-go asks for. */
#define PAGE_OBJECTS 500
#define VERSION_MAX 127
#define CONTINUE_MAX (64 * 1024)
#define PROBLEM_BODY_MAX (16 * 1024)

#define ANSWER_US (70 * US_PER_S)
#define SILENCE_US (150 * US_PER_S)
/* How long the server is asked to keep a watch, and how much later it is given up. */
#define WATCH_MIN_S 240
#define WATCH_SPREAD_S 60
#define WATCH_OVERTIME_US (30 * US_PER_S)
/* A watch that ends sooner, and with nothing in it, is a failure. */
#define WATCH_SHORT_US US_PER_S

#define BACKOFF_MIN_US (800 * INT64_C(1000))
#define BACKOFF_MAX_US (30 * US_PER_S)
/* A server that has just started forbids everything until it has read its roles. */
#define FORBIDDEN_MAX_US (60 * US_PER_S)
#define RETRY_AFTER_MAX_S 300

enum { EVENT_TYPE, EVENT_OBJECT, EVENT_VERSION, EVENT_CODE, EVENT_REASON, EVENT_MESSAGE, EVENTS };
enum { LIST_VERSION, LIST_CONTINUE, LISTS };
enum { PROBLEM_MESSAGE, PROBLEMS };

struct k8s_reflect {
    enum k8s_kind kind;
    k8s_object_fn fn;
    void *ctx;
    uint64_t seed;
    int64_t answer_us;
    int64_t silence_us;
    struct k8s_status status;
    struct k8s_stream *stream;
    struct json_parser *parser;
    struct json_paths *event_paths;
    struct json_paths *list_paths;
    struct json_paths *problem_paths;

    char version[VERSION_MAX + 1]; /* to watch from; "": to be listed */
    struct buf next_page;          /* continue token; empty: from the start */
    bool listing;                  /* between K8S_LIST_BEGIN and K8S_LIST_END */
    unsigned expired;              /* pages refused with 410 since the last whole list */
    bool unreadable;               /* what follows `version` could not be read once already */
    unsigned gone_in_row;          /* 410s since a watch last moved on */
    unsigned in_row;               /* other failures since then, or since a page was whole */
    int64_t due_us;

    /* the request being made */
    bool watching;
    long http; /* status; 0: none yet */
    int64_t retry_after_us;
    int64_t began_us;
    int64_t deadline_us;
    int64_t last_us; /* a watch is given up then, whatever it says */
    int64_t wall_us; /* of the octets being pushed */
    bool progress;   /* an event, a bookmark, or the end of a page came */
    bool gone;       /* 410 */
    bool damaged;    /* something came that is no answer to this request */
    int err;         /* of the callback, or -ENOMEM */
    struct buf body; /* of a response other than 200 */
    struct why said; /* by an ERROR event */
};

const char *k8s_kind_name(enum k8s_kind kind)
{
    static const char *const NAMES[K8S_KINDS] = {
        [K8S_PODS] = "pods", [K8S_SERVICES] = "services", [K8S_NODES] = "nodes"};
    return NAMES[kind];
}

static int on_piece(void *ctx, const struct k8s_piece *piece);

static int make(struct k8s_reflect *reflect)
{
    static const char *const EVENT[EVENTS] = {
        "/type",        "/object",        "/object/metadata/resourceVersion",
        "/object/code", "/object/reason", "/object/message"};
    static const char *const LIST[LISTS] = {"/metadata/resourceVersion", "/metadata/continue"};
    static const char *const PROBLEM[PROBLEMS] = {"/message"};
    int err = k8s_stream_new(&reflect->stream, K8S_OBJECT_MAX, on_piece, reflect);
    err = err == 0 ? json_parser_new(&reflect->parser, K8S_OBJECT_MAX) : err;
    err = err == 0 ? json_paths_new(&reflect->event_paths, EVENT, EVENTS) : err;
    err = err == 0 ? json_paths_new(&reflect->list_paths, LIST, LISTS) : err;
    return err == 0 ? json_paths_new(&reflect->problem_paths, PROBLEM, PROBLEMS) : err;
}

int k8s_reflect_new(struct k8s_reflect **out, enum k8s_kind kind, uint64_t seed, k8s_object_fn fn,
                    void *ctx)
{
    struct k8s_reflect *reflect = calloc(1, sizeof(*reflect));
    *out = NULL;
    if (reflect == NULL) {
        return -ENOMEM;
    }
    reflect->kind = kind;
    reflect->fn = fn;
    reflect->ctx = ctx;
    reflect->seed = seed | 1;
    k8s_reflect_set_patience(reflect, ANSWER_US, SILENCE_US);
    reflect->next_page.max = CONTINUE_MAX;
    reflect->body.max = PROBLEM_BODY_MAX;
    int err = make(reflect);
    if (err != 0) {
        k8s_reflect_free(&reflect);
        return err;
    }
    *out = reflect;
    return 0;
}

void k8s_reflect_free(struct k8s_reflect **out)
{
    struct k8s_reflect *reflect = *out;
    *out = NULL;
    if (reflect == NULL) {
        return;
    }
    k8s_stream_free(&reflect->stream);
    json_parser_free(&reflect->parser);
    json_paths_free(&reflect->event_paths);
    json_paths_free(&reflect->list_paths);
    json_paths_free(&reflect->problem_paths);
    buf_fini(&reflect->next_page);
    buf_fini(&reflect->body);
    free(reflect);
}

void k8s_reflect_set_patience(struct k8s_reflect *reflect, int64_t answer_us, int64_t silence_us)
{
    reflect->answer_us = answer_us;
    reflect->silence_us = silence_us;
}

int64_t k8s_reflect_due_us(const struct k8s_reflect *reflect)
{
    return reflect->due_us;
}

int64_t k8s_reflect_deadline_us(const struct k8s_reflect *reflect)
{
    return reflect->deadline_us;
}

const struct k8s_status *k8s_reflect_look(const struct k8s_reflect *reflect)
{
    return &reflect->status;
}

/* xorshift64: 0 to below - 1. */
static int64_t jitter(struct k8s_reflect *reflect, int64_t below)
{
    reflect->seed ^= reflect->seed << 13;
    reflect->seed ^= reflect->seed >> 7;
    reflect->seed ^= reflect->seed << 17;
    return (int64_t)((reflect->seed >> 16) % (uint64_t)below);
}

/* ---- Asking ---- */

static int give(struct k8s_reflect *reflect, enum k8s_event event, const char *text, size_t len)
{
    const struct k8s_object object = {reflect->kind, event, text, len};
    reflect->err = reflect->fn(reflect->ctx, &object);
    return reflect->err;
}

static void list_anew(struct k8s_reflect *reflect)
{
    reflect->version[0] = '\0';
    reflect->listing = false;
    reflect->unreadable = false;
    buf_reset(&reflect->next_page);
}

/* RFC 3986 section 2.1. */
static void add_escaped(struct buf *target, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_char(target, (char)c);
        } else {
            buf_printf(target, "%%%02X", c);
        }
    }
}

static int begin_list(struct k8s_reflect *reflect, struct buf *target)
{
    buf_printf(target, "/api/v1/%s", k8s_kind_name(reflect->kind));
    /* Tokens that expire before the next page is there: all at once, as client-go does. */
    if (reflect->expired < 2) {
        buf_printf(target, "?limit=%d", PAGE_OBJECTS);
    }
    if (reflect->next_page.len > 0) {
        buf_str(target, "&continue=");
        add_escaped(target, reflect->next_page.data, reflect->next_page.len);
    }
    if (reflect->listing) {
        return 0;
    }
    reflect->listing = true;
    reflect->status.lists++;
    return give(reflect, K8S_LIST_BEGIN, NULL, 0);
}

static void begin_watch(struct k8s_reflect *reflect, struct buf *target)
{
    int64_t seconds = WATCH_MIN_S + jitter(reflect, WATCH_SPREAD_S);
    reflect->last_us = reflect->began_us + seconds * US_PER_S + WATCH_OVERTIME_US;
    buf_printf(target,
               "/api/v1/%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%" PRId64
               "&resourceVersion=",
               k8s_kind_name(reflect->kind), seconds);
    add_escaped(target, reflect->version, strlen(reflect->version));
}

int k8s_reflect_begin(struct k8s_reflect *reflect, int64_t monotonic_us, struct buf *target)
{
    int err = 0;
    reflect->http = 0;
    reflect->retry_after_us = 0;
    reflect->began_us = monotonic_us;
    reflect->deadline_us = monotonic_us + reflect->answer_us;
    reflect->progress = reflect->gone = reflect->damaged = false;
    reflect->err = 0;
    reflect->said.text[0] = '\0';
    buf_reset(&reflect->body);
    k8s_stream_reset(reflect->stream);
    reflect->watching = reflect->version[0] != '\0';
    if (reflect->watching) {
        begin_watch(reflect, target);
    } else {
        err = begin_list(reflect, target);
    }
    return err != 0 ? err : target->err;
}

/* ---- What comes back ---- */

static int damage(struct k8s_reflect *reflect)
{
    reflect->damaged = true;
    return W_ESYNTAX;
}

/* Takes a resource version over. False if it is none. `*moved`: it is another one. */
static bool take_version(struct k8s_reflect *reflect, const struct json_value *value, bool *moved)
{
    /* Opaque, but never with escapes: servers make them of digits. */
    if (value->type != JSON_STRING || value->escaped || value->text.len == 0 ||
        value->text.len > VERSION_MAX) {
        return false;
    }
    *moved = strlen(reflect->version) != value->text.len ||
             memcmp(reflect->version, value->text.data, value->text.len) != 0;
    memcpy(reflect->version, value->text.data, value->text.len);
    reflect->version[value->text.len] = '\0';
    return true;
}

static int end_page(struct k8s_reflect *reflect, const struct k8s_piece *piece)
{
    struct json_value values[LISTS];
    int err =
        json_parse(reflect->parser, reflect->list_paths, piece->text, piece->len, values, NULL);
    if (err != 0) {
        return err == -ENOMEM ? reflect->err = err : damage(reflect);
    }
    const struct json_value *token = &values[LIST_CONTINUE];
    buf_reset(&reflect->next_page);
    if (token->type == JSON_STRING && token->text.len > 0) {
        char *room = buf_room(&reflect->next_page, token->text.len);
        size_t len = room != NULL ? json_unescape(token, room) : SIZE_MAX;
        if (len == SIZE_MAX) {
            return damage(reflect);
        }
        reflect->next_page.len = len;
        reflect->progress = true;
        return 0;
    }
    bool moved;
    if (!take_version(reflect, &values[LIST_VERSION], &moved)) {
        return damage(reflect);
    }
    reflect->progress = true;
    reflect->listing = false;
    reflect->expired = 0;
    reflect->status.complete = true;
    reflect->status.heard_us = reflect->wall_us;
    return give(reflect, K8S_LIST_END, NULL, 0);
}

static bool text_is(const struct json_value *value, const char *text)
{
    return value->type == JSON_STRING && value->text.len == strlen(text) &&
           memcmp(value->text.data, text, value->text.len) == 0;
}

/* What a server said, into `why`, with what stands before it. */
static void quote(struct why *why, const char *before, const struct json_value *message)
{
    char text[sizeof(why->text)] = "";
    size_t len = 0;
    if (message->type == JSON_STRING && message->text.len <= sizeof(text)) {
        len = json_unescape(message, text);
        len = len == SIZE_MAX ? 0 : len;
    }
    why_set(why, 0, "%s%s%.*s", before, len > 0 ? ": " : "", (int)len, text);
}

static int read_error(struct k8s_reflect *reflect, const struct json_value *values)
{
    uint64_t code = 0;
    json_u64(&values[EVENT_CODE], &code);
    reflect->gone = code == 410 || text_is(&values[EVENT_REASON], "Gone") ||
                    text_is(&values[EVENT_REASON], "Expired");
    quote(&reflect->said, "the watch ends with an error", &values[EVENT_MESSAGE]);
    return -ECANCELED;
}

static int read_event(struct k8s_reflect *reflect, const struct k8s_piece *piece)
{
    static const struct {
        const char *type;
        enum k8s_event event;
    } TYPES[] = {{"ADDED", K8S_ADDED}, {"MODIFIED", K8S_MODIFIED}, {"DELETED", K8S_DELETED}};
    struct json_value values[EVENTS];
    int err =
        json_parse(reflect->parser, reflect->event_paths, piece->text, piece->len, values, NULL);
    if (err != 0) {
        return err == -ENOMEM ? reflect->err = err : damage(reflect);
    }
    const struct json_value *object = &values[EVENT_OBJECT];
    if (object->type != JSON_OBJECT) {
        return damage(reflect);
    }
    if (text_is(&values[EVENT_TYPE], "ERROR")) {
        return read_error(reflect, values);
    }
    bool moved;
    if (!take_version(reflect, &values[EVENT_VERSION], &moved)) {
        return damage(reflect);
    }
    reflect->progress = true;
    if (moved) {
        reflect->unreadable = false;
        reflect->in_row = reflect->gone_in_row = 0;
    }
    reflect->status.heard_us = reflect->wall_us;
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
        if (text_is(&values[EVENT_TYPE], TYPES[i].type)) {
            reflect->status.events++;
            return give(reflect, TYPES[i].event, object->text.data, object->text.len);
        }
    }
    return 0; /* BOOKMARK, or a type that is yet to be invented */
}

static int on_piece(void *ctx, const struct k8s_piece *piece)
{
    struct k8s_reflect *reflect = ctx;
    switch (piece->type) {
    case K8S_PIECE_ITEM:
        return reflect->watching ? damage(reflect)
                                 : give(reflect, K8S_LISTED, piece->text, piece->len);
    case K8S_PIECE_LIST:
        return reflect->watching ? damage(reflect) : end_page(reflect, piece);
    case K8S_PIECE_DOCUMENT:
        /* A list whose items are null is a document as any other. */
        return reflect->watching ? read_event(reflect, piece) : end_page(reflect, piece);
    case K8S_PIECE_TOO_LONG:
        reflect->status.too_long++;
        return 0;
    default:
        return damage(reflect);
    }
}

void k8s_reflect_status(struct k8s_reflect *reflect, long status, int64_t retry_after_s)
{
    int64_t wait_s = retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S;
    reflect->http = status;
    reflect->retry_after_us = wait_s > 0 ? wait_s * US_PER_S : 0;
    if (status == 200) {
        reflect->status.state = reflect->watching ? K8S_STATE_WATCHING : K8S_STATE_LISTING;
    }
    if (reflect->watching) {
        reflect->deadline_us += reflect->silence_us - reflect->answer_us;
    }
}

int k8s_reflect_push(struct k8s_reflect *reflect, const char *bytes, size_t len,
                     int64_t monotonic_us, int64_t wall_us)
{
    reflect->wall_us = wall_us;
    reflect->deadline_us =
        monotonic_us + (reflect->watching ? reflect->silence_us : reflect->answer_us);
    if (reflect->watching && reflect->deadline_us > reflect->last_us) {
        reflect->deadline_us = reflect->last_us;
    }
    if (reflect->http != 200) {
        buf_add(&reflect->body, bytes, len);
        return 0;
    }
    int err = k8s_stream_push(reflect->stream, bytes, len);
    if (err == -ENOMEM) {
        reflect->err = err;
    }
    return err;
}

/* ---- What follows from it ---- */

static void wait_after_failure(struct k8s_reflect *reflect, int64_t monotonic_us)
{
    bool gone = reflect->gone || reflect->http == 410;
    unsigned *in_row = gone ? &reflect->gone_in_row : &reflect->in_row;
    int64_t wait_us = BACKOFF_MIN_US << (*in_row < 7 ? *in_row : 7);
    int64_t max_us = reflect->http == 403 ? FORBIDDEN_MAX_US : BACKOFF_MAX_US;
    wait_us = wait_us < max_us ? wait_us : max_us;
    wait_us += jitter(reflect, wait_us / 2);
    if (wait_us < reflect->retry_after_us) {
        /* Everyone else was told the same. */
        wait_us = reflect->retry_after_us + jitter(reflect, US_PER_S);
    }
    ++*in_row;
    reflect->due_us = monotonic_us + wait_us;
}

static void describe_refusal(struct k8s_reflect *reflect, struct why *why)
{
    struct json_value message = {0};
    const char *kind = k8s_kind_name(reflect->kind);
    char before[160];
    if (reflect->http == 403) {
        snprintf(before, sizeof(before),
                 "the service account may not %s %s: its ClusterRole needs get, list and watch on "
                 "%s (403)",
                 reflect->watching ? "watch" : "list", kind, kind);
    } else if (reflect->http == 401) {
        snprintf(before, sizeof(before), "%s: the service account's token is not accepted (401)",
                 kind);
    } else {
        snprintf(before, sizeof(before), "%s: the Kubernetes API answers %ld", kind, reflect->http);
    }
    if (reflect->body.len > 0) {
        json_parse(reflect->parser, reflect->problem_paths, reflect->body.data, reflect->body.len,
                   &message, NULL);
    }
    quote(why, before, &message);
}

/* Why the request failed. */
static void describe(struct k8s_reflect *reflect, enum k8s_end end, const char *what)
{
    struct why *why = &reflect->status.problem;
    const char *kind = k8s_kind_name(reflect->kind);
    const char *asked = reflect->watching ? "watch" : "list";
    if (reflect->err != 0) {
        why_set(why, 0, "%s: %s", kind, err_str(reflect->err));
    } else if (end == K8S_END_STALLED) {
        why_set(why, 0, "%s: the %s says nothing any more", kind, asked);
    } else if (reflect->said.text[0] != '\0') {
        why_set(why, 0, "%s: %s", kind, reflect->said.text);
    } else if (reflect->damaged) {
        why_set(why, 0, "%s: what the %s sends is no answer of the Kubernetes API", kind, asked);
    } else if (reflect->http != 0 && reflect->http != 200) {
        describe_refusal(reflect, why);
    } else {
        why_set(why, 0, "%s: the %s ends too early%s%s", kind, asked, what != NULL ? ": " : "",
                what != NULL ? what : "");
    }
}

static void fail(struct k8s_reflect *reflect, enum k8s_end end, const char *what,
                 int64_t monotonic_us)
{
    describe(reflect, end, what);
    reflect->status.failures++;
    reflect->status.state = K8S_STATE_WAITING;
    wait_after_failure(reflect, monotonic_us);
}

static void succeed(struct k8s_reflect *reflect)
{
    reflect->status.problem.text[0] = '\0';
    reflect->in_row = 0;
    reflect->due_us = 0;
}

static void end_list(struct k8s_reflect *reflect, enum k8s_end end, const char *what,
                     int64_t monotonic_us)
{
    /* The page itself was whole; how the response ended after it does not matter. */
    if (reflect->progress && reflect->err == 0 && !reflect->damaged) {
        succeed(reflect);
        return;
    }
    reflect->expired += reflect->http == 410;
    /* Further pages are of the same instant and can be asked for again; the first would be of
     * another, in which what was already given of it may be gone. */
    bool is_first = reflect->next_page.len == 0;
    if (reflect->http == 410 || reflect->err != 0 || (reflect->http == 200 && is_first)) {
        list_anew(reflect);
    }
    fail(reflect, end, what, monotonic_us);
}

static void end_watch(struct k8s_reflect *reflect, enum k8s_end end, const char *what,
                      int64_t monotonic_us)
{
    bool is_short = !reflect->progress && monotonic_us - reflect->began_us < WATCH_SHORT_US;
    if (reflect->gone || reflect->http == 410 || reflect->err != 0) {
        list_anew(reflect);
    } else if (reflect->damaged && reflect->unreadable) {
        /* Twice the same: it is the server's, not the network's. */
        list_anew(reflect);
    } else if (reflect->http == 200 && end == K8S_END_WHOLE && !is_short && !reflect->damaged) {
        succeed(reflect);
        return;
    }
    reflect->unreadable = reflect->damaged && reflect->version[0] != '\0';
    fail(reflect, end, what, monotonic_us);
}

void k8s_reflect_end(struct k8s_reflect *reflect, enum k8s_end end, const char *what,
                     int64_t monotonic_us)
{
    if (reflect->watching) {
        end_watch(reflect, end, what, monotonic_us);
    } else {
        end_list(reflect, end, what, monotonic_us);
    }
}
