/**
 * `npm run faults -- --kills N --seed S`: kills the server and PostgreSQL N times in all while they are at work, and compares what was
 * acknowledged with what is there. Two of five kills are the server's, because each costs a start of it; the others are PostgreSQL's,
 * beside them.
 *
 * `npm run faults -- --webhooks N --seed S`: N events of the bank, each delivered up to twenty times, out of order, a third of them never,
 * and the server killed in between; what is left is compared with one clean run, and with the bank's own books.
 *
 * `npm run faults -- --chains N --seed S`: N random steps (pay, replace, double-spend, mine, refuse and forgive blocks) on litecoind and on
 * the sandbox's simulator at once; both must say the same after each.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { keepLock, runQuietly, withCrew } from './crew.mjs'
import { checkout } from './folders.mjs'
import { checkPlatform, pinnedNode, preparePackages } from './install.mjs'
import { ensureLitecoind, notRun } from './litecoind.mjs'
import { begin, done, line, Refusal, seconds } from './say.mjs'
import { holdTests, openTests } from './test.mjs'

/** @typedef {{ kind: string } & Record<string, number | Record<string, number>>} Figures */

const killsUsual = 100
const killsMax = 10_000
/** As the tests have it for one; the whole takes a fraction of it. */
const secondsPerKillMax = 30
const startSecondsMax = 200
const lookMs = 500

const eventsMax = 100_000
/** As the test has it for one. */
const secondsPerEventMax = 0.4

const stepsMax = 100_000
/** Each looks at both networks from all sides. */
const secondsPerStepMax = 3

const serverShare = 0.4
const kinds = [
  { kind: 'postgres', name: 'PostgreSQL', file: 'test/faults/kill-postgres.test.ts' },
  { kind: 'server', name: 'Server', file: 'test/faults/kill.test.ts' },
]
const chains = { kind: 'chains', name: 'Chains', file: 'test/faults/chains.test.ts' }
const webhooks = { kind: 'webhooks', name: 'Webhooks', file: 'test/faults/webhooks.test.ts' }

/** @param {string[]} args @returns {Promise<number>} the exit code */
export async function faults(args) {
  const { kills, events, steps, seed } = read(args)
  checkPlatform()
  return withCrew(async () => {
    const folder = await holdTests()
    keepLock(await preparePackages('faults'))
    const env = await openTests(folder)
    const since = performance.now()
    if (steps !== null) return compare(steps, { folder, env: { ...env, SEED: String(seed) }, seed, since })
    if (events !== null) return deliver(events, { folder, env: { ...env, SEED: String(seed) }, seed, since })
    const ofServer = Math.round(kills * serverShare)
    const parts = kinds
      .map((one) => ({
        ...one,
        kills: one.kind === 'server' ? ofServer : kills - ofServer,
        report: reportOf(folder, one.kind),
      }))
      .filter((part) => part.kills > 0)
    line(`  ${kills} kills in all, seed ${seed}`)
    const progress = () => parts.map(({ name, report }) => `${name} ${progressOf(report)}`).join(', ')
    begin('Kills', progress())
    const looking = setInterval(() => begin('Kills', progress()), lookMs)
    const ran = await Promise.all(parts.map((part) => killAndCompare(part, { ...env, SEED: String(seed) })))
    clearInterval(looking)
    done(progress())
    for (const { code, output } of ran) if (code !== 0) line(output)
    table(parts.flatMap(({ report }) => sum(linesOf(report).flatMap((told) => told.figures ?? [])) ?? []))
    const isGood = ran.every(({ code }) => code === 0)
    const again = `again with --seed ${seed}`
    line(isGood ? `All ${kills} kills passed in ${seconds(since)}.` : `FAILED after ${seconds(since)}: ${again}.`)
    return isGood ? 0 : 1
  })
}

/**
 * @param {number} events
 * @param {{ folder: string, env: NodeJS.ProcessEnv, seed: number, since: number }} run
 */
async function deliver(events, { folder, env, seed, since }) {
  const report = reportOf(folder, webhooks.kind)
  const progress = () => progressOf(report, 'events')
  line(`  ${events} events of the bank, seed ${seed}`)
  begin('Webhooks', progress())
  const looking = setInterval(() => begin('Webhooks', progress()), lookMs)
  const limit = `--test-timeout=${(startSecondsMax + events * secondsPerEventMax) * 1000}`
  const more = { FAULTS_REPORT: report, FAULTS_WEBHOOKS: String(events) }
  const { code, output } = await runQuietly(pinnedNode, ['--test', limit, join(checkout, webhooks.file)], {
    cwd: checkout,
    env: { ...env, ...more },
  })
  clearInterval(looking)
  done(progress())
  if (code !== 0) line(output)
  table([report].flatMap((file) => sum(linesOf(file).flatMap((told) => told.figures ?? [])) ?? []))
  line(
    code === 0
      ? `${events} events and more left what one clean run leaves, in ${seconds(since)}.`
      : `FAILED after ${seconds(since)}: again with --seed ${seed}.`,
  )
  return code === 0 ? 0 : 1
}

