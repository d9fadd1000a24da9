"""kardia: rubric-as-judge reward modelling.

A rubric says what a good reply is, a judge scores a conversation against each of its criteria, and the scores become
a number.

    rubric = kardia.load_rubric("supportiveness@1")
    judge = kardia.load_judge("embedded")
    card = kardia.score(conversation, rubric, judge)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kardia.version import __version__

if TYPE_CHECKING:
    from kardia.agreement.agree import agree
    from kardia.calibration.calibrate import calibrate
    from kardia.comparing import GroupJudgment, PairJudgment, judge_group, judge_pair
    from kardia.conversation import Conversation, Message
    from kardia.errors import (
        AnswerError,
        BudgetExhausted,
        InputError,
        Interrupted,
        JudgeError,
        JudgeUnreachable,
        KardiaError,
        TransientError,
    )
    from kardia.judge import Judge, JudgeProfile, load_judge
    from kardia.judge.backends.fake import FakeJudge
    from kardia.judge.protocol import Known, Opinion, Request, Said, Usage
    from kardia.judgment import Judgment, Scorecard
    from kardia.reading import read_conversations
    from kardia.report.frame import to_pandas
    from kardia.reward.reward import Reward, RubricReward, load_reward
    from kardia.rubric.loading import load_rubric
    from kardia.rubric.models import Criterion
    from kardia.rubric.rubric import Rubric
    from kardia.scoring import ascore, ascore_many, score, score_many

__all__ = [
    "AnswerError",
    "BudgetExhausted",
    "Conversation",
    "Criterion",
    "FakeJudge",
    "GroupJudgment",
    "InputError",
    "Interrupted",
    "Judge",
    "JudgeError",
    "JudgeProfile",
    "JudgeUnreachable",
    "Judgment",
    "KardiaError",
    "Known",
    "Message",
    "Opinion",
    "PairJudgment",
    "Request",
    "Reward",
    "Rubric",
    "RubricReward",
    "Said",
    "Scorecard",
    "TransientError",
    "Usage",
    "__version__",
    "agree",
    "ascore",
    "ascore_many",
    "calibrate",
    "judge_group",
    "judge_pair",
    "load_judge",
    "load_reward",
    "load_rubric",
    "read_conversations",
    "score",
    "score_many",
    "to_pandas",
]

# Names are imported when they are first used, so that `import kardia` and `kardia --help` stay quick.
_HOMES = {
    "AnswerError": "kardia.errors",
    "BudgetExhausted": "kardia.errors",
    "Conversation": "kardia.conversation",
    "Criterion": "kardia.rubric.models",
    "FakeJudge": "kardia.judge.backends.fake",
    "GroupJudgment": "kardia.comparing",
    "InputError": "kardia.errors",
    "Interrupted": "kardia.errors",
    "Judge": "kardia.judge.protocol",
    "JudgeError": "kardia.errors",
    "JudgeProfile": "kardia.judge.profile",
    "JudgeUnreachable": "kardia.errors",
    "Judgment": "kardia.judgment",
    "KardiaError": "kardia.errors",
    "Known": "kardia.judge.protocol",
    "Message": "kardia.conversation",
    "Opinion": "kardia.judge.protocol",
    "PairJudgment": "kardia.comparing",
    "Request": "kardia.judge.protocol",
    "Reward": "kardia.reward.reward",
    "Rubric": "kardia.rubric.rubric",
    "RubricReward": "kardia.reward.reward",
    "Said": "kardia.judge.protocol",
    "Scorecard": "kardia.judgment",
    "TransientError": "kardia.errors",
    "Usage": "kardia.judge.protocol",
    "agree": "kardia.agreement.agree",
    "ascore": "kardia.scoring",
    "ascore_many": "kardia.scoring",
    "calibrate": "kardia.calibration.calibrate",
    "judge_group": "kardia.comparing",
    "judge_pair": "kardia.comparing",
    "load_judge": "kardia.judge",
    "load_reward": "kardia.reward.reward",
    "load_rubric": "kardia.rubric.loading",
    "read_conversations": "kardia.reading",
    "score": "kardia.scoring",
    "score_many": "kardia.scoring",
    "to_pandas": "kardia.report.frame",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kardia' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
