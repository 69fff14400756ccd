# tests/lab/kube.py -- tells of pods, services and the node as the Kubernetes API's watch does.
# SPDX-License-Identifier: Apache-2.0
#
# Only what whoever watches a cluster would get: JSON of one event a line, times with whole seconds,
# an address some time after the pod has it, and its end before the object goes.

import datetime
import json
import threading
import time

import net

NODE = "node-1"
OLDER_S = 3600          # node and services were there long before the first pod


def rfc3339(time_s):
    when = datetime.datetime.fromtimestamp(int(time_s), datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Watch:
    """Writes the events to a file; any thread."""

    def __init__(self, path):
        self.path, self.lock, self.pods, self.version = path, threading.Lock(), {}, 0
        self._say("ADDED", "Node", {"metadata": {"name": NODE}, "status": {"addresses": [
            {"type": "InternalIP", "address": net.NODE_IP}]}}, time.time() - OLDER_S)
        self.service("kube-system", "kube-dns", net.DNS_SERVICE, {"k8s-app": "kube-dns"})
        self.service("default", "shop-svc", net.SHOP_SERVICE, {"app": "shop"})

    def _say(self, event, kind, item, created_s):
        with self.lock:
            self.version += 1
            item = dict(item, kind=kind, apiVersion="v1")
            item["metadata"] = dict(item["metadata"], creationTimestamp=rfc3339(created_s),
                                    resourceVersion=str(self.version))
            item["metadata"].setdefault("uid", "%s-%s" % (kind.lower(), item["metadata"]["name"]))
            with open(self.path, "a") as file:
                file.write(json.dumps({"type": event, "object": item}) + "\n")

    def service(self, namespace, name, address, selector):
        self._say("ADDED", "Service", {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP",
                     "selector": selector}}, time.time() - OLDER_S)

    @staticmethod
    def _pod(pod, phase, state):
        return {"metadata": {"name": pod["name"], "namespace": pod["namespace"],
                             "uid": pod["uid"], "labels": pod["labels"]},
                "spec": {"nodeName": NODE},
                "status": {"phase": phase, "hostIP": net.NODE_IP, "podIP": pod["addresses"][0],
                           "podIPs": [{"ip": address} for address in pod["addresses"]],
                           "startTime": rfc3339(pod["began_s"]),
                           "containerStatuses": [{"name": "main", "state": state}]}}

    def pod_began(self, name, addresses, began_s, namespace="default", labels=None):
        pod = {"name": name, "addresses": addresses, "began_s": began_s, "namespace": namespace,
               "labels": labels or {"app": name}, "uid": "uid-%s-%d" % (name, self.version)}
        self.pods[name] = pod
        self._say("ADDED", "Pod", self._pod(pod, "Running", {
            "running": {"startedAt": rfc3339(began_s)}}), began_s)

    def pod_ended(self, name, ended_s):
        pod = self.pods.pop(name)
        ended = self._pod(pod, "Succeeded", {"terminated": {
            "startedAt": rfc3339(pod["began_s"]), "finishedAt": rfc3339(ended_s)}})
        ended["metadata"].update(deletionTimestamp=rfc3339(ended_s), deletionGracePeriodSeconds=0)
        self._say("MODIFIED", "Pod", ended, pod["began_s"])
        self._say("DELETED", "Pod", ended, pod["began_s"])
