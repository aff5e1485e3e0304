"""onelens.yaml is refused with file, key and reason when it is wrong; no key is ever shown."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.errors import SettingsError
from onelens_claude.paths import EXAMPLE_SETTINGS, PROJECT_ROOT
from onelens_claude.settings import config_path, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "sk-ant-api01-very-secret"
GOOD = "organizations:\n  - id: acme\n    api_key_env: ACME_KEY\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("ACME_KEY", KEY)
    monkeypatch.setenv("ONELENS_CONFIG", str(tmp_path / "onelens.yaml"))

    def write_and_load(text: str):
        (tmp_path / "onelens.yaml").write_text(text)
        return load_settings()

    return write_and_load


@pytest.fixture
def refusal(load: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def reason(text: str) -> str:
        with pytest.raises(SettingsError) as refused:
            load(text)
        message = str(refused.value)
        assert all(line.startswith(f"{tmp_path / 'onelens.yaml'}: ") for line in message.splitlines()), message
        assert KEY not in message
        assert refused.value.__cause__ is None
        return message.replace(f"{tmp_path / 'onelens.yaml'}: ", "")

    return reason


def test_everything_but_the_organisations_has_a_default(load, tmp_path):
    settings = load(GOOD)
    (acme,) = settings.organizations
    assert (acme.id, acme.display_name, acme.plan, acme.base_url) == (
        "acme",
        "acme",
        "usage",
        "https://api.anthropic.com",
    )
    assert acme.backfill_start == dt.date(2026, 1, 1)
    assert acme.api_key() == KEY
    assert settings.warehouse_path == tmp_path / "data/onelens.duckdb"
    assert settings.serving_path == tmp_path / "data/onelens_serving.duckdb"
    assert (settings.polling.requests_per_minute, settings.polling.revision_days) == (60, 30)


def test_every_documented_key_is_accepted(load):
    settings = load(
        """
warehouse: {path: /tmp/a.duckdb, serving_path: /tmp/b.duckdb}
organizations:
  - {id: acme, name: Acme Corp, api_key_env: ACME_KEY, base_url: "http://127.0.0.1:8000/", plan: seat, backfill_start: 2026-03-01}
polling: {requests_per_minute: 30, revision_days: 14}
retention: {months: 12}
budgets:
  - {id: acme-org, organization: acme, scope: organization, value: null, period: monthly, limit_usd: "25000.10", warn_percent: [100, 50], forecast: true}
  - {id: each-user, organization: '*', scope: user, value: '*', monthly_usd: 300}
