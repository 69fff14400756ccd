# tests/e2e/cases/kubernetes.py -- whose address it was, from a real Kubernetes API server.
# SPDX-License-Identifier: Apache-2.0

import time

from support import kube
from support import lab as labs
from support import wire
from support.case import case
from support.lab import expect, wait_for

CLIENT = "10.10.0.7"


def now_us():
    return time.time_ns() // 1000


def cluster(lab, kinds=None):
    """An API server with a node and a namespace, and a token for the service."""
    api = kube.ApiServer(lab, kube.Etcd(lab))
    token = api.account_token()
    api.allow(kinds)
    api.namespace("shop")
    api.node("node-a", "192.0.2.10")
    return api, token


def say(service, client, name, address):
    """A DNS answer for the client."""
    sender = wire.Sender(service.unix)
    message = wire.response(name, wire.A, [(name, wire.A, 60, address)])
    sender.send([wire.dnstap_frame(wire.CLIENT_RESPONSE, client, message, now_us())])
    sender.finish()


@case("kube-apiserver: pods come, end, and hand on their address; no name goes along")
def life_of_an_address(lab):
    api, token = cluster(lab)
    api.service("cart", "10.96.7.7")
    api.pod("cart-1", CLIENT)
    service = kube.ClusterService(lab, api.port, token, api.ca)
    service.wait_watching()
    service.wait_owner(CLIENT, "shop/cart-1")
    say(service, CLIENT, "api.example.com", "203.0.113.20")
    service.wait_name(CLIENT, "203.0.113.20", "api.example.com")
    first_us = now_us()
    found = service.ask(CLIENT, "10.96.7.7")
    expect(found["verdict"] == "internal", "the service's address is not the cluster's", found)
    found = service.ask("10.10.0.99", "192.0.2.10")
    expect(found["verdict"] == "internal", "the node's address is not the cluster's", found)

    api.phase("cart-1", "Succeeded")            # the API goes on naming its address
    wait_for("the pod ended", lambda: service.owner(CLIENT) is None, 15, 0.1)
    time.sleep(1.1)
    api.pod("cart-2", CLIENT)
    service.wait_owner(CLIENT, "shop/cart-2")
    found = service.ask(CLIENT, "203.0.113.20")
    expect(found["verdict"] != "resolved", "a name went over to the next pod", found)
    found = service.ask(CLIENT, "203.0.113.20", first_us)
    expect(found["domain"] == "api.example.com", "the former pod lost its name", found)
    api.delete_pod("cart-2")
    wait_for("the pod is gone", lambda: service.owner(CLIENT) is None, 15, 0.1)
    expect(service.metric('whither_kubernetes_lists_total{kind="pods"}') == 1, "listed twice")


@case("kube-apiserver: what changed while the service was killed, and what it knew before")
def restart(lab):
    api, token = cluster(lab)
    api.pod("cart-1", CLIENT)
    api.pod("cart-3", "10.10.0.8")
    service = kube.ClusterService(lab, api.port, token, api.ca)
    service.wait_owner(CLIENT, "shop/cart-1")
    known_us = now_us()
    # Another process sees it in the index.
    say(service, CLIENT, "api.example.com", "203.0.113.20")
    wait_for("the owner is committed", lambda: "cart-1" in str(
        service.run("lookup", CLIENT, "203.0.113.20", "--data", service.data).stdout), 10, 0.2)
    service.kill()
    time.sleep(1.1)
    api.delete_pod("cart-1")
    api.pod("cart-2", CLIENT)
    service.start()
    service.wait_owner(CLIENT, "shop/cart-2")
    expect(service.owner(CLIENT, known_us) == "shop/cart-1", "the past is forgotten")
    expect(service.owner("10.10.0.8") == "shop/cart-3", "a pod that stayed is lost")


@case("kube-apiserver: away, back with another past (410), and with another token")
def api_away(lab):
    api, token = cluster(lab)
    other = kube.ApiServer(lab, api.etcd, "kube-apiserver-2")
    api.pod("cart-1", CLIENT)
    service = kube.ClusterService(lab, api.port, token, api.ca)
    service.wait_watching()
    service.wait_owner(CLIENT, "shop/cart-1")
    lists = service.metric('whither_kubernetes_lists_total{kind="pods"}')

    api.stop()
    wait_for("the watch is known to be broken",
             lambda: service.watches()["pods"]["state"] == "waiting", 30)
    expect(service.owner(CLIENT) == "shop/cart-1", "owners went with the API")
    heard = service.watches()["pods"]["heard"]
    # What happens meanwhile is in no watch cache that the first server will ever have.
    other.delete_pod("cart-1")
    for number in range(5):
        other.pod("cart-x%d" % number, "10.10.1.%d" % number)
        other.delete_pod("cart-x%d" % number)
    other.pod("cart-2", CLIENT)
    api.etcd.compact()
    expect(service.watches()["pods"]["heard"] == heard, "the age of the owners is not told")
    api.start()
    service.wait_owner(CLIENT, "shop/cart-2", 60)
    expect(service.metric('whither_kubernetes_lists_total{kind="pods"}') > lists,
           "410 did not lead to another list", service.log()[-2000:])
    service.wait_watching(timeout=60)

    # The kubelet puts another token; the old one is no more.
    lab.write("account/token", "not-a-token")
    api.stop()
    api.start()
    wait_for("401 is told of", lambda: "(401)" in service.watches()["pods"]["problem"], 60, 0.1)
    lab.write("account/token", api.account_token())
    service.wait_watching(timeout=60)
    api.pod("cart-9", "10.10.0.9")
    service.wait_owner("10.10.0.9", "shop/cart-9")


@case("kube-apiserver: 1,200 pods in pages; services forbidden do not hinder them")
def many_pods(lab):
    api, token = cluster(lab, ["pods", "nodes"])
    for number in range(1200):
        address = "10.11.%d.%d" % divmod(number, 250) if number % 100 == 0 else None
        api.pod("p%d" % number, address)
    service = kube.ClusterService(lab, api.port, token, api.ca)
    service.wait_watching("pods", "nodes", timeout=60)
    for number in range(0, 1200, 100):
        address = "10.11.%d.%d" % divmod(number, 250)
        expect(service.owner(address) == "shop/p%d" % number, "%s is missing" % address)
    expect(service.metric("whither_owners_open") >= 12 + 1, "owners: %r" % service.metrics())
    problem = service.watches()["services"]["problem"]
    expect("needs get, list and watch on services (403)" in problem, "403 is not told of", problem)
    expect(service.metric('whither_kubernetes_lists_total{kind="pods"}') == 1, "listed twice")
    expect(problem[:100] in service.log(), "the log does not name the missing rule", service.log())
