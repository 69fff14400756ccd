#!/bin/bash
# tests/lab/mutants.sh -- takes one rule after the other out of the program: a bar must fail.
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/lab/mutants.sh [MUTANT...]
#
# Each mutant is one line changed in a copy of the tree, which is built and run in the scenario
# where that rule matters. Prints which bar fell; exit code 1 where none did.
set -u
cd "$(dirname "$0")/../.." || exit 1

# name | file | the line's text | what becomes of it | scenario
MUTANTS=(
    "no TTL|join/attribute.c|until_us >= question->start_us, false}|true, false}|none"
    "no skew|join/ends.c|question->end_us + params->skew_us;|question->end_us;|skew-behind"
    "no owner bound|join/ends.c|bool pod = owner != NULL && owner->kind == OWNER_POD;|bool pod = false;|none"
    "no blind intervals|store/cover.c|to_us, now_us, settle_us);|to_us, now_us, settle_us); if (watch.known) return COVER_WHOLE;|lost-frames"
)

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM

# mutate FILE FROM TO: changes the one place of the copy that has the text.
mutate() {
    python3 - "$copy/tree/$1" "$2" "$3" <<'END'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
if text.count(old) != 1:
    sys.exit('mutants.sh: "%s" is %d times in %s, not once' % (old, text.count(old), path))
open(path, "w").write(text.replace(old, new))
END
}

survived=0
for row in "${MUTANTS[@]}"; do
    IFS='|' read -r name file from to kinds <<<"$row"
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    rm -rf "$copy/tree"
    mkdir "$copy/tree"
    git ls-files -z | xargs -0 cp --parents -t "$copy/tree"
    mutate "$file" "$from" "$to" || exit 1
    printf '\n### %s (%s)\n' "$name" "$file"
    if ! make -s -C "$copy/tree" -j"$(nproc)" BUILD="$copy/build" all >"$copy/log" 2>&1; then
        tail -n 20 "$copy/log"
        echo "mutants.sh: the mutant does not build" >&2
        exit 1
    fi
    WHITHER=$copy/build/whither python3 tests/lab/run.py --seconds 40 -k "^($kinds)\$" >"$copy/log" 2>&1
    code=$?
    grep -E '^  (FAIL|ok) ' "$copy/log"
    if [ $code -ne 1 ] || ! grep -q 'bars: ' "$copy/log"; then
        echo "SURVIVED"
        tail -n 30 "$copy/log"
        survived=$((survived + 1))
    fi
done
printf '\n%d survived\n' $survived
[ $survived -eq 0 ]
