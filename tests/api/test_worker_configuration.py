"""Configuration variables: the forms of both generations of clients give one flat map."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.api.worker_configuration import (
    MAX_BYTES,
    MAX_VARIABLES,
    ConfigValue,
    ConfigVariable,
    configuration_variables,
)
from golem_server.model.errors import InvalidInput

NAMES = st.text(min_size=1, max_size=20).filter(lambda name: not any("\ud800" <= char <= "\udfff" for char in name))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, NAMES, max_size=10))
def test_lists_and_maps_of_variables_mean_the_same(variables: dict[str, str]) -> None:
    listed = [ConfigVariable(key, value) for key, value in variables.items()]
    assert configuration_variables(listed, None) == configuration_variables(variables, None) == variables


@given(st.lists(NAMES, min_size=1, max_size=4), JSON)
def test_a_value_is_text_or_json_under_its_path(path: list[str], value: Any) -> None:
    config = configuration_variables(None, [ConfigValue(path, value)])
    assert list(config) == [".".join(path)]
    (text,) = config.values()
    assert text == value if isinstance(value, str) else json.loads(text) == value


def test_limits() -> None:
    assert len(configuration_variables({f"{n}": "" for n in range(MAX_VARIABLES)}, None)) == MAX_VARIABLES
    assert configuration_variables({"k": "v" * (MAX_BYTES - 1)}, None)
    for variables in ({f"{n}": "" for n in range(MAX_VARIABLES + 1)}, {"k": "v" * MAX_BYTES}):
        with pytest.raises(InvalidInput):
            configuration_variables(variables, None)
    with pytest.raises(InvalidInput):
        configuration_variables(None, [ConfigValue([], 1)])
