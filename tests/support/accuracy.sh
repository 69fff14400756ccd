#!/bin/bash
# tests/support/accuracy.sh -- how often the names of `whither join` are those really asked for
# SPDX-License-Identifier: Apache-2.0
#
# usage: BUILD=build tests/support/accuracy.sh
#
# Joins every recorded case of ../shared/data/accuracy with its DNS capture, once from Hubble lines
# and once from journal lines, and prints the score of each. Both must give one line for each flow,
# and the same names. Beside the total stands what it would be without the names that are offered
# because a CNAME leads from them to one that was asked for (`via` cname), and what the two differ by.
# Where ../shared is missing it says so and exits 0.
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

# without_cname FROM TO: the results as if `via` cname did not exist.
without_cname() {
    python3 - "$1" "$2" <<'PYTHON'
import json, os, sys
for name in os.listdir(sys.argv[1]):
    with open(os.path.join(sys.argv[1], name)) as results, \
         open(os.path.join(sys.argv[2], name), 'w') as out:
        for line in results:
            flow = json.loads(line)
            kept = [c for c in flow['attribution'].get('candidates', []) if c['via'] != 'cname']
            flow['attribution']['candidates'] = kept
            if 'domain' in flow['destination'] and kept:
                flow['destination']['domain'] = kept[0]['name']
            elif not kept:
                flow['destination'].pop('domain', None)
            out.write(json.dumps(flow) + '\n')
PYTHON
}

# total SCORE: the figures of the total, "cover top1 set", in percent.
total() {
    sed -n 's/^TOTAL.*cover *\([0-9.]*\)%.*top1 *\([0-9.]*\)%.*set *\([0-9.]*\)%.*/\1 \2 \3/p' "$1"
}

for form in hubble.jsonl journal.json; do
    mkdir "$results/$form" "$results/$form.less"
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
    without_cname "$results/$form" "$results/$form.less"
    python3 "$score" "$cases" "$results/$form.less" >"$results/$form.less.score" || failed=1
    echo "$(total "$results/$form.score") $(total "$results/$form.less.score")" |
        awk '{ printf "without via cname: cover %s%%  top1 %s%%  set %s%%\n", $4, $5, $6
               printf "via cname adds:    cover %+.1f  top1 %+.1f  set %+.1f\n", $1 - $4, $2 - $5, $3 - $6 }'
done

if ! cmp -s "$results/hubble.jsonl.score" "$results/journal.json.score"; then
    echo "FAIL: the two forms of the same flows do not score the same"
    failed=1
fi
exit $failed
