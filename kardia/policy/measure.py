"""A policy on held-out prompts: it writes, and what it wrote is scored by the reward, the rubric and a second judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from kardia.conversation import Conversation
from kardia.engine.halt import Halt
from kardia.engine.ledger import Ledger
from kardia.errors import Interrupted
from kardia.policy.data import Prompt
from kardia.policy.diversity import Constant, best_constant, candidates
from kardia.policy.follow import Moment, Notify, hushed
from kardia.policy.generation import generate, prompt_tokens, write_replies
from kardia.policy.measured import Measured, Wrote
from kardia.policy.model import takes_system
from kardia.policy.prepared import Prepared
from kardia.policy.ranks import Ranks
from kardia.policy.recipe import EvaluationSpec, Recipe
from kardia.policy.seekers import held_talks, seeker_of
from kardia.policy.wording import labels_of, messages_of
from kardia.reward.completion import Completion, completion_of
from kardia.reward.evidence import JudgeLike
from kardia.reward.expression import RewardSpec
from kardia.reward.reward import Judged, Reward
from kardia.reward.terms.emotion import emotion_match
from kardia.reward.terms.emotions import EMOTIONS, label_of
from kardia.reward.terms.format import format_fault
from kardia.reward.terms.rubric import RubricTerm
from kardia.reward.words import words
from kardia.spans import split_reply

__all__ = ["drawn", "measure", "measure_talks", "measured_prompts", "stock_reply", "talk_all", "write_all"]

LedgerLike = Ledger | str | None


def measured_prompts(prepared: Prepared) -> tuple[Prompt, ...]:
    """The held-out prompts that are measured: spread evenly over all of them."""
    told = prepared.recipe.evaluation
    size = len(prepared.held_out)
    if told is None or size <= told.prompts:
        return prepared.held_out
    return tuple(prepared.held_out[place * size // told.prompts] for place in range(told.prompts))


def drawn(recipe: Recipe) -> tuple[int, float, float]:
    """How the policy writes when it is measured: the most tokens, the temperature, the probability mass."""
    told, grpo = recipe.evaluation or EvaluationSpec(), recipe.grpo
    usual = (512, 1.0, 1.0) if grpo is None else (grpo.max_completion_length, grpo.temperature, grpo.top_p)
    return (
        told.max_new_tokens or usual[0],
        usual[1] if told.temperature is None else told.temperature,
        usual[2] if told.top_p is None else told.top_p,
    )


def write_all(
    prepared: Prepared,
    model: Any,
    tokenizer: Any,
    ranks: Ranks,
    stage: str,
    notify: Notify | None = None,
    halt: Halt | None = None,
) -> list[Wrote]:
    """The policy's completions of the measured prompts, each process its share.

    Raises:
        Interrupted: where it was halted.
    """
    recipe = prepared.recipe
    told = recipe.evaluation
    assert told is not None
    has_system = takes_system(tokenizer)
    own = ranks.share([(each, sample) for each in measured_prompts(prepared) for sample in range(told.samples)])
    said = [messages_of(each, prepared.system, recipe.data.tell, has_system=has_system) for each, _ in own]
    found: dict[int, Wrote] = {}

    def keep(place: int, written: Any) -> None:
        prompt, sample = own[place]
        found[place] = Wrote(prompt.id, sample, written.text or "", written.tokens, written.truncated)
        if notify is not None and ranks.main:
            notify(Moment(stage, len(found), len(own)))

    limit, heat, mass = drawn(recipe)
    with hushed():
        write_replies(
            model,
            tokenizer,
            prompt_tokens(tokenizer, said),
            keep,
            samples=[sample for _, sample in own],
            max_new_tokens=limit,
            temperature=heat,
            top_p=mass,
            seed=recipe.seed,
            batch_size=told.batch_size,
            stop=lambda: halt is not None and halt.requested,
        )
    if ranks.any(len(found) < len(own)):
        raise Interrupted("the training was stopped while its policy was measured; what was trained is kept")
    return ranks.gather([found[place] for place in range(len(own))])


def measure(
    prepared: Prepared, wrote: Sequence[Wrote], reward: Reward | None, ledger: LedgerLike = None
) -> list[Measured]:
    """Scores what a policy wrote.

    Args:
        wrote: completions of held-out prompts.
        reward: the one that is trained towards; None: there is none.
        ledger: where judgments are kept; as `kardia.score` takes it.

    Raises:
        JudgeUnreachable, BudgetExhausted: where a judge cannot be reached.
    """
    known = {prompt.id: prompt for prompt in prepared.held_out}
    completions = [_completion(known[each.prompt], each.text, each.truncated) for each in wrote]
    rewards = None if reward is None else reward.judge(completions)
    first, second = _by_both(prepared, completions, ledger)
    found: list[Measured] = []
    for place, each in enumerate(wrote):
        value = None if rewards is None else rewards.values[place]
        found.append(
            Measured(
                **_written(prepared, known[each.prompt], each),
                reward=None if value is None else value.value,
                why=None if value is None else value.why,
                terms={} if value is None else {name: term.value for name, term in value.terms.items()},
                **_scores(first, second, place),
            )
        )
    return found


def talk_all(prepared: Prepared, model: Any, tokenizer: Any) -> list[Conversation]:
    """The policy's talks with held-out seekers, by the rules of evaluation.

    Raises:
        JudgeUnreachable: where the seekers' judge cannot be reached.
    """
    recipe, cast = prepared.recipe, prepared.cast
    told = recipe.evaluation
    assert told is not None
    assert cast is not None
    assert recipe.environment is not None
    _, heat, mass = drawn(recipe)
    limit = told.max_new_tokens or 256  # of one reply; GRPO's limit is that of a whole talk
    turn = 0

    async def policy(talks: Sequence[Sequence[dict[str, str]]]) -> list[str]:
        nonlocal turn
        turn += 1
        return await asyncio.to_thread(
            generate,
            model,
            tokenizer,
            talks,
            max_new_tokens=limit,
            temperature=heat,
            top_p=mass,
            seed=recipe.seed + turn,
            batch_size=told.batch_size,
        )

    seeker = seeker_of(recipe.environment, prepared.judges.reward)
    with hushed():
        return held_talks(recipe, cast, seeker, policy, prepared.system, talks=told.prompts)


def measure_talks(prepared: Prepared, talks: Sequence[Conversation], ledger: LedgerLike = None) -> list[Measured]:
    """Scores talks: how the seeker felt at the end, and the last reply by the rubric.

    Raises:
        JudgeUnreachable, BudgetExhausted: where a judge cannot be reached.
    """
    completions: list[Completion] = []
    for talk in talks:
        last = talk.messages[: talk.reply_index + 1]
        said = [{"role": each.role, "content": each.content} for each in last[:-1] if each.role != "system"]
        told = {name: talk.metadata[name] for name in ("profile", "situation", "emotion") if name in talk.metadata}
        completions.append(completion_of(said, last[-1].content, {**told, "group": talk.id}))
    first, second = _by_both(prepared, completions, ledger)
    found: list[Measured] = []
    for place, (talk, completion) in enumerate(zip(talks, completions, strict=True)):
        reply = completion.parts.reply
        trace = talk.metadata["emotion_trace"]
        found.append(
            Measured(
                talk.id,
                0,
                completion.text,
                0,
                False,
                reply,
                len(words(reply)),
                reward=talk.metadata.get("reward"),
                why=talk.metadata.get("why"),
                seeker={
                    "emotion": trace[-1] if trace else None,
                    "turns": len(talk.metadata["reactions"]),
                    "end": talk.metadata["end"],
                    "outcome": talk.metadata["outcome"],
                },
                **_scores(first, second, place),
            )
        )
    return found


def stock_reply(prepared: Prepared, rows: Sequence[Measured], ledger: LedgerLike = None) -> dict[str, Any] | None:
    """The best that one of the policy's own replies does as the answer to everything, beside the policy itself on the
    same prompts.

    Returns:
        `text`, `mean`, `n`, `tried`, and `policy`, the policy's mean; None where nothing can be compared.

    Raises:
        JudgeUnreachable, BudgetExhausted: where the judge cannot be reached.
    """
    told = prepared.recipe.evaluation
    if told is None or told.constant is None or prepared.rubric is None or prepared.cast is not None:
        return None
    prompts = measured_prompts(prepared)
    few = min(told.constant.prompts, len(prompts))
    chosen = [prompts[place * len(prompts) // few] for place in range(few)]
    texts = candidates([(row.reply, row.score) for row in rows], told.constant.candidates)
    if not texts:
        return None
    judged = _by(prepared, prepared.judges.evaluation, ledger, [_completion(p, t) for t in texts for p in chosen])
    values = [value.value for value in judged.values]
    scores = {text: values[place * few : (place + 1) * few] for place, text in enumerate(texts)}
    best: Constant | None = best_constant(scores)
    names = {prompt.id for prompt in chosen}
    own = [row.score for row in rows if row.prompt in names and row.score is not None]
    if best is None or not own:
        return None
    return {
        "text": best.text,
        "mean": best.mean,
        "n": best.n,
        "tried": best.tried,
        "policy": sum(own) / len(own),
    }


def _by_both(
    prepared: Prepared, completions: Sequence[Completion], ledger: LedgerLike
) -> tuple[Judged | None, Judged | None]:
    """By the rubric: what the judge says, and what the second one does."""
    if prepared.rubric is None or prepared.recipe.evaluation is None:
        return None, None
    judges = prepared.judges
    first = _by(prepared, judges.evaluation, ledger, completions)
    return first, None if judges.second is None else _by(prepared, judges.second, ledger, completions)


def _by(prepared: Prepared, judge: JudgeLike, ledger: LedgerLike, completions: Sequence[Completion]) -> Judged:
    """The rubric alone, asked as a reward is."""
    told = prepared.recipe.evaluation
    assert told is not None
    assert prepared.rubric is not None
    term = RubricTerm(rubric=prepared.rubric, nothing_written=told.nothing_written)
    scorer = Reward(RewardSpec(name="rubric", terms={"rubric": term}), judge, ledger=ledger)
    try:
        return scorer.judge(completions)
    finally:
        scorer.close()


def _scores(first: Judged | None, second: Judged | None, place: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key, judged in (("score", "criteria", first), ("second", "second_criteria", second)):
        card = None if judged is None else judged.cards["rubric"][place]
        found[name] = None if judged is None else judged.values[place].value
        found[key] = {} if card is None else {criterion: told.value for criterion, told in card.criteria.items()}
    return found


def _completion(prompt: Prompt, text: str, truncated: bool | None = None) -> Completion:
    said = [message.to_json() for message in prompt.messages]
    metadata: Mapping[str, Any] = {**prompt.metadata, "group": prompt.id}
    return completion_of(said, text, metadata, truncated=truncated)


def _written(prepared: Prepared, prompt: Prompt, each: Wrote) -> dict[str, Any]:
    data = prepared.recipe.data
    parts = split_reply(each.text)
    fault = None if data.spans is None else format_fault(each.text, data.spans, data.tags)
    emotion: float | None = None
    gold = prompt.metadata.get("emotion")
    labels = labels_of(prepared.spec) or EMOTIONS
    if data.spans is not None and "emotion" in data.spans and isinstance(gold, str) and label_of(gold, labels):
        said = parts.spans.get("emotion")
        emotion = 0.0 if said is None else emotion_match(said, gold, labels)
    return {
        **{name: getattr(each, name) for name in ("prompt", "sample", "text", "tokens", "truncated")},
        "reply": parts.reply,
        "words": len(words(parts.reply)),
        "kept": None if data.spans is None else fault is None,
        "fault": fault,
        "emotion": emotion,
    }
