/* join/json.cc -- JSON records: simdjson's first stage, and a walk over what it found
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first stage finds, at several gigabytes a second, where structure and scalars begin (tokens),
 * and checks UTF-8 and quotes: after the token of a string comes that of whatever follows its end.
 * The walk is ours rather than simdjson's On-Demand: that is built for the processor at hand only
 * when compiled for it, and does not check what it passes over.
 */
#include "join/json.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <simdjson.h>

#include "base/err.h"

namespace
{

/* A member on the way to something wanted. Index 0 is the document. */
struct node {
    uint64_t head; /* head8 of the key */
    char key[JSON_KEY_MAX + 1];
    uint8_t key_len;
    int32_t index;  /* as an array index, -1 if the key is none */
    int16_t value;  /* number of the pointer that ends here, -1 if none */
    int16_t child;  /* first child, 0 if none */
    int16_t next;   /* next sibling, 0 if none */
    uint16_t slots; /* where the table of its children begins, and its size less one */
    uint16_t slots_mask;
};

constexpr size_t NODES_MAX = 512;
constexpr size_t SLOTS_MAX = 4 * NODES_MAX;
static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads further");

/* What simdjson's first stage found. */
struct stage {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> impl;
    size_t cap;
};

uint64_t load8(const char *at)
{
    uint64_t head;
    memcpy(&head, at, sizeof(head));
    return head;
}

/* The first 8 octets of a key, zeros after its end. */
uint64_t head8(const char *key, size_t len)
{
    return len >= 8 ? load8(key) : load8(key) & ((uint64_t(1) << len * 8) - 1);
}

/* Where the search for a key begins. */
size_t slot_of(uint64_t head, size_t len)
{
    return (size_t)((head + len) * 0x9e3779b97f4a7c15u >> 48);
}

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

} // namespace

struct json_paths {
    size_t count;
    size_t used;
    node nodes[NODES_MAX];
    int16_t slots[SLOTS_MAX]; /* children by the hash of their key, 0: empty */
};

struct json_parser {
    size_t max_len;
    char *copy; /* owned: the document and its padding */
    stage single;
    /* the batch in hand */
    stage batch;
    const char *batch_text; /* NULL: there is none */
    size_t batch_len;
    const uint32_t *batch_at; /* the token after the last document that was parsed */
    uint32_t round;           /* of `seen` */
    uint32_t seen[NODES_MAX]; /* the round in which the node was met: a repeated key is passed over
                               */
};

