#!/usr/bin/env python3
# tests/support/record.py -- makes the bundled recording: real CoreDNS, pods that ask, their flows.
# SPDX-License-Identifier: Apache-2.0
#
# usage: record.py [--coredns BINARY] [FOLDER]      (root; FOLDER: tests/data/recording)
#
# In a network namespace of its own, which ends with this program, one CoreDNS is the cluster's
# (with dnstap to fstrm_capture) and one is the world's. Seven pods, each with an address of its own
# on the namespace's loopback, ask as glibc does under ndots:5: every search suffix first, A and
# AAAA from one socket. After each answer the pod "connects": that is the flow log, in two forms,
# with what was asked for beside it in expected.tsv. All addresses but one are from documentation
# ranges; that one is the Telegram address which the readers of a flow log could only guess at.

import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from support import wire  # noqa: E402

CLUSTER_DNS, WORLD_DNS = "10.96.0.10", "192.0.2.53"
CLUSTER_DNS6 = "2001:db8:96::a"
SEARCH = ["%s.svc.cluster.local", "svc.cluster.local", "cluster.local"]
AUTOPATH_NAMESPACE = "wiki-mirror"

WORLD_ZONE = """\
$ORIGIN .
@ 3600 IN SOA ns.example. admin.example. 1 3600 600 86400 60
@ 3600 IN NS ns.example.
ns.example. 3600 IN A 192.0.2.53
api.telegram.org. 60 IN A 99.83.136.103
api.stripe.com. 60 IN A 198.51.100.20
api.stripe.com. 60 IN A 198.51.100.21
api.stripe.com. 60 IN A 198.51.100.22
api.paypal.com. 300 IN CNAME api.glb.paypal.com.
api.glb.paypal.com. 60 IN A 198.51.100.30
hooks.slack.com. 60 IN A 198.51.100.40
hooks.slack.com. 60 IN A 198.51.100.41
github.com. 60 IN A 192.0.2.10
api.github.com. 60 IN A 192.0.2.11
codeload.github.com. 60 IN A 192.0.2.12
ghcr.io. 60 IN A 192.0.2.13
gitlab.com. 60 IN A 198.51.100.50
gitlab.com. 60 IN A 198.51.100.51
gitlab.com. 60 IN AAAA 2001:db8:50::1
assets.gitlab-static.net. 60 IN A 198.51.100.52
snowplow.trx.gitlab.net. 300 IN A 198.51.100.53
archive.ubuntu.com. 300 IN CNAME archive.ubuntu.map.fastlydns.net.
archive.ubuntu.map.fastlydns.net. 30 IN A 203.0.113.132
archive.ubuntu.map.fastlydns.net. 30 IN AAAA 2001:db8:132::
rubygems.org. 60 IN A 203.0.113.151
index.rubygems.org. 300 IN CNAME dualstack.rubygems.map.fastly.net.
dualstack.rubygems.map.fastly.net. 30 IN A 203.0.113.132
dualstack.rubygems.map.fastly.net. 30 IN AAAA 2001:db8:132::
cdn.jsdelivr.net. 300 IN CNAME jsdelivr.map.fastly.net.
jsdelivr.map.fastly.net. 30 IN A 203.0.113.132
jsdelivr.map.fastly.net. 30 IN AAAA 2001:db8:132::
fonts.googleapis.com. 300 IN A 198.51.100.60
fonts.googleapis.com. 300 IN AAAA 2001:db8:60::1
maps.googleapis.com. 300 IN A 198.51.100.60
maps.googleapis.com. 300 IN AAAA 2001:db8:60::1
www.google-analytics.com. 300 IN A 198.51.100.61
www.google-analytics.com. 300 IN AAAA 2001:db8:60::2
blog.cloudflare.com. 300 IN HTTPS 1 . alpn="h3,h2" ipv4hint=198.51.100.70 ipv6hint=2001:db8:70::1
blog.cloudflare.com. 300 IN A 198.51.100.70
blog.cloudflare.com. 300 IN AAAA 2001:db8:70::1
www.microsoft.com. 3600 IN CNAME www.microsoft.com-c-3.edgekey.net.
www.microsoft.com-c-3.edgekey.net. 900 IN CNAME (
    www.microsoft.com-c-3.edgekey.net.globalredir.akadns.net. )
www.microsoft.com-c-3.edgekey.net.globalredir.akadns.net. 900 IN CNAME e13678.dscb.akamaiedge.net.
e13678.dscb.akamaiedge.net. 20 IN A 203.0.113.80
e13678.dscb.akamaiedge.net. 20 IN AAAA 2001:db8:80::1
grafana.com. 300 IN A 203.0.113.90
api.pagerduty.com. 60 IN A 203.0.113.91
api.pagerduty.com. 60 IN A 203.0.113.92
s3.eu-central-1.amazonaws.com. 5 IN A 203.0.113.100
s3.eu-central-1.amazonaws.com. 5 IN A 203.0.113.101
s3.eu-central-1.amazonaws.com. 5 IN A 203.0.113.102
en.wikipedia.org. 600 IN CNAME dyna.wikimedia.org.
www.wikidata.org. 600 IN CNAME dyna.wikimedia.org.
dyna.wikimedia.org. 300 IN A 198.51.100.224
dyna.wikimedia.org. 300 IN AAAA 2001:db8:224::1
upload.wikimedia.org. 300 IN A 198.51.100.240
"""

