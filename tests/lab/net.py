# tests/lab/net.py -- pods, a router and the world outside, as network namespaces.
# SPDX-License-Identifier: Apache-2.0
#
#   pod p1, p2, ..    10.244.0.x, some 2001:db8:244::x too, on the bridge cni0 of the router
#   dns1, dns2        10.244.1.2 and .6: the replicas of the DNS service
#   shop              10.244.2.2: the pod behind a service
#   rtr               the node: routes, gives 10.96.0.10 to the replicas in turn and 10.96.0.50 to
#                     the shop, reports what it sees (conntrack, NFLOG)
#   world             everything in 198.51.100.0/24, 203.0.113.0/24 and 2001:db8:1::/64
#
# All in the sandbox's own namespaces: see sandbox.py for why nothing is removed here.

import os
import subprocess

POD_NET, POD_NET6 = "10.244.0.", "2001:db8:244::"
DNS_IPS = {"dns1": "10.244.1.2", "dns2": "10.244.1.6"}
DNS_SERVICE, SHOP_SERVICE, SHOP_POD = "10.96.0.10", "10.96.0.50", "10.244.2.2"
GATEWAY, NODE_IP = "10.244.0.1", "192.0.2.1"
WORLD_PREFIXES = ("198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/64")

SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
           "net.netfilter.nf_conntrack_timestamp=1", "net.netfilter.nf_conntrack_acct=1")

RULES = """
table ip kube {
  chain pre {
    type nat hook prerouting priority dstnat;
    ip daddr %(dns)s udp dport 53 dnat to numgen inc mod %(replicas)d map { %(map)s }
    ip daddr %(dns)s tcp dport 53 dnat to %(first)s
    ip daddr %(shop)s tcp dport 443 dnat to %(shop_pod)s
  }
  chain out {
    type nat hook output priority -100;
    ip daddr %(dns)s udp dport 53 dnat to numgen inc mod %(replicas)d map { %(map)s }
  }
  chain post {
    type nat hook postrouting priority srcnat;
  }
}
table inet flows {
  chain forward {
    type filter hook forward priority filter;
    iifname "cni0" ct state new meta l4proto { tcp, udp } log group 5 prefix "calico-packet: "
  }
}
"""


def run(*argv, text=None):
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(argv), done.stdout.strip()))
    return done.stdout


def ip(namespace, *lines):
    """Runs lines of `ip` commands in a namespace."""
    prefix = ["ip", "-n", namespace] if namespace else ["ip"]
    run(*prefix, "-batch", "-", text="\n".join(lines) + "\n")


def inside(namespace, *argv):
    """The command line that runs `argv` in a namespace."""
    return ["nsenter", "--net=/run/netns/" + namespace, "--"] + [str(word) for word in argv]


class Net:
    def __init__(self, replicas=2):
        self.dns = ["dns1", "dns2"][:replicas]
        self.pods = {}
        for name in ["rtr", "world", "shop"] + self.dns:
            self._add(name)
        self._router()
        self._world()
        for name in self.dns:
            self._apart(name, DNS_IPS[name])
        self._apart("shop", SHOP_POD)
        self._rules()

    @staticmethod
    def _add(name):
        run("ip", "netns", "add", name)
        ip(name, "link set lo up")

    @staticmethod
    def _router():
        run(*inside("rtr", "sysctl", "-q", "-w", *SYSCTLS))
        ip("rtr", "link add cni0 type bridge", "addr add %s/24 dev cni0" % GATEWAY,
           "addr add %s1/64 dev cni0 nodad" % POD_NET6, "link set cni0 up")

    @staticmethod
    def _world():
        ip("rtr", "link add world type veth peer name eth0 netns world",
           "addr add %s/30 dev world" % NODE_IP, "addr add 2001:db8:ffff::1/64 dev world nodad",
           "link set world up")
        routes = []
        for prefix in WORLD_PREFIXES:
            routes.append("route add local %s dev lo" % prefix)
        ip("world", "addr add 192.0.2.2/30 dev eth0", "addr add 2001:db8:ffff::2/64 dev eth0 nodad",
           "link set eth0 up", "route add default via %s" % NODE_IP,
           "route add default via 2001:db8:ffff::1", *routes)
        ip("rtr", *["route add %s via %s" % (prefix, "2001:db8:ffff::2" if ":" in prefix
                                             else "192.0.2.2") for prefix in WORLD_PREFIXES],
           # Services have no route of their own; a program of the node needs one to set out at all.
           "route add 10.96.0.0/24 via 192.0.2.2")

    @staticmethod
    def _apart(name, address):
        """A pod behind a link of its own: what it answers passes the router's rules again, whatever
        the kernel does with packets between two ports of a bridge."""
        near = address.rsplit(".", 1)[0] + "." + str(int(address.rsplit(".", 1)[1]) - 1)
        ip("rtr", "link add %s type veth peer name eth0 netns %s" % (name, name),
           "addr add %s/30 dev %s" % (near, name), "link set %s up" % name)
        ip(name, "addr add %s/30 dev eth0" % address, "link set eth0 up",
           "route add default via %s" % near)

    def _rules(self):
        pairs = ", ".join("%d : %s" % (i, DNS_IPS[name]) for i, name in enumerate(self.dns))
        rules = RULES % {"dns": DNS_SERVICE, "replicas": len(self.dns), "map": pairs,
                         "first": DNS_IPS["dns1"], "shop": SHOP_SERVICE, "shop_pod": SHOP_POD}
        run(*inside("rtr", "nft", "-f", "-"), text=rules)

    def add_pod(self, name, last, dual=False):
        """A pod with 10.244.0.LAST; the link on the node is cali-NAME."""
        self._add(name)
        ip("rtr", "link add cali-%s type veth peer name eth0 netns %s" % (name, name),
           "link set cali-%s master cni0 up" % name)
        lines = ["addr add %s%d/24 dev eth0" % (POD_NET, last), "link set eth0 up",
                 "route add default via %s" % GATEWAY]
        if dual:
            lines += ["addr add %s%d/64 dev eth0 nodad" % (POD_NET6, last),
                      "route add default via %s1" % POD_NET6]
        ip(name, *lines)
        self.pods[name] = last

    def delete_pod(self, name):
        """Its link goes at once, and with it the pod's way out."""
        ip("rtr", "link del cali-%s" % name)
        run("ip", "netns", "del", name)
        del self.pods[name]


def log_folder(folder, destination):
    """Copies the logs out of the sandbox."""
    os.makedirs(destination, exist_ok=True)
    run("cp", "-r", folder + "/.", destination)
