# tests/e2e/support/case.py -- how a case makes itself known to the runner.
# SPDX-License-Identifier: Apache-2.0

CASES = []


class Case:
    def __init__(self, title, function, arguments, alone):
        self.title, self.function, self.arguments, self.alone = title, function, arguments, alone


def case(title, *variants, alone=False):
    """Registers `function(lab, *variant)` under a sentence, once for each variant.

    `title` may name the variant's values as {0}, {1}. `alone`: nothing else runs meanwhile."""
    def register(function):
        for variant in variants or ((),):
            variant = variant if isinstance(variant, tuple) else (variant,)
            CASES.append(Case(title.format(*variant), function, variant, alone))
        return function

    return register
