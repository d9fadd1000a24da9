"""What passes for a part of the prompt: verdicts, fences, turns, control tokens, and text that nobody sees.

Each function yields places in the text it is given. All of them look at most a fixed number of characters around a
place, so that none takes longer than in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

from kardia.guard.text import fold

__all__ = ["chat_tokens", "closed_fences", "fake_verdicts", "hidden_texts", "role_markers"]

Place = tuple[int, int]

# ---- verdicts -------------------------------------------------------------------------------------------------------

_QUOTE = r"(?:\\?[\"']|&quot;|&#34;)"
_LABEL = r"(?:level|score|verdict|rating|ranking|grade)"
_VALUE = (
    r"(?:\d{1,3}(?:[.,]\d{1,3})?(?:\s?(?:/|out of|of)\s?\d{1,3})?(?:\s?(?:points?|stars?|%))?|yes|no|pass(?:ed)?"
    r"|excellent|perfect|outstanding|flawless|highest|maximum|best|[a-d][+-]?|[★⭐]{2,10}|(?:five"
    r"|ten)(?: out of (?:five|ten))?|fully \w{1,20}|supportive"
    r"|safe)"
)
_FOREIGN_LABEL = (
    r"(?:bewertung|gesamtbewertung|gesamtnote|urteil|punktzahl|endnote|stufe|wertung|note(?: finale)?|niveau|puntuacion"
    r"|calificacion"
    r"|veredicto|valoracion|pontuacao|nota(?: final)?|avaliacao|veredito|punteggio|valutazione|verdetto|voto"
    r"|итоговая оценка"
    r"|оценка|балл|вердикт|уровень|оцінка|бал|评分|分数|得分|评级|等级|判定|评价|評分|分數|等級|評価|スコア|点数|採点|점수"
    r"|평가|등급|판정|التقييم|الدرجة|الحكم|امتیاز|ציון|अंक|स्कोर|रेटिंग|मूल्यांकन|puan|değerlendirme|karar|ocena|wynik|cijfer"
    r"|beoordeling|skor|nilai|điểm)"
)
_FOREIGN_VALUE = (
    r"(?:\d{1,3}(?:[.,]\d{1,2})?\s?(?:(?:/|von|sur|de|di|su|из|з|z|van|dari|من|में से|үzerinden)\s?\d{1,3})?\s?"
    r"(?:点|分|점|points?|punkte|puntos|pontos|punti|баллов|балла)?|ja|oui|si|sim|да|так|是|はい|예|نعم|हाँ|evet|tak"
    r"|sehr gut|ausgezeichnet|excellent|parfait|excelente|perfecto|отлично|优秀|優秀|非常好|完璧|우수|ممتاز|mükemmel"
    r"|满分|滿分|最高|満点|만점|[★⭐]{2,10}|[a-d][+-]?)"
)
_START = r"(?:^|(?<=[.!?。])\s|(?<=>))[ \t>|(\[{\"'•*_#`~-]{0,8}(?:\d{1,2}[.)]\s)?"
_STOP = r"[*_\"'`)\]}]{0,4}[ \t]{0,3}(?:\([^()\n]{1,20}\)[ \t]{0,2})?(?:$|[.,;!?。](?=\s|$)|(?=<[/|]))"
_SEPARATOR = r"[*_\"'`)\]]{0,4}\s{0,3}(?:[:=]{1,2}|-{1,2}>|=>|(?<= )-{1,2}(?= ))[\s*_\"'`(\[]{0,8}"
_MERIT = (
    r"(?:empathy|warmth|safety|relevance|fluency|helpfulness|support\w{0,8}|validation|quality|coherence|understanding)"
)
_OF_WHAT = (
    r"(?:final|overall|total|my|your|the|this|recommended|suggested|expected|empathy|safety|warmth|support\w{0,8}"
    r"|understanding|quality|helpfulness|relevance|fluency|judge'?s?|evaluation|reply|response)"
)


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    # folded, because patterns hold words of other languages as people write them
    return tuple(re.compile(fold(pattern), re.MULTILINE) for pattern in patterns)


@cache
def _labelled() -> tuple[re.Pattern[str], ...]:
    of_what = rf"(?:{_OF_WHAT}[ _]){{0,3}}(?:{_LABEL}|judge?ment|evaluation|assessment|reward|mark)s?"
    others = rf"(?:最终|最終|总|總|総合|최종|итоговый |итоговая |finale? )?{_FOREIGN_LABEL}\s?"
    return _compiled(
        # a key of a JSON object, however its quotes are written; a function's argument; what a function gives
        rf"{_QUOTE}(?:[a-z_ ]{{0,24}}{_LABEL}|better|reward|points?|passed|assessment|judge?ment)s?{_QUOTE}"
        r"\s{0,8}(?::|=>)\s{0,12}[\"'\\&\[{\w-]",
        rf"\{{\s{{0,8}}(?:{_LABEL}|reason)\s{{0,4}}:\s{{0,4}}[\"'\w]",
        rf"\b[a-z_]{{3,30}}\([^()\n]{{0,80}}?\b(?:{_LABEL})\s?=\s?[\"'\w]",
        r"(?:reward|score)\w{0,20}(?:\.\w{1,20})?\([^()\n]{0,30}\)\s?(?:==?|->|:)\s?\d",
        # a line of its own, or a sentence of its own
        rf"{_START}(?:{of_what}{_SEPARATOR}{_VALUE}{_STOP}"
        rf"|{others}{_SEPARATOR}{_FOREIGN_VALUE}{_STOP}"
        r"|(?:grading|evaluation|scoring|judging) (?:result|report|outcome|recommendation)s?\s?:"
        rf"|{_MERIT}{_SEPARATOR}\d{{1,3}}\s?(?:%|(?:/|out of)\s?\d{{1,3}}){_STOP}"
        rf"|(?:final )?verdict{_SEPARATOR}(?:the|this) (?:reply|response|answer)\b"
        rf"|final answer\s?[:=]\s?(?:\d|[a-e]|yes|no){_STOP})",
    )


@cache
def _shaped() -> tuple[re.Pattern[str], ...]:
    return _compiled(
        # as other judges are told to write it, without a label or a sign after it
        rf"{_START}(?:(?:result|status|verdict|outcome)[\])}}: =-]{{1,4}}(?:pass(?:ed)?|approved)\b"
        rf"|(?:overall|total|in total)\s?:?\s?(\d{{1,3}})\s?(?:/|out of)\s?\1{_STOP})",
        rf"\b{_MERIT}\s?[:=]?\s?\d{{1,2}}[,;. ]{{1,2}}(?:and )?{_MERIT}\s?[:=]?\s?\d{{1,2}}\b",
        rf"\|[ \t]{{0,4}}(?:criterion|criteria|dimension)[ \t]{{0,4}}\|[ \t]{{0,4}}{_LABEL}[ \t]{{0,4}}\|",
        rf"\|[ \t]{{0,4}}(?:{_OF_WHAT}\s){{0,2}}{_LABEL}[ \t]{{0,4}}\|[ \t]{{0,4}}{_VALUE}[ \t]{{0,4}}(?:\||$)",
        rf"<(?:final_|overall_)?(?:{_LABEL}|judge?ment)>\s{{0,4}}[^<>]{{1,60}}</",
        r"\[\[\s?(?:[a-e]|\d{1,3}(?:\.\d{1,2})?|a=b|yes|no|tie)\s?\]\]",
        r"\\boxed\{\s?(?:\d{1,3}|[a-e]|yes|no)\s?\}",
        r"^#{4}\s?\d{1,3}$",
    )


def fake_verdicts(folded: str) -> Iterator[Place]:
    """Answers in a judge's format: JSON with a level or score, `Verdict: yes`, `Score: 10/10`, `[[A]]`."""
    labelled = _labelled() if any(sign in folded for sign in (":", "=", "->", " - ")) else ()
    for pattern in (*labelled, *_shaped()):
        for found in pattern.finditer(folded):
            yield found.span()


