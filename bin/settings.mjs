/**
 * What the launcher decides for the programs it starts: addresses, secrets, and in sandbox mode the sandbox's keys.
 */
import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { readJson } from './folders.mjs'
import { writeWhole } from './locks.mjs'
import { Refusal } from './say.mjs'

/**
 * @typedef {object} Settings
 * @property {'sandbox' | 'production'} mode
 * @property {string} host
 * @property {number} port
 * @property {number} sandboxPort
 * @property {string} publicUrl where browsers find the product
 * @property {string} serverUrl where the sandbox finds the server
 * @property {string} sandboxUrl
 * @property {string | undefined} databaseUrl given from outside: no PostgreSQL of ours is started
 */

/** @param {NodeJS.ProcessEnv} env @returns {Settings} */
export function readSettings(env) {
  const mode = env['MODE'] || (/^(sk|rk)_live_/.test(env['STRIPE_SECRET_KEY'] ?? '') ? 'production' : 'sandbox')
  if (mode !== 'sandbox' && mode !== 'production') {
    throw new Refusal(`MODE is "${mode}": set it to sandbox or to production.`)
  }
  const host = env['HOST'] || '127.0.0.1'
  const port = portOf('PORT', env['PORT'] || '3000')
  const sandboxPort = mode === 'sandbox' ? portOf('SANDBOX_PORT', env['SANDBOX_PORT'] || String(port + 1)) : 0
  if (port === sandboxPort) throw new Refusal(`PORT and SANDBOX_PORT are both ${port}: give the sandbox another one.`)
  return {
    mode,
    host,
    port,
    sandboxPort,
    publicUrl: env['PUBLIC_URL'] || `http://localhost:${port}`,
    // A server that listens everywhere is reached on loopback.
    serverUrl:
      env['SERVER_URL'] ||
      `http://${/^(0\.0\.0\.0|::|)$/.test(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`,
    sandboxUrl: `http://127.0.0.1:${sandboxPort}`,
    databaseUrl: env['DATABASE_URL'] || undefined,
  }
}

/** @param {string} name @param {string} text */
function portOf(name, text) {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new Refusal(`${name} is "${text}": set it to a whole number from 1 to 65535.`)
}

/**
 * The environment of server and sandbox. What a person has set stays, but for two: in sandbox mode the server speaks to
 * the sandbox's bank with the sandbox's key, and a key that a developer keeps in his shell for other work must not get in between.
 * @param {NodeJS.ProcessEnv} env
 * @param {Settings} settings
 * @param {{ dataFolder: string, databaseUrl: string, web: string }} made
 * @returns {NodeJS.ProcessEnv}
 */
export function programEnvironment(env, settings, made) {
  const common = {
    AUTH_SECRET: env['AUTH_SECRET'] || authSecret(made.dataFolder),
    DATABASE_URL: made.databaseUrl,
    DATA_DIR: made.dataFolder,
    HOST: settings.host,
    MODE: settings.mode,
    PORT: String(settings.port),
    PUBLIC_URL: settings.publicUrl,
    SERVER_URL: settings.serverUrl,
    WEB_DIST: made.web,
  }
  if (settings.mode === 'production') return { ...env, ...common }
  return {
    SANDBOX_AUTO_SMS_SECONDS: '6',
    SMS_WEBHOOK_SECRETS: 'sms_sandbox',
    STRIPE_WEBHOOK_SECRETS: 'whsec_sandbox',
    ...env,
    ...common,
    SANDBOX_PORT: String(settings.sandboxPort),
    STRIPE_API_URL: settings.sandboxUrl,
    STRIPE_SECRET_KEY: 'sk_test_sandbox',
  }
}

/** Signs sessions: kept, so that a restart signs nobody out. @param {string} dataFolder */
function authSecret(dataFolder) {
  const file = join(dataFolder, 'secrets.json')
  const kept = readJson(file)
  if (typeof kept?.authSecret === 'string') return kept.authSecret
  const made = randomBytes(32).toString('base64url')
  writeWhole(file, `${JSON.stringify({ ...kept, authSecret: made }, null, 2)}\n`)
  return made
}

/**
 * Refuses when somebody else answers where we want to. Asks by connecting as well: some systems let two programs listen
 * on one port, and a browser may take `localhost` to be ::1.
 * @param {'PORT' | 'SANDBOX_PORT'} name
 * @param {string} host
 * @param {number} port
 */
export async function checkPort(name, host, port) {
  const trouble =
    (await answers('127.0.0.1', port)) || (await answers('::1', port))
      ? 'EADDRINUSE'
      : await troubleListening(host, port)
  if (trouble === null) return
  const example = `${name}=${port > 60_000 ? port - 100 : port + 100}`
  if (trouble === 'EADDRINUSE') {
    throw new Refusal(
      `Port ${port} is in use by another program: end that program, or start with another port, such as ${example} npm start.`,
    )
  }
  if (trouble === 'EACCES') {
    throw new Refusal(
      `Port ${port} is reserved for the system: start with another port, such as ${name}=3000 npm start.`,
    )
  }
  throw new Refusal(
    `Cannot listen on ${host}, port ${port} (${trouble}): set HOST to an address of this machine, such as 127.0.0.1.`,
  )
}

/** @param {string} host @param {number} port @returns {Promise<boolean>} */
function answers(host, port) {
  return new Promise((tell) => {
    const socket = connect({ host, port, timeout: 500 })
    const end = (/** @type {boolean} */ yes) => {
      socket.destroy()
      tell(yes)
    }
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(false))
      .once('error', () => end(false))
  })
}

/** @param {string} host @param {number} port @returns {Promise<string | null>} */
function troubleListening(host, port) {
  return new Promise((tell) => {
    const server = createServer()
    server.once('error', (/** @type {NodeJS.ErrnoException} */ error) => tell(error.code ?? error.message))
    server.listen(port, host, () => server.close(() => tell(null)))
  })
}
