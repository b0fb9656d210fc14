import assert from 'node:assert/strict'
import { execFileSync, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePort } from '../../test/ports.ts'
import { startWorld, until, type World } from '../testing.ts'
import { anvilProgram } from './anvil.ts'
import { readUnits } from './units.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

const addresses: Record<string, string> = {
  btc: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  ltc: 'rltc1qw508d6qejxtdg4y5r3zarvary0c5xw7k693xs3',
  eth: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
}
const assetsOf: Record<string, string[]> = { btc: ['BTC'], ltc: ['LTC'], eth: ['ETH', 'USDT', 'USDC'] }

async function ask(chain: string, method: string, ...params: unknown[]): Promise<unknown> {
  const answer = await fetch(`${world.sandbox.url}/chains/${chain}/rpc`, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }),
  })
  const said = (await answer.json()) as {
    result: unknown
    error?: { code: number; message: string } | null
    id: unknown
  }
  assert.equal(said.id, 7)
  return said.error ?? said.result
}

const heightOf = async (chain: string) =>
  chain === 'eth' ? Number(await ask('eth', 'eth_blockNumber')) : Number(await ask(chain, 'getblockcount'))

for (const chain of ['btc', 'ltc', 'eth'])
  test(`${chain}: what is sent waits for a block, is taken back and mined again, or is void, and each press leaves a sentence`, async () => {
    const address = addresses[chain]!
    const before = await heightOf(chain)
    for (const asset of assetsOf[chain]!) {
      const paid = await world.control(`/chains/${chain}/pay`, { address, amount: '0.015', asset })
      assert.equal(paid.status, 200, JSON.stringify(paid.body))
      assert.deepEqual([paid.body['asset'], paid.body['amount'], paid.body['address']], [asset, '0.015', address])
      assert.match(String(paid.body['transaction_id']), /^(0x)?[0-9a-f]{64}$/)
    }
    const many = assetsOf[chain]!.length
    assert.deepEqual(await waitingAt(chain), [before, many])
    assert.equal((await world.control(`/chains/${chain}/mine`, {})).body['transactions'], many)
    assert.deepEqual(await waitingAt(chain), [before + 1, 0])
    await world.control(`/chains/${chain}/mine`, { blocks: 2 })

    const kept = await world.control(`/chains/${chain}/reorg`, { depth: 3 })
    assert.deepEqual([kept.status, kept.body['height'], kept.body['transactions']], [200, before + 4, many])
    assert.deepEqual(await waitingAt(chain), [before + 4, many])
    assert.equal((await world.control(`/chains/${chain}/mine`, { blocks: '1' })).body['transactions'], many)

    const dropped = await world.control(`/chains/${chain}/reorg`, { depth: 1, drop: true })
    assert.deepEqual([dropped.status, dropped.body['transactions']], [200, many])
    assert.deepEqual(await waitingAt(chain), [before + 6, 0])
    assert.equal((await world.control(`/chains/${chain}/mine`, {})).body['transactions'], 0)

    await world.control(`/chains/${chain}/pay`, { address, amount: '0.02' })
    await world.control(`/chains/${chain}/mine`, {})
    assert.equal((await world.control(`/chains/${chain}/reorg`, { depth: 1, forget: true })).body['transactions'], 1)
    assert.deepEqual((await waitingAt(chain))[1], 0)
    const desk = await (await fetch(world.sandbox.url)).text()
    for (const words of [
      'were sent to',
      'new blocks, up to number',
      'waits? for a block again',
      'void: the sender',
      'vanished',
    ])
      assert.match(desk, new RegExp(words), words)
  })

async function waitingAt(chain: string): Promise<[number, number]> {
  const { chains } = (await world.read('/chains')) as { chains: { chain: string; height: number; waiting: number }[] }
  const one = chains.find((each) => each.chain === chain)!
  return [one.height, one.waiting]
}