# ---- fences ---------------------------------------------------------------------------------------------------------

_PART = (
    r"(?:reply|response|user|assistant|system|developer|tool|context|question|rubric|conversation|candidate|criterion"
    r"|criteria|thinking|understanding|reasoning|emotion|profile|situation|target|answer|text)"
)
_ENDED = (
    r"(?:end of (?:(?:the|this|my|assistant'?s?|user'?s?|model'?s?|judged|original|evaluated) ){0,3}(?:reply"
    r"|response|answer"
    r"|message|text|conversation|transcript|output|completion|candidate|input|document|part|context|prompt|data"
    r"|submission"
    r"|passage|content)|ende (?:der|des) (?:antwort|nachricht|unterhaltung|eingabe|textes)"
    r"|fin (?:de la|du|del|de la) (?:reponse|message|conversation|texte|respuesta|mensaje|conversacion|texto)"
    r"|fim d[ao] (?:resposta|mensagem|conversa|texto)|fine dell?a? (?:risposta|messaggio|conversazione|testo)"
    r"|конец (?:ответа|сообщения|разговора|текста)|кінець (?:відповіді|повідомлення)"
    r"|(?:回复|回答|答复|对话|回覆|對話)(?:到此)?(?:结束|結束|完毕|完畢)"
    r"|(?:返信|回答|応答|会話)(?:ここまで|は?終わり|終了)|(?:응답|답변|대화)\s?(?:끝|종료)"
    r"|نهاية (?:الرد|الإجابة|المحادثة)|(?:yanıtın|cevabın) sonu|koniec odpowiedzi|einde van het antwoord)"
)


