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
 * @property {'all' | 'web' | 'worker'} role what the server does; the others need a database and a sandbox that somebody else started
 * @property {string} host
 * @property {number} port
 * @property {number} sandboxPort
 * @property {string} publicUrl where browsers find the product
 * @property {string} serverUrl where the sandbox finds the server
 * @property {string} sandboxUrl
 * @property {number | undefined} smtpPort where the sandbox takes mail, when a person has said it
 * @property {string | undefined} databaseUrl given from outside: no PostgreSQL of ours is started
 */

/** @param {NodeJS.ProcessEnv} env @returns {Settings} */
export function readSettings(env) {
  const mode = env['MODE'] || (/^(sk|rk)_live_/.test(env['STRIPE_SECRET_KEY'] ?? '') ? 'production' : 'sandbox')
  if (mode !== 'sandbox' && mode !== 'production') {
    throw new Refusal(`MODE is "${mode}": set it to sandbox or to production.`)
  }
  const role = env['ROLE'] || 'all'
  if (role !== 'all' && role !== 'web' && role !== 'worker') {
    throw new Refusal(`ROLE is "${role}": set it to all, web or worker.`)
  }
  if (role !== 'all' && !env['DATABASE_URL']) {
    throw new Refusal(
      `ROLE is ${role} and DATABASE_URL is missing: set it to the database that the processes share; the embedded one belongs to one start.`,
    )
  }
  if (role !== 'all' && mode === 'sandbox' && !env['SANDBOX_PORT']) {
    throw new Refusal(
      `ROLE is ${role} and SANDBOX_PORT is missing: set it to the port of the sandbox that the first npm start runs.`,
    )
  }
  const host = env['HOST'] || '127.0.0.1'
  const port = portOf('PORT', env['PORT'] || '3000')
  const sandboxPort = mode === 'sandbox' ? portOf('SANDBOX_PORT', env['SANDBOX_PORT'] || String(port + 1)) : 0
  if (port === sandboxPort) throw new Refusal(`PORT and SANDBOX_PORT are both ${port}: give the sandbox another one.`)
  return {
    mode,
    role,
    host,
    port,
    sandboxPort,
    publicUrl: env['PUBLIC_URL'] || `http://localhost:${port}`,
    // A server that listens everywhere is reached on loopback.
    serverUrl:
      env['SERVER_URL'] ||
      `http://${/^(0\.0\.0\.0|::|)$/.test(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`,
    sandboxUrl: `http://127.0.0.1:${sandboxPort}`,
    smtpPort:
      mode === 'sandbox' && env['SANDBOX_SMTP_PORT']
        ? portOf('SANDBOX_SMTP_PORT', env['SANDBOX_SMTP_PORT'])
        : undefined,
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
 * The environment of server and sandbox. What a person has set stays, but for this: in sandbox mode the server speaks to the
 * sandbox's bank with the sandbox's key, and mails to the sandbox's mail server. What a developer keeps in his shell for other work
 * must not get in between.
 * @param {NodeJS.ProcessEnv} env
 * @param {Settings} settings
 * @param {{ dataFolder: string, databaseUrl: string, web: string, smtpPort: number }} made
 * @returns {NodeJS.ProcessEnv}
 */
export function programEnvironment(env, settings, made) {
  const common = {
    AUTH_SECRET: env['AUTH_SECRET'] || authSecret(made.dataFolder, settings.role),
    DATABASE_URL: made.databaseUrl,
    DATA_DIR: made.dataFolder,
    HOST: settings.host,
    MODE: settings.mode,
    PORT: String(settings.port),
    PUBLIC_URL: settings.publicUrl,
    ROLE: settings.role,
    // A database from outside has its own file, or none: one file holds the seals of one database.
    SEAL_FILE: env['SEAL_FILE'] || (settings.databaseUrl ? '' : join(made.dataFolder, 'seals.log')),
    SERVER_URL: settings.serverUrl,
    WEB_DIST: made.web,
  }
  if (settings.mode === 'production') return { ...env, ...common }
  return {
    SANDBOX_AUTO_SMS_SECONDS: '6',
    SMS_WEBHOOK_SECRETS: 'sms_sandbox',
    STRIPE_WEBHOOK_SECRETS: 'whsec_sandbox',
    ...sandboxChains(settings),
    TWILIO_AUTH_TOKENS: 'twilio_sandbox',
    ...env,
    ...common,
    SANDBOX_PORT: String(settings.sandboxPort),
    SANDBOX_SMTP_PORT: String(made.smtpPort),
    SMTP_URL: `smtp://127.0.0.1:${made.smtpPort}`,
    ...sandboxCardCompany(settings),
  }
}

/**
 * Where the sandbox's bank is, and its key.
 * @param {Settings} settings
 */
export function sandboxCardCompany(settings) {
  return { STRIPE_API_URL: settings.sandboxUrl, STRIPE_SECRET_KEY: 'sk_test_sandbox' }
}

/**
 * Where the sandbox's chains and price sources are; the server knows the sandbox's keys.
 * @param {Settings} settings
 */
export function sandboxChains(settings) {
  const { sandboxUrl } = settings
  return {
    BITCOIN_RPC_URLS: `${sandboxUrl}/chains/btc/rpc`,
    ETHEREUM_RPC_URLS: `${sandboxUrl}/chains/eth/rpc`,
    LITECOIN_RPC_URLS: `${sandboxUrl}/chains/ltc/rpc`,
    RATE_URLS: ['kraken', 'coinbase', 'bitstamp'].map((source) => `${sandboxUrl}/rates/${source}`).join(','),
  }
}

/**
 * Signs sessions: kept, so that a restart signs nobody out, and the same in all processes of a house.
 * @param {string} dataFolder
 * @param {Settings['role']} role
 */
function authSecret(dataFolder, role) {
  const file = join(dataFolder, 'secrets.json')
  const kept = readJson(file)
  if (typeof kept?.authSecret === 'string') return kept.authSecret
  if (role !== 'all') {
    throw new Refusal(
      `ROLE is ${role} and AUTH_SECRET is missing: set it to one random text for all processes, such as \`openssl rand -hex 32\` prints.`,
    )
  }
  const made = randomBytes(32).toString('base64url')
  writeWhole(file, `${JSON.stringify({ ...kept, authSecret: made }, null, 2)}\n`)
  return made
}

/**
 * Refuses when somebody else answers where we want to. Asks by connecting as well: some systems let two programs listen
 * on one port, and a browser may take `localhost` to be ::1.
 * @param {'PORT' | 'SANDBOX_PORT' | 'SANDBOX_SMTP_PORT'} name
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

/**
 * Where the sandbox takes mail: any free port, chosen by the start that runs it, and left in the data folder for those beside it and
 * for the next start, which takes the same one where it can.
 * @param {Settings} settings
 * @param {string} dataFolder
 * @returns {Promise<number>}
 */
export async function smtpPort(settings, dataFolder) {
  if (settings.mode === 'production') return 0
  const file = join(dataFolder, 'sandbox.json')
  const left = readJson(file)?.smtpPort
  if (settings.role !== 'all') {
    if (settings.smtpPort) return settings.smtpPort
    if (typeof left === 'number') return left
    throw new Refusal(
      `ROLE is ${settings.role} and no sandbox has left its mail port in ${dataFolder}: set SANDBOX_SMTP_PORT, for both starts.`,
    )
  }
  const again = typeof left === 'number' && (await troubleListening('127.0.0.1', left)) === null
  const port = settings.smtpPort ?? (again ? left : await freePort())
  if (port !== left) writeWhole(file, `${JSON.stringify({ smtpPort: port })}\n`)
  return port
}

/** A port of this machine that nobody listens on at the moment. @returns {Promise<number>} */
function freePort() {
  return new Promise((tell, fail) => {
    const server = createServer()
    server.once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => tell(typeof address === 'object' && address ? address.port : 0))
    })
  })
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
