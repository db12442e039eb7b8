"""The synchronous twins of the verbs of privacy."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .models import Profile
from .portal import Portal
from .receipts import Receipt


class PrivacyTwins(Portal):
    """See `ForgetVerbs`."""

    def forget(
        self,
        user_id: str,
        *,
        item_id: str | None = None,
        event_id: str | None = None,
        dry_run: bool = False,
        scrub: bool = True,
    ) -> Receipt:
        """See `Limner.forget`."""
        return self._call(
            lambda: self._limner.forget(
                user_id, item_id=item_id, event_id=event_id, dry_run=dry_run, scrub=scrub
            )
        )

    def forget_item(self, item_id: str, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """See `Limner.forget_item`."""
        return self._call(lambda: self._limner.forget_item(item_id, dry_run=dry_run, scrub=scrub))

    def forget_older(self, before: datetime, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """See `Limner.forget_older`."""
        return self._call(lambda: self._limner.forget_older(before, dry_run=dry_run, scrub=scrub))

    def forget_tenant(self, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """See `Limner.forget_tenant`."""
        return self._call(lambda: self._limner.forget_tenant(dry_run=dry_run, scrub=scrub))

    def resume_forgets(self) -> int:
        """See `Limner.resume_forgets`."""
        return self._call(self._limner.resume_forgets)

    def correct(
        self,
        user_id: str,
        claim: str | int,
        *,
        remove: bool = False,
        replace: str | None = None,
        reason: str = "",
    ) -> Profile:
        """See `Limner.correct`."""
        return self._call(
            lambda: self._limner.correct(user_id, claim, remove=remove, replace=replace, reason=reason)
        )

    def export_user(self, user_id: str) -> dict[str, Any]:
        """See `Limner.export_user`."""
        return self._call(lambda: self._limner.export_user(user_id))

    def stream_user(self, user_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Limner.stream_user`."""
        return self._iterate(self._limner.stream_user(user_id))
