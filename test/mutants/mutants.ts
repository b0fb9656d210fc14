/**
 * Mutation testing of the ledger: every file is changed in hundreds of small ways (operators.ts), one at a time, and the tests that are
 * about it are run until one fails. What no test notices is either explained (survivors.json) or a test that is missing.
 *
 *   npm run mutants [-- --only FILE …] [--sample NUMBER --seed NUMBER] [--report FILE] [--again] [--lanes NUMBER]
 *                      [--minutes NUMBER]
 *
 * SQL is planted into a database of its own, played streams there, and only what is still alive meets the slower tests. TypeScript is
 * checked by the compiler first, and tested in a copy of the checkout. `--again` believes the last run in what it caught of files that
 * have not changed since, and judges the rest anew: for writing the tests that are missing. Exits 1 when fewer than nine of ten are
 * caught, when a survivor has no reason, or when a reason has no survivor any more. They are judged in an order that is drawn by the
 * seed, so what a run with a limit of minutes has judged is a sample, too.
 *
 * A mutant that never ends is caught as well, but a machine that is busy with other things must not catch any: what takes many times as
 * long as the unchanged ledger in this very run is asked once more, when nothing else of this program runs, and is caught only when it
 * is not over then either.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { type AuditWorld, openAuditWorld } from '../audit-world.ts'
import { type Copy, copyCheckout } from '../copy.ts'
import { type Oracle, openOracle } from '../ledger/oracle.ts'
import { SEED } from '../random.ts'
import { notViable } from './compiler.ts'
import { type Mutant, mutantsOf, mutate } from './operators.ts'

type Tests = { file: string; names?: string[]; skip?: string[]; env?: Record<string, string> }[]
type Outcome = { what: 'caught' | 'survived' | 'not viable'; how: string; late?: boolean }
type Judged = Mutant & Outcome & { seconds: number }
type Game = ReturnType<typeof openGame>

const ROOT = join(import.meta.dirname, '../..')
/** Those that no test catches, by file and by the reason why none needs to: nobody could see a difference, or none that matters. */
const survivors: Record<string, Record<string, string[]>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'survivors.json'), 'utf8'),
)
const REPORT = join(ROOT, 'test-results', 'mutants.txt')
const CAUGHT_SHARE_MIN = 0.9
/** As many as the machine that this is made for has processors. */
const LANES = '2'
const STREAMS = 6
/** Over four connections. */
const STREAMS_TOGETHER = 3
const COMMANDS_PER_STREAM = 120
/** Of one file of tests without any change. */
const GREEN_SECONDS_MAX = 180
/** Longer than the unchanged ledger takes, so many times, and at least so long: it is not over. */
const LATE_TIMES = 4
const LATE_SECONDS_MIN = 20
const NOT_OVER = 'not over in time'

