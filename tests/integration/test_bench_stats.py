"""The arithmetic behind ./dev bench, against data whose answer is known."""

import random
import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))
from peers import stats  # noqa: E402


def test_pairs_are_of_rounds_that_both_have():
    assert stats.paired({1: 2.0, 2: 3.0, 4: 9.0}, {2: 1.5, 3: 7.0, 4: 3.0}) == [(3.0, 1.5), (9.0, 3.0)]
    assert stats.ratios([(3.0, 1.5), (9.0, 3.0), (1.0, 0)]) == [2.0, 3.0]
    assert stats.differences([(3.0, 1.5), (1.0, 2.0)]) == [1.5, -1.0]


def test_an_interval_is_the_same_every_time_and_holds_the_median():
    rng = random.Random(1)
    values = [rng.gauss(10, 1) for _ in range(15)]
    low, high = stats.bootstrap(values)
    assert (low, high) == stats.bootstrap(list(values))
    assert min(values) <= low <= statistics.median(values) <= high <= max(values)


def test_equal_values_have_no_spread_and_one_value_is_its_own_interval():
    assert stats.bootstrap([3.0] * 15) == (3.0, 3.0)
    assert stats.bootstrap([7.5]) == (7.5, 7.5)
    with pytest.raises(ValueError, match="no values"):
        stats.bootstrap([])


def test_the_interval_of_a_mean_is_close_to_what_theory_says():
    rng = random.Random(2)
    values = [rng.gauss(100, 5) for _ in range(400)]
    low, high = stats.bootstrap(values, statistic=statistics.fmean, resamples=2000)
    expected = 2 * 1.96 * statistics.stdev(values) / 20
    assert (high - low) == pytest.approx(expected, rel=0.1)
    assert (low + high) / 2 == pytest.approx(statistics.fmean(values), abs=0.1)


def test_intervals_hold_the_truth_about_as_often_as_they_claim():
    rng = random.Random(3)
    held = 0
    for _ in range(200):
        low, high = stats.bootstrap([rng.gauss(1.0, 0.1) for _ in range(15)], resamples=400)
        held += low <= 1.0 <= high
    assert 0.87 <= held / 200 <= 1.0


def test_more_spread_makes_a_wider_interval():
    narrow = stats.bootstrap([1 + i / 1000 for i in range(15)])
    wide = stats.bootstrap([1 + i / 10 for i in range(15)])
    assert wide[1] - wide[0] > 50 * (narrow[1] - narrow[0])


@pytest.mark.parametrize(("interval", "limit", "expected"), [
    ((0.8, 0.9), 1.0, stats.SHOWN),
    ((0.8, 1.0), 1.0, stats.SHOWN),
    ((0.8, 1.01), 1.0, stats.NOT_SHOWN),
    ((1.0, 1.2), 1.0, stats.NOT_SHOWN),
    ((1.001, 1.2), 1.0, stats.REFUTED),
])
def test_a_verdict_is_about_the_whole_interval(interval, limit, expected):
    assert stats.verdict(interval, limit) == expected


def test_one_outlier_changes_no_verdict():
    good = [0.9] * 14
    assert stats.Compared([*good, 5.0], 1.0).verdict == stats.SHOWN
    half = [0.9] * 8 + [1.1] * 7
    assert stats.Compared(half, 1.0).verdict == stats.NOT_SHOWN
    assert stats.Compared([1.1] * 15, 1.0).verdict == stats.REFUTED


def test_what_was_not_measured_or_measured_once_has_no_good_verdict():
    assert stats.Compared([], 1.0).verdict == stats.NOT_MEASURED
    assert stats.Compared([0.5], 1.0).verdict == stats.NOT_SHOWN
    assert stats.Compared([0.5, 0.6]).verdict == ""
    found = stats.Compared([0.5, 0.6, 0.7], 1.0).as_json()
    assert found["rounds"] == 3
    assert found["median"] == 0.6
    assert found["verdict"] == stats.SHOWN
