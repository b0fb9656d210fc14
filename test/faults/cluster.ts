/**
 * A PostgreSQL of a test's own, which may be killed or have its disk filled: the others' tests run on another one. A process of its own
 * keeps it (keeper.ts).
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Order, Report } from './keeper.ts'

/**
 * `postmaster`: what its backends have begun, they end. `everything`: it and all its processes at once, in the middle of whatever they
 * do. `backend`: one of those that serve, whereupon PostgreSQL ends the others and recovers by itself.
 */
export type HowToKill = 'postmaster' | 'everything' | 'backend'
export type Cluster = Awaited<ReturnType<typeof startCluster>>

const START_MS_MAX = 120_000
/** Of a folder that somebody prepared: more than this would take long to fill. */
const SMALL_BYTES_MAX = 4 * 1024 ** 3

/** `diskBytes`: its data and its log lie on a disk of their own with so much room. */
export async function startCluster(options: { diskBytes?: number } = {}) {
  const prepared = options.diskBytes === undefined ? undefined : process.env['FULL_DISK_FOLDER']
  const folder = mkdtempSync(join(prepared ?? process.env['MOBILESMS_TEST_DATA'] ?? tmpdir(), 'cluster-'))
  // As root, PostgreSQL runs as somebody else, who must come through.
  chmodSync(folder, 0o711)
  const keeper = [process.execPath, join(import.meta.dirname, 'keeper.ts'), folder]
  let ways = [keeper]
  if (prepared !== undefined) {
    const { blocks, bsize } = statfsSync(prepared)
    assert.ok(blocks * bsize < SMALL_BYTES_MAX, `FULL_DISK_FOLDER (${prepared}) is on a disk that is not small.`)
  } else if (options.diskBytes !== undefined) ways = onSmallDisk(keeper, folder, options.diskBytes)

  let started: { child: ChildProcess; url: string } | undefined
  const said: string[] = []
  for (const way of ways) {
    const tried = await start(way)
    if ('url' in tried) started = tried
    else said.push(`${way[0]}: ${tried.said.trim()}`)
    if (started) break
  }
  if (!started) {
    rmSync(folder, { recursive: true, force: true })
    const how =
      options.diskBytes === undefined
        ? 'The cluster of this test does not start.'
        : 'This machine lets the test have no small disk: run it as root with the right to mount, or allow user namespaces ' +
          '(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), or set FULL_DISK_FOLDER to a ' +
          'folder on a file system of 300 MB to 4 GB that nothing else uses.'
    throw new Error(`${how}\n${said.join('\n')}`)
  }
  const { child, url } = started
  let lost = ''
  child.on('message', (report: Report) => {
    if ('lost' in report) lost = report.lost
  })

  async function order(what: Order): Promise<{ wasReady?: boolean }> {
    const answer = once(child, 'message') as Promise<[Report]>
    child.send(what)
    const [report] = await answer
    assert.ok('done' in report, JSON.stringify(report))
    return report.done
  }

  return {
    /** The owner's, of the database `postgres`. */
    url,
    /** As `kill -9`. `wasReady`: whether it served, or was still starting or recovering. */
    kill: async (how: HowToKill) => ({ wasReady: (await order({ does: 'kill', how })).wasReady! }),
    /** Kills the postmaster that comes after the one that was killed last, so long after it came. Unit: milliseconds. */
    killNext: async (afterMs: number) => ({ wasReady: (await order({ does: 'kill the next', afterMs })).wasReady! }),
    /** To the last byte. */
    fillDisk: () => order({ does: 'fill the disk' }),
    emptyDisk: () => order({ does: 'empty the disk' }),
    /** Why it does not come back; empty while it does. */
    lost: () => lost,
    async stop(): Promise<void> {
      const exited = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null) {
        child.disconnect()
        await exited
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function start([command, ...args]: string[]): Promise<{ child: ChildProcess; url: string } | { said: string }> {
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  let said = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  return new Promise((tell) => {
    const impatient = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX)
    const answer = (what: { child: ChildProcess; url: string } | { said: string }) => {
      clearTimeout(impatient)
      tell(what)
    }
    child.once('message', (report: Report) => {
      if ('url' in report) answer({ child, url: report.url })
      else answer({ said: JSON.stringify(report) })
    })
    child.once('error', (error) => answer({ said: error.message }))
    child.once('close', () => answer({ said: said || 'it ended' }))
  })
}

/**
 * The keeper where the folder is a disk in memory, which goes with it: root may have that mounted, and nobody else sees it; whoever is
 * not root may where he is root of a user namespace, and is himself again inside, because PostgreSQL does not run as root.
 */
function onSmallDisk(keeper: string[], folder: string, bytes: number): string[][] {
  const mount = 'mount -t tmpfs -o "size=$1,mode=0711" tmpfs "$2" && shift 2 && exec "$@"'
  const sh = ['sh', '-c', mount, 'sh', String(bytes), folder]
  const isRoot = process.getuid!() === 0
  const [user, group] = isRoot ? [65_534, 65_534] : [process.getuid!(), process.getgid!()]
  const back = ['unshare', '--user', `--map-user=${user}`, `--map-group=${group}`]
  return [
    ...(isRoot ? [['unshare', '--mount', ...sh, ...keeper]] : []),
    ['unshare', '--user', '--map-root-user', '--mount', ...sh, ...back, ...keeper],
  ]
}