const chart = { file: 'server/ledger/chart.test.ts' }
const figures = { file: 'server/ledger/figures.test.ts' }
const asOf = { file: 'server/ledger/asof.test.ts' }
const house = { file: 'server/ledger/house.test.ts', names: ['the house books its own movements once'] }
const compaction = {
  file: 'server/ledger/compact.test.ts',
  names: [
    'summing up the deltas changes no total, in no snapshot, with everybody writing beside it',
    'one run sums up all deltas, also more than go into one transaction',
    'a compaction that dies half-way has changed nothing',
  ],
}
/** All but what is slow and asks nothing of the kind. */
const door = [
  {
    file: 'server/ledger/ledger.test.ts',
    skip: [
      "the server's role cannot write the ledger's tables, only ask its functions",
      'ids that follow from something are derived alike in TypeScript and in the database',
    ],
  },
  {
    file: 'server/ledger/lists.test.ts',
    skip: ['any list of commands and groups may be split anywhere without changing an answer or a figure'],
  },
  { file: 'server/ledger/waiting.test.ts' },
  { file: 'server/ledger/overdue.test.ts' },
  { file: 'server/ledger/plan.test.ts' },
]
const SEAL_ROWS = '2000'
const tampered = {
  file: 'server/ledger/seal.test.ts',
  env: { SEAL_ROWS },
  names: [
    'a seal is the same on every version and with every setting',
    'a file that is not of this database is said loudly, left alone, and found by the audit',
    'a line that a crash tore off is written again, whole',
    'the file is gone on with also where the crash came in its first line, or before it, or tore off more than a line',
    'a range in which nothing came to stand has its line, too, and the file is gone on with behind it',
    `one row of ${SEAL_ROWS} that was tampered with is named, also when every seal was rewritten`,
  ],
}
const sealing = {
  ...tampered,
  names: [
    'what was numbered early and committed late is not passed over',
    'a run waits a moment for whoever is writing, and seals what he wrote',
    'who does not end is waited for five seconds in all, then left to the next run, which seals what he wrote',
    'fifty ranges are sealed in one run at most; the next one goes on, and the file has all',
    'what the file is told is on the disk when the run is over, and a new file with its folder',
    'while another process is at it, neither the seals nor their file are touched',
    'of a ledger without a row nothing is sealed and no file begun, and its first row is not passed over',
    'a seal covers as many numbers as it may, and the last one what is left',
    'who reads the ledger, or writes elsewhere, is no writer that a seal waits for',
    'a file that cannot be written is said loudly and once, stops nothing, and is made up for',
    'where the file cannot be, that is said and nothing else',
    'while four connections write and take back, two processes seal every row once, and one file has it all',
    'seals are inserted and nothing else, by whatever role',
    ...tampered.names,
  ],
}
const sealRows = { file: 'server/ledger/audit/seals.test.ts' }
const program = {
  file: 'test/audit.test.ts',
  names: [
    'an audit takes as long as it must, whatever the limit of its connection, which is left as it was',
    'the program says which of the two it found by what it exits with',
    'seals that were rewritten in the database are found by the file outside, which the program is told',
  ],
}

const onChains = { file: 'test/audit-crypto.test.ts' }

/**
 * By which tests each file is judged; `first`: what is asked before them, from here. Not all that would notice: the score is what these
 * alone catch.
 */
const judges: Record<string, { first: 'streams' | 'damages' | null; tests: Tests }> = {
  'server/ledger/apply.sql': { first: 'streams', tests: door },
  'server/ledger/ledger.ts': {
    first: 'streams',
    tests: [
      ...door,
      { file: 'server/ledger/house.test.ts' },
      { file: 'server/ledger/compact.test.ts', skip: compaction.names },
      asOf,
    ],
  },
  'server/ledger/audit/audit.ts': { first: 'damages', tests: [program, onChains] },
  'server/ledger/audit/crypto.ts': { first: null, tests: [onChains] },
  'server/ledger/house.sql': { first: 'streams', tests: [house] },
  'server/ledger/compact.sql': { first: 'streams', tests: [compaction] },
  'server/ledger/asof.sql': { first: null, tests: [asOf] },
  'server/ledger/seal.sql': { first: null, tests: [sealing] },
  'server/ledger/audit/seals.ts': { first: null, tests: [sealRows, tampered, program] },
  'server/ledger/seal.ts': { first: null, tests: [sealing] },
  'server/ledger/figures.ts': { first: null, tests: [figures] },
  'server/ledger/house.ts': { first: null, tests: [house] },
  'server/ledger/chart.ts': { first: null, tests: [chart] },
}

