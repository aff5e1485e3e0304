"""How one question is asked of the API.

What is here: the endpoints as data (`endpoints`, read it first), the fields of their rows (`row_types`), windows of
days (`windows`), one query until its last page (`client`), what an answer says (`answers`), and the request rate all
processes share (`rate_limit`).
What to add here: an endpoint, a field, a rule about how a request is made or an answer is read.
What must not go here: which days to ask for (`ledger`), where pages go (`landing`), anything of Dagster.
"""
