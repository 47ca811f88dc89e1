"""Where settings come from, in which order, and that the written reference agrees with them."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from golem_server.network_rules import NetworkAccess
from golem_server.quantities import parse_duration, render_duration
from golem_server.settings import NetworkSettings, Settings
from golem_server.settings_reference import EXAMPLE_FILE, TABLE_FILE, example_toml, groups, table_markdown

PROJECT = Path(__file__).parents[2]


def configuration(folder: Path, **files: str) -> Path:
    """A configuration folder with these files."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_flag_wins_over_environment_wins_over_file_wins_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = configuration(tmp_path / "config", golem="port = 1\nhost = '::1'\nlog_level = 'error'\n")
    monkeypatch.setenv("GOLEM_PORT", "2")
    monkeypatch.setenv("GOLEM_HOST", "0.0.0.0")
    settings = Settings(config_folder=folder, port=3)
    assert (settings.port, settings.host, settings.log_level, settings.log_format) == (3, "0.0.0.0", "error", "text")


def test_groups_are_merged_setting_by_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = configuration(
        tmp_path / "config",
        a_first="[executor.retry]\nmax_attempts = 7\nmin_delay = '1ms'\n",
        b_second="[executor.retry]\nmin_delay = '2ms'\n",
    )
    monkeypatch.setenv("GOLEM_EXECUTOR__RETRY__MULTIPLIER", "2")
    retry = Settings(config_folder=folder).executor.retry
    assert (retry.max_attempts, retry.min_delay, retry.multiplier) == (7, timedelta(milliseconds=2), 2.0)
    assert retry.max_delay == timedelta(seconds=1)


def test_the_folder_itself_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLEM_CONFIG_FOLDER", str(configuration(tmp_path / "config", golem="port = 4\n")))
    assert Settings().port == 4


def test_example_files_are_not_read(tmp_path: Path) -> None:
    folder = configuration(tmp_path / "config")
    (folder / "golem-server.example.toml").write_text("port = 5\n")
    assert Settings(config_folder=folder).port == 9881


@pytest.mark.parametrize("text", ["prot = 1", "[limits.worker]\nmemmory = 1", "port = 70000", "log_level = 'loud'"])
def test_an_unknown_name_or_a_wrong_value_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError):
        Settings(config_folder=configuration(tmp_path / "config", golem=text))


def test_the_network_is_open_on_loopback_and_public_elsewhere() -> None:
    assert Settings().network_access is NetworkAccess.ALL
    assert Settings(host="0.0.0.0").network_access is NetworkAccess.PUBLIC
    assert Settings(host="0.0.0.0", network=NetworkSettings(access=NetworkAccess.ALL)).network_access == "all"
    assert Settings(network=NetworkSettings(access=NetworkAccess.LISTED)).network_access == "listed"


def test_network_rules_come_as_a_list_or_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[network]\nallow = ['10.0.0.0/8', '*.internal:443']\n"
    folder = configuration(tmp_path / "config", golem=text)
    monkeypatch.setenv("GOLEM_NETWORK__DENY", "10.0.0.1, db.internal")
    network = Settings(config_folder=folder).network
    assert [str(rule) for rule in network.allow] == ["10.0.0.0/8", "*.internal:443"]
    assert [str(rule) for rule in network.deny] == ["10.0.0.1/32", "db.internal"]
    for wrong in ("10.0.0.1/8", "a b", "[]:80"):
        monkeypatch.setenv("GOLEM_NETWORK__DENY", wrong)
        with pytest.raises(ValidationError):
            Settings()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    secret = "a-secret-of-32-characters-in-all"
    arguments: dict[str, object] = {
        "token": secret,
        "database_url": f"postgresql://u:{secret}@h/d",
        "config_folder": tmp_path,
    }
    assert secret not in repr(Settings.model_validate(arguments))
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(arguments | {"token": "short!", "database_url": f"mysql://u:{secret}@h/d"})
    assert "short!" not in str(caught.value)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "allow", "expected"),
    [
        ("127.0.0.1", None, True),
        ("127.1.2.3", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("::", None, False),
        ("example.org", None, False),
        ("0.0.0.0", True, True),
        ("127.0.0.1", False, False),
    ],
)
def test_the_local_token_works_on_loopback_or_where_it_is_allowed(
    tmp_path: Path, host: str, allow: bool | None, expected: bool
) -> None:
    settings = Settings(config_folder=tmp_path, host=host, allow_local_token=allow)
    assert settings.local_token_allowed is expected


def test_the_written_reference_agrees_with_the_settings() -> None:
    assert (PROJECT / EXAMPLE_FILE).read_text() == example_toml(), "run python -m golem_server.settings_reference"
    assert (PROJECT / TABLE_FILE).read_text() == table_markdown(), "run python -m golem_server.settings_reference"


def test_the_example_with_every_default_taken_in_gives_the_defaults(tmp_path: Path) -> None:
    uncommented = [
        line.removeprefix("# ")
        for line in example_toml().splitlines()
        if (" = " in line and "(no default)" not in line) or line.startswith("[")
    ]
    text = "\n".join(uncommented)
    assert len(tomllib.loads(text)) > 5
    assert Settings(config_folder=configuration(tmp_path / "config", all=text)) == Settings(
        config_folder=tmp_path / "config"
    )


def test_every_setting_has_a_meaning() -> None:
    missing = [setting.name for group in groups() for setting in group.settings if not setting.description]
    assert not missing


@given(st.integers(min_value=0, max_value=10**10))
def test_durations_survive_being_written_and_read(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(render_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "ten", "-1s", "1 parsec", "1s2"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
