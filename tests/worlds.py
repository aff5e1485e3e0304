"""A whole installation in a folder: servers, settings, keys, warehouse, DAGSTER_HOME.

What belongs here: how a test lands days or says what a person would type, and reads what came of it. Nothing is
replaced: commands run `onelens_claude.cli.main`, over HTTP, DuckDB, dbt and a Dagster instance on disk. What does not:
how an organisation is specified (`organizations.py`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import requests

from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.cli import main
from onelens_claude.fake_api import OrganizationSpec, RunningServer, create_app, running_server
from onelens_claude.ledger.held import current_days
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import Settings, load_settings
from onelens_claude.warehouse.settings_tables import store_settings
from tests.organizations import ask_truth, write_settings_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onelens_claude.api.client import AnalyticsClient
    from onelens_claude.api.endpoints import Endpoint
    from onelens_claude.landing.work import DayOutcome

COMMAND = Path(sys.executable).with_name("onelens-claude")
FACTS_ONLY = (sys.executable, "-m", "tests.facts_only")
"""The same command, but it builds only the two facts."""


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


@dataclass
class World:
    """One installation; `now` is its clock and the servers', unless the test's own process has one."""

    folder: Path
    now: dt.datetime | None = None
    servers: dict[str, RunningServer] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "onelens.yaml"

    @property
    def warehouse(self) -> Path:
        return self.folder / "data" / "onelens.duckdb"

    @property
    def serving(self) -> Path:
        return self.folder / "data" / "onelens_serving.duckdb"

    def variables(self) -> dict[str, str]:
        keys = {f"{name.upper()}_KEY": key for name, key in self.keys.items()}
        clock = {"ONELENS_NOW": self.now.isoformat()} if self.now else {}
        return {
            "ONELENS_CONFIG": str(self.config),
            "DAGSTER_HOME": str(self.folder / "home"),
            **clock,
            **keys,
            **self.environment,
        }

    def write_settings(self, **sections: Any) -> None:
        organizations = [
            {
                "id": name,
                "api_key_env": f"{name.upper()}_KEY",
                "base_url": server.base_url,
                "plan": self.spec(name).plan,
            }
            for name, server in self.servers.items()
        ]
        write_settings_file(self.config, organizations, **sections)

    @cached_property
    def settings(self) -> Settings:
        """What the settings file said when a test first asked; a test may put others in its place."""
        with process_environment(self.variables()):
            return load_settings()

    @property
    def onelens(self) -> Onelens:
        return Onelens(self.settings)

    @property
    def server(self) -> RunningServer:
        """The only server."""
        (server,) = {id(one): one for one in self.servers.values()}.values()
        return server

    def spec(self, name: str) -> OrganizationSpec:
        tenants = self.servers[name].api.tenants
        return next(one.organization.spec for one in tenants if self.keys[name] in one.known_keys)

    def run(self, *arguments: str) -> Answer:
        """Do what `onelens-claude ...` does, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with process_environment(self.variables()), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            exit_code = run_main(arguments)
        return Answer(exit_code, out.getvalue(), err.getvalue())

    def good(self, *arguments: str) -> Answer:
        answer = self.run(*arguments)
        assert answer.exit_code == 0, f"{arguments}: exit {answer.exit_code}\n{answer.text}"
        return answer

    def start(
        self, *arguments: str, command: Sequence[str] = (str(COMMAND),), output: Any = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start the installed command, or another, as a process of its own, the first of its group."""
        return subprocess.Popen(
            [*command, *arguments],
            cwd=PROJECT_ROOT,
            env={**os.environ, **self.variables()},
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )

    def rows(self, sql: str, *parameters: Any, path: Path | None = None) -> list[dict[str, Any]]:
        """Ask the serving copy, or another database file."""
        with contextlib.closing(duckdb.connect(str(path or self.serving), read_only=True)) as connection:
            result = connection.execute(sql, list(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def client(self, name: str = "acme") -> AnalyticsClient:
        return self.onelens.client(self.settings.organization(name))

    def land(
        self, endpoint: str | Endpoint, first: str, last: str | None = None, organizations: tuple[str, ...] = ("acme",)
    ) -> list[DayOutcome]:
        """Land both days and everything between, without the command line."""
        endpoint = ENDPOINTS[endpoint] if isinstance(endpoint, str) else endpoint
        wanted = dict.fromkeys(organizations, days(first, last or first))
        return self.onelens.landing(endpoint.name).land(endpoint, wanted, run_id="run")

    def store_settings(self) -> None:
        """Write the tables of the settings, as every job does before it builds."""
        with self.onelens.warehouse().writer() as connection:
            store_settings(connection, self.settings)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the working file."""
        with duckdb.connect(str(self.settings.warehouse_path)) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def amount(self, endpoint: str = "user_cost_report", where: str = "true") -> Decimal:
        """Add up the amounts of every day's newest complete pull, in cents."""
        return self.query(
            f"""select coalesce(sum(amount::decimal(38, 12)), 0)
            from claude_raw.{endpoint}_rows
            join (select organization_id, activity_date, pull_id from ({current_days()}) where endpoint = '{endpoint}')
                using (organization_id, activity_date, pull_id)
            where {where}"""
        )[0][0]

    def truth(
        self, name: str, topic: str, first: str | None = None, last: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """Ask the server of an organisation for its own exact totals, of the days from `first` to `last`."""
        asked = {"from": first, "to": last, **parameters}
        wanted = {word: value for word, value in asked.items() if value is not None}
        return ask_truth(self.servers[name].base_url, self.keys[name], topic, **wanted)

    def true_amount(self, first: str, last: str, name: str = "acme", column: str = "user_amount") -> Decimal:
        return sum((Decimal(row[column]) for row in self.truth(name, "days", first, last)["rows"]), Decimal(0))

    def requests(self, ending: str = "") -> list[str]:
        """Return path and query of what the only server was asked, oldest first."""
        asked = [f"{one.path}?{one.query}" for one in self.server.api.log]
        return [one for one in asked if one.split("?")[0].endswith(ending)]

    def control(self, name: str, topic: str, **body: Any) -> None:
        answer = requests.post(
            f"{self.servers[name].base_url}/control/{topic}",
            json=body,
            headers={"x-api-key": self.keys[name]},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with process_environment(self.variables()):
            prepare_home()
            with dg.DagsterInstance.get() as instance:
                yield instance


@contextlib.contextmanager
def serving_world(folder: Path, now: str, *served: Mapping[str, OrganizationSpec], **options: Any) -> Iterator[World]:
    """Start one server per mapping of organisation id to specification, and write the settings that name them."""
    world = World(folder, dt.datetime.fromisoformat(now))
    with contextlib.ExitStack() as running:
        for specs in served:
            app = create_app(list(specs.values()), now=lambda: world.now, **{"requests_per_minute": None, **options})
            server = running.enter_context(running_server(app))
            world.servers |= dict.fromkeys(specs, server)
            world.keys |= {name: spec.api_key for name, spec in specs.items()}
        world.write_settings()
        yield world


def small_pages(endpoint: str, page_size: int = 5) -> Endpoint:
    """Return an endpoint that is asked in pages of so few rows that a small organisation fills several."""
    return replace(ENDPOINTS[endpoint], page_size=page_size)


def days(first: str, last: str) -> list[dt.date]:
    """Return every day from `first` to `last`, both inclusive."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]


@contextlib.contextmanager
def process_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables and put everything back afterwards, also what the code inside set."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_main(arguments: Sequence[str]) -> int:
    """Call the console script's function with these arguments; return the exit code."""
    before = sys.argv
    sys.argv = ["onelens-claude", *arguments]
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    finally:
        sys.argv = before
    return 0


def processes_of(world: World) -> list[str]:
    """Return the command lines of all processes that work for this installation."""
    mark = f"ONELENS_CONFIG={world.config}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark not in (process / "environ").read_bytes().split(b"\0"):
                continue
            if command := (process / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                found.append(command)
    return found


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder in memory where there is one: Dagster's event log waits for the disk at every event."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    outer = Path(tempfile.mkdtemp(prefix="onelens-test-", dir=parent))
    folder = outer / "Zoë's 50 %20 #1 [x]*"  # a path is data
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(outer, ignore_errors=True)
