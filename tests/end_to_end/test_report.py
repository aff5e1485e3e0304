"""The page in a real browser: every figure beside its SQL, every filter, every theme and width.

What belongs here: what only a browser shows. What does not: the file itself (`tests/report`).
"""

from __future__ import annotations

import re
import shutil
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.worlds import World

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRAWN = "body[data-drawn]"
CENT = Decimal("0.01")


def amount(text: str) -> Decimal | None:
    """Return the amount that a cell or a card shows; null for a dash."""
    text = text.replace("$", "").replace(",", "").replace("\u2212", "-").replace("+", "")
    return None if text == "\u2013" else Decimal(text)


def to_the_cent(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(CENT, ROUND_HALF_UP)


@pytest.fixture(scope="module")
def written(loaded: World) -> Path:
    """Write the page as a person would; the newest day is that of the `daily`."""
    out = loaded.folder / "page" / "report.html"
    loaded.good("report", "--out", str(out), "--csv", str(out.parent / "csv"))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("THE PAGE IS NOT TESTED: there is no Chromium; `apt-get install chromium` brings one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, written: Path) -> Iterator[Callable[..., Page]]:
    """Open the page with filters and a look; afterwards nothing may have been asked for, and no error been said."""
    said: list[str] = []
    pages: list[Page] = []

    def open_page(filters: str = "", **look: Any) -> Page:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **look})
        page.set_default_timeout(20_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(f"{written.as_uri()}#{filters}")
        page.wait_for_selector(_DRAWN)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert said == []


def cards(page: Page) -> dict[str, str]:
    return {
        one.get_attribute("data-card"): one.locator(".value").inner_text() for one in page.locator("[data-card]").all()
    }


def table(page: Page, name: str, which: str = "") -> list[dict[str, str]]:
    """Return every row of a table, by the words of its header; a person's address is beside the name."""
    panel = page.locator(f'[data-panel="{name}"]')
    if (button := panel.get_by_role("button", name="Show all", exact=True)).count():
        button.click()
    return panel.locator(f'[data-table="{which or name}"]').evaluate(
        """table => {
            const names = [...table.querySelectorAll("thead button")].map((one) => one.textContent);
            return [...table.querySelectorAll("tbody tr")].map((row) => Object.fromEntries(
                [...row.children].map((cell, n) => [names[n], cell.innerText.trim()])));
        }"""
    )


def panels(page: Page) -> dict[str, str]:
    """Return what each panel says; a drawing follows the same rows."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-panel]")].map((panel) =>
            [panel.dataset.panel, [...panel.querySelectorAll(".lead, .note, .tables, .legend")].map((one) =>
                one.innerText).join("\\n")]))"""
    )


