# tests/e2e/cases/coredns.py -- CoreDNS of two versions as the sender.
# SPDX-License-Identifier: Apache-2.0

import json
import signal
import time

from support.case import case
from support.coredns import CoreDNS, ask, dig, dnstap_line, zone_block
from support.lab import expect, wait_for
from support.tap import Tap
from support.whither import Service, time_us

BOTH = ("old", "new")
EACH = [(version, transport) for version in BOTH for transport in ("unix", "tcp")]
POD_A, POD_B, POD_C = "127.0.0.2", "127.0.0.3", "127.0.0.4"


def feed(lab, version, service, transport="unix", full=True, before="", after=None, name="coredns"):
    """A CoreDNS that answers example.com and sends to the service."""
    block = dnstap_line(service.address(transport), full) + before
    return CoreDNS(lab, version, name, block + (zone_block(lab) if after is None else after))


def now_us():
    return time.time_ns() // 1000


@case("CoreDNS {0} over {1}: answers of every kind are indexed under the client that asked", *EACH)
def answers_of_every_kind(lab, version, transport):
    service = Service(lab)
    server = feed(lab, version, service, transport)
    expect(len(dig(lab, server.port, "shop.example.com", client=POD_A)) == 2, "no two A records")
    dig(lab, server.port, "shop.example.com", "AAAA", client=POD_A)
    dig(lab, server.port, "www.example.com", client=POD_B, options=["+tcp"])
    dig(lab, server.port, "SVC.example.com", "HTTPS", client=POD_C, program="kdig")
    for address in ("198.51.100.10", "198.51.100.11", "2001:db8::10"):
        service.wait_name(POD_A, address, "shop.example.com")
    chain = service.wait_name(POD_B, "203.0.113.20", "www.example.com")["candidates"][0]
    expect(chain["chain"] == ["edge.example.com", "pop.cdn.example.com"], "another chain", chain)
    for address in ("203.0.113.40", "2001:db8::40"):
        service.wait_name(POD_C, address, "svc.example.com")
    # Each client has its own answers: A never got B's, and is offered it only as shared.
    other = service.ask(POD_A, "203.0.113.20")
    expect(other["verdict"] == "shared" and not other.get("domain"), "not shared", other)
    expect(other["candidates"][0]["name"] == "www.example.com", "another name", other)


@case("CoreDNS {0}: the service, the command and the bulk call give one and the same attribution",
      *BOTH)
def the_same_everywhere(lab, version):
    service = Service(lab)
    server = feed(lab, version, service)
    dig(lab, server.port, "www.example.com", client=POD_A)
    service.wait_name(POD_A, "203.0.113.20", "www.example.com")
    at_us = now_us()
    by_get = service.ask(POD_A, "203.0.113.20", at_us)
    by_command = service.lookup(POD_A, "203.0.113.20", at_us)
    body = '{"src":"%s","dst":"203.0.113.20","at":%.6f}\n' % (POD_A, at_us / 1e6)
    status, _, text = service.request("POST", "/v1/lookup", body)
    expect(status == 200, "POST /v1/lookup: %d" % status, text)
    by_post = json.loads(text.splitlines()[0])
    for other in (by_command, by_post):
        expect(other == by_get, "two answers to one question", by_get, other)


@case("CoreDNS {0} without full: nothing is indexed, and it is said why", *BOTH)
def without_full(lab, version):
    service = Service(lab)
    server = feed(lab, version, service, full=False)
    for _ in range(3):
        dig(lab, server.port, "shop.example.com", client=POD_A)
    wait_for("the responses without a message are counted",
             lambda: service.frames("no-message") >= 3, 20, 0.2)
    verdict = service.ask(POD_A, "198.51.100.10")
    expect(verdict["verdict"] == "blind", "something was indexed", verdict)
    expect("`full`" in service.log(), "the log does not say what to do", service.log())


@case("CoreDNS {0} with cache: every answer counts, also those from the cache", *BOTH)
def with_cache(lab, version):
    service = Service(lab)
    server = feed(lab, version, service, before="    cache 30\n")
    for client in (POD_A, POD_B, POD_A, POD_A):
        dig(lab, server.port, "short.example.com", client=client)
    service.wait_name(POD_A, "198.51.100.30", "short.example.com")
    service.wait_name(POD_B, "198.51.100.30", "short.example.com")
    count = wait_for("three answers to one client",
                     lambda: service.ask(POD_A, "198.51.100.30")["candidates"][0]["count"] == 3)
    expect(count, "three answers, another count")


