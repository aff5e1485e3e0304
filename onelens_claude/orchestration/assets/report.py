"""The page that people look at, made anew after each publication.

A page that cannot be written never fails a load: it is a warning of the run and part of this asset's metadata.

What is here: the one asset. What to add here: metadata of the page.
What must not go here: what is on the page (`onelens_claude/report`), serving it (`orchestration/webserver.py`).
"""

import dagster as dg

from onelens_claude.orchestration.assets.raw import OWNER
from onelens_claude.orchestration.assets.serving import SERVING_KEY
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.report.page import write_page

REPORT_KEY = dg.AssetKey(["serving", "report"])
REPORT_PATH = "/report.html"
"""Where `onelens-claude dev` serves the page: browsers follow no link from a web page to a file."""


@dg.asset(
    key=REPORT_KEY,
    deps=[SERVING_KEY],
    group_name="serving",
    kinds={"html"},
    owners=[OWNER],
    description="The page of spend and adoption as one HTML file beside the warehouse, read from the serving copy. "
    "It never fails: the copy is there, and `onelens-claude report` writes the page again.",
)
def report(context: dg.AssetExecutionContext, onelens: dg.ResourceParam[Onelens]) -> dg.MaterializeResult[None]:
    """Write the page and say where it is."""
    try:
        settings = onelens.settings()
        page = write_page(settings)
    except Exception as error:  # noqa: BLE001 - what was loaded and published stays
        context.log.warning("The page could not be written: %s", error)
        return dg.MaterializeResult(metadata={"problem": str(error)})
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.url(f"{settings.dagster_url or ''}{REPORT_PATH}"),
            "path": dg.MetadataValue.path(page),
            "bytes": page.stat().st_size,
        }
    )
