/* tests/unit/cli/test_settings.c -- the command line, the environment and the YAML file
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "tests/support/alloc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
enum { WORDS_MAX = 24 };

/* Splits at blanks; no word of these tests contains one. */
static int parse(struct settings *settings, const char *line, struct why *why)
{
    static char text[1024];
    char *words[WORDS_MAX];
    int count = 0;
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    why->text[0] = '\0';
    return settings_parse(settings, count, words, why);
}

static void parse_ok(struct settings *settings, const char *line)
{
    struct why why;
    if (parse(settings, line, &why) != 0) {
        fail_msg("%s: %s", line, why.text);
    }
}

static void expect_refusal(const char *line, const char *message)
{
    struct settings settings;
    struct why why;
    int err = parse(&settings, line, &why);
    settings_fini(&settings);
    if (err != W_EUSAGE || strcmp(why.text, message) != 0) {
        fail_msg("%s\n  gave     %d %s\n  expected %s", line, err, why.text, message);
    }
}

/* Writes a configuration to a file of its own and returns its name. */
static const char *config_file(const char *text, size_t len)
{
    static char path[] = "/tmp/whither-test-config-XXXXXX";
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    return path;
}

static void defaults_are_those_of_the_contract(void **state)
{
    (void)state;
    struct settings settings;
    parse_ok(&settings, "whither serve");
    assert_int_equal(settings.command, COMMAND_SERVE);
    assert_string_equal(settings.data, "/var/lib/whither");
    assert_null(settings.server);
    assert_string_equal(settings.cluster, "default");
    assert_int_equal(settings.http.port, 8053);
    assert_memory_equal(settings.http.addr.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01", 16);
    assert_int_equal(settings.dnstap.count, 0);
    assert_int_equal(settings.dnstap_mode, 0666);
    assert_int_equal(settings.dnstap_max_frame, 1 << 20);
    assert_int_equal(settings.max_connections, 1024);
    assert_int_equal(settings.expect_senders, 0);
    assert_int_equal(settings.retention_us, 8 * US_PER_DAY);
    assert_int_equal(settings.memory_bytes, 256 << 20);
    assert_int_equal(settings.cluster_domain.count, 1);
    assert_memory_equal(settings.cluster_domain.items[0].wire,
                        "\x07"
                        "cluster\x05"
                        "local",
                        15);
    assert_int_equal(settings.log_level, LOG_LEVEL_INFO);
    struct attribute_params params = settings_attribution(&settings);
    assert_int_equal(params.horizon_us, US_PER_DAY);
    assert_int_equal(params.grace_us, 60 * US_PER_S);
    assert_int_equal(params.skew_us, 2 * US_PER_S);
    assert_int_equal(params.settle_us, 60 * US_PER_S);
    assert_int_equal(params.candidates_max, 8);
    assert_int_equal(params.cluster_domain_count, 1);
    settings_fini(&settings);
}

static void flags_take_their_value_in_both_forms(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "whither serve --dnstap unix:/a --dnstap tcp:127.0.0.1:6000 --retention 2d --http [::1]:0 "
        "--dnstap-allow 192.0.2.0/24 --memory 64MiB --quiet",
        "whither serve --dnstap=unix:/a --dnstap=tcp:127.0.0.1:6000 --retention=48h "
        "--http=[::1]:0 --dnstap-allow=192.0.2.0/24 --memory=65536KiB --quiet=true",
    };
    for (size_t i = 0; i < COUNT(LINES); i++) {
        struct settings settings;
        parse_ok(&settings, LINES[i]);
        assert_int_equal(settings.dnstap.count, 2);
        assert_string_equal(settings.dnstap.items[0], "unix:/a");
        assert_string_equal(settings.dnstap.items[1], "tcp:127.0.0.1:6000");
        assert_int_equal(settings.retention_us, 2 * US_PER_DAY);
        assert_int_equal(settings.http.port, 0);
        assert_int_equal(settings.http.addr.b[15], 1);
        assert_int_equal(settings.dnstap_allow.count, 1);
        assert_int_equal(settings.dnstap_allow.items[0].bits, 120);
        assert_int_equal(settings.memory_bytes, 64 << 20);
        assert_true(settings.quiet);
        settings_fini(&settings);
    }
}