@case("CoreDNS {0} forwarding to another: only what clients received is indexed, once", *BOTH)
def forwarding(lab, version):
    service = Service(lab)
    upstream = CoreDNS(lab, version, "upstream", zone_block(lab))
    server = feed(lab, version, service, after="    forward . 127.0.0.1:%d\n" % upstream.port)
    for qtype in ("A", "AAAA"):
        dig(lab, server.port, "shop.example.com", qtype, client=POD_A)
    found = service.wait_name(POD_A, "198.51.100.10", "shop.example.com")
    service.wait_name(POD_A, "2001:db8::10", "shop.example.com")
    expect(found["candidates"][0]["count"] == 1, "the forwarder's copy was counted", found)
    # Nobody is a client but the pod: CoreDNS's own socket and the upstream are none.
    local = service.ask("127.0.0.1", "198.51.100.10")
    expect(local["verdict"] == "shared", "an upstream exchange was indexed", local)
    expect(local["candidates"][0].get("clients", 1) == 1, "more than one client", local)


@case("CoreDNS {0}: a truncated answer counts with what it holds, the one over TCP with all", *BOTH)
def truncated(lab, version):
    service = Service(lab)
    server = feed(lab, version, service)
    cut = ask(("127.0.0.1", server.port), "many.example.com", client=POD_A)
    expect(cut["tc"], "the answer over UDP was not truncated", cut["answers"])
    addresses = dig(lab, server.port, "many.example.com", client=POD_B)
    expect(len(addresses) == 100, "dig got %d addresses, not 100" % len(addresses))
    held = {value for _, _, _, value in cut["answers"]}
    for address in sorted(addresses)[::20]:
        service.wait_name(POD_B, address, "many.example.com")
    for address in sorted(addresses):
        verdict = service.ask(POD_A, address)["verdict"]
        due = "resolved" if address in held else "shared"
        expect(verdict == due, "%s is %s, not %s" % (address, verdict, due))
    expect(service.metric("whither_dns_truncated_total") >= 1, "not counted", service.metrics())


@case("CoreDNS {0}: NXDOMAIN and an empty answer show that the client asks", *BOTH)
def negative_answers(lab, version):
    service = Service(lab)
    server = feed(lab, version, service)
    dig(lab, server.port, "nobody.example.com", client=POD_A)
    dig(lab, server.port, "six.example.com", "A", client=POD_B)
    dig(lab, server.port, "six.example.com", "AAAA", client=POD_C)
    service.wait_name(POD_C, "2001:db8::6", "six.example.com")
    for client, asks in ((POD_A, True), (POD_B, True), ("127.0.0.9", False)):
        seen = service.ask(client, "192.0.2.77")
        expect(seen["verdict"] == "blind", "a name out of nothing", seen)
        expect(service.asked(client) == asks, "%s: %s" % (client, "was not seen asking" if asks
                                                          else "never asked, yet seen"), seen)


@case("CoreDNS {0} over {1}: the service is restarted in mid-stream", *EACH)
def service_restarted(lab, version, transport):
    service = Service(lab)
    server = feed(lab, version, service, transport)
    dig(lab, server.port, "short.example.com", client=POD_A)
    service.wait_name(POD_A, "198.51.100.30", "short.example.com")
    before_us = now_us()
    service.stop()
    dig(lab, server.port, "again.example.com", client=POD_A)
    service.start()
    expect(service.ask(POD_A, "198.51.100.30", before_us)["verdict"] == "resolved",
           "what was known before the restart is gone")

    def heard_again():
        dig(lab, server.port, "other.example.com", client=POD_B)
        time.sleep(1.2)         # CoreDNS up to 1.13.1 connects again only when idle for a second
        return service.ask(POD_B, "198.51.100.32")["verdict"] == "resolved"

    wait_for("CoreDNS is heard again", heard_again, 45, 0.2)
    blinds = service.blinds(before_us, now_us())
    expect(blinds, "no blind interval around the restart", service.live_status())
    expect(any(begin <= before_us + 2000000 and end > before_us for begin, end in blinds),
           "no blind interval begins at the restart", before_us, blinds)
    expect(all(end < now_us() - 1 for _, end in blinds), "a blind interval is still open", blinds)


