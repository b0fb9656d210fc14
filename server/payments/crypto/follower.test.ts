/** What the follower writes down, whatever the chain does. The network is scripted; the database is real. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { createScriptedChain, type ScriptedChain, type ScriptedTx } from '../../../test/scripted-chain.ts'
import type { Announcement } from '../../platform/announce.ts'
import { newId } from '../../platform/ids.ts'
import { type Log, openLog } from '../../platform/log.ts'
import { assets, networkOf } from './assets.ts'
import { type Chain, NodeTrouble } from './chain.ts'
import { createFollower, type FollowerSettings } from './follower.ts'
import { chainState } from './health.ts'

const network = networkOf('bitcoin')
const QUOTE_SECONDS = 900

let db: TestDatabase
let chain: ScriptedChain
let addresses = 0
let txs = 0
const alarms: string[] = []
const announced: Announcement[] = []
const log = openLog({ level: 'silent' })
log.error = ((_: unknown, sentence: string) => alarms.push(sentence)) as unknown as Log['error']

before(async () => {
  db = await freshDatabase()
  await asOwner(
    `insert into crypto_keys (family, descriptor, active, created_at) values ('btc', 'wpkh(test)', true, house_now())`,
  )
})
after(() => db?.close())
beforeEach(async () => {
  await asOwner(`truncate crypto_payment_events, crypto_payments, chain_blocks, chain_cursors cascade`)
  chain = createScriptedChain()
  for (let n = 0; n < 20; n++) chain.mine()
  alarms.length = 0
  announced.length = 0
})

test('at its first start it begins a few blocks behind the newest, and writes down which blocks stand', async () => {
  await follow()
  assert.deepEqual(await blocks(), chain.best.slice(8))
  assert.equal((await cursor()).height, '20')
})

test('a payment is one row from the pool to its block, and its confirmations count from our own table', async () => {
  const ana = await address()
  const paid = pay(ana.script, 50_000n)
  await follow()
  chain.wait([paid])
  await follow()
  assert.deepEqual(await story(paid), ['seen'])
  assert.equal((await payment(paid)).pooled, true)
  chain.mine([paid])
  await follow()
  chain.mine()
  await follow()
  const { id, height, pooled, account_id, topup_id, units } = await payment(paid)
  assert.deepEqual(
    { height, pooled, account_id, topup_id, units },
    {
      height: '21',
      pooled: false,
      account_id: ana.accountId,
      topup_id: ana.topupId,
      units: '50000',
    },
  )
  assert.equal(Number((await cursor()).height) - Number(height) + 1, 2)
  assert.deepEqual(await story(paid), ['seen', 'mined 21'])
  assert.ok(id)
  assert.deepEqual(new Set(announced.flatMap((one) => ('id' in one ? [one.id] : []))), new Set([ana.topupId]))
  // Seen in the pool, in its block, and one block deeper.
  assert.ok(announced.length >= 3)
})

test('1: a reorganisation of one block, and the transaction is mined again: the same row, from its new height', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  await follow()
  const { id } = await payment(paid)
  chain.reorganise(1, [[], [paid]])
  await follow()
  const now = await payment(paid)
  assert.equal(now.id, id)
  assert.equal(now.height, '22')
  assert.equal(now.unmined_at_height, null)
  assert.deepEqual(await story(paid), ['mined 21', 'unmined 21', 'mined 22'])
  assert.deepEqual(await blocks(), chain.best.slice(8))
})

test('2: a reorganisation of two blocks with a double spend: excluded by the other transaction, in whose block', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  chain.mine()
  await follow()
  const other = { ...pay('00'.repeat(20)), spends: paid.spends }
  chain.reorganise(2, [[], [other]])
  await follow()
  const now = await payment(paid)
  assert.deepEqual(
    [now.height, now.replaced_by, now.replaced_height, now.unmined_at_height],
    [null, other.txid, '22', '22'],
  )
  assert.deepEqual(await story(paid), ['mined 21', 'unmined 21', 'conflicted 22'])

  // What excluded it vanishes in its turn: it may be mined after all.
  chain.reorganise(2, [[], [], [paid]])
  await follow()
  assert.deepEqual(await story(paid), ['mined 21', 'unmined 21', 'conflicted 22', 'unmined 22', 'mined 24'])
  assert.equal((await payment(paid)).replaced_by, null)
})

test('5: the chain is rewritten deeper than what is kept: halted, with an alarm, and nothing is guessed', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  for (let n = 0; n < 205; n++) chain.mine()
  await follow()
  assert.equal((await blocks()).length, 201) // the newest two hundred, and the one with a payment
  const was = await payment(paid)
  chain.reorganise(210)
  await follow()
  assert.match((await cursor()).halted!, /none of the newest blocks/)
  assert.equal(alarms.length, 1)
  chain.mine()
  await follow()
  assert.deepEqual(await payment(paid), was)
  assert.equal(alarms.length, 1)
})

test('5: after a person has looked it goes on from the newest block that is common, and who let it is kept', async () => {
  const [old, paid] = [pay((await address()).script), pay((await address()).script)]
  await follow()
  assert.equal(await follower().resume({ who: 'bea', why: 'none' }), false)
  chain.mine([old])
  chain.mine([paid])
  for (let n = 0; n < 205; n++) chain.mine()
  await follow()
  chain.reorganise(206)
  await follow()
  assert.equal(await follower().resume({ who: 'bea', why: 'The network announced it' }), true)
  await follow()
  assert.equal((await payment(old)).height, '21')
  assert.equal((await payment(paid)).height, null)
  const { halted, height, resumptions } = await cursor()
  assert.deepEqual([halted, Number(height)], [null, chain.tip.height])
  assert.deepEqual(
    resumptions.map(({ who, why, to }) => [who, why, to]),
    [['bea', 'The network announced it', 21]],
  )
  assert.deepEqual((await blocks()).slice(-200), chain.best.slice(-200))
})

test('6: another branch of the same height, and a chain that grew shorter: seen by the hashes, and the newest block may go down', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  await follow()
  chain.reorganise(1, [], 1)
  await follow()
  assert.deepEqual(await blocks(), chain.best.slice(8))
  assert.equal((await payment(paid)).height, null)
  chain.choose(chain.below(3))
  await follow()
  assert.equal((await cursor()).height, '18')
  assert.deepEqual(await blocks(), chain.best.slice(8))
})

test('7: the node changes its mind between two questions: asked anew, and nothing is written of a mixture', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  chain.mine()
  await follow()
  const other = chain.below(3)
  let changed = 0
  chain.script.before = (_, what) => {
    if (what !== 'hashAt' || changed > 2) return
    changed++
    chain.reorganise(chain.best.length - 1 - chain.best.indexOf(other), [[paid]])
  }
  chain.mine()
  await follow()
  chain.script.before = null
  assert.equal(changed, 3)
  await follow()
  assert.deepEqual(await blocks(), chain.best.slice(8))
  assert.equal((await payment(paid)).height, '20')
})

test('8, 9: while the node is away nobody may say what did not arrive; an alarm is rung after five minutes', async () => {
  const paid = pay((await address()).script)
  await follow()
  const { caught_up_at: before } = await cursor()
  const later = (seconds: number) => ({ now: () => new Date(Date.now() + seconds * 1000) })
  chain.script.before = () => {
    throw new NodeTrouble('unreachable', 'No answer')
  }
  const one = follower({ clock: later(301) })
  await one.tick()
  await one.tick()
  assert.equal(alarms.length, 1)
  assert.deepEqual((await cursor()).caught_up_at, before)
  const away = await chainState(db.database.pool, 'bitcoin', later(301).now())
  assert.equal(away.state, 'trouble')
  assert.match(
    away.detail,
    /^Bitcoin: our node has not answered properly for 5 minutes; payments will be credited when it does\.$/,
  )

  chain.script.before = null
  chain.mine([paid])
  await one.tick()
  assert.ok((await cursor()).caught_up_at! > before!)
  assert.equal((await payment(paid)).height, '21')
  assert.equal((await chainState(db.database.pool, 'bitcoin', new Date())).state, 'works')
})

test('9: a node whose newest block is old is behind: customers are told, and what it shows is read', async () => {
  const paid = pay((await address()).script)
  const main = { environment: 'main' as const, network: { ...network, identity: { main: null, test: null } } }
  chain.mine([paid], { time: new Date(Date.now() - 100 * 60_000) })
  await follow(main)
  assert.equal((await payment(paid)).height, '21')
  const { state, detail } = await chainState(db.database.pool, 'bitcoin', new Date(Date.now() + 840_000))
  assert.equal(state, 'behind')
  assert.match(detail, /^Bitcoin: our node is 14 minutes behind; payments will be credited when it catches up\.$/)
  chain.mine([], { time: new Date() })
  await follow(main)
  assert.equal((await chainState(db.database.pool, 'bitcoin', new Date())).state, 'works')
})

test('10: a node of another network is not read, whether the setting or our own table says so', async () => {
  await follow()
  chain.mine()
  await follow({ network: { ...network, identity: { main: null, test: 'another' } } })
  assert.deepEqual([(await cursor()).height, (await cursor()).trouble], ['20', 'wrong_chain'])
  chain.script.identity = 'another'
  await follow()
  assert.deepEqual([(await cursor()).height, (await cursor()).trouble], ['20', 'wrong_chain'])
  assert.equal((await chainState(db.database.pool, 'bitcoin', new Date())).state, 'trouble')
  chain.script.identity = 'first'
  await follow()
  assert.deepEqual([(await cursor()).height, (await cursor()).trouble], ['21', null])
})

test('10: up to where a second node agrees is written down; where it does not, customers and an operator are told', async () => {
  const agreed = async () => (await cursor()).agreed_height
  await follow()
  assert.equal(await agreed(), null)
  chain.script.agrees = (height) => (height <= 18 ? 'agrees' : 'not_known')
  await follow()
  assert.deepEqual([await agreed(), (await cursor()).trouble], ['18', null])
  chain.script.agrees = () => 'disagrees'
  await follow()
  assert.deepEqual([await agreed(), (await cursor()).trouble], ['8', 'disagreement'])
  assert.match(
    (await chainState(db.database.pool, 'bitcoin', new Date())).detail,
    /do not agree about the newest blocks/,
  )
  chain.script.agrees = () => 'not_known'
  await follow()
  assert.deepEqual([await agreed(), (await cursor()).trouble], ['8', 'unreachable'])
  chain.script.agrees = () => 'agrees'
  await follow()
  assert.deepEqual([await agreed(), (await cursor()).trouble], ['20', null])
  chain.script.agrees = () => 'not_known'
  chain.reorganise(3)
  await follow()
  assert.equal(await agreed(), '17')
})

test('11: an answer that cannot be believed writes nothing of its block; the next one does', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine()
  chain.mine([paid])
  chain.mine()
  let broken = 0
  chain.script.before = (_, what) => {
    if (what === 'block' && ++broken === 2) throw new NodeTrouble('broken_answer', 'The answer ends in the middle')
  }
  await follow()
  assert.equal((await cursor()).height, '21')
  assert.equal((await cursor()).trouble, 'broken_answer')
  chain.script.before = null
  await follow()
  assert.equal((await cursor()).trouble, null)
  assert.deepEqual(await story(paid), ['mined 22'])
})

test('13: two followers at once: each block once, each event once', async () => {
  const paid = await Promise.all(Array.from({ length: 6 }, async () => pay((await address()).script)))
  await follow()
  for (const tx of paid) chain.mine([tx])
  const second = await db.database.connect()
  second.release()
  await Promise.all([follow(), follow(), follow()])
  await follow()
  for (const tx of paid) assert.equal((await story(tx)).length, 1)
  assert.deepEqual(await blocks(), chain.best.slice(8))
})

test('14: read again from the beginning, nothing is doubled', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.mine([paid])
  chain.mine()
  await follow()
  const was = await payment(paid)
  await asOwner(`truncate chain_blocks, chain_cursors`)
  await follow()
  assert.deepEqual(await payment(paid), was)
  assert.deepEqual(await story(paid), ['mined 21'])
})

test('30, 34: an address is watched for ever, also one that nobody has been given', async () => {
  const nobodys = await address({ given: false })
  const paid = pay(nobodys.script)
  await follow()
  chain.mine([paid])
  await follow()
  const now = await payment(paid)
  assert.deepEqual([now.account_id, now.topup_id, now.review], [null, null, 'unused_address'])
  assert.deepEqual(await story(paid), ['mined 21', 'review'])
})

test('31: replaced in the pool by one that pays the same address: two rows, and the second was seen when the first was', async () => {
  const { script } = await address()
  const paid = pay(script)
  await follow()
  chain.wait([paid])
  await follow()
  const raised = { ...pay(script), spends: paid.spends }
  chain.wait([raised])
  await follow()
  assert.deepEqual(await story(paid), ['seen', 'replaced'])
  assert.equal((await payment(paid)).replaced_by, raised.txid)
  assert.equal((await payment(paid)).replaced_height, null)
  assert.deepEqual((await payment(raised)).first_seen_at, (await payment(paid)).first_seen_at)
  chain.mine([raised])
  await follow()
  assert.deepEqual(await story(paid), ['seen', 'replaced', 'conflicted 21'])
  assert.deepEqual(await story(raised), ['seen', 'mined 21'])
})

test('32: the pool forgets a payment: no longer shown as seen; a list that is cut off forgets nothing', async () => {
  const paid = pay((await address()).script)
  await follow()
  chain.wait([paid])
  await follow()
  chain.script.cutPool = true
  await follow()
  assert.equal((await payment(paid)).pooled, true)
  chain.wait([])
  await follow()
  assert.equal((await payment(paid)).pooled, false)
  assert.deepEqual(await story(paid), ['seen', 'dropped'])
  chain.script.cutPool = false
  chain.wait([paid])
  await follow()
  assert.deepEqual(await story(paid), ['seen', 'dropped', 'seen'])
})

test('38: newly mined coins need a hundred confirmations', async () => {
  const { script } = await address()
  const tx: ScriptedTx = { ...pay(script), pays: [{ script, units: 1_000n, coinbase: true }], spends: [] }
  await follow()
  chain.mine([tx])
  await follow()
  assert.equal((await payment(tx)).confirmations_required, 100)
})

test('39: a transaction that pays several addresses is a payment for each output', async () => {
  const [ana, bea] = [await address(), await address()]
  const tx = pay(ana.script)
  const several: ScriptedTx = {
    ...tx,
    pays: [ana, bea, ana].map(({ script }, n) => ({ script, units: BigInt(n + 1) })),
  }
  await follow()
  chain.mine([several])
  await follow()
  const { rows } = await db.database.pool.query(
    'select ordinal, units, account_id from crypto_payments order by ordinal',
  )
  assert.deepEqual(
    rows.map((row) => Object.values(row)),
    [
      ['0', '1', ana.accountId],
      ['1', '2', bea.accountId],
      ['2', '3', ana.accountId],
    ],
  )
})

test('41: a payment was made when we first saw it, or by the time of its block, whichever was earlier', async () => {
  const { script } = await address()
  const [early, late] = [pay(script), pay(script)]
  await follow()
  chain.wait([early])
  await follow()
  const { first_seen_at: seen } = await payment(early)
  const future = new Date(Date.now() + 7_200_000)
  const past = new Date(Date.now() - 7_200_000)
  chain.mine([early], { time: future })
  chain.mine([late], { time: past })
  await follow()
  const now = await payment(early)
  assert.deepEqual(now.first_seen_at, seen)
  assert.ok(now.block_time! < future)
  assert.deepEqual((await payment(late)).first_seen_at, past)
})

// ── The world of these tests ─────────────────────────────────────────────────────────────────────────────────────────

function follower(more: Partial<FollowerSettings> = {}) {
  return createFollower({
    database: db.database,
    chain: chain.chain as Chain,
    network,
    assets: assets.filter((asset) => asset.chain === network.name),
    environment: 'test',
    announce: { publish: (announcement) => announced.push(announcement) },
    log,
    decide: async () => {},
    ...more,
  })
}

async function follow(more: Partial<FollowerSettings> = {}): Promise<void> {
  await follower(more).tick()
}

async function address({ given = true } = {}): Promise<{ script: string; accountId: string; topupId: string }> {
  const index = addresses++
  const script = index.toString(16).padStart(44, '0')
  const topupId = newId()
  const accountId = String(1000 + index)
  if (given)
    await asOwner(
      `insert into topups (id, account_id, amount, method, created_at, expires_at)
       values ('${topupId}', ${accountId}, 10000000, 'crypto', house_now(), house_now() + make_interval(secs => ${QUOTE_SECONDS}))`,
    )
  await asOwner(
    `insert into crypto_addresses (key_id, index, family, script, address, account_id, topup_id, given_at)
     select id, ${index}, 'btc', decode('${script}', 'hex'), 'address ${index}',
            ${given ? `${accountId}, '${topupId}', house_now()` : 'null, null, null'}
       from crypto_keys`,
  )
  return { script, accountId, topupId }
}

function pay(script: string, units = 10_000n): ScriptedTx {
  const number = (++txs).toString(16).padStart(64, '0')
  return { txid: number, pays: [{ script, units }], spends: [`${number}:in`] }
}

async function payment(tx: ScriptedTx) {
  const { rows } = await db.database.pool.query('select * from crypto_payments where txid = $1', [tx.txid])
  assert.equal(rows.length, 1)
  return rows[0] as {
    id: string
    height: string | null
    units: string
    pooled: boolean
    account_id: string | null
    topup_id: string | null
    review: string | null
    confirmations_required: number
    first_seen_at: Date
    block_time: Date | null
    replaced_by: string | null
    replaced_height: string | null
    unmined_at_height: string | null
  }
}

async function story(tx: ScriptedTx): Promise<string[]> {
  const { rows } = await db.database.pool.query<{ what: string; height: string | null }>(
    `select e.what, e.height
       from crypto_payment_events e join crypto_payments p on p.id = e.payment_id
      where p.txid = $1
      order by e.seq`,
    [tx.txid],
  )
  return rows.map(({ what, height }) => (height === null ? what : `${what} ${height}`))
}

async function blocks(): Promise<string[]> {
  const { rows } = await db.database.pool.query<{ hash: string }>('select hash from chain_blocks order by height')
  return rows.map(({ hash }) => hash)
}

async function cursor() {
  const { rows } = await db.database.pool.query('select * from chain_cursors')
  return rows[0] as {
    height: string
    hash: string
    halted: string | null
    trouble: string | null
    agreed_height: string | null
    caught_up_at: Date | null
    resumptions: { who: string; why: string; to: number }[]
  }
}

async function asOwner(sql: string): Promise<void> {
  const owner = new pg.Client(db.url)
  await owner.connect()
  try {
    await owner.query(sql)
  } finally {
    await owner.end()
  }
}
