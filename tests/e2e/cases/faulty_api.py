# tests/e2e/cases/faulty_api.py -- whose address it was, from a Kubernetes API that does not behave.
# SPDX-License-Identifier: Apache-2.0

from support import faulty_api
from support.case import case
from support.kube import ClusterService
from support.lab import expect, wait_for

PODS = 'whither_kubernetes_%s_total{kind="pods"}'


def begin(lab, **faults):
    server = faulty_api.FaultyApi(lab)
    for name, value in faults.items():
        setattr(server, name, value)
    server.put("pods", faulty_api.pod("cart-1", "10.10.0.1"))
    return server, ClusterService(lab, server.port, server.token, server.ca)


@case("a Kubernetes API that {0} in a watch: nothing is missed",
      "cuts", "sends garbage", "sends an event over many lines")
def watch_fault(lab, what):
    fault = {"cuts": "cut", "sends garbage": "garbage"}.get(what, "pretty")
    server, service = begin(lab, watch_faults=[fault, fault, None])
    service.wait_owner("10.10.0.1", "shop/cart-1")
    service.wait_watching()
    for number in range(2, 6):
        server.put("pods", faulty_api.pod("cart-%d" % number, "10.10.0.%d" % number))
    server.drop("pods", "cart-1")
    for number in range(2, 6):
        service.wait_owner("10.10.0.%d" % number, "shop/cart-%d" % number, 20)
    wait_for("cart-1 is gone", lambda: service.owner("10.10.0.1") is None)
    # The same spot that cannot be read twice is the server's fault: then it is listed again.
    lists = 2 if fault == "garbage" else 1
    expect(service.metric(PODS % "lists") == lists, "lists: %d" % service.metric(PODS % "lists"),
           server.requests)
    server.stop()


@case("a Kubernetes API that {0}: all is listed again, and what is gone has ended",
      "has forgotten its history", "answers 410", "says Expired in an event")
def relist(lab, what):
    server, service = begin(lab)
    server.put("pods", faulty_api.pod("cart-2", "10.10.0.2"))
    service.wait_owner("10.10.0.2", "shop/cart-2")
    service.wait_watching()
    with server.lock:                 # nobody sees the one without the other
        server.drop("pods", "cart-2")
        server.forget(what == "has forgotten its history")
        server.watch_faults = {"answers 410": [410], "says Expired in an event": ["expired"]}.get(
            what, [])
        server.cut_watches()
    wait_for("cart-2 is gone", lambda: service.owner("10.10.0.2") is None, 20)
    expect(service.owner("10.10.0.1") == "shop/cart-1", "cart-1 is lost")
    expect(service.metric(PODS % "lists") == 2, "lists: %d" % service.metric(PODS % "lists"), server.requests)
    server.put("pods", faulty_api.pod("cart-3", "10.10.0.3"))
    service.wait_owner("10.10.0.3", "shop/cart-3")
    server.stop()


@case("a Kubernetes API with small pages, refusals and cuts in its lists")
def list_faults(lab):
    server, service = begin(lab, page=3, list_faults=[503, "cut", 429, None, "cut", None, 500])
    for number in range(2, 30):
        server.put("pods", faulty_api.pod("cart-%d" % number, "10.10.0.%d" % number))
    service.wait_watching(timeout=60)
    for number in range(1, 30):
        service.wait_owner("10.10.0.%d" % number, "shop/cart-%d" % number)
    expect(service.metric(PODS % "failures") >= 5, "the faults were not met", server.requests)
    pages = [target for target in server.requests if "pods?limit=500&continue=" in target]
    expect(len(pages) >= 9, "no pages", server.requests)
    server.stop()


@case("a Kubernetes API with an object of 5 MiB: that one is skipped and counted")
def huge_object(lab):
    server, service = begin(lab)
    service.wait_owner("10.10.0.1", "shop/cart-1")
    service.wait_watching()
    server.put("pods", faulty_api.pod("huge", "10.10.0.2", annotations={"a": "x" * (5 << 20)}))
    server.put("pods", faulty_api.pod("cart-3", "10.10.0.3"))
    service.wait_owner("10.10.0.3", "shop/cart-3", 30)
    expect(service.owner("10.10.0.2") is None, "the huge one is known")
    skipped = service.metric('whither_kubernetes_objects_skipped_total{kind="pods"}')
    expect(skipped == 1, "skipped: %d" % skipped)
    expect(service.rss_anon_kib() < 200 * 1024, "memory: %d KiB" % service.rss_anon_kib())
    server.stop()
