"""docs/settings.md says what settings.py declares, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr, ValidationError

from ecpmon.cli import cli
from ecpmon.serving import UnsafeSettings, check_settings
from ecpmon.settings import ALIASES, SECRETS, Settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
FILES = (
    f"What no variable says may be in a file: in the folder that `{SECRETS[0]}` names (or `{SECRETS[1]}`, which systemd"
    " sets) the file `ecpmon_database_url` holds what `ECPMON_DATABASE_URL` would, and so on. Secrets are better there:"
    " an environment is seen by more people."
)


def rendered() -> str:
    rows = ["# Settings", "", "Every setting is an environment variable of `ecpmon serve`."]
    rows += ["A variable that is set to nothing (`ECPMON_SIMULATOR_URL=`) is as good as not set.", ""]
    names = ", ".join(f"`{alias}` (`ECPMON_{name.upper()}`)" for name, alias in ALIASES.items())
    rows += [f"Where ours is not set, the names of the source documents count: {names}.", ""]
    rows += [FILES, ""]
    rows += ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None or "Secret" in type(default).__name__ else f"`{default}`"
        rows.append(f"| `ECPMON_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def test_the_settings_page_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == rendered()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_authentication_cannot_be_off_on_the_network() -> None:
    open_door = Settings(auth="none", host="0.0.0.0", database_url="postgresql://x")  # type: ignore[arg-type]
    with pytest.raises(UnsafeSettings, match="ecpmon token"):
        check_settings(open_door)
    check_settings(open_door.model_copy(update={"auth_none_anywhere": True}))
    check_settings(open_door.model_copy(update={"host": "127.0.0.1"}))


def test_the_names_of_the_source_documents_count_where_ours_are_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ALIASES.values():
        monkeypatch.setenv(name, f"http://{name.lower().replace('_', '-')}")
    monkeypatch.setenv("ECPMON_PROMETHEUS_URL", "http://ours")
    monkeypatch.setenv("ECPMON_SIMULATOR_URL", "")
    found = Settings()
    assert found.database_url == SecretStr("http://database-url")
    assert found.demo_database_url == SecretStr("http://demo-database-url")
    assert found.kubeconfig == "http://kubernetes-config-path"
    assert found.prometheus_url == "http://ours"
    assert found.redis_url == SecretStr("http://redis-url")
    assert found.simulator_url == "http://k8s-simulator-url"
    assert Settings(simulator_url="http://given").simulator_url == "http://given"


@pytest.mark.parametrize("secret", ["short", "fifteen bytes!!", "한글넷"])
def test_a_weak_webhook_secret_is_refused_at_the_start_with_what_to_do(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECPMON_WEBHOOK_SECRET", secret)
    monkeypatch.setenv("ECPMON_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    result = CliRunner().invoke(cli, ["serve"])
    assert result.exit_code == 1
    assert "ECPMON_WEBHOOK_SECRET" in result.output
    assert "openssl rand -base64 32" in result.output
    assert secret not in result.output


@pytest.mark.parametrize("secret", ["", "sixteen bytes ok", "한글로여섯글자"])
def test_a_strong_webhook_secret_or_none_is_taken(secret: str) -> None:
    assert Settings(webhook_secret=SecretStr(secret)).webhook_secret.get_secret_value() == secret


def test_urls_must_be_http() -> None:
    with pytest.raises(ValidationError):
        Settings(simulator_url="ftp://somewhere")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_variable_set_to_nothing_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ECPMON_{name.upper()}", "")
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    assert getattr(Settings(), name) == default


@pytest.mark.parametrize("name", [n for n, f in Settings.model_fields.items() if f.default is None])
def test_blanks_in_an_optional_setting_mean_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ECPMON_{name.upper()}", "  ")
    assert getattr(Settings(), name) is None
    monkeypatch.delenv(f"ECPMON_{name.upper()}")
    assert getattr(Settings(**{name: ""}), name) is None


def test_what_no_variable_says_is_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ecpmon_database_url").write_text("postgresql://of-a-file\n")
    (tmp_path / "ecpmon_simulator_url").write_text("http://of-a-file")
    monkeypatch.setenv("ECPMON_SIMULATOR_URL", "http://of-a-variable")
    for name in SECRETS:
        with monkeypatch.context() as patch:
            patch.setenv(name, str(tmp_path))
            found = Settings()
        assert found.database_url == SecretStr("postgresql://of-a-file")
        assert found.simulator_url == "http://of-a-variable"
    assert Settings().database_url is None


def test_a_folder_of_secrets_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS[0], str(tmp_path / "none"))
    result = CliRunner().invoke(cli, ["serve"])
    assert result.exit_code == 1
    assert f"{SECRETS[0]}: {tmp_path / 'none'} is no folder" in result.output
