// The npm openai client, unmodified, through a gateway. Run by test_openai_node.py, which reads the TAP lines; it gives
// GATEWAY and INSPECTOR (upstream.py) in the environment.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import OpenAI from 'openai';

const GATEWAY = process.env.GATEWAY;
const BASES = ['/v1', '/openai/v1', '/openai'];
const WORDS = ['Hel', 'lo ', 'from ', 'up', 'stream'];
const TEXT = WORDS.join('');
const UNICODE = 'grüße 🌉 日本語 \u0000\u2028 e\u0301 👩‍👩‍👧';
const VECTORS = [[0.5, -1.25, 3.0], [1.0, 0.0, -0.125]];
const HI = [{ role: 'user', content: 'hi' }];
const TYPES = { 400: 'bad_request', 404: 'no_model', 422: 'odd', 429: 'slow_down', 500: 'broken', 503: 'overloaded' };

const client = (base = '/v1', more = {}) =>
    new OpenAI({ baseURL: GATEWAY + base, apiKey: 'sk-caller', maxRetries: 0, timeout: 60_000, ...more });

async function inspect(what, model) {
    const answer = await fetch(`${process.env.INSPECTOR}/${what}?${encodeURIComponent(model)}`);
    return answer.json();
}

async function all(stream) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return chunks;
}

const joined = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? '').join('');

// ---- chat

for (const base of BASES) {
    test(`chat ${base}`, async () => {
        const said = await client(base).chat.completions.create({ model: 'openai/js-m', messages: HI });
        assert.equal(said.choices[0].message.content, TEXT);
        assert.equal(said.choices[0].finish_reason, 'stop');
        assert.deepEqual([said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens], [11, 7, 18]);
    });

    test(`stream ${base}`, async () => {
        const chunks = await all(await client(base).chat.completions.create({ model: 'openai/js-m', messages: HI, stream: true }));
        assert.equal(joined(chunks), TEXT);
        assert.ok(chunks.every((c) => c.choices.length === 1 && !c.usage), 'the usage was not asked for');
        assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
    });

    test(`stream with usage ${base}`, async () => {
        const chunks = await all(await client(base).chat.completions.create({
            model: 'openai/js-m', messages: HI, stream: true, stream_options: { include_usage: true },
        }));
        assert.equal(joined(chunks), TEXT);
        assert.deepEqual(chunks.at(-1).choices, []);
        assert.equal(chunks.at(-1).usage.completion_tokens, 7);
        assert.ok(chunks.slice(0, -1).every((c) => !c.usage));
    });
}

test('stream helper', async () => {
    const stream = client().chat.completions.stream({ model: 'openai/js-m', messages: HI });
    let heard = '';
    stream.on('content', (delta) => { heard += delta; });
    assert.equal((await stream.finalChatCompletion()).choices[0].message.content, TEXT);
    assert.equal(heard, TEXT);
});

test('many at once', async () => {
    const c = client();
    const one = () => c.chat.completions.create({ model: 'openai/js-m', messages: HI });
    const said = await Promise.all(Array.from({ length: 30 }, one));
    assert.ok(said.every((s) => s.choices[0].message.content === TEXT));
});

test('own id is told', async () => {
    const { data, response } = await client().chat.completions
        .create({ model: 'openai/js-m', messages: HI }, { headers: { 'x-request-id': 'req-of-mine' } }).withResponse();
    assert.equal(response.headers.get('x-request-id'), 'req-of-mine');
    assert.equal(data._request_id, 'req-of-mine');
});

test('extra_fields', async () => {
    const asked = { model: 'openai/js-m', messages: HI };
    const said = await client('/v1').chat.completions.create(asked);
    assert.equal(said.extra_fields.provider, 'openai');
    assert.equal(said.extra_fields.request_type, 'chat_completion');
    assert.equal((await client('/openai').chat.completions.create(asked)).extra_fields, undefined);
});

test('unknown parameters pass', async () => {
    await client().chat.completions.create({ model: 'openai/js-other', messages: HI, temperature: 0.25, made_up: { deep: [1, 2.5, null] } });
    const last = await inspect('last', 'js-other');
    assert.deepEqual(last.made_up, { deep: [1, 2.5, null] });
    assert.equal(last.temperature, 0.25);
});

// ---- tools, structured output

const TOOLS = [{
    type: 'function',
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
}];

function checkCall(call) {
    assert.equal(call.id, 'call_1');
    assert.equal(call.function.name, 'weather');
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Köln' });
}

test('tools', async () => {
    const c = client();
    const asked = [{ role: 'user', content: 'weather in Köln?' }];
    const first = await c.chat.completions.create({ model: 'openai/js-tools', messages: asked, tools: TOOLS });
    const message = first.choices[0].message;
    checkCall(message.tool_calls[0]);
    const back = [...asked, message, { role: 'tool', tool_call_id: 'call_1', content: 'raining' }];
    const said = await c.chat.completions.create({ model: 'openai/js-tools', messages: back, tools: TOOLS });
    assert.equal(said.choices[0].message.content, 'it is raining');
});

