/**
 * `npm run faults -- --kills N --seed S`: kills the server and PostgreSQL N times in all while they are at work, and compares what was
 * acknowledged with what is there. Two of five kills are the server's, because each costs a start of it; the others are PostgreSQL's.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { keepLock, runQuietly, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, pinnedNode, preparePackages } from './install.mjs'
import { begin, done, line, Refusal, seconds } from './say.mjs'
import { holdTests, openTests } from './test.mjs'

/** @typedef {{ kind: string } & Record<string, number | Record<string, number>>} Figures */

const killsUsual = 100
const killsMax = 10_000
/** As the tests have it for one; the whole takes a fraction of it. */
const secondsPerKillMax = 12
const lookMs = 500

/** Two of five kills are the server's. */
const serverShare = 0.4
const kinds = [
  { kind: 'postgres', name: 'PostgreSQL', file: 'test/faults/kill-postgres.test.ts' },
  { kind: 'server', name: 'Server', file: 'test/faults/kill.test.ts' },
]

/** @param {string[]} args @returns {Promise<number>} the exit code */
export async function faults(args) {
  const { kills, seed } = read(args)
  checkPlatform()
  return withCrew(async () => {
    const folder = await holdTests()
    keepLock(await preparePackages('faults'))
    const env = await openTests(folder)
    const since = performance.now()
    line(`  ${kills} kills in all, seed ${seed}`)
    /** @type {Figures[]} */
    const seen = []
    let failed = 0
    for (const { kind, name, file } of kinds) {
      const ofServer = Math.round(kills * serverShare)
      const count = kind === 'server' ? ofServer : kills - ofServer
      if (count === 0) continue
      const report = join(folder, `${kind}.report`)
      rmSync(report, { force: true })
      begin(name, 'beginning')
      const looking = setInterval(() => begin(name, progressOf(report)), lookMs)
      const { code, output } = await runQuietly(
        pinnedNode,
        ['--test', `--test-timeout=${(200 + count * secondsPerKillMax) * 1000}`, join(checkout, file)],
        {
          cwd: checkout,
          env: {
            ...env,
            SEED: String(seed),
            FAULTS_REPORT: report,
            FAULTS_SERVER_KILLS: String(count),
            FAULTS_POSTGRES_KILLS: String(count),
          },
        },
      )
      clearInterval(looking)
      const figures = sum(linesOf(report).flatMap((told) => ('figures' in told ? [told.figures] : [])))
      done(code === 0 ? `${count} kills, and nothing was lost` : `FAILED, ${progressOf(report)}`)
      if (code !== 0) {
        failed++
        line(output)
      }
      if (figures) seen.push(figures)
    }
    table(seen)
    line(
      failed === 0
        ? `All ${kills} kills passed in ${seconds(since)}.`
        : `FAILED after ${seconds(since)}: again with --seed ${seed}.`,
    )
    return failed === 0 ? 0 : 1
  })
}

/** @param {string[]} args */
function read(args) {
  const { values } = parsed(args)
  const kills = Number(values.kills ?? killsUsual)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
  if (!Number.isInteger(kills) || kills < 1 || kills > killsMax)
    throw new Refusal(`--kills is a whole number from 1 to ${killsMax}.`)
  if (!Number.isInteger(seed) || seed < 0) throw new Refusal('--seed is a whole number.')
  return { kills, seed }
}

/** @param {string[]} args */
function parsed(args) {
  try {
    return parseArgs({ args, options: { kills: { type: 'string' }, seed: { type: 'string' } } })
  } catch (error) {
    throw new Refusal(
      `${error instanceof Error ? error.message : error} Such as: npm run faults -- --kills 500 --seed 7`,
    )
  }
}

/** What the tests have told so far. @param {string} file @returns {any[]} */
function linesOf(file) {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((text) => JSON.parse(text))
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return []
    throw error
  }
}

/** @param {string} file */
function progressOf(file) {
  const last = linesOf(file).findLast((told) => 'progress' in told)
  return last ? `${last.progress.done} of ${last.progress.of} kills` : 'no kill yet'
}

/** Counts are added, times are the longest. @param {Figures[]} all @returns {Figures | undefined} */
function sum(all) {
  const [first, ...others] = all
  if (!first) return undefined
  const total = { ...first }
  for (const figures of others)
    for (const [name, value] of Object.entries(figures)) {
      const was = total[name]
      if (typeof value === 'number' && typeof was === 'number')
        total[name] = name.endsWith('Ms') ? Math.max(was, value) : was + value
      else if (typeof value === 'object' && typeof was === 'object')
        total[name] = /** @type {Record<string, number>} */ (
          sum([/** @type {any} */ (was), /** @type {any} */ (value)])
        )
    }
  return total
}

/** @param {Figures[]} seen */
function table(seen) {
  line('')
  for (const { kind, ...figures } of seen) {
    line(`  ${kinds.find((one) => one.kind === kind)?.name}`)
    for (const [name, value] of Object.entries(figures)) {
      if (typeof value === 'number') row(name, value)
      else for (const [part, count] of Object.entries(value)) row(`${name}: ${part}`, count)
    }
  }
  line('')
}

/** `slowestUpAgainMs` becomes `slowest up again ms`. @param {string} name @param {number} value */
function row(name, value) {
  line(`    ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).padEnd(28)} ${String(value).padStart(10)}`)
}
