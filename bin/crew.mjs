/**
 * Everything that this launcher started, and its end: in order, within 5 seconds, whatever the reason.
 */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog, tailOf } from './logs.mjs'
import { gone, signal, startedAt } from './processes.mjs'
import { Refusal } from './say.mjs'

/** @typedef {import('./processes.mjs').Process} Process */
/** @typedef {import('./locks.mjs').Lock} Lock */
/** @typedef {{ code: number, sentence?: string }} End */
/**
 * @typedef {object} Program
 * @property {string} name
 * @property {import('node:child_process').ChildProcess} child
 * @property {Promise<string>} died how it ended, in words
 * @property {string | null} logFile
 * @property {() => string} said what it wrote since its start, at most 64 KiB
 */

const patienceSeconds = 4
const outputCharactersMax = 65_536

/** @type {Program[]} */
const programs = []
/** Commands that run to an end of their own. @type {Set<Pick<Program, 'child' | 'died'>>} */
const commands = new Set()
/** @type {(() => Promise<void>)[]} */
const databases = []
/** What the databases leave. @type {(() => void)[]} */
const leavings = []
/** @type {Lock[]} */
const locks = []
let stopping = false

/** @type {(end: End) => void} */
let tellEnd
/** Settled by the first reason to end: a signal, or something that cannot be mended. @type {Promise<End>} */
const ending = new Promise((tell) => {
  tellEnd = tell
})

/** @param {End} end */
export function endWith(end) {
  tellEnd(end)
}

/**
 * Does the work until it returns or a reason to end comes up, then stops everything that was started.
 * @param {() => Promise<number | 'stay'>} work returns the exit code, or 'stay' to run until a signal
 * @returns {Promise<number>} the exit code
 */
export async function withCrew(work) {
  let staying = false
  // Ctrl-C, an orderly kill, a closed terminal: the proper end of what stays, and a failure of what was not finished.
  // Repeats are ignored: npm passes on what the terminal sends as well.
  for (const [name, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
    process.on(name, () => endWith({ code: staying ? 0 : 128 + number }))
  }
  try {
    const worked = work().then((code) => {
      staying = code === 'stay'
      return code === 'stay' ? ending : { code }
    })
    // Work that is interrupted fails in its own way; the reason to end has been told already.
    worked.catch(() => {})
    /** @type {End} */
    const { code, sentence } = await Promise.race([worked, ending])
    if (sentence) throw new Refusal(sentence)
    return code
  } finally {
    await stopEverything()
  }
}

/** @param {Lock} lock released after everything has stopped */
export function keepLock(lock) {
  locks.push(lock)
}

/** @param {() => Promise<void>} stop a database, when nobody needs it any more */
export function stopLast(stop) {
  databases.push(stop)
}

/** @param {() => void} giveBack what nobody needs when everything has stopped, the databases too */
export function giveBackLast(giveBack) {
  leavings.push(giveBack)
}

/**
 * Starts a program of ours that stays. It has a channel to this launcher and ends itself when that breaks, in a process
 * group of its own: a terminal's Ctrl-C reaches the launcher alone, which stops everything in order.
 * @param {object} wish
 * @param {string} wish.name as a person calls it: 'server'
 * @param {string} wish.command
 * @param {string[]} wish.args
 * @param {NodeJS.ProcessEnv} wish.env
 * @param {string} wish.cwd
 * @param {string | null} wish.logFile null: what it writes goes where the launcher's output goes
 * @returns {Program}
 */
export function startProgram({ name, command, args, env, cwd, logFile }) {
  refuseWhenStopping()
  const log = logFile === null ? null : openLog(logFile)
  const from = log ? statSync(log.file).size : 0
  const out = log ? log.fd : 'inherit'
  const child = spawn(command, args, { env, cwd, detached: true, stdio: ['ignore', out, out, 'ipc'] })
  /** @type {Promise<string>} */
  const died = new Promise((tell) => {
    child.once('error', (error) => tell(error.message))
    child.once('exit', (code, by) => tell(by ?? `exit code ${code}`))
  })
  const program = { name, child, died, logFile, said: () => (log ? tailOf(log.file, from) : '') }
  programs.push(program)
  void died.then((how) => {
    if (stopping) return
    const said = program.said().trim().split('\n').slice(-12).join('\n')
    endWith({
      code: 1,
      sentence: `The ${name} stopped by itself (${how}), so everything was stopped.${said ? ` It said last:\n${said}` : ''}`,
    })
  })
  const lock = locks[0]
  lock?.tell({ children: programs.flatMap(asProcess) })
  return program
}

/** @param {Program} program @returns {(Process & { name: string })[]} */
function asProcess({ name, child }) {
  const started = child.pid === undefined ? null : startedAt(child.pid)
  return child.pid === undefined || started === null ? [] : [{ pid: child.pid, started, name }]
}

/**
 * Runs a command to its end, in sight of the person.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number>} its exit code
 */
export async function runInSight(command, args, options) {
  const { code, error } = await run(command, args, { ...options, stdio: 'inherit' })
  if (error) throw new Refusal(`${command} cannot be run: ${error.message}.`)
  return code ?? 1
}

/**
 * Runs a command to its end and keeps the last 64 KiB of what it says.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { input?: string }} [options]
 */
export async function runQuietly(command, args, { input = '', ...options } = {}) {
  return run(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] }, input)
}

