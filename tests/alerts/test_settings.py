"""`alerts` and `dagster_url` are refused with file, key and reason when they are wrong; no secret is ever shown."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from onelens_claude.errors import SettingsError
from onelens_claude.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = "organizations:\n  - id: acme\n    api_key_env: ACME_KEY\n"
SECRET = "https://hooks.example.com/s3cret"
MAIL = {
    "id": "mail",
    "kind": "email",
    "smtp": "{host: mail.example.com}",
    "from": "onelens@example.com",
    "to": "[finops@example.com]",
}
HOOK = {"id": "h", "kind": "webhook", "url_env": "HOOK_URL"}


def text(base: dict[str, str], **changed: str) -> str:
    """Return settings with one channel in YAML, of which some values are others, and none where they are empty."""
    keys = base | changed
    return GOOD + "alerts:\n  - {" + ", ".join(f"{key}: {value}" for key, value in keys.items() if value) + "}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    variables = {
        "ACME_KEY": "sk-ant-api01-x",
        "HOOK_URL": SECRET,
        "BAD_URL": "hooks.example.com/s3cret",
        "WORD": "s3cret",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "onelens.yaml"

    def write(content: str) -> Path:
        path.write_text(content)
        return path

    return write


def test_every_documented_key_is_accepted(file):
    settings = load_settings(
        file(
            GOOD
            + """
alerts:
  - id: finops-slack
    kind: slack_webhook
    url_env: HOOK_URL
    events: [budget, anomaly, data_quality, run_failure, key_rotation]
    organizations: ['*', acme]
    min_impact_usd: "12.50"
    quiet_hours: "20:00-07:00 Europe/Berlin"
  - {id: signed, kind: webhook, url_env: HOOK_URL, secret_env: WORD, quiet_hours: null}
  - id: mail
    kind: email
    smtp: {host: mail.example.com, port: 587, starttls: true, username_env: WORD, password_env: WORD}
    from: onelens@example.com
    to: [finops@example.com]
    events: [budget, anomaly]
  - {id: here, kind: log}
