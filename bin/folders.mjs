/**
 * Where things are kept, and under which user the database runs.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Refusal } from './say.mjs'

/** The checkout that this launcher belongs to. */
export const checkout = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..'))

const root = process.getuid?.() === 0

/**
 * The user under whom PostgreSQL runs: ourselves (null), or, as root, somebody without powers.
 * @typedef {{ uid: number, gid: number, name: string } | null} DatabaseUser
 */

/**
 * PostgreSQL refuses to run as root. The owner of a cluster that exists keeps it; a new one goes to `nobody`, who exists
 * everywhere, so that no user is made on the machine.
 * @param {string} dataFolder
 * @returns {DatabaseUser}
 */
export function databaseUser(dataFolder) {
  if (!root) return null
  const owner = statSync(join(dataFolder, 'postgres'), { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name: nameOf(owner.uid) }
  return { ...nobody(), name: 'nobody' }
}

function nobody() {
  try {
    const id = (/** @type {string} */ flag) =>
      Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8', stdio: 'pipe' }))
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return { uid: 65534, gid: 65534 }
  }
}

/** @param {number} uid */
function nameOf(uid) {
  try {
    return execFileSync('id', ['-nu', String(uid)], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return `number ${uid}`
  }
}

/**
 * Whether the database's user can use what lies at this path. Asked of the kernel under that user, because mode bits
 * alone do not know about access lists and mounts.
 * @param {string} path
 * @param {DatabaseUser} user
 */
export function reaches(path, user) {
  if (user === null) {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  const asked = spawnSync('test', ['-x', path], { uid: user.uid, gid: user.gid, cwd: '/' })
  if (asked.error) {
    throw new Refusal(
      `PostgreSQL must not run as root, and this machine does not let root start a program as ${user.name} ` +
        `(${asked.error.message}): start as an ordinary user, or set DATABASE_URL.`,
    )
  }
  return asked.status === 0
}

/**
 * The data folder: `DATA_DIR`, else `.data` in the checkout where the database's user can reach it, else the user's
 * state folder, which for root is `/var/lib/mobilesms`.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [at] the checkout
 */
export function dataFolder(env, at = checkout) {
  if (env['DATA_DIR']) return resolve(env['DATA_DIR'])
  const inside = join(at, '.data')
  const fits = root ? reaches(at, databaseUser(inside)) : writable(existsSync(inside) ? inside : at)
  if (fits) return inside
  if (existsSync(join(inside, 'postgres'))) {
    throw new Refusal(
      `The data in ${inside} is out of reach (${root ? `for ${databaseUser(inside)?.name}, who runs its database` : 'not writable'}): ` +
        'open the folders above it again, or set DATA_DIR.',
    )
  }
  const name = createHash('sha256').update(at).digest('hex').slice(0, 12)
  if (root) return join('/var/lib/mobilesms', name)
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'mobilesms', name)
}

/** @param {string} path */
function writable(path) {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Makes a folder and those above it. As root they may be passed through, and not read, by the database's user whatever
 * the machine's umask; otherwise they are ours alone.
 * @param {string} path
 */
export function makeFolder(path) {
  try {
    const missing = []
    for (let at = path; !existsSync(at); at = dirname(at)) missing.push(at)
    for (const at of missing.reverse()) makeOne(at)
    if (!statSync(path).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new Refusal(
      `Cannot write to ${path} (${reasonOf(error)}): set DATA_DIR to a folder that this user may write.`,
    )
  }
}

/** @param {string} path */
function makeOne(path) {
  try {
    // Not recursive: Node's own loop for that never ends where the kernel answers ENOENT below a folder that exists (/proc).
    mkdirSync(path)
  } catch (error) {
    // Another launcher may be making the same folder.
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return
    throw error
  }
  chmodSync(path, root ? 0o711 : 0o700)
}

/** @param {unknown} error */
export function reasonOf(error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
  const words = {
    EACCES: 'permission denied',
    EPERM: 'not permitted',
    ENOTDIR: 'a part of the path is a file',
    EROFS: 'read-only',
    ENOENT: 'it cannot be made there',
    ENOSPC: 'the disk is full',
    EEXIST: 'a file is in its place',
  }
  return words[/** @type {keyof typeof words} */ (code)] ?? message
}

/** @param {string} file @returns {any} the parsed content; undefined where there is no such file */
export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined
    throw error
  }
}
