/**
 * A real node of a bitcoin-type network, for the tests that read one: `litecoind`, the machine's own or its distribution's. Bitcoin's own
 * program is in no distribution that could be relied on.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installer } from './apt.mjs'
import { runQuietly } from './crew.mjs'
import { begin, done, Refusal, warn } from './say.mjs'

/** The program itself; what Debian has in /usr/bin writes a configuration into the user's home. */
const usualPlaces = ['/usr/lib/litecoin/litecoind', '/usr/local/bin/litecoind', '/opt/homebrew/bin/litecoind']

/** For whoever reads what the tests said. */
export const notRun =
  'NOT RUN on a real node: what reads Bitcoin and Litecoin was tried on the simulator only, because there is no litecoind here. ' +
  'Install it (Debian 12: apt-get install litecoind; others: from litecoin.org), or set LITECOIND_PATH to the program.'

/**
 * @returns {Promise<string | null>} where it is; null: there is none, and the tests run without. Refused under CI, where nothing may be
 * left out
 */
export async function ensureLitecoind() {
  begin('litecoind', 'looking')
  const given = process.env['LITECOIND_PATH']
  if (given) {
    const trouble = await troubleWith(given)
    if (trouble) throw new Refusal(`LITECOIND_PATH is ${given}, but ${trouble}: correct it, or unset it.`)
    return found(given)
  }
  const there = await firstThatRuns()
  if (there) return found(there)
  done('none on this machine, installing it')
  const installing = await installer()
  if (installing) {
    await installing.apt('update')
    await installing.apt('install', '-y', '--no-install-recommends', 'litecoind')
  }
  const installed = await firstThatRuns()
  if (installed) {
    begin('litecoind')
    return found(installed)
  }
  if (process.env['CI'] === 'true') throw new Refusal(`CI must run everything: ${notRun}`)
  warn(notRun)
  return null
}

/** @param {string} path */
function found(path) {
  done(path)
  return path
}

async function firstThatRuns() {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'litecoind'))
  // Debian's wrapper comes last: the first place has what it wraps.
  for (const path of [...usualPlaces, ...onPath])
    if (existsSync(path) && (await troubleWith(path)) === null) return path
  return undefined
}

/** @param {string} path @returns {Promise<string | null>} */
async function troubleWith(path) {
  const { code, output, error } = await runQuietly(path, ['--version'], { timeout: 20_000 })
  if (code !== 0) return `it does not run (${error?.message ?? output.trim().split('\n')[0]})`
  return /Litecoin Core.* version v(0\.2[1-9]|[1-9])/.test(output)
    ? null
    : 'it is no Litecoin Core from version 0.21 on'
}