/** @typedef {{ code: number | null, output: string, error?: Error }} Ran */
/**
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @param {string} [input]
 * @returns {Promise<Ran>}
 */
function run(command, args, options, input = '') {
  refuseWhenStopping()
  return new Promise((tell) => {
    let output = ''
    // A group of its own, so that whatever it starts can be ended with it.
    const child = spawn(command, args, { ...options, detached: true })
    const hear = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk).slice(-outputCharactersMax)
    }
    // A command that does not read its input is no mistake.
    child.stdin?.on('error', () => {}).end(input)
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    /** @type {Promise<string>} */
    const died = new Promise((over) => {
      child.once('error', (error) => {
        tell({ code: null, output, error })
        over(error.message)
      })
      child.once('close', (code, by) => {
        tell({ code, output })
        over(by ?? `exit code ${code}`)
      })
    })
    const running = { child, died }
    commands.add(running)
    void died.then(() => commands.delete(running))
  })
}

function refuseWhenStopping() {
  if (stopping) throw new Refusal('Stopped.')
}

/**
 * The last started first, so that the server's requests in flight still find the outside world; then the database.
 * Who does not end within 4 seconds is killed.
 */
async function stopEverything() {
  stopping = true
  const end = performance.now() + patienceSeconds * 1000
  const everyone = [...commands, ...programs.reverse()]
  for (const [place, { child, died }] of everyone.entries()) {
    endGroup(child, 'SIGTERM')
    // Those behind it keep a quarter of the time that is left.
    const share = place === everyone.length - 1 ? 1 : 3 / 4
    await Promise.race([died, sleep(Math.max(0, end - performance.now()) * share)])
  }
  await Promise.race([Promise.all(everyone.map(({ died }) => died)), sleep(Math.max(0, end - performance.now()))])
  for (const { child } of everyone) endGroup(child, 'SIGKILL')
  await Promise.all(databases.map((stop) => stop()))
  for (const giveBack of leavings) giveBack()
  for (const lock of locks) lock.release()
}

/**
 * A signal to a process with whatever it started itself.
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} by
 */
function endGroup({ pid }, by) {
  if (pid !== undefined) signal(-pid, by)
}

/**
 * Ends the programs of a launcher that died: they end themselves when they notice, and this waits for it, and helps.
 * @param {import('./locks.mjs').Holder} left
 */
export async function endLeftBehind({ children = [] }) {
  const alive = children.filter((child) => startedAt(child.pid) === child.started)
  for (const { pid } of alive) signal(pid, 'SIGTERM')
  for (const child of alive) {
    if (await gone(child, patienceSeconds)) continue
    signal(child.pid, 'SIGKILL')
    await gone(child, 1)
  }
}
