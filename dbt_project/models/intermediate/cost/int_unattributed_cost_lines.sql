with
    {{
        remainder_lines(
            days=ref("int_cost_day_versions"),
            user_rows=ref("int_user_cost_rows"),
            answers=ref("int_cost_answers"),
            dimensions=cost_dimensions(),
            measures=["amount_cents", "list_amount_cents"],
        )
    }}

select *
from remainder_lines
-- a fully discounted line has a list amount and stays
where amount_cents <> 0 or list_amount_cents <> 0
