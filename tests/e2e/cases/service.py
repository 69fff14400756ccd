# tests/e2e/cases/service.py -- how the service starts and ends.
# SPDX-License-Identifier: Apache-2.0

import os
import stat
import time

from support import lab as labs
from support import wire
from support.case import case
from support.lab import expect, need, wait_for
from support.whither import Commands, Service, binary

from .peers import answers


def now_us():
    return time.time_ns() // 1000


@case("SIGTERM under load: ended within 5 s, and everything received is committed")
def orderly_stop(lab):
    service = Service(lab)
    count = 4000
    begin_us = now_us() - 30000000
    payloads = answers(begin_us, 5 * count, clients=200)
    senders = [wire.Sender(service.unix if number % 2 else service.tcp) for number in range(5)]
    for step in range(0, count, 500):
        for number, sender in enumerate(senders):
            sender.send(payloads[number * count + step:number * count + step + 500])
    time.sleep(0.5)                 # from the kernel's buffers into the service
    service.stop(within=5.0)
    for number in range(0, 5 * count, 997):
        pair = "10.244.0.%d" % (number % 200), "198.51.%d.%d" % divmod(number, 256)
        found = service.lookup(*pair, at_us=begin_us + number * 1000 + 1000)
        expect(found.get("domain") == "host-%d.example.com" % number, "lost: %d" % number, found)
    expect(not os.path.exists(service.unix[5:]), "the socket is left behind")


@case("a second service on the same data is refused and told who has it")
def second_writer(lab):
    service = Service(lab)
    other = Service(lab, start=False)
    other.unix = "unix:" + lab.path("other.sock")
    done = lab.run(other.command(), timeout=10, check=1)
    expect(len(done.stderr.strip().splitlines()) == 1, "not one clear line", done.stderr)
    done = service.ingest(lab.write("x.fstrm", wire.capture_file([])), check=1)
    expect("--server" in done.stderr, "ingest does not name the way in", done.stderr)


@case("a socket left by a killed service is taken over, one in use is not")
def stale_socket(lab):
    service = Service(lab)
    service.kill()
    expect(os.path.exists(service.unix[5:]), "the socket is gone without an orderly end")
    service.start()
    wire.Sender(service.unix).finish()
    mode = stat.S_IMODE(os.stat(service.unix[5:]).st_mode)
    expect(mode == 0o666, "the socket has mode %o" % mode)
    other = Service(lab, data="other-data", start=False)
    other.unix = service.unix
    done = lab.run(other.command(), timeout=10, check=1)
    expect(service.unix[5:] in done.stderr, "the socket is not named", done.stderr)
    wire.Sender(service.unix).finish()


@case("systemd hands over the sockets: frames sent before the service runs are not lost")
def socket_activation(lab):
    program = need("systemd-socket-activate", "systemd")
    service = Service(lab, start=False)
    path, port = lab.path("activated.sock"), labs.free_port()
    service.process = lab.start("whither", [
        program, "-l", path, "-l", "127.0.0.1:%d" % port, binary(), "serve", "--data", service.data,
        "--http", "127.0.0.1:%d" % service.http_port])
    wait_for("the socket is there", lambda: os.path.exists(path))
    payloads = answers(now_us() - 1000000, 4)
    for number, address in enumerate(("unix:" + path, "tcp:127.0.0.1:%d" % port)):
        sender = wire.Sender(address, timeout=15)
        sender.send(payloads[number:number + 1])
        sender.finish()
    service.wait_ready()
    for number in (0, 1):
        service.wait_name("10.244.0.%d" % number, "198.51.0.%d" % number,
                          "host-%d.example.com" % number)
    service.stop()


@case("reading commands work beside a running service and after it")
def readers(lab):
    service = Service(lab)
    sender = wire.Sender(service.unix)
    sender.send(answers(now_us() - 100000, 8))
    sender.finish()
    at_us = now_us()
    live = service.lookup("10.244.0.1", "198.51.0.1", at_us)
    rows = service.names("host-1.example.com")
    service.stop()
    later = Commands(lab)
    expect(live["domain"] == "host-1.example.com", "not found beside the service", live)
    expect(later.lookup("10.244.0.1", "198.51.0.1", at_us) == live, "another answer afterwards")
    expect(len(rows) == 1, "not one row", rows)
    expect(later.names("host-1.example.com") == rows, "other rows afterwards", rows)
