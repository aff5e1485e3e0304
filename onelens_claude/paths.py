"""Where the project's own files are: in a checkout at its root, in an installed package inside it.

What is here: the dbt project, the Dagster files and the example settings, and where to keep what is made from them.
What to add here: a file that the package must bring along (`pyproject.toml` puts it into the wheel).
What must not go here: paths that the settings name, and writing: an installation is never written to.
"""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from onelens_claude import __version__

_PACKAGE = Path(__file__).resolve().parent
_BUNDLED = _PACKAGE / "_project"
IS_CHECKOUT = not _BUNDLED.is_dir()
PROJECT_ROOT = _PACKAGE.parent if IS_CHECKOUT else _BUNDLED
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
EXAMPLE_SETTINGS = PROJECT_ROOT / "onelens.example.yaml"
EXAMPLE_QUERIES = PROJECT_ROOT / "docs" / "queries.md"


def working_folder() -> Path:
    """Return the folder for the demo and the default settings: the checkout, or the current folder."""
    return PROJECT_ROOT if IS_CHECKOUT else Path.cwd()


def dbt_target() -> Path:
    """Return the folder for what dbt parsed: in the checkout, or in the user's cache, one per version."""
    return DBT_PROJECT / "target" if IS_CHECKOUT else user_cache_path("onelens-claude") / __version__ / "dbt"


def command(name: str) -> str:
    """Return what to type for a command of ours: in a checkout, make has a target for it."""
    return f"make {name}" if IS_CHECKOUT else f"onelens-claude {name}"
