"""What was drawn, as rows: cues, profiles, pairs and the log of drafts.

Every function runs inside the transaction of the connection it is given and may be run again.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, func, select, text, true

from ...models import Cue, Profile, Rollout
from ...pairings import Pair
from .sql_tables import cued_events, cues, micros, pairs, profiles, rollouts, version_marks
from .sql_upserts import Insert

_tenant = bindparam("tenant", type_=Text)
_subject = bindparam("subject", type_=Text)
_user = bindparam("user_id", type_=Text)
_limit = bindparam("limit", type_=Integer)

_CUES = (
    select(cues.c.data)
    .where(cues.c.tenant == _tenant, cues.c.subject == _subject)
    .order_by(cues.c.seq, cues.c.cue_id)
)
_LAST_CUE = select(func.coalesce(func.max(cues.c.seq), 0)).where(
    cues.c.tenant == _tenant, cues.c.subject == _subject
)
_CUED = select(cued_events.c.event_id).where(
    cued_events.c.tenant == _tenant, cued_events.c.subject == _subject
)
_of_user = (profiles.c.tenant == _tenant, profiles.c.user_id == _user)
_VERSIONS = select(profiles.c.data).where(*_of_user).order_by(profiles.c.version)
_VERSION = select(profiles.c.data).where(*_of_user, profiles.c.version == bindparam("version"))
_NEWEST = (
    select(profiles.c.version, profiles.c.fingerprint, profiles.c.data)
    .where(*_of_user)
    .order_by(profiles.c.as_of.desc(), profiles.c.version.desc())
    .limit(1)
)
_NEWEST_BY = _NEWEST.where(profiles.c.as_of <= bindparam("as_of", type_=BigInteger))
_last = select(func.coalesce(func.max(profiles.c.version), 0).label("last")).where(*_of_user).subquery()
_MARK = select(version_marks.c.version).where(
    version_marks.c.tenant == _tenant, version_marks.c.user_id == _user
)
_parent = _NEWEST_BY.subquery()
# One query sees one moment: between two of them another writer could add a version.
_ONE_PUBLISHER = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_BEFORE = select(_last.c.last, *_parent.c).select_from(_last.outerjoin(_parent, true()))
_drawn = (
    select(profiles.c.user_id)
    .where(profiles.c.tenant == _tenant, profiles.c.user_id > bindparam("after", type_=Text))
    .distinct()
    .order_by(profiles.c.user_id)
    .limit(_limit)
    .subquery()
)
_other = profiles.alias("other")
_head = (
    select(_other.c.version)
    .where(_other.c.tenant == _tenant, _other.c.user_id == _drawn.c.user_id)
    .order_by(_other.c.as_of.desc(), _other.c.version.desc())
    .limit(1)
    .correlate(_drawn)
    .scalar_subquery()
)
_HEADS = (
    select(profiles.c.data)
    .join(_drawn, (profiles.c.user_id == _drawn.c.user_id) & (profiles.c.version == _head))
    .where(profiles.c.tenant == _tenant)
    .order_by(profiles.c.user_id)
)
_PAIR = select(pairs.c.data).where(
    pairs.c.tenant == _tenant, pairs.c.user_id == _user, pairs.c.item_id == bindparam("item_id", type_=Text)
)
_LAST_ROLLOUT = select(func.coalesce(func.max(rollouts.c.seq), 0)).where(rollouts.c.tenant == _tenant)
_ROLLOUTS = (
    select(rollouts.c.seq, rollouts.c.data)
    .where(rollouts.c.tenant == _tenant, rollouts.c.seq > bindparam("after", type_=BigInteger))
    .order_by(rollouts.c.seq)
    .limit(_limit)
)
_USER_ROLLOUTS = (
    select(rollouts.c.data)
    .where(rollouts.c.tenant == _tenant, rollouts.c.user_id == _user)
    .order_by(rollouts.c.seq)
)
_PORTRAIT_ROLLOUTS = _USER_ROLLOUTS.where(rollouts.c.item_id.is_(None))
_REPLACE_CUES = Insert(cues, "replace", "data")
_KEEP_CUED = Insert(cued_events)
_ADD_PROFILE = profiles.insert()
_REPLACE_PAIR = Insert(pairs, "replace", "data")
_KEEP_ROLLOUTS = Insert(rollouts)


def add_cues(
    connection: Connection, tenant: str, subject: str, found: Sequence[Cue], events: Sequence[str]
) -> None:
    """Keep cues and the events they came from; a cue that is written again keeps its place."""
    key = {"tenant": tenant, "subject": subject}
    if found:
        last = connection.execute(_LAST_CUE, key).scalar_one()
        rows = [
            {**key, "cue_id": cue.cue_id, "seq": last + place, "data": cue.model_dump_json()}
            for place, cue in enumerate(found, start=1)
        ]
        _REPLACE_CUES.run(connection, sorted(rows, key=lambda row: row["cue_id"]))
    _KEEP_CUED.run(connection, [{**key, "event_id": event_id} for event_id in sorted(set(events))])


def cues_of(connection: Connection, tenant: str, subject: str) -> list[Cue]:
    """Return a subject's cues, oldest first."""
    rows = connection.execute(_CUES, {"tenant": tenant, "subject": subject}).scalars()
    return [Cue.model_validate_json(data) for data in rows]


