select metric, floor_amount, threshold_factor
from
    {{ ref("stg_anomaly_settings") }}
    unpivot (floor_amount for metric in (floor_usd as 'amount_usd', floor_tokens as 'total_tokens'))
