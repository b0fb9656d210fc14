import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { NodeTrouble } from './chain.ts'
import { createRpc, type Node, RpcError, type RpcSettings } from './rpc.ts'

type Asked = { id: number; method: string; params: unknown[] }
type Heard = { path: string; authorization: string | undefined; body: Asked | Asked[] }
type Reply = (response: ServerResponse, body: Asked | Asked[]) => void

const opened: (() => void)[] = []
after(() => {
  for (const close of opened) close()
})

/** A node that answers as it is told: the first reply to the first call, the last one to all that follow. */
async function fakeNode(...replies: Reply[]) {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString())
      heard.push({ path: request.url!, authorization: request.headers.authorization, body })
      replies[Math.min(heard.length, replies.length) - 1]!(response, body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opened.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { heard, port, url: `http://127.0.0.1:${port}` }
}

const json =
  (answer: (asked: Asked) => object, status = 200): Reply =>
  (response, body) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(Array.isArray(body) ? body.map(answer) : answer(body)))
  }
const text =
  (words: string, status = 200): Reply =>
  (response) => {
    response.writeHead(status)
    response.end(words)
  }
const result = (value: unknown) => json(({ id }) => ({ jsonrpc: '2.0', id, result: value }))
const refusal = (code: number, message: string, status = 500) =>
  json(({ id }) => ({ result: null, error: { code, message }, id }), status)
const cutOff: Reply = (response) => {
  response.writeHead(200, { 'content-length': '100' })
  response.write('{"result": "half')
  setTimeout(() => response.destroy(), 5)
}

const rpcOf = (urls: string[], more: Partial<RpcSettings> = {}) => createRpc({ urls, roundPauseMs: 1, ...more })
const tip = (node: Node) => node.call('getblockcount')
const trouble = (word: NodeTrouble['word'], message?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof NodeTrouble, `${error}`)
  assert.equal(error.word, word, error.message)
  if (message) assert.match(error.message, message)
  return true
}

test('a node answers, and null is an answer too', async () => {
  for (const value of [7, null, { height: 3 }]) {
    const node = await fakeNode(result(value))
    assert.deepEqual(await rpcOf([node.url]).ask(tip), value)
  }
})

test('what a node refuses is its own word, whatever HTTP says of it, and is asked once', async () => {
  for (const status of [200, 404, 500]) {
    const node = await fakeNode(refusal(-5, 'Block not found', status))
    await assert.rejects(rpcOf([node.url]).ask(tip), (error) => error instanceof RpcError && error.code === -5)
    assert.equal(node.heard.length, 1)
  }
})

const troubles: [what: string, reply: Reply, word: NodeTrouble['word'], message: RegExp, times: number][] = [
  ['429', text('slow down', 429), 'unreachable', /HTTP 429/, 3],
  ['500 without a word', text('', 500), 'unreachable', /HTTP 500/, 3],
  ['503, its queue is full', text('Work queue depth exceeded', 503), 'unreachable', /HTTP 503/, 3],
  ['200 with a page', text('<html>Bad gateway</html>'), 'broken_answer', /what is not JSON/, 3],
  ['truncated JSON', text('{"jsonrpc":"2.0","id":1,"resu'), 'broken_answer', /what is not JSON/, 3],
  ['an answer that breaks off', cutOff, 'unreachable', /cannot be asked/, 3],
  ['an answer to something else', json(() => ({ id: 999, result: 1 })), 'broken_answer', /something else/, 3],
  ['neither result nor error', json(({ id }) => ({ id })), 'broken_answer', /something else/, 3],
  ['a list for one call', text('[]'), 'broken_answer', /something else/, 3],
  ['too much', result('x'.repeat(5_000)), 'broken_answer', /more than 4000 bytes/, 3],
  ['it is still loading its blocks', refusal(-28, 'Loading block index…'), 'unreachable', /asks for patience/, 3],
  ['a provider who wants patience', refusal(-32005, 'limit exceeded', 200), 'unreachable', /asks for patience/, 3],
  ['401', text('', 401), 'refused', /HTTP 401: correct its URL/, 1],
  ['404 without a word', text('nothing here', 404), 'refused', /HTTP 404: correct its URL/, 1],
]
for (const [what, reply, word, message, times] of troubles) {
  test(`trouble with a node: ${what}`, async () => {
    const node = await fakeNode(reply)
    await assert.rejects(rpcOf([node.url], { answerBytesMax: 4_000 }).ask(tip), trouble(word, message))
    assert.equal(node.heard.length, times)
  })
}

test('trouble with a node: nobody is there', async () => {
  const { port } = await fakeNode(result(1))
  for (const close of opened.splice(0)) close()
  await assert.rejects(
    rpcOf([`http://127.0.0.1:${port}`]).ask(tip),
    trouble('unreachable', /cannot be asked: ECONNREFUSED/),
  )
})

test('trouble with a node: it does not answer in time', async () => {
  const node = await fakeNode(() => {})
  await assert.rejects(
    rpcOf([node.url], { timeoutMs: 60, roundsMax: 1 }).ask(tip),
    trouble('unreachable', /within 60 ms/),
  )
})

test('trouble that passes is nobody’s trouble', async () => {
  const node = await fakeNode(text('', 500), cutOff, result(7))
  assert.equal(await rpcOf([node.url]).ask(tip), 7)
})

test('a batch is answered in the order of its calls, whatever order the node takes', async () => {
  const node = await fakeNode((response, body) => {
    const answers = (body as Asked[]).map(({ id, params }) =>
      params[0] === 'b' ? { id, error: { code: -5, message: 'no b' } } : { id, result: params[0] },
    )
    response.end(JSON.stringify(answers.reverse()))
  })
  const asked = ['a', 'b', 'c'].map((name) => ({ method: 'get', params: [name] }))
  const answers = await rpcOf([node.url]).ask((one) => one.batch(asked))
  assert.deepEqual(
    answers.map((answer) => (answer.ok ? answer.result : answer.error.code)),
    ['a', -5, 'c'],
  )
})

