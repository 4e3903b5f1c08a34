"""Words that steer how an answer is read: negations, conditions, markers of the answer, by language.

English, Chinese, Japanese, Korean, German, Spanish and French, all at once: a model may answer in any. A longer phrase
wins over those within it, so phrases that only look like another kind are listed as WORD.
"""

from __future__ import annotations

import re
from enum import Enum, auto


class Kind(Enum):
    """Part that a token plays in a clause."""

    LABEL = auto()
    WORD = auto()
    NEGATION = auto()
    """Covers the rest of its clause; at the clause's very end, the clause."""
    END_NEGATION = auto()
    """Follows what it negates, as in Japanese and Korean."""
    REPORT = auto()
    """What the speaker says or talks about, which is no judgement; covers the rest of its clause."""
    CONCESSION = auto()
    """Covers its clause where it begins a sentence."""
    CONDITION = auto()
    """Covers the sentence."""
    REASON = auto()
    """What follows counts only where nothing else does."""
    CONTRAST = auto()
    """Ends a clause."""
    SO = auto()
    """Ends a clause before a pronoun; else an adverb (so happy)."""
    PRONOUN = auto()
    OR = auto()
    AND = auto()
    MARKER = auto()
    """Announces the answer."""
    SUMMARY = auto()
    """Announces the answer where a label, a comma or a colon follows."""
    CORRECTION = auto()
    """Announces another answer where it begins a clause."""
    ARROW = auto()
    NOT_FINAL = auto()
    """Before or after a marker: it announces one of several emotions."""
    COPULA = auto()
    EXPLANATION = auto()
    """With a colon: what follows explains the answer."""
    DENIAL = auto()
    """Behind a label and a colon: it is not this one."""
    THEME = auto()
    """Behind a label: it belongs to what is talked about (a sad movie)."""
    AUXILIARY = auto()
    """Behind a label and before a negation: the label does not fit (sad would be wrong)."""
    COMMA = auto()
    COLON = auto()
    QUESTION = auto()
    STOP = auto()
    NEWLINE = auto()


