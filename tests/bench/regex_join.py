#!/usr/bin/env python3
# tests/bench/regex_join.py -- kernel LOG lines joined the way people do it: a regex and a dict
# SPDX-License-Identifier: Apache-2.0
"""
usage: regex_join.py FLOWS TABLE OUT

FLOWS is journald JSON, TABLE what genflows writes. The answers are loaded first, which is not
counted. Prints 'name value' pairs; CPU seconds are of the counted part."""

import bisect
import csv
import json
import os
import re
import sys
import time

LINE = re.compile(
    r"SRC=(?P<src>[0-9.]+) DST=(?P<dst>[0-9.]+).*?PROTO=(?P<proto>[A-Z0-9]+)"
    r"(?: SPT=(?P<spt>[0-9]+) DPT=(?P<dpt>[0-9]+))?"
)


def load(path):
    """{(client, address): (times, names)}, both in the order of the times."""
    answers = {}
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            times, names = answers.setdefault((row["client"], row["address"]), ([], []))
            times.append(int(row["time_us"]))
            names.append(row["name"])
    return answers


def join(answers, flows, out):
    count = 0
    for line in flows:
        entry = json.loads(line)
        found = LINE.search(entry["MESSAGE"])
        if not found:
            continue
        time_us = int(entry["__REALTIME_TIMESTAMP"])
        times, names = answers.get((found["src"], found["dst"]), ((), ()))
        at = bisect.bisect_right(times, time_us)
        record = {
            "time": time_us,
            "node": entry["_HOSTNAME"],
            **found.groupdict(),
            "domain": names[at - 1] if at else None,
            "age_ms": (time_us - times[at - 1]) // 1000 if at else None,
        }
        out.write(json.dumps(record) + "\n")
        count += 1
    return count


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    answers = load(sys.argv[2])
    wall, cpu = time.monotonic(), sum(os.times()[:2])
    with open(sys.argv[1]) as flows, open(sys.argv[3], "w") as out:
        count = join(answers, flows, out)
    wall, cpu = time.monotonic() - wall, sum(os.times()[:2]) - cpu
    print(f"flows {count} wall_s {wall:.3f} cpu_s {cpu:.3f}")


if __name__ == "__main__":
    main()