namespace
{

/* Finds or makes the child of `parent` with that key; -1 if there are too many. */
int16_t node_child(json_paths *paths, int16_t parent, const char *key, size_t len)
{
    int16_t *link = &paths->nodes[parent].child;
    while (*link != 0) {
        node &at = paths->nodes[*link];
        if (at.key_len == len && memcmp(at.key, key, len) == 0) {
            return *link;
        }
        link = &at.next;
    }
    if (paths->used == NODES_MAX) {
        return -1;
    }
    int16_t made = (int16_t)paths->used++;
    node &at = paths->nodes[made];
    at = node{};
    memcpy(at.key, key, len);
    at.key_len = (uint8_t)len;
    at.head = head8(at.key, len);
    at.value = -1;
    at.index = -1;
    if (len <= 4 && is_digit(key[0])) {
        char *end;
        long index = strtol(at.key, &end, 10);
        at.index = *end == '\0' ? (int32_t)index : -1;
    }
    *link = made;
    return made;
}

int add_pointer(json_paths *paths, const char *pointer, int16_t value)
{
    int16_t at = 0;
    while (*pointer != '\0') {
        if (*pointer != '/') {
            return -EINVAL;
        }
        size_t len = strcspn(++pointer, "/");
        if (len == 0 || len > JSON_KEY_MAX) {
            return -EINVAL;
        }
        at = node_child(paths, at, pointer, len);
        if (at < 0) {
            return -EINVAL;
        }
        pointer += len;
    }
    if (paths->nodes[at].value >= 0) {
        return -EINVAL;
    }
    paths->nodes[at].value = value;
    return 0;
}

/* Makes the table of each node's children: at least twice as many slots as children. */
void make_slots(json_paths *paths)
{
    size_t used = 0;
    for (size_t i = 0; i < paths->used; i++) {
        node &parent = paths->nodes[i];
        size_t count = 0, size = 2;
        for (int16_t child = parent.child; child != 0; child = paths->nodes[child].next) {
            count++;
        }
        while (size < 2 * count) {
            size *= 2;
        }
        if (count == 0) {
            continue;
        }
        parent.slots = (uint16_t)used;
        parent.slots_mask = (uint16_t)(size - 1);
        used += size;
        for (int16_t child = parent.child; child != 0; child = paths->nodes[child].next) {
            const node &at = paths->nodes[child];
            size_t slot = slot_of(at.head, at.key_len) & parent.slots_mask;
            while (paths->slots[parent.slots + slot] != 0) {
                slot = (slot + 1) & parent.slots_mask;
            }
            paths->slots[parent.slots + slot] = child;
        }
    }
}

/* Octets that a scalar may begin with. */
struct scalar_table {
    bool begins[256] = {};
    constexpr scalar_table()
    {
        for (const char *c = "\"-0123456789tfn"; *c != '\0'; c++) {
            begins[(unsigned char)*c] = true;
        }
    }
};
constexpr scalar_table SCALARS;

/* One document on its way through the walk. Offsets count from `base`, where behind the last token
 * there is one at a space. A step takes the token it begins at and returns the one after what it
 * read, nullptr if that was not sound. Tokens of the next document of a batch are not told from
 * those of this one until its end. */
struct walk {
    json_parser *parser;
    const json_paths *paths;
    const char *base;        /* what the tokens are offsets into */
    const char *values_base; /* what the values are to point into, as far as it is the document */
    uint32_t start;          /* of the document */
    uint32_t stop;           /* its end; there is a token at or after it */
    const uint32_t *at;      /* its first token */
    json_value *values;
    json_fault fault;
    bool too_deep;
    bool escapes; /* there is a backslash in it */

    const uint32_t *fail(const uint32_t *p, const char *what)
    {
        fault.what = what;
        fault.offset = (*p < stop ? *p : stop) - start;
        return nullptr;
    }

    const uint32_t *fail_deep(const uint32_t *p)
    {
        too_deep = true;
        return fail(p, "nested too deeply");
    }

    /* Where a scalar ends: before the next token, less the space between. */
    uint32_t scalar_end(const uint32_t *p) const
    {
        uint32_t end = p[1];
        while (end > *p + 1 && is_space(base[end - 1])) {
            end--;
        }
        return end;
    }

    /* A value below 0 is nobody's: a document that is no more than a scalar. */
    void set(int16_t value, json_type type, uint32_t from, uint32_t to)
    {
        if (value < 0) {
            return;
        }
        json_value &out = values[value];
        out.type = type;
        out.text = {values_base + from, to - from};
        out.escaped = escapes && type == JSON_STRING && to > from &&
                      memchr(base + from, '\\', to - from) != nullptr;
    }

    /* The child of `parent` that the key names, -1 if none is wanted. Of a repeated key the first
     * counts. */
    int16_t find(const node &parent, const char *key, size_t key_len)
    {
        uint64_t head = head8(key, key_len);
        size_t slot = slot_of(head, key_len) & parent.slots_mask;
        int16_t i;
        while ((i = paths->slots[parent.slots + slot]) != 0) {
            const node &n = paths->nodes[i];
            if (n.head == head && n.key_len == key_len &&
                (key_len <= 8 || memcmp(n.key + 8, key + 8, key_len - 8) == 0)) {
                return meet(i);
            }
            slot = (slot + 1) & parent.slots_mask;
        }
        return -1;
    }

    int16_t find_item(const node &parent, uint32_t item)
    {
        int16_t i = parent.child;
        while (i != 0 && paths->nodes[i].index != (int32_t)item) {
            i = paths->nodes[i].next;
        }
        return i != 0 ? meet(i) : (int16_t)-1;
    }

    int16_t meet(int16_t i)
    {
        if (parser->seen[i] == parser->round) {
            return -1;
        }
        parser->seen[i] = parser->round;
        return i;
    }

