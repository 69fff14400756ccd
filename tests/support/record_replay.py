#!/usr/bin/env python3
# tests/support/record_replay.py -- replays the bundled recording as if it were happening now.
# SPDX-License-Identifier: Apache-2.0
#
# usage: record_replay.py ADDRESS FOLDER [RECORDING]
#   ADDRESS    where the collector listens: unix:PATH or tcp:HOST:PORT
#   FOLDER     where the flow logs go, moved by the same time: flows.log, flows.hubble.jsonl
#   RECORDING  default: tests/data/recording
#
# A live collector refuses frames whose times lie far from their receipt, so every time is moved by
# whole seconds until the last flow lies just behind the present. The frames go through a real Frame
# Streams hand-shake; the program ends when the collector has answered STOP with FINISH.

import calendar
import json
import os
import re
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from support import wire  # noqa: E402

RFC3339 = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+Z)"')


def journal_line(line, seconds):
    entry = json.loads(line)
    moved = str(int(entry["__REALTIME_TIMESTAMP"]) + seconds * 1000000)
    return line.replace('"%s"' % entry["__REALTIME_TIMESTAMP"], '"%s"' % moved, 1)


def hubble_line(line, seconds):
    def move(match):
        stamp = time.strptime(match.group(1) + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
        when = time.gmtime(calendar.timegm(stamp) + seconds)
        return '"%s%s"' % (time.strftime("%Y-%m-%dT%H:%M:%S", when), match.group(2))

    return RFC3339.sub(move, line)


def last_flow_s(path):
    with open(path) as file:
        return max(int(json.loads(line)["__REALTIME_TIMESTAMP"]) for line in file) // 1000000


def main(argv):
    if len(argv) not in (2, 3):
        raise SystemExit("usage: record_replay.py ADDRESS FOLDER [RECORDING]")
    address, folder = argv[:2]
    recording = argv[2] if len(argv) == 3 else os.path.join(ROOT, "tests", "data", "recording")
    seconds = int(time.time()) - 1 - last_flow_s(os.path.join(recording, "flows.log"))
    payloads = [wire.shift_times(payload, seconds)
                for payload in wire.read_capture(os.path.join(recording, "dns.fstrm"))]
    sender = wire.Sender(address)
    sender.send(payloads)
    sender.finish()
    for name, move in (("flows.log", journal_line), ("flows.hubble.jsonl", hubble_line)):
        with open(os.path.join(recording, name)) as source:
            with open(os.path.join(folder, name), "w") as target:
                target.writelines(move(line, seconds) for line in source)
    print("%d frames sent to %s, times moved by %d s" % (len(payloads), address, seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
