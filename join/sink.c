/* join/sink.c -- the forms a named flow is given out in: the list, and what they share
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "join/ends.h"
#include "join/pen.h"

const struct sink_kind *const SINKS[] = {&SINK_ECS, &SINK_INLINE, &SINK_TABLE, &SINK_CSV, NULL};

const struct sink_kind *sink_by_name(const char *name)
{
    for (size_t i = 0; SINKS[i] != NULL; i++) {
        if (strcmp(SINKS[i]->name, name) == 0) {
            return SINKS[i];
        }
    }
    return NULL;
}

int sink_new(struct sink **out, const struct sink_kind *kind, const struct sink_options *options)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    *out = NULL;
    if (sink == NULL || domains_new(&sink->domains) != 0) {
        free(sink);
        return -ENOMEM;
    }
    sink->kind = kind;
    sink->options = *options;
    *out = sink;
    return 0;
}

void sink_free(struct sink **sink)
{
    if (*sink != NULL) {
        domains_free(&(*sink)->domains);
        if ((*sink)->kind->end != NULL) {
            (*sink)->kind->end(*sink);
        }
        free(*sink);
        *sink = NULL;
    }
}

const char *flow_action_name(enum flow_action action)
{
    static const char *const NAMES[] = {
        [FLOW_UNKNOWN] = "unknown",
        [FLOW_ALLOWED] = "allowed",
        [FLOW_DENIED] = "denied",
        [FLOW_LOGGED] = "logged",
    };
    return NAMES[action];
}

const char *flow_kind_name(const struct addr *destination)
{
    switch (addr_kind(destination)) {
    case ADDR_EXTERNAL:
        return "external";
    case ADDR_PRIVATE:
        return "private";
    case ADDR_METADATA:
        return "metadata";
    case ADDR_MULTICAST:
    case ADDR_BROADCAST:
        return "multicast";
    case ADDR_UNSPECIFIED:
        break;
    }
    return NULL;
}

static bool is_known(const struct party *party)
{
    return party->kind != PARTY_UNKNOWN ||
           party->namespace.len + party->pod.len + party->workload.len + party->node.len > 0;
}

struct party sink_source(const struct flow *flow, const struct attribution *attribution)
{
    struct party party =
        is_known(&attribution->source) ? attribution->source : party_of(NULL, &flow->source_id);
    /* The record names the node it was made at, which at the destination is not the source's. */
    if (!attribution->owner_known && flow->direction == FLOW_INGRESS) {
        party.node = (struct text){NULL, 0};
    }
    return party;
}

struct party sink_destination(const struct flow *flow, const struct attribution *attribution)
{
    return is_known(&attribution->destination) ? attribution->destination
                                               : party_of(NULL, &flow->destination_id);
}

const char *sink_destination_kind(const struct flow *flow, const struct attribution *attribution)
{
    const char *kind = party_kind_name(sink_destination(flow, attribution).kind);
    return kind != NULL || !flow->has_pair ? kind : flow_kind_name(&flow->destination);
}

struct text sink_domain(struct sink *sink, const struct attribution *attribution,
                        struct text *registered)
{
    const struct name *name = attribution_domain(attribution);
    *registered = (struct text){NULL, 0};
    return name != NULL ? domains_of(sink->domains, name, registered) : (struct text){NULL, 0};
}

void pen_json_slow(struct pen *pen, struct buf *buf, struct text text)
{
    pen_end(pen, buf);
    buf_json_str(buf, text.data, text.len);
    pen->at = buf->data + buf->len;
}

char *pen_escape_name(char *text, size_t len)
{
    size_t escapes = 0;
    for (size_t i = 0; i < len; i++) {
        escapes += text[i] == '\\' || text[i] == '"';
    }
    /* From the end, so that nothing is overwritten before it was moved. */
    for (size_t i = len, to = len + escapes; i > 0; i--) {
        bool escape = text[i - 1] == '\\' || text[i - 1] == '"';
        text[--to] = text[i - 1];
        if (escape) {
            text[--to] = '\\';
        }
    }
    return text + len + escapes;
}
