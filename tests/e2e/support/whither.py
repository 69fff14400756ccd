# tests/e2e/support/whither.py -- the program under test: its commands and its HTTP calls.
# SPDX-License-Identifier: Apache-2.0
#
# WHITHER names the binary; without it, ${BUILD:-build}/whither.

import datetime
import http.client
import json
import os
import re
import urllib.parse

from . import lab as labs

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def binary():
    path = os.environ.get("WHITHER") or os.path.join(os.environ.get("BUILD", "build"), "whither")
    return os.path.join(labs.ROOT, path)


def time_us(text):
    """Microseconds since the epoch of an RFC 3339 time in UTC."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    labs.expect(match, "this is no RFC 3339 time in UTC: %r" % (text,))
    seconds = datetime.datetime.fromisoformat(match.group(1) + "+00:00").timestamp()
    return int(seconds) * 1000000 + int((match.group(2) or "").ljust(6, "0")[:6])


def rfc3339(us):
    when = datetime.datetime.fromtimestamp(us // 1000000, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S") + ".%06dZ" % (us % 1000000)


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


class Commands:
    """The subcommands that work on a data directory."""

    def __init__(self, lab, data="data"):
        self.lab, self.data = lab, lab.path(data)

    def run(self, *argv, **options):
        return self.lab.run([binary()] + list(argv), **options)

    def ingest(self, *files, check=0, options=(), timeout=120):
        return self.run("ingest", *files, "--data", self.data, *options, check=check,
                        timeout=timeout)

    def join(self, source, *options, check=0):
        """The enriched flows as a list of objects."""
        done = self.run("join", source, "--data", self.data, "--to", "ecs", *options, check=check)
        return json_lines(done.stdout)

    def lookup(self, source, destination, at_us=None, options=()):
        argv = ["lookup", source, destination, "--data", self.data, "--output", "json"]
        argv += ["--at", rfc3339(at_us)] if at_us else []
        return json.loads(self.run(*argv, *options, check=0).stdout)

    def names(self, what, options=()):
        """The rows for a name, an address or a client."""
        done = self.run("names", what, "--data", self.data, "--output", "json", *options, check=0)
        return json_lines(done.stdout)

    def status(self, check=0):
        done = self.run("status", "--data", self.data, "--output", "json", check=check)
        return json.loads(done.stdout)


class Service(Commands):
    """`whither serve` with one unix and one TCP dnstap listener, HTTP on loopback."""

    def __init__(self, lab, data="data", options=(), start=True):
        super().__init__(lab, data)
        self.unix = "unix:" + lab.path("dnstap.sock")
        self.tcp = "tcp:127.0.0.1:%d" % labs.free_port()
        self.http_port = labs.free_port()
        self.options, self.process, self.starts = list(options), None, 0
        if start:
            self.start()

    def address(self, transport):
        return {"unix": self.unix, "tcp": self.tcp}[transport]

    def command(self):
        return [binary(), "serve", "--data", self.data, "--http", "127.0.0.1:%d" % self.http_port,
                "--dnstap", self.unix, "--dnstap", self.tcp] + self.options

    def start(self):
        self.starts += 1
        self.process = self.lab.start("whither-%d" % self.starts, self.command())
        self.wait_ready()

    def wait_ready(self, timeout=15):
        labs.wait_for("whither serve is ready", self._ready, timeout)

    def _ready(self):
        labs.expect(self.process.running(), "whither serve ended", self.process.log()[-3000:])
        try:
            return self.get("/readyz", check=None)[0] == 200
        except OSError:
            return False

    def stop(self, within=5.0):
        """SIGTERM; ends with status 0 within 5 s, as the contract says. Returns the seconds."""
        seconds = self.process.stop(within)
        labs.expect(self.process.popen.returncode == 0, "whither serve ended with status %d"
                    % self.process.popen.returncode, self.process.log()[-3000:])
        return seconds

    def kill(self):
        self.process.kill()

    def log(self):
        return self.process.log()

    # --- HTTP ---

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body as text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=15)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def get(self, path, check=200):
        """(status, body): the body decoded where it is JSON."""
        status, headers, body = self.request("GET", path)
        labs.expect(check is None or status == check, "GET %s: %d" % (path, status), body[:2000])
        is_json = "json" in (headers.get("Content-Type") or "")
        return status, json.loads(body) if is_json else body

    def ask(self, source, destination, at_us=None):
        """GET /v1/lookup: the attribution object."""
        query = {"src": source, "dst": destination}
        if at_us:
            query["at"] = rfc3339(at_us)
        return self.get("/v1/lookup?" + urllib.parse.urlencode(query))[1]

    def wait_name(self, source, destination, name, timeout=20):
        """Waits until the pair resolves, and checks that it does so to `name`."""
        answer = labs.wait_for("%s -> %s resolves" % (source, destination),
                               lambda: self._resolved(source, destination), timeout, 0.2)
        labs.expect(answer["domain"] == name, "%s -> %s is %r, not %r"
                    % (source, destination, answer["domain"], name), answer)
        return answer

    def _resolved(self, source, destination):
        answer = self.ask(source, destination)
        return answer if answer["verdict"] == "resolved" else None

    def live_status(self):
        return self.get("/v1/status")[1]

    def metrics(self):
        """{name with labels: value} of the Prometheus page."""
        out = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out

    def metric(self, name):
        """One metric, its labels as they are printed."""
        found = self.metrics()
        labs.expect(name in found, "there is no metric " + name, sorted(found))
        return found[name]

    def frames(self, result):
        """Frames of which that became: answer, no-message, refused-time, ..."""
        return self.metric('whither_dnstap_frames_total{result="%s"}' % result)

    def refused(self, reason):
        """Connections this side closed: bad-stream, handshake-timeout, ..."""
        return self.metric('whither_dnstap_connections_refused_total{reason="%s"}' % reason)

    def senders(self):
        """{identity: the latest time in us its feed is committed to}."""
        out = {}
        for stream in self.live_status()["streams"]:
            committed = time_us(stream["committed"]) if stream["committed"] else 0
            out[stream["identity"]] = max(committed, out.get(stream["identity"], 0))
        return out

    def blinds(self, from_us, to_us):
        """Blind intervals that touch the span, as (begin, end) in us."""
        query = urllib.parse.urlencode({"from": rfc3339(from_us), "to": rfc3339(to_us)})
        return [(time_us(blind["from"]), time_us(blind["to"]))
                for blind in self.get("/v1/coverage?" + query)[1]["blind"]]

    def asked(self, client):
        """Was this client seen asking, whatever the answer?"""
        return self.get("/v1/clients/" + client)[1]["asked"]

    def rss_anon_kib(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


def check_sanitizers(lab):
    """Fails if any process of the lab wrote a sanitizer's report."""
    for process in lab.processes:
        found = SANITIZER.search(process.log())
        labs.expect(not found, "%s: a sanitizer spoke" % process.name,
                    process.log()[found.start():][:3000] if found else "")
