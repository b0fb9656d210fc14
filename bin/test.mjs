/**
 * `npm test`: everything that must pass, on a PostgreSQL of its own. `npm test -- <path or pattern>` runs these
 * tests only: node's (`.test.ts`) and the browser's (`.spec.ts`).
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { architectureTest, runChecks } from './check.mjs'
import { ensureChromium } from './chromium.mjs'
import { endWith, giveBackLast, keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout, dataFolder, makeFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { ensureLitecoind, notRun } from './litecoind.mjs'
import { giveBack, inMemory, settingsInMemory } from './memory.mjs'
import { startCluster, stopLeftBehind } from './postgres.mjs'
import { ensurePostgres15 } from './postgres15.mjs'
import { begin, done, Refusal, warn } from './say.mjs'
import { report, timed } from './steps.mjs'
import { buildWeb, webFolder } from './web.mjs'

/** @typedef {import('./steps.mjs').Step} Step */

const rooms = ['bench', 'contract', 'server', 'sandbox', 'test', 'web']
const browserTests = 'test/playwright.config.ts'
const filesAtOnce = 2
/** Of a file as well: the longest takes a minute and a half, and some machines are slow. */
const testSecondsMax = 600

/**
 * The tests that run on PostgreSQL 15 too, the oldest that the product promises to run on: those of what is written in SQL, where the
 * versions differ in what they know, plan and lock. The rest asks the database nothing that these do not.
 */
const alsoOnPostgres15 = [
  'server/ledger/',
  'server/orders/orders.test.ts',
  'server/platform/migrate.test.ts',
  'test/audit.test.ts',
  'test/backup.test.ts',
  'test/ledger/streams.test.ts',
  'test/stories/r5-orders.test.ts',
  'test/stories/r5-rest-of-orders.test.ts',
]
/** What is measured there is told from the noise of the machine: these run with nothing beside them. */
const byThemselves = ['test/faults/overload.test.ts', 'server/accounts/timing.test.ts']
/**
 * Several processes on one database: what they promise each other, and tell each other by the relay, is the same on both, so it is
 * proven where less is known.
 */
const onlyOnPostgres15 = ['test/processes/']

/** Settings of the product that a person may have in his shell; the tests bring their own. */
const settings =
  /^(HOST|PORT|ROLE|PUBLIC_URL|TRUST_PROXY|SERVER_URL|DATA_DIR|DATABASE_URL|MIGRATION_DATABASE_URL|MODE|AUTH_SECRET|NODE_ENV|SEAL_FILE|SMTP_URL|MAIL_FROM|DRAIN_MS|METRICS_TOKEN|SUPPORT_EMAIL|TAX_NOTE|STATEMENT_TEXT|RATE_URLS|SECOND_PERSON_ABOVE|((BITCOIN|LITECOIN|ETHEREUM|EVM)_(KEY|RPC_URLS|EXPLORER))|(STRIPE|CARD|SMS|TWILIO|SANDBOX|TOPUP|ORDER|NUMBER|BRAND|SELLER)_.*)$/

/** @param {string} name of an environment variable */
export function isSetting(name) {
  return settings.test(name)
}

/** @param {string[]} wanted paths or parts of paths; none: everything @returns {Promise<number>} the exit code */
export async function test(wanted) {
  checkPlatform()
  return withCrew(async () => {
    const folder = await holdTests()
    keepLock(await preparePackages('test'))
    const all = wanted.length === 0
    // With everything, the architecture has been checked among the checks.
    const files = testFiles(wanted, '.test.ts').filter((file) => !all || file !== architectureTest)
    const inBrowser = testFiles(wanted, '.spec.ts')
    if (files.length + inBrowser.length === 0)
      throw new Refusal(`No test file matches ${wanted.join(' ')}: give a path, or a part of one, such as orders.`)

    const old = files.filter((file) => isIn(file, alsoOnPostgres15) || isIn(file, onlyOnPostgres15))
    const measured = files.filter((file) => isIn(file, byThemselves))
    const usual = files.filter((file) => !isIn(file, onlyOnPostgres15) && !isIn(file, byThemselves))
    const env = { ...(await openTests(folder)), WEB_DIST: webFolder, LITECOIND_PATH: '' }
    /** @type {Step[]} */
    const steps = []
    const run = async (/** @type {string} */ name, /** @type {() => Promise<boolean>} */ work) =>
      void steps.push(await timed(name, work))
    const node = async (/** @type {string[]} */ args, more = {}) =>
      (await runInSight(pinnedNode, args, { cwd: checkout, env: { ...env, ...more } })) === 0

    if (all) steps.push(...(await runChecks()))
    await run('pages built', () => unlessRefused(buildWeb))
    const isRealNodeMissing = await needLitecoind(files, run, env)
    const nodeTests = (/** @type {string[]} */ names, more = {}, atOnce = filesAtOnce) =>
      node(['--test', `--test-concurrency=${atOnce}`, `--test-timeout=${testSecondsMax * 1000}`, ...names], more)
    if (measured.length > 0)
      await run(`node tests by themselves (${measured.length} files)`, () => nodeTests(measured, {}, 1))
    if (usual.length > 0) await run(`node tests (${usual.length} files)`, () => nodeTests(usual))

    if (all) await run('canaries', () => node([join('test', 'canaries', 'canaries.ts')]))

    let chromium = ''
    if (inBrowser.length > 0 || files.some((file) => isIn(file, onlyOnPostgres15))) {
      const find = async () => {
        chromium = await ensureChromium()
      }
      await run('Chromium found', () => unlessRefused(find))
    }
    if (old.length > 0) {
      let url = ''
      const find = async () => {
        url = await freshPostgres15(join(folder, '15'), await ensurePostgres15())
      }
      await run('PostgreSQL 15 found', () => unlessRefused(find))
      if (url)
        await run(`node tests on PostgreSQL 15 (${old.length} files)`, () =>
          nodeTests(old, { TEST_DATABASE_URL: url, CHROMIUM_PATH: chromium }),
        )
    }
    if (inBrowser.length > 0 && chromium) {
      const cli = join('node_modules', '@playwright', 'test', 'cli.js')
      const args = [cli, 'test', '-c', browserTests, ...(all ? [] : inBrowser)]
      await run('browser tests', () => node(args, { CHROMIUM_PATH: chromium }))
    }
    if (isRealNodeMissing) warn(notRun)
    return report(steps)
  })
}