_LISTS: dict[Kind, str] = {
    Kind.NEGATION: """
        not, no, never, neither, nor, none, nothing, nobody, without, hardly, barely, scarcely, rarely, seldom,
        cannot, non, lack, lacks, lacked, lacking, lack of, absence of, absent, devoid of, free of, free from,
        far from, anything but, less, less than, than, rather than, instead of, as opposed to, opposite of,
        other than, unlike, except, excluding, apart from, little, unlikely, wrong, incorrect, mistaken, doubt,
        doubts, doubtful, whether, rule out, rules out, ruled out, ruling out, reject, deny, denies, fail to,
        fails to, failed to, failing to, unable to, refuse to, refuses to, refused to, used to, pretends,
        pretending, pretend, fake, faking, feigned, feigning, too, isnt, arent, wasnt, werent, dont, doesnt,
        didnt, cant, couldnt, wont, wouldnt, shouldnt, hasnt, havent, aint
        不, 虽然, 雖然, 尽管, 儘管, 没, 沒, 没有, 沒有, 無, 无, 并非, 並非, 非, 未, 毫无, 毫無, 是否, 而不是,
        而非, 不是, 是不是, 缺乏, 难以, 難以
        안
        nicht, kein, keine, keinen, keiner, keinem, keines, keinerlei, nie, niemals, nichts, niemand, wenig,
        weder, ohne, kaum, statt, anstatt, anstelle, keineswegs, ob, weniger, als
        ni, nunca, nada, poco, sin, tampoco, jamás, ningún, ninguna, apenas, en lugar de, en vez de, menos,
        carece, falta de
        ne, pas, peu, rien, jamais, sans, aucun, aucune, guère, plutôt que, au lieu de, moins, manque de,
        nullement
    """,
    Kind.END_NEGATION: """
        ない, なさ, なく, なかっ, ません, ありません, ではない, じゃない, ではなく, じゃなく, わけではない,
        とは言えない
        않, 아니, 아닌, 아닙, 아닐, 없, 못하, 못했, 지 않
    """,
    Kind.REPORT: """
        says, said, saying, asks, tells, telling, mentions, mentioned, mentioning, hopes, hope, wishes, wish,
        wants, want, tries to, try to, trying to, would like to, sorry you, sorry that you, sorry for,
        hear that you, glad you, happy you, make you, makes you, made you, making you, called, titled, about,
        the word, the words, talks of, speaks of, quote, quotes
        谈到, 談到, 提到, 关于, 關於, 讲述, 講述, 希望
        について
        sagt, über, hofft
        dice, habla de, sobre, espera
        dit, parle de, espère
    """,
    Kind.CONCESSION: """
        although, though, even though, despite, in spite of, while, even if, regardless of, whereas
        obwohl, trotz, aunque, a pesar de, bien que, malgré, quoique
    """,
    Kind.CONDITION: """
        if, unless, wenn, falls, si, 如果, 若是, 要是, もし, 만약
    """,
    Kind.REASON: """
        because, since, due to, 因为, 因為, 由于, 由於, weil, wegen, porque, debido a, parce que, car
    """,
    Kind.CONTRAST: """
        but, however, yet, instead, 但, 但是, 而是, 所以, 因此, 可是, 然而, 不过, 不過, しかし, でも, だから,
        sondern, aber, sino, pero,
        mais, donc
    """,
    Kind.SO: """
        so
    """,
    Kind.PRONOUN: """
        the, it, he, she, they, this, that, i, its, his, her, their, we, my
    """,
    Kind.OR: """
        or, nor, /, 或, 或者, 还是, 還是, 또는, 혹은, oder, ou, o, u, または, もしくは
    """,
    Kind.AND: """
        and, &, plus, 和, 与, 與, 及, 以及, 、, 그리고, und, y, e, et, ni, および
    """,
    Kind.MARKER: """
        answer, answers, emotion, emotions, label, prediction, classification, verdict, my choice, final choice,
        emotional state
        答案, 情绪, 情緒, 情感, 标签, 標籤, 结论, 結論, 选择, 選擇, 答え, 回答, 感情, ラベル
        정답, 답, 답변, 감정, 라벨, 결론
        antwort, emotionen, gefühl, respuesta, emoción, etiqueta, réponse, émotion, étiquette
    """,
    Kind.SUMMARY: """
        overall, in conclusion, conclusion, in summary, to conclude, insgesamt, en conclusión, 综上, 総合的に,
        总的来说
    """,
    Kind.CORRECTION: """
        wait, no wait, wait no, actually, correction, scratch that, i mean, on second thought,
        on second thoughts, on reflection
        更正, 不对, 不對, 等等, いや, 訂正, korrektur, corrección, mejor dicho, perdón, pardon, plutôt
    """,
    Kind.ARROW: """
        →
    """,
    Kind.NOT_FINAL: """
        voice, vocal, face, facial, audio, video, visual, visually, vocally, audibly, tone, expression,
        expressions, words, text, textual, speech, sound, acoustic, verbal, lyrics, body, first, initial,
        initially, other, another, second, secondary, alternative, any, possible, wrong, mixed, underlying,
        opposite, previous, earlier, each, both, listener, listeners, assistant
        语音, 語音, 声音, 聲音, 面部, 表情, 脸, 臉, 文字, 文本, 视频, 視頻, 音频, 音頻, 声, 顔, 목소리, 얼굴, 표정
        stimme, gesicht, voz, cara, rostro, voix, visage
    """,
    Kind.COPULA: """
        is, are, was, were, be, being, seems, seem, appears, appear, remains, would be, =
        是, 为, 為, は, が
        ist, wäre, war, es, est, era, sería, serait, était, parece, semble
    """,
    Kind.EXPLANATION: """
        reason, reasons, reasoning, explanation, rationale, justification, evidence, analysis, note, notes,
        transcript, transcription, description, thought, thoughts, thinking, observation, observations, cues,
        context, caption, text, quote, confidence, why, says, said, speech, scores, probabilities
        理由, 原因, 解释, 解釋, 分析, 说明, 說明, 根拠, 이유, 설명, 근거
        begründung, erklärung, grund, razón, explicación, motivo, raison, explication, justification
    """,
    Kind.DENIAL: """
        no, false, absent, 0, 0.0, 0.00, none, nein, non, 否, 无, いいえ, 아니오
    """,
    Kind.THEME: """
        story, stories, movie, movies, film, films, song, songs, news, music, event, events, memory, memories,
        ending, birthday, new, holiday, holidays, christmas, anniversary, poem, book, scene, scenes, topic, days,
        hour, customer, customers, people, reminder, truth, fact, reality, part, thing, ai, assistant, model,
        party, observer
    """,
    Kind.AUXILIARY: """
        does, do, did, would, could, can, will, might, may, has, have, passt, encaja, convient
    """,
    Kind.WORD: """
        not only, not just, not merely, not simply, no doubt, not any doubt, not hide, not conceal, not contain,
        without a doubt, without doubt, without question, no question, beyond doubt, beyond a doubt, a little,
        little bit, more than, nothing but, that said, being said, having said, as if, as though, no less,
        nothing else, happy go lucky, no problem, no worries, if not
        非常, 不仅, 不僅, 不但, 不难, 不難, 不禁, 不由, 不得不, 不错, 不錯, 无疑, 無疑, 毫无疑问, 毫無疑問,
        无论, 無論, 除非, 没错, 沒錯, 说话, 不已, 无奈, 無奈, 不安,
        不满, 不滿, 不快, 情况, 情況
        無視, 無理, 無念, 無言, 無口, 不機嫌, かもしれない, かもしれません, に違いない, に違いありません,
        しかない, 少なく, 少ない, 間違いなく, まちがいなく, 危ない
        틀림없, 의심할 여지 없, 의심의 여지 없, 끊임없, 어김없
        un peu, un poco, ein wenig, nicht nur, ohne zweifel, zweifellos, no solo, no sólo, sin duda,
        pas seulement, sans doute, sans aucun doute, als ob
    """,
    Kind.QUESTION: """
        吗, 嗎
    """,
}

PHRASES: dict[Kind, tuple[str, ...]] = {
    kind: tuple(word for part in re.split("[,\n]", words) if (word := part.strip())) for kind, words in _LISTS.items()
}
"""Phrases by what they do, case folded, without apostrophes (n't is read as not)."""

MARKS: dict[str, Kind] = {
    ",": Kind.COMMA,
    ":": Kind.COLON,
    "?": Kind.QUESTION,
    ".": Kind.STOP,
    "。": Kind.STOP,
    "!": Kind.STOP,
    ";": Kind.STOP,
    "(": Kind.STOP,
    ")": Kind.STOP,
    "—": Kind.STOP,
    "\n": Kind.NEWLINE,
}
"""Punctuation after Unicode form NFKC, in which full-width marks are the narrow ones."""
