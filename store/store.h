/* store/store.h -- the index: which client got which answer when, and when nobody was watching
 * SPDX-License-Identifier: Apache-2.0
 *
 * A data directory holds one LMDB environment per day (a window) and one small state environment
 * (streams with the time each is committed to, losses). This is the only folder that knows LMDB.
 *
 *   DIR/writer.lock                   flock held by the one writer; its text says who that is
 *   DIR/state.mdb                     streams, losses and owners, always synced
 *   DIR/windows/DAY-SERIAL.mdb        e.g. 20260522-00000001.mdb; a serial is never used again
 *
 * Writing: one process, one thread (the writer thread) calls store_answer, store_asked,
 * store_stream_*, store_loss and store_commit. Answers are gathered in memory and become visible
 * and durable at the next commit: windows first, then the state, so after a crash nothing is
 * claimed that is not there. Reading: any number of processes and threads; each thread uses a view
 * of its own and sees what was committed when the view was last refreshed.
 *
 * A sighting is a run of answers to the same (cluster, client, asked name, chain, addresses): an
 * answer before the run's expiry + grace extends it, a later one opens a new run. Times are kept to
 * the millisecond, the first and the last to the microsecond; beyond 64 they are thinned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "proto/answer.h"
#include "store/tally.h"

#define STORE_CLUSTER_MAX 63   /* octets in a cluster name */
#define STORE_IDENTITY_MAX 255 /* octets kept of a sender's identity or version */
#define STORE_TIMES_MAX 64     /* answer times kept in one sighting */

struct store;
struct store_view;

enum store_mode {
    STORE_READ,
    STORE_WRITE, /* creates the directory (mode 0700) if it does not exist */
};

struct store_options {
    uint64_t memory_bytes;     /* bound on what the writer keeps in memory; 0: 128 MiB */
    uint32_t answers_per_hour; /* new answer sets one client may add an hour; 0: 20,000 */
    const char *writer_note;   /* who writes, for whoever is refused: "whither serve,
                                  http://127.0.0.1:8053"; may be NULL; copied */
};

/* Opens a data directory. Returns 0; -ENOENT (reading: nothing there), W_ELOCKED (another writer;
 * `why` holds its note), W_EVERSION, W_EDAMAGED, or -errno. `why` may be NULL. `options` may be
 * NULL. */
int store_open(struct store **store, const char *dir, enum store_mode mode,
               const struct store_options *options, struct why *why);
/* Closes; all views must be freed before. What is not committed is lost. NULL is fine. */
void store_close(struct store **store);

/* ---- Writing: one thread. ---- */

/* Number of a cluster name, made up on first use; 0xffff if the name is too long or there are too
 * many. Valid until store_close. */
uint16_t store_cluster(struct store *store, const char *cluster);

/* Adds one answer. `bytes` is a canonical answer set (proto/answer.h), read before the call
 * returns. Returns 0; W_ELIMIT if the client is over answers_per_hour (counted, and the client is
 * marked capped); W_ESYNTAX if `bytes` is no answer or the time is out of range. Any other error
 * (-ENOSPC, -ENOMEM, W_ELIMIT if the window holds as many clients as fit the memory) means that it
 * could not be kept: it is counted as lost and its time becomes a loss. */
int store_answer(struct store *store, uint16_t cluster, const struct addr *client, int64_t time_us,
                 uint32_t ttl_s, const uint8_t *bytes, size_t len);

/* Notes that the client asked something at that time, whatever the rcode. */
int store_asked(struct store *store, uint16_t cluster, const struct addr *client, int64_t time_us);

enum store_stream_kind {
    STREAM_LIVE = 0,    /* a connection */
    STREAM_CAPTURE = 1, /* a capture file */
    STREAM_PARTIAL = 2, /* a flow log that shows some DNS answers: it covers no time */
};

enum store_stream_end {
    STREAM_OPEN = 0,
    STREAM_STOPPED = 1, /* ended with STOP: the sender is no longer expected */
    STREAM_CUT = 2,     /* ended without STOP: opens a blind interval at its last frame */
};

