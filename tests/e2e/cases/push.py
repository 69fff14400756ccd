# tests/e2e/cases/push.py -- flow records that log shippers push, and DNS answers out of flow logs.
# SPDX-License-Identifier: Apache-2.0

import gzip
import json
import time

from support import wire
from support.case import case
from support.lab import expect, need, wait_for
from support.whither import Commands, Service, json_lines, rfc3339

from .peers import answers


def now_us():
    return time.time_ns() // 1000


def packet(number, source, destination):
    return "calico-packet: IN=cali1 OUT=eth0 SRC=%s DST=%s PROTO=TCP SPT=%d DPT=443 SYN" \
        % (source, destination, 1024 + number)


def hubble_flow(at_us, source, destination, number=1):
    return {"flow": {"time": rfc3339(at_us), "verdict": "FORWARDED", "Type": "L3_L4",
                     "IP": {"source": source, "destination": destination},
                     "l4": {"TCP": {"source_port": 1024 + number, "destination_port": 443,
                                    "flags": {"SYN": True}}},
                     "node_name": "node-1", "traffic_direction": "EGRESS"}}


def hubble_dns(at_us, client, name, addresses):
    return {"flow": {"time": rfc3339(at_us), "verdict": "FORWARDED", "Type": "L7",
                     "IP": {"source": "198.51.100.53", "destination": client},
                     "l4": {"UDP": {"source_port": 53, "destination_port": 40000}},
                     "node_name": "node-1", "is_reply": True,
                     "l7": {"type": "RESPONSE", "dns": {
                         "query": name + ".", "ips": addresses, "ttl": 60,
                         "qtypes": ["A"], "rrtypes": ["A"]}}}}


def push(service, body, query="", headers=None, status=200):
    """(headers, the enriched flows)"""
    got, answered, text = service.request("POST", "/v1/flows" + query, body, headers or {})
    expect(got == status, "POST /v1/flows%s: %d" % (query, got), text)
    return answered, json_lines(text) if got == 200 else []


@case("flows that Fluent Bit, Vector and curl push come back with the names dnstap showed")
def shippers(lab):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    begin_us = now_us() - 1000000
    sender.send(answers(begin_us, 8, clients=8))
    sender.finish()
    for number in range(8):
        service.wait_name("10.244.0.%d" % number, "198.51.0.%d" % number,
                          "host-%d.example.com" % number)
    at_us = now_us()
    packets = [packet(number, "10.244.0.%d" % number, "198.51.0.%d" % number)
               for number in range(8)]
    fluent_bit = [{"date": at_us / 1e6, "log": line} for line in packets]
    vector = [{"message": line, "timestamp": rfc3339(at_us), "host": "node-1"} for line in packets]
    bodies = {
        "Fluent Bit json": (json.dumps(fluent_bit), {}),
        "Fluent Bit json_lines": ("".join(json.dumps(row) + "\n" for row in fluent_bit), {}),
        "Fluent Bit json_stream": ("".join(json.dumps(row) for row in fluent_bit), {}),
        "Fluent Bit json, gzip": (gzip.compress(json.dumps(fluent_bit).encode()),
                                  {"Content-Encoding": "gzip"}),
        "Vector ndjson": ("".join(json.dumps(row) + "\n" for row in vector),
                          {"Content-Type": "application/x-ndjson"}),
        "Vector json": (json.dumps(vector), {"Content-Type": "application/json"}),
        "text": ("".join("%s n kernel: %s\n" % (rfc3339(at_us), line) for line in packets), {}),
        "Loki": (json.dumps({"streams": [{"stream": {"job": "x"}, "values": [
            [str(at_us * 1000), line] for line in packets]}]}), {}),
    }
    for title, (body, headers) in bodies.items():
        told, flows = push(service, body, headers=headers)
        names = [flow["destination"].get("domain") for flow in flows]
        expect(names == ["host-%d.example.com" % number for number in range(8)], title, names)
        expect(told["Whither-Records"] == "flows=8, left-out=0, dns=0, bad=0", title,
               told["Whither-Records"])
    expect(push(service, bodies["text"][0], "?reply=none", status=204)[1] == [], "not empty")
    expect(service.metric('whither_pushed_records_total{result="flow"}') == 8 * 9, "not counted")
    service.stop()


@case("curl sends what shippers send: chunked, gzip, Expect: 100-continue")
def curl(lab):
    service = Service(lab)
    program = need("curl", "curl")
    at_us = now_us()
    rows = "".join(json.dumps(hubble_flow(at_us, "10.244.0.1", "198.51.100.7", n)) + "\n"
                   for n in range(5000))
    url = "http://127.0.0.1:%d/v1/flows" % service.http_port
    path = lab.write("flows.jsonl", rows.encode())
    packed = lab.write("flows.jsonl.gz", gzip.compress(rows.encode()))
    for options in (["--data-binary", "@" + path],
                    ["-H", "Transfer-Encoding: chunked", "-T", path, "-X", "POST"],
                    ["-H", "Content-Encoding: gzip", "--data-binary", "@" + packed]):
        done = lab.run([program, "-sS", "--fail"] + options + [url], check=0)
        expect(len(json_lines(done.stdout)) == 5000, "not 5000 flows", options)
    service.stop()