    const uint32_t *literal(const uint32_t *p, int16_t value, json_type type, const char *word,
                            size_t word_len)
    {
        uint32_t end = scalar_end(p);
        if (end - *p != word_len || memcmp(base + *p, word, word_len) != 0) {
            return fail(p, "neither a number nor true, false or null");
        }
        set(value, type, *p, end);
        return p + 1;
    }

    const uint32_t *number(const uint32_t *p, int16_t value);
    const uint32_t *scalar(const uint32_t *p, int16_t value);
    const uint32_t *skip(const uint32_t *p, uint32_t depth);
    const uint32_t *object(const uint32_t *p, const node &here, uint32_t depth);
    const uint32_t *array(const uint32_t *p, const node &here, uint32_t depth);
    const uint32_t *value(const uint32_t *p, int16_t i, uint32_t depth);
    bool run();
};

/* RFC 8259 section 6; only numbers that are wanted are looked at so closely. */
const uint32_t *walk::number(const uint32_t *p, int16_t value)
{
    const char *c = base + *p;
    const char *end = base + scalar_end(p);
    c += *c == '-';
    const char *digits = c;
    while (c < end && is_digit(*c)) {
        c++;
    }
    bool ok = c > digits && (*digits != '0' || c == digits + 1);
    if (ok && c < end && *c == '.') {
        const char *fraction = ++c;
        while (c < end && is_digit(*c)) {
            c++;
        }
        ok = c > fraction;
    }
    if (ok && c < end && (*c == 'e' || *c == 'E')) {
        c++;
        c += c < end && (*c == '+' || *c == '-');
        const char *exponent = c;
        while (c < end && is_digit(*c)) {
            c++;
        }
        ok = c > exponent;
    }
    if (!ok || c != end) {
        return fail(p, "not a number");
    }
    set(value, JSON_NUMBER, *p, (uint32_t)(end - base));
    return p + 1;
}

/* One that is wanted, or all there is. */
const uint32_t *walk::scalar(const uint32_t *p, int16_t value)
{
    switch (base[*p]) {
    case '"':
        set(value, JSON_STRING, *p + 1, scalar_end(p) - 1);
        return p + 1;
    case 't':
        return literal(p, value, JSON_TRUE, "true", 4);
    case 'f':
        return literal(p, value, JSON_FALSE, "false", 5);
    case 'n':
        return literal(p, value, JSON_NULL, "null", 4);
    default:
        return SCALARS.begins[(unsigned char)base[*p]] ? number(p, value)
                                                       : fail(p, "a value was expected");
    }
}

/* A value in which nothing is wanted, `depth` levels deep. Only the kinds of the brackets around
 * must be kept: a bit for each level, the innermost lowest, 1 for an object. */
const uint32_t *walk::skip(const uint32_t *p, uint32_t depth)
{
    uint64_t objects = 0;
    uint32_t inner = 0;
    for (;;) {
        char c = base[*p];
        bool closed = true;
        bool key = false;
        if (c == '{' || c == '[') {
            if (depth + inner == JSON_DEPTH_MAX) {
                return fail_deep(p);
            }
            objects = objects << 1 | (c == '{');
            inner++;
            p++;
            closed = base[*p] == (c == '{' ? '}' : ']');
            key = !closed && c == '{';
        } else if (SCALARS.begins[(unsigned char)c]) {
            p++;
        } else {
            return fail(p, "a value was expected");
        }
        while (closed && inner > 0) {
            bool object = (objects & 1) != 0;
            c = base[*p];
            if (c == ',') {
                closed = false;
                key = object;
            } else if (c == (object ? '}' : ']')) {
                objects >>= 1;
                inner--;
            } else {
                return fail(p, object ? "',' or '}' was expected" : "',' or ']' was expected");
            }
            p++;
        }
        if (inner == 0) {
            return p;
        }
        if (key) {
            if (base[*p] != '"' || *p >= stop) {
                return fail(p, "a key was expected");
            }
            if (base[p[1]] != ':') {
                return fail(p + 1, "':' was expected");
            }
            p += 2;
        }
    }
}

/* An object some of whose members are wanted. */
const uint32_t *walk::object(const uint32_t *p, const node &here, uint32_t depth)
{
    p++;
    if (base[*p] == '}') {
        return p + 1;
    }
    for (;;) {
        if (base[*p] != '"' || *p >= stop) {
            return fail(p, "a key was expected");
        }
        const char *key = base + *p + 1;
        int16_t child = find(here, key, scalar_end(p) - 2 - *p);
        if (base[p[1]] != ':') {
            return fail(p + 1, "':' was expected");
        }
        p += 2;
        if (child >= 0) {
            p = value(p, child, depth);
        } else if (SCALARS.begins[(unsigned char)base[*p]]) {
            p++;
        } else {
            p = skip(p, depth);
        }
        if (p == nullptr) {
            return nullptr;
        }
        char c = base[*p++];
        if (c == '}') {
            return p;
        }
        if (c != ',') {
            return fail(p - 1, "',' or '}' was expected");
        }
    }
}

/* An array some of whose elements are wanted. */
const uint32_t *walk::array(const uint32_t *p, const node &here, uint32_t depth)
{
    p++;
    if (base[*p] == ']') {
        return p + 1;
    }
    for (uint32_t item = 0;; item++) {
        int16_t child = find_item(here, item);
        p = child >= 0 ? value(p, child, depth) : skip(p, depth);
        if (p == nullptr) {
            return nullptr;
        }
        char c = base[*p++];
        if (c == ']') {
            return p;
        }
        if (c != ',' || *p >= stop) {
            return fail(p - (c != ','),
                        c != ',' ? "',' or ']' was expected" : "a value was expected");
        }
    }
}

/* The value of a member on the way to something wanted, or wanted itself. The depth of that way is
 * bounded by the pointers. */
const uint32_t *walk::value(const uint32_t *p, int16_t i, uint32_t depth)
{
    const node &here = paths->nodes[i];
    const uint32_t *from = p;
    char c = base[*p];
    if (c != '{' && c != '[') {
        return here.value >= 0 || depth == 0 ? scalar(p, here.value) : skip(p, depth);
    }
    if (here.child == 0) {
        p = skip(p, depth);
    } else if (depth == JSON_DEPTH_MAX) {
        return fail_deep(p);
    } else {
        p = c == '{' ? object(p, here, depth + 1) : array(p, here, depth + 1);
    }
    if (p != nullptr) {
        set(here.value, c == '{' ? JSON_OBJECT : JSON_ARRAY, *from, p[-1] + 1);
    }
    return p;
}

bool walk::run()
{
    const uint32_t *p = value(at, 0, 0);
    if (p == nullptr) {
        return false;
    }
    if (p[-1] >= stop) {
        return fail(p, "it ends early") != nullptr;
    }
    at = p;
    return *p >= stop || fail(p, "something follows the document") != nullptr;
}

/* What simdjson's first stage found wrong. It does not say where. */
const char *stage_fault(simdjson::error_code err)
{
    switch (err) {
    case simdjson::UTF8_ERROR:
        return "not UTF-8";
    case simdjson::UNCLOSED_STRING:
        return "a string is not closed";
    case simdjson::UNESCAPED_CHARS:
        return "a control character in a string";
    case simdjson::EMPTY:
        return "a value was expected";
    default:
        return "not JSON";
    }
}

/* Makes room for a text of that length. */
int stage_grow(stage *stage, size_t len)
{
    if (len <= stage->cap) {
        return 0;
    }
    size_t cap = stage->cap == 0 ? 4096 : stage->cap;
    while (cap < len) {
        cap *= 2;
    }
    /* A whole new one: growing it keeps a stale capacity when memory is short. */
    stage->impl.reset();
    stage->cap = 0;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            cap, JSON_DEPTH_MAX, stage->impl) != simdjson::SUCCESS) {
        return -ENOMEM;
    }
    stage->cap = cap;
    return 0;
}

