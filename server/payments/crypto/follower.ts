/**
 * The follower: reads a network block by block, and writes down which blocks stand and what they pay to addresses of ours.
 *
 *   ask (outside any transaction) ─ compare hashes ─ write one block, or take blocks back ─ announce ─ ask again
 *
 * Each block is one transaction, whole or not at all, and is only written on top of the block that its header names. Confirmations are
 * counted from our own table, `tip − height + 1`, never from what a node says. One follower reads a network at a time, by an advisory
 * lock; another process's idles. It may die anywhere: what is committed is true, and the next turn goes on from there.
 *
 * It knows nothing of customers beyond the table of addresses, and nothing of what a payment is worth: after each change it calls
 * `decide`, which does (credits.ts).
 */
import type pg from 'pg'
import type { Announce } from '../../platform/announce.ts'
import { type WireClock, wireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { newId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import type { Tick } from '../../platform/queue.ts'
import type { Asset, ChainName, Environment, Network } from './assets.ts'
import {
  applied,
  type BlockOfPayment,
  type Change,
  ChangedMeanwhile,
  type Hit,
  nextStep,
  pooled,
  type Question,
  type Standing,
  type Step,
  undone,
  WINDOW_BLOCKS,
} from './branch.ts'
import { type Chain, NodeTrouble, type ReadBlock, type Tip, type Transfer } from './chain.ts'
import { addEvents, addressesOf, conflictsOf, lockPayments, PAYMENT_COLUMNS, readPayment, write } from './facts.ts'
import { createWatched } from './watched.ts'

/** How often the node is asked whether there is anything new. Unit: seconds. */
const LOOK_EVERY_SECONDS = 2
/** What one turn does after a long absence, about a block each; the next goes on. */
const STEPS_PER_TURN_MAX = 2_000
const TURN_MS_MAX = 20_000
/** The node changed its mind between two calls: asked anew so often, then left to the next turn. */
const RESTARTS_MAX = 5
/** An empty database has no address older than itself, so what is older than this is nothing to it. */
const BEGINS_BLOCKS_BEHIND = 12
/** Of a list of the pool that may be cut off, so many payments are asked for by their ids in one turn. */
const POOL_ASKED_MAX = 20
/** How far below our newest block a second node is asked whether it has the same; it may be a little behind. */
const AGREEMENT_DEPTHS = [0, 1, 2, 3, 6, 12]
const AGREEMENT_MS_MAX = 10_000
/** Two nodes may differ in their newest blocks for a while. More blocks than that, and one of them is wrong. */
const NODES_DIFFER_BLOCKS_MAX = 6
/** So long a trouble lasts before somebody is called. Unit: milliseconds. */
const ALARM_AFTER_MS = 5 * 60_000
/** A person resumes, once in years: how many of the blocks with payments are asked for. */
const KEPT_BLOCKS_ASKED_MAX = 10_000
const LOCK_OF_CHAIN = 7_203_021
const DETAIL_CHARACTERS_MAX = 300
/** No quote asks for more confirmations (migration 0021). */
const CONFIRMATIONS_MAX = 1_000

export type Follower = ReturnType<typeof createFollower>

/** Somebody else wrote to this network's place meanwhile, or reads it. */
class Elsewhere extends Error {}

export type FollowerSettings = {
  database: Database
  chain: Chain
  network: Network
  /** Those of this network. */
  assets: readonly Asset[]
  environment: Environment
  announce: Pick<Announce, 'publish'>
  log: Log
  clock?: WireClock
  /** Values and credits what is due by now; called after each change, and once in every turn. Idempotent. */
  decide: (chain: ChainName, signal: AbortSignal) => Promise<unknown>
}

type Cursor = { identity: string; height: number; hash: string; halted: string | null }

export function createFollower(settings: FollowerSettings) {
  const { database, chain, network, announce, log, decide, clock = wireClock } = settings
  const name = network.name
  const floors = new Map(settings.assets.map((asset) => [asset.code, asset.floorUnits]))
  const watched = createWatched(network.family)
  /** What troubles it, while there is no row to write that in. */
  let troubledSince: Date | null = null
  let called = false
  /** Whether there is a second node, whose agreement is to be waited for, is known. */
  let armed = false

  /** Reads what is new. One at a time in all processes; whoever comes second finds it taken and does nothing. */
  async function tick(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const client = await database.connect()
    let broken: Error | undefined
    try {
      const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as mine', [
        LOCK_OF_CHAIN,
        name,
      ])
      if (!rows[0]!.mine) return
      try {
        await turn(client, signal)
      } finally {
        await client.query('select pg_advisory_unlock($1, hashtext($2))', [LOCK_OF_CHAIN, name])
      }
    } catch (error) {
      // With the connection goes whatever it still holds: the lock, a transaction.
      broken = error as Error
      if (!(error instanceof Elsewhere)) throw error
    } finally {
      client.release(broken)
    }
  }

  async function turn(client: pg.PoolClient, signal: AbortSignal): Promise<void> {
    if ((await readCursor(client))?.halted) return
    try {
      await checkIdentity(client)
      const tip = await readOn(client, signal)
      const trouble = tip === null ? null : await finish(client, tip)
      if (trouble) await complain(client, trouble)
      else await allWell(client)
    } catch (error) {
      if (!(error instanceof NodeTrouble)) throw error
      await complain(client, error)
    }
    // Whatever happened: what was written before it is to be decided.
    await decideNow(signal)
  }

  // ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A node of another network, or of another branch of it from its first block on, is not read at all. */
  async function checkIdentity(client: pg.PoolClient): Promise<void> {
    const said = await chain.identity()
    const cursor = await readCursor(client)
    for (const expected of [network.identity[settings.environment], cursor?.identity ?? null])
      if (expected !== null && said !== expected)
        throw new NodeTrouble('wrong_chain', `The node is of the network ${said}, and we follow ${expected}`)
    if (cursor === null) await begin(client, said)
    if (armed) return
    const { hash, height } = cursor ?? (await readCursor(client))!
    if ((await chain.agrees(height, hash)) !== 'alone')
      await client.query('update chain_cursors set agreed_height = 0 where chain = $1 and agreed_height is null', [
        name,
      ])
    armed = true
  }

  /** At the first start of all. */
  async function begin(client: pg.PoolClient, identity: string): Promise<void> {
    const tip = await chain.tip()
    const height = Math.max(0, tip.height - BEGINS_BLOCKS_BEHIND)
    const hash = height === tip.height ? tip.hash : await chain.hashAt(height)
    const block = hash === null ? null : await chain.block(hash)
    if (block === null)
      throw new NodeTrouble('broken_answer', `The node has no block ${height}, and says it has ${tip.height}`)
    await inTransaction(client, async () => {
      await client.query(
        `insert into chain_cursors (chain, identity, height, hash, block_time, node_height, looked_at)
         values ($1, $2, $3, $4, ${HOUSE_TIME('$5')}, $6, now())
             on conflict do nothing`,
        [name, identity, block.height, block.hash, block.time, tip.height],
      )
      await client.query(
        `insert into chain_blocks (chain, height, hash, parent, time) values ($1, $2, $3, $4, ${HOUSE_TIME('$5')})
             on conflict do nothing`,
        [name, block.height, block.hash, block.parent, block.time],
      )
    })
    log.info({ chain: name, height }, 'Began to follow a network')
  }

  /** Reads until our newest block is the node's. Answers the node's tip when it came so far; null: there is more to read. */
  async function readOn(client: pg.PoolClient, signal: AbortSignal): Promise<Tip | null> {
    const begun = performance.now()
    let cursor = (await readCursor(client))!
    let tip = await newestOf(client)
    let restarts = 0
    for (let steps = 0; steps < STEPS_PER_TURN_MAX; steps++) {
      if (cursor.hash === tip.hash) return tip
      if (performance.now() - begun > TURN_MS_MAX) return null
      try {
        const step = await stepFrom(client, cursor, tip)
        switch (step.does) {
          case 'halt':
            await halt(client, cursor, step.why)
            return null
          case 'undo':
            await undo(client, cursor, step.to)
            break
          case 'apply':
            await apply(client, cursor, step.block)
            break
        }
        restarts = 0
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile)) throw error
        if (++restarts > RESTARTS_MAX)
          throw new NodeTrouble('broken_answer', 'The node changes its best chain with each question', { cause: error })
        tip = await newestOf(client)
        continue
      }
      if (signal.aborted) return null
      cursor = (await readCursor(client))!
      if (cursor.height >= tip.height) tip = await newestOf(client)
    }
    return null
  }

  /** What the node says its newest block is, and that it was asked. */
  async function newestOf(client: pg.PoolClient): Promise<Tip> {
    const tip = await chain.tip()
    await client.query('update chain_cursors set node_height = $2, looked_at = now() where chain = $1', [
      name,
      tip.height,
    ])
    return tip
  }

  /** Asks what the rules want to know. */
  async function stepFrom(client: pg.PoolClient, cursor: Cursor, tip: Tip): Promise<Step> {
    const rules = nextStep(cursor, tip)
    for (let question = rules.next(); ; question = rules.next(await answerTo(client, question.value)))
      if (question.done) return question.value
  }

  async function answerTo(client: pg.PoolClient, question: Question): Promise<unknown> {
    switch (question.ask) {
      case 'tip':
        return chain.tip()
      case 'hashAt':
        return chain.hashAt(question.height)
      case 'block':
        return chain.block(question.hash)
      case 'ours':
        return newestBlocks(client)
    }
  }

  async function newestBlocks(db: Queryable): Promise<Standing[]> {
    const { rows } = await db.query<{ height: string; hash: string }>(
      'select height, hash from chain_blocks where chain = $1 order by height desc limit $2',
      [name, WINDOW_BLOCKS],
    )
    return rows.map(({ height, hash }) => ({ height: Number(height), hash }))
  }

  // ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One transaction for a block: its place, its payments, and what it excludes. */
  async function apply(client: pg.PoolClient, cursor: Cursor, block: ReadBlock): Promise<void> {
    const changes = await inTransaction(client, async () => {
      await holdPlace(client, cursor.hash)
      const { rows } = await client.query<{ time: Date }>(
        `insert into chain_blocks (chain, height, hash, parent, time) values ($1, $2, $3, $4, ${HOUSE_TIME('$5')})
         returning time`,
        [name, block.height, block.hash, block.parent, block.time],
      )
      const at: BlockOfPayment = { height: block.height, hash: block.hash, time: rows[0]!.time }
      const hits = await ours(client, block.transfers)
      const excluded = await conflictsOf(client, name, block.spent)
      const known = await lockPayments(client, name, hits, excluded)
      const changes = applied(at, hits, known, block.spent, newId)
      await write(client, network, changes)
      await addEvents(client, changes)
      await client.query('update chain_cursors set height = $2, hash = $3, block_time = $4 where chain = $1', [
        name,
        block.height,
        block.hash,
        at.time,
      ])
      await client.query(
        `delete from chain_blocks b
          where chain = $1
            and height = $2
            and not exists (select from crypto_payments p where p.chain = b.chain and p.height = b.height)`,
        [name, block.height - WINDOW_BLOCKS],
      )
      return changes
    })
    await told(client, changes, block.height)
  }

  /** One transaction for all blocks that are taken back. */
  async function undo(client: pg.PoolClient, cursor: Cursor, to: Standing): Promise<void> {
    const changes = await inTransaction(client, async () => {
      await holdPlace(client, cursor.hash)
      return takeBack(client, cursor, to, null)
    })
    log.warn(
      { chain: name, from: cursor.height, to: to.height, payments: changes.length },
      'Blocks were taken back: the network changed to another branch',
    )
    await told(client, changes, to.height)
  }

  async function takeBack(
    tx: pg.PoolClient,
    cursor: Standing,
    to: Standing,
    from: ReadBlock | null,
  ): Promise<Change[]> {
    const { rows } = await tx.query(
      `select ${PAYMENT_COLUMNS}
         from crypto_payments
        where chain = $1 and (height > $2 or replaced_height > $2)
        order by id
          for update`,
      [name, to.height],
    )
    const changes = undone(to.height, cursor, rows.map(readPayment))
    await write(tx, network, changes)
    await addEvents(tx, changes)
    await tx.query('delete from chain_blocks where chain = $1 and (height > $2 or height = $2 and hash <> $3)', [
      name,
      to.height,
      to.hash,
    ])
    if (from)
      await tx.query(
        `insert into chain_blocks (chain, height, hash, parent, time) values ($1, $2, $3, $4, ${HOUSE_TIME('$5')})`,
        [name, from.height, from.hash, from.parent, from.time],
      )
    await tx.query(
      `update chain_cursors c
          set height = b.height, hash = b.hash, block_time = b.time, agreed_height = least(c.agreed_height, b.height)
         from chain_blocks b
        where c.chain = $1 and b.chain = $1 and b.height = $2`,
      [name, to.height],
    )
    return changes
  }

  /** @throws Elsewhere another process moved the place, or halted it */
  async function holdPlace(tx: pg.PoolClient, hash: string): Promise<void> {
    const { rowCount } = await tx.query(
      'select from chain_cursors where chain = $1 and hash = $2 and halted is null for update',
      [name, hash],
    )
    if (rowCount === 0) throw new Elsewhere(`Somebody else reads ${name}`)
  }

  async function ours(tx: pg.PoolClient, transfers: readonly Transfer[]): Promise<Hit[]> {
    const candidates = await watched.among(
      tx,
      transfers.map(({ script }) => script),
    )
    const addresses = await addressesOf(tx, network.family, candidates)
    return transfers.flatMap((transfer) => {
      const address = addresses.get(transfer.script)
      return address && floors.has(transfer.asset) && transfer.units > 0n ? [{ transfer, ...address }] : []
    })
  }

  /** Announces what changed or moved by a confirmation, and lets it be decided. After the commit. */
  async function told(client: pg.PoolClient, changes: readonly Change[], height: number): Promise<void> {
    const { rows } = await client.query<{ topup_id: string; account_id: string }>(
      `select distinct topup_id, account_id
         from crypto_payments
        where chain = $1
          and topup_id is not null
          and (id = any ($2::uuid[])
               or (height > $3::bigint - $4 and height > $3::bigint - confirmations_required))`,
      [name, changes.map(({ payment }) => payment.id), height, CONFIRMATIONS_MAX],
    )
    for (const row of rows) announce.publish({ what: 'topup', accountId: BigInt(row.account_id), id: row.topup_id })
    // What is on its way is a figure of the balance.
    if (changes.length > 0)
      for (const accountId of new Set(rows.map((row) => row.account_id)))
        announce.publish({ what: 'balance', accountId: BigInt(accountId) })
    if (rows.length > 0) await decideNow()
  }

  async function decideNow(signal: AbortSignal = new AbortController().signal): Promise<void> {
    try {
      await decide(name, signal)
    } catch (error) {
      log.error(
        { err: error, chain: name },
        'What the chain shows could not be credited yet; it is tried again in seconds',
      )
    }
  }

  // ── When everything is read ──────────────────────────────────────────────────────────────────────────────────────

  /** Looks into the pool and asks the second node. Answers what is wrong although everything was read. */
  async function finish(client: pg.PoolClient, tip: Tip): Promise<NodeTrouble | null> {
    const disagreement = await agree(client, tip)
    if (disagreement?.word === 'disagreement') return disagreement
    const { rows } = await client.query<{ age: number }>(
      `select extract(epoch from house_now() - block_time)::float8 as age from chain_cursors where chain = $1`,
      [name],
    )
    const { age } = rows[0]!
    // A network of one's own stands still until somebody mines.
    if (settings.environment === 'main' && age > network.tipSecondsMax)
      return new NodeTrouble('behind', `The node's newest block is ${Math.round(age / 60)} minutes old`)
    await client.query('update chain_cursors set caught_up_at = now() where chain = $1 and hash = $2', [name, tip.hash])
    await lookAtPool(client, tip)
    return disagreement
  }

  /** What is shown before it is in any block. */
  async function lookAtPool(client: pg.PoolClient, tip: Tip): Promise<void> {
    const transfers = await chain.pool()
    const hits = (await ours(client, transfers)).filter(({ transfer }) => transfer.units >= floors.get(transfer.asset)!)
    const pool = {
      hits,
      spent: new Map(transfers.flatMap(({ txid, spends }) => spends.map((one): [string, string] => [one, txid]))),
      txids: new Set(transfers.map(({ txid }) => txid)),
    }
    const { rows } = await client.query(
      `select ${PAYMENT_COLUMNS} from crypto_payments where chain = $1 and height is null and pooled`,
      [name],
    )
    const waiting = rows.map(readPayment)
    const gone = new Set<string>()
    const asked = pooled(pool, waiting, gone, clock.now(), newId).ask
    for (const txid of new Set(asked.slice(0, POOL_ASKED_MAX).map((payment) => payment.txid)))
      if ((await chain.find(txid)).where === 'nowhere') gone.add(txid)
    if (pooled(pool, waiting, gone, clock.now(), newId).changes.length === 0) return
    const changes = await inTransaction(client, async () => {
      await holdPlace(client, tip.hash)
      const { rows: now } = await client.query<{ now: Date }>('select house_now() as now')
      const all = await lockPayments(client, name, hits, [
        ...waiting.map(({ id }) => id),
        ...(await conflictsOf(client, name, pool.spent)),
      ])
      const { changes } = pooled(pool, all, gone, now[0]!.now, newId)
      await write(client, network, changes)
      await addEvents(client, changes)
      return changes
    })
    if (changes.length > 0) await told(client, changes, tip.height)
  }

  /** Up to where a second node has our blocks too. Answers what is wrong when that is too far below. */
  async function agree(client: pg.PoolClient, tip: Tip): Promise<NodeTrouble | null> {
    const begun = performance.now()
    const blocks = await newestBlocks(client)
    let differs = false
    let agreed: number | null = null
    for (const depth of AGREEMENT_DEPTHS) {
      const block = blocks[depth]
      if (!block || performance.now() - begun > AGREEMENT_MS_MAX) break
      const answer = await chain.agrees(block.height, block.hash)
      if (answer === 'alone') {
        await client.query(
          'update chain_cursors set agreed_height = null where chain = $1 and agreed_height is not null',
          [name],
        )
        return null
      }
      if (answer === 'agrees') {
        agreed = block.height
        break
      }
      if (answer === 'disagrees') differs = true
    }
    const deepest = blocks[Math.min(blocks.length - 1, AGREEMENT_DEPTHS.at(-1)!)]!.height
    await client.query(
      `update chain_cursors
          set agreed_height = coalesce($2, least(coalesce(agreed_height, 0), $3))
        where chain = $1`,
      [name, agreed, differs ? deepest : tip.height],
    )
    if (agreed !== null && agreed >= tip.height - NODES_DIFFER_BLOCKS_MAX) return null
    if (differs) return new NodeTrouble('disagreement', `Two nodes have different blocks below ${tip.height}`)
    return agreed === null
      ? new NodeTrouble('unreachable', 'No second node answers, so none agrees with the first')
      : new NodeTrouble('behind', 'The second node is behind, so it does not agree yet')
  }

  // ── Trouble ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async function complain(client: pg.PoolClient, trouble: NodeTrouble): Promise<void> {
    troubledSince ??= clock.now()
    const detail = trouble.message.slice(0, DETAIL_CHARACTERS_MAX)
    const { rows } = await client.query<{ since: Date }>(
      `update chain_cursors
          set trouble = $2, trouble_since = coalesce(trouble_since, now()), trouble_detail = $3
        where chain = $1
      returning trouble_since as since`,
      [name, trouble.word, detail],
    )
    const since = rows[0]?.since ?? troubledSince
    log.warn({ chain: name, word: trouble.word, detail }, 'A node is in trouble; it is asked again in seconds')
    if (called || clock.now().getTime() - since.getTime() < ALARM_AFTER_MS) return
    called = true
    log.error(
      { alarm: true, chain: name, word: trouble.word, detail, since },
      `Alarm: ${network.title} cannot be followed for five minutes; payments wait`,
    )
  }

  async function allWell(client: pg.PoolClient): Promise<void> {
    troubledSince = null
    called = false
    await client.query(
      `update chain_cursors
          set trouble = null, trouble_since = null, trouble_detail = null
        where chain = $1 and trouble is not null`,
      [name],
    )
  }

  /** Nothing is guessed: a person looks, and `resume` goes on. */
  async function halt(client: pg.PoolClient, cursor: Cursor, why: string): Promise<void> {
    await inTransaction(client, async () => {
      await holdPlace(client, cursor.hash)
      await client.query('update chain_cursors set halted = $2 where chain = $1', [name, why])
    })
    log.error(
      { alarm: true, chain: name, why },
      `Alarm: ${network.title} is halted: its chain was rewritten deeper than we can follow. Nothing is credited until a person has looked`,
    )
  }

  /**
   * Goes on after `halt`, on the branch that the node has now: from the newest of all blocks that we kept which it has too, however far
   * below, or from below the oldest one. Payments that are not of that branch are taken back like in any reorganisation. For a person
   * who has looked; who, and why, is kept. False: it is not halted.
   */
  async function resume(by: { who: string; why: string }): Promise<boolean> {
    const client = await database.connect()
    let broken: Error | undefined
    try {
      const cursor = await readCursor(client)
      if (!cursor?.halted) return false
      const tip = await chain.tip()
      const { rows: kept } = await client.query<Standing & { height: string }>(
        'select height, hash from chain_blocks where chain = $1 order by height desc limit $2',
        [name, KEPT_BLOCKS_ASKED_MAX],
      )
      let to: Standing | null = null
      for (const { height, hash } of kept) {
        if ((await chain.hashAt(Number(height))) !== hash) continue
        to = { height: Number(height), hash }
        break
      }
      const oldest = Number(kept.at(-1)?.height ?? 0)
      const hash = to === null ? await chain.hashAt(Math.max(0, Math.min(oldest, tip.height) - WINDOW_BLOCKS)) : null
      const from = hash === null ? null : await chain.block(hash)
      if (to === null && from === null) throw new NodeTrouble('broken_answer', 'The node has no block to begin with')
      const changes = await inTransaction(client, async () => {
        const { rowCount } = await client.query(
          `update chain_cursors
              set halted = null,
                  resumptions = resumptions || jsonb_build_object('at', now(), 'who', $3::text, 'why', $4::text, 'halted', halted,
                                                                  'from', height, 'to', $5::bigint)
            where chain = $1 and hash = $2 and halted is not null`,
          [name, cursor.hash, by.who, by.why, (to ?? from!).height],
        )
        return rowCount === 0 ? null : takeBack(client, cursor, to ?? from!, from)
      })
      if (changes === null) return false
      log.warn(
        { chain: name, who: by.who, why: by.why, payments: changes.length },
        'A halted network is followed again',
      )
      await told(client, changes, (to ?? from!).height)
      return true
    } catch (error) {
      broken = error as Error
      throw error
    } finally {
      client.release(broken)
    }
  }

  async function readCursor(db: Queryable): Promise<Cursor | null> {
    const { rows } = await db.query<{ identity: string; height: string; hash: string; halted: string | null }>(
      'select identity, height, hash, halted from chain_cursors where chain = $1',
      [name],
    )
    return rows[0] ? { ...rows[0], height: Number(rows[0].height) } : null
  }

  return {
    tick,
    resume,
    /** For the table of jobs (jobs.ts). */
    followTick: {
      name: `payments_follow_${name}`,
      everySeconds: LOOK_EVERY_SECONDS,
      run: tick,
    } satisfies Tick,
  }
}

/** A header's time as house time: never later than now. A miner's clock may be hours wrong. */
function HOUSE_TIME(parameter: string): string {
  return `least(${parameter}::timestamptz + (house_now() - now()), house_now())`
}

async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}
