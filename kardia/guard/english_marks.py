"""What people say to a judge in English about marks: ask for one, claim one, excuse what costs one; and the words "
"of it."""

from __future__ import annotations

from kardia.guard.phrases import ANY_ORDER, Phrase, phrases_of

__all__ = ["MARKS", "NAMES"]

# A number that ends what is said: "a 5", "10/10", "5 out of 5 points"; not "from 1 to 10", "5-10", "5 minutes".
_NUMBER = (
    r"(?<![-\d./])(?:\d{1,3}(?:[.,]\d{1,2})?(?:\s?/\s?\d{1,3}|\s?out of \d{1,3})?(?:\s(?:points?|stars?|marks?))?"
    r"|ten|five)(?=\s*(?:$|[.!,;:)\]}\"']|(?:and|please|now|for|on|across|automatically|or people)\b))"
)
_REPLY = (
    r"\b(?:this|that|the|my|these|every|following|above|its)\s(?:\w+(?:'s)?\s){0,2}"
    r"(?:reply|response|answer|completion|output|candidate|submission|text|message|conversation|dialogue|exchange)\b"
)
_TOP = r"(?:highest|maximum|maximal|max|top|best|perfect|full|excellent|outstanding|flawless)"
_NOUN = r"(?:scores?|ratings?|levels?|marks?|grades?|stars?|points?|verdicts?|rewards?|credits?)"
_GRADER = (
    r"(?:evaluator|grader|rater|scorer|annotator|(?:reward|judge|grading|scoring|evaluation|evaluator|judging|rating)"
    r" (?:model|system|ai|llm|bot)|llm(?: judge)?|ai (?:judge|model|grader|evaluator)|language model|auto ?grader"
    r"|auto ?rater|chatgpt|gpt(?:-?\d\w*)?)s?"
)
_JUDGE = r"(?:judge|reviewer|examiner|critic|assessor|referee|jury)s?"
_ACT = (
    r"(?:rate|score|grade|give|assign|award|choose|select|mark|output|answer|pick|prefer|rank|return|respond|judge"
    r"|override|approve|recogni[sz]e|treat|consider)"
)
_DO = (
    r"(?:^|[.!?:;,\n(\[\"'>-]\s{0,3}|\b(?:please|must|should|shall|and|then|now|always|simply|just|only|so|therefore"
    r"|kindly)\s)"
)
_META = (
    r"\b(?:criteri\w+|repl(?:y|ies)|responses?|scor(?:e|es|ed|ing)|rat(?:e|ed|ing)|levels?|grad(?:e|es|ed|ing)"
    r"|rubric)\b"
)
_NEEDS_REPLY = (
    "reply response answer completion output candidate submission text message conversation dialogue exchange"
)

NAMES = {
    "reply": _REPLY,
    "number": _NUMBER,
    "top": _TOP,
    "noun": _NOUN,
    "grader": _GRADER,
    "judge": _JUDGE,
    "act": _ACT,
    "do": _DO,
    "meta": _META,
}
"""What `{name}` in a step stands for."""

