# tests/lab/dns.py -- the cluster's DNS: CoreDNS replicas configured as Kubernetes does it.
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import time

import net
import world

# kubernetes' zone as a file: services, an ExternalName, and NXDOMAIN for every search try.
CLUSTER_ZONE = """\
$ORIGIN cluster.local.
@ 5 IN SOA ns.dns hostmaster 1 7200 1800 86400 5
@ 5 IN NS ns.dns
ns.dns 5 IN A 10.96.0.10
shop-svc.default.svc 5 IN A 10.96.0.50
ext.default.svc 5 IN CNAME api.example.com.
"""

# The shape of kubeadm's ConfigMap. What differs: the zone is a file, and success and denial have no
# lower bound of 5 s, because the TTLs are compressed.
COREFILE = """\
.:53 {
    bind %(address)s
    errors
    %(dnstap)s
    file %(cluster)s cluster.local
    forward . %(upstream)s
    cache 30 {
        success 9984 30 0
        denial 9984 30 0
    }
    loadbalance
}
"""

WORLD_COREFILE = """\
.:53 {
    bind %(address)s
    errors
    file %(com)s example.com
    file %(net)s example.net
}
"""

RESOLV = ("nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n"
          "options ndots:5\n" % net.DNS_SERVICE)
OTHER_RESOLV = "nameserver %s\n" % world.DNS
NSSWITCH = "hosts: files dns\n"


class Replica:
    """One CoreDNS; `dnstap` is the address it sends to, None for none at all."""

    def __init__(self, lab, binary, name, dnstap):
        self.lab, self.name, self.binary = lab, name, binary
        line = "dnstap unix://%s full {\n        identity coredns-%s\n    }" % (dnstap, name)
        text = COREFILE % {"address": net.DNS_IPS[name], "dnstap": line if dnstap else "",
                           "cluster": lab.write("cluster.zone", CLUSTER_ZONE),
                           "upstream": world.DNS}
        self.corefile = lab.write(name + ".Corefile", text)
        self.process = None

    def start(self):
        argv = [self.binary, "-conf", self.corefile]
        self.process = self.lab.start("coredns-" + self.name, net.inside(self.name, *argv))
        wait_answers(net.DNS_IPS[self.name], self.name)


def start_world(lab, binary):
    """The authority for the names outside."""
    zones = world.zones()
    text = WORLD_COREFILE % {"address": world.DNS,
                             "com": lab.write("com.zone", zones["example.com"]),
                             "net": lab.write("net.zone", zones["example.net"])}
    lab.start("coredns-world", net.inside("world", binary, "-conf",
                                          lab.write("world.Corefile", text)))
    wait_answers(world.DNS, "world")


def wait_answers(address, namespace, timeout=15):
    """Waits until a TCP connection to port 53 is taken: that asks nothing."""
    end = time.monotonic() + timeout
    probe = "import socket,sys; socket.create_connection((sys.argv[1], 53), 0.5)"
    while subprocess.run(net.inside(namespace, "python3", "-c", probe, address),
                         stderr=subprocess.DEVNULL, check=False).returncode != 0:
        if time.monotonic() > end:
            raise RuntimeError("CoreDNS in %s does not answer" % namespace)
        time.sleep(0.2)


def cover_resolver(sandbox):
    """Every program started from now on asks the cluster's DNS, as a pod does."""
    sandbox.cover("/etc/resolv.conf", RESOLV)
    if os.path.exists("/etc/nsswitch.conf"):
        sandbox.cover("/etc/nsswitch.conf", NSSWITCH)
