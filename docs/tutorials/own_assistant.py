"""Personalise an assistant: listen to conversations, and tell the next one what matters, within so many tokens."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is opened
import matplotlib.pyplot as plt

from limner import Context, LimnerSync, load_settings

CONVERSATIONS = [
    [
        {"role": "user", "content": "Hi! What can I cook tonight? I never eat peanuts, I am allergic."},
        {"role": "assistant", "content": "A lentil soup, perhaps."},
        {"role": "user", "content": "I love lentils. I only have twenty minutes on weekdays."},
    ],
    [
        {"role": "user", "content": "I love novels about the sea. I do not like long books."},
        {"role": "assistant", "content": "Try a novella."},
        {"role": "user", "content": "Please answer in short sentences."},
    ],
]
QUESTIONS = ("What shall I cook?", "What shall I read?")


def read_arguments() -> argparse.Namespace:
    """Ask how much room the assistant gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="none", help="any model string of LiteLLM; none for no model")
    parser.add_argument("--embedder", default="minilm", help="what compares texts")
    parser.add_argument("--room", type=int, nargs="+", default=[50, 100, 200, 400], help="tokens")
    parser.add_argument("--out", type=Path, default=Path("own_assistant"))
    return parser.parse_args()


def draw_tokens(told: dict[str, list[Context]], room: list[int], path: Path) -> None:
    """Plot the tokens that a context takes, and its part that stays the same, against the room it was given."""
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for question, contexts in told.items():
        axes.plot(room, [context.tokens for context in contexts], marker="o", label=question)
    stable = [context.stable_tokens for context in told[QUESTIONS[0]]]
    axes.plot(room, stable, linestyle="--", label="stable: cached by the provider")
    axes.plot(room, room, color="grey", linewidth=0.8, label="room")
    axes.set_xlabel("room in tokens")
    axes.set_ylabel("tokens told")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Listen, draw, tell."""
    wanted = read_arguments()
    wanted.out.mkdir(parents=True, exist_ok=True)
    settings = load_settings(store=wanted.out / "store", model=wanted.model, embedder=wanted.embedder)
    with LimnerSync(settings) as opened:
        for messages in CONVERSATIONS:
            heard = opened.listen("ada", messages)
            print(f"{heard.recorded} turns: {[cue.text for cue in heard.cues]}")
        opened.profile("ada")
        told = {
            question: [opened.context("ada", question, max_tokens=room) for room in wanted.room]
            for question in QUESTIONS
        }
        chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": QUESTIONS[0]}]
        messages = opened.personalise(chat, user_id="ada")
    pages = [f"## {question}\n\n{contexts[-1].text}" for question, contexts in told.items()]
    pages.append(
        "## What the model gets\n\n" + "\n".join(f"- {said['role']}: {said['content']}" for said in messages)
    )
    (wanted.out / "context.md").write_text("# Context\n\n" + "\n\n".join(pages) + "\n", encoding="utf-8")
    draw_tokens(told, wanted.room, wanted.out / "tokens.png")
    print(f"{wanted.out / 'context.md'}")


if __name__ == "__main__":
    main()
