# tests/e2e/cases/tls.py -- dnstap over TLS: real senders, client certificates, a new certificate.
# SPDX-License-Identifier: Apache-2.0

import os
import socket
import ssl
import time

from support import lab as labs
from support import wire
from support.case import case
from support.coredns import CoreDNS, dig, zone_block
from support.lab import expect, need, wait_for
from support.whither import Service

from .peers import answers
from .senders import LOCAL_DATA, UNBOUND, start

POD = "127.0.0.2"

UNBOUND_TLS = """\
dnstap:
    dnstap-enable: yes
    dnstap-ip: "127.0.0.1@%(tap)d"
    dnstap-tls: yes
    dnstap-tls-server-name: "whither.test"
    dnstap-tls-cert-bundle: "%(bundle)s"
%(client)s    dnstap-send-identity: yes
    dnstap-identity: "sender-1"
    dnstap-log-client-response-messages: yes
"""


def certificate(lab, name, issuer=None):
    """Makes NAME.crt and NAME.key, signed by the issuer's or by itself."""
    program = need("openssl", "openssl")
    argv = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "1", "-subj", "/CN=" + name, "-keyout", lab.path(name + ".key"),
            "-out", lab.path(name + ".crt"), "-addext", "subjectAltName=DNS:" + name]
    if issuer:
        argv += ["-CA", lab.path(issuer + ".crt"), "-CAkey", lab.path(issuer + ".key"),
                 "-addext", "basicConstraints=critical,CA:FALSE"]
    lab.run(argv, check=0)
    return lab.path(name + ".crt"), lab.path(name + ".key")


class TlsService(Service):
    def __init__(self, lab, options=()):
        self.tls_port = labs.free_port()
        crt, key = certificate(lab, "whither.test")
        super().__init__(lab, options=["--dnstap", "tls:127.0.0.1:%d" % self.tls_port,
                                       "--tls-cert", crt, "--tls-key", key, *options])


def connect(service, client=None):
    """A TLS connection that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(*client)
    sock = socket.create_connection(("127.0.0.1", service.tls_port), 5)
    return context.wrap_socket(sock)


def handshake(sock):
    sock.sendall(wire.control_frame(wire.READY, [wire.CONTENT_TYPE]))
    expect(wire.read_control(sock)[0] == wire.ACCEPT, "READY was not answered with ACCEPT")
    sock.sendall(wire.control_frame(wire.START, [wire.CONTENT_TYPE]))


@case("CoreDNS {0} sends over TLS", "old", "new")
def coredns(lab, which):
    service = TlsService(lab)
    block = ("    dnstap tls://127.0.0.1:%d full {\n        identity sender-1\n        skipverify\n"
             "    }\n" % service.tls_port)
    server = CoreDNS(lab, which, "coredns", block + zone_block(lab))
    for name in ("shop", "www", "many", "nobody"):
        dig(lab, server.port, name + ".example.com", client=POD, program="kdig")
    service.wait_name(POD, "198.51.100.10", "shop.example.com")
    service.wait_name(POD, "203.0.113.199", "many.example.com")
    seconds = server.stop()
    expect(seconds < 3.5, "it waited for FINISH", seconds)


@case("unbound sends over TLS and proves who it is; without its certificate it is refused")
def unbound(lab):
    authority = certificate(lab, "authority")
    client = certificate(lab, "resolver.test", "authority")
    service = TlsService(lab, ["--tls-client-ca", authority[0]])
    program = need("unbound", "unbound")
    proof = ('    dnstap-tls-client-key-file: "%s"\n    dnstap-tls-client-cert-file: "%s"\n'
             % (client[1], client[0]))
    for name, with_proof in (("stranger", ""), ("known", proof)):
        port = labs.free_port()
        text = (UNBOUND + UNBOUND_TLS) % {
            "port": port, "folder": lab.folder, "data": LOCAL_DATA, "tap": service.tls_port,
            "bundle": lab.path("whither.test.crt"), "client": with_proof}
        process = start(lab, name, [program, "-d", "-c", lab.write(name + ".conf", text)], port)
        dig(lab, port, "shop.example.com", client=POD)
        if with_proof:
            service.wait_name(POD, "198.51.100.10", "shop.example.com")
        else:
            wait_for("the stranger is refused", lambda: service.refused("bad-tls") >= 1)
            expect(service.ask(POD, "198.51.100.10")["verdict"] == "blind", "it was indexed")
            process.stop()
    expect("not acceptable TLS" in service.log(), "nothing was logged", service.log())
    expect("PRIVATE" not in service.log() and "BEGIN" not in service.log(), "a secret in the log")


@case("a certificate is replaced while senders are connected, and a wrong one is not taken")
def replaced(lab):
    service = TlsService(lab)
    first = connect(service)
    handshake(first)
    before = first.getpeercert(True)
    os.replace(certificate(lab, "next.test")[1], lab.path("whither.test.key"))
    wait_for("the half-replaced pair is refused",
             lambda: "the former TLS certificate stays in use" in service.log())
    expect(connect(service).getpeercert(True) == before, "another certificate than before")
    os.replace(lab.path("next.test.crt"), lab.path("whither.test.crt"))
    wait_for("the new certificate is loaded", lambda: "loaded anew" in service.log())
    expect(connect(service).getpeercert(True) != before, "the certificate of before")
    first.sendall(b"".join(wire.data_frame(payload)
                           for payload in answers(time.time_ns() // 1000 - 100000, 3)))
    service.wait_name("10.244.0.2", "198.51.0.2", "host-2.example.com")


@case("what is no TLS on a TLS listener is refused, and who never finishes is closed")
def no_tls(lab):
    service = TlsService(lab)
    with socket.create_connection(("127.0.0.1", service.tls_port), 5) as sock:
        sock.sendall(wire.control_frame(wire.READY, [wire.CONTENT_TYPE]))
        wait_for("plain Frame Streams is refused", lambda: service.refused("bad-tls") >= 1)
    slow = socket.create_connection(("127.0.0.1", service.tls_port), 5)
    slow.sendall(b"\x16\x03\x01\x02\x00\x01")
    sock = connect(service)
    handshake(sock)
    sock.sendall(b"".join(wire.data_frame(payload)
                          for payload in answers(time.time_ns() // 1000 - 100000, 3)))
    service.wait_name("10.244.0.2", "198.51.0.2", "host-2.example.com")
    wait_for("the slow one is closed", lambda: service.refused("handshake-timeout") >= 1, 20)
    slow.close()
