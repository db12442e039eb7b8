"""The tables of the store.

Every table starts its primary key with `tenant`. Moments are microseconds since 1970 in UTC, so that they
compare alike in every database; what no query looks into is JSON text beside the columns that are searched.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# PostgreSQL would sort by the language of the database; ties broken by id must not depend on it.
Name = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def micros(moment: datetime) -> int:
    """Return microseconds since 1970, exactly.

    Examples:
        >>> micros(datetime(1970, 1, 2, 0, 0, 1, 7, tzinfo=UTC))
        86401000007
    """
    gap = moment - EPOCH
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


def moment_at(count: int) -> datetime:
    """Return the moment that `micros` turned into `count`."""
    return EPOCH + timedelta(microseconds=count)


def _key(name: str) -> Column[str]:
    return Column(name, Name, primary_key=True)


tenants = Table(
    "tenants",
    metadata,
    _key("tenant"),
    Column("generation", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("salt", Text),
    Column("forgets", BigInteger, nullable=False, server_default="0"),
)
"""One row a tenant: `generation` changes whenever interactions do, `newest` is the last moment recorded, `salt` goes
into every tombstone, `forgets` counts them."""

interactions = Table(
    "interactions",
    metadata,
    _key("tenant"),
    _key("event_id"),
    Column("user_id", Name, nullable=False),
    Column("item_id", Name),
    Column("kind", Name, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("rating", Double[float]()),
    Column("text", Text),
    Index(None, "tenant", "user_id", "at"),
    Index(None, "tenant", "item_id", "at"),
)

users = Table(
    "users",
    metadata,
    _key("tenant"),
    _key("user_id"),
    Column("first_at", BigInteger, nullable=False),
    Column("shuffle", BigInteger, nullable=False),
    Index(None, "tenant", "shuffle", "user_id"),
)
"""Who has interactions; `shuffle` is a hash that lays users out in an order without meaning."""

items = Table("items", metadata, _key("tenant"), _key("item_id"), Column("data", Text, nullable=False))

cues = Table(
    "cues",
    metadata,
    _key("tenant"),
    _key("subject"),
    _key("cue_id"),
    Column("seq", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
)

cued_events = Table("cued_events", metadata, _key("tenant"), _key("subject"), _key("event_id"))

profiles = Table(
    "profiles",
    metadata,
    _key("tenant"),
    _key("user_id"),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("as_of", BigInteger, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index(None, "tenant", "user_id", "as_of", "version"),
)

pairs = Table(
    "pairs",
    metadata,
    _key("tenant"),
    _key("user_id"),
    _key("item_id"),
    Column("data", Text, nullable=False),
    Index(None, "tenant", "item_id"),
)

cards = Table(
    "cards",
    metadata,
    _key("tenant"),
    _key("fingerprint"),
    _key("item_id"),
    Column("as_of", BigInteger, nullable=False),
    Column("read_to", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Index(None, "tenant", "item_id", "read_to", "created"),
)
"""`as_of` is the earliest moment a card was right for; `read_to` is below every moment where no review was read."""

rollouts = Table(
    "rollouts",
    metadata,
    _key("tenant"),
    _key("rollout_id"),
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("user_id", Name, nullable=False),
    Column("item_id", Name),
    Column("data", Text, nullable=False),
    UniqueConstraint("tenant", "seq"),
    Index(None, "tenant", "user_id"),
    Index(None, "tenant", "item_id"),
)

completions = Table(
    "completions",
    metadata,
    _key("tenant"),
    _key("key"),
    _key("subject"),
    Column("answer", Text, nullable=False),
    Index(None, "tenant", "subject"),
)
"""Cached answers; one that two subjects share has two rows, so that forgetting either removes its own."""

vectors = Table(
    "vectors",
    metadata,
    _key("tenant"),
    _key("encoder"),
    _key("key"),
    Column("vector", LargeBinary, nullable=False),
)

groupings = Table(
    "groupings",
    metadata,
    _key("tenant"),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("as_of", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
)
"""One row a refresh; the oldest go."""

groups = Table(
    "groups",
    metadata,
    _key("tenant"),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _key("group_id"),
    Column("data", Text, nullable=False),
    Column("items", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)

group_users = Table(
    "group_users",
    metadata,
    _key("tenant"),
    _key("user_id"),
    Column("mark", Text, nullable=False),
    Column("themes", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)
"""What the last refresh made of each user; `mark` is a hash of all that it rests on, `themes` a JSON list."""

group_members = Table(
    "group_members",
    metadata,
    _key("tenant"),
    _key("user_id"),
    Column("group_id", Name, nullable=False),
    Column("data", Text, nullable=False),
    Index(None, "tenant", "group_id", "user_id"),
)
"""Where the refresh of the newest moment put each user: `group_id` is the group a user belongs to most, `data` says how much."""

keys = Table(
    "keys",
    metadata,
    _key("tenant"),
    _key("key_id"),
    Column("role", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("digest", Name, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    UniqueConstraint("key_id"),
)
"""Keys of the HTTP API; `digest` is a hash, the key itself is nowhere."""

jobs = Table(
    "jobs",
    metadata,
    _key("tenant"),
    _key("job_id"),
    Column("state", Name, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("due", BigInteger, nullable=False, server_default="0"),
    Column("once", Name),
    Index(None, "tenant", "created", "job_id"),
    Index(None, "state", "due"),
    Index(None, "tenant", "once"),
)
"""Background jobs; `revision` counts their changes, `beat` is when their process last said that it lives, `due` when
one that waits may be taken, and of those that wait only one has the same `once`."""

memories = Table(
    "memories",
    metadata,
    _key("tenant"),
    _key("namespace"),
    _key("key"),
    Column("owner", Name),
    Column("value", Text, nullable=False),
    Column("paths", Text, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("lifetime", BigInteger),
    Column("expires", BigInteger),
    Index(None, "tenant", "owner"),
    Index(None, "tenant", "expires"),
)
"""What assistants put away through LangGraph's store interface.

`namespace` is the labels with a dot behind each; `owner` the user it is about, absent if nobody knows; `paths` a JSON
list of what is embedded; `place` counts up with first puts; `lifetime` is in microseconds from the last touch.
"""

memory_vectors = Table(
    "memory_vectors",
    metadata,
    _key("tenant"),
    _key("namespace"),
    _key("key"),
    _key("encoder"),
    _key("path"),
    Column("vector", LargeBinary, nullable=False),
)

forgets = Table(
    "forgets",
    metadata,
    _key("tenant"),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Name, nullable=False),
    Column("scope", Text, nullable=False),
    Column("removed", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""What was asked to be forgotten. `scope` names it only until the rows are gone; `removed` counts by place."""

tombstones = Table(
    "tombstones",
    metadata,
    _key("tenant"),
    _key("mark"),
    Column("until", BigInteger),
    Column("seq", BigInteger, nullable=False),
)
"""Who and what was forgotten, as salted hashes: events up to `until` are refused, and writes begun before `seq`."""

version_marks = Table(
    "version_marks", metadata, _key("tenant"), _key("user_id"), Column("version", Integer, nullable=False)
)
"""The highest version that a user's portrait ever had, where it was removed: numbers are not given twice."""

vector_owners = Table(
    "vector_owners",
    metadata,
    _key("tenant"),
    _key("key"),
    _key("subject"),
    Index(None, "tenant", "subject"),
)
"""On whose behalf a text was embedded, as far as anybody said; without a row nobody knows."""
