"""Scripts of requests, drawn by hypothesis for the server `tests/real/servers/sdk.py`, right ones and wrong ones.

A step is plain data: what to do and with what. Knows neither client; `clients.py` carries the steps out.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from hypothesis import strategies as st

Step: TypeAlias = tuple[str, dict[str, Any]]
"""What to do (a method of `clients.Client`) and its arguments."""

large = st.sampled_from([9_000, 70_000, 100_000])
"""Sizes that fill pipes and buffers; the SDK's client takes no event over a mebibyte, and answers tell text twice."""

text = st.text(max_size=40)
"""Any text, control characters and all planes of Unicode included; JSON can't carry lone surrogates."""

word = st.sampled_from(["language", "code", "author", "name", "", "ü"]) | text

integers = st.integers(-(2**53) + 1, 2**53 - 1)
"""What every JSON implementation carries without loss."""

scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text

values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))
"""Any JSON value."""

objects = st.dictionaries(word, values, max_size=4)


def call(name: str | st.SearchStrategy[str], arguments: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Step]:
    """A call of a tool."""
    names = st.just(name) if isinstance(name, str) else name
    return st.tuples(st.just("call"), st.fixed_dictionaries({"name": names, "arguments": arguments}))


def step(what: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """Anything else."""
    return st.tuples(st.just(what), st.fixed_dictionaries(arguments))


uris = st.sampled_from(
    ["note://greeting", "note://pixel", "note://by/ada", "note://by/w%C3%B6rld", "note://nowhere", "x", "", "file:///"]
)
prompts = st.sampled_from(["review", "no_such_prompt", "", "ü"])
right_prompt_arguments = st.fixed_dictionaries({"code": text}, optional={"language": text})
wrong_prompt_arguments = st.dictionaries(word, text, max_size=3)
references = st.sampled_from(["prompt:review", "prompt:none", "resource:note://by/{author}", "resource:none"])
methods = st.sampled_from(["no/such/method", "x", "tools", "tools/List", "rpc.discover", "tasks/list", "a b", "1"])

right = st.one_of(
    step("list_tools"),
    step("list_resources"),
    step("list_resource_templates"),
    step("list_prompts"),
    step("ping"),
    call("echo", st.fixed_dictionaries({"text": text})),
    step("echo_large", character=st.sampled_from("xü🎈"), count=large),
    call("add", st.fixed_dictionaries({"a": integers, "b": integers})),
    call("weather", st.fixed_dictionaries({"city": text})),
    call("mirror", st.fixed_dictionaries({"value": values}, optional={"note": text})),
    call("region", st.fixed_dictionaries({"name": text}, optional={"floor": integers})),
    call("fail", st.fixed_dictionaries({"reason": text})),
    call("big", st.fixed_dictionaries({"size": st.sampled_from([0, 1]) | large})),
    call("steps", st.fixed_dictionaries({"count": st.integers(0, 4)})),
    call(st.sampled_from(["nothing", "mixed", "picture", "order", "roots"]), st.just({})),
    call("think", st.fixed_dictionaries({"prompt": text})),
    step("read", uri=uris),
    step("prompt", name=prompts, arguments=right_prompt_arguments),
    step("complete", ref=references, argument=word, value=st.sampled_from(["", "p", "pro", "zzz"]) | text),
)

wrong = st.one_of(
    call(st.sampled_from(["no_such_tool", "", "Echo", "ü"]) | text, objects),
    call(st.sampled_from(["echo", "add", "mirror", "region", "weather", "big"]), objects),
    call("add", st.fixed_dictionaries({"a": values, "b": values})),
    call("echo", st.fixed_dictionaries({"text": values})),
    step("prompt", name=prompts, arguments=wrong_prompt_arguments),
    step("request", method=methods, params=objects),
)

scripts = st.lists(right | wrong, min_size=1, max_size=6)
"""What a test draws."""