def follows(page: Page) -> dict[str, set[str]]:
    found = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-panel]")].map((panel) =>
            [panel.dataset.panel, panel.dataset.filters.split(" ")]))"""
    )
    return {panel: set(names) for panel, names in found.items()}


def choose(page: Page, name: str, value: str) -> None:
    """Set a filter as a person does, and wait until everything is drawn."""
    if name in {"from", "to"}:
        page.locator(f"#{name}").fill(value)
        page.locator(f"#{name}").dispatch_event("change")
    else:
        page.locator(f"#{name}").select_option(label=value)
    page.wait_for_selector(_DRAWN)


@pytest.mark.parametrize("organization", [None, "acme"])
def test_every_card_is_its_sql_to_the_cent(
    loaded: World, opened: Callable[..., Page], organization: str | None
) -> None:
    where = f"organization_id = '{organization}'" if organization else "true"
    shown = cards(opened(f"organization={organization}" if organization else ""))
    (month,) = loaded.rows(
        f"""with newest as (select max(activity_date) as day from marts.cost_reconciliation)
        select max(activity_date) as last, sum(amount_usd) as usd from marts.fct_claude_costs, newest
        where {where} and activity_date between date_trunc('month', day) and day"""
    )
    assert amount(shown["Month to date"]) == to_the_cent(month["usd"])

    start = month["last"].replace(day=1)
    (budget,) = loaded.rows(
        f"""select sum(limit_usd) as limit_usd, sum(spent_usd) as spent_usd from marts.budget_status
        where {where} and budget_id = 'month' and period_start = '{start}'"""
    )
    percent = (100 * budget["spent_usd"] / budget["limit_usd"]).quantize(Decimal("0.1"), ROUND_HALF_UP)
    assert shown["Budget used"] == f"{percent:,} %"

    forecasts = loaded.rows(
        f"""select forecast_usd from marts.spend_forecast where {where} and scope = 'organization' and month = '{start}'
        qualify forecast_date = max(forecast_date) over (partition by organization_id)"""
    )
    expected = (
        None if None in [one["forecast_usd"] for one in forecasts] else sum(one["forecast_usd"] for one in forecasts)
    )
    if forecasts and expected is not None:
        assert amount(shown["Forecast for the month"]) == to_the_cent(expected)
    else:
        assert shown["Forecast for the month"] == "No forecast"

    (compared,) = loaded.rows(
        f"""with known as (
            select organization_id, activity_date from marts.cost_reconciliation
            where {where} and finality <> 'incomplete' and activity_date <= '{month["last"]}'
        ),

        pairs as (
            select now.organization_id, now.activity_date as now_date, before.activity_date as before_date
            from known as now
            join known as before on now.organization_id = before.organization_id
                and before.activity_date = now.activity_date - interval 1 month
                and day(before.activity_date) = day(now.activity_date)
            where now.activity_date >= '{start}'
        )

        select sum(amount_usd) filter (activity_date = now_date) as current_usd,
            sum(amount_usd) filter (activity_date = before_date) as previous_usd
        from pairs join marts.fct_claude_costs using (organization_id)
        where activity_date in (now_date, before_date)"""
    )
    change = 100 * (compared["current_usd"] - compared["previous_usd"]) / compared["previous_usd"]
    assert amount(shown["Against the month before"].removesuffix(" %")) == change.quantize(
        Decimal("0.1"), ROUND_HALF_UP
    )

    (people,) = loaded.rows(
        f"""select sum(people)::bigint as people from (
            select arg_max(monthly_active_user_count, activity_date) as people from marts.org_daily_adoption
            where {where} group by organization_id)"""
    )
    assert shown["Active people"] == str(people["people"])

    (incidents,) = loaded.rows(
        f"""select count(distinct incident_id) as open from marts.cost_anomalies where {where} and status = 'open'"""
    )
    assert shown["Open anomalies"] == str(incidents["open"])

    (economics,) = loaded.rows(
        f"""select sum(total_cost_usd) as usd, sum(known_active_user_count)::bigint as people
        from marts.org_monthly_unit_economics where {where} and month = '{start}' and known_active_user_count > 0"""
    )
    assert amount(shown["Cost per active person"]) == to_the_cent(economics["usd"] / economics["people"])


RANGE = "from=2026-10-20&to=2026-11-12"
DAYS = "activity_date between '2026-10-20' and '2026-11-12'"


def test_every_table_of_spend_is_its_sql_to_the_cent(loaded: World, opened: Callable[..., Page]) -> None:
    page = opened(RANGE)
    for name, column in (("products", "product"), ("models", "model")):
        rows = table(page, name)
        amounts = [amount(row["Spend (USD)"]) for row in rows]
        expected = loaded.rows(
            f"""select sum(amount_usd) as usd from marts.fct_claude_costs where {DAYS}
            group by {column}, is_placed order by usd desc"""
        )
        total = sum(row["usd"] for row in expected)
        assert [one for one in amounts if one] == [
            to_the_cent(row["usd"]) for row in expected if to_the_cent(row["usd"])
        ]
        top = (100 * expected[0]["usd"] / total).quantize(Decimal("0.1"), ROUND_HALF_UP)
        assert rows[0]["Share"] == f"{top} %"

    shown = table(page, "spenders")
    expected = loaded.rows(
        f"""with lines as (
            select organization_id, user_id, activity_date, amount_usd, list_amount_usd, 0 as tokens
            from marts.fct_claude_costs where {DAYS}
            union all
            select organization_id, user_id, activity_date, 0, 0, total_tokens from marts.fct_claude_usage where {DAYS}
        )

        select organizations.name as organization, coalesce(users.name, users.email, lines.user_id, 'No user account') as who,
            sum(amount_usd) as paid, sum(list_amount_usd) as list, count(distinct activity_date) as days
        from lines
        join marts.dim_claude_organizations as organizations using (organization_id)
        left join marts.dim_claude_users as users using (organization_id, user_id)
        group by organizations.name, lines.organization_id, lines.user_id, who
        order by paid desc"""
    )
    assert len(shown) == len(expected) > 50
    key = ("Organisation", "Paid (USD)", "List price (USD)")
    assert sorted(tuple(row[name] for name in key) for row in shown) == sorted(
        (row["organization"], f"${to_the_cent(row['paid']):,}", f"${to_the_cent(row['list']):,}") for row in expected
    )
    top = next(row for row in expected if row["who"] != "No user account")
    first = next(row for row in shown if row["Active days"] != "\u2013")
    assert first["Person"].splitlines()[0] == top["who"]
    assert int(first["Active days"]) == top["days"]
    assert amount(first["Per active day (USD)"]) == to_the_cent(top["paid"] / top["days"])

    lead = page.locator('[data-panel="ownerless"] .lead').inner_text()
    (nobody,) = loaded.rows(
        f"select sum(amount_usd) as usd from marts.fct_claude_costs where {DAYS} and user_id is null"
    )
    assert amount(lead.split(" ")[0]) == to_the_cent(nobody["usd"])


def test_every_table_of_a_mart_has_its_rows_and_amounts(loaded: World, opened: Callable[..., Page]) -> None:
    page = opened(RANGE)
    checks = (
        ("completeness", "Total (USD)", f"select total_cents * 0.01 as usd from marts.cost_reconciliation where {DAYS}"),
        ("revisions", "Change (USD)",
         f"select change_usd as usd from marts.cost_revisions where {DAYS} and revision_number > 1 and change_usd <> 0"),
        ("anomalies", "Above usual (USD)", f"""select impact_usd as usd from marts.cost_anomalies where {DAYS}
            qualify row_number() over (
                partition by incident_id order by activity_date desc, impact_usd desc nulls last
            ) = 1"""),
        ("budgets", "Spent (USD)", """select spent_usd as usd from marts.budget_status
            where period_start <= '2026-11-12' and period_end >= '2026-11-12'"""),
        ("skills", "List price (USD)", """select sum(attributed_list_price_usd) as usd from marts.skill_daily_usage
            where activity_date >= '2026-10-01' and activity_date < '2026-12-01'
            group by organization_id, skill_name, month(activity_date)"""),
    )  # fmt: skip
    for name, column, sql in checks:
        panel = "unusual" if name == "anomalies" else name
        shown = [amount(row[column]) for row in table(page, panel)]
        expected = [to_the_cent(row["usd"]) for row in loaded.rows(sql)]
        assert expected, name
        assert sorted(map(str, shown)) == sorted(map(str, expected)), name
    for name, column, mart in (
        ("projects", "message_count", "project_daily_adoption"), ("connectors", "call_count", "connector_daily_usage")
    ):  # fmt: skip
        header = {"projects": "Messages", "connectors": "Calls"}[name]
        (expected_sum,) = loaded.rows(
            f"select sum({column})::bigint as n from marts.{mart} where activity_date < '2026-12-01'"
        )
        assert sum(int(row[header].replace(",", "")) for row in table(page, name)) == expected_sum["n"]


def test_each_filter_changes_what_names_it_and_nothing_else(loaded: World, opened: Callable[..., Page]) -> None:
    page = opened(RANGE)
    acting = follows(page)
    who = loaded.rows(
        f"""select name from marts.user_daily_spend join marts.dim_claude_users using (organization_id, user_id)
        where {DAYS} and organization_id = 'acme' and name is not null group by all order by sum(amount_usd) desc limit 1"""
    )[0]["name"]
    (acme,) = (row["name"] for row in loaded.rows("from marts.dim_claude_organizations where organization_id = 'acme'"))
    label = page.locator("#person option").filter(has_text=who).first.inner_text()
    changes = {
        "organization": (acme, {"daily", "spenders", "month", "people", "completeness"}),
        "person": (label, {"daily", "spenders", "month", "products"}),
        "product": ("Chat", {"daily", "spenders", "month", "ownerless", "tokens"}),
        "model": ("claude-sonnet-4-6", {"daily", "spenders", "month", "tokens", "cache"}),
        "from": ("2026-11-01", {"daily", "spenders", "completeness", "unusual"}),
        "to": ("2026-10-31", {"daily", "month", "spenders", "budgets"}),
        "split": ("Model", {"daily"}),
    }
    for name, (value, surely) in changes.items():
        before, address = panels(page), page.url
        choose(page, name, value)
        changed = {panel for panel, text in panels(page).items() if text != before[panel]}
        names = {name, "dates"} if name in {"from", "to"} else {name}
        named = {panel for panel, filters in acting.items() if filters & names}
        assert surely <= changed <= named, name
        assert page.url != address
        page.go_back()
        page.wait_for_selector(_DRAWN)
        assert panels(page) == before, name
        assert page.url == address


def test_a_person_and_an_address_with_filters_show_what_sql_says(loaded: World, opened: Callable[..., Page]) -> None:
    (top,) = loaded.rows(
        f"""select user_id, sum(amount_usd) as usd from marts.fct_claude_costs
        where {DAYS} and organization_id = 'acme' and product = 'claude_code' and user_id is not null
        group by all order by usd desc limit 1"""
    )
    page = opened(f"organization=acme&person={top['user_id']}&product=claude_code&{RANGE}&split=model")
    assert amount(
        re.findall(r"\$[\d,.]+\d", page.locator('[data-panel="daily"] .lead').inner_text())[0]
    ) == to_the_cent(top["usd"])
    details = page.locator('[data-panel="daily"] details')
    details.locator("summary").click()
    days = loaded.rows(
        f"""select activity_date, model, sum(amount_usd) as usd from marts.fct_claude_costs
        where {DAYS} and user_id = '{top["user_id"]}' and product = 'claude_code' group by all"""
    )
    shown = [amount(row["Spend (USD)"]) for row in table(page, "daily", "daily-chart")]
    assert sorted(one for one in shown if one) == sorted(filter(None, (to_the_cent(row["usd"]) for row in days)))
    with page.expect_download() as download:
        page.locator('[data-panel="spenders"] .csv').click()
    text = download.value.path().read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("Person,")
    assert f"{top['usd']:f}".rstrip("0") in text


@pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
        {"color_scheme": "dark", "viewport": {"width": 1920, "height": 1080}},
    ],
    ids=["light", "dark", "phone", "projector"],
)
def test_every_look_is_accessible_and_fits(opened: Callable[..., Page], look: dict[str, Any]) -> None:
    page = opened("split=person", **look)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.querySelectorAll('.chart:not([hidden]) svg').length") >= 6
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(16, 20, 26)") == (look["color_scheme"] == "dark")
    page.locator("#theme").click()
    page.wait_for_selector(_DRAWN)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background


def test_a_printed_page_cuts_no_table(opened: Callable[..., Page]) -> None:
    page = opened(RANGE, viewport={"width": 688, "height": 1000})  # A4 less its margins
    page.emulate_media(media="print")
    cut = """[...document.querySelectorAll('table')].filter((table) => table.offsetWidth > table.parentElement.offsetWidth)
        .map((table) => table.closest('[data-panel]').dataset.panel)"""
    assert page.evaluate(cut) == []


def test_the_page_is_driven_by_keys_and_a_filter_is_drawn_at_once(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("#product").focus()
    took = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_selector(_DRAWN)
        took.append(int(page.locator("body").get_attribute("data-drawn")))
    assert "product=" in page.url
    assert min(took) < 300, took
    page.locator('[data-panel="spenders"] [data-key="who"]').focus()
    page.keyboard.press("Enter")
    names = [row["Person"].splitlines()[0] for row in table(page, "spenders")]
    assert names == sorted(names, key=str.lower)
    assert page.locator('[data-panel="spenders"] th[aria-sort="ascending"]').count() == 1


def test_the_page_is_served_to_this_machine_only_until_it_is_stopped(loaded: World, written: Path) -> None:
    process = loaded.start("report", "--out", str(written), "--serve")
    try:
        line = next(line for line in process.stderr if "Serving" in line)
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        assert requests.get(address, timeout=20).content == written.read_bytes()
        assert requests.get(address, headers={"Host": "elsewhere.example"}, timeout=20).status_code == 403
        assert requests.get(f"{address}etc/passwd", timeout=20).status_code == 404
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 143


def test_the_built_page_is_beside_the_warehouse_after_every_publication(loaded: World) -> None:
    page = loaded.warehouse.parent / "site" / "report.html"
    assert page.stat().st_mtime >= loaded.serving.stat().st_mtime
