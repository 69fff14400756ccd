/* tests/unit/join/test_calico_ebpf.c -- policy lines of the kernel's trace pipe
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/flow_lines.h"

#define TRACE "curl-5288    [000] ..s2.  3055.982021: bpf_trace_printk: "
#define V4 "192.0.2.7:56042 dest 198.51.100.9:80"
#define NEVER "start never unjoinable no-time"
#define AT "start 2026-05-22T10:00:01.123456Z"

static const struct {
    const char *line;
    const char *is;
} LINES[] = {
    {TRACE "cali527b0801ecb-E: policy ALLOWED proto 6 src " V4,
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 allowed egress " NEVER},
    {TRACE "cali527b0801ecb-E: policy DENIED proto 17 src 192.0.2.7:53 dest 198.51.100.9:54",
     "calico-ebpf udp 192.0.2.7:53 > 198.51.100.9:54 denied egress " NEVER},
    {TRACE "cali527b0801ecb-I: policy ALLOWED proto 6 src " V4, "skip ingress"},
    /* What stands before differs. */
    {"<...>-4950 [001] ..s2. 2960.7: 0: eth0---E: policy ALLOWED proto 6 src " V4,
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 allowed egress " NEVER},
    {"cali1-E: policy ALLOWED proto 6 src " V4,
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 allowed egress " NEVER},
    /* ICMP has no ports, whatever stands there; IPv6 in both spellings. */
    {TRACE "cali1-E: policy ALLOWED proto 1 src 192.0.2.7:0 dest 198.51.100.9:8",
     "calico-ebpf icmp 192.0.2.7 > 198.51.100.9 allowed egress " NEVER},
    {TRACE "cali1-E: policy ALLOWED proto 6 src [2001:db8::7]:1 dest [2001:db8::9]:2",
     "calico-ebpf tcp 2001:db8::7:1 > 2001:db8::9:2 allowed egress " NEVER},
    {TRACE "cali1-E: policy ALLOWED proto 6 src 2001:0db8:0000:0000:0000:0000:0000:0007:1 dest "
           "2001:0db8:0000:0000:0000:0000:0000:0009:2",
     "calico-ebpf tcp 2001:db8::7:1 > 2001:db8::9:2 allowed egress " NEVER},
    /* A time that something wrote down. */
    {"2026-05-22T10:00:01.123456Z " TRACE "cali1-E: policy ALLOWED proto 6 src " V4,
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 allowed egress " AT},
    {"{\"MESSAGE\":\"" TRACE "cali1-E: policy ALLOWED proto 6 src " V4
     "\",\"__REALTIME_TIMESTAMP\":\"1779444001123456\",\"_HOSTNAME\":\"n\"}",
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 allowed egress " AT},
    /* A process may be called so as to hide what it does. */
    {"x: policy -7 [000] 1.0: bpf_trace_printk: cali1-E: policy DENIED proto 6 src " V4,
     "calico-ebpf tcp 192.0.2.7:56042 > 198.51.100.9:80 denied egress " NEVER},
    /* Other lines of the trace, and lines that are cut off. */
    {TRACE "cali1-E: New packet at ifindex=5", "skip not-a-flow"},
    {TRACE "cali1-X: policy ALLOWED proto 6 src " V4, "skip not-a-flow"},
    {": policy ALLOWED proto 6 src " V4, "skip not-a-flow"},
    {TRACE "cali1-E: policy PASSED proto 6 src " V4, "skip not-a-flow"},
    {"E: policy ", "skip not-a-flow"},
    {"", "skip not-a-flow"},
    {TRACE "cali1-E: policy ALLOWED proto 6 src 192.0.2.7:560",
     "calico-ebpf tcp allowed egress start never unjoinable no-address"},
    {TRACE "cali1-E: policy ALLOWED proto 6 src  dest ",
     "calico-ebpf tcp allowed egress start never unjoinable no-address"},
    {TRACE "cali1-E: policy ALLOWED ",
     "calico-ebpf ? allowed egress start never unjoinable no-address"},
    {TRACE "cali1-E: policy ALLOWED proto 6 src 192.0.2.7:99999 dest 198.51.100.9:80",
     "calico-ebpf tcp 192.0.2.7 > 198.51.100.9 allowed egress " NEVER},
    {"{\"a\":1}", "bad: not a calico-ebpf record"},
};

static void policy_lines_are_read_and_others_left_out(void **state)
{
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        bool wrapped = strstr(LINES[i].line, "MESSAGE") != NULL;
        const struct flow_record *record =
            flow_lines_parse(&lines, wrapped ? &FORMAT_JOURNAL : &FORMAT_CALICO_EBPF, LINES[i].line,
                             strlen(LINES[i].line));
        assert_string_equal(flow_lines_text(record), LINES[i].is);
    }
    flow_lines_fini(&lines);
}

static void what_is_missing_without_a_time_is_said(void **state)
{
    static const char LINE[] = TRACE "cali527b0801ecb-E: policy ALLOWED proto 6 src " V4;
    static const char TIMED[] = "2026-05-22T10:00:01Z " TRACE "eth0---E: policy ALLOWED proto 6 "
                                "src " V4;
    struct flow_lines lines;
    (void)state;
    flow_lines_init(&lines, NULL, 0);
    const struct flow_record *record =
        flow_lines_parse(&lines, &FORMAT_CALICO_EBPF, LINE, sizeof(LINE) - 1);
    assert_non_null(strstr(record->remark, "no time of day"));
    assert_memory_equal(record->flow.interface.data, "cali527b0801ecb", 15);
    assert_int_equal(record->flow.interface.len, 15);
    record = flow_lines_parse(&lines, &FORMAT_CALICO_EBPF, TIMED, sizeof(TIMED) - 1);
    assert_null(record->remark);
    assert_int_equal(record->flow.interface.len, 4);
    flow_lines_fini(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_lines_are_read_and_others_left_out),
        cmocka_unit_test(what_is_missing_without_a_time_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
