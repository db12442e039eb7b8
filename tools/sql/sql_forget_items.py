"""What was made of an item and of what others wrote about it, as rows, and how it is removed.

Reviews are shown where somebody else's pair with the item is written, and where its card is. Every function runs
inside the transaction of the connection it is given and may be run again.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, select

from .sql_caches import items_of
from .sql_forget_texts import Texts
from .sql_forget_users import (
    Gone,
    forget_completions,
    forget_cues,
    moment_of,
    owned_keys,
    remove,
    says,
    subject_is,
)
from .sql_tables import cards, cued_events, cues, groups, items, jobs, pairs, rollouts
from .sql_upserts import chunks


class _Doomed:
    """Tells which records of an item rest on interactions that are being removed, or on the item itself."""

    def __init__(self, gone: Sequence[Gone], *, all_of_it: bool) -> None:
        self._ids = {event.event_id for event in gone}
        spoken = [event.at for event in gone if event.text]
        self._first = min(spoken) if spoken else None
        self.all_of_it = all_of_it

    @property
    def spoken(self) -> bool:
        """Whether anybody's words are among them."""
        return self._first is not None

    def takes(self, data: str) -> bool:
        """Whether a pair or a draft goes: it cites one, or its writer may have been shown the words of one."""
        if self.all_of_it or (self._first is not None and moment_of(data) > self._first):
            return True
        return any(says(json.loads(data), event_id) for event_id in self._ids)

    def takes_card(self, card: Mapping[str, Any]) -> bool:
        """Whether a card goes: its writer was shown one, or nobody wrote down what it was shown."""
        if self.all_of_it:
            return True
        shown = {*card.get("read", ()), *card["evidence"]}
        return bool(self._ids & shown) or (
            self.spoken and not card.get("read") and card["read_to"] is not None
        )


class ItemTraces:
    """Removes what was made of items; arguments as of `UserTraces`."""

    def __init__(self, connection: Connection, tenant: str, removed: Counter[str], texts: Texts) -> None:
        self._db, self._tenant, self._removed, self._texts = connection, tenant, removed, texts

    def forget_words(self, gone: Sequence[Gone], item_id: str) -> None:
        """Remove what others' runs made of interactions with an item."""
        doomed = _Doomed(gone, all_of_it=False)
        forget_cues(
            self._db, self._tenant, f"item:{item_id}", gone, self._removed, self._texts, read=doomed.spoken
        )
        self._forget_made(item_id, doomed)
        if doomed.spoken:
            self._forget_caches(item_id)

    def forget_whole(self, item_id: str) -> None:
        """Remove everything that is held about an item, except interactions."""
        self._forget_made(item_id, _Doomed([], all_of_it=True))
        self._forget_caches(item_id)
        for table in (cues, cued_events):
            self._delete(table, subject_is(table, f"item:{item_id}"))
        self._leave_groups(item_id)
        rows = self._db.execute(select(jobs.c.job_id, jobs.c.data).where(jobs.c.tenant == self._tenant))
        naming = [row.job_id for row in rows if says(json.loads(row.data), item_id)]
        self._delete(jobs, jobs.c.job_id.in_(naming))
        for item in items_of(self._db, self._tenant, [item_id]).values():
            self._texts.add(item.describe())
        self._delete(items, items.c.item_id == item_id)

    def _forget_made(self, item_id: str, doomed: _Doomed) -> None:
        self._forget_cards(item_id, doomed)
        mine = (pairs.c.tenant == self._tenant, pairs.c.item_id == item_id)
        found = self._db.execute(select(pairs.c.user_id, pairs.c.data).where(*mine)).all()
        touched = {row.user_id for row in found if doomed.takes(row.data)}
        logged = (rollouts.c.tenant == self._tenant, rollouts.c.item_id == item_id)
        query = select(rollouts.c.rollout_id, rollouts.c.user_id, rollouts.c.data).where(*logged)
        drafts = [row for row in self._db.execute(query) if doomed.takes(row.data)]
        for part in chunks(sorted(touched)):
            self._delete(pairs, and_(pairs.c.item_id == item_id, pairs.c.user_id.in_(part)))
        for user_id in sorted(touched | {row.user_id for row in drafts}):
            together = {json.loads(row.data)["group_key"] for row in drafts if row.user_id == user_id}
            self._forget_batches(user_id, item_id, together, doomed)
            forget_completions(self._db, self._tenant, f"user:{user_id}", self._removed)

    def _forget_batches(self, user_id: str, item_id: str, together: set[str], doomed: _Doomed) -> None:
        """Remove a user's drafts of this item, and those of other items that one prompt asked for along with it."""
        mine = (
            rollouts.c.tenant == self._tenant,
            rollouts.c.user_id == user_id,
            rollouts.c.item_id.is_not(None),
        )
        query = select(rollouts.c.rollout_id, rollouts.c.item_id, rollouts.c.data).where(*mine)
        gone: list[str] = []
        beside: set[str] = set()
        for row in self._db.execute(query):
            draft = json.loads(row.data)
            if row.item_id == item_id:
                gone += [row.rollout_id] if doomed.takes(row.data) else []
            elif draft["messages"] and draft["group_key"] in together:
                gone.append(row.rollout_id)
                beside.add(row.item_id)
        for part in chunks(gone):
            self._delete(rollouts, rollouts.c.rollout_id.in_(part))
        for part in chunks(sorted(beside)):
            self._delete(pairs, and_(pairs.c.user_id == user_id, pairs.c.item_id.in_(part)))

    def _forget_cards(self, item_id: str, doomed: _Doomed) -> None:
        """Remove cards, also those that near-duplicates share."""
        mine = (cards.c.tenant == self._tenant, cards.c.item_id == item_id)
        rows = self._db.execute(select(cards.c.fingerprint, cards.c.data).where(*mine)).all()
        gone = {row.fingerprint for row in rows if doomed.takes_card(json.loads(row.data))}
        for part in chunks(sorted(gone)):
            self._delete(cards, cards.c.fingerprint.in_(part))

    def _forget_caches(self, item_id: str) -> None:
        forget_completions(self._db, self._tenant, f"item:{item_id}", self._removed)
        self._texts.keys |= owned_keys(self._db, self._tenant, f"item:{item_id}")

    def _leave_groups(self, item_id: str) -> None:
        """Take an item out of what groups had."""
        rows = self._db.execute(select(groups).where(groups.c.tenant == self._tenant)).all()
        for row in rows:
            had, told = json.loads(row._mapping["items"]), json.loads(row.data)
            if item_id not in had and not says(told["items"], item_id):
                continue
            told["items"] = [each for each in told["items"] if each["item_id"] != item_id]
            had.pop(item_id, None)
            where = (
                groups.c.tenant == self._tenant,
                groups.c.version == row.version,
                groups.c.group_id == row.group_id,
            )
            changed = {"items": json.dumps(had), "data": json.dumps(told, ensure_ascii=False)}
            self._db.execute(groups.update().where(*where).values(changed))
            self._removed["group items"] += 1

    def _delete(self, table: Table, condition: Any) -> None:
        where = [table.c.tenant == self._tenant, condition]
        self._removed[table.name] += remove(self._db, table, where, self._texts)
