# tests/lab/scenario.py -- one run: the network, the services, the clients, and what came of it.
# SPDX-License-Identifier: Apache-2.0

import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from support import lab as labs  # noqa: E402
from support import whither  # noqa: E402

import clients  # noqa: E402
import dns  # noqa: E402
import flows  # noqa: E402
import kube  # noqa: E402
import net  # noqa: E402
import params  # noqa: E402
import sandbox  # noqa: E402
import score  # noqa: E402
import trouble  # noqa: E402
import truth  # noqa: E402
import world  # noqa: E402


class Process(labs.Process):
    """As the end-to-end tests' own, and with a choice of standard input and output."""

    def __init__(self, lab, name, argv, env=None, stdin=subprocess.DEVNULL, stdout=None):
        self.name, self.log_path = name, lab.path(name + ".log")
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=stdout or log, stderr=log,
                                          cwd=lab.folder, env=dict(os.environ, **(env or {})))


class Lab(labs.Lab):
    """A folder that the sandbox alone sees; processes end with it."""

    def __init__(self):
        self.folder, self.processes = sandbox.FOLDER, []

    def start(self, name, argv, **options):
        process = Process(self, name, [str(word) for word in argv], **options)
        self.processes.append(process)
        return process


def help_page():
    return subprocess.run([whither.binary(), "join", "--help"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


class Run:
    def __init__(self, kind, seed, seconds, coredns, workloads):
        self.kind, self.seed, self.seconds, self.coredns = kind, seed, seconds, coredns
        self.workloads, self.trouble = workloads, trouble.KINDS[kind]()
        self.instances, self.threads, self.early = [], [], []
        self.owners = "--owners" in help_page()

    # --- before ---

    def prepare(self):
        net.ip(None, "link set lo up")
        self.lab, self.net = Lab(), net.Net()
        cert, key = world.certificate(self.lab.folder)
        seen = self.lab.path("seen.jsonl")
        server = os.path.join(HERE, "world.py")
        self.lab.start("tls-world", net.inside("world", "python3", server, cert, key, seen))
        self.lab.start("tls-shop", net.inside("shop", "python3", server, cert, key, seen))
        dns.start_world(self.lab, self.coredns)
        dns.cover_resolver(sandbox)
        self.lab.write("other-resolv.conf", dns.OTHER_RESOLV)
        self._sniff()
        self.flows = flows.Flows(self.lab)
        self.kube = kube.Watch(self.lab.path("owners.json"))
        self.kube.pod_began("shop", [net.SHOP_POD], time.time() - kube.OLDER_S,
                            labels={"app": "shop"})
        for name in self.net.dns:
            self.kube.pod_began("coredns-" + name, [net.DNS_IPS[name]], time.time(), "kube-system",
                                {"k8s-app": "kube-dns"})
        options = list(params.FLAGS)
        if self.owners:
            options += ["--owners", self.kube.path]
        self.service = whither.Service(self.lab, options=options)
        self._dns()

    def _sniff(self):
        self.sniffed = self.lab.path("sniffed.jsonl")
        with open(self.sniffed, "wb") as out:
            process = self.lab.start("sniff", net.inside(
                "rtr", "python3", os.path.join(HERE, "truth.py"), "dns1", "dns2", "world"),
                stdout=out)
        labs.wait_for("the sniffer listens", lambda: "ready" in process.log(), 10)

    def _dns(self):
        target = self.service.unix.split(":", 1)[1]
        self.proxies, self.replicas = {}, {}
        for name in self.net.dns:
            address = target
            if self.trouble.proxied:
                address = self.lab.path("proxy-%s.sock" % name)
                self.proxies[name] = trouble.Proxy(address, target)
            tapped = name in self.trouble.replicas_tapped
            self.replicas[name] = dns.Replica(self.lab, self.coredns, name,
                                              address if tapped else None)
            self.replicas[name].start()

    # --- the clients ---

    def _command(self, pod):
        argv = ["sh", "-s"] if pod.shell else [self.workloads[pod.libc]]
        argv = net.inside("rtr" if pod.on_node else pod.name, *argv)
        if pod.other_resolver:
            cover = 'mount --bind "$1" "$(realpath /etc/resolv.conf)" && shift && exec "$@"'
            argv = ["unshare", "--mount", "sh", "-c", cover, "sh",
                    self.lab.path("other-resolv.conf")] + argv
        return argv

    def _begin(self, pod):
        """Its network, its place in the truth, and what the API tells of it."""
        begin, addresses = time.time(), [net.POD_NET + str(pod.last)]
        if pod.on_node:
            addresses = [net.NODE_IP]
        else:
            self.net.add_pod(pod.name, pod.last, pod.dual)
        if pod.dual:
            addresses.append(net.POD_NET6 + str(pod.last))
        instance = truth.Instance(pod, begin, float("inf"), addresses)
        self.instances.append(instance)
        if not pod.on_node:
            self.kube.pod_began(pod.name, addresses, begin)
        return instance

    def _live(self, pod):
        """The pod and those that get its address after it, one after the other."""
        while pod is not None:
            instance = self._begin(pod)
            script = self.lab.write("script-" + pod.name, pod.script)
            with open(script, "rb") as file:
                process = self.lab.start(pod.name, self._command(pod), stdin=file)
            process.popen.wait()
            if pod.successor is not None:
                self.net.delete_pod(pod.name)
                instance.to_s = time.time()
                self.kube.pod_ended(pod.name, instance.to_s)
            pod = pod.successor

    def _heartbeat(self):
        """Somebody always asks, so that the replicas are heard from to the end."""
        pod = clients.Pod("heartbeat", "", 210)
        pod.name = "heartbeat"
        self._begin(pod)
        self.lab.write("script-heartbeat", "get api.example.com\nsleep 400\n" * 1000)
        with open(self.lab.path("script-heartbeat"), "rb") as file:
            self.lab.start("heartbeat", net.inside("heartbeat", self.workloads["glibc"]),
                           stdin=file)

    def play(self):
        self.begin = time.time()
        self._follow()
        self._heartbeat()
        for pod in clients.everyone(self.seed, self.seconds, self.owners, self.trouble.margin_s):
            thread = threading.Thread(target=self._live, args=(pod,), daemon=True)
            thread.start()
            self.threads.append(thread)
        if self.trouble.early_joins:
            self.threads.append(threading.Thread(target=self._join_early, daemon=True))
            self.threads[-1].start()
        self.trouble.run(self, self.seconds)
        for thread in self.threads:
            thread.join(self.seconds * 2)
        self.end = time.time()

    # --- after ---

    def _settle(self):
        """Until every replica has been heard past the last flow, or that cannot be any more."""
        limit = time.monotonic() + params.SETTLE_S + 2
        due_us = int((self.end + params.SKEW_S) * 1e6)
        while time.monotonic() < limit:
            senders = self.service.senders()
            if len(senders) >= 2 and min(senders.values()) > due_us:
                return
            time.sleep(0.5)

    def _join(self, form, source, answers):
        """The records of `whither join` on a flow log."""
        argv = [whither.binary(), "join", source, "--to", "ecs"] + answers + params.FLAGS
        if form != "conntrack":
            argv += ["--from", form]
        done = self.lab.run(argv, timeout=120)
        if done.returncode not in (0, 3):
            raise RuntimeError("whither join: %s" % done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def server(self):
        """What a running service knows so far."""
        return ["--server", "http://127.0.0.1:%d" % self.service.http_port]

    def index(self):
        """The index on disk, and whose the addresses were."""
        owners = ["--owners", self.kube.path] if self.owners else []
        return ["--data", self.service.data] + owners

    def _shifted(self, form):
        """The flow log as its host's clock would have stamped it."""
        path = self.flows.paths[form]
        shift_s = self.trouble.shift_s
        out = path + ".shifted"
        with open(path, errors="replace") as source, open(out, "w") as target:
            for line in source:
                target.write(flows.shift(form, line, shift_s) if line.endswith("\n") else "")
        return out

    def _join_early(self):
        """Joins what has just been seen, again and again, with the answers still on their way."""
        form, at = self.forms()[0], 0
        while time.time() < self.begin + self.seconds:
            time.sleep(4.0)
            with open(self.flows.paths[form], "rb") as file:
                file.seek(at)
                data = file.read()
            whole = data[:data.rfind(b"\n") + 1]
            at += len(whole)
            if whole:
                source = self.lab.write("early.log", whole)
                self.early += self._join(form, source, self.server())

    @staticmethod
    def forms():
        return [form for form in ("conntrack", "kernel-log")
                if re.search(r"^  %s\b" % form, help_page(), re.M)]

    def _follow(self):
        """A join that goes on while flows and answers come in; each flow is to be written once."""
        self.live = None
        if self.trouble.live_join and "--follow" in help_page():
            self.live = self.lab.start("follow", [
                whither.binary(), "join", self.flows.paths["conntrack"], "--follow", "--out",
                "file:" + self.lab.path("live.json")] + self.server() + params.FLAGS)

    def _followed(self):
        """What it wrote, once the last flow has been waited for."""
        time.sleep(max(0.0, self.end + params.SETTLE_S + 3 - time.time()))
        self.live.stop()
        return truth.load(self.lab.path("live.json"))

    def judge(self):
        self._settle()
        truths = truth.Truth(self.sniffed, self.lab.path("seen.jsonl"),
                             self.trouble.replicas_tapped, self.instances)
        starts = sorted(self._stream_starts())[:2]
        self.trouble.nothing_before(starts[0], starts[-1])
        results = {}
        for form in self.forms():
            # Both ways to ask: the service that has watched, and the index it wrote.
            answers = self.server() if form == "conntrack" else self.index()
            records = self._join(form, self._shifted(form), answers)
            results[form] = score.Score(truths, self.trouble, self.begin,
                                        self.owners).add_all(records, self.end)
        if self.live:
            results["followed"] = score.Score(truths, self.trouble, self.begin, self.owners,
                                              live=True).add_all(self._followed(), self.end)
        if self.early:
            results["early"] = score.Score(truths, self.trouble, self.begin, self.owners,
                                           early=True).add_all(self.early, self.end)
        for result in results.values():
            result.explain(self.lab, [whither.binary(), "lookup", "--output", "text"]
                           + (self.server() if result.early else self.index()) + params.FLAGS)
        return {"title": self.trouble.title, "kind": self.kind, "seed": self.seed,
                "barred": self.trouble.barred,
                "scores": {form: result.summary() for form, result in results.items()}}

    def _stream_starts(self):
        return [whither.time_us(stream["from"]) / 1e6
                for stream in self.service.live_status()["streams"] if stream.get("from")]


def run(kind, seed, seconds, coredns, workloads, keep):
    """In a sandbox: plays one scenario and returns its summary."""
    one = Run(kind, seed, seconds, coredns, workloads)
    try:
        one.prepare()
        one.play()
        return one.judge()
    finally:
        net.log_folder(sandbox.FOLDER, keep)
