#!/bin/bash
# tests/fuzz/run.sh -- builds the fuzz targets with libFuzzer and runs each for FUZZ_SECONDS
# SPDX-License-Identifier: Apache-2.0
#
# usage: CC=clang CXX=clang++ BUILD=build-fuzz FUZZ_SECONDS=60 tests/fuzz/run.sh [TARGET...]
#   TARGET   a name such as dns; all targets without one
#
# What a target has learnt is kept in $BUILD/corpus/TARGET and taken up by the next run. An input
# that is a finding is left in $BUILD/findings, named by target. Exit code 1 if there was one.
set -u
cd "$(dirname "$0")/../.." || exit 2

build=${BUILD:-build-fuzz}
seconds=${FUZZ_SECONDS:-60}
export CC=${CC:-clang} CXX=${CXX:-clang++}

if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        set -- "$@" "${name#fuzz_}"
    done
fi

# The compiler is in the package clang, libFuzzer and the sanitizers are not.
if ! command -v "$CC" >/dev/null; then
    echo "fuzz: no $CC: install clang" >&2
    exit 2
fi
library=$("$CC" -print-file-name="libclang_rt.fuzzer-$(uname -m).a")
if [ ! -e "$library" ] && [ ! -e "$("$CC" --print-runtime-dir)/libclang_rt.fuzzer-$(uname -m).a" ]; then
    major=$("$CC" -dumpversion | cut -d. -f1)
    echo "fuzz: $CC has no libFuzzer: install libclang-rt-$major-dev" >&2
    exit 2
fi

instrument="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
binaries=()
for name in "$@"; do
    binaries+=("$build/fuzz/fuzz_$name")
done
make --no-print-directory -j2 "${binaries[@]}" SAN= BUILD="$build" CC="$CC" CXX="$CXX" \
    CFLAGS="$instrument" CXXFLAGS="$instrument" LDFLAGS="-fsanitize=address,undefined" || exit 2

findings=$build/findings
mkdir -p "$findings"
failed=0
for name in "$@"; do
    corpus=$build/corpus/$name
    log=$build/fuzz/$name.log
    known=()
    for folder in "tests/fuzz/$name.seeds" "tests/fuzz/$name.crashes"; do
        if [ -d "$folder" ]; then
            known+=("$folder")
        fi
    done
    mkdir -p "$corpus"
    printf '  fuzz  %s for %s s ' "$name" "$seconds"
    if "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$name-" \
        "$corpus" "${known[@]}" >"$log" 2>&1 </dev/null; then
        awk '/number_of_executed_units/ {printf "%s inputs", $2}
             /^compared/ {said = ", " $0} END {print said}' "$log"
    else
        failed=1
        printf 'FAILED\n'
        grep -vE '^#[0-9]+\s+(REDUCE|NEW|pulse)' "$log" | tail -n 40 | sed 's/^/        /'
    fi
done
if [ $failed -ne 0 ]; then
    echo "fuzz: findings are in $findings; README.md in tests/fuzz says how to keep them" >&2
fi
exit $failed
