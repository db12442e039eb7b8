"""Portraits of your own data: from an export of a service to a page of claims with their evidence.

Without `--file` it shows the invented sample that ships with Limner.
"""

import argparse
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is opened
import matplotlib.pyplot as plt

import limner
from limner import Interaction, LimnerSync, Profile, load_settings


def read_arguments() -> argparse.Namespace:
    """Ask what to draw and where to leave it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, action="append", help="export or table; repeatable")
    parser.add_argument("--user", help="whose export it is, where the file does not say")
    parser.add_argument("--model", default="none", help="any model string of LiteLLM; none for no model")
    parser.add_argument("--embedder", default="minilm", help="what compares texts")
    parser.add_argument("--people", type=int, default=3, help="how many to draw")
    parser.add_argument("--out", type=Path, default=Path("own_data"))
    return parser.parse_args()


def tell(portrait: Profile, history: list[Interaction]) -> str:
    """Return a portrait in Markdown, each claim with the events it rests on."""
    events = {event.event_id: event for event in history}
    lines = [f"## {portrait.user_id}", "", portrait.text, ""]
    for claim in portrait.claims:
        lines.append(f"- {claim.text} (support {claim.confidence:.2f})")
        for event in (events[name] for name in claim.evidence if name in events):
            said = f": {event.text[:100]}" if event.text else ""
            lines.append(f"  - {event.at:%Y-%m-%d} {event.kind} {event.item_id or ''}{said}")
    return "\n".join(lines)


def draw_activity(histories: dict[str, list[Interaction]], path: Path) -> None:
    """Plot how many events each month has, a line for each person."""
    figure, axes = plt.subplots(figsize=(8, 3))
    for user, history in histories.items():
        months = Counter(event.at.strftime("%Y-%m") for event in history)
        axes.plot(sorted(months), [months[month] for month in sorted(months)], marker="o", label=user)
    axes.set_ylabel("events a month")
    axes.tick_params(axis="x", rotation=90, labelsize=6)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Import, draw, write."""
    wanted = read_arguments()
    wanted.out.mkdir(parents=True, exist_ok=True)
    sample = Path(limner.__file__).parent / "sample"
    files = wanted.file or [sample / "items.jsonl", sample / "interactions.jsonl"]
    settings = load_settings(store=wanted.out / "store", model=wanted.model, embedder=wanted.embedder)
    with LimnerSync(settings) as opened:
        for file in files:
            report = opened.import_file(file, user_id=wanted.user)
            print(f"{file.name}: {report.events} events, {report.rejected} rows rejected")
        # Who did most is told best.
        histories = {user: opened.history(user) for user in opened.users()}
        chosen = sorted(histories, key=lambda user: (-len(histories[user]), user))[: wanted.people]
        pages = [tell(opened.profile(user), histories[user]) for user in chosen]
    (wanted.out / "portraits.md").write_text("# Portraits\n\n" + "\n\n".join(pages) + "\n", encoding="utf-8")
    draw_activity({user: histories[user] for user in chosen}, wanted.out / "activity.png")
    print(f"{wanted.out / 'portraits.md'}: {len(chosen)} portraits")


if __name__ == "__main__":
    main()
