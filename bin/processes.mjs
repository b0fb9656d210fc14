/**
 * Processes by pid AND start time: a pid alone is given to somebody else sooner or later, after a restart of a
 * container within seconds.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** @typedef {{ pid: number, started: string }} Process */

/** @type {string | undefined} */
let boot

/** This process. @type {Process} */
export const self = { pid: process.pid, started: startedAt(process.pid) ?? 'unknown' }

/**
 * When the process started, as a word that no later process with the same pid bears; null when there is no such process.
 * Linux: clock ticks since boot, with the boot's own id. macOS: the second.
 * @param {number} pid
 * @returns {string | null}
 */
export function startedAt(pid) {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      // The name in brackets may hold spaces and brackets itself: count from the last one.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (fields[0] === 'Z' || fields[0] === 'X') return null
      return `${bootId()}-${fields[19]}`
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
      return null
    }
  }
  try {
    const text = execFileSync('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { LC_ALL: 'C' },
    })
    if (text.trim().startsWith('Z')) return null
    return text
      .trim()
      .replace(/^\S+\s+/, '')
      .replace(/\W+/g, '-')
  } catch {
    return null
  }
}

function bootId() {
  if (boot === undefined) {
    try {
      boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
    } catch {
      boot = 'boot'
    }
  }
  return boot
}

/** @param {Process} process */
export function isAlive({ pid, started }) {
  return startedAt(pid) === started
}

/**
 * Is this process a postmaster that works in this data folder? A postmaster's working directory is its data folder,
 * which nobody can claim by accident.
 * @param {number} pid
 * @param {string} folder with every link resolved
 */
export function isPostmasterOf(pid, folder) {
  if (startedAt(pid) === null) return false
  if (process.platform === 'linux') {
    const words = read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')) ?? []
    if (!/(^|\/)postgres$/.test(words[0] ?? '')) return false
    const workingDirectory = read(() => readlinkSync(`/proc/${pid}/cwd`))
    return workingDirectory === undefined ? words.includes(folder) : workingDirectory === folder
  }
  const command = read(() => execFileSync('/bin/ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })) ?? ''
  return /(^|\/)postgres /.test(command) && command.includes(` -D ${folder} `)
}

/** @template T @param {() => T} look @returns {T | undefined} */
function read(look) {
  try {
    return look()
  } catch {
    return undefined
  }
}

/**
 * Waits until the process is gone.
 * @param {Process} process
 * @param {number} limitSeconds
 * @returns {Promise<boolean>} whether it is
 */
export async function gone(process, limitSeconds) {
  const end = performance.now() + limitSeconds * 1000
  while (isAlive(process)) {
    if (performance.now() > end) return false
    await sleep(20)
  }
  return true
}

/** A signal to a process that may have just ended. @param {number} pid @param {NodeJS.Signals} signal */
export function signal(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error
  }
}
