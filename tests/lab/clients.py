# tests/lab/clients.py -- workloads: what each kind of client does, as scripts for workload.c.
# SPDX-License-Identifier: Apache-2.0
#
# A behaviour is one pod (or a line of pods on one address) that does one thing over and over until
# the time is up. Its name is a row of the printed table.

import random

import world


class Pod:
    """A pod to be: `script` for workload.c, or `shell` lines."""

    def __init__(self, behaviour, script, last, libc="glibc", dual=False, other_resolver=False,
                 shell=False, on_node=False):
        self.behaviour, self.script, self.last, self.libc = behaviour, script, last, libc
        self.dual, self.other_resolver, self.shell = dual, other_resolver, shell
        self.on_node = on_node          # of the host's network
        self.successor = None           # the pod that gets this one's address when its script ends
        self.name = ""


class Script:
    """Commands and the time they take at least."""

    def __init__(self, seed):
        self.random, self.lines, self.ms = random.Random(seed), [], 0

    def say(self, *words):
        self.lines.append(" ".join(str(word) for word in words))
        self.ms += 5

    def sleep(self, least, most=None):
        ms = int(self.random.uniform(least, least if most is None else most) * 1000)
        self.lines.append("sleep %d" % ms)
        self.ms += ms

    def text(self):
        return "\n".join(self.lines) + "\n"


ORDINARY = ([world.plain(i) for i in range(world.PLAIN)] + ["multi.example.com", "shop.example.com",
            "api.example.com"] + world.CDN)
SHOP = "shop-svc.default.svc.cluster.local"
EXTERNAL_NAME = "ext.default.svc.cluster.local"


def ordinary(script):
    """Asks, connects, forgets."""
    script.say("get", script.random.choice(ORDINARY))
    script.sleep(0.3, 1.0)


def past_ttl(script):
    """Keeps what it was told, some seconds longer than it is good for."""
    name = world.plain(script.random.randrange(world.PLAIN))
    script.say("keep", name)
    for _ in range(6):
        script.say("use", name)
        script.sleep(1.0, 1.6)


def other_family(script):
    """Asks over IPv4, connects over IPv6."""
    name = "six%d.example.com" % script.random.randrange(4)
    script.say("keep", name)
    script.say("use", name, 6)
    script.sleep(0.3, 1.2)
    script.say("use", name, script.random.choice([4, 6]))
    script.sleep(0.5, 1.5)


def hard_coded(script):
    """Has an address in its configuration and asks for nothing at all."""
    script.say("to", *world.hidden(script.random.randrange(world.HIDDEN)))
    script.sleep(0.8, 1.6)


def hard_coded_too(script):
    """Has one address in its configuration, and asks for everything else."""
    ordinary(script)
    script.say("to", *world.hidden(script.random.randrange(world.HIDDEN)))
    script.sleep(0.5, 1.2)


def other_resolver(script):
    """Asks a resolver outside, for names of its own and for such that others ask for here."""
    if script.random.random() < 0.5:
        script.say("get", world.elsewhere(script.random.randrange(world.ELSEWHERE)))
    else:
        script.say("get", world.plain(script.random.randrange(world.PLAIN)))
    script.sleep(0.8, 1.6)


def reconnects(script):
    """Resolves once and comes back to the one address, as a long-lived worker does."""
    name = world.plain(2)
    script.say("keep", name)
    for _ in range(11):
        script.say("use", name)
        script.sleep(1.4, 1.6)


def over_https(script):
    """Resolves by HTTPS, which looks like any TLS; then addresses that nobody was asked for."""
    script.say("get", "doh.example.net")
    for _ in range(3):
        i = script.random.randrange(world.ELSEWHERE)
        script.sleep(0.4, 1.2)
        script.say("to", "198.51.100.%d" % (200 + i), world.elsewhere(i))
    script.sleep(0.5, 1.0)


def chain(script):
    script.say("get", "shop.example.com")
    script.sleep(0.6, 1.4)


def chain_tail(script):
    """Its resolver library kept the head of the chain and asks for the tail alone."""
    script.say("keep", "shop.example.com")
    script.say("use", "shop.example.com")
    script.sleep(4.5, 6.0)
    script.say("keep", "pop.example.net")
    script.say("use", "pop.example.net", "-", "shop.example.com")
    script.sleep(0.5, 1.0)


def one_address(script):
    """Several names of one address at once, then a connection to one of them."""
    names = script.random.sample(world.CDN, 3)
    for name in names:
        script.say("keep", name)
    script.say("use", script.random.choice(names))
    script.sleep(0.8, 1.5)


def many_addresses(script):
    script.say("keep", "multi.example.com")
    for _ in range(3):
        script.say("use", "multi.example.com")
    script.sleep(0.8, 1.8)


def expired_reuse(script, turn):
    """An address moves on to another name after the answer ran out: first unasked, then asked."""
    address, old, new = world.pair(turn)
    script.say("get", old)
    script.sleep(6.4, 6.9)      # TTL, grace and a clock that is 1.5 s behind
    script.say("to", address, new)
    script.sleep(2.4, 2.8)      # longer than the skew: else the next answer may speak for this one
    script.say("get", new)
    script.sleep(0.2, 0.4)


