# tests/e2e/cases/senders.py -- every DNS server that sends dnstap, each in the way its tap works.
# SPDX-License-Identifier: Apache-2.0
#
# Each is asked the same questions, once each and slowly enough that none has a reason to drop
# records. A tap in between counts what it sent; every response that it sent must be in the index,
# and every question must have been sent. docs/OPERATIONS.md has the same configuration lines.

import os
import socket
import time

from support import lab as labs
from support import wire
from support.case import case
from support.coredns import CoreDNS, ZONE, ask, dnstap_line, zone_block
from support.lab import Failure, expect, need, wait_for
from support.tap import Tap
from support.whither import Service

CLIENTS = ["127.0.0.%d" % last for last in range(2, 6)]
# name, type, an address of the answer ("": none), over TCP
QUESTIONS = [
    ("shop.example.com", wire.A, "198.51.100.10", False),
    ("shop.example.com", wire.AAAA, "2001:db8::10", True),
    ("www.example.com", wire.A, "203.0.113.20", False),
    ("short.example.com", wire.A, "198.51.100.30", True),
    ("nobody.example.com", wire.A, "", False),
    ("nobody.example.com", wire.AAAA, "", True),
]
LOCAL_DATA = """\
    local-zone: "example.com." static
    local-data: "shop.example.com. 60 IN A 198.51.100.10"
    local-data: "shop.example.com. 60 IN A 198.51.100.11"
    local-data: "shop.example.com. 60 IN AAAA 2001:db8::10"
    local-data: "www.example.com. 60 IN A 203.0.113.20"
    local-data: "short.example.com. 60 IN A 198.51.100.30"
"""

UNBOUND = """\
server:
    interface: 127.0.0.1
    port: %(port)d
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "%(folder)s"
    pidfile: "%(folder)s/unbound-%(port)d.pid"
    use-syslog: no
    logfile: ""
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
%(data)s
remote-control:
    control-enable: no
"""

UNBOUND_TAP = """\
dnstap:
    dnstap-enable: yes
    dnstap-socket-path: "%(socket)s"
    dnstap-send-identity: yes
    dnstap-identity: "sender-1"
    dnstap-log-client-query-messages: yes
    dnstap-log-client-response-messages: yes
"""

KNOT = """\
server:
    rundir: "%(folder)s/run"
    listen: 127.0.0.1@%(port)d
    identity: "sender-1"
    version: "knot"
log:
  - target: stderr
    any: info
database:
    storage: "%(folder)s/db"
mod-dnstap:
  - id: tap
    sink: "unix:%(socket)s"
    log-queries: on
    log-responses: on
template:
  - id: default
    global-module: mod-dnstap/tap
zone:
  - domain: example.com
    file: "%(zone)s"
    zonefile-sync: -1
    journal-content: none
"""

NAMED = """\
options {
    directory "%(folder)s";
    pid-file "%(folder)s/named.pid";
    session-keyfile "%(folder)s/session.key";
    listen-on port %(port)d { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion yes; allow-query { any; }; allow-recursion { any; };
    dnssec-validation no;
    empty-zones-enable no;
    dnstap { client; auth; };
    dnstap-output unix "%(socket)s";
    dnstap-identity "sender-1";
    dnstap-version "named";
};
controls { };
zone "example.com" { type primary; file "%(zone)s"; };
"""

DNSDIST = """\
setSecurityPollSuffix("")
setLocal("127.0.0.1:%(port)d")
setACL({"127.0.0.0/8"})
newServer({address="127.0.0.1:%(backend)d", checkName="shop.example.com.", useClientSubnet=false})
cache = newPacketCache(1000); getPool(""):setCache(cache)
sink = newFrameStreamUnixLogger("%(socket)s")
addAction(AllRule(), DnstapLogAction("sender-1", sink))
addResponseAction(AllRule(), DnstapLogResponseAction("sender-1", sink))
addCacheHitResponseAction(AllRule(), DnstapLogResponseAction("sender-1", sink))
"""

KRESD = """\
net.listen('127.0.0.1', %(port)d, { kind = 'dns' })
trust_anchors.remove('.')
modules.unload('priming'); modules.unload('ta_signal_query')
modules.unload('ta_update'); modules.unload('detect_time_skew')
cache.open(10*MB, 'lmdb://%(folder)s/cache')
modules.load('dnstap')
dnstap.config({
    socket_path = "%(socket)s", identity = "sender-1", version = "kresd",
    client = { log_queries = true, log_responses = true },
})
policy.add(policy.suffix(policy.STUB({'127.0.0.1@%(backend)d'}), {todname('example.com')}))
"""


def up(process, port):
    if not process.running():
        raise Failure("%s ended:\n%s" % (process.name, process.log()[-2000:]))
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        return True
    except OSError:
        return False


