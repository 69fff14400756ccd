#!/bin/sh
# tests/bench/run.sh -- what `make bench` runs; arguments go to run.py (--help lists them)
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/../.."
exec python3 tests/bench/run.py --build "${BUILD:-build}" ${BIG:+--big} "$@"
