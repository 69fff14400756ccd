#!/usr/bin/env python3
# tests/e2e/follow_test.py -- what `whither join --follow` writes to a file is each flow once, in order.
# SPDX-License-Identifier: Apache-2.0
#
# usage: [KILLS=200] [FLOWS=1000000] [SOURCE=file|folder] [SEED=N] follow_test.py
#        (default: 10 kills, 50,000 flows, a file)
#
# One writer appends flows to a log in chunks that end anywhere in a line, and rotates it itself:
# by renaming (writing on to the old file for a while), by renaming twice at once, and by copying
# and truncating, for which it pauses at the end of a line, because what is written between the copy
# and the truncation nobody can save. Older rotations are compressed, the oldest removed. Among the
# flows are replies, which are left out, and repeats within 5 s, which must be left out whatever was
# killed in between. A service and a sender that lags make each flow wait before it is named.
# The output lies on a small file system of its own that is full at times, where that can be mounted;
# else the limit on the size of the joiner's files plays the full disk.
# All the while the joiner is killed. At the end the output must have each flow once, in order, with
# the number of its line in its file.

import array
import ctypes
import gzip
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import lab as labs  # noqa: E402
from support import whither, wire  # noqa: E402
from support.lab import expect, wait_for  # noqa: E402

CHUNK = 16384               # octets written at once, at most
PORTS = 65000               # flows to one address
LIFE = 1.4                  # seconds a joiner lives at most
COMPRESSED_FROM, KEPT = 3, 16
SKEW = "200ms"

LINE = ('{"flow":{"time":"%s","verdict":"FORWARDED","IP":{"source":"10.244.0.7","destination":"%s",'
        '"ipVersion":"IPv4"},"l4":{"TCP":{"source_port":%d,"destination_port":443,"flags":'
        '{"SYN":true}}},"source":{"namespace":"shop","pod_name":"cart-0"},"Type":"L3_L4",'
        '"node_name":"node-1","is_reply":%s,"traffic_direction":"EGRESS"},"node_name":"node-1"}\n')
OUT = re.compile(rb'"sequence":(\d+)}.*?"source":{"ip":"10\.244\.0\.7","port":(\d+).*?'
                 rb'"destination":{"ip":"198\.18\.0\.(\d+)"')