static void a_list_replaces_the_default_list(void **state)
{
    (void)state;
    struct settings settings;
    parse_ok(&settings, "whither serve --cluster-domain corp.example --cluster-domain a.example.");
    assert_int_equal(settings.cluster_domain.count, 2);
    assert_int_equal(settings.cluster_domain.items[0].len, 14);
    settings_fini(&settings);
}

static void a_join_maps_prefixes_to_verdicts(void **state)
{
    (void)state;
    struct settings settings;
    parse_ok(&settings, "whither join - --verdict calico-drop=denied --verdict a=b=logged");
    assert_int_equal(settings.verdicts.count, 2);
    assert_string_equal(settings.verdicts.items[0].prefix, "calico-drop");
    assert_int_equal(settings.verdicts.items[0].action, FLOW_DENIED);
    assert_string_equal(settings.verdicts.items[1].prefix, "a=b");
    assert_int_equal(settings.verdicts.items[1].action, FLOW_LOGGED);
    settings_fini(&settings);
}

static void arguments_keep_their_order_among_flags(void **state)
{
    (void)state;
    struct settings settings;
    parse_ok(&settings, "whither ingest a.fstrm --data d - --quiet -- --b");
    assert_int_equal(settings.arg_count, 3);
    assert_string_equal(settings.args[0], "a.fstrm");
    assert_string_equal(settings.args[1], "-");
    assert_string_equal(settings.args[2], "--b");
    assert_string_equal(settings.data, "d");
    settings_fini(&settings);
}

static void spans_and_instants_are_parsed(void **state)
{
    (void)state;
    struct settings settings;
    parse_ok(&settings, "whither lookup 192.0.2.1 198.51.100.1 --at 2026-05-22T10:00:01.5Z");
    assert_int_equal(settings.at_us, INT64_C(1779444001500000));
    settings_fini(&settings);
    parse_ok(&settings, "whither ingest a --covers 1779444000..2026-05-22T10:00:01Z");
    assert_int_equal(settings.covers.from_us, INT64_C(1779444000000000));
    assert_int_equal(settings.covers.to_us, INT64_C(1779444001000000));
    settings_fini(&settings);
}

