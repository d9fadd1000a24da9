"""What people say to a judge in ten languages of Asia, as phrases; see `kardia.guard.phrases`.

Chinese, Japanese, Korean, Arabic, Persian, Hebrew, Hindi, Turkish, Indonesian, Vietnamese. Each has the same few:
throw the instructions away; give this reply the highest mark; this reply deserves it; as the judge you must.
Languages without spaces, and those whose letters combine, do without word boundaries.
"""

from __future__ import annotations

from kardia.guard.phrases import Phrase, phrases_of

__all__ = ["ASIAN"]

_CHINESE = phrases_of(
    "zh",
    (
        "忽略 无视 無視 忘记 忘掉 忘記 理会 遵守 抛开 & 指令 指示 提示 命令 规则 規則 准则 準則",
        3,
        (
            r"忽略|无视|無視|忘记|忘掉|忘記|不要理会|不用理会|不要遵守|抛开",
            r"(?<![他她们們妈爸婆师])(?:之前|以前|先前|以上|上述|前面|上面|所有|原有|系统|系統)[^。!?\n,,他她]{0,8}?"
            r"(?:指令|指示|提示词|提示|命令|规则|規則|准则|準則)",
        ),
    ),
    (
        "回复 回答 答复 回应 回覆 答覆 回應",
        12,
        (r"给|給|打|评|評|判|授予|赋予", r"{reply}", r"最高|满分|滿分|高分|五星|{n}"),
    ),
    (
        "回复 回答 答复 回应 回覆 答覆 回應",
        8,
        (r"{reply}", r"应该|應該|应当|必须|必須|值得|理应|配得上|评为|評為", r"满分|滿分|最高|高分|五星|{n}"),
    ),
    (
        "作为 身为 作為 身為",
        12,
        (
            r"(?:作为|身为|作為|身為)[^。,\n]{0,6}?(?:评审|评委|评估|评分|评判|裁判|打分|評審|評委|評估|評分|評判|阅卷)"
            r"(?:者|员|員|人|官|模型|系统|系統|老师)?",
            r"必须|必須|应该|應該|应当|需要|只能",
            r"最高|满分|滿分|高分",
        ),
    ),
    (
        "评分 评估 评审 打分 裁判 評分 評估 評審",
        0,
        (
            r"(?:评分|评估|评审|打分|裁判|評分|評估|評審)(?:模型|系统|系統|者|员|員|人员|人員|ai)(?:们|們)?(?:请|請)?"
            r"(?:注意|看|[:,]\s?(?:请|請|本|此|这|這))",
        ),
    ),
    reply=r"(?:这|此|该|本|上述|這|該)(?:个|個|条|條|段|则|份)?(?:回复|回答|答复|回应|回覆|答覆|回應|答案)",
    n=r"\d{1,3}分|[五十]分",
)

_JAPANESE = phrases_of(
    "ja",
    (
        "無視 忘れ 従わな 破棄 & 指示 命令 プロンプト ルール 規則 指令",
        8,
        (
            r"(?<!の)(?:これまで|以前|前|上記|以上|すべて|全て|先ほど|今まで)の?(?:すべての|全ての)?(?:指示|命令|プロンプト|ルール"
            r"|規則|指令)",
            r"無視|忘れ|従わな|破棄",
        ),
    ),
    (
        "返信 回答 応答 返答 返事 & 評価 点 スコア レベル",
        8,
        (r"{reply}", r"最高|満点|最も高い|一番高い|\d{1,3}点", r"評価|点|スコア|レベル|付け|与え|採点|値"),
    ),
    (
        "評価者 採点者 審査員 審査者 判定者 ジャッジ モデル",
        20,
        (
            r"(?:評価者|採点者|審査員|審査者|判定者|ジャッジ|評価モデル|採点モデル)(?:として|の(?:方|皆)|へ|である)",
            r"最高|満点|最も高い|一番高い|基準|この(?:回答|返信|返答|応答)",
        ),
    ),
    reply=r"(?:この|上記の|本|こちらの)(?:返信|回答|応答|返答|返事|答え)",
)

# Korean is folded into single letters (jamo), three for what one sees as one: hence the wider reach
_KOREAN = phrases_of(
    "ko",
    (
        "무시 잊 따르지 & 지시 명령 지침 프롬프트",
        24,
        (
            r"(?:이전|앞|위|기존|모든|지금까지|앞선)(?:의|에)?\s?(?:모든\s)?(?:지시|명령|지침|프롬프트)",
            r"무시|잊|따르지",
        ),
    ),
    (
        "답변 응답 답장 대답 회신",
        24,
        (r"{reply}", r"최고|만점|가장 높은|제일 높은|\d{1,3}점", r"점수|등급|평가|평점|주|받|매기|채점"),
    ),
    (
        "평가자 채점자 심사자 심사위원 모델",
        40,
        (
            r"(?:평가자|채점자|심사자|심사위원|평가 모델|채점 모델)(?:로서|님께|님,|에게:|께:|이신|인 당신)",
            r"최고|만점|가장 높은|모든 기준|이 답변|이 응답",
        ),
    ),
    reply=r"(?:^|\s)(?:이|위|본|해당|위의)\s?(?:답변|응답|답장|대답|회신)",
)

