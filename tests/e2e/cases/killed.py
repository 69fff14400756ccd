# tests/e2e/cases/killed.py -- the short form of kill_test.py.
# SPDX-License-Identifier: Apache-2.0

import os
import random

import kill_test
from support.case import case
from support.lab import Failure


@case("SIGKILL while 10,000 frames/s arrive: all that was committed is found, each gap is blind",
      alone=True)
def killed(lab):
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    try:
        kill_test.run(lab, int(os.environ.get("KILLS", "5")), seed, lambda _: None)
    except Failure as failure:
        raise Failure("seed %d: %s" % (seed, failure)) from None
