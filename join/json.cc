/* join/json.cc -- JSON records: simdjson's first stage, and a walk over what it found
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first stage finds, at several gigabytes a second, where structure and scalars begin, and
 * checks UTF-8 and quotes. The walk is ours rather than simdjson's On-Demand: it is built for the
 * processor at hand only when compiled for it, and it does not check what it passes over.
 */
#include "join/json.h"

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
    uint64_t head; /* first 8 octets of the key, and which of them count */
    uint64_t mask;
    char key[JSON_KEY_MAX + 1];
    uint8_t key_len;
    int32_t index;  /* as an array index, -1 if the key is none */
    int16_t value;  /* number of the pointer that ends here, -1 if none */
    int16_t child;  /* first child, 0 if none */
    int16_t next;   /* next sibling, 0 if none */
    int16_t parent; /* of the first child's siblings: to go round */
};

constexpr size_t NODES_MAX = 512;
/* Octets readable behind the copy: simdjson asks for 64; the key comparison reads 8. */
constexpr size_t PADDING = simdjson::SIMDJSON_PADDING;

struct frame {
    uint32_t start; /* offset of the bracket */
    uint32_t item;  /* array: number of the element */
    int16_t node;   /* -1: nothing wanted below */
    int16_t hint;   /* where the search for the next key begins: records repeat their order */
    int16_t value;
    bool object;
};

uint64_t load8(const char *at)
{
    uint64_t head;
    memcpy(&head, at, sizeof(head));
    return head;
}

uint64_t mask8(size_t len)
{
    char bytes[8] = {0};
    memset(bytes, 0xff, len < 8 ? len : 8);
    return load8(bytes);
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
};

struct json_parser {
    size_t max_len;
    size_t cap;
    char *copy; /* owned: the document and its padding */
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
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
    at.mask = mask8(len);
    at.head = load8(at.key) & at.mask;
    at.value = -1;
    at.parent = parent;
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

/* One document on its way through the walk. */
struct walk {
    json_parser *parser;
    const json_paths *paths;
    const char *copy;
    const char *text; /* the caller's */
    uint32_t len;
    const uint32_t *at; /* the token in hand */
    const uint32_t *end;
    json_value *values;
    json_fault fault;
    uint32_t depth;
    bool too_deep;
    frame frames[JSON_DEPTH_MAX];

    bool fail(const char *what)
    {
        fault.what = what;
        fault.offset = at < end ? *at : len;
        return false;
    }

    char token() const
    {
        return at < end ? copy[*at] : '\0';
    }

    /* Where the scalar in hand ends: before the next token, less the space between. */
    uint32_t scalar_end() const
    {
        uint32_t stop = at + 1 < end ? at[1] : len;
        while (stop > *at + 1 && is_space(copy[stop - 1])) {
            stop--;
        }
        return stop;
    }

    void set(int16_t value, json_type type, uint32_t from, uint32_t to)
    {
        json_value &out = values[value];
        out.type = type;
        out.text = {text + from, to - from};
        out.escaped = type == JSON_STRING && to > from && memchr(copy + from, '\\', to - from);
    }

    /* The child of frame `f` that the key at `key` names, -1 if none is wanted. */
    int16_t find(frame &f, const char *key, size_t key_len)
    {
        if (f.node < 0 || paths->nodes[f.node].child == 0) {
            return -1;
        }
        uint64_t head = load8(key);
        int16_t start = f.hint != 0 ? f.hint : paths->nodes[f.node].child;
        int16_t i = start;
        do {
            const node &n = paths->nodes[i];
            if ((head & n.mask) == n.head && n.key_len == key_len &&
                (key_len <= 8 || memcmp(n.key + 8, key + 8, key_len - 8) == 0)) {
                f.hint = n.next;
                return meet(i);
            }
            i = n.next != 0 ? n.next : paths->nodes[f.node].child;
        } while (i != start);
        return -1;
    }

