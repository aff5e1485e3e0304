{#- Every user id of the model is in dim_claude_users under the same organisation. -#}
{% test is_known_user(model, column_name) %}

    select user_ids.organization_id, user_ids.{{ column_name }}
    from
        (
            select distinct organization_id, {{ column_name }}
            from {{ model }}
            where {{ column_name }} is not null
        ) as user_ids
    left join
        {{ ref("dim_claude_users") }} as users
        on user_ids.organization_id = users.organization_id
        and user_ids.{{ column_name }} = users.user_id
    where users.user_id is null

{% endtest %}
