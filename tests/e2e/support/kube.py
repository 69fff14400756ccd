# tests/e2e/support/kube.py -- a real Kubernetes API server with its etcd, and a service beside it.
# SPDX-License-Identifier: Apache-2.0
#
# tests/support/kube.sh builds both once; KUBE names a folder that has them already. There is no
# kubelet and no controller: the cases write what those would. Objects go in through the API, with
# the subresource where Kubernetes itself takes it (status), and the service reads them with a token
# that the API server made for its service account.

import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import yaml

from . import lab as labs
from .whither import Service, rfc3339

ADMIN = "admin-token-0123456789abcdef"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

_building = threading.Lock()
_built = []                 # the folder, or the exception that stands for it


def _build():
    script = os.path.join(labs.ROOT, "tests", "support", "kube.sh")
    with subprocess.Popen([script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "building" in line:
                print("        " + line.strip(), flush=True)
        path = process.stdout.read().strip()
    if process.returncode == 77:
        return labs.Skip("kube-apiserver cannot be built here (Go toolchain, module proxy), and "
                         "KUBE names no folder that has it")
    if process.returncode != 0:
        return labs.Failure("kube-apiserver could not be built:\n%s" % "".join(said[-20:]))
    return path


def folder():
    """Where kube-apiserver and etcd are; builds them the first time."""
    if os.environ.get("KUBE"):
        return os.environ["KUBE"]
    with _building:
        if not _built:
            _built.append(_build())
    if isinstance(_built[0], Exception):
        raise _built[0]
    return _built[0]


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__("%d %s" % (status, body[:500]))
        self.status = status


class Etcd:
    def __init__(self, lab):
        self.client = "http://127.0.0.1:%d" % labs.free_port()
        peer = "http://127.0.0.1:%d" % labs.free_port()
        self.process = lab.start("etcd", [
            os.path.join(folder(), "etcd"), "--data-dir", lab.path("etcd-data"),
            "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", "default=" + peer, "--unsafe-no-fsync"])

    def _call(self, path, body):
        request = urllib.request.Request(self.client + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def compact(self):
        """Forgets every version but the present one, as the API server does every five minutes."""
        found = self._call("/v3/kv/range", {"key": base64.b64encode(b"x").decode()})
        self._call("/v3/kv/compaction", {"revision": found["header"]["revision"],
                                         "physical": True})


class ApiServer:
    """One kube-apiserver; several may share an etcd."""

    def __init__(self, lab, etcd, name="kube-apiserver"):
        self.lab, self.etcd, self.name = lab, etcd, name
        self.port = labs.free_port()
        self.certificates = lab.path(name + "-certs")
        self.key = lab.path("sa.key")
        if not os.path.exists(self.key):
            lab.run([labs.need("openssl", "openssl"), "genrsa", "-out", self.key, "2048"], check=0)
        self.tokens = lab.write("tokens.csv", ADMIN + ",admin,admin,system:masters\n")
        self.process = None
        self.start()

    def start(self):
        self.process = self.lab.start(self.name, [
            os.path.join(folder(), "kube-apiserver"), "--etcd-servers=" + self.etcd.client,
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--secure-port=%d" % self.port, "--cert-dir=" + self.certificates,
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=" + self.key,
            "--service-account-signing-key-file=" + self.key,
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
            "--token-auth-file=" + self.tokens, "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none", "--v=1"])
        labs.wait_for("%s is ready" % self.name, self._ready, 90, 0.2)

    def _ready(self):
        labs.expect(self.process.running(), "%s ended" % self.name, self.process.log()[-3000:])
        try:
            self.call("GET", "/readyz")
            return True
        except (OSError, Refused):
            return False

    def stop(self):
        self.process.kill()

    @property
    def ca(self):
        return os.path.join(self.certificates, "apiserver.crt")

    def call(self, method, path, body=None, content_type="application/json"):
        request = urllib.request.Request(
            "https://127.0.0.1:%d%s" % (self.port, path), method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer " + ADMIN, "Content-Type": content_type})
        context = ssl.create_default_context(cafile=self.ca)
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text.startswith("{") else text

    # --- what a kubelet and its like would write ---

    def namespace(self, name):
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def _status(self, path, status):
        return self.call("PATCH", path + "/status", {"status": status},
                         "application/merge-patch+json")

    def node(self, name, address):
        self.call("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        self._status("/api/v1/nodes/" + name,
                     {"addresses": [{"type": "InternalIP", "address": address}]})

    def pod(self, name, address=None, space="shop"):
        """A pod on node-a, running where it has an address."""
        self.call("POST", "/api/v1/namespaces/%s/pods" % space, {
            "metadata": {"name": name},
            "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "c"}]}})
        if address:
            status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                      "startTime": rfc3339(time.time_ns() // 1000)[:19] + "Z"}
            self._status("/api/v1/namespaces/%s/pods/%s" % (space, name), status)

    def phase(self, name, phase, space="shop"):
        self._status("/api/v1/namespaces/%s/pods/%s" % (space, name), {"phase": phase})

    def delete_pod(self, name, space="shop"):
        self.call("DELETE", "/api/v1/namespaces/%s/pods/%s" % (space, name),
                  {"gracePeriodSeconds": 0})

    def service(self, name, address, space="shop"):
        self.call("POST", "/api/v1/namespaces/%s/services" % space, {
            "metadata": {"name": name},
            "spec": {"clusterIP": address, "ports": [{"port": 80}]}})

    def allow(self, kinds=None):
        """Applies deploy/kubernetes/central/rbac.yaml, of the ClusterRole only `kinds`."""
        path = os.path.join(labs.ROOT, "deploy", "kubernetes", "central", "rbac.yaml")
        with open(path) as file:
            role, binding = yaml.safe_load_all(file)
        if kinds:
            role["rules"][0]["resources"] = kinds
        for what, one in (("clusterroles", role), ("clusterrolebindings", binding)):
            base = "/apis/rbac.authorization.k8s.io/v1/" + what
            try:
                self.call("POST", base, one)
            except Refused as refused:
                labs.expect(refused.status == 409, str(refused))
                self.call("PUT", base + "/" + one["metadata"]["name"], one)

    def account_token(self, space="whither", name="whither"):
        """A token of the service account, as the kubelet gets one for a pod."""
        base = "/api/v1/namespaces/%s/serviceaccounts" % space
        try:
            self.namespace(space)
            self.call("POST", base, {"metadata": {"name": name}})
        except Refused as refused:
            labs.expect(refused.status == 409, str(refused))
        answer = self.call("POST", base + "/%s/token" % name,
                           {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                            "spec": {"expirationSeconds": 3600}})
        return answer["status"]["token"]


class ClusterService(Service):
    """`whither serve --kubernetes` as in a pod: the two variables, and the files of its account.

    The files have a fixed place. A mount namespace of its own gives the service that place, with
    links to files of the lab, so that a case can replace them as the kubelet does."""

    def __init__(self, lab, port, token, ca, **options):
        self.port = port
        os.mkdir(lab.path("account"))
        shutil.copy(ca, lab.path("account/ca.crt"))
        lab.write("account/token", token)
        self.prefix = [labs.need("unshare", "util-linux"), "--mount"]
        if os.getuid() != 0:
            self.prefix += ["--map-root-user"]
        probe = lab.run(self.prefix + ["true"])
        if probe.returncode != 0:
            raise labs.Skip("mount namespaces are not allowed here: " + probe.stderr.strip())
        super().__init__(lab, **options)

    def command(self):
        script = ('mount -t tmpfs none /var/run && mkdir -p "${1%/*}" && ln -s "$2" "$1" && '
                  "shift 2 && exec \"$@\"")
        return self.prefix + ["env", "KUBERNETES_SERVICE_HOST=127.0.0.1",
                              "KUBERNETES_SERVICE_PORT=%d" % self.port, "sh", "-c", script, "sh",
                              ACCOUNT, self.lab.path("account")] + \
            super().command() + ["--kubernetes"]

    def watches(self):
        """{kind: what /v1/status says of it}"""
        return {one["kind"]: one for one in self.live_status()["watches"]}

    def wait_watching(self, *kinds, timeout=30):
        kinds = kinds or ("pods", "services", "nodes")
        labs.wait_for("watching " + ", ".join(kinds), lambda: all(
            self.watches()[kind]["state"] == "watching" for kind in kinds), timeout, 0.1)

    def owner(self, address, at_us=None):
        """namespace/pod of a source address, None where nobody is known."""
        found = self.ask(address, "203.0.113.200", at_us)
        pod = found.get("source", {}).get("k8s", {})
        return "%s/%s" % (pod["namespace"], pod["pod"]) if "pod" in pod else None

    def wait_owner(self, address, expected, timeout=15):
        labs.wait_for("%s is %s" % (address, expected),
                      lambda: self.owner(address) == expected, timeout, 0.1)
