"""The Dagster resource `duckdb`: the serving copy, read-only, for assets that only read marts.

What is here: dagster-duckdb's resource, pointed at the serving copy. What to add here: another way for assets to read.
What must not go here: writing; whoever writes the warehouse goes through `Onelens.warehouse()` and its lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from onelens_claude.settings import load_settings
from onelens_claude.warehouse.files import open_serving_copy

DUCKDB_RESOURCE = "duckdb"


class ServingCopyResource(DuckDBResource):
    """An asset that takes `duckdb: DuckDBResource` reads the copy as it was published last."""

    database: str = Field(default="", description="Serving copy; empty: the settings' `warehouse.serving_path`.")

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a read-only connection. Raises SettingsError, and WarehouseError where there is no copy."""
        path = Path(self.database) if self.database else load_settings(needs_keys=False).serving_path
        with open_serving_copy(path) as connection:
            yield connection
