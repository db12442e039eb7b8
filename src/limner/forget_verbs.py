"""Verbs of privacy: forget, correct, and say everything that is held about a user."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import InputError, StoreError, UnknownUserError
from .models import Profile
from .opened import Opened
from .receipts import Receipt, Scope
from .records import LONGEST_ID, whole

if TYPE_CHECKING:
    from .tools.forgetting.forgetting import Forgetting


_LOG = logging.getLogger("limner")


class ForgetVerbs(Opened):
    """`forget` and its wider forms, `correct`, `export_user`."""

    resumed: int = 0
    """Forgets that were finished on opening, because a process before this one could not."""

    async def forget(
        self,
        user_id: str,
        *,
        item_id: str | None = None,
        event_id: str | None = None,
        dry_run: bool = False,
        scrub: bool = True,
    ) -> Receipt:
        """Forget a user, what the user did with one item, or one interaction, and everything made of it.

        That is durable when it returns, and it may be asked again: then there is nothing to remove. Portraits that
        knew what is gone go too; the next one is drawn without. What is recorded later is taken, what was
        forgotten is refused.

        Args:
            user_id: Whose.
            item_id: Only what the user did with this item.
            event_id: Only this interaction.
            dry_run: Only say what would be removed.
            scrub: Whether to rewrite the files too, so that no deleted byte stays in them. It takes as long as copying
                them; without it the next forget, or `resume_forgets`, does it.

        Raises:
            InputError: Both `item_id` and `event_id` are given, or one is empty.
            StoreError: A place cannot be written; `resume_forgets` goes on from there.
        """
        if item_id is not None and event_id is not None:
            raise InputError("give `item_id` or `event_id`, not both")
        _require(user_id=user_id, item_id=item_id, event_id=event_id)
        kind = "event" if event_id is not None else "user_item" if item_id is not None else "user"
        scope = Scope(kind=kind, user_id=user_id, item_id=item_id, event_id=event_id, at=self._now())
        return await self._forget(scope, dry_run=dry_run, scrub=scrub)

    async def forget_item(self, item_id: str, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """Forget an item with everything that anybody did with it; see `forget`.

        It may be added to the catalogue again; the interactions that were forgotten stay out.
        """
        _require(item_id=item_id)
        return await self._forget(
            Scope(kind="item", item_id=item_id, at=self._now()), dry_run=dry_run, scrub=scrub
        )

    async def forget_older(self, before: datetime, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """Forget every interaction before a moment, and everything made of it; see `forget`.

        Portraits that knew one of them are drawn anew when they are asked for.
        """
        return await self._forget(
            Scope(kind="older", before=before, at=self._now()), dry_run=dry_run, scrub=scrub
        )

    async def forget_tenant(self, *, dry_run: bool = False, scrub: bool = True) -> Receipt:
        """Forget everything that is held for this tenant, tombstones included; keys of the HTTP API stay."""
        return await self._forget(Scope(kind="tenant", at=self._now()), dry_run=dry_run, scrub=scrub)

    async def resume_forgets(self) -> int:
        """Finish forgets that were interrupted, or whose files are not rewritten; return how many there were."""
        done = await self._forgetting().resume()
        self._let_go()
        return done

    async def correct(
        self,
        user_id: str,
        claim: str | int,
        *,
        remove: bool = False,
        replace: str | None = None,
        reason: str = "",
    ) -> Profile:
        """Take a claim out of a user's newest portrait, or put other words in its place, and keep it that way.

        The correction is recorded as a statement of the user's own, so later drawings heed it too.

        Args:
            user_id: Whose portrait.
            claim: Its number in `claims`, from 0, or its words.
            remove: Whether it is simply wrong.
            replace: What is right instead, as it is to be told.
            reason: Why, in the user's words; kept with the correction.

        Returns:
            The corrected portrait, published as a new version.

        Raises:
            UnknownUserError: The user was never recorded.
            NoPortraitError: Nothing was drawn yet.
            UnknownClaimError: The portrait makes no such claim.
            InputError: Not exactly one of `remove` and `replace` is given, or it has no words.
        """
        from .agents.corrections.correct_profile import correct_profile

        drawing = await self.prepare()
        return await correct_profile(
            drawing,
            user_id,
            claim,
            replace=_replacement(remove=remove, replace=replace),
            reason=" ".join(reason.split()),
            at=self._now(),
            budget=self.new_budget(),
        )

    async def export_user(self, user_id: str) -> dict[str, Any]:
        """Return everything that is held about a user, as table name to rows; vectors are left out.

        Raises:
            UnknownUserError: Nothing is held.
        """
        found: dict[str, Any] = {}
        async for place, row in self.stream_user(user_id):
            found.setdefault(place, []).append(row)
        return {"user_id": user_id, "tenant": self.settings.tenant, "at": self._now().isoformat(), **found}

    async def stream_user(self, user_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Stream what `export_user` returns, as table name and row.

        Raises:
            UnknownUserError: Nothing is held.
        """
        nothing = True
        async for entry in self.doors.store.rows_about(user_id):
            nothing = False
            yield entry
        if nothing:
            raise UnknownUserError(user_id)

    async def _forget(self, scope: Scope, *, dry_run: bool, scrub: bool) -> Receipt:
        forgetting = self._forgetting()
        if self._drawing is not None:
            await self._drawing.flush()
        if dry_run:
            return await forgetting.rehearse(scope)
        try:
            return await forgetting.forget(scope, scrub=scrub)
        finally:
            self._let_go()

    async def _go_on_forgetting(self) -> None:
        """Finish what a killed process began to forget, unless another process is at it."""
        if await self.doors.store.unfinished_forgets():
            try:
                self.resumed = await self._forgetting().resume(wait=False)
            except StoreError as error:  # it stays to be done, and what is left to read is no less
                _LOG.warning("a forget is still unfinished: %s", error)

    def _let_go(self) -> None:
        """Forget what this process remembers of its own."""
        if self._drawing is not None:
            self._drawing.let_go()
        self._items_changed = True

    def _forgetting(self) -> "Forgetting":
        from .tools.forgetting.forgetting import Forgetting

        doors, settings = self.doors, self.settings
        return Forgetting(
            store=doors.store,
            catalogue=doors.catalogue,
            embedder=doors.embedder,
            saver=doors.saver,
            folder=settings.store,
            tenant=settings.tenant,
            server=settings.database_url is not None,
            remote_index=settings.chroma_url is not None,
        )


def _require(**ids: str | None) -> None:
    """Refuse names that nothing can have.

    Raises:
        InputError: One is empty or too long.
    """
    for name, value in ids.items():
        if value is not None and not 0 < len(value) <= LONGEST_ID:
            raise InputError(f"`{name}` must have 1 to {LONGEST_ID} characters, got {len(value)}")
        if value is not None and value != whole(value):
            raise InputError(f"`{name}` {value!r:.80} holds half a character (a lone surrogate)")


def _replacement(*, remove: bool, replace: str | None) -> str | None:
    """Return the words to put in place of a claim; `None` to remove it.

    Raises:
        InputError: Not exactly one of the two is given.
    """
    words = None if replace is None else " ".join(replace.split())
    if remove is (words is not None) or words == "":
        raise InputError("give `remove=True`, or `replace` with the words that are right")
    return words
