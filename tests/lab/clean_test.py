#!/usr/bin/env python3
# tests/lab/clean_test.py -- the laboratory leaves nothing behind, however it ends.
# SPDX-License-Identifier: Apache-2.0
#
# Lists namespaces, links, addresses, routes, rules, sysctls, mounts and processes; starts the
# laboratory; ends it at some moment by a signal to it or to its parent; lists again. The last line
# is "N passed, N failed, N skipped"; exit code 77 where the laboratory cannot run.

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = [sys.executable, os.path.join(HERE, "run.py"), "--seconds", "20", "-k", "^none$"]
MARK = "WHITHER_LAB_RUN"
# Counters, and what any other program of the machine may change meanwhile.
VOLATILE = re.compile(r"conntrack_count|\.gc_|route\.|neigh\.|base_reachable|random\.")


def output(*argv):
    """What a program prints; nothing where it is not there or may not."""
    path = shutil.which(argv[0], path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        return ""
    return subprocess.run([path] + list(argv[1:]), stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.DEVNULL, text=True).stdout


def listing():
    """{what: lines} of everything of the machine that a laboratory could change."""
    sysctls = [line for line in output("sysctl", "-a").splitlines()
               if line.startswith(("net.", "user.")) and not VOLATILE.search(line)]
    with open("/proc/self/mounts") as file:
        mounts = file.read().splitlines()
    return {"namespaces": output("ip", "netns", "list").splitlines(),
            "links": re.sub(r"state \w+", "", output("ip", "-o", "link")).splitlines(),
            "addresses": re.sub(r"\d+sec", "", output("ip", "-o", "addr")).splitlines(),
            "routes": (output("ip", "route") + output("ip", "-6", "route")
                       + output("ip", "rule")).splitlines(),
            "rules": re.sub(r"packets \d+ bytes \d+", "",
                            output("nft", "list", "ruleset")).splitlines(),
            "sysctls": sysctls, "mounts": mounts,
            "folders": sorted(name for folder in ("/run", tempfile.gettempdir())
                              for name in os.listdir(folder) if "lab" in name)}


def marked(mark):
    """{pid: its network namespace} of the processes that a run started."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as file:
                if ("%s=%s" % (MARK, mark)).encode() in file.read().split(b"\0"):
                    found[int(pid)] = os.readlink("/proc/%s/ns/net" % pid)
        except OSError:
            pass                # it ended, or is none of ours
    return found


def namespaces():
    """The network namespaces that any process is in or any mount holds."""
    with open("/proc/self/mountinfo") as file:
        found = set(re.findall(r"net:\[\d+\]", file.read()))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink("/proc/%s/ns/net" % pid))
        except OSError:
            pass
    return found


def start(mark, parent):
    """The laboratory, itself or as the child of a shell that waits for it."""
    argv = ["sh", "-c", '"$@"; exit $?', "sh"] + RUN if parent else RUN
    return subprocess.Popen(argv, env=dict(os.environ, **{MARK: mark}), start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def differences(before, after):
    for what in before:
        lost, new = set(before[what]) - set(after[what]), set(after[what]) - set(before[what])
        if lost or new:
            yield "%s: %s" % (what, "; ".join(["-" + line for line in sorted(lost)]
                                              + ["+" + line for line in sorted(new)]))


def interrupted(number, parent, seconds):
    """Ends a run by a signal after some seconds; what is wrong afterwards, as lines."""
    mark, before, mine = uuid.uuid4().hex, listing(), os.readlink("/proc/self/ns/net")
    process = start(mark, parent)
    time.sleep(seconds)
    if process.poll() is not None:
        return ["it had ended by itself: " + process.stdout.read()[-2000:]]
    inside = set(marked(mark).values()) - {mine}
    process.send_signal(number)
    wrong = []
    if not wait_until(lambda: not marked(mark), 10):
        wrong.append("processes: %s" % sorted(marked(mark)))
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    left = inside & namespaces()
    if left:
        wrong.append("network namespaces: %s" % sorted(left))
    if seconds > 3 and not inside:
        wrong.append("it had made no namespace yet: this shows nothing")
    return wrong + list(differences(before, listing()))


def forbidden():
    """Where no namespaces may be made, it says so and stops."""
    before = listing()
    script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\""
    done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"] + RUN,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    wrong = [] if done.returncode == 77 else ["exit code %d" % done.returncode, done.stdout]
    if "unshare" not in done.stdout:
        wrong.append("it does not say what is missing: " + done.stdout)
    return wrong + list(differences(before, listing()))


def without_programs():
    """Where programs are missing, it names them and their packages."""
    done = subprocess.run(RUN, env=dict(os.environ, PATH="/nonexistent"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    wrong = [] if done.returncode == 77 else ["exit code %d" % done.returncode]
    if "musl-tools" not in done.stdout:
        wrong.append("musl-gcc was not missed: " + done.stdout)
    return wrong


def main():
    probe = subprocess.run(RUN + ["--probe"], check=False)
    if probe.returncode != 0:
        print("0 passed, 0 failed, 1 skipped")
        return probe.returncode
    rng = random.Random()
    cases = [("without the right to make namespaces it names that and stops", forbidden),
             ("without its programs it names them and stops", without_programs)]
    for number, name in ((signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM"),
                         (signal.SIGKILL, "SIGKILL")):
        for parent in (False, True):
            if parent and number == signal.SIGINT:
                continue        # a terminal sends that one to both
            # Some while it starts, some while it runs; not before it has begun to watch its parent.
            seconds = rng.choice([rng.uniform(0.5, 3.0), rng.uniform(4.0, 12.0)])
            cases.append(("%s to %s after %.1f s leaves nothing" % (
                name, "its parent" if parent else "it", seconds),
                lambda number=number, parent=parent, seconds=seconds:
                interrupted(number, parent, seconds)))
    failed = 0
    for title, case in cases:
        wrong = case()
        failed += bool(wrong)
        print("  %-4s  %s" % ("FAIL" if wrong else "ok", title), flush=True)
        print("".join("        %s\n" % line for line in wrong), end="", flush=True)
    print("%d passed, %d failed, 0 skipped" % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
