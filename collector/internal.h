/* collector/internal.h -- what the loop, its listeners and its connections share
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: everything belongs to the loop's thread but `ready` and `wake`.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/log.h"
#include "collector/collector.h"
#include "collector/feed.h"
#include "proto/framestream.h"

/* One buffer serves every connection: it is empty again when a read callback returns. */
#define READ_BUFFER_BYTES (256 * 1024)

/* A record of TLS. */
#define PLAIN_BUFFER_BYTES (16 * 1024)

/* Streams of all connections together beyond which a connection gets one only: a peer that makes up
 * identities must not fill the memory. */
#define STREAMS_MAX 4096

/* Kinds of log lines that peers can cause; each has a limit of its own. */
enum limit {
    LIMIT_CLOSED,   /* a connection was closed because of what came, or did not come */
    LIMIT_TOO_MANY, /* the connection limit */
    LIMIT_NOT_FULL, /* responses without a message */
    LIMIT_AWAY,     /* frames whose time is far from their receipt */
    LIMIT_OVERSIZE,
    LIMIT_ACCEPT, /* accept(2) failed */
    LIMIT_PAUSED, /* the queue is full */
    LIMITS,
};

union stream_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
};

struct listener {
    union stream_handle handle;
    struct collector *collector;
    bool is_unix;
    bool tls;
    bool open;                   /* the handle must be closed */
    bool pending;                /* a connection waits for memory */
    char *name;                  /* owned: "unix:/run/dnstap.sock", "tcp:127.0.0.1:6000" */
    struct cluster_name cluster; /* of its senders; "": by their identity, or the collector's */
    /* A socket file made by us, removed at the end if it still is that one. */
    char *path; /* owned; NULL: not ours */
    dev_t device;
    ino_t inode;
};

enum connection_state {
    CONNECTION_HANDSHAKE, /* READY or START is to come */
    CONNECTION_DATA,
    CONNECTION_COMMIT, /* STOP came; FINISH waits for the commit */
    CONNECTION_FINISH, /* FINISH is being sent */
    CONNECTION_CLOSED, /* uv_close was called */
};

struct connection {
    union stream_handle handle;
    uv_write_t finish;
    struct collector *collector;
    struct connection *next;
    struct connection *prev;
    enum connection_state state;
    int64_t deadline_us; /* monotonic; 0: none. What it means depends on the state */
    uint64_t end_number; /* batch that must be committed before FINISH */
    size_t memory;       /* of the decoder, as counted in collector.partial_bytes */
    uint32_t streams;    /* of the feed, as counted in collector.streams */
    struct tls *tls;     /* NULL: what comes is Frame Streams itself */
    struct fs_decoder decoder;
    struct feed feed;
    char peer[128];     /* "tcp:192.0.2.1:4711", "unix:/run/dnstap.sock" */
    char identity[128]; /* where the sender gives none: the peer without the port */
};

enum phase { PHASE_SERVING, PHASE_DRAINING, PHASE_COMMITTING, PHASE_ENDED };

struct collector {
    struct collector_options options; /* with the defaults filled in */
    struct store *store;
    struct writer *writer;
    uv_loop_t loop;
    bool loop_open;
    uv_async_t wake;  /* from the writer, and from collector_stop */
    uv_timer_t sweep; /* deadlines, each second */
    uv_timer_t batch; /* a batch that is not full goes on its way */
    uv_timer_t drain; /* while stopping */
    uv_signal_t signals[2];
    struct listener *listeners; /* owned */
    size_t listener_count;
    struct connection *connections;
    uint32_t connection_count;
    uint32_t committing; /* connections in CONNECTION_COMMIT */
    uint64_t partial_bytes;
    uint32_t streams;
    struct outlet *outlet; /* owned */
    uint8_t *read_buffer;  /* owned */
    uint8_t *plain_buffer; /* owned: what a session of TLS gives out; NULL without `tls` */
    struct tls_server *tls;
    bool paused; /* nothing is read: the queue is full */
    enum phase phase;
    int64_t stop_us;      /* monotonic, when stopping began */
    int64_t read_us;      /* monotonic, of the last read */
    uint64_t last_number; /* the last batch, while stopping */
    int result;           /* of collector_run */
    struct log_limit limits[LIMITS];
    atomic_bool ready;
    atomic_bool stop; /* collector_stop was called */
};

/* ---- listener.c ---- */

/* Counts what systemd passes and makes all listeners. On failure listeners_close undoes it. */
int listeners_open(struct collector *collector, struct why *why);
/* Accepts from now on. */
int listeners_start(struct collector *collector, struct why *why);
/* Tries again where memory was short. */
void listeners_retry(struct collector *collector);
/* Closes every listener and removes the socket files that are ours. */
void listeners_close(struct collector *collector);
/* Frees them, once their close callbacks have run. */
void listeners_free(struct collector *collector);

/* ---- connection.c ---- */

/* Takes a waiting connection from the listener. Returns 0 or -ENOMEM, where it keeps waiting. */
int connection_accept(struct listener *listener);
/* Ends the feed (as cut where it was not stopped) and closes; the memory goes in the callback. Does
 * nothing the second time. */
void connection_close(struct connection *connection);
/* Looks at the deadline. */
void connection_sweep(struct connection *connection, int64_t monotonic_us);
/* Sends FINISH if what was to be committed is. */
void connection_committed(struct connection *connection, uint64_t number);
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);
const char *connection_state_name(enum connection_state state);

/* ---- collector.c ---- */

/* After a read or whatever else wrote records: sees that they go on their way, and stops reading
 * where there is no more room. */
void collector_wrote(struct collector *collector);
/* Hands the current batch over and returns its number; 0 if it is empty. */
uint64_t collector_hand_over(struct collector *collector, bool urgent);
/* Logs a line of a kind unless there were too many of late. */
void collector_log(struct collector *collector, enum limit limit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
