/* store/owner_rows.c -- owners of addresses in the state environment
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/owner_rows.h"

#include <string.h>

#include "store/env.h"

#define ROW_FORMAT 1
enum { FLAG_HINT = 1, FLAG_SURE_END = 2 };
enum { TEXTS = 8 };

/* Before the addresses (16 octets each) and the texts, each with a NUL behind it: cluster,
 * namespace, name, uid, workload_kind, workload, node, labels. */
struct row_head {
    uint8_t format;
    uint8_t kind;
    uint8_t flags;
    uint8_t address_count;
    uint32_t size; /* of the whole row */
    uint64_t id;
    int64_t from_us;
    int64_t to_us;
    int64_t seen_us;
    int64_t written_us;
};

/* ---- Rows as octets ---- */

static size_t text_max(int number)
{
    return number == 0           ? STORE_CLUSTER_MAX
           : number == TEXTS - 1 ? STORE_OWNER_LABELS_MAX
                                 : STORE_OWNER_TEXT_MAX;
}

int owner_rows_add(struct buf *waiting, const struct store_owner *owner)
{
    const char *texts[TEXTS] = {owner->cluster,       owner->namespace, owner->name, owner->uid,
                                owner->workload_kind, owner->workload,  owner->node, owner->labels};
    size_t addrs_len = owner->address_count * sizeof(struct addr);
    size_t size = sizeof(struct row_head) + addrs_len;
    for (int i = 0; i < TEXTS; i++) {
        size_t len = strlen(texts[i]);
        if (len > text_max(i)) {
            return W_ESYNTAX;
        }
        size += len + 1;
    }
    if (owner->address_count == 0 || owner->address_count > STORE_OWNER_ADDRS_MAX) {
        return W_ESYNTAX;
    }
    struct row_head head;
    memset(&head, 0, sizeof(head)); /* the padding too: it is written to disk */
    head.format = ROW_FORMAT;
    head.kind = owner->kind;
    head.flags = (uint8_t)((owner->hint ? FLAG_HINT : 0) | (owner->sure_end ? FLAG_SURE_END : 0));
    head.address_count = (uint8_t)owner->address_count;
    head.size = (uint32_t)size;
    head.id = owner->id;
    head.from_us = owner->from_us;
    head.to_us = owner->to_us;
    head.seen_us = owner->seen_us;
    if (buf_room(waiting, size) == NULL) {
        int err = waiting->err;
        waiting->err = 0;
        return err;
    }
    buf_add(waiting, &head, sizeof(head));
    buf_add(waiting, owner->addresses, addrs_len);
    for (int i = 0; i < TEXTS; i++) {
        buf_add(waiting, texts[i], strlen(texts[i]) + 1);
    }
    return 0;
}

/* Reads a row; everything points into it. W_EDAMAGED if it is none, W_EVERSION if it is of a later
 * program. */
static int decode(MDB_val value, struct row_head *head, struct store_owner *owner)
{
    const char *text = value.mv_data;
    const char *end = text + value.mv_size;
    const char *texts[TEXTS];
    if (value.mv_size < sizeof(*head)) {
        return W_EDAMAGED;
    }
    memcpy(head, text, sizeof(*head));
    if (head->format != ROW_FORMAT) {
        return W_EVERSION;
    }
    text += sizeof(*head);
    if (head->size != value.mv_size || head->address_count > STORE_OWNER_ADDRS_MAX ||
        (size_t)(end - text) < head->address_count * sizeof(struct addr)) {
        return W_EDAMAGED;
    }
    owner->addresses = (const struct addr *)text;
    text += head->address_count * sizeof(struct addr);
    for (int i = 0; i < TEXTS; i++) {
        const char *nul = memchr(text, '\0', (size_t)(end - text));
        if (nul == NULL) {
            return W_EDAMAGED;
        }
        texts[i] = text;
        text = nul + 1;
    }
    owner->id = head->id;
    owner->kind = head->kind;
    owner->hint = (head->flags & FLAG_HINT) != 0;
    owner->sure_end = (head->flags & FLAG_SURE_END) != 0;
    owner->cluster = texts[0];
    owner->namespace = texts[1];
    owner->name = texts[2];
    owner->uid = texts[3];
    owner->workload_kind = texts[4];
    owner->workload = texts[5];
    owner->node = texts[6];
    owner->labels = texts[7];
    owner->from_us = head->from_us;
    owner->to_us = head->to_us;
    owner->seen_us = head->seen_us;
    owner->address_count = head->address_count;
    return 0;
}

/* ---- Writing ---- */

static int last_sequence(MDB_txn *txn, const struct owner_tables *tables, uint64_t *sequence)
{
    MDB_val key = val("owners", 6);
    MDB_val value;
    int err = env_err(mdb_get(txn, tables->head, &key, &value));
    *sequence = 0;
    if (err == 0 && value.mv_size == sizeof(*sequence)) {
        memcpy(sequence, value.mv_data, sizeof(*sequence));
    }
    return err == ENV_NOTFOUND ? 0 : err;
}

static int put_sequence(MDB_txn *txn, const struct owner_tables *tables, uint64_t sequence)
{
    MDB_val key = val("owners", 6);
    MDB_val value = val(&sequence, sizeof(sequence));
    return env_err(mdb_put(txn, tables->head, &key, &value, 0));
}

