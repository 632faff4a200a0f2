"""The oracle at size: every request of a minute with 200 kills, compared in three books. The seed is printed."""

import os

from books import loadgen, mockllm  # noqa: F401
from oracle_run import check_books

SECONDS = int(os.environ.get("BIFROST_ORACLE_SECONDS", "60"))


def test_the_books_agree(gateway, mockllm, loadgen):  # noqa: F811
    kills = check_books(gateway, mockllm, loadgen, SECONDS)
    assert kills >= 200 * SECONDS / 60
