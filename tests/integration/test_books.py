"""The oracle of tests/chaos for some seconds: provider, clients and rows agree on every request while children are killed."""

import sys
from pathlib import Path

from books import loadgen, mockllm  # noqa: F401

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from oracle_run import check_books  # noqa: E402


def test_the_books_agree(gateway, mockllm, loadgen):  # noqa: F811
    assert check_books(gateway, mockllm, loadgen, seconds=10, share=0.4) >= 15
