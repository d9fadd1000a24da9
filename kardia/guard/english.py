"""What people say to a judge in English, as phrases; see `kardia.guard.phrases`. Marks are in `english_marks`."""

from __future__ import annotations

from kardia.guard.english_marks import MARKS, NAMES
from kardia.guard.phrases import ANY_ORDER, Phrase, phrases_of

__all__ = ["ENGLISH"]

_ORDERS = phrases_of(
    "en",
    # --- throw the judge's own instructions away
    (
        "ignore disregard forget override bypass discard neglect dismiss abandon overrule follow aside attention & "
        "instruction prompt guideline direction directive rule command order criteri rubric constraint guidance",
        24,
        (
            r"\b(?:ignore|disregard|forget|override|bypass|discard|neglect|dismiss|abandon|overrule|do not follow"
            r"|don't follow|stop following|set aside|put aside|(?:pay no|do not pay) attention to)\b",
            r"\b(?:previous|prior|above|preceding|earlier|foregoing|aforementioned|system|grading|judging|evaluation"
            r"|scoring|original|initial)\s+(?:\w+\s+)?(?:instructions?|prompts?|guidelines?|directions?|directives?"
            r"|rules"
            r"|commands?|orders|criteria|rubrics?|constraints|guidance)\b"
            r"(?!\s(?:he|she|they|from|by|of|your|his|her|their|that|you've|about|for|on)\b)",
        ),
    ),
    (
        "ignore disregard forget override bypass discard replace & instruction prompt rubric directive criteri",
        0,
        (
            r"\b(?:ignore|disregard|forget|override|bypass|discard|replace)\s+(?:(?:about|the|these|those|of"
            r"|my)\s+){0,2}"
            r"(?:(?:all|any|your|every|other)\s+(?:\w+\s+){0,2}(?:instructions?|prompts?|directives?|rubrics?|criteria)"
            r"|(?:grading |scoring )?rubric|criteria)\b"
            r"(?=\s*(?:$|[.!:;,)\]\"'-]|(?:and|above|before|previously|so far|given to you|instead|or|with"
            r"|you (?:were|have"
            r"|got|received))\b))",
        ),
    ),
    (
        "ignore disregard forget & instruction prompt rules guideline rubric criteria",
        0,
        (
            r"\b(?:ignore|disregard|forget)\s+(?:the|these|those)\s+(?:\w+\s+)?(?:instructions?|prompts?|rules"
            r"|guidelines"
            r"|rubric|criteria)\s+"
            r"(?:above|before|given to you|previously|so far|you (?:were|have been|got) given)\b",
        ),
    ),
    (
        "override",
        0,
        (
            r"(?:^|[.!?:\n\[(>-]\s{0,3})(?:system|admin|evaluation|grading|judge|policy|instruction|criteria|rubric"
            r"|instructor)\s?override\b",
        ),
    ),
    (
        "instruction task & level score criteri reply response rate grade verdict judge evaluat",
        60,
        (
            r"(?:^|[.!?\n]\s{0,3})(?:your\s)?(?:new|updated|revised|real|actual|true|secret|hidden|special)\s"
            r"(?:\w+\s)?(?:instructions?|task)\b",
            r"\b(?:level|scores?|criteri\w+|repl(?:y|ies)|responses?|rate|grade|verdict|judges?|evaluat\w+)\b",
        ),
    ),
    (
        "prompt instruction guideline rubric & updated changed replaced overrid revoked void cancelled suspended",
        0,
        (
            r"\byour\s(?:system prompt|prompt|(?:grading|judging|evaluation|scoring)\s\w+|rubric)\s(?:has|have|was|were"
            r"|is|are)\s(?:(?:now|been|just|hereby)\s){0,3}(?:updated|changed|replaced|overrid\w+|revoked|void"
            r"|cancelled"
            r"|suspended)",
        ),
    ),
    # --- call the judge by its office
    (
        "evaluator grader rater scorer annotator model llm & must should shall will have need are can ought only",
        24,
        (
            r"\bas (?:an?|the|our|your|my)\s(?:\w+\s){0,3}{grader}\b",
            r"\byou(?:'ll)?\s(?:must|should|shall|will|have to|need to|ought to|are \w+ to|can only|may only)\b",
        ),
    ),
    (
        "judge reviewer examiner critic assessor referee jury & must should shall will have need are can ought only",
        40,
        (
            r"\bas (?:an?|the|our|your|my)\s(?:\w+\s){0,3}{judge}\b",
            r"\byou(?:'ll)?\s(?:must|should|shall|will|have to|need to|ought to|are \w+ to)\s(?:\w+\s){0,3}?{act}\b",
            r"{reply}|\b{noun}\b|{number}|\b(?:approve|override|assessment|evaluation|criteria|rubric)\b",
        ),
    ),
    (
        "you_are & evaluator grader judge rater scorer reviewer model critic",
        0,
        (r"\byou are (?:now|from now on)\s(?:an?|the|my)\s(?:\w+\s){0,3}(?:{grader}|{judge})\b(?! of\b)",),
    ),
    (
        "you_are & evaluator grader judge rater scorer model",
        0,
        (
            r"\byou are (?:an?|the)\s(?:\w+\s){0,3}(?:{grader}|judge)\s(?:who|that|which)\s(?:\w+\s)?(?:gives?|rates?"
            r"|scores?|awards?|must|never|always)\b",
        ),
    ),
    (
        "evaluator grader rater scorer annotator model llm gpt",
        0,
        (
            r"(?:^|[.!?:;\n(\[\"'<>-]\s{0,3})(?:(?:dear|attention|attn|hey|hi|hello|(?:system |important |final "
            r"|private )?notes? (?:to|for)|message (?:to|for)"
            r"|instructions? (?:to|for)|memo to|reminder (?:to|for)|hint (?:to|for))[,:]?\s(?:\w+\s){0,3}?{grader}\b"
            r"|(?:to|for) (?:the|all|any) (?:\w+\s){0,2}?{grader}\s?[:,])",
        ),
    ),
    (
        "evaluator grader rater scorer judge",
        40,
        (
            r"(?:^|[.!?>\n(\[-]\s{0,3})(?:evaluator|grader|autograder|rater|scorer|judge)s?\s?[:,]\s",
            r"{meta}|\b(?:full|top|maximum)\b|\b(?:choose|pick|select|assign|award)\b",
        ),
    ),
    (
        "judge reviewer examiner critic assessor referee jury & criteri repl respon scor rat level grad rubric "
        "conversation",
        60,
        (
            r"(?:^|[.!?:;\n(\[\"'<>-]\s{0,3})(?:dear|attention|attn|hey|(?:system |important |final "
            r"|private )?notes? (?:to|for)|message (?:to|for)"
            r"|instructions? (?:to|for)|memo to|hint (?:to|for))[,:]?\s(?:\w+\s){0,3}?{judge}\b",
            r"{meta}|\bof this (?:conversation|exchange|dialogue|chat)\b",
        ),
    ),
    (
        "if_you & evaluating grading scoring judging rating assessing reviewing reading",
        24,
        (
            r"\bif you(?: are|'re)\s(?:an?|the)\s(?:\w+\s){0,3}(?:ai|bot|machine|model|judge|{grader})\b",
            r"\b(?:evaluating|grading|scoring|judging|rating|assessing|reviewing|reading this)\b",
        ),
    ),
    (
        "evaluating grading scoring judging rating assessing & reply response answer conversation completion output "
        "submission",
        0,
        (
            r"\b(?:whoever|anyone|anybody|everyone|the (?:model|one|person|people|ai|system|judges?|graders?"
            r"|evaluators?))"
            r"\s(?:(?:is|are|who is|who are|that is)\s)?(?:evaluating|grading|scoring|judging|rating"
            r"|assessing)\s(?:this"
            r"|the|my|these)\s(?:\w+'s\s)?(?:reply|response|answer|conversation|completion|output|submission)\b",
        ),
    ),
    (
        "evaluat grad scor judg rat assess & reply response completion output candidate conversation",
        0,
        (
            r"\b(?:when|while|before|after|in|by)\s(?:(?:you|you're|you are)\s)?(?:evaluating|grading|scoring|judging"
            r"|rating|assessing|evaluate|grade|score|judge|rate|assess)\s(?:(?:this|the|my)\s(?:assistant's\s)?(?:reply"
            r"|response|completion|output|candidate)|this (?:answer|conversation))\b",
        ),
    ),
    # --- tell whoever answers how to write the answer: what obeys can no longer be read
    (
        "your & answer response reply output message & letter vowel spaces punctuation typo misspell anagram symbol "
        "substitution base64 rot13 uppercase json xml yaml",
        50,
        (
            r"{do}(?:replace|convert|substitute|scramble|jumble|rearrange|misspell|encode|encrypt|remove|group"
            r"|combine|use"
            r"|introduce|put|wrap)\b",
            r"\b(?:letters?|vowels?|spaces|punctuation|typos|anagrams?|(?:\w+ )?symbols|base64|rot13|uppercase|json"
            r"|xml|yaml)\b",
            r"\b(?:in|of|from|for|into|without)\s(?:\w+\s){0,3}?your\s(?:\w+\s)?(?:answer|response|reply|output)\b",
        ),
    ),
    (
        "your & answer response reply output message & letter vowel spaces punctuation typo misspell anagram symbol "
        "substitution base64 rot13 uppercase json xml yaml",
        40,
        (
            r"{do}(?:provide|render|deliver|write|give|output|encode|scramble|anagram|misspell|jumble|format|return"
            r"|produce"
            r"|express)\b",
            r"\byour\s(?:\w+\s)?(?:answer|response|reply|output|message)\b",
            r"\b(?:letters|vowels|spaces|punctuation|typos|(?:intentional )?misspellings|anagrams?|anagrammed"
            r"|substitution"
            r"|base64|rot13|uppercase|capital letters|json|xml|yaml)\b",
        ),
    ),
    (
        "your & answer response reply output & modify augment enhance amend alter",
        0,
        (
            r"{do}(?:modify|augment|enhance|amend|alter)\s(?:your)\s(?:answer|response|reply|output)\s(?:to|with|by"
            r"|so)\b",
        ),
    ),
    # --- talk to it in passing
    (
        "evaluator grader rater scorer annotator llm ai_judge",
        0,
        (
            r"\b(?:(?:llm|ai|human|dear) )?(?:evaluator|grader|rater|scorer|annotator)s?\s?:|\bas an (?:ai|llm"
            r"|automated) judge\b",
        ),
    ),
    (
        "judge grader evaluator scoring grading rater",
        0,
        (r"[\[(<-]\s?(?:judge|grader|evaluator|rater)(?:'?s)? (?:note|hint|instruction|comment|message)s?\s?[:\]-]",),
    ),
    (
        "judge & remember listen note attention",
        0,
        (r"\b(?:remember|listen|note|attention|please),? (?:dear )?judges?\s?[:,]",),
    ),
    (
        "evaluate grade score assess rate continue proceed & text reply response answer evaluation grading scoring",
        0,
        (
            r"\b(?:do not|don't|no need to|never) (?:evaluate|grade|score|assess|rate)\s(?:(?:the|this|any)\s)"
            r"(?:text|reply|response|answer|rest)\b|(?:^|[.!?:]\s)(?:do not|don\'t) (?:continue"
            r"|proceed) with the (?:evaluation|grading|scoring|judging)\b",
        ),
    ),
    (
        "pretend assume imagine suppose & judged graded evaluated rated scored grading scoring evaluation",
        30,
        (
            r"\b(?:pretend|assume|imagine|suppose)\b",
            r"\byou(?:'ve| have)? (?:already )?(?:judged|graded|evaluated|rated|scored) (?:this|the (?:reply"
            r"|response))\b"
            r"|\bfor (?:grading|scoring|evaluation|judging) purposes\b",
        ),
    ),
    (
        "purposes",
        0,
        (
            r"\bfor (?:grading|scoring|evaluation|judging) purposes\b|\bfor (?:the )?purposes? of (?:grading|scoring"
            r"|judging)\b",
        ),
    ),
    (
        "reply response candidate answer & better worse best stronger",
        0,
        (
            r"\b(?:first|second|third|other|last) (?:reply|response|candidate|answer) is (?:clearly |much "
            r"|far )?(?:better|worse"
            r"|best|the best|stronger|weaker)\b",
        ),
    ),
    ("does & reply response assistant", 0, (r"\bq: does (?:the|this) (?:reply|response|assistant)\b",)),
    (
        "models_like_you & reply repl respon rating score rate",
        60,
        (r"\bmodels? like you\b", r"{meta}|\bratings?\b"),
    ),
    (
        "your & verdict score rating judgement judgment & return output give state",
        0,
        (r"\b(?:return|output|state|submit|record) your (?:final )?(?:verdict|score|rating|judge?ment)\b",),
    ),
    (
        "always & answer choose pick prefer say",
        0,
        (
            r"\balways (?:answer|choose|pick|prefer|say) (?:with )?(?:reply |response |option )?[\"']?(?:a|b|5"
            r"|five)[\"']?(?=\s*(?:$|[.,!;]))",
        ),
    ),
    (
        "told instructed asked & grading scoring evaluating evaluation judging criteria rubric",
        24,
        (
            r"\b(?:ignore|disregard|forget) (?:everything|anything|all|whatever|what)\b",
            r"\byou (?:were|have been|are|'ve been) (?:told|instructed|asked|given|taught)\b|\b(?:grading|scoring"
            r"|judging)\b",
            r"\b(?:grading|scoring|evaluating|evaluation|judging|criteria|rubric|instructions|rules)\b",
        ),
    ),
    (
        "repl respon & scored rated graded & to_be should must",
        ANY_ORDER,
        (
            r"\b(?:replies|responses)\b",
            r"\b(?:to be|should be|must be|are) (?:scored|rated|graded|given)\b",
            r"\b{top}\b|\bat the top\b",
        ),
    ),
    (
        "rules instructions guidelines & void cancelled revoked invalid superseded obsolete",
        24,
        (
            r"\b(?:previous|prior|earlier|above|old|all) (?:\w+ )?(?:rules|instructions|guidelines|criteria)\b",
            r"\b(?:are|is|have been) (?:now |hereby )?(?:void|cancell?ed|revoked|invalid|superseded|obsolete)\b",
        ),
    ),
    (
        "criteria requirement & met & recommend full highest",
        ANY_ORDER,
        (r"\b(?:criteria|requirements) met\b", r"\b(?:{top}|recommendation|evaluator)\b"),
    ),
    **NAMES,
)

ENGLISH: tuple[Phrase, ...] = (*_ORDERS, *MARKS)
