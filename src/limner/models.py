"""The words of Limner as data: what is noted, drawn, criticised and logged."""

from typing import Annotated

from pydantic import Field

from .pairings import Judgement, PairOutcome, PairSide
from .records import Identifier, Kind, Message, Moment, Polarity, ProfileSource, Record, Usage


class Cue(Record):
    """One compact observation about a user (or, in a pair, about an item)."""

    cue_id: Identifier
    """Content hash of subject and observation."""

    text: str
    """The observation, a short phrase."""

    polarity: Polarity
    """Whether it speaks for or against the facet."""

    facet: str
    """The theme it belongs to, a word or two."""

    evidence: tuple[str, ...]
    """Event ids it rests on; never empty."""

    weight: Annotated[float, Field(ge=0.0)] = 1.0
    """How much it counts; the number of supporting interactions unless a source says otherwise."""

    read_to: tuple[Moment, str] | None = None
    """Moment and event id of the newest interaction its writer had read, cited or not; a portrait of an earlier
    moment does not use it. Absent if it rests on `evidence` alone."""


class Facet(Record):
    """One interest of a user in one sentence, embedded on its own."""

    name: str
    """The theme, a word or two."""

    text: str
    """The sentence."""

    polarity: Polarity = "like"
    """Whether the user is drawn to it."""


class Claim(Record):
    """One statement of a profile and the interactions that support it."""

    text: str
    """The statement; one of the profile's facet sentences."""

    evidence: tuple[str, ...]
    """Event ids, most supporting first; never empty in a published profile."""

    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    """Measured support by the cited interactions: 0 none, 1 the same words."""


class RecentEvent(Record):
    """One entry of the raw tail that goes with a profile."""

    event_id: Identifier
    """The interaction."""

    item_id: Identifier | None
    """Its item; absent for a chat message."""

    title: str
    """The item's title, or the first words of the message."""

    kind: Kind
    """What was done."""

    at: Moment
    """When."""

    rating: float | None = None
    """On the source's own scale."""


class Profile(Record):
    """A portrait of one user in words: long memory as facets, short memory as a raw tail."""

    user_id: Identifier
    """Whose portrait this is."""

    version: Annotated[int, Field(ge=1)]
    """Counts from 1 for each user."""

    parent_version: int | None = None
    """The version it followed; absent for the first."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    text: str
    """The portrait as one paragraph."""

    likes: tuple[str, ...] = ()
    """Sentences about what draws the user."""

    dislikes: tuple[str, ...] = ()
    """Sentences about what puts the user off."""

    facets: tuple[Facet, ...] = ()
    """The sentences with their themes; each has its own vector in the catalogue."""

    claims: tuple[Claim, ...] = ()
    """The same sentences with their evidence."""

    recent: tuple[RecentEvent, ...] = ()
    """The last interactions as they were, newest first; includes those the critic held back."""

    language: str
    """ISO 639-1 code of the language the user writes in, or of the catalogue's text."""

    source: ProfileSource
    """`model` if a language model wrote it, `extractive` if it was assembled without one."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know, for example why no model text was used."""

    reward: float | None = None
    """Total reward by the critic; absent if the history was too short to hold anything back."""

    reward_terms: dict[str, float] = Field(default_factory=dict[str, float])
    """The terms of the reward, unweighted."""

    usage: Usage = Usage()
    """What drawing this version cost, drafts that lost included."""

    model: str | None = None
    """The model that wrote the published text; absent if extractive."""

    prompt_versions: dict[str, int] = Field(default_factory=dict[str, int])
    """Prompt id to version, for every prompt used."""

    critic_version: str
    """Encoder and settings of the critic; rewards compare only within one version."""

    fingerprint: str
    """Hash of everything it was drawn from; equal fingerprints make a redraw a no-op."""

    created_at: Moment
    """When it was published."""


class Critique(Record):
    """What the critic found in one draft: numbers, and a sentence for the next draft."""

    rank: float | None
    """Mean mid-rank of the held-back items among the negatives, 1 is best; absent without any."""

    margin: float | None
    """Mean score of the held-back items minus the mean of the negatives, in cosine units."""

    missed: tuple[str, ...] = ()
    """Observations the draft leaves out although they point at what it failed to predict."""

    unsupported: tuple[str, ...] = ()
    """Sentences whose cited evidence does not support them."""

    boilerplate: tuple[str, ...] = ()
    """Sentences that would fit other users as well."""

    rewards: dict[str, float]
    """Every term that was computed, and `total`."""

    advice: str
    """One sentence the next draft can use; never names a held-back item."""


class Rollout(Record):
    """One draft as it happened, ready for offline learning."""

    rollout_id: Identifier
    """Unique in a tenant."""

    run_id: Identifier
    """The drawing it belongs to; equal for all drafts of one run."""

    user_id: Identifier
    """Whose profile was drafted."""

    item_id: Identifier | None = None
    """The item of a pair; absent for a profile."""

    round: int
    """0 for first drafts, then the revision round; the extractive floor is round -1."""

    draft_ix: int
    """Index within the round."""

    group_key: str
    """Hash of user, prompt, critic version and negatives seed: rewards compare only within it."""

    messages: tuple[Message, ...]
    """The prompt; empty for the extractive floor."""

    completion: str
    """What the model wrote, before any repair."""

    profile_text: str
    """The draft after parsing; empty if it could not be parsed."""

    facets: tuple[Facet, ...] = ()
    """Its sentences, each to be embedded on its own, so that a later critic can grade it again."""

    claims: tuple[Claim, ...] = ()
    """The same sentences with their evidence."""

    sides: tuple[PairSide, PairSide] | None = None
    """Of a pair, the user's and the item's three spans as the model wrote them; absent for a profile."""

    judgement: Judgement | None = None
    """What the judge read out of a pair's two profiles; absent if it was not asked."""

    outcome: PairOutcome | None = None
    """What the user did, where a pair was written to learn from; no draft, judge or choice has seen it."""

    finish_reason: str
    """As the backend gives it; `none` for the extractive floor."""

    backend: str
    """Model string."""

    model_rev: str
    """Revision or checksum of the weights, as far as it is known."""

    temperature: float
    """Sampling temperature."""

    top_p: float
    """Nucleus mass."""

    seed: int | None = None
    """Sampling seed; absent if none was sent."""

    token_ids: tuple[int, ...] | None = None
    """Completion tokens, if the backend gives them."""

    token_logprobs: tuple[float, ...] | None = None
    """Their log-probabilities under the behaviour policy, if the backend gives them."""

    selected: bool
    """Whether this draft was published."""

    selection_propensity: float
    """Probability with which the selection rule would publish it; 1 or 0 for the arg-max."""

    rewards: dict[str, float]
    """Every reward term, and `total`; empty if the draft could not be scored."""

    critic_version: str
    """Encoder and settings of the critic."""

    critic_rank: float | None = None
    """Mean mid-rank of the held-back items among the negatives; absent without any."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    held: tuple[str, ...]
    """Event ids that were held back from the draft, for a later critic."""

    neg_seed: int
    """Seed of the negatives; with `as_of` and `held` it draws the same ones again."""

    prompt_id: str
    """Which prompt; `extractive` for the floor."""

    prompt_version: int
    """Its version."""

    usage: Usage
    """What this draft cost."""

    at: Moment
    """When it was written."""

    consent: bool | None = None
    """Whether the user allowed learning from it; absent if nobody asked."""