def service(script):
    script.say("get", SHOP)
    script.sleep(1.0, 2.0)


def external_name(script):
    script.say("keep", EXTERNAL_NAME)
    script.say("use", EXTERNAL_NAME, "-", "api.example.com")
    script.sleep(0.8, 1.8)


# behaviour -> (what it does, options of the pod)
REPEATED = {
    "ordinary, glibc": (ordinary, {}),
    "ordinary, musl": (ordinary, {"libc": "musl"}),
    "past the TTL": (past_ttl, {}),
    "other family": (other_family, {"dual": True}),
    "hard-coded only": (hard_coded, {"libc": "musl"}),
    "hard-coded and DNS": (hard_coded_too, {}),
    "other resolver": (other_resolver, {"other_resolver": True}),
    "reconnects": (reconnects, {"libc": "musl"}),
    "DNS over HTTPS": (over_https, {}),
    "CNAME chain": (chain, {"libc": "musl"}),
    "CNAME tail": (chain_tail, {}),
    "one address": (one_address, {}),
    "many addresses": (many_addresses, {"libc": "musl"}),
    "service": (service, {}),
    "ExternalName": (external_name, {}),
}
TWICE = ("ordinary, glibc", "ordinary, musl")
EXPIRED_PAIRS = 8               # of world.PAIRS; the rest is for reused pod addresses
REUSED, CURL, EXPIRED, ON_NODE = "reused pod address", "curl", "reused address", "host network"


def repeated(behaviour, seed, seconds, last):
    step, options = REPEATED[behaviour]
    script = Script(seed)
    script.sleep(0.0, 1.0)
    while script.ms < seconds * 1000:
        step(script)
    return Pod(behaviour, script.text(), last, **options)


def curl(seed, seconds, last):
    """Real TLS by a real client."""
    script = Script(seed)
    while script.ms < seconds * 1000:
        script.lines.append("curl -sk --max-time 4 -o /dev/null https://%s/ || echo \"curl: $?\""
                            % script.random.choice(ORDINARY))
        pause = script.random.uniform(0.7, 1.4)
        script.lines.append("sleep %.2f" % pause)
        script.ms += int(pause * 1000) + 30
    return Pod(CURL, script.text(), last, shell=True)


def expired(seed, seconds, last, first_pair):
    script, turn = Script(seed), first_pair
    while script.ms < seconds * 1000:
        expired_reuse(script, turn % EXPIRED_PAIRS)
        turn += 2
    return Pod(EXPIRED, script.text(), last)


def on_node(seed, seconds):
    """A pod of the host's network: its DNS and its flows have the node's address."""
    script = Script(seed)
    while script.ms < seconds * 1000:
        ordinary(script)
        if script.random.random() < 0.3:
            script.say("to", *world.hidden(script.random.randrange(world.HIDDEN)))
    return Pod(ON_NODE, script.text(), 0, on_node=True)


def reused_pod(seed, seconds, last, first_pair, margin):
    """A line of pods on one address. Every other one connects, without a question, to an address
    that the one before it was given under another name.

    The API dates a pod's beginning to the second and a system log its line when it came, so nobody
    can tell apart what happened within about a second and a half: a pod asks for the last time a
    little longer than that before its end. Nor can anybody where a clock is wrong by more than an address rests between two owners: `margin` seconds at
    both ends of each life keep that apart."""
    rng, ms, first, before, turn = random.Random(seed), 0, None, None, 0
    while ms < seconds * 1000:
        script = Script(rng.random())
        address, old, new = world.pair(first_pair + turn // 2 % 6)
        script.sleep(margin)
        if turn % 2 == 0:
            script.sleep(0.8, 1.5)
            script.say("get", old)
            script.sleep(1.7, 2.0)
        else:
            script.say("to", address, new)
            script.sleep(0.8, 1.6)
            script.say("get", world.plain(turn))
            script.sleep(1.0, 2.0)
        script.sleep(margin)
        pod = Pod(REUSED, script.text(), last, libc=rng.choice(["glibc", "musl"]))
        ms += script.ms + 400
        if before is None:
            first = pod
        else:
            before.successor = pod
        before, turn = pod, turn + 1
    return first


def everyone(seed, seconds, owners, margin):
    """The pods of a run, named and numbered. Addresses change hands where owners are known."""
    pods, last = [], 11
    for behaviour in REPEATED:
        for copy in range(2 if behaviour in TWICE else 1):
            pods.append(repeated(behaviour, "%s/%s/%d" % (seed, behaviour, copy), seconds, last))
            last += 1
    pods.append(curl("%s/curl" % seed, seconds, last))
    if owners:
        pods.append(on_node("%s/node" % seed, seconds))
    for i in range(2):
        pods.append(expired("%s/expired/%d" % (seed, i), seconds, last + 1 + i, i))
        if owners:
            pods.append(reused_pod("%s/reused/%d" % (seed, i), seconds, last + 3 + i,
                                   EXPIRED_PAIRS + 6 * i, margin))
    for i, pod in enumerate(pods):
        pod.name, generation = "p%d" % i, 1
        successor = pod.successor
        while successor is not None:
            successor.name = "p%dg%d" % (i, generation)
            successor, generation = successor.successor, generation + 1
    return pods
