# tests/lab/world.py -- what lies outside the cluster: names, addresses, TLS servers.
# SPDX-License-Identifier: Apache-2.0
#
# As a program it is the TLS server: `world.py CERT KEY LOG` listens on port 443 of every address of
# its namespace, answers whatever name is asked for, and writes a line for each ClientHello: when,
# from where, to where, which server name. That log is the truth.

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

DNS = "198.51.100.53"           # the authority for all of it, and "another resolver" for some

PLAIN = 24                      # names with an address of their own
PAIRS = 20                      # addresses that go from one name to another
HIDDEN = 8                      # addresses no resolver of the cluster is ever asked for
ELSEWHERE = 6                   # names only asked of another resolver


def plain(i):
    return "plain%d.example.com" % (i % PLAIN)


def hidden(i):
    return "198.51.100.%d" % (180 + i % HIDDEN), "hidden%d.example.net" % (i % HIDDEN)


def pair(i):
    """(address, the name that had it, the name that has it)."""
    i %= PAIRS
    return "203.0.113.%d" % (80 + i), "old%d.example.com" % i, "new%d.example.com" % i


def elsewhere(i):
    return "elsewhere%d.example.net" % (i % ELSEWHERE)


CDN = ["cdn-%s.example.net" % letter for letter in "abcdef"]


def zones():
    """{zone: text of its file}. The TTLs are short because time is compressed; see params.py."""
    com = ["%s %d IN A 198.51.100.%d" % (plain(i).split(".")[0], (1, 2, 3, 5)[i % 4], 100 + i)
           for i in range(PLAIN)]
    com += ["multi 3 IN A 203.0.113.%d" % (10 + i) for i in range(8)]
    com += ["shop 5 IN CNAME edge.example.net.", "api 5 IN A 198.51.100.90"]
    com += ["six%d 3 IN A 198.51.100.%d\nsix%d 3 IN AAAA 2001:db8:1::%d" % (i, 30 + i, i, 30 + i)
            for i in range(4)]
    for i in range(PAIRS):
        address, old, new = pair(i)
        com += ["%s 1 IN A %s" % (name.split(".")[0], address) for name in (old, new)]
    net = ["edge 4 IN CNAME pop", "pop 1 IN A 203.0.113.60", "pop 1 IN A 203.0.113.61",
           "doh 3 IN A 198.51.100.54"]
    net += ["%s 3 IN A 203.0.113.%d" % (name.split(".")[0], last) for name in CDN
            for last in (40, 41)]
    net += ["%s 3 IN A 198.51.100.%d" % (elsewhere(i).split(".")[0], 200 + i)
            for i in range(ELSEWHERE)]
    head = "@ 60 IN SOA ns admin 1 3600 600 86400 1\n@ 60 IN NS ns\nns 60 IN A %s\n" % DNS
    return {"example.com": "$ORIGIN example.com.\n" + head + "\n".join(com) + "\n",
            "example.net": "$ORIGIN example.net.\n" + head + "\n".join(net) + "\n"}


def certificate(folder):
    """A self-signed certificate; returns the paths of it and its key."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-subj", "/CN=example.com", "-days", "1"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    def __init__(self, cert, key, log):
        self.log = open(log, "a", buffering=1)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.context.sni_callback = self._note

    def _note(self, connection, name, _):
        peer, mine = connection.getpeername(), connection.getsockname()
        self.log.write(json.dumps({"t": time.time(), "src": peer[0], "sport": peer[1],
                                   "dst": mine[0], "dport": mine[1], "sni": name}) + "\n")

    def _serve(self, plain_socket):
        plain_socket.settimeout(3)
        try:
            with self.context.wrap_socket(plain_socket, server_side=True) as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        except OSError:
            pass                # the client says no more after its ClientHello, mostly
        finally:
            plain_socket.close()

    def listen(self, family, address):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, 443))
        listener.listen(128)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()


def main():
    server = Server(*sys.argv[1:4])
    threading.Thread(target=server.listen, args=(socket.AF_INET6, "::"), daemon=True).start()
    server.listen(socket.AF_INET, "0.0.0.0")


if __name__ == "__main__":
    main()
