from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ecpmon.errors import LocalStackError
from ecpmon.local.alertmanager import alertmanager_argv, render_alertmanager_config
from ecpmon.local.instance import InstanceDir
from ecpmon.local.packages import Binaries
from ecpmon.local.parts import Context, Databases, api_url, service_environment, simulator_spec
from ecpmon.local.ports import plan_ports
from ecpmon.local.postgres import locale_options, render_config
from ecpmon.local.prometheus import prepare_prometheus, prometheus_argv, render_prometheus_config
from ecpmon.local.stack import own_databases
from ecpmon.resources import data_dir

PORTS = plan_ports(api=1, simulator=2, postgres=3, prometheus=4, alertmanager=5)
BINARIES = Binaries(Path("/pg"), Path("/p"), Path("/pt"), Path("/a"), Path("/at"), Path("/root"))


def context(environ: dict[str, str] | None = None, host: str = "127.0.0.1") -> Context:
    return Context(InstanceDir(Path("/i")), PORTS, None, environ or {}, Path("/w"), host)


def test_prometheus_scrapes_the_simulator_and_us_and_alerts() -> None:
    config = yaml.safe_load(render_prometheus_config(PORTS, rules_glob="/r/*.yml"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert config["global"]["scrape_interval"] == "15s"
    assert config["rule_files"] == ["/r/*.yml"]
    assert jobs["simulator"]["static_configs"] == [{"targets": ["127.0.0.1:2"]}]
    assert jobs["simulator"]["honor_labels"] is True
    assert jobs["ecpmon"]["static_configs"] == [{"targets": ["127.0.0.1:1"]}]
    assert "honor_labels" not in jobs["ecpmon"]
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:5"]}]


def test_prometheus_listens_on_loopback_and_forgets_after_40_seconds() -> None:
    argv = prometheus_argv(BINARIES, Path("/f"), 4)
    assert {"--web.listen-address=127.0.0.1:4", "--query.lookback-delta=40s"} <= set(argv)
    assert not any("lifecycle" in option or "admin" in option for option in argv)


def test_rule_files_are_copied_and_old_copies_go(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "sla.yml").write_text("groups: []\n")
    (rules / "README").touch()
    (tmp_path / "prom/rules").mkdir(parents=True)
    (tmp_path / "prom/rules/old.yml").touch()
    prepare_prometheus(tmp_path / "prom", PORTS, rules, None)
    assert [path.name for path in (tmp_path / "prom/rules").iterdir()] == ["sla.yml"]


def test_pods_are_scraped_by_service_discovery_where_that_is_asked_for(tmp_path: Path) -> None:
    prepare_prometheus(tmp_path, PORTS, data_dir("rules") / "prometheus", None, scrape_pods=True)
    config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    (file,) = config["scrape_config_files"]
    found = yaml.safe_load(Path(file).read_text())["scrape_configs"]
    asked = {d["api_server"] for job in found for d in job["kubernetes_sd_configs"]}
    assert asked == {"http://127.0.0.1:2"}
    assert "6360" not in Path(file).read_text()


def test_an_installation_without_rule_files_is_fine(tmp_path: Path) -> None:
    prepare_prometheus(tmp_path / "prom", PORTS, tmp_path / "none", None)
    assert list((tmp_path / "prom/rules").iterdir()) == []


def test_alertmanager_sends_everything_to_our_webhook() -> None:
    config = yaml.safe_load(render_alertmanager_config(PORTS))
    assert config["route"]["group_by"] == ["alertname", "tenant_id"]
    assert config["receivers"] == [
        {
            "name": "ecpmon",
            "webhook_configs": [
                {"url": "http://127.0.0.1:1/api/v1/webhooks/tenant-alert", "send_resolved": True}
            ],
        }
    ]


def test_alertmanager_carries_a_token_when_there_is_one() -> None:
    config = yaml.safe_load(render_alertmanager_config(PORTS, bearer_token="secret: 'x'"))
    authorization = config["receivers"][0]["webhook_configs"][0]["http_config"]["authorization"]
    assert authorization == {"type": "Bearer", "credentials": "secret: 'x'"}


def test_alertmanager_has_no_cluster() -> None:
    argv = alertmanager_argv(BINARIES, Path("/f"), 5)
    assert {"--cluster.listen-address=", "--web.listen-address=127.0.0.1:5"} <= set(argv)


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_only_tests_do_without_fsync_and_commits_always_wait(durable: bool, fsync: str) -> None:
    lines = render_config(3, durable=durable).splitlines()
    assert f"fsync = '{fsync}'" in lines
    assert "synchronous_commit = 'on'" in lines
    assert "listen_addresses = '127.0.0.1'" in lines
    assert "port = '3'" in lines


def test_the_builtin_locale_is_used_where_it_exists() -> None:
    assert "--builtin-locale=C.UTF-8" in locale_options(17)
    assert locale_options(15) == ["--locale=C"]


def test_the_service_gets_the_stacks_addresses_over_the_users_environment() -> None:
    user = {
        "ECPMON_PORT": "7",
        "ECPMON_LOG_LEVEL": "debug",
        "ECPMON_EXTERNAL_URL": "https://sla.test",
        "PATH": "/bin",
    }
    env = service_environment(context(user), Databases("prod", "demo"))
    assert env["ECPMON_DATABASE_URL"] == "prod"
    assert env["ECPMON_DEMO_DATABASE_URL"] == "demo"
    assert env["ECPMON_PORT"] == "1"
    assert env["ECPMON_SIMULATOR_URL"] == "http://127.0.0.1:2"
    assert env["ECPMON_PROMETHEUS_URL"] == "http://127.0.0.1:4"
    assert env["ECPMON_ALERTMANAGER_URL"] == "http://127.0.0.1:5"
    assert (env["ECPMON_LOG_LEVEL"], env["ECPMON_EXTERNAL_URL"], env["PATH"]) == (
        "debug",
        "https://sla.test",
        "/bin",
    )


def test_passwords_that_everybody_knows_are_for_our_private_database_only() -> None:
    databases = Databases("prod", "demo")
    assert service_environment(context({}), databases)["ECPMON_SQL_PASSWORD"] == "ecp_password"
    own = service_environment(context({"ECPMON_SQL_PASSWORD": "mine"}), databases)
    assert own["ECPMON_SQL_PASSWORD"] == "mine"
    brought = service_environment(context({"ECPMON_DATABASE_URL": "postgresql://x"}), databases)
    assert not {name for name in brought if "SQL" in name}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://127.0.0.1:1"),
        ("::1", "http://[::1]:1"),
    ],
)
def test_the_api_is_reached_from_this_machine(host: str, url: str) -> None:
    assert api_url(context(host=host)) == url


