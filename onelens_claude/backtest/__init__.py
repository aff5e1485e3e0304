"""How often the anomaly alerts and the forecast are right, measured on organisations where the answer is known.

What is here: made-up organisations (`organizations.py`), somebody's files (`files.py`), the production models over
either (`running.py`), comparing what they say with what was put in (`scoring.py`).
What to add here: another measure, another baseline. What must not go here: a rule of detection; the models have them.
"""