    int16_t find_item(const frame &f)
    {
        if (f.node < 0) {
            return -1;
        }
        int16_t i = paths->nodes[f.node].child;
        while (i != 0 && paths->nodes[i].index != (int32_t)f.item) {
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

    bool open(int16_t node, int16_t value, bool object)
    {
        if (depth == JSON_DEPTH_MAX) {
            too_deep = true;
            return fail("nested too deeply");
        }
        frames[depth++] = frame{*at, 0, node, 0, value, object};
        return true;
    }

    bool string(int16_t value)
    {
        uint32_t stop = scalar_end();
        if (stop < *at + 2 || copy[stop - 1] != '"') {
            return fail("a string is not closed");
        }
        if (value >= 0) {
            set(value, JSON_STRING, *at + 1, stop - 1);
        }
        return true;
    }

    bool literal(int16_t value, json_type type, const char *word, size_t word_len)
    {
        uint32_t stop = scalar_end();
        if (stop - *at != word_len || memcmp(copy + *at, word, word_len) != 0) {
            return fail("neither a number nor true, false or null");
        }
        if (value >= 0) {
            set(value, type, *at, stop);
        }
        return true;
    }

    bool number(int16_t value);
    bool scalar(int16_t value);
    bool key(int16_t *node);
    bool run();
};

/* RFC 8259 section 6; only numbers that are wanted are looked at so closely. */
bool walk::number(int16_t value)
{
    if (value < 0) {
        return true;
    }
    const char *c = copy + *at;
    const char *stop = copy + scalar_end();
    c += *c == '-';
    const char *digits = c;
    while (c < stop && is_digit(*c)) {
        c++;
    }
    bool ok = c > digits && (*digits != '0' || c == digits + 1);
    if (ok && c < stop && *c == '.') {
        const char *fraction = ++c;
        while (c < stop && is_digit(*c)) {
            c++;
        }
        ok = c > fraction;
    }
    if (ok && c < stop && (*c == 'e' || *c == 'E')) {
        c++;
        c += c < stop && (*c == '+' || *c == '-');
        const char *exponent = c;
        while (c < stop && is_digit(*c)) {
            c++;
        }
        ok = c > exponent;
    }
    if (!ok || c != stop) {
        return fail("not a number");
    }
    set(value, JSON_NUMBER, *at, (uint32_t)(stop - copy));
    return true;
}

bool walk::scalar(int16_t value)
{
    switch (token()) {
    case '"':
        return string(value);
    case 't':
        return literal(value, JSON_TRUE, "true", 4);
    case 'f':
        return literal(value, JSON_FALSE, "false", 5);
    case 'n':
        return literal(value, JSON_NULL, "null", 4);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return number(value);
    default:
        return fail("a value was expected");
    }
}

/* A key and its colon; leaves the value in hand. */
bool walk::key(int16_t *node)
{
    if (token() != '"') {
        return fail("a key was expected");
    }
    uint32_t stop = scalar_end();
    if (stop < *at + 2 || copy[stop - 1] != '"') {
        return fail("a key is not closed");
    }
    *node = find(frames[depth - 1], copy + *at + 1, stop - 1 - (*at + 1));
    at++;
    if (token() != ':') {
        return fail("':' was expected");
    }
    at++;
    return true;
}

bool walk::run()
{
    int16_t node = 0; /* of the value in hand */
    for (;;) {
        int16_t value = node >= 0 ? paths->nodes[node].value : (int16_t)-1;
        char c = token();
        bool closed = true; /* a whole value lies behind us */
        if (c == '{' || c == '[') {
            if (!open(node, value, c == '{')) {
                return false;
            }
            at++;
            closed = token() == (c == '{' ? '}' : ']');
            if (!closed && c == '{' && !key(&node)) {
                return false;
            } else if (!closed && c == '[') {
                node = find_item(frames[depth - 1]);
            }
        } else {
            if (!scalar(value)) {
                return false;
            }
            at++;
        }
        while (closed) {
            if (depth == 0) {
                return at == end ? true : fail("something follows the document");
            }
            frame &f = frames[depth - 1];
            c = token();
            if (c == ',') {
                at++;
                f.item++;
                if (f.object && !key(&node)) {
                    return false;
                } else if (!f.object) {
                    node = find_item(f);
                }
                closed = false;
            } else if (c == (f.object ? '}' : ']')) {
                if (f.value >= 0) {
                    set(f.value, f.object ? JSON_OBJECT : JSON_ARRAY, f.start, *at + 1);
                }
                depth--;
                at++;
            } else {
                return fail(f.object ? "',' or '}' was expected" : "',' or ']' was expected");
            }
        }
    }
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

int parser_grow(json_parser *parser, size_t len)
{
    if (len <= parser->cap) {
        return 0;
    }
    size_t cap = parser->cap == 0 ? 4096 : parser->cap;
    while (cap < len) {
        cap *= 2;
    }
    char *copy = (char *)realloc(parser->copy, cap + PADDING);
    if (copy == nullptr) {
        return -ENOMEM;
    }
    parser->copy = copy;
    /* A whole new one: growing it keeps a stale capacity when memory is short. */
    parser->stage.reset();
    parser->cap = 0;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            cap, JSON_DEPTH_MAX, parser->stage) != simdjson::SUCCESS) {
        return -ENOMEM;
    }
    parser->cap = cap;
    return 0;
}

int parse(json_parser *parser, const json_paths *paths, const char *text, size_t len,
          json_value *values, json_fault *fault)
{
    *fault = json_fault{"longer than allowed", 0};
    if (len > parser->max_len) {
        return W_ELIMIT;
    }
    /* An empty first document needs the copy too: it is padded. */
    int err = parser_grow(parser, len > 0 ? len : 1);
    if (err != 0) {
        return err;
    }
    if (len > 0) {
        memcpy(parser->copy, text, len);
    }
    memset(parser->copy + len, ' ', PADDING);
    simdjson::error_code staged =
        parser->stage->stage1((const uint8_t *)parser->copy, len, simdjson::stage1_mode::regular);
    if (staged != simdjson::SUCCESS) {
        fault->what = stage_fault(staged);
        return W_ESYNTAX;
    }
    if (++parser->round == 0) {
        memset(parser->seen, 0, sizeof(parser->seen));
        parser->round = 1;
    }
    walk w;
    w.parser = parser;
    w.paths = paths;
    w.copy = parser->copy;
    w.text = text;
    w.len = (uint32_t)len;
    w.at = parser->stage->structural_indexes.get();
    w.end = w.at + parser->stage->n_structural_indexes;
    w.values = values;
    w.depth = 0;
    w.too_deep = false;
    if (w.run()) {
        return 0;
    }
    *fault = w.fault;
    return w.too_deep ? W_ELIMIT : W_ESYNTAX;
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