def test_the_simulator_keeps_its_state_in_the_instance() -> None:
    argv = simulator_spec(context()).argv
    assert argv[-4:] == ("--port", "2", "--state-dir", "/i/simulator")


def test_the_users_own_databases_are_taken_both_or_not_at_all() -> None:
    assert own_databases({}) is None
    assert own_databases({"ECPMON_DATABASE_URL": "a", "ECPMON_DEMO_DATABASE_URL": "b"}) == Databases("a", "b")
    with pytest.raises(LocalStackError, match="ECPMON_DEMO_DATABASE_URL is not") as caught:
        own_databases({"ECPMON_DATABASE_URL": "a"})
    assert "unset both" in caught.value.hint


def test_a_second_stack_in_the_same_folder_is_told_who_runs_the_first(tmp_path: Path) -> None:
    instance = InstanceDir(tmp_path / "i")
    instance.prepare()
    with (
        instance.lock(),
        pytest.raises(LocalStackError, match=r"is running in .+ already \(process \d+\)") as caught,
    ):
        instance.lock()
    assert "--port-offset 100" in caught.value.hint
    instance.lock().close()


def test_a_full_disk_is_noticed_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecpmon.local.instance._NEEDED_BYTES", 2**62)
    with pytest.raises(LocalStackError, match="is full") as caught:
        InstanceDir(tmp_path / "i").prepare()
    assert "free at least" in caught.value.hint


def test_an_instance_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalStackError, match="cannot write the data folder"):
        InstanceDir(tmp_path / "file" / "i").prepare()
