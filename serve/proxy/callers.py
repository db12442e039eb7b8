"""Whose request it is: the tenant by the key, the user by what the request says."""

import re
from collections.abc import Mapping
from typing import Any

from ...records import LONGEST_ID
from ...settings import Settings
from ...tools.schemas import is_object

TENANT_FIELD = "limner_tenant"
"""Where the metadata of a key or of a team names its tenant."""

_TENANT = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)


def tenant_of(key: object, settings: Settings) -> str | None:
    """Return the tenant a key belongs to; nothing if it belongs to none, or to several.

    The key's metadata, its team's metadata, and the aliases and the id in `proxy.tenants` may all name it; whoever
    makes keys chooses some of them and not others, so they must agree.

    Args:
        key: LiteLLM's `UserAPIKeyAuth`.
        settings: Names of tenants by alias, and the tenant of keys that name none.
    """
    named: set[object] = set()
    for field in ("metadata", "team_metadata"):
        metadata: object = getattr(key, field, None)
        if is_object(metadata) and TENANT_FIELD in metadata:
            named.add(_checked(metadata[TENANT_FIELD]))
    tenants = settings.proxy.tenants
    for field in ("key_alias", "team_alias", "team_id"):
        alias: object = getattr(key, field, None)
        if tenants and isinstance(alias, str) and alias in tenants:
            named.add(_checked(tenants[alias]))
    if not named:
        return settings.tenant if tenants is None else None
    [tenant, *others] = named
    return tenant if isinstance(tenant, str) and not others else None


def user_of(data: Mapping[str, Any], key: object) -> str | None:
    """Return the user that a request is for: its `user`, its `metadata.user_id`, or whom LiteLLM found in a header."""
    metadata: object = data.get("metadata")
    named = (
        data.get("user"),
        metadata.get("user_id") if is_object(metadata) else None,
        getattr(key, "end_user_id", None),
    )
    return next((name for name in named if isinstance(name, str) and 0 < len(name) <= LONGEST_ID), None)


def _checked(name: object) -> str | None:
    return name if isinstance(name, str) and _TENANT.fullmatch(name) else None
