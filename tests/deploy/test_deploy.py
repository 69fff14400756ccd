#!/usr/bin/env python3
# tests/deploy/test_deploy.py -- what deploy/ names, held against the program and against itself
# SPDX-License-Identifier: Apache-2.0
#
# usage: WHITHER=build/whither test_deploy.py
#
# Renders the Kubernetes manifests and checks every path, port and flag they, the Dockerfile and the
# systemd units name. One line per check; the last line is "N passed, N failed, N skipped".

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHITHER = os.path.abspath(os.environ.get("WHITHER", os.path.join(ROOT, "build", "whither")))
DEPLOY = os.path.join(ROOT, "deploy")
NO_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"

CHECKS = []


class Skip(Exception):
    pass


def check(function):
    CHECKS.append(function)
    return function


def read(*path):
    with open(os.path.join(DEPLOY, *path)) as file:
        return file.read()


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, **options)


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def flags_of(command):
    help_text = run(WHITHER, command, "--help").stdout
    flags = set(re.findall(r"^  --([a-z-]+)", help_text, re.MULTILINE))
    expect(len(flags) > 10, "whither %s --help lists hardly any flag:\n%s" % (command, help_text))
    return flags


# ---- Kubernetes ----

CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding")


def render(folder):
    """What kustomize makes of one of our folders, for the few fields they use."""
    with open(os.path.join(folder, "kustomization.yaml")) as file:
        plan = yaml.safe_load(file)
    known = {"apiVersion", "kind", "namespace", "resources", "configMapGenerator"}
    expect(set(plan) <= known, "%s uses %s, which this test does not render"
           % (folder, set(plan) - known))
    objects = []
    for resource in plan.get("resources", []):
        path = os.path.normpath(os.path.join(folder, resource))
        if os.path.isdir(path):
            objects += render(path)
        else:
            with open(path) as file:
                objects += [found for found in yaml.safe_load_all(file) if found]
    for generator in plan.get("configMapGenerator", []):
        expect(generator["options"] == {"disableNameSuffixHash": True}, "an unknown option")
        data = {}
        for name in generator["files"]:
            with open(os.path.join(folder, name)) as file:
                data[name] = file.read()
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
                        "metadata": {"name": generator["name"]}})
    for found in objects:
        if "namespace" in plan and found["kind"] not in CLUSTER_WIDE:
            found["metadata"]["namespace"] = plan["namespace"]
    return objects


def rendered(name):
    return render(os.path.join(DEPLOY, "kubernetes", name))


def pick(objects, kind, name):
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    expect(len(found) == 1, "%d objects %s %s" % (len(found), kind, name))
    return found[0]


def sidecar_pod():
    return yaml.safe_load(read("kubernetes", "sidecar", "coredns-patch.yaml"))["spec"]["template"]


def central_pod():
    return pick(rendered("central"), "StatefulSet", "whither")["spec"]["template"]


def container(pod, name="whither"):
    return next(one for one in pod["spec"]["containers"] if one["name"] == name)


def settings():
    return yaml.safe_load(read("kubernetes", "base", "whither.yaml"))


def arguments(pod):
    args = container(pod)["args"]
    expect(args[0] == "serve", "the container does not serve: %s" % args)
    return dict((arg[2:] + "=").split("=", 2)[:2] for arg in args[1:])


def mounts(pod, name="whither"):
    return {mount["mountPath"]: mount for mount in container(pod, name)["volumeMounts"]}


def port_of(pod, name):
    return next(port["containerPort"] for port in container(pod)["ports"] if port["name"] == name)


def same_as_kustomize(name):
    folder = os.path.join(DEPLOY, "kubernetes", name)
    for command in (["kustomize", "build", folder], ["kubectl", "kustomize", folder]):
        if shutil.which(command[0]):
            result = run(*command)
            expect(result.returncode == 0, result.stdout)
            theirs = [found for found in yaml.safe_load_all(result.stdout) if found]

            def key(one):
                return (one["kind"], one["metadata"]["name"])
            expect(sorted(theirs, key=key) == sorted(rendered(name), key=key),
                   "%s makes something else of %s" % (command[0], name))
            return
    raise Skip("neither kustomize nor kubectl is installed")


@check
def kustomize_renders_the_central_service_as_this_test_does():
    same_as_kustomize("central")


@check
def kustomize_renders_the_sidecar_as_this_test_does():
    same_as_kustomize("sidecar")


