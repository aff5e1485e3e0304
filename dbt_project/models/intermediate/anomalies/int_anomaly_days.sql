with
    scores as (
        select * exclude (active_days, level_days, built_through_sequence)
        from {{ ref("int_person_scores") }}
        union all by name
        select * exclude (level_days, deviation), 'spike' as kind, 1 as window_days
        from {{ ref("int_segment_scores") }}
    )

select
    scores.*,
    case
        scope
        when 'user'
        then scope_value
        when 'user_product'
        then left(scope_value, strpos(scope_value, '/') - 1)
    end as user_id,
    case
        scope when 'user_product' then substr(scope_value, strpos(scope_value, '/') + 1)
    end as product_of_user
from scores
inner join {{ ref("int_anomaly_floors") }} as floors using (metric)
where
    case
        when scope in ('organization', 'product', 'model')
        then
            score > 2.2 * threshold_factor
            and actual - expected >= greatest(2.5 * floor_amount, 0.1 * expected)
        when kind = 'spike'
        then score > {{ spike_score() }} * threshold_factor and actual - expected >= floor_amount
        when kind = 'sustained'
        then score > 3.8 * threshold_factor and actual - expected >= 2.5 * floor_amount
        when kind = 'chronic'
        then score > 4.2 * threshold_factor and actual - expected >= 5 * floor_amount
    end