test('a long batch is sent in parts of a hundred', async () => {
  const node = await fakeNode(json(({ id, params }) => ({ id, result: params[0] })))
  const asked = Array.from({ length: 250 }, (_, n) => ({ method: 'get', params: [n] }))
  const answers = await rpcOf([node.url]).ask((one) => one.batch(asked))
  assert.equal(answers.length, 250)
  assert.ok(answers.every((answer, n) => answer.ok && answer.result === n))
  assert.equal(node.heard.length, 3)
})

const batchTroubles: [what: string, reply: Reply, word: NodeTrouble['word']][] = [
  [
    'a part of it',
    (response, body) => response.end(JSON.stringify([{ id: (body as Asked[])[0]!.id, result: 1 }])),
    'broken_answer',
  ],
  [
    'the same answer twice',
    (response, body) => {
      const [{ id }] = body as [Asked]
      response.end(
        JSON.stringify([
          { id, result: 1 },
          { id, result: 1 },
        ]),
      )
    },
    'broken_answer',
  ],
  ['no list', text('{"id":null,"result":1}'), 'broken_answer'],
  ['it takes none', text('{"id":null,"error":{"code":-32600,"message":"no batches"}}'), 'refused'],
]
for (const [what, reply, word] of batchTroubles) {
  test(`a batch is answered whole or not at all: ${what}`, async () => {
    const node = await fakeNode(reply)
    const two = [1, 2].map((n) => ({ method: 'get', params: [n] }))
    await assert.rejects(
      rpcOf([node.url]).ask((one) => one.batch(two)),
      trouble(word),
    )
  })
}

test('when one endpoint is in trouble the next does the whole work, and the first is asked again half a minute later', async () => {
  let now = 0
  const first = await fakeNode(result('first'), text('', 500), result('first'))
  const second = await fakeNode(result('second'))
  const rpc = rpcOf([first.url, second.url], { clock: { now: () => new Date(now) } })
  const both = async (node: Node) => [await tip(node), await tip(node)]
  assert.deepEqual(await rpc.ask(both), ['second', 'second'])
  assert.equal(first.heard.length, 2)
  assert.deepEqual(await rpc.ask(both), ['second', 'second'])
  assert.equal(first.heard.length, 2)
  now += 31_000
  assert.deepEqual(await rpc.ask(both), ['first', 'first'])
})

test('an endpoint of another network is never asked anything, and is told from one that is away', async () => {
  const wrong = await fakeNode(json(({ id, method }) => ({ id, result: method === 'who' ? 'other' : 'lie' })))
  const right = await fakeNode(json(({ id, method }) => ({ id, result: method === 'who' ? 'ours' : 'truth' })))
  const check = async (node: Node) => {
    if ((await node.call('who')) !== 'ours') throw new NodeTrouble('wrong_chain', `${node.name} is of another network`)
  }
  assert.equal(await rpcOf([wrong.url, right.url], { check }).ask(tip), 'truth')
  assert.ok(wrong.heard.every(({ body }) => !Array.isArray(body) && body.method === 'who'))
  await assert.rejects(rpcOf([wrong.url], { check }).ask(tip), trouble('wrong_chain'))
})

test('credentials go to the node and nowhere else', async () => {
  const echo: Reply = (response) => {
    response.writeHead(200)
    response.end('cannot read key-of-provider as s3cret!word of the-user, abcdefgh')
  }
  const node = await fakeNode(echo)
  const url = `http://the-user:s3cret%21word@127.0.0.1:${node.port}/v3/key-of-provider?token=abcdefgh`
  const seen: string[] = []
  for (const place of [url, url.replace(String(node.port), '1')]) {
    const error = await rpcOf([place])
      .ask(tip)
      .catch((error: Error) => error)
    seen.push(String((error as Error).stack), JSON.stringify(error), String((error as Error).cause))
  }
  for (const secret of ['the-user', 's3cret', 'key-of-provider', 'abcdefgh'])
    assert.ok(!seen.join('\n').includes(secret), `${secret} in ${seen.join('\n')}`)
  const [{ authorization, path }] = node.heard as [Heard]
  assert.equal(authorization, `Basic ${Buffer.from('the-user:s3cret!word').toString('base64')}`)
  assert.equal(path, '/v3/key-of-provider?token=abcdefgh')
})

test('whoever redirects is not followed', async () => {
  const elsewhere = await fakeNode(result(1))
  const node = await fakeNode((response) => {
    response.writeHead(307, { location: elsewhere.url })
    response.end()
  })
  await assert.rejects(rpcOf([node.url]).ask(tip), trouble('unreachable'))
  assert.equal(elsewhere.heard.length, 0)
})

test('a program that ends waits for no node', async () => {
  const node = await fakeNode(() => {})
  const ending = new AbortController()
  const asked = rpcOf([node.url], { signal: ending.signal }).ask(tip)
  setTimeout(() => ending.abort(), 30)
  await assert.rejects(asked, trouble('unreachable', /the program ends/))
})

test('a URL that cannot be one is refused without repeating it', () => {
  for (const url of ['no url of s3cret', 'ftp://u:s3cret@127.0.0.1', '']) {
    assert.throws(
      () => createRpc({ urls: [url] }),
      (error: Error) => !error.message.includes('s3cret'),
    )
  }
  assert.throws(() => createRpc({ urls: [] }), /needs the URL/)
})
