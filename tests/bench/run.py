#!/usr/bin/env python3
# tests/bench/run.py -- measures whither beside its peers and prints the cost table
# SPDX-License-Identifier: Apache-2.0
"""Every row is a figure, the figure of a peer measured in the same run on the same machine, their
ratio, and the bar that is to be reached. The table is Markdown and aligned, so that it can be
pasted. Exit code 1 if a row could not be measured; a bar that is missed is shown, not an error."""

import argparse
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from procs import BenchError, Process, Service, disk_bytes, fields, free_port, run_json, wait_for

LIVE_RATE = 50_000  # frames a second; one busy cluster
HTTP_CONNECTIONS = 64
HTTP_SECONDS = 8
HTTP_ROUNDS = 3
JOIN_FLOWS = 1_000_000
JOIN_PAIRS = 200_000
JOIN_SIGHTINGS = 1_000_000
DUCKDB = "2.0.0"
DAY_S = 86_400
HOUR_S = 3_600

WRK_SCRIPT = """
local requests, at = {}, 0
function init(args)
    for line in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("GET", line)
    end
end
function request()
    at = at % #requests + 1
    return requests[at]
end
"""

NGINX_CONF = """
{user}
worker_processes {workers};
daemon off;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.error warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=16 inactive=1h;
    client_body_temp_path {scratch}/nginx-body;
    proxy_temp_path {scratch}/nginx-proxy;
    fastcgi_temp_path {scratch}/nginx-fastcgi;
    uwsgi_temp_path {scratch}/nginx-uwsgi;
    scgi_temp_path {scratch}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /v1/lookup {{ default_type application/json; alias {scratch}/body.json; }}
    }}
}}
"""


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """The programs, a scratch folder of its own, and the rows measured so far."""

    def __init__(self, args, scratch):
        self.args = args
        self.scratch = scratch
        self.whither = os.path.abspath(os.path.join(args.build, "whither"))
        self.tools = os.path.abspath(os.path.join(args.build, "bench"))
        self.rows = []
        self.running = []
        self.logs = 0

    def path(self, name):
        return os.path.join(self.scratch, name)

    def tool(self, name):
        return os.path.join(self.tools, name)

    def row(self, what, ours, peer, ratio, bar, ok):
        self.rows.append((what, ours, peer, ratio, bar, "ok" if ok else "**not**"))
        note(f"{what}: {ours} | {peer} | {ratio} | {bar} | {'ok' if ok else 'NOT REACHED'}")

    def start(self, argv, **more):
        self.logs += 1
        process = Process(argv, self.path(f"{self.logs}.log"), **more)
        self.running.append(process)
        return process

    def serve(self, data, *extra):
        service = Service(self.whither, self.scratch, data, extra)
        self.running.append(service)
        return service

    def end_all(self):
        for process in self.running:
            process.end()
        self.running.clear()

    def generate(self, name, frames, *options):
        """A capture, warm in the page cache; returns (path, genmix's figures)."""
        path = self.path(name)
        argv = [self.tool("genmix"), "--frames", str(frames), "-o", path, *map(str, options)]
        figures = fields(self.start(argv).wait().output())
        note(
            f"{name}: {frames:,} frames, {figures['bytes_per_frame']:.0f} bytes a frame,"
            f" one in {figures['frames_per_answer']:.1f} with an address"
        )
        return path, figures

    def replay(self, capture, target, rate=None):
        """Sends a capture and waits for FINISH; returns replay's figures."""
        argv = [self.tool("replay"), capture, target]
        if rate:
            argv[1:1] = ["--rate", str(rate)]
        return fields(self.start(argv).wait().output())

    def fresh_dir(self, name):
        path = self.path(name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def status(self, data):
        return run_json([self.whither, "status", "--data", data, "--output", "json"])


# ---- Live ingest ----


def cpu_of_peer(bench, argv, socket_path, capture, rate, stop):
    """CPU seconds of a peer that reads one stream from its unix socket."""
    if os.path.exists(socket_path):
        os.unlink(socket_path)
    peer = bench.start(argv)
    wait_for(lambda: os.path.exists(socket_path) or not peer.alive(), f"socket of {argv[0]}")
    bench.replay(capture, f"unix:{socket_path}", rate)
    return peer.stop(stop).cpu_s


def check_kept(bench, data, answers):
    """A figure counts only if the answers are there. Repeats within a millisecond are one."""
    kept = bench.status(data)["answers"]
    if not 0.999 * answers <= kept <= answers:
        raise BenchError(f"{answers:.0f} answers were sent, {kept} are in the index")


def cpu_of_whither(bench, capture, answers, rate):
    data = bench.fresh_dir("live")
    service = bench.serve(data)
    bench.replay(capture, f"unix:{service.socket}", rate)
    if service.stop().status != 0:
        raise BenchError(f"whither serve ended with {service.status}: {service.tail()}")
    check_kept(bench, data, answers)
    return service.cpu_s


def live_once(bench, what, frames, rate):
    # A live frame must be close to its receipt: the stream starts now.
    capture, figures = bench.generate(
        "live.fstrm", frames, "--start", int(time.time()), "--rate", LIVE_RATE
    )
    fstrm_socket, dnstap_socket = bench.path("fstrm.sock"), bench.path("dnstap.sock")
    fstrm = ["fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", fstrm_socket, "-w", "/dev/null"]
    dnstap = ["dnstap", "-u", dnstap_socket, "-q", "-w", "/dev/null"]

    ours, copies = [], []
    for _ in range(bench.args.rounds):
        ours.append(cpu_of_whither(bench, capture, figures["answers"], rate))
        copies.append(cpu_of_peer(bench, fstrm, fstrm_socket, capture, rate, signal.SIGTERM))
    printer = cpu_of_peer(bench, dnstap, dnstap_socket, capture, rate, signal.SIGINT)

    millions = frames / 1e6
    mine = statistics.median(ours) / millions
    copy = statistics.median(copies) / millions
    printer /= millions
    show = "{:.3f} s/M frames".format
    bench.row(
        f"live ingest CPU, {what}, beside fstrm_capture",
        show(mine), show(copy), f"{mine / copy:.2f}", "≤ 3", mine <= 3 * copy,
    )
    bench.row(
        f"live ingest CPU, {what}, beside dnstap -q",
        show(mine), show(printer), f"1/{printer / mine:.1f}", "≤ 1/6", 6 * mine <= printer,
    )
    os.unlink(capture)


def measure_live(bench):
    live_once(bench, "flat out", bench.args.live_frames, None)
    live_once(bench, "50 k frames/s", LIVE_RATE * 20, LIVE_RATE)


# ---- Ingest of a capture ----


def ingest(bench, capture, data, cpu=None):
    argv = [bench.whither, "ingest", "--quiet", "--data", data, capture]
    if cpu is not None:
        argv[:0] = ["taskset", "-c", str(cpu)]
    return bench.start(argv).wait()


def ingest_once(bench, what, bar_per_s, *options):
    frames = bench.args.frames
    capture, figures = bench.generate("ingest.fstrm", frames, *options)
    cpu = max(os.sched_getaffinity(0))
    peer = ["taskset", "-c", str(cpu), bench.tool("reference"), capture]
    loads, peers = [], []
    for _ in range(bench.args.rounds):
        data = bench.fresh_dir("ingest")
        loads.append(ingest(bench, capture, data, cpu))
        peers.append(fields(bench.start(peer).wait().output())["frames_per_s"])

    check_kept(bench, data, figures["answers"])
    peer_rate = statistics.median(peers)
    wall_s = statistics.median(load.wall_s for load in loads)
    cpu_s = statistics.median(load.cpu_s for load in loads)
    rate = frames / wall_s
    # On a machine that does other work, too, the wall time exceeds the CPU time by much.
    bench.row(
        f"ingest of a capture, {what}, beside protobuf-c and ldns decoding alone",
        f"{rate / 1e6:.2f} M frames/s ({wall_s:.1f} s, CPU {cpu_s:.1f} s)",
        f"{peer_rate / 1e6:.2f} M frames/s",
        f"{rate / peer_rate:.2f}", f"≥ {bar_per_s / 1e6:g} M/s", rate >= bar_per_s,
    )
    os.unlink(capture)
    index_size(bench, what, data)


def index_size(bench, what, data):
    status = bench.status(data)
    size = disk_bytes(data)
    each = (size - 3 * status["times"]) / status["sightings"]
    bench.row(
        f"index size, {what}, {status['sightings'] / 1e6:.2f} M sightings",
        f"{each:.1f} bytes/sighting", f"{status['times'] / 1e6:.2f} M times at 3 bytes", "",
        "≤ 96 bytes", each <= 96,
    )


def measure_ingest(bench):
    ingest_once(bench, "cluster mix", 3e6)
    ingest_once(bench, "new pairs", 1.5e6, "--new-pairs")


# ---- Lookups in the index ----


def load_sightings(bench, size):
    """An index of that many sightings; returns (its folder, keys that can be looked up)."""
    # 2,000 a second: a day holds the whole, and no client is over its hourly limit.
    options = ["--sightings-only", "--new-pairs", "--clients", "25000", "--rate", "2000"]
    data, keys = bench.fresh_dir(f"lookup-{size}"), bench.path(f"lookup-{size}.keys")
    note(f"loading {size:,} sightings")
    generator = subprocess.Popen(
        [bench.tool("genmix"), "--frames", str(size), *options, "--keys", keys, "-o", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    # Enough memory that ten commits or so suffice; see load.c.
    memory_mib = max(128, size // 30_000)
    load = bench.start([bench.tool("load"), data, "-", memory_mib], stdin=generator.stdout)
    generator.stdout.close()
    load.wait()
    if generator.wait() != 0:
        raise BenchError("genmix failed")
    index_size(bench, "loaded client by client", data)
    return data, keys


def measure_lookup(bench):
    sizes = [1_000_000, 100_000_000 if bench.args.big else 10_000_000]
    indexes = [load_sightings(bench, size) for size in sizes]
    p50, p99 = ([], []), ([], [])
    for _ in range(bench.args.rounds):
        for i, (data, keys) in enumerate(indexes):
            took = fields(bench.start([bench.tool("lookups"), data, keys]).wait().output())
            p50[i].append(took["p50_us"])
            p99[i].append(took["p99_us"])
    small, large = (statistics.median(x) for x in p50)
    small99, large99 = (statistics.median(x) for x in p99)
    bench.row(
        f"warm lookup p50, {sizes[1] / 1e6:.0f} M beside {sizes[0] / 1e6:.0f} M sightings",
        f"{large:.2f} µs (p99 {large99:.1f})", f"{small:.2f} µs (p99 {small99:.1f})",
        f"{large / small:.2f}", "≤ 2", large <= 2 * small,
    )
    for data, _ in indexes:
        shutil.rmtree(data)


# ---- Lookups over HTTP ----


def http_paths(keys, count):
    """Request paths for a sample of the keys that genmix wrote."""
    with open(keys) as f:
        lines = f.read().split("\n")[:-1]
    paths = []
    for line in random.Random(1).sample(lines, min(count, len(lines))):
        src, dst, time_us = line.split()
        second, micro = divmod(int(time_us), 1_000_000)
        paths.append(f"/v1/lookup?src={src}&dst={dst}&at={second}.{micro:06d}")
    return paths


def typical_body(service, paths):
    """The body of median length among some answers, all of which must name something."""
    bodies = []
    for path in paths[:200]:
        status, body = service.get(path)
        if status != 200 or b'"resolved"' not in body:
            raise BenchError(f"{path} answered {status}: {body[:200]!r}")
        bodies.append(body)
    return sorted(bodies, key=len)[len(bodies) // 2]


def start_nginx(bench, body, workers):
    port = free_port()
    with open(bench.path("body.json"), "wb") as f:
        f.write(body)
    user = "user root;" if os.geteuid() == 0 else ""
    with open(bench.path("nginx.conf"), "w") as f:
        f.write(NGINX_CONF.format(user=user, workers=workers, scratch=bench.scratch, port=port))
    # The name must be looked up here: sbin is often not in the path of ordinary users.
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    bench.start([nginx, "-c", bench.path("nginx.conf"), "-e", bench.path("nginx.error")])
    return port


def wrk(bench, port):
    """(requests a second, p99 in ms) of one run against a port."""
    argv = ["wrk", "-t", "1", "-c", HTTP_CONNECTIONS, "-d", f"{HTTP_SECONDS}s", "--latency"]
    argv += ["-s", bench.path("wrk.lua"), f"http://127.0.0.1:{port}", "--", bench.path("paths")]
    text = bench.start(argv).wait().output()
    if "Non-2xx" in text or "Socket errors" in text:
        raise BenchError(f"wrk: {text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}[p99.group(2)]
    return float(rate.group(1)), float(p99.group(1)) * scale


def measure_http(bench):
    data, keys = bench.fresh_dir("http"), bench.path("http.keys")
    seconds = 2 * HTTP_ROUNDS * (HTTP_SECONDS + 1) + 10
    now = int(time.time())
    past, _ = bench.generate("past.fstrm", 2_000_000, "--start", now - 3600, "--keys", keys)
    ingest(bench, past, data)
    live, _ = bench.generate("live.fstrm", LIVE_RATE * seconds, "--start", now + 10)
    threads = bench.args.http_threads
    service = bench.serve(data, "--http-threads", threads)
    paths = http_paths(keys, 5000)
    with open(bench.path("paths"), "w") as f:
        f.write("\n".join(paths) + "\n")
    with open(bench.path("wrk.lua"), "w") as f:
        f.write(WRK_SCRIPT)
    body = typical_body(service, paths)
    port = start_nginx(bench, body, threads)

    argv = [bench.tool("replay"), "--rate", str(LIVE_RATE), live, f"unix:{service.socket}"]
    feed = bench.start(argv)
    time.sleep(2)
    ours, peers = [], []
    for _ in range(HTTP_ROUNDS):
        ours.append(wrk(bench, service.port))
        peers.append(wrk(bench, port))
        if not feed.alive():
            raise BenchError(f"the feed ended before the measurement: {feed.tail()}")
    bench.end_all()

    rate, p99 = (statistics.median(x) for x in zip(*ours))
    peer_rate, peer_p99 = (statistics.median(x) for x in zip(*peers))
    where = f"{HTTP_CONNECTIONS} connections, {threads} threads, {len(body)} byte body"
    bench.row(
        f"HTTP lookup, {where}, beside nginx with a static file",
        f"{rate:,.0f}/s", f"{peer_rate:,.0f}/s", f"{rate / peer_rate:.2f}", "≥ 1",
        rate >= peer_rate,
    )
    bench.row(
        "HTTP lookup p99 in the same runs",
        f"{p99:.2f} ms", f"{peer_p99:.2f} ms", f"{p99 / peer_p99:.2f}", "≤ 4",
        p99 <= 4 * peer_p99,
    )


# ---- Memory ----


def refused_answers(service, answers):
    """Share of the answers that the service would not keep; every one must be accounted for."""
    metrics = service.metrics()
    kept = metrics["whither_index_answers_total"]
    lost = metrics["whither_index_lost_total"] + metrics["whither_index_capped_total"]
    if abs(kept + lost - answers) > 0.001 * answers:
        raise BenchError(f"{answers:.0f} answers sent, {kept:.0f} kept and {lost:.0f} refused")
    return lost / answers


def measure_memory(bench):
    limit_mib = bench.args.memory_mib
    frames = bench.args.frames // 4
    captures, answers = [], 0
    for seed in range(4):
        # Far more clients and names than any cluster has: everything the index keeps is new.
        many = ["--new-pairs", "--clients", 1_000_000, "--names", 65_536]
        start = ["--start", int(time.time()), "--seed", seed]
        capture, figures = bench.generate(f"memory-{seed}.fstrm", frames, *many, *start)
        captures.append(capture)
        answers += figures["answers"]
    service = bench.serve(bench.fresh_dir("memory"), "--memory", f"{limit_mib}MiB")
    at_rest = service.rss_anon_bytes()
    feeds = []
    for capture in captures:
        feeds.append(bench.start([bench.tool("replay"), capture, f"unix:{service.socket}"]))
    peak = 0
    while any([feed.alive() for feed in feeds]):
        peak = max(peak, service.rss_anon_bytes())
        time.sleep(0.05)
    for feed in feeds:
        feed.wait()
    refused = refused_answers(service, answers)
    service.stop()
    mib = peak / 2**20
    bench.row(
        "memory (RssAnon), four senders flat out, 1 M clients, new pairs only",
        f"{mib:.0f} MiB at most, {100 * refused:.0f} % of answers refused and counted",
        f"{at_rest / 2**20:.0f} MiB at rest", f"{mib / limit_mib:.2f}",
        f"≤ --memory {limit_mib}MiB", mib <= limit_mib,
    )


# ---- Dropping a day ----


def watch_commits(service, feed):
    """Times of the commits while the feed runs, and when the number of windows fell."""
    commits, windows, dropped_at = [], 0, None
    while feed.alive():
        metrics = service.metrics()
        committed = metrics["whither_last_commit_timestamp_seconds"]
        if not commits or committed > commits[-1]:
            commits.append(committed)
        if metrics["whither_index_windows"] < windows:
            dropped_at = time.time()
        windows = metrics["whither_index_windows"]
        time.sleep(0.02)
    if dropped_at is None:
        raise BenchError("the old window was not dropped while the stream ran")
    return commits, dropped_at


def measure_drop(bench):
    """A large window leaves the retention in the middle of a 50 k frames/s stream."""
    data = bench.fresh_dir("drop")
    # The latest midnight that lies further back than the shortest retention.
    midnight = int(time.time() - 2 * HOUR_S) // DAY_S * DAY_S
    frames = bench.args.frames
    old, _ = bench.generate(
        "old.fstrm", frames, "--new-pairs", "--sightings-only",
        "--start", midnight - HOUR_S, "--rate", max(frames // 1000, 1),
    )
    ingest(bench, old, data)
    os.unlink(old)
    size = disk_bytes(data)
    # The service looks for old windows at its start and each minute: 30 s from now lies between.
    now = int(time.time())
    live, _ = bench.generate("live.fstrm", LIVE_RATE * 75, "--start", now + 5)
    service = bench.serve(data, "--retention", f"{int(time.time()) + 30 - midnight}s")
    argv = [bench.tool("replay"), "--rate", str(LIVE_RATE), live, f"unix:{service.socket}"]
    commits, dropped_at = watch_commits(service, bench.start(argv))
    bench.end_all()

    gaps = [(b - a, b) for a, b in zip(commits[3:], commits[4:])]
    usual = statistics.median(gap for gap, _ in gaps)
    around = max(gap for gap, end in gaps if abs(end - dropped_at) < 3)
    elsewhere = max(gap for gap, end in gaps if abs(end - dropped_at) >= 3)
    delay_ms = (around - usual) * 1e3
    bench.row(
        f"commit delay when a window of {size / 1e6:.0f} MB is dropped",
        f"{delay_ms:.0f} ms", f"{(elsewhere - usual) * 1e3:.0f} ms without a drop", "",
        "< 100 ms", delay_ms < 100,
    )


# ---- Joining flow logs ----


def duckdb_python():
    """A Python with DuckDB, kept outside the tree; made on first use."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    venv = os.path.join(cache, "whither", f"duckdb-{DUCKDB}")
    python = os.path.join(venv, "bin", "python")
    if os.path.exists(python) and not subprocess.run([python, "-c", "import duckdb"]).returncode:
        return python
    note(f"installing DuckDB {DUCKDB} from PyPI into {venv}")
    shutil.rmtree(venv, ignore_errors=True)
    for argv in (
        [sys.executable, "-m", "venv", venv],
        [python, "-m", "pip", "install", "--quiet", f"duckdb=={DUCKDB}"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(venv, ignore_errors=True)
            what = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BenchError(f"DuckDB {DUCKDB} could not be had: {what[0] if what else argv[0]}")
    return python


def generate_flows(bench, form):
    """Flow lines of one form, the table of answers, and an index of them."""
    flows, table, capture = bench.path("flows"), bench.path("table.csv"), bench.path("flows.fstrm")
    argv = [bench.tool("genflows"), f"--{form}", flows, "--table", table, "--capture", capture]
    argv += ["--flows", JOIN_FLOWS, "--pairs", JOIN_PAIRS, "--sightings", JOIN_SIGHTINGS]
    note(f"writing {JOIN_FLOWS:,} flows as {form} lines, and {JOIN_SIGHTINGS:,} answers")
    bench.start(argv).wait()
    data = bench.fresh_dir("join")
    ingest(bench, capture, data)
    os.unlink(capture)
    sightings = bench.status(data)["sightings"]
    if sightings != JOIN_SIGHTINGS:
        raise BenchError(f"{JOIN_SIGHTINGS:,} sightings were to be indexed, {sightings:,} are")
    return flows, table, data


def join_flows(bench, data, flows):
    """One run of whither join, from its start to its end."""
    with open(bench.path("ours"), "wb") as out:
        argv = [bench.whither, "join", "--quiet", "--data", data, "--to", "ecs", flows]
        return bench.start(argv, stdout=out).wait()


def join_row(bench, what, flows, ours, peer, theirs):
    size = os.path.getsize(flows) / JOIN_FLOWS
    wall_s = statistics.median(run.wall_s for run in ours)
    cpu_s = statistics.median(run.cpu_s for run in ours)
    peer_wall_s = statistics.median(run["wall_s"] for run in theirs)
    peer_cpu_s = statistics.median(run["cpu_s"] for run in theirs)
    rate, peer_rate = JOIN_FLOWS / wall_s, JOIN_FLOWS / peer_wall_s
    bench.row(
        f"join of 1 M {what} of {size:.0f} bytes, 200 k pairs, 1 M sightings, beside {peer}",
        f"{rate / 1e6:.2f} M flows/s ({wall_s:.2f} s, CPU {cpu_s:.2f} s)",
        f"{peer_rate / 1e6:.2f} M flows/s ({peer_wall_s:.2f} s, CPU {peer_cpu_s:.2f} s)",
        f"{rate / peer_rate:.1f}", "≥ 5", rate >= 5 * peer_rate,
    )


def check_alike(bench, python, script):
    """Both must name the same flows. Where several names share an address, DuckDB takes the latest
    answer and whither the one that still holds; and DuckDB takes answers of any age."""
    argv = [python, script, "compare", bench.path("ours"), bench.path("theirs")]
    found = fields(bench.start(argv).wait().output())
    note(" ".join(f"{k}: {v:,.0f}" for k, v in found.items()))
    explained = found["alike"] + found["other_order"] + found["older"]
    if found["missing"] > 0.0001 * JOIN_FLOWS or explained < 0.999 * found["flows"]:
        raise BenchError(f"whither and DuckDB do not name the same: {found}")


def measure_join(bench):
    here = os.path.dirname(os.path.abspath(__file__))
    python, script = duckdb_python(), os.path.join(here, "duckdb_join.py")
    flows, table, data = generate_flows(bench, "hubble")
    ours, theirs = [], []
    for _ in range(bench.args.rounds):
        ours.append(join_flows(bench, data, flows))
        argv = [python, script, "join", flows, table, bench.path("theirs")]
        theirs.append(fields(bench.start(argv).wait().output()))
    check_alike(bench, python, script)
    join_row(bench, "Hubble lines", flows, ours, f"DuckDB {DUCKDB}, 2 threads", theirs)


def measure_joinlog(bench):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "regex_join.py")
    flows, table, data = generate_flows(bench, "journal")
    ours, theirs = [], []
    for _ in range(bench.args.rounds):
        ours.append(join_flows(bench, data, flows))
        argv = [sys.executable, script, flows, table, bench.path("theirs")]
        theirs.append(fields(bench.start(argv).wait().output()))
    version = platform.python_version()
    join_row(
        bench, "kernel LOG lines in journald JSON", flows, ours,
        f"Python {version} with a regex and a dict", theirs,
    )


MEASURES = {
    "live": (measure_live, ["fstrm_capture", "dnstap"]),
    "ingest": (measure_ingest, ["taskset"]),
    "http": (measure_http, ["wrk"]),
    "memory": (measure_memory, []),
    "lookup": (measure_lookup, []),
    "join": (measure_join, []),
    "joinlog": (measure_joinlog, []),
    "drop": (measure_drop, []),
}


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
        model = found.group(1) if found else model
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{date}, {model}, {cores} cores, Linux {platform.release()}, load {load:.1f} at start"


def print_table(head, rows):
    table = [("what", "whither", "peer", "ratio", "bar", ""), *rows]
    widths = [max(len(r[i]) for r in table) for i in range(6)]
    line = lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths)) + " |"
    print(f"Measured {head}.\n")
    print(line(table[0]))
    print("| " + " | ".join("-" * max(w, 3) for w in widths) + " |")
    for row in table[1:]:
        print(line(row))


def arguments():
    p = argparse.ArgumentParser(description="Measures whither beside its peers.")
    p.add_argument("--build", default="build", help="folder of the build (build)")
    p.add_argument("--only", default=",".join(MEASURES), help="comma-separated: %(default)s")
    p.add_argument("--frames", type=int, default=10_000_000, help="of a capture (%(default)s)")
    p.add_argument("--live-frames", type=int, default=5_000_000, help="flat out (%(default)s)")
    p.add_argument("--rounds", type=int, default=3, help="of which the median counts (%(default)s)")
    p.add_argument("--http-threads", type=int, default=2, help="of both servers (%(default)s)")
    p.add_argument("--memory-mib", type=int, default=256, help="of the service (%(default)s)")
    p.add_argument("--big", action="store_true", help="100 M sightings instead of 10 M")
    args = p.parse_args()
    unknown = set(args.only.split(",")) - set(MEASURES)
    if unknown:
        p.error(f"--only {','.join(sorted(unknown))}: choose from {', '.join(MEASURES)}")
    return args


def run_measure(bench, name):
    """Runs one group of rows; a failure becomes a row. Returns False on failure."""
    function, needs = MEASURES[name]
    try:
        missing = [n for n in needs if not shutil.which(n)]
        if missing:
            raise BenchError(f"not installed: {', '.join(missing)}")
        function(bench)
        return True
    except BenchError as e:
        bench.row(f"{name}: not measured", " ".join(str(e).split())[:200], "", "", "", False)
        return False
    finally:
        bench.end_all()


def main():
    args = arguments()
    head = machine()
    # Beside the build and not in /tmp, which may be memory: the final sync is part of the cost.
    scratch = tempfile.mkdtemp(prefix="bench-", dir=os.path.abspath(args.build))
    bench = Bench(args, scratch)
    try:
        results = [run_measure(bench, name) for name in args.only.split(",")]
    finally:
        bench.end_all()
        shutil.rmtree(scratch, ignore_errors=True)
    print_table(head, bench.rows)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
