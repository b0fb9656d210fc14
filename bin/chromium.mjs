/**
 * A Chromium for the browser tests: the machine's own, or one installed from its distribution, or Playwright's.
 */
import { join } from 'node:path'
import { installer } from './apt.mjs'
import { runInSight, runQuietly } from './crew.mjs'
import { checkout } from './folders.mjs'
import { childEnvironment, pinnedNode } from './install.mjs'
import { begin, done, line, Refusal } from './say.mjs'

const usualPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const playwright = join(checkout, 'node_modules', 'playwright-core', 'cli.js')

/** @returns {Promise<string>} the path of a Chromium that runs */
export async function ensureChromium() {
  begin('Chromium', 'looking')
  const given = process.env['CHROMIUM_PATH']
  if (given) {
    if (await runs(given)) return found(given)
    throw new Refusal(`CHROMIUM_PATH is ${given}, which does not run: correct it, or unset it.`)
  }
  const there = (await firstThatRuns(usualPlaces)) ?? (await playwrightsOwn())
  if (there) return found(there)
  done('none on this machine, installing one')
  const installed = (await fromDistribution()) ?? (await fromPlaywright())
  if (installed) {
    begin('Chromium')
    return found(installed)
  }
  throw new Refusal(
    'No Chromium could be installed (see above): install one and set CHROMIUM_PATH to its path, then run npm test again.',
  )
}

/** @param {string} path */
function found(path) {
  done(path)
  return path
}

/** @param {string[]} paths */
async function firstThatRuns(paths) {
  for (const path of paths) if (await runs(path)) return path
  return undefined
}

/** Asked by running it: some distributions put a stub there that only says where to get the real one. @param {string} path */
async function runs(path) {
  const { code, output } = await runQuietly(path, ['--version'], { timeout: 20_000 })
  return code === 0 && /Chrom(ium|e)/.test(output)
}

async function fromDistribution() {
  const installing = await installer()
  if (!installing) return undefined
  await installing.apt('update')
  await installing.apt('install', '-y', '--no-install-recommends', 'chromium')
  return firstThatRuns(usualPlaces)
}

async function fromPlaywright() {
  const args = [playwright, 'install', ...(process.getuid?.() === 0 ? ['--with-deps'] : []), 'chromium']
  line(`  playwright ${args.slice(1).join(' ')}`)
  await runInSight(pinnedNode, args, { cwd: checkout, env: childEnvironment(process.env), timeout: 600_000 })
  return playwrightsOwn()
}

async function playwrightsOwn() {
  const ask = "import('playwright-core').then(({ chromium }) => console.log(chromium.executablePath()))"
  const { code, output } = await runQuietly(pinnedNode, ['-e', ask], {
    cwd: checkout,
    env: childEnvironment(process.env),
  })
  const path = output.trim()
  return code === 0 && path && (await runs(path)) ? path : undefined
}
