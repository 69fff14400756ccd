# tests/e2e/cases/served_flows.py -- flow logs that a service follows: serve --flows --out.
# SPDX-License-Identifier: Apache-2.0

import json
import os
import time

from support import wire
from support.case import case
from support.lab import expect, wait_for
from support.whither import Service, json_lines

from .peers import answers
from .push import hubble_dns, hubble_flow


def now_us():
    return time.time_ns() // 1000


def append(path, rows):
    with open(path, "a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def output(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return json_lines(file.read().rpartition("\n")[0])     # its last line may be half written


def numbers(flows):
    return [flow["source"]["port"] - 1024 for flow in flows]


@case("serve --flows names a growing log as the answers come, and goes on after a restart")
def followed(lab):
    log, out = lab.path("hubble.jsonl"), lab.path("named.jsonl")
    service = Service(lab, options=["--flows", log, "--out", "file:" + out, "--settle", "5s"])
    expect(service.live_status()["flows"]["sources"] == [log], "not shown",
           service.live_status()["flows"])
    begin_us = now_us()
    sender = wire.Sender(service.unix)
    sender.send(answers(begin_us - 1000000, 20, clients=20))
    append(log, [hubble_flow(begin_us + n, "10.244.0.%d" % (n % 20), "198.51.0.%d" % (n % 20), n)
                 for n in range(1000)])
    wait_for("all are named", lambda: len(output(out)) == 1000, 20)
    named = output(out)
    expect(numbers(named) == list(range(1000)), "not in order, or not once")
    expect(all(flow["destination"].get("domain") == "host-%d.example.com" % (n % 20)
               for n, flow in enumerate(named)), "without a name")
    expect(service.metric("whither_follow_flows_total") == 1000, "not counted")
    # What is held when the service ends is decided then, and not again after it.
    append(log, [hubble_flow(now_us(), "10.244.0.1", "198.51.0.1", n) for n in range(1000, 1100)])
    time.sleep(0.7)
    sender.finish()
    service.stop()
    expect(len(output(out)) >= 1000, "lost")
    append(log, [hubble_flow(now_us(), "10.244.0.1", "198.51.0.1", n) for n in range(1100, 1200)])
    service.start()
    wait_for("all are named", lambda: len(output(out)) >= 1200, 20)
    service.stop()
    expect(numbers(output(out)) == list(range(1200)), "not in order, or not once")


@case("serve --flows on a Hubble log alone: its own DNS answers name its flows")
def hubble_alone(lab):
    log, out = lab.path("hubble.jsonl"), lab.path("named.jsonl")
    begin_us = now_us() - 3600 * 1000000
    rows = []
    for n in range(300):            # a backlog, each answer just before the flow that used it
        address, client = "198.51.100.%d" % (n % 250), "10.244.0.%d" % (n % 200)
        rows.append(hubble_dns(begin_us + n * 1000, client, "name-%d.example.com" % n, [address]))
        rows.append(hubble_flow(begin_us + n * 1000 + 500, client, address, n))
    append(log, rows)
    service = Service(lab, options=["--flows", log, "--out", "file:" + out])
    wait_for("all are named", lambda: len(output(out)) == 300, 20)
    named = output(out)
    expect([flow["destination"].get("domain") for flow in named]
           == ["name-%d.example.com" % n for n in range(300)], "another name, or none",
           named[0], named[-1])
    expect(all(flow["attribution"]["candidates"][0]["source"] == "hubble" for flow in named),
           "not marked")
    append(log, [hubble_flow(now_us(), "10.244.0.1", "192.0.2.99", 999)])
    wait_for("the last one is there", lambda: len(output(out)) == 301, 20)
    last = output(out)[-1]["attribution"]
    expect((last["verdict"], last["reason"]) == ("blind", "gap"), "more than is known", last)
    streams = [(stream["kind"], stream["identity"], stream["peer"])
               for stream in service.live_status()["streams"]]
    expect(streams == [("partial", "hubble:node-1", "flows")], "another stream", streams)
    service.stop()


@case("--flows without --out, and --out without --flows, are told apart from a start")
def usage(lab):
    service = Service(lab, start=False)
    for options, missing in ((["--flows", "x"], "--out"), (["--out", "-"], "--flows"),
                             (["--flows", "x", "--out", "-", "--to", "xml"], "--to")):
        service.options = options
        done = lab.run(service.command(), timeout=10, check=2)
        expect(missing in done.stderr, "not told", done.stderr)
