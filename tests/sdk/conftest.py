"""One gateway and one scripted upstream for all cases of both clients: what they leave behind must not disturb others."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "integration"))
sys.path.insert(0, str(HERE.parent / "support"))

from gateway import Gateway  # noqa: E402
from upstream import Upstream  # noqa: E402


def config(up):
    def provider(**more):
        network = {"base_url": up.url, **more.pop("network_config", {})}
        return {"keys": [{"name": f"key-{len(made)}", "value": "sk-upstream"}], "network_config": network, **more}

    made = {}
    made["openai"] = provider()
    made["slow"] = provider(network_config={"default_request_timeout_in_seconds": "700ms"})
    made["listed"] = provider(keys=[{"name": "listed", "value": "sk-upstream", "models": ["m", "other"]}])
    made["free"] = provider(keys=[], custom_provider_config={"base_provider_type": "openai", "is_key_less": True})
    return {"providers": made, "client": {"max_request_body_size_mb": 32}}


@pytest.fixture(scope="session")
def up():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="session")
def gw(tmp_path_factory, up):
    made = Gateway(tmp_path_factory.mktemp("gw"), workers=2, config=config(up))
    try:
        yield made.start()
    finally:
        leaks = made.close()
        assert not leaks, "\n".join(leaks)
