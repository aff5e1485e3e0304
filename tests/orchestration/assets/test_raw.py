"""The raw assets: what a run leaves in Dagster for days that load, that are not there yet, and that fail."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from onelens_claude.definitions import build_defs
from onelens_claude.fake_api import Fault, Revision
from onelens_claude.orchestration.assets.raw import IngestConfig, settings_tables
from onelens_claude.orchestration.jobs import raw_config
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.settings.budgets import Budget
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = "2026-11-18"


class Run:
    """One execution of `ingest_job` over some endpoints and days."""

    def __init__(self, result: dg.ExecuteInProcessResult) -> None:
        self.result = result
        self.success = result.success

    def days(self, endpoint: str) -> dict[str, dict[str, Any]]:
        """Return the materialised days with their metadata."""
        return {
            event.partition: {name: value.value for name, value in event.materialization.metadata.items()}
            for event in self.result.get_asset_materialization_events()
            if event.asset_key.path[-1] == endpoint
        }

    def observations(self) -> dict[str, str | None]:
        return {
            event.asset_observation_data.asset_observation.partition: event.asset_observation_data.asset_observation.description
            for event in self.result.get_asset_observation_events()
        }

    def check(self, endpoint: str, name: str) -> dg.AssetCheckEvaluation:
        (found,) = [
            one
            for one in self.result.get_asset_check_evaluations()
            if (one.asset_key.path[-1], one.check_name) == (endpoint, name)
        ]
        return found

    @property
    def failure(self) -> str:
        (event,) = self.result.get_step_failure_events()
        return event.step_failure_data.user_failure_data.description


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def ingest(make_world: Callable[..., Any], instance: dg.DagsterInstance) -> Callable[..., Run]:
    """Run the job on a make_world, for some endpoints and days."""

    def run(here: Any, endpoints: str, first: str, last: str | None = None, **config: Any) -> Run:
        names = endpoints.split()
        job = build_defs(resource_overrides={"onelens": here.onelens}).resolve_job_def("ingest_job")
        result = job.execute_in_process(
            instance=instance,
            run_config=raw_config(IngestConfig(**config), names),
            asset_selection=[dg.AssetKey(["claude_raw", name]) for name in names],
            tags=range_tags(dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)),
            raise_on_error=False,
        )
        return Run(result)

    return run


def test_a_range_is_one_run_with_one_materialisation_and_its_own_figures_per_day(make_world, ingest):
    here = make_world()
    run = ingest(here, "user_cost_report", "2026-11-16", DAY)
    days = run.days("user_cost_report")
    assert sorted(days) == ["2026-11-16", "2026-11-17", "2026-11-18"]
    true = {row["day"]: row for row in here.truth("acme", "days", "2026-11-16", DAY)["rows"]}
    for day, metadata in days.items():
        assert Decimal(metadata["amount_cents"]) == Decimal(true[day]["user_amount"])
        rows = here.query("select count(*) from claude_raw.user_cost_report_rows where activity_date = ?", day)
        assert metadata["rows"] == str(rows[0][0])
        assert metadata["organizations"] == f"acme: {metadata['rows']} rows"
        assert metadata["pages"] == "1"
        assert int(metadata["bytes"]) > 1000
        assert metadata["data_refreshed_at"] == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC).timestamp()
    assert len({metadata["amount_cents"] for metadata in days.values()}) == 3
    assert len(here.query("from claude_raw.pulls")) == 1
    assert not run.observations()


def test_an_endpoint_without_money_has_no_amount(make_world, ingest):
    assert "amount_cents" not in ingest(make_world(), "users", DAY).days("users")[DAY]


def test_a_day_that_is_not_there_yet_is_an_observation_with_the_apis_reason_and_no_failure(make_world, ingest):
    here = make_world({"acme": organization(engagement_lag_days=3)})
    run = ingest(here, "users", "2026-11-16", "2026-11-19")
    assert run.success
    assert sorted(run.days("users")) == ["2026-11-16", "2026-11-17"]
    reasons = run.observations()
    assert sorted(reasons) == ["2026-11-18", "2026-11-19"]
    assert all("2026-11-17" in reason and "available" in reason for reason in reasons.values())
    check = run.check("users", "every_organization_is_complete")
    assert check.passed
    assert "late" in check.description


def test_a_run_whose_only_day_is_not_there_yet_marks_no_partition_and_lets_the_next_step_run(make_world, instance):
    """Pins the one private constant of Dagster that is used: an output without a materialisation of its own."""
    here = make_world({"acme": organization(engagement_lag_days=3)})
    defs = build_defs(resource_overrides={"onelens": here.onelens})
    ran = []

    @dg.asset(deps=[dg.AssetKey(["claude_raw", "users"])])
    def after() -> None:
        ran.append(True)

    assets = [one for one in defs.assets if isinstance(one, dg.AssetsDefinition)]
    users = next(one for one in assets if one.key.path[-1:] == ["users"])
    result = dg.materialize(
        [users, after],
        instance=instance,
        partition_key="2026-11-19",
        resources={"onelens": here.onelens},
        selection=[users, after],
    )
    assert result.success
    assert ran
    assert [event.asset_key.path for event in result.get_asset_materialization_events()] == [["after"]]
    assert len(result.get_asset_observation_events()) == 1


def test_one_organisation_that_fails_holds_up_neither_the_others_day_nor_the_run(make_world, ingest):
    here = make_world({"acme": organization(), "beta": organization("sk-ant-api01-beta", seed=2)})
    beta = here.server.api.tenants[1].organization.organization_id
    here.server.api.faults.add(Fault("forbidden", organization=beta, times=None))
    run = ingest(here, "user_cost_report", DAY)
    assert run.success
    metadata = run.days("user_cost_report")[DAY]
    assert Decimal(metadata["amount_cents"]) == here.true_amount(DAY, DAY)
    assert "beta: failed (beta: user_cost_report 2026-11-18: 403 permission_error" in metadata["organizations"]
    check = run.check("user_cost_report", "every_organization_is_complete")
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert "beta: forbidden" in check.description
    table = {record.data["organization"]: record.data for record in check.metadata["organizations"].records}
    assert table["acme"]["missing"] == "2026-11-19 (1 day)"
    assert "permission_error" in table["beta"]["reason"]


def test_a_day_that_failed_for_everybody_fails_the_step_with_each_organisations_first_reason(make_world, ingest):
    here = make_world({"acme": organization(), "beta": organization("sk-ant-api01-beta", seed=2)})
    here.server.api.faults.add(Fault("error_500", times=None))
    run = ingest(here, "cost_report", DAY)
    assert not run.success
    assert run.failure.splitlines()[0].startswith("1 days did not load: acme: cost_report 2026-11-18: 500 api_error")
    assert run.failure.splitlines()[1].startswith("1 days did not load: beta: ")
    assert not run.days("cost_report")
    assert "500" in run.observations()[DAY]


def test_days_that_loaded_are_materialised_also_where_another_day_of_the_run_failed(make_world, ingest):
    here = make_world()
    here.server.api.faults.add(Fault("error_500", endpoint="users", day=dt.date(2026, 11, 17), times=None))
    run = ingest(here, "users", "2026-11-16", DAY)
    assert not run.success
    assert "users 2026-11-17" in run.failure
    assert sorted(run.days("users")) == ["2026-11-16", "2026-11-18"]
    assert sorted(run.observations()) == ["2026-11-17"]


def test_daily_leaves_a_day_that_failed_for_everybody_to_the_check(make_world, ingest):
    here = make_world()
    here.server.api.faults.add(Fault("error_500", times=None))
    run = ingest(here, "cost_report", DAY, raise_failures=False)
    assert run.success
    assert not run.days("cost_report")
    assert not run.check("cost_report", "every_organization_is_complete").passed


def test_an_unreachable_host_fails_the_step_with_its_address(make_world, ingest, write_settings):
    here = make_world()
    here.settings = write_settings({"acme": ("key", "http://127.0.0.1:9")}, polling={"attempts": 1})
    run = ingest(here, "summaries", DAY)
    assert not run.success
    assert "http://127.0.0.1:9" in run.failure
    assert "Check base_url" in run.failure


def test_the_run_configuration_restricts_the_organisations(make_world, ingest):
    here = make_world({"acme": organization(), "beta": organization("sk-ant-api01-beta", seed=2)})
    run = ingest(here, "users summaries", DAY, organizations=["beta"])
    assert run.success
    assert here.query("select distinct organization_id from claude_raw.pulls") == [("beta",)]
    assert "never pulled" in run.check("users", "every_organization_is_complete").description


def test_the_log_says_how_far_the_run_is_and_how_long_it_will_take(make_world, ingest, capfd):
    ingest(make_world(), "users", "2026-11-01", "2026-11-19")
    told = re.findall(r"users: (\d+) of 19 pulls, about \d+ minutes left", capfd.readouterr().err)
    assert 5 <= len(told) <= 11
    assert told[-1] == "19"


def test_only_due_days_are_pulled_where_the_run_says_so(make_world, ingest):
    here = make_world()
    ingest(here, "users", "2026-11-17", "2026-11-18")
    asked = len(here.requests("users"))
    run = ingest(here, "users", "2026-11-17", "2026-11-19", only_due=True)
    assert sorted(run.days("users")) == ["2026-11-19"]
    assert len(here.requests("users")) == asked + 1


def test_days_pulled_since_a_moment_are_left_out(make_world, ingest, set_now):
    here = make_world()
    ingest(here, "users", "2026-11-17", "2026-11-18")
    set_now("2026-11-20T13:00:00Z")
    since = {"skip_pulled_since": "2026-11-20T12:00:00+00:00"}
    assert sorted(ingest(here, "users", "2026-11-17", "2026-11-19", **since).days("users")) == ["2026-11-19"]
    later = {"skip_pulled_since": "2026-11-20T12:30:00+00:00"}
    assert sorted(ingest(here, "users", "2026-11-17", "2026-11-19", **later).days("users")) == [
        "2026-11-17",
        "2026-11-18",
    ]


def test_a_day_whose_users_cost_more_than_the_total_is_pulled_again_once_and_then_right(make_world, ingest):
    """The day grows between the two answers: the first pull of the users is newer than that of the total."""
    here = make_world()
    ingest(here, "cost_report", DAY)
    here.server.api.tenants[0].organization.add_revision(Revision(dt.date.fromisoformat(DAY), "up", percent=400))
    before = len(here.requests("cost_report"))
    run = ingest(here, "user_cost_report", DAY)
    assert run.success
    again = [path.split("?")[0].rsplit("/", 1)[1] for path in here.requests("cost_report")[before:]]
    assert again == ["user_cost_report", "user_cost_report", "cost_report", "cost_report"]
    assert here.amount("user_cost_report") == here.true_amount(DAY, DAY)
    assert here.amount("cost_report", "query = 'total'") == here.true_amount(DAY, DAY, column="amount")
    assert Decimal(run.days("user_cost_report")[DAY]["amount_cents"]) == here.true_amount(DAY, DAY)


def test_a_day_that_stays_overdrawn_is_pulled_again_only_once(make_world, ingest):
    here = make_world()
    here.server.api.faults.add(Fault("bad_amount", endpoint="cost_report", value="1", times=None))
    ingest(here, "cost_report", DAY)
    before = len(here.requests("user_cost_report"))
    run = ingest(here, "user_cost_report", DAY)
    assert run.success
    assert len(here.requests("user_cost_report")) == before + 2


def test_a_new_field_is_reported_once_as_a_warning_and_kept(make_world, ingest):
    here = make_world()
    here.server.api.faults.add(Fault("extra_field", endpoint="users", times=None))
    first = ingest(here, "users", "2026-11-17")
    check = first.check("users", "no_new_fields")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description.startswith("New fields, kept in the raw pages")
    assert first.success
    second = ingest(here, "users", "2026-11-18")
    assert second.check("users", "no_new_fields").passed
    assert second.check("users", "no_new_fields").metadata["known_since"].value


def test_an_endpoint_that_is_switched_off_asks_nothing_and_holds_up_nothing(make_world, ingest):
    here = make_world()
    run = ingest(here, "plugins", DAY)
    assert run.success
    assert not run.days("plugins")
    assert not here.requests("plugins")
    assert run.check("plugins", "every_organization_is_complete").passed


def test_a_range_loaded_alone_needs_no_settings_tables_which_the_build_that_follows_writes(
    make_world, ingest, instance
):
    here = make_world()
    run = ingest(here, "summaries", "2026-11-16", DAY)
    assert run.success
    assert len(run.days("summaries")) == 3
    written = "select organization_id, plan from claude_raw.organizations"
    assert here.query(written) == []
    assert dg.materialize([settings_tables], resources={"onelens": here.onelens}, instance=instance).success
    assert here.query(written) == [("acme", "usage")]


def test_the_organisations_and_budgets_of_the_settings_are_written_without_a_pull(make_world, instance):
    here = make_world()
    old, changed = (
        {"id": "old", "organization": "*", "limit_usd": "0.10"},
        {"id": "b", "organization": "acme", "scope": "user", "value": "*", "monthly_usd": "25000.01", "warn_percent": [80, 50], "forecast": True},
    )  # fmt: skip
    for configured in ([old, {"id": "b", "organization": "acme", "limit_usd": 5}], [changed]):
        budgets = [Budget.model_validate(one) for one in configured]
        ids = sorted(one.id for one in budgets)
        here.settings = here.settings.model_copy(update={"budgets": tuple(budgets)})
        result = dg.materialize([settings_tables], resources={"onelens": here.onelens}, instance=instance)
        assert result.success
        assert [one for (one,) in here.query("select budget_id from claude_raw.budgets order by 1")] == ids
    assert here.query("select organization_id from claude_raw.organizations") == [("acme",)]
    assert here.query("from claude_raw.budgets") == [
        ("b", "acme", "user", "*", "monthly", Decimal("25000.01"), [50, 80], True, None)
    ]  # fmt: skip
    assert here.requests() == []
