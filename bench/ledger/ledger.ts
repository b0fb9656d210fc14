/**
 * The ledger against its rivals: every round measures all of them, in another order, on the same server with the same data. Judge by the
 * ratios of a round and by processor time per command; commands per second are the machine's as much as the ledger's.
 */
import pg from 'pg'
import { chance } from '../../test/random.ts'
import { grouped, median, percentile, round, type Spread, spread, table } from '../figures.ts'
import { createMeter, machineInWords, parentOf, type Used } from '../machine.ts'
import { pgbench, pgbenchInWords, prepare } from '../pgbench.ts'
import { type Counted, measure, type Teller } from './callers.ts'
import { base, copyOf, longPastOf, longPastTransfers, type Size, transfersEach } from './data.ts'
import { naiveTable, openNaive } from './naive.ts'
import { openOurs } from './ours.ts'

const SEED = 20261122
const WARM_SECONDS = 4
const SECONDS = 10
/** A plain code slower than this against simple-update proves nothing: its round does not count. */
const NAIVE_SHARE_MIN = 0.35
const PAGES = 2_000
const PAGE_ROWS = 50

type Measured = {
  perSecond: number
  p50Ms: number | null
  p99Ms: number | null
  used: Used | null
  commands: number
  otherMs: number
}

const ours = { ours_256: [256, 0], ours_32: [32, 0], one_account_256: [256, 0.5], one_account_32: [32, 0.5] } as const
const rivals = ['tpcb_like', 'simple_update', 'naive', 'naive_hot'] as const
type Contender = keyof typeof ours | (typeof rivals)[number]
const contenders = [...Object.keys(ours), ...rivals] as Contender[]

const inWords: Record<Contender, string> = {
  ours_256: 'the ledger, 256 callers',
  ours_32: 'the ledger, 32 callers',
  one_account_256: 'the ledger, 256 callers, half of all on one account',
  one_account_32: 'the ledger, 32 callers, half of all on one account',
  tpcb_like: 'pgbench tpcb-like',
  simple_update: 'pgbench simple-update',
  naive: 'one transaction per request, 256 callers',
  naive_hot: 'the same with platform rows',
}

export async function benchLedger(wish: { url: string; program: string; size: Size; rounds: number }) {
  const { program, size } = wish
  const say = (doing: string) => process.stderr.write(`  ${doing}\n`)
  const owner = new pg.Client({ connectionString: wish.url })
  await owner.connect()
  const name = await base(owner, size, (doing) => say(`Data       ${doing}`))
  await prepare(owner, program, (doing) => say(`Data       ${doing}`))
  say('Data       copied for this run')
  const url = await copyOf(owner, name)
  const run = new pg.Client({ connectionString: url })
  await run.connect()
  await run.query(naiveTable)

  const { rows: server } = await run.query<{ pid: number; version: string }>(
    `select pg_backend_pid() as pid, current_setting('server_version') as version`,
  )
  const postmaster = process.platform === 'linux' ? parentOf(server[0]!.pid) : null
  const meter = createMeter(postmaster)
  const ledger = openOurs(url)
  const naive = openNaive(url, false)
  const naiveHot = openNaive(url, true)
  const before = await countTransfers(run)
  let acknowledged = 0

  async function callers(teller: Teller, count: number, ofOne: number, seed: number): Promise<Measured> {
    let start = meter.sample()
    const counted: Counted = await measure({
      teller,
      callers: count,
      accounts: size.accounts,
      seed,
      warmSeconds: WARM_SECONDS,
      seconds: SECONDS,
      ofOne,
      begin: () => {
        start = meter.sample()
      },
    })
    const used = meter.since(start)
    acknowledged += counted.acknowledged
    return {
      perSecond: counted.commands / counted.seconds,
      p50Ms: percentile(counted.latenciesMs, 0.5),
      p99Ms: percentile(counted.latenciesMs, 0.99),
      used,
      commands: counted.commands,
      otherMs: 0,
    }
  }

  async function byPgbench(script: 'tpcb-like' | 'simple-update'): Promise<Measured> {
    let start = meter.sample()
    const begin = () => {
      start = meter.sample()
    }
    const ran = await pgbench(owner, program, { script, warmSeconds: WARM_SECONDS, seconds: SECONDS, begin })
    const used = meter.since(start, ran.ownMs)
    return {
      perSecond: ran.perSecond,
      p50Ms: null,
      p99Ms: null,
      used,
      commands: Math.round(ran.perSecond * SECONDS),
      otherMs: ran.ownMs,
    }
  }

  function contend(who: Contender, seed: number): Promise<Measured> {
    switch (who) {
      case 'tpcb_like':
        return byPgbench('tpcb-like')
      case 'simple_update':
        return byPgbench('simple-update')
      case 'naive':
        return callers(naive.teller, 256, 0, seed)
      case 'naive_hot':
        return callers(naiveHot.teller, 256, 0, seed)
      default:
        return callers(ledger.teller, ours[who][0], ours[who][1], seed)
    }
  }

  try {
    // Everything is compiled, connected and in memory before the first round.
    await callers(ledger.teller, 256, 0, SEED)
    const history = await pages(ledger, size)
    const rounds: Record<Contender, Measured>[] = []
    // From here on checkpoints come when the server's settings say so.
    await owner.query('checkpoint')
    for (let n = 1; n <= wish.rounds; n++) {
      const measured = {} as Record<Contender, Measured>
      for (const who of shuffled(contenders, n)) {
        measured[who] = await contend(who, SEED + n)
        const { perSecond, p99Ms, used } = measured[who]
        say(
          `Round ${String(n).padEnd(4)} ${inWords[who].padEnd(52)} ${grouped(perSecond).padStart(7)}/s${p99Ms === null ? '' : `  p99 ${p99Ms.toFixed(1)} ms`}${used ? `  others ${used.ambientCores.toFixed(2)} cores` : ''}`,
        )
      }
      rounds.push(measured)
    }
    // The very rows that were acknowledged are there.
    const added = (await countTransfers(run)) - before
    if (added !== acknowledged)
      throw new Error(`${acknowledged} commands were acknowledged, and ${added} transfers were added`)
    return report({ rounds, history, size, version: server[0]!.version, checked: added })
  } finally {
    await ledger.close()
    await naive.close()
    await naiveHot.close()
    await run.end()
    await owner.query('drop database if exists bench_run with (force)')
    await owner.end()
  }
}

