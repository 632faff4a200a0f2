"""The PyPI openai client, unmodified, through a gateway."""

import base64
import hashlib
import json
import struct

import openai
import pytest

import upstream
from upstream import TEXT, UNICODE, VECTORS, row_of

HI = [{"role": "user", "content": "hi"}]
BASES = ("/v1", "/openai/v1", "/openai")


@pytest.fixture
def client(gw):
    """A client of a base path, without retries of its own unless asked for."""
    made = []

    def make(base="/v1", max_retries=0, timeout=60, **more):
        made.append(openai.OpenAI(base_url=f"http://127.0.0.1:{gw.port}{base}", api_key="sk-caller", max_retries=max_retries,
                                  timeout=timeout, **more))
        return made[-1]

    yield make
    for c in made:
        c.close()


def joined(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


# ---- chat


@pytest.mark.parametrize("base", BASES)
def test_chat(client, base):
    said = client(base).chat.completions.create(model="openai/py-m", messages=HI)
    assert said.choices[0].message.content == TEXT and said.choices[0].finish_reason == "stop"
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (11, 7, 18)


@pytest.mark.parametrize("base", BASES)
def test_stream(client, base):
    chunks = list(client(base).chat.completions.create(model="openai/py-m", messages=HI, stream=True))
    assert joined(chunks) == TEXT
    assert all(c.choices and c.usage is None for c in chunks), "the usage was not asked for"
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("base", BASES)
def test_stream_with_usage(client, base):
    chunks = list(client(base).chat.completions.create(model="openai/py-m", messages=HI, stream=True,
                                                       stream_options={"include_usage": True}))
    assert joined(chunks) == TEXT
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 7
    assert all(c.usage is None for c in chunks[:-1])


def test_stream_helper(client):
    with client().chat.completions.stream(model="openai/py-m", messages=HI) as stream:
        kinds = [event.type for event in stream]
    assert kinds.count("content.delta") == len(upstream.WORDS) + 1, "one opens the message with no text"
    assert stream.get_final_completion().choices[0].message.content == TEXT


def test_async_client(gw):
    import asyncio

    async def many():
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{gw.port}/v1", api_key="x", max_retries=0) as c:
            return await asyncio.gather(*[c.chat.completions.create(model="openai/py-m", messages=HI) for _ in range(30)])

    assert [s.choices[0].message.content for s in asyncio.run(many())] == [TEXT] * 30


def test_own_id_and_headers_are_told(client):
    raw = client().chat.completions.with_raw_response.create(model="openai/py-m", messages=HI,
                                                             extra_headers={"x-request-id": "req-of-mine"})
    assert raw.headers["x-request-id"] == "req-of-mine"
    assert raw.parse()._request_id == "req-of-mine"


def test_an_id_is_made(client):
    assert len(client().chat.completions.create(model="openai/py-m", messages=HI)._request_id) == 36


def test_extra_fields(client):
    extra = client("/v1").chat.completions.create(model="openai/py-m", messages=HI).model_extra["extra_fields"]
    assert extra["provider"] == "openai" and extra["latency"] >= 0 and extra["request_type"] == "chat_completion"
    assert "extra_fields" not in client("/openai").chat.completions.create(model="openai/py-m", messages=HI).model_extra


def test_unknown_parameters_pass(client, up):
    client().chat.completions.create(model="openai/py-m", messages=HI, temperature=0.25,
                                     extra_body={"made_up": {"deep": [1, 2.50, None]}})
    said = up.asked("py-m")[-1]["json"]
    assert said["made_up"] == {"deep": [1, 2.5, None]} and said["temperature"] == 0.25


# ---- tools, structured output

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]


def test_tools(client):
    c = client()
    asked = [{"role": "user", "content": "weather in Köln?"}]
    message = c.chat.completions.create(model="openai/py-tools", messages=asked, tools=TOOLS).choices[0].message
    call = message.tool_calls[0]
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "weather", {"city": "Köln"})
    back = [*asked, message, {"role": "tool", "tool_call_id": call.id, "content": "raining"}]
    said = c.chat.completions.create(model="openai/py-tools", messages=back, tools=TOOLS)
    assert said.choices[0].message.content == "it is raining"


def test_tools_streamed(client):
    with client().chat.completions.stream(model="openai/py-tools", messages=HI, tools=TOOLS) as stream:
        message = stream.get_final_completion().choices[0].message
    call = message.tool_calls[0]
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "weather", {"city": "Köln"})


