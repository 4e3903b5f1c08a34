"""Answers as models give them, by kind, with the label that a careful reader gives: never another, nearly always it.

Those of a kind whose label the rule cannot tell are in `LOST`: they are invalid, which is the lesser harm.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.scorers import METRICS
from avemo_harness.scorers.answers import read_label

OUTPUT = TaskLibrary(METRICS).load(["demo_full_av"])[0].spec.output
assert isinstance(OUTPUT, LabelOutput)

KINDS: dict[str, dict[str | None, tuple[str, ...]]] = {
    "bare words and synonyms": {
        "happy": ("happy.", "HAPPY\nHAPPY", "Happy (joyful)", "Sure: happy", "Sad? No, happy."),
        "angry": ("angry\n", "ANGER", "angry/mad", "Mad."),
        "sad": ("Sorrow", "sad...", "SAD :(", "sad!?", "Unhappy, I think", "The speaker is un-happy"),
        "neutral": ("neutral tone", "Neutral speech."),
        None: (
            "",
            "surprised",
            "Fear",
            "bittersweet",
            "happ",
            "N/A",
            "4",
            "madly in love",
            "The video shows a madman.",
        ),
    },
    "sentences": {
        "happy": (
            "I would label this clip as happy.",
            "The joy in her voice is unmistakable.",
            "I am confident it's happy.",
        ),
        "angry": ("You sound angry.", "The speaker is angry that nobody told her.", "He's shouting; angry."),
        "sad": ("She is sad and doesn't smile.", "Sad would be my choice.", "He sounds a little sad.", "She's so sad!"),
        "neutral": ("The voice remains neutral throughout.", "There is little emotion: neutral"),
        None: ("The speaker is talking about a wedding.", "The speaker in the clip expresses"),
    },
    "markup, LaTeX and special tokens": {
        "happy": ("### Happy", "> happy", "<answer>happy</answer>", "The final answer is \\boxed{\\text{Happy}}."),
        "angry": ("```\nangry\n```", "$\\boxed{angry}$", "angry<|endoftext|>", "<|zh|><|ANGRY|><|Speech|>", "→ angry"),
        "sad": ("sad</answer>", "sad.\n<|im_end|>\n<|im_start|>user\nHappy now?", "“Sad”", "ｓａｄ", "Emotion: `sad`"),
        None: ("<answer></answer>", "\\boxed{}", "```json", "<|im_start|>"),
    },
    "JSON": {
        "happy": ('{"answer": "happy", "reason": "She laughs, no sadness."}', '[{"label": "happy"}]'),
        "angry": ("{'label': 'Angry', 'score': 0.8}", '{"reason": "a sad story: told loudly", "emotion": "angry"}'),
        "sad": ('{"emotion": "sad", "expl', '{"emotion": "sad", "analysis": "Her tone was happy: then it fell"}'),
        None: ('{"emotion": null}', '{"emotion": ["happy", "sad"]}', '{"happy": 0.4, "sad": 0.6}', '{"sad": false}'),
    },
    "lists and options": {
        "happy": ("* **Emotion:** Happy", "The correct answer is (b) happy.", "Among the options, happy fits best."),
        "angry": ("3. angry", "C) Angry"),
        "neutral": (
            "Out of neutral, happy, angry or sad, I choose neutral.",
            "neutral, happy, angry, sad\nAnswer: neutral",
        ),
        None: (
            "1. neutral\n2. happy\n3. angry\n4. sad",
            "A) neutral B) happy C) angry D) sad",
            "neutral|happy|angry|sad",
        ),
    },
    "refusals and polite formulas": {
        "angry": ("Certainly, I'd be happy to help. The emotion is anger.", "I'm sorry to hear that. She's angry."),
        None: (
            "I am happy to assist, but there is no video attached.",
            "I'd be more than happy to help you once you share the file.",
            "It makes me sad that I can't answer.",
            "It is sad that I can't help.",
            "Sadly, I cannot listen to audio.",
            "As a neutral AI assistant, I can't judge emotions.",
            "I try to stay neutral on such questions.",
            "I hope you're happy with this answer.",
            "Don't be sad!",
            "Happy New Year!",
        ),
    },
    "hedges": {
        "sad": (
            "I can't be certain, but I think sad.",
            "It's hard to tell, but the answer is sad",
            "Sad, if I had to guess.",
        ),
        "happy": ("No doubt about it: happy.", "happy, I guess"),
        None: (
            "It's hard to say whether she's happy.",
            "If she were smiling, I would say happy.",
            "It might be sad. It might be angry.",
            "She wants to be happy.",
            "He pretends to be happy.",
        ),
    },
    "two labels": {
        "happy": ("The person sounds more happy than neutral.",),
        None: (
            "Either angry or sad",
            "angry/sad",
            "A mix of anger and sadness",
            "Neutral to sad",
            "Happy with a touch of sadness",
            "First angry, then sad.",
            "neutral -> happy",
            "Voice: sad\nFace: happy",
            "Audio emotion: sad. Visual emotion: happy.",
            "The emotion in the voice is sad, the emotion of the face is happy.",
        ),
    },
    "negations": {
        "sad": ("sad not angry", "It's not that she is angry; she's sad.", "Not neutral, not happy, not angry: sad."),
        "angry": (
            "Rather than sad, I'd say angry.",
            "Unlike sadness, this is anger: angry",
            "She is not just angry, she's mad",
        ),
        "neutral": (
            "There's no sign of happiness, anger, or sadness, so neutral.",
            "The speaker is neither happy, angry nor sad; neutral.",
            "neither happy nor sad -> neutral",
        ),
        None: (
            "I wouldn't call this happy.",
            "The speaker isn't happy, or angry.",
            "I don't see any joy, anger or sorrow.",
            "Excited, not angry",
            "fear rather than anger",
            "Anger is absent.",
            "Sad is not the right word.",
            "Happy doesn't fit.",
            "She isn't happy",
            "She isnt so happy",
            "not unhappy",
            "Everything except happy",
            "Angry: no. Sad: no.",
            "She's too calm to be angry.",
        ),
    },
    "questions and what is talked about": {
        "happy": ("The text says sad; the speaker sounds happy.", "Is she sad? No: happy."),
        "neutral": ("Neutral. The speaker talks about a sad movie.",),
        None: (
            "Is the speaker happy?",
            "Why are you so angry?",
            "The man talks about his angry boss.",
            "The clip shows a happy birthday song.",
            "The speaker says: 'I'm so mad at you!'",
            "The song is called Happy.",
        ),
    },
    "self-corrections": {
        "sad": (
            "Happy. Wait, no, sad.",
            "Angry. Correction: sad.",
            "Answer: happy\nWait, answer: sad",
            "Angry? Actually, sad.",
        ),
        None: ("Wait, I can't hear it.", "No, not sad."),
    },
    "thoughts": {
        "sad": (
            "<think>\nOne of neutral, happy, angry or sad. The tone falls.\n</think>\n\nsad",
            "She seems happy, or maybe not.</think>sad",
            "<|channel|>analysis<|message|>happy?<|end|><|channel|>final<|message|>sad",
            "Reasoning: she smiles, maybe happy; yet her voice breaks.\nAnswer: sad",
            "sad <think>was it?</think>",
        ),
        None: (
            "<think>The speaker looks happy because",
            "Sad. <thinking> or happy",
            "<think>sad</think>",
            "Thinking: happy?",
        ),
    },
    "Chinese": {
        "happy": ("说话者很开心", "答案：快樂", "她不仅开心，而且很兴奋", "他非常高兴"),
        "angry": ("并不悲伤，而是愤怒", "说话人非常生气"),
        "sad": ("高兴。不对，是悲伤。", "这是悲伤而不是愤怒。", "虽然她说高兴，但听起来很伤心"),
        "neutral": ("没有明显的高兴或悲伤，是中性", "语气平静，没有生气也没有难过"),
        None: (
            "没有愤怒的迹象",
            "很高兴为您服务，但我无法看到视频。",
            "生气还是难过？",
            "无法判断说话者是高兴还是悲伤",
            "悲喜交加",
        ),
    },
    "Japanese and Korean": {
        "happy": ("この話者は悲しいのではなく、嬉しいです。", "슬픔이 아니라 행복입니다.", "화자의 감정은 행복입니다."),
        "angry": ("話し手は怒っています。", "화자는 화가 났습니다.", "정답: 분노"),
        "sad": ("悲しみです。怒りではありません。", "とても悲しいかもしれません", "매우 슬퍼 보여요"),
        None: (
            "怒っていないようです",
            "嬉しくない",
            "お手伝いできて嬉しいです。",
            "기쁘지 않아 보입니다",
            "만나서 기쁩니다!",
            "화면이 안 보입니다",
        ),
    },
    "German, Spanish and French": {
        "happy": (
            "Sie ist nicht traurig, sondern glücklich.",
            "La emoción es alegría.",
            "L'émotion exprimée est la joie.",
        ),
        "angry": ("Da ist viel Wut in der Stimme.", "Suena enfadado.", "La personne est en colère."),
        "sad": ("unglücklich", "Se la oye triste, no enojada.", "Elle est un peu triste."),
        "neutral": ("Neutral, ohne Wut.", "Es neutro; ni triste ni enojado.", "Le ton est neutre."),
        None: (
            "Ich bin glücklich, Ihnen zu helfen.",
            "Traurig ist sie nicht.",
            "La persona no parece feliz.",
            "Estaré feliz de ayudarte.",
            "Je serais heureux de vous aider.",
            "Elle n'est ni heureuse ni triste.",
        ),
    },
    "words that another sense or language shares": {
        "sad": (
            "Das Gefühl würde ich als traurig einordnen.",
            "His gaze falls and he is sad.",
            "All hope is gone: sad.",
        ),
        "angry": ("Der Ton lässt sich als wütend beschreiben.", "She called twice and was angry."),
        "happy": ("他特别开心",),
        None: ("Er ist alles andere als wütend.", "The boat is called Joy."),
    },
    "denials in other words": {
        "neutral": ("I would exclude sad and angry; neutral.",),
        None: (
            "Happy is least likely here.",
            "I detect zero sadness.",
            "0% anger",
            "I'd hesitate to call it anger.",
            "She claims to be happy.",
            "It's hard to believe that they are happy.",
            "别难过",
            "Nadie suena triste.",
            "Está lejos de sentirse feliz.",
            "Il est loin d'être heureux.",
            "Ich finde nicht, dass sie traurig klingt.",
            "No diría, que está triste.",
        ),
    },
    "a second verb behind a denial or report": {
        "sad": ("He doesn't laugh and sounds sad.", "She wants to go home and looks sad."),
        "happy": ("No lloran y parece feliz.", "She talks about her dog and is happy."),
        None: ("She doesn't laugh and doesn't sound happy.", "There's no anger and sadness."),
    },
    "quoted questions": {
        "angry": ('Angry: she shouts "where were you?"', "Anger, as in “who did this?”, loud."),
        None: ('"Are you sad?" is what he asks.', 'Is she "happy"?'),
    },
    "labels weighed before a contrast": {
        "sad": (
            "It might pass for neutral, but the speaker is sad.",
            "He was thought happy, however he is sad.",
            "Könnte neutral sein, aber sie ist traurig.",
            "At the beginning they seem happy. But the speaker is sad.",
        ),
        "neutral": ("Perhaps sad, but I'd say neutral.", "Happy or neutral? I'd go with neutral."),
        "angry": ("In the clip before, happy. In the last clip he is angry.",),
        None: (
            "It could be sad, but it could be angry.",
            "It might be happy, but also sad.",
            "Perhaps neutral, but that sigh says sad.",
            "It might look happy, but the voice is sad.",
            "The man is happy, but the woman is angry.",
        ),
    },
    "arrows of several modalities": {
        "happy": ("Emotion → happy", "Happy? -> yes -> happy"),
        None: ("Audio → angry\nVideo → happy", "face -> sad; voice -> neutral", "Body → sad, eyes → happy"),
    },
    "other emotions than the labels": {
        "angry": ("Annoyed, so angry", "Emotion: frustrated (angry)", "Emotion: irritated → angry"),
        "happy": (
            "Excited. Happy.",
            "Emotion: amused\nFinal answer: happy",
            "Fear? No, he is happy.",
            "The emotion is clear. He is happy.",
        ),
        "sad": ("Disappointed, which is closest to sad", "Worried.\n\nOverall: sad"),
        None: (
            "Surprised. Her wide eyes look happy.",
            "Emotion: excited, nearly happy",
            "Emotion: awe, tinged with joy",
            "Label: disgust. There is anger in it.",
            "The emotion is fear. A sad voice.",
            "Nervous.\n\nThe speaker laughs, which is not a happy laugh, and sounds sad.",
        ),
    },
    "emojis": {
        "happy": ("😊", "😊😊!", "Happy 😢"),
        "sad": ("😭",),
        None: ("👍", "😊😢", "I can't see the clip 😊"),
    },
}
LOST = {
    "The speaker tells a sad story in a neutral voice.": "neutral",
    "Happy at first, but in the end she's sad.": "sad",
    "Is she angry? Yes.": "angry",
}
ROWS = [
    pytest.param(text, label, id=f"{kind}-{text[:30]!a}")
    for kind, labels in KINDS.items()
    for label, texts in labels.items()
    for text in texts
]


@pytest.mark.parametrize(("text", "label"), ROWS)
def test_an_answer_is_read_as_a_careful_reader_reads_it(text: str, label: str | None) -> None:
    assert read_label(text, OUTPUT).label == label


@pytest.mark.parametrize("text", LOST)
def test_an_answer_that_takes_more_than_its_clauses_to_understand_is_invalid_rather_than_wrong(text: str) -> None:
    assert read_label(text, OUTPUT).label is None


def test_of_the_shared_answers_none_gets_a_wrong_label_and_nine_in_ten_are_read() -> None:
    media = os.environ.get("AVEMO_TEST_MEDIA")
    file = Path(media or "").parent / "cases" / "answers.jsonl"
    if not media or not file.is_file():
        pytest.skip("no shared answers: AVEMO_TEST_MEDIA names no folder beside cases/answers.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = [read_label(row["answer"], OUTPUT).label for row in rows]
    wrong = [row for row, label in zip(rows, found, strict=True) if label not in (None, row["label"])]
    assert wrong == []
    assert sum(row["label"] == label for row, label in zip(rows, found, strict=True)) >= 0.9 * len(rows)
