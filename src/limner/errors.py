"""Every error Limner raises on purpose.

    LimnerError
    ├── InputError            the caller's data or arguments
    │   ├── BadRowError           one row of an import
    │   ├── UnknownFormatError    a file nobody can read
    │   ├── UnknownUserError
    │   ├── NoPortraitError       nothing drawn yet
    │   ├── UnknownItemError
    │   ├── UnknownClaimError     a claim that the portrait does not make
    │   ├── EmptyHistoryError
    │   ├── NoTextError
    │   ├── SettingsError
    │   ├── CriticVersionError    rewards of another critic
    │   ├── EmptySplitError       nothing left to train on
    │   └── ExamChangedError      nothing left to grade alike with
    │   ├── TooFewLessonsError    nobody to learn a space from
    │   ├── TooFewUsersError      nobody to group
    │   ├── NoGroupsError         no refresh yet
    │   ├── TooFewExamplesError   nobody to learn a scorer of pairs from
    ├── ModelError            a language model or encoder
    │   ├── ModelUnavailableError
    │   ├── ModelOutputError
    │   ├── PriceUnknownError
    │   └── BudgetExceededError
    ├── WeightsError          weights on disk
    │   ├── UnknownWeightsError
    │   ├── WeightsMissingError
    │   └── ChecksumError
    ├── StoreError            the database
    │   └── StoreNotEmptyError    a restore that would replace something
    ├── MigrationError        an index that is not what the rows say
    ├── BackupDamagedError    a backup that is not what was saved
    ├── ForgottenMeanwhileError  somebody was forgotten while work about them went on
    ├── EncoderChangedError   vectors of another encoder
    ├── SpaceError            a space taught on an encoder
    │   ├── SpaceFileError        a file that holds none
    │   └── WrongSpaceError       a space of another encoder
    ├── ScorerError           a scorer of pairs
    │   ├── ScorerFileError       a file that holds none
    │   └── WrongScorerError      a scorer of another encoder
    ├── LeakError             the future in what a system may see
    ├── SystemFailedError     a system under test raised
    └── MissingExtraError     an optional dependency

Each has a stable `code` for logs and for the wire. Arguments equal `__init__`'s, so errors pickle.
"""

from typing import ClassVar

from .records import Usage


class LimnerError(Exception):
    """Base of the tree."""

    code: ClassVar[str] = "limner"


class InputError(LimnerError):
    """The caller gave something that cannot be used."""

    code = "input"