/**
 * @param {number} steps
 * @param {{ folder: string, env: NodeJS.ProcessEnv, seed: number, since: number }} run
 */
async function compare(steps, { folder, env, seed, since }) {
  const path = await ensureLitecoind()
  if (path === null) throw new Refusal(notRun)
  const report = reportOf(folder, chains.kind)
  const progress = () => progressOf(report, 'steps')
  line(`  ${steps} steps on both, seed ${seed}`)
  begin('Chains', progress())
  const looking = setInterval(() => begin('Chains', progress()), lookMs)
  const limit = `--test-timeout=${(startSecondsMax + steps * secondsPerStepMax) * 1000}`
  const more = { FAULTS_REPORT: report, FAULTS_CHAINS: String(steps), LITECOIND_PATH: path }
  const { code, output } = await runQuietly(pinnedNode, ['--test', limit, join(checkout, chains.file)], {
    cwd: checkout,
    env: { ...env, ...more },
  })
  clearInterval(looking)
  done(progress())
  if (code !== 0) line(output)
  table([report].flatMap((file) => sum(linesOf(file).flatMap((told) => told.figures ?? [])) ?? []))
  line(
    code === 0
      ? `litecoind and the simulator said the same after each of ${steps} steps, in ${seconds(since)}.`
      : `FAILED after ${seconds(since)}: again with --seed ${seed}.`,
  )
  return code === 0 ? 0 : 1
}

/** Where the tests tell what they see. @param {string} folder @param {string} kind */
function reportOf(folder, kind) {
  const report = join(folder, `${kind}.report`)
  rmSync(report, { force: true })
  return report
}

/**
 * Each has a PostgreSQL of its own, so they do not disturb each other.
 * @param {{ kind: string, file: string, kills: number, report: string }} part
 * @param {NodeJS.ProcessEnv} env
 */
function killAndCompare({ kind, file, kills, report }, env) {
  const limit = `--test-timeout=${(startSecondsMax + kills * secondsPerKillMax) * 1000}`
  const more = { FAULTS_REPORT: report, [`FAULTS_${kind.toUpperCase()}_KILLS`]: String(kills) }
  return runQuietly(pinnedNode, ['--test', limit, join(checkout, file)], { cwd: checkout, env: { ...env, ...more } })
}

/** @param {string[]} args */
function read(args) {
  const { values } = parsed(args)
  const kills = Number(values.kills ?? killsUsual)
  const events = values.webhooks === undefined ? null : Number(values.webhooks)
  const steps = values.chains === undefined ? null : Number(values.chains)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
  if (!Number.isInteger(kills) || kills < 1 || kills > killsMax)
    throw new Refusal(`--kills is a whole number from 1 to ${killsMax}.`)
  if (events !== null && (!Number.isInteger(events) || events < 1 || events > eventsMax))
    throw new Refusal(`--webhooks is a whole number from 1 to ${eventsMax}.`)
  if (steps !== null && (!Number.isInteger(steps) || steps < 1 || steps > stepsMax))
    throw new Refusal(`--chains is a whole number from 1 to ${stepsMax}.`)
  if ([values.kills, values.webhooks, values.chains].filter((given) => given !== undefined).length > 1)
    throw new Refusal('Give --kills, --webhooks or --chains: one after the other.')
  if (!Number.isInteger(seed) || seed < 0) throw new Refusal('--seed is a whole number.')
  return { kills, events, steps, seed }
}

/** @param {string[]} args */
function parsed(args) {
  try {
    return parseArgs({
      args,
      options: {
        kills: { type: 'string' },
        webhooks: { type: 'string' },
        chains: { type: 'string' },
        seed: { type: 'string' },
      },
    })
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

/** @param {string} file @param {string} what */
function progressOf(file, what = 'kills') {
  const last = linesOf(file).findLast((told) => 'progress' in told)
  return last ? `${last.progress.done} of ${last.progress.of} ${what}` : `no ${what} yet`
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
    line(`  ${[...kinds, webhooks, chains].find((one) => one.kind === kind)?.name}`)
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
