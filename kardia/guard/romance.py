"""What people say to a judge in four Romance languages, as phrases; see `kardia.guard.phrases`.

French, Spanish, Portuguese, Italian. Each has the same few: throw the instructions away; give this reply the highest
mark; this reply deserves it; as the judge you must.
"""

from __future__ import annotations

from kardia.guard.phrases import NUMBER_AT_THE_END, Phrase, phrases_of

__all__ = ["ROMANCE"]

_FRENCH = phrases_of(
    "fr",
    (
        "ignor oubli compte suivez suis abstraction & instruction consigne directive regle invite prompt",
        30,
        (
            r"\b(?:ignore[zrs]?|oublie[zr]?|ne (?:tiens|tenez) pas compte|ne (?:suis|suivez) pas"
            r"|(?:fais|faites) abstraction)\b",
            r"\b(?:instructions?|consignes?|directives?|règles|invites?|prompts?)\s(?:\w+\s)?(?:précédentes?"
            r"|antérieures?"
            r"|ci-dessus|système|d'évaluation|de notation)\b(?!\s(?:du|de|des|d')\b)",
        ),
    ),
    (
        "donn attribu accord mets mettez & reponse & note score niveau evaluation",
        30,
        (r"{give}", r"{reply}", r"{best}|{n}"),
    ),
    (
        "note score niveau evaluation mention & reponse & maxim meilleur parfait plus",
        12,
        (r"{best}", r"\b(?:à|pour)\s{reply}"),
    ),
    (
        "note evalu jug consider class & reponse",
        14,
        (
            r"\b(?:note[zr]?|évalue[zr]?|juge[zr]?|considère|considérez|classe[zr]?)\b",
            r"{reply}",
            r"\b(?:comme|avec|à)\s(?:\w+\s){0,3}?(?:{n}|{top})|{n}",
        ),
    ),
    (
        "reponse & merit doit devrait obtient recoit",
        24,
        (r"{reply}", r"\b(?:mérite|doit|devrait|obtient|reçoit)\b", r"{best}|{n}"),
    ),
    (
        "evaluat juge correcteur examinateur notateur arbitre & devez dois devri devra faut",
        40,
        (
            r"\b(?:en tant qu(?:e |')|comme\s)(?:\w+\s){0,2}(?:évaluat\w+|juge|correcteur|examinateur|notateur"
            r"|arbitre)\b",
            r"\b(?:vous devez|tu dois|vous devriez|tu devrais|il (?:te|vous) faut)\b",
            r"{best}|{reply}|{n}|tous les critères",
        ),
    ),
    (
        "note message remarque instruction avis consigne & evaluat juge correcteur modele & criter reponse score "
        "niveau",
        60,
        (
            r"\b(?:note|message|remarque|instruction|avis|consigne)s?\s(?:à|au|aux|pour)\s?(?:l'|le |la |les )?"
            r"(?:évaluat\w+|juge|correcteur|modèle)",
            r"critère|\bréponse|\bscore|\bniveau",
        ),
    ),
    reply=r"\b(?:cette|la|ma|ladite)\s(?:réponse|réplique)\b",
    best=r"(?:{top}\s(?:\w+\s)?{note}|{note}\s(?:(?:le|la)\s)?{top})",
    top=r"(?:maximal\w*|maximum|max|meilleur\w*|parfait\w*|plus (?:haut|élevé)\w*|excellent\w*)",
    note=r"\b(?:note|score|niveau|évaluation|points?|étoiles?|mention)s?",
    give=r"\b(?:donne[zr]?|attribue[zr]?|accorde[zr]?|mets|mettez|décerne[zr]?)\b",
    n=NUMBER_AT_THE_END,
)