static void what_is_wrong_is_named_with_what_is_expected(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *message;
    } CASES[] = {
        {"whither", "expected a command; `whither --help` lists them"},
        {"whither serv", "unknown command serv; did you mean serve?"},
        {"whither xyzzy", "unknown command xyzzy; `whither --help` lists them"},
        {"whither --quiet serve", "expected a command before --quiet"},
        {"whither serve --htpp x", "unknown flag --htpp; did you mean --http?"},
        {"whither serve --retnetion=8d", "unknown flag --retnetion; did you mean --retention?"},
        {"whither serve --frobnicate", "unknown flag --frobnicate; `whither serve --help` lists "
                                       "them"},
        {"whither serve -x", "unknown flag -x; `whither serve --help` lists them"},
        {"whither join - --http x", "--http is a flag of `whither serve`, not of `whither join`"},
        {"whither serve --http", "--http: expected ADDR:PORT after it"},
        {"whither serve --http=", "--http : expected ADDR:PORT"},
        {"whither serve --http 127.0.0.1:65536",
         "--http 127.0.0.1:65536: expected an IP address and a port from 0 to 65535, as "
         "127.0.0.1:8053 or [::1]:8053"},
        {"whither serve --http localhost:80",
         "--http localhost:80: expected an IP address and a port from 0 to 65535, as "
         "127.0.0.1:8053 or [::1]:8053"},
        {"whither serve --http ::1:80",
         "--http ::1:80: expected an IP address and a port from 0 to 65535, as 127.0.0.1:8053 or "
         "[::1]:8053"},
        {"whither serve --retention 8",
         "--retention 8: expected a duration from 1h to 3650d, as 250ms, 2s, 10m, 24h or 8d"},
        {"whither serve --retention 59m",
         "--retention 59m: expected a duration from 1h to 3650d, as 250ms, 2s, 10m, 24h or 8d"},
        {"whither serve --memory 31MiB",
         "--memory 31MiB: expected a size from 32MiB to 1TiB, as 64KiB, 1MiB or 1GiB"},
        {"whither serve --memory 99999999999999999999",
         "--memory 99999999999999999999: expected a size from 32MiB to 1TiB, as 64KiB, 1MiB or "
         "1GiB"},
        {"whither serve --max-connections 0",
         "--max-connections 0: expected a number from 1 to 100000"},
        {"whither serve --max-connections -1",
         "--max-connections -1: expected a number from 1 to 100000"},
        {"whither serve --dnstap-mode 888", "--dnstap-mode 888: expected octal permissions, as "
                                            "0660"},
        {"whither serve --dnstap-mode 1777", "--dnstap-mode 1777: expected octal permissions, as "
                                             "0660"},
        {"whither serve --dnstap-allow 192.0.2.0/33",
         "--dnstap-allow 192.0.2.0/33: expected a network, as 192.0.2.0/24 or 2001:db8::/32"},
        {"whither serve --cluster-domain a..b",
         "--cluster-domain a..b: expected a domain name, as cluster.local"},
        {"whither serve --log-level loud", "--log-level loud: expected error, warn, info or debug"},
        {"whither serve now", "unexpected now; expected flags only"},
        {"whither status --quiet=maybe", "--quiet maybe: expected true or false"},
        {"whither status --output xml", "--output xml: expected text or json"},
        {"whither join", "expected SOURCE...: flow records, - for standard input"},
        {"whither join - --verdict drop",
         "--verdict drop: expected PREFIX=ACTION with allowed, denied, logged or unknown, as "
         "calico-drop=denied"},
        {"whither join - --candidates 65", "--candidates 65: expected a number from 1 to 64"},
        {"whither join - --data a --server http://127.0.0.1:1",
         "--data and --server exclude each other"},
        {"whither join - --data a --dnstap b", "--data and --dnstap exclude each other"},
        {"whither join - --server http://127.0.0.1:1 --dnstap b",
         "--server and --dnstap exclude each other"},
        {"whither join - --tz ../../etc/passwd",
         "--tz ../../etc/passwd: expected UTC, +HH:MM or a zone of /usr/share/zoneinfo/, as "
         "Europe/Berlin"},
        {"whither join - --tz +24:00", "--tz +24:00: expected UTC, +HH:MM or a zone of "
                                       "/usr/share/zoneinfo/, as Europe/Berlin"},
        {"whither lookup 192.0.2.1", "expected SRC DST: two IP addresses"},
        {"whither lookup a b --at yesterday",
         "--at yesterday: expected a time, as 2026-05-22T10:00:01.5Z or seconds since the epoch"},
        {"whither ingest a --covers 1779444001..1779444000",
         "--covers 1779444001..1779444000: expected FROM..TO, as "
         "2026-05-22T10:00:00Z..2026-05-22T11:00:00Z"},
        {"whither names a --since 1779444001 --until 1779444000", "--since lies after --until"},
        {"whither status --server example.com",
         "--server example.com: expected a URL, as http://127.0.0.1:8053"},
        {"whither status --config /nonexistent/whither.yaml",
         "--config /nonexistent/whither.yaml: No such file or directory"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        expect_refusal(CASES[i].line, CASES[i].message);
    }
}

static void help_and_version_need_no_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum request request;
        enum command command;
    } CASES[] = {
        {"whither --help", REQUEST_HELP, COMMAND_NONE},
        {"whither -h", REQUEST_HELP, COMMAND_NONE},
        {"whither help", REQUEST_HELP, COMMAND_NONE},
        {"whither help join", REQUEST_HELP, COMMAND_JOIN},
        {"whither lookup --help", REQUEST_HELP, COMMAND_LOOKUP},
        {"whither serve --bogus --help", REQUEST_HELP, COMMAND_SERVE},
        {"whither --version", REQUEST_VERSION, COMMAND_NONE},
        {"whither status --version", REQUEST_VERSION, COMMAND_STATUS},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct settings settings;
        parse_ok(&settings, CASES[i].line);
        assert_int_equal(settings.request, CASES[i].request);
        assert_int_equal(settings.command, CASES[i].command);
        settings_fini(&settings);
    }
}