test('what cannot be is refused with the field and what may be', async () => {
  const pay = (chain: string, asked: unknown) => world.control(`/chains/${chain}/pay`, asked)
  for (const chain of ['btc', 'ltc', 'eth']) {
    const address = addresses[chain]!
    for (const amount of ['', '0', '-1', '1e3', '1,5', 'x', 5, null, `0.${'1'.repeat(19)}`, '9'.repeat(12)]) {
      const { status, body } = await pay(chain, { address, amount })
      assert.deepEqual([status, body['code'], body['field']], [400, 'invalid_request', 'amount'], `${chain} ${amount}`)
    }
    const others = Object.entries(addresses).flatMap(([name, each]) => (name === chain ? [] : [each]))
    for (const wrong of ['', 'x', address.slice(0, -1), ...others, 'x'.repeat(200)]) {
      const { status, body } = await pay(chain, { address: wrong, amount: '1' })
      assert.deepEqual([status, body['field']], [400, 'address'], `${chain} ${wrong}`)
    }
    assert.equal((await pay(chain, { address, amount: '1', asset: 'DOGE' })).body['field'], 'asset')
    for (const blocks of [0, -1, 1.5, 501, 'x'])
      assert.equal((await world.control(`/chains/${chain}/mine`, { blocks })).body['field'], 'blocks')
    for (const depth of [0, -1, 1.5, 301, 'x', undefined])
      assert.equal((await world.control(`/chains/${chain}/reorg`, { depth })).body['field'], 'depth')
    assert.equal((await world.control(`/chains/${chain}/reorg`, { depth: 1, drop: 'maybe' })).body['field'], 'drop')
    assert.equal(
      (await world.control(`/chains/${chain}/reorg`, { depth: 1, drop: true, forget: true })).body['field'],
      'forget',
    )
  }
  const typo = addresses['eth']!.replace('A', 'a')
  assert.equal((await pay('eth', { address: typo, amount: '1' })).body['field'], 'address')
  const deep = await world.control('/chains/eth/reorg', { depth: 300 })
  assert.deepEqual([deep.status, deep.body['field']], [400, 'depth'])
  assert.equal((await world.control('/chains/doge/mine', {})).status, 404)
  assert.equal(
    (await world.control('/chains/pay', { address: addresses['btc'], amount: '1', asset: 'DOGE' })).body['field'],
    'asset',
  )
  assert.equal((await world.control('/chains/quote', { topup_id: 'top_1', how: 'exactly' })).status, 404)
})

test('the Ethereum door reads, one call or a batch, and changes nothing', async () => {
  assert.equal(await ask('eth', 'eth_chainId'), '0x1')
  for (const method of [
    'anvil_mine',
    'evm_mine',
    'eth_sendTransaction',
    'eth_sendRawTransaction',
    'anvil_setBalance',
    'hardhat_reset',
  ]) {
    const { code, message } = (await ask('eth', method)) as { code: number; message: string }
    assert.equal(code, -32601)
    assert.match(message, /only reads/)
  }
  const url = `${world.sandbox.url}/chains/eth/rpc`
  const batch = [1, 2].map((id) => ({ jsonrpc: '2.0', id, method: 'eth_blockNumber', params: [] }))
  const answers = (await (await fetch(url, { method: 'POST', body: JSON.stringify(batch) })).json()) as { id: number }[]
  assert.deepEqual(answers.map(({ id }) => id).sort(), [1, 2])
  for (const body of ['', '{', '[]', 'x'.repeat(2_000_000)])
    assert.ok((await fetch(url, { method: 'POST', body })).status >= 400)
})

test('a quote of the demo customer stands on the desk, and is paid exactly, by 70 %, twice or late', async () => {
  const topup = {
    ...{
      id: 'top_1',
      method: 'crypto',
      status: 'awaiting_payment',
      amount: '10.00',
      created_at: new Date().toISOString(),
    },
    ...{
      expires_at: new Date(Date.now() + 900_000).toISOString(),
      credited_at: null,
      reason: null,
      labels: [],
      receipt: false,
    },
    ...{
      returned: '0.00',
      returnable: '0.00',
      disputed: '0.00',
      refunds: [],
      disputes: [],
      payments: [],
      credited: '0.00',
    },
    ...{
      asset: 'USDT',
      network: 'Ethereum',
      address: addresses['eth'],
      asset_amount: '10.002',
      asset_amount_left: '10.002',
    },
    ...{ uri: 'x', rate: '1.00', confirmations: 0, confirmations_required: 3 },
  }
  const card = { id: 'top_2', method: 'card' }
  let moved = 0
  world.receiver.handle = (request, response) => {
    if (request.url === '/api/sandbox/clock') {
      request.on('data', (part) => {
        moved += (JSON.parse(part) as { advance_seconds: number }).advance_seconds
      })
      request.on('end', () => response.end('{"now":"2026-11-23T00:00:00Z"}'))
      return true
    }
    if (!request.url?.startsWith('/api/v1/')) return false
    if (request.url === '/api/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`event: hello\ndata: ${JSON.stringify({ now: new Date().toISOString() })}\n\n`)
    } else if (request.url.startsWith('/api/v1/topups')) response.end(JSON.stringify({ items: [card, topup] }))
    else response.end(JSON.stringify({ items: [], time_zone: 'UTC' }))
    return true
  }
  const desk = async () => (await fetch(world.sandbox.url)).text()
  await until(async () => (await desk()).includes('10.002 USDT'))
  assert.ok((await desk()).includes('Rate held until'))
  const paid: Record<string, unknown> = {}
  for (const how of ['exactly', 'most', 'twice', 'late']) {
    const { status, body } = await world.control('/chains/quote', { topup_id: 'top_1', how })
    assert.equal(status, 200, JSON.stringify(body))
    paid[how] = [body['amount'], (body['transactions'] as unknown[]).length]
  }
  assert.deepEqual(paid, { exactly: ['10.002', 1], most: ['7.0014', 1], twice: ['10.002', 2], late: ['10.002', 1] })
  assert.ok(moved > 900 && moved <= 960, String(moved))
  assert.match(await desk(), /10\.002 USDT were sent to 0x5aAeb605…1BeAed, late; it waits for a block of Ethereum\./)
  assert.ok((await desk()).includes('http://localhost:4299/topups/top_1'))
  assert.equal((await world.control('/chains/quote', { topup_id: 'top_1', how: 'never' })).body['field'], 'how')
  assert.equal((await world.control('/chains/eth/mine', {})).body['transactions'], 5)

  const filled = await (await fetch(`${world.sandbox.url}/?address=0x%22%3E&amount=5.5&asset=USDC`)).text()
  assert.ok(
    filled.includes('value="0x&quot;&gt;"') &&
      filled.includes('value="5.5"') &&
      filled.includes('<option value="USDC" selected'),
  )
  delete world.receiver.handle
})

