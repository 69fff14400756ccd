/* base/cluster.h -- the cluster that a listener, a file or a source is of, on the command line
 * SPDX-License-Identifier: Apache-2.0
 *
 * One grammar for all of them: `WHAT,cluster=NAME`, as tcp:127.0.0.1:6000,cluster=prod-1 or
 * flows.log,cluster=prod-1. Only at the end, so that a comma elsewhere belongs to the name of what
 * is named.
 *
 * Threads: everything here is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CLUSTER_NAME_MAX 63

/* Room for a name and its NUL. */
struct cluster_name {
    char text[CLUSTER_NAME_MAX + 1];
};

/* May a cluster be called that? 1 to CLUSTER_NAME_MAX octets, no control characters. */
bool cluster_name_ok(const char *name, size_t len);

/* Splits `text`: *len becomes the length of what is before the suffix, `cluster` its name, "" if
 * there is no suffix. False if the name is none. */
bool cluster_split(const char *text, size_t *len, struct cluster_name *cluster);

/* --cluster-of PATTERN=NAME: senders whose dnstap identity matches a shell pattern (* ? [a-z]) are
 * of that cluster. */
struct cluster_rule {
    char pattern[256];
    struct cluster_name cluster;
};

/* Parses "PATTERN=NAME" at the last '='. False if it is not of that form, or too long. */
bool cluster_rule_parse(struct cluster_rule *rule, const char *text);

/* The cluster of the first rule that matches the identity (`len` octets), NULL if none does. */
const char *cluster_of_identity(const struct cluster_rule *rules, size_t count,
                                const unsigned char *identity, size_t len);
