# tests/bench/procs.py -- starting, feeding and metering the programs that are compared
# SPDX-License-Identifier: Apache-2.0
"""Processes are ended by their own id, and their CPU time is what wait4 reports: user and system
time of the whole life of the process, all its threads included."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time


class BenchError(Exception):
    """A measurement that could not be made, or made no sense; the text says why."""


def fields(text):
    """'frames 5 seconds 0.2' -> {'frames': 5.0, 'seconds': 0.2}"""
    words = text.split()
    return {k: float(v) for k, v in zip(words[::2], words[1::2])}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise BenchError(f"{what} did not happen within {seconds:.0f} s")


def disk_bytes(path):
    """Bytes that a folder takes on disk, whatever its files' nominal sizes."""
    total = 0
    for root, _, names in os.walk(path):
        total += sum(os.lstat(os.path.join(root, n)).st_blocks * 512 for n in names)
    return total


class Process:
    """A program under measurement. Its output goes to a log that is shown when it fails, or, its
    standard output, to a file of its own."""

    def __init__(self, argv, log, stdin=None, stdout=None):
        self.log = log
        self.argv = [str(a) for a in argv]
        self.cpu_s = None
        self.wall_s = None
        self.status = None
        self.begin = time.monotonic()
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=stdin or subprocess.DEVNULL, stdout=stdout or out, stderr=out
            )

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.status is None and self._reap(os.WNOHANG) is None

    def _reap(self, flags):
        if self.status is None:
            pid, status, usage = os.wait4(self.pid, flags)
            if pid:
                self.wall_s = time.monotonic() - self.begin
                self.cpu_s = usage.ru_utime + usage.ru_stime
                self.status = os.waitstatus_to_exitcode(status)
                self.popen.returncode = self.status
        return self.status

    def wait(self, seconds=None):
        """Waits for its end; raises where it fails."""
        if seconds is not None:
            wait_for(lambda: self._reap(os.WNOHANG) is not None, f"end of {self.argv[0]}", seconds)
        if self._reap(0) != 0:
            command = " ".join(self.argv[:3])
            raise BenchError(f"{command} ... ended with {self.status}: {self.tail()}")
        return self

    def stop(self, sig=signal.SIGTERM, seconds=30.0):
        """Asks it to end and waits; kills it where it does not."""
        if self._reap(os.WNOHANG) is not None:
            return self
        self.popen.send_signal(sig)
        try:
            wait_for(lambda: self._reap(os.WNOHANG) is not None, f"end of {self.argv[0]}", seconds)
        except BenchError:
            self.popen.kill()
            self._reap(0)
            raise
        return self

    def end(self):
        """Ends it whatever its state. Asked first: a killed nginx would leave its workers."""
        try:
            self.stop(seconds=10.0)
        except BenchError:
            pass

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def tail(self):
        lines = self.output().strip().splitlines()
        return " / ".join(lines[-3:]) if lines else "(no output)"

    def rss_anon_bytes(self):
        with open(f"/proc/{self.pid}/status") as f:
            found = re.search(r"RssAnon:\s+(\d+) kB", f.read())
        return int(found.group(1)) * 1024 if found else 0


class Service(Process):
    """`whither serve` on loopback, with a unix socket for dnstap; ready once constructed."""

    def __init__(self, whither, scratch, data, extra=()):
        self.port = free_port()
        self.socket = os.path.join(scratch, f"serve-{self.port}.sock")
        self.data = data
        argv = [whither, "serve", "--data", data, "--dnstap", f"unix:{self.socket}"]
        argv += ["--http", f"127.0.0.1:{self.port}", *extra]
        super().__init__(argv, os.path.join(scratch, f"serve-{self.port}.log"))
        wait_for(self._ready_or_dead, "readiness of whither serve")
        if not self.alive():
            raise BenchError(f"whither serve ended with {self.status}: {self.tail()}")

    def _ready_or_dead(self):
        if not self.alive():
            return True
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def get(self, path):
        """(status, body) of one GET."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            c.request("GET", path)
            answer = c.getresponse()
            return answer.status, answer.read()
        finally:
            c.close()

    def metrics(self):
        """{name with labels: value} of /metrics."""
        status, body = self.get("/metrics")
        if status != 200:
            raise BenchError(f"/metrics answered {status}")
        found = {}
        for line in body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found


def run_json(argv):
    """Standard output of a program, as JSON."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if done.returncode != 0:
        command = " ".join(argv[:3])
        raise BenchError(f"{command} ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
