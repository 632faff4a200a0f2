"""Medians, ratios of paired rounds, bootstrap intervals and verdicts. Pure: no clock, no I/O, same result every time."""

import random
import statistics

RESAMPLES = 10_000
SEED = 20261121  # fixed: the same measurements give the same interval

SHOWN, NOT_SHOWN, REFUTED, NOT_MEASURED = "shown", "not shown", "refuted", "not measured"


def summary(values):
    """(median, smallest, largest)."""
    return statistics.median(values), min(values), max(values)


def paired(ours, theirs):
    """Pairs of the rounds that both have; each argument is {round: value}."""
    return [(ours[r], theirs[r]) for r in sorted(ours) if r in theirs]


def ratios(pairs):
    """ours / theirs per round; a round in which the peer cost nothing says nothing."""
    return [a / b for a, b in pairs if b > 0]


def differences(pairs):
    return [a - b for a, b in pairs]


def bootstrap(values, confidence=0.95, resamples=RESAMPLES, statistic=statistics.median):
    """Percentile interval (low, high) of the statistic, by drawing as many values with replacement again and again."""
    if not values:
        raise ValueError("an interval of no values")
    if len(values) == 1:
        return values[0], values[0]
    rng = random.Random(SEED)
    drawn = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    return drawn[int(tail * resamples)], drawn[min(int((1 - tail) * resamples), resamples - 1)]


def verdict(interval, limit):
    """Is the value at most the limit? Shown when the whole interval says so, refuted when none of it does."""
    low, high = interval
    if high <= limit:
        return SHOWN
    if low > limit:
        return REFUTED
    return NOT_SHOWN


class Compared:
    """One figure of ours against a peer's, or against nothing, over paired rounds."""

    def __init__(self, values, limit=None, enough=2):
        self.values = values
        self.limit = limit
        self.median = statistics.median(values) if values else None
        self.interval = bootstrap(values) if values else None
        if not values or limit is None:
            self.verdict = NOT_MEASURED if not values else ""
        elif len(values) < enough:
            # One value has no spread: it can refute nothing and show nothing.
            self.verdict = NOT_SHOWN
        else:
            self.verdict = verdict(self.interval, limit)

    def as_json(self):
        return {"rounds": len(self.values), "median": self.median, "interval95": self.interval, "limit": self.limit,
                "verdict": self.verdict}
