"""The facts about the endpoints fit together."""

from onelens_claude.api.endpoints import ENDPOINTS, Family, endpoints_of


def test_every_endpoint_is_of_one_family():
    of_families = [endpoint for family in Family for endpoint in endpoints_of(family)]
    assert sorted(endpoint.name for endpoint in of_families) == sorted(ENDPOINTS)
