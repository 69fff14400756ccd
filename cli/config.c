/* cli/config.c -- the YAML file named by --config
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/config.h"

#include <ctype.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A configuration is a page of text; whatever is larger is another file. */
#define CONFIG_BYTES_MAX (1024 * 1024)

/* What libcyaml fills for one row of the table. */
struct slot {
    char *text;
    char **texts;
    uint32_t count;
};

struct storage {
    cyaml_schema_field_t *fields;
    cyaml_schema_value_t schema;
    struct slot *slots;
};

static const cyaml_schema_value_t TEXT = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CONFIG_BYTES_MAX)};

/* libcyaml reports through a log: the first line names what is wrong, a later one where. */
struct report {
    char what[256];
    unsigned line;
};

static void note_report(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct report *report = ctx;
    char text[256];
    if (level < CYAML_LOG_ERROR) {
        return;
    }
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *line = strstr(text, "(line: ");
    if (line != NULL && report->line == 0) {
        report->line = (unsigned)strtoul(line + strlen("(line: "), NULL, 10);
    }
    if (report->what[0] == '\0') {
        const char *start = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(report->what, sizeof(report->what), "%s", start);
    }
}

static int read_whole(const char *path, char **bytes, size_t *len, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return why_set(why, W_EUSAGE, "--config %s: %s", path, strerrordesc_np(errno));
    }
    *bytes = malloc(CONFIG_BYTES_MAX + 1);
    *len = *bytes == NULL ? 0 : fread(*bytes, 1, CONFIG_BYTES_MAX + 1, file);
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    int err = 0;
    if (*bytes == NULL) {
        err = -ENOMEM;
    } else if (failed) {
        err = why_set(why, W_EUSAGE, "--config %s: %s", path, strerrordesc_np(reason));
    } else if (*len > CONFIG_BYTES_MAX) {
        err = why_set(why, W_EUSAGE, "--config %s: larger than 1 MiB", path);
    }
    if (err != 0) {
        free(*bytes);
    }
    return err;
}

/* The line that starts with `key:`, for messages; 0 if none does (a flow mapping, a quoted key). */
static unsigned line_of(const char *bytes, size_t len, const char *key)
{
    size_t key_len = strlen(key);
    unsigned line = 1;
    for (size_t at = 0; at < len; line++) {
        const char *end = memchr(bytes + at, '\n', len - at);
        size_t line_len = end == NULL ? len - at : (size_t)(end - bytes) - at;
        size_t indent = 0;
        while (indent < line_len && bytes[at + indent] == ' ') {
            indent++;
        }
        if (line_len - indent > key_len && memcmp(bytes + at + indent, key, key_len) == 0 &&
            bytes[at + indent + key_len] == ':') {
            return line;
        }
        at += line_len + 1;
    }
    return 0;
}

/* Nothing but comments, blank lines and document marks: an empty configuration. */
static bool says_nothing(const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *end = memchr(bytes + at, '\n', len - at);
        size_t next = end == NULL ? len : (size_t)(end - bytes) + 1;
        while (at < next && isspace((unsigned char)bytes[at])) {
            at++;
        }
        if (at < next && bytes[at] != '#' &&
            !(next - at >= 3 && memcmp(bytes + at, "---", 3) == 0)) {
            return false;
        }
        at = next;
    }
    return true;
}

/* One optional field per row that has a key, and a terminator. */
static int build_schema(struct storage *storage)
{
    storage->fields = calloc(FLAG_COUNT_ALL + 1, sizeof(*storage->fields));
    if (storage->fields == NULL) {
        return -ENOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
        const struct flag *flag = &FLAGS[i];
        if (flag->key == NULL) {
            continue;
        }
        cyaml_schema_field_t *field = &storage->fields[count++];
        field->key = flag->key;
        field->data_offset = (uint32_t)(i * sizeof(struct slot));
        field->value = TEXT;
        field->value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
        if (flag_is_list(flag)) {
            field->data_offset += (uint32_t)offsetof(struct slot, texts);
            field->count_offset =
                (uint32_t)(i * sizeof(struct slot) + offsetof(struct slot, count));
            field->count_size = sizeof(uint32_t);
            field->value = (cyaml_schema_value_t){
                .type = CYAML_SEQUENCE,
                .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                .data_size = sizeof(char *),
                .sequence = {.entry = &TEXT, .min = 0, .max = 4096},
            };
        }
    }
    storage->schema = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = (uint32_t)(FLAG_COUNT_ALL * sizeof(struct slot)),
        .mapping = {.fields = storage->fields},
    };
    return 0;
}

