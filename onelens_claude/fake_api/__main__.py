"""`python -m onelens_claude.fake_api`: the local API server alone.

What is here: the call that starts the command. What to add here: nothing. What must not go here: options and what is
served (`cli.py`, `server.py`).
"""

from __future__ import annotations

from onelens_claude.fake_api.cli import main

main()