/** The first page of any account, and a page deep in the one with the long past: as asked by the server, and in the database alone. */
async function pages(ledger: ReturnType<typeof openOurs>, size: Size) {
  const luck = chance(SEED)
  const db = ledger.database.pool
  const time = async (page: () => [account: bigint, before?: bigint]) => {
    const latencies = new Float64Array(PAGES)
    for (let n = 0; n < PAGES; n++) {
      const [account, before] = page()
      const since = performance.now()
      const rows = await ledger.ledger.history(db, account, {
        limit: PAGE_ROWS,
        ...(before === undefined ? {} : { before }),
      })
      latencies[n] = performance.now() - since
      if (rows.length === 0) throw new Error('A page of the history was empty')
    }
    return { p50_ms: round(percentile(latencies, 0.5)), p99_ms: round(percentile(latencies, 0.99)) }
  }
  return {
    first_page: await time(() => [BigInt(luck.whole(1, size.accounts))]),
    deep_page: await time(() => [longPastOf(size), BigInt(luck.whole(PAGE_ROWS + 1, longPastTransfers(size) - 1))]),
  }
}

async function countTransfers(db: pg.Client): Promise<number> {
  const { rows } = await db.query<{ count: string }>('select count(*) from transfers')
  return Number(rows[0]!.count)
}