/** What PostgreSQL says of a statement that nobody could have written: it would have failed at its first use. */
const NOT_WRITTEN_LIKE_THIS =
  /syntax error|(?:function|operator|column|relation|type) .* does not exist|is ambiguous|must appear in the GROUP BY|invalid input value for enum|could not determine|is of type .* but (?:expression|default)|cannot be cast|subquery must return|argument of .* must be|operator is not unique|cannot be matched|structure of query does not match|must be type|malformed array literal/

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      sample: { type: 'string' },
      seed: { type: 'string', default: String(SEED) },
      report: { type: 'string', default: REPORT },
      again: { type: 'boolean', default: false },
      lanes: { type: 'string', default: LANES },
      minutes: { type: 'string', default: 'Infinity' },
    },
  })
  const files = Object.keys(judges).filter(
    (file) => values.only.length === 0 || values.only.some((want) => file.endsWith(want)),
  )
  if (files.length === 0) throw new Error(`No file of the ledger is called ${values.only.join(' or ')}`)
  const every = files.flatMap((file) => mutantsOf(file, textOf(file)))
  const shuffled = inDrawnOrder(every, Number(values.seed))
  const drawn = values.sample ? shuffled.slice(0, Number(values.sample)) : shuffled
  console.log(
    `${every.length} mutants of ${files.length} files${values.sample ? `; ${drawn.length} of them` : ''}, seed ${values.seed}`,
  )

  const begun = performance.now()
  const copies = Array.from({ length: Number(values.lanes) }, copyCheckout)
  let judged: Judged[]
  try {
    const limits = await expectGreen(copies[0]!, new Set(drawn.map(({ file }) => file)))
    judged = await judgeAll(drawn, {
      copies,
      limits,
      notes: notesOf(values.report, values.again),
      end: begun + Number(values.minutes) * 60_000,
    })
  } finally {
    for (const copy of copies) copy.close()
  }
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1)
  process.exitCode = report(judged, { every, whole: judged.length === every.length, minutes, path: values.report })
}

/** An order that everybody can repeat, also when lines have moved. */
function inDrawnOrder(every: Mutant[], seed: number): Mutant[] {
  const place = ({ file, id }: Mutant) => createHash('sha256').update(`${seed} ${file} ${id}`).digest('hex')
  return every
    .map((mutant) => ({ mutant, at: place(mutant) }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ mutant }) => mutant)
}

async function judgeAll(
  mutants: Mutant[],
  { copies, limits, notes, end }: { copies: Copy[]; limits: Limits; notes: Notes; end: number },
): Promise<Judged[]> {
  const judged: Judged[] = []
  const toJudge = new Set<Mutant>()
  for (const file of new Set(mutants.map((mutant) => mutant.file))) {
    const own = mutants.filter((mutant) => {
      if (mutant.file !== file) return false
      const known = notes.known(mutant)
      if (known) judged.push({ ...mutant, ...known })
      return !known
    })
    const wrong = file.endsWith('.ts') ? notViable(copies[0]!.folder, own) : new Map<Mutant, string>()
    for (const mutant of own) {
      const why = wrong.get(mutant)
      if (why === undefined) toJudge.add(mutant)
      else judged.push(notes.note({ ...mutant, what: 'not viable', how: why, seconds: 0 }))
    }
  }
  const queue = mutants.filter((mutant) => toJudge.has(mutant))
  console.log(`${queue.length} to judge; the others do not compile, or are known`)
  const begun = performance.now()
  const minutes = () => `${((performance.now() - begun) / 60_000).toFixed(1)} min`
  const late: Mutant[] = []
  let next = 0
  await Promise.all(
    copies.map((copy) =>
      lane(copy, () => {
        if (next > 0 && next % 50 === 0) console.log(`  ${next} of ${queue.length}, ${minutes()}`)
        return performance.now() < end ? queue[next++] : undefined
      }),
    ),
  )
  console.log(
    `  ${Math.min(next, queue.length)} of ${queue.length}, ${minutes()}; ${late.length} were not over in time, and are asked again, one by one`,
  )
  const again = late.splice(0)
  await lane(copies[0]!, () => (performance.now() < end ? again.shift() : undefined), 'alone')
  return judged

  async function lane(copy: Copy, take: () => Mutant | undefined, how?: 'alone'): Promise<void> {
    const game = openGame(limits)
    try {
      for (let mutant = take(); mutant; mutant = take()) {
        const since = performance.now()
        const outcome = await judge(mutant, copy, game)
        if (outcome.late && !how) {
          late.push(mutant)
          continue
        }
        judged.push(notes.note({ ...mutant, ...outcome, seconds: (performance.now() - since) / 1000 }))
        if (outcome.what === 'survived')
          console.log(`  survived  ${mutant.file}:${mutant.line} ${mutant.operator}: ${mutant.id}`)
      }
    } finally {
      await game.close()
    }
  }
}