/* Begins a stream: one connection or one capture, heard from `from_us` on. A stream of the same
 * cluster and identity that was cut is thereby heard again. `identity` and `version` are any
 * octets, cut at STORE_IDENTITY_MAX. Returns its number, never 0; 0 if memory is short. */
uint32_t store_stream_begin(struct store *store, enum store_stream_kind kind, uint16_t cluster,
                            const uint8_t *identity, size_t identity_len, const uint8_t *version,
                            size_t version_len, const char *peer, int64_t from_us);
/* A frame of the stream with that time was handed over. Covers up to the latest time less the
 * disorder seen in this stream, from the next commit on. */
void store_stream_heard(struct store *store, uint32_t stream, int64_t time_us);
/* Ends it; the number is free after the next commit. */
void store_stream_end(struct store *store, uint32_t stream, enum store_stream_end end);
/* Adds to what the stream is known to have sent. */
void store_stream_tally(struct store *store, uint32_t stream, const struct tally *tally);
/* Sets what a capture covers where its user said so (--covers FROM..TO). */
void store_stream_covers(struct store *store, uint32_t stream, int64_t from_us, int64_t to_us);

/* Answers between the two times were lost by us: `reason` is a static word ("disk-full",
 * "refused-time"). */
void store_loss(struct store *store, uint16_t cluster, int64_t from_us, int64_t to_us,
                uint64_t count, const char *reason);

#define STORE_OWNER_ADDRS_MAX 8
#define STORE_OWNER_TEXT_MAX 255 /* octets of each text but the labels and the cluster */
#define STORE_OWNER_LABELS_MAX 2047

/* One object of a cluster held these addresses from .. to. What it means is join's business
 * (join/owners.h); the store keeps it. Texts are never NULL. */
struct store_owner {
    uint64_t id; /* made up by whoever writes it; the same for all that is said of one interval */
    uint64_t sequence; /* reading: ascends with each change of any interval */
    uint8_t kind;
    bool hint;
    bool sure_end;
    const char *cluster;
    const char *namespace;
    const char *name;
    const char *uid;
    const char *workload_kind;
    const char *workload;
    const char *node;
    const char *labels;
    int64_t from_us;
    int64_t to_us; /* INT64_MAX: it has not ended */
    int64_t seen_us;
    uint32_t address_count; /* from 1 to STORE_OWNER_ADDRS_MAX */
    const struct addr *addresses;
};
/* Keeps an interval from the next commit on, in place of the one of the same id. It goes when it
 * ended (a hint: when it was last seen) longer ago than store_retain keeps, or, from the one that
 * changed longest ago on, when there are too many. Returns 0; W_ESYNTAX for texts or addresses
 * beyond the limits; W_ELIMIT where too many wait already, because commits fail; -ENOMEM. */
int store_owner(struct store *store, const struct store_owner *owner);

/* How many streams must be heard for an instant to count as watched; 0: not fixed. Kept in the
 * state. */
void store_expect(struct store *store, uint32_t senders);
/* So many of the cluster from that time on, where store_expect set none; 0: not known by number.
 * The times of one cluster ascend. */
void store_expect_from(struct store *store, const char *cluster, int64_t from_us, uint32_t senders);

/* True when so much waits in memory that a commit is due now. */
bool store_full(const struct store *store);

/* Commits everything added so far. On failure (-ENOSPC, -EIO, ...) what was added since the last
 * commit is dropped, counted and becomes a loss, the index stays as it was, and writing goes on:
 * the next commit tries anew. `alive_us` is the wall clock: the service was alive until then. */
int store_commit(struct store *store, int64_t alive_us, struct why *why);

/* Drops every window that ended more than `retention_us` before `now_us`. Returns how many. */
int store_retain(struct store *store, int64_t now_us, int64_t retention_us);

struct store_counters {
    uint64_t answers;   /* kept */
    uint64_t sightings; /* runs opened */
    uint64_t capped;    /* answers refused by answers_per_hour */
    uint64_t lost;      /* answers that could not be kept, or were dropped by a failed commit */
    uint64_t commits;
    uint64_t commit_failures;
    uint64_t commit_us_max; /* slowest commit */
    uint64_t commit_us_sum;
};
/* May be called from any thread. */
struct store_counters store_counters(const struct store *store);