@check
def every_setting_is_one_the_program_takes():
    unknown = set(settings()) - flags_of("serve")
    expect(not unknown, "no flag of whither serve: %s" % unknown)
    with tempfile.TemporaryDirectory() as folder:
        # Another command checks every key and value of the file, and then finds no index.
        result = run(WHITHER, "status", "--config",
                     os.path.join(DEPLOY, "kubernetes", "base", "whither.yaml"),
                     "--data", os.path.join(folder, "none"))
    expect(result.returncode == 1, "exit code %d: %s" % (result.returncode, result.stdout))


@check
def every_container_argument_is_a_flag_of_serve():
    for pod in (central_pod(), sidecar_pod()):
        unknown = set(arguments(pod)) - flags_of("serve")
        expect(not unknown, "no flag of whither serve: %s" % unknown)


@check
def every_path_the_settings_name_is_mounted():
    for pod in (central_pod(), sidecar_pod()):
        there = mounts(pod)
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        if pod == central_pod():
            claims = pick(rendered("central"), "StatefulSet", "whither")["spec"][
                "volumeClaimTemplates"]
            volumes |= {claim["metadata"]["name"] for claim in claims}
        data = there[settings()["data"]]
        expect(not data.get("readOnly"), "the data folder is read-only")
        token = settings()["http-token-file"]
        expect(os.path.dirname(token) in there, "%s is not mounted" % token)
        file = there[arguments(pod)["config"]]
        expect(file["subPath"] in pick(rendered("base"), "ConfigMap", "whither")["data"],
               "the settings have no %s" % file["subPath"])
        for one in pod["spec"]["containers"]:
            missing = {mount["name"] for mount in one["volumeMounts"]} - volumes
            expect(not missing, "no such volume: %s" % missing)


