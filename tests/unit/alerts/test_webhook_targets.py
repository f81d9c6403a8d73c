"""The SSRF guard: addresses, URLs and headers that are refused, and that nothing else is."""

from __future__ import annotations

import pytest

from ecpmon.alerts.targets import AddressGuard, TargetRefused, check_headers, check_target

STRICT = AddressGuard()
OPEN = AddressGuard(allow_loopback=True, allow_private=True)

NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200",
    "168.63.129.16", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "0.1.2.3",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "2002:7f00:1::", "2002:808:808::1", "::ffff:169.254.169.254",
    "::ffff:0.0.0.0", "::127.0.0.1", "2001:db8::1", "192.0.2.1", "198.18.0.1", "2001:0:1::1", "fec0::1",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1",
           "::ffff:10.0.0.1"]  # fmt: skip
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("host", NEVER)
def test_never_allowed(host: str) -> None:
    assert STRICT.refusal(host)
    assert OPEN.refusal(host)


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_by_configuration(host: str) -> None:
    assert STRICT.refusal(host)
    assert AddressGuard(allow_private=True).refusal(host)
    assert AddressGuard(allow_loopback=True).refusal(host) is None


@pytest.mark.parametrize("host", PRIVATE)
def test_private_by_configuration(host: str) -> None:
    assert STRICT.refusal(host)
    assert AddressGuard(allow_loopback=True).refusal(host)
    assert AddressGuard(allow_private=True).refusal(host) is None


@pytest.mark.parametrize("host", PUBLIC)
def test_public(host: str) -> None:
    assert STRICT.refusal(host) is None


@pytest.mark.parametrize(
    "url",
    ["https://hooks.example.com/x?y=1", "http://hooks.example.com:8080", "https://한국.kr/훅", "http://alertmanager/",
     "https://8.8.8.8/", "https://[2606:4700::1111]:8443/", "https://1.example.com/", "https://a_b.example.com/"],
)  # fmt: skip
def test_targets_that_may_be_saved(url: str) -> None:
    assert check_target(url, STRICT) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "http or https"),
        ("/hook", "http or https"),
        ("ftp://a.example/", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("gopher://a.example:70/_x", "http or https"),
        ("http://", "URL"),
        ("http:///x", "URL"),
        ("https://user:pass@a.example/", "credentials"),
        ("https://user@a.example/", "credentials"),
        ("https://a.example:0/", "port"),
        ("https://a.example:99999/", "URL"),
        ("https://a.example:x/", "URL"),
        ("http://a.example:6379/", "port 6379"),
        ("http://a.example:25/", "port 25"),
        ("http://localhost/", "loopback"),
        ("http://LOCALHOST./", "loopback"),
        ("http://x.localhost/", "loopback"),
        ("http://127.0.0.1:8001/", "loopback"),
        ("http://[::1]/", "loopback"),
        ("http://[::ffff:127.0.0.1]/", "loopback"),
        ("http://2130706433/", "four decimal"),
        ("http://0x7f000001/", "four decimal"),
        ("http://0x7f.0.0.1/", "four decimal"),
        ("http://127.1/", "four decimal"),
        ("http://0177.0.0.1/", "four decimal"),
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("http://10.0.0.1/", "private"),
        ("http://a.example/\r\nX: y", "no spaces"),
        ("http://a.example /", "no spaces"),
        ("http://a.example\\@127.0.0.1/", "no backslashes"),
        ("http://" + "a" * 64 + ".example/", "host name|URL"),
        ("http://a..example/", "host name|URL"),
        ("http://a.example/" + "x" * 2048, "at most 2048"),
    ],
)
def test_targets_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(TargetRefused, match=message) as caught:
        check_target(url, STRICT)
    assert caught.value.details["fields"][0]["field"] == "url"


def test_loopback_may_be_saved_when_allowed() -> None:
    for url in ("http://localhost:9000/", "http://127.0.0.1:9000/", "http://[::1]:9000/"):
        assert check_target(url, AddressGuard(allow_loopback=True)) == url


def test_headers_that_may_be_saved() -> None:
    headers = {"Authorization": "Bearer a.b", "X-Team": "ops (1)\t2"}
    assert check_headers(headers) == tuple(headers.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"), ("X-A", "1\n2"), ("X-A\r\nX-B", "1"), ("X-A", "\x00"), ("X A", "1"), ("", "1"),
        ("X-A", "값"), ("Host", "evil.example"), ("content-length", "0"), ("Transfer-Encoding", "chunked"),
        ("Content-Type", "text/plain"), ("X-Ecp-Signature", "sha256=0"), ("x-ecp-anything", "1"),
        ("Webhook-Id", "1"), ("webhook-timestamp", "1"), ("WEBHOOK-SIGNATURE", "v1,"),
        ("IDEMPOTENCY-KEY", "1"), ("Proxy-Authorization", "1"), ("Connection", "close"), ("X-A", "x" * 1025),
    ],
)  # fmt: skip
def test_headers_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(TargetRefused):
        check_headers([(name, value)])


def test_too_many_headers() -> None:
    with pytest.raises(TargetRefused, match="at most 20"):
        check_headers({f"X-{number}": "1" for number in range(21)})