static cyaml_config_t library_config(struct report *report)
{
    return (cyaml_config_t){
        .log_fn = note_report,
        .log_ctx = report,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        /* Aliases let a few lines stand for millions of values. */
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

static void storage_free(struct storage *storage)
{
    if (storage == NULL) {
        return;
    }
    struct report report = {0};
    cyaml_config_t library = library_config(&report);
    if (storage->slots != NULL) {
        cyaml_free(&library, &storage->schema, storage->slots, 0);
    }
    free(storage->fields);
    free(storage);
}

/* Says in our words what libcyaml found; what we have no words for is passed on. */
static int refuse(const struct report *report, cyaml_err_t err, const char *bytes, size_t len,
                  const char *path, struct why *why)
{
    static const struct {
        const char *library; /* how its message starts */
        const char *own;
    } WORDS[] = {
        {"Unexpected key: ", "unknown key "},
        {"Expecting SEQUENCE", "expected a list"},
        {"Expecting STRING", "expected one value"},
        {"Expecting MAPPING", "expected lines of KEY: VALUE"},
        {"Mapping field already seen: ", "twice the key "},
    };
    const char *key = strstr(report->what, ": ");
    unsigned line = key == NULL ? 0 : line_of(bytes, len, key + 2);
    line = line == 0 ? report->line : line;
    char where[16] = "";
    if (line != 0) {
        snprintf(where, sizeof(where), ":%u", line);
    }
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        size_t start = strlen(WORDS[i].library);
        if (strncmp(report->what, WORDS[i].library, start) == 0) {
            bool names_key = WORDS[i].library[start - 1] == ' ';
            return why_set(why, W_EUSAGE, "%s%s: %s%s", path, where, WORDS[i].own,
                           names_key ? report->what + start : "");
        }
    }
    bool silent = report->what[0] == '\0' || strncmp(report->what, "Backtrace", 9) == 0;
    return why_set(why, W_EUSAGE, "%s%s: %s", path, where,
                   silent ? cyaml_strerror(err) : report->what);
}

static int load(struct storage *storage, const char *bytes, size_t len, const char *path,
                struct why *why)
{
    struct report report = {0};
    cyaml_config_t library = library_config(&report);
    cyaml_err_t err = cyaml_load_data((const uint8_t *)bytes, len, &library, &storage->schema,
                                      (cyaml_data_t **)&storage->slots, NULL);
    if (err == CYAML_OK) {
        return 0;
    }
    if (err == CYAML_ERR_OOM) {
        return -ENOMEM;
    }
    return refuse(&report, err, bytes, len, path, why);
}

static size_t count_values(const struct slot *slots)
{
    size_t count = 0;
    for (size_t i = 0; slots != NULL && i < FLAG_COUNT_ALL; i++) {
        count += slots[i].text != NULL;
        count += slots[i].count;
    }
    return count;
}

static int list_values(struct config *config, const struct slot *slots, const char *bytes,
                       size_t len)
{
    config->values = calloc(count_values(slots) + 1, sizeof(*config->values));
    if (config->values == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; slots != NULL && i < FLAG_COUNT_ALL; i++) {
        const struct flag *flag = &FLAGS[i];
        unsigned line = flag->key == NULL ? 0 : line_of(bytes, len, flag->key);
        if (slots[i].text != NULL) {
            config->values[config->count++] = (struct config_value){flag, slots[i].text, line};
        }
        for (uint32_t j = 0; j < slots[i].count; j++) {
            config->values[config->count++] = (struct config_value){flag, slots[i].texts[j], line};
        }
    }
    return 0;
}

int config_read(struct config *config, const char *path, struct why *why)
{
    char *bytes = NULL;
    size_t len = 0;
    *config = (struct config){0};
    int err = read_whole(path, &bytes, &len, why);
    if (err != 0) {
        return err;
    }
    struct storage *storage = calloc(1, sizeof(*storage));
    config->storage = storage;
    err = storage == NULL ? -ENOMEM : build_schema(storage);
    if (err == 0 && !says_nothing(bytes, len)) {
        err = load(storage, bytes, len, path, why);
    }
    if (err == 0) {
        err = list_values(config, storage->slots, bytes, len);
    }
    free(bytes);
    if (err != 0) {
        config_fini(config);
    }
    return err;
}

void config_fini(struct config *config)
{
    storage_free(config->storage);
    free(config->values);
    *config = (struct config){0};
}
