# tests/lab/flows.py -- the kernel's own records of connections: conntrack events and packet logs.
# SPDX-License-Identifier: Apache-2.0
#
# `conntrack -E` prints what it sees. The packet log goes through NFLOG to ulogd, because a LOG rule
# in a namespace only speaks when a sysctl of the whole machine allows it, and the laboratory
# changes nothing outside; ulogd's LOGEMU writes the same line. Its own times have whole seconds, so
# what stands before the message is written anew on arrival, as a syslog daemon does.
#
# As a program: `flows.py stamp` copies lines from standard input to standard output in that way.

import datetime
import os
import sys

import net

PLUGINS = "/usr/lib/x86_64-linux-gnu/ulogd"

ULOGD = """\
[global]
logfile="%(folder)s/ulogd.own.log"
loglevel=3
plugin="%(plugins)s/ulogd_inppkt_NFLOG.so"
plugin="%(plugins)s/ulogd_filter_IFINDEX.so"
plugin="%(plugins)s/ulogd_filter_IP2STR.so"
plugin="%(plugins)s/ulogd_filter_PRINTPKT.so"
plugin="%(plugins)s/ulogd_filter_HWHDR.so"
plugin="%(plugins)s/ulogd_output_LOGEMU.so"
plugin="%(plugins)s/ulogd_raw2packet_BASE.so"
stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,mac2str1:HWHDR,print1:PRINTPKT,emu1:LOGEMU
[log1]
group=5
[emu1]
file="%(folder)s/nflog.fifo"
sync=1
"""


def find_plugins():
    """The folder of ulogd's plugins, or None."""
    for folder, _, files in os.walk("/usr/lib"):
        if "ulogd_inppkt_NFLOG.so" in files:
            return folder
    return None


class Flows:
    """Both logs of one run: `conntrack` and `kernel-log` are paths."""

    def __init__(self, lab):
        self.paths = {"conntrack": lab.path("flows.conntrack"),
                      "kernel-log": lab.path("flows.log")}
        fifo = lab.path("nflog.fifo")
        os.mkfifo(fifo)
        with open(fifo, "rb+", buffering=0) as pipe, open(self.paths["kernel-log"], "wb") as out:
            self.stamper = lab.start("stamp", ["python3", "-u", os.path.abspath(__file__), "stamp"],
                                     stdin=pipe, stdout=out)
        config = lab.write("ulogd.conf", ULOGD % {"folder": lab.folder, "plugins": find_plugins()})
        lab.start("ulogd", net.inside("rtr", "ulogd", "-c", config))
        with open(self.paths["conntrack"], "wb") as out:
            argv = ["conntrack", "-E", "-o", "timestamp", "-e", "NEW", "-b", "8388608"]
            lab.start("conntrack", net.inside("rtr", *argv), stdout=out)


def shift(form, line, seconds):
    """The line as a clock that differs by so much would have stamped it."""
    if seconds == 0.0:
        return line
    if form == "conntrack":
        end = line.index("]")
        return "[%.6f%s" % (float(line[1:end]) + seconds, line[end:])
    time, rest = line.split(" ", 1)
    moved = datetime.datetime.fromisoformat(time) + datetime.timedelta(seconds=seconds)
    return moved.isoformat(timespec="microseconds") + " " + rest


def stamp():
    for line in sys.stdin:
        now = datetime.datetime.now(datetime.timezone.utc)
        words = line.split(" ", 4) if line[4] != " " else line.replace("  ", " ", 1).split(" ", 4)
        sys.stdout.write("%s node kernel: %s" % (now.isoformat(timespec="microseconds"), words[4]))
        sys.stdout.flush()


if __name__ == "__main__":
    stamp()