type Limits = ReturnType<typeof limitsOf>

/** How long each thing may take, by how long it took without any change. */
function limitsOf() {
  const seconds = new Map<unknown, number>()
  return {
    async measure<Result>(what: unknown, work: () => Promise<Result>): Promise<Result> {
      const begun = performance.now()
      const result = await work()
      seconds.set(what, Math.max(seconds.get(what) ?? 0, (performance.now() - begun) / 1000))
      return result
    },
    /** Not measured yet: it is the unchanged one that is asked. */
    secondsMax: (what: unknown) =>
      seconds.has(what) ? Math.max(LATE_SECONDS_MIN, LATE_TIMES * seconds.get(what)!) : GREEN_SECONDS_MAX,
  }
}

/** Without any change, nothing is found: or everything would count as caught. */
async function expectGreen(copy: Copy, files: Set<string>): Promise<Limits> {
  const limits = limitsOf()
  const game = openGame(limits)
  try {
    const tests = new Set<Tests[number]>()
    for (const file of files) {
      const { first, tests: own } = judges[file]!
      for (const one of own) tests.add(one)
      const found = await limits.measure(`${file} ${first}`, async () =>
        file.endsWith('.sql')
          ? game.plantSql(textOf(file), file, first === 'streams')
          : first && (await game.plantModule(textOf(file), file, copy, first)),
      )
      if (found) throw new Error(`${file} as it stands is found wrong by ${first}: ${found}`)
    }
    for (const one of tests) {
      const { file, ...how } = one
      const { failed, passed } = await limits.measure(one, () =>
        copy.test(file, { ...how, secondsMax: GREEN_SECONDS_MAX }),
      )
      if (failed) throw new Error(`${file} is red without any change: ${failed.test}: ${failed.why}`)
      const missing = how.names?.filter((name) => !passed.includes(name)) ?? []
      if (missing.length > 0) throw new Error(`${file} has no test of this name: ${missing.join(', ')}`)
    }
    return limits
  } finally {
    await game.close()
  }
}

type Notes = ReturnType<typeof notesOf>

/** What was judged, noted as it comes, beside the report. */
function notesOf(report: string, again: boolean) {
  const path = `${report}.notes`
  const key = (mutant: Mutant) =>
    createHash('sha256')
      .update(mutate(textOf(mutant.file), mutant))
      .digest('hex')
  const known = new Map<string, Outcome & { seconds: number }>()
  if (again && existsSync(path)) {
    for (const line of readFileSync(path, 'utf8').trim().split('\n')) {
      const { of, ...outcome } = JSON.parse(line) as Outcome & { of: string; seconds: number }
      if (outcome.what !== 'survived') known.set(of, outcome)
    }
  } else rmSync(path, { force: true })
  mkdirSync(dirname(report), { recursive: true })
  return {
    known: (mutant: Mutant) => known.get(key(mutant)),
    note(judged: Judged): Judged {
      const { what, how, seconds } = judged
      appendFileSync(path, `${JSON.stringify({ of: key(judged), what, how, seconds })}\n`)
      return judged
    },
  }
}

