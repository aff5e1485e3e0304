"""The built wheel, installed into a fresh environment, works from an empty folder and is never written to.

What belongs here: what only an installation shows. What does not: what the commands do, which `tests/cli` asks.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from decimal import Decimal
from pathlib import Path

import pytest

from onelens_claude import __version__
from onelens_claude.fake_api import create_app, running_server
from onelens_claude.paths import PROJECT_ROOT
from tests.organizations import KEY, NOW, ask_truth, organization, write_settings_file

DAY = "2026-11-18"
TOTAL = "select sum(amount_cents) from marts.fct_claude_costs"


def contents(folder: Path) -> dict[str, str]:
    """Return every file below a folder, with its digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it; return the environment, which sees the dependencies of this one."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT_ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True, capture_output=True)
    # A folder named in a .pth file is searched last, and its own .pth files, such as the checkout's, are not followed.
    (site_packages(environment) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (environment / "bin" / "dbt").symlink_to(Path(sys.executable).with_name("dbt"))
    return environment


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def run(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": os.defpath,
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "ONELENS_NOW": NOW,
        "ACME_KEY": KEY,
    }
    command = [str(environment / "bin" / "onelens-claude"), *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_an_installed_package_loads_and_answers_from_an_empty_folder_and_stays_as_it_was(
    installed: Path, tmp_path: Path
) -> None:
    package = site_packages(installed) / "onelens_claude"
    before = contents(package)
    assert run(installed, tmp_path, "--version").stdout == f"onelens-claude {__version__}\n"
    with running_server(create_app([organization()])) as server:
        acme = {"id": "acme", "api_key_env": "ACME_KEY", "base_url": server.base_url}
        write_settings_file(tmp_path / "onelens.yaml", [acme])
        for path in [package, *package.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        loaded = run(installed, tmp_path, "backfill", "--from", DAY, "--to", DAY)
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        true = Decimal(ask_truth(server.base_url, KEY, "days", **{"from": DAY, "to": DAY})["rows"][0]["amount"])
    answer = run(installed, tmp_path, "query", "--csv", TOTAL)
    assert answer.returncode == 0, answer.stderr
    assert Decimal(answer.stdout.splitlines()[1]) == true
    assert (tmp_path / "cache" / "onelens-claude" / __version__ / "dbt" / "manifest.json").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"onelens.yaml", "data", ".dagster", "cache", "home"}
    assert contents(package) == before


def test_an_installed_package_without_settings_names_the_example_it_brings(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, tmp_path, "status")
    assert answer.returncode == 2
    assert str(tmp_path / "onelens.yaml") in answer.stderr
    example = site_packages(installed) / "onelens_claude" / "_project" / "onelens.example.yaml"
    assert f"Copy {example} to onelens.yaml" in answer.stderr
    assert example.read_bytes() == (PROJECT_ROOT / "onelens.example.yaml").read_bytes()


def test_the_package_brings_every_file_of_the_dbt_project_that_git_knows(installed: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "dbt_project"], cwd=PROJECT_ROOT, capture_output=True, check=True)
    project = site_packages(installed) / "onelens_claude" / "_project"
    brought = {f"dbt_project/{name}" for name in contents(project / "dbt_project")}
    assert brought == set(listed.stdout.decode().split())
