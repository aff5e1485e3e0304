{{ day_versions("user_usage_report", "usage_report") }}
