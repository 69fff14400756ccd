# tests/e2e/cases/recording.py -- the bundled recording: from a capture to named flows.
# SPDX-License-Identifier: Apache-2.0

import os
import sys

from support import lab as labs
from support.case import case
from support.lab import expect
from support.whither import Commands, Service

FOLDER = os.path.join(labs.ROOT, "tests", "data", "recording")
DUE = {"hard-coded": "blind", "another pod's": "shared", "never asks": "blind", "stale": "stale",
       "service": "blind"}


def expected(folder):
    with open(os.path.join(folder, "expected.tsv")) as file:
        head, *rows = [line.rstrip("\n").split("\t") for line in file]
    return [dict(zip(head, row)) for row in rows]


def check_flows(flows, rows):
    """Every connection has the name it was made for, or the verdict it deserves."""
    # The repetition of a connection within 5 s is left out by contract.
    rows = [row for row in rows if row["note"] != "repetition"]
    expect(len(flows) == len(rows), "%d flows, not %d" % (len(flows), len(rows)))
    for flow, row in zip(flows, rows):
        attribution = flow["attribution"]
        pair = (flow["source"]["ip"], flow["destination"]["ip"], flow["destination"]["port"])
        expect(pair == (row["source"], row["destination"], int(row["port"])), "another order", row)
        verdict = DUE.get(row["note"], "resolved")
        expect(attribution["verdict"] == verdict, "%s, not %s" % (attribution["verdict"], verdict),
               row, attribution)
        if verdict in ("resolved", "stale"):
            expect(flow["destination"].get("domain") == row["name"], "not " + row["name"], flow)
        else:
            expect("domain" not in flow["destination"], "a name for " + row["note"], flow)


@case("the bundled recording is ingested and its {0} joined: every flow gets its true name",
      "flows.log", "flows.hubble.jsonl")
def joined(lab, name):
    commands = Commands(lab)
    commands.ingest(os.path.join(FOLDER, "dns.fstrm"))
    check_flows(commands.join(os.path.join(FOLDER, name)), expected(FOLDER))


@case("the bundled recording, replayed live, names the Telegram connection nobody could name")
def replayed(lab):
    service = Service(lab)
    script = os.path.join(labs.ROOT, "tests", "support", "record_replay.py")
    lab.run([sys.executable, script, service.unix, lab.folder], check=0)
    flows = service.join(lab.path("flows.log"))
    check_flows(flows, expected(FOLDER))
    named = [flow for flow in flows if flow["destination"]["ip"] == "99.83.136.103"]
    expect(len(named) == 3 and all(flow["destination"]["domain"] == "api.telegram.org"
                                   for flow in named), "Telegram is not named", named)
