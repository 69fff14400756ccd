# tests/e2e/support/tap.py -- stands between a sender and the service and notes what passes.
# SPDX-License-Identifier: Apache-2.0
#
# Bytes go through unchanged in both directions; of each Frame Streams frame the tap keeps when it
# passed, on which connection, from whom and what it was, and counts dnstap types. It can give a copy of what the sender says
# to a second receiver, whose replies are read and forgotten. Threads: two or three per connection.

import collections
import socket
import struct
import threading
import time

from . import wire

NAMES = {wire.ACCEPT: "ACCEPT", wire.START: "START", wire.STOP: "STOP", wire.READY: "READY",
         wire.FINISH: "FINISH"}


class Tap:
    """Listens on LAB/NAME.sock, or on a loopback port for a TCP target, and connects on."""

    def __init__(self, lab, target, name="tap", copy=None):
        self.target, self.copy = target, copy
        self.events, self.lock = [], threading.Lock()
        self.kinds = collections.Counter()      # data frames by dnstap type
        if target.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(lab.path(name + ".sock"))
            self.address = "unix:" + lab.path(name + ".sock")
        else:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.address = "tcp:127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        for number in range(1, 1000):
            near, _ = self.socket.accept()
            far, copies = wire.connect(self.target, None), []
            if self.copy:
                copies = [wire.connect(self.copy, None)]
                self._start(self._forget, copies[0])
            self._start(self._pass, number, "sender", near, [far] + copies)
            self._start(self._pass, number, "service", far, [near])

    @staticmethod
    def _start(function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()

    @staticmethod
    def _forget(source):
        while source.recv(65536):
            pass

    def _note(self, number, who, what):
        with self.lock:
            self.events.append((time.monotonic(), number, who, what))

    def _pass(self, number, who, source, targets):
        pending = b""
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                # Noted before it is passed on, so that an answer never seems to precede its cause.
                pending = self._frames(number, who, pending + data)
                for target in targets:
                    target.sendall(data)
        except OSError:
            pass
        self._note(number, who, "closed")
        for target in targets:
            try:
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _frames(self, number, who, data):
        """Notes every whole frame of `data` and returns the rest."""
        while len(data) >= 4:
            size = struct.unpack_from(">I", data)[0]
            if size == 0:
                if len(data) < 8 or len(data) < 8 + struct.unpack_from(">I", data, 4)[0]:
                    break
                size, kind = struct.unpack_from(">2I", data, 4)
                self._note(number, who, NAMES.get(kind, "control %d" % kind))
                data = data[8 + size:]
            elif len(data) < 4 + size:
                break
            else:
                self._note(number, who, "data")
                with self.lock:
                    self.kinds[wire.parse_payload(data[4:4 + size])["kind"]] += 1
                data = data[4 + size:]
        return data

    def when(self, number, who, what):
        """The first time (monotonic seconds) that was seen, or None."""
        with self.lock:
            for at, connection, whose, event in self.events:
                if (connection, whose, event) == (number, who, what):
                    return at
        return None