async function judge(mutant: Mutant, copy: Copy, game: Game): Promise<Outcome> {
  const { first, tests } = judges[mutant.file]!
  const text = mutate(textOf(mutant.file), mutant)
  if (mutant.file.endsWith('.sql')) {
    const difference = await game.plantSql(text, mutant.file, first === 'streams')
    if (difference !== null) return caughtBy(difference, 'streams')
    const sql = join(copy.folder, 'planted.sql')
    writeFileSync(sql, text)
    return judgeByTests(tests, copy, game.limits, { TEST_DATABASE_SQL: sql })
  }
  if (first !== null) {
    const difference = await game.plantModule(text, mutant.file, copy, first)
    if (difference !== null) return caughtBy(difference, first)
  }
  // Of the audit, how it reads, and its program, are not asked by the damages; of its queries, the program's tests ask nothing more.
  const isQuery = first === 'damages' && !/^async function check/m.test(text.slice(0, mutant.start))
  copy.write(mutant.file, text)
  try {
    return await judgeByTests(isQuery ? tests.filter((one) => one !== program) : tests, copy, game.limits)
  } finally {
    copy.restore()
  }
}

async function judgeByTests(
  tests: Tests,
  copy: Copy,
  limits: Limits,
  env: Record<string, string> = {},
): Promise<Outcome> {
  for (const one of tests) {
    const { file, ...how } = one
    const secondsMax = limits.secondsMax(one)
    const { failed, late } = await copy.test(file, { ...how, env: { ...env, ...how.env }, secondsMax })
    if (late) return { what: 'caught', how: `${file}: ${NOT_OVER} (${secondsMax.toFixed(0)} s)`, late }
    if (failed) return caughtBy(failed.why, `${file}: ${failed.test}`)
  }
  return { what: 'survived', how: '' }
}

function caughtBy(why: string, test: string): Outcome {
  const [line = ''] = why.split('\n')
  if (NOT_WRITTEN_LIKE_THIS.test(why)) return { what: 'not viable', how: line.slice(0, 200) }
  return { what: 'caught', how: `${test}: ${line.slice(0, 120)}`, late: why === NOT_OVER }
}

/** Databases in which one mutant after the other is planted, and what is asked of it there. */
function openGame(limits: Limits) {
  let oracle: Oracle | null = null
  let crowd: Oracle | null = null
  let world: AuditWorld | null = null

  /** What was found; null: nothing. Without `played` it is only planted, to see whether PostgreSQL takes it. */
  async function plantSql(text: string, file: string, played: boolean): Promise<string | null> {
    oracle ??= await openOracle({ ledgers: 1, lanes: 1 })
    const secondsMax = limits.secondsMax(`${file} ${played ? 'streams' : null}`)
    const alone = await plantedInto(oracle, text, file, { streams: played ? STREAMS : 0, secondsMax })
    if (alone === NOT_OVER) oracle = null
    if (alone !== null || !played) return alone
    crowd ??= await openOracle({ ledgers: 4, lanes: 1 })
    const together = await plantedInto(crowd, text, file, { streams: STREAMS_TOGETHER, secondsMax })
    if (together === NOT_OVER) crowd = null
    return together
  }

  async function plantedInto(
    own: Oracle,
    text: string,
    file: string,
    { streams, secondsMax }: { streams: number; secondsMax: number },
  ): Promise<string | null> {
    try {
      await own.owner.query(text)
    } catch (error) {
      return `syntax error: ${(error as Error).message}`
    }
    const found = streams === 0 ? null : await inTime(streamsOf(own, streams), secondsMax)
    // What never ends is ended by the database's own limit; the next one gets another database.
    if (found === NOT_OVER) return found
    await own.owner.query(`
      set session_replication_role = replica;
      truncate seals, transfers, house_entries, ledger_accounts, open_holds, platform_deltas, platform_sums;
      set session_replication_role = default`)
    await own.owner.query(textOf(file))
    return found
  }

  /** A module beside the one that it is a mutant of, loaded into this process. */
  async function plantModule(
    text: string,
    file: string,
    copy: Copy,
    asked: 'streams' | 'damages',
  ): Promise<string | null> {
    const secondsMax = limits.secondsMax(`${file} ${asked}`)
    const path = join(copy.folder, file.replace(/\.ts$/, `.planted${planted++}.ts`))
    writeFileSync(path, text)
    try {
      const module = await import(path)
      if (asked === 'damages') {
        world ??= await openAuditWorld()
        const found = await inTime(damagesOf(world, module), secondsMax)
        if (found === NOT_OVER) {
          // Its connection is in the middle of something.
          void world.close().catch(() => {})
          world = null
        }
        return found
      }
      const own = await openOracle({ ledgers: 1, lanes: 1, create: module.createLedger })
      const found = await inTime(streamsOf(own, STREAMS), secondsMax)
      if (found !== NOT_OVER) await own.close()
      return found
    } catch (error) {
      return (error as Error).message
    } finally {
      rmSync(path)
    }
  }

  return {
    limits,
    plantSql,
    plantModule,
    async close() {
      await oracle?.close()
      await crowd?.close()
      await world?.close()
    },
  }
}

