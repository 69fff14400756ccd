# tests/e2e/support/faulty_api.py -- stands in for a Kubernetes API server that does not behave.
# SPDX-License-Identifier: Apache-2.0
#
# It keeps objects and their history, serves lists in pages and watches as the real one does, and can
# be told to cut, to send what is no JSON, to forget its history (410) or to refuse. TLS with a
# certificate of its own, made by openssl. Threads: one per connection; `lock` guards the objects.

import http.server
import json
import ssl
import threading
import time
import urllib.parse

from . import lab as labs

KINDS = {"pods": "PodList", "services": "ServiceList", "nodes": "NodeList"}


def pod(name, address, space="shop", **more):
    """A running pod, as the API shows it."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"kind": "Pod", "apiVersion": "v1",
            "metadata": dict({"name": name, "namespace": space, "uid": "uid-" + name}, **more),
            "spec": {"nodeName": "node-a", "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "hostIP": "192.0.2.10", "podIP": address,
                       "podIPs": [{"ip": address}], "startTime": started}}


class FaultyApi:
    """Faults are set as attributes; each is taken away by the request that it strikes."""

    def __init__(self, lab, token="faulty-token"):
        self.token, self.lock = token, threading.Condition()
        self.version, self.oldest = 100, 0
        self.objects = {kind: {} for kind in KINDS}     # name -> object
        self.history = []                               # (version, kind, type, object)
        self.page = None                                # objects in a page, if asked for pages
        self.list_faults, self.watch_faults = [], []    # of pods, one a request
        self.requests = []                              # targets
        self.stopping, self.epoch = False, 0
        certificate, key = lab.path("server.crt"), lab.path("server.key")
        lab.run([labs.need("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                 "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", key, "-out", certificate], check=0)
        self.ca = certificate
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        with self.lock:
            self.stopping = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()

    # --- objects ---

    def put(self, kind, one):
        """Adds or changes an object."""
        with self.lock:
            name = one["metadata"]["name"]
            what = "MODIFIED" if name in self.objects[kind] else "ADDED"
            self.version += 1
            one["metadata"]["resourceVersion"] = str(self.version)
            self.objects[kind][name] = one
            self.history.append((self.version, kind, what, one))
            self.lock.notify_all()

    def drop(self, kind, name):
        with self.lock:
            one = self.objects[kind].pop(name)
            self.version += 1
            one["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, kind, "DELETED", one))
            self.lock.notify_all()

    def forget(self, say_so=True):
        """What happened so far is only to be had from a list; a watch from before gets a 410."""
        with self.lock:
            self.history = []
            self.oldest = self.version if say_so else self.oldest

    def cut_watches(self):
        """Breaks every connection on which somebody watches."""
        with self.lock:
            self.epoch += 1
            self.lock.notify_all()

    # --- requests ---

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        kind = url.path.rsplit("/", 1)[-1]
        with self.lock:
            self.requests.append(handler.path)
        try:
            if handler.headers["Authorization"] != "Bearer " + self.token:
                self.refuse(handler, 401, "Unauthorized")
            elif kind not in KINDS:
                self.refuse(handler, 404, "NotFound")
            elif "watch" in query:
                self.watch(handler, kind, query)
            else:
                self.list(handler, kind, query)
        except OSError:
            handler.close_connection = True     # who asked is gone

    @staticmethod
    def status(code, reason):
        return {"kind": "Status", "status": "Failure", "code": code, "reason": reason,
                "message": "%s, says the server" % reason}

    def refuse(self, handler, code, reason, headers=()):
        body = json.dumps(self.status(code, reason)).encode()
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def fault(self, faults, kind):
        with self.lock:
            return faults.pop(0) if faults and kind == "pods" else None

    def list(self, handler, kind, query):
        fault = self.fault(self.list_faults, kind)
        if isinstance(fault, int):
            return self.refuse(handler, fault, "Fault", [("Retry-After", "1")])
        with self.lock:
            items = [dict(one) for one in self.objects[kind].values()]
            version = self.version
        begin = int(query.get("continue", "0"))
        many = self.page if self.page and "limit" in query else len(items)
        metadata = {"resourceVersion": str(version)}
        if begin + many < len(items):
            metadata["continue"] = str(begin + many)
        for item in items:
            item.pop("kind", None)              # as in the real one, it says so once
        body = json.dumps({"kind": KINDS[kind], "apiVersion": "v1", "metadata": metadata,
                           "items": items[begin:begin + many]}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if fault == "cut":
            handler.wfile.write(body[:len(body) // 2])
            handler.close_connection = True
            return None
        return handler.wfile.write(body)

    def watch(self, handler, kind, query):
        fault, since = self.fault(self.watch_faults, kind), int(query["resourceVersion"])
        epoch = self.epoch
        if isinstance(fault, int):
            return self.refuse(handler, fault, "Fault", [("Retry-After", "1")])
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        if since < self.oldest or fault == "expired":
            self.chunk(handler, {"type": "ERROR", "object": self.status(410, "Expired")})
            return self.chunk(handler, None)
        until = time.monotonic() + int(query["timeoutSeconds"])
        self.chunk(handler, {"type": "BOOKMARK", "object": {
            "metadata": {"resourceVersion": str(since)}}})
        while time.monotonic() < until:
            with self.lock:
                if self.stopping or epoch != self.epoch:
                    handler.close_connection = True
                    return None
                events = [event for event in self.history if event[0] > since]
                if not events:
                    self.lock.wait(0.5)
                    continue
                since = self.version
            for version, its_kind, what, one in events:
                if its_kind != kind:
                    continue
                event = {"type": what, "object": one}
                if fault in ("cut", "garbage", "pretty"):
                    self.spoil(handler, fault, event)
                    if fault != "pretty":
                        return None
                else:
                    self.chunk(handler, event)
        return self.chunk(handler, None)

    @staticmethod
    def chunk(handler, event):
        text = b"" if event is None else json.dumps(event).encode() + b"\n"
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        handler.wfile.flush()

    @staticmethod
    def spoil(handler, fault, event):
        """Half an event and the end of the connection, no JSON, or an event over many lines."""
        text = json.dumps(event).encode()
        text = {"cut": text[:len(text) // 2], "garbage": b'{"type":ADDED}]]\n',
                "pretty": json.dumps(event, indent=4).encode() + b"\n"}[fault]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        handler.wfile.flush()
        if fault != "pretty":
            handler.close_connection = True