anomalies: {holidays: [2026-12-25, 2027-01-01]}
alerts: []
privacy: {emails: drop, pseudonym_key_env: OTHER_KEY}
"""
    )
    assert settings.anomalies.holidays == (dt.date(2026, 12, 25), dt.date(2027, 1, 1))
    assert [one.forecast for one in settings.budgets] == [True, False]
    assert [(one.limit, one.warn_percent, one.period) for one in settings.budgets] == [
        (Decimal("25000.10"), (50, 100), "monthly"),
        (Decimal(300), (50, 80, 100), "monthly"),
    ]
    assert settings.organizations[0].base_url == "http://127.0.0.1:8000"
    assert settings.organizations[0].backfill_start == dt.date(2026, 3, 1)


def test_the_example_file_is_accepted_as_it_stands(monkeypatch, tmp_path):
    for line in EXAMPLE_SETTINGS.read_text().splitlines():
        name, _, value = line.strip().removeprefix("- ").partition(":")
        if name == "api_key_env":
            monkeypatch.setenv(value.split("#")[0].strip(), KEY)
    assert load_settings(EXAMPLE_SETTINGS).organizations


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD + "polling: {requests_per_minut: 5}\n", "polling.requests_per_minut: unknown key"),
        (GOOD + "pollin: {}\n", "pollin: unknown key"),
        (GOOD + "    plann: seat\n", "organizations.acme.plann: unknown key"),
        (GOOD + "    plan: enterprise\n", "organizations.acme.plan: Input should be 'usage' or 'seat'"),
        (GOOD + "polling: {requests_per_minute: '60'}\n", "polling.requests_per_minute: Input should be a valid integer"),
        (GOOD + "polling: {requests_per_minute: 0}\n", "polling.requests_per_minute: Input should be greater than or equal to 1"),
        (GOOD + "polling: {requests_per_minute: true}\n", "polling.requests_per_minute: Input should be a valid integer"),
        (GOOD + "    backfill_start: 2025-12-31\n", "organizations.acme.backfill_start: 2025-12-31 is before 2026-01-01, the first day for which the API has data"),
        (GOOD + "    backfill_start: soon\n", "organizations.acme.backfill_start: Input should be a valid date"),
        (GOOD + "    base_url: http://api.anthropic.com\n", "organizations.acme.base_url: must be https (http is accepted for loopback addresses only)"),
        (GOOD + "    base_url: ftp://example.com\n", "organizations.acme.base_url: 'ftp://example.com' is not an http(s) address"),
        (GOOD + "    base_url: https://user:word@example.com\n", "organizations.acme.base_url: must be scheme, host and port only"),
        (GOOD + "    api_key_file: /tmp/x\n", "organizations.acme: give exactly one of api_key_env, api_key_file and api_key_command"),
        ("organizations:\n  - id: acme\n", "organizations.acme: give exactly one of api_key_env, api_key_file and api_key_command"),
        ("organizations:\n  - api_key_env: ACME_KEY\n", "organizations.[0].id: required, but not given"),
        ("organizations: []\n", "organizations: is empty; at least one is needed"),
        ("polling: {}\n", "organizations: required, but not given"),
        (GOOD + "  - id: acme\n    api_key_env: ACME_KEY\n", "organizations: id acme is given twice"),
        (GOOD.replace("acme", "Acme Corp"), "organizations.Acme Corp.id: String should match pattern"),
        (GOOD + "polling: {attempts: 2}\npolling: {attempts: 3}\n", "is not valid YAML: line 5: key 'polling' is given twice"),
        ("organizations: [\n", "is not valid YAML: line 2: "),
        ("a: \x00\n", "is not valid YAML: it contains characters that YAML forbids"),
        ("? [a]\n: b\n", "is not valid YAML: line 1: found unhashable key"),
        (GOOD.replace("ACME_KEY", KEY), "organizations.acme.api_key_env: must be the name of an environment variable, not the secret itself"),
        ("just text\n", "contains no settings. Copy onelens.example.yaml"),
        ("", "contains no settings. Copy onelens.example.yaml"),
        (GOOD + "source: /etc\n", "source: unknown key"),
        (GOOD + "privacy: {emails: hidden}\n", "privacy.emails: Input should be 'clear', 'pseudonym' or 'drop'"),
        (GOOD + "privacy: {emails: pseudonym}\n", "privacy.pseudonym_key_env: environment variable ONELENS_PSEUDONYM_KEY is not set"),
        (GOOD + "privacy: {emails: drop}\nbudgets: [{id: b, organization: acme, scope: user, value: a@x.example, limit_usd: 1}]\n", "budgets.b.value: privacy.emails is drop, so no address is kept that this could match; give the user id"),
        (GOOD + "retention: {months: -1}\n", "retention.months: Input should be greater than or equal to 0"),
        (GOOD.replace("ACME_KEY", "NO_SUCH_KEY"), "organizations.acme.api_key_env: environment variable NO_SUCH_KEY is not set or empty"),
        (GOOD + "warehouse: {path: data/one.duckdb, serving_path: data/../data/one.duckdb}\n", "warehouse.serving_path: must differ from warehouse.path"),
        (GOOD + "warehouse: {path: w.duckdb, serving_path: w.duckdb.wal}\n", "w.duckdb.wal is a name that is kept for what belongs to "),
        (GOOD + "warehouse: {path: s.duckdb.new, serving_path: s.duckdb}\n", "warehouse.path: "),
        (GOOD + "warehouse: {path: w.duckdb, serving_path: 'copies?/s.duckdb'}\n", "has a `?`, after which DuckDB reads options"),
        ("a: " + "[" * 5_000, "is nested too deeply to be a settings file"),
        (GOOD + "#" * 1_000_000, "is too large; a settings file has 1,000,000 bytes at most"),
        (GOOD + "    backfill_start: 2026-02-30\n", "line 4: there is no such date or number"),
        (GOOD + "polling: {requests_per_minute: " + "9" * 5_000 + "}\n", "there is no such date or number"),
        (GOOD + 'warehouse: {path: "a\\0b"}\n', "warehouse.path: has a NUL character, which no path can have"),
        (GOOD + "warehouse: {serving_path: ~nobody-here/s.duckdb}\n", "warehouse.serving_path: ~nobody-here/s.duckdb: its `~` names a user"),
        (GOOD + "warehouse: {path: /}\n", "warehouse.path: '/' names no file"),
        (GOOD + "warehouse: {path: w.duckdb, serving_path: w.duckdb.compact.wal}\n", "is a name that is kept for what belongs to "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_file_key_and_reason(refusal, text, reason):
    assert reason in refusal(text)


def _budget(**changed: str) -> str:
    """Return settings with one budget in YAML, of which some values are others, and none where they are empty."""
    keys = {"id": "b", "organization": "acme", "limit_usd": "'1'"} | changed
    return GOOD + "budgets:\n  - {" + ", ".join(f"{key}: {value}" for key, value in keys.items() if value) + "}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_budget(organization="acne"), "budgets.b.organization: no organisation 'acne'; known organisations: acme; '*' is each one"),
        (_budget(organization=""), "budgets.b.organization: required, but not given"),
        (_budget(warn_percent="[1001]"), "budgets.b.warn_percent.0: Input should be less than or equal to 1000"),
        (_budget(warn_percent="[50, 0]"), "budgets.b.warn_percent.1: Input should be greater than 0"),
        (_budget(warn_percent="[80, 80]"), "budgets.b.warn_percent: a percent is given twice"),
        (_budget(warn_percent="[99.5]"), "budgets.b.warn_percent.0: Input should be a valid integer"),
        (_budget() + _budget().splitlines()[-1] + "\n", "budgets: id b is given twice"),
        (_budget(limit_usd="25000.0"), "budgets.b.limit_usd: is a float, and money is exact; write it in quotes"),
        (_budget(limit_usd="", monthly_usd="0.1"), "budgets.b.monthly_usd: is a float, and money is exact"),
        (_budget(limit_usd="true"), "budgets.b.limit_usd: must be an amount in US dollars in quotes"),
        (_budget(limit_usd="'1e3'"), "budgets.b.limit_usd: '1e3' is not an amount above 0 in US dollars and whole cents"),
        (_budget(limit_usd="'0.00'"), "budgets.b.limit_usd: '0.00' is not an amount above 0"),
        (_budget(limit_usd="-5"), "budgets.b.limit_usd: -5 is not an amount above 0"),
        (_budget(limit_usd="'1.001'"), "budgets.b.limit_usd: '1.001' is not an amount above 0 in US dollars and whole cents"),
        (_budget(limit_usd=""), "budgets.b: give exactly one of limit_usd and monthly_usd"),
        (_budget(monthly_usd="1"), "budgets.b: give exactly one of limit_usd and monthly_usd"),
        (_budget(limit_usd="", monthly_usd="1", period="daily"), "budgets.b: monthly_usd does not go with period daily; use limit_usd"),
        (_budget(period="yearly"), "budgets.b.period: Input should be 'monthly', 'weekly' or 'daily'"),
        (_budget(scope="provider", value="x"), "budgets.b.scope: provider is not part of this version; use one of organization, user, product, model, team"),
        (_budget(scope="team", value="x"), "budgets.b.value: no row of `teams` names a team 'x'; known teams: none"),
        (_budget(scope="user"), "budgets.b: scope user needs a value; '*' is each one"),
        (_budget(value="acme"), "budgets.b: scope organization takes no value"),
        (_budget(forecast="true", period="weekly"), "budgets.b: forecast does not go with period weekly; what is forecast is a month"),
        (_budget(forecast="'yes'"), "budgets.b.forecast: Input should be a valid boolean"),
        (_budget(limits_usd="1"), "budgets.b.limits_usd: unknown key"),
        (_budget(id="'a b'"), "budgets.a b.id: String should match pattern"),
        (GOOD + "budgets: [7]\n", "budgets.[0]: "),
    ],
)  # fmt: skip
def test_a_wrong_budget_is_refused_with_file_key_and_reason(refusal, text, reason):
    assert reason in refusal(text)


def test_several_mistakes_are_told_at_once(refusal):
    lines = refusal(GOOD + "polling: {a: 1, b: 2}\n").splitlines()
    assert lines == ["polling.a: unknown key", "polling.b: unknown key"]


def test_without_a_file_the_message_says_how_to_start(monkeypatch, tmp_path):
    monkeypatch.setenv("ONELENS_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match=r"no settings file at .*none\.yaml.*onelens\.example\.yaml.*make demo"):
        load_settings()


def test_a_folder_in_the_place_of_the_file_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("ONELENS_CONFIG", str(tmp_path))
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings()


def test_encryption_is_refused_rather_than_ignored(load, monkeypatch):
    monkeypatch.setenv("ONELENS_ENCRYPTION_KEY", "x")
    with pytest.raises(SettingsError, match="ONELENS_ENCRYPTION_KEY"):
        load(GOOD)


def test_a_rotated_key_is_read_anew(load, monkeypatch, tmp_path):
    path = _file(tmp_path, "old\n")
    organization = load(f"organizations:\n  - id: acme\n    api_key_file: {path}\n").organizations[0]
    assert organization.api_key() == "old"
    _file(tmp_path, "new\n")
    assert organization.api_key() == "new"


def _file(folder: Path, key: str) -> str:
    (folder / "key").write_text(key)
    return str(folder / "key")


@pytest.mark.parametrize("content", [f"{KEY} two", f"{KEY}\nline", f"{KEY}é"])
def test_a_key_with_characters_no_key_has_is_refused_without_showing_it(refusal, tmp_path, content):
    path = _file(tmp_path, content)
    message = refusal(f"organizations:\n  - id: acme\n    api_key_file: {path}\n")
    assert "organizations.acme.api_key_file" in message
    assert "secret" not in message


@pytest.mark.parametrize("variable", ["ONELENS_CONFIG", "ONELENS_WAREHOUSE", "ONELENS_SERVING"])
def test_a_path_that_no_file_can_have_names_its_variable(load, monkeypatch, variable):
    load(GOOD)
    monkeypatch.setenv(variable, "~nobody-here/file")
    with pytest.raises(
        SettingsError, match=rf"environment variable {variable}: ~nobody-here/file: its `~` names a user"
    ):
        load_settings()


def test_a_device_without_an_end_is_no_settings_file(monkeypatch):
    monkeypatch.setenv("ONELENS_CONFIG", "/dev/zero")
    with pytest.raises(SettingsError, match=r"^/dev/zero: is too large; "):
        load_settings()


def test_a_relative_key_file_starts_at_the_settings_file_like_every_path(load, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    _file(tmp_path, KEY)
    assert load("organizations:\n  - id: acme\n    api_key_file: key\n").organizations[0].api_key() == KEY


def test_a_key_file_that_is_not_there_is_refused(refusal, tmp_path):
    message = refusal(f"organizations:\n  - id: acme\n    api_key_file: {tmp_path}/none\n")
    assert "No such file or directory" in message


def test_the_environment_overrides_the_warehouse_paths(load, monkeypatch, tmp_path):
    monkeypatch.setenv("ONELENS_WAREHOUSE", str(tmp_path / "w.duckdb"))
    monkeypatch.setenv("ONELENS_SERVING", str(tmp_path / "s.duckdb"))
    settings = load(GOOD)
    assert (settings.warehouse_path, settings.serving_path) == (tmp_path / "w.duckdb", tmp_path / "s.duckdb")


def test_the_settings_never_hold_the_key(load):
    settings = load(GOOD)
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()


def test_an_unknown_organisation_is_refused_with_those_there_are(load):
    with pytest.raises(SettingsError, match="no organisation 'globex'; known organisations: acme"):
        load(GOOD).organization("globex")


def test_settings_are_looked_for_by_variable_then_in_the_current_folder_then_in_the_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert config_path() == PROJECT_ROOT / "onelens.yaml"
    (tmp_path / "onelens.yaml").touch()
    assert config_path() == tmp_path / "onelens.yaml"
    monkeypatch.setenv("ONELENS_CONFIG", "other.yaml")
    assert config_path() == tmp_path / "other.yaml"
