"""Makes the fixtures of this folder known to its tests, wherever pytest is started from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gateway import gateway  # noqa: E402,F401
