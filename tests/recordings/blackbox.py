"""The blackbox exporter: a probe that succeeds, then one that fails; and OPTIONS over TCP as a SIP probe."""

from __future__ import annotations

from tests.recordings.backend import backend
from tests.recordings.driving import (
    Recording,
    debian,
    free_port,
    serving,
    temporary,
    text_of,
    version_of,
)

CONFIG = """
modules:
  answer: {prober: http, timeout: 2s, http: {valid_status_codes: [200]}}
"""


def main() -> None:
    with temporary() as folder:
        root = debian(folder, "prometheus-blackbox-exporter")
        (folder / "blackbox.yml").write_text(CONFIG)
        port, behind = free_port(), free_port()
        argv = [
            root / "usr/bin/prometheus-blackbox-exporter", f"--config.file={folder / 'blackbox.yml'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip

        def probe(query: str) -> str:
            return text_of(
                f"http://127.0.0.1:{port}/probe?module=answer&target=http://127.0.0.1:{behind}/answer{query}"
            )

        with (
            backend(behind),
            serving(argv, folder, lambda: bool(text_of(f"http://127.0.0.1:{port}/metrics"))),
        ):
            good, bad = probe(""), probe("%3Fstatus=503")
            assert "probe_success 1" in good
            assert "probe_success 0" in bad
        Recording(
            "blackbox", f"prometheus-blackbox-exporter {version_of(root, 'prometheus-blackbox-exporter')} (Debian)",
            "blackbox", {"good": 1, "failed": 1}, {}, levels={"before": {"up": 1}, "after": {"up": 0}},
        ).write(good, bad, "probe_.*")  # fmt: skip


if __name__ == "__main__":
    main()