CLUSTER_ZONE = """\
$ORIGIN cluster.local.
@ 30 IN SOA ns.dns hostmaster 1 7200 1800 86400 30
@ 30 IN NS ns.dns
ns.dns 30 IN A 10.96.0.10
kubernetes.default.svc 30 IN A 10.96.0.1
vault.vault.svc 30 IN A 10.96.12.30
"""

COREFILE = """\
.:53 {
    bind %(dns)s %(dns6)s
    errors
    dnstap unix://%(socket)s full {
        identity coredns-5dd5756b68-7kq2m
    }
    cache 30
    autopath cluster.local %(folder)s/resolv.conf
    file %(folder)s/cluster.local.zone cluster.local
    forward . %(world)s
}
"""
WORLD_COREFILE = """\
.:53 {
    bind %(world)s
    errors
    file %(folder)s/world.zone .
}
"""


class Pod:
    def __init__(self, address, namespace, pod, interface):
        self.address, self.namespace, self.pod, self.interface = address, namespace, pod, interface
        self.port = random.randrange(33000, 60000)


RECRUITER = Pod("10.244.0.21", "recruiter-responder", "recruiter-responder-7c9d5b6f44-x2x8p",
                "cali3f1c0a2e9b1")
CHECKOUT = Pod("10.244.0.22", "payments", "checkout-6b7f9c4d58-m4k7q", "cali8d20b61f734")
RUNNER = Pod("10.244.0.23", "ci", "runner-0", "cali51ea9c07d2f")
STOREFRONT = Pod("2001:db8:244::18", "web", "storefront-58c7d9b6f5-9zt6w", "calib02f6d3e418")
EXPORTER = Pod("10.244.0.25", "monitoring", "exporter-84d5f6c7b9-p8w2n", "cali9e47d5c1a60")
MIRROR = Pod("10.244.0.26", AUTOPATH_NAMESPACE, "wiki-mirror-5f6b8d7c49-t5r8j", "cali6c83f0be27d")
SILENT = Pod("10.244.0.27", "legacy", "licence-agent-0", "cali0b59d8e4f36")
PODS = [RECRUITER, CHECKOUT, RUNNER, STOREFRONT, EXPORTER, MIRROR, SILENT]


class Recording:
    """The flows, and the clock they are stamped with."""

    def __init__(self):
        self.lock, self.flows = threading.Lock(), []

    def flow(self, pod, destination, name, port=443, after_s=None, note="", verdict="FORWARDED"):
        """One connection, a few milliseconds after now or `after_s` later."""
        delay = random.uniform(0.001, 0.006) if after_s is None else after_s
        pod.port += random.randrange(1, 9)
        with self.lock:
            self.flows.append({"time_us": time.time_ns() // 1000 + int(delay * 1e6), "pod": pod,
                               "destination": destination, "port": port, "source_port": pod.port,
                               "name": name or "-", "note": note, "verdict": verdict,
                               "kind": "connection"})


