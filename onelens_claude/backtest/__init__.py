"""How often alerts are right: the production models over daily spend that is not the warehouse's.

What is here: made-up organisations (`organizations.py`) and somebody else's files (`files.py`), the models over them
(`running.py`), simpler methods (`baselines.py`), the comparison with what is known (`labels.py`, `scoring.py`), and all
of it in order (`measuring.py`). What to add here: another source of spend, another measure.
What must not go here: a rule of detection; the models have them.
"""
