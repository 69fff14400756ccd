/* cli/parsing.c -- how flow records are to be read, out of the settings
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/parsing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of what may be given, for a message. */
static void list_formats(char *text, size_t len)
{
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        size_t at = strlen(text);
        snprintf(text + at, len - at, "%s%s", i > 0 ? ", " : "", FORMATS[i]->name);
    }
}

static int choose_format(struct parsing *parsing, const char *from, struct why *why)
{
    char formats[400] = "";
    parsing->format = from != NULL ? format_by_name(from) : NULL;
    if (from != NULL && parsing->format == NULL) {
        list_formats(formats, sizeof(formats));
        return why_set(why, W_EUSAGE, "--from %.60s: expected one of %s", from, formats);
    }
    return 0;
}

/* Only formats with columns, or what may hold their records, can be told what they are. */
static int check_columns(const struct format *format, struct why *why)
{
    if (format == NULL || format->columns != NULL || format->wraps) {
        return 0;
    }
    return why_set(why, W_EUSAGE, "--columns: records of %s name their fields themselves",
                   format->name);
}

static bool is_mapped(const struct format *format)
{
    return format == &FORMAT_JSON || format == &FORMAT_CSV;
}

static int set_map(struct parsing *parsing, const struct string_list *maps, struct why *why)
{
    const struct format *format = parsing->format;
    if (maps->count == 0) {
        return is_mapped(format)
                   ? why_set(why, W_EUSAGE, "--from %s: --map has to name its fields", format->name)
                   : 0;
    }
    if (format != NULL && !is_mapped(format) && !format->wraps) {
        return why_set(why, W_EUSAGE, "--map: records of %s name their fields themselves",
                       format->name);
    }
    for (size_t i = 0; i < maps->count; i++) {
        int err = map_add(&parsing->map, maps->items[i], why);
        if (err != 0) {
            return err;
        }
    }
    map_options(&parsing->map, &parsing->options);
    return map_check(&parsing->map, !is_mapped(format), why);
}

static int set_prefixes(struct parsing *parsing, const struct verdict_list *verdicts)
{
    parsing->prefixes = calloc(verdicts->count + 1, sizeof(*parsing->prefixes));
    if (parsing->prefixes == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < verdicts->count; i++) {
        parsing->prefixes[i] =
            (struct prefix_rule){verdicts->items[i].prefix, verdicts->items[i].action};
    }
    parsing->options.prefixes = parsing->prefixes;
    parsing->options.prefix_count = verdicts->count;
    return 0;
}

int parsing_init(struct parsing *parsing, const struct settings *settings, struct why *why)
{
    *parsing = (struct parsing){.options.columns = settings->columns};
    int err = choose_format(parsing, settings->from, why);
    if (err == 0 && settings->columns != NULL) {
        err = check_columns(parsing->format, why);
    }
    err = err != 0 ? err : set_map(parsing, &settings->maps, why);
    return err != 0 ? err : set_prefixes(parsing, &settings->verdicts);
}

void parsing_fini(struct parsing *parsing)
{
    free(parsing->prefixes);
    map_fini(&parsing->map);
}

void parsing_help(FILE *out)
{
    fputs("\nFormats (--from; else by content)\n", out);
    for (size_t i = 0; FORMATS[i] != NULL; i++) {
        fprintf(out, "  %-16s  %s\n", FORMATS[i]->name, FORMATS[i]->description);
    }
    fputs("\nFields (--map FIELD=NAME,...)\n ", out);
    size_t at = 1;
    for (size_t i = 0; MAP_FIELDS[i] != NULL; i++) {
        size_t len = strlen(MAP_FIELDS[i]) + 1;
        fputs(at + len > 78 ? "\n  " : " ", out);
        at = (at + len > 78 ? 1 : at) + len;
        fputs(MAP_FIELDS[i], out);
    }
    fputc('\n', out);
}