/* ---- Reading: one view per thread. ---- */

int store_view_new(struct store *store, struct store_view **view);
void store_view_free(struct store_view **view);
/* Moves the view to the latest commit (cheap when there was none). Returns 0 or a negative error.
 */
int store_view_refresh(struct store_view *view, struct why *why);
/* Lets go of the pages of the commit the view is at, which the writer cannot use again until then:
 * for a view that may be idle for long. The next question comes after store_view_refresh. */
void store_view_rest(struct store_view *view);

struct store_sighting {
    const struct answer *answer; /* all pointers live until the callback returns */
    uint64_t answer_id;          /* equal ids, equal answers; until the view is refreshed */
    struct addr client;
    const char *cluster;
    int64_t first_us;
    int64_t last_us;
    int64_t expiry_us;   /* max(time + TTL) */
    uint32_t count;      /* answers in the run */
    bool approximate;    /* times were thinned */
    uint32_t time_count; /* times kept, ascending; the first and the last are always among them */
    const int64_t *times;
};

/* Return false to stop. */
typedef bool (*store_sighting_fn)(void *ctx, const struct store_sighting *sighting);

/* Every call below visits sightings that have an answer within [from_us, to_us], in no promised
 * order across windows, and returns 0, a negative error, or 1 if `fn` stopped it. An unknown
 * cluster, client or name visits nothing. */

/* Answers to `client` that contain `address`. */
int store_by_client_address(struct store_view *view, const char *cluster, const struct addr *client,
                            const struct addr *address, int64_t from_us, int64_t to_us,
                            store_sighting_fn fn, void *ctx);
/* Answers to `client` in whose CNAME chain `target` (lower-case wire name) is. */
int store_by_client_target(struct store_view *view, const char *cluster, const struct addr *client,
                           const uint8_t *target, int64_t from_us, int64_t to_us,
                           store_sighting_fn fn, void *ctx);
/* All answers to `client`. */
int store_by_client(struct store_view *view, const char *cluster, const struct addr *client,
                    int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx);
/* As store_by_client, but `answer` is NULL: one answer goes to many clients, and who visits many of
 * them need not read it for each (store_answer_of). Returns W_ELIMIT when more than `max_runs` runs
 * had to be read, whether or not they lie within the span. */
int store_runs_of_client(struct store_view *view, const char *cluster, const struct addr *client,
                         int64_t from_us, int64_t to_us, uint32_t max_runs, store_sighting_fn fn,
                         void *ctx);
/* The answer of that id. `*answer` lives until the view is used again. */
int store_answer_of(struct store_view *view, uint64_t answer_id, const struct answer **answer);
/* All answers with `address`, to whomever. */
int store_by_address(struct store_view *view, const char *cluster, const struct addr *address,
                     int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx);
/* All answers whose asked name or chain has `name`; with `under`, also names below it. */
int store_by_name(struct store_view *view, const char *cluster, const uint8_t *name, bool under,
                  int64_t from_us, int64_t to_us, store_sighting_fn fn, void *ctx);

/* One asked name that `address` was answered for, over all clients of the cluster. */
struct store_shared {
    const struct answer *answer; /* the latest such; its source is dnstap if that saw one of them */
    uint32_t clients;            /* different clients that got it */
    bool clients_at_least;       /* counting stopped at a bound */
    int64_t last_us;
    int64_t expiry_us;
    uint32_t count; /* of the source that saw most */
};
typedef bool (*store_shared_fn)(void *ctx, const struct store_shared *shared);
int store_shared_names(struct store_view *view, const char *cluster, const struct addr *address,
                       int64_t from_us, int64_t to_us, store_shared_fn fn, void *ctx);
/* The same without what the `except_count` clients got. */
int store_shared_names_but(struct store_view *view, const char *cluster, const struct addr *address,
                           const struct addr *except, size_t except_count, int64_t from_us,
                           int64_t to_us, store_shared_fn fn, void *ctx);

/* Has any window anything of the cluster? */
bool store_knows_cluster(struct store_view *view, const char *cluster);

/* The clients known in the days that the span touches, the latest day first; one of several days
 * is visited for each. Returns as the calls above. */