static int delete_former(MDB_txn *txn, const struct owner_tables *tables, uint64_t id)
{
    MDB_val key = val(&id, sizeof(id));
    MDB_val value;
    uint64_t sequence;
    int err = env_err(mdb_get(txn, tables->ids, &key, &value));
    if (err != 0) {
        return err == ENV_NOTFOUND ? 0 : err;
    }
    if (value.mv_size != sizeof(sequence)) {
        return W_EDAMAGED;
    }
    memcpy(&sequence, value.mv_data, sizeof(sequence));
    key = val(&sequence, sizeof(sequence));
    err = env_err(mdb_del(txn, tables->rows, &key, NULL));
    return err == ENV_NOTFOUND ? 0 : err;
}

static int put_row(MDB_txn *txn, const struct owner_tables *tables, uint64_t sequence,
                   const char *row, const struct row_head *head)
{
    uint64_t id = head->id;
    int err = delete_former(txn, tables, id);
    if (err != 0) {
        return err;
    }
    MDB_val key = val(&sequence, sizeof(sequence));
    MDB_val value = {.mv_data = NULL, .mv_size = head->size};
    err = env_err(mdb_put(txn, tables->rows, &key, &value, MDB_APPEND | MDB_RESERVE));
    if (err != 0) {
        return err;
    }
    memcpy(value.mv_data, head, sizeof(*head));
    memcpy((char *)value.mv_data + sizeof(*head), row + sizeof(*head), head->size - sizeof(*head));
    key = val(&id, sizeof(id));
    value = val(&sequence, sizeof(sequence));
    return env_err(mdb_put(txn, tables->ids, &key, &value, 0));
}

/* `slack`: are they more than 63 in 64 of what is allowed? */
static bool too_many(MDB_txn *txn, const struct owner_tables *tables, bool slack)
{
    MDB_stat stat;
    if (mdb_stat(txn, tables->rows, &stat) != 0) {
        return false;
    }
    size_t pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    size_t rows_max = tables->rows_max - (slack ? tables->rows_max / 64 : 0);
    size_t bytes_max = tables->bytes_max - (slack ? tables->bytes_max / 64 : 0);
    return stat.ms_entries > rows_max || pages * stat.ms_psize > bytes_max;
}

/* Deletes the row a cursor is at, and its id. */
static int delete_row(MDB_txn *txn, const struct owner_tables *tables, MDB_cursor *cursor,
                      uint64_t id)
{
    MDB_val key = val(&id, sizeof(id));
    int err = env_err(mdb_cursor_del(cursor, 0));
    err = err == 0 ? env_err(mdb_del(txn, tables->ids, &key, NULL)) : err;
    return err == ENV_NOTFOUND ? 0 : err;
}

static bool is_over(const struct row_head *head, int64_t before_us)
{
    bool ended = head->to_us != INT64_MAX;
    bool hint = (head->flags & FLAG_HINT) != 0;
    return ended ? head->to_us < before_us : hint && head->seen_us < before_us;
}

/* Deletes rows from the one changed longest ago on: those that are over before the time, and while
 * there are too many, those that are over at all. Stops where none can be that old any more. What
 * cannot be read (a later program wrote it) stays. */
static int sweep(MDB_txn *txn, const struct owner_tables *tables, int64_t before_us)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    struct row_head head;
    struct store_owner owner;
    bool many = too_many(txn, tables, false);
    int err = env_err(mdb_cursor_open(txn, tables->rows, &cursor));
    if (err != 0) {
        return err;
    }
    while ((err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        if (decode(value, &head, &owner) != 0) {
            continue;
        }
        if (!many && head.written_us >= before_us) {
            break;
        }
        if (is_over(&head, many ? INT64_MAX : before_us)) {
            err = delete_row(txn, tables, cursor, head.id);
            many = many && too_many(txn, tables, true);
        }
        if (err != 0) {
            break;
        }
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err;
}

int owner_rows_put(MDB_txn *txn, const struct owner_tables *tables, const struct buf *waiting,
                   int64_t now_us)
{
    uint64_t sequence;
    int err = last_sequence(txn, tables, &sequence);
    for (size_t at = 0; at < waiting->len && err == 0;) {
        struct row_head head;
        memcpy(&head, waiting->data + at, sizeof(head));
        head.written_us = now_us;
        err = put_row(txn, tables, ++sequence, waiting->data + at, &head);
        at += head.size;
    }
    err = err == 0 ? put_sequence(txn, tables, sequence) : err;
    return err == 0 && too_many(txn, tables, false) ? sweep(txn, tables, 0) : err;
}

int owner_rows_forget(MDB_txn *txn, const struct owner_tables *tables, int64_t before_us)
{
    return sweep(txn, tables, before_us);
}

/* ---- Reading ---- */

int owner_rows_visit(MDB_txn *txn, MDB_dbi rows, uint64_t after, store_owner_fn fn, void *ctx)
{
    MDB_cursor *cursor;
    uint64_t first = after + 1;
    MDB_val key = val(&first, sizeof(first));
    MDB_val value;
    int err = env_err(mdb_cursor_open(txn, rows, &cursor));
    if (err != 0) {
        return err;
    }
    err = env_err(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (err == 0) {
        struct row_head head;
        struct store_owner owner;
        err = decode(value, &head, &owner);
        if (err == 0) {
            memcpy(&owner.sequence, key.mv_data, sizeof(owner.sequence));
            err = fn(ctx, &owner) ? env_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) : 2;
        }
    }
    mdb_cursor_close(cursor);
    return err == ENV_NOTFOUND ? 0 : err == 2 ? 1 : err;
}
