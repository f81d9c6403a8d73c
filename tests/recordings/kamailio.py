"""Kamailio with xhttp_prom: calls that are answered, busy, cancelled, failed, refused by the proxy, for a dead trunk.

And a probe of the blackbox exporter over it, by OPTIONS.
"""

from __future__ import annotations

import sys
import time

from tests.recordings.driving import (
    Client,
    Recording,
    debian,
    free_port,
    serving,
    temporary,
    text_of,
    version_of,
    within,
)
from tests.recordings.sip import Caller, trunk

CONFIG = """
debug=0
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
listen=udp:127.0.0.1:{sip}
listen=tcp:127.0.0.1:{sip}
listen=tcp:127.0.0.1:{http}
tcp_accept_no_cl=yes
mpath="{modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "xhttp.so"
loadmodule "xhttp_prom.so"
modparam("tm", "fr_timer", 2000)
modparam("xhttp_prom", "xhttp_prom_stats", "all")

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if ($rU == "broken") {{ sl_send_reply("500", "Server Internal Error"); exit; }}
    if ($rU == "refused") {{ sl_send_reply("503", "Service Unavailable"); exit; }}
    if ($rU == "dead") {{ $du = "sip:127.0.0.1:{nobody}"; }} else {{ $du = "sip:127.0.0.1:{trunk}"; }}
    if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    t_relay();
}}

event_route[xhttp:request] {{
    if (prom_check_uri()) {{ prom_dispatch(); exit; }}
    xhttp_reply("404", "Not Found", "text/plain", "");
}}
"""

OPTIONS = (
    "OPTIONS sip:probe@127.0.0.1 SIP/2.0", "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKprobe", "Max-Forwards: 70",
    "From: <sip:probe@127.0.0.1>;tag=1", "To: <sip:probe@127.0.0.1>", "Call-ID: probe@127.0.0.1", "CSeq: 1 OPTIONS",
    "Content-Length: 0", "",
)  # fmt: skip
PROBE = r"""
modules:
  sip:
    prober: tcp
    timeout: 2s
    tcp:
      query_response:
        - send: "{options}"
        - expect: "^SIP/2.0 200"
"""


def main() -> None:
    with temporary() as folder:
        root = debian(
            folder,
            "kamailio",
            "kamailio-extra-modules",
            "prometheus-blackbox-exporter",
            suite=sys.argv[1] if sys.argv[1:] else "trixie",
        )
        [modules] = [path.parent for path in root.rglob("xhttp_prom.so")]
        sip, http, trunk_port, nobody = (free_port() for _ in range(4))
        config = folder / "kamailio.cfg"
        config.write_text(CONFIG.format(sip=sip, http=http, trunk=trunk_port, nobody=nobody, modules=modules))
        caller = Caller(sip)

        def metrics() -> str:
            return text_of(f"http://127.0.0.1:{http}/metrics")

        argv = within(root, "usr/sbin/kamailio", "-f", str(config), "-DD", "-E", "-m", "64", "-M", "16",
                      "-Y", str(folder))  # fmt: skip
        prober = free_port()
        (folder / "blackbox.yml").write_text(PROBE.replace("{options}", r"\r\n".join(OPTIONS) + r"\r"))
        probing = [
            root / "usr/bin/prometheus-blackbox-exporter", f"--config.file={folder / 'blackbox.yml'}",
            f"--web.listen-address=127.0.0.1:{prober}",
        ]  # fmt: skip

        def probe() -> str:
            return text_of(f"http://127.0.0.1:{prober}/probe?module=sip&target=127.0.0.1:{sip}")

        with (
            serving(probing, folder, lambda: bool(text_of(f"http://127.0.0.1:{prober}/metrics"))),
            trunk(trunk_port),
            serving(argv, folder, lambda: "kamailio_" in metrics()) as proxy,
        ):
            before = metrics()
            client = Client()
            client.send("good", 30, lambda: caller.call("anna"), {"200"})
            client.send("retransmitted", 5, lambda: caller.call("anna", twice=True), {"200"})
            client.send("busy", 4, lambda: caller.call("busy"), {"486"})
            client.send("cancelled", 3, lambda: caller.call("hang", cancel_after=0.4), {"487"})
            client.send("failed", 4, lambda: caller.call("fail"), {"500"})
            client.send("refused", 3, lambda: caller.call("refused"), {"503"})
            client.send("broken", 2, lambda: caller.call("broken"), {"500"})
            client.send("dead", 4, lambda: caller.call("dead"), {"408"})
            client.send("options", 6, lambda: caller.request("OPTIONS", "anna"), {"200"})
            for _ in range(7):
                metrics()
            client.counted["scrapes"] = 7
            time.sleep(8)
            after = metrics()
            answered = probe()
            proxy.terminate()
            proxy.wait()
            silent = probe()
        assert "probe_success 1" in answered
        assert "probe_success 0" in silent
        print(client.counted)
        Recording(
            "kamailio",
            f"Kamailio {version_of(root, 'kamailio')} (Debian), xhttp_prom",
            "kamailio",
            client.counted,
            {
                # A CANCEL is a transaction of its own, which is answered with 200.
                "requests_total": "good + retransmitted + busy + cancelled + cancelled + failed + refused + broken"
                " + dead",
                "errors_total": "failed + refused + broken",
            },
            {"options": "answered without a transaction", "scrapes": "no SIP, though in sl_200_replies"},
            notes=["dead is a trunk that does not answer: 408, among busy and cancelled"],
        ).write(before, after, "kamailio_(tmx_.*transactions|sl_.*replies|core_rcv_requests.*)")
        Recording(
            "sip-probe", f"prometheus-blackbox-exporter {version_of(root, 'prometheus-blackbox-exporter')} (Debian),"
            f" OPTIONS over TCP to Kamailio {version_of(root, 'kamailio')}",
            "sip-probe", {"answered": 1, "not_answered": 1}, {},
            levels={"before": {"up": 1}, "after": {"up": 0}},
            notes=["before: the trunk behind the proxy is dead; after: the proxy is"],
        ).write(answered, silent, "probe_.*")  # fmt: skip


if __name__ == "__main__":
    main()
