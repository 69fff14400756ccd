# tests/e2e/cases/hostile.py -- what does not belong on a dnstap socket, and who must not feel it.
# SPDX-License-Identifier: Apache-2.0

import os
import random
import resource
import socket
import struct
import time

from support import wire
from support.case import case
from support.lab import Skip, expect, wait_for
from support.whither import Commands, Service

from .peers import answers


def now_us():
    return time.time_ns() // 1000


def closed_by_peer(sock, timeout=5.0):
    """Seconds until the peer closes the connection, or None."""
    begin = time.monotonic()
    sock.settimeout(timeout)
    try:
        while sock.recv(4096):
            pass
    except socket.timeout:
        return None
    except OSError:
        pass
    return time.monotonic() - begin


def still_serves(service, sender, number):
    """A sender that was there before is served on as if nothing had happened."""
    payloads = answers(now_us() - 100000, number + 1)
    sender.send(payloads[number:])
    found = service.wait_name("10.244.0.%d" % (number % 4), "198.51.0.%d" % number,
                              "host-%d.example.com" % number, timeout=8)
    expect(found, "not served")


@case("garbage on a {0} socket closes that connection, is counted, and disturbs nobody",
      "unix", "tcp")
def garbage(lab, transport):
    service = Service(lab)
    good = wire.Sender(service.address(transport))
    still_serves(service, good, 1)
    before = service.refused("bad-stream")
    chance = random.Random(1)
    samples = [bytes(chance.randrange(256) for _ in range(4096)), b"GET / HTTP/1.1\r\n\r\n",
               b"\x16\x03\x01\x02\x00" * 40, b"\xff" * 4096,
               struct.pack(">2I", 0, 100000) + b"x" * 1000,
               struct.pack(">3I", 0, 4, 2) + b"\xff" * 9,
               wire.control_frame(wire.READY, [b"protobuf:other.Type"]),
               wire.control_frame(wire.FINISH)]
    for number, sample in enumerate(samples):
        sock = wire.connect(service.address(transport))
        try:
            sock.sendall(sample)
        except OSError:
            pass
        if sample == samples[5]:
            # START and then an announced frame of 4 GiB: skipped by count, never held in memory.
            time.sleep(0.3)
            sock.close()
            continue
        expect(closed_by_peer(sock) is not None, "sample %d was not refused" % number)
    wait_for("the refusals are counted",
             lambda: service.refused("bad-stream") - before >= len(samples) - 1, 5, 0.1)
    still_serves(service, good, 2)
    lines = [line for line in service.log().splitlines() if "Frame Streams" in line]
    expect(lines, "no line in the log says what was wrong", service.log()[-2000:])
    expect(len(service.log().splitlines()) < 40, "the log is flooded", service.log()[:3000])


@case("length-prefixed protobuf that is not Frame Streams is told so")
def not_frame_streams(lab):
    service = Service(lab)
    payload = answers(now_us(), 1)[0]
    sock = wire.connect(service.tcp)
    # dnsdist's remote logger: two octets of length, then the message.
    sock.sendall(b"".join(struct.pack(">H", len(payload)) + payload for _ in range(20)))
    expect(closed_by_peer(sock) is not None, "the connection was not closed")
    text = wait_for("the log says so", lambda: [line for line in service.log().splitlines()
                                                if "length-prefixed protobuf" in line])[0]
    expect("127.0.0.1" in text and "dnsdist" in text, "peer or reason missing", text)


@case("1,000 idle connections: bounded memory, and senders are served as before", alone=True)
def idle_connections(lab):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2100:
        raise Skip("the limit of open files here is %d" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2100), hard))
    service = Service(lab)
    good = wire.Sender(service.unix)
    still_serves(service, good, 1)
    before_kib = service.rss_anon_kib()
    idle = []
    try:
        for number in range(1000):
            sock = wire.connect(service.unix if number % 2 else service.tcp)
            # A third says nothing, a third begins a frame, a third gets as far as START.
            if number % 3 == 1:
                sock.sendall(b"\0\0\0")
            elif number % 3 == 2:
                sock.sendall(wire.control_frame(wire.START, [wire.CONTENT_TYPE]))
            idle.append(sock)
        grown_kib = service.rss_anon_kib() - before_kib
        still_serves(service, good, 2)
        expect(grown_kib < 64 * 1024, "%d KiB for 1,000 idle connections" % grown_kib)
        expect(service.get("/healthz")[0] == 200, "not healthy")

        def new_sender():
            try:
                sender = wire.Sender(service.tcp, timeout=3)
            except (OSError, ValueError):
                return None
            sender.finish()
            return True

        wait_for("a new sender gets in", new_sender, 60, 0.5)
        # Those that never finished the hand-shake are sent away in the end.
        waiting = [sock for number, sock in enumerate(idle) if number % 3 != 2][:10]
        for sock in waiting:
            expect(closed_by_peer(sock, 40) is not None, "a silent connection is kept for ever")
    finally:
        for sock in idle:
            sock.close()


@case("a stream cut in the middle of a frame keeps every whole frame before it")
def cut_stream(lab):
    service = Service(lab)
    sender = wire.Sender(service.tcp)
    payloads = answers(now_us() - 2000000, 101)
    data = b"".join(wire.data_frame(payload) for payload in payloads[:100])
    sender.sock.sendall(data + wire.data_frame(payloads[100])[:-5])
    sender.close()
    service.wait_name("10.244.0.3", "198.51.0.99", "host-99.example.com")
    # The state, which says who was heard, is committed just after the answers.
    wait_for("the stream is known", lambda: service.ask(
        "10.244.0.0", "198.51.0.100")["coverage"] == "known", 10, 0.1)
    found = service.ask("10.244.0.0", "198.51.0.100")
    expect(found["verdict"] == "blind", "half a frame was read", found)
    wait_for("the cut is a blind interval", lambda: service.blinds(now_us() - 60000000, now_us()))


@case("frames far from their time of receipt are counted and refused")
def wrong_times(lab):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    hour_us = 3600 * 1000000
    sender.send(answers(now_us() - hour_us, 3) + answers(now_us() + hour_us, 3))
    sender.send(answers(now_us() - 100000, 4)[3:])
    sender.finish()
    expect(service.ask("10.244.0.3", "198.51.0.3")["verdict"] == "resolved", "the good one is gone")
    for client in range(3):
        found = service.ask("10.244.0.%d" % client, "198.51.0.%d" % client)
        expect(found["verdict"] == "blind", "taken in spite of its time", found)
    expect(service.frames("refused-time") == 6, "not counted", service.metrics())


@case("ingest of damaged captures: what is whole is kept, the rest is named, exit status 3")
def damaged_captures(lab):
    good = wire.capture_file(answers(now_us() - 5000000, 200))
    commands = Commands(lab)
    done = commands.ingest(lab.write("cut.fstrm", good[:-20]), check=None)
    expect(done.returncode in (0, 3), "exit status %d" % done.returncode, done.stderr)
    for name, content in (("garbage", os.urandom(5000)), ("empty", b""),
                          ("type", wire.capture_file([], content_type=b"test:hello"))):
        path = lab.write(name, content)
        done = commands.ingest(path, check=3)
        expect(path in done.stderr, "%s is not named" % name, done.stderr)
    done = commands.ingest(lab.path("nowhere"), check=3)
    expect("nowhere" in done.stderr, "the missing file is not named", done.stderr)
    at_us = now_us()
    found = commands.lookup("10.244.0.1", "198.51.0.1", at_us)
    expect(found["domain"] == "host-1.example.com", "the whole frames are gone", found)