static void the_highest_source_wins(void **state)
{
    (void)state;
    static const char TEXT[] = "data: /from/file\n"
                               "retention: 2d\n"
                               "http: 127.0.0.1:9000\n"
                               "cluster-domain: [one.example, two.example]\n"
                               "dnstap:\n"
                               "  - unix:/from/file\n"
                               "captures: [not-for-serve]\n";
    const char *path = config_file(TEXT, strlen(TEXT));
    char line[256];
    struct settings settings;

    snprintf(line, sizeof(line), "whither serve --config %s", path);
    parse_ok(&settings, line);
    assert_string_equal(settings.data, "/from/file");
    assert_int_equal(settings.http.port, 9000);
    assert_int_equal(settings.cluster_domain.count, 2);
    assert_string_equal(settings.dnstap.items[0], "unix:/from/file");
    assert_int_equal(settings.captures.count, 0);
    settings_fini(&settings);

    setenv("WHITHER_DATA", "/from/environment", 1);
    parse_ok(&settings, line);
    assert_string_equal(settings.data, "/from/environment");
    settings_fini(&settings);

    snprintf(line, sizeof(line),
             "whither serve --config %s --data /from/line --dnstap unix:/b --http 127.0.0.1:1",
             path);
    parse_ok(&settings, line);
    assert_string_equal(settings.data, "/from/line");
    assert_int_equal(settings.dnstap.count, 1);
    assert_string_equal(settings.dnstap.items[0], "unix:/b");
    assert_int_equal(settings.http.port, 1);
    assert_int_equal(settings.retention_us, 2 * US_PER_DAY);
    settings_fini(&settings);

    snprintf(line, sizeof(line), "whither join - --config %s --server http://127.0.0.1:8053/",
             path);
    parse_ok(&settings, line);
    assert_string_equal(settings.server, "http://127.0.0.1:8053");
    assert_null(settings.data);
    assert_int_equal(settings.captures.count, 0);
    settings_fini(&settings);
    unsetenv("WHITHER_DATA");
    unlink(path);
}

static void a_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message; /* after the file's name */
    } CASES[] = {
        {"http: 127.0.0.1:1\nhtt: 1\n", ":2: unknown key htt"},
        {"help: true\n", ":1: unknown key help"},
        {"config: other.yaml\n", ":1: unknown key config"},
        {"\n\nretention: 8\n", ":3: retention: 8: expected a duration from 1h to 3650d, as 250ms, "
                               "2s, 10m, 24h or 8d"},
        {"horizon: 9x\n", ":1: horizon: 9x: expected a duration from 1s to 3650d, as 250ms, 2s, "
                          "10m, 24h or 8d"},
        {"dnstap: unix:/a\n", ":1: expected a list"},
        {"retention: [8d]\n", ":1: expected one value"},
        {"- a\n", ": expected lines of KEY: VALUE"},
        {"data: a\ndata: b\n", ":1: twice the key data"},
        {"data: &a x\ntoken-file: *a\n", ":2: YAML alias unsupported"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const char *path = config_file(CASES[i].text, strlen(CASES[i].text));
        char line[256];
        char message[512];
        snprintf(line, sizeof(line), "whither serve --config %s", path);
        snprintf(message, sizeof(message), "%s%s", path, CASES[i].message);
        expect_refusal(line, message);
        unlink(path);
    }
}

static void any_bytes_in_a_file_are_refused_or_taken(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    static const char PARTS[] = "data: a\ndnstap: [x, {y: z}]\n? |\n  - &a *a !!b \"\x80\0\t";
    srand(1);
    for (int round = 0; round < ROUNDS; round++) {
        char text[200];
        size_t len = (size_t)rand() % sizeof(text);
        for (size_t i = 0; i < len; i++) {
            text[i] = PARTS[(size_t)rand() % sizeof(PARTS)];
        }
        const char *path = config_file(text, len);
        char line[256];
        struct settings settings;
        struct why why;
        snprintf(line, sizeof(line), "whither serve --config %s", path);
        int err = parse(&settings, line, &why);
        assert_true(err == 0 || err == W_EUSAGE);
        settings_fini(&settings);
        unlink(path);
    }
}

static void a_refused_allocation_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    static const char TEXT[] = "dnstap: [unix:/a]\nretention: 2d\ncluster-domain: [a.example]\n";
    const char *path = config_file(TEXT, strlen(TEXT));
    char line[256];
    snprintf(line, sizeof(line),
             "whither serve --config %s --dnstap unix:/b --dnstap-allow 192.0.2.0/24", path);
    size_t refused = 0;
    for (size_t n = 1; refused == n - 1; n++) {
        struct settings settings;
        struct why why;
        alloc_fail_at(n);
        int err = parse(&settings, line, &why);
        refused += alloc_failed();
        assert_int_equal(err, alloc_failed() == 0 ? 0 : -ENOMEM);
        settings_fini(&settings);
    }
    alloc_fail_at(0);
    assert_true(refused > 8);
    unlink(path);
}

