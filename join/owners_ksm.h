/* join/owners_ksm.h -- the text of kube-state-metrics becomes facts about owners
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the Prometheus text format, as one scrape has them or, with timestamps, as a federation
 * or an export over hours: kube_pod_info, kube_pod_ips, kube_pod_start_time,
 * kube_pod_completion_time, kube_pod_deletion_timestamp, kube_pod_status_phase, kube_pod_labels;
 * kube_service_info, kube_service_created; kube_node_info, kube_node_status_addresses,
 * kube_node_created. Others are passed over.
 *
 * The lines of one pod are far apart, so everything is gathered and told at the end. A scrape says
 * what is now; where there are timestamps, what was not scraped for five minutes had ended with its
 * last sample.
 *
 * Threads: belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/owners.h"

/* What is not scraped for so long is gone, as Prometheus has it. */
#define OWNERS_KSM_STALE_US (5 * US_PER_MIN)

struct owners_ksm;

/* `owners` and `cluster` are borrowed. Returns 0 or -ENOMEM. */
int owners_ksm_new(struct owners_ksm **ksm, struct owners *owners, const char *cluster);
void owners_ksm_free(struct owners_ksm **ksm);

/* One line without its end. Returns 0; W_ESYNTAX with what is wrong in `why`; W_ELIMIT (more
 * objects than OWNERS_MAX_DEFAULT) or -ENOMEM. */
int owners_ksm_line(struct owners_ksm *ksm, const char *line, size_t len, struct why *why);

/* Tells the table what was gathered, and forgets it. Returns 0, W_ELIMIT or -ENOMEM. */
int owners_ksm_end(struct owners_ksm *ksm);

/* Objects told of. */
uint64_t owners_ksm_count(const struct owners_ksm *ksm);