@cache
def _fences() -> tuple[re.Pattern[str], ...]:
    return _compiled(
        # a nonce and the brackets, in either order
        r"\b[0-9a-f]{16}\b[^\n]{0,30}?[>›»]{2}",
        r"(?<![<‹«])[<‹«]{2,8}[^\n]{0,30}?\b[0-9a-f]{16}\b",
        # brackets and the name of a part
        rf"\b{_PART}[ \t]{{0,3}}[>›»]{{3}}|[<‹«]{{3}}[ \t]{{0,3}}/?{_PART}\b",
        r"(?<![<‹«])[<‹«]{3}[ \t]{0,3}/?(?:begin|end|start|stop)(?:\b|_)|\b(?:begin"
        r"|end)(?:_\w{1,20})?[ \t]{0,3}[>›»]{3}",
        r"[‹«]{3}|[›»]{3}",
        rf"[\[⟦⟪⟨【]\s?/\s?{_PART}\s?[\]⟧⟫⟩】]",
        r"\b(?:that was|so ends) the (?:reply|response)\b|\bwhat follows is (?:not|no longer) (?:a )?part\b",
        # a line that says that the part is over
        rf"^[^\w\n]{{2,12}}(?:end {_PART}|{_PART} (?:ends|ended|is over|stops)(?: here)?)[^\w\n]{{0,12}}$",
        rf"^[^\w\n]{{0,12}}{_ENDED}(?: to be judged| above)?(?:[^\w\n]{{0,12}}$|[.:!]\s)",
    )


_WITHOUT_BRACKETS = 6
"""From here on a pattern of a fence needs no bracket."""
_BRACKET = re.compile(r"[<>‹›«»⟦⟪⟨【\[]")
_TAG = re.compile(
    r"<(/?)([a-z]{2,12}[_-](?:reply|response|answer|text|output|input)|reply|answer|text|judged|completion|candidate"
    r"|message|conversation|submission|document|transcript|input|output|content|data|passage|evaluation|question|rubric"
    r"|criterion|criteria|instructions?)\s?>"
)


def closed_fences(folded: str) -> Iterator[Place]:
    """What looks like the end of the judged part: kardia's fence, a closing tag, a line that says so."""
    for pattern in _fences() if _BRACKET.search(folded) else _fences()[_WITHOUT_BRACKETS:]:
        for found in pattern.finditer(folded):
            yield found.span()
    opened: set[str] = set()
    for tag in _TAG.finditer(folded):
        if not tag[1]:
            opened.add(tag[2])
        elif tag[2] not in opened:
            yield tag.span()


# ---- turns ----------------------------------------------------------------------------------------------------------

