"""onelens.yaml: what it may say, as typed settings that were checked (`model.py`).

What to add here: a key, in the section's module. What must not go here: secrets, and what the settings make happen.
"""

from onelens_claude.settings.model import Anomalies, Polling, Retention, Settings, load_settings
from onelens_claude.settings.organizations import Organization
from onelens_claude.settings.reading import HOW_TO_START, config_path

__all__ = [
    "HOW_TO_START",
    "Anomalies",
    "Organization",
    "Polling",
    "Retention",
    "Settings",
    "config_path",
    "load_settings",
]