class Heartbeat(threading.Thread):
    """A sender that is connected and says something ten times a second."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.sender, self.ending = wire.Sender(address), threading.Event()

    def run(self):
        message = wire.response("example.com", wire.A, [("example.com", wire.A, 60, "192.0.2.1")])
        while not self.ending.wait(0.1):
            self.sender.send([wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.244.0.7", message,
                                                time.time_ns() // 1000)])


class Writer(threading.Thread):
    """Writes and rotates the log."""

    def __init__(self, folder, flows, rate, seed):
        super().__init__(daemon=True)
        self.folder, self.flows, self.rate = folder, flows, rate
        self.chance = random.Random(seed)
        self.path = os.path.join(folder, "flows.log")
        self.file = open(self.path, "ab", buffering=0)
        self.lines = array.array("I")   # of each flow, the number of its line in its file
        self.number, self.pending = 0, b""
        self.last, self.safe = {}, 0    # by inode, its last flow; flows before `safe` are checkpointed
        self.renamed, self.truncated, self.repeats, self.replies = 0, 0, 0, 0
        self.failure = None

    def run(self):
        try:
            self._write_all()
        except Exception as error:      # told by the main thread
            self.failure = error

    def _write_all(self):
        began, rotation = time.monotonic(), self._next_rotation()
        while len(self.lines) < self.flows:
            ahead = len(self.lines) / self.rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
            self._chunk()
            if time.monotonic() > rotation:
                self.chance.choice([self._rename, self._rename, self._rename_twice,
                                    self._copy_and_truncate])()
                rotation = self._next_rotation()
        self._flush()

    def _next_rotation(self):
        return time.monotonic() + self.chance.uniform(0.2, 2.5)

    # Lines.

    def _line(self, flow, reply=False):
        now_us = time.time_ns() // 1000
        text = LINE % (whither.rfc3339(now_us), "198.18.0.%d" % (flow // PORTS),
                       1 + flow % PORTS, "true" if reply else "false")
        self.number += 1
        self.pending += text.encode()

    def _some_lines(self):
        for _ in range(self.chance.randrange(1, 60)):
            flow, dice = len(self.lines), self.chance.random()
            if flow == self.flows:
                return
            if dice < 0.03 and flow > 0:
                self.repeats += 1
                self._line(self.chance.randrange(max(0, flow - int(self.rate)), flow))
            elif dice < 0.05:
                self.replies += 1
                self._line(flow, reply=True)
            else:
                self.lines.append(self.number + 1)
                self._line(flow)

    def _chunk(self):
        self._some_lines()
        cut = self.chance.randrange(len(self.pending) + 1)
        while cut > 0:
            done = self.file.write(self.pending[:min(cut, CHUNK)])
            self.pending, cut = self.pending[done:], cut - done

    def _flush(self):
        while self.pending:
            self.pending = self.pending[self.file.write(self.pending):]

    # Rotations.

    def _shift(self):
        """flows.log.N becomes flows.log.N+1; old ones are compressed, the oldest removed."""
        names = {}
        for name in os.listdir(self.folder):
            match = re.fullmatch(r"flows\.log\.(\d+)(\.gz)?", name)
            if match:
                names[int(match.group(1))] = (name, match.group(2) or "")
        for number in sorted(names, reverse=True):
            name, suffix = names[number]
            source = os.path.join(self.folder, name)
            if number + 1 > KEPT and suffix:
                os.unlink(source)
                continue
            target = os.path.join(self.folder, "flows.log.%d%s" % (number + 1, suffix))
            os.rename(source, target)
            status = os.stat(target)
            # What is compressed before it is read is lost, which is not what is tried here.
            if number + 1 >= COMPRESSED_FROM and self.last.get(status.st_ino, 0) < self.safe \
                    and not suffix:
                with open(target, "rb") as plain, gzip.open(target + ".gz", "wb", 1) as packed:
                    shutil.copyfileobj(plain, packed)
                os.utime(target + ".gz", ns=(status.st_atime_ns, status.st_mtime_ns))
                os.unlink(target)

    def _reopen(self):
        self._flush()
        self.last[os.fstat(self.file.fileno()).st_ino] = len(self.lines)
        self.file.close()
        self.file, self.number = open(self.path, "ab", buffering=0), 0

    def _rename(self):
        self.renamed += 1
        self._shift()
        os.rename(self.path, self.path + ".1")
        for _ in range(self.chance.randrange(4)):
            self._chunk()
            time.sleep(self.chance.uniform(0, 0.1))
        self._reopen()

    def _rename_twice(self):
        for _ in range(2):
            self.renamed += 1
            self._shift()
            os.rename(self.path, self.path + ".1")
            self._reopen()
            self._chunk()

    def _copy_and_truncate(self):
        self.truncated += 1
        self._flush()
        self._shift()
        with open(self.path, "rb") as source, open(self.path + ".1", "wb", buffering=0) as target:
            shutil.copyfileobj(source, target, 65536)
            self.last[os.fstat(target.fileno()).st_ino] = len(self.lines)
        time.sleep(self.chance.uniform(0, 0.3))
        self.file.truncate(0)
        self.number = 0


class Disk:
    """Where the output is: it can be made full, and free again."""

    def __init__(self, lab, size):
        self.path, self.size, self.full = lab.path("disk"), size, False
        os.mkdir(self.path)
        self.mounted = self._mount("size=%d" % size, 0)
        self.process = None             # the joiner, for the limit on the size of its files

    def _mount(self, options, flags):
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.mount(b"tmpfs", self.path.encode(), b"tmpfs", flags, options.encode()) == 0

    def fill(self):
        if self.mounted:
            used = os.statvfs(self.path)
            room = (used.f_blocks - used.f_bfree + 4) * used.f_bsize
            self.full = self._mount("size=%d" % room, 32)       # MS_REMOUNT
        else:
            self.full = True
            self._limit(self.out_size() + 10000)

    def free(self):
        if self.mounted:
            expect(self._mount("size=%d" % self.size, 32), "the file system could not be resized")
        else:
            self._limit(resource.RLIM_INFINITY)
        self.full = False

    def out_size(self):
        try:
            return os.path.getsize(os.path.join(self.path, "out.json"))
        except FileNotFoundError:
            return 0

    def _limit(self, size):
        if self.process is not None and self.process.running():
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE,
                             (size, resource.RLIM_INFINITY))

    def unmount(self):
        if self.mounted:
            ctypes.CDLL(None).umount2(self.path.encode(), 2)    # MNT_DETACH


class FollowTest:
    def __init__(self, lab, flows, kills, source, seed):
        self.lab, self.flows, self.kills, self.source = lab, flows, kills, source
        self.chance = random.Random(seed)
        self.logs = lab.path("logs")
        os.mkdir(self.logs)
        self.disk = Disk(lab, 2000 * flows + (16 << 20))
        self.out = os.path.join(self.disk.path, "out.json")
        self.service = whither.Service(lab)
        self.heartbeat = Heartbeat(self.service.unix)
        seconds = max(8.0, kills * (LIFE / 2 + 0.05) * 0.95)
        self.writer = Writer(self.logs, flows, flows / seconds, seed)
        self.killed, self.stops, self.full, self.safe_size = 0, 0, 0, 0

    def joiner(self):
        source = self.writer.path if self.source == "file" else self.logs
        # All of them write to one log, which says how each ended.
        process = self.lab.start("join", [
            whither.binary(), "join", source, "--follow", "--out", "file:" + self.out, "--to", "ecs",
            "--data", self.service.data, "--skew", SKEW, "--settle", "20s"])
        self.disk.process = process
        return process

    def round(self):
        """One life of the joiner: killed, or now and then ended in order."""
        process = self.joiner()
        life = self.chance.uniform(0.02, LIFE)
        if self.chance.random() < 0.08:
            self.full += 1
            self.disk.fill()
        time.sleep(life)
        expect(process.running() or self.disk.full, "the joiner ended by itself, with status %s"
               % process.popen.returncode, process.log()[-3000:])
        if self.chance.random() < 0.1:
            self.stops += 1
            # While it starts a signal ends it as it ends any program.
            self.stop(process, (0, 1, -signal.SIGTERM) if self.disk.full else
                      (0, -signal.SIGTERM))
        else:
            self.killed += 1
            process.kill()
        self.note_safe()
        if self.disk.full and self.chance.random() < 0.7:
            self.disk.free()

    def note_safe(self):
        """Counts the flows that the checkpoint says are in the output."""
        with open(self.out + ".checkpoint", "rb") as file:
            data = file.read(4096)
        at = 12 + 4 + struct.unpack_from(">I", data, 12)[0] + 1 + 1
        size = struct.unpack_from(">Q", data, at)[0]
        with open(self.out, "rb") as file:
            file.seek(self.safe_size)
            self.writer.safe += file.read(max(0, size - self.safe_size)).count(b"\n")
        self.safe_size = max(size, self.safe_size)

    def stop(self, process, allowed):
        process.signal(signal.SIGTERM)
        process.wait(20)
        expect(process.popen.returncode in allowed,
               "the joiner ended with status %d" % process.popen.returncode, process.log()[-3000:])

    def count_lines(self):
        with open(self.out, "rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))

    def check(self):
        """Each flow once, in order, with the number of its line."""
        due = 0
        with open(self.out, "rb") as file:
            for line in file:
                match = OUT.search(line)
                expect(match and line.endswith(b"}\n"), "line %d is no flow of ours" % (due + 1),
                       line)
                sequence, port, host = (int(text) for text in match.groups())
                flow = host * PORTS + port - 1
                expect(flow == due, "flow %d where %d was due" % (flow, due), line)
                expect(sequence == self.writer.lines[due],
                       "flow %d was line %d of its file, not %d" % (flow, self.writer.lines[due],
                                                                    sequence), line)
                due += 1
        expect(due == self.flows, "%d of %d flows" % (due, self.flows))

    def run(self, say):
        began = time.monotonic()
        self.heartbeat.start()
        wait_for("the sender is heard", lambda: any(self.service.senders().values()), 20)
        first = self.joiner()           # what is rotated away before it is nobody's
        wait_for("the first checkpoint", lambda: os.path.exists(self.out + ".checkpoint"), 20)
        first.kill()
        self.writer.start()
        try:
            while self.killed < self.kills:
                self.round()
                if (self.killed + self.stops) % 10 == 0:
                    say("%d kills, %d of %d flows written, output %.1f MB" % (
                        self.killed, len(self.writer.lines), self.flows,
                        self.disk.out_size() / 1e6))
            if self.disk.full:
                self.disk.free()
            last = self.joiner()
            self.writer.join()
            if self.writer.failure:
                raise self.writer.failure
            wait_for("all flows are in the output", lambda: self.count_lines() >= self.flows, 120,
                     0.5)
            time.sleep(1)
            self.stop(last, (0,))
            self.check()
        except labs.Failure:
            shutil.copytree(self.disk.path, self.lab.path("disk-then"))
            raise
        finally:
            self.heartbeat.ending.set()
            self.service.stop()
            self.disk.unmount()
        say("%d flows once and in order: %d kills, %d ends in order, the disk (%s) full %d times, %d "
            "renamed, %d truncated, %d repeats and %d replies left out, %.0f s" % (
                self.flows, self.killed, self.stops,
                "tmpfs" if self.disk.mounted else "limit", self.full, self.writer.renamed,
                self.writer.truncated, self.writer.repeats, self.writer.replies,
                time.monotonic() - began))


def own_mounts():
    """What is mounted from here on is seen by nobody else, and goes with this process."""
    if os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None)
    new_namespace, private_below = 0x20000, (1 << 18) | (1 << 14)
    return libc.unshare(new_namespace) == 0 and libc.mount(b"none", b"/", None, private_below,
                                                           None) == 0


def main():
    own_mounts()
    lab = labs.Lab()
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    flows, kills = int(os.environ.get("FLOWS", "50000")), int(os.environ.get("KILLS", "10"))
    source = os.environ.get("SOURCE", "file")
    keep = True
    print("seed %d" % seed, flush=True)
    try:
        FollowTest(lab, flows, kills, source, seed).run(lambda text: print(text, flush=True))
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
