# tests/e2e/cases/doctor.py -- whither doctor beside real servers: each fault found, and silence.
# SPDX-License-Identifier: Apache-2.0
#
# Faults are made with real CoreDNS and unbound; a clock that is wrong, answers that come late and
# a whole cluster behind one address are played by a sender of ours, because those cannot be had.

import json
import os
import time

from support import lab as labs
from support import wire
from support.case import case
from support.coredns import ZONE, CoreDNS, ask, dnstap_line, zone_block
from support.lab import expect, wait_for
from support.whither import Commands, Service, rfc3339

from .senders import LOCAL_DATA, UNBOUND, start
from .peers import answers

CLIENTS = ["127.0.0.%d" % last for last in range(2, 8)]

UNBOUND_TAP = """\
dnstap:
    dnstap-enable: yes
    dnstap-socket-path: "%(socket)s"
    dnstap-send-identity: yes
    dnstap-identity: "sender-1"
    dnstap-log-%(kind)s-messages: yes
"""

AUTOPATH = """\
    template IN A svc.cluster.local {
        match "^(?P<name>.*)[.]shop[.]svc[.]cluster[.]local[.]$"
        answer "{{ .Name }} 60 IN CNAME {{ .Group.name }}."
        answer "{{ .Group.name }}. 60 IN A 198.51.100.77"
    }
"""


def now_us():
    return time.time_ns() // 1000


def examine(service, *options):
    """({check: its findings}, exit status), by the command; HTTP must say the same."""
    done = service.run("doctor", "--server", "http://127.0.0.1:%d" % service.http_port,
                       "--output", "json", *options)
    expect(done.returncode in (0, 4, 5), "doctor failed", done.stdout, done.stderr)
    report = json.loads(done.stdout)
    by_http = service.get("/v1/doctor")[1]
    expect([check["check"] for check in report["checks"]]
           == [check["check"] for check in by_http["checks"]], "HTTP has other checks", by_http)
    return {check["check"]: check["findings"] for check in report["checks"]}, done.returncode


def found(service):
    """The checks that found something, but for what every young index has."""
    findings, _ = examine(service)
    return {check for check, what in findings.items() if what} - {"span"}


def expect_found(service, check, severity, evidence, status):
    """Waits until `check` finds that; anything else it finds is the caller's business."""
    def look():
        findings, code = examine(service)
        what = findings[check]
        return (what, code) if what else None
    what, code = wait_for("doctor finds " + check, look, 20, 0.3)
    expect(what[0]["severity"] == severity, "another severity", what)
    expect(evidence in what[0]["evidence"], "no such evidence", evidence, what)
    expect(what[0]["consequence"] and what[0]["remedy"], "no consequence or remedy", what)
    expect(code == status, "exit status %d, not %d" % (code, status), what)


def ask_some(port, name="shop.example.com", times=2):
    for client in CLIENTS * times:
        ask(("127.0.0.1", port), name, wire.A, client)


@case("doctor is silent beside a CoreDNS with which all is well")
def all_well(lab):
    service = Service(lab)
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port, times=10)
    service.wait_name(CLIENTS[0], "198.51.100.10", "shop.example.com")
    expect(found(service) == set(), "something was found", found(service), examine(service))
    expect(examine(service)[1] == 0, "exit status is not 0")
    text = service.run("doctor", "--server", "http://127.0.0.1:%d" % service.http_port,
                       "--output", "text").stdout
    expect("ok       full: " in text, "not as a table", text)


@case("doctor finds a CoreDNS {0} without full", "old", "new")
def without_full(lab, which):
    service = Service(lab)
    server = CoreDNS(lab, which, "coredns", dnstap_line(service.unix, full=False) + zone_block(lab))
    ask_some(server.port)
    expect_found(service, "full", "error", "came without", 5)


@case("doctor finds a sender that tells only {0}", ("questions", "client-query", "responses"),
      ("what it forwards", "forwarder-query", "forwarder"))
def only_some_types(lab, _, kind, check):
    service, port, backend = Service(lab), labs.free_port(), labs.free_port()
    program = labs.need("unbound", "unbound")
    names = {"folder": lab.folder, "socket": service.unix[5:], "kind": kind}
    conf = lab.write("backend.conf", UNBOUND % dict(names, port=backend, data=LOCAL_DATA))
    start(lab, "backend", [program, "-d", "-c", conf], backend)
    forward = ('    do-not-query-localhost: no\n    local-zone: "example.com." nodefault\n'
               'forward-zone:\n    name: "example.com"\n    forward-addr: 127.0.0.1@%d\n' % backend)
    text = (UNBOUND + UNBOUND_TAP) % dict(names, port=port, data=forward)
    start(lab, "unbound", [program, "-d", "-c", lab.write("unbound.conf", text)], port)
    for number in range(30):
        ask(("127.0.0.1", port), "n%d.example.com" % number, wire.A, CLIENTS[number % 6])
    expect_found(service, check, "error", "", 5)


