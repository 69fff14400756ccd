#!/usr/bin/env python3
# tests/e2e/kill_test.py -- SIGKILL at random moments loses nothing that was called committed.
# SPDX-License-Identifier: Apache-2.0
#
# usage: [KILLS=100] [SEED=N] kill_test.py      (default: 5 kills)
#
# A sender of our own keeps 10,000 frames/s flowing, one in four an answer found nowhere else, with
# times that never go back. It buffers 4 KiB as CoreDNS does and, like it, drops what comes while it
# has no connection; it only tries again sooner (0.1 s, not 1 to 10 s). Just before each kill the
# time that `status` calls committed is read. After the restart every answer up to that time must be
# found, and a blind interval must begin at that time or later and before the kill. An answer that is
# not found must lie in a blind interval, and between a committed time and the next connection: an
# interval that claims more than was lost does not help.

import bisect
import json
import os
import random
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import lab as labs  # noqa: E402
from support import whither, wire  # noqa: E402
from support.lab import expect, wait_for  # noqa: E402

RATE = 10000                # frames a second
BATCH = 100                 # frames made at once
CLIENTS = 500               # so that no client comes near its limit of new answers an hour
LOOKUPS = 20000             # lines in one bulk request
SLACK_US = 100000           # from the hand-shake to the first frame


def client_of(number):
    return "10.244.%d.%d" % divmod(number % CLIENTS, 250)