@check
def every_port_is_named_once_and_used_everywhere():
    listen = settings()["http"].rsplit(":", 1)[1]
    expect(int(listen) == port_of(central_pod(), "http"), "HTTP listens on %s" % listen)
    expect(int(listen) == port_of(sidecar_pod(), "whither-http"), "HTTP listens on %s" % listen)
    dnstap = arguments(central_pod())["dnstap"]
    expect(dnstap == "tcp:0.0.0.0:%d" % port_of(central_pod(), "dnstap"), dnstap)
    for name, pod in (("central", central_pod()), ("sidecar", sidecar_pod())):
        names = {port["name"] for port in container(pod)["ports"]}
        for service in rendered(name):
            if service["kind"] == "Service":
                for port in service["spec"]["ports"]:
                    expect(port["targetPort"] in names, "%s: no port %s" % (name, port))
                    expect(port["port"] == port_of(pod, port["targetPort"]),
                           "%s: %s differs" % (name, port))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container(pod):
                expect(container(pod)[probe]["httpGet"]["port"] in names, "%s: %s" % (name, probe))
    policy = pick(rendered("central"), "NetworkPolicy", "whither")["spec"]
    allowed = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    expect(allowed == {port["containerPort"] for port in container(central_pod())["ports"]},
           "the network policy allows %s" % allowed)
    expect("Egress" in policy["policyTypes"], "anything may go out")
    expect(policy["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}],
           "more than the Kubernetes API may be asked: %s" % policy["egress"])
    scrape = central_pod()["metadata"]["annotations"]
    expect(scrape["prometheus.io/port"] == listen, "Prometheus asks another port")


@check
def every_selector_finds_the_pods():
    labels = central_pod()["metadata"]["labels"]
    objects = rendered("central")
    selectors = [one["spec"]["selector"] for one in objects if one["kind"] == "Service"]
    selectors.append(pick(objects, "NetworkPolicy", "whither")["spec"]["podSelector"][
        "matchLabels"])
    selectors.append(pick(objects, "StatefulSet", "whither")["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        expect(selector.items() <= labels.items(), "%s finds nothing" % selector)
    expect(pick(objects, "StatefulSet", "whither")["spec"]["serviceName"] in
           {one["metadata"]["name"] for one in objects if one["kind"] == "Service"},
           "no such service")


@check
def the_containers_may_do_as_little_as_the_restricted_profile_says():
    for pod in (central_pod(), sidecar_pod()):
        one = container(pod)
        both = dict(pod["spec"].get("securityContext", {}), **one["securityContext"])
        expect(both["runAsNonRoot"] is True and both["runAsUser"] > 0, "it may be root")
        expect(both["seccompProfile"] == {"type": "RuntimeDefault"}, "no seccomp profile")
        expect(both["allowPrivilegeEscalation"] is False, "privilege escalation")
        expect(both["readOnlyRootFilesystem"] is True, "a writable root")
        expect(both["capabilities"] == {"drop": ["ALL"]}, "capabilities")
        expect({"cpu", "memory"} <= set(one["resources"]["limits"]), "no limits")
        expect("livenessProbe" in one, "no liveness probe")
        for volume in pod["spec"]["volumes"]:
            expect(set(volume) - {"name"} <= {"configMap", "secret", "emptyDir"}, "%s" % volume)
    spec = central_pod()["spec"]
    expect(spec["automountServiceAccountToken"] is ("kubernetes" in arguments(central_pod())),
           "a service account token, and nothing that needs it, or the other way round")
    account = pick(rendered("central"), "ServiceAccount", spec["serviceAccountName"])
    expect(account["automountServiceAccountToken"] is False, "a service account token")
    expect(NO_TOKEN in mounts(sidecar_pod()), "the sidecar sees CoreDNS' token")
    expect("readinessProbe" not in container(sidecar_pod()),
           "a sidecar that is not ready would take CoreDNS out of service")
    user = re.search(r"^USER (\d+):", read("Dockerfile"), re.MULTILINE)
    expect(int(user.group(1)) == spec["securityContext"]["runAsUser"], "users differ")


@check
def the_service_account_may_read_three_kinds_and_nothing_else():
    objects = rendered("central")
    role = pick(objects, "ClusterRole", "whither")
    expect(role["rules"] == [{"apiGroups": [""], "resources": ["pods", "services", "nodes"],
                              "verbs": ["get", "list", "watch"]}], "%s" % role["rules"])
    binding = pick(objects, "ClusterRoleBinding", "whither")
    expect(binding["roleRef"]["name"] == role["metadata"]["name"], "another role is bound")
    account = central_pod()["spec"]["serviceAccountName"]
    space = pick(objects, "ServiceAccount", account)["metadata"]["namespace"]
    expect(binding["subjects"] == [{"kind": "ServiceAccount", "name": account,
                                    "namespace": space}], "%s" % binding["subjects"])
    bound = [one for one in objects if one["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    expect(len(bound) == 1, "something else is bound: %s" % bound)


@check
def memory_limits_leave_room_for_what_the_settings_allow():
    expect(settings()["memory"] == "256MiB", "the settings changed; look at the limits")
    for pod in (central_pod(), sidecar_pod()):
        expect(container(pod)["resources"]["limits"]["memory"] == "512Mi", "limits")


@check
def the_corefile_lines_name_the_listeners():
    line = re.search(r"^ +dnstap (\S+) (\S+)$", read("kubernetes", "central", "Corefile.snippet"),
                     re.MULTILINE)
    service = pick(rendered("central"), "Service", "whither-dnstap")["spec"]["ports"][0]["port"]
    expect(re.fullmatch(r"tcp://[0-9.]+:%d" % service, line.group(1)),
           "%s: not an address with port %d" % (line.group(1), service))
    expect(line.group(2) == "full", "without full there is nothing to index")
    line = re.search(r"^ +dnstap (\S+) (\S+)$", read("kubernetes", "sidecar", "Corefile.snippet"),
                     re.MULTILINE)
    listen = arguments(sidecar_pod())["dnstap"]
    expect(line.group(1) == listen.replace("unix:", "unix://"), "%s is not %s" % (line.group(1),
                                                                                  listen))
    expect(line.group(2) == "full", "without full there is nothing to index")
    folder = os.path.dirname(listen[len("unix:"):])
    expect(mounts(sidecar_pod(), "coredns")[folder]["name"] == mounts(sidecar_pod())[folder]["name"],
           "the two containers do not share %s" % folder)


# ---- The program that is deployed ----

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@check
def the_probes_are_answered_without_a_token():
    with tempfile.TemporaryDirectory() as folder:
        token = os.path.join(folder, "token")
        with open(token, "w") as file:
            file.write("0123456789abcdef0123456789abcdef")
        port = free_port()
        url = "http://127.0.0.1:%d" % port
        service = subprocess.Popen(
            [WHITHER, "serve", "--dnstap", "unix:%s/s" % folder, "--data", folder + "/data",
             "--http", "127.0.0.1:%d" % port, "--http-token-file", token],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 20
            while status_of(url + "/readyz") != 200 and time.monotonic() < deadline:
                expect(service.poll() is None, "serve ended: %s" % service.stderr.read()
                       if service.poll() is not None else "")
                time.sleep(0.05)
            for pod in (central_pod(), sidecar_pod()):
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    if probe in container(pod):
                        path = container(pod)[probe]["httpGet"]["path"]
                        expect(status_of(url + path) == 200, "%s: %d" % (path,
                                                                        status_of(url + path)))
            path = central_pod()["metadata"]["annotations"]["prometheus.io/path"]
            expect(status_of(url + path) == 200, "%s is not served" % path)
            expect(status_of(url + "/v1/status") == 401, "a request without the token is served")
        finally:
            service.terminate()
            service.wait(10)


# ---- systemd ----

def directives(text):
    return re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE)


@check
def the_units_name_known_flags_and_the_socket_of_the_documentation():
    service = read("systemd", "whither.service")
    start = dict(directives(service))["ExecStart"]
    flags = set(re.findall(r"--([a-z-]+)", start + re.search(r"WHITHER_FLAGS=.*",
                                                             service).group(0)))
    expect(flags <= flags_of("serve"), "unknown flags: %s" % (flags - flags_of("serve")))
    expect(start.split()[1] == "serve", start)
    path = dict(directives(read("systemd", "whither.socket")))["ListenStream"]
    with open(os.path.join(ROOT, "README.md")) as file:
        expect(path in file.read(), "README.md does not name %s" % path)


@check
def systemd_accepts_the_units():
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("whither.service", "whither.socket"):
            with open(os.path.join(folder, name), "w") as file:
                file.write(read("systemd", name).replace("/usr/local/bin/whither", WHITHER))
        units = [os.path.join(folder, name) for name in ("whither.service", "whither.socket")]
        result = run("systemd-analyze", "verify", "--man=no", *units)
        complaints = [line for line in result.stdout.splitlines() if "whither" in line]
        expect(not complaints, "\n".join(complaints))
        result = run("systemd-analyze", "security", "--offline=true", "--threshold=20", units[0])
        expect(result.returncode == 0, "exposed beyond 2.0:\n" + result.stdout[-400:])


@check
def install_puts_units_that_start_what_it_installed():
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        result = run("make", "-C", ROOT, "install", "DESTDIR=" + folder, "PREFIX=/opt/w",
                     "BUILD=" + os.path.relpath(os.path.dirname(WHITHER), ROOT), env=environment)
        expect(result.returncode == 0, result.stdout)
        units = os.path.join(folder, "opt/w/lib/systemd/system")
        with open(os.path.join(units, "whither.service")) as file:
            start = dict(directives(file.read()))["ExecStart"].split()[0]
        expect(os.access(folder + start, os.X_OK), "%s is not installed" % start)
        expect(os.path.exists(os.path.join(units, "whither.socket")), "no socket unit")


# ---- The image ----

@check
def the_image_has_the_libraries_of_the_program_and_no_root():
    text = read("Dockerfile")
    lines = re.sub(r"\\\n", " ", text).splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    stages = [line[1] for line in words if line[0] == "FROM"]
    expect(len(stages) == 2 and all(re.fullmatch(r"debian:12-slim", stage) for stage in stages),
           "stages: %s" % stages)
    expect(any(line[0] == "USER" and re.fullmatch(r"[1-9]\d*:[1-9]\d*", line[1]) for line in words),
           "no numeric user")
    install = next(line for line in words if line[:2] == ["RUN", "apt-get"])
    expect("--no-install-recommends" in install and "/var/lib/apt/lists/*" in install,
           "the image keeps what it does not need")
    entry = json.loads(next(" ".join(line[1:]) for line in words if line[0] == "ENTRYPOINT"))
    command = json.loads(next(" ".join(line[1:]) for line in words if line[0] == "CMD"))
    expect(any(line[0] == "COPY" and line[-1] == entry[0] for line in words), "no " + entry[0])
    expect(command[0] == "serve", "%s" % command)
    flags = {word[2:] for word in command if word.startswith("--")}
    expect(flags <= flags_of("serve"), "unknown flags in %s" % command)
    exposed = {int(port) for line in words if line[0] == "EXPOSE" for port in line[1:]}
    expect(exposed == {port["containerPort"] for port in container(central_pod())["ports"]},
           "ports: %s" % exposed)
    if not shutil.which("dpkg-query"):
        raise Skip("no dpkg-query to tell the packages of the libraries")
    libraries = re.findall(r"=> (/\S+)", run("ldd", WHITHER).stdout)
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", WHITHER).stdout)
    for path in libraries:
        if os.path.basename(path) in needed:
            real = re.sub(r"^/lib/", "/usr/lib/", os.path.realpath(path))
            owner = run("dpkg-query", "-S", "*" + real.replace("/usr", "", 1)).stdout
            package = owner.split(":")[0]
            expect(package in install or package in ("libc6", "libgcc-s1"),
                   "%s of %s is not in the image" % (os.path.basename(path), package))


@check
def the_image_is_not_sent_what_it_does_not_need():
    with open(os.path.join(ROOT, ".dockerignore")) as file:
        ignored = set(file.read().split())
    expect({".git", "build", "build-*", "run"} <= ignored, "ignored: %s" % ignored)


# ---- The set-up script ----

def with_tools(folder, tools, *arguments, path=""):
    """Runs the script with only the given programs (name to shell text) before the real ones."""
    for name, text in tools.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(os.path.join(folder, name), 0o755)
    return run("/bin/sh", os.path.join(DEPLOY, "setup.sh"), *arguments,
               env={"PATH": folder + (":" + path if path else ""), "LOG": folder + "/log"})


@check
def setup_names_the_list_and_stops_where_there_is_no_apt():
    with tempfile.TemporaryDirectory() as folder:
        for tool in ("fold", "sed"):
            os.symlink(shutil.which(tool), os.path.join(folder, tool))
        result = with_tools(folder, {}, "build")
        expect(result.returncode == 1, "exit code %d" % result.returncode)
        for package in ("gcc", "libuv1-dev", "libcyaml-dev"):
            expect(package in result.stdout, "%s is not named:\n%s" % (package, result.stdout))


@check
def setup_installs_only_what_is_missing_with_sudo():
    with tempfile.TemporaryDirectory() as folder:
        tools = {
            "dpkg-query": 'shift 2; for p in "$@"; do [ $p = libuv1-dev ] || '
                          'echo "$p installed"; done\nexit 1\n',
            "apt-get": "exit 9\n",
            "id": "echo 1000\n",
            # What would change the machine is written down instead.
            "sudo": 'echo "$@" >>"$LOG"; cat >/dev/null </dev/null; exit 0\n',
        }
        result = with_tools(folder, tools, "build", path="/usr/bin:/bin")
        expect(result.returncode == 0, result.stdout)
        expect(re.search(r"^  libuv1-dev *$", result.stdout, re.MULTILINE), result.stdout)
        with open(folder + "/log") as file:
            log = file.read()
        expect(re.search(r"apt-get install .* libuv1-dev *$", log, re.MULTILINE), log)
        created = "tee /usr/sbin/policy-rc.d" in log
        removed = "rm -f /usr/sbin/policy-rc.d" in log
        expect(created == removed == (not os.path.exists("/usr/sbin/policy-rc.d")), log)


@check
def setup_says_nothing_when_nothing_is_missing():
    with tempfile.TemporaryDirectory() as folder:
        tools = {
            "dpkg-query": 'shift 2; for p in "$@"; do echo "$p installed"; done\n',
            "apt-get": "exit 9\n",
            "sudo": "exit 9\n",
        }
        for level in ("build", "run", "test", "bench"):
            result = with_tools(folder, tools, level, path="/usr/bin:/bin")
            expect((result.returncode, result.stdout) == (0, ""), "%s: %s" % (level,
                                                                             result.stdout))
        expect(with_tools(folder, tools, "all", path="/usr/bin:/bin").returncode == 2, "all")


def main():
    passed, failed, skipped = 0, 0, 0
    for function in CHECKS:
        title = function.__name__.replace("_", " ")
        try:
            function()
            passed += 1
            print("  ok    %s" % title, flush=True)
        except Skip as reason:
            skipped += 1
            print("  skip  %s: %s" % (title, reason), flush=True)
        except Exception as error:      # a check that breaks has failed; the others still run
            failed += 1
            why = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            print("  FAIL  %s" % title)
            print("\n".join("        " + line for line in why.splitlines()), flush=True)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