test('tools streamed', async () => {
    const stream = client().chat.completions.stream({ model: 'openai/js-tools', messages: HI, tools: TOOLS });
    checkCall((await stream.finalChatCompletion()).choices[0].message.tool_calls[0]);
});

test('tools run by the helper', async () => {
    const runner = client().chat.completions.runTools({
        model: 'openai/js-tools', messages: HI, tools: [{
            type: 'function',
            function: { ...TOOLS[0].function, parse: JSON.parse, function: ({ city }) => `raining in ${city}` },
        }],
    });
    assert.equal(await runner.finalContent(), 'it is raining in Köln');
});

test('structured output', async () => {
    const said = await client().chat.completions.parse({
        model: 'openai/js-structured', messages: HI,
        response_format: {
            type: 'json_schema',
            json_schema: {
                name: 'Place', strict: true,
                schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
            },
        },
    });
    assert.deepEqual(JSON.parse(said.choices[0].message.content), { city: 'Köln', schema: 'Place' });
});

// ---- other operations

for (const base of BASES) {
    test(`completions ${base}`, async () => {
        const said = await client(base).completions.create({ model: 'openai/js-text', prompt: 'once' });
        assert.equal(said.choices[0].text, `once - ${TEXT}`);
        assert.equal(said.usage.total_tokens, 18);
    });

    test(`embeddings ${base}`, async () => {
        const said = await client(base).embeddings.create({ model: 'openai/js-embed', input: ['a', 'b'] });
        assert.equal((await inspect('last', 'js-embed')).encoding_format, 'base64');
        assert.deepEqual(said.data.map((d) => d.embedding), VECTORS);
    });

    test(`responses ${base}`, async () => {
        const said = await client(base).responses.create({ model: 'openai/js-resp', input: 'hi' });
        assert.equal(said.output_text, TEXT);
        assert.equal(said.usage.output_tokens, 7);
    });

    test(`responses streamed ${base}`, async () => {
        const events = await all(await client(base).responses.create({ model: 'openai/js-resp', input: 'hi', stream: true }));
        assert.equal(events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join(''), TEXT);
        assert.equal(events[0].type, 'response.created');
        assert.equal(events.at(-1).type, 'response.completed');
        assert.equal(events.at(-1).response.usage.total_tokens, 18);
    });

    test(`models ${base}`, async () => {
        const c = client(base);
        const ids = (await all(c.models.list())).map((m) => m.id);
        assert.ok(ids.includes('listed/m') && ids.includes('listed/other'));
        assert.equal((await c.models.retrieve('listed/other')).owned_by, 'listed');
        await assert.rejects(c.models.retrieve('listed/none'), OpenAI.NotFoundError);
    });
}

test('completions streamed', async () => {
    const asked = { model: 'openai/js-text', prompt: 'once', stream: true };
    const plain = await all(await client().completions.create(asked));
    assert.equal(plain.map((c) => c.choices[0].text).join(''), TEXT);
    const counted = await all(await client().completions.create({ ...asked, stream_options: { include_usage: true } }));
    assert.equal(counted.at(-1).usage.completion_tokens, 7);
});

test('embeddings as numbers', async () => {
    const said = await client().embeddings.create({ model: 'openai/js-embed', input: 'a', encoding_format: 'float' });
    assert.deepEqual(said.data[0].embedding, VECTORS[0]);
});

test('responses helper', async () => {
    const stream = client().responses.stream({ model: 'openai/js-resp', input: 'hi' });
    assert.equal((await stream.finalResponse()).output_text, TEXT);
});

// ---- errors

const CLASSES = {
    400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 422: OpenAI.UnprocessableEntityError,
    429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError, 503: OpenAI.InternalServerError,
};

function isError(kind, status, text) {
    return (error) => {
        assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
        assert.equal(error.status, status);
        assert.match(error.message, text);
        return true;
    };
}

for (const base of BASES) {
    for (const status of Object.keys(CLASSES).map(Number)) {
        test(`error ${status} ${base}`, async () => {
            const asked = { model: `openai/js-e${status}`, messages: HI };
            const right = (error) => {
                assert.equal(error.type, TYPES[status]);
                assert.equal(error.code, `code_${status}`);
                assert.ok(error.requestID);
                return isError(CLASSES[status], status, new RegExp(`upstream said ${status}`))(error);
            };
            await assert.rejects(client(base).chat.completions.create(asked), right);
            await assert.rejects(client(base).chat.completions.create({ ...asked, stream: true }), right);
        });
    }

    test(`error 401 ${base}`, async () => {
        const ask = (model) => client(base).chat.completions.create({ model, messages: HI });
        await assert.rejects(ask('free/js-e401'), isError(OpenAI.AuthenticationError, 401, /upstream said 401/));
        await assert.rejects(ask('openai/js-e401'), isError(OpenAI.InternalServerError, 502, /no key of provider/));
    });

    test(`the gateway's own errors ${base}`, async () => {
        await assert.rejects(client(base).chat.completions.create({ model: 'openai/js-m', messages: 'no list' }),
                             OpenAI.BadRequestError);
        await assert.rejects(client(base).chat.completions.create({ model: 'listed/none', messages: HI }), OpenAI.APIError);
        await assert.rejects(client(base).post('/chat/nothing', { body: {} }), OpenAI.NotFoundError);
    });
}

