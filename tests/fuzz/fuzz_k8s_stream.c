/* tests/fuzz/fuzz_k8s_stream.c -- any octets as a stream of Kubernetes objects
 * SPDX-License-Identifier: Apache-2.0
 *
 * The same octets in other pieces give the same objects; every piece is an object by its brackets;
 * a whole document that the JSON parser takes is given out.
 */
#include <string.h>

#include "base/buf.h"
#include "join/json.h"
#include "join/k8s_stream.h"
#include "tests/fuzz/fuzz.h"

enum { LEN_MAX = 512 };

static int note(void *ctx, const struct k8s_piece *piece)
{
    struct buf *notes = ctx;
    buf_printf(notes, "%d %d %s %s ", (int)piece->type, (int)piece->line, piece->list_kind,
               piece->what == NULL ? "" : piece->what);
    buf_add(notes, piece->text, piece->len);
    buf_char(notes, '\n');
    bool has_text = piece->type <= K8S_PIECE_LIST;
    if (has_text != (piece->text != NULL) || has_text != (piece->what == NULL)) {
        fuzz_fail("a piece has either text or a fault");
    }
    if (has_text && (piece->len < 2 || piece->len > LEN_MAX || piece->text[0] != '{' ||
                     piece->text[piece->len - 1] != '}')) {
        fuzz_fail("a piece is no object, or longer than allowed");
    }
    return 0;
}

static void cut(const uint8_t *data, size_t size, uint64_t seed, struct buf *notes)
{
    struct k8s_stream *stream;
    if (k8s_stream_new(&stream, LEN_MAX, note, notes) != 0) {
        fuzz_fail("no memory");
    }
    for (size_t at = 0; at < size;) {
        size_t len = seed == 0 ? size : 1 + fuzz_random(&seed) % 9;
        len = len > size - at ? size - at : len;
        char *copy = malloc(len);
        if (copy == NULL) {
            fuzz_fail("no memory");
        }
        memcpy(copy, data + at, len);
        if (k8s_stream_push(stream, copy, len) != 0) {
            fuzz_fail("no memory");
        }
        free(copy);
        at += len;
    }
    if (k8s_stream_end(stream) != 0) {
        fuzz_fail("no memory");
    }
    k8s_stream_free(&stream);
}

/* Is the whole input one JSON object? */
static bool is_object(const uint8_t *data, size_t size)
{
    static const char *const POINTERS[] = {"/items"};
    static struct json_paths *paths;
    static struct json_parser *parser;
    struct json_value items;
    if (parser == NULL &&
        (json_paths_new(&paths, POINTERS, 1) != 0 || json_parser_new(&parser, LEN_MAX) != 0)) {
        fuzz_fail("no memory");
    }
    return size > 1 && data[0] == '{' &&
           json_parse(parser, paths, (const char *)data, size, &items, NULL) == 0 &&
           items.type == JSON_ABSENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    cut(data, size, 0, &whole);
    cut(data, size, size * 2 + 1, &pieces);
    if (whole.len != pieces.len ||
        (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0)) {
        fuzz_fail("other pieces gave something else");
    }
    buf_char(&whole, '\0');
    /* The parser looks at the first octet of a literal only, the splitter at each. */
    if (is_object(data, size) && whole.data[0] != '0' + K8S_PIECE_DOCUMENT &&
        strstr(whole.data, "octet that JSON does not have") == NULL) {
        fuzz_fail("an object was not given out");
    }
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
