"""What the tests of the three endpoint backends share: one profile, one request."""

from __future__ import annotations

from typing import Any

from kardia.conversation import Conversation, Message
from kardia.judge.profile import JudgeProfile
from kardia.judge.protocol import Request
from kardia.plan import Planner
from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric

RUBRIC = Rubric(
    RubricFile.model_validate(
        {
            "name": "kindness",
            "version": "1.0.0",
            "title": "Kindness",
            "criteria": [
                {
                    "id": "kind",
                    "question": "How kind is the reply?",
                    "scale": {"levels": {1: "Cruel.", 2: "Indifferent.", 3: "Polite.", 4: "Kind."}},
                }
            ],
        }
    )
)
CONVERSATION = Conversation("c", (Message("user", "My cat is ill."), Message("assistant", "Oh no. How is she?")))
KEY = "sk-made-up-0123456789abcdef"


def profile(url: str, backend: str = "http", **more: Any) -> JudgeProfile:
    data = {"name": "tested", "backend": backend, "model": "judge", "base_url": url, **more}
    data["limits"] = {"timeout_s": 5, **more.get("limits", {})}
    return JudgeProfile.model_validate(data)


def request_for(profile: JudgeProfile) -> Request:
    return Planner(RUBRIC, profile).plan(CONVERSATION).requests[0]
