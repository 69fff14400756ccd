#!/bin/bash
# tests/support/run.sh -- what `make run` shows: the service on loopback, fed, and flows named
# SPDX-License-Identifier: Apache-2.0
#
# Starts build/whither serve with everything under ./run, replays the bundled recording through the
# real socket (its times moved to now: a live collector refuses what is not of the present), joins
# the flows that belong to it, and stays up until Ctrl-C.
set -u
cd "$(dirname "$0")/../.." || exit 1

whither=${BUILD:-build}/whither
folder=run
socket=$folder/dnstap.sock # relative: a socket's path has room for 107 characters
service=

stop() {
    trap - INT TERM
    if [ -n "$service" ]; then
        kill -TERM "$service" 2>/dev/null
        wait "$service"
        rm -f "$folder/pid"
    fi
    exit "$1"
}
trap 'echo; echo "Stopping."; stop 0' INT TERM

give_up() {
    echo "make run: $1" >&2
    if [ -s "$folder/serve.log" ]; then
        sed 's/^/  /' "$folder/serve.log" >&2
    fi
    stop 1
}

listens() {
    (exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1")
}

# ready PORT: whether the service says so.
ready() {
    local status
    {
        printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 &&
            read -r _ status _ <&3
    } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1"
    [ "${status:-}" = 200 ]
}

if [ -e "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
    echo "make run: another one is up (pid $(cat "$folder/pid")); stop it first" >&2
    exit 1
fi
rm -rf "$folder/data"
mkdir -p "$folder/data" || exit 1

port=8053
while listens $port; do
    port=$((port + 1))
    if [ $port -gt 8153 ]; then
        give_up "no free port from 8053 to 8153"
    fi
done
url=http://127.0.0.1:$port

"$whither" serve --dnstap "unix:$socket" --data "$folder/data" --http "127.0.0.1:$port" \
    2>"$folder/serve.log" &
service=$!
echo $service >"$folder/pid"
for _ in $(seq 100); do
    if ready $port; then
        break
    fi
    kill -0 $service 2>/dev/null || give_up "the service ended"
    sleep 0.1
done
ready $port || give_up "the service is not ready after 10 s"

echo "The service is up: dnstap on $PWD/$socket, HTTP on $url"
python3 tests/support/record_replay.py "unix:$socket" "$folder" >"$folder/replay.log" 2>&1 ||
    give_up "the recording could not be replayed: $(tail -n 1 "$folder/replay.log")"
echo "A CoreDNS recording went in over the socket: $(cut -d' ' -f1 "$folder/replay.log") frames."
echo "The connections of its pods, with the names they asked for:"
echo
"$whither" join "$folder/flows.hubble.jsonl" --data "$folder/data" --to table --quiet
code=$?
if [ $code -ne 0 ]; then
    give_up "the join ended with exit code $code"
fi
cat <<END

blind (gap): nobody was watching in the hour before this run, so nothing may be said.

Try:
  $whither lookup 10.244.0.21 99.83.136.103 --data $folder/data
  curl '$url/v1/lookup?src=10.244.0.21&dst=99.83.136.103'

To feed it from your CoreDNS on this machine, put this into every server block of its Corefile:
  dnstap $PWD/$socket full

Up until Ctrl-C.
END
wait $service
code=$?
service=
rm -f "$folder/pid"
echo "The service ended by itself (exit code $code):" >&2
sed 's/^/  /' "$folder/serve.log" >&2
exit 1
