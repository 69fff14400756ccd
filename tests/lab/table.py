# tests/lab/table.py -- prints what a scenario came to, and the conclusion over all of them.
# SPDX-License-Identifier: Apache-2.0

import score

LABELS = ("resolved", "stale", "shared", "internal", "ip-only", "blind/gap", "blind/never-asked",
          "blind/not-external", "blind/node-source")
HEAD = ("flows", "named", "first", "in set", "wrong")


def percent(part, whole):
    return "%5.1f%%" % (100.0 * part / whole) if whole else "     -"


def line(name, row):
    cells = [row["labels"].get(label, 0) for label in LABELS]
    rest = row["flows"] - sum(cells)
    return "  %-20s %5d %s %s %s %5d  " % (
        name, row["flows"], percent(row["named"], row["flows"]),
        percent(row["top1"], row["named"]), percent(row["set"], row["named"]),
        row["wrong"]) + " ".join("%6s" % (cell or ".") for cell in cells) + (
            " +%d" % rest if rest else "")


def failed(one):
    """The bars that one flow source of a scenario does not meet."""
    bars = set(one["faults"])
    if one["rate_b"] < score.BAR_B:
        bars.add("b")
    return bars


def show(summary, seconds):
    """The table of one scenario, a block for each source of flows."""
    print("\n== %s (%.0f s)" % (summary["title"], seconds))
    for form, one in summary["scores"].items():
        print("  flows from %s" % form)
        print("  %-20s %5s %6s %6s %6s %5s  %s" % (
            ("behaviour",) + HEAD + (" ".join("%6s" % label.split("/")[-1][:6]
                                              for label in LABELS),)))
        for name in sorted(one["rows"]):
            print(line(name, one["rows"][name]))
        print(line("all", one["total"]))
        print("  asked here, still live: %d of %d resolved (%s); asked here, however long ago: %d of "
              "%d; misled by what was hidden: %d; without a truth: %d" % (
                  one["asked_resolved"], one["asked"],
                  percent(one["asked_resolved"], one["asked"]).strip(), one["literal_resolved"],
                  one["literal"], one["misled"], len(one["unmatched"])))
        for bar in sorted(failed(one)):
            print("  %-4s  (%s) not so: %s: %s" % ("FAIL" if summary["barred"] else "cost", bar,
                                                   score.BARS[bar], one["faults"].get(bar, "")))
        for fault in one["explained"] if summary["barred"] else ():
            print("    (%s) %s at %+.3f s, in truth %s, was %s: %s" % (
                fault["bar"], fault["behaviour"], fault["at_s"], fault["sni"], fault["label"],
                fault["why"]))
            print("      %s" % fault["record"]["attribution"])
            print("\n".join("      | " + text for text in fault["lookup"].splitlines()))
    print(end="", flush=True)


def conclude(summaries, broken):
    """One line for each scenario and each bar; the exit code."""
    bad = len(broken)
    print("\n== bars")
    for bar, text in score.BARS.items():
        print("  (%s) %s" % (bar, text))
    for summary in summaries:
        for form, one in summary["scores"].items():
            bars = failed(one)
            bad += bool(bars) and summary["barred"]
            total = one["total"]
            said = "ok" if not bars else "FAIL" if summary["barred"] else "cost"
            print("  %-4s  %-24s %-10s %5d flows, named %s, first %s, in set %s%s" % (
                said, summary["title"], form, total["flows"],
                percent(total["named"], total["flows"]).strip(),
                percent(total["top1"], total["named"]).strip(),
                percent(total["set"], total["named"]).strip(),
                "  bars: " + ", ".join(sorted(bars)) if bars else ""))
    for name in broken:
        print("  FAIL  %s broke off" % name)
    print("%d passed, %d failed, 0 skipped" % (
        sum(len(summary["scores"]) for summary in summaries) + len(broken) - bad, bad))
    return 1 if bad else 0
