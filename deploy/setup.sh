#!/bin/sh
# deploy/setup.sh -- installs what is missing from Debian's packages
# SPDX-License-Identifier: Apache-2.0
#
# usage: deploy/setup.sh [build|run|test|lab|bench]
#   build   what `make` needs
#   run     and what `make run` needs
#   test    and what `make test` needs
#   lab     what `make lab` needs
#   bench   and the peers of `make bench`
#
# Says what it installs; uses sudo when not root; does nothing when nothing is missing. Elsewhere
# than on Debian it names the list and stops. No service of a distribution is started by it.
set -eu

# Each line: why the packages are there.
compilers="gcc g++ libc6-dev make"
libraries="libuv1-dev liblmdb-dev libfstrm-dev libmicrohttpd-dev libsimdjson-dev libcyaml-dev \
libpsl-dev libsystemd-dev libxxhash-dev zlib1g-dev libzstd-dev libsnappy-dev \
libcurl4-openssl-dev libssl-dev"
replay="python3 curl"
unit_tests="libcmocka-dev libprotobuf-c-dev protobuf-c-compiler libldns-dev tzdata jq"
other_compiler="clang libclang-rt-14-dev clang-format"
senders="fstrm-bin bind9-dnsutils knot-dnsutils unbound knot knot-module-dnstap bind9 dnsdist \
knot-resolver openssl systemd"
checks="python3-yaml shellcheck"
laboratory="iproute2 nftables conntrack ulogd2 musl-tools procps util-linux openssl curl"
peers="nginx-light wrk golang-github-dnstap-golang-dnstap-cli python3-venv"

case "${1:-build}" in
build) wanted="$compilers $libraries" ;;
run) wanted="$compilers $libraries $replay" ;;
test) wanted="$compilers $libraries $replay $unit_tests $other_compiler $senders $checks \
$laboratory" ;;
lab) wanted="$compilers $libraries $replay $laboratory" ;;
bench)
    wanted="$compilers $libraries $replay $unit_tests $other_compiler $senders $checks $peers"
    ;;
*)
    echo "usage: deploy/setup.sh [build|run|test|lab|bench]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "deploy/setup.sh knows Debian 12 only. Install the equivalents of these packages, then" >&2
    echo "run \`make\` (build/whither) or \`make check\` directly:" >&2
    echo "$wanted" | fold -s -w 90 | sed 's/^/  /' >&2
    exit 1
fi

# Prints those of the packages given that are not installed.
missing() {
    # dpkg-query fails for packages it never heard of; what it prints is still right.
    # shellcheck disable=SC2016
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/ installed$//p' || true)
    for package in "$@"; do
        case "
$installed
" in
        *"
$package
"*) ;;
        *) echo "$package" ;;
        esac
    done
}

# shellcheck disable=SC2086
lacking=$(missing $wanted | tr '\n' ' ')
if [ -z "$lacking" ]; then
    exit 0
fi

root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages, and neither root nor sudo to install them:" >&2
        echo "  apt-get install $lacking" >&2
        exit 1
    fi
    root=sudo
fi

echo "Installing from Debian's packages:"
echo "$lacking" | fold -s -w 90 | sed 's/^/  /'

# unbound and nginx come with services that start when installed. This file, where there is none
# yet, tells the packages to leave them alone (policy 9.3.3.1 and invoke-rc.d).
policy=/usr/sbin/policy-rc.d
own_policy=
remove_policy() {
    if [ -n "$own_policy" ]; then
        $root rm -f "$policy"
    fi
}
trap remove_policy EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
    $root chmod 755 "$policy"
fi

log=$(mktemp)
if ! $root apt-get update -q >"$log" 2>&1; then
    echo "apt-get update failed; going on with the package lists there are:" >&2
    tail -n 3 "$log" >&2
fi
# shellcheck disable=SC2086
if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    $lacking >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "apt-get install failed; the whole log is in $log" >&2
    exit 1
fi
rm -f "$log"

# Nor are they to start with the machine.
for pair in unbound:unbound knot:knot bind9:named dnsdist:dnsdist ulogd2:ulogd2 nginx-light:nginx; do
    case " $lacking " in
    *" ${pair%%:*} "*)
        if command -v systemctl >/dev/null; then
            $root systemctl disable "${pair##*:}" >/dev/null 2>&1 || true
        fi
        ;;
    esac
done
