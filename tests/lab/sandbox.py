# tests/lab/sandbox.py -- runs a function in namespaces of its own that die with it.
# SPDX-License-Identifier: Apache-2.0
#
# User, network, mount and process namespaces: what is made inside (network namespaces, links,
# rules, sysctls, mounts, files under /run) is not there for anybody else, and the kernel removes it
# with the last process. Nothing is cleaned up by us, so nothing can be left behind, wherever a run
# is interrupted: if the laboratory ends by whatever signal, the first process inside gets SIGKILL,
# and with a process namespace's first process go all others. Root of the machine is not needed
# where the kernel gives user namespaces to everyone, and is never used.
#
# Threads: start sandboxes from a process that has none (they fork).

import ctypes
import json
import os
import select
import signal
import sys
import time
import traceback

FOLDER = "/run/lab"             # on a file system in memory that only the sandbox sees

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (0x20000, 0x10000000, 0x20000000,
                                                          0x40000000)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """The machine does not allow it; the text says what."""


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))


def die_with_parent(number=signal.SIGKILL):
    _check(_libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0), "prctl")


def mount(source, target, kind=None, flags=0, data=None):
    encode = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _check(_libc.mount(encode[0], encode[1], encode[2], ctypes.c_ulong(flags), encode[3]),
           "mount on " + target)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _enter():
    """Namespaces of its own for this process and what it forks."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET),
           "unshare(user, mount, process, network)")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", "0 %d 1" % uid)
    _write("/proc/self/gid_map", "0 %d 1" % gid)


def _furnish():
    """A private /run and /proc, and resolver files that the sandbox may cover."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    resolv = os.path.realpath("/etc/resolv.conf")
    mount("lab", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    try:
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        pass                    # a container hides parts of /proc: the outer one will do
    os.makedirs(FOLDER)
    if resolv.startswith("/run/"):
        os.makedirs(os.path.dirname(resolv), exist_ok=True)
        _write(resolv, "")


def cover(path, content):
    """Makes `path` have this content for everything in the sandbox that starts from now on."""
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise Impossible("there is no %s to cover" % path)
    mine = os.path.join(FOLDER, os.path.basename(path))
    _write(mine, content)
    mount(mine, real, None, MS_BIND)


def _first(function, arguments, alive, results):
    """The first process of the namespaces: runs the function, sends what it returns."""
    status = 1
    try:
        die_with_parent()
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)         # the parent was gone before the line above
        signal.signal(signal.SIGINT, signal.SIG_IGN)   # the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        _furnish()
        answer = {"ok": function(*arguments)}
        status = 0
    except BaseException as error:
        kind = "impossible" if isinstance(error, Impossible) else "error"
        answer = {kind: str(error) if kind == "impossible" else traceback.format_exc()}
    with os.fdopen(results, "w") as pipe:
        json.dump(answer, pipe)
    os._exit(status)


def _guard(function, arguments, alive, results):
    """Between the laboratory and the sandbox: it enters the namespaces and waits."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    try:
        _enter()
    except OSError as error:
        with os.fdopen(results, "w") as pipe:
            json.dump({"impossible": str(error)}, pipe)
        os._exit(1)
    mine, theirs = os.pipe()    # says to the child whether this process still lives
    child = os.fork()
    if child == 0:
        os.close(theirs)
        _first(function, arguments, mine, results)
    os.close(mine)
    os.close(results)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 127)


class Sandbox:
    """A running sandbox. `function(*arguments)` returns something that JSON can hold."""

    def __init__(self, name, function, *arguments):
        self.name, self.begin = name, time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self._results, results = os.pipe()
        alive, self._alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._results)
            os.close(self._alive)
            _guard(function, arguments, alive, results)
        os.close(results)
        os.close(alive)
        self._answer = b""

    def fileno(self):
        return self._results

    def read(self):
        """Takes what is there; the answer once it is whole, else None."""
        chunk = os.read(self._results, 1 << 20)
        self._answer += chunk
        return None if chunk else self._end()

    def _end(self):
        os.close(self._results)
        os.close(self._alive)
        os.waitpid(self.pid, 0)
        self.pid = 0
        try:
            return json.loads(self._answer)
        except ValueError:
            return {"error": "the sandbox ended without an answer"}

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
