/**
 * Who holds a folder. Every claimant owns one file in the lock's folder, named after its mode, pid and start time; it
 * announces itself first and looks at the others then, so of two claimants at least one sees the other. A file of a
 * dead process says so by its name and may be removed by anyone: no later process can bear the same name, so a take-over
 * cannot remove the claim of somebody who was quicker.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, self } from './processes.mjs'

/** @typedef {import('./processes.mjs').Process} Process */
/** @typedef {'shared' | 'exclusive'} Mode */
/**
 * What a holder tells others about itself. `started` are the processes it began, for whoever cleans up after its death.
 * @typedef {{ verb: string, address?: string, children?: (Process & { name: string })[] }} About
 */
/** @typedef {About & Process & { mode: Mode, held: boolean }} Holder */
/**
 * @typedef {object} Lock
 * @property {(about: Partial<About>) => void} tell changes what others read about this holder
 * @property {() => void} release
 */

const attemptsMax = 40

/**
 * Takes the lock, or says who stands in the way. An exclusive claim waits for nobody; one that meets another claim in
 * the making tries again after a random pause.
 * @param {string} folder of the lock; made when missing
 * @param {Mode} mode
 * @param {About} about
 * @param {(left: Holder) => Promise<void>} [cleanUp] called for each dead holder before its claim is removed
 * @returns {Promise<{ ok: true, lock: Lock } | { ok: false, holders: Holder[] }>}
 */
export async function claim(folder, mode, about, cleanUp) {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${mode}.${self.pid}.${self.started}.json`)
  let told = { ...about }
  const write = (/** @type {boolean} */ held) => writeWhole(file, JSON.stringify({ ...told, ...self, mode, held }))

  for (let attempt = 1; ; attempt++) {
    write(false)
    const others = (await look(folder, cleanUp)).filter((other) => conflict(mode, other))
    if (others.length === 0) break
    rmSync(file, { force: true })
    const settled = others.filter((other) => other.held)
    if (settled.length > 0) return { ok: false, holders: settled }
    if (attempt === attemptsMax) return { ok: false, holders: others }
    await sleep(10 + Math.random() * 40)
  }
  write(true)
  return {
    ok: true,
    lock: {
      tell: (more) => {
        told = { ...told, ...more }
        write(true)
      },
      release: () => rmSync(file, { force: true }),
    },
  }
}

/** @param {Mode} mode @param {Holder} other */
function conflict(mode, other) {
  const own = other.pid === self.pid && other.started === self.started
  return !own && (mode === 'exclusive' || other.mode === 'exclusive')
}

/**
 * @param {string} folder
 * @param {(left: Holder) => Promise<void>} [cleanUp]
 * @returns {Promise<Holder[]>} who is alive
 */
async function look(folder, cleanUp) {
  const alive = []
  for (const name of namesIn(folder)) {
    const match = /^(shared|exclusive)\.(\d+)\.(.+)\.json$/.exec(name)
    if (!match) continue
    const [, mode, pid, started] = /** @type {[string, Mode, string, string]} */ (/** @type {unknown} */ (match))
    const holder = { ...contentOf(join(folder, name)), mode, pid: Number(pid), started }
    if (isAlive(holder)) {
      alive.push(holder)
      continue
    }
    await cleanUp?.(holder)
    rmSync(join(folder, name), { force: true })
  }
  return alive
}

/** @param {string} folder */
function namesIn(folder) {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return []
    throw error
  }
}

/** @param {string} file @returns {About & { held: boolean }} */
function contentOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // Removed by its owner between the listing and here, or cut short by a full disk: the name says all that is needed.
    return { verb: 'unknown', held: false }
  }
}

/**
 * Writes a file so that a reader sees the old content or the new, never half of it.
 * @param {string} file
 * @param {string} text
 * @param {number} [mode]
 */
export function writeWhole(file, text, mode = 0o600) {
  const draft = `${file}.${process.pid}.draft`
  writeFileSync(draft, text, { mode })
  renameSync(draft, file)
}