/**
 * Where one of the tests runs on it. @param {string[]} files
 * @param {(name: string, work: () => Promise<boolean>) => Promise<void>} run
 * @param {{ LITECOIND_PATH: string }} env is told where it is
 * @returns {Promise<boolean>} whether there is none
 */
async function needLitecoind(files, run, env) {
  if (!files.some((file) => readFileSync(join(checkout, file), 'utf8').includes('litecoind'))) return false
  const find = async () => {
    env.LITECOIND_PATH = (await ensureLitecoind()) ?? ''
  }
  await run('litecoind found', () => unlessRefused(find))
  return env.LITECOIND_PATH === ''
}

/** One at a time in a checkout. @returns {Promise<string>} the folder of the tests' own data */
export async function holdTests() {
  const folder = join(dataFolder({ ...process.env, DATA_DIR: undefined }), 'test')
  const held = await holdData(folder, { verb: 'test' })
  if (!held.ok) throw new Refusal(`The tests already run in process ${held.holder.pid}: wait for it to end.`)
  keepLock(held.lock)
  return folder
}

/** A PostgreSQL and an empty folder for them, as their environment. @param {string} folder that is held */
export async function openTests(folder) {
  return {
    ...testEnvironment(),
    TEST_DATABASE_URL: await freshDatabase(folder),
    MOBILESMS_TEST_DATA: freshFolder(folder),
  }
}

/** @param {() => Promise<void>} work */
async function unlessRefused(work) {
  try {
    await work()
    return true
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    warn(error.message)
    return false
  }
}

/** @param {string} file @param {string[]} places folders and files */
function isIn(file, places) {
  return places.some((place) => file === place || (place.endsWith('/') && file.startsWith(place)))
}

/** A cluster that no earlier run has touched. @param {string} folder @param {string} [programs] */
export async function freshDatabase(folder, programs) {
  begin('Database', 'starting')
  const memory = inMemory(folder)
  const place = memory ?? folder
  for (const left of new Set([folder, place])) {
    await stopLeftBehind(left)
    rmSync(join(left, 'postgres'), { recursive: true, force: true })
  }
  if (memory !== null) giveBackLast(() => giveBack(memory, folder))
  const cluster = await startCluster({
    folder: place,
    connectionsMax: 300,
    ...(memory === null ? {} : { more: settingsInMemory }),
    ...(programs === undefined ? {} : { programs }),
    onLost: (sentence) => endWith({ code: 1, sentence }),
  })
  done(`PostgreSQL ${cluster.version} at 127.0.0.1:${cluster.port}${memory === null ? '' : ', in memory'}`)
  return cluster.url('postgres')
}

/** @param {string} folder @param {string} programs */
function freshPostgres15(folder, programs) {
  makeFolder(folder)
  return freshDatabase(folder, programs)
}

/** An empty folder for what the tests keep. @param {string} folder */
function freshFolder(folder) {
  const files = join(folder, 'files')
  rmSync(files, { recursive: true, force: true })
  makeFolder(files)
  return files
}

export function testEnvironment() {
  return Object.fromEntries(Object.entries(childEnvironment(process.env)).filter(([name]) => !isSetting(name)))
}

/** @param {string[]} wanted @param {string} ending of the files' names */
function testFiles(wanted, ending) {
  const files = rooms
    .filter((room) => existsSync(join(checkout, room)))
    .flatMap((room) =>
      readdirSync(join(checkout, room), { recursive: true, encoding: 'utf8' }).map((file) => join(room, file)),
    )
    .filter((file) => file.endsWith(ending))
    .sort()
  if (wanted.length === 0) return files
  return files.filter((file) =>
    wanted.some((want) => {
      const path = relative(checkout, resolve(process.env['INIT_CWD'] ?? process.cwd(), want))
      return file === path || file.startsWith(`${path}/`) || file.includes(want)
    }),
  )
}
