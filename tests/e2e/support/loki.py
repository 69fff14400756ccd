# tests/e2e/support/loki.py -- what Loki's query_range does, for a handful of lines in memory.
# SPDX-License-Identifier: Apache-2.0
#
# Start inclusive, end exclusive, `limit` over all streams together, both directions, the default
# limit of 100, entries sorted within their stream, and the errors people meet: too many series for
# a long range, a limit above the tenant's, 429 and 503, a wrong token or tenant.

import http.server
import json
import threading
import urllib.parse


class Loki:
    def __init__(self, port, token=None, user=None, org=None):
        self.entries = []       # (ns, labels as a dict, line)
        self.range_max_s = None  # longer ranges are "maximum of series"
        self.limit_max = None
        self.busy = 0           # answers of 503 before the next good one
        self.queries = []
        self.lock = threading.Lock()
        self.token, self.user, self.org = token, user, org
        loki = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536    # head and body in one segment

            def do_GET(self):
                status, body = loki.answer(self.path, self.headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, ns, line, **labels):
        with self.lock:
            self.entries.append((ns, labels, line))

    def allowed(self, headers):
        import base64
        if self.token and headers.get("Authorization") != "Bearer " + self.token:
            return False
        basic = "Basic " + base64.b64encode((self.user or "").encode()).decode()
        if self.user and headers.get("Authorization") != basic:
            return False
        return not self.org or headers.get("X-Scope-OrgID") == self.org

    def answer(self, path, headers):
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        with self.lock:
            self.queries.append(query)
            if url.path != "/loki/api/v1/query_range":
                return 404, b"404 page not found\n"
            if not self.allowed(headers):
                return 401, b"no org id or credentials\n"
            if self.busy:
                self.busy -= 1
                return 503, b"too busy\n"
            return self.page(query)

    def page(self, query):
        start, end = int(query["start"]), int(query["end"])
        limit = int(query.get("limit", 100))
        if self.range_max_s and end - start > self.range_max_s * 10**9:
            return 400, b"maximum number of series (500) reached for a single query\n"
        if self.limit_max and limit > self.limit_max:
            return 400, b"max entries limit per query exceeded, limit > max_entries_limit (%d > %d)\n" \
                % (limit, self.limit_max)
        found = [entry for entry in self.entries if start <= entry[0] < end]
        forward = query.get("direction", "backward") == "forward"
        found.sort(key=lambda entry: entry[0], reverse=not forward)
        streams = {}
        for ns, labels, line in found[:limit]:
            values = streams.setdefault(json.dumps(labels, sort_keys=True), [])
            values.append([str(ns), line])
        result = [{"stream": json.loads(labels), "values": values}
                  for labels, values in streams.items()]
        return 200, json.dumps({"status": "success", "data": {
            "resultType": "streams", "result": result, "stats": {}}}).encode()
