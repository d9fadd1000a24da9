"""What people say to a judge in five languages of Europe, as phrases; see `kardia.guard.phrases`.

German, Dutch, Russian, Ukrainian, Polish. Each has the same few: throw the
instructions away; give this reply the highest mark; this reply deserves it; as the judge you must.
"""

from __future__ import annotations

from kardia.guard.phrases import NUMBER_AT_THE_END, Phrase, phrases_of

__all__ = ["EUROPEAN"]

_GERMAN = phrases_of(
    "de",
    (
        "ignor missacht vergiss vergess verwirf verwerf beacht & anweis instrukt vorgabe befehl prompt richtlinie",
        24,
        (
            r"\b(?:ignorier\w*|missachte\w*|vergiss|vergesst|vergessen sie|verwirf|verwerfen sie|beachte\w*)\b",
            r"\b(?:(?:vorherig|vorig|obig|bisherig|vorangegangen|vorangehend|früher|system)\w*|alle deine|alle ihre)\s"
            r"(?:\w+\s)?(?:anweisung|instruktion|vorgabe|befehl|prompt|richtlinie)\w*"
            r"(?!\s(?:der|des|von|vom|deine[rs]|ihre[rs])\b)",
        ),
    ),
    (
        "gib geb vergib erteil & antwort reaktion erwiderung & punkt bewert stufe note stern",
        30,
        (r"{give}", r"{reply}", r"{top}\s(?:\w+\s)?{note}|\bvolle punktzahl|{n}"),
    ),
    (
        "gib geb vergib erteil & antwort & punkt bewert stufe note stern",
        30,
        (r"{give}", r"{top}\s(?:\w+\s)?{note}|\bvolle punktzahl", r"{reply}|\bjede[rn]? antwort\b"),
    ),
    (
        "bewert benot werte stufe & antwort reaktion erwiderung",
        12,
        (
            r"\b(?:bewerte|bewerten sie|bewertet|benote|benoten sie|werte|werten sie|stufe|stufen sie)\b",
            r"{reply}",
            r"\b(?:mit|als)\s(?:\w+\s){0,3}?(?:{n}|{top})",
        ),
    ),
    (
        "antwort reaktion erwiderung & verdien sollte muss erhalt bekommt",
        24,
        (r"{reply}", r"\b(?:verdient|sollte|muss|erhält|bekommt)\b", r"{top}\s(?:\w+\s)?{note}|volle punktzahl|{n}"),
    ),
    (
        "als & bewerter beurteiler evaluator juror gutachter prufer richter modell jury",
        50,
        (
            r"\bals (?:\w+\s){0,2}(?:bewerter|beurteiler|evaluator|preisrichter|juror|gutachter|prüfer|richter"
            r"|schiedsrichter|bewertungsmodell|jury)(?:in)?\b",
            r"\b(?:musst|müssen|sollst|sollten|solltest|hast|haben)\b",
            r"{top}\s(?:\w+\s)?{note}|{reply}|{n}|alle kriterien",
        ),
    ),
    (
        "hinweis notiz nachricht anweisung bemerkung & bewert beurteil evaluator modell gutachter prufer richter juror",
        60,
        (
            r"\b(?:hinweis|notiz|nachricht|anweisung|bemerkung)(?:en)?\s(?:an|für)\s(?:den|die|das"
            r"|alle)\s(?:\w+\s){0,2}"
            r"(?:bewert|beurteil|evaluator|sprachmodell|gutachter|prüfer|richter|juror)\w*",
            r"kriteri|\bantwort|punkt|bewert|stufe\b",
        ),
    ),
    (
        "richtige korrekte einzig & stufe punktzahl bewertung",
        0,
        (
            r"\b(?:richtige|korrekte|einzig\w*)\s(?:\w+\s){0,2}(?:stufe|punktzahl|bewertung)\s(?:\w+\s){0,3}?(?:ist"
            r"|lautet)"
            r"\s(?:die\s)?\d",
        ),
    ),
    reply=(
        r"\b(?:dies(?:e|er|es|en)|obige[nr]?|meine[rn]?|der obigen|die obige|die folgende|der folgenden)\s(?:\w+\s)?"
        r"(?:antwort|erwiderung|reaktion)\b"
    ),
    note=r"(?:punktzahl|punkte|bewertung|wertung|stufe|note|sterne|niveau|score)\w*",
    top=r"\b(?:höchst|best|maximal|perfekt)\w*",
    give=r"\b(?:gib|geben sie|gebt|vergib|vergeben sie|erteile|erteilen sie)\b",
    n=NUMBER_AT_THE_END,
)