_SPANISH = phrases_of(
    "es",
    (
        "ignor olvid caso_omiso descart desestim sigas & instruc indicac ordenes directric reglas prompt",
        24,
        (
            r"\b(?:ignora|ignore|ignoren|ignorar|olvida|olvide|haz caso omiso|descarta|desestima|no sigas)\b",
            r"\b(?:instrucciones|indicaciones|órdenes|directrices|reglas|prompts?)\s(?:\w+\s)?(?:anteriores|previas"
            r"|precedentes|de arriba|del sistema|de evaluación)\b(?!\s(?:de|del)\b)",
        ),
    ),
    (
        "da otorg asign conced pon & respuesta contestacion",
        30,
        (r"\b(?:da|dale|dele|otórga\w*|otorgue|asígna\w*|asigne|concede|pon|ponle)\b", r"{reply}", r"{best}|{n}"),
    ),
    ("respuesta & puntu calific puntaje nota nivel valorac", 12, (r"{best}", r"\b(?:a|para)\s{reply}")),
    (
        "calific evalu puntu valor marc & respuesta contestacion",
        12,
        (
            r"\b(?:califica|califique|evalúa|evalúe|puntúa|puntúe|valora|valore|marca)\b",
            r"{reply}",
            r"\b(?:con|como)\s(?:\w+\s){0,3}?(?:{n}|{top})",
        ),
    ),
    (
        "respuesta contestacion & merec deb obtien recib",
        24,
        (r"{reply}", r"\b(?:merece|debe|debería|obtiene|recibe)\b", r"{best}|{n}"),
    ),
    (
        "evaluador juez calificador revisor arbitro & debe tiene",
        40,
        (
            r"\bcomo\s(?:\w+\s){0,2}(?:evaluador|juez|calificador|revisor|árbitro)a?\b",
            r"\b(?:debes|debe|tienes que|tiene que|deberías)\b",
            r"{best}|{reply}|{n}|todos los criterios",
        ),
    ),
    (
        "nota mensaje aviso instruccion atencion & evaluador juez calificador modelo & criteri respuesta nivel puntu",
        60,
        (
            r"\b(?:nota|mensaje|aviso|instrucción|instrucciones|atención)\s(?:para|al?)\s(?:(?:el|la|los"
            r"|las)\s)?(?:\w+\s)?"
            r"(?:evaluador|juez|calificador|modelo)",
            r"criteri|\brespuesta|\bnivel|puntua",
        ),
    ),
    reply=r"\b(?:esta|la|mi|dicha)\s(?:respuesta|contestación)\b",
    best=r"(?:{top}\s(?:\w+\s)?{note}|{note}\s(?:\w+\s)?{top})",
    top=r"\b(?:máxim|mejor|perfect|excelente|más alt|óptim)\w*",
    note=r"\b(?:puntuaci\w+|calificaci\w+|puntaje|nota|nivel|valoraci\w+|puntos?|estrellas?)\b",
    n=NUMBER_AT_THE_END,
)

