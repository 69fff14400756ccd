#!/bin/sh
# tests/support/kube.sh -- build a real Kubernetes API server and its etcd from their Go modules.
# SPDX-License-Identifier: Apache-2.0
#
# usage: kube.sh    prints the folder with kube-apiserver and etcd
#
# They are kept outside the tree, in ${XDG_CACHE_HOME:-$HOME/.cache}/whither/kube-VERSION, and used
# again. k8s.io/kubernetes takes its parts from its own tree, which the module has not got; they are
# the modules of the same release instead. Nothing is taken out: this is the server as released.
# Takes ten minutes of processor time, once (five to seven minutes on two), and 3 GB of Go's caches.
# Exit code 77: it cannot be built here, because there is no Go toolchain or it is too old, or
# because the module proxy cannot be reached.
set -eu

KUBERNETES=1.36.3
ETCD=3.6.5

folder=${XDG_CACHE_HOME:-$HOME/.cache}/whither/kube-$KUBERNETES
work=
trap 'test -z "$work" || rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

say() {
    echo "kube.sh: $*" >&2
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

# build NAME: the program in this folder. What is not reached is no fault of ours.
build() {
    "$go" build -trimpath -ldflags='-s -w' -o "$1" . >build.log 2>&1 && return
    tail -n 20 build.log >&2
    say "the build of $1 failed"
    exit 1
}

if [ -x "$folder/kube-apiserver" ] && [ -x "$folder/etcd" ]; then
    echo "$folder"
    exit 0
fi
go=$(find_go) || { say "no Go 1.21 or newer found (set GO=/path/to/go)"; exit 77; }
work=$(mktemp -d)
export GOFLAGS=-mod=mod CGO_ENABLED=0

say "building kube-apiserver $KUBERNETES and etcd $ETCD (some seven minutes, once)"
mkdir "$work/etcd" "$work/kube"
cd "$work/etcd"
printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >main.go
if ! { "$go" mod init etcd-for-tests && "$go" get "go.etcd.io/etcd/server/v3@v$ETCD"; } >get.log 2>&1; then
    tail -n 3 get.log >&2
    say "$("$go" env GOVERSION) here cannot get etcd $ETCD"
    exit 77
fi
build etcd

cd "$work/kube"
printf 'package main\n\nimport (\n\t"os"\n\n\t"k8s.io/component-base/cli"\n\t"k8s.io/kubernetes/cmd/kube-apiserver/app"\n)\n\nfunc main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }\n' >main.go
"$go" mod init kube-for-tests >/dev/null 2>&1
if ! "$go" mod download -json "k8s.io/kubernetes@v$KUBERNETES" >get.log 2>&1; then
    tail -n 3 get.log >&2
    say "$("$go" env GOVERSION) here cannot get Kubernetes $KUBERNETES"
    exit 77
fi
theirs=$(sed -n 's/.*"GoMod": "\(.*\)".*/\1/p' get.log)
sed -e 's,^module .*,module kube-for-tests,' \
    -e "s,=> ./staging/src/\(k8s.io/[a-z-]*\),=> \1 v0.${KUBERNETES#1.}," "$theirs" >go.mod
"$go" mod edit -require="k8s.io/kubernetes@v$KUBERNETES"
build kube-apiserver

# Names of their own first: two runs at once must never see half a file.
mkdir -p "$folder"
for pair in etcd/etcd kube/kube-apiserver; do
    mv "$work/$pair" "$folder/${pair#*/}.$$"
    mv "$folder/${pair#*/}.$$" "$folder/${pair#*/}"
done
echo "$folder"