def resolve(pod, name, https=False):
    """The addresses a pod's resolver finds, asking as glibc does under ndots:5."""
    server = (CLUSTER_DNS6 if ":" in pod.address else CLUSTER_DNS, 53)
    family = socket.AF_INET6 if ":" in pod.address else socket.AF_INET
    suffixes = [""] if name.endswith(".") or name.count(".") >= 5 else SEARCH + [""]
    types = (wire.A, wire.AAAA) + ((wire.HTTPS,) if https else ())
    for suffix in suffixes:
        if "%s" in suffix:
            suffix %= pod.namespace
        found = []
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.bind((pod.address, 0))
            sock.connect(server)
            for qtype in types:
                qname = name.rstrip(".") + ("." + suffix if suffix else "")
                sock.send(wire.query(qname, qtype, random.randrange(65536), edns=False))
                answer = wire.parse_message(sock.recv(4096))
                found += [value for _, rtype, _, value in answer["answers"]
                          if rtype in (wire.A, wire.AAAA)]
        if found:
            return found
    raise SystemExit("%s does not resolve for %s" % (name, pod.pod))


def visit(recording, pod, name, https=False, note="", port=443, pause=0.25, backend=None):
    """Resolves, connects to one address of the pod's own family, and rests a while."""
    found = resolve(pod, name, https)
    same = [address for address in found if (":" in address) == (":" in pod.address)]
    # A ClusterIP is translated before the packet is logged, so the flow shows the backend.
    recording.flow(pod, backend or random.choice(same), name.rstrip("."), port=port, note=note)
    time.sleep(pause * random.uniform(0.6, 1.4))


def recruiter(recording):
    for _ in range(3):
        visit(recording, RECRUITER, "api.telegram.org", pause=2.2)


def checkout(recording):
    visit(recording, CHECKOUT, "vault.vault.svc.cluster.local", port=8200, note="service",
          backend="10.244.1.40")
    for name in ("api.stripe.com", "api.paypal.com", "hooks.slack.com"):
        visit(recording, CHECKOUT, name)
    # Asked once, used again four minutes later, when the answer's time is long over.
    recording.flow(CHECKOUT, "198.51.100.30", "api.paypal.com", after_s=240, note="stale")


def runner(recording):
    for name in ("github.com", "api.github.com", "codeload.github.com", "ghcr.io",
                 "gitlab.com", "assets.gitlab-static.net", "snowplow.trx.gitlab.net",
                 "rubygems.org", "archive.ubuntu.com"):
        visit(recording, RUNNER, name)
    visit(recording, RUNNER, "index.rubygems.org", note="two names, one address")
    # A denied connection: the kernel logs the SYN and its repetition one second later.
    recording.flow(RUNNER, "192.0.2.10", "github.com", port=22, note="denied", verdict="DROPPED")
    retry = dict(recording.flows[-1], note="repetition")
    retry["time_us"] += 1013000
    recording.flows.append(retry)


def storefront(recording):
    visit(recording, STOREFRONT, "blog.cloudflare.com", https=True)
    for name in ("cdn.jsdelivr.net", "fonts.googleapis.com", "www.google-analytics.com",
                 "www.microsoft.com"):
        visit(recording, STOREFRONT, name)
    visit(recording, STOREFRONT, "maps.googleapis.com", note="two names, one address")


def exporter(recording):
    for name in ("grafana.com", "api.pagerduty.com", "s3.eu-central-1.amazonaws.com",
                 "hooks.slack.com"):
        visit(recording, EXPORTER, name)
    # It asks for names, but this address was never in an answer to anybody.
    recording.flow(EXPORTER, "203.0.113.253", None, port=8443, note="hard-coded")
    # The paypal address: only the checkout pod got it.
    recording.flow(EXPORTER, "198.51.100.30", None, after_s=3, note="another pod's")


def mirror(recording):
    for name in ("en.wikipedia.org", "www.wikidata.org", "upload.wikimedia.org"):
        visit(recording, MIRROR, name, note="autopath")


def silent(recording):
    time.sleep(1.5)
    recording.flow(SILENT, "203.0.113.254", None, note="never asks")


# --- the flow log -----------------------------------------------------------------------------