def test_structured_output(client):
    from pydantic import BaseModel

    class Place(BaseModel):
        city: str
        schema_: str = ""

    form = {"type": "json_schema", "json_schema": {"name": "Place", "strict": True, "schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}
    said = client().chat.completions.create(model="openai/py-structured", messages=HI, response_format=form)
    assert json.loads(said.choices[0].message.content) == {"city": "Köln", "schema": "Place"}
    parsed = client().chat.completions.parse(model="openai/py-structured", messages=HI, response_format=Place)
    assert parsed.choices[0].message.parsed.city == "Köln"


# ---- other operations


@pytest.mark.parametrize("base", BASES)
def test_completions(client, base):
    said = client(base).completions.create(model="openai/py-text", prompt="once")
    assert said.choices[0].text == f"once - {TEXT}" and said.usage.total_tokens == 18


@pytest.mark.parametrize("asked", [False, True])
def test_completions_streamed(client, asked):
    more = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(client().completions.create(model="openai/py-text", prompt="once", stream=True, **more))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == TEXT
    assert [c.usage.completion_tokens for c in chunks if c.usage] == ([7] if asked else [])
    assert all(c.choices for c in chunks) != asked


@pytest.mark.parametrize("base", BASES)
def test_embeddings_by_default(client, up, base):
    said = client(base).embeddings.create(model="openai/py-embed", input=["a", "b"])
    assert up.asked("py-embed")[-1]["json"]["encoding_format"] == "base64", "the client asks for it unasked"
    assert [d.embedding for d in said.data] == list(VECTORS) and said.usage.prompt_tokens == 5


def test_embeddings_as_numbers(client, gw):
    said = client().embeddings.create(model="openai/py-embed", input="a", encoding_format="float")
    assert [d.embedding for d in said.data] == [VECTORS[0]]
    assert row_of(gw, "py-embed")["prompt_tokens"] == 5


def test_embeddings_as_base64(client):
    said = client().embeddings.create(model="openai/py-embed", input="a", encoding_format="base64")
    assert struct.unpack("<3f", base64.b64decode(said.data[0].embedding)) == tuple(VECTORS[0])


@pytest.mark.parametrize("base", BASES)
def test_responses(client, base):
    said = client(base).responses.create(model="openai/py-resp", input="hi")
    assert said.output_text == TEXT and said.status == "completed" and said.usage.output_tokens == 7


@pytest.mark.parametrize("base", BASES)
def test_responses_streamed(client, gw, base):
    events = list(client(base).responses.create(model="openai/py-resp", input="hi", stream=True))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == TEXT
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert events[-1].response.usage.total_tokens == 18
    row = row_of(gw, "py-resp")
    assert (row["prompt_tokens"], row["completion_tokens"], row["truncated"]) == (11, 7, 0)


def test_models(client):
    for base in BASES:
        ids = {m.id for m in client(base).models.list()}
        assert {"listed/m", "listed/other"} <= ids
        assert client(base).models.retrieve("listed/other").owned_by == "listed"
    with pytest.raises(openai.NotFoundError):
        client().models.retrieve("listed/none")


# ---- errors

CLASSES = {400: openai.BadRequestError, 404: openai.NotFoundError, 422: openai.UnprocessableEntityError,
           429: openai.RateLimitError, 500: openai.InternalServerError, 503: openai.InternalServerError}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", sorted(CLASSES))
def test_errors(client, base, status, stream):
    with pytest.raises(CLASSES[status]) as failed:
        client(base).chat.completions.create(model=f"openai/py-e{status}", messages=HI, stream=stream)
    error = failed.value
    assert error.status_code == status and f"upstream said {status}" in str(error)
    assert (error.type, error.code) == (upstream.ERRORS[status], f"code_{status}")
    assert error.request_id


@pytest.mark.parametrize("base", BASES)
def test_a_refused_caller(client, base):
    """A provider without keys of the gateway's: its 401 is the caller's."""
    with pytest.raises(openai.AuthenticationError) as failed:
        client(base).chat.completions.create(model="free/py-e401", messages=HI)
    assert "upstream said 401" in str(failed.value)


@pytest.mark.parametrize("base", BASES)
def test_refused_keys_are_not_the_callers_fault(client, base):
    with pytest.raises(openai.InternalServerError) as failed:
        client(base).chat.completions.create(model="openai/py-e401", messages=HI)
    told = failed.value.type if base == "/v1" else failed.value.code
    assert failed.value.status_code == 502 and told == "upstream_credentials_exhausted"


@pytest.mark.parametrize("base", BASES)
def test_the_gateways_own_errors(client, base):
    c = client(base)
    with pytest.raises(openai.APIStatusError) as failed:
        c.chat.completions.create(model="listed/none", messages=HI)
    assert 400 <= failed.value.status_code < 500 and "listed" in failed.value.message
    with pytest.raises(openai.BadRequestError):
        c.chat.completions.create(model="openai/py-m", messages="no list")
    with pytest.raises(openai.BadRequestError):
        c.chat.completions.create(model="", messages=HI)
    with pytest.raises(openai.NotFoundError):
        c.post("/chat/nothing", body={}, cast_to=object)


def test_an_unknown_provider(client, up):
    """On the OpenAI routes a name with a slash may be a model of OpenAI's; on the unified ones it names a provider."""
    with pytest.raises(openai.BadRequestError):
        client("/v1").chat.completions.create(model="nowhere/m", messages=HI)
    client("/openai").chat.completions.create(model="nowhere/m", messages=HI)
    assert up.asked("nowhere/m")


# ---- retries, timeouts, leaving


def test_retry_after_is_honoured(client, up):
    assert client(max_retries=2).chat.completions.create(model="openai/py-later", messages=HI).choices[0].message.content == TEXT
    seen = up.behaviours["py-later"].seen
    assert len(seen) == 2 and 0.9 <= seen[1] - seen[0]


def test_retries_until_it_serves(client, up):
    chunks = client(max_retries=2).chat.completions.create(model="openai/py-again", messages=HI, stream=True)
    assert joined(chunks) == TEXT and up.seen("py-again") == 3


def test_retries_end(client, up):
    with pytest.raises(openai.InternalServerError):
        client(max_retries=1).chat.completions.create(model="openai/py-never", messages=HI)
    assert up.seen("py-never") == 2


def test_the_clients_timeout(client, gw, up):
    with pytest.raises(openai.APITimeoutError):
        client(timeout=2).chat.completions.create(model="openai/py-silent", messages=HI)
    assert up.left("py-silent"), "the upstream's connection must close with the client's"
    row = row_of(gw, "py-silent")
    assert row["client_gone"] == 1 and row["status"] != "success"


def test_the_upstreams_timeout(client, gw):
    with pytest.raises(openai.InternalServerError) as failed:
        client().chat.completions.create(model="slow/py-stuck", messages=HI)
    assert failed.value.status_code == 504
    assert row_of(gw, "py-stuck")["http_status"] == 504


def test_leaving_in_mid_stream(client, gw, up):
    stream = client().chat.completions.create(model="openai/py-endless", messages=HI, stream=True)
    said = [next(stream).choices[0].delta.content for _ in range(5)]
    stream.close()
    assert said == ["word "] * 5
    assert up.left("py-endless"), "the upstream's connection must close with the client's"
    row = row_of(gw, "py-endless")
    assert row["client_gone"] == 1 and row["completion_tokens"] > 0 and row["estimated"] == 1


# ---- what must arrive whole, and what must not look whole


def test_ten_megabytes(client):
    text = "grüße 🌉 \\ \" \n" * 700_000
    content = text.encode()
    assert len(content) > 10 << 20
    said = client().chat.completions.create(model="openai/py-big", messages=[{"role": "user", "content": text}])
    assert said.choices[0].message.content == f"{len(content)} {hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize("base", BASES)
def test_unicode_split_anywhere(client, base):
    assert joined(client(base).chat.completions.create(model="openai/py-split", messages=HI, stream=True)) == UNICODE


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("model", ["cut", "torn"])
def test_a_truncated_stream_raises(client, gw, base, model):
    said = []
    with pytest.raises(openai.APIError):
        for c in client(base).chat.completions.create(model=f"openai/py-{model}", messages=HI, stream=True):
            said.append(c)
    assert TEXT.startswith(joined(said)) and said, "what came before is given to the client"
    assert row_of(gw, f"py-{model}")["truncated"] == 1


def test_a_truncated_response_raises(client, gw):
    with pytest.raises(openai.APIError):
        list(client().responses.create(model="openai/py-resp-cut", input="hi", stream=True))
    assert row_of(gw, "py-resp-cut")["truncated"] == 1


# ---- fallbacks


@pytest.mark.parametrize("stream", [False, True])
def test_fallbacks(client, up, stream):
    said = client().chat.completions.create(model="openai/py-e500", messages=HI, stream=stream,
                                            extra_body={"fallbacks": ["openai/py-e503", "listed/m"]})
    assert (joined(said) if stream else said.choices[0].message.content) == TEXT
    assert "fallbacks" not in up.asked("m")[-1]["json"]


def test_fallbacks_that_fail_too(client):
    with pytest.raises(openai.InternalServerError) as failed:
        client().chat.completions.create(model="openai/py-e500", messages=HI, extra_body={"fallbacks": ["openai/py-e503"]})
    assert failed.value.status_code == 500, "the primary's error is told"
