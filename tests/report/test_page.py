"""The page as a file, without a browser: what it carries, whom it names, what it allows itself, how large it is."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import hashlib
import html
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.errors import SettingsError, WarehouseError
from onelens_claude.report.page import ReportError, default_path, unpacked, write_page
from onelens_claude.report.pictures import write_pictures
from onelens_claude.report.sheets import write_sheets
from tests.report.made_up import settings_for, write_many, write_marts

if TYPE_CHECKING:
    from pathlib import Path

    from onelens_claude.settings import Settings

DAY = dt.date(2026, 11, 18)
SCRIPT = "</script><script>document.title='taken'</script>"
BIDI = "Ada \u202egnp.exe"
FORMULA = '=HYPERLINK("http://x","y")'
PEOPLE = (
    ("user_1", "ada@acme.example.com", f"Ada {SCRIPT}"),
    ("user_2", "ben.o'hara@acme.example.com", BIDI),
    ("user_3", None, FORMULA),
    ("cleo@acme.example.com", None, None),
)


def hostile(path: Path) -> None:
    """Write marts whose names try to be obeyed, and whose texts name people."""
    write_marts(
        path,
        {
            "dim_claude_organizations": [("acme", f"Acme {SCRIPT}", "usage", DAY, DAY, None)],
            "dim_claude_users": [("acme", *person, False) for person in PEOPLE],
            "fct_claude_costs": [
                ("acme", DAY, person[0], "user", "chat", "claude-opus-4-7", True, Decimal(100 * n), Decimal(110 * n))
                for n, person in enumerate(PEOPLE, start=1)
            ],
            "cost_reconciliation": [("acme", DAY, Decimal(1000), "exact", "final")],
            "project_daily_adoption": [("acme", DAY, "p1", "Plan of Cleo Vance", 1, 2, 3)],
            "budget_status": [
                ("acme", "each", "user", "cleo@acme.example.com", "monthly", DAY.replace(day=1), DAY.replace(day=30),
                 Decimal(1), Decimal(4), Decimal(400), "exceeded", 0, 0)
            ],
            "spend_changes": [("acme", DAY.replace(day=1), "same_days", DAY, DAY)],
            "spend_change_drivers": [
                ("acme", DAY.replace(day=1), product, "claude-opus-4-7", Decimal(3), Decimal(5), Decimal("2.5"),
                 Decimal("-0.5"), *[Decimal(0)] * 8)
                for product in ("chat", "cowork")
            ],
            "savings_opportunities": [
                ("acme", DAY.replace(day=1), "fast_mode", "user", "user_1", Decimal(9), Decimal(4),
                 "Nobody waited for the answers", "ada@acme.example.com used 3 models"),
                ("acme", DAY.replace(day=1), "idle_seat", "organization", "acme", None, Decimal(40), "Seats", "2 idle"),
            ],
            "cost_anomalies": [
                ("acme", DAY, "user", "user_1", "amount_usd", "spike", Decimal(9), "open", "i1",
                 "ada@acme.example.com spent $9; most of it with ben.o'hara@acme.example.com"),
                ("acme", DAY, "organization", "acme", "amount_usd", "spike", Decimal(9), "open", "i2",
                 f"Acme spent $9; $8 of it is Ada {SCRIPT}"),
            ],
        },
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = settings_for(tmp_path / "here")
    hostile(found.serving_path)
    return found


def test_the_page_is_written_beside_the_warehouse_and_carries_every_amount_exactly(settings: Settings) -> None:
    page = write_page(settings)
    assert page == default_path(settings) == settings.warehouse_path.parent / "site" / "report.html"
    spend = unpacked(page.read_text(encoding="utf-8"))["spend"]
    for lines in (spend["by_day"], spend["by_person"]):
        assert sum(lines["paid"]) + Decimal(sum(lines["paid_rest"])).scaleb(-8) == 10_000_000
        assert sum(lines["list"]) == 11_000_000


@pytest.mark.parametrize("cents", ["0.000000000001", "-33.333333333333", "99999999999.999999999999", "0"])
def test_an_amount_of_any_size_keeps_its_last_digit(tmp_path: Path, cents: str) -> None:
    settings = settings_for(tmp_path)
    line = ("acme", DAY, "user_1", "user", "chat", "m", True, Decimal(cents), Decimal(cents))
    write_marts(
        settings.serving_path,
        {"dim_claude_organizations": [("acme", "Acme", "usage", DAY, DAY, None)], "fct_claude_costs": [line]},
    )
    (sheet,) = [one for one in write_sheets(settings, tmp_path / "csv") if one.name == "spend_by_person.csv"]
    (row,) = csv.DictReader(sheet.read_text(encoding="utf-8").splitlines())
    assert Decimal(row["paid_usd"]) == Decimal(cents).scaleb(-2)
    lines = unpacked(write_page(settings).read_text(encoding="utf-8"))["spend"]["by_day"]
    assert Decimal(lines["paid"][0]).scaleb(-6) + Decimal(lines["paid_rest"][0]).scaleb(-14) == Decimal(row["paid_usd"])


def test_cost_of_erased_people_is_a_line_of_its_own(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    lines = [
        ("acme", DAY, None, attribution, "chat", "m", True, Decimal(cents), Decimal(cents))
        for attribution, cents in (("erased", 3), ("unattributed", 5))
    ]
    write_marts(
        settings.serving_path,
        {"dim_claude_organizations": [("acme", "Acme", "usage", DAY, DAY, None)], "fct_claude_costs": lines},
    )
    (sheet,) = [one for one in write_sheets(settings, tmp_path / "csv") if one.name == "spend_by_person.csv"]
    rows = csv.DictReader(sheet.read_text(encoding="utf-8").splitlines())
    assert {row["person"]: Decimal(row["paid_usd"]) for row in rows} == {
        "Erased people": Decimal("0.03"),
        "No user account": Decimal("0.05"),
    }


def test_teams_are_shown_where_there_is_a_map(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    month = DAY.replace(day=1)
    rows = [
        ("acme", month, "Lab", "4100", Decimal(3), Decimal(4), 5, 2, "final"),
        ("acme", month, "(unmapped)", None, Decimal(1), Decimal(1), 1, 1, "final"),
        ("globex", month, "(unmapped)", None, Decimal(9), Decimal(9), 9, 9, "final"),
    ]
    organizations = [(one, one.title(), "usage", DAY, DAY, None) for one in ("acme", "globex")]
    write_marts(settings.serving_path, {"dim_claude_organizations": organizations, "team_monthly_chargeback": rows})
    shown = unpacked(write_page(settings).read_text(encoding="utf-8"))["tables"]["teams"]["rows"]
    assert [(one["organization_id"], one["team"], one["cost_center"]) for one in shown] == [
        ("acme", "Lab", "4100"),
        ("acme", "(unmapped)", None),
    ]


def test_names_that_would_be_obeyed_are_only_text(settings: Settings, tmp_path: Path) -> None:
    text = write_page(settings).read_text(encoding="utf-8")
    assert SCRIPT not in text
    assert html.escape(f"Acme {SCRIPT}") in text
    assert text.count("<script") == text.count("</script") == 3  # data, library, and what shows them
    labels = unpacked(text)["spend"]["people"]["label"]
    assert f"Ada {SCRIPT}" in labels
    assert r"Ada \u202egnp.exe" in labels
    sheet = tmp_path / "csv" / "spend_by_person.csv"
    assert sheet in write_sheets(settings, tmp_path / "csv")
    assert "'=HYPERLINK" in sheet.read_text(encoding="utf-8")


def test_a_redacted_page_has_no_address_and_no_name_in_its_bytes_nor_in_its_csv(
    settings: Settings, tmp_path: Path
) -> None:
    page = write_page(settings, is_redacted=True)
    text = page.read_text(encoding="utf-8")
    told = [re.sub(r'(octet-stream" id="\w+">)[^<]*', r"\1", text), str(unpacked(text))]
    told += [path.read_text(encoding="utf-8") for path in write_sheets(settings, tmp_path, is_redacted=True)]
    assert len(told) > 5
    for secret in ("@acme.example.com", "Ada", "Cleo", "o'hara", "HYPERLINK", "gnp.exe", "user_1"):
        assert [one[:40] for one in told if secret in one] == []
    content = unpacked(text)
    assert content["spend"]["people"]["label"][0] == "Person 1"
    assert [one["about"] for one in content["tables"]["budgets"]["rows"]] == ["Person 1"]
    reasons = [one["reason"] for one in content["tables"]["anomalies"]["rows"]]
    assert "Person 4 spent $9; most of it with (name)" in reasons
    assert [one["about"] for one in content["tables"]["savings"]["rows"]] == ["the whole organisation", "Person 4"]


def test_the_page_allows_only_its_own_two_scripts_and_no_evaluation_of_text(settings: Settings) -> None:
    text = write_page(settings).read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert not {"connect-src", "frame-src", "font-src", "object-src"} & rules.keys()
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    assert rules["script-src"].split() == [
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in (script, unpacked(text, "library"))
    ]
    assert not re.findall(r"""(?:src|href)=["']?(?!data:)[^"'>\s]+""", text.partition("<script")[0])


def test_the_pages_of_a_thousand_people_over_a_year_and_of_more_stay_small(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    write_many(settings.serving_path, people=1000, days=365)
    page = write_page(settings)
    assert page.stat().st_size < 3_000_000
    with duckdb.connect(str(settings.serving_path), read_only=True) as connection:
        (cents,) = connection.execute("select sum(amount_cents) from marts.fct_claude_costs").fetchone() or ()
    spend = unpacked(page.read_text(encoding="utf-8"))["spend"]
    for lines in (spend["by_day"], spend["by_person"]):
        total = Decimal(sum(lines["paid"])).scaleb(-4) + Decimal(sum(lines["paid_rest"])).scaleb(-12)
        assert total == cents
    assert len(spend["people"]["label"]) == 1000
    assert spend["months_before"] <= "2026-10-01"  # this month and the one before are there by day

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelens_claude.report.spend.MOST_PEOPLE", 999)  # as if there were ten thousand
        spend = unpacked(write_page(settings).read_text(encoding="utf-8"))["spend"]
    assert (len(spend["people"]["label"]), spend["people"]["label"][-1]) == (501, "500 other people")
    total = Decimal(sum(spend["by_person"]["paid"])).scaleb(-4)
    assert total + Decimal(sum(spend["by_person"]["paid_rest"])).scaleb(-12) == cents


def test_the_main_charts_are_files_that_any_program_shows(settings: Settings, tmp_path: Path) -> None:
    paths = write_pictures(settings, tmp_path / "pictures", organization_id="acme")
    assert [path.name for path in paths] == ["month.png", "month.svg", "daily.png", "daily.svg"]
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n" if path.suffix == ".png" else b"<svg")
        assert SCRIPT.encode() not in content
    assert "$10.00 from 1 to 18 Nov 2026." in paths[1].read_text(encoding="utf-8")
    assert write_pictures(settings, tmp_path, organization_id="nobody") == []


def test_a_mart_that_an_older_warehouse_lacks_is_said_on_the_page(settings: Settings) -> None:
    tables = unpacked(write_page(settings).read_text(encoding="utf-8"))["tables"]
    assert tables["adoption"] == {"missing": "marts.org_daily_adoption", "rows": []}
    assert "missing" not in tables["budgets"]


def test_a_warehouse_without_marts_and_an_unknown_organisation_are_one_clear_sentence(
    settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="no organisation 'acne'; they have acme"):
        write_page(settings, organization_id="acne")
    empty = settings_for(tmp_path / "empty")
    with pytest.raises(WarehouseError, match="no serving copy yet"):
        write_page(empty)
    empty.serving_path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect(str(empty.serving_path)).close()
    with pytest.raises(WarehouseError, match="marts are not built"):
        write_page(empty)


def test_a_page_that_cannot_be_written_leaves_the_old_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_page(settings)
    before = page.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", str(page))

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(ReportError, match=r"report\.html: cannot be written: No space left"):
        write_page(settings, is_redacted=True)
    assert page.read_bytes() == before
    assert [one.name for one in page.parent.iterdir()] == ["report.html"]


def test_a_logo_of_the_settings_is_in_the_page_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, report={"logo": "logo.svg"})
    hostile(settings.serving_path)
    with pytest.raises(SettingsError, match=r"onelens\.yaml: report\.logo: .*logo\.svg: cannot be read"):
        write_page(settings)
    (tmp_path / "logo.svg").write_text("<svg/>")
    assert f'src="data:image/svg+xml;base64,{base64.b64encode(b"<svg/>").decode()}"' in write_page(settings).read_text()
    with pytest.raises(SettingsError, match="is no picture"):
        write_page(settings_for(tmp_path, report={"logo": "logo.pdf"}))
