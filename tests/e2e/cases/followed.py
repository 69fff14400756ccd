# tests/e2e/cases/followed.py -- the short form of follow_test.py, and what --follow refuses.
# SPDX-License-Identifier: Apache-2.0

import json
import os
import signal
import sys
import time

from support import whither, wire
from support.case import case
from support.lab import ROOT, expect, wait_for


@case("SIGKILL while a flow log is rotated, truncated and its output's disk full: each flow once, in "
      "order (the source is a {0})", "file", "folder", alone=True)
def followed(lab, source):
    # A process of its own: it mounts a file system that nobody else sees. Sanitizers make each
    # question a hundred times as slow.
    slow = "address" in os.environ.get("BUILD", "") or "thread" in os.environ.get("BUILD", "")
    done = lab.run([sys.executable, os.path.join(ROOT, "tests", "e2e", "follow_test.py")], timeout=900,
                   env={"SOURCE": source, "TMPDIR": lab.folder, "FLOWS": "8000" if slow else "50000"})
    expect(done.returncode == 0, "follow_test.py ended with status %d" % done.returncode,
           done.stdout[-4000:], done.stderr[-4000:])


def flow_line(port, time_us):
    return ('{"flow":{"time":"%s","verdict":"FORWARDED","IP":{"source":"10.244.0.7","destination":'
            '"192.0.2.1"},"l4":{"TCP":{"source_port":%d,"destination_port":443,"flags":{"SYN":true}}}}}\n'
            % (whither.rfc3339(time_us), port))


@case("a flow that is followed waits for the answer that explains it ({0})", "--data", "--server")
def waits(lab, where):
    service = whither.Service(lab)
    sender = wire.Sender(service.unix)
    log, out = lab.write("flows.log", ""), lab.path("out.json")
    answers = (["--data", service.data] if where == "--data" else
               ["--server", "http://127.0.0.1:%d" % service.http_port])
    joiner = lab.start("join", [whither.binary(), "join", log, "--follow", "--out", "file:" + out,
                                "--skew", "300ms", "--settle", "6s"] + answers)
    wait_for("the joiner is ready", lambda: os.path.exists(out + ".checkpoint"))
    answer = wire.response("example.com", wire.A, [("example.com", wire.A, 60, "192.0.2.1")])
    sender.send([wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.244.0.8", answer,
                                   time.time_ns() // 1000)])
    wait_for("the sender is known", lambda: any(service.senders().values()))
    now_us = time.time_ns() // 1000
    with open(log, "a") as file:
        file.write(flow_line(40001, now_us))
    time.sleep(1.5)
    expect(joiner.running(), "the joiner ended", joiner.log())
    expect(os.path.getsize(out) == 0, "the flow did not wait")
    # Of before the flow, and only now told.
    sender.send([wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.244.0.7", answer, now_us - 1000),
                 wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.244.0.8", answer, now_us + 1000000)])
    wait_for("the flow is named", lambda: os.path.getsize(out) > 0, 20)
    joiner.signal(signal.SIGTERM)
    joiner.wait(10)
    expect(joiner.popen.returncode == 0, "status %d" % joiner.popen.returncode, joiner.log())
    with open(out) as file:
        flows = [json.loads(line) for line in file]
    expect(len(flows) == 1 and flows[0]["destination"].get("domain") == "example.com",
           "the flow has another name", flows)
    sender.finish()
    service.stop()
