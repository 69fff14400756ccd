/* base/cluster.c -- the cluster that a listener, a file or a source is of, on the command line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cluster.h"

#include <fnmatch.h>
#include <string.h>

static const char SUFFIX[] = ",cluster=";

bool cluster_name_ok(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= CLUSTER_NAME_MAX;
}

bool cluster_split(const char *text, size_t *len, struct cluster_name *cluster)
{
    const char *at = NULL;
    for (const char *next = strstr(text, SUFFIX); next != NULL; next = strstr(next + 1, SUFFIX)) {
        at = next;
    }
    cluster->text[0] = '\0';
    *len = strlen(text);
    if (at == NULL) {
        return true;
    }
    const char *name = at + sizeof(SUFFIX) - 1;
    if (!cluster_name_ok(name, strlen(name))) {
        return false;
    }
    *len = (size_t)(at - text);
    memcpy(cluster->text, name, strlen(name) + 1);
    return true;
}

bool cluster_rule_parse(struct cluster_rule *rule, const char *text)
{
    const char *equals = strrchr(text, '=');
    size_t len = equals != NULL ? (size_t)(equals - text) : 0;
    if (len == 0 || len >= sizeof(rule->pattern) ||
        !cluster_name_ok(equals + 1, strlen(equals + 1))) {
        return false;
    }
    memcpy(rule->pattern, text, len);
    rule->pattern[len] = '\0';
    memcpy(rule->cluster.text, equals + 1, strlen(equals + 1) + 1);
    return true;
}

const char *cluster_of_identity(const struct cluster_rule *rules, size_t count,
                                const unsigned char *identity, size_t len)
{
    char text[256];
    if (count == 0) {
        return NULL;
    }
    len = len < sizeof(text) ? len : sizeof(text) - 1;
    if (len > 0) {
        memcpy(text, identity, len);
    }
    text[len] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (fnmatch(rules[i].pattern, text, 0) == 0) {
            return rules[i].cluster.text;
        }
    }
    return NULL;
}