let planted = 0

const texts = new Map<string, string>()

/** As the file stood when it was first asked for: a run judges one state, whoever goes on writing. */
function textOf(file: string): string {
  if (!texts.has(file)) texts.set(file, readFileSync(join(ROOT, file), 'utf8'))
  return texts.get(file)!
}

async function inTime(asking: Promise<string | null>, secondsMax: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(NOT_OVER), secondsMax * 1000)
  })
  try {
    return await Promise.race([asking, late])
  } finally {
    clearTimeout(timer)
  }
}

async function damagesOf(
  world: AuditWorld,
  module: typeof import('../../server/ledger/audit/audit.ts'),
): Promise<string | null> {
  // Its own, whatever it does with connections. The pool listens to what is idle; what a mutant never gives back tells nobody but
  // itself when the database is dropped around it, and would end the run. A question that was under way fails all the same.
  const pool = new pg.Pool({ connectionString: world.db.url })
  const connected: pg.PoolClient[] = []
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    connected.push(client)
    client.on('error', () => {})
  })
  try {
    for (const found of [await module.auditLedger(pool), await module.findOverdue(pool)])
      if (found.length > 0) return `what nobody touched: ${found[0]!.check}`
    for (const [damage, { does, found, names = {} }] of Object.entries(world.damages)) {
      const differences = await world.inside(does, (connect) => module.auditLedger({ connect }))
      const seen = [...new Set(differences.map(({ check }) => check))]
      if (seen.join() !== found.join()) return `${damage}: found by ${seen.join(', ') || 'nothing'}`
      for (const [named, says] of Object.entries(names))
        assert.partialDeepStrictEqual(differences.find(({ check }) => check === named)!.row, says, damage)
    }
    for (const [what, does] of Object.entries(world.right)) {
      const differences = await world.inside(does, (connect) => module.auditLedger({ connect }))
      if (differences.length > 0) return `${what}: ${differences[0]!.check}`
    }
    const nothing = 'truncate ledger_accounts, transfers, house_entries, open_holds, platform_deltas, platform_sums'
    const differences = await world.inside(nothing, (connect) => module.auditLedger({ connect }, 'ledger'))
    if (differences.length > 0) return `books in which nothing happened yet: ${differences[0]!.check}`
    for (const [delay, does] of Object.entries(world.delays)) {
      const overdue = await world.inside(does, (connect) => module.findOverdue({ connect }))
      if (overdue.length !== 1) return `${delay}: ${overdue.length} overdue`
    }
    for (const [what, does] of Object.entries(world.inTime)) {
      const overdue = await world.inside(does, (connect) => module.findOverdue({ connect }))
      if (overdue.length > 0) return `${what}: overdue`
    }
    return null
  } catch (error) {
    return (error as Error).message
  } finally {
    // Not the pool: it would wait for what was not given back.
    for (const client of connected) void client.end()
  }
}

