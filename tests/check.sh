#!/bin/bash
# tests/check.sh -- runs what is built: unit tests, replays of fuzz seeds and crashes, the layers
# SPDX-License-Identifier: Apache-2.0
#
# usage: BUILD=build tests/check.sh UNIT...
#   UNIT   folder/test_module, as $BUILD/unit/UNIT
#
# One line a program; the output of one that fails follows its line. The last line is
# "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 1

build=${BUILD:-build}
seconds=${CHECK_SECONDS:-300} # one program; a hang must not stop the others
export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp ${TSAN_OPTIONS:-}"
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

ok() {
    passed=$((passed + 1))
    printf '  ok    %s\n' "$1"
}

bad() {
    failed=$((failed + 1))
    printf '  FAIL  %s\n' "$1"
    tail -n 60 "$log" | sed 's/^/        /'
}

skip() {
    skipped=$((skipped + 1))
    printf '  skip  %s: %s\n' "$1" "$2"
}

# run TITLE COMMAND...
run() {
    local title=$1
    shift
    timeout "$seconds" "$@" >"$log" 2>&1 </dev/null
    local code=$?
    if [ $code -eq 0 ]; then
        ok "$title"
    else
        if [ $code -eq 124 ]; then
            echo "stopped after $seconds s" >>"$log"
        fi
        bad "$title (exit code $code)"
    fi
}

for unit in "$@"; do
    run "unit $unit" "$build/unit/$unit"
done

for source in tests/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    inputs=()
    for folder in "tests/fuzz/$name.seeds" "tests/fuzz/$name.crashes"; do
        if [ -d "$folder" ]; then
            while IFS= read -r -d '' file; do
                inputs+=("$file")
            done < <(find "$folder" -type f -print0 | sort -z)
        fi
    done
    if [ ${#inputs[@]} -eq 0 ]; then
        skip "fuzz $name" "no seeds"
        continue
    fi
    run "fuzz $name (${#inputs[@]} inputs)" "$build/fuzz/replay_$name" "${inputs[@]}"
done

run "layers" tests/layers.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