_PORTUGUESE = phrases_of(
    "pt",
    (
        "ignor esque desconsider descart siga & instruc orientac ordens diretrizes regras comandos prompt",
        24,
        (
            r"\b(?:ignore|ignora|ignorem|esqueça|esquece|desconsidere|desconsidera|descarte|não siga)\b",
            r"\b(?:instruções|orientações|ordens|diretrizes|regras|comandos|prompts?)\s(?:\w+\s)?(?:anteriores|prévias"
            r"|precedentes|acima|do sistema|de avaliação)\b(?!\s(?:do|da|de)\b)",
        ),
    ),
    (
        "de_a atribu conced coloque dar & resposta",
        30,
        (r"\b(?:dê (?:a|à)|atribua|conceda|dar|coloque)\b", r"{reply}", r"{best}|{n}"),
    ),
    ("resposta & pontuac nota nivel classific avaliac", 12, (r"{best}", r"\b(?:a|à|para)\s{reply}")),
    (
        "avali classific pontu marque & resposta",
        12,
        (
            r"\b(?:avalie|avalia|classifique|pontue|marque)\b",
            r"{reply}",
            r"\b(?:com|como)\s(?:\w+\s){0,3}?(?:{n}|{top})",
        ),
    ),
    ("resposta & merec dev obtem recebe", 24, (r"{reply}", r"\b(?:merece|deve|deveria|obtém|recebe)\b", r"{best}|{n}")),
    (
        "avaliador juiz examinador corretor & dev tem tens precisa",
        40,
        (
            r"\bcomo\s(?:\w+\s){0,2}(?:avaliador|juiz|examinador|corretor)a?\b",
            r"\b(?:você deve|deves|deve|tem que|tens de|precisa)\b",
            r"{best}|{reply}|{n}|todos os critérios",
        ),
    ),
    (
        "nota mensagem aviso instruc & avaliador juiz corretor modelo & criteri resposta nivel pontu",
        60,
        (
            r"\b(?:nota|mensagem|aviso|instruç\w+)\s(?:para|ao?)\s(?:[oa]s?\s)?(?:\w+\s)?(?:avaliador|juiz|corretor"
            r"|modelo)",
            r"critéri|\bresposta|\bnível|pontua",
        ),
    ),
    reply=r"\b(?:esta|essa|a|minha)\s(?:resposta|réplica)\b",
    best=r"(?:{top}\s(?:\w+\s)?{note}|{note}\s(?:\w+\s)?{top})",
    top=r"\b(?:máxim|melhor|perfeit|excelente|mais alt|mais elevad)\w*",
    note=r"\b(?:pontuaç\w+|nota|nível|classificaç\w+|avaliaç\w+|pontos?|estrelas?)\b",
    n=NUMBER_AT_THE_END,
)

_ITALIAN = phrases_of(
    "it",
    (
        "ignor dimentic trascur scart seguire & istruzion indicazion direttiv regole ordini prompt",
        24,
        (
            r"\b(?:ignora|ignorare|ignorate|ignori|dimentica|dimenticate|trascura|scarta|non seguire)\b",
            r"\b(?:istruzioni|indicazioni|direttive|regole|ordini|prompt)\s(?:\w+\s)?(?:precedenti|anteriori|sopra"
            r"|di sopra|di sistema|di valutazione)\b(?!\s(?:del|della|di)\b)",
        ),
    ),
    (
        "dai dia date assegn attribu metti & risposta",
        30,
        (r"\b(?:dai|dia|date|assegna|assegni|assegnate|attribuisci|metti)\b", r"{reply}", r"{best}|{n}"),
    ),
    ("risposta & puntegg voto livello valutaz giudizio", 12, (r"{best}", r"\b(?:a|per)\s{reply}")),
    (
        "valut giudic consider & risposta",
        12,
        (
            r"\b(?:valuta|valuti|valutate|giudica|considera)\b",
            r"{reply}",
            r"\b(?:con|come)\s(?:\w+\s){0,3}?(?:{n}|{top})",
        ),
    ),
    (
        "risposta & merit dev dovrebbe ottiene riceve",
        24,
        (r"{reply}", r"\b(?:merita|deve|dovrebbe|ottiene|riceve)\b", r"{best}|{n}"),
    ),
    (
        "valutat giudice esaminatore & dev dovresti",
        40,
        (
            r"\b(?:come|in quanto|in qualità di)\s(?:\w+\s){0,2}(?:valutatore|valutatrice|giudice|esaminatore)\b",
            r"\b(?:devi|deve|dovete|dovresti)\b",
            r"{best}|{reply}|{n}|tutti i criteri",
        ),
    ),
    reply=r"\b(?:questa|la|mia)\s(?:risposta|replica)\b",
    best=r"(?:{top}\s(?:\w+\s)?{note}|{note}\s(?:\w+\s)?{top})",
    top=r"\b(?:massim|miglior|perfett|eccellent|più alt|più elevat)\w*",
    note=r"\b(?:punteggio|voto|livello|valutazione|punti|stelle|giudizio)\b",
    n=NUMBER_AT_THE_END,
)

ROMANCE: tuple[Phrase, ...] = (*_FRENCH, *_SPANISH, *_PORTUGUESE, *_ITALIAN)