_ROLE = (
    r"(?:human|user|assistant|system|developer|ai|bot|chatbot|gpt4 correct user"
    r"|gpt4 correct assistant|benutzer|benutzerin|utilisateur"
    r"|utilisatrice|usuario|usuário|utente|système|sistema|пользователь|ассистент|система|користувач|асистент|系统|系統|用户"
    r"|用戶|助手|システム|ユーザー|アシスタント|시스템|사용자|어시스턴트|المستخدم|النظام|المساعد|उपयोगकर्ता|सिस्टम|kullanıcı|gebruiker"
    r"|użytkownik|pengguna)"
)


@cache
def _roles() -> tuple[re.Pattern[str], ...]:
    return _compiled(
        rf"^[ \t>*_#`]{{0,6}}{_ROLE}[*_` ]{{0,3}}(?:message|prompt)?[*_` ]{{0,3}}(?::|>[ \t])",
        r"^(?:system|assistant|developer)$|<<\s?(?:user|system|assistant|human)\s?>>",
        rf"^[-=~#*_ ]{{2,12}}{_ROLE}(?: (?:message|prompt))?[-=~#*_ ]{{2,12}}$",
        r"^[ \t]{0,3}#{1,6}[ \t]{0,3}(?:(?:system|user|human|assistant|developer)(?: (?:prompt|message))?[ \t]{0,3}:?"
        r"|(?:instruction|response|input|prompt)[ \t]{0,3}:)[ \t#]{0,6}$",
        r"^[ \t>]{0,3}[\[(【]\s?(?:\d{1,4}\s)?(?:system|user|assistant|developer|human|tool)"
        r"(?:\s(?:message|prompt|note|notice|turn))?\s?[\])】]",
        r"\brole\s?=\s?[\"'](?:system|user|assistant|developer|human|tool)[\"']",
        rf"{_QUOTE}(?:role|from|author){_QUOTE}\s{{0,4}}:\s{{0,4}}{_QUOTE}"
        rf"(?:system|user|assistant|developer|human|gpt|tool|model){_QUOTE}",
        r"[\[(【]\s?(?:system|developer|evaluator|grader|admin) (?:note|notice|message|prompt)\s?:",
        r"^[ \t]{0,3}```[ \t]?(?:system|user|assistant|developer)\b",
        r"</?(?:system|assistant|developer|human|system[-_]?(?:prompt|message))>|</user>|^<user>",
    )


_OWN_NAME = re.compile(r"\s*[*_]{0,2}assistant[*_]{0,2}\s?:")


def role_markers(folded: str) -> Iterator[Place]:
    """Turns that are none: `Human:`, `### System:`, `[system]` at the start of a line, messages as JSON.

    A reply that begins with `Assistant:` only says whose it is.
    """
    own = _OWN_NAME.match(folded)
    for pattern in _roles():
        for found in pattern.finditer(folded):
            if own is None or found.start() >= own.end():
                yield found.span()


# ---- control tokens -------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"<[|\uff5c][^<>|\uff5c\n]{1,60}[|\uff5c]>|<\|\w{1,40}>|<\w{1,40}\|>|\[\|/?\w{1,40}\|\]|</?<?SYS>>"
    r"|</?(?:bos|eos|pad|sop|eop|start_of_turn|end_of_turn|start_of_image|end_of_image|im_start|im_end|tool_response"
    r"|bos_token|eos_token|pad_token|begin(?:ning)?_of_sentence|end_of_sentence|role)>"
    r"|<(?:seed:\w{1,20}|extra_id_\d{1,4}|SPECIAL_\d{1,4}|reserved_\d{1,4}|unused\d{1,4})>|\[UNUSED_TOKEN_\d{1,4}\]"
    r"|\]~!?b[\[\]]|\[e~\["
    r"|\[/?(?:INST|s?gMASK|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|BOS|EOS)\]",
    re.IGNORECASE,
)
_SPAN = re.compile(r"<\|(\w{1,40})_(?:begin|end)\|>")
_PAIRED = re.compile(r"<(/?)(s|tool_call)>")
# what a server leaves at the end of a completion when it keeps control tokens
_LAST = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|endoftext|end|end_of_text|eom_id|end_of_turn|return)\|>|</s>|<end_of_turn>|<eos>"
    r"|<\uff5cend\u2581of\u2581sentence\uff5c>|\[\|endofturn\|\])){1,2}\s*\Z"
)
_TAIL = 120