@case("doctor names a CoreDNS of a version that sends late")
def old_version(lab):
    service = Service(lab)
    server = CoreDNS(lab, "old", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port, times=10)
    expect_found(service, "version", "warning", "CoreDNS-1.12.1", 4)


@case("doctor finds autopath, and the name is the one behind it")
def autopath(lab):
    service = Service(lab)
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + AUTOPATH + zone_block(lab))
    ask_some(server.port, "api.example.com.shop.svc.cluster.local")
    service.wait_name(CLIENTS[0], "198.51.100.77", "api.example.com")
    expect_found(service, "autopath", "warning", "were to a name with a search domain", 4)


@case("doctor finds a sender that was killed, its connection cut, and the time since")
def killed(lab):
    service = Service(lab)
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port)
    service.wait_name(CLIENTS[0], "198.51.100.10", "shop.example.com")
    server.process.kill()
    expect_found(service, "senders", "error", "no sender is connected", 5)
    expect_found(service, "blind", "error", "cut, sender-1", 5)
    expect_found(service, "restarts", "note", "1 of 1 connections ended without STOP", 5)


@case("doctor finds that one of two expected senders is missing")
def missing(lab):
    service = Service(lab, options=["--expect-senders", "2"])
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port)
    service.wait_name(CLIENTS[0], "198.51.100.10", "shop.example.com")
    expect_found(service, "senders", "error", "1 of 2 expected", 5)


