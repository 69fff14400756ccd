#!/usr/bin/env python3
# tests/lab/run.py -- the laboratory: real resolvers, a real kernel, and the truth beside the names.
# SPDX-License-Identifier: Apache-2.0
#
# usage: run.py [--short] [-k PATTERN] [-j JOBS] [--seed N] [--seconds N] [--coredns PATH] [--probe]
#   --short      four scenarios of 35 s of clients, not all of 70 s: for `make test`
#   -k PATTERN   only the scenarios whose name has this regular expression
#   -j JOBS      scenarios at a time (default 2: they wait more than they compute)
#   --probe      only whether it can run here
#
# Prints the truth table of each scenario and whether the four bars hold; exit code 1 where one does
# not, with the flows at fault and whither's reasoning. Exit code 77: this machine lacks something,
# which is named, and nothing was changed. WHITHER or BUILD: the program under test.

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sandbox  # noqa: E402

if __name__ == "__main__":
    sandbox.die_with_parent(signal.SIGTERM)     # first of all: whoever waits for us may go away

import argparse  # noqa: E402
import re  # noqa: E402
import select  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402

import flows  # noqa: E402
import scenario  # noqa: E402
import table  # noqa: E402
import trouble  # noqa: E402
from support import coredns, whither  # noqa: E402
from support import lab as labs  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "ulogd": "ulogd2",
            "nsenter": "util-linux", "sysctl": "procps", "openssl": "openssl", "curl": "curl",
            "musl-gcc": "musl-tools", "cc": "gcc"}
SHORT = ("none", "collector-kill", "lost-frames", "untapped")


def probe():
    """In a sandbox: does everything work that the kernel must have?"""
    import net
    try:
        net.Net()
    except (RuntimeError, OSError) as error:
        raise sandbox.Impossible(str(error)) from None
    done = subprocess.run(net.inside("rtr", "timeout", "0.2", "conntrack", "-E"), text=True,
                          stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 124):
        raise sandbox.Impossible("conntrack events: " + done.stderr.strip())
    return True


def wait_for(running, done):
    """Waits until one of the sandboxes says something; `done(sandbox, answer)` gets answers."""
    for one in select.select(list(running), [], [])[0]:
        answer = one.read()
        if answer is not None:
            running.remove(one)
            done(one, answer)


def missing():
    """What this machine lacks, in words; an empty list where the laboratory can run."""
    lacks = ["%s (Debian package %s)" % pair for pair in PROGRAMS.items()
             if shutil.which(pair[0], path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if not lacks and flows.find_plugins() is None:
        lacks.append("ulogd's NFLOG plugin (Debian package ulogd2)")
    if lacks:
        return lacks
    answers, running = [], [sandbox.Sandbox("probe", probe)]
    while running:
        wait_for(running, lambda _, answer: answers.append(answer))
    if "ok" in answers[0]:
        return []
    return [answers[0].get("impossible") or answers[0]["error"].strip().splitlines()[-1]]


def build_workloads(folder):
    os.makedirs(folder, exist_ok=True)
    built = {}
    for libc, compiler in (("glibc", "cc"), ("musl", "musl-gcc")):
        built[libc] = os.path.join(folder, "workload-" + libc)
        subprocess.run([compiler, "-std=c11", "-D_GNU_SOURCE", "-O1", "-o", built[libc],
                        os.path.join(HERE, "workload.c")]
                       + (["-static"] if libc == "musl" else []), check=True)
    return built


def skip(lacks):
    print("  skip  the laboratory cannot run here, nothing was changed; missing:")
    print("\n".join("        " + lack for lack in lacks))
    print("0 passed, 0 failed, 1 skipped")
    return 77


class Runner:
    def __init__(self, options, folder, binary, workloads):
        self.options, self.folder = options, folder
        self.binary, self.workloads = binary, workloads
        self.running, self.summaries, self.broken = [], [], []

    def start(self, kind, seed):
        keep = os.path.join(self.folder, "%s-%s" % (kind, seed))
        shutil.rmtree(keep, ignore_errors=True)
        self.running.append(sandbox.Sandbox(kind, scenario.run, kind, seed, self.options.seconds,
                                            self.binary, self.workloads, keep))

    def done(self, one, answer):
        seconds = time.monotonic() - one.begin
        if "ok" in answer:
            table.show(answer["ok"], seconds)
            self.summaries.append(answer["ok"])
        else:
            self.broken.append(one.name)
            print("\n== %s: broke off (%.0f s)\n%s" % (
                one.name, seconds, answer.get("impossible") or answer["error"]), flush=True)

    def run(self, kinds):
        waiting = list(kinds)
        while waiting or self.running:
            while waiting and len(self.running) < self.options.j:
                self.start(waiting.pop(0), self.options.seed)
            wait_for(self.running, self.done)

    def end(self):
        for one in self.running:
            one.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("-k", metavar="PATTERN", default="")
    parser.add_argument("-j", metavar="JOBS", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--coredns", metavar="PATH", default=os.environ.get("COREDNS_OLD"))
    options = parser.parse_args()
    options.seconds = options.seconds or (35 if options.short else 70)
    if not os.access(whither.binary(), os.X_OK):
        print("lab: there is no program at %s: make first" % whither.binary(), file=sys.stderr)
        return 2
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lacks = missing()
    if lacks:
        return skip(lacks)
    if options.probe:
        return 0
    folder = os.path.join(labs.ROOT, os.environ.get("BUILD", "build"), "lab")
    try:
        binary = options.coredns or coredns.binary("old")
    except labs.Skip as why:
        return skip([str(why)])
    runner = Runner(options, folder, binary, build_workloads(folder))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kinds = SHORT if options.short and not options.k else trouble.KINDS
    try:
        runner.run([kind for kind in kinds if re.search(options.k, kind)])
    except KeyboardInterrupt:
        return 130
    finally:
        runner.end()
    return table.conclude(runner.summaries, runner.broken)


if __name__ == "__main__":
    sys.exit(main())
