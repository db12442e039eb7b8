"""A key's tenant and a request's user, and when nobody may be assumed."""

from types import SimpleNamespace
from typing import Any

import pytest

from limner.serve.proxy.callers import tenant_of, user_of
from limner.settings import load_settings

TENANTS = {"acme-app": "acme", "team-7": "acme", "zoo-team": "zoo"}


def tenant(tenants: dict[str, str] | None, **key: Any) -> str | None:
    settings = load_settings(tenant="own", proxy={} if tenants is None else {"tenants": tenants})
    return tenant_of(SimpleNamespace(**key), settings)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"key_alias": "acme-app"}, "acme"),
        ({"team_id": "team-7"}, "acme"),
        ({"team_alias": "zoo-team"}, "zoo"),
        ({"metadata": {"limner_tenant": "zoo"}}, "zoo"),
        ({"team_metadata": {"limner_tenant": "zoo"}}, "zoo"),
        ({"key_alias": "acme-app", "team_id": "team-7", "metadata": {"limner_tenant": "acme"}}, "acme"),
        # Whoever makes a key chooses its alias and metadata: they cannot lead out of the team's tenant.
        ({"team_id": "team-7", "metadata": {"limner_tenant": "zoo"}}, None),
        ({"team_alias": "zoo-team", "key_alias": "acme-app"}, None),
        ({"key_alias": "somebody"}, None),
        ({}, None),
    ],
)
def test_a_key_belongs_to_the_tenant_that_all_its_names_agree_on(
    key: dict[str, Any], expected: str | None
) -> None:
    assert tenant(TENANTS, **key) == expected


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "x" * 41, "acme\n"])
def test_a_name_that_is_none_never_falls_to_the_settings_tenant(name: str) -> None:
    assert tenant(None, metadata={"limner_tenant": name}) is None
    assert tenant({"app": name}, key_alias="app") is None
    for other in (7, None, ["acme"]):
        assert tenant(None, metadata={"limner_tenant": other}) is None


def test_keys_without_a_name_belong_to_the_settings_tenant_only_where_no_tenants_are_given() -> None:
    assert tenant(None, key_alias="acme-app", metadata={}, team_id=None) == "own"
    assert tenant(None, metadata={"limner_tenant": "zoo"}) == "zoo"
    assert tenant({}, key_alias="acme-app") is None


@pytest.mark.parametrize(
    ("data", "found", "expected"),
    [
        ({"user": "ada", "metadata": {"user_id": "bo"}}, "cleo", "ada"),
        ({"metadata": {"user_id": "bo"}}, "cleo", "bo"),
        ({"user": "", "metadata": "x"}, "cleo", "cleo"),
        ({"user": 7}, None, None),
        ({"user": "x" * 513}, None, None),
        ({}, None, None),
    ],
)
def test_the_user_is_named_by_the_request(
    data: dict[str, Any], found: str | None, expected: str | None
) -> None:
    assert user_of(data, SimpleNamespace(end_user_id=found)) == expected