/* Runs the first stage; there is a token at the end of the text then. */
simdjson::error_code stage_run(stage *stage, const char *text, size_t len)
{
    simdjson::error_code err =
        stage->impl->stage1((const uint8_t *)text, len, simdjson::stage1_mode::regular);
    if (err == simdjson::SUCCESS) {
        stage->impl->structural_indexes[stage->impl->n_structural_indexes] = (uint32_t)len;
    }
    return err;
}

/* Copies a document, whose end may be the end of what can be read, and runs the first stage. */
int stage_single(json_parser *parser, const char *text, size_t len, json_fault *fault)
{
    stage *single = &parser->single;
    size_t cap = single->cap;
    /* An empty first document needs the copy too: it is padded. */
    int err = stage_grow(single, len > 0 ? len : 1);
    if (err != 0) {
        return err;
    }
    if (cap != single->cap) {
        char *copy = (char *)realloc(parser->copy, single->cap + JSON_PADDING);
        if (copy == nullptr) {
            single->cap = 0;
            return -ENOMEM;
        }
        parser->copy = copy;
    }
    if (len > 0) {
        memcpy(parser->copy, text, len);
    }
    memset(parser->copy + len, ' ', JSON_PADDING);
    simdjson::error_code staged = stage_run(single, parser->copy, len);
    if (staged != simdjson::SUCCESS) {
        fault->what = stage_fault(staged);
        return W_ESYNTAX;
    }
    return 0;
}

