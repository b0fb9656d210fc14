/** The program: settings from the environment, one port on loopback, a graceful end. */
import { startSandbox } from './sandbox.ts'
import { readSettings } from './settings.ts'

const sandbox = await start()

let stopping = false
async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  await sandbox.stop()
  process.exit(0)
}

process.once('SIGTERM', stop)
process.once('SIGINT', stop)
// The launcher died; nobody would ever end this program.
process.once('disconnect', stop)

async function start() {
  try {
    return await startSandbox(readSettings(process.env))
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'port' in error
    const sentence = taken
      ? `Port ${error.port} is in use: end what holds it, or set SANDBOX_PORT (its pages) or SANDBOX_SMTP_PORT (its mail server) to another`
      : error instanceof Error
        ? error.message
        : String(error)
    console.error(`The sandbox did not start. ${sentence}.`)
    process.exit(1)
  }
}
