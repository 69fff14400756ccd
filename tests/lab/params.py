# tests/lab/params.py -- the times of the laboratory, compressed so that minutes stand for hours.
# SPDX-License-Identifier: Apache-2.0
#
# A pod that reconnects for an hour on a TTL of a minute is one here that reconnects for half a
# minute on a TTL of a second. The rules do not know the difference: each of these is a flag of the
# program.

GRACE_S = 3.0                   # --grace, 60 s by default
SKEW_S = 2.0                    # --skew, the default: clocks are not compressed
HORIZON_S = 20.0                # --horizon, 24 h by default (an hour while the owner is unknown)
SETTLE_S = 14.0                 # --settle, 60 s by default; longer than the lag that is injected

FLAGS = ["--grace", "3s", "--skew", "2s", "--horizon", "20s", "--settle", "14s"]

# Two clocks of one machine and the work between stamp and stamp: nearer than this to a border the
# laboratory takes either side for right.
EDGE_S = 0.15
