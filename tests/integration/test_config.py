"""Keys of the configuration that name files: what a changed file does when bifrost.yaml did not change."""

import http.client
import ssl
import sys
from pathlib import Path

import pytest

from gateway import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import fake_openai as fo  # noqa: E402


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "ca"
    folder.mkdir()
    return fo.Authority(folder)


def install(folder, authority, name):
    """A new certificate of this name where the configuration says it is."""
    certificate, key = authority.issue(name, "DNS:localhost,IP:127.0.0.1")
    (folder / "chain.pem").write_text(certificate.read_text())
    (folder / "key.pem").write_text(key.read_text())


def served(gw, authority):
    """The common name of the certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=str(authority.folder / "ca.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", gw.port, context=context, timeout=60)
    try:
        connection.connect()
        name = dict(pair for field in connection.sock.getpeercert()["subject"] for pair in field)["commonName"]
        connection.request("GET", "/live")
        assert connection.getresponse().status == 200
        return name
    finally:
        connection.close()


def test_a_renewed_certificate_rolls_the_workers_alone(gateway, authority, tmp_path):
    install(tmp_path, authority, "first")
    gw = gateway(workers=2, config={"server": {"tls": {"cert": str(tmp_path / "chain.pem"),
                                                       "key": f"file.{tmp_path}/key.pem"}}}).start()
    assert f"https://127.0.0.1:{gw.port}" in gw.log()
    assert served(gw, authority) == "first"
    before = gw.pids()
    install(tmp_path, authority, "second")
    gw.ctl("reload")
    wait_for("the new certificate", lambda: all(served(gw, authority) == "second" for _ in range(8)))
    after = gw.pids()
    assert {n for n in after if after[n] != before[n]} == {"proxyd.0", "proxyd.1"}

    # Nothing changed: nobody is replaced.
    gw.ctl("reload")
    assert gw.pids() == after

    # A key of another certificate is found before anybody is replaced.
    authority.issue("other", "DNS:localhost")
    (tmp_path / "key.pem").write_text((authority.folder / "other.key").read_text())
    refused = gw.ctl("reload", check=False)
    assert refused.returncode != 0, refused.stdout
    assert "server.tls.key: does not belong to the first certificate" in refused.stdout + refused.stderr
    assert gw.pids() == after
    assert all(served(gw, authority) == "second" for _ in range(8))

    # What is no key at all is told with its place.
    (tmp_path / "key.pem").write_text("junk")
    refused = gw.ctl("reload", check=False)
    assert refused.returncode != 0 and "server.tls.key: holds no private key" in refused.stdout + refused.stderr
    assert served(gw, authority) == "second"


def test_a_pair_that_does_not_fit_refuses_the_start(gateway, authority, tmp_path):
    install(tmp_path, authority, "first")
    authority.issue("other", "DNS:localhost")
    (tmp_path / "key.pem").write_text((authority.folder / "other.key").read_text())
    code, log = gateway(workers=1, config={"server": {"tls": {"cert": str(tmp_path / "chain.pem"),
                                                              "key": str(tmp_path / "key.pem")}}}).run_to_end()
    assert code == 78 and "server.tls.key: does not belong to the first certificate" in log, log


def test_certificates_to_trust_that_are_none_refuse_the_start(gateway, tmp_path):
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    network = {"base_url": "https://127.0.0.1:1", "ca_cert_pem": f"file.{tmp_path}/ca.pem"}
    providers = {"openai": {"keys": [{"name": "a", "value": "sk-1"}], "network_config": network}}
    code, log = gateway(workers=1, config={"providers": providers}).run_to_end()
    assert code == 78 and "providers.openai.network_config.ca_cert_pem: " in log, log
