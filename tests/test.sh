#!/bin/bash
# tests/test.sh -- everything `make test` runs, after the plain build
# SPDX-License-Identifier: Apache-2.0
#
# usage: BUILD=build tests/test.sh UNIT...
#
# In order: the fast checks on the plain build; style; what deploy/ names; the program end to end,
# beside a real kube-apiserver among others;
# then the same checks on builds by clang and with each sanitizer. Every stage ends with "N passed,
# N failed, N skipped"; the last line is the sum. With CI=true nothing may be skipped by the
# end-to-end cases.
set -u
cd "$(dirname "$0")/.." || exit 1

# The builds below are others than the one of the make that started this.
unset MAKEFLAGS MFLAGS MAKELEVEL
build=${BUILD:-build}
units=("$@")
jobs=$(nproc)
export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp ${TSAN_OPTIONS:-}"
passed=0 failed=0 skipped=0
begin=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

title() {
    printf '\n== %s (after %d s)\n' "$1" $((SECONDS - begin))
}

# suite SECONDS COMMAND...: a program whose last line is its own sum. Code 77 is "cannot run here".
suite() {
    local seconds=$1 code sum
    shift
    timeout "$seconds" "$@" 2>&1 </dev/null | tee "$log"
    code=${PIPESTATUS[0]}
    sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    if [ -z "$sum" ]; then
        echo "  FAIL  $* ended with code $code and without a sum"
        count 0 1 0
        return
    fi
    read -r p _ f _ s _ <<<"$sum"
    count "$p" "$f" "$s"
    if [ "$code" -ne 0 ] && [ "$code" -ne 77 ] && [ "$f" -eq 0 ]; then
        echo "  FAIL  $* ended with code $code"
        count 0 1 0
    fi
}

# single TITLE COMMAND...: one check, silent unless it fails.
single() {
    local title=$1
    shift
    if timeout 900 "$@" >"$log" 2>&1 </dev/null; then
        printf '  ok    %s\n' "$title"
        count 1 0 0
    else
        printf '  FAIL  %s\n' "$title"
        tail -n 60 "$log" | sed 's/^/        /'
        count 0 1 0
        return 1
    fi
}

skip() {
    printf '  skip  %s: %s\n' "$1" "$2"
    count 0 0 1
}

# variant TITLE FOLDER MAKE-VARIABLES...: builds a copy and runs the fast checks on it, and, where
# it is built with a sanitizer, the program end to end.
variant() {
    local folder=$2
    title "$1"
    shift 2
    if single "build ($*)" make --no-print-directory -j"$jobs" BUILD="$folder" WERROR=1 "$@" \
        all units; then
        BUILD=$folder suite 900 tests/check.sh "${units[@]}"
        if [ "${1#SAN=}" != "$1" ]; then
            BUILD=$folder suite 1200 python3 tests/e2e/run.py
        fi
    fi
}

title "units, seeds, layers"
BUILD=$build suite 900 tests/check.sh "${units[@]}"

title "style"
single "clang-format" make --no-print-directory format-check
mapfile -t scripts < <(grep -lE '^#!/bin/(ba)?sh' .ci/run deploy/*.sh tests/*.sh tests/*/*.sh)
single "shellcheck (${#scripts[@]} scripts)" shellcheck "${scripts[@]}"

title "deploy"
WHITHER=$build/whither suite 300 python3 tests/deploy/test_deploy.py

title "kube-apiserver and etcd (built once, some seven minutes)"
timeout 2400 tests/support/kube.sh >"$log" 2>&1 </dev/null
case $? in
0)
    printf '  ok    %s\n' "$(tail -n 1 "$log")"
    count 1 0 0
    ;;
77) skip "kube-apiserver" "$(tail -n 1 "$log")" ;;
*)
    printf '  FAIL  tests/support/kube.sh\n'
    tail -n 30 "$log" | sed 's/^/        /'
    count 0 1 0
    ;;
esac

title "end to end"
BUILD=$build suite 1200 python3 tests/e2e/run.py

title "laboratory (short)"
BUILD=$build suite 420 python3 tests/lab/run.py --short
BUILD=$build suite 180 python3 tests/lab/clean_test.py

title "accuracy"
if [ -d ../shared/data/accuracy ]; then
    BUILD=$build single "the cases of ../shared/data/accuracy" tests/support/accuracy.sh
else
    skip "accuracy" "no ../shared/data/accuracy here"
fi

# clang first: its warnings are others than gcc's, which the sanitized builds show.
variant "clang" build-clang CC=clang CXX=clang++
variant "gcc, AddressSanitizer and UndefinedBehaviorSanitizer" build-address-undefined \
    SAN=address,undefined
variant "gcc, ThreadSanitizer" build-thread SAN=thread

printf '\n== all (%d s)\n' $((SECONDS - begin))
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