def cued(connection: Connection, tenant: str, subject: str) -> frozenset[str]:
    """Return the events that were cued for a subject."""
    return frozenset(connection.execute(_CUED, {"tenant": tenant, "subject": subject}).scalars())


def publish(connection: Connection, tenant: str, profile: Profile, drafts: Sequence[Rollout]) -> Profile:
    """Insert a profile as the next version, unless the newest up to its `as_of` was drawn from the same.

    Raises:
        sqlalchemy.exc.IntegrityError: Another writer took the version; run the transaction again.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer; here publishers of a user queue up
        connection.execute(_ONE_PUBLISHER, {"name": f"{tenant}/{profile.user_id}"})
    key = {"tenant": tenant, "user_id": profile.user_id, "as_of": micros(profile.as_of)}
    before = connection.execute(_BEFORE, key).one()
    if before.fingerprint == profile.fingerprint:
        return Profile.model_validate_json(before.data)
    marked = connection.execute(_MARK, key).scalar_one_or_none() or 0  # versions that were forgotten
    version = max(before.last, marked) + 1
    published = profile.model_copy(update={"version": version, "parent_version": before.version})
    connection.execute(
        _ADD_PROFILE,
        {
            "tenant": tenant,
            "user_id": published.user_id,
            "version": published.version,
            "as_of": micros(published.as_of),
            "fingerprint": published.fingerprint,
            "data": published.model_dump_json(),
        },
    )
    log(connection, tenant, drafts)
    return published


def profile(
    connection: Connection, tenant: str, user_id: str, version: int | None, as_of: datetime | None
) -> Profile | None:
    """Return one version, or the newest that `as_of` allows."""
    key = {"tenant": tenant, "user_id": user_id}
    if version is not None:
        row = connection.execute(_VERSION, {**key, "version": version}).one_or_none()
    elif as_of is not None:
        row = connection.execute(_NEWEST_BY, {**key, "as_of": micros(as_of)}).one_or_none()
    else:
        row = connection.execute(_NEWEST, key).one_or_none()
    return None if row is None else Profile.model_validate_json(row.data)


def profile_versions(connection: Connection, tenant: str, user_id: str) -> list[Profile]:
    """Return all versions in the order of their numbers."""
    rows = connection.execute(_VERSIONS, {"tenant": tenant, "user_id": user_id}).scalars()
    return [Profile.model_validate_json(data) for data in rows]


def profile_page(connection: Connection, tenant: str, after: str, limit: int) -> list[Profile]:
    """Return the newest profiles of the next users."""
    rows = connection.execute(_HEADS, {"tenant": tenant, "after": after, "limit": limit}).scalars()
    return [Profile.model_validate_json(data) for data in rows]


def put_pair(connection: Connection, tenant: str, pair: Pair, drafts: Sequence[Rollout]) -> None:
    """Keep a pair in place of an earlier one, and its drafts."""
    row = {"tenant": tenant, "user_id": pair.user_id, "item_id": pair.item_id, "data": pair.model_dump_json()}
    _REPLACE_PAIR.run(connection, [row])
    log(connection, tenant, drafts)


def pair(connection: Connection, tenant: str, user_id: str, item_id: str) -> Pair | None:
    """Return the newest pair."""
    key = {"tenant": tenant, "user_id": user_id, "item_id": item_id}
    data = connection.execute(_PAIR, key).scalar_one_or_none()
    return None if data is None else Pair.model_validate_json(data)


def log(connection: Connection, tenant: str, drafts: Sequence[Rollout]) -> None:
    """Append drafts to the log; one that is already there stays."""
    rows = [
        {
            "tenant": tenant,
            "rollout_id": draft.rollout_id,
            "user_id": draft.user_id,
            "item_id": draft.item_id,
            "data": draft.model_dump_json(),
        }
        for draft in drafts
    ]
    if rows and connection.dialect.name == "sqlite":  # has no identity columns beside the primary key
        last = connection.execute(_LAST_ROLLOUT, {"tenant": tenant}).scalar_one()
        rows = [{**row, "seq": last + place} for place, row in enumerate(rows, start=1)]
    _KEEP_ROLLOUTS.run(connection, rows)


def rollout_page(connection: Connection, tenant: str, after: int, limit: int) -> tuple[int, list[Rollout]]:
    """Return the next part of the log and the place where it ends."""
    rows = connection.execute(_ROLLOUTS, {"tenant": tenant, "after": after, "limit": limit}).all()
    return (rows[-1].seq if rows else after), [Rollout.model_validate_json(row.data) for row in rows]


def user_rollouts(connection: Connection, tenant: str, user_id: str, pairs: bool) -> list[Rollout]:
    """Return one user's part of the log, with or without the drafts of pairs."""
    query = _USER_ROLLOUTS if pairs else _PORTRAIT_ROLLOUTS
    rows = connection.execute(query, {"tenant": tenant, "user_id": user_id}).scalars()
    return [Rollout.model_validate_json(data) for data in rows]
