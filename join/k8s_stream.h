/* join/k8s_stream.h -- Kubernetes objects out of a stream of JSON: watches and lists
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cuts octets that come in any pieces into whole documents, without parsing them: what a watch
 * sends (one document a line), what `kubectl get -w -o json` prints (older ones over many lines),
 * and lists, whose items are given out one by one, so that a list of any length needs the memory of
 * its largest item. Documents need nothing between them.
 *
 * What is no JSON object is skipped up to the next line that begins with `{`, so that a cut in the
 * middle of a stream costs the document that was cut and no other.
 *
 * Not checked is what the parser of a piece checks anyway: commas, colons, literals, UTF-8.
 *
 * No I/O. Threads: a stream belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Members deeper than this are a fault; an item of a list stands at level 2. */
#define K8S_STREAM_DEPTH_MAX 64
#define K8S_KIND_MAX 63
/* The default limit of one document or item. etcd takes 1.5 MiB. */
#define K8S_OBJECT_MAX ((size_t)4 * 1024 * 1024)

enum k8s_piece_type {
    K8S_PIECE_DOCUMENT, /* a document without "items": a watch event, or one object */
    K8S_PIECE_ITEM,     /* one element of a document's "items", which is an object */
    K8S_PIECE_LIST,     /* the end of a document with "items": all of it but the items */
    K8S_PIECE_TOO_LONG, /* a document or item over the limit was skipped; no text */
    K8S_PIECE_FAULT,    /* what stood there is no document, or one was cut; no text */
};

struct k8s_piece {
    enum k8s_piece_type type;
    const char *text; /* JSON, not terminated; lives as long as the call */
    size_t len;
    /* Of an item and a list: the list's "kind" ("PodList") where it came before the items, else "".
     * `kubectl get -o json` writes it behind them, but gives each item its own. */
    const char *list_kind;
    uint64_t line;    /* in which the document or item begins, from 1; of a fault, where it is */
    const char *what; /* static: what is wrong; NULL where nothing is */
};

/* Returns 0 to go on; another value ends the push and is returned by it. */
typedef int (*k8s_piece_fn)(void *ctx, const struct k8s_piece *piece);

struct k8s_stream;

/* `max_len` octets bound a document, an item, and a list without its items. Returns 0 or -ENOMEM.
 */
int k8s_stream_new(struct k8s_stream **stream, size_t max_len, k8s_piece_fn fn, void *ctx);
void k8s_stream_free(struct k8s_stream **stream);

/* Takes the next octets and calls back for each piece that ends in them. Returns 0, -ENOMEM, or
 * what the callback returned; after an error only reset and free are allowed. */
int k8s_stream_push(struct k8s_stream *stream, const char *bytes, size_t len);

/* No more octets come: a document that is not whole is a fault. Like reset, then. */
int k8s_stream_end(struct k8s_stream *stream);

/* Forgets what was begun and counts lines from 1 again; keeps its memory. */
void k8s_stream_reset(struct k8s_stream *stream);