def address_of(number):
    """198.18.0.0/15 is for benchmarks; together with the client it is this answer's alone."""
    return "198.%d.%d.%d" % (18 + (number // CLIENTS >> 16), number // CLIENTS >> 8 & 255,
                             number // CLIENTS & 255)


def name_of(number):
    return "h%08d.example.com" % number


class Template:
    """A prebuilt frame in which the time, the client, the name and the address are replaced."""

    def __init__(self, kind, rcode=wire.NOERROR):
        marks = {"client": "10.11.12.13", "name": name_of(12345678), "address": "198.18.254.253"}
        seconds, nanoseconds = int(time.time()), 123456000
        records = [(marks["name"], wire.A, 300, marks["address"])] if kind % 2 == 0 and not rcode \
            else []
        message = wire.query(marks["name"], wire.A) if kind % 2 else wire.response(
            marks["name"], wire.A, records, rcode)
        payload = wire.dnstap_frame(kind, marks["client"], message,
                                    seconds * 1000000 + nanoseconds // 1000, identity=b"killed")
        self.frame = bytearray(wire.data_frame(payload))
        self.seconds = self._find(wire.varint(seconds))
        self.nanoseconds = self._find(struct.pack("<I", nanoseconds))
        self.clients = self._find(bytes([10, 11, 12, 13]))
        self.names = self._find(b"h12345678")
        self.addresses = self._find(bytes([198, 18, 254, 253]))

    def _find(self, octets):
        found, at = [], self.frame.find(octets)
        while at >= 0:
            found.append((at, at + len(octets)))
            at = self.frame.find(octets, at + 1)
        return found

    def make(self, number, now_us):
        """The frame of answer `number` at that time."""
        host = number % CLIENTS
        index = number // CLIENTS
        for places, octets in (
                (self.seconds, wire.varint(now_us // 1000000)),
                (self.nanoseconds, struct.pack("<I", now_us % 1000000 * 1000)),
                (self.clients, bytes([10, 244, host // 250, host % 250])),
                (self.names, b"h%08d" % number),
                (self.addresses, bytes([198, 18 + (index >> 16), index >> 8 & 255, index & 255]))):
            for begin, end in places:
                self.frame[begin:end] = octets
        return bytes(self.frame)


class PacedSender(threading.Thread):
    """10,000 frames a second, whether or not anybody listens."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.ending = address, threading.Event()
        self.answers = []               # time in us of answer number i
        self.connections, self.connected_us = 0, 0
        self.sender, self.buffer, self.flushed = None, b"", 0.0
        self.templates = [Template(wire.CLIENT_RESPONSE), Template(wire.CLIENT_QUERY),
                          Template(wire.CLIENT_RESPONSE, wire.NXDOMAIN)]

    def run(self):
        due, retry = time.monotonic(), 0.0
        while not self.ending.is_set():
            if self.sender is None and time.monotonic() >= retry:
                self._connect()
                retry = time.monotonic() + 0.1
            self._batch()
            due += BATCH / RATE
            time.sleep(max(0.0, due - time.monotonic()))
        if self.sender is not None:
            self.sender.close()

    def _connect(self):
        try:
            self.sender = wire.Sender(self.address, timeout=4)
            self.connections += 1
            self.connected_us = time.time_ns() // 1000
        except (OSError, ValueError):
            self.sender = None

    def _batch(self):
        for step in range(BATCH):
            now_us = time.time_ns() // 1000
            if step % 4 == 0:
                frame = self.templates[0].make(len(self.answers), now_us)
                self.answers.append(now_us)
            else:
                frame = self.templates[1 + step % 2].make(len(self.answers), now_us)
            self._write(frame)

    def _write(self, frame):
        if self.sender is None:
            return
        self.buffer += frame
        if len(self.buffer) < 4096 and time.monotonic() - self.flushed < 1.0:
            return
        try:
            self.sender.sock.sendall(self.buffer)
        except OSError:
            self.sender.close()
            self.sender = None
        self.buffer, self.flushed = b"", time.monotonic()


def found(service, sender, numbers):
    """Which of the answers the index has, each asked for one millisecond after it was given."""
    have = set()
    for begin in range(0, len(numbers), LOOKUPS):
        part = numbers[begin:begin + LOOKUPS]
        body = "".join('{"src":"%s","dst":"%s","at":"%s"}\n' % (
            client_of(number), address_of(number), whither.rfc3339(sender.answers[number] + 1000))
            for number in part)
        status, _, text = service.request("POST", "/v1/lookup", body)
        expect(status == 200, "POST /v1/lookup: %d" % status, text[:1000])
        lines = text.splitlines()
        expect(len(lines) == len(part), "%d answers to %d questions" % (len(lines), len(part)))
        for number, line in zip(part, lines):
            if json.loads(line).get("domain") == name_of(number):
                have.add(number)
    return have


class KillTest:
    def __init__(self, lab, seed):
        self.chance = random.Random(seed)
        self.service = whither.Service(lab)
        self.sender = PacedSender(self.service.unix)
        self.checked = 0                # answers before this number have been looked up
        self.missing = []
        self.gap_begin_us = 0           # committed to then, when the last kill came

    def committed_us(self):
        return self.service.senders().get("killed", 0)

    def round(self):
        """One kill and all that must hold afterwards."""
        service, sender = self.service, self.sender
        before = self.committed_us()
        wait_for("the sender is heard", lambda: self.committed_us() > before, 20, 0.02)
        time.sleep(self.chance.uniform(0.0, 2.0))
        heard_us = sender.connected_us + SLACK_US
        committed_us = self.committed_us()
        service.kill()
        killed_us = time.time_ns() // 1000
        service.start()
        shown = self.committed_us()
        expect(shown >= committed_us, "committed went back by %d us" % (committed_us - shown))
        self.check_answers(committed_us, heard_us)
        self.gap_begin_us = committed_us
        blinds = service.blinds(committed_us, time.time_ns() // 1000)
        expect(any(committed_us <= begin <= killed_us < end for begin, end in blinds),
               "no blind interval from the committed time on", committed_us, killed_us, blinds)
        return killed_us - committed_us

    def check_answers(self, until_us, heard_us):
        """Every answer up to that time is there, except in the gap that ended at `heard_us`."""
        sender = self.sender
        end = self.checked
        while end < len(sender.answers) and sender.answers[end] <= until_us:
            end += 1
        numbers = list(range(self.checked, end))
        missing = sorted(set(numbers) - found(self.service, sender, numbers))
        self.must_be_blind(missing)
        for number in missing:
            at_us = sender.answers[number]
            if not self.gap_begin_us < at_us < heard_us:
                raise labs.Failure("answer %d of %s is lost, and the gap was %s .. %s" % (
                    number, *map(whither.rfc3339, (at_us, self.gap_begin_us, heard_us))))
        self.missing += missing
        self.checked = end

    def must_be_blind(self, missing):
        if not missing:
            return
        times = self.sender.answers
        blinds = sorted(self.service.blinds(times[missing[0]], times[missing[-1]]))
        begins = [begin for begin, _ in blinds]
        for number in missing:
            place = bisect.bisect_right(begins, times[number])
            if not any(times[number] <= end for _, end in blinds[max(0, place - 3):place]):
                raise labs.Failure("answer %d is lost and nothing says so: %s is in none of\n%s" % (
                    number, whither.rfc3339(times[number]),
                    "\n".join("%s .. %s" % (whither.rfc3339(begin), whither.rfc3339(end))
                              for begin, end in blinds)))

    def run(self, kills, say):
        self.sender.start()
        lags = []
        try:
            for number in range(kills):
                lags.append(self.round())
                say("kill %d: committed %d ms before it, %d answers checked, %d in blind intervals"
                    % (number + 1, lags[-1] // 1000, self.checked, len(self.missing)))
            wait_for("the sender is heard at the end",
                     lambda: self.committed_us() > time.time_ns() // 1000 - 3000000, 20)
            self.check_answers(self.committed_us(), self.sender.connected_us + SLACK_US)
        finally:
            self.sender.ending.set()
            self.sender.join(10)
        everything = list(range(0, self.checked, max(1, self.checked // 100000)))
        lost = set(everything) - found(self.service, self.sender, everything)
        self.must_be_blind(self.missing)
        expect(lost <= set(self.missing), "an answer that was there is gone", sorted(lost)[:10])
        self.service.stop()
        say("%d kills, %d answers committed and found, %d in blind intervals, %d connections"
            % (kills, self.checked - len(self.missing), len(self.missing), self.sender.connections))
        say("committed before the kill: %d ms at the median, %d ms at most"
            % (sorted(lags)[len(lags) // 2] // 1000, max(lags) // 1000))


def run(lab, kills, seed, say):
    say("seed %d" % seed)
    KillTest(lab, seed).run(kills, say)


def main():
    lab = labs.Lab()
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    keep = True
    try:
        run(lab, int(os.environ.get("KILLS", "5")), seed, lambda text: print(text, flush=True))
        lab.end()
        whither.check_sanitizers(lab)
        keep = False
    except labs.Failure as failure:
        print("FAIL %s\nseed %d, logs: %s" % (failure, seed, lab.folder))
        return 1
    finally:
        lab.end()
        if not keep:
            lab.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
