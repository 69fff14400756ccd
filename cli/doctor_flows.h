/* cli/doctor_flows.h -- flow records for the doctor
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: as its caller.
 */
#pragma once

#include "api/doctor_flows.h"
#include "cli/settings.h"

/* Joins the sources that the arguments name with the index of --data and appends the report
 * (json_doctor_flows). `view` is of the same index. Bad records are told of on stderr. Returns 0 or
 * a negative error with a sentence in `why`. */
int doctor_flows(struct buf *body, const struct settings *settings, struct store_view *view,
                 struct why *why);
