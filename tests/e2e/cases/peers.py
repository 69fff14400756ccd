# tests/e2e/cases/peers.py -- senders and receivers that are not CoreDNS: unbound, fstrm's tools.
# SPDX-License-Identifier: Apache-2.0

import os
import socket
import time

from support import lab as labs
from support import wire
from support.case import case
from support.coredns import CoreDNS, dig, dnstap_line, zone_block
from support.lab import expect, need, wait_for
from support.tap import Tap
from support.whither import Commands, Service

POD_A, POD_B = "127.0.0.2", "127.0.0.3"

UNBOUND = """\
server:
    interface: 127.0.0.1
    port: %(port)d
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "%(folder)s"
    pidfile: "%(folder)s/unbound.pid"
    use-syslog: no
    logfile: ""
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
    num-threads: 2
    local-zone: "example.com." static
    local-data: "shop.example.com. 60 IN A 198.51.100.10"
    local-data: "shop.example.com. 60 IN AAAA 2001:db8::10"
dnstap:
    dnstap-enable: yes
    dnstap-socket-path: "%(socket)s"
    dnstap-bidirectional: %(bidirectional)s
    dnstap-send-identity: yes
    dnstap-identity: "unbound-1"
    dnstap-log-client-query-messages: yes
    dnstap-log-client-response-messages: yes
    dnstap-log-forwarder-query-messages: yes
    dnstap-log-forwarder-response-messages: yes
remote-control:
    control-enable: no
"""


def answers(begin_us, count, clients=4):
    """CLIENT_RESPONSE payloads, one a millisecond: host-N.example.com to client N mod `clients`."""
    payloads = []
    for number in range(count):
        name, address = "host-%d.example.com" % number, "198.51.%d.%d" % divmod(number, 256)
        message = wire.response(name, wire.A, [(name, wire.A, 60, address)])
        payloads.append(wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.244.0.%d" % (number % clients),
                                          message, begin_us + number * 1000))
    return payloads


def up(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        return True
    except OSError:
        return False


@case("unbound with dnstap-bidirectional: {0}", "yes", "no")
def unbound(lab, bidirectional):
    program = need("unbound", "unbound")
    service = Service(lab)
    names = {"port": labs.free_port(), "folder": lab.folder, "socket": service.unix[5:],
             "bidirectional": bidirectional}
    server = lab.start("unbound", [program, "-d", "-c", lab.write("unbound.conf", UNBOUND % names)])
    wait_for("unbound answers", lambda: up(names["port"]))
    dig(lab, names["port"], "shop.example.com", client=POD_A)
    dig(lab, names["port"], "shop.example.com", "AAAA", client=POD_B, options=["+tcp"])
    dig(lab, names["port"], "nobody.example.com", client="127.0.0.4")
    service.wait_name(POD_A, "198.51.100.10", "shop.example.com")
    service.wait_name(POD_B, "2001:db8::10", "shop.example.com")
    expect(service.asked("127.0.0.4"), "NXDOMAIN was not noticed")
    expect("unbound-1" in service.senders(), "the sender is not named", service.senders())
    server.stop()
    expect(service.ask(POD_A, "198.51.100.10")["verdict"] == "resolved", "gone with the sender")


@case("fstrm_replay sends a file over {0}, and all of it is committed when it ends", "unix", "tcp")
def fstrm_replay(lab, transport):
    program = need("fstrm_replay", "fstrm-bin")
    service = Service(lab)
    payloads = answers(time.time_ns() // 1000 - 20000000, 5000)
    path = lab.write("capture.fstrm", wire.capture_file(payloads))
    where = service.address(transport).split(":")[1:]
    target = ["-u", where[0]] if transport == "unix" else ["-a", where[0], "-p", where[1]]
    lab.run([program, "-t", wire.CONTENT_TYPE.decode(), "-r", path] + target, check=0)
    # It waits for FINISH, so there is nothing to wait for here.
    for number in (0, 1, 2500, 4999):
        pair = "10.244.0.%d" % (number % 4), "198.51.%d.%d" % divmod(number, 256)
        found = service.ask(*pair)
        expect(found.get("domain") == "host-%d.example.com" % number, "not committed", pair, found)


@case("what fstrm_capture wrote is ingested to the same index as the live feed ({0})", "old", "new")
def fstrm_capture(lab, version):
    program = need("fstrm_capture", "fstrm-bin")
    service = Service(lab)
    sock, path = lab.path("capture.sock"), lab.path("capture.fstrm")
    capture = lab.start("fstrm_capture",
                        [program, "-t", wire.CONTENT_TYPE.decode(), "-u", sock, "-w", path])
    wait_for("fstrm_capture listens", lambda: os.path.exists(sock))
    # One feed, two receivers: CoreDNS itself would stamp two feeds with different times.
    tap = Tap(lab, service.unix, copy="unix:" + sock)
    server = CoreDNS(lab, version, "coredns", dnstap_line(tap.address) + zone_block(lab))
    for client in (POD_A, POD_B):
        for name, qtype in (("shop", "A"), ("shop", "AAAA"), ("www", "A"), ("svc", "HTTPS"),
                            ("nobody", "A"), ("many", "A")):
            dig(lab, server.port, name + ".example.com", qtype, client=client, program="kdig")
    for client in (POD_A, POD_B):
        service.wait_name(client, "203.0.113.40", "svc.example.com")
        service.wait_name(client, "203.0.113.199", "many.example.com")
    server.stop()
    capture.stop()
    service.stop()
    copy = Commands(lab, "copy")
    copy.ingest(path)
    for client in (POD_A, POD_B):
        live, copied = [commands.names(client) for commands in (service, copy)]
        expect(len(live) >= 6, "not all of " + client, live)
        expect(live == copied, "two indexes of one feed differ", client, live, copied)


# The first was cut while it was written, which is told by the exit status.
@case("a file of the shared examples is loaded whole: {0}", ("knot-resolver-5.4.2.dnstap", 153, 3),
      ("bind9-large-answer.fstrm", 1, 0))
def shared_files(lab, name, frames, status):
    path = os.path.join(labs.SHARED, "data", "dnstap", name)
    if not os.path.exists(path):
        raise labs.Skip("../shared/data/dnstap is not here")
    expect(len(wire.read_capture(path)) == frames, "another file than expected")
    commands = Commands(lab)
    done = commands.ingest(path, check=status)
    expect(str(frames) in done.stdout + done.stderr, "not all %d frames" % frames, done.stderr)
    # The same through a pipe, as the command line allows.
    with open(path, "rb") as file:
        piped = Commands(lab, "piped").run("ingest", "-", "--data", lab.path("piped"),
                                           data=file.read(), check=status)
    expect(str(frames) in piped.stdout + piped.stderr, "not all through the pipe", piped.stderr)
