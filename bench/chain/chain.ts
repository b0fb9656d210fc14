/**
 * What it costs to follow a network: the time for a block with a thousand and with a million watched addresses, and how fast a server that
 * was away catches up. The network is written by this file, in memory, so that what is measured is ours: the rules and PostgreSQL. What a
 * node takes to answer comes on top.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { queues } from '../../server/jobs.ts'
import { assets, networkOf } from '../../server/payments/crypto/assets.ts'
import type { Chain, ReadBlock, Transfer } from '../../server/payments/crypto/chain.ts'
import { createFollower } from '../../server/payments/crypto/follower.ts'
import { openDatabase } from '../../server/platform/db.ts'
import { openLog } from '../../server/platform/log.ts'
import { migrate } from '../../server/platform/migrate.ts'
import { grouped, median, round, spread, table } from '../figures.ts'
import { createMeter, machineInWords, parentOf } from '../machine.ts'

/** As a full block of Bitcoin has. */
const OUTPUTS_PER_BLOCK = 8_000
const OURS_PER_BLOCK = 3
/** Whose scripts nobody watches: so many blocks differ, then they come again. */
const FOREIGN_BLOCKS = 20
const BLOCKS_PER_ROUND = 10
const WARM_BLOCKS = 10
const FEW = 1_000
const MANY = 1_000_000
const network = networkOf('bitcoin')

export async function benchChain(wish: { url: string; rounds: number; blocks: number }) {
  const say = (doing: string) => process.stderr.write(`  ${doing}\n`)
  const owner = new pg.Client({ connectionString: wish.url })
  await owner.connect()
  const { rows: server } = await owner.query<{ pid: number }>('select pg_backend_pid() as pid')
  const meter = createMeter(parentOf(server[0]!.pid))
  const places = []
  try {
    for (const addresses of [FEW, MANY]) {
      say(`Data       ${grouped(addresses)} addresses`)
      places.push(await openPlace(owner, addresses))
    }
    const [few, many] = places as [Place, Place]
    say('Warm       both')
    for (const place of places) await place.timeBlocks(WARM_BLOCKS)
    const before = meter.sample()
    const perRound: { few: number; many: number }[] = []
    for (let n = 0; n < wish.rounds; n++) {
      const order = n % 2 === 0 ? [few, many] : [many, few]
      const medians = new Map<Place, number>()
      for (const place of order) medians.set(place, median(await place.timeBlocks(BLOCKS_PER_ROUND)))
      perRound.push({ few: medians.get(few)!, many: medians.get(many)! })
      say(`Round ${n + 1}    ${round(medians.get(few)!)} ms and ${round(medians.get(many)!)} ms a block`)
    }
    const used = meter.since(before)
    say(`Catch-up   ${grouped(wish.blocks)} blocks`)
    const catchUpMs = await many.catchUp(wish.blocks)
    const ratio = median(perRound.map((one) => one.many / one.few))
    const figures = {
      machine: machineInWords(),
      others_cores: used && round(used.ambientCores),
      outputs_per_block: OUTPUTS_PER_BLOCK,
      block_ms: {
        thousand_addresses: spread(perRound.map((one) => one.few)),
        million_addresses: spread(perRound.map((one) => one.many)),
      },
      ratios: { million_addresses: round(ratio) },
      catch_up: {
        blocks: wish.blocks,
        seconds: round(catchUpMs / 1000),
        blocks_per_second: round((wish.blocks / catchUpMs) * 1000),
      },
    }
    const text = [
      `${figures.machine}; others took ${figures.others_cores ?? 'an unknown number of'} cores`,
      '',
      table([
        ['a block of 8,000 outputs', 'median ms', 'least', 'most'],
        ...(['thousand_addresses', 'million_addresses'] as const).map((name) => {
          const { median: middle, min, max } = figures.block_ms[name]!
          return [
            name === 'thousand_addresses' ? '1,000 addresses' : '1,000,000 addresses',
            `${middle}`,
            `${min}`,
            `${max}`,
          ]
        }),
      ]),
      '',
      `A million addresses take ${figures.ratios.million_addresses} times what a thousand take (median of ${wish.rounds} rounds; aim: at most 1.2).`,
      `Catch-up: ${grouped(wish.blocks)} blocks in ${figures.catch_up.seconds} s, ${figures.catch_up.blocks_per_second} blocks a second, over a network in memory.`,
    ].join('\n')
    return { figures, text }
  } finally {
    for (const place of places) await place.close()
    await owner.end()
  }
}

type Place = Awaited<ReturnType<typeof openPlace>>

