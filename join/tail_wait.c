/* join/tail_wait.c -- waiting for something to read
 * SPDX-License-Identifier: Apache-2.0
 */
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "join/tail_log.h"

/* Hints do not make us look more often than this. */
#define HINT_GAP_US (US_PER_S / 20)

/* Takes the hints. Returns true if there were any; names that come or go make the folders due. */
static bool take_hints(struct tail *tail)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;
    ssize_t got;
    while ((got = read(tail->notify, events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const struct inotify_event *)(events + at);
            tail->scan_now |= (event->mask & ~(uint32_t)IN_MODIFY) != 0;
            at += (ssize_t)(sizeof(*event) + event->len);
        }
        any = true;
    }
    return any;
}

static void wait_fds(struct tail *tail, int stop_fd, bool hints, int64_t timeout_us)
{
    bool stream = tail->stream.used && !tail->stream.ended;
    struct pollfd fds[] = {
        {.fd = stop_fd, .events = POLLIN},
        {.fd = hints ? tail->notify : -1, .events = POLLIN},
        {.fd = stream ? STDIN_FILENO : -1, .events = POLLIN},
    };
    poll(fds, sizeof(fds) / sizeof(fds[0]), (int)((timeout_us + 999) / 1000));
}

void tail_wait(struct tail *tail, int stop_fd, int64_t timeout_us)
{
    /* Whoever writes all the time must not have us look all the time. */
    int64_t gap_us = tail->looked_us + HINT_GAP_US - clock_monotonic_us();
    if (gap_us > timeout_us) {
        gap_us = timeout_us;
    }
    if (gap_us > 0) {
        wait_fds(tail, stop_fd, false, gap_us);
        timeout_us -= gap_us;
    }
    if (timeout_us > 0) {
        wait_fds(tail, stop_fd, true, timeout_us);
    }
    if (tail->notify >= 0 && take_hints(tail)) {
        tail->looked_us = 0;
    }
}
