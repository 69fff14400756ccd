#!/bin/sh
# tests/layers.sh -- refuses an include that points up a layer, and any between collector and join
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/layers.sh [ROOT]
#
# Prints each such line and fails. Without ROOT it also holds itself against planted includes, so
# that a check that no longer finds anything is noticed.
set -eu
cd "$(dirname "$0")/.."

layers="base proto store collector join egress api cli"

# Prints what is wrong under a root, one line each.
offences() {
    for layer in $layers; do
        if [ -d "$1/$layer" ]; then
            find "$1/$layer" -name '*.[ch]' -o -name '*.cc' | sort | while read -r file; do
                sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file" |
                    judge "$layer" "${file#"$1"/}"
            done
        fi
    done
}

# Reads the included paths of one file and prints those its layer may not have.
judge() {
    while read -r included; do
        case "$included" in
        ../* | */../*) echo "$2: \"$included\": includes are spelled from the root" ;;
        */*) ;;
        *)
            echo "$2: \"$included\": includes are spelled from the root"
            continue
            ;;
        esac
        target=${included%%/*}
        rank=0 own=-1 other=-1
        for layer in $layers; do
            if [ "$layer" = "$1" ]; then own=$rank; fi
            if [ "$layer" = "$target" ]; then other=$rank; fi
            rank=$((rank + 1))
        done
        if [ "$other" -gt "$own" ]; then
            echo "$2: \"$included\": $1 is below $target"
        elif [ "$1/$target" = join/collector ] || [ "$1/$target" = collector/join ]; then
            echo "$2: \"$included\": collector and join do not include each other"
        elif [ "$target" = tests ]; then
            echo "$2: \"$included\": the program does not include its tests"
        fi
    done
}

check() {
    found=$(offences "$1")
    if [ -n "$found" ]; then
        echo "$found"
        return 1
    fi
}

if [ $# -eq 1 ]; then
    check "$1"
    exit
fi

# Each planted file must be refused, each allowed one must pass.
planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
plant() {
    rm -rf "$planted/src"
    mkdir -p "$planted/src/$(dirname "$1")"
    printf '%s\n' "$2" >"$planted/src/$1"
}
refused() {
    plant "$1" "$2"
    if check "$planted/src" >/dev/null; then
        echo "tests/layers.sh no longer refuses $2 in $1"
        exit 1
    fi
}
allowed() {
    plant "$1" "$2"
    if ! check "$planted/src"; then
        echo "tests/layers.sh refuses $2 in $1, which is allowed"
        exit 1
    fi
}
refused base/a.c '#include "proto/dns.h"'
refused proto/a.h '  #  include "store/store.h" /* up */'
refused store/a.c '#include "cli/settings.h"'
refused join/a.cc '#include "collector/facts.h"'
refused collector/a.c '#include "join/flow.h"'
refused api/a.c '#include "../cli/settings.h"'
refused store/a.c '#include "window.h"'
refused api/a.c '#include "tests/support/alloc.h"'
allowed cli/a.c '#include "base/err.h"'
allowed store/a.c '#include "store/window.h"'
allowed join/a.c '#include <uv.h>'

check .
