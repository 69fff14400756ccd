/* collector/hints.h -- what a DNS server says about its clients: whose address it is
 * SPDX-License-Identifier: Apache-2.0
 *
 * CoreDNS can put its metadata into each dnstap message, as text (field `extra`). Of the form
 * namespace/pod it is a hint at the owner of the client's address at that time. It comes with every
 * message and changes once in a pod's life, so that a feed passes on only what it has not said
 * lately: a table of the clients seen last, made when the first hint comes.
 *
 * Threads: a table belongs to one thread at a time; hint_is_pod is stateless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "proto/dnstap.h"

/* The same hint is passed on again after so long, so that it is known how long it held. */
#define HINT_AGAIN_US (INT64_C(300) * 1000000)
/* Octets of namespace/pod: a label and a name (RFC 1123). */
#define HINT_MAX (63 + 1 + 253)

struct hints; /* NULL is an empty table */

/* Is it namespace/pod, both as Kubernetes names them? "-" is what CoreDNS writes for nothing. */
bool hint_is_pod(struct span extra);

/* True if the hint is to be passed on, which is then noted. Without memory for the table always. */
bool hints_is_news(struct hints **hints, const struct addr *client, struct span extra,
                   int64_t time_us);
void hints_free(struct hints **hints);
