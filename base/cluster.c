/* base/cluster.c -- the cluster that a listener, a file or a source is of, on the command line
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/cluster.h"

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