@case("CoreDNS {0}: it is killed in mid-stream and comes back", *BOTH)
def sender_killed(lab, version):
    service = Service(lab)
    server = feed(lab, version, service)
    dig(lab, server.port, "short.example.com", client=POD_A)
    service.wait_name(POD_A, "198.51.100.30", "short.example.com")
    killed_us = now_us()
    server.process.kill()
    wait_for("the gap is seen", lambda: service.blinds(killed_us, now_us()), 15, 0.2)
    server.start()
    dig(lab, server.port, "again.example.com", client=POD_A)
    service.wait_name(POD_A, "198.51.100.31", "again.example.com")
    back_us = now_us()
    blinds = service.blinds(killed_us - 60000000, back_us)
    expect(any(begin <= killed_us <= end < back_us for begin, end in blinds),
           "no closed blind interval around the kill", killed_us, blinds)
    service.wait_name(POD_A, "198.51.100.30", "short.example.com")


@case("CoreDNS {0} over {1}: at a reload STOP is answered and the connection closed in a second",
      *EACH)
def finish_is_prompt(lab, version, transport):
    service = Service(lab)
    tap = Tap(lab, service.address(transport))
    server = CoreDNS(lab, version, "coredns", dnstap_line(tap.address) + zone_block(lab))
    dig(lab, server.port, "short.example.com", client=POD_A)
    server.process.signal(signal.SIGUSR1)
    stop = wait_for("CoreDNS sends STOP", lambda: tap.when(1, "sender", "STOP"))
    # It waits 4 s for FINISH, and it never closes the old connection itself.
    for event in ("FINISH", "closed"):
        seconds = wait_for(event, lambda: tap.when(1, "service", event)) - stop
        expect(seconds < 1.0, "%s %.2f s after STOP" % (event, seconds), tap.events)
    # FINISH promises that everything before it is committed, so there is nothing to wait for.
    expect(service.ask(POD_A, "198.51.100.30")["verdict"] == "resolved", "not committed")
    dig(lab, server.port, "again.example.com", client=POD_A)
    service.wait_name(POD_A, "198.51.100.31", "again.example.com")


@case("CoreDNS {0}: what it flushed before SIGTERM is kept, whether or not it says STOP", *BOTH)
def sender_ends(lab, version):
    service = Service(lab)
    server = feed(lab, version, service)
    dig(lab, server.port, "short.example.com", client=POD_A)
    time.sleep(1.5)
    server.stop()
    service.wait_name(POD_A, "198.51.100.30", "short.example.com", timeout=5)


@case("two CoreDNS at once, one of each version, into one service")
def two_senders(lab):
    service = Service(lab)
    for version, transport, client in (("old", "unix", POD_A), ("new", "tcp", POD_B)):
        extra = dnstap_line(service.address(transport)).replace("sender-1", "sender-" + version)
        server = CoreDNS(lab, version, "coredns-" + version, extra + zone_block(lab))
        dig(lab, server.port, "www.example.com", client=client)
    for client in (POD_A, POD_B):
        service.wait_name(client, "203.0.113.20", "www.example.com")
    senders = service.senders()
    expect({"sender-old", "sender-new"} <= set(senders), "a sender is missing", senders)
    for committed in senders.values():
        expect(abs(committed - now_us()) < 60000000, "committed to another time", senders)


# `extra` is what a Corefile may add to every payload; `identity` must survive it.
@case("CoreDNS {0}: times, identity and extra text arrive as sent", *BOTH)
def fields_arrive(lab, version):
    service = Service(lab)
    block = dnstap_line(service.unix, extra="        extra \"pod-a\"\n")
    server = CoreDNS(lab, version, "coredns", block + zone_block(lab))
    asked_us = now_us()
    dig(lab, server.port, "short.example.com", client=POD_A)
    answered_us = now_us()
    found = service.wait_name(POD_A, "198.51.100.30", "short.example.com")["candidates"][0]
    expect(asked_us <= time_us(found["last"]) <= answered_us, "the answer has another time",
           asked_us, answered_us, found)
    expect(found["ttl_s"] == 60, "another TTL", found)
    expect("sender-1" in service.senders(), "the sender is not named", service.senders())