dagster_url: https://dagster.example.com/ui/
"""
        )
    )
    assert [(one.id, len(one.events), one.min_impact_usd) for one in settings.alerts] == [
        ("finops-slack", 5, Decimal("12.50")),
        ("signed", 5, Decimal(0)),
        ("mail", 2, Decimal(0)),
        ("here", 5, Decimal(0)),
    ]
    assert settings.dagster_url == "https://dagster.example.com/ui"
    assert settings.alerts_path.name == "onelens_alerts.duckdb"
    assert settings.alerts_path.parent == settings.warehouse_path.parent
    assert "s3cret" not in repr(settings)


def test_secrets_of_channels_are_needed_only_where_keys_are(file, monkeypatch):
    monkeypatch.delenv("HOOK_URL")
    path = file(text(HOOK))
    assert load_settings(path, needs_keys=False).alerts
    with pytest.raises(SettingsError, match=r"alerts\.h\.url_env: environment variable HOOK_URL is not set or empty"):
        load_settings(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (text(HOOK, url_env="BAD_URL"), "alerts.h.url_env: environment variable BAD_URL: the value is not an http(s) address"),
        (text(HOOK, url_env=SECRET), "alerts.h.url_env: must be the name of an environment variable, not the secret itself"),
        (text(HOOK, url_env="NO_SUCH"), "alerts.h.url_env: environment variable NO_SUCH is not set or empty"),
        (text(HOOK, secret_env="NO_SUCH"), "alerts.h.secret_env: environment variable NO_SUCH is not set or empty"),
        (text(HOOK, url_env=""), "alerts.h: kind webhook needs url_env"),
        (text(HOOK, to="[a@example.com]"), "alerts.h: kind webhook takes no to"),
        (text(HOOK, kind="slack_webhook", secret_env="WORD"), "alerts.h: kind slack_webhook takes no secret_env"),
        (text(HOOK, kind="pager"), "alerts.h.kind: Input should be 'slack_webhook', 'webhook', 'email' or 'log'"),
        (text(HOOK, events="[budgets]"), "alerts.h.events.0: Input should be 'budget', 'anomaly', 'data_quality', 'run_failure' or 'key_rotation'"),
        (text(HOOK, events="[]"), "alerts.h.events: is empty; at least one is needed"),
        (text(HOOK, organizations="[acne]"), "alerts.h.organizations: no organisation 'acne'; known organisations: acme; '*' is each one"),
        (text(HOOK, min_impact_usd="12.5"), "alerts.h.min_impact_usd: is a float, and money is exact"),
        (text(HOOK, min_impact_usd="'1e3'"), "alerts.h.min_impact_usd: '1e3' is not an amount in US dollars"),
        (text(HOOK, quiet_hours="'8pm-7am'"), "alerts.h.quiet_hours: '8pm-7am' is not a span such as '20:00-07:00 Europe/Berlin'"),
        (text(HOOK, quiet_hours="'24:00-07:00 UTC'"), "alerts.h.quiet_hours: '24:00-07:00 UTC' is not a span"),
        (text(HOOK, quiet_hours="'20:00-20:00 UTC'"), "alerts.h.quiet_hours: '20:00-20:00 UTC' begins when it ends"),
        (text(HOOK, quiet_hours="'20:00-07:00 Europe/Berlinn'"), "alerts.h.quiet_hours: there is no time zone 'Europe/Berlinn'"),
        (text(HOOK, quiet_hours="'20:00-07:00 ../../etc/passwd'"), "alerts.h.quiet_hours: there is no time zone"),
        (text(HOOK, id="'a b'"), "alerts.a b.id: String should match pattern"),
        (text(HOOK, urls="x"), "alerts.h.urls: unknown key"),
        (text(HOOK) + text(HOOK).splitlines()[-1] + "\n", "alerts: id h is given twice"),
        (text(MAIL, smtp=""), "alerts.mail: kind email needs smtp"),
        (text(MAIL, **{"from": "onelens"}), "alerts.mail.from: 'onelens' is not a mail address"),
        (text(MAIL, to="['a@example.com\\r\\nBcc: b']"), "alerts.mail.to: "),
        (text(MAIL, to='["a@example.com\\nBcc: b@example.com"]'), "is not a mail address"),
        (text(MAIL, smtp="{host: mail.example.com, username_env: WORD}"), "alerts.mail.smtp: give both of username_env and password_env, or neither"),
        (text(MAIL, smtp="{host: mail.example.com, starttls: false, username_env: WORD, password_env: WORD}"), "alerts.mail.smtp: a login needs starttls: true"),
        (text(MAIL, smtp="{host: mail.example.com, port: 0}"), "alerts.mail.smtp.port: Input should be greater than or equal to 1"),
        (text(MAIL, smtp="{host: mail.example.com, username_env: WORD, password_env: NO_SUCH}"), "alerts.mail.smtp.password_env: environment variable NO_SUCH is not set or empty"),
        (GOOD + "alerts: [7]\n", "alerts.[0]: "),
        (GOOD + "dagster_url: dagster.example.com\n", "dagster_url: 'dagster.example.com' is not an http(s) address"),
        (GOOD + "dagster_url: 'https://x.example.com/|<!here>'\n", "is not an http(s) address"),
        (GOOD + "dagster_url: https://x.example.com/?a=1\n", "dagster_url: must be scheme, host, port and path only"),
        (GOOD + "warehouse: {path: data/onelens_alerts.duckdb}\n", "is a name that is kept for the alert log"),
    ],
)  # fmt: skip
def test_a_wrong_channel_is_refused_with_file_key_and_reason(file, content, reason):
    path = file(content)
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    message = str(refused.value)
    assert reason in message
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://hooks.example.com/x", "must be https (http is accepted for loopback addresses only)"),
        ("https://me:s3cret@hooks.example.com/x", "must have no user name and no password"),
        ("https://hooks.example.com/a b", "the value has spaces or line breaks"),
        ("https://hooks.example.com:99999/x", "the value is not an http(s) address"),
        ("file:///etc/passwd", "the value is not an http(s) address"),
    ],
)
def test_an_address_that_no_alert_should_go_to_is_refused_without_showing_it(file, monkeypatch, address, reason):
    monkeypatch.setenv("HOOK_URL", address)
    with pytest.raises(SettingsError) as refused:
        load_settings(file(text(HOOK)))
    assert f"alerts.h.url_env: environment variable HOOK_URL: {reason}" in str(refused.value)
    assert address not in str(refused.value)
