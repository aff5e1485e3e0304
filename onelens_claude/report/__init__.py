"""The page that people look at, the tables behind it as CSV, and its main charts as pictures.

What is here: what is read of the marts (`spend.py` the amounts that filters add up, `tables.py` all else), how people
are called and hidden (`people.py`), the charts (`charts.py`) in one set of colours (`look.py`), the page made of them
(`page.py`, `static/`), and the pictures (`pictures.py`).
What to add here: a panel: its rows, its chart, its place in `static/page.html` and how it is drawn in `static/page.js`.
What must not go here: figures of its own, as each is a sum of what a mart holds; Dagster; when the page is made.
"""
