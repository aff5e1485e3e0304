"""The production models over daily spend that is not the warehouse's, such as made-up people of whom all is known.

What is here: made-up organisations (`organizations.py`), and the production models over them (`running.py`).
What to add here: somebody else's data. What must not go here: a rule of detection; the models have them.
"""