typedef bool (*store_client_fn)(void *ctx, const struct addr *client);
int store_clients(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                  store_client_fn fn, void *ctx);

/* What is known of a client besides its answers. */
struct store_client {
    bool asked;  /* seen asking, any rcode, within [from_us, to_us] (to the minute) */
    bool capped; /* was over answers_per_hour in that span */
};
int store_client_seen(struct store_view *view, const char *cluster, const struct addr *client,
                      int64_t from_us, int64_t to_us, struct store_client *out);

enum store_cover {
    COVER_WHOLE,     /* watched throughout */
    COVER_ASSUMED,   /* no sender was ever known: nothing speaks against it */
    COVER_GAP,       /* a blind interval touches the span */
    COVER_UNSETTLED, /* a connected sender was not yet heard past the end of the span and settle_us
                        has not passed */
};
/* Was the whole span [from_us, to_us] watched, as seen at now_us? */
enum store_cover store_cover(struct store_view *view, const char *cluster, int64_t from_us,
                             int64_t to_us, int64_t now_us, int64_t settle_us);
/* Is the instant settled: every connected sender of the cluster heard past `time_us`, or settle
 * passed? */
bool store_settled(struct store_view *view, const char *cluster, int64_t time_us, int64_t now_us,
                   int64_t settle_us);

struct store_stream {
    uint32_t number;
    enum store_stream_kind kind;
    enum store_stream_end end;
    const char *cluster;
    const char *identity; /* terminated; octets as sent */
    const char *version;
    const char *peer; /* "unix:/run/…", "tcp:192.0.2.1:4711", a file name */
    int64_t from_us;
    int64_t committed_us; /* every frame up to here is committed */
};
typedef bool (*store_stream_fn)(void *ctx, const struct store_stream *stream);
int store_streams(struct store_view *view, store_stream_fn fn, void *ctx);
/* What stream `number` sent, up to the last commit; all zero if nothing is known. Returns 0 or a
 * negative error. */
int store_tally(struct store_view *view, uint32_t number, struct tally *tally);

/* A writer that committed within this time is at work: what its connected senders sent since is
 * still to come, which is not blindness. */
#define STORE_COMMIT_LAG_US (INT64_C(10) * 1000000)

struct store_blind {
    int64_t from_us;
    int64_t to_us; /* now_us where it is still open */
    bool open;
    const char *cluster;
    const char *sender; /* identity, or "" where it concerns all */
    const char *reason; /* "cut", "no-sender", "too-few-senders", "disk-full", ... */
    uint64_t lost;      /* answers known to be lost, 0 if unknown */
};
typedef bool (*store_blind_fn)(void *ctx, const struct store_blind *blind);
/* Blind intervals that touch [from_us, to_us], by start. */
int store_blinds(struct store_view *view, const char *cluster, int64_t from_us, int64_t to_us,
                 int64_t now_us, store_blind_fn fn, void *ctx);

/* All pointers live until the callback returns. Return false to stop. */
typedef bool (*store_owner_fn)(void *ctx, const struct store_owner *owner);
/* Visits the intervals that changed after that sequence number (0: all), ascending by it. What was
 * dropped meanwhile is not told. Sees the latest commit, whatever the view was refreshed to.
 * Returns 0, 1 if `fn` stopped it, or a negative error. */
int store_owners(struct store_view *view, uint64_t after, store_owner_fn fn, void *ctx);

struct store_status {
    uint32_t windows;
    uint64_t bytes; /* of all window files and the state on disk */
    uint64_t sightings;
    uint64_t answers;
    uint64_t times;       /* answer times kept */
    uint64_t clients;     /* summed over windows */
    uint64_t names;       /* likewise */
    uint64_t answer_sets; /* likewise */
    int64_t first_us;     /* earliest and latest answer, 0 if none */
    int64_t last_us;
    int64_t alive_us; /* the writer's last commit, 0 if never */
};
int store_status(struct store_view *view, struct store_status *status);

/* The file system the index is on. */
struct store_disk {
    uint64_t free_bytes; /* for us */
    uint64_t total_bytes;
};
/* Returns 0 or -errno. */
int store_disk(const struct store_view *view, struct store_disk *disk);