function shuffled<T>(list: T[], seed: number): T[] {
  const luck = chance(SEED + seed)
  return list
    .map((value) => ({ value, at: luck.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
}

function report(seen: {
  rounds: Record<Contender, Measured>[]
  history: { first_page: { p50_ms: number; p99_ms: number }; deep_page: { p50_ms: number; p99_ms: number } }
  size: Size
  version: string
  checked: number
}) {
  const { rounds, history, size } = seen
  const share = (m: Record<Contender, Measured>) => m.naive.perSecond / m.simple_update.perSecond
  const counted = rounds.filter((m) => share(m) >= NAIVE_SHARE_MIN)
  const each = (who: Contender, of: (m: Measured) => number | null | undefined) =>
    rounds.map((m) => of(m[who])).filter((value) => value !== null && value !== undefined)
  const middle = (who: Contender, of: (m: Measured) => number | null | undefined) => {
    const values = each(who, of)
    return values.length === 0 ? null : round(median(values))
  }
  const postgresUs = (m: Measured) => m.used && (m.used.postgresMs * 1_000) / m.commands
  const clientUs = (m: Measured) => m.used && ((m.otherMs || m.used.nodeMs) * 1_000) / m.commands
  const bothUs = (m: Measured) => m.used && postgresUs(m)! + clientUs(m)!
  const ambient = (m: Measured) => m.used?.ambientCores
  const ratio = (rival: (typeof rivals)[number]): Spread | null =>
    spread((rival.startsWith('naive') ? counted : rounds).map((m) => m.ours_256.perSecond / m[rival].perSecond))
  const by = (names: Record<string, Contender>, of: (m: Measured) => number | null | undefined) =>
    Object.fromEntries(Object.entries(names).map(([callers, who]) => [callers, middle(who, of)]))
  const byCallers = { 256: 'ours_256', 32: 'ours_32' } as const
  const onOne = { 256: 'one_account_256', 32: 'one_account_32' } as const
  const ratios = Object.fromEntries(rivals.map((rival) => [rival, ratio(rival)]))

  const figures = {
    benchmark: 'ledger',
    at: new Date().toISOString(),
    machine: { processors: machineInWords(), node: process.versions.node, postgresql: seen.version },
    data: { ...size, transfers_each: transfersEach(size) },
    rounds: rounds.length,
    rounds_counted: counted.length,
    seconds: SECONDS,
    commands_per_s: by(byCallers, (m) => m.perSecond),
    cpu_us_per_command: by(byCallers, bothUs),
    p50_ms: by(byCallers, (m) => m.p50Ms),
    p99_ms: by(byCallers, (m) => m.p99Ms),
    one_account: {
      commands_per_s: by(onOne, (m) => m.perSecond),
      p50_ms: by(onOne, (m) => m.p50Ms),
      p99_ms: by(onOne, (m) => m.p99Ms),
    },
    ratios,
    rivals_per_s: Object.fromEntries(rivals.map((who) => [who, middle(who, (m) => m.perSecond)])),
    naive_share_of_simple_update: spread(rounds.map(share)),
    history,
    ambient_cores: spread(contenders.flatMap((who) => each(who, ambient))),
    acknowledged_and_there: seen.checked,
  }

  const cell = (value: number | null, digits = 1) => (value === null ? '–' : value.toFixed(digits))
  const rows = contenders.map((who) => {
    const rates = spread(each(who, (m) => m.perSecond))!
    return [
      inWords[who],
      grouped(rates.median),
      `${grouped(rates.min)}–${grouped(rates.max)}`,
      cell(middle(who, (m) => m.p50Ms)),
      cell(middle(who, (m) => m.p99Ms)),
      cell(middle(who, postgresUs)),
      cell(middle(who, clientUs)),
      cell(middle(who, ambient), 2),
    ]
  })
  const of = (s: Spread | null) =>
    s ? `${s.median.toFixed(1)}× (${s.min.toFixed(1)}–${s.max.toFixed(1)})` : 'no round counts'
  const text = [
    `${machineInWords()}, Node ${process.versions.node}, PostgreSQL ${seen.version}; ${grouped(size.accounts)} accounts, ${grouped(size.transfers)} transfers; ${pgbenchInWords}`,
    `${rounds.length} rounds of ${SECONDS} s each, medians (least–most)`,
    '',
    table([['', 'commands/s', '', 'p50 ms', 'p99 ms', 'PostgreSQL µs', 'client µs', 'others, cores'], ...rows]),
    '',
    table([['the ledger with 256 callers against', ''], ...rivals.map((rival) => [inWords[rival], of(ratio(rival))])]),
    `Plain code reached ${rounds.map((m) => `${Math.round(100 * share(m))} %`).join(', ')} of simple-update; ${counted.length} of ${rounds.length} rounds count (${100 * NAIVE_SHARE_MIN} % needed).`,
    `Processor time of PostgreSQL and Node per command: ${cell(middle('ours_256', bothUs))} µs with 256 callers, ${cell(middle('ours_32', bothUs))} µs with 32.`,
    `History: first page p50 ${history.first_page.p50_ms} ms, p99 ${history.first_page.p99_ms} ms; deep page p50 ${history.deep_page.p50_ms} ms, p99 ${history.deep_page.p99_ms} ms.`,
    `${grouped(seen.checked)} commands acknowledged, and as many transfers added.`,
  ].join('\n')
  return { figures, text }
}
