/**
 * Packages of a Debian or Ubuntu, for what only the tests need.
 */
import { runQuietly } from './crew.mjs'
import { line } from './say.mjs'

/** @typedef {(...args: string[]) => Promise<boolean>} Run */

/**
 * Whoever may install here: runs commands with the powers that it takes, and says which.
 * @returns {Promise<{ run: Run, apt: Run } | undefined>} undefined: this is no such system, or this user may not
 */
export async function installer() {
  const root = process.getuid?.() === 0
  if ((await runQuietly('apt-get', ['--version'])).code !== 0) return undefined
  if (!root && (await runQuietly('sudo', ['-n', 'true'])).code !== 0) return undefined
  /** @type {Run} */
  const run = async (...words) => {
    const [command = '', ...rest] = root ? words : ['sudo', '-n', ...words]
    line(`  ${[command, ...rest].join(' ')}`)
    const { code, output } = await runQuietly(command, rest, { timeout: 600_000 })
    if (code !== 0) line(output.trim().split('\n').slice(-6).join('\n'))
    return code === 0
  }
  /** @type {Run} */
  const apt = (...args) =>
    run('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', ...args)
  return { run, apt }
}