class BadRowError(InputError):
    """A row of an import is not what it should be."""

    code = "bad_row"

    def __init__(self, file: str, line: int, field: str, reason: str) -> None:
        self.file, self.line, self.field, self.reason = file, line, field, reason
        super().__init__(file, line, field, reason)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.field}`: {self.reason}"


class UnknownFormatError(InputError):
    """A file's form was not recognised."""

    code = "unknown_format"

    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(file, reason)

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class UnknownUserError(InputError):
    """No interaction of this user was ever recorded."""

    code = "unknown_user"

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(user_id)

    def __str__(self) -> str:
        return f"user_id={self.user_id!r} is not in the store; record or import interactions first"


class NoPortraitError(InputError):
    """A known user's stored portrait is asked for and none was drawn yet."""

    code = "no_portrait"

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(user_id)

    def __str__(self) -> str:
        return f"user_id={self.user_id!r} has events but no portrait yet; draw one first"


class UnknownItemError(InputError):
    """The catalogue has no such item."""

    code = "unknown_item"

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        super().__init__(item_id)

    def __str__(self) -> str:
        return f"item_id={self.item_id!r} is not in the catalogue; import its item file first"


class UnknownClaimError(InputError):
    """The portrait makes no such claim, or several like it."""

    code = "unknown_claim"

    def __init__(self, user_id: str, claim: str, claims: int) -> None:
        self.user_id, self.claim, self.claims = user_id, claim, claims
        super().__init__(user_id, claim, claims)

    def __str__(self) -> str:
        return (
            f"the portrait of user_id={self.user_id!r} has {self.claims} claims and {self.claim} names none of them "
            "alone; give a claim's number, from 0, or its exact words"
        )


class EmptyHistoryError(InputError):
    """A known user has nothing before `as_of`. Raised before a model is paid for."""

    code = "empty_history"

    def __init__(self, user_id: str, as_of: str) -> None:
        self.user_id, self.as_of = user_id, as_of
        super().__init__(user_id, as_of)

    def __str__(self) -> str:
        return f"user_id={self.user_id!r} has 0 interactions before {self.as_of}; use a later `as_of`"


class NoTextError(InputError):
    """There is nothing to read: no catalogue text and no words of the user. Raised before a model is paid for."""

    code = "no_text"

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(subject)

    def __str__(self) -> str:
        return (
            f"{self.subject} has no text to draw from: its items are not in the catalogue and nobody wrote "
            "about them; import the item file"
        )


class SettingsError(InputError):
    """A setting from the environment, `limner.toml` or an option is wrong."""

    code = "settings"

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(name, reason)

    def __str__(self) -> str:
        return f"setting `{self.name}`: {self.reason}"


class CriticVersionError(InputError):
    """A log holds rewards of other critics than the one asked for. Rewards of two critics are never mixed."""

    code = "critic_version"

    def __init__(self, wanted: str | None, found: dict[str, int]) -> None:
        self.wanted, self.found = wanted, found
        super().__init__(wanted, found)

    def __str__(self) -> str:
        counts = ", ".join(f"{version!r} ({count} drafts)" for version, count in self.found.items())
        asked = "no critic was named" if self.wanted is None else f"critic {self.wanted!r} was asked for"
        return f"{asked}, but the log was graded by {counts}; name one of them, or grade the drafts again"


class EmptySplitError(InputError):
    """No group of drafts was left to train on."""

    code = "empty_split"

    def __init__(self, rollouts: int, dropped: dict[str, int]) -> None:
        self.rollouts, self.dropped = rollouts, dropped
        super().__init__(rollouts, dropped)

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.dropped.items() if count)
        return (
            f"nothing to train on is left of {self.rollouts} drafts (dropped: {reasons or 'none'}); draw more "
            "users, or loosen the filter or the boundary that dropped most"
        )


class ExamChangedError(InputError):
    """What drafts were written from or graded against is no longer what the store gives."""

    code = "exam_changed"

    def __init__(self, user_id: str, as_of: str, reason: str) -> None:
        self.user_id, self.as_of, self.reason = user_id, as_of, reason
        super().__init__(user_id, as_of, reason)

    def __str__(self) -> str:
        return (
            f"user_id={self.user_id!r} at {self.as_of} cannot be graded as it was: {self.reason}; use the store "
            "and settings of the log, or draw the user again and run `limner distill prepare`"
        )


class TooFewLessonsError(InputError):
    """Too few sequences to teach a space and hold somebody back to see whether it helped."""

    code = "too_few_lessons"

    def __init__(self, users: int, needed: int) -> None:
        self.users, self.needed = users, needed
        super().__init__(users, needed)

    def __str__(self) -> str:
        return (
            f"{self.users} users have two or more interactions in the past, {self.needed} are needed to teach "
            "a space; use more data, or a space taught on other data"
        )


class TooFewExamplesError(InputError):
    """Too few users with a known outcome to teach a scorer and hold somebody back to see how good it is."""

    code = "too_few_examples"

    def __init__(self, users: int, needed: int) -> None:
        self.users, self.needed = users, needed
        super().__init__(users, needed)

    def __str__(self) -> str:
        return (
            f"{self.users} users have a pair with a known outcome, {self.needed} are needed to teach a scorer; "
            "raise `--users`, or log more passes with `limner distill pairs`"
        )


class TooFewUsersError(InputError):
    """Fewer users than one group must have."""

    code = "too_few_users"

    def __init__(self, users: int, needed: int) -> None:
        self.users, self.needed = users, needed
        super().__init__(users, needed)

    def __str__(self) -> str:
        return (
            f"{self.users} users have items that can be compared, {self.needed} are needed for a group; record or "
            "import more, import the item file, or lower `groups.minimum`"
        )


class NoGroupsError(InputError):
    """No refresh has found groups yet, or none for a moment at or before `as_of`."""

    code = "no_groups"

    def __init__(self, as_of: str, reason: str = "no refresh has found groups") -> None:
        self.as_of, self.reason = as_of, reason
        super().__init__(as_of, reason)

    def __str__(self) -> str:
        return f"{self.reason} at or before {self.as_of}; run `limner refresh`, with `--as-of` for an earlier moment"


class ModelError(LimnerError):
    """A model could not do what was asked."""

    code = "model"


class ModelUnavailableError(ModelError):
    """Every attempt on every model failed."""

    code = "model_unavailable"

    def __init__(self, model: str, attempts: int, reason: str, usage: Usage | None = None) -> None:
        self.model, self.attempts, self.reason = model, attempts, reason
        self.usage = usage or Usage()
        super().__init__(model, attempts, reason, usage)

    def __str__(self) -> str:
        return (
            f"model={self.model!r} failed {self.attempts} times, last: {self.reason}; "
            "check the model string, `api_base` and key, or add `fallback_models`"
        )


class ModelOutputError(ModelError):
    """A model's answer did not fit the schema, even after repair and re-asking."""

    code = "model_output"

    def __init__(
        self, model: str, reason: str, text: str, usage: Usage | None = None, finish_reason: str = "unknown"
    ) -> None:
        self.model, self.reason, self.text = model, reason, text
        self.usage, self.finish_reason = usage or Usage(), finish_reason
        super().__init__(model, reason, text, usage, finish_reason)

    def __str__(self) -> str:
        return (
            f"model={self.model!r} gave no usable answer ({self.reason}): {self.text[:200]!r}; "
            'try a larger model or `drafting.style = "lexicon"`'
        )


class PriceUnknownError(ModelError):
    """A budget in money was set for a model whose price nobody knows."""

    code = "price_unknown"

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(model)

    def __str__(self) -> str:
        return (
            f"model={self.model!r} has no known price, so a money budget cannot be kept; "
            "set `chat.price_per_million` or budget in calls or tokens"
        )


class BudgetExceededError(ModelError):
    """The next call could pass a limit, so it was not made."""

    code = "budget_exceeded"

    def __init__(self, limit: str, allowed: float, spent: float, needed: float) -> None:
        self.limit, self.allowed, self.spent, self.needed = limit, allowed, spent, needed
        super().__init__(limit, allowed, spent, needed)

    def __str__(self) -> str:
        return (
            f"budget of {self.allowed:g} {self.limit} has {self.allowed - self.spent:g} left and the "
            f"next call may need {self.needed:g}; raise `budget.{self.limit}`"
        )


class WeightsError(LimnerError):
    """Weights on disk cannot be used."""

    code = "weights"


class UnknownWeightsError(WeightsError):
    """No weights of this name are known or lie in the models folder."""

    code = "weights_unknown"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(name, known)

    def __str__(self) -> str:
        return f"model {self.name!r} is unknown; `limner models list` names {', '.join(self.known)}"


class WeightsMissingError(WeightsError):
    """Known weights are not on disk."""

    code = "weights_missing"

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path
        super().__init__(name, path)

    def __str__(self) -> str:
        return f"weights {self.name!r} are not at {self.path}; run `limner models fetch {self.name}`"


class ChecksumError(WeightsError):
    """A file's sha256 is not the published one."""

    code = "weights_checksum"

    def __init__(self, path: str, wanted: str, found: str) -> None:
        self.path, self.wanted, self.found = path, wanted, found
        super().__init__(path, wanted, found)

    def __str__(self) -> str:
        return (
            f"{self.path}: sha256 is {self.found}, wanted {self.wanted}; "
            "delete the file and run `limner models fetch`"
        )


class StoreError(LimnerError):
    """The database cannot be opened or used."""

    code = "store"

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(url, reason)

    def __str__(self) -> str:
        return f"store {self.url}: {self.reason}"


class StoreNotEmptyError(StoreError):
    """A backup is to be restored where something is already."""

    code = "store_not_empty"

    def __init__(self, url: str) -> None:
        self.url, self.reason = url, "is not empty"
        LimnerError.__init__(self, url)  # args == __init__'s parameters

    def __str__(self) -> str:
        return (
            f"store {self.url} is not empty; choose another with `store` or `database_url`, "
            "or have `limner restore --replace` replace all of it"
        )


class MigrationError(LimnerError):
    """The index of a migrated store does not hold what its rows say."""

    code = "migration"

    def __init__(self, tenant: str, what: str, wanted: int, found: int) -> None:
        self.tenant, self.what, self.wanted, self.found = tenant, what, wanted, found
        super().__init__(tenant, what, wanted, found)

    def __str__(self) -> str:
        return (
            f"the index of tenant {self.tenant!r} holds {self.found:,} {self.what} that are not the {self.wanted:,} of "
            "its rows; run `limner reindex` for it, then the same command again"
        )


class BackupDamagedError(LimnerError):
    """A file is no whole backup, or not what was saved; nothing of it was restored."""

    code = "backup_damaged"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path} cannot be restored: {self.reason}; take another backup file"


class ForgottenMeanwhileError(LimnerError):
    """Somebody was forgotten while something about them was written; nothing of it was kept."""

    code = "forgotten_meanwhile"

    def __init__(self, since: int) -> None:
        self.since = since
        super().__init__(since)

    def __str__(self) -> str:
        return (
            "somebody this is about was forgotten while it was made, so nothing was kept "
            f"(it began when the tenant had had {self.since} forgets); ask again"
        )


class EncoderChangedError(LimnerError):
    """The index holds vectors of another encoder; they are never mixed."""

    code = "encoder_changed"

    def __init__(self, collection: str, indexed: str, configured: str) -> None:
        self.collection, self.indexed, self.configured = collection, indexed, configured
        super().__init__(collection, indexed, configured)

    def __str__(self) -> str:
        return (
            f"{self.collection} was indexed with encoder {self.indexed!r}, but {self.configured!r} is "
            "configured; run `limner reindex`, or set `embedder` back"
        )


class SpaceError(LimnerError):
    """A taught space cannot be used."""

    code = "space"


class SpaceFileError(SpaceError):
    """There is no such file, or it holds no space."""

    code = "space_file"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; give a file written by `limner distill embed`"


class WrongSpaceError(SpaceError):
    """A space was taught on another encoder than the one it is to be used with."""

    code = "space_encoder"

    def __init__(self, space: str, taught: str, configured: str) -> None:
        self.space, self.taught, self.configured = space, taught, configured
        super().__init__(space, taught, configured)

    def __str__(self) -> str:
        return (
            f"{self.space} was taught on encoder {self.taught!r}, but {self.configured!r} is configured; "
            "use that encoder, or teach a space with `limner distill embed`"
        )


class ScorerError(LimnerError):
    """A taught scorer of pairs cannot be used."""

    code = "scorer"


class ScorerFileError(ScorerError):
    """There is no such file, or it holds no scorer."""

    code = "scorer_file"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; give a file written by `limner distill scorer`"


class WrongScorerError(ScorerError):
    """A scorer was taught on vectors of another encoder or space than those it is to be used with."""

    code = "scorer_encoder"

    def __init__(self, scorer: str, taught: str, configured: str) -> None:
        self.scorer, self.taught, self.configured = scorer, taught, configured
        super().__init__(scorer, taught, configured)

    def __str__(self) -> str:
        return (
            f"{self.scorer} was taught on encoder {self.taught!r}, but {self.configured!r} is configured; "
            "use that encoder, or teach a scorer with `limner distill scorer`"
        )


class LeakError(LimnerError):
    """Something that a system under test may see lies at or after the moment it is asked about."""

    code = "leak"

    def __init__(self, where: str, user_id: str, item_id: str, at: int, as_of: int) -> None:
        self.where, self.user_id, self.item_id, self.at, self.as_of = where, user_id, item_id, at, as_of
        super().__init__(where, user_id, item_id, at, as_of)

    def __str__(self) -> str:
        return (
            f"{self.where}: the event of user_id={self.user_id!r} on item_id={self.item_id!r} at {self.at} is "
            f"not before as_of={self.as_of}, or of another user; build from the user's earlier events only"
        )


class SystemFailedError(LimnerError):
    """A system under test raised an error of its own; that error is the cause."""

    code = "system_failed"

    def __init__(self, system: str, step: str, kind: str, text: str, where: str) -> None:
        self.system, self.step, self.kind, self.text, self.where = system, step, kind, text, where
        super().__init__(system, step, kind, text, where)

    def __str__(self) -> str:
        raised = f"{self.kind}: {self.text}" if self.text else self.kind
        return (
            f"system {self.system!r} failed in `{self.step}` at {self.where}: {raised}; correct the system and "
            "repeat the command, which skips what is finished"
        )


class MissingExtraError(LimnerError):
    """An optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, feature: str, extra: str) -> None:
        self.feature, self.extra = feature, extra
        super().__init__(feature, extra)

    def __str__(self) -> str:
        return f"{self.feature} needs `pip install 'limner[{self.extra}]'`"