static void empty_files_say_nothing(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"", "\n", "# only a comment\n", "---\n# and a mark\n"};
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        const char *path = config_file(TEXTS[i], strlen(TEXTS[i]));
        char line[256];
        struct settings settings;
        snprintf(line, sizeof(line), "whither serve --config %s", path);
        parse_ok(&settings, line);
        settings_fini(&settings);
        unlink(path);
    }
}

/* mktime of noon, 1 July 2026 and 1 January 2026, as hours of UTC. */
static void the_zone_of_inputs_becomes_that_of_the_process(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int summer_hour;
        int winter_hour;
    } CASES[] = {
        {"", 12, 12},
        {"--tz UTC", 12, 12},
        {"--tz +02:00", 10, 10},
        {"--tz -05:30", 17, 17},
        {"--tz Europe/Berlin", 10, 11},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char line[128];
        struct settings settings;
        if (strstr(CASES[i].zone, "Berlin") != NULL &&
            access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
            print_message("no zone database: Europe/Berlin is not tried\n");
            continue;
        }
        snprintf(line, sizeof(line), "whither join - %s", CASES[i].zone);
        parse_ok(&settings, line);
        struct tm summer = {
            .tm_year = 126, .tm_mon = 6, .tm_mday = 1, .tm_hour = 12, .tm_isdst = -1};
        struct tm winter = {
            .tm_year = 126, .tm_mon = 0, .tm_mday = 1, .tm_hour = 12, .tm_isdst = -1};
        assert_int_equal(mktime(&summer) / 3600 % 24, CASES[i].summer_hour);
        assert_int_equal(mktime(&winter) / 3600 % 24, CASES[i].winter_hour);
        settings_fini(&settings);
    }
}

static void print_more(FILE *out)
{
    fputs("MORE OF THE COMMAND\n", out);
}

static void help_names_every_flag_within_the_width(void **state)
{
    (void)state;
    for (enum command command = COMMAND_NONE; command < COMMAND_COUNT; command++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        assert_non_null(out);
        settings_help(out, command, command == COMMAND_NONE ? NULL : print_more);
        fclose(out);
        for (size_t i = 0; i < FLAG_COUNT_ALL && command != COMMAND_NONE; i++) {
            char spelled[64];
            snprintf(spelled, sizeof(spelled), "\n  --%s", FLAGS[i].name);
            assert_true((strstr(text, spelled) != NULL) >= flag_fits(&FLAGS[i], command));
        }
        assert_int_equal(strstr(text, "MORE OF THE COMMAND\n") != NULL, command != COMMAND_NONE);
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
            assert_true(strcspn(line, "\n") <= 100);
        }
        free(text);
    }
}

static void flags_and_keys_are_defined_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLAG_COUNT_ALL; i++) {
        for (size_t j = i + 1; j < FLAG_COUNT_ALL; j++) {
            bool same_name = strcmp(FLAGS[i].name, FLAGS[j].name) == 0;
            assert_false(same_name && (FLAGS[i].commands & FLAGS[j].commands) != 0);
            assert_false(FLAGS[i].key != NULL && FLAGS[j].key != NULL &&
                         strcmp(FLAGS[i].key, FLAGS[j].key) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_contract),
        cmocka_unit_test(flags_take_their_value_in_both_forms),
        cmocka_unit_test(a_list_replaces_the_default_list),
        cmocka_unit_test(a_join_maps_prefixes_to_verdicts),
        cmocka_unit_test(arguments_keep_their_order_among_flags),
        cmocka_unit_test(spans_and_instants_are_parsed),
        cmocka_unit_test(what_is_wrong_is_named_with_what_is_expected),
        cmocka_unit_test(help_and_version_need_no_arguments),
        cmocka_unit_test(the_highest_source_wins),
        cmocka_unit_test(a_file_is_refused_with_its_line),
        cmocka_unit_test(any_bytes_in_a_file_are_refused_or_taken),
        cmocka_unit_test(empty_files_say_nothing),
        cmocka_unit_test(a_refused_allocation_is_an_error_and_leaks_nothing),
        cmocka_unit_test(the_zone_of_inputs_becomes_that_of_the_process),
        cmocka_unit_test(help_names_every_flag_within_the_width),
        cmocka_unit_test(flags_and_keys_are_defined_once),
    };
    unsetenv("WHITHER_DATA");
    return cmocka_run_group_tests_name("cli/settings", tests, NULL, NULL);
}
