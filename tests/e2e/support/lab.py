# tests/e2e/support/lab.py -- what a case works in: a folder, free ports, processes, deadlines.
# SPDX-License-Identifier: Apache-2.0
#
# A lab owns every process it started and ends each by its own pid; the folder with all logs stays
# only where a case failed. Everything listens on loopback. Threads: one lab belongs to one case.

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
IN_CI = os.environ.get("CI") == "true"


class Skip(Exception):
    """Raised by a case that cannot run here; the runner makes it a failure where CI=true."""


class Failure(AssertionError):
    """An expectation that did not hold."""


def need(program, package):
    """The path of a program, or the case is skipped."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise Skip("%s is not here (Debian package %s)" % (program, package))
    return path


def wait_for(what, condition, timeout=10.0, step=0.05):
    """Calls `condition` until it returns something true, which is returned; or fails."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure("after %.0f s still not: %s" % (timeout, what))
        time.sleep(step)


def expect(truth, message, *details):
    """Fails with `message` and the details unless `truth`."""
    if not truth:
        raise Failure("\n".join([message] + ["  " + brief(detail) for detail in details]))


def brief(detail, most=1500):
    """The detail as text, its middle left out where it is long."""
    text = str(detail)
    half = most // 2
    return text if len(text) <= most else text[:half] + " [..] " + text[-half:]


_handed_out = set()


def free_port(host="127.0.0.1"):
    """A port that is free for UDP and TCP on `host` and was not handed out before.

    It lies below those that the kernel gives to outgoing connections: a sender that tries again and
    again to reach a service that is down would sooner or later be given the service's own port."""
    while True:
        port = random.randrange(10240, 32768)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            if port in _handed_out:
                continue
            try:
                tcp.bind((host, port))
                udp.bind((host, port))
            except OSError:
                continue
            _handed_out.add(port)
            return port


class Process:
    """A running program whose output goes to LAB/NAME.log."""

    def __init__(self, lab, name, argv, env=None, pass_fds=()):
        self.name, self.log_path = name, lab.path(name + ".log")
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=lab.folder, pass_fds=pass_fds,
                                          env=dict(os.environ, **(env or {})))

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout):
        """The exit status; fails if it does not end within `timeout` seconds."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure("%s (pid %d) did not end within %.1f s"
                          % (self.name, self.pid, timeout)) from None

    def stop(self, timeout=10.0):
        """SIGTERM, and the seconds it took to end."""
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        self.wait(timeout)
        return time.monotonic() - begin

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()


class Lab:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="whither-e2e-")
        self.processes = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        """Writes a file of the lab and returns its path."""
        with open(self.path(name), "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        return self.path(name)

    def start(self, name, argv, **options):
        process = Process(self, name, [str(word) for word in argv], **options)
        self.processes.append(process)
        return process

    def run(self, argv, timeout=60.0, data=None, env=None, check=None):
        """Runs to the end. With `check`, the exit status must be that one."""
        argv = [str(word) for word in argv]
        done = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd=self.folder, timeout=timeout, env=dict(os.environ, **(env or {})))
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        if check is not None:
            expect(done.returncode == check,
                   "exit status %d where %d was due" % (done.returncode, check),
                   " ".join(argv), done.stdout[-2000:], done.stderr[-2000:])
        return done

    def end(self):
        """Ends what still runs, the latest first."""
        for process in reversed(self.processes):
            process.signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.popen.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
