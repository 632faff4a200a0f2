"""Makes the fixtures of this folder known to its tests, wherever pytest is started from."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gateway import gateway  # noqa: E402,F401

LONGEST_TEST_S = 60


@pytest.fixture(autouse=True)
def far_from_a_full_hour():
    """Windows of limits, of an hour as of a day or a month, end with a full hour: what a test counts must lie in one."""
    left = 3600 - time.time() % 3600
    if left < LONGEST_TEST_S:
        time.sleep(left + 0.1)
