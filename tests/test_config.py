"""The configuration: defaults, mistakes, and names that nobody knows."""

import pytest

from ratel.config import Configuration, ConfigurationInvalid, read_configuration


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Configuration.model_fields:
        monkeypatch.delenv(f"RATEL_{name.upper()}", raising=False)
    monkeypatch.delenv("RATEL_TEST_DATABASE_URL", raising=False)


def test_nothing_needs_to_be_said() -> None:
    configuration = read_configuration()
    assert (configuration.listen, configuration.metrics_listen) == ("127.0.0.1:7070", "127.0.0.1:9464")
    assert configuration.database_url == ""


def test_what_is_said_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATEL_LISTEN", "[::]:0")
    monkeypatch.setenv("RATEL_METRICS_LISTEN", "")
    monkeypatch.setenv("RATEL_CALLS_MAX", "3")
    configuration = read_configuration()
    assert (configuration.listen, configuration.metrics_listen, configuration.calls_max) == ("[::]:0", "", 3)


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATEL_LISTN", "127.0.0.1:7070")
    monkeypatch.setenv("RATEL_LISTEN", "7070")
    monkeypatch.setenv("RATEL_CALLS_MAX", "0")
    monkeypatch.setenv("RATEL_LOG_LEVEL", "LOUD")
    with pytest.raises(ConfigurationInvalid) as caught:
        read_configuration()
    named = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(named) == ["RATEL_CALLS_MAX", "RATEL_LISTEN", "RATEL_LISTN", "RATEL_LOG_LEVEL"]


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATEL_DATABASE_URL", "postgresql://ratel:secret@db.example/ratel")
    assert "secret" not in repr(read_configuration())