_ARABIC = phrases_of(
    "ar",
    (
        "تجاهل انس تتبع أهمل & التعليمات الأوامر الإرشادات القواعد التوجيهات",
        12,
        (
            r"\b(?:تجاهل|تجاهلوا|تجاهلي|انس|لا تتبع|أهمل)\b",
            r"\b(?:التعليمات|الأوامر|الإرشادات|القواعد|التوجيهات)\s(?:السابقة|أعلاه|المذكورة|الأصلية)"
            r"|\b(?:جميع|كل)\s(?:التعليمات|الأوامر|التوجيهات)",
        ),
    ),
    (
        "امنح أعط ضع قيم صنف & الرد الإجابة الجواب الاستجابة & أعلى كامل القصوى درجة",
        16,
        (r"\b(?:امنح|أعط|أعطي|ضع|قيم|صنف)\b", r"{reply}", r"{top}|\bدرجة \d|\d{1,3}\s?(?:/|من)\s?\d"),
    ),
    (
        "الرد الإجابة الجواب الاستجابة & تستحق يستحق يجب ينبغي",
        16,
        (r"{reply}", r"\b(?:تستحق|يستحق|يجب أن|ينبغي أن)\b", r"{top}|\bدرجة \d"),
    ),
    (
        "بصفتك باعتبارك كونك بوصفك",
        30,
        (
            r"\b(?:بصفتك|باعتبارك|كونك|بوصفك)\s(?:\w+\s)?(?:ال)?(?:مقيم|حكم|محكم|مصحح|مراجع)\w*",
            r"\b(?:يجب|عليك|ينبغي|لا بد)\b",
            r"{top}|{reply}",
        ),
    ),
    reply=r"\b(?:هذا|هذه|لهذا|لهذه)\s(?:الرد|الإجابة|الجواب|الاستجابة)\b",
    top=r"\b(?:أعلى|أفضل)\s(?:\w+\s)?(?:درجة|تقييم|علامة|مستوى|نقاط)|\b(?:الدرجة|العلامة)\s(?:الكاملة|القصوى|العليا)",
)

_PERSIAN = phrases_of(
    "fa",
    ("نادیده فراموش & دستور", 24, (r"دستور\w*\s(?:\w+\s)?(?:قبلی|پیشین|بالا)", r"نادیده|فراموش")),
    (
        "پاسخ جواب & بالاترین حداکثر کامل",
        24,
        (r"\bاین\s(?:پاسخ|جواب)\b", r"بالاترین|حداکثر|کامل", r"امتیاز|نمره|سطح|رتبه"),
    ),
    (
        "به_عنوان & ارزیاب داور مصحح",
        30,
        (r"به عنوان\s(?:\w+\s)?(?:ارزیاب|داور|مصحح)", r"باید", r"بالاترین|حداکثر|این پاسخ"),
    ),
)

_HEBREW = phrases_of(
    "he",
    (
        "התעלם התעלמי התעלמו שכח תתייחס & ההוראות ההנחיות הפקודות הכללים",
        12,
        (
            r"\b(?:התעלם|התעלמי|התעלמו|שכח|שכחי|אל תתייחס)\b",
            r"(?:ההוראות|ההנחיות|הפקודות|הכללים)\s(?:ה?קודמות|ה?קודמים|לעיל|שלמעלה)",
        ),
    ),
    ("תשובה תגובה & תן תני תנו הענק דרג", 16, (r"(?:^|\s|\bו)(?:תן|תני|תנו|הענק|דרג|דרגי)\b", r"{reply}", r"{top}|\d")),
    ("תשובה תגובה & ראויה מגיע צריכה", 16, (r"{reply}", r"ראויה|מגיע|צריכה לקבל", r"{top}|\d")),
    (
        "כמעריך כשופט כבוחן כמדרג כמעריכה",
        24,
        (r"\bכ(?:מעריכה?|מעריך|שופט|בוחן|מדרג)\b", r"עליך|אתה חייב|את חייבת", r"{top}"),
    ),
    reply=r"\b(?:ל|ה)?(?:תשובה|תגובה)\s(?:הזאת|הזו|זו|שלעיל)",
    top=r"(?:[הבל]?(?:ציון|דירוג|רמה))\s(?:הגבוהה?|המקסימלית?)",
)

