"""Strategies for tables of any shape: features as `datasets` writes them, and rows that need not fit them."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.one_of(
    st.sampled_from(["audio", "emotion", "label", "options", "answer", "conv_id", "turns", "text", "{", "a.b", ""]),
    st.text(max_size=8),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.floats(),
    st.text(max_size=9),
    st.sampled_from(["a.wav", "b.mp4"]),
    st.binary(max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.recursive(
    st.sampled_from(
        [
            {"_type": "Audio"},
            {"_type": "Video"},
            {"_type": "ClassLabel", "names": ["no", "Joy", "joy", ""]},
            {"_type": "Value", "dtype": "string"},
            {"_type": "Value", "dtype": "float32"},
            {"_type": "Value", "dtype": "binary"},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda feature: {"feature": feature, "_type": "List"}, inner),
        st.dictionaries(NAMES, inner, max_size=3),
        st.lists(inner, min_size=1, max_size=1),
    ),
    max_leaves=5,
)
FEATURES = st.dictionaries(NAMES, TYPES, max_size=5)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=4)
