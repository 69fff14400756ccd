#!/bin/sh
# tests/support/coredns.sh -- build a real CoreDNS from its Go module, once per version.
# SPDX-License-Identifier: Apache-2.0
#
# usage: coredns.sh VERSION    prints the path of the binary (VERSION: v1.12.1, for example)
#        coredns.sh newest     the newest release that the module proxy offers
#
# The binary is kept outside the tree, in ${XDG_CACHE_HOME:-$HOME/.cache}/whither/coredns-VERSION,
# and used again. The program is CoreDNS's own main with its own versions of everything, but only
# the plugins below are linked in: the cloud providers' are nine tenths of the build and no test
# uses them. Exit code 77: it cannot be built here, because there is no Go toolchain or it is too
# old, or because the module proxy cannot be reached.
set -eu

FALLBACK=v1.15.0
MODULE=github.com/coredns/coredns
PLUGINS="any autopath bind bufsize cache chaos debug dnstap errors file forward health hosts
    loadbalance log loop metadata metrics minimal ready reload rewrite template whoami"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/whither
work=
trap 'test -z "$work" || rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

say() {
    echo "coredns.sh: $*" >&2
}

find_go() {
    for go in "${GO:-go}" /usr/local/go/bin/go /usr/lib/go/bin/go "$HOME/go/bin/go"; do
        if command -v "$go" >/dev/null 2>&1; then
            minor=$("$go" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
            if [ "${minor:-0}" -ge 21 ]; then
                command -v "$go"
                return
            fi
        fi
    done
    return 1
}

newest_release() {
    "$go" list -m -versions "$MODULE" 2>/dev/null | tr ' ' '\n' |
        grep -E '^v[0-9]+\.[0-9]+\.[0-9]+$' | tail -n 1
}

test $# -eq 1 || { say "usage: coredns.sh VERSION|newest"; exit 2; }
version=$1
if [ "$version" != newest ] && [ -x "$cache/coredns-$version" ]; then
    echo "$cache/coredns-$version"
    exit 0
fi

go=$(find_go) || { say "no Go 1.21 or newer found (set GO=/path/to/go)"; exit 77; }
work=$(mktemp -d)
cd "$work"
export GOFLAGS=-mod=mod CGO_ENABLED=0

if [ "$version" = newest ]; then
    version=$(newest_release) || version=
    if [ -z "$version" ]; then
        say "the module proxy does not list releases, taking $FALLBACK"
        version=$FALLBACK
    fi
    if [ -x "$cache/coredns-$version" ]; then
        echo "$cache/coredns-$version"
        exit 0
    fi
fi

{
    echo 'package main'
    echo 'import ('
    echo "\"$MODULE/coremain\""
    for plugin in $PLUGINS; do
        echo "_ \"$MODULE/plugin/$plugin\""
    done
    echo ')'
    echo 'func main() { coremain.Run() }'
} > main.go

say "building CoreDNS $version (a few minutes, once)"
if ! { "$go" mod init coredns-for-tests && "$go" get "$MODULE@$version"; } > build.log 2>&1; then
    tail -n 3 build.log >&2
    say "$("$go" env GOVERSION) here cannot get $version"
    exit 77
fi
"$go" build -trimpath -ldflags='-s -w' -o coredns . > build.log 2>&1 ||
    { tail -n 20 build.log >&2; say "the build of $version failed"; exit 1; }

# A name of its own first: two runs at once must never see half a file.
mkdir -p "$cache"
mv coredns "$cache/coredns-$version.$$"
mv "$cache/coredns-$version.$$" "$cache/coredns-$version"
echo "$cache/coredns-$version"
