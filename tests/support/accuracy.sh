#!/bin/bash
# tests/support/accuracy.sh -- how often the names of `whither join` are those really asked for
# SPDX-License-Identifier: Apache-2.0
#
# usage: BUILD=build tests/support/accuracy.sh
#
# Joins every recorded case of ../shared/data/accuracy with its DNS capture, once from Hubble lines
# and once from journal lines, and prints the score of each. Both must give one line for each flow,
# and the same names. Where ../shared is missing it says so and exits 0.
set -u
cd "$(dirname "$0")/../.." || exit 1

build=${BUILD:-build}
cases=${ACCURACY_CASES:-../shared/data/accuracy}
score=${ACCURACY_SCORE:-../shared/tools/score.py}
if [ ! -d "$cases" ] || [ ! -e "$score" ]; then
    echo "skip: accuracy: no recorded cases in $cases"
    exit 0
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0

for form in hubble.jsonl journal.json; do
    mkdir "$results/$form"
    for case in "$cases"/*/; do
        name=$(basename "$case")
        if ! "$build/whither" join --quiet --to ecs --dnstap "$case/dns.fstrm" "$case/flows.$form" \
            >"$results/$form/$name.jsonl"; then
            echo "FAIL: $name, flows.$form: exit code not 0"
            failed=1
        fi
        flows=$(wc -l <"$results/$form/$name.jsonl")
        wanted=$(wc -l <"$case/truth.tsv")
        if [ "$flows" -ne "$wanted" ]; then
            echo "FAIL: $name, flows.$form: $flows lines for $wanted flows"
            failed=1
        fi
    done
    echo "flows.$form"
    python3 "$score" "$cases" "$results/$form" | tee "$results/$form.score" || failed=1
done

if ! cmp -s "$results/hubble.jsonl.score" "$results/journal.json.score"; then
    echo "FAIL: the two forms of the same flows do not score the same"
    failed=1
fi
exit $failed
