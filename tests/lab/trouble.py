# tests/lab/trouble.py -- what goes wrong on purpose, and what could not be seen because of it.
# SPDX-License-Identifier: Apache-2.0
#
# A trouble says when answers were surely lost and when they may have been: `lost` and `doubtful`
# hold (from, to, replicas) in seconds since the epoch. The score takes from them what was visible.

import os
import queue
import random
import socket
import struct
import threading
import time


class Pipe:
    """One dnstap connection through a proxy: whole frames, each with the time it is due."""

    def __init__(self, proxy, near):
        self.proxy, self.near = proxy, near
        self.far = socket.socket(socket.AF_UNIX)
        self.far.connect(proxy.target)
        self.frames = queue.Queue()
        for step in (self._take, self._give, self._back):
            threading.Thread(target=self._run, args=(step,), daemon=True).start()

    def _run(self, step):
        try:
            step()
        except OSError:
            pass
        self.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            chunk = self.near.recv(size - len(data))
            if not chunk:
                raise OSError("closed")
            data += chunk
        return data

    def _take(self):
        while True:
            head = self._exactly(4)
            size = struct.unpack(">I", head)[0]
            if size == 0:
                head += self._exactly(4)
                body = self._exactly(struct.unpack(">I", head[4:])[0])
            else:
                body = self._exactly(size)
                if self.proxy.drops():
                    continue
            self.frames.put((time.monotonic() + self.proxy.lag_s, head + body))

    def _give(self):
        while True:
            due, frame = self.frames.get()
            time.sleep(max(0.0, due - time.monotonic()))
            self.far.sendall(frame)

    def _back(self):
        while True:
            data = self.far.recv(65536)
            if not data:
                return
            self.near.sendall(data)

    def close(self):
        for sock in (self.near, self.far):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxy:
    """Between a replica and the service: late, lossy, or cut."""

    def __init__(self, path, target):
        self.path, self.target, self.lag_s, self.drop_share = path, target, 0.0, 0.0
        self.dropped, self.pipes, self.random = 0, [], random.Random(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen()
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            near, _ = listener.accept()
            try:
                self.pipes.append(Pipe(self, near))
            except OSError:
                near.close()            # the service is down: so is this

    def drops(self):
        """Whether the next frame is one of those that vanish."""
        dropped = self.random.random() < self.drop_share
        self.dropped += dropped
        return dropped

    def cut(self):
        for pipe in self.pipes:
            pipe.close()
        self.pipes = []


# CoreDNS keeps up to a second of frames to itself, and after an error tries again at once, then
# every 10 s; while it waits it drops what comes.
BUFFERED_S, RETRY_S = 2.0, 12.0


class Trouble:
    """None at all. `run` is called when the clients start, `seconds` is how long they go on."""

    title = "no trouble"
    barred = True                   # False: what nobody can see; its cost is measured, not judged
    shift_s = 0.0                   # added to the flow log's times
    margin_s = 0.0                  # an address rests so much longer between two owners
    replicas_tapped = ("dns1", "dns2")
    proxied, early_joins, live_join = False, False, False

    def __init__(self):
        self.lost, self.doubtful = [], []

    def run(self, run, seconds):
        """Injects; returns when it is over."""

    def blind(self, from_s, to_s, replicas=("dns1", "dns2"), retry_s=RETRY_S):
        """Nothing was heard of these replicas, and for some time around it perhaps nothing."""
        self.lost.append((from_s, to_s, replicas))
        self.doubtful.append((from_s - BUFFERED_S, to_s + retry_s, replicas))

    def nothing_before(self, first_s, last_s):
        """The first sender was not there yet; the last one came then."""
        self.lost.append((0.0, first_s, ("dns1", "dns2")))
        self.doubtful.append((0.0, last_s + BUFFERED_S, ("dns1", "dns2")))


class CollectorRestart(Trouble):
    live_join = True

    def __init__(self, hard):
        super().__init__()
        self.hard = hard
        self.title = "collector killed" if hard else "collector restart"

    def run(self, run, seconds):
        time.sleep(seconds * 0.4)
        if self.hard:
            run.service.kill()
        else:
            run.service.stop()
        begin = time.time()
        time.sleep(2.0)
        self.blind(begin, time.time())
        run.service.start()


class DnsRestart(Trouble):
    def __init__(self, hard):
        super().__init__()
        self.hard = hard
        self.title = "CoreDNS killed" if hard else "CoreDNS restart"

    def run(self, run, seconds):
        time.sleep(seconds * 0.4)
        replica = run.replicas["dns1"]
        begin = time.time()
        if self.hard:
            replica.process.kill()
        else:
            replica.process.stop()
        replica.start()
        # What it held back went with it; nothing was answered while it was away.
        self.doubtful.append((begin - BUFFERED_S, time.time() + 1.0, ("dns1",)))


class Lag(Trouble):
    title, proxied, early_joins, live_join = "dnstap 10 s late", True, True, True

    def run(self, run, seconds):
        for proxy in run.proxies.values():
            proxy.lag_s = 10.0


class Skew(Trouble):
    def __init__(self, shift_s):
        super().__init__()
        self.shift_s = shift_s
        self.margin_s = abs(shift_s)
        self.title = "flow clock %+.1f s" % shift_s


class SkewAndReuse(Skew):
    """As above, and addresses change hands faster than the clock is wrong."""
    barred = False

    def __init__(self, shift_s):
        super().__init__(shift_s)
        self.margin_s = 0.0
        self.title += ", fast reuse"


class LostFrames(Trouble):
    """Frames of one replica vanish for three seconds, then its connection is cut: what a network
    does. The other replica goes on, so that somebody is heard all the time."""
    title, proxied = "frames lost, then cut", True

    def run(self, run, seconds):
        time.sleep(seconds * 0.4)
        proxy = run.proxies["dns1"]
        proxy.drop_share = 1.0
        begin = time.time()
        time.sleep(3.0)
        self.blind(begin, time.time(), ("dns1",))
        proxy.drop_share = 0.0
        proxy.cut()


class SilentLoss(Trouble):
    """Frames vanish from a connection that stays: Frame Streams does not number them."""
    title, barred, proxied = "5 % of frames lost unseen", False, True

    def run(self, run, seconds):
        for proxy in run.proxies.values():
            proxy.drop_share = 0.05


class Untapped(Trouble):
    """One replica of two sends nothing; that there are two, the service knows from their pods."""
    title, replicas_tapped = "a replica not tapped", ("dns1",)

    def run(self, run, seconds):
        self.blind(0.0, float("inf"), ("dns2",))


KINDS = {
    "none": Trouble,
    "collector-restart": lambda: CollectorRestart(False),
    "collector-kill": lambda: CollectorRestart(True),
    "dns-restart": lambda: DnsRestart(False),
    "dns-kill": lambda: DnsRestart(True),
    "lag": Lag,
    "skew-behind": lambda: Skew(-1.5),
    "skew-ahead": lambda: Skew(1.5),
    "lost-frames": LostFrames,
    "untapped": Untapped,
    "silent-loss": SilentLoss,
    "skew-reuse": lambda: SkewAndReuse(-1.5),
}