@case("without dnstap: a Hubble log alone names the flows that are pushed after it")
def hubble_only(lab):
    service = Service(lab)
    at_us = now_us() - 2000000
    rows = [hubble_dns(at_us, "10.244.0.1", "api.example.com", ["198.51.100.7"]),
            hubble_flow(at_us + 1000, "10.244.0.1", "198.51.100.7"),
            hubble_flow(at_us + 2000, "10.244.0.1", "198.51.100.8", 2)]
    told, flows = push(service, "".join(json.dumps(row) + "\n" for row in rows))
    expect(told["Whither-Records"] == "flows=2, left-out=0, dns=1, bad=0", "not told",
           told["Whither-Records"])
    expect(flows[0]["destination"]["domain"] == "api.example.com", "not named", flows)
    expect(flows[0]["attribution"]["candidates"][0]["source"] == "hubble", "not marked", flows)
    # What one log shows proves nothing about what it does not show.
    expect(flows[1]["attribution"]["verdict"] == "blind", "more than is known", flows[1])
    expect(flows[1]["attribution"]["reason"] == "gap", "another reason", flows[1])
    rows = service.names("api.example.com")
    expect([row.get("source") for row in rows] == ["hubble"], "not marked", rows)
    streams = [(stream["kind"], stream["identity"], stream["end"])
               for stream in service.live_status()["streams"]]
    expect(streams == [("partial", "hubble:node-1", "open")], "another stream", streams)
    service.stop()
    streams = [stream["end"] for stream in service.status()["streams"]]
    expect(streams == ["stopped"], "the stream does not end with the service", streams)


@case("a reply that waits is held until the answers of a connected sender have come")
def waiting(lab):
    service = Service(lab)
    begin_us = now_us()
    sender = wire.Sender(service.unix)
    sender.send(answers(begin_us - 60000000, 8))        # connected, and silent since
    service.wait_name("10.244.0.1", "198.51.0.1", "host-1.example.com")
    row = json.dumps(hubble_flow(begin_us, "10.244.0.2", "192.0.2.99"))
    flows = push(service, row)[1]
    expect(flows[0]["attribution"]["reason"] == "unsettled", "not unsettled", flows)
    begin = time.monotonic()
    flows = push(service, row, "?wait=1s")[1]
    expect(time.monotonic() - begin > 0.9, "not held")
    expect(flows[0]["attribution"]["reason"] == "unsettled", "not unsettled", flows)
    sender.send(answers(begin_us + 5000000, 8))         # heard past the flow
    begin = time.monotonic()
    flows = push(service, row, "?wait=14s")[1]
    expect(time.monotonic() - begin < 10, "held too long")
    expect(flows[0]["attribution"].get("reason") != "unsettled", "still unsettled", flows)
    sender.finish()
    service.stop()


@case("ingest and join --dnstap take a Hubble log beside captures, compressed or not")
def logs(lab):
    commands = Commands(lab)
    at_us = now_us() - 60000000
    rows = [hubble_dns(at_us, "10.244.0.1", "api.example.com", ["198.51.100.7"]),
            hubble_flow(at_us + 1000, "10.244.0.1", "198.51.100.7")]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    plain = lab.write("hubble.jsonl", text)
    packed = lab.write("hubble.jsonl.gz", gzip.compress(text))
    capture = lab.write("dns.fstrm.gz", gzip.compress(wire.capture_file(answers(at_us, 4))))
    done = commands.ingest(packed, capture)
    expect("1 DNS responses of flow logs" in done.stderr, "not told", done.stderr)
    expect(commands.join(plain)[0]["destination"]["domain"] == "api.example.com", "not named")
    expect(commands.lookup("10.244.0.1", "198.51.0.1", at_us + 2000000)["domain"]
           == "host-1.example.com", "the compressed capture was not read")
    done = commands.run("join", "--dnstap", plain, plain, "--to", "ecs", check=0)
    expect(json_lines(done.stdout)[0]["destination"]["domain"] == "api.example.com", "not named")


@case("a capture that ends in the middle of a frame is named, loaded as far as whole, and exit 3")
def cut_capture(lab):
    commands = Commands(lab)
    at_us = now_us() - 60000000
    whole = wire.capture_file(answers(at_us, 40))
    cut = lab.write("cut.fstrm", whole[:len(whole) // 2])
    done = commands.ingest(cut, check=3)
    expect(cut + ": ends in the middle of a frame" in done.stderr, "not named", done.stderr)
    flows = lab.write("flows.jsonl", json.dumps(
        hubble_flow(at_us + 1000000, "10.244.0.1", "198.51.0.1")).encode())
    done = commands.run("join", "--dnstap", cut, flows, "--to", "ecs", check=3)
    expect(cut + ": ends in the middle of a frame" in done.stderr, "not named", done.stderr)
    expect(json_lines(done.stdout)[0]["destination"]["domain"] == "host-1.example.com",
           "what is whole was not used", done.stdout)
    service = Service(lab, data="served")
    done = service.run("ingest", cut, "--server", "http://127.0.0.1:%d" % service.http_port,
                       check=3)
    expect(cut + ": ends in the middle of a frame" in done.stderr, "not named", done.stderr)
    service.stop()


@case("a join none of whose inputs is there has failed; with one that is, it had bad input")
def missing_inputs(lab):
    commands = Commands(lab)
    at_us = now_us() - 60000000
    commands.ingest(lab.write("dns.fstrm", wire.capture_file(answers(at_us, 4))))
    flows = lab.write("flows.jsonl", json.dumps(
        hubble_flow(at_us + 1000000, "10.244.0.1", "198.51.0.1")).encode())
    done = commands.run("join", lab.path("no-such"), lab.path("nor-this"), "--data", commands.data,
                        check=1)
    expect("no-such" in done.stderr and "nor-this" in done.stderr, "not named", done.stderr)
    commands.run("join", lab.path("no-such"), flows, "--data", commands.data, check=3)
