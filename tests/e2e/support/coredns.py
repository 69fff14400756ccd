# tests/e2e/support/coredns.py -- real CoreDNS instances and the questions they are asked.
# SPDX-License-Identifier: Apache-2.0
#
# Old is the version that the oldest supported Kubernetes installs; new is the newest release.
# COREDNS_OLD and COREDNS_NEW name binaries that are already there; COREDNS_NEWEST pins "newest".

import os
import socket
import subprocess
import threading

from . import lab as labs
from . import wire

OLD_VERSION = "v1.12.1"

ZONE = """\
$ORIGIN example.com.
$TTL 60
@        IN SOA   ns admin 1 3600 600 86400 60
@        IN NS    ns
ns       IN A     192.0.2.53
shop     IN A     198.51.100.10
         IN A     198.51.100.11
         IN AAAA  2001:db8::10
six      IN AAAA  2001:db8::6
www      IN CNAME edge
edge     IN CNAME pop.cdn
pop.cdn  IN A     203.0.113.20
svc      IN HTTPS 1 . alpn=h2 ipv4hint=203.0.113.40 ipv6hint=2001:db8::40
short    IN A     198.51.100.30
again    IN A     198.51.100.31
other    IN A     198.51.100.32
""" + "".join("many     IN A     203.0.113.%d\n" % last for last in range(100, 200))

_building = threading.Lock()
_built = {}                 # which -> path, or the exception that stands for it


def _build(version):
    script = os.path.join(labs.ROOT, "tests", "support", "coredns.sh")
    with subprocess.Popen([script, version], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "building" in line:
                print("        " + line.strip(), flush=True)
        path = process.stdout.read().strip()
    if process.returncode == 77:
        return labs.Skip("CoreDNS cannot be built here (Go toolchain, module proxy), and "
                         "COREDNS_OLD and COREDNS_NEW name no binaries")
    if process.returncode != 0:
        return labs.Failure("CoreDNS %s could not be built:\n%s" % (version, "".join(said[-20:])))
    return path


def binary(which):
    """The path of the `old` or the `new` CoreDNS; builds it the first time."""
    given = os.environ.get("COREDNS_" + which.upper())
    if given:
        return given
    # One build at a time: two would fight for the same cores.
    with _building:
        if which not in _built:
            newest = os.environ.get("COREDNS_NEWEST", "newest")
            _built[which] = _build(OLD_VERSION if which == "old" else newest)
        found = _built[which]
    if isinstance(found, Exception):
        raise found
    return found


def version(which):
    """What the binary calls itself: CoreDNS-1.12.1."""
    return subprocess.run([binary(which), "-version"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()[0]


class CoreDNS:
    """One instance; `block` is what stands in its server block, without the port."""

    def __init__(self, lab, which, name, block, port=None):
        self.lab, self.name, self.which = lab, name, which
        self.port = port or labs.free_port()
        self.corefile = lab.write(name + ".Corefile", ".:%d {\n    bind 127.0.0.1\n"
                                  "    errors\n%s\n}\n" % (self.port, block))
        self.process = None
        self.start()

    def start(self):
        self.process = self.lab.start(self.name, [binary(self.which), "-conf", self.corefile])
        labs.wait_for("%s answers on port %d" % (self.name, self.port), self._up, 15)

    def _up(self):
        if not self.process.running():
            raise labs.Failure("%s ended:\n%s" % (self.name, self.process.log()[-2000:]))
        # A TCP connection asks nothing, so the feed begins with the case's own questions.
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        except OSError:
            return False

    def stop(self):
        """SIGTERM; the seconds it took. CoreDNS waits up to 4 s for a FINISH that does not come."""
        return self.process.stop()


def dnstap_line(address, full=True, extra=""):
    """The Corefile line that sends to `unix:PATH` or `tcp:HOST:PORT`."""
    kind, rest = address.split(":", 1)
    target = "unix://" + rest if kind == "unix" else "tcp://" + rest
    return "    dnstap %s%s {\n        identity sender-1\n%s    }\n" % (
        target, " full" if full else "", extra)


def zone_block(lab, zone=ZONE):
    """The line that answers example.com from a file."""
    return "    file %s example.com\n" % lab.write("example.com.zone", zone)


def dig(lab, port, qname, qtype="A", client="127.0.0.1", options=(), program="dig"):
    """Asks with dig or kdig from `client`; returns the lines of +short."""
    path = labs.need(program, "bind9-dnsutils" if program == "dig" else "knot-dnsutils")
    base = [path, "@127.0.0.1", "-p", str(port), "-b", client, qname, qtype, "+short"]
    base += ["+tries=1", "+time=5"] if program == "dig" else ["+retry=0", "+timeout=5"]
    done = lab.run(base + list(options), timeout=15)
    labs.expect(done.returncode == 0, "%s failed for %s" % (program, qname), done.stdout,
                done.stderr)
    return done.stdout.split()


def ask(server, qname, qtype=wire.A, client="127.0.0.1", tcp=False, timeout=5.0):
    """Asks with a plain socket bound to `client`; returns the parsed response."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    message = wire.query(qname, qtype, ident=os.getpid() & 0xFFFF)
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.bind((client, 0))
        sock.connect(server)
        if tcp:
            sock.sendall(len(message).to_bytes(2, "big") + message)
            size = int.from_bytes(wire.read_exactly(sock, 2), "big")
            return wire.parse_message(wire.read_exactly(sock, size))
        sock.send(message)
        return wire.parse_message(sock.recv(65535))
