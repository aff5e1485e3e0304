{{ day_versions("user_cost_report", "cost_report") }}