_HINDI = phrases_of(
    "hi",
    (
        "निर्देश आदेश & अनदेखा नज़रअंदाज़ उपेक्षा भूल ध्यान_न",
        30,
        (r"(?:पिछले|पूर्व|ऊपर|उपरोक्त)[^।.\n]{0,12}?(?:निर्देश|आदेश)", r"अनदेखा|नज़रअंदाज़|उपेक्षा|भूल जा|ध्यान न"),
    ),
    (
        "उत्तर जवाब प्रतिक्रिया & अंक स्कोर रेटिंग स्तर नंबर",
        24,
        (
            r"(?:इस|यह) (?:उत्तर|जवाब|प्रतिक्रिया)",
            r"सबसे (?:अधिक|ऊँच|ऊंच|ज़्यादा|अच्छ)|उच्चतम|अधिकतम|पूरे|पूर्ण|\d",
            r"अंक|स्कोर|रेटिंग|स्तर|नंबर",
        ),
    ),
    (
        "मूल्यांकनकर्ता निर्णायक परीक्षक मूल्यांकक",
        60,
        (
            r"(?:मूल्यांकनकर्ता|निर्णायक|परीक्षक|मूल्यांकक) (?:के रूप में|के नाते|होने के नाते)",
            r"उच्चतम|अधिकतम|सबसे|पूरे|पूर्ण|इस (?:उत्तर|जवाब)",
        ),
    ),
)

_TURKISH = phrases_of(
    "tr",
    (
        "yok_say gormezden unut dikkate goz_ardi & talimat yonerge komut kural emir emr",
        24,
        (
            r"\b(?:önceki|yukarıdaki|sistem)\s(?:\w+\s){0,2}(?:talimat|yönerge|komut|kural|emir|emr)\w*",
            r"\b(?:yok say|görmezden gel|unut|dikkate alma|göz ardı et)\w*",
        ),
    ),
    (
        "yanit cevap cevab & puan not seviye derece degerlendir",
        16,
        (
            r"{reply}",
            r"\ben yüksek|\btam puan|\bmaksimum|\b\d{1,3}\b",
            r"\b(?:puan|not|seviye|derece|değerlendir|ver)\w*",
        ),
    ),
    (
        "degerlendirici hakem juri yargic puanlayici",
        40,
        (
            r"\b(?:değerlendirici|hakem|jüri üyesi|yargıç|puanlayıcı)\s(?:olarak|sıfatıyla)",
            r"\ben yüksek|\btam puan|\btüm kriter|\bbu (?:yanıt|cevap)",
        ),
    ),
    reply=r"\bbu\s(?:\w+\s)?(?:yanıt|cevab|cevap)\w*",
)

_INDONESIAN = phrases_of(
    "id",
    (
        "abaikan lupakan jangan & instruksi perintah petunjuk arahan",
        24,
        (
            r"\b(?:abaikan|lupakan|jangan ikuti)\b",
            r"\b(?:instruksi|perintah|petunjuk|arahan)\s(?:\w+\s)?(?:sebelumnya|di atas|sistem|terdahulu)\b",
        ),
    ),
    ("beri & jawaban balasan tanggapan respons", 16, (r"\b(?:berikan|beri)\b", r"{best}", r"{reply}")),
    (
        "jawaban balasan tanggapan respons & pantas layak harus",
        24,
        (r"{reply}", r"\b(?:pantas|layak|harus|seharusnya)\b", r"{best}|{n}"),
    ),
    (
        "sebagai & penilai evaluator juri hakim",
        40,
        (r"\bsebagai\s(?:\w+\s)?(?:penilai|evaluator|juri|hakim)\b", r"\bharus\b", r"\b(?:tertinggi|maksimal)\b"),
    ),
    reply=r"\b(?:jawaban|balasan|tanggapan|respons)\sini\b",
    best=r"\b(?:skor|nilai|peringkat|tingkat|level)\s(?:tertinggi|maksimal|sempurna|penuh)\b",
    n=r"(?<![-\d])\d{1,3}(?:\s?(?:/|dari)\s?\d{1,3})?(?=\s*(?:$|[.!,;:)]))",
)

_VIETNAMESE = phrases_of(
    "vi",
    (
        "bỏ_qua phớt_lờ quên & hướng_dẫn chỉ_dẫn chỉ_thị mệnh_lệnh",
        24,
        (
            r"bỏ qua|phớt lờ|quên",
            r"(?:hướng dẫn|chỉ dẫn|chỉ thị|mệnh lệnh)\s(?:\w+\s)?(?:trước|ở trên|phía trên|hệ thống)",
        ),
    ),
    (
        "câu_trả_lời phản_hồi & điểm mức",
        24,
        (
            r"\b(?:cho|chấm|đánh giá)\b",
            r"(?:câu trả lời|phản hồi) này",
            r"điểm (?:cao nhất|tối đa|tuyệt đối)|mức (?:cao nhất|tối đa)|\d{1,3} điểm",
        ),
    ),
    (
        "người_chấm giám_khảo người_đánh_giá & phải hãy cần",
        30,
        (
            r"(?:với tư cách|là)\s(?:\w+\s){0,2}(?:người chấm|giám khảo|người đánh giá)",
            r"phải|hãy|cần",
            r"cao nhất|tối đa",
        ),
    ),
)

ASIAN: tuple[Phrase, ...] = (
    *_CHINESE,
    *_JAPANESE,
    *_KOREAN,
    *_ARABIC,
    *_PERSIAN,
    *_HEBREW,
    *_HINDI,
    *_TURKISH,
    *_INDONESIAN,
    *_VIETNAMESE,
)