def log_message(flow, number):
    """The kernel LOG target's line, trailing space included."""
    pod, destination = flow["pod"], flow["destination"]
    place = PODS.index(pod)
    mac = "ee:ee:ee:ee:ee:ee:%02x:5d:21:c4:7e:%02x" % (0x42 + place, 0x10 + place)
    head = "calico-packet: IN=%s OUT=eth0 MAC=%s" % (pod.interface, mac)
    tail = "PROTO=TCP SPT=%d DPT=%d WINDOW=64240 RES=0x00 SYN URGP=0 " % (
        flow["source_port"], flow["port"])
    if ":" not in destination:
        return "%s:08:00 SRC=%s DST=%s LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=%d DF %s" % (
            head, pod.address, destination, 11000 + 37 * number, tail)
    full = [socket.inet_pton(socket.AF_INET6, address) for address in (pod.address, destination)]
    source, target = [":".join("%04x" % part for part in struct.unpack(">8H", packed))
                      for packed in full]
    return "%s:86:dd SRC=%s DST=%s LEN=80 TC=0 HOPLIMIT=63 FLOWLBL=%d %s" % (
        head, source, target, 311000 + 41 * number, tail)


def journal_line(flow, number):
    """One entry of journalctl -o json: every value is a string."""
    uptime_us = 5000000000 + flow["time_us"] % 1000000000
    return json.dumps({
        "__REALTIME_TIMESTAMP": str(flow["time_us"]), "__MONOTONIC_TIMESTAMP": str(uptime_us),
        "_BOOT_ID": "00000000000000000000000000000001", "_HOSTNAME": "node-1",
        "_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "SYSLOG_IDENTIFIER": "kernel",
        "PRIORITY": "5", "_SOURCE_MONOTONIC_TIMESTAMP": str(uptime_us - 180),
        "MESSAGE": log_message(flow, number)})


def rfc3339(time_us):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_us // 1000000)) + (
        ".%06d000Z" % (time_us % 1000000))


def hubble_line(flow, reply=False):
    """One event of `hubble observe -o json`; with `reply`, the server's SYN-ACK."""
    pod, when = flow["pod"], rfc3339(flow["time_us"] + (9000 if reply else 0))
    own = {"identity": 20000 + PODS.index(pod), "cluster_name": "default",
           "namespace": pod.namespace, "pod_name": pod.pod,
           "labels": ["k8s:app=" + pod.namespace, "k8s:io.kubernetes.pod.namespace="
                      + pod.namespace],
           "workloads": [{"name": pod.namespace, "kind": "Deployment"}]}
    far = {"identity": 2, "labels": ["reserved:world"]}
    tcp = {"source_port": flow["source_port"], "destination_port": flow["port"],
           "flags": {"SYN": True}}
    address = {"source": pod.address, "destination": flow["destination"],
               "ipVersion": "IPv6" if ":" in pod.address else "IPv4"}
    body = {"time": when, "verdict": flow["verdict"], "IP": address, "l4": {"TCP": tcp},
            "source": own, "destination": far, "Type": "L3_L4", "node_name": "node-1",
            "event_type": {"type": 4, "sub_type": 3}, "traffic_direction": "EGRESS",
            "trace_observation_point": "TO_STACK", "is_reply": False}
    if reply:
        address.update(source=flow["destination"], destination=pod.address)
        tcp.update(source_port=flow["port"], destination_port=flow["source_port"],
                   flags={"SYN": True, "ACK": True})
        body.update(source=far, destination=own, traffic_direction="INGRESS", is_reply=True,
                    trace_observation_point="TO_ENDPOINT")
    elif flow["verdict"] == "DROPPED":
        body.update(drop_reason_desc="POLICY_DENIED", event_type={"type": 1, "sub_type": 133})
        del body["trace_observation_point"]
    return json.dumps({"flow": body, "node_name": "node-1", "time": when})