bool in_batch(const json_parser *parser, const char *text, size_t len)
{
    return parser->batch_text != nullptr && text >= parser->batch_text &&
           text + len <= parser->batch_text + parser->batch_len;
}

/* The first token of the batch at or after an offset. Documents come in order. */
const uint32_t *batch_token(json_parser *parser, uint32_t offset)
{
    const uint32_t *first = parser->batch.impl->structural_indexes.get();
    const uint32_t *at = parser->batch_at;
    if (*at < offset || (at > first && at[-1] >= offset)) {
        at = std::lower_bound(first, first + parser->batch.impl->n_structural_indexes, offset);
    }
    return at;
}

int walk_run(walk *w, json_parser *parser, const json_paths *paths, size_t len, json_value *values)
{
    w->parser = parser;
    w->paths = paths;
    w->stop = w->start + (uint32_t)len;
    w->values = values;
    w->fault = json_fault{nullptr, 0};
    w->too_deep = false;
    w->escapes = memchr(w->base + w->start, '\\', len) != nullptr;
    if (++parser->round == 0) {
        memset(parser->seen, 0, sizeof(parser->seen));
        parser->round = 1;
    }
    return w->run() ? 0 : w->too_deep ? W_ELIMIT : W_ESYNTAX;
}

/* True if an object or array of the batch begins there: not within a string, say. */
bool begins_document(const walk *w, size_t len)
{
    for (uint32_t i = w->start; i < *w->at; i++) {
        if (i - w->start == len || !is_space(w->base[i])) {
            return false;
        }
    }
    return *w->at - w->start < len && (w->base[*w->at] == '{' || w->base[*w->at] == '[');
}

/* False if it must be parsed by itself: it is not sound, or no document of the batch. */
bool parse_in_batch(json_parser *parser, const json_paths *paths, const char *text, size_t len,
                    json_value *values)
{
    walk w;
    w.base = w.values_base = parser->batch_text;
    w.start = (uint32_t)(text - parser->batch_text);
    w.at = batch_token(parser, w.start);
    if (!begins_document(&w, len) || walk_run(&w, parser, paths, len, values) != 0) {
        memset(values, 0, paths->count * sizeof(*values));
        return false;
    }
    parser->batch_at = w.at;
    return true;
}

int parse(json_parser *parser, const json_paths *paths, const char *text, size_t len,
          json_value *values, json_fault *fault)
{
    *fault = json_fault{"longer than allowed", 0};
    if (len > parser->max_len) {
        return W_ELIMIT;
    }
    if (in_batch(parser, text, len) && parse_in_batch(parser, paths, text, len, values)) {
        return 0;
    }
    int err = stage_single(parser, text, len, fault);
    if (err != 0) {
        return err;
    }
    walk w;
    w.base = parser->copy;
    w.values_base = text;
    w.start = 0;
    w.at = parser->single.impl->structural_indexes.get();
    err = walk_run(&w, parser, paths, len, values);
    *fault = w.fault;
    return err;
}

/* Four hexadecimal digits, or -1. */
int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = is_digit(c)              ? c - '0'
                    : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                    : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                             : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* \uXXXX, with its second half where it is a surrogate pair; `*at` stands behind the 'u'. */
