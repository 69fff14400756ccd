# tests/lab/score.py -- holds what whither said against what happened: the table and the four bars.
# SPDX-License-Identifier: Apache-2.0
#
# For each flow it works out, from the DNS that was sniffed and from what the injected trouble hid,
# which verdicts are true; this is written from the contract and shares nothing with the program. A
# span of doubt (was this frame still delivered?) makes both answers true.

import collections
import datetime

import net
import params

FAULTS_SHOWN = 4
BARS = {"a": "every `resolved` flow has the true name among its candidates",
        "b": "of the flows whose name was asked here, 95 % are `resolved`",
        "c": "what cannot be named is `ip-only` or `blind` for the true reason",
        "d": "no verdict claims more than was visible"}
BAR_B = 0.95


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def touches(spans, from_s, to_s):
    return any(begin <= to_s and end >= from_s for begin, end, _ in spans)


class Flow:
    """One enriched record whose true name is known."""

    def __init__(self, record, time_s, sni, instance):
        self.record, self.time, self.sni, self.instance = record, time_s, sni, instance
        self.source, self.destination = record["source"]["ip"], record["destination"]["ip"]
        attribution = record["attribution"]
        self.verdict, self.reason = attribution["verdict"], attribution.get("reason")
        self.candidates = attribution.get("candidates", [])
        self.label = self.verdict + ("/" + self.reason if self.verdict == "blind" else "")
        self.names = [candidate["name"] for candidate in self.candidates]
        self.allowed, self.asked, self.misled, self.counts_for_b = set(), False, False, False


