# tests/e2e/cases/loki.py -- flow records pulled out of Loki.
# SPDX-License-Identifier: Apache-2.0

import os
import time

from support import lab as labs
from support import wire
from support.case import case
from support.lab import expect, wait_for
from support.loki import Loki
from support.whither import Commands, Service, binary, json_lines

from .peers import answers
from .push import packet


def prepared(lab, **options):
    """Commands over an index, a Loki with 600 lines in pairs at one nanosecond, their times."""
    commands = Commands(lab)
    begin_us = time.time_ns() // 1000 - 1800 * 1000000
    commands.ingest(lab.write("dns.fstrm", wire.capture_file(answers(begin_us, 200, clients=200))))
    loki = Loki(labs.free_port(), **options)
    for number in range(600):
        source, destination = "10.244.0.%d" % (number % 200), "198.51.0.%d" % (number % 200)
        at_ns = (begin_us + 1000000) * 1000 + (number // 2) * 1000000007
        loki.add(at_ns, packet(number, source, destination), node="node-%d" % (number % 5))
    return commands, loki


def join(commands, loki, query, userinfo="", check=0):
    source = "loki:http://%s127.0.0.1:%d?query={job=\"x\"} |= \"calico\"&since=1h%s" \
        % (userinfo, loki.server.server_port, query)
    done = commands.run("join", source, "--data", commands.data, "--to", "ecs", check=check)
    return json_lines(done.stdout), done.stderr


def check_whole(flows):
    ports = [flow["source"]["port"] for flow in flows]
    expect(sorted(ports) == list(range(1024, 1624)), "lines were lost or doubled", len(ports))
    times = [flow["@timestamp"] for flow in flows]
    expect(times == sorted(times), "not in the order of time")
    named = sum(1 for flow in flows if flow["destination"].get("domain"))
    expect(named == 600, "without a name", 600 - named)


@case("Loki is pulled page by page: no line is lost or doubled at the borders")
def pages(lab):
    commands, loki = prepared(lab)
    for limit in ("", "&limit=600", "&limit=100", "&limit=7", "&limit=3"):
        loki.queries.clear()
        check_whole(join(commands, loki, limit)[0])
        expect(all(query["direction"] == "forward" for query in loki.queries), "not forward")
        expect(loki.queries[0]["query"] == '{job="x"} |= "calico"', "another query",
               loki.queries[0])
    loki.close()


@case("what Loki refuses is asked for in smaller pieces, and again where it is busy")
def refusals(lab):
    commands, loki = prepared(lab)
    loki.range_max_s, loki.busy = 300, 2
    check_whole(join(commands, loki, "")[0])
    loki.limit_max = 50
    check_whole(join(commands, loki, "")[0])
    loki.close()


@case("more lines at one nanosecond than a page holds: Loki's page is said to be capped")
def capped(lab):
    commands, loki = prepared(lab)
    flows, told = join(commands, loki, "&limit=2")
    expect("a page was capped" in told, "not told", told[:1000])
    check_whole(flows)
    loki.close()


@case("Loki's credentials are used and never shown")
def credentials(lab):
    commands, loki = prepared(lab, token="sesame-sesame", org="tenant-1")
    token = lab.write("token", b"sesame-sesame\n")
    check_whole(join(commands, loki, "&org=tenant-1&token-file=" + token)[0])
    told = join(commands, loki, "&org=tenant-2&token-file=" + token, check=3)[1]
    expect("answered 401" in told and "sesame" not in told, "not told, or too much", told)
    loki.close()
    commands, loki = prepared(lab, user="reader:secret-word")
    check_whole(join(commands, loki, "", userinfo="reader:secret-word@")[0])
    told = join(commands, loki, "", userinfo="reader:wrong-word@", check=3)[1]
    expect("answered 401" in told and "word" not in told, "not told, or too much", told)
    loki.close()
    told = join(commands, loki, "", userinfo="reader:wrong-word@", check=3)[1]
    expect("loki:http://127.0.0.1" in told and "word" not in told, "not told, or too much", told)


def output(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return json_lines(file.read().rpartition("\n")[0])     # its last line may be half written


def add_now(loki, numbers):
    for number in numbers:
        loki.add(time.time_ns(), packet(number, "10.244.0.%d" % (number % 200),
                                        "198.51.0.%d" % (number % 200)), node="node-1")


def source_of(loki):
    return "loki:http://127.0.0.1:%d?query={job=\"x\"} |= \"calico\"&since=1h&limit=50" \
        % loki.server.server_port


@case("Loki is followed: each line once and in order, though the join is killed and Loki away")
def followed(lab):
    commands, loki = prepared(lab)
    out = lab.path("named.jsonl")
    argv = [binary(), "join", "--follow", source_of(loki), "--data", commands.data,
            "--out", "file:" + out]
    process = lab.start("join-1", argv)
    wait_for("the backlog is named", lambda: len(output(out)) == 600, 30)
    add_now(loki, range(600, 620))
    wait_for("new lines are named", lambda: len(output(out)) == 620, 30)
    process.kill()
    add_now(loki, range(620, 640))
    loki.busy = 1
    process = lab.start("join-2", argv)
    wait_for("what came meanwhile is named", lambda: len(output(out)) >= 640, 40)
    process.stop(10)
    flows = output(out)
    ports = [flow["source"]["port"] - 1024 for flow in flows]
    times = [flow["@timestamp"] for flow in flows]
    expect(sorted(ports) == list(range(640)), "lines were lost or doubled", len(ports))
    expect(times == sorted(times), "not in the order of time")
    loki.close()
    done = lab.run(argv[:-2], check=2)
    expect("--out file:PATH" in done.stderr, "not told", done.stderr)


@case("serve --flows pulls out of Loki, too")
def served(lab):
    commands, loki = prepared(lab)
    out = lab.path("named.jsonl")
    service = Service(lab, options=["--flows", source_of(loki), "--out", "file:" + out])
    wait_for("the backlog is named", lambda: len(output(out)) == 600, 30)
    expect(all(flow["destination"].get("domain") for flow in output(out)), "without a name")
    service.stop()
    loki.close()
