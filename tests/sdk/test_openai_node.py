"""The npm openai client: runs openai_client.mjs once and reports each of its cases. SDK_NODE names another node."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from upstream import Inspector

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "openai_client.mjs"


@pytest.fixture(scope="module")
def told(gw, up):
    """{name: (passed, what was printed below it)} of every case that ran, and the exit code."""
    assert (HERE / "node_modules/openai").is_dir(), "npm install in tests/sdk is missing: ./dev test does it"
    inspector = Inspector(gw, up)
    env = dict(os.environ, GATEWAY=f"http://127.0.0.1:{gw.port}", INSPECTOR=inspector.url)
    done = subprocess.run([os.environ.get("SDK_NODE", "node"), "--test-reporter=tap", SCRIPT], env=env, cwd=HERE, text=True,
                          capture_output=True, timeout=300, check=False)
    inspector.shutdown()
    cases, last = {}, None
    for line in done.stdout.splitlines():
        found = re.match(r"(not )?ok \d+ - (.*)", line)
        if found:
            last = cases[found[2].replace("\\#", "#")] = [not found[1], []]
        elif last:
            last[1].append(line)
    assert cases, f"no case ran (exit {done.returncode}):\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return cases, done.returncode


def names():
    """As the script makes them: a loop's variable stands for each of its values."""
    values = {"base": ["/v1", "/openai/v1", "/openai"], "status": ["400", "404", "422", "429", "500", "503"],
              "model": ["cut", "torn"]}
    made = []
    for quoted in re.findall(r"^\s*test\((?:'([^']*)'|\"([^\"]*)\"|`([^`]*)`)", SCRIPT.read_text(), re.M):
        some = ["".join(quoted)]
        for variable, each in values.items():
            some = [s.replace(f"${{{variable}}}", v) for s in some for v in (each if f"${{{variable}}}" in s else [""])]
        made += some
    return made


@pytest.mark.parametrize("name", names())
def test_case(told, name):
    passed, below = told[0].get(name, (False, ["it did not run"]))
    assert passed, "\n".join(below)


def test_every_case_is_known(told):
    cases, code = told
    assert sorted(cases) == sorted(names())
    assert (code == 0) == all(passed for passed, _ in cases.values())
