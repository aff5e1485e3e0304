"""How fast, how lean and how right: the product beside other ways to load the same answers. `make bench` runs it.

What belongs here: generators of data at size, contenders, measurements and the table of goals. What does not: tests
of behaviour (`tests/`), and anything the product imports.
"""