def start(lab, name, argv, port):
    process = lab.start(name, argv)
    wait_for("%s answers" % name, lambda: up(process, port), 20)
    return process


def folder(lab, *names):
    """A folder of the lab for a server's own files."""
    for name in names:
        os.makedirs(lab.path(name), exist_ok=True)
    return lab.folder


def backend(lab):
    """A server that has the names, for those that only pass questions on."""
    port = labs.free_port()
    text = UNBOUND % {"port": port, "folder": lab.folder, "data": LOCAL_DATA}
    program = need("unbound", "unbound")
    start(lab, "backend", [program, "-d", "-c", lab.write("backend.conf", text)], port)
    return port


def zone(lab):
    return lab.write("example.com.zone", ZONE)


def with_unbound(lab, port, sock):
    program = need("unbound", "unbound")
    text = UNBOUND % {"port": port, "folder": lab.folder, "data": LOCAL_DATA}
    conf = lab.write("unbound.conf", text + UNBOUND_TAP % {"socket": sock})
    return start(lab, "unbound", [program, "-d", "-c", conf], port)


def with_knot(lab, port, sock):
    program = need("knotd", "knot, knot-module-dnstap")
    text = KNOT % {"port": port, "folder": folder(lab, "run", "db"), "socket": sock,
                   "zone": zone(lab)}
    return start(lab, "knotd", [program, "-c", lab.write("knot.conf", text)], port)


def with_named(lab, port, sock):
    program = need("named", "bind9")
    text = NAMED % {"port": port, "folder": lab.folder, "socket": sock, "zone": zone(lab)}
    return start(lab, "named", [program, "-g", "-c", lab.write("named.conf", text)], port)


def with_dnsdist(lab, port, sock):
    program = need("dnsdist", "dnsdist")
    text = DNSDIST % {"port": port, "socket": sock, "backend": backend(lab)}
    return start(lab, "dnsdist", [program, "--supervised", "--disable-syslog", "-C",
                                  lab.write("dnsdist.conf", text)], port)


def with_kresd(lab, port, sock):
    program = need("kresd", "knot-resolver")
    text = KRESD % {"port": port, "folder": folder(lab, "cache"), "socket": sock,
                    "backend": backend(lab)}
    return start(lab, "kresd", [program, "-n", "-c", lab.write("kresd.conf", text), lab.folder],
                 port)


def with_coredns(which):
    def run(lab, port, sock):
        block = dnstap_line("unix:" + sock) + zone_block(lab)
        return CoreDNS(lab, which, "coredns", block, port=port).process
    return run


SENDERS = {
    "CoreDNS (old)": with_coredns("old"), "CoreDNS (new)": with_coredns("new"),
    "unbound": with_unbound, "knot": with_knot, "named": with_named, "dnsdist": with_dnsdist,
    "kresd": with_kresd,
}


def ask_all(port):
    """Every client asks everything. Returns the number of questions."""
    count = 0
    for client in CLIENTS:
        for name, kind, address, tcp in QUESTIONS:
            got = ask(("127.0.0.1", port), name, kind, client, tcp)
            expect((got["rcode"] == wire.NOERROR) == bool(address), "unexpected answer", name, got)
            count += 1
    return count


def responses(tap):
    return tap.kinds[wire.CLIENT_RESPONSE] + tap.kinds[wire.AUTH_RESPONSE]


@case("what {0} sends is indexed, and nothing is lost", *SENDERS)
def sends(lab, sender):
    service = Service(lab)
    tap = Tap(lab, service.unix)
    port = labs.free_port()
    process = SENDERS[sender](lab, port, tap.address[5:])
    # Some connect seconds after their start, and drop what they have until then.
    wait_for("%s connected" % sender, lambda: tap.when(1, "sender", "START"), 20)
    time.sleep(0.5)
    before = responses(tap)             # dnsdist asks its backend by itself, kresd too
    asked = ask_all(port)
    wait_for("%s sent a response to each question" % sender,
             lambda: responses(tap) - before >= asked, 20, 0.1)
    for client in CLIENTS:
        for name, _, address, _ in QUESTIONS:
            if address:
                service.wait_name(client, address, name)
        expect(service.asked(client), "not seen asking", client)
    sent = responses(tap)
    indexed = int(service.frames("answer") + service.frames("no-address"))
    print("        %-14s %3d asked, %3d responses sent, %3d indexed, %d lost here"
          % (sender + ":", asked, sent, indexed, sent - indexed), flush=True)
    expect(indexed == sent, "responses were lost here", sent, indexed)
    expect(service.frames("bad-dnstap") + service.frames("bad-dns") == 0, "bad frames")
    process.stop()
