"""Speed, memory and correctness of the product beside other ways to load the same answers. `make bench` runs it.

What is here: generators of data at size, contenders, measurements and the table of goals. What to add here: another
contender or measurement. What must not go here: tests of behaviour (`tests/`), anything the product imports.
"""
