"""Which backbone a student stands on, and what the room of students stands on."""

from __future__ import annotations

import subprocess
import sys

from kardia.content import shipped
from kardia.judge.profile import load_profile
from kardia.student.backbone import default_backbone


def test_the_default_is_the_embedded_judges_encoder():
    profile = load_profile(shipped("judges") / "embedded.yaml")
    backbone = default_backbone()
    assert (backbone.model, backbone.revision, backbone.sha256) == (profile.model, profile.revision, profile.sha256)


def test_a_student_needs_no_judge():
    code = (
        "import sys, kardia.student.scorer\n"
        "above = ('kardia.judge', 'kardia.engine', 'kardia.aggregate', 'kardia.model', 'torch')\n"
        "print([name for name in sys.modules if name.startswith(above)])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout.strip() == "[]"
