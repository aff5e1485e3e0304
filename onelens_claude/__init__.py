"""onelens_claude: who spends what on Claude Enterprise, to the cent."""

__version__ = "0.1.0"
