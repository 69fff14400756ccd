/* api/pending.h -- requests that are looked at, or wait, without holding a thread of the service
 * SPDX-License-Identifier: Apache-2.0
 *
 * One thread takes the requests to POST /v1/flows one after another: it surveys each (api/flows.h)
 * and lets it go on at once, or where it wants to wait when its flows are settled, but no later
 * than at its deadline. It also sees to it that no more than FLOWS_REPLIES_MAX replies are being
 * made at a time. Meanwhile the connection is suspended.
 *
 * Threads: pending_new and pending_stop belong to the thread of api_start; pending_hold may be
 * called from any.
 */
#pragma once

#include "base/err.h"

struct api;
struct pending;
struct request;

/* Replies made at a time; each needs some 8 MiB at most. */
#define FLOWS_REPLIES_MAX 8

/* Starts the thread. Returns 0, -errno or -ENOMEM. */
int pending_new(struct pending **pending, struct api *api);
/* Takes a request whose connection is suspended and whose state is a struct flows. request_resume
 * is called for it, from this call or later from the thread, with the problem set or not. */
void pending_hold(struct pending *pending, struct request *request);
/* Something has changed that somebody may wait for: a reply was finished. */
void pending_wake(struct pending *pending);
/* Lets all go on as they are (503 where they were not surveyed) and ends the thread; what is held
 * afterwards goes on at once with a 503. */
void pending_stop(struct pending *pending);
/* After pending_stop. *pending may be NULL. */
void pending_free(struct pending **pending);
