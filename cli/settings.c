/* cli/settings.c -- the command line, the environment and the YAML file, put together
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/flags.h"

#define DATA_DEFAULT "/var/lib/whither"
#define ZONEINFO "/usr/share/zoneinfo/"

static const char *const NAMES[COMMAND_COUNT] = {
    [COMMAND_NONE] = "",         [COMMAND_SERVE] = "serve",   [COMMAND_INGEST] = "ingest",
    [COMMAND_JOIN] = "join",     [COMMAND_LOOKUP] = "lookup", [COMMAND_NAMES] = "names",
    [COMMAND_STATUS] = "status", [COMMAND_DOCTOR] = "doctor",
};

/* Where a value comes from; a higher source replaces what a lower one said. */
enum source { SOURCE_NONE, SOURCE_FALLBACK, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

/* A flag of the command line with its value. */
struct given {
    const struct flag *flag;
    const char *value;
};

struct state {
    struct config config;
    struct given *given; /* room for one per argument */
    size_t given_count;
    uint8_t *sources; /* an enum source per row of FLAGS */
    char *server;     /* the URL without its trailing '/' */
};

const char *command_name(enum command command)
{
    return command < COMMAND_COUNT ? NAMES[command] : "";
}

/* ---- Finding what was meant ---- */

/* Edits (insert, delete, replace, swap neighbours) that turn one word into the other. Longer words
 * than the rows hold are not near anything. */
static unsigned edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    unsigned rows[3][LONGEST + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST) {
        return LONGEST;
    }
    for (unsigned j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_above[j - 2] + 1 < best) {
                best = two_above[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

/* A typo changes up to a third of a word; more is another word. */
static bool is_near(unsigned distance, const char *word)
{
    return distance <= 1 + strlen(word) / 3;
}

static const struct flag *find_flag(enum command command, const char *name, size_t len)
{
    for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
        if (flag_fits(&FLAGS[i], command) && strlen(FLAGS[i].name) == len &&
            memcmp(FLAGS[i].name, name, len) == 0) {
            return &FLAGS[i];
        }
    }
    return NULL;
}

static int unknown_flag(enum command command, const char *arg, size_t len, struct why *why)
{
    const char *own = NAMES[command];
    for (enum command other = COMMAND_SERVE; other < COMMAND_COUNT; other++) {
        if (len > 2 && find_flag(other, arg + 2, len - 2) != NULL) {
            return why_set(why, W_EUSAGE, "%.*s is a flag of `whither %s`, not of `whither %s`",
                           (int)len, arg, NAMES[other], own);
        }
    }
    char word[64];
    snprintf(word, sizeof(word), "%.*s", (int)len, arg);
    const struct flag *nearest = NULL;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
        unsigned distance = edit_distance(word + strspn(word, "-"), FLAGS[i].name);
        if (flag_fits(&FLAGS[i], command) && distance < least) {
            least = distance;
            nearest = &FLAGS[i];
        }
    }
    if (nearest != NULL && is_near(least, nearest->name)) {
        return why_set(why, W_EUSAGE, "unknown flag %s; did you mean --%s?", word, nearest->name);
    }
    return why_set(why, W_EUSAGE, "unknown flag %s; `whither %s --help` lists them", word, own);
}

static int find_command(enum command *command, const char *word, struct why *why)
{
    enum command nearest = COMMAND_NONE;
    unsigned least = UINT32_MAX;
    for (enum command i = COMMAND_SERVE; i < COMMAND_COUNT; i++) {
        unsigned distance = edit_distance(word, NAMES[i]);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    if (least == 0) {
        *command = nearest;
        return 0;
    }
    if (is_near(least, NAMES[nearest])) {
        return why_set(why, W_EUSAGE, "unknown command %.40s; did you mean %s?", word,
                       NAMES[nearest]);
    }
    return why_set(why, W_EUSAGE, "unknown command %.40s; `whither --help` lists them", word);
}

/* ---- The command line ---- */

static bool asks_for_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* One "--flag value", "--flag=value" or "--flag"; `*at` moves past what was used. */
static int read_flag(struct settings *settings, int argc, char **argv, int *at, struct why *why)
{
    struct state *state = settings->private;
    const char *arg = argv[(*at)++];
    size_t len = strcspn(arg, "=");
    const char *value = arg[len] == '=' ? arg + len + 1 : NULL;
    const struct flag *flag =
        len > 2 && arg[1] == '-' ? find_flag(settings->command, arg + 2, len - 2) : NULL;
    if (flag == NULL) {
        return unknown_flag(settings->command, arg, len, why);
    }
    if (value == NULL && flag->placeholder != NULL) {
        if (*at == argc) {
            return why_set(why, W_EUSAGE, "--%s: expected %s after it", flag->name,
                           flag->placeholder);
        }
        value = argv[(*at)++];
    }
    state->given[state->given_count++] = (struct given){flag, value == NULL ? "true" : value};
    return 0;
}

static int read_arguments(struct settings *settings, int argc, char **argv, struct why *why)
{
    int at = 2;
    int err = 0;
    bool only_arguments = false;
    while (at < argc && err == 0) {
        if (!only_arguments && strcmp(argv[at], "--") == 0) {
            only_arguments = true;
            at++;
        } else if (!only_arguments && argv[at][0] == '-' && argv[at][1] != '\0') {
            err = read_flag(settings, argc, argv, &at, why);
        } else {
            settings->args[settings->arg_count++] = argv[at++];
        }
    }
    return err;
}

/* `whither`, `whither help [COMMAND]`, `whither --help`, `whither --version` and the command. */
static int read_command(struct settings *settings, int argc, char **argv, struct why *why)
{
    if (argc < 2) {
        return why_set(why, W_EUSAGE, "expected a command; `whither --help` lists them");
    }
    if (strcmp(argv[1], "help") == 0 || asks_for_help(argv[1])) {
        settings->request = REQUEST_HELP;
        return argc > 2 ? find_command(&settings->command, argv[2], why) : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        settings->request = REQUEST_VERSION;
        return 0;
    }
    if (argv[1][0] == '-') {
        return why_set(why, W_EUSAGE, "expected a command before %.40s", argv[1]);
    }
    int err = find_command(&settings->command, argv[1], why);
    for (int i = 2; i < argc && err == 0 && strcmp(argv[i], "--") != 0; i++) {
        if (asks_for_help(argv[i])) {
            settings->request = REQUEST_HELP;
        }
    }
    return err;
}

/* ---- Values from all sources ---- */

/* Sets a flag unless a higher source has; what belongs to another command is only checked. */
static int set_value(struct settings *settings, enum source source, const struct flag *flag,
                     const char *text, struct why *why)
{
    struct state *state = settings->private;
    uint8_t *known = &state->sources[flag - FLAGS];
    if (!flag_fits(flag, settings->command) && source != SOURCE_FALLBACK) {
        struct settings unused = {0};
        int err = flag_set(flag, &unused, text, why);
        flag_clear(flag, &unused);
        return err;
    }
    if (source > *known) {
        flag_clear(flag, settings);
    }
    *known = (uint8_t)source;
    return flag_set(flag, settings, text, why);
}

static int apply_fallbacks(struct settings *settings, struct why *why)
{
    int err = 0;
    for (size_t i = 0; i < FLAG_COUNT_ALL && err == 0; i++) {
        if (FLAGS[i].fallback != NULL) {
            err = set_value(settings, SOURCE_FALLBACK, &FLAGS[i], FLAGS[i].fallback, why);
        }
    }
    settings->data = DATA_DEFAULT;
    return err;
}

static int apply_file(struct settings *settings, struct why *why)
{
    struct state *state = settings->private;
    for (size_t i = 0; i < state->given_count; i++) {
        if (strcmp(state->given[i].flag->name, "config") == 0) {
            settings->config = state->given[i].value;
        }
    }
    int err = settings->config == NULL ? 0 : config_read(&state->config, settings->config, why);
    for (size_t i = 0; i < state->config.count && err == 0; i++) {
        const struct config_value *value = &state->config.values[i];
        struct why reason = {""};
        err = set_value(settings, SOURCE_FILE, value->flag, value->text, &reason);
        if (err == W_EUSAGE) {
            why_set(why, err, "%s:%u: %s: %.60s: %s", settings->config, value->line,
                    value->flag->key, value->text, reason.text);
        }
    }
    return err;
}

static int apply_environment(struct settings *settings, struct why *why)
{
    const char *data = getenv("WHITHER_DATA");
    const struct flag *flag = find_flag(settings->command, "data", 4);
    if (data == NULL || data[0] == '\0' || flag == NULL) {
        return 0;
    }
    return set_value(settings, SOURCE_ENVIRONMENT, flag, data, why);
}

static int apply_command_line(struct settings *settings, struct why *why)
{
    struct state *state = settings->private;
    int err = 0;
    for (size_t i = 0; i < state->given_count && err == 0; i++) {
        const struct given *given = &state->given[i];
        struct why reason = {""};
        err = set_value(settings, SOURCE_COMMAND_LINE, given->flag, given->value, &reason);
        if (err == W_EUSAGE) {
            why_set(why, err, "--%s %.100s: %s", given->flag->name, given->value, reason.text);
        }
    }
    return err;
}

/* ---- What the values mean together ---- */

static enum source source_of(const struct settings *settings, const char *name)
{
    const struct state *state = settings->private;
    const struct flag *flag = find_flag(settings->command, name, strlen(name));
    return flag == NULL ? SOURCE_NONE : state->sources[flag - FLAGS];
}

/* Of --data, --server and a join's --dnstap, the one of the highest source is meant. */
static int choose_index(struct settings *settings, struct why *why)
{
    static const char *const WAYS[] = {"data", "server", "dnstap"};
    size_t ways = settings->command == COMMAND_JOIN ? 3 : 2;
    size_t chosen = 0;
    for (size_t i = 1; i < ways; i++) {
        enum source source = source_of(settings, WAYS[i]);
        enum source best = source_of(settings, WAYS[chosen]);
        if (source != SOURCE_NONE && source == best) {
            return why_set(why, W_EUSAGE, "--%s and --%s exclude each other", WAYS[chosen],
                           WAYS[i]);
        }
        if (source > best) {
            chosen = i;
        }
    }
    if (chosen != 0) {
        settings->data = NULL;
    }
    if (chosen != 1) {
        settings->server = NULL;
    }
    if (ways == 3 && chosen != 2) {
        flag_clear(find_flag(COMMAND_JOIN, "dnstap", 6), settings);
    }
    return 0;
}

static int check_server(struct settings *settings, struct why *why)
{
    struct state *state = settings->private;
    const char *url = settings->server;
    if (url == NULL) {
        return 0;
    }
    bool known = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!known || strpbrk(url, "?# \t\r\n") != NULL) {
        return why_set(why, W_EUSAGE, "--server %.100s: expected a URL, as http://127.0.0.1:8053",
                       url);
    }
    state->server = strdup(url);
    if (state->server == NULL) {
        return -ENOMEM;
    }
    for (size_t len = strlen(url); len > 0 && state->server[len - 1] == '/'; len--) {
        state->server[len - 1] = '\0';
    }
    settings->server = state->server;
    return 0;
}

/* "+02:00" as POSIX writes it, where west is positive: "<+02>-02:00". False if it is none. */
static bool posix_offset(const char *zone, char *text, size_t room)
{
    bool shaped = strlen(zone) == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' &&
                  isdigit((unsigned char)zone[1]) && isdigit((unsigned char)zone[2]) &&
                  isdigit((unsigned char)zone[4]) && isdigit((unsigned char)zone[5]);
    if (!shaped || atoi(zone + 1) > 23 || atoi(zone + 4) > 59) {
        return false;
    }
    snprintf(text, room, "<%.3s>%c%s", zone, zone[0] == '+' ? '-' : '+', zone + 1);
    return true;
}

/* A name of the zone database. Only letters and what separates them, so that no other file is
 * read in its place. */
static bool known_zone(const char *zone)
{
    char path[128];
    bool plain = isalpha((unsigned char)zone[0]) != 0;
    for (const char *c = zone; *c != '\0'; c++) {
        plain = plain && (isalnum((unsigned char)*c) || strchr("/_+-", *c) != NULL);
    }
    int len = snprintf(path, sizeof(path), ZONEINFO "%s", zone);
    return plain && len < (int)sizeof(path) && access(path, R_OK) == 0;
}

static int enter_zone(const struct settings *settings, struct why *why)
{
    char text[160] = "UTC0";
    const char *zone = settings->tz;
    if (zone != NULL && strcmp(zone, "UTC") != 0 && !posix_offset(zone, text, sizeof(text))) {
        if (!known_zone(zone)) {
            return why_set(why, W_EUSAGE,
                           "--tz %.100s: expected UTC, +HH:MM or a zone of " ZONEINFO
                           ", as Europe/Berlin",
                           zone);
        }
        snprintf(text, sizeof(text), ":%s", zone);
    }
    if (setenv("TZ", text, 1) != 0) {
        return -ENOMEM;
    }
    tzset();
    return 0;
}

static int check_arguments(const struct settings *settings, struct why *why)
{
    static const struct {
        size_t least;
        size_t most;
        const char *expected;
    } SHAPES[COMMAND_COUNT] = {
        [COMMAND_SERVE] = {0, 0, "flags only"},
        [COMMAND_INGEST] = {1, SIZE_MAX, "FILE...: captures, - for standard input"},
        [COMMAND_JOIN] = {1, SIZE_MAX, "SOURCE...: flow records, - for standard input"},
        [COMMAND_LOOKUP] = {2, 2, "SRC DST: two IP addresses"},
        [COMMAND_NAMES] = {1, 1, "one NAME or IP"},
        [COMMAND_STATUS] = {0, 0, "flags only"},
        [COMMAND_DOCTOR] = {0, SIZE_MAX, "flow records or nothing"},
    };
    size_t count = settings->arg_count;
    if (count < SHAPES[settings->command].least) {
        return why_set(why, W_EUSAGE, "expected %s", SHAPES[settings->command].expected);
    }
    if (count > SHAPES[settings->command].most) {
        return why_set(why, W_EUSAGE, "unexpected %.100s; expected %s",
                       settings->args[SHAPES[settings->command].most],
                       SHAPES[settings->command].expected);
    }
    return 0;
}

static int check_names_span(const struct settings *settings, struct why *why)
{
    if (settings->since_us != 0 && settings->until_us != 0 &&
        settings->since_us > settings->until_us) {
        return why_set(why, W_EUSAGE, "--since lies after --until");
    }
    return 0;
}

static void look_at_terminal(struct settings *settings)
{
    const char *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO) == 1;
    if (source_of(settings, "output") == SOURCE_NONE) {
        settings->output = terminal ? OUTPUT_TEXT : OUTPUT_JSON;
    }
    settings->color = terminal && (no_color == NULL || no_color[0] == '\0');
    settings->progress = !settings->quiet && isatty(STDERR_FILENO) == 1;
}

