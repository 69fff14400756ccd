/* tests/fuzz/fuzz_map.c -- any lines as JSON and CSV read by --map; and any --map
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/map.h"

#include <stdlib.h>

#include "tests/fuzz/flow_fuzz.h"

static const char MAP[] =
    "source.ip=src,source.ip=v6.src,destination.ip=dst,destination.ip=3,@timestamp=ts,"
    "event.start=start,event.end=end,source.port=sport,destination.port=dport,"
    "network.transport=proto,network.bytes=octets,event.action=what,network.direction=way,"
    "source.k8s.namespace=ns,source.k8s.pod=pod,destination.nat.ip=nat,host.name=node";

/* The first line as the value of the flag. */
static void read_flag(const char *text, size_t len)
{
    struct field_map map = {0};
    struct why why = {""};
    char *flag = strndup(text, len < 512 ? len : 512);
    if (flag == NULL) {
        fuzz_fail("no memory");
    }
    int err = map_add(&map, flag, &why);
    if (err == W_EUSAGE && why.text[0] == '\0') {
        fuzz_fail("a map is refused without a reason");
    }
    if (err == 0 && map.from_count > 0) {
        struct json_paths *paths;
        if (json_paths_new(&paths, map.pointers, map.from_count) != 0) {
            fuzz_fail("a map that was taken cannot be read by");
        }
        json_paths_free(&paths);
    }
    map_fini(&map);
    free(flag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct field_map map;
    struct flow_fuzz *fuzz = flow_fuzz();
    struct why why = {""};
    const char *text = (const char *)data;
    const char *stop = size > 0 ? memchr(text, '\n', size) : NULL;
    if (map.rule_count == 0) {
        if (map_add(&map, MAP, &why) != 0) {
            fuzz_fail(why.text);
        }
        map_options(&map, &fuzz->parser->options);
    }
    read_flag(text, stop != NULL ? (size_t)(stop - text) : size);
    flow_fuzz_lines(fuzz, &FORMAT_CSV, text, size);
    flow_fuzz_line(fuzz, &FORMAT_JSON, text, size);
    return 0;
}