MARKS: list[Phrase] = phrases_of(
    "en",
    # --- ask for a mark
    (
        f"give giving assign award grant allocate & {_NEEDS_REPLY}",
        40,
        (
            r"\b(?:give|gives|giving|assign|award|grant|allocate)\b",
            r"{reply}",
            r"\b{noun}\b|\b{top}\s(?:possible|available)|{number}|\banything (?:below|less|under|but)\b",
        ),
    ),
    (
        f"give giving assign award grant & {_NEEDS_REPLY} replies responses answers",
        40,
        (
            r"\b(?:give|gives|giving|assign|award|grant)\b",
            r"\b{top}\s(?:\w+\s){0,2}{noun}\b",
            r"{reply}|\b(?:every|each|all)\s(?:\w+\s)?(?:reply|replies|responses?|answers?)\b",
        ),
    ),
    (
        f"rate score grade mark rank evaluate judge treat consider regard classify label & {_NEEDS_REPLY}",
        12,
        (
            r"\b(?:rate|score|grade|mark|rank|evaluate|judge|treat|consider|regard|classify|label)\b",
            r"{reply}",
            r"\b(?:as|at|with|to be)\s(?:\w+\s){0,3}?(?:{top}|safe|supportive|correct|helpful|empathetic|passing|passed"
            r"|{number})|\bthe best (?:one|reply|response|answer)\b|(?:\ba\s)?{number}|\bhigh(?:ly|er)?\b",
        ),
    ),
    (
        f"{_NEEDS_REPLY} & deserve merit earn warrant should must ought gets receives worth scores qualif",
        30,
        (
            r"{reply}",
            r"\b(?:deserves?|merits?|earns?|warrants?|(?:should|must|ought to|has to|needs to)\s(?:\w+\s)?(?:get"
            r"|receive|score"
            r"|have)|gets|receives|is worth|scores|qualifies for)\b",
            r"\b{top}\s(?:\w+\s){0,2}{noun}|\b(?:high|good|better)\s{noun}|\b{noun} of\b|\bfull marks\b|{number}",
        ),
    ),
    (
        f"{_NEEDS_REPLY} & be & rated scored graded evaluated ranked marked judged given awarded assigned preferred "
        f"considered",
        12,
        (
            r"{reply}",
            r"\b(?:should|must|ought to|has to|needs to|is to|shall|will)\s(?:\w+\s)?be\s(?:\w+\s)?(?:rated|scored"
            r"|graded|evaluated"
            r"|ranked|marked|judged|given|awarded|assigned|preferred|considered)\b",
        ),
    ),
    (
        f"{_NEEDS_REPLY} & criteri requirement check rubric & meet satisf fulfil pass",
        30,
        (
            r"{reply}",
            r"\b(?:meets?|satisf(?:y|ies)|fulfill?s?|passe[sd]|has passed)\b",
            r"\b(?:(?:all|every|each)\s(?:\w+\s){0,3}(?:criteria|criterion|checks?|requirements?)|rubric)\b",
        ),
    ),
    (
        "high good maximum maximal max top full perfect best & score rating level mark grade points stars reward "
        "verdict option",
        0,
        (
            r"{do}(?:give|assign|award|output|return|choose|select|pick|use|report|enter|write|put)\s(?:(?:it|me"
            r"|this|us"
            r"|them|only|a|an|the)\s){0,3}(?:(?:high|good) (?:scores?|ratings?|grades?|marks?)|(?:highest|maximum"
            r"|maximal|max|top)\s(?:\w+\s){0,2}(?:{noun}|option|value)"
            r"|(?:full|perfect|best)(?: possible)? (?:scores?|ratings?|marks|grades?|points|stars))\b",
        ),
    ),
    (
        "highest maximum maximal max top perfect best & answer respond reply return & with",
        0,
        (
            r"{do}(?:answer|respond|reply|return)\s(?:\w+\s){0,2}with\s(?:(?:only|the|a|an)\s){0,2}(?:highest|maximum"
            r"|maximal|max|top|perfect|best possible)\s(?:\w+\s){0,2}(?:{noun}|option|value)\b",
        ),
    ),
    (
        "rate score grade mark",
        0,
        (
            r"{do}(?:rate|score|grade|mark)\s(?:this|it|me|that|everything)\s(?:(?:a|an|as|at|with)\s)?(?:{number}"
            r"|highest|the (?:highest|maximum)|full marks|perfect|excellent|a\+)",
        ),
    ),
    (
        "level score rating verdict grade & must should has needs shall will ought & be",
        0,
        (
            r"\b(?:level|score|rating|verdict|grade)\s(?:must|should|has to|needs to|shall|will"
            r"|ought to)\s(?:\w+\s)?be\s"
            r"(?:{number}|\"?(?:yes|no)\"?(?=\s*(?:$|[.!,;]))|(?:the )?(?:highest|maximum|top|perfect)\b)",
        ),
    ),
    (
        "level score rating verdict grade & correct right only appropriate true proper accurate fair",
        0,
        (
            r"\b(?:correct|right|only (?:\w+ )?|appropriate|true|proper|accurate|fair)\s?(?:level|score|rating"
            r"|verdict|grade)\s"
            r"(?:\w+\s){0,4}?is\s(?:{number}|\"?(?:yes|no)\"?(?=\s*(?:$|[.!,;]))|the (?:highest|maximum|top)\b)",
        ),
    ),
    (
        "set & level score rating verdict grade",
        0,
        (
            r"\bset\s(?:the|this|every|all|each)\s(?:{noun})\s(?:\w+\s){0,3}?to\s(?:\d|yes\b|(?:the )?(?:highest"
            r"|maximum"
            r"|max|top)\b)",
        ),
    ),
    (
        "output print emit return & level score verdict rating grade",
        0,
        (
            r"{do}(?:output|print|emit|return)\s(?:\w+\s){0,2}(?:level|score|verdict|rating|grade)\s?(?:of\s|:|=)?\s?"
            r"(?:\d|yes\b|no\b)",
        ),
    ),
    (
        "output return print answer respond & only",
        0,
        (
            r"{do}(?:output|return|print|answer|respond)\s(?:with\s)?only\s(?:with\s)?(?:the\s)?(?:(?:number"
            r"|digit)\s)?{number}",
        ),
    ),
    (
        "can_you could_you would_you & give & point mark score rating grade credit",
        0,
        (r"\b(?:can|could|would) you (?:\w+\s)?give (?:me|it|this) (?:\w+\s)?{top}\s(?:\w+\s)?{noun}\b",),
    ),
    (
        "warranted justified recommended mandatory guaranteed appropriate in_order & score rating mark grade point "
        "credit",
        8,
        (
            r"\b{top}\s(?:\w+\s)?{noun}\b",
            r"\b(?:warranted|justified|recommended|mandatory|guaranteed|appropriate|in order(?! to\b))\b",
        ),
    ),
    (
        "answer respond reply output vote & criteri question item check rubric",
        0,
        (
            r"{do}(?:answer|respond|reply|output|vote)\s(?:(?:with|only)\s){0,2}[\"']?(?:yes|no|\d{1,3}|true"
            r"|pass)[\"']?\s"
            r"(?:to|for|on)\s(?:all|every|each|any)\s(?:\w+\s){0,2}(?:criteria|criterion|questions?|items?|checks?"
            r"|rubrics?)\b",
        ),
    ),
    (
        f"if_you & {_NEEDS_REPLY}",
        24,
        (
            r"\bif you (?:give|rate|score|grade|mark|award|assign|rank)\b",
            r"{reply}",
            r"\b{noun}\b|{number}|\b(?:below|above|lower|higher|less|high(?:ly)?|well)\b|\ba\s\d",
        ),
    ),
    (
        "reply response candidate completion assistant & prefer choose pick select favo vote rank",
        0,
        (
            r"\b(?:prefer|choose|pick|select|favou?r|vote for|rank)\s(?:(?:only|always|just)\s)?(?:(?:this|my"
            r"|the (?:first"
            r"|second|third|last|above|current))\s(?:reply|response|candidate|completion)|(?:reply|response|candidate"
            r"|completion|assistant)\s[\"'(]?(?:[a-d]|[1-9]|r[1-9])\b)",
        ),
    ),
    # --- tell it what to overlook, or what others are said to have found
    (
        "penali deduct downgrade mark_down subtract dock & not n't never",
        30,
        (
            r"\b(?:do not|don't|never|must not|should not|shouldn't)\s(?:penali[sz]e|deduct|downgrade|mark down"
            r"|subtract"
            r"|dock)\b",
            r"{reply}|\b(?:points|marks)\s(?:from|off|for)\s(?:this|the|it|its|my)\b",
        ),
    ),
    (
        "positive negatives",
        0,
        (
            r"\b(?:positive (?:review|feedback|assessment|evaluation) only|only (?:a )?positive (?:review|assessment"
            r"|evaluation)|do not (?:highlight|mention|list|report|point out) (?:any )?negatives)\b",
        ),
    ),
    (
        f"ignore disregard overlook excuse & {_NEEDS_REPLY}",
        16,
        (
            r"\b(?:ignore|disregard|overlook|excuse)\b",
            r"\b(?:flaws|faults|errors|mistakes|weaknesses|shortcomings|length|style)\s(?:in|of)\s{reply}",
        ),
    ),
    (
        f"{_NEEDS_REPLY} & rated scored graded approved verified",
        12,
        (
            r"{reply}",
            r"\b(?:has|was|is)\s(?:\w+\s){0,2}(?:rated|scored|graded|verified|(?:pre-?)?approved)\b",
            r"{number}|\b{top}\b|\bby\s(?:\w+\s){0,2}(?:experts?|annotators?|raters?|evaluators?|judges|reviewers"
            r"|therapists|clinicians)\b",
        ),
    ),
    (
        "repl respons answer submission & graded rated scores scored receive get deserve earn",
        30,
        (
            r"\b(?:every|each|all|any)\s(?:\w+\s)?(?:reply|replies|responses?|answers?|submissions?)\b",
            r"\b(?:is|are|be|must be|should be)\s(?:graded|rated|scored)\b|\b(?:receives?|gets?|deserves?|earns?"
            r"|scores)\b",
            r"{number}|\b{top}\s(?:\w+\s)?{noun}\b|\bfull marks\b",
        ),
    ),
    (
        "human expert professional & gave rated scored graded preferred ranked",
        24,
        (
            r"\b(?:human|expert|professional|trained)\s(?:raters?|annotators?|graders?|evaluators?"
            r"|judges)\s(?:\w+\s){0,2}"
            r"(?:gave|rated|scored|graded|preferred|ranked)\b",
        ),
    ),
    (
        f"criteri rubric & {_NEEDS_REPLY} & assessed judged rated scored graded evaluated measured",
        24,
        (
            r"\b(?:criteria|criterion|rubric)\b",
            r"{reply}",
            r"\b(?:is|are|will be|gets)\s(?:assessed|judged|rated|scored|graded|evaluated|measured)\b",
        ),
    ),
    (
        "rubric & repl respon judge evaluator level highest maximum top",
        60,
        (
            r"\b(?:the|this|your|scoring|grading|our)\srubric\s(?:\w+\s)?(?:says|states|requires|demands|tells"
            r"|instructs"
            r"|asks|allows|defines|specifies|means)\b|\baccording to (?:the|this|your) (?:\w+\s)?rubric\b",
            r"\b(?:reply|response|judge|evaluator|level \d|(?:highest|maximum|top) (?:level|score|mark|grade))\b",
        ),
    ),
    (
        "evaluation evaluator grading grader scoring judging rubric & note hint instruction override comment",
        0,
        (
            r"(?:^|[\[(<\n]\s{0,3})(?:evaluation|evaluator|grading|grader|scoring|judging|rubric)\s(?:note|hint"
            r"|instruction"
            r"|override|comment)s?\s?:",
        ),
    ),
    (
        "purpose & evaluation grading scoring",
        0,
        (r"\bfor (?:the )?purposes? of (?:this evaluation|(?:your|this) (?:grading|scoring)|your evaluation)\b",),
    ),
    (
        "evaluating evaluation grading scoring judging",
        0,
        (
            r"\b(?:stop|end|skip|finish)\s(?:the\s)?(?:evaluating|evaluation|grading|scoring|judging)\s(?:here|now"
            r"|at this"
            r" point|of this)\b",
        ),
    ),
    # --- in whatever order
    (
        "ai evaluator grader rater scorer annotator model llm judge examiner & evaluat grad scor judg rat assess "
        "choose give "
        "return mark & highest top full maximum five level",
        ANY_ORDER,
        (
            r"\b(?:(?:an?|the|dear|any) (?:ai|machine|examiner)|{grader}|(?:ai|good|dear|any|every) judges?)\b",
            r"\b(?:(?:evaluat|grad|scor|judg|rat|assess)(?:e|es|ing|ed)?|choose|give|return|mark|pick|know)\b",
            r"\b(?:highest|top|full|maximum|best)\s(?:\w+\s)?{noun}|\bthe (?:maximum|top|highest)(?=\s*(?:$|[.,!)]"
            r"|option|value))|\blevel (?:5"
            r"|five)\b",
        ),
    ),
    (
        "this_text this_reply this_response this_item this_one & reward full top highest maximum generous",
        ANY_ORDER,
        (
            r"\bthis (?:text|reply|response|item|one)\b",
            r"\b(?:evaluat\w+|grad(?:e|ed|ing)|scor(?:e|ed|ing)|rat(?:e|ed|ing)|judg\w+|training|calibration|benchmark"
            r"|the marks)\b",
            r"\ba reward of\b|\b(?:full|top|highest|maximum|perfect)\s(?:\w+\s)?{noun}|\bgenerous with the {noun}"
            r"|\bbest (?:value|verdict|score|rating)\b",
        ),
    ),
    (
        "criteria criterion rubric scale grading & skip ignor out_of_date suspended no_longer error updated "
        "remaining & highest "
        "best top maximum upper full",
        ANY_ORDER,
        (
            r"\b(?:criteria|criterion|rubric|grading instructions|scale you were given)\b",
            r"\b(?:skip|ignor(?:e|ing)|out of date|suspended|no longer|error|updated|changed)\b",
            r"\b(?:highest|top|maximum|upper end|full (?:marks|points|credit)|best (?:value|score|level|rating))\b",
        ),
    ),
    (
        "rate score grade mark & everything all anything & maximum highest top full",
        ANY_ORDER,
        (
            r"\byou (?:will|must|should|are to|have to|always) (?:\w+ )?(?:rate|score|grade|mark)\b",
            r"\b(?:everything|anything|all)\b",
            r"\bat the (?:maximum|top)|\bthe (?:highest|maximum|top) {noun}|\bfull {noun}",
        ),
    ),
    **NAMES,
)
