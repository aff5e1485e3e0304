"""`python -m onelens_claude.fake_api`: the local API server alone."""

from __future__ import annotations

from onelens_claude.fake_api.cli import main

main()