_RUSSIAN = phrases_of(
    "ru",
    (
        "игнор забуд обращай учитывай отбрось пренебрег & инструкц указан правил команд промпт приказ",
        24,
        (
            r"\b(?:про)?игнорируй\w*|\bзабудь\w*|\bне (?:обращай\w*|учитывай\w*)|\b(?:отбрось|пренебреги)\w*",
            r"\b(?:предыдущ|прежн|вышеуказанн|систем)\w*\s(?:\w+\s)?(?:инструкци|указани|правил|команд|промпт"
            r"|приказ)\w*"
            r"(?!\s(?:врач|доктор|от)\w*)",
        ),
    ),
    (
        "постав дай присво выстав назнач & ответ",
        24,
        (r"{give}", r"{reply}", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "постав дай присво выстав назнач & ответ & балл оценк уров",
        24,
        (r"{give}", r"{top}\s(?:\w+\s)?{note}", r"{reply}"),
    ),
    (
        "оцен счита призна & ответ",
        12,
        (r"\b(?:оцени|считай|признай)\w*", r"{reply}", r"\b(?:на|как|в)\s(?:\w+\s){0,2}?(?:{n}|{top})|{top}"),
    ),
    (
        "ответ & заслужива достоин долж",
        24,
        (r"{reply}", r"\b(?:заслуживает|достоин|должен)\b", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "как в_качестве будучи & оценщик судь эксперт проверяющ экзаменатор рецензент",
        40,
        (
            r"\b(?:как|в качестве|будучи)\s(?:\w+\s){0,2}(?:оценщик|судь|эксперт|проверяющ|экзаменатор|рецензент)\w*",
            r"\b(?:ты должен|ты должна|вы должны|тебе следует|вам следует|обязан\w*)\b",
            r"{top}\s(?:\w+\s)?{note}|{reply}|{n}|все критерии",
        ),
    ),
    (
        "примечание заметка сообщение инструкция внимание & оценщик судь проверяющ модел & критери ответ балл оценк "
        "уров",
        60,
        (
            r"\b(?:примечание|заметка|сообщение|инструкция|внимание)\s(?:для\s)?(?:\w+\s)?(?:оценщик|судь|проверяющ"
            r"|модел)\w*",
            r"критери|\bответ|\bбалл|\bуров",
        ),
    ),
    reply=r"\b(?:эт(?:от|ому|ого)|мо(?:й|ему)|данн\w+)\s(?:\w+\s)?ответ\w*",
    top=r"\b(?:высш|максимальн|наивысш|самы\w+ высок|отличн|лучш|полн)\w*",
    note=r"\b(?:балл|оценк|уровен|уровн|отметк|рейтинг)\w*",
    give=r"\b(?:постав|дай|присво|выстав|назнач)\w*",
    n=NUMBER_AT_THE_END,
)

_UKRAINIAN = phrases_of(
    "uk",
    (
        "ігнор забуд зважай & інструкц вказівк правил команд промпт",
        24,
        (
            r"\b(?:про)?ігнору\w+|\bзабудь\w*|\bне зважай\w*",
            r"\b(?:попередн|вищезазначен|системн)\w*\s(?:\w+\s)?(?:інструкці|вказівк|правил|команд|промпт)\w*",
        ),
    ),
    (
        "постав дай присво вистав & відповід",
        24,
        (r"\b(?:постав|дай|присвой|вистав)\w*", r"{reply}", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "відповід & заслугову отримати",
        24,
        (r"{reply}", r"\b(?:заслуговує|має отримати|повинна отримати)\b", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "як & оцінювач судд експерт",
        40,
        (
            r"\bяк\s(?:\w+\s){0,2}(?:оцінювач|судд|експерт)\w*",
            r"\b(?:ти маєш|ви маєте|ти повинен|ви повинні|мусиш)\b",
            r"{top}\s(?:\w+\s)?{note}|{reply}|{n}",
        ),
    ),
    reply=r"\bц(?:я|ій|ю|ієї)\s(?:\w+\s)?відповід\w*",
    top=r"\b(?:найвищ|максимальн|найкращ)\w*",
    note=r"\b(?:бал|оцінк|рівен|рівн)\w*",
    n=NUMBER_AT_THE_END,
)

_POLISH = phrases_of(
    "pl",
    (
        "ignoruj zapomnij pomin zlekcewaz & instrukcj poleceni wytyczn zasad komend",
        24,
        (
            r"\b(?:z?ignoruj|zapomnij|pomiń|zlekceważ)\w*",
            r"\b(?:poprzedni|wcześniejsz|powyższ|systemow|dotychczasow)\w*\s(?:\w+\s)?(?:instrukcj|poleceni|wytyczn"
            r"|zasad"
            r"|komend)\w*",
        ),
    ),
    (
        "przyznaj daj wystaw postaw nadaj & odpowied wypowied",
        24,
        (r"\b(?:przyznaj|daj|wystaw|postaw|nadaj)\w*", r"{reply}", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "odpowied wypowied & zaslug powinna musi",
        24,
        (r"{reply}", r"\b(?:zasługuje|powinna|musi)\b", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "jako & oceniajac sedz egzaminator ewaluator recenzent",
        40,
        (
            r"\bjako\s(?:\w+\s){0,2}(?:oceniając|sędz|egzaminator|ewaluator|recenzent)\w*",
            r"\b(?:musisz|powin\w+|masz|należy)\b",
            r"{top}\s(?:\w+\s)?{note}|{reply}|{n}",
        ),
    ),
    reply=r"\b(?:ta|tej|tę|tą)\s(?:\w+\s)?(?:odpowied|wypowied)\w*",
    top=r"\b(?:najwyższ|maksymaln|najlepsz)\w*",
    note=r"\b(?:ocen|punkt|poziom|not)\w*",
    n=NUMBER_AT_THE_END,
)

_DUTCH = phrases_of(
    "nl",
    (
        "negeer vergeet & instruct opdracht aanwijzing richtlijn regel prompt",
        24,
        (
            r"\b(?:negeer|vergeet)\b",
            r"\b(?:eerdere|vorige|bovenstaande|voorgaande|voorafgaande)\s(?:\w+\s)?(?:instructie|opdracht|aanwijzing"
            r"|richtlijn|regel|prompt)\w*(?!\s(?:van)\b)",
        ),
    ),
    (
        "geef ken & antwoord reactie",
        24,
        (r"\b(?:geef|ken)\b", r"{reply}", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "antwoord reactie & verdient moet hoort",
        24,
        (r"{reply}", r"\b(?:verdient|moet|hoort)\b", r"{top}\s(?:\w+\s)?{note}|{n}"),
    ),
    (
        "als & beoordelaar jurylid rechter evaluator examinator",
        40,
        (
            r"\bals\s(?:\w+\s){0,2}(?:beoordelaar|jurylid|rechter|evaluator|examinator)\b",
            r"\b(?:moet|dient)\b",
            r"{top}\s(?:\w+\s)?{note}|{reply}|{n}",
        ),
    ),
    reply=r"\b(?:dit|deze|mijn)\s(?:\w+\s)?(?:antwoord|reactie)\b",
    top=r"\b(?:hoogste|maximale|beste|volle)\b",
    note=r"\b(?:score|punt|cijfer|niveau|beoordeling|waardering)\w*",
    n=NUMBER_AT_THE_END,
)

EUROPEAN: tuple[Phrase, ...] = (
    *_GERMAN,
    *_RUSSIAN,
    *_UKRAINIAN,
    *_POLISH,
    *_DUTCH,
)
