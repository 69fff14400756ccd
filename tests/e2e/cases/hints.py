# tests/e2e/cases/hints.py -- whose address it was, by what the DNS server itself says of its client.
# SPDX-License-Identifier: Apache-2.0

import time

from support import coredns, wire
from support.case import case
from support.coredns import CoreDNS
from support.lab import expect, wait_for
from support.whither import Commands, Service, rfc3339

CLIENT = "127.0.0.7"


def now_us():
    return time.time_ns() // 1000


def pod(found):
    """namespace/pod of the source."""
    k8s = found.get("source", {}).get("k8s", {})
    return "%s/%s" % (k8s["namespace"], k8s["pod"]) if "pod" in k8s else None


@case("CoreDNS {0}: namespace/pod in `extra` says whose address it was, and is kept", "old", "new")
def extra(lab, which):
    service = Service(lab)
    zone = coredns.zone_block(lab)

    def server(name, text):
        line = coredns.dnstap_line(service.unix, extra='        extra "%s"\n' % text)
        return CoreDNS(lab, which, name, zone + line)

    one, none = server("one", "shop/cart-1"), server("none", "-/-")
    coredns.ask(("127.0.0.1", none.port), "shop.example.com", client="127.0.0.8")
    coredns.ask(("127.0.0.1", one.port), "shop.example.com", client=CLIENT)
    found = service.wait_name(CLIENT, "198.51.100.10", "shop.example.com")
    expect(pod(found) == "shop/cart-1", "the hint is not used", found)
    found = service.wait_name("127.0.0.8", "198.51.100.10", "shop.example.com")
    expect(pod(found) is None, "a hint out of nothing", found)
    first_us = now_us()
    # The address goes to another pod, which begins when it is first heard of.
    two = server("two", "shop/cart-2")
    coredns.ask(("127.0.0.1", two.port), "other.example.com", client=CLIENT)
    wait_for("the next pod", lambda: pod(service.ask(CLIENT, "203.0.113.9")) == "shop/cart-2", 20)
    service.stop()
    found = service.lookup(CLIENT, "198.51.100.10", first_us)
    expect(pod(found) == "shop/cart-1", "the index does not know", found)
    service.start()
    expect(pod(service.ask(CLIENT, "203.0.113.9")) == "shop/cart-2", "forgotten by a restart")
    expect(pod(service.ask(CLIENT, "198.51.100.10", first_us)) == "shop/cart-1", "forgotten")


@case("a capture with namespace/pod in `extra`: ingest keeps it, join --dnstap uses it")
def capture(lab):
    commands = Commands(lab)
    begin_us = now_us() - 600 * 1000000
    message = wire.response("api.example.com", wire.A,
                            [("api.example.com", wire.A, 60, "203.0.113.20")])
    payloads = [wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.10.0.7", message,
                                  begin_us + number * 1000000, extra=b"shop/cart-1")
                for number in range(5)]
    file = lab.write("hints.fstrm", wire.capture_file(payloads))
    commands.ingest(file)
    found = commands.lookup("10.10.0.7", "203.0.113.20", begin_us + 6 * 1000000)
    expect(pod(found) == "shop/cart-1", "the hint is not in the index", found)
    commands.ingest(lab.write("more.fstrm", wire.capture_file([
        wire.dnstap_frame(wire.CLIENT_RESPONSE, "10.10.0.7", message, begin_us + 300 * 1000000,
                          extra=b"shop/cart-2")])))
    for at_s, expected in ((6, "shop/cart-1"), (301, "shop/cart-2")):
        found = commands.lookup("10.10.0.7", "203.0.113.20", begin_us + at_s * 1000000)
        expect(pod(found) == expected, "at %d s it is not %s" % (at_s, expected), found)
    flow = ('{"flow":{"time":"%s","verdict":"FORWARDED","IP":{"source":"10.10.0.7","destination":'
            '"203.0.113.20","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":40000,'
            '"destination_port":443,"flags":{"SYN":true}}},"Type":"L3_L4",'
            '"traffic_direction":"EGRESS","is_reply":false}}\n')
    flows = lab.write("flows.json", flow % rfc3339(begin_us + 6 * 1000000))
    done = commands.run("join", flows, "--dnstap", file, "--to", "ecs", check=0)
    expect('"pod":"cart-1"' in done.stdout, "join --dnstap does not use it", done.stdout)