def pod(name, address):
    """A running DNS pod, as `kubectl get pods -o json` lists it."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system", "uid": name,
                         "labels": {"k8s-app": "kube-dns"}},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                       "startTime": "2026-01-01T00:00:00Z"}}


@case("doctor finds the replica of CoreDNS that is not tapped")
def untapped(lab):
    pods = {"apiVersion": "v1", "kind": "List",
            "items": [pod("sender-1", "10.244.0.2"), pod("coredns-2", "10.244.0.3")]}
    path = lab.write("pods.json", json.dumps(pods))
    service = Service(lab, options=["--owners", path])
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port)
    service.wait_name(CLIENTS[0], "198.51.100.10", "shop.example.com")
    expect_found(service, "tapped", "error", "never heard", 5)
    found, _ = examine(service)
    expect([what["subject"] for what in found["tapped"]] == ["coredns-2"], "another one", found)
    wait_for("its time counts as blind", lambda: "too-few-senders" in
             [blind["reason"] for blind in service.get("/v1/coverage")[1]["blind"]])


@case("doctor finds a clock that is {0}", ("ahead", 5, "clock", "error", 5),
      ("behind, as late answers", -20, "delay", "warning", 4))
def wrong_clock(lab, _, seconds, check, severity, status):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    sender.send(answers(now_us() + seconds * 1000000, 200))
    expect_found(service, check, severity, "", status)


@case("doctor finds a whole cluster behind one address, and names of the cluster only")
def one_address(lab):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    begin, payloads = now_us() - 5000000, []
    for number in range(1500):
        name, address = "s%d.shop.svc.cluster.local" % number, "10.96.%d.%d" % divmod(number, 256)
        message = wire.response(name, wire.A, [(name, wire.A, 60, address)])
        payloads.append(wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.0.0.1", message,
                                          begin + number, version=b"CoreDNS-1.15.0"))
    sender.send(payloads)
    expect_found(service, "clients", "warning", "only 1 addresses", 4)
    expect_found(service, "zones", "warning", "cluster.local", 4)


def flow(source, destination, at_us):
    """A Hubble line of a connection that begins then."""
    return json.dumps({"flow": {
        "time": rfc3339(at_us), "verdict": "FORWARDED", "Type": "L3_L4",
        "IP": {"source": source, "destination": destination, "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000 + at_us % 20000, "destination_port": 443,
                       "flags": {"SYN": True}}},
        "traffic_direction": "EGRESS", "is_reply": False}}) + "\n"


def examine_flows(service, lines):
    """What doctor finds about these flows, when the service has ended."""
    path = service.lab.write("flows.jsonl", "".join(lines))
    done = service.run("doctor", path, "--data", service.data, "--output", "json")
    expect(done.returncode in (0, 4, 5), "doctor failed", done.stdout, done.stderr)
    report = json.loads(done.stdout.splitlines()[1])
    return {check["check"]: check["findings"] for check in report["checks"]}


@case("doctor compares flows with what CoreDNS answered: clocks, and who never asks")
def flows(lab):
    service = Service(lab)
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port)
    service.wait_name(CLIENTS[-1], "198.51.100.10", "shop.example.com")
    begin = now_us()
    service.stop()
    right = [flow(client, "198.51.100.10", begin + 1000 * n)
             for n in range(5) for client in CLIENTS]
    seen = examine_flows(service, right)
    expect(not any(seen.values()), "something was found", seen)
    late = [flow(client, "198.51.100.10", begin - 20000000 + 1000 * n)
            for n in range(5) for client in CLIENTS]
    seen = examine_flows(service, late)
    expect([what["severity"] for what in seen["flow-clock"]] == ["error"], "not found", seen)
    expect(not seen["never-asked"], "they did ask", seen)
    silent = [flow("127.0.0.99", "203.0.113.99", begin + 1000 * n) for n in range(3)]
    seen = examine_flows(service, right + silent)
    expect("127.0.0.99 (3)" in seen["never-asked"][0]["evidence"], "not named", seen)


@case("doctor finds frames that cannot be used, and the answers lost with them")
def unusable(lab):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    sender.send(answers(now_us() - 3600000000, 30) + answers(now_us() - 30000, 30))
    expect_found(service, "unusable", "warning", "30 of 60 frames", 4)
    expect_found(service, "losses", "warning", "30 answers lost", 4)


@case("doctor finds an index that does not reach back over the window")
def too_young(lab):
    service = Service(lab)
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone_block(lab))
    ask_some(server.port)
    service.wait_name(CLIENTS[0], "198.51.100.10", "shop.example.com")
    findings, status = examine(service, "--window", "7d")
    expect(findings["span"][0]["severity"] == "warning" and status == 4, "no warning", findings)
    findings, status = examine(service)
    expect(findings["span"][0]["severity"] == "note" and status == 0, "no note", findings)


@case("doctor finds flows without addresses, translated ones, and names nobody connects to")
def strange_flows(lab):
    service = Service(lab)
    zone = zone_block(lab, ZONE + "".join("n%d IN A 203.0.113.%d\n" % (n, n) for n in range(30)))
    server = CoreDNS(lab, "new", "coredns", dnstap_line(service.unix) + zone)
    ask_some(server.port)
    for number in range(30):
        ask(("127.0.0.1", server.port), "n%d.example.com" % number, wire.A, CLIENTS[0])
    service.wait_name(CLIENTS[0], "203.0.113.29", "n29.example.com")
    begin = now_us()
    service.stop()
    right = [flow(client, "198.51.100.10", begin + 1000 * n)
             for n in range(5) for client in CLIENTS]
    seen = examine_flows(service, right)
    expect("30 of 31 names" in seen["unconnected"][0]["evidence"], "not told", seen)
    aggregated = [flow("", "198.51.100.10", begin + 1000 * n) for n in range(10)]
    seen = examine_flows(service, right + aggregated)
    expect("10 of 40 flows lack" in seen["addresses"][0]["evidence"], "not told", seen)
    other = [flow(CLIENTS[1], "203.0.113.%d" % n, begin + 1000 * n) for n in range(20)]
    seen = examine_flows(service, right + other)
    expect("20 of 50 flows" in seen["translated"][0]["evidence"], "not told", seen)


@case("doctor says what it cannot examine: no index, a damaged one, no service")
def nothing_to_examine(lab):
    commands = Commands(lab, "nowhere")
    done = commands.run("doctor", "--data", commands.data, check=1)
    expect("nowhere" in done.stderr, "the folder is not named", done.stderr)
    done = commands.run("doctor", "--server", "http://127.0.0.1:%d" % labs.free_port(), check=1)
    expect("whither doctor: " in done.stderr, "no reason", done.stderr)
    os.makedirs(lab.path("damaged"))
    lab.write("damaged/state.mdb", b"\x00" * 8192)
    done = commands.run("doctor", "--data", lab.path("damaged"), check=1)
    expect("damaged" in done.stderr, "no reason", done.stderr)
