#!/usr/bin/env python3
# tests/e2e/run.py -- runs the end-to-end cases: real senders, the real program, loopback only.
# SPDX-License-Identifier: Apache-2.0
#
# usage: run.py [-k PATTERN] [-j JOBS] [-l]
#   -k PATTERN   only the cases whose name has this regular expression
#   -j JOBS      cases at a time (default 4: they wait more than they compute)
#   -l           list them
#
# One line per case; the last line is "N passed, N failed, N skipped". A failed case prints why and
# leaves its folder with every log. Where CI=true, a case that would be skipped has failed.
# WHITHER or BUILD: the binary. COREDNS_OLD, COREDNS_NEW: CoreDNS binaries that are already built;
# KUBE: a folder with kube-apiserver and etcd.

import argparse
import importlib
import os
import pkgutil
import re
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases  # noqa: E402
from support import coredns  # noqa: E402
from support import kube  # noqa: E402
from support import lab as labs  # noqa: E402
from support import whither  # noqa: E402
from support.case import CASES  # noqa: E402


class Results:
    def __init__(self):
        self.lock = threading.Lock()
        self.passed, self.failed, self.skipped = 0, 0, {}

    def ok(self, case, seconds):
        with self.lock:
            self.passed += 1
            print("  ok    %s (%.1f s)" % (case.title, seconds), flush=True)

    def fail(self, case, why, folder):
        with self.lock:
            self.failed += 1
            print("  FAIL  %s" % case.title)
            print("\n".join("        " + line for line in why.rstrip().splitlines()))
            print("        logs: %s" % folder, flush=True)

    def skip(self, case, reason):
        with self.lock:
            self.skipped.setdefault(reason, []).append(case.title)

    def summary(self):
        skipped = 0
        for reason, titles in self.skipped.items():
            skipped += len(titles)
            print("  skip  %d case%s: %s" % (len(titles), "s" if len(titles) > 1 else "", reason))
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, skipped))


def run_case(case, results):
    lab, begin, keep = labs.Lab(), time.monotonic(), True
    try:
        case.function(lab, *case.arguments)
        lab.end()
        whither.check_sanitizers(lab)
        keep = False
        results.ok(case, time.monotonic() - begin)
    except labs.Skip as skip:
        if labs.IN_CI:
            results.fail(case, "cannot run here, and CI=true: %s" % skip, lab.folder)
        else:
            keep = False
            results.skip(case, str(skip))
    except labs.Failure as failure:
        results.fail(case, str(failure), lab.folder)
    except Exception:               # a case that breaks is a failed case, not the end of the run
        results.fail(case, traceback.format_exc(), lab.folder)
    finally:
        lab.end()
        if not keep:
            lab.remove()


def say_versions(chosen):
    """Builds CoreDNS before the first case waits for it, and says which versions take part."""
    if not any("CoreDNS" in case.title for case in chosen):
        return
    try:
        found = ["%s: %s" % (which, coredns.version(which)) for which in ("old", "new")]
        print("CoreDNS " + ", ".join(found), flush=True)
    except (labs.Skip, labs.Failure):
        pass                        # each case says so itself


def build_kube(chosen):
    """Builds kube-apiserver before the first case waits for it."""
    if any("kube-apiserver" in case.title for case in chosen):
        try:
            kube.folder()
        except (labs.Skip, labs.Failure):
            pass                    # each case says so itself


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", default="")
    parser.add_argument("-j", metavar="JOBS", type=int, default=4)
    parser.add_argument("-l", action="store_true")
    options = parser.parse_args()
    for module in pkgutil.iter_modules(cases.__path__):
        importlib.import_module("cases." + module.name)
    chosen = [case for case in CASES if re.search(options.k, case.title)]
    if options.l:
        print("\n".join(case.title for case in chosen))
        return 0
    if not os.access(whither.binary(), os.X_OK):
        print("there is no program at %s: make first" % whither.binary(), file=sys.stderr)
        return 2
    say_versions(chosen)
    build_kube(chosen)
    results = Results()
    with ThreadPoolExecutor(options.j) as pool:
        list(pool.map(lambda case: run_case(case, results),
                      [case for case in chosen if not case.alone]))
    for case in chosen:
        if case.alone:
            run_case(case, results)
    results.summary()
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
