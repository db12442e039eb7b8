"""A comparison of two profilers as Markdown."""

from collections.abc import Iterable

from .evaluation import Compared, Evaluation

_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


_LEGEND = (
    "↑ more is better, ↓ less is better. Intervals: bootstrap over users; p: paired randomisation test. Held-back items "
    "are ranked among the critic's negatives (sampled, not the full catalogue)."
)


def as_markdown(evaluation: Evaluation) -> str:
    """Return the comparison for people: what was compared, and every number with its interval."""
    plan = evaluation.plan
    lines = [
        f"# {plan.candidate} against {plan.baseline}",
        "",
        *_setting(evaluation),
        "",
        "| | Candidate | Baseline | Difference [95 %] | p | p (Holm) | Users |",
        "|---|---|---|---|---|---|---|",
        *(_row(each, primary=each.metric == plan.primary) for each in evaluation.figures),
        "",
        _LEGEND,
        "",
        *_together(evaluation),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _setting(evaluation: Evaluation) -> Iterable[str]:
    plan = evaluation.plan
    yield (
        f"{evaluation.users:,} users of the split `{plan.split}`, {plan.drafts} portraits each by either profiler, "
        f"temperature {plan.temperature:g}, seed {plan.seed}, "
        f"answers {'held to a schema' if plan.guided else 'written freely'}."
    )
    yield (
        f"Critic `{plan.critic_encoder}` (version {plan.critic_version}); held-out encoder "
        f"{f'`{plan.held_out}`' if plan.held_out else 'none'}. Candidate `{plan.candidate_identity}`, baseline "
        f"`{plan.baseline_identity}`."
    )
    yield f"Declared before anything was drawn: `{plan.primary}` decides."
    if evaluation.changed:
        yield (
            f"{evaluation.changed:,} users were left out: the store no longer gives what their prompts were drawn from."
        )


def _row(each: Compared, *, primary: bool) -> str:
    name = f"**{each.metric}**" if primary else each.metric
    corrected = "-" if primary else _p(each.p_holm)
    return (
        f"| {name} {_ARROWS[each.better]} | {each.candidate:.4f} | {each.baseline:.4f} | {each.difference:+.4f} "
        f"[{each.low:+.4f}, {each.high:+.4f}] | {_p(each.p_value)} | {corrected} | {each.users:,} |"
    )


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _together(evaluation: Evaluation) -> Iterable[str]:
    if evaluation.together:
        yield "| All portraits together | Candidate | Baseline |"
        yield "|---|---|---|"
        for name, (candidate, baseline) in evaluation.together.items():
            yield f"| {name} | {candidate:.4f} | {baseline:.4f} |"