def write_flows(folder, flows):
    flows.sort(key=lambda flow: flow["time_us"])
    with open(os.path.join(folder, "flows.log"), "w") as file:
        for number, flow in enumerate(flows):
            file.write(journal_line(flow, number) + "\n")
    with open(os.path.join(folder, "flows.hubble.jsonl"), "w") as file:
        for number, flow in enumerate(flows):
            file.write(hubble_line(flow) + "\n")
            if number == 0:
                file.write(hubble_line(flow, reply=True) + "\n")
    with open(os.path.join(folder, "expected.tsv"), "w") as file:
        file.write("time_us\tsource\tdestination\tport\tname\tnote\n")
        for flow in flows:
            file.write("%d\t%s\t%s\t%d\t%s\t%s\n" % (
                flow["time_us"], flow["pod"].address, flow["destination"], flow["port"],
                flow["name"], flow["note"] or "-"))


# --- the laboratory ---------------------------------------------------------------------------

def wait_until(what, condition, timeout=15.0):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("record.py: %s within %.0f s" % (what, timeout))
        time.sleep(0.05)


def listening(address, port=53):
    try:
        socket.create_connection((address, port), 0.5).close()
        return True
    except OSError:
        return False


def network():
    """Addresses on the loopback of this namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in [CLUSTER_DNS, CLUSTER_DNS6, WORLD_DNS] + [pod.address for pod in PODS]:
        suffix = ["/128", "nodad"] if ":" in address else ["/32"]
        subprocess.run(["ip", "address", "add", address + suffix[0], "dev", "lo"] + suffix[1:],
                       check=True)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def record(coredns, folder, out):
    """What runs inside the namespace."""
    network()
    names = {"dns": CLUSTER_DNS, "dns6": CLUSTER_DNS6, "world": WORLD_DNS, "folder": folder,
             "socket": os.path.join(folder, "dnstap.sock")}
    write(os.path.join(folder, "world.zone"), WORLD_ZONE)
    write(os.path.join(folder, "cluster.local.zone"), CLUSTER_ZONE)
    write(os.path.join(folder, "resolv.conf"),
          "nameserver %s\nsearch %s\n" % (CLUSTER_DNS, " ".join(SEARCH) % AUTOPATH_NAMESPACE))
    write(os.path.join(folder, "Corefile"), COREFILE % names)
    write(os.path.join(folder, "world.Corefile"), WORLD_COREFILE % names)
    capture_path = os.path.join(folder, "dns.fstrm")
    running, recording = [], Recording()

    def start(*argv):
        running.append(subprocess.Popen(argv))
        return running[-1]

    try:
        capture = start("fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", names["socket"],
                        "-w", capture_path)
        wait_until("fstrm_capture listens", lambda: os.path.exists(names["socket"]))
        start(coredns, "-quiet", "-conf", os.path.join(folder, "world.Corefile"))
        cluster = start(coredns, "-quiet", "-conf", os.path.join(folder, "Corefile"))
        for address in (WORLD_DNS, CLUSTER_DNS, CLUSTER_DNS6):
            wait_until("CoreDNS answers at " + address, lambda: listening(address))
        threads = [threading.Thread(target=pod, args=(recording,)) for pod in (
            recruiter, checkout, runner, storefront, exporter, mirror, silent)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(2.5)             # CoreDNS flushes once a second
        for process in (cluster, capture):
            process.terminate()
            process.wait(15)
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
                process.wait(15)
    os.makedirs(out, exist_ok=True)
    with open(capture_path, "rb") as source, open(os.path.join(out, "dns.fstrm"), "wb") as target:
        target.write(source.read())
    write_flows(out, recording.flows)
    payloads = wire.read_capture(capture_path)
    print("%s: %d frames, %d octets, %d flows" % (out, len(payloads), os.path.getsize(capture_path),
                                                  len(recording.flows)))


def main(argv):
    if argv[:1] == ["--inside"]:
        record(*argv[1:])
        return
    coredns = None
    if argv[:1] == ["--coredns"]:
        coredns, argv = argv[1], argv[2:]
    out = os.path.abspath(argv[0] if argv else os.path.join(ROOT, "tests", "data", "recording"))
    if coredns is None:
        coredns = subprocess.run([os.path.join(ROOT, "tests", "support", "coredns.sh"), "newest"],
                                 stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["unshare", "--net", sys.executable, os.path.abspath(__file__), "--inside",
                        os.path.abspath(coredns), folder, out], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
