"""Polite formulas and idioms in which a label's word says nothing of the speaker ("I'd be happy to help")."""

from __future__ import annotations

import re

_HELPING = (
    "help|assist|answer|provide|try|analy[sz]e|do|explain|share|look|be of|hear|see you|say|tell|inform|report|admit|"
    "discuss|chat|continue|take|support|offer|guide|work|know|listen|describe"
)
_FIRST_PERSON = (
    "i'?m|i am|i'd be|i would be|i'll be|i will be|i feel|we'?re|we are|we'd be|we would be|we'll be|"
    "makes? me|made me|makes? us"
)
_DEGREE = "so|very|really|more than|always|truly|just|only|quite|also|a bit|a little|deeply|absolutely|genuinely"

# Every repetition is bounded, so that replacing takes linear time.
_PATTERNS = (
    # English
    rf"\b(?:happy|glad|sad|mad|joyful) to (?:{_HELPING})\b",
    rf"\bhappily (?:{_HELPING})\b",
    rf"\b(?:{_FIRST_PERSON}) (?:(?:{_DEGREE}) ){{0,3}}(?:happy|sad|angry|mad|neutral|joyful)\b",
    r"\bi (?:\w+ ){0,4}(?:stay|remain|be|keep) neutral\b",
    r"\bit(?:'s| is) (?:so |very |really )?sad (?:that|to)\b",
    r"\bif (?:i|we) (?:really )?(?:had|have|were forced|must|needed|need|were) (?:to )?"
    r"(?:choose|pick|guess|say|decide|select|answer|name)\b",
    r"\bif (?:forced|pressed|asked|required|anything)\b(?: to \w+)?",
    r", ?(?:isn't|aren't|doesn't|don't|wasn't) (?:he|she|it|they)\?|, ?right\?",
    r"\bseasonal affective disorder(?: ?\(?sad\b\)?)?",
    # Chinese
    r"(?:很|非常|十分)?(?:高[兴興]|[开開]心)"
    r"(?:能|可以|[为為]您|[为為]你|帮|幫|回答|认识|認識|见到|見到|协助|協助|地?告诉)",
    r"生[气氣]勃勃|[无無]生[气氣]",
    # Japanese, Korean
    r"(?:お役に立て|お手伝い|お会い|ご一緒)[^。\n]{0,12}(?:嬉し|うれし|幸せ)",
    r"(?:도움|도와|만나|뵙|함께)[^.。\n]{0,20}(?:기쁩|기뻐|기쁘|행복)",
    # German, Spanish, French
    r"\b(?:glücklich|froh|freudig)[ ,]{1,2}(?:\w+ ){0,4}zu (?:helfen|unterstützen|assistieren|beantworten)\b",
    r"\bmit freude\b",
    r"\b(?:feliz|felices|contento|contenta|alegre) de (?:poder )?(?:ayudar|asistir|responder|atender)\w*",
    r"\bcon (?:mucha )?alegría\b|\bfeliz (?:cumpleaños|navidad|año)",
    r"\b(?:heureux|heureuse|content|contente|triste) (?:de|d')\s?(?:(?:pouvoir|vous|te|t'|l'|le|la) ?){0,3}"
    r"(?:aider|assister|répondre|renseigner|dire|annoncer|informer)\b",
    r"\bavec joie\b|\bjoyeux (?:noël|anniversaire)",
    r"\b(?:je suis|je serais|je serai|estoy|estaré|estaría|ich bin|ich wäre) (?:(?:très|si|muy|sehr|so) )?"
    r"(?:heureux|heureuse|triste|feliz|contento|contenta|glücklich|traurig)\b",
)
FORMULAS = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
"""Matches in text that is folded, with plain apostrophes and single spaces."""