test('a restart goes on with the same chains, also with what waited', async () => {
  const heights = await Promise.all(['btc', 'ltc', 'eth'].map(heightOf))
  for (const chain of ['btc', 'ltc', 'eth'])
    await world.control(`/chains/${chain}/pay`, { address: addresses[chain], amount: '0.3' })
  const tip = await ask('eth', 'eth_getBlockByNumber', 'latest', false)
  await world.restart()
  assert.deepEqual(await Promise.all(['btc', 'ltc', 'eth'].map(heightOf)), heights)
  assert.deepEqual(await ask('eth', 'eth_getBlockByNumber', 'latest', false), tip)
  for (const chain of ['btc', 'ltc', 'eth'])
    assert.equal((await world.control(`/chains/${chain}/mine`, {})).body['transactions'], 1, chain)
  // The moments before the restart are still there to go back to.
  assert.equal((await world.control('/chains/eth/reorg', { depth: 4 })).status, 200)
})

test('a long chain is pressed as quickly, and after a restart its payments can still be traced', async () => {
  const address = addresses['eth']!
  const { transaction_id: txid } = (await world.control('/chains/eth/pay', { address, amount: '0.4' })).body
  const paid = (await world.control('/chains/eth/mine', { blocks: 250 })).body
  assert.ok(Number(paid['transactions']) >= 1)
  const { blockHash } = (await ask('eth', 'eth_getTransactionByHash', txid)) as { blockHash: string }
  const tracer = { tracer: 'callTracer' }
  const before = [
    await ask('eth', 'debug_traceBlockByHash', blockHash, tracer),
    await ask('eth', 'debug_traceTransaction', txid, tracer),
  ]
  await world.restart()
  const after = [
    await ask('eth', 'debug_traceBlockByHash', blockHash, tracer),
    await ask('eth', 'debug_traceTransaction', txid, tracer),
  ]
  assert.deepEqual(after, before)
  const { status, body } = await world.control('/chains/eth/reorg', { depth: 3 })
  assert.deepEqual([status, body['field']], [400, 'depth'])
  await world.control('/chains/eth/mine', { blocks: 3 })
  assert.equal((await world.control('/chains/eth/reorg', { depth: 3 })).status, 200)
})

test('kill -9 of the sandbox leaves no node behind, and the chain is as it was answered', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sandbox-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const start = () =>
    fork(join(import.meta.dirname, '..', 'main.ts'), {
      env: {
        PATH: process.env['PATH'] ?? '',
        DATA_DIR: dataDir,
        SANDBOX_PORT: String(port),
        SANDBOX_SMTP_PORT: '0',
        SERVER_URL: 'http://127.0.0.1:9',
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
  const press = async (what: string, asked: unknown) => {
    const answer = await fetch(`${url}/chains/eth/${what}`, { method: 'POST', body: JSON.stringify(asked) })
    return (await answer.json()) as { height: number; hash: string }
  }
  const alive = () =>
    until(() =>
      fetch(`${url}/healthz`).then(
        (answer) => answer.ok,
        () => false,
      ),
    )
  const nodes = () => {
    const lines = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n')
    return lines.filter((line) => line.includes(anvilProgram()!) && line.includes(dataDir)).length
  }
  let child = start()
  try {
    await alive()
    const { height, hash } = await press('mine', { blocks: 2 })
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    child = start()
    await alive()
    // The second start names the file of the chain: this is how its node is known here.
    const next = await press('mine', { blocks: 1 })
    assert.equal(next.height, height + 1)
    const answer = await fetch(`${url}/chains/eth/rpc`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBlockByHash', params: [hash, false] }),
    })
    assert.equal(Number(((await answer.json()) as { result: { number: string } }).result.number), height)
    assert.ok(nodes() > 0)
    child.kill('SIGKILL')
    await until(() => nodes() === 0)
  } finally {
    child.kill('SIGKILL')
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('a platform without a node of Ethereum has none, in words', () => {
  assert.equal(anvilProgram('sunos', 'mips'), null)
  assert.notEqual(anvilProgram(), null)
})

test('amounts are read to the last digit', () => {
  assert.equal(readUnits('0.00012345', 8), 12_345n)
  assert.equal(readUnits(' 1 ', 6), 1_000_000n)
  assert.equal(readUnits('000.000001', 6), 1n)
  for (const wrong of ['0.0000001', '0', '.5', '5.', '+1', '1_0', 1, undefined])
    assert.equal(readUnits(wrong, 6), null, String(wrong))
})
