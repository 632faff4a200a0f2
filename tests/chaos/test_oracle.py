"""The oracle at size: every request of a minute with 200 kills, compared in three books, and the meters with the rows. The seed
is printed. For twenty minutes, by hand: BIFROST_ORACLE_SECONDS=1200 BIFROST_ORACLE_SHARE=0.3 pytest tests/chaos/test_oracle.py
"""

import os

from books import loadgen, mockllm  # noqa: F401
from oracle_run import check_books

SECONDS = int(os.environ.get("BIFROST_ORACLE_SECONDS", "60"))
SHARE = float(os.environ.get("BIFROST_ORACLE_SHARE", "1"))  # of 500 requests a second


def test_the_books_agree(gateway, mockllm, loadgen):  # noqa: F811
    kills = check_books(gateway, mockllm, loadgen, SECONDS, SHARE, supervisor=0.02)
    assert kills >= 200 * SECONDS / 60
