# tests/lab/truth.py -- what really happened: DNS on the wire, names as the servers saw them.
# SPDX-License-Identifier: Apache-2.0
#
# As a program it listens on the router's links to the resolvers (`truth.py INTERFACE...`, in the
# router's namespace) and writes a line for each question and each response, with the kernel's time
# of the packet. It knows nothing of dnstap, so what whither was never told still is in the truth.

import bisect
import ipaddress
import json
import os
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from support import wire  # noqa: E402

SO_TIMESTAMPNS = 35
ETH_P_ALL, ETH_P_IP = 3, 0x0800


# --- on the wire ------------------------------------------------------------------------------

def dns_of(frame):
    """(source, destination, is_response, message) of a frame that holds DNS over UDP, else None."""
    if len(frame) < 42 or struct.unpack_from(">H", frame, 12)[0] != ETH_P_IP or frame[23] != 17:
        return None
    at = 14 + (frame[14] & 15) * 4
    sport, dport, size = struct.unpack_from(">3H", frame, at)
    if 53 not in (sport, dport):
        return None
    source, destination = (str(ipaddress.ip_address(frame[i:i + 4])) for i in (26, 30))
    return source, destination, sport == 53, frame[at + 8:at + size]


def note(interface, time_s, frame):
    found = dns_of(frame)
    if found is None:
        return
    source, destination, is_response, message = found
    parsed = wire.parse_message(message)
    record = {"t": time_s, "at": interface, "client": destination if is_response else source,
              "server": source if is_response else destination, "name": parsed.get("qname"),
              "response": is_response}
    if is_response:
        addresses = [answer for answer in parsed["answers"] if answer[1] in (wire.A, wire.AAAA)]
        record.update(rcode=parsed["rcode"], addresses=[answer[3] for answer in addresses],
                      ttl=min((answer[2] for answer in parsed["answers"]), default=0),
                      chain=[answer[3].rstrip(".").lower() for answer in parsed["answers"]
                             if answer[1] == wire.CNAME])
    sys.stdout.write(json.dumps(record) + "\n")


def sniff(interfaces):
    sockets = {}
    for interface in interfaces:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((interface, 0))
        sockets[sock] = interface
    print("ready", file=sys.stderr, flush=True)
    while True:
        for sock in select.select(list(sockets), [], [])[0]:
            frame, extra, _, _ = sock.recvmsg(4096, 128)
            seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
            note(sockets[sock], seconds + nanoseconds / 1e9, frame)
        sys.stdout.flush()


# --- afterwards -------------------------------------------------------------------------------

class Answer:
    """One answer with addresses that reached a client."""

    def __init__(self, record, tapped):
        self.time, self.client, self.name = record["t"], record["client"], record["name"].lower()
        self.addresses, self.ttl, self.chain = record["addresses"], record["ttl"], record["chain"]
        self.tapped, self.replica = tapped, record["at"]


class Instance:
    """A pod from its creation to its end; the addresses are its own for that time."""

    def __init__(self, pod, from_s, to_s, addresses):
        self.name, self.behaviour = pod.name, pod.behaviour
        self.from_s, self.to_s, self.addresses = from_s, to_s, addresses


def load(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


class Truth:
    """`sniffed` and `seen` are the paths of the two logs; `tapped` the interfaces of the replicas
    that send dnstap; `instances` the pods that were."""

    def __init__(self, sniffed, seen, tapped, instances):
        self.instances = instances
        self.answers, self.asked = {}, {}
        for record in load(sniffed):
            # CoreDNS asking the world is no client.
            if record["client"].startswith("10.244.1."):
                continue
            is_tapped = record["at"] in tapped
            if record["response"]:
                self.asked.setdefault((record["client"], is_tapped), []).append(record["t"])
                if record["addresses"]:
                    answer = Answer(record, is_tapped)
                    for address in set(answer.addresses):
                        self.answers.setdefault(address, []).append(answer)
        for times in self.asked.values():
            times.sort()
        for answers in self.answers.values():
            answers.sort(key=lambda answer: answer.time)
        self.connections = {}
        for record in load(seen):
            key = (record["src"], record["sport"], record["dst"], record["dport"])
            self.connections.setdefault(key, []).append((record["t"], record["sni"]))

    def sni(self, key, time_s):
        """The server name of the connection with that 4-tuple that began at about this time."""
        near = [(abs(at - time_s), name) for at, name in self.connections.get(key, ())
                if -1.0 < at - time_s < 5.0]
        return min(near)[1] if near else None

    def instance(self, address, time_s):
        """Whose address it was."""
        for instance in self.instances:
            if address in instance.addresses and instance.from_s <= time_s <= instance.to_s:
                return instance
        return None

    def every_answer(self):
        for answers in self.answers.values():
            yield from answers

    def answers_with(self, address, from_s, to_s):
        """Answers that held the address, in order of time."""
        answers = self.answers.get(address, [])
        times = [answer.time for answer in answers]
        return answers[bisect.bisect_left(times, from_s):bisect.bisect_right(times, to_s)]

    def was_asking(self, client, from_s, to_s, tapped=True):
        times = self.asked.get((client, tapped), [])
        return bisect.bisect_right(times, to_s) > bisect.bisect_left(times, from_s)


if __name__ == "__main__":
    sniff(sys.argv[1:])
