"""A context whose certificates are read late verifies as the usual one does."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from ecpmon.latetls import LateContext, reading_late


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for `here.test` that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    asked = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    asked += ["-days", "2", "-subj", "/CN=here.test", "-addext", "subjectAltName=DNS:here.test"]
    asked += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(asked, check=True, capture_output=True)
    return certificate, key


def late_context() -> ssl.SSLContext:
    with reading_late():
        return ssl.create_default_context()


def shake_hands(client: ssl.SSLContext, authority: tuple[Path, Path], name: str = "here.test") -> None:
    """Raises ssl.SSLError when the client does not trust the server."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not ends:
            return
    pytest.fail("the handshake did not end")


def test_nothing_is_read_before_it_is_used(
    authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    context = late_context()
    assert context.cert_store_stats()["x509"] == 0
    shake_hands(context, authority)
    assert context.cert_store_stats()["x509"] == 1


def test_who_is_not_vouched_for_is_refused(authority: tuple[Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(late_context(), authority)


def test_who_is_called_otherwise_is_refused(
    authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"there\.test"):
        shake_hands(late_context(), authority, "there.test")


def test_but_for_the_certificates_it_is_the_usual_context() -> None:
    late, usual = late_context(), ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version", "protocol"):
        assert getattr(late, name) == getattr(usual, name), name


def test_a_context_that_verifies_nothing_reads_nothing(authority: tuple[Path, Path]) -> None:
    with reading_late():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_default_verify_paths()
    shake_hands(context, authority)
    assert context.cert_store_stats()["x509"] == 0


def test_afterwards_contexts_are_made_as_ever() -> None:
    late_context()
    assert "set_default_verify_paths" not in vars(ssl.SSLContext)
    assert not isinstance(ssl.create_default_context(), LateContext)


def test_a_start_reads_no_certificates() -> None:
    ask = (
        "from ecpmon.cli import importing\nwith importing(): import ecpmon.app\n"
        "import gc, ssl\ngc.unfreeze()\n"
        "found = [each for each in gc.get_objects() if isinstance(each, ssl.SSLContext)]\n"
        "print(len(found), sum(each.cert_store_stats()['x509'] for each in found))"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    contexts, certificates = map(int, done.stdout.split())
    assert contexts > 0
    assert certificates == 0