// ---- retries, timeouts, leaving

test('retry-after is honoured', async () => {
    const began = Date.now();
    const said = await client('/v1', { maxRetries: 2 }).chat.completions.create({ model: 'openai/js-later', messages: HI });
    assert.equal(said.choices[0].message.content, TEXT);
    assert.equal(await inspect('seen', 'js-later'), 2);
    assert.ok(Date.now() - began >= 900, 'it came back too early');
});

test('retries until it serves', async () => {
    const asked = { model: 'openai/js-again', messages: HI, stream: true };
    const chunks = await all(await client('/v1', { maxRetries: 2 }).chat.completions.create(asked));
    assert.equal(joined(chunks), TEXT);
    assert.equal(await inspect('seen', 'js-again'), 3);
});

test('retries end', async () => {
    await assert.rejects(client('/v1', { maxRetries: 1 }).chat.completions.create({ model: 'openai/js-never', messages: HI }),
                         OpenAI.InternalServerError);
    assert.equal(await inspect('seen', 'js-never'), 2);
});

test("the client's timeout", async () => {
    await assert.rejects(client('/v1', { timeout: 2000 }).chat.completions.create({ model: 'openai/js-silent', messages: HI }),
                         OpenAI.APIConnectionTimeoutError);
    assert.equal(await inspect('left', 'js-silent'), true, "the upstream's connection must close with the client's");
    assert.equal((await inspect('row', 'js-silent')).client_gone, 1);
});

test("the upstream's timeout", async () => {
    await assert.rejects(client().chat.completions.create({ model: 'slow/js-stuck', messages: HI }),
                         isError(OpenAI.InternalServerError, 504, /./));
    assert.equal((await inspect('row', 'js-stuck')).http_status, 504);
});

test('leaving in mid-stream', async () => {
    const stream = await client().chat.completions.create({ model: 'openai/js-endless', messages: HI, stream: true });
    let seen = 0;
    for await (const chunk of stream) {
        assert.equal(chunk.choices[0].delta.content, 'word ');
        if (++seen === 5) stream.controller.abort();
    }
    assert.ok(seen >= 5);
    assert.equal(await inspect('left', 'js-endless'), true, "the upstream's connection must close with the client's");
    const row = await inspect('row', 'js-endless');
    assert.equal(row.client_gone, 1);
    assert.equal(row.estimated, 1);
    assert.ok(row.completion_tokens > 0);
});

// ---- what must arrive whole, and what must not look whole

test('ten megabytes', async () => {
    const content = 'grüße 🌉 \\ " \n'.repeat(700_000);
    const bytes = Buffer.from(content);
    assert.ok(bytes.length > 10 << 20);
    const said = await client().chat.completions.create({ model: 'openai/js-big', messages: [{ role: 'user', content }] });
    assert.equal(said.choices[0].message.content, `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`);
});

for (const base of BASES) {
    test(`unicode split anywhere ${base}`, async () => {
        const asked = { model: 'openai/js-split', messages: HI, stream: true };
        assert.equal(joined(await all(await client(base).chat.completions.create(asked))), UNICODE);
    });

    for (const model of ['cut', 'torn']) {
        test(`a truncated stream raises: ${model} ${base}`, async () => {
            const chunks = [];
            await assert.rejects(async () => {
                const stream = await client(base).chat.completions.create({ model: `openai/js-${model}`, messages: HI, stream: true });
                for await (const chunk of stream) chunks.push(chunk);
            }, OpenAI.APIError);
            assert.ok(chunks.length > 0 && TEXT.startsWith(joined(chunks)), 'what came before is given to the client');
            assert.equal((await inspect('row', `js-${model}`)).truncated, 1);
        });
    }
}

test('a truncated response raises', async () => {
    await assert.rejects(async () => all(await client().responses.create({ model: 'openai/js-resp-cut', input: 'hi', stream: true })),
                         OpenAI.APIError);
    assert.equal((await inspect('row', 'js-resp-cut')).truncated, 1);
});

// ---- fallbacks

test('fallbacks', async () => {
    const asked = { model: 'openai/js-e500', messages: HI, fallbacks: ['openai/js-e503', 'listed/m'] };
    assert.equal((await client().chat.completions.create(asked)).choices[0].message.content, TEXT);
    assert.equal(joined(await all(await client().chat.completions.create({ ...asked, stream: true }))), TEXT);
});