async function openPlace(owner: pg.Client, addresses: number) {
  const name = `bench_chain_${addresses}`
  await owner.query(`drop database if exists ${name} with (force)`)
  await owner.query(`create database ${name}`)
  const { host, port, user, password } = owner
  const url = `postgres://${user}:${encodeURIComponent(password ?? '')}@${host}:${port}/${name}`
  await migrate({ ownerUrl: url, serverUrl: url, mode: 'sandbox', queues })
  const filler = new pg.Client({ connectionString: url })
  await filler.connect()
  await filler.query(
    `with key as (
       insert into crypto_keys (family, descriptor, active, created_at) values ('btc', 'wpkh(bench)', true, now()) returning id
     )
     insert into crypto_addresses (key_id, index, family, script, address)
     select key.id, n, 'btc', ${SCRIPT_IN_SQL}, 'address ' || n from key, generate_series(1, ${addresses}) n`,
  )
  await filler.query('vacuum analyze')
  await filler.end()

  const log = openLog({ level: 'error' })
  const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 4, onIdleError: () => {} })
  const written = createWrittenChain(addresses)
  const follower = createFollower({
    database,
    chain: written.chain,
    network,
    assets: assets.filter((asset) => asset.chain === network.name),
    environment: 'test',
    announce: { publish: () => {} },
    log,
    decide: async () => {},
  })
  await follower.tick()

  return {
    /** Milliseconds of each block, from the question whether there is a new one to its commit and what follows. */
    async timeBlocks(blocks: number): Promise<number[]> {
      const times: number[] = []
      for (let n = 0; n < blocks; n++) {
        written.grow(1)
        const begun = performance.now()
        await follower.tick()
        times.push(performance.now() - begun)
      }
      return times
    },
    async catchUp(blocks: number): Promise<number> {
      written.grow(blocks)
      const begun = performance.now()
      for (;;) {
        await follower.tick()
        const { rows } = await database.pool.query<{ height: string }>('select height from chain_cursors')
        if (Number(rows[0]!.height) === written.height()) return performance.now() - begun
      }
    },
    async close(): Promise<void> {
      await database.close()
      await owner.query(`drop database if exists ${name} with (force)`)
    },
  }
}

const SCRIPT_IN_SQL = `'\\x0014'::bytea || substr(sha256(convert_to('ours ' || n, 'UTF8')), 1, 20)`

function scriptOf(what: string): string {
  return `0014${createHash('sha256').update(what).digest('hex').slice(0, 40)}`
}

/** Blocks that are made when they are asked for, always the same. */
function createWrittenChain(addresses: number) {
  let height = 100
  const hashOf = (at: number) => createHash('sha256').update(`block ${at}`).digest('hex')
  const foreign = Array.from({ length: FOREIGN_BLOCKS }, (_, block) =>
    Array.from({ length: OUTPUTS_PER_BLOCK - OURS_PER_BLOCK }, (_, n) =>
      transfer(`foreign ${block} ${n}`, `${block} ${n}`),
    ),
  )

  function transfer(whose: string, id: string): Transfer {
    const txid = createHash('sha256').update(id).digest('hex')
    return {
      txid,
      ordinal: '0',
      asset: 'BTC',
      script: scriptOf(whose),
      units: 10_000n,
      coinbase: false,
      spends: [`${txid}:0`],
    }
  }

  function block(at: number): ReadBlock {
    const ours = Array.from({ length: OURS_PER_BLOCK }, (_, n) =>
      transfer(`ours ${1 + ((at * 7_919 + n * 104_729) % addresses)}`, `ours ${at} ${n}`),
    )
    const transfers = [...foreign[at % FOREIGN_BLOCKS]!, ...ours]
    return {
      hash: hashOf(at),
      parent: hashOf(at - 1),
      height: at,
      time: new Date(1_700_000_000_000 + at * 1000),
      transfers,
      spent: new Map(transfers.map(({ txid, spends }) => [spends[0]!, txid])),
    }
  }

  const heights = new Map<string, number>()
  const chain: Chain = {
    name: network.name,
    identity: async () => 'bench',
    tip: async () => ({ hash: hashOf(height), height }),
    hashAt: async (at) => {
      const hash = hashOf(at)
      heights.set(hash, at)
      return at > height ? null : hash
    },
    agrees: async () => 'alone',
    block: async (hash) => block(heights.get(hash) ?? height),
    pool: async () => [],
    find: async () => ({ where: 'nowhere' }),
    balances: async (_, scripts) => scripts.map(() => 0n),
  }
  return {
    chain,
    height: () => height,
    grow(blocks: number): void {
      height += blocks
    },
  }
}
