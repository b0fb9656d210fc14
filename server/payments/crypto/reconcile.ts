/**
 * Reconciliation: what a chain says, read anew, against our books, in both directions.
 *
 *   every payment that is deep enough is credited, or it has a name (dust, waits for a person, waits for a rate)
 *   every credit has its payment on the best chain, or its reversal; and its transfer in the ledger
 *   every block with a payment, and the newest ones, read anew: what stands there is what we have
 *   no address of ours holds more than we know of
 *   what was sent back stands where we say
 *
 * Nothing is mended here: the follower and the credits do that by themselves, and what stays is for a person. It is compared at a block:
 * when the chain moves meanwhile, it begins anew. What we have moved on from our addresses is known by subtraction only, since we watch what
 * comes and not what goes: received, less what is there.
 */
import type { CryptoAsset, cryptoDifferenceKinds } from '../../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../../contract/money.ts'
import { pause } from '../../platform/clock.ts'
import type { Database } from '../../platform/db.ts'
import { newId, printId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { assets, networkOf, printUnits } from './assets.ts'
import { type Chain, NodeTrouble, type ReadBlock } from './chain.ts'
import { GIVEN_UP_AFTER_BLOCKS, isCredited, PAYMENT_COLUMNS, type Payment, readPayment, requiredOf } from './life.ts'

/** The newest blocks are read anew, whether they have a payment or not. */
const NEWEST_BLOCKS = 24
const BLOCKS_WITH_PAYMENTS_MAX = 2_000
/** Balances are asked for the addresses given last; the others are counted. */
const ADDRESSES_MAX = 20_000
const ADDRESSES_PER_CALL = 500
const PAYMENTS_PER_PAGE = 1_000
const PAYMENTS_MAX = 200_000
const REFUNDS_MAX = 1_000
const ITEMS_MAX = 200
const BEGINNINGS_MAX = 3
/** So young, a payment may lack its credit. Unit: milliseconds. */
const CREDIT_WITHIN_MS = 10 * 60_000
/** So long the follower is waited for, when the node is ahead of it. Unit: milliseconds. */
const FOLLOWER_MS_MAX = 15_000
const LOOK_AGAIN_MS = 500
/** Whoever compares says so often that he lives. Unit: milliseconds. */
const SIGN_OF_LIFE_MS = 5_000
/** A run that is silent for so long has died. Unit: seconds. */
const SILENT_SECONDS = 30
const EVERY_HOURS = 24

export type DifferenceKind = (typeof cryptoDifferenceKinds)[number]
export type Difference = {
  key: string
  kind: DifferenceKind
  state: 'waiting' | 'open'
  /** What is said of it: coins as people write them, ids printed. */
  about: Record<string, string>
  username: string | null
  topup_id: string | null
  transaction_id: string | null
  since: string
}
export type AssetSums = {
  asset: string
  received: string
  on_addresses: string
  moved_on: string
  credited: string
  not_credited: string
  sent_back: string
}
export type FoundOnChain = {
  height: number
  blocks: number
  addresses: number
  addresses_in_all: number
  sums: AssetSums[]
  items: Difference[]
  open: number
  waiting: number
}
export type CryptoRun = {
  id: string
  chain: string
  startedBy: 'schedule' | 'staff' | 'command'
  status: 'running' | 'clean' | 'open' | 'failed'
  found: FoundOnChain | null
  error: string | null
  startedAt: Date
  endedAt: Date | null
}

/** The chain moved while it was compared. `named`: what differed until then; some of it may be the movement itself. */
class ChainMoved extends Error {
  readonly named: ReadonlySet<string> | null
  constructor(message: string, named: ReadonlySet<string> | null = null) {
    super(message)
    this.named = named
  }
}
class CannotCompare extends Error {}

export type CryptoReconciliation = ReturnType<typeof createCryptoReconciliation>

export function createCryptoReconciliation(settings: {
  database: Database
  log: Log
  chains: ReadonlyMap<string, Chain>
  /** So long the follower is waited for, when it is behind. Unit: milliseconds. */
  followerMsMax?: number
}) {
  const { database, log, chains, followerMsMax = FOLLOWER_MS_MAX } = settings
  const running = new Set<Promise<void>>()
  let closing = false

  /**
   * Begins a run of each chain, or names the one under way. `done`: when those that began here have ended. `but`: chains that are not
   * compared this time.
   */
  async function begin(
    startedBy: CryptoRun['startedBy'],
    but: ReadonlySet<string> = new Set(),
  ): Promise<{ ids: string[]; done: Promise<void> }> {
    const ids: string[] = []
    const works: Promise<void>[] = []
    for (const [name, chain] of chains) {
      if (but.has(name)) continue
      await database.pool.query(
        `update crypto_reconciliations
            set status = 'failed', ended_at = now(), error = 'The process that compared ended in the middle.'
          where chain = $1 and status = 'running' and seen_at < now() - make_interval(secs => $2)`,
        [name, SILENT_SECONDS],
      )
      const id = newId()
      const { rowCount } = await database.pool.query(
        `insert into crypto_reconciliations (id, chain, started_by) values ($1, $2, $3)
         on conflict (chain) where status = 'running' do nothing`,
        [id, name, startedBy],
      )
      if (rowCount === 0) {
        const { rows } = await database.pool.query<{ id: string }>(
          `select id from crypto_reconciliations where chain = $1 order by started_at desc limit 1`,
          [name],
        )
        ids.push(rows[0]!.id)
        continue
      }
      ids.push(id)
      const work = run(id, chain)
      running.add(work)
      void work.finally(() => running.delete(work))
      works.push(work)
    }
    return { ids, done: Promise.all(works).then(() => {}) }
  }

  async function run(id: string, chain: Chain): Promise<void> {
    const ended = new AbortController()
    const living = showLife(id, ended.signal)
    try {
      const found = await compareAtABlock(chain)
      await database.pool.query(
        `update crypto_reconciliations set status = $2, ended_at = now(), found = $3 where id = $1 and status = 'running'`,
        [id, found.open === 0 ? 'clean' : 'open', JSON.stringify(found)],
      )
      if (found.open > 0)
        log.error({ alarm: true, chain: chain.name, open: found.open }, 'Alarm: a chain and our books do not agree')
    } catch (error) {
      const isKnown = error instanceof CannotCompare || error instanceof NodeTrouble || error instanceof ChainMoved
      if (!isKnown) log.error({ err: error, chain: chain.name }, 'A chain could not be compared with our books')
      await database.pool
        .query(
          `update crypto_reconciliations set status = 'failed', ended_at = now(), error = $2 where id = $1 and status = 'running'`,
          [id, isKnown ? (error as Error).message.slice(0, 500) : 'It failed on our side; the log says how.'],
        )
        .catch((failed: unknown) => log.warn({ err: failed }, 'The end of a comparison could not be written down'))
    } finally {
      ended.abort()
      await living
    }
  }

  /** However long a node takes for one answer. What is not written down is made up for by the next. */
  async function showLife(id: string, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await pause(SIGN_OF_LIFE_MS, ended)
      if (ended.aborted) return
      await database.pool
        .query('update crypto_reconciliations set seen_at = now() where id = $1', [id])
        .catch((error: unknown) => log.warn({ err: error }, 'A comparison could not say that it goes on'))
    }
  }

  /**
   * A chain whose next block is never far moves under every comparison. What differs each time differs; what differs once may have been
   * the movement.
   */
  async function compareAtABlock(chain: Chain): Promise<FoundOnChain> {
    let eachTime: ReadonlySet<string> | null = null
    for (let beginnings = 1; ; beginnings++) {
      try {
        return await compare(chain, beginnings === BEGINNINGS_MAX ? eachTime : null)
      } catch (error) {
        if (!(error instanceof ChainMoved) || beginnings === BEGINNINGS_MAX) throw error
        if (error.named) eachTime = eachTime === null ? error.named : eachTime.intersection(error.named)
      }
    }
  }

  /** Where both stand at the moment: the node's newest block, when it is ours, too. */
  async function meet(chain: Chain): Promise<{ height: number; hash: string }> {
    const { title } = networkOf(chain.name)
    for (let waited = 0; ; waited += LOOK_AGAIN_MS) {
      const { rows } = await database.pool.query<{ height: string; hash: string; halted: string | null }>(
        'select height, hash, halted from chain_cursors where chain = $1',
        [chain.name],
      )
      const tip = await chain.tip()
      const cursor = rows[0]
      if (cursor?.halted)
        throw new CannotCompare(`${title} is halted until a person has looked: ${cursor.halted.replaceAll('_', ' ')}.`)
      if (cursor && cursor.hash === tip.hash) return { height: Number(cursor.height), hash: cursor.hash }
      if (waited >= followerMsMax || closing)
        throw new CannotCompare(
          cursor
            ? `We have read ${title} as far as block ${cursor.height}, and its node is at ${tip.height}: nothing is compared before we have caught up. Is the server running?`
            : `${title} was never read so far: nothing is compared before it was. Is the server running?`,
        )
      await pause(LOOK_AGAIN_MS)
    }
  }

  /** `eachTime`: what the comparisons before named, when this is the last; the chain may move under it. */
  async function compare(chain: Chain, eachTime: ReadonlySet<string> | null): Promise<FoundOnChain> {
    const at = await meet(chain)
    let items: Difference[] = []
    const since = await sinceOf(chain.name)
    const now = (await database.pool.query<{ now: Date }>('select house_now() as now')).rows[0]!.now
    const report: Report = (kind, key, state, about, of) => {
      if (items.some((item) => item.key === `${kind}:${key}`)) return
      items.push({
        key: `${kind}:${key}`,
        kind,
        state,
        about,
        username: of.username ?? null,
        topup_id: of.topupId ? printId('top', of.topupId) : null,
        transaction_id: of.txid ?? null,
        since: since.get(`${kind}:${key}`) ?? now.toISOString(),
      })
    }

    const blocks = await readAnew(chain, at.height, report)
    const sums = await comparePayments(chain.name, at.height, now, report)
    const { compared, inAll } = await compareBalances(chain, sums, report)
    await compareRefunds(chain, report)
    // What was read is of one branch, or it says nothing.
    const movedOn = 'The chain moved while it was compared: try again in a minute.'
    if ((await chain.hashAt(at.height)) !== at.hash) throw new ChainMoved(movedOn)
    const differing = items.filter(({ state }) => state === 'open').map(({ key }) => key)
    if (differing.length > 0 && ((await cursorHash(chain.name)) !== at.hash || (await chain.tip()).hash !== at.hash)) {
      if (eachTime === null) throw new ChainMoved(movedOn, new Set(differing))
      items = items.filter(({ state, key }) => state !== 'open' || eachTime.has(key))
    }

    const open = items.filter(({ state }) => state === 'open').length
    return {
      height: at.height,
      blocks,
      addresses: compared,
      addresses_in_all: inAll,
      sums: [...sums.values()].map(printSums),
      // The open ones first, the oldest of them first.
      items: items.sort((a, b) => a.state.localeCompare(b.state) || a.since.localeCompare(b.since)).slice(0, ITEMS_MAX),
      open,
      waiting: items.length - open,
    }
  }

  async function cursorHash(chain: string): Promise<string | null> {
    const { rows } = await database.pool.query<{ hash: string }>('select hash from chain_cursors where chain = $1', [
      chain,
    ])
    return rows[0]?.hash ?? null
  }

  /** Since when what the last run found has been there, by its key. */
  async function sinceOf(chain: string): Promise<Map<string, string>> {
    const { rows } = await database.pool.query<{ found: FoundOnChain }>(
      'select found from crypto_reconciliations where chain = $1 and found is not null order by started_at desc limit 1',
      [chain],
    )
    return new Map(rows[0]?.found.items.map(({ key, since }) => [key, since]) ?? [])
  }

  /** Each block with a payment of ours, and the newest ones: what stands there is what we have, and nothing is missing. */
  async function readAnew(chain: Chain, tip: number, report: Report): Promise<number> {
    const { rows } = await database.pool.query<{ height: string }>(
      'select distinct height from crypto_payments where chain = $1 and height <= $2 order by height desc limit $3',
      [chain.name, tip, BLOCKS_WITH_PAYMENTS_MAX],
    )
    const begun = await firstHeight(chain.name)
    const heights = new Set(rows.map(({ height }) => Number(height)))
    for (let height = tip; height >= Math.max(begun, tip - NEWEST_BLOCKS + 1); height--) heights.add(height)
    let read = 0
    for (const height of [...heights].sort((a, b) => a - b)) {
      const hash = await chain.hashAt(height)
      const block = hash === null ? null : await chain.block(hash)
      if (block === null) throw new ChainMoved(`The node has no block ${height} any more: try again in a minute.`)
      await compareBlock(chain.name, block, report)
      read++
    }
    return read
  }

  /** Where our reading began: what was before is nothing to us. */
  async function firstHeight(chain: string): Promise<number> {
    const { rows } = await database.pool.query<{ height: string | null }>(
      'select min(height) as height from chain_blocks where chain = $1',
      [chain],
    )
    return Number(rows[0]!.height ?? 0)
  }

  async function compareBlock(chain: string, block: ReadBlock, report: Report): Promise<void> {
    const network = networkOf(chain)
    const { rows: addresses } = await database.pool.query<{
      script: string
      topup_id: string | null
      username: string | null
    }>(
      `select encode(a.script, 'hex') as script, a.topup_id, u.username
         from crypto_addresses a
         left join accounts u on u.id = a.account_id
        where a.family = $1
          and a.script = any (select decode(s, 'hex') from unnest($2::text[]) s)`,
      [network.family, [...new Set(block.transfers.map(({ script }) => script))]],
    )
    const { rows } = await database.pool.query<Stored>(
      `select p.id, p.txid, p.ordinal, p.asset, p.units, p.block_hash, p.topup_id, u.username, encode(a.script, 'hex') as script
         from crypto_payments p
         join crypto_addresses a on a.id = p.address_id
         left join accounts u on u.id = p.account_id
        where p.chain = $1
          and p.height = $2`,
      [chain, block.height],
    )
    const found = new Map(block.transfers.map((one) => [`${one.txid} ${one.ordinal} ${one.asset}`, one]))
    const known = new Set(rows.map((one) => `${one.txid} ${one.ordinal} ${one.asset}`))
    for (const row of rows) {
      const there = row.block_hash === block.hash ? found.get(`${row.txid} ${row.ordinal} ${row.asset}`) : undefined
      const of = { username: row.username, topupId: row.topup_id, txid: row.txid }
      const about = { amount: coins(row.asset, BigInt(row.units)), block: String(block.height), network: network.title }
      if (!there) report('payment_not_there', row.id, 'open', about, of)
      else if (there.units !== BigInt(row.units) || there.script !== row.script)
        report('payment_differs', row.id, 'open', { ...about, theirs: coins(row.asset, there.units) }, of)
    }
    for (const [key, transfer] of found) {
      const own = addresses.find(({ script }) => script === transfer.script)
      const asset = assets.find(({ code }) => code === transfer.asset)!
      if (!own || known.has(key) || transfer.units < asset.floorUnits) continue
      const about = {
        amount: coins(transfer.asset, transfer.units),
        block: String(block.height),
        network: network.title,
      }
      report('payment_missing', key, 'open', about, {
        username: own.username,
        topupId: own.topup_id,
        txid: transfer.txid,
      })
    }
  }

  type Stored = {
    id: string
    txid: string
    ordinal: string
    asset: CryptoAsset
    units: string
    block_hash: string
    topup_id: string | null
    username: string | null
    script: string
  }

  /** Every payment of this chain: credited, or named. */
  async function comparePayments(chain: string, tip: number, now: Date, report: Report): Promise<Map<string, Sums>> {
    const network = networkOf(chain)
    const sums = new Map<string, Sums>(
      assets.filter((one) => one.chain === chain).map((one) => [one.code, emptySums(one.code)]),
    )
    let after = '00000000-0000-0000-0000-000000000000'
    for (let read = 0; read < PAYMENTS_MAX; read += PAYMENTS_PER_PAGE) {
      const { rows } = await database.pool.query(
        `select ${PAYMENT_COLUMNS}, u.username, t.amount as transferred, b.amount as taken_back,
                exists (select from crypto_reviews r where r.payment_id = p.id and r.status in ('left', 'recovered')) as was_left
           from crypto_payments p
           left join accounts u on u.id = p.account_id
           left join transfers t on t.id = derived_id(p.id, 'credit', p.round)
           left join transfers b on b.id = derived_id(p.id, 'reversal', p.round)
          where p.chain = $1
            and p.id > $2
          order by p.id
          limit $3`,
        [chain, after, PAYMENTS_PER_PAGE],
      )
      for (const row of rows) {
        const payment = readPayment(row)
        const sum = sums.get(payment.asset)
        if (!sum) continue
        const isThere = payment.height !== null && payment.height <= tip
        if (isThere) sum.received += payment.units
        if (isCredited(payment)) sum.credited = micros(sum.credited + payment.worth!)
        const of = { username: row.username as string | null, topupId: payment.topupId, txid: payment.txid }
        const about = {
          amount: coins(payment.asset, payment.units),
          network: network.title,
          worth: payment.worth === null ? '' : printAmount(payment.worth),
          review: payment.review ?? '',
        }
        compareLedger(payment, row, about, of, report)
        if (isThere && !isCredited(payment)) sum.notCredited += payment.units
        const name = nameOf(payment, { tip, now, wasLeft: row.was_left })
        if (name) report(name.kind, payment.id, name.state, { ...about, why: name.why }, of)
      }
      if (rows.length < PAYMENTS_PER_PAGE) break
      after = rows.at(-1).id
    }
    const { rows: refunds } = await database.pool.query<{ asset: string; sum: string }>(
      'select asset, sum(amount) as sum from crypto_refunds where chain = $1 and captured_at is not null and status <> $2 group by asset',
      [chain, 'failed'],
    )
    for (const { asset, sum } of refunds) {
      const of = sums.get(asset)
      if (of) of.sentBack = micros(sum)
    }
    return sums
  }

  function compareLedger(
    payment: Payment,
    row: { transferred: string | null; taken_back: string | null },
    about: Record<string, string>,
    of: Of,
    report: Report,
  ): void {
    if (payment.creditedAt === null) return
    const credited = row.transferred === null ? null : BigInt(row.transferred)
    const back = row.taken_back === null ? null : BigInt(row.taken_back)
    const fits = credited === payment.worth && back === (payment.reversedAt === null ? null : payment.worth)
    if (!fits) report('ledger_differs', payment.id, 'open', about, of)
  }

  /** No address of ours holds more than we know of. Fills in what is there. */
  async function compareBalances(
    chain: Chain,
    sums: Map<string, Sums>,
    report: Report,
  ): Promise<{ compared: number; inAll: number }> {
    const network = networkOf(chain.name)
    const { rows: counted } = await database.pool.query<{ n: string }>(
      `select count(*) as n from crypto_addresses a
        where a.family = $1
          and (a.given_at is not null or exists (select from crypto_payments p where p.address_id = a.id))`,
      [network.family],
    )
    const { rows: addresses } = await database.pool.query<{
      id: string
      script: string
      address: string
      username: string | null
      topup_id: string | null
    }>(
      `select a.id, encode(a.script, 'hex') as script, a.address, u.username, a.topup_id
         from crypto_addresses a
         left join accounts u on u.id = a.account_id
        where a.family = $1
          and (a.given_at is not null or exists (select from crypto_payments p where p.address_id = a.id))
        order by a.id desc
        limit $2`,
      [network.family, ADDRESSES_MAX],
    )
    for (let from = 0; from < addresses.length; from += ADDRESSES_PER_CALL) {
      const some = addresses.slice(from, from + ADDRESSES_PER_CALL)
      const { rows: received } = await database.pool.query<{ address_id: string; asset: string; units: string }>(
        `select address_id, asset, sum(units) as units from crypto_payments
          where chain = $1 and height is not null and address_id = any ($2) group by address_id, asset`,
        [chain.name, some.map(({ id }) => id)],
      )
      for (const [code, sum] of sums) {
        const balances = await chain.balances(
          code as CryptoAsset,
          some.map(({ script }) => script),
        )
        some.forEach((address, at) => {
          const known = BigInt(received.find((one) => one.address_id === address.id && one.asset === code)?.units ?? 0)
          const there = balances[at]!
          sum.onAddresses += there
          sum.movedOn += known > there ? known - there : 0n
          const asset = assets.find((one) => one.code === code)!
          if (there < known + asset.floorUnits) return
          report(
            'surplus',
            `${address.id}:${code}`,
            'open',
            { amount: coins(code, there - known), address: address.address, network: network.title },
            { username: address.username, topupId: address.topup_id },
          )
        })
      }
    }
    return { compared: addresses.length, inAll: Number(counted[0]!.n) }
  }

  /** What was sent back stands in the block that we say; what was given up does not stand anywhere. */
  async function compareRefunds(chain: Chain, report: Report): Promise<void> {
    const { rows } = await database.pool.query<{
      id: string
      status: string
      topup_id: string
      username: string | null
      transaction_id: string
      height: string | null
      block_hash: string | null
      amount: string
      vanished: boolean
    }>(
      `select r.id, r.status, r.topup_id, u.username, r.transaction_id, r.height, r.block_hash, r.amount,
              r.vanished_at is not null as vanished
         from crypto_refunds r
         left join accounts u on u.id = r.account_id
        where r.chain = $1
          and r.transaction_id is not null
        order by r.id desc
        limit $2`,
      [chain.name, REFUNDS_MAX],
    )
    const { title } = networkOf(chain.name)
    for (const row of rows) {
      const of = { username: row.username, topupId: row.topup_id, txid: row.transaction_id }
      const about = { amount: printAmount(micros(row.amount)), network: title }
      if (row.status === 'failed') {
        const found = await chain.find(row.transaction_id)
        if (found.where === 'block' && !found.failed) report('refund_paid_twice', row.id, 'open', about, of)
      } else if (row.vanished) report('refund_not_there', row.id, 'open', about, of)
      else if (row.height !== null && (await chain.hashAt(Number(row.height))) !== row.block_hash)
        // Whoever watches it finds it in another block, or not, within a minute.
        report('refund_not_there', row.id, 'waiting', about, of)
    }
  }

  /** Newest first. */
  async function runs(limit: number): Promise<CryptoRun[]> {
    const { rows } = await database.pool.query<RunRow>(
      `select id, chain, started_by, status, found, error, started_at, ended_at
         from crypto_reconciliations order by started_at desc, id desc limit $1`,
      [limit],
    )
    return rows.map(readRun)
  }

  type RunRow = {
    id: string
    chain: string
    started_by: CryptoRun['startedBy']
    status: CryptoRun['status']
    found: FoundOnChain | null
    error: string | null
    started_at: Date
    ended_at: Date | null
  }

  function readRun(row: RunRow): CryptoRun {
    return {
      id: row.id,
      chain: row.chain,
      startedBy: row.started_by,
      status: row.status,
      found: row.found,
      error: row.error,
      startedAt: row.started_at,
      endedAt: row.ended_at,
    }
  }

  /** Once a day, for each chain that is followed; after a failure within the hour. */
  async function tick(): Promise<void> {
    const { rows } = await database.pool.query<{ due: boolean }>(
      `select exists (
         select from chain_cursors c
          where c.chain = any ($1)
            and c.caught_up_at is not null
            and not exists (select from crypto_reconciliations r
                             where r.chain = c.chain
                               and case r.status
                                     -- One that died is no reason to wait.
                                     when 'running' then r.seen_at >= now() - make_interval(secs => $3)
                                     when 'failed' then r.started_at > now() - interval '1 hour'
                                     else r.started_at > now() - make_interval(hours => $2)
                                   end)
       ) as due`,
      [[...chains.keys()], EVERY_HOURS, SILENT_SECONDS],
    )
    if (rows[0]!.due) await begin('schedule')
  }

  return {
    begin,
    runs,
    tick,
    async close(): Promise<void> {
      closing = true
      await Promise.allSettled([...running])
    },
  }
}

