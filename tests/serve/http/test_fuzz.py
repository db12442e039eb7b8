"""Requests made at random from the OpenAPI document: none is answered by a fault of ours, and each as documented."""

import subprocess
from collections.abc import Callable, Iterable
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis import checks as common
from schemathesis.specs.openapi import checks as openapi

EXAMPLES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 2}
"""Requests to each route; those that break the document take long to make."""

CHECKS: list[Any] = [
    common.not_a_server_error,  # pyright: ignore[reportUnknownMemberType]  # half typed
    openapi.response_schema_conformance,  # pyright: ignore[reportUnknownMemberType]  # half typed
    openapi.status_code_conformance,  # pyright: ignore[reportUnknownMemberType]  # half typed
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_random_requests_are_answered_as_documented(
    start_process: Callable[..., tuple["subprocess.Popen[str]", str, str]], mode: GenerationMode
) -> None:
    process, base, _ = start_process()
    _fill(base)
    asked = 0

    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    for found in cast("Iterable[Any]", schema.get_all_operations()):  # half typed
        operation = found.ok()  # raises if the document does not describe one

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES[mode],
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.validate_response(case.call(timeout=20), checks=CHECKS)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, (
                operation.path
            )  # a route that takes nothing cannot be given wrong
        except BaseException as error:
            error.add_note(f"{operation.method.upper()} {operation.path}")
            raise

    assert asked > 50
    assert process.poll() is None
    assert httpx.get(f"{base}/livez", trust_env=False).status_code == 200


def _fill(base: str) -> None:
    """Record a little, so that some requests find something."""
    items = [{"item_id": f"b{n}", "title": f"Thing {n}", "tags": ["lamp"]} for n in range(3)]
    events = [{"item_id": f"b{n}", "kind": "purchase", "at": f"2026-01-0{n + 1}"} for n in range(3)]
    with httpx.Client(base_url=base, trust_env=False) as client:
        assert client.post("/v1/items", json={"items": items}).status_code == 200
        assert client.post("/v1/users/ada/events", json={"events": events}).status_code == 200