class Score:
    def __init__(self, truth, trouble, begin, owners=False, early=False, live=False):
        self.truth, self.trouble, self.begin = truth, trouble, begin
        self.owners, self.early, self.live = owners, early, live
        # Nearer to a border than this either side is true: see params.py, and clocks that differ.
        self.edge = params.EDGE_S + abs(trouble.shift_s)
        self.ttls = collections.defaultdict(list)
        for answer in truth.every_answer():
            self.ttls[answer.name].append(answer.ttl)
        self.flows, self.faults, self.unmatched = [], [], []

    # --- what may be said -----------------------------------------------------------------------

    def _clients(self, flow):
        return flow.instance.addresses if self.owners else [flow.source]

    def _lower(self, flow):
        """The time before which no answer is this client's."""
        lower = flow.time - params.HORIZON_S
        return max(lower, flow.instance.from_s) if self.owners else lower

    def _lower_edges(self, flow):
        """The earliest and the latest time that may be taken for that: the API dates a pod's
        beginning to the second."""
        lower = self._lower(flow)
        dated = self.owners and lower > flow.time - params.HORIZON_S
        return lower - self.edge - (1.0 if dated else 0.0), lower + self.edge

    def _mine(self, flow, answer):
        if self.early:              # of a new owner the service may not have heard yet
            return answer.client in flow.instance.addresses
        return answer.client in self._clients(flow) and (
            not self.owners or answer.time >= flow.instance.from_s)

    def _hidden(self, answer, spans):
        return any(begin <= answer.time <= end and answer.replica in replicas
                   for begin, end, replicas in spans)

    def _answers(self, flow):
        """(its own, others') tapped answers with the destination, up to the skew after it. Others'
        count over the whole horizon, however young this client is."""
        own, others = [], []
        destinations = [flow.destination]
        if flow.destination == net.SHOP_POD and self.owners:
            destinations.append(net.SHOP_SERVICE)       # DNS names the service, the packet the pod
        for destination in destinations:
            for answer in self.truth.answers_with(
                    destination, flow.time - params.HORIZON_S - self.edge,
                    flow.time + params.SKEW_S + self.edge):
                if answer.tapped:
                    (own if self._mine(flow, answer) else others).append(answer)
        return own, others

    def _life(self, answer):
        """(surely, perhaps) live until. The cache hands out what is left of a TTL; the index keeps
        one TTL for a run of answers, which is enough for a grace as long as its own of 60 s."""
        ttls = self.ttls[answer.name]
        return (answer.time + min(ttls) + params.GRACE_S - self.edge,
                answer.time + max(ttls) + params.GRACE_S + self.edge)

    def _named(self, flow, answers, others):
        """What these answers of its own let one say."""
        before = [answer for answer in answers if answer.time <= flow.time]
        allowed = set()
        for answer in before:
            sure, perhaps = self._life(answer)
            if sure >= flow.time:
                return {"resolved"}
            allowed |= {"resolved", "stale"} if perhaps >= flow.time else {"stale"}
        if len(before) < len(answers):
            allowed.add("resolved")                     # "late"
        if not any(answer.time > self._lower(flow) + self.edge for answer in answers) or min(
                answer.time for answer in answers) > flow.time + params.SKEW_S - self.edge:
            allowed |= self._unnamed(flow, others)      # at the border of what counts
        return allowed

    def _nameless(self, flow):
        early, late = self._lower_edges(flow)
        if flow.destination.startswith("10."):
            return {"internal"} if self.owners else {"blind/not-external"}
        allowed = set()
        if touches(self.trouble.doubtful, early, flow.time + self.edge):
            allowed.add("blind/gap")
        if not touches(self.trouble.lost, late, flow.time - self.edge):
            clients = self._clients(flow)
            surely = any(self.truth.was_asking(client, late, flow.time - self.edge)
                         for client in clients)
            perhaps = any(self.truth.was_asking(client, early,
                                                flow.time + params.SKEW_S + self.edge)
                          for client in clients)
            if perhaps:
                allowed.add("ip-only")
            if not surely:
                allowed.add("blind/never-asked")
        return allowed

    def _unnamed(self, flow, others):
        allowed = set()
        seen = [answer for answer in others if not self._hidden(answer, self.trouble.doubtful)]
        inner = [answer for answer in seen if answer.time <= flow.time + params.SKEW_S - self.edge
                 and answer.time >= flow.time - params.HORIZON_S + self.edge
                 and answer.client not in self._clients(flow)]      # whose address it was before
        if not inner:
            allowed |= self._nameless(flow)
        if any(not self._hidden(answer, self.trouble.lost) for answer in others):
            allowed.add("shared")
        return allowed

    def _expect_node(self, flow, answers):
        """A node's address is many pods': what was answered with the destination is a hint."""
        sure = [answer for answer in answers if answer.time <= flow.time
                and answer.time > flow.time - params.HORIZON_S + self.edge
                and not self._hidden(answer, self.trouble.doubtful)]
        flow.allowed = {"shared"} if answers else set()
        if not sure or self.early:
            flow.allowed.add("blind/node-source")

    def _expect(self, flow):
        own, others = self._answers(flow)
        sure = [answer for answer in own if not self._hidden(answer, self.trouble.doubtful)]
        perhaps = [answer for answer in own if not self._hidden(answer, self.trouble.lost)]
        flow.allowed = self._named(flow, sure, others) if sure else self._unnamed(flow, others)
        if flow.source == net.NODE_IP and self.owners:
            self._expect_node(flow, own + others)
            return own, others
        for answer in perhaps:
            if answer not in sure:              # each may have come through, or been lost
                flow.allowed |= self._named(flow, sure + [answer], others)
        if self.owners and flow.destination.startswith("10."):
            flow.allowed = {"internal"}
        meant = [answer for answer in own if self._means(answer, flow.sni)
                 and answer.time <= flow.time + self.edge]
        flow.asked = bool(meant)
        # The true name was answered by a replica, and whither could not see it.
        flow.misled = not any(answer in sure for answer in meant) and any(
            answer.replica in net.DNS_IPS and self._means(answer, flow.sni)
            for answer in self.truth.answers_with(flow.destination, self._lower(flow), flow.time)
            if self._mine(flow, answer))
        flow.counts_for_b = not self.early and "resolved" in flow.allowed and any(
            answer in sure and self._life(answer)[0] >= flow.time for answer in meant)
        if self.live and not flow.counts_for_b:
            flow.allowed.add("blind/unsettled")             # it waits no longer than `settle`
        if self.early:
            flow.allowed |= {"blind/unsettled", "shared", "stale"}
            if flow.destination.startswith("10."):
                flow.allowed.add("blind/not-external")
            if flow.record["attribution"]["coverage"] == "assumed":
                flow.allowed.add("blind/never-asked")       # before the first frame of all
        return own, others

    @staticmethod
    def _means(answer, name):
        return answer.name == name or name in answer.chain

    # --- what was said --------------------------------------------------------------------------

    def _unreal(self, flow, own, others):
        """A candidate that no answer stands for, in words; None if there is none."""
        for candidate in flow.candidates:
            if candidate["via"] == "cname":
                continue
            base = own + others if flow.source == net.NODE_IP else (
                others if flow.verdict == "shared" else own)
            # CoreDNS looks the target of an ExternalName up itself, and dnstap shows that as if the
            # client had asked for it.
            real = [answer for answer in base if self._means(answer, candidate["asked"])]
            if not real:
                return "nobody was answered %s with it" % candidate["asked"]
            alive = [answer for answer in real if answer.time > flow.time
                     or self._life(answer)[1] >= flow.time]
            if candidate["live"] and flow.verdict == "resolved" and not alive:
                return "%s had run out" % candidate["asked"]
        return None

    def _fault(self, flow, own, others):
        """(bar, why) of a verdict that is not true, else None."""
        if flow.verdict == "resolved" and flow.sni not in flow.names and not flow.misled:
            if not self.early:
                return "a", "the true name is not among the candidates"
        if flow.verdict == "ip-only" and flow.asked:
            return "c", "the name was asked for here"
        unreal = self._unreal(flow, own, others)
        if unreal:
            return "d", unreal
        if flow.label in flow.allowed or flow.counts_for_b:
            return None                         # a true verdict, or a miss that bar b counts
        why = "true were: " + ", ".join(sorted(flow.allowed))
        return ("d" if flow.verdict in ("resolved", "stale", "ip-only") else "c"), why

    def add_all(self, records, until):
        for record in records:
            self._add(record, until)
        return self

    def _add(self, record, until):
        source, destination = record.get("source", {}), record.get("destination", {})
        if destination.get("port") != 443 or "ip" not in source or "ip" not in destination:
            return
        time_s = seconds_of(record["@timestamp"]) - self.trouble.shift_s
        if time_s > until:
            return
        server = net.SHOP_POD if destination["ip"] == net.SHOP_SERVICE else destination["ip"]
        sni = self.truth.sni((source["ip"], source["port"], server, 443), time_s)
        instance = self.truth.instance(source["ip"], time_s)
        if sni is None or instance is None:
            self.unmatched.append((source["ip"], source.get("port"), destination["ip"], time_s))
            return
        flow = Flow(record, time_s, sni, instance)
        own, others = self._expect(flow)
        fault = self._fault(flow, own, others)
        self.flows.append(flow)
        if fault:
            self.faults.append((fault[0], fault[1], flow))

    # --- what is printed ------------------------------------------------------------------------

    def explain(self, lab, lookup):
        """Adds whither's own reasoning to the first faults of each bar."""
        self.explained, shown = [], collections.Counter()
        missed = [("b", "asked here and live", flow) for flow in self.flows
                  if flow.counts_for_b and flow.verdict != "resolved"]
        for bar, why, flow in self.faults + (missed if self._rate_b()[2] < BAR_B else []):
            shown[bar] += 1
            if shown[bar] <= FAULTS_SHOWN:
                said = lab.run(lookup + [flow.source, flow.destination, "--at",
                                         flow.record["@timestamp"]]).stdout
                self.explained.append({
                    "bar": bar, "why": why, "behaviour": flow.instance.behaviour,
                    "at_s": round(flow.time - self.begin, 3), "sni": flow.sni,
                    "label": flow.label, "record": flow.record, "lookup": said})

    def _rate_b(self):
        asked = [flow for flow in self.flows if flow.counts_for_b]
        good = sum(flow.verdict == "resolved" for flow in asked)
        return good, len(asked), good / len(asked) if asked else 1.0

    def _row(self, flows):
        own = [flow for flow in flows if flow.verdict in ("resolved", "stale", "internal")
               and flow.names]
        labels = collections.Counter(flow.label for flow in flows)
        return {"flows": len(flows), "named": len(own),
                "top1": sum(flow.names[0] == flow.sni for flow in own),
                "set": sum(flow.sni in flow.names for flow in own),
                "wrong": sum(flow.sni not in flow.names for flow in own),
                "labels": dict(labels)}

    def summary(self):
        groups = collections.defaultdict(list)
        for flow in self.flows:
            groups[flow.instance.behaviour].append(flow)
        good, asked, rate = self._rate_b()
        literal = [flow for flow in self.flows if flow.asked and flow.verdict != "internal"]
        faults = collections.Counter(bar for bar, _, _ in self.faults)
        return {"rows": {name: self._row(flows) for name, flows in groups.items()},
                "total": self._row(self.flows), "unmatched": self.unmatched,
                "asked": asked, "asked_resolved": good, "rate_b": rate,
                "literal": len(literal),
                "misled": sum(flow.misled and flow.verdict == "resolved"
                              and flow.sni not in flow.names for flow in self.flows),
                "literal_resolved": sum(flow.verdict == "resolved" for flow in literal),
                "faults": dict(faults), "explained": self.explained}