bool unescape_u(const char **at, const char *end, char **out)
{
    int32_t c = hex4(*at, end);
    if (c < 0) {
        return false;
    }
    *at += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        int32_t low = hex4(*at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            *out =
                put_utf8(*out, 0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
            return true;
        }
    }
    *out = put_utf8(*out, c >= 0xd800 && c < 0xe000 ? 0xfffd : (uint32_t)c);
    return true;
}

} // namespace

int json_paths_new(struct json_paths **paths, const char *const *pointers, size_t count)
{
    *paths = nullptr;
    if (count > JSON_PATHS_MAX) {
        return -EINVAL;
    }
    json_paths *made = new (std::nothrow) json_paths();
    if (made == nullptr) {
        return -ENOMEM;
    }
    made->count = count;
    made->used = 1;
    made->nodes[0].value = -1;
    for (size_t i = 0; i < count; i++) {
        int err = add_pointer(made, pointers[i], (int16_t)i);
        if (err != 0) {
            delete made;
            return err;
        }
    }
    make_slots(made);
    *paths = made;
    return 0;
}

void json_paths_free(struct json_paths **paths)
{
    delete *paths;
    *paths = nullptr;
}

int json_parser_new(struct json_parser **parser, size_t max_len)
{
    *parser = new (std::nothrow) json_parser();
    if (*parser == nullptr) {
        return -ENOMEM;
    }
    (*parser)->max_len = max_len < simdjson::SIMDJSON_MAXSIZE_BYTES / 2
                             ? max_len
                             : simdjson::SIMDJSON_MAXSIZE_BYTES / 2;
    return 0;
}

void json_parser_free(struct json_parser **parser)
{
    if (*parser != nullptr) {
        free((*parser)->copy);
        delete *parser;
        *parser = nullptr;
    }
}

void json_batch(struct json_parser *parser, const char *text, size_t len)
{
    parser->batch_text = nullptr;
    if (text == nullptr || len == 0 || !is_space(text[len]) ||
        len > simdjson::SIMDJSON_MAXSIZE_BYTES / 2 || stage_grow(&parser->batch, len) != 0 ||
        stage_run(&parser->batch, text, len) != simdjson::SUCCESS) {
        return;
    }
    parser->batch_text = text;
    parser->batch_len = len;
    parser->batch_at = parser->batch.impl->structural_indexes.get();
}

int json_parse(struct json_parser *parser, const struct json_paths *paths, const char *text,
               size_t len, struct json_value *values, struct json_fault *fault)
{
    json_fault found;
    memset(values, 0, paths->count * sizeof(*values));
    int err = parse(parser, paths, text, len, values, &found);
    if (err != 0) {
        memset(values, 0, paths->count * sizeof(*values));
        if (fault != nullptr) {
            *fault = found;
        }
    }
    return err;
}

size_t json_unescape(const struct json_value *value, char *out)
{
    const char *at = value->text.data;
    const char *end = at + value->text.len;
    char *start = out;
    while (at < end) {
        const char *escape = (const char *)memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape != nullptr ? escape : end) - at);
        memcpy(out, at, plain);
        out += plain;
        at += plain;
        if (escape == nullptr) {
            break;
        }
        if (end - at < 2) {
            return SIZE_MAX;
        }
        char c = at[1];
        at += 2;
        static const char FROM[] = "\"\\/bfnrt";
        static const char TO[] = "\"\\/\b\f\n\r\t";
        const char *simple = c != '\0' ? strchr(FROM, c) : nullptr;
        if (simple != nullptr) {
            *out++ = TO[simple - FROM];
        } else if (c != 'u' || !unescape_u(&at, end, &out)) {
            return SIZE_MAX;
        }
    }
    return (size_t)(out - start);
}

bool json_u64(const struct json_value *value, uint64_t *out)
{
    if ((value->type != JSON_NUMBER && value->type != JSON_STRING) || value->text.len == 0 ||
        value->text.len > 20) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < value->text.len; i++) {
        char c = value->text.data[i];
        if (!is_digit(c) || sum > UINT64_MAX / 10 ||
            (sum == UINT64_MAX / 10 && c - '0' > (int)(UINT64_MAX % 10))) {
            return false;
        }
        sum = sum * 10 + (uint64_t)(c - '0');
    }
    *out = sum;
    return true;
}