static int finish(struct settings *settings, struct why *why)
{
    int err = check_arguments(settings, why);
    if (err == 0) {
        err = choose_index(settings, why);
    }
    if (err == 0) {
        err = check_server(settings, why);
    }
    if (err == 0) {
        err = check_names_span(settings, why);
    }
    if (err == 0) {
        err = enter_zone(settings, why);
    }
    look_at_terminal(settings);
    return err;
}

static int allocate(struct settings *settings, int argc)
{
    struct state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return -ENOMEM;
    }
    settings->private = state;
    settings->args = calloc((size_t)argc + 1, sizeof(*settings->args));
    state->given = calloc((size_t)argc + 1, sizeof(*state->given));
    state->sources = calloc(FLAG_COUNT_ALL, sizeof(*state->sources));
    return settings->args == NULL || state->given == NULL || state->sources == NULL ? -ENOMEM : 0;
}

int settings_parse(struct settings *settings, int argc, char **argv, struct why *why)
{
    *settings = (struct settings){0};
    int err = allocate(settings, argc);
    if (err == 0) {
        err = read_command(settings, argc, argv, why);
    }
    if (err == 0 && settings->request == REQUEST_RUN) {
        err = read_arguments(settings, argc, argv, why);
    }
    int (*const steps[])(struct settings *, struct why *) = {
        apply_fallbacks,
        apply_file,
        apply_environment,
        apply_command_line,
    };
    for (size_t i = 0; i < 4 && err == 0 && settings->request == REQUEST_RUN; i++) {
        err = steps[i](settings, why);
    }
    if (err == 0 && settings->request == REQUEST_RUN) {
        err = finish(settings, why);
    }
    return err;
}

void settings_fini(struct settings *settings)
{
    struct state *state = settings->private;
    for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
        flag_clear(&FLAGS[i], settings);
    }
    if (state != NULL) {
        config_fini(&state->config);
        free(state->given);
        free(state->sources);
        free(state->server);
        free(state);
    }
    free(settings->args);
    *settings = (struct settings){0};
}

struct attribute_params settings_attribution(const struct settings *settings)
{
    return (struct attribute_params){
        .grace_us = settings->grace_us,
        .skew_us = settings->skew_us,
        .horizon_us = settings->horizon_us,
        .settle_us = settings->settle_us,
        .candidates_max = settings->candidates,
        .cluster_domains = settings->cluster_domain.items,
        .cluster_domain_count = (uint32_t)settings->cluster_domain.count,
    };
}
