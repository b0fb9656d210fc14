/**
 * A real node of a bitcoin-type network, for tests: `litecoind`, which descends from Bitcoin Core 0.21 and speaks its RPC. Scripts are the
 * same on every such network, so what reads Bitcoin is proven on it too; only addresses in words differ.
 *
 * `npm test` installs it where it can, and says where it is by LITECOIND_PATH.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../ports.ts'
import type { TestNode } from './test-node.ts'
import { caller, LITECOIN_SPACE } from './test-node.ts'

/** The wrapper in /usr/bin would write a configuration into the user's home. */
const usualPlace = '/usr/lib/litecoin/litecoind'
const START_SECONDS_MAX = 30

/** Null: there is none on this machine. */
export const litecoindPath: string | null =
  process.env['LITECOIND_PATH'] || (existsSync(usualPlace) ? usualPlace : null)

/** A chain of its own that has only its first block; stopped, it leaves nothing. */
export async function startLitecoind(): Promise<TestNode> {
  if (litecoindPath === null) throw new Error('There is no litecoind here: npm test installs it')
  const folder = mkdtempSync(join(tmpdir(), 'mobilesms-litecoind-'))
  const port = await freePort()
  const args = [
    ...['-regtest', `-datadir=${folder}`, '-server', '-listen=0', '-dnsseed=0', '-upnp=0', '-disablewallet'],
    ...['-printtoconsole=0', '-rpcuser=tests', '-rpcpassword=tests', `-rpcport=${port}`],
    ...['-rpcbind=127.0.0.1', '-rpcallowip=127.0.0.1', '-dbcache=4', '-par=1', '-rpcthreads=2'],
    // Litecoin refuses replacements unless told otherwise; Bitcoin takes them.
    '-mempoolreplacement=1',
    // What nodes do not relay but blocks may hold, such as outputs of one unit, is taken too.
    '-acceptnonstdtxn=1',
    // Otherwise no block can be mined from height 432 on, where the first block of its extension would need somebody to move coins there.
    '-vbparams=mweb:4000000000:4000000001',
  ]
  const child = spawn(litecoindPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(-2_000)
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  // A test that is killed must not leave a node behind.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)

  const url = `http://tests:tests@127.0.0.1:${port}`
  const call = caller(url)
  async function stop() {
    child.kill('SIGTERM')
    const patience = setTimeout(kill, 10_000)
    await ended
    clearTimeout(patience)
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  }
  for (let tries = 0; ; tries++) {
    try {
      await call('getblockcount')
      break
    } catch (error) {
      if (child.exitCode !== null || tries > START_SECONDS_MAX * 20) {
        await stop()
        throw new Error(`litecoind did not start: ${said.trim()}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  return { name: 'litecoind', kind: 'litecoin', url, call, space: LITECOIN_SPACE, stop }
}