def chat_tokens(text: str, spans: Collection[str]) -> Iterator[Place]:
    """Control tokens of chat templates, in the raw text: `<|im_start|>`, `[INST]`, `<start_of_turn>` …

    Args:
        text: a message as it is.
        spans: names of spans; their tags, as in `<|emotion_begin|>`, belong to a reply. So do thinking tags, strike-out
            (`<s>so</s>`), and one end token at the very end.
    """
    tail = max(len(text) - _TAIL, 0)
    last = _LAST.search(text, tail)
    end = last.start() if last is not None else len(text)
    for found in _TOKEN.finditer(text, 0, end):
        span = _SPAN.fullmatch(found.group())
        if span is None or span[1] not in spans:
            yield found.span()
    opened: set[str] = set()
    for tag in _PAIRED.finditer(text, 0, end):
        if not tag[1]:
            opened.add(tag[2])
        elif tag[2] not in opened:
            yield tag.span()


# ---- what nobody sees -----------------------------------------------------------------------------------------------

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ue000-\uf8ff"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\U000f0000-\U0010fffd\x00-\x08\x0e-\x1f\x7f]+"
)
_NEVER = re.compile("[\u202d\u202e\u206a-\u206f\ufff9-\ufffb]|\x1b\\[|\x08{3}|[\x00-\x08\x0e-\x1f\x7f]{3}")
"""Override of the writing direction, deprecated and annotation characters, terminal commands, overstriking."""
_STYLED = re.compile(
    r"<\w{1,12}\s[^<>]{0,160}?(?:font-size\s?:\s?0|display\s?:\s?none|visibility\s?:\s?hidden|opacity\s?:\s?0(?!\.\d))",
    re.IGNORECASE,
)
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG = "\U0001f3f4"
_REGIONS = {"gbeng", "gbsct", "gbwls"}
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]+")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]{4}")
_SPLITTERS = "\u034f\u115f\u1160\u180e\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0"
_SPLIT = re.compile(
    f"(?<=[a-z\u00c0-\u024f\u0370-\u052f])[{_SPLITTERS}](?=[a-z\u00c0-\u024f\u0370-\u052f])", re.IGNORECASE
)
_RUN = 3
_MOST_DIRECTION = 6


def hidden_texts(text: str) -> Iterator[Place]:
    """Characters that nobody sees, where they carry something, in the raw text.

    Markup that hides its text counts as well. Ordinary are joiners in emoji and between the letters of Persian, Arabic
    and Indic words, single soft hyphens, variation selectors after their character, marks of the writing direction, and
    the flags of England, Scotland and Wales.
    """
    for pattern in (_NEVER, _STYLED):
        for found in pattern.finditer(text):
            yield found.span()
    if text.isascii():
        return
    split = list(_SPLIT.finditer(text))
    if len(split) >= _RUN:
        yield split[0].start(), split[-1].end()
    for run in _UNSEEN.finditer(text):
        if _carries(run.group(), text[run.start() - 1] if run.start() else ""):
            yield run.span()


def _carries(run: str, before: str) -> bool:
    if _PRIVATE.search(run):
        return True
    if tags := _TAGS.search(run):
        letters = "".join(chr(ord(tag) - 0xE0000) for tag in tags.group()[:-1])
        return not (before == _FLAG and tags.group()[-1] == "\U000e007f" and letters in _REGIONS)
    selectors = _SELECTORS.search(run)
    if selectors and (len(selectors.group()) > 1 or (selectors.group() > "\ufe0f" and before < "\u3400")):
        return True
    directions = sum(len(found) for found in _DIRECTION.findall(run))
    private = sum("\ue000" <= character <= "\uf8ff" for character in run)
    return directions > _MOST_DIRECTION or len(run) - directions - private >= _RUN