async function streamsOf(oracle: Oracle, streams: number): Promise<string | null> {
  try {
    for (let stream = 0; stream < streams; stream++) {
      const { difference } = await oracle.play(SEED + stream, COMMANDS_PER_STREAM)
      if (difference !== null) return difference
    }
    const [first] = await auditLedger(oracle.db.database.pool, 'ledger')
    return first ? `the audit: ${first.check}` : null
  } catch (error) {
    return (error as Error).message
  }
}

/** Returns the exit code. */
function report(judged: Judged[], run: { every: Mutant[]; whole: boolean; minutes: string; path: string }): number {
  const lines: string[] = []
  const say = (text: string) => {
    lines.push(text)
    console.log(text)
  }
  const files = Object.keys(judges).filter((name) => judged.some(({ file }) => file === name))
  const count = (list: Judged[], what: Outcome['what']) => list.filter((one) => one.what === what).length
  say(`${'file'.padEnd(32)} mutants  caught  survived  not viable   share`)
  for (const name of [...files, 'all']) {
    const own = name === 'all' ? judged : judged.filter(({ file }) => file === name)
    const [caught, survived, broken] = [count(own, 'caught'), count(own, 'survived'), count(own, 'not viable')]
    const share = caught + survived === 0 ? '-' : `${((100 * caught) / (caught + survived)).toFixed(1)} %`
    const columns = [own.length, caught, survived, broken].map((n, index) => String(n).padStart([7, 8, 10, 12][index]!))
    say(
      `${(name === 'all' ? name : name.slice('server/ledger/'.length)).padEnd(32)} ${columns.join('')} ${share.padStart(7)}`,
    )
  }
  const reasons = new Map(
    Object.entries(survivors).flatMap(([file, byReason]) =>
      Object.entries(byReason).flatMap(([why, mutants]) => mutants.map((mutant) => [`${file}: ${mutant}`, why])),
    ),
  )
  const unexplained = judged.filter((one) => one.what === 'survived' && !reasons.has(`${one.file}: ${one.id}`))
  const there = new Set(run.every.map(({ file, id }) => `${file}: ${id}`))
  const caught = new Set(judged.filter((one) => one.what !== 'survived').map(({ file, id }) => `${file}: ${id}`))
  const stale = [...reasons.keys()].filter(
    (key) => (files.includes(key.slice(0, key.indexOf(': '))) && !there.has(key)) || caught.has(key),
  )
  for (const { file, line, operator, id } of unexplained) say(`NO REASON  ${file}:${line} ${operator}: ${id}`)
  for (const key of stale) say(`NO SURVIVOR ANY MORE  ${key}`)
  const score = count(judged, 'caught') / Math.max(1, count(judged, 'caught') + count(judged, 'survived'))
  const enough = score >= CAUGHT_SHARE_MIN
  say(
    `Mutants: ${(100 * score).toFixed(1)} % caught${enough ? '' : `, and ${100 * CAUGHT_SHARE_MIN} % is wanted`}; ` +
      `${unexplained.length} survivors without a reason; ${run.minutes} min${run.whole ? '' : ` (a sample: ${judged.length} of ${run.every.length})`}`,
  )
  for (const { file, line, operator, id, what, how, seconds } of judged.toSorted((a, b) =>
    a.file === b.file ? a.start - b.start : a.file < b.file ? -1 : 1,
  ))
    lines.push(
      `${what.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${file}:${line} ${operator}: ${id}${how ? `\n              ${how}` : ''}${what === 'survived' ? `\n              ${reasons.get(`${file}: ${id}`) ?? '?'}` : ''}`,
    )
  writeFileSync(run.path, `${lines.join('\n')}\n`)
  console.log(`Each one, and what caught it: ${run.path}`)
  return enough && unexplained.length === 0 && stale.length === 0 ? 0 : 1
}

await main()
// What a mutant that never ended still holds open keeps nobody waiting.
process.exit()
