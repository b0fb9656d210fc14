/**
 * `npm start`: the product and, in sandbox mode, its outside world, until Ctrl-C.
 */
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWith, keepLock, startProgram, withCrew } from './crew.mjs'
import { checkout, dataFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { startCluster } from './postgres.mjs'
import { begin, done, line, Refusal, seconds } from './say.mjs'
import { checkPort, programEnvironment, readSettings, smtpPort } from './settings.mjs'
import { buildWeb, webFolder } from './web.mjs'

/** @typedef {import('./crew.mjs').Program} Program */

const readySecondsMax = 120

/** @returns {Promise<number>} the exit code */
export async function start() {
  const since = performance.now()
  checkPlatform()
  const settings = readSettings(process.env)
  return withCrew(async () => {
    begin('Folder', 'looking')
    const folder = dataFolder(process.env)
    // One start has the data folder, with its database; processes beside it need a place for their lock and their log only.
    const { role, port } = settings
    const place = role === 'all' ? folder : join(folder, 'processes', `${role}-${port}`)
    const held = await holdData(place, { verb: 'start', address: settings.publicUrl })
    if (!held.ok) {
      done(place)
      line(alreadyRunning(held.holder))
      return 0
    }
    keepLock(held.lock)
    await checkPort('PORT', settings.host, settings.port)
    const withSandbox = settings.mode === 'sandbox' && role === 'all'
    if (withSandbox) {
      await checkPort('SANDBOX_PORT', '127.0.0.1', settings.sandboxPort)
      if (settings.smtpPort) await checkPort('SANDBOX_SMTP_PORT', '127.0.0.1', settings.smtpPort)
    }
    done(place)

    keepLock(await preparePackages('start'))
    const databaseUrl = settings.databaseUrl ?? (await startDatabase(folder))
    if (settings.databaseUrl) {
      begin('Database')
      done('the one that DATABASE_URL names')
    }
    if (role !== 'worker') await buildWeb()

    const env = programEnvironment(childEnvironment(process.env), settings, {
      dataFolder: folder,
      databaseUrl,
      web: webFolder,
      // Chosen late: somebody else could take it before the sandbox does.
      smtpPort: await smtpPort(settings, folder),
    })
    const begun = (/** @type {string} */ name) => begunProgram(name, env, settings.mode === 'sandbox' ? place : null)
    // Both at once: neither needs the other to start.
    const sandbox = withSandbox ? begun('sandbox') : undefined
    const server = begun('server')
    if (sandbox) await answering('Sandbox', sandbox, `${settings.sandboxUrl}/healthz`, settings.sandboxUrl)
    await answering('Server', server, `${settings.serverUrl}/readyz`, settings.serverUrl)

    line(
      role === 'all'
        ? `MobileSMS is ready at ${settings.publicUrl}`
        : `MobileSMS is ready: ROLE=${role} at ${settings.serverUrl}, for ${settings.publicUrl}`,
    )
    if (sandbox) for (const text of newcomer(settings.sandboxUrl)) line(text)
    line(
      `  Ready after ${seconds(since)}. ${settings.mode === 'sandbox' ? `Logs are in ${place}. ` : ''}Ctrl-C stops everything.`,
    )
    return 'stay'
  })
}

/** @param {import('./locks.mjs').Holder} holder */
function alreadyRunning({ pid, verb, address }) {
  if (verb === 'start') return `MobileSMS is already running at ${address} (process ${pid}).`
  return `The data folder is in use by "npm run ${verb}" (process ${pid}): start again when it has ended.`
}

/** @param {string} folder */
async function startDatabase(folder) {
  begin('Database', 'starting')
  const cluster = await startCluster({ folder, onLost: (sentence) => endWith({ code: 1, sentence }) })
  done(`PostgreSQL ${cluster.version} at 127.0.0.1:${cluster.port}`)
  return cluster.url('mobilesms')
}

/**
 * @param {string} name of the program and of its folder
 * @param {NodeJS.ProcessEnv} env
 * @param {string | null} logs
 */
function begunProgram(name, env, logs) {
  return startProgram({
    name,
    command: pinnedNode,
    args: [join(checkout, name, 'main.ts')],
    env,
    cwd: checkout,
    logFile: logs === null ? null : join(logs, `${name}.log`),
  })
}

/**
 * Waits until a program answers 200.
 * @param {string} title
 * @param {Program} program
 * @param {string} probe
 * @param {string} address
 */
async function answering(title, program, probe, address) {
  // In production the program's log shares this output: nothing may stand open in the middle of it.
  if (program.logFile !== null) begin(title, 'starting')
  const end = performance.now() + readySecondsMax * 1000
  while (!(await answersOk(probe))) {
    if (performance.now() > end) {
      const said = program.said().trim().split('\n').slice(-12).join('\n')
      throw new Refusal(
        `The ${program.name} does not answer at ${probe} after ${readySecondsMax} seconds.${said ? ` It said last:\n${said}` : ''}`,
      )
    }
    await sleep(25)
  }
  begin(title)
  done(address)
}

/** @param {string} url @returns {Promise<boolean>} */
function answersOk(url) {
  return new Promise((tell) => {
    const request = get(url, { agent: false, timeout: 2000 }, (response) => {
      response.resume()
      tell(response.statusCode === 200)
    })
    request.once('timeout', () => request.destroy()).once('error', () => tell(false))
  })
}

/** What a newcomer needs next. @param {string} sandboxUrl */
function newcomer(sandboxUrl) {
  return [
    `  Desk       ${sandboxUrl} (the outside world: bank, phones, chains, clock)`,
    `  Mailbox    ${sandboxUrl}/mail (every mail that is sent, whoever it is to)`,
    '  Customer   demo / demo-password',
    '  Staff      staff / staff-password, approver / approver-password',
    '  API key    msk_sandbox_demo',
    '  Test card  4000 0000 0000 3220 (asks for 3-D Secure; any date to come, any three digits)',
  ]
}