type Of = { username?: string | null; topupId?: string | null; txid?: string }
type Report = (
  kind: DifferenceKind,
  key: string,
  state: 'waiting' | 'open',
  about: Record<string, string>,
  of: Of,
) => void

/**
 * The table: why a payment that is or was on the chain is not credited, or is credited without being there. Null: it is as it should be.
 * Pure.
 */
export function nameOf(
  payment: Payment,
  of: { tip: number; now: Date; wasLeft: boolean },
): { kind: DifferenceKind; state: 'waiting' | 'open'; why: string } | null {
  const { tip, now, wasLeft } = of
  if (payment.height === null) {
    if (!isCredited(payment)) return null
    const youngerThan = payment.unminedAtHeight !== null && tip < payment.unminedAtHeight + GIVEN_UP_AFTER_BLOCKS
    return { kind: 'credit_without_payment', state: youngerThan ? 'waiting' : 'open', why: '' }
  }
  if (tip - payment.height + 1 < requiredOf(payment) || isCredited(payment) || wasLeft) return null
  if (payment.review !== null) return { kind: 'review_open', state: 'open', why: payment.review }
  if (payment.worth === 0n) return null
  const young = payment.blockTime !== null && now.getTime() - payment.blockTime.getTime() < CREDIT_WITHIN_MS
  return {
    kind: 'credit_missing',
    state: young ? 'waiting' : 'open',
    why: payment.worth === null ? 'no_rate' : '',
  }
}

type Sums = {
  asset: string
  received: bigint
  onAddresses: bigint
  movedOn: bigint
  credited: Usd
  notCredited: bigint
  sentBack: Usd
}

function emptySums(asset: string): Sums {
  return {
    asset,
    received: 0n,
    onAddresses: 0n,
    movedOn: 0n,
    credited: micros(0n),
    notCredited: 0n,
    sentBack: micros(0n),
  }
}

function printSums(sum: Sums): AssetSums {
  const { decimals } = assets.find((one) => one.code === sum.asset)!
  return {
    asset: sum.asset,
    received: printUnits(sum.received, decimals),
    on_addresses: printUnits(sum.onAddresses, decimals),
    moved_on: printUnits(sum.movedOn, decimals),
    credited: printAmount(sum.credited),
    not_credited: printUnits(sum.notCredited, decimals),
    sent_back: printAmount(sum.sentBack),
  }
}

function coins(code: string, units: bigint): string {
  return `${printUnits(units, assets.find((one) => one.code === code)!.decimals)} ${code}`
}
